//! A packet switch in user space: frames that leave one member's `eth0` are read from the other end of its
//! wire and written to the wire of the member they are for, unless that directed link is cut.
//!
//! One thread for each port, so frames of one sender keep their order. A decision and the forwarding that
//! follows are made under one read lock: when a change of policy returns, no frame decided under the old one
//! is still inside the switch, and all edges of a change take effect at the same instant.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use agent::fabric::{Edge, Edges, LinkCount};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::libc;
use nix::net::if_::if_nametoindex;

/// Room for a burst on each port; beyond it the kernel drops as a real switch would.
const BUFFER: libc::c_int = 8 << 20;

/// Longest frame that is read whole.
const FRAME: usize = 64 << 10;

/// The switch, shared between its threads and the hub.
pub struct Switch {
    ports: Vec<Port>,
    /// For each sending port, the set of receiving ports that it is cut from, as bits.
    policy: RwLock<Vec<u64>>,
    forwarded: Vec<AtomicU64>,
    dropped: Vec<AtomicU64>,
}

struct Port {
    socket: OwnedFd,
    hardware: [u8; 6],
}

impl Switch {
    /// Opens a raw socket on each device of our network namespace; its member has the given address.
    pub fn open(devices: &[(String, [u8; 6])]) -> Result<Switch> {
        let port = |(name, hardware): &(String, [u8; 6])| {
            let socket = raw_socket(name).with_context(|| format!("a raw socket on {name}"))?;
            Ok(Port { socket, hardware: *hardware })
        };
        let ports = devices.iter().map(port).collect::<Result<Vec<_>>>()?;
        let counters = || (0..ports.len() * ports.len()).map(|_| AtomicU64::new(0)).collect();
        let (forwarded, dropped) = (counters(), counters());
        Ok(Switch { policy: RwLock::new(vec![0; ports.len()]), ports, forwarded, dropped })
    }

    /// Starts one thread for each port. They run until the process ends.
    pub fn run(self: &Arc<Self>) -> io::Result<()> {
        for port in 0..self.ports.len() {
            let switch = self.clone();
            std::thread::Builder::new().name(format!("port{port}")).spawn(move || switch.serve(port))?;
        }
        Ok(())
    }

    /// Number of ports.
    pub fn ports(&self) -> usize {
        self.ports.len()
    }

    /// Replaces the policy: from now on exactly these links are cut.
    pub fn cut_exactly(&self, edges: &Edges) {
        let masks = masks(self.ports.len(), edges);
        *self.policy.write().expect("no holder of this lock panics") = masks;
    }

    /// The counters of every directed link.
    pub fn counts(&self) -> Vec<LinkCount> {
        let ports = self.ports.len();
        let links = (0..ports).flat_map(|from| (0..ports).map(move |to| (from, to)));
        let count = |(from, to)| LinkCount {
            edge: Edge::new(from, to),
            forwarded: self.forwarded[from * ports + to].load(Ordering::Relaxed),
            dropped: self.dropped[from * ports + to].load(Ordering::Relaxed),
        };
        links.filter(|(from, to)| from != to).map(count).collect()
    }

    fn serve(&self, from: usize) {
        let mut frame = vec![0; FRAME];
        loop {
            match receive(&self.ports[from].socket, &mut frame) {
                Ok(length) => self.forward(from, &frame[..length]),
                Err(Errno::EINTR | Errno::ENETDOWN | Errno::ENOBUFS) => {}
                // The wire is gone, and with it the member.
                Err(_) => return,
            }
        }
    }

    fn forward(&self, from: usize, frame: &[u8]) {
        let Some(destination) = frame.first_chunk::<6>() else { return };
        let everyone = destination[0] & 1 == 1;
        let policy = self.policy.read().expect("no holder of this lock panics");
        for (to, port) in self.ports.iter().enumerate() {
            if to == from || !(everyone || port.hardware == *destination) {
                continue;
            }
            let link = from * self.ports.len() + to;
            if policy[from] >> to & 1 == 1 {
                self.dropped[link].fetch_add(1, Ordering::Relaxed);
            } else if send(&port.socket, frame).is_ok() {
                self.forwarded[link].fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn masks(ports: usize, edges: &Edges) -> Vec<u64> {
    let mut masks = vec![0; ports];
    for edge in edges {
        if let Some(mask) = masks.get_mut(usize::from(edge.from)) {
            *mask |= 1u64.checked_shl(u32::from(edge.to)).unwrap_or(0);
        }
    }
    masks
}

fn receive(socket: &OwnedFd, frame: &mut [u8]) -> nix::Result<usize> {
    nix::sys::socket::recv(socket.as_raw_fd(), frame, nix::sys::socket::MsgFlags::empty())
}

fn send(socket: &OwnedFd, frame: &[u8]) -> nix::Result<usize> {
    nix::sys::socket::send(socket.as_raw_fd(), frame, nix::sys::socket::MsgFlags::empty())
}

fn raw_socket(device: &str) -> Result<OwnedFd> {
    let index = if_nametoindex(device)?;
    // Protocol 0 receives nothing until the bind below names the device: no frame of another one slips in.
    // SAFETY: takes integers and returns a new descriptor or -1.
    let fd = Errno::result(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // Frames that we send out of a port must not come back in through it.
    set(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
    if set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER).is_err() {
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, BUFFER)?;
    }
    bind(&socket, index)?;
    Ok(socket)
}

fn set(socket: &OwnedFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> nix::Result<()> {
    let size = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the pointer and the size describe `value`, which outlives the call.
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), size) };
    Errno::result(done).map(drop)
}

fn bind(socket: &OwnedFd, index: u32) -> nix::Result<()> {
    // SAFETY: sockaddr_ll is plain integers, for which all zeros is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index as i32;
    let size = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer and the size describe `address`, which outlives the call.
    let done = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) };
    Errno::result(done).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_one_bit_and_unknown_ones_are_none() {
        let edges: Edges = [Edge::new(0, 2), Edge::new(0, 1), Edge::new(2, 0), Edge::new(9, 0)].into();
        assert_eq!(masks(3, &edges), [0b110, 0, 0b001]);
        assert_eq!(masks(1, &[Edge::new(0, 64)].into()), [0]);
    }
}
