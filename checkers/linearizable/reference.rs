//! The textbook search of Wing and Gong with Lowe's cache: a linked list of events, an n-bit set, no reductions.
//!
//! Slow on purpose and independent of `dfs.rs`: it re-checks cores that are too large for the oracle, and it is
//! the baseline of the benchmarks. Memory grows with n²; both budgets end it.
//! Source: Lowe, *Testing for linearizability*, CCPE 2017, §3.

use super::spec::{OPEN, Spec, Timed};
use std::collections::HashSet;

/// Is there a linearization? `None` when `steps` entries were visited or about `bytes` were cached before an answer.
pub fn linearizable<S: Spec>(spec: &S, ops: &[Timed<S>], steps: u64, bytes: u64) -> Option<bool> {
    let mut list = List::new(ops);
    let mut left = ops.iter().filter(|o| o.is_ok()).count();
    let words = ops.len() / 64 + 1;
    let mut set = vec![0u64; words];
    let mut seen: HashSet<(Vec<u64>, S::State)> = HashSet::new();
    let mut stack: Vec<(usize, S::State)> = Vec::new();
    let (mut state, mut at, mut spent) = (spec.init(), list.first(), 0u64);
    while left > 0 {
        spent += 1;
        if spent > steps || (seen.len() * (words * 8 + 64)) as u64 > bytes {
            return None;
        }
        // An invocation: try it here. A completion (or the end) of an op that is not in: go back.
        if let Some(Event { op, begins: true }) = list.event(at) {
            if let Some(next) = spec.step(&state, &ops[op].call, ops[op].reply.as_ref()) {
                set[op / 64] |= 1 << (op % 64);
                if seen.insert((set.clone(), next.clone())) {
                    stack.push((op, std::mem::replace(&mut state, next)));
                    left -= ops[op].is_ok() as usize;
                    list.lift(op);
                    at = list.first();
                    continue;
                }
                set[op / 64] &= !(1 << (op % 64));
            }
            at = list.next[at];
            continue;
        }
        let Some((op, before)) = stack.pop() else { return Some(false) };
        state = before;
        left += ops[op].is_ok() as usize;
        set[op / 64] &= !(1 << (op % 64));
        list.unlift(op);
        at = list.next[list.begin[op]];
    }
    Some(true)
}

#[derive(Clone, Copy)]
struct Event {
    op: usize,
    begins: bool,
}

/// Events in order, doubly linked; entry 0 is the head.
struct List {
    events: Vec<Option<Event>>,
    next: Vec<usize>,
    prev: Vec<usize>,
    begin: Vec<usize>,
    end: Vec<usize>,
}

impl List {
    fn new<S: Spec>(ops: &[Timed<S>]) -> List {
        let mut edges: Vec<(u32, Event)> = Vec::new();
        for (op, timed) in ops.iter().enumerate() {
            edges.push((timed.inv, Event { op, begins: true }));
            if timed.res != OPEN {
                edges.push((timed.res, Event { op, begins: false }));
            }
        }
        edges.sort_by_key(|(pos, e)| (*pos, !e.begins));
        let mut list = List {
            events: vec![None],
            next: (1..=edges.len() + 1).collect(),
            prev: (0..=edges.len() + 1).map(|i| i.saturating_sub(1)).collect(),
            begin: vec![0; ops.len()],
            end: vec![0; ops.len()],
        };
        for (_, e) in edges {
            let at = list.events.len();
            if e.begins {
                list.begin[e.op] = at
            } else {
                list.end[e.op] = at
            }
            list.events.push(Some(e));
        }
        // The tail: an end that no op has, where the search turns back.
        list.events.push(None);
        list.next.push(0);
        list
    }

    fn first(&self) -> usize {
        self.next[0]
    }

    fn event(&self, at: usize) -> Option<Event> {
        self.events[at]
    }

    fn lift(&mut self, op: usize) {
        for at in [self.begin[op], self.end[op]] {
            if at > 0 {
                self.next[self.prev[at]] = self.next[at];
                self.prev[self.next[at]] = self.prev[at];
            }
        }
    }

    fn unlift(&mut self, op: usize) {
        for at in [self.end[op], self.begin[op]] {
            if at > 0 {
                self.next[self.prev[at]] = at;
                self.prev[self.next[at]] = at;
            }
        }
    }
}
