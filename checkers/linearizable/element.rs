//! One element of a set, a flag, a test-and-set: present or absent.
//!
//! | f | value | reply |
//! | --- | --- | --- |
//! | `add` | the element | true: it was there already; false: it is new; done: the service does not say |
//! | `remove` | the element | true: it was there and is gone; false: it was not there; done: the service does not say |
//! | `contains`, `has` | the element | true or false (1 or 0) |
//!
//! Where every reply is telling, one sweep decides, O(n log n): ops that change the state must alternate, so the state
//! is flipped only when a completing op needs it, by the open op with the smallest deadline, and open ops that only
//! look are served whenever the state fits. Lemma: an earlier flip serves nobody that the later one does not, since
//! whoever looks is served before it. Blind adds and removes (`done`) may or may not flip: those need the search.
//!
//! The contradiction is looked for in the last few completions first, from either state: what came before is
//! forgotten but for the calls still open, and for one add that may or may not have happened.

use super::bind::{Bind, Taken, unknown, was_or_done};
use super::engine::{Decide, Decision, Refuted};
use super::explain::Story;
use super::objects::{Element, ElementCall, ElementReply};
use super::preprocess;
use super::spec::{OPEN, Spec, Timed, precedes};
use super::story::capital;
use history::{History, Op, OutcomeKind};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

type Ops = [Timed<Element>];

impl Decide for Element {
    fn decide(&self, ops: &Ops) -> Option<Decision<Self>> {
        if ops.iter().any(|op| op.is_ok() && !matches!(op.reply, Some(ElementReply::Was(_)))) {
            return None;
        }
        let mut sweep = Sweep::default();
        Some(match sweep.run(ops) {
            Ok(()) => Ok(sweep.order),
            Err(bad) => Err(contradiction(self, ops, bad)),
        })
    }
}

/// The state that an op needs, and whether it changes it. `None`: it constrains nothing.
fn need(op: &Timed<Element>) -> Option<(bool, bool)> {
    match (op.call, op.reply) {
        (ElementCall::Has, None) => None,
        (ElementCall::Add, None) => Some((false, true)),
        (ElementCall::Remove, None) => Some((true, true)),
        (ElementCall::Has, Some(ElementReply::Was(was))) => Some((was, false)),
        (ElementCall::Add, Some(ElementReply::Was(was))) => Some((was, !was)),
        (ElementCall::Remove, Some(ElementReply::Was(was))) => Some((was, was)),
        (_, Some(ElementReply::Done)) => None,
    }
}

#[derive(Default)]
struct Sweep {
    state: bool,
    order: Vec<usize>,
    placed: Vec<bool>,
    /// Open ops that change the state to absent and to present, by deadline.
    live: [BinaryHeap<Reverse<(u32, usize)>>; 2],
    /// Open ops that need the state that is not, and keep it.
    waiting: [Vec<usize>; 2],
}

impl Sweep {
    /// The op that could not be served when it completed.
    fn run(&mut self, ops: &Ops) -> Result<(), usize> {
        self.placed = vec![false; ops.len()];
        let mut events: Vec<(u32, bool, usize)> = Vec::with_capacity(2 * ops.len());
        for (i, op) in ops.iter().enumerate() {
            events.push((op.inv, false, i));
            if op.is_ok() {
                events.push((op.res, true, i));
            }
        }
        events.sort_unstable();
        for (_, ends, i) in events {
            let Some((needs, flips)) = need(&ops[i]) else { continue };
            match (ends, flips) {
                (false, true) => self.live[!needs as usize].push(Reverse((ops[i].res, i))),
                (false, false) if self.state == needs => self.put(i),
                (false, false) => self.waiting[needs as usize].push(i),
                (true, _) if self.placed[i] => {}
                (true, _) => {
                    if self.state != needs {
                        let other = self.soonest(needs).ok_or(i)?;
                        self.flip(other, needs);
                    }
                    if flips {
                        self.flip(i, !needs);
                    }
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, i: usize) {
        self.placed[i] = true;
        self.order.push(i);
    }

    fn soonest(&mut self, to: bool) -> Option<usize> {
        let heap = &mut self.live[to as usize];
        while let Some(Reverse((_, i))) = heap.pop() {
            if !self.placed[i] {
                return Some(i);
            }
        }
        None
    }

    fn flip(&mut self, by: usize, to: bool) {
        self.put(by);
        self.state = to;
        for i in std::mem::take(&mut self.waiting[to as usize]) {
            self.put(i);
        }
    }
}

fn fails(ops: &Ops) -> bool {
    Sweep::default().run(ops).is_err()
}

/// An op of the contradiction and the op of the history that it is, if any.
type Piece = (Timed<Element>, Option<usize>);

fn bare(pieces: &[Piece]) -> Vec<Timed<Element>> {
    pieces.iter().map(|p| p.0.clone()).collect()
}

/// A small set of ops that has no order, implied by the history up to the completion of `bad`.
fn contradiction(spec: &Element, ops: &Ops, bad: usize) -> Refuted<Element> {
    let end = ops[bad].res;
    let mut done: Vec<u32> = ops.iter().filter(|o| o.res <= end).map(|o| o.res).collect();
    done.sort_unstable();
    let mut width = 4;
    let pieces = loop {
        let from = done.len().checked_sub(width + 1).map_or(0, |at| done[at] + 1);
        let pieces = window(ops, from, end, width);
        if from == 0 || fails(&bare(&pieces)) {
            break pieces;
        }
        width *= 2;
    };
    let pieces = smaller(spec, pieces, SHRINKING);
    let list = bare(&pieces);
    let needed = preprocess::needed(spec, &list);
    let core = needed.iter().filter_map(|i| pieces[*i].1).collect();
    Refuted { core, reduced: Some(needed.into_iter().map(|i| list[i].clone()).collect()) }
}

/// What is left of the events from `from` to `end` when all before is forgotten. Sound: of an order of the whole
/// history, the part after `from`, led by the one add if the element is there by then, is an order of this.
fn window(ops: &Ops, from: u32, end: u32, width: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if from > 0 {
        pieces.push((Timed { call: ElementCall::Add, reply: None, inv: 0, res: OPEN }, None));
    }
    // More changes of a kind than completions in the window are of no use.
    let mut spare = [width + 2; 2];
    for (i, op) in ops.iter().enumerate().filter(|(_, o)| o.inv <= end && o.res >= from) {
        let Some((needs, flips)) = need(op) else { continue };
        if op.res <= end && op.inv >= from {
            pieces.push((op.clone(), Some(i)));
        } else if flips && (op.inv >= from || spare[needs as usize] > 0) {
            if op.inv < from {
                spare[needs as usize] -= 1;
            }
            pieces.push((op.forgotten(), Some(i)));
        }
    }
    pieces
}

/// Op visits that shrinking may cost.
const SHRINKING: usize = 20_000_000;

/// Forgets ops, in halves and then one by one, as long as there is still no order.
fn smaller(spec: &Element, mut pieces: Vec<Piece>, mut left: usize) -> Vec<Piece> {
    let mut chunk = pieces.len().div_ceil(2);
    loop {
        let (mut at, mut changed) = (0, false);
        while at < pieces.len() {
            if left < pieces.len() {
                return pieces;
            }
            left -= pieces.len();
            let end = (at + chunk).min(pieces.len());
            let fewer = without(spec, &pieces, at, end);
            match fewer.filter(|f| fails(&bare(f))) {
                Some(fewer) => {
                    changed = true;
                    at = end - (pieces.len() - fewer.len());
                    pieces = fewer;
                }
                None => at = end,
            }
        }
        if chunk == 1 && !changed {
            return pieces;
        }
        chunk = (chunk / 2).max(1);
    }
}

/// The pieces with those from `at` to `end` forgotten: gone if they change nothing, else as possibly happened.
fn without(spec: &Element, pieces: &[Piece], at: usize, end: usize) -> Option<Vec<Piece>> {
    pieces[at..end].iter().any(|p| p.0.is_ok()).then(|| {
        let weaker = |(i, (op, of)): (usize, &Piece)| match &op.reply {
            Some(reply) if (at..end).contains(&i) => {
                (!spec.idle(&op.call, reply)).then(|| (op.forgotten(), *of))
            }
            _ => Some((op.clone(), *of)),
        };
        pieces.iter().enumerate().filter_map(weaker).collect()
    })
}

/// What an op said of the element.
fn says(op: &Timed<Element>) -> &'static str {
    match (op.call, op.reply) {
        (ElementCall::Add, Some(ElementReply::Was(true))) => "found the element there already",
        (ElementCall::Add, Some(ElementReply::Was(false))) => "was told that the element is new",
        (ElementCall::Remove, Some(ElementReply::Was(true))) => "was told that it took the element out",
        (ElementCall::Remove, Some(ElementReply::Was(false))) => {
            "was told that there was nothing to take out"
        }
        (ElementCall::Has, Some(ElementReply::Was(true))) => "found the element",
        (ElementCall::Has, Some(ElementReply::Was(false))) => "did not find the element",
        (ElementCall::Add, _) => "may have put it there",
        (ElementCall::Remove, _) => "may have taken it out",
        (ElementCall::Has, _) => "saw nothing",
    }
}

impl Bind for Element {
    const NOUN: &'static str = "set element";

    fn take(&self, op: &Op<'_>, history: &History) -> Result<Option<Taken<Self>>, String> {
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        let call = match op.f() {
            "add" => ElementCall::Add,
            "remove" => ElementCall::Remove,
            "contains" | "has" => ElementCall::Has,
            _ => return unknown(op, Self::NOUN),
        };
        Ok(Some((call, was_or_done(op, history, ElementReply::Was, ElementReply::Done)?)))
    }

    fn tell(&self, ops: &Ops, core: &[usize], story: &Story<'_>) -> Option<(&'static str, Vec<String>)> {
        let mut proof: Vec<usize> = core.iter().copied().filter(|i| ops[*i].is_ok()).collect();
        proof.sort_by_key(|i| ops[*i].res);
        let (bad, before) = proof.split_last()?;
        let (needs, _) = need(&ops[*bad])?;
        let asked = |call| ops.iter().any(|o| o.call == call && !precedes(ops[*bad].res, o.inv));
        let head =
            format!("{} is not linearizable: {} {}", story.subject(), story.full(*bad), says(&ops[*bad]));
        let (pattern, mut words) = match needs {
            true if !asked(ElementCall::Add) => (
                "thin-air element",
                vec![
                    format!("{head}, which nobody had added."),
                    "No call that succeeded or may have succeeded adds it before that.".into(),
                ],
            ),
            true => ("resurrected element", vec![format!("{head}, but it cannot have been there.")]),
            false => ("lost element", vec![format!("{head}, but it must have been there.")]),
        };
        for i in before.iter().rev().take(3).rev() {
            let when = match precedes(ops[*i].res, ops[*bad].inv) {
                true => format!("and completed {} before {} began", story.gap(*i, *bad), story.short(*bad)),
                false => format!("while {} was open", story.short(*bad)),
            };
            words.push(format!("{} {}, {when}.", capital(&story.full(*i)), says(&ops[*i])));
        }
        let (back, does) =
            if needs { (ElementCall::Add, "puts it there") } else { (ElementCall::Remove, "takes it out") };
        if !before.is_empty() {
            let others =
                core.iter().filter(|i| ops[**i].call == back && *i != bad && !before.contains(i)).count();
            words.push(match others {
                0 if before.iter().all(|i| ops[*i].call != back) => {
                    format!("No other call {does} in between.")
                }
                0 => format!("No further call {does} in between."),
                n => format!(
                    "{n} calls without an answer may have done so, but they are too few for what was seen."
                ),
            });
        }
        words.extend(story.strike(*bad));
        Some((pattern, words))
    }

    fn show(&self, state: &bool, _: &History) -> String {
        if *state { "present".into() } else { "absent".into() }
    }

    fn refusal(&self, state: &bool, op: &Timed<Self>, history: &History) -> String {
        match op.reply {
            Some(ElementReply::Was(was)) => {
                format!("needs it {}, it is {}", self.show(&was, history), self.show(state, history))
            }
            _ => "does not fit".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_ends_with_its_budget() {
        let piece = |i: usize, call, was| {
            let inv = 2 * i as u32;
            (Timed { call, reply: Some(ElementReply::Was(was)), inv, res: inv + 1 }, Some(i))
        };
        let mut pieces = vec![piece(0, ElementCall::Add, false)];
        pieces.extend((1..7).map(|i| piece(i, ElementCall::Has, true)));
        pieces.push(piece(7, ElementCall::Has, false));
        assert!(fails(&bare(&pieces)));
        // A look at the first half costs eight; the add is kept as one that may have happened.
        let left = |budget| smaller(&Element, pieces.clone(), budget).len();
        assert_eq!([0, 7, 8, 12].map(left), [8, 8, 5, 5]);
        let all = smaller(&Element, pieces.clone(), 1_000);
        assert_eq!(all.iter().map(|p| p.1).collect::<Vec<_>>(), [Some(0), Some(6), Some(7)]);
        assert!(!all[0].0.is_ok());
    }
}
