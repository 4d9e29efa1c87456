//! `schism demo`: the main job on an embedded default, with nothing installed and nothing configured.
//!
//! Three runs: the correct store under strikes (must be valid), the store with the planted bug under the very same
//! strikes (must be invalid), and the planted bug without strikes (must be valid: the faults reveal it, not luck).
//! The first two live on five namespace nodes; the third, and all three where namespaces are refused, simulated.

use crate::artifacts::{self, Finished, Stamp};
use crate::campaign::{self, RunSpec};
use crate::cli::{DemoArgs, Failure, RunArgs};
use crate::record::Sync;
use crate::report::Meta;
use crate::run::{LiveOptions, block_on_live};
use crate::simulate;
use crate::terminal::{Progress, paint};
use std::time::Duration;

/// The bug of the demo: what etcd 0.4.1 and Consul 0.3 once did.
pub const BUG: &str = "leader-local-read";

/// The run of the demo, as flags of `schism test`.
pub fn run_args(seed: u64, bug: Option<&str>, nemesis: &str) -> RunArgs {
    RunArgs {
        target: "store:raft".into(),
        bug: bug.map(str::to_string),
        workload: "register".into(),
        nemesis: nemesis.into(),
        schedule: None,
        nodes: 5,
        rate: 200,
        concurrency: "20n".into(),
        time_limit: 16.0,
        interval: 3.0,
        seed,
        json: false,
    }
}

/// What strikes in the demo.
pub const NEMESES: &str = "isolate-leader,partition,kill,pause";

struct Part {
    name: &'static str,
    label: &'static str,
    spec: RunSpec,
    must: &'static str,
    live: bool,
}

fn parts(args: &DemoArgs, live: bool) -> Result<Vec<Part>, Failure> {
    let spec = |bug, nemesis| campaign::resolve(&run_args(args.seed, bug, nemesis));
    Ok(vec![
        Part {
            name: "correct",
            label: "the store as it should be",
            spec: spec(None, NEMESES)?,
            must: "valid",
            live,
        },
        Part {
            name: BUG,
            label: "with the bug planted",
            spec: spec(Some(BUG), NEMESES)?,
            must: "invalid",
            live,
        },
        Part {
            name: "bug-without-strikes",
            label: "with the bug, nothing broken (simulated)",
            spec: spec(Some(BUG), "none")?,
            must: "valid",
            live: false,
        },
    ])
}

pub fn main(args: &DemoArgs) -> Result<i32, Failure> {
    let refused = match args.simulated {
        true => None,
        false => nodes::namespaces::probe().err(),
    };
    if let Some(why) = &refused {
        eprintln!("{why}");
        eprintln!("Running the same demo on the simulated cluster instead.");
    }
    let live = refused.is_none() && !args.simulated;
    let campaign = format!("demo-{}", Stamp::now());
    let mut done: Vec<(Part, Finished)> = Vec::new();
    let parts = parts(args, live)?;
    let siblings: Vec<(String, String)> =
        parts.iter().map(|p| (p.label.to_string(), format!("../{}/report.html", p.name))).collect();
    for part in parts {
        let finished = perform(args, &campaign, &part, &siblings)?;
        let interrupted = finished.interrupted;
        done.push((part, finished));
        if interrupted {
            return Ok(crate::exit::INTERRUPTED);
        }
    }
    artifacts::link_latest(&args.results, &format!("{campaign}/{BUG}"));
    tell(args, &done);
    let kept = done.iter().all(|(part, finished)| finished.judgement.verdict.word() == part.must);
    Ok(if kept { crate::exit::VALID } else { crate::exit::INVALID })
}

fn perform(
    args: &DemoArgs,
    campaign: &str,
    part: &Part,
    siblings: &[(String, String)],
) -> Result<Finished, Failure> {
    let run = format!("{campaign}/{}", part.name);
    let title = format!("{}: {}", part.spec.target_name(), part.label);
    let siblings: Vec<_> = siblings.iter().filter(|(label, _)| label != part.label).cloned().collect();
    if part.live {
        let options = LiveOptions {
            provider: nodes::ALL[0],
            directory: args.results.join(&run),
            run,
            title,
            command: part.spec.command("test"),
            lease: Duration::from_secs(10),
            fsync: Sync::EverySecond,
            leave_running: false,
            siblings,
        };
        return block_on_live(&part.spec, &options);
    }
    let progress = Progress::new();
    let simulated = simulate::one(&part.spec, false);
    let meta = Meta { run: run.clone(), title, siblings, ..simulate::meta(&simulated) };
    simulate::write(&args.results, &run, simulated, meta, &progress)
}

fn tell(args: &DemoArgs, done: &[(Part, Finished)]) {
    if args.json {
        let documents: Vec<_> = done.iter().map(|(_, f)| f.document.clone()).collect();
        return artifacts::print_json(&documents);
    }
    println!();
    for (part, finished) in done {
        let verdict =
            paint(&format!("{:20}", finished.judgement.headline()), finished.judgement.verdict.rank());
        let (requested, effective) = finished.strikes;
        let as_expected =
            if finished.judgement.verdict.word() == part.must { "" } else { "   NOT AS EXPECTED" };
        println!(
            "{verdict} {:42} {} ok ops, {effective} of {requested} strikes took effect{as_expected}",
            part.label, finished.ops[0]
        );
    }
    if let Some((_, bug)) = done.iter().find(|(p, _)| p.name == BUG) {
        println!("\n{}", bug.judgement.diagnosis());
        println!("\nopen    {}", bug.report().display());
        println!("repeat  {}", bug.command);
        println!("check   schism check {}", bug.directory.display());
    }
    let unexpected = done.iter().filter(|(p, f)| f.judgement.verdict.word() != p.must);
    for (part, finished) in unexpected {
        println!("\n{} had to be {}: {}", part.label, part.must, finished.judgement.diagnosis());
        println!("open    {}", finished.report().display());
    }
}
