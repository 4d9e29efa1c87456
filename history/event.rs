//! What happened, one event at a time, in owned form: what the runner records and every reader produces.
//!
//! Not the form checkers work on: that is [`crate::History`], which packs the same into columns.

use crate::fault::{Effect, Resolved, Strike};
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Nanoseconds on the one monotonic clock of a run.
pub type Nanos = u64;

/// A client's identity: single-threaded, retired for good once a call of its was left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Process(pub u32);

/// A node as an index into the run's list of names (at most 254 nodes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u8);

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MicroOp {
    /// Key and what was seen; [`Value::Null`] in an invocation.
    Read(Value, Value),
    Write(Value, Value),
    Append(Value, Value),
}

/// What a client asked. The key is [`Value::Null`] where the object has none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// The whole object: a register's value, a set's members, a list, a counter's sum.
    Read(Value),
    Write(Value, Value),
    /// Key, expected, new.
    Cas(Value, Value, Value),
    /// To a set: the element. To a counter: the amount.
    Add(Value, Value),
    Remove(Value, Value),
    Append(Value, Value),
    Enqueue(Value, Value),
    Dequeue(Value),
    Acquire(Value),
    Release(Value),
    Generate,
    Txn(Vec<MicroOp>),
    /// A call whose meaning no checker of ours knows by name: kept, judged only by a spec that takes it.
    Other {
        f: Box<str>,
        key: Value,
        value: Value,
    },
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    Done,
    /// The value seen, taken or generated.
    Read(Value),
    /// A compare-and-set was refused: evidence about the state, not a failure.
    Mismatch,
    Txn(Vec<MicroOp>),
}

/// Why a call did not end in a reply: a short word, then free text (`timeout: no answer in 1 s`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Error(pub Box<str>);

impl Error {
    pub fn new(text: impl AsRef<str>) -> Error {
        Error(text.as_ref().into())
    }

    /// The part before the first colon, for histograms.
    pub fn word(&self) -> &str {
        self.0.split(':').next().unwrap_or("")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the client knows: happened · certainly did not happen · may have, or may yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok(Reply),
    Fail(Error),
    Info(Error),
}

impl Outcome {
    pub fn kind(&self) -> &'static str {
        match self {
            Outcome::Ok(Reply::Mismatch) | Outcome::Fail(_) => "fail",
            Outcome::Ok(_) => "ok",
            Outcome::Info(_) => "info",
        }
    }
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Invoke {
        time: Nanos,
        process: Process,
        node: Option<NodeId>,
        call: Call,
        last: bool,
    },
    /// `server`: the node whose reply this was, by its own word.
    Complete {
        time: Nanos,
        process: Process,
        call: Call,
        outcome: Outcome,
        server: Option<NodeId>,
    },
    StrikeBegin {
        time: Nanos,
        id: u32,
        strike: Strike,
    },
    StrikeConfirmed {
        time: Nanos,
        id: u32,
        resolved: Resolved,
        effect: Effect,
    },
    HealBegin {
        time: Nanos,
        id: u32,
    },
    HealConfirmed {
        time: Nanos,
        id: u32,
        effect: Effect,
    },
    /// What a node said of itself when asked.
    Role {
        time: Nanos,
        node: NodeId,
        role: Box<str>,
        term: u64,
    },
    /// Anything else worth keeping: phases, foreign nemesis rows.
    Note {
        time: Nanos,
        f: Box<str>,
        value: Value,
    },
}

impl Event {
    pub(crate) fn time_mut(&mut self) -> &mut Nanos {
        match self {
            Event::Invoke { time, .. }
            | Event::Complete { time, .. }
            | Event::StrikeBegin { time, .. }
            | Event::StrikeConfirmed { time, .. }
            | Event::HealBegin { time, .. }
            | Event::HealConfirmed { time, .. }
            | Event::Role { time, .. }
            | Event::Note { time, .. } => time,
        }
    }

    pub fn time(&self) -> Nanos {
        match self {
            Event::Invoke { time, .. }
            | Event::Complete { time, .. }
            | Event::StrikeBegin { time, .. }
            | Event::StrikeConfirmed { time, .. }
            | Event::HealBegin { time, .. }
            | Event::HealConfirmed { time, .. }
            | Event::Role { time, .. }
            | Event::Note { time, .. } => *time,
        }
    }
}

impl Call {
    /// The field's spelling: `read`, `write`, `cas`, …
    pub fn f(&self) -> &str {
        match self {
            Call::Read(_) => "read",
            Call::Write(..) => "write",
            Call::Cas(..) => "cas",
            Call::Add(..) => "add",
            Call::Remove(..) => "remove",
            Call::Append(..) => "append",
            Call::Enqueue(..) => "enqueue",
            Call::Dequeue(_) => "dequeue",
            Call::Acquire(_) => "acquire",
            Call::Release(_) => "release",
            Call::Generate => "generate",
            Call::Txn(_) => "txn",
            Call::Other { f, .. } => f,
        }
    }

    pub fn key(&self) -> &Value {
        match self {
            Call::Read(k)
            | Call::Write(k, _)
            | Call::Cas(k, _, _)
            | Call::Add(k, _)
            | Call::Remove(k, _)
            | Call::Append(k, _)
            | Call::Enqueue(k, _)
            | Call::Dequeue(k)
            | Call::Acquire(k)
            | Call::Release(k)
            | Call::Other { key: k, .. } => k,
            Call::Generate | Call::Txn(_) => &Value::Null,
        }
    }

    /// The `value` field of an invocation.
    pub fn value(&self) -> Value {
        match self {
            Call::Write(_, v)
            | Call::Add(_, v)
            | Call::Remove(_, v)
            | Call::Append(_, v)
            | Call::Enqueue(_, v)
            | Call::Other { value: v, .. } => v.clone(),
            Call::Cas(_, old, new) => Value::List(vec![old.clone(), new.clone()]),
            Call::Txn(ops) => micro_ops_value(ops),
            Call::Read(_) | Call::Dequeue(_) | Call::Acquire(_) | Call::Release(_) | Call::Generate => {
                Value::Null
            }
        }
    }

    /// From the three fields every format has in some spelling. An unknown `f` is kept as [`Call::Other`];
    /// an `f` that is known but whose value has the wrong shape is an error saying what was expected.
    pub fn from_parts(f: &str, key: Value, value: Value) -> Result<Call, String> {
        Ok(match f {
            "read" => Call::Read(key),
            "write" => Call::Write(key, value),
            "cas" => match value {
                Value::List(mut pair) if pair.len() == 2 => {
                    let new = pair.pop().unwrap_or_default();
                    let old = pair.pop().unwrap_or_default();
                    Call::Cas(key, old, new)
                }
                other => return Err(format!("the value of a cas is [expected new], not {other}")),
            },
            "add" => Call::Add(key, value),
            "remove" => Call::Remove(key, value),
            "append" => Call::Append(key, value),
            "enqueue" => Call::Enqueue(key, value),
            "dequeue" => Call::Dequeue(key),
            "acquire" => Call::Acquire(key),
            "release" => Call::Release(key),
            "generate" => Call::Generate,
            "txn" => Call::Txn(micro_ops(&value)?),
            other => Call::Other { f: other.into(), key, value },
        })
    }

    /// The reply that an `ok` line with this value stands for.
    pub fn reply(&self, value: Value) -> Result<Reply, String> {
        Ok(match self {
            Call::Read(_) | Call::Dequeue(_) | Call::Generate => Reply::Read(value),
            Call::Txn(_) => Reply::Txn(micro_ops(&value)?),
            Call::Other { f, .. } if takes(f) => Reply::Read(value),
            // A question about an element, whose answer may look like the element.
            Call::Other { f, .. } if matches!(&**f, "contains" | "has") => Reply::Read(value),
            Call::Other { value: asked, .. } if *asked != value => Reply::Read(value),
            // A fencing token.
            Call::Acquire(_) if !value.is_null() => Reply::Read(value),
            // Whether the element was there: other values are the element come back.
            Call::Add(_, asked) | Call::Remove(_, asked)
                if matches!(value, Value::Bool(_)) && *asked != value =>
            {
                Reply::Read(value)
            }
            _ => Reply::Done,
        })
    }
}

/// Has no argument and answers with what it took, nil if there was nothing: `dequeue`, a stack's `pop`, a priority
/// queue's `poll`.
pub fn takes(f: &str) -> bool {
    matches!(f, "dequeue" | "pop" | "poll")
}

/// `[["r",1,null],["append",2,3]]`, in strings or keywords.
pub fn micro_ops(value: &Value) -> Result<Vec<MicroOp>, String> {
    let Some(items) = value.elements() else {
        return Err(format!("the value of a txn is a list of [f key value], not {value}"));
    };
    items
        .iter()
        .map(|item| match item.elements() {
            Some([f, k, v]) => match f.as_text().map(|s| s.trim_start_matches(':')) {
                Some("r") => Ok(MicroOp::Read(k.clone(), v.clone())),
                Some("w") => Ok(MicroOp::Write(k.clone(), v.clone())),
                Some("append") => Ok(MicroOp::Append(k.clone(), v.clone())),
                _ => Err(format!("a micro-op is r, w or append, not {f}")),
            },
            _ => Err(format!("a micro-op is [f key value], not {item}")),
        })
        .collect()
}

pub fn micro_ops_value(ops: &[MicroOp]) -> Value {
    let one = |f: &str, k: &Value, v: &Value| Value::List(vec![Value::text(f), k.clone(), v.clone()]);
    Value::List(
        ops.iter()
            .map(|op| match op {
                MicroOp::Read(k, v) => one("r", k, v),
                MicroOp::Write(k, v) => one("w", k, v),
                MicroOp::Append(k, v) => one("append", k, v),
            })
            .collect(),
    )
}

/// `write x 3`, `cas x 1 2`, `read x`.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.f())?;
        if !self.key().is_null() {
            write!(f, " {}", self.key().to_plain())?;
        }
        match self {
            Call::Cas(_, old, new) => write!(f, " {old} {new}"),
            other => match other.value() {
                Value::Null => Ok(()),
                v => write!(f, " {v}"),
            },
        }
    }
}
