//! A host in simulated time: every call takes the same time and is answered by a function.
//!
//! For golden tests and for `--dry-run`, which shows what a run would ask. The simulator of networks, disks and
//! faults is another crate.

use super::{Boxed, repeat};
use crate::interpreter::{Action, CallId, Interpreter, Options};
use crate::{Object, Params, Workload};
use history::rng::Rng;
use history::{Call, Error, Event, Nanos, NodeId, Outcome, Reply, Value};
use std::collections::{BTreeMap, VecDeque};

pub const MS: Nanos = 1_000_000;

/// Runs to the end with `concurrency` clients on one node; each call takes 10 ms and gets what `answer` says
/// (given the number of the call). Returns everything that would be journaled.
pub fn simulate(
    concurrency: usize,
    generator: Boxed,
    answer: impl FnMut(u64, &Call) -> Outcome,
) -> Vec<Event> {
    let options = Options { concurrency, rest: 0, ..Options::default() };
    run(Interpreter::new(generator, options), 10 * MS, usize::MAX, answer)
}

/// Drives an interpreter until it is done or `most` events are recorded; each call takes `latency`.
pub fn run(
    mut interpreter: Interpreter,
    latency: Nanos,
    most: usize,
    mut answer: impl FnMut(u64, &Call) -> Outcome,
) -> Vec<Event> {
    let (mut now, mut events) = (0, Vec::new());
    let mut flying: VecDeque<(Nanos, usize, CallId, Call)> = VecDeque::new();
    while events.len() < most {
        while flying.front().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, thread, id, call)) = flying.pop_front() else { break };
            interpreter.complete(now, thread, id, answer(id.index, &call), None, &mut events);
        }
        let landing = flying.front().map(|(at, ..)| *at);
        now = match interpreter.next(now, &mut events) {
            Action::Dispatch { thread, call, id, .. } => {
                flying.push_back((now + latency, thread, id, call));
                now
            }
            Action::Phase(_) => {
                interpreter.resume(now);
                now
            }
            Action::Sleep { until } => landing.map_or(until, |at| at.min(until)),
            Action::Wait => match landing {
                Some(at) => at,
                None => break,
            },
            Action::Done => break,
        };
    }
    events
}

/// A store that does each call at once, on one copy: correct by construction.
#[derive(Clone, Debug, Default)]
pub struct Sequential(BTreeMap<Value, Value>);

impl Sequential {
    /// The reply of the object to a call; `Fail("unsupported")` for a call that the object does not know.
    pub fn answer(&mut self, object: Object, call: &Call) -> Outcome {
        let empty = match object {
            Object::Register | Object::CasRegister => Value::Null,
            Object::Set | Object::List => Value::List(Vec::new()),
            Object::Counter => Value::Int(0),
        };
        let state = self.0.entry(call.key().clone()).or_insert(empty);
        match (call, &mut *state) {
            (Call::Read(_), state) => return Outcome::Ok(Reply::Read(state.clone())),
            (Call::Write(_, new), state) => *state = new.clone(),
            (Call::Cas(_, old, _), state) if state != old => return Outcome::Ok(Reply::Mismatch),
            (Call::Cas(_, _, new), state) => *state = new.clone(),
            (Call::Add(_, Value::Int(by)), Value::Int(sum)) => *sum += by,
            (Call::Add(_, new) | Call::Append(_, new), Value::List(all)) => all.push(new.clone()),
            _ => return Outcome::Fail(Error::new("unsupported")),
        }
        Outcome::Ok(Reply::Done)
    }
}

/// The first `most` events of a run of this workload if every call took `latency` and nothing ever broke.
pub fn dry_run(
    workload: &dyn Workload,
    params: &Params,
    seed: u64,
    latency: Nanos,
    most: usize,
) -> Vec<Event> {
    let generator = Box::new(workload.generator(params, Rng::new(seed, "calls")));
    let nodes = (0..params.nodes as u8).map(|n| Some(NodeId(n))).collect();
    let options = Options { concurrency: params.concurrency, nodes, seed, ..Options::default() };
    let mut store = Sequential::default();
    run(Interpreter::new(generator, options), latency, most, |_, call| store.answer(workload.object(), call))
}

/// Reads of one key, for ever.
pub fn tick(key: &str) -> Boxed {
    let key = Value::text(key);
    repeat(move |_| Call::Read(key.clone()))
}

/// `10 a`: the time in ms and the key of each call, with log lines in between.
pub fn lines(concurrency: usize, generator: Boxed) -> Vec<String> {
    lines_by(concurrency, generator, |_, _| Outcome::Ok(Reply::Done), false)
}

/// As [`lines`] with answers of one's own, and the process after the time if asked for.
pub fn lines_by(
    concurrency: usize,
    generator: Boxed,
    answer: impl FnMut(u64, &Call) -> Outcome,
    processes: bool,
) -> Vec<String> {
    let events = simulate(concurrency, generator, answer);
    let line = |event: &Event| match event {
        Event::Invoke { time, process, call, .. } if processes => {
            Some(format!("{} p{} {}", time / MS, process.0, call.key().to_plain()))
        }
        Event::Invoke { time, call, .. } => Some(format!("{} {}", time / MS, call.key().to_plain())),
        Event::Note { time, f, value } => Some(format!("{} {f}: {}", time / MS, value.to_plain())),
        _ => None,
    };
    events.iter().filter_map(line).collect()
}
