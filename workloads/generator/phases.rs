//! The course of every run: warm-up without faults, load under faults, heal, final reads from every node.

use super::finals::Finals;
use super::{Context, Gap, Generator, Next};
use crate::Params;
use crate::interpreter::HEAL;
use history::rng::Rng;
use history::{Call, Event, Nanos};

/// A workload's own part: what clients ask under load, and what must be read when all has healed.
pub trait Stream: Generator {
    /// The reads that every node is asked for at the end, at most `most`, those that matter most first.
    fn finals(&mut self, most: usize) -> Vec<Call>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    EnterWarmUp,
    WarmUp,
    EnterLoad,
    Load,
    EnterHeal,
    EnterFinal,
    Final,
    Done,
}

/// A whole run as one generator. Phases begin when all threads are free; their spans are counted from there.
pub struct Phases {
    stream: Box<dyn Stream>,
    finals: Finals,
    gap: Gap,
    params: Params,
    step: Step,
    ends: Nanos,
}

impl Phases {
    pub fn new(stream: Box<dyn Stream>, params: &Params, mut rng: Rng) -> Phases {
        Phases {
            stream,
            finals: Finals::default(),
            gap: Gap::of_rate(params.rate, rng.fork("gaps")),
            params: params.clone(),
            step: Step::EnterWarmUp,
            ends: 0,
        }
    }

    /// The stream at its rate until the phase's time is up.
    fn ask(&mut self, context: &Context) -> Next {
        if context.now >= self.ends {
            return Next::Done;
        }
        if let Some(until) = self.gap.until(context.now) {
            return if until >= self.ends { Next::Wait(self.ends) } else { Next::Wait(until) };
        }
        match self.stream.next(context) {
            next @ Next::Call { .. } => {
                self.gap.called(context.now);
                next
            }
            Next::Wait(at) => Next::Wait(at.min(self.ends)),
            Next::Pending => Next::Wait(self.ends),
            next => next,
        }
    }

    /// Enters a phase once all threads are free.
    fn enter(&mut self, context: &Context, name: &'static str, span: Nanos, then: Step) -> Next {
        if context.free != context.all {
            return Next::Pending;
        }
        self.ends = context.now.saturating_add(span);
        self.step = then;
        Next::Phase(name)
    }
}

impl Generator for Phases {
    fn next(&mut self, context: &Context) -> Next {
        loop {
            let (next, then) = match self.step {
                Step::EnterWarmUp => {
                    return self.enter(context, "warm-up", self.params.warm_up, Step::WarmUp);
                }
                Step::EnterLoad => return self.enter(context, "load", self.params.load, Step::Load),
                Step::EnterHeal => return self.enter(context, HEAL, 0, Step::EnterFinal),
                Step::EnterFinal => {
                    let reads = self.stream.finals(self.params.final_reads);
                    self.finals = Finals::new(reads, self.params.nodes, self.params.final_tries);
                    return self.enter(context, "final", 0, Step::Final);
                }
                Step::WarmUp => (self.ask(context), Step::EnterLoad),
                Step::Load => (self.ask(context), Step::EnterHeal),
                Step::Final => (self.finals.next(context), Step::Done),
                Step::Done => return Next::Done,
            };
            if next != Next::Done {
                return next;
            }
            self.step = then;
        }
    }

    fn observe(&mut self, event: &Event) {
        match self.step {
            Step::Final => self.finals.observe(event),
            _ => self.stream.observe(event),
        }
    }
}
