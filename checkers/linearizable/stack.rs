//! Stacks: last in, first out. A pop of an empty stack answers nil.
//!
//! With unique elements decided, with an order, by peeling: an element whose push and whose pop can both happen at
//! an instant at which nothing else is certainly inside can be the bottom of a stack; take it away and repeat. Not
//! linearizable iff elements are left that bar each other (in any order some element is pushed first, and nothing is
//! inside then nor when it is popped), or an empty reply has no instant at which nothing is certainly inside.
//! O(n log n).
//! Source: Lee and Mathur, *Efficient decrease-and-conquer linearizability monitoring*, OOPSLA 2025. The peeling by
//! trees, the order and the small contradictions are ours, compared with brute force. Not here: elements pushed
//! twice, which need the search.

use super::bind::{Bind, Taken, done_or, show_all, unknown};
use super::collection_tales::{self, Inverted, Told};
use super::collections::{self, Collection, NONE, Nothing, Stays};
use super::engine::{Decide, Decision, Refuted};
use super::explain::{Claim, Story};
use super::peel::{self, Peeled};
use super::spec::{Spec, Timed};
use history::{History, Op, OutcomeKind, ReplyId, ValueId};

/// Last in, first out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stack;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StackCall {
    Push(ValueId),
    Pop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StackReply {
    Done,
    Took(ValueId),
    Empty,
}

impl Spec for Stack {
    type Call = StackCall;
    type Reply = StackReply;
    /// The top is last.
    type State = Vec<ValueId>;

    fn init(&self) -> Vec<ValueId> {
        vec![]
    }

    fn weight(&self, s: &Vec<ValueId>) -> usize {
        size_of_val(s.as_slice())
    }

    fn step(&self, s: &Vec<ValueId>, call: &StackCall, reply: Option<&StackReply>) -> Option<Vec<ValueId>> {
        let mut next = s.clone();
        self.apply(&mut next, call, reply).then_some(next)
    }

    fn apply(&self, s: &mut Vec<ValueId>, call: &StackCall, reply: Option<&StackReply>) -> bool {
        let said = match call {
            StackCall::Push(v) => {
                s.push(*v);
                StackReply::Done
            }
            StackCall::Pop => s.pop().map_or(StackReply::Empty, StackReply::Took),
        };
        reply.is_none_or(|r| *r == said)
    }

    fn idle(&self, _: &StackCall, reply: &StackReply) -> bool {
        *reply == StackReply::Empty
    }

    /// An info push of an element that nobody took may be forgotten, with the info pop that took it if one did; an
    /// info pop never.
    fn wants(&self, by: &Timed<Self>, info: &StackCall) -> bool {
        match info {
            StackCall::Push(v) => by.reply == Some(StackReply::Took(*v)),
            StackCall::Pop => true,
        }
    }
}

impl Collection for Stack {
    type Item = ValueId;

    fn put(call: &StackCall) -> Option<ValueId> {
        match call {
            StackCall::Push(v) => Some(*v),
            StackCall::Pop => None,
        }
    }

    fn took(reply: &StackReply) -> Option<ValueId> {
        match reply {
            StackReply::Took(v) => Some(*v),
            StackReply::Done | StackReply::Empty => None,
        }
    }

    fn next(state: &Vec<ValueId>) -> Option<ValueId> {
        state.last().copied()
    }

    const PUT: &'static str = "push";
    const TAKE: &'static str = "pop";
    const PAST: &'static str = "pushed";
    const FUTURE: &'static str = "future pop";
}

impl Decide for Stack {
    fn decide(&self, ops: &[Timed<Stack>]) -> Option<Decision<Stack>> {
        collections::decide(self, ops, order)
    }

    fn needed(&self, ops: &[Timed<Stack>]) -> Vec<usize> {
        collections::needed(ops)
    }

    fn screen(&self, ops: &[Timed<Stack>]) -> Option<Refuted<Stack>> {
        collections::overdrawn(ops)
    }
}

fn order(stays: &Stays) -> Result<Vec<usize>, Vec<usize>> {
    let empties = stays.place_nothings()?;
    let peeled = peel::peel(&stays.all, stays.end, &empties);
    match peeled.stuck.is_empty() {
        true => Ok(witness(stays, &empties, &peeled)),
        false => {
            let core = peel::smallest(&stays.all, stays.end, peeled.stuck);
            Err(core.iter().flat_map(|k| stays.all[*k as usize].ops()).collect())
        }
    }
}

/// An op with its place: the instant and what comes first in it (high bits), then ties.
struct Placed(u64, u32, usize);

fn key(at: u32, phase: u64, then: u32) -> u64 {
    ((at as u64) << 34) + (phase << 32) + then as u64
}

/// At one instant: pops, the latest pushed first; empty replies; elements pushed and popped at once; pushes, the
/// latest popped first. Where that leaves two elements alike, the one peeled first is below the other.
fn witness(stays: &Stays, empties: &[u32], peeled: &Peeled) -> Vec<usize> {
    const POPS: u64 = 0;
    const NOTHING: u64 = 1;
    const AT_ONCE: u64 = 2;
    const PUSHES: u64 = 3;
    let mut placed: Vec<Placed> = Vec::with_capacity(2 * stays.all.len() + empties.len());
    for (Nothing { op, .. }, at) in stays.nothings.iter().zip(empties) {
        placed.push(Placed(key(*at, NOTHING, 0), 0, *op as usize));
    }
    for (k, s) in stays.all.iter().enumerate() {
        let ((push, pop), turn) = (peeled.at[k], peeled.turn[k]);
        let [put, take] = match push < pop {
            true => [(key(push, PUSHES, !pop), turn), (key(pop, POPS, !push), !turn)],
            false => [(key(pop, AT_ONCE, k as u32), 0), (key(pop, AT_ONCE, k as u32), 1)],
        };
        placed.push(Placed(put.0, put.1, s.put as usize));
        if s.take != NONE {
            placed.push(Placed(take.0, take.1, s.take as usize));
        }
    }
    placed.sort_unstable_by_key(|p| (p.0, p.1));
    placed.into_iter().map(|p| p.2).collect()
}

impl Inverted for Stack {
    fn inversion(&self, told: &Told<'_, Stack>) -> Option<Vec<String>> {
        told.last_in_first_out()
    }
}

impl Bind for Stack {
    const NOUN: &'static str = "stack";

    fn take(&self, op: &Op<'_>, _: &History) -> Result<Option<Taken<Self>>, String> {
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        Ok(Some(match op.f() {
            "push" => (StackCall::Push(op.arg()), done_or(op, StackReply::Done)),
            "pop" => {
                let reply = match op.reply() {
                    ReplyId::Read(v) if !v.is_null() => Some(StackReply::Took(v)),
                    ReplyId::Absent => None,
                    _ => Some(StackReply::Empty),
                };
                (StackCall::Pop, reply)
            }
            _ => return unknown(op, Self::NOUN),
        }))
    }

    fn claim(&self, ops: &[Timed<Self>], bad: usize, story: &Story<'_>) -> Option<Claim<Self>> {
        collection_tales::from_nowhere(ops, bad, story)
    }

    fn tell(
        &self,
        ops: &[Timed<Self>],
        core: &[usize],
        story: &Story<'_>,
    ) -> Option<(&'static str, Vec<String>)> {
        collection_tales::tell(self, ops, core, story)
    }

    fn show(&self, state: &Vec<ValueId>, history: &History) -> String {
        show_all(state, history)
    }

    fn refusal(&self, state: &Vec<ValueId>, op: &Timed<Self>, history: &History) -> String {
        let top =
            state.last().map_or("the stack is empty".into(), |v| format!("the top is {}", history.value(*v)));
        match op.reply {
            Some(StackReply::Took(v)) => format!("needs {}, {top}", history.value(v)),
            Some(StackReply::Empty) => format!("needs an empty stack, {top}"),
            _ => "does not fit".into(),
        }
    }

    fn makes(&self, op: &Timed<Self>) -> Option<ValueId> {
        Self::put(&op.call)
    }

    fn sees(&self, op: &Timed<Self>) -> Option<ValueId> {
        op.reply.as_ref().and_then(Self::took)
    }
}
