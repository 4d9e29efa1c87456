//! The mutants of `cargo mutants`, compiled together and switched on one at a time.
//!
//! `cargo mutants` compiles the crate anew for each, which takes longer than most tests do. Here all of them are put
//! into one copy behind a switch (`schema.rs`); a survey says which test reaches which mutant and how long it takes;
//! then each mutant meets the tests that reach it, the quickest first, until one fails. Not here: what is a mutant
//! (`cargo mutants --list`), which files are examined (`.cargo/mutants.toml`).
//!
//! `mutants DIR make | survey | run [--took FROM TO] [WORD…] | sum`. Everything is kept in DIR, so each can be stopped and
//! resumed: `run` leaves out what was caught before (and, if told, tests that take other times), `survey` what was
//! measured since the tests were built.

mod schema;
mod work;

use schema::Mutant;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

type Outcome<T> = Result<T, String>;

/// The test binaries of the crate that are asked; the corpora need data.
const TESTS: [&str; 13] = [
    "checkers",
    "collections",
    "cores",
    "costs",
    "deciders",
    "differential",
    "linearizable",
    "metamorphic",
    "mutants",
    "objects",
    "objects_told",
    "small_worlds",
    "told",
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [dir, "make"] => make(Path::new(dir)),
        [dir, "survey"] => executables(Path::new(dir)).and_then(|e| work::survey(Path::new(dir), &e)),
        [dir, "run", "--took", from, to, words @ ..] => match (from.parse(), to.parse()) {
            (Ok(from), Ok(to)) => {
                listed(Path::new(dir)).and_then(|all| work::run(Path::new(dir), &all, words, from..to))
            }
            _ => Err("--took FROM TO: milliseconds".into()),
        },
        [dir, "run", words @ ..] => {
            listed(Path::new(dir)).and_then(|all| work::run(Path::new(dir), &all, words, 0..u64::MAX))
        }
        [dir, "sum"] => listed(Path::new(dir)).and_then(|all| work::sum(Path::new(dir), &all)),
        _ => Err("mutants DIR make | survey | run [--took FROM TO] [WORD…] | sum".into()),
    };
    if let Err(e) = done {
        eprintln!("{e}");
        std::process::exit(1);
    }
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn write(path: &Path, text: &str) -> Outcome<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

/// The lines of a file that may not be there yet.
fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_string).collect()
}

/// All mutants, by file.
fn listed(dir: &Path) -> Outcome<BTreeMap<String, Vec<Mutant>>> {
    let list: Vec<Value> =
        serde_json::from_str(&read(&dir.join("list.json"))?).map_err(|e| format!("list.json: {e}"))?;
    let mut all: BTreeMap<String, Vec<Mutant>> = BTreeMap::new();
    for (i, m) in list.iter().enumerate() {
        let text = |key: &str| m[key].as_str().unwrap_or_default().to_string();
        let start = &m["span"]["start"];
        let number = |key: &str| start[key].as_u64().unwrap_or(1) as usize;
        all.entry(text("file")).or_default().push(Mutant {
            id: i as u32 + 1,
            genre: text("genre"),
            from: (number("line"), number("column")),
            replacement: text("replacement"),
            name: text("name"),
        });
    }
    Ok(all)
}

/// The copy with all mutants that compile, and its test binaries.
fn make(dir: &Path) -> Outcome<()> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let tree = dir.join("tree");
    fs::create_dir_all(&tree).map_err(|e| e.to_string())?;
    let list = Command::new("cargo")
        .args(["mutants", "-p", "checkers", "--list", "--json"])
        .current_dir(top)
        .output()
        .map_err(|e| format!("cargo mutants: {e}"))?;
    write(&dir.join("list.json"), &String::from_utf8_lossy(&list.stdout))?;
    let all = listed(dir)?;
    let switched: BTreeSet<PathBuf> = all.keys().map(|file| top.join(file)).collect();
    for name in ["history", "checkers", "Cargo.lock", "rust-toolchain.toml"] {
        copy(&top.join(name), &tree.join(name), &switched)?;
    }
    write(&tree.join("Cargo.toml"), &trimmed(&read(&top.join("Cargo.toml"))?))?;
    let lib = read(&top.join("checkers/lib.rs"))?.replacen(
        "pub mod atomicity;",
        "pub mod atomicity;\npub mod switch;",
        1,
    );
    write(&tree.join("checkers/lib.rs"), &lib)?;
    write(&tree.join("checkers/switch.rs"), include_str!("switch.rs"))?;
    let mut unviable: BTreeSet<String> = lines(&dir.join("unviable.txt")).into_iter().collect();
    loop {
        let mut apart = Vec::new();
        for (file, mutants) in &all {
            let viable: Vec<&Mutant> = mutants.iter().filter(|m| !unviable.contains(&m.name)).collect();
            let (text, unplaced) = schema::with_switches(&read(&top.join(file))?, &viable)
                .map_err(|e| format!("{file}: {e}"))?;
            apart.extend(mutants.iter().filter(|m| unplaced.contains(&m.id)).map(|m| m.name.clone()));
            write(&tree.join(file), &text)?;
        }
        write(&dir.join("apart.txt"), &apart.join("\n"))?;
        let errors = work::cargo(dir, &["check", "-p", "checkers", "--message-format=json"])?;
        let bad = culprits(&errors, &tree);
        let before = unviable.len();
        for m in all.values().flatten().filter(|m| bad.contains(&m.id)) {
            unviable.insert(m.name.clone());
        }
        let kept: String = unviable.iter().map(|n| format!("{n}\n")).collect();
        write(&dir.join("unviable.txt"), &kept)?;
        println!("{} of {} do not compile", unviable.len(), all.values().flatten().count());
        if unviable.len() == before {
            break;
        }
    }
    executables(dir).map(|_| ())
}

/// The mutants on the lines that the compiler complains about, or next above them.
fn culprits(messages: &str, tree: &Path) -> BTreeSet<u32> {
    let mut bad = BTreeSet::new();
    for message in messages.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()) {
        if message["message"]["level"] != "error" {
            continue;
        }
        let spans = message["message"]["spans"].as_array().cloned().unwrap_or_default();
        let mut found = false;
        for span in spans.iter().filter(|s| s["is_primary"] == true) {
            let file = lines(&tree.join(span["file_name"].as_str().unwrap_or_default()));
            // Where the last arm, which is no mutant, differs from those above it, it is one of those.
            let line = span["line_start"].as_u64().unwrap_or(1) as usize;
            let above = file.iter().take(line).rev().find(|l| l.contains("/*m"));
            let marks = above.map(|l| l.split("/*m").skip(1)).into_iter().flatten();
            let ids = marks.filter_map(|m| m.split("*/").next()?.parse::<u32>().ok());
            let ids: Vec<u32> = ids.collect();
            found |= !ids.is_empty();
            bad.extend(ids);
        }
        if !found {
            eprintln!("{}", message["message"]["rendered"].as_str().unwrap_or_default());
        }
    }
    bad
}

fn executables(dir: &Path) -> Outcome<Vec<PathBuf>> {
    let mut args = vec!["test", "--no-run", "-p", "checkers", "--message-format=json", "--lib"];
    let tests = dir.join("tree/checkers/tests");
    args.extend(TESTS.iter().filter(|t| tests.join(format!("{t}.rs")).exists()).flat_map(|t| ["--test", *t]));
    let said = work::cargo(dir, &args)?;
    let found: Vec<PathBuf> = said
        .lines()
        .filter_map(|l| serde_json::from_str::<Value>(l).ok())
        .filter_map(|m| m["executable"].as_str().map(PathBuf::from))
        .collect();
    if found.is_empty() { Err(format!("no test binaries:\n{said}")) } else { Ok(found) }
}

/// The manifest of a workspace of the two crates.
fn trimmed(manifest: &str) -> String {
    let mut kept = String::from(
        "[workspace]\nmembers = [\"history\", \"checkers\"]\nresolver = \"3\"\n\n\
         [profile.dev]\ndebug = false\nincremental = false\nopt-level = 1\n\n",
    );
    let mut keep = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            keep = line.starts_with("[workspace.");
        }
        let ours = ["history", "checkers"].iter().any(|o| line.starts_with(o));
        if keep && (ours || !line.contains("{ path = ")) {
            kept += line;
            kept.push('\n');
        }
    }
    kept
}

/// Into a tree, leaving alone what is equal: a file that is not touched is not compiled again. What gets switches is
/// written by `make`.
fn copy(from: &Path, to: &Path, switched: &BTreeSet<PathBuf>) -> Outcome<()> {
    if !from.is_dir() {
        return write(to, &read(from)?);
    }
    fs::create_dir_all(to).map_err(|e| e.to_string())?;
    for entry in fs::read_dir(from).map_err(|e| e.to_string())? {
        let entry = entry.map_err(|e| e.to_string())?;
        if !switched.contains(&entry.path()) {
            copy(&entry.path(), &to.join(entry.file_name()), switched)?;
        }
    }
    Ok(())
}
