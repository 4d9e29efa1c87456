//! Two sides that cannot reach each other; with an even number of nodes neither is a majority.

use crate::{Nemesis, PlanOptions, Topology};
use history::rng::Rng;
use history::{Cut, Fault, NodeId, Who};

pub struct Halves;

impl Nemesis for Halves {
    fn name(&self) -> &'static str {
        "halves"
    }

    fn about(&self) -> &'static str {
        "Splits the nodes into two random halves."
    }

    fn needs(&self) -> &'static [&'static str] {
        &["partition"]
    }

    fn fault(&self, topology: &Topology, _: &PlanOptions, rng: &mut Rng) -> Option<Fault> {
        let mut nodes: Vec<NodeId> = (0..topology.nodes).map(|n| NodeId(n as u8)).collect();
        rng.shuffle(&mut nodes);
        nodes.truncate(topology.nodes / 2);
        nodes.sort();
        Some(Fault::Partition(Cut::Split(Who::Nodes(nodes))))
    }
}
