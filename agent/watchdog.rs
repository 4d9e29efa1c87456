//! A sibling process that heals when the agent cannot.
//!
//! Forked before the agent does anything, in a session of its own, it watches the agent through a pipe. End
//! of file without a farewell means that the agent was killed: the watchdog heals from the journal. A lease
//! that is overdue by more than [`LATENESS_NS`] means that the agent hangs: it is killed, then the same.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe2, setsid};

use crate::clock::boottime_ns;
use crate::hands::Hands;
use crate::journal::Journal;
use crate::process::{self, Identity};
use crate::protocol::Which;

/// How long past its deadline a lease may stay in the journal before the agent counts as hanging.
pub const LATENESS_NS: u64 = 1_000_000_000;

const LOOK_EVERY_MS: u8 = 200;

/// Milliseconds that a dying agent gets to be gone.
const DYING_ROUNDS: u32 = 5000;

/// The agent's end of the pipe. Dropping it without [`Watchdog::dismiss`] makes the watchdog heal.
pub struct Watchdog {
    pipe: OwnedFd,
}

impl Watchdog {
    /// Forks the watchdog. Must be called while the process has one thread.
    pub fn fork(dir: &Path) -> io::Result<Watchdog> {
        let (read, write) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let agent = process::stat(Pid::this().as_raw()).ok_or_else(|| io::Error::other("/proc has no us"))?;
        // SAFETY: the caller promises one thread, so the child may use everything that the parent could.
        match unsafe { fork() }? {
            ForkResult::Parent { .. } => Ok(Watchdog { pipe: write }),
            ForkResult::Child => {
                drop(write);
                let code = if watch(File::from(read), agent.identity, dir).is_ok() { 0 } else { 1 };
                std::process::exit(code);
            }
        }
    }

    /// Sends the watchdog home: everything is healed already.
    pub fn dismiss(self) {
        let _ = File::from(self.pipe).write_all(b"bye");
    }
}

fn watch(mut pipe: File, agent: Identity, dir: &Path) -> io::Result<()> {
    detach()?;
    let journal = Journal::open(dir)?;
    loop {
        let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::from(LOOK_EVERY_MS))? > 0 {
            break;
        }
        if overdue(&journal) {
            process::signal(agent, libc::SIGKILL)?;
        }
    }
    if pipe.read(&mut [0; 8])? > 0 {
        return Ok(());
    }
    // The pipe of a dying process may close before its lock does, which would look like a new agent's.
    for _ in 0..DYING_ROUNDS {
        if process::living(agent).is_none() {
            break;
        }
        sleep(Duration::from_millis(1));
    }
    heal(journal)
}

/// Its own session, and none of the agent's standard streams: holding them would keep the channel open.
fn detach() -> io::Result<()> {
    setsid()?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}

fn overdue(journal: &Journal) -> bool {
    let now = boottime_ns();
    journal.faults().unwrap_or_default().iter().any(|record| record.deadline_ns + LATENESS_NS < now)
}

/// Heals everything that the journal records, unless a new agent holds the journal and has done so.
pub fn heal(journal: Journal) -> io::Result<()> {
    let Some(_lock) = journal.lock()? else { return Ok(()) };
    let mut hands = Hands::adopt(journal)?;
    hands.heal(&Which::All).map(drop).map_err(|(_, message)| io::Error::other(message))
}
