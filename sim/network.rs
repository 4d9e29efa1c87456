//! The wires: when a message arrives, if it arrives.
//!
//! One directed link for each pair of nodes, first in first out as a TCP stream is. What meets a cut is dropped,
//! as the connection breaks; nothing is ever altered or duplicated. Messages themselves are not kept here.

use history::rng::Rng;
use history::{Nanos, NodeId};

/// How the wires behave. Durations in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkOptions {
    /// One-way delay between two nodes, uniform in this range.
    pub delay: (Nanos, Nanos),
    /// One-way delay between a client and the server on its own node.
    pub local: (Nanos, Nanos),
    /// With this probability a message takes up to this much longer, and all behind it on its link wait.
    pub slow: (f64, Nanos),
    /// Probability that a message between nodes is lost.
    pub loss: f64,
}

impl Default for NetworkOptions {
    /// A quiet data centre: 0.3 to 2 ms between nodes, 20 to 100 µs inside one, no loss.
    fn default() -> NetworkOptions {
        NetworkOptions { delay: (300_000, 2_000_000), local: (20_000, 100_000), slow: (0.0, 0), loss: 0.0 }
    }
}

#[derive(Clone, Debug, Default)]
struct Link {
    /// How many cuts are in force; the link is open at 0.
    cuts: u32,
    /// When the last message sent on it arrives.
    busy: Nanos,
    dropped: u64,
}

/// All links between `nodes` nodes.
#[derive(Debug)]
pub struct Network {
    nodes: usize,
    links: Vec<Link>,
    options: NetworkOptions,
    rng: Rng,
}

impl Network {
    pub fn new(nodes: usize, options: NetworkOptions, rng: Rng) -> Network {
        Network { nodes, links: vec![Link::default(); nodes * nodes], options, rng }
    }

    fn link(&self, from: NodeId, to: NodeId) -> &Link {
        &self.links[from.0 as usize * self.nodes + to.0 as usize]
    }

    fn link_mut(&mut self, from: NodeId, to: NodeId) -> &mut Link {
        &mut self.links[from.0 as usize * self.nodes + to.0 as usize]
    }

    /// When a message sent now arrives; `None` if it never does.
    pub fn send(&mut self, now: Nanos, from: NodeId, to: NodeId) -> Option<Nanos> {
        if from == to {
            return Some(now + self.rng.range(self.options.local.0, self.options.local.1));
        }
        if !self.passes(from, to) {
            return None;
        }
        if self.options.loss > 0.0 && self.rng.chance(self.options.loss) {
            return None;
        }
        let mut delay = self.rng.range(self.options.delay.0, self.options.delay.1);
        if self.options.slow.0 > 0.0 && self.rng.chance(self.options.slow.0) {
            delay += self.rng.below(self.options.slow.1);
        }
        let link = self.link_mut(from, to);
        link.busy = (now + delay).max(link.busy + 1);
        Some(link.busy)
    }

    /// Whether the link is open; counts a drop if it is not. To be asked again when a message arrives: what was on
    /// the wire when the cut came is lost too.
    pub fn passes(&mut self, from: NodeId, to: NodeId) -> bool {
        let link = self.link_mut(from, to);
        // Not `dropped += u64::from(!open)`: rustc 1.95 loses the sum where it inlines this (rust-lang/rust#158206).
        if link.cuts > 0 {
            link.dropped += 1;
        }
        link.cuts == 0
    }

    /// The delay between a node and a client that is on none; such a path is never cut.
    pub fn outside(&mut self) -> Nanos {
        self.rng.range(self.options.delay.0, self.options.delay.1)
    }

    /// Cuts one direction. Cuts add up: each needs its own [`Network::mend`].
    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        self.link_mut(from, to).cuts += 1;
    }

    /// Takes back one cut. What is sent from now on does not wait for what was lost.
    pub fn mend(&mut self, from: NodeId, to: NodeId) {
        let link = self.link_mut(from, to);
        link.cuts = link.cuts.saturating_sub(1);
    }

    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.link(from, to).cuts > 0
    }

    /// Messages that met a cut on this link so far.
    pub fn dropped(&self, from: NodeId, to: NodeId) -> u64 {
        self.link(from, to).dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(0);
    const B: NodeId = NodeId(1);

    fn network(options: NetworkOptions) -> Network {
        Network::new(2, options, Rng::new(1, "network"))
    }

    #[test]
    fn a_one_way_cut_is_one_way_and_is_counted() {
        let mut network = network(NetworkOptions::default());
        network.cut(A, B);
        assert_eq!(network.send(0, A, B), None);
        assert!(network.send(0, B, A).is_some());
        assert_eq!((network.dropped(A, B), network.dropped(B, A)), (1, 0));
        network.mend(A, B);
        assert!(network.send(0, A, B).is_some());
    }

    #[test]
    fn two_cuts_of_one_link_need_two_mends() {
        let mut network = network(NetworkOptions::default());
        network.cut(A, B);
        network.cut(A, B);
        network.mend(A, B);
        assert!(network.is_cut(A, B));
        network.mend(A, B);
        assert!(!network.is_cut(A, B));
    }

    #[test]
    fn a_link_is_first_in_first_out_within_its_delays() {
        let mut network = network(NetworkOptions { slow: (0.3, 50_000_000), ..NetworkOptions::default() });
        let mut last = 0;
        for now in (0..1_000_000_000).step_by(1_000_000) {
            let arrival = network.send(now, A, B).expect("nothing is cut");
            assert!(arrival > last && arrival >= now + 300_000);
            last = arrival;
        }
    }

    #[test]
    fn loss_is_about_as_frequent_as_asked_for() {
        let mut network = network(NetworkOptions { loss: 0.25, ..NetworkOptions::default() });
        let lost = (0..4000).filter(|i| network.send(*i, A, B).is_none()).count();
        assert!((800..1200).contains(&lost), "{lost} of 4000");
    }
}
