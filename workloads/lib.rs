//! What clients ask, and how it is judged: pure, seeded workloads, the generators they are made of, and the
//! interpreter that turns a generator into dispatches.
//!
//! No I/O, no clock, no threads, no async: a host (the shell in the root crate, or the simulator) brings those.
//! To add a workload: one file here, one line in [`ALL`].

mod append;
mod cas_register;
mod counter;
pub mod generator;
pub mod interpreter;
mod register;
mod set;
#[cfg(test)]
mod tests;

pub use checkers::coverage::Evidence;
pub use generator::phases::{Phases, Stream};
pub use generator::{Context, Generator, Next};
pub use interpreter::{Action, CallId, Interpreter, Options};

use checkers::Checker;
use history::Nanos;
use history::rng::Rng;

/// Which object of a store the clients talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    Register,
    CasRegister,
    Set,
    List,
    Counter,
}

impl Object {
    /// The name of its spec: `register`, `cas-register`, `set`, `list`, `counter`.
    pub fn name(self) -> &'static str {
        match self {
            Object::Register => "register",
            Object::CasRegister => "cas-register",
            Object::Set => "set",
            Object::List => "list",
            Object::Counter => "counter",
        }
    }
}

/// How much of everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    pub nodes: usize,
    /// Clients.
    pub concurrency: usize,
    /// Calls a second, of all clients together; 0 for as fast as possible.
    pub rate: f64,
    /// How long clients ask while faults strike.
    pub load: Nanos,
    /// How long they ask before that.
    pub warm_up: Nanos,
    /// Keys in use at the same time; 0 for one per as many clients as there are nodes.
    pub keys: usize,
    /// Calls of each key before it is replaced by a new one; 0 for the workload's own number.
    pub ops_per_key: usize,
    /// Keys read from every node at the end, at most.
    pub final_reads: usize,
    /// How often a final read is tried, and in how many rounds in a row a node may fail to answer.
    pub final_tries: u32,
    pub seed: u64,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            nodes: 5,
            concurrency: 10,
            rate: 500.0,
            load: 30_000_000_000,
            warm_up: 2_000_000_000,
            keys: 0,
            ops_per_key: 0,
            final_reads: 1000,
            final_tries: 20,
            seed: 0,
        }
    }
}

/// A way of using an object, and what must hold of it.
pub trait Workload: Sync {
    /// File name (with `-` for `_`), flag name and report heading.
    fn name(&self) -> &'static str;

    /// One sentence: what clients do.
    fn about(&self) -> &'static str;

    /// One sentence: what must hold.
    fn invariant(&self) -> &'static str;

    fn object(&self) -> Object;

    /// What clients ask under load, and the final reads.
    fn stream(&self, params: &Params, rng: Rng) -> Box<dyn Stream>;

    /// The judges of a recorded run: those of the object, and whether the evidence reaches the minimum. What is
    /// judged of every run (availability, leaders, logs, statistics) comes on top.
    fn checkers(&self) -> Vec<Box<dyn Checker>>;

    /// Below this a run is vacuous.
    fn minimum(&self) -> Evidence;

    /// The whole run: warm-up, load, heal, final reads.
    fn generator(&self, params: &Params, mut rng: Rng) -> Phases {
        let stream = self.stream(params, rng.fork(self.name()));
        Phases::new(stream, params, rng)
    }
}

/// Every workload, in the order in which they are listed.
pub const ALL: &[&dyn Workload] =
    &[&register::Register, &cas_register::CasRegister, &set::Set, &append::Append, &counter::Counter];

/// The workload of that name.
///
/// # Errors
/// A sentence that names the nearest workload, if one is near, and all there are.
pub fn find(name: &str) -> Result<&'static dyn Workload, String> {
    if let Some(found) = ALL.iter().find(|w| w.name() == name) {
        return Ok(*found);
    }
    let names: Vec<&str> = ALL.iter().map(|w| w.name()).collect();
    let meant = nearest(name, &names).map(|n| format!(" Did you mean {n}?")).unwrap_or_default();
    Err(format!("There is no workload {name:?}.{meant} There are {}.", names.join(", ")))
}

/// The name closest to `typed`, if it is at most a third of its letters away.
pub fn nearest<'a>(typed: &str, names: &[&'a str]) -> Option<&'a str> {
    let best = names.iter().min_by_key(|name| distance(typed, name))?;
    (distance(typed, best) <= best.len().div_ceil(3)).then_some(*best)
}

/// Levenshtein's edit distance, in letters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + (x != *y) as usize).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}
