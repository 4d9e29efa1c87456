//! Availability: how soon calls are answered again after each strike, and how many in the meantime.
//!
//! Measures only: how much unavailability is acceptable is the target's promise, not a property of a history.

use crate::verdict::Findings;
use crate::{Budget, Checker};
use history::{History, Nanos, Op};
use serde_json::{Value as Json, json};

pub struct Availability;

impl Checker for Availability {
    fn name(&self) -> &'static str {
        "availability"
    }

    fn about(&self) -> &'static str {
        "Measures, for each strike, the time to the next answered call and the share answered before, during and after."
    }

    fn blind_to(&self) -> &'static str {
        "Whether the answers were right."
    }

    fn check(&self, history: &History, _: &Budget) -> Findings {
        let mut findings = Findings::new(self.name());
        let mut done: Vec<(Nanos, Nanos)> =
            history.ops().filter(Op::is_ok).filter_map(|op| Some((op.completed()?, op.invoked()))).collect();
        done.sort_unstable();
        let gap = done.windows(2).map(|w| w[1].0 - w[0].0).max().unwrap_or(0);
        findings.measure("longest_gap_ms", ms(gap));
        let strikes: Vec<Json> = history.strikes().iter().map(|s| strike(s, &done, history)).collect();
        let healed = history.strikes().iter().filter_map(|s| s.healed.as_ref().map(|h| h.0)).max();
        if let Some(healed) = healed {
            findings.measure("ok_after_last_heal", done.iter().filter(|d| d.1 >= healed).count());
        }
        findings.measure("strikes", strikes);
        findings
    }
}

fn ms(ns: Nanos) -> f64 {
    (ns as f64 / 1e3).round() / 1e3
}

fn strike(s: &history::StrikeRecord, done: &[(Nanos, Nanos)], history: &History) -> Json {
    // Only calls invoked after the moment count: an answer to an earlier one says nothing about it.
    let first_after = |from: Nanos| done.iter().filter(|d| d.1 >= from).map(|d| d.0 - from).min().map(ms);
    let healed = s.healed.as_ref().map(|h| h.0);
    let end = s.heal_begun.or(healed).unwrap_or(history.end());
    let before = s.begun.saturating_sub(end.saturating_sub(s.begun));
    let after = healed.unwrap_or(end);
    let length = end.saturating_sub(s.begun);
    json!({
        "id": s.id,
        "fault": s.strike.fault.to_string(),
        "took": s.confirmed.as_ref().is_some_and(|c| c.2.took),
        "begun_ms": ms(s.begun),
        "lasted_ms": ms(length),
        "first_ok_after_begin_ms": first_after(s.begun),
        "first_ok_after_heal_ms": healed.and_then(first_after),
        "ok_share_before": share(history, before, s.begun),
        "ok_share_during": share(history, s.begun, end),
        "ok_share_after": share(history, after, after + length),
    })
}

/// The share of calls invoked in a stretch that were answered; nothing where none was invoked.
fn share(history: &History, from: Nanos, to: Nanos) -> Json {
    let inside = history.ops().filter(|op| (from..to).contains(&op.invoked()));
    let (all, ok) = inside.fold((0u64, 0u64), |(all, ok), op| (all + 1, ok + op.is_ok() as u64));
    match all {
        0 => Json::Null,
        _ => json!((ok as f64 / all as f64 * 1e4).round() / 1e4),
    }
}
