//! How fast EDN is read: `cargo run --release -p history --example edn_throughput [FILE.edn]`.
//!
//! Prints MB/s of the reader alone (values built and dropped) and of the whole way to a validated history, one
//! thread each, in time on the processor, so that other work on the machine does not count.
//! Without a file: a generated list-append history of 200,000 lines.

#![allow(clippy::disallowed_methods, reason = "it measures time and reads a file")]

use history::formats;
use history::formats::edn::{Dialect, Parser};
use history::jsonl::ReadOptions;
use std::fmt::Write as _;
use std::time::Instant;

fn generated() -> Vec<u8> {
    let mut text = String::new();
    for i in 0..100_000u64 {
        let (process, k, v) = (i % 20, i * 7 % 100, i);
        for (half, (kind, seen)) in [("invoke", "nil"), ("ok", "[1 2 3 5 8 13 21]")].into_iter().enumerate() {
            let _ = writeln!(
                text,
                "{{:index {}, :time {}, :type :{kind}, :process {process}, :f :txn, :value [[:append {k} {v}] [:r {} {seen}]]}}",
                i * 2 + half as u64,
                i * 100_000 + half as u64,
                (k + 1) % 100,
            );
        }
    }
    text.into_bytes()
}

/// Seconds that this thread was on a processor; on other systems than Linux, of the clock.
fn now(begun: Instant) -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    match stat.and_then(|s| s.split(' ').next()?.parse::<f64>().ok()) {
        Some(nanos) => nanos / 1e9,
        None => begun.elapsed().as_secs_f64(),
    }
}

/// The best of five rounds, in MB/s.
fn measure(bytes: usize, mut round: impl FnMut() -> usize) -> (f64, usize) {
    let (clock, mut best, mut count) = (Instant::now(), f64::INFINITY, 0);
    for _ in 0..5 {
        let begun = now(clock);
        count = round();
        best = best.min(now(clock) - begun);
    }
    (bytes as f64 / 1e6 / best, count)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bytes = match std::env::args().nth(1) {
        Some(path) => std::fs::read(path)?,
        None => generated(),
    };
    let (speed, forms) = measure(bytes.len(), || {
        let mut parser = Parser::new(&bytes, true, Dialect::Edn);
        let mut forms = 0;
        while parser.peek().is_some() {
            match parser.value() {
                Ok(_) => forms += 1,
                Err(fault) => {
                    eprintln!("{fault:?}");
                    break;
                }
            }
        }
        forms
    });
    println!("values:  {speed:7.1} MB/s, {forms} forms");
    let (speed, ops) = measure(bytes.len(), || {
        match formats::read(&bytes[..], "history.edn", Some("jepsen-edn"), &ReadOptions::default()) {
            Ok((history, _)) => history.len(),
            Err(error) => {
                eprintln!("{error}");
                0
            }
        }
    });
    println!("history: {speed:7.1} MB/s, {ops} ops");
    Ok(())
}
