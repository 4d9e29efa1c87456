//! Single rules of raft that random schedules rarely reach, each driven message by message.

use crate::load::config;
use store::raft::{Entry, RaftMessage};
use store::{Command, Core, Effect, MILLI, Message, Mode, Nanos, Request, Role, ServerId, Shared, boot};

/// One core of three, with its effects and a disk that syncs when told to.
struct Lone {
    core: Box<dyn Core + Send>,
    now: Nanos,
    sent: Vec<(ServerId, RaftMessage)>,
    records: Vec<Vec<u8>>,
    ticket: u64,
}

impl Lone {
    fn boot(now: Nanos, records: Vec<Vec<u8>>) -> Lone {
        let core = boot(config(3, Mode::Raft), now, records.clone());
        Lone { core, now, sent: Vec::new(), records, ticket: 0 }
    }

    fn take(&mut self, act: impl FnOnce(&mut dyn Core, Nanos, &mut Vec<Effect>)) {
        let mut out = Vec::new();
        act(self.core.as_mut(), self.now, &mut out);
        for effect in out {
            match effect {
                Effect::Send { to, message: Message::Raft(message) } => self.sent.push((to, message)),
                Effect::Append(record) => self.records.push(record),
                Effect::Sync(ticket) => self.ticket = ticket,
                _ => {}
            }
        }
    }

    fn hear(&mut self, from: ServerId, message: RaftMessage) {
        self.take(|core, now, out| core.receive(now, from, Message::Raft(message), out));
    }

    fn sync(&mut self) {
        let ticket = self.ticket;
        self.take(|core, now, out| core.synced(now, ticket, out));
    }

    /// Stands for election and wins it with the vote of server 1.
    fn win(&mut self) {
        self.now = self.core.wake_at();
        self.take(|core, now, out| core.tick(now, out));
        self.sync();
        let term = self.core.status().term;
        self.hear(1, RaftMessage::VoteReply { term, granted: true });
        assert_eq!(self.core.status().role, Role::Leader);
    }

    fn granted(&self) -> Vec<(ServerId, bool)> {
        let votes = self.sent.iter().filter_map(|(to, message)| match message {
            RaftMessage::VoteReply { granted, .. } => Some((*to, *granted)),
            _ => None,
        });
        votes.collect()
    }
}

fn ask(term: u64) -> RaftMessage {
    RaftMessage::Vote { term, last_index: 0, last_term: 0 }
}

fn entry(index: u64, term: u64) -> Shared<Entry> {
    let command = Command::Write { key: "x".into(), value: index as i64 };
    let request = Request { id: index.to_string(), session: 0, seq: 0, command };
    Shared::new(Entry { index, term, request: Some(Shared::new(request)) })
}

fn append(term: u64, prev: (u64, u64), entries: Vec<Shared<Entry>>) -> RaftMessage {
    RaftMessage::Append { term, prev_index: prev.0, prev_term: prev.1, commit: 0, round: 0, entries }
}

#[test]
fn a_vote_leaves_once_it_is_durable_and_binds_the_next_life() {
    let mut voter = Lone::boot(MILLI, Vec::new());
    voter.hear(1, ask(5));
    assert_eq!(voter.granted(), []);
    voter.sync();
    assert_eq!(voter.granted(), [(1, true)]);
    let mut again = Lone::boot(2 * MILLI, voter.records);
    assert_eq!(again.core.status().term, 5);
    again.hear(2, ask(5));
    again.hear(1, ask(5));
    again.sync();
    assert_eq!(again.granted(), [(2, false), (1, true)]);
}

#[test]
fn an_entry_of_an_earlier_term_is_committed_only_under_one_of_the_leaders_own() {
    let mut leader = Lone::boot(MILLI, Vec::new());
    leader.hear(1, append(2, (0, 0), vec![entry(1, 2)]));
    leader.sync();
    leader.win();
    leader.sync();
    let term = leader.core.status().term;
    let reply = |index| RaftMessage::AppendReply { term, ok: true, index, end: index, round: 0 };
    leader.hear(1, reply(1));
    leader.hear(2, reply(1));
    assert_eq!(leader.core.status().commit, 0);
    leader.hear(2, reply(2));
    assert_eq!(leader.core.status().commit, 2);
}

#[test]
fn a_follower_promises_entries_only_once_they_are_durable() {
    let mut follower = Lone::boot(MILLI, Vec::new());
    follower.hear(1, append(1, (0, 0), Vec::new()));
    follower.sync();
    follower.sent.clear();
    follower.hear(1, append(1, (0, 0), vec![entry(1, 1), entry(2, 1)]));
    follower.hear(1, append(1, (2, 1), Vec::new()));
    let promised = |lone: &Lone| {
        let replies = lone.sent.iter().filter_map(|(_, message)| match message {
            RaftMessage::AppendReply { ok: true, index, .. } => Some(*index),
            _ => None,
        });
        replies.collect::<Vec<_>>()
    };
    assert_eq!(promised(&follower), [0], "the heartbeat is answered, with nothing promised");
    follower.sync();
    assert_eq!(promised(&follower), [0, 2]);
}

#[test]
fn a_conflicting_suffix_goes_and_an_old_message_cuts_nothing() {
    let mut follower = Lone::boot(MILLI, Vec::new());
    follower.hear(1, append(1, (0, 0), vec![entry(1, 1), entry(2, 1), entry(3, 1)]));
    follower.hear(2, append(2, (1, 1), vec![entry(2, 2)]));
    assert_eq!(follower.core.status().last, 2);
    follower.hear(2, append(2, (2, 2), vec![entry(3, 2)]));
    follower.hear(2, append(2, (1, 1), vec![entry(2, 2)]));
    assert_eq!(follower.core.status().last, 3);
}
