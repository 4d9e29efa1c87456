//! What takes minutes: the demo, the matrix of what must be found and what must be left alone, runs that end badly.
//!
//! Live cases say `skipped: reason` where user namespaces are refused.

use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_schism");

fn schism(args: &[&str], directory: &Path) -> Output {
    Command::new(BINARY).args(args).current_dir(directory).env("CI", "1").output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn possible(directory: &Path) -> bool {
    let doctor = schism(&["doctor", "--json"], directory);
    let lines: Value = serde_json::from_slice(&doctor.stdout).expect("doctor speaks JSON");
    let line = lines["lines"].as_array().unwrap().iter().find(|l| l["name"] == "namespaces").unwrap();
    if line["good"] != true {
        // Not println: the test harness would swallow it.
        let _ = writeln!(std::io::stderr(), "skipped: {}", line["says"]);
    }
    line["good"] == true
}

/// A directory for a live run, where this machine can do one.
fn live() -> Option<tempfile::TempDir> {
    let directory = tempfile::tempdir().unwrap();
    possible(directory.path()).then_some(directory)
}

/// One part of the matrix; every row must be as it must be.
fn matrix(part: &str) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("results")).unwrap();
    if part == "live" && !possible(directory.path()) {
        return;
    }
    let output = schism(&["bench", "matrix", "--only", part, "--json"], directory.path());
    let document: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)));
    let rows: Vec<&Value> =
        document["sections"].as_array().unwrap().iter().flat_map(|s| s["rows"].as_array().unwrap()).collect();
    assert!(!rows.is_empty());
    let odd: Vec<String> =
        rows.iter().filter(|r| r["met"] != true).map(|r| format!("{}: {}", r["name"], r["odd"])).collect();
    assert!(odd.is_empty(), "{} of {} rows not met:\n{}", odd.len(), rows.len(), odd.join("\n"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
#[ignore = "slow: hundreds of simulated runs"]
fn correct_modes_are_left_alone() {
    matrix("controls");
}

#[test]
#[ignore = "slow: hundreds of simulated runs"]
fn every_planted_bug_is_found_and_its_absence_is_too() {
    matrix("bugs");
}

#[test]
#[ignore = "slow: live runs"]
fn the_demos_bug_shows_in_nineteen_of_twenty_seeds() {
    matrix("demo");
}

#[test]
#[ignore = "slow: live runs"]
fn live_runs_come_out_as_they_must() {
    matrix("live");
}

#[test]
#[ignore = "slow: live runs"]
fn the_demo_keeps_its_promise() {
    let directory = tempfile::tempdir().unwrap();
    let output = schism(&["demo"], directory.path());
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    for expected in ["valid", "invalid: ", "report.html", "repeat  schism", "is not linearizable"] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
    let page = directory.path().join("results/latest/report.html");
    let size = std::fs::metadata(&page).expect("the page is there").len();
    assert!(size < 1_000_000, "the page has {size} bytes");
    let simulated = schism(&["demo", "--simulated", "--results", "other"], directory.path());
    assert_eq!(simulated.status.code(), Some(0), "{}", text(&simulated.stdout));
}

#[test]
#[ignore = "slow: live runs"]
fn an_interrupted_run_heals_and_is_judged() {
    let Some(directory) = live() else { return };
    let run = Command::new(BINARY)
        .args(["test", "--time-limit", "30", "--nemesis", "partition"])
        .current_dir(directory.path())
        .env("CI", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let history = || {
        std::fs::read_to_string(directory.path().join(newest(directory.path(), "history.jsonl")))
            .unwrap_or_default()
    };
    let begun = Instant::now();
    while !history().contains("strike-confirmed") {
        assert!(begun.elapsed() < Duration::from_secs(40), "no strike");
        std::thread::sleep(Duration::from_millis(100));
    }
    let _ = Command::new("kill").args(["-INT", &run.id().to_string()]).status();
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("report"), "{}", text(&output.stdout));
    assert!(history().contains("heal-confirmed") && history().contains("\"footer\""));
}

/// The path, relative to the directory, of a file of its only run.
fn newest(directory: &Path, name: &str) -> std::path::PathBuf {
    let results = directory.join("results");
    let campaigns = std::fs::read_dir(results).into_iter().flatten().flatten();
    let campaign = campaigns.map(|c| c.path()).find(|c| c.is_dir() && !c.is_symlink());
    let run = campaign.and_then(|c| std::fs::read_dir(c).ok()?.flatten().map(|r| r.path()).next());
    run.map_or_else(Default::default, |r| r.join(name))
}

#[test]
#[ignore = "slow: live runs"]
fn a_disk_that_takes_no_more_ends_the_run_and_loses_nothing() {
    let Some(directory) = live() else { return };
    // A limit on file size stands for the full disk; without the signal that usually comes with it.
    let script =
        format!("trap '' XFSZ; ulimit -f 600; exec {BINARY} test --time-limit 30 --rate 400 --nemesis none");
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(directory.path())
        .env("CI", "1")
        .output()
        .expect("a shell");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(err.contains("cannot write the history"), "{out}{err}");
    assert_eq!(output.status.code(), Some(2), "{out}{err}");
    assert!(out.contains("unknown") && out.contains("report"), "{out}");
    let ops: Vec<&str> = out.split(" ok,").next().unwrap_or("").split_whitespace().collect();
    assert!(
        ops.last().and_then(|n| n.parse::<u64>().ok()) > Some(100),
        "what was recorded was not judged: {out}"
    );
}

#[test]
#[ignore = "slow: live runs"]
fn a_store_that_does_not_start_is_no_verdict() {
    let Some(directory) = live() else { return };
    let script = format!("trap '' XFSZ; ulimit -f 0; exec {BINARY} test --time-limit 5");
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(directory.path())
        .env("CI", "1")
        .output()
        .expect("a shell");
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.contains("schism:"), "{err}");
}
