//! The cores in a simulated world: random schedules from fixed seeds, and each switch shown to break something.

mod load;
mod rules;
mod world;

use load::{Damage, config, run, with_bug};
use store::{BUGS, Bug, ClientRef, Command, Config, MILLI, Mode, Reply, Request, Role};
use world::World;

const SPAN: u64 = 3000 * MILLI;
const ALL: Damage = Damage {
    crash: true,
    crash_all: true,
    split: true,
    isolate_leader: true,
    one_way: true,
    link: true,
    loss: 10,
    slow_disk: false,
};
const QUORUM: Mode = Mode::Quorum { n: 3, w: 2, r: 2, write_back: true };

/// Runs seeds and demands that all invariants hold and that the runs were not idle.
fn holds(config: &Config, seeds: std::ops::Range<u64>, damage: Damage) {
    for seed in seeds {
        let run = run(config.clone(), seed, SPAN, damage);
        let acknowledged = run.done.iter().filter(|call| call.completed.is_some()).count();
        assert!(run.violations.is_empty(), "seed {seed}: {:?}", &run.violations[..1]);
        assert!(acknowledged > 100, "seed {seed}: only {acknowledged} calls were answered");
    }
}

#[test]
fn raft_of_five_keeps_its_invariants_under_all_damage() {
    holds(&config(5, Mode::Raft), 0..14, ALL);
}

#[test]
fn raft_of_three_keeps_its_invariants_under_all_damage() {
    holds(&config(3, Mode::Raft), 100..114, ALL);
}

#[test]
fn what_was_acknowledged_survives_a_crash_of_all_servers_with_slow_disks() {
    let damage = Damage { crash_all: true, slow_disk: true, ..Damage::default() };
    for (mode, first) in [(Mode::Raft, 400), (QUORUM, 430), (Mode::Single, 450)] {
        holds(&config(3, mode), first..first + 8, damage);
    }
}

#[test]
fn quorums_keep_their_registers_atomic_under_all_damage() {
    holds(&config(5, QUORUM), 200..210, ALL);
    holds(&config(3, Mode::Quorum { n: 3, w: 3, r: 1, write_back: true }), 230..234, Damage::default());
}

#[test]
fn a_single_copy_keeps_its_invariants_under_all_damage() {
    holds(&config(3, Mode::Single), 300..308, ALL);
}

#[test]
#[ignore = "slow: hundreds of seeds in every mode"]
fn all_modes_keep_their_invariants_over_many_seeds() {
    holds(&config(5, Mode::Raft), 1000..1400, ALL);
    holds(&config(3, Mode::Raft), 2000..2400, ALL);
    holds(&config(4, Mode::Raft), 3000..3200, ALL);
    holds(&config(5, QUORUM), 4000..4400, ALL);
    holds(&config(3, QUORUM), 5000..5200, ALL);
    holds(&config(5, Mode::Quorum { n: 5, w: 4, r: 2, write_back: true }), 6000..6200, ALL);
    holds(&config(3, Mode::Single), 7000..7200, ALL);
}

#[test]
fn the_same_seed_gives_the_same_effects() {
    for mode in [Mode::Raft, QUORUM] {
        let once = |seed| run(config(5, mode), seed, SPAN, ALL).fingerprint;
        assert_eq!(once(7), once(7));
        assert_ne!(once(7), once(8));
    }
}

#[test]
fn an_idle_raft_cluster_says_nothing_but_heartbeats() {
    let mut world = World::new(config(5, Mode::Raft), 1);
    world.run(1000 * MILLI, |_| false);
    let before = world.sent;
    world.run(11_000 * MILLI, |_| false);
    // 20 heartbeats a second to four followers, each answered once.
    assert!((1590..=1610).contains(&(world.sent - before)), "{} messages", world.sent - before);
}

#[test]
fn a_leader_that_stops_hands_over_without_a_timeout() {
    let mut world = World::new(config(5, Mode::Raft), 3);
    world.run(1000 * MILLI, |world| world.leader().is_some());
    world.run(1500 * MILLI, |_| false);
    let old = world.leader().expect("a leader after 1.5 s");
    world.shutdown(old);
    let started = world.now;
    world.run(started + 500 * MILLI, |world| world.leader().is_some_and(|leader| leader != old));
    assert!(world.now - started < 140 * MILLI, "{} ms", (world.now - started) / MILLI);
}

#[test]
fn a_leader_that_nobody_hears_steps_down() {
    let mut world = World::new(config(3, Mode::Raft), 4);
    world.run(1000 * MILLI, |_| false);
    let old = world.leader().expect("a leader after 1 s");
    world.split(&[old]);
    world.run(1900 * MILLI, |_| false);
    assert_eq!(world.status(old).map(|status| status.role), Some(Role::Leader));
    world.run(2100 * MILLI, |_| false);
    assert_ne!(world.status(old).map(|status| status.role), Some(Role::Leader));
}

#[test]
fn quorums_refuse_what_is_not_a_register() {
    let mut world = World::new(config(3, QUORUM), 5);
    let command = Command::Append { key: "l".into(), value: 1 };
    world.request(0, ClientRef(1), Request { id: "1".into(), session: 0, seq: 0, command });
    let (_, response) = &world.answers[&ClientRef(1)];
    assert!(response.result.as_ref().is_err_and(|failure| failure.code.info().definite));
}

/// Runs seeds until a client can see that something is wrong; the switch must have acted in that run.
fn breaks(bug: Bug, mode: Mode, servers: u32, damage: Damage) {
    let config = with_bug(config(servers, mode), bug);
    let mut acted = 0;
    for seed in 0..30 {
        let run = run(config.clone(), seed, SPAN, damage);
        acted += run.activations;
        // What starts with a key is what clients saw; the rest is known to the world alone.
        if let Some(violation) =
            run.violations.iter().find(|text| text.starts_with(['a', 'b']) && &text[1..2] == ":")
        {
            assert!(run.activations > 0, "seed {seed} went wrong without the switch: {violation}");
            eprintln!("{bug:?} seed {seed}: {violation}, {} activations", run.activations);
            return;
        }
    }
    panic!("{bug:?} acted {acted} times in 30 runs and no client saw it");
}

#[test]
fn every_switch_breaks_an_invariant() {
    let quiet = Damage::default();
    let isolate = Damage { isolate_leader: true, ..quiet };
    let split = Damage { split: true, ..quiet };
    for info in BUGS {
        let shape = info.shape.map(|(n, w, r)| Mode::Quorum { n, w, r, write_back: true });
        let (servers, damage) = match info.bug {
            Bug::TermNotPersisted => (3, Damage { crash_all: true, ..split }),
            Bug::VoteIgnoresLog => (5, split),
            Bug::FollowerReadNoWait | Bug::WPlusRLeN => (5, quiet),
            Bug::NoReadWriteback => (5, Damage { loss: 10, ..quiet }),
            Bug::PartialWriteReportedFailed => (5, split),
            _ => (5, isolate),
        };
        breaks(info.bug, shape.unwrap_or(Mode::Raft), servers, damage);
    }
}

#[test]
fn a_read_at_an_isolated_leader_is_stale_only_with_the_switch() {
    for (bug, stale) in [(None, false), (Some(Bug::LeaderLocalRead), true)] {
        let base = config(5, Mode::Raft);
        let mut world = World::new(bug.map_or(base.clone(), |bug| with_bug(base, bug)), 9);
        world.run(1000 * MILLI, |_| false);
        let old = world.leader().expect("a leader after 1 s");
        world.split(&[old]);
        world.run(1700 * MILLI, |_| false);
        let new = world.leader().expect("a new leader after the split");
        assert_ne!(old, new);
        let ask = |world: &mut World, server, number, command| {
            let id = ClientRef(number);
            world.request(server, id, Request { id: number.to_string(), session: 0, seq: 0, command });
            world.run(world.now + 100 * MILLI, |world| world.answers.contains_key(&id));
            world.answers.remove(&id).map(|(_, response)| response.result)
        };
        let write = Command::Write { key: "x".into(), value: 1 };
        assert_eq!(ask(&mut world, new, 1, write), Some(Ok(Reply::Done)));
        let read = ask(&mut world, old, 2, Command::Read { key: "x".into() });
        assert_eq!(read == Some(Ok(Reply::Value(None))), stale, "{read:?}");
    }
}
