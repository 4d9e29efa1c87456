//! Many seeds, one question: which of them does a checker refuse?
//!
//! Pure functions from a spec to verdicts; the caller decides how many seeds run at once. Where runs are written
//! and how they are shown is the root's business.

use crate::run::{SimResult, SimSpec, node_names, run};
use checkers::{Budget, Findings, Verdict};
use history::{Builder, History};
use nemeses::{Nemesis, PlanOptions, Topology};
use std::collections::BTreeMap;

/// A run with what its judges found.
#[derive(Debug)]
pub struct Outcome {
    pub result: SimResult,
    pub history: History,
    pub findings: Vec<Findings>,
}

/// Runs a spec and lets every judge of its workload look at the history.
///
/// # Panics
/// If the history is malformed: that would be a defect of the simulator.
pub fn judge(spec: &SimSpec, budget: &Budget) -> Outcome {
    let result = run(spec);
    let history = history_of(&result, spec.params.nodes);
    let findings = spec.workload.checkers().iter().map(|judge| judge.check(&history, budget)).collect();
    Outcome { result, history, findings }
}

/// The history of a run, with its nodes named.
///
/// # Panics
/// If the events are malformed.
pub fn history_of(result: &SimResult, nodes: usize) -> History {
    let mut builder = Builder::new();
    for name in node_names(nodes) {
        builder.node(&name).expect("fewer than 254 nodes");
    }
    for (line, event) in result.events.iter().enumerate() {
        if let Err(why) = builder.push(event, line as u64 + 1) {
            panic!("event {}: {why}", line + 1);
        }
    }
    builder.finish()
}

/// A run in a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub seed: u64,
    /// The worst verdict of all judges: `valid`, `unknown` or `invalid`.
    pub verdict: &'static str,
    /// The judges that said so, each with its first sentence.
    pub says: Vec<String>,
    pub ops: usize,
    /// Strikes that began, and those of them that were measured to have taken effect.
    pub strikes: (usize, usize),
    pub activations: BTreeMap<String, u64>,
    pub settled: bool,
}

impl Outcome {
    /// The worst verdict of all judges.
    pub fn verdict(&self) -> &'static str {
        let words = self.findings.iter().filter_map(Findings::worst).map(Verdict::word);
        words
            .max_by_key(|word| ["valid", "unknown", "invalid"].iter().position(|w| w == word))
            .unwrap_or("unknown")
    }

    /// Strikes that began, and those that took effect.
    pub fn strikes(&self) -> (usize, usize) {
        let strikes = self.history.strikes();
        (strikes.len(), strikes.iter().filter(|strike| strike.measured().is_some()).count())
    }

    pub fn row(&self, seed: u64) -> Row {
        let verdict = self.verdict();
        let bad = self
            .findings
            .iter()
            .filter(|f| verdict != "valid" && f.worst().map(Verdict::word) == Some(verdict));
        Row {
            seed,
            verdict,
            says: bad.map(|findings| format!("{}: {}", findings.checker, first_words(findings))).collect(),
            ops: self.history.len(),
            strikes: self.strikes(),
            activations: self.result.activations.clone(),
            settled: self.result.settled,
        }
    }
}

fn first_words(findings: &Findings) -> String {
    match findings.worst() {
        Some(Verdict::Invalid(found)) => found.pattern.clone(),
        Some(Verdict::Unknown(reason)) => reason.says.clone(),
        _ => String::new(),
    }
}

/// The rows of a range of seeds, one after the other. `spec_of` must depend on its argument alone; a caller with
/// several cores maps over [`row_of`] itself.
pub fn sweep(
    seeds: impl IntoIterator<Item = u64>,
    spec_of: impl Fn(u64) -> SimSpec,
    budget: &Budget,
) -> Vec<Row> {
    seeds.into_iter().map(|seed| row_of(&spec_of(seed), budget)).collect()
}

/// One run in a line.
pub fn row_of(spec: &SimSpec, budget: &Budget) -> Row {
    judge(spec, budget).row(spec.seed)
}

/// The strikes that these nemeses plan for a run.
pub fn plan(nemeses: &[&dyn Nemesis], spec: &SimSpec, options: &PlanOptions) -> Vec<history::Strike> {
    let rng = history::rng::Rng::new(spec.seed, "plan");
    let topology = Topology { nodes: spec.params.nodes };
    nemeses::plan_all(nemeses, &topology, spec.params.load, options, rng)
}
