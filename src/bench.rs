//! `schism bench run`: the tester's own numbers, each beside its floor; a missed floor is exit code 1.
//!
//! Everything is measured in this process, on public inputs with fixed seeds. Nothing of this is a test: speed says
//! nothing about right or wrong. `bench matrix` is in `matrix.rs`, `bench check` in `bench/check.rs`.

pub mod check;
pub mod drawn;
mod row;

use crate::campaign::{self, RunSpec};
use crate::cli::{BenchArgs, Failure};
use crate::demo;
use crate::judge;
use crate::record::{Clock, Journal, Sync};
use crate::run::{Control, Open, drive};
use crate::simulate;
use anyhow::{Context, Result, anyhow};
use async_trait::async_trait;
use checkers::Budget;
use history::jsonl::{Header, SCHEMA};
use history::rng::Rng;
use history::{Call, NodeId, Outcome, Reply, Value};
use nodes::ClusterSpec;
use rayon::prelude::*;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use targets::Client;
use workloads::interpreter::{Interpreter, Options};

/// One measured number.
pub struct Number {
    name: &'static str,
    value: f64,
    unit: &'static str,
    /// At least (or, if `most`, at most) this; `None`: only to be known.
    floor: Option<f64>,
    most: bool,
    note: String,
}

impl Number {
    fn at_least(name: &'static str, value: f64, unit: &'static str, floor: f64) -> Number {
        Number { name, value, unit, floor: Some(floor), most: false, note: String::new() }
    }

    fn at_most(name: &'static str, value: f64, unit: &'static str, floor: f64) -> Number {
        Number { most: true, ..Number::at_least(name, value, unit, floor) }
    }

    fn known(name: &'static str, value: f64, unit: &'static str) -> Number {
        Number { floor: None, ..Number::at_least(name, value, unit, 0.0) }
    }

    fn note(mut self, note: impl Into<String>) -> Number {
        self.note = note.into();
        self
    }

    fn met(&self) -> bool {
        match (self.floor, self.most) {
            (None, _) => true,
            (Some(floor), false) => self.value >= floor,
            (Some(floor), true) => self.value <= floor,
        }
    }

    fn line(&self) -> String {
        let floor = match (self.floor, self.most) {
            (None, _) => String::new(),
            (Some(f), most) => format!("{} {f}", if most { "≤" } else { "≥" }),
        };
        let mark = if self.met() { "ok  " } else { "MISS" };
        format!("{mark} {:44} {:>12.2} {:8} {floor:12} {}", self.name, self.value, self.unit, self.note)
    }
}

type Part = (&'static str, fn() -> Result<Vec<Number>>);
const PARTS: [Part; 6] = [
    ("cluster", cluster),
    ("interpreter", interpreter),
    ("stamps", stamps),
    ("raft", raft),
    ("sim", simulation),
    ("judge", judging),
];

pub fn main(args: &BenchArgs) -> Result<i32, Failure> {
    if args.what == "matrix" {
        return crate::matrix::main(args);
    }
    if args.what == "check" {
        return check::main(&args.check, args.json);
    }
    let mut rows = Vec::new();
    let mut met = true;
    for (name, part) in PARTS {
        if args.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        eprintln!("measuring {name} …");
        match part() {
            Ok(numbers) => {
                for number in numbers {
                    met &= number.met();
                    if !args.json {
                        println!("{}", number.line());
                    }
                    rows.push(json!({"name": number.name, "value": number.value, "unit": number.unit,
                        "floor": number.floor, "at_most": number.most, "met": number.met(), "note": number.note}));
                }
            }
            Err(e) => {
                met = false;
                eprintln!("{name} could not be measured: {e:#}");
            }
        }
    }
    if args.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&json!({"schema": 1, "numbers": rows})).unwrap_or_default()
        );
    }
    Ok(if met { crate::exit::VALID } else { crate::exit::INVALID })
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// A directory of our own under results/, removed with its guard: `/tmp` is often not a real disk.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Result<Scratch> {
        let path = Path::new("results").join(format!(".bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Scratch(path.canonicalize()?))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Five nodes up; one edge cut, seen, healed, seen; a whole partition.
fn cluster() -> Result<Vec<Number>> {
    let scratch = Scratch::new("cluster")?;
    let runtime = runtime()?;
    let (mut ups, mut last) = (Vec::new(), None);
    for round in 0..5 {
        let strikes = if round == 4 { 600 } else { 1 };
        let numbers = runtime.block_on(nodes::bench::bench_cluster(nodes::ALL[0], &scratch.0, 5, strikes))?;
        ups.push(numbers.up.as_secs_f64());
        last = Some(numbers);
    }
    let worst = runtime.block_on(partition_spread(&scratch.0))?;
    let rate = last.map_or(0.0, |n| n.strikes_per_second);
    Ok(vec![
        Number::at_most("five nodes up, SSH and agents included", median(ups), "s", 0.5).note("median of 5"),
        Number::at_least("one edge cut, seen, healed, seen", rate, "/s", 200.0),
        Number::at_most("five-node partition, first to last edge", worst, "ms", 50.0)
            .note("one decision of the switch: the whole request is the upper bound, worst of 20"),
    ])
}

async fn partition_spread(data: &Path) -> Result<f64> {
    let spec = ClusterSpec { run: "bench".into(), nodes: 5, data_root: data.to_path_buf() };
    let cluster = nodes::ALL[0].up(&spec).await?;
    let halves = agent::fabric::between(&[0, 1], &[2, 3, 4]);
    let mut worst = 0.0f64;
    for id in 0..20 {
        let begun = Instant::now();
        cluster.fabric().cut(id, halves.clone(), Duration::from_secs(10)).await?;
        worst = worst.max(begun.elapsed().as_secs_f64() * 1e3);
        cluster.fabric().heal(agent::protocol::Which::All).await?;
    }
    cluster.down().await?;
    Ok(worst)
}

/// A client that answers at once.
#[derive(Clone)]
struct NoOp;
struct NoOpClient;

impl Open for NoOp {
    async fn open(&self, _: u32, _: Option<NodeId>) -> Result<Box<dyn Client>> {
        Ok(Box::new(NoOpClient))
    }

    fn run(&self) -> &str {
        "bench"
    }
}

#[async_trait]
impl Client for NoOpClient {
    async fn invoke(&mut self, call: &Call, _: &str, _: Duration) -> (Outcome, Option<NodeId>) {
        let reply = match call {
            Call::Read(_) => Reply::Read(Value::Null),
            _ => Reply::Done,
        };
        (Outcome::Ok(reply), None)
    }
}

/// Drives 50 no-op clients through interpreter and journal; returns ok ops, seconds, and the run's control.
fn no_op(rate: f64, seconds: f64) -> Result<(u64, f64, Arc<Control>)> {
    let scratch = Scratch::new("interpreter")?;
    let workload = workloads::find("counter").map_err(|e| anyhow!(e))?;
    let params = workloads::Params {
        nodes: 5,
        concurrency: 50,
        rate,
        warm_up: 0,
        load: (seconds * 1e9) as u64,
        final_reads: 1,
        ..workloads::Params::default()
    };
    let generator = workload.generator(&params, Rng::new(1, "calls"));
    let options = Options { concurrency: 50, nodes: vec![Some(NodeId(0))], ..Options::default() };
    let header = Header {
        schism: SCHEMA,
        tool: "bench".into(),
        run: "bench".into(),
        seed: 1,
        clock: "monotonic".into(),
        nodes: vec!["n1".into()],
        more: serde_json::Map::new(),
    };
    let journal =
        Journal::create(&scratch.0.join("history.jsonl"), &header, Sync::EverySecond, Clock::start())?;
    let control = Control::new(Arc::new(journal));
    let interpreter = Interpreter::new(Box::new(generator), options);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begun = Instant::now();
    control.resume.notify_one();
    runtime.block_on(drive(interpreter, 50, NoOp, &control));
    let took = begun.elapsed().as_secs_f64();
    control.journal.finish()?;
    Ok((control.stats.read().0, took, control))
}

fn interpreter() -> Result<Vec<Number>> {
    let (ok, took, _) = no_op(0.0, 3.0)?;
    Ok(vec![
        Number::at_least("interpreter, no-op client, journaled", ok as f64 / took, "ops/s", 300_000.0)
            .note("50 clients, one thread and the syncer"),
    ])
}

fn stamps() -> Result<Vec<Number>> {
    let (ok, took, control) = no_op(50_000.0, 4.0)?;
    let p99 = control.stats.late.quantile(0.99) as f64 / 1e3;
    Ok(vec![
        Number::at_most("completion to its stamp, p99", p99, "µs", 100.0)
            .note(format!("at {:.0} ops/s and 50 clients", ok as f64 / took)),
    ])
}

/// How often the file system under a directory syncs, and its type.
pub fn fsyncs(directory: &Path, rounds: u32) -> std::io::Result<(f64, String)> {
    std::fs::create_dir_all(directory)?;
    let path = directory.join(format!(".fsync-{}", std::process::id()));
    let mut file = File::create(&path)?;
    let begun = Instant::now();
    for _ in 0..rounds {
        file.write_all(&[7; 256])?;
        file.sync_data()?;
    }
    let rate = rounds as f64 / begun.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok((rate, file_system(directory)))
}

/// The type of the mount that holds a path: the longest mount point that is its prefix.
fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = mounts.lines().map(|l| l.split(' ').collect::<Vec<_>>());
    let fitting = fields.filter(|f| f.len() > 2 && path.starts_with(f[1]));
    fitting.max_by_key(|f| f[1].len()).map_or_else(|| "unknown".into(), |f| f[2].to_string())
}

/// Writes through a real five-node raft with 50 clients.
fn raft() -> Result<Vec<Number>> {
    let scratch = Scratch::new("raft")?;
    let (per_second, fs) = fsyncs(&scratch.0, 200)?;
    let runtime = runtime()?;
    let (writes, seconds, syncs) = runtime.block_on(raft_writes(&scratch.0))?;
    let rate = writes as f64 / seconds;
    let name = "raft, five nodes, 50 clients, durable writes";
    let number = match per_second >= 2000.0 {
        true => Number::at_least(name, rate, "/s", 2000.0),
        false => Number::known(name, rate, "/s"),
    };
    Ok(vec![
        Number::known("fdatasync", per_second, "/s").note(fs),
        number,
        Number::known("writes per fsync at the leader", writes as f64 / syncs.max(1) as f64, ""),
    ])
}

async fn raft_writes(data: &Path) -> Result<(u64, f64, u64)> {
    let spec = ClusterSpec { run: "bench-raft".into(), nodes: 5, data_root: data.to_path_buf() };
    let cluster: targets::SharedCluster = Arc::new(nodes::ALL[0].up(&spec).await?);
    let (target, mode) = targets::find("store:raft").context("the bundled store")?;
    let program = std::env::current_exe()?;
    let deploy = targets::Deploy { mode: mode.into(), bug: None, seed: 1, program };
    let deployed = target.deploy(cluster.clone(), &deploy).await?;
    deployed.healthy(Duration::from_secs(20)).await?;
    let roles = deployed.roles(Duration::from_secs(1)).await;
    let leader = roles.iter().position(|r| r.as_ref().is_some_and(|r| r.leads)).context("no leader")?;
    let before = deployed.syncs(leader).await.unwrap_or(0);
    let until = Instant::now() + Duration::from_secs(4);
    let mut tasks = tokio::task::JoinSet::new();
    for c in 0..50u64 {
        let deployed = deployed.clone();
        tasks.spawn(async move {
            let object = workloads::Object::Register;
            let mut client = deployed.client(nodes::From::Inside(leader), leader, object, c + 1).await?;
            let mut ok = 0u64;
            while Instant::now() < until {
                let call = Call::Write(Value::text("k"), Value::Int(ok as i64));
                let (outcome, _) = client.invoke(&call, "bench", Duration::from_secs(2)).await;
                ok += matches!(outcome, Outcome::Ok(_)) as u64;
            }
            anyhow::Ok(ok)
        });
    }
    let begun = Instant::now();
    let mut writes = 0;
    while let Some(done) = tasks.join_next().await {
        writes += done??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let syncs = deployed.syncs(leader).await.unwrap_or(0) - before;
    drop(deployed);
    if let Ok(cluster) = Arc::try_unwrap(cluster) {
        cluster.down().await?;
    }
    Ok((writes, seconds, syncs))
}

/// Simulated runs a second on all cores, judging excluded.
fn simulation() -> Result<Vec<Number>> {
    let spec = sim_bench_spec()?;
    let runs = 600u64;
    let begun = Instant::now();
    let messages: u64 = (0..runs)
        .into_par_iter()
        .map(|seed| sim::run(&simulate::sim_spec(&RunSpec { seed, ..spec.clone() }, false)).messages)
        .sum();
    let rate = runs as f64 / begun.elapsed().as_secs_f64();
    Ok(vec![
        Number::at_least("simulated five-node raft runs with strikes", rate, "runs/s", 300.0)
            .note(format!("100 ops over 5 s, 50 ms heartbeats; {} messages a run", messages / runs)),
    ])
}

/// 100 ops over five simulated seconds.
pub fn sim_bench_spec() -> Result<RunSpec> {
    let mut args = demo::run_args(1, None, "partition,kill,pause");
    args.rate = 20;
    args.time_limit = 5.0;
    args.interval = 2.0;
    campaign::resolve(&args).map_err(|f| anyhow!(f.says))
}

/// A register history of 100,000 ops over 100 keys: judged, and drawn.
fn judging() -> Result<Vec<Number>> {
    let mut args = demo::run_args(5, None, "partition,kill,pause");
    args.rate = 1000;
    args.time_limit = 100.0;
    args.interval = 10.0;
    let mut spec = campaign::resolve(&args).map_err(|f| anyhow!(f.says))?;
    spec.concurrency = 20;
    let mut sim = simulate::sim_spec(&spec, false);
    sim.params.ops_per_key = 1030;
    let result = sim::run(&sim);
    let bytes = simulate::record(&sim, spec.header("simulated"), &result, "bench");
    let history = simulate::read(&bytes);
    let keys = history.by_key().len();
    let begun = Instant::now();
    let judgement = judge::judge(&history, &judge::of_workload(spec.workload), &Budget::default());
    let took = begun.elapsed().as_secs_f64();
    let meta =
        crate::report::Meta { run: "bench".into(), command: spec.command("sim"), ..Default::default() };
    let page = crate::report::Page {
        history: &history,
        verdict: &judgement.verdict,
        findings: &judgement.findings,
        about: &judgement.about,
        meta: &meta,
    };
    let html = crate::report::render(&page).map_err(|e| anyhow!("{e}"))?;
    Ok(vec![
        Number::at_most("register history judged", took, "s", 1.0).note(format!(
            "{} ops, {keys} keys: {}",
            history.len(),
            judgement.headline()
        )),
        Number::at_most("its report", html.len() as f64 / 1e6, "MB", 1.0),
    ])
}
