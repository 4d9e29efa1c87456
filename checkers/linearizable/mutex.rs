//! The lock with an owner, as recorded and as decided.
//!
//! | f | value | reply |
//! | --- | --- | --- |
//! | `acquire` | nil | done: granted (a refused try is a `fail`) |
//! | `release` | nil | done |
//!
//! The owner is the process; the key names the lock. Holding it twice is refused: see `reentrant.rs` for locks
//! that count. Decided by `holds.rs`; leases that run out by themselves are another object.

use super::bind::{Bind, Taken, done_or, unknown};
use super::engine::{Decide, Decision};
use super::explain::Story;
use super::holds;
use super::objects::{Mutex, MutexCall};
use super::spec::Timed;
use history::{History, Op, OutcomeKind};

impl Decide for Mutex {
    fn decide(&self, ops: &[Timed<Self>]) -> Option<Decision<Self>> {
        holds::blocks(ops, Some(1)).map(holds::decision)
    }
}

impl Bind for Mutex {
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

    fn show(&self, state: &Option<u32>, _: &History) -> String {
        match state {
            Some(p) => format!("held by process {p}"),
            None => "free".into(),
        }
    }

    fn refusal(&self, state: &Option<u32>, op: &Timed<Self>, history: &History) -> String {
        match op.call {
            MutexCall::Acquire(_) => format!("needs the lock free, it is {}", self.show(state, history)),
            MutexCall::Release(me) => {
                format!("needs the lock held by process {me}, it is {}", self.show(state, history))
            }
        }
    }
}
