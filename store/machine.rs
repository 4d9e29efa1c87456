//! The replicated state: registers, sets, lists, counters, and what each session was last told.
//!
//! Deterministic: equal sequences of requests give equal states and equal hashes on every server.
//! The order of requests is none of its business; that is what the protocols are for.

use crate::protocol::{Code, Command, MicroOp, MicroReply, Reply, Request};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// All objects of one server, with a hash of them that is kept up to date.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    registers: BTreeMap<String, i64>,
    sets: BTreeMap<String, BTreeSet<i64>>,
    lists: BTreeMap<String, Vec<i64>>,
    counters: BTreeMap<String, i64>,
    sessions: BTreeMap<u64, Session>,
    hash: u64,
}

/// The last write of a session and what it was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    seq: u64,
    reply: Reply,
}

impl Machine {
    /// Applies one request, once per (session, seq): a repeat gets its first reply and changes nothing.
    ///
    /// # Errors
    /// `Stale` when a later request of the session was applied before.
    pub fn apply(&mut self, request: &Request) -> Result<Reply, Code> {
        if request.session == 0 {
            return Ok(self.step(&request.command));
        }
        if let Some(session) = self.sessions.get(&request.session) {
            match request.seq.cmp(&session.seq) {
                std::cmp::Ordering::Less => return Err(Code::Stale),
                std::cmp::Ordering::Equal => return Ok(session.reply.clone()),
                std::cmp::Ordering::Greater => {}
            }
        }
        let reply = self.step(&request.command);
        self.sessions.insert(request.session, Session { seq: request.seq, reply: reply.clone() });
        Ok(reply)
    }

    /// Answers a command that only reads ([`Command::is_read`]); any other gives `None`.
    pub fn read(&self, command: &Command) -> Option<Reply> {
        Some(match command {
            Command::Read { key } => Reply::Value(self.registers.get(key).copied()),
            Command::Members { key } => {
                Reply::Values(self.sets.get(key).map(|set| set.iter().copied().collect()).unwrap_or_default())
            }
            Command::List { key } => Reply::Values(self.lists.get(key).cloned().unwrap_or_default()),
            Command::Count { key } => Reply::Value(Some(self.counters.get(key).copied().unwrap_or(0))),
            _ => return None,
        })
    }

    /// Hash of all objects, independent of the order in which keys were touched; sessions are left out.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    fn step(&mut self, command: &Command) -> Reply {
        match command {
            Command::Write { key, value } => self.write(key, *value),
            Command::Cas { key, expected, value } => {
                let applied = self.registers.get(key).copied() == *expected;
                if applied {
                    self.write(key, *value);
                }
                return Reply::Applied(applied);
            }
            Command::Add { key, value } => {
                if entry(&mut self.sets, key).insert(*value) {
                    self.hash ^= mark(b's', key, *value, 0);
                }
            }
            Command::Append { key, value } => self.append(key, *value),
            Command::Increment { key, value } => {
                let count = entry(&mut self.counters, key);
                self.hash ^= mark(b'c', key, *count, 0);
                *count = count.wrapping_add(*value);
                self.hash ^= mark(b'c', key, *count, 0);
            }
            Command::Txn { ops } => return Reply::Txn(ops.iter().map(|op| self.micro(op)).collect()),
            _ => return self.read(command).unwrap_or(Reply::Done),
        }
        Reply::Done
    }

    fn micro(&mut self, op: &MicroOp) -> MicroReply {
        match op {
            MicroOp::Read { key } => {
                MicroReply::Read { key: key.clone(), value: self.registers.get(key).copied() }
            }
            MicroOp::List { key } => MicroReply::List {
                key: key.clone(),
                values: self.lists.get(key).cloned().unwrap_or_default(),
            },
            MicroOp::Write { key, value } => {
                self.write(key, *value);
                MicroReply::Write { key: key.clone(), value: *value }
            }
            MicroOp::Append { key, value } => {
                self.append(key, *value);
                MicroReply::Append { key: key.clone(), value: *value }
            }
        }
    }

    fn write(&mut self, key: &str, value: i64) {
        if let Some(old) = self.registers.get_mut(key) {
            self.hash ^= mark(b'r', key, *old, 0);
            *old = value;
        } else {
            self.registers.insert(key.to_string(), value);
        }
        self.hash ^= mark(b'r', key, value, 0);
    }

    fn append(&mut self, key: &str, value: i64) {
        let list = entry(&mut self.lists, key);
        list.push(value);
        self.hash ^= mark(b'l', key, value, list.len() as u64);
    }
}

/// `map.entry(key).or_default()` without building a key that is already there.
fn entry<'m, T: Default>(map: &'m mut BTreeMap<String, T>, key: &str) -> &'m mut T {
    if !map.contains_key(key) {
        map.insert(key.to_string(), T::default());
    }
    map.get_mut(key).expect("inserted just above")
}

/// Hash of one fact; a state's hash is the exclusive or of its facts', so that it can be kept up to date.
/// FNV-1a over the key, finished with the mixer of splitmix64.
pub(crate) fn mark(kind: u8, key: &str, value: i64, place: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(kind);
    for byte in key.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = mix(hash ^ (value as u64)).wrapping_add(place);
    mix(hash)
}

fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(session: u64, seq: u64, command: Command) -> Request {
        Request { id: String::new(), session, seq, command }
    }

    #[test]
    fn a_repeated_request_gets_its_first_reply_and_acts_once() {
        let mut machine = Machine::default();
        let cas = Command::Cas { key: "x".into(), expected: None, value: 1 };
        assert_eq!(machine.apply(&request(1, 1, cas.clone())), Ok(Reply::Applied(true)));
        assert_eq!(machine.apply(&request(1, 1, cas)), Ok(Reply::Applied(true)));
        let increment = Command::Increment { key: "c".into(), value: 2 };
        assert_eq!(machine.apply(&request(1, 2, increment.clone())), Ok(Reply::Done));
        assert_eq!(machine.apply(&request(1, 2, increment.clone())), Ok(Reply::Done));
        assert_eq!(machine.read(&Command::Count { key: "c".into() }), Some(Reply::Value(Some(2))));
        assert_eq!(machine.apply(&request(1, 1, increment)), Err(Code::Stale));
    }

    #[test]
    fn the_hash_depends_on_the_objects_and_not_on_the_way_there() {
        let write = |key: &str, value| Command::Write { key: key.into(), value };
        let mut one = Machine::default();
        let mut two = Machine::default();
        for command in [write("x", 1), write("y", 2), write("x", 3)] {
            one.step(&command);
        }
        for command in [write("x", 3), write("y", 2)] {
            two.step(&command);
        }
        assert_eq!(one.hash(), two.hash());
        two.step(&write("y", 3));
        assert_ne!(one.hash(), two.hash());
    }

    #[test]
    fn lists_keep_order_sets_do_not_and_transactions_see_their_own_writes() {
        let mut machine = Machine::default();
        for value in [3, 1, 3] {
            machine.step(&Command::Append { key: "l".into(), value });
            machine.step(&Command::Add { key: "s".into(), value });
        }
        assert_eq!(machine.read(&Command::List { key: "l".into() }), Some(Reply::Values(vec![3, 1, 3])));
        assert_eq!(machine.read(&Command::Members { key: "s".into() }), Some(Reply::Values(vec![1, 3])));
        let ops = vec![MicroOp::Write { key: "x".into(), value: 5 }, MicroOp::Read { key: "x".into() }];
        let Reply::Txn(results) = machine.step(&Command::Txn { ops }) else {
            panic!("a transaction's reply")
        };
        assert_eq!(results[1], MicroReply::Read { key: "x".into(), value: Some(5) });
    }
}
