//! A node: process 1 of its own namespaces, which does nothing but collect orphans, and its SSH server.

use std::fs;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use agent::protocol::read_frame;
use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{ForkResult, Pid, sethostname};
use russh::keys::{PrivateKey, PublicKey};
use tokio::net::TcpListener;

use super::isolate;
use super::wire::NodeSpec;
use crate::sshd;

/// Descriptor under which the hub leaves a node its channel.
pub const CHANNEL: RawFd = 3;

/// Port of the SSH server, on the node's loopback: no cut ever touches it.
pub const SSH_PORT: u16 = 22;

/// The node's sub-command. Must be called while the process has one thread.
pub fn node_main() -> i32 {
    match run() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("node: {error:#}");
            1
        }
    }
}

fn run() -> Result<()> {
    let channel = isolate::inherited(CHANNEL);
    fcntl(&channel, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let mut channel = fs::File::from(channel);
    let spec: NodeSpec = read_frame(&mut channel)?;
    furnish(&spec)?;
    channel.read_exact(&mut [0]).context("the hub is gone")?;
    match isolate::fork()? {
        ForkResult::Child => serve(&spec, channel),
        ForkResult::Parent { child } => {
            drop(channel);
            collect_orphans(child)
        }
    }
}

/// Gives the node its name, its `/proc`, `/run`, hosts and data.
fn furnish(spec: &NodeSpec) -> Result<()> {
    sethostname(&spec.name)?;
    // Opened first, since the mounts below may hide it.
    let data = open(&spec.data, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .with_context(|| format!("{}", spec.data.display()))?;
    isolate::mount_proc()?;
    isolate::mount_memory("/run")?;
    keep(&data, &spec.data)?;
    let hosts = Path::new("/etc/hosts");
    if hosts.exists() {
        fs::write("/run/hosts", &spec.hosts)?;
        isolate::bind(Path::new("/run/hosts"), hosts)?;
    }
    Ok(())
}

fn keep(data: &OwnedFd, path: &Path) -> Result<()> {
    fs::create_dir_all(path)?;
    isolate::bind(Path::new(&format!("/proc/self/fd/{}", data.as_raw_fd())), path)
}

/// Process 1 ends with the server, and everything in the node ends with process 1.
fn collect_orphans(server: Pid) -> Result<()> {
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) if pid == server => return Ok(()),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn serve(spec: &NodeSpec, mut channel: fs::File) -> Result<()> {
    isolate::die_with_parent()?;
    let host = PrivateKey::from_openssh(&spec.host_key)?;
    let client = PublicKey::from_openssh(&spec.client_key)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, SSH_PORT)).await.context("port 22")?;
        channel.write_all(b"r")?;
        drop(channel);
        sshd::Server::new(host, client).env(agent::DIR_VARIABLE, &spec.journal).serve(listener).await;
        Ok(())
    })
}
