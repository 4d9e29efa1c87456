//! A history against linearizability and the models around it: which hold, which are refuted, each with evidence.
//!
//! The answers respect what implies what ([`Model::implies`]): a weaker model that is refuted settles an undecided
//! stronger one, a stronger one that holds settles the weaker, and where two engines contradict each other both answers
//! become *unknown: disagreement*. Not here: how each model is decided (`linearizable`, `sequential`, `atomicity`,
//! `regular`).

use crate::atomicity::{Pair, Staleness, Stamped, staleness};
use crate::linearizable::bind::Bind;
use crate::linearizable::dfs::Limits;
use crate::linearizable::explain::{Part, explain};
use crate::linearizable::initial::{Init, LinearizableFrom};
use crate::linearizable::objects::{Counter, Element, List, Mutex, Queue, Register, RegisterCall, WholeSet};
use crate::linearizable::story::{capital, full, list, span, subject};
use crate::linearizable::{Linearizable, Object, judge_as};
use crate::sequential::{self, Broken, Decided, Registers};
use crate::verdict::{Anomaly, Counterexample, Findings, Model, Reason, Verdict, Why, Witness};
use crate::{Budget, Checker, regular};
use history::{History, OpId, ValueId};
use rayon::prelude::*;

/// Judges a history against each of the models, in the order given.
#[derive(Clone, Debug)]
pub struct Models {
    pub models: Vec<Model>,
    pub object: Object,
    /// Of registers; the other objects begin empty.
    pub init: Init,
}

impl Models {
    /// The models that mean something for an object, strongest first.
    pub fn of(object: Object) -> &'static [Model] {
        match object {
            Object::Register | Object::CasRegister => &Model::AROUND,
            _ => &Model::AROUND[..2],
        }
    }
}

impl Checker for Models {
    fn name(&self) -> &'static str {
        "models"
    }

    fn about(&self) -> &'static str {
        "Says which of the models around linearizability a history satisfies and which it refutes."
    }

    fn blind_to(&self) -> &'static str {
        "It sees only what clients saw, and of staleness only what reads of unique values show."
    }

    fn check(&self, history: &History, budget: &Budget) -> Findings {
        let object = match self.object {
            Object::Auto => Object::guess(history).unwrap_or(Object::Register),
            object => object,
        };
        let linearizable = match object {
            Object::Register | Object::CasRegister => {
                LinearizableFrom { init: self.init.clone() }.check(history, budget)
            }
            object => Linearizable::of(object).check(history, budget),
        };
        let mut findings = Findings::new(self.name());
        findings.measured = linearizable.measured.clone();
        let mut judged: Vec<(Model, Verdict)> = linearizable.per_model;
        let holds = judged.iter().all(|(_, v)| v.is_valid());
        for model in self.models.iter().filter(|m| **m != Model::Linearizable) {
            let verdict = match holds && Model::Linearizable.implies(*model) {
                true => implied(*model, &mut findings),
                false => self.one(*model, object, history, budget, &mut findings),
            };
            judged.push((*model, verdict));
        }
        settle(&mut judged);
        let asked = |m: &Model| judged.iter().filter(|(found, _)| found == m).cloned().collect::<Vec<_>>();
        findings.per_model = self.models.iter().flat_map(asked).collect();
        findings
    }
}

fn implied(model: Model, findings: &mut Findings) -> Verdict {
    if model == Model::DeltaAtomic {
        findings.measure("delta_ns", 0);
        return Verdict::valid("linearizable", "no read was stale: the history is linearizable");
    }
    Verdict::valid("linearizable", "it is linearizable, which is stronger")
}

impl Models {
    fn one(
        &self,
        model: Model,
        object: Object,
        history: &History,
        budget: &Budget,
        findings: &mut Findings,
    ) -> Verdict {
        let register = self.init.register(history);
        let unsupported = |what: &str| {
            let says = format!("{model} is not judged {what}.");
            Verdict::unknown(Why::Unsupported(says.clone()), says)
        };
        match (model, object, register) {
            (Model::Sequential, Object::Register | Object::CasRegister, Some(spec)) => {
                findings.anomalies.extend(from_the_future(&spec, history));
                let rules =
                    Registers { first: spec.init, blind: |call| matches!(call, RegisterCall::Write(_)) };
                sequential(&spec, Some(rules), false, history, budget)
            }
            (Model::Sequential, Object::Counter, _) => sequential(&Counter, None, false, history, budget),
            (Model::Sequential, Object::List, _) => sequential(&List, None, false, history, budget),
            (Model::Sequential, Object::Queue, _) => sequential(&Queue, None, false, history, budget),
            (Model::Sequential, Object::Mutex, _) => sequential(&Mutex, None, false, history, budget),
            (Model::Sequential, Object::Set, _) => match history.ops().any(|op| op.f() == "read") {
                true => sequential(&WholeSet, None, false, history, budget),
                false => sequential(&Element, None, true, history, budget),
            },
            (Model::Regular | Model::Safe, Object::Register | Object::CasRegister, _) => {
                let (regular, safe) = regular::judge(history, &self.init);
                if model == Model::Regular { regular } else { safe }
            }
            (Model::TwoAtomic, Object::Register | Object::CasRegister, Some(spec)) => {
                two_atomic(&spec, history, budget)
            }
            (Model::DeltaAtomic, Object::Register | Object::CasRegister, Some(spec)) => {
                bounded(&spec, history, budget, findings)
            }
            (_, Object::Register | Object::CasRegister, None) => unsupported("from any first value"),
            _ => unsupported("for this object"),
        }
    }
}

/// Brings the answers in line with what implies what.
pub fn settle(judged: &mut [(Model, Verdict)]) {
    let worst = |judged: &[(Model, Verdict)], m: Model| {
        judged.iter().filter(|j| j.0 == m).max_by_key(|j| j.1.rank()).map(|j| j.1.clone())
    };
    let all = Model::AROUND.iter().flat_map(|a| Model::AROUND.iter().map(move |b| (*a, *b)));
    for (strong, weak) in all.filter(|(a, b)| a.implies(*b)) {
        let (Some(stronger), Some(weaker)) = (worst(judged, strong), worst(judged, weak)) else { continue };
        let mut set = |model: Model, verdict: Verdict| {
            judged.iter_mut().filter(|j| j.0 == model).for_each(|j| j.1 = verdict.clone());
        };
        match (&stronger, &weaker) {
            (Verdict::Valid(_), Verdict::Invalid(_)) => {
                let says = format!(
                    "One of our engines says that it is {strong}, another that it is not {weak}, which is a bug in \
                     this program; please report it."
                );
                let verdict = Verdict::unknown(Why::Disagreement, says);
                set(strong, verdict.clone());
                set(weak, verdict);
            }
            (Verdict::Unknown(r), Verdict::Invalid(_)) if r.why != Why::Disagreement => set(strong, weaker),
            (Verdict::Valid(_), Verdict::Unknown(r)) if r.why != Why::Disagreement => {
                set(weak, Verdict::valid("models", format!("it is {strong}, which is stronger")));
            }
            _ => {}
        }
    }
}

/// The strongest models that hold and the weakest that are refuted: no other in the list is beyond them.
pub fn frontier(judged: &[(Model, Verdict)]) -> (Vec<Model>, Vec<Model>) {
    let with = |rank: fn(&Verdict) -> bool| {
        let mut found: Vec<Model> = Vec::new();
        for (model, _) in judged.iter().filter(|(_, v)| rank(v)) {
            if !found.contains(model) {
                found.push(*model);
            }
        }
        found
    };
    let refuted = with(Verdict::is_invalid);
    let mut holds = with(Verdict::is_valid);
    // A key that fails refutes the model whatever the other keys say.
    holds.retain(|m| judged.iter().all(|(found, v)| found != m || v.is_valid()));
    let strongest = holds.iter().copied().filter(|m| !holds.iter().any(|o| o.implies(*m))).collect();
    let weakest = refuted.iter().copied().filter(|m| !refuted.iter().any(|o| m.implies(*o))).collect();
    (strongest, weakest)
}

fn two_atomic(spec: &Register, history: &History, budget: &Budget) -> Verdict {
    let found = judge_as(Pair { init: spec.init }, history, &Budget { watch: None, ..*budget });
    let mut verdict = found.worst().cloned().unwrap_or_else(|| Verdict::valid("models", "there is no call"));
    if let Verdict::Invalid(c) = &mut verdict {
        rename(c, "2-atomic");
    }
    verdict
}

/// The story of a search that found no order, told of another model than linearizability.
fn rename(c: &mut Counterexample, model: &str) {
    if let Some(first) = c.words.first_mut() {
        *first = first.replacen("is not linearizable", &format!("is not {model}"), 1);
    }
}

fn sequential<S: Bind>(
    spec: &S,
    registers: Option<Registers<S>>,
    by_element: bool,
    history: &History,
    budget: &Budget,
) -> Verdict {
    let (ops, ids) = match sequential::collect(spec, by_element, history) {
        Ok(found) => found,
        Err(why) => return Verdict::unknown(Why::Unsupported(why.clone()), why),
    };
    let limits = Limits { steps: budget.steps, bytes: budget.bytes, furthest: false };
    match sequential::decide(spec, &ops, registers, &limits) {
        (Decided::Yes(order), steps) => {
            let says = "one order of all calls that keeps each client's own was found and replayed".into();
            // Not cut by key, so the order has no key.
            let parts = vec![(history::Value::Null, order.into_iter().map(|i| ids[i]).collect())];
            Verdict::Valid(Witness { parts, by: "sequential".into(), steps, says })
        }
        (Decided::Unknown(why), steps) => {
            let spent = match why {
                Why::Disagreement => "the order found does not replay, which is a bug in this program",
                Why::Bytes => "the memory budget is spent",
                _ => "the step budget is spent",
            };
            let says = format!(
                "Whether it is sequentially consistent is undecided: {spent} ({steps} steps). The search is for all \
                 keys and clients at once; fewer keys or clients make it easier."
            );
            Verdict::Unknown(Reason::new(why, says))
        }
        (Decided::No(broken), _) => Verdict::Invalid(Box::new(told(spec, &ops, &ids, broken, history))),
    }
}

fn told<S: Bind>(
    spec: &S,
    ops: &[sequential::Own<S>],
    ids: &[OpId],
    broken: Broken,
    history: &History,
) -> Counterexample {
    let mut core: Vec<OpId> = broken.core.iter().map(|i| ids[*i]).collect();
    core.sort_unstable();
    let keys: std::collections::BTreeSet<ValueId> = core.iter().map(|id| history.op(*id).key()).collect();
    let key = keys.first().filter(|_| keys.len() == 1).map(|k| history.value(*k)).filter(|k| !k.is_null());
    let whom = match keys.len() {
        1 => subject(key.as_ref(), S::NOUN),
        _ => "The history".into(),
    };
    let name = |i: &usize| full(&history.op(ids[*i]), history);
    let value = |i: usize| {
        spec.makes(&ops[i].op)
            .or(spec.sees(&ops[i].op))
            .map(|v| history.value(v).to_string())
            .unwrap_or_default()
    };
    let steps = &broken.steps;
    let (pattern, mut words) = match (steps.as_slice(), broken.core.as_slice()) {
        ([], [only]) => (
            "thin-air read",
            vec![format!(
                "{whom} is not sequentially consistent: {} returned {}, which nobody wrote.",
                name(only),
                value(*only)
            )],
        ),
        ([], _) => (
            "no order exists",
            vec![format!(
                "{whom} is not sequentially consistent: no order of {} of its calls that keeps each client's own \
                 explains what they saw.",
                core.len()
            )],
        ),
        _ => (
            "client order broken",
            vec![format!(
                "{whom} is not sequentially consistent: clients met its values in orders that contradict each other."
            )],
        ),
    };
    for (a, b) in steps.iter().take(4) {
        let mut sentence = format!("{} was about {}, before ", name(a), value(*a));
        sentence += &format!("its {} #{} about {}.", history.op(ids[*b]).f(), ids[*b].0, value(*b));
        words.push(capital(&sentence));
    }
    if core.len() > 1 {
        let names: Vec<String> = core.iter().map(|id| format!("#{}", id.0)).take(24).collect();
        words.push(format!("The calls are {}.", list(&names)));
    }
    let demoted = broken.demoted.iter().map(|i| ids[*i]).collect();
    Counterexample {
        key,
        pattern: pattern.into(),
        core,
        demoted,
        words,
        by: "sequential".into(),
        ..Counterexample::default()
    }
}

/// Reads that ended before anybody had begun to write what they returned: a sequential order may allow them, no reader
/// would.
fn from_the_future(spec: &Register, history: &History) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for (key, ids) in history.by_key() {
        let (ops, ids) = regular::part(&ids, history);
        let mut first: std::collections::HashMap<ValueId, u32> = Default::default();
        for op in &ops {
            if let Some(v) = spec.makes(op) {
                let at = first.entry(v).or_insert(op.inv);
                *at = op.inv.min(*at);
            }
        }
        for (i, op) in ops.iter().enumerate() {
            let Some(v) = spec.sees(op).filter(|v| *v != spec.init) else { continue };
            if first.get(&v).is_some_and(|inv| op.res < *inv) {
                let says = format!(
                    "{} found {}, which nobody had begun to write: no order in time allows it, a sequential one may.",
                    capital(&full(&history.op(ids[i]), history)),
                    history.value(v)
                );
                let key = Some(history.value(key)).filter(|k| !k.is_null());
                found.push(Anomaly { kind: "future read".into(), key, ops: vec![ids[i]], says });
            }
        }
    }
    found
}

/// The largest Δ over all keys.
fn bounded(spec: &Register, history: &History, budget: &Budget, findings: &mut Findings) -> Verdict {
    if history.end() == 0 {
        let says = "How stale reads are cannot be said: the record has no times.";
        return Verdict::unknown(Why::Unsupported("no times".into()), says);
    }
    let limits = Limits { steps: budget.steps, bytes: budget.bytes, furthest: false };
    let judge = |(key, ids): (ValueId, Vec<OpId>)| {
        let (ops, ids) = regular::part(&ids, history);
        let stamp = |(op, id): (_, &OpId)| {
            let view = history.op(*id);
            Stamped { op, invoked: view.invoked(), completed: view.completed().unwrap_or(0) }
        };
        let stamped: Vec<Stamped> = ops.into_iter().zip(&ids).map(stamp).collect();
        (key, staleness(spec, &stamped, &limits), stamped, ids)
    };
    let all: Vec<_> = history.by_key().into_par_iter().map(judge).collect();
    let mut most: (u64, Option<(ValueId, Vec<OpId>)>) = (0, None);
    let mut open = None;
    for (key, found, stamped, ids) in all {
        let key_value = history.value(key);
        match found {
            Staleness::Exactly(delta, core) if delta > most.0 => {
                most = (delta, Some((key, core.iter().map(|i| ids[*i]).collect())));
            }
            Staleness::Exactly(..) => {}
            Staleness::Never(core) => {
                let core = core.iter().map(|i| ids[*i]).collect();
                return Verdict::Invalid(Box::new(never(
                    spec, key_value, stamped, ids, core, &limits, history,
                )));
            }
            Staleness::Between(above, upto, why) if open.is_none() => {
                let whom = subject(Some(&key_value), Register::NOUN);
                let known = match upto {
                    Some(upto) => format!("more than {} and at most {}", span(above), span(upto)),
                    None => "not known yet".into(),
                };
                let says = format!("{whom}: the budget is spent; how stale its reads are is {known}.");
                open = Some(Verdict::Unknown(Reason { key: Some(key_value), ..Reason::new(why, says) }));
            }
            Staleness::Between(..) => {}
        }
    }
    if let Some(open) = open {
        return open;
    }
    findings.measure("delta_ns", most.0);
    let Some((key, core)) = most.1 else { return Verdict::valid("models", "no read was stale") };
    let less = match core.is_empty() {
        true => String::new(),
        false => {
            let names: Vec<String> = core.iter().take(8).map(|id| format!("#{}", id.0)).collect();
            format!("; less would not explain {}", list(&names))
        }
    };
    let whom = subject(Some(&history.value(key)), Register::NOUN);
    Verdict::valid(
        "models",
        format!(
            "no read was more than {} stale (Δ = {} ns, {}{less})",
            span(most.0),
            most.0,
            whom.replacen("The", "the", 1).replacen("Key", "key", 1)
        ),
    )
}

fn never(
    spec: &Register,
    key: history::Value,
    stamped: Vec<Stamped>,
    ids: Vec<OpId>,
    core: Vec<OpId>,
    limits: &Limits,
    history: &History,
) -> Counterexample {
    let longest = stamped.iter().map(|o| o.invoked).max().unwrap_or(0).saturating_add(1);
    let ops = crate::atomicity::shifted(&stamped, longest);
    let part = Part { key, ops, ids };
    let mut found = explain(spec, &part, "models", limits, history).unwrap_or_else(|_| Counterexample {
        key: Some(part.key.clone()),
        pattern: "no order exists".into(),
        core,
        words: vec![format!(
            "{} is not linearizable: its calls contradict each other.",
            subject(Some(&part.key), Register::NOUN)
        )],
        by: "models".into(),
        ..Counterexample::default()
    });
    // What it still satisfies was said of the shifted ops.
    found.words.retain(|w| !w.starts_with("It is still"));
    rename(&mut found, "delta-atomic for any Δ");
    found
}
