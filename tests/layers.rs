//! The architecture as a test: who may import whom, what each folder may not contain, how long a file may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The table of ARCHITECTURE.md: crate → crates of ours that it may import.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let rows: [(&str, &[&str]); 9] = [
        ("history", &[]),
        ("checkers", &["history"]),
        ("workloads", &["history", "checkers"]),
        ("nemeses", &["history"]),
        ("agent", &["history"]),
        ("nodes", &["history", "agent"]),
        ("store", &[]),
        ("sim", &["history", "workloads", "nemeses", "checkers", "store"]),
        ("targets", &["history", "workloads", "nodes", "agent", "store", "sim"]),
    ];
    rows.into_iter().map(|(name, deps)| (name, deps.iter().copied().collect())).collect()
}

/// Foreign crates that would bring I/O, threads or async into a pure one.
const HEAVY: [&str; 6] = ["tokio", "russh", "axum", "clap", "tera", "plotters"];
const PURE: [&str; 5] = ["history", "checkers", "workloads", "nemeses", "sim"];

fn dependencies(manifest: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(manifest).unwrap();
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap();
            found.insert(name.to_string());
        }
    }
    found
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let allowed = allowed();
    for (name, may) in &allowed {
        let found = dependencies(&root().join(name).join("Cargo.toml"));
        let ours: BTreeSet<&str> =
            found.iter().map(String::as_str).filter(|d| allowed.contains_key(d)).collect();
        let excess: Vec<_> = ours.difference(may).collect();
        assert!(
            excess.is_empty(),
            "{name} imports {excess:?}, which the table of ARCHITECTURE.md does not allow"
        );
    }
    for name in PURE {
        let found = dependencies(&root().join(name).join("Cargo.toml"));
        let heavy: Vec<_> = HEAVY.iter().filter(|h| found.contains(**h)).collect();
        assert!(heavy.is_empty(), "{name} is pure and must not depend on {heavy:?}");
    }
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn all_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in allowed().keys().copied().chain(["src", "tests"]) {
        rust_files(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "the walk found only {} files", found.len());
    found
}

#[test]
fn files_stay_readable_and_say_what_they_are_for() {
    for path in all_files() {
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().count();
        assert!(lines <= 1000, "{} has {lines} lines: split it", path.display());
        assert!(text.starts_with("//!"), "{} does not open by saying what it is for", path.display());
    }
}

#[test]
fn the_store_does_not_know_the_tester() {
    let mut files = Vec::new();
    rust_files(&root().join("store"), &mut files);
    for path in files {
        let text = fs::read_to_string(&path).unwrap().to_lowercase();
        for word in ["nemesis", "nemeses", "jepsen", "linearizability checker", "crate::history"] {
            assert!(!text.contains(word), "{} mentions {word:?}", path.display());
        }
    }
}

#[test]
fn pure_crates_touch_neither_clock_nor_files() {
    for name in PURE {
        let mut files = Vec::new();
        rust_files(&root().join(name), &mut files);
        for path in files {
            // Tests and examples of a pure crate may read files and time things.
            if path
                .components()
                .any(|c| matches!(c.as_os_str().to_str(), Some("tests" | "tests.rs" | "examples")))
            {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for banned in
                ["Instant::now", "SystemTime::now", "thread::spawn", "std::fs", "std::env", "async fn"]
            {
                assert!(!code.contains(banned), "{} contains {banned}", path.display());
            }
        }
    }
}

#[test]
fn unsafe_code_stays_where_it_is_allowed() {
    for path in all_files() {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        if name.starts_with("agent/") || name.starts_with("nodes/") || name == "tests/layers.rs" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("unsafe {"), "{name} contains unsafe code");
    }
}

/// Names in the documents that must exist: a link to a file that is gone misleads more than none.
#[test]
fn documents_name_files_that_exist() {
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let mut seen = 0;
        for word in text.split(['`', '(', ')', ' ', '\n']) {
            let path = word.trim_end_matches([',', '.', ':', ';']);
            let folder = path.split('/').next().unwrap_or("");
            let ours = allowed().contains_key(folder) || ["src", "tests"].contains(&folder);
            if ours && path.contains('/') && path.ends_with(".rs") && !path.contains('<') {
                seen += 1;
                assert!(root().join(path).exists(), "{document} names {path}, which does not exist");
            }
        }
        assert!(document == "README.md" || seen > 10, "{document} names only {seen} files");
    }
}
