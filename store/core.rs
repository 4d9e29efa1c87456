//! The shape that every protocol has: inputs and the time go in, effects come out.
//!
//! A core does no input or output, reads no clock and draws random numbers only from its own seed, so the same
//! inputs give the same effects, in a process on a machine or in a simulated world. Running the effects is the
//! business of `server.rs` or of any other host.

use crate::protocol::{Failure, Reply, Request, Response, Role};
use crate::quorum::{Quorum, QuorumMessage};
use crate::raft::{Raft, RaftMessage};
use crate::single::Single;
use crate::switches::Switches;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

/// Time in nanoseconds. It must never go back, and must be later after a restart than before it; where zero is
/// does not matter.
pub type Nanos = u64;

/// A server: its index in [`Config::members`].
pub type ServerId = u32;

/// One millisecond.
pub const MILLI: Nanos = 1_000_000;

/// Where the answer to a request belongs; chosen by the host, opaque to the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientRef(pub u64);

/// Which protocol the servers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Consensus on one log.
    Raft,
    /// No leader: each key lives on `n` servers, a write waits for `w` of them and a read for `r`.
    /// With `write_back`, a read first stores what it returns on `w` replicas.
    Quorum { n: usize, w: usize, r: usize, write_back: bool },
    /// Server 0 holds everything, the others forward to it.
    Single,
}

impl Mode {
    /// `raft`, `quorum` or `single`.
    pub fn name(&self) -> &'static str {
        match self {
            Mode::Raft => "raft",
            Mode::Quorum { .. } => "quorum",
            Mode::Single => "single",
        }
    }
}

/// What a core is told at its start. All durations are in nanoseconds.
#[derive(Clone, Debug)]
pub struct Config {
    pub me: ServerId,
    /// The names of all servers, the same list in the same order on each; at most 64.
    pub members: Vec<String>,
    pub mode: Mode,
    /// Seed of this cluster's random numbers; each server draws its own stream from it.
    pub seed: u64,
    /// How often a leader is heard when nothing else is said.
    pub heartbeat: Nanos,
    /// Range of the randomised election timeout.
    pub election: (Nanos, Nanos),
    /// A leader that has not heard from a majority for this long steps down.
    pub check_quorum: Nanos,
    /// Log records after which the state is stored as a snapshot and the log is cut.
    pub snapshot_every: u64,
    /// A request without a decision after this long is answered with an error.
    pub request_timeout: Nanos,
    pub switches: Switches,
    /// Whether each applied request gets a line in the server's log.
    pub trace: bool,
}

impl Config {
    /// The defaults: heartbeat 50 ms, election 150 to 300 ms, check-quorum 1 s, snapshot after 10,000 records,
    /// request timeout 2 s, seed 0, no switches, no trace.
    pub fn new(me: ServerId, members: Vec<String>, mode: Mode) -> Config {
        Config {
            me,
            members,
            mode,
            seed: 0,
            heartbeat: 50 * MILLI,
            election: (150 * MILLI, 300 * MILLI),
            check_quorum: 1000 * MILLI,
            snapshot_every: 10_000,
            request_timeout: 2000 * MILLI,
            switches: Switches::default(),
            trace: false,
        }
    }
}

/// Something that the host must do, in the order of the list.
///
/// The log is a list of records. `Append` adds one at its end; `Sync(t)` asks that all before it become durable,
/// and `Rewrite` that the whole log, earlier records included, be replaced by the given ones, all or nothing.
/// Tickets increase by one from core to host; `synced(t)` says that everything up to ticket `t` is durable, so the
/// host may report only the highest. After a crash the host boots a new core with the durable records, and
/// optionally some of those that followed, in order and without a gap.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send, with no promise of delivery or order.
    Send {
        to: ServerId,
        message: Message,
    },
    Append(Vec<u8>),
    Sync(u64),
    Rewrite(Vec<Vec<u8>>, u64),
    Answer {
        client: ClientRef,
        response: Response,
    },
    /// A line for the server's log.
    Trace(String),
}

/// A message from one server to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    Raft(RaftMessage),
    Quorum(QuorumMessage),
    /// A client's request, handed to the server that can decide it; `call` is the sender's own number for it.
    Forward {
        call: u64,
        request: Shared<Request>,
    },
    /// The decision on a forwarded request.
    Forwarded {
        call: u64,
        result: Result<Reply, Failure>,
    },
}

/// A server's own view of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub role: Role,
    pub term: u64,
    pub leader: Option<ServerId>,
    /// Index up to which the log is known to be committed; 0 in quorum mode.
    pub commit: u64,
    /// Log index (raft), applied requests (single), stored versions (quorum) that `hash` reflects.
    pub applied: u64,
    /// Index of the last log entry, committed or not.
    pub last: u64,
    /// Hash of the applied state. In raft and single mode, equal on servers with equal `applied`.
    pub hash: u64,
}

/// One server's protocol. Every method appends its effects to `out`.
pub trait Core {
    /// Time has passed; to be called at [`Core::wake_at`], harmless at any other time.
    fn tick(&mut self, now: Nanos, out: &mut Vec<Effect>);
    /// A message has arrived.
    fn receive(&mut self, now: Nanos, from: ServerId, message: Message, out: &mut Vec<Effect>);
    /// A client asks; there will be at most one `Answer` for it, and exactly one unless the server stops.
    fn request(&mut self, now: Nanos, client: ClientRef, request: Request, out: &mut Vec<Effect>);
    /// Everything up to `ticket` is durable.
    fn synced(&mut self, now: Nanos, ticket: u64, out: &mut Vec<Effect>);
    /// When [`Core::tick`] has something to do next; `u64::MAX` for never. Cost: constant or logarithmic.
    fn wake_at(&self) -> Nanos;
    fn status(&self) -> Status;
    /// How often each enabled switch has acted since this boot, by name.
    fn activations(&self) -> BTreeMap<&'static str, u64>;
    /// The server is about to stop: hand over what it leads, accept nothing more.
    fn shutdown(&mut self, now: Nanos, out: &mut Vec<Effect>);
}

/// Builds a core and replays the log records that survived, oldest first. Records that do not decode are a
/// damaged log; the replay stops before the first of them. An empty list is a new server.
pub fn boot(config: Config, now: Nanos, records: Vec<Vec<u8>>) -> Box<dyn Core + Send> {
    match config.mode {
        Mode::Raft => Box::new(Raft::boot(config, now, records)),
        Mode::Quorum { n, w, r, write_back } => {
            Box::new(Quorum::boot(config, (n, w, r, write_back), now, records))
        }
        Mode::Single => Box::new(Single::boot(config, now, records)),
    }
}

/// An `Arc` that is written as what it holds, so that one log entry serves all messages that carry it.
#[derive(Debug, PartialEq, Eq)]
pub struct Shared<T>(Arc<T>);

impl<T> Shared<T> {
    pub fn new(value: T) -> Shared<T> {
        Shared(Arc::new(value))
    }

    /// The value, cloned only if it is shared.
    pub fn take(self) -> T
    where
        T: Clone,
    {
        Arc::unwrap_or_clone(self.0)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        Shared(Arc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shared<T>, D::Error> {
        T::deserialize(deserializer).map(Shared::new)
    }
}
