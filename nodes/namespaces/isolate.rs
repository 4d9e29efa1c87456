//! The system calls that make namespaces, and the reasons when a machine refuses them.
//!
//! All of this must run while the process has one thread: a threaded process may not create a user
//! namespace, and a fork of it could only call what is safe in a signal handler.

#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{ForkResult, Pid, getegid, geteuid};

/// The namespaces of the hub, but for the user namespace.
const HUB: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWUTS);

/// Enters a fresh user namespace in which we are root, and fresh namespaces of every other kind. The process
/// id namespace begins with the next fork.
pub fn leave_the_host() -> Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(HUB | CloneFlags::CLONE_NEWUSER).map_err(|errno| refused("user namespaces", errno))?;
    // Without privilege over the parent namespace a group map is only accepted after this.
    fs::write("/proc/self/setgroups", "deny").map_err(|e| denied("setgroups", &e))?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1")).map_err(|e| denied("uid_map", &e))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).map_err(|e| denied("gid_map", &e))?;
    Ok(())
}

fn denied(file: &str, error: &io::Error) -> anyhow::Error {
    refused(&format!("writing {file}"), error.raw_os_error().map_or(Errno::EPERM, Errno::from_raw))
}

/// An error that names the setting to change.
fn refused(what: &str, errno: Errno) -> anyhow::Error {
    let setting = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).ok();
    let hint = if setting("/proc/sys/user/max_user_namespaces").as_deref() == Some("0") {
        "set user.max_user_namespaces above 0: sysctl -w user.max_user_namespaces=10000"
    } else if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        "AppArmor restricts them: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    } else if setting("/proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        "sysctl -w kernel.unprivileged_userns_clone=1"
    } else if Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists() {
        "the container's seccomp profile refuses them: run it with --security-opt seccomp=unconfined"
    } else if errno == Errno::EPERM {
        "inside a chroot, or under a seccomp profile, the kernel refuses them"
    } else {
        "the kernel may have been built without them"
    };
    anyhow!("{what}: {errno}; {hint}")
}

/// Forks. The caller must be the only thread of its process.
pub fn fork() -> Result<ForkResult> {
    // SAFETY: there is one thread (the hub and the nodes run before any runtime), so no lock can be held by a
    // thread that the child lacks.
    unsafe { nix::unistd::fork() }.context("fork")
}

/// Forks into fresh namespaces of a node. The caller must be the only thread of its process.
pub fn fork_node() -> Result<ForkResult> {
    let flags = HUB.bits() | libc::SIGCHLD;
    // SAFETY: with a null stack and no CLONE_VM the raw call behaves like fork; all other arguments are null
    // in whichever order the architecture takes them; there is one thread, as for `fork`.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
        0 => Ok(ForkResult::Child),
        pid if pid > 0 => Ok(ForkResult::Parent { child: Pid::from_raw(pid as i32) }),
        _ => Err(refused("the namespaces of a node", Errno::last())),
    }
}

/// Asks the kernel to kill us when the thread that forked us ends. Cleared whenever our privileges change,
/// so it comes after [`leave_the_host`].
pub fn die_with_parent() -> Result<()> {
    // SAFETY: takes integers only.
    let done = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    Errno::result(done).map(drop).context("PR_SET_PDEATHSIG")
}

/// Copies a descriptor to this very number, to be inherited across an exec.
pub fn give_as(fd: &OwnedFd, number: RawFd) -> Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: dup2 overwrites `number`, which the caller (a child that is about to exec) owns entirely.
    Errno::result(unsafe { libc::dup2(fd.as_raw_fd(), number) }).map(drop).context("dup2")
}

/// Takes over a descriptor that our parent left us under this number.
pub fn inherited(number: RawFd) -> OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: the parent's contract with this sub-command is that the descriptor is open and ours alone.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Enters the network namespace behind this descriptor, with the calling thread only.
pub fn enter_network(namespace: impl AsFd) -> Result<()> {
    setns(namespace, CloneFlags::CLONE_NEWNET).context("setns")
}

/// A network namespace of nobody: made, kept open, and left again.
pub fn spare_network() -> Result<OwnedFd> {
    let ours = own_network()?;
    unshare(CloneFlags::CLONE_NEWNET).context("a network namespace")?;
    let spare = own_network()?;
    enter_network(&ours)?;
    Ok(spare)
}

/// The network namespace of the calling thread.
pub fn own_network() -> Result<OwnedFd> {
    Ok(fs::File::open("/proc/thread-self/ns/net").context("/proc/thread-self/ns/net")?.into())
}

/// The network namespace of a process.
pub fn network_of(pid: Pid) -> Result<OwnedFd> {
    Ok(fs::File::open(format!("/proc/{pid}/ns/net")).context("a node has died at once")?.into())
}

/// Makes every mount private to us, so that nothing of what follows shows in the host.
pub fn private_mounts() -> Result<()> {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    // Where a security module lets the user namespace be made but takes its powers away, it shows here first.
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        .map_err(|errno| refused("mounting inside a user namespace", errno))
}

/// Mounts a fresh `/proc` of our process id namespace.
pub fn mount_proc() -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>)
        .context("mounting /proc (containers that mask parts of /proc forbid it)")
}

/// Mounts an empty file system in memory.
pub fn mount_memory(path: &str) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some("mode=755"))
        .with_context(|| format!("a tmpfs on {path}"))
}

/// Makes `from` visible at `to` as well.
pub fn bind(from: &Path, to: &Path) -> Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("binding {} to {}", from.display(), to.display()))
}
