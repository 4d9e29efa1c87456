//! The vocabulary of schism (calls, replies, outcomes, faults) and the validated record of them.
//!
//! [`History`] is the only thing a checker ever sees: columns of fixed width with interned keys and values,
//! built through [`Builder`] (the one door, which validates) from the events of our own file ([`jsonl`]), of any
//! foreign one ([`formats`]), or of the text notation that tests use ([`text`]). [`lint`] says what it lacks.
//!
//! Not here: judging (`checkers`), clocks and I/O of its own. Readers and writers work over `Read` and `Write`.

pub mod event;
pub mod fault;
pub mod formats;
pub mod jsonl;
mod lines;
pub mod lint;
mod record;
pub mod rng;
pub mod text;
mod ties;
mod value;

pub use event::{Call, Error, Event, MicroOp, Nanos, NodeId, Outcome, Process, Reply};
pub use fault::{Cut, Effect, Fault, Resolved, Strike, Who};
pub use record::{
    Builder, Completeness, History, Malformed, Note, Op, OpId, OutcomeKind, ReplyId, RoleChange,
    StrikeRecord, View,
};
pub use value::{Interner, Value, ValueId};
