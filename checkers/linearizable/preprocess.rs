//! What can be left out of a partition without changing its verdict.

use super::hash::Interned;
use super::spec::{Spec, Timed, precedes};

/// The ops that matter, as indices in the order given: ok ops, and the info ops that something may need.
///
/// Pure info ops go (their reply is unknown, so they constrain nothing), and so do info ops that nothing needs in
/// the sense of [`Spec::wants`]. What is needed is the *least* fixpoint from the ok ops: with the greatest one,
/// info ops that only need each other would stay. Cost: classes of infos × classes of ops.
pub fn needed<S: Spec>(spec: &S, ops: &[Timed<S>]) -> Vec<usize> {
    if ops.iter().all(Timed::is_ok) {
        return (0..ops.len()).collect();
    }
    let mut classes: Interned<(&S::Call, Option<&S::Reply>)> = Interned::default();
    // For each class of ok ops the latest completion; for each class of infos its members.
    let mut latest: Vec<(usize, u32)> = Vec::new();
    let mut infos: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut at: Vec<usize> = Vec::new();
    for (i, op) in ops.iter().enumerate() {
        let id = classes.id(&(&op.call, op.reply.as_ref())) as usize;
        if id == at.len() {
            at.push(if op.is_ok() { latest.len() } else { infos.len() });
            if op.is_ok() { latest.push((i, 0)) } else { infos.push((i, Vec::new())) }
        }
        if op.is_ok() {
            latest[at[id]].1 = latest[at[id]].1.max(op.res);
        } else if !spec.pure(&op.call) {
            infos[at[id]].1.push(i);
        }
    }
    let mut keep: Vec<bool> = ops.iter().map(Timed::is_ok).collect();
    let mut kept: Vec<bool> = vec![false; infos.len()];
    for (k, (sample, members)) in infos.iter().enumerate() {
        let Some(first) = members.iter().map(|m| ops[*m].inv).min() else { continue };
        let wanted =
            |(by, res): &&(usize, u32)| !precedes(*res, first) && spec.wants(&ops[*by], &ops[*sample].call);
        let Some(until) = latest.iter().filter(wanted).map(|l| l.1).max() else { continue };
        for m in members.iter().filter(|m| !precedes(until, ops[**m].inv)) {
            keep[*m] = true;
            kept[k] = true;
        }
    }
    // Needed by a needed info: such an op has no deadline, so neither has the need.
    let mut todo: Vec<usize> = (0..infos.len()).filter(|k| kept[*k]).collect();
    let mut whole = vec![false; infos.len()];
    while let Some(by) = todo.pop() {
        for (k, (sample, members)) in infos.iter().enumerate() {
            if !whole[k] && spec.wants(&ops[infos[by].0], &ops[*sample].call) {
                whole[k] = true;
                members.iter().for_each(|m| keep[*m] = true);
                if !std::mem::replace(&mut kept[k], true) {
                    todo.push(k);
                }
            }
        }
    }
    (0..ops.len()).filter(|i| keep[*i]).collect()
}
