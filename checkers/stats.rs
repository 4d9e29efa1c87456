//! Numbers about a run: what was asked, how it ended, how long it took. Measures only; never a verdict.

use crate::verdict::Findings;
use crate::{Budget, Checker};
use history::{History, Nanos, OutcomeKind};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

pub struct Stats;

impl Checker for Stats {
    fn name(&self) -> &'static str {
        "stats"
    }

    fn about(&self) -> &'static str {
        "Counts calls by kind and outcome, their latencies and their errors; proves nothing."
    }

    fn blind_to(&self) -> &'static str {
        "Everything but numbers."
    }

    fn check(&self, history: &History, _: &Budget) -> Findings {
        let mut by_f: BTreeMap<&str, Row> = BTreeMap::new();
        let mut errors: BTreeMap<String, u64> = BTreeMap::new();
        let mut all = Row::default();
        for op in history.ops() {
            for row in [&mut all, by_f.entry(op.f()).or_default()] {
                row.count(op.kind(), op.completed().map(|end| end - op.invoked()));
            }
            if let Some(error) = op.error() {
                *errors.entry(error.word().trim().to_string()).or_default() += 1;
            }
        }
        let mut findings = Findings::new(self.name());
        findings.measure("ops", history.len());
        findings.measure("seconds", history.end() as f64 / 1e9);
        findings.measure("all", all.to_json());
        findings.measure(
            "by_f",
            by_f.into_iter()
                .map(|(f, row)| (f.to_string(), row.to_json()))
                .collect::<serde_json::Map<_, _>>(),
        );
        findings.measure("errors", json!(errors));
        findings.measure("ties", history.ties());
        findings
    }
}

#[derive(Default)]
struct Row {
    ok: u64,
    fail: u64,
    info: u64,
    took: Vec<Nanos>,
}

impl Row {
    fn count(&mut self, kind: OutcomeKind, took: Option<Nanos>) {
        match kind {
            OutcomeKind::Ok => {
                self.ok += 1;
                self.took.extend(took);
            }
            OutcomeKind::Fail => self.fail += 1,
            OutcomeKind::Info => self.info += 1,
        }
    }

    fn to_json(&self) -> Json {
        let mut took = self.took.clone();
        took.sort_unstable();
        // Nearest rank, in milliseconds.
        let at = |q: f64| {
            let rank = ((took.len() as f64 * q).ceil() as usize).clamp(1, took.len().max(1)) - 1;
            took.get(rank).map(|ns| (*ns as f64 / 1e3).round() / 1e3)
        };
        json!({"ok": self.ok, "fail": self.fail, "info": self.info,
            "p50_ms": at(0.5), "p95_ms": at(0.95), "p99_ms": at(0.99), "max_ms": at(1.0)})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_quantiles_and_errors() {
        let history = history::text::parse(
            "p0 write x 1 |--|
             p1 write x 2 |----?
             p2 read x 1       |-|
             p3 write x 3 |-x",
        )
        .unwrap();
        let findings = Stats.check(&history, &Budget::default());
        assert_eq!(findings.worst(), None);
        let write = &findings.measured["by_f"]["write"];
        assert_eq!((&write["ok"], &write["fail"], &write["info"]), (&json!(1), &json!(1), &json!(1)));
        assert_eq!(write["p50_ms"], json!(0.003));
        assert_eq!(findings.measured["errors"], json!({"failed": 1, "timeout": 1}));
    }
}
