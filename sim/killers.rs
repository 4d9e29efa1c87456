//! The known killers: for each planted bug a workload and damage under which a checker refuses the run.
//!
//! A bug without a killer would be no bug; a sweep that misses one shows a gap in the exploring, not in the bug.
//! The table is data for tests, for documentation and for the root's campaigns.

use crate::explore::plan;
use crate::run::{SimSpec, Timing};
use history::Nanos;
use nemeses::PlanOptions;
use store::{MILLI, Mode};
use workloads::Params;

const SECOND: Nanos = 1000 * MILLI;

/// What is done to the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nemeses by name; the seed makes the plan.
    Nemeses(&'static [&'static str]),
    /// A schedule, as `nemeses::schedule` reads it.
    Schedule(&'static str),
}

/// A way to show a bug.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Killer {
    /// Name of the switch.
    pub bug: &'static str,
    pub mode: Mode,
    pub workload: &'static str,
    pub damage: Damage,
    /// Seeds counted from 0; at least one of them is refused.
    pub seeds: u64,
    /// Calls a second.
    pub rate: f64,
    /// Messages that are late: how many of them, and by how much at most (ns).
    pub slow: (f64, Nanos),
    /// When a server gives up a request (ns).
    pub request_timeout: Nanos,
}

/// Clients, calls a second and load of every killer's run. What counts is that clients are many and slow: those of
/// an isolated leader are stopped by their first write, so ten of them at 4 calls a second each are needed for one
/// that still reads when the others have written elsewhere. Ten clients at 50 a second miss it in every third run.
pub const CLIENTS: usize = 50;
/// The rate of raft's killers; quorums, which no call waits for long, are asked more often.
pub const RATE: f64 = 200.0;
pub const QUORUM_RATE: f64 = 500.0;
pub const LOAD: Nanos = 20 * SECOND;

/// Quorums as they are promised: three replicas of a key, two for a write, two for a read, reads written back.
pub const QUORUM: Mode = Mode::Quorum { n: 3, w: 2, r: 2, write_back: true };

/// The leader alone with its clients, three times; the third time with one follower on its side.
const ISOLATED: &str = "at 2s for 2500ms isolate leader\n\
                        at 7s for 2500ms isolate leader\n\
                        at 12s for 2500ms partition leader+minority";

/// A leader that is back before it has noticed that it was away: another leads by then.
const BLINK: &str = "at 2s for 600ms isolate leader\n\
                     at 6s for 500ms isolate leader\n\
                     at 10s for 700ms isolate leader";

/// While the leader is alone, all others restart before they have elected: the term that follows is its own again.
const RESTARTED: &str = "at 2s for 3s isolate leader\n\
                         at 2050ms for 200ms kill followers\n\
                         at 9s for 3s isolate leader\n\
                         at 9050ms for 200ms kill followers";

/// No node reaches enough replicas of any key, yet each keeps what it is given.
const SHATTERED: &str = "at 2s for 1s isolate all\n\
                         at 5s for 1s isolate all\n\
                         at 8s for 1s isolate all\n\
                         at 11s for 1s isolate all\n\
                         at 14s for 1s isolate all";

const fn raft(bug: &'static str, workload: &'static str, damage: Damage, seeds: u64) -> Killer {
    Killer {
        bug,
        mode: Mode::Raft,
        workload,
        damage,
        seeds,
        rate: RATE,
        slow: (0.0, 0),
        request_timeout: 2 * SECOND,
    }
}

const fn quorum(bug: &'static str, damage: Damage, seeds: u64) -> Killer {
    Killer { mode: QUORUM, rate: QUORUM_RATE, ..raft(bug, "register", damage, seeds) }
}

/// One killer for each bug.
pub const KILLERS: &[Killer] = &[
    raft("term-not-persisted", "append", Damage::Schedule(RESTARTED), 5),
    raft("vote-ignores-log", "append", Damage::Nemeses(&["isolate-leader", "minority"]), 5),
    raft(
        "leader-local-read",
        "register",
        Damage::Nemeses(&["isolate-leader", "partition", "kill", "pause"]),
        5,
    ),
    raft("follower-read-no-wait", "register", Damage::Nemeses(&["none"]), 5),
    raft("apply-uncommitted", "append", Damage::Schedule(ISOLATED), 5),
    raft("ack-after-local-append", "set", Damage::Schedule(ISOLATED), 5),
    raft("conflict-suffix-kept", "append", Damage::Schedule(ISOLATED), 5),
    raft("no-stepdown-on-higher-term", "register", Damage::Schedule(BLINK), 5),
    quorum("w-plus-r-le-n", Damage::Nemeses(&["none"]), 5),
    Killer { slow: (0.2, 100 * MILLI), ..quorum("no-read-writeback", Damage::Nemeses(&["none"]), 5) },
    Killer {
        request_timeout: 500 * MILLI,
        ..quorum("partial-write-reported-failed", Damage::Schedule(SHATTERED), 5)
    },
];

impl Killer {
    /// The run of `seed`, with the bug or, for comparison, without it.
    ///
    /// # Panics
    /// If the table names a workload, a nemesis or a schedule that does not exist.
    pub fn spec(&self, seed: u64, with_bug: bool) -> SimSpec {
        let mut timing = Timing { request_timeout: self.request_timeout, ..Timing::default() };
        timing.network.slow = self.slow;
        let mut spec = SimSpec {
            mode: self.mode,
            bug: with_bug.then_some(self.bug),
            workload: workloads::find(self.workload).expect("the table names workloads that exist"),
            strikes: Vec::new(),
            places: Vec::new(),
            params: Params {
                concurrency: CLIENTS,
                rate: self.rate,
                load: LOAD,
                warm_up: SECOND,
                final_reads: 20,
                ..Params::default()
            },
            timing,
            seed,
            trace_hash: false,
        };
        spec.strikes = match self.damage {
            Damage::Schedule(text) => nemeses::schedule::parse(text, spec.params.nodes, seed)
                .expect("the table's schedules can be read"),
            Damage::Nemeses(names) => {
                let named: Vec<_> = names
                    .iter()
                    .map(|name| nemeses::find(name).expect("the table names nemeses that exist"))
                    .collect();
                plan(&named, &spec, &PlanOptions { min_length: 2 * SECOND, ..PlanOptions::default() })
            }
        };
        spec
    }
}

/// The killer of a bug, by the switch's name.
pub fn killer(bug: &str) -> Option<&'static Killer> {
    KILLERS.iter().find(|killer| killer.bug == bug)
}
