//! Starts, stops, kills, pauses and restarts targets, and drives each to what the active faults ask for.
//!
//! Used by the agent while it lives and by the watchdog when it died: both read the same journal, and both
//! call the same [`Hands::reconcile`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::libc;

use crate::faults::{FaultSet, Wish};
use crate::journal::{FaultRecord, Journal, TargetRecord, check_name};
use crate::process::{self, Identity};
use crate::protocol::{ErrorKind, Reply, StartSpec, TargetState, TargetStatus, What, Which};

/// Rounds of 0.5 ms that a signal gets to show its effect: a process in uninterruptible sleep needs some.
const ROUNDS: u32 = 4000;

const ROUND: Duration = Duration::from_micros(500);

/// Why something was refused, as it goes into a [`Reply::Error`].
pub type Refusal = (ErrorKind, String);

struct Target {
    record: TargetRecord,
    /// Present when this very process started it, which makes its exit status known and reaping our duty.
    child: Option<Child>,
    exit: Option<ExitStatus>,
    /// Every process ever seen in its tree and not yet seen gone.
    known: BTreeSet<Identity>,
}

/// The targets of this node and the faults on them.
pub struct Hands {
    journal: Journal,
    targets: BTreeMap<String, Target>,
    faults: FaultSet,
}

impl Hands {
    /// Takes over what the journal records, faults included, without touching anything yet.
    pub fn adopt(journal: Journal) -> io::Result<Self> {
        let mut faults = FaultSet::default();
        for record in journal.faults()? {
            // The journal holds one file per id, so no two records can contradict each other.
            let _ = faults.apply(record.fault, record.what, record.deadline_ns);
        }
        let target = |record: TargetRecord| {
            (record.spec.name.clone(), Target { record, child: None, exit: None, known: BTreeSet::new() })
        };
        let targets = journal.targets()?.into_iter().map(target).collect();
        Ok(Hands { journal, targets, faults })
    }

    /// The active faults.
    pub fn faults(&self) -> &FaultSet {
        &self.faults
    }

    /// Starts a target in its own session. Refused while it runs and while a kill fault holds it down.
    pub fn start(&mut self, spec: StartSpec) -> Result<i32, Refusal> {
        check_name(&spec.name).map_err(system)?;
        if self.faults.wishes().get(&spec.name) == Some(&Wish::Down) {
            return Err((ErrorKind::Conflict, format!("{}: a kill fault holds it down", spec.name)));
        }
        let name = spec.name.clone();
        if let Some(target) = self.targets.get_mut(&name) {
            target.reap();
            if target.leader_alive() {
                return Err((ErrorKind::Conflict, format!("{name}: is running already")));
            }
            target.record.spec = spec;
        } else {
            let record =
                TargetRecord { spec, leader: None, wanted: false, downed: false, paused: false, starts: 0 };
            self.targets
                .insert(name.clone(), Target { record, child: None, exit: None, known: BTreeSet::new() });
        }
        let target = self.targets.get_mut(&name).expect("it was just put there");
        target.launch(&self.journal).map_err(|error| (ErrorKind::System, format!("{name}: {error}")))?;
        self.reconcile()?;
        let target = &self.targets[&name];
        Ok(target.record.leader.map_or(0, |leader| leader.pid))
    }

    /// What became of a target, observed now.
    pub fn status(&mut self, name: &str) -> Result<TargetStatus, Refusal> {
        let down = self.faults.wishes().get(name) == Some(&Wish::Down);
        let target = self.targets.get_mut(name).ok_or_else(|| unknown(name))?;
        Ok(target.observe(down))
    }

    /// Asks a target to end; [`Hands::gone`] tells when it did.
    pub fn terminate(&mut self, name: &str) -> Result<(), Refusal> {
        let target = self.targets.get_mut(name).ok_or_else(|| unknown(name))?;
        target.record.wanted = false;
        target.record.downed = false;
        self.journal.put_target(&target.record).map_err(system)?;
        target.signal_tree(libc::SIGTERM).map_err(system)
    }

    /// Nothing of the target's tree lives.
    pub fn gone(&mut self, name: &str) -> bool {
        self.targets.get_mut(name).is_none_or(|target| target.members().is_empty())
    }

    /// Kills what is left of a target's tree.
    pub fn finish_off(&mut self, name: &str) -> Result<(), Refusal> {
        let target = self.targets.get_mut(name).ok_or_else(|| unknown(name))?;
        target.kill()
    }

    /// Activates a fault, or renews it, and makes it true. Journaled first; taken back when it has no effect.
    pub fn apply(&mut self, fault: u64, what: What, deadline_ns: u64) -> Result<Vec<TargetStatus>, Refusal> {
        let name = match &what {
            What::Kill { target } | What::Pause { target } => target.clone(),
            What::Cut { .. } => return Err((ErrorKind::Unsupported, "the fabric's agent cuts links".into())),
        };
        if !self.targets.contains_key(&name) {
            return Err(unknown(&name));
        }
        let fresh = self.faults.get(fault).is_none();
        self.faults
            .apply(fault, what.clone(), deadline_ns)
            .map_err(|message| (ErrorKind::Conflict, message))?;
        let done = self
            .journal
            .put_fault(&FaultRecord { fault, what, deadline_ns })
            .map_err(system)
            .and_then(|()| self.reconcile());
        if done.is_err() && fresh {
            let _ = self.heal(&Which::These(vec![fault]));
        }
        done?;
        Ok(vec![self.status(&name)?])
    }

    /// Moves the deadlines of these faults, in the journal too.
    pub fn renew(&mut self, which: &Which, deadline_ns: u64) -> Result<u32, Refusal> {
        let ids = self.faults.renew(which, deadline_ns);
        for &fault in &ids {
            if let Some((what, deadline_ns)) = self.faults.get(fault) {
                let record = FaultRecord { fault, what: what.clone(), deadline_ns };
                self.journal.put_fault(&record).map_err(system)?;
            }
        }
        Ok(ids.len() as u32)
    }

    /// Removes these faults and makes the rest true. What could not be undone (a target that cannot be
    /// started again) stays a debt in the target's own record, and every later reconcile tries again.
    pub fn heal(&mut self, which: &Which) -> Result<(u32, Vec<TargetStatus>), Refusal> {
        let targets = self.faulted(which);
        let ids = self.faults.heal(which);
        self.settle(ids, targets)
    }

    /// Heals the faults whose lease has run out.
    pub fn expire(&mut self, now_ns: u64) -> Result<u32, Refusal> {
        let ids = self.faults.expire(now_ns);
        if ids.is_empty() {
            return Ok(0);
        }
        self.settle(ids, BTreeSet::new()).map(|(count, _)| count)
    }

    fn settle(
        &mut self,
        ids: Vec<u64>,
        targets: BTreeSet<String>,
    ) -> Result<(u32, Vec<TargetStatus>), Refusal> {
        let done = self.reconcile();
        for &fault in &ids {
            self.journal.remove_fault(fault).map_err(system)?;
        }
        done?;
        let seen = targets.iter().map(|name| self.status(name)).collect::<Result<_, _>>()?;
        Ok((ids.len() as u32, seen))
    }

    fn faulted(&self, which: &Which) -> BTreeSet<String> {
        let ids: Vec<u64> = match which {
            Which::All => self.faults.list(0).iter().map(|f| f.fault).collect(),
            Which::These(ids) => ids.clone(),
        };
        let what = ids.iter().filter_map(|&id| Some(self.faults.get(id)?.0));
        what.filter_map(|what| match what {
            What::Kill { target } | What::Pause { target } => Some(target.clone()),
            What::Cut { .. } => None,
        })
        .collect()
    }

    /// Makes the world agree with the active faults. Goes on past a target that resists, so that one stuck
    /// process cannot keep the others from being healed, and reports the first that did.
    pub fn reconcile(&mut self) -> Result<(), Refusal> {
        let wishes = self.faults.wishes();
        let mut first = Ok(());
        for (name, target) in &mut self.targets {
            let done = target.drive(wishes.get(name).copied(), &self.journal);
            first = first.and(done.map_err(|(kind, message)| (kind, format!("{name}: {message}"))));
        }
        first
    }

    /// Collects the exit statuses of children that ended, so that none stays a zombie.
    pub fn reap(&mut self) {
        self.targets.values_mut().for_each(Target::reap);
    }
}

impl Target {
    fn leader_alive(&self) -> bool {
        self.record.leader.is_some_and(|leader| process::living(leader).is_some())
    }

    fn reap(&mut self) {
        if let Some(child) = &mut self.child
            && let Ok(Some(status)) = child.try_wait()
        {
            self.exit = Some(status);
            self.child = None;
        }
    }

    /// The living processes of the tree; also brings `known` up to date.
    fn members(&mut self) -> Vec<process::Stat> {
        self.reap();
        let Some(leader) = self.record.leader else { return Vec::new() };
        let members = process::tree(leader, &self.known, &process::all());
        self.known = members.iter().map(|stat| stat.identity).collect();
        members
    }

    fn observe(&mut self, down: bool) -> TargetStatus {
        let members = self.members();
        let ended = |exit: Option<ExitStatus>| TargetState::Ended {
            code: exit.and_then(|e| e.code()),
            signal: exit.and_then(|e| e.signal()),
        };
        let state = match self.record.leader {
            Some(leader) if !members.is_empty() => TargetState::Alive {
                pid: leader.pid,
                processes: members.len() as u32,
                stopped: members.iter().filter(|stat| stat.stopped()).count() as u32,
            },
            _ if down => TargetState::Down,
            _ => ended(self.exit),
        };
        TargetStatus { name: self.record.spec.name.clone(), state, starts: self.record.starts }
    }

    fn drive(&mut self, wish: Option<Wish>, journal: &Journal) -> Result<(), Refusal> {
        if wish == Some(Wish::Down) {
            if !self.record.downed && self.record.wanted {
                self.record.downed = true;
                journal.put_target(&self.record).map_err(system)?;
            }
            return self.kill();
        }
        if self.record.downed {
            self.launch(journal).map_err(system)?;
        }
        if wish == Some(Wish::Paused) {
            if !self.record.paused {
                self.record.paused = true;
                journal.put_target(&self.record).map_err(system)?;
            }
            return self.pause();
        }
        if self.record.paused {
            self.resume()?;
            self.record.paused = false;
            journal.put_target(&self.record).map_err(system)?;
        }
        Ok(())
    }

    /// Starts the process. The journal learns of the intent before and of the identity after; a process that
    /// was started in between by an agent that died at once is an orphan of the node, gone with the node.
    fn launch(&mut self, journal: &Journal) -> io::Result<()> {
        let spec = &self.record.spec;
        let (program, arguments) =
            spec.argv.split_first().ok_or_else(|| io::Error::other("the command is empty"))?;
        let log = File::options().create(true).append(true).open(&spec.log_path)?;
        let mut command = Command::new(program);
        command.args(arguments).envs(&spec.env).current_dir(&spec.dir);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // SAFETY: setsid is async-signal-safe and touches no memory of ours; it cannot fail in a fresh
        // child, which leads no process group yet.
        unsafe {
            command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(io::Error::from));
        }
        let child = command.spawn()?;
        let pid = child.id() as i32;
        self.record.leader = process::stat(pid).map(|stat| stat.identity);
        self.record.starts += 1;
        self.record.wanted = true;
        self.record.downed = false;
        self.record.paused = false;
        self.child = Some(child);
        self.exit = None;
        self.known.clear();
        journal.put_target(&self.record)
    }

    fn signal_tree(&mut self, signal: i32) -> io::Result<()> {
        for stat in self.members() {
            process::signal(stat.identity, signal)?;
        }
        Ok(())
    }

    /// SIGKILL until nothing of the tree is left: a process may fork while the others are being killed.
    fn kill(&mut self) -> Result<(), Refusal> {
        self.until("it survived SIGKILL", |members| {
            for stat in members {
                process::signal(stat.identity, libc::SIGKILL)?;
            }
            Ok(members.is_empty())
        })
    }

    /// SIGSTOP until everything of the tree stands still.
    fn pause(&mut self) -> Result<(), Refusal> {
        self.until("it did not stop at SIGSTOP", |members| {
            let running = || members.iter().filter(|stat| !stat.stopped());
            for stat in running() {
                process::signal(stat.identity, libc::SIGSTOP)?;
            }
            Ok(running().next().is_none())
        })
    }

    /// SIGCONT until nothing of the tree stands still.
    fn resume(&mut self) -> Result<(), Refusal> {
        self.until("it did not go on at SIGCONT", |members| {
            let stopped = || members.iter().filter(|stat| stat.stopped());
            for stat in stopped() {
                process::signal(stat.identity, libc::SIGCONT)?;
            }
            Ok(stopped().next().is_none())
        })
    }

    fn until(
        &mut self,
        otherwise: &str,
        mut step: impl FnMut(&[process::Stat]) -> io::Result<bool>,
    ) -> Result<(), Refusal> {
        for _ in 0..ROUNDS {
            if step(&self.members()).map_err(system)? {
                return Ok(());
            }
            sleep(ROUND);
        }
        Err((ErrorKind::NoEffect, otherwise.into()))
    }
}

fn unknown(name: &str) -> Refusal {
    (ErrorKind::Unknown, format!("{name}: no such target"))
}

fn system(error: io::Error) -> Refusal {
    (ErrorKind::System, error.to_string())
}

impl From<Refusal> for Reply {
    fn from((kind, message): Refusal) -> Self {
        Reply::Error { kind, message }
    }
}
