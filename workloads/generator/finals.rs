//! Final reads: the same reads from every node, each until it succeeds or was tried often enough.

use super::{Context, Generator, Next, process_of};
use history::{Call, Event, Nanos, NodeId, Outcome, Process};
use std::collections::{BTreeMap, VecDeque};

/// How long a node that did not answer is left alone before it is tried again.
const BACK_OFF: Nanos = 200_000_000;

#[derive(Clone, Copy, Debug)]
struct Task {
    read: usize,
    node: usize,
    tries: u32,
}

/// What is still to be read from one node.
#[derive(Clone, Debug, Default)]
struct Queue {
    tasks: VecDeque<Task>,
    /// Rounds in a row, a back-off apart, in which a read failed.
    failures: u32,
    not_before: Nanos,
}

/// See the module. Every call is marked as `last`.
#[derive(Default)]
pub struct Finals {
    reads: Vec<Call>,
    queues: Vec<Queue>,
    open: BTreeMap<Process, Task>,
    tries: u32,
    first: usize,
}

impl Finals {
    /// `nodes` × `reads` calls if all succeed. A read that failed `tries` times is given up, and so is a node that
    /// failed in that many rounds in a row: a dead node costs seconds, however much there is to read.
    pub fn new(reads: Vec<Call>, nodes: usize, tries: u32) -> Finals {
        let task = |node: usize| move |read: usize| Task { read, node, tries: 0 };
        let queue = |node| Queue { tasks: (0..reads.len()).map(task(node)).collect(), ..Queue::default() };
        let queues = (0..nodes).map(queue).collect();
        Finals { reads, queues, open: BTreeMap::new(), tries: tries.max(1), first: 0 }
    }

    /// The node that `thread` should read from: its own if something is due there, else any.
    fn choose(&self, context: &Context, thread: usize) -> Option<usize> {
        let count = self.queues.len();
        let due = |n: &usize| !self.queues[*n].tasks.is_empty() && self.queues[*n].not_before <= context.now;
        let own = context.nodes.get(thread).copied().flatten().map(|n| n.0 as usize);
        let others = (0..count).map(|i| (self.first + i) % count);
        own.filter(|n| *n < count).into_iter().chain(others).find(due)
    }

    fn failed(&mut self, mut task: Task, now: Nanos) {
        let queue = &mut self.queues[task.node];
        if now >= queue.not_before {
            queue.failures += 1;
            queue.not_before = now + BACK_OFF;
        }
        task.tries += 1;
        if task.tries < self.tries {
            queue.tasks.push_back(task);
        }
        if queue.failures >= self.tries {
            queue.tasks.clear();
        }
    }
}

impl Generator for Finals {
    fn next(&mut self, context: &Context) -> Next {
        let waiting = self.queues.iter().filter(|q| !q.tasks.is_empty()).map(|q| q.not_before).min();
        if self.open.is_empty() && waiting.is_none() {
            return Next::Done;
        }
        let Some(thread) = context.free_thread() else { return Next::Pending };
        if let Some(node) = self.choose(context, thread)
            && let Some(task) = self.queues[node].tasks.pop_front()
        {
            self.first = node + 1;
            self.open.insert(context.processes[thread], task);
            let (call, node) = (self.reads[task.read].clone(), Some(NodeId(node as u8)));
            return Next::Call { thread, call, node, last: true };
        }
        waiting.map_or(Next::Pending, Next::Wait)
    }

    fn observe(&mut self, event: &Event) {
        let Event::Complete { time, outcome, .. } = event else { return };
        let Some(task) = process_of(event).and_then(|p| self.open.remove(&p)) else { return };
        match outcome {
            Outcome::Ok(_) => self.queues[task.node].failures = 0,
            _ => self.failed(task, *time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simulate::simulate;
    use super::*;
    use history::{Error, Reply, Value};

    fn reads() -> Vec<Call> {
        ["a", "b"].map(|k| Call::Read(Value::text(k))).to_vec()
    }

    #[test]
    fn every_node_is_asked_for_every_key_and_again_until_it_answers() {
        let answer = |n: u64, _: &Call| match n {
            0..2 => Outcome::Fail(Error::new("no")),
            _ => Outcome::Ok(Reply::Read(Value::Null)),
        };
        let events = simulate(2, Box::new(Finals::new(reads(), 3, 5)), answer);
        let mut ok: BTreeMap<(String, u8), u32> = BTreeMap::new();
        let mut at: BTreeMap<Process, u8> = BTreeMap::new();
        for event in &events {
            match event {
                Event::Invoke { process, node: Some(n), last: true, .. } => drop(at.insert(*process, n.0)),
                Event::Complete { process, call, outcome: Outcome::Ok(_), .. } => {
                    *ok.entry((call.key().to_plain(), at[process])).or_default() += 1;
                }
                Event::Complete { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(ok.len(), 6, "2 keys from 3 nodes");
        assert!(ok.values().all(|n| *n == 1));
    }

    #[test]
    fn a_node_that_never_answers_is_given_up() {
        let events =
            simulate(1, Box::new(Finals::new(reads(), 2, 3)), |_, _| Outcome::Fail(Error::new("no")));
        // Two nodes, three rounds of one read each, an invocation and a completion.
        assert_eq!(events.len(), 2 * 3 * 2);
        assert!(Generator::next(&mut Finals::new(vec![], 3, 3), &context()) == Next::Done);
    }

    fn context() -> Context<'static> {
        let all = super::super::Threads::default();
        Context { now: 0, all, free: all, processes: &[], nodes: &[], phase: "", turn: 0 }
    }
}
