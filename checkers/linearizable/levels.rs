//! Append-only lists and add-only sets with whole reads: decided, with an order, from the reads.
//!
//! Reads of such an object form a chain; each read's place in it is its *level*, each element belongs just below the
//! first read that has it. Linearizable iff along the levels nothing completed before something lower was invoked.
//! Not here: elements added twice, removals and answers about single elements, which need the search.

use super::engine::{Decision, Refuted};
use super::hash::Map;
use super::objects::{List, ListCall, ListReply, SetCall, SetReply, WholeSet};
use super::spec::{OPEN, Spec, Timed, precedes};
use history::ValueId;

/// What the decider has to know of an object.
pub trait Leveled: Spec {
    /// The element added, if it adds one.
    fn added(call: &Self::Call) -> Option<ValueId>;
    /// The elements read, in their order.
    fn seen(reply: &Self::Reply) -> Option<&[ValueId]>;
    /// Removals, or answers about single elements.
    fn is_more(ops: &[Timed<Self>]) -> bool;
    /// Could `long` have grown out of `short`?
    fn grown(short: &[ValueId], long: &[ValueId]) -> bool;
    fn reading(elements: Vec<ValueId>) -> Self::Reply;
    /// Lists have one element a level.
    const ORDERED: bool;
}

impl Leveled for List {
    fn added(call: &ListCall) -> Option<ValueId> {
        match call {
            ListCall::Append(v) => Some(*v),
            ListCall::Read => None,
        }
    }

    fn seen(reply: &ListReply) -> Option<&[ValueId]> {
        match reply {
            ListReply::Elements(seen) => Some(seen),
            ListReply::Done => None,
        }
    }

    fn is_more(_: &[Timed<Self>]) -> bool {
        false
    }

    fn grown(short: &[ValueId], long: &[ValueId]) -> bool {
        long.starts_with(short)
    }

    fn reading(elements: Vec<ValueId>) -> ListReply {
        ListReply::Elements(elements)
    }

    const ORDERED: bool = true;
}

impl Leveled for WholeSet {
    fn added(call: &SetCall) -> Option<ValueId> {
        match call {
            SetCall::Add(v) => Some(*v),
            _ => None,
        }
    }

    fn seen(reply: &SetReply) -> Option<&[ValueId]> {
        match reply {
            SetReply::Members(seen) => Some(seen),
            SetReply::Done | SetReply::Was(_) => None,
        }
    }

    fn is_more(ops: &[Timed<Self>]) -> bool {
        let more = |o: &Timed<Self>| {
            matches!(o.call, SetCall::Remove(_) | SetCall::Has(_))
                || matches!(o.reply, Some(SetReply::Was(_)))
        };
        ops.iter().any(more)
    }

    fn grown(short: &[ValueId], long: &[ValueId]) -> bool {
        let mut rest = long.iter();
        short.iter().all(|v| rest.any(|w| w == v))
    }

    fn reading(elements: Vec<ValueId>) -> SetReply {
        SetReply::Members(elements)
    }

    const ORDERED: bool = false;
}

/// `None` where an element was added twice, and where there are removals or answers about single elements. O(total size
/// of the reads + n log n).
pub fn decide<S: Leveled>(ops: &[Timed<S>]) -> Option<Decision<S>> {
    if S::is_more(ops) {
        return None;
    }
    let mut adder: Map<ValueId, usize> = Map::default();
    for (i, op) in ops.iter().enumerate() {
        if let Some(v) = S::added(&op.call)
            && adder.insert(v, i).is_some()
        {
            return None;
        }
    }
    let chain = Chain { ops, adder };
    Some(chain.decide())
}

struct Chain<'a, S: Leveled> {
    ops: &'a [Timed<S>],
    adder: Map<ValueId, usize>,
}

impl<S: Leveled> Chain<'_, S> {
    fn seen(&self, i: usize) -> &[ValueId] {
        self.ops[i].reply.as_ref().and_then(S::seen).unwrap_or_default()
    }

    fn decide(&self) -> Decision<S> {
        let mut reads: Vec<usize> = (0..self.ops.len())
            .filter(|i| self.ops[*i].reply.as_ref().is_some_and(|r| S::seen(r).is_some()))
            .collect();
        reads.sort_by_key(|i| (self.seen(*i).len(), self.ops[*i].inv));
        reads.iter().try_for_each(|i| self.possible(*i))?;
        for pair in reads.windows(2) {
            if !S::grown(self.seen(pair[0]), self.seen(pair[1])) {
                return Err(self.forked(pair[0], pair[1]));
            }
        }
        let levels = self.levels(&reads);
        self.sweep(levels)
    }

    /// No element that nobody added, none twice.
    fn possible(&self, read: usize) -> Result<(), Refuted<S>> {
        let mut sorted: Vec<ValueId> = self.seen(read).to_vec();
        sorted.sort_unstable();
        if let Some(v) = sorted.iter().find(|v| !self.adder.contains_key(v)) {
            return Err(self.refuted(&[read], &[*v]));
        }
        match sorted.windows(2).find(|w| w[0] == w[1]) {
            Some(w) => Err(self.refuted(&[read, self.adder[&w[0]]], &w[..1])),
            None => Ok(()),
        }
    }

    /// Two reads neither of which grew out of the other: the elements that show it.
    fn forked(&self, a: usize, b: usize) -> Refuted<S> {
        let (x, y) = (self.seen(a), self.seen(b));
        let only = |x: &[ValueId], y: &[ValueId]| x.iter().copied().find(|v| !y.contains(v));
        let about = match (only(x, y), only(y, x)) {
            (Some(v), Some(w)) => [v, w],
            // All of the shorter one, in another order: the first place where they differ.
            _ => {
                let at = x.iter().zip(y).position(|(v, w)| v != w).unwrap_or(0);
                [x[at], y[at]]
            }
        };
        let mut core = vec![a, b];
        core.extend(about.iter().filter_map(|v| self.adder.get(v)));
        self.refuted(&core, &about)
    }

    /// The level of each op that has to be in the order.
    fn levels(&self, reads: &[usize]) -> Vec<(u32, usize)> {
        let mut levels = Vec::with_capacity(self.ops.len());
        let mut placed = vec![false; self.ops.len()];
        let (mut level, mut before): (u32, usize) = (0, 0);
        for read in reads {
            let seen = self.seen(*read);
            // Lists count elements; sets only know which read had an element first.
            let fresh = if S::ORDERED { &seen[before..] } else { seen };
            for v in fresh {
                let i = self.adder[v];
                if !std::mem::replace(&mut placed[i], true) {
                    levels.push((level + 1, i));
                    if S::ORDERED {
                        level += 2;
                    }
                }
            }
            if !S::ORDERED {
                level += 2;
            }
            before = seen.len();
            levels.push((level, *read));
        }
        let unseen = (0..self.ops.len())
            .filter(|i| !placed[*i] && self.ops[*i].is_ok() && S::added(&self.ops[*i].call).is_some());
        levels.extend(unseen.map(|i| (level + 1, i)));
        levels
    }

    fn sweep(&self, mut levels: Vec<(u32, usize)>) -> Decision<S> {
        levels.sort_by_key(|(level, i)| (*level, self.ops[*i].inv));
        // The latest invocation on any lower level, and on this one.
        let (mut low, mut here): (Option<usize>, Option<usize>) = (None, None);
        let mut at = 0;
        for (level, i) in &levels {
            if *level != at {
                at = *level;
                low = here;
            }
            if let Some(a) = low.filter(|a| precedes(self.ops[*i].res, self.ops[*a].inv)) {
                return Err(self.inverted(a, *i));
            }
            here = here.into_iter().chain([*i]).max_by_key(|i| self.ops[*i].inv);
        }
        Ok(levels.into_iter().map(|(_, i)| i).collect())
    }

    /// `late` belongs before `early`, but began after it had completed.
    fn inverted(&self, late: usize, early: usize) -> Refuted<S> {
        let (a, b) = (&self.ops[late], &self.ops[early]);
        match (S::added(&a.call), S::added(&b.call)) {
            (None, Some(v)) => self.refuted(&[early, late], &[v]),
            (None, None) => {
                let missing = self.seen(late);
                let v =
                    self.seen(early).iter().copied().find(|v| !missing.contains(v)).unwrap_or(ValueId::NULL);
                let adder = self.adder.get(&v).copied();
                self.refuted(
                    &[Some(early), Some(late), adder].into_iter().flatten().collect::<Vec<_>>(),
                    &[v],
                )
            }
            (Some(v), None) => self.refuted(&[early, late], &[v]),
            (Some(x), Some(y)) => {
                let shows = (0..self.ops.len()).find(|i| {
                    let seen = self.seen(*i);
                    // Of a list, the first of the two in it; of a set, which has no order, the only one.
                    let mut both = seen.iter().copied().filter(|v| [x, y].contains(v));
                    both.next() == Some(x) && (S::ORDERED || both.next().is_none())
                });
                let core: Vec<usize> = [Some(early), Some(late), shows].into_iter().flatten().collect();
                self.refuted(&core, &[x, y])
            }
        }
    }

    /// The core, its reads reduced to the elements that it is about. Sound: leaving an element out of every append
    /// and every read of a valid history leaves a valid one.
    fn refuted(&self, core: &[usize], about: &[ValueId]) -> Refuted<S> {
        let mut core = core.to_vec();
        core.sort_by_key(|i| self.ops[*i].inv);
        core.dedup();
        let reduced = core
            .iter()
            .map(|i| {
                let op = &self.ops[*i];
                let reply = op.reply.as_ref().map(|r| match S::seen(r) {
                    Some(seen) => S::reading(seen.iter().copied().filter(|v| about.contains(v)).collect()),
                    None => r.clone(),
                });
                let res = if reply.is_some() { op.res } else { OPEN };
                Timed { call: op.call.clone(), reply, inv: op.inv, res }
            })
            .collect();
        Refuted { core, reduced: Some(reduced) }
    }
}
