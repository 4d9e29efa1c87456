//! Systems under test on real nodes: bringing them up, talking to them, naming their roles, taking them down.
//!
//! One file a target, one line in [`ALL`]. Each target says what it promises under which faults; a run outside of
//! that is still run, and labelled so. Not here: deciding what to ask or to break, and judging the answers.

pub mod store;

use anyhow::Result;
use async_trait::async_trait;
use history::{Call, NodeId, Outcome};
use nodes::Cluster;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use workloads::Object;

/// Every target there is.
pub const ALL: &[&dyn Target] = &[&store::Store];

/// A cluster that several tasks dial into.
pub type SharedCluster = Arc<Box<dyn Cluster>>;

/// What to bring up.
#[derive(Clone, Debug)]
pub struct Deploy {
    /// The part after the colon: `raft` in `store:raft`.
    pub mode: String,
    pub bug: Option<String>,
    pub seed: u64,
    /// The program that serves as store: this very binary.
    pub program: PathBuf,
}

/// A node's own view of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleView {
    pub role: String,
    pub term: u64,
    pub leads: bool,
}

/// A kind of system.
#[async_trait]
pub trait Target: Send + Sync {
    /// The part before the colon.
    fn name(&self) -> &'static str;
    fn about(&self) -> &'static str;
    /// The parts after the colon, the default first, each with a sentence.
    fn modes(&self) -> &'static [(&'static str, &'static str)];
    /// The models that this mode claims for a workload under a family of faults; `None`: outside its promise.
    fn promise(&self, mode: &str, workload: &str, family: &str) -> Option<&'static str>;
    /// Starts it on every node. Not yet healthy when this returns.
    async fn deploy(&self, cluster: SharedCluster, deploy: &Deploy) -> Result<Arc<dyn Deployed>>;
}

/// A system that runs.
#[async_trait]
pub trait Deployed: Send + Sync {
    /// Returns once every node answers and, where the mode has one, a leader serves. An error says what is missing.
    async fn healthy(&self, deadline: Duration) -> Result<()>;
    /// A new connection for one client, opened from inside that node, or from outside.
    async fn client(
        &self,
        from: nodes::From,
        node: usize,
        object: Object,
        session: u64,
    ) -> Result<Box<dyn Client>>;
    /// Each node's view of itself; `None` where it does not answer within the patience.
    async fn roles(&self, patience: Duration) -> Vec<Option<RoleView>>;
    /// The name under which the agent knows the process on every node.
    fn process(&self) -> &'static str;
    /// The path of the process's log, as the node sees it.
    fn log(&self, node: usize) -> String;
    /// How often this node has synced its log since it started, if it counts that.
    async fn syncs(&self, node: usize) -> Option<u64>;
    /// How often the planted bug acted, summed over the nodes that answer.
    async fn activations(&self, patience: Duration) -> Option<u64>;
}

/// One client's connection. It cannot fail: what is not known is an outcome too, so nobody is tempted to drop it.
#[async_trait]
pub trait Client: Send {
    /// Asks once. `id` travels with the call and shows in the server's log. The server is the node that answered.
    async fn invoke(&mut self, call: &Call, id: &str, deadline: Duration) -> (Outcome, Option<NodeId>);
}

/// `store:raft` → the target and its mode.
pub fn find(name: &str) -> Option<(&'static dyn Target, &'static str)> {
    let (target, mode) = name.split_once(':').unwrap_or((name, ""));
    let target = *ALL.iter().find(|t| t.name() == target)?;
    let mode = match mode {
        "" => target.modes().first()?.0,
        m => target.modes().iter().find(|(name, _)| *name == m)?.0,
    };
    Some((target, mode))
}

/// All full names, for messages and `list`.
pub fn names() -> Vec<String> {
    ALL.iter().flat_map(|t| t.modes().iter().map(move |(m, _)| format!("{}:{m}", t.name()))).collect()
}
