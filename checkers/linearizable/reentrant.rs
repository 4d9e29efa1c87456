//! A lock that its owner may acquire several times, and must release as often.
//!
//! | f | value | reply |
//! | --- | --- | --- |
//! | `acquire` | nil | done: granted (a refused try is a `fail`) |
//! | `release` | nil | done |
//!
//! The owner is the process; the key names the lock. [`ReentrantLock::most`] bounds how deep one owner may go
//! (`reentrant-lock:2`, as in Jepsen's suites for Hazelcast); without it any depth is fine. Decided by `holds.rs`.

use super::bind::{Bind, Taken, done_or, unknown};
use super::engine::{Decide, Decision};
use super::explain::Story;
use super::holds;
use super::objects::MutexCall;
use super::spec::{Spec, Timed};
use history::{History, Op, OutcomeKind};

/// `most`: acquires that one owner may have open; `None`: any number.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReentrantLock {
    pub most: Option<u32>,
}

impl Spec for ReentrantLock {
    type Call = MutexCall;
    type Reply = ();
    /// The owner and how many of its acquires are not yet released.
    type State = Option<(u32, u32)>;

    fn init(&self) -> Self::State {
        None
    }

    fn step(&self, s: &Self::State, call: &MutexCall, _: Option<&()>) -> Option<Self::State> {
        match (call, s) {
            (MutexCall::Acquire(_), None) if self.most == Some(0) => None,
            (MutexCall::Acquire(me), None) => Some(Some((*me, 1))),
            (MutexCall::Acquire(me), Some((holder, depth))) if me == holder => {
                let deeper = depth.checked_add(1)?;
                self.most.is_none_or(|most| deeper <= most).then_some(Some((*me, deeper)))
            }
            (MutexCall::Release(me), Some((holder, 1))) if me == holder => Some(None),
            (MutexCall::Release(me), Some((holder, depth))) if me == holder => Some(Some((*me, depth - 1))),
            _ => None,
        }
    }

    /// An acquire of another owner is of no use to anybody; of the same owner it lets a release follow. A release
    /// frees the lock for any acquire, and makes room below the limit.
    fn wants(&self, by: &Timed<Self>, info: &MutexCall) -> bool {
        by.call.wants(*info)
    }
}

impl Decide for ReentrantLock {
    fn decide(&self, ops: &[Timed<Self>]) -> Option<Decision<Self>> {
        holds::blocks(ops, self.most).map(holds::decision)
    }
}

impl Bind for ReentrantLock {
    const NOUN: &'static str = "lock";

    fn take(&self, op: &Op<'_>, _: &History) -> Result<Option<Taken<Self>>, String> {
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        let me = op.process().0;
        Ok(Some(match op.f() {
            "acquire" => (MutexCall::Acquire(me), done_or(op, ())),
            "release" => (MutexCall::Release(me), done_or(op, ())),
            _ => return unknown(op, Self::NOUN),
        }))
    }

    fn tell(
        &self,
        ops: &[Timed<Self>],
        core: &[usize],
        story: &Story<'_>,
    ) -> Option<(&'static str, Vec<String>)> {
        holds::tell(ops, core, story)
    }

    fn show(&self, state: &Self::State, _: &History) -> String {
        match state {
            Some((p, 1)) => format!("held by process {p}"),
            Some((p, n)) => format!("held {n} times by process {p}"),
            None => "free".into(),
        }
    }

    fn refusal(&self, state: &Self::State, op: &Timed<Self>, history: &History) -> String {
        let is = self.show(state, history);
        match (op.call, self.most) {
            (MutexCall::Acquire(me), Some(most)) => {
                format!("needs the lock free or held by process {me} fewer than {most} times, it is {is}")
            }
            (MutexCall::Acquire(me), None) => {
                format!("needs the lock free or held by process {me}, it is {is}")
            }
            (MutexCall::Release(me), _) => format!("needs the lock held by process {me}, it is {is}"),
        }
    }
}
