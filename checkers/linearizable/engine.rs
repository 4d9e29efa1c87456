//! Decides one partition: the closed form where there is one, else the search; then checks its own answer.
//!
//! The order of engines is fixed and each is sequential, so an answer is a function of the input alone.

use super::dfs::{self, Limits};
use super::preprocess;
use super::replay::replay;
use super::spec::{Pos, Spec, Timed};
use super::{beam, oracle, reference};
use crate::verdict::Why;

/// What a closed form answers: an order, or a contradiction.
pub type Decision<S> = Result<Vec<usize>, Refuted<S>>;

/// A contradiction, small enough to be checked by something else.
pub struct Refuted<S: Spec> {
    /// Indices of the ops that contradict each other.
    pub core: Vec<usize>,
    /// The core reduced to what matters of it (a read of a whole list to two of its elements). Not linearizable in
    /// itself, and implied by the full history. `None`: the core's ops as they are.
    pub reduced: Option<Vec<Timed<S>>>,
}

/// An object that may know a faster way than the search.
pub trait Decide: Spec + Sized {
    /// `None` where its preconditions do not hold.
    fn decide(&self, ops: &[Timed<Self>]) -> Option<Decision<Self>> {
        let _ = ops;
        None
    }

    /// What [`preprocess::needed`] keeps, where the object knows a way that does not compare classes pairwise.
    fn needed(&self, ops: &[Timed<Self>]) -> Vec<usize> {
        preprocess::needed(self, ops)
    }

    /// A contradiction that a cheap sweep can see. `None` proves nothing. Asked before the search, which needs long
    /// to exhaust what one glance refutes.
    fn screen(&self, ops: &[Timed<Self>]) -> Option<Refuted<Self>> {
        let _ = ops;
        None
    }
}

/// What became of one partition. Indices are into the ops given.
pub struct Decided<S: Spec> {
    pub answer: Answer<S>,
    pub by: &'static str,
    pub steps: u64,
    pub settled: Pos,
}

pub enum Answer<S: Spec> {
    Yes(Vec<usize>),
    /// With a contradiction where a closed form found one.
    No(Option<Refuted<S>>),
    Unknown(Why),
}

impl<S: Spec> Decided<S> {
    pub fn is_no(&self) -> bool {
        matches!(self.answer, Answer::No(_))
    }
}

/// Steps of the reference search when it re-checks a core.
const RECHECK: u64 = 5_000_000;

/// Is there an order? A yes has been replayed, a contradiction of a closed form re-checked.
pub fn decide<S: Decide>(spec: &S, ops: &[Timed<S>], limits: &Limits) -> Decided<S> {
    match spec.decide(ops) {
        Some(Ok(order)) => return checked(spec, ops, order, "decider", ops.len() as u64),
        Some(Err(refuted)) => return contradicted(spec, ops, refuted, "decider"),
        None => {}
    }
    if let Some(refuted) = spec.screen(ops) {
        return contradicted(spec, ops, refuted, "sweep");
    }
    portfolio(spec, ops, limits)
}

/// The search in rounds of growing budget, each followed by a frontier of growing width that can only say yes.
fn portfolio<S: Spec>(spec: &S, ops: &[Timed<S>], limits: &Limits) -> Decided<S> {
    let first = (10 * ops.len() as u64).max(100_000);
    let (mut spent, mut settled) = (0, 0);
    for round in 0..4u32 {
        let last = round == 3;
        let left = limits.steps.saturating_sub(spent);
        let steps = if last { left } else { left.min(first << (3 * round)) };
        let report = dfs::search(spec, ops, &Limits { steps, ..*limits });
        spent += report.steps;
        settled = settled.max(report.settled);
        match report.answer {
            dfs::Answer::Yes(order) => return checked(spec, ops, order, "dfs", spent),
            dfs::Answer::No => return Decided { answer: Answer::No(None), by: "dfs", steps: spent, settled },
            dfs::Answer::Spent(why) if last || spent >= limits.steps => {
                return Decided { answer: Answer::Unknown(why), by: "dfs", steps: spent, settled };
            }
            dfs::Answer::Spent(_) => {}
        }
        let steps = limits.steps.saturating_sub(spent).min((40 * first) << (3 * round));
        let report = beam::search(spec, ops, 8 << (2 * round), &Limits { steps, ..*limits });
        spent += report.steps;
        settled = settled.max(report.settled);
        if let dfs::Answer::Yes(order) = report.answer {
            return checked(spec, ops, order, "beam", spent);
        }
    }
    Decided { answer: Answer::Unknown(Why::Steps), by: "dfs", steps: spent, settled }
}

/// The same after leaving out what cannot matter.
pub fn decide_needed<S: Decide>(spec: &S, ops: &[Timed<S>], limits: &Limits) -> Decided<S> {
    let keep = spec.needed(ops);
    if keep.len() == ops.len() {
        return decide(spec, ops, limits);
    }
    let part: Vec<Timed<S>> = keep.iter().map(|i| ops[*i].clone()).collect();
    let mut decided = decide(spec, &part, limits);
    match &mut decided.answer {
        Answer::Yes(order) => order.iter_mut().for_each(|i| *i = keep[*i]),
        Answer::No(Some(refuted)) => refuted.core.iter_mut().for_each(|i| *i = keep[*i]),
        _ => {}
    }
    decided
}

fn contradicted<S: Spec>(spec: &S, ops: &[Timed<S>], refuted: Refuted<S>, by: &'static str) -> Decided<S> {
    let answer = match agrees(spec, ops, &refuted) {
        true => Answer::No(Some(refuted)),
        false => Answer::Unknown(Why::Disagreement),
    };
    Decided { answer, by, steps: ops.len() as u64, settled: 0 }
}

fn checked<S: Spec>(
    spec: &S,
    ops: &[Timed<S>],
    order: Vec<usize>,
    by: &'static str,
    steps: u64,
) -> Decided<S> {
    let answer = match replay(spec, ops, &order) {
        Ok(()) => Answer::Yes(order),
        Err(_) => Answer::Unknown(Why::Disagreement),
    };
    Decided { answer, by, steps, settled: 0 }
}

fn agrees<S: Spec>(spec: &S, ops: &[Timed<S>], refuted: &Refuted<S>) -> bool {
    match &refuted.reduced {
        Some(reduced) => refutes(spec, reduced),
        None => refutes(spec, &refuted.core.iter().map(|i| ops[*i].clone()).collect::<Vec<_>>()),
    }
}

/// Does something simpler than the engines refute these ops? Brute force to 12 ops, the textbook search above. A
/// core beyond its budget counts as refuted: nobody contradicted it.
pub fn refutes<S: Spec>(spec: &S, core: &[Timed<S>]) -> bool {
    let answer = match core.len() {
        0..=12 => oracle::linearizable(spec, core),
        _ => reference::linearizable(spec, core, RECHECK, 256 << 20),
    };
    answer != Some(true)
}
