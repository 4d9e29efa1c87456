//! What a follower does with what its leader says (Raft §5.3, the receiver's rules of figure 2).

use super::{Entry, Raft, RaftMessage};
use crate::core::{Effect, Nanos, ServerId, Shared};
use crate::protocol::Role;
use crate::switches::Bug;

impl Raft {
    /// Accepts `from` as the leader of `term`, or tells it that its term is over and says false.
    pub(super) fn follow(
        &mut self,
        now: Nanos,
        from: ServerId,
        term: u64,
        round: u64,
        end: u64,
        out: &mut Vec<Effect>,
    ) -> bool {
        let higher = self.outranked(term);
        if !higher && term != self.term {
            let index = self.log.last_index();
            let reply = RaftMessage::AppendReply { term: self.term, ok: false, index, end, round };
            self.send_after(now, self.hard_ticket, from, reply, out);
            return false;
        }
        if higher || self.role != Role::Follower || self.leader != Some(from) {
            self.become_follower(now, term, Some(from), out);
        }
        self.election_at = now + self.timeout;
        true
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(super) fn on_append(
        &mut self,
        now: Nanos,
        from: ServerId,
        (prev_index, prev_term): (u64, u64),
        commit: u64,
        round: u64,
        entries: Vec<Shared<Entry>>,
        out: &mut Vec<Effect>,
    ) {
        // Before the base everything is committed, hence equal.
        let agrees = prev_index < self.log.base_index() || self.log.term_at(prev_index) == Some(prev_term);
        if !agrees {
            let index = self.hint(prev_index);
            let reply =
                RaftMessage::AppendReply { term: self.term, ok: false, index, end: prev_index, round };
            return self.send_after(now, self.hard_ticket, from, reply, out);
        }
        let end = prev_index + entries.len() as u64;
        let appended = self.append(entries, out);
        if appended && self.config.switches.fire(Bug::ApplyUncommitted) {
            self.apply_to(end, out);
        }
        if commit.min(end) > self.commit {
            self.commit = commit.min(end);
            self.apply_to(self.commit, out);
        }
        // What was just appended is promised once it is durable; a bare heartbeat promises what already is.
        let (ticket, index) = if appended {
            (self.disk.pending(), end)
        } else {
            (self.hard_ticket, end.min(self.durable_index))
        };
        let reply = RaftMessage::AppendReply { term: self.term, ok: true, index, end, round };
        self.send_after(now, ticket, from, reply, out);
    }

    /// Where the leader should try next: before the whole term that disagrees at `index`, or at the log's end.
    fn hint(&self, index: u64) -> u64 {
        let Some(term) = self.log.term_at(index) else { return self.log.last_index() };
        let mut hint = index;
        while hint > self.log.base_index() && self.log.term_at(hint) == Some(term) {
            hint -= 1;
        }
        hint
    }

    /// Adds what is new, cuts what conflicts; true if anything was added.
    fn append(&mut self, entries: Vec<Shared<Entry>>, out: &mut Vec<Effect>) -> bool {
        let mut appended = false;
        for entry in entries {
            if entry.index <= self.log.base_index() {
                continue;
            }
            match self.log.term_at(entry.index) {
                Some(term) if term == entry.term => continue,
                Some(_) if self.config.switches.fire(Bug::ConflictSuffixKept) => continue,
                Some(_) => self.truncate_after(entry.index - 1),
                None => {}
            }
            self.push_entry(entry, out);
            appended = true;
        }
        appended
    }
}
