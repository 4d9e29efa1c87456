//! The ops of a history as delta-coded columns, compressed, for the timeline to read.
//!
//! Layout before compression: a 4-byte little-endian length, that many bytes of JSON (see [`Columns::head`]), then
//! the columns one after the other, each a 4-byte length and its varints. Ops are in order of invocation.
//! Values that are integers are coded against the last integer seen on the same key, which makes most of them one
//! byte; everything else is an index into a table of strings. When the result is above the cap, precision goes
//! first, then the values, then ok ops in between; the head says what was left out. No drawing here.

use super::words::{cut, cut_front, outcome, plain, timed};
use base64::Engine;
use flate2::{Compression, write::GzEncoder};
use history::{History, Nanos, Op, ReplyId, Value, ValueId};
use serde_json::{Value as Json, json};
use std::collections::{BTreeSet, HashMap};
use std::io::Write;

/// Bytes of base64 that the columns may take in the page.
pub const CAP: usize = 640_000;

/// The names of the columns, in file order.
const NAMES: [&str; 10] = ["at", "took", "process", "f", "key", "node", "out", "arg", "arg2", "reply"];

/// What is kept at each step down; the first whose result fits is taken.
struct Detail {
    /// The time unit is at least the span divided by this.
    ticks: u64,
    text: usize,
    values: bool,
    /// Of ok ops outside `keep`, one in this many.
    every: usize,
}

const DETAILS: [Detail; 6] = [
    Detail { ticks: u64::MAX, text: 80, values: true, every: 1 },
    Detail { ticks: 4_000_000, text: 40, values: true, every: 1 },
    Detail { ticks: 1_000_000, text: 16, values: true, every: 1 },
    Detail { ticks: 500_000, text: 0, values: false, every: 1 },
    Detail { ticks: 500_000, text: 0, values: false, every: 8 },
    Detail { ticks: 200_000, text: 0, values: false, every: 64 },
];

/// Base64 of gzip of the columns: safe in a script element as it is. `keep`: ops that are never left out.
/// `more` is put into the head beside what the columns need. Cost: one pass and one compression a step.
pub fn encode(history: &History, keep: &BTreeSet<u32>, more: &Json) -> std::io::Result<String> {
    let mut last = String::new();
    for detail in &DETAILS {
        let raw = Columns::new(history, detail).build(keep, more);
        // No history was seen to shrink sixfold: the compression of a hopeless one is saved.
        let last_try = std::ptr::eq(detail, &DETAILS[DETAILS.len() - 1]);
        if raw.len() > CAP * 9 / 2 && !last_try {
            continue;
        }
        let mut gz = GzEncoder::new(Vec::new(), Compression::new(6));
        gz.write_all(&raw)?;
        last = base64::engine::general_purpose::STANDARD.encode(gz.finish()?);
        if last.len() <= CAP {
            break;
        }
    }
    Ok(last)
}

/// Begin and end of an op on the axis of the timeline: in seconds, or places in the order where the record has no times.
pub fn span(history: &History, op: &Op<'_>) -> (f64, f64) {
    match timed(history) {
        true => (op.invoked() as f64 / 1e9, op.gave_up().unwrap_or(history.end()) as f64 / 1e9),
        false => (op.inv() as f64, op.res().min(history.events()) as f64),
    }
}

/// Where that axis ends.
pub fn end(history: &History) -> f64 {
    if timed(history) { history.end() as f64 / 1e9 } else { history.events() as f64 }
}

struct Columns<'h> {
    history: &'h History,
    detail: &'h Detail,
    /// Where the record has no times, places in its order are coded instead, and the unit is one event.
    timed: bool,
    unit: Nanos,
    bytes: Vec<Vec<u8>>,
    strings: Vec<String>,
    ids: HashMap<String, u64>,
    functions: Vec<String>,
    keys: HashMap<ValueId, u64>,
    key_names: Vec<String>,
    nodes_of: HashMap<u32, u64>,
    near: HashMap<ValueId, i64>,
}

impl<'h> Columns<'h> {
    fn new(history: &'h History, detail: &'h Detail) -> Columns<'h> {
        let unit = (history.end() / detail.ticks).max(1000);
        Columns {
            history,
            detail,
            timed: timed(history),
            unit,
            bytes: vec![Vec::new(); NAMES.len()],
            strings: Vec::new(),
            ids: HashMap::new(),
            functions: Vec::new(),
            keys: HashMap::new(),
            key_names: Vec::new(),
            nodes_of: HashMap::new(),
            near: HashMap::new(),
        }
    }

    fn build(mut self, keep: &BTreeSet<u32>, more: &Json) -> Vec<u8> {
        let (mut before, mut kept, mut ids) = (0, 0u64, Vec::new());
        let thin = self.detail.every > 1;
        for op in self.history.ops() {
            let wanted = outcome(&op) != "ok" || keep.contains(&op.id.0);
            if thin && !wanted && !(op.id.0 as usize).is_multiple_of(self.detail.every) {
                continue;
            }
            if thin {
                ids.push(op.id.0);
            }
            let at = if self.timed { op.invoked() / self.unit } else { op.inv() as u64 };
            self.put(0, at - before);
            before = at;
            self.op(&op);
            kept += 1;
        }
        let head = self.head(kept, &ids, more).to_string();
        let mut out = (head.len() as u32).to_le_bytes().to_vec();
        out.extend_from_slice(head.as_bytes());
        for column in &self.bytes {
            out.extend_from_slice(&(column.len() as u32).to_le_bytes());
            out.extend_from_slice(column);
        }
        out
    }

    /// What the reader needs beside the columns. `ids` only where ops were left out: then the op's number.
    fn head(&self, kept: u64, ids: &[u32], more: &Json) -> Json {
        let deltas: Vec<u32> = ids.iter().scan(0, |b, id| Some(id - std::mem::replace(b, *id))).collect();
        json!({
            "n": kept, "all": self.history.len(), "columns": NAMES, "timed": self.timed,
            "unit": if self.timed { self.unit as f64 / 1e9 } else { 1.0 },
            "ids": deltas, "values": self.detail.values, "strings": self.strings, "functions": self.functions,
            "keys": self.key_names,
            "end": end(self.history),
            "nodes": self.history.nodes().iter().map(|n| plain(n)).collect::<Vec<_>>(), "more": more,
        })
    }

    fn op(&mut self, op: &Op<'_>) {
        let took = match (self.timed, op.res()) {
            (true, _) => op.gave_up().map_or(0, |t| t.saturating_sub(op.invoked()) / self.unit + 1),
            (false, u32::MAX) => 0,
            (false, res) => (res - op.inv()) as u64 + 1,
        };
        let node = op.node().map_or(0, |n| n.0 as u64 + 1);
        let before = self.nodes_of.insert(op.process().0, node);
        let (f, key) = (self.function(op.f()), self.key(op.key()));
        let (arg, arg2) = match op.cas() {
            Some((old, new)) => (self.value(op.key(), old), self.value(op.key(), new)),
            None => (self.value(op.key(), op.arg()), vec![0]),
        };
        let reply = self.reply(op);
        let out = ["ok", "info", "fail"].iter().position(|o| *o == outcome(op)).unwrap_or(0) as u64;
        self.put(1, took);
        self.put(2, op.process().0 as u64);
        self.put(3, f);
        self.put(4, key);
        self.put(5, if before == Some(node) { 0 } else { node + 1 });
        self.put(6, out | (op.is_last() as u64) << 2 | (matches!(op.reply(), ReplyId::Mismatch) as u64) << 3);
        for (column, codes) in [(7, arg), (8, arg2), (9, reply)] {
            for code in codes {
                self.put(column, code);
            }
        }
    }

    /// Codes of the reply; after the argument's, because both predict from the same integers.
    fn reply(&mut self, op: &Op<'_>) -> Vec<u64> {
        match (op.reply(), op.error()) {
            (ReplyId::Read(id), _) => self.value(op.key(), id),
            (ReplyId::Absent, Some(e)) => self.string(cut(&plain(&e.0), 120)),
            _ => vec![0],
        }
    }

    fn put(&mut self, column: usize, mut n: u64) {
        while n >= 128 {
            self.bytes[column].push(n as u8 | 128);
            n >>= 7;
        }
        self.bytes[column].push(n as u8);
    }

    /// 0: none. 1: a string, its index follows. Above: an integer, zigzag against the last one of this key, plus 2.
    fn value(&mut self, key: ValueId, id: ValueId) -> Vec<u64> {
        if id.is_null() || !self.detail.values {
            return vec![0];
        }
        match self.history.values().int(id).filter(|i| i.unsigned_abs() < 1 << 31) {
            Some(i) => {
                let delta = i - self.near.insert(key, i).unwrap_or(0);
                vec![2 + ((delta << 1) ^ (delta >> 63)) as u64]
            }
            None => {
                let text = match self.history.value(id) {
                    Value::Null => return vec![0],
                    other => plain(&other.to_string()),
                };
                self.string(cut_front(&text, self.detail.text))
            }
        }
    }

    fn string(&mut self, text: String) -> Vec<u64> {
        let next = self.strings.len() as u64;
        let id = *self.ids.entry(text).or_insert_with_key(|text| {
            self.strings.push(text.clone());
            next
        });
        vec![1, id]
    }

    fn function(&mut self, f: &str) -> u64 {
        let at = self.functions.iter().position(|g| g == f).unwrap_or_else(|| {
            self.functions.push(f.to_string());
            self.functions.len() - 1
        });
        at as u64
    }

    fn key(&mut self, key: ValueId) -> u64 {
        let next = self.key_names.len() as u64;
        *self.keys.entry(key).or_insert_with(|| {
            let name = if key.is_null() { String::new() } else { self.history.value(key).to_plain() };
            self.key_names.push(cut_front(&plain(&name), 60));
            next
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn decode(text: &str) -> (Json, Vec<Vec<u64>>) {
        let gz = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        let mut bytes = Vec::new();
        GzDecoder::new(gz.as_slice()).read_to_end(&mut bytes).unwrap();
        let length = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let head: Json = serde_json::from_slice(&bytes[4..4 + length(0)]).unwrap();
        let (mut at, mut columns) = (4 + length(0), Vec::new());
        while at < bytes.len() {
            let (mut column, mut n, mut shift) = (Vec::new(), 0u64, 0);
            for b in &bytes[at + 4..at + 4 + length(at)] {
                n |= (*b as u64 & 127) << shift;
                shift += 7;
                if b & 128 == 0 {
                    column.push(n);
                    (n, shift) = (0, 0);
                }
            }
            at += 4 + length(at);
            columns.push(column);
        }
        (head, columns)
    }

    #[test]
    fn columns_hold_every_op_with_its_values() {
        let h = history::text::parse(
            "p0 write x 7  @n1 |---|\np1 read x 7   @n2    |---|\np0 cas x 7 9  @n1         |--?\np1 write x hello @n2      |----x",
        )
        .unwrap();
        let (head, c) = decode(&encode(&h, &BTreeSet::new(), &json!({"k": 1})).unwrap());
        assert_eq!(head["n"], 4);
        assert_eq!(head["functions"], json!(["write", "read", "cas"]));
        assert_eq!(head["more"]["k"], 1);
        assert_eq!(c[3], [0, 1, 2, 0]);
        assert_eq!(c[6], [0, 0, 1, 2], "ok ok info fail");
        assert_eq!(c[7], [2 + 14, 0, 2, 1, 1], "7; none; 7 again; a string");
        assert_eq!(c[9][..3], [0, 2, 1], "none; the same integer; an error");
        assert_eq!(c[5], [2, 3, 0, 0], "the node once for each process");
    }
}
