//! Certificates of every object on random histories: each verifies, and a spoilt one only if it is right all the same.

use super::{certified, clean, drawn, open};
use crate::check;
use crate::input::{self, Input};
use crate::verify::verify;
use checkers::linearizable::bind::Bind;
use checkers::linearizable::spec::Timed;
use checkers::linearizable::{Object, Visit, replay, visit};
use history::rng::Rng;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

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

/// Longer ones, as the benchmarks have them: with a header, a footer, and calls that were left open.
#[test]
fn generated_families_are_certified() {
    use crate::bench::drawn::{Family, write};
    for name in [
        "register:5:c5:m10:n600",
        "cas:5:refused:c5:n600",
        "queue:c5:m5:n600",
        "stack:c5:m5:n600",
        "pq:c5:m5:n600",
        "set:c5:n600",
    ] {
        let family = Family::parse(name).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("h.jsonl");
        write(&family.draw(3, 2).unwrap(), &path, name, 3).unwrap();
        let raw = std::fs::read(&path).unwrap();
        let input = input::open(&path, None, &Default::default()).unwrap_or_else(|e| panic!("{}", e.says));
        let good = certified(&input, family.object()).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(right(&good, &input, family.object()), "{name}");
        let mut rng = Rng::new(5, name);
        let spoilt: Vec<String> = (0..20).filter_map(|_| spoilt(&good, &mut rng)).collect();
        assert!(spoilt.iter().filter(|bad| verify(bad, &raw).is_err()).count() > 15, "{name}");
    }
}

/// Whatever stands in a certificate or in a history, there is an answer.
#[test]
fn torn_files_get_an_answer() {
    let mut rng = Rng::new(41, "torn");
    let hash = |raw: &[u8]| Sha256::digest(raw).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let (mut said, mut proved) = (BTreeSet::new(), 0);
    for spec in drawn::SPECS {
        let raw = drawn::history(spec, &mut rng);
        let input = open(&raw, "h.jsonl");
        let made = certified(&input, check::object(spec).unwrap());
        clean(&input.path);
        let Ok(good) = made else { continue };
        for _ in 0..60 {
            let (mut certificate, mut history) = (good.clone().into_bytes(), raw.clone());
            let torn = if rng.below(2) == 0 { &mut certificate } else { &mut history };
            let at = rng.below(torn.len() as u64) as usize;
            match rng.below(3) {
                0 => torn[at] = *rng.pick(b"09[]{}\",:nx-").unwrap(),
                1 => drop(torn.remove(at)),
                _ => torn.truncate(at),
            }
            let certificate = String::from_utf8(certificate).unwrap().replace(&hash(&raw), &hash(&history));
            match verify(&certificate, &history) {
                Ok(_) => proved += 1,
                Err(why) => drop(said.insert(why.split(' ').take(3).collect::<Vec<_>>().join(" "))),
            }
        }
    }
    assert!(proved > 20 && said.len() > 10, "{proved} {said:?}");
}
