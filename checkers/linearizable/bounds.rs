//! Counters at one glance: a read outside what must and what may have been added, O(n log n).
//!
//! Refutes only: a sum inside its bounds may still be unreachable, which the search finds out.

use super::objects::{Counter, CounterCall, CounterReply};
use super::spec::{OPEN, Timed, precedes};
use super::story::Story;

/// A read and the bound that it breaks.
pub struct Outside {
    read: usize,
    value: i64,
    bound: i64,
    /// Below the least possible sum, or above the greatest.
    under: bool,
    /// The add that counts towards the bound and is nearest to the read.
    nearest: Option<usize>,
    adds: usize,
}

/// Sums of the positive and of the negative amounts, by position.
struct Sums(Vec<(u32, usize, i128, i128)>);

impl Sums {
    fn new(mut adds: Vec<(u32, usize, i64)>) -> Sums {
        adds.sort_unstable();
        let (mut up, mut down) = (0i128, 0i128);
        let sum = |(pos, op, x): (u32, usize, i64)| {
            up += x.max(0) as i128;
            down += x.min(0) as i128;
            (pos, op, up, down)
        };
        Sums(adds.into_iter().map(sum).collect())
    }

    /// Of the first ones, whose positions count, the last add, how many there are, and their sums.
    fn first(&self, counts: impl Fn(u32) -> bool) -> (Option<usize>, usize, i128, i128) {
        let n = self.0.partition_point(|s| counts(s.0));
        n.checked_sub(1).map_or((None, 0, 0, 0), |i| (Some(self.0[i].1), n, self.0[i].2, self.0[i].3))
    }
}

/// The first read, by completion, that breaks a bound.
pub fn outside(ops: &[Timed<Counter>]) -> Option<Outside> {
    let amounts = || {
        ops.iter().enumerate().filter_map(|(i, op)| match op.call {
            CounterCall::Add(x) => Some((i, x)),
            CounterCall::Read => None,
        })
    };
    let must =
        Sums::new(amounts().filter(|(i, _)| ops[*i].is_ok()).map(|(i, x)| (ops[i].res, i, x)).collect());
    let may = Sums::new(amounts().map(|(i, x)| (ops[i].inv, i, x)).collect());
    let mut reads: Vec<(u32, usize, i64)> = Vec::new();
    for (i, op) in ops.iter().enumerate() {
        if let Some(CounterReply::Sum(value)) = op.reply {
            reads.push((op.res, i, value));
        }
    }
    reads.sort_unstable();
    reads.into_iter().find_map(|(_, read, value)| {
        let certain = must.first(|res| precedes(res, ops[read].inv));
        let possible = may.first(|inv| !precedes(ops[read].res, inv));
        let (low, high) = (certain.2 + possible.3, possible.2 + certain.3);
        let under = (value as i128) < low;
        if !under && value as i128 <= high {
            return None;
        }
        let (nearest, adds, ..) = if under { certain } else { possible };
        let bound = i64::try_from(if under { low } else { high }).ok()?;
        Some(Outside { read, value, bound, under, nearest, adds })
    })
}

impl Outside {
    pub fn core(&self) -> Vec<usize> {
        self.nearest.into_iter().chain([self.read]).collect()
    }

    /// The bound as one acknowledged add before the read: the sum that is nearest to what was read, and yet another.
    pub fn reduced(&self, ops: &[Timed<Counter>]) -> Vec<Timed<Counter>> {
        let all =
            Timed { call: CounterCall::Add(self.bound), reply: Some(CounterReply::Done), inv: 0, res: 1 };
        let read = &ops[self.read];
        vec![all, Timed { inv: read.inv + 2, res: read.res.saturating_add(2).min(OPEN - 1), ..read.clone() }]
    }

    pub fn tell(&self, story: &Story<'_>) -> (&'static str, Vec<String>) {
        let (pattern, so_far, word) = match self.under {
            true => ("lost increment", "had been acknowledged before it began", "at least"),
            false => ("thin-air sum", "had been asked for by its end", "at most"),
        };
        let mut words = vec![
            format!(
                "{} is not linearizable: {} returned {}, but {word} {} {so_far}.",
                story.subject(),
                story.full(self.read),
                self.value,
                self.bound
            ),
            format!("{} adds count towards that bound.", self.adds),
        ];
        if let Some(add) = self.nearest {
            words.push(match self.under {
                true => format!(
                    "The last of them, {}, was acknowledged {} before {} began.",
                    story.full(add),
                    story.gap(add, self.read),
                    story.short(self.read)
                ),
                false => format!("The last of them is {}.", story.full(add)),
            });
        }
        words.extend(story.strike(self.read));
        (pattern, words)
    }
}
