//! From a history to one verdict: every checker run, the worst taken, the record's own defects weighed in.
//!
//! A function of the history alone: a live run, a simulated one and a foreign file are judged by this same code.
//! Not here: how each checker decides, and how the answer is shown.

use crate::terminal::Progress;
use checkers::{Budget, Checker, Findings, Meter, Model, Reason, Verdict, Why};
use history::{Completeness, History};
use serde_json::{Value as Json, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use workloads::Workload;

/// All that was found, and the one word for it.
pub struct Judgement {
    pub verdict: Verdict,
    /// The model that the verdict is about: the first refuted, else the first that stayed open.
    pub model: Option<Model>,
    pub findings: Vec<Findings>,
    /// Name, what it proves, what it cannot see.
    pub about: Vec<(String, String, String)>,
}

/// Runs the checkers in parallel. The verdict is the same at any number of threads.
pub fn judge(history: &History, checkers: &[Box<dyn Checker>], budget: &Budget) -> Judgement {
    let about = checkers.iter().map(|c| (c.name().into(), c.about().into(), c.blind_to().into())).collect();
    let refs: Vec<&dyn Checker> = checkers.iter().map(|c| c.as_ref()).collect();
    let findings = checkers::run_all(&refs, history, budget);
    let mut worst: Option<(Option<Model>, Verdict)> = None;
    let mut consider = |model: Option<Model>, verdict: &Verdict| {
        if worst.as_ref().is_none_or(|(_, w)| verdict.rank() > w.rank()) {
            worst = Some((model, verdict.clone()));
        }
    };
    for (model, verdict) in findings.iter().flat_map(|f| &f.per_model) {
        consider(Some(*model), verdict);
    }
    for defect in defects(history) {
        consider(None, &Verdict::Unknown(defect));
    }
    let (model, verdict) = worst.unwrap_or_else(|| {
        (None, Verdict::unknown(Why::Unsupported("no checker".into()), "No checker applied to this history."))
    });
    Judgement { verdict, model, findings, about }
}

/// As [`judge`], with the checkers' progress and the time it may still take on the terminal.
pub fn judge_watched(
    history: &History,
    checkers: &[Box<dyn Checker>],
    budget: &Budget,
    progress: &Progress,
) -> Judgement {
    static METER: Meter = Meter::new();
    METER.reset();
    let (done, begun) = (AtomicBool::new(false), Instant::now());
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::thread::park_timeout(Duration::from_millis(200));
                let (ops, of) = METER.read();
                let left = begun.elapsed().as_secs_f64() * (of - ops.min(of)) as f64 / ops.max(1) as f64;
                let eta = if ops > 0 { format!(", about {left:.0} s left") } else { String::new() };
                progress.now(|| format!("judging: {ops} of {} ops{eta}", of.max(history.len() as u64)));
            }
        });
        let judgement = judge(history, checkers, &Budget { watch: Some(&METER), ..*budget });
        done.store(true, Ordering::Relaxed);
        watcher.thread().unpark();
        judgement
    })
}

/// The judges of a workload's run: its own, and those that look at every run.
pub fn of_workload(workload: &dyn Workload) -> Vec<Box<dyn Checker>> {
    let mut found = workload.checkers();
    let standard: [Box<dyn Checker>; 4] = [
        Box::new(checkers::leader::Leader),
        Box::new(checkers::logs::Logs),
        Box::new(checkers::availability::Availability),
        Box::new(checkers::stats::Stats),
    ];
    for checker in standard {
        if found.iter().all(|f| f.name() != checker.name()) {
            found.push(checker);
        }
    }
    found
}

/// What is wrong with the record itself. Each turns valid into unknown; none excuses an invalid.
fn defects(history: &History) -> Vec<Reason> {
    let mut defects = Vec::new();
    if !history.ops().any(|op| op.is_ok()) {
        let says = match history.is_empty() {
            true => "The history is empty: nothing was asked.".to_string(),
            false => format!("Not one of {} calls was answered.", history.len()),
        };
        defects.push(Reason::new(Why::Vacuous, says));
    }
    if let Completeness::Truncated { lines } = history.completeness {
        let says = format!(
            "The record breaks off after line {lines}, without its footer: what came later is not known."
        );
        defects.push(Reason::new(Why::Truncated, says));
    }
    for note in history.notes() {
        match note.f.as_ref() {
            "node-died" => {
                let says = format!("A node died that nobody had struck: {}.", note.value.to_plain());
                defects.push(Reason::new(Why::NodeDied, says));
            }
            "interrupted" => {
                let says = "The run was interrupted before its final reads.";
                defects.push(Reason::new(Why::Vacuous, says));
            }
            "run-failed" => {
                let says = format!("The run could not be finished: {}.", note.value.to_plain());
                defects.push(Reason::new(Why::Vacuous, says));
            }
            _ => {}
        }
    }
    defects
}

impl Judgement {
    /// One sentence a reader can act on.
    pub fn diagnosis(&self) -> String {
        match &self.verdict {
            Verdict::Invalid(c) => c.words.first().cloned().unwrap_or_else(|| format!("{}.", c.pattern)),
            Verdict::Unknown(r) => r.says.clone(),
            Verdict::Valid(_) => {
                let models: Vec<&str> = self
                    .findings
                    .iter()
                    .flat_map(|f| &f.per_model)
                    .filter(|(m, v)| v.is_valid() && !matches!(m, Model::Evidence | Model::Availability))
                    .map(|(m, _)| m.name())
                    .collect();
                match models.is_empty() {
                    true => "Nothing was refuted.".into(),
                    false => format!("No violation of: {}.", models.join(", ")),
                }
            }
        }
    }

    /// `valid`, `invalid`, `unknown: vacuous`, …
    pub fn headline(&self) -> String {
        match &self.verdict {
            Verdict::Unknown(r) => format!("unknown: {}", r.why.word()),
            Verdict::Invalid(c) if !c.pattern.is_empty() => format!("invalid: {}", c.pattern),
            v => v.word().into(),
        }
    }

    pub fn exit_code(&self) -> i32 {
        exit_code(&self.verdict)
    }

    pub fn to_json(&self) -> Json {
        json!({
            "verdict": self.verdict.word(),
            "why": match &self.verdict { Verdict::Unknown(r) => Some(r.why.word()), _ => None },
            "model": self.model.map(Model::name),
            "pattern": match &self.verdict { Verdict::Invalid(c) => Some(c.pattern.clone()), _ => None },
            "diagnosis": self.diagnosis(),
            "findings": self.findings.iter().map(Findings::to_json).collect::<Vec<_>>(),
        })
    }
}

pub fn exit_code(verdict: &Verdict) -> i32 {
    match verdict {
        Verdict::Valid(_) => crate::exit::VALID,
        Verdict::Invalid(_) => crate::exit::INVALID,
        Verdict::Unknown(_) => crate::exit::UNKNOWN,
    }
}

/// The worst exit code of several runs: invalid outranks everything, then unknown.
pub fn worst_exit(codes: impl IntoIterator<Item = i32>) -> i32 {
    use crate::exit::*;
    let order = [VALID, UNKNOWN, COULD_NOT_RUN, INTERNAL, INTERRUPTED, INVALID];
    let rank = |code: &i32| order.iter().position(|c| c == code).unwrap_or(order.len());
    codes.into_iter().max_by_key(rank).unwrap_or(VALID)
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::text;

    #[test]
    fn an_empty_history_is_vacuous_and_a_violation_outranks_unknown() {
        let empty = judge(&History::default(), &[], &Budget::default());
        assert_eq!(empty.headline(), "unknown: vacuous");
        assert_eq!(worst_exit([0, 1, 2, 3]), 1);
        assert_eq!(worst_exit([0, 2, 0]), 2);
        assert_eq!(worst_exit([0, 0]), 0);
        let unanswered = text::parse("p0 write x 1 |--?").unwrap();
        assert!(judge(&unanswered, &[], &Budget::default()).diagnosis().contains("Not one of 1 calls"));
    }
}
