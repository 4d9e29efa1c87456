//! Sweeps seeds from the command line: `explore WORKLOAD NEMESES|@SCHEDULE BUG|- SEEDS [key=value…]`.
//!
//! A bench for choosing parameters; the product's own front end is `schism sim`.

use checkers::Budget;
use nemeses::PlanOptions;
use sim::{SimSpec, Timing, explore};
use workloads::Params;

const SECOND: u64 = 1_000_000_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, workload, damage, bug, seeds, options @ ..] = &args[..] else {
        panic!("explore WORKLOAD NEMESES|@SCHEDULE BUG|- SEEDS [key=value…]")
    };
    let option = |name: &str, default: f64| {
        let found = options.iter().find_map(|o| o.strip_prefix(name)?.strip_prefix('='));
        found.map_or(default, |v| v.parse().unwrap_or(default))
    };
    let bug: Option<&'static str> = (bug != "-").then(|| &*Box::leak(bug.clone().into_boxed_str()));
    let workload = workloads::find(workload).unwrap_or_else(|why| panic!("{why}"));
    let quorum = option("quorum", 0.0) > 0.0;
    let mode = match (quorum, option("single", 0.0) > 0.0) {
        (true, _) => store::Mode::Quorum {
            n: option("n", 3.0) as usize,
            w: option("w", 2.0) as usize,
            r: option("r", 2.0) as usize,
            write_back: option("write-back", 1.0) > 0.0,
        },
        (_, true) => store::Mode::Single,
        _ => store::Mode::Raft,
    };
    let mut count = [0; 3];
    for seed in 0..seeds.parse().expect("a number of seeds") {
        let params = Params {
            nodes: option("nodes", 5.0) as usize,
            concurrency: option("clients", 10.0) as usize,
            rate: option("rate", 200.0),
            load: (option("load", 20.0) * SECOND as f64) as u64,
            warm_up: SECOND,
            keys: option("keys", 0.0) as usize,
            final_reads: option("finals", 20.0) as usize,
            ..Params::default()
        };
        let mut timing = Timing::default();
        timing.network.slow = (option("slow", 0.0), (option("slow-ms", 0.0) * 1e6) as u64);
        timing.network.loss = option("loss", 0.0);
        timing.request_timeout = (option("request-ms", 2000.0) * 1e6) as u64;
        let mut spec = SimSpec {
            mode,
            bug,
            workload,
            strikes: Vec::new(),
            places: Vec::new(),
            params,
            timing,
            seed,
            trace_hash: false,
        };
        spec.strikes = match damage.strip_prefix('@') {
            Some(text) => nemeses::schedule::parse(&text.replace(';', "\n"), spec.params.nodes, seed)
                .unwrap_or_else(|why| panic!("{why}")),
            None => {
                let named: Vec<_> = damage
                    .split(',')
                    .map(|name| nemeses::find(name).unwrap_or_else(|| panic!("no {name}")))
                    .collect();
                let options = PlanOptions {
                    min_length: (option("min", 2.0) * SECOND as f64) as u64,
                    overlap: option("overlap", 0.0) > 0.0,
                    majority: option("majority", 0.0) > 0.0,
                    ..PlanOptions::default()
                };
                explore::plan(&named, &spec, &options)
            }
        };
        let found =
            explore::judge(&spec, &Budget { steps: option("steps", 3e6) as u64, ..Budget::default() });
        if option("strikes", 0.0) > 0.0 {
            for strike in found.history.strikes() {
                println!("     {:?} {:?} {:?}", strike.strike, strike.confirmed, strike.healed);
            }
        }
        let row = found.row(seed);
        count[["valid", "unknown", "invalid"].iter().position(|w| *w == row.verdict).unwrap_or(1)] += 1;
        println!(
            "{seed:4} {:8} ops {:5} strikes {:?} settled {} {:?} {:?}",
            row.verdict, row.ops, row.strikes, row.settled, row.activations, row.says
        );
    }
    println!("valid {} unknown {} invalid {}", count[0], count[1], count[2]);
}
