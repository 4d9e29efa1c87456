//! The table of contents: hidden roles of the one binary first, then the command line.
//!
//! A namespace hub, a node's PID 1, an agent and a store process are this same file started with another first
//! argument; they must be recognised before any thread or runtime exists.

mod artifacts;
mod bench;
mod campaign;
mod certificate;
mod check;
mod cli;
mod convert;
mod demo;
mod doctor;
mod explain;
mod input;
mod judge;
mod lint;
mod list;
mod matrix;
mod record;
mod report;
mod run;
mod serve;
mod shrink;
mod simulate;
mod stream;
mod terminal;
mod verify;

/// Jepsen's codes, so that scripts carry over.
pub mod exit {
    pub const VALID: i32 = 0;
    pub const INVALID: i32 = 1;
    pub const UNKNOWN: i32 = 2;
    /// The run failed before its first call.
    pub const COULD_NOT_RUN: i32 = 3;
    pub const INTERRUPTED: i32 = 130;
    pub const USAGE: i32 = 254;
    pub const INTERNAL: i32 = 255;
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let code = match args.get(1).map(String::as_str) {
        Some(nodes::namespaces::HUB) => nodes::namespaces::hub_main(),
        Some(nodes::namespaces::NODE) => nodes::namespaces::node_main(),
        Some(agent::COMMAND) => agent::serve_stdio(),
        Some("store") => store::cli::run_cli(&args[2..]),
        _ => cli::main(),
    };
    std::process::exit(code);
}
