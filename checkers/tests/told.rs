//! Every sentence that contradictions are told in, word by word: the histories and the sentences are in `told.txt`.
//!
//! `SCHISM_GOLDEN=write` writes down what is said now, to be read before it is committed.
#![allow(clippy::disallowed_methods, reason = "a golden file is written when asked to be")]

use checkers::linearizable::{Linearizable, Object};
use checkers::verdict::Partial;
use checkers::{Budget, Checker, Verdict};
use history::text;

const TOLD: &str = include_str!("told.txt");

/// An order that gets no further: each op with the state after it, then who is stuck.
fn reached(partial: &Partial) -> String {
    let order = partial.order.iter().zip(&partial.states).map(|(op, state)| format!("#{} to {state}", op.0));
    let stuck = partial.stuck.iter().map(|s| format!("#{} {}", s.op.0, s.says));
    let [order, stuck] = [order.collect::<Vec<_>>(), stuck.collect()].map(|all| all.join(", "));
    format!("  {}; {}\n", if order.is_empty() { "at first" } else { &order }, stuck)
}

/// `# object`, the history, `--`, pattern and sentences: what is behind `--` is said anew.
fn said_anew(case: &str) -> String {
    let (object, rest) = case.split_once('\n').unwrap();
    let notation = rest.split("--\n").next().unwrap().trim_end();
    let history = text::parse(notation).unwrap_or_else(|e| panic!("{e} of\n{notation}"));
    let object = object.trim();
    let findings = Linearizable::of(Object::named(object).unwrap()).check(&history, &Budget::default());
    let mut said = format!("# {object}\n{notation}\n--\n");
    for (_, verdict) in &findings.per_model {
        let Verdict::Invalid(c) = verdict else { continue };
        let core: Vec<String> = c.core.iter().map(|i| format!("#{}", i.0)).collect();
        said += &format!("{}: {}\n", c.pattern, core.join(" "));
        c.groups.iter().chain(&c.words).for_each(|line| said += &format!("{line}\n"));
        c.reached.iter().for_each(|partial| said += &reached(partial));
    }
    said
}

#[test]
fn every_sentence() {
    let cases: Vec<&str> = TOLD.split("# ").filter(|c| !c.trim().is_empty()).collect();
    let anew: Vec<String> = cases.iter().map(|case| said_anew(case)).collect();
    if std::env::var_os("SCHISM_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/told.txt");
        std::fs::write(path, anew.join("\n")).unwrap();
        return;
    }
    for (case, anew) in cases.iter().zip(&anew) {
        assert_eq!(format!("# {}", case.trim_end()), anew.trim_end());
    }
    assert!(cases.len() >= 40, "{} cases", cases.len());
}
