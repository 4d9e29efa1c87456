//! From recorded ops to the calls of an object, and from its states back to words.
//!
//! Failed ops certainly did not happen and are left out at the door. A call that the object does not know is an
//! error, never silently dropped.

use super::dfs::Limits;
use super::engine::{Decide, Decision};
use super::explain::{Claim, Story};
use super::levels;
use super::objects::*;
use super::spec::{Spec, Timed};
use crate::verdict::Counterexample;
use history::{History, Op, OutcomeKind, ReplyId, Value, ValueId};
use std::collections::VecDeque;

/// A call and, for an ok op, its reply.
pub type Taken<S> = (<S as Spec>::Call, Option<<S as Spec>::Reply>);

/// An object whose ops are found in histories.
pub trait Bind: Decide {
    /// The word for a sentence: `register`, `counter`, …
    const NOUN: &'static str;

    /// `Ok(None)`: the op does not count. An error names a call that the object does not have.
    fn take(&self, op: &Op<'_>, history: &History) -> Result<Option<Taken<Self>>, String>;

    /// A small contradiction that ends with `bad`, found by a closed test and told in words.
    fn claim(&self, ops: &[Timed<Self>], bad: usize, story: &Story<'_>) -> Option<Claim<Self>> {
        let _ = (ops, bad, story);
        None
    }

    /// A contradiction that a closed form found, told in words.
    fn tell(
        &self,
        ops: &[Timed<Self>],
        core: &[usize],
        story: &Story<'_>,
    ) -> Option<(&'static str, Vec<String>)> {
        let _ = (ops, core, story);
        None
    }

    /// A contradiction among the last ops alone, whatever the object held before them. `None`: there is none, or nobody
    /// knows how to ask.
    fn late(&self, ops: &[Timed<Self>], story: &Story<'_>, limits: &Limits) -> Option<Counterexample> {
        let _ = (ops, story, limits);
        None
    }

    /// What a partition without an order still satisfies, as a sentence.
    fn still(&self, ops: &[Timed<Self>]) -> Option<String> {
        let _ = ops;
        None
    }

    fn show(&self, state: &Self::State, history: &History) -> String;

    /// Why a call cannot come next in this state: `needs 3, value is 5`.
    fn refusal(&self, state: &Self::State, op: &Timed<Self>, history: &History) -> String;

    /// The value that the op produces, where another op can see it; for the arrows of the drawing.
    fn makes(&self, op: &Timed<Self>) -> Option<ValueId> {
        let _ = op;
        None
    }

    fn sees(&self, op: &Timed<Self>) -> Option<ValueId> {
        let _ = op;
        None
    }
}

pub(super) fn unknown<T>(op: &Op<'_>, noun: &str) -> Result<T, String> {
    Err(format!("a {noun} has no call {:?} (op #{})", op.f(), op.id.0))
}

pub(super) fn done_or<R>(op: &Op<'_>, reply: R) -> Option<R> {
    op.is_ok().then_some(reply)
}

/// What a call about an element says: whether it was inside before, or only that it is done.
pub(super) fn was_or_done<R>(
    op: &Op<'_>,
    history: &History,
    was: impl Fn(bool) -> R,
    done: R,
) -> Result<Option<R>, String> {
    let ReplyId::Read(v) = op.reply() else { return Ok(done_or(op, done)) };
    match history.value(v) {
        Value::Bool(is) => Ok(Some(was(is))),
        Value::Int(is @ 0..=1) => Ok(Some(was(is == 1))),
        other => Err(format!("op #{}: {other} is neither true nor false", op.id.0)),
    }
}

pub(super) fn show_all(ids: &[ValueId], history: &History) -> String {
    let shown: Vec<String> = ids.iter().take(12).map(|v| history.value(*v).to_string()).collect();
    let more = if ids.len() > 12 { format!(" … {} in all", ids.len()) } else { String::new() };
    format!("[{}{more}]", shown.join(" "))
}

impl Bind for Register {
    const NOUN: &'static str = "register";

    fn take(&self, op: &Op<'_>, _: &History) -> Result<Option<Taken<Self>>, String> {
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        let call = match (op.f(), op.cas()) {
            ("read", _) => RegisterCall::Read,
            ("write", _) => RegisterCall::Write(op.arg()),
            ("cas", Some((old, new))) => RegisterCall::Cas(old, new),
            _ => return unknown(op, Self::NOUN),
        };
        let reply = match op.reply() {
            ReplyId::Done => Some(RegisterReply::Done),
            ReplyId::Read(v) => Some(RegisterReply::Value(v)),
            ReplyId::Mismatch => Some(RegisterReply::Mismatch),
            ReplyId::Absent => None,
        };
        Ok(Some((call, reply)))
    }

    fn claim(&self, ops: &[Timed<Self>], bad: usize, story: &Story<'_>) -> Option<Claim<Self>> {
        super::stale::claim(self, ops, bad, story)
    }

    fn tell(
        &self,
        ops: &[Timed<Self>],
        core: &[usize],
        story: &Story<'_>,
    ) -> Option<(&'static str, Vec<String>)> {
        super::stale::tell(self, ops, core, story)
    }

    fn late(&self, ops: &[Timed<Self>], story: &Story<'_>, limits: &Limits) -> Option<Counterexample> {
        super::late_start::late(ops, story, limits)
    }

    fn still(&self, ops: &[Timed<Self>]) -> Option<String> {
        super::weaker::irregular(self, ops).is_none().then(|| {
            "It is still regular: each read alone returned the last write before it or one that overlapped it; only \
             together do they contradict each other."
                .into()
        })
    }

    fn show(&self, state: &ValueId, history: &History) -> String {
        history.value(*state).to_string()
    }

    fn refusal(&self, state: &ValueId, op: &Timed<Self>, history: &History) -> String {
        let is = history.value(*state);
        match (op.call, op.reply) {
            (RegisterCall::Cas(old, _), Some(RegisterReply::Mismatch)) => {
                format!("was refused, which needs another value than {}, value is {is}", history.value(old))
            }
            _ => match self.sees(op) {
                Some(v) => format!("needs {}, value is {is}", history.value(v)),
                None => format!("does not fit, value is {is}"),
            },
        }
    }

    fn makes(&self, op: &Timed<Self>) -> Option<ValueId> {
        match (op.call, op.reply) {
            (_, Some(RegisterReply::Mismatch)) => None,
            (RegisterCall::Cas(old, new), _) if old == new => None,
            (RegisterCall::Write(v) | RegisterCall::Cas(_, v), _) => Some(v),
            _ => None,
        }
    }

    fn sees(&self, op: &Timed<Self>) -> Option<ValueId> {
        match (op.call, op.reply) {
            (RegisterCall::Read, Some(RegisterReply::Value(v))) => Some(v),
            (RegisterCall::Cas(old, _), Some(RegisterReply::Done)) => Some(old),
            _ => None,
        }
    }
}

impl Bind for Counter {
    const NOUN: &'static str = "counter";

    fn take(&self, op: &Op<'_>, history: &History) -> Result<Option<Taken<Self>>, String> {
        let int = |v: ValueId| {
            history
                .values()
                .int(v)
                .ok_or_else(|| format!("op #{}: {} is not an integer", op.id.0, history.value(v)))
        };
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        Ok(Some(match op.f() {
            "add" => (CounterCall::Add(int(op.arg())?), done_or(op, CounterReply::Done)),
            "read" => (
                CounterCall::Read,
                match op.read() {
                    // A counter that was never touched may read as nothing.
                    Some(ValueId::NULL) => Some(CounterReply::Sum(0)),
                    Some(v) => Some(CounterReply::Sum(int(v)?)),
                    None => None,
                },
            ),
            _ => return unknown(op, Self::NOUN),
        }))
    }

    fn tell(
        &self,
        ops: &[Timed<Self>],
        _: &[usize],
        story: &Story<'_>,
    ) -> Option<(&'static str, Vec<String>)> {
        super::increments::tell(ops, story)
    }

    fn show(&self, state: &i64, _: &History) -> String {
        state.to_string()
    }

    fn refusal(&self, state: &i64, op: &Timed<Self>, _: &History) -> String {
        match op.reply {
            Some(CounterReply::Sum(x)) => format!("needs {x}, sum is {state}"),
            _ => format!("does not fit, sum is {state}"),
        }
    }
}

/// An element in a read that no call ever named has no id of its own: it stands for all such.
pub const NOBODYS: ValueId = ValueId((1 << 31) - 16);

fn elements(op: &Op<'_>, history: &History) -> Result<Option<Vec<ValueId>>, String> {
    let Some(id) = op.read() else { return Ok(None) };
    if id.is_null() {
        return Ok(Some(Vec::new()));
    }
    let table = history.values().table(id);
    let Some(items) = table.and_then(Value::elements) else {
        return Err(format!("op #{}: {} is no list of elements", op.id.0, history.value(id)));
    };
    Ok(Some(items.iter().map(|v| history.values().find(v).unwrap_or(NOBODYS)).collect()))
}

impl Decide for List {
    fn decide(&self, ops: &[Timed<Self>]) -> Option<Decision<Self>> {
        levels::decide(ops)
    }
}

impl Bind for List {
    const NOUN: &'static str = "list";

    fn take(&self, op: &Op<'_>, history: &History) -> Result<Option<Taken<Self>>, String> {
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        Ok(Some(match op.f() {
            "append" => (ListCall::Append(op.arg()), done_or(op, ListReply::Done)),
            "read" => (ListCall::Read, elements(op, history)?.map(ListReply::Elements)),
            _ => return unknown(op, Self::NOUN),
        }))
    }

    fn tell(
        &self,
        ops: &[Timed<Self>],
        core: &[usize],
        story: &Story<'_>,
    ) -> Option<(&'static str, Vec<String>)> {
        super::tales::collection(ops, core, story)
    }

    fn show(&self, state: &Vec<ValueId>, history: &History) -> String {
        show_all(state, history)
    }

    fn refusal(&self, state: &Vec<ValueId>, op: &Timed<Self>, history: &History) -> String {
        match &op.reply {
            Some(ListReply::Elements(seen)) => {
                format!("needs {}, list is {}", show_all(seen, history), show_all(state, history))
            }
            _ => "does not fit".into(),
        }
    }

    fn makes(&self, op: &Timed<Self>) -> Option<ValueId> {
        <List as levels::Leveled>::added(&op.call)
    }
}

impl Decide for WholeSet {
    fn decide(&self, ops: &[Timed<Self>]) -> Option<Decision<Self>> {
        levels::decide(ops)
    }
}

impl Bind for WholeSet {
    const NOUN: &'static str = "set";

    fn take(&self, op: &Op<'_>, history: &History) -> Result<Option<Taken<Self>>, String> {
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        let said = || was_or_done(op, history, SetReply::Was, SetReply::Done);
        Ok(Some(match op.f() {
            "add" => (SetCall::Add(op.arg()), said()?),
            "remove" => (SetCall::Remove(op.arg()), said()?),
            "contains" | "has" => (SetCall::Has(op.arg()), said()?),
            "read" => {
                let mut seen = elements(op, history)?;
                if let Some(seen) = &mut seen {
                    seen.sort_unstable();
                }
                (SetCall::Read, seen.map(SetReply::Members))
            }
            _ => return unknown(op, Self::NOUN),
        }))
    }

    fn tell(
        &self,
        ops: &[Timed<Self>],
        core: &[usize],
        story: &Story<'_>,
    ) -> Option<(&'static str, Vec<String>)> {
        super::tales::collection(ops, core, story)
    }

    fn show(&self, state: &Vec<ValueId>, history: &History) -> String {
        show_all(state, history)
    }

    fn refusal(&self, state: &Vec<ValueId>, op: &Timed<Self>, history: &History) -> String {
        match &op.reply {
            Some(SetReply::Members(seen)) => {
                format!("needs {}, set is {}", show_all(seen, history), show_all(state, history))
            }
            Some(SetReply::Was(was)) => {
                format!(
                    "needs it {}, set is {}",
                    if *was { "inside" } else { "outside" },
                    show_all(state, history)
                )
            }
            _ => "does not fit".into(),
        }
    }

    fn makes(&self, op: &Timed<Self>) -> Option<ValueId> {
        <WholeSet as levels::Leveled>::added(&op.call)
    }
}

impl Bind for Queue {
    const NOUN: &'static str = "queue";

    fn take(&self, op: &Op<'_>, _: &History) -> Result<Option<Taken<Self>>, String> {
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        Ok(Some(match op.f() {
            "enqueue" => (QueueCall::Enqueue(op.arg()), done_or(op, QueueReply::Done)),
            "dequeue" => {
                let reply =
                    op.read().map(|v| if v.is_null() { QueueReply::Empty } else { QueueReply::Took(v) });
                (QueueCall::Dequeue, reply)
            }
            "drain" => {
                let id = op.id.0;
                return Err(format!(
                    "op #{id}: a drain takes several elements in one call, which no single instant explains; record \
                     each of its dequeues as a call of its own"
                ));
            }
            _ => return unknown(op, Self::NOUN),
        }))
    }

    fn claim(&self, ops: &[Timed<Self>], bad: usize, story: &Story<'_>) -> Option<Claim<Self>> {
        super::collection_tales::from_nowhere(ops, bad, story)
    }

    fn tell(
        &self,
        ops: &[Timed<Self>],
        core: &[usize],
        story: &Story<'_>,
    ) -> Option<(&'static str, Vec<String>)> {
        super::collection_tales::tell(self, ops, core, story)
    }

    fn show(&self, state: &VecDeque<ValueId>, history: &History) -> String {
        let first: Vec<ValueId> = state.iter().copied().collect();
        show_all(&first, history)
    }

    fn refusal(&self, state: &VecDeque<ValueId>, op: &Timed<Self>, history: &History) -> String {
        let head = state
            .front()
            .map_or("the queue is empty".into(), |v| format!("the head is {}", history.value(*v)));
        match op.reply {
            Some(QueueReply::Took(v)) => format!("needs {}, {head}", history.value(v)),
            Some(QueueReply::Empty) => format!("needs an empty queue, {head}"),
            _ => "does not fit".into(),
        }
    }

    fn makes(&self, op: &Timed<Self>) -> Option<ValueId> {
        match op.call {
            QueueCall::Enqueue(v) => Some(v),
            QueueCall::Dequeue => None,
        }
    }

    fn sees(&self, op: &Timed<Self>) -> Option<ValueId> {
        match op.reply {
            Some(QueueReply::Took(v)) => Some(v),
            _ => None,
        }
    }
}
