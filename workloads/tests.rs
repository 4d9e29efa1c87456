//! What holds of every workload: golden calls, folder = list, a run on a correct store from end to end.

use super::*;
use crate::generator::simulate::{MS, Sequential, dry_run, run};
use history::{Builder, Call, Error, Event, History, NodeId, Outcome, Value};
use std::collections::{BTreeMap, BTreeSet};

fn params() -> Params {
    Params { concurrency: 6, nodes: 3, load: 4_000 * MS, warm_up: 500 * MS, ..Params::default() }
}

fn events(workload: &dyn Workload, seed: u64) -> Vec<Event> {
    dry_run(workload, &params(), seed, 3 * MS, usize::MAX)
}

fn history(events: &[Event]) -> History {
    let mut builder = Builder::new();
    events.iter().enumerate().for_each(|(n, e)| builder.push(e, n as u64).unwrap());
    builder.finish()
}

/// `name: call; call; …` of the first calls at seed 1. A change here changes what every recorded seed means.
#[test]
fn the_first_calls_at_seed_1_are_golden() {
    let mut seen = String::new();
    for workload in ALL {
        let calls: Vec<String> = events(*workload, 1)
            .iter()
            .filter_map(|e| match e {
                Event::Invoke { time, process, call, .. } => {
                    Some(format!("{} p{} {call}", time / MS, process.0))
                }
                _ => None,
            })
            .take(12)
            .collect();
        seen += &format!("{}: {}\n", workload.name(), calls.join("; "));
    }
    assert_eq!(seen, include_str!("golden.txt"), "\n{seen}");
}

#[test]
fn the_folder_and_the_list_agree() {
    let mut files: Vec<String> = std::fs::read_dir(env!("CARGO_MANIFEST_DIR"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".rs").map(|n| n.replace('_', "-")))
        .filter(|name| !["lib", "tests", "generator", "interpreter"].contains(&name.as_str()))
        .collect();
    let mut names: Vec<&str> = ALL.iter().map(|w| w.name()).collect();
    files.sort();
    names.sort();
    assert_eq!(files, names);
}

#[test]
fn names_are_found_and_suggested() {
    assert_eq!(find("append").unwrap().name(), "append");
    assert_eq!(
        find("regster").err().unwrap(),
        "There is no workload \"regster\". Did you mean register? There are register, cas-register, set, append, \
         counter."
    );
    assert!(!find("queue-of-locks").err().unwrap().contains("mean"));
}

#[test]
fn every_run_has_its_phases_and_ends_with_reads_from_every_node() {
    for workload in ALL {
        let events = events(*workload, 1);
        let phases: Vec<(u64, String)> = events
            .iter()
            .filter_map(|e| match e {
                Event::Note { time, f, value } if **f == *"phase" => Some((time / MS, value.to_plain())),
                _ => None,
            })
            .collect();
        let names: Vec<&str> = phases.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["warm-up", "load", "heal", "final"]);
        assert!(phases[1].0.abs_diff(500) < 10 && phases[2].0.abs_diff(4500) < 20, "{phases:?}");
        let history = history(&events);
        let mut last: BTreeMap<(String, Option<NodeId>), u32> = BTreeMap::new();
        for op in history.ops().filter(|op| op.is_last()) {
            *last.entry((op.call().key().to_plain(), op.node())).or_default() += 1;
        }
        assert_eq!(last.len(), 3 * history.by_key().len(), "{}: each key from each node", workload.name());
        assert!(last.values().all(|n| *n == 1));
        let rate = history.len() as f64 / 4.5;
        assert!((350.0..600.0).contains(&rate), "{}: {rate} calls a second", workload.name());
    }
}

#[test]
fn a_seed_is_a_run() {
    for workload in ALL {
        assert_eq!(events(*workload, 7), events(*workload, 7));
        assert_ne!(events(*workload, 7), events(*workload, 8));
    }
}

#[test]
fn values_are_unique_within_their_key_and_keys_are_bounded() {
    for workload in ALL.iter().filter(|w| w.object() != Object::Counter) {
        let history = history(&events(*workload, 3));
        assert!(history.by_key().len() > 2, "keys rotate");
        for (key, ops) in history.by_key() {
            let mut new: Vec<Value> = ops
                .iter()
                .filter_map(|id| match history.op(*id).call() {
                    Call::Write(_, v) | Call::Cas(_, _, v) | Call::Add(_, v) | Call::Append(_, v) => Some(v),
                    _ => None,
                })
                .collect();
            let all = new.len();
            new.sort();
            new.dedup();
            assert_eq!(all, new.len(), "{key:?}");
            assert!(ops.len() <= 510, "{} calls", ops.len());
        }
    }
}

#[test]
fn compare_and_sets_succeed_and_fail_in_good_measure() {
    let history = history(&events(find("cas-register").unwrap(), 1));
    let cas: Vec<bool> =
        history.ops().filter(|op| op.f() == "cas").map(|op| op.reply() == history::ReplyId::Done).collect();
    let share = cas.iter().filter(|ok| **ok).count() as f64 / cas.len() as f64;
    assert!((0.3..0.9).contains(&share), "{share}");
}

/// Answers after a random time, in any order, with any outcome, or never; some nodes refuse connections.
fn stormy(workload: &dyn Workload, seed: u64) -> Vec<Event> {
    let params = Params { final_tries: 3, load: 3_000 * MS, ..params() };
    let generator = Box::new(workload.generator(&params, Rng::new(seed, "calls")));
    let nodes = vec![Some(NodeId(0)), Some(NodeId(1)), Some(NodeId(2)), None];
    let options =
        Options { concurrency: params.concurrency, nodes, deadline: 200 * MS, seed, ..Options::default() };
    let mut interpreter = Interpreter::new(generator, options);
    let mut store = Sequential::default();
    let mut rng = Rng::new(seed, "storm");
    let (mut now, mut events) = (0, Vec::new());
    type Flight = (usize, CallId, Call, Option<NodeId>);
    let mut flying: BTreeMap<(Nanos, u64), Flight> = BTreeMap::new();
    loop {
        while let Some(entry) = flying.first_entry().filter(|e| e.key().0 <= now) {
            let (thread, id, call, node) = entry.remove();
            let outcome = match rng.weighted(&[80, 10, 10]) {
                _ if node == Some(NodeId(2)) => interpreter::no_client("refused"),
                0 => store.answer(workload.object(), &call),
                1 => Outcome::Fail(Error::new("refused")),
                _ => Outcome::Info(Error::new("lost")),
            };
            interpreter.complete(now, thread, id, outcome, node, &mut events);
        }
        let next = flying.keys().next().map(|(at, _)| *at);
        match interpreter.next(now, &mut events) {
            Action::Dispatch { thread, call, id, node, deadline, .. } => {
                assert_eq!((id.process.0 as usize % params.concurrency, deadline), (thread, now + 200 * MS));
                // One in twenty-one answers only after its deadline.
                flying.insert((now + rng.below(210) * MS, id.index), (thread, id, call, node));
            }
            Action::Phase(_) => interpreter.resume(now),
            Action::Sleep { until } => now = next.map_or(until, |at| at.min(until)).max(now),
            Action::Wait => now = next.expect("something is in flight"),
            Action::Done => break,
        }
        assert!(interpreter.in_flight() <= params.concurrency);
    }
    events
}

#[test]
fn whatever_answers_come_the_record_is_well_formed_and_the_run_ends() {
    for workload in ALL {
        for seed in 0..5 {
            let events = stormy(*workload, seed);
            let history = history(&events);
            let words: BTreeSet<String> =
                history.ops().filter_map(|op| op.error()).map(|e| e.word().to_string()).collect();
            assert!(
                ["timeout", "lost", "no-client", "refused"].iter().all(|w| words.contains(*w)),
                "{words:?}"
            );
            let last = history.ops().filter(|op| op.is_last()).count();
            assert!(last > 0 && events.len() < 20_000);
            assert!(history.end() < 12_000 * MS, "the dead node costs {} ms", history.end() / MS);
        }
    }
}

fn verdicts(workload: &dyn Workload, history: &History) -> Vec<(checkers::Model, checkers::Verdict)> {
    let checkers = workload.checkers();
    checkers.iter().flat_map(|c| c.check(history, &checkers::Budget::default()).per_model).collect()
}

#[test]
fn a_correct_store_is_valid_by_every_judge_even_in_a_storm() {
    for workload in ALL {
        for (model, verdict) in verdicts(*workload, &named(&events(*workload, 1))) {
            assert!(verdict.is_valid(), "{} {model}: {verdict:?}", workload.name());
        }
        // The third node never answers, so final reads are missing: the only thing to find fault with.
        for (model, verdict) in verdicts(*workload, &named(&stormy(*workload, 1))) {
            let excused = model == checkers::Model::Evidence && verdict.word() == "unknown";
            assert!(verdict.is_valid() || excused, "{} {model}: {verdict:?}", workload.name());
        }
    }
}

/// A record whose nodes have names.
fn named(events: &[Event]) -> History {
    let mut builder = Builder::new();
    for name in ["n1", "n2", "n3"] {
        builder.node(name).unwrap();
    }
    events.iter().enumerate().for_each(|(n, e)| builder.push(e, n as u64).unwrap());
    builder.finish()
}

#[test]
fn lost_updates_are_found_by_every_workload() {
    for workload in ALL {
        let mut store = Sequential::default();
        let params = Params { ops_per_key: 40, load: 1_000 * MS, ..params() };
        let generator = Box::new(workload.generator(&params, Rng::new(1, "calls")));
        let nodes = (0..3).map(|n| Some(NodeId(n))).collect();
        let options = Options { concurrency: 6, nodes, ..Options::default() };
        let answer = |n: u64, call: &Call| match call {
            // Acknowledged and forgotten: about half a dozen, since one alone may be overwritten before it is read.
            Call::Write(..) | Call::Add(..) | Call::Append(..) if (400..420).contains(&n) => {
                Outcome::Ok(history::Reply::Done)
            }
            _ => store.answer(workload.object(), call),
        };
        let events = run(Interpreter::new(generator, options), 3 * MS, usize::MAX, answer);
        let found = verdicts(*workload, &named(&events));
        assert!(found.iter().any(|(_, verdict)| verdict.is_invalid()), "{}: {found:?}", workload.name());
    }
}

#[test]
fn a_store_that_never_answers_is_never_valid() {
    for workload in ALL {
        let generator = Box::new(workload.generator(&params(), Rng::new(1, "calls")));
        let refuse = |_: u64, _: &Call| Outcome::Fail(Error::new("refused"));
        let events = run(Interpreter::new(generator, Options::default()), 3 * MS, usize::MAX, refuse);
        let worst = verdicts(*workload, &named(&events)).into_iter().map(|(_, v)| v.rank()).max();
        assert_eq!(worst, Some(1), "{}: vacuous", workload.name());
    }
}
