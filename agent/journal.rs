//! What must outlive the agent: which processes it started, and which faults are in force.
//!
//! One small file per target and per fault, written whole to a temporary name, synced and renamed *before*
//! the action that it describes, so that whoever comes after a killed agent finds everything that may have
//! been done. It is a book of debts, not a history.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::process::Identity;
use crate::protocol::{StartSpec, What};

/// A target as the journal knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRecord {
    pub spec: StartSpec,
    /// The leader of its session, once started.
    pub leader: Option<Identity>,
    /// It is meant to run: started, and not terminated since.
    pub wanted: bool,
    /// A kill fault took it down, so a heal owes it a start.
    pub downed: bool,
    /// A pause fault may have stopped it, so a heal owes it a SIGCONT.
    pub paused: bool,
    pub starts: u32,
}

/// A fault as the journal knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRecord {
    pub fault: u64,
    pub what: What,
    /// `CLOCK_BOOTTIME` at which the lease runs out.
    pub deadline_ns: u64,
}

/// The folder with the records.
#[derive(Clone, Debug)]
pub struct Journal {
    dir: PathBuf,
}

/// Proof that no other agent serves this folder; released when dropped or when its holder dies.
pub struct Lock(#[allow(dead_code)] Flock<File>);

impl Journal {
    /// Opens the folder and makes what is missing of it.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir.join("targets"))?;
        fs::create_dir_all(dir.join("faults"))?;
        Ok(Journal { dir: dir.to_owned() })
    }

    /// Takes the folder for this process; `None` when another holds it.
    pub fn lock(&self) -> io::Result<Option<Lock>> {
        let file = File::options().create(true).truncate(false).write(true).open(self.dir.join("lock"))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => Ok(Some(Lock(held))),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }

    pub fn put_target(&self, record: &TargetRecord) -> io::Result<()> {
        check_name(&record.spec.name)?;
        self.put(&format!("targets/{}", record.spec.name), record)
    }

    pub fn targets(&self) -> io::Result<Vec<TargetRecord>> {
        self.read_all("targets")
    }

    pub fn put_fault(&self, record: &FaultRecord) -> io::Result<()> {
        self.put(&format!("faults/{}", record.fault), record)
    }

    /// Forgets a fault; one that is not there is no error.
    pub fn remove_fault(&self, fault: u64) -> io::Result<()> {
        match fs::remove_file(self.dir.join(format!("faults/{fault}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub fn faults(&self) -> io::Result<Vec<FaultRecord>> {
        self.read_all("faults")
    }

    fn put(&self, name: &str, record: &impl Serialize) -> io::Result<()> {
        let bytes = postcard::to_stdvec(record).map_err(io::Error::other)?;
        let temporary = self.dir.join("next");
        let mut file = File::create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        fs::rename(temporary, self.dir.join(name))
    }

    /// Every readable record, in the order of the file names. A record that cannot be read is skipped: an
    /// agent of another version left it, and half a heal is better than none.
    fn read_all<T: DeserializeOwned>(&self, folder: &str) -> io::Result<Vec<T>> {
        let mut paths: Vec<_> = fs::read_dir(self.dir.join(folder))?.flatten().map(|e| e.path()).collect();
        paths.sort();
        let records = paths.iter().filter_map(|path| postcard::from_bytes(&fs::read(path).ok()?).ok());
        Ok(records.collect())
    }
}

/// Names become file names, so they may not be paths.
pub fn check_name(name: &str) -> io::Result<()> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(fine) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no name: letters, digits, . _ -")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_removed_faults_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let fault =
            |fault| FaultRecord { fault, what: What::Kill { target: "a".into() }, deadline_ns: 10 * fault };
        for id in [3, 1, 2] {
            journal.put_fault(&fault(id)).unwrap();
        }
        journal.remove_fault(2).unwrap();
        journal.remove_fault(2).unwrap();
        fs::write(dir.path().join("faults/9"), b"").unwrap();
        assert_eq!(journal.faults().unwrap(), [fault(1), fault(3)]);
    }

    #[test]
    fn only_one_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let held = journal.lock().unwrap();
        assert!(held.is_some());
        assert!(journal.lock().unwrap().is_none());
        drop(held);
        assert!(journal.lock().unwrap().is_some());
    }

    #[test]
    fn a_path_is_no_name() {
        assert!(check_name("store-1.a_b").is_ok());
        for bad in ["", "../x", "a/b", ".", "a b", &"x".repeat(101)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
