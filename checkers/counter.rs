//! Counters: does every read lie between what must and what may have been added?
//!
//! Bounds refute; they never prove (which sums can be reached is subset-sum hard). Decrements widen both sides.
//! Reads of a counter that only grows must not go back either. The exact search is `linearizable`'s.

use crate::linearizable::story::{capital, full, span, strike_before, subject};
use crate::verdict::{Anomaly, Counterexample, Findings, Model, Verdict, Why};
use crate::{Budget, Checker};
use history::{History, Op, OpId, OutcomeKind, Value};

pub struct Counter;

impl Checker for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn about(&self) -> &'static str {
        "Each read must lie between the sum that was acknowledged before it and the sum asked for by its end."
    }

    fn blind_to(&self) -> &'static str {
        "Wrong sums inside the bounds, which are as wide as the calls in flight and unanswered."
    }

    fn check(&self, history: &History, _: &Budget) -> Findings {
        let mut findings = Findings::new(self.name());
        let (mut wrong, mut reads, mut adds) = (Vec::new(), 0, 0);
        for (key, ids) in history.by_key() {
            let one = One::collect(&ids, history);
            reads += one.reads.len();
            adds += one.adds.len();
            wrong.extend(one.breaches(history).into_iter().map(|b| (history.value(key), b)));
        }
        findings.measure("reads", reads);
        findings.measure("adds", adds);
        findings.measure("wrong_reads", wrong.len());
        for (key, b) in wrong.iter().take(20) {
            let says = format!("{}: {} {}", subject(Some(key), "counter"), b.says, b.because);
            let key = (!key.is_null()).then(|| key.clone());
            findings.anomalies.push(Anomaly { kind: b.pattern.into(), key, ops: b.ops.clone(), says });
        }
        let verdict = match wrong.into_iter().min_by_key(|(_, b)| history.op(b.read).res()) {
            Some((key, breach)) => invalid(&key, breach),
            None if reads == 0 && adds > 0 => Verdict::unknown(
                Why::Vacuous,
                "No read of the counter ever succeeded, so no sum was looked at.",
            ),
            None => Verdict::valid(self.name(), format!("all {reads} reads lie within their bounds")),
        };
        findings.with(Model::CounterBounds, verdict)
    }
}

fn invalid(key: &Value, breach: Breach) -> Verdict {
    let mut words = vec![format!("{}: {}", subject(Some(key), "counter"), breach.says), breach.because];
    words.extend(breach.strike);
    Verdict::Invalid(Box::new(Counterexample {
        key: (!key.is_null()).then(|| key.clone()),
        pattern: breach.pattern.into(),
        core: breach.ops,
        first_bad: Some(breach.read),
        words,
        groups: breach.group.into_iter().collect(),
        by: "counter".into(),
        ..Counterexample::default()
    }))
}

struct Breach {
    pattern: &'static str,
    read: OpId,
    ops: Vec<OpId>,
    says: String,
    because: String,
    group: Option<String>,
    strike: Option<String>,
}

/// The calls on one counter.
struct One<'h> {
    /// Ok or possibly happened, with their amounts.
    adds: Vec<(Op<'h>, i64)>,
    reads: Vec<(Op<'h>, i64)>,
}

/// Sums over adds sorted by a position: what was added before it.
struct Sums(Vec<(u32, i128, i128)>);

impl Sums {
    fn new(adds: impl Iterator<Item = (u32, i64)>) -> Sums {
        let mut at: Vec<(u32, i64)> = adds.collect();
        at.sort_unstable();
        let (mut up, mut down) = (0i128, 0i128);
        let sum = |(pos, x): (u32, i64)| {
            up += x.max(0) as i128;
            down += x.min(0) as i128;
            (pos, up, down)
        };
        Sums(at.into_iter().map(sum).collect())
    }

    /// Sum of the positive and of the negative amounts before a position.
    fn before(&self, pos: u32) -> (i128, i128) {
        let at = self.0.partition_point(|s| s.0 < pos);
        at.checked_sub(1).map_or((0, 0), |i| (self.0[i].1, self.0[i].2))
    }
}

impl<'h> One<'h> {
    fn collect(ids: &[OpId], history: &'h History) -> One<'h> {
        let mut one = One { adds: Vec::new(), reads: Vec::new() };
        for op in ids.iter().map(|id| history.op(*id)) {
            let int = |v: history::ValueId| if v.is_null() { Some(0) } else { history.values().int(v) };
            match op.f() {
                "add" if op.kind() != OutcomeKind::Fail => one.adds.extend(int(op.arg()).map(|x| (op, x))),
                "read" => one.reads.extend(op.read().and_then(int).map(|x| (op, x))),
                _ => {}
            }
        }
        one
    }

    fn breaches(&self, history: &History) -> Vec<Breach> {
        let certain = Sums::new(self.adds.iter().filter(|a| a.0.is_ok()).map(|(op, x)| (op.res(), *x)));
        let possible = Sums::new(self.adds.iter().map(|(op, x)| (op.inv(), *x)));
        let grows = self.adds.iter().all(|(_, x)| *x >= 0);
        let mut by_end: Vec<usize> = (0..self.reads.len()).collect();
        by_end.sort_by_key(|i| self.reads[*i].0.res());
        // The largest value among reads completed so far, swept along the invocations.
        let (mut highest, mut next): (Option<usize>, usize) = (None, 0);
        let mut found = Vec::new();
        for (read, value) in &self.reads {
            while let Some(i) = by_end.get(next).filter(|i| self.reads[**i].0.res() < read.inv()) {
                if highest.is_none_or(|h| self.reads[h].1 < self.reads[*i].1) {
                    highest = Some(*i);
                }
                next += 1;
            }
            let (must, may) = (certain.before(read.inv()), possible.before(read.res()));
            let (low, high) = (must.0 + may.1, may.0 + must.1);
            if (*value as i128) < low || *value as i128 > high {
                found.push(self.outside(read, *value, low, high, history));
            } else if let Some((before, seen)) =
                highest.map(|h| &self.reads[h]).filter(|(_, seen)| grows && seen > value)
            {
                found.push(went_back(read, *value, before, *seen, history));
            }
        }
        found
    }

    fn outside(&self, read: &Op<'h>, value: i64, low: i128, high: i128, history: &History) -> Breach {
        let under = (value as i128) < low;
        let counts =
            |(op, _): &&(Op<'h>, i64)| if under { op.res() < read.inv() } else { op.inv() < read.res() };
        let all: Vec<&(Op<'h>, i64)> = self.adds.iter().filter(counts).collect();
        let last = all.iter().max_by_key(|(op, _)| if under { op.res() } else { op.inv() });
        let mut ops: Vec<OpId> = last.map(|(op, _)| op.id).into_iter().chain([read.id]).collect();
        // A few adds are the proof themselves; many are one line.
        let group = (all.len() > 6).then(|| format!("all {} adds before it", all.len()));
        if group.is_none() {
            ops = all.iter().map(|(op, _)| op.id).chain([read.id]).collect();
        }
        ops.sort();
        let (pattern, says) = match under {
            true => (
                "lost increment",
                format!(
                    "{} returned {value}, but at least {low} had been acknowledged before it began.",
                    full(read, history)
                ),
            ),
            false => (
                "thin-air sum",
                format!(
                    "{} returned {value}, but at most {high} had been asked for by its end.",
                    full(read, history)
                ),
            ),
        };
        let sign = if self.adds.iter().any(|(_, x)| *x < 0) {
            " (amounts of either sign count where they may)"
        } else {
            ""
        };
        let because = format!(
            "{} adds {} before it{sign}, so any correct sum lies in {low}..={high}.",
            all.len(),
            if under { "had been acknowledged" } else { "had been invoked" }
        );
        Breach { pattern, read: read.id, ops, says, because, group, strike: strike_before(read, history) }
    }
}

fn went_back(read: &Op<'_>, value: i64, before: &Op<'_>, seen: i64, history: &History) -> Breach {
    let mut ops = vec![before.id, read.id];
    ops.sort();
    Breach {
        pattern: "sum went back",
        read: read.id,
        ops,
        says: format!(
            "{} returned {value} after {} had returned {seen}.",
            full(read, history),
            full(before, history)
        ),
        because: format!(
            "{} #{} had completed {} before, and nobody subtracts.",
            capital(before.f()),
            before.id.0,
            span(read.invoked().saturating_sub(before.completed().unwrap_or(0)))
        ),
        group: None,
        strike: strike_before(read, history),
    }
}
