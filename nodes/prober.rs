//! Looks at links from the controller, through the kernels of the nodes: one UDP packet for each directed
//! link, sent from a socket inside one node and received by a socket inside another.
//!
//! One-way by construction: nothing needs to come back over the link that is looked at. A packet's absence is
//! told quickly because a switch keeps the order of the packets of one sender: once a later packet from the
//! same sender has arrived over a link that no plan cuts, an earlier one that has not arrived was dropped.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use agent::fabric::{Edge, Edges};
use anyhow::{Context, Result};
use tokio::net::UdpSocket;
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

/// UDP port of the probes in every node.
pub const PORT: u16 = 7077;

/// How long after the sentinels a packet may still come: receivers run on other cores than the sender.
const GRACE: Duration = Duration::from_millis(2);

const MAGIC: [u8; 4] = *b"SCHP";
const LENGTH: usize = 16;

/// One packet: which round, over which link. The last member is the outside, where sentinels go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packet {
    round: u64,
    edge: Edge,
}

impl Packet {
    fn to_bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..12].copy_from_slice(&self.round.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.edge.from.to_le_bytes());
        bytes[14..].copy_from_slice(&self.edge.to.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Packet> {
        let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
        let number = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let round = u64::from_le_bytes(bytes[4..12].try_into().ok()?);
        (bytes[..4] == MAGIC).then(|| Packet { round, edge: Edge { from: number(12), to: number(14) } })
    }
}

struct Rounds {
    last: u64,
    arrivals: mpsc::UnboundedReceiver<Packet>,
}

/// Sockets in every member of the cluster, the outside last.
pub struct Prober {
    members: Vec<(Arc<UdpSocket>, SocketAddr)>,
    rounds: Mutex<Rounds>,
    tasks: Vec<AbortHandle>,
}

impl Prober {
    /// Takes one bound socket and its address for each node and, last, for the outside.
    pub fn new(sockets: Vec<(UdpSocket, SocketAddr)>) -> Prober {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let members: Vec<_> = sockets.into_iter().map(|(socket, at)| (Arc::new(socket), at)).collect();
        let tasks = members
            .iter()
            .enumerate()
            .map(|(index, (socket, _))| {
                tokio::spawn(receive(socket.clone(), index as u16, sender.clone())).abort_handle()
            })
            .collect();
        Prober { members, rounds: Mutex::new(Rounds { last: 0, arrivals }), tasks }
    }

    /// Sends a packet over each link; returns those whose packet arrived. Silent links get a second packet,
    /// so that one lost to an overflowing queue is not taken for a cut. Costs well under a millisecond when
    /// all are up and some milliseconds otherwise; `patience` bounds each of the two tries.
    pub async fn crossed(&self, edges: &Edges, patience: Duration) -> Result<BTreeSet<Edge>> {
        let mut rounds = self.rounds.lock().await;
        let mut through = self.round(&mut rounds, edges, patience).await?;
        let silent: Edges = edges.difference(&through).copied().collect();
        if !silent.is_empty() {
            through.extend(self.round(&mut rounds, &silent, patience).await?);
        }
        Ok(through)
    }

    async fn round(&self, rounds: &mut Rounds, edges: &Edges, patience: Duration) -> Result<BTreeSet<Edge>> {
        rounds.last += 1;
        let round = rounds.last;
        let outside = self.members.len() - 1;
        let mut sentinels: BTreeSet<Edge> =
            edges.iter().map(|edge| Edge::new(usize::from(edge.from), outside)).collect();
        for &edge in edges.iter().chain(&sentinels) {
            self.send(Packet { round, edge }).await?;
        }
        let mut missing = edges.clone();
        let mut until = Instant::now() + patience;
        while !missing.is_empty() {
            let Ok(Some(packet)) = timeout_at(until, rounds.arrivals.recv()).await else { break };
            if packet.round != round {
                continue;
            }
            missing.remove(&packet.edge);
            if sentinels.remove(&packet.edge) && sentinels.is_empty() {
                until = until.min(Instant::now() + GRACE);
            }
        }
        Ok(edges.difference(&missing).copied().collect())
    }

    async fn send(&self, packet: Packet) -> Result<()> {
        let member = |index: u16| self.members.get(usize::from(index)).context("no such node");
        let (socket, _) = member(packet.edge.from)?;
        let (_, address) = member(packet.edge.to)?;
        socket.send_to(&packet.to_bytes(), address).await.context("a probe cannot be sent")?;
        Ok(())
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn receive(socket: Arc<UdpSocket>, index: u16, sender: mpsc::UnboundedSender<Packet>) {
    let mut bytes = [0; 64];
    loop {
        // An error is an ICMP message about an earlier packet of ours; the socket goes on.
        let Ok(length) = socket.recv(&mut bytes).await else {
            tokio::task::yield_now().await;
            continue;
        };
        match Packet::from_bytes(&bytes[..length]) {
            Some(packet) if packet.edge.to == index => {
                if sender.send(packet).is_err() {
                    return;
                }
            }
            _ => continue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn prober(members: usize) -> Prober {
        let mut sockets = Vec::new();
        for _ in 0..members {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            sockets.push((socket, address));
        }
        Prober::new(sockets)
    }

    #[test]
    fn packets_round_trip_and_strangers_are_ignored() {
        let packet = Packet { round: 1 << 40, edge: Edge::new(3, 59) };
        assert_eq!(Packet::from_bytes(&packet.to_bytes()), Some(packet));
        assert_eq!(Packet::from_bytes(b"hello"), None);
        assert_eq!(Packet::from_bytes(&[0; LENGTH]), None);
    }

    #[tokio::test]
    async fn every_link_of_an_open_network_is_crossed() {
        let edges = crate::fabric::all_edges(3);
        let seen = prober(4).await.crossed(&edges, Duration::from_secs(20)).await.unwrap();
        assert_eq!(seen, edges);
    }

    #[tokio::test]
    async fn a_link_to_a_dead_address_is_silent_and_the_others_are_not() {
        let mut prober = prober(4).await;
        let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        prober.members[1].1 = nobody.local_addr().unwrap();
        let edges: Edges = [Edge::new(0, 1), Edge::new(0, 2)].into();
        let seen = prober.crossed(&edges, Duration::from_secs(20)).await.unwrap();
        assert_eq!(seen, [Edge::new(0, 2)].into());
    }
}
