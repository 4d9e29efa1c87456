//! Histories recorded from real databases, with the verdicts that are written beside them.
//!
//! They live outside the repository; `SCHISM_DATA` names their directory.

use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

fn data() -> Option<PathBuf> {
    let found = std::env::var_os("SCHISM_DATA").map(PathBuf::from).filter(|d| d.is_dir());
    if found.is_none() {
        let _ = writeln!(std::io::stderr(), "skipped: SCHISM_DATA names no directory of recorded histories");
    }
    found
}

fn verdict(path: &PathBuf, spec: &str) -> (String, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_schism"))
        .args(["check", "--json", "--spec", spec])
        .arg(path)
        .env("NO_COLOR", "1")
        .output()
        .expect("the binary runs");
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{}: {e}\n{}", path.display(), String::from_utf8_lossy(&output.stderr)));
    let run = document["runs"][0].clone();
    (run["verdict"].as_str().unwrap_or("none").to_string(), run)
}

/// Workload in the table → what `--spec` calls it, and the field that holds the expectation.
fn judged(workload: &str) -> Option<(&'static str, &'static str)> {
    match workload {
        "register" => Some(("auto", "linearizable")),
        "set" => Some(("set", "set_check")),
        "list" => Some(("list", "linearizable")),
        "lock" => Some(("lock", "mutex")),
        _ => None,
    }
}

#[test]
fn real_databases_get_the_verdicts_they_earned() {
    let Some(data) = data() else { return };
    let table = std::fs::read_to_string(data.join("real/expected.json")).expect("the table of verdicts");
    let table: Value = serde_json::from_str(&table).expect("it is JSON");
    let mut seen = 0;
    for (file, expected) in table.as_object().expect("a map of files") {
        let Some((spec, field)) = judged(expected["workload"].as_str().unwrap_or("")) else { continue };
        let (found, document) = verdict(&data.join("real").join(file), spec);
        let wanted = if expected[field] == "pass" { "valid" } else { "invalid" };
        assert_eq!(found, wanted, "{file}: {}\n{}", expected["why"], document["diagnosis"]);
        if let Some(lost) = expected["lost_acked"].as_u64().filter(|_| spec == "set") {
            let findings = document["findings"].as_array().expect("findings");
            let set = findings.iter().find(|f| f["checker"] == "set").expect("the set checker looked");
            assert_eq!(set["measured"]["lost"].as_u64(), Some(lost), "{file}: elements lost");
        }
        seen += 1;
    }
    assert!(seen >= 12, "only {seen} files of the table were judged");
}

#[test]
fn knossos_files_are_as_their_folder_says() {
    let Some(data) = data() else { return };
    let mut seen = 0;
    for (folder, wanted) in [("good", "valid"), ("bad", "invalid")] {
        let directory = data.join("lin/knossos/cas-register").join(folder);
        for entry in std::fs::read_dir(&directory).expect("the folder is there").flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|e| e != "edn") || path.to_string_lossy().contains("analysis") {
                continue;
            }
            let (found, document) = verdict(&path, "cas-register");
            // In a few of the files nothing was answered, or nothing asked: nothing to be right or wrong about.
            let vacuous = document["ops"]["ok"] == 0;
            let wanted = if vacuous { "unknown" } else { wanted };
            assert_eq!(found, wanted, "{}: {}", path.display(), document["diagnosis"]);
            if !vacuous {
                seen += 1;
            }
        }
    }
    assert!(seen >= 50, "only {seen} files were judged");
}

#[test]
fn porcupine_logs_are_as_their_table_says() {
    let Some(data) = data() else { return };
    let folder = data.join("lin/porcupine/jepsen");
    let table = std::fs::read_to_string(folder.join("expected.tsv")).expect("the table of verdicts");
    let mut seen = 0;
    let mut lines: Vec<usize> = Vec::new();
    for line in table.lines() {
        let mut fields = line.split('\t');
        let (Some(name), Some(wanted)) = (fields.next(), fields.next()) else { continue };
        let path = folder.join(name);
        let wanted = match wanted.trim() {
            "ok" | "true" | "pass" | "valid" | "linearizable" => "valid",
            "illegal" | "false" | "fail" | "invalid" | "not-linearizable" => "invalid",
            _ => continue,
        };
        if !path.is_file() {
            continue;
        }
        let (found, document) = verdict(&path, "cas-register");
        assert_eq!(found, wanted, "{name}: {}", document["diagnosis"]);
        seen += 1;
        if found == "invalid" {
            let told = &document["findings"][0]["models"][0]["verdict"];
            let of = |what: &str| told[what].as_array().expect("a list").len();
            lines.push(of("core") + of("groups"));
        }
    }
    assert!(seen >= 50, "only {seen} logs were judged");
    // A contradiction that nobody can take in at a glance explains nothing.
    lines.sort_unstable();
    assert!(lines.len() >= 40 && lines[lines.len() / 2] <= 6 && lines.last() <= Some(&12), "{lines:?}");
}

#[test]
fn knossos_multi_registers_are_as_their_folder_says() {
    let Some(data) = data() else { return };
    let path = data.join("lin/knossos/multi-register/good/multi-register.edn");
    // The file says so itself: x and y are 0 at first.
    assert_eq!(verdict(&path, "multi-register:0").0, "valid");
    assert_eq!(verdict(&path, "multi-register").0, "invalid", "a read of 0 that nobody wrote");
}

#[test]
fn porcupine_texts_are_as_their_names_say() {
    let Some(data) = data() else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(data.join("lin/porcupine/kv")).expect("the folder is there").flatten() {
        let path = entry.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Some((_, label)) = name.rsplit_once('-') else { continue };
        let wanted = if label == "ok" { "valid" } else { "invalid" };
        for spec in ["kv", "auto"] {
            let (found, document) = verdict(&path, spec);
            assert_eq!(found, wanted, "{name} as {spec}: {}", document["diagnosis"]);
        }
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} files were judged");
}
