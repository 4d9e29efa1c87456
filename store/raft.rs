//! Raft: one leader, one log, a majority for each decision.
//!
//! After Ongaro and Ousterhout, "In search of an understandable consensus algorithm" (2014), figure 2 and §7, with
//! linearizable reads by read index, leadership transfer and check-quorum from Ongaro's thesis (2014), §6.4, §3.10
//! and §6.2. Membership is fixed. This file holds the state and the way in; `election`, `lead`, `follow`, `read`
//! and `snapshot` hold the rules.

mod election;
mod follow;
mod lead;
mod log;
mod read;
mod snapshot;

use crate::core::{ClientRef, Config, Core, Effect, Message, Nanos, ServerId, Shared, Status};
use crate::desk::Desk;
use crate::disk::Disk;
use crate::machine::Machine;
use crate::protocol::{Code, Command, Failure, Reply, Request, Role};
use crate::switches::Bug;
use lead::{Lead, Origin};
use log::Log;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use snapshot::Snapshot;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One slot of the log; without a request it is the entry with which a leader opens its term.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub index: u64,
    pub term: u64,
    pub request: Option<Shared<Request>>,
}

/// What raft servers say to each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RaftMessage {
    Vote {
        term: u64,
        last_index: u64,
        last_term: u64,
    },
    VoteReply {
        term: u64,
        granted: bool,
    },
    /// `round` numbers the leader's newest read round; the reply echoes it.
    Append {
        term: u64,
        prev_index: u64,
        prev_term: u64,
        commit: u64,
        round: u64,
        entries: Vec<Shared<Entry>>,
    },
    /// `ok`: the logs agree up to `end`, and durably so up to `index`.
    /// Not `ok`: they disagree at `end`, and the leader should try again after `index`.
    AppendReply {
        term: u64,
        ok: bool,
        index: u64,
        end: u64,
        round: u64,
    },
    Install {
        term: u64,
        round: u64,
        snapshot: Shared<Snapshot>,
    },
    /// A follower asks up to where it must have applied before it may answer its read.
    ReadAsk {
        call: u64,
    },
    /// `None`: the asked server does not lead.
    ReadReply {
        call: u64,
        index: Option<u64>,
    },
    /// The leader is about to stop: stand for election at once.
    TimeoutNow {
        term: u64,
    },
}

/// One record of the log on disk. An entry replaces those from its index on.
#[derive(Debug, Serialize, Deserialize)]
enum Record {
    Hard { term: u64, vote: Option<ServerId> },
    Entry(Shared<Entry>),
    Snapshot(Shared<Snapshot>),
}

/// What an open call waits for.
enum Stage {
    /// A write, handed to the leader.
    Forwarded,
    /// A write, in this leader's log.
    Proposed,
    /// A read, for a round of this leader.
    Round(Command),
    /// A read, for the leader to name an index.
    Asked(Command),
    /// A read, for that index to be applied here.
    Applying(Command),
}

/// One server of the raft mode.
pub struct Raft {
    config: Config,
    me: ServerId,
    majority: usize,
    rng: ChaCha8Rng,
    // Figure 2, persistent.
    term: u64,
    vote: Option<ServerId>,
    log: Log,
    snapshot: Option<Shared<Snapshot>>,
    // Figure 2, volatile.
    commit: u64,
    applied: u64,
    machine: Machine,
    role: Role,
    leader: Option<ServerId>,
    /// Who voted for this candidate, a bit each.
    votes: u64,
    timeout: Nanos,
    election_at: Nanos,
    disk: Disk<(ServerId, RaftMessage)>,
    /// The ticket that makes term and vote durable.
    hard_ticket: u64,
    /// Tickets on their way, each with the log index that it makes durable.
    marks: VecDeque<(u64, u64)>,
    durable_index: u64,
    desk: Desk<Stage>,
    /// Reads that wait to be applied: (index, call).
    applying: BTreeSet<(u64, u64)>,
    lead: Lead,
    stopping: bool,
}

impl Raft {
    /// See [`crate::core::boot`].
    pub fn boot(config: Config, now: Nanos, records: Vec<Vec<u8>>) -> Raft {
        let me = config.me;
        let mut raft = Raft {
            me,
            majority: config.members.len() / 2 + 1,
            rng: ChaCha8Rng::seed_from_u64(
                config.seed ^ u64::from(me + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            ),
            term: 0,
            vote: None,
            log: Log::default(),
            snapshot: None,
            commit: 0,
            applied: 0,
            machine: Machine::default(),
            role: Role::Follower,
            leader: None,
            votes: 0,
            timeout: 0,
            election_at: 0,
            disk: Disk::new(),
            hard_ticket: 0,
            marks: VecDeque::new(),
            durable_index: 0,
            desk: Desk::new(&config, now),
            applying: BTreeSet::new(),
            lead: Lead::default(),
            stopping: false,
            config,
        };
        raft.replay(records);
        // A later life must not repeat the timeouts of an earlier one, or rivals could stay in step for ever.
        raft.rng.set_stream(now);
        raft.draw_timeout(now);
        raft
    }

    fn replay(&mut self, records: Vec<Vec<u8>>) {
        for bytes in records {
            match postcard::from_bytes(&bytes) {
                Ok(Record::Hard { term, vote }) => (self.term, self.vote) = (term, vote),
                Ok(Record::Entry(entry)) if entry.index <= self.log.base_index() => {}
                Ok(Record::Entry(entry)) if entry.index <= self.log.last_index() + 1 => {
                    self.log.truncate_after(entry.index - 1);
                    self.log.push(entry);
                }
                Ok(Record::Snapshot(snapshot)) => {
                    let Ok(machine) = postcard::from_bytes(&snapshot.machine) else { break };
                    self.machine = machine;
                    self.log.reset(snapshot.index, snapshot.term);
                    (self.commit, self.applied) = (snapshot.index, snapshot.index);
                    self.snapshot = Some(snapshot);
                }
                Ok(Record::Entry(_)) | Err(_) => break,
            }
        }
        self.durable_index = self.log.last_index();
        if self.term > 0 && self.config.switches.fire(Bug::TermNotPersisted) {
            (self.term, self.vote) = (0, None);
        }
    }

    /// A new random election timeout, counted from `now`.
    fn draw_timeout(&mut self, now: Nanos) {
        let (low, high) = self.config.election;
        self.timeout = low + self.rng.next_u64() % (high - low).max(1);
        self.election_at = now + self.timeout;
    }

    fn others(&self) -> impl Iterator<Item = ServerId> + use<> {
        let me = self.me;
        (0..self.config.members.len() as ServerId).filter(move |server| *server != me)
    }

    fn view(&self) -> (Role, u64) {
        (self.role, self.term)
    }

    fn send(&self, to: ServerId, message: RaftMessage, out: &mut Vec<Effect>) {
        out.push(Effect::Send { to, message: Message::Raft(message) });
    }

    /// Sends once `ticket` is durable. A message to this server itself is its own vote.
    fn send_after(
        &mut self,
        now: Nanos,
        ticket: u64,
        to: ServerId,
        message: RaftMessage,
        out: &mut Vec<Effect>,
    ) {
        if let Some((to, message)) = self.disk.hold(ticket, (to, message)) {
            self.deliver(now, to, message, out);
        }
    }

    fn deliver(&mut self, now: Nanos, to: ServerId, message: RaftMessage, out: &mut Vec<Effect>) {
        if to != self.me {
            self.send(to, message, out);
        } else if let RaftMessage::VoteReply { term, granted } = message {
            self.on_vote_reply(now, to, term, granted, out);
        }
    }

    fn save_hard(&mut self, out: &mut Vec<Effect>) {
        self.disk.append(&Record::Hard { term: self.term, vote: self.vote }, out);
        self.hard_ticket = self.disk.pending();
    }

    fn push_entry(&mut self, entry: Shared<Entry>, out: &mut Vec<Effect>) {
        self.disk.append(&Record::Entry(entry.clone()), out);
        self.log.push(entry);
        self.mark();
    }

    /// Remembers that the pending ticket makes the log durable up to its present end.
    fn mark(&mut self) {
        let (ticket, last) = (self.disk.pending(), self.log.last_index());
        match self.marks.back_mut() {
            Some(mark) if mark.0 == ticket => mark.1 = last,
            _ => self.marks.push_back((ticket, last)),
        }
    }

    /// Cuts the log after `index`. What was on its way to disk beyond it proves nothing about what replaces it.
    fn truncate_after(&mut self, index: u64) {
        self.log.truncate_after(index);
        let last = self.log.last_index();
        self.durable_index = self.durable_index.min(last);
        self.marks.iter_mut().for_each(|mark| mark.1 = mark.1.min(last));
        // Neither is ever beyond `index` while all switches are off.
        self.commit = self.commit.min(last);
        self.applied = self.applied.min(last);
    }

    /// Applies entries up to `index` and answers those who wait for them.
    fn apply_to(&mut self, index: u64, out: &mut Vec<Effect>) {
        let before = self.applied;
        while self.applied < index.min(self.log.last_index()) {
            let Some(entry) = self.log.get(self.applied + 1).cloned() else { break };
            self.applied = entry.index;
            let result = match &entry.request {
                Some(request) => self.machine.apply(request).map_err(Failure::from),
                None => Ok(Reply::Done),
            };
            if self.config.trace
                && let Some(request) = &entry.request
            {
                out.push(Effect::Trace(format!(
                    "apply id={} index={} term={}",
                    request.id, entry.index, entry.term
                )));
            }
            if let Some(origin) = self.lead.proposals.remove(&entry.index) {
                self.settle(origin, result, out);
            }
        }
        if self.applied > before {
            self.release_reads(out);
            self.maybe_snapshot(out);
        }
    }

    /// Tells whoever asked for a write how it ended.
    fn settle(&mut self, origin: Origin, result: Result<Reply, Failure>, out: &mut Vec<Effect>) {
        match origin {
            Origin::Local(call) => self.desk.close(call, (self.role, self.term), result, out),
            Origin::Remote(to, call) => {
                out.push(Effect::Send { to, message: Message::Forwarded { call, result } });
            }
        }
    }

    fn write(&mut self, now: Nanos, client: ClientRef, request: Request, out: &mut Vec<Effect>) {
        let id = request.id.clone();
        match self.leader {
            Some(leader) if leader == self.me => {
                let call = self.desk.open(now, client, id, Stage::Proposed);
                self.propose(now, Shared::new(request), Origin::Local(call), out);
            }
            Some(to) => {
                let call = self.desk.open(now, client, id, Stage::Forwarded);
                let message = Message::Forward { call, request: Shared::new(request) };
                out.push(Effect::Send { to, message });
            }
            None => self.desk.answer(client, id, self.view(), Err(Code::NotReady.into()), out),
        }
    }

    fn on_forward(
        &mut self,
        now: Nanos,
        from: ServerId,
        call: u64,
        request: Shared<Request>,
        out: &mut Vec<Effect>,
    ) {
        if self.role == Role::Leader && !self.stopping {
            return self.propose(now, request, Origin::Remote(from, call), out);
        }
        let message = Message::Forwarded { call, result: Err(Code::NotLeader.into()) };
        out.push(Effect::Send { to: from, message });
    }

    fn on_raft(&mut self, now: Nanos, from: ServerId, message: RaftMessage, out: &mut Vec<Effect>) {
        match message {
            RaftMessage::Vote { term, last_index, last_term } => {
                self.on_vote(now, from, term, (last_term, last_index), out);
            }
            RaftMessage::VoteReply { term, granted } => self.on_vote_reply(now, from, term, granted, out),
            RaftMessage::Append { term, prev_index, prev_term, commit, round, entries } => {
                if self.follow(now, from, term, round, prev_index, out) {
                    self.on_append(now, from, (prev_index, prev_term), commit, round, entries, out);
                }
            }
            RaftMessage::AppendReply { term, ok, index, end, round } => {
                self.on_append_reply(now, from, term, (ok, index, end), round, out);
            }
            RaftMessage::Install { term, round, snapshot } => {
                if self.follow(now, from, term, round, snapshot.index, out) {
                    self.on_install(now, from, round, snapshot, out);
                }
            }
            RaftMessage::ReadAsk { call } => self.on_read_ask(now, from, call, out),
            RaftMessage::ReadReply { call, index } => self.on_read_reply(call, index, out),
            RaftMessage::TimeoutNow { term } => {
                if term == self.term && self.role == Role::Follower && !self.stopping {
                    self.stand(now, out);
                }
            }
        }
    }
}

impl Core for Raft {
    fn tick(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        if self.role == Role::Leader {
            self.lead_tick(now, out);
        } else if now >= self.election_at && !self.stopping {
            self.stand(now, out);
        }
        let code = |_, stage: &Stage| {
            if matches!(stage, Stage::Forwarded) { Code::ForwardLost } else { Code::Timeout }
        };
        self.desk.expire(now, (self.role, self.term), code, out);
        self.disk.seal(out);
    }

    fn receive(&mut self, now: Nanos, from: ServerId, message: Message, out: &mut Vec<Effect>) {
        if from as usize >= self.config.members.len() || from == self.me {
            return;
        }
        match message {
            Message::Raft(message) => self.on_raft(now, from, message, out),
            Message::Forward { call, request } => self.on_forward(now, from, call, request, out),
            Message::Forwarded { call, result } => self.desk.close(call, (self.role, self.term), result, out),
            Message::Quorum(_) => {}
        }
        self.disk.seal(out);
    }

    fn request(&mut self, now: Nanos, client: ClientRef, request: Request, out: &mut Vec<Effect>) {
        if request.command == Command::Status {
            let report = self.desk.report(self.status(), &self.config.members, self.activations());
            self.desk.answer(client, request.id, self.view(), Ok(report), out);
        } else if self.stopping {
            self.desk.answer(client, request.id, self.view(), Err(Code::ShuttingDown.into()), out);
        } else if request.command.is_read() {
            self.read(now, client, request, out);
        } else {
            self.write(now, client, request, out);
        }
        self.disk.seal(out);
    }

    fn synced(&mut self, now: Nanos, ticket: u64, out: &mut Vec<Effect>) {
        self.disk.synced(ticket);
        while let Some((mark, index)) = self.marks.front()
            && *mark <= ticket
        {
            self.durable_index = self.durable_index.max(*index);
            self.marks.pop_front();
        }
        while let Some((to, message)) = self.disk.release() {
            self.deliver(now, to, message, out);
        }
        self.advance_commit(now, out);
        self.disk.seal(out);
    }

    fn wake_at(&self) -> Nanos {
        let own = match self.role {
            Role::Leader => self.lead.wake_at(),
            _ if self.stopping => Nanos::MAX,
            _ => self.election_at,
        };
        own.min(self.desk.deadline())
    }

    fn status(&self) -> Status {
        Status {
            role: self.role,
            term: self.term,
            leader: self.leader,
            commit: self.commit,
            applied: self.applied,
            last: self.log.last_index(),
            hash: self.machine.hash(),
        }
    }

    fn activations(&self) -> BTreeMap<&'static str, u64> {
        self.config.switches.activations()
    }

    fn shutdown(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        self.stopping = true;
        if self.role == Role::Leader
            && let Some(heir) = self.lead.heir(self.me)
        {
            out.push(Effect::Trace(format!("handing over to {}", self.config.members[heir as usize])));
            self.beat(now, out);
            self.send(heir, RaftMessage::TimeoutNow { term: self.term }, out);
        }
        self.disk.seal(out);
    }
}
