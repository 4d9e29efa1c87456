//! Nodes as namespaces of this machine: no root, no installed program, no trace.
//!
//! The controller stays in the host's namespaces. It re-executes its own binary as the *hub*, which makes
//! the namespaces, the nodes and the wires between them; every byte to and from a node goes through sockets
//! that the hub opens inside and hands out. When the controller ends, in whatever way, the hub ends, and
//! everything with it.
//!
//! The binary must dispatch [`HUB`], [`NODE`] and [`agent::COMMAND`] (given as its first argument) to
//! [`hub_main`], [`node_main`] and [`agent::serve_stdio`] before it starts any thread.

mod doors;
mod hub;
mod isolate;
mod links;
mod node;
mod switch;
mod wire;

use std::fs;
use std::io::Read;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream as StdTcpStream, UdpSocket as StdUdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent::journal::check_name;
use agent::protocol::encode;
use anyhow::{Context, Result, anyhow, bail, ensure};
use async_trait::async_trait;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::agent_client::AgentClient;
use crate::prober::{PORT, Prober};
use crate::remote::{Credentials, Dialer, Remote, fresh_key};
use crate::{BoxedStream, Cluster, ClusterSpec, Fabric, From, NodeInfo, Provider, sshd};

use doors::Doors;
use wire::{Door, HubAnswer, HubSpec, MAX_NODES, NodeSpec};

pub use hub::hub_main;
pub use node::node_main;

/// Name of the hidden sub-command that runs [`hub_main`].
pub const HUB: &str = "hub";

/// Name of the hidden sub-command that runs [`node_main`].
pub const NODE: &str = "node";

/// How long the hub may take to bring everything up, on a machine under load.
const UP_DEADLINE: Duration = Duration::from_secs(20);

const DOWN_DEADLINE: Duration = Duration::from_secs(5);

/// A first segment lost while a link settles would be sent again only after a second, so many short
/// attempts are made instead of one long one.
const ATTEMPT: Duration = Duration::from_millis(100);

const DIAL_DEADLINE: Duration = Duration::from_secs(1);

/// The provider.
pub struct Namespaces;

#[async_trait]
impl Provider for Namespaces {
    fn name(&self) -> &'static str {
        "namespaces"
    }

    fn about(&self) -> &'static str {
        "nodes as namespaces of this machine, joined by a switch in user space; needs neither root nor programs"
    }

    async fn up(&self, spec: &ClusterSpec) -> Result<Box<dyn Cluster>> {
        Ok(Box::new(NamespaceCluster::up(spec).await?))
    }
}

/// Whether this machine allows it, found by trying in a process of its own; the error names what to change.
/// Takes some milliseconds.
pub fn probe() -> std::result::Result<(), String> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("schism").args([HUB, hub::TRY]).stdin(Stdio::null()).stdout(Stdio::null());
    let output = command.output().map_err(|error| format!("cannot start ourselves: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

struct NamespaceCluster {
    nodes: Vec<NodeInfo>,
    remotes: Vec<Arc<Remote>>,
    fabric: Fabric,
    doors: Arc<Doors>,
    hub: HubProcess,
}

impl NamespaceCluster {
    async fn up(spec: &ClusterSpec) -> Result<NamespaceCluster> {
        let count = spec.nodes;
        ensure!((1..=MAX_NODES).contains(&count), "{count} nodes: 1 to {MAX_NODES} are possible");
        check_name(&spec.run)?;
        let nodes = (0..count).map(|index| make_node(spec, index)).collect::<Result<Vec<_>>>()?;
        let (client_key, host_key) = (Arc::new(fresh_key()?), fresh_key()?);
        let hub_spec = hub_spec(&spec.run, &nodes, &client_key, &host_key)?;
        let (control, doors, hub) = HubProcess::start(&hub_spec).await?;
        let doors = Arc::new(doors);
        let (reader, writer) = control.into_split();
        let agent = AgentClient::new("fabric", reader, writer);
        let fabric = Fabric::new(agent, prober(&doors, count)?, count);
        let remotes = nodes.iter().enumerate().map(|(index, node)| {
            let credentials = Credentials {
                user: "root".into(),
                key: client_key.clone(),
                host: host_key.public_key().clone(),
            };
            let dialer = Loopback { doors: doors.clone(), member: index };
            Arc::new(Remote::new(&node.name, dialer, credentials, sshd::AGENT))
        });
        let cluster = NamespaceCluster { remotes: remotes.collect(), nodes, fabric, doors, hub };
        cluster.start_agents().await?;
        Ok(cluster)
    }

    async fn start_agents(&self) -> Result<()> {
        let mut starting = JoinSet::new();
        for remote in &self.remotes {
            let remote = remote.clone();
            starting.spawn(async move { remote.agent().await.map(drop) });
        }
        while let Some(started) = starting.join_next().await {
            started??;
        }
        Ok(())
    }
}

fn make_node(spec: &ClusterSpec, index: usize) -> Result<NodeInfo> {
    let name = wire::name(index);
    let data = spec.data_root.join(&name);
    fs::create_dir_all(&data).with_context(|| format!("{}", data.display()))?;
    let data = data.canonicalize()?;
    Ok(NodeInfo { name, address: IpAddr::V4(wire::address(index, spec.nodes)), data })
}

fn hub_spec(run: &str, nodes: &[NodeInfo], client: &PrivateKey, host: &PrivateKey) -> Result<HubSpec> {
    let node = |node: &NodeInfo| {
        Ok(NodeSpec {
            name: node.name.clone(),
            data: node.data.clone(),
            journal: format!("/run/schism/{run}"),
            hosts: wire::hosts(nodes.len()),
            host_key: host.to_openssh(LineEnding::LF)?.to_string(),
            client_key: client.public_key().to_openssh()?,
        })
    };
    Ok(HubSpec { nodes: nodes.iter().map(node).collect::<Result<_>>()? })
}

fn prober(doors: &Doors, nodes: usize) -> Result<Prober> {
    let socket = |member| -> Result<_> {
        let socket = StdUdpSocket::from(doors.open(member, Door::Udp { port: PORT })?);
        let address = SocketAddr::new(IpAddr::V4(wire::address(member, nodes)), PORT);
        Ok((UdpSocket::from_std(socket)?, address))
    };
    Ok(Prober::new((0..=nodes).map(socket).collect::<Result<_>>()?))
}

/// Connects from inside a member. A refusal is final; silence is tried again until the deadline.
async fn connect(doors: &Doors, member: usize, to: SocketAddr) -> Result<TcpStream> {
    let until = Instant::now() + DIAL_DEADLINE;
    loop {
        let socket = StdTcpStream::from(doors.open(member, Door::Tcp)?);
        match timeout(ATTEMPT, TcpSocket::from_std_stream(socket).connect(to)).await {
            Ok(connected) => {
                let stream = connected.with_context(|| format!("connecting to {to}"))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(_) if Instant::now() < until => {}
            Err(_) => bail!("connecting to {to}: no answer within {DIAL_DEADLINE:?}"),
        }
    }
}

/// Reaches a node's SSH server from inside the node itself.
struct Loopback {
    doors: Arc<Doors>,
    member: usize,
}

#[async_trait]
impl Dialer for Loopback {
    async fn dial(&self) -> Result<BoxedStream> {
        let to = SocketAddr::from(([127, 0, 0, 1], node::SSH_PORT));
        Ok(Box::new(connect(&self.doors, self.member, to).await?))
    }
}

#[async_trait]
impl Cluster for NamespaceCluster {
    fn nodes(&self) -> &[NodeInfo] {
        &self.nodes
    }

    async fn dial(&self, from: From, to: usize, port: u16) -> Result<BoxedStream> {
        let member = match from {
            From::Inside(node) => node,
            From::Outside => self.nodes.len(),
        };
        let node = self.nodes.get(to).with_context(|| format!("there is no node {to}"))?;
        Ok(Box::new(connect(&self.doors, member, SocketAddr::new(node.address, port)).await?))
    }

    fn remote(&self, node: usize) -> &Remote {
        &self.remotes[node]
    }

    fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    async fn down(self: Box<Self>) -> Result<()> {
        let mut this = *self;
        this.hub.stop().await
    }
}

/// The hub as the controller knows it.
struct HubProcess {
    /// A second handle of the control socket: shutting it down is what ends the hub.
    control: StdUnixStream,
    ended: Option<oneshot::Receiver<()>>,
    words: Arc<Mutex<String>>,
}

impl HubProcess {
    async fn start(spec: &HubSpec) -> Result<(UnixStream, Doors, HubProcess)> {
        let (control, hubs_control) = StdUnixStream::pair()?;
        let (doors, hubs_doors) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        let (ended, words) = spawn(hubs_control.into(), hubs_doors)?;
        let hub = HubProcess { control: control.try_clone()?, ended: Some(ended), words };
        control.set_nonblocking(true)?;
        let mut control = UnixStream::from_std(control)?;
        let answer = timeout(UP_DEADLINE, converse(&mut control, spec)).await;
        match answer {
            Ok(Ok(Ok(()))) => Ok((control, Doors::new(doors)?, hub)),
            Ok(Ok(Err(refusal))) => bail!("{refusal}{}", hub.last_words()),
            Ok(Err(error)) => Err(error.context(format!("the hub died{}", hub.last_words()))),
            Err(_) => bail!("the hub is not ready after {UP_DEADLINE:?}{}", hub.last_words()),
        }
    }

    fn last_words(&self) -> String {
        let words = self.words.lock().expect("no holder of this lock panics");
        if words.trim().is_empty() { String::new() } else { format!(": {}", words.trim()) }
    }

    async fn stop(&mut self) -> Result<()> {
        let _ = self.control.shutdown(Shutdown::Both);
        if let Some(ended) = self.ended.take() {
            timeout(DOWN_DEADLINE, ended)
                .await
                .map_err(|_| anyhow!("the hub is still there after {DOWN_DEADLINE:?}"))??;
        }
        Ok(())
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        // Fails only when it is gone already.
        let _ = self.control.shutdown(Shutdown::Both);
    }
}

async fn converse(control: &mut UnixStream, spec: &HubSpec) -> Result<HubAnswer> {
    control.write_all(&encode(spec)?).await?;
    let mut decoder = agent::protocol::Decoder::default();
    let mut piece = [0; 4096];
    loop {
        if let Some(answer) = decoder.frame::<HubAnswer>()? {
            return Ok(answer);
        }
        let length = control.read(&mut piece).await?;
        ensure!(length > 0, "it said nothing");
        decoder.push(&piece[..length]);
    }
}

type Ended = (oneshot::Receiver<()>, Arc<Mutex<String>>);

/// Starts the hub from a thread that lives as long as the hub does: the kernel ends a hub together with the
/// *thread* that started it, and threads of a runtime come and go.
fn spawn(control: OwnedFd, doors: OwnedFd) -> Result<Ended> {
    let (started, start) = std::sync::mpsc::channel();
    let (done, ended) = oneshot::channel();
    let words = Arc::new(Mutex::new(String::new()));
    let heard = words.clone();
    std::thread::Builder::new().name("hub keeper".into()).spawn(move || {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("schism").arg(HUB).stdin(control).stdout(doors).stderr(Stdio::piped());
        // Out of the terminal's foreground group: an interrupt is for the controller alone, which then still
        // has a run to bring to its end.
        command.process_group(0);
        let spawned = command.spawn();
        // The command holds the hub's ends of the sockets; they must close here for their end to show.
        drop(command);
        match spawned {
            Ok(mut child) => {
                let _ = started.send(Ok(()));
                listen(child.stderr.take(), &heard);
                let _ = child.wait();
                let _ = done.send(());
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        }
    })?;
    start.recv()?.context("cannot start ourselves as the hub")?;
    Ok((ended, words))
}

/// Keeps the last few thousand bytes that the hub and the nodes had to say.
fn listen(stderr: Option<impl Read>, words: &Mutex<String>) {
    let Some(mut stderr) = stderr else { return };
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut piece) {
        let mut words = words.lock().expect("no holder of this lock panics");
        words.push_str(&String::from_utf8_lossy(&piece[..length]));
        if words.len() > 8000 {
            *words = words.chars().skip(4000).collect();
        }
    }
}
