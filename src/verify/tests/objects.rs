//! Certificates of every object on random histories: each verifies, and a spoilt one only if it is right all the same.

use super::{certified, clean, drawn, open};
use crate::check;
use crate::input::Input;
use crate::verify::verify;
use checkers::linearizable::bind::Bind;
use checkers::linearizable::spec::Timed;
use checkers::linearizable::{Object, Visit, replay, visit};
use history::rng::Rng;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// Whether the orders of a certificate, as lists of invocations, are linearizations by the objects of the checker.
struct Right {
    orders: Vec<Vec<u32>>,
}

impl Visit for Right {
    type Out = bool;
    fn visit<S: Bind>(self, spec: &S, parts: &[Vec<Timed<S>>]) -> bool {
        let all: usize = self.orders.iter().map(Vec::len).sum();
        let mut found = 0;
        let right = parts.iter().all(|ops| {
            let at: BTreeMap<u32, usize> = ops.iter().enumerate().map(|(i, op)| (op.inv, i)).collect();
            // The order that has some op of this part: its other ops must be of it, too, or of one of several merged.
            let order: Vec<usize> =
                self.orders.iter().flatten().filter_map(|inv| at.get(inv).copied()).collect();
            found += order.len();
            replay::replay(spec, ops, &order).is_ok()
        });
        right && found == all
    }
}

fn right(certificate: &str, input: &Input, object: Object) -> bool {
    let of: BTreeMap<u64, u32> = input.history.ops().filter_map(|op| Some((op.line()?, op.inv()))).collect();
    let order = |line: &str| -> Option<Vec<u32>> {
        let part: Json = serde_json::from_str(line).ok()?;
        part["order"].as_array()?.iter().map(|l| of.get(&l.as_u64()?).copied()).collect()
    };
    let orders: Option<Vec<Vec<u32>>> = certificate.lines().skip(1).map(order).collect();
    orders.is_some_and(|orders| visit(object, &input.history, Right { orders }).unwrap())
}

/// One order spoilt in one of the ways in which it could be wrong.
fn spoilt(good: &str, rng: &mut Rng) -> Option<String> {
    let mut lines: Vec<Json> = good.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let part = 1 + rng.below(lines.len() as u64 - 1) as usize;
    let mut order = lines[part]["order"].as_array()?.clone();
    let (a, b) = (rng.below(order.len() as u64) as usize, rng.below(order.len() as u64) as usize);
    match rng.below(4) {
        0 => drop(order.remove(a)),
        1 => order.insert(b, order[a].clone()),
        _ => order.swap(a, b),
    }
    lines[part]["order"] = json!(order);
    let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
    (text != good).then_some(text)
}

/// Certificates written, spoilt ones refused, spoilt ones that are right all the same.
fn tried(spec: &str, rounds: u32) -> [u32; 3] {
    let (object, mut rng) = (check::object(spec).unwrap(), Rng::new(23, spec));
    let mut counts = [0; 3];
    for round in 0..rounds {
        let raw = drawn::history(spec, &mut rng);
        let input = open(&raw, "h.jsonl");
        let shown = || format!("{spec} round {round}\n{}", String::from_utf8_lossy(&raw));
        let made = certified(&input, object);
        if !input.history.ops().any(|op| op.is_ok()) {
            assert_eq!(made, Err("the verdict is unknown: vacuous".into()));
            clean(&input.path);
            continue;
        }
        let good = made.unwrap_or_else(|why| panic!("{why}\n{}", shown()));
        assert!(right(&good, &input, object), "{good}{}", shown());
        counts[0] += 1;
        for _ in 0..8 {
            let Some(bad) = (good.lines().count() > 1).then(|| spoilt(&good, &mut rng)).flatten() else {
                continue;
            };
            match (verify(&bad, &raw), right(&bad, &input, object)) {
                (Err(_), false) => counts[1] += 1,
                (Ok(_), true) => counts[2] += 1,
                // Registers that nothing ties share an order, which respects the real time of them all.
                (Err(why), true) if spec.starts_with("multi-register") => {
                    assert!(why.contains("had ended before"), "{why}\n{bad}{}", shown());
                }
                (found, truth) => panic!("{found:?}, but {truth}\n{bad}{}", shown()),
            }
        }
        clean(&input.path);
    }
    counts
}

#[test]
fn every_object_is_certified_and_spoilt_orders_are_refused() {
    let mut all = 0;
    for spec in drawn::SPECS {
        let [good, refused, still] = tried(spec, 30);
        assert!(good > 20 && refused > 40, "{spec}: {good} good, {refused} refused, {still} still right");
        all += still;
    }
    assert!(all > 100, "{all} still right");
}

/// The list is that of `check`.
#[test]
fn every_spec_is_drawn() {
    for spec in check::SPECS {
        assert!(
            drawn::SPECS.contains(&spec) || drawn::SPECS.iter().any(|s| s.starts_with(&format!("{spec}:")))
        );
    }
}
