//! Where a server keeps the requests that its clients wait for: opened, answered once, or timed out.
//!
//! It does not know what a request needs; each protocol keeps its own `stage` with it.

use crate::core::{ClientRef, Config, Effect, Nanos, Status};
use crate::protocol::{Code, Failure, Reply, Report, Response, Role};
use std::collections::BTreeMap;

/// A request that has no answer yet.
pub(crate) struct Call<S> {
    client: ClientRef,
    id: String,
    deadline: Nanos,
    pub stage: S,
}

/// The open calls of one server, by number. Numbers start at the boot time, so that an answer meant for a call of
/// an earlier life finds nothing; they grow with time and every call waits equally long, so the first to be opened
/// is the first to expire.
pub(crate) struct Desk<S> {
    calls: BTreeMap<u64, Call<S>>,
    next: u64,
    timeout: Nanos,
    server: String,
    mode: &'static str,
}

impl<S> Desk<S> {
    pub fn new(config: &Config, now: Nanos) -> Desk<S> {
        Desk {
            calls: BTreeMap::new(),
            next: now,
            timeout: config.request_timeout,
            server: config.members[config.me as usize].clone(),
            mode: config.mode.name(),
        }
    }

    pub fn open(&mut self, now: Nanos, client: ClientRef, id: String, stage: S) -> u64 {
        let call = self.next;
        self.next += 1;
        self.calls.insert(call, Call { client, id, deadline: now + self.timeout, stage });
        call
    }

    pub fn get(&self, call: u64) -> Option<&Call<S>> {
        self.calls.get(&call)
    }

    pub fn get_mut(&mut self, call: u64) -> Option<&mut Call<S>> {
        self.calls.get_mut(&call)
    }

    /// The open calls in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Call<S>)> {
        self.calls.iter().map(|(call, open)| (*call, open))
    }

    /// Answers an open call; nothing if it is closed already.
    pub fn close(
        &mut self,
        call: u64,
        view: (Role, u64),
        result: Result<Reply, Failure>,
        out: &mut Vec<Effect>,
    ) {
        if let Some(open) = self.calls.remove(&call) {
            self.answer(open.client, open.id, view, result, out);
        }
    }

    /// Answers a request that was never opened.
    pub fn answer(
        &self,
        client: ClientRef,
        id: String,
        (role, term): (Role, u64),
        result: Result<Reply, Failure>,
        out: &mut Vec<Effect>,
    ) {
        let response = Response { id, server: self.server.clone(), role, term, result };
        out.push(Effect::Answer { client, response });
    }

    /// The deadline of the call that expires first.
    pub fn deadline(&self) -> Nanos {
        self.calls.first_key_value().map_or(Nanos::MAX, |(_, call)| call.deadline)
    }

    /// Answers each call whose deadline has passed with the code that its stage calls for.
    pub fn expire(
        &mut self,
        now: Nanos,
        view: (Role, u64),
        mut code: impl FnMut(u64, &S) -> Code,
        out: &mut Vec<Effect>,
    ) {
        while let Some(entry) = self.calls.first_entry()
            && entry.get().deadline <= now
        {
            let (call, open) = entry.remove_entry();
            let failure = code(call, &open.stage).into();
            self.answer(open.client, open.id, view, Err(failure), out);
        }
    }

    /// The reply to a status request.
    pub fn report(
        &self,
        status: Status,
        members: &[String],
        activations: BTreeMap<&'static str, u64>,
    ) -> Reply {
        Reply::Status(Box::new(Report {
            server: self.server.clone(),
            mode: self.mode.to_string(),
            role: status.role.name().to_string(),
            term: status.term,
            leader: status.leader.map(|leader| members[leader as usize].clone()),
            commit: status.commit,
            applied: status.applied,
            last: status.last,
            hash: format!("{:016x}", status.hash),
            activations: activations.into_iter().map(|(name, count)| (name.to_string(), count)).collect(),
            syncs: 0,
        }))
    }
}
