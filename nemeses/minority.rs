//! A minority on its own side, whoever is in it.

use crate::{Nemesis, PlanOptions, Topology};
use history::rng::Rng;
use history::{Cut, Fault, Who};

pub struct Minority;

impl Nemesis for Minority {
    fn name(&self) -> &'static str {
        "minority"
    }

    fn about(&self) -> &'static str {
        "Splits a random minority from the majority; both sides stay whole."
    }

    fn needs(&self) -> &'static [&'static str] {
        &["partition"]
    }

    fn fault(&self, _: &Topology, _: &PlanOptions, _: &mut Rng) -> Option<Fault> {
        Some(Fault::Partition(Cut::Split(Who::Minority)))
    }
}
