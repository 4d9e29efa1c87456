//! Recorded histories of real systems under real faults, where they are at hand: `SCHISM_DATA=<folder>`.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

use checkers::linearizable::{Linearizable, Object};
use checkers::{Budget, Checker, Findings, Verdict};
use history::History;
use history::jsonl::{ReadOptions, read};
use std::io::Write;
use std::path::{Path, PathBuf};

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("SCHISM_DATA").map(PathBuf::from);
    if folder.is_none() {
        // Not eprintln: the test harness would swallow it.
        let _ = writeln!(std::io::stderr(), "skipped: SCHISM_DATA names no folder of recorded histories");
    }
    folder
}

fn load(path: &Path) -> History {
    let file = std::fs::File::open(path).unwrap();
    read(std::io::BufReader::new(file), &ReadOptions::default())
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn invalid(findings: &Findings) -> bool {
    match findings.worst() {
        Some(Verdict::Invalid(c)) => {
            assert!(!c.core.is_empty() && c.words.len() > 1, "{c:?}");
            assert!(c.core.len() <= 12, "{} ops: {c:?}", c.core.len());
            eprintln!("    {} [{}] {}", c.pattern, c.core.len(), c.words.join(" "));
            true
        }
        Some(Verdict::Valid(_)) => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn real_systems() {
    let Some(folder) = data() else { return };
    let expected: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("real/expected.json")).unwrap()).unwrap();
    let mut judged = 0;
    for (name, expected) in expected.as_object().unwrap() {
        let history = || load(&folder.join("real").join(name));
        let fails = |field: &str| expected[field] == "fail";
        let budget = Budget::default();
        match expected["workload"].as_str().unwrap() {
            "register" => {
                eprintln!("{name}");
                let findings = Linearizable { object: Object::CasRegister }.check(&history(), &budget);
                assert_eq!(invalid(&findings), fails("linearizable"), "{name}");
            }
            "set" => {
                eprintln!("{name}");
                let findings = checkers::set::Set.check(&history(), &budget);
                assert_eq!(invalid(&findings), fails("set_check"), "{name}");
                assert_eq!(findings.measured["lost"], expected["lost_acked"], "{name}");
                let findings = Linearizable { object: Object::Set }.check(&history(), &budget);
                assert_eq!(invalid(&findings), fails("set_check"), "{name} searched");
            }
            "list" => {
                eprintln!("{name}");
                assert!(invalid(&checkers::list::List.check(&history(), &budget)), "{name}");
                assert!(
                    invalid(&Linearizable { object: Object::List }.check(&history(), &budget)),
                    "{name} searched"
                );
            }
            "lock" => {
                eprintln!("{name}");
                let findings = checkers::lock::Lock.check(&history(), &budget);
                assert_eq!(invalid(&findings), fails("mutex"), "{name}");
                let findings = Linearizable { object: Object::Mutex }.check(&history(), &budget);
                assert_eq!(invalid(&findings), fails("mutex"), "{name} searched");
            }
            _ => continue,
        }
        judged += 1;
    }
    assert!(judged >= 10, "only {judged} files");
}

/// Read by the reader of their format, judged without a budget worth the name: the decider must do it.
fn foreign(path: &Path, object: Object) -> Findings {
    let bytes = std::fs::read(path).unwrap();
    let format = history::formats::detect(&bytes, &path.to_string_lossy()).unwrap();
    let history = format.read(&mut bytes.as_slice(), &ReadOptions::default()).unwrap();
    Linearizable::of(object).check(&history, &Budget { steps: 1_000_000, ..Budget::default() })
}

#[test]
fn texts_of_porcupine() {
    let Some(folder) = data() else { return };
    for (name, bad) in [("c01-ok", false), ("c01-bad", true), ("c10-ok", false), ("c10-bad", true)] {
        eprintln!("{name}");
        let findings = foreign(&folder.join(format!("lin/porcupine/kv/{name}.txt")), Object::Kv);
        assert_eq!(invalid(&findings), bad, "{name}");
        if !bad {
            let count = |v: &serde_json::Value| v.as_u64().unwrap_or(0);
            let (decided, keys) = (&findings.measured["engines"]["decider"], &findings.measured["keys"]);
            assert!(count(decided) * 2 > count(keys), "{:?}", findings.measured);
            eprintln!("    {:?}", findings.measured);
        }
    }
}

#[test]
fn registers_of_knossos() {
    let Some(folder) = data() else { return };
    let path = folder.join("lin/knossos/multi-register/good/multi-register.edn");
    assert!(!invalid(&foreign(&path, Object::MultiRegister(Some(0)))));
    // From nil, a 0 is read that nobody wrote.
    assert!(invalid(&foreign(&path, Object::MultiRegister(None))));
}
