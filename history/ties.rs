//! Equal time stamps made concurrent: where a clock is too coarse to tell, nothing is concluded from file order.
//!
//! A return that stands before a call of the same stamp may have come after it; taking the file's word invents
//! violations (measured at 8 % of correct runs with a coarse clock), taking them as concurrent invents none. Only
//! for files of others: our recorder numbers its events as they happen. Not here: counting ties (`record`).

/// Stretches of neighbouring events with one time stamp: first and last position.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ties {
    runs: Vec<(u32, u32)>,
}

impl Ties {
    /// The event at a position has the stamp of the one before it.
    pub fn join(&mut self, position: u32) {
        match self.runs.last_mut() {
            Some((_, last)) if *last + 1 == position => *last = position,
            _ => self.runs.push((position - 1, position)),
        }
    }

    /// In each stretch completions behind everything else, else as recorded: for each new position the old one.
    /// `None`: nothing moves. `ends` says which positions are completions.
    pub fn spread(&self, events: u32, ends: impl Fn(u32) -> bool) -> Option<Vec<u32>> {
        let sorted = |(first, last): &(u32, u32)| (*first..*last).all(|p| !ends(p) || ends(p + 1));
        if self.runs.iter().all(sorted) {
            return None;
        }
        let mut recorded: Vec<u32> = (0..events).collect();
        for (first, last) in &self.runs {
            recorded[*first as usize..=*last as usize].sort_by_key(|p| ends(*p));
        }
        Some(recorded)
    }
}
