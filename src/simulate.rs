//! `schism sim`: the same target, workload, nemeses and checkers in simulated time.
//!
//! A seed is the whole run: it replays bit for bit. Seeds are spread over the cores; output is in seed order.
//! Not here: the world itself (`sim/`).

use crate::artifacts::{self, Finished, Stamp};
use crate::campaign::{self, RunSpec};
use crate::cli::{Failure, SimArgs};
use crate::judge::{self, Judgement};
use crate::report::Meta;
use crate::terminal::{Progress, paint};
use checkers::Budget;
use history::jsonl::{self, Header, ReadOptions, SCHEMA, Writer};
use history::{Event, History, Value};
use rayon::prelude::*;
use serde_json::Value as Json;
use sim::{SimResult, SimSpec, Timing};
use std::path::Path;

/// What a simulated run depends on, from the same spec as a live one.
pub fn sim_spec(spec: &RunSpec, trace: bool) -> SimSpec {
    SimSpec {
        mode: mode(spec.mode, spec.nodes),
        bug: spec.bug.map(|b| b.name),
        workload: spec.workload,
        strikes: spec.strikes(),
        places: Vec::new(),
        params: spec.params(),
        timing: Timing::default(),
        seed: spec.seed,
        trace_hash: trace,
    }
}

/// The mode of a target's name; quorums as the store promises them, so that reads and writes overlap.
fn mode(name: &str, nodes: usize) -> store::Mode {
    let (n, majority) = targets::store::replicas(nodes);
    match name {
        "quorum" => store::Mode::Quorum { n, w: majority, r: majority, write_back: true },
        "single" => store::Mode::Single,
        _ => store::Mode::Raft,
    }
}

/// The file that a simulated run would have recorded.
pub fn record(sim: &SimSpec, more: serde_json::Map<String, Json>, result: &SimResult, run: &str) -> Vec<u8> {
    let header = Header {
        schism: SCHEMA,
        tool: env!("CARGO_PKG_VERSION").into(),
        run: run.into(),
        seed: sim.seed,
        clock: "simulated".into(),
        nodes: sim::node_names(sim.params.nodes),
        more,
    };
    let written = (|| {
        let mut writer = Writer::new(Vec::new(), &header)?;
        for event in &result.events {
            writer.event(event)?;
        }
        let end = result.events.last().map_or(0, Event::time);
        let acted = result.activations.iter().map(|(k, v)| (Value::text(k), Value::Int(*v as i64)));
        writer.event(&Event::Note {
            time: end,
            f: "activations".into(),
            value: Value::Map(acted.collect()),
        })?;
        writer.finish()
    })();
    written.unwrap_or_else(|e: std::io::Error| panic!("writing to memory cannot fail: {e}"))
}

/// A simulated run, recorded, read back and judged: the judge sees the file, as always.
pub struct Judged {
    pub bytes: Vec<u8>,
    pub history: History,
    pub judgement: Judgement,
    pub result: SimResult,
}

pub fn judged(sim: &SimSpec, more: serde_json::Map<String, Json>) -> Judged {
    let result = sim::run(sim);
    let bytes = record(sim, more, &result, &format!("sim/seed-{}", sim.seed));
    let history = read(&bytes);
    let judgement = judge::judge(&history, &judge::of_workload(sim.workload), &Budget::default());
    Judged { bytes, history, judgement, result }
}

/// Reads what [`record`] wrote.
pub fn read(bytes: &[u8]) -> History {
    jsonl::read(bytes, &ReadOptions::default())
        .unwrap_or_else(|e| panic!("a simulated run recorded what our own reader refuses: {e}"))
}

/// One seed of a spec.
pub struct Simulated {
    pub spec: RunSpec,
    pub bytes: Vec<u8>,
    pub history: History,
    pub judgement: Judgement,
    pub trace_hash: u64,
    pub messages: u64,
    pub activations: u64,
}

pub fn one(spec: &RunSpec, trace: bool) -> Simulated {
    let Judged { bytes, history, judgement, result } =
        judged(&sim_spec(spec, trace), spec.header("simulated"));
    Simulated {
        spec: spec.clone(),
        bytes,
        history,
        judgement,
        trace_hash: result.trace_hash,
        messages: result.messages,
        activations: result.activations.values().sum(),
    }
}

fn seeds(args: &SimArgs) -> Result<std::ops::Range<u64>, Failure> {
    let Some(text) = &args.seeds else { return Ok(args.run.seed..args.run.seed + 1) };
    let bad = || Failure::usage(format!("--seeds takes a range such as 0..100, not {text:?}"));
    let (from, to) = text.split_once("..").ok_or_else(bad)?;
    let range = from.parse().map_err(|_| bad())?..to.parse().map_err(|_| bad())?;
    match range.is_empty() {
        true => Err(bad()),
        false => Ok(range),
    }
}

pub fn main(args: &SimArgs) -> Result<i32, Failure> {
    let spec = campaign::resolve(&args.run)?;
    if args.dry_run {
        print!("{}", artifacts::plan_text(&spec, args.run.json));
        return Ok(crate::exit::VALID);
    }
    let seeds = seeds(args)?;
    let single = seeds.end - seeds.start == 1;
    let progress = Progress::new();
    let campaign = format!("sim-{}", Stamp::now());
    // Chunks bound what is held at once; within one, order is kept whatever finishes first.
    let (mut codes, mut documents, mut verdicts) = (Vec::new(), Vec::new(), [0u64; 3]);
    let all: Vec<u64> = seeds.collect();
    for chunk in all.chunks(64) {
        let runs: Vec<Simulated> =
            chunk.par_iter().map(|seed| one(&RunSpec { seed: *seed, ..spec.clone() }, args.trace)).collect();
        for run in runs {
            verdicts[run.judgement.verdict.rank() as usize] += 1;
            codes.push(run.judgement.exit_code());
            line(&run, args);
            if args.run.json {
                documents.push(artifacts::document(&run.history, &run.judgement, &meta(&run)));
            }
            if let Some(results) = &args.results {
                keep(results, &campaign, run, &progress)?;
            }
        }
    }
    if args.run.json {
        artifacts::print_json(&documents);
    } else if !single {
        let [valid, unknown, invalid] = verdicts;
        println!("{} seeds: {valid} valid, {unknown} unknown, {invalid} invalid", codes.len());
    }
    Ok(judge::worst_exit(codes))
}

/// A seed's line; for a single run the diagnosis follows.
fn line(run: &Simulated, args: &SimArgs) {
    let [ok, fail, info] = artifacts::op_counts(&run.history);
    let word = paint(&format!("{:22}", run.judgement.headline()), run.judgement.verdict.rank());
    let (_, strikes) = artifacts::strike_counts(&run.history);
    let mut text =
        format!("seed {:<6} {word} {ok} ok {fail} fail {info} info, {strikes} strikes", run.spec.seed);
    if args.trace {
        text += &format!(", {} messages, trace {:016x}", run.messages, run.trace_hash);
    }
    if run.spec.bug.is_some() {
        text += &format!(", bug acted {} times", run.activations);
    }
    if args.seeds.is_none() {
        text += &format!("\n  {}\n  repeat  {}", run.judgement.diagnosis(), run.spec.command("sim"));
    }
    match args.run.json {
        true => eprintln!("{text}"),
        false => println!("{text}"),
    }
}

/// What is known of a simulated run beside its history.
pub fn meta(run: &Simulated) -> Meta {
    Meta {
        run: format!("seed-{}", run.spec.seed),
        title: format!("{} {} (simulated)", run.spec.target_name(), run.spec.workload.name()),
        command: run.spec.command("sim"),
        host: vec![("schism".into(), env!("CARGO_PKG_VERSION").into()), ("world".into(), "simulated".into())],
        not_injected: Vec::new(),
        logs: Vec::new(),
        siblings: Vec::new(),
        promise: run.spec.promise(),
        started: Stamp::now().pretty(),
        file: String::new(),
    }
}

fn keep(results: &Path, campaign: &str, run: Simulated, progress: &Progress) -> Result<Finished, Failure> {
    let name = format!("{campaign}/seed-{}", run.spec.seed);
    let mut meta = meta(&run);
    meta.run = name.clone();
    write(results, &name, run, meta, progress)
}

/// The same directory a live run would leave.
pub fn write(
    results: &Path,
    name: &str,
    run: Simulated,
    meta: Meta,
    progress: &Progress,
) -> Result<Finished, Failure> {
    let directory = results.join(name);
    artifacts::write_plan(&directory, &run.spec, &run.spec.strikes(), &meta.command)?;
    let path = directory.join("history.jsonl");
    std::fs::write(&path, &run.bytes)
        .map_err(|e| Failure::could_not_run(format!("cannot write {}: {e}", path.display())))?;
    let finished = artifacts::publish(&run.history, run.judgement, meta, &directory, progress);
    artifacts::link_latest(results, name);
    Ok(finished)
}
