//! The etcd logs that Porcupine tests with, and any `jepsen.log`: op lines of `history.txt` behind a log prefix.
//!
//! `INFO  jepsen.util - 0  :fail  :cas  [1 4]`. Lines without an op are passed over. In these logs a `fail` of a
//! cas was a comparison that etcd had refused, so it is evidence: [`crate::Reply::Mismatch`]. Calls that timed
//! out are `info` with the error in the value's place. Read only.

use super::Format;
use super::edn::Dialect;
use super::jepsen_txt::{Columns, columns, may_be_cut};
use super::ops::{Importer, Rules};
use super::source::Source;
use crate::jsonl::{ReadError, ReadOptions};
use crate::record::History;
use std::io::{self, BufRead, Write};

pub struct PorcupineLog;

impl Format for PorcupineLog {
    fn name(&self) -> &'static str {
        "porcupine-log"
    }

    fn about(&self) -> &'static str {
        "jepsen.log with its op lines, as Porcupine's etcd tests have them; a failed cas is read as refused"
    }

    fn detect(&self, head: &[u8], _: &str) -> Option<u8> {
        head.split(|b| *b == b'\n').any(|line| op(line).is_some()).then_some(70)
    }

    fn read(&self, input: &mut dyn BufRead, options: &ReadOptions) -> Result<History, ReadError> {
        let mut source = Source::new(input, options.limits, Dialect::Edn);
        let mut importer = Importer::new(options, Rules { refused_cas: true, plain: false });
        let (mut number, mut lossy) = (0, 0);
        while let Some((line, whole)) = source.text_line()? {
            number += 1;
            if !whole && may_be_cut(&line) {
                return importer.finish(Some(number - 1), lossy);
            }
            if let Some(columns) = op(&line) {
                lossy += std::str::from_utf8(&line).is_err() as u64;
                importer.push(columns.row(number)?, line.len() as u64)?;
            }
        }
        importer.finish(None, lossy)
    }

    fn write(&self, _: &History, _: &mut dyn Write) -> Option<io::Result<()>> {
        None
    }
}

/// An op line: a log prefix, then the columns with a process in the first.
fn op(line: &[u8]) -> Option<Columns<'_>> {
    let util = b"jepsen.util";
    columns(line).filter(|c| c.before.windows(util.len()).any(|w| w == util) && c.who().is_some())
}
