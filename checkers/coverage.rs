//! Coverage: was enough asked, answered and broken for the other verdicts to mean anything?
//!
//! A run below its minimum is *vacuous*: unknown, never valid. Each gate is listed with what was wanted and what was
//! there. What the minimum is, a workload says.

use crate::verdict::{Findings, Model, Verdict, Why};
use crate::{Budget, Checker};
use history::{History, Nanos, NodeId, Op, OutcomeKind, Resolved, StrikeRecord};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// The least that must have been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Calls that succeeded.
    pub ok_ops: u64,
    /// Calls that succeeded and returned a value.
    pub ok_reads: u64,
    /// Different values among the reads (key by key), nothing excluded but nil.
    pub distinct_observed: u64,
    /// Calls that succeeded before each strike, after it, and (see `during`) while it lasted.
    pub around_strike: u64,
    /// Whether calls must succeed while a strike lasts; never asked of one that leaves no majority able to talk.
    pub during: bool,
    pub final_reads_from_all_nodes: bool,
}

impl Evidence {
    /// What any run needs, whatever the workload.
    pub const LEAST: Evidence = Evidence {
        ok_ops: 1,
        ok_reads: 1,
        distinct_observed: 0,
        around_strike: 1,
        during: false,
        final_reads_from_all_nodes: false,
    };

    /// What a run under faults needs, unless its workload says otherwise.
    pub const USUAL: Evidence = Evidence {
        ok_ops: 40,
        ok_reads: 20,
        distinct_observed: 1,
        around_strike: 20,
        during: true,
        final_reads_from_all_nodes: false,
    };
}

impl Default for Evidence {
    fn default() -> Self {
        Evidence::USUAL
    }
}

pub struct Coverage {
    pub minimum: Evidence,
}

/// Something wanted and what there was of it.
struct Gate {
    name: &'static str,
    wanted: u64,
    got: u64,
    /// Where it fell short.
    at: Option<String>,
}

impl Checker for Coverage {
    fn name(&self) -> &'static str {
        "coverage"
    }

    fn about(&self) -> &'static str {
        "The run must have asked, answered and broken enough for a verdict to mean anything."
    }

    fn blind_to(&self) -> &'static str {
        "Whether what happened was interesting: enough of it is not the right of it."
    }

    fn check(&self, history: &History, _: &Budget) -> Findings {
        let mut findings = Findings::new(self.name());
        let mut gates = self.load(history);
        gates.extend(self.strikes(history));
        gates.extend(self.last(history));
        findings.measure("concurrency", concurrency(history));
        findings.measure("gates", gates.iter().map(Gate::to_json).collect::<Vec<_>>());
        findings.measure(
            "in_flight",
            history.strikes().iter().map(|s| in_flight(s, history)).collect::<Vec<_>>(),
        );
        let hollow: Vec<&StrikeRecord> = history.strikes().iter().filter(|s| !took(s)).collect();
        findings.measure("strikes", history.strikes().len());
        findings.measure(
            "strikes_without_effect",
            hollow
                .iter()
                .map(|s| json!({"id": s.id, "fault": s.strike.fault.to_string()}))
                .collect::<Vec<_>>(),
        );
        let none = families_without_effect(history);
        let unmet: Vec<String> = gates.iter().filter(|g| g.got < g.wanted).map(Gate::says).collect();
        let verdict = if !none.is_empty() {
            let says = format!("No {} ever took effect although it was asked for.", none.join(" and no "));
            Verdict::unknown(Why::NoEffect, says)
        } else if !unmet.is_empty() {
            Verdict::unknown(Why::Vacuous, format!("The run is vacuous: {}.", unmet.join("; ")))
        } else {
            Verdict::valid(self.name(), format!("all {} gates are met", gates.len()))
        };
        findings.with(Model::Evidence, verdict)
    }
}

impl Coverage {
    fn load(&self, history: &History) -> Vec<Gate> {
        let (mut ok, mut reads, mut seen) = (0, 0, BTreeSet::new());
        for op in history.ops().filter(Op::is_ok) {
            ok += 1;
            if let Some(v) = op.read() {
                reads += 1;
                if !v.is_null() {
                    seen.insert((op.key(), v));
                }
            }
        }
        // Nothing wrong with one client, but then no two calls ever met and every order is forced.
        let wanted = if history.is_empty() { 0 } else { 2 };
        let load = load_span(history);
        let under = history
            .ops()
            .filter(Op::is_ok)
            .filter(|op| load.is_none_or(|(a, b)| op.inv() >= a && op.inv() < b));
        vec![
            Gate::new("ok calls", self.minimum.ok_ops, ok),
            Gate::new("ok calls under load", self.minimum.ok_ops.min(20), under.count() as u64),
            Gate::new("ok reads", self.minimum.ok_reads, reads),
            Gate::new("different values read", self.minimum.distinct_observed, seen.len() as u64),
            Gate::new("calls open at once", wanted, concurrency(history)),
        ]
    }

    fn strikes(&self, history: &History) -> Vec<Gate> {
        let struck: Vec<&StrikeRecord> = history.strikes().iter().filter(|s| took(s)).collect();
        if struck.is_empty() {
            return Vec::new();
        }
        let ok: Vec<(Nanos, Nanos)> =
            history.ops().filter(Op::is_ok).filter_map(|op| Some((op.invoked(), op.completed()?))).collect();
        let least = |name, count: &dyn Fn(&StrikeRecord) -> u64, of: &[&StrikeRecord]| {
            let (got, s) = of.iter().map(|s| (count(s), *s)).min_by_key(|(n, _)| *n)?;
            let at = format!("strike {} \"{}\"", s.id, s.strike.fault);
            Some(Gate { name, wanted: self.minimum.around_strike, got, at: Some(at) })
        };
        let count = |inside: &dyn Fn(&(Nanos, Nanos)) -> bool| ok.iter().filter(|o| inside(o)).count() as u64;
        let before = |s: &StrikeRecord| count(&|o| o.1 <= s.begun);
        let during = |s: &StrikeRecord| match s.measured() {
            Some((from, to)) => count(&|o| o.0 >= from && to.is_none_or(|to| o.0 < to)),
            None => 0,
        };
        let after = |s: &StrikeRecord| match s.healed.as_ref() {
            Some((at, _)) => count(&|o| o.0 >= *at),
            None => 0,
        };
        let survivable: Vec<&StrikeRecord> =
            struck.iter().copied().filter(|s| self.minimum.during && leaves_majority(s, history)).collect();
        let gates = [
            least("ok calls before each strike", &before, &struck),
            least("ok calls during each strike that a majority survives", &during, &survivable),
            least("ok calls after each strike", &after, &struck),
        ];
        gates.into_iter().flatten().collect()
    }

    fn last(&self, history: &History) -> Option<Gate> {
        let nodes = history.nodes().len() as u64;
        if !self.minimum.final_reads_from_all_nodes || nodes == 0 {
            return None;
        }
        let read: BTreeSet<NodeId> = history
            .ops()
            .filter(|op| op.is_last() && op.read().is_some())
            .filter_map(|op| op.node().or(op.server()))
            .collect();
        let missing: Vec<&str> = (0..nodes as u8)
            .map(NodeId)
            .filter(|n| !read.contains(n))
            .map(|n| history.node_name(n))
            .collect();
        let at = (!missing.is_empty()).then(|| missing.join(", "));
        Some(Gate { name: "nodes that answered a final read", wanted: nodes, got: read.len() as u64, at })
    }
}

impl Gate {
    fn new(name: &'static str, wanted: u64, got: u64) -> Gate {
        Gate { name, wanted, got, at: None }
    }

    fn says(&self) -> String {
        let at = self.at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default();
        format!("{}: {} of {} wanted{at}", self.name, self.got, self.wanted)
    }

    fn to_json(&self) -> Json {
        json!({"name": self.name, "wanted": self.wanted, "needs": self.wanted, "got": self.got,
            "met": self.got >= self.wanted, "at": self.at})
    }
}

/// Positions between which the load ran, where the record says so: warm-up and final reads prove nothing about it.
fn load_span(history: &History) -> Option<(u32, u32)> {
    let begun = |phase: &str| {
        let mut notes = history.notes().iter().filter(|n| n.f.as_ref() == "phase");
        notes.find(|n| n.value.as_text() == Some(phase)).map(|n| n.position)
    };
    Some((begun("load")?, begun("heal").unwrap_or(u32::MAX)))
}

fn took(s: &StrikeRecord) -> bool {
    s.measured().is_some()
}

/// Families of faults that were begun and never once seen to work.
fn families_without_effect(history: &History) -> Vec<&'static str> {
    let mut families: BTreeMap<&'static str, bool> = BTreeMap::new();
    for s in history.strikes() {
        *families.entry(s.strike.fault.family()).or_default() |= took(s);
    }
    families.into_iter().filter(|(_, took)| !took).map(|(f, _)| f).collect()
}

/// Could a majority of the nodes still talk to each other, both ways? Where one node calls itself *primary* there is
/// no other that could serve, so that one must stand too.
fn leaves_majority(s: &StrikeRecord, history: &History) -> bool {
    let n = history.nodes().len();
    let Some((_, resolved, _)) = &s.confirmed else { return true };
    let primary = history.roles().iter().find(|r| r.role.as_ref() == "primary").map(|r| r.node);
    let stands = primary.is_none_or(|p| !resolved.killed.contains(&p) && !resolved.paused.contains(&p));
    stands && largest_group(resolved, n) > n / 2
}

/// The size of the largest set of nodes that stand and reach each other, over others of the set if need be.
fn largest_group(resolved: &Resolved, n: usize) -> usize {
    let down =
        |i: usize| resolved.killed.contains(&NodeId(i as u8)) || resolved.paused.contains(&NodeId(i as u8));
    let cut = |a: usize, b: usize| {
        let (a, b) = (NodeId(a as u8), NodeId(b as u8));
        resolved.cut.contains(&(a, b)) || resolved.cut.contains(&(b, a))
    };
    let mut seen = vec![false; n];
    let mut largest = 0;
    for start in (0..n).filter(|i| !down(*i)) {
        let (mut todo, mut size) = (vec![start], 0);
        while let Some(i) = todo.pop() {
            if std::mem::replace(&mut seen[i], true) {
                continue;
            }
            size += 1;
            todo.extend((0..n).filter(|j| !seen[*j] && !down(*j) && !cut(i, *j)));
        }
        largest = largest.max(size);
    }
    largest
}

/// The most calls open at one time; an unanswered one counts until its client gave it up.
fn concurrency(history: &History) -> u64 {
    let mut edges: Vec<(Nanos, i64)> = Vec::with_capacity(history.len() * 2);
    for op in history.ops() {
        edges.push((op.invoked(), 1));
        edges.push((op.completed().or(op.gave_up()).unwrap_or(history.end()), -1));
    }
    // A beginning before an end at the same time: calls that touch count as open at once.
    edges.sort_by_key(|(at, step)| (*at, -step));
    let mut open = 0;
    edges
        .iter()
        .map(|(_, step)| {
            open += step;
            open
        })
        .max()
        .unwrap_or(0) as u64
}

/// Calls by kind and outcome that were open when a strike began.
fn in_flight(s: &StrikeRecord, history: &History) -> Json {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for op in history.ops() {
        let end = op.completed().or(op.gave_up()).unwrap_or(Nanos::MAX);
        if op.invoked() <= s.begun && end > s.begun {
            let kind = match op.kind() {
                OutcomeKind::Ok => "ok",
                OutcomeKind::Fail => "fail",
                OutcomeKind::Info => "info",
            };
            *counts.entry(format!("{} {kind}", op.f())).or_default() += 1;
        }
    }
    json!({"strike": s.id, "calls": counts})
}
