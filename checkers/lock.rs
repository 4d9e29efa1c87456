//! Locks: did two clients ever certainly hold one at the same time?
//!
//! A client certainly holds a lock from the completion of its acquire to the invocation of its release (for ever, if
//! it never asks to release). Exact for locks with an owner; leases that expire by themselves need their own rule.

use crate::linearizable::story::{capital, full, span, strike_before, subject};
use crate::verdict::{Anomaly, Counterexample, Findings, Model, Verdict};
use crate::{Budget, Checker};
use history::{History, Nanos, Op, OpId, Process, Value};
use std::collections::BTreeMap;

pub struct Lock;

impl Checker for Lock {
    fn name(&self) -> &'static str {
        "lock"
    }

    fn about(&self) -> &'static str {
        "No two clients may hold a lock at once, by the times at which each certainly held it."
    }

    fn blind_to(&self) -> &'static str {
        "Overlaps inside the time that an acquire or a release takes, and leases that were meant to expire."
    }

    fn check(&self, history: &History, _: &Budget) -> Findings {
        let mut findings = Findings::new(self.name());
        let (mut total, mut longest, mut overlaps) = (0, 0, Vec::new());
        for (key, ids) in history.by_key() {
            let holds = holds(&ids, history);
            total += holds.len();
            longest = longest.max(holds.iter().filter_map(Hold::lasted).max().unwrap_or(0));
            overlaps.extend(overlapping(&holds).into_iter().map(|(a, b)| (history.value(key), a, b)));
        }
        findings.measure("holds", total);
        findings.measure("overlaps", overlaps.len());
        findings.measure("longest_hold_ms", longest as f64 / 1e6);
        overlaps.sort_by_key(|(_, _, b)| b.from.res());
        for (key, a, b) in overlaps.iter().take(20) {
            let says = words(key, a, b, history).join(" ");
            let key = (!key.is_null()).then(|| key.clone());
            findings.anomalies.push(Anomaly { kind: "split hold".into(), key, ops: core(a, b), says });
        }
        let verdict = match overlaps.first() {
            Some((key, a, b)) => Verdict::Invalid(Box::new(Counterexample {
                key: (!key.is_null()).then(|| key.clone()),
                pattern: "split hold".into(),
                core: core(a, b),
                first_bad: Some(b.from.id),
                words: words(key, a, b, history),
                groups: match overlaps.len() {
                    1 => Vec::new(),
                    n => vec![format!("{} more overlaps", n - 1)],
                },
                by: self.name().into(),
                ..Counterexample::default()
            })),
            None => Verdict::valid(self.name(), format!("none of {total} holds overlaps another")),
        };
        findings.with(Model::MutualExclusion, verdict)
    }
}

/// A stretch in which one client certainly held the lock.
#[derive(Clone, Copy)]
struct Hold<'h> {
    from: Op<'h>,
    until: Option<Op<'h>>,
}

impl Hold<'_> {
    /// Position at which the hold is no longer certain.
    fn end(&self) -> u32 {
        self.until.map_or(u32::MAX, |r| r.inv())
    }

    fn lasted(&self) -> Option<Nanos> {
        Some(self.until?.invoked().saturating_sub(self.from.completed()?))
    }
}

fn holds<'h>(ids: &[OpId], history: &'h History) -> Vec<Hold<'h>> {
    let mut open: BTreeMap<Process, usize> = BTreeMap::new();
    let mut holds: Vec<Hold<'h>> = Vec::new();
    for op in ids.iter().map(|id| history.op(*id)) {
        match op.f() {
            "acquire" if op.is_ok() => {
                open.insert(op.process(), holds.len());
                holds.push(Hold { from: op, until: None });
            }
            // Whatever the answer: from here on the client no longer counts on it.
            "release" => {
                if let Some(i) = open.remove(&op.process()) {
                    holds[i].until = Some(op);
                }
            }
            _ => {}
        }
    }
    holds.sort_by_key(|h| h.from.res());
    holds
}

/// Each hold that began inside an earlier one, with the one that reached furthest.
fn overlapping<'h>(holds: &[Hold<'h>]) -> Vec<(Hold<'h>, Hold<'h>)> {
    let mut furthest: Option<Hold<'h>> = None;
    let mut found = Vec::new();
    for hold in holds {
        if let Some(other) = furthest.filter(|o| o.end() > hold.from.res() && hold.end() > hold.from.res()) {
            found.push((other, *hold));
        }
        if furthest.is_none_or(|o| o.end() < hold.end()) {
            furthest = Some(*hold);
        }
    }
    found
}

fn core(a: &Hold<'_>, b: &Hold<'_>) -> Vec<OpId> {
    let mut ops: Vec<OpId> =
        [Some(a.from), a.until, Some(b.from), b.until].into_iter().flatten().map(|o| o.id).collect();
    ops.sort();
    ops.dedup();
    ops
}

fn words(key: &Value, a: &Hold<'_>, b: &Hold<'_>, history: &History) -> Vec<String> {
    let granted = |h: &Hold<'_>| h.from.completed().unwrap_or(0);
    let mut words = vec![
        format!(
            "{}: two clients held it at once: {} was granted while process {} still held it by acquire #{}.",
            subject(Some(key), "lock"),
            full(&b.from, history),
            a.from.process().0,
            a.from.id.0
        ),
        match a.until {
            Some(release) => format!(
                "{} was granted, and it asked to release {} later; #{} was granted {} before that.",
                capital(&full(&a.from, history)),
                span(release.invoked().saturating_sub(granted(a))),
                b.from.id.0,
                span(release.invoked().saturating_sub(granted(b)))
            ),
            None => {
                format!("{} was granted and it never asked to release.", capital(&full(&a.from, history)))
            }
        },
    ];
    words.extend(strike_before(&b.from, history));
    words
}
