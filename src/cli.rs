//! Strings in, a verb out: the flags, their help, and the exit code of a bad one.
//!
//! Nothing is decided here; names are resolved in `campaign`, work is done in each verb's own module.

use crate::exit;
use clap::{Args, Parser, Subcommand};
use history::jsonl::{Limits, ReadOptions};
use std::path::PathBuf;

#[derive(Parser)]
#[command(name = "schism", version, about = "Splits clusters apart and says what the split revealed.", after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 valid · 1 invalid · 2 unknown (vacuous included) · 3 could not run · \
130 interrupted · 254 usage · 255 internal error";

#[derive(Subcommand)]
enum Verb {
    /// Five local nodes, a correct store and one with a planted bug, the same faults: two verdicts and a page to open
    Demo(DemoArgs),
    /// One run against real nodes (repeat it with --test-count)
    Test(TestArgs),
    /// The same run in simulated time: --seeds A..B, bit for bit repeatable
    Sim(SimArgs),
    /// Judge recorded histories: files, or run directories under results/
    Check(CheckArgs),
    /// Check a certificate of `check --certificate` against the raw file, independently of what found it
    VerifyCertificate(VerifyCertificateArgs),
    /// What in a history weakens or breaks a checker's assumptions, before it is judged
    Lint(LintArgs),
    /// Rewrite a history in another format, and prove that it reads back as the same ops
    Convert(ConvertArgs),
    /// Cut an invalid history down to the few ops that contradict each other (exits as its verdict; 2: no core stands alone)
    Shrink(ShrinkArgs),
    /// Browse results in a web browser, on loopback
    Serve(ServeArgs),
    /// What there is: workloads, nemeses, targets, bugs, checkers, models, providers, promises
    List(ListArgs),
    /// A history's verdict drawn in the terminal, or one workload, nemesis, target, bug or checker in full
    Explain(ExplainArgs),
    /// What this machine can do, one line each with its consequence
    Doctor(DoctorArgs),
    /// Measured numbers, each beside its floor
    Bench(BenchArgs),
    /// Run or call the bundled replicated store by hand
    #[command(disable_help_flag = true)]
    Store {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Everything random follows from this. The default strikes the leader four times, each time in another way
    #[arg(long, default_value_t = 9)]
    pub seed: u64,
    /// Where runs are written
    #[arg(long, default_value = "results")]
    pub results: PathBuf,
    /// On the simulated cluster, as where user namespaces are refused
    #[arg(long)]
    pub simulated: bool,
    /// One machine-readable document on stdout, everything else on stderr
    #[arg(long)]
    pub json: bool,
}

/// What `test` and `sim` share: the run itself.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// System under test: store:raft, store:quorum, store:single
    #[arg(long, default_value = "store:raft")]
    pub target: String,
    /// A planted bug to switch on (`schism list bugs`)
    #[arg(long)]
    pub bug: Option<String>,
    /// What clients ask (`schism list workloads`)
    #[arg(long, short = 'w', default_value = "register")]
    pub workload: String,
    /// Comma list of what breaks (`schism list nemeses`); none for a quiet run
    #[arg(long, default_value = "partition,kill,pause")]
    pub nemesis: String,
    /// A file of strikes instead: `at 5s for 3s isolate leader`, one a line
    #[arg(long, conflicts_with = "nemesis")]
    pub schedule: Option<PathBuf>,
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=31))]
    pub nodes: u8,
    /// Calls a second, all clients together; 0 for as fast as they are answered
    #[arg(long, default_value_t = 200)]
    pub rate: u64,
    /// Clients: a number, or `2n` for two a node
    #[arg(long, default_value = "2n")]
    pub concurrency: String,
    /// Seconds under load and faults, warm-up and final reads not counted
    #[arg(long, default_value_t = 20.0)]
    pub time_limit: f64,
    /// Mean seconds from one strike to the next
    #[arg(long, default_value_t = 5.0)]
    pub interval: f64,
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// One machine-readable document on stdout, everything else on stderr
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct TestArgs {
    #[command(flatten)]
    pub run: RunArgs,
    /// Where nodes come from (`schism list providers`)
    #[arg(long, default_value = "namespaces")]
    pub provider: String,
    /// Repeat with seeds seed, seed+1, …
    #[arg(long, default_value_t = 1)]
    pub test_count: u32,
    /// Print the plan (every strike, the first calls of each client) and touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Keep the cluster after the run, until Enter or ctrl-C
    #[arg(long)]
    pub leave_running: bool,
    /// Sync the history at every batch (`always`) or every second (`second`)
    #[arg(long, default_value = "second", value_parser = ["second", "always"])]
    pub fsync: String,
    /// Where runs are written
    #[arg(long, default_value = "results")]
    pub results: PathBuf,
    /// Seconds that a fault outlives the controller at most
    #[arg(long, default_value_t = 10.0)]
    pub lease: f64,
}

#[derive(Args, Clone, Debug)]
pub struct SimArgs {
    #[command(flatten)]
    pub run: RunArgs,
    /// A range instead of one seed: `0..1000`
    #[arg(long)]
    pub seeds: Option<String>,
    /// Also print a hash of every message: equal for equal seeds
    #[arg(long)]
    pub trace: bool,
    /// Write history and report of each run below this directory
    #[arg(long)]
    pub results: Option<PathBuf>,
    /// Print the plan and touch nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// History files or run directories
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// What the object is (register, cas-register, set, queue, lock, … : `schism list specs`); auto looks at the calls
    #[arg(long, default_value = "auto")]
    pub spec: String,
    /// What must hold: linearizable, sequential, 2-atomic, delta-atomic, regular, safe (a comma list), or all for a
    /// table of which do. A model that does not hold makes the verdict invalid
    #[arg(long, value_name = "NAME[,NAME]")]
    pub model: Option<String>,
    /// First value of every register, as JSON; `any` for a record that begins in mid-run
    #[arg(long, default_value = "null", value_name = "VALUE")]
    pub init: String,
    /// Write the order behind a valid verdict, of any object, for `schism verify-certificate`; with `--init any` it names
    /// the first values that were found. Files with one event a line; others through `schism convert`
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    #[command(flatten)]
    pub read: ReadArgs,
    /// Steps for each key before the answer is unknown
    #[arg(long, default_value_t = 200_000_000)]
    pub budget_steps: u64,
    /// Bytes for each check: 512MiB, 2GiB
    #[arg(long, default_value = "2GiB")]
    pub memory: String,
    /// Threads; 0 for one a core. The verdict is the same at any number
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Judge our JSONL in one pass, in 12 bytes a value: registers whose values are written once, without cas
    #[arg(long, conflicts_with = "report")]
    pub stream: bool,
    /// Write report.html beside each file judged
    #[arg(long)]
    pub report: bool,
    /// One machine-readable document on stdout, everything else on stderr
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct VerifyCertificateArgs {
    /// What `check --certificate` wrote
    pub certificate: PathBuf,
    /// The history; the file that the certificate names where not said
    pub history: Option<PathBuf>,
}

/// What every verb that reads a history lets one say about the file.
#[derive(Args, Clone, Debug)]
pub struct ReadArgs {
    /// How the file is written (`schism list formats`); auto looks at its content
    #[arg(long, default_value = "auto")]
    pub format: String,
    /// A failed cas without a stated reason is evidence (`mismatch`) or says nothing (`nothing`)
    #[arg(long, default_value = "nothing", value_parser = ["mismatch", "nothing"])]
    pub cas_fail: String,
    /// Values of a foreign file are `[key value]` tuples; auto goes by their look
    #[arg(long, default_value = "auto", value_parser = ["auto", "yes", "no"])]
    pub independent: String,
    /// Another bound on hostile input: line, value, file, ops, keys or unpacked, as in line=64MiB (repeatable)
    #[arg(long = "limit", value_name = "NAME=N")]
    pub limits: Vec<String>,
}

impl ReadArgs {
    /// For the readers, once it is certain that the format exists.
    pub fn options(&self) -> Result<ReadOptions, Failure> {
        if self.format != "auto" && history::formats::named(&self.format).is_none() {
            let names = history::formats::ALL.iter().map(|f| f.name()).chain(["auto"]);
            return Err(crate::campaign::unknown("format", &self.format, names));
        }
        Ok(ReadOptions {
            limits: self.limits()?,
            any_failed_cas_is_mismatch: self.cas_fail == "mismatch",
            independent: match self.independent.as_str() {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            },
        })
    }

    fn limits(&self) -> Result<Limits, Failure> {
        let mut limits = Limits::default();
        for limit in &self.limits {
            let Some((name, size)) = limit.split_once('=') else {
                return Err(Failure::usage(format!(
                    "--limit takes NAME=N such as line=64MiB, not {limit:?}"
                )));
            };
            let size = crate::check::bytes_of(&format!("--limit {name}="), size)?;
            if !limits.set(name, size) {
                return Err(crate::campaign::unknown("limit", name, Limits::NAMES.into_iter()));
            }
        }
        Ok(limits)
    }
}

#[derive(Args, Clone, Debug)]
pub struct LintArgs {
    /// History files or run directories
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub read: ReadArgs,
    /// One machine-readable document on stdout, everything else on stderr
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct ConvertArgs {
    /// What is read: a history file or a run directory
    pub from: PathBuf,
    /// What is written; `-` for stdout
    pub to: PathBuf,
    /// The format to write; else the extension says: .jsonl, .edn, .txt, .json
    #[arg(long = "to", value_name = "FORMAT")]
    pub to_format: Option<String>,
    /// Overwrite what is there
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub read: ReadArgs,
}

#[derive(Args, Clone, Debug)]
pub struct ShrinkArgs {
    /// A history file or a run directory
    pub file: PathBuf,
    /// Where the core is written; the file's name with `.core.jsonl` where not said
    #[arg(long, short)]
    pub out: Option<PathBuf>,
    /// What the object is, as for `check`
    #[arg(long, default_value = "auto")]
    pub spec: String,
    /// Also print the core as a Rust test with the expected verdict
    #[arg(long)]
    pub as_test: bool,
    /// Overwrite the file that --out names
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub read: ReadArgs,
}

#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// A history file, a run directory, or a name that `schism list` prints
    pub what: String,
    /// What the object of a history is, as for `check`
    #[arg(long, default_value = "auto")]
    pub spec: String,
    #[command(flatten)]
    pub read: ReadArgs,
}

#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    #[arg(default_value = "results")]
    pub directory: PathBuf,
    /// Address; anything but loopback needs --token
    #[arg(long, default_value = "127.0.0.1:8088")]
    pub bind: std::net::SocketAddr,
    #[arg(long, env = "SCHISM_TOKEN")]
    pub token: Option<String>,
}

#[derive(Args, Clone, Debug)]
pub struct ListArgs {
    /// workloads, nemeses, targets, bugs, checkers, models, specs, providers, promises, formats
    pub kind: String,
    /// One machine-readable document on stdout, everything else on stderr
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// Remove what earlier runs left behind
    #[arg(long)]
    pub heal: bool,
    /// One machine-readable document on stdout, everything else on stderr
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// run: the tester itself. check: the linearizability checker, each number beside its floor (exit code 1 where one
    /// is missed). matrix: what is found and what is not, written to results/README.md
    #[arg(value_parser = ["run", "check", "matrix"])]
    pub what: String,
    /// Only parts whose name contains this
    #[arg(long)]
    pub only: Option<String>,
    /// One machine-readable document on stdout, everything else on stderr
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub check: crate::bench::check::CheckBench,
}

pub fn main() -> i32 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // clap's own code for bad usage is 2, which here means unknown.
            let code = if e.use_stderr() { exit::USAGE } else { exit::VALID };
            let _ = e.print();
            return code;
        }
    };
    let result = match cli.verb {
        Verb::Demo(args) => crate::demo::main(&args),
        Verb::Test(args) => crate::run::main(&args),
        Verb::Sim(args) => crate::simulate::main(&args),
        Verb::Check(args) => crate::check::main(&args),
        Verb::VerifyCertificate(args) => crate::certificate::main(&args),
        Verb::Serve(args) => serve(args),
        Verb::List(args) => crate::list::list(&args),
        Verb::Lint(args) => crate::lint::main(&args),
        Verb::Convert(args) => crate::convert::main(&args),
        Verb::Shrink(args) => crate::shrink::main(&args),
        Verb::Explain(args) => crate::explain::main(&args),
        Verb::Doctor(args) => crate::doctor::main(&args),
        Verb::Bench(args) => crate::bench::main(&args),
        Verb::Store { args } => Ok(store::cli::run_cli(&args)),
    };
    result.unwrap_or_else(|e| e.report())
}

fn serve(args: ServeArgs) -> Result<i32, Failure> {
    let options = crate::serve::ServeOptions { root: args.directory, bind: args.bind, token: args.token };
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
    runtime.block_on(crate::serve::serve(options)).map_err(|e| Failure::usage(format!("{e:#}")))?;
    Ok(exit::VALID)
}

/// Why a verb ended without a verdict.
#[derive(Debug)]
pub struct Failure {
    pub code: i32,
    pub says: String,
}

impl Failure {
    pub fn usage(says: impl Into<String>) -> Failure {
        Failure { code: exit::USAGE, says: says.into() }
    }

    pub fn could_not_run(says: impl Into<String>) -> Failure {
        Failure { code: exit::COULD_NOT_RUN, says: says.into() }
    }

    pub fn internal(says: impl std::fmt::Display) -> Failure {
        Failure { code: exit::INTERNAL, says: says.to_string() }
    }

    pub fn report(&self) -> i32 {
        eprintln!("schism: {}", self.says);
        self.code
    }
}
