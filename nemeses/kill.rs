//! Processes that die at once and come back with what their disks kept.

use crate::{Nemesis, PlanOptions, Topology};
use history::Fault;
use history::rng::Rng;

/// One node, a minority, or the leader; a majority too if asked for.
pub struct Kill;

impl Nemesis for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    fn about(&self) -> &'static str {
        "Kills one node, a minority or the leader with SIGKILL and restarts it later."
    }

    fn needs(&self) -> &'static [&'static str] {
        &["kill"]
    }

    fn fault(&self, _: &Topology, options: &PlanOptions, rng: &mut Rng) -> Option<Fault> {
        Some(Fault::Kill(crate::some_nodes(options, rng)))
    }
}
