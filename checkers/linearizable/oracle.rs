//! Brute force: the definition, written down, for at most [`MOST`] ops.
//!
//! The judge of the judges: it shares no code with any engine and none of their reductions.

use super::spec::{OPEN, Spec, Timed};
use std::collections::HashSet;

/// More ops than this are refused: the cost is 2ⁿ.
pub const MOST: usize = 14;

/// Is there a linearization? `None` for more than [`MOST`] ops.
pub fn linearizable<S: Spec>(spec: &S, ops: &[Timed<S>]) -> Option<bool> {
    if ops.len() > MOST {
        return None;
    }
    let mut seen = HashSet::new();
    let mut todo = vec![(0u32, spec.init())];
    while let Some((set, state)) = todo.pop() {
        if !seen.insert((set, state.clone())) {
            continue;
        }
        let out = |i: &usize| set & (1 << i) == 0;
        if (0..ops.len()).filter(out).all(|i| ops[i].res == OPEN) {
            return Some(true);
        }
        for i in (0..ops.len()).filter(out) {
            if (0..ops.len()).filter(out).any(|j| ops[j].res < ops[i].inv) {
                continue;
            }
            if let Some(next) = spec.step(&state, &ops[i].call, ops[i].reply.as_ref()) {
                todo.push((set | 1 << i, next));
            }
        }
    }
    Some(false)
}
