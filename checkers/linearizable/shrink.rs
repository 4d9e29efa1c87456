//! Makes a contradiction small by moves that can only make a history easier to satisfy.
//!
//! A pure op is deleted; any other ok op is *demoted* to possibly-happened (its reply and deadline forgotten).
//! A smaller history that is still invalid therefore proves the larger one invalid. An op is never simply deleted
//! when others may have seen what it wrote.

use super::dfs::Limits;
use super::engine::{Decide, decide_needed};
use super::preprocess;
use super::spec::Timed;

/// What is left: which ops (indices, in order of invocation) and which of them only as possibly-happened.
pub struct Small<S: Decide> {
    pub kept: Vec<usize>,
    pub demoted: Vec<usize>,
    pub ops: Vec<Timed<S>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Whole,
    Demoted,
    Gone,
}

/// One try may cost this many steps; an unknown answer counts as *not* invalid.
pub const A_TRY: Limits = Limits { steps: 400_000, bytes: 64 << 20, furthest: false };

/// Shrinks until no single move is left (1-minimal) or `steps` are spent.
pub fn shrink<S: Decide>(spec: &S, ops: &[Timed<S>], steps: u64) -> Small<S> {
    shrink_by(spec, ops, steps, |op| op.reply.as_ref().is_some_and(|reply| spec.idle(&op.call, reply)))
}

/// The same where `idle` says which ops may be deleted: those without which every order stays one.
pub fn shrink_by<S: Decide>(
    spec: &S,
    ops: &[Timed<S>],
    mut steps: u64,
    idle: impl Fn(&Timed<S>) -> bool,
) -> Small<S> {
    let mut fates = vec![Fate::Whole; ops.len()];
    let mut chunk = ops.len().div_ceil(2).max(1);
    loop {
        let mut changed = false;
        let candidates: Vec<usize> =
            (0..ops.len()).filter(|i| fates[*i] == Fate::Whole && ops[*i].is_ok()).collect();
        for part in candidates.chunks(chunk) {
            if steps == 0 {
                return left(spec, ops, &fates);
            }
            let before = fates.clone();
            part.iter().for_each(|i| fates[*i] = if idle(&ops[*i]) { Fate::Gone } else { Fate::Demoted });
            let decided = decide_needed(spec, &apply(ops, &fates).1, &A_TRY);
            steps = steps.saturating_sub(decided.steps.max(ops.len() as u64));
            match decided.is_no() {
                true => changed = true,
                false => fates = before,
            }
        }
        if chunk == 1 && !changed {
            return left(spec, ops, &fates);
        }
        chunk = (chunk / 2).max(1);
    }
}

fn apply<S: Decide>(ops: &[Timed<S>], fates: &[Fate]) -> (Vec<usize>, Vec<Timed<S>>) {
    let kept: Vec<usize> = (0..ops.len()).filter(|i| fates[*i] != Fate::Gone).collect();
    let list =
        kept.iter().map(|i| if fates[*i] == Fate::Demoted { ops[*i].forgotten() } else { ops[*i].clone() });
    (kept.clone(), list.collect())
}

fn left<S: Decide>(spec: &S, ops: &[Timed<S>], fates: &[Fate]) -> Small<S> {
    let (kept, list) = apply(ops, fates);
    let needed = preprocess::needed(spec, &list);
    let demoted = needed.iter().map(|i| kept[*i]).filter(|i| fates[*i] == Fate::Demoted).collect();
    Small {
        demoted,
        ops: needed.iter().map(|i| list[*i].clone()).collect(),
        kept: needed.iter().map(|i| kept[*i]).collect(),
    }
}
