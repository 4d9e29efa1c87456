//! One copy: server 0 holds the state, the others forward to it. The reference that has nothing to disagree about.

use crate::core::{ClientRef, Config, Core, Effect, Message, Nanos, ServerId, Shared, Status};
use crate::desk::Desk;
use crate::disk::{Disk, encode};
use crate::machine::Machine;
use crate::protocol::{Code, Command, Failure, Reply, Request, Role};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The server that holds the state.
const PRIMARY: ServerId = 0;

/// One record of the log on disk.
#[derive(Serialize, Deserialize)]
enum Record {
    Request(Shared<Request>),
    Snapshot { applied: u64, machine: Vec<u8> },
}

/// Whom a finished request is answered to.
enum Origin {
    Local(u64),
    Remote(ServerId, u64),
}

type Finished = (Origin, Result<Reply, Failure>);

/// One server of the single mode.
pub struct Single {
    config: Config,
    me: ServerId,
    machine: Machine,
    applied: u64,
    packed: u64,
    disk: Disk<Finished>,
    desk: Desk<()>,
}

impl Single {
    /// See [`crate::core::boot`].
    pub fn boot(config: Config, now: Nanos, records: Vec<Vec<u8>>) -> Single {
        let (mut machine, mut applied, mut packed) = (Machine::default(), 0, 0);
        for record in records.iter().map_while(|bytes| postcard::from_bytes(bytes).ok()) {
            match record {
                Record::Request(request) => {
                    // The reply went out in an earlier life, if at all.
                    let _ = machine.apply(&request);
                    applied += 1;
                }
                Record::Snapshot { applied: index, machine: bytes } => {
                    let Ok(snapshot) = postcard::from_bytes(&bytes) else { break };
                    (machine, applied, packed) = (snapshot, index, index);
                }
            }
        }
        let (disk, desk) = (Disk::new(), Desk::new(&config, now));
        Single { me: config.me, machine, applied, packed, disk, desk, config }
    }

    fn view(&self) -> (Role, u64) {
        (if self.me == PRIMARY { Role::Primary } else { Role::Proxy }, 0)
    }

    /// Carries out a request. The answer waits until all that it rests on is durable: a read must not show a write
    /// that a crash could still take back.
    fn perform(&mut self, request: Shared<Request>, origin: Origin, out: &mut Vec<Effect>) {
        let result = match self.machine.read(&request.command) {
            Some(reply) => Ok(reply),
            None => {
                self.applied += 1;
                self.disk.append(&Record::Request(request.clone()), out);
                if self.config.trace {
                    out.push(Effect::Trace(format!("apply id={} index={}", request.id, self.applied)));
                }
                self.machine.apply(&request).map_err(Failure::from)
            }
        };
        let ticket = self.disk.pending();
        if let Some(finished) = self.disk.hold(ticket, (origin, result)) {
            self.settle(finished, out);
        }
        if self.applied >= self.packed + self.config.snapshot_every {
            self.packed = self.applied;
            let snapshot = Record::Snapshot { applied: self.applied, machine: encode(&self.machine) };
            self.disk.rewrite(vec![encode(&snapshot)], out);
        }
    }

    fn settle(&mut self, (origin, result): Finished, out: &mut Vec<Effect>) {
        match origin {
            Origin::Local(call) => self.desk.close(call, self.view(), result, out),
            Origin::Remote(to, call) => {
                out.push(Effect::Send { to, message: Message::Forwarded { call, result } });
            }
        }
    }
}

impl Core for Single {
    fn tick(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let code = if self.me == PRIMARY { Code::Timeout } else { Code::ForwardLost };
        self.desk.expire(now, self.view(), |_, ()| code, out);
    }

    fn receive(&mut self, _now: Nanos, from: ServerId, message: Message, out: &mut Vec<Effect>) {
        match message {
            Message::Forward { call, request } if self.me == PRIMARY => {
                self.perform(request, Origin::Remote(from, call), out);
            }
            Message::Forwarded { call, result } => self.desk.close(call, self.view(), result, out),
            _ => {}
        }
        self.disk.seal(out);
    }

    fn request(&mut self, now: Nanos, client: ClientRef, request: Request, out: &mut Vec<Effect>) {
        if request.command == Command::Status {
            let report = self.desk.report(self.status(), &self.config.members, self.activations());
            return self.desk.answer(client, request.id, self.view(), Ok(report), out);
        }
        let call = self.desk.open(now, client, request.id.clone(), ());
        let request = Shared::new(request);
        if self.me == PRIMARY {
            self.perform(request, Origin::Local(call), out);
        } else {
            out.push(Effect::Send { to: PRIMARY, message: Message::Forward { call, request } });
        }
        self.disk.seal(out);
    }

    fn synced(&mut self, _now: Nanos, ticket: u64, out: &mut Vec<Effect>) {
        self.disk.synced(ticket);
        while let Some(finished) = self.disk.release() {
            self.settle(finished, out);
        }
    }

    fn wake_at(&self) -> Nanos {
        self.desk.deadline()
    }

    fn status(&self) -> Status {
        Status {
            role: self.view().0,
            term: 0,
            leader: Some(PRIMARY),
            commit: self.applied,
            applied: self.applied,
            last: self.applied,
            hash: self.machine.hash(),
        }
    }

    fn activations(&self) -> BTreeMap<&'static str, u64> {
        self.config.switches.activations()
    }

    fn shutdown(&mut self, _now: Nanos, _out: &mut Vec<Effect>) {}
}
