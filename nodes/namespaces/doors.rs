//! Sockets from inside: the controller asks, the hub opens a socket in a member's network namespace, and the
//! descriptor travels back. A socket stays in the namespace that it was made in, whoever holds it.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrIn, bind, recv,
    recvmsg, send, sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::isolate::enter_network;
use super::wire::{Door, DoorRequest, address};

/// How long the hub may take: it only ever makes a handful of system calls for it.
const DEADLINE: Duration = Duration::from_secs(2);

const LONGEST: usize = 512;

/// The controller's end.
pub struct Doors {
    socket: Mutex<OwnedFd>,
}

impl Doors {
    /// Takes one end of a pair of sequenced-packet sockets.
    pub fn new(socket: OwnedFd) -> Result<Doors> {
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(DEADLINE.as_millis() as i64))?;
        Ok(Doors { socket: Mutex::new(socket) })
    }

    /// A non-blocking socket in a member's network namespace. Takes some ten microseconds.
    pub fn open(&self, member: usize, door: Door) -> Result<OwnedFd> {
        let request = postcard::to_stdvec(&DoorRequest { member: member as u16, door })?;
        let socket = self.socket.lock().expect("no holder of this lock panics");
        send(socket.as_raw_fd(), &request, MsgFlags::MSG_NOSIGNAL).context("the hub is gone")?;
        receive(&socket)
    }
}

#[allow(unsafe_code)]
fn receive(socket: &OwnedFd) -> Result<OwnedFd> {
    let mut text = [0; LONGEST];
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let mut pieces = [IoSliceMut::new(&mut text)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut pieces, Some(&mut space), flags)
        .context("the hub does not answer")?;
    let length = message.bytes;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = control
            && let Some(&fd) = descriptors.first()
        {
            // SAFETY: the kernel has just put this descriptor into our table, and nobody else knows it.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
    bail!("the hub: {}", String::from_utf8_lossy(&text[..length]))
}

/// The hub's end.
pub struct Porter {
    pub socket: OwnedFd,
    /// Network namespaces of the nodes and, last, of the outside.
    pub members: Vec<OwnedFd>,
}

impl Porter {
    /// Serves one request. `Ok(false)` when the controller is gone.
    pub fn serve(&self) -> Result<bool> {
        let mut bytes = [0; LONGEST];
        let length = recv(self.socket.as_raw_fd(), &mut bytes, MsgFlags::empty())?;
        if length == 0 {
            return Ok(false);
        }
        let opened = postcard::from_bytes(&bytes[..length])
            .context("a broken request")
            .and_then(|request| self.open(request));
        match opened {
            Ok(socket) => answer(&self.socket, b"", Some(&socket))?,
            Err(error) => {
                let text = format!("{error:#}");
                answer(&self.socket, &text.as_bytes()[..text.len().min(LONGEST)], None)?;
            }
        }
        Ok(true)
    }

    fn open(&self, request: DoorRequest) -> Result<OwnedFd> {
        let member = usize::from(request.member);
        enter_network(self.members.get(member).context("no such member")?)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        match request.door {
            Door::Tcp => Ok(socket(AddressFamily::Inet, SockType::Stream, flags, None)?),
            Door::Udp { port } => {
                let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
                let at = SocketAddrV4::new(address(member, self.members.len() - 1), port);
                bind(socket.as_raw_fd(), &SockaddrIn::from(at))?;
                Ok(socket)
            }
        }
    }
}

fn answer(socket: &OwnedFd, text: &[u8], descriptor: Option<&OwnedFd>) -> Result<()> {
    let fds: Vec<_> = descriptor.iter().map(|fd| fd.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let control: &[ControlMessage] = if fds.is_empty() { &[] } else { &rights };
    // A packet without a byte would look like the end of the stream.
    let text = if text.is_empty() { b"+" } else { text };
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(text)], control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}
