//! The key-value histories that Porcupine tests with: op maps whose f is `get`, `put` or `append`, with a `:key`.
//!
//! `{:process 2, :type :invoke, :f :append, :key "7", :value "x 2 0 y"}`. Each key holds a **text**, empty at
//! first. `get` becomes [`crate::Call::Read`], whose reply is the whole text; `put` becomes
//! [`crate::Call::Write`]; `append` becomes [`crate::Call::Append`] of a text, which a spec must read as
//! concatenation: after `append "a"` and `append "b"` a read gives `"ab"`, not a list of two. Read only.

use super::Format;
use super::edn::Dialect;
use super::jepsen_edn::read_rows;
use super::ops::{Row, Rules};
use crate::jsonl::{ReadError, ReadOptions};
use crate::record::History;
use std::io::{self, BufRead, Write};

pub struct PorcupineKv;

impl Format for PorcupineKv {
    fn name(&self) -> &'static str {
        "porcupine-kv"
    }

    fn about(&self) -> &'static str {
        "Porcupine's key-value histories: EDN op maps of get, put and append on texts; append concatenates"
    }

    fn detect(&self, head: &[u8], _: &str) -> Option<u8> {
        let line = head.trim_ascii_start().split(|b| *b == b'\n').next()?;
        let has = |word: &[u8]| line.windows(word.len()).any(|w| w == word);
        let kind = has(b":f :get") || has(b":f :put") || has(b":f :append");
        (line.starts_with(b"{:") && kind && has(b":key \"")).then_some(95)
    }

    fn read(&self, input: &mut dyn BufRead, options: &ReadOptions) -> Result<History, ReadError> {
        read_rows(input, options, Dialect::Edn, Rules { plain: true, ..Rules::default() }, translate)
    }

    fn write(&self, _: &History, _: &mut dyn Write) -> Option<io::Result<()>> {
        None
    }
}

fn translate(row: &mut Row) -> Result<(), String> {
    row.f = match row.f.as_deref() {
        Some("get") => Some("read".into()),
        Some("put") => Some("write".into()),
        Some("append") => Some("append".into()),
        other => return Err(format!("expected get, put or append, found {:?}", other.unwrap_or(""))),
    };
    Ok(())
}
