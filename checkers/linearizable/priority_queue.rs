//! Priority queues: poll returns the largest. A poll of an empty one answers nil.
//!
//! With unique priorities decided, with an order, by one sweep: linearizable iff each poll has an instant at which
//! nothing larger is certainly inside, and each empty reply one at which nothing is. The first such instant serves:
//! whatever kept an element waiting is larger still, and bars all that the waiting element could bar.
//! O(n log n).
//! Source: the condition is ours, compared with brute force; the name of the problem is that of Lee and Mathur,
//! *Efficient decrease-and-conquer linearizability monitoring*, OOPSLA 2025. Not here: equal priorities, which need
//! the search.

use super::bind::{Bind, Taken, done_or, unknown};
use super::collection_tales::{self, Inverted, Told};
use super::collections::{self, Collection, NONE, Nothing, Reach, Stays};
use super::engine::{Decide, Decision, Refuted};
use super::explain::{Claim, Story};
use super::spec::{Spec, Timed};
use history::{History, Op, OutcomeKind, ReplyId, ValueId};
use std::collections::{BTreeMap, BinaryHeap};

/// The largest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct PriorityQueue;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PriorityQueueCall {
    Add(i64),
    Poll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PriorityQueueReply {
    Done,
    Took(i64),
    Empty,
}

use PriorityQueueCall as Call;
use PriorityQueueReply as Reply;

impl Spec for PriorityQueue {
    type Call = Call;
    type Reply = Reply;
    /// How often each priority is inside.
    type State = BTreeMap<i64, u32>;

    fn init(&self) -> BTreeMap<i64, u32> {
        BTreeMap::new()
    }

    fn weight(&self, s: &BTreeMap<i64, u32>) -> usize {
        // A node has 11 entries and is two thirds full or more.
        s.len() * 24
    }

    fn step(&self, s: &BTreeMap<i64, u32>, call: &Call, reply: Option<&Reply>) -> Option<BTreeMap<i64, u32>> {
        let mut next = s.clone();
        self.apply(&mut next, call, reply).then_some(next)
    }

    fn apply(&self, s: &mut BTreeMap<i64, u32>, call: &Call, reply: Option<&Reply>) -> bool {
        let said = match call {
            Call::Add(v) => {
                *s.entry(*v).or_insert(0) += 1;
                Reply::Done
            }
            Call::Poll => match s.last_entry() {
                Some(mut top) => {
                    let v = *top.key();
                    *top.get_mut() -= 1;
                    if *top.get() == 0 {
                        top.remove();
                    }
                    Reply::Took(v)
                }
                None => Reply::Empty,
            },
        };
        reply.is_none_or(|r| *r == said)
    }

    fn idle(&self, _: &Call, reply: &Reply) -> bool {
        *reply == Reply::Empty
    }

    /// An info add of an element that nobody took may be forgotten, with the info poll that took it if one did; an
    /// info poll never.
    fn wants(&self, by: &Timed<Self>, info: &Call) -> bool {
        match info {
            Call::Add(v) => by.reply == Some(Reply::Took(*v)),
            Call::Poll => true,
        }
    }
}

impl Collection for PriorityQueue {
    type Item = i64;

    fn put(call: &Call) -> Option<i64> {
        match call {
            Call::Add(v) => Some(*v),
            Call::Poll => None,
        }
    }

    fn took(reply: &Reply) -> Option<i64> {
        match reply {
            Reply::Took(v) => Some(*v),
            Reply::Done | Reply::Empty => None,
        }
    }

    fn next(state: &BTreeMap<i64, u32>) -> Option<i64> {
        state.last_key_value().map(|(v, _)| *v)
    }

    const PUT: &'static str = "add";
    const TAKE: &'static str = "poll";
    const PAST: &'static str = "added";
    const FUTURE: &'static str = "future poll";
}

impl Decide for PriorityQueue {
    fn decide(&self, ops: &[Timed<PriorityQueue>]) -> Option<Decision<PriorityQueue>> {
        collections::decide(self, ops, order)
    }

    fn needed(&self, ops: &[Timed<PriorityQueue>]) -> Vec<usize> {
        collections::needed(ops)
    }

    fn screen(&self, ops: &[Timed<PriorityQueue>]) -> Option<Refuted<PriorityQueue>> {
        collections::overdrawn(ops)
    }
}

fn order(stays: &Stays) -> Result<Vec<usize>, Vec<usize>> {
    let empties = stays.place_nothings()?;
    match poll_times(stays) {
        Ok(times) => Ok(witness(stays, &empties, &times)),
        Err(late) => Err(outranked(stays, late)),
    }
}

/// The first instant of each element's poll at which nothing larger is certainly inside, or an element without one.
fn poll_times(stays: &Stays) -> Result<Vec<u32>, usize> {
    let all = &stays.all;
    let (ins, outs, ends) = (stays.by(|s| s.er), stays.by(|s| s.di), stays.by(|s| s.dr));
    let mut times = vec![NONE; all.len()];
    // Certain elements by rank; those that are out again are dropped when they come to the top.
    let mut inside: BinaryHeap<(u32, u32)> = BinaryHeap::new();
    let mut waiting: BinaryHeap<(u32, u32)> = BinaryHeap::new();
    let (mut i, mut o, mut e) = (0, 0, 0);
    while let Some(first) = outs.get(o) {
        let now = all[*first as usize].di;
        // What has to be in before now, then who ran out of time.
        while let Some(k) = ins.get(i).filter(|k| all[**k as usize].er < now) {
            if all[*k as usize].is_certain() {
                inside.push((all[*k as usize].rank, *k));
            }
            i += 1;
        }
        if let Some(late) = overdue(stays, &ends, &mut e, now, &times) {
            return Err(late);
        }
        while let Some(k) = outs.get(o).filter(|k| all[**k as usize].di == now) {
            if all[*k as usize].take != NONE {
                waiting.push((all[*k as usize].rank, *k));
            }
            o += 1;
        }
        while inside.peek().is_some_and(|(_, k)| all[*k as usize].di <= now) {
            inside.pop();
        }
        let bar = inside.peek().map(|top| top.0);
        while let Some((rank, k)) = waiting.peek().copied() {
            if bar.is_some_and(|bar| bar > rank) {
                break;
            }
            times[k as usize] = now;
            waiting.pop();
        }
    }
    match overdue(stays, &ends, &mut e, stays.end + 1, &times) {
        Some(late) => Err(late),
        None => Ok(times),
    }
}

/// An element whose poll had to happen before `now` and could not.
fn overdue(stays: &Stays, ends: &[u32], at: &mut usize, now: u32, times: &[u32]) -> Option<usize> {
    while let Some(k) = ends.get(*at).map(|k| *k as usize).filter(|k| stays.all[*k].dr < now) {
        if stays.all[k].take != NONE && times[k] == NONE {
            return Some(k);
        }
        *at += 1;
    }
    None
}

/// The poll and the fewest larger elements that cover it.
fn outranked(stays: &Stays, late: usize) -> Vec<usize> {
    let s = &stays.all[late];
    let larger = stays.by(|s| s.er).into_iter().filter(|k| stays.all[*k as usize].rank > s.rank);
    let cover = Reach::new(&stays.all, larger).cover(s.di, s.dr).unwrap_or_default();
    s.ops().chain(cover.into_iter().flat_map(|k| stays.all[k as usize].ops())).collect()
}

/// At one instant: polls, the largest first, each behind its own add if that is not before; empty replies; adds. An
/// element is added as late as can be.
fn witness(stays: &Stays, empties: &[u32], times: &[u32]) -> Vec<usize> {
    let phase = |phase: u64, then: u32| phase << 32 | then as u64;
    // Instant, what comes first in it, op.
    let mut placed: Vec<(u32, u64, u32)> = Vec::with_capacity(2 * stays.all.len() + empties.len());
    for (Nothing { op, .. }, at) in stays.nothings.iter().zip(empties) {
        placed.push((*at, phase(1, 0), *op));
    }
    for (k, s) in stays.all.iter().enumerate() {
        let poll = times[k];
        // Both or only the add; stably, so the add stays first where the keys are equal.
        let (at, first) = if poll <= s.er { (poll, phase(0, !s.rank)) } else { (s.er, phase(2, 0)) };
        placed.push((at, first, s.put));
        if s.take != NONE {
            placed.push((poll, phase(0, !s.rank), s.take));
        }
    }
    // Few share an instant.
    let mut sorted = collections::by(&placed, stays.end, |p| p.0);
    for same in sorted.chunk_by_mut(|a, b| placed[*a as usize].0 == placed[*b as usize].0) {
        same.sort_by_key(|k| placed[*k as usize].1);
    }
    sorted.into_iter().map(|k| placed[k as usize].2 as usize).collect()
}

impl Inverted for PriorityQueue {
    fn inversion(&self, told: &Told<'_, PriorityQueue>) -> Option<Vec<String>> {
        let value = |put: usize| Self::put(&told.ops[put].call);
        told.elements.iter().find_map(|e| {
            let take = e.take?;
            // It cannot have been polled before it could be added.
            let from = told.ops[take].inv.max(told.ops[e.put].inv);
            let chain = told.cover(from, told.ops[take].res, |o| value(o.put) > value(e.put))?;
            let while_there = match chain.as_slice() {
                [only] => format!("the larger {} was inside all the time", told.name(only)),
                _ => "something larger was inside at every moment".to_string(),
            };
            let poll = told.story.full(take);
            let mut words =
                vec![format!("{} {poll} returned {}, although {while_there}.", told.head(), told.name(e))];
            words.extend(told.chain(&chain, take));
            Some(words)
        })
    }
}

impl Bind for PriorityQueue {
    const NOUN: &'static str = "priority queue";

    fn take(&self, op: &Op<'_>, history: &History) -> Result<Option<Taken<Self>>, String> {
        let priority = |v: ValueId| {
            history.values().int(v).ok_or_else(|| {
                format!("op #{}: {} is no integer, so it has no priority", op.id.0, history.value(v))
            })
        };
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        Ok(Some(match op.f() {
            "add" => (Call::Add(priority(op.arg())?), done_or(op, Reply::Done)),
            "poll" => {
                let reply = match op.reply() {
                    ReplyId::Read(v) if !v.is_null() => Some(Reply::Took(priority(v)?)),
                    ReplyId::Absent => None,
                    _ => Some(Reply::Empty),
                };
                (Call::Poll, reply)
            }
            _ => return unknown(op, Self::NOUN),
        }))
    }

    fn claim(&self, ops: &[Timed<Self>], bad: usize, story: &Story<'_>) -> Option<Claim<Self>> {
        collection_tales::from_nowhere(ops, bad, story)
    }

    fn tell(
        &self,
        ops: &[Timed<Self>],
        core: &[usize],
        story: &Story<'_>,
    ) -> Option<(&'static str, Vec<String>)> {
        collection_tales::tell(self, ops, core, story)
    }

    fn show(&self, state: &BTreeMap<i64, u32>, _: &History) -> String {
        let all = state.iter().rev().flat_map(|(v, n)| std::iter::repeat_n(v, *n as usize));
        let shown: Vec<String> = all.take(12).map(i64::to_string).collect();
        let total: u32 = state.values().sum();
        let more = if total > 12 { format!(" … {total} in all") } else { String::new() };
        format!("[{}{more}]", shown.join(" "))
    }

    fn refusal(&self, state: &BTreeMap<i64, u32>, op: &Timed<Self>, _: &History) -> String {
        let top = Self::next(state).map_or("it is empty".into(), |v| format!("the largest is {v}"));
        match op.reply {
            Some(Reply::Took(v)) => format!("needs {v}, {top}"),
            Some(Reply::Empty) => format!("needs it empty, {top}"),
            _ => "does not fit".into(),
        }
    }
}
