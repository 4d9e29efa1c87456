//! Makes the mistakes listed in `tests/mutants.txt`, one at a time, in a copy, and sees whether a test fails.
//!
//! `mutants [NAME…]`: all, or those whose names contain one of the words. Results are kept in
//! `$TMPDIR/schism-mutants/results.txt` (`$TMPDIR` is /tmp unless said), a line each; what is in there already is not run again unless its text
//! changed (delete the file to start anew). Ends with 1 if a mistake survived, its text was not found, the changed
//! program did not compile, or the unchanged one fails its tests.
#![allow(clippy::disallowed_methods, reason = "an example may read and write files")]

#[path = "../tests/common/mutants.rs"]
mod list;

use list::Mutant;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// A test that runs longer than this is taken to hang, which is a way of failing.
const MOST: Duration = Duration::from_secs(600);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(0) => {}
        Ok(_) => std::process::exit(1),
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(2);
        }
    }
}

/// How many were not killed.
fn run(words: &[String]) -> Result<u32, String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let list = fs::read_to_string(top.join("checkers/tests/mutants.txt")).map_err(|e| e.to_string())?;
    let asked = |m: &Mutant| words.is_empty() || words.iter().any(|w| m.name.contains(w.as_str()));
    let all: Vec<Mutant> = list::read(&list)?.into_iter().filter(asked).collect();
    let dir = std::env::temp_dir().join("schism-mutants");
    let results = dir.join("results.txt");
    fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut known: BTreeMap<String, String> = fs::read_to_string(&results)
        .unwrap_or_default()
        .lines()
        .filter_map(|l| l.split_once('\t'))
        .map(|(id, outcome)| (id.to_string(), outcome.to_string()))
        .collect();
    let (copy, target) = (dir.join("copy"), dir.join("target"));
    let new: Vec<&Mutant> =
        all.iter().filter(|m| m.reason.is_empty() && !known.contains_key(&identity(m))).collect();
    if !new.is_empty() {
        copy_workspace(top, &copy).map_err(|e| format!("copying: {e}"))?;
        unchanged(&new, &copy, &target)?;
    }
    let mut bad = 0;
    for mutant in &all {
        if !mutant.reason.is_empty() {
            println!("not applicable  {}: {}", mutant.name, mutant.reason);
            continue;
        }
        let id = identity(mutant);
        let outcome = match known.get(&id) {
            Some(outcome) => outcome.clone(),
            None => {
                let outcome = judge(mutant, &copy, &target)?;
                known.insert(id, outcome.clone());
                let lines: String = known.iter().map(|(id, o)| format!("{id}\t{o}\n")).collect();
                fs::write(&results, lines).map_err(|e| format!("{}: {e}", results.display()))?;
                outcome
            }
        };
        bad += (outcome != "killed") as u32;
        println!("{outcome:14}  {}", mutant.name);
    }
    Ok(bad)
}

/// Without a mistake every test passes, else its failing would show nothing.
fn unchanged(new: &[&Mutant], copy: &Path, target: &Path) -> Result<(), String> {
    let tests: BTreeSet<&(String, String)> = new.iter().flat_map(|m| &m.tests).collect();
    for (file, name) in tests {
        if !passes(cargo(file, &["--", name], copy, target))? {
            return Err(format!("{file} {name} fails without any mistake"));
        }
    }
    Ok(())
}

/// The name and a number that changes with the mutant.
fn identity(mutant: &Mutant) -> String {
    let text = format!("{:?}", mutant);
    let number =
        text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ b as u64).wrapping_mul(0x100_0000_01b3));
    format!("{} {number:016x}", mutant.name)
}

fn judge(mutant: &Mutant, copy: &Path, target: &Path) -> Result<String, String> {
    let file = copy.join(&mutant.file);
    let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    if text.matches(&mutant.old).count() != 1 {
        return Ok("text not found".into());
    }
    fs::write(&file, text.replace(&mutant.old, &mutant.new)).map_err(|e| e.to_string())?;
    let outcome = test(mutant, copy, target);
    fs::write(&file, text).map_err(|e| e.to_string())?;
    outcome
}

/// Each of its tests has to pass as a whole for it to survive.
fn test(mutant: &Mutant, copy: &Path, target: &Path) -> Result<String, String> {
    for (file, name) in &mutant.tests {
        let built = cargo(file, &["--no-run"], copy, target).status().map_err(|e| format!("cargo: {e}"))?;
        if !built.success() {
            return Ok("does not compile".into());
        }
        if !passes(cargo(file, &["--", name], copy, target))? {
            return Ok("killed".into());
        }
    }
    Ok("survived".into())
}

fn cargo(file: &str, more: &[&str], copy: &Path, target: &Path) -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    command.args(["test", "--offline", "-q", "-p", "checkers", "--test", file]).args(more);
    command.current_dir(copy).env("CARGO_TARGET_DIR", target).env("RUST_BACKTRACE", "0");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn passes(mut command: Command) -> Result<bool, String> {
    let mut child = command.spawn().map_err(|e| format!("cargo: {e}"))?;
    let tick = Duration::from_millis(200);
    let mut waited = Duration::ZERO;
    while waited < MOST {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return Ok(status.success());
        }
        sleep(tick);
        waited += tick;
    }
    child.kill().map_err(|e| e.to_string())?;
    child.wait().map_err(|e| e.to_string())?;
    Ok(false)
}

/// The two crates and a workspace of only these.
fn copy_workspace(top: &Path, copy: &Path) -> std::io::Result<()> {
    for name in ["history", "checkers"] {
        copy_folder(&top.join(name), &copy.join(name))?;
    }
    for name in ["Cargo.lock", "rust-toolchain.toml"] {
        keep_if_equal(&top.join(name), &copy.join(name))?;
    }
    let manifest = fs::read_to_string(top.join("Cargo.toml"))?;
    fs::write(copy.join("Cargo.toml"), trimmed(&manifest))
}

fn trimmed(manifest: &str) -> String {
    // Compiling costs more than these few tests do, so nothing is optimised.
    let mut kept = String::from(
        "[workspace]\nmembers = [\"history\", \"checkers\"]\nresolver = \"3\"\n\n[profile.dev]\ndebug = false\n\n",
    );
    let ours = ["history", "checkers"];
    let mut keep = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            keep = line.starts_with("[workspace.");
        }
        let foreign = line.contains("{ path = ") && !ours.iter().any(|o| line.starts_with(o));
        if keep && !foreign {
            kept += line;
            kept.push('\n');
        }
    }
    kept
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to: PathBuf = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &to)?,
            false => keep_if_equal(&entry.path(), &to)?,
        }
    }
    Ok(())
}

/// A file that is not touched is not compiled again.
fn keep_if_equal(from: &Path, to: &Path) -> std::io::Result<()> {
    let new = fs::read(from)?;
    match fs::read(to).is_ok_and(|old| old == new) {
        true => Ok(()),
        false => fs::write(to, new),
    }
}
