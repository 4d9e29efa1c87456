//! Every checker but `linearizable`: a valid and an invalid (or vacuous) golden history each, and the list itself.

use checkers::coverage::{Coverage, Evidence};
use checkers::{ALL, Budget, Checker, Findings, Model, Verdict, Why, run_all};
use history::event::Event;
use history::{Builder, Effect, Fault, History, NodeId, Resolved, Strike, Value, Who, text};
use std::collections::BTreeSet;

fn check(checker: &dyn Checker, notation: &str) -> Findings {
    checker.check(&text::parse(notation).unwrap(), &Budget::default())
}

fn valid(checker: &dyn Checker, notation: &str) -> Findings {
    let findings = check(checker, notation);
    assert!(findings.worst().unwrap().is_valid(), "{findings:?}");
    findings
}

/// Pattern, core, first sentence.
fn invalid(checker: &dyn Checker, notation: &str) -> (String, Vec<u32>, String) {
    match check(checker, notation).worst() {
        Some(Verdict::Invalid(c)) => {
            (c.pattern.clone(), c.core.iter().map(|o| o.0).collect(), c.words[0].clone())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn folder_and_list_agree() {
    // `models` takes what is asked of it, so it is no checker with usual settings; two more are parts of it; `streaming` reads no history.
    let parts =
        ["lib.rs", "verdict.rs", "presence.rs", "models.rs", "sequential.rs", "atomicity.rs", "streaming.rs"];
    let files: BTreeSet<String> = std::fs::read_dir(env!("CARGO_MANIFEST_DIR"))
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .filter(|f| f.ends_with(".rs") && !parts.contains(&f.as_str()))
        .map(|f| f.trim_end_matches(".rs").to_string())
        .collect();
    let listed: BTreeSet<String> = ALL.iter().map(|c| c.name().to_string()).collect();
    assert_eq!(files, listed);
    assert_eq!(listed.len(), ALL.len(), "two checkers of one name");
    for checker in ALL {
        assert!(checker.about().ends_with('.') && checker.blind_to().ends_with('.'), "{}", checker.name());
    }
}

#[test]
fn a_panic_is_unknown_and_hides_nothing() {
    struct Broken;
    impl Checker for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }
        fn about(&self) -> &'static str {
            ""
        }
        fn blind_to(&self) -> &'static str {
            ""
        }
        fn check(&self, _: &History, _: &Budget) -> Findings {
            panic!("index 7 out of range")
        }
    }
    let history = text::parse("p0 read x 7 |--|").unwrap();
    let linearizable = ALL.iter().find(|c| c.name() == "linearizable").unwrap();
    let found = run_all(&[&Broken, *linearizable], &history, &Budget::default());
    let Some(Verdict::Unknown(reason)) = found[0].worst() else { panic!("{found:?}") };
    assert_eq!(reason.why, Why::Panic("index 7 out of range".into()));
    assert!(found[1].worst().unwrap().is_invalid());
}

#[test]
fn sets() {
    let set = &checkers::set::Set;
    let findings = valid(
        set,
        "p0 add s 1 |--|
         p1 add s 2    |----------?
         p2 read s [1]      |--|
         p2 read s [1 2]         |--|
         p3 add s 3                       |--|",
    );
    assert_eq!((&findings.measured["stable"], &findings.measured["never_read"]), (&1.into(), &1.into()));
    let lost = "p0 add s 1 |--|
                p0 add s 2      |--|
                p2 read s [2]        |--|";
    let says = "Key s: 1 was acknowledged and then lost; read #2 by process 2 did not return it.";
    assert_eq!(invalid(set, lost), ("lost element".into(), vec![0, 2], says.into()));
    let cases = [
        ("duplicate element", "p0 add s 1 |--|\n p1 read s [1 1]     |--|"),
        ("thin-air read", "p0 add s 1 |--|\n p1 read s [1 8]     |--|"),
        ("thin-air read", "p0 add s 1 |--x\n p1 read s [1]     |--|"),
        ("future read", "p1 read s [1] |--|\n p0 add s 1             |--|"),
        ("resurrected element", "p0 add s 1 |--|\n p0 remove s 1      |--|\n p1 read s [1]            |--|"),
        ("stale read", "p0 add s 1 |--|\n p1 read s []      |--|\n p1 read s [1]            |--|"),
    ];
    for (kind, notation) in cases {
        assert_eq!(invalid(set, notation).0, kind, "{notation}");
    }
    // Late is not lost: the set holds, linearizability does not.
    let late = check(set, cases[5].1);
    assert!(late.per_model[0].1.is_valid() && late.per_model[1].0 == Model::Linearizable, "{late:?}");
    // An unanswered removal may have happened.
    valid(set, "p0 add s 1 |--|\n p0 remove s 1      |--?\n p1 read s []               |--|");
    let unread = check(set, "p0 add s 1 |--|");
    assert!(matches!(unread.worst(), Some(Verdict::Unknown(r)) if r.why == Why::Vacuous), "{unread:?}");
}

#[test]
fn counters() {
    let counter = &checkers::counter::Counter;
    valid(
        counter,
        "p0 add c 2 |--|\n p1 add c 3 |---?\n p2 read c 2      |-|\n p2 read c 5         |-|\n p3 add c -1 |-?",
    );
    let (pattern, core, says) =
        invalid(counter, "p0 add c 2 |--|\n p0 add c 3     |--|\n p2 read c 2           |-|");
    assert_eq!((pattern.as_str(), core), ("lost increment", vec![0, 1, 2]));
    assert_eq!(
        says,
        "Key c: read #2 by process 2 returned 2, but at least 5 had been acknowledged before it began."
    );
    assert_eq!(invalid(counter, "p0 add c 2 |--|\n p2 read c 5 |-|").0, "thin-air sum");
    let back = "p0 add c 2 |-------------------|\n p1 read c 2   |--|\n p2 read c 0         |--|";
    assert_eq!(invalid(counter, back).0, "sum went back");
}

#[test]
fn lists() {
    let list = &checkers::list::List;
    valid(
        list,
        "p0 append l 1 |--|\n p1 append l 2 |-----?\n p2 read l [1]        |--|\n p2 read l [1 2]           |-|",
    );
    let cases = [
        ("lost element", "p0 append l 1 |--|\n p1 read l []      |--|"),
        (
            "forked reads",
            "p0 append l 1 |---|\n p1 append l 2 |---|\n p2 read l [1 2]     |-|\n p3 read l [2 1]     |-|",
        ),
        ("order inversion", "p0 append l 1 |--|\n p1 append l 2       |--|\n p2 read l [2 1]           |-|"),
        ("duplicate element", "p0 append l 1 |--|\n p1 read l [1 1]      |--|"),
        ("thin-air read", "p0 append l 1 |--x\n p1 read l [1]      |--|"),
    ];
    for (kind, notation) in cases {
        assert_eq!(invalid(list, notation).0, kind, "{notation}");
    }
}

#[test]
fn weaker_registers() {
    let regular = &checkers::regular::Regular;
    // Two reads beside one write, new then old: regular, though not linearizable.
    let inversion = "p0 write x 1 |--------------|\n p1 read x 1   |-|\n p2 read x nil      |-|";
    valid(regular, inversion);
    // The old value beside the second write after the first had been overwritten: safe, not regular.
    let old =
        "p0 write x 1 |-|\n p0 write x 2     |-|\n p0 write x 3         |----|\n p1 read x 1            |-|";
    let findings = check(regular, old);
    assert!(findings.per_model[0].1.is_invalid() && findings.per_model[1].1.is_valid(), "{findings:?}");
    let stale = "p0 write x 1 |-|\n p0 write x 2     |-|\n p1 read x 1            |-|";
    assert!(check(regular, stale).per_model.iter().all(|(_, v)| v.is_invalid()));
    assert_eq!(check(regular, "p0 add s 1 |-|").worst(), None);
    let linearizable = ALL.iter().find(|c| c.name() == "linearizable").unwrap();
    let Some(Verdict::Invalid(c)) = check(*linearizable, inversion).worst().cloned() else { panic!() };
    assert!(c.words.last().unwrap().contains("still regular"), "{:?}", c.words);
}

#[test]
fn locks() {
    let lock = &checkers::lock::Lock;
    valid(
        lock,
        "p0 acquire m |--|\n p1 acquire m |--------|\n p0 release m      |--|\n p1 release m             |-|",
    );
    let (pattern, core, says) = invalid(
        lock,
        "p0 acquire m |--|\n p1 acquire m      |--|\n p0 release m            |--|\n p1 release m            |--|",
    );
    assert_eq!((pattern.as_str(), core), ("split hold", vec![0, 1, 2, 3]));
    assert!(says.contains("acquire #1 by process 1 was granted while process 0 still held it"), "{says}");
}

/// A run of three nodes: `ok` calls a phase (before, during, after one strike that kills n1), then final reads.
fn struck(ok: [u64; 3], took: bool, final_nodes: u8) -> History {
    use history::{Call, Outcome, Process, Reply};
    let mut b = Builder::new();
    let mut line = 0;
    let mut put = |b: &mut Builder, event: Event| {
        line += 1;
        b.push(&event, line).unwrap();
    };
    for n in ["n1", "n2", "n3"] {
        b.node(n).unwrap();
    }
    let mut time = 0;
    let call = |b: &mut Builder,
                put: &mut dyn FnMut(&mut Builder, Event),
                time: &mut u64,
                node: u8,
                last: bool| {
        let read = || Call::Read(Value::text("x"));
        // Two clients at a time, so that calls meet.
        for p in 0..2 {
            let node = Some(NodeId(node));
            put(b, Event::Invoke { time: *time + p as u64, process: Process(p), node, call: read(), last });
        }
        for p in 0..2 {
            let outcome = Outcome::Ok(Reply::Read(Value::Null));
            let time = *time + 5 + p as u64;
            put(b, Event::Complete { time, process: Process(p), call: read(), outcome, server: None });
        }
        *time += 10;
    };
    (0..ok[0] / 2).for_each(|_| call(&mut b, &mut put, &mut time, 0, false));
    let strike = Strike { at: time, lasts: 1, fault: Fault::Kill(Who::One), pick: 0, nemesis: "kill".into() };
    put(&mut b, Event::StrikeBegin { time, id: 0, strike });
    let resolved = Resolved { killed: vec![NodeId(0)], ..Resolved::default() };
    let effect = Effect { took, measured: "1 of 1 dead".into() };
    put(&mut b, Event::StrikeConfirmed { time, id: 0, resolved, effect });
    (0..ok[1] / 2).for_each(|_| call(&mut b, &mut put, &mut time, 0, false));
    put(&mut b, Event::HealBegin { time, id: 0 });
    put(&mut b, Event::HealConfirmed { time, id: 0, effect: Effect { took: true, measured: "up".into() } });
    (0..ok[2] / 2).for_each(|_| call(&mut b, &mut put, &mut time, 0, false));
    (0..final_nodes).for_each(|n| call(&mut b, &mut put, &mut time, n, true));
    b.finish()
}

#[test]
fn coverage() {
    let minimum = Evidence { distinct_observed: 0, final_reads_from_all_nodes: true, ..Evidence::USUAL };
    let judge = |history: &History| Coverage { minimum }.check(history, &Budget::default());
    let why = |findings: &Findings| match findings.worst() {
        Some(Verdict::Unknown(r)) => Some((r.why.clone(), r.says.clone())),
        _ => None,
    };
    assert_eq!(why(&judge(&struck([20, 20, 20], true, 3))), None);
    let (reason, says) = why(&judge(&struck([20, 4, 20], true, 3))).unwrap();
    assert_eq!(reason, Why::Vacuous);
    assert_eq!(
        says,
        "The run is vacuous: ok calls during each strike that a majority survives: 4 of 20 wanted (strike 0 \"kill one\")."
    );
    let (reason, says) = why(&judge(&struck([20, 20, 20], true, 2))).unwrap();
    assert!(
        reason == Why::Vacuous && says.contains("nodes that answered a final read: 2 of 3 wanted (n3)"),
        "{says}"
    );
    let (reason, says) = why(&judge(&struck([20, 20, 20], false, 3))).unwrap();
    assert_eq!(
        (reason, says.as_str()),
        (Why::NoEffect, "No kill ever took effect although it was asked for.")
    );
    let gates = judge(&struck([2, 20, 20], true, 3)).measured["gates"].clone();
    let unmet: Vec<_> = gates.as_array().unwrap().iter().filter(|g| g["met"] == false).collect();
    assert_eq!((unmet.len(), &unmet[0]["wanted"], &unmet[0]["got"]), (1, &20.into(), &2.into()));
}

#[test]
fn one_call_at_a_time_is_vacuous() {
    let coverage = Coverage { minimum: Evidence::LEAST };
    let findings = check(&coverage, "p0 write x 1 |-|\n p1 read x 1      |-|");
    assert!(
        matches!(findings.worst(), Some(Verdict::Unknown(r)) if r.says.contains("calls open at once: 1 of 2"))
    );
    valid(&coverage, "p0 write x 1 |----|\n p1 read x 1      |-|");
}

#[test]
fn availability_measures_each_strike() {
    let findings =
        checkers::availability::Availability.check(&struck([20, 0, 20], true, 1), &Budget::default());
    assert_eq!(findings.worst(), None);
    assert_eq!(findings.measured["ok_after_last_heal"], 22);
    let strike = &findings.measured["strikes"][0];
    assert_eq!((&strike["took"], &strike["ok_share_before"]), (&true.into(), &serde_json::Value::Null));
    assert!(strike["first_ok_after_heal_ms"].as_f64().is_some(), "{strike}");
}

fn noted(events: &[Event]) -> History {
    let mut b = Builder::new();
    for n in ["n1", "n2"] {
        b.node(n).unwrap();
    }
    events.iter().enumerate().for_each(|(i, e)| b.push(e, i as u64 + 1).unwrap());
    b.finish()
}

#[test]
fn leaders() {
    let says =
        |time, node, role: &str, term| Event::Role { time, node: NodeId(node), role: role.into(), term };
    let leader = &checkers::leader::Leader;
    let good = [
        says(1, 0, "leader", 3),
        says(2, 1, "follower", 3),
        says(3, 1, "leader", 4),
        says(4, 0, "leader", 3),
    ];
    assert!(leader.check(&noted(&good), &Budget::default()).worst().unwrap().is_valid());
    let bad = [says(1, 0, "leader", 3), says(2, 1, "leader", 3)];
    let findings = leader.check(&noted(&bad), &Budget::default());
    let Some(Verdict::Invalid(c)) = findings.worst() else { panic!("{findings:?}") };
    assert_eq!(c.words[0], "Two leaders in one term: both n1 and n2 called themselves leader of term 3.");
    assert_eq!(leader.check(&noted(&[]), &Budget::default()).worst(), None);
}

#[test]
fn logs() {
    let field = |k: &str, v: &str| (Value::text(k), Value::text(v));
    let value = Value::Map(vec![
        field("node", "n2"),
        (Value::text("line"), Value::Int(7)),
        field("text", "thread 'main' panicked"),
        field("pattern", "panicked"),
    ]);
    let logs = &checkers::logs::Logs;
    let findings =
        logs.check(&noted(&[Event::Note { time: 1, f: "log-match".into(), value }]), &Budget::default());
    let Some(Verdict::Invalid(c)) = findings.worst() else { panic!("{findings:?}") };
    assert_eq!(c.words[0], "n2 logged \"thread 'main' panicked\" (line 7), which matches \"panicked\".");
    assert!(logs.check(&noted(&[]), &Budget::default()).worst().unwrap().is_valid());
}
