//! Queues, stacks and priority queues: the deciders against brute force and against the search, hard shapes, words.

mod common;

use checkers::linearizable::collections::{self, Collection};
use checkers::linearizable::engine::{Answer, Decide, decide_needed};
use checkers::linearizable::families_collections::{self as families, Family};
use checkers::linearizable::objects::{Queue, QueueCall, QueueReply};
use checkers::linearizable::priority_queue::{PriorityQueue, PriorityQueueCall, PriorityQueueReply};
use checkers::linearizable::spec::{OPEN, Timed};
use checkers::linearizable::stack::{Stack, StackCall, StackReply};
use checkers::linearizable::{Linearizable, Object, dfs, oracle, preprocess, replay};
use checkers::{Budget, Checker, Counterexample, Findings, Verdict};
use common::{v, worlds};
use history::rng::Rng;
use history::{History, ValueId, text};

/// The three objects through one door.
trait Kind: Decide + Collection + Default {
    fn add(n: u32) -> Self::Call;
    const REMOVE: Self::Call;
    const DONE: Self::Reply;
    const EMPTY: Self::Reply;
    fn taken(n: u32) -> Self::Reply;
    fn item(item: Self::Item) -> u32;
}

impl Kind for Queue {
    fn add(n: u32) -> QueueCall {
        QueueCall::Enqueue(v(n))
    }
    const REMOVE: QueueCall = QueueCall::Dequeue;
    const DONE: QueueReply = QueueReply::Done;
    const EMPTY: QueueReply = QueueReply::Empty;
    fn taken(n: u32) -> QueueReply {
        QueueReply::Took(v(n))
    }
    fn item(item: ValueId) -> u32 {
        item.0
    }
}

impl Kind for Stack {
    fn add(n: u32) -> StackCall {
        StackCall::Push(v(n))
    }
    const REMOVE: StackCall = StackCall::Pop;
    const DONE: StackReply = StackReply::Done;
    const EMPTY: StackReply = StackReply::Empty;
    fn taken(n: u32) -> StackReply {
        StackReply::Took(v(n))
    }
    fn item(item: ValueId) -> u32 {
        item.0
    }
}

impl Kind for PriorityQueue {
    fn add(n: u32) -> PriorityQueueCall {
        PriorityQueueCall::Add(n as i64)
    }
    const REMOVE: PriorityQueueCall = PriorityQueueCall::Poll;
    const DONE: PriorityQueueReply = PriorityQueueReply::Done;
    const EMPTY: PriorityQueueReply = PriorityQueueReply::Empty;
    fn taken(n: u32) -> PriorityQueueReply {
        PriorityQueueReply::Took(n as i64)
    }
    fn item(item: i64) -> u32 {
        item as u32
    }
}

/// What the decider said of a history whose truth is known; everything it says is checked.
#[derive(Default, Debug)]
struct Tally {
    all: u32,
    valid: u32,
    with_info: u32,
    /// Decided without search, and of those the invalid ones.
    decided: u32,
    refuted: u32,
    /// Decided although a taking call was never answered.
    despite_infos: u32,
    overdrawn: u32,
    largest_core: usize,
}

impl Tally {
    fn take<S: Kind>(&mut self, ops: &[Timed<S>], truth: bool) {
        let spec = S::default();
        self.all += 1;
        self.valid += truth as u32;
        self.with_info += ops.iter().any(|o| !o.is_ok()) as u32;
        let part: Vec<Timed<S>> = spec.needed(ops).into_iter().map(|i| ops[i].clone()).collect();
        if let Some(decision) = spec.decide(&part) {
            self.decided += 1;
            self.despite_infos += part.iter().any(|o| !o.is_ok() && S::put(&o.call).is_none()) as u32;
            match decision {
                Ok(order) => {
                    assert!(truth, "the decider says yes: {ops:?}");
                    assert_eq!(replay::replay(&spec, &part, &order), Ok(()), "{ops:?}");
                }
                Err(refuted) => {
                    assert!(!truth, "the decider says no, {:?}: {ops:?}", refuted.core);
                    self.refuted += 1;
                    self.largest_core = self.largest_core.max(refuted.core.len());
                    let core: Vec<Timed<S>> = refuted.core.iter().map(|i| part[*i].clone()).collect();
                    assert_ne!(oracle::linearizable(&spec, &core), Some(true), "core {core:?} of {ops:?}");
                }
            }
        }
        if let Some(refuted) = spec.screen(&part) {
            assert!(!truth, "the sweep says no: {ops:?}");
            self.overdrawn += 1;
            let core: Vec<Timed<S>> = refuted.core.iter().map(|i| part[*i].clone()).collect();
            assert_eq!(oracle::linearizable(&spec, &core), Some(false), "core {core:?} of {ops:?}");
        }
    }
}

fn search<S: Kind>(ops: &[Timed<S>], steps: u64) -> Option<bool> {
    let spec = S::default();
    let limits = dfs::Limits { steps, bytes: steps.max(1 << 20) << 6, ..Default::default() };
    match dfs::search(&spec, ops, &limits).answer {
        dfs::Answer::Yes(order) => {
            assert_eq!(replay::replay(&spec, ops, &order), Ok(()), "{ops:?}");
            Some(true)
        }
        dfs::Answer::No => Some(false),
        dfs::Answer::Spent(_) => None,
    }
}

fn types<S: Kind>() -> Vec<(S::Call, Option<S::Reply>)> {
    vec![
        (S::add(1), Some(S::DONE)),
        (S::add(2), Some(S::DONE)),
        (S::add(1), None),
        (S::REMOVE, Some(S::taken(1))),
        (S::REMOVE, Some(S::taken(2))),
        (S::REMOVE, Some(S::EMPTY)),
        (S::REMOVE, None),
    ]
}

/// Linearizable and all, by brute force; the decider, the engine and the search have to agree on every one.
fn count<S: Kind>(n: usize) -> (u64, u64) {
    let (mut good, mut all, mut tally) = (0, 0, Tally::default());
    let spec = S::default();
    worlds(n, &types::<S>(), |ops: &[Timed<S>]| {
        let truth = oracle::linearizable(&spec, ops).unwrap();
        tally.take(ops, truth);
        assert_eq!(search(ops, 1 << 24), Some(truth), "dfs: {ops:?}");
        match decide_needed(&spec, ops, &dfs::Limits::default()).answer {
            Answer::Yes(_) => assert!(truth, "{ops:?}"),
            Answer::No(_) => assert!(!truth, "{ops:?}"),
            Answer::Unknown(why) => panic!("{why:?}: {ops:?}"),
        }
        good += truth as u64;
        all += 1;
    });
    assert!(n < 3 || tally.decided > tally.all / 2 && tally.despite_infos > 100, "{tally:?}");
    (good, all)
}

#[test]
fn small_worlds_of_queues() {
    let counts: Vec<_> = (1..=3).map(count::<Queue>).collect();
    assert_eq!(counts, [(5, 7), (88, 147), (2_702, 5_145)]);
}

#[test]
fn small_worlds_of_stacks() {
    let counts: Vec<_> = (1..=3).map(count::<Stack>).collect();
    assert_eq!(counts, [(5, 7), (88, 147), (2_727, 5_145)]);
}

/// No published counts: those of brute force alone.
#[test]
fn small_worlds_of_priority_queues() {
    let counts: Vec<_> = (1..=3).map(count::<PriorityQueue>).collect();
    assert_eq!(counts[..2], [(5, 7), (88, 147)]);
}

#[test]
fn small_worlds_of_four_ops() {
    assert_eq!(count::<Queue>(4), (121_109, 252_105));
    assert_eq!(count::<Stack>(4), (122_726, 252_105));
    let (good, all) = count::<PriorityQueue>(4);
    assert!(good > 100_000 && all == 252_105, "{good} of {all}");
}

#[derive(Clone, Copy)]
struct Mix {
    ops: usize,
    clients: usize,
    /// 0: each element is put in once.
    values: u32,
    /// Of a hundred puts, and of a hundred taking calls, how many are never answered.
    lost: [u64; 2],
    /// Results changed afterwards.
    lies: usize,
    /// Of a hundred calls, how many put something in.
    puts: u64,
}

/// A run of an atomic object by `clients`, each op taking effect somewhere inside its interval; then some lies.
fn run<S: Kind>(rng: &mut Rng, mix: Mix) -> Vec<Timed<S>> {
    let spec = S::default();
    let mut ops: Vec<Timed<S>> = Vec::new();
    let mut truth: Vec<Option<S::Reply>> = Vec::new();
    let mut open: Vec<Option<(usize, bool)>> = vec![None; mix.clients];
    let (mut state, mut pos) = (spec.init(), 0);
    // Unique elements in random order, so that priorities differ from arrival.
    let mut names: Vec<u32> = (1..=mix.ops as u32).collect();
    rng.shuffle(&mut names);
    while ops.len() < mix.ops || open.iter().any(Option::is_some) {
        let client = rng.below(mix.clients as u64) as usize;
        pos += 1;
        match open[client].take() {
            None if ops.len() < mix.ops => {
                let puts = rng.below(100) < mix.puts;
                let name = match mix.values {
                    0 => names[ops.len()],
                    n => 1 + rng.below(n as u64) as u32,
                };
                let call = if puts { S::add(name) } else { S::REMOVE };
                let lost = rng.below(100) < mix.lost[!puts as usize];
                ops.push(Timed { call, reply: None, inv: pos, res: if lost { OPEN } else { 0 } });
                truth.push(None);
                open[client] = Some((ops.len() - 1, false));
            }
            None => {}
            Some((i, false)) if ops[i].res != OPEN || rng.chance(0.7) => {
                let reply = match S::put(&ops[i].call) {
                    Some(_) => S::DONE,
                    None => S::next(&state).map_or(S::EMPTY, |item| S::taken(S::item(item))),
                };
                assert!(spec.apply(&mut state, &ops[i].call, Some(&reply)));
                truth[i] = Some(reply);
                open[client] = Some((i, true));
            }
            Some((i, _)) if ops[i].res != OPEN => {
                ops[i].res = pos;
                ops[i].reply = truth[i].clone();
            }
            Some(_) => {}
        }
    }
    for _ in 0..mix.lies {
        lie(rng, &mut ops);
    }
    ops
}

fn lie<S: Kind>(rng: &mut Rng, ops: &mut [Timed<S>]) {
    let takes: Vec<usize> =
        (0..ops.len()).filter(|i| ops[*i].is_ok() && S::put(&ops[*i].call).is_none()).collect();
    let puts: Vec<u32> = ops.iter().filter_map(|o| S::put(&o.call)).map(S::item).collect();
    let (Some(a), Some(b)) = (rng.pick(&takes).copied(), rng.pick(&takes).copied()) else { return };
    let before = ops[a].reply.clone();
    match rng.below(8) {
        0..3 => ops[a].reply = Some(S::EMPTY),
        3 => ops[a].reply = rng.pick(&puts).map(|n| S::taken(*n)).or(Some(S::taken(999))),
        _ => {}
    }
    let before = before.filter(|before| ops[a].reply.as_ref() == Some(before));
    if before.is_some() && ops[b].reply != before {
        ops[a].reply = std::mem::replace(&mut ops[b].reply, before);
    }
}

fn small<S: Kind>(rng: &mut Rng) -> Vec<Timed<S>> {
    let lost = [0, 0, 20, 40][rng.below(4) as usize];
    let mix = Mix {
        ops: rng.range(3, 11) as usize,
        clients: rng.range(2, 7) as usize,
        values: [0, 0, 0, 2, 4][rng.below(5) as usize],
        lost: [lost, if rng.chance(0.5) { 0 } else { lost }],
        lies: [0, 1, 2, 2, 3, 3, 4, 4][rng.below(8) as usize],
        puts: [40, 50, 60][rng.below(3) as usize],
    };
    run(rng, mix)
}

/// Half of them valid or nearly, and the decider's answers spread over both verdicts.
fn agree<S: Kind>(seed: u64, rounds: u32) {
    let mut rng = Rng::new(seed, "collections");
    let mut tally = Tally::default();
    for _ in 0..rounds {
        let ops: Vec<Timed<S>> = small(&mut rng);
        let truth = oracle::linearizable(&S::default(), &ops).unwrap();
        tally.take(&ops, truth);
        assert_eq!(search(&ops, 1 << 24), Some(truth), "dfs: {ops:?}");
        match decide_needed(&S::default(), &ops, &dfs::Limits::default()).answer {
            Answer::Yes(_) => assert!(truth, "{ops:?}"),
            Answer::No(_) => assert!(!truth, "{ops:?}"),
            Answer::Unknown(why) => panic!("{why:?}: {ops:?}"),
        }
    }
    eprintln!("{tally:?}");
    assert!(tally.valid * 10 > 3 * rounds && (rounds - tally.valid) * 10 > 3 * rounds, "{tally:?}");
    assert!(tally.with_info * 10 > 3 * rounds, "{tally:?}");
    assert!(tally.decided * 10 > 5 * rounds && tally.despite_infos * 50 > rounds, "{tally:?}");
    assert!(tally.refuted * 10 > 2 * rounds && tally.overdrawn * 50 > rounds, "{tally:?}");
    // Not only elements from nowhere or twice: many are refuted by order or by emptiness.
    assert!(tally.refuted > tally.overdrawn + rounds / 15, "{tally:?}");
}

#[test]
fn deciders_agree_with_brute_force() {
    agree::<Queue>(1, 18_000);
    agree::<Stack>(2, 18_000);
    agree::<PriorityQueue>(3, 18_000);
}

/// A first look.
#[test]
fn deciders_agree_with_brute_force_on_a_few() {
    agree::<Queue>(7, 2_000);
    agree::<Stack>(8, 2_000);
    agree::<PriorityQueue>(9, 2_000);
}

#[test]
#[ignore = "slow: a million histories"]
fn deciders_agree_with_brute_force_at_length() {
    agree::<Queue>(4, 300_000);
    agree::<Stack>(5, 300_000);
    agree::<PriorityQueue>(6, 300_000);
}

fn longer<S: Kind>(seed: u64) {
    let mut rng = Rng::new(seed, "longer");
    let (mut compared, mut invalid, mut tally) = (0, 0, Tally::default());
    for round in 0..150 {
        let mix = Mix {
            ops: if round % 10 == 0 { 1_000 } else { rng.range(200, 400) as usize },
            clients: 2 + round % 3,
            values: 0,
            lost: [[0, 0], [10, 0], [10, 0]][round % 3],
            lies: round % 2,
            puts: 50,
        };
        let ops: Vec<Timed<S>> = run(&mut rng, mix);
        let part: Vec<Timed<S>> = S::default().needed(&ops).into_iter().map(|i| ops[i].clone()).collect();
        if let Some(truth) = search(&part, 60_000) {
            tally.take(&ops, truth);
            compared += 1;
            invalid += !truth as u32;
        }
    }
    eprintln!("{compared} compared, {invalid} invalid, {tally:?}");
    assert!(
        compared > 40 && invalid > 10 && compared - invalid > 10 && tally.decided > compared * 9 / 10,
        "{compared} {invalid} {tally:?}"
    );
}

#[test]
fn deciders_agree_with_the_search_at_length() {
    longer::<Queue>(1);
    longer::<Stack>(2);
    longer::<PriorityQueue>(3);
}

fn same_needs<S: Kind>(seed: u64) {
    let mut rng = Rng::new(seed, "needs");
    let mut dropped = 0;
    for _ in 0..3_000 {
        let ops: Vec<Timed<S>> = small(&mut rng);
        let puts = |keep: Vec<usize>| -> Vec<usize> {
            keep.into_iter().filter(|i| S::put(&ops[*i].call).is_some()).collect()
        };
        let fast = collections::needed(&ops);
        dropped += (fast.len() < ops.len()) as u32;
        assert!((0..ops.len()).all(|i| fast.contains(&i) || !ops[i].is_ok()), "{ops:?}");
        assert_eq!(puts(fast), puts(preprocess::needed(&S::default(), &ops)), "{ops:?}");
    }
    assert!(dropped > 300, "{dropped}");
}

#[test]
fn what_is_left_out_is_what_the_lemma_leaves_out() {
    same_needs::<Queue>(1);
    same_needs::<Stack>(2);
    same_needs::<PriorityQueue>(3);
}

/// Forgetting a reply is weaker, in place is the same as by copy, and what is called idle changes nothing.
fn lawful<S: Kind>(seed: u64) {
    let (mut rng, spec) = (Rng::new(seed, "laws"), S::default());
    for _ in 0..2_000 {
        let mut state = spec.init();
        for _ in 0..rng.below(6) {
            spec.apply(&mut state, &S::add(1 + rng.below(3) as u32), None);
        }
        for call in [S::add(1), S::REMOVE] {
            let mut accepted = 0;
            for reply in [S::DONE, S::EMPTY, S::taken(1), S::taken(2), S::taken(3)] {
                let next = spec.step(&state, &call, Some(&reply));
                let mut there = state.clone();
                assert_eq!(spec.apply(&mut there, &call, Some(&reply)), next.is_some());
                if let Some(next) = next {
                    accepted += 1;
                    assert_eq!(there, next);
                    assert_eq!(spec.step(&state, &call, None), Some(next.clone()));
                    assert!(next == state || !spec.idle(&call, &reply));
                }
            }
            assert_eq!(accepted, 1);
        }
    }
}

#[test]
fn the_objects_are_lawful() {
    lawful::<Queue>(1);
    lawful::<Stack>(2);
    lawful::<PriorityQueue>(3);
}

fn yes<S: Kind>(ops: &[Timed<S>]) {
    let decided = decide_needed(&S::default(), ops, &dfs::Limits::default());
    assert!(matches!(decided.answer, Answer::Yes(_)) && decided.by == "decider", "{}", told(&decided.answer));
}

fn told<S: Kind>(answer: &Answer<S>) -> String {
    match answer {
        Answer::Yes(_) => "yes".into(),
        Answer::No(refuted) => format!("no: {:?}", refuted.as_ref().map(|r| &r.core)),
        Answer::Unknown(why) => format!("{why:?}"),
    }
}

/// The core of a refutation by the decider.
fn no<S: Kind>(ops: &[Timed<S>]) -> Vec<usize> {
    let decided = decide_needed(&S::default(), ops, &dfs::Limits::default());
    match decided.answer {
        Answer::No(Some(refuted)) => refuted.core,
        Answer::No(None) => panic!("refuted by {}", decided.by),
        Answer::Yes(_) => panic!("valid"),
        Answer::Unknown(why) => panic!("{why:?}"),
    }
}

fn ok<S: Kind>(call: S::Call, reply: S::Reply, inv: u32, res: u32) -> Timed<S> {
    Timed { call, reply: Some(reply), inv, res }
}

const MANY: u32 = 100_000;

/// One client: `adds` elements, then as many results.
fn filled<S: Kind>(adds: u32, out: impl Iterator<Item = u32>) -> Vec<Timed<S>> {
    let mut ops: Vec<Timed<S>> = (0..adds).map(|i| ok(S::add(i + 1), S::DONE, 2 * i, 2 * i + 1)).collect();
    for n in out {
        let at = 2 * ops.len() as u32;
        ops.push(ok(S::REMOVE, S::taken(n), at, at + 1));
    }
    ops
}

#[test]
fn nested_a_hundred_thousand_deep() {
    yes(&filled::<Stack>(MANY, (1..=MANY).rev()));
    yes(&filled::<Queue>(MANY, 1..=MANY));
    yes(&filled::<PriorityQueue>(MANY, (1..=MANY).rev()));
    let swapped = |n: u32| {
        move |i: u32| {
            if i == n {
                n + 1
            } else if i == n + 1 {
                n
            } else {
                i
            }
        }
    };
    let core = no(&filled::<Stack>(MANY, (1..=MANY).rev().map(swapped(MANY / 2))));
    assert_eq!(core.len(), 4);
    assert_eq!(no(&filled::<Queue>(MANY, (1..=MANY).map(swapped(MANY / 2)))).len(), 4);
    assert_eq!(no(&filled::<PriorityQueue>(MANY, (1..=MANY).rev().map(swapped(MANY / 2)))).len(), 4);
    // The wrong discipline altogether.
    assert_eq!(no(&filled::<Stack>(MANY, 1..=MANY)).len(), 4);
    assert_eq!(no(&filled::<Queue>(MANY, (1..=MANY).rev())).len(), 4);
}

#[test]
fn never_emptied() {
    yes(&filled::<Queue>(MANY, 1..=MANY / 2));
    yes(&filled::<Stack>(MANY, (MANY / 2..=MANY).rev()));
    yes(&filled::<PriorityQueue>(MANY, (MANY / 2..=MANY).rev()));
    let mut ops = filled::<Queue>(MANY, 1..=MANY / 2);
    let at = 2 * ops.len() as u32;
    ops.push(ok(QueueCall::Dequeue, QueueReply::Empty, at, at + 1));
    assert_eq!(no(&ops).len(), 2);
}

fn every_second_empty<S: Kind>() {
    let mut ops: Vec<Timed<S>> = Vec::new();
    for i in 0..MANY / 2 {
        let at = 8 * i;
        ops.push(ok(S::add(i + 1), S::DONE, at, at + 3));
        ops.push(ok(S::REMOVE, S::EMPTY, at + 1, at + 2));
        ops.push(ok(S::REMOVE, S::taken(i + 1), at + 4, at + 6));
        ops.push(ok(S::REMOVE, S::EMPTY, at + 5, at + 7));
    }
    yes(&ops);
    // While the element was certainly inside.
    ops[2].inv += 1;
    ops[1] = ok(S::REMOVE, S::EMPTY, 4, 4);
    assert_eq!(no(&ops).len(), 3);
}

#[test]
fn every_second_reply_empty() {
    every_second_empty::<Queue>();
    every_second_empty::<Stack>();
    every_second_empty::<PriorityQueue>();
}

/// Ops that begin and end at one position, and many at the same one.
fn of_no_length<S: Kind>() {
    let (mut rng, spec) = (Rng::new(7, "points"), S::default());
    let mut tally = Tally::default();
    for _ in 0..4_000 {
        let mut ops: Vec<Timed<S>> = small(&mut rng);
        for op in &mut ops {
            // Coarser time: what shared an instant is concurrent.
            op.inv /= 4;
            op.res = if op.is_ok() { op.res / 4 } else { OPEN };
            if rng.chance(0.3) && op.is_ok() {
                op.res = op.inv;
            }
        }
        let truth = oracle::linearizable(&spec, &ops).unwrap();
        tally.take(&ops, truth);
    }
    assert!(tally.valid > 800 && tally.refuted > 400 && tally.decided > 2_000, "{tally:?}");
    let mut ops: Vec<Timed<S>> = Vec::new();
    for i in 0..MANY {
        ops.push(ok(S::add(i + 1), S::DONE, i, i));
        ops.push(ok(S::REMOVE, S::taken(i + 1), i, i));
    }
    yes(&ops);
}

#[test]
fn ops_of_no_length() {
    of_no_length::<Queue>();
    of_no_length::<Stack>();
    of_no_length::<PriorityQueue>();
}

#[test]
fn one_call_open_over_all_others() {
    let mut ops = filled::<Queue>(MANY, 1..=MANY);
    ops.iter_mut().for_each(|o| (o.inv, o.res) = (o.inv + 1, o.res + 1));
    let end = 2 * ops.len() as u32 + 1;
    ops.push(ok(QueueCall::Enqueue(v(MANY + 1)), QueueReply::Done, 0, end));
    yes(&ops);
    ops.push(ok(QueueCall::Dequeue, QueueReply::Empty, 0, end));
    yes(&ops);
}

fn family<S: Kind>(make: impl Fn(&Family) -> Vec<Timed<S>>) {
    for (clients, infos) in [(1, 0), (10, 0), (10, 300), (40, 1_000)] {
        let valid = Family { ops: 20_000, clients, infos, swapped: false, seed: 11 };
        let ops = make(&valid);
        assert_eq!(ops.len(), 20_000);
        assert_eq!(ops.iter().filter(|o| !o.is_ok()).count(), infos as usize);
        assert_eq!(format!("{:?}", &ops[..50]), format!("{:?}", &make(&valid)[..50]));
        yes(&ops);
        let core = no(&make(&Family { swapped: true, ..valid }));
        assert!(core.len() <= 12, "{} clients: {}", clients, core.len());
    }
}

#[test]
fn generated_families_are_what_they_say() {
    family(families::queue);
    family(families::stack);
    family(families::priority_queue);
}

fn judge(object: Object, history: &History) -> Findings {
    Linearizable::of(object).check(history, &Budget::default())
}

fn invalid(object: Object, notation: &str) -> Counterexample {
    match judge(object, &text::parse(notation).unwrap()).per_model.swap_remove(0).1 {
        Verdict::Invalid(c) => *c,
        other => panic!("{other:?} of\n{notation}"),
    }
}

const GOLDEN: [(Object, &str, &str, &str); 17] = [
    (
        Object::Stack,
        "order inversion",
        "         p0 push s 1    |---|
         p1 push s 2      |-----------|
         p2 push s 3              |---------|
         p0 pop s 1                     |-------|
         p1 pop s 2                                                  |-|
         p2 pop s 3                                                                |-|",
        "Key s is not linearizable: of 1, 2 and 3 none can have been the lowest, so they cannot have come out last in, first out.",
    ),
    (
        Object::Queue,
        "thin-air value",
        "p0 dequeue q 7 |--|",
        "Key q is not linearizable: dequeue #0 by process 0 returned 7, which nobody had enqueued.",
    ),
    (
        Object::Queue,
        "thin-air value",
        "p0 enqueue q 7 |--x\n p1 dequeue q 7     |--|",
        "Key q is not linearizable: dequeue #1 by process 1 returned 7, which nobody had enqueued.",
    ),
    (
        Object::Queue,
        "future dequeue",
        "p0 dequeue q 7 |--|\n p1 enqueue q 7        |--|",
        "Key q is not linearizable: dequeue #0 by process 0 returned 7 before anybody had asked to enqueue it.",
    ),
    (
        Object::Queue,
        "duplicate delivery",
        "p0 enqueue q 7 |--|\n p1 dequeue q 7    |--|\n p2 dequeue q 7          |--|",
        "Key q is not linearizable: dequeue #2 by process 2 returned 7, which dequeue #1 by process 1 returned too.",
    ),
    (
        Object::Queue,
        "order inversion",
        "p0 enqueue q 1 |--|\n p0 enqueue q 2       |--|\n p2 dequeue q 2             |--|\n p2 dequeue q 1                   |--|",
        "Key q is not linearizable: dequeue #2 by process 2 returned 2, although 1 had been enqueued before it and was still inside.",
    ),
    (
        Object::Queue,
        "order inversion",
        "p0 enqueue q 1 |--|\n p0 enqueue q 2       |--|\n p2 dequeue q 2             |--|",
        "Key q is not linearizable: dequeue #2 by process 2 returned 2, although 1 had been enqueued before it and was still inside.",
    ),
    (
        Object::Queue,
        "lost element",
        "p0 enqueue q 1 |--|\n p1 dequeue q nil     |--|",
        "Key q is not linearizable: dequeue #1 by process 1 found the queue empty, although 1 had been enqueued and nobody ever returned it.",
    ),
    (
        Object::Queue,
        "empty lie",
        "p0 enqueue q 1 |--|\n p1 dequeue q nil    |--|\n p1 dequeue q 1             |--|",
        "Key q is not linearizable: dequeue #1 by process 1 found the queue empty, although 1 was inside all the time.",
    ),
    (
        Object::Queue,
        "empty lie",
        "p0 enqueue q 1 |--|\n p1 enqueue q 2      |--|\n p2 dequeue q nil   |-----------------------|\n p3 dequeue q 1             |------|\n p3 dequeue q 2                                  |--|",
        "Key q is not linearizable: dequeue #1 by process 2 found the queue empty, although it never was while the call ran.",
    ),
    (
        Object::Stack,
        "order inversion",
        "p0 push s 1 |--|\n p0 push s 2        |--|\n p2 pop s 1             |--|\n p2 pop s 2                   |--|",
        "Key s is not linearizable: pop #2 by process 2 returned 1, although 2 had been pushed on top of it and was still there.",
    ),
    (
        Object::Stack,
        "lost element",
        "p0 push s 1 |--|\n p1 pop s nil       |--|",
        "Key s is not linearizable: pop #1 by process 1 found the stack empty, although 1 had been pushed and nobody ever returned it.",
    ),
    (
        Object::Stack,
        "duplicate delivery",
        "p0 push s 1 |--|\n p1 pop s 1     |----|\n p2 pop s 1      |--|",
        "Key s is not linearizable: pop #1 by process 1 returned 1, which pop #2 by process 2 returned too.",
    ),
    (
        Object::Stack,
        "future pop",
        "p0 pop s 7 |--|\n p1 push s 7        |--|",
        "Key s is not linearizable: pop #0 by process 0 returned 7 before anybody had asked to push it.",
    ),
    (
        Object::PriorityQueue,
        "order inversion",
        "p0 add q 5 |--|\n p1 add q 9 |--|\n p2 poll q 5      |--|\n p2 poll q 9            |--|",
        "Key q is not linearizable: poll #2 by process 2 returned 5, although the larger 9 was inside all the time.",
    ),
    (
        Object::PriorityQueue,
        "order inversion",
        "p0 add q -5 |--|\n p1 add q 9  |--|\n p1 add q 12      |--|\n p2 poll q -5    |----------------|\n p3 poll q 9             |--|",
        "Key q is not linearizable: poll #2 by process 2 returned -5, although something larger was inside at every moment.",
    ),
    (
        Object::PriorityQueue,
        "duplicate delivery",
        "p0 add q 5 |--|\n p1 add q 5 |--|\n p2 poll q 5      |--|\n p2 poll q 5            |--|\n p2 poll q 5                  |--|",
        "Key q is not linearizable: poll #4 by process 2 returned 5 once more than it was added.",
    ),
];

#[test]
fn each_contradiction_is_told() {
    for (object, pattern, notation, first) in GOLDEN {
        let c = invalid(object, notation);
        assert_eq!((c.pattern.as_str(), c.words[0].as_str()), (pattern, first), "{c:?}");
        assert!(c.core.len() <= 6 && c.words.len() >= 2 && c.first_bad.is_some(), "{c:?}");
    }
}

/// Odd to look at, and fine.
#[test]
fn decoys_stay_valid() {
    let decoys = [
        // Put in at the same time, so either may be first.
        (
            Object::Queue,
            "p0 enqueue q 1 |----|\n p1 enqueue q 2   |----|\n p2 dequeue q 2          |--|\n p2 dequeue q 1               |--|",
        ),
        // Taken before the enqueue was acknowledged.
        (
            Object::Queue,
            "p0 enqueue q 1 |---------------|\n p1 dequeue q 1    |--|\n p1 dequeue q nil       |--|",
        ),
        // Never acknowledged, and there all the same, late.
        (
            Object::Queue,
            "p0 enqueue q 1 |--?\n p1 dequeue q nil      |--|\n p1 dequeue q 1              |--|",
        ),
        // A lost dequeue took the element that is missing.
        (
            Object::Queue,
            "p0 enqueue q 1 |--|\n p0 enqueue q 2     |--|\n p1 dequeue q      |--?\n p2 dequeue q 2             |--|\n p2 dequeue q nil                 |--|",
        ),
        // The two dequeues overlap.
        (
            Object::Queue,
            "p0 enqueue q 1 |--|\n p0 enqueue q 2     |--|\n p1 dequeue q 2         |----|\n p2 dequeue q 1           |----|",
        ),
        // The same element twice, and twice back.
        (
            Object::Queue,
            "p0 enqueue q 1 |--|\n p0 enqueue q 1     |--|\n p1 dequeue q 1         |--|\n p1 dequeue q 1              |--|",
        ),
        // Failed, so it never was there.
        (Object::Queue, "p0 enqueue q 1 |--x\n p0 enqueue q 2     |--|\n p1 dequeue q 2         |--|"),
        (
            Object::Stack,
            "p0 push s 1 |--|\n p1 push s 2     |------|\n p2 pop s 1      |----|\n p2 pop s 2             |--|",
        ),
        (
            Object::Stack,
            "p0 push s 1 |--|\n p0 push s 2     |--|\n p1 pop s           |--?\n p2 pop s 1              |--|\n p2 pop s nil                 |--|",
        ),
        (
            Object::Stack,
            "p0 push s 1 |--|\n p0 push s 2     |--|\n p1 pop s 1          |----|\n p2 pop s 2            |----|",
        ),
        (
            Object::PriorityQueue,
            "p0 add q 5 |--|\n p1 add q 9    |------|\n p2 poll q 5      |--|\n p2 poll q 9           |--|",
        ),
        (
            Object::PriorityQueue,
            "p0 add q -5 |--|\n p0 add q 40     |--|\n p1 poll q     |--?\n p2 poll q -5           |--|\n p2 poll q nil               |--|",
        ),
    ];
    for (object, notation) in decoys {
        let history = text::parse(notation).unwrap();
        for object in [object, Object::Auto] {
            let findings = judge(object, &history);
            assert!(findings.worst().unwrap().is_valid(), "{findings:?} of\n{notation}");
        }
    }
}

fn unsupported(object: Object, notation: &str) -> String {
    match judge(object, &text::parse(notation).unwrap()).per_model.swap_remove(0).1 {
        Verdict::Unknown(reason) => reason.says,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_judged_is_refused_by_name() {
    let says = unsupported(Object::Queue, "p0 enqueue q 1 |--|\n p1 drain q nil [1]    |--|");
    assert!(says.contains("op #1: a drain takes several elements"), "{says}");
    let says = unsupported(Object::PriorityQueue, "p0 add q high |--|");
    assert!(says.contains("op #0") && says.contains("no integer"), "{says}");
    let says = unsupported(Object::Stack, "p0 push s 1 |--|\n p0 peek s 1    |--|");
    assert!(says.contains("a stack has no call \"peek\" (op #1)"), "{says}");
}

/// An element, then nothing, then the element again; in the notations that recorded histories come in.
#[test]
fn taking_calls_are_read_from_every_format() {
    use history::formats::named;
    use history::jsonl::ReadOptions;
    for (object, put, take, pattern) in [
        (Object::Queue, "enqueue", "dequeue", "duplicate delivery"),
        (Object::Stack, "push", "pop", "duplicate delivery"),
        (Object::PriorityQueue, "add", "poll", "duplicate delivery"),
    ] {
        let rows = [("invoke", put, "5"), ("ok", put, "5"), ("invoke", take, "null"), ("ok", take, "5")];
        let rows = rows.into_iter().chain([("invoke", take, "null"), ("ok", take, "null")]);
        let rows: Vec<_> = rows.chain([("invoke", take, "null"), ("ok", take, "5")]).collect();
        let (mut jsonl, mut edn) = (String::new(), String::new());
        for (i, (kind, f, value)) in rows.iter().enumerate() {
            jsonl += &format!(
                "{{\"type\":\"{kind}\",\"process\":0,\"f\":\"{f}\",\"key\":\"q\",\"value\":{value},\"time\":{i}}}\n"
            );
            let nil = value.replace("null", "nil");
            edn += &format!("{{:type :{kind}, :process 0, :f :{f}, :value {nil}, :time {i}}}\n");
        }
        let read = |format: &str, text: &str| {
            named(format).unwrap().read(&mut text.as_bytes(), &ReadOptions::default()).unwrap()
        };
        let histories = [read("jsonl", &jsonl), read("jepsen-edn", &edn)];
        for history in histories {
            let c = match judge(object, &history).per_model.swap_remove(0).1 {
                Verdict::Invalid(c) => c,
                other => panic!("{other:?}"),
            };
            assert_eq!(c.pattern, pattern, "{c:?}");
            assert_eq!(Object::guess(&history), Some(object));
        }
        // Without the last call: an element in, out, and nothing left.
        let text = format!("p0 {put} q 5 |-|\n p0 {take} q 5        |-|\n p0 {take} q nil              |-|");
        let history = text::parse(&text).unwrap();
        assert!(judge(object, &history).worst().unwrap().is_valid(), "{text}");
    }
}

/// Of several contradictions the one that was complete first.
fn earliest<S: Kind>() {
    let take = |n, inv| ok::<S>(S::REMOVE, S::taken(n), inv, inv + 1);
    let mut ops = vec![take(8, 10), take(7, 0), take(9, 20), take(6, 30)];
    assert_eq!(no(&ops), [1]);
    // Put in after it was taken; put in once and taken twice.
    ops = vec![
        take(7, 10),
        ok(S::add(7), S::DONE, 12, 13),
        ok(S::add(5), S::DONE, 0, 1),
        take(5, 2),
        take(5, 4),
    ];
    assert_eq!(no(&ops), [2, 3, 4]);
    ops[4] = take(5, 14);
    assert_eq!(no(&ops), [1, 0]);
    // Taken three times: the first call that was one too many.
    ops = vec![ok(S::add(5), S::DONE, 0, 1), ok(S::REMOVE, S::taken(5), 2, 9), take(5, 3), take(5, 5)];
    assert_eq!(no(&ops), [0, 1, 2]);
    // Where an element was put in twice nothing else is looked at.
    let twice = |i: u32| ok::<S>(S::add(1), S::DONE, 40 + i, 41 + i);
    ops = vec![take(8, 10), take(7, 0), take(9, 20), twice(0), twice(2)];
    assert_eq!(collections::overdrawn(&ops).unwrap().core, [1]);
    ops = vec![take(9, 4), take(7, 2), twice(0), twice(2)];
    assert_eq!(collections::overdrawn(&ops).unwrap().core, [1]);
    ops = vec![take(9, 2), take(7, 4), twice(0), twice(2)];
    assert_eq!(collections::overdrawn(&ops).unwrap().core, [0]);
}

#[test]
fn of_several_contradictions_the_earliest() {
    earliest::<Queue>();
    earliest::<Stack>();
    earliest::<PriorityQueue>();
}
