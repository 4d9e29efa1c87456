//! Clients, faults and the invariants that a run of them must keep.

use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use store::{ClientRef, Command, Config, MILLI, Mode, Nanos, Reply, Request, ServerId, Switches};

/// Which damage a run does, each kind at random times.
#[derive(Clone, Copy, Default)]
pub struct Damage {
    pub crash: bool,
    /// Every server at once, now and then.
    pub crash_all: bool,
    pub split: bool,
    /// Cuts off the leader, as often as anything else.
    pub isolate_leader: bool,
    pub one_way: bool,
    /// Cuts the link between the leader and one other server, and no more.
    pub link: bool,
    pub loss: u64,
    /// Syncs take up to ten times as long.
    pub slow_disk: bool,
}

/// One request and what became of it.
pub struct Done {
    pub command: Command,
    pub invoked: Nanos,
    /// `None`: unknown for ever.
    pub completed: Option<(Nanos, Reply)>,
    /// Certainly had no effect.
    pub failed: bool,
}

pub struct Run {
    pub violations: Vec<String>,
    pub done: Vec<Done>,
    pub activations: u64,
    pub fingerprint: u64,
}

struct Client {
    server: ServerId,
    session: u64,
    seq: u64,
    open: Option<(ClientRef, usize)>,
    give_up_at: Nanos,
    next_at: Nanos,
}

pub fn config(servers: u32, mode: Mode) -> Config {
    let members = (1..=servers).map(|number| format!("n{number}")).collect();
    Config { request_timeout: 500 * MILLI, snapshot_every: 60, ..Config::new(0, members, mode) }
}

/// Runs clients under damage for `span`, heals, and reads everything from every server at the end.
pub fn run(config: Config, seed: u64, span: Nanos, damage: Damage) -> Run {
    let lists = config.mode == Mode::Raft || config.mode == Mode::Single;
    let mut world = World::new(config, seed);
    let mut done = Vec::new();
    let servers = world.count();
    let mut clients: Vec<Client> = (0..2 * servers)
        .map(|number| Client {
            server: number % servers,
            session: u64::from(number + 1) << 32,
            seq: 0,
            open: None,
            give_up_at: 0,
            next_at: 0,
        })
        .collect();
    let mut strike_at = 400 * MILLI;
    let mut heal_at = Nanos::MAX;
    world.loss = damage.loss;
    world.disk *= if damage.slow_disk { 10 } else { 1 };
    while world.now < span {
        world.run((world.now + MILLI).min(span), |_| false);
        if world.now >= heal_at {
            world.heal();
            heal_at = Nanos::MAX;
        }
        if world.now >= strike_at {
            strike(&mut world, damage);
            heal_at = world.now + 200 * MILLI + world.below(700 * MILLI);
            strike_at = heal_at + world.below(400 * MILLI);
        }
        for client in &mut clients {
            drive(&mut world, client, &mut done, lists);
        }
    }
    finish(world, clients, done, lists)
}

fn strike(world: &mut World, damage: Damage) {
    let mut kinds: Vec<u8> = Vec::new();
    kinds.extend(damage.crash.then_some(0));
    kinds.extend(damage.split.then_some(1));
    kinds.extend(damage.isolate_leader.then_some(2));
    kinds.extend(damage.one_way.then_some(3));
    kinds.extend(damage.crash_all.then_some(4));
    kinds.extend(damage.link.then_some(5));
    if kinds.is_empty() {
        return;
    }
    let kind = kinds[world.below(kinds.len() as u64) as usize];
    let victim = world.below(u64::from(world.count())) as ServerId;
    match kind {
        0 => {
            world.crash(victim);
            let delay = 50 * MILLI + world.below(400 * MILLI);
            world.start_later(victim, delay);
        }
        1 => {
            let mask = world.below(1 << world.count());
            let side: Vec<ServerId> = (0..world.count()).filter(|server| mask >> server & 1 == 1).collect();
            world.split(&side);
        }
        2 => {
            let mut side = vec![world.leader().unwrap_or(victim)];
            if world.below(2) == 0 && world.count() > 3 && victim != side[0] {
                side.push(victim);
            }
            world.split(&side);
        }
        3 => {
            let other = world.leader().unwrap_or(0);
            world.cut(&[victim], &[other]);
            let third = world.below(u64::from(world.count())) as ServerId;
            world.cut(&[other], &[third]);
        }
        5 => {
            let other = world.leader().unwrap_or(0);
            world.cut(&[victim], &[other]);
            world.cut(&[other], &[victim]);
        }
        _ => {
            for server in 0..world.count() {
                world.crash(server);
                let delay = 10 * MILLI + world.below(300 * MILLI);
                world.start_later(server, delay);
            }
        }
    }
}

fn drive(world: &mut World, client: &mut Client, done: &mut Vec<Done>, lists: bool) {
    if let Some((reference, index)) = client.open {
        if let Some((at, response)) = world.answers.remove(&reference) {
            match response.result {
                Ok(reply) => done[index].completed = Some((at, reply)),
                Err(failure) => {
                    done[index].failed = failure.code.info().definite;
                    if !done[index].failed {
                        client.session += 1;
                    }
                }
            }
            client.open = None;
            client.next_at = world.now + world.below(8 * MILLI);
        } else if world.now >= client.give_up_at {
            client.open = None;
            client.session += 1;
        } else {
            return;
        }
    }
    if world.now < client.next_at || !world.is_up(client.server) {
        return;
    }
    let command = choose(world, done.len() as i64, lists);
    let reference = ClientRef(done.len() as u64);
    client.seq += 1;
    client.open = Some((reference, done.len()));
    client.give_up_at = world.now + 600 * MILLI;
    let request = Request {
        id: reference.0.to_string(),
        session: client.session,
        seq: client.seq,
        command: command.clone(),
    };
    done.push(Done { command, invoked: world.now, completed: None, failed: false });
    world.request(client.server, reference, request);
}

/// Values are numbers of calls, so no two writes are alike.
fn choose(world: &mut World, value: i64, lists: bool) -> Command {
    let key = ["a", "b"][world.below(2) as usize].to_string();
    match world.below(if lists { 4 } else { 2 }) {
        0 => Command::Read { key },
        1 => Command::Write { key, value },
        2 => Command::List { key },
        _ => Command::Append { key, value },
    }
}

fn finish(mut world: World, clients: Vec<Client>, mut done: Vec<Done>, lists: bool) -> Run {
    world.heal();
    world.loss = 0;
    (0..world.count()).for_each(|server| world.start(server));
    let until = world.now + 3000 * MILLI;
    world.run(until, |_| false);
    for client in clients {
        if let Some((reference, index)) = client.open
            && let Some((at, response)) = world.answers.remove(&reference)
        {
            match response.result {
                Ok(reply) => done[index].completed = Some((at, reply)),
                Err(failure) => done[index].failed = failure.code.info().definite,
            }
        }
    }
    let mut finals = BTreeSet::new();
    for server in 0..world.count() {
        for key in ["a", "b"] {
            finals.insert(done.len());
            ask(&mut world, server, Command::Read { key: key.into() }, &mut done);
            if lists {
                finals.insert(done.len());
                ask(&mut world, server, Command::List { key: key.into() }, &mut done);
            }
        }
    }
    if finals.iter().any(|index| done[*index].completed.is_none()) {
        world.violations.push("a final read was not answered".into());
    }
    let mut violations = std::mem::take(&mut world.violations);
    for key in ["a", "b"] {
        violations.extend(judge_register(&done, key));
        violations.extend(judge_list(&done, key));
    }
    Run { violations, activations: world.activations(), fingerprint: world.fingerprint, done }
}

fn ask(world: &mut World, server: ServerId, command: Command, done: &mut Vec<Done>) {
    let reference = ClientRef(done.len() as u64);
    let invoked = world.now;
    let request = Request { id: "final".into(), session: 0, seq: 0, command: command.clone() };
    world.request(server, reference, request);
    let until = world.now + 1000 * MILLI;
    world.run(until, |world| world.answers.contains_key(&reference));
    let answer = world.answers.remove(&reference);
    let completed = answer.and_then(|(at, response)| Some((at, response.result.ok()?)));
    done.push(Done { command, invoked, completed, failed: false });
}

/// Atomicity of a register whose writes all differ: Gibbons and Korach, "Testing shared memories" (1997).
/// The calls of one value span a zone from their first completion to their last invocation; zones that run forward
/// must not overlap, and one that runs backward must not lie within a forward one.
fn judge_register(done: &[Done], name: &str) -> Vec<String> {
    let mut zones: BTreeMap<Option<i64>, (Nanos, Nanos)> = BTreeMap::from([(None, (0, 0))]);
    let mut violations = Vec::new();
    let mut failed = BTreeSet::new();
    for call in done {
        if let Command::Write { key, value } = &call.command
            && key == name
        {
            let end = call.completed.as_ref().map_or(Nanos::MAX, |(at, _)| *at);
            zones.insert(Some(*value), (end, call.invoked));
            failed.extend(call.failed.then_some(*value));
        }
    }
    for call in done {
        if let (Command::Read { key }, Some((at, Reply::Value(value)))) = (&call.command, &call.completed)
            && key == name
        {
            let Some(zone) = zones.get_mut(value) else {
                violations.push(format!("{name}: read {value:?}, never written"));
                continue;
            };
            *zone = (zone.0.min(*at), zone.1.max(call.invoked));
            if value.is_some_and(|value| failed.contains(&value)) {
                violations.push(format!("{name}: read {value:?}, whose write had failed"));
            }
        }
    }
    zones.retain(|_, zone| zone.0 < Nanos::MAX);
    let list: Vec<_> = zones.iter().collect();
    for (place, (value, one)) in list.iter().enumerate() {
        for (other, two) in &list[place + 1..] {
            if clash(one, two) || clash(two, one) {
                violations.push(format!("{name}: {value:?} and {other:?} cannot be ordered"));
            }
        }
    }
    violations
}

/// Whether the forward zone `one` crosses `two`.
fn clash(one: &(Nanos, Nanos), two: &(Nanos, Nanos)) -> bool {
    let forward = one.0 < one.1;
    let both = forward && two.0 < two.1 && one.0 < two.1 && two.0 < one.1;
    let inside = forward && two.0 >= two.1 && one.0 < two.1 && two.0 < one.1;
    both || inside
}

/// A list that is only appended to, each value once: reads are prefixes of the longest, none misses what was
/// acknowledged or read before it began, and nothing that failed is in it.
fn judge_list(done: &[Done], name: &str) -> Vec<String> {
    let mut violations = Vec::new();
    let mut reads: Vec<(Nanos, Nanos, &Vec<i64>)> = Vec::new();
    let mut appends: Vec<(Nanos, i64)> = Vec::new();
    let mut failed = BTreeSet::new();
    for call in done {
        match (&call.command, &call.completed) {
            (Command::List { key }, Some((at, Reply::Values(values)))) if key == name => {
                reads.push((call.invoked, *at, values));
            }
            (Command::Append { key, value }, Some((at, _))) if key == name => appends.push((*at, *value)),
            (Command::Append { key, value }, None) if key == name && call.failed => {
                failed.insert(*value);
            }
            _ => {}
        }
    }
    let Some(longest) = reads.iter().map(|read| read.2).max_by_key(|values| values.len()) else {
        return violations;
    };
    let place: BTreeMap<i64, usize> =
        longest.iter().enumerate().map(|(place, value)| (*value, place)).collect();
    if place.len() < longest.len() {
        violations.push(format!("{name}: a value was appended twice"));
    }
    if longest.iter().any(|value| failed.contains(value)) {
        violations.push(format!("{name}: an append that failed is in the list"));
    }
    for (invoked, _, values) in &reads {
        let floor = reads.iter().filter(|before| before.1 < *invoked).map(|before| before.2.len()).max();
        let acked = appends.iter().filter(|append| append.0 < *invoked);
        let fresh =
            acked.into_iter().all(|(_, value)| place.get(value).is_some_and(|place| *place < values.len()));
        if !longest.starts_with(values) {
            violations.push(format!("{name}: two reads of the list disagree"));
        } else if !fresh || floor.is_some_and(|floor| values.len() < floor) {
            violations.push(format!("{name}: a read of the list misses an earlier append"));
        }
    }
    violations
}

/// `config` with one switch on.
pub fn with_bug(config: Config, bug: store::Bug) -> Config {
    Config { switches: Switches::with(&[bug]), ..config }
}
