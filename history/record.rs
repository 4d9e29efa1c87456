//! The validated record: columns, and the one door into them.
//!
//! [`Builder::push`] pairs completions with invocations and refuses, by name, every way a history can be
//! malformed; what comes out of [`Builder::finish`] needs no further checks by anyone.
//! An op costs 40 bytes beyond its distinct values. Not a parser: readers call the builder.

use crate::event::{
    Call, Error, Event, MicroOp, Nanos, NodeId, Outcome, Process, Reply, micro_ops, micro_ops_value,
};
use crate::fault::{Effect, Resolved, Strike};
use crate::lines::Lines;
use crate::ties::Ties;
use crate::value::{Interner, Value, ValueId};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// An op as an index into its history, in order of invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutcomeKind {
    Ok,
    Fail,
    Info,
}

/// The reply of an op in column form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyId {
    Done,
    Read(ValueId),
    Mismatch,
    /// Fail or info: there is none.
    Absent,
}

/// How a history can be malformed. Each names the line where it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    DoubleInvoke {
        process: Process,
        open_since: u64,
    },
    CompleteWithoutInvoke {
        process: Process,
    },
    ReusedAfterInfo {
        process: Process,
        info_at: u64,
    },
    /// By its own stamps a call ended before it began.
    EndsBeforeItBegins {
        process: Process,
        invoked: Nanos,
        completed: Nanos,
    },
    /// An event of one process is earlier than the event of another that stands before it.
    ClocksDiffer {
        process: Process,
        other: Process,
        from: Nanos,
        to: Nanos,
    },
    TimeGoesBack {
        from: Nanos,
        to: Nanos,
    },
    /// Events are missing between two that stand one after the other.
    Gap {
        expected: u64,
        found: i64,
    },
    OtherCall {
        invoked: String,
        completed: String,
    },
    UnknownType(String),
    BadValue(String),
    UnknownStrike(u32),
    TooMany {
        what: &'static str,
        limit: u64,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::DoubleInvoke { process, open_since } => write!(
                f,
                "double invoke: process {} invokes while its call of line {open_since} is still open",
                process.0
            ),
            Malformed::CompleteWithoutInvoke { process } => {
                write!(f, "completion without invocation: process {} has no open call", process.0)
            }
            Malformed::ReusedAfterInfo { process, info_at } => write!(
                f,
                "process reused after info: process {} ended in info at line {info_at} and must never appear again",
                process.0
            ),
            Malformed::EndsBeforeItBegins { process, invoked, completed } => write!(
                f,
                "completion before invocation: process {} completes at {completed} ns what it began at {invoked} ns",
                process.0
            ),
            Malformed::ClocksDiffer { process, other, from, to } => write!(
                f,
                "clocks per process: process {} is at {to} ns after process {} was at {from} ns; one monotonic clock for all is expected",
                process.0, other.0
            ),
            Malformed::Gap { expected, found } => write!(
                f,
                "gap: expected the event of index {expected}, found {found}; lines were lost, doubled or moved after they were written"
            ),
            Malformed::TimeGoesBack { from, to } => {
                write!(f, "time goes backwards: {to} ns after {from} ns; one monotonic clock is expected")
            }
            Malformed::OtherCall { invoked, completed } => {
                write!(
                    f,
                    "completion of another call: the open invocation is {invoked:?}, this completes {completed:?}"
                )
            }
            Malformed::UnknownType(t) => write!(f, "unknown type {t:?}: expected invoke, ok, fail or info"),
            Malformed::BadValue(why) => f.write_str(why),
            Malformed::UnknownStrike(id) => write!(f, "strike {id} was never begun"),
            Malformed::TooMany { what: "ops", limit } => {
                f.write_str(&crate::jsonl::Limits::reached("more than", limit, "ops", "ops"))
            }
            Malformed::TooMany { what, limit } => write!(f, "limit reached: more than {limit} {what}"),
        }
    }
}

impl std::error::Error for Malformed {}

/// Whether the record is whole.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Completeness {
    /// No header of ours: no footer is expected.
    #[default]
    Foreign,
    /// Header and a footer that matches.
    Whole,
    /// Header but no footer: readable up to `lines`; valid becomes *unknown: truncated*.
    Truncated { lines: u64 },
}

/// A strike as recorded, from plan to healed.
#[derive(Clone, Debug, PartialEq)]
pub struct StrikeRecord {
    pub id: u32,
    pub strike: Strike,
    pub begun: Nanos,
    pub confirmed: Option<(Nanos, Resolved, Effect)>,
    pub heal_begun: Option<Nanos>,
    pub healed: Option<(Nanos, Effect)>,
}

impl StrikeRecord {
    /// The stretch in which damage was measured: from its confirmation to the beginning of the heal.
    pub fn measured(&self) -> Option<(Nanos, Option<Nanos>)> {
        match &self.confirmed {
            Some((at, _, effect)) if effect.took => Some((*at, self.heal_begun)),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleChange {
    pub time: Nanos,
    pub node: NodeId,
    pub role: Box<str>,
    pub term: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    pub time: Nanos,
    pub f: Box<str>,
    pub value: Value,
    pub position: u32,
}

const OPEN: u32 = u32::MAX;
const NO_NODE: u8 = u8::MAX;
const NO_TIME: u32 = u32::MAX;
const LAST: u8 = 4;

/// Forty bytes an op.
#[derive(Clone, Copy, Debug)]
struct Row {
    invoked: Nanos,
    process: u32,
    key: ValueId,
    arg: ValueId,
    reply: ValueId,
    inv: u32,
    res: u32,
    /// Completion minus invocation in ns; `NO_TIME` when open or too long (then in `History::long`).
    took: u32,
    f: u8,
    /// Outcome in the low two bits, `LAST` above.
    flags: u8,
    node: u8,
    server: u8,
}

/// The functions known by number; others follow in `History::others`.
const KNOWN: [&str; 12] = [
    "read", "write", "cas", "add", "remove", "append", "enqueue", "dequeue", "acquire", "release",
    "generate", "txn",
];
const CAS: u8 = 2;
const TXN: u8 = 11;

/// Everything that was recorded, validated, read-only.
#[derive(Clone, Debug, Default)]
pub struct History {
    rows: Vec<Row>,
    values: Interner,
    pairs: Vec<(ValueId, ValueId)>,
    others: Vec<Box<str>>,
    long: BTreeMap<u32, Nanos>,
    events: u32,
    nodes: Vec<String>,
    strikes: Vec<StrikeRecord>,
    roles: Vec<RoleChange>,
    notes: Vec<Note>,
    ties: u64,
    end: Nanos,
    /// The header line of our own format, as parsed JSON; `Null` in a foreign history.
    pub header: serde_json::Value,
    pub completeness: Completeness,
    lines: Lines,
    /// The position in the file of each event, where equal stamps were made concurrent; else the position itself.
    recorded: Vec<u32>,
    concurrent_ties: bool,
    /// Ops whose completion repeats another argument than their invocation had.
    altered: Vec<OpId>,
}

/// One op, as checkers see it: a view, cheap to copy.
#[derive(Clone, Copy)]
pub struct Op<'h> {
    pub id: OpId,
    row: &'h Row,
    history: &'h History,
}

/// A short name for the borrowed view, where `Op` would be ambiguous.
pub type View<'h> = Op<'h>;

impl<'h> Op<'h> {
    pub fn process(&self) -> Process {
        Process(self.row.process)
    }

    /// The node that this client is bound to, if recorded.
    pub fn node(&self) -> Option<NodeId> {
        (self.row.node != NO_NODE).then_some(NodeId(self.row.node))
    }

    /// The node that answered, by its own word.
    pub fn server(&self) -> Option<NodeId> {
        (self.row.server != NO_NODE).then_some(NodeId(self.row.server))
    }

    pub fn f(&self) -> &'h str {
        match KNOWN.get(self.row.f as usize) {
            Some(f) => f,
            None => &self.history.others[self.row.f as usize - KNOWN.len()],
        }
    }

    pub fn key(&self) -> ValueId {
        self.row.key
    }

    /// The argument: what was written, added, appended, enqueued. For a cas use [`Op::cas`].
    pub fn arg(&self) -> ValueId {
        self.row.arg
    }

    /// Expected and new value of a compare-and-set.
    pub fn cas(&self) -> Option<(ValueId, ValueId)> {
        (self.row.f == CAS).then(|| self.history.pairs[self.row.arg.0 as usize])
    }

    pub fn kind(&self) -> OutcomeKind {
        match self.row.flags & 3 {
            0 => OutcomeKind::Ok,
            1 => OutcomeKind::Fail,
            _ => OutcomeKind::Info,
        }
    }

    pub fn is_ok(&self) -> bool {
        self.kind() == OutcomeKind::Ok
    }

    pub fn reply(&self) -> ReplyId {
        match (self.kind(), self.row.reply) {
            (OutcomeKind::Ok, ValueId::DONE) => ReplyId::Done,
            (OutcomeKind::Ok, ValueId::MISMATCH) => ReplyId::Mismatch,
            (OutcomeKind::Ok, id) => ReplyId::Read(id),
            _ => ReplyId::Absent,
        }
    }

    /// The value that was read, of an ok op that returned one.
    pub fn read(&self) -> Option<ValueId> {
        match self.reply() {
            ReplyId::Read(id) => Some(id),
            _ => None,
        }
    }

    /// Why it failed or is indeterminate.
    pub fn error(&self) -> Option<Error> {
        match (self.kind(), self.row.reply) {
            (OutcomeKind::Ok, _) | (_, ValueId::ABSENT) => None,
            (_, id) => self.history.values.value(id).as_text().map(Error::new),
        }
    }

    pub fn invoked(&self) -> Nanos {
        self.row.invoked
    }

    /// When it completed; `None` while open for ever (info). A `fail` has a time too.
    pub fn completed(&self) -> Option<Nanos> {
        match (self.kind(), self.row.took) {
            (OutcomeKind::Info, _) => None,
            (_, NO_TIME) => self.history.long.get(&self.id.0).map(|took| self.row.invoked + took),
            (_, took) => Some(self.row.invoked + took as Nanos),
        }
    }

    /// When an info was given up, if its line is there.
    pub fn gave_up(&self) -> Option<Nanos> {
        match self.row.took {
            NO_TIME => self.history.long.get(&self.id.0).map(|took| self.row.invoked + took),
            took => Some(self.row.invoked + took as Nanos),
        }
    }

    /// Position of the invocation among all events of the record.
    pub fn inv(&self) -> u32 {
        self.row.inv
    }

    /// Position of the completion; `u32::MAX` for an info: it is open for ever.
    pub fn res(&self) -> u32 {
        match self.kind() {
            OutcomeKind::Info => OPEN,
            _ => self.row.res,
        }
    }

    /// The line of the file on which it was invoked, from one; `None` in a history that no file was read for.
    pub fn line(&self) -> Option<u64> {
        self.history.lines.at(self.history.recorded(self.row.inv))
    }

    /// The line of its completion, also where that is an info.
    pub fn end_line(&self) -> Option<u64> {
        self.history.lines.at(self.history.recorded(self.row.res))
    }

    /// Asked in the final phase, after everything had healed.
    pub fn is_last(&self) -> bool {
        self.row.flags & LAST != 0
    }

    pub fn call(&self) -> Call {
        let h = self.history;
        let key = h.value(self.row.key);
        let value = match self.cas() {
            Some((old, new)) => Value::List(vec![h.value(old), h.value(new)]),
            None => h.value(self.row.arg),
        };
        Call::from_parts(self.f(), key.clone(), value.clone()).unwrap_or_else(|_| Call::Other {
            f: self.f().into(),
            key,
            value,
        })
    }

    pub fn outcome(&self) -> Outcome {
        let h = self.history;
        match self.kind() {
            OutcomeKind::Fail => Outcome::Fail(self.error().unwrap_or_default()),
            OutcomeKind::Info => Outcome::Info(self.error().unwrap_or_default()),
            OutcomeKind::Ok => Outcome::Ok(match self.reply() {
                ReplyId::Mismatch => Reply::Mismatch,
                ReplyId::Read(id) if self.row.f == TXN => match micro_ops(&h.value(id)) {
                    Ok(ops) => Reply::Txn(ops),
                    Err(_) => Reply::Read(h.value(id)),
                },
                ReplyId::Read(id) => Reply::Read(h.value(id)),
                _ => Reply::Done,
            }),
        }
    }
}

impl fmt::Debug for Op<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "#{} p{} {} {:?} [{}..{}]",
            self.id.0,
            self.row.process,
            self.call(),
            self.outcome(),
            self.inv(),
            self.res()
        )
    }
}

impl History {
    /// Number of ops, failed ones included.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn op(&self, id: OpId) -> Op<'_> {
        Op { id, row: &self.rows[id.0 as usize], history: self }
    }

    /// All ops in order of invocation.
    pub fn ops(&self) -> impl DoubleEndedIterator<Item = Op<'_>> + ExactSizeIterator + Clone {
        self.rows.iter().enumerate().map(|(i, row)| Op { id: OpId(i as u32), row, history: self })
    }

    /// The ops of each key, keys in order of first appearance.
    pub fn by_key(&self) -> Vec<(ValueId, Vec<OpId>)> {
        let mut at: HashMap<ValueId, usize> = HashMap::new();
        let mut groups: Vec<(ValueId, Vec<OpId>)> = Vec::new();
        for op in self.ops() {
            let slot = *at.entry(op.key()).or_insert_with(|| {
                groups.push((op.key(), Vec::new()));
                groups.len() - 1
            });
            groups[slot].1.push(op.id);
        }
        groups
    }

    pub fn values(&self) -> &Interner {
        &self.values
    }

    pub fn value(&self, id: ValueId) -> Value {
        self.values.value(id)
    }

    /// Makes known a value that a judge brings along and no op has: the first value of a register.
    pub fn know(&mut self, value: &Value) -> ValueId {
        self.values.id(value)
    }

    /// Names of the nodes, by [`NodeId`].
    pub fn nodes(&self) -> &[String] {
        &self.nodes
    }

    pub fn node_name(&self, id: NodeId) -> &str {
        self.nodes.get(id.0 as usize).map_or("?", String::as_str)
    }

    pub fn strikes(&self) -> &[StrikeRecord] {
        &self.strikes
    }

    pub fn roles(&self) -> &[RoleChange] {
        &self.roles
    }

    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Events in the record, of every kind.
    pub fn events(&self) -> u32 {
        self.events
    }

    /// Neighbouring events with equal time stamps.
    pub fn ties(&self) -> u64 {
        self.ties
    }

    /// Whether equal time stamps were taken as concurrent, whatever the order of the lines; else that order counts.
    pub fn ties_are_concurrent(&self) -> bool {
        self.concurrent_ties
    }

    /// Where the event at a position stands in the file.
    pub(crate) fn recorded(&self, position: u32) -> u32 {
        self.recorded.get(position as usize).copied().unwrap_or(position)
    }

    /// Ops whose completion repeats another argument than their invocation had; that of the invocation counts.
    pub fn altered(&self) -> &[OpId] {
        &self.altered
    }

    /// Time of the last event.
    pub fn end(&self) -> Nanos {
        self.end
    }

    /// A string field of the header of our own format.
    pub fn header_text(&self, field: &str) -> Option<&str> {
        self.header.get(field)?.as_str()
    }

    /// Heap bytes of the columns, for memory accounting.
    pub fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
            + self.pairs.capacity() * 8
            + self.values.len() * 64
            + self.lines.bytes()
            + self.recorded.capacity() * 4
    }
}

/// The one door: events in, in order, each checked against what came before.
#[derive(Default)]
pub struct Builder {
    history: History,
    pair_ids: HashMap<(ValueId, ValueId), u32>,
    node_ids: HashMap<String, NodeId>,
    open: HashMap<Process, (u32, u64)>,
    retired: HashMap<Process, u64>,
    max_ops: u64,
    /// Whose event was the last, if a process's.
    latest: Option<Process>,
    ties: Ties,
}

/// Calls that may be open at once. A file of more is no recording of clients, and each costs memory until it ends.
pub const MOST_OPEN: usize = 1 << 20;

impl Builder {
    pub fn new() -> Builder {
        Builder { max_ops: 100_000_000, ..Builder::default() }
    }

    /// A lower limit on the number of ops.
    pub fn max_ops(mut self, limit: u64) -> Builder {
        self.max_ops = limit;
        self
    }

    /// The id of a node's name, given out in order of first use.
    pub fn node(&mut self, name: &str) -> Result<NodeId, Malformed> {
        if let Some(id) = self.node_ids.get(name) {
            return Ok(*id);
        }
        if self.history.nodes.len() >= NO_NODE as usize {
            return Err(Malformed::TooMany { what: "nodes", limit: 254 });
        }
        let id = NodeId(self.history.nodes.len() as u8);
        self.history.nodes.push(name.to_string());
        self.node_ids.insert(name.to_string(), id);
        Ok(id)
    }

    /// The call that a process has open.
    pub fn open(&self, process: Process) -> Option<Op<'_>> {
        self.open.get(&process).map(|(id, _)| self.history.op(OpId(*id)))
    }

    /// Says that the completion just pushed, or the one about to be, repeats another argument than was asked.
    pub(crate) fn alter(&mut self, id: OpId) {
        self.history.altered.push(id);
    }

    /// Takes the next event. `line` is where the reader found it, from one, and kept for messages; 0: nowhere.
    pub fn push(&mut self, event: &Event, line: u64) -> Result<(), Malformed> {
        self.advance(event)?;
        let position = self.history.events;
        match event {
            Event::Invoke { time, process, node, call, last } => {
                self.invoke(*time, *process, *node, call, *last, line)?
            }
            Event::Complete { time, process, call, outcome, server } => {
                self.complete(*time, *process, call, outcome, *server, line)?
            }
            Event::StrikeBegin { time, id, strike } => self.history.strikes.push(StrikeRecord {
                id: *id,
                strike: strike.clone(),
                begun: *time,
                confirmed: None,
                heal_begun: None,
                healed: None,
            }),
            Event::StrikeConfirmed { time, id, resolved, effect } => {
                self.strike(*id)?.confirmed = Some((*time, resolved.clone(), effect.clone()));
            }
            Event::HealBegin { time, id } => self.strike(*id)?.heal_begun = Some(*time),
            Event::HealConfirmed { time, id, effect } => {
                self.strike(*id)?.healed = Some((*time, effect.clone()))
            }
            Event::Role { time, node, role, term } => self.history.roles.push(RoleChange {
                time: *time,
                node: *node,
                role: role.clone(),
                term: *term,
            }),
            Event::Note { time, f, value } => {
                self.history.notes.push(Note { time: *time, f: f.clone(), value: value.clone(), position })
            }
        }
        self.history.events += 1;
        self.history.lines.push(line);
        Ok(())
    }

    fn advance(&mut self, event: &Event) -> Result<(), Malformed> {
        let time = event.time();
        if time < self.history.end {
            return Err(self.backwards(event));
        }
        self.latest = process_of(event);
        let h = &mut self.history;
        // What a reader adds at the end is no event of the file.
        let added = matches!(event, Event::Note { f, .. } if &**f == "import");
        if time == h.end && h.events > 0 && !added {
            h.ties += 1;
            self.ties.join(h.events);
        }
        h.end = time;
        Ok(())
    }

    /// By what name an event is refused that is earlier than the one before it.
    fn backwards(&self, event: &Event) -> Malformed {
        let (from, to) = (self.history.end, event.time());
        let Some(process) = process_of(event) else {
            return Malformed::TimeGoesBack { from, to };
        };
        let invoked = self.open(process).filter(|_| matches!(event, Event::Complete { .. }));
        match (invoked.map(|op| op.invoked()), self.latest) {
            (Some(invoked), _) if to < invoked => {
                Malformed::EndsBeforeItBegins { process, invoked, completed: to }
            }
            (_, Some(other)) if other != process => Malformed::ClocksDiffer { process, other, from, to },
            _ => Malformed::TimeGoesBack { from, to },
        }
    }

    fn strike(&mut self, id: u32) -> Result<&mut StrikeRecord, Malformed> {
        self.history.strikes.iter_mut().rev().find(|s| s.id == id).ok_or(Malformed::UnknownStrike(id))
    }

    fn function(&mut self, call: &Call) -> Result<u8, Malformed> {
        let name = call.f();
        let h = &mut self.history;
        if let Some(f) = KNOWN.iter().position(|k| *k == name) {
            return Ok(f as u8);
        }
        let at = match h.others.iter().position(|o| **o == *name) {
            Some(at) => at,
            None => {
                h.others.push(name.into());
                h.others.len() - 1
            }
        };
        u8::try_from(at + KNOWN.len())
            .map_err(|_| Malformed::TooMany { what: "different functions", limit: 243 })
    }

    fn argument(&mut self, call: &Call) -> ValueId {
        let h = &mut self.history;
        match call {
            Call::Cas(_, old, new) => {
                let pair = (h.values.id(old), h.values.id(new));
                let pairs = &mut h.pairs;
                ValueId(*self.pair_ids.entry(pair).or_insert_with(|| {
                    pairs.push(pair);
                    pairs.len() as u32 - 1
                }))
            }
            Call::Write(_, v)
            | Call::Add(_, v)
            | Call::Remove(_, v)
            | Call::Append(_, v)
            | Call::Enqueue(_, v)
            | Call::Other { value: v, .. } => h.values.id(v),
            other => h.values.id(&other.value()),
        }
    }

    fn invoke(
        &mut self,
        time: Nanos,
        process: Process,
        node: Option<NodeId>,
        call: &Call,
        last: bool,
        line: u64,
    ) -> Result<(), Malformed> {
        if let Some(info_at) = self.retired.get(&process) {
            return Err(Malformed::ReusedAfterInfo { process, info_at: *info_at });
        }
        if let Some((_, open_since)) = self.open.get(&process) {
            return Err(Malformed::DoubleInvoke { process, open_since: *open_since });
        }
        if self.history.rows.len() as u64 >= self.max_ops {
            return Err(Malformed::TooMany { what: "ops", limit: self.max_ops });
        }
        if self.open.len() >= MOST_OPEN {
            return Err(Malformed::TooMany { what: "calls open at once", limit: MOST_OPEN as u64 });
        }
        let f = self.function(call)?;
        let arg = self.argument(call);
        let key = self.history.values.id(call.key());
        let id = self.history.rows.len() as u32;
        self.history.rows.push(Row {
            invoked: time,
            process: process.0,
            key,
            arg,
            reply: ValueId::ABSENT,
            inv: self.history.events,
            res: OPEN,
            took: NO_TIME,
            f,
            flags: 2 | if last { LAST } else { 0 },
            node: node.map_or(NO_NODE, |n| n.0),
            server: NO_NODE,
        });
        self.open.insert(process, (id, line));
        Ok(())
    }

    fn complete(
        &mut self,
        time: Nanos,
        process: Process,
        call: &Call,
        outcome: &Outcome,
        server: Option<NodeId>,
        line: u64,
    ) -> Result<(), Malformed> {
        let Some((id, _)) = self.open.remove(&process) else {
            return Err(match self.retired.get(&process) {
                Some(info_at) => Malformed::ReusedAfterInfo { process, info_at: *info_at },
                None => Malformed::CompleteWithoutInvoke { process },
            });
        };
        let h = &mut self.history;
        let invoked = h.op(OpId(id)).f();
        if invoked != call.f() {
            return Err(Malformed::OtherCall { invoked: invoked.into(), completed: call.f().into() });
        }
        // A completion may leave out its key, but not name another.
        if !call.key().is_null() && !h.values.is(h.rows[id as usize].key, call.key()) {
            let named = |key: &Value| format!("{} {}", call.f(), key.to_plain());
            let invoked = named(&h.value(h.rows[id as usize].key));
            return Err(Malformed::OtherCall { invoked, completed: named(call.key()) });
        }
        let (kind, reply) = match outcome {
            Outcome::Ok(Reply::Done) => (0, ValueId::DONE),
            Outcome::Ok(Reply::Mismatch) => (0, ValueId::MISMATCH),
            Outcome::Ok(Reply::Read(v)) => (0, h.values.id(v)),
            Outcome::Ok(Reply::Txn(ops)) => (0, h.values.id(&micro_ops_value(ops))),
            Outcome::Fail(e) => (1, h.values.id(&Value::Text(e.0.clone()))),
            Outcome::Info(e) => (2, h.values.id(&Value::Text(e.0.clone()))),
        };
        let row = &mut h.rows[id as usize];
        row.flags = (row.flags & !3) | kind;
        row.reply = reply;
        row.res = h.events;
        row.server = server.map_or(NO_NODE, |n| n.0);
        match u32::try_from(time - row.invoked) {
            Ok(took) if took != NO_TIME => row.took = took,
            _ => {
                h.long.insert(id, time - row.invoked);
            }
        }
        if kind == 2 {
            self.retired.insert(process, line);
        }
        Ok(())
    }

    /// As [`Builder::finish`], with equal time stamps made concurrent: completions go behind the other events of
    /// their stamp. For records of others than ours; one without any time is left as it is.
    pub fn finish_foreign(mut self) -> History {
        self.history.concurrent_ties = self.history.end > 0;
        if self.history.concurrent_ties {
            self.spread_ties();
        }
        self.finish()
    }

    fn spread_ties(&mut self) {
        let h = &mut self.history;
        let mut ends = vec![false; h.events as usize];
        h.rows.iter().filter(|r| r.res != OPEN).for_each(|r| ends[r.res as usize] = true);
        let Some(recorded) = self.ties.spread(h.events, |p| ends[p as usize]) else { return };
        let mut now = vec![0; recorded.len()];
        recorded.iter().enumerate().for_each(|(new, old)| now[*old as usize] = new as u32);
        for row in &mut h.rows {
            row.inv = now[row.inv as usize];
            if row.res != OPEN {
                row.res = now[row.res as usize];
            }
        }
        h.notes.iter_mut().for_each(|note| note.position = now[note.position as usize]);
        h.recorded = recorded;
    }

    /// Calls still open stay open: they are info.
    pub fn finish(mut self) -> History {
        self.history.rows.shrink_to_fit();
        self.history
    }

    /// The history so far, to set header and completeness on.
    pub fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }
}

fn process_of(event: &Event) -> Option<Process> {
    match event {
        Event::Invoke { process, .. } | Event::Complete { process, .. } => Some(*process),
        _ => None,
    }
}

impl History {
    /// Builds from events in order; positions in the slice (1-based) stand for lines in errors.
    pub fn from_events<'e>(events: impl IntoIterator<Item = &'e Event>) -> Result<History, (u64, Malformed)> {
        let mut builder = Builder::new();
        for (i, event) in events.into_iter().enumerate() {
            builder.push(event, i as u64 + 1).map_err(|e| (i as u64 + 1, e))?;
        }
        Ok(builder.finish())
    }
}

/// The micro-ops of a transaction: what was asked, and what was answered where it was.
impl Op<'_> {
    pub fn micro_ops(&self) -> Option<Vec<MicroOp>> {
        match (self.outcome(), self.call()) {
            (Outcome::Ok(Reply::Txn(ops)), _) => Some(ops),
            (_, Call::Txn(ops)) => Some(ops),
            _ => None,
        }
    }
}
