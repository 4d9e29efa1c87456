//! Cores of every object: random histories with a lie, each shrunk to what is invalid alone, and to a test.

use super::{Core, prove};
use crate::check::{self, Judged};
use crate::input::Input;
use crate::judge;
use crate::verify::tests::drawn;
use checkers::{Budget, Verdict};
use history::jsonl::{self, ReadOptions};
use history::rng::Rng;
use history::text;
use serde_json::{Value as Json, json};
use std::path::PathBuf;

/// The history with an answer that was another's, or with a refusal taken for a grant.
fn falsified(raw: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
    let mut lines: Vec<Json> =
        raw.split(|b| *b == b'\n').filter_map(|l| serde_json::from_slice(l).ok()).collect();
    let ends: Vec<usize> = (0..lines.len())
        .filter(|i| ["ok", "fail"].contains(&lines[*i]["type"].as_str().unwrap_or("")))
        .collect();
    for _ in 0..8 {
        let (a, b) = (*rng.pick(&ends)?, *rng.pick(&ends)?);
        if lines[a]["type"] == "fail" {
            lines[a]["type"] = json!("ok");
            lines[a]["error"].take();
            break;
        }
        if lines[a]["f"] == lines[b]["f"] && lines[a]["value"] != lines[b]["value"] {
            lines[a]["value"] = lines[b]["value"].clone();
            break;
        }
    }
    Some(lines.iter().flat_map(|l| format!("{l}\n").into_bytes()).collect())
}

fn judged(raw: &[u8], spec: &str) -> Option<Judged> {
    let history = jsonl::read(raw, &ReadOptions::default()).ok()?;
    let (spec, checkers) = check::checkers_for(&history, spec).unwrap();
    let judgement = judge::judge(&history, &checkers, &Budget::default());
    let input = Input { history, format: "jsonl", path: PathBuf::from("h.jsonl") };
    Some(Judged { input, spec, checkers, judgement })
}

/// What is left is invalid when it is read again, and as a test.
fn shrunk(judged: &Judged) -> Option<Core> {
    let Verdict::Invalid(found) = &judged.judgement.verdict else { return None };
    let shown = judged.input.history.ops().map(|op| check::describe(&judged.input.history, op.id) + "\n");
    let shown = || format!("{}\n{}", judged.spec, shown.clone().collect::<String>());
    let core = prove(judged, found).unwrap_or_else(|why| panic!("{why}: {}", shown()));
    let test = super::notation::as_test(&core, super::checker_of(&judged.judgement));
    let test = test.unwrap_or_else(|why| panic!("{why}: {}", shown()));
    let notation = test.split_once("r\"\n").or(test.split_once("r#\"\n")).unwrap().1;
    let notation = notation.split_once("\n\"").unwrap().0;
    assert_eq!(text::parse(notation).unwrap().len(), core.history.len(), "{test}");
    Some(core)
}

#[test]
fn every_object_shrinks() {
    for spec in drawn::SPECS {
        let mut rng = Rng::new(31, spec);
        let (mut cores, mut kept, mut all) = (0, 0, 0);
        for _ in 0..60 {
            let Some(raw) = falsified(&drawn::history(spec, &mut rng), &mut rng) else { continue };
            let Some(judged) = judged(&raw, spec) else { continue };
            let Some(core) = shrunk(&judged) else { continue };
            (cores, kept, all) = (cores + 1, kept + core.history.len(), all + judged.input.history.len());
        }
        assert!(cores >= 5 && kept < all, "{spec}: {cores} cores, {kept} of {all} ops kept");
    }
}

/// Refuted as another object, which `check` would take it for, it would prove nothing.
#[test]
fn the_object_of_a_core_is_named_where_another_would_be_guessed() {
    let cases = [
        (
            "reentrant-lock:2",
            "p0 acquire m |-|\np0 acquire m     |-|\np0 acquire m         |-|",
            "Object::named(\"reentrant-lock:2\")",
        ),
        ("kv", "p0 append k \"x 0 y\" |-|\np1 read k \"z z\"           |-|", "r#\""),
        (
            "multi-register",
            "p0 txn - [w x 1] |-|\np1 txn - [r x 2]     |-|",
            "Object::named(\"multi-register\")",
        ),
        ("queue", "p0 enqueue q 1 |-|\np1 dequeue q 2     |-|", "checkers::ALL.iter()"),
    ];
    for (spec, notation, part) in cases {
        let history = text::parse(notation).unwrap();
        let mut raw = Vec::new();
        history::formats::named("jsonl").unwrap().write(&history, &mut raw).unwrap().unwrap();
        let judged = judged(&raw, spec).unwrap();
        let core = shrunk(&judged).unwrap();
        let test = super::notation::as_test(&core, "linearizable").unwrap();
        assert!(test.contains(part), "{test}");
        assert_eq!(core.spec.as_deref(), (spec != "queue").then_some(spec), "{test}");
    }
}
