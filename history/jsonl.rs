//! Our own file: a header line, one JSON object a line in Jepsen's shape, a footer line.
//!
//! ```text
//! {"schism":1,"tool":"0.1.0","run":"…","seed":7,"nodes":["n1","n2","n3"],…}
//! {"index":0,"time":13716191,"process":2,"type":"invoke","f":"cas","key":"x","value":[1,2],"node":"n3"}
//! {"footer":{"events":2,"ops":1,"sha256":"…"}}
//! ```
//!
//! A file without the header is foreign and needs no footer. A last line without its newline is what a crash
//! leaves: everything before it is read and the record is marked truncated. Unknown fields are ignored.
//! The writer formats by hand because it sits on the recording path; the reader is serde.

mod usual;

use crate::event::{Call, Error, Event, NodeId, Outcome, Process, Reply, micro_ops_value, takes};
use crate::formats::edn::{Dialect, Fault, Parser};
use crate::record::{Builder, Completeness, History, Malformed};
use crate::value::{Value, write_int};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, Write};

/// Version of the header and of everything below it.
pub const SCHEMA: u32 = 1;

/// What every header of ours carries; the rest of the line is free and kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// Schema version; the field that makes the line a header.
    pub schism: u32,
    pub tool: String,
    pub run: String,
    pub seed: u64,
    pub clock: String,
    pub nodes: Vec<String>,
    /// Everything else a judge may want: workload, target, bug, concurrency, command.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

/// Bounds on hostile input. Exceeding one is an error that names it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a line, or of a form that is not bound to a line.
    pub line: usize,
    /// Bytes of one value as written. A list of small numbers takes sixteen times as much memory.
    pub value: usize,
    /// Bytes of the file, unpacked.
    pub bytes: u64,
    pub ops: u64,
    pub keys: u64,
    /// Bytes that a packed file may unpack to; 20 times what it has (64 MiB to 8 GiB) where not said.
    pub unpacked: Option<u64>,
}

impl Limits {
    /// The word of each for `--limit`.
    pub const NAMES: [&'static str; 6] = ["line", "value", "file", "ops", "keys", "unpacked"];

    /// Sets the limit of that word; `false` where there is none.
    pub fn set(&mut self, name: &str, to: u64) -> bool {
        let size = usize::try_from(to).unwrap_or(usize::MAX);
        match name {
            "line" => self.line = size,
            "value" => self.value = size,
            "file" => self.bytes = to,
            "ops" => self.ops = to,
            "keys" => self.keys = to,
            "unpacked" => self.unpacked = Some(to),
            _ => return false,
        }
        true
    }

    /// How a reached limit is said: what was too much, the limit, and the word that raises it.
    pub fn reached(what: &str, limit: impl fmt::Display, unit: &str, name: &str) -> String {
        format!("limit reached: {what} {limit} {unit}; --limit {name}=N raises it")
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            line: 16 << 20,
            value: 1 << 20,
            bytes: 4 << 30,
            ops: 100_000_000,
            keys: 10_000_000,
            unpacked: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    pub limits: Limits,
    /// A `fail` of a cas whose error is not `mismatch` is evidence too (`--cas-fail mismatch`).
    pub any_failed_cas_is_mismatch: bool,
    /// Whether values of a foreign history are `[key value]` tuples; by the look of them where not said.
    pub independent: Option<bool>,
}

/// Why a file could not be read: where, and what was expected.
#[derive(Debug)]
pub struct ReadError {
    pub line: u64,
    pub column: usize,
    pub what: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)
    }
}

impl std::error::Error for ReadError {}

/// Appends events as lines, hashing what it writes.
pub struct Writer<W: Write> {
    out: W,
    hash: Sha256,
    line: Vec<u8>,
    nodes: Vec<String>,
    events: u64,
    ops: u64,
}

impl<W: Write> Writer<W> {
    pub fn new(mut out: W, header: &Header) -> io::Result<Writer<W>> {
        let mut line = serde_json::to_vec(header)?;
        line.push(b'\n');
        let mut hash = Sha256::new();
        hash.update(&line);
        out.write_all(&line)?;
        Ok(Writer { out, hash, line, nodes: header.nodes.clone(), events: 0, ops: 0 })
    }

    /// One line for one event; returns its index. Durable only when the caller has synced the sink.
    pub fn event(&mut self, event: &Event) -> io::Result<u64> {
        let index = self.events;
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        self.format(event, &mut line)?;
        self.hash.update(&line);
        let written = self.out.write_all(&line);
        self.line = line;
        written?;
        self.events += 1;
        self.ops += matches!(event, Event::Invoke { .. }) as u64;
        Ok(index)
    }

    fn format(&self, event: &Event, line: &mut Vec<u8>) -> io::Result<()> {
        line.extend_from_slice(b"{\"index\":");
        write_int(self.events as i64, line);
        line.extend_from_slice(b",\"time\":");
        write_int(event.time() as i64, line);
        match event {
            Event::Invoke { process, node, call, last, .. } => {
                self.client(*process, "invoke", call, &call.value(), line);
                self.name("node", *node, line);
                if *last {
                    line.extend_from_slice(b",\"final\":true");
                }
            }
            Event::Complete { process, call, outcome, server, .. } => {
                let (value, error) = match outcome {
                    Outcome::Ok(Reply::Read(v)) => (v.clone(), None),
                    Outcome::Ok(Reply::Txn(ops)) => (micro_ops_value(ops), None),
                    Outcome::Ok(Reply::Mismatch) => (call.value(), Some("mismatch")),
                    Outcome::Ok(Reply::Done) => (call.value(), None),
                    Outcome::Fail(e) | Outcome::Info(e) => (call.value(), Some(&*e.0)),
                };
                self.client(*process, outcome.kind(), call, &value, line);
                self.name("server", *server, line);
                if let Some(error) = error {
                    line.extend_from_slice(b",\"error\":");
                    serde_json::to_writer(&mut *line, error)?;
                }
            }
            other => {
                line.extend_from_slice(b",\"process\":\"nemesis\",\"type\":\"info\",\"f\":");
                let (f, value) = nemesis_line(other)?;
                serde_json::to_writer(&mut *line, &f)?;
                line.extend_from_slice(b",\"value\":");
                serde_json::to_writer(&mut *line, &value)?;
            }
        }
        line.extend_from_slice(b"}\n");
        Ok(())
    }

    fn client(&self, process: Process, kind: &str, call: &Call, value: &Value, line: &mut Vec<u8>) {
        line.extend_from_slice(b",\"process\":");
        write_int(process.0 as i64, line);
        line.extend_from_slice(b",\"type\":\"");
        line.extend_from_slice(kind.as_bytes());
        line.extend_from_slice(b"\",\"f\":");
        Value::text(call.f()).write_json(line);
        if !call.key().is_null() {
            line.extend_from_slice(b",\"key\":");
            call.key().write_json(line);
        }
        line.extend_from_slice(b",\"value\":");
        value.write_json(line);
    }

    fn name(&self, field: &str, node: Option<NodeId>, line: &mut Vec<u8>) {
        if let Some(name) = node.and_then(|n| self.nodes.get(n.0 as usize)) {
            line.extend_from_slice(b",\"");
            line.extend_from_slice(field.as_bytes());
            line.extend_from_slice(b"\":");
            Value::text(name).write_json(line);
        }
    }

    /// Writes the footer; a file without one is a run that did not end well.
    pub fn finish(mut self) -> io::Result<W> {
        let hash = hex(&self.hash.finalize());
        let footer = Footer { events: self.events, ops: self.ops, sha256: hash };
        writeln!(self.out, "{{\"footer\":{}}}", serde_json::to_string(&footer)?)?;
        Ok(self.out)
    }

    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[derive(Serialize, Deserialize)]
struct Footer {
    events: u64,
    ops: u64,
    sha256: String,
}

fn nemesis_line(event: &Event) -> io::Result<(Cow<'_, str>, serde_json::Value)> {
    use serde_json::json;
    Ok(match event {
        Event::StrikeBegin { id, strike, .. } => ("strike".into(), json!({"id": id, "strike": strike})),
        Event::StrikeConfirmed { id, resolved, effect, .. } => {
            ("strike-confirmed".into(), json!({"id": id, "resolved": resolved, "effect": effect}))
        }
        Event::HealBegin { id, .. } => ("heal".into(), json!({"id": id})),
        Event::HealConfirmed { id, effect, .. } => {
            ("heal-confirmed".into(), json!({"id": id, "effect": effect}))
        }
        Event::Role { node, role, term, .. } => {
            ("role".into(), json!({"node": node, "role": role, "term": term}))
        }
        Event::Note { f, value, .. } => (f.as_ref().into(), value.to_json()),
        Event::Invoke { .. } | Event::Complete { .. } => unreachable!("client events have their own shape"),
    })
}

/// Lines of the nemesis that mean something.
const STRIKES: [&str; 5] = ["strike", "strike-confirmed", "heal", "heal-confirmed", "role"];

/// What the indices of a foreign history say about its wholeness.
#[derive(Default)]
pub(crate) struct Gaps {
    last: Option<i64>,
    /// How often the next was not one more.
    pub gaps: u64,
    /// How often it was not even more.
    pub shuffled: u64,
}

impl Gaps {
    pub fn next(&mut self, index: i64) {
        if let Some(last) = self.last {
            self.gaps += (index > last.saturating_add(1)) as u64;
            self.shuffled += (index <= last) as u64;
        }
        self.last = Some(index);
    }

    /// Counts and words, for notes named `import`.
    pub fn said(&self) -> [(u64, &'static str); 2] {
        [(self.shuffled, SHUFFLED), (self.gaps, GAPS)]
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    index: Option<i64>,
    time: Option<i64>,
    #[serde(borrow)]
    process: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    f: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    node: Option<Cow<'a, str>>,
    #[serde(borrow)]
    server: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(rename = "final", default)]
    last: bool,
}

/// Reads a history of our shape, with or without header. One pass; memory is the columns.
pub fn read(input: impl BufRead, options: &ReadOptions) -> Result<History, ReadError> {
    let mut reader = Reader::new(options, None);
    reader.lines(input)?;
    reader.finish()
}

/// Takes the events as they come; the error becomes that of the line.
pub type Sink<'a> = &'a mut dyn FnMut(Event, u64) -> Result<(), String>;

/// Reads the same files without keeping anything: every event and its line (from 1) goes to `sink`. What comes back
/// has the header and says how complete the record is, and has no ops. That calls and answers fit together is for
/// the sink to see to. Nodes and servers of the usual lines are not looked up.
pub fn stream(input: impl BufRead, options: &ReadOptions, sink: Sink<'_>) -> Result<History, ReadError> {
    let mut reader = Reader::new(options, Some(sink));
    reader.lines(input)?;
    reader.finish()
}

/// Line by line, each within the limits.
fn each_line(mut input: impl BufRead, reader: &mut Reader<'_>) -> Result<(), ReadError> {
    let options = reader.options;
    let mut line = Vec::new();
    let mut total = 0u64;
    loop {
        line.clear();
        let limit = options.limits.line as u64 + 1;
        let n = io::Read::take(&mut input, limit)
            .read_until(b'\n', &mut line)
            .map_err(|e| reader.error(1, format!("cannot read: {e}")))?;
        if n == 0 {
            break;
        }
        reader.number += 1;
        total += n as u64;
        if line.len() > options.limits.line {
            let limit = Limits::reached("a line of over", options.limits.line, "bytes", "line");
            return Err(reader.error(1, limit));
        }
        if total > options.limits.bytes {
            let limit = Limits::reached("a file of over", options.limits.bytes, "bytes", "file");
            return Err(reader.error(1, limit));
        }
        reader.line(&line)?;
    }
    Ok(())
}

struct Reader<'o> {
    /// Where events go instead of the columns.
    sink: Option<Sink<'o>>,
    /// The time of the last event that went there.
    latest: u64,
    builder: Builder,
    options: &'o ReadOptions,
    number: u64,
    hash: Sha256,
    own: bool,
    footer: Option<(Footer, String)>,
    truncated: bool,
    gaps: Gaps,
    lossy: u64,
}

impl<'o> Reader<'o> {
    fn new(options: &'o ReadOptions, sink: Option<Sink<'o>>) -> Reader<'o> {
        Reader {
            sink,
            latest: 0,
            builder: Builder::new().max_ops(options.limits.ops),
            options,
            number: 0,
            hash: Sha256::new(),
            own: false,
            footer: None,
            truncated: false,
            gaps: Gaps::default(),
            lossy: 0,
        }
    }

    fn lines(&mut self, input: impl BufRead) -> Result<(), ReadError> {
        each_line(input, self)
    }

    fn pour(&mut self, event: Event) -> Result<(), ReadError> {
        let (from, to) = (self.latest, event.time());
        if to < from {
            return Err(self.malformed(Malformed::TimeGoesBack { from, to }));
        }
        self.latest = to;
        match self.sink.as_mut().map_or(Ok(()), |sink| sink(event, self.number)) {
            Ok(()) => Ok(()),
            Err(what) => Err(self.error(1, what)),
        }
    }

    fn error(&self, column: usize, what: impl Into<String>) -> ReadError {
        ReadError { line: self.number.max(1), column, what: what.into() }
    }

    fn malformed(&self, what: Malformed) -> ReadError {
        self.error(1, what.to_string())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), ReadError> {
        let text = line.trim_ascii();
        let whole = line.last() == Some(&b'\n');
        if text.is_empty() {
            return Ok(());
        }
        if self.truncated || self.footer.is_some() {
            return Err(self.error(1, "a line after the end of the record"));
        }
        if self.own && text.starts_with(b"{\"footer\"") && whole {
            return self.end(text);
        }
        match self.event(text) {
            Err(_) if !whole => self.truncated = true,
            other => other?,
        }
        self.hash.update(line);
        Ok(())
    }

    fn end(&mut self, text: &[u8]) -> Result<(), ReadError> {
        #[derive(Deserialize)]
        struct Last {
            footer: Footer,
        }
        let last: Last = self.parse(text)?;
        let hash = hex(&std::mem::take(&mut self.hash).finalize());
        self.footer = Some((last.footer, hash));
        Ok(())
    }

    fn parse<'a, T: Deserialize<'a>>(&self, text: &'a [u8]) -> Result<T, ReadError> {
        serde_json::from_slice(text).map_err(|e| {
            let what = e.to_string();
            let what = what.rsplit_once(" at line").map_or(what.as_str(), |(w, _)| w);
            self.error(e.column(), format!("expected one JSON object a line: {what}"))
        })
    }

    fn event(&mut self, text: &[u8]) -> Result<(), ReadError> {
        if self.number == 1 && text.starts_with(b"{\"schism\":") {
            return self.header(text);
        }
        if self.sink.is_some()
            && let Some(event) = usual::event(text)
        {
            return self.pour(event);
        }
        let line: Line = self.parse(text)?;
        self.index(line.index)?;
        let time = match line.time {
            Some(t) if t >= 0 => t as u64,
            // As Jepsen writes a time that it does not have.
            Some(-1) | None if self.sink.is_some() => self.latest,
            Some(-1) | None => self.builder.history_mut().end(),
            Some(t) => return Err(self.error(1, format!("a time before the beginning: {t} ns"))),
        };
        let event = self.decode(&line, time)?;
        if self.sink.is_some() {
            return self.pour(event);
        }
        self.builder.push(&event, self.number).map_err(|e| self.malformed(e))
    }

    /// Our own lines are numbered without gaps; those of others may be an excerpt, which lint says.
    fn index(&mut self, index: Option<i64>) -> Result<(), ReadError> {
        // Nothing is kept of a stream, and its usual lines are not decoded whole.
        if self.sink.is_some() {
            return Ok(());
        }
        let Some(found) = index else { return Ok(()) };
        let expected = self.builder.history_mut().events() as u64;
        if self.own && found != expected as i64 {
            return Err(self.malformed(Malformed::Gap { expected, found }));
        }
        self.gaps.next(found);
        Ok(())
    }

    fn header(&mut self, text: &[u8]) -> Result<(), ReadError> {
        let header: Header = self.parse(text)?;
        if header.schism > SCHEMA {
            let what =
                format!("written by a newer schism: schema {}, this one reads up to {SCHEMA}", header.schism);
            return Err(self.error(1, what));
        }
        for name in &header.nodes {
            self.builder.node(name).map_err(|e| self.malformed(e))?;
        }
        self.builder.history_mut().header = self.parse(text)?;
        self.own = true;
        Ok(())
    }

    /// Integers stay exact at any size, which serde's own values do not keep.
    fn value(&mut self, raw: Option<&RawValue>) -> Result<Value, ReadError> {
        let Some(raw) = raw else { return Ok(Value::Null) };
        // Small integers are nearly every value there is.
        if let Ok(i) = raw.get().parse::<i64>() {
            return Ok(Value::Int(i));
        }
        let mut parser =
            Parser::new(raw.get().as_bytes(), true, Dialect::Json).limited(self.options.limits.value);
        let value = parser.value().map_err(|e| match e {
            Fault::At(_, what) => self.error(1, what),
            Fault::End => self.error(1, "a value that breaks off"),
        })?;
        self.lossy += parser.lossy;
        Ok(value)
    }

    /// `None`: the nemesis.
    fn process(&self, raw: Option<&RawValue>) -> Result<Option<Process>, ReadError> {
        let raw = raw.map_or("", RawValue::get);
        let word = raw.strip_prefix('"').and_then(|w| w.strip_suffix('"')).unwrap_or(raw);
        match word.parse::<u32>() {
            Ok(process) => Ok(Some(Process(process))),
            Err(_) if word.trim_start_matches(':') == "nemesis" => Ok(None),
            Err(_) => {
                let found = if raw.is_empty() { "none" } else { crate::formats::edn::short(raw) };
                Err(self.error(1, format!("expected a process: a number or \"nemesis\", found {found}")))
            }
        }
    }

    fn decode(&mut self, line: &Line, time: u64) -> Result<Event, ReadError> {
        let kind = line.kind.as_deref().unwrap_or("");
        let f = line.f.as_deref().unwrap_or("");
        let Some(process) = self.process(line.process)? else {
            return self.nemesis(f, line, time);
        };
        let node = match line.node.as_deref() {
            Some(name) => Some(self.builder.node(name).map_err(|e| self.malformed(e))?),
            None => None,
        };
        let server = match line.server.as_deref() {
            Some(name) if self.own => Some(self.builder.node(name).map_err(|e| self.malformed(e))?),
            _ => None,
        };
        let key = self.value(line.key)?;
        let value = self.value(line.value)?;
        let number = self.number;
        let bad = |what: String| ReadError { line: number.max(1), column: 1, what };
        if kind == "invoke" {
            if f.is_empty() {
                return Err(bad("an op without an f".into()));
            }
            let call = Call::from_parts(f, key, value).map_err(bad)?;
            return Ok(Event::Invoke { time, process, node, call, last: line.last });
        }
        let error = match self.value(line.error)? {
            Value::Null => Error::default(),
            Value::Text(t) => Error(t),
            other => Error::new(other.to_string()),
        };
        let asked = || {
            Call::from_parts(f, key.clone(), value.clone())
                .or_else(|_| Call::from_parts(f, key.clone(), Value::Null))
        };
        let (call, outcome) = match kind {
            "ok" => {
                let call = self.answered(process, f, key, &value).map_err(bad)?;
                let reply = call.reply(value).map_err(bad)?;
                (call, Outcome::Ok(reply))
            }
            "fail" => {
                let refused =
                    f == "cas" && (error.word() == "mismatch" || self.options.any_failed_cas_is_mismatch);
                let outcome = if refused { Outcome::Ok(Reply::Mismatch) } else { Outcome::Fail(error) };
                (asked().map_err(bad)?, outcome)
            }
            "info" => (asked().map_err(bad)?, Outcome::Info(error)),
            other => return Err(self.malformed(Malformed::UnknownType(other.to_string()))),
        };
        Ok(Event::Complete { time, process, call, outcome, server })
    }

    /// The call an `ok` line answers: for a read its value is the reply, not an argument, and for a call that we
    /// do not know it is a reply where it differs from what was asked.
    fn answered(&mut self, process: Process, f: &str, key: Value, value: &Value) -> Result<Call, String> {
        if matches!(f, "read" | "generate") || takes(f) {
            return Call::from_parts(f, key, Value::Null);
        }
        let Some(open) = self.builder.open(process).filter(|op| op.f() == f) else {
            return Call::from_parts(f, key, value.clone());
        };
        match open.call() {
            Call::Other { f, value, .. } => Ok(Call::Other { f, key, value }),
            Call::Acquire(_) => Ok(Call::Acquire(key)),
            // Whether the element was there, not the element come back.
            asked @ (Call::Add(..) | Call::Remove(..))
                if matches!(value, Value::Bool(_)) && asked.value() != *value =>
            {
                Call::from_parts(f, key, asked.value())
            }
            asked => {
                let (id, changed) = (open.id, !value.is_null() && asked.value() != *value);
                if changed && f != "txn" {
                    self.builder.alter(id);
                }
                Call::from_parts(f, key.clone(), value.clone())
                    .or_else(|_| Call::from_parts(f, key, asked.value()))
            }
        }
    }

    fn nemesis(&mut self, f: &str, line: &Line, time: u64) -> Result<Event, ReadError> {
        let raw = line.value.map_or("null", RawValue::get);
        fn own<'a, T: Deserialize<'a>>(raw: &'a str) -> Option<T> {
            serde_json::from_str(raw).ok()
        }
        #[derive(Deserialize)]
        struct Begin {
            id: u32,
            strike: crate::fault::Strike,
        }
        #[derive(Deserialize)]
        struct Confirmed {
            id: u32,
            resolved: crate::fault::Resolved,
            effect: crate::fault::Effect,
        }
        #[derive(Deserialize)]
        struct Heal {
            id: u32,
        }
        #[derive(Deserialize)]
        struct Healed {
            id: u32,
            effect: crate::fault::Effect,
        }
        #[derive(Deserialize)]
        struct Role {
            node: NodeId,
            role: Box<str>,
            term: u64,
        }
        let event =
            match f {
                _ if !self.own => None,
                "strike" => own(raw).map(|Begin { id, strike }| Event::StrikeBegin { time, id, strike }),
                "strike-confirmed" => own(raw).map(|Confirmed { id, resolved, effect }| {
                    Event::StrikeConfirmed { time, id, resolved, effect }
                }),
                "heal" => own(raw).map(|Heal { id }| Event::HealBegin { time, id }),
                "heal-confirmed" => {
                    own(raw).map(|Healed { id, effect }| Event::HealConfirmed { time, id, effect })
                }
                "role" => own(raw).map(|Role { node, role, term }| Event::Role { time, node, role, term }),
                _ => None,
            };
        match event {
            Some(event) => Ok(event),
            None if self.own && STRIKES.contains(&f) => {
                Err(self.error(1, format!("the value of a {f} line is not what this version writes")))
            }
            None => Ok(Event::Note { time, f: f.into(), value: self.value(line.value)? }),
        }
    }

    fn finish(mut self) -> Result<History, ReadError> {
        let lines = self.number - self.truncated as u64;
        let completeness = match self.footer.take() {
            Some((footer, hash)) if footer.sha256 != hash => {
                let what = "the footer's sha256 does not match the lines above it: the file was changed after the run";
                return Err(self.error(1, what));
            }
            Some(_) => Completeness::Whole,
            None if self.own || self.truncated => Completeness::Truncated { lines },
            None => Completeness::Foreign,
        };
        let said = self.gaps.said().into_iter().chain([(self.lossy, LOSSY)]);
        import_notes(&mut self.builder, said)?;
        self.builder.history_mut().completeness = completeness;
        // Our own recorder numbers events as they happen; of others only the stamps are known.
        Ok(if self.own { self.builder.finish() } else { self.builder.finish_foreign() })
    }
}

pub(crate) const SHUFFLED: &str =
    "rows have an :index below that of the row before: position in the file is the order";
pub(crate) const GAPS: &str = "gaps in :index: rows were left out or lost";
pub(crate) const BACKWARDS: &str =
    "times went backwards and were raised to the one before: position in the file is the order";
pub(crate) const TUPLES: &str =
    "rows have [key value] tuples as values, by the look of them; --independent no reads them as plain pairs";

/// What is said where bytes or escapes are no text.
pub(crate) const LOSSY: &str = "strings or names are not Unicode; they are kept as U+FFFD and hex digits";

/// Puts what had to be bent to read a file into notes named `import`.
pub(crate) fn import_notes<'w>(
    builder: &mut Builder,
    said: impl IntoIterator<Item = (u64, &'w str)>,
) -> Result<(), ReadError> {
    let time = builder.history_mut().end();
    for (count, what) in said.into_iter().filter(|(count, _)| *count > 0) {
        let value = Value::text(&format!("{count} {what}"));
        let note = Event::Note { time, f: "import".into(), value };
        builder.push(&note, 0).map_err(|e| ReadError { line: 1, column: 1, what: e.to_string() })?;
    }
    Ok(())
}
