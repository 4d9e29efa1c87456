//! One server process of the simulated world: a protocol core, its disk, and whether it is up, stopped or down.
//!
//! It runs a core's inputs and hands its effects back to the world; it decides nothing and knows no network.

use crate::disk::Disk;
use history::Nanos;
use std::collections::BTreeMap;
use store::{ClientRef, Config, Core, Effect, Message, Request, ServerId, Status};

/// Something that reaches a process; held back while it is stopped.
#[derive(Debug)]
pub enum Input {
    Tick,
    Message { from: ServerId, message: Message },
    Request { client: ClientRef, request: Request },
    Synced(u64),
}

/// A server and what the world knows about it.
pub struct Server {
    config: Config,
    core: Option<Box<dyn Core + Send>>,
    pub disk: Disk,
    /// Counts boots and crashes, so that what was meant for an earlier process finds nobody.
    pub life: u64,
    pauses: u32,
    held: Vec<Input>,
    /// The earliest wake-up that is planned.
    pub wake: Nanos,
    activations: BTreeMap<String, u64>,
    /// What the last [`Server::role_change`] returned.
    said: Option<(store::Role, u64)>,
}

impl Server {
    /// A server that was never started.
    pub fn new(config: Config) -> Server {
        Server {
            config,
            core: None,
            disk: Disk::default(),
            life: 0,
            pauses: 0,
            held: Vec::new(),
            wake: Nanos::MAX,
            activations: BTreeMap::new(),
            said: None,
        }
    }

    pub fn is_up(&self) -> bool {
        self.core.is_some()
    }

    pub fn is_paused(&self) -> bool {
        self.pauses > 0
    }

    /// Up and not stopped.
    pub fn runs(&self) -> bool {
        self.is_up() && !self.is_paused()
    }

    /// Boots from what the disk kept. No effect on a server that is up.
    pub fn start(&mut self, now: Nanos) {
        if self.core.is_none() {
            self.core = Some(store::boot(self.config.clone(), now, self.disk.records()));
            self.life += 1;
            self.wake = Nanos::MAX;
        }
    }

    /// The process is gone, and with it whatever it had been told. The disk is the caller's to crash.
    pub fn stop(&mut self) {
        if let Some(core) = self.core.take() {
            count(&mut self.activations, &*core);
            self.life += 1;
            self.pauses = 0;
            self.held.clear();
            self.said = None;
        }
    }

    pub fn pause(&mut self) {
        self.pauses += 1;
    }

    /// Takes back one pause. When it was the last, returns what arrived meanwhile, in order.
    pub fn resume(&mut self) -> Vec<Input> {
        self.pauses = self.pauses.saturating_sub(1);
        match self.pauses {
            0 => std::mem::take(&mut self.held),
            _ => Vec::new(),
        }
    }

    /// Gives the process one input. Its effects are appended to `out`; none if it is down or stopped.
    pub fn input(&mut self, now: Nanos, input: Input, out: &mut Vec<Effect>) {
        if self.is_paused() {
            return self.held.push(input);
        }
        let Some(core) = &mut self.core else { return };
        match input {
            Input::Tick => core.tick(now, out),
            Input::Message { from, message } => core.receive(now, from, message, out),
            Input::Request { client, request } => core.request(now, client, request, out),
            Input::Synced(ticket) => core.synced(now, ticket, out),
        }
    }

    /// When the core wants to be woken next.
    pub fn wake_at(&self) -> Nanos {
        self.core.as_ref().map_or(Nanos::MAX, |core| core.wake_at())
    }

    /// What the process says of itself; nothing if it cannot answer.
    pub fn status(&self) -> Option<Status> {
        self.core.as_ref().filter(|_| self.pauses == 0).map(|core| core.status())
    }

    /// The role and term, if they differ from what this process said last.
    pub fn role_change(&mut self) -> Option<(store::Role, u64)> {
        let status = self.status()?;
        let says = (status.role, status.term);
        (self.said != Some(says)).then(|| *self.said.insert(says))
    }

    /// How often each switch has acted, over all lives.
    pub fn activations(&self) -> BTreeMap<String, u64> {
        let mut all = self.activations.clone();
        if let Some(core) = &self.core {
            count(&mut all, &**core);
        }
        all
    }
}

fn count(into: &mut BTreeMap<String, u64>, core: &dyn Core) {
    for (name, times) in core.activations() {
        *into.entry(name.to_string()).or_default() += times;
    }
}
