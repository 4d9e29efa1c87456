//! The command line as a user meets it: exit codes, messages for bad input, and verdicts that survive the file.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn schism(args: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_schism"))
        .args(args)
        .current_dir(directory)
        .env("NO_COLOR", "1")
        .env("CI", "1")
        .output()
        .expect("the binary runs")
}

fn run(args: &[&str]) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    run_in(args, directory.path())
}

fn run_in(args: &[&str], directory: &Path) -> (i32, String, String) {
    let output = schism(args, directory);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

const QUICK: [&str; 8] = ["--time-limit", "6", "--interval", "2", "--rate", "100", "--nodes", "5"];

fn sim(more: &[&str]) -> Vec<String> {
    ["sim"].iter().chain(&QUICK).chain(more).map(|s| s.to_string()).collect()
}

fn run_sim(more: &[&str], directory: &Path) -> (i32, String, String) {
    let args = sim(more);
    run_in(&args.iter().map(String::as_str).collect::<Vec<_>>(), directory)
}

#[test]
fn a_misspelt_name_is_a_usage_error_that_names_the_nearest() {
    let cases: [(&[&str], &str); 7] = [
        (&["sim", "--workload", "regster"], "did you mean \"register\""),
        (&["sim", "--nemesis", "partition,klil"], "did you mean \"kill\""),
        (&["sim", "--target", "store:rafd"], "did you mean \"store:raft\""),
        (&["sim", "--bug", "leader-local-reed"], "did you mean \"leader-local-read\""),
        (&["sim", "--bug", "w-plus-r-le-n"], "is planted in store:quorum, not in store:raft"),
        (&["list", "workload"], "did you mean \"workloads\""),
        (&["explain", "registr"], "did you mean \"register\""),
    ];
    for (args, expected) in cases {
        let (code, _, stderr) = run(args);
        assert_eq!(code, 254, "{args:?}: {stderr}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
}

#[test]
fn bad_values_name_the_flag_and_what_it_takes() {
    let cases: [(&[&str], &str); 6] = [
        (&["sim", "--concurrency", "many"], "--concurrency takes a number or `2n`"),
        (&["sim", "--time-limit", "0"], "--time-limit takes seconds above 0"),
        (&["sim", "--seeds", "9..3"], "--seeds takes a range such as 0..100"),
        (&["sim", "--schedule", "nowhere.txt"], "--schedule nowhere.txt"),
        (&["check", "--memory", "lots", "x"], "--memory takes bytes such as 512MiB"),
        (&["test", "--nodes", "0"], "--nodes"),
    ];
    for (args, expected) in cases {
        let (code, _, stderr) = run(args);
        assert_eq!(code, 254, "{args:?}: {stderr}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
    let (code, _, stderr) = run(&["frobnicate"]);
    assert_eq!(code, 254, "{stderr}");
    let (code, stdout, _) = run(&["--help"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("254 usage"));
}

#[test]
fn a_broken_schedule_names_its_line() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("plan.txt"), "at 1s for 1s isolate leader\nat soon for 1s kill n1\n")
        .unwrap();
    let (code, _, stderr) = run_in(&["sim", "--schedule", "plan.txt"], directory.path());
    assert_eq!(code, 254, "{stderr}");
    assert!(stderr.contains("plan.txt:2:"), "{stderr}");
}

#[test]
fn the_plan_can_be_read_before_anything_is_touched() {
    let directory = tempfile::tempdir().unwrap();
    let (code, stdout, _) =
        run_in(&["test", "--dry-run", "--nemesis", "isolate-leader", "--seed", "3"], directory.path());
    assert_eq!(code, 0);
    assert!(stdout.contains("isolate leader"), "{stdout}");
    assert!(stdout.contains("client   9"), "{stdout}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "a dry run wrote something");
    let (_, again, _) =
        run_in(&["test", "--dry-run", "--nemesis", "isolate-leader", "--seed", "3"], directory.path());
    assert_eq!(stdout, again);
}

#[test]
fn a_simulated_run_is_judged_the_same_again_from_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let bug =
        ["--bug", "leader-local-read", "--nemesis", "isolate-leader", "--seed", "1", "--time-limit", "14"];
    let rest = ["--rate", "200", "--interval", "3", "--concurrency", "10n", "--results", "out"];
    let args: Vec<&str> = ["sim"].iter().chain(&bug).chain(&rest).copied().collect();
    let (code, stdout, stderr) = run_in(&args, directory.path());
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(stdout.contains("invalid: "), "{stdout}");
    let (code, stdout, _) = run_in(&["check", "--json", "out/latest"], directory.path());
    assert_eq!(code, 1);
    let document: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(document["runs"][0]["verdict"], "invalid");
    assert_eq!(document["runs"][0]["workload"], "register");
    let written: Value =
        serde_json::from_str(&fs::read_to_string(directory.path().join("out/latest/results.json")).unwrap())
            .unwrap();
    assert_eq!(written["diagnosis"], document["runs"][0]["diagnosis"]);
    assert!(fs::read_to_string(directory.path().join("out/latest/report.html")).unwrap().contains("Invalid"));
    let same: Vec<&str> =
        args.iter().copied().filter(|a| *a != "--bug" && *a != "leader-local-read").collect();
    let (code, stdout, _) = run_in(&same, directory.path());
    assert_eq!(code, 0, "the same seed without the bug: {stdout}");
}

#[test]
fn a_seed_is_the_run_bit_for_bit_in_fresh_processes() {
    let directory = tempfile::tempdir().unwrap();
    let trace = |seed: &str| {
        run_sim(&["--trace", "--seed", seed, "--nemesis", "partition,kill,pause"], directory.path()).1
    };
    let (one, two, other) = (trace("5"), trace("5"), trace("6"));
    let hash = |text: &str| text.split("trace ").nth(1).unwrap()[..16].to_string();
    assert_eq!(one, two);
    assert_ne!(hash(&one), hash(&other));
    assert_ne!(hash(&one), "0000000000000000");
}

#[test]
fn a_truncated_file_is_judged_up_to_its_end_and_never_valid() {
    let directory = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run_sim(&["--nemesis", "none", "--results", "out"], directory.path());
    assert_eq!(code, 0, "{stdout}{stderr}");
    let file = directory.path().join("out/latest/history.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, &text[..text.len() * 3 / 4]).unwrap();
    let (code, stdout, _) = run_in(&["check", "out/latest"], directory.path());
    assert_eq!(code, 2, "{stdout}");
    assert!(stdout.contains("unknown"), "{stdout}");
    fs::write(&file, text.replacen("\"type\":\"ok\"", "\"type\":\"info\"", 1)).unwrap();
    let (code, _, stderr) = run_in(&["check", "out/latest"], directory.path());
    assert_eq!(code, 254);
    assert!(stderr.contains("history.jsonl:"), "{stderr}");
}

#[test]
fn a_malformed_history_names_file_line_and_column_and_judges_nothing_in_silence() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    let invoke =
        "{\"process\":0,\"time\":1,\"type\":\"invoke\",\"f\":\"read\",\"key\":\"x\",\"value\":null}\n";
    write("twice.jsonl", &invoke.repeat(2));
    write("empty.jsonl", "");
    write("binary.jsonl", "\u{0}\u{1}\u{2}");
    let complete = invoke.replace("invoke", "ok");
    write("good.jsonl", &format!("{invoke}{complete}"));
    for (file, expected) in [
        ("twice.jsonl", "twice.jsonl:2:1: double invoke"),
        ("empty.jsonl", "the file is empty"),
        ("binary.jsonl", "binary"),
        ("missing.jsonl", "missing.jsonl"),
    ] {
        let (code, stdout, stderr) = run_in(&["check", file], directory.path());
        assert_eq!(code, 254, "{file}: {stdout}{stderr}");
        assert!(stderr.contains(expected), "{file}: {stderr}");
    }
    // One bad file costs its own verdict only.
    let (code, stdout, _) = run_in(&["check", "twice.jsonl", "good.jsonl"], directory.path());
    assert_eq!(code, 254);
    assert!(stdout.contains("good.jsonl: valid"), "{stdout}");
}

#[test]
fn no_ok_op_is_vacuous() {
    let directory = tempfile::tempdir().unwrap();
    let invoke = "{\"process\":0,\"time\":1,\"type\":\"invoke\",\"f\":\"write\",\"key\":\"x\",\"value\":1}\n";
    fs::write(directory.path().join("h.jsonl"), format!("{invoke}{}", invoke.replace("invoke", "info")))
        .unwrap();
    let (code, stdout, _) = run_in(&["check", "h.jsonl"], directory.path());
    assert_eq!(code, 2, "{stdout}");
    assert!(stdout.contains("unknown: vacuous"), "{stdout}");
}

#[test]
fn a_cluster_that_answers_nothing_is_vacuous() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("plan.txt"), "at 10ms for 5900ms kill all\n").unwrap();
    let (code, stdout, _) = run_sim(&["--schedule", "plan.txt"], directory.path());
    assert_eq!(code, 2, "{stdout}");
    assert!(stdout.contains("vacuous"), "{stdout}");
}

#[test]
fn everything_listed_can_be_explained() {
    let directory = tempfile::tempdir().unwrap();
    for kind in ["workloads", "nemeses", "targets", "bugs", "checkers", "models"] {
        let (code, stdout, _) = run_in(&["list", kind, "--json"], directory.path());
        assert_eq!(code, 0, "{kind}");
        let list: Value = serde_json::from_str(&stdout).unwrap();
        let items = list["items"].as_array().unwrap();
        assert!(items.len() >= 3, "{kind}: {stdout}");
        for item in items {
            let name = item["name"].as_str().unwrap();
            let (code, stdout, stderr) = run_in(&["explain", name], directory.path());
            assert_eq!(code, 0, "{name}: {stderr}");
            assert!(stdout.contains(name), "{stdout}");
        }
    }
    for kind in ["providers", "promises", "formats"] {
        assert_eq!(run_in(&["list", kind], directory.path()).0, 0, "{kind}");
    }
}

#[test]
fn many_seeds_come_in_order_and_the_worst_decides() {
    let directory = tempfile::tempdir().unwrap();
    let (code, stdout, _) = run_sim(&["--seeds", "3..7", "--nemesis", "none"], directory.path());
    assert_eq!(code, 0, "{stdout}");
    let seeds: Vec<&str> = stdout
        .lines()
        .filter(|l| l.starts_with("seed"))
        .map(|l| l.split_whitespace().nth(1).unwrap())
        .collect();
    assert_eq!(seeds, ["3", "4", "5", "6"]);
    assert!(stdout.contains("4 seeds: 4 valid, 0 unknown, 0 invalid"), "{stdout}");
}

#[test]
fn a_server_on_a_public_address_needs_a_token() {
    let (code, _, stderr) = run(&["serve", ".", "--bind", "0.0.0.0:0"]);
    assert_eq!(code, 254, "{stderr}");
    assert!(stderr.contains("--token"), "{stderr}");
}
