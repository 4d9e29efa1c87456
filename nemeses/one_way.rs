//! Packets that get there but not back: a node that hears and is not heard, or the other way round.

use crate::{Nemesis, PlanOptions, Topology};
use history::rng::Rng;
use history::{Cut, Fault, Who};

/// From or to the leader, from or to any one node.
pub struct OneWay;

impl Nemesis for OneWay {
    fn name(&self) -> &'static str {
        "one-way"
    }

    fn about(&self) -> &'static str {
        "Drops the packets of one direction between the leader, or any one node, and all others."
    }

    fn needs(&self) -> &'static [&'static str] {
        &["partition"]
    }

    fn fault(&self, _: &Topology, _: &PlanOptions, rng: &mut Rng) -> Option<Fault> {
        Some(Fault::Partition(match rng.below(4) {
            0 => Cut::OneWay(Who::Leader, Who::Followers),
            1 => Cut::OneWay(Who::Followers, Who::Leader),
            2 => Cut::OneWay(Who::One, Who::All),
            _ => Cut::OneWay(Who::All, Who::One),
        }))
    }
}
