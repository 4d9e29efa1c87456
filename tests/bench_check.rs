//! `schism bench check` as a command: its rows, and its exit code. That a machine is fast is not tested here.

use std::path::Path;
use std::process::Command;

fn bench(args: &[&str], directory: &Path) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_schism"))
        .args(["bench", "check"])
        .args(args)
        .current_dir(directory)
        .output()
        .expect("the binary runs");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_row_has_both_judges_and_a_missed_floor_is_exit_code_one() {
    let directory = tempfile::tempdir().unwrap();
    let args = ["--family", "register:unique:c5:n1k", "--cap", "5"];
    let (code, says) = bench(&args, directory.path());
    assert_eq!(code, 0, "{says}");
    assert!(says.contains("register:unique:c5:n1k") && says.contains("1000 ops: valid by decider"), "{says}");
    assert!(says.contains("baseline"), "{says}");
    let (code, says) = bench(&[&args[..], &["--ratio", "1e15"]].concat(), directory.path());
    assert_eq!(code, 1, "{says}");
    assert!(says.contains("MISS"), "{says}");
    assert_eq!(bench(&["--family", "register:unique:x5"], directory.path()).0, 254);
}

#[test]
fn stale_families_are_refuted_told_and_the_same_at_any_number_of_threads() {
    let directory = tempfile::tempdir().unwrap();
    let (code, says) = bench(&["--stream", "--family", "register:unique:c5:n2k:stale"], directory.path());
    assert_eq!(code, 0, "{says}");
    assert!(says.contains("invalid by stream"), "{says}");
    let (code, says) = bench(&["--compare", "--family", "set:c5:n1k:stale,cas:5:c5:n500"], directory.path());
    assert_eq!(code, 0, "{says}");
    assert_eq!(says.matches("the same").count(), 2, "{says}");
}

/// What is refused in one pass is judged without it.
#[test]
fn a_stream_is_judged_or_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let line = |time: u32, kind: &str, f: &str, value: &str| {
        format!("{{\"time\":{time},\"process\":0,\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n")
    };
    let check = |name: &str, lines: &[String]| {
        let file = directory.path().join(name);
        std::fs::write(&file, lines.concat()).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_schism"))
            .args(["check", "--stream"])
            .arg(&file)
            .output()
            .expect("the binary runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
    };
    let wrote = [line(1, "invoke", "write", "1"), line(2, "ok", "write", "1")];
    let read = |value: &str| [line(3, "invoke", "read", "null"), line(4, "ok", "read", value)];
    assert_eq!(check("good.jsonl", &[wrote.clone(), read("1")].concat()).0, 0);
    let (code, says) = check("bad.jsonl", &[wrote.clone(), read("null")].concat());
    assert!(code == 1 && says.contains("the initial value was read"), "{says}");
    let (code, says) = check("cas.jsonl", &[line(1, "invoke", "cas", "[1,2]")]);
    assert!(code == 254 && says.contains("run without --stream"), "{says}");
    let twice = [line(3, "invoke", "write", "1")];
    let (code, says) = check("twice.jsonl", &[wrote.to_vec(), twice.to_vec()].concat());
    assert!(code == 254 && says.contains("for the second time"), "{says}");
}
