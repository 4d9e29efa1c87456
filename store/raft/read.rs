//! Linearizable reads without the log: the read index (Ongaro's thesis §6.4).
//!
//! The leader notes its commit index, hears from a majority that it still leads, and then answers from any state
//! that has applied that index: its own, or the one of a follower that asked. One round serves all reads that were
//! waiting when it began.

use super::lead::Origin;
use super::{Raft, RaftMessage, Stage};
use crate::core::{ClientRef, Effect, Nanos, ServerId};
use crate::protocol::{Code, Failure, Reply, Request, Role};
use crate::switches::Bug;

impl Raft {
    pub(super) fn read(&mut self, now: Nanos, client: ClientRef, request: Request, out: &mut Vec<Effect>) {
        let Request { id, command, .. } = request;
        match self.leader {
            Some(leader) if leader == self.me => {
                let call = self.desk.open(now, client, id, Stage::Round(command));
                self.lead_read(now, Origin::Local(call), out);
            }
            Some(_) if self.config.switches.fire(Bug::FollowerReadNoWait) => {
                let reply = self.machine.read(&command).unwrap_or(Reply::Done);
                self.desk.answer(client, id, self.view(), Ok(reply), out);
            }
            Some(leader) => {
                let call = self.desk.open(now, client, id, Stage::Asked(command));
                self.send(leader, RaftMessage::ReadAsk { call }, out);
            }
            None => self.desk.answer(client, id, self.view(), Err(Code::NotReady.into()), out),
        }
    }

    pub(super) fn on_read_ask(&mut self, now: Nanos, from: ServerId, call: u64, out: &mut Vec<Effect>) {
        if self.role == Role::Leader {
            self.lead_read(now, Origin::Remote(from, call), out);
        } else {
            self.send(from, RaftMessage::ReadReply { call, index: None }, out);
        }
    }

    pub(super) fn on_read_reply(&mut self, call: u64, index: Option<u64>, out: &mut Vec<Effect>) {
        let view = self.view();
        let Some(open) = self.desk.get_mut(call) else { return };
        let Stage::Asked(command) = &mut open.stage else { return };
        let Some(index) = index else {
            return self.desk.close(call, view, Err(Code::NotLeader.into()), out);
        };
        let command = std::mem::replace(command, crate::protocol::Command::Status);
        open.stage = Stage::Applying(command);
        self.applying.insert((index, call));
        self.release_reads(out);
    }

    fn lead_read(&mut self, now: Nanos, origin: Origin, out: &mut Vec<Effect>) {
        if self.config.switches.fire(Bug::LeaderLocalRead) {
            return self.grant(self.applied, origin, out);
        }
        self.lead.waiting.push(origin);
        self.start_round(now, out);
    }

    /// Starts a round for the waiting reads, unless one is on its way or the term has no commit yet: until then
    /// the leader does not know what its predecessors committed.
    pub(super) fn start_round(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let blocked = self.lead.pending.is_some() || self.commit < self.lead.opened_at;
        if blocked || self.lead.waiting.is_empty() {
            return;
        }
        self.lead.round += 1;
        self.lead.pending = Some((self.commit, std::mem::take(&mut self.lead.waiting)));
        for to in self.others() {
            self.send_append(now, to, 0, out);
        }
        self.close_round(now, out);
    }

    /// Grants the pending round's reads once a majority has answered it, and starts the next.
    pub(super) fn close_round(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        if self.lead.pending.is_none() {
            return;
        }
        let round = self.lead.round;
        let heard = self.lead.peers.iter().filter(|peer| peer.round >= round).count();
        if heard + 1 < self.majority {
            return;
        }
        let (index, origins) = self.lead.pending.take().unwrap_or_default();
        for origin in origins {
            self.grant(index, origin, out);
        }
        self.start_round(now, out);
    }

    fn grant(&mut self, index: u64, origin: Origin, out: &mut Vec<Effect>) {
        match origin {
            Origin::Remote(to, call) => {
                self.send(to, RaftMessage::ReadReply { call, index: Some(index) }, out)
            }
            Origin::Local(call) => {
                self.applying.insert((index, call));
                self.release_reads(out);
            }
        }
    }

    /// Answers the reads whose index has been applied.
    pub(super) fn release_reads(&mut self, out: &mut Vec<Effect>) {
        while let Some((index, call)) = self.applying.first().copied()
            && index <= self.applied
        {
            self.applying.pop_first();
            let Some(open) = self.desk.get(call) else { continue };
            let (Stage::Applying(command) | Stage::Round(command) | Stage::Asked(command)) = &open.stage
            else {
                continue;
            };
            let result = self.machine.read(command).ok_or_else(|| Failure::from(Code::Unsupported));
            self.desk.close(call, (self.role, self.term), result, out);
        }
    }

    /// A new leader is known: what the last one was asked, it may never answer.
    pub(super) fn ask_again(&mut self, out: &mut Vec<Effect>) {
        let Some(leader) = self.leader else { return };
        for (call, open) in self.desk.iter() {
            if matches!(open.stage, Stage::Asked(_)) {
                self.send(leader, RaftMessage::ReadAsk { call }, out);
            }
        }
    }
}
