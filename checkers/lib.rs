//! Pure functions from a history to a verdict with evidence.
//!
//! A checker never reads a file, a clock or the environment; it has a [`Budget`] of steps and bytes and answers
//! *unknown* with its reason when that is spent. Not here: what a workload needs as minimum evidence
//! (`workloads/`), how a verdict is drawn (`src/report`).

pub mod linearizable;
pub mod verdict;

pub use verdict::{
    Anomaly, Budget, Counterexample, Edge, Findings, Model, Partial, Reason, Stuck, Verdict, Why, Witness,
};

use history::History;

/// One judge. File name, flag name and report heading are `name()`.
pub trait Checker: Send + Sync {
    fn name(&self) -> &'static str;
    /// One sentence: what it proves or refutes.
    fn about(&self) -> &'static str;
    /// One sentence: what it cannot see. Printed beside every verdict of its.
    fn blind_to(&self) -> &'static str;
    fn check(&self, history: &History, budget: &Budget) -> Findings;
}
