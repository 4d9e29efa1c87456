//! What must not change a verdict, or may change it in one direction only: fifteen properties over random runs of
//! seven objects. Not here: truth (`differential.rs`, `small_worlds.rs`), except where a property needs it.

mod common;

use checkers::linearizable::bind::Bind;
use checkers::linearizable::dfs::{self, Limits};
use checkers::linearizable::engine::{Answer, Decide, decide_needed};
use checkers::linearizable::objects::*;
use checkers::linearizable::replay::replay;
use checkers::linearizable::spec::{OPEN, Spec, Timed};
use checkers::linearizable::stack::{Stack, StackCall, StackReply};
use checkers::linearizable::{Linearizable, frontier, oracle, shrink};
use checkers::{Budget, Checker, Counterexample, Findings, Verdict};
use common::atomic::{self, Edge, Shape, World, edges, interleave, record, run, run_from};
use history::rng::Rng;
use history::{History, OpId, Value, ValueId};
use std::collections::HashSet;

/// What the histories of one property were like.
#[derive(Default, Debug)]
struct Tally {
    all: u32,
    valid: u32,
    /// The case that the property is about occurred.
    met: u32,
    /// And made a difference.
    mattered: u32,
}

impl Tally {
    fn count(&mut self, valid: bool, met: bool, mattered: bool) {
        self.all += 1;
        self.valid += valid as u32;
        self.met += met as u32;
        self.mattered += mattered as u32;
    }

    /// Both verdicts often, and at least these percentages of what the property is about.
    fn holds(&self, met: u32, mattered: u32) {
        let percent = |n: u32| n * 100 / self.all;
        assert!(self.all >= 2_000, "{self:?}");
        assert!((20..=90).contains(&percent(self.valid)), "{self:?}");
        assert!(percent(self.met) >= met && percent(self.mattered) >= mattered, "{self:?}");
    }
}

/// A property of one random run, over all objects, three hundred times.
macro_rules! each_object {
    ($property:ident) => {{
        let mut tally = Tally::default();
        let mut rng = Rng::new(1, stringify!($property));
        let (register, cas, queue, stack) =
            (atomic::register(), atomic::cas_register(), atomic::queue(), atomic::stack());
        let (element, counter, list) = (atomic::element(), atomic::counter(), atomic::list());
        for _ in 0..300 {
            $property(&register, &mut rng, &mut tally);
            $property(&cas, &mut rng, &mut tally);
            $property(&queue, &mut rng, &mut tally);
            $property(&stack, &mut rng, &mut tally);
            $property(&element, &mut rng, &mut tally);
            $property(&counter, &mut rng, &mut tally);
            $property(&list, &mut rng, &mut tally);
        }
        tally
    }};
}

/// The verdict of the whole pipeline, which the plain search has to share.
fn says<S: Decide>(spec: &S, ops: &[Timed<S>]) -> bool {
    let valid = match decide_needed(spec, ops, &Limits::default()).answer {
        Answer::Yes(order) => {
            assert_eq!(replay(spec, ops, &order), Ok(()), "{ops:?}");
            true
        }
        Answer::No(_) => false,
        Answer::Unknown(why) => panic!("{why:?}: {ops:?}"),
    };
    assert_eq!(searched(spec, ops), valid, "{ops:?}");
    valid
}

fn searched<S: Decide>(spec: &S, ops: &[Timed<S>]) -> bool {
    dfs::search(spec, ops, &Limits::default()).is_yes()
}

fn any<S: Decide>(world: &World<S>, rng: &mut Rng) -> Vec<Timed<S>> {
    let shape = Shape::any(rng, 4, 15);
    run(world, rng, shape)
}

/// A run short enough for brute force.
fn short<S: Decide>(world: &World<S>, rng: &mut Rng) -> Vec<Timed<S>> {
    let shape = Shape::any(rng, 3, 10);
    run(world, rng, shape)
}

fn last<S: Spec>(ops: &[Timed<S>]) -> u32 {
    ops.iter().map(|o| if o.is_ok() { o.res } else { o.inv }).max().unwrap_or(0)
}

fn widened<S: Decide>(world: &World<S>, rng: &mut Rng, tally: &mut Tally) {
    let far =
        |o: &Timed<S>| Timed { inv: o.inv * 8, res: if o.is_ok() { o.res * 8 } else { OPEN }, ..o.clone() };
    let ops: Vec<Timed<S>> = any(world, rng).iter().map(far).collect();
    let mut wider = ops.clone();
    for _ in 0..3 {
        let op = &mut wider[rng.below(ops.len() as u64) as usize];
        // No beginning shares a position with an end.
        match rng.below(3) {
            0 => op.inv = 8 * rng.below(op.inv as u64 / 8) as u32 + 5,
            1 if op.is_ok() => op.res += 8 * rng.below(80) as u32 + 6 - op.res % 8,
            _ => *op = op.forgotten(),
        }
    }
    let (before, after) = (says(&world.spec, &ops), says(&world.spec, &wider));
    assert!(after || !before, "{}: {ops:?} became {wider:?}", world.name);
    tally.count(before, before, after != before);
}

#[test]
fn p01_a_wider_interval_or_a_forgotten_reply_keeps_valid_valid() {
    each_object!(widened).holds(40, 4);
}

fn without_pure<S: Decide>(world: &World<S>, rng: &mut Rng, tally: &mut Tally) {
    let ops = any(world, rng);
    let idle = |i: &usize| ops[*i].reply.as_ref().is_some_and(|r| world.spec.idle(&ops[*i].call, r));
    let idle: Vec<usize> = (0..ops.len()).filter(idle).collect();
    let mut less = ops.clone();
    if let Some(i) = rng.pick(&idle) {
        less.remove(*i);
    }
    let (before, after) = (says(&world.spec, &ops), says(&world.spec, &less));
    assert!(after || !before, "{}: {ops:?} became {less:?}", world.name);
    // One that was never answered says nothing either way.
    let unanswered = |i: &usize| !ops[*i].is_ok() && world.spec.pure(&ops[*i].call);
    if let Some(i) = (0..ops.len()).find(unanswered) {
        let mut less = ops.clone();
        less.remove(i);
        assert_eq!(says(&world.spec, &less), before, "{}: without {i} of {ops:?}", world.name);
    }
    tally.count(before, !idle.is_empty() && before, after != before);
}

#[test]
fn p02_without_a_pure_op_valid_stays_valid() {
    each_object!(without_pure).holds(25, 2);
}

fn without_unneeded<S: Decide>(world: &World<S>, rng: &mut Rng, tally: &mut Tally) {
    let shape = Shape { info: 50, ..Shape::any(rng, 4, 12) };
    let ops = run(world, rng, shape);
    let valid = says(&world.spec, &ops);
    let needed = world.spec.needed(&ops);
    let out: Vec<usize> =
        (0..ops.len()).filter(|i| !needed.contains(i) && !world.spec.pure(&ops[*i].call)).collect();
    for i in &out {
        let mut less = ops.clone();
        less.remove(*i);
        assert_eq!(searched(&world.spec, &less), valid, "{}: without {i} of {ops:?}", world.name);
        assert_eq!(says(&world.spec, &less), valid, "{}: without {i} of {ops:?}", world.name);
    }
    let kept = needed.iter().any(|i| !ops[*i].is_ok());
    tally.count(valid, !out.is_empty(), !out.is_empty() && kept);
}

#[test]
fn p03_without_an_unneeded_info_the_verdict_is_equal() {
    each_object!(without_unneeded).holds(25, 10);
}

fn renamed<S: Bind>(world: &World<S>, rng: &mut Rng, tally: &mut Tally) {
    let ops = any(world, rng);
    let mut names: Vec<u32> = (1..=1_100).collect();
    rng.shuffle(&mut names);
    let name = |v: ValueId| if v.is_null() { v } else { ValueId(names[v.0 as usize]) };
    let mut other = ops.clone();
    other.iter_mut().for_each(|op| (world.rename)(op, &name));
    let valid = says(&world.spec, &ops);
    assert_eq!(says(&world.spec, &other), valid, "{}: {ops:?} renamed", world.name);
    let order = edges(0, &ops);
    let own = record(world, &[(Value::text("x"), ops.clone())], &order, |_, i| i as u32);
    let else_ = record(world, &[(Value::Int(7), other)], &order, |_, i| 5_000 - 3 * i as u32);
    let (own, else_) = (judge(world, &own), judge(world, &else_));
    assert_eq!(word(&own), if valid { "valid" } else { "invalid" }, "{}: {ops:?}", world.name);
    assert_eq!(word(&own), word(&else_), "{}: {ops:?}", world.name);
    assert_eq!(own.measured["engines"], else_.measured["engines"]);
    // Of several contradictions another one may be told, but none is there earlier.
    if let (Some(a), Some(b)) = (contradiction(&own), contradiction(&else_)) {
        assert_eq!(a.first_bad, b.first_bad, "{}: {ops:?}", world.name);
    }
    tally.count(valid, ops.len() > 4, !valid);
}

#[test]
fn p04_other_names_for_keys_values_and_processes_change_nothing() {
    each_object!(renamed).holds(80, 15);
}

fn judge<S: Spec>(world: &World<S>, history: &History) -> Findings {
    Linearizable::of(world.object).check(history, &Budget::default())
}

fn word(findings: &Findings) -> &'static str {
    findings.worst().map_or("none", Verdict::word)
}

fn contradiction(findings: &Findings) -> Option<&Counterexample> {
    findings.per_model.iter().find_map(|(_, v)| match v {
        Verdict::Invalid(c) => Some(&**c),
        _ => None,
    })
}

fn stretched<S: Decide>(world: &World<S>, rng: &mut Rng, tally: &mut Tally) {
    let ops = any(world, rng);
    let mut at = 0;
    let stretch: Vec<u32> = (0..=last(&ops) + 4)
        .map(|_| {
            at += 1 + if rng.chance(0.1) { rng.below(1_000) as u32 } else { 0 };
            at
        })
        .collect();
    let place = |p: u32| if p == OPEN { OPEN } else { stretch[p as usize] };
    let slow: Vec<Timed<S>> =
        ops.iter().map(|o| Timed { inv: place(o.inv), res: place(o.res), ..o.clone() }).collect();
    let limits = Limits::default();
    let (a, b) = (decide_needed(&world.spec, &ops, &limits), decide_needed(&world.spec, &slow, &limits));
    let valid = says(&world.spec, &ops);
    assert_eq!(says(&world.spec, &slow), valid, "{}: {ops:?} stretched", world.name);
    assert_eq!((a.by, a.steps), (b.by, b.steps), "{}: {ops:?}", world.name);
    tally.count(valid, last(&slow) > last(&ops), !valid);
}

#[test]
fn p05_the_length_of_pauses_says_nothing() {
    each_object!(stretched).holds(99, 15);
}

fn two_keys<S: Bind>(world: &World<S>, rng: &mut Rng, tally: &mut Tally) {
    let parts = [(Value::text("a"), any(world, rng)), (Value::text("b"), any(world, rng))];
    let valid: Vec<bool> = parts.iter().map(|p| says(&world.spec, &p.1)).collect();
    let order = interleave(rng, &[edges(0, &parts[0].1), edges(1, &parts[1].1)]);
    let found = judge(world, &record(world, &parts, &order, |part, i| (part * 100 + i) as u32));
    let worst = if valid.iter().all(|v| *v) { "valid" } else { "invalid" };
    assert_eq!(word(&found), worst, "{}: {parts:?}", world.name);
    let bad = valid.iter().filter(|v| !**v).count();
    assert_eq!(found.measured["invalid_keys"], bad, "{}: {parts:?}", world.name);
    tally.count(bad == 0, true, bad == 1);
}

#[test]
fn p06_of_two_keys_interleaved_the_worse_verdict_counts() {
    each_object!(two_keys).holds(99, 25);
}

/// Asked one after the other, after everything else.
fn then<S: Decide>(ops: &[Timed<S>], asked: Vec<(S::Call, S::Reply)>) -> Vec<Timed<S>> {
    let (mut all, mut pos) = (ops.to_vec(), last(ops) + 4);
    for (call, reply) in asked {
        all.push(Timed { call, reply: Some(reply), inv: pos, res: pos + 4 });
        pos += 8;
    }
    all
}

fn looked_at_last<S: Decide>(world: &World<S>, rng: &mut Rng, tally: &mut Tally) {
    let ops = any(world, rng);
    let never = then(&ops, vec![world.never.clone()]);
    assert!(!says(&world.spec, &never), "{}: {never:?}", world.name);
    let decided = decide_needed(&world.spec, &ops, &Limits::default());
    let Answer::Yes(order) = decided.answer else { return tally.count(false, false, false) };
    let mut state = world.spec.init();
    for i in &order {
        assert!(world.spec.apply(&mut state, &ops[*i].call, ops[*i].reply.as_ref()));
    }
    let looks = (world.looks)(&state);
    let changed = state != world.spec.init();
    let more = then(&ops, looks);
    assert!(says(&world.spec, &more), "{}: {more:?} after {order:?}", world.name);
    tally.count(true, true, changed);
}

#[test]
fn p07_a_last_look_at_the_witness_fits_and_at_what_nobody_wrote_does_not() {
    each_object!(looked_at_last).holds(40, 25);
}

/// Every state in which a linearization from `start` can end, with the set of ops in it. Brute force.
fn exits<S: Spec>(spec: &S, start: &S::State, ops: &[Timed<S>]) -> Vec<(S::State, u32)> {
    let (mut seen, mut found) = (HashSet::new(), Vec::new());
    let mut todo = vec![(start.clone(), 0u32)];
    while let Some((state, set)) = todo.pop() {
        if !seen.insert((state.clone(), set)) {
            continue;
        }
        let out: Vec<usize> = (0..ops.len()).filter(|i| set & 1 << i == 0).collect();
        for i in out.iter().filter(|i| out.iter().all(|j| ops[*j].res >= ops[**i].inv)) {
            if let Some(next) = spec.step(&state, &ops[*i].call, ops[*i].reply.as_ref()) {
                todo.push((next, set | 1 << i));
            }
        }
        if out.iter().all(|i| !ops[*i].is_ok()) {
            found.push((state, set));
        }
    }
    found
}

fn quiet_gap<S: Decide>(world: &World<S>, rng: &mut Rng, tally: &mut Tally) {
    let shape = Shape { lies: 0, ..Shape::any(rng, 2, 6) };
    let first = run(world, rng, shape);
    let ends = exits(&world.spec, &world.spec.init(), &first);
    let mut state = rng.pick(&ends).map_or(world.spec.init(), |e| e.0.clone());
    let shape = Shape { lies: 2 + rng.below(8) as usize, values: shape.values, ..Shape::any(rng, 2, 5) };
    let second = run_from(world, rng, shape, &mut state, 100);
    let gap = last(&first) + 4;
    let later = |o: &Timed<S>| Timed {
        inv: o.inv + gap,
        res: if o.is_ok() { o.res + gap } else { OPEN },
        ..o.clone()
    };
    let both: Vec<Timed<S>> = first.iter().cloned().chain(second.iter().map(later)).collect();
    // What the first part left open may still happen in the second.
    let continues = |(state, set): &(S::State, u32)| {
        let open =
            (0..first.len()).filter(|i| set & 1 << i == 0).map(|i| Timed { inv: 0, ..first[i].clone() });
        let rest: Vec<Timed<S>> = open.chain(second.iter().cloned()).collect();
        !exits(&world.spec, state, &rest).is_empty()
    };
    let from: Vec<bool> = ends.iter().map(continues).collect();
    let truth = from.contains(&true);
    assert_eq!(says(&world.spec, &both), truth, "{}: {both:?}", world.name);
    let states: HashSet<&S::State> = ends.iter().map(|e| &e.0).collect();
    tally.count(truth, states.len() > 1, truth && from.contains(&false));
}

#[test]
fn p08_after_a_quiet_gap_it_goes_on_from_any_state_that_the_first_part_can_end_in() {
    each_object!(quiet_gap).holds(25, 10);
}

fn repeated<S: Decide>(world: &World<S>, rng: &mut Rng, tally: &mut Tally) {
    let ops = any(world, rng);
    let idle = |i: &usize| ops[*i].reply.as_ref().is_some_and(|r| world.spec.idle(&ops[*i].call, r));
    let idle: Vec<usize> = (0..ops.len()).filter(idle).collect();
    let mut more = ops.clone();
    if let Some(i) = rng.pick(&idle) {
        // At the same positions: the two overlap.
        let at = rng.below(ops.len() as u64 + 1) as usize;
        more.insert(at, ops[*i].clone());
    }
    let valid = says(&world.spec, &ops);
    assert_eq!(says(&world.spec, &more), valid, "{}: {more:?}", world.name);
    tally.count(valid, !idle.is_empty(), !idle.is_empty() && !valid);
}

#[test]
fn p09_a_pure_op_said_twice_changes_nothing() {
    each_object!(repeated).holds(40, 8);
}

/// Time reversed, puts and takes exchanged.
fn backwards<S: Spec>(ops: &[Timed<S>], swap: impl Fn(&Timed<S>) -> (S::Call, S::Reply)) -> Vec<Timed<S>> {
    let end = last(ops) + 1;
    let turn = |op: &Timed<S>| {
        let (call, reply) = swap(op);
        Timed { call, reply: Some(reply), inv: end - op.res, res: end - op.inv }
    };
    ops.iter().map(turn).collect()
}

fn reversed<S: Decide>(
    world: &World<S>,
    swap: impl Fn(&Timed<S>) -> (S::Call, S::Reply),
    rng: &mut Rng,
    tally: &mut Tally,
) {
    let mut state = world.spec.init();
    let shape = Shape { values: 0, info: 0, lies: 0, ..Shape::any(rng, 4, 12) };
    let ops = run_from(world, rng, shape, &mut state, 0);
    let mut looks = (world.looks)(&state);
    looks.pop();
    let mut ops = then(&ops, looks);
    (0..rng.below(4)).for_each(|_| atomic::lie(rng, &mut ops));
    let valid = says(&world.spec, &ops);
    let back = backwards(&ops, swap);
    assert_eq!(says(&world.spec, &back), valid, "{}: {ops:?}", world.name);
    tally.count(valid, ops.len() > 6, !valid);
}

#[test]
fn p10_a_queue_or_stack_that_ends_empty_runs_backwards_as_well() {
    let mut tally = Tally::default();
    let mut rng = Rng::new(1, "backwards");
    let (queue, stack) = (atomic::queue(), atomic::stack());
    for _ in 0..1_100 {
        let swap = |op: &Timed<Queue>| match (op.call, op.reply) {
            (QueueCall::Enqueue(v), _) => (QueueCall::Dequeue, QueueReply::Took(v)),
            (QueueCall::Dequeue, Some(QueueReply::Took(v))) => (QueueCall::Enqueue(v), QueueReply::Done),
            _ => (QueueCall::Dequeue, QueueReply::Empty),
        };
        reversed(&queue, swap, &mut rng, &mut tally);
        let swap = |op: &Timed<Stack>| match (op.call, op.reply) {
            (StackCall::Push(v), _) => (StackCall::Pop, StackReply::Took(v)),
            (StackCall::Pop, Some(StackReply::Took(v))) => (StackCall::Push(v), StackReply::Done),
            _ => (StackCall::Pop, StackReply::Empty),
        };
        reversed(&stack, swap, &mut rng, &mut tally);
    }
    tally.holds(60, 20);
}

/// What had begun by `end`, what was still open then without its reply.
fn cut<S: Spec>(ops: &[Timed<S>], end: u32) -> Vec<Timed<S>> {
    let begun = ops.iter().filter(|o| o.inv <= end);
    begun.map(|o| if o.res > end { o.forgotten() } else { o.clone() }).collect()
}

fn prefixes<S: Bind>(world: &World<S>, rng: &mut Rng, tally: &mut Tally) {
    let ops = any(world, rng);
    let valid = says(&world.spec, &ops);
    if valid {
        let end = rng.below(last(&ops) as u64 + 1) as u32;
        assert!(says(&world.spec, &cut(&ops, end)), "{}: cut at {end}: {ops:?}", world.name);
        return tally.count(true, false, false);
    }
    let order = edges(0, &ops);
    let found = judge(world, &record(world, &[(Value::text("x"), ops.clone())], &order, |_, i| i as u32));
    let first_bad = contradiction(&found).and_then(|c| c.first_bad).expect("the first bad completion");
    let end = ops[begun(&order)[first_bad.0 as usize].1].res;
    assert!(!says(&world.spec, &cut(&ops, end)), "{}: bad at {end}: {ops:?}", world.name);
    assert!(says(&world.spec, &cut(&ops, end - 1)), "{}: bad before {end}: {ops:?}", world.name);
    tally.count(false, true, end < last(&ops));
}

/// Part and index of each op, by number in the record.
fn begun(order: &[Edge]) -> Vec<(usize, usize)> {
    order.iter().filter(|e| !e.2).map(|e| (e.0, e.1)).collect()
}

#[test]
fn p11_a_prefix_of_a_valid_history_is_valid_and_the_first_bad_completion_is_the_first() {
    each_object!(prefixes).holds(15, 10);
}

fn evidence<S: Bind>(world: &World<S>, rng: &mut Rng, tally: &mut Tally) {
    let ops = short(world, rng);
    let valid = says(&world.spec, &ops);
    let truth = |ops: &[Timed<S>]| oracle::linearizable(&world.spec, ops).expect("few ops");
    assert_eq!(truth(&ops), valid, "{}: {ops:?}", world.name);
    let order = edges(0, &ops);
    let found = judge(world, &record(world, &[(Value::text("x"), ops.clone())], &order, |_, i| i as u32));
    if valid {
        let Some(Verdict::Valid(witness)) = found.worst() else { panic!("{found:?}") };
        let told: Vec<usize> = witness.parts[0].1.iter().map(|id| begun(&order)[id.0 as usize].1).collect();
        assert_eq!(replay(&world.spec, &ops, &told), Ok(()), "{}: {ops:?}", world.name);
        return tally.count(true, false, false);
    }
    if let Answer::No(Some(refuted)) = decide_needed(&world.spec, &ops, &Limits::default()).answer {
        let core = refuted.core.iter().map(|i| ops[*i].clone()).collect();
        let core: Vec<Timed<S>> = refuted.reduced.unwrap_or(core);
        assert!(!truth(&core), "{}: core {core:?} of {ops:?}", world.name);
    }
    let small = shrink::shrink(&world.spec, &ops, 1 << 40);
    assert!(!truth(&small.ops), "{}: {:?} of {ops:?}", world.name, small.ops);
    for i in (0..small.ops.len()).filter(|i| small.ops[*i].is_ok()) {
        let mut less = small.ops.clone();
        match world.spec.idle(&less[i].call, less[i].reply.as_ref().expect("an ok op has one")) {
            true => drop(less.remove(i)),
            false => less[i] = less[i].forgotten(),
        }
        assert!(truth(&less), "{}: not minimal, {i}: {:?} of {ops:?}", world.name, small.ops);
    }
    tally.count(false, true, small.ops.len() < ops.len());
}

#[test]
fn p12_witnesses_replay_and_cores_are_contradictions_that_nothing_can_leave() {
    each_object!(evidence).holds(15, 10);
}

fn budgeted<S: Decide>(world: &World<S>, rng: &mut Rng, tally: &mut Tally) {
    let ops = any(world, rng);
    let valid = says(&world.spec, &ops);
    let (mut spent, mut answered) = (0, 0);
    for steps in [1, 4, 16, 64, 256, 1_024] {
        let limits = Limits { steps, ..Limits::default() };
        let said = match decide_needed(&world.spec, &ops, &limits).answer {
            Answer::Yes(_) => Some(true),
            Answer::No(_) => Some(false),
            Answer::Unknown(_) => None,
        };
        assert!(said.is_none_or(|s| s == valid), "{}: {steps} steps: {ops:?}", world.name);
        let reports = [
            dfs::search(&world.spec, &ops, &limits),
            frontier::cegar(&world.spec, &ops, &limits),
            frontier::relaxed(&world.spec, &ops, &limits, None).1,
            frontier::beam(&world.spec, &ops, 1 + steps as usize % 5, steps as u32 % 3, &limits),
        ];
        for report in reports.into_iter().chain(world.spec.own_search(&ops, &limits)) {
            let said = match report.answer {
                dfs::Answer::Yes(order) => {
                    assert_eq!(replay(&world.spec, &ops, &order), Ok(()), "{ops:?}");
                    Some(true)
                }
                dfs::Answer::No => Some(false),
                dfs::Answer::Spent(_) => None,
            };
            assert!(said.is_none_or(|s| s == valid), "{}: {steps} steps: {ops:?}", world.name);
            spent += said.is_none() as u32;
            answered += said.is_some() as u32;
        }
    }
    tally.count(valid, spent > 0, spent > 3 && answered > 3);
}

#[test]
fn p13_more_budget_never_turns_valid_into_invalid_nor_back() {
    each_object!(budgeted).holds(90, 70);
}

/// Plain backtracking: nothing is remembered. Also how many dead ends it met.
fn backtrack<S: Spec>(spec: &S, state: &S::State, ops: &[Timed<S>], set: u32, dead: &mut u32) -> bool {
    let out: Vec<usize> = (0..ops.len()).filter(|i| set & 1 << i == 0).collect();
    if out.iter().all(|i| !ops[*i].is_ok()) {
        return true;
    }
    let next = out.iter().filter(|i| out.iter().all(|j| ops[*j].res >= ops[**i].inv));
    for i in next {
        if let Some(state) = spec.step(state, &ops[*i].call, ops[*i].reply.as_ref())
            && backtrack(spec, &state, ops, set | 1 << i, dead)
        {
            return true;
        }
    }
    *dead += 1;
    false
}

fn unremembered<S: Decide>(world: &World<S>, rng: &mut Rng, tally: &mut Tally) {
    let shape = Shape { info: 10, ..Shape::any(rng, 3, 9) };
    let ops = run(world, rng, shape);
    let mut dead = 0;
    let truth = backtrack(&world.spec, &world.spec.init(), &ops, 0, &mut dead);
    assert_eq!(says(&world.spec, &ops), truth, "{}: {ops:?}", world.name);
    tally.count(truth, dead > 4, dead > 4 && truth);
}

#[test]
fn p14_without_a_memo_the_verdict_is_equal() {
    each_object!(unremembered).holds(12, 4);
}

/// Findings with each op named by its key and its rank there, and keys in their own order.
fn apart(findings: &Findings, order: &[Edge], parts: usize) -> Vec<String> {
    let begun = begun(order);
    let mut rank = vec![Vec::new(); parts];
    let mut next = vec![0; parts];
    for (part, i) in &begun {
        let most: usize = (*i).max(rank[*part].len());
        rank[*part].resize(most + 1, 0);
        rank[*part][*i] = next[*part];
        next[*part] += 1;
    }
    let name = |id: &OpId| {
        let (part, i) = begun[id.0 as usize];
        (part, rank[part][i])
    };
    let mut measured = findings.measured.clone();
    // It names lines of the record, which other keys move.
    measured.remove("why_search");
    let mut lines = vec![serde_json::to_string(&measured).expect("json")];
    for (_, verdict) in &findings.per_model {
        match verdict {
            // Which of several orders is told may follow from positions that only other keys moved.
            Verdict::Valid(w) => {
                let mut keys: Vec<String> =
                    w.parts.iter().map(|(key, ids)| format!("{key} {}", ids.len())).collect();
                keys.sort();
                lines.push(format!("{keys:?} {}", w.by));
            }
            Verdict::Invalid(c) => {
                let core: Vec<_> = c.core.iter().map(name).collect();
                let demoted: Vec<_> = c.demoted.iter().map(name).collect();
                lines.push(format!(
                    "{:?} {} {} {core:?} {demoted:?} {:?}",
                    c.key,
                    c.pattern,
                    c.by,
                    c.first_bad.as_ref().map(name)
                ));
            }
            Verdict::Unknown(r) => panic!("{r:?}"),
        }
    }
    lines.sort();
    lines
}

fn listed<S: Bind>(world: &World<S>, rng: &mut Rng, tally: &mut Tally) {
    let parts: Vec<(Value, Vec<Timed<S>>)> =
        ["a", "b", "c"].iter().map(|k| (Value::text(k), short(world, rng))).collect();
    let lists: Vec<Vec<Edge>> = parts.iter().enumerate().map(|(k, p)| edges(k, &p.1)).collect();
    let process = |part: usize, i: usize| (part * 100 + i) as u32;
    let orders = [interleave(rng, &lists), interleave(rng, &lists)];
    let found = orders.each_ref().map(|order| judge(world, &record(world, &parts, order, process)));
    let [a, b] = [0, 1].map(|k| apart(&found[k], &orders[k], 3));
    assert_eq!(a, b, "{}: {parts:?}", world.name);
    // The ops of one partition, listed as it comes.
    let ops = &parts[0].1;
    let mut shuffled: Vec<usize> = (0..ops.len()).collect();
    rng.shuffle(&mut shuffled);
    let other: Vec<Timed<S>> = shuffled.iter().map(|i| ops[*i].clone()).collect();
    assert_eq!(says(&world.spec, &other), says(&world.spec, ops), "{}: {other:?}", world.name);
    let limits = Limits::default();
    let (a, b) = (decide_needed(&world.spec, ops, &limits), decide_needed(&world.spec, &other, &limits));
    assert_eq!(a.by, b.by, "{}: {other:?}", world.name);
    let first = orders.each_ref().map(|order| order[0].0);
    let bad = found[0].measured["invalid_keys"].as_u64().expect("a number");
    tally.count(word(&found[0]) == "valid", first[0] != first[1], bad > 0);
}

#[test]
fn p15_the_order_in_which_keys_and_ops_are_listed_says_nothing() {
    each_object!(listed).holds(50, 30);
}

#[test]
fn p15_nor_does_the_number_of_threads() {
    let world = atomic::cas_register();
    let mut rng = Rng::new(1, "threads");
    let pools = [1, 2, 8].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("threads"));
    let mut bad = 0;
    for _ in 0..60 {
        let parts: Vec<(Value, Vec<Timed<Register>>)> =
            (0..12).map(|k| (Value::Int(k), short(&world, &mut rng))).collect();
        let lists: Vec<Vec<Edge>> = parts.iter().enumerate().map(|(k, p)| edges(k, &p.1)).collect();
        let order = interleave(&mut rng, &lists);
        let history = record(&world, &parts, &order, |part, i| (part * 100 + i) as u32);
        let said = pools.each_ref().map(|p| p.install(|| judge(&world, &history).to_json().to_string()));
        assert!(said[0] == said[1] && said[0] == said[2], "{said:?}");
        bad += said[0].contains("invalid\"") as u32;
    }
    assert!(bad > 20, "{bad}");
}
