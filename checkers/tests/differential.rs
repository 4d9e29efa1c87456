//! Random small runs: every engine against brute force, and what must not change a verdict.

mod common;

use checkers::linearizable::bind::Bind;
use checkers::linearizable::dfs::{self, Limits};
use checkers::linearizable::engine::{self, Answer, decide_needed};
use checkers::linearizable::families::Family;
use checkers::linearizable::objects::{Register, RegisterCall, RegisterReply};
use checkers::linearizable::preprocess::needed;
use checkers::linearizable::spec::{OPEN, Spec, Timed};
use checkers::linearizable::{frontier, lazy, oracle, reference, register, replay, screen, segments, weaker};
use common::{Mix, register_run, v};
use history::rng::Rng;

type Ops = Vec<Timed<Register>>;

const SPEC: Register = Register { init: history::ValueId::NULL };

fn small(rng: &mut Rng) -> Ops {
    let mix = Mix {
        ops: rng.range(3, 10) as usize,
        clients: rng.range(2, 6) as usize,
        values: rng.below(4) as u32,
        cas: rng.chance(0.5),
        info: [0, 0, 20, 70][rng.below(4) as usize],
        lies: rng.below(3) as usize,
    };
    register_run(rng, mix)
}

fn truth(ops: &Ops) -> bool {
    oracle::linearizable(&SPEC, ops).unwrap()
}

#[test]
fn engines_agree_with_brute_force() {
    agree(1, 18_000, 1);
}

/// A first look.
#[test]
fn engines_agree_with_brute_force_on_a_few() {
    agree(3, 2_000, 1);
}

#[test]
#[ignore = "slow: a million histories"]
fn engines_agree_with_brute_force_at_length() {
    agree(2, 1_000_000, 1);
}

/// `tick`: how many positions share one.
fn agree(seed: u64, rounds: u32, tick: u32) {
    let mut rng = Rng::new(seed, "differential");
    let (mut invalid, mut decided, mut swept, mut beamed) = (0, 0, 0, 0);
    let (mut refuted, mut lazily) = (0, 0);
    for _ in 0..rounds {
        let mut ops = small(&mut rng);
        for op in &mut ops {
            op.inv /= tick;
            op.res = if op.is_ok() { op.res / tick } else { OPEN };
        }
        let truth = truth(&ops);
        invalid += !truth as u32;
        let report = dfs::search(&SPEC, &ops, &Limits::default());
        assert_eq!(report.is_yes(), truth, "dfs: {ops:?}");
        assert_eq!(reference::linearizable(&SPEC, &ops, 1 << 24, 1 << 26), Some(truth), "reference: {ops:?}");
        let part: Ops = needed(&SPEC, &ops).into_iter().map(|i| ops[i].clone()).collect();
        if let Some(answer) = register::decide(&SPEC, &part) {
            decided += 1;
            assert_eq!(answer.is_ok(), truth, "decider: {ops:?}");
            match answer {
                Ok(order) => assert_eq!(replay::replay(&SPEC, &part, &order), Ok(()), "{ops:?}"),
                Err(core) => {
                    let core: Ops = core.iter().map(|i| part[*i].clone()).collect();
                    assert_eq!(oracle::linearizable(&SPEC, &core), Some(false), "core of {ops:?}");
                }
            }
        }
        if let dfs::Answer::Yes(order) = frontier::beam(&SPEC, &ops, 4, 2, &Limits::default()).answer {
            assert!(truth && replay::replay(&SPEC, &ops, &order).is_ok(), "beam: {ops:?}");
            beamed += 1;
        }
        let limits = Limits::default();
        let cegar = frontier::cegar(&SPEC, &ops, &limits);
        assert_eq!(cegar.is_yes(), truth, "cegar: {ops:?}");
        let relaxed = frontier::relaxed(&SPEC, &ops, &limits, None).1.answer;
        refuted += (relaxed == dfs::Answer::No) as u32;
        assert!(relaxed != dfs::Answer::No || !truth, "relaxed: {ops:?}");
        if let Some(report) = lazy::search(&SPEC, &ops, &limits) {
            lazily += 1;
            assert_eq!(report.is_yes(), truth, "lazy: {ops:?}");
            for answer in [report.answer, cegar.answer] {
                if let dfs::Answer::Yes(order) = answer {
                    assert_eq!(replay::replay(&SPEC, &ops, &order), Ok(()), "{ops:?}");
                }
            }
        }
        if let Some(core) = screen::stale(&SPEC, &part) {
            assert!(!truth, "sweep: {ops:?}");
            swept += 1;
            let core: Ops = core.iter().map(|i| part[*i].clone()).collect();
            assert_eq!(oracle::linearizable(&SPEC, &core), Some(false), "swept core of {ops:?}");
        }
        match decide_needed(&SPEC, &ops, &Limits::default()).answer {
            Answer::Yes(order) => assert!(truth && replay::replay(&SPEC, &ops, &order).is_ok(), "{ops:?}"),
            Answer::No(_) => assert!(!truth, "{ops:?}"),
            Answer::Unknown(why) => panic!("{why:?}: {ops:?}"),
        }
    }
    assert!(invalid > rounds / 20 && invalid < rounds * 19 / 20, "{invalid} invalid");
    assert!(decided > rounds / 10 && swept > invalid / 2, "{decided} decided, {swept} of {invalid} swept");
    assert!(refuted > invalid * 9 / 10 && lazily > rounds / 4, "{refuted} of {invalid}, {lazily} lazily");
    assert!(beamed > (rounds - invalid) / 10 * 9, "the beam found {beamed}");
}

/// The definition, pair by pair, against the sweep; and what the contradiction must hold.
#[test]
fn the_sweep_finds_every_stale_read() {
    let mut rng = Rng::new(12, "sweep");
    let mut found = 0;
    for _ in 0..6_000 {
        let ops = small(&mut rng);
        let stores = |v, r: &Timed<Register>| -> Vec<usize> {
            (0..ops.len()).filter(|i| SPEC.makes(&ops[*i]) == Some(v) && ops[*i].inv < r.res).collect()
        };
        let stale = |r: &Timed<Register>| {
            let Some(value) = SPEC.sees(r).filter(|_| r.is_ok()) else { return false };
            let stores = stores(value, r);
            let shows = |o: &Timed<Register>| {
                o.is_ok() && [SPEC.makes(o), SPEC.sees(o)].into_iter().flatten().any(|w| w != value)
            };
            let after = |o: &Timed<Register>| o.res < r.inv && stores.iter().all(|p| ops[*p].res < o.inv);
            stores.is_empty() && value != SPEC.init || ops.iter().any(|o| shows(o) && after(o))
        };
        let core = screen::stale(&SPEC, &ops);
        assert_eq!(core.is_some(), ops.iter().any(stale), "{ops:?}");
        let Some(core) = core else { continue };
        found += 1;
        let reader = &ops[*core.last().unwrap()];
        let stores = stores(SPEC.sees(reader).unwrap(), reader);
        assert!(stores.iter().all(|p| core.contains(p)), "{core:?} of {ops:?}");
        assert!(core.len() <= stores.len() + 2, "{core:?} of {ops:?}");
    }
    assert!(found > 300, "{found}");
}

/// Two writes of one value: were the one used first that ends last, none would be left for the last read.
#[test]
fn of_equal_ops_the_one_that_ends_first_is_used_first() {
    let done = Some(RegisterReply::Done);
    let write = |i, inv, res| Timed { call: RegisterCall::Write(v(i)), reply: done, inv, res };
    let read =
        |i, inv, res| Timed { call: RegisterCall::Read, reply: Some(RegisterReply::Value(v(i))), inv, res };
    let ops: Ops = vec![
        write(1, 0, 20),
        write(1, 1, 100),
        read(1, 2, 5),
        write(2, 6, 7),
        read(2, 21, 22),
        read(1, 30, 31),
    ];
    let limits = Limits::default();
    let mut reports = vec![dfs::search(&SPEC, &ops, &limits), frontier::cegar(&SPEC, &ops, &limits)];
    reports.extend([frontier::beam(&SPEC, &ops, 4, 2, &limits), lazy::search(&SPEC, &ops, &limits).unwrap()]);
    for report in reports {
        let dfs::Answer::Yes(order) = report.answer else { panic!("{:?}", report.answer) };
        assert_eq!(replay::replay(&SPEC, &ops, &order), Ok(()));
    }
}

/// Beside reads of the initial value that are open all the time, so many that the ops in question get the last slots
/// of a word and the first beyond it. Such reads change no verdict.
#[test]
fn beyond_a_word_of_open_ops_engines_agree_with_brute_force() {
    let mut rng = Rng::new(11, "wide");
    let mut valid = 0;
    for round in 0..300 {
        let ops = small(&mut rng);
        let truth = truth(&ops);
        valid += truth as u32;
        let wide = 118 + round % 16;
        let later = |o: &Timed<Register>| Timed {
            inv: o.inv + wide,
            res: if o.is_ok() { o.res + wide } else { OPEN },
            ..o.clone()
        };
        let read = |i| {
            let reply = Some(RegisterReply::Value(SPEC.init));
            Timed { call: RegisterCall::Read, reply, inv: i, res: 10_000 + i }
        };
        let ops: Ops = (0..wide).map(read).chain(ops.iter().map(later)).collect();
        let limits = Limits::default();
        let mut reports = vec![dfs::search(&SPEC, &ops, &limits), frontier::cegar(&SPEC, &ops, &limits)];
        reports.extend(lazy::search(&SPEC, &ops, &limits));
        for report in reports {
            assert_eq!(report.is_yes(), truth, "{ops:?}");
            if let dfs::Answer::Yes(order) = report.answer {
                assert_eq!(replay::replay(&SPEC, &ops, &order), Ok(()), "{ops:?}");
            }
        }
    }
    assert!(valid > 60 && valid < 270, "{valid} valid");
}

/// What shares a position is concurrent, for every engine: coarse clocks make such runs.
#[test]
fn at_one_position_engines_agree_with_brute_force() {
    agree(8, 3_000, 2);
    agree(9, 3_000, 5);
}

/// One that no op mentions, just beyond those that are and far beyond.
#[test]
fn any_initial_value_will_do() {
    let mut rng = Rng::new(9, "initial");
    let mut invalid = 0;
    for round in 0..2_000 {
        let ops: Ops = small(&mut rng).into_iter().filter(|o| SPEC.sees(o) != Some(SPEC.init)).collect();
        let most = ops.iter().flat_map(|o| [SPEC.makes(o), SPEC.sees(o)]).flatten().map(|v| v.0).max();
        let spec = Register { init: v(most.unwrap_or(0) + [1, 1, 2, 7, 5_000][round % 5]) };
        let truth = oracle::linearizable(&spec, &ops).unwrap();
        invalid += !truth as u32;
        match decide_needed(&spec, &ops, &Limits::default()).answer {
            Answer::Yes(_) => assert!(truth, "{spec:?} {ops:?}"),
            Answer::No(_) => assert!(!truth, "{spec:?} {ops:?}"),
            Answer::Unknown(why) => panic!("{why:?}: {spec:?} {ops:?}"),
        }
    }
    assert!(invalid > 100 && invalid < 1_600, "{invalid} invalid");
}

#[test]
fn what_only_helps_keeps_a_valid_history_valid() {
    let mut rng = Rng::new(2, "metamorphic");
    for _ in 0..4_000 {
        let ops = small(&mut rng);
        let valid = truth(&ops);
        let check = |ops: &Ops| dfs::search(&SPEC, ops, &Limits::default()).is_yes();
        // An interval may be recorded too wide, never too narrow.
        let mut wider = ops.clone();
        let i = rng.below(ops.len() as u64) as usize;
        wider[i].inv = 0;
        if wider[i].is_ok() && rng.chance(0.5) {
            wider[i] = wider[i].forgotten();
        }
        assert!(!valid || check(&wider), "widened {i}: {ops:?}");
        // A prefix of a valid history is valid.
        let end = rng.below(60) as u32;
        let cut: Ops = ops
            .iter()
            .filter(|o| o.inv <= end)
            .map(|o| if o.res > end { o.forgotten() } else { o.clone() })
            .collect();
        assert!(!valid || check(&cut), "cut at {end}: {ops:?}");
        // The order in which ops are listed says nothing.
        let mut shuffled = ops.clone();
        rng.shuffle(&mut shuffled);
        assert_eq!(check(&shuffled), valid, "shuffled: {ops:?}");
        // Nor does the length of the pauses.
        let stretch = |p: u32| if p == OPEN { OPEN } else { p * 7 + 3 };
        let slow: Ops =
            ops.iter().map(|o| Timed { inv: stretch(o.inv), res: stretch(o.res), ..o.clone() }).collect();
        assert_eq!(check(&slow), valid, "stretched: {ops:?}");
        // A read, at the very end, of a value that nobody wrote.
        let mut lie = ops.clone();
        lie.push(Timed {
            call: RegisterCall::Read,
            reply: Some(RegisterReply::Value(v(999))),
            inv: 9_000,
            res: 9_001,
        });
        assert!(!check(&lie), "{ops:?}");
    }
}

/// Forgetting a reply is weaker: the law that possibly-happened ops rest on.
#[test]
fn forgetting_is_weaker() {
    let values = [v(0), v(1), v(2)];
    let calls = values
        .iter()
        .flat_map(|a| values.iter().map(move |b| RegisterCall::Cas(*a, *b)))
        .chain(values.iter().map(|a| RegisterCall::Write(*a)))
        .chain([RegisterCall::Read]);
    for call in calls {
        for state in &values {
            for reply in values
                .iter()
                .map(|a| RegisterReply::Value(*a))
                .chain([RegisterReply::Done, RegisterReply::Mismatch])
            {
                if let Some(next) = SPEC.step(state, &call, Some(&reply)) {
                    assert_eq!(SPEC.step(state, &call, None), Some(next));
                    assert!(next == *state || !SPEC.idle(&call, &reply), "{call:?} {reply:?} is not idle");
                }
            }
        }
    }
}

#[test]
fn longer_runs_decide_alike_with_and_without_the_closed_form() {
    let mut rng = Rng::new(3, "longer");
    let mut invalid = 0;
    for round in 0..60 {
        let mix = Mix {
            ops: 400,
            clients: 5,
            values: 0,
            cas: round % 2 == 0,
            info: round % 3 * 5,
            lies: (round % 4) as usize,
        };
        let ops: Ops = register_run(&mut rng, mix);
        let part: Ops = needed(&SPEC, &ops).into_iter().map(|i| ops[i].clone()).collect();
        let report = dfs::search(&SPEC, &part, &Limits { steps: 3_000_000, ..Limits::default() });
        if let (Some(closed), false) =
            (register::decide(&SPEC, &part), matches!(report.answer, dfs::Answer::Spent(_)))
        {
            assert_eq!(closed.is_ok(), report.is_yes(), "round {round}");
            invalid += closed.is_err() as u32;
        }
    }
    assert!(invalid > 5, "{invalid}");
}

#[test]
fn many_lost_calls_are_no_trouble() {
    let mut rng = Rng::new(4, "infos");
    for values in [0, 5] {
        let mix = Mix { ops: 2_000, clients: 6, values, cas: true, info: 10, lies: 0 };
        let ops: Ops = register_run(&mut rng, mix);
        let decided = decide_needed(&SPEC, &ops, &Limits { steps: 20_000_000, ..Limits::default() });
        assert!(matches!(decided.answer, Answer::Yes(_)), "{} after {} steps", decided.by, decided.steps);
    }
}

/// The same ops as a recorded history, each by a process of its own.
fn recorded(ops: &Ops) -> history::History {
    use history::{Builder, Call, Error, Event, Outcome, Process, Reply, Value};
    let value = |v: history::ValueId| if v.is_null() { Value::Null } else { Value::Int(v.0 as i64) };
    let key = || Value::text("x");
    let mut events = Vec::new();
    for (i, op) in ops.iter().enumerate() {
        let call = match op.call {
            RegisterCall::Read => Call::Read(key()),
            RegisterCall::Write(v) => Call::Write(key(), value(v)),
            RegisterCall::Cas(a, b) => Call::Cas(key(), value(a), value(b)),
        };
        let outcome = match op.reply {
            None => Outcome::Info(Error::new("timeout")),
            Some(RegisterReply::Done) => Outcome::Ok(Reply::Done),
            Some(RegisterReply::Mismatch) => Outcome::Ok(Reply::Mismatch),
            Some(RegisterReply::Value(v)) => Outcome::Ok(Reply::Read(value(v))),
        };
        let (process, end) = (Process(i as u32), if op.is_ok() { op.res } else { 10_000 + i as u32 });
        events.push(Event::Invoke {
            time: op.inv as u64,
            process,
            node: None,
            call: call.clone(),
            last: false,
        });
        events.push(Event::Complete { time: end as u64, process, call, outcome, server: None });
    }
    events.sort_by_key(|e| e.time());
    let mut builder = Builder::new();
    events.iter().enumerate().for_each(|(i, e)| builder.push(e, i as u64 + 1).unwrap());
    builder.finish()
}

#[test]
fn every_refutation_is_explained() {
    use checkers::linearizable::{Linearizable, Object};
    use checkers::{Budget, Checker, Verdict};
    let mut rng = Rng::new(6, "explained");
    let mut patterns: std::collections::BTreeMap<String, u32> = Default::default();
    for _ in 0..4_000 {
        let ops = small(&mut rng);
        let findings =
            Linearizable { object: Object::CasRegister }.check(&recorded(&ops), &Budget::default());
        match findings.worst().unwrap() {
            Verdict::Valid(witness) => {
                assert!(truth(&ops) && !witness.parts.is_empty() | ops.is_empty(), "{ops:?}")
            }
            Verdict::Unknown(reason) => panic!("{reason:?}: {ops:?}"),
            Verdict::Invalid(c) => {
                assert!(!truth(&ops), "{ops:?}");
                assert!(c.words.len() >= 2 && !c.core.is_empty() && c.first_bad.is_some(), "{c:?}");
                *patterns.entry(c.pattern.clone()).or_default() += 1;
                // What completed before the first bad completion is fine, and with it no longer.
                let bad = ops[c.first_bad.unwrap().0 as usize].res;
                let cut = |end: u32| -> Ops {
                    let open = |o: &Timed<Register>| if o.res > end { o.forgotten() } else { o.clone() };
                    ops.iter().filter(|o| o.inv <= end).map(open).collect()
                };
                assert!(!truth(&cut(bad)) && truth(&cut(bad - 1)), "{:?}: {ops:?}", c.first_bad);
            }
        }
    }
    eprintln!("{patterns:?}");
    assert!(patterns.len() >= 5, "{patterns:?}");
    let told: u32 = patterns.iter().filter(|(p, _)| *p != "no order exists").map(|p| p.1).sum();
    assert!(told * 10 > patterns.values().sum::<u32>() * 8, "too many without a pattern: {patterns:?}");
}

/// The definition, read by read, against the sweep.
#[test]
fn regular_and_safe_reads() {
    let mut rng = Rng::new(5, "weaker");
    let (mut irregular, mut hazardous) = (0, 0);
    for _ in 0..20_000 {
        let ops = small(&mut rng);
        let writes: Ops = ops.iter().filter(|o| SPEC.makes(o).is_some()).cloned().collect();
        let before = |a: &Timed<Register>, b: &Timed<Register>| a.res < b.inv;
        let fine = |r: &Timed<Register>| {
            let Some(seen) = SPEC.sees(r) else { return true };
            let from_write = writes
                .iter()
                .filter(|w| w.inv != r.inv && SPEC.makes(w) == Some(seen))
                .any(|w| w.inv < r.res && !writes.iter().any(|x| before(w, x) && before(x, r)));
            from_write || (seen == SPEC.init && !writes.iter().any(|x| before(x, r)))
        };
        let alone = |r: &Timed<Register>| writes.iter().all(|w| before(w, r) || before(r, w));
        let regular = ops.iter().filter(|o| o.is_ok()).all(fine);
        let safe = ops.iter().filter(|o| o.is_ok() && alone(o)).all(fine);
        assert_eq!(weaker::irregular(&SPEC, &ops).is_none(), regular, "{ops:?}");
        assert_eq!(weaker::unsafe_read(&SPEC, &ops).is_none(), safe, "{ops:?}");
        assert!(regular || !truth(&ops), "linearizable, so regular: {ops:?}");
        irregular += !regular as u32;
        hazardous += !safe as u32;
    }
    assert!(irregular > 1_000 && hazardous > 500, "{irregular} irregular, {hazardous} not safe");
}

#[test]
fn the_answer_is_the_same_at_any_number_of_threads() {
    use checkers::linearizable::{Linearizable, Object};
    use checkers::{Budget, Checker};
    let mut notation = String::new();
    for key in 0..12 {
        let read = if key % 4 == 3 { key } else { key + 1 };
        notation += &format!("p{} write k{key} {} {:pad$}|--|\n", 2 * key, key + 1, "", pad = key % 5);
        notation += &format!("p{} read k{key} {read} {:pad$}|--|\n", 2 * key + 1, "", pad = 12 + key % 5);
    }
    let history = history::text::parse(&notation).unwrap();
    let judge =
        || Linearizable { object: Object::Auto }.check(&history, &Budget::default()).to_json().to_string();
    let at = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(judge);
    assert!(at(1).contains("\"invalid_keys\":3"), "{}", at(1));
    assert_eq!(at(1), at(2));
    assert_eq!(at(1), at(8));
}

/// Two clients leave many moments at which nothing is under way: what is judged in parts is judged alike.
#[test]
fn parts_agree_with_the_whole() {
    let (mut cuts, mut noes) = (0, 0);
    for name in ["register:5:c2:n200", "cas:5:c2:n200", "cas:5:c2:m4:n200", "cas:2:c3:n100"] {
        for seed in 0..60 {
            let Some(mut ops) = Family::parse(name).unwrap().ops(seed) else { continue };
            // A reply of another op, so that what a part may begin with matters.
            if seed % 3 > 0 {
                let mut rng = Rng::new(seed, "parts");
                let (a, b) = (rng.below(ops.len() as u64) as usize, rng.below(ops.len() as u64) as usize);
                if let (RegisterCall::Read, RegisterCall::Read, Some(reply)) =
                    (ops[a].call, ops[b].call, ops[b].reply)
                    && ops[a].is_ok()
                {
                    ops[a].reply = Some(reply);
                }
            }
            let whole = dfs::search(&SPEC, &ops, &Limits::default());
            let parts = engine::in_parts(&SPEC, &ops, &Limits::default(), 3);
            assert_eq!(whole.is_yes(), matches!(parts.answer, Answer::Yes(_)), "{name} {seed}");
            assert_eq!(whole.is_yes(), !parts.is_no(), "{name} {seed}");
            // In whatever order they are given.
            let mut shuffled = ops.clone();
            Rng::new(seed, "shuffled").shuffle(&mut shuffled);
            let again = engine::in_parts(&SPEC, &shuffled, &Limits::default(), 3);
            assert_eq!(whole.is_yes(), matches!(again.answer, Answer::Yes(_)), "{name} {seed}");
            assert_eq!(whole.is_yes(), !again.is_no(), "{name} {seed}");
            assert_eq!(segments::cut(&SPEC, &shuffled, 3).len(), segments::cut(&SPEC, &ops, 3).len());
            // With a budget for less than the whole no answer is another one.
            let few = engine::in_parts(&SPEC, &ops, &Limits { steps: 100, ..Limits::default() }, 3);
            assert!(
                matches!(few.answer, Answer::Unknown(_)) || few.is_no() != whole.is_yes(),
                "{name} {seed}"
            );
            cuts += segments::cut(&SPEC, &ops, 3).len() - 1;
            noes += !whole.is_yes() as u32;
        }
    }
    assert!(cuts > 1_000 && noes > 10, "{cuts} cuts, {noes} invalid");
}
