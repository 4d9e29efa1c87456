//! The power cut: every node at once, so that nothing survives but what was on a disk.

use crate::{Nemesis, PlanOptions, Topology};
use history::rng::Rng;
use history::{Fault, Who};

pub struct KillAll;

impl Nemesis for KillAll {
    fn name(&self) -> &'static str {
        "kill-all"
    }

    fn about(&self) -> &'static str {
        "Kills the whole cluster at once and restarts it: only what reached a disk is left."
    }

    fn needs(&self) -> &'static [&'static str] {
        &["kill"]
    }

    fn fault(&self, _: &Topology, _: &PlanOptions, _: &mut Rng) -> Option<Fault> {
        Some(Fault::Kill(Who::All))
    }
}
