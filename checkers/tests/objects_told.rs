//! The objects beyond the register as they are recorded: names, words for contradictions, decoys, foreign shapes.

use checkers::linearizable::{Linearizable, Object};
use checkers::{Budget, Checker, Counterexample, Verdict};
use history::text;

fn judge(object: &str, notation: &str) -> Verdict {
    let object = Object::named(object).unwrap();
    let history = text::parse(notation).unwrap();
    Linearizable::of(object).check(&history, &Budget::default()).per_model.swap_remove(0).1
}

fn invalid(object: &str, notation: &str) -> Counterexample {
    match judge(object, notation) {
        Verdict::Invalid(c) => *c,
        other => panic!("{object}: {other:?} of\n{notation}"),
    }
}

/// Object, pattern, first sentence, history.
const TOLD: &[(&str, &str, &str, &str)] = &[
    (
        "mutex",
        "split hold",
        "Key m is not linearizable: two clients held the lock at once: acquire #1 by process 1 was granted while process 0 still held it by acquire #0.",
        "p0 acquire m |--|\n p1 acquire m      |--|\n p0 release m           |--|",
    ),
    (
        "mutex",
        "release without hold",
        "Key m is not linearizable: release #0 by process 0 was acknowledged, but process 0 did not hold the lock.",
        "p0 release m |--|",
    ),
    (
        "mutex",
        "held too often",
        "Key m is not linearizable: acquire #1 by process 0 was granted while the same process still held the lock by an earlier acquire.",
        "p0 acquire m |--|\n p0 acquire m      |--|",
    ),
    (
        "reentrant-lock:2",
        "held too often",
        "Key m is not linearizable: acquire #2 by process 0 was granted while the same process still held the lock by 2 earlier acquires.",
        "p0 acquire m |--|\n p0 acquire m      |--|\n p0 acquire m          |--|",
    ),
    (
        "reentrant-lock",
        "split hold",
        "Key m is not linearizable: two clients held the lock at once: acquire #3 by process 1 was granted while process 0 still held it by acquire #0.",
        "p0 acquire m |--|\n p0 acquire m      |--|\n p0 release m          |--|\n p1 acquire m               |--|",
    ),
    (
        "fenced-lock",
        "token not larger",
        "Key m is not linearizable: acquire #2 by process 1 was granted with fencing token 7, although acquire #0 had been granted before with token 7.",
        "p0 acquire m 7 |--|\n p0 release m        |--|\n p1 acquire m 7           |--|",
    ),
    (
        "unique-ids",
        "duplicate id",
        "The id generator is not linearizable: generate #1 by process 1 was given the id 4, which generate #0 by process 0 had been given too.",
        "p0 generate - 4 |--|\n p1 generate - 4      |--|",
    ),
    (
        "counter",
        "lost increment",
        "Key c is not linearizable: read #2 by process 2 returned 0, although read #1 by process 1 had returned 1 before it began.",
        "p0 add c 1  |--------------|\n p1 read c 1   |--|\n p2 read c 0         |--|",
    ),
    (
        "counter",
        "lost increment",
        "Key c is not linearizable: read #3 by process 1 returned 1, although read #1 by process 1 had returned 1 before it began.",
        "p0 add c 1  |-------------------|\n p1 read c 1   |--|\n p2 add c 1          |--|\n p1 read c 1              |--|",
    ),
    (
        "set",
        "lost element",
        "Key s[1] is not linearizable: has #1 by process 1 did not find the element, but it must have been there.",
        "p0 add s 1 false |--|\n p1 has s 1 false      |--|",
    ),
    (
        "set",
        "resurrected element",
        "Key s[1] is not linearizable: has #2 by process 1 found the element, but it cannot have been there.",
        "p0 add s 1 false |--|\n p0 remove s 1 true    |--|\n p1 has s 1 true                 |--|",
    ),
    (
        "set",
        "thin-air element",
        "Key s[1] is not linearizable: has #0 by process 1 found the element, which nobody had added.",
        "p1 has s 1 true  |--|",
    ),
    (
        "max-register",
        "stale read",
        "Key x is not linearizable: read #2 by process 2 returned 1, although a larger value was there before it began.",
        "p0 write x 1 |--|\n p1 write x 2      |--|\n p2 read x 1            |--|",
    ),
    (
        "max-register",
        "late write",
        "Key x is not linearizable: read #1 by process 2 returned 1, which can never have been the largest value.",
        "p0 write x 2 |--|\n p1 write x 1       |--|\n p2 read x 1    |---------|",
    ),
    (
        "kv",
        "lost append",
        "Key k is not linearizable: read #2 by process 2 returned \"a\", without \"b\", which append #1 by process 1 had appended.",
        "p0 write k a  |--|\n p1 append k b      |--|\n p2 read k a             |--|",
    ),
    (
        "kv",
        "thin-air read",
        "Key k is not linearizable: read #1 by process 2 returned \"az\", which is not made of what was put and appended.",
        "p0 write k a  |--|\n p2 read k az             |--|",
    ),
];

#[test]
fn contradictions_are_told() {
    for (object, pattern, first, notation) in TOLD {
        let c = invalid(object, notation);
        assert_eq!((c.pattern.as_str(), c.words[0].as_str()), (*pattern, *first), "{c:?}");
        assert!(c.words.len() >= 2 && c.words.iter().all(|w| w.ends_with('.')), "{:?}", c.words);
        assert!(c.core.len() <= 4 && c.first_bad.is_some(), "{c:?}");
        assert!(!c.words.concat().contains("Disagreement"));
    }
}

/// Where no pattern fits: how far an order gets, and what the object is like there.
const NO_ORDER: &[(&str, &str, &str)] = &[
    (
        "stack",
        "but then nothing can come next: #3 needs 2, the top is 1.",
        "p0 push s 1 |-|\n p0 push s 2    |-|\n p1 push s 1       |-|\n p1 pop s 2           |-|",
    ),
    (
        "stack",
        "#3 needs an empty stack, the top is 1.",
        "p0 push s 1 |-|\n p0 push s 1    |-|\n p1 pop s 1       |-|\n p1 pop s nil           |-|",
    ),
    (
        "queue",
        "#3 needs 2, the head is 1.",
        "p0 enqueue q 1 |-|\n p0 enqueue q 2    |-|\n p1 enqueue q 1       |-|\n p1 dequeue q 2           |-|",
    ),
    (
        "priority-queue",
        "#3 needs 1, the largest is 2.",
        "p0 add q 1 |-|\n p0 add q 2    |-|\n p1 add q 1       |-|\n p1 poll q 1           |-|",
    ),
    (
        "priority-queue",
        "#3 needs it empty, the largest is 1.",
        "p0 add q 1 |-|\n p0 add q 2    |-|\n p1 add q 1       |-|\n p1 poll q nil           |-|",
    ),
];

#[test]
fn where_an_order_ends_is_told() {
    for (object, ending, notation) in NO_ORDER {
        let c = invalid(object, notation);
        assert_eq!(c.pattern, "no order exists", "{c:?}");
        assert!(c.words[2].starts_with("One order gets as far as #"), "{:?}", c.words);
        assert!(c.words[2].ends_with(ending), "{:?}", c.words);
    }
}

/// What looks wrong and is not.
const DECOYS: &[(&str, &str)] = &[
    // Granted while the other had already asked to release.
    ("mutex", "p0 acquire m |--|\n p0 release m      |------|\n p1 acquire m        |--|"),
    // The release was never answered.
    ("mutex", "p0 acquire m |--|\n p0 release m      |--?\n p1 acquire m             |--|"),
    // Granted, perhaps, to one who never heard of it: nobody else was.
    ("mutex", "p0 acquire m |--|\n p0 release m      |--|\n p1 acquire m             |--?"),
    ("reentrant-lock", "p0 acquire m |-|\n p0 acquire m    |-|\n p0 acquire m       |-|"),
    (
        "reentrant-lock:2",
        "p0 acquire m |-|\n p0 acquire m    |-|\n p0 release m       |-|\n p0 acquire m            |-|",
    ),
    // Tokens may leave gaps.
    ("fenced-lock", "p0 acquire m 3 |-|\n p0 release m       |-|\n p1 acquire m 90        |-|"),
    (
        "semaphore:2",
        "p0 acquire s |-|\n p1 acquire s     |-|\n p0 release s         |--|\n p2 acquire s         |--|",
    ),
    ("unique-ids", "p0 generate - 9 |-|\n p1 generate - 3    |-|\n p2 generate - 9  |-?"),
    // Reads of overlapping increments, and one that was never answered.
    ("counter", "p0 add c 1 |--?\n p1 read c 0       |--|\n p1 read c 1            |--|"),
    // A small write after a large one changes nothing.
    ("max-register", "p0 write x 9 |--|\n p1 write x 2      |--|\n p2 read x 9            |--|"),
    (
        "max-register",
        "p0 write x 9 |--?\n p1 write x 2      |--|\n p2 read x 2            |--|\n p2 read x 9                 |--|",
    ),
    // What a read that was never answered saw is nobody's business.
    ("max-register", "p0 write x 9 |--?\n p1 read x       |--?\n p2 read x 9 |--|"),
    // Taken out by a call that was never answered.
    (
        "set",
        "p0 add s 1 false |--|\n p1 remove s 1 true    |-?\n p2 has s 1 false            |--|\n p2 add s 1 false                 |--|",
    ),
    // A text that was replaced may come back shorter, and an append may be lost to a put.
    (
        "kv",
        "p0 write k a |-|\n p1 append k b    |-----|\n p2 write k c     |-----|\n p3 read k c               |--|",
    ),
    ("kv", "p0 append k b |-?\n p1 write k a       |--|\n p1 read k ab            |--|"),
    // Registers that were read apart were written together.
    (
        "multi-register",
        "p0 txn - [w x 1] [w y 1] |-------|\n p1 txn - [r x nil] [r y nil] |--|\n p2 txn - [r x 1] [r y 1]       |--|",
    ),
    ("multi-register:0", "p0 txn - [r x 0] [w x 1] [r x 1] |---|\n p1 read y 0 |---|"),
    // Revisions of other keys lie in between.
    (
        "versioned-kv",
        "p0 put k a 3 |-|\n p1 read k [a 3]   |-|\n p0 put k b 9       |-|\n p1 cas! k 3 c          |-|\n p1 cas k 9 c                |-|\n p1 read k [c 12]                |-|",
    ),
    (
        "versioned-kv",
        "p0 write k a |-|\n p1 read k [a 7]   |-|\n p0 delete k 7        |-|\n p1 read k nil            |-|",
    ),
];

#[test]
fn decoys_are_valid() {
    for (object, notation) in DECOYS {
        let verdict = judge(object, notation);
        assert!(verdict.is_valid(), "{object}: {verdict:?} of\n{notation}");
    }
}

#[test]
fn searched_objects_are_refuted_too() {
    let cases = [
        ("semaphore:2", "p0 acquire s |-|\n p1 acquire s     |-|\n p2 acquire s         |--|"),
        ("semaphore", "p0 release s |-|"),
        ("multi-register", "p0 txn - [w x 1] [w y 1] |---|\n p1 txn - [r x 1] [r y nil]   |-----|"),
        ("multi-register", "p0 read x 0 |---|"),
        ("versioned-kv", "p0 put k a 3 |-|\n p0 put k b 3     |-|"),
        ("versioned-kv", "p0 put k a 3 |-|\n p1 cas k 2 b      |-|"),
        ("versioned-kv", "p0 put k a 3 |-|\n p1 read k [a 4]      |-|"),
        ("versioned-kv", "p0 put k a 3 |-|\n p1 cas! k 3 b      |-|"),
        // The revision that was not told is shown too late: the refusal had ruled it out.
        ("versioned-kv", "p0 put k a |-|\n p1 cas! k 5 b      |-|\n p1 read k [a 5]         |-|"),
        ("kv", "p0 append k a |-|\n p0 append k a     |-|\n p1 read k a            |-|"),
    ];
    for (object, notation) in cases {
        let c = invalid(object, notation);
        assert!(c.words.len() >= 2 && !c.core.is_empty(), "{c:?}");
    }
}

#[test]
fn a_call_that_the_object_does_not_have_is_unknown() {
    let cases = [
        ("unique-ids", "p0 write x 1 |-|", "no call"),
        ("multi-register", "p0 txn - [append x 1] |-|", "no appends"),
        ("max-register", "p0 write x a |-|", "not an integer"),
        ("fenced-lock", "p0 acquire x a |-|", "no whole number"),
        ("versioned-kv", "p0 cas x a b |-|", "no revision"),
        ("kv", "p0 append x 1 |-|", "no text"),
    ];
    for (object, notation, says) in cases {
        match judge(object, notation) {
            Verdict::Unknown(reason) => assert!(reason.says.contains(says), "{reason:?}"),
            other => panic!("{object}: {other:?}"),
        }
    }
}

#[test]
fn names_of_objects() {
    for object in Object::ALL {
        assert_eq!(Object::named(object.name()), Ok(object));
    }
    assert_eq!(Object::named("semaphore:3"), Ok(Object::Semaphore(3)));
    assert_eq!(Object::named("reentrant-lock:2"), Ok(Object::ReentrantLock(Some(2))));
    assert_eq!(Object::named("multi-register:-1"), Ok(Object::MultiRegister(Some(-1))));
    for bad in ["semaphore:0", "semaphore:", "semaphore:x", "register:1", "nosuch", "multi-register:x"] {
        assert!(Object::named(bad).is_err(), "{bad}");
    }
}

/// A txn of etcd's robustness tests, as its reader leaves it.
#[test]
fn conditional_txns_of_etcd_are_judged() {
    use history::jsonl::ReadOptions;
    let range = |client: u32, call: u64, value: &str| {
        let kvs = match value {
            "" => "[]".to_string(),
            v => format!(r#"[{{"Key":"k","Value":{{"Value":"{v}"}},"ModRevision":2}}]"#),
        };
        format!(
            r#"{{"ClientId":{client},"Input":{{"Type":"range","Range":{{"Start":"k","End":"","Revision":0}}}},"Call":{call},"Output":{{"Range":{{"KVs":{kvs}}},"Revision":9}},"Return":{}}}"#,
            call + 5
        )
    };
    let txn = |client: u32, call: u64, expected: u32, value: &str, failure: bool, revision: u32| {
        format!(
            r#"{{"ClientId":{client},"Input":{{"Type":"txn","Txn":{{"Conditions":[{{"Key":"k","ExpectedRevision":{expected}}}],"OperationsOnSuccess":[{{"Type":"put-operation","Put":{{"Key":"k","Value":{{"Value":"{value}"}}}}}}],"OperationsOnFailure":[]}}}},"Call":{call},"Output":{{"Txn":{{"Failure":{failure},"Results":[]}},"Revision":{revision}}},"Return":{}}}"#,
            call + 5
        )
    };
    let judge = |lines: &[String]| {
        let input = lines.join("\n");
        let format = history::formats::named("etcd-robustness").unwrap();
        let history = format.read(&mut input.as_bytes(), &ReadOptions::default()).unwrap();
        Linearizable::of(Object::VersionedKv).check(&history, &Budget::default()).per_model.swap_remove(0).1
    };
    let good = [txn(1, 10, 0, "a", false, 2), txn(2, 20, 2, "b", false, 3), range(1, 30, "b")];
    assert!(judge(&good).is_valid(), "{:?}", judge(&good));
    let refused = [txn(1, 10, 0, "a", false, 2), txn(2, 20, 0, "b", true, 2), range(1, 30, "a")];
    assert!(judge(&refused).is_valid(), "{:?}", judge(&refused));
    let stale = [txn(1, 10, 0, "a", false, 2), txn(2, 20, 2, "b", false, 3), range(1, 30, "a")];
    assert!(judge(&stale).is_invalid());
    let twice = [txn(1, 10, 0, "a", false, 2), txn(2, 20, 0, "b", false, 3)];
    assert!(judge(&twice).is_invalid());
}

/// What states are called, and why a call cannot come next in one.
#[test]
fn states_and_refusals() {
    use checkers::linearizable::bind::Bind;
    use checkers::linearizable::max_register::{MaxCall, MaxRegister, MaxReply};
    use checkers::linearizable::objects::*;
    use checkers::linearizable::priority_queue::{PriorityQueue, PriorityQueueCall, PriorityQueueReply};
    use checkers::linearizable::spec::Timed;
    use checkers::linearizable::stack::{Stack, StackCall, StackReply};
    use history::{History, Value};

    fn says<S: Bind>(spec: &S, history: &History, state: S::State, call: S::Call, reply: S::Reply) -> String {
        let op = Timed::<S> { call, reply: Some(reply), inv: 0, res: 1 };
        format!("{}; {}", spec.show(&state, history), spec.refusal(&state, &op, history))
    }

    let history = text::parse("p0 write x 1 |-|").unwrap();
    let id = |n: i64| history.values().find(&Value::Int(n)).unwrap();
    let ids = |n: i64| (1..=n).map(id).collect::<Vec<_>>();
    let took = |state: Vec<history::ValueId>, v| {
        says(&Stack, &history, state, StackCall::Pop, StackReply::Took(id(v)))
    };
    assert_eq!(took(ids(2), 1), "[1 2]; needs 1, the top is 2");
    assert_eq!(took(ids(0), 1), "[]; needs 1, the stack is empty");
    assert_eq!(took(ids(12), 1), "[1 2 3 4 5 6 7 8 9 10 11 12]; needs 1, the top is 12");
    assert_eq!(took(ids(13), 1), "[1 2 3 4 5 6 7 8 9 10 11 12 … 13 in all]; needs 1, the top is 13");
    let empty = says(&Stack, &history, ids(1), StackCall::Pop, StackReply::Empty);
    assert_eq!(empty, "[1]; needs an empty stack, the top is 1");
    let push = says(&Stack, &history, ids(1), StackCall::Push(id(3)), StackReply::Empty);
    assert_eq!(push, "[1]; needs an empty stack, the top is 1");
    let done = says(&Stack, &history, ids(1), StackCall::Pop, StackReply::Done);
    assert_eq!(done, "[1]; does not fit");

    use PriorityQueueReply as Polled;
    let poll = |n: i64, reply| {
        let state = (1..=n).map(|v| (v, 1 + (v == 1) as u32)).collect();
        says(&PriorityQueue, &history, state, PriorityQueueCall::Poll, reply)
    };
    assert_eq!(poll(2, Polled::Took(1)), "[2 1 1]; needs 1, the largest is 2");
    assert_eq!(poll(0, Polled::Took(1)), "[]; needs 1, it is empty");
    assert_eq!(poll(11, Polled::Empty), "[11 10 9 8 7 6 5 4 3 2 1 1]; needs it empty, the largest is 11");
    assert_eq!(poll(12, Polled::Done), "[12 11 10 9 8 7 6 5 4 3 2 1 … 13 in all]; does not fit");

    let element = |state, call, reply| says(&Element, &history, state, call, reply);
    assert_eq!(
        element(true, ElementCall::Has, ElementReply::Was(false)),
        "present; needs it absent, it is present"
    );
    assert_eq!(
        element(false, ElementCall::Remove, ElementReply::Was(true)),
        "absent; needs it present, it is absent"
    );
    assert_eq!(element(false, ElementCall::Has, ElementReply::Done), "absent; does not fit");

    let largest = |state, call, reply| says(&MaxRegister, &history, state, call, reply);
    assert_eq!(
        largest(Some(4), MaxCall::Read, MaxReply::Largest(None)),
        "4; needs nil, the largest value is 4"
    );
    assert_eq!(
        largest(None, MaxCall::Read, MaxReply::Largest(Some(-2))),
        "nil; needs -2, the largest value is nil"
    );
    assert_eq!(largest(Some(4), MaxCall::Read, MaxReply::Done), "4; does not fit, the largest value is 4");
}
