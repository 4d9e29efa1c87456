//! Which elements of a collection must be in a read, which may be, and which must not: shared by `set` and `list`.
//!
//! The rule, for element e and read r: e *must* be there if an acknowledged add of e completed before r began and
//! every removal of e either completed before that add began or began after r completed; e *must not* be there if
//! no add of it began before r completed, or if an acknowledged removal completed before r began and every add
//! either completed before that removal began or began after r completed. Closed tests, so they refute and never
//! prove; the exact answer is `linearizable`'s.

use crate::linearizable::story::{capital, full, span, strike_before};
use history::{History, Op, OpId, OutcomeKind, Value};
use std::collections::BTreeMap;

/// What is wrong with one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Acknowledged or seen, then missing from the last reads.
    Lost,
    /// Missing from a read that began after its acknowledgement, found later.
    Stale,
    Duplicate,
    /// Back after an acknowledged removal.
    Resurrected,
    /// Nobody added it, or only a call that failed.
    ThinAir,
    /// Read before anybody had asked to add it.
    Future,
}

impl Kind {
    pub const ALL: [Kind; 6] =
        [Kind::Lost, Kind::Stale, Kind::Duplicate, Kind::Resurrected, Kind::ThinAir, Kind::Future];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Lost => "lost element",
            Kind::Stale => "stale read",
            Kind::Duplicate => "duplicate element",
            Kind::Resurrected => "resurrected element",
            Kind::ThinAir => "thin-air read",
            Kind::Future => "future read",
        }
    }

    /// The name of its count among the measured numbers.
    pub fn counted(self) -> &'static str {
        match self {
            Kind::Lost => "lost",
            Kind::Stale => "stale",
            Kind::Duplicate => "duplicate",
            Kind::Resurrected => "resurrected",
            Kind::ThinAir => "unexpected",
            Kind::Future => "future",
        }
    }
}

/// One element that breaks the rule, with the ops that show it (in order of invocation).
#[derive(Clone, Debug)]
pub struct Breach {
    pub kind: Kind,
    pub element: Value,
    pub ops: Vec<OpId>,
    /// The read that shows it.
    pub read: OpId,
    /// What happened, after the subject and a colon.
    pub says: String,
    /// The times that prove it.
    pub because: String,
}

/// A read and the elements that it returned.
pub struct Read<'h> {
    pub op: Op<'h>,
    pub elements: &'h [Value],
}

/// All calls on one collection.
#[derive(Default)]
pub struct Collection<'h> {
    pub adds: BTreeMap<Value, Vec<Op<'h>>>,
    pub removes: BTreeMap<Value, Vec<Op<'h>>>,
    /// Ok reads, in order of invocation.
    pub reads: Vec<Read<'h>>,
}

/// Numbers about one collection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub attempts: u64,
    pub acknowledged: u64,
    /// In every read that had to have them.
    pub stable: u64,
    /// Acknowledged, but no read began after that.
    pub never_read: u64,
}

impl<'h> Collection<'h> {
    /// The collections of a history by key, in order of first appearance. `add` is the word that adds an element.
    pub fn all(history: &'h History, add: &str) -> Vec<(Value, Collection<'h>)> {
        history
            .by_key()
            .into_iter()
            .map(|(key, ids)| {
                let mut c = Collection::default();
                for id in ids {
                    let op = history.op(id);
                    let element = || history.value(op.arg());
                    match op.f() {
                        f if f == add => c.adds.entry(element()).or_default().push(op),
                        "remove" => c.removes.entry(element()).or_default().push(op),
                        "read" => {
                            if let Some(elements) = elements(&op, history) {
                                c.reads.push(Read { op, elements });
                            }
                        }
                        _ => {}
                    }
                }
                (history.value(key), c)
            })
            .collect()
    }

    pub fn is_empty(&self) -> bool {
        self.adds.is_empty() && self.removes.is_empty()
    }

    /// Every element that breaks the rule, worst and earliest first. Cost: elements × reads.
    pub fn breaches(&self, history: &History) -> (Vec<Breach>, Counts) {
        let mut found = Vec::new();
        let mut counts = Counts::default();
        let index: BTreeMap<&Value, usize> = self.adds.keys().enumerate().map(|(i, v)| (v, i)).collect();
        // For each read, which of the elements that somebody tried to add it has.
        let mut has: Vec<Vec<u64>> = Vec::with_capacity(self.reads.len());
        for read in &self.reads {
            let mut bits = vec![0u64; self.adds.len() / 64 + 1];
            for element in read.elements {
                match index.get(element) {
                    Some(i) if bits[i / 64] & (1 << (i % 64)) != 0 => {
                        found.push(self.duplicate(element, read, history));
                    }
                    Some(i) => bits[i / 64] |= 1 << (i % 64),
                    None => found.push(self.thin_air(element, read, history)),
                }
            }
            has.push(bits);
        }
        for (i, (element, adds)) in self.adds.iter().enumerate() {
            let there = |r: usize| has[r][i / 64] & (1 << (i % 64)) != 0;
            counts.attempts += 1;
            found.extend(self.follow(element, adds, there, history, &mut counts));
        }
        found.dedup_by(|a, b| a.kind == b.kind && a.element == b.element);
        found.sort_by_key(|b| (b.kind, history.op(b.read).res()));
        (found, counts)
    }

    fn follow(
        &self,
        element: &Value,
        adds: &[Op<'h>],
        there: impl Fn(usize) -> bool,
        history: &History,
        counts: &mut Counts,
    ) -> Option<Breach> {
        let removes = self.removes.get(element).map(Vec::as_slice).unwrap_or_default();
        let possible = |op: &&Op<'h>| op.kind() != OutcomeKind::Fail;
        // An add that is certain: acknowledged, or seen by the first read that has the element.
        let seen = (0..self.reads.len()).filter(|r| there(*r)).min_by_key(|r| self.reads[*r].op.res());
        let acked = adds.iter().filter(|a| a.is_ok()).min_by_key(|a| a.res());
        counts.acknowledged += acked.is_some() as u64;
        let known = acked.map(|a| a.res()).into_iter().chain(seen.map(|r| self.reads[r].op.res())).min();
        let (mut last_there, mut missing, mut asked) = (None, Vec::new(), false);
        for r in 0..self.reads.len() {
            let read = &self.reads[r].op;
            if there(r) {
                last_there = Some(r);
                if let Some(breach) = self.too_soon(element, adds, removes, r, history) {
                    return Some(breach);
                }
                continue;
            }
            let certain = |done: u32, begun: u32| {
                done < read.inv()
                    && removes.iter().filter(possible).all(|m| m.res() < begun || m.inv() > read.res())
            };
            let by_add = adds.iter().filter(|a| a.is_ok()).any(|a| certain(a.res(), a.inv()));
            let by_read = removes.is_empty() && known.is_some_and(|k| k < read.inv());
            if by_add || by_read {
                missing.push(r);
            }
        }
        if let Some(known) = known {
            asked = self.reads.iter().any(|r| r.op.inv() > known);
        }
        let Some(last) = missing.last().copied() else {
            match asked {
                true => counts.stable += acked.is_some() as u64,
                false => counts.never_read += acked.is_some() as u64,
            }
            return None;
        };
        let lost = last_there.is_none_or(|t| self.reads[t].op.inv() < self.reads[last].op.inv());
        let read = if lost { last } else { missing[0] };
        let later = last_there.filter(|_| !lost);
        Some(self.absent(element, acked.or(adds.iter().find(possible)), read, seen, later, history))
    }

    fn absent(
        &self,
        element: &Value,
        add: Option<&Op<'h>>,
        read: usize,
        seen: Option<usize>,
        later: Option<usize>,
        history: &History,
    ) -> Breach {
        let read = &self.reads[read].op;
        let first = seen.map(|r| &self.reads[r].op).filter(|s| s.res() < read.inv());
        let mut ops: Vec<OpId> = add.map(|a| a.id).into_iter().collect();
        let acked = add.filter(|a| a.is_ok() && a.res() < read.inv());
        let because = match (acked, first) {
            (Some(add), _) => format!(
                "{} was acknowledged {} before {} #{} began.",
                capital(&of(add, element, history)),
                span(read.invoked().saturating_sub(add.completed().unwrap_or(0))),
                read.f(),
                read.id.0
            ),
            (None, Some(first)) => {
                ops.push(first.id);
                format!(
                    "{} had found it {} before {} #{} began.",
                    capital(&full(first, history)),
                    span(read.invoked().saturating_sub(first.completed().unwrap_or(0))),
                    read.f(),
                    read.id.0
                )
            }
            (None, None) => String::new(),
        };
        ops.push(read.id);
        let kind = if later.is_some() { Kind::Stale } else { Kind::Lost };
        let had = if acked.is_some() { "acknowledged" } else { "seen" };
        let says = match later.map(|r| self.reads[r].op) {
            Some(later) => {
                ops.push(later.id);
                format!(
                    "{} did not return {element}, although it had been {had} before, and {} #{} found it again.",
                    full(read, history),
                    later.f(),
                    later.id.0
                )
            }
            None => format!("{element} was {had} and then lost; {} did not return it.", full(read, history)),
        };
        ops.sort();
        ops.dedup();
        Breach {
            kind,
            element: element.clone(),
            ops,
            read: read.id,
            says,
            because: with_strike(because, read, history),
        }
    }

    /// The element is there although it must not be.
    fn too_soon(
        &self,
        element: &Value,
        adds: &[Op<'h>],
        removes: &[Op<'h>],
        r: usize,
        history: &History,
    ) -> Option<Breach> {
        let read = &self.reads[r].op;
        let begun = |a: &&Op<'h>| a.kind() != OutcomeKind::Fail && a.inv() < read.res();
        if !adds.iter().any(|a| begun(&a)) {
            return Some(match adds.iter().find(|a| a.kind() != OutcomeKind::Fail) {
                Some(add) => Breach {
                    kind: Kind::Future,
                    element: element.clone(),
                    ops: vec![read.id, add.id],
                    read: read.id,
                    says: format!(
                        "{} returned {element} before anybody had asked to add it.",
                        full(read, history)
                    ),
                    because: format!("{} was invoked only later.", capital(&of(add, element, history))),
                },
                None => self.thin_air(element, &self.reads[r], history),
            });
        }
        let gone = removes.iter().filter(|m| m.is_ok() && m.res() < read.inv()).find(|m| {
            adds.iter()
                .filter(|a| a.kind() != OutcomeKind::Fail)
                .all(|a| a.res() < m.inv() || a.inv() > read.res())
        })?;
        let mut ops: Vec<OpId> = adds.first().map(|a| a.id).into_iter().chain([gone.id, read.id]).collect();
        ops.sort();
        Some(Breach {
            kind: Kind::Resurrected,
            element: element.clone(),
            ops,
            read: read.id,
            says: format!("{} returned {element} after it had been removed.", full(read, history)),
            because: format!(
                "{} was acknowledged {} before {} #{} began, and nobody added it again.",
                capital(&of(gone, element, history)),
                span(read.invoked().saturating_sub(gone.completed().unwrap_or(0))),
                read.f(),
                read.id.0
            ),
        })
    }

    fn duplicate(&self, element: &Value, read: &Read<'h>, history: &History) -> Breach {
        let adds = self.adds.get(element).map(Vec::as_slice).unwrap_or_default();
        let times = read.elements.iter().filter(|e| *e == element).count();
        let mut ops: Vec<OpId> = adds.iter().map(|a| a.id).chain([read.op.id]).collect();
        ops.sort();
        Breach {
            kind: Kind::Duplicate,
            element: element.clone(),
            ops,
            read: read.op.id,
            says: format!("{} returned {element} {times} times.", full(&read.op, history)),
            because: match adds.len() {
                1 => format!("Only one call ever added {element}: it was applied more than once."),
                n => format!("{n} calls asked to add {element}."),
            },
        }
    }

    fn thin_air(&self, element: &Value, read: &Read<'h>, history: &History) -> Breach {
        let failed = self.adds.get(element).and_then(|adds| adds.first());
        let mut ops: Vec<OpId> = failed.map(|a| a.id).into_iter().chain([read.op.id]).collect();
        ops.sort();
        let (says, because) = match failed {
            Some(add) => (
                format!("{} returned {element}, whose add had failed.", full(&read.op, history)),
                format!(
                    "{} was answered with a definite failure ({}), so its element must never be seen.",
                    capital(&of(add, element, history)),
                    add.error().unwrap_or_default()
                ),
            ),
            None => (
                format!("{} returned {element}, which nobody ever added.", full(&read.op, history)),
                format!("No call in the whole history adds {element}."),
            ),
        };
        Breach { kind: Kind::ThinAir, element: element.clone(), ops, read: read.op.id, says, because }
    }
}

/// `add #4 of 17 by process 1 on n2`
pub fn of(op: &Op<'_>, element: &Value, history: &History) -> String {
    full(op, history).replacen(" by", &format!(" of {element} by"), 1)
}

fn with_strike(mut text: String, op: &Op<'_>, history: &History) -> String {
    if let Some(strike) = strike_before(op, history) {
        text.push(' ');
        text += &strike;
    }
    text
}

/// The elements of an ok read; an empty collection may read as nothing.
pub fn elements<'h>(op: &Op<'h>, history: &'h History) -> Option<&'h [Value]> {
    let id = op.read()?;
    match id.is_null() {
        true => Some(&[]),
        false => history.values().table(id)?.elements(),
    }
}
