//! Two halves that only one node still reaches both of.

use crate::{Nemesis, PlanOptions, Topology};
use history::rng::Rng;
use history::{Cut, Fault};

pub struct Bridge;

impl Nemesis for Bridge {
    fn name(&self) -> &'static str {
        "bridge"
    }

    fn about(&self) -> &'static str {
        "Splits the nodes into two halves that share one node."
    }

    fn needs(&self) -> &'static [&'static str] {
        &["partition"]
    }

    fn fault(&self, _: &Topology, _: &PlanOptions, _: &mut Rng) -> Option<Fault> {
        Some(Fault::Partition(Cut::Bridge))
    }
}
