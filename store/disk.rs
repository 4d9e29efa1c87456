//! The core's side of the log: tickets, and what may leave only once a ticket is durable.
//!
//! It writes nothing; it emits the effects that ask for it. The file itself is in `log.rs`.

use crate::core::Effect;
use serde::Serialize;
use std::collections::VecDeque;

/// Tickets of one core and the things of type `H` held back until theirs comes back.
pub(crate) struct Disk<H> {
    ticket: u64,
    durable: u64,
    dirty: bool,
    held: VecDeque<(u64, H)>,
}

impl<H> Disk<H> {
    pub fn new() -> Disk<H> {
        Disk { ticket: 0, durable: 0, dirty: false, held: VecDeque::new() }
    }

    /// Adds a record to the log; it gets the next ticket, together with all others of this step.
    pub fn append<R: Serialize>(&mut self, record: &R, out: &mut Vec<Effect>) {
        out.push(Effect::Append(encode(record)));
        self.dirty = true;
    }

    /// Replaces the whole log.
    pub fn rewrite(&mut self, records: Vec<Vec<u8>>, out: &mut Vec<Effect>) {
        self.ticket += 1;
        self.dirty = false;
        out.push(Effect::Rewrite(records, self.ticket));
    }

    /// The ticket that makes everything written so far durable.
    pub fn pending(&self) -> u64 {
        self.ticket + u64::from(self.dirty)
    }

    pub fn is_durable(&self, ticket: u64) -> bool {
        ticket <= self.durable
    }

    /// Keeps `thing` until `ticket` is durable; gives it back at once if it is already.
    /// Things leave in the order in which they were held.
    pub fn hold(&mut self, ticket: u64, thing: H) -> Option<H> {
        if self.is_durable(ticket) {
            return Some(thing);
        }
        self.held.push_back((ticket, thing));
        None
    }

    /// Ends a step: asks for durability if anything was appended in it.
    pub fn seal(&mut self, out: &mut Vec<Effect>) {
        if self.dirty {
            self.ticket += 1;
            self.dirty = false;
            out.push(Effect::Sync(self.ticket));
        }
    }

    pub fn synced(&mut self, ticket: u64) {
        self.durable = self.durable.max(ticket);
    }

    /// The next thing whose ticket is durable.
    pub fn release(&mut self) -> Option<H> {
        let (ticket, _) = self.held.front()?;
        if *ticket > self.durable {
            return None;
        }
        self.held.pop_front().map(|(_, thing)| thing)
    }
}

/// A record's bytes. Records are made of integers, strings and lists, which always encode.
pub(crate) fn encode<R: Serialize>(record: &R) -> Vec<u8> {
    postcard::to_allocvec(record).expect("records hold nothing that postcard refuses")
}
