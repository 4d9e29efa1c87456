//! `history.edn` of Jepsen, old and new, of Knossos, Elle and Maelstrom: op maps in EDN.
//!
//! One map a line or one list around them all; records with a tag (`#jepsen.history.Op{…}`) are maps; unknown
//! fields are ignored. A file that breaks off inside a map or before the closing bracket is read up to there
//! and marked truncated. The meaning of the fields is [`super::ops`]'s. A list and a vector are one thing here, and
//! a keyword stays one.
//!
//! Written back: the same maps, keys in the order that Jepsen has used since 0.3, a key and its value as a tuple.

use super::Format;
use super::edn::{self, Dialect, Fault, Parser};
use super::export::{self, Line};
use super::ops::{Importer, Kind, Row, Rules, Who};
use super::source::{Form, Source};
use crate::jsonl::{ReadError, ReadOptions};
use crate::record::History;
use crate::value::Value;
use std::borrow::Cow;
use std::io::{self, BufRead, Write};

pub struct JepsenEdn;

impl Format for JepsenEdn {
    fn name(&self) -> &'static str {
        "jepsen-edn"
    }

    fn about(&self) -> &'static str {
        "history.edn of Jepsen, Knossos, Elle and Maelstrom: op maps in EDN, one a line or in one list"
    }

    fn detect(&self, head: &[u8], name: &str) -> Option<u8> {
        let mut parser = Parser::new(head, true, Dialect::Edn);
        let mut first = parser.peek()?;
        if matches!(first, b'[' | b'(') {
            parser.bump();
            first = parser.peek()?;
        }
        let rest = &head[parser.position()..];
        let by_name = name.ends_with(".edn");
        match first {
            b'{' => {
                parser.bump();
                (parser.peek() == Some(b':') || by_name).then_some(90)
            }
            b'#' if rest.starts_with(b"#jepsen.") || rest.starts_with(b"#knossos.") || by_name => Some(90),
            b']' | b')' | b'n' | b'^' if by_name => Some(60),
            _ => None,
        }
    }

    fn read(&self, input: &mut dyn BufRead, options: &ReadOptions) -> Result<History, ReadError> {
        read_rows(input, options, Dialect::Edn, Rules::default(), |_| Ok(()))
    }

    fn write(&self, history: &History, out: &mut dyn Write) -> Option<io::Result<()>> {
        Some(write(history, out))
    }
}

/// Reads op maps of either dialect. `amend` may translate a row before it is imported.
pub(super) fn read_rows(
    input: &mut dyn BufRead,
    options: &ReadOptions,
    dialect: Dialect,
    rules: Rules,
    amend: impl Fn(&mut Row) -> Result<(), String>,
) -> Result<History, ReadError> {
    let mut source = Source::new(input, options.limits, dialect);
    let mut importer = Importer::new(options, rules);
    source.skip_mark()?;
    let mut list = None;
    loop {
        let next = source.peek()?;
        match next {
            Some(b'[' | b'(') if list.is_none() => {
                list = next.map(|b| if b == b'[' { b']' } else { b')' });
                source.bump();
                continue;
            }
            Some(b']' | b')') if next == list => {
                list = None;
                source.bump();
                continue;
            }
            _ => {}
        }
        let line = source.line();
        match source.form(op)? {
            Form::Nothing => break,
            // A list that is never closed lost its end; a map, itself.
            Form::Cut => return importer.finish(Some(line - 1), source.lossy),
            Form::Read(None) => {}
            Form::Read(Some(mut row)) => {
                row.line = line;
                amend(&mut row).map_err(|what| super::ops::error(line, what))?;
                importer.push(row, source.formed)?;
            }
        }
    }
    let cut = list.map(|_| source.line() - 1);
    importer.finish(cut, source.lossy)
}

/// One op map, or `None` for a form that is none (nil, something discarded).
fn op(parser: &mut Parser<'_>) -> Result<Option<Row>, Fault> {
    loop {
        match parser.peek() {
            None => return Err(Fault::End),
            Some(b'{') => {
                parser.bump();
                parser.inside(true);
                return fields(parser).map(Some);
            }
            Some(b'#') if parser.discarded()? => return Ok(None),
            Some(b'#') if parser.tag()?.is_some() => continue,
            Some(_) => return other_form(parser),
        }
    }
}

/// The rare ways to begin: `#:ns{…}`, `^{…} {…}`, nil.
fn other_form(parser: &mut Parser<'_>) -> Result<Option<Row>, Fault> {
    let at = parser.position();
    let mut form = parser.value()?;
    while let Value::Tagged(_, inner) = form {
        form = *inner;
    }
    match form {
        Value::Null | Value::Bool(false) => Ok(None),
        Value::Map(pairs) => {
            let mut row = Row::default();
            for (key, value) in pairs {
                let name = key.to_plain();
                set(&mut row, name.rsplit('/').next().unwrap_or("").as_bytes(), value)
                    .map_err(|what| Fault::At(at, what))?;
            }
            Ok(Some(row))
        }
        other => Err(Fault::At(at, format!("expected an op map, found {}", short(&other)))),
    }
}

/// The fields of an op map whose brace is taken.
fn fields(parser: &mut Parser<'_>) -> Result<Row, Fault> {
    let mut row = Row::default();
    loop {
        match parser.peek() {
            None => return Err(Fault::End),
            Some(b'}') => {
                parser.bump();
                parser.inside(false);
                return Ok(row);
            }
            Some(b'#') if parser.discarded()? => continue,
            Some(_) => {}
        }
        let at = parser.position();
        let name = match parser.name()? {
            Some(name) => Cow::Borrowed(name),
            None => match parser.value()? {
                // `:error :foo bar` has `bar` where a key belongs.
                Value::Keyword(word) if !word.starts_with(':') => {
                    row.stray = true;
                    continue;
                }
                other => Cow::Owned(other.to_plain().into_bytes()),
            },
        };
        let value = field(parser)?;
        set(&mut row, &name, value).map_err(|what| Fault::At(at, what))?;
    }
}

fn field(parser: &mut Parser<'_>) -> Result<Value, Fault> {
    match parser.peek() {
        Some(b'}') => Err(Fault::At(parser.position(), "a map with a key that has no value".into())),
        _ => parser.value(),
    }
}

fn short(value: &Value) -> String {
    let mut text = String::new();
    edn::print(value, &mut text);
    match text.char_indices().nth(60) {
        Some((n, _)) => format!("{}…", &text[..n]),
        None => text,
    }
}

/// Fields that mean something. Bits of `Row::seen` in this order.
const FIELDS: [&[u8]; 12] = [
    b"index", b"time", b"type", b"process", b"f", b"key", b"value", b"error", b"node", b"host", b"final",
    b"final?",
];

/// A field that comes twice leaves open which of the two is meant.
fn once(row: &mut Row, name: &[u8]) -> Result<(), String> {
    let Some(at) = FIELDS.iter().position(|f| *f == name) else { return Ok(()) };
    match row.seen & 1 << at {
        0 => row.seen |= 1 << at,
        _ => return Err(format!("the field {} comes twice", edn::readable(name))),
    }
    Ok(())
}

fn set(row: &mut Row, name: &[u8], value: Value) -> Result<(), String> {
    once(row, name)?;
    match name {
        b"index" => row.index = integer("index", &value)?,
        b"time" => row.time = integer("time", &value)?,
        b"type" => {
            let word = value.as_text().unwrap_or("").trim_start_matches(':');
            match Kind::parse(word.as_bytes()) {
                Some(kind) => row.kind = Some(kind),
                None => {
                    return Err(format!("unknown type {}: expected invoke, ok, fail or info", short(&value)));
                }
            }
        }
        b"process" => row.who = who(&value)?,
        b"f" => row.f = function(&value),
        b"key" => row.key = value,
        b"value" => row.value = value,
        b"error" => row.error = value,
        b"exception" if row.error.is_null() => row.error = cause(&value),
        b"node" | b"host" => row.node = value.as_text().map(|_| value.to_plain().into()),
        b"final?" | b"final" => row.last = value == Value::Bool(true),
        _ => {}
    }
    Ok(())
}

/// The message of an exception, or the class of the outermost, without the trace.
fn cause(exception: &Value) -> Value {
    let first = exception.get(":via").and_then(Value::elements).and_then(|via| via.first());
    let found = exception.get(":cause").or_else(|| first.and_then(|e| e.get(":type")));
    found.cloned().unwrap_or_else(|| Value::text("exception"))
}

fn integer(field: &str, value: &Value) -> Result<Option<i64>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Int(i) => Ok(Some(*i)),
        // Some generators count in floats.
        Value::Float(bits) if is_whole(f64::from_bits(*bits)) => Ok(Some(f64::from_bits(*bits) as i64)),
        other => Err(format!("expected an integer as {field}, found {}", short(other))),
    }
}

/// Whether a float is an integer that it holds exactly.
fn is_whole(x: f64) -> bool {
    x.fract() == 0.0 && x.abs() <= (1u64 << 53) as f64
}

fn who(value: &Value) -> Result<Who, String> {
    Ok(match value {
        Value::Null => Who::Missing,
        Value::Keyword(word) if word.trim_start_matches(':') == "nemesis" => Who::Other,
        Value::Keyword(word) => Who::Named(word.clone()),
        Value::Int(i) => match u32::try_from(*i) {
            Ok(process) => Who::Client(process),
            Err(_) => return Err(format!("expected a process from 0 to 4294967295, found {i}")),
        },
        Value::Text(word) => match word.parse() {
            Ok(process) => Who::Client(process),
            Err(_) if word.trim_start_matches(':') == "nemesis" => Who::Other,
            Err(_) => return Err(format!("expected a process: a number or :nemesis, found {word:?}")),
        },
        other => return Err(format!("expected a process: a number or :nemesis, found {}", short(other))),
    })
}

/// `:read` as `read`; a nemesis with roles says `[:etcd :kill]`.
fn function(value: &Value) -> Option<Box<str>> {
    match value {
        Value::Null => None,
        Value::Keyword(word) => Some(word.strip_prefix(':').unwrap_or(word).into()),
        Value::Text(word) => Some(word.clone()),
        other => Some(short(other).into()),
    }
}

/// One map a line, in Jepsen's order of keys.
fn write(history: &History, out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::new();
    for (index, line) in export::lines(history).enumerate() {
        text.clear();
        row(index, &line, &mut text);
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}

fn row(index: usize, line: &Line, text: &mut String) {
    *text += &format!("{{:index {index}, :time {}, :type :{}, :process ", line.time, line.kind);
    match line.process {
        Some(process) => *text += &process.to_string(),
        None => *text += ":nemesis",
    }
    *text += ", :f ";
    edn::print(&Value::Keyword(format!(":{}", line.f).into()), text);
    *text += ", :value ";
    edn::print(&line.tuple(), text);
    if let Some(error) = &line.error {
        *text += ", :error ";
        edn::print(&Value::text(error), text);
    }
    if let Some(node) = line.node {
        *text += ", :node ";
        edn::print(&Value::text(node), text);
    }
    *text += if line.last { ", :final? true}\n" } else { "}\n" };
}
