//! How many: limits on calls and on processes, and going on until something works.

use super::{Boxed, Context, Generator, Next, process_of};
use history::{Event, Outcome, Process};
use std::collections::BTreeSet;

/// See [`limit`].
pub struct Limit {
    left: u64,
    inner: Boxed,
}

/// At most so many calls.
pub fn limit(calls: u64, inner: Boxed) -> Boxed {
    Box::new(Limit { left: calls, inner })
}

impl Generator for Limit {
    fn next(&mut self, context: &Context) -> Next {
        if self.left == 0 {
            return Next::Done;
        }
        let next = self.inner.next(context);
        if matches!(next, Next::Call { .. } | Next::Sleep { .. }) {
            self.left -= 1;
        }
        next
    }

    fn observe(&mut self, event: &Event) {
        self.inner.observe(event);
    }
}

/// See [`process_limit`].
pub struct ProcessLimit {
    left: usize,
    seen: Vec<Option<Process>>,
    inner: Boxed,
}

/// Over as soon as more than so many different processes could have made calls: bounds how many calls can be
/// left open, and with that what a checker has to search.
pub fn process_limit(processes: usize, inner: Boxed) -> Boxed {
    Box::new(ProcessLimit { left: processes, seen: Vec::new(), inner })
}

impl Generator for ProcessLimit {
    fn next(&mut self, context: &Context) -> Next {
        self.seen.resize(context.concurrency(), None);
        for thread in context.all.iter() {
            let process = context.processes[thread];
            if self.seen[thread] == Some(process) {
                continue;
            }
            if self.left == 0 {
                return Next::Done;
            }
            self.left -= 1;
            self.seen[thread] = Some(process);
        }
        self.inner.next(context)
    }

    fn observe(&mut self, event: &Event) {
        self.inner.observe(event);
    }
}

/// See [`until_ok`].
pub struct UntilOk {
    inner: Boxed,
    active: BTreeSet<Process>,
    done: bool,
}

/// Goes on until one of its own calls ends in ok.
pub fn until_ok(inner: Boxed) -> Boxed {
    Box::new(UntilOk { inner, active: BTreeSet::new(), done: false })
}

impl Generator for UntilOk {
    fn next(&mut self, context: &Context) -> Next {
        if self.done {
            return Next::Done;
        }
        let next = self.inner.next(context);
        if let Next::Call { thread, .. } = next {
            self.active.insert(context.processes[thread]);
        }
        next
    }

    fn observe(&mut self, event: &Event) {
        self.inner.observe(event);
        let mine = process_of(event).is_some_and(|p| self.active.contains(&p));
        if let (true, Event::Complete { process, outcome, .. }) = (mine, event) {
            self.active.remove(process);
            self.done |= matches!(outcome, Outcome::Ok(_));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simulate::{lines, simulate, tick};
    use super::super::*;
    use super::*;
    use history::Error;

    #[test]
    fn a_limit_counts_calls() {
        assert_eq!(lines(2, limit(3, tick("a"))), ["0 a", "0 a", "10 a"]);
        assert!(lines(2, limit(0, tick("a"))).is_empty());
    }

    #[test]
    fn a_process_limit_ends_it_when_crashes_have_made_too_many() {
        // Every call is left open, so each thread comes back as a new process: 2 + 2 + 1 of at most 5.
        let events = simulate(2, process_limit(5, tick("a")), |_, _| Outcome::Info(Error::new("crash")));
        let invoked = events.iter().filter(|e| matches!(e, Event::Invoke { .. })).count();
        assert_eq!(invoked, 4);
        assert_eq!(lines(2, limit(6, process_limit(2, tick("a")))).len(), 6);
    }

    #[test]
    fn until_ok_goes_on_through_failures_and_then_stops() {
        let answer = |n: u64, _: &history::Call| match n {
            0..4 => Outcome::Fail(Error::new("no")),
            _ => Outcome::Ok(history::Reply::Done),
        };
        let events = simulate(1, until_ok(tick("a")), answer);
        let outcomes: Vec<_> = events
            .iter()
            .filter_map(|e| match e {
                Event::Complete { outcome, .. } => Some(outcome.kind()),
                _ => None,
            })
            .collect();
        assert_eq!(outcomes, ["fail", "fail", "fail", "fail", "ok"]);
    }

    #[test]
    fn until_ok_looks_at_its_own_calls_only() {
        // Thread 0 succeeds with `a` all the time, thread 1 never with `b`.
        let asked = reserve(vec![(1, tick("a"))], until_ok(tick("b")));
        let events = simulate(2, limit(12, asked), |_, call| match call.key().to_plain().as_str() {
            "a" => Outcome::Ok(history::Reply::Done),
            _ => Outcome::Fail(Error::new("no")),
        });
        let bs =
            events.iter().filter(|e| matches!(e, Event::Invoke { call, .. } if call.key().to_plain() == "b"));
        assert_eq!(bs.count(), 6);
    }
}
