//! Pure functions from a history to a verdict with evidence.
//!
//! A checker never reads a file, a clock or the environment; it has a [`Budget`] of steps and bytes and answers
//! *unknown* with its reason when that is spent. Not here: what a workload needs as minimum evidence
//! (`workloads/`), how a verdict is drawn (`src/report`).
//! To add a checker: one file here, one line in [`ALL`].

pub mod atomicity;
pub mod availability;
pub mod counter;
pub mod coverage;
pub mod leader;
pub mod linearizable;
pub mod list;
pub mod lock;
pub mod logs;
pub mod models;
pub mod presence;
pub mod regular;
pub mod sequential;
pub mod set;
pub mod stats;
pub mod streaming;
pub mod verdict;

pub use verdict::{
    Anomaly, Budget, Counterexample, Edge, Findings, Meter, Model, Partial, Reason, Stuck, Verdict, Why,
    Witness,
};

use history::History;
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// One judge. File name, flag name and report heading are `name()`.
pub trait Checker: Send + Sync {
    fn name(&self) -> &'static str;
    /// One sentence: what it proves or refutes.
    fn about(&self) -> &'static str;
    /// One sentence: what it cannot see. Printed beside every verdict of its.
    fn blind_to(&self) -> &'static str;
    fn check(&self, history: &History, budget: &Budget) -> Findings;
}

/// Every checker, each with its usual settings.
pub const ALL: &[&dyn Checker] = &[
    &availability::Availability,
    &counter::Counter,
    &coverage::Coverage { minimum: coverage::Evidence::LEAST },
    &leader::Leader,
    &linearizable::Linearizable { object: linearizable::Object::Auto },
    &list::List,
    &lock::Lock,
    &logs::Logs,
    &regular::Regular,
    &set::Set,
    &stats::Stats,
];

/// Runs the checkers in parallel, each with the whole budget; findings come in the order of the checkers.
/// A checker that panics answers *unknown* with the message: a bug of ours never hides what others found.
pub fn run_all(checkers: &[&dyn Checker], history: &History, budget: &Budget) -> Vec<Findings> {
    checkers
        .par_iter()
        .map(|checker| {
            catch_unwind(AssertUnwindSafe(|| checker.check(history, budget))).unwrap_or_else(|panic| {
                let message = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()))
                    .unwrap_or_default();
                let says = format!(
                    "The checker {} failed, which is a bug in this program: {message}",
                    checker.name()
                );
                // Which model it would have judged is not known; the checker's name is on the findings.
                Findings::new(checker.name())
                    .with(Model::Evidence, Verdict::unknown(Why::Panic(message), says))
            })
        })
        .collect()
}
