//! `schism verify-certificate`: is this order really a linearization of that file? Under a hundred lines, to be read.
//!
//! It reads the raw file itself and shares neither parser nor partitioning nor objects with what found the order. What
//! it takes from the certificate on trust, and prints, is the question: which object with which first value, and how the
//! file means its pairs, its failed cas and its time stamps. The other files of it are its own: `question` is that,
//! `raw` and `etcd` read lines, `calls` pairs them, `objects`, `locks` and `entries` replay.

pub mod calls;
mod entries;
mod etcd;
mod locks;
mod objects;
pub mod question;
mod raw;
#[cfg(test)]
pub mod tests;

use calls::ops;
use question::Question;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};

/// One sentence that says what was proved, or what is wrong.
pub fn verify(certificate: &str, raw: &[u8]) -> Result<String, String> {
    let mut lines = certificate.lines().filter(|l| !l.trim().is_empty()).enumerate();
    let parse = |(n, line): (usize, &str)| -> Result<Json, String> {
        serde_json::from_str(line).map_err(|e| format!("line {} of the certificate is no JSON: {e}", n + 1))
    };
    let head = lines.next().map(parse).transpose()?.unwrap_or_default();
    if head["certificate"] != 1 {
        return Err("its first line is not that of a certificate (\"certificate\":1)".into());
    }
    let hash: String = Sha256::digest(raw).iter().map(|b| format!("{b:02x}")).collect();
    if head["sha256"] != hash.as_str() {
        return Err(format!("the history is another one: its sha256 is {hash}"));
    }
    let question = Question::read(&head);
    let mut ops = ops(raw, &question)?;
    if ops.is_empty() {
        return Err(format!("the history has no calls, read as a {} file", question.format));
    }
    let at: HashMap<usize, usize> = ops.iter().enumerate().map(|(i, op)| (op.call.number, i)).collect();
    let by_element = question.spec == "set" && ops.iter().all(|op| op.call.f != "read");
    let (mut parts, mut ordered) = (HashSet::new(), 0);
    for part in lines {
        let part = parse(part)?;
        let name = format!("{} {}", part["key"], part["element"]);
        let (mut state, mut latest) = (question.first(&part["key"])?, 0);
        if !parts.insert(name.clone()) {
            return Err(format!("key {name} has two orders"));
        }
        for line in part["order"].as_array().ok_or("a part without an order")? {
            let no = |what: &str| Err(format!("the call of line {line} {what}"));
            let Some(op) = line.as_u64().and_then(|l| at.get(&(l as usize))).map(|i| &mut ops[*i]) else {
                return no("does not exist");
            };
            let element = if by_element { &op.call.value } else { &Json::Null };
            match () {
                () if op.part != part["key"] || *element != part["element"] => {
                    return no("is of another key");
                }
                () if op.failed => return no("failed, so it is in no order"),
                () if std::mem::replace(&mut op.seen, true) => return no("is in the order twice"),
                () if op.done < latest => return no("had ended before one that stands before it began"),
                () if !state.step(op) => {
                    return no(&format!("could not be answered so by a {} there", question.spec));
                }
                () => (latest, ordered) = (latest.max(op.call.at), ordered + 1),
            }
        }
    }
    match ops.iter().find(|op| op.reply.is_some() && !op.seen) {
        Some(op) => Err(format!("the call of line {} was answered and is in no order", op.call.number)),
        None => Ok(format!("{ordered} calls in {} orders replay as a {question}", parts.len())),
    }
}
