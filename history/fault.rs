//! Damage as data: what is to break, whom it strikes, and what was measured when it did.
//!
//! Pure vocabulary: planning is in `nemeses/`, doing is in `agent/`.

use crate::event::{Nanos, NodeId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whom a fault strikes, by role; resolved to nodes at the moment it strikes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    Nodes(Vec<NodeId>),
    /// Any one node.
    One,
    /// A random minority: 2 of 5, 1 of 3.
    Minority,
    /// The smallest majority: 3 of 5.
    Majority,
    /// Whoever leads now by its own word (the highest term wins); any node where nothing leads.
    Leader,
    /// The leader with as many followers as keep the group a minority.
    LeaderMinority,
    Followers,
    All,
    Not(Box<Who>),
}

/// Which packets no longer arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// These from all others; both sides stay whole.
    Split(Who),
    /// Each of these from everyone, also from each other.
    Isolate(Who),
    /// Two halves that share one node which both still reach.
    Bridge,
    /// Every node sees a majority, no two the same one.
    Ring,
    /// Packets from the first to the second are lost, the way back is open.
    OneWay(Who, Who),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// SIGKILL to the whole process tree; healed by a restart from what the disk kept.
    Kill(Who),
    /// Stopped, memory intact; healed by going on.
    Pause(Who),
    Partition(Cut),
}

/// A fault in time, `at` counted from the start of the load phase. A fault always carries its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strike {
    pub at: Nanos,
    pub lasts: Nanos,
    pub fault: Fault,
    /// The seed of every random choice that resolving needs, so that a replay picks the same.
    pub pick: u64,
    /// The nemesis that planned it.
    pub nemesis: String,
}

/// A strike with its roles resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub killed: Vec<NodeId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paused: Vec<NodeId>,
    /// Directed: packets from the first to the second are dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<(NodeId, NodeId)>,
    /// Who led when it struck, if anybody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<NodeId>,
}

impl Resolved {
    /// Every node that the strike touches: killed, paused, or with a link of its own cut on the smaller side.
    pub fn touched(&self, nodes: usize) -> Vec<NodeId> {
        let mut touched: Vec<NodeId> = self.killed.iter().chain(&self.paused).copied().collect();
        if !self.cut.is_empty() {
            let all = (0..nodes).map(|n| NodeId(n as u8));
            let cuts = |n: NodeId| self.cut.iter().filter(|(a, b)| *a == n || *b == n).count();
            let most = all.clone().map(cuts).max().unwrap_or(0);
            touched.extend(all.filter(|n| cuts(*n) == most));
        }
        touched.sort();
        touched.dedup();
        touched
    }

    pub fn is_empty(&self) -> bool {
        self.killed.is_empty() && self.paused.is_empty() && self.cut.is_empty()
    }
}

/// What a probe saw from outside the thing struck.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The damage (or, after a heal, its end) was seen.
    pub took: bool,
    /// How it was measured, and what was measured: `12 of 12 edges cut, by UDP echo in 3.1 ms`.
    pub measured: String,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Nodes(nodes) => {
                let names: Vec<String> = nodes.iter().map(|n| format!("n{}", n.0 + 1)).collect();
                f.write_str(&names.join(","))
            }
            Who::One => f.write_str("one"),
            Who::Minority => f.write_str("minority"),
            Who::Majority => f.write_str("majority"),
            Who::Leader => f.write_str("leader"),
            Who::LeaderMinority => f.write_str("leader+minority"),
            Who::Followers => f.write_str("followers"),
            Who::All => f.write_str("all"),
            Who::Not(who) => write!(f, "not({who})"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill(who) => write!(f, "kill {who}"),
            Fault::Pause(who) => write!(f, "pause {who}"),
            Fault::Partition(Cut::Split(who)) => write!(f, "partition {who} from the rest"),
            Fault::Partition(Cut::Isolate(who)) => write!(f, "isolate {who}"),
            Fault::Partition(Cut::Bridge) => f.write_str("partition bridge"),
            Fault::Partition(Cut::Ring) => f.write_str("partition ring of majorities"),
            Fault::Partition(Cut::OneWay(a, b)) => write!(f, "cut {a} to {b} one way"),
        }
    }
}

impl Fault {
    /// `kill`, `pause` or `partition`: the word for bands, filters and capability tables.
    pub fn family(&self) -> &'static str {
        match self {
            Fault::Kill(_) => "kill",
            Fault::Pause(_) => "pause",
            Fault::Partition(_) => "partition",
        }
    }
}
