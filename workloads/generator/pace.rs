//! When: gaps between calls, limits on time, schedules.

use super::{Boxed, Context, Generator, Next};
use history::rng::Rng;
use history::{Event, Nanos};

const SECOND: f64 = 1e9;

/// How late a timer may be (ns).
const GRAIN: Nanos = 5_000_000;

/// The gap between calls: uniform in 0..2× its mean, so that the rate is right and no rhythm forms.
/// A host wakes up late by a timer's grain: that much is caught up with, so that the rate is as asked. What is behind by
/// more (no client was free) is not: the next gap is counted from the actual call.
#[derive(Clone, Debug)]
pub struct Gap {
    mean: Nanos,
    next: Option<Nanos>,
    rng: Rng,
}

impl Gap {
    /// A mean of 0 never waits.
    pub fn new(mean: Nanos, rng: Rng) -> Gap {
        Gap { mean, next: None, rng }
    }

    /// Calls a second in total; 0 or less for as fast as possible.
    pub fn of_rate(rate: f64, rng: Rng) -> Gap {
        Gap::new(if rate > 0.0 { (SECOND / rate) as Nanos } else { 0 }, rng)
    }

    /// The time before which nothing may be asked, if it is still to come.
    pub fn until(&self, now: Nanos) -> Option<Nanos> {
        self.next.filter(|next| *next > now)
    }

    /// A call was made now.
    pub fn called(&mut self, now: Nanos) {
        if self.mean > 0 {
            let from = self.next.filter(|next| now.saturating_sub(*next) <= GRAIN).unwrap_or(now);
            self.next = Some(from + self.rng.below(2 * self.mean));
        }
    }
}

/// See [`stagger`].
pub struct Stagger {
    gap: Gap,
    inner: Boxed,
}

/// Calls of all threads together, `mean` apart on average. The end of the generator inside shows after the gap.
pub fn stagger(mean: Nanos, rng: Rng, inner: Boxed) -> Boxed {
    Box::new(Stagger { gap: Gap::new(mean, rng), inner })
}

/// [`stagger`] in calls a second; 0 for as fast as possible.
pub fn rate(calls_per_second: f64, rng: Rng, inner: Boxed) -> Boxed {
    Box::new(Stagger { gap: Gap::of_rate(calls_per_second, rng), inner })
}

impl Generator for Stagger {
    fn next(&mut self, context: &Context) -> Next {
        if let Some(until) = self.gap.until(context.now) {
            return Next::Wait(until);
        }
        let next = self.inner.next(context);
        if matches!(next, Next::Call { .. } | Next::Sleep { .. }) {
            self.gap.called(context.now);
        }
        next
    }

    fn observe(&mut self, event: &Event) {
        self.inner.observe(event);
    }
}

/// See [`delay`].
pub struct Delay {
    gap: Nanos,
    next: Option<Nanos>,
    inner: Boxed,
}

/// Calls exactly `gap` apart; after a hold-up they come more often until the schedule is caught up with.
pub fn delay(gap: Nanos, inner: Boxed) -> Boxed {
    Box::new(Delay { gap, next: None, inner })
}

impl Generator for Delay {
    fn next(&mut self, context: &Context) -> Next {
        if let Some(next) = self.next.filter(|next| *next > context.now) {
            return Next::Wait(next);
        }
        let next = self.inner.next(context);
        if matches!(next, Next::Call { .. } | Next::Sleep { .. }) {
            self.next = Some(self.next.unwrap_or(context.now) + self.gap);
        }
        next
    }

    fn observe(&mut self, event: &Event) {
        self.inner.observe(event);
    }
}

/// See [`time_limit`].
pub struct TimeLimit {
    span: Nanos,
    end: Option<Nanos>,
    inner: Boxed,
}

/// No calls later than `span` after the first one. Calls in flight are not cut short.
pub fn time_limit(span: Nanos, inner: Boxed) -> Boxed {
    Box::new(TimeLimit { span, end: None, inner })
}

impl Generator for TimeLimit {
    fn next(&mut self, context: &Context) -> Next {
        if self.end.is_some_and(|end| context.now >= end) {
            return Next::Done;
        }
        match (self.inner.next(context), self.end) {
            (Next::Wait(at), Some(end)) if at >= end => Next::Done,
            (next, None) if next.acts() => {
                self.end = Some(context.now + self.span);
                next
            }
            (next, _) => next,
        }
    }

    fn observe(&mut self, event: &Event) {
        self.inner.observe(event);
    }
}

/// See [`cycle_times`].
pub struct CycleTimes {
    parts: Vec<(Nanos, Boxed)>,
    period: Nanos,
    start: Option<Nanos>,
}

/// Each generator for its span of time, round and round, each keeping its state; over when one of them is.
pub fn cycle_times(parts: Vec<(Nanos, Boxed)>) -> Boxed {
    let period = parts.iter().map(|(span, _)| span).sum();
    Box::new(CycleTimes { parts, period, start: None })
}

impl Generator for CycleTimes {
    fn next(&mut self, context: &Context) -> Next {
        if self.period == 0 {
            return Next::Done;
        }
        let start = *self.start.get_or_insert(context.now);
        let into = (context.now - start) % self.period;
        let mut end = context.now - into;
        for (span, part) in &mut self.parts {
            end += *span;
            if context.now >= end {
                continue;
            }
            return match part.next(context) {
                Next::Wait(at) => Next::Wait(at.min(end)),
                Next::Pending => Next::Wait(end),
                next => next,
            };
        }
        Next::Done
    }

    fn observe(&mut self, event: &Event) {
        self.parts.iter_mut().for_each(|(_, part)| part.observe(event));
    }
}

#[cfg(test)]
mod tests {
    use super::super::simulate::{MS, lines, tick};
    use super::super::*;
    use super::*;

    #[test]
    fn staggered_calls_keep_the_mean_gap_without_a_rhythm() {
        let times =
            |asked| lines(10, asked).iter().map(|l| l.split(' ').next().unwrap().parse().unwrap()).collect();
        let calls: Vec<u64> = times(limit(2000, stagger(5 * MS, Rng::new(1, "gap"), tick("a"))));
        let last = *calls.last().unwrap();
        assert!((9_500..10_500).contains(&last), "2000 calls, 5 ms apart on average, took {last} ms");
        let gaps: Vec<u64> = calls.windows(2).map(|w| w[1] - w[0]).collect();
        assert!(gaps.iter().all(|g| *g <= 10) && gaps.contains(&0) && gaps.contains(&9));
    }

    #[test]
    fn a_rate_is_calls_a_second_and_zero_is_no_limit() {
        let at_200 = lines(10, limit(400, rate(200.0, Rng::new(1, "gap"), tick("a"))));
        let last: u64 = at_200.last().unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!((1_800..2_200).contains(&last), "{last}");
        assert_eq!(
            lines(2, limit(4, rate(0.0, Rng::new(1, "gap"), tick("a")))),
            ["0 a", "0 a", "10 a", "10 a"]
        );
    }

    #[test]
    fn delayed_calls_are_exact_and_catch_up() {
        assert_eq!(lines(4, limit(4, delay(3 * MS, tick("a")))), ["0 a", "3 a", "6 a", "9 a"]);
        // One thread, busy for 10 ms at a time: the schedule 0, 4, 8, … is always behind.
        assert_eq!(lines(1, limit(3, delay(4 * MS, tick("a")))), ["0 a", "10 a", "20 a"]);
        // Held up for 25 ms, then the calls that are due come at once.
        let parts = vec![sleep(25 * MS), tick("a")];
        assert_eq!(lines(1, limit(3, delay(20 * MS, sequence(parts)))), ["25 a", "40 a"]);
    }

    #[test]
    fn a_time_limit_counts_from_the_first_call_and_lets_calls_in_flight_end() {
        let late = sequence(vec![sleep(30 * MS), time_limit(15 * MS, tick("a"))]);
        assert_eq!(lines(1, late), ["30 a", "40 a"]);
        let slow = time_limit(15 * MS, delay(6 * MS, tick("a")));
        assert_eq!(lines(4, slow), ["0 a", "6 a", "12 a"]);
    }

    #[test]
    fn a_schedule_of_times_goes_round_and_keeps_state() {
        let asked =
            cycle_times(vec![(12 * MS, delay(5 * MS, tick("a"))), (6 * MS, delay(5 * MS, tick("b")))]);
        assert_eq!(
            lines(9, time_limit(40 * MS, asked)),
            [
                "0 a", "5 a", "10 a", "12 b", "17 b", "18 a", "20 a", "25 a", "30 b", "30 b", "32 b", "36 a",
                "36 a"
            ]
        );
    }
}
