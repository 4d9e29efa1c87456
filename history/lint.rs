//! What in a history weakens or breaks a checker's assumptions, each with its consequence.
//!
//! Not a judgement of the system: a history with lints can be valid or invalid. They say how much either is worth.
//! Malformed histories do not get this far: the door of [`crate::Builder`] refuses them.

use crate::event::MicroOp;
use crate::jsonl::{BACKWARDS, GAPS, SHUFFLED};
use crate::record::{Completeness, History, OpId, OutcomeKind, ReplyId, View};
use crate::value::{Value, ValueId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Ops named as examples of a lint.
const EXAMPLES: usize = 10;
/// Open calls of one key beyond which a search is wide.
const WIDE: usize = 64;

/// One finding about the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// A short name, stable over versions: `duplicate-writes`.
    pub name: &'static str,
    /// What was found, in a sentence.
    pub what: String,
    /// How often.
    pub count: u64,
    /// The first ops that show it, at most ten; empty where it is about the whole record.
    pub ops: Vec<OpId>,
    /// What it means for a verdict.
    pub consequence: &'static str,
}

type Rule = fn(&History) -> Option<Lint>;

const RULES: &[Rule] = &[
    truncated,
    imported,
    times_backwards,
    index_gaps,
    altered,
    nothing_ok,
    no_reads,
    only_nil,
    doubtful_fails,
    many_infos,
    unfinished,
    failed_cas,
    unwritten_reads,
    duplicate_writes,
    initial_unread,
    no_times,
    ties,
    sequential,
    wide,
    unknown_calls,
];

/// Every lint that applies, gravest first. Linear in the history, but for the sort of keys.
pub fn lint(history: &History) -> Vec<Lint> {
    RULES.iter().filter_map(|rule| rule(history)).collect()
}

fn found(
    name: &'static str,
    ops: Vec<OpId>,
    what: impl FnOnce(usize) -> String,
    consequence: &'static str,
) -> Option<Lint> {
    let count = ops.len();
    let mut lint = Lint { name, what: String::new(), count: count as u64, ops, consequence };
    lint.ops.truncate(EXAMPLES);
    lint.what = what(count);
    (count > 0).then_some(lint)
}

fn whole(name: &'static str, count: u64, what: String, consequence: &'static str) -> Option<Lint> {
    Some(Lint { name, what, count, ops: Vec::new(), consequence })
}

fn select(history: &History, keep: impl Fn(&View<'_>) -> bool) -> Vec<OpId> {
    history.ops().filter(|op| keep(op)).map(|op| op.id).collect()
}

fn percent(part: usize, of: usize) -> usize {
    (part * 100).checked_div(of).unwrap_or(0)
}

fn truncated(history: &History) -> Option<Lint> {
    let Completeness::Truncated { lines } = history.completeness else { return None };
    whole(
        "truncated",
        1,
        format!("the record breaks off after line {lines}"),
        "what came later is not known: no violation up to there proves nothing about the run, so valid becomes unknown",
    )
}

/// What a reader had to do, where it ends in one of these words, or in none of those that have rules of their own.
fn notes(history: &History, endings: &[&str], other: bool) -> Vec<String> {
    const RULED: [&str; 3] = [BACKWARDS, SHUFFLED, GAPS];
    let texts = history.notes().iter().filter(|n| &*n.f == "import").map(|n| n.value.to_plain());
    let ends = |text: &str, endings: &[&str]| endings.iter().any(|e| text.ends_with(e));
    texts.filter(|text| if other { !ends(text, &RULED) } else { ends(text, endings) }).collect()
}

fn noted(name: &'static str, notes: Vec<String>, consequence: &'static str) -> Option<Lint> {
    (!notes.is_empty()).then_some(())?;
    whole(name, notes.len() as u64, notes.join("; "), consequence)
}

fn imported(history: &History) -> Option<Lint> {
    noted(
        "import",
        notes(history, &[], true),
        "the reader bent the file to fit: check that it read what you meant",
    )
}

fn times_backwards(history: &History) -> Option<Lint> {
    noted(
        "non-monotonic-times",
        notes(history, &[BACKWARDS], false),
        "the stamps are not of one monotonic clock: if the lines are not in the order of events either, every checker of real time (linearizable, regular, lock, leader) invents violations; availability is placed wrongly",
    )
}

fn index_gaps(history: &History) -> Option<Lint> {
    noted(
        "index-gaps",
        notes(history, &[SHUFFLED, GAPS], false),
        "right for the excerpt of one key; else events are missing or moved: a lost write makes every checker blame the reads that saw it, a lost read hides what it saw",
    )
}

fn altered(history: &History) -> Option<Lint> {
    found(
        "altered-values",
        history.altered().to_vec(),
        |n| format!("{n} completions repeat another argument than their invocation has"),
        "that of the invocation is judged by every checker: if the other was stored, reads of it are blamed",
    )
}

fn nothing_ok(history: &History) -> Option<Lint> {
    if history.ops().any(|op| op.is_ok()) {
        return None;
    }
    let what = match history.len() {
        0 => "no op at all".to_string(),
        n => format!("not one of {n} ops is ok"),
    };
    whole("nothing-ok", 1, what, "nothing can be refuted: any system passes")
}

/// Whether an op brought a value back: a read, a dequeue, a txn with reads.
fn brought_back(op: &View<'_>) -> bool {
    match op.f() {
        "txn" => {
            op.is_ok() && op.micro_ops().is_some_and(|ops| ops.iter().any(|m| matches!(m, MicroOp::Read(..))))
        }
        _ => matches!(op.reply(), ReplyId::Read(_) | ReplyId::Mismatch),
    }
}

fn no_reads(history: &History) -> Option<Lint> {
    if !history.ops().any(|op| op.is_ok()) || history.ops().any(|op| brought_back(&op)) {
        return None;
    }
    whole(
        "no-ok-reads",
        1,
        "no ok op brought a value back".into(),
        "writes alone contradict nothing: any system passes",
    )
}

fn only_nil(history: &History) -> Option<Lint> {
    let reads = select(history, |op| op.f() == "read" && op.is_ok());
    let all_nil = reads.iter().all(|id| history.op(*id).read().is_some_and(ValueId::is_null));
    let wrote = history.ops().any(|op| op.is_ok() && matches!(op.f(), "write" | "add" | "append" | "cas"));
    if !all_nil || !wrote {
        return None;
    }
    found(
        "reads-only-nil",
        reads,
        |n| format!("all {n} ok reads returned nil although something was written"),
        "the client may drop the value it read: then every verdict is about the client",
    )
}

/// Words in an error that mean that nobody knows.
const DOUBT: [&str; 9] = [
    "timeout",
    "timed out",
    "timed-out",
    "reset",
    "broken pipe",
    "closed",
    "eof",
    "unavailable",
    "interrupted",
];

fn doubtful_fails(history: &History) -> Option<Lint> {
    let ops = select(history, |op| {
        let fails = op.kind() == OutcomeKind::Fail && !matches!(op.f(), "read");
        fails
            && op.error().is_some_and(|e| {
                let text = e.0.to_lowercase();
                DOUBT.iter().any(|word| text.contains(word))
            })
    });
    found(
        "doubtful-fails",
        ops,
        |n| {
            format!(
                "{n} calls that change something are `fail` with an error that sounds like a timeout or a lost connection"
            )
        },
        "`fail` says that it certainly did not happen: if it did after all, violations are invented; such calls are `info`",
    )
}

fn many_infos(history: &History) -> Option<Lint> {
    let infos = select(history, |op| op.kind() == OutcomeKind::Info);
    let all = history.len();
    if percent(infos.len(), all) <= 10 {
        return None;
    }
    found(
        "many-infos",
        infos,
        |n| format!("{n} of {all} ops ({} %) are info", percent(n, all)),
        "each stays possible for ever, with no bound on when: the search of registers and queues grows with every one, and a value, element or lock that they explain can no longer be refuted",
    )
}

fn unfinished(history: &History) -> Option<Lint> {
    let ops = select(history, |op| op.kind() == OutcomeKind::Info && op.gave_up().is_none());
    found(
        "unfinished",
        ops,
        |n| format!("{n} calls have no completion at all, not even an info"),
        "they count as info: what they write may appear at any later time in a register, set, list or queue, and a lock they ask for may be held for ever",
    )
}

fn failed_cas(history: &History) -> Option<Lint> {
    let ops = select(history, |op| op.f() == "cas" && op.kind() == OutcomeKind::Fail);
    found(
        "failed-cas",
        ops,
        |n| format!("{n} cas are `fail` without saying that the comparison was refused"),
        "they count as never having happened; with `--cas-fail mismatch` each is evidence that the value was another",
    )
}

/// Values that were written, by key, whatever became of the call.
fn written(history: &History) -> HashMap<ValueId, HashSet<ValueId>> {
    let mut written: HashMap<ValueId, HashSet<ValueId>> = HashMap::new();
    for op in history.ops() {
        let value = match op.f() {
            "write" => op.arg(),
            "cas" => op.cas().map_or(ValueId::NULL, |(_, new)| new),
            _ => continue,
        };
        written.entry(op.key()).or_default().insert(value);
    }
    written
}

fn unwritten_reads(history: &History) -> Option<Lint> {
    let written = written(history);
    let ops = select(history, |op| {
        let read = op.read().filter(|v| op.f() == "read" && !v.is_null());
        read.zip(written.get(&op.key())).is_some_and(|(value, written)| !written.contains(&value))
    });
    found(
        "unwritten-reads",
        ops,
        |n| format!("{n} reads returned a value that no write or cas of that key has"),
        "either the system made it up, or the object did not begin at nil, as every object is judged to",
    )
}

fn duplicate_writes(history: &History) -> Option<Lint> {
    let mut seen: HashSet<(Value, Value)> = HashSet::new();
    let mut ops = Vec::new();
    for op in history.ops().filter(|op| op.kind() != OutcomeKind::Fail) {
        let again = match op.f() {
            "write" | "append" | "enqueue" => {
                !seen.insert((history.value(op.key()), history.value(op.arg())))
            }
            "txn" => op.micro_ops().unwrap_or_default().into_iter().fold(false, |again, m| match m {
                MicroOp::Write(k, v) | MicroOp::Append(k, v) => !seen.insert((k, v)) | again,
                MicroOp::Read(..) => again,
            }),
            _ => false,
        };
        if again {
            ops.push(op.id);
        }
    }
    found(
        "duplicate-writes",
        ops,
        |n| format!("{n} ops write a value that their key was given before"),
        "which write a read saw cannot be told: registers need a search, transactions lose edges, queues and lists lose duplicates",
    )
}

fn initial_unread(history: &History) -> Option<Lint> {
    let mut registers: BTreeSet<ValueId> = BTreeSet::new();
    let mut read: BTreeSet<ValueId> = BTreeSet::new();
    for op in history.ops() {
        match op.f() {
            "write" | "cas" => drop(registers.insert(op.key())),
            "read" if op.read().is_some_and(ValueId::is_null) => drop(read.insert(op.key())),
            _ => {}
        }
    }
    let (unread, all) = (registers.difference(&read).count(), registers.len());
    if unread == 0 {
        return None;
    }
    whole(
        "initial-unread",
        unread as u64,
        format!("{unread} of {all} registers were never read as nil"),
        "the record has no initial value: that they began at nil is an assumption, and a history that began in mid-run makes linearizable and regular blame the system for it",
    )
}

fn no_times(history: &History) -> Option<Lint> {
    if history.end() > 0 || history.is_empty() {
        return None;
    }
    whole(
        "no-times",
        history.events() as u64,
        "no event has a time".into(),
        "position in the file is the order, which is enough for verdicts; availability and faults cannot be placed in time",
    )
}

fn ties(history: &History) -> Option<Lint> {
    let (ties, events) = (history.ties(), history.events() as u64);
    if history.end() == 0 || ties * 100 <= events {
        return None;
    }
    whole(
        "ties",
        ties,
        format!("{ties} of {events} events have the time of the event before"),
        match history.ties_are_concurrent() {
            true => {
                "they are taken as concurrent whatever the order of their lines: nothing is invented, but violations between them are not seen"
            }
            false => "their order is that of the record, which was numbered as things happened",
        },
    )
}

/// Open calls at once: the most over all keys, info excluded; the most of one key, info included, with its op.
fn concurrency(history: &History) -> (usize, usize, Option<OpId>) {
    let mut edges: Vec<(u32, bool, OpId)> = Vec::with_capacity(history.len() * 2);
    for op in history.ops().filter(|op| op.kind() != OutcomeKind::Fail) {
        edges.push((op.inv(), true, op.id));
        if op.res() != u32::MAX {
            edges.push((op.res(), false, op.id));
        }
    }
    edges.sort_unstable_by_key(|(at, ..)| *at);
    let (mut open, mut most) = (0usize, 0);
    let mut keys: BTreeMap<ValueId, usize> = BTreeMap::new();
    let (mut widest, mut shown) = (0, None);
    for (_, begins, id) in edges {
        let op = history.op(id);
        let certain = (op.kind() == OutcomeKind::Ok) as usize;
        let key = keys.entry(op.key()).or_default();
        if begins {
            (open, *key) = (open + certain, *key + 1);
            most = most.max(open);
            if *key > widest {
                (widest, shown) = (*key, Some(id));
            }
        } else {
            (open, *key) = (open - certain, *key - 1);
        }
    }
    (most, widest, shown)
}

fn sequential(history: &History) -> Option<Lint> {
    let oks = history.ops().filter(|op| op.is_ok()).count();
    let (most, ..) = concurrency(history);
    if most >= 2 || oks < 2 {
        return None;
    }
    whole(
        "sequential",
        1,
        "no two answered calls ever overlapped".into(),
        "bugs that need concurrency cannot show; or the recorder flattened it, which invents violations",
    )
}

fn wide(history: &History) -> Option<Lint> {
    let (_, widest, shown) = concurrency(history);
    if widest <= WIDE {
        return None;
    }
    found(
        "wide",
        shown.into_iter().collect(),
        |_| format!("{widest} calls of one key were open at once, abandoned ones included"),
        "the search may exceed its budget and end in unknown: shorter runs or more keys keep it narrow",
    )
}

fn unknown_calls(history: &History) -> Option<Lint> {
    const KNOWN: [&str; 12] = [
        "read", "write", "cas", "add", "remove", "append", "enqueue", "dequeue", "acquire", "release",
        "generate", "txn",
    ];
    let ops = select(history, |op| !KNOWN.contains(&op.f()));
    let names: BTreeSet<&str> = ops.iter().map(|id| history.op(*id).f()).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    found(
        "unknown-calls",
        ops,
        |n| format!("{n} calls have a meaning that no spec here knows: {names}"),
        "they are judged by nothing, and what they changed is missing from what is judged",
    )
}
