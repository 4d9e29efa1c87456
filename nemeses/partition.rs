//! All shapes of partition, each as likely as the next.

use crate::{Nemesis, PlanOptions, Topology};
use history::Fault;
use history::rng::Rng;

pub struct Partition;

/// What it draws from.
const SHAPES: &[&dyn Nemesis] = &[
    &crate::halves::Halves,
    &crate::isolate::Isolate,
    &crate::isolate_leader::IsolateLeader,
    &crate::minority::Minority,
    &crate::bridge::Bridge,
    &crate::ring::Ring,
    &crate::one_way::OneWay,
];

impl Nemesis for Partition {
    fn name(&self) -> &'static str {
        "partition"
    }

    fn about(&self) -> &'static str {
        "Cuts the network in a different shape each time: halves, one node, the leader, a minority, a bridge, a \
         ring, one way."
    }

    fn needs(&self) -> &'static [&'static str] {
        &["partition"]
    }

    fn fault(&self, topology: &Topology, options: &PlanOptions, rng: &mut Rng) -> Option<Fault> {
        rng.pick(SHAPES)?.fault(topology, options, rng)
    }
}
