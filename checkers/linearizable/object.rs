//! The objects by name: what each is called, what its calls are, and which one a history is of.
//!
//! Not here: what an object does (`objects.rs` and a file for each larger one), how recorded ops become its calls
//! (`bind.rs`).

use history::History;

/// What the keys hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// Found out from the calls.
    Auto,
    /// Registers with or without compare-and-set.
    Register,
    CasRegister,
    Counter,
    List,
    Queue,
    Stack,
    PriorityQueue,
    Mutex,
    /// By element where nobody reads a whole set, else whole.
    Set,
    /// Several registers in one call; all hold this number at first, nil if there is none.
    MultiRegister(Option<i64>),
    MaxRegister,
    /// How often one owner may acquire; `None`: any number of times.
    ReentrantLock(Option<u32>),
    FencedLock,
    /// How many permits there are.
    Semaphore(u32),
    VersionedKv,
    UniqueIds,
    /// A text that is put, appended to and read, by key.
    Kv,
}

impl Object {
    pub const ALL: [Object; 18] = [
        Object::Auto,
        Object::Register,
        Object::CasRegister,
        Object::Counter,
        Object::List,
        Object::Queue,
        Object::Stack,
        Object::PriorityQueue,
        Object::Mutex,
        Object::Set,
        Object::MultiRegister(None),
        Object::MaxRegister,
        Object::ReentrantLock(None),
        Object::FencedLock,
        Object::Semaphore(1),
        Object::VersionedKv,
        Object::UniqueIds,
        Object::Kv,
    ];

    /// The flag's word.
    pub fn name(self) -> &'static str {
        match self {
            Object::Auto => "auto",
            Object::Register => "register",
            Object::CasRegister => "cas-register",
            Object::Counter => "counter",
            Object::List => "list",
            Object::Queue => "queue",
            Object::Stack => "stack",
            Object::PriorityQueue => "priority-queue",
            Object::Mutex => "mutex",
            Object::Set => "set",
            Object::MultiRegister(_) => "multi-register",
            Object::MaxRegister => "max-register",
            Object::ReentrantLock(_) => "reentrant-lock",
            Object::FencedLock => "fenced-lock",
            Object::Semaphore(_) => "semaphore",
            Object::VersionedKv => "versioned-kv",
            Object::UniqueIds => "unique-ids",
            Object::Kv => "kv",
        }
    }

    /// One sentence: what it does.
    pub fn about(self) -> &'static str {
        match self {
            Object::Auto => "Found out from the calls.",
            Object::Register => "A value that is read and written.",
            Object::CasRegister => "A register with compare-and-set; a refused cas is evidence.",
            Object::Counter => "Amounts of either sign are added; a read returns the sum.",
            Object::List => "Elements are appended; a read returns all of them in order.",
            Object::Queue => "First in, first out; nil from an empty one.",
            Object::Stack => "Last in, first out; nil from an empty one.",
            Object::PriorityQueue => "The largest number leaves first; nil from an empty one.",
            Object::Mutex => "A lock that one process holds at a time.",
            Object::Set => {
                "Elements are added and removed; asked for one by one, or read whole. An answer of true means that the element was inside before the call."
            }
            Object::MultiRegister(_) => {
                "Registers read and written several at a time by transactions; `:N` is what all hold at first."
            }
            Object::MaxRegister => "A read returns the largest number written so far.",
            Object::ReentrantLock(_) => "A lock that its holder may take again; `:N` is how often.",
            Object::FencedLock => "A lock whose every grant brings a larger token.",
            Object::Semaphore(_) => "Permits to acquire and release; `:N` is how many there are.",
            Object::VersionedKv => {
                "A value with a revision, as in etcd: put, delete, and both on condition of a revision."
            }
            Object::UniqueIds => "No id is given twice.",
            Object::Kv => "A text that is put, appended to and read.",
        }
    }

    /// The calls that it has; its module says what they take and answer.
    pub fn calls(self) -> &'static [&'static str] {
        match self {
            Object::Auto => &[],
            Object::Register => &["read", "write", "cas"],
            Object::CasRegister => &["read", "write", "cas"],
            Object::Counter => &["add", "read"],
            Object::List => &["append", "read"],
            Object::Queue => &["enqueue", "dequeue"],
            Object::Stack => &["push", "pop"],
            Object::PriorityQueue => &["add", "poll"],
            Object::Mutex => &["acquire", "release"],
            Object::Set => &["add", "remove", "contains", "has", "read"],
            Object::MultiRegister(_) => &["txn", "read", "write"],
            Object::MaxRegister => &["read", "write"],
            Object::ReentrantLock(_) => &["acquire", "release"],
            Object::FencedLock => &["acquire", "release"],
            Object::Semaphore(_) => &["acquire", "release"],
            Object::VersionedKv => &["read", "write", "cas", "put", "delete", "etcd-txn"],
            Object::UniqueIds => &["generate"],
            Object::Kv => &["read", "write", "append"],
        }
    }

    /// From the flag's word, with its parameter behind a colon where it takes one: `semaphore:3` (permits, 1 unless
    /// said), `reentrant-lock:2` (acquires of one owner, unbounded unless said), `multi-register:0` (the number that
    /// registers hold at first, nil unless said). The error says what was expected.
    pub fn named(text: &str) -> Result<Object, String> {
        let (name, parameter) = match text.split_once(':') {
            Some((name, parameter)) => (name, Some(parameter)),
            None => (text, None),
        };
        let object = Object::ALL.into_iter().find(|o| o.name() == name);
        let object = object.ok_or_else(|| format!("there is no object {name:?}"))?;
        let Some(parameter) = parameter else { return Ok(object) };
        let count = || match parameter.parse() {
            Ok(n @ 1..) => Ok(n),
            _ => Err(format!("{name} takes a whole number from 1, not {parameter:?}")),
        };
        Ok(match object {
            Object::Semaphore(_) => Object::Semaphore(count()?),
            Object::ReentrantLock(_) => Object::ReentrantLock(Some(count()?)),
            Object::MultiRegister(_) => Object::MultiRegister(Some(
                parameter.parse().map_err(|_| format!("{name} takes a whole number, not {parameter:?}"))?,
            )),
            _ => return Err(format!("{name} takes no parameter")),
        })
    }

    /// The object whose calls a history has; `None` where the calls fit no object or several.
    pub fn guess(history: &History) -> Option<Object> {
        let has = |names: &[&str]| history.ops().any(|op| names.contains(&op.f()));
        let polls = has(&["poll"]);
        let found: Vec<Object> = [
            (Object::CasRegister, has(&["cas", "write"])),
            (Object::List, has(&["append"])),
            (Object::Queue, has(&["enqueue", "dequeue"])),
            (Object::Stack, has(&["push", "pop"])),
            (Object::PriorityQueue, polls),
            (Object::Mutex, has(&["acquire", "release"])),
            (if sums(history) { Object::Counter } else { Object::Set }, has(&["add", "remove"]) && !polls),
        ]
        .into_iter()
        .filter_map(|(object, there)| there.then_some(object))
        .collect();
        match found.as_slice() {
            [one] => Some(*one),
            [] if has(&["read"]) => Some(Object::Register),
            _ => None,
        }
    }
}

/// Reads return numbers, not lists of elements.
fn sums(history: &History) -> bool {
    let mut reads =
        history.ops().filter(|op| op.f() == "read").filter_map(|op| op.read()).filter(|v| !v.is_null());
    reads.next().is_some_and(|v| history.values().int(v).is_some())
}
