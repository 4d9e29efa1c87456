//! The network between the nodes: cuts under a lease, and the look at which links really carry packets.
//!
//! Cutting and looking take different ways on purpose. Cuts are asked of the fabric's agent, the looks go as
//! packets through the kernels of the nodes: reading a rule back would prove nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use agent::fabric::{Edge, Edges, LinkCount};
use agent::protocol::{ActiveFault, Probe, Reply, Request, What, Which};
use anyhow::{Result, bail};

use crate::agent_client::AgentClient;
use crate::prober::Prober;

const DEADLINE: Duration = Duration::from_secs(5);

/// How long packets may take on a link that is up.
const PATIENCE: Duration = Duration::from_millis(250);

/// Which directed links between nodes carry packets, as observed. Row: from, column: to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    pub nodes: usize,
    /// The links that a packet crossed.
    pub through: Edges,
}

impl Matrix {
    /// The packet from `from` arrived at `to`. A node always reaches itself.
    pub fn reaches(&self, from: usize, to: usize) -> bool {
        from == to || self.through.contains(&Edge::new(from, to))
    }

    /// The links between two nodes that carried nothing.
    pub fn silent(&self) -> Edges {
        all_edges(self.nodes).difference(&self.through).copied().collect()
    }
}

/// Every directed link between `nodes` nodes.
pub fn all_edges(nodes: usize) -> Edges {
    let pairs = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
    pairs.filter(|(from, to)| from != to).map(|(from, to)| Edge::new(from, to)).collect()
}

/// The fabric of one cluster.
pub struct Fabric {
    agent: AgentClient,
    prober: Prober,
    nodes: usize,
}

impl Fabric {
    /// Puts the hand and the eye together.
    pub fn new(agent: AgentClient, prober: Prober, nodes: usize) -> Self {
        Fabric { agent, prober, nodes }
    }

    /// The client of the fabric's agent, for requests that have no method here.
    pub fn agent(&self) -> &AgentClient {
        &self.agent
    }

    /// Cuts all these directed links at one instant, until the heal or the end of the lease, whichever comes
    /// first. When this returns, no packet crosses them any more.
    pub async fn cut(&self, fault: u64, edges: Edges, lease: Duration) -> Result<()> {
        let request = Request::Apply { fault, what: What::Cut { edges }, lease_ms: millis(lease) };
        self.agent.ask(request, DEADLINE).await.map(drop)
    }

    /// Lets the leases of these faults run out `lease` from now; returns how many there were.
    pub async fn renew(&self, faults: Which, lease: Duration) -> Result<u32> {
        match self.agent.ask(Request::Renew { faults, lease_ms: millis(lease) }, DEADLINE).await? {
            Reply::Renewed { faults } => Ok(faults),
            other => bail!("the fabric answered {other:?}"),
        }
    }

    /// Ends these faults; links that another fault cuts stay cut. Returns how many there were.
    pub async fn heal(&self, faults: Which) -> Result<u32> {
        match self.agent.ask(Request::Heal { faults }, DEADLINE).await? {
            Reply::Healed { faults, .. } => Ok(faults),
            other => bail!("the fabric answered {other:?}"),
        }
    }

    /// The cuts in force.
    pub async fn active(&self) -> Result<Vec<ActiveFault>> {
        match self.agent.ask(Request::Active, DEADLINE).await? {
            Reply::Active(faults) => Ok(faults),
            other => bail!("the fabric answered {other:?}"),
        }
    }

    /// Frames forwarded and dropped on every directed link since the cluster came up. The outside is the
    /// node after the last.
    pub async fn counts(&self) -> Result<Vec<LinkCount>> {
        match self.agent.ask(Request::Probe(Probe::Links), DEADLINE).await? {
            Reply::Links(counts) => Ok(counts),
            other => bail!("the fabric answered {other:?}"),
        }
    }

    /// Sends a packet over every directed link between nodes and tells which arrived. Some milliseconds.
    pub async fn connectivity(&self) -> Result<Matrix> {
        let through = self.prober.crossed(&all_edges(self.nodes), PATIENCE).await?;
        Ok(Matrix { nodes: self.nodes, through })
    }

    /// Sends a packet over each of these links and tells which arrived.
    pub async fn crossed(&self, edges: &Edges) -> Result<BTreeSet<Edge>> {
        self.prober.crossed(edges, PATIENCE).await
    }
}

fn millis(duration: Duration) -> u32 {
    duration.as_millis().try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_directed() {
        let matrix = Matrix { nodes: 2, through: [Edge::new(0, 1)].into() };
        assert!(matrix.reaches(0, 1) && matrix.reaches(1, 1) && !matrix.reaches(1, 0));
        assert_eq!(matrix.silent(), [Edge::new(1, 0)].into());
        assert_eq!(all_edges(5).len(), 20);
    }
}
