//! The hands on a node: starts the processes under test, applies faults to them, and heals every fault,
//! whatever happens to whoever asked for it.
//!
//! It decides nothing: which fault strikes when is planned elsewhere, and what a fault revealed is judged
//! elsewhere. It is synchronous and single-threaded on purpose, so that it can fork a watchdog and so that
//! the order of its actions is the order of the requests.
//!
//! A fault is `{id, what, lease}`. The agent keeps the *set* of active faults and compiles all of them into
//! one state of the world; healing removes from the set and compiles again, so heals are idempotent and
//! free of order. Three triggers heal without being asked: end of file on the channel (the controller died),
//! the lease (the controller hung or was cut off) and the watchdog (the agent itself died).

pub mod clock;
pub mod fabric;
pub mod faults;
pub mod hands;
pub mod journal;
pub mod process;
pub mod protocol;
pub mod serve;
pub mod watchdog;

/// Name of the hidden sub-command of the one binary that runs [`serve::serve_stdio`].
pub const COMMAND: &str = "agent";

/// Environment variable naming the folder of the agent's journal; [`DEFAULT_DIR`] where it is unset.
pub const DIR_VARIABLE: &str = "SCHISM_AGENT_DIR";

/// Where the journal lives by default: state that dies with the node's `/run`.
pub const DEFAULT_DIR: &str = "/run/schism/agent";

pub use serve::serve_stdio;
