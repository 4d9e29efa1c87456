//! Families of generated histories by name: `register:5:c20:n1k`, `queue:c10:n1M`, `set:c10:n1M:stale`.
//!
//! Over the generators of `checkers::linearizable::families*`: the ops as the engines see them, one list a partition,
//! their hash, and the same as recorded events. Not here: measuring.

use checkers::linearizable::bind::Bind;
use checkers::linearizable::families::{self, number, short};
use checkers::linearizable::objects::*;
use checkers::linearizable::priority_queue::{PriorityQueue, PriorityQueueCall, PriorityQueueReply};
use checkers::linearizable::spec::{OPEN, Timed};
use checkers::linearizable::stack::{Stack, StackCall, StackReply};
use checkers::linearizable::text_kv::{Text, TextCall, TextReply};
use checkers::linearizable::{Object, families_collections as collections, families_kv, families_set};
use history::jsonl::{Header, SCHEMA, Writer};
use history::{Call, Error, Event, Outcome, Process, Reply, Value, ValueId};
use std::fmt;
use std::hash::{Hash, Hasher};

/// One family, parsed.
#[derive(Clone, Debug)]
pub enum Family {
    Register(families::Family),
    Collection { kind: Kind, clients: u32, infos: u32, ops: u32, elements: u32, stale: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Queue,
    Stack,
    PriorityQueue,
    Set,
    Kv,
}

const KINDS: [(&str, Kind); 5] = [
    ("queue", Kind::Queue),
    ("stack", Kind::Stack),
    ("pq", Kind::PriorityQueue),
    ("set", Kind::Set),
    ("kv", Kind::Kv),
];

/// Ops an element of a set has where the name does not say how many elements there are.
const OPS_AN_ELEMENT: u32 = 100;

/// Keys of a kv where the name does not say how many there are: as many as in Porcupine's.
const KEYS: u32 = 10;

impl Family {
    /// The error says which part of the name is wrong.
    pub fn parse(text: &str) -> Result<Family, String> {
        let mut parts = text.split(':');
        let head = parts.next().unwrap_or("");
        let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == head) else {
            return match head {
                "register" | "cas" => families::Family::parse(text).map(Family::Register),
                _ => Err(format!(
                    "{text:?} is no family: it begins with register, cas, queue, stack, pq, set or kv"
                )),
            };
        };
        let (mut clients, mut infos, mut ops, mut elements, mut stale) = (10, 0, 1_000, 0, false);
        for part in parts {
            let n = part.get(1..).and_then(number);
            match (part.get(..1), n) {
                _ if part == "stale" => stale = true,
                (Some("c"), Some(n)) if n > 0 => clients = n,
                (Some("m"), Some(n)) => infos = n,
                (Some("n"), Some(n)) if n > 0 => ops = n,
                (Some("e"), Some(n)) if n > 0 && [Kind::Set, Kind::Kv].contains(kind) => elements = n,
                _ => {
                    return Err(format!(
                        "family {text:?}: {part:?} is none of cN, mN, nN, stale (and eN elements of a set, keys of a kv)"
                    ));
                }
            }
        }
        Ok(Family::Collection { kind: *kind, clients, infos, ops, elements, stale })
    }

    pub fn stale(&self) -> bool {
        match self {
            Family::Register(f) => f.stale,
            Family::Collection { stale, .. } => *stale,
        }
    }

    pub fn object(&self) -> Object {
        match self {
            Family::Register(_) => Object::CasRegister,
            Family::Collection { kind: Kind::Queue, .. } => Object::Queue,
            Family::Collection { kind: Kind::Stack, .. } => Object::Stack,
            Family::Collection { kind: Kind::PriorityQueue, .. } => Object::PriorityQueue,
            Family::Collection { kind: Kind::Set, .. } => Object::Set,
            Family::Collection { kind: Kind::Kv, .. } => Object::Kv,
        }
    }

    /// The ops, spread over so many keys. Of a stale family the first key alone is stale. `None`: it cannot be.
    pub fn draw(&self, seed: u64, keys: u32) -> Option<Drawn> {
        let seeds = (0..keys.max(1)).map(|k| (seed + k as u64 * 1_000_003, k == 0));
        match *self {
            Family::Register(family) => {
                let family = families::Family { ops: family.ops / keys.max(1), ..family };
                let one = |(seed, first): (u64, bool)| {
                    families::Family { stale: family.stale && first, ..family }.ops(seed)
                };
                seeds.map(one).collect::<Option<Vec<_>>>().map(Drawn::Register)
            }
            Family::Collection { kind, clients, infos, ops, elements, stale } => {
                let family = |(seed, first): (u64, bool)| collections::Family {
                    ops: ops / keys.max(1),
                    clients,
                    infos: infos / keys.max(1),
                    swapped: stale && first,
                    seed,
                };
                let families = seeds.map(family);
                Some(match kind {
                    Kind::Queue => Drawn::Queue(families.map(|f| collections::queue(&f)).collect()),
                    Kind::Stack => Drawn::Stack(families.map(|f| collections::stack(&f)).collect()),
                    Kind::PriorityQueue => {
                        Drawn::PriorityQueue(families.map(|f| collections::priority_queue(&f)).collect())
                    }
                    Kind::Set => {
                        let elements = if elements == 0 { (ops / OPS_AN_ELEMENT).max(1) } else { elements };
                        Drawn::Set(families_set::set(&families.clone().next()?, elements)?)
                    }
                    Kind::Kv => {
                        let keys = if elements == 0 { KEYS } else { elements };
                        Drawn::Kv(families_kv::kv(&families.clone().next()?, keys)?)
                    }
                })
            }
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Family::Register(family) => family.fmt(f),
            Family::Collection { kind, clients, infos, ops, elements, stale } => {
                let name = KINDS.iter().find(|(_, k)| k == kind).map_or("", |(name, _)| name);
                write!(f, "{name}:c{clients}")?;
                if *infos > 0 {
                    write!(f, ":m{}", short(*infos))?;
                }
                write!(f, ":n{}", short(*ops))?;
                if *elements > 0 {
                    write!(f, ":e{}", short(*elements))?;
                }
                f.write_str(if *stale { ":stale" } else { "" })
            }
        }
    }
}

/// Partitions as the engines see them.
pub enum Drawn {
    Register(Vec<Vec<Timed<Register>>>),
    Queue(Vec<Vec<Timed<Queue>>>),
    Stack(Vec<Vec<Timed<Stack>>>),
    PriorityQueue(Vec<Vec<Timed<PriorityQueue>>>),
    Set(Vec<Vec<Timed<Element>>>),
    Kv(Vec<Vec<Timed<Text>>>),
}

/// Something done with the partitions, whatever their object.
macro_rules! each {
    ($drawn:expr, $spec:ident, $parts:ident => $does:expr) => {
        match $drawn {
            $crate::bench::drawn::Drawn::Register($parts) => {
                let $spec = &checkers::linearizable::objects::Register::default();
                $does
            }
            $crate::bench::drawn::Drawn::Queue($parts) => {
                let $spec = &checkers::linearizable::objects::Queue;
                $does
            }
            $crate::bench::drawn::Drawn::Stack($parts) => {
                let $spec = &checkers::linearizable::stack::Stack;
                $does
            }
            $crate::bench::drawn::Drawn::PriorityQueue($parts) => {
                let $spec = &checkers::linearizable::priority_queue::PriorityQueue;
                $does
            }
            $crate::bench::drawn::Drawn::Set($parts) => {
                let $spec = &checkers::linearizable::objects::Element;
                $does
            }
            $crate::bench::drawn::Drawn::Kv($parts) => {
                let $spec = &checkers::linearizable::text_kv::Text;
                $does
            }
        }
    };
}
pub(crate) use each;

/// FNV-1a over calls, replies and positions: names the input.
pub fn hash<S: Bind>(parts: &[Vec<Timed<S>>]) -> u64 {
    let mut fnv = Fnv(0xcbf2_9ce4_8422_2325);
    for part in parts {
        part.len().hash(&mut fnv);
        for op in part {
            (&op.call, &op.reply, op.inv, op.res).hash(&mut fnv);
        }
    }
    fnv.0
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 ^ *b as u64).wrapping_mul(0x100_0000_01b3);
        }
    }
}

/// How the ops of an object are recorded.
pub trait Recorded: Bind {
    /// `key`: of the partition.
    fn call(call: &Self::Call, key: i64) -> Call;
    fn reply(reply: &Self::Reply) -> Reply;
}

fn value(v: ValueId) -> Value {
    if v == ValueId::NULL { Value::Null } else { Value::Int(v.0 as i64) }
}

fn other(f: &str, key: i64, value: Value) -> Call {
    Call::Other { f: f.into(), key: Value::Int(key), value }
}

impl Recorded for Register {
    fn call(call: &RegisterCall, key: i64) -> Call {
        match call {
            RegisterCall::Read => Call::Read(Value::Int(key)),
            RegisterCall::Write(v) => Call::Write(Value::Int(key), value(*v)),
            RegisterCall::Cas(old, new) => Call::Cas(Value::Int(key), value(*old), value(*new)),
        }
    }

    fn reply(reply: &RegisterReply) -> Reply {
        match reply {
            RegisterReply::Done => Reply::Done,
            RegisterReply::Value(v) => Reply::Read(value(*v)),
            RegisterReply::Mismatch => Reply::Mismatch,
        }
    }
}

impl Recorded for Queue {
    fn call(call: &QueueCall, key: i64) -> Call {
        match call {
            QueueCall::Enqueue(v) => Call::Enqueue(Value::Int(key), value(*v)),
            QueueCall::Dequeue => Call::Dequeue(Value::Int(key)),
        }
    }

    fn reply(reply: &QueueReply) -> Reply {
        match reply {
            QueueReply::Done => Reply::Done,
            QueueReply::Took(v) => Reply::Read(value(*v)),
            QueueReply::Empty => Reply::Read(Value::Null),
        }
    }
}

impl Recorded for Stack {
    fn call(call: &StackCall, key: i64) -> Call {
        match call {
            StackCall::Push(v) => other("push", key, value(*v)),
            StackCall::Pop => other("pop", key, Value::Null),
        }
    }

    fn reply(reply: &StackReply) -> Reply {
        match reply {
            StackReply::Done => Reply::Done,
            StackReply::Took(v) => Reply::Read(value(*v)),
            StackReply::Empty => Reply::Read(Value::Null),
        }
    }
}

impl Recorded for PriorityQueue {
    fn call(call: &PriorityQueueCall, key: i64) -> Call {
        match call {
            PriorityQueueCall::Add(v) => Call::Add(Value::Int(key), Value::Int(*v)),
            PriorityQueueCall::Poll => other("poll", key, Value::Null),
        }
    }

    fn reply(reply: &PriorityQueueReply) -> Reply {
        match reply {
            PriorityQueueReply::Done => Reply::Done,
            PriorityQueueReply::Took(v) => Reply::Read(Value::Int(*v)),
            PriorityQueueReply::Empty => Reply::Read(Value::Null),
        }
    }
}

/// All partitions are elements of one set, named by their numbers.
impl Recorded for Element {
    fn call(call: &ElementCall, key: i64) -> Call {
        let (set, element) = (Value::text("s"), Value::Int(key));
        match call {
            ElementCall::Add => Call::Add(set, element),
            ElementCall::Remove => Call::Remove(set, element),
            ElementCall::Has => Call::Other { f: "contains".into(), key: set, value: element },
        }
    }

    fn reply(reply: &ElementReply) -> Reply {
        match reply {
            ElementReply::Done => Reply::Done,
            ElementReply::Was(was) => Reply::Read(Value::Bool(*was)),
        }
    }
}

impl Recorded for Text {
    fn call(call: &TextCall, key: i64) -> Call {
        match call {
            TextCall::Get => Call::Read(Value::Int(key)),
            TextCall::Put(text) => Call::Write(Value::Int(key), Value::text(text)),
            TextCall::Append(text) => Call::Append(Value::Int(key), Value::text(text)),
        }
    }

    fn reply(reply: &TextReply) -> Reply {
        match reply {
            TextReply::Done => Reply::Done,
            TextReply::Is(text) => Reply::Read(Value::text(text)),
        }
    }
}

/// The ops as events.
pub fn events<S: Recorded>(parts: &[Vec<Timed<S>>]) -> Vec<Event> {
    let mut all = Vec::new();
    each_event(parts, |event| {
        all.push(event);
        Ok::<(), std::convert::Infallible>(())
    })
    .unwrap_or_else(|never| match never {});
    all
}

/// The ops as events one by one, in order of position, processes taken from the free ones.
pub fn each_event<S: Recorded, E>(
    parts: &[Vec<Timed<S>>],
    mut sink: impl FnMut(Event) -> Result<(), E>,
) -> Result<(), E> {
    let mut edges: Vec<(u32, u32, u32, bool)> = Vec::new();
    for (p, ops) in parts.iter().enumerate() {
        for (i, op) in ops.iter().enumerate() {
            edges.push((op.inv, p as u32, i as u32, true));
            if op.res != OPEN {
                edges.push((op.res, p as u32, i as u32, false));
            }
        }
    }
    edges.sort_unstable();
    let (mut free, mut most) = (Vec::new(), 0);
    let mut by = std::collections::HashMap::new();
    for (at, (_, p, i, begins)) in edges.into_iter().enumerate() {
        let (op, time) = (&parts[p as usize][i as usize], 1_000 * (1 + at as u64));
        let call = S::call(&op.call, p as i64);
        if begins {
            let process = free.pop().unwrap_or_else(|| {
                most += 1;
                Process(most - 1)
            });
            by.insert((p, i), process);
            sink(Event::Invoke { time, process, node: None, call, last: false })?;
            continue;
        }
        let process = by.remove(&(p, i)).unwrap_or(Process(0));
        free.push(process);
        let outcome = match &op.reply {
            Some(reply) => Outcome::Ok(S::reply(reply)),
            None => Outcome::Info(Error::new("timeout")),
        };
        sink(Event::Complete { time, process, call, outcome, server: None })?;
    }
    Ok(())
}

/// Writes our JSONL.
pub fn write(drawn: &Drawn, path: &std::path::Path, name: &str, seed: u64) -> anyhow::Result<()> {
    let header = Header {
        schism: SCHEMA,
        tool: env!("CARGO_PKG_VERSION").into(),
        run: name.into(),
        seed,
        clock: "logical".into(),
        nodes: Vec::new(),
        more: serde_json::Map::new(),
    };
    let mut writer = Writer::new(std::io::BufWriter::new(std::fs::File::create(path)?), &header)?;
    each!(drawn, _spec, parts => each_event(parts, |event| writer.event(&event).map(drop)))?;
    std::io::Write::flush(&mut writer.finish()?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkers::linearizable::{Visit, visit};

    #[test]
    fn names_read_back() {
        for name in ["register:unique:c10:n10k", "queue:c10:n1M", "pq:c3:m5:n1k:stale", "set:c10:n2k:e30"] {
            assert_eq!(Family::parse(name).unwrap().to_string(), name);
        }
        for bad in ["", "heap:c1", "queue:x", "stack:c0", "queue:c1:e5", "set:5"] {
            assert!(Family::parse(bad).is_err(), "{bad}");
        }
    }

    struct Count;

    impl Visit for Count {
        type Out = (usize, usize, usize);
        fn visit<S: Bind>(self, _: &S, parts: &[Vec<Timed<S>>]) -> Self::Out {
            let all = || parts.iter().flatten();
            (
                parts.iter().filter(|p| !p.is_empty()).count(),
                all().count(),
                all().filter(|o| o.is_ok()).count(),
            )
        }
    }

    /// What is recorded is what was drawn.
    #[test]
    fn events_are_read_as_the_ops_they_were() {
        for name in [
            "register:5:c5:m10:n500",
            "cas:5:refused:c5:n500",
            "queue:c5:n500",
            "stack:c5:n500",
            "pq:c5:n500",
            "set:c5:n500",
        ] {
            let family = Family::parse(name).unwrap();
            let drawn = family.draw(1, if name.starts_with("set") { 1 } else { 4 }).unwrap();
            let (events, count) = each!(&drawn, spec, parts => (events(parts), Count.visit(spec, parts)));
            let history = history::History::from_events(&events).unwrap();
            assert_eq!(visit(family.object(), &history, Count), Ok(count), "{name}");
        }
    }
}
