//! Reaching machines: brings clusters of nodes up, opens connections from chosen places in them, runs
//! commands and agents on them over SSH, and takes them down again.
//!
//! It neither plans damage nor judges what came of it. Every provider gives the same [`Cluster`], and every
//! node is reached by the same [`remote::Remote`], whatever kind of machine it is.

pub mod agent_client;
pub mod bench;
pub mod fabric;
pub mod namespaces;
pub mod prober;
pub mod remote;
pub mod sshd;

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Result;
use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

pub use fabric::Fabric;
pub use remote::Remote;

/// Every provider there is: one file each, one line each.
pub const ALL: &[&dyn Provider] = &[&namespaces::Namespaces];

/// The provider of this name.
pub fn find(name: &str) -> Option<&'static dyn Provider> {
    ALL.iter().find(|provider| provider.name() == name).copied()
}

/// A duplex stream of bytes to a port of a node.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Any [`Stream`], owned.
pub type BoxedStream = Box<dyn Stream>;

/// What cluster to bring up.
#[derive(Clone, Debug)]
pub struct ClusterSpec {
    /// Names the run in journals and error messages: letters, digits, `.`, `_` and `-`.
    pub run: String,
    /// How many nodes, 1 to 60; they are called n1, n2, …
    pub nodes: usize,
    /// An existing folder of a real disk. Each node gets `<data_root>/<name>`, writable under that very path.
    pub data_root: PathBuf,
}

/// Where a client sits, which decides whether a cut shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// On the side of the node of this index: cut off together with it.
    Inside(usize),
    /// Beside the cluster, on a path of its own to every node.
    Outside,
}

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    pub name: String,
    /// Its address among the nodes.
    pub address: IpAddr,
    /// Its folder on a real disk, by the path that the node sees.
    pub data: PathBuf,
}

/// A way to get nodes.
#[async_trait]
pub trait Provider: Send + Sync {
    fn name(&self) -> &'static str;
    fn about(&self) -> &'static str;
    /// Brings a cluster up. When this returns, every node answers over SSH and its agent is running.
    async fn up(&self, spec: &ClusterSpec) -> Result<Box<dyn Cluster>>;
}

/// Nodes that are up. Dropping it takes them down as well, only without waiting for it.
#[async_trait]
pub trait Cluster: Send + Sync {
    fn nodes(&self) -> &[NodeInfo];
    /// Opens a connection to a port of a node. A refusal is an error at once; silence is one after a second.
    async fn dial(&self, from: From, to: usize, port: u16) -> Result<BoxedStream>;
    /// Commands, files and the agent on one node.
    fn remote(&self, node: usize) -> &Remote;
    /// Cuts links between nodes, and observes which links carry packets.
    fn fabric(&self) -> &Fabric;
    /// Takes every node down and waits until nothing of them is left.
    async fn down(self: Box<Self>) -> Result<()>;
}

#[cfg(test)]
mod tests {
    #[test]
    fn providers_are_found_by_their_name() {
        for provider in super::ALL {
            assert_eq!(super::find(provider.name()).unwrap().name(), provider.name());
            assert!(!provider.about().is_empty());
        }
        assert!(super::find("nowhere").is_none());
    }
}
