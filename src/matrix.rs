//! `schism bench matrix`: what schism finds, and what it leaves alone, counted; writes `results/README.md`.
//!
//! Controls: every promised pair of workload and nemesis on every mode that should be valid. Bugs: every switch on the
//! schedule known to reveal it, and the same seeds with the switch off. The demo's bug over twenty seeds. Not here:
//! numbers about speed (`bench`).

use crate::artifacts::{self, Stamp};
use crate::campaign::{self, RunSpec};
use crate::cli::{BenchArgs, Failure, RunArgs};
use crate::demo;
use crate::record::Sync;
use crate::run::{LiveOptions, block_on_live};
use crate::simulate;
use rayon::prelude::*;
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// One row: so many runs, and how they came out.
struct Row {
    name: String,
    must: &'static str,
    runs: u64,
    valid: u64,
    unknown: u64,
    invalid: u64,
    /// Runs in which at least one strike took effect.
    struck: u64,
    /// A line for the first run that was not as it must be.
    odd: Option<String>,
    met: bool,
}

impl Row {
    fn new(name: String, must: &'static str) -> Row {
        Row { name, must, runs: 0, valid: 0, unknown: 0, invalid: 0, struck: 0, odd: None, met: true }
    }

    fn count(&mut self, verdict: &str, struck: bool, says: impl FnOnce() -> String) {
        self.runs += 1;
        self.struck += struck as u64;
        match verdict {
            "valid" => self.valid += 1,
            "invalid" => self.invalid += 1,
            _ => self.unknown += 1,
        }
        if verdict != self.must && self.odd.is_none() {
            self.odd = Some(says());
        }
    }
}

impl Row {
    fn add(&mut self, other: Row) {
        self.runs += other.runs;
        self.valid += other.valid;
        self.unknown += other.unknown;
        self.invalid += other.invalid;
        self.struck += other.struck;
        if self.odd.is_none() {
            self.odd = other.odd;
        }
    }
}

/// Which parts `--only` asks for.
const PARTS: [&str; 4] = ["controls", "bugs", "demo", "live"];

pub fn main(args: &BenchArgs) -> Result<i32, Failure> {
    let wanted = |part: &str| args.only.as_ref().is_none_or(|only| part.contains(only.as_str()));
    if !PARTS.iter().any(|p| wanted(p)) {
        return Err(campaign::unknown(
            "part of the matrix",
            args.only.as_deref().unwrap_or(""),
            PARTS.into_iter(),
        ));
    }
    let mut sections: Vec<(&str, &str, Vec<Row>)> = Vec::new();
    if wanted("controls") {
        sections.push((
            "Controls",
            "Correct modes in simulated time: every workload that the mode promises, under every nemesis. All must be \
             valid, with full evidence; unknown counts as a failure here.",
            controls()?,
        ));
    }
    if wanted("bugs") {
        sections.push((
            "Planted bugs",
            "Each switch in simulated time on the plan known to reveal it. *On* must be invalid in at least one seed, \
             its counterexample must be judged invalid again from the file, and the same seeds with the switch *off* \
             must all be valid.",
            bugs()?,
        ));
    }
    if wanted("demo") {
        sections.push((
            "The demo's bug over twenty seeds",
            "`leader-local-read` under the demo's strikes: at least 19 of 20 invalid, and none without strikes.",
            twenty()?,
        ));
    }
    if wanted("live") {
        sections.push(("Live runs", "Five namespace nodes, real processes, real faults.", live()?));
    }
    let text = render(&sections);
    let whole = args.only.is_none();
    if whole {
        std::fs::write("results/README.md", &text)
            .map_err(|e| Failure::could_not_run(format!("results/README.md: {e}")))?;
    }
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&document(&sections)).unwrap_or_default()),
        false => print!("{text}"),
    }
    let met = sections.iter().flat_map(|(_, _, rows)| rows).all(|r| r.met);
    Ok(if met { crate::exit::VALID } else { crate::exit::INVALID })
}

fn spec(target: &str, workload: &str, nemesis: &str, bug: Option<&str>) -> Result<RunSpec, Failure> {
    let mut args: RunArgs = demo::run_args(1, bug, nemesis);
    args.target = target.into();
    args.workload = workload.into();
    campaign::resolve(&args)
}

const SEEDS: u64 = 4;

fn controls() -> Result<Vec<Row>, Failure> {
    let mut specs = Vec::new();
    for target in targets::names() {
        for workload in workloads::ALL {
            for nemesis in nemeses::ALL {
                let spec = spec(&target, workload.name(), nemesis.name(), None)?;
                let families = nemesis.needs();
                let promised = |f: &&str| spec.target.promise(spec.mode, workload.name(), f).is_some();
                if promised(&"none") && families.iter().all(promised) {
                    specs.push((format!("{target} {} under {}", workload.name(), nemesis.name()), spec));
                }
            }
        }
    }
    let rows = specs.into_par_iter().map(|(name, spec)| {
        let mut row = Row::new(name, "valid");
        let quiet = spec.strikes().is_empty();
        for seed in 1..=SEEDS {
            count(&mut row, &RunSpec { seed, ..spec.clone() });
        }
        row.met = row.valid == row.runs && (quiet || row.struck == row.runs);
        row
    });
    Ok(rows.collect())
}

/// Simulates, judges and counts one run.
fn count(row: &mut Row, spec: &RunSpec) {
    let run = simulate::one(spec, false);
    let says = || format!("{}  →  {}", spec.command("sim"), run.judgement.diagnosis());
    row.count(run.judgement.verdict.word(), struck(&run.history), says);
}

fn struck(history: &history::History) -> bool {
    artifacts::strike_counts(history).1 > 0
}

fn bugs() -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for info in store::switches::BUGS {
        let Some(killer) = sim::killer(info.name) else {
            let mut row = Row::new(format!("{} {}: no plan reveals it", info.id, info.name), "invalid");
            row.met = false;
            rows.push(row);
            continue;
        };
        let outcome = |on: bool| {
            let (must, label) = if on { ("invalid", "on") } else { ("valid", "off") };
            let name = format!(
                "{} {}, {label}: {} under {}",
                info.id,
                info.name,
                killer.workload,
                plan_name(killer)
            );
            let parts: Vec<(Row, bool)> = (0..killer.seeds)
                .into_par_iter()
                .map(|seed| {
                    let mut row = Row::new(String::new(), must);
                    let same = count_killer(&mut row, killer, seed, on);
                    (row, same)
                })
                .collect();
            let mut whole = Row::new(name, must);
            for (row, same) in parts {
                whole.add(row);
                whole.met &= same;
            }
            whole
        };
        let mut found = outcome(true);
        found.met &= found.invalid > 0;
        let mut quiet = outcome(false);
        quiet.met &= quiet.valid == quiet.runs;
        rows.extend([found, quiet]);
    }
    Ok(rows)
}

/// The plan of a killer in one line.
pub fn plan_name(killer: &sim::Killer) -> String {
    match killer.damage {
        sim::Damage::Schedule(text) => text.lines().map(str::trim).collect::<Vec<_>>().join("; "),
        sim::Damage::Nemeses(names) => names.join(","),
    }
}

/// Runs a killer and counts it; false if the file is judged otherwise when it is read again.
fn count_killer(row: &mut Row, killer: &sim::Killer, seed: u64, on: bool) -> bool {
    let sim = killer.spec(seed, on);
    let header = json!({"target": format!("store:{}", killer.mode.name()), "workload": killer.workload, "bug": sim.bug});
    let run = simulate::judged(&sim, header.as_object().cloned().unwrap_or_default());
    let verdict = run.judgement.verdict.word();
    row.count(verdict, struck(&run.history), || format!("seed {seed}: {}", run.judgement.diagnosis()));
    let again = crate::judge::judge(
        &simulate::read(&run.bytes),
        &crate::judge::of_workload(sim.workload),
        &Default::default(),
    );
    again.verdict == run.judgement.verdict
}

/// Twenty seeds: the first five live where this machine can, the others simulated.
fn twenty() -> Result<Vec<Row>, Failure> {
    let on = campaign::resolve(&demo::run_args(1, Some(demo::BUG), demo::NEMESES))?;
    let calm = campaign::resolve(&demo::run_args(1, Some(demo::BUG), "none"))?;
    let mut struck = Row::new(format!("{}, with strikes", demo::BUG), "invalid");
    let mut quiet = Row::new(format!("{}, the same seeds without", demo::BUG), "valid");
    let lives = if nodes::namespaces::probe().is_ok() { 5 } else { 0 };
    for seed in 1..=lives {
        live_run(&mut struck, &RunSpec { seed, ..on.clone() })?;
    }
    for seed in lives + 1..=20 {
        count(&mut struck, &RunSpec { seed, ..on.clone() });
    }
    for seed in 1..=20 {
        count(&mut quiet, &RunSpec { seed, ..calm.clone() });
    }
    struck.name += &format!(" ({lives} live)");
    struck.met = struck.invalid >= 19;
    quiet.met = quiet.valid == quiet.runs;
    Ok(vec![struck, quiet])
}

fn live_run(row: &mut Row, spec: &RunSpec) -> Result<(), Failure> {
    let run = format!("matrix-{}/seed-{}", Stamp::now(), spec.seed);
    let directory = Path::new("results").join(&run);
    let options = LiveOptions {
        provider: nodes::ALL[0],
        directory: directory.clone(),
        run,
        title: "matrix".into(),
        command: spec.command("test"),
        lease: Duration::from_secs(10),
        fsync: Sync::EverySecond,
        leave_running: false,
        siblings: Vec::new(),
    };
    let finished = block_on_live(spec, &options)?;
    let says = || format!("{}  →  {}", finished.command, finished.judgement.diagnosis());
    let verdict = finished.judgement.verdict.word();
    row.count(verdict, finished.strikes.1 > 0, says);
    // A run that came out as it must leaves nothing; an odd one is kept for a look.
    if verdict == row.must
        && let Some(campaign) = directory.parent()
    {
        let _ = std::fs::remove_dir_all(campaign);
    }
    Ok(())
}

/// Live controls and live bugs, ten seconds of load each.
fn live() -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    if let Err(why) = nodes::namespaces::probe() {
        eprintln!("skipped: live runs: {why}");
        return Ok(rows);
    }
    let short = |mut spec: RunSpec| {
        spec.load = 10 * campaign::SECOND;
        spec
    };
    for (target, workload, nemesis) in [
        ("store:raft", "register", "partition"),
        ("store:raft", "cas-register", "kill"),
        ("store:raft", "set", "kill-all"),
        ("store:raft", "append", "pause"),
        ("store:raft", "counter", "mix"),
        ("store:quorum", "register", "partition"),
        ("store:single", "set", "kill"),
    ] {
        let mut row = Row::new(format!("{target} {workload} under {nemesis}"), "valid");
        live_run(&mut row, &short(spec(target, workload, nemesis, None)?))?;
        row.met = row.valid == row.runs && row.struck == row.runs;
        rows.push(row);
    }
    for (target, workload, nemesis, bug) in [
        ("store:raft", "register", "isolate-leader", "leader-local-read"),
        ("store:raft", "set", "isolate-leader", "ack-after-local-append"),
        ("store:quorum", "register", "partition", "w-plus-r-le-n"),
    ] {
        let mut row = Row::new(format!("{target} {workload} under {nemesis} with {bug}"), "invalid");
        live_run(&mut row, &short(spec(target, workload, nemesis, Some(bug))?))?;
        row.met = row.invalid == row.runs;
        rows.push(row);
    }
    Ok(rows)
}

fn render(sections: &[(&str, &str, Vec<Row>)]) -> String {
    let mut text = String::from(
        "# Track record\n\nWritten by `cargo run --release -- bench matrix`; every row can be repeated with the seeds \
         1, 2, 3, … of the command that `schism sim` or `schism test` takes.\nZero alarms in n runs bound the alarm rate \
         below 3/n at 95 % (rule of three).\n\nBeside this page: [check.md](check.md), what the linearizability checker \
         costs; [fuzzing.md](fuzzing.md), executions and findings of the fuzzers; [mutants.md](mutants.md), mistakes made on \
         purpose in the checkers, and which a test notices.\n",
    );
    for (title, about, rows) in sections {
        let runs: u64 = rows.iter().map(|r| r.runs).sum();
        let odd = rows.iter().filter(|r| !r.met).count();
        let _ = write!(
            text,
            "\n## {title}\n\n{about}\n\n{runs} runs in {} rows, {odd} not as they must be.\n\n",
            rows.len()
        );
        text += "| what | must be | runs | valid | unknown | invalid | struck | |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n";
        for r in rows {
            let mark = if r.met { "ok" } else { "**not met**" };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {mark} |",
                r.name, r.must, r.runs, r.valid, r.unknown, r.invalid, r.struck
            );
        }
        for r in rows.iter().filter(|r| !r.met) {
            if let Some(odd) = &r.odd {
                let _ = writeln!(text, "\n{}: `{odd}`", r.name);
            }
        }
    }
    text
}

fn document(sections: &[(&str, &str, Vec<Row>)]) -> serde_json::Value {
    let rows = |rows: &[Row]| -> Vec<serde_json::Value> {
        rows.iter()
            .map(|r| {
                json!({"name": r.name, "must": r.must, "runs": r.runs, "valid": r.valid, "unknown": r.unknown,
                    "invalid": r.invalid, "struck": r.struck, "met": r.met, "odd": r.odd})
            })
            .collect()
    };
    let sections: Vec<_> =
        sections.iter().map(|(title, _, r)| json!({"title": title, "rows": rows(r)})).collect();
    json!({"schema": 1, "sections": sections})
}
