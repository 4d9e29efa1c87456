//! A number of permits, each taken by an acquire and given back by a release.
//!
//! | f | value | reply |
//! | --- | --- | --- |
//! | `acquire` | nil | done: one permit was taken (a refused try is a `fail`) |
//! | `release` | nil | done: one permit was given back |
//!
//! The key names the semaphore, [`Semaphore::permits`] how many there are (`semaphore:3`). A permit has no owner:
//! any process may give one back, so a release by a process that took none is not found out here as long as some
//! permit is out. A release when none is out is refused. Decided by search: the state is one number, and equal ops
//! collapse.

use super::bind::{Bind, Taken, done_or, unknown};
use super::engine::Decide;
use super::spec::{Spec, Timed};
use history::{History, Op, OutcomeKind};

#[derive(Clone, Copy, Debug)]
pub struct Semaphore {
    pub permits: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SemaphoreCall {
    Acquire,
    Release,
}

impl Spec for Semaphore {
    type Call = SemaphoreCall;
    type Reply = ();
    /// Permits that are out.
    type State = u32;

    fn init(&self) -> u32 {
        0
    }

    fn step(&self, s: &u32, call: &SemaphoreCall, _: Option<&()>) -> Option<u32> {
        match call {
            SemaphoreCall::Acquire => (*s < self.permits).then(|| s + 1),
            SemaphoreCall::Release => s.checked_sub(1),
        }
    }

    /// An acquire only takes room away from acquires; only a release may need it. And the reverse.
    fn wants(&self, by: &Timed<Self>, info: &SemaphoreCall) -> bool {
        by.call != *info
    }
}

impl Decide for Semaphore {}

impl Bind for Semaphore {
    const NOUN: &'static str = "semaphore";

    fn take(&self, op: &Op<'_>, _: &History) -> Result<Option<Taken<Self>>, String> {
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        Ok(Some(match op.f() {
            "acquire" => (SemaphoreCall::Acquire, done_or(op, ())),
            "release" => (SemaphoreCall::Release, done_or(op, ())),
            _ => return unknown(op, Self::NOUN),
        }))
    }

    fn show(&self, state: &u32, _: &History) -> String {
        format!("{state} of {} permits out", self.permits)
    }

    fn refusal(&self, state: &u32, op: &Timed<Self>, history: &History) -> String {
        let is = self.show(state, history);
        match op.call {
            SemaphoreCall::Acquire => format!("needs a permit to be left, but {is}"),
            SemaphoreCall::Release => format!("needs a permit to be out, but {is}"),
        }
    }
}
