//! `schism list KIND` and `schism explain NAME`: the registries, printed. Nothing here is written by hand twice.

use crate::cli::{Failure, ListArgs};
use crate::{campaign, check, exit};
use checkers::Model;
use checkers::linearizable::Object;
use serde_json::json;

const KINDS: [&str; 10] = [
    "workloads",
    "nemeses",
    "targets",
    "bugs",
    "checkers",
    "models",
    "specs",
    "providers",
    "promises",
    "formats",
];

type Rows = Vec<(String, String)>;

fn rows(kind: &str) -> Option<Rows> {
    let row = |name: &str, about: &str| (name.to_string(), about.to_string());
    Some(match kind {
        "workloads" => workloads::ALL.iter().map(|w| row(w.name(), w.about())).collect(),
        "nemeses" => nemeses::ALL.iter().map(|n| row(n.name(), n.about())).collect(),
        "targets" => targets::ALL
            .iter()
            .flat_map(|t| {
                t.modes().iter().map(move |(m, about)| (format!("{}:{m}", t.name()), about.to_string()))
            })
            .collect(),
        "bugs" => store::switches::BUGS
            .iter()
            .map(|b| (b.name.to_string(), format!("{} store:{}  {}", b.id, b.mode, b.about)))
            .collect(),
        "checkers" => checkers::ALL.iter().map(|c| row(c.name(), c.about())).collect(),
        "models" => Model::ALL.iter().map(|m| row(m.name(), m.about())).collect(),
        "specs" => {
            check::SPECS.iter().filter_map(|name| Some((name, check::object(name)?))).map(specs).collect()
        }
        "providers" => nodes::ALL.iter().map(|p| row(p.name(), p.about())).collect(),
        "promises" => promises(),
        "formats" => history::formats::ALL.iter().map(|f| row(f.name(), f.about())).collect(),
        _ => return None,
    })
}

fn specs((name, object): (&&str, Object)) -> (String, String) {
    (name.to_string(), format!("{} Calls: {}.", object.about(), object.calls().join(", ")))
}

fn promises() -> Rows {
    let mut rows = Vec::new();
    for (name, workload) in targets::names().iter().flat_map(|n| workloads::ALL.iter().map(move |w| (n, w))) {
        let Some((target, mode)) = targets::find(name) else { continue };
        let claims: Vec<String> = ["none", "kill", "pause", "partition"]
            .iter()
            .filter_map(|f| target.promise(mode, workload.name(), f).map(|m| format!("{f}: {m}")))
            .collect();
        let claims = if claims.is_empty() { "nothing".into() } else { claims.join(", ") };
        rows.push((format!("{name} {}", workload.name()), claims));
    }
    rows
}

pub fn list(args: &ListArgs) -> Result<i32, Failure> {
    let Some(rows) = rows(&args.kind) else {
        return Err(campaign::unknown("kind", &args.kind, KINDS.into_iter()));
    };
    if args.json {
        let items: Vec<_> = rows.iter().map(|(name, about)| json!({"name": name, "about": about})).collect();
        println!(
            "{}",
            serde_json::to_string_pretty(&json!({"schema": 1, "kind": args.kind, "items": items}))
                .unwrap_or_default()
        );
    } else {
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, about) in rows {
            println!("{name:width$}  {about}");
        }
    }
    Ok(exit::VALID)
}

/// Whether `explain` knows that name.
pub fn registered(name: &str) -> bool {
    let known = |kind: &&str| rows(kind).is_some_and(|rows| rows.iter().any(|(n, _)| n == name));
    KINDS.iter().filter(|k| **k != "promises").any(known)
}

/// Everything the registries know of one name.
pub fn explain(name: &str) -> Result<i32, Failure> {
    let mut told = false;
    let mut tell = |kind: &str, name: &str, lines: &[(&str, String)]| {
        println!("{kind} {name}");
        for (label, text) in lines {
            println!("  {label:10} {text}");
        }
        told = true;
    };
    if let Some(w) = workloads::ALL.iter().find(|w| w.name() == name) {
        let checkers: Vec<&str> = w.checkers().iter().map(|c| c.name()).collect();
        let minimum = format!("{:?}", w.minimum());
        tell(
            "workload",
            name,
            &[
                ("does", w.about().into()),
                ("invariant", w.invariant().into()),
                ("checkers", checkers.join(", ")),
                ("needs", minimum),
            ],
        );
    }
    if let Some(n) = nemeses::ALL.iter().find(|n| n.name() == name) {
        tell("nemesis", name, &[("does", n.about().into())]);
    }
    if let Some(b) = store::switches::find(name) {
        let lines = [
            ("id", b.id.to_string()),
            ("target", format!("store:{}", b.mode)),
            ("does", b.about.into()),
            ("shown by", b.exposed_by.into()),
            ("violates", b.violates.into()),
        ];
        tell("bug", b.name, &lines);
        if let Some(killer) = sim::killer(b.name) {
            println!(
                "  known plan {} clients on {}, {}",
                sim::killers::CLIENTS,
                killer.workload,
                crate::matrix::plan_name(killer)
            );
        }
    }
    if let Some(c) = checkers::ALL.iter().find(|c| c.name() == name) {
        tell("checker", name, &[("decides", c.about().into()), ("blind to", c.blind_to().into())]);
    }
    if let Some((target, mode)) = targets::find(name) {
        let about = target.modes().iter().find(|(m, _)| *m == mode).map_or("", |(_, a)| a);
        tell("target", name, &[("is", target.about().into()), ("mode", about.into())]);
    }
    if let Some(m) = Model::ALL.iter().find(|m| m.name() == name) {
        tell("model", name, &[("means", m.about().into())]);
    }
    if told {
        return Ok(exit::VALID);
    }
    let all: Vec<String> = KINDS
        .iter()
        .filter(|k| **k != "promises")
        .filter_map(|k| rows(k))
        .flatten()
        .map(|(name, _)| name)
        .collect();
    Err(campaign::unknown("name", name, all.iter().map(String::as_str)))
}
