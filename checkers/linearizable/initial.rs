//! What a register held before the record began: nil, a value that is named, or whatever fits (`--init any`).
//!
//! *Any* asks whether **some** first value of each key makes it linearizable; every key may have another. It is not
//! a virtual first write: that could land late, and a history that reads 1, then nil would pass.
//! [`FromAny`] is the definition, as a specification whose state is the set of values still possible. For speed the
//! verdict comes from [`candidates`]: the few first values that could matter, each decided as a plain register.

use super::bind::{Bind, NOBODYS, Taken};
use super::dfs::Limits;
use super::engine::{self, Answer, Decide, Decided, Decision, Refuted};
use super::explain::{Claim, Part, Story, explain};
use super::objects::{Register, RegisterCall as Call, RegisterReply as Reply};
use super::spec::{OPEN, Spec, Timed, precedes};
use super::{Judged, Plain, findings, judge, parts, register, unknown};
use crate::verdict::{Findings, Model, Verdict, Why, Witness};
use crate::{Budget, Checker};
use history::{History, Op, OpId, Value, ValueId};
use rayon::prelude::*;
use std::fmt;

/// The value of a register before anything was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Init {
    Value(Value),
    /// Some value, for each key its own: the record began in mid-run.
    Any,
}

impl Default for Init {
    fn default() -> Init {
        Init::Value(Value::Null)
    }
}

/// `nil`, `3`, `"a"`, `any value`.
impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Init::Value(value) => value.fmt(f),
            Init::Any => f.write_str("any value"),
        }
    }
}

impl Init {
    /// The register that holds it; `None` where it may hold anything. A value that the history does not know (see
    /// [`History::know`]) is one that no op mentions.
    pub fn register(&self, history: &History) -> Option<Register> {
        match self {
            Init::Value(value) => Some(Register { init: history.values().find(value).unwrap_or(NOBODYS) }),
            Init::Any => None,
        }
    }
}

/// Linearizability of registers that begin with `init`. The same checker as [`super::Linearizable`] otherwise.
#[derive(Clone, Debug, Default)]
pub struct LinearizableFrom {
    pub init: Init,
}

impl Checker for LinearizableFrom {
    fn name(&self) -> &'static str {
        "linearizable"
    }

    fn about(&self) -> &'static str {
        "Proves or refutes, key by key, that every call took effect at one instant between its invocation and its \
         reply, from the first value that was named."
    }

    fn blind_to(&self) -> &'static str {
        "It sees only what clients saw: a violation that no read observed, and calls spanning several keys."
    }

    fn check(&self, history: &History, budget: &Budget) -> Findings {
        match self.init.register(history) {
            Some(register) => judge(&Plain(register), history, budget),
            None => judge_any(history, budget),
        }
    }
}

fn judge_any(history: &History, budget: &Budget) -> Findings {
    let parts = match parts(&Plain(FromAny), history) {
        Ok(parts) => parts,
        Err(why) => {
            let verdict = Verdict::unknown(Why::Unsupported(why.clone()), why);
            return Findings::new("linearizable").with(Model::Linearizable, verdict);
        }
    };
    let all: usize = parts.iter().map(|p| p.ops.len()).sum();
    let one = |part: &Part<FromAny>| {
        let share = (budget.bytes as u128 * part.ops.len() as u128 / all.max(1) as u128) as u64;
        let limits = Limits { steps: budget.steps, bytes: share.max(16 << 20), furthest: false };
        judge_part(part, &limits, history)
    };
    findings(parts.par_iter().map(one).collect(), history)
}

fn judge_part(part: &Part<FromAny>, limits: &Limits, history: &History) -> Judged {
    let decided = decide(&part.ops, limits);
    let mut order: Vec<OpId> = Vec::new();
    let verdict = match decided.answer {
        Answer::Yes(indices) => {
            order = indices.into_iter().map(|i| part.ids[i]).collect();
            Verdict::Valid(Witness::default())
        }
        Answer::No(_) => match explain(&FromAny, part, decided.by, limits, history) {
            Ok(mut counterexample) => {
                counterexample.words.push("No first value of it would help.".into());
                Verdict::Invalid(Box::new(counterexample))
            }
            Err(why) => unknown(why, part, decided.settled),
        },
        Answer::Unknown(why) => unknown(why, part, decided.settled),
    };
    let (by, steps, ops, key) = (decided.by, decided.steps, part.ops.len(), part.key.clone());
    Judged { verdict, order, by, steps, ops, key, why_search: None }
}

/// Is there a first value from which these ops of one register are linearizable? Cost: a plain decision for each of
/// [`candidates`], all within one budget.
pub fn decide(ops: &[Timed<FromAny>], limits: &Limits) -> Decided<FromAny> {
    let plain: Vec<Timed<Register>> = ops.iter().map(plain).collect();
    let (mut steps, mut spent, mut settled, mut by) = (0, None, u32::MAX, "decider");
    for init in candidates(&plain) {
        let left = Limits { steps: limits.steps.saturating_sub(steps), ..*limits };
        let decided = engine::decide_needed(&Register { init }, &plain, &left);
        steps += decided.steps;
        by = decided.by;
        match decided.answer {
            Answer::Yes(order) => {
                return Decided { answer: Answer::Yes(order), by, steps, bytes: 0, settled: 0 };
            }
            Answer::No(_) => {}
            Answer::Unknown(why) => {
                spent = Some(why);
                settled = settled.min(decided.settled);
            }
        }
    }
    match spent {
        Some(why) => Decided { answer: Answer::Unknown(why), by, steps, bytes: 0, settled },
        None => Decided { answer: Answer::No(None), by, steps, bytes: 0, settled: 0 },
    }
}

/// First values such that, if any first value at all gives a linearization, one of these does.
///
/// A first value that nobody sees can be replaced by one that no op mentions. Else let o be the first op in the order
/// that sees it (a read, or a cas that succeeds): o stands before every ok op that reads or changes the register, so it
/// was invoked before the first of those completed. Hence at most one value for each op open at that moment.
pub fn candidates(ops: &[Timed<Register>]) -> Vec<ValueId> {
    let certain = |o: &&Timed<Register>| o.is_ok() && o.reply != Some(Reply::Mismatch);
    let wall = ops.iter().filter(certain).map(|o| o.res).min().unwrap_or(OPEN);
    let mut found = vec![ValueId::NULL, NOBODYS];
    for op in ops.iter().filter(|o| !precedes(wall, o.inv)) {
        found.extend(match (op.call, op.reply) {
            (Call::Read, Some(Reply::Value(v))) => Some(v),
            (Call::Cas(old, _), None | Some(Reply::Done)) => Some(old),
            _ => None,
        });
    }
    let mut seen = super::hash::Map::default();
    found.retain(|v| seen.insert(*v, ()).is_none());
    found
}

/// A first value from which this order of one register holds: nil if that will do, else one that no call mentions, else
/// what its calls need. `None` where it holds from none.
pub fn first_value(history: &History, order: &[OpId]) -> Option<Value> {
    let take = |id: &OpId| {
        let op = history.op(*id);
        let (call, reply) = FromAny.take(&op, history).ok()??;
        let res = if reply.is_some() { op.res() } else { OPEN };
        Some(Timed::<Register> { call, reply, inv: op.inv(), res })
    };
    let ops: Vec<Timed<Register>> = order.iter().map(take).collect::<Option<_>>()?;
    let holds = |init: &ValueId| {
        let register = Register { init: *init };
        let step = |state, op: &Timed<Register>| register.step(&state, &op.call, op.reply.as_ref());
        ops.iter().try_fold(*init, step).is_some()
    };
    match candidates(&ops).into_iter().find(holds)? {
        NOBODYS => {
            let words = (0..).map(|n| Value::text(&format!("unmentioned {n}")));
            words.into_iter().find(|word| history.values().find(word).is_none())
        }
        found => Some(history.value(found)),
    }
}

/// The op as one of a register that may hold anything at first.
pub fn from_any(op: &Timed<Register>) -> Timed<FromAny> {
    Timed { call: op.call, reply: op.reply, inv: op.inv, res: op.res }
}

fn plain(op: &Timed<FromAny>) -> Timed<Register> {
    Timed { call: op.call, reply: op.reply, inv: op.inv, res: op.res }
}

/// A register that may hold anything at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct FromAny;

/// The values that it may hold, given what was seen so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    Known(ValueId),
    /// Anything but these (sorted).
    AnyBut(Vec<ValueId>),
}

impl Held {
    fn may_be(&self, v: ValueId) -> bool {
        match self {
            Held::Known(held) => *held == v,
            Held::AnyBut(out) => out.binary_search(&v).is_err(),
        }
    }

    fn without(&self, v: ValueId) -> Option<Held> {
        match self {
            Held::Known(held) => (*held != v).then(|| self.clone()),
            Held::AnyBut(out) => {
                let mut out = out.clone();
                if let Err(at) = out.binary_search(&v) {
                    out.insert(at, v);
                }
                Some(Held::AnyBut(out))
            }
        }
    }

    fn with(self, v: ValueId) -> Held {
        match self {
            Held::Known(held) => Held::Known(held),
            Held::AnyBut(mut out) => {
                out.retain(|x| *x != v);
                Held::AnyBut(out)
            }
        }
    }
}

impl Spec for FromAny {
    type Call = Call;
    type Reply = Reply;
    type State = Held;

    fn init(&self) -> Held {
        Held::AnyBut(Vec::new())
    }

    /// The possible values after the call, of those that allow the reply; none left refuses it. A forgotten reply
    /// leaves more of them, which is weaker: all that the engines rest on.
    fn step(&self, s: &Held, call: &Call, reply: Option<&Reply>) -> Option<Held> {
        match (call, reply) {
            (Call::Write(v), None | Some(Reply::Done)) => Some(Held::Known(*v)),
            (Call::Read, None) => Some(s.clone()),
            (Call::Read, Some(Reply::Value(v))) => s.may_be(*v).then_some(Held::Known(*v)),
            (Call::Cas(old, new), Some(Reply::Done)) => s.may_be(*old).then_some(Held::Known(*new)),
            (Call::Cas(old, _), Some(Reply::Mismatch)) => s.without(*old),
            (Call::Cas(old, new), None) if s.may_be(*old) => {
                Some(s.without(*old).map_or(Held::Known(*new), |rest| rest.with(*new)))
            }
            (Call::Cas(..), None) => Some(s.clone()),
            _ => None,
        }
    }

    // No op is pure or idle here: even a read narrows what the first value was.

    fn weight(&self, s: &Held) -> usize {
        match s {
            Held::Known(_) => 0,
            Held::AnyBut(out) => size_of_val(out.as_slice()),
        }
    }

    fn wants(&self, by: &Timed<Self>, info: &Call) -> bool {
        Register::default().wants(&plain(by), info)
    }
}

impl Decide for FromAny {
    fn decide(&self, ops: &[Timed<Self>]) -> Option<Decision<Self>> {
        let plain: Vec<Timed<Register>> = ops.iter().map(plain).collect();
        let mut core = Vec::new();
        for init in candidates(&plain) {
            match register::decide(&Register { init }, &plain)? {
                Ok(order) => return Some(Ok(order)),
                Err(found) => core.extend(found),
            }
        }
        // With the op that bounds the candidates, so that the core has no others.
        let certain = |i: &usize| plain[*i].is_ok() && plain[*i].reply != Some(Reply::Mismatch);
        core.extend((0..plain.len()).filter(certain).min_by_key(|i| plain[*i].res));
        core.sort_unstable();
        core.dedup();
        Some(Err(Refuted { core, reduced: None }))
    }
}

impl Bind for FromAny {
    const NOUN: &'static str = "register";

    fn take(&self, op: &Op<'_>, history: &History) -> Result<Option<Taken<Self>>, String> {
        Register::default().take(op, history)
    }

    /// A plain register's story from a value that nobody mentions; the re-check refuses it where another would fit.
    fn claim(&self, ops: &[Timed<Self>], bad: usize, story: &Story<'_>) -> Option<Claim<Self>> {
        let plain: Vec<Timed<Register>> = ops.iter().map(plain).collect();
        let found = Register { init: NOBODYS }.claim(&plain, bad, story)?;
        let Claim { pattern, core, also, groups, words, .. } = found;
        Some(Claim { pattern, core, also, groups, words, of: std::marker::PhantomData })
    }

    fn show(&self, state: &Held, history: &History) -> String {
        let shown = |v: &ValueId| history.value(*v).to_string();
        match state {
            Held::Known(v) => shown(v),
            Held::AnyBut(out) if out.is_empty() => "anything".into(),
            Held::AnyBut(out) => {
                format!("anything but {}", out.iter().map(shown).collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn refusal(&self, state: &Held, op: &Timed<Self>, history: &History) -> String {
        let is = self.show(state, history);
        match (op.call, op.reply) {
            (Call::Cas(old, _), Some(Reply::Mismatch)) => {
                format!("was refused, which needs another value than {}, value is {is}", history.value(old))
            }
            _ => match self.sees(op) {
                Some(v) => format!("needs {}, value is {is}", history.value(v)),
                None => format!("does not fit, value is {is}"),
            },
        }
    }

    fn makes(&self, op: &Timed<Self>) -> Option<ValueId> {
        Register::default().makes(&plain(op))
    }

    fn sees(&self, op: &Timed<Self>) -> Option<ValueId> {
        Register::default().sees(&plain(op))
    }
}
