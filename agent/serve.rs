//! The agent's loop: frames in on standard input, frames out on standard output, leases in between.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Stdout};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::clock::boottime_ns;
use crate::hands::{Hands, Refusal};
use crate::journal::{Journal, Lock};
use crate::protocol::{
    Capabilities, Decoder, ErrorKind, Family, Frame, MAX_FRAME, Probe, Reply, Request, VERSION, Which,
    write_frame,
};
use crate::watchdog::Watchdog;
use crate::{DEFAULT_DIR, DIR_VARIABLE};

/// Looks this often at targets that were asked to end.
const ENDING_MS: u64 = 5;

/// Otherwise wakes this often to reap children that ended by themselves.
const IDLE_MS: u64 = 250;

/// Tries, 20 ms apart, to get the journal from a predecessor or its watchdog that is still healing.
const LOCK_TRIES: u32 = 150;

/// Runs the agent until its standard input ends, then heals everything. Returns the exit code.
///
/// Must be called while the process has one thread: it forks the watchdog.
pub fn serve_stdio() -> i32 {
    match serve() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("agent: {error}");
            1
        }
    }
}

/// The folder of the journal, from the environment.
pub fn journal_dir() -> PathBuf {
    std::env::var_os(DIR_VARIABLE).map_or_else(|| DEFAULT_DIR.into(), PathBuf::from)
}

struct Agent {
    hands: Hands,
    swept: u32,
    ending: Vec<Ending>,
    output: Stdout,
}

/// A request to terminate that waits for its target to be gone.
struct Ending {
    request: u64,
    name: String,
    kill_at_ns: u64,
}

fn serve() -> io::Result<()> {
    let dir = journal_dir();
    let journal = Journal::open(&dir)?;
    let watchdog = Watchdog::fork(&dir)?;
    let lock = match wait_for_lock(&journal) {
        Ok(lock) => lock,
        Err(error) => {
            watchdog.dismiss();
            return Err(error);
        }
    };
    let mut hands = Hands::adopt(journal)?;
    let swept = hands.faults().list(0).len() as u32;
    if let Err((_, message)) = hands.heal(&Which::All) {
        // A target that cannot be started again must not keep the node from being served.
        eprintln!("agent: a predecessor's fault could not be healed entirely: {message}");
    }
    let mut agent = Agent { hands, swept, ending: Vec::new(), output: io::stdout() };
    let talked = agent.talk();
    let healed = agent.hands.heal(&Which::All);
    drop(lock);
    // Dismissed only when nothing is left to heal; otherwise the watchdog tries once more.
    if healed.is_ok() {
        watchdog.dismiss();
    }
    talked
}

fn wait_for_lock(journal: &Journal) -> io::Result<Lock> {
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = journal.lock()? {
            return Ok(lock);
        }
        sleep(Duration::from_millis(20));
    }
    Err(io::Error::other("another agent serves this node"))
}

impl Agent {
    fn talk(&mut self) -> io::Result<()> {
        let input = io::stdin().lock();
        let mut decoder = Decoder::default();
        let mut piece = vec![0; 64 << 10];
        loop {
            let mut ready = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
            let readable = match poll(&mut ready, self.timeout()) {
                Err(nix::errno::Errno::EINTR) => 0,
                other => other?,
            };
            self.let_time_pass();
            if readable > 0 {
                // Reads past the standard library's buffer, which poll knows nothing of.
                let length = nix::unistd::read(input.as_fd(), &mut piece)?;
                if length == 0 {
                    return Ok(());
                }
                decoder.push(&piece[..length]);
                while let Some(frame) = decoder.frame::<Frame<Request>>()? {
                    self.handle(frame)?;
                }
            }
            self.answer_ended()?;
        }
    }

    fn timeout(&self) -> PollTimeout {
        let lease = self.hands.faults().next_deadline();
        let lease = lease.map_or(IDLE_MS, |at| at.saturating_sub(boottime_ns()).div_ceil(1_000_000));
        let ending = if self.ending.is_empty() { IDLE_MS } else { ENDING_MS };
        PollTimeout::from(lease.min(ending) as u8)
    }

    fn let_time_pass(&mut self) {
        if let Err((_, message)) = self.hands.expire(boottime_ns()) {
            // The fault stays in the journal, so the watchdog takes over when it is overdue.
            eprintln!("agent: a lease ran out and could not be healed: {message}");
        }
        self.hands.reap();
    }

    fn handle(&mut self, frame: Frame<Request>) -> io::Result<()> {
        match self.answer(frame.id, frame.body) {
            Ok(Some(reply)) => self.reply(frame.id, reply),
            Ok(None) => Ok(()),
            Err(refusal) => self.reply(frame.id, refusal.into()),
        }
    }

    /// The reply, or `None` when it will come later.
    fn answer(&mut self, id: u64, request: Request) -> Result<Option<Reply>, Refusal> {
        let deadline = |ms: u32| boottime_ns() + u64::from(ms) * 1_000_000;
        Ok(Some(match request {
            Request::Terminate { name, grace_ms } => {
                self.hands.terminate(&name)?;
                self.ending.push(Ending { request: id, name, kill_at_ns: deadline(grace_ms) });
                return Ok(None);
            }
            Request::Hello => Reply::Hello(Capabilities {
                version: VERSION,
                families: vec![Family::Process],
                pid: std::process::id(),
                watchdog: true,
                swept: self.swept,
            }),
            Request::Start(spec) => Reply::Started { pid: self.hands.start(spec)? },
            Request::Status { name } | Request::Probe(Probe::Target { name }) => {
                Reply::Status(self.hands.status(&name)?)
            }
            Request::Apply { fault, what, lease_ms } => {
                Reply::Applied { seen: self.hands.apply(fault, what, deadline(lease_ms))? }
            }
            Request::Renew { faults, lease_ms } => {
                Reply::Renewed { faults: self.hands.renew(&faults, deadline(lease_ms))? }
            }
            Request::Heal { faults } => {
                let (faults, seen) = self.hands.heal(&faults)?;
                Reply::Healed { faults, seen }
            }
            Request::Active => Reply::Active(self.hands.faults().list(boottime_ns())),
            Request::ReadFile { path, offset, max } => read_file(&path, offset, max)?,
            Request::Echo(bytes) => Reply::Echo(bytes),
            Request::Probe(Probe::Links) => {
                return Err((ErrorKind::Unsupported, "the fabric's agent counts frames".into()));
            }
        }))
    }

    /// Answers the requests to terminate whose target is gone, and kills those whose grace is over.
    fn answer_ended(&mut self) -> io::Result<()> {
        let now = boottime_ns();
        for ending in std::mem::take(&mut self.ending) {
            if !self.hands.gone(&ending.name) {
                if now < ending.kill_at_ns {
                    self.ending.push(ending);
                    continue;
                }
                if let Err(refusal) = self.hands.finish_off(&ending.name) {
                    self.reply(ending.request, refusal.into())?;
                    continue;
                }
            }
            let reply = self.hands.status(&ending.name).map_or_else(Reply::from, Reply::Status);
            self.reply(ending.request, reply)?;
        }
        Ok(())
    }

    fn reply(&mut self, id: u64, body: Reply) -> io::Result<()> {
        write_frame(&mut self.output, &Frame { id, body })
    }
}

fn read_file(path: &str, offset: u64, max: u32) -> Result<Reply, Refusal> {
    let read = || -> io::Result<Reply> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(u64::from(max).min(MAX_FRAME as u64 / 2)).read_to_end(&mut bytes)?;
        Ok(Reply::File { bytes, size })
    };
    read().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => (ErrorKind::Unknown, format!("{path}: no such file")),
        _ => (ErrorKind::System, format!("{path}: {error}")),
    })
}
