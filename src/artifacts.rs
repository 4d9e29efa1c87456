//! What a run leaves under `results/<campaign>/<run>/`, and how its end is told.
//!
//! `run.json` (plan, written before anything breaks), `history.jsonl`, `logs/`, `results.json`, `report.html`.
//! The judge reads the file that was written, never the runner's memory. Not here: judging, drawing.

use crate::campaign::{RunSpec, SECOND};
use crate::cli::Failure;
use crate::judge::{self, Judgement};
use crate::report::{Meta, Page};
use crate::run::LiveOptions;
use crate::terminal::{Progress, paint};
use checkers::Budget;
use history::jsonl::{self, ReadOptions};
use history::rng::Rng;
use history::{History, OutcomeKind, Strike};
use serde_json::{Value as Json, json};
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment in UTC, as `20261121T161704`: sorts by time, fits in a file name.
#[derive(Clone, Copy)]
pub struct Stamp(u64);

impl Stamp {
    pub fn now() -> Stamp {
        Stamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()))
    }

    /// Year, month, day of the civil calendar (Hinnant, "chrono-compatible low-level date algorithms").
    fn date(&self) -> (i64, u64, u64) {
        let days = (self.0 / 86_400) as i64 + 719_468;
        let era = days.div_euclid(146_097);
        let day = days.rem_euclid(146_097) as u64;
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let (d, m) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
        (year as i64 + era * 400 + (m <= 2) as i64, m, d)
    }

    pub fn pretty(&self) -> String {
        let (y, m, d) = self.date();
        let s = self.0 % 86_400;
        format!("{y}-{m:02}-{d:02} {:02}:{:02}:{:02} UTC", s / 3600, s / 60 % 60, s % 60)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, m, d) = self.date();
        let s = self.0 % 86_400;
        write!(f, "{y}{m:02}{d:02}T{:02}{:02}{:02}", s / 3600, s / 60 % 60, s % 60)
    }
}

/// A run that has been judged and written.
pub struct Finished {
    pub judgement: Judgement,
    pub directory: PathBuf,
    pub document: Json,
    pub interrupted: bool,
    pub strikes: (usize, usize),
    pub ops: [u64; 3],
    pub command: String,
}

impl Finished {
    pub fn exit_code(&self) -> i32 {
        match self.interrupted {
            true => crate::exit::INTERRUPTED,
            false => self.judgement.exit_code(),
        }
    }

    pub fn report(&self) -> PathBuf {
        self.directory.join("report.html")
    }

    /// The end of a run in five lines; on stderr when stdout is for JSON.
    pub fn print(&self, json: bool) {
        let text = self.text();
        match json {
            true => eprint!("{text}"),
            false => print!("{text}"),
        }
    }

    pub fn text(&self) -> String {
        let [ok, fail, info] = self.ops;
        let (requested, effective) = self.strikes;
        let verdict = paint(&self.judgement.headline(), self.judgement.verdict.rank());
        format!(
            "{verdict}\n  {}\n  {ok} ok, {fail} fail, {info} info; {effective} of {requested} strikes took effect\n  \
             report  {}\n  repeat  {}\n",
            self.judgement.diagnosis(),
            self.report().display(),
            self.command
        )
    }
}

pub fn print_json(documents: &[Json]) {
    let whole = json!({"schema": 1, "runs": documents});
    println!("{}", serde_json::to_string_pretty(&whole).unwrap_or_default());
}

/// `results/latest` points at the newest run.
pub fn link_latest(results: &Path, run: &str) {
    let link = results.join("latest");
    let _ = std::fs::remove_file(&link);
    let _ = std::os::unix::fs::symlink(run, &link);
}

/// `run.json`: everything the run follows from.
pub fn write_plan(
    directory: &Path,
    spec: &RunSpec,
    strikes: &[Strike],
    command: &str,
) -> Result<(), Failure> {
    let mut plan = Json::Object(spec.header(""));
    plan["seed"] = json!(spec.seed);
    plan["nodes"] = json!(spec.nodes);
    plan["command"] = json!(command);
    plan["schema"] = json!(1);
    plan["strikes"] = json!(strikes);
    let path = directory.join("run.json");
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&path, serde_json::to_vec_pretty(&plan).unwrap_or_default()))
        .map_err(|e| Failure::could_not_run(format!("cannot write {}: {e}", path.display())))
}

/// The plan as `--dry-run` prints it: every strike, and the first calls of each client.
pub fn plan_text(spec: &RunSpec, as_json: bool) -> String {
    let strikes = spec.strikes();
    let calls = first_calls(spec);
    if as_json {
        let calls: Vec<Json> = calls.iter().map(|(t, c)| json!({"client": t, "calls": c})).collect();
        let whole =
            json!({"schema": 1, "command": spec.command("test"), "strikes": strikes, "first_calls": calls});
        return format!("{}\n", serde_json::to_string_pretty(&whole).unwrap_or_default());
    }
    let mut text = format!(
        "{}\n{}\n\n{} strikes, from the start of the load:\n",
        spec.command("test"),
        spec.promise(),
        strikes.len()
    );
    for strike in &strikes {
        let seconds = |n: u64| n as f64 / SECOND as f64;
        text += &format!(
            "  at {:7.3} s for {:6.3} s  {}\n",
            seconds(strike.at),
            seconds(strike.lasts),
            strike.fault
        );
    }
    text +=
        &format!("\nfirst calls of {} clients, bound to {} nodes in turn:\n", spec.concurrency, spec.nodes);
    for (thread, calls) in calls {
        text += &format!("  client {thread:3} on n{}  {}\n", thread % spec.nodes + 1, calls.join(" · "));
    }
    text
}

/// The first calls of each client when every call is answered in a millisecond.
fn first_calls(spec: &RunSpec) -> Vec<(usize, Vec<String>)> {
    use workloads::interpreter::{Action, Interpreter, Options};
    const EACH: usize = 4;
    let generator = spec.workload.generator(&spec.params(), Rng::new(spec.seed, "calls"));
    let options = Options {
        concurrency: spec.concurrency,
        nodes: (0..spec.nodes).map(|n| Some(crate::run::node_id(n))).collect(),
        seed: spec.seed,
        ..Options::default()
    };
    let mut interpreter = Interpreter::new(Box::new(generator), options);
    let mut calls: Vec<(usize, Vec<String>)> = (0..spec.concurrency).map(|t| (t, Vec::new())).collect();
    let (mut now, mut events) = (0, Vec::new());
    for _ in 0..spec.concurrency * 200 {
        match interpreter.next(now, &mut events) {
            Action::Dispatch { thread, call, id, .. } => {
                if calls[thread].1.len() < EACH {
                    calls[thread].1.push(call.to_string());
                }
                now += 1_000_000;
                let error = history::Error::new("planned only");
                interpreter.complete(now, thread, id, history::Outcome::Fail(error), None, &mut events);
            }
            Action::Sleep { until } => now = until.max(now + 1),
            Action::Phase(workloads::interpreter::HEAL) | Action::Done | Action::Wait => break,
            Action::Phase(_) => {}
        }
        if calls.iter().all(|(_, c)| c.len() >= EACH) {
            break;
        }
    }
    calls
}

/// Reads a history of ours, or says where it is broken.
pub fn read_history(path: &Path) -> Result<History, Failure> {
    let file = File::open(path).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
    jsonl::read(BufReader::new(file), &ReadOptions::default())
        .map_err(|e| Failure::usage(format!("{}:{e}", path.display())))
}

/// Judges the file of a run and writes what follows from it.
pub fn judge_run(
    spec: &RunSpec,
    options: &LiveOptions,
    logs: Vec<(String, String)>,
    progress: &Progress,
) -> Result<Finished, Failure> {
    let path = options.directory.join("history.jsonl");
    let history = read_history(&path)?;
    let judgement =
        judge::judge_watched(&history, &judge::of_workload(spec.workload), &Budget::default(), progress);
    let meta = Meta {
        run: options.run.clone(),
        title: options.title.clone(),
        command: options.command.clone(),
        host: host_facts(),
        not_injected: not_injected(&history, spec),
        logs,
        siblings: options.siblings.clone(),
        promise: spec.promise(),
        started: Stamp::now().pretty(),
        file: String::new(),
    };
    Ok(publish(&history, judgement, meta, &options.directory, progress))
}

/// Writes `results.json` and `report.html`. The verdict stands whatever happens to the page.
pub fn publish(
    history: &History,
    judgement: Judgement,
    meta: Meta,
    directory: &Path,
    progress: &Progress,
) -> Finished {
    let document = document(history, &judgement, &meta);
    let html = page(history, &judgement, &meta, progress);
    let write = |name: &str, bytes: &[u8]| {
        if let Err(e) = std::fs::write(directory.join(name), bytes) {
            progress.say(format!("cannot write {name}: {e}"));
        }
    };
    write("results.json", &serde_json::to_vec_pretty(&document).unwrap_or_default());
    write("report.html", html.as_bytes());
    Finished {
        strikes: strike_counts(history),
        ops: op_counts(history),
        command: meta.command.clone(),
        judgement,
        directory: directory.to_path_buf(),
        document,
        interrupted: false,
    }
}

/// The page; a failure in drawing never hides the verdict.
pub fn page(history: &History, judgement: &Judgement, meta: &Meta, progress: &Progress) -> String {
    let (findings, about) = (&judgement.findings, &judgement.about);
    let page = Page { history, verdict: &judgement.verdict, findings, about, meta };
    crate::report::render(&page).unwrap_or_else(|e| {
        progress.say(format!("the page could not be drawn in full: {e}"));
        crate::report::render_plain(&page)
    })
}

/// Strikes that began, and those of them that were measured to have taken effect.
pub fn strike_counts(history: &History) -> (usize, usize) {
    let strikes = history.strikes();
    (strikes.len(), strikes.iter().filter(|s| s.measured().is_some()).count())
}

pub fn op_counts(history: &History) -> [u64; 3] {
    let mut counts = [0; 3];
    for op in history.ops() {
        counts[match op.kind() {
            OutcomeKind::Ok => 0,
            OutcomeKind::Fail => 1,
            OutcomeKind::Info => 2,
        }] += 1;
    }
    counts
}

/// The document of `--json` and of `results.json`.
pub fn document(history: &History, judgement: &Judgement, meta: &Meta) -> Json {
    let mut document = judgement.to_json();
    let header = &history.header;
    let [ok, fail, info] = op_counts(history);
    let (requested, effective) = strike_counts(history);
    document["schema"] = json!(1);
    document["run"] = json!(meta.run);
    document["started"] = json!(meta.started);
    document["command"] = json!(meta.command);
    for field in ["target", "bug", "workload", "nemesis", "seed", "provider", "concurrency", "rate"] {
        document[field] = header.get(field).cloned().unwrap_or(Json::Null);
    }
    document["nodes"] = json!(history.nodes().len());
    document["ops"] = json!({"ok": ok, "fail": fail, "info": info});
    document["strikes"] = json!({"requested": requested, "effective": effective});
    document["activations"] = activations(history).map_or(Json::Null, |n| json!(n));
    document
}

/// How often the planted bug acted, by the nodes' own count.
pub fn activations(history: &History) -> Option<i64> {
    let note = history.notes().iter().rev().find(|n| n.f.as_ref() == "activations")?;
    match &note.value {
        history::Value::Map(pairs) => Some(pairs.iter().filter_map(|(_, v)| v.as_int()).sum()),
        _ => None,
    }
}

fn host_facts() -> Vec<(String, String)> {
    let read = |path: &str| std::fs::read_to_string(path).map(|s| s.trim().to_string()).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, |n| n.get());
    vec![
        ("schism".into(), env!("CARGO_PKG_VERSION").into()),
        (
            "kernel".into(),
            format!("{} {}", read("/proc/sys/kernel/ostype"), read("/proc/sys/kernel/osrelease")),
        ),
        ("cores".into(), cpus.to_string()),
    ]
}

/// Families of faults that this run did not see, each with the reason: green says nothing about them.
fn not_injected(history: &History, spec: &RunSpec) -> Vec<(String, String)> {
    let mut missing = Vec::new();
    let planned = spec.strikes();
    for family in ["partition", "kill", "pause"] {
        let asked = planned.iter().any(|s| s.fault.family() == family);
        let took =
            history.strikes().iter().any(|s| s.strike.fault.family() == family && s.measured().is_some());
        match (asked, took) {
            (_, true) => {}
            (true, false) => missing.push((family.to_string(), "asked for, but never took effect".into())),
            (false, false) => missing.push((family.to_string(), "not asked for in this run".into())),
        }
    }
    for (what, why) in [
        (
            "packet loss, delay, duplication, reordering",
            "the switch between the nodes only cuts in this version",
        ),
        ("clock skew", "not built yet"),
        (
            "disk faults, lost unsynced writes",
            "not built yet for live nodes; `schism sim` loses them at every kill",
        ),
        ("membership changes", "the bundled store's membership is fixed"),
    ] {
        missing.push((what.into(), why.into()));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_civil_dates() {
        assert_eq!(Stamp(0).to_string(), "19700101T000000");
        assert_eq!(Stamp(1_795_277_824).pretty(), "2026-11-21 16:17:04 UTC");
        assert_eq!(Stamp(951_782_400).to_string(), "20000229T000000");
    }
}
