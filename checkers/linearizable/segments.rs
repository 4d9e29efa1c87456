//! Cuts a long key where nothing was under way and the state is known: its parts are judged by themselves, side by side.
//!
//! At a position at which no ok op is open, and before which no info op was invoked, every order has all that was
//! before it first. Which states are possible there? The state is that which the last change left. If all other
//! changes had completed before one was invoked, it is the last in every order, and where its call and reply say what
//! it leaves (a write does, whatever was there before), the set of possible states has this one member. So every order
//! of the whole is one of each part put end to end, and the reverse. Positions at which several changes may have been
//! the last are no cuts: a part would have to be judged from each of their states.
//! Not here: how a part is judged (`engine.rs`); cuts at other positions, where the frontier engines carry the set.

use super::engine::Decide;
use super::spec::{Pos, Timed, precedes};

/// A part: the object as it was before it (`None`: as at first), and its ops.
pub struct Segment<S: Decide> {
    pub from: Option<S>,
    /// Indices, by invocation.
    pub ops: Vec<u32>,
}

/// The parts in order, of at least `least` ops each but for the last. One if there is no cut. O(n) for ops by
/// invocation.
pub fn cut<S: Decide>(spec: &S, ops: &[Timed<S>], least: usize) -> Vec<Segment<S>> {
    let mut by_inv: Vec<u32> = (0..ops.len() as u32).collect();
    if !ops.is_sorted_by_key(|o| o.inv) {
        by_inv.sort_by_key(|i| ops[*i as usize].inv);
    }
    let mut cuts: Vec<(usize, S)> = Vec::new();
    let (mut quiet, mut last) = (0, Last::default());
    for (at, i) in by_inv.iter().enumerate() {
        let op = &ops[*i as usize];
        let begun = at - cuts.last().map_or(0, |c| c.0);
        if begun >= least.max(1)
            && precedes(quiet, op.inv)
            && let Some(from) = last.alone.and_then(|i| {
                let op: &Timed<S> = &ops[i as usize];
                spec.after(&op.call, op.reply.as_ref()?)
            })
        {
            cuts.push((at, from));
        }
        if op.is_ok() {
            quiet = quiet.max(op.res);
            if !op.reply.as_ref().is_some_and(|r| spec.idle(&op.call, r)) {
                last.change(*i, op.inv, op.res);
            }
        } else if !spec.pure(&op.call) {
            // It may take effect at any time from here on.
            break;
        }
    }
    let mut segments = Vec::with_capacity(cuts.len() + 1);
    let (mut at, mut from) = (0, None);
    for (next, state) in cuts {
        segments.push(Segment { from, ops: by_inv[at..next].to_vec() });
        (at, from) = (next, Some(state));
    }
    segments.push(Segment { from, ops: by_inv[at..].to_vec() });
    segments
}

/// Which change was the last.
#[derive(Default)]
struct Last {
    /// The change that was invoked after all others had completed, if the last one was.
    alone: Option<u32>,
    /// The latest completion of a change.
    done: Option<Pos>,
}

impl Last {
    fn change(&mut self, op: u32, inv: Pos, res: Pos) {
        self.alone = self.done.is_none_or(|done| precedes(done, inv)).then_some(op);
        self.done = self.done.max(Some(res));
    }
}
