//! Which ops must be kept so that a counterexample can be understood without the rest of its history.
//!
//! A core may leave out ops that one line stands for ("all 83 writes of 3"); written down alone, its reads would
//! return values out of thin air, which is another story. So the ops that made what the core saw are put back until
//! the story is the same again, and then weakened by the two moves that can only make a history easier to satisfy:
//! a read is deleted, any other op is demoted to possibly-happened. What is still invalid then proves the whole
//! invalid. Not here: judging (the caller's), and writing it down.

use checkers::Counterexample;
use history::{History, Op, OpId, OutcomeKind, ReplyId, Value, ValueId};
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
    let keys: BTreeSet<ValueId> = ops().map(|op| op.key()).collect();
    let seen: BTreeSet<(ValueId, Value)> =
        ops().flat_map(|op| saw(history, &op).into_iter().map(move |v| (op.key(), v))).collect();
    let end = end(history, kept);
    let mut all = kept.clone();
    for op in history
        .ops()
        .filter(|op| keys.contains(&op.key()) && op.kind() != OutcomeKind::Fail && op.inv() < end)
    {
        if made(history, &op).is_some_and(|value| seen.contains(&(op.key(), value))) {
            all.entry(op.id).or_insert(op.res() > end);
        }
    }
    all
}

/// Every op of the core's keys that began before that position; what was open there as possibly-happened.
fn whole_key(history: &History, core: &Kept, end: u32) -> Kept {
    let keys: BTreeSet<ValueId> = core.keys().map(|id| history.op(*id).key()).collect();
    let mut all = core.clone();
    for op in history
        .ops()
        .filter(|op| keys.contains(&op.key()) && op.kind() != OutcomeKind::Fail && op.inv() < end)
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

/// The value that an op puts where others can see it.
fn made(history: &History, op: &Op<'_>) -> Option<Value> {
    match (op.f(), op.reply()) {
        (_, ReplyId::Mismatch) => None,
        ("write" | "add" | "append" | "enqueue", _) => Some(history.value(op.arg())),
        ("cas", _) => op.cas().map(|(_, new)| history.value(new)),
        _ => None,
    }
}

/// What an op saw, elements one by one. Nothing needs to have made nil.
fn saw(history: &History, op: &Op<'_>) -> Vec<Value> {
    let seen = match (op.f(), op.reply()) {
        ("cas", ReplyId::Done) => op.cas().map(|(old, _)| history.value(old)),
        (_, ReplyId::Read(value)) => Some(history.value(value)),
        _ => None,
    };
    match seen {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::List(items) | Value::Set(items)) => items,
        Some(value) => vec![value],
    }
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
