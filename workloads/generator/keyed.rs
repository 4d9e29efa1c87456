//! Many independent objects at once: clients in groups, each group on one key, a new key when that is used up.
//!
//! A simple form of Jepsen's `independent/concurrent-generator`. Keys are bounded in calls and in calls left open,
//! because what a checker has to search grows with both.

use super::phases::Stream;
use super::{Context, Generator, Next, process_of};
use crate::Params;
use history::rng::Rng;
use history::{Call, Event, Outcome, Process, Value};

/// A key on which so many calls were left open is given up for a new one.
const MOST_OPEN: u32 = 20;

/// What a workload asks of one key.
pub trait Ask: Send {
    /// What it remembers of a key.
    type State: Default + Send;

    /// The next call. `fresh` gives a value that this key was never given before.
    fn ask(&mut self, key: &Value, fresh: &mut Fresh, state: &mut Self::State, rng: &mut Rng) -> Call;

    /// A call of this key completed.
    fn learn(&mut self, state: &mut Self::State, call: &Call, outcome: &Outcome) {
        let _ = (state, call, outcome);
    }

    /// Whether the call counts against the key's limit.
    fn counts(&self, call: &Call) -> bool {
        let _ = call;
        true
    }
}

/// Values 1, 2, 3, … It cannot repeat or run out before 2⁶⁴ of them.
#[derive(Clone, Debug, Default)]
pub struct Fresh(i64);

impl Fresh {
    pub fn value(&mut self) -> Value {
        self.0 = self.0.wrapping_add(1);
        Value::Int(self.0)
    }
}

struct Group<S> {
    key: Value,
    calls: usize,
    open: u32,
    fresh: Fresh,
    state: S,
}

/// See the module.
pub struct Keyed<A: Ask> {
    ask: A,
    prefix: &'static str,
    limit: usize,
    groups: Vec<Group<A::State>>,
    concurrency: usize,
    /// Keys given out so far.
    keys: usize,
    rng: Rng,
}

impl<A: Ask> Keyed<A> {
    /// Keys are called `prefix` and a number. `limit`: calls of each key, unless the parameters say otherwise.
    /// Each key is shared by at least two clients, where there are two.
    pub fn new(ask: A, prefix: &'static str, limit: usize, params: &Params, rng: Rng) -> Keyed<A> {
        let concurrency = params.concurrency.max(1);
        let most = (concurrency / 2).max(1);
        let groups = match params.keys {
            // As many clients on a key as there are nodes, so that every node is asked for it.
            0 => concurrency / params.nodes.clamp(2, 5),
            keys => keys,
        };
        let limit = if params.ops_per_key == 0 { limit } else { params.ops_per_key };
        let mut keyed = Keyed { ask, prefix, limit, groups: Vec::new(), concurrency, keys: 0, rng };
        for _ in 0..groups.clamp(1, most) {
            let group = keyed.fresh_group();
            keyed.groups.push(group);
        }
        keyed
    }

    fn key(&self, number: usize) -> Value {
        Value::text(&format!("{}{number}", self.prefix))
    }

    fn fresh_group(&mut self) -> Group<A::State> {
        let key = self.key(self.keys);
        self.keys += 1;
        Group { key, calls: 0, open: 0, fresh: Fresh::default(), state: A::State::default() }
    }

    /// Neighbouring threads share a key; they are bound to different nodes.
    fn group_of(&self, thread: usize) -> usize {
        (thread % self.concurrency) * self.groups.len() / self.concurrency
    }
}

impl<A: Ask> Generator for Keyed<A> {
    fn next(&mut self, context: &Context) -> Next {
        let Some(thread) = context.free_thread() else { return Next::Pending };
        let at = self.group_of(thread);
        if self.groups[at].calls >= self.limit || self.groups[at].open >= MOST_OPEN {
            self.groups[at] = self.fresh_group();
        }
        let group = &mut self.groups[at];
        let call = self.ask.ask(&group.key, &mut group.fresh, &mut group.state, &mut self.rng);
        group.calls += self.ask.counts(&call) as usize;
        Next::Call { thread, call, node: None, last: false }
    }

    fn observe(&mut self, event: &Event) {
        let Event::Complete { call, outcome, .. } = event else { return };
        let Some(Process(process)) = process_of(event) else { return };
        let at = self.group_of(process as usize);
        let group = &mut self.groups[at];
        // A late completion of the key before.
        if group.key != *call.key() {
            return;
        }
        group.open += matches!(outcome, Outcome::Info(_)) as u32;
        self.ask.learn(&mut group.state, call, outcome);
    }
}

impl<A: Ask> Stream for Keyed<A> {
    /// All keys, or `most` of them spread evenly over the run.
    fn finals(&mut self, most: usize) -> Vec<Call> {
        let count = self.keys.min(most);
        (0..count).map(|i| Call::Read(self.key((i + 1) * self.keys / count - 1))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Threads;
    use super::*;
    use history::Error;

    /// Writes only.
    struct Writes;
    impl Ask for Writes {
        type State = ();
        fn ask(&mut self, key: &Value, fresh: &mut Fresh, (): &mut (), _: &mut Rng) -> Call {
            Call::Write(key.clone(), fresh.value())
        }
    }

    fn keyed(concurrency: usize, keys: usize, ops_per_key: usize) -> Keyed<Writes> {
        let params = Params { nodes: 5, concurrency, keys, ops_per_key, ..Params::default() };
        Keyed::new(Writes, "k", 7, &params, Rng::new(1, "test"))
    }

    fn ask(keyed: &mut Keyed<Writes>, thread: usize) -> Call {
        let processes: Vec<Process> = (0..keyed.concurrency as u32).map(Process).collect();
        let free = Threads::range(thread, thread + 1);
        let context =
            Context { now: 0, all: free, free, processes: &processes, nodes: &[], phase: "", turn: 0 };
        match keyed.next(&context) {
            Next::Call { call, .. } => call,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn groups_share_a_key_and_get_a_new_one_when_it_is_used_up() {
        let mut k = keyed(10, 0, 3);
        let calls: Vec<String> = [0, 4, 5, 9, 1, 2, 3].map(|t| ask(&mut k, t).to_string()).to_vec();
        assert_eq!(
            calls,
            [
                "write k0 1",
                "write k0 2",
                "write k1 1",
                "write k1 2",
                "write k0 3",
                "write k2 1",
                "write k2 2"
            ]
        );
    }

    #[test]
    fn every_key_has_two_clients_and_there_is_at_least_one_key() {
        assert_eq!(keyed(10, 100, 0).groups.len(), 5);
        assert_eq!(keyed(1, 100, 0).groups.len(), 1);
        assert_eq!(keyed(20, 0, 0).groups.len(), 4);
    }

    #[test]
    fn a_key_with_many_open_calls_is_given_up() {
        let mut k = keyed(2, 1, 1000);
        for process in 0..MOST_OPEN {
            let call = ask(&mut k, 0);
            assert_eq!(call.key().to_plain(), "k0");
            let outcome = Outcome::Info(Error::new("lost"));
            k.observe(&Event::Complete { time: 0, process: Process(process), call, outcome, server: None });
        }
        assert_eq!(ask(&mut k, 0).key().to_plain(), "k1");
    }

    #[test]
    fn final_reads_are_spread_over_all_keys() {
        let mut k = keyed(2, 1, 1);
        (0..10).for_each(|_| drop(ask(&mut k, 0)));
        let keys = |calls: Vec<Call>| calls.iter().map(|c| c.key().to_plain()).collect::<Vec<_>>();
        assert_eq!(k.finals(100).len(), 10);
        assert_eq!(keys(k.finals(3)), ["k2", "k5", "k9"]);
        assert!(k.finals(0).is_empty());
    }
}
