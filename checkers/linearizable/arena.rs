//! The decisions that the configurations of a frontier came by, as a tree that is swept of dead branches.
//!
//! Not here: what a decision is (`frontier.rs`, `lazy.rs`).

/// The root: no decision yet.
pub const NOTHING: u32 = u32::MAX;

/// Decisions by number; each knows the one before it, which is older.
pub struct Arena<D> {
    links: Vec<Link<D>>,
    /// It is to be swept beyond this length.
    sweep_at: usize,
}

#[derive(Clone, Copy)]
struct Link<D> {
    before: u32,
    decision: D,
}

const SWEEP: usize = 1 << 16;

impl<D> Default for Arena<D> {
    fn default() -> Arena<D> {
        Arena { links: Vec::new(), sweep_at: SWEEP }
    }
}

impl<D: Copy> Arena<D> {
    pub fn clear(&mut self) {
        self.links.clear();
    }

    pub fn push(&mut self, before: u32, decision: D) -> u32 {
        self.links.push(Link { before, decision });
        self.links.len() as u32 - 1
    }

    pub fn bytes(&self) -> usize {
        self.links.len() * size_of::<Link<D>>()
    }

    /// The decisions that led to `tail`, the first one first.
    pub fn path(&self, tail: u32) -> Vec<D> {
        let mut path = Vec::new();
        let mut at = tail;
        while at != NOTHING {
            path.push(self.links[at as usize].decision);
            at = self.links[at as usize].before;
        }
        path.reverse();
        path
    }

    /// There are so many that it is time to sweep.
    pub fn is_due(&self) -> bool {
        self.links.len() > self.sweep_at
    }

    /// Forgets the decisions that no node comes from any more, and renumbers the others. `tail` finds a node's last
    /// decision.
    pub fn sweep<N>(&mut self, nodes: &mut [&mut [N]], tail: impl Fn(&mut N) -> &mut u32) {
        let mut marked = vec![false; self.links.len()];
        for node in nodes.iter_mut().flat_map(|n| n.iter_mut()) {
            let mut at = *tail(node);
            while at != NOTHING && !std::mem::replace(&mut marked[at as usize], true) {
                at = self.links[at as usize].before;
            }
        }
        // A link is younger than the one before it, so one pass renumbers all.
        let mut number = vec![NOTHING; self.links.len()];
        let mut kept = 0u32;
        for i in (0..self.links.len()).filter(|i| marked[*i]) {
            let mut link = self.links[i];
            if link.before != NOTHING {
                link.before = number[link.before as usize];
            }
            self.links[kept as usize] = link;
            number[i] = kept;
            kept += 1;
        }
        self.links.truncate(kept as usize);
        for tail in nodes.iter_mut().flat_map(|n| n.iter_mut()).map(tail).filter(|t| **t != NOTHING) {
            *tail = number[*tail as usize];
        }
        self.sweep_at = 2 * kept as usize + SWEEP;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_come_from_survives_a_sweep_and_nothing_else() {
        let mut arena = Arena::default();
        let mut tails = [NOTHING, NOTHING, NOTHING];
        let (mut sweeps, mut kept) = (0, 0);
        for i in 0..400_000u32 {
            // The first goes on; the second branches off it now and then; the rest is dead at once.
            tails[0] = if i % 3 == 0 { arena.push(tails[0], i) } else { tails[0] };
            if i % 1000 == 1 {
                tails[1] = arena.push(tails[0], i);
            }
            arena.push(tails[1], i);
            // Often enough to stay within thrice what is needed and a bit, no oftener.
            let links = arena.bytes() / size_of::<Link<u32>>();
            assert_eq!(arena.is_due(), links > 2 * kept + SWEEP, "{links} links, {kept} kept");
            if arena.is_due() {
                arena.sweep(&mut [&mut tails], |t| t);
                kept = arena.bytes() / size_of::<Link<u32>>();
                // The second branches off the first: all of it but one is shared.
                assert_eq!(kept, arena.path(tails[0]).len() + 1, "at {i}");
                sweeps += 1;
            }
        }
        assert_eq!(sweeps, 4);
        let expected: Vec<u32> = (0..400_000).filter(|i| i % 3 == 0).collect();
        assert_eq!(arena.path(tails[0]), expected);
        let branch: Vec<u32> = (0..399_001).filter(|i| i % 3 == 0).chain([399_001]).collect();
        assert_eq!(arena.path(tails[1]), branch);
        assert!(arena.path(tails[2]).is_empty());
        arena.clear();
        assert_eq!(arena.bytes(), 0);
    }
}
