//! The lines of a raw history as JSON values, for the verifier of certificates alone.
//!
//! Shares nothing with `history::formats`, on purpose: a certificate must be believed without them. It reads only
//! formats with one event a line (JSON, EDN maps, tab-separated columns), whole files, and gives up on the rest.

use super::question::Question;
use serde_json::{Map, Value as Json};

/// One event of a client, at its line (from 1).
pub struct Line {
    pub number: usize,
    /// What orders events: the line, or the time where equal stamps are concurrent.
    pub at: u64,
    pub process: u64,
    pub kind: String,
    pub f: String,
    pub key: Json,
    pub value: Json,
    pub error: Json,
}

/// The events of clients, in order of the file.
pub fn lines(raw: &[u8], question: &Question) -> Result<Vec<Line>, String> {
    let (format, mut found, mut now) = (question.format.as_str(), Vec::new(), 0);
    for (n, bytes) in raw.split(|b| *b == b'\n').enumerate() {
        let bad = || format!("line {} of the history is no single event ({format})", n + 1);
        let text = std::str::from_utf8(bytes).map_err(|_| bad())?.trim().trim_start_matches('\u{feff}');
        let inner = text.trim_start_matches(['[', '(']).trim_end_matches([']', ')', ',']).trim();
        let record = ["#jepsen.", "#knossos."].iter().any(|tag| inner.starts_with(tag));
        let inner = inner.find('{').filter(|_| record).map_or(inner, |at| &inner[at..]);
        let event = match format {
            "jsonl" if text.is_empty() => continue,
            "jsonl" => serde_json::from_str(text).map_err(|_| bad())?,
            "elle-json" | "jepsen-edn" | "porcupine-kv" if inner.is_empty() => continue,
            "jepsen-edn" | "porcupine-kv" if inner.starts_with(';') => continue,
            "elle-json" => serde_json::from_str(inner).map_err(|_| bad())?,
            "jepsen-edn" | "porcupine-kv" => whole(inner).ok_or_else(bad)?,
            "porcupine-log" if !text.contains("jepsen.util") => continue,
            "jepsen-txt" | "porcupine-log" => match columns(text) {
                Some(event) => event,
                None if format == "porcupine-log" || text.is_empty() => continue,
                None => return Err(bad()),
            },
            _ => return Err(format!("certificates are not for {format} files")),
        };
        // A stamp that goes backwards counts as that of the event before.
        let stamp = event["time"].as_u64();
        now = stamp.unwrap_or(now).max(now);
        let word =
            |field: &str| event[field].as_str().unwrap_or_default().trim_start_matches(':').to_string();
        let client = match &event["process"] {
            Json::String(word) => word.parse().ok(),
            other => other.as_u64(),
        };
        // The header, the footer, and the diary of faults are no calls; a call by nobody is none that can be paired.
        let process = match (client, event["type"].is_string()) {
            (Some(process), true) => process,
            (None, true) if !event["process"].is_string() => return Err(bad()),
            _ => continue,
        };
        let (mut key, mut value) = (event["key"].clone(), event["value"].clone());
        if let (true, Json::Array(pair)) = (question.tuples, &mut value)
            && pair.len() == 2
        {
            (key, value) = (pair[0].take(), pair[1].take());
        }
        if !exact(&key) || !exact(&value) {
            return Err(format!(
                "line {} of the history has a number that cannot be compared exactly",
                n + 1
            ));
        }
        let at = match question.by_time {
            true if stamp.is_none() => {
                return Err(format!("line {} of the history has no time stamp to order it by", n + 1));
            }
            true => now,
            false => n as u64 + 1,
        };
        let (kind, f, error) = (word("type"), word("f"), event["error"].clone());
        found.push(Line { number: n + 1, at, process, kind, f, key, value, error });
    }
    Ok(found)
}

/// No integer in it was rounded when it was read.
fn exact(value: &Json) -> bool {
    match value {
        Json::Number(n) => n.is_i64() || n.is_u64() || n.as_f64().is_some_and(|x| x.abs() < 9e15),
        Json::Array(items) => items.iter().all(exact),
        Json::Object(map) => map.values().all(exact),
        _ => true,
    }
}

/// `… 4 :invoke :write 1`: the process before the type, the value behind the function.
fn columns(text: &str) -> Option<Json> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let at = words.iter().position(|w| matches!(*w, ":invoke" | ":ok" | ":fail" | ":info"))?;
    let (process, f) = (words.get(at.checked_sub(1)?)?, words.get(at + 1)?);
    let open = matches!(words[at], ":fail" | ":info");
    let rest = words[at + 2..].join(" ");
    let value = if open { edn(&mut rest.as_str()).unwrap_or_default() } else { whole(&rest)? };
    Some(serde_json::json!({
        "process": process, "type": words[at], "f": f, "value": value
    }))
}

fn whole(mut text: &str) -> Option<Json> {
    let value = edn(&mut text)?;
    text.trim().is_empty().then_some(value)
}

/// One EDN form off the front. Keywords keep their colon, except as names of fields; tagged elements are not read.
fn edn(text: &mut &str) -> Option<Json> {
    *text = text.trim_start_matches([' ', ',', '\t', '\r']);
    let close = match text.as_bytes() {
        [b'#', b'{', ..] => {
            *text = &text[1..];
            '#'
        }
        [b'{', ..] => '}',
        [b'[', ..] => ']',
        [b'(', ..] => ')',
        [b'"', rest @ ..] => {
            let mut escaped = false;
            let end = rest.iter().position(|b| {
                let end = *b == b'"' && !escaped;
                escaped = *b == b'\\' && !escaped;
                end
            })?;
            let (string, rest) = text.split_at(end + 2);
            *text = rest;
            return serde_json::from_str(string).ok();
        }
        _ => {
            let end = text.find([' ', ',', '\t', ']', ')', '}']).unwrap_or(text.len());
            let (token, rest) = text.split_at(end);
            *text = rest;
            return match token {
                "" => None,
                "nil" => Some(Json::Null),
                _ if token.contains(['#', '"', '[', '(', '{']) => None,
                _ => Some(serde_json::from_str(token).unwrap_or_else(|_| Json::from(token))),
            };
        }
    };
    *text = &text[1..];
    let mut items = Vec::new();
    loop {
        *text = text.trim_start_matches([' ', ',', '\t', '\r']);
        if let Some(rest) = text.strip_prefix(if close == '#' { '}' } else { close }) {
            *text = rest;
            break;
        }
        items.push(edn(text)?);
    }
    if close != '}' {
        return Some(Json::Array(items));
    }
    let mut map = Map::new();
    for pair in items.chunks(2) {
        map.insert(pair[0].as_str()?.trim_start_matches(':').to_string(), pair.get(1)?.clone());
    }
    Some(Json::Object(map))
}
