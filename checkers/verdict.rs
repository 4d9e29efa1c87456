//! What a checker answers: verdicts, and the evidence that a reader can follow without trusting the checker.
//!
//! Everything here is plain data with a stable JSON form; rendering is elsewhere.

use history::{OpId, Value};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a history may satisfy. The name is the flag's and the report's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Model {
    Linearizable,
    Sequential,
    /// Reads at most one write old (k = 2).
    TwoAtomic,
    /// No read is older than some Δ, which is found.
    DeltaAtomic,
    Regular,
    Safe,
    /// Acknowledged set elements are found again.
    Set,
    /// Every counter read lies between what must and what may have been added.
    CounterBounds,
    /// All reads of a list are prefixes of one list.
    Prefixes,
    /// No two clients hold a lock at once.
    MutualExclusion,
    /// At most one leader in a term.
    LeaderPerTerm,
    /// No panic, failed assertion or corruption in the nodes' logs.
    CleanLogs,
    /// Enough was asked and answered, before, during and after each strike.
    Evidence,
    /// Calls are answered again after each strike.
    Availability,
}

impl Model {
    pub const ALL: [Model; 14] = [
        Model::Linearizable,
        Model::Sequential,
        Model::TwoAtomic,
        Model::DeltaAtomic,
        Model::Regular,
        Model::Safe,
        Model::Set,
        Model::CounterBounds,
        Model::Prefixes,
        Model::MutualExclusion,
        Model::LeaderPerTerm,
        Model::CleanLogs,
        Model::Evidence,
        Model::Availability,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Model::Linearizable => "linearizable",
            Model::Sequential => "sequential",
            Model::TwoAtomic => "2-atomic",
            Model::DeltaAtomic => "delta-atomic",
            Model::Regular => "regular",
            Model::Safe => "safe",
            Model::Set => "set",
            Model::CounterBounds => "counter-bounds",
            Model::Prefixes => "prefixes",
            Model::MutualExclusion => "mutual-exclusion",
            Model::LeaderPerTerm => "leader-per-term",
            Model::CleanLogs => "clean-logs",
            Model::Evidence => "evidence",
            Model::Availability => "availability",
        }
    }
}

impl Model {
    /// One sentence: what holds of a history that satisfies it.
    pub fn about(self) -> &'static str {
        match self {
            Model::Linearizable => {
                "Every call takes effect at one instant between its invocation and its reply."
            }
            Model::Sequential => {
                "One order of all calls explains every reply and keeps each client's own order."
            }
            Model::TwoAtomic => "Each read returns one of the two latest values of some linearization.",
            Model::DeltaAtomic => {
                "Linearizable once each read may have begun a time Δ earlier; the smallest Δ is how stale reads are."
            }
            Model::Regular => "Each read, alone, returns the last write before it or one that overlaps it.",
            Model::Safe => "A read that overlaps no write returns the last one before it.",
            Model::Set => "Acknowledged elements are found again, once, and nothing else is.",
            Model::CounterBounds => "Each read lies between what must and what may have been added.",
            Model::Prefixes => "All reads of a list are prefixes of one list that lost nothing.",
            Model::MutualExclusion => "No two clients hold the lock at the same time.",
            Model::LeaderPerTerm => "At most one node leads in a term.",
            Model::CleanLogs => "The nodes' logs show no panic, failed assertion or corruption.",
            Model::Evidence => "Enough was asked and answered, before, during and after each strike.",
            Model::Availability => "Calls are answered again after each strike.",
        }
    }
}

/// Which model implies which, for the same history: the first of each pair holds only where the second does.
const STRONGER: [(Model, Model); 5] = [
    (Model::Linearizable, Model::Sequential),
    (Model::Linearizable, Model::TwoAtomic),
    (Model::Linearizable, Model::DeltaAtomic),
    (Model::Linearizable, Model::Regular),
    (Model::Regular, Model::Safe),
];

impl Model {
    /// What a history that satisfies `self` satisfies too. A model does not count as implying itself.
    pub fn implies(self, other: Model) -> bool {
        STRONGER.iter().any(|(a, b)| *a == self && (*b == other || b.implies(other)))
    }

    /// Linearizability and the models around it, strongest first: what `--model` takes.
    pub const AROUND: [Model; 6] = [
        Model::Linearizable,
        Model::Sequential,
        Model::TwoAtomic,
        Model::DeltaAtomic,
        Model::Regular,
        Model::Safe,
    ];
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much a check may cost. Counted, not timed, so that the answer is the same on any machine.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Configurations expanded plus `Spec::step` calls, for each partition.
    pub steps: u64,
    /// Bytes of memo and frontiers, shared out over partitions by a fixed rule.
    pub bytes: u64,
    /// Counts along for whoever watches; changes nothing.
    pub watch: Option<&'static Meter>,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { steps: 200_000_000, bytes: 2 << 30, watch: None }
    }
}

/// How far a long check has got, in ops: read by one thread while others count.
#[derive(Debug, Default)]
pub struct Meter {
    done: AtomicU64,
    total: AtomicU64,
}

impl Meter {
    pub const fn new() -> Meter {
        Meter { done: AtomicU64::new(0), total: AtomicU64::new(0) }
    }

    /// So many more ops are to be judged.
    pub fn expect(&self, ops: u64) {
        self.total.fetch_add(ops, Ordering::Relaxed);
    }

    /// So many more have been.
    pub fn finish(&self, ops: u64) {
        self.done.fetch_add(ops, Ordering::Relaxed);
    }

    /// Done, and of how many.
    pub fn read(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    pub fn reset(&self) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(0, Ordering::Relaxed);
    }
}

/// Why nothing could be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The step budget is spent.
    Steps,
    /// The memory budget is spent.
    Bytes,
    /// More calls open at once than the engine takes.
    Window,
    Unsupported(String),
    /// Two engines gave opposite definite answers: a bug of ours.
    Disagreement,
    /// The evidence is below the stated minimum.
    Vacuous,
    /// The record ends without its footer.
    Truncated,
    /// A requested fault never took effect.
    NoEffect,
    /// A node died that nobody had struck.
    NodeDied,
    Panic(String),
}

impl Why {
    pub fn word(&self) -> &'static str {
        match self {
            Why::Steps => "steps",
            Why::Bytes => "memory",
            Why::Window => "window",
            Why::Unsupported(_) => "unsupported",
            Why::Disagreement => "disagreement",
            Why::Vacuous => "vacuous",
            Why::Truncated => "truncated",
            Why::NoEffect => "no effect",
            Why::NodeDied => "node died",
            Why::Panic(_) => "panic",
        }
    }
}

/// An unknown verdict, with how far it got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub why: Why,
    /// One or more sentences for the reader.
    pub says: String,
    pub key: Option<Value>,
    /// Known to be fine up to this event position, of `of`.
    pub settled: u32,
    pub of: u32,
}

impl Reason {
    pub fn new(why: Why, says: impl Into<String>) -> Reason {
        Reason { why, says: says.into(), key: None, settled: 0, of: 0 }
    }
}

/// Why a valid verdict may be believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// An order of ops for each partition that replays; empty where the proof is no order.
    pub parts: Vec<(Value, Vec<OpId>)>,
    /// The decider or engine that found it.
    pub by: String,
    pub steps: u64,
    pub says: String,
}

/// An op that cannot come next in a partial order, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    pub op: OpId,
    /// `needs 3, state is 5`.
    pub says: String,
}

/// One of the orders that got furthest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    pub order: Vec<OpId>,
    /// The state after each op of the order.
    pub states: Vec<String>,
    pub stuck: Vec<Stuck>,
}

/// Why one op must precede another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub from: OpId,
    pub to: OpId,
    /// Real time (solid) or a value seen (dotted).
    pub real_time: bool,
    pub says: String,
}

/// Ops that contradict the model, and the story of how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counterexample {
    pub key: Option<Value>,
    /// `stale read`, `lost update`, …; `no order exists` when no pattern fits.
    pub pattern: String,
    /// In order of invocation.
    pub core: Vec<OpId>,
    /// Kept only as possibly-happened: their reply and deadline were not needed.
    pub demoted: Vec<OpId>,
    /// The op at whose completion nothing was left.
    pub first_bad: Option<OpId>,
    pub reached: Vec<Partial>,
    pub edges: Vec<Edge>,
    /// The diagnosis in one sentence, then the sentences that prove it.
    pub words: Vec<String>,
    /// A line that stands for many ops ("all 83 writes of 3 completed before #1912").
    pub groups: Vec<String>,
    pub by: String,
}

/// Ordered so that the worst of many is their maximum: valid, unknown, invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Valid(Witness),
    Unknown(Reason),
    Invalid(Box<Counterexample>),
}

impl Verdict {
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Valid(_) => "valid",
            Verdict::Unknown(_) => "unknown",
            Verdict::Invalid(_) => "invalid",
        }
    }

    /// 0, 1, 2 from best to worst; not the exit code.
    pub fn rank(&self) -> u8 {
        match self {
            Verdict::Valid(_) => 0,
            Verdict::Unknown(_) => 1,
            Verdict::Invalid(_) => 2,
        }
    }

    pub fn is_valid(&self) -> bool {
        self.rank() == 0
    }

    pub fn is_invalid(&self) -> bool {
        self.rank() == 2
    }

    pub fn valid(by: &str, says: impl Into<String>) -> Verdict {
        Verdict::Valid(Witness { by: by.into(), says: says.into(), ..Witness::default() })
    }

    pub fn unknown(why: Why, says: impl Into<String>) -> Verdict {
        Verdict::Unknown(Reason::new(why, says))
    }

    /// The worse of the two; the first where both are equally bad.
    pub fn worst(self, other: Verdict) -> Verdict {
        if other.rank() > self.rank() { other } else { self }
    }
}

/// Something worth the reader's eye that is not in itself the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// `lost element`, `stale element`, `future read`, …
    pub kind: String,
    pub key: Option<Value>,
    pub ops: Vec<OpId>,
    pub says: String,
}

/// All that one checker has to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    pub checker: String,
    pub per_model: Vec<(Model, Verdict)>,
    pub anomalies: Vec<Anomaly>,
    /// Numbers for the report and for scripts, by name.
    pub measured: BTreeMap<String, Json>,
}

impl Findings {
    pub fn new(checker: &str) -> Findings {
        Findings {
            checker: checker.into(),
            per_model: Vec::new(),
            anomalies: Vec::new(),
            measured: BTreeMap::new(),
        }
    }

    pub fn with(mut self, model: Model, verdict: Verdict) -> Findings {
        self.per_model.push((model, verdict));
        self
    }

    pub fn measure(&mut self, name: &str, value: impl Into<Json>) {
        self.measured.insert(name.into(), value.into());
    }

    /// The worst of its models; `None` for a checker that only measures.
    pub fn worst(&self) -> Option<&Verdict> {
        // `max_by_key` keeps the last of equals; the first is the one that was asked for.
        self.per_model.iter().map(|(_, v)| v).rev().max_by_key(|v| v.rank())
    }

    pub fn to_json(&self) -> Json {
        json!({
            "checker": self.checker,
            "verdict": self.worst().map(Verdict::word),
            "models": self.per_model.iter().map(|(m, v)| json!({"model": m.name(), "verdict": v.to_json()})).collect::<Vec<_>>(),
            "anomalies": self.anomalies.iter().map(Anomaly::to_json).collect::<Vec<_>>(),
            "measured": self.measured,
        })
    }
}

fn ids(ops: &[OpId]) -> Vec<u32> {
    ops.iter().map(|o| o.0).collect()
}

impl Anomaly {
    pub fn to_json(&self) -> Json {
        json!({"kind": self.kind, "key": self.key.as_ref().map(Value::to_json), "ops": ids(&self.ops), "says": self.says})
    }
}

impl Verdict {
    /// The stable JSON form; a witness lists its size, not its order (that is the certificate's job).
    pub fn to_json(&self) -> Json {
        match self {
            Verdict::Valid(w) => json!({"verdict": "valid", "by": w.by, "steps": w.steps, "says": w.says,
                "parts": w.parts.len(), "ordered": w.parts.iter().map(|(_, o)| o.len()).sum::<usize>()}),
            Verdict::Unknown(r) => json!({"verdict": "unknown", "why": r.why.word(), "says": r.says,
                "key": r.key.as_ref().map(Value::to_json), "settled": r.settled, "of": r.of}),
            Verdict::Invalid(c) => json!({"verdict": "invalid", "key": c.key.as_ref().map(Value::to_json),
                "pattern": c.pattern, "core": ids(&c.core), "demoted": ids(&c.demoted),
                "first_bad": c.first_bad.map(|o| o.0), "words": c.words, "groups": c.groups, "by": c.by,
                "edges": c.edges.iter().map(|e| json!({"from": e.from.0, "to": e.to.0, "real_time": e.real_time, "says": e.says})).collect::<Vec<_>>(),
                "reached": c.reached.iter().map(|p| json!({"order": ids(&p.order), "states": p.states,
                    "stuck": p.stuck.iter().map(|s| json!({"op": s.op.0, "says": s.says})).collect::<Vec<_>>()})).collect::<Vec<_>>()}),
        }
    }
}
