//! The network between the nodes as the fabric's agent sees it: directed edges, cuts, and counters.
//!
//! Types only. The switch that obeys them lives with the provider that owns the wires.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// One direction of one link, by the index of the nodes. The outside counts as one more node, the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Edge {
    pub from: u16,
    pub to: u16,
}

impl Edge {
    /// The direction `from` → `to`.
    pub fn new(from: usize, to: usize) -> Self {
        Edge { from: from as u16, to: to as u16 }
    }
}

/// A set of directed edges that carry nothing while a cut is active.
pub type Edges = BTreeSet<Edge>;

/// Both directions between every member of `left` and every member of `right`: a clean partition.
pub fn between(left: &[usize], right: &[usize]) -> Edges {
    let pairs = left.iter().flat_map(|&a| right.iter().map(move |&b| (a, b)));
    pairs.filter(|(a, b)| a != b).flat_map(|(a, b)| [Edge::new(a, b), Edge::new(b, a)]).collect()
}

/// Frames that the switch saw on one directed link since the cluster came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCount {
    pub edge: Edge,
    pub forwarded: u64,
    pub dropped: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_has_both_directions_and_no_loops() {
        let edges = between(&[0, 1], &[1, 2]);
        let expected = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];
        assert_eq!(edges, expected.iter().map(|&(a, b)| Edge::new(a, b)).collect());
    }
}
