//! How many simulated runs a core does in a second: five raft nodes, 100 ops over 5 s, faults, judging excluded.

#![allow(clippy::disallowed_methods, reason = "a bench is a host: it may look at the clock")]

use history::{Cut, Fault, Strike, Who};
use sim::{SimSpec, Timing, run};
use std::time::Instant;
use workloads::Params;

const SECOND: u64 = 1_000_000_000;

fn spec(seed: u64) -> SimSpec {
    let strike = |at: u64, fault| Strike {
        at: at * SECOND / 2,
        lasts: SECOND,
        fault,
        pick: seed,
        nemesis: "speed".into(),
    };
    SimSpec {
        mode: store::Mode::Raft,
        bug: None,
        workload: workloads::ALL[0],
        strikes: vec![
            strike(1, Fault::Partition(Cut::Isolate(Who::Leader))),
            strike(4, Fault::Kill(Who::Leader)),
            strike(7, Fault::Pause(Who::Leader)),
        ],
        places: Vec::new(),
        params: Params { rate: 20.0, load: 5 * SECOND, warm_up: 0, ..Params::default() },
        timing: Timing::default(),
        seed,
        trace_hash: false,
    }
}

fn main() {
    let traced = run(&SimSpec { trace_hash: true, ..spec(1) });
    println!("seed 1 has the trace {:016x}", traced.trace_hash);
    let runs = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(300u64);
    let begun = Instant::now();
    let (mut messages, mut events, mut settled) = (0, 0, 0);
    for seed in 0..runs {
        let result = run(&spec(seed));
        messages += result.messages;
        events += result.events.len();
        settled += u64::from(result.settled);
    }
    let took = begun.elapsed().as_secs_f64();
    println!(
        "{runs} runs in {took:.2} s: {:.0} a second on one core; {} messages and {} events a run; {settled} settled",
        runs as f64 / took,
        messages / runs,
        events as u64 / runs,
    );
}
