//! What each object does, once more and by itself, for certificates. Locks are in `locks`, versioned entries in `entries`.

use super::calls::Op;
use super::entries::{self, Entry};
use super::locks::Lock;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What an object holds.
pub enum State {
    Register(Json),
    /// Registers by name, and what all others hold.
    Registers(BTreeMap<String, Json>, Json),
    Largest(Option<i64>),
    Sum(i64),
    Text(String),
    List(Vec<Json>),
    Queue(VecDeque<Json>),
    Stack(Vec<Json>),
    /// How often each number is inside.
    Priorities(BTreeMap<i64, u32>),
    Set(BTreeSet<String>),
    Ids(BTreeSet<String>),
    Lock(Lock),
    /// All that an entry may be.
    Entry(Vec<Entry>),
}

/// Whether a list was answered: in any order for a set. An empty one may be answered with nothing.
fn listed(reply: &Option<Json>, len: usize, same: impl Fn(&[Json]) -> bool) -> bool {
    match reply {
        None => true,
        Some(Json::Array(items)) => items.len() == len && same(items),
        Some(other) => other.is_null() && len == 0,
    }
}

impl State {
    /// The object before its first call; `None`: there is none of that name.
    pub fn first(spec: &str, parameter: Option<u64>, init: &Json) -> Option<State> {
        Some(match spec {
            "register" => State::Register(init.clone()),
            "multi-register" => State::Registers(BTreeMap::new(), init.clone()),
            "max-register" => State::Largest(None),
            "counter" => State::Sum(0),
            "kv" => State::Text(String::new()),
            "list" => State::List(Vec::new()),
            "queue" => State::Queue(VecDeque::new()),
            "stack" => State::Stack(Vec::new()),
            "priority-queue" => State::Priorities(BTreeMap::new()),
            "set" => State::Set(BTreeSet::new()),
            "unique-ids" => State::Ids(BTreeSet::new()),
            "versioned-kv" => State::Entry(vec![Entry::default()]),
            _ => State::Lock(Lock::first(spec, parameter)?),
        })
    }

    /// Makes the call; whether this answer (any, if there was none) is possible here.
    pub fn step(&mut self, op: &Op) -> bool {
        let (arg, reply) = (&op.call.value, &op.reply);
        let says = |is: &Json| reply.as_ref().is_none_or(|reply| reply == is);
        match (self, op.call.f.as_str()) {
            (State::Register(is), "read") => return says(is),
            (State::Register(is), "write") => *is = arg.clone(),
            (State::Register(is), "cas") => {
                let Some([old, new]) = arg.as_array().map(Vec::as_slice) else { return false };
                let fits = old == is;
                if fits && !op.refused {
                    *is = new.clone();
                }
                return reply.is_none() || fits != op.refused;
            }
            (State::Registers(held, init), _) => return transact(held, init, op),
            (State::Largest(top), "read") => return says(&Json::from(*top)),
            (State::Largest(top), "write") => match arg.as_i64() {
                Some(x) => *top = (*top).max(Some(x)),
                None => return false,
            },
            (State::Sum(sum), "read") => {
                // A counter that was never touched may read as nothing.
                return says(&Json::from(*sum)) || (*sum == 0 && says(&Json::Null));
            }
            (State::Sum(sum), "add") => match arg.as_i64().and_then(|x| sum.checked_add(x)) {
                Some(next) => *sum = next,
                None => return false,
            },
            (State::Text(is), "read" | "get") => {
                return says(&Json::from(is.as_str())) || (is.is_empty() && says(&Json::Null));
            }
            (State::Text(is), f @ ("write" | "put" | "append")) => {
                if f != "append" {
                    is.clear();
                }
                match arg {
                    Json::String(text) => is.push_str(text),
                    other => return other.is_null(),
                }
            }
            (State::List(all), "append") => all.push(arg.clone()),
            (State::List(all), "read") => return listed(reply, all.len(), |items| items == all.as_slice()),
            (State::Queue(all), "enqueue") => all.push_back(arg.clone()),
            (State::Queue(all), "dequeue") => return says(&all.pop_front().unwrap_or_default()),
            (State::Stack(all), "push") => all.push(arg.clone()),
            (State::Stack(all), "pop") => return says(&all.pop().unwrap_or_default()),
            (State::Priorities(all), "add") => match arg.as_i64() {
                Some(x) => *all.entry(x).or_default() += 1,
                None => return false,
            },
            (State::Priorities(all), "poll") => {
                let top = all.last_key_value().map(|(x, _)| *x);
                if let Some(mut most) = all.last_entry() {
                    *most.get_mut() -= 1;
                    if *most.get() == 0 {
                        most.remove();
                    }
                }
                return says(&Json::from(top));
            }
            (State::Set(all), f @ ("add" | "remove")) => {
                let was = match f {
                    "add" => !all.insert(arg.to_string()),
                    _ => all.remove(&arg.to_string()),
                };
                // Whether it was there, where the service says so; else the element comes back, or nothing.
                return !reply.as_ref().is_some_and(|r| r.is_boolean() && r != arg && *r != was);
            }
            (State::Set(all), "contains" | "has") => {
                let was = all.contains(&arg.to_string());
                return says(&Json::from(was)) || says(&Json::from(u32::from(was)));
            }
            (State::Set(all), "read") => {
                return listed(reply, all.len(), |items| {
                    let seen: BTreeSet<String> = items.iter().map(Json::to_string).collect();
                    seen == *all
                });
            }
            (State::Ids(given), "generate") => {
                return reply.as_ref().is_none_or(|id| !id.is_null() && given.insert(id.to_string()));
            }
            (State::Lock(lock), _) => return lock.step(op),
            (State::Entry(all), _) => return entries::step(all, op),
            _ => return false,
        }
        true
    }
}

/// Reads and writes of registers in one call, in its order.
fn transact(held: &mut BTreeMap<String, Json>, init: &Json, op: &Op) -> bool {
    let Some(asked) = steps(op, &op.call.value) else { return false };
    let told = match &op.reply {
        None => None,
        Some(reply) => match steps(op, reply).filter(|told| told.len() == asked.len()) {
            Some(told) => Some(told),
            None => return false,
        },
    };
    asked.iter().enumerate().all(|(i, (writes, register, value))| {
        if *writes {
            held.insert(register.to_string(), (*value).clone());
            return true;
        }
        let is = held.get(&register.to_string()).unwrap_or(init);
        told.as_ref().is_none_or(|told| !told[i].0 && told[i].1 == *register && told[i].2 == is)
    })
}

/// Whether each step writes, which register, and the value; a call of one register is one step.
fn steps<'a>(op: &'a Op, value: &'a Json) -> Option<Vec<(bool, &'a Json, &'a Json)>> {
    let micro = |step: &'a Json| match (step[0].as_str()?.trim_start_matches(':'), step.as_array()?.len()) {
        ("r" | "read", 3) => Some((false, &step[1], &step[2])),
        ("w" | "write", 3) => Some((true, &step[1], &step[2])),
        _ => None,
    };
    let many = value.as_array().and_then(|all| all.iter().map(micro).collect::<Option<Vec<_>>>());
    match (many, op.call.f.as_str()) {
        (Some(many), "txn") => Some(many),
        (Some(many), _) if !many.is_empty() => Some(many),
        (_, "read") => Some(vec![(false, &op.call.key, value)]),
        (_, "write") => Some(vec![(true, &op.call.key, value)]),
        _ => None,
    }
}
