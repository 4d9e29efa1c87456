//! `schism doctor`: what this machine can do, one line each with its consequence; and leftovers removed.
//!
//! A healthy run leaves nothing: every namespace dies with its hub. What can remain is data of a run that was
//! killed. Only what carries our names is touched.

use crate::cli::{DoctorArgs, Failure};
use serde_json::json;
use std::path::{Path, PathBuf};

struct Line {
    name: &'static str,
    good: bool,
    says: String,
}

pub fn main(args: &DoctorArgs) -> Result<i32, Failure> {
    let mut lines = vec![namespaces(), results(Path::new("results")), cores(), fsync()];
    lines.extend(hubs(args.heal));
    lines.push(leftovers(Path::new("results"), args.heal));
    if args.json {
        let rows: Vec<_> =
            lines.iter().map(|l| json!({"name": l.name, "good": l.good, "says": l.says})).collect();
        println!(
            "{}",
            serde_json::to_string_pretty(&json!({"schema": 1, "lines": rows})).unwrap_or_default()
        );
    } else {
        for line in &lines {
            println!("{} {:12} {}", if line.good { "ok  " } else { "note" }, line.name, line.says);
        }
    }
    Ok(crate::exit::VALID)
}

fn namespaces() -> Line {
    let (good, says) = match nodes::namespaces::probe() {
        Ok(()) => (true, "user namespaces work: `demo` and `test` bring up real nodes without root".into()),
        Err(why) => (false, format!("{why} Until then `demo` and `sim` run on the simulated cluster.")),
    };
    Line { name: "namespaces", good, says }
}

fn results(directory: &Path) -> Line {
    let probe = directory.join(".doctor");
    let wrote = std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&probe, b"x"));
    let _ = std::fs::remove_file(&probe);
    let says = match &wrote {
        Ok(()) => format!("runs are written to {}/", directory.display()),
        Err(e) => {
            format!("{} cannot be written ({e}): give --results a directory that can", directory.display())
        }
    };
    Line { name: "results", good: wrote.is_ok(), says }
}

fn cores() -> Line {
    let n = std::thread::available_parallelism().map_or(1, |n| n.get());
    let says = match n {
        0..=1 => "1 core: runs work, latencies say more about this machine than about the target".into(),
        n => format!("{n} cores: keys and checkers are judged in parallel"),
    };
    Line { name: "cores", good: n > 1, says }
}

/// How many syncs a second the disk does: the bound of every durable write.
fn fsync() -> Line {
    let measured = crate::bench::fsyncs(Path::new("results"), 50);
    let (good, says) = match measured {
        Ok((per_second, fs)) if per_second >= 500.0 => {
            (true, format!("{per_second:.0} fdatasync/s on {fs}: durable writes are not the bottleneck"))
        }
        Ok((per_second, fs)) => (
            false,
            format!(
                "{per_second:.0} fdatasync/s on {fs}: the store's writes will be about that fast per batch"
            ),
        ),
        Err(e) => (false, format!("cannot be measured: {e}")),
    };
    Line { name: "fdatasync", good, says }
}

/// Hubs that outlived their controller. There should never be one; if there is, it is ours to end.
fn hubs(heal: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    for pid in orphans() {
        let killed = heal && end(pid as i32);
        let says = match killed {
            true => format!("process {pid} (a hub without its controller) ended, and its nodes with it"),
            false => format!("process {pid} is a hub without its controller: `schism doctor --heal` ends it"),
        };
        lines.push(Line { name: "leftover", good: killed, says });
    }
    lines
}

/// Processes of this very program, started as a hub, whose parent is gone.
fn orphans() -> Vec<u32> {
    let own = std::env::current_exe().unwrap_or_default();
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir("/proc") else { return found };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let exe = std::fs::read_link(entry.path().join("exe")).unwrap_or_default();
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let mut words = command.split(|b| *b == 0);
        let hub = words.nth(1).is_some_and(|w| w == nodes::namespaces::HUB.as_bytes());
        if exe == own && hub && parent(&entry.path()) == Some(1) {
            found.push(pid);
        }
    }
    found
}

fn parent(process: &Path) -> Option<u32> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Ends exactly the process that was looked at, never one that got its number since.
fn end(pid: i32) -> bool {
    let Some(stat) = agent::process::stat(pid) else { return false };
    agent::process::signal(stat.identity, 9).unwrap_or(false)
}

/// Whether a process names this path among its arguments: a run still going on.
fn in_use(path: &Path) -> bool {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let needle = path.display().to_string();
    std::fs::read_dir("/proc").into_iter().flatten().flatten().any(|entry| {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&needle)
    })
}

/// Node data that a killed controller left behind in a run's directory.
fn leftovers(results: &Path, heal: bool) -> Line {
    let mut found: Vec<PathBuf> = Vec::new();
    for campaign in std::fs::read_dir(results).into_iter().flatten().flatten() {
        for run in std::fs::read_dir(campaign.path()).into_iter().flatten().flatten() {
            let data = run.path().join("data");
            let ours = run.path().join("run.json").exists() && !campaign.path().is_symlink();
            if ours && data.is_dir() && !in_use(&data) {
                found.push(data);
            }
        }
    }
    if found.is_empty() {
        return Line {
            name: "leftovers",
            good: true,
            says: "nothing was left behind by earlier runs".into(),
        };
    }
    let gone = if heal { found.iter().filter(|d| std::fs::remove_dir_all(d).is_ok()).count() } else { 0 };
    let says = match heal {
        true => format!("node data of {gone} of {} killed runs removed", found.len()),
        false => format!(
            "node data of {} killed runs under {}/: `--heal` removes it",
            found.len(),
            results.display()
        ),
    };
    Line { name: "leftovers", good: heal, says }
}
