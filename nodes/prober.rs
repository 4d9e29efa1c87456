//! Looks at links from the controller, through the kernels of the nodes: one UDP packet for each directed
//! link, sent from a socket inside one node and received by a socket inside another.
//!
//! One-way by construction: nothing needs to come back over the link that is looked at. A packet's absence is
//! told quickly because a switch keeps the order of the packets of one sender: once a later packet from the
//! same sender has arrived over a link that no plan cuts, an earlier one that has not arrived was dropped.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::task::Poll;
use std::time::Duration;

use agent::fabric::{Edge, Edges};
use anyhow::{Context, Result};
use nix::sys::socket::{MsgFlags, recv};
use tokio::net::UdpSocket;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

/// UDP port of the probes in every node.
pub const PORT: u16 = 7077;

/// How long after the sentinels a packet may still come, in each of the tries: the kernel delivers on several
/// cores. The first try is quick, and only its silence costs the second, which decides.
const GRACES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(1)];

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

/// Sockets in every member of the cluster, the outside last.
pub struct Prober {
    members: Vec<(UdpSocket, SocketAddr)>,
    /// Number of the last round; held while a round is going on, so that rounds do not mix.
    last: Mutex<u64>,
}

/// What one round still waits for.
struct Round {
    number: u64,
    missing: Edges,
    sentinels: Edges,
}

impl Round {
    fn arrived(&mut self, bytes: &[u8]) {
        if let Some(packet) = Packet::from_bytes(bytes).filter(|packet| packet.round == self.number) {
            self.missing.remove(&packet.edge);
            self.sentinels.remove(&packet.edge);
        }
    }
}

impl Prober {
    /// Takes one bound socket and its address for each node and, last, for the outside.
    pub fn new(members: Vec<(UdpSocket, SocketAddr)>) -> Prober {
        Prober { members, last: Mutex::new(0) }
    }

    /// Sends a packet over each link; returns those whose packet arrived. Silent links get a second packet,
    /// so that one lost to an overflowing queue, or late, is not taken for a cut. Costs well under a millisecond when
    /// all are up and some milliseconds otherwise; `patience` bounds each of the two tries.
    pub async fn crossed(&self, edges: &Edges, patience: Duration) -> Result<BTreeSet<Edge>> {
        let mut last = self.last.lock().await;
        let mut silent = edges.clone();
        for grace in GRACES {
            if silent.is_empty() {
                break;
            }
            *last += 1;
            silent = self.round(*last, silent, patience, grace).await?;
        }
        Ok(edges.difference(&silent).copied().collect())
    }

    /// Returns the links whose packet did not arrive.
    async fn round(&self, number: u64, edges: Edges, patience: Duration, grace: Duration) -> Result<Edges> {
        let outside = self.members.len() - 1;
        let sentinels: Edges = edges.iter().map(|edge| Edge::new(usize::from(edge.from), outside)).collect();
        for &edge in edges.iter().chain(&sentinels) {
            self.send(Packet { round: number, edge }).await?;
        }
        let mut round = Round { number, missing: edges, sentinels };
        let mut until = Instant::now() + patience;
        let mut graced = false;
        while !round.missing.is_empty() && timeout_at(until, self.readable()).await.is_ok() {
            self.drain(|socket, bytes| socket.try_recv(bytes).ok(), &mut round);
            if round.sentinels.is_empty() && !graced {
                graced = true;
                until = until.min(Instant::now() + grace);
            }
        }
        // Asks the kernel once more without the runtime, whose own threads may have been kept waiting.
        let now = |socket: &UdpSocket, bytes: &mut [u8]| {
            recv(socket.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT).ok()
        };
        self.drain(now, &mut round);
        Ok(round.missing)
    }

    /// Waits until some socket may have a packet.
    async fn readable(&self) {
        poll_fn(|context| {
            // Each socket is asked, so that each will wake us.
            let ready = self.members.iter().filter(|(s, _)| s.poll_recv_ready(context).is_ready()).count();
            if ready > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn drain(&self, receive: impl Fn(&UdpSocket, &mut [u8]) -> Option<usize>, round: &mut Round) {
        let mut bytes = [0; 64];
        for (socket, _) in &self.members {
            while let Some(length) = receive(socket, &mut bytes) {
                round.arrived(&bytes[..length]);
            }
        }
    }

    async fn send(&self, packet: Packet) -> Result<()> {
        let member = |index: u16| self.members.get(usize::from(index)).context("no such node");
        let (socket, _) = member(packet.edge.from)?;
        let (_, address) = member(packet.edge.to)?;
        socket.send_to(&packet.to_bytes(), address).await.context("a probe cannot be sent")?;
        Ok(())
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
