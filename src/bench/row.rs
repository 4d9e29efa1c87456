//! One measurement of `bench check` in a process of its own: one input, one judge, CPU time and memory.
//!
//! A process of its own because the memory of one measurement must not hide that of the next, and because a baseline
//! that would run for hours has to end: a watching thread ends the process, and what it had used is its time so far.
//! Not here: which rows there are and what is expected of them (`check.rs`).

use super::drawn::{self, Drawn, Family, each};
use crate::cli::Failure;
use anyhow::{Context, Result, anyhow};
use checkers::linearizable::bind::Bind;
use checkers::linearizable::dfs::Limits;
use checkers::linearizable::engine::{Answer, decide_needed};
use checkers::linearizable::spec::Timed;
use checkers::linearizable::{Linearizable, Object, Visit, reference, visit};
use checkers::{Budget, Checker};
use history::History;
use nix::time::{ClockId, clock_gettime};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Who judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Judge {
    /// The engines, witness included, no explanation.
    Engine,
    /// The textbook search.
    Reference,
    /// The engines, then the counterexample told.
    Explain,
    /// The findings as `check --json` prints them.
    Findings,
    /// Nobody: the family is written to the file.
    Write,
    /// `check --stream` of the file.
    Stream,
}

/// What one process is to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// A family's name, or a file.
    pub family: Option<String>,
    pub file: Option<PathBuf>,
    /// The object of a file.
    pub spec: String,
    pub judge: Judge,
    pub seed: u64,
    pub keys: u32,
    pub threads: usize,
    pub steps: u64,
    pub bytes: u64,
    /// CPU seconds after which it is given up.
    pub cap: f64,
}

/// What came of it. Times in seconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// `valid`, `invalid`, `unknown`; `none` where it was given up.
    pub verdict: String,
    pub by: String,
    pub ops: u64,
    pub hash: String,
    /// User and system time of all threads: the median of up to five rounds.
    pub cpu: f64,
    pub wall: f64,
    pub steps: u64,
    /// The most that an engine accounted for.
    pub bytes: u64,
    /// Resident bytes at the peak beyond those before the first round.
    pub rss: u64,
    /// Lines of the smallest counterexample.
    pub core: Option<usize>,
    pub findings: Option<String>,
    pub error: Option<String>,
}

impl Measured {
    /// Valid or invalid: neither unknown nor given up.
    pub fn is_decided(&self) -> bool {
        ["valid", "invalid"].contains(&self.verdict.as_str())
    }
}

impl Job {
    /// Measures it in a new process of this program.
    pub fn run(&self) -> Result<Measured> {
        let text = serde_json::to_string(self)?;
        let program = std::env::current_exe()?;
        let output = std::process::Command::new(program)
            .args(["bench", "check", "--row", &text])
            .stderr(std::process::Stdio::inherit())
            .output()?;
        let measured: Measured = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("the measuring process ended with {}", output.status))?;
        match measured.error {
            Some(error) => Err(anyhow!(error)),
            None => Ok(measured),
        }
    }
}

/// The other side of [`Job::run`]: measures, and prints one line.
pub fn main(text: &str) -> Result<i32, Failure> {
    let job: Job = serde_json::from_str(text).map_err(|e| Failure::usage(format!("--row: {e}")))?;
    let measured =
        measure(&job).unwrap_or_else(|e| Measured { error: Some(format!("{e:#}")), ..Measured::default() });
    print(&measured);
    Ok(crate::exit::VALID)
}

/// Once: whoever is first, the measurement or the cap.
fn print(measured: &Measured) {
    static PRINTED: AtomicBool = AtomicBool::new(false);
    if PRINTED.swap(true, Ordering::SeqCst) {
        return;
    }
    println!("{}", serde_json::to_string(measured).unwrap_or_default());
}

/// Seconds that all threads of this process have run.
pub fn cpu() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID);
    time.map_or(0.0, |t| t.tv_sec() as f64 + t.tv_nsec() as f64 / 1e9)
}

/// The most that was resident, in bytes, since [`forget_peak`].
pub fn peak() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) << 10
}

/// Sets the peak to what is resident now.
pub fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn measure(job: &Job) -> Result<Measured> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(job.threads.max(1)).build()?;
    let limits = Limits { steps: job.steps, bytes: job.bytes, furthest: false };
    if job.judge == Judge::Stream {
        return streamed(job);
    }
    if let Some(name) = &job.family {
        let family = Family::parse(name).map_err(|e| anyhow!(e))?;
        let drawn = family.draw(job.seed, job.keys).context("no read of it can be made stale")?;
        return match job.judge {
            Judge::Engine | Judge::Reference => {
                Ok(each!(&drawn, spec, parts => Timing { job, limits }.in_pool(&pool, spec, parts)))
            }
            Judge::Write => {
                let path = job.file.as_ref().context("no file to write")?;
                drawn::write(&drawn, path, name, job.seed)?;
                let bytes = std::fs::metadata(path)?.len();
                Ok(Measured { verdict: "none".into(), bytes, ..Measured::default() })
            }
            _ => told(job, &recorded(&drawn)?, family.object(), &pool),
        };
    }
    let file = job.file.as_ref().context("neither a family nor a file")?;
    let (history, object) = open(file, &job.spec)?;
    match job.judge {
        Judge::Engine | Judge::Reference => {
            pool.install(|| visit(object, &history, Timing { job, limits })).map_err(|e| anyhow!(e))
        }
        _ => told(job, &history, object, &pool),
    }
}

/// As events, read back.
fn recorded(drawn: &Drawn) -> Result<History> {
    let events = each!(drawn, _spec, parts => drawn::events(parts));
    History::from_events(&events).map_err(|(line, e)| anyhow!("event {line}: {e}"))
}

/// A recorded history and the object that its calls, or `spec`, say it is of.
fn open(path: &Path, spec: &str) -> Result<(History, Object)> {
    let input = crate::input::open(path, Some("auto"), &Default::default()).map_err(|f| anyhow!(f.says))?;
    let spec = match spec {
        "auto" => crate::check::detect(&input.history).map_err(|e| anyhow!(e))?,
        given => given,
    };
    let object = match spec {
        "lock" => Object::Mutex,
        other => Object::named(other).map_err(|e| anyhow!(e))?,
    };
    Ok((input.history, object))
}

/// Prints what was used and ends the process once that is more than the cap.
fn watch(cap: f64, from: (f64, Instant), mut measured: Measured) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(20));
            let used = cpu() - from.0;
            if used > cap {
                (measured.verdict, measured.cpu) = ("none".into(), used);
                measured.wall = from.1.elapsed().as_secs_f64();
                print(&measured);
                std::process::exit(0);
            }
        }
    });
}

/// Repeats below this many seconds, up to five times, for the median.
const ENOUGH: f64 = 0.2;

fn rounds(mut one: impl FnMut()) -> (f64, f64) {
    let (mut cpus, mut walls) = (Vec::new(), Vec::new());
    while cpus.len() < 5 && (cpus.is_empty() || cpus.iter().sum::<f64>() < ENOUGH) {
        let (used, begun) = (cpu(), Instant::now());
        one();
        cpus.push(cpu() - used);
        walls.push(begun.elapsed().as_secs_f64());
    }
    (super::median(cpus), super::median(walls))
}

struct Timing<'a> {
    job: &'a Job,
    limits: Limits,
}

impl Timing<'_> {
    fn in_pool<S: Bind>(self, pool: &rayon::ThreadPool, spec: &S, parts: &[Vec<Timed<S>>]) -> Measured {
        pool.install(|| self.visit(spec, parts))
    }

    /// One verdict of all partitions: the engines.
    fn engine<S: Bind>(&self, spec: &S, parts: &[Vec<Timed<S>>], measured: &mut Measured) {
        let limits =
            Limits { bytes: (self.limits.bytes / parts.len().max(1) as u64).max(16 << 20), ..self.limits };
        let decided: Vec<_> = parts.par_iter().map(|ops| decide_needed(spec, ops, &limits)).collect();
        let unknown = decided.iter().any(|d| matches!(d.answer, Answer::Unknown(_)));
        measured.verdict = match decided.iter().any(|d| d.is_no()) {
            true => "invalid",
            false if unknown => "unknown",
            false => "valid",
        }
        .into();
        let by: BTreeSet<&str> = decided.iter().map(|d| d.by).collect();
        measured.by = by.into_iter().collect::<Vec<_>>().join("+");
        measured.steps = decided.iter().map(|d| d.steps).sum();
        measured.bytes = decided.iter().map(|d| d.bytes).max().unwrap_or(0);
    }

    fn reference<S: Bind>(&self, spec: &S, parts: &[Vec<Timed<S>>], measured: &mut Measured) {
        let judge = |ops: &Vec<Timed<S>>| reference::linearizable(spec, ops, u64::MAX, self.limits.bytes);
        let answers: Vec<Option<bool>> = parts.iter().map(judge).collect();
        measured.verdict = match () {
            () if answers.contains(&Some(false)) => "invalid",
            () if answers.contains(&None) => "none",
            () => "valid",
        }
        .into();
        measured.by = "reference".into();
    }
}

impl Visit for Timing<'_> {
    type Out = Measured;

    fn visit<S: Bind>(self, spec: &S, parts: &[Vec<Timed<S>>]) -> Measured {
        let mut measured = Measured {
            ops: parts.iter().map(|p| p.len() as u64).sum(),
            hash: format!("{:016x}", drawn::hash(parts)),
            ..Measured::default()
        };
        forget_peak();
        let before = peak();
        watch(self.job.cap, (cpu(), Instant::now()), measured.clone());
        let mut grown = None;
        (measured.cpu, measured.wall) = rounds(|| {
            match self.job.judge {
                Judge::Reference => self.reference(spec, parts, &mut measured),
                _ => self.engine(spec, parts, &mut measured),
            }
            grown.get_or_insert_with(|| peak().saturating_sub(before));
        });
        measured.rss = grown.unwrap_or(0);
        measured
    }
}

/// All of it, reading included; `rss` is the whole process.
fn streamed(job: &Job) -> Result<Measured> {
    let file = job.file.as_ref().context("no file to read")?;
    let (used, begun) = (cpu(), Instant::now());
    watch(job.cap, (used, begun), Measured::default());
    let judged = crate::stream::judge(file, &Default::default()).map_err(|f| anyhow!(f.says))?;
    Ok(Measured {
        verdict: judged.verdict.into(),
        by: "stream".into(),
        ops: judged.calls,
        cpu: cpu() - used,
        wall: begun.elapsed().as_secs_f64(),
        rss: peak(),
        ..Measured::default()
    })
}

/// The whole checker, counterexample and all.
fn told(job: &Job, history: &History, object: Object, pool: &rayon::ThreadPool) -> Result<Measured> {
    let budget = Budget { steps: job.steps, bytes: job.bytes, watch: None };
    let mut measured = Measured { ops: history.len() as u64, ..Measured::default() };
    watch(job.cap, (cpu(), Instant::now()), measured.clone());
    let mut findings = None;
    (measured.cpu, measured.wall) = rounds(|| {
        findings = Some(pool.install(|| Linearizable::of(object).check(history, &budget)));
    });
    let findings = findings.context("it was never judged")?;
    measured.verdict = findings.worst().map_or("unknown", |v| v.word()).into();
    if let Some(checkers::Verdict::Invalid(c)) = findings.worst() {
        measured.core = Some(c.core.len() + c.groups.len());
        measured.by = c.by.clone();
    }
    if job.judge == Judge::Findings {
        measured.findings = Some(findings.to_json().to_string());
    }
    Ok(measured)
}
