//! Queues whose elements are unique: decided, with an order, by one topological sort. O(n log n).
//!
//! Element *a* must go through before *b* if it was certainly put in before *b* could be, or certainly taken before
//! *b* could be. Not linearizable iff two elements must each go before the other, or an empty reply has no instant
//! at which nothing is certainly inside: while elements are left, the one that is certainly in first and the one
//! that is certainly out first either bar nobody or each other.
//! Sources: Henzinger, Sezgin and Vafeiadis, *Aspect-oriented linearizability proofs*, CONCUR 2013, §4 (the
//! patterns); Bouajjani, Emmi, Enea and Hamza, *On reducing linearizability to state reachability*, ICALP 2015, §4.
//! The sort and the order that it gives are ours, compared with brute force. Not here: the object itself
//! (`objects.rs`), elements put in twice, which need the search.

use super::collection_tales;
use super::collections::{self, Collection, NONE, Stay, Stays};
use super::engine::{Decide, Decision, Refuted};
use super::objects::{Queue, QueueCall, QueueReply};
use super::spec::Timed;
use history::ValueId;
use std::collections::VecDeque;

impl Collection for Queue {
    type Item = ValueId;

    fn put(call: &QueueCall) -> Option<ValueId> {
        match call {
            QueueCall::Enqueue(v) => Some(*v),
            QueueCall::Dequeue => None,
        }
    }

    fn took(reply: &QueueReply) -> Option<ValueId> {
        match reply {
            QueueReply::Took(v) => Some(*v),
            QueueReply::Done | QueueReply::Empty => None,
        }
    }

    fn next(state: &VecDeque<ValueId>) -> Option<ValueId> {
        state.front().copied()
    }

    const PUT: &'static str = "enqueue";
    const TAKE: &'static str = "dequeue";
    const PAST: &'static str = "enqueued";
    const FUTURE: &'static str = "future dequeue";
}

impl Decide for Queue {
    fn decide(&self, ops: &[Timed<Queue>]) -> Option<Decision<Queue>> {
        collections::decide(self, ops, order)
    }

    fn needed(&self, ops: &[Timed<Queue>]) -> Vec<usize> {
        collections::needed(ops)
    }

    fn screen(&self, ops: &[Timed<Queue>]) -> Option<Refuted<Queue>> {
        collections::overdrawn(ops)
    }
}

impl collection_tales::Inverted for Queue {
    fn inversion(&self, told: &collection_tales::Told<'_, Queue>) -> Option<Vec<String>> {
        told.first_in_first_out()
    }
}

fn order(stays: &Stays) -> Result<Vec<usize>, Vec<usize>> {
    let mut all = stays.all.clone();
    // A free instant never stands in the way of an order: who must go before it and who after cannot be the same.
    for (nothing, at) in stays.nothings.iter().zip(stays.place_nothings()?) {
        all.push(Stay { put: NONE, take: nothing.op, rank: 0, ei: at, er: at, di: at, dr: at });
    }
    let sorted = Sorter::new(&all, stays.end).run();
    match sorted {
        Ok(ranked) => Ok(witness(&all, &ranked, &stays.leaves)),
        Err((a, b)) => Err(all[a].ops().chain(all[b].ops()).collect()),
    }
}

/// Kahn's algorithm with the bars in order instead of edges: an element is ready once nobody left is certainly in
/// before it could be, nor certainly out before it could be.
struct Sorter<'a> {
    all: &'a [Stay],
    by: [Vec<u32>; 4],
    at: [usize; 4],
    gone: Vec<bool>,
    passed: Vec<bool>,
    ready: VecDeque<u32>,
    /// Elements that nobody returned: they go last, so that as few as possible must leave unseen.
    late: VecDeque<u32>,
}

impl<'a> Sorter<'a> {
    fn new(all: &'a [Stay], end: u32) -> Sorter<'a> {
        let by = [
            collections::by(all, end, |s| s.er),
            collections::by(all, end, |s| s.dr),
            collections::by(all, end, |s| s.ei),
            collections::by(all, end, |s| s.di),
        ];
        let flags = || vec![false; all.len()];
        Sorter {
            all,
            by,
            at: [0; 4],
            gone: flags(),
            passed: flags(),
            ready: VecDeque::new(),
            late: VecDeque::new(),
        }
    }

    /// An order of the elements, or two that must each go before the other.
    fn run(mut self) -> Result<Vec<u32>, (usize, usize)> {
        let mut ranked = Vec::with_capacity(self.all.len());
        while ranked.len() < self.all.len() {
            let (first_in, first_out) = (self.least(0), self.least(1));
            let (er, dr) = (self.all[first_in].er, self.all[first_out].dr);
            self.pass(2, |s| s.ei <= er);
            self.pass(3, |s| s.di <= dr);
            let Some(k) = self.ready.pop_front().or_else(|| self.late.pop_front()) else {
                return Err((first_in, first_out));
            };
            self.gone[k as usize] = true;
            ranked.push(k);
        }
        Ok(ranked)
    }

    /// The first of those left.
    fn least(&mut self, by: usize) -> usize {
        while self.gone[self.by[by][self.at[by]] as usize] {
            self.at[by] += 1;
        }
        self.by[by][self.at[by]] as usize
    }

    fn pass(&mut self, by: usize, may: impl Fn(&Stay) -> bool) {
        while let Some(k) = self.by[by].get(self.at[by]).copied().filter(|k| may(&self.all[*k as usize])) {
            self.at[by] += 1;
            if std::mem::replace(&mut self.passed[k as usize], true) {
                let late = self.all[k as usize].take == NONE;
                if late { &mut self.late } else { &mut self.ready }.push_back(k);
            }
        }
    }
}

/// Each op as early as those before it in the order allow: puts and takes both run through the elements in order, so
/// the two rows only have to be merged by instant. `leaves`: from when elements may leave unseen, one each; those
/// that do are out before the next that was returned.
fn witness(all: &[Stay], ranked: &[u32], leaves: &[u32]) -> Vec<usize> {
    let mut times = Vec::with_capacity(ranked.len());
    let (mut put_at, mut take_at, mut left) = (0, 0, 0usize);
    for k in ranked {
        let s = &all[*k as usize];
        put_at = put_at.max(s.ei);
        take_at = take_at.max(put_at);
        if s.take == NONE {
            left += 1;
        } else {
            let unseen = left.checked_sub(1).and_then(|i| leaves.get(i)).copied().unwrap_or(0);
            take_at = take_at.max(s.di).max(unseen);
        }
        times.push((put_at, take_at));
    }
    let op = |i: u32| (i != NONE).then_some(i as usize);
    let mut order = Vec::with_capacity(2 * ranked.len());
    let (mut i, mut j) = (0, 0);
    while j < ranked.len() {
        if i < ranked.len() && (times[i].0, i) <= (times[j].1, j) {
            order.extend(op(all[ranked[i] as usize].put));
            i += 1;
        } else {
            order.extend(op(all[ranked[j] as usize].take));
            j += 1;
        }
    }
    order
}
