//! Processes that stop for a while and go on as if nothing had happened: the long garbage collection.

use crate::{Nemesis, PlanOptions, Topology};
use history::Fault;
use history::rng::Rng;

/// One node, a minority, or the leader; a majority too if asked for.
pub struct Pause;

impl Nemesis for Pause {
    fn name(&self) -> &'static str {
        "pause"
    }

    fn about(&self) -> &'static str {
        "Stops one node, a minority or the leader with SIGSTOP and lets it go on later, its memory intact."
    }

    fn needs(&self) -> &'static [&'static str] {
        &["pause"]
    }

    fn fault(&self, _: &Topology, options: &PlanOptions, rng: &mut Rng) -> Option<Fault> {
        Some(Fault::Pause(crate::some_nodes(options, rng)))
    }
}
