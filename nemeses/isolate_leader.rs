//! The leader where it can no longer reach a majority: what it still answers is the question.

use crate::{Nemesis, PlanOptions, Topology};
use history::rng::Rng;
use history::{Cut, Fault, Who};

/// Alone, or with as many followers as keep its side a minority.
pub struct IsolateLeader;

impl Nemesis for IsolateLeader {
    fn name(&self) -> &'static str {
        "isolate-leader"
    }

    fn about(&self) -> &'static str {
        "Cuts the leader off, alone or with a minority of followers, so that the others elect a new one."
    }

    fn needs(&self) -> &'static [&'static str] {
        &["partition"]
    }

    fn fault(&self, _: &Topology, _: &PlanOptions, rng: &mut Rng) -> Option<Fault> {
        Some(Fault::Partition(match rng.chance(0.5) {
            true => Cut::Isolate(Who::Leader),
            false => Cut::Split(Who::LeaderMinority),
        }))
    }
}
