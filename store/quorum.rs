//! Leaderless quorums: a multi-writer register on n replicas, w of them for a write and r for a read.
//!
//! With w + r > n and write-back this is the register of Attiya, Bar-Noy and Dolev, "Sharing memory robustly in
//! message-passing systems" (1995), in the multi-writer form of Lynch and Shvartsman (1997): a write first learns
//! the newest version from r replicas and then stores a newer one on w; a read stores what it is about to return
//! on w replicas first, unless as many are known to have it. Any server coordinates. Nothing but registers.

use crate::core::{ClientRef, Config, Core, Effect, Message, Nanos, ServerId, Status};
use crate::desk::Desk;
use crate::disk::{Disk, encode};
use crate::machine::mark;
use crate::protocol::{Code, Command, Reply, Request, Role};
use crate::switches::Bug;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Orders the writes of one register. `boot` is the time at which the writing server started: it keeps apart two
/// writes that a server numbered alike in different lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    pub counter: u64,
    pub server: ServerId,
    pub boot: Nanos,
}

/// A register's value on one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    pub version: Version,
    pub value: i64,
}

/// What quorum servers say to each other. `call` is the coordinator's own number for the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum QuorumMessage {
    Get { call: u64, key: String },
    Got { call: u64, stored: Option<Stored> },
    Put { call: u64, key: String, stored: Stored },
    PutDone { call: u64 },
}

/// A `Put` that nobody waits for.
const NO_CALL: u64 = 0;

/// One record of the log on disk.
#[derive(Serialize, Deserialize)]
struct Record {
    key: String,
    stored: Stored,
}

/// A register on this replica; the ticket makes it durable.
struct Slot {
    stored: Stored,
    ticket: u64,
}

/// What the coordinator knows of one request. Sets of servers are words with a bit each.
struct Work {
    key: String,
    /// The value to write; `None` for a read.
    write: Option<i64>,
    w: usize,
    r: usize,
    /// In the second phase: storing `best`.
    putting: bool,
    /// Who has answered the first phase.
    answered: u64,
    /// The newest version seen, or the one being written.
    best: Option<Stored>,
    /// Who is known to have it.
    holders: u64,
    retry_at: Nanos,
}

/// One server of the quorum mode.
pub struct Quorum {
    config: Config,
    me: ServerId,
    boot: Nanos,
    n: usize,
    w: usize,
    r: usize,
    write_back: bool,
    slots: BTreeMap<String, Slot>,
    /// The newest counter that this server gave out for a key.
    issued: BTreeMap<String, u64>,
    hash: u64,
    stored: u64,
    unpacked: u64,
    disk: Disk<(ServerId, QuorumMessage)>,
    desk: Desk<Work>,
    /// When which call sends again to those who have not answered.
    retries: BTreeSet<(Nanos, u64)>,
}

const VIEW: (Role, u64) = (Role::Replica, 0);

impl Quorum {
    /// See [`crate::core::boot`]; the numbers are n, w, r and whether reads write back.
    pub fn boot(
        config: Config,
        (n, w, r, write_back): (usize, usize, usize, bool),
        now: Nanos,
        records: Vec<Vec<u8>>,
    ) -> Quorum {
        let mut quorum = Quorum {
            me: config.me,
            boot: now,
            n: n.clamp(1, config.members.len()),
            w,
            r,
            write_back,
            slots: BTreeMap::new(),
            issued: BTreeMap::new(),
            hash: 0,
            stored: 0,
            unpacked: 0,
            disk: Disk::new(),
            desk: Desk::new(&config, now.max(NO_CALL + 1)),
            retries: BTreeSet::new(),
            config,
        };
        for record in records.iter().map_while(|bytes| postcard::from_bytes::<Record>(bytes).ok()) {
            quorum.keep(record.key, record.stored, 0);
        }
        quorum
    }

    /// The servers that hold `key`: n of them, beginning at a place that depends on the key.
    fn replicas(&self, key: &str) -> impl Iterator<Item = ServerId> + use<> {
        let members = self.config.members.len() as u64;
        let first = mark(b'p', key, 0, 0) % members;
        (0..self.n as u64).map(move |step| ((first + step) % members) as ServerId)
    }

    /// Keeps the newer of two versions; true if that is the given one.
    fn keep(&mut self, key: String, stored: Stored, ticket: u64) -> bool {
        let old = self.slots.get(&key).map(|slot| slot.stored);
        if old.is_some_and(|old| old.version >= stored.version) {
            return false;
        }
        if let Some(old) = old {
            self.hash ^= fact(&key, &old);
        }
        self.hash ^= fact(&key, &stored);
        self.stored += 1;
        self.slots.insert(key, Slot { stored, ticket });
        true
    }

    fn send(&mut self, now: Nanos, to: ServerId, message: QuorumMessage, out: &mut Vec<Effect>) {
        if to == self.me {
            self.on_message(now, to, message, out);
        } else {
            out.push(Effect::Send { to, message: Message::Quorum(message) });
        }
    }

    /// Sends once `ticket` is durable: an answer must not promise what a crash could take back.
    fn send_after(
        &mut self,
        now: Nanos,
        ticket: u64,
        to: ServerId,
        message: QuorumMessage,
        out: &mut Vec<Effect>,
    ) {
        if let Some((to, message)) = self.disk.hold(ticket, (to, message)) {
            self.send(now, to, message, out);
        }
    }

    fn on_message(&mut self, now: Nanos, from: ServerId, message: QuorumMessage, out: &mut Vec<Effect>) {
        match message {
            QuorumMessage::Get { call, key } => {
                let slot = self.slots.get(&key);
                let (stored, ticket) = (slot.map(|slot| slot.stored), slot.map_or(0, |slot| slot.ticket));
                self.send_after(now, ticket, from, QuorumMessage::Got { call, stored }, out);
            }
            QuorumMessage::Put { call, key, stored } => self.on_put(now, from, call, key, stored, out),
            QuorumMessage::Got { call, stored } => self.on_got(now, from, call, stored, out),
            QuorumMessage::PutDone { call } => self.on_put_done(from, call, out),
        }
    }

    fn on_put(
        &mut self,
        now: Nanos,
        from: ServerId,
        call: u64,
        key: String,
        stored: Stored,
        out: &mut Vec<Effect>,
    ) {
        let newer = self.slots.get(&key).is_none_or(|slot| slot.stored.version < stored.version);
        let ticket = if newer {
            let record = Record { key, stored };
            self.disk.append(&record, out);
            self.unpacked += 1;
            let ticket = self.disk.pending();
            self.keep(record.key, stored, ticket);
            ticket
        } else {
            self.slots.get(&key).map_or(0, |slot| slot.ticket)
        };
        if call != NO_CALL {
            self.send_after(now, ticket, from, QuorumMessage::PutDone { call }, out);
        }
        if self.unpacked >= self.config.snapshot_every.max(2 * self.slots.len() as u64) {
            self.pack(out);
        }
    }

    /// Replaces the log on disk by the present versions.
    fn pack(&mut self, out: &mut Vec<Effect>) {
        let record =
            |(key, slot): (&String, &Slot)| encode(&Record { key: key.clone(), stored: slot.stored });
        let records = self.slots.iter().map(record).collect();
        self.disk.rewrite(records, out);
        self.unpacked = 0;
    }

    fn on_got(
        &mut self,
        now: Nanos,
        from: ServerId,
        call: u64,
        stored: Option<Stored>,
        out: &mut Vec<Effect>,
    ) {
        let Some(open) = self.desk.get_mut(call) else { return };
        let work = &mut open.stage;
        if work.putting || work.answered & bit(from) != 0 {
            return;
        }
        work.answered |= bit(from);
        let (new, best) = (stored.map(|stored| stored.version), work.best.map(|best| best.version));
        if new > best {
            (work.best, work.holders) = (stored, 0);
        }
        if new >= best {
            work.holders |= bit(from);
        }
        if work.answered.count_ones() as usize >= work.r {
            self.decide(now, call, out);
        }
    }

    /// The first phase is over.
    fn decide(&mut self, now: Nanos, call: u64, out: &mut Vec<Effect>) {
        let Some(open) = self.desk.get_mut(call) else { return };
        let work = &mut open.stage;
        if let Some(value) = work.write {
            let seen = work.best.map_or(0, |best| best.version.counter);
            let issued = self.issued.entry(work.key.clone()).or_default();
            *issued = seen.max(*issued) + 1;
            let version = Version { counter: *issued, server: self.me, boot: self.boot };
            (work.best, work.holders) = (Some(Stored { version, value }), 0);
            return self.put(now, call, out);
        }
        let held = work.holders.count_ones() as usize >= work.w;
        if work.best.is_none() || !self.write_back {
            self.finish(call, out);
        } else if held {
            self.repair(now, call, out);
            self.finish(call, out);
        } else if self.config.switches.fire(Bug::NoReadWriteback) {
            self.finish(call, out);
        } else {
            self.put(now, call, out);
        }
    }

    /// Starts the second phase.
    fn put(&mut self, now: Nanos, call: u64, out: &mut Vec<Effect>) {
        if let Some(open) = self.desk.get_mut(call) {
            open.stage.putting = true;
        }
        self.ask(now, call, out);
    }

    /// Sends the present phase's question to every replica that has not answered it.
    fn ask(&mut self, now: Nanos, call: u64, out: &mut Vec<Effect>) {
        let Some(open) = self.desk.get(call) else { return };
        let key = open.stage.key.clone();
        for to in self.replicas(&key) {
            // The server's own answer can come at once and end the phase, or the call.
            let Some(open) = self.desk.get(call) else { return };
            let work = &open.stage;
            let message = match work.best {
                Some(stored) if work.putting && work.holders & bit(to) == 0 => {
                    QuorumMessage::Put { call, key: key.clone(), stored }
                }
                _ if !work.putting && work.answered & bit(to) == 0 => {
                    QuorumMessage::Get { call, key: key.clone() }
                }
                _ => continue,
            };
            self.send(now, to, message, out);
        }
    }

    /// Brings the replicas that were seen to lag up to date; nobody waits for it.
    fn repair(&mut self, now: Nanos, call: u64, out: &mut Vec<Effect>) {
        let Some(open) = self.desk.get(call) else { return };
        let work = &open.stage;
        let Some(stored) = work.best else { return };
        let (key, behind) = (work.key.clone(), work.answered & !work.holders);
        for to in self.replicas(&key).filter(|to| behind & bit(*to) != 0) {
            self.send(now, to, QuorumMessage::Put { call: NO_CALL, key: key.clone(), stored }, out);
        }
    }

    fn on_put_done(&mut self, from: ServerId, call: u64, out: &mut Vec<Effect>) {
        let Some(open) = self.desk.get_mut(call) else { return };
        let work = &mut open.stage;
        if !work.putting {
            return;
        }
        work.holders |= bit(from);
        if work.holders.count_ones() as usize >= work.w {
            self.finish(call, out);
        }
    }

    fn finish(&mut self, call: u64, out: &mut Vec<Effect>) {
        let Some(open) = self.desk.get(call) else { return };
        let work = &open.stage;
        let reply = match work.write {
            Some(_) => Reply::Done,
            None => Reply::Value(work.best.map(|best| best.value)),
        };
        self.retries.remove(&(work.retry_at, call));
        self.desk.close(call, VIEW, Ok(reply), out);
    }

    fn start(&mut self, now: Nanos, client: ClientRef, request: Request, out: &mut Vec<Effect>) {
        let Request { id, command, .. } = request;
        let (key, write) = match command {
            Command::Read { key } => (key, None),
            Command::Write { key, value } => (key, Some(value)),
            _ => return self.desk.answer(client, id, VIEW, Err(Code::Unsupported.into()), out),
        };
        let (w, r) = if self.config.switches.fire(Bug::WPlusRLeN) {
            (1, 1)
        } else {
            (self.w.min(self.n), self.r.min(self.n))
        };
        if self.config.trace {
            out.push(Effect::Trace(format!("coordinate id={id}")));
        }
        let retry_at = now + self.config.election.0;
        let work = Work { key, write, w, r, putting: false, answered: 0, best: None, holders: 0, retry_at };
        let call = self.desk.open(now, client, id, work);
        self.retries.insert((retry_at, call));
        self.ask(now, call, out);
    }

    fn retry(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        while let Some((at, call)) = self.retries.first().copied()
            && at <= now
        {
            self.retries.pop_first();
            let again = now + self.config.election.0;
            let Some(open) = self.desk.get_mut(call) else { continue };
            open.stage.retry_at = again;
            self.retries.insert((again, call));
            self.ask(now, call, out);
        }
    }
}

impl Core for Quorum {
    fn tick(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let (retries, switches) = (&mut self.retries, &self.config.switches);
        let code = |call, work: &Work| {
            retries.remove(&(work.retry_at, call));
            match work.write {
                None => Code::Timeout,
                Some(_) if !work.putting || switches.fire(Bug::PartialWriteReportedFailed) => {
                    Code::NotWritten
                }
                Some(_) => Code::Timeout,
            }
        };
        self.desk.expire(now, VIEW, code, out);
        self.retry(now, out);
        self.disk.seal(out);
    }

    fn receive(&mut self, now: Nanos, from: ServerId, message: Message, out: &mut Vec<Effect>) {
        if let Message::Quorum(message) = message
            && (from as usize) < self.config.members.len()
        {
            self.on_message(now, from, message, out);
        }
        self.disk.seal(out);
    }

    fn request(&mut self, now: Nanos, client: ClientRef, request: Request, out: &mut Vec<Effect>) {
        if request.command == Command::Status {
            let report = self.desk.report(self.status(), &self.config.members, self.activations());
            self.desk.answer(client, request.id, VIEW, Ok(report), out);
        } else {
            self.start(now, client, request, out);
        }
        self.disk.seal(out);
    }

    fn synced(&mut self, now: Nanos, ticket: u64, out: &mut Vec<Effect>) {
        self.disk.synced(ticket);
        while let Some((to, message)) = self.disk.release() {
            self.send(now, to, message, out);
        }
        self.disk.seal(out);
    }

    fn wake_at(&self) -> Nanos {
        self.desk.deadline().min(self.retries.first().map_or(Nanos::MAX, |(at, _)| *at))
    }

    fn status(&self) -> Status {
        Status {
            role: Role::Replica,
            term: 0,
            leader: None,
            commit: 0,
            applied: self.stored,
            last: self.stored,
            hash: self.hash,
        }
    }

    fn activations(&self) -> BTreeMap<&'static str, u64> {
        self.config.switches.activations()
    }

    fn shutdown(&mut self, _now: Nanos, _out: &mut Vec<Effect>) {}
}

fn bit(server: ServerId) -> u64 {
    1 << server
}

fn fact(key: &str, stored: &Stored) -> u64 {
    let Version { counter, server, boot } = stored.version;
    mark(b'q', key, stored.value, counter ^ (u64::from(server) << 56) ^ boot.rotate_left(17))
}
