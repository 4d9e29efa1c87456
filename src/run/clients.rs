//! The tokio host of the interpreter: one thread, one scheduler, every client a future beside it.
//!
//! The interpreter decides what is asked and what an answer means; this loop stamps, journals and dispatches.
//! Completions are drained before new calls are asked for, and a batch is in the kernel before the first of its
//! calls leaves. Sharing one thread with the clients keeps the way from an answer to its stamp short.

use super::{CALL_DEADLINE, Control};
use crate::campaign::RunSpec;
use crate::record::Clock;
use crate::terminal::Progress;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use history::rng::Rng;
use history::{Call, Event, Nanos, NodeId, Outcome, Value};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use targets::{Client, Deployed};
use tokio::time::{Instant, sleep_until, timeout};
use workloads::Object;
use workloads::interpreter::{Action, CallId, HEAL, Interpreter, Options, no_client};

/// Outcomes so far, and how late their stamps were.
#[derive(Default)]
pub struct Stats {
    pub ok: AtomicU64,
    pub fail: AtomicU64,
    pub info: AtomicU64,
    pub late: Late,
}

/// Nanoseconds between an answer and its stamp, counted in buckets a quarter of a power of two wide.
pub struct Late([AtomicU64; 256]);

impl Default for Late {
    fn default() -> Self {
        Late(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Late {
    fn count(&self, nanos: u64) {
        let nanos = nanos.max(4);
        let power = 63 - nanos.leading_zeros() as u64;
        let quarter = (nanos >> (power - 2)) & 3;
        self.0[(power * 4 + quarter) as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// An upper bound of the quantile, in nanoseconds.
    pub fn quantile(&self, q: f64) -> u64 {
        let counts: Vec<u64> = self.0.iter().map(|c| c.load(Ordering::Relaxed)).collect();
        let wanted = (counts.iter().sum::<u64>() as f64 * q).ceil() as u64;
        let mut seen = 0;
        for (i, count) in counts.iter().enumerate() {
            seen += count;
            if seen >= wanted.max(1) {
                let (power, quarter) = (i as u32 / 4, i as u64 % 4);
                return ((5 + quarter) << power) / 4;
            }
        }
        0
    }
}

impl Stats {
    fn count(&self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Ok(_) => &self.ok,
            Outcome::Fail(_) => &self.fail,
            Outcome::Info(_) => &self.info,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub fn read(&self) -> (u64, u64, u64) {
        let get = |c: &AtomicU64| c.load(Ordering::Relaxed);
        (get(&self.ok), get(&self.fail), get(&self.info))
    }
}

/// Opens clients. `Clone`, because every replaced worker opens its own.
#[derive(Clone)]
pub struct Factory {
    pub deployed: Arc<dyn Deployed>,
    pub object: Object,
    pub run: String,
}

/// What the scheduler needs to open a client for a process; a bench gives one that opens nothing.
pub trait Open: Clone + 'static {
    fn open(
        &self,
        process: u32,
        node: Option<NodeId>,
    ) -> impl Future<Output = anyhow::Result<Box<dyn Client>>>;
    /// The name of the run, which starts every call's id.
    fn run(&self) -> &str;
}

impl Open for Factory {
    async fn open(&self, process: u32, node: Option<NodeId>) -> anyhow::Result<Box<dyn Client>> {
        let (from, to) = match node {
            Some(n) => (nodes::From::Inside(n.0 as usize), n.0 as usize),
            None => (nodes::From::Outside, 0),
        };
        self.deployed.client(from, to, self.object, process as u64 + 1).await
    }

    fn run(&self) -> &str {
        &self.run
    }
}

/// Builds the interpreter for the spec and drives it on a thread of its own.
pub fn start(spec: &RunSpec, factory: Factory, control: Arc<Control>) -> JoinHandle<()> {
    let generator = spec.workload.generator(&spec.params(), Rng::new(spec.seed, "calls"));
    let options = Options {
        concurrency: spec.concurrency,
        nodes: (0..spec.nodes).map(|n| Some(super::node_id(n))).collect(),
        deadline: CALL_DEADLINE.as_nanos() as Nanos,
        seed: spec.seed,
        ..Options::default()
    };
    let interpreter = Interpreter::new(Box::new(generator), options);
    let concurrency = spec.concurrency;
    std::thread::Builder::new()
        .name("clients".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(drive(interpreter, concurrency, factory, &control)),
                Err(e) => control.fail(format!("no runtime for the clients: {e}")),
            }
        })
        .unwrap_or_else(|e| panic!("cannot start the client thread: {e}"))
}

struct Dispatched {
    thread: usize,
    call: Call,
    id: CallId,
    node: Option<NodeId>,
    reopen: bool,
}

struct Done {
    thread: usize,
    id: CallId,
    client: Option<Box<dyn Client>>,
    outcome: Outcome,
    server: Option<NodeId>,
    /// When the answer was there.
    answered: Nanos,
}

type Pending = FuturesUnordered<Pin<Box<dyn Future<Output = Done>>>>;

/// Runs the interpreter to its end or until the run is stopped.
pub async fn drive(mut interpreter: Interpreter, concurrency: usize, open: impl Open, control: &Control) {
    let mut slots: Vec<Option<Box<dyn Client>>> = (0..concurrency).map(|_| None).collect();
    let mut pending: Pending = FuturesUnordered::new();
    let mut finished: Vec<Done> = Vec::new();
    let mut starting: Vec<Dispatched> = Vec::new();
    let mut held = false;
    loop {
        if control.stopping() {
            return;
        }
        while let Some(done) = ready(&mut pending) {
            finished.push(done);
        }
        let batch = control.journal.batch(|clock, events| {
            for done in finished.drain(..) {
                settle(&mut interpreter, done, &mut slots, clock.now(), control, events);
            }
            // A bounded batch: answers that arrive meanwhile must not wait for a hundred new calls.
            for _ in 0..64 {
                match interpreter.next(clock.now(), events) {
                    Action::Dispatch { thread, call, id, node, reopen, .. } => {
                        starting.push(Dispatched { thread, call, id, node, reopen })
                    }
                    Action::Phase(phase) => {
                        events.push(Event::Note {
                            time: clock.now(),
                            f: "phase".into(),
                            value: Value::text(phase),
                        });
                        return Action::Phase(phase);
                    }
                    other => return other,
                }
            }
            Action::Sleep { until: 0 }
        });
        let action = match batch {
            Ok(action) => action,
            Err(e) => return control.fail(format!("cannot write the history: {e}")),
        };
        for call in starting.drain(..) {
            let client = if call.reopen { None } else { slots[call.thread].take() };
            pending.push(Box::pin(work(call, client, open.clone(), control.journal.clock)));
        }
        match action {
            Action::Done => return,
            Action::Sleep { until: 0 } | Action::Dispatch { .. } => {}
            Action::Phase(phase) => {
                held |= phase == HEAL;
                let _ = control.phase.send(phase.to_string());
            }
            wait => {
                let until = match wait {
                    Action::Sleep { until } => control.journal.clock.instant(until),
                    _ => std::time::Instant::now() + Duration::from_millis(100),
                };
                tokio::select! {
                    biased;
                    Some(done) = pending.next(), if !pending.is_empty() => finished.push(done),
                    () = control.resume.notified(), if held => {
                        held = false;
                        interpreter.resume(control.journal.clock.now());
                    }
                    () = sleep_until(Instant::from_std(until)) => {}
                }
            }
        }
    }
}

/// A completion that is there already, without waiting.
fn ready(pending: &mut Pending) -> Option<Done> {
    use futures_util::FutureExt;
    if pending.is_empty() {
        return None;
    }
    pending.next().now_or_never().flatten()
}

fn settle(
    interpreter: &mut Interpreter,
    done: Done,
    slots: &mut [Option<Box<dyn Client>>],
    now: Nanos,
    control: &Control,
    events: &mut Vec<Event>,
) {
    let before = events.len();
    let counted = done.outcome.clone();
    interpreter.complete(now, done.thread, done.id, done.outcome, done.server, events);
    // An answer that came after its deadline belongs to nobody, and so does its connection.
    if events.len() > before {
        control.stats.count(&counted);
        control.stats.late.count(now.saturating_sub(done.answered));
        slots[done.thread] = done.client;
    }
}

async fn work(call: Dispatched, client: Option<Box<dyn Client>>, open: impl Open, clock: Clock) -> Done {
    let Dispatched { thread, call, id, node, .. } = call;
    let mut client = match client {
        Some(client) => client,
        None => match timeout(CALL_DEADLINE, open.open(id.process.0, node)).await {
            Ok(Ok(client)) => client,
            failed => {
                let outcome = match failed {
                    Ok(Err(e)) => no_client(format!("{e:#}")),
                    _ => no_client("no connection in time"),
                };
                return Done { thread, id, client: None, outcome, server: None, answered: clock.now() };
            }
        },
    };
    let name = format!("{}/p{}/{}", open.run(), id.process.0, id.index);
    let (outcome, server) = client.invoke(&call, &name, CALL_DEADLINE).await;
    let answered = clock.now();
    // After a definite refusal the connection is as good as before; after anything unclear it is not trusted.
    let keep = match &outcome {
        Outcome::Ok(_) => true,
        Outcome::Fail(e) => e.word() != "not-sent",
        Outcome::Info(_) => false,
    };
    let client = keep.then_some(client);
    Done { thread, id, client, outcome, server, answered }
}

/// Once in a while, where the run is.
pub async fn tick(control: Arc<Control>, progress: Arc<Progress>) {
    let mut last = (0, Instant::now());
    loop {
        tokio::time::sleep(Duration::from_millis(250)).await;
        if let Some(why) = control.journal.failed() {
            control.fail(why);
        }
        let (ok, fail, info) = control.stats.read();
        let rate = (ok - last.0) as f64 / last.1.elapsed().as_secs_f64();
        last = (ok, Instant::now());
        let phase = control.phase.borrow().clone();
        let seconds = control.journal.clock.now() as f64 / 1e9;
        progress.now(|| {
            format!("{phase:8} {seconds:5.1} s   {ok} ok  {fail} fail  {info} info   {rate:.0} ok/s")
        });
    }
}
