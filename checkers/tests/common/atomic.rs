//! Random runs of the objects that come with the program, honest and with lies, as ops and as recorded histories.

use checkers::linearizable::Object;
use checkers::linearizable::engine::Decide;
use checkers::linearizable::objects::*;
use checkers::linearizable::spec::{OPEN, Spec, Timed};
use checkers::linearizable::stack::{Stack, StackCall, StackReply};
use history::rng::Rng;
use history::{Builder, Call, Event, History, Outcome, Process, Reply, Value, ValueId};
use std::mem::discriminant;

use super::v;

/// A call and what it returns.
pub type Answered<S> = (<S as Spec>::Call, <S as Spec>::Reply);

/// An object, what clients ask of it, and how both are written down.
pub struct World<S: Spec> {
    pub name: &'static str,
    pub object: Object,
    pub spec: S,
    /// A call in this state; the number is the value to write, if it writes one.
    pub ask: fn(&mut Rng, &S::State, u32) -> S::Call,
    pub answer: fn(&S::State, &S::Call) -> S::Reply,
    pub call: fn(Value, &S::Call) -> Call,
    pub reply: fn(&S::Reply) -> Reply,
    /// The op with each value under another name; what is no name stays.
    pub rename: fn(&mut Timed<S>, &dyn Fn(ValueId) -> ValueId),
    /// Calls that together show the whole state, with what they return.
    pub looks: fn(&S::State) -> Vec<Answered<S>>,
    /// A call and an answer that no run can have.
    pub never: Answered<S>,
}

fn value(v: ValueId) -> Value {
    if v.is_null() { Value::Null } else { Value::Int(v.0 as i64) }
}

fn values(all: &[ValueId]) -> Value {
    Value::List(all.iter().map(|v| value(*v)).collect())
}

fn other(f: &str, key: Value, value: Value) -> Call {
    Call::Other { f: f.into(), key, value }
}

fn register_world(name: &'static str, object: Object) -> World<Register> {
    use RegisterCall::*;
    World {
        name,
        object,
        spec: Register::default(),
        ask: |rng, _, n| if rng.chance(0.5) { Read } else { Write(v(n)) },
        answer: |s, call| match call {
            Read => RegisterReply::Value(*s),
            Cas(old, _) if old != s => RegisterReply::Mismatch,
            _ => RegisterReply::Done,
        },
        call: |key, call| match call {
            Read => Call::Read(key),
            Write(v) => Call::Write(key, value(*v)),
            Cas(old, new) => Call::Cas(key, value(*old), value(*new)),
        },
        reply: |reply| match reply {
            RegisterReply::Done => Reply::Done,
            RegisterReply::Value(v) => Reply::Read(value(*v)),
            RegisterReply::Mismatch => Reply::Mismatch,
        },
        rename: |op, name| {
            op.call = match op.call {
                Read => Read,
                Write(v) => Write(name(v)),
                Cas(old, new) => Cas(name(old), name(new)),
            };
            if let Some(RegisterReply::Value(v)) = op.reply {
                op.reply = Some(RegisterReply::Value(name(v)));
            }
        },
        looks: |s| vec![(Read, RegisterReply::Value(*s))],
        never: (Read, RegisterReply::Value(v(999))),
    }
}

pub fn register() -> World<Register> {
    register_world("register", Object::Register)
}

pub fn cas_register() -> World<Register> {
    use RegisterCall::*;
    let ask = |rng: &mut Rng, s: &ValueId, n| match rng.below(4) {
        0 => Read,
        1 => Write(v(n)),
        2 => Cas(*s, v(n)),
        _ => Cas(v(rng.below(3) as u32), v(n)),
    };
    World { ask, ..register_world("cas-register", Object::CasRegister) }
}

pub fn queue() -> World<Queue> {
    World {
        name: "queue",
        object: Object::Queue,
        spec: Queue,
        ask: |rng, _, n| if rng.chance(0.5) { QueueCall::Enqueue(v(n)) } else { QueueCall::Dequeue },
        answer: |s, call| match call {
            QueueCall::Enqueue(_) => QueueReply::Done,
            QueueCall::Dequeue => s.front().map_or(QueueReply::Empty, |v| QueueReply::Took(*v)),
        },
        call: |key, call| match call {
            QueueCall::Enqueue(v) => Call::Enqueue(key, value(*v)),
            QueueCall::Dequeue => Call::Dequeue(key),
        },
        reply: |reply| match reply {
            QueueReply::Done => Reply::Done,
            QueueReply::Took(v) => Reply::Read(value(*v)),
            QueueReply::Empty => Reply::Read(Value::Null),
        },
        rename: |op, name| {
            if let QueueCall::Enqueue(v) = op.call {
                op.call = QueueCall::Enqueue(name(v));
            }
            if let Some(QueueReply::Took(v)) = op.reply {
                op.reply = Some(QueueReply::Took(name(v)));
            }
        },
        looks: |s| {
            let all = s.iter().map(|v| QueueReply::Took(*v)).chain([QueueReply::Empty]);
            all.map(|r| (QueueCall::Dequeue, r)).collect()
        },
        never: (QueueCall::Dequeue, QueueReply::Took(v(999))),
    }
}

pub fn stack() -> World<Stack> {
    World {
        name: "stack",
        object: Object::Stack,
        spec: Stack,
        ask: |rng, _, n| if rng.chance(0.5) { StackCall::Push(v(n)) } else { StackCall::Pop },
        answer: |s, call| match call {
            StackCall::Push(_) => StackReply::Done,
            StackCall::Pop => s.last().map_or(StackReply::Empty, |v| StackReply::Took(*v)),
        },
        call: |key, call| match call {
            StackCall::Push(v) => other("push", key, value(*v)),
            StackCall::Pop => other("pop", key, Value::Null),
        },
        reply: |reply| match reply {
            StackReply::Done => Reply::Done,
            StackReply::Took(v) => Reply::Read(value(*v)),
            StackReply::Empty => Reply::Read(Value::Null),
        },
        rename: |op, name| {
            if let StackCall::Push(v) = op.call {
                op.call = StackCall::Push(name(v));
            }
            if let Some(StackReply::Took(v)) = op.reply {
                op.reply = Some(StackReply::Took(name(v)));
            }
        },
        looks: |s| {
            let all = s.iter().rev().map(|v| StackReply::Took(*v)).chain([StackReply::Empty]);
            all.map(|r| (StackCall::Pop, r)).collect()
        },
        never: (StackCall::Pop, StackReply::Took(v(999))),
    }
}

pub fn element() -> World<Element> {
    World {
        name: "set element",
        object: Object::Set,
        spec: Element,
        ask: |rng, _, _| [ElementCall::Add, ElementCall::Remove, ElementCall::Has][rng.below(3) as usize],
        answer: |s, _| ElementReply::Was(*s),
        call: |key, call| match call {
            ElementCall::Add => Call::Add(key, Value::Int(1)),
            ElementCall::Remove => Call::Remove(key, Value::Int(1)),
            ElementCall::Has => other("contains", key, Value::Int(1)),
        },
        reply: |reply| match reply {
            ElementReply::Done => Reply::Done,
            ElementReply::Was(was) => Reply::Read(Value::Bool(*was)),
        },
        rename: |_, _| {},
        looks: |s| vec![(ElementCall::Has, ElementReply::Was(*s))],
        // Never possible: whoever looks gets an answer.
        never: (ElementCall::Has, ElementReply::Done),
    }
}

pub fn counter() -> World<Counter> {
    World {
        name: "counter",
        object: Object::Counter,
        spec: Counter,
        ask: |rng, _, n| match rng.below(3) {
            0 => CounterCall::Add([1, 1, 1, 2, -1][n as usize % 5]),
            1 => CounterCall::Add(1),
            _ => CounterCall::Read,
        },
        answer: |s, call| match call {
            CounterCall::Add(_) => CounterReply::Done,
            CounterCall::Read => CounterReply::Sum(*s),
        },
        call: |key, call| match call {
            CounterCall::Add(x) => Call::Add(key, Value::Int(*x)),
            CounterCall::Read => Call::Read(key),
        },
        reply: |reply| match reply {
            CounterReply::Done => Reply::Done,
            CounterReply::Sum(x) => Reply::Read(Value::Int(*x)),
        },
        rename: |_, _| {},
        looks: |s| vec![(CounterCall::Read, CounterReply::Sum(*s))],
        never: (CounterCall::Read, CounterReply::Sum(999)),
    }
}

pub fn list() -> World<List> {
    World {
        name: "list",
        object: Object::List,
        spec: List,
        ask: |rng, _, n| if rng.chance(0.5) { ListCall::Append(v(n)) } else { ListCall::Read },
        answer: |s, call| match call {
            ListCall::Append(_) => ListReply::Done,
            ListCall::Read => ListReply::Elements(s.clone()),
        },
        call: |key, call| match call {
            ListCall::Append(v) => Call::Append(key, value(*v)),
            ListCall::Read => Call::Read(key),
        },
        reply: |reply| match reply {
            ListReply::Done => Reply::Done,
            ListReply::Elements(all) => Reply::Read(values(all)),
        },
        rename: |op, name| {
            if let ListCall::Append(v) = op.call {
                op.call = ListCall::Append(name(v));
            }
            if let Some(ListReply::Elements(all)) = &mut op.reply {
                all.iter_mut().for_each(|v| *v = name(*v));
            }
        },
        looks: |s| vec![(ListCall::Read, ListReply::Elements(s.clone()))],
        never: (ListCall::Read, ListReply::Elements(vec![v(999)])),
    }
}

/// What a random run looks like.
#[derive(Clone, Copy)]
pub struct Shape {
    pub ops: usize,
    pub clients: usize,
    /// 0: each value is written once.
    pub values: u32,
    /// Of a hundred ops, how many are never answered.
    pub info: u64,
    pub lies: usize,
}

impl Shape {
    /// A quarter of them honest, half of them with values of their own, a third without unanswered calls.
    pub fn any(rng: &mut Rng, low: u64, high: u64) -> Shape {
        Shape {
            ops: rng.range(low, high) as usize,
            clients: rng.range(2, 6) as usize,
            values: [0, 0, 2, 3][rng.below(4) as usize],
            info: [0, 15, 40][rng.below(3) as usize],
            lies: [0, 2, 4, 6][rng.below(4) as usize],
        }
    }
}

/// A run of an atomic object, each op taking effect somewhere inside its interval; then some lies. Positions are
/// multiples of four.
pub fn run<S: Decide>(world: &World<S>, rng: &mut Rng, shape: Shape) -> Vec<Timed<S>> {
    run_from(world, rng, shape, &mut world.spec.init(), 0)
}

/// The same from a state, which becomes the last one, with values above `fresh`.
pub fn run_from<S: Decide>(
    world: &World<S>,
    rng: &mut Rng,
    shape: Shape,
    state: &mut S::State,
    mut fresh: u32,
) -> Vec<Timed<S>> {
    let mut ops: Vec<Timed<S>> = Vec::new();
    // Of each client: its op, whether that took effect, whether it will be answered, and the answer.
    let mut open: Vec<Option<(usize, bool, bool)>> = vec![None; shape.clients];
    let mut said: Vec<Option<S::Reply>> = Vec::new();
    let mut pos = 0;
    while ops.len() < shape.ops || open.iter().any(Option::is_some) {
        let client = rng.below(shape.clients as u64) as usize;
        pos += 4;
        match open[client].take() {
            None if ops.len() < shape.ops => {
                fresh += 1;
                let value = if shape.values == 0 { fresh } else { 1 + rng.below(shape.values as u64) as u32 };
                let call = (world.ask)(rng, state, value);
                open[client] = Some((ops.len(), false, rng.below(100) < shape.info));
                ops.push(Timed { call, reply: None, inv: pos, res: OPEN });
                said.push(None);
            }
            None => {}
            Some((i, false, info)) if !(info && rng.chance(0.3)) => {
                let reply = (world.answer)(state, &ops[i].call);
                *state = world.spec.step(state, &ops[i].call, Some(&reply)).expect("its own answer fits");
                said[i] = Some(reply);
                open[client] = Some((i, true, info));
            }
            Some((i, _, false)) => {
                ops[i].res = pos;
                ops[i].reply = said[i].clone();
            }
            Some(_) => {}
        }
    }
    (0..shape.lies).for_each(|_| lie(rng, &mut ops));
    ops
}

/// Two answers to calls of one kind change places, or an interval is recorded too narrow. A few tries.
pub fn lie<S: Spec>(rng: &mut Rng, ops: &mut [Timed<S>]) {
    let answered: Vec<usize> = (0..ops.len()).filter(|i| ops[*i].is_ok()).collect();
    for _ in 0..12 {
        let (Some(a), Some(b)) = (rng.pick(&answered).copied(), rng.pick(&answered).copied()) else { return };
        let (inv, res) = (ops[a].inv, ops[a].res);
        if rng.chance(0.3) && res - inv >= 8 {
            let at = inv + 4 * rng.below(((res - inv) / 4) as u64) as u32;
            // Between two recorded positions, so nobody else's.
            (ops[a].inv, ops[a].res) = (at + 1, at + 2);
            return;
        }
        if discriminant(&ops[a].call) == discriminant(&ops[b].call) && ops[a].reply != ops[b].reply {
            let reply = ops[b].reply.clone();
            ops[b].reply = std::mem::replace(&mut ops[a].reply, reply);
            return;
        }
    }
}

/// The beginning (false) or end (true) of an op of a part.
pub type Edge = (usize, usize, bool);

/// The edges of one part in order.
pub fn edges<S: Spec>(part: usize, ops: &[Timed<S>]) -> Vec<Edge> {
    let mut all: Vec<(u32, bool, usize)> = Vec::new();
    for (i, op) in ops.iter().enumerate() {
        all.push((op.inv, false, i));
        if op.is_ok() {
            all.push((op.res, true, i));
        }
    }
    all.sort_unstable();
    all.into_iter().map(|(_, ends, i)| (part, i, ends)).collect()
}

/// Lists run into each other, each in its own order.
pub fn interleave(rng: &mut Rng, lists: &[Vec<Edge>]) -> Vec<Edge> {
    let mut at = vec![0; lists.len()];
    let mut all = Vec::new();
    loop {
        let left: Vec<usize> = (0..lists.len()).filter(|k| at[*k] < lists[*k].len()).collect();
        let Some(k) = rng.pick(&left).copied() else { return all };
        all.push(lists[k][at[k]]);
        at[k] += 1;
    }
}

/// As recorded: `order` says when what began and ended, `process` who asked.
pub fn record<S: Spec>(
    world: &World<S>,
    parts: &[(Value, Vec<Timed<S>>)],
    order: &[Edge],
    process: impl Fn(usize, usize) -> u32,
) -> History {
    let mut builder = Builder::new();
    for (n, (part, i, ends)) in order.iter().copied().enumerate() {
        let (key, ops) = &parts[part];
        let (time, process, call) =
            (n as u64 + 1, Process(process(part, i)), (world.call)(key.clone(), &ops[i].call));
        let event = match (&ops[i].reply, ends) {
            (Some(reply), true) => {
                let outcome = Outcome::Ok((world.reply)(reply));
                Event::Complete { time, process, call, outcome, server: None }
            }
            _ => Event::Invoke { time, process, node: None, call, last: false },
        };
        builder.push(&event, time).expect("a well-formed history");
    }
    builder.finish()
}
