//! The lines of a raw history as JSON values, for the verifier of certificates alone.
//!
//! Shares nothing with `history::formats`, on purpose: a certificate must be believed without them. It reads only
//! formats with one event a line (JSON lines, EDN maps, tab-separated columns), whole files, and gives up on the rest.

use serde_json::{Map, Value as Json};

/// One event of a client, at its line (from 1).
pub struct Line {
    pub number: usize,
    pub process: u64,
    pub kind: String,
    pub f: String,
    pub key: Json,
    pub value: Json,
    pub error: Json,
}

/// The events of clients, in order of the file. `tuples`: values are `[key value]`.
pub fn lines(raw: &[u8], format: &str, tuples: bool) -> Result<Vec<Line>, String> {
    let mut found = Vec::new();
    for (n, bytes) in raw.split(|b| *b == b'\n').enumerate() {
        let bad = || format!("line {} of the history is no single event of a {format} file", n + 1);
        let text = std::str::from_utf8(bytes).map_err(|_| bad())?.trim();
        let event = match format {
            "jsonl" if text.is_empty() => continue,
            "jsonl" => serde_json::from_str(text).map_err(|_| bad())?,
            "jepsen-edn" => match text.trim_start_matches(['[', '(']).trim_end_matches([']', ')']).trim() {
                "" => continue,
                map => whole(map).ok_or_else(bad)?,
            },
            "porcupine-log" if !text.contains("jepsen.util") => continue,
            "jepsen-txt" | "porcupine-log" => match columns(text) {
                Some(event) => event,
                None if format == "porcupine-log" || text.is_empty() => continue,
                None => return Err(bad()),
            },
            _ => return Err(format!("certificates are not for {format} files")),
        };
        let word =
            |field: &str| event[field].as_str().unwrap_or_default().trim_start_matches(':').to_string();
        // The header, the footer, and the diary of faults are no calls.
        let (Some(process), true) = (event["process"].as_u64(), event["type"].is_string()) else { continue };
        let (mut key, mut value) = (event["key"].clone(), event["value"].clone());
        if let (true, Json::Array(pair)) = (tuples, &mut value)
            && pair.len() == 2
        {
            (key, value) = (pair[0].take(), pair[1].take());
        }
        let error = event["error"].clone();
        found.push(Line { number: n + 1, process, kind: word("type"), f: word("f"), key, value, error });
    }
    Ok(found)
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
        "process": process.parse::<u64>().ok(), "type": words[at], "f": f, "value": value
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
        if let Some(rest) = text.strip_prefix(close) {
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
