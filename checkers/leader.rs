//! Elections: did two nodes call themselves leader of the same term?
//!
//! From what nodes said of themselves when asked. Not about stale leaders of earlier terms, which are legal.

use crate::linearizable::story::span;
use crate::verdict::{Anomaly, Counterexample, Findings, Model, Verdict};
use crate::{Budget, Checker};
use history::{History, NodeId, RoleChange};
use std::collections::BTreeMap;

pub struct Leader;

impl Checker for Leader {
    fn name(&self) -> &'static str {
        "leader"
    }

    fn about(&self) -> &'static str {
        "At most one node may call itself leader in any one term, and no node's term may go back."
    }

    fn blind_to(&self) -> &'static str {
        "Leaders between two polls, and what a leader did."
    }

    fn check(&self, history: &History, _: &Budget) -> Findings {
        let mut findings = Findings::new(self.name());
        let mut first: BTreeMap<u64, &RoleChange> = BTreeMap::new();
        let mut terms: BTreeMap<NodeId, u64> = BTreeMap::new();
        let mut double: Option<(&RoleChange, &RoleChange)> = None;
        for said in history.roles() {
            let before = terms.entry(said.node).or_insert(said.term);
            if *before > said.term {
                let says = format!(
                    "{} reported term {} after it had reported term {before}.",
                    history.node_name(said.node),
                    said.term
                );
                findings.anomalies.push(Anomaly {
                    kind: "term went back".into(),
                    key: None,
                    ops: vec![],
                    says,
                });
            }
            *before = (*before).max(said.term);
            if said.role.as_ref() == "leader" {
                let other = *first.entry(said.term).or_insert(said);
                if other.node != said.node && double.is_none() {
                    double = Some((other, said));
                }
            }
        }
        findings.measure("terms_led", first.len());
        findings.measure("roles", history.roles().len());
        if history.roles().is_empty() {
            // Nobody was asked: nothing to judge.
            return findings;
        }
        let verdict = match double {
            Some((a, b)) => Verdict::Invalid(Box::new(Counterexample {
                pattern: "two leaders".into(),
                words: words(a, b, history),
                by: self.name().into(),
                ..Counterexample::default()
            })),
            None => {
                Verdict::valid(self.name(), format!("{} terms, each with one leader at most", first.len()))
            }
        };
        findings.with(Model::LeaderPerTerm, verdict)
    }
}

fn words(a: &RoleChange, b: &RoleChange, history: &History) -> Vec<String> {
    let (x, y) = (history.node_name(a.node), history.node_name(b.node));
    vec![
        format!("Two leaders in one term: both {x} and {y} called themselves leader of term {}.", a.term),
        format!(
            "{x} said so {} into the run, {y} {} later.",
            span(a.time),
            span(b.time.saturating_sub(a.time))
        ),
    ]
}
