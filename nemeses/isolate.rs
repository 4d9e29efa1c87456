//! One node alone, whichever it is.

use crate::{Nemesis, PlanOptions, Topology};
use history::rng::Rng;
use history::{Cut, Fault, Who};

pub struct Isolate;

impl Nemesis for Isolate {
    fn name(&self) -> &'static str {
        "isolate"
    }

    fn about(&self) -> &'static str {
        "Cuts one random node off from all others."
    }

    fn needs(&self) -> &'static [&'static str] {
        &["partition"]
    }

    fn fault(&self, _: &Topology, _: &PlanOptions, _: &mut Rng) -> Option<Fault> {
        Some(Fault::Partition(Cut::Isolate(Who::One)))
    }
}
