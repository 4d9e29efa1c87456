//! Peels a stack from the bottom, and finds few elements that cannot be peeled.
//!
//! A tree holds for each instant how many elements are certainly inside; each instant falls to none once, and frees
//! every push and pop whose window has it. O(n log n). Not here: what that says about a stack (`stack.rs`).

use super::collections::{NONE, Reach, Stay, by};

/// What peeling came to.
pub struct Peeled {
    /// When each element is pushed and popped; not for those that are stuck.
    pub at: Vec<(u32, u32)>,
    /// Who is below whom where times leave it open: what was peeled earlier; above all those the never certain ones.
    pub turn: Vec<u32>,
    /// Elements that bar each other.
    pub stuck: Vec<u32>,
}

/// `boundaries`: instants at which the stack is to be empty; nothing may be certainly inside there.
pub fn peel(all: &[Stay], end: u32, boundaries: &[u32]) -> Peeled {
    let mut peeled = Peeled {
        // Never certainly inside: pushed as late and popped as early as can be, such an element bars nobody.
        at: all.iter().map(|s| (s.er, s.di)).collect(),
        turn: (0..all.len() as u32).map(|k| all.len() as u32 + k).collect(),
        stuck: Vec::new(),
    };
    let mut bounds = Instants::new(end);
    boundaries.iter().for_each(|b| bounds.insert(*b));
    let mut depth = Depth::new(all, end);
    let mut windows = Windows::new(all, end);
    // The free instant found in the push and in the pop window.
    let mut found = vec![(NONE, NONE); all.len()];
    let mut todo: Vec<u32> = Vec::new();
    let mut turn = 0;
    loop {
        while let Some(at) = depth.take_zero() {
            while let Some((k, pop)) = windows.take(at) {
                let slot = &mut found[k as usize];
                if pop {
                    slot.1 = at
                } else {
                    slot.0 = at
                }
                // What is never returned may stay to the end, where nothing is in anybody's way.
                if all[k as usize].take == NONE {
                    slot.1 = end;
                }
                if slot.0 != NONE && slot.1 != NONE && !windows.is_done(k) {
                    windows.finish(k);
                    todo.push(k);
                }
            }
        }
        let Some(k) = todo.pop() else { break };
        let (s, (push, pop)) = (&all[k as usize], found[k as usize]);
        let push = bounds.last_until(s.er).map_or(push, |b| b.max(push));
        let pop = bounds.first_from(s.di).map_or(pop, |b| b.min(pop));
        bounds.insert(push);
        bounds.insert(pop);
        peeled.at[k as usize] = (push, pop);
        turn += 1;
        peeled.turn[k as usize] = turn;
        depth.add(s.er + 1, s.di, -1);
    }
    let left = |k: &u32| all[*k as usize].is_certain() && !windows.is_done(*k);
    peeled.stuck = (0..all.len() as u32).filter(left).collect();
    peeled
}

/// How many elements are certainly inside at each instant: a tree whose nodes hold what their children have in
/// common, so that a range is changed, and an instant with none found, along one path.
struct Depth {
    tree: Vec<i32>,
    width: usize,
}

/// An instant that was found is out of the count for good.
const OUT: i32 = 1 << 30;

impl Depth {
    fn new(all: &[Stay], end: u32) -> Depth {
        let width = (end as usize + 1).next_power_of_two();
        let mut tree = vec![0i32; 2 * width];
        for s in all.iter().filter(|s| s.is_certain()) {
            tree[width + s.er as usize + 1] += 1;
            tree[width + s.di as usize] -= 1;
        }
        let mut sum = 0;
        for (at, slot) in tree[width..].iter_mut().enumerate() {
            sum += *slot;
            *slot = if at <= end as usize { sum } else { OUT };
        }
        let mut depth = Depth { tree, width };
        (1..width).rev().for_each(|node| depth.share(node));
        depth
    }

    /// Moves what both children have up into their parent.
    fn share(&mut self, node: usize) {
        let least = self.tree[2 * node].min(self.tree[2 * node + 1]);
        self.tree[2 * node] -= least;
        self.tree[2 * node + 1] -= least;
        self.tree[node] += least;
    }

    /// Adds to `from..to`.
    fn add(&mut self, from: u32, to: u32, x: i32) {
        let (mut low, mut high) = (from as usize + self.width, to as usize + self.width);
        // Whatever is changed on either side hangs on the path of its edge.
        let (first, last) = (low, high);
        while low < high {
            if low & 1 == 1 {
                self.tree[low] += x;
                low += 1;
            }
            if high & 1 == 1 {
                high -= 1;
                self.tree[high] += x;
            }
            low >>= 1;
            high >>= 1;
        }
        self.mend(first);
        self.mend(last);
    }

    fn mend(&mut self, leaf: usize) {
        let mut node = leaf >> 1;
        while node > 0 {
            self.share(node);
            node >>= 1;
        }
    }

    fn take_zero(&mut self) -> Option<u32> {
        if self.tree[1] != 0 {
            return None;
        }
        let mut node = 1;
        while node < self.width {
            node = 2 * node + (self.tree[2 * node] != 0) as usize;
        }
        self.tree[node] += OUT;
        self.mend(node);
        Some((node - self.width) as u32)
    }
}

/// The push and pop windows of the elements that are certainly inside at some time, by their beginning, with the
/// latest end in each part of them.
struct Windows {
    /// Twice the element, and one more for its pop.
    ids: Vec<u32>,
    from: Vec<u32>,
    /// Ends, one higher; 0 for what is taken.
    tree: Vec<u32>,
    width: usize,
    done: Vec<bool>,
}

impl Windows {
    fn new(all: &[Stay], end: u32) -> Windows {
        // Both kinds by beginning, then merged: two counting sorts instead of one by comparison.
        let (pushes, pops) = (by(all, end, |s| s.ei), by(all, end, |s| s.di));
        let certain = |k: &&u32| all[**k as usize].is_certain();
        let (mut pushes, mut pops) =
            (pushes.iter().filter(certain).peekable(), pops.iter().filter(certain).peekable());
        let (mut ids, mut from, mut until) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let pop = match (pushes.peek(), pops.peek()) {
                (None, None) => break,
                (Some(a), Some(b)) => all[**b as usize].di < all[**a as usize].ei,
                (a, _) => a.is_none(),
            };
            let Some(k) = (if pop { pops.next() } else { pushes.next() }) else { break };
            let s = &all[*k as usize];
            ids.push(2 * k + pop as u32);
            from.push(if pop { s.di } else { s.ei });
            until.push(if pop { s.dr } else { s.er } + 1);
        }
        let width = ids.len().next_power_of_two();
        let mut tree = vec![0; 2 * width];
        tree[width..width + until.len()].copy_from_slice(&until);
        for node in (1..width).rev() {
            tree[node] = tree[2 * node].max(tree[2 * node + 1]);
        }
        Windows { ids, from, tree, width, done: vec![false; all.len()] }
    }

    /// A window that has the instant, once: the element, and whether it is that of its pop.
    fn take(&mut self, at: u32) -> Option<(u32, bool)> {
        if self.tree[1] <= at {
            return None;
        }
        let mut node = 1;
        while node < self.width {
            node = 2 * node + (self.tree[2 * node] <= at) as usize;
        }
        let i = node - self.width;
        // The first that ends late enough; if it begins too late, so do all behind it.
        if self.from[i] > at {
            return None;
        }
        self.tree[node] = 0;
        while node > 1 {
            node >>= 1;
            self.tree[node] = self.tree[2 * node].max(self.tree[2 * node + 1]);
        }
        Some((self.ids[i] >> 1, self.ids[i] & 1 == 1))
    }

    fn is_done(&self, k: u32) -> bool {
        self.done[k as usize]
    }

    fn finish(&mut self, k: u32) {
        self.done[k as usize] = true;
    }
}

/// A set of instants that knows its neighbours: bits, and above each 64 of them one that says whether any is set.
struct Instants(Vec<Vec<u64>>);

impl Instants {
    /// Of instants up to `end`.
    fn new(end: u32) -> Instants {
        let (mut levels, mut n) = (Vec::new(), end as usize);
        loop {
            n = n / 64 + 1;
            levels.push(vec![0u64; n]);
            if n == 1 {
                return Instants(levels);
            }
        }
    }

    fn insert(&mut self, at: u32) {
        let mut at = at as usize;
        for level in &mut self.0 {
            level[at / 64] |= 1 << (at % 64);
            at /= 64;
        }
    }

    fn last_until(&self, at: u32) -> Option<u32> {
        let mut at = at as usize;
        for (up, level) in self.0.iter().enumerate() {
            // Of the word at hand the bits up to here; above the first level, those below.
            let below = match (up, at % 64) {
                (0, bit) => u64::MAX >> (63 - bit),
                (_, bit) => (1 << bit) - 1,
            };
            let word = level.get(at / 64).copied().unwrap_or(0) & below;
            if word != 0 {
                let found = at / 64 * 64 + 63 - word.leading_zeros() as usize;
                return Some(self.descend(up, found, |w| 63 - w.leading_zeros()));
            }
            at /= 64;
        }
        None
    }

    fn first_from(&self, at: u32) -> Option<u32> {
        let mut at = at as usize;
        for (up, level) in self.0.iter().enumerate() {
            let above = match (up, at % 64) {
                (0, bit) => u64::MAX << bit,
                (_, 63) => 0,
                (_, bit) => u64::MAX << (bit + 1),
            };
            let word = level.get(at / 64).copied().unwrap_or(0) & above;
            if word != 0 {
                let found = at / 64 * 64 + word.trailing_zeros() as usize;
                return Some(self.descend(up, found, u64::trailing_zeros));
            }
            at /= 64;
        }
        None
    }

    fn descend(&self, up: usize, mut at: usize, bit: impl Fn(u64) -> u32) -> u32 {
        for level in self.0[..up].iter().rev() {
            at = at * 64 + bit(level[at]) as usize;
        }
        at as u32
    }
}

/// Elements looked at while making a contradiction smaller, all tries together, for each one there is.
const EFFORT: usize = 8;

/// Few of the elements that are stuck, which alone are stuck too: two that cross each other, else those that bar one
/// element, those that bar them, and so on, less what can be left out one by one.
pub fn smallest(all: &[Stay], end: u32, stuck: Vec<u32>) -> Vec<u32> {
    let left: Vec<Stay> = stuck.iter().map(|k| all[*k as usize]).collect();
    let few = crossing(&left, end)
        .unwrap_or_else(|| thinned(&left, barring(&left, end), EFFORT * left.len() + 100_000));
    few.into_iter().map(|k| stuck[k as usize]).collect()
}

/// Two elements of which the second was certainly pushed while the first was inside, and the first certainly popped
/// while the second was: O(n log n).
fn crossing(stays: &[Stay], end: u32) -> Option<Vec<u32>> {
    let (by_er, by_ei) = (by(stays, end, |s| s.er), by(stays, end, |s| s.ei));
    // Of those certainly pushed so far, the first certainly popped among those that cannot be popped before an instant.
    let mut tree = vec![(u32::MAX, NONE); end as usize + 2];
    let slot = |di: u32| (end - di) as usize + 1;
    let mut next = 0;
    for y in by_ei {
        let second = &stays[y as usize];
        while let Some(x) = by_er.get(next).filter(|x| stays[**x as usize].er < second.ei) {
            let mut i = slot(stays[*x as usize].di);
            while i < tree.len() {
                tree[i] = tree[i].min((stays[*x as usize].dr, *x));
                i += i & i.wrapping_neg();
            }
            next += 1;
        }
        // Those whose pop can only begin after `second` was certainly pushed.
        let mut best = (u32::MAX, NONE);
        let mut i = if second.er < end { slot(second.er + 1) } else { 0 };
        while i > 0 {
            best = best.min(tree[i]);
            i &= i - 1;
        }
        if best.0 < second.di {
            return Some(vec![best.1, y]);
        }
    }
    None
}

/// From one element: those that bar its push or its pop, and so on until nobody in the set can be peeled.
fn barring(stays: &[Stay], end: u32) -> Vec<u32> {
    let reach = Reach::new(stays, by(stays, end, |s| s.er).into_iter());
    let mut inside = vec![false; stays.len()];
    let mut set: Vec<u32> = vec![0];
    inside[0] = true;
    let mut at = 0;
    while let Some(k) = set.get(at) {
        let s = &stays[*k as usize];
        let covers = [reach.cover(s.ei, s.er), reach.cover(s.di, s.dr)];
        let cost = |c: &Vec<u32>| c.iter().filter(|k| !inside[**k as usize]).count();
        let Some(cover) = covers.into_iter().flatten().min_by_key(cost) else {
            // Not stuck after all: leave the set as it was given.
            return (0..stays.len() as u32).collect();
        };
        for k in cover {
            if !std::mem::replace(&mut inside[k as usize], true) {
                set.push(k);
            }
        }
        at += 1;
    }
    set.sort_unstable();
    set
}

/// Leaves out halves, quarters, … single elements as long as what is left is stuck.
fn thinned(stays: &[Stay], mut set: Vec<u32>, mut effort: usize) -> Vec<u32> {
    let mut chunk = set.len().div_ceil(2).max(1);
    loop {
        let (mut at, mut changed) = (0, false);
        while at < set.len() {
            if effort < set.len() {
                return set;
            }
            effort -= set.len();
            let until = (at + chunk).min(set.len());
            let without: Vec<u32> = set[..at].iter().chain(&set[until..]).copied().collect();
            let left = stuck_of(stays, &without);
            if left.is_empty() {
                at = until;
            } else {
                (set, changed) = (left, true);
            }
        }
        if chunk == 1 && !changed {
            return set;
        }
        chunk = (chunk / 2).max(1);
    }
}

/// Those of a few elements that are stuck among themselves, with instants numbered anew.
fn stuck_of(stays: &[Stay], set: &[u32]) -> Vec<u32> {
    let mut instants: Vec<u32> = Vec::with_capacity(4 * set.len());
    for s in set.iter().map(|k| &stays[*k as usize]) {
        instants.extend([s.ei, s.er, s.di, s.dr]);
    }
    instants.sort_unstable();
    instants.dedup();
    let at = |t: u32| instants.partition_point(|i| *i < t) as u32;
    let few: Vec<Stay> = set
        .iter()
        .map(|k| {
            let s = stays[*k as usize];
            Stay { ei: at(s.ei), er: at(s.er), di: at(s.di), dr: at(s.dr), ..s }
        })
        .collect();
    peel(&few, instants.len() as u32, &[]).stuck.into_iter().map(|i| set[i as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::collections::{covered, free};
    use super::*;
    use history::rng::Rng;
    use std::collections::BTreeSet;

    #[test]
    fn neighbours_among_instants() {
        let mut rng = Rng::new(1, "instants");
        for end in [1, 63, 64, 65, 4_096, 300_000] {
            let (mut bits, mut set) = (Instants::new(end), BTreeSet::new());
            for _ in 0..200 {
                let at = rng.below(end as u64) as u32;
                bits.insert(at);
                set.insert(at);
                let ask = rng.below(end as u64) as u32;
                assert_eq!(bits.last_until(ask), set.range(..=ask).next_back().copied(), "{ask} of {end}");
                assert_eq!(bits.first_from(ask), set.range(ask..).next().copied(), "{ask} of {end}");
            }
        }
    }

    /// The definition: an element can be the bottom if both its windows have an instant that nobody else covers.
    fn plainly(all: &[Stay]) -> Vec<u32> {
        let mut left: Vec<u32> = (0..all.len() as u32).filter(|k| all[*k as usize].is_certain()).collect();
        loop {
            let mut by_entry: Vec<&Stay> = left.iter().map(|k| &all[*k as usize]).collect();
            by_entry.sort_by_key(|s| s.er);
            let blocks = covered(by_entry.into_iter());
            let open = |from: u32, to: u32| free(&blocks, from) <= to;
            let bottom = left.iter().position(|k| {
                let s = &all[*k as usize];
                open(s.ei, s.er) && open(s.di, s.dr)
            });
            match bottom {
                Some(i) => left.remove(i),
                None => return left,
            };
        }
    }

    #[test]
    fn peeling_by_trees_leaves_what_plain_peeling_leaves() {
        let mut rng = Rng::new(2, "peel");
        let (mut stuck, mut small) = (0, 0);
        for round in 0..3_000 {
            let n = 1 + rng.below(if round % 10 == 0 { 40 } else { 8 }) as usize;
            let end = 4 * n as u32;
            let all: Vec<Stay> = (0..n)
                .map(|i| {
                    let mut t: Vec<u32> = (0..4).map(|_| rng.below(end as u64) as u32).collect();
                    t.sort_unstable();
                    let left = rng.chance(0.2);
                    let (di, dr) = if left { (end, end) } else { (t[2], t[3]) };
                    Stay {
                        put: i as u32,
                        take: if left { NONE } else { i as u32 },
                        rank: 0,
                        ei: t[0],
                        er: t[1],
                        di,
                        dr,
                    }
                })
                .collect();
            let peeled = peel(&all, end, &[]);
            assert_eq!(peeled.stuck, plainly(&all), "{all:?}");
            if !peeled.stuck.is_empty() {
                stuck += 1;
                let few = smallest(&all, end, peeled.stuck);
                let few: Vec<Stay> = few.iter().map(|k| all[*k as usize]).collect();
                assert_eq!(plainly(&few).len(), few.len(), "{few:?}");
                for i in 0..few.len() {
                    let mut fewer = few.clone();
                    fewer.remove(i);
                    assert!(plainly(&fewer).is_empty(), "{i} can go from {few:?}");
                }
                small += (few.len() > 2) as u32;
            }
        }
        assert!(stuck > 300 && small > 10, "{stuck} stuck, {small} without a crossing pair");
    }

    /// Three elements that bar each other in a ring, each two of which cross nowhere, and others around them.
    #[test]
    fn thinning_ends_with_its_effort() {
        let stay = |ei, er, di, dr| Stay { put: 0, take: 0, rank: 0, ei, er, di, dr };
        let ring = [stay(7, 8, 15, 16), stay(2, 7, 10, 14), stay(3, 4, 8, 14)];
        let mut all: Vec<Stay> = ring.to_vec();
        for k in 0..9 {
            all.push(stay(20 + 4 * k, 21 + 4 * k, 23 + 4 * k, 24 + 4 * k));
        }
        let set: Vec<u32> = (0..all.len() as u32).collect();
        let stuck = plainly(&all);
        let thin = |effort| thinned(&all, set.clone(), effort).len();
        assert_eq!(stuck.len(), 3, "{stuck:?}");
        // The ring is in the first half: the first look finds that it cannot go, the second leaves nothing else.
        assert_eq!([0, 11, 12, 23, 24, 1_000].map(thin), [12, 12, 12, 12, 3, 3]);
    }
}
