//! The namespaces provider on real kernels: five nodes, cuts, and everyone's death.
//!
//! The hub, the nodes and the agents are this very binary again, so it has a main of its own: it dispatches
//! the hidden sub-commands first and otherwise behaves like the standard harness (`--list`, `--exact`, a
//! filter). With the one argument `bench` it prints numbers instead. Where the kernel refuses user namespaces every case is skipped, and says why.

mod cases;
mod deaths;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;

use nodes::namespaces::{HUB, NODE, hub_main, node_main, probe};

/// Name and body of a case.
type Case = (&'static str, fn());

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(HUB) => exit(hub_main()),
        Some(NODE) => exit(node_main()),
        Some(agent::COMMAND) => exit(agent::serve_stdio()),
        Some(support::ECHO) => support::echo_server(&arguments[1]),
        Some(deaths::CONTROLLER) => deaths::controller(&arguments[1], arguments.get(2).is_some()),
        Some("bench") => support::bench(),
        _ => exit(harness(&arguments)),
    }
}

/// Flags of the standard harness that are followed by a value, which is no filter.
const WITH_VALUE: [&str; 4] = ["--format", "--color", "--test-threads", "--logfile"];

fn harness(arguments: &[String]) -> i32 {
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let value = |at: usize| at > 0 && WITH_VALUE.contains(&arguments[at - 1].as_str());
    let words = arguments.iter().enumerate().filter(|(at, word)| !word.starts_with("--") && !value(*at));
    let filters: Vec<&String> = words.map(|(_, word)| word).collect();
    let chosen = |name: &str| {
        filters.is_empty()
            || filters.iter().any(|f| if has("--exact") { name == *f } else { name.contains(f.as_str()) })
    };
    let all = [cases::ALL, deaths::ALL].concat();
    // There are no ignored cases, which is what this flag asks for.
    let cases: Vec<Case> = all.into_iter().filter(|(name, _)| chosen(name) && !has("--ignored")).collect();
    if has("--list") {
        cases.iter().for_each(|(name, _)| println!("{name}: test"));
        return 0;
    }
    if let Err(reason) = probe() {
        cases.iter().for_each(|(name, _)| println!("test {name} ... skipped: {reason}"));
        println!("test result: ok. 0 passed; 0 failed; {} ignored; 0 measured; 0 filtered out", cases.len());
        return 0;
    }
    let failed = cases.iter().filter(|case| !passes(case)).count();
    let word = if failed == 0 { "ok" } else { "FAILED" };
    let passed = cases.len() - failed;
    println!("test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out");
    i32::from(failed > 0)
}

fn passes((name, body): &Case) -> bool {
    let passed = catch_unwind(AssertUnwindSafe(body)).is_ok();
    println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
    passed
}
