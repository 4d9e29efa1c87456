//! The verifier: thirty lines that every valid verdict has to pass, whatever engine produced it.
//!
//! Shares nothing with the engines. It proves an order right; it never looks for one.

use super::spec::{Spec, Timed};

/// What is wrong with an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    NoSuchOp(usize),
    Twice(usize),
    /// An op earlier in the order was invoked after this one had completed.
    RealTime(usize),
    /// The state does not allow this reply here.
    Refused(usize),
    /// An ok op is not in the order.
    Missing(usize),
}

/// Checks that `order` (indices into `ops`) is a linearization: O(n).
pub fn replay<S: Spec>(spec: &S, ops: &[Timed<S>], order: &[usize]) -> Result<(), Flaw> {
    let (mut state, mut latest) = (spec.init(), 0);
    let mut seen = vec![false; ops.len()];
    for &i in order {
        let op = ops.get(i).ok_or(Flaw::NoSuchOp(i))?;
        if std::mem::replace(&mut seen[i], true) {
            return Err(Flaw::Twice(i));
        }
        if op.res < latest {
            return Err(Flaw::RealTime(i));
        }
        latest = latest.max(op.inv);
        if !spec.apply(&mut state, &op.call, op.reply.as_ref()) {
            return Err(Flaw::Refused(i));
        }
    }
    match (0..ops.len()).find(|&i| !seen[i] && ops[i].is_ok()) {
        Some(i) => Err(Flaw::Missing(i)),
        None => Ok(()),
    }
}
