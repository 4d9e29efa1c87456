//! A simulated world for a few cores: virtual time, a network that delays, loses and cuts, disks that forget what
//! was not synced. One seed decides everything.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use store::{
    ClientRef, Config, Core, Effect, MILLI, Message, Nanos, Request, Response, Role, ServerId, boot,
};

/// What can happen, in the order of time.
enum Event {
    Deliver { from: ServerId, to: ServerId, message: Message },
    Synced { server: ServerId, life: u64, ticket: u64 },
    Start(ServerId),
}

enum Write {
    Append(Vec<u8>),
    Rewrite(Vec<Vec<u8>>),
    Mark(u64),
}

struct Server {
    core: Option<Box<dyn Core + Send>>,
    life: u64,
    durable: Vec<Vec<u8>>,
    unsynced: VecDeque<Write>,
    disk_free_at: Nanos,
}

pub struct World {
    pub now: Nanos,
    pub rng: ChaCha8Rng,
    config: Config,
    servers: Vec<Server>,
    events: BTreeMap<(Nanos, u64), Event>,
    serial: u64,
    /// Ordered pairs between which nothing passes.
    cut: BTreeSet<(ServerId, ServerId)>,
    /// Messages lost, of a thousand; as many arrive twice.
    pub loss: u64,
    /// A sync takes up to this long.
    pub disk: Nanos,
    pub answers: BTreeMap<ClientRef, (Nanos, Response)>,
    pub violations: Vec<String>,
    leaders: BTreeMap<u64, ServerId>,
    hashes: BTreeMap<u64, u64>,
    activations: BTreeMap<&'static str, u64>,
    /// A running hash of all effects: equal runs have equal ones.
    pub fingerprint: u64,
    /// Messages sent so far.
    pub sent: u64,
}

impl World {
    pub fn new(config: Config, seed: u64) -> World {
        let count = config.members.len();
        let server = || Server {
            core: None,
            life: 0,
            durable: Vec::new(),
            unsynced: VecDeque::new(),
            disk_free_at: 0,
        };
        let mut world = World {
            now: MILLI,
            rng: ChaCha8Rng::seed_from_u64(seed),
            config: Config { seed, ..config },
            servers: (0..count).map(|_| server()).collect(),
            events: BTreeMap::new(),
            serial: 0,
            cut: BTreeSet::new(),
            loss: 0,
            disk: 3 * MILLI,
            answers: BTreeMap::new(),
            violations: Vec::new(),
            leaders: BTreeMap::new(),
            hashes: BTreeMap::new(),
            activations: BTreeMap::new(),
            fingerprint: 0,
            sent: 0,
        };
        (0..count as ServerId).for_each(|server| world.start(server));
        world
    }

    pub fn count(&self) -> ServerId {
        self.servers.len() as ServerId
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.rng.next_u64() % limit.max(1)
    }

    pub fn is_up(&self, server: ServerId) -> bool {
        self.servers[server as usize].core.is_some()
    }

    pub fn leader(&self) -> Option<ServerId> {
        let leads = |server: &ServerId| {
            let core = self.servers[*server as usize].core.as_ref();
            core.filter(|core| core.status().role == Role::Leader).map(|core| core.status().term)
        };
        (0..self.count()).filter(|server| leads(server).is_some()).max_by_key(leads)
    }

    pub fn status(&self, server: ServerId) -> Option<store::Status> {
        self.servers[server as usize].core.as_ref().map(|core| core.status())
    }

    /// Activations of all lives of all servers.
    pub fn activations(&self) -> u64 {
        let live = self.servers.iter().filter_map(|server| server.core.as_ref());
        let now: u64 = live.flat_map(|core| core.activations().into_values()).sum();
        now + self.activations.values().sum::<u64>()
    }

    pub fn start(&mut self, server: ServerId) {
        let slot = &mut self.servers[server as usize];
        if slot.core.is_some() {
            return;
        }
        slot.life += 1;
        slot.disk_free_at = self.now;
        let config = Config { me: server, ..self.config.clone() };
        slot.core = Some(boot(config, self.now, slot.durable.clone()));
    }

    /// Kills a server. Of the writes that were not synced, some first ones may have reached the disk.
    pub fn crash(&mut self, server: ServerId) {
        let keep = self.rng.next_u64();
        let slot = &mut self.servers[server as usize];
        let Some(core) = slot.core.take() else { return };
        for (name, count) in core.activations() {
            *self.activations.entry(name).or_default() += count;
        }
        let survivors = keep as usize % (slot.unsynced.len() + 1);
        for write in slot.unsynced.drain(..).take(survivors) {
            persist(&mut slot.durable, write);
        }
    }

    pub fn shutdown(&mut self, server: ServerId) {
        self.step(server, |core, now, out| core.shutdown(now, out));
    }

    pub fn start_later(&mut self, server: ServerId, delay: Nanos) {
        self.push(self.now + delay, Event::Start(server));
    }

    /// Cuts messages from each of `from` to each of `to`.
    pub fn cut(&mut self, from: &[ServerId], to: &[ServerId]) {
        for a in from {
            self.cut.extend(to.iter().filter(|b| *b != a).map(|b| (*a, *b)));
        }
    }

    /// Cuts both ways between `side` and all others.
    pub fn split(&mut self, side: &[ServerId]) {
        let rest: Vec<ServerId> = (0..self.count()).filter(|server| !side.contains(server)).collect();
        self.cut(side, &rest);
        self.cut(&rest, side);
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    pub fn request(&mut self, server: ServerId, client: ClientRef, request: Request) {
        self.step(server, |core, now, out| core.request(now, client, request, out));
    }

    /// Runs until `until`, or until a client of interest is answered.
    pub fn run(&mut self, until: Nanos, stop: impl Fn(&World) -> bool) {
        while !stop(self) {
            let wake = (0..self.count()).filter_map(|server| Some((self.wake_at(server)?, server))).min();
            let event = self.events.first_key_value().map(|(key, _)| key.0);
            let next = wake.map_or(Nanos::MAX, |(at, _)| at).min(event.unwrap_or(Nanos::MAX));
            if next > until {
                self.now = until;
                return;
            }
            self.now = self.now.max(next);
            match (event, wake) {
                (Some(at), _) if at == next => {
                    if let Some((_, event)) = self.events.pop_first() {
                        self.happen(event);
                    }
                }
                (_, Some((_, server))) => self.step(server, |core, now, out| core.tick(now, out)),
                _ => return,
            }
        }
    }

    fn wake_at(&self, server: ServerId) -> Option<Nanos> {
        self.servers[server as usize].core.as_ref().map(|core| core.wake_at())
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, message } => {
                self.step(to, |core, now, out| core.receive(now, from, message, out));
            }
            Event::Synced { server, life, ticket } => {
                let slot = &mut self.servers[server as usize];
                if slot.life != life || slot.core.is_none() {
                    return;
                }
                while let Some(write) = slot.unsynced.pop_front() {
                    let done = matches!(write, Write::Mark(mark) if mark == ticket);
                    persist(&mut slot.durable, write);
                    if done {
                        break;
                    }
                }
                self.step(server, |core, now, out| core.synced(now, ticket, out));
            }
            Event::Start(server) => self.start(server),
        }
    }

    fn step(&mut self, server: ServerId, act: impl FnOnce(&mut dyn Core, Nanos, &mut Vec<Effect>)) {
        let mut out = Vec::new();
        let Some(core) = &mut self.servers[server as usize].core else { return };
        act(core.as_mut(), self.now, &mut out);
        assert!(core.wake_at() > self.now || !out.is_empty(), "a wake-up that does nothing would spin");
        self.observe(server);
        for effect in out {
            self.note(server, &effect);
            self.carry_out(server, effect);
        }
    }

    fn carry_out(&mut self, server: ServerId, effect: Effect) {
        match effect {
            Effect::Send { to, message } => {
                assert_ne!(to, server, "a server does not send to itself");
                self.sent += 1;
                let lost = self.below(1000) < self.loss;
                if !lost && !self.cut.contains(&(server, to)) {
                    if self.below(1000) < self.loss {
                        self.deliver(server, to, message.clone());
                    }
                    self.deliver(server, to, message);
                }
            }
            Effect::Append(record) => self.servers[server as usize].unsynced.push_back(Write::Append(record)),
            Effect::Sync(ticket) => self.sync(server, ticket),
            Effect::Rewrite(records, ticket) => {
                self.servers[server as usize].unsynced.push_back(Write::Rewrite(records));
                self.sync(server, ticket);
            }
            Effect::Answer { client, response } => {
                let twice = self.answers.insert(client, (self.now, response));
                assert!(twice.is_none(), "one answer to one request");
            }
            Effect::Trace(_) => {}
        }
    }

    fn deliver(&mut self, from: ServerId, to: ServerId, message: Message) {
        let slow = self.below(50) == 0;
        let delay = MILLI / 5 + self.below(if slow { 40 * MILLI } else { 2 * MILLI });
        self.push(self.now + delay, Event::Deliver { from, to, message });
    }

    fn sync(&mut self, server: ServerId, ticket: u64) {
        let delay = MILLI / 2 + self.below(self.disk);
        let slot = &mut self.servers[server as usize];
        slot.unsynced.push_back(Write::Mark(ticket));
        slot.disk_free_at = slot.disk_free_at.max(self.now + delay) + 1;
        let (at, life) = (slot.disk_free_at, slot.life);
        self.push(at, Event::Synced { server, life, ticket });
    }

    fn push(&mut self, at: Nanos, event: Event) {
        self.serial += 1;
        self.events.insert((at, self.serial), event);
    }

    /// Election safety and equal states at equal indices.
    fn observe(&mut self, server: ServerId) {
        let Some(status) = self.status(server) else { return };
        if status.role == Role::Leader {
            let leader = *self.leaders.entry(status.term).or_insert(server);
            if leader != server {
                self.violations.push(format!("two leaders in term {}", status.term));
            }
        }
        if matches!(status.role, Role::Leader | Role::Follower | Role::Candidate) {
            let hash = *self.hashes.entry(status.applied).or_insert(status.hash);
            if hash != status.hash {
                self.violations.push(format!("states differ at index {}", status.applied));
            }
        }
    }

    fn note(&mut self, server: ServerId, effect: &Effect) {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (self.fingerprint, self.now, server, format!("{effect:?}")).hash(&mut hasher);
        self.fingerprint = hasher.finish();
    }
}

fn persist(durable: &mut Vec<Vec<u8>>, write: Write) {
    match write {
        Write::Append(record) => durable.push(record),
        Write::Rewrite(records) => *durable = records,
        Write::Mark(_) => {}
    }
}
