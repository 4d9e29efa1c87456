//! The wires: a pair of virtual Ethernet devices for each member, its end called `eth0` inside the member's
//! network namespace, the other end called `port<k>` in the switch's.
//!
//! Neighbours are entered by hand: address resolution needs both directions, so that a cut of one direction
//! would soon silence the other one too. Checksums are computed by the sender, so that a frame in the switch
//! is exactly a frame on a wire.

#![allow(unsafe_code)]

use std::fs;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth};
use rtnetlink::packet_route::neighbour::NeighbourState;
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, new_connection};

use super::isolate::enter_network;
use super::wire::{address, hardware};

/// Name of the switch's end of a member's wire.
pub fn port(member: usize) -> String {
    format!("port{member}")
}

/// Makes and configures all wires. `members` are the network namespaces of the nodes and, last, of the
/// outside; `home` is the switch's, which the calling thread is in and is left in.
pub fn lay(home: &OwnedFd, members: &[OwnedFd]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        for member in members {
            enter_network(member)?;
            without_ipv6();
        }
        enter_network(home)?;
        without_ipv6();
        let (connection, handle, _) = new_connection()?;
        tokio::spawn(connection);
        for (index, member) in members.iter().enumerate() {
            create(&handle, index, members.len() - 1, member).await?;
        }
        for (index, member) in members.iter().enumerate() {
            enter_network(member)?;
            configure(index, members.len() - 1).await.context("configuring eth0")?;
        }
        enter_network(home)
    })
}

/// Keeps the kernel from sending router solicitations over the wires. Kernels without IPv6 lack the file.
fn without_ipv6() {
    for scope in ["all", "default"] {
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
    }
}

async fn create(handle: &Handle, index: usize, nodes: usize, member: &OwnedFd) -> Result<()> {
    let peer = LinkMessageBuilder::<LinkUnspec>::new()
        .name("eth0")
        .address(hardware(index, nodes).to_vec())
        .setns_by_fd(member.as_raw_fd())
        .build();
    let pair = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(port(index))
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .up()
        .build();
    handle.link().add(pair).execute().await.context("a veth pair")
}

/// Brings the namespace that we are in to life: loopback, address, neighbours.
async fn configure(index: usize, nodes: usize) -> Result<()> {
    let (connection, handle, _) = new_connection()?;
    tokio::spawn(connection);
    let eth0 = if_nametoindex("eth0")?;
    offload_nothing("eth0")?;
    up(&handle, if_nametoindex("lo")?).await?;
    handle.address().add(eth0, IpAddr::V4(address(index, nodes)), 24).execute().await?;
    up(&handle, eth0).await?;
    for other in (0..=nodes).filter(|&other| other != index) {
        handle
            .neighbours()
            .add(eth0, IpAddr::V4(address(other, nodes)))
            .link_layer_address(&hardware(other, nodes))
            .state(NeighbourState::Permanent)
            .execute()
            .await?;
    }
    Ok(())
}

async fn up(handle: &Handle, index: u32) -> Result<()> {
    let message = LinkMessageBuilder::<LinkUnspec>::new().index(index).up().build();
    Ok(handle.link().set(message).execute().await?)
}

/// `struct ethtool_value`.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// `struct ifreq` with a pointer in its union, padded to the kernel's size.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    value: *mut EthtoolValue,
    padding: [u64; 2],
}

const ETHTOOL_STXCSUM: u32 = 0x17;
const ETHTOOL_SGSO: u32 = 0x24;

/// Turns off segmentation and checksum offload of a device in our network namespace.
fn offload_nothing(device: &str) -> Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    for command in [ETHTOOL_SGSO, ETHTOOL_STXCSUM] {
        let mut value = EthtoolValue { command, data: 0 };
        let mut name = [0; libc::IFNAMSIZ];
        name[..device.len()].copy_from_slice(device.as_bytes());
        let mut request = InterfaceRequest { name, value: &mut value, padding: [0; 2] };
        // SAFETY: the request has the layout that SIOCETHTOOL expects, and both it and the value that it
        // points to outlive the call.
        let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &mut request) };
        Errno::result(done).context("turning off offloads of eth0")?;
    }
    Ok(())
}
