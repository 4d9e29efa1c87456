//! Processes as the kernel tells of them: who they are, whom they descend from, and signals that hit the
//! right one.
//!
//! A process is named by its pid *and* its start time, because pids are reused: whatever does not match both
//! is not ours and is left alone.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::libc;
use serde::{Deserialize, Serialize};

/// A process, named so that a reused pid is not mistaken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    pub pid: i32,
    /// Field 22 of `/proc/PID/stat`: ticks since boot.
    pub started: u64,
}

/// The fields of `/proc/PID/stat` that we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub identity: Identity,
    pub parent: i32,
    pub session: i32,
    /// `R`, `S`, `D`, `T` (stopped), `t` (traced), `Z` (zombie) …
    pub state: u8,
}

impl Stat {
    /// Neither a zombie nor dead.
    pub fn alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// Standing still after SIGSTOP or under a tracer.
    pub fn stopped(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }
}

/// Parses the text of `/proc/PID/stat`. The command's name may hold spaces and brackets.
pub fn parse_stat(text: &str) -> Option<Stat> {
    let pid = text.split(' ').next()?.parse().ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        identity: Identity { pid, started: fields.get(19)?.parse().ok()? },
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        state: *fields.first()?.as_bytes().first()?,
    })
}

/// Reads one process; `None` when it is gone.
pub fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads the process of this identity; `None` when it is gone, a zombie, or its pid belongs to another now.
pub fn living(identity: Identity) -> Option<Stat> {
    stat(identity.pid).filter(|stat| stat.identity == identity && stat.alive())
}

/// Every process that this `/proc` shows.
pub fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(stat).collect()
}

/// The living processes of the session that `root` leads, those that descend from them, and those of
/// `known` that still live. `root` itself need not live. Nothing older than `root` is ever included.
pub fn tree(root: Identity, known: &BTreeSet<Identity>, processes: &[Stat]) -> Vec<Stat> {
    let mut members: BTreeSet<i32> = BTreeSet::new();
    let belongs = |stat: &Stat, members: &BTreeSet<i32>| {
        stat.identity == root
            || known.contains(&stat.identity)
            || (stat.identity.started >= root.started
                && (stat.session == root.pid || members.contains(&stat.parent)))
    };
    loop {
        let before = members.len();
        for stat in processes {
            if belongs(stat, &members) {
                members.insert(stat.identity.pid);
            }
        }
        if members.len() == before {
            break;
        }
    }
    processes.iter().filter(|stat| stat.alive() && members.contains(&stat.identity.pid)).copied().collect()
}

/// Sends a signal to exactly this process. `Ok(false)` when it is gone already.
///
/// The pidfd is opened before the identity is checked, so the process cannot be swapped in between.
pub fn signal(identity: Identity, signal: i32) -> io::Result<bool> {
    let Some(handle) = pidfd(identity.pid)? else { return Ok(false) };
    if living(identity).is_none() {
        return Ok(false);
    }
    // SAFETY: the descriptor is open for the whole call, a null siginfo and zero flags are allowed, and the
    // kernel writes to none of the arguments.
    let done = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, handle.as_raw_fd(), signal, std::ptr::null::<u8>(), 0)
    };
    if done == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        error => Err(error),
    }
}

fn pidfd(pid: i32) -> io::Result<Option<OwnedFd>> {
    // SAFETY: takes two integers and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd >= 0 {
        // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as i32) }));
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pid: i32, state: char, parent: i32, session: i32, started: u64) -> Stat {
        let zeros = "0 ".repeat(15);
        let text = format!("{pid} (a) b (c) {state} {parent} 1 {session} {zeros}{started} 0 0");
        parse_stat(&text).unwrap()
    }

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = line(7, 'T', 3, 5, 99);
        assert_eq!(stat.identity, Identity { pid: 7, started: 99 });
        assert_eq!((stat.parent, stat.session, stat.state), (3, 5, b'T'));
        assert!(stat.stopped() && stat.alive());
    }

    #[test]
    fn our_own_process_is_found_by_both_halves_of_its_name() {
        let me = stat(std::process::id() as i32).unwrap();
        assert!(living(me.identity).is_some());
        let stranger = Identity { started: me.identity.started + 1, ..me.identity };
        assert!(living(stranger).is_none());
        assert!(!signal(stranger, libc::SIGKILL).unwrap());
    }

    #[test]
    fn the_tree_has_the_session_its_children_and_no_older_stranger() {
        let root = Identity { pid: 10, started: 100 };
        let processes = [
            line(10, 'S', 1, 10, 100),
            line(11, 'S', 10, 10, 101),
            line(12, 'S', 11, 12, 102), // its own session, but a descendant
            line(13, 'Z', 10, 10, 103),
            line(14, 'S', 1, 14, 104),
            line(15, 'S', 1, 10, 50), // older than the root: an earlier owner of the number
            line(16, 'S', 12, 12, 105),
        ];
        let pids = |known: &BTreeSet<Identity>, processes: &[Stat]| -> Vec<i32> {
            tree(root, known, processes).iter().map(|stat| stat.identity.pid).collect()
        };
        assert_eq!(pids(&BTreeSet::new(), &processes), [10, 11, 12, 16]);
        // The root and its parent link are gone: an orphan that left the session is found because it is known.
        let orphan = BTreeSet::from([Identity { pid: 12, started: 102 }]);
        assert_eq!(pids(&orphan, &processes[2..3]), [12]);
        assert_eq!(pids(&BTreeSet::new(), &processes[2..3]), Vec::<i32>::new());
    }
}
