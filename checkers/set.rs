//! Sets: is every acknowledged element found again, once, and nothing else?
//!
//! Refutes by closed tests, element by element; a loss is a loss whatever the consistency model. Elements that are
//! only *late* (missing from a read, found later) refute linearizability and not the set. The exact search is
//! `linearizable`'s.

use crate::linearizable::story::subject;
use crate::presence::{Breach, Collection, Counts, Kind};
use crate::verdict::{Anomaly, Counterexample, Findings, Model, Verdict, Why};
use crate::{Budget, Checker};
use history::{History, Value};

pub struct Set;

impl Checker for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn about(&self) -> &'static str {
        "Follows every element: acknowledged ones must be found again, exactly once, and no others."
    }

    fn blind_to(&self) -> &'static str {
        "It judges each element alone, and an element that no read began after proves nothing."
    }

    fn check(&self, history: &History, _: &Budget) -> Findings {
        judge(self.name(), "add", Model::Set, "set", history, |_, _| Vec::new())
    }
}

/// Anomalies listed of each kind; all are counted.
const MOST_LISTED: usize = 20;

/// What sets and lists have in common: every element followed, with room for further `breaches` of the order.
pub(crate) fn judge(
    checker: &'static str,
    add: &str,
    model: Model,
    noun: &'static str,
    history: &History,
    more: impl for<'h> Fn(&Collection<'h>, &'h History) -> Vec<(&'static str, Breach)>,
) -> Findings {
    let mut findings = Findings::new(checker);
    let mut all: Vec<(Value, &'static str, Breach)> = Vec::new();
    let (mut total, mut reads) = (Counts::default(), 0);
    for (key, collection) in Collection::all(history, add) {
        reads += collection.reads.len();
        all.extend(more(&collection, history).into_iter().map(|(kind, b)| (key.clone(), kind, b)));
        let (breaches, counts) = collection.breaches(history);
        all.extend(breaches.into_iter().map(|b| (key.clone(), b.kind.name(), b)));
        total.attempts += counts.attempts;
        total.acknowledged += counts.acknowledged;
        total.stable += counts.stable;
        total.never_read += counts.never_read;
    }
    findings.measure("attempts", total.attempts);
    findings.measure("acknowledged", total.acknowledged);
    findings.measure("stable", total.stable);
    findings.measure("never_read", total.never_read);
    findings.measure("reads", reads);
    for kind in Kind::ALL {
        findings.measure(kind.counted(), all.iter().filter(|(_, name, _)| *name == kind.name()).count());
    }
    for (key, kind, b) in &all {
        if findings.anomalies.iter().filter(|a| a.kind == *kind).count() < MOST_LISTED {
            let says = format!("{}: {} {}", subject(Some(key), noun), b.says, b.because);
            findings.anomalies.push(Anomaly {
                kind: kind.to_string(),
                key: named(key),
                ops: b.ops.clone(),
                says,
            });
        }
    }
    let worst = all.iter().find(|(_, kind, _)| *kind != Kind::Stale.name());
    let verdict = match worst {
        Some((key, kind, breach)) => invalid(checker, noun, key, kind, breach, &all),
        None if reads == 0 && total.acknowledged > 0 => Verdict::unknown(
            Why::Vacuous,
            format!("No read of the {noun} ever succeeded, so nothing was looked for."),
        ),
        None => {
            let says = format!(
                "{} of {} acknowledged elements were in every later read",
                total.stable, total.acknowledged
            );
            Verdict::valid(checker, says)
        }
    };
    findings = findings.with(model, verdict);
    if let (None, Some((key, kind, breach))) = (worst, all.first()) {
        findings = findings.with(Model::Linearizable, invalid(checker, noun, key, kind, breach, &all));
    }
    findings
}

fn named(key: &Value) -> Option<Value> {
    (!key.is_null()).then(|| key.clone())
}

fn invalid(
    checker: &str,
    noun: &str,
    key: &Value,
    kind: &str,
    breach: &Breach,
    all: &[(Value, &'static str, Breach)],
) -> Verdict {
    let same = all.iter().filter(|(_, k, _)| *k == kind).count();
    let mut words = vec![format!("{}: {}", subject(Some(key), noun), breach.says), breach.because.clone()];
    let mut groups = Vec::new();
    if same > 1 {
        let many = if kind.ends_with("element") { "elements" } else { "reads" };
        words.push(format!("It is one of {same} such {many}."));
        groups.push(format!("{} more: {kind}", same - 1));
    }
    words.retain(|w| !w.is_empty());
    Verdict::Invalid(Box::new(Counterexample {
        key: named(key),
        pattern: kind.into(),
        core: breach.ops.clone(),
        first_bad: Some(breach.read),
        words,
        groups,
        by: checker.into(),
        ..Counterexample::default()
    }))
}
