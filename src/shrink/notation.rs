//! A core as a Rust test in the notation of `history::text`. Nothing is printed that does not fail as it says.

use super::{Core, same};
use checkers::linearizable::{Linearizable, Object};
use checkers::{Budget, Checker, Verdict};
use history::event::takes;
use history::{Call, History, MicroOp, Op, Outcome, Reply, Value};

/// A Rust test, proven to fail the checker it names.
pub fn as_test(core: &Core, checker: &str) -> Result<String, String> {
    let lines = notation(&core.history)?;
    let text = lines.join("\n");
    let parsed = history::text::parse(&text)?;
    let named = checkers::ALL.iter().find(|c| c.name() == checker);
    let named = named.ok_or_else(|| format!("{checker} is a checker of one workload only"))?;
    // The checker that finds out by itself what the object is may take it for another.
    let object = core.object.filter(|o| checker == "linearizable" && !same(Object::guess(&parsed), Some(*o)));
    let (findings, constructor) = match object {
        None => (
            named.check(&parsed, &Budget::default()),
            format!("checkers::ALL.iter().find(|c| c.name() == \"{checker}\").unwrap()"),
        ),
        Some(object) => (
            Linearizable::of(object).check(&parsed, &Budget::default()),
            format!("Linearizable::of(Object::named(\"{}\").unwrap())", flag(object)),
        ),
    };
    if !findings.worst().is_some_and(Verdict::is_invalid) {
        return Err(format!("in the notation of history::text the checker {checker} does not refute it"));
    }
    let pattern = match &core.judgement.verdict {
        Verdict::Invalid(c) if !c.pattern.is_empty() => c.pattern.as_str(),
        _ => checker,
    };
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = pattern.chars().map(letter).collect();
    let uses = match object {
        Some(_) => "    use checkers::Checker;\n    use checkers::linearizable::{Linearizable, Object};\n",
        None => "",
    };
    let mark = if text.contains('"') { "#" } else { "" };
    Ok(format!(
        "/// {}\n#[test]\nfn {name}() {{\n{uses}    let history = history::text::parse(\n        r{mark}\"\n{text}\n\"{mark},\n    )\n    .unwrap();\n    \
         let checker = {constructor};\n    \
         let findings = checker.check(&history, &checkers::Budget::default());\n    \
         assert_eq!(findings.worst().map(|v| v.word()), Some(\"invalid\"));\n}}\n",
        core.judgement.diagnosis()
    ))
}

/// As [`Object::named`] reads it.
fn flag(object: Object) -> String {
    let parameter = match object {
        Object::Semaphore(n) | Object::ReentrantLock(Some(n)) => Some(n as i64),
        Object::MultiRegister(n) => n,
        _ => None,
    };
    parameter.map_or(object.name().into(), |n| format!("{}:{n}", object.name()))
}

/// Columns from one event to the next, so that every bar shows its order against every other.
const STEP: usize = 2;

/// One line an op: call, reply, and a bar in which each event has a column of its own.
fn notation(history: &History) -> Result<Vec<String>, String> {
    let mut edges: Vec<u32> = history.ops().flat_map(|op| [op.inv(), op.res()]).collect();
    edges.sort_unstable();
    edges.dedup();
    let column = |position: u32| edges.iter().take_while(|e| **e < position).count() * STEP;
    let words: Vec<String> = history.ops().map(|op| op_words(&op)).collect::<Result<_, _>>()?;
    let width = words.iter().map(String::len).max().unwrap_or(0) + 2;
    let lines = history.ops().zip(words).map(|(op, words)| {
        let (from, to) = (column(op.inv()), column(op.res()));
        let end = match op.outcome() {
            Outcome::Ok(_) => '|',
            Outcome::Fail(_) => 'x',
            Outcome::Info(_) => '?',
        };
        format!("{words:width$}{:from$}|{}{end}", "", "-".repeat((to - from).saturating_sub(1)))
    });
    Ok(lines.collect())
}

fn op_words(op: &Op<'_>) -> Result<String, String> {
    let (call, outcome) = (op.call(), op.outcome());
    let asked = match (&call, &outcome) {
        (Call::Txn(_), Outcome::Ok(Reply::Txn(steps))) | (Call::Txn(steps), _) => {
            steps.iter().map(micro).collect::<Result<Vec<_>, _>>()?
        }
        (Call::Cas(_, old, new), _) => vec![word(old)?, word(new)?],
        (Call::Acquire(_) | Call::Release(_) | Call::Read(_) | Call::Dequeue(_) | Call::Generate, _) => {
            Vec::new()
        }
        (Call::Other { f, .. }, _) if takes(f) => Vec::new(),
        (other, _) => vec![word(&other.value())?],
    };
    let refused = if matches!(outcome, Outcome::Ok(Reply::Mismatch)) { "!" } else { "" };
    let key = if call.key().is_null() { "-".into() } else { word(call.key())? };
    let mut words = vec![format!("p{} {}{refused} {key}", op.process().0, call.f())];
    words.extend(asked);
    if let Outcome::Ok(Reply::Read(value)) = &outcome {
        words.push(word(value)?);
    }
    Ok(words.join(" "))
}

fn micro(step: &MicroOp) -> Result<String, String> {
    let (f, key, value) = match step {
        MicroOp::Read(key, value) => ("r", key, value),
        MicroOp::Write(key, value) => ("w", key, value),
        MicroOp::Append(key, value) => ("append", key, value),
    };
    Ok(format!("[{f} {} {}]", word(key)?, word(value)?))
}

/// A value as the notation reads it back.
fn word(value: &Value) -> Result<String, String> {
    let text = match value {
        Value::Null => "nil".into(),
        Value::Bool(_) | Value::Int(_) => value.to_string(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(word).collect::<Result<_, _>>()?;
            format!("[{}]", items.join(" "))
        }
        Value::Text(t) => {
            let plain = t.chars().all(|c| c.is_ascii_alphanumeric() || "_.:".contains(c));
            if plain && t.starts_with(|c: char| c.is_ascii_alphabetic()) {
                t.to_string()
            } else {
                format!("\"{t}\"")
            }
        }
        _ => String::new(),
    };
    // `nil` may be a text, too.
    for text in [text, format!("\"{}\"", value.as_text().unwrap_or_default())] {
        if history::text::value(&text) == *value && !text.contains(['|', '#', '\n', '\r']) {
            return Ok(text);
        }
    }
    Err(format!("the notation of history::text cannot hold {value}"))
}
