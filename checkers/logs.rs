//! Logs: did a node write down that something inside it broke?
//!
//! The runner scans the nodes' logs for its target's patterns and records each match as a note; here they count.

use crate::verdict::{Anomaly, Counterexample, Findings, Model, Verdict};
use crate::{Budget, Checker};
use history::{History, Note, Value};

pub struct Logs;

/// The `f` of the notes that are matches: `{node, line, text, pattern}`.
const MATCH: &str = "log-match";

impl Checker for Logs {
    fn name(&self) -> &'static str {
        "logs"
    }

    fn about(&self) -> &'static str {
        "No node may have logged a panic, a failed assertion or corruption."
    }

    fn blind_to(&self) -> &'static str {
        "Logs that were not fetched, and damage that no pattern of the target names."
    }

    fn check(&self, history: &History, _: &Budget) -> Findings {
        let mut findings = Findings::new(self.name());
        let matches: Vec<&Note> = history.notes().iter().filter(|n| n.f.as_ref() == MATCH).collect();
        findings.measure("matches", matches.len());
        for note in matches.iter().take(20) {
            findings.anomalies.push(Anomaly {
                kind: "log match".into(),
                key: None,
                ops: vec![],
                says: says(note),
            });
        }
        let verdict = match matches.first() {
            Some(note) => {
                let mut words = vec![says(note)];
                if matches.len() > 1 {
                    words.push(format!("{} lines like this were found.", matches.len()));
                }
                Verdict::Invalid(Box::new(Counterexample {
                    pattern: "log match".into(),
                    words,
                    by: self.name().into(),
                    ..Counterexample::default()
                }))
            }
            None => Verdict::valid(self.name(), "no suspicious line was recorded"),
        };
        findings.with(Model::CleanLogs, verdict)
    }
}

fn says(note: &Note) -> String {
    let field = |name: &str| note.value.get(name).map(Value::to_plain).unwrap_or_default();
    match note.value.get("text") {
        Some(_) => format!(
            "{} logged {:?} (line {}), which matches {:?}.",
            field("node"),
            field("text"),
            field("line"),
            field("pattern")
        ),
        None => format!("A suspicious line was logged: {}.", note.value.to_plain()),
    }
}
