//! How stale a register's reads are: at most one write old (2-atomic), at most so long ago (Δ-atomic).
//!
//! *k-atomic*: some order of the calls respects real time, and every read returns one of the k latest writes before it
//! in that order (the first value counts as a write). k = 1 is linearizability. [`Pair`] is k = 2 as an object whose
//! state is the last two values, so the engines of `linearizable` decide it exactly.
//! *Δ-atomic*: linearizable once each read may have begun Δ earlier than it did. The smallest such Δ is how stale a
//! read ever was. Only plain reads may be stale: a compare-and-set, refused or not, is about the present.
//! Source: Golab, Li, Shah, *Analyzing consistency properties for fun and profit*, PODC 2011.
//! Not here: k above 2, and words about keys (`models.rs`).

use crate::linearizable::bind::{Bind, Taken};
use crate::linearizable::dfs::Limits;
use crate::linearizable::engine::{self, Answer, Decide, Decision, Refuted};
use crate::linearizable::explain::Story;
use crate::linearizable::objects::{Register, RegisterCall as Call, RegisterReply as Reply};
use crate::linearizable::register;
use crate::linearizable::spec::{OPEN, Pos, Spec, Timed};
use crate::verdict::Why;
use history::{History, Nanos, Op, ValueId};

/// A register whose reads may return the value before the last as well.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub init: ValueId,
}

/// The last value written and the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Two {
    pub now: ValueId,
    pub before: ValueId,
}

impl Spec for Pair {
    type Call = Call;
    type Reply = Reply;
    type State = Two;

    fn init(&self) -> Two {
        Two { now: self.init, before: self.init }
    }

    fn step(&self, s: &Two, call: &Call, reply: Option<&Reply>) -> Option<Two> {
        let wrote = |v: ValueId| Two { now: v, before: s.now };
        match (call, reply) {
            (Call::Read, None) => Some(*s),
            (Call::Read, Some(Reply::Value(v))) => (*v == s.now || *v == s.before).then_some(*s),
            (Call::Write(v), None | Some(Reply::Done)) => Some(wrote(*v)),
            (Call::Cas(old, new), None | Some(Reply::Done)) if *old == s.now => Some(wrote(*new)),
            (Call::Cas(old, _), None | Some(Reply::Mismatch)) if *old != s.now => Some(*s),
            _ => None,
        }
    }

    fn pure(&self, call: &Call) -> bool {
        *call == Call::Read
    }

    fn idle(&self, call: &Call, reply: &Reply) -> bool {
        *reply == Reply::Mismatch || self.pure(call)
    }

    /// As for a register: without a write that nobody saw, its neighbours only grow younger.
    fn wants(&self, by: &Timed<Self>, info: &Call) -> bool {
        self.register().wants(&plain(by), info)
    }
}

impl Pair {
    fn register(&self) -> Register {
        Register { init: self.init }
    }
}

fn plain(op: &Timed<Pair>) -> Timed<Register> {
    Timed { call: op.call, reply: op.reply, inv: op.inv, res: op.res }
}

/// The same ops, to be judged as 2-atomic.
pub fn loosened(ops: &[Timed<Register>]) -> Vec<Timed<Pair>> {
    ops.iter().map(|op| Timed { call: op.call, reply: op.reply, inv: op.inv, res: op.res }).collect()
}

impl Decide for Pair {
    /// A linearization serves here too.
    fn decide(&self, ops: &[Timed<Self>]) -> Option<Decision<Self>> {
        let plain: Vec<Timed<Register>> = ops.iter().map(plain).collect();
        register::decide(&self.register(), &plain)?.ok().map(Ok)
    }

    fn screen(&self, ops: &[Timed<Self>]) -> Option<Refuted<Self>> {
        twice_overwritten(self, ops).map(|found| Refuted { core: found.core(), reduced: None })
    }
}

/// A read, all that could have made its value, and two acknowledged writes wholly between those and the read.
struct Overwritten {
    read: usize,
    makers: Vec<usize>,
    by: [usize; 2],
}

impl Overwritten {
    fn core(&self) -> Vec<usize> {
        let mut core = self.makers.clone();
        core.extend(self.by);
        core.push(self.read);
        core
    }
}

/// More makers than this are left to the search, for the core's sake.
const MAKERS: usize = 8;

/// The first read by completion that two later writes hide for certain. O(n log n) where few ops share a value.
fn twice_overwritten(spec: &Pair, ops: &[Timed<Pair>]) -> Option<Overwritten> {
    let register = spec.register();
    let made = |i: usize| register.makes(&plain(&ops[i]));
    let mut of: crate::linearizable::hash::Map<ValueId, Vec<usize>> = Default::default();
    let mut done: Vec<usize> = Vec::new();
    for (i, op) in ops.iter().enumerate() {
        if let Some(v) = made(i) {
            of.entry(v).or_default().push(i);
            if op.is_ok() {
                done.push(i);
            }
        }
    }
    done.sort_unstable_by_key(|i| ops[*i].res);
    // After each completion of a write: the two latest invoked of those completed.
    let mut latest: Vec<(Option<usize>, Option<usize>)> = vec![(None, None)];
    for i in &done {
        let (first, second) = latest[latest.len() - 1];
        let later = |a: usize, b: Option<usize>| b.is_none_or(|b| ops[a].inv > ops[b].inv);
        latest.push(match () {
            () if later(*i, first) => (Some(*i), first),
            () if later(*i, second) => (first, Some(*i)),
            () => (first, second),
        });
    }
    let mut reads: Vec<usize> =
        (0..ops.len()).filter(|i| ops[*i].is_ok() && ops[*i].call == Call::Read).collect();
    reads.sort_unstable_by_key(|i| ops[*i].res);
    for read in reads {
        let Some(Reply::Value(v)) = ops[read].reply else { continue };
        let before = done.partition_point(|i| ops[*i].res < ops[read].inv);
        let (Some(a), Some(b)) = latest[before] else { continue };
        let makers = of.get(&v).map(Vec::as_slice).unwrap_or_default();
        let makers: Vec<usize> =
            makers.iter().copied().filter(|w| ops[*w].inv < ops[read].res).take(MAKERS + 1).collect();
        // The first value was made before everything.
        let until = makers.iter().map(|w| ops[*w].res).max();
        let made = v == spec.init || until.is_some();
        if made && makers.len() <= MAKERS && until.is_none_or(|u| u < ops[b].inv) {
            return Some(Overwritten { read, makers, by: [b, a] });
        }
    }
    None
}

impl Bind for Pair {
    const NOUN: &'static str = "register";

    fn take(&self, op: &Op<'_>, history: &History) -> Result<Option<Taken<Self>>, String> {
        self.register().take(op, history)
    }

    fn tell(
        &self,
        ops: &[Timed<Self>],
        _: &[usize],
        story: &Story<'_>,
    ) -> Option<(&'static str, Vec<String>)> {
        let found = twice_overwritten(self, ops)?;
        let Some(Reply::Value(v)) = ops[found.read].reply else { return None };
        let words = vec![
            format!(
                "{} is not 2-atomic: {} returned {}, which was two writes old.",
                story.subject(),
                story.full(found.read),
                story.value(v)
            ),
            format!(
                "Both {} and {} were invoked after it had been stored and acknowledged before #{} began.",
                story.short(found.by[0]),
                story.short(found.by[1]),
                story.op(found.read).id.0
            ),
        ];
        Some(("read two writes old", words))
    }

    fn show(&self, state: &Two, history: &History) -> String {
        match state.now == state.before {
            true => history.value(state.now).to_string(),
            false => format!("{}, before it {}", history.value(state.now), history.value(state.before)),
        }
    }

    fn refusal(&self, state: &Two, op: &Timed<Self>, history: &History) -> String {
        let is = self.show(state, history);
        match self.sees(op) {
            Some(v) => format!("needs {}, value is {is}", history.value(v)),
            None => format!("does not fit, value is {is}"),
        }
    }

    fn makes(&self, op: &Timed<Self>) -> Option<ValueId> {
        self.register().makes(&plain(op))
    }

    fn sees(&self, op: &Timed<Self>) -> Option<ValueId> {
        self.register().sees(&plain(op))
    }
}

/// An op of one register with the times of its invocation and completion (`OPEN`: ignored).
pub struct Stamped {
    pub op: Timed<Register>,
    pub invoked: Nanos,
    pub completed: Nanos,
}

/// How stale the reads of a register are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// The smallest Δ in nanoseconds, and for Δ > 0 ops that contradict each other at Δ − 1 (indices; may be empty).
    Exactly(Nanos, Vec<usize>),
    /// No Δ helps: a value from nowhere or from the future, or ops other than reads that contradict each other. With
    /// ops that do so at any Δ.
    Never(Vec<usize>),
    /// Undecided; it is known to lie above the first and, where there is a second, at or below it.
    Between(Nanos, Option<Nanos>, Why),
}

/// The smallest Δ such that the ops are linearizable once every read was invoked Δ earlier. A read then follows only
/// what completed more than Δ before it began; equal stamps mean concurrent as soon as Δ > 0. By bisection, since more
/// Δ never hurts: about 40 decisions of the whole partition, fewer for short records.
pub fn staleness(spec: &Register, ops: &[Stamped], limits: &Limits) -> Staleness {
    let last = ops.iter().map(|o| o.invoked).max().unwrap_or(0).saturating_add(1);
    let mut spent = 0;
    let mut decide = |delta: Nanos| {
        let left = Limits { steps: limits.steps.saturating_sub(spent), ..*limits };
        let decided = engine::decide_needed(spec, &shifted(ops, delta), &left);
        spent += decided.steps;
        decided.answer
    };
    let core = |refuted: Option<Refuted<Register>>| refuted.map(|r| r.core).unwrap_or_default();
    match decide(0) {
        Answer::Yes(_) => return Staleness::Exactly(0, Vec::new()),
        Answer::No(_) => {}
        Answer::Unknown(why) => return Staleness::Between(0, None, why),
    }
    match decide(last) {
        Answer::Yes(_) => {}
        Answer::No(refuted) => return Staleness::Never(core(refuted)),
        Answer::Unknown(why) => return Staleness::Between(0, None, why),
    }
    let (mut bad, mut good, mut evidence) = (0, last, Vec::new());
    while bad + 1 < good {
        let middle = bad.midpoint(good);
        match decide(middle) {
            Answer::Yes(_) => good = middle,
            Answer::No(refuted) => (bad, evidence) = (middle, core(refuted)),
            Answer::Unknown(why) => return Staleness::Between(bad, Some(good), why),
        }
    }
    Staleness::Exactly(good, evidence)
}

/// The ops with every ok read invoked `delta` earlier, on positions of their own.
pub fn shifted(ops: &[Stamped], delta: Nanos) -> Vec<Timed<Register>> {
    if delta == 0 {
        return ops.iter().map(|o| o.op.clone()).collect();
    }
    // Events in order of the record; their times never go back.
    let mut events: Vec<(Pos, Nanos)> = Vec::with_capacity(2 * ops.len());
    for o in ops {
        events.push((o.op.inv, o.invoked));
        if o.op.is_ok() {
            events.push((o.op.res, o.completed));
        }
    }
    events.sort_unstable();
    // Before the first event that is not earlier than the shifted time; 2p + 1 is the event at p, 2p before it.
    let begun = |o: &Stamped| match o.op.call == Call::Read && o.op.is_ok() {
        true => {
            let at = events.partition_point(|e| e.1 < o.invoked.saturating_sub(delta));
            events.get(at).map_or(2 * o.op.inv as u64, |e| 2 * e.0 as u64)
        }
        false => 2 * o.op.inv as u64 + 1,
    };
    let mut places: Vec<(u64, usize, bool)> = Vec::with_capacity(events.len());
    for (i, o) in ops.iter().enumerate() {
        places.push((begun(o), i, false));
        if o.op.is_ok() {
            places.push((2 * o.op.res as u64 + 1, i, true));
        }
    }
    places.sort_unstable();
    let mut moved: Vec<Timed<Register>> = ops.iter().map(|o| Timed { res: OPEN, ..o.op.clone() }).collect();
    for (rank, (_, i, end)) in places.into_iter().enumerate() {
        match end {
            true => moved[i].res = rank as Pos,
            false => moved[i].inv = rank as Pos,
        }
    }
    moved
}
