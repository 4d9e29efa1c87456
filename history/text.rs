//! A whole history in a few readable lines, for tests and documentation.
//!
//! One op a line: process, call, and a bar whose first and last column say when it began and ended.
//!
//! ```text
//! p0 write x 1        |---|
//! p1 read x 1           |-----|
//! p2 cas x 1 2            |-----?      never answered: info
//! p3 cas! x 1 2       |--|             refused
//! p3 write x 3                  |--x   failed: certainly did not happen
//! p4 read x nil   @n2     |---|        that client is bound to n2
//! p5 read s [1 2]              |---|
//! p6 add s 1 false    |---|            answered: it was not there before
//! p7 acquire m 33       |---|          answered: fencing token 33
//! p8 txn - [r x 1] [w y 2]  |---|      what it read and wrote
//! ```
//!
//! Where a beginning and an end share a column, the beginning comes first: the two ops are concurrent.
//! The words: `read write cas cas! add remove append enqueue dequeue push pop poll acquire release generate txn`, each
//! followed by its key (`-` for none) and value; any other word by key, argument and reply. A text that is no bare word
//! stands in quotes: `"a b"`. Not a storage format: see [`crate::jsonl`].

use crate::event::{Call, Error, Event, MicroOp, Outcome, Process, Reply, micro_ops, takes};
use crate::formats::edn::DEPTH;
use crate::record::{Builder, History};
use crate::value::Value;

/// Reads the notation. Errors name the line. One column is one microsecond.
pub fn parse(text: &str) -> Result<History, String> {
    let mut builder = Builder::new();
    let mut edges: Vec<(usize, u8, usize, Event)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("");
        if line.trim().is_empty() {
            continue;
        }
        let (begin, end) = op(line, &mut builder).map_err(|e| format!("line {}: {e}", number + 1))?;
        edges.push((begin.0, 0, number, begin.1));
        if let Some((column, event)) = end {
            edges.push((column, 1, number, event));
        }
    }
    edges.sort_by_key(|(column, side, line, _)| (*column, *side, *line));
    for (_, _, line, event) in &edges {
        builder.push(event, *line as u64 + 1).map_err(|e| format!("line {}: {e}", line + 1))?;
    }
    Ok(builder.finish())
}

type Edge = (usize, Event);

fn op(line: &str, builder: &mut Builder) -> Result<(Edge, Option<Edge>), String> {
    let bar = line.find('|').ok_or("no bar: `|---|` shows when the op ran")?;
    let close = bar + 1 + line[bar + 1..].find(['|', '?', 'x']).ok_or("a bar ends in `|`, `?` or `x`")?;
    if depth(&line[..bar]) > DEPTH {
        return Err(format!("limit reached: nested deeper than {DEPTH} levels"));
    }
    let mut words = words(&line[..bar]);
    let mut node = None;
    words.retain(|w| match w.strip_prefix('@') {
        Some(name) => {
            node = builder.node(name).ok();
            false
        }
        None => true,
    });
    let [process, f, rest @ ..] = words.as_slice() else {
        return Err("expected `p0 read x 1 |--|`".into());
    };
    let process = process
        .strip_prefix('p')
        .unwrap_or(process)
        .parse()
        .map_err(|_| format!("bad process {process:?}"))?;
    let (call, reply) = call(f, rest)?;
    let outcome = match line.as_bytes()[close] {
        b'|' => Outcome::Ok(reply),
        b'x' => Outcome::Fail(Error::new("failed")),
        _ => Outcome::Info(Error::new("timeout")),
    };
    let (process, micro) = (Process(process), 1000);
    let begin = Event::Invoke { time: bar as u64 * micro, process, node, call: call.clone(), last: false };
    let end = Event::Complete { time: close as u64 * micro, process, call, outcome, server: node };
    Ok(((bar, begin), Some((close, end))))
}

fn depth(text: &str) -> usize {
    let (mut depth, mut most) = (0usize, 0);
    for b in text.bytes() {
        match b {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

/// Splits at blanks, but not inside brackets and quotes.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut depth, mut quoted) = (Vec::new(), String::new(), 0, false);
    for c in text.chars() {
        quoted ^= c == '"';
        if !quoted {
            depth += (c == '[') as i32 - (c == ']') as i32;
        }
        if c.is_whitespace() && depth == 0 && !quoted {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
        } else {
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// `nil`, `empty`, `true`, `false`, an integer, `[1 2]`, `"a b"`, or a bare word. Brackets deeper than [`DEPTH`] stay a word.
pub fn value(word: &str) -> Value {
    nested(word, DEPTH)
}

fn nested(word: &str, levels: usize) -> Value {
    if let Some(text) = word.strip_prefix('"').and_then(|w| w.strip_suffix('"'))
        && !text.contains('"')
    {
        return Value::text(text);
    }
    if levels > 0
        && let Some(inner) = word.strip_prefix('[').and_then(|w| w.strip_suffix(']'))
    {
        return Value::List(words(inner).iter().map(|w| nested(w, levels - 1)).collect());
    }
    match word {
        "nil" | "empty" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        w => w.parse().map(Value::Int).unwrap_or_else(|_| Value::text(w)),
    }
}

fn call(f: &str, rest: &[String]) -> Result<(Call, Reply), String> {
    let key = match rest.first().map(String::as_str) {
        None | Some("-") => Value::Null,
        Some(word) => value(word),
    };
    let values: Vec<Value> = rest.iter().skip(1).map(|w| value(w)).collect();
    let first = values.first().cloned().unwrap_or_default();
    Ok(match f {
        "read" => (Call::from_parts(f, key, Value::Null)?, Reply::Read(first)),
        f if takes(f) => (Call::from_parts(f, key, Value::Null)?, Reply::Read(first)),
        "generate" => (Call::Generate, Reply::Read(first)),
        "cas" => (Call::from_parts(f, key, Value::List(values))?, Reply::Done),
        "cas!" => (Call::from_parts("cas", key, Value::List(values))?, Reply::Mismatch),
        "acquire" if !first.is_null() => (Call::Acquire(key), Reply::Read(first)),
        "add" | "remove" if values.len() > 1 => {
            let call = Call::from_parts(f, key, first)?;
            (call, Reply::Read(values[1].clone()))
        }
        "write" | "add" | "remove" | "append" | "enqueue" | "push" | "acquire" | "release" => {
            (Call::from_parts(f, key, first)?, Reply::Done)
        }
        "txn" => {
            let steps = micro_ops(&Value::List(values))?;
            let asked = steps.iter().cloned().map(|step| match step {
                MicroOp::Read(k, _) => MicroOp::Read(k, Value::Null),
                other => other,
            });
            (Call::Txn(asked.collect()), Reply::Txn(steps))
        }
        // Anything else: `word key argument reply`.
        other => {
            let reply = values.get(1).cloned().map_or(Reply::Done, Reply::Read);
            (Call::Other { f: other.into(), key, value: first }, reply)
        }
    })
}

/// Ops one after the other in the litmus notation: `w1(x):=1; r2(x)=0; w1(x):=2?` (`?`: never answered).
/// A process that ended in info goes on as a new one; `nil` is 0 here, as in the tables.
pub fn litmus(text: &str) -> Result<History, String> {
    let mut lines = String::new();
    for (i, op) in text.split(';').map(str::trim).filter(|s| !s.is_empty()).enumerate() {
        let bad = || format!("litmus op {op:?}: expected w1(x):=1 or r2(x)=0");
        let (head, tail) = op.split_once(')').ok_or_else(bad)?;
        let (f, key) = head.split_once('(').ok_or_else(bad)?;
        let info = tail.ends_with('?');
        let tail = tail.trim_end_matches('?');
        let (word, value) = match (f.as_bytes().first(), tail.strip_prefix(":="), tail.strip_prefix('=')) {
            (Some(b'w'), Some(v), _) => ("write", v),
            (Some(b'r'), _, Some("0")) => ("read", "nil"),
            (Some(b'r'), _, Some(v)) => ("read", v),
            _ => return Err(bad()),
        };
        let bar = if info { "|-?" } else { "|-|" };
        let left = format!("p{} {word} {key} {value}", &f[1..]);
        lines += &format!("{left:<40}{:pad$}{bar}\n", "", pad = i * 4);
    }
    parse(&lines)
}
