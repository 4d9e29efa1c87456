//! Registers that promise less: does each read, alone, return the last write before it or one that overlaps it?
//!
//! Judged beside linearizability: "not linearizable, but regular" says that only overlapping reads disagree.

use crate::linearizable::bind::Bind;
use crate::linearizable::bind::NOBODYS;
use crate::linearizable::initial::Init;
use crate::linearizable::objects::Register;
use crate::linearizable::spec::{OPEN, Timed};
use crate::linearizable::story::{full, subject};
use crate::linearizable::{Object, weaker};
use crate::verdict::{Counterexample, Findings, Model, Verdict};
use crate::{Budget, Checker};
use history::{History, OpId, ValueId};

pub struct Regular;

impl Checker for Regular {
    fn name(&self) -> &'static str {
        "regular"
    }

    fn about(&self) -> &'static str {
        "Each read of a register, alone, must return the last write before it or one that overlaps it."
    }

    fn blind_to(&self) -> &'static str {
        "Reads that contradict each other, and refused compare-and-sets."
    }

    fn check(&self, history: &History, _: &Budget) -> Findings {
        let findings = Findings::new(self.name());
        if !matches!(Object::guess(history), Some(Object::Register | Object::CasRegister)) {
            return findings;
        }
        let (regular, safe) = judge(history, &Init::default());
        findings.with(Model::Regular, regular).with(Model::Safe, safe)
    }
}

/// Regular, then safe, for registers that begin with `init`.
pub(crate) fn judge(history: &History, init: &Init) -> (Verdict, Verdict) {
    let (mut irregular, mut unsafe_) = (Vec::new(), Vec::new());
    for (key, ids) in history.by_key() {
        let (ops, ids) = part(&ids, history);
        let first = |found: fn(&Register, &[Timed<Register>]) -> Option<usize>| match init.register(history) {
            Some(spec) => found(&spec, &ops),
            None => {
                // What no write explains must have been there first; two such values cannot both have been.
                let bad = found(&Register { init: NOBODYS }, &ops)?;
                found(&Register { init: Register::default().sees(&ops[bad])? }, &ops)
            }
        };
        irregular.extend(first(weaker::irregular).map(|i| (key, ids[i])));
        unsafe_.extend(first(weaker::unsafe_read).map(|i| (key, ids[i])));
    }
    (verdict(irregular, "regular", history), verdict(unsafe_, "safe", history))
}

/// The ops of a register and their ids, failed ones left out.
pub(crate) fn part(ids: &[OpId], history: &History) -> (Vec<Timed<Register>>, Vec<OpId>) {
    let taken = |id: &OpId| {
        let op = history.op(*id);
        let (call, reply) = Register::default().take(&op, history).ok()??;
        let res = if reply.is_some() { op.res() } else { OPEN };
        Some((Timed { call, reply, inv: op.inv(), res }, *id))
    };
    ids.iter().filter_map(taken).unzip()
}

fn verdict(mut bad: Vec<(ValueId, OpId)>, model: &str, history: &History) -> Verdict {
    bad.sort_by_key(|(_, id)| history.op(*id).res());
    let Some((key, id)) = bad.first() else {
        return Verdict::valid("regular", format!("no read contradicts a {model} register"));
    };
    let op = history.op(*id);
    let seen = op.read().or(op.cas().map(|c| c.0)).map(|v| history.value(v)).unwrap_or_default();
    let key = history.value(*key);
    let words = vec![
        format!("{} is not {model}: {} found {seen}.", subject(Some(&key), "register"), full(&op, history)),
        format!(
            "That value was neither the last one stored before #{} began nor being stored while it ran.",
            id.0
        ),
    ];
    Verdict::Invalid(Box::new(Counterexample {
        key: (!key.is_null()).then_some(key),
        pattern: "stale read".into(),
        core: vec![*id],
        first_bad: Some(*id),
        words,
        by: "regular".into(),
        ..Counterexample::default()
    }))
}
