//! A history as the events it was made of, in order: what every writer starts from.
//!
//! Positions of invocations, completions and notes are known; strikes, roles and abandoned calls are put where
//! their time says, after all else of that time: an abandoned call is open for ever wherever its line stands.

use crate::event::{Event, Outcome, Reply, micro_ops_value};
use crate::record::{History, OpId};
use crate::value::Value;

/// An event in Jepsen's shape.
pub(super) struct Line<'h> {
    pub time: u64,
    pub kind: &'static str,
    /// `None`: the nemesis.
    pub process: Option<u32>,
    pub f: String,
    pub key: Value,
    pub value: Value,
    pub error: Option<String>,
    pub node: Option<&'h str>,
    pub last: bool,
}

impl Line<'_> {
    /// The value, behind its key if it has one.
    pub fn tuple(&self) -> Value {
        match &self.key {
            Value::Null => self.value.clone(),
            key => Value::List(vec![key.clone(), self.value.clone()]),
        }
    }
}

enum What {
    Invoke(OpId),
    Complete(OpId),
    Note(usize),
    Other(Event),
}

/// Every event of the history, in order.
pub(super) fn events(history: &History) -> impl Iterator<Item = Event> + '_ {
    let mut known: Vec<(u32, u64, What)> = Vec::new();
    let mut timed: Vec<(u64, What)> = Vec::new();
    for op in history.ops() {
        known.push((history.recorded(op.inv()), op.invoked(), What::Invoke(op.id)));
        match (op.completed(), op.gave_up()) {
            (Some(time), _) => known.push((history.recorded(op.res()), time, What::Complete(op.id))),
            (None, Some(time)) => timed.push((time, What::Complete(op.id))),
            (None, None) => {}
        }
    }
    known.extend(
        history
            .notes()
            .iter()
            .enumerate()
            .map(|(i, n)| (history.recorded(n.position), n.time, What::Note(i))),
    );
    known.sort_by_key(|(position, ..)| *position);
    timed.extend(others(history).into_iter().map(|e| (e.time(), What::Other(e))));
    timed.sort_by_key(|(time, _)| *time);
    let (mut known, mut timed) = (known.into_iter().peekable(), timed.into_iter().peekable());
    std::iter::from_fn(move || match (known.peek(), timed.peek()) {
        (Some((_, a, _)), Some((b, _))) if a > b => timed.next().map(|(_, what)| what),
        (None, _) => timed.next().map(|(_, what)| what),
        (Some(_), _) => known.next().map(|(.., what)| what),
    })
    .map(|what| event(history, what))
}

fn others(history: &History) -> Vec<Event> {
    let mut events = Vec::new();
    for s in history.strikes() {
        events.push(Event::StrikeBegin { time: s.begun, id: s.id, strike: s.strike.clone() });
        if let Some((time, resolved, effect)) = &s.confirmed {
            let (resolved, effect) = (resolved.clone(), effect.clone());
            events.push(Event::StrikeConfirmed { time: *time, id: s.id, resolved, effect });
        }
        if let Some(time) = s.heal_begun {
            events.push(Event::HealBegin { time, id: s.id });
        }
        if let Some((time, effect)) = &s.healed {
            events.push(Event::HealConfirmed { time: *time, id: s.id, effect: effect.clone() });
        }
    }
    let roles = history.roles().iter();
    events.extend(roles.map(|r| Event::Role {
        time: r.time,
        node: r.node,
        role: r.role.clone(),
        term: r.term,
    }));
    events
}

fn event(history: &History, what: What) -> Event {
    match what {
        What::Invoke(id) => {
            let op = history.op(id);
            Event::Invoke {
                time: op.invoked(),
                process: op.process(),
                node: op.node(),
                call: op.call(),
                last: op.is_last(),
            }
        }
        What::Complete(id) => {
            let op = history.op(id);
            Event::Complete {
                time: op.gave_up().unwrap_or(op.invoked()),
                process: op.process(),
                call: op.call(),
                outcome: op.outcome(),
                server: op.server(),
            }
        }
        What::Note(i) => {
            let note = &history.notes()[i];
            Event::Note { time: note.time, f: note.f.clone(), value: note.value.clone() }
        }
        What::Other(event) => event,
    }
}

/// As [`events`], with stamps that say the order: where the history's ties are in order, read back they would be
/// concurrent, so each is put a nanosecond behind the one before it.
pub(super) fn stamped(history: &History) -> impl Iterator<Item = Event> + '_ {
    let ordered = !history.ties_are_concurrent() && history.end() > 0 && history.ties() > 0;
    let mut next = 0;
    events(history).map(move |mut event| {
        if ordered {
            let time = event.time_mut();
            *time = (*time).max(next);
            next = *time + 1;
        }
        event
    })
}

/// Every event in Jepsen's shape, in order.
pub(super) fn lines(history: &History) -> impl Iterator<Item = Line<'_>> {
    stamped(history).map(|event| line(history, event))
}

fn line(history: &History, event: Event) -> Line<'_> {
    let time = event.time();
    match event {
        Event::Invoke { process, node, call, last, .. } => Line {
            time,
            kind: "invoke",
            process: Some(process.0),
            f: call.f().into(),
            key: call.key().clone(),
            value: call.value(),
            error: None,
            node: node.map(|n| history.node_name(n)),
            last,
        },
        Event::Complete { process, call, outcome, .. } => {
            let kind = outcome.kind();
            let (value, error) = match outcome {
                Outcome::Ok(Reply::Read(v)) => (v, None),
                Outcome::Ok(Reply::Txn(ops)) => (micro_ops_value(&ops), None),
                Outcome::Ok(Reply::Done) => (call.value(), None),
                Outcome::Ok(Reply::Mismatch) => (call.value(), Some("mismatch".into())),
                Outcome::Fail(e) | Outcome::Info(e) => {
                    (call.value(), Some(e.0.to_string()).filter(|e| !e.is_empty()))
                }
            };
            let (f, key) = (call.f().into(), call.key().clone());
            Line { time, kind, process: Some(process.0), f, key, value, error, node: None, last: false }
        }
        other => nemesis(history, other, time),
    }
}

fn nemesis(history: &History, event: Event, time: u64) -> Line<'_> {
    let json = |j: serde_json::Result<serde_json::Value>| Value::from_json(&j.unwrap_or_default());
    let (f, value) = match event {
        Event::StrikeBegin { strike, .. } => ("strike".into(), json(serde_json::to_value(&strike))),
        Event::StrikeConfirmed { resolved, effect, .. } => {
            ("strike-confirmed".into(), json(serde_json::to_value((&resolved, &effect))))
        }
        Event::HealBegin { id, .. } => ("heal".into(), Value::Int(id as i64)),
        Event::HealConfirmed { effect, .. } => ("heal-confirmed".into(), json(serde_json::to_value(&effect))),
        Event::Role { node, role, term, .. } => {
            let node = Value::text(history.node_name(node));
            ("role".into(), Value::List(vec![node, Value::Text(role), Value::Int(term as i64)]))
        }
        Event::Note { f, value, .. } => (f.into_string(), value),
        Event::Invoke { .. } | Event::Complete { .. } => ("?".into(), Value::Null),
    };
    let (kind, key) = ("info", Value::Null);
    Line { time, kind, process: None, f, key, value, error: None, node: None, last: false }
}
