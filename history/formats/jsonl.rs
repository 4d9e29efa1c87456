//! Our own file as one of the formats. Its reader and its recording writer are [`crate::jsonl`].
//!
//! A foreign history is written without header and footer, so that it stays foreign; one that breaks off is
//! written so that it breaks off again, since completeness must not be gained by converting.
//! JSON has neither keywords nor sets: they become strings and arrays.

use super::Format;
use super::export;
use crate::jsonl::{self, Header, ReadError, ReadOptions, SCHEMA, Writer};
use crate::record::{Completeness, History};
use std::io::{self, BufRead, Write};

pub struct Jsonl;

impl Format for Jsonl {
    fn name(&self) -> &'static str {
        "jsonl"
    }

    fn about(&self) -> &'static str {
        "schism's own history.jsonl, or the same lines without header: one JSON object a line in Jepsen's shape"
    }

    fn detect(&self, head: &[u8], name: &str) -> Option<u8> {
        let line = head.trim_ascii_start().split(|b| *b == b'\n').next().unwrap_or(b"");
        let has = |word: &[u8]| line.windows(word.len()).any(|w| w == word);
        match line.first() {
            Some(b'{') if line.starts_with(b"{\"schism\"") => Some(100),
            Some(b'{') if has(b"\"type\"") && has(b"\"process\"") => Some(90),
            Some(b'{') if name.ends_with(".jsonl") => Some(50),
            _ => None,
        }
    }

    fn read(&self, input: &mut dyn BufRead, options: &ReadOptions) -> Result<History, ReadError> {
        jsonl::read(input, options)
    }

    fn write(&self, history: &History, out: &mut dyn Write) -> Option<io::Result<()>> {
        Some(write(history, out))
    }
}

fn write(history: &History, out: &mut dyn Write) -> io::Result<()> {
    let header: Option<Header> = serde_json::from_value(history.header.clone()).ok();
    let own = header.is_some();
    let header = header.unwrap_or_else(|| Header {
        schism: SCHEMA,
        tool: String::new(),
        run: String::new(),
        seed: 0,
        clock: String::new(),
        nodes: history.nodes().to_vec(),
        more: serde_json::Map::new(),
    });
    let mut writer = Writer::new(Body { out, hidden: !own }, &header)?;
    match own {
        true => export::events(history).try_for_each(|event| writer.event(&event).map(|_| ()))?,
        false => export::stamped(history).try_for_each(|event| writer.event(&event).map(|_| ()))?,
    }
    match &history.completeness {
        Completeness::Whole if own => writer.finish().map(|_| ()),
        Completeness::Truncated { .. } if !own => writer.get_mut().write_all(b"{\"index\":"),
        _ => Ok(()),
    }
}

/// Drops the first write, the header line, where it is not the history's own.
struct Body<'o> {
    out: &'o mut dyn Write,
    hidden: bool,
}

impl Write for Body<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::mem::take(&mut self.hidden) {
            true => Ok(bytes.len()),
            false => self.out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
