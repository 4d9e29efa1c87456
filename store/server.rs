//! A core as a process: TCP for clients and peers, a file for the log, the machine's clock.
//!
//! One task owns the core. It drains what has arrived, hands everything to be written to a disk thread as one batch,
//! and goes on; the thread writes, syncs once for all batches that wait, and reports the highest ticket. So a slow
//! disk delays what depends on it and no heartbeat. All decisions are in the cores, none here.

use crate::core::{ClientRef, Config, Core, Effect, Nanos, boot};
use crate::log::{LogFile, Opened, frame};
use crate::peers::{Outbox, accept_peers, dial_peer};
use crate::protocol::{Code, Failure, Reply, Request, Response, Role};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc as channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A request line longer than this ends the connection.
const LONGEST_LINE: u64 = 1 << 20;
/// Inputs taken from the queue before their effects are carried out.
const DRAIN: usize = 256;
/// How long a stopping server goes on, so that what it still has to say can leave.
const FAREWELL: Duration = Duration::from_millis(200);

/// What a server needs to run, beyond its core's configuration.
pub struct ServeOptions {
    pub config: Config,
    /// Peer addresses, `HOST:PORT`, in the order of the members; names are resolved at each dial.
    pub addresses: Vec<String>,
    /// Where to listen for peers and for clients.
    pub peer_listen: String,
    pub client_listen: String,
    /// Folder of the log; created if absent.
    pub data: PathBuf,
}

/// Something for the core.
pub(crate) enum Input {
    Peer { from: u32, frame: Vec<u8> },
    Client { request: Request, reply: mpsc::UnboundedSender<String> },
    Synced(u64),
    DiskFailed(io::Error),
}

/// Runs a server until SIGTERM or SIGINT, then hands over what it leads and returns.
///
/// # Errors
/// An address that cannot be listened on, or a log that cannot be read or written.
pub async fn serve(options: ServeOptions) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    serve_until(options, stop).await
}

/// Like [`serve`], but stops when `stop` is done. Dropping the future is a crash: nothing more is said or written.
///
/// # Errors
/// See [`serve`].
pub async fn serve_until(options: ServeOptions, stop: impl Future<Output = ()>) -> io::Result<()> {
    let ServeOptions { config, addresses, peer_listen, client_listen, data } = options;
    // The ports first: a second server on the same ones must fail before it touches the log.
    let peers = TcpListener::bind(&peer_listen).await?;
    let clients = TcpListener::bind(&client_listen).await?;
    std::fs::create_dir_all(&data)?;
    let Opened { log, records, note } = LogFile::open(&data.join("log"))?;
    let clock = Clock::start();
    let me = config.members[config.me as usize].clone();
    clock.say(&format!(
        "{me} starts mode={} records={} peers={peer_listen} clients={client_listen}",
        config.mode.name(),
        records.len()
    ));
    note.inspect(|note| clock.say(note));

    let (inputs, queue) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    let mut outboxes = Vec::new();
    for (server, address) in addresses.into_iter().enumerate() {
        let outbox = Outbox::default();
        if server != config.me as usize {
            tasks.spawn(dial_peer(config.me, address, outbox.clone()));
        }
        outboxes.push(outbox);
    }
    let banner = Arc::new(Banner { server: me, view: AtomicU64::new(0) });
    tasks.spawn(accept_peers(peers, config.members.len() as u32, inputs.clone()));
    tasks.spawn(accept_clients(clients, inputs.clone(), Arc::clone(&banner)));
    let disk = start_disk(log, inputs)?;
    let core = boot(config, clock.now(), records);
    let host = Host {
        core,
        clock,
        outboxes,
        disk,
        banner,
        waiting: BTreeMap::new(),
        next: 0,
        syncs: 0,
        batch: Batch::default(),
    };
    let result = host.run(queue, stop).await;
    tasks.shutdown().await;
    result
}

/// Nanoseconds since 1970 at the start, and monotonic from there: later in a later life, and never going back.
#[derive(Clone, Copy)]
struct Clock {
    start: Instant,
    base: Nanos,
}

impl Clock {
    fn start() -> Clock {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { start: Instant::now(), base: since.as_nanos() as Nanos }
    }

    fn now(&self) -> Nanos {
        self.base + self.start.elapsed().as_nanos() as Nanos
    }

    fn at(&self, time: Nanos) -> tokio::time::Instant {
        let far = Duration::from_secs(3600).as_nanos() as Nanos;
        let ahead = time.saturating_sub(self.base).min(self.start.elapsed().as_nanos() as Nanos + far);
        (self.start + Duration::from_nanos(ahead)).into()
    }

    /// One line of the server's log: seconds since 1970, then the text.
    fn say(&self, line: &str) {
        use std::io::Write;
        let now = self.now();
        let (seconds, micros) = (now / 1_000_000_000, now % 1_000_000_000 / 1000);
        // A log that cannot be written must not stop the server.
        let _ = writeln!(io::stdout().lock(), "{seconds}.{micros:06} {line}");
    }
}

/// What every response says about the server, for those that the core does not make.
struct Banner {
    server: String,
    /// The term, with the role in the lowest three bits.
    view: AtomicU64,
}

const ROLES: [Role; 6] =
    [Role::Follower, Role::Candidate, Role::Leader, Role::Replica, Role::Primary, Role::Proxy];

impl Banner {
    fn set(&self, role: Role, term: u64) {
        let role = ROLES.iter().position(|one| *one == role).unwrap_or(0) as u64;
        self.view.store(term << 3 | role, Ordering::Relaxed);
    }

    fn refuse(&self, id: String, failure: Failure) -> String {
        let view = self.view.load(Ordering::Relaxed);
        let role = ROLES[(view & 7) as usize % ROLES.len()];
        Response { id, server: self.server.clone(), role, term: view >> 3, result: Err(failure) }.to_json()
    }
}

/// Log writes of some steps, for the disk thread.
#[derive(Default)]
struct Batch {
    writes: Vec<DiskWrite>,
    ticket: Option<u64>,
}

enum DiskWrite {
    Append(Vec<u8>),
    Rewrite(Vec<u8>),
}

/// The task that owns the core.
struct Host {
    core: Box<dyn Core + Send>,
    clock: Clock,
    outboxes: Vec<Outbox>,
    disk: channel::Sender<Batch>,
    banner: Arc<Banner>,
    /// Where the answers of open requests go.
    waiting: BTreeMap<ClientRef, mpsc::UnboundedSender<String>>,
    next: u64,
    /// Syncs of the log since the start.
    syncs: u64,
    batch: Batch,
}

impl Host {
    async fn run(
        mut self,
        mut queue: mpsc::UnboundedReceiver<Input>,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let mut out = Vec::new();
        let mut stop = std::pin::pin!(stop);
        let mut leave_at: Option<tokio::time::Instant> = None;
        let timer = tokio::time::sleep_until(self.clock.at(self.core.wake_at()));
        let mut timer = std::pin::pin!(timer);
        loop {
            let wake = self.clock.at(self.core.wake_at());
            let wake = leave_at.map_or(wake, |at| at.min(wake));
            if timer.deadline() != wake {
                timer.as_mut().reset(wake);
            }
            tokio::select! {
                biased;
                () = &mut stop, if leave_at.is_none() => {
                    self.clock.say("stopping");
                    self.core.shutdown(self.clock.now(), &mut out);
                    leave_at = Some(tokio::time::Instant::now() + FAREWELL);
                }
                input = queue.recv() => {
                    let mut next = input;
                    for _ in 0..DRAIN {
                        let Some(input) = next else { break };
                        self.take(input, &mut out)?;
                        next = queue.try_recv().ok();
                    }
                    if let Some(input) = next {
                        self.take(input, &mut out)?;
                    }
                }
                () = &mut timer => {}
            }
            let now = self.clock.now();
            if now >= self.core.wake_at() {
                self.core.tick(now, &mut out);
            }
            self.carry_out(&mut out);
            if leave_at.is_some_and(|at| tokio::time::Instant::now() >= at) {
                self.clock.say(&format!("stopped activations={:?}", self.core.activations()));
                return Ok(());
            }
        }
    }

    fn take(&mut self, input: Input, out: &mut Vec<Effect>) -> io::Result<()> {
        let now = self.clock.now();
        match input {
            Input::Peer { from, frame } => match postcard::from_bytes(&frame) {
                Ok(message) => self.core.receive(now, from, message, out),
                Err(error) => self.clock.say(&format!("a frame of server {from} does not decode: {error}")),
            },
            Input::Client { request, reply } => {
                self.next += 1;
                let client = ClientRef(self.next);
                self.waiting.insert(client, reply);
                self.core.request(now, client, request, out);
            }
            Input::Synced(ticket) => {
                self.syncs += 1;
                self.core.synced(now, ticket, out);
            }
            // What is on the disk is unknown now: only a restart can find out.
            Input::DiskFailed(error) => return Err(error),
        }
        Ok(())
    }

    fn carry_out(&mut self, out: &mut Vec<Effect>) {
        for effect in out.drain(..) {
            match effect {
                Effect::Send { to, message } => match postcard::to_allocvec(&message) {
                    Ok(frame) => self.outboxes[to as usize].push(frame),
                    Err(error) => self.clock.say(&format!("a message does not encode: {error}")),
                },
                Effect::Append(record) => match self.batch.writes.last_mut() {
                    Some(DiskWrite::Append(buffer)) => frame(&record, buffer),
                    _ => {
                        let mut buffer = Vec::new();
                        frame(&record, &mut buffer);
                        self.batch.writes.push(DiskWrite::Append(buffer));
                    }
                },
                Effect::Sync(ticket) => self.batch.ticket = Some(ticket),
                Effect::Rewrite(records, ticket) => {
                    let mut buffer = Vec::new();
                    records.iter().for_each(|record| frame(record, &mut buffer));
                    self.batch.writes.push(DiskWrite::Rewrite(buffer));
                    self.batch.ticket = Some(ticket);
                }
                Effect::Answer { client, mut response } => {
                    if let Ok(Reply::Status(report)) = &mut response.result {
                        report.syncs = self.syncs;
                    }
                    if let Some(reply) = self.waiting.remove(&client) {
                        // The client may be gone; then nobody waits.
                        let _ = reply.send(response.to_json());
                    }
                }
                Effect::Trace(line) => self.clock.say(&line),
            }
        }
        let status = self.core.status();
        self.banner.set(status.role, status.term);
        if self.batch.ticket.is_some() {
            // The thread ends only after it reported a failure, which ends this task.
            let _ = self.disk.send(std::mem::take(&mut self.batch));
        }
    }
}

/// Starts the thread that writes the log. It ends when the sender is dropped.
fn start_disk(mut log: LogFile, inputs: mpsc::UnboundedSender<Input>) -> io::Result<channel::Sender<Batch>> {
    let (sender, batches) = channel::channel::<Batch>();
    std::thread::Builder::new().name("store-disk".into()).spawn(move || {
        while let Ok(first) = batches.recv() {
            let waiting = std::iter::once(first).chain(batches.try_iter()).collect::<Vec<_>>();
            let ticket = waiting.iter().filter_map(|batch| batch.ticket).max().unwrap_or(0);
            let writes = waiting.into_iter().flat_map(|batch| batch.writes);
            let done = write_all(&mut log, writes);
            let failed = done.is_err();
            let report = done.map_or_else(Input::DiskFailed, |()| Input::Synced(ticket));
            if inputs.send(report).is_err() || failed {
                return;
            }
        }
    })?;
    Ok(sender)
}

fn write_all(log: &mut LogFile, writes: impl Iterator<Item = DiskWrite>) -> io::Result<()> {
    for write in writes {
        match write {
            DiskWrite::Append(buffer) => log.append(&buffer)?,
            DiskWrite::Rewrite(buffer) => log.rewrite(&buffer)?,
        }
    }
    log.sync()
}

async fn accept_clients(listener: TcpListener, inputs: mpsc::UnboundedSender<Input>, banner: Arc<Banner>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve_client(stream, inputs.clone(), Arc::clone(&banner)));
            }
            // Out of descriptors, most likely: wait for some to be closed.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Reads requests and writes responses, in the order in which they are decided, until either side ends.
async fn serve_client(stream: TcpStream, inputs: mpsc::UnboundedSender<Input>, banner: Arc<Banner>) {
    let _ = stream.set_nodelay(true);
    let (read, mut write) = stream.into_split();
    let (reply, mut replies) = mpsc::unbounded_channel::<String>();
    let reading = async move {
        let mut lines = BufReader::new(read);
        let mut line = String::new();
        loop {
            line.clear();
            match (&mut lines).take(LONGEST_LINE).read_line(&mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) if !line.ends_with('\n') => {
                    let text = format!("the line is longer than {LONGEST_LINE} bytes or has no end");
                    let _ = reply.send(banner.refuse(String::new(), Failure { code: Code::Malformed, text }));
                    return;
                }
                Ok(_) if line.trim().is_empty() => continue,
                Ok(_) => {}
            }
            let sent = match Request::from_json(&line) {
                Ok(request) => inputs.send(Input::Client { request, reply: reply.clone() }).is_ok(),
                Err((id, failure)) => reply.send(banner.refuse(id, failure)).is_ok(),
            };
            if !sent {
                return;
            }
        }
    };
    // Ends when the reader has ended and every open request is answered.
    let writing = async move {
        while let Some(mut line) = replies.recv().await {
            line.push('\n');
            if write.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}
