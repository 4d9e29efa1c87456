//! Which: choosing among generators by chance, by time, by turn or by thread.

use super::{Boxed, Context, Generator, Next, Threads, process_of, sooner};
use history::rng::Rng;
use history::{Event, Process};

/// See [`mix`].
pub struct Mix {
    parts: Vec<(u64, Boxed)>,
    at: usize,
    rng: Rng,
}

/// Each call from one of the generators, chosen in proportion to its weight; over when all are.
pub fn mix(parts: Vec<(u64, Boxed)>, rng: Rng) -> Boxed {
    let mut mix = Mix { parts, at: 0, rng };
    mix.choose();
    Box::new(mix)
}

impl Mix {
    fn choose(&mut self) {
        let weights: Vec<u64> = self.parts.iter().map(|(w, _)| *w).collect();
        self.at = self.rng.weighted(&weights);
    }
}

impl Generator for Mix {
    fn next(&mut self, context: &Context) -> Next {
        while let Some((_, part)) = self.parts.get_mut(self.at) {
            let next = part.next(context);
            if next == Next::Done {
                self.parts.remove(self.at);
                self.choose();
                continue;
            }
            if next.acts() {
                self.choose();
            }
            return next;
        }
        Next::Done
    }

    fn observe(&mut self, event: &Event) {
        self.parts.iter_mut().for_each(|(_, part)| part.observe(event));
    }
}

/// See [`any`].
pub struct Any {
    parts: Vec<Boxed>,
    first: usize,
    rng: Rng,
}

/// Whichever generator has something to ask soonest; among several that are due, a fair draw.
pub fn any(parts: Vec<Boxed>, rng: Rng) -> Boxed {
    Box::new(Any { parts, first: 0, rng })
}

impl Generator for Any {
    fn next(&mut self, context: &Context) -> Next {
        let mut soonest = Next::Done;
        let count = self.parts.len();
        for i in 0..count {
            let next = self.parts[(self.first + i) % count].next(context);
            if next.acts() {
                self.first = self.rng.below(count as u64) as usize;
                return next;
            }
            soonest = sooner(soonest, next);
        }
        soonest
    }

    fn observe(&mut self, event: &Event) {
        self.parts.iter_mut().for_each(|part| part.observe(event));
    }
}

/// See [`flip_flop`].
pub struct FlipFlop {
    parts: [Boxed; 2],
    at: usize,
}

/// One call from the first, one from the second, and so on; over when either is.
pub fn flip_flop(a: Boxed, b: Boxed) -> Boxed {
    Box::new(FlipFlop { parts: [a, b], at: 0 })
}

impl Generator for FlipFlop {
    fn next(&mut self, context: &Context) -> Next {
        let next = self.parts[self.at].next(context);
        if next.acts() {
            self.at ^= 1;
        }
        next
    }

    fn observe(&mut self, event: &Event) {
        self.parts.iter_mut().for_each(|part| part.observe(event));
    }
}

/// See [`reserve`].
pub struct Reserve {
    parts: Vec<(Threads, Boxed)>,
    /// Where asking starts, so that the first part does not starve the others.
    first: usize,
}

/// The first threads to the first generator, the next ones to the second, …, all others to `rest`.
pub fn reserve(shares: Vec<(usize, Boxed)>, rest: Boxed) -> Boxed {
    let mut from = 0;
    let mut parts: Vec<(Threads, Boxed)> = Vec::new();
    for (count, part) in shares {
        parts.push((Threads::range(from, from + count), part));
        from += count;
    }
    parts.push((Threads::range(from, super::MAX_THREADS), rest));
    Box::new(Reserve { parts, first: 0 })
}

impl Generator for Reserve {
    fn next(&mut self, context: &Context) -> Next {
        let mut soonest = Next::Done;
        let count = self.parts.len();
        for i in 0..count {
            let at = (self.first + i) % count;
            let (threads, part) = &mut self.parts[at];
            let next = part.next(&context.only(threads));
            if next.acts() {
                self.first = at + 1;
                return next;
            }
            soonest = sooner(soonest, next);
        }
        soonest
    }

    fn observe(&mut self, event: &Event) {
        self.parts.iter_mut().for_each(|(_, part)| part.observe(event));
    }
}

type Make = Box<dyn FnMut(usize) -> Boxed + Send>;

/// See [`each_thread`] and [`each_process`].
pub struct Each {
    make: Make,
    copies: Vec<Option<(Process, Boxed)>>,
    renew: bool,
    first: usize,
}

/// A generator of its own for every thread, made when the thread is first seen.
pub fn each_thread(make: impl FnMut(usize) -> Boxed + Send + 'static) -> Boxed {
    Box::new(Each { make: Box::new(make), copies: Vec::new(), renew: false, first: 0 })
}

/// As [`each_thread`], with a new one whenever the thread goes on as a new process.
pub fn each_process(make: impl FnMut(usize) -> Boxed + Send + 'static) -> Boxed {
    Box::new(Each { make: Box::new(make), copies: Vec::new(), renew: true, first: 0 })
}

impl Generator for Each {
    fn next(&mut self, context: &Context) -> Next {
        self.copies.resize_with(context.concurrency(), || None);
        let mut soonest = if context.free == context.all { Next::Done } else { Next::Pending };
        let count = self.copies.len();
        for i in 0..count {
            let thread = (self.first + i) % count;
            if !context.free.contains(thread) {
                continue;
            }
            let process = context.processes[thread];
            let stale = self.copies[thread].as_ref().is_none_or(|(p, _)| self.renew && *p != process);
            if stale {
                self.copies[thread] = Some((process, (self.make)(thread)));
            }
            let Some((_, copy)) = &mut self.copies[thread] else { continue };
            let next = copy.next(&context.only(&Threads::range(thread, thread + 1)));
            if next.acts() {
                self.first = thread + 1;
                return next;
            }
            soonest = sooner(soonest, next);
        }
        soonest
    }

    fn observe(&mut self, event: &Event) {
        let count = self.copies.len();
        if let (Some(Process(p)), true) = (process_of(event), count > 0)
            && let Some((_, copy)) = &mut self.copies[p as usize % count]
        {
            copy.observe(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simulate::{MS, lines, lines_by, tick};
    use super::super::*;
    use super::*;
    use history::{Error, Outcome, Reply};

    fn letters(lines: &[String]) -> String {
        lines.iter().filter_map(|l| l.split(' ').nth(1)).collect()
    }

    #[test]
    fn a_mix_keeps_its_weights_and_outlives_its_parts() {
        let rng = || Rng::new(1, "mix");
        let seen = letters(&lines(1, limit(1000, mix(vec![(3, tick("a")), (1, tick("b"))], rng()))));
        let share = seen.matches('a').count();
        assert!((700..800).contains(&share), "{share}");
        let seen = letters(&lines(1, limit(9, mix(vec![(3, limit(2, tick("a"))), (1, tick("b"))], rng()))));
        assert_eq!((seen.len(), seen.matches('a').count()), (9, 2));
    }

    #[test]
    fn any_takes_the_soonest() {
        let asked = any(vec![delay(7 * MS, tick("a")), delay(5 * MS, tick("b"))], Rng::new(1, "any"));
        let seen = lines(9, time_limit(16 * MS, asked));
        let mut sorted = seen.clone();
        sorted.sort_by_key(|l| l.split(' ').next().unwrap().parse::<u64>().unwrap());
        assert_eq!(seen[2..], ["5 b", "7 a", "10 b", "14 a", "15 b"]);
        assert_eq!(seen, sorted);
    }

    #[test]
    fn flip_flop_alternates_and_ends_with_the_shorter() {
        assert_eq!(letters(&lines(1, flip_flop(tick("a"), limit(2, tick("b"))))), "ababa");
    }

    #[test]
    fn reserved_threads_keep_to_their_generator() {
        let asked = reserve(vec![(1, tick("a")), (2, tick("b"))], tick("c"));
        let seen = lines_by(5, limit(40, asked), |_, _| Outcome::Ok(Reply::Done), true);
        for line in &seen {
            let process: u32 = line.split(' ').nth(1).unwrap().trim_start_matches('p').parse().unwrap();
            let letter = line.split(' ').nth(2).unwrap();
            assert_eq!(letter, ["a", "b", "b", "c", "c"][process as usize], "{line}");
        }
        assert_eq!(seen.len(), 40);
    }

    #[test]
    fn each_thread_has_its_own_and_each_process_a_new_one() {
        let crash = |n: u64, _: &history::Call| match n {
            0 => Outcome::Info(Error::new("crash")),
            _ => Outcome::Ok(Reply::Done),
        };
        let threads = lines_by(2, each_thread(|_| limit(2, tick("a"))), crash, true);
        assert_eq!(threads.len(), 4);
        // The thread whose first call was left open comes back as a new process with two calls of its own.
        let processes = lines_by(2, each_process(|_| limit(2, tick("a"))), crash, true);
        assert_eq!(processes.len(), 5);
    }
}
