//! Sequential consistency: one order of **all** calls explains every reply and keeps each client's own order.
//!
//! Real time between clients counts for nothing, so it is not local: keys that pass one by one prove nothing of the
//! whole, and a history is never split. One key with unique values is decided by contracting each value with its reads
//! (acyclic in the clients' orders, the first value first: O(n log n)). Otherwise the contraction of each key may
//! refute, and a depth-first search over the clients' positions decides: NP-complete even when it is known which write
//! each read saw (Gibbons, Korach, *Testing shared memories*, SIAM J. Comput. 1997), so it may end undecided.
//! Not here: which object a history is of and how the answer is told (`models.rs`).

use crate::linearizable::bind::Bind;
use crate::linearizable::dfs::{Answer, Limits};
use crate::linearizable::hash::{Interned, Map};
use crate::linearizable::spec::{Spec, Timed};
use crate::verdict::Why;
use history::{History, OpId, ValueId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};

/// An op with its client and the sub-object (key) that it is about. Without a reply it may be left out.
pub struct Own<S: Spec> {
    pub op: Timed<S>,
    pub part: u32,
    pub process: u32,
}

impl<S: Spec> Clone for Own<S> {
    fn clone(&self) -> Self {
        Own { op: self.op.clone(), part: self.part, process: self.process }
    }
}

/// The ops of a whole history, in order of invocation. `by_element`: the elements of a set are sub-objects.
///
/// # Errors
///
/// Names a call that the object does not have.
pub fn collect<S: Bind>(
    spec: &S,
    by_element: bool,
    history: &History,
) -> Result<(Vec<Own<S>>, Vec<OpId>), String> {
    let mut parts: Map<(ValueId, ValueId), u32> = Map::default();
    let (mut ops, mut ids) = (Vec::new(), Vec::new());
    for op in history.ops() {
        let Some((call, reply)) = spec.take(&op, history)? else { continue };
        let name = (op.key(), if by_element { op.arg() } else { ValueId::NULL });
        let next = parts.len() as u32;
        let part = *parts.entry(name).or_insert(next);
        let res = if reply.is_some() { op.res() } else { crate::linearizable::spec::OPEN };
        let op_ = Timed { call, reply, inv: op.inv(), res };
        ops.push(Own { op: op_, part, process: op.process().0 });
        ids.push(op.id);
    }
    Ok((ops, ids))
}

/// What only registers allow: the value before any write, and which calls write whatever was there (a cas does not).
pub struct Registers<S: Spec> {
    pub first: ValueId,
    pub blind: fn(&S::Call) -> bool,
}

impl<S: Spec> Clone for Registers<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Spec> Copy for Registers<S> {}

/// Ops that contradict each other (indices), and the steps of clients' orders that prove it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Broken {
    pub core: Vec<usize>,
    /// The first came before the second in one client's order.
    pub steps: Vec<(usize, usize)>,
    pub demoted: Vec<usize>,
}

pub enum Decided {
    /// An order of indices.
    Yes(Vec<usize>),
    No(Broken),
    Unknown(Why),
}

/// Decides a history of one kind of object; `registers` turns on what only they allow. Steps and bytes are bounded by `limits`; the second number is the steps taken.
pub fn decide<S: Bind>(
    spec: &S,
    ops: &[Own<S>],
    registers: Option<Registers<S>>,
    limits: &Limits,
) -> (Decided, u64) {
    let needed = needed(spec, ops);
    let part: Vec<Own<S>> = needed.iter().map(|i| ops[*i].clone()).collect();
    let (decided, steps) = decide_needed(spec, &part, registers, limits);
    let at = |list: Vec<usize>| -> Vec<usize> { list.into_iter().map(|i| needed[i]).collect() };
    let decided = match decided {
        Decided::Yes(order) => Decided::Yes(at(order)),
        Decided::No(b) => Decided::No(Broken {
            core: at(b.core),
            steps: b.steps.into_iter().map(|(a, b)| (needed[a], needed[b])).collect(),
            demoted: at(b.demoted),
        }),
        unknown => unknown,
    };
    (decided, steps)
}

fn decide_needed<S: Bind>(
    spec: &S,
    ops: &[Own<S>],
    registers: Option<Registers<S>>,
    limits: &Limits,
) -> (Decided, u64) {
    if let Some(rules) = registers {
        let mut of: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        ops.iter().enumerate().for_each(|(i, o)| of.entry(o.part).or_default().push(i));
        let alone = of.len() == 1;
        for members in of.values() {
            match contract(spec, ops, members, &rules) {
                Some(Ok(order)) if alone => return (checked(spec, ops, order), ops.len() as u64),
                Some(Err(broken)) => return (Decided::No(broken), ops.len() as u64),
                _ => {}
            }
        }
    }
    let (answer, steps) = search(spec, ops, registers, limits);
    match answer {
        Answer::Yes(order) => (checked(spec, ops, order), steps),
        Answer::Spent(why) => (Decided::Unknown(why), steps),
        Answer::No => (Decided::No(shrink(spec, ops, registers)), steps),
    }
}

/// An order is believed only once it was replayed by [`replay`].
fn checked<S: Spec>(spec: &S, ops: &[Own<S>], order: Vec<usize>) -> Decided {
    match replay(spec, ops, &order) {
        true => Decided::Yes(order),
        false => Decided::Unknown(Why::Disagreement),
    }
}

/// Whether the order holds every ok op once, keeps each client's order and replays. Shares nothing with the search.
pub fn replay<S: Spec>(spec: &S, ops: &[Own<S>], order: &[usize]) -> bool {
    let mut states: BTreeMap<u32, S::State> = BTreeMap::new();
    let mut latest: BTreeMap<u32, usize> = BTreeMap::new();
    let mut seen = vec![false; ops.len()];
    for i in order {
        let Some(own) = ops.get(*i) else { return false };
        // Ops are listed in order of invocation, which is each client's own.
        let after = latest.insert(own.process, *i).is_none_or(|before| before < *i);
        let state = states.remove(&own.part).unwrap_or_else(|| spec.init());
        let Some(next) = spec.step(&state, &own.op.call, own.op.reply.as_ref()) else { return false };
        states.insert(own.part, next);
        if !after || std::mem::replace(&mut seen[*i], true) {
            return false;
        }
    }
    (0..ops.len()).all(|i| seen[i] || ops[i].op.reply.is_none())
}

/// Key, call and reply.
type Class<'o, S> = (u32, &'o <S as Spec>::Call, Option<&'o <S as Spec>::Reply>);

/// Without the ops that may be left out and that nothing needs: the least fixpoint of [`Spec::wants`], real time aside.
fn needed<S: Spec>(spec: &S, ops: &[Own<S>]) -> Vec<usize> {
    let mut keep: Vec<bool> = ops.iter().map(|o| o.op.reply.is_some()).collect();
    if keep.iter().all(|k| *k) {
        return (0..ops.len()).collect();
    }
    let mut classes: Interned<Class<'_, S>> = Interned::default();
    let (mut sample, mut members): (Vec<usize>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
    for (i, o) in ops.iter().enumerate() {
        let id = classes.id(&(o.part, &o.op.call, o.op.reply.as_ref())) as usize;
        if id == sample.len() {
            sample.push(i);
            members.push(Vec::new());
        }
        members[id].push(i);
    }
    let mut todo: Vec<usize> = (0..sample.len()).filter(|c| keep[sample[*c]]).collect();
    let mut open: Vec<usize> =
        (0..sample.len()).filter(|c| !keep[sample[*c]] && !spec.pure(&ops[sample[*c]].op.call)).collect();
    while let Some(by) = todo.pop() {
        let by = &ops[sample[by]];
        open.retain(|c| {
            let info = &ops[sample[*c]];
            let wanted = info.part == by.part && spec.wants(&by.op, &info.op.call);
            if wanted {
                members[*c].iter().for_each(|m| keep[*m] = true);
                todo.push(*c);
            }
            !wanted
        });
    }
    (0..ops.len()).filter(|i| keep[*i]).collect()
}

/// One key of a register whose values are unique and never compared: each value with its reads is a *cluster*, which
/// stands together in any order. `None` where that does not hold. A contradiction refutes the whole history; an order
/// proves only a history of this key alone.
fn contract<S: Bind>(
    spec: &S,
    ops: &[Own<S>],
    members: &[usize],
    rules: &Registers<S>,
) -> Option<Result<Vec<usize>, Broken>> {
    let mut of: Map<ValueId, usize> = Map::default();
    let mut makers: Vec<Option<usize>> = vec![None];
    of.insert(rules.first, 0);
    for i in members {
        let op = &ops[*i].op;
        match (spec.makes(op), spec.sees(op)) {
            (Some(v), None) if (rules.blind)(&op.call) => {
                if of.insert(v, makers.len()).is_some() {
                    return None;
                }
                makers.push(Some(*i));
            }
            (None, Some(_)) => {}
            _ => return None,
        }
    }
    let mut cluster: Map<usize, usize> = Map::default();
    let mut seen: Vec<Vec<usize>> = vec![Vec::new(); makers.len()];
    for i in members {
        let op = &ops[*i].op;
        let v = spec.makes(op).or(spec.sees(op))?;
        let Some(c) = of.get(&v) else {
            return Some(Err(Broken { core: vec![*i], ..Broken::default() }));
        };
        cluster.insert(*i, *c);
        if makers[*c] != Some(*i) {
            seen[*c].push(*i);
        }
    }
    let mut last: Map<u32, usize> = Map::default();
    // From each cluster to those that a client met next, with the two ops.
    let mut next: Vec<Vec<(usize, usize, usize)>> = vec![Vec::new(); makers.len()];
    let broken = |steps: Vec<(usize, usize)>| {
        let mut core: Vec<usize> = steps.iter().flat_map(|(a, b)| [*a, *b]).collect();
        core.extend(steps.iter().flat_map(|(a, b)| [makers[cluster[a]], makers[cluster[b]]]).flatten());
        core.sort_unstable();
        core.dedup();
        Some(Err(Broken { core, steps, demoted: Vec::new() }))
    };
    for i in members {
        let Some(before) = last.insert(ops[*i].process, *i) else { continue };
        let (a, b) = (cluster[&before], cluster[i]);
        if (a == b && makers[b] == Some(*i)) || (a != b && b == 0) {
            return broken(vec![(before, *i)]);
        }
        if a != b {
            next[a].push((b, before, *i));
        }
    }
    match sorted(&next, |c| makers[c].unwrap_or(0)) {
        Ok(clusters) => {
            let all = clusters.into_iter().flat_map(|c| makers[c].into_iter().chain(seen[c].clone()));
            Some(Ok(all.collect()))
        }
        Err(steps) => broken(steps),
    }
}

/// Nodes so that every edge leads forward, the first node first, else by `rank`; or the edges of a cycle.
fn sorted(
    next: &[Vec<(usize, usize, usize)>],
    rank: impl Fn(usize) -> usize,
) -> Result<Vec<usize>, Vec<(usize, usize)>> {
    let mut incoming = vec![0; next.len()];
    next.iter().flatten().for_each(|(to, ..)| incoming[*to] += 1);
    let mut ready: BinaryHeap<Reverse<(usize, usize)>> = BinaryHeap::new();
    let key = |c: usize| Reverse((if c == 0 { 0 } else { rank(c) + 1 }, c));
    (0..next.len()).filter(|c| incoming[*c] == 0).for_each(|c| ready.push(key(c)));
    let mut order = Vec::with_capacity(next.len());
    while let Some(Reverse((_, c))) = ready.pop() {
        order.push(c);
        for (to, ..) in &next[c] {
            incoming[*to] -= 1;
            if incoming[*to] == 0 {
                ready.push(key(*to));
            }
        }
    }
    if order.len() == next.len() {
        return Ok(order);
    }
    // What is left has a predecessor that is left: walking back must meet itself.
    let mut from: Map<usize, (usize, usize, usize)> = Map::default();
    for (c, edges) in next.iter().enumerate().filter(|(c, _)| incoming[*c] > 0) {
        edges.iter().filter(|e| incoming[e.0] > 0).for_each(|(to, a, b)| {
            from.entry(*to).or_insert((c, *a, *b));
        });
    }
    let mut at = (0..next.len()).find(|c| from.contains_key(c)).unwrap_or(0);
    for _ in 0..next.len() {
        at = from.get(&at).map_or(at, |f| f.0);
    }
    let (start, mut steps) = (at, Vec::new());
    while let Some((before, a, b)) = from.get(&at) {
        steps.push((*a, *b));
        at = *before;
        if at == start {
            break;
        }
    }
    steps.reverse();
    Err(steps)
}

const REFUSED: u32 = u32::MAX;

/// What to do with the next op of a client.
#[derive(Clone, Copy)]
enum Move {
    /// The state that follows.
    Take(u32),
    /// Leave out an op that has no reply, to get at what the client did after it.
    Skip,
}

struct Frame {
    moves: Vec<(usize, Move)>,
    at: usize,
    done: usize,
}

/// An op that was passed, and what its key held before.
struct Done {
    process: usize,
    taken: bool,
    state: u32,
    value: u32,
}

struct Search<'a, S: Bind> {
    spec: &'a S,
    ops: &'a [Own<S>],
    limits: Limits,
    /// The ops of each client, in its order, and how many are done.
    lists: Vec<Vec<usize>>,
    heads: Vec<u32>,
    /// By key.
    states: Vec<u32>,
    interned: Interned<S::State>,
    class: Vec<u32>,
    cache: Map<(u32, u32), u32>,
    /// Of registers: the value of each key, and for each value how many ok ops still need it and how many can make it.
    values: Vec<u32>,
    sees: Vec<Option<u32>>,
    makes: Vec<Option<u32>>,
    readers: Vec<u32>,
    makers: Vec<u32>,
    registers: bool,
    left: usize,
    done: Vec<Done>,
    memo: HashSet<Box<[u32]>>,
    heap: u64,
    steps: u64,
}

/// Depth first over (position of each client, state), each met once. Exact: ops that change nothing go as soon as the
/// state allows them, and a value of a register is not overwritten while somebody still has to see it and nobody can
/// write it again.
fn search<S: Bind>(
    spec: &S,
    ops: &[Own<S>],
    registers: Option<Registers<S>>,
    limits: &Limits,
) -> (Answer, u64) {
    let mut search = Search::new(spec, ops, registers, limits);
    let answer = search.walk();
    (answer, search.steps)
}

impl<'a, S: Bind> Search<'a, S> {
    fn new(spec: &'a S, ops: &'a [Own<S>], registers: Option<Registers<S>>, limits: &Limits) -> Self {
        let mut classes: Interned<(&S::Call, Option<&S::Reply>)> = Interned::default();
        let mut named: Interned<(u32, ValueId)> = Interned::default();
        let mut process: Interned<u32> = Interned::default();
        let mut lists: Vec<Vec<usize>> = Vec::new();
        let parts = ops.iter().map(|o| o.part + 1).max().unwrap_or(0);
        let (mut class, mut sees, mut makes) = (Vec::new(), Vec::new(), Vec::new());
        let values = registers.map_or(Vec::new(), |r| (0..parts).map(|p| named.id(&(p, r.first))).collect());
        let (mut readers, mut makers) = (vec![0; named.len()], vec![0; named.len()]);
        for (i, own) in ops.iter().enumerate() {
            let p = process.id(&own.process) as usize;
            if p == lists.len() {
                lists.push(Vec::new());
            }
            lists[p].push(i);
            class.push(classes.id(&(&own.op.call, own.op.reply.as_ref())));
            let mut id =
                |v: Option<ValueId>| v.filter(|_| registers.is_some()).map(|v| named.id(&(own.part, v)));
            let (s, m) = (id(spec.sees(&own.op)), id(spec.makes(&own.op)));
            readers.resize(named.len(), 0);
            makers.resize(named.len(), 0);
            s.into_iter().for_each(|v| readers[v as usize] += 1);
            m.into_iter().for_each(|v| makers[v as usize] += 1);
            sees.push(s);
            makes.push(m);
        }
        let mut interned = Interned::default();
        let init = interned.id(&spec.init());
        Search {
            spec,
            ops,
            limits: *limits,
            heads: vec![0; lists.len()],
            lists,
            states: vec![init; parts as usize],
            interned,
            class,
            cache: Map::default(),
            values,
            sees,
            makes,
            readers,
            makers,
            registers: registers.is_some(),
            left: ops.iter().filter(|o| o.op.reply.is_some()).count(),
            done: Vec::new(),
            memo: HashSet::new(),
            heap: 0,
            steps: 0,
        }
    }

    fn walk(&mut self) -> Answer {
        let mut frames: Vec<Frame> = Vec::new();
        let mut done = 0;
        loop {
            self.absorb();
            if self.left == 0 {
                let at = |d: &Done, heads: &mut Vec<usize>| {
                    let head = heads[d.process];
                    heads[d.process] += 1;
                    self.lists[d.process][head]
                };
                let mut heads = vec![0; self.lists.len()];
                let order = self.done.iter().map(|d| (at(d, &mut heads), d.taken));
                return Answer::Yes(order.filter(|o| o.1).map(|o| o.0).collect());
            }
            let moves = self.moves();
            if !moves.is_empty() && (moves.len() == 1 || self.new_here()) {
                frames.push(Frame { moves, at: 0, done });
            } else {
                self.undo(done);
            }
            loop {
                let Some(top) = frames.last_mut() else { return Answer::No };
                if let Some((process, choice)) = top.moves.get(top.at).copied() {
                    top.at += 1;
                    done = self.done.len();
                    self.pass(process, choice);
                    break;
                }
                let to = top.done;
                frames.pop();
                self.undo(to);
            }
            if self.steps > self.limits.steps {
                return Answer::Spent(Why::Steps);
            }
            if self.heap > self.limits.bytes {
                return Answer::Spent(Why::Bytes);
            }
        }
    }

    /// Whether this configuration is met for the first time.
    fn new_here(&mut self) -> bool {
        let key: Box<[u32]> = self.heads.iter().chain(&self.states).copied().collect();
        let bytes = key.len() as u64 * 4 + 64;
        let new = self.memo.insert(key);
        if new {
            self.heap += bytes;
        }
        new
    }

    fn step(&mut self, i: usize) -> u32 {
        self.steps += 1;
        let own = &self.ops[i];
        let (state, class) = (self.states[own.part as usize], self.class[i]);
        if let Some(next) = self.cache.get(&(state, class)) {
            return *next;
        }
        let next = match self.spec.step(self.interned.get(state), &own.op.call, own.op.reply.as_ref()) {
            Some(next) => {
                self.heap += 2 * self.spec.weight(&next) as u64 + 48;
                self.interned.id(&next)
            }
            None => REFUSED,
        };
        self.cache.insert((state, class), next);
        next
    }

    fn head(&self, process: usize) -> Option<usize> {
        self.lists[process].get(self.heads[process] as usize).copied()
    }

    fn absorb(&mut self) {
        for process in 0..self.lists.len() {
            while let Some(i) = self.head(process) {
                let op = &self.ops[i].op;
                let idle = op.reply.as_ref().is_some_and(|r| self.spec.idle(&op.call, r));
                let state = self.states[self.ops[i].part as usize];
                if !idle || self.step(i) != state {
                    break;
                }
                self.pass(process, Move::Take(state));
            }
        }
    }

    fn moves(&mut self) -> Vec<(usize, Move)> {
        let mut moves = Vec::new();
        for process in 0..self.lists.len() {
            let Some(i) = self.head(process) else { continue };
            let (next, certain) = (self.step(i), self.ops[i].op.reply.is_some());
            let changes = next != self.states[self.ops[i].part as usize];
            if next != REFUSED && (certain || changes) && !self.hides(i) {
                moves.push((process, Move::Take(next)));
            }
            if !certain && (self.heads[process] as usize) + 1 < self.lists[process].len() {
                moves.push((process, Move::Skip));
            }
        }
        // Ok ops before infos, as they were invoked.
        moves.sort_by_key(|(process, choice)| {
            let i = self.head(*process).unwrap_or(0);
            (matches!(choice, Move::Skip), self.ops[i].op.reply.is_none(), self.ops[i].op.inv)
        });
        moves
    }

    /// Whether it would hide for good a value that somebody still has to see.
    fn hides(&self, i: usize) -> bool {
        if !self.registers {
            return false;
        }
        let now = self.values[self.ops[i].part as usize];
        if self.makes[i].is_none_or(|made| made == now) {
            return false;
        }
        let own = self.sees[i] == Some(now) && self.ops[i].op.reply.is_some();
        let waiting = self.readers[now as usize] - own as u32;
        waiting > 0 && self.makers[now as usize] == 0
    }

    fn pass(&mut self, process: usize, choice: Move) {
        let Some(i) = self.head(process) else { return };
        let part = self.ops[i].part as usize;
        let value = self.values.get(part).copied().unwrap_or(0);
        let taken = matches!(choice, Move::Take(_));
        self.done.push(Done { process, taken, state: self.states[part], value });
        self.heads[process] += 1;
        if self.ops[i].op.reply.is_some() {
            self.left -= 1;
        }
        if let Some(v) = self.sees[i] {
            self.readers[v as usize] -= 1;
        }
        if let Some(v) = self.makes[i] {
            self.makers[v as usize] -= 1;
            if taken {
                self.values[part] = v;
            }
        }
        if let Move::Take(next) = choice {
            self.states[part] = next;
        }
    }

    fn undo(&mut self, to: usize) {
        while self.done.len() > to {
            let Some(d) = self.done.pop() else { return };
            self.heads[d.process] -= 1;
            let Some(i) = self.head(d.process) else { return };
            let part = self.ops[i].part as usize;
            self.states[part] = d.state;
            if self.registers {
                self.values[part] = d.value;
            }
            if self.ops[i].op.reply.is_some() {
                self.left += 1;
            }
            self.sees[i].into_iter().for_each(|v| self.readers[v as usize] += 1);
            self.makes[i].into_iter().for_each(|v| self.makers[v as usize] += 1);
        }
    }
}

/// Steps of one try of the shrinker, and ops beyond which it does not begin.
const A_TRY: Limits = Limits { steps: 200_000, bytes: 32 << 20, furthest: false };
const MOST: usize = 2_000;

/// Fewer ops that are still contradictory, by moves that only make a history easier: an op that changes nothing is
/// deleted, any other loses its reply and may be left out.
fn shrink<S: Bind>(spec: &S, ops: &[Own<S>], registers: Option<Registers<S>>) -> Broken {
    #[derive(Clone, Copy, PartialEq)]
    enum Fate {
        Whole,
        Perhaps,
        Gone,
    }
    let mut fates = vec![Fate::Whole; ops.len()];
    let apply = |fates: &[Fate]| -> (Vec<usize>, Vec<Own<S>>) {
        let kept: Vec<usize> = (0..ops.len()).filter(|i| fates[*i] != Fate::Gone).collect();
        let weak = |i: &usize| match fates[*i] {
            Fate::Whole => ops[*i].clone(),
            _ => Own { op: ops[*i].op.forgotten(), ..ops[*i].clone() },
        };
        let list: Vec<Own<S>> = kept.iter().map(weak).collect();
        let needed = needed(spec, &list);
        (needed.iter().map(|i| kept[*i]).collect(), needed.iter().map(|i| list[*i].clone()).collect())
    };
    let mut chunk = if ops.len() > MOST { 0 } else { ops.len().div_ceil(2) };
    let mut steps = 100 * A_TRY.steps;
    while chunk > 0 && steps > 0 {
        let mut changed = false;
        let whole: Vec<usize> =
            (0..ops.len()).filter(|i| fates[*i] == Fate::Whole && ops[*i].op.reply.is_some()).collect();
        for part in whole.chunks(chunk) {
            let before = fates.clone();
            for i in part {
                let op = &ops[*i].op;
                let idle = op.reply.as_ref().is_some_and(|r| spec.idle(&op.call, r));
                fates[*i] = if idle { Fate::Gone } else { Fate::Perhaps };
            }
            let (answer, spent) = search(spec, &apply(&fates).1, registers, &A_TRY);
            steps = steps.saturating_sub(spent + ops.len() as u64);
            match answer {
                Answer::No => changed = true,
                _ => fates = before,
            }
            if steps == 0 {
                break;
            }
        }
        chunk = if chunk > 1 || changed { (chunk / 2).max(1) } else { 0 };
    }
    let (core, _) = apply(&fates);
    let demoted = core.iter().copied().filter(|i| fates[*i] == Fate::Perhaps).collect();
    Broken { core, steps: Vec::new(), demoted }
}
