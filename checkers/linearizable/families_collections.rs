//! Histories of queues, stacks and priority queues to measure with: one fixed generator, any length, any concurrency.
//!
//! `clients` clients, each: a call of exponential length (mean 1), then a pause (mean 0.02). An atomic object decides
//! each call at a uniform point inside it. Half of the calls put a fresh element in, half take one out. The same
//! arguments give the same history for ever. Not here: measuring, and families of other objects.

use super::collections::Collection;
use super::objects::{Queue, QueueCall, QueueReply};
use super::priority_queue::{PriorityQueue, PriorityQueueCall, PriorityQueueReply};
use super::spec::{OPEN, Timed};
use super::stack::{Stack, StackCall, StackReply};
use history::ValueId;
use history::rng::Rng;

/// What a run looks like.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    pub ops: u32,
    pub clients: u32,
    /// Puts among the first nine tenths that are never answered: a third take effect inside their interval, a third
    /// never, a third within the next tenth of the run.
    pub infos: u32,
    /// Two results change places, near 97 % of the run, so that no order is left.
    pub swapped: bool,
    pub seed: u64,
}

pub fn queue(family: &Family) -> Vec<Timed<Queue>> {
    let took = |v: Option<ValueId>| v.map_or(QueueReply::Empty, QueueReply::Took);
    generate(
        &Queue,
        family,
        |_, i| QueueCall::Enqueue(ValueId(i + 1)),
        QueueCall::Dequeue,
        QueueReply::Done,
        took,
    )
}

pub fn stack(family: &Family) -> Vec<Timed<Stack>> {
    let took = |v: Option<ValueId>| v.map_or(StackReply::Empty, StackReply::Took);
    generate(&Stack, family, |_, i| StackCall::Push(ValueId(i + 1)), StackCall::Pop, StackReply::Done, took)
}

/// Priorities are random and unique.
pub fn priority_queue(family: &Family) -> Vec<Timed<PriorityQueue>> {
    let took = |v: Option<i64>| v.map_or(PriorityQueueReply::Empty, PriorityQueueReply::Took);
    let add = |rng: &mut Rng, i: u32| PriorityQueueCall::Add((rng.below(1 << 30) << 32 | i as u64) as i64);
    generate(&PriorityQueue, family, add, PriorityQueueCall::Poll, PriorityQueueReply::Done, took)
}

pub(super) struct Planned {
    pub(super) from: f64,
    pub(super) to: f64,
    /// When the object decides, if ever.
    pub(super) at: Option<f64>,
}

fn generate<S: Collection>(
    spec: &S,
    family: &Family,
    put: impl Fn(&mut Rng, u32) -> S::Call,
    take: S::Call,
    done: S::Reply,
    took: impl Fn(Option<S::Item>) -> S::Reply,
) -> Vec<Timed<S>> {
    let mut rng = Rng::new(family.seed, "collections");
    let planned = plan(family, &mut rng);
    let mut ops: Vec<Timed<S>> = (0..family.ops)
        .map(|i| {
            let call = if rng.chance(0.5) { put(&mut rng, i) } else { take.clone() };
            Timed { call, reply: None, inv: 0, res: 0 }
        })
        .collect();
    let end = planned.iter().map(|p| p.to).fold(0.0, f64::max);
    let mut lost: Vec<Option<f64>> = vec![None; ops.len()];
    lose(family, &planned, &ops, end, &mut lost, &mut rng);
    // Invocations, decisions and completions in one row; of equal times, in that order.
    let mut events: Vec<(f64, u8, u32)> = Vec::with_capacity(3 * ops.len());
    for (i, p) in planned.iter().enumerate() {
        events.push((p.from, 0, i as u32));
        events.extend(lost[i].or(p.at).filter(|at| *at < f64::MAX).map(|at| (at, 1, i as u32)));
        if lost[i].is_none() {
            events.push((p.to, 2, i as u32));
        }
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let (mut state, mut position) = (spec.init(), 0);
    for (_, kind, i) in events {
        let op = &mut ops[i as usize];
        match kind {
            0 => op.inv = position,
            2 => op.res = position,
            _ => {
                let reply = if S::put(&op.call).is_some() { done.clone() } else { took(S::next(&state)) };
                spec.apply(&mut state, &op.call, Some(&reply));
                op.reply = Some(reply);
                continue;
            }
        }
        position += 1;
    }
    for (op, lost) in ops.iter_mut().zip(lost) {
        if lost.is_some() {
            (op.reply, op.res) = (None, OPEN);
        }
    }
    ops.sort_by_key(|op| op.inv);
    if family.swapped {
        swap(spec, &mut ops);
    }
    ops
}

pub(super) fn plan(family: &Family, rng: &mut Rng) -> Vec<Planned> {
    let clients = family.clients.max(1);
    let mut planned = Vec::with_capacity(family.ops as usize);
    for client in 0..clients {
        let mut now = rng.unit();
        let share = family.ops / clients + (client < family.ops % clients) as u32;
        for _ in 0..share {
            let to = now + rng.exponential(1.0);
            planned.push(Planned { from: now, to, at: Some(now + rng.unit() * (to - now)) });
            now = to + rng.exponential(0.02);
        }
    }
    planned
}

/// Picks the puts that are never answered; `f64::MAX` for those that never take effect.
fn lose<S: Collection>(
    family: &Family,
    planned: &[Planned],
    ops: &[Timed<S>],
    end: f64,
    lost: &mut [Option<f64>],
    rng: &mut Rng,
) {
    let early = |i: &usize| S::put(&ops[*i].call).is_some() && planned[*i].from < 0.9 * end;
    let mut puts: Vec<usize> = (0..ops.len()).filter(early).collect();
    rng.shuffle(&mut puts);
    for (n, i) in puts.into_iter().take(family.infos as usize).enumerate() {
        lost[i] = match n % 3 {
            0 => planned[i].at,
            1 => Some(f64::MAX),
            _ => Some(planned[i].to + rng.unit() * 0.1 * end),
        };
    }
}

/// Swaps the results of two taking calls, the first pair from 97 % on for which the object then has no order.
fn swap<S: Collection>(spec: &S, ops: &mut [Timed<S>]) {
    let mut put_by: super::hash::Map<S::Item, usize> = super::hash::Map::default();
    let mut takes: Vec<usize> = Vec::new();
    for (i, op) in ops.iter().enumerate() {
        if let Some(item) = S::put(&op.call) {
            put_by.insert(item, i);
        } else if op.reply.as_ref().and_then(S::took).is_some() {
            takes.push(i);
        }
    }
    let last = ops.iter().filter(|o| o.is_ok()).map(|o| o.res).max().unwrap_or(0);
    let late = (last as f64 * 0.97) as u32;
    let from = takes.partition_point(|i| ops[*i].inv < late);
    for (n, a) in takes.iter().enumerate().skip(from) {
        for b in takes[n + 1..].iter().take(40).filter(|b| ops[*a].res < ops[**b].inv) {
            let puts = [a, b].map(|t| ops[*t].reply.as_ref().and_then(S::took).and_then(|v| put_by.get(&v)));
            let [Some(x), Some(y)] = puts else { continue };
            // Order is to be wrong, not an element taken before it was there.
            if ops[*y].res >= ops[*a].inv {
                continue;
            }
            let mut four = [*x, *y, *a, *b].map(|i| ops[i].clone());
            let (first, second) = four.split_at_mut(3);
            std::mem::swap(&mut first[2].reply, &mut second[0].reply);
            // A contradiction among the two elements alone is one among all.
            if super::oracle::linearizable(spec, &four) == Some(false) {
                let reply = ops[*a].reply.clone();
                ops[*a].reply = std::mem::replace(&mut ops[*b].reply, reply);
                return;
            }
        }
    }
}
