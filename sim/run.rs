//! One run in simulated time: the interpreter's calls and the plan's strikes carried out in a [`World`].
//!
//! The same interpreter drives clients of real nodes; only the host differs. Judging is not done here.

use crate::disk::DiskOptions;
use crate::network::NetworkOptions;
use crate::strikes::Strikes;
use crate::translate;
use crate::world::{Notice, World};
use history::{Call, Error, Event, Nanos, NodeId, Outcome, Process, Strike, Value};
use nemeses::Roles;
use std::collections::BTreeMap;
use store::{Config, MILLI, Mode, Switches};
use workloads::interpreter::{Action, CallId, HEAL, Interpreter, Options, no_client};
use workloads::{Params, Workload};

/// How the simulated machines behave. Durations in nanoseconds.
#[derive(Clone, Debug)]
pub struct Timing {
    pub network: NetworkOptions,
    pub disk: DiskOptions,
    pub heartbeat: Nanos,
    pub election: (Nanos, Nanos),
    pub check_quorum: Nanos,
    pub snapshot_every: u64,
    /// When a server gives up deciding a request.
    pub request_timeout: Nanos,
    /// When a client gives up waiting.
    pub deadline: Nanos,
}

impl Default for Timing {
    /// The store's own defaults, and clients that wait for 1 s.
    fn default() -> Timing {
        let store = Config::new(0, Vec::new(), Mode::Raft);
        Timing {
            network: NetworkOptions::default(),
            disk: DiskOptions::default(),
            heartbeat: store.heartbeat,
            election: store.election,
            check_quorum: store.check_quorum,
            snapshot_every: store.snapshot_every,
            request_timeout: store.request_timeout,
            deadline: 1000 * MILLI,
        }
    }
}

/// Everything that determines a simulated run. Equal specs give equal results, bit for bit.
#[derive(Clone)]
pub struct SimSpec {
    pub mode: Mode,
    /// The planted bug to switch on, by name or identifier.
    pub bug: Option<&'static str>,
    pub workload: &'static dyn Workload,
    /// The plan; times count from the start of the load phase. What would begin after its end never begins.
    pub strikes: Vec<Strike>,
    /// Client t sits on `places[t % places.len()]` and talks to the server there; one outside (`None`) talks to
    /// server t mod nodes over a path that is never cut. Empty: one place on each node.
    pub places: Vec<Option<NodeId>>,
    /// Nodes, clients, rate and the spans of the phases; its own seed is not used.
    pub params: Params,
    pub timing: Timing,
    pub seed: u64,
    /// Whether to fingerprint every message; costs about as much as the rest of the run.
    pub trace_hash: bool,
}

/// What a run left behind.
#[derive(Clone, Debug)]
pub struct SimResult {
    /// The whole history, with a note for each line of a server's log that speaks of a panic or of corruption.
    pub events: Vec<Event>,
    /// How often each switch acted.
    pub activations: BTreeMap<String, u64>,
    /// Hash of every message: time, from, to, content. 0 if it was not asked for.
    pub trace_hash: u64,
    /// Messages between servers.
    pub messages: u64,
    /// Whether a leader served before the load and again after the heal.
    pub settled: bool,
}

/// Names of the nodes, by index: `n1`, `n2`, ….
pub fn node_names(nodes: usize) -> Vec<String> {
    (1..=nodes).map(|n| format!("n{n}")).collect()
}

/// Runs one spec to its end. Cost: about 1 µs for each message, and the memory of the history.
///
/// # Panics
/// If the spec names a bug that does not exist, or a core panics.
pub fn run(spec: &SimSpec) -> SimResult {
    Host::new(spec).run()
}

/// The next look at strikes that have not taken effect, and at a cluster that has not settled.
const LOOK: Nanos = 5 * MILLI;
/// How long a cluster must have been able to serve before it counts as settled, and how long it may take.
const QUIET: Nanos = 200 * MILLI;
const PATIENCE: Nanos = 20_000 * MILLI;
/// Alarms: strikes count up from 0 in twos (begin, heal), the two looks from the top.
const MEASURE: u64 = u64::MAX;
const SETTLE: u64 = u64::MAX - 1;

struct Host<'s> {
    spec: &'s SimSpec,
    world: World,
    interpreter: Interpreter,
    events: Vec<Event>,
    strikes: Strikes,
    open: BTreeMap<u64, (usize, CallId, Call)>,
    /// The last call of each thread, to be forgotten when its client is replaced.
    last: Vec<Option<u64>>,
    measuring: bool,
    healing: bool,
    settling: Option<Settling>,
    settled: bool,
}

/// The wait for a cluster that serves.
struct Settling {
    since: Nanos,
    quiet_since: Option<Nanos>,
}

impl<'s> Host<'s> {
    fn new(spec: &'s SimSpec) -> Host<'s> {
        let nodes = spec.params.nodes;
        let all = (0..nodes).map(|n| Some(NodeId(n as u8))).collect();
        let options = Options {
            concurrency: spec.params.concurrency,
            nodes: if spec.places.is_empty() { all } else { spec.places.clone() },
            deadline: spec.timing.deadline,
            seed: spec.seed,
            ..Options::default()
        };
        let generator = spec.workload.generator(&spec.params, history::rng::Rng::new(spec.seed, "calls"));
        let timing = &spec.timing;
        Host {
            world: World::new(
                configs(spec),
                timing.network.clone(),
                timing.disk.clone(),
                spec.seed,
                spec.trace_hash,
            ),
            interpreter: Interpreter::new(Box::new(generator), options),
            events: Vec::new(),
            strikes: Strikes::new(nodes),
            open: BTreeMap::new(),
            last: vec![None; spec.params.concurrency.max(1)],
            measuring: false,
            healing: false,
            settling: None,
            settled: true,
            spec,
        }
    }

    fn run(mut self) -> SimResult {
        for node in 0..self.world.nodes() {
            self.world.start(NodeId(node as u8));
        }
        self.settle();
        while self.settling.is_some() {
            self.step(Nanos::MAX);
        }
        loop {
            match self.interpreter.next(self.world.now(), &mut self.events) {
                Action::Dispatch { thread, call, id, process, node, .. } => {
                    self.dispatch(thread, call, id, process, node);
                }
                Action::Sleep { until } => self.step(until),
                Action::Wait => self.step(Nanos::MAX),
                Action::Phase("load") => self.plan(),
                Action::Phase(HEAL) => {
                    self.healing = true;
                    self.strikes.heal_all(&mut self.world, &mut self.events);
                    self.settle();
                }
                Action::Phase(_) => {}
                Action::Done => break,
            }
        }
        self.result()
    }

    fn result(mut self) -> SimResult {
        self.scan_logs();
        SimResult {
            activations: self.world.activations(),
            trace_hash: self.world.trace_hash(),
            messages: self.world.messages(),
            settled: self.settled,
            events: self.events,
        }
    }

    /// Lines of the servers' logs that speak of trouble become notes, in the form that the log checker reads.
    fn scan_logs(&mut self) {
        let (names, time) = (node_names(self.world.nodes()), self.world.now());
        for (at, (_, node, text)) in self.world.logs().iter().enumerate() {
            let Some(pattern) = ["panic", "assert", "corrupt"].into_iter().find(|word| text.contains(word))
            else {
                continue;
            };
            let fields = [
                ("node", Value::text(&names[node.0 as usize])),
                ("line", Value::Int(at as i64 + 1)),
                ("text", Value::text(text)),
                ("pattern", Value::text(pattern)),
            ];
            let value = Value::Map(fields.map(|(name, value)| (Value::text(name), value)).into());
            self.events.push(Event::Note { time, f: "log-match".into(), value });
        }
    }

    /// Sets the alarms of the plan; the load phase begins now.
    fn plan(&mut self) {
        let now = self.world.now();
        for (i, strike) in self.spec.strikes.iter().enumerate() {
            self.world.alarm(now + strike.at, 2 * i as u64);
            self.world.alarm(now + strike.at + strike.lasts, 2 * i as u64 + 1);
        }
    }

    fn dispatch(&mut self, thread: usize, call: Call, id: CallId, process: Process, node: Option<NodeId>) {
        if let Some(previous) = self.last[thread].take() {
            self.world.forget(previous);
        }
        let server = node.unwrap_or(NodeId((thread % self.world.nodes()) as u8));
        let name = format!("{}-{}", process.0, id.index);
        let session = u64::from(process.0) + 1;
        match translate::request(self.spec.workload.object(), &call, name, session, id.index + 1) {
            Ok(request) => {
                let number = self.world.ask(node, server, request);
                self.last[thread] = Some(number);
                self.open.insert(number, (thread, id, call));
            }
            Err(why) => {
                let outcome = Outcome::Fail(Error::new(format!("unsupported: {why}")));
                self.interpreter.complete(self.world.now(), thread, id, outcome, None, &mut self.events);
            }
        }
    }

    /// Lets the world go on until something is noticed, at most to `limit`.
    fn step(&mut self, limit: Nanos) {
        let Some(notice) = self.world.step(limit) else { return };
        match notice {
            Notice::Answered { call, response } => {
                let Some((thread, id, call)) = self.open.remove(&call) else { return };
                let (outcome, name) = translate::outcome(self.spec.workload.object(), &call, &response);
                let server = node_named(name, self.world.nodes());
                self.interpreter.complete(self.world.now(), thread, id, outcome, server, &mut self.events);
            }
            Notice::Refused { call } => self.ended(call, no_client("connection refused")),
            Notice::Lost { call } => {
                self.ended(
                    call,
                    Outcome::Info(Error::new("connection-lost: the server closed it before it answered")),
                );
            }
            Notice::Role { node, role, term } => {
                let (time, role) = (self.world.now(), role.name().into());
                self.events.push(Event::Role { time, node, role, term });
            }
            Notice::Alarm(MEASURE) => self.measure(),
            Notice::Alarm(SETTLE) => self.look(),
            Notice::Alarm(_) if self.healing => {}
            Notice::Alarm(token) => self.strike((token / 2) as u32, token % 2 == 1),
        }
    }

    fn ended(&mut self, call: u64, outcome: Outcome) {
        if let Some((thread, id, _)) = self.open.remove(&call) {
            self.interpreter.complete(self.world.now(), thread, id, outcome, None, &mut self.events);
        }
    }

    fn strike(&mut self, id: u32, heal: bool) {
        if heal {
            return self.strikes.heal(id, &mut self.world, &mut self.events);
        }
        let strike = &self.spec.strikes[id as usize];
        let resolved = nemeses::resolve(
            &strike.fault,
            self.world.nodes(),
            &Roles { leader: self.world.leader() },
            strike.pick,
        );
        self.strikes.begin(id, strike, resolved, &mut self.world, &mut self.events);
        if !self.measuring {
            self.measure();
        }
    }

    fn measure(&mut self) {
        self.measuring = self.strikes.measure(&self.world, &mut self.events);
        if self.measuring {
            self.world.alarm(self.world.now() + LOOK, MEASURE);
        }
    }

    /// Begins to wait until the cluster serves.
    fn settle(&mut self) {
        self.settling = Some(Settling { since: self.world.now(), quiet_since: None });
        self.look();
    }

    fn look(&mut self) {
        let now = self.world.now();
        let serves = serves(&self.world, self.spec.mode);
        let Some(settling) = &mut self.settling else { return };
        settling.quiet_since = if serves { settling.quiet_since.or(Some(now)) } else { None };
        let quiet = settling.quiet_since.is_some_and(|since| now >= since + QUIET);
        if quiet || now >= settling.since + PATIENCE {
            self.settled &= quiet;
            self.settling = None;
            if self.healing {
                let value =
                    Value::text(if quiet { "the cluster serves" } else { "the cluster does not serve" });
                self.events.push(Event::Note { time: now, f: "settled".into(), value });
                self.interpreter.resume(now);
            }
        } else {
            self.world.alarm(now + LOOK, SETTLE);
        }
    }
}

/// All servers run and agree on who leads, where the mode has a leader.
fn serves(world: &World, mode: Mode) -> bool {
    let statuses = (0..world.nodes()).map(|node| world.server(NodeId(node as u8)).status());
    let Some(statuses) = statuses.collect::<Option<Vec<_>>>() else { return false };
    match mode {
        Mode::Raft => statuses
            .iter()
            .all(|s| s.leader.is_some() && s.leader == statuses[0].leader && s.term == statuses[0].term),
        Mode::Quorum { .. } | Mode::Single => true,
    }
}

fn node_named(name: &str, nodes: usize) -> Option<NodeId> {
    let number: usize = name.strip_prefix('n')?.parse().ok()?;
    (1..=nodes).contains(&number).then(|| NodeId((number - 1) as u8))
}

fn configs(spec: &SimSpec) -> Vec<Config> {
    let names = node_names(spec.params.nodes);
    let mut switches = Switches::default();
    if let Some(bug) = spec.bug {
        assert!(switches.enable_named(bug), "there is no planted bug named {bug}");
    }
    (0..spec.params.nodes)
        .map(|me| Config {
            seed: spec.seed,
            heartbeat: spec.timing.heartbeat,
            election: spec.timing.election,
            check_quorum: spec.timing.check_quorum,
            snapshot_every: spec.timing.snapshot_every,
            request_timeout: spec.timing.request_timeout,
            switches: switches.clone(),
            ..Config::new(me as u32, names.clone(), spec.mode)
        })
        .collect()
}
