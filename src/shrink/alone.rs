//! Which ops must be kept so that a counterexample can be understood without the rest of its history.
//!
//! A core may leave out ops that one line stands for ("all 83 writes of 3"); written down alone, its reads would
//! return values out of thin air, which is another story. So the ops that made what the core saw are put back until
//! the story is the same again, and then weakened by the two moves that can only make a history easier to satisfy:
//! a read is deleted, any other op is demoted to possibly-happened. What is still invalid then proves the whole
//! invalid. Not here: judging (the caller's), and writing it down.

use checkers::Counterexample;
use history::{History, MicroOp, Op, OpId, OutcomeKind, ReplyId, Value, ValueId};
use std::collections::{BTreeMap, BTreeSet};

/// The ops kept, and whether each counts only as possibly-happened.
pub type Kept = BTreeMap<OpId, bool>;

/// Judgings that one weakening may take.
const TRIES: usize = 3_000;

/// The smallest selection of ops that tells the same story alone; `None` where even the whole key does not.
/// `same` judges a selection: invalid in the same way. `invalid` judges it: invalid at all.
pub fn alone(
    history: &History,
    found: &Counterexample,
    same: &dyn Fn(&Kept) -> bool,
    invalid: &dyn Fn(&Kept) -> bool,
) -> Option<Kept> {
    let mut core: Kept = found.core.iter().map(|id| (*id, false)).collect();
    core.extend(found.demoted.iter().map(|id| (*id, true)));
    let made = with_makers(history, &core);
    let mut closed = made.clone();
    loop {
        let more = with_makers(history, &closed);
        if more.len() == closed.len() {
            break;
        }
        closed = more;
    }
    // Where every value seen has all its makers, another name for the contradiction is no lie.
    let tells = |kept: &Kept| same(kept) || (with_makers(history, kept).len() == kept.len() && invalid(kept));
    if tells(&core) {
        return Some(core);
    }
    let ended = end(history, &core);
    let bad = found.first_bad.map_or(ended, |id| history.op(id).res().max(ended));
    let [until_bad, whole] = [bad, u32::MAX].map(|end| whole_key(history, &core, end));
    [made, closed, until_bad, whole]
        .into_iter()
        .find(|kept| tells(kept))
        .map(|kept| weaken(history, kept, &core, same))
}

/// Adds the ops that may have made a value that one of these saw, as far as they began before the last of these ended.
fn with_makers(history: &History, kept: &Kept) -> Kept {
    let ops = || kept.keys().map(|id| history.op(*id));
    let seen: BTreeSet<(Value, Value)> = ops().flat_map(|op| saw(history, &op)).collect();
    let keys: BTreeSet<ValueId> = ops().map(|op| op.key()).collect();
    // A transaction has its keys inside.
    let tied = ops().any(|op| op.f() == "txn");
    let near = |op: &Op<'_>| tied || op.f() == "txn" || keys.contains(&op.key());
    let end = end(history, kept);
    let mut all = kept.clone();
    for op in history.ops().filter(|op| near(op) && op.kind() != OutcomeKind::Fail && op.inv() < end) {
        if made(history, &op).iter().any(|made| seen.contains(made)) {
            all.entry(op.id).or_insert(op.res() > end);
        }
    }
    all
}

/// Every op of the core's keys that began before that position; what was open there as possibly-happened.
fn whole_key(history: &History, core: &Kept, end: u32) -> Kept {
    let keys: BTreeSet<ValueId> = core.keys().map(|id| history.op(*id).key()).collect();
    // A transaction has its keys inside, and ties them together.
    let tied = core.keys().any(|id| matches!(history.op(*id).f(), "txn" | "etcd-txn"));
    let mut all = core.clone();
    for op in history
        .ops()
        .filter(|op| (tied || keys.contains(&op.key())) && op.kind() != OutcomeKind::Fail && op.inv() < end)
    {
        all.entry(op.id).or_insert(op.res() > end);
    }
    all
}

/// The last completion among these, as a position.
fn end(history: &History, kept: &Kept) -> u32 {
    let ops = kept.iter().filter(|(_, weak)| !**weak).map(|(id, _)| history.op(*id));
    ops.filter(Op::is_ok).map(|op| op.res()).max().unwrap_or(u32::MAX)
}

/// The values that an op puts where others can see them, with their keys.
fn made(history: &History, op: &Op<'_>) -> Vec<(Value, Value)> {
    let at = |value: ValueId| vec![(history.value(op.key()), history.value(value))];
    match (op.f(), op.reply()) {
        (_, ReplyId::Mismatch) => Vec::new(),
        ("write" | "add" | "append" | "enqueue" | "push" | "put", _) => at(op.arg()),
        ("cas", _) => op.cas().map_or(Vec::new(), |(_, new)| at(new)),
        ("txn", _) => steps(op, |step| match step {
            MicroOp::Write(key, value) | MicroOp::Append(key, value) => Some((key, value)),
            MicroOp::Read(..) => None,
        }),
        _ => Vec::new(),
    }
}

/// What an op saw, elements one by one, with their keys. Nothing needs to have made nil.
fn saw(history: &History, op: &Op<'_>) -> Vec<(Value, Value)> {
    let key = || history.value(op.key());
    let seen = match (op.f(), op.reply()) {
        ("cas", ReplyId::Done) => op.cas().map(|(old, _)| (key(), history.value(old))).into_iter().collect(),
        ("txn", _) if op.is_ok() => steps(op, |step| match step {
            MicroOp::Read(key, value) => Some((key, value)),
            _ => None,
        }),
        (_, ReplyId::Read(value)) => vec![(key(), history.value(value))],
        _ => Vec::new(),
    };
    let parts = seen.into_iter().flat_map(|(key, value)| match value {
        Value::List(items) | Value::Set(items) => items.into_iter().map(|v| (key.clone(), v)).collect(),
        value => vec![(key, value)],
    });
    parts.filter(|(_, value)| !value.is_null()).collect()
}

fn steps(op: &Op<'_>, of: impl Fn(MicroOp) -> Option<(Value, Value)>) -> Vec<(Value, Value)> {
    op.micro_ops().unwrap_or_default().into_iter().filter_map(of).collect()
}

/// Weakens what is not of the core, in halves down to single ops, as long as the story stays the same.
fn weaken(history: &History, mut kept: Kept, core: &Kept, same: &dyn Fn(&Kept) -> bool) -> Kept {
    let strong: Vec<OpId> =
        kept.iter().filter(|(id, weak)| !**weak && !core.contains_key(id)).map(|(id, _)| *id).collect();
    let (mut chunk, mut tries) = (strong.len().max(1), 0);
    let pure = |id: &OpId| history.op(*id).f() == "read" || history.op(*id).reply() == ReplyId::Mismatch;
    while chunk > 0 {
        for part in strong.chunks(chunk) {
            let mut less = kept.clone();
            for id in part {
                match pure(id) {
                    true => drop(less.remove(id)),
                    false => drop(less.insert(*id, true)),
                }
            }
            tries += 1;
            if tries < TRIES && less != kept && same(&less) {
                kept = less;
            }
        }
        chunk /= 2;
    }
    kept
}
