//! Counters that only ever grow by one: decided, with an order, by one lazy sweep over the events.
//!
//! The level is raised, by the open increment with the smallest deadline, only when a completing increment or read
//! forces it; open reads of each level passed are served. O(n log n). Lemma: a later raise never hurts, since reads
//! of the present level can be served until then and increments are alike but for their deadlines.
//! Not here: other amounts and decrements. With those the sweep is wrong, since an early decrement can be the only
//! way to serve a lower read; they have the bounds of `bounds.rs`, which refute, and the search.

use super::bounds;
use super::engine::{Decide, Decision, Refuted};
use super::objects::{Counter, CounterCall, CounterReply};
use super::spec::{Timed, precedes};
use super::story::{Story, capital};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

type Ops = [Timed<Counter>];

impl Decide for Counter {
    fn decide(&self, ops: &Ops) -> Option<Decision<Self>> {
        let unit = |op: &Timed<Counter>| match (op.call, op.reply) {
            (CounterCall::Add(x), reply) => x == 1 && !matches!(reply, Some(CounterReply::Sum(_))),
            (CounterCall::Read, reply) => !op.is_ok() || matches!(reply, Some(CounterReply::Sum(_))),
        };
        if !ops.iter().all(unit) {
            return None;
        }
        let mut sweep = Sweep::new(ops);
        match sweep.run() {
            Ok(()) => Some(Ok(sweep.order)),
            Err(read) => match bounds::outside(ops) {
                Some(found) => Some(Err(Refuted { core: found.core(), reduced: Some(found.reduced(ops)) })),
                None => sweep.shrank(read).map(|found| Err(found.refuted())),
            },
        }
    }

    fn screen(&self, ops: &Ops) -> Option<Refuted<Self>> {
        let found = bounds::outside(ops)?;
        Some(Refuted { core: found.core(), reduced: Some(found.reduced(ops)) })
    }
}

/// What refutes a counter without search, in words.
pub fn tell(ops: &Ops, story: &Story<'_>) -> Option<(&'static str, Vec<String>)> {
    if let Some(found) = bounds::outside(ops) {
        return Some(found.tell(story));
    }
    if ops.iter().any(|op| !matches!(op.call, CounterCall::Add(1) | CounterCall::Read)) {
        return None;
    }
    let mut sweep = Sweep::new(ops);
    let read = sweep.run().err()?;
    sweep.shrank(read).map(|found| found.tell(story))
}

struct Sweep<'a> {
    ops: &'a Ops,
    level: i64,
    order: Vec<usize>,
    placed: Vec<bool>,
    /// Open increments that are not in, by deadline.
    live: BinaryHeap<Reverse<(u32, usize)>>,
    /// Open reads of what the level is not.
    waiting: BTreeMap<i64, Vec<usize>>,
    /// Increments put in for the sake of a read, each with that read.
    forced: Vec<(usize, usize)>,
}

impl<'a> Sweep<'a> {
    fn new(ops: &'a Ops) -> Sweep<'a> {
        Sweep {
            ops,
            level: 0,
            order: Vec::with_capacity(ops.len()),
            placed: vec![false; ops.len()],
            live: BinaryHeap::new(),
            waiting: BTreeMap::new(),
            forced: Vec::new(),
        }
    }

    fn put(&mut self, i: usize) {
        self.placed[i] = true;
        self.order.push(i);
    }

    /// One more: the increment with the smallest deadline. `None` if there is none.
    fn raise(&mut self) -> Option<usize> {
        let Reverse((_, i)) = self.live.pop()?;
        self.put(i);
        self.level += 1;
        self.waiting.remove(&self.level).unwrap_or_default().into_iter().for_each(|r| self.put(r));
        Some(i)
    }

    /// The read that cannot be served, by completion.
    fn run(&mut self) -> Result<(), usize> {
        let mut events: Vec<(u32, bool, usize)> = Vec::with_capacity(2 * self.ops.len());
        for (i, op) in self.ops.iter().enumerate() {
            events.push((op.inv, false, i));
            if op.is_ok() {
                events.push((op.res, true, i));
            }
        }
        events.sort_unstable();
        for (_, ends, i) in events {
            match (self.ops[i].reply, self.ops[i].call, ends) {
                (_, CounterCall::Add(_), false) => self.live.push(Reverse((self.ops[i].res, i))),
                (_, CounterCall::Add(_), true) => {
                    // Its deadline is the smallest of all that are left: it goes in by one raise at the most.
                    while !self.placed[i] && self.raise().is_some() {}
                }
                (Some(CounterReply::Sum(v)), _, false) if v == self.level => self.put(i),
                (Some(CounterReply::Sum(v)), _, false) => self.waiting.entry(v).or_default().push(i),
                (Some(CounterReply::Sum(v)), _, true) => {
                    // The level is there already if the read is placed.
                    while self.level < v {
                        let raised = self.raise().ok_or(i)?;
                        self.forced.push((raised, i));
                    }
                    if !self.placed[i] {
                        return Err(i);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The earlier read that had seen more than this one could have.
    ///
    /// The level was above `read` when that began. Of the increments put in for a read the last that is open still
    /// at that time was put in for `before`; all put in after it were invoked after it and completed before `read`
    /// began, so the level is what `before` returned plus the increments wholly between the two. Without such a
    /// `before`, only completed increments were in, which `bounds.rs` refutes.
    fn shrank(&self, read: usize) -> Option<Shrank> {
        let began = self.ops[read].inv;
        let (_, before) =
            *self.forced.iter().rev().find(|(inc, by)| {
                precedes(self.ops[*by].res, began) && !precedes(self.ops[*inc].res, began)
            })?;
        let since = self.ops[before].res;
        let wholly = |op: &Timed<Counter>| precedes(since, op.inv) && precedes(op.res, began);
        let between: Vec<usize> = (0..self.ops.len())
            .filter(|i| self.ops[*i].call == CounterCall::Add(1) && wholly(&self.ops[*i]))
            .collect();
        let (count, last) = (between.len() as i64, between.into_iter().max_by_key(|i| self.ops[*i].res));
        let value = |i: usize| match self.ops[i].reply {
            Some(CounterReply::Sum(v)) => v,
            _ => 0,
        };
        let found = Shrank { before, read, had: value(before), has: value(read), count, last };
        (found.has < found.had + found.count).then_some(found)
    }
}

/// Two reads, the later of which returned less than the earlier and what was added in between.
struct Shrank {
    before: usize,
    read: usize,
    had: i64,
    has: i64,
    count: i64,
    last: Option<usize>,
}

impl Shrank {
    /// One add up to the first read, one for all in between.
    fn refuted(&self) -> Refuted<Counter> {
        let op = |call, reply, at: u32| Timed::<Counter> { call, reply: Some(reply), inv: at, res: at + 1 };
        let reduced = vec![
            op(CounterCall::Add(self.had), CounterReply::Done, 0),
            op(CounterCall::Read, CounterReply::Sum(self.had), 2),
            op(CounterCall::Add(self.count), CounterReply::Done, 4),
            op(CounterCall::Read, CounterReply::Sum(self.has), 6),
        ];
        let core = [Some(self.before), self.last, Some(self.read)].into_iter().flatten().collect();
        Refuted { core, reduced: Some(reduced) }
    }

    fn tell(&self, story: &Story<'_>) -> (&'static str, Vec<String>) {
        let mut words = vec![format!(
            "{} is not linearizable: {} returned {}, although {} had returned {} before it began.",
            story.subject(),
            story.full(self.read),
            self.has,
            story.full(self.before),
            self.had
        )];
        words.push(match self.last {
            None => format!(
                "{} completed {} before {} was invoked, and nothing is ever taken away.",
                capital(&story.short(self.before)),
                story.gap(self.before, self.read),
                story.short(self.read)
            ),
            Some(last) => format!(
                "Between the two {} more increments were asked for and acknowledged, the last of them {}, so at least {} was due.",
                self.count,
                story.full(last),
                self.had + self.count
            ),
        });
        words.extend(story.strike(self.read));
        ("lost increment", words)
    }
}
