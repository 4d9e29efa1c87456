//! A small replicated store in three modes: raft, leaderless quorum, and a single copy as the reference.
//!
//! Each mode is a core that does no input or output (`core::Core`): messages, requests and the time go in, effects
//! come out. `server` runs a core as a process over TCP and a log file; `client` talks to it. The protocols carry
//! known mistakes as switches that are off by default (`switches`).

pub mod cli;
pub mod client;
pub mod core;
mod desk;
mod disk;
pub mod log;
pub mod machine;
mod peers;
pub mod promises;
pub mod protocol;
pub mod quorum;
pub mod raft;
pub mod server;
pub mod single;
pub mod switches;

pub use crate::core::{
    ClientRef, Config, Core, Effect, MILLI, Message, Mode, Nanos, ServerId, Shared, Status, boot,
};
pub use protocol::{Code, Command, Failure, MicroOp, MicroReply, Reply, Request, Response, Role};
pub use switches::{BUGS, Bug, BugInfo, Switches};
