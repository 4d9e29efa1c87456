//! The sequential objects that come with the program.
//!
//! Values are the four-byte ids of a history; counters use plain integers. How recorded ops become these calls is
//! in `bind.rs`.

use super::spec::{Spec, Timed};
use history::ValueId;
use std::collections::VecDeque;

/// Read, write, compare-and-set. Holds `init` (nil) until written.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    pub init: ValueId,
}

impl Default for Register {
    fn default() -> Self {
        Register { init: ValueId::NULL }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterCall {
    Read,
    Write(ValueId),
    Cas(ValueId, ValueId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterReply {
    Done,
    Value(ValueId),
    Mismatch,
}

impl Spec for Register {
    type Call = RegisterCall;
    type Reply = RegisterReply;
    type State = ValueId;

    fn init(&self) -> ValueId {
        self.init
    }

    fn step(&self, s: &ValueId, call: &RegisterCall, reply: Option<&RegisterReply>) -> Option<ValueId> {
        let (next, said) = match call {
            RegisterCall::Read => (*s, RegisterReply::Value(*s)),
            RegisterCall::Write(v) => (*v, RegisterReply::Done),
            RegisterCall::Cas(old, new) if old == s => (*new, RegisterReply::Done),
            RegisterCall::Cas(..) => (*s, RegisterReply::Mismatch),
        };
        reply.is_none_or(|r| *r == said).then_some(next)
    }

    fn pure(&self, call: &RegisterCall) -> bool {
        match call {
            RegisterCall::Read => true,
            RegisterCall::Write(_) => false,
            RegisterCall::Cas(old, new) => old == new,
        }
    }

    fn idle(&self, call: &RegisterCall, reply: &RegisterReply) -> bool {
        *reply == RegisterReply::Mismatch || self.pure(call)
    }

    fn seen_at_once(&self) -> bool {
        true
    }

    /// The lemma: a value is needed by a read of it, a cas from it, or a refusal that expected another one.
    fn wants(&self, by: &Timed<Self>, info: &RegisterCall) -> bool {
        let (RegisterCall::Write(v) | RegisterCall::Cas(_, v)) = info else { return false };
        match (&by.call, by.reply) {
            (RegisterCall::Read, Some(RegisterReply::Value(seen))) => seen == *v,
            (RegisterCall::Cas(old, _), Some(RegisterReply::Mismatch)) => old != v,
            (RegisterCall::Cas(old, _), _) => old == v,
            _ => false,
        }
    }
}

/// Adds amounts of either sign; reads return the sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterCall {
    Add(i64),
    Read,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterReply {
    Done,
    Sum(i64),
}

impl Spec for Counter {
    type Call = CounterCall;
    type Reply = CounterReply;
    type State = i64;

    fn init(&self) -> i64 {
        0
    }

    fn step(&self, s: &i64, call: &CounterCall, reply: Option<&CounterReply>) -> Option<i64> {
        let (next, said) = match call {
            CounterCall::Add(x) => (s.checked_add(*x)?, CounterReply::Done),
            CounterCall::Read => (*s, CounterReply::Sum(*s)),
        };
        reply.is_none_or(|r| *r == said).then_some(next)
    }

    fn pure(&self, call: &CounterCall) -> bool {
        matches!(call, CounterCall::Add(0) | CounterCall::Read)
    }
}

/// One element of a set: a flag. The whole set is a product of these as long as nobody reads it whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Element;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementCall {
    Add,
    Remove,
    Has,
}

/// `Done` where the service does not say whether anything changed; `Was(true)`: it was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementReply {
    Done,
    Was(bool),
}

impl Spec for Element {
    type Call = ElementCall;
    type Reply = ElementReply;
    type State = bool;

    fn init(&self) -> bool {
        false
    }

    fn step(&self, s: &bool, call: &ElementCall, reply: Option<&ElementReply>) -> Option<bool> {
        let next = match call {
            ElementCall::Add => true,
            ElementCall::Remove => false,
            ElementCall::Has => *s,
        };
        let fits = match reply {
            None => true,
            Some(ElementReply::Done) => *call != ElementCall::Has,
            Some(ElementReply::Was(was)) => was == s,
        };
        fits.then_some(next)
    }

    fn pure(&self, call: &ElementCall) -> bool {
        *call == ElementCall::Has
    }

    fn idle(&self, call: &ElementCall, reply: &ElementReply) -> bool {
        match call {
            ElementCall::Has => true,
            ElementCall::Add => *reply == ElementReply::Was(true),
            ElementCall::Remove => *reply == ElementReply::Was(false),
        }
    }

    fn wants(&self, by: &Timed<Self>, info: &ElementCall) -> bool {
        match (by.reply, info) {
            (Some(ElementReply::Was(was)), ElementCall::Add) => was,
            (Some(ElementReply::Was(was)), ElementCall::Remove) => !was,
            _ => false,
        }
    }
}

/// A set read whole: elements are added and removed, a read returns all of them (sorted ids).
#[derive(Clone, Copy, Debug, Default)]
pub struct WholeSet;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetCall {
    Add(ValueId),
    Remove(ValueId),
    Has(ValueId),
    Read,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetReply {
    Done,
    /// The element was inside before the call.
    Was(bool),
    Members(Vec<ValueId>),
}

impl Spec for WholeSet {
    type Call = SetCall;
    type Reply = SetReply;
    type State = Vec<ValueId>;

    fn init(&self) -> Vec<ValueId> {
        Vec::new()
    }

    fn weight(&self, s: &Vec<ValueId>) -> usize {
        size_of_val(s.as_slice())
    }

    fn step(&self, s: &Vec<ValueId>, call: &SetCall, reply: Option<&SetReply>) -> Option<Vec<ValueId>> {
        let mut next = s.clone();
        let was = match call {
            SetCall::Read => {
                return reply.is_none_or(|r| matches!(r, SetReply::Members(m) if m == s)).then_some(next);
            }
            SetCall::Has(e) => s.binary_search(e).is_ok(),
            SetCall::Add(e) => match s.binary_search(e) {
                Ok(_) => true,
                Err(at) => {
                    next.insert(at, *e);
                    false
                }
            },
            SetCall::Remove(e) => match s.binary_search(e) {
                Ok(at) => {
                    next.remove(at);
                    true
                }
                Err(_) => false,
            },
        };
        let fits = match reply {
            None => true,
            Some(SetReply::Done) => !matches!(call, SetCall::Has(_)),
            Some(SetReply::Was(said)) => *said == was,
            Some(SetReply::Members(_)) => false,
        };
        fits.then_some(next)
    }

    fn pure(&self, call: &SetCall) -> bool {
        matches!(call, SetCall::Read | SetCall::Has(_))
    }
}

/// An append-only list, read whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct List;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListCall {
    Append(ValueId),
    Read,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListReply {
    Done,
    Elements(Vec<ValueId>),
}

impl Spec for List {
    type Call = ListCall;
    type Reply = ListReply;
    type State = Vec<ValueId>;

    fn init(&self) -> Vec<ValueId> {
        Vec::new()
    }

    fn weight(&self, s: &Vec<ValueId>) -> usize {
        size_of_val(s.as_slice())
    }

    fn step(&self, s: &Vec<ValueId>, call: &ListCall, reply: Option<&ListReply>) -> Option<Vec<ValueId>> {
        match (call, reply) {
            (ListCall::Append(v), None | Some(ListReply::Done)) => {
                let mut next = s.clone();
                next.push(*v);
                Some(next)
            }
            (ListCall::Read, None) => Some(s.clone()),
            (ListCall::Read, Some(ListReply::Elements(seen))) => (seen == s).then(|| s.clone()),
            _ => None,
        }
    }

    fn pure(&self, call: &ListCall) -> bool {
        *call == ListCall::Read
    }

    fn wants(&self, by: &Timed<Self>, info: &ListCall) -> bool {
        match (&by.reply, info) {
            (Some(ListReply::Elements(seen)), ListCall::Append(v)) => seen.contains(v),
            _ => false,
        }
    }
}

/// First in, first out. A dequeue of an empty queue answers nil.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueCall {
    Enqueue(ValueId),
    Dequeue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueReply {
    Done,
    Took(ValueId),
    Empty,
}

impl Spec for Queue {
    type Call = QueueCall;
    type Reply = QueueReply;
    type State = VecDeque<ValueId>;

    fn init(&self) -> VecDeque<ValueId> {
        VecDeque::new()
    }

    fn weight(&self, s: &VecDeque<ValueId>) -> usize {
        size_of::<ValueId>() * s.len()
    }

    fn step(
        &self,
        s: &VecDeque<ValueId>,
        call: &QueueCall,
        reply: Option<&QueueReply>,
    ) -> Option<VecDeque<ValueId>> {
        let mut next = s.clone();
        self.apply(&mut next, call, reply).then_some(next)
    }

    fn apply(&self, s: &mut VecDeque<ValueId>, call: &QueueCall, reply: Option<&QueueReply>) -> bool {
        let said = match call {
            QueueCall::Enqueue(v) => {
                s.push_back(*v);
                QueueReply::Done
            }
            QueueCall::Dequeue => s.pop_front().map_or(QueueReply::Empty, QueueReply::Took),
        };
        reply.is_none_or(|r| *r == said)
    }

    fn idle(&self, _: &QueueCall, reply: &QueueReply) -> bool {
        *reply == QueueReply::Empty
    }

    /// An info enqueue of a value that nobody took may be forgotten; an info dequeue never.
    fn wants(&self, by: &Timed<Self>, info: &QueueCall) -> bool {
        match info {
            QueueCall::Enqueue(v) => by.reply == Some(QueueReply::Took(*v)),
            QueueCall::Dequeue => true,
        }
    }
}

/// A lock with an owner: the number of the process that holds it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutex;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MutexCall {
    Acquire(u32),
    Release(u32),
}

impl MutexCall {
    /// Who asks, and whether for the lock (else to be rid of it).
    pub fn turn(self) -> (u32, bool) {
        match self {
            MutexCall::Acquire(me) => (me, true),
            MutexCall::Release(me) => (me, false),
        }
    }

    /// Only the same process's release can need an acquire, and only another acquire can need a release.
    pub fn wants(self, info: MutexCall) -> bool {
        match (self, info) {
            (MutexCall::Release(me), MutexCall::Acquire(held)) => me == held,
            (MutexCall::Acquire(_), MutexCall::Release(_)) => true,
            _ => false,
        }
    }
}

impl Spec for Mutex {
    type Call = MutexCall;
    type Reply = ();
    type State = Option<u32>;

    fn init(&self) -> Option<u32> {
        None
    }

    fn step(&self, s: &Option<u32>, call: &MutexCall, _: Option<&()>) -> Option<Option<u32>> {
        match (call, s) {
            (MutexCall::Acquire(me), None) => Some(Some(*me)),
            (MutexCall::Release(me), Some(holder)) if me == holder => Some(None),
            _ => None,
        }
    }

    fn wants(&self, by: &Timed<Self>, info: &MutexCall) -> bool {
        by.call.wants(*info)
    }
}
