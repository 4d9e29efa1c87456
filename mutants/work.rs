//! Running tests: which reach what, and whether one of them fails.

use super::{Mutant, Outcome, lines, read, write};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Left out: one panics on purpose, which the switch takes for a failure; one reads the folder, which has the switch; one
/// reads the sources, which have the mutants.
const SKIPPED: [&str; 3] = [
    "a_panic_is_unknown_and_hides_nothing",
    "folder_and_list_agree",
    "each_text_occurs_once_and_each_test_exists",
];

/// A test is stopped after this and twenty times what it took without a mutant.
const LEAST: Duration = Duration::from_secs(2);

/// Standard output, whatever the exit code.
pub fn cargo(dir: &Path, args: &[&str]) -> Outcome<String> {
    let run = Command::new("cargo")
        .args(args)
        .arg("--offline")
        .current_dir(dir.join("tree"))
        .env("CARGO_TARGET_DIR", dir.join("target"))
        .env("RUSTFLAGS", "--cap-lints allow")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cargo: {e}"))?;
    Ok(String::from_utf8_lossy(&run.stdout).into_owned())
}

/// One test: how long it takes and which places it reaches.
struct Test {
    binary: PathBuf,
    name: String,
    took: u64,
    reaches: BTreeSet<u32>,
}

#[derive(PartialEq)]
enum End {
    Passed,
    Failed,
    Stopped,
}

fn start(dir: &Path, test: &Path, name: &str, set: &[(&str, &str)], limit: Duration) -> Outcome<End> {
    let mut command = Command::new(test);
    command.args(["--exact", name, "--test-threads=1", "-q"]).envs(set.iter().copied());
    command.stdout(Stdio::null()).stderr(Stdio::null()).env("RUST_BACKTRACE", "0");
    command.current_dir(dir.join("tree/checkers"));
    let mut child = command.spawn().map_err(|e| format!("{}: {e}", test.display()))?;
    let began = Instant::now();
    let mut tick = Duration::from_millis(1);
    while began.elapsed() < limit {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) if status.success() => return Ok(End::Passed),
            Some(_) => return Ok(End::Failed),
            None => sleep(tick),
        }
        tick = (tick * 2).min(Duration::from_millis(50));
    }
    child.kill().and_then(|()| child.wait()).map_err(|e| e.to_string())?;
    Ok(End::Stopped)
}

/// A binary out of the way of the next build; if it is another than before, so is what was measured.
fn keep(dir: &Path, binary: &Path, known: &mut BTreeMap<String, String>) -> Outcome<PathBuf> {
    let failed = |e: std::io::Error| format!("{}: {e}", binary.display());
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).map_err(failed)?;
    let to = bin.join(binary.file_name().unwrap_or_default());
    if fs::read(&to).ok() != Some(fs::read(binary).map_err(failed)?) {
        // In one step: a `run` may be at work.
        let new = to.with_extension("new");
        fs::copy(binary, &new).and_then(|_| fs::rename(&new, &to)).map_err(failed)?;
        let prefix = format!("{}\t", to.display());
        known.retain(|id, _| !id.starts_with(&prefix));
    }
    Ok(to)
}

/// Runs each test without a mutant: it has to pass.
pub fn survey(dir: &Path, binaries: &[PathBuf]) -> Outcome<()> {
    let path = dir.join("tests.tsv");
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for line in lines(&path).into_iter().filter(|l| !l.is_empty()) {
        known.insert(line.split('\t').take(2).collect::<Vec<_>>().join("\t"), line);
    }
    let mut all = Vec::new();
    let kept = binaries.iter().map(|b| keep(dir, b, &mut known)).collect::<Outcome<Vec<PathBuf>>>()?;
    for binary in &kept {
        let said =
            Command::new(binary).args(["--list", "--format", "terse"]).output().map_err(|e| e.to_string())?;
        let ignored = Command::new(binary)
            .args(["--list", "--ignored", "--format", "terse"])
            .output()
            .map_err(|e| e.to_string())?;
        let ignored = String::from_utf8_lossy(&ignored.stdout).into_owned();
        for name in String::from_utf8_lossy(&said.stdout).lines().filter_map(|l| l.strip_suffix(": test")) {
            if SKIPPED.contains(&name) || ignored.lines().any(|l| l.strip_suffix(": test") == Some(name)) {
                continue;
            }
            let id = format!("{}\t{name}", binary.display());
            if let Some(line) = known.remove(&id) {
                all.push(line);
                continue;
            }
            let reached = dir.join("reached.txt");
            let _ = fs::remove_file(&reached);
            let began = Instant::now();
            let set = [("MUTANTS_REACHED", reached.to_str().unwrap_or_default())];
            if start(dir, binary, name, &set, Duration::from_secs(600))? != End::Passed {
                return Err(format!("{id} fails without any mutant"));
            }
            let took = began.elapsed().as_millis();
            let places = lines(&reached).join(" ");
            println!("{took:7} ms {:5} places  {name}", lines(&reached).len());
            all.push(format!("{id}\t{took}\t{places}"));
            let rest: Vec<String> = known.values().cloned().collect();
            write(&path, &([all.join("\n"), rest.join("\n"), String::new()].join("\n")))?;
        }
    }
    write(&path, &(all.join("\n") + "\n"))
}

fn tests(dir: &Path) -> Outcome<Vec<Test>> {
    let mut all = Vec::new();
    for line in read(&dir.join("tests.tsv"))?.lines().filter(|l| !l.is_empty()) {
        let parts: Vec<&str> = line.split('\t').collect();
        let [binary, name, took, places] = parts[..] else { return Err(format!("tests.tsv: {line}")) };
        all.push(Test {
            binary: binary.into(),
            name: name.into(),
            took: took.parse().map_err(|_| format!("tests.tsv: {line}"))?,
            reaches: places.split(' ').filter_map(|p| p.parse().ok()).collect(),
        });
    }
    all.sort_by_key(|t| t.took);
    Ok(all)
}

/// The place at which a mutant is asked for: that of the first of its alternatives.
fn places(dir: &Path, file: &str) -> Outcome<BTreeMap<u32, u32>> {
    let (mut at, mut places) = (0, BTreeMap::new());
    for line in read(&dir.join("tree").join(file))?.lines() {
        if let Some(place) =
            line.rsplit("crate::switch::at(").next().filter(|_| line.contains("crate::switch::at("))
        {
            at = place.split(')').next().and_then(|p| p.parse().ok()).unwrap_or(0);
        }
        if let Some(id) = line.split("/*m").nth(1).and_then(|m| m.split("*/").next()?.parse::<u32>().ok()) {
            places.insert(id, at);
        }
    }
    Ok(places)
}

/// Results so far: by the mutant's name its outcome and the test that noticed.
fn results(dir: &Path) -> BTreeMap<String, (String, String)> {
    let parts = |l: String| {
        let mut parts = l.split('\t').map(str::to_string);
        Some((parts.next()?, (parts.next()?, parts.next().unwrap_or_default())))
    };
    lines(&dir.join("results.tsv")).into_iter().filter_map(parts).collect()
}

/// Each mutant of the files named that was not caught before against the tests that reach it.
pub fn run(dir: &Path, all: &BTreeMap<String, Vec<Mutant>>, words: &[&str], took: Range<u64>) -> Outcome<()> {
    let (mut tests, known) = (tests(dir)?, results(dir));
    tests.retain(|t| took.contains(&t.took));
    let path = dir.join("results.tsv");
    let mut file = fs::File::options().create(true).append(true).open(&path).map_err(|e| e.to_string())?;
    for (name, mutants) in all.iter().filter(|(f, _)| words.is_empty() || words.iter().any(|w| f.contains(w)))
    {
        let places = places(dir, name)?;
        for mutant in mutants {
            let Some(place) = places.get(&mutant.id) else { continue };
            if known.get(&mutant.name).is_some_and(|o| o.0 != "missed") {
                continue;
            }
            let (outcome, by) = judge(dir, mutant, *place, &tests)?;
            println!("{outcome:8} {} ({by})", mutant.name);
            writeln!(file, "{}\t{outcome}\t{by}", mutant.name).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

fn judge(dir: &Path, mutant: &Mutant, place: u32, tests: &[Test]) -> Outcome<(&'static str, String)> {
    let id = mutant.id.to_string();
    let mut asked = 0;
    for test in tests.iter().filter(|t| t.reaches.contains(&place)) {
        asked += 1;
        let limit = LEAST + Duration::from_millis(20 * test.took);
        match start(dir, &test.binary, &test.name, &[("MUTANT", &id)], limit)? {
            End::Passed => {}
            End::Failed => return Ok(("caught", test.name.clone())),
            End::Stopped => return Ok(("timeout", test.name.clone())),
        }
    }
    Ok(("missed", format!("{asked} tests")))
}

/// A table by file.
pub fn sum(dir: &Path, all: &BTreeMap<String, Vec<Mutant>>) -> Outcome<()> {
    let results = results(dir);
    let unviable: BTreeSet<String> = lines(&dir.join("unviable.txt")).into_iter().collect();
    println!("| file | mutants | caught | timeouts | missed | do not compile | not run | killed |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut totals = [0; 6];
    let row = |name: &str, n: [usize; 6]| {
        let (killed, judged) = (n[1] + n[2], n[1] + n[2] + n[3]);
        let share =
            if judged > 0 { format!("{:.1} %", killed as f64 * 100.0 / judged as f64) } else { "".into() };
        println!("| {name} | {} | {} | {} | {} | {} | {} | {share} |", n[0], n[1], n[2], n[3], n[4], n[5]);
    };
    for (name, mutants) in all {
        let of =
            |what: &str| mutants.iter().filter(|m| results.get(&m.name).is_some_and(|r| r.0 == what)).count();
        let out = mutants.iter().filter(|m| unviable.contains(&m.name)).count();
        let [caught, stopped, missed] = ["caught", "timeout", "missed"].map(of);
        let n =
            [mutants.len(), caught, stopped, missed, out, mutants.len() - caught - stopped - missed - out];
        row(name.rsplit('/').next().unwrap_or(name), n);
        totals.iter_mut().zip(n).for_each(|(t, n)| *t += n);
    }
    row("all", totals);
    for m in all.values().flatten().filter(|m| results.get(&m.name).is_some_and(|r| r.0 == "missed")) {
        println!("{}", m.name);
    }
    Ok(())
}
