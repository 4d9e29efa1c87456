//! What a leader does: propose, replicate, count, commit, and notice that nobody listens (Raft §5.3, §5.4.2).

use super::{Entry, Raft, RaftMessage};
use crate::core::{Config, Effect, Nanos, ServerId, Shared};
use crate::protocol::{Code, Request, Role};
use crate::switches::Bug;
use std::collections::BTreeMap;

/// Entries in one message at most.
const BATCH: usize = 256;
/// Messages with entries on their way to one follower at most; further entries wait and leave together.
const WINDOW: u32 = 8;
/// Members at most: votes are kept in one word.
const MEMBERS: usize = 64;

/// Who waits for a request: a call of this server, or a call of another one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    Local(u64),
    Remote(ServerId, u64),
}

/// What the leader knows of one server.
#[derive(Clone, Default)]
pub(super) struct Peer {
    /// The first entry to send next; optimistic, runs ahead of the replies.
    next: u64,
    /// Up to here its log is durable and equal to the leader's.
    matched: u64,
    /// Where the logs meet is unknown: one message at a time, and `next` waits for its reply.
    probing: bool,
    inflight: u32,
    /// When it was last heard in this term.
    contact: Nanos,
    /// The newest read round that it has answered.
    pub(super) round: u64,
    /// When a snapshot was last sent to it.
    installed_at: Option<Nanos>,
}

/// The state that a leader has beyond a follower's; meaningless in any other role.
#[derive(Default)]
pub(super) struct Lead {
    pub(super) peers: Vec<Peer>,
    heartbeat_at: Nanos,
    quorum_at: Nanos,
    /// Who waits for the entry at an index.
    pub(super) proposals: BTreeMap<u64, Origin>,
    /// The entry that opened the term: reads wait until it is committed.
    pub(super) opened_at: u64,
    /// Number of the newest read round, growing over all terms of this life.
    pub(super) round: u64,
    /// The round on its way: the index it fixes and who waits for it.
    pub(super) pending: Option<(u64, Vec<Origin>)>,
    /// Reads that came after it started, or before the term's first commit.
    pub(super) waiting: Vec<Origin>,
}

impl Lead {
    /// A new term begins; its first entry will be at `index`.
    pub(super) fn open(&mut self, now: Nanos, config: &Config, index: u64) {
        let peer = Peer { next: index, probing: true, contact: now, ..Peer::default() };
        self.peers = vec![peer; config.members.len()];
        self.heartbeat_at = now + config.heartbeat;
        self.quorum_at = if config.members.len() > 1 { now + config.check_quorum } else { Nanos::MAX };
        self.opened_at = index;
    }

    pub(super) fn wake_at(&self) -> Nanos {
        self.heartbeat_at.min(self.quorum_at)
    }

    /// The server whose log is longest, other than `me`.
    pub(super) fn heir(&self, me: ServerId) -> Option<ServerId> {
        let others = (0..self.peers.len() as ServerId).filter(|server| *server != me);
        others.max_by_key(|server| (self.peers[*server as usize].matched, std::cmp::Reverse(*server)))
    }
}

impl Raft {
    pub(super) fn lead_tick(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        if now >= self.lead.quorum_at {
            self.check_quorum(now, out);
        }
        if self.role == Role::Leader && now >= self.lead.heartbeat_at {
            self.beat(now, out);
        }
    }

    /// Steps down unless a majority was heard within the last `check_quorum`.
    fn check_quorum(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let mut contacts = [0; MEMBERS];
        let count = self.lead.peers.len();
        for (server, peer) in self.lead.peers.iter().enumerate() {
            contacts[server] = if server == self.me as usize { now } else { peer.contact };
        }
        let contacts = &mut contacts[..count];
        contacts.sort_unstable();
        let deadline = contacts[count - self.majority] + self.config.check_quorum;
        if deadline > now {
            self.lead.quorum_at = deadline;
        } else {
            out.push(Effect::Trace(format!("heard no majority term={}", self.term)));
            self.become_follower(now, self.term, None, out);
        }
    }

    /// Says something to every follower: what it lacks, or that there is nothing.
    pub(super) fn beat(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        self.lead.heartbeat_at = now + self.config.heartbeat;
        for to in self.others() {
            self.send_append(now, to, BATCH, out);
        }
    }

    pub(super) fn propose(
        &mut self,
        now: Nanos,
        request: Shared<Request>,
        origin: Origin,
        out: &mut Vec<Effect>,
    ) {
        let index = self.log.last_index() + 1;
        self.push_entry(Shared::new(Entry { index, term: self.term, request: Some(request) }), out);
        self.lead.proposals.insert(index, origin);
        for to in self.others() {
            self.send_more(now, to, out);
        }
        self.advance_commit(now, out);
    }

    /// Sends entries to a follower that can take some now.
    fn send_more(&mut self, now: Nanos, to: ServerId, out: &mut Vec<Effect>) {
        let peer = &self.lead.peers[to as usize];
        if !peer.probing && peer.inflight < WINDOW && peer.next <= self.log.last_index() {
            self.send_append(now, to, BATCH, out);
        }
    }

    /// Sends up to `limit` entries from `next` on, or the snapshot if those are gone.
    pub(super) fn send_append(&mut self, now: Nanos, to: ServerId, limit: usize, out: &mut Vec<Effect>) {
        let base = self.log.base_index();
        if self.lead.peers[to as usize].next <= base {
            return self.send_snapshot(now, to, out);
        }
        let peer = &mut self.lead.peers[to as usize];
        let prev_index = peer.next - 1;
        let limit = if peer.inflight < WINDOW { limit } else { 0 };
        let entries = if limit == 0 { Vec::new() } else { self.log.slice(peer.next, limit) };
        if !peer.probing && !entries.is_empty() {
            peer.next += entries.len() as u64;
            peer.inflight += 1;
        }
        let append = RaftMessage::Append {
            term: self.term,
            prev_index,
            prev_term: self.log.term_at(prev_index).unwrap_or(0),
            commit: self.commit,
            round: self.lead.round,
            entries,
        };
        self.send(to, append, out);
    }

    /// Sends the snapshot, but not again before four heartbeats have passed; an empty append goes in between, so
    /// that the follower still hears its leader.
    fn send_snapshot(&mut self, now: Nanos, to: ServerId, out: &mut Vec<Effect>) {
        let (term, round) = (self.term, self.lead.round);
        let peer = &mut self.lead.peers[to as usize];
        let due = peer.installed_at.is_none_or(|at| now >= at + 4 * self.config.heartbeat);
        let message = match &self.snapshot {
            Some(snapshot) if due => {
                peer.installed_at = Some(now);
                RaftMessage::Install { term, round, snapshot: snapshot.clone() }
            }
            _ => {
                let prev_index = self.log.base_index();
                let prev_term = self.log.term_at(prev_index).unwrap_or(0);
                RaftMessage::Append {
                    term,
                    prev_index,
                    prev_term,
                    commit: self.commit,
                    round,
                    entries: Vec::new(),
                }
            }
        };
        self.send(to, message, out);
    }

    pub(super) fn on_append_reply(
        &mut self,
        now: Nanos,
        from: ServerId,
        term: u64,
        (ok, index, end): (bool, u64, u64),
        round: u64,
        out: &mut Vec<Effect>,
    ) {
        if self.outranked(term) {
            return self.become_follower(now, term, None, out);
        }
        if self.role != Role::Leader || term < self.term {
            return;
        }
        let peer = &mut self.lead.peers[from as usize];
        peer.contact = now;
        peer.round = peer.round.max(round);
        if ok {
            self.matched(now, from, index, end, out);
        } else if term == self.term {
            self.disagreed(now, from, index, end, out);
        }
        self.close_round(now, out);
    }

    fn matched(&mut self, now: Nanos, from: ServerId, index: u64, end: u64, out: &mut Vec<Effect>) {
        let last = self.log.last_index();
        let peer = &mut self.lead.peers[from as usize];
        let progress = index > peer.matched;
        if progress {
            peer.matched = index.min(last);
            peer.inflight = peer.inflight.saturating_sub(1);
        }
        if std::mem::take(&mut peer.probing) {
            peer.inflight = 0;
        }
        peer.next = peer.next.max(end.min(last) + 1);
        if peer.matched + 1 >= peer.next {
            peer.inflight = 0;
        }
        if progress {
            self.advance_commit(now, out);
        }
        self.send_more(now, from, out);
    }

    fn disagreed(&mut self, now: Nanos, from: ServerId, hint: u64, end: u64, out: &mut Vec<Effect>) {
        let peer = &mut self.lead.peers[from as usize];
        if peer.probing && end + 1 != peer.next {
            return;
        }
        peer.probing = true;
        peer.inflight = 0;
        peer.next = hint.min(end.saturating_sub(1)) + 1;
        self.send_append(now, from, BATCH, out);
    }

    /// Commits what a majority holds durably, if it is of this term (§5.4.2: older entries follow along).
    pub(super) fn advance_commit(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        if self.role != Role::Leader {
            return;
        }
        let mut index = self.majority_index();
        if index < self.log.last_index() && self.config.switches.fire(Bug::AckAfterLocalAppend) {
            index = self.log.last_index();
        }
        if index > self.commit && self.log.term_at(index) == Some(self.term) {
            self.commit = index;
            self.apply_to(index, out);
            self.start_round(now, out);
        }
    }

    fn majority_index(&self) -> u64 {
        let mut held = [0; MEMBERS];
        let count = self.lead.peers.len();
        for (server, peer) in self.lead.peers.iter().enumerate() {
            held[server] = if server == self.me as usize { self.durable_index } else { peer.matched };
        }
        let held = &mut held[..count];
        held.sort_unstable();
        held[count - self.majority]
    }

    /// Gives up what only a leader can finish: proposals may yet be committed by the next one, reads did not happen.
    pub(super) fn abandon_lead(&mut self, out: &mut Vec<Effect>) {
        for (_, origin) in std::mem::take(&mut self.lead.proposals) {
            self.settle(origin, Err(Code::LeadershipLost.into()), out);
        }
        let (_, mut reads) = self.lead.pending.take().unwrap_or_default();
        reads.append(&mut self.lead.waiting);
        for origin in reads {
            match origin {
                Origin::Local(call) => self.desk.close(call, self.view(), Err(Code::NotReady.into()), out),
                Origin::Remote(to, call) => self.send(to, RaftMessage::ReadReply { call, index: None }, out),
            }
        }
    }
}
