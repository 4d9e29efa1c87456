//! Where a narrow frontier goes back to when it has lost its way.
//!
//! The hard places of a long history are few and short, so only they are passed with a wider frontier. Not here: the
//! frontier itself (`frontier.rs`).

use std::collections::VecDeque;

/// A frontier as it was before a completion: its configurations, and the ops that were open.
pub struct Before<N, L> {
    pub at: usize,
    pub next: u32,
    pub nodes: Vec<N>,
    pub live: Vec<L>,
}

impl<N, L> Before<N, L> {
    /// Without what the open ops own.
    fn bytes(&self) -> usize {
        self.nodes.len() * size_of::<N>() + self.live.len() * size_of::<L>()
    }
}

/// The last frontiers, now and then, and how often this place was tried.
pub struct Retreat<N, L> {
    pub kept: VecDeque<Before<N, L>>,
    bytes: usize,
    /// The width where all is well.
    narrow: usize,
    /// How often it may be lost in one place.
    tries: u32,
    /// How often it was lost here, and the completion after which here is past.
    lost: u32,
    until: usize,
}

/// Completions from one kept frontier to the next, how many are kept, and how far it goes back at first.
const STRIDE: usize = 16;
const KEPT: usize = 128;
const FAR: usize = 64;

impl<N: Clone, L: Clone> Retreat<N, L> {
    pub fn new(narrow: usize, tries: u32) -> Retreat<N, L> {
        Retreat { kept: VecDeque::new(), bytes: 0, narrow, tries, lost: 0, until: 0 }
    }

    /// The width for the `at`-th completion.
    pub fn pass(&mut self, at: usize, next: u32, nodes: &[N], live: &[L]) -> usize {
        if at >= self.until {
            self.lost = 0;
        }
        if at.is_multiple_of(STRIDE) && self.kept.back().is_none_or(|k| k.at < at) {
            if self.kept.len() == KEPT {
                self.bytes -= self.kept.pop_front().map_or(0, |k| k.bytes());
            }
            let before = Before { at, next, nodes: nodes.to_vec(), live: live.to_vec() };
            self.bytes += before.bytes();
            self.kept.push_back(before);
        }
        self.narrow << (2 * self.lost)
    }

    /// After nothing was left of the frontier: what it was some time before, the longer the more often it was lost.
    pub fn back(&mut self, at: usize) -> Option<&Before<N, L>> {
        if self.lost == self.tries {
            return None;
        }
        let far = FAR << self.lost;
        self.lost += 1;
        self.until = self.until.max(at + STRIDE);
        while self.kept.len() > 1 && self.kept.back().is_some_and(|k| k.at + far > at) {
            self.bytes -= self.kept.pop_back().map_or(0, |k| k.bytes());
        }
        self.kept.back()
    }

    /// Of the kept frontiers.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_back_farther_and_wider_each_time_and_forgets_once_past() {
        let mut retreat = Retreat::new(8, 2);
        let pass = |retreat: &mut Retreat<usize, ()>, from: usize, to: usize| {
            (from..to).map(|at| retreat.pass(at, 0, &[at], &[])).last()
        };
        assert_eq!(pass(&mut retreat, 0, 500), Some(8));
        assert_eq!(retreat.back(500).map(|b| (b.at, b.nodes[0])), Some((432, 432)));
        assert_eq!(pass(&mut retreat, 432, 500), Some(32));
        assert_eq!(retreat.back(500).map(|b| b.at), Some(368));
        assert_eq!(pass(&mut retreat, 368, 500), Some(128));
        assert!(retreat.back(500).is_none());
        assert_eq!(pass(&mut retreat, 500, 517), Some(8));
        // One that is just as far back as asked for will do.
        assert_eq!(pass(&mut retreat, 517, 1_024), Some(8));
        assert_eq!(retreat.back(1_024).map(|b| b.at), Some(960));
        assert_eq!(pass(&mut retreat, 960, 1_060), Some(8));
        assert_eq!(pass(&mut retreat, 1_060, 10_000), Some(8));
        assert_eq!((retreat.kept.len(), retreat.bytes()), (KEPT, KEPT * size_of::<usize>()));
    }
}
