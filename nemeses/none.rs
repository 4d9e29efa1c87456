//! Nothing breaks: the control that every other run is compared with.

use crate::{Nemesis, PlanOptions, Topology};
use history::Fault;
use history::rng::Rng;

pub struct Nothing;

impl Nemesis for Nothing {
    fn name(&self) -> &'static str {
        "none"
    }

    fn about(&self) -> &'static str {
        "Breaks nothing: a control run."
    }

    fn needs(&self) -> &'static [&'static str] {
        &[]
    }

    fn fault(&self, _: &Topology, _: &PlanOptions, _: &mut Rng) -> Option<Fault> {
        None
    }
}
