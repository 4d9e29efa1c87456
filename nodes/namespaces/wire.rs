//! What the controller tells the hub, what the hub tells a node, and how members of the cluster are numbered,
//! named and addressed.
//!
//! Members 0..n are the nodes n1..; member n is the outside.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// First message on the hub's control socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HubSpec {
    pub nodes: Vec<NodeSpec>,
}

/// Everything that one node is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeSpec {
    pub name: String,
    /// A folder of the host that the node keeps as it is, by the same path.
    pub data: PathBuf,
    /// Folder of the agent's journal, under the node's own `/run`.
    pub journal: String,
    /// Text of `/etc/hosts`.
    pub hosts: String,
    /// OpenSSH form of the server's secret key; it only ever crosses sockets that no other process has.
    pub host_key: String,
    /// OpenSSH form of the public key that may log in.
    pub client_key: String,
}

/// The hub's one answer to its [`HubSpec`]; after `Ok` the agent's protocol follows.
pub type HubAnswer = Result<(), String>;

/// A socket to be opened inside a member's network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorRequest {
    pub member: u16,
    pub door: Door,
}

/// What kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Door {
    /// A TCP socket, not connected yet.
    Tcp,
    /// A UDP socket bound to the member's address and this port.
    Udp { port: u16 },
}

/// Most nodes that one cluster may have: a switch's policy is one bit for each pair in a word.
pub const MAX_NODES: usize = 60;

/// Name of a node.
pub fn name(index: usize) -> String {
    format!("n{}", index + 1)
}

/// Address of a member of a cluster of `nodes` nodes.
pub fn address(member: usize, nodes: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, if member == nodes { 254 } else { member as u8 + 1 })
}

/// Hardware address of a member: locally administered, and the address in the last four bytes.
pub fn hardware(member: usize, nodes: usize) -> [u8; 6] {
    let [a, b, c, d] = address(member, nodes).octets();
    [0x02, 0x00, a, b, c, d]
}

/// The text of every node's `/etc/hosts`.
pub fn hosts(nodes: usize) -> String {
    let line = |index| format!("{} {}\n", address(index, nodes), name(index));
    let members: String = (0..nodes).map(line).collect();
    format!("127.0.0.1 localhost\n{members}{} outside\n", address(nodes, nodes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn members_have_distinct_addresses_and_the_outside_is_254() {
        let all: BTreeSet<_> = (0..=MAX_NODES).map(|member| hardware(member, MAX_NODES)).collect();
        assert_eq!(all.len(), MAX_NODES + 1);
        assert_eq!(address(0, 5).to_string(), "10.77.0.1");
        assert_eq!(address(5, 5).to_string(), "10.77.0.254");
        assert_eq!(hosts(1), "127.0.0.1 localhost\n10.77.0.1 n1\n10.77.0.254 outside\n");
    }
}
