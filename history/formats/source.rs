//! Bytes for the parsers, a stretch at a time: a form that the stretch cuts off is read again from a longer one.
//!
//! Memory is one stretch or the longest form, whichever is larger. Keeps count of lines, and of the limits on
//! hostile input. Not a parser itself.

use super::edn::{Dialect, Fault, Parser, Stacks, locate};
use crate::jsonl::{Limits, ReadError};
use std::io::BufRead;

const STRETCH: usize = 256 << 10;

pub(super) struct Source<'r> {
    input: &'r mut dyn BufRead,
    bytes: Vec<u8>,
    at: usize,
    ended: bool,
    /// Lines before `at`.
    lines: u64,
    /// Bytes of the first line of `bytes` that are no longer held.
    dropped: usize,
    total: u64,
    limits: Limits,
    dialect: Dialect,
    stacks: Stacks,
    /// Bytes of the form just read.
    pub formed: u64,
    /// Strings and names in which bytes that are not UTF-8 were replaced.
    pub lossy: u64,
}

/// What one attempt at a form came to.
pub(super) enum Form<T> {
    Read(T),
    /// Nothing but blanks was left.
    Nothing,
    /// The input ends inside a form.
    Cut,
}

impl<'r> Source<'r> {
    pub fn new(input: &'r mut dyn BufRead, limits: Limits, dialect: Dialect) -> Source<'r> {
        Source {
            input,
            bytes: Vec::new(),
            at: 0,
            ended: false,
            lines: 0,
            dropped: 0,
            total: 0,
            limits,
            dialect,
            stacks: Stacks::default(),
            formed: 0,
            lossy: 0,
        }
    }

    /// The line that the next byte is on, from one.
    pub fn line(&self) -> u64 {
        self.lines + 1
    }

    /// Its column in bytes, from one.
    fn column(&self) -> usize {
        match self.bytes[..self.at].iter().rposition(|b| *b == b'\n') {
            Some(n) => self.at - n,
            None => self.dropped + self.at + 1,
        }
    }

    /// An error at the next byte.
    pub fn error(&self, what: impl Into<String>) -> ReadError {
        ReadError { line: self.line(), column: self.column(), what: what.into() }
    }

    /// Fetches as much again; the bytes not yet taken move to the front.
    fn fetch(&mut self) -> Result<(), ReadError> {
        let held = self.bytes.len() - self.at;
        if held > self.limits.line {
            return Err(self.error(Limits::reached("a form of over", self.limits.line, "bytes", "line")));
        }
        self.dropped = self.column() - 1;
        self.bytes.drain(..self.at);
        self.at = 0;
        let wanted = held + STRETCH.max(held);
        while self.bytes.len() < wanted && !self.ended {
            let got = match self.input.fill_buf() {
                Ok(got) => got,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.error(format!("cannot read: {e}"))),
            };
            self.ended = got.is_empty();
            self.bytes.extend_from_slice(got);
            let n = got.len();
            self.total += n as u64;
            self.input.consume(n);
        }
        match self.total > self.limits.bytes {
            true => Err(self.error(Limits::reached("a file of over", self.limits.bytes, "bytes", "file"))),
            false => Ok(()),
        }
    }

    fn take(&mut self, n: usize) {
        let taken = &self.bytes[self.at..self.at + n];
        self.lines += taken.iter().filter(|b| **b == b'\n').count() as u64;
        self.at += n;
    }

    /// Drops a byte order mark.
    pub fn skip_mark(&mut self) -> Result<(), ReadError> {
        self.fetch()?;
        if self.bytes.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        Ok(())
    }

    /// The next byte that is neither blank nor comment, not taken.
    pub fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        loop {
            let mut parser = Parser::new(&self.bytes[self.at..], self.ended, self.dialect);
            let found = parser.peek();
            let skipped = parser.position();
            self.take(skipped);
            match found {
                None if !self.ended => self.fetch()?,
                found => return Ok(found),
            }
        }
    }

    /// Takes the byte that `peek` has shown.
    pub fn bump(&mut self) {
        self.take(1);
    }

    /// Reads one form with `read`, which may be called again on more bytes.
    pub fn form<T>(
        &mut self,
        read: impl Fn(&mut Parser<'_>) -> Result<T, Fault>,
    ) -> Result<Form<T>, ReadError> {
        if self.peek()?.is_none() {
            return Ok(Form::Nothing);
        }
        loop {
            let bytes = &self.bytes[self.at..];
            let stacks = std::mem::take(&mut self.stacks);
            let mut parser =
                Parser::new(bytes, self.ended, self.dialect).with(stacks).limited(self.limits.value);
            let result = read(&mut parser);
            let (taken, lossy) = (parser.position(), parser.lossy);
            self.stacks = parser.into_stacks();
            match result {
                Ok(value) => {
                    self.take(taken);
                    self.formed = taken as u64;
                    self.lossy += lossy;
                    return Ok(Form::Read(value));
                }
                Err(Fault::End) if self.ended => return Ok(Form::Cut),
                Err(Fault::End) => self.fetch()?,
                Err(Fault::At(at, what)) => {
                    let mut error = locate(bytes, self.lines, at, what);
                    if !bytes[..at.min(bytes.len())].contains(&b'\n') {
                        // The line began before the form.
                        error.column += self.column() - 1;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// The next whole line without its end; `None` at the end of the input. The flag: whether it had an end.
    pub fn text_line(&mut self) -> Result<Option<(Vec<u8>, bool)>, ReadError> {
        let mut searched = 0;
        loop {
            let rest = &self.bytes[self.at..];
            let end = rest[searched..].iter().position(|b| *b == b'\n').map(|n| n + searched);
            match end {
                Some(n) => {
                    let line = rest[..n].strip_suffix(b"\r").unwrap_or(&rest[..n]).to_vec();
                    self.take(n + 1);
                    return Ok(Some((line, true)));
                }
                None if !self.ended => {
                    searched = rest.len();
                    self.fetch()?;
                }
                None if rest.is_empty() => return Ok(None),
                None => {
                    let line = rest.to_vec();
                    self.take(line.len());
                    return Ok(Some((line, false)));
                }
            }
        }
    }
}
