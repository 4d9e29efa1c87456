//! Random runs of the objects beyond registers, queues, stacks and lists: clients that ask, an atomic object that answers
//! or refuses, and falsifications. As ops only; not here: how they are recorded (`atomic.rs` records its own).

use checkers::linearizable::fenced::{FencedLock, FencedReply};
use checkers::linearizable::max_register::{MaxCall, MaxRegister, MaxReply};
use checkers::linearizable::multi_register::{Micro, MultiRegister};
use checkers::linearizable::objects::*;
use checkers::linearizable::priority_queue::{PriorityQueue, PriorityQueueCall, PriorityQueueReply};
use checkers::linearizable::reentrant::ReentrantLock;
use checkers::linearizable::semaphore::{Semaphore, SemaphoreCall};
use checkers::linearizable::spec::{OPEN, Spec, Timed};
use checkers::linearizable::text_kv::{Text, TextCall, TextReply};
use checkers::linearizable::unique_ids::{Generate, UniqueIds};
use checkers::linearizable::versioned::{EntryCall, EntryReply, VersionedKv};
use history::Value;
use history::rng::Rng;

use super::v;

pub type Answers<S> = fn(&<S as Spec>::State, &<S as Spec>::Call, &mut Rng) -> Option<<S as Spec>::Reply>;

/// What a random client asks next, what an atomic object answers (`None`: it refuses, so the call failed), and how
/// an answer is falsified.
pub struct World<S: Spec> {
    pub spec: S,
    pub ask: fn(&mut Rng, u32, u32) -> S::Call,
    pub answer: Answers<S>,
    pub lie: fn(&mut Rng, &mut Timed<S>),
}

/// An op under way: its index, whose it is, whether it took effect, whether it will be answered.
struct Open {
    op: usize,
    effect: bool,
    info: bool,
}

/// A run of an atomic object by clients that retire after a call without an answer; then some falsifications: a
/// reply changed, two calls' replies swapped, an interval recorded too narrow, an op left out of the record.
pub fn random<S: Spec>(world: &World<S>, rng: &mut Rng, n: usize, info: u64, lies: u32) -> Vec<Timed<S>> {
    let clients = rng.range(2, 5) as usize;
    let mut names: Vec<u32> = (0..clients as u32).collect();
    let mut open: Vec<Option<Open>> = (0..clients).map(|_| None).collect();
    let (mut ops, mut state, mut pos): (Vec<Timed<S>>, _, _) = (Vec::new(), world.spec.init(), 0);
    let mut refused: Vec<usize> = Vec::new();
    while ops.len() - refused.len() < n || open.iter().any(Option::is_some) {
        let client = rng.below(clients as u64) as usize;
        pos += 4;
        match open[client].take() {
            None if ops.len() - refused.len() < n => {
                let call = (world.ask)(rng, names[client], ops.len() as u32);
                ops.push(Timed { call, reply: None, inv: pos, res: OPEN });
                let info = rng.below(100) < info;
                open[client] = Some(Open { op: ops.len() - 1, effect: false, info });
            }
            None => {}
            Some(o) if !(o.effect || o.info && rng.chance(0.3)) => {
                match (world.answer)(&state, &ops[o.op].call, rng) {
                    Some(reply) => {
                        state = world
                            .spec
                            .step(&state, &ops[o.op].call, Some(&reply))
                            .expect("its own answer fits");
                        if !o.info {
                            ops[o.op].reply = Some(reply);
                        }
                        open[client] = Some(Open { effect: true, ..o });
                    }
                    None => refused.push(o.op),
                }
            }
            Some(o) if o.info => names[client] += 100,
            Some(o) => ops[o.op].res = pos,
        }
    }
    refused.sort_unstable();
    refused.into_iter().rev().for_each(|i| {
        ops.remove(i);
    });
    for _ in 0..lies {
        falsify(world, rng, &mut ops);
    }
    ops
}

pub fn falsify<S: Spec>(world: &World<S>, rng: &mut Rng, ops: &mut Vec<Timed<S>>) {
    // Not every op can be falsified in every way: a few tries.
    for _ in 0..6 {
        let answered: Vec<usize> = (0..ops.len()).filter(|i| ops[*i].is_ok()).collect();
        let (Some(a), Some(b)) = (rng.pick(&answered).copied(), rng.pick(&answered).copied()) else { return };
        let (call, reply) = (ops[a].call.clone(), ops[a].reply.clone());
        match rng.below(8) {
            0 if ops[b].call == call => ops[a].reply = std::mem::replace(&mut ops[b].reply, reply.clone()),
            1 | 2 => {
                // Positions are multiples of four, so these are nobody else's.
                let (inv, res) = (ops[a].inv, ops[a].res);
                let at = inv + 4 * rng.below(((res - inv) / 4) as u64) as u32;
                (ops[a].inv, ops[a].res) = (at + 1, at + 2);
                return;
            }
            3 => {
                ops.remove(a);
                return;
            }
            _ => (world.lie)(rng, &mut ops[a]),
        }
        if ops[a].call != call || ops[a].reply != reply {
            return;
        }
    }
}

pub fn element() -> World<Element> {
    World {
        spec: Element,
        ask: |rng, _, _| [ElementCall::Add, ElementCall::Remove, ElementCall::Has][rng.below(3) as usize],
        answer: |s, _, _| Some(ElementReply::Was(*s)),
        lie: |_, op| {
            if let Some(ElementReply::Was(was)) = op.reply {
                op.reply = Some(ElementReply::Was(!was));
            }
        },
    }
}

pub fn increments() -> World<Counter> {
    World {
        spec: Counter,
        ask: |rng, _, _| if rng.chance(0.5) { CounterCall::Add(1) } else { CounterCall::Read },
        answer: |s, call, _| {
            Some(if *call == CounterCall::Read { CounterReply::Sum(*s) } else { CounterReply::Done })
        },
        lie: |rng, op| {
            if let Some(CounterReply::Sum(x)) = op.reply {
                op.reply = Some(CounterReply::Sum(x + [-2, -1, 1, 2][rng.below(4) as usize]));
            }
        },
    }
}

pub fn max_register() -> World<MaxRegister> {
    World {
        spec: MaxRegister,
        ask: |rng, _, _| match rng.chance(0.5) {
            true => MaxCall::Write(rng.below(6) as i64),
            false => MaxCall::Read,
        },
        answer: |s, call, _| {
            Some(if *call == MaxCall::Read { MaxReply::Largest(*s) } else { MaxReply::Done })
        },
        lie: |rng, op| {
            if let Some(MaxReply::Largest(_)) = op.reply {
                let x = rng.below(7) as i64;
                op.reply = Some(MaxReply::Largest((x < 6).then_some(x)));
            }
        },
    }
}

pub fn lock_call(rng: &mut Rng, me: u32, _: u32) -> MutexCall {
    if rng.chance(0.5) { MutexCall::Acquire(me) } else { MutexCall::Release(me) }
}

pub fn mutex() -> World<Mutex> {
    World {
        spec: Mutex,
        ask: lock_call,
        answer: |s, call, _| Mutex.step(s, call, None).map(|_| ()),
        lie: |rng, op| {
            op.call = lock_call(rng, rng.clone().below(2) as u32, 0);
        },
    }
}

const TWICE: ReentrantLock = ReentrantLock { most: Some(2) };

pub fn reentrant() -> World<ReentrantLock> {
    World {
        spec: TWICE,
        ask: |rng, me, n| if rng.chance(0.2) { MutexCall::Acquire(me) } else { lock_call(rng, me, n) },
        answer: |s, call, _| TWICE.step(s, call, None).map(|_| ()),
        lie: |_, op| {
            op.call = match op.call {
                MutexCall::Acquire(me) => MutexCall::Release(me),
                MutexCall::Release(me) => MutexCall::Acquire(me),
            }
        },
    }
}

pub fn fenced() -> World<FencedLock> {
    World {
        spec: FencedLock,
        ask: lock_call,
        answer: |s, call, rng| {
            FencedLock.step(s, call, None)?;
            Some(match call {
                MutexCall::Acquire(_) if rng.chance(0.9) => {
                    FencedReply::Token(s.1.max(0) + 1 + rng.below(3) as i64)
                }
                _ => FencedReply::Done,
            })
        },
        lie: |rng, op| match op.reply {
            Some(FencedReply::Token(_)) => op.reply = Some(FencedReply::Token(rng.below(5) as i64)),
            _ => op.call = lock_call(rng, rng.clone().below(2) as u32, 0),
        },
    }
}

pub fn unique_ids() -> World<UniqueIds> {
    World {
        spec: UniqueIds,
        ask: |_, _, _| Generate,
        answer: |s, _, rng| loop {
            let id = v(1 + s.len() as u32 + rng.below(2) as u32);
            if !s.contains(&id) {
                return Some(id);
            }
        },
        lie: |rng, op| op.reply = Some(v(1 + rng.below(4) as u32)),
    }
}

pub fn texts() -> World<Text> {
    fn part(n: u32) -> std::sync::Arc<str> {
        char::from(b'a' + n as u8).to_string().into()
    }
    World {
        spec: Text,
        ask: |rng, _, n| match rng.below(10) {
            0 => TextCall::Put(part(n.saturating_sub(rng.below(2) as u32))),
            1..5 => TextCall::Append(part(n)),
            _ => TextCall::Get,
        },
        answer: |s, call, _| {
            Some(if *call == TextCall::Get { TextReply::Is(s.clone()) } else { TextReply::Done })
        },
        lie: |rng, op| {
            if let Some(TextReply::Is(text)) = &op.reply {
                let mut chars: Vec<char> = text.chars().collect();
                match rng.below(3) {
                    0 => chars.push(char::from(b'a' + rng.below(8) as u8)),
                    1 => drop(chars.pop()),
                    _ if chars.len() > 1 => chars.swap(0, 1),
                    _ => {}
                }
                op.reply = Some(TextReply::Is(chars.into_iter().collect::<String>().into()));
            }
        },
    }
}

pub fn semaphore() -> World<Semaphore> {
    World {
        spec: Semaphore { permits: 2 },
        ask: |rng, _, _| if rng.chance(0.6) { SemaphoreCall::Acquire } else { SemaphoreCall::Release },
        answer: |s, call, _| Semaphore { permits: 2 }.step(s, call, None).map(|_| ()),
        lie: |_, op| {
            op.call = match op.call {
                SemaphoreCall::Acquire => SemaphoreCall::Release,
                SemaphoreCall::Release => SemaphoreCall::Acquire,
            }
        },
    }
}

pub fn multi_register() -> World<MultiRegister> {
    World {
        spec: MultiRegister::bare(),
        ask: |rng, _, _| {
            let mut step = || match rng.chance(0.5) {
                true => Micro::Read(rng.below(2) as u32),
                false => Micro::Write(rng.below(2) as u32, 1 + rng.below(3) as u32),
            };
            vec![step(), step()]
        },
        answer: |s, call, _| {
            let mut at: std::collections::BTreeMap<u32, u32> = s.iter().copied().collect();
            let mut seen = Vec::new();
            for step in call {
                match *step {
                    Micro::Read(k) => seen.push(at.get(&k).copied().unwrap_or(0)),
                    Micro::Write(k, x) => drop(at.insert(k, x)),
                }
            }
            Some(seen)
        },
        lie: |rng, op| {
            if let Some(x) = op.reply.as_mut().and_then(|r| r.first_mut()) {
                *x = rng.below(4) as u32;
            }
        },
    }
}

pub fn versioned() -> World<VersionedKv> {
    World {
        spec: VersionedKv,
        ask: |rng, _, n| match rng.below(6) {
            0 | 1 => EntryCall::Put(Value::Int(n as i64)),
            2 => EntryCall::Put(Value::Null),
            3 => EntryCall::PutIf(rng.below(4) as i64, Value::Int(n as i64)),
            _ => EntryCall::Read,
        },
        answer: |s, call, rng| {
            use checkers::linearizable::versioned::Revision;
            let entry = &s[0];
            let (Revision::Is(last) | Revision::Within(last, _)) = entry.revision;
            let is = if entry.value == Value::Null { 0 } else { last };
            Some(match call {
                EntryCall::Read => EntryReply::Found(entry.value.clone(), is),
                EntryCall::Put(Value::Null) => EntryReply::Done,
                EntryCall::PutIf(r, _) if *r != is => EntryReply::Refused,
                _ => EntryReply::At(last + 1 + rng.below(2) as i64),
            })
        },
        lie: |rng, op| {
            if let Some(EntryReply::Found(_, r) | EntryReply::At(r)) = &mut op.reply {
                *r = 1 + rng.below(4) as i64;
            }
        },
    }
}

/// Any amount of either sign.
pub fn amounts() -> World<Counter> {
    World {
        ask: |rng, _, _| match rng.below(2) {
            0 => CounterCall::Read,
            _ => CounterCall::Add([-3, -1, 1, 2, 5][rng.below(5) as usize]),
        },
        ..increments()
    }
}

/// Priorities that are equal now and then.
pub fn priority_queue() -> World<PriorityQueue> {
    World {
        spec: PriorityQueue,
        ask: |rng, _, n| match rng.below(2) {
            0 => PriorityQueueCall::Poll,
            _ => PriorityQueueCall::Add((n as i64 * 7 + rng.below(2) as i64) % 11),
        },
        answer: |s, call, _| {
            let top = || {
                s.last_key_value().map_or(PriorityQueueReply::Empty, |(v, _)| PriorityQueueReply::Took(*v))
            };
            Some(if *call == PriorityQueueCall::Poll { top() } else { PriorityQueueReply::Done })
        },
        lie: |rng, op| {
            if let Some(PriorityQueueReply::Took(_) | PriorityQueueReply::Empty) = op.reply {
                let v = rng.below(12) as i64;
                op.reply = Some(if v < 11 { PriorityQueueReply::Took(v) } else { PriorityQueueReply::Empty });
            }
        },
    }
}

/// A set that is only added to and read whole.
pub fn whole_set() -> World<WholeSet> {
    World {
        spec: WholeSet,
        ask: |rng, _, n| match rng.below(2) {
            0 => SetCall::Read,
            _ => SetCall::Add(v(1 + n)),
        },
        answer: |s, call, _| {
            Some(if *call == SetCall::Read { SetReply::Members(s.clone()) } else { SetReply::Done })
        },
        lie: |rng, op| {
            if let Some(SetReply::Members(all)) = &mut op.reply {
                match rng.below(3) {
                    0 => drop(all.pop()),
                    1 => all.extend([v(1 + rng.below(12) as u32)]),
                    _ if !all.is_empty() => drop(all.remove(0)),
                    _ => {}
                }
                all.sort_unstable();
            }
        },
    }
}

/// A list whose reads are falsified inside.
pub fn list() -> World<List> {
    World {
        spec: List,
        ask: |rng, _, n| match rng.below(2) {
            0 => ListCall::Read,
            _ => ListCall::Append(v(1 + n)),
        },
        answer: |s, call, _| {
            Some(if *call == ListCall::Read { ListReply::Elements(s.clone()) } else { ListReply::Done })
        },
        lie: |rng, op| {
            if let Some(ListReply::Elements(all)) = &mut op.reply {
                match rng.below(4) {
                    0 => drop(all.pop()),
                    1 => all.push(v(1 + rng.below(12) as u32)),
                    _ if all.len() < 2 => {}
                    2 => drop(all.remove(0)),
                    _ => {
                        let at = rng.below(all.len() as u64 - 1) as usize;
                        all.swap(at, at + 1);
                    }
                }
            }
        },
    }
}
