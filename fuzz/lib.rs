//! What the fuzz targets share: each function is one property that no input may break.
//!
//! A panic is a finding. Not part of the product: see README.md for how the targets are run.

pub mod engines;

use history::formats;
use history::formats::edn::{self, Dialect, Fault, Parser};
use history::jsonl::{Limits, ReadError, ReadOptions};
use history::{History, Value};
use std::io::BufReader;

/// Limits small enough that reaching them is part of what is fuzzed.
fn options(independent: Option<bool>) -> ReadOptions {
    let limits = Limits { line: 1 << 16, ops: 1000, ..Limits::default() };
    ReadOptions { limits, independent, ..ReadOptions::default() }
}

fn shown(history: &History) -> Vec<String> {
    history.ops().map(|op| format!("{op:?}")).collect()
}

fn said(result: &Result<History, ReadError>) -> Result<Vec<String>, String> {
    match result {
        Ok(history) => Ok(shown(history)),
        Err(e) => Err(e.to_string()),
    }
}

/// A reader must not panic, must not depend on how the bytes arrive, and must read what it writes.
pub fn reader(format: &str, data: &[u8]) {
    let format = formats::named(format).expect("a format by this name");
    let whole = format.read(&mut &data[..], &options(None));
    let mut slow = BufReader::with_capacity(7, data);
    let pieces = format.read(&mut slow, &options(None));
    assert_eq!(said(&whole), said(&pieces), "in pieces of seven bytes");
    let Ok(history) = whole else { return };
    history::lint::lint(&history);
    for (place, op) in history.ops().enumerate() {
        assert!(op.id.0 as usize == place && op.inv() < op.res(), "{op:?}");
    }
    // Writing is the slower half: of one input in eight.
    for other in formats::ALL.iter().filter(|_| data.len() % 8 == 0) {
        let mut out = Vec::new();
        if let Some(written) = other.write(&history, &mut out) {
            written.expect("memory takes every byte");
            let _ = other.read(&mut &out[..], &options(None));
        }
    }
}

/// Forms of the parser, in both dialects.
pub fn forms(data: &[u8]) {
    for dialect in [Dialect::Edn, Dialect::Json] {
        let mut parser = Parser::new(data, true, dialect);
        while parser.peek().is_some() {
            match parser.value() {
                Ok(value) if dialect == Dialect::Edn => same_again(&value),
                Ok(value) => drop(value.to_json()),
                Err(Fault::End) => break,
                Err(Fault::At(at, _)) => {
                    assert!(at <= data.len());
                    break;
                }
            }
        }
    }
    if let Err(e) = edn::parse(data) {
        assert!(e.line >= 1 && e.column >= 1, "{e}");
    }
}

fn same_again(value: &Value) {
    let mut text = String::new();
    edn::print(value, &mut text);
    let back = edn::parse(text.as_bytes());
    let once = match back.as_deref() {
        Ok([once]) => once,
        other => panic!("{value:?} printed as {text}: {other:?}"),
    };
    assert_eq!(once, value, "{text}");
}

/// The notations that tests are written in.
pub fn notation(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(history) = history::text::parse(&text) {
        history::lint::lint(&history);
    }
    let _ = history::text::litmus(&text);
}

/// Which format it is, then that format. The first byte says what the file is called.
pub fn detect(data: &[u8]) {
    let names = ["", "history.jsonl", "history.edn", "history.txt", "x.json", "x.log", "x.txt"];
    let (name, data) = match data.split_first() {
        Some((first, rest)) => (names[*first as usize % names.len()], rest),
        None => ("", data),
    };
    if let Err(e) = formats::read(data, name, None, &options(None)) {
        assert!(e.line >= 1 && !e.what.is_empty(), "{e}");
    }
}

/// What was written reads back as the same ops, where the format can hold them.
pub fn roundtrip(data: &[u8]) {
    let Some(history) = engines::spell(data) else { return };
    let keyed = history.ops().any(|op| !op.key().is_null());
    for format in formats::ALL {
        let mut out = Vec::new();
        let Some(written) = format.write(&history, &mut out) else { continue };
        written.expect("memory takes every byte");
        let back = match format.read(&mut &out[..], &options(Some(keyed))) {
            Ok(back) => back,
            Err(e) => panic!("{}: {e}\n{}", format.name(), String::from_utf8_lossy(&out)),
        };
        let of = |h: &History| -> Vec<String> {
            h.ops().map(|op| format!("p{} {} {:?}", op.process().0, op.call(), op.outcome())).collect()
        };
        assert_eq!(of(&history), of(&back), "{}", format.name());
        assert_eq!(order(&history), order(&back), "{}", format.name());
    }
}

/// Invocations and completions in their order, by op.
fn order(history: &History) -> Vec<u64> {
    let mut edges: Vec<(u32, u64)> = Vec::new();
    for op in history.ops() {
        edges.push((op.inv(), op.id.0 as u64 * 2));
        if op.res() != u32::MAX {
            edges.push((op.res(), op.id.0 as u64 * 2 + 1));
        }
    }
    edges.sort_unstable();
    edges.into_iter().map(|(_, edge)| edge).collect()
}
