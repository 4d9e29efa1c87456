//! The log in memory: a run of entries after a base that a snapshot covers. No rules live here.

use super::Entry;
use crate::core::Shared;
use std::collections::VecDeque;

/// Entries `base_index + 1 ..= last_index`, without gaps.
#[derive(Default)]
pub(super) struct Log {
    base_index: u64,
    base_term: u64,
    entries: VecDeque<Shared<Entry>>,
}

impl Log {
    pub fn base_index(&self) -> u64 {
        self.base_index
    }

    pub fn last_index(&self) -> u64 {
        self.base_index + self.entries.len() as u64
    }

    pub fn last_term(&self) -> u64 {
        self.entries.back().map_or(self.base_term, |entry| entry.term)
    }

    /// The term at `index`, or `None` outside the log; the base has a term too.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.base_index {
            return Some(self.base_term);
        }
        self.get(index).map(|entry| entry.term)
    }

    pub fn get(&self, index: u64) -> Option<&Shared<Entry>> {
        let place = index.checked_sub(self.base_index + 1)?;
        self.entries.get(place as usize)
    }

    pub fn push(&mut self, entry: Shared<Entry>) {
        debug_assert_eq!(entry.index, self.last_index() + 1);
        self.entries.push_back(entry);
    }

    pub fn truncate_after(&mut self, index: u64) {
        self.entries.truncate(index.saturating_sub(self.base_index) as usize);
    }

    /// Up to `limit` entries from `index` on, shared with the log.
    pub fn slice(&self, index: u64, limit: usize) -> Vec<Shared<Entry>> {
        let from = index.saturating_sub(self.base_index + 1) as usize;
        let from = from.min(self.entries.len());
        self.entries.range(from..self.entries.len().min(from.saturating_add(limit))).cloned().collect()
    }

    /// Forgets entries up to `index`; nothing if that is before the base or beyond the end.
    pub fn compact_to(&mut self, index: u64) {
        let Some(term) = self.term_at(index) else { return };
        self.entries.drain(..(index - self.base_index) as usize);
        (self.base_index, self.base_term) = (index, term);
    }

    /// Forgets everything; the log now starts after `index`.
    pub fn reset(&mut self, index: u64, term: u64) {
        self.entries.clear();
        (self.base_index, self.base_term) = (index, term);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(last: u64) -> Log {
        let mut log = Log::default();
        (1..=last).for_each(|index| log.push(Shared::new(Entry { index, term: index / 3, request: None })));
        log
    }

    #[test]
    fn compaction_keeps_indices_and_the_term_of_the_base() {
        let mut log = filled(9);
        log.compact_to(4);
        assert_eq!(
            (log.base_index(), log.last_index(), log.term_at(4), log.term_at(3)),
            (4, 9, Some(1), None)
        );
        assert_eq!(log.slice(8, 10).iter().map(|entry| entry.index).collect::<Vec<_>>(), [8, 9]);
        log.truncate_after(6);
        assert_eq!((log.last_index(), log.last_term()), (6, 2));
        log.truncate_after(0);
        assert_eq!((log.last_index(), log.last_term()), (4, 1));
    }
}
