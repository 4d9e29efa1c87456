//! `schism bench check`: how fast and how small the linearizability checker is, each number beside its floor.
//!
//! The baseline is the textbook search of `checkers::linearizable::reference` (or `--against` a program of yours).
//! Times are CPU times, since machines are shared; every measurement has a process of its own (`row.rs`). A missed
//! floor or a wrong verdict is exit code 1. Not here: what is right or wrong, which the tests of `checkers` say.

use super::drawn::{self, Family};
use super::row::{Job, Judge, Measured};
use super::{Number, Scratch, median};
use crate::cli::Failure;
use anyhow::{Context, Result, anyhow};
use clap::Args;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What `bench check` takes. Without any of these: the whole table, but for the grid and the stream, which take long.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "For `bench check`")]
pub struct CheckBench {
    /// Families: register|cas:unique|VALUES:cN:mN:nN[:stale], queue|stack|pq|set|kv:cN:mN:nN[:stale]
    #[arg(long, value_delimiter = ',')]
    pub family: Vec<String>,
    /// Spreads the ops of a family over so many keys
    #[arg(long, default_value_t = 1)]
    pub keys: u32,
    /// Threads to judge with; several (1,2,8) with --compare
    #[arg(long, value_delimiter = ',')]
    pub threads: Vec<usize>,
    /// The findings at all --threads must be the same to the byte
    #[arg(long)]
    pub compare: bool,
    /// Every family of c × m × n, valid and stale: all, register or cas (5 values)
    #[arg(long, value_parser = ["all", "register", "cas"])]
    pub grid: Option<String>,
    /// Recorded histories of any format; verdicts are compared with expected.tsv, expected.json or the name
    #[arg(long, num_args = 1..)]
    pub files: Vec<PathBuf>,
    /// The object of --files, as for `check`
    #[arg(long, default_value = "auto")]
    pub spec: String,
    /// How small counterexamples are and what they cost
    #[arg(long)]
    pub shrink: bool,
    /// Families from a JSONL file judged in one pass (`check --stream`)
    #[arg(long)]
    pub stream: bool,
    /// Also the grid and the stream
    #[arg(long)]
    pub all: bool,
    /// A rival instead of the baseline: run as CMD FILE on our JSONL; exit code 0 is valid, 1 invalid
    #[arg(long, value_name = "CMD")]
    pub against: Option<String>,
    /// CPU seconds after which a judge is given up
    #[arg(long, default_value_t = 30.0)]
    pub cap: f64,
    /// In the grid the baseline is given up once it has taken so many times as long as ours, and a second; 0: at --cap
    #[arg(long, value_name = "TIMES", default_value_t = 200.0)]
    pub enough: f64,
    /// The floor of every row instead of the table's: so many times faster than the baseline
    #[arg(long, value_name = "TIMES")]
    pub ratio: Option<f64>,
    /// The seed of the families
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Steps for each key before the answer is unknown
    #[arg(long, default_value_t = 200_000_000)]
    pub budget_steps: u64,
    /// Bytes for each engine
    #[arg(long, default_value = "2GiB")]
    pub memory: String,
    /// One measurement, in JSON: what the processes of a row are started with
    #[arg(long, hide = true)]
    pub row: Option<String>,
}

/// What must hold of a row.
#[derive(Clone, Copy, Debug)]
enum Floor {
    /// Baseline's CPU time over ours.
    Ratio(f64),
    /// Milliseconds of CPU.
    Cpu(f64),
    /// Milliseconds on the wall, with all threads.
    Wall(f64),
    /// Wall time of one thread over that of all.
    Speedup(f64),
    /// Megabytes resident beyond the loaded ops.
    Memory(f64),
}

use Floor::{Cpu, Memory, Ratio, Speedup, Wall};

/// Family, keys, threads, floors.
type Row = (&'static str, u32, usize, &'static [Floor]);

const TABLE: [Row; 14] = [
    ("register:unique:c10:n10k", 1, 1, &[Ratio(1_000.0)]),
    ("register:5:c20:n1k", 1, 1, &[Ratio(1_000.0)]),
    ("cas:5:c10:n10k", 1, 1, &[Ratio(15.0)]),
    ("cas:5:c100:n1k", 1, 1, &[Cpu(50.0)]),
    ("cas:5:c5:m100:n10k", 1, 1, &[Cpu(50.0)]),
    ("register:unique:c100:n1M", 1, 1, &[Cpu(150.0), Memory(64.0)]),
    ("register:5:c100:n1M", 1, 1, &[Cpu(3_000.0), Memory(128.0)]),
    ("cas:5:c10:n1M", 1, 1, &[Cpu(1_500.0), Memory(128.0)]),
    ("register:unique:c5:n1M", 1_000, 2, &[Wall(60.0), Speedup(1.7)]),
    ("queue:c10:n1M", 1, 1, &[Cpu(300.0), Memory(100.0)]),
    ("pq:c10:n1M", 1, 1, &[Cpu(300.0), Memory(100.0)]),
    ("set:c10:n1M", 1, 1, &[Cpu(300.0), Memory(100.0)]),
    ("stack:c10:n1M", 1, 1, &[Cpu(1_500.0), Memory(100.0)]),
    ("kv:c50:n1k", 1, 1, &[Ratio(50.0)]),
];

/// Stale families whose counterexamples `--shrink` looks at, with ten seeds each.
const SHRUNK: [&str; 6] = [
    "register:unique:c5:n1k:stale",
    "register:unique:c20:n10k:stale",
    "register:5:c10:n1k:stale",
    "register:5:c20:n10k:stale",
    "cas:5:c5:n1k:stale",
    "cas:5:c10:n10k:stale",
];

/// Families whose findings `--compare` compares.
const COMPARED: [&str; 8] = [
    "register:unique:c10:n10k",
    "register:5:c10:m10:n10k",
    "register:5:c10:n10k:stale",
    "cas:5:c10:n10k",
    "cas:5:c10:n10k:stale",
    "queue:c10:n10k",
    "stack:c10:n10k:stale",
    "set:c10:n10k:stale",
];

/// What `--stream` judges where no family is named.
const STREAMED: &str = "register:unique:c100:n10M";

/// Above this many ops the baseline cannot finish and would only fill memory.
const BASELINE_AT_MOST: u32 = 100_000;
/// Bytes that the baseline may cache.
const BASELINE_BYTES: u64 = 4 << 30;

pub fn main(args: &CheckBench, json: bool) -> Result<i32, Failure> {
    if let Some(row) = &args.row {
        return super::row::main(row);
    }
    let bytes = crate::check::bytes(&args.memory)?;
    let mut bench = Bench { args, bytes, json, met: true, rows: Vec::new() };
    for name in &args.family {
        Family::parse(name).map_err(Failure::usage)?;
    }
    bench.all().map_err(|e| Failure::could_not_run(format!("{e:#}")))?;
    if json {
        let document = json!({"schema": 1, "rows": bench.rows});
        println!("{}", serde_json::to_string_pretty(&document).unwrap_or_default());
    }
    Ok(if bench.met { crate::exit::VALID } else { crate::exit::INVALID })
}

struct Bench<'a> {
    args: &'a CheckBench,
    bytes: u64,
    json: bool,
    met: bool,
    rows: Vec<Json>,
}

/// Ours and the baseline's.
struct Pair {
    ours: Measured,
    theirs: Option<Measured>,
}

impl Pair {
    /// At least so many times, where the baseline did not finish.
    fn ratio(&self) -> Option<f64> {
        self.theirs.as_ref().map(|t| t.cpu / self.ours.cpu.max(1e-9))
    }

    fn finished(&self) -> bool {
        self.theirs.as_ref().is_some_and(|t| t.verdict != "none")
    }
}

impl Bench<'_> {
    fn all(&mut self) -> Result<()> {
        let args = self.args;
        if args.compare {
            return self.compare();
        }
        if args.shrink {
            return self.shrink();
        }
        if args.stream {
            return self.stream();
        }
        if !args.files.is_empty() {
            return self.files(&args.files);
        }
        if let Some(what) = &args.grid {
            return self.grid(what);
        }
        if !args.family.is_empty() {
            for name in &args.family {
                let known = TABLE.iter().find(|r| r.0 == name && r.1 == args.keys);
                let floors = known.map_or(&[][..], |r| r.3);
                let threads = args.threads.last().copied().unwrap_or(known.map_or(1, |r| r.2));
                self.family(name, args.keys, threads, floors)?;
            }
            return Ok(());
        }
        for (name, keys, threads, floors) in TABLE {
            self.family(name, keys, threads, floors)?;
        }
        self.shrink()?;
        self.compare()?;
        if args.all {
            self.stream()?;
            self.grid("all")?;
        }
        Ok(())
    }

    /// From a file that a process of its own wrote, in a process that never holds all ops.
    fn stream(&mut self) -> Result<()> {
        let names = match self.args.family.is_empty() {
            true => vec![STREAMED.to_string()],
            false => self.args.family.clone(),
        };
        for name in names {
            let scratch = Scratch::new("stream")?;
            let file = Some(scratch.0.join("history.jsonl"));
            let job = Job { family: Some(name.clone()), file, ..self.job(Judge::Write) };
            let cap = self.args.cap.max(600.0);
            let wrote = Job { cap, ..job.clone() }.run()?;
            let measured = Job { judge: Judge::Stream, cap, ..job }.run()?;
            let wanted = if name.ends_with(":stale") { "invalid" } else { "valid" };
            let pair = Pair { ours: measured, theirs: None };
            self.row(&format!("{name} --stream"), &pair, Some(wanted));
            let floors = if name == STREAMED { (15.0, 250.0) } else { (f64::INFINITY, f64::INFINITY) };
            let note = format!("{:.2} GB of JSONL", wrote.bytes as f64 / 1e9);
            self.number(Number::at_most("  CPU, reading included", pair.ours.cpu, "s", floors.0).note(note));
            self.number(Number::at_most("  resident, all of it", pair.ours.rss as f64 / 1e6, "MB", floors.1));
        }
        Ok(())
    }

    fn job(&self, judge: Judge) -> Job {
        Job {
            family: None,
            file: None,
            spec: self.args.spec.clone(),
            judge,
            seed: self.args.seed,
            keys: 1,
            threads: 1,
            steps: self.args.budget_steps,
            bytes: if judge == Judge::Reference { BASELINE_BYTES } else { self.bytes },
            cap: self.args.cap,
        }
    }

    fn family(&mut self, name: &str, keys: u32, threads: usize, floors: &[Floor]) -> Result<()> {
        let family = Family::parse(name).map_err(|e| anyhow!(e))?;
        let job = Job { family: Some(name.into()), keys, threads, ..self.job(Judge::Engine) };
        let ours = job.run()?;
        let wanted = if family.stale() { "invalid" } else { "valid" };
        let theirs = match &self.args.against {
            Some(command) => Some(self.rival(command, &family, keys)?),
            None if ours.ops > BASELINE_AT_MOST as u64 => None,
            None => Some(Job { threads: 1, ..self.baseline(job.clone()) }.run()?),
        };
        let pair = Pair { ours, theirs };
        let label = if keys > 1 { format!("{name} --keys {keys}") } else { name.to_string() };
        self.row(&label, &pair, Some(wanted));
        let own = self.args.ratio.map(Ratio);
        for floor in own.as_slice().iter().chain(floors.iter().filter(|_| own.is_none())) {
            let number = match floor {
                Ratio(x) => {
                    let finished = if pair.finished() { "" } else { "at least: the baseline was given up" };
                    Number::at_least("  times faster than the baseline", pair.ratio().unwrap_or(0.0), "x", *x)
                        .note(finished)
                }
                Cpu(x) => Number::at_most("  CPU", pair.ours.cpu * 1e3, "ms", *x),
                Wall(x) => Number::at_most("  wall", pair.ours.wall * 1e3, "ms", *x)
                    .note(format!("{threads} threads, {:.1} ms of CPU", pair.ours.cpu * 1e3)),
                Memory(x) => {
                    Number::at_most("  resident beyond the loaded ops", pair.ours.rss as f64 / 1e6, "MB", *x)
                }
                Speedup(x) => {
                    let one = Job { threads: 1, ..job.clone() }.run()?;
                    Number::at_least("  one thread's wall time over it", one.wall / pair.ours.wall, "x", *x)
                        .note(format!("one thread: {:.1} ms", one.wall * 1e3))
                }
            };
            self.number(number);
        }
        Ok(())
    }

    fn baseline(&self, job: Job) -> Job {
        Job { judge: Judge::Reference, bytes: BASELINE_BYTES, ..job }
    }

    fn say(&self, line: String) {
        match self.json {
            true => eprintln!("{line}"),
            false => println!("{line}"),
        }
    }

    fn number(&mut self, number: Number) {
        self.met &= number.met();
        self.say(number.line());
        self.rows.push(json!({"number": number.name.trim(), "value": number.value, "unit": number.unit,
            "floor": number.floor, "at_most": number.most, "met": number.met(), "note": number.note}));
    }

    /// One line for one input. A verdict that is not as wanted, or not that of the baseline, is a miss whatever the floors.
    fn row(&mut self, name: &str, pair: &Pair, wanted: Option<&str>) {
        let (ours, ratio) = (&pair.ours, pair.ratio());
        let mut wrong =
            wanted.is_some_and(|w| w != ours.verdict && ours.verdict != "unknown" && ours.verdict != "none");
        wrong |= pair.finished()
            && ours.is_decided()
            && pair.theirs.as_ref().is_some_and(|t| t.verdict != ours.verdict);
        let at_least = if pair.finished() { "" } else { "≥ " };
        let theirs = match &pair.theirs {
            Some(t) => {
                format!("{at_least}{}, {at_least}{} times", seconds(t.cpu), times(ratio.unwrap_or(0.0)))
            }
            None => "not run".into(),
        };
        self.say(format!(
            "{} {name} #{:.8} {} ops: {} by {} in {}; baseline {theirs}; {} steps, {:.1} MB accounted, {:.1} MB resident",
            if wrong { "WRONG" } else { "row " },
            ours.hash,
            ours.ops,
            ours.verdict,
            if ours.by.is_empty() { "nothing" } else { &ours.by },
            seconds(ours.cpu),
            ours.steps,
            ours.bytes as f64 / 1e6,
            ours.rss as f64 / 1e6,
        ));
        self.met &= !wrong;
        self.rows.push(json!({"row": name, "ours": ours, "baseline": pair.theirs, "ratio": ratio,
            "ratio_is_at_least": !pair.finished(), "wanted": wanted, "wrong": wrong}));
    }

    /// Runs another program on the same history.
    fn rival(&self, command: &str, family: &Family, keys: u32) -> Result<Measured> {
        let scratch = Scratch::new("against")?;
        let path = scratch.0.join("history.jsonl");
        let drawn = family.draw(self.args.seed, keys).context("no read of it can be made stale")?;
        drawn::write(&drawn, &path, &family.to_string(), self.args.seed)?;
        rival(command, &path, self.args.cap)
    }

    fn grid(&mut self, what: &str) -> Result<()> {
        let (mut decided, mut of, mut ratios, mut missed) = (0, 0, Vec::new(), Vec::new());
        // Of rows that the baseline was given up on nobody knows that it would have been faster.
        let mut slowest = f64::INFINITY;
        for name in grid(what) {
            let job = Job { family: Some(name.clone()), ..self.job(Judge::Engine) };
            let ours = match job.run() {
                Ok(ours) => ours,
                // Where no read can be made stale there is no such family.
                Err(e) => {
                    self.say(format!("none {name}: {e}"));
                    continue;
                }
            };
            // No floor hangs on how much slower it would have been still. Where ours does not decide it has all its time.
            let cap = match ours.is_decided() && self.args.enough > 0.0 {
                true => (ours.cpu * self.args.enough).max(1.0).min(self.args.cap),
                false => self.args.cap,
            };
            let theirs = Job { cap, ..self.baseline(job) }.run()?;
            let pair = Pair { ours, theirs: Some(theirs) };
            self.row(&name, &pair, Some(if name.ends_with("stale") { "invalid" } else { "valid" }));
            of += 1;
            match pair.ours.is_decided() {
                true => {
                    decided += 1;
                    ratios.extend(pair.ratio());
                    slowest = slowest.min(pair.ratio().filter(|_| pair.finished()).unwrap_or(f64::INFINITY));
                }
                false if pair.finished() => missed.push(name),
                false => {}
            }
        }
        self.number(
            Number::at_most("grid: only the baseline decides", missed.len() as f64, "rows", 0.0)
                .note(missed.join(" ")),
        );
        self.number(
            Number::at_least("grid: decided", 100.0 * decided as f64 / of.max(1) as f64, "%", 95.0)
                .note(format!("{decided} of {of} in {} s and {}", self.args.cap, self.args.memory)),
        );
        self.number(
            Number::at_least("grid: slowest row", slowest, "x", 1.0)
                .note("of those that the baseline decides"),
        );
        self.number(Number::at_least("grid: median row", median(ratios), "x", 50.0).note("at least"));
        Ok(())
    }

    fn files(&mut self, paths: &[PathBuf]) -> Result<()> {
        let (mut ours, mut theirs, mut all) = (0.0, 0.0, true);
        let mut unlike = 0;
        for path in paths {
            let job = Job { file: Some(path.clone()), ..self.job(Judge::Engine) };
            let measured = job.run().with_context(|| path.display().to_string())?;
            let baseline = match &self.args.against {
                Some(command) => rival(command, path, self.args.cap)?,
                None => self.baseline(job).run()?,
            };
            let pair = Pair { ours: measured, theirs: Some(baseline) };
            let wanted = expected(path);
            unlike += wanted.is_some_and(|w| w != pair.ours.verdict) as u32;
            self.row(&path.file_name().unwrap_or_default().to_string_lossy(), &pair, wanted);
            all &= pair.finished();
            ours += pair.ours.cpu;
            theirs += pair.theirs.as_ref().map_or(0.0, |t| t.cpu);
        }
        self.number(Number::at_most("files: verdicts not as expected", unlike as f64, "", 0.0));
        let note =
            format!("{} to {}{}", seconds(ours), seconds(theirs), if all { "" } else { ", some given up" });
        let floor = self.args.ratio.unwrap_or(50.0);
        self.number(
            Number::at_least("files: times faster, summed", theirs / ours.max(1e-9), "x", floor).note(note),
        );
        Ok(())
    }

    /// Lines and cost of counterexamples: of stale families, or of the invalid ones among `--files`.
    fn shrink(&mut self) -> Result<()> {
        let mut jobs = Vec::new();
        for path in &self.args.files {
            jobs.push(Job { file: Some(path.clone()), ..self.job(Judge::Engine) });
        }
        let named: Vec<String> = match self.args.family.is_empty() && jobs.is_empty() {
            true => SHRUNK.iter().map(|s| s.to_string()).collect(),
            false => self.args.family.clone(),
        };
        for name in named {
            for seed in 0..10 {
                let seed = self.args.seed + seed;
                jobs.push(Job { family: Some(name.clone()), seed, ..self.job(Judge::Engine) });
            }
        }
        let (mut lines, mut check, mut explain) = (Vec::new(), 0.0, 0.0);
        for job in jobs {
            let of_file = job.file.as_ref().map(|f| f.display().to_string());
            let name = job.family.clone().or(of_file).unwrap_or_default();
            let checked = job.run()?;
            if checked.verdict != "invalid" {
                let wrong = job.family.is_some();
                self.met &= !wrong;
                self.say(format!("{} {name}: {}", if wrong { "WRONG" } else { "row " }, checked.verdict));
                continue;
            }
            let told = Job { judge: Judge::Explain, ..job.clone() }.run()?;
            let core = told.core.unwrap_or(usize::MAX);
            self.say(format!(
                "row  {name} seed {}: {core} lines; checked in {}, told in {}",
                job.seed,
                seconds(checked.cpu),
                seconds(told.cpu)
            ));
            lines.push(core);
            check += checked.cpu;
            explain += told.cpu;
            self.rows.push(
                json!({"row": name, "seed": job.seed, "core": core, "check": checked.cpu, "told": told.cpu}),
            );
        }
        lines.sort_unstable();
        let at = |part: f64| lines.get(((lines.len() as f64 * part).ceil() as usize).saturating_sub(1));
        let lines_at = |part| at(part).copied().unwrap_or(0) as f64;
        let note = format!("{} counterexamples", lines.len());
        self.number(Number::at_most("counterexamples: lines, median", lines_at(0.5), "", 6.0).note(note));
        self.number(Number::at_most("counterexamples: lines, 99 %", lines_at(0.99), "", 12.0));
        let note = format!("{} to {}", seconds(explain), seconds(check));
        self.number(
            Number::at_most("counterexamples: told, times the check", explain / check.max(1e-9), "x", 20.0)
                .note(note),
        );
        Ok(())
    }

    /// The same findings at any number of threads.
    fn compare(&mut self) -> Result<()> {
        let several = if self.args.threads.is_empty() { vec![1, 2, 8] } else { self.args.threads.clone() };
        let own = &self.args.family;
        let names: Vec<String> =
            if own.is_empty() { COMPARED.iter().map(|s| s.to_string()).collect() } else { own.clone() };
        let keys = if self.args.keys > 1 { self.args.keys } else { 10 };
        let mut other = 0;
        for name in names {
            let mut all = Vec::new();
            for threads in &several {
                let job =
                    Job { family: Some(name.clone()), keys, threads: *threads, ..self.job(Judge::Findings) };
                all.push(job.run()?.findings);
            }
            let same = all.iter().all(|f| f.is_some() && *f == all[0]);
            other += !same as u32;
            let size = all[0].as_ref().map_or(0, String::len);
            let says = if same { "the same" } else { "NOT the same" };
            self.say(format!("row  {name} --keys {keys} at {several:?} threads: {says}, {size} bytes"));
        }
        self.number(Number::at_most("findings that hang on threads", other as f64, "", 0.0));
        Ok(())
    }
}

/// CPU time of a program and its children, and its verdict by its exit code.
fn rival(command: &str, path: &Path, cap: f64) -> Result<Measured> {
    let used = || -> Result<f64> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        Ok(micros as f64 / 1e6)
    };
    let mut words = command.split_whitespace();
    let program = words.next().context("--against names no program")?;
    let (before, begun) = (used()?, Instant::now());
    let mut child = std::process::Command::new(program)
        .args(words)
        .arg(path)
        .stdout(std::process::Stdio::null())
        .spawn()
        .with_context(|| format!("--against {program}"))?;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            // Others may use the machine, too.
            None if begun.elapsed().as_secs_f64() > 3.0 * cap => {
                child.kill()?;
                child.wait()?;
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let verdict = match status.and_then(|s| s.code()) {
        Some(0) => "valid",
        Some(1) => "invalid",
        _ => "none",
    };
    Ok(Measured {
        verdict: verdict.into(),
        by: program.into(),
        cpu: used()? - before,
        wall: begun.elapsed().as_secs_f64(),
        ..Measured::default()
    })
}

fn grid(what: &str) -> Vec<String> {
    let mut names = Vec::new();
    for stale in ["", ":stale"] {
        for object in ["register", "cas"].into_iter().filter(|o| what == "all" || what == *o) {
            for c in [5, 10, 20, 50, 100] {
                for (n, size) in [("1k", 1_000), ("10k", 10_000), ("100k", 100_000)] {
                    for m in [0, 10, 100, 1_000] {
                        if m <= size / 10 {
                            let infos = if m > 0 { format!(":m{m}") } else { String::new() };
                            names.push(format!("{object}:5:c{c}{infos}:n{n}{stale}"));
                        }
                    }
                }
            }
        }
    }
    names
}

/// The verdict that is written beside a file: in `expected.tsv`, in an `expected.json` above it, in its folder's name
/// (`good`, `bad`) or its own (`-ok`, `-bad`).
fn expected(path: &Path) -> Option<&'static str> {
    let verdict = |word: &str| match word {
        "ok" | "good" | "true" | "pass" | "valid" | "linearizable" => Some("valid"),
        "bad" | "illegal" | "false" | "fail" | "invalid" | "not-linearizable" => Some("invalid"),
        _ => None,
    };
    let name = path.file_name()?.to_str()?;
    let folder = path.parent()?;
    if let Ok(table) = std::fs::read_to_string(folder.join("expected.tsv")) {
        let of = |line: &str| line.split_once('\t').filter(|l| l.0 == name).and_then(|l| verdict(l.1.trim()));
        if let Some(found) = table.lines().find_map(of) {
            return Some(found);
        }
    }
    for above in path.ancestors().skip(1).take(3) {
        let Ok(text) = std::fs::read_to_string(above.join("expected.json")) else { continue };
        let table: Json = serde_json::from_str(&text).ok()?;
        let row = &table[path.strip_prefix(above).ok()?.to_str()?];
        return verdict(row["linearizable"].as_str()?);
    }
    let stem = name.split('.').next().unwrap_or(name);
    let label = stem.rsplit_once('-').and_then(|(_, label)| verdict(label));
    label.or_else(|| verdict(folder.file_name()?.to_str()?))
}

fn seconds(s: f64) -> String {
    match s {
        s if s >= 1.0 => format!("{s:.1} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.1} µs", s * 1e6),
    }
}

fn times(x: f64) -> String {
    if x >= 10.0 { format!("{x:.0}") } else { format!("{x:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_has_its_cells() {
        let (all, cas) = (grid("all"), grid("cas"));
        assert_eq!((all.len(), cas.len()), (220, 110));
        assert_eq!(cas.iter().filter(|n| !n.ends_with("stale")).count(), 55);
        assert!(
            all.iter().all(|n| Family::parse(n).is_ok_and(|f| f.to_string() == n.replace("m1000", "m1k")))
        );
        assert!(TABLE.iter().all(|r| Family::parse(r.0).is_ok()));
        assert!(SHRUNK.iter().chain(&COMPARED).all(|n| Family::parse(n).is_ok()));
    }

    #[test]
    fn verdicts_are_found_beside_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("expected.tsv"), "a.log\tinvalid\nb.log\tvalid\n").unwrap();
        let of = |name: &str| expected(&folder.path().join(name));
        assert_eq!((of("a.log"), of("b.log"), of("c.log")), (Some("invalid"), Some("valid"), None));
        assert_eq!((of("c01-ok.txt"), of("c01-bad.txt")), (Some("valid"), Some("invalid")));
        assert_eq!((of("good/1.edn"), of("bad/1.edn")), (Some("valid"), Some("invalid")));
    }
}
