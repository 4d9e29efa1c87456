//! Registers whose values are written once, judged while the history streams by: never all ops in memory.
//!
//! Twelve bytes for each distinct value, and the calls under way. The rule is that of `linearizable/register.rs`: a
//! value with the op that wrote it and the reads that saw it is a zone from its first completion (`lo`) to its last
//! invocation (`hi`); linearizable iff no two zones must each precede the other, which one sort by `lo + hi` shows.
//! Exact on its domain and refusing beyond it (a value written twice, a compare-and-set, any other call): a stream
//! cannot be searched. Not here: reading lines (`history::jsonl`), witnesses, cores of more than two values.
//! Source: Gibbons and Korach, *Testing shared memories*, SIAM J. Comput. 1997, §4.

use crate::linearizable::hash::Map;
use history::{Process, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What an event says of a register. Lines are numbered from 1 and must rise.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Write(Process, Value, Value),
    /// Process and key.
    Read(Process, Value),
    /// The call of the process was answered: a read with a value, a write with none.
    Ok(Process, Option<Value>),
    /// It certainly did not happen.
    Fail(Process),
    /// It may have happened or may yet.
    Info(Process),
}

/// What came of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Valid,
    /// In words, with the lines that contradict each other.
    Invalid(String, Vec<u32>),
}

/// Not to be judged this way; says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// Twelve bytes: `lo` is the line of the first completion ([`NEVER`] before one), `hi` of the last invocation (0: no
/// such value), `value` its number.
#[derive(Clone, Copy)]
struct Zone {
    lo: u32,
    hi: u32,
    value: u32,
}

const NEVER: u32 = u32::MAX;
const ABSENT: Zone = Zone { lo: NEVER, hi: 0, value: 0 };

#[derive(Clone, Copy)]
enum Open {
    Write { key: u32, zone: u32 },
    Read { key: u32, line: u32 },
}

/// The values of one key. Small integers are their own place in the list; the others have theirs by a table.
#[derive(Default)]
struct Key {
    zones: Vec<Zone>,
    others: Map<Value, u32>,
    names: Vec<Value>,
    /// The number of a zone's place that is not an integer's: places of both kinds share one list.
    spilled: Vec<Zone>,
    /// The last invocation of a read of nil.
    initial: u32,
    writes: u64,
}

/// Places beyond the number of writes that integers may take before they go to the table: keeps hostile values small.
const SLACK: u64 = 64;
/// Marks the places of values from the table.
const SPILLED: u32 = 1 << 31;

impl Key {
    /// Where the value's zone is, if it has a place.
    fn find(&self, value: &Value) -> Option<u32> {
        if let Value::Int(i) = value
            && let Ok(i) = u32::try_from(*i)
            && self.zones.get(i as usize).is_some_and(|z| z.hi > 0)
        {
            return Some(i);
        }
        self.others.get(value).map(|n| n | SPILLED)
    }

    fn place(&mut self, value: Value) -> Option<u32> {
        self.writes += 1;
        if let Value::Int(i) = value
            && (0..(2 * self.writes + SLACK) as i64).contains(&i)
            && i < SPILLED as i64
        {
            if self.zones.len() <= i as usize {
                self.zones.resize(i as usize + 1, ABSENT);
            }
            self.zones[i as usize].value = i as u32;
            return Some(i as u32);
        }
        let n = u32::try_from(self.spilled.len()).ok().filter(|n| *n < SPILLED)?;
        self.spilled.push(Zone { value: n | SPILLED, ..ABSENT });
        self.others.insert(value.clone(), n);
        self.names.push(value);
        Some(n | SPILLED)
    }

    fn zone(&mut self, at: u32) -> &mut Zone {
        match at & SPILLED {
            0 => &mut self.zones[at as usize],
            _ => &mut self.spilled[(at & !SPILLED) as usize],
        }
    }

    fn name(&self, at: u32) -> Value {
        match at & SPILLED {
            0 => Value::Int(at as i64),
            _ => self.names[(at & !SPILLED) as usize].clone(),
        }
    }

    /// Two zones that must each precede the other, if there are such.
    fn clash(&mut self) -> Option<(Zone, Zone)> {
        let mut zones = std::mem::take(&mut self.zones);
        zones.append(&mut self.spilled);
        // A write that nobody is known to have seen and nobody knows to have happened constrains nothing.
        zones.retain(|z| z.lo != NEVER);
        zones.sort_unstable_by_key(|z| (z.lo as u64 + z.hi as u64, z.lo));
        // The initial value comes first of all, whatever its last read.
        let mut latest = Zone { lo: 0, hi: self.initial, value: NEVER };
        for zone in zones {
            if zone.lo < latest.hi {
                return Some((latest, zone));
            }
            if zone.hi > latest.hi {
                latest = zone;
            }
        }
        None
    }
}

/// The state of the stream: feed it with [`Stream::push`], ask [`Stream::finish`].
#[derive(Default)]
pub struct Stream {
    ids: BTreeMap<Value, u32>,
    keys: Vec<Key>,
    open: Map<u32, Open>,
    retired: BTreeSet<u32>,
    /// The first contradiction that showed before the end.
    bad: Option<(String, Vec<u32>)>,
    ops: u64,
    ok: u64,
}

impl Stream {
    /// Calls invoked so far, and answered so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.ops, self.ok)
    }

    fn key(&mut self, key: Value) -> u32 {
        let next = self.keys.len() as u32;
        let id = *self.ids.entry(key).or_insert(next);
        if id == next {
            self.keys.push(Key::default());
        }
        id
    }

    /// Takes the next event; amortised O(1).
    pub fn push(&mut self, line: u32, event: Event) -> Result<(), Refused> {
        match event {
            Event::Write(process, key, value) => {
                let key = self.key(key);
                self.begin(process)?;
                if value.is_null() {
                    return Err(Refused(format!("line {line} writes nil, the initial value")));
                }
                let of = &mut self.keys[key as usize];
                if of.find(&value).is_some_and(|at| of.zone(at).hi > 0) {
                    return Err(Refused(format!("line {line} writes {value} for the second time")));
                }
                let place = of.find(&value).or_else(|| of.place(value));
                let zone = place.ok_or_else(|| Refused("there are over 2^31 values".into()))?;
                of.zone(zone).hi = line;
                of.zone(zone).lo = NEVER;
                self.open.insert(process.0, Open::Write { key, zone });
            }
            Event::Read(process, key) => {
                let key = self.key(key);
                self.begin(process)?;
                self.open.insert(process.0, Open::Read { key, line });
            }
            Event::Ok(process, value) => {
                self.ok += 1;
                match (self.end(process, line)?, value) {
                    (Open::Write { key, zone }, None) => {
                        let zone = self.keys[key as usize].zone(zone);
                        zone.lo = zone.lo.min(line);
                    }
                    (Open::Read { key, line: begun }, Some(value)) => self.read(key, &value, begun, line),
                    _ => return Err(Refused(format!("line {line} answers another call than was made"))),
                }
            }
            Event::Fail(process) => {
                if let Open::Write { key, zone } = self.end(process, line)? {
                    let value = self.keys[key as usize].name(zone);
                    let zone = self.keys[key as usize].zone(zone);
                    let (lo, begun) = (zone.lo, zone.hi);
                    (zone.lo, zone.hi) = (NEVER, 0);
                    if lo != NEVER && self.bad.is_none() {
                        let says =
                            format!("line {lo} read {value}, whose write certainly failed (line {line})");
                        self.bad = Some((says, vec![lo.min(begun), lo.max(begun), line]));
                    }
                }
            }
            Event::Info(process) => {
                self.end(process, line)?;
                self.retired.insert(process.0);
            }
        }
        Ok(())
    }

    fn begin(&mut self, process: Process) -> Result<(), Refused> {
        self.ops += 1;
        match (self.open.contains_key(&process.0), self.retired.contains(&process.0)) {
            (true, _) => Err(Refused(format!("process {} has two calls open", process.0))),
            (_, true) => Err(Refused(format!("process {} goes on after an info", process.0))),
            _ => Ok(()),
        }
    }

    fn end(&mut self, process: Process, line: u32) -> Result<Open, Refused> {
        let open = self.open.remove(&process.0);
        open.ok_or_else(|| Refused(format!("line {line} answers a call that was not made")))
    }

    fn read(&mut self, key: u32, value: &Value, begun: u32, line: u32) {
        let of = &mut self.keys[key as usize];
        if value.is_null() {
            of.initial = of.initial.max(begun);
            return;
        }
        match of.find(value).filter(|at| of.zone(*at).hi > 0) {
            Some(at) => {
                let zone = of.zone(at);
                zone.lo = zone.lo.min(line);
                zone.hi = zone.hi.max(begun);
            }
            None if self.bad.is_none() => {
                let says = format!("line {line} read {value}, which nobody had begun to write");
                self.bad = Some((says, vec![begun, line]));
            }
            None => {}
        }
    }

    /// The verdict over all keys. O(n log n) in the number of values.
    pub fn finish(mut self) -> Answer {
        if let Some((says, lines)) = self.bad {
            return Answer::Invalid(says, lines);
        }
        for (name, id) in &self.ids {
            let key = &mut self.keys[*id as usize];
            let Some((a, b)) = key.clash() else { continue };
            let of = if name.is_null() { String::new() } else { format!("key {name}: ") };
            let says = match a.value {
                NEVER => format!(
                    "{of}the initial value was read by a call that began at line {}, after {} had been written or read \
                     (line {})",
                    a.hi,
                    key.name(b.value),
                    b.lo
                ),
                _ => format!(
                    "{of}{} and {} must each come before the other: a call with {} was answered at line {} before the \
                     last with {} began at line {}, and one with {} at line {} before the last with {} began at line {}",
                    key.name(a.value),
                    key.name(b.value),
                    key.name(a.value),
                    a.lo,
                    key.name(b.value),
                    b.hi,
                    key.name(b.value),
                    b.lo,
                    key.name(a.value),
                    a.hi
                ),
            };
            let mut lines: Vec<u32> = [a.lo, a.hi, b.lo, b.hi].into_iter().filter(|l| *l > 0).collect();
            lines.sort_unstable();
            return Answer::Invalid(says, lines);
        }
        Answer::Valid
    }
}
