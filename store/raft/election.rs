//! Elections: standing, voting, winning, stepping down (Raft §5.2, §5.4.1).

use super::{Entry, Raft, RaftMessage, Stage};
use crate::core::{Effect, Nanos, ServerId, Shared};
use crate::protocol::Role;
use crate::raft::lead::Origin;
use crate::switches::Bug;

impl Raft {
    /// Starts a new term as its candidate.
    pub(super) fn stand(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        self.term += 1;
        self.vote = Some(self.me);
        self.votes = 0;
        self.role = Role::Candidate;
        self.leader = None;
        self.draw_timeout(now);
        self.save_hard(out);
        out.push(Effect::Trace(format!("became candidate term={}", self.term)));
        let ticket = self.hard_ticket;
        let (last_index, last_term) = (self.log.last_index(), self.log.last_term());
        for to in self.others() {
            let ask = RaftMessage::Vote { term: self.term, last_index, last_term };
            self.send_after(now, ticket, to, ask, out);
        }
        let own = RaftMessage::VoteReply { term: self.term, granted: true };
        self.send_after(now, ticket, self.me, own, out);
    }

    pub(super) fn on_vote(
        &mut self,
        now: Nanos,
        from: ServerId,
        term: u64,
        last: (u64, u64),
        out: &mut Vec<Effect>,
    ) {
        if self.outranked(term) {
            self.become_follower(now, term, None, out);
        }
        let free = self.vote.is_none_or(|vote| vote == from);
        let complete = last >= (self.log.last_term(), self.log.last_index());
        let granted = term == self.term
            && self.role == Role::Follower
            && free
            && (complete || self.config.switches.fire(Bug::VoteIgnoresLog));
        if granted {
            if self.vote.is_none() {
                self.vote = Some(from);
                self.save_hard(out);
            }
            self.election_at = now + self.timeout;
        }
        let reply = RaftMessage::VoteReply { term: self.term, granted };
        self.send_after(now, self.hard_ticket, from, reply, out);
    }

    pub(super) fn on_vote_reply(
        &mut self,
        now: Nanos,
        from: ServerId,
        term: u64,
        granted: bool,
        out: &mut Vec<Effect>,
    ) {
        if self.outranked(term) {
            return self.become_follower(now, term, None, out);
        }
        if self.role == Role::Candidate && term == self.term && granted {
            self.votes |= 1 << from;
            if self.votes.count_ones() as usize >= self.majority {
                self.become_leader(now, out);
            }
        }
    }

    /// Whether a message of `term` ends this server's own term.
    pub(super) fn outranked(&self, term: u64) -> bool {
        term > self.term
            && !(self.role == Role::Leader && self.config.switches.fire(Bug::NoStepdownOnHigherTerm))
    }

    fn become_leader(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        self.role = Role::Leader;
        self.leader = Some(self.me);
        out.push(Effect::Trace(format!("became leader term={}", self.term)));
        let index = self.log.last_index() + 1;
        self.lead.open(now, &self.config, index);
        self.push_entry(Shared::new(Entry { index, term: self.term, request: None }), out);
        let asked = self.desk.iter().filter(|(_, call)| matches!(call.stage, Stage::Asked(_)));
        let reads: Vec<u64> = asked.map(|(call, _)| call).collect();
        self.lead.waiting.extend(reads.into_iter().map(Origin::Local));
        self.beat(now, out);
        self.advance_commit(now, out);
    }

    /// Follows in `term`, which is this server's own or a later one.
    pub(super) fn become_follower(
        &mut self,
        now: Nanos,
        term: u64,
        leader: Option<ServerId>,
        out: &mut Vec<Effect>,
    ) {
        if term > self.term {
            self.term = term;
            self.vote = None;
            self.save_hard(out);
        }
        let role = std::mem::replace(&mut self.role, Role::Follower);
        if role != Role::Follower {
            out.push(Effect::Trace(format!("became follower term={}", self.term)));
            self.draw_timeout(now);
        }
        let before = std::mem::replace(&mut self.leader, leader);
        if role == Role::Leader {
            self.abandon_lead(out);
        }
        if leader.is_some() && leader != before {
            self.ask_again(out);
        }
    }
}
