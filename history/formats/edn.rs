//! The one EDN reader of the project, and its printer.
//!
//! Reads what Clojure prints, also where Clojure itself cannot read it back: `#object[…]`, `#<…>`, regexes,
//! duplicates in a set, unknown tags. No recursion: nesting costs a frame on a heap stack of at most [`DEPTH`].
//! The same reader takes JSON ([`Dialect::Json`]): `:` becomes white space, `null` is nil, big integers stay exact.
//!
//! | EDN | [`Value`] |
//! | --- | --- |
//! | `nil true 5 5N 0x1F 017 2r101` | `Null Bool Int`; an integer beyond 64 bits is `Big` in decimal digits |
//! | `1.5 ##Inf`, also `Infinity` and `NaN` | `Float` |
//! | `1.5M 1/3` | `Big`, as spelled; ratios in lowest terms |
//! | `:a/b`, symbols, `#'ns/x`, `@x` | `Keyword`, as spelled, with its colon if it had one |
//! | `\a \newline` | `Tagged("char", Text)` |
//! | `[…]` and `(…)` | `List`: the two are equal in Clojure too |
//! | `#{…} {…} #:ns{…}` | `Set`, `Map` in source order with duplicates; a namespace is spread over the keys |
//! | `#tag x` | `Tagged("tag", x)` |
//! | `#"regex" #object[…] #<…>` | `Tagged("regex" \| "object" \| "<>", Text)`, the raw text between the brackets |
//!
//! Bytes that are not UTF-8 become U+FFFD and two hex digits, so that different bytes stay different values.

mod number;
mod print;

use crate::jsonl::{Limits, ReadError};
use crate::value::Value;
use number::number;
pub use print::print;
use std::borrow::Cow;

/// Levels of nesting that are read; tags, discards and metadata count too.
pub const DEPTH: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Edn,
    Json,
}

/// Why a form could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end inside a form: a reader may fetch more and start the form again.
    End,
    /// At this byte of the slice.
    At(usize, String),
}

/// What waits for a form. Tags and namespaces are the bytes from the first position to the second.
#[derive(Clone, Copy)]
enum Frame {
    /// With the bracket that closes it.
    List(u8),
    Set,
    Map(Option<(usize, usize)>),
    Tag(usize, usize),
    Discard,
    Metadata,
}

/// The stacks of a parser, kept from one form to the next: making them anew costs more than a short form.
#[derive(Default)]
pub(super) struct Stacks {
    frames: Vec<(Frame, usize)>,
    values: Vec<Value>,
}

/// Bytes that end a token.
const fn ends_token(b: u8) -> bool {
    matches!(
        b,
        b' ' | b',' | 0x09..=0x0d | 0x1c..=0x1f | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'"' | b';'
    )
}

const fn table(json: bool) -> [u8; 256] {
    let mut t = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        if ends_token(b) || (json && b == b':') {
            t[i] |= TOKEN_END;
        }
        if matches!(b, b' ' | b',' | 0x09..=0x0d | 0x1c..=0x1f) || (json && b == b':') {
            t[i] |= BLANK;
        }
        i += 1;
    }
    t
}

const TOKEN_END: u8 = 1;
const BLANK: u8 = 2;
static EDN: [u8; 256] = table(false);
static JSON: [u8; 256] = table(true);

/// Reads forms from a slice, one after the other. Tokens borrow from the slice; values own what they hold.
pub struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether nothing follows the slice.
    whole: bool,
    /// Inside a map that the caller takes apart: a token that touches the end was cut off.
    inside: bool,
    json: bool,
    class: &'static [u8; 256],
    stacks: Stacks,
    /// Bytes of one value at most.
    most: usize,
    /// Strings and names in which bytes that are not UTF-8 were replaced.
    pub lossy: u64,
}

impl<'a> Parser<'a> {
    /// `whole`: nothing follows; else a token that touches the end of the slice is not yet complete.
    pub fn new(bytes: &'a [u8], whole: bool, dialect: Dialect) -> Parser<'a> {
        let json = dialect == Dialect::Json;
        let class = if json { &JSON } else { &EDN };
        Parser {
            bytes,
            at: 0,
            whole,
            inside: false,
            json,
            class,
            stacks: Stacks::default(),
            most: usize::MAX,
            lossy: 0,
        }
    }

    /// Refuses values of more bytes.
    pub fn limited(mut self, most: usize) -> Parser<'a> {
        self.most = most;
        self
    }

    /// Uses the stacks of an earlier parser.
    pub(super) fn with(mut self, stacks: Stacks) -> Parser<'a> {
        self.stacks = stacks;
        self
    }

    pub(super) fn into_stacks(self) -> Stacks {
        self.stacks
    }

    /// Bytes consumed so far.
    pub fn position(&self) -> usize {
        self.at
    }

    fn fault<T>(&self, at: usize, what: impl Into<String>) -> Result<T, Fault> {
        Err(Fault::At(at, what.into()))
    }

    /// Skips blanks and comments and shows the next byte without taking it. `None` at the end of the slice.
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            let b = *self.bytes.get(self.at)?;
            if self.class[b as usize] & BLANK != 0 {
                self.at += 1;
            } else if b == b';' && !self.json {
                match self.bytes[self.at..].iter().position(|b| *b == b'\n') {
                    Some(n) => self.at += n + 1,
                    // An unfinished comment: only if nothing follows is it over.
                    None if self.whole => self.at = self.bytes.len(),
                    None => return None,
                }
            } else {
                return Some(b);
            }
        }
    }

    /// Says that the caller took a `{` by itself, or its `}`.
    pub fn inside(&mut self, inside: bool) {
        self.inside = inside;
    }

    /// Whether a token that touches the end of the slice cannot be complete.
    fn more(&self) -> bool {
        let open = |(frame, _): &(Frame, usize)| matches!(frame, Frame::List(_) | Frame::Set | Frame::Map(_));
        !self.whole || self.inside || self.stacks.frames.iter().any(open)
    }

    /// Takes one byte that [`Parser::peek`] has shown.
    pub fn bump(&mut self) {
        self.at += 1;
    }

    /// Takes a keyword or a plain string as raw bytes without its colon or quotes: how a map's known fields
    /// are met without building a value. `None`, and nothing is taken, for anything else.
    pub fn name(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        match self.peek() {
            None => Err(Fault::End),
            Some(b':') => Ok(Some(&self.token()?[1..])),
            Some(b'"') => {
                let rest = &self.bytes[self.at + 1..];
                match rest.iter().position(|b| matches!(b, b'"' | b'\\')) {
                    None => Err(Fault::End),
                    Some(n) if rest[n] == b'"' => {
                        self.at += n + 2;
                        Ok(Some(&rest[..n]))
                    }
                    Some(_) => Ok(None),
                }
            }
            Some(_) => Ok(None),
        }
    }

    /// Takes a tag (`#a.b/c`, without the `#`) if one is next and a form follows it.
    pub fn tag(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        let rest = &self.bytes[self.at..];
        match rest {
            [b'#'] => Err(Fault::End),
            [b'#', b, ..] if b.is_ascii_alphabetic() => {
                let tag = &self.token()?[1..];
                match (tag, self.bytes.get(self.at)) {
                    (b"object", Some(b'[')) => {
                        self.at -= 7;
                        Ok(None)
                    }
                    _ => Ok(Some(tag)),
                }
            }
            _ => Ok(None),
        }
    }

    fn token(&mut self) -> Result<&'a [u8], Fault> {
        let rest = &self.bytes[self.at..];
        // The first byte belongs to the token whatever it is.
        let n = rest.iter().skip(1).position(|b| self.class[*b as usize] & TOKEN_END != 0).map(|n| n + 1);
        match n {
            None if self.more() => Err(Fault::End),
            n => {
                let token = &rest[..n.unwrap_or(rest.len())];
                self.at += token.len();
                Ok(token)
            }
        }
    }

    fn open(&mut self, frame: Frame, width: usize) -> Result<(), Fault> {
        if self.stacks.frames.len() >= DEPTH {
            return self.fault(self.at, format!("limit reached: nested deeper than {DEPTH} levels"));
        }
        self.at += width;
        self.stacks.frames.push((frame, self.stacks.values.len()));
        Ok(())
    }

    /// Takes a discarded form, `#_x`, if one is next.
    pub fn discarded(&mut self) -> Result<bool, Fault> {
        match self.bytes[self.at..].starts_with(b"#_") && !self.json {
            true => {
                self.at += 2;
                self.value().map(|_| true)
            }
            false => Ok(false),
        }
    }

    /// The next whole form. On an error the parser is where the error is, and must not be used further.
    pub fn value(&mut self) -> Result<Value, Fault> {
        self.stacks.frames.clear();
        self.stacks.values.clear();
        let from = self.at;
        loop {
            let Some(b) = self.peek() else {
                return Err(Fault::End);
            };
            if self.at - from > self.most {
                return self.fault(from, Limits::reached("a value of over", self.most, "bytes", "value"));
            }
            let done = match b {
                b'0'..=b'9' => self.number()?,
                b'[' | b'(' => {
                    self.open(Frame::List(if b == b'[' { b']' } else { b')' }), 1)?;
                    continue;
                }
                b'{' => {
                    self.open(Frame::Map(None), 1)?;
                    continue;
                }
                b']' | b')' | b'}' => self.close(b)?,
                b'"' => Value::Text(self.string()?),
                b':' => self.keyword()?,
                b'+' | b'-' => match self.bytes.get(self.at + 1) {
                    Some(b'0'..=b'9') => self.number()?,
                    _ => self.symbol()?,
                },
                b'\\' if !self.json => self.character()?,
                b'^' if !self.json => {
                    self.open(Frame::Metadata, 1)?;
                    continue;
                }
                b'#' if !self.json => match self.dispatch()? {
                    Some(value) => value,
                    None => continue,
                },
                _ => self.symbol()?,
            };
            if let Some(value) = self.deliver(done) {
                return match self.at - from > self.most {
                    true => self.fault(from, Limits::reached("a value of over", self.most, "bytes", "value")),
                    false => Ok(value),
                };
            }
        }
    }

    /// Hands a finished form to the frame that waits for it; gives it back if none does.
    fn deliver(&mut self, mut value: Value) -> Option<Value> {
        loop {
            match self.stacks.frames.last() {
                None => return Some(value),
                Some((Frame::List(_) | Frame::Set | Frame::Map(_), _)) => {
                    self.stacks.values.push(value);
                    return None;
                }
                Some((Frame::Discard | Frame::Metadata, _)) => {
                    self.stacks.frames.pop();
                    return None;
                }
                Some((Frame::Tag(from, to), _)) => {
                    let tag = &self.bytes[*from..*to];
                    self.stacks.frames.pop();
                    value = Value::Tagged(self.text(tag), Box::new(value));
                }
            }
        }
    }

    fn close(&mut self, bracket: u8) -> Result<Value, Fault> {
        let c = bracket as char;
        let Some((frame, start)) = self.stacks.frames.last().copied() else {
            return self.fault(self.at, format!("a {c} that closes nothing"));
        };
        let expected = match frame {
            Frame::List(closing) => closing,
            Frame::Set | Frame::Map(_) => b'}',
            Frame::Tag(..) => {
                return self.fault(self.at, format!("a tag must be followed by a form, not by {c}"));
            }
            Frame::Discard => {
                return self.fault(self.at, format!("#_ must be followed by a form, not by {c}"));
            }
            Frame::Metadata => {
                return self.fault(self.at, format!("^ must be followed by a form, not by {c}"));
            }
        };
        if expected != bracket {
            return self.fault(self.at, format!("expected {} here, found {c}", expected as char));
        }
        let count = self.stacks.values.len() - start;
        if matches!(frame, Frame::Map(_)) && count % 2 == 1 {
            return self.fault(self.at, "a map with a key that has no value");
        }
        self.at += 1;
        self.stacks.frames.pop();
        let items = self.stacks.values.drain(start..);
        Ok(match frame {
            Frame::Set => Value::Set(items.collect()),
            Frame::Map(namespace) => {
                let mut pairs = Vec::with_capacity(count / 2);
                let mut items = items;
                while let (Some(k), Some(v)) = (items.next(), items.next()) {
                    pairs.push((k, v));
                }
                drop(items);
                if let Some((from, to)) = namespace {
                    spread(&self.text(&self.bytes[from..to]), &mut pairs);
                }
                Value::Map(pairs)
            }
            _ => Value::List(items.collect()),
        })
    }

    fn text(&mut self, bytes: &[u8]) -> Box<str> {
        match readable(bytes) {
            Cow::Borrowed(s) => s.into(),
            Cow::Owned(s) => {
                self.lossy += 1;
                s.into()
            }
        }
    }

    fn keyword(&mut self) -> Result<Value, Fault> {
        let from = self.at;
        let token = self.token()?;
        if token.len() == 1 {
            return self.fault(from, "a keyword without a name");
        }
        Ok(Value::Keyword(self.text(token)))
    }

    fn symbol(&mut self) -> Result<Value, Fault> {
        let from = self.at;
        let token = self.token()?;
        Ok(match token {
            b"nil" if !self.json => Value::Null,
            b"null" if self.json => Value::Null,
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            b"NaN" => Value::float(f64::NAN),
            b"Infinity" => Value::float(f64::INFINITY),
            b"-Infinity" => Value::float(f64::NEG_INFINITY),
            [b, ..] if *b < b' ' || *b == 0x7f => {
                return self.fault(from, format!("unexpected byte 0x{b:02x}"));
            }
            _ if self.json => {
                let what = format!("expected a JSON value, found {:?}", readable(clip(token)));
                return self.fault(from, what);
            }
            _ => Value::Keyword(self.text(token)),
        })
    }

    fn string(&mut self) -> Result<Box<str>, Fault> {
        let from = self.at + 1;
        let rest = &self.bytes[from..];
        let Some(n) = rest.iter().position(|b| matches!(b, b'"' | b'\\')) else {
            return Err(Fault::End);
        };
        if rest[n] == b'"' {
            self.at = from + n + 1;
            return Ok(self.text(&rest[..n]));
        }
        self.escaped(from)
    }

    /// A string with escapes in it, from its first byte.
    fn escaped(&mut self, from: usize) -> Result<Box<str>, Fault> {
        let (mut at, mut out) = (from, Vec::new());
        loop {
            let rest = &self.bytes[at..];
            let Some(n) = rest.iter().position(|b| matches!(b, b'"' | b'\\')) else {
                return Err(Fault::End);
            };
            out.extend_from_slice(&rest[..n]);
            at += n;
            if rest[n] == b'"' {
                self.at = at + 1;
                return Ok(self.text(&out));
            }
            at = self.escape(at, &mut out)?;
        }
    }

    /// One escape, from its backslash; returns the position after it.
    fn escape(&mut self, at: usize, out: &mut Vec<u8>) -> Result<usize, Fault> {
        let rest = &self.bytes[at + 1..];
        let Some(b) = rest.first() else {
            return Err(Fault::End);
        };
        let simple = match b {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 0x08,
            b'f' => 0x0c,
            b'"' | b'\\' | b'/' => *b,
            b'0'..=b'7' if !self.json => {
                let digits = rest.iter().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
                if digits == rest.len() {
                    return Err(Fault::End);
                }
                let code = rest[..digits].iter().fold(0u32, |n, b| n * 8 + (b - b'0') as u32);
                push_char(code.min(0xff), out);
                return Ok(at + 1 + digits);
            }
            b'u' => {
                let unit = self.unit(at)?;
                if (0xd800..0xdc00).contains(&unit)
                    && matches!(self.bytes.get(at + 6..), None | Some([] | [b'\\'] | [b'\\', b'u', ..]))
                {
                    let low = self.unit(at + 6)?;
                    if (0xdc00..0xe000).contains(&low) {
                        push_char(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00), out);
                        return Ok(at + 12);
                    }
                }
                push_char(unit, out);
                if (0xd800..0xe000).contains(&unit) {
                    // Half a pair: which half it was stays to be seen, so that unequal strings stay unequal.
                    self.lossy += 1;
                    out.extend_from_slice(format!("{unit:04x}").as_bytes());
                }
                return Ok(at + 6);
            }
            other => return self.fault(at, format!("unknown escape \\{}", readable(&[*other]))),
        };
        out.push(simple);
        Ok(at + 2)
    }

    /// The UTF-16 unit of `\uXXXX` whose backslash is at `at`.
    fn unit(&self, at: usize) -> Result<u32, Fault> {
        match self.bytes.get(at + 2..at + 6) {
            None => Err(Fault::End),
            Some(digits) => match hex(digits) {
                Some(unit) => Ok(unit),
                None => self.fault(at, "expected four hex digits after \\u"),
            },
        }
    }

    fn character(&mut self) -> Result<Value, Fault> {
        let from = self.at;
        let rest = &self.bytes[from + 1..];
        let Some(first) = rest.first() else {
            return Err(Fault::End);
        };
        // `\(` and `\,` are characters too: the byte after the backslash is taken whatever it is.
        let wide = rest.iter().skip(1).take_while(|b| **b & 0xc0 == 0x80).count() + 1;
        let n = match ends_token(*first) {
            true => 1,
            false => rest.iter().position(|b| ends_token(*b)).unwrap_or(rest.len()).max(wide),
        };
        if n == rest.len() && self.more() {
            return Err(Fault::End);
        }
        self.at += 1 + n;
        let name = &rest[..n];
        let code = match name {
            b"newline" => 0x0a,
            b"space" => 0x20,
            b"tab" => 0x09,
            b"return" => 0x0d,
            b"backspace" => 0x08,
            b"formfeed" => 0x0c,
            [b'u', digits @ ..] if digits.len() == 4 && hex(digits).is_some() => hex(digits).unwrap_or(0),
            [b'o', digits @ ..]
                if (1..=3).contains(&digits.len()) && digits.iter().all(|b| (b'0'..=b'7').contains(b)) =>
            {
                digits.iter().fold(0, |n, b| n * 8 + (b - b'0') as u32)
            }
            _ => {
                let text = self.text(name);
                let mut chars = text.chars();
                return match (chars.next(), chars.next()) {
                    (Some(c), None) => Ok(char_value(c)),
                    _ if text.starts_with('\u{fffd}') => {
                        Ok(Value::Tagged("char".into(), Box::new(Value::Text(text))))
                    }
                    _ => self.fault(from, format!("unknown character \\{}", readable(clip(name)))),
                };
            }
        };
        Ok(char_value(char::from_u32(code).unwrap_or('\u{fffd}')))
    }

    /// What follows a `#`. `None` when a frame was opened for the forms to come.
    fn dispatch(&mut self) -> Result<Option<Value>, Fault> {
        let from = self.at;
        let rest = &self.bytes[from..];
        match rest.get(1) {
            None => Err(Fault::End),
            Some(b'{') => self.open(Frame::Set, 2).map(|()| None),
            Some(b'_') => self.open(Frame::Discard, 2).map(|()| None),
            Some(b'^') => self.open(Frame::Metadata, 2).map(|()| None),
            Some(b'#') => self.symbolic().map(Some),
            Some(b'"') => self.regex().map(Some),
            Some(b'<') => self.unreadable(1, b'<', b'>', "<>").map(Some),
            Some(b'\'') => {
                let token = self.token()?;
                Ok(Some(Value::Keyword(self.text(token))))
            }
            Some(b':') => self.namespace(),
            Some(_) if rest.starts_with(b"#object[") => self.unreadable(7, b'[', b']', "object").map(Some),
            Some(b) if b.is_ascii_alphabetic() || *b >= 0x80 => {
                let token = self.token()?;
                self.open(Frame::Tag(from + 1, from + token.len()), 0).map(|()| None)
            }
            Some(b) => self.fault(from, format!("unknown form #{}", readable(&[*b]))),
        }
    }

    fn symbolic(&mut self) -> Result<Value, Fault> {
        let from = self.at;
        match self.token()? {
            b"##Inf" => Ok(Value::float(f64::INFINITY)),
            b"##-Inf" => Ok(Value::float(f64::NEG_INFINITY)),
            b"##NaN" => Ok(Value::float(f64::NAN)),
            other => {
                self.fault(from, format!("expected ##Inf, ##-Inf or ##NaN, found {}", readable(clip(other))))
            }
        }
    }

    /// `#:ns{…}`: opens the map.
    fn namespace(&mut self) -> Result<Option<Value>, Fault> {
        let from = self.at;
        let token = self.token()?;
        // It stands before names without a colon, too, and must leave them names.
        match token.get(2) {
            Some(b) if b.is_ascii_alphabetic() || b"_*!?$%&=<>.".contains(b) || *b >= 0x80 => {}
            _ => return self.fault(from, "a namespace must begin like a name"),
        }
        match self.peek() {
            None => Err(Fault::End),
            Some(b'{') => self.open(Frame::Map(Some((from + 2, from + token.len()))), 1).map(|()| None),
            Some(_) => self.fault(from, "a namespace must be followed by a map"),
        }
    }

    fn regex(&mut self) -> Result<Value, Fault> {
        let body = &self.bytes[self.at + 2..];
        let mut at = 0;
        loop {
            match body.get(at) {
                None => return Err(Fault::End),
                Some(b'\\') => at += 2,
                Some(b'"') => break,
                Some(_) => at += 1,
            }
        }
        self.at += 2 + at + 1;
        Ok(Value::Tagged("regex".into(), Box::new(Value::Text(self.text(&body[..at])))))
    }

    /// Text between balanced brackets, kept raw; strings inside may hold brackets of their own.
    fn unreadable(&mut self, skip: usize, open: u8, close: u8, tag: &str) -> Result<Value, Fault> {
        let body = &self.bytes[self.at + skip..];
        let (mut depth, mut at) = (0usize, 0);
        loop {
            match body.get(at) {
                None => return Err(Fault::End),
                Some(b'"') if open == b'[' => {
                    at += 1;
                    while *body.get(at).ok_or(Fault::End)? != b'"' {
                        at += if body[at] == b'\\' { 2 } else { 1 };
                    }
                }
                Some(b) if *b == open => depth += 1,
                Some(b) if *b == close => depth -= 1,
                Some(_) => {}
            }
            at += 1;
            if depth == 0 {
                break;
            }
        }
        self.at += skip + at;
        Ok(Value::Tagged(tag.into(), Box::new(Value::Text(self.text(&body[1..at - 1])))))
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let from = self.at;
        let rest = &self.bytes[from..];
        let negative = rest[0] == b'-';
        let sign = (negative || rest[0] == b'+') as usize;
        let mut n = 0i64;
        // Up to 18 digits cannot overflow; a zero before another digit means another radix.
        for (i, b) in rest.iter().enumerate().skip(sign).take(18) {
            if b.is_ascii_digit() {
                n = n * 10 + (b - b'0') as i64;
            } else if self.class[*b as usize] & TOKEN_END != 0 && (i == sign + 1 || rest[sign] != b'0') {
                self.at += i;
                return Ok(Value::Int(if negative { -n } else { n }));
            } else {
                break;
            }
        }
        let token = self.token()?;
        match number(token, self.json) {
            Ok(value) => Ok(value),
            Err(what) => self.fault(from, what),
        }
    }
}

/// The beginning of a text, for messages.
pub(crate) fn short(text: &str) -> &str {
    match text.char_indices().nth(60) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

fn clip(token: &[u8]) -> &[u8] {
    &token[..token.len().min(40)]
}

fn hex(digits: &[u8]) -> Option<u32> {
    match digits.iter().all(u8::is_ascii_hexdigit) {
        true => u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok(),
        false => None,
    }
}

fn push_char(code: u32, out: &mut Vec<u8>) {
    let c = char::from_u32(code).unwrap_or('\u{fffd}');
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn char_value(c: char) -> Value {
    Value::Tagged("char".into(), Box::new(Value::Text(c.to_string().into())))
}

/// Bytes as text: what is not UTF-8 becomes U+FFFD and two hex digits, so that unequal bytes stay unequal.
pub fn readable(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(s) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(s);
    }
    let mut out = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for b in chunk.invalid() {
            out.push_str(&format!("\u{fffd}{b:02x}"));
        }
    }
    Cow::Owned(out)
}

/// Puts the namespace of `#:ns{…}` before the names that have none; `_` as namespace means none.
fn spread(namespace: &str, pairs: &mut [(Value, Value)]) {
    for (key, _) in pairs {
        let Value::Keyword(name) = key else { continue };
        let (colon, bare) = match name.strip_prefix(':') {
            Some(bare) => (":", bare),
            None => ("", name.as_ref()),
        };
        *name = match bare.split_once('/') {
            Some(("_", bare)) => format!("{colon}{bare}").into(),
            Some(_) => continue,
            None => format!("{colon}{namespace}/{bare}").into(),
        };
    }
}

/// All forms of a text. Lines and columns of errors count from one, columns in bytes.
pub fn parse(text: &[u8]) -> Result<Vec<Value>, ReadError> {
    let mut parser = Parser::new(text, true, Dialect::Edn);
    let mut forms = Vec::new();
    while parser.peek().is_some() {
        // A discarded last form leaves nothing to read, and that is no error.
        match parser.discarded().and_then(|gone| if gone { Ok(None) } else { parser.value().map(Some) }) {
            Ok(value) => forms.extend(value),
            Err(Fault::End) => return Err(locate(text, 0, text.len(), "the text ends inside a form")),
            Err(Fault::At(at, what)) => return Err(locate(text, 0, at, what)),
        }
    }
    Ok(forms)
}

/// An error at a byte of a slice that begins after `lines` lines.
pub(crate) fn locate(bytes: &[u8], lines: u64, at: usize, what: impl Into<String>) -> ReadError {
    let before = &bytes[..at.min(bytes.len())];
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let line = lines + before.iter().filter(|b| **b == b'\n').count() as u64 + 1;
    ReadError { line, column: before.len() - start + 1, what: what.into() }
}
