//! Why there is no order: where it first shows, a few ops that prove it, and the story in words.
//!
//! First a closed test for a known pattern, then the contradiction that a closed form found, then shrinking.
//! Every core is re-checked by something simpler than what found it; if that disagrees the verdict is unknown.

pub use super::story::Story;

use super::bind::Bind;
use super::dfs::{self, Limits};
use super::engine::{Answer, decide_needed, refutes};
use super::shrink::shrink;
use super::spec::{Pos, Spec, Timed, precedes};
use super::story::{capital, list};
use crate::verdict::{Counterexample, Edge, Partial, Stuck, Why};
use history::{History, OpId, Value};

/// A small contradiction, told.
pub struct Claim<S: Spec> {
    pub pattern: &'static str,
    /// Indices of ops; duplicates and order do not matter.
    pub core: Vec<usize>,
    /// Ops outside the partition's prefix that the story mentions.
    pub also: Vec<OpId>,
    /// Many ops that one line stands for.
    pub groups: Vec<(Vec<usize>, String)>,
    pub words: Vec<String>,
    #[doc(hidden)]
    pub of: std::marker::PhantomData<fn() -> S>,
}

/// Steps of one look for the first bad completion. A look that ends undecided counts as *not yet bad*, so the prefix
/// that is explained may be longer than it had to be, never shorter.
const A_LOOK: u64 = 1_000_000;

/// The ops of one partition.
pub struct Part<S: Spec> {
    pub key: Value,
    pub ops: Vec<Timed<S>>,
    pub ids: Vec<OpId>,
}

/// The counterexample of a partition that was found not linearizable.
pub fn explain<S: Bind>(
    spec: &S,
    part: &Part<S>,
    by: &str,
    limits: &Limits,
    history: &History,
) -> Result<Counterexample, Why> {
    let limits = &Limits { steps: limits.steps.min(A_LOOK), ..*limits };
    let (end, bad) = first_bad(spec, &part.ops, limits);
    let (at, ops) = prefix(&part.ops, end);
    let ids: Vec<OpId> = at.iter().map(|i| part.ids[*i]).collect();
    let key = (!part.key.is_null()).then(|| part.key.clone());
    let story = Story { history, ids: &ids, key, noun: S::NOUN };
    let bad = at.iter().position(|i| Some(*i) == bad);
    let found = Finder { spec, ops: &ops, story: &story, limits };
    let mut counterexample = found.find(bad)?;
    counterexample.key = story.key.clone();
    counterexample.first_bad = bad.map(|i| ids[i]);
    counterexample.by = by.to_string();
    counterexample.words.extend(spec.still(&part.ops));
    Ok(counterexample)
}

/// The ops that had begun by `end`, those still open then as possibly-happened.
fn prefix<S: Spec>(ops: &[Timed<S>], end: Pos) -> (Vec<usize>, Vec<Timed<S>>) {
    let at: Vec<usize> = (0..ops.len()).filter(|i| ops[*i].inv <= end).collect();
    let cut =
        at.iter().map(|i| if ops[*i].res > end { ops[*i].forgotten() } else { ops[*i].clone() }).collect();
    (at, cut)
}

/// The first completion at which no order is left, by bisection: what is invalid stays so in every longer prefix.
fn first_bad<S: Bind>(spec: &S, ops: &[Timed<S>], limits: &Limits) -> (Pos, Option<usize>) {
    let mut ends: Vec<(Pos, usize)> =
        (0..ops.len()).filter(|i| ops[*i].is_ok()).map(|i| (ops[i].res, i)).collect();
    ends.sort_unstable();
    let is_bad = |n: usize| decide_needed(spec, &prefix(ops, ends[n - 1].0).1, limits).is_no();
    let (mut good, mut bad) = (0, ends.len());
    // Mostly the last completion of the contradiction that was found is the one, which three looks show.
    if let Answer::No(Some(refuted)) = decide_needed(spec, ops, limits).answer {
        let last = refuted.core.iter().filter(|i| ops[**i].is_ok()).map(|i| ops[*i].res).max();
        let guess = last.map_or(0, |res| ends.partition_point(|e| e.0 <= res));
        if guess > 0 && is_bad(guess) {
            bad = guess;
            if guess > 1 && !is_bad(guess - 1) {
                good = guess - 1;
            }
        }
    }
    while good + 1 < bad {
        let middle = good.midpoint(bad);
        match is_bad(middle) {
            true => bad = middle,
            false => good = middle,
        }
    }
    match bad.checked_sub(1).and_then(|i| ends.get(i)) {
        Some((end, i)) => (*end, Some(*i)),
        None => (Pos::MAX, None),
    }
}

/// Looks for a contradiction among the ops of one partition, and tells it.
pub(super) struct Finder<'a, S: Bind> {
    pub spec: &'a S,
    pub ops: &'a [Timed<S>],
    pub story: &'a Story<'a>,
    pub limits: &'a Limits,
}

/// Steps of the shrinker, all tries together, before it stops where it is.
const SHRINKING: u64 = 50_000_000;

/// Lines that a reader takes in at a glance: a contradiction of no more is not made smaller still.
const FEW: usize = 12;

impl<S: Bind> Finder<'_, S> {
    fn find(&self, bad: Option<usize>) -> Result<Counterexample, Why> {
        if let Some(told) = bad.and_then(|i| self.claimed(i)) {
            return Ok(told);
        }
        let decided = decide_needed(self.spec, self.ops, self.limits);
        if let Answer::No(Some(refuted)) = decided.answer {
            if let Some(told) = self.latest_first(&refuted.core).into_iter().find_map(|i| self.claimed(i)) {
                return Ok(told);
            }
            let (pattern, words) = self.spec.tell(self.ops, &refuted.core, self.story).unwrap_or_default();
            if !words.is_empty() {
                return Ok(self.counterexample(pattern, refuted.core, &[], words));
            }
        }
        self.shrunk()
    }

    fn latest_first(&self, core: &[usize]) -> Vec<usize> {
        let mut core: Vec<usize> = core.iter().copied().filter(|i| self.ops[*i].is_ok()).collect();
        core.sort_by_key(|i| std::cmp::Reverse(self.ops[*i].res));
        core
    }

    /// A claim of a closed test, if the re-check agrees with it.
    fn claimed(&self, bad: usize) -> Option<Counterexample> {
        let mut claim = self.spec.claim(self.ops, bad, self.story)?;
        claim.core.sort_by_key(|i| self.ops[*i].inv);
        claim.core.dedup();
        let mut all = claim.core.clone();
        all.extend(claim.groups.iter().flat_map(|g| g.0.iter().copied()));
        all.sort_unstable();
        all.dedup();
        if !refutes(self.spec, &all.iter().map(|i| self.ops[*i].clone()).collect::<Vec<_>>()) {
            return None;
        }
        let mut told = self.counterexample(claim.pattern, claim.core, &[], claim.words);
        told.core.extend(claim.also);
        told.core.sort_unstable();
        told.groups = claim.groups.into_iter().map(|g| g.1).collect();
        Some(told)
    }

    /// The smaller of two: the last ops alone, where the object knows how to ask, or whatever is left of all.
    fn shrunk(&self) -> Result<Counterexample, Why> {
        let lines = |c: &Counterexample| c.core.len() + c.groups.len();
        let late = self.spec.late(self.ops, self.story, self.limits);
        if let Some(late) = &late {
            let at = |id: &OpId| self.story.ids.iter().position(|i| i == id);
            let core: Vec<usize> = late.core.iter().filter_map(at).collect();
            if let Some(told) = self.latest_first(&core).into_iter().find_map(|i| self.claimed(i)) {
                return Ok(told);
            }
        }
        if let Some(late) = late.as_ref().filter(|c| lines(c) <= FEW) {
            return Ok(late.clone());
        }
        let whole = self.shrunk_whole()?;
        Ok(late.filter(|late| lines(late) < lines(&whole)).unwrap_or(whole))
    }

    fn shrunk_whole(&self) -> Result<Counterexample, Why> {
        let small = shrink(self.spec, self.ops, SHRINKING);
        if !refutes(self.spec, &small.ops) {
            return Err(Why::Disagreement);
        }
        for i in self.latest_first(&small.kept) {
            if let Some(told) = self.claimed(i) {
                return Ok(told);
            }
        }
        // What is only possible now has no times that a story could rest on.
        let mut ops = self.ops.to_vec();
        small.demoted.iter().for_each(|i| ops[*i] = ops[*i].forgotten());
        let told = self.spec.tell(&ops, &small.kept, self.story);
        let (pattern, words) = told.unwrap_or(("no order exists", Vec::new()));
        let mut counterexample = self.counterexample(pattern, small.kept, &small.demoted, words);
        counterexample.reached = self.reached(&small.ops, &counterexample.core);
        if counterexample.words.is_empty() {
            counterexample.words = self.plain_words(&counterexample);
        }
        Ok(counterexample)
    }

    pub fn counterexample(
        &self,
        pattern: &str,
        mut core: Vec<usize>,
        demoted: &[usize],
        words: Vec<String>,
    ) -> Counterexample {
        core.sort_by_key(|i| self.ops[*i].inv);
        core.dedup();
        let id = |i: &usize| self.story.ids[*i];
        let ops: Vec<Timed<S>> = core
            .iter()
            .map(|i| if demoted.contains(i) { self.ops[*i].forgotten() } else { self.ops[*i].clone() })
            .collect();
        let ids: Vec<OpId> = core.iter().map(id).collect();
        Counterexample {
            pattern: pattern.into(),
            demoted: demoted.iter().map(id).collect(),
            reached: self.reached(&ops, &ids),
            edges: self.edges(&ops, &core),
            core: ids,
            words,
            ..Counterexample::default()
        }
    }

    /// The orders of the core that got furthest, and why each ends there.
    fn reached(&self, ops: &[Timed<S>], ids: &[OpId]) -> Vec<Partial> {
        if ops.len() > 64 {
            return Vec::new();
        }
        let limits = Limits { steps: 200_000, bytes: 16 << 20, furthest: true };
        let report = dfs::search(self.spec, ops, &limits);
        report.furthest.iter().map(|order| self.partial(ops, ids, order)).collect()
    }

    fn partial(&self, ops: &[Timed<S>], ids: &[OpId], order: &[usize]) -> Partial {
        let (mut state, mut states) = (self.spec.init(), Vec::new());
        for i in order {
            if let Some(next) = self.spec.step(&state, &ops[*i].call, ops[*i].reply.as_ref()) {
                state = next;
            }
            states.push(self.spec.show(&state, self.story.history));
        }
        let out = |i: &usize| !order.contains(i);
        let wall = (0..ops.len()).filter(out).map(|i| ops[i].res).min().unwrap_or(Pos::MAX);
        let next = (0..ops.len()).filter(out).filter(|i| !precedes(wall, ops[*i].inv) && ops[*i].is_ok());
        let refuse =
            |i: usize| Stuck { op: ids[i], says: self.spec.refusal(&state, &ops[i], self.story.history) };
        let stuck = next
            .filter(|i| self.spec.step(&state, &ops[*i].call, ops[*i].reply.as_ref()).is_none())
            .map(refuse);
        Partial { stuck: stuck.collect(), order: order.iter().map(|i| ids[*i]).collect(), states }
    }

    /// What must precede what in the core: real time without the implied arrows, and values seen.
    fn edges(&self, ops: &[Timed<S>], core: &[usize]) -> Vec<Edge> {
        let before = |a: &Timed<S>, b: &Timed<S>| precedes(a.res, b.inv);
        let mut edges = Vec::new();
        if ops.len() > 64 {
            return edges;
        }
        for (i, a) in ops.iter().enumerate() {
            for (j, b) in ops.iter().enumerate() {
                let (from, to) = (self.story.ids[core[i]], self.story.ids[core[j]]);
                let implied = ops.iter().any(|c| before(a, c) && before(c, b));
                if before(a, b) && !implied {
                    let says = format!("completed {} before", self.story.gap(core[i], core[j]));
                    edges.push(Edge { from, to, real_time: true, says });
                }
                if let Some(v) = self.spec.makes(a).filter(|v| i != j && self.spec.sees(b) == Some(*v)) {
                    edges.push(Edge {
                        from,
                        to,
                        real_time: false,
                        says: format!("{} seen", self.story.value(v)),
                    });
                }
            }
        }
        edges
    }

    /// When no pattern fits: how far an order gets, and what stops it.
    pub fn plain_words(&self, c: &Counterexample) -> Vec<String> {
        let names: Vec<String> = c.core.iter().map(|i| format!("#{}", i.0)).collect();
        let mut words = vec![format!(
            "{} is not linearizable: no order of {} of its calls explains what the clients saw.",
            self.story.subject(),
            c.core.len()
        )];
        words.push(format!("The calls are {}.", list(&names)));
        if let Some(partial) = c.reached.first() {
            let order: Vec<String> = partial.order.iter().map(|i| format!("#{}", i.0)).collect();
            let so_far = match order.is_empty() {
                true => "From the initial state".to_string(),
                false => format!("One order gets as far as {}, but then", list(&order)),
            };
            let stuck: Vec<String> =
                partial.stuck.iter().map(|s| format!("#{} {}", s.op.0, s.says)).collect();
            words.push(capital(&format!("{so_far} nothing can come next: {}.", list(&stuck))));
        }
        words
    }
}
