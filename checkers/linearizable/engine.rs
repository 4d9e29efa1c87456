//! Decides one partition: the closed form where there is one, else the search, in parts where it can be cut; then
//! checks its own answer.
//!
//! The order of engines is fixed and each is sequential, so an answer is a function of the input alone.

use super::dfs::{self, Limits};
use super::frontier::Relaxed;
use super::preprocess;
use super::replay::replay;
use super::segments::{self, Segment};
use super::spec::{Pos, Spec, Timed};
use super::{frontier, oracle, reference};
use crate::verdict::Why;
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

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
    fn decide(&self, _ops: &[Timed<Self>]) -> Option<Decision<Self>> {
        None
    }

    /// An exact search of the object's own, better than the general ones where its preconditions hold.
    fn own_search(&self, _ops: &[Timed<Self>], _limits: &Limits) -> Option<dfs::Report> {
        None
    }

    /// What [`preprocess::needed`] keeps, where the object knows a way that does not compare classes pairwise.
    fn needed(&self, ops: &[Timed<Self>]) -> Vec<usize> {
        preprocess::needed(self, ops)
    }

    /// The object as an op with this reply leaves it, if that is the same whatever it was before.
    fn after(&self, _call: &Self::Call, _reply: &Self::Reply) -> Option<Self> {
        None
    }

    /// A contradiction that a cheap sweep can see. `None` proves nothing. Asked before the search, which needs long
    /// to exhaust what one glance refutes.
    fn screen(&self, _ops: &[Timed<Self>]) -> Option<Refuted<Self>> {
        None
    }
}

/// What became of one partition. Indices are into the ops given.
pub struct Decided<S: Spec> {
    pub answer: Answer<S>,
    pub by: &'static str,
    pub steps: u64,
    /// The most that an engine held, as accounted; 0 for a closed form.
    pub bytes: u64,
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
        Some(Ok(order)) => {
            let (answer, steps) = (replayed(spec, ops, order), ops.len() as u64);
            return Decided { answer, by: "decider", steps, bytes: 0, settled: 0 };
        }
        Some(Err(refuted)) => return contradicted(spec, ops, refuted, "decider"),
        None => {}
    }
    if let Some(refuted) = spec.screen(ops) {
        return contradicted(spec, ops, refuted, "sweep");
    }
    in_parts(spec, ops, limits, (ops.len() / 64).max(LEAST))
}

/// A part of a key that is judged by itself has at least so many ops: fewer are judged in less time than it takes to
/// set the engines up.
const LEAST: usize = 2_000;

/// Parts of one key judged at once; a number that hangs on the machine would let memory decide verdicts.
const AT_ONCE: usize = 8;

/// The search, in parts of at least `least` ops where the key can be cut.
pub fn in_parts<S: Decide>(spec: &S, ops: &[Timed<S>], limits: &Limits, least: usize) -> Decided<S> {
    let parts = match ops.len() < 2 * least {
        true => Vec::new(),
        false => segments::cut(spec, ops, least),
    };
    if parts.len() < 2 {
        return portfolio(spec, ops, limits);
    }
    let judge = |part: &Segment<S>, limits: &Limits| {
        let own: Vec<Timed<S>> = part.ops.iter().map(|i| ops[*i as usize].clone()).collect();
        let decided = portfolio(part.from.as_ref().unwrap_or(spec), &own, limits);
        renumbered(decided, |i| part.ops[i] as usize)
    };
    let bytes = limits.bytes / AT_ONCE as u64;
    let share = |part: &Segment<S>| {
        let steps = (limits.steps as u128 * part.ops.len() as u128 / ops.len() as u128) as u64;
        Limits { steps, bytes, ..*limits }
    };
    let mut judged: Vec<Decided<S>> = Vec::with_capacity(parts.len());
    for some in parts.chunks(AT_ONCE) {
        judged.par_extend(some.par_iter().map(|part| judge(part, &share(part))));
        if judged.iter().any(Decided::is_no) {
            return whole(spec, ops, judged);
        }
    }
    // What the others left over goes to those that needed more than their share.
    let open = |d: &Decided<S>| matches!(d.answer, Answer::Unknown(Why::Steps | Why::Bytes));
    for i in 0..judged.len() {
        if open(&judged[i]) {
            let spent: u64 = judged.iter().map(|d| d.steps).sum();
            let waiting = judged[i..].iter().filter(|d| open(d)).count() as u64;
            let steps = limits.steps.saturating_sub(spent) / waiting;
            let before = judged[i].steps;
            judged[i] = judge(&parts[i], &Limits { steps, ..*limits });
            judged[i].steps += before;
        }
    }
    whole(spec, ops, judged)
}

/// The answer for all parts: there is an order if each has one; none if one has none.
fn whole<S: Spec>(spec: &S, ops: &[Timed<S>], mut parts: Vec<Decided<S>>) -> Decided<S> {
    let steps = parts.iter().map(|d| d.steps).sum();
    let at_once = |some: &[Decided<S>]| some.iter().map(|d| d.bytes).sum();
    let bytes = parts.chunks(AT_ONCE).map(at_once).max().unwrap_or(0);
    let no = parts.iter().position(Decided::is_no);
    let decisive = no.or_else(|| parts.iter().position(|d| !matches!(d.answer, Answer::Yes(_))));
    if let Some(decisive) = decisive {
        return Decided { steps, bytes, ..parts.swap_remove(decisive) };
    }
    let by = if parts.iter().all(|d| d.by == parts[0].by) { parts[0].by } else { "search" };
    let settled = parts.last().map_or(0, |d| d.settled);
    let orders = parts.into_iter().filter_map(|d| match d.answer {
        Answer::Yes(order) => Some(order),
        _ => None,
    });
    let answer = replayed(spec, ops, orders.flatten().collect());
    Decided { answer, by, steps, bytes, settled }
}

/// The searches in rounds of growing budget. In each: depth first, which accepts most of what is acceptable; beside
/// it a frontier that lets infos repeat, which refutes what depth first would have to exhaust; then a narrow frontier
/// for what is long or wide, which tries harder at hard places from round to round. At last the exact frontier with all
/// that is left.
fn portfolio<S: Decide>(spec: &S, ops: &[Timed<S>], limits: &Limits) -> Decided<S> {
    let mut tried = Tried { spec, ops, limits, spent: 0, bytes: 0, settled: 0, why: Why::Steps };
    // More than half of the budget is never lost on it: where it fails, the frontier is what the others need, too.
    let half = Limits { steps: limits.steps / 2, ..*limits };
    if let Some(report) = spec.own_search(ops, &half)
        && let Some(decided) = tried.counts("lazy", report)
    {
        return decided;
    }
    let first = (10 * ops.len() as u64).max(500_000);
    // Once the relaxed frontier accepts, it has nothing more to say.
    let mut accepted = false;
    for round in 0..4u32 {
        let steps = first << (3 * round);
        let broad = (!accepted).then(|| tried.limited(steps * if round == 0 { 4 } else { 2 }));
        let (deep, broad) = both(spec, ops, &tried.limited(steps), broad.as_ref());
        if let Some(decided) = tried.counts("dfs", deep) {
            return decided;
        }
        if let Some((says, report)) = broad {
            accepted = matches!(says, Relaxed::Accepts);
            if let Some(decided) = tried.counts("relaxed", report) {
                return decided;
            }
        }
        let beam = frontier::beam(spec, ops, 8, 3 + 2 * round, &tried.limited(40 * steps));
        if let Some(decided) = tried.counts("beam", beam) {
            return decided;
        }
        if tried.spent >= limits.steps {
            return tried.unknown();
        }
    }
    for (by, report) in [
        ("cegar", frontier::cegar(spec, ops, &tried.limited(tried.left() / 2))),
        ("dfs", dfs::search(spec, ops, &tried.limited(u64::MAX))),
    ] {
        if let Some(decided) = tried.counts(by, report) {
            return decided;
        }
    }
    tried.unknown()
}

/// Depth first and the relaxed frontier, side by side where there is a second thread. The first cancels the second
/// once it has an answer, never the reverse, and a cancelled engine counts for nothing: the outcome is a function of
/// the input.
fn both<S: Decide>(
    spec: &S,
    ops: &[Timed<S>],
    deep: &Limits,
    broad: Option<&Limits>,
) -> (dfs::Report, Option<(Relaxed, dfs::Report)>) {
    let stop = AtomicBool::new(false);
    let dfs = || {
        let report = dfs::search(spec, ops, deep);
        if !matches!(report.answer, dfs::Answer::Spent(_)) {
            stop.store(true, Ordering::Relaxed);
        }
        report
    };
    let relaxed = || match (broad, stop.load(Ordering::Relaxed)) {
        (Some(limits), false) => Some(frontier::relaxed(spec, ops, limits, Some(&stop))),
        _ => None,
    };
    // On one thread the second would only start after the first anyway.
    let (deep, broad) = match ops.len() > SIDE_BY_SIDE && rayon::current_num_threads() > 1 {
        true => rayon::join(dfs, relaxed),
        false => {
            let deep = dfs();
            (deep, relaxed())
        }
    };
    let answered = !matches!(deep.answer, dfs::Answer::Spent(_));
    (deep, broad.filter(|_| !answered))
}

/// Fewer ops are not worth waking another thread for.
const SIDE_BY_SIDE: usize = 1_000;

/// What the engines of a portfolio have come to so far.
struct Tried<'a, S: Spec> {
    spec: &'a S,
    ops: &'a [Timed<S>],
    limits: &'a Limits,
    spent: u64,
    bytes: u64,
    settled: Pos,
    why: Why,
}

impl<S: Spec> Tried<'_, S> {
    fn left(&self) -> u64 {
        self.limits.steps.saturating_sub(self.spent)
    }

    fn limited(&self, steps: u64) -> Limits {
        Limits { steps: steps.min(self.left()), bytes: self.limits.bytes / 2, ..*self.limits }
    }

    /// The decision, if the report is one.
    fn counts(&mut self, by: &'static str, report: dfs::Report) -> Option<Decided<S>> {
        self.spent += report.steps;
        self.bytes = self.bytes.max(report.bytes);
        self.settled = self.settled.max(report.settled);
        let answer = match report.answer {
            dfs::Answer::Spent(why) => {
                self.why = why;
                return None;
            }
            dfs::Answer::No => Answer::No(None),
            dfs::Answer::Yes(order) => replayed(self.spec, self.ops, order),
        };
        Some(Decided { answer, by, steps: self.spent, bytes: self.bytes, settled: self.settled })
    }

    fn unknown(self) -> Decided<S> {
        Decided {
            answer: Answer::Unknown(self.why),
            by: "search",
            steps: self.spent,
            bytes: self.bytes,
            settled: self.settled,
        }
    }
}

/// The same after leaving out what cannot matter.
pub fn decide_needed<S: Decide>(spec: &S, ops: &[Timed<S>], limits: &Limits) -> Decided<S> {
    let keep = spec.needed(ops);
    if keep.len() == ops.len() {
        return decide(spec, ops, limits);
    }
    let part: Vec<Timed<S>> = keep.iter().map(|i| ops[*i].clone()).collect();
    renumbered(decide(spec, &part, limits), |i| keep[i])
}

/// What was decided of some ops, with the numbers that these have among all.
fn renumbered<S: Spec>(mut decided: Decided<S>, number: impl Fn(usize) -> usize) -> Decided<S> {
    match &mut decided.answer {
        Answer::Yes(order) => order.iter_mut().for_each(|i| *i = number(*i)),
        Answer::No(Some(refuted)) => refuted.core.iter_mut().for_each(|i| *i = number(*i)),
        _ => {}
    }
    decided
}

fn contradicted<S: Spec>(spec: &S, ops: &[Timed<S>], refuted: Refuted<S>, by: &'static str) -> Decided<S> {
    let answer = match agrees(spec, ops, &refuted) {
        true => Answer::No(Some(refuted)),
        false => Answer::Unknown(Why::Disagreement),
    };
    Decided { answer, by, steps: ops.len() as u64, bytes: 0, settled: 0 }
}

fn replayed<S: Spec>(spec: &S, ops: &[Timed<S>], order: Vec<usize>) -> Answer<S> {
    match replay(spec, ops, &order) {
        Ok(()) => Answer::Yes(order),
        Err(_) => Answer::Unknown(Why::Disagreement),
    }
}

fn agrees<S: Spec>(spec: &S, ops: &[Timed<S>], refuted: &Refuted<S>) -> bool {
    match &refuted.reduced {
        Some(reduced) => refutes(spec, reduced),
        None => refutes(spec, &refuted.core.iter().map(|i| ops[*i].clone()).collect::<Vec<_>>()),
    }
}

/// Does something simpler than the engines refute these ops? Brute force for the few ops that it takes, else the
/// textbook search. A core beyond its budget counts as refuted: nobody contradicted it.
pub fn refutes<S: Spec>(spec: &S, core: &[Timed<S>]) -> bool {
    let searched = || reference::linearizable(spec, core, RECHECK, 256 << 20);
    oracle::linearizable(spec, core).or_else(searched) != Some(true)
}
