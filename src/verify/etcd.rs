//! The operations of etcd's robustness tests, one a line with both its times, for certificates alone.

use super::calls::Op;
use super::question::Question;
use super::raw::Line;
use serde_json::Value as Json;

/// The operations in order of the file. Times order them: an operation without a return, or with an error, stays open.
pub fn ops(raw: &[u8], question: &Question) -> Result<Vec<Op>, String> {
    let mut found = Vec::new();
    for (n, bytes) in raw.split(|b| *b == b'\n').enumerate().filter(|(_, l)| !l.trim_ascii().is_empty()) {
        let bad = || format!("line {} of the history is no operation", n + 1);
        let event: Json = serde_json::from_slice(bytes).map_err(|_| bad())?;
        let number = |field: &str| event[field].as_u64().ok_or_else(bad);
        let (process, at, done) = (number("ClientId")?, number("Call")?, number("Return")?);
        let (input, output) = (&event["Input"], &event["Output"]);
        let (f, key, value) = call(input);
        let (kind, error) = ("invoke".into(), Json::Null);
        let answer = answer(&f, output);
        let mut op = Op::open(Line { number: n + 1, at, process, kind, f, key, value, error }, question);
        let says = |field: &str| output[field].as_str().is_some_and(|text| !text.is_empty());
        match () {
            () if done == i64::MAX as u64 || says("Error") => {}
            () if says("ClientError") => op.failed = true,
            () if output["Persisted"] == true => {}
            () => (op.reply, op.done) = (Some(answer), done),
        }
        found.push(op);
    }
    Ok(found)
}

/// A plain read, put or delete of one key; all else as it is.
fn call(input: &Json) -> (String, Json, Json) {
    let empty = |value: &Json| match value {
        Json::Array(items) => items.is_empty(),
        Json::String(text) => text.is_empty(),
        other => other.is_null() || *other == 0,
    };
    let (range, txn) = (&input["Range"], &input["Txn"]);
    let single =
        txn["OperationsOnSuccess"].as_array().filter(|all| all.len() == 1 && empty(&txn["Conditions"]));
    let kind = input["Type"].as_str().unwrap_or_default();
    match (kind, single.map(|all| &all[0])) {
        ("range", _) if empty(&range["End"]) && empty(&range["Revision"]) => {
            ("read".into(), range["Start"].clone(), Json::Null)
        }
        ("txn", Some(op)) if op["Type"] == "put-operation" && empty(&op["Put"]["LeaseID"]) => {
            ("write".into(), op["Put"]["Key"].clone(), content(&op["Put"]["Value"]))
        }
        ("txn", Some(op)) if op["Type"] == "delete-operation" => {
            ("write".into(), op["Delete"]["Key"].clone(), Json::Null)
        }
        _ => (format!("etcd-{kind}"), Json::Null, input.clone()),
    }
}

fn answer(f: &str, output: &Json) -> Json {
    match f {
        "read" => output["Range"]["KVs"].get(0).map_or(Json::Null, |kv| content(&kv["Value"])),
        "write" => Json::Null,
        _ => output.clone(),
    }
}

/// A stored value, or its hash if it was long: a number, which no stored value is.
pub fn content(value: &Json) -> Json {
    match (&value["Hash"], &value["Value"]) {
        (hash, Json::String(text)) if hash.is_null() || *hash == 0 => Json::from(text.as_str()),
        (hash, _) if hash.is_null() || *hash == 0 => Json::from(""),
        (hash, _) => hash.clone(),
    }
}
