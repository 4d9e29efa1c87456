//! Who decides: each closed form where it can, each search where none can. A verdict alone would not show that one
//! of them had gone silent, since the next would give it.

use checkers::linearizable::dfs::Limits;
use checkers::linearizable::engine::{Answer, Decide, Decision, Refuted, decide_needed, refutes};
use checkers::linearizable::objects::{Register, RegisterCall, RegisterReply};
use checkers::linearizable::spec::{Spec, Timed};
use checkers::linearizable::{Linearizable, Object};
use checkers::{Budget, Checker, Why};
use history::{ValueId, text};

/// Object, who decides it, valid or not, history.
const DECIDED: &[(&str, &str, &str, &str)] = &[
    ("register", "decider", "valid", "p0 write x 1 |--|\n p1 read x 1    |--|"),
    (
        "register",
        "decider",
        "invalid",
        "p0 write x 1 |--|\n p1 write x 2     |--|\n p2 read x 1          |--|",
    ),
    // Written twice: no closed form.
    ("register", "lazy", "valid", "p0 write x 1 |--|\n p1 write x 1 |--|\n p2 read x 1    |--|"),
    // Of two writes of one value the one that ends first is used first: the other is needed once more.
    (
        "register",
        "lazy",
        "valid",
        "p0 write x 1 |----------|\n p1 write x 1  |---------------------------|\n p2 read x 1     |-|\n p3 write x 2         |-|\n p2 read x 2               |-|\n p2 read x 1                    |-|",
    ),
    (
        "register",
        "sweep",
        "invalid",
        "p0 write x 1 |--|\n p1 write x 1 |--|\n p0 write x 2     |--|\n p2 read x 1          |--|",
    ),
    ("register", "sweep", "invalid", "p0 write x 1 |--|\n p1 write x 1 |--|\n p2 read x 7    |--|"),
    ("cas-register", "decider", "valid", "p0 write x 1 |--|\n p1 cas x 1 2   |--|\n p2 read x 2        |--|"),
    (
        "cas-register",
        "dfs",
        "valid",
        "p0 write x 1 |--|\n p1 write x 1 |--|\n p1 cas x 1 2     |--|\n p2 read x 2        |--|",
    ),
    // A cas that changes nothing is a read.
    (
        "cas-register",
        "decider",
        "valid",
        "p0 write x 1 |--|\n p1 cas x 1 1     |--|\n p2 read x 1        |--|",
    ),
    // Refused before the write, and after.
    (
        "cas-register",
        "decider",
        "valid",
        "p0 cas! x 5 6 |-|\n p1 write x 5    |--|\n p2 cas! x nil 6      |-|",
    ),
    // Refused only once the value is another, which it is not for a while.
    (
        "cas-register",
        "decider",
        "valid",
        "p0 write x 5 |-|\n p1 cas! x 5 6    |-----------|\n p2 read x 5       |-|\n p3 write x 7          |-|",
    ),
    // Refused although nothing but what it expected was there.
    ("cas-register", "dfs", "invalid", "p0 write x 5 |-|\n p1 cas! x 5 6    |-|"),
    // That the cas happened shows only in the read, which belongs to the contradiction.
    (
        "cas-register",
        "decider",
        "invalid",
        "p0 write x 1 |-|\n p1 write x 3     |-|\n p2 cas x 1 2          |-?\n p3 read x 2     |--------------|",
    ),
    // Two cas that only follow each other, behind ops that have nothing to do with it.
    (
        "cas-register",
        "decider",
        "invalid",
        "p0 write x 5 |-|\n p1 read x 5     |-|\n p2 cas x 1 2       |---|\n p3 cas x 2 1        |---|",
    ),
    ("queue", "decider", "valid", "p0 enqueue q 1 |--|\n p1 dequeue q 1    |--|"),
    // Somebody who was never told has taken the first; more such than can have.
    (
        "queue",
        "decider",
        "valid",
        "p0 enqueue q 1 |-|\n p0 enqueue q 2    |-|\n p1 dequeue q       |-?\n p2 dequeue q 2        |-|",
    ),
    (
        "queue",
        "decider",
        "valid",
        "p0 enqueue q 1 |-|\n p1 dequeue q       |-?\n p2 dequeue q       |-?\n p3 dequeue q nil      |-|",
    ),
    (
        "stack",
        "decider",
        "valid",
        "p0 push s 1 |-|\n p0 push s 2    |-|\n p1 pop s       |-?\n p2 pop s 1        |-|",
    ),
    ("queue", "decider", "invalid", "p0 enqueue q 1 |--|\n p1 dequeue q nil    |--|"),
    // Somebody may have taken it, but not by then.
    (
        "queue",
        "decider",
        "invalid",
        "p0 enqueue q 1 |--|\n p1 dequeue q nil    |--|\n p2 dequeue q            |-?",
    ),
    ("queue", "decider", "valid", "p0 dequeue q |-?"),
    ("queue", "sweep", "invalid", "p0 enqueue q 1 |--|\n p1 enqueue q 1 |--|\n p1 dequeue q 7       |--|"),
    ("queue", "dfs", "valid", "p0 enqueue q 1 |--|\n p1 enqueue q 1 |--|\n p1 dequeue q 1       |--|"),
    ("stack", "decider", "valid", "p0 push s 1 |--|\n p1 pop s 1    |--|"),
    ("stack", "sweep", "invalid", "p0 push s 1 |--|\n p1 push s 1 |--|\n p1 pop s 7       |--|"),
    ("priority-queue", "decider", "valid", "p0 add q 1 |--|\n p1 poll q 1    |--|"),
    ("priority-queue", "sweep", "invalid", "p0 add q 1 |--|\n p1 add q 1 |--|\n p1 poll q 7       |--|"),
    ("list", "decider", "valid", "p0 append l 1 |---|\n p1 read l [1]       |-|"),
    ("set", "decider", "valid", "p0 add s 1 |---|\n p1 read s [1]       |-|"),
    ("set", "decider", "valid", "p0 add s 1 false |--|\n p1 has s 1 true      |--|"),
    ("counter", "decider", "valid", "p0 add c 1 |---|\n p1 read c 1       |-|"),
    ("counter", "decider", "invalid", "p0 add c 1 |---|\n p1 read c 0       |-|"),
    ("counter", "dfs", "valid", "p0 add c 2 |---|\n p1 read c 2       |-|"),
    ("counter", "sweep", "invalid", "p0 add c 2 |---|\n p1 read c 0       |-|"),
    ("max-register", "decider", "valid", "p0 write x 1 |---|\n p1 read x 1       |-|"),
    ("mutex", "decider", "valid", "p0 acquire m |---|\n p0 release m       |-|"),
];

#[test]
fn whoever_can_decides() {
    for (object, by, word, notation) in DECIDED {
        let history = text::parse(notation).unwrap();
        let object = Object::named(object).unwrap();
        let findings = Linearizable::of(object).check(&history, &Budget::default());
        assert_eq!(findings.worst().unwrap().word(), *word, "{notation}");
        assert_eq!(findings.measured["engines"], serde_json::json!({ *by: 1 }), "{notation}");
    }
}

/// What no such object answers: the deciders leave it to the search, which finds nothing that fits.
#[test]
fn strange_answers_are_left_to_the_search() {
    use checkers::linearizable::max_register::{MaxCall::*, MaxRegister, MaxReply::*};
    let says = |call, reply| {
        let ops = [Timed::<MaxRegister> { call, reply: Some(reply), inv: 0, res: 1 }];
        (MaxRegister.decide(&ops).is_some(), decide_needed(&MaxRegister, &ops, &Limits::default()).is_no())
    };
    assert_eq!(says(Write(1), Done), (true, false));
    assert_eq!(says(Read, Largest(None)), (true, false));
    assert_eq!(says(Read, Largest(Some(1))), (true, true));
    assert_eq!(says(Write(1), Largest(Some(1))), (false, true));
    assert_eq!(says(Read, Done), (false, true));
}

#[test]
fn closed_forms_know_what_is_not_theirs() {
    use checkers::linearizable::objects::*;
    let counts = |call, reply: Option<CounterReply>| {
        let res = if reply.is_some() { 1 } else { checkers::linearizable::spec::OPEN };
        Counter.decide(&[Timed { call, reply, inv: 0, res }]).is_some()
    };
    assert!(counts(CounterCall::Read, None), "what a read without an answer saw is nobody's business");
    assert!(counts(CounterCall::Add(1), None) && counts(CounterCall::Add(1), Some(CounterReply::Done)));
    assert!(!counts(CounterCall::Add(2), None) && !counts(CounterCall::Read, Some(CounterReply::Done)));
    assert!(!counts(CounterCall::Add(1), Some(CounterReply::Sum(1))));
    let whole = |call, reply| {
        let op = Timed::<WholeSet> { call, reply: Some(reply), inv: 0, res: 1 };
        WholeSet.decide(&[op]).is_some()
    };
    assert!(
        whole(SetCall::Add(ValueId(1)), SetReply::Done) && whole(SetCall::Read, SetReply::Members(vec![]))
    );
    assert!(!whole(SetCall::Add(ValueId(1)), SetReply::Was(false)));
    assert!(!whole(SetCall::Remove(ValueId(1)), SetReply::Done));
    assert!(!whole(SetCall::Has(ValueId(1)), SetReply::Done));
}

/// An explanation is told three orders at most.
#[test]
fn of_the_orders_that_got_furthest_three_are_kept() {
    let write = |i| Timed::<Register> {
        call: RegisterCall::Write(ValueId(i)),
        reply: Some(RegisterReply::Done),
        inv: i,
        res: 10 + i,
    };
    let unseen = Some(RegisterReply::Value(ValueId(9)));
    let read = Timed { call: RegisterCall::Read, reply: unseen, inv: 20, res: 21 };
    for n in 1..5 {
        let ops: Vec<Timed<Register>> = (0..n).map(write).chain([read.clone()]).collect();
        let limits = Limits { furthest: true, ..Limits::default() };
        let furthest = checkers::linearizable::dfs::search(&Register::default(), &ops, &limits).furthest;
        assert_eq!(furthest.len(), [1, 2, 3, 3][n as usize - 1], "{furthest:?}");
        assert!(furthest.iter().all(|order| order.len() == n as usize), "{furthest:?}");
    }
}

type Rule = fn(&[Timed<Erring>]) -> Option<Decision<Erring>>;

/// A register whose decider errs as it is told to.
struct Erring(Rule);

impl Spec for Erring {
    type Call = RegisterCall;
    type Reply = RegisterReply;
    type State = ValueId;

    fn init(&self) -> ValueId {
        ValueId::NULL
    }

    fn step(&self, s: &ValueId, call: &RegisterCall, reply: Option<&RegisterReply>) -> Option<ValueId> {
        Register::default().step(s, call, reply)
    }
}

impl Decide for Erring {
    fn decide(&self, ops: &[Timed<Erring>]) -> Option<Decision<Erring>> {
        self.0(ops)
    }
}

/// `n` writes and reads, one after the other.
fn valid(n: u32) -> Vec<Timed<Erring>> {
    let value = |i| ValueId(i / 2 + 1);
    let op = |i| match i % 2 {
        0 => (RegisterCall::Write(value(i)), RegisterReply::Done),
        _ => (RegisterCall::Read, RegisterReply::Value(value(i))),
    };
    let timed = |i| Timed { call: op(i).0, reply: Some(op(i).1), inv: 2 * i, res: 2 * i + 1 };
    (0..n).map(timed).collect()
}

#[test]
fn a_decider_that_errs_is_found_out() {
    let errs: [Rule; 4] = [
        |_| Some(Ok(vec![1, 0])),
        |ops| Some(Ok((1..ops.len()).collect())),
        |ops| Some(Err(Refuted { core: (0..ops.len()).collect(), reduced: None })),
        |ops| Some(Err(Refuted { core: vec![0], reduced: Some(ops.to_vec()) })),
    ];
    for n in [2, 12, 13, 30] {
        for err in errs {
            let answer = decide_needed(&Erring(err), &valid(n), &Limits::default()).answer;
            assert!(matches!(answer, Answer::Unknown(Why::Disagreement)), "{n} ops");
        }
        assert!(!refutes(&Erring(|_| None), &valid(n)), "{n} ops");
        let mut invalid = valid(n);
        invalid[1].reply = Some(RegisterReply::Value(ValueId(99)));
        assert!(refutes(&Erring(|_| None), &invalid), "{n} ops");
    }
}
