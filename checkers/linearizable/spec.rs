//! What an object does, as a function: the only thing the engines know about it.
//!
//! Usable without the rest of the program: implement [`Spec`] for any object, list [`Timed`] ops, ask
//! [`super::engine::decide`]. Not here: how ops of a recorded history become calls (`object.rs`).
//!
//! A bank account that refuses overdrafts:
//!
//! ```
//! use checkers::linearizable::{dfs, spec::{OPEN, Spec, Timed}};
//!
//! struct Account;
//! #[derive(Clone, PartialEq, Eq, Hash, Debug)]
//! enum Call { Deposit(u64), Withdraw(u64), Balance }
//! #[derive(Clone, PartialEq, Eq, Hash, Debug)]
//! enum Reply { Done, Refused, Is(u64) }
//!
//! impl Spec for Account {
//!     type Call = Call;
//!     type Reply = Reply;
//!     type State = u64;
//!     fn init(&self) -> u64 { 0 }
//!     fn step(&self, s: &u64, call: &Call, reply: Option<&Reply>) -> Option<u64> {
//!         let (next, said) = match call {
//!             Call::Deposit(x) => (s + x, Reply::Done),
//!             Call::Withdraw(x) if x <= s => (s - x, Reply::Done),
//!             Call::Withdraw(_) => (*s, Reply::Refused),
//!             Call::Balance => (*s, Reply::Is(*s)),
//!         };
//!         reply.is_none_or(|r| *r == said).then_some(next)
//!     }
//! }
//!
//! let history = [
//!     Timed::<Account> { call: Call::Deposit(5), reply: Some(Reply::Done), inv: 0, res: 3 },
//!     Timed { call: Call::Withdraw(5), reply: Some(Reply::Done), inv: 1, res: 2 },
//!     Timed { call: Call::Withdraw(1), reply: None, inv: 4, res: OPEN },
//!     Timed { call: Call::Balance, reply: Some(Reply::Is(0)), inv: 5, res: 6 },
//! ];
//! assert!(dfs::search(&Account, &history, &dfs::Limits::default()).is_yes());
//! ```

use std::fmt::Debug;
use std::hash::Hash;

/// A position in the one total order of recorded events.
pub type Pos = u32;

/// The completion of an op that never completed.
pub const OPEN: Pos = Pos::MAX;

/// Real time: what was invoked at `inv` comes behind what completed at `res` in every order. Where the two share a
/// position they are concurrent, since nothing shows which was first, and a contradiction must rest on what is shown.
/// The one place that says so; the verifier and the oracle, which share nothing with what they judge, say it once more.
#[inline]
pub fn precedes(res: Pos, inv: Pos) -> bool {
    res < inv
}

/// A sequential object.
///
/// One law binds every spec: *forgetting is weaker*. If `step(s, c, Some(r))` is `Some(t)` then so is
/// `step(s, c, None)`. Treating open ops as possibly-happened rests on it.
pub trait Spec: Sync {
    type Call: Clone + Eq + Hash + Debug + Send + Sync;
    type Reply: Clone + Eq + Hash + Debug + Send + Sync;
    type State: Clone + Eq + Hash + Debug + Send + Sync;

    fn init(&self) -> Self::State;

    /// The state after `call` if it may be answered with `reply` in state `s`; with `None` the reply is unknown.
    fn step(&self, s: &Self::State, call: &Self::Call, reply: Option<&Self::Reply>) -> Option<Self::State>;

    /// The same step in place, for objects whose states are dear to copy. `false`: refused, and the state is no longer
    /// to be used.
    fn apply(&self, s: &mut Self::State, call: &Self::Call, reply: Option<&Self::Reply>) -> bool {
        match self.step(s, call, reply) {
            Some(next) => {
                *s = next;
                true
            }
            None => false,
        }
    }

    /// The independent sub-object that this call touches, where the object is a product of such.
    fn key(&self, call: &Self::Call) -> Option<u64> {
        let _ = call;
        None
    }

    /// Never changes the state, whatever the state and the reply.
    fn pure(&self, call: &Self::Call) -> bool {
        let _ = call;
        false
    }

    /// With this reply the call changes no state in which it fits: every pure call, and a refused cas.
    fn idle(&self, call: &Self::Call, reply: &Self::Reply) -> bool {
        let _ = reply;
        self.pure(call)
    }

    /// An info op may be deleted from any order in which the op directly after it was possible before it, too (or
    /// which it ends). Then an engine tries an info op only where something open waits for it. True of registers:
    /// what was possible in both states is a blind write, which hides the info op, or something idle.
    fn seen_at_once(&self) -> bool {
        false
    }

    /// Heap bytes of a state, for the memory budget.
    fn weight(&self, s: &Self::State) -> usize {
        let _ = s;
        0
    }

    /// Might `by` need that `info` happened before it? `by` is an ok op that completed after `info` was invoked,
    /// or an info op (no reply) that is itself needed. Answering `false` asserts the lemma of the object: an info
    /// op that nothing needs may be deleted without changing the verdict.
    fn wants(&self, by: &Timed<Self>, info: &Self::Call) -> bool {
        let _ = (by, info);
        true
    }
}

/// An op as the engines see it. Positions of recorded events are all different; where they are not, [`precedes`] says
/// what that means.
/// It is *ok* (must be in every order, with this reply) when `res` is a position,
/// *info* (may take effect once at any time after `inv`, or never) when `res` is [`OPEN`].
pub struct Timed<S: Spec + ?Sized> {
    pub call: S::Call,
    /// `None` exactly for an info op.
    pub reply: Option<S::Reply>,
    pub inv: Pos,
    pub res: Pos,
}

impl<S: Spec + ?Sized> Timed<S> {
    pub fn is_ok(&self) -> bool {
        self.res != OPEN
    }

    /// The same op with its reply and its deadline forgotten: weaker, so it may make a history valid, never invalid.
    pub fn forgotten(&self) -> Timed<S> {
        Timed { call: self.call.clone(), reply: None, inv: self.inv, res: OPEN }
    }
}

impl<S: Spec + ?Sized> Clone for Timed<S> {
    fn clone(&self) -> Self {
        Timed { call: self.call.clone(), reply: self.reply.clone(), inv: self.inv, res: self.res }
    }
}

impl<S: Spec + ?Sized> Debug for Timed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.reply {
            Some(reply) => write!(f, "{:?} → {:?} [{}..{}]", self.call, reply, self.inv, self.res),
            None => write!(f, "{:?}? [{}..]", self.call, self.inv),
        }
    }
}
