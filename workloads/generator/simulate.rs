//! A host in simulated time: every call takes the same time and is answered by a function.
//!
//! For golden tests and for `--dry-run`, which shows what a run would ask. Not a model of any system.

use super::{Boxed, repeat};
use crate::interpreter::{Action, CallId, Interpreter, Options};
use history::{Call, Event, Nanos, Outcome, Reply, Value};
use std::collections::VecDeque;

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
