//! What a register, a counter, a list, a queue, a set and a lock do, once more and by itself, for certificates.

use super::calls::Op;
use serde_json::Value as Json;
use std::collections::{BTreeSet, VecDeque};

/// What an object holds: one value, a row of them, or a set.
#[derive(Default)]
pub struct State {
    pub one: Json,
    pub many: VecDeque<Json>,
    pub set: BTreeSet<String>,
}

impl State {
    fn sum(&self) -> i64 {
        self.one.as_i64().unwrap_or(0)
    }

    /// Makes the call; whether this answer (any, if there was none) is possible here.
    pub fn step(&mut self, spec: &str, op: &Op) -> bool {
        let (arg, says) = (&op.call.value, |is: &Json| op.reply.as_ref().is_none_or(|reply| reply == is));
        match (spec, op.call.f.as_str()) {
            ("register", "read") => return says(&self.one),
            ("register", "write") => self.one = arg.clone(),
            ("register", "cas") if arg[0] == self.one && !op.refused => self.one = arg[1].clone(),
            ("register", "cas") => return arg[0] != self.one && (op.refused || op.reply.is_none()),
            ("counter", "read") => {
                let sum = self.sum();
                // A counter that was never touched may read as nothing.
                return says(&Json::from(sum)) || (sum == 0 && says(&Json::Null));
            }
            ("counter", "add") => match arg.as_i64().and_then(|x| self.sum().checked_add(x)) {
                Some(sum) => self.one = Json::from(sum),
                None => return false,
            },
            ("list", "append") | ("queue", "enqueue") => self.many.push_back(arg.clone()),
            ("list", "read") => {
                let same = |list: &Vec<Json>| list.len() == self.many.len() && list.iter().eq(&self.many);
                return op
                    .reply
                    .as_ref()
                    .is_none_or(|r| r.as_array().map_or(r.is_null() && self.many.is_empty(), same));
            }
            ("queue", "dequeue") => return says(&self.many.pop_front().unwrap_or_default()),
            ("set", "add") => drop(self.set.insert(arg.to_string())),
            ("set", "remove") => drop(self.set.remove(&arg.to_string())),
            ("set", "contains" | "has") => return says(&Json::from(self.set.contains(&arg.to_string()))),
            ("set", "read") => {
                let same = |list: &Vec<Json>| {
                    list.len() == self.set.len() && list.iter().all(|e| self.set.contains(&e.to_string()))
                };
                return op
                    .reply
                    .as_ref()
                    .is_none_or(|r| r.as_array().map_or(r.is_null() && self.set.is_empty(), same));
            }
            ("lock", "acquire") if self.one.is_null() => self.one = Json::from(op.call.process),
            ("lock", "release") if self.one == op.call.process => self.one = Json::Null,
            _ => return false,
        }
        true
    }
}
