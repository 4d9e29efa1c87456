//! Every format a history can be in, and the one way in: which it is, is decided by its content.
//!
//! A reader turns what it finds into [`crate::Event`]s and hands them to the one door; what it had to bend is
//! said in notes named `import`. Not here: decompression (the caller's), judging, and what a history lacks for
//! a checker ([`crate::lint`]).

pub mod edn;
mod elle_json;
mod etcd_robustness;
mod export;
mod jepsen_edn;
mod jepsen_txt;
mod jsonl;
mod ops;
mod porcupine_kv;
mod porcupine_log;
mod source;

use crate::jsonl::{ReadError, ReadOptions};
use crate::record::History;
pub use elle_json::ElleJson;
pub use etcd_robustness::EtcdRobustness;
pub use jepsen_edn::JepsenEdn;
pub use jepsen_txt::JepsenTxt;
pub use jsonl::Jsonl;
pub use porcupine_kv::PorcupineKv;
pub use porcupine_log::PorcupineLog;
use std::io::{self, BufRead, Read, Write};

/// One way to write a history down.
pub trait Format: Sync {
    /// As on the command line: the file's name with dashes.
    fn name(&self) -> &'static str;

    /// One line: where such files come from and what they look like.
    fn about(&self) -> &'static str;

    /// How sure it is, in percent, from the first bytes of a file and its name (which may be empty).
    fn detect(&self, head: &[u8], name: &str) -> Option<u8>;

    fn read(&self, input: &mut dyn BufRead, options: &ReadOptions) -> Result<History, ReadError>;

    /// `None`: this format cannot hold a history of ours.
    fn write(&self, history: &History, out: &mut dyn Write) -> Option<io::Result<()>>;
}

/// All formats, in the order in which they are listed.
pub const ALL: &[&dyn Format] =
    &[&Jsonl, &JepsenEdn, &JepsenTxt, &ElleJson, &PorcupineLog, &PorcupineKv, &EtcdRobustness];

/// Bytes on which a format is decided.
const HEAD: u64 = 64 << 10;

/// The format of that name.
pub fn named(name: &str) -> Option<&'static dyn Format> {
    ALL.iter().copied().find(|f| f.name() == name)
}

/// The names, for messages and documentation.
pub fn names() -> String {
    ALL.iter().map(|f| f.name()).collect::<Vec<_>>().join(", ")
}

/// Reads a history. `name` is the file's name, a hint only; `format` is one of [`ALL`] by name, `None` or `auto`
/// to decide by content. Gives the history and the format it was in.
///
/// # Errors
///
/// Where the file is malformed, by line and column; or that it is in no known format, and what it looks like.
pub fn read(
    mut input: impl BufRead,
    name: &str,
    format: Option<&str>,
    options: &ReadOptions,
) -> Result<(History, &'static str), ReadError> {
    let fault = |what: String| ReadError { line: 1, column: 1, what };
    let mut head = Vec::new();
    (&mut input).take(HEAD).read_to_end(&mut head).map_err(|e| fault(format!("cannot read: {e}")))?;
    if head.starts_with(b"\xef\xbb\xbf") {
        head.drain(..3);
    }
    let chosen = match format {
        None | Some("auto") => detect(&head, name).map_err(fault)?,
        Some(wanted) => named(wanted)
            .ok_or_else(|| fault(format!("no format is called {wanted:?}; there are: {}", names())))?,
    };
    let mut whole = io::Cursor::new(head).chain(input);
    Ok((chosen.read(&mut whole, options)?, chosen.name()))
}

/// The format that is surest of these first bytes; the error says what they look like.
pub fn detect(head: &[u8], name: &str) -> Result<&'static dyn Format, String> {
    let sure = ALL.iter().filter_map(|f| f.detect(head, name).map(|sure| (sure, *f)));
    // The first of equals: the order of the list is part of the rule.
    match sure.rev().max_by_key(|(sure, _)| *sure) {
        Some((_, format)) => Ok(format),
        None => Err(format!("{}; formats that are read: {}", looks_like(head), names())),
    }
}

/// What a file that is no history of any known kind looks like.
fn looks_like(head: &[u8]) -> String {
    let text = head.trim_ascii();
    let what = match head {
        _ if text.is_empty() => "the file is empty",
        [0x1f, 0x8b, ..] => "this is a gzip file: it must be unpacked first",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "this is a zstd file: it must be unpacked first",
        [b'P', b'K', 3, 4, ..] => "this is a zip file: it must be unpacked first",
        [b'J', b'E', b'P', b'S', b'E', b'N', ..] => {
            "this is Jepsen's binary test.jepsen: the history.edn beside it can be read"
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "this is UTF-16 text: histories are UTF-8",
        _ if head.contains(&0) => "this is a binary file",
        _ if text.starts_with(b"<") => "this is HTML or XML",
        _ => {
            let line = text.split(|b| *b == b'\n').next().unwrap_or(b"").trim_ascii();
            let line = edn::readable(&line[..line.len().min(60)]);
            return format!("no format begins like this: {line:?}");
        }
    };
    what.to_string()
}
