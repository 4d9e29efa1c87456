//! Times the engines on one family after the other: `families [dfs|beam|all] FAMILY…`. For work on the engines.
#![allow(clippy::disallowed_methods, reason = "an example may read the clock")]

use checkers::linearizable::dfs::{self, Limits};
use checkers::linearizable::engine::{Answer, decide_needed};
use checkers::linearizable::families::Family;
use checkers::linearizable::objects::Register;
use checkers::linearizable::{frontier, preprocess, reference};

fn main() {
    let mut args = std::env::args().skip(1);
    let what = args.next().unwrap_or_default();
    let limits = Limits::default();
    let all: Vec<String> = match what.as_str() {
        "grid" => {
            let mut names = Vec::new();
            for stale in ["", ":stale"] {
                for object in args.by_ref() {
                    for c in [5, 10, 20, 50, 100] {
                        for n in [1_000, 10_000, 100_000] {
                            for m in [0, 10, 100, 1_000] {
                                if m <= n / 10 && (stale.is_empty() || c <= 20) {
                                    names.push(format!("{object}:c{c}:m{m}:n{n}{stale}"));
                                }
                            }
                        }
                    }
                }
            }
            names
        }
        _ => args.collect(),
    };
    for name in all {
        let family = Family::parse(&name).unwrap();
        let Some(ops) = family.ops(1) else {
            println!("{name}: cannot be made stale");
            continue;
        };
        let spec = Register::default();
        let t = cpu();
        let (says, steps) = match what.as_str() {
            "dfs" => {
                let part: Vec<_> =
                    preprocess::needed(&spec, &ops).into_iter().map(|i| ops[i].clone()).collect();
                let r = dfs::search(&spec, &part, &limits);
                (format!("{:.20}", format!("{:?}", r.answer)), r.steps)
            }
            "reference" => (format!("{:?}", reference::linearizable(&spec, &ops, u64::MAX, 8 << 30)), 0),
            "relaxed" | "cegar" => {
                let part: Vec<_> =
                    preprocess::needed(&spec, &ops).into_iter().map(|i| ops[i].clone()).collect();
                let r = match what.as_str() {
                    "relaxed" => frontier::relaxed(&spec, &part, &limits, None).1,
                    _ => frontier::cegar(&spec, &part, &limits),
                };
                (format!("{:.20}", format!("{:?}", r.answer)), r.steps)
            }
            w if w.starts_with("beam") => {
                let part: Vec<_> =
                    preprocess::needed(&spec, &ops).into_iter().map(|i| ops[i].clone()).collect();
                let r = frontier::beam(&spec, &part, w[4..].parse().unwrap_or(8), 3, &limits);
                (format!("{:.20}", format!("{:?}", r.answer)), r.steps)
            }
            _ => {
                let d = decide_needed(&spec, &ops, &limits);
                let says = match d.answer {
                    Answer::Yes(_) => "yes".to_string(),
                    Answer::No(_) => "no".into(),
                    Answer::Unknown(why) => format!("{why:?}"),
                };
                (format!("{says} by {}", d.by), d.steps)
            }
        };
        println!("{name}: {says} {:.2} ms, {steps} steps", (cpu() - t) * 1e3);
    }
}

/// Seconds that this thread has run.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}
