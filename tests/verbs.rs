//! `lint`, `convert`, `shrink` and `explain` as a user meets them: what they print, write and refuse.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

fn run_in(args: &[&str], directory: &Path) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_schism"))
        .args(args)
        .current_dir(directory)
        .env("NO_COLOR", "1")
        .env("CI", "1")
        .output()
        .expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// The history of a simulated run that is invalid, the same for all tests.
fn invalid_run() -> &'static str {
    static HISTORY: OnceLock<String> = OnceLock::new();
    HISTORY.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let what =
            ["sim", "--bug", "leader-local-read", "--nemesis", "isolate-leader", "--concurrency", "10n"];
        let how =
            ["--time-limit", "14", "--interval", "3", "--rate", "200", "--seed", "1", "--results", "out"];
        let (code, stdout, stderr) = run_in(&[&what[..], &how].concat(), directory.path());
        assert_eq!(code, 1, "{stdout}{stderr}");
        fs::read_to_string(directory.path().join("out/latest/history.jsonl")).unwrap()
    })
}

/// A directory with that history as `h.jsonl`.
fn with_run() -> tempfile::TempDir {
    with_file("h.jsonl", invalid_run())
}

fn with_file(name: &str, text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(name), text).unwrap();
    directory
}

fn lines(ops: &[(u32, &str, &str, &str)]) -> String {
    let line = |(process, kind, f, rest): &(u32, &str, &str, &str)| {
        format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",{rest}}}\n")
    };
    ops.iter().map(line).collect()
}

/// The verdict, the pattern and the counts of ops, as `check` finds them.
fn checked(file: &str, directory: &Path) -> (Value, Value, Value) {
    let (_, stdout, stderr) = run_in(&["check", "--json", file], directory);
    let document: Value = serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{file}: {e}: {stderr}"));
    let run = &document["runs"][0];
    (run["verdict"].clone(), run["pattern"].clone(), run["ops"].clone())
}

#[test]
fn a_history_keeps_verdict_and_ops_through_every_format_and_back() {
    let directory = with_run();
    let before = checked("h.jsonl", directory.path());
    for between in ["h.edn", "h.txt", "h.json"] {
        for (from, to) in [("h.jsonl", between), (between, "back.jsonl")] {
            let (code, stdout, stderr) = run_in(&["convert", from, to, "--force"], directory.path());
            assert_eq!(code, 0, "{from} {to}: {stdout}{stderr}");
        }
        assert_eq!(checked("back.jsonl", directory.path()), before, "by way of {between}");
    }
}

#[test]
fn converting_says_what_is_lost_and_never_gains_completeness() {
    let directory = with_run();
    let (_, stdout, _) = run_in(&["convert", "h.jsonl", "h.txt"], directory.path());
    assert!(stdout.contains("not kept: times") && stdout.contains("workload register"), "{stdout}");
    let cut = &invalid_run()[..invalid_run().len() / 2];
    fs::write(directory.path().join("cut.jsonl"), cut).unwrap();
    for to in ["cut.edn", "cut.txt", "cut.json"] {
        let (code, _, stderr) = run_in(&["convert", "cut.jsonl", to], directory.path());
        assert_eq!(code, 0, "{stderr}");
        let (_, stdout, _) = run_in(&["lint", to], directory.path());
        assert!(stdout.contains("truncated"), "{to}: {stdout}");
    }
    let (code, stdout, stderr) = run_in(&["convert", "h.jsonl", "-", "--to", "edn"], directory.path());
    assert_eq!(code, 0);
    assert!(stdout.starts_with("{:index 0") && stderr.contains("jepsen-edn"), "{stderr}");
}

#[test]
fn converting_refuses_what_it_cannot_do() {
    let directory = with_run();
    fs::write(directory.path().join("there.edn"), "mine").unwrap();
    let mixed = [(0, "invoke", "add", "\"value\":1"), (1, "invoke", "write", "\"key\":\"x\",\"value\":1")];
    fs::write(directory.path().join("mixed.jsonl"), lines(&mixed)).unwrap();
    let cases: [(&[&str], &str); 7] = [
        (&["h.jsonl", "there.edn"], "there.edn: is there already; --force"),
        (&["h.jsonl", "h.log"], "h.log: its extension names no format"),
        (&["h.jsonl", "-"], "stdout has no extension"),
        (&["h.jsonl", "x.log", "--to", "porcupine-log"], "porcupine-log cannot hold it: it is only read"),
        (&["h.jsonl", "x.log", "--to", "jepsen-end"], "did you mean \"jepsen-edn\""),
        (&["nowhere.jsonl", "x.edn"], "nowhere.jsonl: "),
        (&["mixed.jsonl", "x.edn"], "mixed.jsonl: jepsen-edn cannot hold it: "),
    ];
    for (args, expected) in cases {
        let (code, _, stderr) = run_in(&[&["convert"], args].concat(), directory.path());
        assert_eq!(code, 254, "{args:?}: {stderr}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
    assert_eq!(fs::read_to_string(directory.path().join("there.edn")).unwrap(), "mine");
    assert!(!directory.path().join("x.edn").exists());
}

/// Pairs that are values of one register look like keys and values; only the user knows.
#[test]
fn independent_says_what_pairs_mean() {
    let ops = "{:process 0, :type :invoke, :f :write, :value [1 2]}\n{:process 0, :type :ok, :f :write, :value [1 2]}\n\
               {:process 1, :type :invoke, :f :write, :value [2 3]}\n{:process 1, :type :ok, :f :write, :value [2 3]}\n";
    let directory = with_file("pairs.edn", ops);
    for (word, keys) in [("yes", "2 keys"), ("no", "1 keys")] {
        let (_, stdout, stderr) = run_in(&["check", "--independent", word, "pairs.edn"], directory.path());
        assert!(stdout.contains(keys), "{word}: {stdout}{stderr}");
    }
    let (code, _, stderr) = run_in(&["check", "--independent", "maybe", "pairs.edn"], directory.path());
    assert!(code == 254 && stderr.contains("--independent"), "{stderr}");
}

#[test]
fn lint_names_duplicate_writes_and_where_they_are() {
    let twice = [
        (0, "invoke", "write", "\"key\":\"x\",\"value\":1"),
        (0, "ok", "write", "\"key\":\"x\",\"value\":1"),
        (0, "invoke", "write", "\"key\":\"x\",\"value\":1"),
        (0, "ok", "write", "\"key\":\"x\",\"value\":1"),
    ];
    let directory = with_file("twice.jsonl", &lines(&twice));
    let (code, stdout, _) = run_in(&["lint", "twice.jsonl"], directory.path());
    assert_eq!(code, 0, "{stdout}");
    assert!(
        stdout.contains("duplicate-writes ×1") && stdout.contains("line 3      #1 p0 write x 1"),
        "{stdout}"
    );
    let (code, stdout, _) = run_in(&["lint", "--json", "twice.jsonl"], directory.path());
    let document: Value = serde_json::from_str(&stdout).unwrap();
    let findings = document["files"][0]["findings"].as_array().unwrap();
    let found = findings.iter().find(|f| f["name"] == "duplicate-writes").unwrap();
    assert_eq!((code, &found["count"], &found["ops"][0]["line"]), (0, &Value::from(1), &Value::from(3)));
}

#[test]
fn lint_of_an_unreadable_file_names_it_and_still_reads_the_others() {
    let directory = with_run();
    fs::write(directory.path().join("bad.jsonl"), "{\"process\":0,\"type\":\"ok\",\"f\":\"read\"}\n")
        .unwrap();
    let (code, stdout, stderr) = run_in(&["lint", "bad.jsonl", "h.jsonl"], directory.path());
    assert_eq!(code, 254);
    assert!(stderr.contains("bad.jsonl:1:1: completion without invocation"), "{stderr}");
    assert!(stdout.contains("h.jsonl: "), "{stdout}");
}

#[test]
fn a_shrunk_run_is_a_dozen_ops_that_are_invalid_again() {
    let directory = with_run();
    let (code, stdout, stderr) = run_in(&["shrink", "h.jsonl"], directory.path());
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(stdout.contains("alone they are still invalid: stale read"), "{stdout}");
    let (verdict, pattern, ops) = checked("h.core.jsonl", directory.path());
    assert_eq!((verdict, pattern), (Value::from("invalid"), Value::from("stale read")));
    let count: u64 = ["ok", "fail", "info"].iter().filter_map(|kind| ops[kind].as_u64()).sum();
    assert!((2..=12).contains(&count), "{ops}");
    let (code, stdout, stderr) = run_in(&["shrink", "h.jsonl", "--as-test"], directory.path());
    assert_eq!(code, 1);
    assert!(stdout.contains("fn stale_read()") && stdout.contains("Some(\"invalid\")"), "{stdout}");
    let notation = stdout.split("r\"\n").nth(1).and_then(|s| s.split("\n\"").next()).unwrap();
    assert_eq!(history::text::parse(notation).unwrap().len() as u64, count);
    assert!(stderr.contains("written h.core.jsonl"), "{stderr}");
}

/// Both open writes of 2 are one line of the counterexample; without them a read of 2 would be out of thin air.
#[test]
fn a_core_keeps_the_ops_that_made_what_it_saw() {
    let value = |value: &str| format!("\"key\":\"x\",\"value\":{value}");
    let [none, one, two] = ["null", "1", "2"].map(value);
    let ops = [
        (0, "invoke", "write", one.as_str()),
        (0, "ok", "write", &one),
        (2, "invoke", "write", &two),
        (3, "invoke", "write", &two),
        (1, "invoke", "read", &none),
        (1, "ok", "read", &two),
        (1, "invoke", "read", &none),
        (1, "ok", "read", &one),
    ];
    let directory = with_file("old.jsonl", &lines(&ops));
    let (_, pattern, _) = checked("old.jsonl", directory.path());
    assert_eq!(pattern, "new/old inversion");
    let (code, stdout, stderr) = run_in(&["shrink", "old.jsonl"], directory.path());
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(stdout.contains("2 more that made what they saw"), "{stdout}");
    assert_eq!(checked("old.core.jsonl", directory.path()).1, "new/old inversion", "{stdout}");
}

#[test]
fn shrink_of_a_valid_history_says_so_and_writes_nothing() {
    let write = [
        (0, "invoke", "write", "\"key\":\"x\",\"value\":1"),
        (0, "ok", "write", "\"key\":\"x\",\"value\":1"),
    ];
    let directory = with_file("fine.jsonl", &lines(&write));
    let (code, stdout, _) = run_in(&["shrink", "fine.jsonl"], directory.path());
    assert_eq!(code, 0);
    assert!(stdout.contains("fine.jsonl: valid, so there is nothing to shrink"), "{stdout}");
    assert!(!directory.path().join("fine.core.jsonl").exists());
    fs::write(directory.path().join("mine"), "mine").unwrap();
    let (code, _, stderr) = run_in(&["shrink", "fine.jsonl", "-o", "mine"], directory.path());
    assert!(code == 254 && stderr.contains("mine: is there already"), "{stderr}");
}

#[test]
fn explain_draws_a_file_and_still_knows_the_names() {
    let directory = with_run();
    let (code, stdout, stderr) = run_in(&["explain", "h.jsonl"], directory.path());
    assert_eq!(code, 1, "{stdout}{stderr}");
    let (_, json, _) = run_in(&["check", "--json", "h.jsonl"], directory.path());
    let document: Value = serde_json::from_str(&json).unwrap();
    let diagnosis = document["runs"][0]["diagnosis"].as_str().unwrap();
    // The paragraph is wrapped for the terminal.
    assert!(stdout.replace('\n', " ").contains(diagnosis), "{diagnosis}\n{stdout}");
    let parts =
        ["h.jsonl: invalid: stale read", "|--", "← here no order is left", "state ", "cannot follow: needs"];
    for part in parts.iter().chain(&["Real time", "Strikes that were on", "isolate leader (n"]) {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let (code, stdout, _) = run_in(&["explain", "leader-local-read"], directory.path());
    assert!(code == 0 && stdout.starts_with("bug leader-local-read"), "{stdout}");
    let (code, _, stderr) = run_in(&["explain", "nowhere.jsonl"], directory.path());
    assert!(code == 254 && stderr.contains("nowhere.jsonl: there is no such file"), "{stderr}");
}

/// One bar that ended before another began also ends to the left of it.
#[test]
fn lanes_keep_the_order_of_events() {
    let ops = [
        (0, "invoke", "write", "\"key\":\"x\",\"value\":1"),
        (0, "ok", "write", "\"key\":\"x\",\"value\":1"),
        (1, "invoke", "read", "\"key\":\"x\",\"value\":null"),
        (1, "ok", "read", "\"key\":\"x\",\"value\":null"),
    ];
    let directory = with_file("nil.jsonl", &lines(&ops));
    let (code, stdout, _) = run_in(&["explain", "nil.jsonl"], directory.path());
    assert_eq!(code, 1, "{stdout}");
    let bar = |process: &str| {
        let line = stdout
            .lines()
            .find(|l| l.contains(process) && l.contains('|'))
            .unwrap_or_else(|| panic!("{stdout}"));
        (
            line.chars().position(|c| c == '|').unwrap(),
            line.chars().count() - 1 - line.chars().rev().position(|c| c == '|').unwrap(),
        )
    };
    let (write, read) = (bar("p0  write x 1"), bar("p1  read x → nil"));
    assert!(write.0 < write.1 && write.1 < read.0 && read.0 < read.1, "{stdout}");
}

#[test]
fn what_a_set_says_of_single_elements_is_evidence_beside_whole_reads() {
    let call = |p: u32, t: u32, f: &str, asked: &str, said: &str| {
        let line = |t: u32, kind: &str, value: &str| {
            format!(
                "{{\"process\":{p},\"time\":{t},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":\"s\",\"value\":{value}}}\n"
            )
        };
        line(t, "invoke", asked) + &line(t + 1, "ok", said)
    };
    let read = call(1, 5, "read", "null", "[1]");
    for (says, text) in [
        ("h.jsonl: valid", call(0, 1, "add", "1", "1") + &read),
        ("h.jsonl: valid", call(0, 1, "add", "1", "false") + &read),
        ("needs it inside, set is []", call(0, 1, "add", "1", "true") + &read),
        ("h.jsonl: valid", call(0, 1, "add", "1", "1") + &read + &call(0, 7, "contains", "1", "true")),
        (
            "needs it outside, set is [1]",
            call(0, 1, "add", "1", "1") + &read + &call(0, 7, "contains", "1", "false"),
        ),
    ] {
        let directory = with_file("h.jsonl", &text);
        let (code, stdout, stderr) = run_in(&["check", "h.jsonl"], directory.path());
        assert!(stdout.contains(says), "{code} {says}: {stdout}{stderr}");
    }
}

#[test]
fn a_page_is_drawn_in_full_whatever_the_record_says_of_times() {
    let ops = |time: &str| {
        let says = |value: &str| format!("\"value\":{value}{time}");
        let rows = [("write", "1", "1"), ("write", "2", "2"), ("read", "null", "1")];
        rows.map(|(f, asked, answered)| {
            let (asked, answered) = (says(asked), says(answered));
            lines(&[(0, "invoke", f, &asked), (0, "ok", f, &answered)])
        })
    };
    let [write, other, read] = ops("");
    let [stamped, other_stamped, read_stamped] = ops(",\"time\":5");
    for (verdict, text, without) in [
        ("invalid", write.clone() + &other + &read, true),
        ("valid", write + &read, true),
        // Equal stamps are concurrent, so the read may come before the second write.
        ("valid", stamped + &other_stamped + &read_stamped, false),
    ] {
        let directory = with_file("h.jsonl", &text);
        let (_, stdout, stderr) = run_in(&["check", "--report", "h.jsonl"], directory.path());
        assert!(stdout.starts_with(&format!("h.jsonl: {verdict}")), "{stdout}{stderr}");
        assert!(!stderr.contains("could not") && !stderr.contains("panicked"), "{stderr}");
        let page = fs::read_to_string(directory.path().join("h.report.html")).unwrap();
        assert!(page.contains("class=\"ce-h\""), "nothing is drawn");
        assert!(
            page.contains("href=\"./h.jsonl\"") && !page.contains("history.jsonl"),
            "another file is named"
        );
        assert_eq!(page.contains("order only,"), without);
    }
}
