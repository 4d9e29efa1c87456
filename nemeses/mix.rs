//! A bit of everything that leaves a majority alive.

use crate::{Nemesis, PlanOptions, Topology};
use history::Fault;
use history::rng::Rng;

pub struct Mix;

/// What it draws from, by weight. The whole cluster at once is not in it: that has to be asked for by name.
const PARTS: [(u64, &dyn Nemesis); 4] = [
    (2, &crate::kill::Kill),
    (2, &crate::pause::Pause),
    (2, &crate::partition::Partition),
    (1, &crate::isolate_leader::IsolateLeader),
];

impl Nemesis for Mix {
    fn name(&self) -> &'static str {
        "mix"
    }

    fn about(&self) -> &'static str {
        "Kills, pauses and partitions in random order, never a majority down at once."
    }

    fn needs(&self) -> &'static [&'static str] {
        &["kill", "pause", "partition"]
    }

    fn fault(&self, topology: &Topology, options: &PlanOptions, rng: &mut Rng) -> Option<Fault> {
        let at = rng.weighted(&PARTS.map(|(weight, _)| weight));
        PARTS[at].1.fault(topology, options, rng)
    }
}
