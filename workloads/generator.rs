//! Generators: pure, seeded streams of calls, and the combinators that shape them in time and over clients.
//!
//! The meaning of each combinator is Jepsen's (`jepsen.generator`), with one difference in form: a generator
//! here is changed in place, so only a [`Next::Call`], [`Next::Sleep`], [`Next::Log`] or [`Next::Phase`] uses
//! anything up. [`Next::Wait`] and [`Next::Pending`] leave it as it was, however often it is asked: what a run
//! asks depends on its seed and on what it observes, never on how often a host polls.
//!
//! Not here: driving a generator. That is [`crate::interpreter`].

mod bound;
mod choose;
pub mod finals;
pub mod keyed;
mod order;
mod pace;
pub mod phases;
pub mod simulate;

pub use bound::{Limit, ProcessLimit, UntilOk, limit, process_limit, until_ok};
pub use choose::{
    Any, Each, FlipFlop, Mix, Reserve, any, each_process, each_thread, flip_flop, mix, reserve,
};
pub use order::{Sequence, Source, Synchronize, log, once, phases, repeat, sequence, sleep, synchronize};
pub use pace::{CycleTimes, Delay, Gap, Stagger, TimeLimit, cycle_times, delay, rate, stagger, time_limit};

use history::{Call, Event, Nanos, NodeId, Process};

/// Most clients that one run may have.
pub const MAX_THREADS: usize = 1024;

/// A boxed generator; what every combinator takes.
pub type Boxed = Box<dyn Generator>;

/// A stream of calls that may depend on the time, on who is free, and on what was observed.
pub trait Generator: Send {
    /// What comes next. Cost: called once for each call and once for each wake-up in between.
    fn next(&mut self, context: &Context) -> Next;

    /// Told of every invocation and completion, in the order in which they are journaled.
    fn observe(&mut self, event: &Event) {
        let _ = event;
    }
}

/// An answer of a generator.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// `thread` (free in the context that was given) makes this call now.
    Call {
        thread: usize,
        call: Call,
        /// `None`: the node that the thread is bound to.
        node: Option<NodeId>,
        /// Part of the final phase, after everything had healed.
        last: bool,
    },
    /// `thread` does nothing until then. Not part of the history.
    Sleep { thread: usize, until: Nanos },
    /// Nothing before this time (later than now), unless something completes.
    Wait(Nanos),
    /// Nothing until something completes.
    Pending,
    /// Nothing ever again.
    Done,
    /// A line for the record.
    Log(String),
    /// A phase begins; all threads are free.
    Phase(&'static str),
}

/// What a generator may look at.
#[derive(Clone)]
pub struct Context<'a> {
    pub now: Nanos,
    /// Threads that this generator may use at all.
    pub all: Threads,
    /// Those of them that are idle.
    pub free: Threads,
    /// The process of each thread of the run.
    pub processes: &'a [Process],
    /// The node that each thread of the run is bound to; `None` for a client outside.
    pub nodes: &'a [Option<NodeId>],
    pub phase: &'static str,
    /// Calls made so far, and the seed: together they pick among free threads.
    pub turn: u64,
}

impl Context<'_> {
    /// Clients of the run, whatever of them this generator sees.
    pub fn concurrency(&self) -> usize {
        self.processes.len()
    }

    /// The same moment, with only these threads in sight.
    pub fn only(&self, threads: &Threads) -> Self {
        Context { all: self.all.and(threads), free: self.free.and(threads), ..self.clone() }
    }

    /// A free thread, chosen uniformly by a hash of the turn: fair, and no rhythm of a generator can lock on to it.
    pub fn free_thread(&self) -> Option<usize> {
        let count = self.free.len() as u64;
        if count == 0 {
            return None;
        }
        self.free.nth((((mix64(self.turn) as u128) * count as u128) >> 64) as usize)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) fn mix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

const WORDS: usize = MAX_THREADS / 64;

/// A set of threads below [`MAX_THREADS`]: 128 bytes, copied rather than allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Threads([u64; WORDS]);

impl Threads {
    /// `from..to`.
    pub fn range(from: usize, to: usize) -> Threads {
        let mut set = Threads::default();
        (from..to.min(MAX_THREADS)).for_each(|t| set.insert(t));
        set
    }

    pub fn insert(&mut self, thread: usize) {
        self.0[thread / 64] |= 1 << (thread % 64);
    }

    pub fn remove(&mut self, thread: usize) {
        self.0[thread / 64] &= !(1 << (thread % 64));
    }

    pub fn contains(&self, thread: usize) -> bool {
        self.0[thread / 64] >> (thread % 64) & 1 == 1
    }

    pub fn and(&self, other: &Threads) -> Threads {
        Threads(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|w| *w == 0)
    }

    /// The n-th smallest member.
    pub fn nth(&self, n: usize) -> Option<usize> {
        self.iter().nth(n)
    }

    /// Members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(i, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(i * 64 + bit)
            })
        })
    }
}

impl Generator for Boxed {
    fn next(&mut self, context: &Context) -> Next {
        (**self).next(context)
    }

    fn observe(&mut self, event: &Event) {
        (**self).observe(event)
    }
}

/// The sooner of two answers that are not calls: the earliest wait, then pending, then done.
pub(crate) fn sooner(a: Next, b: Next) -> Next {
    match (a, b) {
        (Next::Wait(x), Next::Wait(y)) => Next::Wait(x.min(y)),
        (Next::Wait(x), _) | (_, Next::Wait(x)) => Next::Wait(x),
        (Next::Pending, _) | (_, Next::Pending) => Next::Pending,
        _ => Next::Done,
    }
}

impl Next {
    /// Whether this answer uses something up.
    pub(crate) fn acts(&self) -> bool {
        !matches!(self, Next::Wait(_) | Next::Pending | Next::Done)
    }
}

/// The process of an event about a call.
pub(crate) fn process_of(event: &Event) -> Option<Process> {
    match event {
        Event::Invoke { process, .. } | Event::Complete { process, .. } => Some(*process),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_threads_is_a_set() {
        let mut set = Threads::range(60, 70);
        assert_eq!(set.len(), 10);
        set.remove(63);
        set.insert(1000);
        assert!(set.contains(64) && !set.contains(63));
        assert_eq!(set.iter().collect::<Vec<_>>(), [60, 61, 62, 64, 65, 66, 67, 68, 69, 1000]);
        assert_eq!(set.nth(9), Some(1000));
        assert_eq!(set.and(&Threads::range(0, 62)), Threads::range(60, 62));
    }

    #[test]
    fn free_threads_are_chosen_fairly() {
        let processes: Vec<Process> = (0..5).map(Process).collect();
        let all = Threads::range(0, 5);
        let mut seen = [0u32; 5];
        for turn in 0..5000 {
            let context =
                Context { now: 0, all, free: all, processes: &processes, nodes: &[], phase: "", turn };
            seen[context.free_thread().unwrap()] += 1;
        }
        assert!(seen.iter().all(|n| (900..1100).contains(n)), "{seen:?}");
    }
}
