//! The models around linearizability, each against its definition written down slowly.

mod common;

use checkers::atomicity::{self, Pair, Staleness, Stamped};
use checkers::linearizable::bind::Bind;
use checkers::linearizable::dfs::Limits;
use checkers::linearizable::engine::{Answer, decide_needed};
use checkers::linearizable::initial::{self, FromAny, Init};
use checkers::linearizable::objects::{Register, RegisterCall as Call, RegisterReply as Reply};
use checkers::linearizable::spec::{OPEN, Spec, Timed};
use checkers::linearizable::{Object, oracle, replay};
use checkers::models::{Models, frontier, settle};
use checkers::sequential::{self, Decided, Own, Registers};
use checkers::{Budget, Checker, Model, Verdict, Why};
use common::{Mix, cas_types, register_run, register_types, v, worlds};
use history::rng::Rng;
use history::{ValueId, text};

type Ops = Vec<Timed<Register>>;

const SPEC: Register = Register { init: ValueId::NULL };

fn small(rng: &mut Rng, cas: bool) -> Ops {
    let mix = Mix {
        ops: rng.range(3, 9) as usize,
        clients: rng.range(2, 5) as usize,
        values: rng.below(4) as u32,
        cas: cas && rng.chance(0.5),
        info: [0, 0, 20, 60][rng.below(4) as usize],
        lies: rng.below(3) as usize,
    };
    let mut ops = register_run(rng, mix);
    let made: Vec<ValueId> = ops.iter().filter_map(|o| SPEC.makes(o)).chain([v(0)]).collect();
    for _ in 0..rng.below(6) {
        let i = rng.below(ops.len() as u64) as usize;
        if let (Call::Read, Some(_)) = (ops[i].call, ops[i].reply) {
            ops[i].reply = rng.pick(&made).map(|v| Reply::Value(*v));
        }
    }
    ops
}

/// Every order of the ops that `before` allows, info ops in or out: does `fits` like one of them?
fn some_order(ops: &Ops, before: &dyn Fn(usize, usize) -> bool, fits: &dyn Fn(&[usize]) -> bool) -> bool {
    fn go(
        ops: &Ops,
        before: &dyn Fn(usize, usize) -> bool,
        fits: &dyn Fn(&[usize]) -> bool,
        order: &mut Vec<usize>,
    ) -> bool {
        if !fits(order) {
            return false;
        }
        let out: Vec<usize> = (0..ops.len()).filter(|i| !order.contains(i)).collect();
        if out.iter().all(|i| !ops[*i].is_ok()) {
            return true;
        }
        out.iter().any(|i| {
            // What is left out for good may stand before nothing that is in: only ok ops bind.
            if out.iter().any(|j| ops[*j].is_ok() && before(*j, *i)) {
                return false;
            }
            order.push(*i);
            let found = go(ops, before, fits, order);
            order.pop();
            found
        })
    }
    go(ops, before, fits, &mut Vec::new())
}

/// The definition of k-atomicity: each read returns one of the last k values written before it.
fn k_atomic(ops: &Ops, k: usize) -> bool {
    let fits = |order: &[usize]| {
        let mut written = vec![v(0)];
        order.iter().all(|i| {
            let now = written[written.len() - 1];
            match (ops[*i].call, ops[*i].reply) {
                (Call::Read, Some(Reply::Value(x))) => written.iter().rev().take(k).any(|w| *w == x),
                (Call::Read, _) => true,
                (Call::Write(x), _) => {
                    written.push(x);
                    true
                }
                (Call::Cas(a, b), reply) => {
                    if a == now {
                        written.push(b);
                    }
                    reply.is_none_or(|r| (r == Reply::Done) == (a == now))
                }
            }
        })
    };
    some_order(ops, &|a, b| ops[a].res < ops[b].inv, &fits)
}

fn two(ops: &Ops) -> bool {
    let loose = atomicity::loosened(ops);
    let spec = Pair { init: v(0) };
    match decide_needed(&spec, &loose, &Limits::default()).answer {
        Answer::Yes(order) => {
            assert_eq!(replay::replay(&spec, &loose, &order), Ok(()), "{ops:?}");
            true
        }
        Answer::No(_) => false,
        Answer::Unknown(why) => panic!("{why:?}: {ops:?}"),
    }
}

#[test]
fn two_atomic_in_small_worlds() {
    for (n, types) in [(1, cas_types()), (2, cas_types()), (3, cas_types()), (3, register_types())] {
        let (mut good, mut all) = (0, 0);
        worlds(n, &types, |ops: &[Timed<Register>]| {
            let ops = ops.to_vec();
            let truth = k_atomic(&ops, 2);
            assert_eq!(two(&ops), truth, "{ops:?}");
            if n < 3 {
                assert_eq!(k_atomic(&ops, 1), oracle::linearizable(&SPEC, &ops).unwrap(), "{ops:?}");
            }
            good += truth as u32;
            all += 1;
        });
        assert!(good > all / 10 && good < all, "{good} of {all}");
    }
}

#[test]
fn two_atomic_at_random() {
    let mut rng = Rng::new(11, "two");
    let (mut good, mut linearizable, rounds) = (0, 0, 20_000);
    for _ in 0..rounds {
        let ops = small(&mut rng, true);
        let truth = k_atomic(&ops, 2);
        assert_eq!(two(&ops), truth, "{ops:?}");
        let strict = oracle::linearizable(&SPEC, &ops).unwrap();
        assert!(truth || !strict, "linearizable, so 2-atomic: {ops:?}");
        good += truth as u32;
        linearizable += strict as u32;
    }
    assert!(good > rounds / 4 && good < rounds / 20 * 19, "{good} 2-atomic");
    assert!(good - linearizable > rounds / 20, "{good} against {linearizable} linearizable");
}

/// Ops with times: some steps of the clock are nothing.
fn stamped(ops: &Ops, rng: &mut Rng) -> Vec<Stamped> {
    let last = ops.iter().flat_map(|o| [o.inv, if o.is_ok() { o.res } else { 0 }]).max().unwrap_or(0);
    let mut times = vec![0u64; last as usize + 1];
    for i in 1..times.len() {
        times[i] = times[i - 1] + rng.below(4) * rng.below(100);
    }
    let at = |p: u32| times[p as usize];
    ops.iter()
        .map(|op| Stamped {
            op: op.clone(),
            invoked: at(op.inv),
            completed: if op.is_ok() { at(op.res) } else { 0 },
        })
        .collect()
}

/// The definition: the smallest of all differences of times after which an order exists.
fn smallest(ops: &[Stamped]) -> Option<u64> {
    let plain: Ops = ops.iter().map(|o| o.op.clone()).collect();
    let read = |i: usize| plain[i].call == Call::Read && plain[i].is_ok();
    let mut candidates = vec![0];
    for r in (0..ops.len()).filter(|i| read(*i)) {
        let done = ops.iter().filter(|o| o.op.is_ok() && o.op.res < ops[r].op.inv);
        candidates.extend(done.map(|o| (ops[r].invoked - o.completed).max(1)));
    }
    candidates.sort_unstable();
    candidates.dedup();
    let holds = |delta: u64| {
        let before = |a: usize, b: usize| {
            let real = plain[a].res < plain[b].inv;
            match delta > 0 && read(b) {
                true => real && ops[a].completed < ops[b].invoked.saturating_sub(delta),
                false => real,
            }
        };
        let fits = |order: &[usize]| {
            let mut state = v(0);
            order.iter().all(|i| {
                match SPEC.step(&state, &plain[*i].call, plain[*i].reply.as_ref()) {
                    Some(next) => state = next,
                    None => return false,
                }
                true
            })
        };
        some_order(&plain, &before, &fits)
    };
    candidates.into_iter().find(|d| holds(*d))
}

#[test]
fn delta_is_the_smallest_that_serves() {
    let mut rng = Rng::new(12, "delta");
    let (mut none, mut zero, mut some, rounds) = (0, 0, 0, 20_000);
    for _ in 0..rounds {
        let ops = small(&mut rng, true);
        let ops = stamped(&ops, &mut rng);
        let truth = smallest(&ops);
        match atomicity::staleness(&SPEC, &ops, &Limits::default()) {
            Staleness::Exactly(delta, core) => {
                assert_eq!(Some(delta), truth);
                match delta {
                    0 => zero += 1,
                    _ => some += 1,
                }
                if !core.is_empty() {
                    let less = atomicity::shifted(&ops, delta - 1);
                    let core: Ops = core.iter().map(|i| less[*i].clone()).collect();
                    assert_eq!(oracle::linearizable(&SPEC, &core), Some(false), "{core:?}");
                }
            }
            Staleness::Never(_) => {
                assert_eq!(truth, None);
                none += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(none > rounds / 40 && zero > rounds / 4 && some > rounds / 20, "{none} {zero} {some}");
}

#[test]
fn delta_in_small_worlds() {
    let mut found = std::collections::BTreeMap::new();
    worlds(3, &register_types(), |ops: &[Timed<Register>]| {
        for slow in [1, 2] {
            let at = |p: u32| p as u64 / slow;
            let stamp = |op: &Timed<Register>| Stamped {
                op: op.clone(),
                invoked: at(op.inv),
                completed: if op.is_ok() { at(op.res) } else { 0 },
            };
            let ops: Vec<Stamped> = ops.iter().map(stamp).collect();
            let delta = match atomicity::staleness(&SPEC, &ops, &Limits::default()) {
                Staleness::Exactly(delta, _) => Some(delta),
                Staleness::Never(_) => None,
                other => panic!("{other:?}"),
            };
            assert_eq!(delta, smallest(&ops), "{:?}", ops.iter().map(|o| &o.op).collect::<Vec<_>>());
            *found.entry(delta).or_insert(0) += 1;
        }
    });
    assert!(found.len() > 4 && found.values().all(|n| *n > 3), "{found:?}");
}

type Seq = Vec<Own<Register>>;

/// The definition of sequential consistency, op by op; registers by hand.
fn sequential_truth(ops: &Seq) -> bool {
    let plain: Ops = ops.iter().map(|o| o.op.clone()).collect();
    let before = |a: usize, b: usize| a < b && ops[a].process == ops[b].process;
    let fits = |order: &[usize]| {
        let mut held = [v(0); 4];
        order.iter().all(|i| {
            let register = &mut held[ops[*i].part as usize];
            match (ops[*i].op.call, ops[*i].op.reply) {
                (Call::Read, Some(Reply::Value(x))) => *register == x,
                (Call::Read, _) => true,
                (Call::Write(x), _) => {
                    *register = x;
                    true
                }
                (Call::Cas(a, b), reply) => {
                    let hit = *register == a;
                    if hit {
                        *register = b;
                    }
                    reply.is_none_or(|r| (r == Reply::Done) == hit)
                }
            }
        }) && order.iter().enumerate().all(|(at, i)| {
            // An op that was left out is left out for good once its client went on.
            order[..at].iter().all(|j| ops[*j].process != ops[*i].process || j < i)
        })
    };
    some_order(&plain, &before, &fits)
}

fn rules() -> Registers<Register> {
    Registers { first: v(0), blind: |call| matches!(call, Call::Write(_)) }
}

fn sequential_says(ops: &Seq, registers: bool) -> bool {
    match sequential::decide(&SPEC, ops, registers.then(rules), &Limits::default()).0 {
        Decided::Yes(order) => {
            assert!(sequential::replay(&SPEC, ops, &order));
            true
        }
        Decided::No(broken) => {
            // The core alone contradicts itself.
            let weak = |i: &usize| match broken.demoted.contains(i) {
                true => Own { op: ops[*i].op.forgotten(), ..ops[*i].clone() },
                false => ops[*i].clone(),
            };
            let core: Seq = broken.core.iter().map(weak).collect();
            assert!(!core.is_empty() && !sequential_truth(&core), "{}", shown(ops));
            false
        }
        Decided::Unknown(why) => panic!("{why:?}: {}", shown(ops)),
    }
}

fn shown(ops: &Seq) -> String {
    ops.iter().map(|o| format!("p{} k{} {:?}; ", o.process, o.part, o.op)).collect()
}

fn own(i: usize, process: u32, part: u32, call: Call, reply: Option<Reply>) -> Own<Register> {
    let res = if reply.is_some() { 2 * i as u32 + 1 } else { OPEN };
    Own { op: Timed { call, reply, inv: 2 * i as u32, res }, part, process }
}

#[test]
fn sequential_in_small_worlds() {
    use Call::*;
    let kinds = [
        (Write(v(1)), Reply::Done),
        (Write(v(2)), Reply::Done),
        (Read, Reply::Value(v(0))),
        (Read, Reply::Value(v(1))),
        (Read, Reply::Value(v(2))),
    ];
    let one = kinds.len() * 4;
    for n in 1..=3u32 {
        let (mut good, mut all) = (0, 0);
        for code in 0..one.pow(n) {
            let pick = |i: usize| {
                let c = code / one.pow(i as u32) % one;
                let (call, reply) = kinds[c / 4];
                own(i, (c % 2) as u32, (c / 2 % 2) as u32, call, Some(reply))
            };
            let ops: Seq = (0..n as usize).map(pick).collect();
            let truth = sequential_truth(&ops);
            assert_eq!(sequential_says(&ops, true), truth, "{}", shown(&ops));
            assert_eq!(sequential_says(&ops, false), truth, "without the register's rules: {}", shown(&ops));
            good += truth as u32;
            all += 1;
        }
        assert!(good > all / 20 && good < all, "{good} of {all}");
    }
}

/// Clients with copies of their own that catch up at random: often sequential, often not quite.
fn lagging(rng: &mut Rng) -> Seq {
    let (clients, keys) = (rng.range(2, 4) as usize, rng.range(1, 3) as usize);
    let unique = rng.chance(0.6);
    let cas = rng.chance(0.4);
    let mut log: Vec<(usize, ValueId)> = Vec::new();
    let mut seen = vec![0; clients];
    let mut name: Vec<u32> = (0..clients as u32).collect();
    let (mut fresh, mut next) = (0, clients as u32);
    let mut ops: Seq = Vec::new();
    for i in 0..rng.range(3, 10) as usize {
        let c = rng.below(clients as u64) as usize;
        let key = rng.below(keys as u64) as usize;
        seen[c] = rng.range(seen[c] as u64, log.len() as u64 + 1) as usize;
        let info = rng.below(6) == 0;
        let held = |upto: usize| log[..upto].iter().rev().find(|l| l.0 == key).map_or(v(0), |l| l.1);
        let mut value = || {
            fresh += 1;
            if unique { v(fresh) } else { v(1 + rng.below(2) as u32) }
        };
        let new = value();
        let (call, reply) = match rng.below(if cas { 8 } else { 5 }) {
            0 | 1 => {
                let lie = rng.below(2) == 0;
                let upto = if lie { rng.below(log.len() as u64 + 1) as usize } else { seen[c] };
                (Call::Read, Reply::Value(held(upto)))
            }
            2..5 => (Call::Write(new), Reply::Done),
            _ if rng.chance(0.5) => (Call::Cas(held(log.len()), new), Reply::Done),
            _ => (Call::Cas(new, v(1)), Reply::Mismatch),
        };
        let writes = !matches!(call, Call::Read) && reply == Reply::Done;
        if writes && !(info && rng.chance(0.5)) {
            log.push((key, new));
            seen[c] = log.len();
        }
        ops.push(own(i, name[c], key as u32, call, (!info).then_some(reply)));
        if info {
            name[c] = next;
            next += 1;
        }
    }
    ops
}

#[test]
fn sequential_at_random() {
    let mut rng = Rng::new(13, "sequential");
    let (mut good, mut one_key_bad, rounds) = (0, 0, 20_000);
    for _ in 0..rounds {
        let ops = lagging(&mut rng);
        let truth = sequential_truth(&ops);
        assert_eq!(sequential_says(&ops, true), truth, "{}", shown(&ops));
        assert_eq!(sequential_says(&ops, false), truth, "without the register's rules: {}", shown(&ops));
        good += truth as u32;
        one_key_bad += (!truth && ops.iter().all(|o| o.part == 0)) as u32;
    }
    assert!(good > rounds / 4 && good < rounds / 10 * 9, "{good} sequential");
    assert!(one_key_bad > rounds / 40, "{one_key_bad}");
}

#[test]
fn a_spent_budget_is_unknown() {
    let mut rng = Rng::new(14, "spent");
    let mut spent = 0;
    for _ in 0..200 {
        let ops = lagging(&mut rng);
        let limits = Limits { steps: 3, ..Limits::default() };
        match sequential::decide(&SPEC, &ops, Some(rules()), &limits).0 {
            Decided::Unknown(why) => {
                assert_eq!(why, Why::Steps);
                spent += 1;
            }
            Decided::Yes(_) => assert!(sequential_truth(&ops)),
            Decided::No(_) => assert!(!sequential_truth(&ops)),
        }
    }
    assert!(spent > 50, "{spent}");
}

/// Id, ops, sequential: the column of the table.
const LITMUS: [(&str, &str, bool); 18] = [
    ("L01", "w1(x):=1; r2(x)=1", true),
    ("L02", "w1(x):=1; r2(x)=0", true),
    ("L03", "w1(x):=1; r2(x)=1; r3(x)=0", true),
    ("L04", "w1(x):=1; r1(x)=0", false),
    ("L05", "w1(x):=1; r2(x)=1; r2(x)=0", false),
    ("L06", "w1(x):=1; w1(y):=1; r2(y)=1; r2(x)=0", false),
    ("L07", "w1(x):=1; r2(x)=1; w2(y):=1; r3(y)=1; r3(x)=0", false),
    ("L08", "w1(x):=1; w2(y):=1; r3(x)=1; r3(y)=0; r4(y)=1; r4(x)=0", false),
    ("L09", "w1(x):=1; r1(y)=0; w2(y):=1; r2(x)=0", false),
    ("L10", "w1(x):=1; w2(x):=2; r3(x)=1; r3(x)=2; r4(x)=2; r4(x)=1", false),
    ("L11", "r2(x)=1; w1(x):=1", true),
    ("L12", "w1(x):=1; r2(x)=7", false),
    ("L13", "w1(x):=1?; r2(x)=1; r3(x)=0", true),
    ("L14", "w1(x):=1?; r2(x)=0; r3(x)=1", true),
    ("L15", "w1(x):=1; w2(y):=1; r3(y)=1; r3(x)=0", true),
    ("L16", "w1(x):=1; w2(x):=2; r3(x)=2; r3(x)=1", true),
    ("L17", "w1(x):=1; w1(x):=2; r2(x)=2; r2(x)=1", false),
    ("L18", "w1(x):=1; r2(x)=1; w2(x):=2; r3(x)=2; r3(x)=1", false),
];

fn all_models(init: Init) -> Models {
    Models { models: Model::AROUND.to_vec(), object: Object::CasRegister, init }
}

fn of(findings: &checkers::Findings, model: Model) -> Verdict {
    let found = findings.per_model.iter().filter(|(m, _)| *m == model).map(|(_, v)| v);
    found.max_by_key(|v| v.rank()).unwrap().clone()
}

#[test]
fn the_litmus_table_has_its_sequential_column() {
    for (id, ops, sequential) in LITMUS {
        let history = text::litmus(ops).unwrap();
        let findings = all_models(Init::default()).check(&history, &Budget::default());
        let verdict = of(&findings, Model::Sequential);
        assert_eq!(verdict.is_valid(), sequential, "{id}: {verdict:?}");
        if let Verdict::Invalid(c) = &verdict {
            assert!(!c.core.is_empty() && c.words[0].contains("not sequentially consistent"), "{id}: {c:?}");
        }
        let future = findings.anomalies.iter().any(|a| a.kind == "future read");
        assert_eq!(future, id == "L11", "{id}: {:?}", findings.anomalies);
    }
}

#[test]
fn the_others_on_the_litmus_table() {
    let verdicts = |ops: &str| {
        let findings = all_models(Init::default()).check(&text::litmus(ops).unwrap(), &Budget::default());
        Model::AROUND.map(|m| of(&findings, m).word().chars().next().unwrap()).iter().collect::<String>()
    };
    // Linearizable, sequential, 2-atomic, delta-atomic, regular, safe.
    assert_eq!(verdicts(LITMUS[0].1), "vvvvvv");
    assert_eq!(verdicts(LITMUS[1].1), "ivvvii");
    assert_eq!(verdicts(LITMUS[4].1), "iivvii");
    assert_eq!(verdicts(LITMUS[10].1), "iviiii");
    assert_eq!(verdicts(LITMUS[11].1), "iiiiii");
    assert_eq!(verdicts(LITMUS[12].1), "ivvvvv");
    assert_eq!(verdicts("w1(x):=1; w1(x):=2; r2(x)=0"), "ivivii");
}

#[test]
fn how_stale_is_said_in_words() {
    let history = text::parse(
        "p0 write x 1 |--|
         p0 write x 2        |--|
         p1 read x 1                 |---|
         p2 read x 2                       |---|",
    )
    .unwrap();
    let findings = all_models(Init::default()).check(&history, &Budget::default());
    let Verdict::Valid(witness) = of(&findings, Model::DeltaAtomic) else { panic!("{findings:?}") };
    // From the end of the second write, column 32, to the beginning of the read, column 37.
    assert_eq!(findings.measured["delta_ns"], 5_000);
    assert_eq!(
        witness.says,
        "no read was more than 5.0 µs stale (Δ = 5000 ns, key x; less would not explain #0, #1, #2 and #3)"
    );
    assert_eq!(
        frontier(&findings.per_model),
        (vec![Model::Sequential, Model::TwoAtomic, Model::DeltaAtomic], vec![Model::Safe])
    );
}

#[test]
fn a_read_two_writes_old_is_told() {
    let history = text::parse(
        "p0 write x 1 |--|
         p0 write x 2        |--|
         p0 write x 3               |--|
         p1 read x 1                       |---|",
    )
    .unwrap();
    let findings = all_models(Init::default()).check(&history, &Budget::default());
    let Verdict::Invalid(c) = of(&findings, Model::TwoAtomic) else { panic!("{findings:?}") };
    assert_eq!(
        c.words,
        [
            "Key x is not 2-atomic: read #3 by process 1 returned 1, which was two writes old.",
            "Both write #1 and write #2 were invoked after it had been stored and acknowledged before #3 began.",
        ]
    );
    assert_eq!(c.core.iter().map(|i| i.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

/// The recorded form of random sequences, judged against every model: nothing stronger holds where a weaker fails.
#[test]
fn answers_respect_what_implies_what() {
    use history::{Builder, Call as Asked, Error, Event, Outcome, Process, Reply as Answered, Value};
    let mut rng = Rng::new(15, "implications");
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..1_500 {
        let ops = lagging(&mut rng);
        let value = |v: ValueId| if v.is_null() { Value::Null } else { Value::Int(v.0 as i64) };
        let mut events: Vec<(u64, Event)> = Vec::new();
        let mut free = [0u64; 32];
        for (i, own) in ops.iter().enumerate() {
            let key = Value::text(["x", "y", "z"][own.part as usize]);
            let call = match own.op.call {
                Call::Read => Asked::Read(key),
                Call::Write(v) => Asked::Write(key, value(v)),
                Call::Cas(a, b) => Asked::Cas(key, value(a), value(b)),
            };
            let outcome = match own.op.reply {
                None => Outcome::Info(Error::new("timeout")),
                Some(Reply::Done) => Outcome::Ok(Answered::Done),
                Some(Reply::Mismatch) => Outcome::Ok(Answered::Mismatch),
                Some(Reply::Value(v)) => Outcome::Ok(Answered::Read(value(v))),
            };
            let process = Process(own.process);
            let begin = (10 * i as u64).max(free[own.process as usize] + 1);
            let end = begin + rng.range(1, 40);
            free[own.process as usize] = end;
            events.push((
                begin,
                Event::Invoke { time: begin, process, node: None, call: call.clone(), last: false },
            ));
            events.push((end, Event::Complete { time: end, process, call, outcome, server: None }));
        }
        events.sort_by_key(|e| e.0);
        let mut builder = Builder::new();
        events.iter().enumerate().for_each(|(i, e)| builder.push(&e.1, i as u64 + 1).unwrap());
        let history = builder.finish();
        let findings = all_models(Init::default()).check(&history, &Budget::default());
        for a in Model::AROUND {
            let strong = of(&findings, a);
            assert!(strong.rank() != 1, "{a}: {strong:?} of {history:?}");
            *seen.entry((a, strong.word())).or_insert(0) += 1;
            for b in Model::AROUND.into_iter().filter(|b| a.implies(*b)) {
                let weak = of(&findings, b);
                assert!(!strong.is_valid() || weak.is_valid(), "{a} but not {b}: {findings:?}");
                assert!(!weak.is_invalid() || strong.is_invalid(), "{a} but not {b}: {findings:?}");
            }
        }
    }
    for model in Model::AROUND {
        assert!(seen.get(&(model, "valid")).is_some_and(|n| *n > 100), "{seen:?}");
        assert!(seen.get(&(model, "invalid")).is_some_and(|n| *n > 20), "{seen:?}");
        assert_eq!(seen.get(&(model, "unknown")), None);
    }
}

#[test]
fn contradicting_engines_are_unknown_and_undecided_ones_are_settled() {
    let valid = || Verdict::valid("test", "");
    let invalid = || Verdict::Invalid(Box::default());
    let spent = || Verdict::unknown(Why::Steps, "");
    let settled = |a: Verdict, b: Verdict| {
        let mut judged = vec![(Model::Linearizable, a), (Model::Safe, b)];
        settle(&mut judged);
        (judged[0].1.word(), judged[1].1.word())
    };
    assert_eq!(settled(valid(), invalid()), ("unknown", "unknown"));
    assert_eq!(settled(spent(), invalid()), ("invalid", "invalid"));
    assert_eq!(settled(valid(), spent()), ("valid", "valid"));
    assert_eq!(settled(invalid(), spent()), ("invalid", "unknown"));
    assert_eq!(settled(spent(), valid()), ("unknown", "valid"));
}

fn from_any(ops: &Ops) -> bool {
    // Values 0 to 3 or fresh ones, and one that no op has.
    let mut all: Vec<ValueId> = (0..24).map(v).collect();
    all.push(v(999));
    all.iter().any(|init| oracle::linearizable(&Register { init: *init }, ops).unwrap())
}

fn any_says(ops: &Ops) -> bool {
    let loose: Vec<Timed<FromAny>> =
        ops.iter().map(|o| Timed { call: o.call, reply: o.reply, inv: o.inv, res: o.res }).collect();
    let fast = match initial::decide(&loose, &Limits::default()).answer {
        Answer::Yes(_) => true,
        Answer::No(_) => false,
        Answer::Unknown(why) => panic!("{why:?}"),
    };
    let searched = match decide_needed(&FromAny, &loose, &Limits::default()).answer {
        Answer::Yes(order) => {
            assert_eq!(replay::replay(&FromAny, &loose, &order), Ok(()), "{ops:?}");
            true
        }
        Answer::No(_) => false,
        Answer::Unknown(why) => panic!("{why:?}: {ops:?}"),
    };
    assert_eq!(fast, searched, "{ops:?}");
    assert_eq!(oracle::linearizable(&FromAny, &loose), Some(fast), "{ops:?}");
    fast
}

#[test]
fn any_first_value_in_small_worlds() {
    for n in 1..=3 {
        let (mut good, mut all) = (0, 0);
        worlds(n, &cas_types(), |ops: &[Timed<Register>]| {
            let ops = ops.to_vec();
            let truth = from_any(&ops);
            assert_eq!(any_says(&ops), truth, "{ops:?}");
            good += truth as u32;
            all += 1;
        });
        assert!(good > all / 10 && (n == 1 || good < all), "{good} of {all}");
    }
}

#[test]
fn any_first_value_at_random() {
    let mut rng = Rng::new(16, "any");
    let (mut good, mut from_nil, rounds) = (0, 0, 20_000);
    for _ in 0..rounds {
        let ops = small(&mut rng, true);
        // As a record that begins in mid-run: the first ops are not in it.
        let cut = rng.below(3) as usize;
        let ops: Ops = ops.into_iter().skip(cut).collect();
        let truth = from_any(&ops);
        assert_eq!(any_says(&ops), truth, "{ops:?}");
        good += truth as u32;
        from_nil += oracle::linearizable(&SPEC, &ops).unwrap() as u32;
    }
    assert!(good > from_nil + rounds / 20 && good < rounds / 20 * 19, "{good}, from nil {from_nil}");
}

#[test]
fn any_first_value_is_told() {
    use checkers::linearizable::initial::LinearizableFrom;
    let judge = |init: Init, notation: &str| {
        let history = text::parse(notation).unwrap();
        LinearizableFrom { init }.check(&history, &Budget::default()).per_model.swap_remove(0).1
    };
    let early = "p0 read x 4 |--|\n p1 cas x 4 5      |--|\n p0 read x 5            |--|";
    assert!(judge(Init::Any, early).is_valid());
    assert!(judge(Init::Value(history::Value::Int(4)), early).is_valid());
    assert!(judge(Init::default(), early).is_invalid());
    // A virtual first write could land late and would allow this.
    let two = "p0 read x 4 |--|\n p0 read x 5       |--|";
    let Verdict::Invalid(c) = judge(Init::Any, two) else { panic!() };
    assert_eq!(c.core.len(), 2);
    assert_eq!(c.words.last().unwrap(), "No first value of it would help.", "{c:?}");
    // Each key begins with a value of its own.
    assert!(judge(Init::Any, "p0 read x 4 |--|\n p0 read y 5       |--|").is_valid());
}
