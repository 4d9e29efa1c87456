//! Calls and their answers, paired by process, for certificates alone.

use super::raw::{self, Line};
use serde_json::Value as Json;
use std::collections::HashMap;

/// One call of a client.
pub struct Op {
    pub call: Line,
    /// The answer and its line; none for a call that was left open. A refused cas is answered with `refused`.
    pub reply: Option<Json>,
    pub refused: bool,
    pub done: usize,
    pub failed: bool,
    pub seen: bool,
}

/// Calls with their answers, in order of invocation.
pub fn ops(raw: &[u8], head: &Json) -> Result<Vec<Op>, String> {
    let (mut ops, mut open): (Vec<Op>, HashMap<u64, usize>) = (Vec::new(), HashMap::new());
    for line in raw::lines(raw, head["format"].as_str().unwrap_or_default(), head["tuples"] == true)? {
        if line.kind == "invoke" {
            if open.insert(line.process, ops.len()).is_some() {
                return Err(format!("line {}: process {} is still busy", line.number, line.process));
            }
            ops.push(Op {
                call: line,
                reply: None,
                refused: false,
                done: usize::MAX,
                failed: false,
                seen: false,
            });
            continue;
        }
        let Some(op) = open.remove(&line.process).map(|i| &mut ops[i]).filter(|op| op.call.f == line.f)
        else {
            return Err(format!("line {} ends a call that nobody made", line.number));
        };
        let why =
            line.error.get(0).unwrap_or(&line.error).as_str().unwrap_or_default().trim_start_matches(':');
        let refused =
            line.f == "cas" && (head["refused_cas"] == true || why.split(':').next() == Some("mismatch"));
        match line.kind.as_str() {
            "ok" => (op.reply, op.done) = (Some(line.value), line.number),
            "fail" if refused => (op.reply, op.refused, op.done) = (Some(Json::Null), true, line.number),
            "fail" => op.failed = true,
            _ => {}
        }
    }
    Ok(ops)
}
