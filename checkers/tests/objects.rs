//! The objects beyond the register: small worlds, random runs, the law that binds every spec.
//! How they are found in histories and told is in `objects_told.rs`.

mod common;

use checkers::linearizable::engine::{self, Answer, Decide};
use checkers::linearizable::fenced::{FencedLock, FencedReply};
use checkers::linearizable::max_register::{MaxCall, MaxRegister, MaxReply};
use checkers::linearizable::multi_register::{Micro, MultiRegister};
use checkers::linearizable::objects::*;
use checkers::linearizable::reentrant::ReentrantLock;
use checkers::linearizable::semaphore::{Semaphore, SemaphoreCall};
use checkers::linearizable::spec::{OPEN, Spec, Timed};
use checkers::linearizable::text_kv::{Text, TextCall, TextReply};
use checkers::linearizable::unique_ids::{Generate, UniqueIds};
use checkers::linearizable::versioned::{EntryCall, EntryReply, VersionedKv};
use checkers::linearizable::{dfs, oracle, preprocess, replay};
use common::asked::*;
use common::{v, worlds};
use history::Value;
use history::rng::Rng;

/// Everything that decides must agree with brute force, say yes with an order and no with a contradiction that
/// brute force finds one too. The truth, and whether the decider answered.
fn agree<S: Decide>(spec: &S, ops: &[Timed<S>]) -> (bool, bool) {
    let truth = oracle::linearizable(spec, ops).unwrap();
    match dfs::search(spec, ops, &dfs::Limits::default()).answer {
        dfs::Answer::Yes(order) => {
            assert!(truth, "dfs says yes: {ops:?}");
            assert_eq!(replay::replay(spec, ops, &order), Ok(()), "{ops:?}");
        }
        dfs::Answer::No => assert!(!truth, "dfs says no: {ops:?}"),
        dfs::Answer::Spent(why) => panic!("{why:?}: {ops:?}"),
    }
    let needed: Vec<_> = preprocess::needed(spec, ops).into_iter().map(|i| ops[i].clone()).collect();
    let mut decided = false;
    for part in [ops, &needed] {
        match spec.decide(part) {
            Some(Ok(order)) => {
                assert!(truth, "the decider says yes: {part:?}");
                assert_eq!(replay::replay(spec, part, &order), Ok(()), "{order:?} of {part:?}");
                decided = true;
            }
            Some(Err(refuted)) => {
                assert!(!truth, "the decider says no: {part:?}");
                assert!(!refuted.core.is_empty(), "{part:?}");
                let core: Vec<_> = refuted.core.iter().map(|i| part[*i].clone()).collect();
                let core = refuted.reduced.unwrap_or(core);
                assert_eq!(oracle::linearizable(spec, &core), Some(false), "core {core:?} of {part:?}");
                decided = true;
            }
            None => assert!(!decided, "undecided once the unneeded are gone: {part:?}"),
        }
    }
    match engine::decide_needed(spec, ops, &dfs::Limits::default()).answer {
        Answer::Yes(_) => assert!(truth, "{ops:?}"),
        Answer::No(_) => assert!(!truth, "{ops:?}"),
        Answer::Unknown(why) => panic!("{why:?}: {ops:?}"),
    }
    (truth, decided)
}

type Types<S> = Vec<(<S as Spec>::Call, Option<<S as Spec>::Reply>)>;

/// Linearizable, all, and those that the decider answered.
fn count<S: Decide>(spec: &S, n: usize, types: &Types<S>) -> (u64, u64, u64) {
    let mut counts = (0, 0, 0);
    worlds(n, types, |ops: &[Timed<S>]| {
        let (truth, decided) = agree(spec, ops);
        counts.0 += truth as u64;
        counts.1 += 1;
        counts.2 += decided as u64;
    });
    counts
}

fn element_types() -> Types<Element> {
    use ElementCall::*;
    use ElementReply::*;
    vec![
        (Add, Some(Was(false))),
        (Add, Some(Was(true))),
        (Add, None),
        (Remove, Some(Was(true))),
        (Remove, Some(Was(false))),
        (Remove, None),
        (Has, Some(Was(true))),
        (Has, Some(Was(false))),
    ]
}

#[test]
fn every_small_world_of_a_set_element() {
    let counts: Vec<_> = (1..=3).map(|n| count(&Element, n, &element_types())).collect();
    assert_eq!(counts, [(5, 8, 8), (100, 192, 192), (3_773, 7_680, 7_680)]);
}

#[test]
fn every_small_world_of_a_set_element_with_four_ops() {
    assert_eq!(count(&Element, 4, &element_types()), (208_550, 430_080, 430_080));
}

#[test]
fn every_small_world_of_a_counter() {
    use CounterCall::*;
    use CounterReply::*;
    let mut types = vec![
        (Add(1), Some(Done)),
        (Add(1), None),
        (Add(-1), Some(Done)),
        (Read, Some(Sum(0))),
        (Read, Some(Sum(1))),
        (Read, Some(Sum(2))),
    ];
    let counts: Vec<_> = (1..=4).map(|n| count(&Counter, n, &types)).map(|c| (c.0, c.1)).collect();
    assert_eq!(counts, [(4, 6), (56, 108), (1_494, 3_240), (59_975, 136_080)]);
    // Without the decrement the decider answers all.
    types.remove(2);
    types.push((Read, Some(Sum(3))));
    for n in 1..=4 {
        let (valid, all, decided) = count(&Counter, n, &types);
        assert!(decided == all && valid > 0 && valid < all, "{valid} of {all}, {decided} decided");
    }
}

#[test]
fn every_small_world_of_locks() {
    use MutexCall::*;
    let calls = [Acquire(1), Acquire(2), Release(1), Release(2)];
    let types: Types<Mutex> = calls.into_iter().flat_map(|c| [(c, Some(())), (c, None)]).collect();
    for n in 1..=3 {
        let (valid, all, decided) = count(&Mutex, n, &types);
        assert!(valid > 1 && valid < all && decided > 1, "{valid} of {all}, {decided} decided");
    }
    for most in [None, Some(1), Some(2)] {
        let types = types.clone();
        let counts: Vec<_> = (1..=3).map(|n| count(&ReentrantLock { most }, n, &types)).collect();
        assert!(counts.iter().all(|c| c.0 > 1 && c.0 < c.1 && c.2 > 1), "{most:?}: {counts:?}");
        if most == Some(1) {
            let plain: Vec<_> = (1..=3).map(|n| count(&Mutex, n, &types)).collect();
            assert_eq!(counts, plain, "a lock that may be acquired once is a plain one");
        }
    }
    let types: Types<FencedLock> = vec![
        (Acquire(1), Some(FencedReply::Token(1))),
        (Acquire(1), Some(FencedReply::Token(2))),
        (Acquire(2), Some(FencedReply::Token(1))),
        (Acquire(2), Some(FencedReply::Done)),
        (Acquire(1), None),
        (Release(1), Some(FencedReply::Done)),
        (Release(2), Some(FencedReply::Done)),
        (Release(1), None),
    ];
    for n in 1..=3 {
        let (valid, all, decided) = count(&FencedLock, n, &types);
        assert!(valid > 1 && valid < all && decided > 1, "{valid} of {all}, {decided} decided");
    }
}

#[test]
fn every_small_world_of_the_others() {
    let max = |x| Some(MaxReply::Largest(x));
    let types: Types<MaxRegister> = vec![
        (MaxCall::Write(1), Some(MaxReply::Done)),
        (MaxCall::Write(2), Some(MaxReply::Done)),
        (MaxCall::Write(1), None),
        (MaxCall::Write(2), None),
        (MaxCall::Read, max(None)),
        (MaxCall::Read, max(Some(1))),
        (MaxCall::Read, max(Some(2))),
    ];
    for n in 1..=4 {
        let (valid, all, decided) = count(&MaxRegister, n, &types);
        assert!(decided == all && valid > 1 && valid < all, "{valid} of {all}, {decided} decided");
    }
    let types: Types<UniqueIds> =
        vec![(Generate, Some(v(1))), (Generate, Some(v(2))), (Generate, Some(v(3))), (Generate, None)];
    for n in 2..=4 {
        let (valid, all, decided) = count(&UniqueIds, n, &types);
        assert!(decided == all && valid > 1 && valid < all, "{valid} of {all}, {decided} decided");
    }
    use SemaphoreCall::*;
    let types: Types<Semaphore> =
        vec![(Acquire, Some(())), (Acquire, None), (Release, Some(())), (Release, None)];
    for permits in 1..=2 {
        let (valid, all, _) = count(&Semaphore { permits }, 4, &types);
        assert!(valid > 1 && valid < all, "{valid} of {all}");
    }
    let (r, w) = (Micro::Read, Micro::Write);
    let types: Types<MultiRegister> = vec![
        (vec![w(1, 1), w(2, 1)], Some(vec![])),
        (vec![w(1, 1), w(2, 1)], None),
        (vec![w(1, 2), r(2)], Some(vec![1])),
        (vec![r(1), r(2)], Some(vec![0, 0])),
        (vec![r(1), r(2)], Some(vec![1, 0])),
        (vec![r(1), r(2)], Some(vec![1, 1])),
        (vec![w(2, 2), r(2)], Some(vec![2])),
    ];
    for n in 1..=3 {
        let (valid, all, _) = count(&MultiRegister::bare(), n, &types);
        assert!(valid > 1 && valid < all, "{valid} of {all}");
    }
    let t = |s: &str| std::sync::Arc::<str>::from(s);
    let types: Types<Text> = vec![
        (TextCall::Put(t("p")), Some(TextReply::Done)),
        (TextCall::Append(t("a")), Some(TextReply::Done)),
        (TextCall::Append(t("b")), None),
        (TextCall::Get, Some(TextReply::Is(t("")))),
        (TextCall::Get, Some(TextReply::Is(t("p")))),
        (TextCall::Get, Some(TextReply::Is(t("pa")))),
        (TextCall::Get, Some(TextReply::Is(t("ba")))),
        (TextCall::Get, Some(TextReply::Is(t("a")))),
    ];
    for n in 1..=3 {
        let (valid, all, decided) = count(&Text, n, &types);
        assert!(valid > 1 && valid < all && decided * 4 > all, "{valid} of {all}, {decided} decided");
    }
    let x = |i: i64| Value::Int(i);
    let types: Types<VersionedKv> = vec![
        (EntryCall::Put(x(1)), Some(EntryReply::Done)),
        (EntryCall::Put(x(2)), Some(EntryReply::At(7))),
        (EntryCall::PutIf(7, x(1)), Some(EntryReply::Done)),
        (EntryCall::PutIf(7, x(1)), Some(EntryReply::Refused)),
        (EntryCall::PutIf(7, x(1)), None),
        (EntryCall::PutIf(0, x(2)), Some(EntryReply::At(3))),
        (EntryCall::Put(Value::Null), Some(EntryReply::Done)),
        (EntryCall::Read, Some(EntryReply::Found(x(1), 9))),
        (EntryCall::Read, Some(EntryReply::Found(x(2), 7))),
        (EntryCall::Read, Some(EntryReply::Found(Value::Null, 0))),
    ];
    for n in 1..=3 {
        let (valid, all, _) = count(&VersionedKv, n, &types);
        assert!(valid > 1 && valid < all, "{valid} of {all}");
    }
}

/// Decider, search and brute force on random runs; both verdicts, and calls without an answer, must occur often.
fn differential<S: Decide>(name: &str, world: &World<S>, rounds: u32, decides: u32) {
    let mut rng = Rng::new(rounds as u64, name);
    let (mut invalid, mut with_info, mut answered, mut seen) = (0, 0, 0, 0);
    while seen < rounds {
        let (n, info, lies) = (
            rng.range(3, 11) as usize,
            [0, 15, 40][rng.below(3) as usize],
            [0, 1, 2, 2][rng.below(4) as usize],
        );
        let ops = random(world, &mut rng, n, info, lies);
        if ops.is_empty() || ops.len() > oracle::MOST {
            continue;
        }
        seen += 1;
        let (truth, decided) = agree(&world.spec, &ops);
        invalid += !truth as u32;
        answered += decided as u32;
        with_info += ops.iter().any(|o| !o.is_ok()) as u32;
        assert!(truth || lies > 0, "an honest run is valid: {ops:?}");
    }
    let percent = |x: u32| x as f64 * 100.0 / rounds as f64;
    // A narrower interval is no lie about an id, so fewer of those runs are wrong.
    let least = if name == "unique-ids" { 25.0 } else { 30.0 };
    assert!(percent(invalid) >= least && percent(invalid) <= 90.0, "{name}: {} % invalid", percent(invalid));
    assert!(percent(with_info) >= 30.0, "{name}: {} % with info", percent(with_info));
    assert!(percent(answered) >= decides as f64, "{name}: the decider answered {} %", percent(answered));
}

fn all(rounds: u32) {
    differential("texts", &texts(), rounds, 50);
    differential("unique-ids", &unique_ids(), rounds, 100);
    differential("element", &element(), rounds, 100);
    differential("increments", &increments(), rounds, 100);
    differential("max-register", &max_register(), rounds, 100);
    differential("mutex", &mutex(), rounds, 50);
    differential("reentrant", &reentrant(), rounds, 100);
    differential("fenced", &fenced(), rounds, 90);
}

#[test]
fn deciders_agree_with_search_and_brute_force() {
    all(20_000);
}

#[test]
#[ignore = "slow: 300,000 runs for each of eight deciders"]
fn deciders_agree_with_search_and_brute_force_at_length() {
    all(300_000);
}

#[test]
fn searched_objects_agree_with_brute_force() {
    differential("semaphore", &semaphore(), 5_000, 0);
    differential("multi-register", &multi_register(), 5_000, 0);
    differential("versioned", &versioned(), 5_000, 0);
}

/// What shares a position is concurrent, for deciders and search alike: coarse clocks make such runs.
#[test]
fn at_one_position_they_agree_with_brute_force() {
    fn coarse<S: Decide>(name: &str, world: &World<S>) {
        let mut rng = Rng::new(3, name);
        let (mut invalid, mut seen) = (0, 0);
        while seen < 400 {
            let (n, lies) = (rng.range(3, 11) as usize, rng.below(3) as u32);
            let mut ops = random(world, &mut rng, n, [0, 20][seen % 2], lies);
            if ops.len() > oracle::MOST {
                continue;
            }
            // Positions of recorded events are four apart.
            for op in &mut ops {
                op.inv /= 8;
                op.res = if op.is_ok() { op.res / 8 } else { OPEN };
            }
            seen += 1;
            invalid += !agree(&world.spec, &ops).0 as u32;
        }
        assert!(invalid > 20 && invalid < 380, "{name}: {invalid} invalid");
    }
    coarse("texts", &texts());
    coarse("unique-ids", &unique_ids());
    coarse("element", &element());
    coarse("increments", &increments());
    coarse("amounts", &amounts());
    coarse("max-register", &max_register());
    coarse("mutex", &mutex());
    coarse("reentrant", &reentrant());
    coarse("fenced", &fenced());
    coarse("priority-queue", &priority_queue());
    coarse("whole-set", &whole_set());
    coarse("multi-register", &multi_register());
}

/// Long runs that brute force cannot judge: decider against search, and the size of contradictions.
#[test]
fn long_runs_are_decided_with_small_contradictions() {
    fn long<S: Decide>(name: &str, world: &World<S>, most: usize) {
        let mut rng = Rng::new(9, name);
        let (mut invalid, mut judged) = (0, 0);
        for round in 0..40u32 {
            let info = [0, 3][round as usize % 2];
            let ops = random(world, &mut rng, 300, info, [0, 2, 4][round as usize % 3]);
            let part: Vec<_> =
                preprocess::needed(&world.spec, &ops).into_iter().map(|i| ops[i].clone()).collect();
            let Some(decision) = world.spec.decide(&part) else { continue };
            let limits = dfs::Limits { steps: 2_000_000, ..dfs::Limits::default() };
            let searched = dfs::search(&world.spec, &part, &limits);
            if !matches!(searched.answer, dfs::Answer::Spent(_)) {
                assert_eq!(searched.is_yes(), decision.is_ok(), "{name}, round {round}");
                judged += 1;
            }
            match decision {
                Ok(order) => assert_eq!(replay::replay(&world.spec, &part, &order), Ok(()), "{name}"),
                Err(refuted) => {
                    invalid += 1;
                    let core: Vec<_> = refuted.core.iter().map(|i| part[*i].clone()).collect();
                    let core = refuted.reduced.unwrap_or(core);
                    assert!(
                        engine::refutes(&world.spec, &core),
                        "{name}, round {round}: {core:?} has an order"
                    );
                    let size = core.len();
                    // Calls without an answer can need as many others before all of them are accounted for.
                    assert!(info > 0 || size <= most, "{name}, round {round}: a contradiction of {size} ops");
                }
            }
        }
        assert!(invalid >= 8 && judged >= 20, "{name}: {invalid} invalid, {judged} judged by both");
    }
    long("element", &element(), 24);
    long("increments", &increments(), 4);
    long("max-register", &max_register(), 4);
    long("reentrant", &reentrant(), 4);
    long("fenced", &fenced(), 6);
    long("unique-ids", &unique_ids(), 2);
}

/// Without any of its replies the contradiction of an element is none.
#[test]
fn contradictions_of_an_element_are_least() {
    let (mut rng, world) = (Rng::new(10, "least"), element());
    let (mut seen, mut windows) = (0, 0);
    for round in 0..600 {
        let (n, info) = (rng.range(10, 60) as usize, [0, 10][round % 2]);
        let ops = random(&world, &mut rng, n, info, 2);
        let Some(Err(refuted)) = Element.decide(&ops) else { continue };
        let list = refuted.reduced.unwrap();
        seen += 1;
        // The add before the window is no op of the history.
        windows += (refuted.core.len() < list.len()) as u32;
        assert!(engine::refutes(&Element, &list), "{list:?}");
        for i in (0..list.len()).filter(|i| list[*i].is_ok()) {
            let mut weaker = list.clone();
            match Element.idle(&list[i].call, list[i].reply.as_ref().unwrap()) {
                true => drop(weaker.remove(i)),
                false => weaker[i] = list[i].forgotten(),
            }
            assert!(dfs::search(&Element, &weaker, &dfs::Limits::default()).is_yes(), "{i} of {list:?}");
        }
    }
    assert!(seen > 200 && windows > 20, "{seen} contradictions, {windows} with an add from before");
}

/// Forgetting is weaker: what may follow a call with a known reply may follow it without. `exact`: it is the same
/// state, else one that allows at least as much (looked at two calls ahead).
fn law<S: Spec>(spec: &S, calls: &[S::Call], replies: &[S::Reply], exact: bool) {
    fn allows<S: Spec>(
        spec: &S,
        calls: &[S::Call],
        replies: &[S::Reply],
        weak: &S::State,
        strong: &S::State,
        depth: u32,
    ) {
        if depth == 0 || weak == strong {
            return;
        }
        for call in calls {
            for reply in replies.iter().map(Some).chain([None]) {
                if let Some(then) = spec.step(strong, call, reply) {
                    let other = spec.step(weak, call, reply);
                    let other =
                        other.unwrap_or_else(|| panic!("{call:?} {reply:?} in {strong:?}, not in {weak:?}"));
                    allows(spec, calls, replies, &other, &then, depth - 1);
                }
            }
        }
    }
    let (mut states, mut at, mut held) = (vec![spec.init()], 0, 0);
    while at < states.len() && at < 300 {
        let state = states[at].clone();
        at += 1;
        for call in calls {
            for reply in replies {
                let Some(next) = spec.step(&state, call, Some(reply)) else { continue };
                let forgot = spec.step(&state, call, None).unwrap_or_else(|| panic!("{call:?} in {state:?}"));
                held += 1;
                match exact {
                    true => assert_eq!(forgot, next, "{call:?} {reply:?} in {state:?}"),
                    false => allows(spec, calls, replies, &forgot, &next, 2),
                }
                assert!(!spec.pure(call) || next == state, "{call:?} is not pure");
                assert!(!spec.idle(call, reply) || next == state, "{call:?} {reply:?} is not idle");
                if !states.contains(&next) {
                    states.push(next);
                }
            }
        }
    }
    assert!(held > 3);
}

#[test]
fn forgetting_is_weaker_for_every_object() {
    let few = [v(0), v(1), v(2)];
    let registers: Vec<_> = few
        .iter()
        .flat_map(|a| few.iter().map(|b| RegisterCall::Cas(*a, *b)))
        .chain(few.iter().map(|a| RegisterCall::Write(*a)))
        .chain([RegisterCall::Read])
        .collect();
    let replies: Vec<_> = few
        .iter()
        .map(|a| RegisterReply::Value(*a))
        .chain([RegisterReply::Done, RegisterReply::Mismatch])
        .collect();
    law(&Register::default(), &registers, &replies, true);
    law(
        &Counter,
        &[CounterCall::Add(1), CounterCall::Add(-2), CounterCall::Read],
        &[CounterReply::Done, CounterReply::Sum(0), CounterReply::Sum(1)],
        true,
    );
    let elements = [ElementCall::Add, ElementCall::Remove, ElementCall::Has];
    law(&Element, &elements, &[ElementReply::Done, ElementReply::Was(true), ElementReply::Was(false)], true);
    let sets = [vec![], vec![v(1)], vec![v(1), v(2)]];
    law(
        &WholeSet,
        &[SetCall::Add(v(1)), SetCall::Add(v(2)), SetCall::Remove(v(1)), SetCall::Read],
        &sets.clone().map(SetReply::Members).into_iter().chain([SetReply::Done]).collect::<Vec<_>>(),
        true,
    );
    law(
        &List,
        &[ListCall::Append(v(1)), ListCall::Append(v(2)), ListCall::Read],
        &sets.map(ListReply::Elements).into_iter().chain([ListReply::Done]).collect::<Vec<_>>(),
        true,
    );
    law(
        &Queue,
        &[QueueCall::Enqueue(v(1)), QueueCall::Enqueue(v(2)), QueueCall::Dequeue],
        &[QueueReply::Done, QueueReply::Empty, QueueReply::Took(v(1)), QueueReply::Took(v(2))],
        true,
    );
    let locks = [MutexCall::Acquire(1), MutexCall::Acquire(2), MutexCall::Release(1), MutexCall::Release(2)];
    law(&Mutex, &locks, &[()], true);
    [None, Some(1), Some(2)].into_iter().for_each(|most| law(&ReentrantLock { most }, &locks, &[()], true));
    let tokens = [FencedReply::Done, FencedReply::Token(1), FencedReply::Token(5)];
    law(&FencedLock, &locks, &tokens, false);
    law(&Semaphore { permits: 2 }, &[SemaphoreCall::Acquire, SemaphoreCall::Release], &[()], true);
    law(
        &MaxRegister,
        &[MaxCall::Write(1), MaxCall::Write(2), MaxCall::Read],
        &[MaxReply::Done, MaxReply::Largest(None), MaxReply::Largest(Some(1)), MaxReply::Largest(Some(2))],
        true,
    );
    let (r, w) = (Micro::Read, Micro::Write);
    law(
        &MultiRegister::bare(),
        &[vec![r(1), r(2)], vec![w(1, 1), r(1)], vec![w(1, 2), w(2, 1)], vec![w(2, 0)]],
        &[vec![], vec![0], vec![1], vec![0, 0], vec![1, 0], vec![2, 1]],
        true,
    );
    law(&UniqueIds, &[Generate], &[v(1), v(2), v(3)], false);
    let t = |s: &str| std::sync::Arc::<str>::from(s);
    law(
        &Text,
        &[TextCall::Put(t("p")), TextCall::Append(t("a")), TextCall::Get],
        &[TextReply::Done, TextReply::Is(t("")), TextReply::Is(t("pa"))],
        true,
    );
    let x = Value::Int(1);
    law(
        &VersionedKv,
        &[
            EntryCall::Read,
            EntryCall::Put(x.clone()),
            EntryCall::Put(Value::Null),
            EntryCall::PutIf(0, x.clone()),
            EntryCall::PutIf(2, x.clone()),
        ],
        &[
            EntryReply::Done,
            EntryReply::At(2),
            EntryReply::At(3),
            EntryReply::Found(x.clone(), 2),
            EntryReply::Found(Value::Null, 0),
            EntryReply::Value(x.clone()),
            EntryReply::Refused,
            EntryReply::RefusedFor(x, 3),
        ],
        false,
    );
}
