//! Small histories out of bytes, judged by every engine there is: two definite answers must never differ.

use checkers::linearizable::bind::Bind;
use checkers::linearizable::dfs::{self, Limits};
use checkers::linearizable::engine::{Answer, decide_needed};
use checkers::linearizable::objects::{Counter, Element, List, Mutex, Queue, Register, WholeSet};
use checkers::linearizable::preprocess::needed;
use checkers::linearizable::spec::{OPEN, Timed};
use checkers::linearizable::{Linearizable, Object, frontier, oracle, reference, replay};
use checkers::{Budget, Checker};
use history::rng::Rng;
use history::{Builder, Call, Error, Event, History, Outcome, Process, Reply, Value};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const STEPS: u64 = 100_000;
const BYTES: u64 = 64 << 20;
/// Ops that one input may spell.
const MOST: usize = 40;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Register,
    Counter,
    List,
    Queue,
    Set,
    Element,
    Mutex,
}

const KINDS: [Kind; 8] = [
    Kind::Register,
    Kind::Register,
    Kind::Counter,
    Kind::List,
    Kind::Queue,
    Kind::Set,
    Kind::Element,
    Kind::Mutex,
];

// Judging -------------------------------------------------------------------------------------------------------

/// Every engine on every key; `valid`: the history is known to have an order.
fn judge(history: &History, kind: Kind, valid: bool) {
    match kind {
        Kind::Register => keys(&Register::default(), history, valid),
        Kind::Counter => keys(&Counter, history, valid),
        Kind::List => keys(&List, history, valid),
        Kind::Queue => keys(&Queue, history, valid),
        Kind::Set => keys(&WholeSet, history, valid),
        Kind::Element => keys(&Element, history, valid),
        Kind::Mutex => keys(&Mutex, history, valid),
    }
}

fn keys<S: Bind>(spec: &S, history: &History, valid: bool) {
    let mut parts: BTreeMap<u64, Vec<Timed<S>>> = BTreeMap::new();
    for op in history.ops() {
        let Ok(Some((call, reply))) = spec.take(&op, history) else { continue };
        let res = if reply.is_some() { op.res() } else { OPEN };
        // Elements of a set are independent where nobody reads it whole.
        let part = op.key().0 as u64 | if S::NOUN == "set element" { (op.arg().0 as u64) << 32 } else { 0 };
        parts.entry(part).or_default().push(Timed { call, reply, inv: op.inv(), res });
    }
    for ops in parts.values() {
        agree(spec, ops, valid);
    }
}

fn agree<S: Bind>(spec: &S, ops: &[Timed<S>], valid: bool) {
    let limits = Limits { steps: STEPS, bytes: BYTES, furthest: false };
    let mut said: Vec<(&str, bool)> = Vec::new();
    if valid {
        said.push(("construction", true));
    }
    if ops.len() <= 12 {
        said.extend(oracle::linearizable(spec, ops).map(|yes| ("oracle", yes)));
    }
    said.extend(reference::linearizable(spec, ops, STEPS, BYTES).map(|yes| ("reference", yes)));
    let replays = |engine: &str, ops: &[Timed<S>], order: &[usize]| {
        assert_eq!(replay::replay(spec, ops, order), Ok(()), "{engine}: {ops:?}");
    };
    match dfs::search(spec, ops, &limits).answer {
        dfs::Answer::Yes(order) => {
            replays("dfs", ops, &order);
            said.push(("dfs", true));
        }
        dfs::Answer::No => said.push(("dfs", false)),
        dfs::Answer::Spent(_) => {}
    }
    for width in [2, 64] {
        match frontier::beam(spec, ops, width, 2, &limits).answer {
            dfs::Answer::Yes(order) => {
                replays("beam", ops, &order);
                said.push(("beam", true));
            }
            dfs::Answer::No => said.push(("beam", false)),
            dfs::Answer::Spent(_) => {}
        }
    }
    let part: Vec<Timed<S>> = needed(spec, ops).into_iter().map(|i| ops[i].clone()).collect();
    match spec.decide(&part) {
        Some(Ok(order)) => {
            replays("decider", &part, &order);
            said.push(("decider", true));
        }
        Some(Err(refuted)) => {
            refutes(spec, &part, &refuted.core, refuted.reduced.as_deref());
            said.push(("decider", false));
        }
        None => {}
    }
    if let Some(refuted) = spec.screen(&part) {
        refutes(spec, &part, &refuted.core, refuted.reduced.as_deref());
        said.push(("sweep", false));
    }
    match decide_needed(spec, ops, &limits).answer {
        Answer::Yes(order) => {
            replays("portfolio", ops, &order);
            said.push(("portfolio", true));
        }
        Answer::No(_) => said.push(("portfolio", false)),
        Answer::Unknown(why) => {
            assert!(why.word() != "disagreement", "{why:?}: {ops:?}");
        }
    }
    let yes = said.iter().any(|(_, yes)| *yes);
    assert!(said.iter().all(|(_, y)| *y == yes), "{said:?}: {ops:?}");
}

/// What a closed form calls a contradiction must be one for brute force too.
fn refutes<S: Bind>(spec: &S, ops: &[Timed<S>], core: &[usize], reduced: Option<&[Timed<S>]>) {
    let core: Vec<Timed<S>> = match reduced {
        Some(reduced) => reduced.to_vec(),
        None => core.iter().map(|i| ops[*i].clone()).collect(),
    };
    if core.len() <= 12 {
        assert_eq!(oracle::linearizable(spec, &core), Some(false), "core {core:?} of {ops:?}");
    }
}

/// The checker as a user meets it: the same answer, with all its words.
fn whole(history: &History, kind: Kind, valid: bool) {
    let object = match kind {
        Kind::Register => Object::CasRegister,
        Kind::Counter => Object::Counter,
        Kind::List => Object::List,
        Kind::Queue => Object::Queue,
        Kind::Set | Kind::Element => Object::Set,
        Kind::Mutex => Object::Mutex,
    };
    let budget = Budget { steps: STEPS, bytes: BYTES, watch: None };
    let findings = Linearizable::of(object).check(history, &budget);
    let invalid = findings.per_model.iter().any(|(_, verdict)| verdict.is_invalid());
    assert!(!(valid && invalid), "{findings:?}: {:?}", history.ops().collect::<Vec<_>>());
    let _ = findings.to_json().to_string();
}

// Spelled by bytes ----------------------------------------------------------------------------------------------

/// Two bytes an event; whatever makes no sense is skipped.
pub fn spelled(data: &[u8]) {
    let Some((first, _)) = data.split_first() else { return };
    let kind = KINDS[*first as usize % KINDS.len()];
    let Some(history) = spell(data) else { return };
    judge(&history, kind, false);
    if first & 0x80 != 0 {
        whole(&history, kind, false);
    }
}

/// The history that the bytes spell.
pub fn spell(data: &[u8]) -> Option<History> {
    let (first, rest) = data.split_first()?;
    let kind = KINDS[*first as usize % KINDS.len()];
    let mut events: Vec<Event> = Vec::new();
    // Of each client: its process now, and its open call.
    let mut clients: Vec<(u32, Option<Call>)> = (0..8).map(|i| (i, None)).collect();
    let mut invoked = 0;
    for pair in rest.chunks_exact(2) {
        let (client, what, arg) = ((pair[0] & 7) as usize, pair[0] >> 3, pair[1]);
        let time = events.len() as u64 / 2;
        let (process, open) = &mut clients[client];
        let p = Process(*process);
        match open.take() {
            None if invoked < MOST => {
                invoked += 1;
                let call = call(kind, what, arg);
                *open = Some(call.clone());
                events.push(Event::Invoke { time, process: p, node: None, call, last: false });
            }
            None => {}
            Some(call) => {
                let outcome = match what % 16 {
                    14 => Outcome::Info(Error::new("timeout: 1 s")),
                    15 => Outcome::Fail(Error::new("no")),
                    _ => Outcome::Ok(reply(&call, what, arg)),
                };
                if matches!(outcome, Outcome::Info(_)) {
                    *process += 8;
                }
                events.push(Event::Complete { time, process: p, call, outcome, server: None });
            }
        }
    }
    built(&events)
}

fn built(events: &[Event]) -> Option<History> {
    let mut builder = Builder::new();
    for (i, event) in events.iter().enumerate() {
        builder.push(event, i as u64 + 1).expect("well-formed by construction");
    }
    Some(builder.finish())
}

fn small(byte: u8) -> Value {
    match byte & 7 {
        0 => Value::Null,
        n => Value::Int(n as i64),
    }
}

/// Written, added, enqueued: never nil.
fn some(byte: u8) -> Value {
    Value::Int((byte & 7).max(1) as i64)
}

fn call(kind: Kind, what: u8, arg: u8) -> Call {
    let key = if arg & 0x40 != 0 { Value::text("y") } else { Value::text("x") };
    match (kind, what % 4) {
        (Kind::Register, 0) => Call::Write(key, some(arg)),
        (Kind::Register, 1) => Call::Cas(key, small(arg), some(arg >> 3)),
        (Kind::Counter, 0 | 1) => Call::Add(key, Value::Int((arg & 15) as i64 - 4)),
        (Kind::List, 0 | 1) => Call::Append(key, some(arg)),
        (Kind::Queue, 0 | 1) => Call::Enqueue(key, some(arg)),
        (Kind::Queue, _) => Call::Dequeue(key),
        (Kind::Set, 0) | (Kind::Element, 0 | 3) => Call::Add(key, some(arg & 3)),
        (Kind::Set, 1) | (Kind::Element, 1) => Call::Remove(key, some(arg & 3)),
        (Kind::Element, _) => Call::Other { f: "contains".into(), key, value: some(arg & 3) },
        (Kind::Mutex, 0 | 1) => Call::Acquire(key),
        (Kind::Mutex, _) => Call::Release(key),
        _ => Call::Read(key),
    }
}

fn reply(call: &Call, what: u8, arg: u8) -> Reply {
    match call {
        Call::Cas(..) if what & 1 == 1 => Reply::Mismatch,
        Call::Dequeue(_) => Reply::Read(small(arg)),
        Call::Other { .. } => Reply::Read(Value::Bool(arg & 1 == 1)),
        Call::Read(_) => Reply::Read(match what % 4 {
            // What the object holds is not known here: a number or a list, whichever the bytes say.
            0 | 1 => small(arg),
            2 => Value::Int((arg as i64 & 15) - 4),
            _ => Value::List((1..8u8).filter(|i| arg >> i & 1 == 1).map(some).collect()),
        }),
        _ => Reply::Done,
    }
}

// Made by a correct object, then bent ------------------------------------------------------------------------------

/// The state of a correct object.
#[derive(Default)]
struct Model {
    value: Value,
    sum: i64,
    list: Vec<Value>,
    queue: VecDeque<Value>,
    set: BTreeSet<Value>,
}

impl Model {
    fn apply(&mut self, kind: Kind, call: &Call) -> Reply {
        match call {
            Call::Write(_, v) => self.value = v.clone(),
            Call::Cas(_, old, _) if *old != self.value => return Reply::Mismatch,
            Call::Cas(_, _, new) => self.value = new.clone(),
            Call::Add(_, v) if kind == Kind::Counter => self.sum += v.as_int().unwrap_or(0),
            Call::Add(_, v) => drop(self.set.insert(v.clone())),
            Call::Remove(_, v) => drop(self.set.remove(v)),
            Call::Append(_, v) => self.list.push(v.clone()),
            Call::Enqueue(_, v) => self.queue.push_back(v.clone()),
            Call::Dequeue(_) => return Reply::Read(self.queue.pop_front().unwrap_or_default()),
            Call::Other { value, .. } => return Reply::Read(Value::Bool(self.set.contains(value))),
            Call::Read(_) => {
                return Reply::Read(match kind {
                    Kind::Counter => Value::Int(self.sum),
                    Kind::List => Value::List(self.list.clone()),
                    Kind::Set => Value::Set(self.set.iter().cloned().collect()),
                    _ => self.value.clone(),
                });
            }
            _ => {}
        }
        Reply::Done
    }
}

/// One edge of an op: its invocation or its completion.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Edge {
    op: usize,
    begins: bool,
}

struct Made {
    calls: Vec<Call>,
    /// `None`: never answered.
    replies: Vec<Option<Reply>>,
    edges: Vec<Edge>,
}

/// A run of a correct object: each op takes effect somewhere inside its interval; abandoned ones perhaps.
fn make(kind: Kind, rng: &mut Rng) -> Made {
    let (ops, clients) = (rng.range(2, 30) as usize, rng.range(1, 7) as usize);
    let (info, unique) = ([0, 5, 30][rng.below(3) as usize], rng.chance(0.5));
    let mut made = Made { calls: Vec::new(), replies: Vec::new(), edges: Vec::new() };
    let mut models: BTreeMap<Value, Model> = BTreeMap::new();
    let mut open: Vec<Option<(usize, bool, bool)>> = vec![None; clients];
    while made.calls.len() < ops || open.iter().any(Option::is_some) {
        let client = rng.below(clients as u64) as usize;
        match open[client].take() {
            None if made.calls.len() < ops => {
                let op = made.calls.len();
                let mut call = call(kind, rng.below(32) as u8, rng.below(256) as u8);
                if unique && let Call::Write(_, v) | Call::Append(_, v) | Call::Enqueue(_, v) = &mut call {
                    *v = Value::Int(op as i64 + 10);
                }
                made.calls.push(call);
                made.replies.push(None);
                made.edges.push(Edge { op, begins: true });
                open[client] = Some((op, false, rng.below(100) < info));
            }
            None => {}
            Some((op, false, abandoned)) if !(abandoned && rng.chance(0.3)) => {
                let call = &made.calls[op];
                let said = models.entry(call.key().clone()).or_default().apply(kind, call);
                made.replies[op] = (!abandoned).then_some(said);
                open[client] = Some((op, true, abandoned));
            }
            Some((_, _, true)) => {}
            Some((op, ..)) => made.edges.push(Edge { op, begins: false }),
        }
    }
    made
}

/// Eight bytes of seed, one that says the object, then two for each change.
pub fn mutated(data: &[u8]) {
    let Some((seed, rest)) = data.split_first_chunk::<8>() else { return };
    let Some((first, changes)) = rest.split_first() else { return };
    // A mutex knows its caller, and here every op has a process of its own.
    let kind = KINDS[*first as usize % (KINDS.len() - 1)];
    let mut made = make(kind, &mut Rng::new(u64::from_le_bytes(*seed), "mutate"));
    let bends = first & 0x40 != 0;
    for change in changes.chunks_exact(2).take(16) {
        help(&mut made, change[0], change[1] as usize);
        if bends {
            bend(&mut made, change[0] >> 4, change[1] as usize);
        }
    }
    let Some(history) = history_of(&made) else { return };
    judge(&history, kind, !bends);
    if first & 0x80 != 0 {
        whole(&history, kind, !bends);
    }
}

/// Changes that keep an order an order.
fn help(made: &mut Made, what: u8, at: usize) {
    let n = made.edges.len();
    if n < 2 {
        return;
    }
    let at = at % n;
    match what % 4 {
        // A completion later, an invocation earlier.
        0 if !made.edges[at].begins && at + 1 < n => made.edges.swap_if(at, at + 1),
        1 if made.edges[at].begins && at > 0 => made.edges.swap_if(at - 1, at),
        // Never answered.
        2 if !made.edges[at].begins => {
            let op = made.edges.remove(at).op;
            made.replies[op] = None;
        }
        // A call that changes nothing left out.
        3 => {
            let op = made.edges[at].op;
            if matches!(made.calls[op], Call::Read(_)) {
                made.edges.retain(|e| e.op != op);
            }
        }
        _ => {}
    }
}

trait SwapIf {
    fn swap_if(&mut self, a: usize, b: usize);
}

impl SwapIf for Vec<Edge> {
    /// Neighbours change places, unless they are the two ends of one op.
    fn swap_if(&mut self, a: usize, b: usize) {
        if self[a].op != self[b].op {
            self.swap(a, b);
        }
    }
}

/// Changes that may break it.
fn bend(made: &mut Made, what: u8, at: usize) {
    let answered: Vec<usize> = (0..made.replies.len())
        .filter(|i| matches!(made.replies[*i], Some(Reply::Read(_) | Reply::Mismatch)))
        .collect();
    let n = made.edges.len();
    match (what % 4, answered.as_slice()) {
        (0, [_, _, ..]) => {
            let (a, b) = (answered[at % answered.len()], answered[at / 16 % answered.len()]);
            if made.calls[a].f() == made.calls[b].f() {
                made.replies.swap(a, b);
            }
        }
        (1, [_, ..]) => {
            let a = answered[at % answered.len()];
            if let Some(Reply::Read(Value::Int(i))) = &mut made.replies[a] {
                *i = at as i64 % 8;
            }
        }
        (2, _) if n > 1 => made.edges.swap_if(at % (n - 1), at % (n - 1) + 1),
        (3, _) if n > 0 => {
            let op = made.edges[at % n].op;
            made.edges.retain(|e| e.op != op);
        }
        _ => {}
    }
}

fn history_of(made: &Made) -> Option<History> {
    let event = |(i, edge): (usize, &Edge)| {
        let (process, call, time) = (Process(edge.op as u32), made.calls[edge.op].clone(), i as u64);
        match (edge.begins, &made.replies[edge.op]) {
            (true, _) => Some(Event::Invoke { time, process, node: None, call, last: false }),
            (false, Some(reply)) => {
                let outcome = Outcome::Ok(reply.clone());
                Some(Event::Complete { time, process, call, outcome, server: None })
            }
            (false, None) => None,
        }
    };
    built(&made.edges.iter().enumerate().filter_map(event).collect::<Vec<_>>())
}
