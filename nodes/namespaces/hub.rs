//! The hub: parent of all nodes, owner of the wires, and the fabric's agent.
//!
//! It is process 1 of a process id namespace around the whole cluster, so its death is everyone's. It ends
//! when its control socket does, which the kernel closes however the controller dies. Cuts live under leases
//! that it watches itself: a controller that stands still cannot keep one alive.

use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use agent::clock::boottime_ns;
use agent::faults::FaultSet;
use agent::protocol::{
    Capabilities, Decoder, ErrorKind, Family, Frame, Probe, Reply, Request, VERSION, What, read_frame,
    write_frame,
};
use anyhow::{Context, Result, bail};
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use super::doors::Porter;
use super::switch::Switch;
use super::wire::{HubAnswer, HubSpec, NodeSpec, hardware};
use super::{NODE, isolate, links};

/// Argument after the hub's own that makes it try everything and go away again.
pub const TRY: &str = "try";

/// The hub's sub-command. Its control socket is standard input and the socket of its doors is standard
/// output. Must be called while the process has one thread.
pub fn hub_main() -> i32 {
    let trial = std::env::args().nth(2).as_deref() == Some(TRY);
    let done = if trial { try_everything() } else { run() };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            1
        }
    }
}

fn run() -> Result<i32> {
    let control = take_standard(0)?;
    let doors = take_standard(1)?;
    if let Err(error) = isolate::leave_the_host() {
        return answer(&mut File::from(control), Err(format!("{error:#}"))).map(|()| 1);
    }
    isolate::die_with_parent()?;
    match isolate::fork()? {
        ForkResult::Parent { child } => {
            // Our copies would keep the sockets open after the hub's death.
            drop((control, doors));
            wait_for(child)
        }
        ForkResult::Child => std::process::exit(match inside(File::from(control), doors) {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("hub: {error:#}");
                1
            }
        }),
    }
}

/// Moves a standard stream out of the way of whatever we start, and puts nothing in its place.
fn take_standard(number: i32) -> Result<OwnedFd> {
    let taken = File::from(isolate::inherited(number));
    let ours = fcntl(&taken, FcntlArg::F_DUPFD_CLOEXEC(10))?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    isolate::give_as(&null.into(), number)?;
    // The number belongs to /dev/null now, for as long as the process lives.
    std::mem::forget(taken);
    Ok(isolate::inherited(ours))
}

fn wait_for(child: Pid) -> Result<i32> {
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(128 + signal as i32),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn answer(control: &mut File, answer: HubAnswer) -> Result<()> {
    Ok(write_frame(control, &answer)?)
}

/// Process 1 of the cluster.
fn inside(mut control: File, doors: OwnedFd) -> Result<()> {
    match set_up(&mut control, doors) {
        Ok(hub) => {
            answer(&mut control, Ok(()))?;
            hub.serve(control)
        }
        Err(error) => answer(&mut control, Err(format!("{error:#}"))),
    }
}

fn set_up(control: &mut File, doors: OwnedFd) -> Result<Hub> {
    isolate::die_with_parent()?;
    isolate::private_mounts()?;
    isolate::mount_proc()?;
    let spec: HubSpec = read_frame(control).context("the controller is gone")?;
    let mut nodes = spec.nodes.iter().map(spawn_node).collect::<Result<Vec<_>>>()?;
    let mut members = nodes.iter().map(|node| isolate::network_of(node.pid)).collect::<Result<Vec<_>>>()?;
    members.push(isolate::spare_network()?);
    let home = isolate::own_network()?;
    links::lay(&home, &members)?;
    let last = members.len() - 1;
    let ports: Vec<_> = (0..=last).map(|member| (links::port(member), hardware(member, last))).collect();
    let switch = Arc::new(Switch::open(&ports)?);
    for node in &mut nodes {
        node.channel.write_all(b"g")?;
    }
    for node in &mut nodes {
        let ready = node.channel.read_exact(&mut [0]);
        ready.with_context(|| format!("{} did not come up", node.name))?;
    }
    // Last of all: nothing may fork without an exec once there are threads.
    switch.run()?;
    Ok(Hub { switch, porter: Porter { socket: doors, members }, faults: FaultSet::default(), _nodes: nodes })
}

struct Node {
    name: String,
    pid: Pid,
    channel: File,
}

fn spawn_node(spec: &NodeSpec) -> Result<Node> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    match isolate::fork_node()? {
        ForkResult::Child => {
            let error = become_node(&theirs);
            eprintln!("{}: {error:#}", spec.name);
            std::process::exit(1);
        }
        ForkResult::Parent { child } => {
            let mut channel = File::from(ours);
            write_frame(&mut channel, spec).with_context(|| format!("{} died at once", spec.name))?;
            Ok(Node { name: spec.name.clone(), pid: child, channel })
        }
    }
}

/// Returns only when it failed.
fn become_node(channel: &OwnedFd) -> anyhow::Error {
    if let Err(error) = isolate::give_as(channel, super::node::CHANNEL) {
        return error;
    }
    Command::new("/proc/self/exe").arg0("schism").arg(NODE).exec().into()
}

struct Hub {
    switch: Arc<Switch>,
    porter: Porter,
    faults: FaultSet,
    /// The nodes end when their channels do not, but a node that fails early must not find it closed.
    _nodes: Vec<Node>,
}

impl Hub {
    /// Serves until the controller is gone.
    fn serve(mut self, mut control: File) -> Result<()> {
        let mut decoder = Decoder::default();
        let mut piece = vec![0; 64 << 10];
        loop {
            let mut ready = [
                PollFd::new(control.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.porter.socket.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut ready, self.timeout()) {
                Err(nix::errno::Errno::EINTR) => continue,
                other => other?,
            };
            let [control_ready, door_ready] = ready.map(|fd| fd.any().unwrap_or(false));
            if !self.faults.expire(boottime_ns()).is_empty() {
                self.compile();
            }
            if door_ready && !self.porter.serve()? {
                return Ok(());
            }
            if control_ready {
                match control.read(&mut piece) {
                    Ok(0) => return Ok(()),
                    Ok(length) => decoder.push(&piece[..length]),
                    Err(error) if error.kind() == IoErrorKind::Interrupted => {}
                    Err(error) => bail!("control socket: {error}"),
                }
                while let Some(Frame { id, body }) = decoder.frame::<Frame<Request>>()? {
                    let body = self.handle(body);
                    write_frame(&mut control, &Frame { id, body })?;
                }
            }
        }
    }

    fn timeout(&self) -> PollTimeout {
        let Some(deadline) = self.faults.next_deadline() else { return PollTimeout::NONE };
        let left = deadline.saturating_sub(boottime_ns()).div_ceil(1_000_000);
        PollTimeout::try_from(left.min(60_000)).unwrap_or(PollTimeout::ZERO)
    }

    fn compile(&self) {
        self.switch.cut_exactly(&self.faults.cut_edges());
    }

    fn handle(&mut self, request: Request) -> Reply {
        let deadline = |lease_ms: u32| boottime_ns() + u64::from(lease_ms) * 1_000_000;
        match request {
            Request::Hello => Reply::Hello(Capabilities {
                version: VERSION,
                families: vec![Family::Fabric],
                pid: std::process::id(),
                watchdog: true,
                swept: 0,
            }),
            Request::Apply { fault, what, lease_ms } => self.apply(fault, what, deadline(lease_ms)),
            Request::Renew { faults, lease_ms } => {
                Reply::Renewed { faults: self.faults.renew(&faults, deadline(lease_ms)).len() as u32 }
            }
            Request::Heal { faults } => {
                let healed = self.faults.heal(&faults).len() as u32;
                self.compile();
                Reply::Healed { faults: healed, seen: Vec::new() }
            }
            Request::Active => Reply::Active(self.faults.list(boottime_ns())),
            Request::Probe(Probe::Links) => Reply::Links(self.switch.counts()),
            Request::Echo(bytes) => Reply::Echo(bytes),
            _ => Reply::error(ErrorKind::Unsupported, "this is a node's agent's work"),
        }
    }

    fn apply(&mut self, fault: u64, what: What, deadline_ns: u64) -> Reply {
        let What::Cut { edges } = &what else {
            return Reply::error(ErrorKind::Unsupported, "the fabric only cuts links");
        };
        let ports = self.switch.ports();
        if let Some(edge) = edges.iter().find(|e| usize::from(e.from.max(e.to)) >= ports || e.from == e.to) {
            return Reply::error(ErrorKind::Unknown, format!("there is no link {} → {}", edge.from, edge.to));
        }
        match self.faults.apply(fault, what, deadline_ns) {
            Ok(()) => {
                self.compile();
                Reply::Applied { seen: Vec::new() }
            }
            Err(message) => Reply::error(ErrorKind::Conflict, message),
        }
    }
}

/// Makes one of each kind of namespace, a mount and a raw socket, and goes away again.
fn try_everything() -> Result<i32> {
    isolate::leave_the_host()?;
    isolate::die_with_parent()?;
    let inner = || -> Result<()> {
        isolate::private_mounts()?;
        isolate::mount_proc()?;
        Switch::open(&[("lo".to_owned(), [0; 6])])?;
        match isolate::fork_node()? {
            ForkResult::Child => std::process::exit(0),
            ForkResult::Parent { child } => match wait_for(child)? {
                0 => Ok(()),
                code => bail!("the namespaces of a node: exit {code}"),
            },
        }
    };
    match isolate::fork()? {
        ForkResult::Parent { child } => wait_for(child),
        ForkResult::Child => {
            let done = inner();
            if let Err(error) = &done {
                eprintln!("{error:#}");
            }
            std::process::exit(i32::from(done.is_err()));
        }
    }
}
