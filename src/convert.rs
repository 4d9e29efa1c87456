//! `schism convert`: a history in another format, proven to read back as the same ops before it is put in place.
//!
//! What is written is read again and compared op by op; a format that cannot hold the history is thereby found out
//! whatever the reason. Side information that a verdict does not need (times, nodes, header) may be lost and is then
//! named. The whole output is held in memory. Not here: the formats themselves (`history::formats`).

use crate::cli::{ConvertArgs, Failure};
use crate::{artifacts, campaign, exit, input};
use history::formats::{self, Format};
use history::jsonl::ReadOptions;
use history::{Call, Completeness, History, MicroOp, Op, Outcome, Reply, Value};
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

/// Extensions, and the format that each stands for.
const EXTENSIONS: [(&str, &str); 4] =
    [("jsonl", "jsonl"), ("edn", "jepsen-edn"), ("txt", "jepsen-txt"), ("json", "elle-json")];

pub fn main(args: &ConvertArgs) -> Result<i32, Failure> {
    let options = args.read.options()?;
    let format = target(&args.to, args.to_format.as_deref())?;
    let stdout = args.to.as_os_str() == "-";
    if !stdout {
        may_write(&args.to, args.force)?;
    }
    let input = input::open(&args.from, Some(&args.read.format), &options)?;
    let (bytes, lost) = written(&input.history, format).map_err(|says| {
        Failure::usage(format!("{}: {} cannot hold it: {says}", input.path.display(), format.name()))
    })?;
    match stdout {
        true => {
            std::io::stdout().write_all(&bytes).map_err(|e| Failure::could_not_run(format!("stdout: {e}")))?
        }
        false => put(&args.to, &bytes)?,
    }
    let [ok, fail, info] = artifacts::op_counts(&input.history);
    let place = if stdout { "stdout".into() } else { args.to.display().to_string() };
    let mut text = format!(
        "{} ({}) → {place} ({}): {ok} ok, {fail} fail, {info} info\n",
        input.path.display(),
        input.format,
        format.name()
    );
    lost.iter().for_each(|l| text += &format!("  {l}\n"));
    match stdout {
        true => eprint!("{text}"),
        false => print!("{text}"),
    }
    Ok(exit::VALID)
}

/// The format to write, by name or by the file's extension.
fn target(path: &Path, named: Option<&str>) -> Result<&'static dyn Format, Failure> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let by_extension =
        |word: &str| EXTENSIONS.iter().find(|(e, _)| *e == word).and_then(|(_, f)| formats::named(f));
    let packed = ["gz", "zst"].contains(&extension);
    if packed {
        return Err(Failure::usage(format!(
            "{}: convert writes plain files only; pack it afterwards",
            path.display()
        )));
    }
    if let Some(word) = named {
        return formats::named(word).or_else(|| by_extension(word)).ok_or_else(|| {
            let Failure { code, says } =
                campaign::unknown("format", word, formats::ALL.iter().map(|f| f.name()));
            Failure { code, says: format!("--to: {says}") }
        });
    }
    by_extension(extension).ok_or_else(|| {
        let extensions: Vec<String> = EXTENSIONS.iter().map(|(e, f)| format!(".{e} ({f})")).collect();
        let what =
            if path.as_os_str() == "-" { "stdout has no extension" } else { "its extension names no format" };
        Failure::usage(format!(
            "{}: {what}: {} do; or say --to FORMAT",
            path.display(),
            extensions.join(", ")
        ))
    })
}

/// Refuses to touch what is there, unless told to.
pub fn may_write(path: &Path, force: bool) -> Result<(), Failure> {
    if path.is_dir() {
        return Err(Failure::usage(format!("{}: is a directory; name a file to write", path.display())));
    }
    match path.exists() && !force {
        true => Err(Failure::usage(format!("{}: is there already; --force overwrites it", path.display()))),
        false => Ok(()),
    }
}

/// Writes beside the file first, so that a full disk leaves what was there.
pub fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    std::fs::write(&part, bytes)
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|e| Failure::could_not_run(format!("{}: cannot write: {e}", path.display())))
}

/// The history in that format, and what of it was not kept; or why it cannot be held.
fn written(history: &History, format: &dyn Format) -> Result<(Vec<u8>, Vec<String>), String> {
    let mut bytes = Vec::new();
    match format.write(history, &mut bytes) {
        Some(result) => result.map_err(|e| e.to_string())?,
        None => {
            return Err(format!("it is only read, never written; formats that are written: {}", writable()));
        }
    }
    if matches!(history.completeness, Completeness::Truncated { .. }) {
        break_off(format.name(), &mut bytes);
    }
    let read = |independent| {
        let options = ReadOptions { independent, ..ReadOptions::default() };
        let (back, _) = formats::read(bytes.as_slice(), "", Some(format.name()), &options)
            .map_err(|e| format!("it does not read back, {e}"))?;
        Spelling::default().compare(history, &back)
    };
    // As somebody who knows nothing about the file would read it; if that is not it, with the one thing EDN has lost.
    let keyed = history.ops().any(|op| !op.key().is_null());
    let lost = read(None).or_else(|_| {
        read(Some(keyed)).map(|mut lost| {
            let word = if keyed { "yes" } else { "no" };
            lost.push(format!(
                "read it with --independent {word}: by their look its values would be taken wrongly"
            ));
            lost
        })
    })?;
    Ok((bytes, lost))
}

fn writable() -> String {
    let nothing = History::default();
    let writes = |f: &&&dyn Format| f.write(&nothing, &mut std::io::sink()).is_some();
    formats::ALL.iter().filter(writes).map(|f| f.name()).collect::<Vec<_>>().join(", ")
}

/// A record that breaks off must break off again: completeness cannot be gained by converting.
fn break_off(format: &str, bytes: &mut Vec<u8>) {
    match format {
        "jepsen-edn" => bytes.extend_from_slice(b"{:index "),
        "jepsen-txt" => bytes.extend_from_slice(b"0\t:inv"),
        "elle-json" => {
            let end = bytes.iter().rposition(|b| *b == b']').unwrap_or(bytes.len());
            bytes.truncate(end);
        }
        _ => {}
    }
}

/// Which value became which. Two values that become one would change verdicts.
#[derive(Default)]
struct Spelling {
    of: HashMap<Value, Value>,
    changed: bool,
}

impl Spelling {
    /// What was lost besides; an error where an op or its order is another.
    fn compare(mut self, was: &History, is: &History) -> Result<Vec<String>, String> {
        if was.len() != is.len() {
            return Err(format!("{} ops would be read back as {}", was.len(), is.len()));
        }
        for (a, b) in was.ops().zip(is.ops()) {
            self.op(&a, &b).map_err(|what| {
                format!("op #{} ({}) would be read back as {}{what}", a.id.0, a.call(), b.call())
            })?;
        }
        if order(was) != order(is) {
            return Err("ops would be read back in another order".into());
        }
        let cut = |h: &History| matches!(h.completeness, Completeness::Truncated { .. });
        if cut(was) != cut(is) {
            return Err("that the record breaks off would be lost, or invented".into());
        }
        Ok(self.lost(was, is))
    }

    fn op(&mut self, a: &Op<'_>, b: &Op<'_>) -> Result<(), String> {
        let (asked, read) = (a.call(), b.call());
        let values = match (&asked, &read) {
            (Call::Txn(a), Call::Txn(b)) => self.micro_ops(a, b),
            _ => self.value(&asked.value(), &read.value()),
        };
        let same = a.process() == b.process() && a.f() == b.f() && a.kind() == b.kind();
        if !same || !values || !self.value(asked.key(), read.key()) {
            return Err(String::new());
        }
        let replied = match (a.outcome(), b.outcome()) {
            (Outcome::Ok(Reply::Read(a)), Outcome::Ok(Reply::Read(b))) => self.value(&a, &b),
            (Outcome::Ok(Reply::Txn(a)), Outcome::Ok(Reply::Txn(b))) => self.micro_ops(&a, &b),
            (Outcome::Ok(a), Outcome::Ok(b)) => a == b,
            _ => true,
        };
        if replied { Ok(()) } else { Err(" with another reply".into()) }
    }

    fn micro_ops(&mut self, was: &[MicroOp], is: &[MicroOp]) -> bool {
        let each = was.iter().zip(is).all(|(a, b)| match (a, b) {
            (MicroOp::Read(k, v), MicroOp::Read(l, w))
            | (MicroOp::Write(k, v), MicroOp::Write(l, w))
            | (MicroOp::Append(k, v), MicroOp::Append(l, w)) => self.value(k, l) && self.value(v, w),
            _ => false,
        });
        was.len() == is.len() && each
    }

    fn value(&mut self, was: &Value, is: &Value) -> bool {
        self.changed |= was != is;
        let one_to_one = self.of.entry(is.clone()).or_insert_with(|| was.clone()) == was;
        one_to_one && (was == is || was.to_json() == is.to_json())
    }

    fn lost(&self, was: &History, is: &History) -> Vec<String> {
        let mut lost = Vec::new();
        let mut say = |is_lost: bool, what: String| {
            if is_lost {
                lost.push(what);
            }
        };
        let differs =
            |by: &dyn Fn(&Op<'_>, &Op<'_>) -> bool| was.ops().zip(is.ops()).any(|(a, b)| by(&a, &b));
        let object = was.header_text("workload").map(|w| format!(" (workload {w})")).unwrap_or_default();
        say(!was.header.is_null() && is.header.is_null(), format!("not kept: the header{object}"));
        say(was.end() > 0 && is.end() == 0, "not kept: times".into());
        let node = |h: &History, op: &Op<'_>| op.node().map(|n| h.node_name(n).to_string());
        say(differs(&|a, b| node(was, a) != node(is, b)), "not kept: which node a client is bound to".into());
        let server = |h: &History, op: &Op<'_>| op.server().map(|n| h.node_name(n).to_string());
        say(differs(&|a, b| server(was, a) != server(is, b)), "not kept: which node answered".into());
        let (a, b) = (was.strikes().len(), is.strikes().len());
        say(a != b, format!("not kept as such: {a} strikes, which are notes there"));
        say(
            self.changed,
            "spelled anew: JSON has neither keywords nor sets, they are strings and arrays".into(),
        );
        lost
    }
}

/// Invocations and completions in their order, by op.
fn order(history: &History) -> Vec<u64> {
    let mut edges: Vec<(u32, u64)> = Vec::with_capacity(history.len() * 2);
    for op in history.ops() {
        edges.push((op.inv(), op.id.0 as u64 * 2));
        if op.res() != u32::MAX {
            edges.push((op.res(), op.id.0 as u64 * 2 + 1));
        }
    }
    edges.sort_unstable();
    edges.into_iter().map(|(_, edge)| edge).collect()
}
