//! A register that keeps the largest number ever written to it.
//!
//! | f | value | reply |
//! | --- | --- | --- |
//! | `write` | a whole number | done |
//! | `read` | nil | the largest number written so far; nil if there is none |
//!
//! One register a key. Decided by one sweep over the events, O(n log n): the level is raised only when a completing
//! op forces it; on the way up it stops at each lower level that an open read wants and some write asked for.
//! Lemma: raising later never hurts, since a read of the present level can be served until then, and a write below
//! the level changes nothing. A write asked for only after a larger value was observed cannot serve a read of its
//! own value; without that condition verdicts come out wrong.

use super::bind::{Bind, Taken, done_or, unknown};
use super::engine::{Decide, Decision, Refuted};
use super::explain::Story;
use super::hash::Map;
use super::spec::{Spec, Timed, precedes};
use super::story::capital;
use history::{History, Op, OutcomeKind, ReplyId, ValueId};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, Default)]
pub struct MaxRegister;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MaxCall {
    Write(i64),
    Read,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MaxReply {
    Done,
    /// `None`: nothing was ever written.
    Largest(Option<i64>),
}

impl Spec for MaxRegister {
    type Call = MaxCall;
    type Reply = MaxReply;
    type State = Option<i64>;

    fn init(&self) -> Option<i64> {
        None
    }

    fn step(&self, s: &Option<i64>, call: &MaxCall, reply: Option<&MaxReply>) -> Option<Option<i64>> {
        let (next, said) = match call {
            MaxCall::Write(x) => ((*s).max(Some(*x)), MaxReply::Done),
            MaxCall::Read => (*s, MaxReply::Largest(*s)),
        };
        reply.is_none_or(|r| *r == said).then_some(next)
    }

    fn pure(&self, call: &MaxCall) -> bool {
        *call == MaxCall::Read
    }

    /// Lemma: an info write of x that no read of x needs may go. Take an order with it; where it raised the level to
    /// x, the level without it is lower until something writes more than x. In between only a read could notice, and
    /// it would have returned x.
    fn wants(&self, by: &Timed<Self>, info: &MaxCall) -> bool {
        match (by.reply, info) {
            (Some(MaxReply::Largest(Some(seen))), MaxCall::Write(x)) => seen == *x,
            _ => false,
        }
    }
}

type Ops = [Timed<MaxRegister>];

/// What an ok read returned.
fn seen(op: &Timed<MaxRegister>) -> Option<Option<i64>> {
    match op.reply {
        Some(MaxReply::Largest(seen)) => Some(seen),
        _ => None,
    }
}

struct Sweep<'a> {
    ops: &'a Ops,
    level: Option<i64>,
    order: Vec<usize>,
    placed: Vec<bool>,
    /// Open reads of what the level is not, by what they returned.
    waiting: BTreeMap<Option<i64>, Vec<usize>>,
    /// The write of each value that was asked for first.
    asked: Map<i64, usize>,
}

impl Sweep<'_> {
    fn put(&mut self, i: usize) {
        if !std::mem::replace(&mut self.placed[i], true) {
            self.order.push(i);
        }
    }

    /// Raises the level to a value that was asked for, serving the reads below it that can be served.
    fn raise(&mut self, to: i64) {
        let stops: Vec<i64> = self.waiting.range(self.level..=Some(to)).filter_map(|(v, _)| *v).collect();
        for v in stops.into_iter().chain([to]) {
            if let Some(write) = self.asked.get(&v).copied().filter(|_| Some(v) > self.level) {
                self.put(write);
                self.level = Some(v);
                self.waiting.remove(&Some(v)).unwrap_or_default().into_iter().for_each(|r| self.put(r));
            }
        }
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
            match (self.ops[i].call, seen(&self.ops[i]), ends) {
                (MaxCall::Write(x), _, false) => {
                    self.asked.entry(x).or_insert(i);
                }
                (MaxCall::Write(x), _, true) => {
                    if Some(x) > self.level {
                        self.raise(x);
                    }
                    self.put(i);
                }
                (_, Some(v), false) if v == self.level => self.put(i),
                (_, Some(v), false) => self.waiting.entry(v).or_default().push(i),
                (_, Some(v), true) if !self.placed[i] => match v.filter(|x| Some(*x) > self.level) {
                    Some(x) if self.asked.contains_key(&x) => self.raise(x),
                    _ => return Err(i),
                },
                _ => {}
            }
        }
        Ok(())
    }
}

impl Decide for MaxRegister {
    fn decide(&self, ops: &Ops) -> Option<Decision<Self>> {
        // A read that is said to be done, or a write that returned something: nothing fits it.
        let strange = |op: &Timed<Self>| match (op.call, op.reply) {
            (MaxCall::Write(_), Some(MaxReply::Largest(_))) => true,
            (MaxCall::Read, reply) => op.is_ok() && reply == Some(MaxReply::Done),
            _ => false,
        };
        if ops.iter().any(strange) {
            return None;
        }
        let mut sweep = Sweep {
            ops,
            level: None,
            order: Vec::with_capacity(ops.len()),
            placed: vec![false; ops.len()],
            waiting: BTreeMap::new(),
            asked: Map::default(),
        };
        Some(match sweep.run() {
            Ok(()) => Ok(sweep.order),
            Err(read) => Err(Refuted { core: core(ops, read), reduced: None }),
        })
    }
}

/// The write of a value that was asked for first.
fn first_write(ops: &Ops, value: Option<i64>) -> Option<usize> {
    let wanted = MaxCall::Write(value?);
    (0..ops.len()).filter(|i| ops[*i].call == wanted).min_by_key(|i| ops[*i].inv)
}

/// The first write of the value in the whole history, of which the ops told about are only what had begun by the read.
fn asked_later<'a>(story: &Story<'a>, read: usize, value: Option<i64>) -> Option<Op<'a>> {
    let me = story.op(read);
    let writes = |op: &Op<'_>| {
        op.key() == me.key()
            && op.f() == "write"
            && op.kind() != OutcomeKind::Fail
            && story.history.values().int(op.arg()) == value
    };
    story.history.ops().find(writes)
}

/// The op that made sure first, before the read completed, that the level is above what the read returned.
fn above(ops: &Ops, read: usize, value: Option<i64>) -> Option<usize> {
    let over = |op: &Timed<MaxRegister>| match (op.call, seen(op)) {
        (MaxCall::Write(x), _) => op.is_ok() && Some(x) > value,
        (_, Some(v)) => v > value,
        _ => false,
    };
    (0..ops.len()).filter(|i| *i != read && over(&ops[*i])).min_by_key(|i| ops[*i].res)
}

/// The read, the first write of its value, and what shows that the level was above it by then.
fn core(ops: &Ops, read: usize) -> Vec<usize> {
    let value = seen(&ops[read]).flatten();
    let mut core = vec![read];
    let write = first_write(ops, value);
    core.extend(write);
    if value.is_some() && write.is_none_or(|w| precedes(ops[read].res, ops[w].inv)) {
        return core;
    }
    if let Some(higher) = above(ops, read, value) {
        core.push(higher);
        core.extend(seen(&ops[higher]).and_then(|v| first_write(ops, v)));
    }
    core
}

impl Bind for MaxRegister {
    const NOUN: &'static str = "max-register";

    fn take(&self, op: &Op<'_>, history: &History) -> Result<Option<Taken<Self>>, String> {
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        let int = |v: ValueId| {
            history
                .values()
                .int(v)
                .ok_or_else(|| format!("op #{}: {} is not an integer", op.id.0, history.value(v)))
        };
        Ok(Some(match (op.f(), op.reply()) {
            ("write", _) => (MaxCall::Write(int(op.arg())?), done_or(op, MaxReply::Done)),
            ("read", ReplyId::Read(v)) if v.is_null() => (MaxCall::Read, Some(MaxReply::Largest(None))),
            ("read", ReplyId::Read(v)) => (MaxCall::Read, Some(MaxReply::Largest(Some(int(v)?)))),
            ("read", _) => (MaxCall::Read, done_or(op, MaxReply::Done)),
            _ => return unknown(op, Self::NOUN),
        }))
    }

    fn tell(&self, ops: &Ops, core: &[usize], story: &Story<'_>) -> Option<(&'static str, Vec<String>)> {
        let read = core.iter().copied().filter(|i| seen(&ops[*i]).is_some()).max_by_key(|i| ops[*i].res)?;
        let value = seen(&ops[read])?;
        let (shown, write) = (number(value), first_write(ops, value));
        let head = format!("{} is not linearizable: {} returned {shown}", story.subject(), story.full(read));
        let (pattern, mut words) = match (write, above(ops, read, value)) {
            (None, _) if value.is_some() => match asked_later(story, read, value) {
                None => (
                    "thin-air read",
                    vec![
                        format!("{head}, which nobody wrote."),
                        "No call that succeeded or may have succeeded writes it.".into(),
                    ],
                ),
                Some(later) => (
                    "future read",
                    vec![
                        format!("{head} before anybody had asked to write it."),
                        format!(
                            "{} was invoked {} after {} had completed.",
                            capital(&super::story::full(&later, story.history)),
                            super::story::span(
                                later.invoked().saturating_sub(story.op(read).completed().unwrap_or(0))
                            ),
                            story.short(read)
                        ),
                    ],
                ),
            },
            (write, Some(higher)) => {
                let top = match ops[higher].call {
                    MaxCall::Write(x) => format!("{} of {x} had completed", story.full(higher)),
                    MaxCall::Read => format!(
                        "{} had returned {}",
                        story.full(higher),
                        number(seen(&ops[higher]).flatten())
                    ),
                };
                match write.filter(|_| !precedes(ops[higher].res, ops[read].inv)) {
                    None => (
                        "stale read",
                        vec![
                            format!("{head}, although a larger value was there before it began."),
                            format!(
                                "{} {} before {} began, and the largest value never shrinks.",
                                capital(&top),
                                story.gap(higher, read),
                                story.short(read)
                            ),
                        ],
                    ),
                    Some(w) => (
                        "late write",
                        vec![
                            format!("{head}, which can never have been the largest value."),
                            format!(
                                "{} {} before {}, the first to write {shown}, was invoked.",
                                capital(&top),
                                story.gap(higher, w),
                                story.short(w)
                            ),
                        ],
                    ),
                }
            }
            _ => return None,
        };
        words.extend(story.strike(read));
        Some((pattern, words))
    }

    fn show(&self, state: &Option<i64>, _: &History) -> String {
        number(*state)
    }

    fn refusal(&self, state: &Option<i64>, op: &Timed<Self>, _: &History) -> String {
        match seen(op) {
            Some(v) => format!("needs {}, the largest value is {}", number(v), number(*state)),
            None => format!("does not fit, the largest value is {}", number(*state)),
        }
    }
}

fn number(value: Option<i64>) -> String {
    value.map_or("nil".into(), |x| x.to_string())
}
