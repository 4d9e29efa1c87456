//! Is there an order of the ops that respects real time and that the object could have produced?
//!
//! The parts, each usable alone: [`spec`] (what an object does), [`objects`] (the ones we know), [`engine`]
//! (decide one partition), [`replay`], [`oracle`] and [`reference`] (check the answer), [`explain`] (say why not).
//! Keys are judged apart and in parallel (linearizability is local); the answer is the same at any thread count.

pub mod arena;
pub mod bind;
pub mod bounds;
pub mod collection_tales;
pub mod collections;
pub mod dfs;
pub mod element;
pub mod engine;
pub mod explain;
pub mod families;
pub mod families_collections;
pub mod families_kv;
pub mod families_set;
pub mod fenced;
pub mod frontier;
pub mod hash;
pub mod holds;
pub mod increments;
pub mod initial;
mod late_start;
pub mod lazy;
pub mod levels;
pub mod max_register;
pub mod memo;
pub mod multi_register;
pub mod mutex;
pub mod object;
pub mod objects;
pub mod oracle;
pub mod peel;
pub mod preprocess;
pub mod priority_queue;
pub mod queue;
pub mod reentrant;
pub mod reference;
pub mod register;
pub mod replay;
mod retreat;
pub mod screen;
pub mod segments;
pub mod semaphore;
pub mod shrink;
pub mod spec;
pub mod stack;
pub mod stale;
pub mod story;
pub mod table;
pub mod tales;
pub mod text_kv;
pub mod unique_ids;
pub mod versioned;
pub mod weaker;

pub use object::Object;

use crate::verdict::{Counterexample, Findings, Model, Reason, Verdict, Why, Witness};
use crate::{Budget, Checker};
use bind::Bind;
use dfs::Limits;
use engine::Answer;
use explain::{Part, explain};
use fenced::FencedLock;
use history::{History, Op, OpId, ReplyId, Value, ValueId};
use max_register::MaxRegister;
use multi_register::MultiRegister;
use objects::{Counter, Element, List, Mutex, Queue, Register, WholeSet};
use priority_queue::PriorityQueue;
use rayon::prelude::*;
use reentrant::ReentrantLock;
use semaphore::Semaphore;
use spec::{OPEN, Timed};
use stack::Stack;
use std::collections::BTreeMap;
use text_kv::Text;
use unique_ids::UniqueIds;
use versioned::VersionedKv;

/// The checker. Valid with a witness for each key, or invalid with a counterexample for each key that has none.
#[derive(Clone, Copy, Debug)]
pub struct Linearizable {
    pub object: Object,
}

impl Linearizable {
    pub const fn of(object: Object) -> Linearizable {
        Linearizable { object }
    }
}

/// Counterexamples that one verdict list carries; the number of invalid keys is measured in full.
const MOST_SHOWN: usize = 8;

impl Checker for Linearizable {
    fn name(&self) -> &'static str {
        "linearizable"
    }

    fn about(&self) -> &'static str {
        "Proves or refutes, key by key, that every call took effect at one instant between its invocation and its reply."
    }

    fn blind_to(&self) -> &'static str {
        "It sees only what clients saw: a violation that no read observed, and calls spanning several keys."
    }

    fn check(&self, history: &History, budget: &Budget) -> Findings {
        let object = match self.object {
            Object::Auto => Object::guess(history),
            object => Some(object),
        };
        if let Some(findings) = object.and_then(|o| dispatch(o, history, Judge { history, budget })) {
            return findings;
        }
        let says = "the calls of this history fit no single object; name one";
        let verdict = match history.is_empty() {
            true => Verdict::valid("linearizable", "there is no call to order"),
            false => Verdict::unknown(Why::Unsupported("mixed calls".into()), says),
        };
        Findings::new(self.name()).with(Model::Linearizable, verdict)
    }
}

/// What is done with a history once its object and its partitions are known.
trait Job {
    type Out;
    fn run<P: Split>(self, split: &P) -> Self::Out;
}

/// `None`: the object is not said.
fn dispatch<J: Job>(object: Object, history: &History, job: J) -> Option<J::Out> {
    Some(match object {
        Object::Register | Object::CasRegister => job.run(&Plain(Register::default())),
        Object::Counter => job.run(&Plain(Counter)),
        Object::List => job.run(&Plain(List)),
        Object::Queue => job.run(&Plain(Queue)),
        Object::Stack => job.run(&Plain(Stack)),
        Object::PriorityQueue => job.run(&Plain(PriorityQueue)),
        Object::Mutex => job.run(&Plain(Mutex)),
        Object::Set if history.ops().any(|op| op.f() == "read") => job.run(&Plain(WholeSet)),
        Object::Set => job.run(&ByElement),
        Object::MultiRegister(init) => {
            let init = init.map_or(Value::Null, Value::Int);
            job.run(&Tied(MultiRegister::of(history, &init)))
        }
        Object::MaxRegister => job.run(&Plain(MaxRegister)),
        Object::ReentrantLock(most) => job.run(&Plain(ReentrantLock { most })),
        Object::FencedLock => job.run(&Plain(FencedLock)),
        Object::Semaphore(permits) => job.run(&Plain(Semaphore { permits })),
        Object::VersionedKv => job.run(&ByEntry(versioned::Keys::of(history))),
        Object::UniqueIds => job.run(&Plain(UniqueIds)),
        Object::Kv => job.run(&Plain(Text)),
        Object::Auto => return None,
    })
}

struct Judge<'a> {
    history: &'a History,
    budget: &'a Budget,
}

impl Job for Judge<'_> {
    type Out = Findings;
    fn run<P: Split>(self, split: &P) -> Findings {
        judge(split, self.history, self.budget)
    }
}

/// Something done with the partitions of a history as the engines see them: what benchmarks are made of.
pub trait Visit {
    type Out;
    fn visit<S: Bind>(self, spec: &S, parts: &[Vec<Timed<S>>]) -> Self::Out;
}

struct Visiting<'a, V> {
    history: &'a History,
    visit: V,
}

impl<V: Visit> Job for Visiting<'_, V> {
    type Out = Result<V::Out, String>;
    fn run<P: Split>(self, split: &P) -> Self::Out {
        let parts: Vec<_> = parts(split, self.history)?.into_iter().map(|p| p.ops).collect();
        Ok(self.visit.visit(split.object(), &parts))
    }
}

/// Hands over the partitions of a history. The error says which call the object does not have.
pub fn visit<V: Visit>(object: Object, history: &History, visit: V) -> Result<V::Out, String> {
    dispatch(object, history, Visiting { history, visit })
        .unwrap_or_else(|| Err("the object is not said".into()))
}

/// How a history is cut into partitions of one object.
trait Split: Sync {
    type Object: Bind;
    fn object(&self) -> &Self::Object;
    /// The partition of an op.
    fn part(&self, op: &Op<'_>) -> (ValueId, ValueId) {
        (op.key(), ValueId::NULL)
    }
    /// What a partition is called.
    fn name(&self, part: (ValueId, ValueId), history: &History) -> Value {
        match (history.value(part.0), history.value(part.1)) {
            (key, Value::Null) => key,
            (Value::Null, element) => element,
            (key, element) => Value::text(&format!("{}[{}]", key.to_plain(), element.to_plain())),
        }
    }
}

struct Plain<O>(O);

impl<O: Bind> Split for Plain<O> {
    type Object = O;
    fn object(&self) -> &O {
        &self.0
    }
}

/// A set whose elements are independent, since nobody reads it whole.
struct ByElement;

impl Split for ByElement {
    type Object = Element;
    fn object(&self) -> &Element {
        &Element
    }
    fn part(&self, op: &Op<'_>) -> (ValueId, ValueId) {
        (op.key(), op.arg())
    }
}

/// Registers that calls tie together: those that no call ties are independent.
struct Tied(MultiRegister);

impl Split for Tied {
    type Object = MultiRegister;
    fn object(&self) -> &MultiRegister {
        &self.0
    }
    fn part(&self, op: &Op<'_>) -> (ValueId, ValueId) {
        (ValueId(self.0.part(op.id)), ValueId::NULL)
    }
    fn name(&self, part: (ValueId, ValueId), _: &History) -> Value {
        self.0.called(part.0.0)
    }
}

/// A store of versioned entries, by the key that a call names wherever it does.
struct ByEntry(versioned::Keys);

impl Split for ByEntry {
    type Object = VersionedKv;
    fn object(&self) -> &VersionedKv {
        &VersionedKv
    }
    fn part(&self, op: &Op<'_>) -> (ValueId, ValueId) {
        (ValueId(self.0.number(op)), ValueId::NULL)
    }
    fn name(&self, part: (ValueId, ValueId), _: &History) -> Value {
        self.0.name(part.0.0)
    }
}

/// What one key came to.
struct Judged {
    verdict: Verdict,
    order: Vec<OpId>,
    by: &'static str,
    /// Why no closed form decided it, of a register.
    why_search: Option<String>,
    steps: u64,
    ops: usize,
    key: Value,
}

/// Judges each key of a history as one such object, whatever model that object stands for.
pub(crate) fn judge_as<O: Bind>(object: O, history: &History, budget: &Budget) -> Findings {
    judge(&Plain(object), history, budget)
}

fn judge<P: Split>(split: &P, history: &History, budget: &Budget) -> Findings {
    let parts = match parts(split, history) {
        Ok(parts) => parts,
        Err(why) => {
            let verdict = Verdict::unknown(Why::Unsupported(why.clone()), why);
            return Findings::new("linearizable").with(Model::Linearizable, verdict);
        }
    };
    let all: usize = parts.iter().map(|p| p.ops.len()).sum();
    let one = |part: &Part<P::Object>| {
        // A fixed share of the memory by size, so that the verdict does not hang on how many run at once.
        let share = (budget.bytes as u128 * part.ops.len() as u128 / all.max(1) as u128) as u64;
        let limits = Limits { steps: budget.steps, bytes: share.max(16 << 20), furthest: false };
        let judged = judge_part(split.object(), part, &limits, history);
        if let Some(meter) = budget.watch {
            meter.finish(part.ops.len() as u64);
        }
        judged
    };
    if let Some(meter) = budget.watch {
        meter.expect(all as u64);
    }
    // Collected in the order of the parts, whoever finished first.
    let judged: Vec<Judged> = parts.par_iter().map(one).collect();
    findings(judged, history)
}

fn parts<P: Split>(split: &P, history: &History) -> Result<Vec<Part<P::Object>>, String> {
    let mut at: BTreeMap<(ValueId, ValueId), usize> = BTreeMap::new();
    let mut parts: Vec<Part<P::Object>> = Vec::new();
    for op in history.ops() {
        let taken = split.object().take(&op, history).map_err(|why| match op.line() {
            Some(line) => format!("line {line}: {why}"),
            None => why,
        })?;
        let Some((call, reply)) = taken else { continue };
        let res = if reply.is_some() { op.res() } else { OPEN };
        let id = split.part(&op);
        let slot = *at.entry(id).or_insert_with(|| {
            let key = split.name(id, history);
            parts.push(Part { key, ops: Vec::new(), ids: Vec::new() });
            parts.len() - 1
        });
        parts[slot].ops.push(Timed { call, reply, inv: op.inv(), res });
        parts[slot].ids.push(op.id);
    }
    Ok(parts)
}

fn judge_part<S: Bind>(spec: &S, part: &Part<S>, limits: &Limits, history: &History) -> Judged {
    let decided = engine::decide_needed(spec, &part.ops, limits);
    let mut order = Vec::new();
    let verdict = match decided.answer {
        Answer::Yes(indices) => {
            order = indices.into_iter().map(|i| part.ids[i]).collect();
            Verdict::Valid(Witness::default())
        }
        Answer::No(_) => match explain(spec, part, decided.by, limits, history) {
            Ok(counterexample) => Verdict::Invalid(Box::new(counterexample)),
            Err(why) => unknown(why, part, decided.settled),
        },
        Answer::Unknown(why) => unknown(why, part, decided.settled),
    };
    Judged {
        verdict,
        order,
        by: decided.by,
        why_search: (S::NOUN == "register" && !matches!(decided.by, "decider" | "sweep"))
            .then(|| why_search(part, &preprocess::needed(spec, &part.ops), history)),
        steps: decided.steps,
        ops: part.ops.len(),
        key: part.key.clone(),
    }
}

/// What the closed form of registers needs and this partition does not have: values written once.
fn why_search<S: Bind>(part: &Part<S>, needed: &[usize], history: &History) -> String {
    let mut first: BTreeMap<ValueId, OpId> = BTreeMap::new();
    for op in needed.iter().map(|i| history.op(part.ids[*i])) {
        let value = match (op.f(), op.cas()) {
            ("write", _) => op.arg(),
            ("cas", Some((old, new))) if old != new && op.reply() != ReplyId::Mismatch => new,
            _ => continue,
        };
        let place = |op: &Op<'_>| match op.line() {
            Some(line) => format!("line {line}"),
            None => format!("op #{}", op.id.0),
        };
        let again = |before: String| {
            let value = history.value(value);
            let subject = match &part.key {
                Value::Null => format!("the {}", S::NOUN),
                key => format!("key {}", key.to_plain()),
            };
            format!(
                "the fast decider needs values written once, but {subject} is given {value} by {before} and again by {}",
                place(&op)
            )
        };
        if value.is_null() {
            return again("its beginning".into());
        }
        if let Some(before) = first.insert(value, op.id) {
            return again(place(&history.op(before)));
        }
    }
    "the fast decider could not place a refused cas".into()
}

fn unknown<S: Bind>(why: Why, part: &Part<S>, settled: u32) -> Verdict {
    let of = part.ops.iter().map(|o| if o.is_ok() { o.res } else { o.inv }).max().unwrap_or(0);
    let settled = settled.min(of);
    let subject = story::subject(Some(&part.key), S::NOUN);
    let reason = match &why {
        Why::Disagreement => {
            "two of our engines disagree about it, which is a bug in this program; please report it"
        }
        Why::Bytes => "the memory budget is spent",
        _ => "the step budget is spent",
    };
    let says = format!(
        "{subject} is undecided: {reason}. Everything that completed before event {settled} of {of} is fine."
    );
    Verdict::Unknown(Reason { why, says, key: (!part.key.is_null()).then(|| part.key.clone()), settled, of })
}

fn findings(judged: Vec<Judged>, history: &History) -> Findings {
    let mut findings = Findings::new("linearizable");
    let mut engines: BTreeMap<&str, u64> = BTreeMap::new();
    judged.iter().for_each(|j| *engines.entry(j.by).or_default() += 1);
    findings.measure("keys", judged.len());
    findings.measure("ops", judged.iter().map(|j| j.ops).sum::<usize>());
    findings.measure("largest_key", judged.iter().map(|j| j.ops).max().unwrap_or(0));
    findings.measure("steps", judged.iter().map(|j| j.steps).sum::<u64>());
    findings.measure("engines", serde_json::json!(engines));
    findings.measure("invalid_keys", judged.iter().filter(|j| j.verdict.is_invalid()).count());
    let searched: Vec<&String> = judged.iter().filter_map(|j| j.why_search.as_ref()).collect();
    if let Some(why) = searched.first() {
        findings.measure("why_search", serde_json::json!([{"keys": searched.len(), "why": why}]));
    }
    let steps = judged.iter().map(|j| j.steps).sum();
    let by: Vec<&str> = engines.keys().copied().collect();
    let (mut parts, mut bad) = (Vec::new(), Vec::new());
    for j in judged {
        match j.verdict {
            Verdict::Valid(_) => parts.push((j.key, j.order)),
            verdict => bad.push(verdict),
        }
    }
    if bad.is_empty() {
        let says = match parts.len() {
            1 => "an order of all its calls was found and replayed".to_string(),
            n => format!("an order was found and replayed for each of {n} keys"),
        };
        let witness = Witness { parts, by: by.join(", "), steps, says };
        return findings.with(Model::Linearizable, Verdict::Valid(witness));
    }
    bad.sort_by_key(|v| (std::cmp::Reverse(v.rank()), when(v, history)));
    bad.truncate(MOST_SHOWN);
    findings.per_model = bad.into_iter().map(|v| (Model::Linearizable, v)).collect();
    findings
}

fn when(verdict: &Verdict, history: &History) -> u32 {
    let first = |c: &Counterexample| c.first_bad.map(|id| history.op(id).res());
    match verdict {
        Verdict::Invalid(c) => first(c).unwrap_or(u32::MAX),
        _ => u32::MAX,
    }
}
