//! The simulated world: servers, disks, wires and clients in virtual time, all from one seed.
//!
//! It hosts the bundled store's own protocol cores and the very interpreter that drives clients of real nodes, so
//! that a run takes milliseconds and its seed replays it bit for bit. Not here: clocks, threads, I/O; the root
//! spreads seeds over cores. [`run`] gives a history, [`judge`] its verdicts, [`sweep`] those of many seeds.

mod disk;
pub mod explore;
pub mod killers;
mod network;
mod queue;
mod run;
mod server;
mod strikes;
#[cfg(test)]
mod tests;
mod trace;
pub mod translate;
mod world;

pub use disk::{DiskOptions, Unsynced};
pub use explore::{Outcome, Row, judge, sweep};
pub use killers::{Damage, KILLERS, Killer, killer};
pub use network::NetworkOptions;
pub use run::{SimResult, SimSpec, Timing, node_names, run};
