//! `operations.json` of etcd's robustness tests: one Porcupine operation as JSON a line.
//!
//! `{"ClientId":1,"Input":{…},"Call":120,"Output":{…},"Return":340}`, times in nanoseconds. The files of several
//! clients may stand one after the other. Here only stamps order events: they are sorted by time, and equal stamps
//! mean *concurrent*.
//!
//! | request | call |
//! | --- | --- |
//! | range of one key at the newest revision | `Read(key)`; the reply is the value, nil if there is none |
//! | unconditional txn of one put without a lease | `Write(key, value)` |
//! | unconditional txn of one delete | `Write(key, nil)` |
//! | anything else (`etcd-range`, `etcd-txn`, `etcd-leaseGrant`, …) | `Other`, with request and response as they are |
//!
//! A spec of registers sees nothing of `Other`, so a history with conditional txns or leases needs one that does.
//! A response with an error, or without return (2⁶³−1), is `info`, and the client goes on as a new process; one
//! with `ClientError` is `fail`. Values of 20 bytes and more are stored as hashes: `#fnv32a 123`. Read only.

use super::Format;
use super::edn::Dialect;
use super::ops::error;
use super::source::{Form, Source};
use crate::event::{Call, Error, Event, Outcome, Process, Reply};
use crate::jsonl::{Limits, ReadError, ReadOptions};
use crate::record::{Builder, Completeness, History};
use crate::value::Value;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

pub struct EtcdRobustness;

impl Format for EtcdRobustness {
    fn name(&self) -> &'static str {
        "etcd-robustness"
    }

    fn about(&self) -> &'static str {
        "operations.json of etcd's robustness tests: one Porcupine operation a line"
    }

    fn detect(&self, head: &[u8], _: &str) -> Option<u8> {
        let word = b"\"ClientId\"";
        let line = head.trim_ascii_start();
        let found = line[..line.len().min(4096)].windows(word.len()).any(|w| w == word);
        (line.starts_with(b"{") && found).then_some(95)
    }

    fn read(&self, input: &mut dyn BufRead, options: &ReadOptions) -> Result<History, ReadError> {
        let mut source = Source::new(input, options.limits, Dialect::Json);
        source.skip_mark()?;
        let (mut operations, mut cut) = (Vec::new(), None);
        loop {
            source.peek()?;
            let line = source.line();
            match source.form(|parser| parser.value())? {
                Form::Nothing => break,
                Form::Cut => {
                    cut = Some(line - 1);
                    break;
                }
                Form::Read(value) => operations.push(operation(&value, line).map_err(|e| error(line, e))?),
            }
            if operations.len() as u64 > options.limits.ops {
                return Err(error(line, Limits::reached("more than", options.limits.ops, "ops", "ops")));
            }
        }
        let mut builder = Builder::new().max_ops(options.limits.ops);
        for (line, event) in events(operations) {
            builder.push(&event, line).map_err(|e| error(line, e))?;
        }
        if let Some(lines) = cut {
            builder.history_mut().completeness = Completeness::Truncated { lines };
        }
        Ok(builder.finish_foreign())
    }

    fn write(&self, _: &History, _: &mut dyn Write) -> Option<io::Result<()>> {
        None
    }
}

struct Operation {
    line: u64,
    client: u32,
    call: Call,
    invoked: u64,
    /// `None`: never.
    returned: Option<u64>,
    outcome: Outcome,
}

fn operation(value: &Value, line: u64) -> Result<Operation, String> {
    let number = |field: &str| match value.get(field) {
        Some(Value::Int(i)) => Ok(*i),
        other => {
            Err(format!("expected a whole number as {field}, found {}", other.cloned().unwrap_or_default()))
        }
    };
    let client = number("ClientId")?;
    let client = u32::try_from(client)
        .map_err(|_| format!("expected a ClientId from 0 to 4294967295, found {client}"))?;
    let input = value.get("Input").ok_or("an operation without an Input")?;
    let output = value.get("Output").unwrap_or(&Value::Null);
    let call = call(input)?;
    let (invoked, returned) = (number("Call")?, number("Return")?);
    let Ok(invoked) = u64::try_from(invoked) else {
        return Err(format!("a Call before the beginning: {invoked} ns"));
    };
    let text = |field: &str| output.get(field).and_then(Value::as_text).filter(|t| !t.is_empty());
    let outcome = match (text("Error"), text("ClientError")) {
        _ if returned == i64::MAX => Outcome::Info(Error::new(text("Error").unwrap_or("never returned"))),
        (Some(error), _) => Outcome::Info(Error::new(error)),
        (None, Some(error)) => Outcome::Fail(Error::new(error)),
        _ if output.get("Persisted") == Some(&Value::Bool(true)) => {
            Outcome::Info(Error::new("response not seen"))
        }
        _ => Outcome::Ok(reply(&call, output)?),
    };
    let returned = (!matches!(outcome, Outcome::Info(_))).then_some(returned.max(0) as u64);
    if returned.is_some_and(|at| at < invoked) {
        return Err(format!("returns at {} before its call at {invoked}", returned.unwrap_or(0)));
    }
    Ok(Operation { line, client, call, invoked, returned, outcome })
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Int(0)) => true,
        Some(Value::Text(t)) => t.is_empty(),
        Some(Value::List(v)) => v.is_empty(),
        Some(_) => false,
    }
}

fn call(input: &Value) -> Result<Call, String> {
    let kind = input.get("Type").and_then(Value::as_text).ok_or("an Input without a Type")?;
    let field = |outer: &Value, name: &str| outer.get(name).cloned().unwrap_or_default();
    let simple = match kind {
        "range" => input
            .get("Range")
            .filter(|r| is_empty(r.get("End")) && is_empty(r.get("Revision")))
            .map(|r| Call::Read(field(r, "Start"))),
        "txn" => input.get("Txn").and_then(|txn| single(txn)).and_then(|operation| {
            match operation.get("Type").and_then(Value::as_text) {
                Some("put-operation") => operation
                    .get("Put")
                    .filter(|put| is_empty(put.get("LeaseID")))
                    .map(|put| Call::Write(field(put, "Key"), content(put.get("Value")))),
                Some("delete-operation") => {
                    operation.get("Delete").map(|d| Call::Write(field(d, "Key"), Value::Null))
                }
                _ => None,
            }
        }),
        _ => None,
    };
    Ok(simple.unwrap_or_else(|| Call::Other {
        f: format!("etcd-{kind}").into(),
        key: Value::Null,
        value: input.clone(),
    }))
}

/// The only operation of a txn without conditions.
fn single(txn: &Value) -> Option<&Value> {
    match txn.get("OperationsOnSuccess") {
        Some(Value::List(operations)) if operations.len() == 1 && is_empty(txn.get("Conditions")) => {
            operations.first()
        }
        _ => None,
    }
}

/// A stored value: its text, or its hash if it was long.
fn content(value: Option<&Value>) -> Value {
    let hash = value.and_then(|v| v.get("Hash")).filter(|h| !is_empty(Some(h)));
    match (hash, value.and_then(|v| v.get("Value"))) {
        (Some(hash), _) => Value::Tagged("fnv32a".into(), Box::new(hash.clone())),
        (None, text) => text.cloned().unwrap_or_else(|| Value::text("")),
    }
}

fn reply(call: &Call, output: &Value) -> Result<Reply, String> {
    Ok(match call {
        Call::Read(_) => {
            let range = output.get("Range").ok_or("a range without a response")?;
            let first = range.get("KVs").and_then(Value::elements).and_then(|kvs| kvs.first());
            Reply::Read(first.map_or(Value::Null, |kv| content(kv.get("Value"))))
        }
        Call::Write(..) => Reply::Done,
        _ => Reply::Read(output.clone()),
    })
}

/// Events by time, then by op, so that a client may return and call at one stamp; a client whose call stayed open goes on as a
/// new process, and the open call is given up when the client is next heard of.
fn events(mut operations: Vec<Operation>) -> Vec<(u64, Event)> {
    operations.sort_by_key(|o| (o.invoked, o.line));
    let end = operations.iter().map(|o| o.returned.unwrap_or(o.invoked)).max().unwrap_or(0);
    let mut fresh = operations.iter().map(|o| o.client).max().unwrap_or(0);
    let mut processes: BTreeMap<u32, u32> = BTreeMap::new();
    let mut open: BTreeMap<u32, usize> = BTreeMap::new();
    // Time, number of the edge, line.
    let mut edges: Vec<(u64, usize, u64, Event)> = Vec::new();
    for operation in operations {
        let Operation { line, client, call, invoked, returned, outcome } = operation;
        if let Some(at) = open.remove(&client) {
            edges[at].0 = invoked;
            fresh = fresh.saturating_add(1);
            processes.insert(client, fresh);
        }
        let process = Process(*processes.entry(client).or_insert(client));
        let invoke = Event::Invoke { time: invoked, process, node: None, call: call.clone(), last: false };
        edges.push((invoked, edges.len(), line, invoke));
        let time = returned.unwrap_or(end);
        edges.push((time, edges.len(), line, Event::Complete { time, process, call, outcome, server: None }));
        if returned.is_none() {
            open.insert(client, edges.len() - 1);
        }
    }
    edges.sort_by_key(|(time, number, ..)| (*time, *number));
    edges
        .into_iter()
        .map(|(at, _, line, mut event)| {
            if let Event::Complete { time, .. } = &mut event {
                *time = at;
            }
            (line, event)
        })
        .collect()
}
