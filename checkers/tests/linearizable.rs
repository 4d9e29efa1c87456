//! The checker over recorded histories: the litmus table, words, keys, windows, determinism.

use checkers::linearizable::{Linearizable, Object};
use checkers::{Budget, Checker, Counterexample, Findings, Verdict};
use history::{History, text};

fn judge(object: Object, notation: &str) -> Findings {
    Linearizable::of(object).check(&text::parse(notation).unwrap(), &Budget::default())
}

fn invalid(object: Object, notation: &str) -> Counterexample {
    match judge(object, notation).per_model.swap_remove(0).1 {
        Verdict::Invalid(c) => *c,
        other => panic!("{other:?} of\n{notation}"),
    }
}

fn valid(object: Object, notation: &str) {
    let findings = judge(object, notation);
    assert!(findings.worst().unwrap().is_valid(), "{findings:?} of\n{notation}");
}

/// Id, ops, linearizable.
const LITMUS: [(&str, &str, bool); 18] = [
    ("L01", "w1(x):=1; r2(x)=1", true),
    ("L02", "w1(x):=1; r2(x)=0", false),
    ("L03", "w1(x):=1; r2(x)=1; r3(x)=0", false),
    ("L04", "w1(x):=1; r1(x)=0", false),
    ("L05", "w1(x):=1; r2(x)=1; r2(x)=0", false),
    ("L06", "w1(x):=1; w1(y):=1; r2(y)=1; r2(x)=0", false),
    ("L07", "w1(x):=1; r2(x)=1; w2(y):=1; r3(y)=1; r3(x)=0", false),
    ("L08", "w1(x):=1; w2(y):=1; r3(x)=1; r3(y)=0; r4(y)=1; r4(x)=0", false),
    ("L09", "w1(x):=1; r1(y)=0; w2(y):=1; r2(x)=0", false),
    ("L10", "w1(x):=1; w2(x):=2; r3(x)=1; r3(x)=2; r4(x)=2; r4(x)=1", false),
    ("L11", "r2(x)=1; w1(x):=1", false),
    ("L12", "w1(x):=1; r2(x)=7", false),
    ("L13", "w1(x):=1?; r2(x)=1; r3(x)=0", false),
    ("L14", "w1(x):=1?; r2(x)=0; r3(x)=1", true),
    ("L15", "w1(x):=1; w2(y):=1; r3(y)=1; r3(x)=0", false),
    ("L16", "w1(x):=1; w2(x):=2; r3(x)=2; r3(x)=1", false),
    ("L17", "w1(x):=1; w1(x):=2; r2(x)=2; r2(x)=1", false),
    ("L18", "w1(x):=1; r2(x)=1; w2(x):=2; r3(x)=2; r3(x)=1", false),
];

#[test]
fn the_litmus_table() {
    for (id, ops, linearizable) in LITMUS {
        let history = text::litmus(ops).unwrap();
        let findings = Linearizable::of(Object::Register).check(&history, &Budget::default());
        assert_eq!(findings.worst().unwrap().is_valid(), linearizable, "{id}: {findings:?}");
    }
}

#[test]
fn a_stale_read_is_told() {
    let c = invalid(
        Object::Register,
        "         p0 write x 1 @n1  |--|
         p1 write x 2 @n2        |--|
         p2 read x 1  @n3               |---|
         p3 read x 2  @n1                       |--|",
    );
    assert_eq!(c.pattern, "stale read");
    assert_eq!(c.core.iter().map(|i| i.0).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(
        c.words,
        [
            "Key x is not linearizable: read #2 by process 2 on n3 returned 1, although write #1 had replaced it with 2 before #2 began.",
            "Write #0 of 1 by process 0 on n1 completed 3.0 µs before write #1 of 2 by process 1 on n2 was invoked.",
            "#1 was acknowledged 4.0 µs before read #2 began, so 1 was no longer there to be found.",
        ]
    );
}

#[test]
fn each_pattern_has_its_name() {
    let cases = [
        ("thin-air read", "p0 read x 7 |--|"),
        ("thin-air read", "p0 write x 7 |--x\n p1 read x 7       |--|"),
        ("future read", "p0 read x 7 |--|\n p1 write x 7       |--|"),
        ("new/old inversion", "p0 write x 1 |--------------|\n p1 read x 1   |-|\n p2 read x nil      |-|"),
        ("lost update", "p0 write x 1 |-|\n p1 cas x 1 2     |-----|\n p2 cas x 1 3     |-----|\n"),
        ("stale read", "p0 write x 1 |--------------|\n p1 cas x 1 2   |-|\n p2 read x 1          |-----|"),
        ("stale read", "p0 read x nil          |--|\n p1 write x 1 |--|"),
    ];
    for (pattern, notation) in cases {
        let c = invalid(Object::CasRegister, notation);
        assert_eq!(c.pattern, pattern, "{c:?}");
        assert!(c.words.len() >= 2 && c.first_bad.is_some(), "{c:?}");
    }
}

#[test]
fn an_old_value_written_many_times_is_one_line() {
    let mut notation = String::new();
    for i in 0..40 {
        notation += &format!("p0 write x 1 {:pad$}|-|\n", "", pad = i * 4);
    }
    notation += &format!("p1 write x 2 {:pad$}|-|\n p2 read x 1 {:pad$}|-|", "", "", pad = 170);
    notation = notation.replace(" p2 read x 1 ", "p2 read x 1             ");
    let c = invalid(Object::Register, &notation);
    assert_eq!(
        (c.pattern.as_str(), c.groups.as_slice()),
        ("stale read", &["all 40 writes of 1".to_string()][..])
    );
    assert!(c.core.len() <= 3, "{c:?}");
}

#[test]
fn other_objects() {
    valid(Object::Counter, "p0 add c 2 |----|\n p1 read c 2  |-|\n p2 add c 1 |-?\n p3 read c 3         |-|");
    let c = invalid(Object::Counter, "p0 add c 2 |----|\n p1 read c 5         |-|");
    assert!(c.pattern == "thin-air sum" && c.words[0].contains("returned 5, but at most 2"), "{c:?}");
    let c = invalid(Object::Counter, "p0 add c 2 |----|\n p1 add c 2 |----|\n p2 read c 1  |-|");
    assert!(c.words[0].contains("no order") && c.words[2].contains("needs 1, sum is"), "{:?}", c.words);
    valid(
        Object::Queue,
        "p0 enqueue q 1 |--|\n p1 enqueue q 2     |--|\n p2 dequeue q 1          |--|\n p2 dequeue q 2                 |-|",
    );
    invalid(
        Object::Queue,
        "p0 enqueue q 1 |--|\n p1 enqueue q 2       |--|\n p2 dequeue q 2               |--|",
    );
    valid(Object::Mutex, "p0 acquire m |--|\n p0 release m      |--|\n p1 acquire m       |---|");
    invalid(Object::Mutex, "p0 acquire m |--|\n p1 acquire m      |--|");
    valid(Object::Set, "p0 add s 1 |---|\n p1 read s [1]  |-|\n p2 read s []  |-|\n p3 add s 2  |-?");
    valid(Object::List, "p0 append l 1 |---|\n p1 append l 2 |---|\n p2 read l [2 1]       |-|");
}

#[test]
fn collections_are_told() {
    let cases = [
        (Object::Set, "lost element", "p0 add s 1 |--|\n p1 read s []      |--|"),
        (
            Object::Set,
            "element vanished",
            "p0 add s 1 |--?\n p1 read s [1]      |--|\n p2 read s []             |--|",
        ),
        (Object::List, "thin-air read", "p0 append l 1 |--|\n p1 read l [1 9]      |--|"),
        (Object::List, "duplicate element", "p0 append l 1 |--|\n p1 read l [1 1]      |--|"),
        (
            Object::List,
            "order inversion",
            "p0 append l 1 |--|\n p1 append l 2      |--|\n p2 read l [2 1]          |-|",
        ),
        (
            Object::List,
            "forked reads",
            "p0 append l 1 |---|\n p1 append l 2 |---|\n p2 read l [1]  |-|\n p3 read l [2]  |-|",
        ),
    ];
    for (object, pattern, notation) in cases {
        let c = invalid(object, notation);
        assert_eq!(c.pattern, pattern, "{c:?}");
        assert!(c.core.len() <= 4 && c.words.len() >= 2, "{c:?}");
    }
}

/// `n` writes and reads of one key by one client, while one more call is open for nearly all of the run.
fn wide(n: u32, slow: &str) -> History {
    use history::{Builder, Call, Event, Outcome, Process, Reply, Value};
    let mut b = Builder::new();
    let mut time = 0;
    let mut push = |process: u32, call: Call, reply: Option<Reply>| {
        time += 1;
        let process = Process(process);
        let event = match reply {
            None => Event::Invoke { time, process, node: None, call, last: false },
            Some(reply) => Event::Complete { time, process, call, outcome: Outcome::Ok(reply), server: None },
        };
        b.push(&event, time).unwrap();
    };
    let x = || Value::text("x");
    let slow = if slow == "write" { Call::Write(x(), Value::Int(-1)) } else { Call::Read(x()) };
    push(0, slow.clone(), None);
    for i in 0..n as i64 {
        let reply = Value::Int(if i == n as i64 / 2 { -1 } else { i % 5 });
        push(1, Call::Write(x(), Value::Int(i % 5)), None);
        push(1, Call::Write(x(), Value::Int(i % 5)), Some(Reply::Done));
        push(2, Call::Read(x()), None);
        push(2, Call::Read(x()), Some(Reply::Read(reply)));
    }
    let reply = if slow.f() == "write" { Reply::Done } else { Reply::Read(Value::Int(3)) };
    push(0, slow, Some(reply));
    b.finish()
}

#[test]
fn one_call_open_over_all_others_costs_nothing() {
    let findings = Linearizable::of(Object::Register).check(&wide(20_000, "write"), &Budget::default());
    assert!(findings.worst().unwrap().is_valid(), "{findings:?}");
    assert!(findings.measured["steps"].as_u64().unwrap() < 2_000_000, "{:?}", findings.measured);
}

#[test]
fn a_spent_budget_is_unknown_and_says_how_far() {
    let budget = Budget { steps: 100, ..Budget::default() };
    let findings = Linearizable::of(Object::Register).check(&wide(1_000, "write"), &budget);
    let Verdict::Unknown(reason) = findings.worst().unwrap() else { panic!("{findings:?}") };
    assert!(reason.settled > 10 && reason.settled < reason.of, "{reason:?}");
    assert!(reason.says.contains("Key x is undecided"), "{reason:?}");
}

#[test]
fn every_key_is_judged_and_the_earliest_violation_comes_first() {
    let findings = judge(
        Object::Auto,
        "         p0 read a 1               |--|
         p1 read b 1   |--|
         p2 write c 1  |--|",
    );
    let keys: Vec<String> = findings
        .per_model
        .iter()
        .filter_map(|(_, v)| match v {
            Verdict::Invalid(c) => c.key.as_ref().map(|k| k.to_plain()),
            _ => None,
        })
        .collect();
    assert_eq!(keys, ["b", "a"]);
    assert_eq!((&findings.measured["keys"], &findings.measured["invalid_keys"]), (&3.into(), &2.into()));
}
