//! One run against real nodes, from nothing to a judged record: the messy hour.
//!
//! This module owns the order of things: up, deploy, healthy, plan, calls and strikes, heal, final reads, logs,
//! down, judge. Each step's work is elsewhere: [`clients`] drives the interpreter, [`strikes`] breaks and heals,
//! [`watch`] asks the nodes who leads. Whatever fails after the first call, what was recorded is judged.

mod clients;
mod strikes;
mod watch;

pub use clients::{Open, Stats, drive};

use crate::artifacts::{self, Finished, Stamp};
use crate::campaign::{self, RunSpec};
use crate::cli::{Failure, TestArgs};
use crate::exit;
use crate::record::{Clock, Journal, Sync};
use crate::terminal::Progress;
use agent::protocol::{Family, Probe, Reply, Request, TargetState};
use history::jsonl::{Header, SCHEMA};
use history::{Event, NodeId, Value};
use nodes::ClusterSpec;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use targets::{Deploy, Deployed, SharedCluster};
use tokio::sync::watch as channel;

/// How long a call may take before its outcome counts as unknown.
pub const CALL_DEADLINE: Duration = Duration::from_millis(1000);
const HEALTHY: Duration = Duration::from_secs(20);

/// What a live run needs beyond its spec.
#[derive(Clone)]
pub struct LiveOptions {
    pub provider: &'static dyn nodes::Provider,
    pub directory: PathBuf,
    pub run: String,
    pub title: String,
    pub command: String,
    pub lease: Duration,
    pub fsync: Sync,
    pub leave_running: bool,
    pub siblings: Vec<(String, String)>,
}

/// Shared by everything that happens during one run.
pub struct Control {
    pub phase: channel::Sender<String>,
    pub stop: AtomicBool,
    pub interrupted: AtomicBool,
    pub resume: tokio::sync::Notify,
    pub journal: Arc<Journal>,
    pub stats: Stats,
    pub failed: std::sync::Mutex<Option<String>>,
}

impl Control {
    pub fn new(journal: Arc<Journal>) -> Arc<Control> {
        Arc::new(Control {
            phase: channel::channel(String::from("warm-up")).0,
            stop: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
            resume: tokio::sync::Notify::new(),
            journal,
            stats: Stats::default(),
            failed: std::sync::Mutex::new(None),
        })
    }

    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends the run early; what was recorded stands.
    pub fn fail(&self, why: String) {
        self.failed.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(why);
        self.stop.store(true, Ordering::Relaxed);
        self.resume.notify_one();
    }

    /// Records an event; a disk that takes no more ends the run.
    pub fn record(&self, make: impl FnOnce(u64) -> Event) {
        if let Err(e) = self.journal.event(make) {
            self.fail(format!("cannot write the history: {e}"));
        }
    }

    pub fn note(&self, f: &str, value: Value) {
        self.record(|time| Event::Note { time, f: f.into(), value });
    }
}

pub fn main(args: &TestArgs) -> Result<i32, Failure> {
    let mut spec = campaign::resolve(&args.run)?;
    let provider = nodes::find(&args.provider)
        .ok_or_else(|| campaign::unknown("provider", &args.provider, nodes::ALL.iter().map(|p| p.name())))?;
    if args.dry_run {
        print!("{}", artifacts::plan_text(&spec, args.run.json));
        return Ok(exit::VALID);
    }
    nodes::namespaces::probe().map_err(|e| {
        Failure::usage(format!("{e}\nThe same run in simulated time: {}", spec.command("sim")))
    })?;
    let stamp = Stamp::now();
    let mut codes = Vec::new();
    let mut documents = Vec::new();
    for i in 0..args.test_count {
        spec.seed = args.run.seed + i as u64;
        let run = format!("test-{stamp}/seed-{}", spec.seed);
        let options = LiveOptions {
            provider,
            directory: args.results.join(&run),
            run,
            title: format!("{} {}", spec.target_name(), spec.workload.name()),
            command: spec.command("test"),
            lease: Duration::from_secs_f64(args.lease),
            fsync: if args.fsync == "always" { Sync::Always } else { Sync::EverySecond },
            leave_running: args.leave_running,
            siblings: Vec::new(),
        };
        let finished = block_on_live(&spec, &options)?;
        artifacts::link_latest(&args.results, &options.run);
        finished.print(args.run.json);
        codes.push(finished.exit_code());
        documents.push(finished.document.clone());
        if finished.interrupted {
            break;
        }
    }
    if args.run.json {
        artifacts::print_json(&documents);
    }
    Ok(crate::judge::worst_exit(codes))
}

/// A live run on a runtime of its own.
pub fn block_on_live(spec: &RunSpec, options: &LiveOptions) -> Result<Finished, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::internal)?;
    let result = runtime.block_on(live(spec, options));
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}

async fn live(spec: &RunSpec, options: &LiveOptions) -> Result<Finished, Failure> {
    let progress = Arc::new(Progress::new());
    let data = options.directory.join("data");
    std::fs::create_dir_all(&data)
        .map_err(|e| Failure::could_not_run(format!("cannot create {}: {e}", data.display())))?;
    let data = data.canonicalize().map_err(Failure::internal)?;
    progress.now(|| format!("bringing up {} nodes", spec.nodes));
    let cluster = up(spec, options, &data).await?;
    refuse_impossible(spec, &cluster)?;
    let deployed = deploy(spec, &cluster).await?;
    if let Err(e) = deployed.healthy(HEALTHY).await {
        let says = unhealthy(&cluster, &deployed, e).await;
        return Err(Failure::could_not_run(says));
    }
    let strikes = spec.strikes();
    artifacts::write_plan(&options.directory, spec, &strikes, &options.command)?;
    let names: Vec<String> = cluster.nodes().iter().map(|n| n.name.clone()).collect();
    let header = Header {
        schism: SCHEMA,
        tool: env!("CARGO_PKG_VERSION").into(),
        run: options.run.clone(),
        seed: spec.seed,
        clock: "monotonic".into(),
        nodes: names,
        more: spec.header(options.provider.name()),
    };
    let path = options.directory.join("history.jsonl");
    let journal = Journal::create(&path, &header, options.fsync, Clock::start())
        .map_err(|e| Failure::could_not_run(format!("cannot write {}: {e}", path.display())))?;
    let control = Control::new(Arc::new(journal));
    progress.say(format!(
        "{}  {} nodes  {} {} seed {}",
        spec.target_name(),
        spec.nodes,
        spec.bug.map_or("as it should be".to_string(), |b| format!("with {}", b.name)),
        spec.workload.name(),
        spec.seed
    ));
    perform(spec, options, &cluster, &deployed, strikes, &control, &progress).await;
    let logs = collect_logs(&cluster, &deployed, &control, &options.directory).await;
    let interrupted = control.interrupted.load(Ordering::Relaxed);
    if options.leave_running && !interrupted {
        leave(&cluster, &progress).await;
    }
    let _ = control.journal.finish();
    down(cluster, deployed, &data, &progress).await;
    progress.now(|| "judging".into());
    let mut finished = artifacts::judge_run(spec, options, logs, &progress)?;
    finished.interrupted = interrupted;
    Ok(finished)
}

async fn up(spec: &RunSpec, options: &LiveOptions, data: &Path) -> Result<SharedCluster, Failure> {
    let run: String =
        options.run.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '.' }).collect();
    let cluster = ClusterSpec { run, nodes: spec.nodes, data_root: data.to_path_buf() };
    let cluster =
        options.provider.up(&cluster).await.map_err(|e| Failure::could_not_run(format!("{e:#}")))?;
    Ok(Arc::new(cluster))
}

/// Every fault of the plan must have a hand on every node, before anything is asked.
fn refuse_impossible(spec: &RunSpec, cluster: &SharedCluster) -> Result<(), Failure> {
    let families: BTreeSet<&str> = spec.strikes().iter().map(|s| s.fault.family()).collect();
    for (i, node) in cluster.nodes().iter().enumerate() {
        let hands = cluster.remote(i).capabilities().map(|c| c.families).unwrap_or_default();
        for family in families.iter().filter(|f| **f != "partition") {
            if !hands.contains(&Family::Process) {
                return Err(Failure::usage(format!(
                    "--nemesis: {} cannot {family}, its agent has no hand for processes. Partitions need none \
                     (--nemesis partition), and the simulated cluster can do everything: {}",
                    node.name,
                    spec.command("sim")
                )));
            }
        }
    }
    Ok(())
}

async fn deploy(spec: &RunSpec, cluster: &SharedCluster) -> Result<Arc<dyn Deployed>, Failure> {
    let program = std::env::current_exe().map_err(Failure::internal)?;
    let deploy =
        Deploy { mode: spec.mode.into(), bug: spec.bug.map(|b| b.name.into()), seed: spec.seed, program };
    spec.target.deploy(cluster.clone(), &deploy).await.map_err(|e| Failure::could_not_run(format!("{e:#}")))
}

/// The error, with the last lines of the log of each node that does not run.
async fn unhealthy(cluster: &SharedCluster, deployed: &Arc<dyn Deployed>, error: anyhow::Error) -> String {
    let mut says = format!("{error:#}");
    for node in 0..cluster.nodes().len() {
        let tail = read_log(cluster, deployed, node, 2000).await;
        let last: Vec<&str> = tail.lines().rev().take(5).collect();
        says += &format!("\n--- last log lines of {}\n", cluster.nodes()[node].name);
        says += &last.into_iter().rev().collect::<Vec<_>>().join("\n");
    }
    says
}

/// Calls, strikes, heal, final reads. Returns when the interpreter is done or the run was stopped.
async fn perform(
    spec: &RunSpec,
    options: &LiveOptions,
    cluster: &SharedCluster,
    deployed: &Arc<dyn Deployed>,
    strikes: Vec<history::Strike>,
    control: &Arc<Control>,
    progress: &Arc<Progress>,
) {
    let roles = watch::Roles::start(deployed.clone(), control.clone());
    let hands = strikes::Hands::new(
        cluster.clone(),
        deployed.clone(),
        roles.latest(),
        control.clone(),
        options.lease,
        progress.clone(),
    );
    let interrupt = tokio::spawn(interruption(control.clone(), progress.clone()));
    let ticker = tokio::spawn(clients::tick(control.clone(), progress.clone()));
    let striker = tokio::spawn(strikes::perform(hands.clone(), strikes, control.clone()));
    let healer = tokio::spawn(heal_phase(
        hands.clone(),
        deployed.clone(),
        cluster.clone(),
        control.clone(),
        progress.clone(),
    ));
    let factory = clients::Factory {
        deployed: deployed.clone(),
        object: spec.workload.object(),
        run: options.run.clone(),
    };
    let worker = clients::start(spec, factory, control.clone());
    let ended = tokio::task::spawn_blocking(move || worker.join()).await;
    if !matches!(ended, Ok(Ok(()))) {
        control.fail("the client scheduler panicked".into());
    }
    control.stop.store(true, Ordering::Relaxed);
    striker.abort();
    healer.abort();
    hands.heal_everything().await;
    deaths(cluster, deployed, control).await;
    if control.interrupted.load(Ordering::Relaxed) {
        control.note("interrupted", Value::Null);
    }
    // Taken out of the lock first: noting it may fail in turn, and then wants the lock.
    let failed = control.failed.lock().unwrap_or_else(|e| e.into_inner()).clone();
    if let Some(why) = failed {
        progress.say(format!("the run stopped early: {why}"));
        control.note("run-failed", Value::text(&why));
    }
    if let (Some(bug), Some(count)) = (spec.bug, deployed.activations(Duration::from_millis(500)).await) {
        control.note("activations", Value::Map(vec![(Value::text(bug.name), Value::Int(count as i64))]));
    }
    for task in [interrupt, ticker] {
        task.abort();
    }
    roles.stop();
}

async fn interruption(control: Arc<Control>, progress: Arc<Progress>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        progress.say("interrupted: healing, then judging what was recorded");
        control.interrupted.store(true, Ordering::Relaxed);
        control.stop.store(true, Ordering::Relaxed);
        control.resume.notify_one();
    }
    // A second ctrl-C does not wait: leases and the dying hub heal.
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(exit::INTERRUPTED);
    }
}

/// When the load ends: everything healed and verified, the target healthy, a second of quiet; then the final reads.
async fn heal_phase(
    hands: Arc<strikes::Hands>,
    deployed: Arc<dyn Deployed>,
    cluster: SharedCluster,
    control: Arc<Control>,
    progress: Arc<Progress>,
) {
    let mut phase = control.phase.subscribe();
    if phase.wait_for(|p| p == "heal").await.is_err() {
        return;
    }
    hands.heal_everything().await;
    deaths(&cluster, &deployed, &control).await;
    if let Err(e) = deployed.healthy(HEALTHY).await {
        progress.say(format!("not healthy after the heal: {e:#}"));
        control.note("unhealed", Value::text(&format!("{e:#}")));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    control.resume.notify_one();
}

/// Notes every process that ended without a strike on it.
async fn deaths(cluster: &SharedCluster, deployed: &Arc<dyn Deployed>, control: &Control) {
    for (i, node) in cluster.nodes().iter().enumerate() {
        let probe = Request::Probe(Probe::Target { name: deployed.process().into() });
        let answer = cluster.remote(i).ask(probe, Duration::from_secs(2)).await;
        if let Ok(Reply::Status(status)) = answer
            && let TargetState::Ended { code, signal } = status.state
        {
            let how = match (code, signal) {
                (Some(code), _) => format!("exit code {code}"),
                (_, Some(signal)) => format!("signal {signal}"),
                _ => "cause unknown".into(),
            };
            let tail = read_log(cluster, deployed, i, 400).await;
            let last = tail.lines().last().unwrap_or("").to_string();
            control
                .note("node-died", Value::text(&format!("{} ({how}); its last log line: {last}", node.name)));
        }
    }
}

async fn read_log(cluster: &SharedCluster, deployed: &Arc<dyn Deployed>, node: usize, last: u64) -> String {
    let read = |offset: u64, max: u32| {
        let path = deployed.log(node);
        async move {
            let ask = Request::ReadFile { path, offset, max };
            cluster.remote(node).ask(ask, Duration::from_secs(5)).await
        }
    };
    let size = match read(0, 0).await {
        Ok(Reply::File { size, .. }) => size,
        _ => return String::new(),
    };
    match read(size.saturating_sub(last), last.min(u32::MAX as u64) as u32).await {
        Ok(Reply::File { bytes, .. }) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    }
}

/// Words in a node's log that mean a broken node, whatever the clients saw.
const PATTERNS: [&str; 4] = ["panicked at", "assertion", "corrupt", "SIGSEGV"];
const LOG_DEADLINE: Duration = Duration::from_secs(20);

/// Brings the logs home, notes suspicious lines, and returns each node's tail for the report.
async fn collect_logs(
    cluster: &SharedCluster,
    deployed: &Arc<dyn Deployed>,
    control: &Control,
    directory: &Path,
) -> Vec<(String, String)> {
    let mut tails = Vec::new();
    let logs = directory.join("logs");
    let _ = std::fs::create_dir_all(&logs);
    for (i, node) in cluster.nodes().iter().enumerate() {
        let text = match cluster.remote(i).download(&deployed.log(i), 0, LOG_DEADLINE).await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => String::new(),
        };
        let _ = std::fs::write(logs.join(format!("{}.log", node.name)), &text);
        for (number, line) in text.lines().enumerate() {
            if let Some(pattern) = PATTERNS.iter().find(|p| line.contains(**p)) {
                let fields = [
                    ("node", Value::text(&node.name)),
                    ("line", Value::Int(number as i64 + 1)),
                    ("pattern", Value::text(pattern)),
                    ("text", Value::text(&line.chars().take(300).collect::<String>())),
                ];
                control.note("log-match", Value::Map(fields.map(|(k, v)| (Value::text(k), v)).to_vec()));
            }
        }
        let lines: Vec<&str> = text.lines().filter(|l| !l.contains("apply id=")).collect();
        let tail = lines[lines.len().saturating_sub(40)..].join("\n");
        tails.push((node.name.clone(), tail));
    }
    tails
}

async fn leave(cluster: &SharedCluster, progress: &Progress) {
    progress.say("the cluster stays up; Enter or ctrl-C takes it down:");
    for node in cluster.nodes() {
        progress.say(format!("  {}  {}  data {}", node.name, node.address, node.data.display()));
    }
    let enter = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    tokio::select! { _ = enter => {}, _ = tokio::signal::ctrl_c() => {} }
}

async fn down(cluster: SharedCluster, deployed: Arc<dyn Deployed>, data: &Path, progress: &Progress) {
    progress.now(|| "taking the nodes down".into());
    drop(deployed);
    // Tasks that were aborted let go of their handles as soon as they are polled once more.
    let mut shared = cluster;
    for _ in 0..100 {
        match Arc::try_unwrap(shared) {
            Ok(cluster) => {
                if let Err(e) = cluster.down().await {
                    progress.say(format!("taking the nodes down: {e:#}"));
                }
                break;
            }
            Err(still) => shared = still,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let _ = std::fs::remove_dir_all(data);
}

/// The id of the node with this index.
pub fn node_id(index: usize) -> NodeId {
    NodeId(index as u8)
}
