//! The simulated world: servers, their disks, the wires between them and one virtual clock, all from one seed.
//!
//! [`World::step`] carries out the next event and says what a client would have noticed. Who asks what, when
//! something breaks and what it means is not decided here: that is `run.rs`.

use crate::disk::DiskOptions;
use crate::network::{Network, NetworkOptions};
use crate::queue::Queue;
use crate::server::{Input, Server};
use crate::trace::TraceHash;
use history::rng::Rng;
use history::{Nanos, NodeId};
use std::collections::BTreeMap;
use store::{ClientRef, Config, Effect, Message, Request, Response};

/// What a client, or whoever set an alarm, notices.
#[derive(Debug)]
pub enum Notice {
    /// The answer to a call arrived.
    Answered { call: u64, response: Response },
    /// Nobody listened: the call never left.
    Refused { call: u64 },
    /// The connection broke after the call had left.
    Lost { call: u64 },
    /// An alarm went off.
    Alarm(u64),
    /// A server changed its mind about its role.
    Role { node: NodeId, role: store::Role, term: u64 },
}

/// Planned events.
#[derive(Debug)]
enum Happening {
    Message { to: NodeId, from: NodeId, life: u64, message: Message },
    Ask { node: NodeId, call: u64, request: Request },
    Answer { call: u64, response: Response },
    Broken { call: u64, refused: bool },
    Fsync { node: NodeId, life: u64 },
    Wake { node: NodeId, life: u64 },
    Alarm(u64),
}

/// A client's call that has neither been answered nor lost.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// The node that the client is on; `None` for a client outside.
    home: Option<NodeId>,
    server: NodeId,
    /// The process that the connection leads to; 0 until the call has arrived.
    life: u64,
}

/// The world.
pub struct World {
    now: Nanos,
    queue: Queue<Happening>,
    servers: Vec<Server>,
    pub network: Network,
    disk: DiskOptions,
    disk_rng: Rng,
    crash_rng: Rng,
    pause_rng: Rng,
    calls: BTreeMap<u64, Open>,
    next_call: u64,
    notices: std::collections::VecDeque<Notice>,
    effects: Vec<Effect>,
    trace: Option<TraceHash>,
    messages: u64,
    logs: Vec<(Nanos, NodeId, String)>,
}

impl World {
    /// A world of servers that are all down. `configs` gives one configuration for each server, in order.
    pub fn new(
        configs: Vec<Config>,
        network: NetworkOptions,
        disk: DiskOptions,
        seed: u64,
        trace: bool,
    ) -> World {
        World {
            now: 0,
            queue: Queue::default(),
            network: Network::new(configs.len(), network, Rng::new(seed, "sim network")),
            servers: configs.into_iter().map(Server::new).collect(),
            disk,
            disk_rng: Rng::new(seed, "sim disk"),
            crash_rng: Rng::new(seed, "sim crash"),
            pause_rng: Rng::new(seed, "sim pause"),
            calls: BTreeMap::new(),
            next_call: 1,
            notices: Default::default(),
            effects: Vec::new(),
            trace: trace.then(TraceHash::default),
            messages: 0,
            logs: Vec::new(),
        }
    }

    /// The virtual time.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// Messages sent between servers so far.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Hash of every message so far: time, from, to and content. 0 if it was not asked for.
    pub fn trace_hash(&self) -> u64 {
        self.trace.as_ref().map_or(0, TraceHash::value)
    }

    /// Lines that servers wrote to their logs.
    pub fn logs(&self) -> &[(Nanos, NodeId, String)] {
        &self.logs
    }

    pub fn nodes(&self) -> usize {
        self.servers.len()
    }

    pub fn server(&self, node: NodeId) -> &Server {
        &self.servers[node.0 as usize]
    }

    /// How often each switch has acted on any server.
    pub fn activations(&self) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        for (name, times) in self.servers.iter().flat_map(Server::activations) {
            *sum.entry(name).or_default() += times;
        }
        sum
    }

    /// Who leads by its own word; of several, the one of the highest term.
    pub fn leader(&self) -> Option<NodeId> {
        let leading = self.servers.iter().enumerate().filter_map(|(node, server)| {
            let status = server.status()?;
            (status.role == store::Role::Leader).then_some((status.term, NodeId(node as u8)))
        });
        leading.max_by_key(|(term, _)| *term).map(|(_, node)| node)
    }

    /// Sets an alarm.
    pub fn alarm(&mut self, at: Nanos, token: u64) {
        self.queue.push(at.max(self.now), Happening::Alarm(token));
    }

    /// Boots a server that is down.
    pub fn start(&mut self, node: NodeId) {
        let server = &mut self.servers[node.0 as usize];
        if !server.is_up() {
            server.start(self.now);
            self.after(node);
        }
    }

    /// Kills a server that is up: its memory, its connections and what its disk had not made durable are gone.
    pub fn crash(&mut self, node: NodeId) {
        let server = &mut self.servers[node.0 as usize];
        if !server.is_up() {
            return;
        }
        server.stop();
        server.disk.crash(self.disk.unsynced, &mut self.crash_rng);
        let broken: Vec<(u64, Open)> = self
            .calls
            .iter()
            .filter(|(_, open)| open.server == node && open.life != 0)
            .map(|(c, o)| (*c, *o))
            .collect();
        for (call, open) in broken {
            self.break_connection(call, open, false);
        }
    }

    /// Stops a server with its memory intact. Its machine still takes in what arrives and finishes an fsync.
    pub fn pause(&mut self, node: NodeId) {
        self.servers[node.0 as usize].pause();
    }

    /// Lets a stopped server go on: it finds its timers late and its mail waiting, in either order.
    pub fn resume(&mut self, node: NodeId) {
        let held = self.servers[node.0 as usize].resume();
        if !self.servers[node.0 as usize].runs() {
            return;
        }
        let timers_first = self.pause_rng.chance(0.5);
        if timers_first {
            self.input(node, Input::Tick);
        }
        for input in held {
            self.input(node, input);
        }
        if !timers_first {
            self.input(node, Input::Tick);
        }
        self.after(node);
    }

    /// Sends a client's request from its node (or from outside) to a server. Exactly one notice will follow, unless
    /// the way there or back is cut or the server stays silent; the caller has its own timeout.
    pub fn ask(&mut self, home: Option<NodeId>, server: NodeId, request: Request) -> u64 {
        let call = self.next_call;
        self.next_call += 1;
        self.calls.insert(call, Open { home, server, life: 0 });
        if let Some(at) = self.hop(home, Some(server)) {
            self.queue.push(at, Happening::Ask { node: server, call, request });
        }
        call
    }

    /// The client no longer waits.
    pub fn forget(&mut self, call: u64) {
        self.calls.remove(&call);
    }

    /// Carries out events until one is noticed or the next would be later than `limit`; then the time is `limit`.
    pub fn step(&mut self, limit: Nanos) -> Option<Notice> {
        loop {
            if let Some(notice) = self.notices.pop_front() {
                return Some(notice);
            }
            match self.queue.next_at() {
                Some(at) if at <= limit => {}
                _ => {
                    self.now = self.now.max(limit);
                    return None;
                }
            }
            let (at, happening) = self.queue.pop()?;
            self.now = at;
            self.happen(happening);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Message { to, from, life, message } => {
                if self.network.passes(from, to) && self.servers[to.0 as usize].life == life {
                    self.input(to, Input::Message { from: from.0.into(), message });
                    self.after(to);
                }
            }
            Happening::Ask { node, call, request } => self.arrive(node, call, request),
            Happening::Answer { call, response } => {
                let Some(open) = self.calls.get(&call) else { return };
                let cut = open
                    .home
                    .is_some_and(|home| home != open.server && !self.network.passes(open.server, home));
                if !cut {
                    self.calls.remove(&call);
                    self.notices.push_back(Notice::Answered { call, response });
                }
            }
            Happening::Broken { call, refused } => {
                if self.calls.remove(&call).is_some() {
                    self.notices.push_back(match refused {
                        true => Notice::Refused { call },
                        false => Notice::Lost { call },
                    });
                }
            }
            Happening::Fsync { node, life } => self.fsynced(node, life),
            Happening::Wake { node, life } => self.wake(node, life),
            Happening::Alarm(token) => self.notices.push_back(Notice::Alarm(token)),
        }
    }

    /// A request arrives at a node.
    fn arrive(&mut self, node: NodeId, call: u64, request: Request) {
        let Some(open) = self.calls.get_mut(&call) else { return };
        if open.home.is_some_and(|home| home != node && !self.network.passes(home, node)) {
            return;
        }
        let server = &self.servers[node.0 as usize];
        open.life = server.life;
        let open = *open;
        if !server.is_up() {
            return self.break_connection(call, open, true);
        }
        self.record(200 + open.home.map_or(0, |home| 1 + home.0 as u64), node.0.into(), &request);
        self.input(node, Input::Request { client: ClientRef(call), request });
        self.after(node);
    }

    fn break_connection(&mut self, call: u64, open: Open, refused: bool) {
        match self.hop(Some(open.server), open.home) {
            Some(at) => self.queue.push(at, Happening::Broken { call, refused }),
            // The reset is lost with everything else: the client finds out by its own timeout.
            None => {
                self.calls.remove(&call);
            }
        }
    }

    /// When something sent now from one place arrives at the other; `None` places are outside.
    fn hop(&mut self, from: Option<NodeId>, to: Option<NodeId>) -> Option<Nanos> {
        match (from, to) {
            (Some(from), Some(to)) => self.network.send(self.now, from, to),
            _ => Some(self.now + self.network.outside()),
        }
    }

    fn wake(&mut self, node: NodeId, life: u64) {
        let server = &mut self.servers[node.0 as usize];
        if server.life != life || server.wake > self.now {
            return;
        }
        server.wake = Nanos::MAX;
        // The core may have put its timer off since; a stopped process finds it when it goes on.
        if server.runs() && server.wake_at() <= self.now {
            self.input(node, Input::Tick);
        }
        self.after(node);
    }

    fn fsynced(&mut self, node: NodeId, life: u64) {
        let server = &mut self.servers[node.0 as usize];
        if server.life != life {
            return;
        }
        if let Some((ticket, again)) = server.disk.done() {
            if again {
                self.begin_fsync(node);
            }
            self.input(node, Input::Synced(ticket));
            self.after(node);
        }
    }

    fn begin_fsync(&mut self, node: NodeId) {
        let took = self.disk_rng.range(self.disk.fsync.0, self.disk.fsync.1);
        let life = self.servers[node.0 as usize].life;
        self.queue.push(self.now + took, Happening::Fsync { node, life });
    }

    /// Runs one input and carries out its effects.
    fn input(&mut self, node: NodeId, input: Input) {
        let mut effects = std::mem::take(&mut self.effects);
        self.servers[node.0 as usize].input(self.now, input, &mut effects);
        for effect in effects.drain(..) {
            self.effect(node, effect);
        }
        self.effects = effects;
    }

    fn effect(&mut self, node: NodeId, effect: Effect) {
        match effect {
            Effect::Send { to, message } => self.send(node, NodeId(to as u8), message),
            Effect::Append(record) => self.servers[node.0 as usize].disk.append(record),
            Effect::Sync(ticket) => {
                if self.servers[node.0 as usize].disk.sync(ticket) {
                    self.begin_fsync(node);
                }
            }
            Effect::Rewrite(records, ticket) => {
                let disk = &mut self.servers[node.0 as usize].disk;
                disk.rewrite(records);
                if disk.sync(ticket) {
                    self.begin_fsync(node);
                }
            }
            Effect::Answer { client: ClientRef(call), response } => {
                let Some(open) = self.calls.get(&call) else { return };
                let home = open.home;
                self.record(node.0.into(), 200 + home.map_or(0, |home| 1 + home.0 as u64), &response);
                if let Some(at) = self.hop(Some(node), home) {
                    self.queue.push(at, Happening::Answer { call, response });
                }
            }
            Effect::Trace(line) => self.logs.push((self.now, node, line)),
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: Message) {
        self.messages += 1;
        self.record(from.0.into(), to.0.into(), &message);
        let life = self.servers[to.0 as usize].life;
        if let Some(at) = self.network.send(self.now, from, to) {
            self.queue.push(at, Happening::Message { to, from, life, message });
        }
    }

    fn record(&mut self, from: u64, to: u64, what: &dyn std::fmt::Debug) {
        if let Some(trace) = &mut self.trace {
            trace.add(self.now, from, to, what);
        }
    }

    /// After a server did something: plans its next wake-up and notices a new role.
    fn after(&mut self, node: NodeId) {
        let server = &mut self.servers[node.0 as usize];
        let at = server.wake_at();
        // A stopped process misses its timers; it looks at them when it goes on.
        if server.runs() && at < server.wake {
            server.wake = at.max(self.now);
            self.queue.push(server.wake, Happening::Wake { node, life: server.life });
        }
        if let Some((role, term)) = server.role_change() {
            self.notices.push_back(Notice::Role { node, role, term });
        }
    }
}
