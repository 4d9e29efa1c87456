//! The list of mistakes that tests must notice (`mutants.txt`) does not rot, and the mistakes that no other test sees.
//! Not here: making the mistakes, which takes minutes: `cargo run -p checkers --example mutants`.

#[path = "common/mutants.rs"]
mod list;

use checkers::linearizable::objects::{Register, RegisterCall, RegisterReply};
use checkers::linearizable::spec::{OPEN, Timed};
use checkers::linearizable::{Linearizable, Object, dfs, frontier, oracle, preprocess, replay};
use checkers::{Budget, Checker};
use history::{ValueId, text};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn each_text_occurs_once_and_each_test_exists() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let all = list::read(include_str!("mutants.txt")).unwrap();
    assert!(all.len() >= 28, "{}", all.len());
    let names: BTreeSet<&str> = all.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "two mutants of one name");
    for mutant in all.iter().filter(|m| m.reason.is_empty()) {
        let text = std::fs::read_to_string(top.join(&mutant.file)).unwrap();
        assert_eq!(text.matches(&mutant.old).count(), 1, "{}: {:?}", mutant.name, mutant.old);
        assert!(mutant.old != mutant.new && !mutant.tests.is_empty(), "{}", mutant.name);
        for (file, test) in &mutant.tests {
            let text = std::fs::read_to_string(top.join(format!("checkers/tests/{file}.rs"))).unwrap();
            assert!(text.contains(&format!("\nfn {test}")), "{}: no test {file} {test}", mutant.name);
        }
    }
}

fn op(call: RegisterCall, reply: Option<RegisterReply>, inv: u32, res: u32) -> Timed<Register> {
    Timed { call, reply, inv, res }
}

#[test]
fn touching_ops_are_concurrent() {
    use RegisterCall::*;
    let spec = Register::default();
    let write = op(Write(ValueId(1)), Some(RegisterReply::Done), 0, 4);
    let read = op(Read, Some(RegisterReply::Value(ValueId::NULL)), 4, 6);
    let ops = [write, read];
    assert_eq!(replay::replay(&spec, &ops, &[1, 0]), Ok(()));
    assert_eq!(oracle::linearizable(&spec, &ops), Some(true));
    let mut later = ops.clone();
    later[1].inv = 5;
    assert_eq!(replay::replay(&spec, &later, &[1, 0]), Err(replay::Flaw::RealTime(0)));
    assert_eq!(oracle::linearizable(&spec, &later), Some(false));
    // The same in a record, where what shares an instant is put in an order.
    let judge = |notation| {
        let history = text::parse(notation).unwrap();
        let found = Linearizable::of(Object::Register).check(&history, &Budget::default());
        found.worst().unwrap().is_valid()
    };
    assert!(judge("p0 write x 1   |--|\np1 read x nil     |--|"));
    assert!(!judge("p0 write x 1   |--|\np1 read x nil      |--|"));
}

#[test]
fn infos_that_only_need_each_other_go() {
    use RegisterCall::*;
    let (a, b) = (ValueId(1), ValueId(2));
    let done = Some(RegisterReply::Done);
    let mut ops =
        vec![op(Cas(a, b), None, 0, OPEN), op(Cas(b, a), None, 1, OPEN), op(Write(ValueId(3)), done, 2, 3)];
    assert_eq!(preprocess::needed(&Register::default(), &ops), [2]);
    // A read of one of them needs both.
    ops.push(op(Read, Some(RegisterReply::Value(b)), 4, 5));
    assert_eq!(preprocess::needed(&Register::default(), &ops), [0, 1, 2, 3]);
}

#[test]
fn infos_used_too_early_are_no_answer() {
    use RegisterCall::*;
    let (a, b) = (ValueId(1), ValueId(2));
    let (done, saw) = (Some(RegisterReply::Done), Some(RegisterReply::Value(a)));
    // Two reads of one value on both sides of another: it was written twice, but the second write came after both.
    let ops = [
        op(Write(a), None, 0, OPEN),
        op(Read, saw, 1, 2),
        op(Write(b), done, 3, 4),
        op(Read, saw, 5, 6),
        op(Write(a), None, 7, OPEN),
        op(Write(b), done, 8, 9),
    ];
    let (spec, limits) = (Register::default(), dfs::Limits::default());
    assert_eq!(oracle::linearizable(&spec, &ops), Some(false));
    let relaxed = frontier::relaxed(&spec, &ops, &limits, None).1.answer;
    assert!(matches!(relaxed, dfs::Answer::Spent(_)), "{relaxed:?}");
    assert_eq!(frontier::cegar(&spec, &ops, &limits).answer, dfs::Answer::No);
}
