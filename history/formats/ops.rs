//! From an op map in Jepsen's shape to an event: what all formats of that family share.
//!
//! The rules, each where the file and our record differ:
//! * **Position in the file is the authority on order**, but for equal stamps, which are concurrent
//!   ([`crate::Builder::finish_foreign`]). A time that goes backwards is raised to the one before
//!   it, and a note says how often; a missing or negative time is the one before.
//! * A process that is no number (`:nemesis`, any keyword) makes notes, never ops; if it is not the nemesis and
//!   invokes something, that is refused, since its ops would be lost.
//! * A completion stamped before its own invocation is refused: then its stamps are no clock.
//! * Ops without `:process` are taken one after the other, each as a process of its own.
//! * A completion without `:f` or `:value` takes them from its invocation; the `:value` of `fail` and `info` is
//!   not looked at, since logs put other things there.
//! * `:fail` of a cas is evidence only if its error is `mismatch`, the format says so, or the options do.
//! * `[key value]` tuples: EDN has lost the mark that told them from other pairs, so [`independent`] decides on
//!   the first [`SAMPLE`] rows unless the options say.
//!
//! Everything done to a history is said in a note `import`.

use super::edn;
use crate::event::{Call, Error, Event, MicroOp, Outcome, Process, Reply};
use crate::jsonl::{BACKWARDS, Gaps, LOSSY, ReadError, ReadOptions, TUPLES, import_notes};
use crate::record::{Builder, Completeness, History, Malformed, Op, OpId};
use crate::value::Value;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Rows on which it is decided whether values are `[key value]` tuples.
const SAMPLE: usize = 10_000;
/// Bytes of the file after which fewer rows must do.
const SAMPLE_BYTES: u64 = 4 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Invoke,
    Ok,
    Fail,
    Info,
}

impl Kind {
    pub fn parse(word: &[u8]) -> Option<Kind> {
        Some(match word {
            b"invoke" => Kind::Invoke,
            b"ok" => Kind::Ok,
            b"fail" => Kind::Fail,
            b"info" => Kind::Info,
            _ => return None,
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Who {
    #[default]
    Missing,
    Client(u32),
    /// The nemesis.
    Other,
    /// Another name: whatever else keeps a diary in the file.
    Named(Box<str>),
}

/// One op map, before it means anything.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub line: u64,
    pub index: Option<i64>,
    pub time: Option<i64>,
    pub kind: Option<Kind>,
    pub who: Who,
    pub f: Option<Box<str>>,
    pub key: Value,
    pub value: Value,
    pub error: Value,
    pub node: Option<Box<str>>,
    pub last: bool,
    /// Stray words after a value, as code prints keywords with blanks in them.
    pub stray: bool,
    /// The known fields met so far, one bit each.
    pub seen: u16,
}

/// What a format says beyond the op map.
#[derive(Clone, Copy, Default)]
pub(super) struct Rules {
    /// Whether any `fail` of a cas says that the expected value was not there.
    pub refused_cas: bool,
    /// Whether values are never `[key value]` tuples.
    pub plain: bool,
}

pub(super) struct Importer {
    builder: Builder,
    rules: Rules,
    independent: Option<bool>,
    sample: Vec<Row>,
    /// The open call of each process, and its `:f` in the file where that is another.
    open: HashMap<u32, (OpId, Option<Box<str>>)>,
    /// Processes whose open call has a time that was raised.
    raised: HashSet<u32>,
    /// Processes given out to ops that name none.
    nameless: u32,
    named: bool,
    gaps: Gaps,
    counts: Counts,
    /// Bytes of what the sample's rows were read from, about.
    sampled: u64,
}

/// What had to be bent to fit.
#[derive(Default)]
struct Counts {
    clamped: u64,
    diaries: u64,
    stray: u64,
    rows: u64,
    guessed_independent: bool,
}

impl Importer {
    pub fn new(options: &ReadOptions, rules: Rules) -> Importer {
        let refused_cas = rules.refused_cas || options.any_failed_cas_is_mismatch;
        Importer {
            builder: Builder::new().max_ops(options.limits.ops),
            rules: Rules { refused_cas, ..rules },
            independent: if rules.plain { Some(false) } else { options.independent },
            sample: Vec::new(),
            open: HashMap::new(),
            raised: HashSet::new(),
            nameless: 0,
            named: false,
            gaps: Gaps::default(),
            counts: Counts::default(),
            sampled: 0,
        }
    }

    /// `bytes`: how much of the file the row is, about.
    pub fn push(&mut self, row: Row, bytes: u64) -> Result<(), ReadError> {
        if self.independent.is_some() {
            return self.import(row);
        }
        self.sample.push(row);
        self.sampled += bytes;
        match self.sample.len() < SAMPLE && self.sampled < SAMPLE_BYTES {
            true => Ok(()),
            false => self.decide(),
        }
    }

    fn decide(&mut self) -> Result<(), ReadError> {
        let tuples = independent(&self.sample);
        self.independent = Some(tuples);
        self.counts.guessed_independent = tuples;
        for row in std::mem::take(&mut self.sample) {
            self.import(row)?;
        }
        Ok(())
    }

    /// `cut`: the input broke off, and how many whole lines there were.
    pub fn finish(mut self, cut: Option<u64>, lossy: u64) -> Result<History, ReadError> {
        if self.independent.is_none() {
            self.decide()?;
        }
        let c = &self.counts;
        let said = [
            (c.clamped, BACKWARDS),
            (
                c.diaries,
                "rows of processes that are neither numbers nor :nemesis were taken as notes, not as ops",
            ),
            (c.stray, "rows have stray words after a value, which were dropped"),
            (lossy, LOSSY),
            (self.nameless as u64, "ops name no process; each was given one of its own"),
            (if c.guessed_independent { c.rows } else { 0 }, TUPLES),
        ];
        import_notes(&mut self.builder, self.gaps.said().into_iter().chain(said))?;
        if let Some(lines) = cut {
            self.builder.history_mut().completeness = Completeness::Truncated { lines };
        }
        Ok(self.builder.finish_foreign())
    }

    fn time(&mut self, row: &Row) -> Result<u64, String> {
        let end = self.builder.history_mut().end();
        let time = match row.time {
            Some(time) if time >= 0 => time as u64,
            // As Jepsen has a time that it does not know.
            Some(-1) | None => return Ok(end),
            Some(time) => return Err(format!("a time before the beginning: {time} ns")),
        };
        if time >= end {
            return Ok(time);
        }
        self.counts.clamped += 1;
        let open = match (&row.who, row.kind) {
            (Who::Client(process), Some(Kind::Ok | Kind::Fail | Kind::Info)) => {
                self.builder.open(Process(*process))
            }
            _ => None,
        };
        match open.map(|op| (op.process(), op.invoked())) {
            // Raised times are no evidence: only a stamp that the file has.
            Some((process, invoked)) if time < invoked && !self.raised.contains(&process.0) => {
                Err(Malformed::EndsBeforeItBegins { process, invoked, completed: time }.to_string())
            }
            _ => Ok(end),
        }
    }

    fn import(&mut self, mut row: Row) -> Result<(), ReadError> {
        let time = self.time(&row).map_err(|what| error(row.line, what))?;
        if let Some(index) = row.index {
            self.gaps.next(index);
        }
        self.counts.stray += row.stray as u64;
        self.counts.rows += 1;
        let Some(kind) = row.kind else {
            return Err(error(row.line, "an op without a :type: expected invoke, ok, fail or info"));
        };
        if let (Who::Named(name), Kind::Invoke | Kind::Ok | Kind::Fail) = (&row.who, kind) {
            let what = format!("expected a process: a number or :nemesis, found {name}");
            return Err(error(row.line, what));
        }
        let process = match row.who {
            Who::Other | Who::Named(_) => {
                self.counts.diaries += matches!(row.who, Who::Named(_)) as u64;
                let f = row.f.unwrap_or_else(|| "?".into());
                let note = Event::Note { time, f, value: row.value };
                return self.builder.push(&note, row.line).map_err(|e| error(row.line, e));
            }
            Who::Client(process) => process,
            Who::Missing => self.nameless(kind, row.line)?,
        };
        self.named |= row.who != Who::Missing;
        if self.independent == Some(true) {
            untuple(&mut row, kind)?;
        }
        let line = row.line;
        match kind {
            Kind::Invoke => self.invoke(time, process, row),
            _ => self.complete(time, process, kind, row),
        }
        .map_err(|what| error(line, what))
    }

    /// Ops without a process can only come one after the other.
    fn nameless(&mut self, kind: Kind, line: u64) -> Result<u32, ReadError> {
        if self.named {
            return Err(error(line, "an op without a :process, in a file where others have one"));
        }
        if kind == Kind::Invoke {
            if let Some(Some(_)) = self.nameless.checked_sub(1).map(|p| self.open.get(&p)) {
                return Err(error(
                    line,
                    "ops without a :process overlap: which completion belongs to which cannot be told",
                ));
            }
            self.nameless += 1;
        }
        Ok(self.nameless.saturating_sub(1))
    }

    fn invoke(&mut self, time: u64, process: u32, row: Row) -> Result<(), String> {
        let spelled = row.f.clone();
        match row.time {
            Some(stamp) if (0..time as i64).contains(&stamp) => drop(self.raised.insert(process)),
            _ => drop(self.raised.remove(&process)),
        }
        let call = call(row.f, row.key, row.value)?;
        let node = match row.node {
            Some(name) => Some(self.builder.node(&name).map_err(|e| e.to_string())?),
            None => None,
        };
        let event = Event::Invoke { time, process: Process(process), node, call, last: row.last };
        self.builder.push(&event, row.line).map_err(|e| e.to_string())?;
        let id = OpId(self.builder.history_mut().len() as u32 - 1);
        let f = spelled.filter(|f| self.builder.history_mut().op(id).f() != &**f);
        self.open.insert(process, (id, f));
        Ok(())
    }

    /// Whether a completion repeats another argument than was asked.
    fn changed(&mut self, id: OpId, value: &Value) -> bool {
        let history = self.builder.history_mut();
        let op = history.op(id);
        match op.f() {
            "write" | "add" | "remove" | "append" | "enqueue" => {
                !value.is_null() && !history.values().is(op.arg(), value)
            }
            "cas" => !value.is_null() && op.call().value() != *value,
            _ => false,
        }
    }

    fn complete(&mut self, time: u64, process: u32, kind: Kind, row: Row) -> Result<(), String> {
        let asked = match self.open.remove(&process) {
            Some((id, spelled)) => {
                let op = self.builder.history_mut().op(id);
                let same = |f: &str| spelled.as_deref() == Some(f) || f == op.f();
                match row.f.as_deref().is_none_or(same) {
                    true => Some((id, shell(&op, row.key))),
                    false => None,
                }
            }
            None => None,
        };
        let asked = match asked {
            Some((id, asked)) => {
                let changed = kind == Kind::Ok && self.changed(id, &row.value);
                if changed {
                    self.builder.alter(id);
                }
                asked
            }
            // Another call or none at all: the door says so.
            None => Call::Other { f: row.f.unwrap_or_default(), key: Value::Null, value: Value::Null },
        };
        let outcome = match kind {
            Kind::Ok => Outcome::Ok(reply(&asked, row.value)?),
            Kind::Fail => {
                let error = error_text(&row.error);
                match asked {
                    Call::Cas(..) if self.rules.refused_cas || error.word() == "mismatch" => {
                        Outcome::Ok(Reply::Mismatch)
                    }
                    _ => Outcome::Fail(error),
                }
            }
            _ => Outcome::Info(error_text(&row.error)),
        };
        let event = Event::Complete { time, process: Process(process), call: asked, outcome, server: None };
        self.builder.push(&event, row.line).map_err(|e| e.to_string())
    }
}

/// A call of the kind of an open one: all that its completion has to name besides the key, without what was asked.
fn shell(op: &Op<'_>, key: Value) -> Call {
    let nil = || Value::Null;
    match op.f() {
        "read" => Call::Read(key),
        "write" => Call::Write(key, nil()),
        "cas" => Call::Cas(key, nil(), nil()),
        "add" => Call::Add(key, nil()),
        "remove" => Call::Remove(key, nil()),
        "append" => Call::Append(key, nil()),
        "enqueue" => Call::Enqueue(key, nil()),
        "dequeue" => Call::Dequeue(key),
        "acquire" => Call::Acquire(key),
        "release" => Call::Release(key),
        "txn" => Call::Txn(Vec::new()),
        _ => match op.call() {
            Call::Other { f, value, .. } => Call::Other { f, key, value },
            other => other,
        },
    }
}

pub(super) fn error(line: u64, what: impl ToString) -> ReadError {
    ReadError { line: line.max(1), column: 1, what: what.to_string() }
}

/// The call of an invocation. Values are moved, not copied: transactions are most of what is read.
fn call(f: Option<Box<str>>, key: Value, value: Value) -> Result<Call, String> {
    let f = match f {
        // Micro-ops make a transaction, whatever it is called: long-fork has them under read and write.
        _ if looks_like_txn(&value) => "txn".into(),
        Some(f) => f,
        None => return Err("an op without an :f".into()),
    };
    match &*f {
        "txn" => Ok(Call::Txn(micro_ops(value)?)),
        "write" if value.is_null() => Err("a write without a value".into()),
        _ => Call::from_parts(&f, key, value),
    }
}

fn reply(asked: &Call, value: Value) -> Result<Reply, String> {
    match asked {
        Call::Txn(_) => Ok(Reply::Txn(micro_ops(value)?)),
        other => other.reply(value),
    }
}

fn micro_op_name(op: &Value) -> Option<&str> {
    match op.elements() {
        Some([f, ..]) => f.as_text().map(|f| f.trim_start_matches(':')),
        _ => None,
    }
}

fn looks_like_txn(value: &Value) -> bool {
    value.elements().is_some_and(|ops| !ops.is_empty() && ops.iter().all(is_micro_op))
}

fn is_micro_op(op: &Value) -> bool {
    matches!(micro_op_name(op), Some("r" | "w" | "append" | "read" | "write"))
        && op.elements().is_some_and(|parts| parts.len() == 3)
}

/// `[[:r k v] [:append k v]]`; Knossos spells `:read` and `:write`.
fn micro_ops(value: Value) -> Result<Vec<MicroOp>, String> {
    let (Value::List(ops) | Value::Set(ops)) = value else {
        return Err(format!("the value of a txn is a list of [f key value], not {value}"));
    };
    ops.into_iter()
        .map(|op| {
            let kind = match micro_op_name(&op) {
                Some("r" | "read") => MicroOp::Read,
                Some("w" | "write") => MicroOp::Write,
                Some("append") => MicroOp::Append,
                _ => return Err(format!("a micro-op is [r key value], w or append, not {op}")),
            };
            match op {
                Value::List(parts) if parts.len() == 3 => {
                    let mut parts = parts.into_iter().skip(1);
                    Ok(kind(parts.next().unwrap_or_default(), parts.next().unwrap_or_default()))
                }
                other => Err(format!("a micro-op is [f key value], not {other}")),
            }
        })
        .collect()
}

/// `:timed-out`, `"text"` or `[:timeout "text"]` as a word and a text.
pub(super) fn error_text(value: &Value) -> Error {
    match value {
        Value::Null => Error::default(),
        Value::List(parts) if !parts.is_empty() && parts.iter().all(|p| p.as_text().is_some()) => {
            let parts: Vec<String> = parts.iter().map(Value::to_plain).collect();
            Error::new(parts.join(": "))
        }
        Value::Text(_) | Value::Keyword(_) => Error::new(value.to_plain()),
        other => {
            let mut text = String::new();
            edn::print(other, &mut text);
            Error::new(text)
        }
    }
}

fn pair(value: &Value) -> Option<(&Value, &Value)> {
    match value {
        Value::List(parts) => match parts.as_slice() {
            [k, v] => Some((k, v)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether values are `[key value]` tuples: every client's value is a pair whose first is no list or map, the
/// first of a completion is that of its invocation, there are fewer firsts than calls, and some call shows what
/// no plain pair would (a read that asks `[k nil]`, a cas of `[k [old new]]`).
pub(super) fn independent(rows: &[Row]) -> bool {
    let (mut keys, mut calls, mut shown) = (BTreeSet::new(), 0usize, false);
    let mut asked: HashMap<u32, &Value> = HashMap::new();
    for row in rows.iter().filter(|r| !matches!(r.who, Who::Other | Who::Named(_))) {
        let process = if let Who::Client(p) = row.who { p } else { 0 };
        let Some((key, value)) = pair(&row.value) else {
            // An info line may carry another thing instead of the value.
            match row.kind {
                Some(Kind::Info | Kind::Fail) => continue,
                _ => return false,
            }
        };
        if key.elements().is_some() || matches!(key, Value::Map(_) | Value::Null) {
            return false;
        }
        let f = row.f.as_deref().unwrap_or("");
        match row.kind {
            Some(Kind::Invoke) => {
                calls += 1;
                keys.insert(key);
                shown |= value.is_null() || (f == "cas" && pair(value).is_some());
                if f == "cas" && pair(value).is_none() {
                    return false;
                }
                asked.insert(process, key);
            }
            _ => {
                let before = asked.get(&process);
                if before.is_some_and(|before| *before != key) {
                    return false;
                }
            }
        }
    }
    shown && (keys.len() < calls || calls == 1)
}

/// Takes a tuple apart.
fn untuple(row: &mut Row, kind: Kind) -> Result<(), ReadError> {
    match std::mem::take(&mut row.value) {
        Value::List(parts) if parts.len() == 2 => {
            let mut parts = parts.into_iter();
            row.key = parts.next().unwrap_or_default();
            row.value = parts.next().unwrap_or_default();
            Ok(())
        }
        // The value of an info or fail is not looked at.
        _ if matches!(kind, Kind::Info | Kind::Fail) => Ok(()),
        other => {
            let what = format!(
                "expected a [key value] tuple as in the rows before, found {other}; --independent no reads plain values"
            );
            Err(error(row.line, what))
        }
    }
}
