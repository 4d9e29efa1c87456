//! Exact counts over every small history: the numbers that three independent algorithms agreed on.

mod common;

use checkers::linearizable::engine::{self, Decide};
use checkers::linearizable::objects::*;
use checkers::linearizable::spec::{Spec, Timed};
use checkers::linearizable::{dfs, frontier, lazy, oracle, preprocess, reference, register, replay};
use common::{cas_types, register_types, v, worlds_ending};
use rayon::prelude::*;

fn dfs_says<S: Spec>(spec: &S, ops: &[Timed<S>]) -> bool {
    says(spec, ops, dfs::search(spec, ops, &dfs::Limits::default()))
}

fn says<S: Spec>(spec: &S, ops: &[Timed<S>], report: dfs::Report) -> bool {
    match report.answer {
        dfs::Answer::Yes(order) => {
            assert_eq!(replay::replay(spec, ops, &order), Ok(()), "{ops:?}");
            true
        }
        dfs::Answer::No => false,
        dfs::Answer::Spent(why) => panic!("{why:?}: {ops:?}"),
    }
}

/// Linearizable and all, by the oracle; every engine has to agree on every one.
fn count<S: Decide>(
    spec: &S,
    n: usize,
    types: &[(S::Call, Option<S::Reply>)],
    also: impl Fn(&[Timed<S>], bool) + Sync,
) -> (u64, u64) {
    let ending = |last| count_ending(spec, n, types, last, &also);
    (0..types.len()).into_par_iter().map(ending).reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}

fn count_ending<S: Decide>(
    spec: &S,
    n: usize,
    types: &[(S::Call, Option<S::Reply>)],
    last: usize,
    also: &impl Fn(&[Timed<S>], bool),
) -> (u64, u64) {
    let (mut good, mut all) = (0, 0);
    worlds_ending(n, types, last, &mut |ops: &[Timed<S>]| {
        let truth = oracle::linearizable(spec, ops).unwrap();
        assert_eq!(dfs_says(spec, ops), truth, "dfs: {ops:?}");
        frontiers(spec, ops, truth);
        let needed: Vec<_> = preprocess::needed(spec, ops).into_iter().map(|i| ops[i].clone()).collect();
        assert_eq!(dfs_says(spec, &needed), truth, "without unneeded infos: {ops:?}");
        let whole = engine::decide_needed(spec, ops, &dfs::Limits::default());
        assert!(!matches!(whole.answer, engine::Answer::Unknown(_)), "{ops:?}");
        assert_eq!(!whole.is_no(), truth, "{}: {ops:?}", whole.by);
        let parts = engine::in_parts(spec, ops, &dfs::Limits::default(), 1);
        assert!(!matches!(parts.answer, engine::Answer::Unknown(_)), "in parts: {ops:?}");
        assert_eq!(!parts.is_no(), truth, "in parts: {ops:?}");
        if n < 4 {
            assert_eq!(
                reference::linearizable(spec, ops, 1 << 20, 1 << 20),
                Some(truth),
                "reference: {ops:?}"
            );
        }
        also(ops, truth);
        good += truth as u64;
        all += 1;
    });
    (good, all)
}

fn frontiers<S: Spec>(spec: &S, ops: &[Timed<S>], truth: bool) {
    let limits = dfs::Limits::default();
    assert_eq!(says(spec, ops, frontier::cegar(spec, ops, &limits)), truth, "cegar: {ops:?}");
    match frontier::relaxed(spec, ops, &limits, None).1.answer {
        dfs::Answer::No => assert!(!truth, "relaxed says no: {ops:?}"),
        dfs::Answer::Yes(order) => assert!(truth && replay::replay(spec, ops, &order).is_ok(), "{ops:?}"),
        dfs::Answer::Spent(_) => assert!(ops.iter().any(|o| !o.is_ok()), "relaxed gave up: {ops:?}"),
    }
    match frontier::beam(spec, ops, 2, 1, &limits).answer {
        dfs::Answer::No => panic!("a beam proves nothing: {ops:?}"),
        dfs::Answer::Yes(order) => assert!(truth && replay::replay(spec, ops, &order).is_ok(), "{ops:?}"),
        dfs::Answer::Spent(_) => {}
    }
}

fn count_register(n: usize, types: &[common::RegisterType]) -> (u64, u64) {
    let spec = Register::default();
    count(&spec, n, types, |ops, truth| {
        let needed: Vec<_> = preprocess::needed(&spec, ops).into_iter().map(|i| ops[i].clone()).collect();
        if let Some(report) = lazy::search(&spec, ops, &dfs::Limits::default()) {
            assert_eq!(says(&spec, ops, report), truth, "lazy: {ops:?}");
        }
        match register::decide(&spec, &needed) {
            Some(Ok(order)) => {
                assert!(truth, "decider says yes: {ops:?}");
                assert_eq!(replay::replay(&spec, &needed, &order), Ok(()), "{ops:?}");
            }
            Some(Err(core)) => {
                assert!(!truth, "decider says no: {ops:?}");
                let core: Vec<_> = core.iter().map(|i| needed[*i].clone()).collect();
                assert_eq!(oracle::linearizable(&spec, &core), Some(false), "core {core:?} of {ops:?}");
            }
            None => {}
        }
    })
}

#[test]
fn register() {
    let types = register_types();
    let counts: Vec<_> = (1..=3).map(|n| count_register(n, &types)).collect();
    assert_eq!(counts, [(5, 7), (93, 147), (3_055, 5_145)]);
}

#[test]
fn register_of_four_ops() {
    assert_eq!(count_register(4, &register_types()), (145_007, 252_105));
}

#[test]
#[ignore = "slow: sixteen million histories"]
fn register_of_five_ops() {
    assert_eq!(count_register(5, &register_types()), (8_950_003, 15_882_615));
}

#[test]
fn cas_register() {
    let types = cas_types();
    let counts: Vec<_> = (1..=3).map(|n| count_register(n, &types)).collect();
    assert_eq!(counts, [(8, 12), (262, 432), (14_762, 25_920)]);
}

#[test]
#[ignore = "slow: two million histories"]
fn cas_register_of_four_ops() {
    assert_eq!(count_register(4, &cas_types()), (1_162_982, 2_177_280));
}

fn queue_types() -> Vec<(QueueCall, Option<QueueReply>)> {
    use QueueCall::*;
    use QueueReply::*;
    vec![
        (Enqueue(v(1)), Some(Done)),
        (Enqueue(v(2)), Some(Done)),
        (Enqueue(v(1)), None),
        (Dequeue, Some(Took(v(1)))),
        (Dequeue, Some(Took(v(2)))),
        (Dequeue, Some(Empty)),
        (Dequeue, None),
    ]
}

#[test]
fn queue() {
    let types = queue_types();
    let counts: Vec<_> = (1..=3).map(|n| count(&Queue, n, &types, |_, _| {})).collect();
    assert_eq!(counts, [(5, 7), (88, 147), (2_702, 5_145)]);
}

#[test]
fn queue_of_four_ops() {
    assert_eq!(count(&Queue, 4, &queue_types(), |_, _| {}), (121_109, 252_105));
}

fn counter_types() -> Vec<(CounterCall, Option<CounterReply>)> {
    use CounterCall::*;
    use CounterReply::*;
    vec![
        (Add(1), Some(Done)),
        (Add(1), None),
        (Add(-1), Some(Done)),
        (Read, Some(Sum(0))),
        (Read, Some(Sum(1))),
        (Read, Some(Sum(2))),
    ]
}

#[test]
fn counter() {
    let types = counter_types();
    let counts: Vec<_> = (1..=3).map(|n| count(&Counter, n, &types, |_, _| {})).collect();
    assert_eq!(counts, [(4, 6), (56, 108), (1_494, 3_240)]);
}

#[test]
fn counter_of_four_ops() {
    assert_eq!(count(&Counter, 4, &counter_types(), |_, _| {}), (59_975, 136_080));
}

#[test]
fn lists_and_whole_sets() {
    collections(3);
}

#[test]
#[ignore = "slow: a million histories"]
fn lists_and_whole_sets_of_four_ops() {
    collections(4);
}

/// Lists and whole sets are decided without search: no published counts, so the oracle alone is the judge.
fn collections(most: usize) {
    let types = [
        (ListCall::Append(v(1)), Some(ListReply::Done)),
        (ListCall::Append(v(2)), Some(ListReply::Done)),
        (ListCall::Append(v(1)), None),
        (ListCall::Append(v(2)), None),
        (ListCall::Read, Some(ListReply::Elements(vec![]))),
        (ListCall::Read, Some(ListReply::Elements(vec![v(1)]))),
        (ListCall::Read, Some(ListReply::Elements(vec![v(2)]))),
        (ListCall::Read, Some(ListReply::Elements(vec![v(1), v(2)]))),
        (ListCall::Read, Some(ListReply::Elements(vec![v(2), v(1)]))),
    ];
    (1..=most).for_each(|n| assert!(count(&List, n, &types, |_, _| {}).0 > 1));
    let types = [
        (SetCall::Add(v(1)), Some(SetReply::Done)),
        (SetCall::Add(v(2)), Some(SetReply::Done)),
        (SetCall::Add(v(1)), None),
        (SetCall::Remove(v(1)), Some(SetReply::Done)),
        (SetCall::Read, Some(SetReply::Members(vec![]))),
        (SetCall::Read, Some(SetReply::Members(vec![v(1)]))),
        (SetCall::Read, Some(SetReply::Members(vec![v(1), v(2)]))),
    ];
    (1..=most).for_each(|n| assert!(count(&WholeSet, n, &types, |_, _| {}).0 > 1));
    let types = [
        (SetCall::Add(v(1)), Some(SetReply::Was(false))),
        (SetCall::Add(v(1)), Some(SetReply::Was(true))),
        (SetCall::Add(v(2)), None),
        (SetCall::Remove(v(1)), Some(SetReply::Was(true))),
        (SetCall::Has(v(2)), Some(SetReply::Was(true))),
        (SetCall::Has(v(1)), Some(SetReply::Was(false))),
        (SetCall::Read, Some(SetReply::Members(vec![v(1)]))),
    ];
    (1..=most).for_each(|n| assert!(count(&WholeSet, n, &types, |_, _| {}).0 > 1));
}

#[test]
fn locks() {
    use MutexCall::*;
    let types: Vec<_> = [Acquire(1), Acquire(2), Release(1), Release(2)]
        .into_iter()
        .flat_map(|call| [(call, Some(())), (call, None)])
        .collect();
    (1..=3).for_each(|n| assert!(count(&Mutex, n, &types, |_, _| {}).0 > 1));
}

#[test]
fn set_element() {
    use ElementCall::*;
    use ElementReply::*;
    let types = [
        (Add, Some(Was(false))),
        (Add, Some(Was(true))),
        (Add, None),
        (Remove, Some(Was(true))),
        (Remove, Some(Was(false))),
        (Remove, None),
        (Has, Some(Was(true))),
        (Has, Some(Was(false))),
    ];
    let counts: Vec<_> = (1..=3).map(|n| count(&Element, n, &types, |_, _| {})).collect();
    assert_eq!(counts, [(5, 8), (100, 192), (3_773, 7_680)]);
}
