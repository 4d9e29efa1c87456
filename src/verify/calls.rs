//! Calls and their answers, paired by process, for certificates alone.

use super::question::Question;
use super::raw::{self, Line};
use super::{entries, etcd};
use serde_json::Value as Json;
use std::collections::HashMap;

/// One call of a client.
pub struct Op {
    pub call: Line,
    /// The key whose order it belongs to.
    pub part: Json,
    /// The answer and when it came; none for a call that was left open. A refused cas is answered with `refused`.
    pub reply: Option<Json>,
    pub refused: bool,
    pub done: u64,
    pub failed: bool,
    pub seen: bool,
}

impl Op {
    /// A call that was not yet answered.
    pub fn open(call: Line, question: &Question) -> Op {
        let part = match question.spec.as_str() {
            // One order for all registers, and for all ids.
            "multi-register" | "unique-ids" => Json::Null,
            "versioned-kv" if call.f == "etcd-txn" => entries::key(&call.value),
            _ => call.key.clone(),
        };
        Op { call, part, reply: None, refused: false, done: u64::MAX, failed: false, seen: false }
    }
}

/// Calls with their answers, in order of invocation.
pub fn ops(raw: &[u8], question: &Question) -> Result<Vec<Op>, String> {
    if question.format == "etcd-robustness" {
        return etcd::ops(raw, question);
    }
    let (mut ops, mut open): (Vec<Op>, HashMap<u64, usize>) = (Vec::new(), HashMap::new());
    for line in raw::lines(raw, question)? {
        if line.kind == "invoke" {
            if open.insert(line.process, ops.len()).is_some() {
                return Err(format!("line {}: process {} is still busy", line.number, line.process));
            }
            ops.push(Op::open(line, question));
            continue;
        }
        let found = open.remove(&line.process).map(|i| &mut ops[i]);
        let Some(op) = found.filter(|op| line.f.is_empty() || op.call.f == line.f) else {
            return Err(format!("line {} ends a call that nobody made", line.number));
        };
        let why =
            line.error.get(0).unwrap_or(&line.error).as_str().unwrap_or_default().trim_start_matches(':');
        let refused =
            op.call.f == "cas" && (question.refused_cas || why.split(':').next() == Some("mismatch"));
        match line.kind.as_str() {
            "ok" => (op.reply, op.done) = (Some(line.value), line.at),
            "fail" if refused => (op.reply, op.refused, op.done) = (Some(Json::Null), true, line.at),
            "fail" => op.failed = true,
            "info" => {}
            kind => return Err(format!("line {} is of a type that is not known: {kind:?}", line.number)),
        }
    }
    Ok(ops)
}
