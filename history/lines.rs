//! Which line of the file each event stands on: runs, since most files have one event a line.
//!
//! Not the lines themselves: the file is not kept.

/// Events in a row on lines in a row, or all on one.
#[derive(Clone, Copy, Debug)]
struct Run {
    position: u32,
    line: u32,
    /// Lines from one event to the next: one or none.
    step: u32,
}

/// Twelve bytes a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    runs: Vec<Run>,
    events: u32,
}

impl Lines {
    /// The line of the next event, from one; 0 where it is on none.
    pub fn push(&mut self, line: u64) {
        let (position, line) = (self.events, u32::try_from(line).unwrap_or(u32::MAX));
        self.events += 1;
        if let Some(last) = self.runs.last_mut() {
            let along = position - last.position;
            if last.line.checked_add(along * last.step) == Some(line) {
                return;
            }
            if along == 1 && last.line == line {
                last.step = 0;
                return;
            }
        }
        self.runs.push(Run { position, line, step: 1 });
    }

    /// The line of the event at a position.
    pub fn at(&self, position: u32) -> Option<u64> {
        if position >= self.events {
            return None;
        }
        let run = self.runs[..self.runs.partition_point(|r| r.position <= position)].last()?;
        let line = run.line as u64 + (position - run.position) as u64 * run.step as u64;
        (run.line > 0).then_some(line)
    }

    pub fn bytes(&self) -> usize {
        self.runs.capacity() * size_of::<Run>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_found_on_its_line() {
        let lines = [1, 2, 3, 3, 3, 3, 7, 8, 2, 9, 9, 12, 13, 14, 0, 4, 5];
        let mut held = Lines::default();
        lines.iter().for_each(|l| held.push(*l));
        let found: Vec<u64> = (0..lines.len()).map(|i| held.at(i as u32).unwrap_or(0)).collect();
        assert_eq!(found, lines);
        assert_eq!(held.at(lines.len() as u32), None);
        assert!(held.runs.len() < 10, "{held:?}");
    }
}
