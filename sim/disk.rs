//! A disk that remembers only what was synced: the log of one server, as a crash would find it.
//!
//! One fsync runs at a time and covers everything written before it began, as group commit does. Whole records
//! survive or vanish; torn ones are the business of the log file's own tests in `store/`.

use history::Nanos;
use history::rng::Rng;
use std::collections::VecDeque;

/// How the disks behave. Durations in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct DiskOptions {
    /// How long an fsync takes, uniform in this range.
    pub fsync: (Nanos, Nanos),
    pub unsynced: Unsynced,
}

/// What a crash leaves of the records that no fsync had covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// Nothing: the power went.
    Lost,
    /// A random prefix, from nothing to all.
    Prefix,
    /// All: only the process died, the operating system still wrote its pages.
    Kept,
}

impl Default for DiskOptions {
    /// 0.5 to 3 ms, and a random prefix survives.
    fn default() -> DiskOptions {
        DiskOptions { fsync: (500_000, 3_000_000), unsynced: Unsynced::Prefix }
    }
}

/// A change to the log that no fsync has covered yet.
#[derive(Debug)]
enum Change {
    Append(Vec<u8>),
    /// Takes the place of everything before it, all or nothing.
    Rewrite(Vec<Vec<u8>>),
}

/// The log of one server.
#[derive(Debug, Default)]
pub struct Disk {
    durable: Vec<Vec<u8>>,
    volatile: VecDeque<Change>,
    /// Tickets whose fsync has not begun: the ticket and how many changes, counted from the boot, it covers.
    waiting: Option<(u64, u64)>,
    /// The fsync that is running.
    running: Option<(u64, u64)>,
    /// Changes written and made durable since the boot.
    written: u64,
    synced: u64,
}

impl Disk {
    pub fn append(&mut self, record: Vec<u8>) {
        self.volatile.push_back(Change::Append(record));
        self.written += 1;
    }

    pub fn rewrite(&mut self, records: Vec<Vec<u8>>) {
        self.volatile.push_back(Change::Rewrite(records));
        self.written += 1;
    }

    /// Asks for an fsync of all written so far. True if one is to be started now, false if it has to wait for the
    /// one that is running.
    pub fn sync(&mut self, ticket: u64) -> bool {
        if self.running.is_some() {
            self.waiting = Some((ticket, self.written));
            return false;
        }
        self.running = Some((ticket, self.written));
        true
    }

    /// The running fsync is done: its ticket, and whether the next one is to be started.
    pub fn done(&mut self) -> Option<(u64, bool)> {
        let (ticket, covered) = self.running.take()?;
        self.harden(covered.saturating_sub(self.synced));
        // The next fsync covers what is written by the time it begins, so later tickets ride along.
        self.running = self.waiting.take().map(|(ticket, _)| (ticket, self.written));
        Some((ticket, self.running.is_some()))
    }

    fn harden(&mut self, changes: u64) {
        for _ in 0..changes {
            match self.volatile.pop_front() {
                Some(Change::Append(record)) => self.durable.push(record),
                Some(Change::Rewrite(records)) => self.durable = records,
                None => break,
            }
            self.synced += 1;
        }
    }

    /// The process is gone: what is not durable is lost, but for what `options` lets survive.
    /// Returns how many changes were lost.
    pub fn crash(&mut self, unsynced: Unsynced, rng: &mut Rng) -> usize {
        let survive = match unsynced {
            Unsynced::Lost => 0,
            Unsynced::Prefix => rng.below(self.volatile.len() as u64 + 1),
            Unsynced::Kept => self.volatile.len() as u64,
        };
        self.harden(survive);
        let lost = self.volatile.len();
        *self = Disk { durable: std::mem::take(&mut self.durable), ..Disk::default() };
        lost
    }

    /// What a boot finds.
    pub fn records(&self) -> Vec<Vec<u8>> {
        self.durable.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rng() -> Rng {
        Rng::new(3, "crash")
    }

    #[test]
    fn a_crash_loses_what_was_not_synced_and_only_that() {
        let mut disk = Disk::default();
        disk.append(vec![1]);
        assert!(disk.sync(1));
        disk.append(vec![2]);
        assert_eq!(disk.done(), Some((1, false)));
        assert_eq!(disk.crash(Unsynced::Lost, &mut rng()), 1);
        assert_eq!(disk.records(), [vec![1]]);
    }

    #[test]
    fn an_fsync_that_waited_covers_all_written_before_it_began() {
        let mut disk = Disk::default();
        disk.append(vec![1]);
        assert!(disk.sync(1));
        disk.append(vec![2]);
        assert!(!disk.sync(2));
        disk.append(vec![3]);
        assert!(!disk.sync(3));
        assert_eq!(disk.done(), Some((1, true)));
        assert_eq!(disk.done(), Some((3, false)));
        assert_eq!(disk.crash(Unsynced::Lost, &mut rng()), 0);
        assert_eq!(disk.records(), [vec![1], vec![2], vec![3]]);
    }

    #[test]
    fn what_survives_of_the_rest_is_a_prefix() {
        let mut sizes = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let mut disk = Disk::default();
            (0..4).for_each(|i| disk.append(vec![i]));
            disk.crash(Unsynced::Prefix, &mut Rng::new(seed, "crash"));
            let left = disk.records();
            assert!(left.iter().enumerate().all(|(i, record)| *record == [i as u8]));
            sizes.insert(left.len());
        }
        assert_eq!(sizes.len(), 5);
    }

    #[test]
    fn a_rewrite_replaces_everything_or_nothing() {
        for (synced, expected) in [(false, vec![vec![1]]), (true, vec![vec![8], vec![9]])] {
            let mut disk = Disk::default();
            disk.append(vec![1]);
            disk.sync(1);
            disk.done();
            disk.rewrite(vec![vec![8], vec![9]]);
            disk.sync(2);
            if synced {
                disk.done();
            }
            disk.crash(Unsynced::Lost, &mut rng());
            assert_eq!(disk.records(), expected);
        }
    }
}
