//! `history.txt` of Jepsen: process, type, f, value and error, separated by tabs.
//!
//! It has no times, no indices and no extra fields; an error is printed unquoted and is everything after the
//! value. Old versions put the error in the value's place, which for `fail` and `info` is understood.

use super::Format;
use super::edn::{self, Dialect, Fault, Parser};
use super::export;
use super::ops::{Importer, Kind, Row, Rules, Who};
use super::source::Source;
use crate::jsonl::{ReadError, ReadOptions};
use crate::record::History;
use crate::value::Value;
use std::io::{self, BufRead, Write};

pub struct JepsenTxt;

impl Format for JepsenTxt {
    fn name(&self) -> &'static str {
        "jepsen-txt"
    }

    fn about(&self) -> &'static str {
        "history.txt of Jepsen: process, type, f, value and error a line, separated by tabs"
    }

    fn detect(&self, head: &[u8], _: &str) -> Option<u8> {
        let line = head.split(|b| *b == b'\n').find(|line| !line.trim_ascii().is_empty())?;
        let columns = columns(line)?;
        (columns.before.is_empty() && columns.who().is_some()).then_some(80)
    }

    fn read(&self, input: &mut dyn BufRead, options: &ReadOptions) -> Result<History, ReadError> {
        let mut source = Source::new(input, options.limits, Dialect::Edn);
        let mut importer = Importer::new(options, Rules::default());
        source.skip_mark()?;
        let (mut number, mut lossy) = (0, 0);
        while let Some((line, whole)) = source.text_line()? {
            number += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            if !whole && may_be_cut(&line) {
                return importer.finish(Some(number - 1), lossy);
            }
            let row = match columns(&line) {
                Some(columns) if columns.before.is_empty() => columns.row(number),
                _ => Err(ReadError {
                    line: number,
                    column: 1,
                    what: "expected a process, a :type, an :f and a value, separated by tabs".into(),
                }),
            };
            lossy += std::str::from_utf8(&line).is_err() as u64;
            importer.push(row?, line.len() as u64)?;
        }
        importer.finish(None, lossy)
    }

    fn write(&self, history: &History, out: &mut dyn Write) -> Option<io::Result<()>> {
        Some(write(history, out))
    }
}

fn write(history: &History, out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::new();
    for line in export::lines(history) {
        text.clear();
        let process = line.process.map_or(":nemesis".into(), |p| p.to_string());
        text += &format!("{process}\t:{}\t:{}\t", line.kind, line.f);
        edn::print(&line.tuple(), &mut text);
        if let Some(error) = &line.error {
            text.push('\t');
            text += &error.replace(['\n', '\t'], " ");
        }
        text.push('\n');
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// Whether a last line without its end may have lost some of it: `12` may be the beginning of `123`.
pub(super) fn may_be_cut(line: &[u8]) -> bool {
    let row = columns(line).is_some_and(|columns| columns.row(1).is_ok());
    !row || !matches!(line.last(), Some(b']' | b')' | b'}' | b'"'))
}

/// A line of `history.txt`, or of a log that has such a line behind a prefix.
pub(super) struct Columns<'l> {
    /// What stands before the process.
    pub before: &'l [u8],
    process: &'l [u8],
    kind: Kind,
    f: &'l [u8],
    /// The value, and perhaps an error.
    rest: &'l [u8],
    /// Bytes before `rest`.
    at: usize,
}

/// Finds `process :type :f value` by its `:type`. `None` if there is none.
pub(super) fn columns(line: &[u8]) -> Option<Columns<'_>> {
    // Word by word: linear whatever the line holds.
    let (mut start, mut end) = (0, 0);
    let kind = line.split(u8::is_ascii_whitespace).find_map(|word| {
        start = end;
        end += word.len() + 1;
        word.strip_prefix(b":").and_then(Kind::parse).filter(|_| start > 0)
    })?;
    let end = end - 1;
    let before = line[..start].trim_ascii_end();
    let cut = before.iter().rposition(u8::is_ascii_whitespace).map_or(0, |n| n + 1);
    let (before, process) = before.split_at(cut);
    let f = line[end..].trim_ascii_start();
    let f_at = line.len() - f.len();
    let f_end = f.iter().position(u8::is_ascii_whitespace).unwrap_or(f.len());
    let rest = f[f_end..].trim_ascii_start();
    let at = if rest.is_empty() { f_at + f_end } else { line.len() - rest.len() };
    let f = f[..f_end].strip_prefix(b":").unwrap_or(&f[..f_end]);
    (!f.is_empty()).then_some(Columns { before, process, kind, f, rest, at })
}

impl Columns<'_> {
    /// `None` if no process stands where one should.
    pub fn who(&self) -> Option<Who> {
        match self.process {
            b":nemesis" => Some(Who::Other),
            [b':', ..] => Some(Who::Named(edn::readable(self.process).into())),
            b"nil" => Some(Who::Missing),
            number => Some(Who::Client(std::str::from_utf8(number).ok()?.parse().ok()?)),
        }
    }

    pub fn row(&self, line: u64) -> Result<Row, ReadError> {
        let fault = |column: usize, what: String| ReadError { line, column, what };
        let Some(who) = self.who() else {
            let what =
                format!("expected a process: a number or :nemesis, found {:?}", edn::readable(self.process));
            return Err(fault(self.before.len() + 1, what));
        };
        let loose = matches!(self.kind, Kind::Fail | Kind::Info);
        let mut parser = Parser::new(self.rest, true, Dialect::Edn);
        let (value, error) = match parser.value() {
            Ok(value) => (value, self.rest[parser.position()..].trim_ascii()),
            // What stands there on these is not looked at.
            Err(_) if loose => (Value::Null, self.rest),
            Err(Fault::End) => {
                return Err(fault(self.at + self.rest.len() + 1, "a line without a whole value".into()));
            }
            Err(Fault::At(at, what)) => return Err(fault(self.at + at + 1, what)),
        };
        let error = match (&value, error) {
            (Value::Keyword(_) | Value::Text(_), []) if loose => value.clone(),
            (_, []) => Value::Null,
            (_, text) => Value::text(edn::readable(text).trim_start_matches(':')),
        };
        let f = Some(edn::readable(self.f).into());
        Ok(Row { line, kind: Some(self.kind), who, f, value, error, ..Row::default() })
    }
}
