//! What breaks, and when: pure, seeded plans of damage, and scripted ones from text.
//!
//! A plan speaks of roles (the leader, a minority); [`resolve`](mod@resolve) turns roles into nodes at the moment a strike
//! begins. Not here: doing damage (`agent/`), measuring it, healing it.
//! To add a nemesis: one file here, one line in [`ALL`].

mod bridge;
mod halves;
mod isolate;
mod isolate_leader;
mod kill;
mod kill_all;
mod minority;
mod mix;
mod none;
mod one_way;
mod partition;
mod pause;
pub mod plan;
pub mod resolve;
mod ring;
pub mod schedule;
#[cfg(test)]
mod tests;

pub use plan::plan_all;
pub use resolve::{Roles, resolve};

use history::rng::Rng;
use history::{Fault, Nanos, Strike, Who};

const SECOND: Nanos = 1_000_000_000;

/// What there is to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    pub nodes: usize,
}

/// How often, how long, how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Mean time without damage between two strikes.
    pub interval: Nanos,
    pub min_length: Nanos,
    pub max_length: Nanos,
    /// Least time without damage before, between and after strikes, so that there are ops to compare with.
    pub calm: Nanos,
    /// Strikes of different families may overlap.
    pub overlap: bool,
    /// A majority may be killed or paused at once.
    pub majority: bool,
}

impl Default for PlanOptions {
    fn default() -> Self {
        PlanOptions {
            interval: 3 * SECOND,
            min_length: SECOND,
            max_length: 4 * SECOND,
            calm: SECOND,
            overlap: false,
            majority: false,
        }
    }
}

/// A kind of damage.
pub trait Nemesis: Sync {
    /// File name (with `-` for `_`), flag name and report heading.
    fn name(&self) -> &'static str;

    /// One sentence: what it does.
    fn about(&self) -> &'static str;

    /// The families of faults that nodes must be able to suffer: `kill`, `pause`, `partition`.
    fn needs(&self) -> &'static [&'static str];

    /// The next thing to break; `None` for nothing ever.
    fn fault(&self, topology: &Topology, options: &PlanOptions, rng: &mut Rng) -> Option<Fault>;
}

impl dyn Nemesis + '_ {
    /// Strikes over `span`, in order; times count from the start of the load phase.
    pub fn plan(&self, topology: &Topology, span: Nanos, options: &PlanOptions, rng: Rng) -> Vec<Strike> {
        plan_all(&[self], topology, span, options, rng)
    }
}

/// Every nemesis, in the order in which they are listed.
pub const ALL: &[&dyn Nemesis] = &[
    &none::Nothing,
    &kill::Kill,
    &kill_all::KillAll,
    &pause::Pause,
    &partition::Partition,
    &halves::Halves,
    &minority::Minority,
    &isolate::Isolate,
    &isolate_leader::IsolateLeader,
    &bridge::Bridge,
    &ring::Ring,
    &one_way::OneWay,
    &mix::Mix,
];

/// The nemesis of that name.
pub fn find(name: &str) -> Option<&'static dyn Nemesis> {
    ALL.iter().find(|n| n.name() == name).copied()
}

/// Whom to kill or pause: the leader as often as anybody, a minority half as often.
fn some_nodes(options: &PlanOptions, rng: &mut Rng) -> Who {
    match rng.weighted(&[2, 2, 1, options.majority as u64]) {
        0 => Who::One,
        1 => Who::Leader,
        2 => Who::Minority,
        _ => Who::Majority,
    }
}
