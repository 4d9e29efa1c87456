//! One thing after another: sources of calls, sequences, barriers, log lines and rests.

use super::{Boxed, Context, Generator, Next};
use history::{Call, Event, Nanos};
use std::collections::VecDeque;

/// Calls from a function, for ever; the function is asked only when a thread is free.
pub struct Source<F>(F);

/// `make` is called once for each call.
pub fn repeat<F: FnMut(&Context) -> Call + Send + 'static>(make: F) -> Boxed {
    Box::new(Source(make))
}

impl<F: FnMut(&Context) -> Call + Send> Generator for Source<F> {
    fn next(&mut self, context: &Context) -> Next {
        match context.free_thread() {
            Some(thread) => Next::Call { thread, call: (self.0)(context), node: None, last: false },
            None => Next::Pending,
        }
    }
}

/// Exactly this call, once.
pub fn once(call: Call) -> Boxed {
    super::limit(1, repeat(move |_| call.clone()))
}

/// Each generator in turn, the next as soon as the one before has nothing more to ask.
pub struct Sequence(VecDeque<Boxed>);

pub fn sequence(parts: Vec<Boxed>) -> Boxed {
    Box::new(Sequence(parts.into()))
}

impl Generator for Sequence {
    fn next(&mut self, context: &Context) -> Next {
        while let Some(first) = self.0.front_mut() {
            match first.next(context) {
                Next::Done => self.0.pop_front(),
                next => return next,
            };
        }
        Next::Done
    }

    fn observe(&mut self, event: &Event) {
        if let Some(first) = self.0.front_mut() {
            first.observe(event);
        }
    }
}

/// Waits until every thread in sight is free, then is the generator inside.
pub struct Synchronize {
    inner: Boxed,
    begun: bool,
}

pub fn synchronize(inner: Boxed) -> Boxed {
    Box::new(Synchronize { inner, begun: false })
}

impl Generator for Synchronize {
    fn next(&mut self, context: &Context) -> Next {
        self.begun |= context.free == context.all;
        if self.begun { self.inner.next(context) } else { Next::Pending }
    }

    fn observe(&mut self, event: &Event) {
        self.inner.observe(event);
    }
}

/// A sequence in which each part starts only when all threads are free.
pub fn phases(parts: Vec<Boxed>) -> Boxed {
    sequence(parts.into_iter().map(synchronize).collect())
}

struct Log(Option<String>);

/// One line for the record, no call.
pub fn log(line: &str) -> Boxed {
    Box::new(Log(Some(line.into())))
}

impl Generator for Log {
    fn next(&mut self, _: &Context) -> Next {
        self.0.take().map_or(Next::Done, Next::Log)
    }
}

struct Sleep(Option<Nanos>);

/// One free thread does nothing for so long.
pub fn sleep(span: Nanos) -> Boxed {
    Box::new(Sleep(Some(span)))
}

impl Generator for Sleep {
    fn next(&mut self, context: &Context) -> Next {
        match (self.0, context.free_thread()) {
            (None, _) => Next::Done,
            (Some(_), None) => Next::Pending,
            (Some(span), Some(thread)) => {
                self.0 = None;
                Next::Sleep { thread, until: context.now + span }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simulate::{lines, tick};
    use super::super::*;
    use super::*;

    #[test]
    fn a_sequence_does_not_wait_and_phases_do() {
        let two = || vec![limit(2, tick("a")), once(Call::Read("b".into_key()))];
        // Two threads, each call takes 10 ms.
        assert_eq!(lines(2, sequence(two())), ["0 a", "0 a", "10 b"]);
        assert_eq!(lines(3, sequence(two())), ["0 a", "0 a", "0 b"]);
        assert_eq!(lines(3, phases(two())), ["0 a", "0 a", "10 b"]);
    }

    #[test]
    fn a_sleeping_thread_is_busy_and_leaves_no_trace() {
        let parts = vec![sleep(25_000_000), tick("a")];
        assert_eq!(lines(1, limit(2, sequence(parts))), ["25 a"]);
        let parts =
            vec![sleep(25_000_000), limit(3, tick("a")), synchronize(once(Call::Read("b".into_key())))];
        assert_eq!(lines(2, sequence(parts)), ["0 a", "10 a", "20 a", "30 b"]);
    }

    #[test]
    fn a_log_line_is_recorded_in_its_place() {
        let parts = vec![once(Call::Read("a".into_key())), log("half way"), once(Call::Read("b".into_key()))];
        assert_eq!(lines(2, sequence(parts)), ["0 a", "0 log: half way", "0 b"]);
    }

    trait Key {
        fn into_key(self) -> history::Value;
    }
    impl Key for &str {
        fn into_key(self) -> history::Value {
            history::Value::text(self)
        }
    }
}
