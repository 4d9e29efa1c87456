//! Snapshots: the state at an index in place of the entries up to it (Raft §7).

use super::{Raft, RaftMessage, Record};
use crate::core::{Effect, Nanos, ServerId, Shared};
use crate::disk::encode;
use serde::{Deserialize, Serialize};

/// The applied state, encoded, with the place in the log that it stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub index: u64,
    pub term: u64,
    pub machine: Vec<u8>,
}

impl Raft {
    /// Takes a snapshot when enough was applied since the last one. Some entries before it stay in memory, so that
    /// a follower that is a little behind needs no snapshot.
    pub(super) fn maybe_snapshot(&mut self, out: &mut Vec<Effect>) {
        let last = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.index);
        let due = self.applied >= last + self.config.snapshot_every;
        // Applied beyond commit happens only with a switch on; an entry that may go away must not be sealed in.
        if !due || self.applied > self.commit {
            return;
        }
        let Some(term) = self.log.term_at(self.applied) else { return };
        let snapshot = Snapshot { index: self.applied, term, machine: encode(&self.machine) };
        self.snapshot = Some(Shared::new(snapshot));
        let keep = self.config.snapshot_every / 4;
        self.log.compact_to((self.applied - keep.min(self.applied)).max(self.log.base_index()));
        self.rewrite(out);
    }

    /// Replaces the log on disk by the snapshot and what follows it.
    fn rewrite(&mut self, out: &mut Vec<Effect>) {
        let Some(snapshot) = &self.snapshot else { return };
        let rest = self.log.slice(snapshot.index + 1, usize::MAX);
        let mut records = Vec::with_capacity(rest.len() + 2);
        records.push(encode(&Record::Hard { term: self.term, vote: self.vote }));
        records.push(encode(&Record::Snapshot(snapshot.clone())));
        records.extend(rest.into_iter().map(|entry| encode(&Record::Entry(entry))));
        self.disk.rewrite(records, out);
        self.hard_ticket = self.disk.pending();
        self.mark();
    }

    pub(super) fn on_install(
        &mut self,
        now: Nanos,
        from: ServerId,
        round: u64,
        snapshot: Shared<Snapshot>,
        out: &mut Vec<Effect>,
    ) {
        if snapshot.index <= self.commit {
            let (index, end) = (self.commit.min(self.durable_index), self.commit);
            let reply = RaftMessage::AppendReply { term: self.term, ok: true, index, end, round };
            return self.send_after(now, self.hard_ticket, from, reply, out);
        }
        let Ok(machine) = postcard::from_bytes(&snapshot.machine) else { return };
        let end = snapshot.index;
        out.push(Effect::Trace(format!("installed snapshot index={end} term={}", snapshot.term)));
        self.machine = machine;
        (self.commit, self.applied) = (end, end);
        if self.log.term_at(end) == Some(snapshot.term) {
            self.log.compact_to(end);
        } else {
            self.log.reset(end, snapshot.term);
            let durable = self.durable_index.min(end);
            self.durable_index = durable;
            self.marks.clear();
        }
        self.snapshot = Some(snapshot);
        self.rewrite(out);
        self.release_reads(out);
        let reply = RaftMessage::AppendReply { term: self.term, ok: true, index: end, end, round };
        self.send_after(now, self.disk.pending(), from, reply, out);
    }
}
