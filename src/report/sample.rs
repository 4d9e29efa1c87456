//! A run made up for tests: clients of a register, faults, and a stale read with its counterexample.

use checkers::{
    Anomaly, Counterexample, Edge, Findings, Model, Partial, Reason, Stuck, Verdict, Why, Witness,
};
use history::rng::Rng;
use history::{
    Call, Cut, Effect, Error, Event, Fault, History, NodeId, OpId, Outcome, Process, Reply, Resolved, Strike,
    Value, Who,
};
use serde_json::json;
use std::collections::BTreeMap;

const SECOND: u64 = 1_000_000_000;

/// Names and values of a sample; hostile ones try to leave their place in the page.
#[derive(Clone)]
pub struct Names {
    pub nodes: Vec<String>,
    pub key: String,
    pub error: String,
    pub text: String,
}

impl Default for Names {
    fn default() -> Names {
        Names {
            nodes: (1..=5).map(|n| format!("n{n}")).collect(),
            key: "k".into(),
            error: "timeout: no answer in 1 s".into(),
            text: String::new(),
        }
    }
}

/// A history of about `count` ops over 20 s by 10 clients, linearizable but for one stale read on key 8.
pub fn history(count: usize, names: &Names) -> History {
    let mut rng = Rng::new(7, "sample");
    let nodes = names.nodes.len().max(1) as u64;
    let mut timed: Vec<(u64, u64, Event)> = Vec::new();
    let mut state: BTreeMap<u64, i64> = BTreeMap::new();
    let mut order = 0;
    let key = |k: u64| Value::text(&format!("{}{k}", names.key));
    let mut clients: Vec<(u64, u32)> = (0..10).map(|c| (5_000_000 + c * 3_000_000, c as u32)).collect();
    let pace = 180 * SECOND / count.max(1) as u64;
    for _ in 0..count {
        let c = (0..10).min_by_key(|c| clients[*c].0).unwrap_or(0);
        let (at, process) = clients[c];
        let node = NodeId((c as u64 % nodes) as u8);
        let (k, write) = (rng.below(8), rng.chance(0.5));
        let mut took = (rng.exponential(pace as f64 / 6.0) as u64 + pace / 12).max(2_000);
        let cut = (4 * SECOND..7 * SECOND).contains(&at) && node.0 < 2;
        let down = (9 * SECOND..10 * SECOND).contains(&at) && node.0 == 3;
        let outcome = match (cut && write, down) {
            (true, _) => Outcome::Info(Error::new(&names.error)),
            (_, true) => Outcome::Fail(Error::new("connection refused")),
            _ if write => Outcome::Ok(Reply::Done),
            _ => Outcome::Ok(Reply::Read(state.get(&k).map_or(Value::Null, |v| Value::Int(*v)))),
        };
        let call = match write {
            true => {
                let next = state.get(&k).copied().unwrap_or(0) + 1;
                if matches!(outcome, Outcome::Ok(_)) {
                    state.insert(k, next);
                }
                Call::Write(
                    key(k),
                    if names.text.is_empty() {
                        Value::Int(next)
                    } else {
                        Value::text(&format!("{}{next}", names.text))
                    },
                )
            }
            false => Call::Read(key(k)),
        };
        if cut && write {
            took = SECOND;
            clients[c].1 += 10;
        }
        order += 1;
        timed.push((
            at,
            order,
            Event::Invoke {
                time: at,
                process: Process(process),
                node: Some(node),
                call: call.clone(),
                last: at > 19 * SECOND,
            },
        ));
        timed.push((
            at + took,
            order,
            Event::Complete { time: at + took, process: Process(process), call, outcome, server: Some(node) },
        ));
        clients[c].0 = at + took + rng.exponential(pace as f64 / 2.0) as u64 + 1000;
    }
    script(&mut timed, &key(8), nodes);
    faults(&mut timed, nodes);
    timed.sort_by_key(|(t, o, e)| (*t, *o, !matches!(e, Event::Invoke { .. })));
    let mut builder = builder(names);
    for (i, (_, _, event)) in timed.iter().enumerate() {
        builder.push(event, i as u64 + 1).expect("the sample is well formed");
    }
    builder.finish()
}

fn builder(names: &Names) -> history::Builder {
    let mut builder = history::Builder::new();
    for name in &names.nodes {
        builder.node(name).expect("few nodes");
    }
    builder.history_mut().header = json!({"schism": 1, "tool": "0.1.0", "run": "sample-7", "seed": 7, "target": "store:raft",
        "bug": "leader-local-read", "workload": "register", "nemesis": ["partition", "kill", "pause"], "concurrency": 10, "rate": 300});
    builder
}

/// The five ops of the story, by processes of their own.
fn script(timed: &mut Vec<(u64, u64, Event)>, key: &Value, nodes: u64) {
    let ops: [(u64, u64, u32, u64, Call, Outcome); 6] = [
        (3_700, 3_704, 105, 3, Call::Write(key.clone(), Value::Int(25)), Outcome::Ok(Reply::Done)),
        (
            4_008,
            5_008,
            102,
            2,
            Call::Write(key.clone(), Value::Int(26)),
            Outcome::Info(Error::new("timeout")),
        ),
        (5_084, 5_409, 112, 2, Call::Write(key.clone(), Value::Int(29)), Outcome::Ok(Reply::Done)),
        (5_102, 5_108, 103, 3, Call::Read(key.clone()), Outcome::Ok(Reply::Read(Value::Int(26)))),
        (5_640, 5_646, 104, 4, Call::Read(key.clone()), Outcome::Ok(Reply::Read(Value::Int(29)))),
        (5_912, 5_913, 100, 0, Call::Read(key.clone()), Outcome::Ok(Reply::Read(Value::Int(26)))),
    ];
    for (from, to, process, node, call, outcome) in ops {
        let (from, to, node) = (from * 1_000_000, to * 1_000_000, Some(NodeId((node % nodes) as u8)));
        timed.push((
            from,
            0,
            Event::Invoke { time: from, process: Process(process), node, call: call.clone(), last: false },
        ));
        timed.push((
            to,
            0,
            Event::Complete { time: to, process: Process(process), call, outcome, server: node },
        ));
    }
}

fn faults(timed: &mut Vec<(u64, u64, Event)>, nodes: u64) {
    let n = |i: u64| NodeId((i % nodes) as u8);
    let (left, right) = (vec![n(0), n(1)], vec![n(2), n(3), n(4)]);
    let cut: Vec<_> =
        left.iter().flat_map(|a| right.iter().flat_map(move |b| [(*a, *b), (*b, *a)])).collect();
    let list = [
        (
            4_000,
            3_000,
            Fault::Partition(Cut::Split(Who::LeaderMinority)),
            Resolved { cut, leader: Some(n(0)), ..Resolved::default() },
            true,
            "12 of 12 edges cut, by UDP echo in 3.1 ms",
        ),
        (
            9_000,
            1_000,
            Fault::Kill(Who::Leader),
            Resolved { killed: vec![n(3)], leader: Some(n(3)), ..Resolved::default() },
            true,
            "pid 4121 gone in 2.0 ms",
        ),
        (
            11_400,
            1_500,
            Fault::Pause(Who::One),
            Resolved { paused: vec![n(1)], ..Resolved::default() },
            false,
            "still answers after 250 ms",
        ),
        (
            14_000,
            1_200,
            Fault::Pause(Who::One),
            Resolved { paused: vec![n(2)], ..Resolved::default() },
            true,
            "no answer for 250 ms; state T",
        ),
    ];
    let mut put = |time: u64, event: Event| timed.push((time, 1 << 40, event));
    for (i, (at, lasts, fault, resolved, took, measured)) in list.into_iter().enumerate() {
        let (at, lasts, id) = (at * 1_000_000, lasts * 1_000_000, i as u32 + 1);
        let strike = Strike { at, lasts, fault, pick: 1, nemesis: "combined".into() };
        let ms = 1_000_000;
        put(at, Event::StrikeBegin { time: at, id, strike });
        put(
            at + 12 * ms,
            Event::StrikeConfirmed {
                time: at + 12 * ms,
                id,
                resolved,
                effect: Effect { took, measured: measured.into() },
            },
        );
        put(at + lasts, Event::HealBegin { time: at + lasts, id });
        put(
            at + lasts + 9 * ms,
            Event::HealConfirmed {
                time: at + lasts + 9 * ms,
                id,
                effect: Effect { took: true, measured: "all reachable".into() },
            },
        );
    }
    for (time, node, role, term) in [
        (1, 0, "leader", 2),
        (1, 1, "follower", 2),
        (1, 2, "follower", 2),
        (1, 3, "follower", 2),
        (1, 4, "follower", 2),
        (4_700, 3, "candidate", 3),
        (4_930, 3, "leader", 3),
        (7_100, 0, "follower", 3),
        (9_000, 3, "down", 3),
        (9_300, 2, "leader", 4),
        (10_100, 3, "follower", 4),
    ] {
        put(time * 1_000_000, Event::Role { time: time * 1_000_000, node: n(node), role: role.into(), term });
    }
}

/// The ops of the story, in order of invocation; the first is the write of 25 before it.
pub fn story(h: &History) -> Vec<OpId> {
    h.ops()
        .filter(|o| o.process().0 >= 100 && h.value(o.key()).to_plain().ends_with('8'))
        .map(|o| o.id)
        .collect()
}

pub fn invalid(h: &History) -> Verdict {
    let s = story(h);
    let [_, w26, w29, r26, r29, stale] = s[..] else { return Verdict::unknown(Why::Vacuous, "no story") };
    let partial = |order: &[OpId], states: &[&str], stuck: OpId, says: &str| Partial {
        order: order.to_vec(),
        states: states.iter().map(|s| s.to_string()).collect(),
        stuck: vec![Stuck { op: stuck, says: says.into() }],
    };
    let edge =
        |from: OpId, to: OpId, real_time: bool, says: &str| Edge { from, to, real_time, says: says.into() };
    Verdict::Invalid(Box::new(Counterexample {
        key: Some(h.value(h.op(w26).key())),
        pattern: "stale read".into(),
        core: vec![w26, w29, r26, r29, stale],
        demoted: vec![],
        first_bad: Some(stale),
        reached: vec![
            partial(&[w26, r26, w29, r29], &["26", "26", "29", "29"], stale, "needs 26, state is 29"),
            partial(&[w29, r29], &["29", "29"], r26, "needs 26, state is 29"),
            partial(&[w26, w29, r29], &["26", "29", "29"], r26, "needs 26, state is 29"),
        ],
        edges: vec![
            edge(w29, r29, true, "answered 231 ms before it was asked"),
            edge(r29, stale, true, "answered 266 ms before it was asked"),
            edge(r26, r29, true, "answered 532 ms before it was asked"),
            edge(w26, r26, false, "it returned 26, which only this write wrote"),
        ],
        words: vec![
            format!(
                "Op {} read 26, although 29 had been acknowledged at 5.409 s (op {}) and read at 5.646 s (op {}).",
                stale.0, w29.0, r29.0
            ),
            format!("Op {} wrote 29 and was acknowledged at 5.409 s.", w29.0),
            format!("#{} read 29 before #{} was asked, so 29 was there.", r29.0, stale.0),
        ],
        groups: vec!["All 83 earlier writes of this key completed before.".into()],
        by: "linearizable/search".into(),
    }))
}

pub fn valid(h: &History) -> Verdict {
    let first = h.by_key().into_iter().next();
    let (key, ops) = first.unwrap_or((history::ValueId::NULL, Vec::new()));
    let order: Vec<OpId> = ops.into_iter().filter(|o| h.op(*o).is_ok()).collect();
    Verdict::Valid(Witness {
        parts: vec![(h.value(key), order)],
        by: "linearizable/search".into(),
        steps: 41_902,
        says: String::new(),
    })
}

pub fn unknown(why: Why) -> Verdict {
    Verdict::Unknown(Reason {
        settled: 212,
        of: 225,
        key: Some(Value::text("k19")),
        ..Reason::new(why, "The search on k19 stopped with 212 of 225 ops placed.")
    })
}

/// Findings of a few checkers around the given verdict.
pub fn findings(h: &History, verdict: &Verdict) -> Vec<Findings> {
    let mut main = Findings::new("linearizable")
        .with(Model::Linearizable, verdict.clone())
        .with(Model::Sequential, Verdict::valid("search", "an order exists if real time is ignored"));
    main.measure("steps", 41_902);
    if let (Verdict::Invalid(c), Some(last)) = (verdict, story(h).last()) {
        main.anomalies.push(Anomaly {
            kind: "stale read".into(),
            key: c.key.clone(),
            ops: vec![*last],
            says: "read a value that had been overwritten".into(),
        });
    }
    let mut evidence = Findings::new("evidence");
    evidence.measure(
        "gates",
        json!([
            {"gate": "ok reads, thinnest key", "needs": 20, "measured": 100, "met": true},
            {"gate": "strikes with effect, each kind", "needs": 1, "measured": 0, "met": false},
            {"gate": "final ok reads, each node", "needs": 1, "measured": 26, "met": true},
        ]),
    );
    evidence.measure("in_flight", json!({"most": 10}));
    vec![main, evidence]
}

pub fn meta() -> crate::report::Meta {
    let pair = |a: &str, b: &str| (a.to_string(), b.to_string());
    crate::report::Meta {
        run: "2026-11-20T21-04-07-store-raft-register-7".into(),
        title: "store:raft, register, seed 7".into(),
        command: "schism test --target store:raft --bug leader-local-read --workload register --nemesis partition,pause,kill --provider namespaces --nodes 5 --time-limit 20 --rate 300 --concurrency 10 --seed 7".into(),
        host: vec![pair("Provider", "namespaces, one machine"), pair("Kernel", "6.1")],
        not_injected: vec![pair("packet loss, delay, reordering", "no mechanism"), pair("clock skew", "not asked for"), pair("disk faults", "not asked for")],
        logs: vec![pair("n1", "term 2: leader\nterm 3: stepped down\n"), pair("n4", "term 3: elected")],
        siblings: vec![pair("the correct mode", "../correct/report.html")],
        promise: "linearizable under partition, kill and pause, for every workload on registers".into(),
        started: "2026-11-20 21:04:07 UTC".into(),
        file: String::new(),
    }
}
