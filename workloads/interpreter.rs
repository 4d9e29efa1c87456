//! The interpreter: turns a generator into dispatches and completions into a history. A synchronous state
//! machine without clock or I/O, driven by two hosts: a tokio shell against real nodes, and the simulator.
//!
//! The rules are Jepsen's (`jepsen.generator.interpreter`), and with them the recorded history is sound:
//! intervals can only be wider than what happened.
//!
//! * A host hands over every completion it has before it asks for the next call, so that no two ops are
//!   recorded as concurrent that were not.
//! * An invocation is stamped and put into `events` before its [`Action::Dispatch`] is returned; the host
//!   journals `events` before the first byte of the call leaves.
//! * A process whose call ended in info is retired; its thread goes on as process p + concurrency with a
//!   freshly opened client. The call stays open for ever.
//! * A connection that could not be opened is `Fail("no-client: …")`: nothing was sent.
//! * A worker that has not answered at its deadline is given up: its call becomes `Info("timeout: …")` and
//!   whatever it says later is ignored. Jepsen has no such deadline, and hangs.
//!
//! Not here: what is asked (`generator`), how it is sent, when faults strike.

use crate::generator::{Boxed, Context, MAX_THREADS, Next, Threads, mix64};
use history::{Call, Error, Event, Nanos, NodeId, Outcome, Process, Value};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A call of the run, on the wire too, so that a hidden retry shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId {
    pub process: Process,
    /// Running number over all calls of the run.
    pub index: u64,
}

/// How a run is driven.
#[derive(Clone, Debug)]
pub struct Options {
    /// Clients, at most [`MAX_THREADS`]; more are cut down to that.
    pub concurrency: usize,
    /// Thread t is bound to `nodes[t % nodes.len()]`; `None` is a client outside of all nodes.
    pub nodes: Vec<Option<NodeId>>,
    /// How long a call may take before it is given up.
    pub deadline: Nanos,
    /// How long a thread rests after it could not open a connection, lest it do nothing else.
    pub rest: Nanos,
    /// Picks among free threads.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            concurrency: 10,
            nodes: vec![Some(NodeId(0))],
            deadline: 1_000_000_000,
            rest: 20_000_000,
            seed: 0,
        }
    }
}

/// What the host is to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Journal `events`, then send this call.
    Dispatch {
        thread: usize,
        call: Call,
        id: CallId,
        process: Process,
        /// Where the client of this call is connected; `None` for a client outside.
        node: Option<NodeId>,
        /// A new client must be opened for the thread (and a worker that still hangs be replaced) first.
        reopen: bool,
        /// When the interpreter gives the call up.
        deadline: Nanos,
    },
    /// Ask again at this time or after a completion, whichever comes first.
    Sleep { until: Nanos },
    /// Ask again after a completion or after [`Interpreter::resume`].
    Wait,
    /// A phase began; ask again at once. After `heal` nothing happens until [`Interpreter::resume`].
    Phase(&'static str),
    /// Nothing is in flight and nothing will ever be asked again.
    Done,
}

/// The phase after which the host heals and says when it is done.
pub const HEAL: &str = "heal";

/// `Fail("no-client: why")`: the connection could not be opened, so nothing was sent.
pub fn no_client(why: impl std::fmt::Display) -> Outcome {
    Outcome::Fail(Error::new(format!("no-client: {why}")))
}

struct Slot {
    open: Option<(CallId, Call)>,
    /// The node that the client is connected to, if there is a client.
    client: Option<Option<NodeId>>,
}

/// See the module.
pub struct Interpreter {
    generator: Boxed,
    slots: Vec<Slot>,
    processes: Vec<Process>,
    nodes: Vec<Option<NodeId>>,
    all: Threads,
    free: Threads,
    /// In order of time, since every call has the same span; answered ones are skipped.
    deadlines: VecDeque<(Nanos, usize, CallId)>,
    resting: BinaryHeap<Reverse<(Nanos, usize)>>,
    deadline: Nanos,
    rest: Nanos,
    seed: u64,
    calls: u64,
    in_flight: usize,
    now: Nanos,
    phase: &'static str,
    held: bool,
    stopped: bool,
}

impl Interpreter {
    pub fn new(generator: Boxed, options: Options) -> Self {
        let concurrency = options.concurrency.clamp(1, MAX_THREADS);
        let all = Threads::range(0, concurrency);
        let node = |t: usize| options.nodes.get(t % options.nodes.len().max(1)).copied().flatten();
        Interpreter {
            generator,
            slots: (0..concurrency).map(|_| Slot { open: None, client: None }).collect(),
            processes: (0..concurrency as u32).map(Process).collect(),
            nodes: (0..concurrency).map(node).collect(),
            all,
            free: all,
            deadlines: VecDeque::with_capacity(concurrency),
            resting: BinaryHeap::new(),
            deadline: options.deadline,
            rest: options.rest,
            // Neighbouring seeds must not give the same choices one call later.
            seed: mix64(options.seed),
            calls: 0,
            in_flight: 0,
            now: 0,
            phase: "",
            held: false,
            stopped: false,
        }
    }

    /// A worker answered. An answer to a call that was given up is ignored.
    pub fn complete(
        &mut self,
        now: Nanos,
        thread: usize,
        id: CallId,
        outcome: Outcome,
        server: Option<NodeId>,
        events: &mut Vec<Event>,
    ) {
        self.now = self.now.max(now);
        let slot = self.slots.get_mut(thread);
        let Some((_, call)) = slot.and_then(|s| s.open.take_if(|(open, _)| *open == id)) else { return };
        self.in_flight -= 1;
        self.after(thread, id.process, &outcome);
        let event = Event::Complete { time: self.now, process: id.process, call, outcome, server };
        self.generator.observe(&event);
        events.push(event);
    }

    /// What the outcome means for the thread.
    fn after(&mut self, thread: usize, process: Process, outcome: &Outcome) {
        match outcome {
            Outcome::Info(_) => {
                self.processes[thread] = Process(process.0 + self.slots.len() as u32);
                self.slots[thread].client = None;
            }
            Outcome::Fail(error) if error.word() == "no-client" => {
                self.slots[thread].client = None;
                if self.rest > 0 {
                    self.resting.push(Reverse((self.now + self.rest, thread)));
                    return;
                }
            }
            _ => {}
        }
        self.free.insert(thread);
    }

    /// The next thing to do at `now`. Gives up overdue calls by itself. Everything to journal is appended to
    /// `events`, in order, and must be journaled before the action is carried out.
    pub fn next(&mut self, now: Nanos, events: &mut Vec<Event>) -> Action {
        self.now = self.now.max(now);
        self.expire(events);
        while let Some(Reverse((_, thread))) = self.resting.peek().filter(|r| r.0.0 <= self.now).copied() {
            self.resting.pop();
            self.free.insert(thread);
        }
        loop {
            if self.held && !self.stopped {
                return self.idle(None);
            }
            let next = if self.stopped { Next::Done } else { self.ask() };
            match next {
                Next::Call { thread, call, node, last } if self.free.contains(thread) => {
                    return self.dispatch(thread, call, node, last, events);
                }
                Next::Sleep { thread, until } if self.free.contains(thread) => {
                    self.free.remove(thread);
                    self.resting.push(Reverse((until, thread)));
                }
                Next::Call { thread, .. } | Next::Sleep { thread, .. } => {
                    return self
                        .stuck(&format!("the generator chose thread {thread}, which is not free"), events);
                }
                Next::Log(line) => events.push(self.note("log", &line)),
                Next::Phase(name) => {
                    self.phase = name;
                    self.held = name == HEAL;
                    events.push(self.note("phase", name));
                    return Action::Phase(name);
                }
                Next::Wait(until) => return self.idle(Some(until.max(self.now + 1))),
                Next::Pending if self.in_flight + self.resting.len() == 0 => {
                    return self
                        .stuck("the generator waits for a completion, but nothing is in flight", events);
                }
                Next::Pending => return self.idle(None),
                Next::Done if self.in_flight == 0 => return Action::Done,
                Next::Done => return self.idle(None),
            }
        }
    }

    /// After [`HEAL`]: the host has healed, and the final phase may begin.
    pub fn resume(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        self.held = false;
    }

    /// Asks for nothing more: what is in flight is drained, then [`Action::Done`].
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Calls dispatched so far.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    pub fn phase(&self) -> &'static str {
        self.phase
    }

    fn ask(&mut self) -> Next {
        let context = Context {
            now: self.now,
            all: self.all,
            free: self.free,
            processes: &self.processes,
            nodes: &self.nodes,
            phase: self.phase,
            turn: self.seed.wrapping_add(self.calls),
        };
        self.generator.next(&context)
    }

    fn dispatch(
        &mut self,
        thread: usize,
        call: Call,
        node: Option<NodeId>,
        last: bool,
        events: &mut Vec<Event>,
    ) -> Action {
        let process = self.processes[thread];
        let id = CallId { process, index: self.calls };
        let node = node.or(self.nodes[thread]);
        let deadline = self.now.saturating_add(self.deadline);
        self.calls += 1;
        self.in_flight += 1;
        self.free.remove(thread);
        self.deadlines.push_back((deadline, thread, id));
        let slot = &mut self.slots[thread];
        let reopen = slot.client != Some(node);
        slot.client = Some(node);
        slot.open = Some((id, call.clone()));
        let event = Event::Invoke { time: self.now, process, node, call: call.clone(), last };
        self.generator.observe(&event);
        events.push(event);
        Action::Dispatch { thread, call, id, process, node, reopen, deadline }
    }

    /// Gives up every call whose deadline has passed.
    fn expire(&mut self, events: &mut Vec<Event>) {
        while let Some((at, thread, id)) = self.deadlines.front().copied() {
            let open = self.slots[thread].open.as_ref().is_some_and(|(open, _)| *open == id);
            if open && at > self.now {
                return;
            }
            self.deadlines.pop_front();
            if open {
                let text = format!("timeout: no answer in {} ms", self.deadline / 1_000_000);
                self.complete(self.now, thread, id, Outcome::Info(Error::new(text)), None, events);
            }
        }
    }

    /// Nothing can be done before `until`, the first deadline or the end of the first rest.
    fn idle(&mut self, until: Option<Nanos>) -> Action {
        // Answered calls at the front would wake the host for nothing.
        while let Some((_, thread, id)) = self.deadlines.front().copied() {
            if self.slots[thread].open.as_ref().is_some_and(|(open, _)| *open == id) {
                break;
            }
            self.deadlines.pop_front();
        }
        let deadline = self.deadlines.front().map(|(at, ..)| *at);
        let rest = self.resting.peek().map(|r| r.0.0);
        match [until, deadline, rest].into_iter().flatten().min() {
            Some(until) => Action::Sleep { until },
            None => Action::Wait,
        }
    }

    /// A generator that can never go on, by a defect of its own: said in the record, then drained.
    fn stuck(&mut self, why: &str, events: &mut Vec<Event>) -> Action {
        events.push(self.note("stuck", why));
        self.stopped = true;
        if self.in_flight == 0 { Action::Done } else { self.idle(None) }
    }

    fn note(&self, f: &str, text: &str) -> Event {
        Event::Note { time: self.now, f: f.into(), value: Value::text(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::simulate::{MS, tick};
    use crate::generator::{limit, log, phases, repeat, sequence};
    use history::{Builder, Reply};

    fn start(concurrency: usize, generator: Boxed) -> Interpreter {
        let nodes = vec![Some(NodeId(0)), Some(NodeId(1)), None];
        Interpreter::new(generator, Options { concurrency, nodes, deadline: 100 * MS, ..Options::default() })
    }

    fn dispatched(action: Action) -> (usize, CallId, bool) {
        match action {
            Action::Dispatch { thread, id, reopen, .. } => (thread, id, reopen),
            other => panic!("{other:?}"),
        }
    }

    fn done() -> Outcome {
        Outcome::Ok(Reply::Done)
    }

    #[test]
    fn the_invocation_is_recorded_before_the_dispatch() {
        let mut i = start(1, tick("a"));
        let mut events = Vec::new();
        let action = i.next(5, &mut events);
        assert!(matches!(events[..], [Event::Invoke { time: 5, process: Process(0), last: false, .. }]));
        assert_eq!((dispatched(action).0, i.in_flight()), (0, 1));
        assert_eq!(i.next(6, &mut events), Action::Sleep { until: 5 + 100 * MS });
    }

    #[test]
    fn an_info_retires_the_process_and_its_client() {
        let mut i = start(3, limit(4, tick("a")));
        let mut events = Vec::new();
        let (thread, id, reopen) = dispatched(i.next(0, &mut events));
        assert!(reopen);
        i.complete(1, thread, id, Outcome::Info(Error::new("lost")), None, &mut events);
        let mut seen = Vec::new();
        while let Action::Dispatch { thread: t, process, reopen, .. } = i.next(2, &mut events) {
            seen.push((t == thread, process.0 as usize == thread + 3, reopen));
        }
        assert!(
            seen.contains(&(true, true, true)) && seen.iter().all(|(here, new, _)| here == new),
            "{seen:?}"
        );
    }

    #[test]
    fn a_client_is_kept_after_ok_and_opened_again_after_no_client() {
        let mut i = start(1, tick("a"));
        let mut events = Vec::new();
        let (_, id, _) = dispatched(i.next(0, &mut events));
        i.complete(1, 0, id, done(), None, &mut events);
        let (_, id, reopen) = dispatched(i.next(2, &mut events));
        assert!(!reopen);
        i.complete(3, 0, id, no_client("refused"), None, &mut events);
        assert_eq!(i.next(4, &mut events), Action::Sleep { until: 3 + 20 * MS });
        let (_, id, reopen) = dispatched(i.next(3 + 20 * MS, &mut events));
        assert!(reopen && id.process == Process(0), "nothing was sent, so the process goes on");
    }

    #[test]
    fn a_worker_that_hangs_is_given_up_and_its_late_answer_ignored() {
        let mut i = start(1, tick("a"));
        let mut events = Vec::new();
        let (_, late, _) = dispatched(i.next(0, &mut events));
        let (_, id, reopen) = dispatched(i.next(100 * MS, &mut events));
        assert!(reopen && id.process == Process(1));
        let Event::Complete { outcome: Outcome::Info(why), time, .. } = &events[1] else {
            panic!("{events:?}")
        };
        assert_eq!((why.word(), *time), ("timeout", 100 * MS));
        let before = events.len();
        i.complete(101 * MS, 0, late, done(), None, &mut events);
        assert_eq!((events.len(), i.in_flight()), (before, 1));
    }

    #[test]
    fn a_call_may_name_its_node_and_the_client_moves_there() {
        let mut calls = 0;
        let call = move |context: &Context| {
            calls += 1;
            let node = (calls == 2).then_some(NodeId(1));
            Next::Call { thread: context.free_thread().unwrap_or(0), call: Call::Generate, node, last: true }
        };
        struct By<F>(F);
        impl<F: FnMut(&Context) -> Next + Send> crate::generator::Generator for By<F> {
            fn next(&mut self, context: &Context) -> Next {
                (self.0)(context)
            }
        }
        let mut i = start(1, Box::new(By(call)));
        let mut events = Vec::new();
        for (node, again) in [(0, true), (1, true), (0, true), (0, false)] {
            let Action::Dispatch { id, node: at, reopen, .. } = i.next(0, &mut events) else { panic!() };
            assert_eq!((at, reopen), (Some(NodeId(node)), again));
            i.complete(0, 0, id, done(), None, &mut events);
        }
    }

    #[test]
    fn healing_waits_for_calls_in_flight_and_holds_until_resumed() {
        struct Enter(Option<&'static str>);
        impl crate::generator::Generator for Enter {
            fn next(&mut self, _: &Context) -> Next {
                self.0.take().map_or(Next::Done, Next::Phase)
            }
        }
        let asked = phases(vec![limit(1, tick("a")), Box::new(Enter(Some(HEAL))), limit(1, tick("b"))]);
        let mut i = start(2, asked);
        let mut events = Vec::new();
        let (thread, id, _) = dispatched(i.next(0, &mut events));
        assert!(matches!(i.next(1, &mut events), Action::Sleep { .. }));
        i.complete(2, thread, id, done(), None, &mut events);
        assert_eq!(i.next(2, &mut events), Action::Phase(HEAL));
        assert_eq!(i.next(3, &mut events), Action::Wait);
        i.resume(4);
        dispatched(i.next(4, &mut events));
        assert!(matches!(i.next(5, &mut events), Action::Sleep { .. }));
    }

    #[test]
    fn stopping_drains() {
        let mut i = start(2, tick("a"));
        let mut events = Vec::new();
        let (thread, id, _) = dispatched(i.next(0, &mut events));
        i.stop();
        assert_eq!(i.next(1, &mut events), Action::Sleep { until: 100 * MS });
        i.complete(2, thread, id, done(), None, &mut events);
        assert_eq!(i.next(2, &mut events), Action::Done);
    }

    #[test]
    fn a_generator_that_can_never_go_on_is_named_in_the_record() {
        struct Never;
        impl crate::generator::Generator for Never {
            fn next(&mut self, _: &Context) -> Next {
                Next::Pending
            }
        }
        let mut events = Vec::new();
        assert_eq!(start(1, Box::new(Never)).next(0, &mut events), Action::Done);
        assert!(matches!(&events[..], [Event::Note { f, .. }] if **f == *"stuck"));
    }

    #[test]
    fn asking_more_often_changes_nothing_and_the_record_is_well_formed() {
        let calls = || repeat(|c: &Context| Call::Write(Value::Int(1), Value::Int(c.turn as i64)));
        let run = |extra: usize| {
            let mut i = start(3, sequence(vec![log("go"), limit(200, calls())]));
            let (mut events, mut open, mut now) = (Vec::new(), VecDeque::new(), 0);
            loop {
                match i.next(now, &mut events) {
                    Action::Dispatch { thread, id, .. } => open.push_back((thread, id)),
                    Action::Done => break,
                    _ => {
                        (0..extra).for_each(|_| drop(i.next(now, &mut events)));
                        now += 7 * MS;
                        let Some((thread, id)) = open.pop_front() else { continue };
                        let outcome = match id.index % 3 {
                            0 => done(),
                            1 => Outcome::Fail(Error::new("no")),
                            _ => Outcome::Info(Error::new("lost")),
                        };
                        i.complete(now, thread, id, outcome, None, &mut events);
                    }
                }
            }
            events
        };
        let events = run(0);
        assert_eq!(events, run(3));
        let mut builder = Builder::new();
        events.iter().enumerate().for_each(|(n, e)| builder.push(e, n as u64).unwrap());
        assert_eq!(events.len(), 401);
    }
}
