//! Op maps as JSON, as elle-cli takes them: one array, or one object after the other.
//!
//! JSON has lost what was a keyword: `type`, `f` and the first of a micro-op are taken by position, and a map's
//! keys stay strings. Integers of any size are exact. Objects a line are read by [`super::Jsonl`] unless this
//! format is named; they differ in what they forgive, see [`super::ops`].

use super::Format;
use super::edn::Dialect;
use super::export::{self, Line};
use super::jepsen_edn::read_rows;
use super::ops::Rules;
use crate::jsonl::{ReadError, ReadOptions};
use crate::record::History;
use serde_json::{Map, Value as Json};
use std::io::{self, BufRead, Write};

pub struct ElleJson;

impl Format for ElleJson {
    fn name(&self) -> &'static str {
        "elle-json"
    }

    fn about(&self) -> &'static str {
        "op maps as JSON, in one array or one after the other, as elle-cli takes them"
    }

    fn detect(&self, head: &[u8], _: &str) -> Option<u8> {
        let text = head.trim_ascii_start();
        let inner = text.strip_prefix(b"[").unwrap_or(text).trim_ascii_start();
        let first = inner.strip_prefix(b"{")?.trim_ascii_start();
        let op = inner.split(|b| *b == b'}').next().unwrap_or(b"");
        let typed = op.windows(6).any(|w| w == b"\"type\"");
        (first.starts_with(b"\"") && typed).then_some(85)
    }

    fn read(&self, input: &mut dyn BufRead, options: &ReadOptions) -> Result<History, ReadError> {
        read_rows(input, options, Dialect::Json, Rules::default(), |_| Ok(()))
    }

    fn write(&self, history: &History, out: &mut dyn Write) -> Option<io::Result<()>> {
        Some(write(history, out))
    }
}

fn write(history: &History, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"[")?;
    for (index, line) in export::lines(history).enumerate() {
        out.write_all(if index > 0 { b",\n" } else { b"" })?;
        serde_json::to_writer(&mut *out, &object(index, &line))?;
    }
    out.write_all(b"]\n")
}

fn object(index: usize, line: &Line) -> Json {
    let mut op = Map::new();
    op.insert("index".into(), index.into());
    op.insert("time".into(), line.time.into());
    op.insert("type".into(), line.kind.into());
    op.insert("process".into(), line.process.map_or_else(|| "nemesis".into(), Json::from));
    op.insert("f".into(), line.f.as_str().into());
    op.insert("value".into(), line.tuple().to_json());
    if let Some(error) = &line.error {
        op.insert("error".into(), error.as_str().into());
    }
    if let Some(node) = line.node {
        op.insert("node".into(), node.into());
    }
    if line.last {
        op.insert("final".into(), true.into());
    }
    Json::Object(op)
}
