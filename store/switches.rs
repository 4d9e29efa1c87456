//! Known protocol mistakes, each a switch that is off by default and sits at the one line it corrupts.
//!
//! A switch that is on counts how often it acted, so that "nothing went wrong" can be told from "nothing was done".
//! The correct protocols are in `raft/`, `quorum.rs` and `single.rs`; nothing here changes them while all are off.

use std::cell::Cell;
use std::collections::BTreeMap;

/// One switch; the numbers of the identifiers are those of the catalogue in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    TermNotPersisted,
    VoteIgnoresLog,
    LeaderLocalRead,
    FollowerReadNoWait,
    ApplyUncommitted,
    AckAfterLocalAppend,
    ConflictSuffixKept,
    NoStepdownOnHigherTerm,
    WPlusRLeN,
    NoReadWriteback,
    PartialWriteReportedFailed,
}

/// How much has to go wrong around the servers before a bug shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Visible without any fault.
    Easy,
    /// Needs one class of faults.
    Medium,
    /// Needs a compound or precisely timed sequence of faults.
    Hard,
}

/// One row of [`BUGS`].
pub struct BugInfo {
    pub bug: Bug,
    pub id: &'static str,
    /// The name that switches it on.
    pub name: &'static str,
    /// The mode whose protocol it corrupts: `raft` or `quorum`.
    pub mode: &'static str,
    /// What the corrupted line does.
    pub about: &'static str,
    pub tier: Tier,
    /// Workloads and faults under which it shows.
    pub exposed_by: &'static str,
    /// The guarantee that it breaks.
    pub violates: &'static str,
    /// Quorum mode only: the (n, w, r) in which it shows most often.
    pub shape: Option<(usize, usize, usize)>,
}

/// Every switch, in the order of [`Bug`].
pub const BUGS: &[BugInfo] = &[
    BugInfo {
        bug: Bug::TermNotPersisted,
        id: "B004",
        name: "term-not-persisted",
        mode: "raft",
        about: "After a restart the current term starts at 0 and the vote is forgotten.",
        tier: Tier::Medium,
        exposed_by: "register, cas-register, set; kill of a majority or of all servers, together with a partition",
        violates: "election safety, linearizability",
        shape: None,
    },
    BugInfo {
        bug: Bug::VoteIgnoresLog,
        id: "B005",
        name: "vote-ignores-log",
        mode: "raft",
        about: "A vote is granted without comparing the candidate's log with the voter's own.",
        tier: Tier::Medium,
        exposed_by: "set, append, register; partition of one server, then heal",
        violates: "leader completeness: acknowledged writes are lost",
        shape: None,
    },
    BugInfo {
        bug: Bug::LeaderLocalRead,
        id: "B008",
        name: "leader-local-read",
        mode: "raft",
        about: "The leader answers reads from its own state without a round to a majority.",
        tier: Tier::Medium,
        exposed_by: "register; partition that isolates the leader with some clients, or pause of the leader",
        violates: "linearizability (stale read)",
        shape: None,
    },
    BugInfo {
        bug: Bug::FollowerReadNoWait,
        id: "B013",
        name: "follower-read-no-wait",
        mode: "raft",
        about: "A follower answers a read from what it has applied, without waiting for the read index.",
        tier: Tier::Easy,
        exposed_by: "register, set, append; no fault needed, any lag helps",
        violates: "linearizability, read your writes",
        shape: None,
    },
    BugInfo {
        bug: Bug::ApplyUncommitted,
        id: "B014",
        name: "apply-uncommitted",
        mode: "raft",
        about: "A follower applies entries as it appends them; a truncated one stays in its state.",
        tier: Tier::Medium,
        exposed_by: "append, set, register; partition that isolates the leader with one follower, then heal",
        violates: "no dirty reads; replicas diverge",
        shape: None,
    },
    BugInfo {
        bug: Bug::AckAfterLocalAppend,
        id: "B015",
        name: "ack-after-local-append",
        mode: "raft",
        about: "The leader takes an entry for committed once it is in its own log.",
        tier: Tier::Medium,
        exposed_by: "set, append, register; partition that isolates the leader, or kill of the leader",
        violates: "durability, linearizability",
        shape: None,
    },
    BugInfo {
        bug: Bug::ConflictSuffixKept,
        id: "B018",
        name: "conflict-suffix-kept",
        mode: "raft",
        about: "A follower keeps its own entries where they conflict with the leader's.",
        tier: Tier::Medium,
        exposed_by: "append, set, register; partition that isolates the leader, then heal",
        violates: "log matching; replicas diverge",
        shape: None,
    },
    BugInfo {
        bug: Bug::NoStepdownOnHigherTerm,
        id: "B023",
        name: "no-stepdown-on-higher-term",
        mode: "raft",
        about: "A leader takes no notice of a higher term in what it receives and goes on leading.",
        tier: Tier::Medium,
        exposed_by: "register; any partition that isolates the leader, then heal",
        violates: "one active leader at a time, linearizability (stale read)",
        shape: None,
    },
    BugInfo {
        bug: Bug::WPlusRLeN,
        id: "B052",
        name: "w-plus-r-le-n",
        mode: "quorum",
        about: "Reads and writes wait for one replica each, whatever was configured.",
        tier: Tier::Easy,
        exposed_by: "register; no fault needed",
        violates: "linearizability, read your writes",
        shape: Some((3, 2, 2)),
    },
    BugInfo {
        bug: Bug::NoReadWriteback,
        id: "B053",
        name: "no-read-writeback",
        mode: "quorum",
        about: "A read returns the newest version it saw without first storing it on a write quorum.",
        tier: Tier::Easy,
        exposed_by: "register with slow or partly lost writes",
        violates: "linearizability (new value, then the old one again)",
        shape: Some((3, 3, 1)),
    },
    BugInfo {
        bug: Bug::PartialWriteReportedFailed,
        id: "B060",
        name: "partial-write-reported-failed",
        mode: "quorum",
        about: "A write that reached too few replicas is reported as not done, though some replicas kept it.",
        tier: Tier::Medium,
        exposed_by: "register; partition that leaves the coordinator in a minority while r replicas still answer it",
        violates: "a failed write is never read (aborted read)",
        shape: Some((3, 3, 1)),
    },
];

const COUNT: usize = BUGS.len();

/// The set of enabled bugs and the counts of their activations. `Default` is none.
#[derive(Clone, Debug, Default)]
pub struct Switches {
    on: u32,
    counts: [Cell<u64>; COUNT],
}

impl Switches {
    /// The given bugs, all counts at zero.
    pub fn with(bugs: &[Bug]) -> Switches {
        let mut switches = Switches::default();
        bugs.iter().for_each(|bug| switches.enable(*bug));
        switches
    }

    /// Switches `bug` on.
    pub fn enable(&mut self, bug: Bug) {
        self.on |= 1 << bug as u32;
    }

    /// Switches on the bug with this name or identifier; false if there is none.
    pub fn enable_named(&mut self, name: &str) -> bool {
        let found = find(name);
        found.inspect(|info| self.enable(info.bug)).is_some()
    }

    /// Whether `bug` acts here; counts the activation. Constant false while it is off.
    #[inline]
    pub fn fire(&self, bug: Bug) -> bool {
        if self.on & (1 << bug as u32) == 0 {
            return false;
        }
        let count = &self.counts[bug as usize];
        count.set(count.get() + 1);
        true
    }

    /// Activations of each enabled bug, by name.
    pub fn activations(&self) -> BTreeMap<&'static str, u64> {
        let enabled = BUGS.iter().filter(|info| self.on & (1 << info.bug as u32) != 0);
        enabled.map(|info| (info.name, self.counts[info.bug as usize].get())).collect()
    }
}

/// The bug with this name (`leader-local-read`) or identifier (`B008`).
pub fn find(name: &str) -> Option<&'static BugInfo> {
    BUGS.iter().find(|info| info.name == name || info.id.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_sits_at_its_own_row_and_is_found_by_both_names() {
        for (index, info) in BUGS.iter().enumerate() {
            assert_eq!(info.bug as usize, index);
            assert_eq!(find(info.name).map(|found| found.id), Some(info.id));
            assert_eq!(find(info.id).map(|found| found.name), Some(info.name));
        }
    }

    #[test]
    fn a_switch_counts_only_while_it_is_on() {
        let switches = Switches::with(&[Bug::LeaderLocalRead]);
        assert!(switches.fire(Bug::LeaderLocalRead) && switches.fire(Bug::LeaderLocalRead));
        assert!(!switches.fire(Bug::VoteIgnoresLog));
        assert_eq!(switches.activations(), BTreeMap::from([("leader-local-read", 2)]));
    }
}
