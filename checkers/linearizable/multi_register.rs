//! Several registers, read and written together in one call.
//!
//! | f | value | reply |
//! | --- | --- | --- |
//! | `txn` | `[[r k nil] [w k v] …]`, taking effect at one instant, in this order | the same with the values read |
//! | `read` | nil | the value of the register that the key names |
//! | `write` | a value | done |
//!
//! Knossos spells the micro-ops `read` and `write`. A read inside a call sees the writes before it in the same call.
//! Registers hold [`MultiRegister::init`] (nil) until written; `multi-register:0` starts them from 0. Registers that no
//! call ties together are judged apart. Decided by search. Not here: appends, and weaker models for transactions.

use super::bind::{Bind, Taken};
use super::engine::Decide;
use super::hash::Map;
use super::spec::{Spec, Timed};
use history::{Call, History, MicroOp, Op, OpId, Outcome, OutcomeKind, Reply, Value, ValueId};
use std::collections::BTreeMap;

/// The registers of one history. Keys and values are numbers into its table.
#[derive(Clone, Debug, Default)]
pub struct MultiRegister {
    init: u32,
    table: Vec<Value>,
    numbers: BTreeMap<Value, u32>,
    /// For each op the smallest register that is tied to its own.
    part: Map<u32, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Micro {
    Read(u32),
    Write(u32, u32),
}

/// What the reads of a call returned, in order.
pub type Seen = Vec<u32>;

impl MultiRegister {
    /// Registers that start from number 0: for ops that are made by hand.
    pub fn bare() -> MultiRegister {
        MultiRegister::default()
    }

    /// The registers of a history, and which of them calls tie together.
    pub fn of(history: &History, init: &Value) -> MultiRegister {
        let mut all = MultiRegister::default();
        all.init = all.number(init);
        let mut tied: Vec<u32> = Vec::new();
        let mut first: Vec<(OpId, u32)> = Vec::new();
        for op in history.ops().filter(|op| op.kind() != OutcomeKind::Fail) {
            let Some(steps) = micro_ops(&op) else { continue };
            let mut keys = Vec::new();
            for step in &steps {
                let (MicroOp::Read(k, v) | MicroOp::Write(k, v) | MicroOp::Append(k, v)) = step;
                keys.push(all.number(k));
                all.number(v);
            }
            tied.extend(tied.len() as u32..all.table.len() as u32);
            for pair in keys.windows(2) {
                let (a, b) = (root(&mut tied, pair[0]), root(&mut tied, pair[1]));
                tied[a.max(b) as usize] = a.min(b);
            }
            first.extend(keys.first().map(|k| (op.id, *k)));
        }
        all.part = first.into_iter().map(|(id, k)| (id.0, root(&mut tied, k))).collect();
        all
    }

    fn number(&mut self, value: &Value) -> u32 {
        match self.numbers.get(value) {
            Some(n) => *n,
            None => {
                let n = self.table.len() as u32;
                self.table.push(value.clone());
                self.numbers.insert(value.clone(), n);
                n
            }
        }
    }

    /// Ops of one number touch registers that calls tie together; ops of different numbers are independent.
    pub fn part(&self, op: OpId) -> u32 {
        self.part.get(&op.0).copied().unwrap_or(0)
    }

    /// What a part is called: nothing if it is all there is, else its first register.
    pub fn called(&self, part: u32) -> Value {
        match self.part.values().all(|p| *p == part) {
            true => Value::Null,
            false => self.table.get(part as usize).cloned().unwrap_or_default(),
        }
    }

    fn name(&self, number: u32) -> String {
        self.table.get(number as usize).map_or_else(|| number.to_string(), Value::to_plain)
    }

    fn value(&self, state: &[(u32, u32)], key: u32) -> u32 {
        state.binary_search_by_key(&key, |e| e.0).map_or(self.init, |at| state[at].1)
    }
}

fn root(tied: &mut [u32], mut at: u32) -> u32 {
    while tied[at as usize] != at {
        tied[at as usize] = tied[tied[at as usize] as usize];
        at = tied[at as usize];
    }
    at
}

/// The steps of an op, with what was read where it was answered.
fn micro_ops(op: &Op<'_>) -> Option<Vec<MicroOp>> {
    match (op.call(), op.outcome()) {
        (Call::Read(k), Outcome::Ok(Reply::Read(v))) => Some(vec![MicroOp::Read(k, v)]),
        (Call::Read(k), _) => Some(vec![MicroOp::Read(k, Value::Null)]),
        (Call::Write(k, v), _) => Some(vec![MicroOp::Write(k, v)]),
        _ => op.micro_ops(),
    }
}

impl Spec for MultiRegister {
    type Call = Vec<Micro>;
    type Reply = Seen;
    /// Registers that do not hold what they started with, sorted.
    type State = Vec<(u32, u32)>;

    fn init(&self) -> Self::State {
        Vec::new()
    }

    fn weight(&self, s: &Self::State) -> usize {
        size_of_val(s.as_slice())
    }

    fn step(&self, s: &Self::State, call: &Vec<Micro>, reply: Option<&Seen>) -> Option<Self::State> {
        let mut next = s.clone();
        let mut seen = reply.map(|r| r.iter());
        for step in call {
            match *step {
                Micro::Read(key) => {
                    if let Some(seen) = &mut seen
                        && *seen.next()? != self.value(&next, key)
                    {
                        return None;
                    }
                }
                Micro::Write(key, value) => match next.binary_search_by_key(&key, |e| e.0) {
                    Ok(at) if value == self.init => {
                        next.remove(at);
                    }
                    Ok(at) => next[at].1 = value,
                    Err(at) if value != self.init => next.insert(at, (key, value)),
                    Err(_) => {}
                },
            }
        }
        seen.is_none_or(|mut rest| rest.next().is_none()).then_some(next)
    }

    fn pure(&self, call: &Vec<Micro>) -> bool {
        call.iter().all(|step| matches!(step, Micro::Read(_)))
    }

    /// Lemma: an info call that changes registers may go if no ok call that could come after it read one of its
    /// values from one of its registers. Let o be the last such call in an order. Until they are written again its
    /// registers hold its values, and no ok call reads them there; what info calls read is unknown and they write the
    /// same whatever it is. So nothing depends on o.
    fn wants(&self, by: &Timed<Self>, info: &Vec<Micro>) -> bool {
        let Some(seen) = &by.reply else { return false };
        let reads = by.call.iter().filter_map(|step| match step {
            Micro::Read(key) => Some(*key),
            Micro::Write(..) => None,
        });
        reads.zip(seen).any(|(key, value)| info.contains(&Micro::Write(key, *value)))
    }
}

impl Decide for MultiRegister {}

impl Bind for MultiRegister {
    const NOUN: &'static str = "multi-register";

    fn take(&self, op: &Op<'_>, _: &History) -> Result<Option<Taken<Self>>, String> {
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        let Some(steps) = micro_ops(op) else {
            return Err(format!("a {} has no call {:?} (op #{})", Self::NOUN, op.f(), op.id.0));
        };
        let number = |v: &Value| self.numbers.get(v).copied().unwrap_or(u32::MAX);
        let (mut call, mut seen) = (Vec::new(), Vec::new());
        for step in &steps {
            match step {
                MicroOp::Read(k, v) => {
                    call.push(Micro::Read(number(k)));
                    seen.push(number(v));
                }
                MicroOp::Write(k, v) => call.push(Micro::Write(number(k), number(v))),
                MicroOp::Append(..) => {
                    return Err(format!("a {} has no appends (op #{})", Self::NOUN, op.id.0));
                }
            }
        }
        Ok(Some((call, op.is_ok().then_some(seen))))
    }

    fn show(&self, state: &Self::State, _: &History) -> String {
        let others = format!("the rest {}", self.name(self.init));
        let shown = state.iter().take(8).map(|(k, v)| format!("{} = {}", self.name(*k), self.name(*v)));
        let more = (state.len() > 8).then(|| format!("… {} more", state.len() - 8));
        shown.chain(more).chain([others]).collect::<Vec<_>>().join(", ")
    }

    fn refusal(&self, state: &Self::State, op: &Timed<Self>, _: &History) -> String {
        let (mut now, mut seen) = (state.clone(), op.reply.iter().flatten());
        for step in &op.call {
            match step {
                Micro::Write(..) => {
                    if let Some(next) = self.step(&now, &vec![*step], None) {
                        now = next;
                    }
                }
                Micro::Read(key) => match (seen.next(), self.value(&now, *key)) {
                    (Some(v), is) if *v != is => {
                        return format!(
                            "needs {} = {}, it is {}",
                            self.name(*key),
                            self.name(*v),
                            self.name(is)
                        );
                    }
                    _ => {}
                },
            }
        }
        "does not fit".into()
    }

    fn makes(&self, _: &Timed<Self>) -> Option<ValueId> {
        None
    }
}
