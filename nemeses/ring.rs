//! Everybody sees a majority, and no two the same one.

use crate::{Nemesis, PlanOptions, Topology};
use history::rng::Rng;
use history::{Cut, Fault};

pub struct Ring;

impl Nemesis for Ring {
    fn name(&self) -> &'static str {
        "ring"
    }

    fn about(&self) -> &'static str {
        "Leaves every node in reach of a majority, no two of the same one."
    }

    fn needs(&self) -> &'static [&'static str] {
        &["partition"]
    }

    fn fault(&self, _: &Topology, _: &PlanOptions, _: &mut Rng) -> Option<Fault> {
        Some(Fault::Partition(Cut::Ring))
    }
}
