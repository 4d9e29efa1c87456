//! What is said about files of others, byte by byte: those that are no history (`tests/hostile/`), and those that are, in
//! every format that has a name (`tests/readable/`; what `lint` says of the files with `.lint.` in their name).
//!
//! Beside each file lies `<name>.expected`: the exit code, stderr, then stdout. `BLESS=1 cargo test --test hostile`
//! writes what is said now; read the difference before committing it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `exit N`, then stderr, then stdout.
fn said(file: &Path) -> String {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let verb = if name.contains(".lint.") { "lint" } else { "check" };
    let output = Command::new(env!("CARGO_BIN_EXE_schism"))
        .args([verb, &name])
        .current_dir(file.parent().unwrap())
        .env("NO_COLOR", "1")
        .env("CI", "1")
        .output()
        .expect("the binary runs");
    let code = output.status.code().map_or("none".to_string(), |c| c.to_string());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("exit {code}\n{}{}", text(&output.stderr), text(&output.stdout))
}

fn golden(folder: &str, least: usize) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let bless = std::env::var_os("BLESS").is_some();
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|e| e != "expected"))
        .collect();
    files.sort();
    assert!(files.len() >= least, "only {} files", files.len());
    let (mut wrong, mut silent) = (Vec::new(), Vec::new());
    for file in &files {
        let now = said(file);
        let name = file.file_name().unwrap().to_string_lossy();
        if !now.contains(&*name) || now.contains("panicked") || now.contains("bug in this program") {
            silent.push(format!("{name}: {now}"));
        }
        let golden = folder.join(format!("{name}.expected"));
        if bless {
            fs::write(&golden, &now).unwrap();
            continue;
        }
        let then = fs::read_to_string(&golden).unwrap_or_default();
        if now != then {
            wrong.push(format!("{name}\nexpected\n{then}found\n{now}"));
        }
    }
    assert!(silent.is_empty(), "messages that do not name their file:\n{}", silent.join("\n"));
    let (differ, all) = (wrong.len(), files.len());
    assert!(wrong.is_empty(), "{differ} of {all} differ (BLESS=1 takes them over):\n{}", wrong.join("\n"));
}

#[test]
fn every_malformed_file_is_told_what_is_wrong_with_it_and_where() {
    golden("hostile", 60);
}

#[test]
fn files_of_others_are_read_and_what_weakens_them_is_said_with_lines_and_consequences() {
    golden("readable", 15);
}
