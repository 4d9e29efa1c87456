//! What the deciders of queues, stacks and priority queues share: how long each element was inside, and covers.
//!
//! Elements are unique. An element has a window in which it may have been put in and one in which it may have been
//! taken out; strictly between the two it is *certainly inside*. Times are *instants*: positions, numbered anew so
//! that all invocations up to the next completion, and the completions that follow them, share one. That loses
//! nothing: if an order exists, then one in which every op takes effect at such an instant of its own window, and
//! two ops are forced apart exactly when the window of one ends before that of the other begins.
//! Not here: the rules of the three objects (`queue.rs`, `stack.rs`, `priority_queue.rs`), words
//! (`collection_tales.rs`).

use super::engine::{Decision, Refuted};
use super::hash::Map;
use super::spec::{Pos, Spec, Timed, precedes};
use std::fmt::Debug;
use std::hash::Hash;

/// An object into which elements are put one by one and out of which they are taken one by one.
pub trait Collection: Spec {
    type Item: Copy + Eq + Ord + Hash + Debug;
    /// The element that a call puts in; `None`: the call takes one out. There are no others.
    fn put(call: &Self::Call) -> Option<Self::Item>;
    /// The element that a reply says was taken out; `None`: of a taking call, that there was none.
    fn took(reply: &Self::Reply) -> Option<Self::Item>;
    /// What a taking call would take out now.
    fn next(state: &Self::State) -> Option<Self::Item>;
    /// Field's words for putting in and taking out, and for somebody else having put something in.
    const PUT: &'static str;
    const TAKE: &'static str;
    const PAST: &'static str;
    /// The pattern's name where an element was taken before anybody had asked to put it in.
    const FUTURE: &'static str;
}

/// No such op.
pub const NONE: u32 = u32::MAX;

/// One element, its two ops (indices) and the windows of both as first and last instant.
///
/// The windows are tightened: it cannot be put in after it was taken, nor taken before it could be put in. An element
/// that nobody returned has `take` [`NONE`] and may leave from `di` on, which is the end unless a taking call was
/// left without an answer. A call that found nothing there is an element whose two windows are the same instant,
/// with `put` [`NONE`].
#[derive(Clone, Copy, Debug)]
pub struct Stay {
    pub put: u32,
    pub take: u32,
    /// Grows with the element, for objects that compare.
    pub rank: u32,
    pub ei: u32,
    pub er: u32,
    pub di: u32,
    pub dr: u32,
}

impl Stay {
    /// There is an instant at which the element is certainly inside, from the first to the last op in it.
    pub fn is_certain(&self) -> bool {
        self.er + 1 < self.di
    }

    /// The ops that show how long it was inside.
    pub fn ops(&self) -> impl Iterator<Item = usize> {
        [self.put, self.take].into_iter().filter(|i| *i != NONE).map(|i| i as usize)
    }
}

/// A taking call that found nothing: its op and its window.
#[derive(Clone, Copy, Debug)]
pub struct Nothing {
    pub op: u32,
    pub from: u32,
    pub to: u32,
}

/// A partition, read.
pub struct Stays {
    pub all: Vec<Stay>,
    pub nothings: Vec<Nothing>,
    /// Taking calls without an answer, by invocation.
    pub infos: Vec<u32>,
    /// From when each of them may have happened.
    pub leaves: Vec<u32>,
    /// One beyond the last instant.
    pub end: u32,
}

/// First and last instant of each op, and the instant after the last. O(n), 8 bytes an op for a moment; O(n log n) where
/// positions leave wide gaps.
fn instants<S: Spec>(ops: &[Timed<S>]) -> (Vec<(u32, u32)>, u32) {
    let begins = by_position(ops, |op| Some(op.inv));
    let ends = by_position(ops, |op| op.is_ok().then_some(op.res));
    let mut spans = vec![(0, NONE); ops.len()];
    let (mut now, mut begun) = (0, 0);
    for end in ends {
        // A beginning after an end opens the next instant; of equal positions the beginning comes first.
        let wall = ops[end as usize].res;
        let before = begins[begun..].iter().take_while(|b| !precedes(wall, ops[**b as usize].inv)).count();
        if before > 0 && begun > 0 {
            now += 1;
        }
        for begin in &begins[begun..begun + before] {
            spans[*begin as usize].0 = now;
        }
        begun += before;
        spans[end as usize].1 = now;
    }
    if begun < begins.len() {
        now += (begun > 0) as u32;
        begins[begun..].iter().for_each(|b| spans[*b as usize].0 = now);
    }
    (spans, now + 1)
}

/// The ops that have a position, by it, then by number. What was recorded has two positions an op or fewer.
fn by_position<S: Spec>(ops: &[Timed<S>], position: impl Fn(&Timed<S>) -> Option<Pos>) -> Vec<u32> {
    let mut found: Vec<u32> = (0..).zip(ops).filter_map(|(i, op)| position(op).map(|_| i)).collect();
    let at = |i: &u32| position(&ops[*i as usize]).unwrap_or(0);
    if found.is_sorted_by_key(at) {
        return found;
    }
    let end = found.iter().map(at).max().unwrap_or(0);
    if end as usize / 4 > ops.len() {
        found.sort_by_key(at);
        return found;
    }
    by(&found, end, at).into_iter().map(|k| found[k as usize]).collect()
}

/// Gives each element its rank and the call that took it; both rows are by element. An error is what cannot be: the ops
/// of the earliest such thing.
fn matched<S: Collection>(
    ops: &[Timed<S>],
    all: &mut [Stay],
    puts: &[(S::Item, u32)],
    takes: &[(S::Item, u32)],
) -> Option<Vec<usize>> {
    let mut impossible: Option<(Pos, Vec<u32>)> = None;
    let mut found = |at: Pos, core: Vec<u32>| {
        if impossible.as_ref().is_none_or(|(first, _)| at < *first) {
            impossible = Some((at, core));
        }
    };
    let res = |i: u32| ops[i as usize].res;
    // Four bytes an element, since these two are reached into at random; what needs the ops comes after, in their order.
    let (mut ranks, mut takers) = (vec![0; all.len()], vec![NONE; all.len()]);
    let mut next = takes.iter().copied().peekable();
    for (rank, (item, k)) in (0..).zip(puts) {
        ranks[*k as usize] = rank;
        while let Some((_, stray)) = next.next_if(|take| take.0 < *item) {
            found(res(stray), vec![stray]);
        }
        let taker = &mut takers[*k as usize];
        while let Some((_, i)) = next.next_if(|take| take.0 == *item) {
            match *taker {
                NONE => *taker = i,
                other => found(res(i).max(res(other)), vec![all[*k as usize].put, other, i]),
            }
        }
    }
    next.for_each(|(_, stray)| found(res(stray), vec![stray]));
    for (stay, (rank, taker)) in all.iter_mut().zip(ranks.into_iter().zip(takers)) {
        (stay.rank, stay.take) = (rank, taker);
        if taker != NONE && precedes(res(taker), ops[stay.put as usize].inv) {
            found(res(taker), vec![stay.put, taker]);
        }
    }
    impossible.map(|(_, core)| core.into_iter().map(|i| i as usize).collect())
}

impl Stays {
    /// `None` where an element was put in twice; an error is a set of ops that contradict each other: an element
    /// returned twice, by a call that ended before it was put in, or never put in.
    ///
    /// A put without an answer whose element nobody returned is left out (it need not have happened).
    pub fn read<S: Collection>(ops: &[Timed<S>]) -> Option<Result<Stays, Vec<usize>>> {
        if ops.len() >= 1 << 31 {
            return None;
        }
        let (mut all, mut puts, mut takes) = (Vec::with_capacity(ops.len() / 2 + 1), Vec::new(), Vec::new());
        let (mut nothings, mut infos) = (Vec::new(), Vec::new());
        for (i, op) in (0..).zip(ops) {
            match (S::put(&op.call), op.reply.as_ref().map(S::took)) {
                (Some(item), _) => {
                    puts.push((item, all.len() as u32));
                    all.push(Stay { put: i, take: NONE, rank: 0, ei: 0, er: 0, di: 0, dr: 0 });
                }
                (None, None) => infos.push(i),
                (None, Some(None)) => nothings.push(Nothing { op: i, from: 0, to: 0 }),
                (None, Some(Some(item))) => takes.push((item, i)),
            }
        }
        // Two sorted rows cost less than a table that is reached into at random.
        puts.sort_unstable();
        takes.sort_unstable();
        if puts.windows(2).any(|two| two[0].0 == two[1].0) {
            return None;
        }
        if let Some(core) = matched(ops, &mut all, &puts, &takes) {
            return Some(Err(core));
        }
        drop((puts, takes));
        infos.sort_by_key(|i| ops[*i as usize].inv);
        all.retain(|s: &Stay| s.take != NONE || ops[s.put as usize].is_ok());
        let mut stays = Stays { all, nothings, infos, leaves: Vec::new(), end: 0 };
        stays.date(ops);
        Some(Ok(stays))
    }

    fn date<S: Spec>(&mut self, ops: &[Timed<S>]) {
        let (spans, end) = instants(ops);
        self.leaves = self.infos.iter().map(|i| spans[*i as usize].0).collect();
        let leave = self.leaves.first().copied().unwrap_or(end);
        for stay in &mut self.all {
            (stay.ei, stay.er) = spans[stay.put as usize];
            match stay.take {
                NONE => (stay.di, stay.dr) = (leave.max(stay.ei), end),
                take => {
                    let (from, to) = spans[take as usize];
                    stay.er = stay.er.min(to);
                    (stay.di, stay.dr) = (from.max(stay.ei), to);
                }
            }
        }
        for nothing in &mut self.nothings {
            (nothing.from, nothing.to) = spans[nothing.op as usize];
        }
        self.end = end;
    }

    /// The first instant of each empty reply at which nothing is certainly inside; an error is the reply that has
    /// none, with the elements that cover it.
    pub fn place_nothings(&self) -> Result<Vec<u32>, Vec<usize>> {
        if self.nothings.is_empty() {
            return Ok(Vec::new());
        }
        let by_entry = self.by(|s| s.er);
        let covered = covered(by_entry.iter().map(|k| &self.all[*k as usize]));
        let place = |nothing: &Nothing| {
            let at = free(&covered, nothing.from);
            if at <= nothing.to { Ok(at) } else { Err(self.lie(nothing, &by_entry)) }
        };
        self.nothings.iter().map(place).collect()
    }

    fn lie(&self, nothing: &Nothing, by_entry: &[u32]) -> Vec<usize> {
        let reach = Reach::new(&self.all, by_entry.iter().copied());
        let mut core = vec![nothing.op as usize];
        for k in reach.cover(nothing.from, nothing.to).unwrap_or_default() {
            core.extend(self.all[k as usize].ops());
        }
        core
    }

    /// Elements by a time of theirs, stably: a counting sort, O(n).
    pub fn by(&self, key: impl Fn(&Stay) -> u32) -> Vec<u32> {
        by(&self.all, self.end, key)
    }
}

/// Things by a time of theirs up to `end`, stably: a counting sort, O(n).
pub fn by<T>(things: &[T], end: u32, key: impl Fn(&T) -> u32) -> Vec<u32> {
    let mut at = vec![0u32; end as usize + 2];
    for s in things {
        at[key(s) as usize + 1] += 1;
    }
    for i in 1..at.len() {
        at[i] += at[i - 1];
    }
    let mut sorted = vec![0; things.len()];
    for (k, s) in things.iter().enumerate() {
        let slot = &mut at[key(s) as usize];
        sorted[*slot as usize] = k as u32;
        *slot += 1;
    }
    sorted
}

/// The maximal stretches in which something is certainly inside, of elements by `er`: first and last instant.
pub fn covered<'a>(by_entry: impl Iterator<Item = &'a Stay>) -> Vec<(u32, u32)> {
    let mut blocks: Vec<(u32, u32)> = Vec::new();
    for s in by_entry.filter(|s| s.is_certain()) {
        match blocks.last_mut() {
            Some(last) if s.er <= last.1 => last.1 = last.1.max(s.di - 1),
            _ => blocks.push((s.er + 1, s.di - 1)),
        }
    }
    blocks
}

/// The first instant from `at` on that no block has.
pub fn free(blocks: &[(u32, u32)], at: u32) -> u32 {
    match blocks.partition_point(|b| b.0 <= at).checked_sub(1) {
        Some(i) if blocks[i].1 >= at => blocks[i].1 + 1,
        _ => at,
    }
}

/// Which element, of those that certainly came in before an instant, certainly stays longest.
pub struct Reach<'a> {
    stays: &'a [Stay],
    by_entry: Vec<u32>,
    longest: Vec<u32>,
}

impl<'a> Reach<'a> {
    /// Elements by `er`.
    pub fn new(stays: &'a [Stay], by_entry: impl Iterator<Item = u32>) -> Reach<'a> {
        let by_entry: Vec<u32> = by_entry.collect();
        let mut longest = Vec::with_capacity(by_entry.len());
        let mut best = NONE;
        for k in &by_entry {
            if best == NONE || stays[*k as usize].di > stays[best as usize].di {
                best = *k;
            }
            longest.push(best);
        }
        Reach { stays, by_entry, longest }
    }

    /// The fewest elements such that at each instant from `from` to `to` one of them is certainly inside.
    pub fn cover(&self, from: u32, to: u32) -> Option<Vec<u32>> {
        let (mut at, mut cover) = (from, Vec::new());
        while at <= to {
            let n = self.by_entry.partition_point(|k| self.stays[*k as usize].er < at);
            let best = self.longest[n.checked_sub(1)?];
            if self.stays[best as usize].di <= at {
                return None;
            }
            cover.push(best);
            at = self.stays[best as usize].di;
        }
        Some(cover)
    }
}

/// The rule of one object: an order of all ops but the taking calls without an answer, or ops that contradict each
/// other. Elements that nobody returned may leave unseen, in their own window.
type Rule = fn(&Stays) -> Result<Vec<usize>, Vec<usize>>;

/// Decides by a rule. `None` where an element was put in twice, and where taking calls without an answer could not be
/// given out one by one to the elements that had to leave unseen: the search must decide. A contradiction is final
/// even then, since the rule lets any number of elements leave.
pub fn decide<S: Collection>(spec: &S, ops: &[Timed<S>], rule: Rule) -> Option<Decision<S>> {
    let stays = match Stays::read(ops)? {
        Ok(stays) => stays,
        Err(core) => return Some(Err(Refuted { core, reduced: None })),
    };
    match rule(&stays) {
        Err(mut core) => {
            core.sort_by_key(|i| ops[*i].inv);
            core.dedup();
            Some(Err(Refuted { core, reduced: None }))
        }
        Ok(order) if stays.infos.is_empty() => Some(Ok(order)),
        Ok(order) => with_infos(spec, ops, &order, &stays.infos).map(Ok),
    }
}

/// The order with a taking call that nobody answered before each call for which an element has to leave first, the
/// earliest invoked first. `None` if that is no order after all.
fn with_infos<S: Collection>(
    spec: &S,
    ops: &[Timed<S>],
    order: &[usize],
    infos: &[u32],
) -> Option<Vec<usize>> {
    let mut full = Vec::with_capacity(order.len());
    let (mut state, mut left) = (spec.init(), infos.iter().map(|i| *i as usize));
    for i in order {
        let op = &ops[*i];
        if S::put(&op.call).is_none() {
            let wanted = op.reply.as_ref().and_then(S::took);
            while S::next(&state) != wanted {
                let info = left.next()?;
                // An empty collection cannot become less so.
                S::next(&state)?;
                spec.apply(&mut state, &ops[info].call, None);
                full.push(info);
            }
        }
        if !spec.apply(&mut state, &op.call, op.reply.as_ref()) {
            return None;
        }
        full.push(*i);
    }
    super::replay::replay(spec, ops, &full).is_ok().then_some(full)
}

/// [`super::preprocess::needed`] for these objects, in O(n): a put without an answer matters only if some call that
/// completed after its invocation returned the element.
pub fn needed<S: Collection>(ops: &[Timed<S>]) -> Vec<usize> {
    let mut asked: Map<S::Item, Option<Pos>> =
        ops.iter().filter(|o| !o.is_ok()).filter_map(|o| Some((S::put(&o.call)?, None))).collect();
    if !asked.is_empty() {
        for op in ops.iter().filter(|o| S::put(&o.call).is_none()) {
            let seen = op.reply.as_ref().and_then(S::took).and_then(|item| asked.get_mut(&item));
            if let Some(last) = seen {
                *last = (*last).max(Some(op.res));
            }
        }
    }
    let matters = |op: &Timed<S>| match S::put(&op.call) {
        Some(item) if !op.is_ok() => asked.get(&item).is_some_and(|last| *last >= Some(op.inv)),
        _ => true,
    };
    (0..ops.len()).filter(|i| matters(&ops[*i])).collect()
}

/// An element returned more often than it can have been put in by then; for any history, unique or not. O(n log n).
pub fn overdrawn<S: Collection>(ops: &[Timed<S>]) -> Option<Refuted<S>> {
    let mut of: Map<S::Item, u32> = Map::default();
    let mut events: Vec<(u32, Pos, bool, u32)> = Vec::new();
    for (i, op) in ops.iter().enumerate() {
        let put = S::put(&op.call);
        if let Some(item) = put.or_else(|| op.reply.as_ref().and_then(S::took)) {
            let fresh = of.len() as u32;
            let id = *of.entry(item).or_insert(fresh);
            // A put may have happened as soon as it was asked for; where both share a position, before the taking.
            let at = if put.is_some() { op.inv } else { op.res };
            events.push((id, at, put.is_none(), i as u32));
        }
    }
    events.sort_unstable();
    let (mut of, mut start, mut balance) = (NONE, 0, 0);
    let mut first: Option<(Pos, usize, usize)> = None;
    for (k, (id, at, takes, _)) in events.iter().enumerate() {
        if *id != of {
            (of, start, balance) = (*id, k, 0);
        }
        balance += if *takes { -1 } else { 1 };
        if balance < 0 && first.is_none_or(|f| *at < f.0) {
            first = Some((*at, start, k));
        }
    }
    let (_, from, to) = first?;
    Some(Refuted { core: events[from..=to].iter().map(|e| e.3 as usize).collect(), reduced: None })
}
