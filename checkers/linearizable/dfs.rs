//! The general engine: depth-first search over configurations, for any [`Spec`].
//!
//! Exact, with these reductions: a configuration names only the ops open at its frontier (so its size follows the
//! concurrency, not the length); pure ops go in at once; of equal ops the one with the earliest deadline; info ops
//! are counted for each class and come last. An explicit stack: no history is too long for it.
//! Not here: choosing what to search (`engine.rs`), explaining a refusal (`explain.rs`).

use super::hash::{Interned, Map};
use super::memo::{Key, Memo};
use super::spec::{OPEN, Pos, Spec, Timed};
use crate::verdict::Why;

/// What a search may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Configurations entered plus transitions looked up.
    pub steps: u64,
    /// Bytes of memo, states and stack.
    pub bytes: u64,
    /// Keep the configurations that got furthest, for the explanation. Quadratic: for short histories only.
    pub furthest: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { steps: 200_000_000, bytes: 2 << 30, furthest: false }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An order of indices into the ops; every ok op is in it.
    Yes(Vec<usize>),
    No,
    Spent(Why),
}

/// The answer and what it took.
pub struct Report {
    pub answer: Answer,
    pub steps: u64,
    /// Everything that completed before this position has an order.
    pub settled: Pos,
    /// The orders that got furthest, if asked for: at most three.
    pub furthest: Vec<Vec<usize>>,
}

impl Report {
    pub fn is_yes(&self) -> bool {
        matches!(self.answer, Answer::Yes(_))
    }
}

/// An order of all ok ops and some info ops that respects real time and replays, if there is one.
pub fn search<S: Spec>(spec: &S, ops: &[Timed<S>], limits: &Limits) -> Report {
    Search::new(spec, ops, limits).run()
}

pub(super) const REFUSED: u32 = u32::MAX;

/// An ok op, in order of invocation.
pub(super) struct Ok {
    pub(super) op: u32,
    pub(super) inv: Pos,
    pub(super) res: Pos,
    pub(super) class: u32,
    call: u32,
    pub(super) idle: bool,
    slot: u32,
}

/// Info ops with equal calls, in order of invocation.
pub(super) struct Infos {
    call: u32,
    pub(super) class: u32,
    pub(super) members: Vec<u32>,
    pub(super) from: Vec<Pos>,
}

/// One configuration on the stack. Its open ops are the tail of `Search::open` from `open_at`.
#[derive(Clone, Copy)]
struct Frame {
    hi: u32,
    state: u32,
    infos: u32,
    open_at: u32,
    order_at: u32,
    /// The smallest completion among ops that are not in: what is invoked later cannot come next.
    wall: Pos,
    next: u32,
}

pub(super) struct Search<'a, S: Spec> {
    spec: &'a S,
    ops: &'a [Timed<S>],
    limits: Limits,
    pub(super) ok: Vec<Ok>,
    pub(super) infos: Vec<Infos>,
    /// An op of each class of equal (call, reply).
    class: Vec<u32>,
    states: Interned<S::State>,
    /// Sorted (class of infos, number used).
    pub(super) counts: Interned<Vec<(u32, u32)>>,
    wide: Interned<Vec<u32>>,
    moves: Map<(u32, u32), u32>,
    memo: Memo,
    frames: Vec<Frame>,
    open: Vec<u32>,
    order: Vec<u32>,
    pub(super) steps: u64,
    /// Heap bytes behind the interned states, counts and wide masks.
    heap: usize,
    settled: Pos,
    furthest: Vec<Vec<usize>>,
    most: usize,
}

impl<'a, S: Spec> Search<'a, S> {
    pub(super) fn new(spec: &'a S, ops: &'a [Timed<S>], limits: &Limits) -> Self {
        let mut calls: Interned<&S::Call> = Interned::default();
        let mut classes: Interned<(&S::Call, Option<&S::Reply>)> = Interned::default();
        let (mut class, mut ok, mut groups) = (Vec::new(), Vec::new(), Vec::<Infos>::new());
        let mut group_of: Map<u32, usize> = Map::default();
        let mut by_inv: Vec<u32> = (0..ops.len() as u32).collect();
        by_inv.sort_by_key(|i| ops[*i as usize].inv);
        for i in by_inv {
            let op = &ops[i as usize];
            let call = calls.id(&&op.call);
            let id = classes.id(&(&op.call, op.reply.as_ref()));
            if id as usize == class.len() {
                class.push(i);
            }
            if op.is_ok() {
                let idle = op.reply.as_ref().is_some_and(|r| spec.idle(&op.call, r));
                ok.push(Ok { op: i, inv: op.inv, res: op.res, class: id, call, idle, slot: 0 });
            } else if !spec.pure(&op.call) {
                let at = *group_of.entry(id).or_insert_with(|| {
                    groups.push(Infos { call, class: id, members: Vec::new(), from: Vec::new() });
                    groups.len() - 1
                });
                groups[at].members.push(i);
                groups[at].from.push(op.inv);
            }
        }
        assign_slots(&mut ok);
        let mut search = Search {
            spec,
            ops,
            limits: *limits,
            ok,
            infos: groups,
            class,
            states: Interned::default(),
            counts: Interned::default(),
            wide: Interned::default(),
            moves: Map::default(),
            memo: Memo::new(limits.bytes / 2),
            frames: Vec::new(),
            open: Vec::new(),
            order: Vec::new(),
            steps: 0,
            heap: 0,
            settled: 0,
            furthest: Vec::new(),
            most: 0,
        };
        search.states.id(&spec.init());
        search.counts.id(&Vec::new());
        search.wide.id(&Vec::new());
        search
    }

    fn run(mut self) -> Report {
        let answer = self.walk();
        Report { answer, steps: self.steps, settled: self.settled, furthest: self.furthest }
    }

    fn walk(&mut self) -> Answer {
        let root = Frame { hi: 0, state: 0, infos: 0, open_at: 0, order_at: 0, wall: OPEN, next: 0 };
        if self.enter(root) {
            return self.yes();
        }
        let mut turn = 0u32;
        while let Some(frame) = self.frames.last().copied() {
            turn = turn.wrapping_add(1);
            if self.steps >= self.limits.steps {
                return Answer::Spent(Why::Steps);
            }
            if turn & 255 == 0 && self.bytes() > self.limits.bytes {
                return Answer::Spent(Why::Bytes);
            }
            let Some((choice, state, next)) = self.choose(&frame) else {
                self.leave();
                continue;
            };
            if let Some(top) = self.frames.last_mut() {
                top.next = next;
            }
            let child = self.child(&frame, choice, state);
            if self.enter(child) {
                return self.yes();
            }
        }
        Answer::No
    }

    fn yes(&self) -> Answer {
        Answer::Yes(self.order.iter().map(|i| *i as usize).collect())
    }

    fn bytes(&self) -> u64 {
        let tables = self.states.len() * (2 * size_of::<S::State>() + 32) + self.moves.len() * 24 + self.heap;
        let stacks =
            self.frames.capacity() * size_of::<Frame>() + (self.open.capacity() + self.order.capacity()) * 4;
        (self.memo.bytes() + tables + stacks) as u64
    }

    fn leave(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.open.truncate(frame.open_at as usize);
            self.order.truncate(frame.order_at as usize);
        }
    }

    /// The state after an op of this class, or [`REFUSED`].
    pub(super) fn step(&mut self, state: u32, class: u32) -> u32 {
        self.steps += 1;
        if let Some(next) = self.moves.get(&(state, class)) {
            return *next;
        }
        let op = &self.ops[self.class[class as usize] as usize];
        let next = match self.spec.step(self.states.get(state), &op.call, op.reply.as_ref()) {
            Some(next) => {
                let known = self.states.len();
                let id = self.states.id(&next);
                // Interned things are held twice: in the table and in the index.
                self.heap += (self.states.len() - known) * 2 * self.spec.weight(&next);
                id
            }
            None => REFUSED,
        };
        self.moves.insert((state, class), next);
        next
    }

    /// The next thing to try from a frame: a position in its open list, or (beyond it) a class of infos.
    /// Returns the choice, the state after it and where to go on later.
    fn choose(&mut self, frame: &Frame) -> Option<(u32, u32, u32)> {
        let open = self.open.len() as u32 - frame.open_at;
        let mut at = frame.next;
        while at < open {
            let i = self.open[(frame.open_at + at) as usize];
            let next = self.step(frame.state, self.ok[i as usize].class);
            if next != REFUSED && !self.equal_and_sooner(frame, i) {
                return Some((at, next, at + 1));
            }
            at += 1;
        }
        while let Some(group) = self.infos.get((at - open) as usize) {
            // Groups are in order of their first invocation.
            if group.from[0] > frame.wall {
                return None;
            }
            let (class, call, g) = (group.class, group.call, at - open);
            let ready = group.from.partition_point(|p| *p < frame.wall) as u32;
            if self.used(frame.infos, g) < ready {
                let next = self.step(frame.state, class);
                if next != REFUSED && next != frame.state && !self.has_ok_twin(frame, call, next) {
                    return Some((at, next, at + 1));
                }
            }
            at += 1;
        }
        None
    }

    fn open_of(&self, frame: &Frame) -> &[u32] {
        &self.open[frame.open_at as usize..]
    }

    fn equal_and_sooner(&self, frame: &Frame, i: u32) -> bool {
        let me = &self.ok[i as usize];
        self.open_of(frame)
            .iter()
            .map(|j| &self.ok[*j as usize])
            .any(|o| o.class == me.class && o.res < me.res)
    }

    fn has_ok_twin(&mut self, frame: &Frame, call: u32, next: u32) -> bool {
        for at in frame.open_at as usize..self.open.len() {
            let twin = &self.ok[self.open[at] as usize];
            if twin.call == call {
                let class = twin.class;
                if self.step(frame.state, class) == next {
                    return true;
                }
            }
        }
        false
    }

    pub(super) fn used(&self, infos: u32, group: u32) -> u32 {
        let counts = self.counts.get(infos);
        counts.binary_search_by_key(&group, |c| c.0).map_or(0, |at| counts[at].1)
    }

    /// The counts with one more info op of a group used.
    pub(super) fn one_more(&mut self, infos: u32, group: u32) -> u32 {
        let mut counts = self.counts.get(infos).clone();
        match counts.binary_search_by_key(&group, |c| c.0) {
            Ok(at) => counts[at].1 += 1,
            Err(at) => counts.insert(at, (group, 1)),
        }
        let known = self.counts.len();
        let id = self.counts.id(&counts);
        self.heap += (self.counts.len() - known) * 2 * (counts.len() * 8 + 32);
        id
    }

    /// The frame after a choice, its open ops already on the stack, without the choice.
    fn child(&mut self, parent: &Frame, choice: u32, state: u32) -> Frame {
        let (from, to) = (parent.open_at as usize, self.open.len());
        let order_at = self.order.len() as u32;
        let mut infos = parent.infos;
        for at in from..to {
            if at - from != choice as usize {
                self.open.push(self.open[at]);
            }
        }
        if (choice as usize) < to - from {
            self.order.push(self.ok[self.open[from + choice as usize] as usize].op);
        } else {
            let group = choice - (to - from) as u32;
            let used = self.used(infos, group);
            self.order.push(self.infos[group as usize].members[used as usize]);
            infos = self.one_more(infos, group);
        }
        Frame { hi: parent.hi, state, infos, open_at: to as u32, order_at, wall: OPEN, next: 0 }
    }

    /// Takes in what is invoked before the wall, absorbs idle ops, and pushes the frame unless it was seen before.
    /// True when every ok op is in.
    fn enter(&mut self, mut frame: Frame) -> bool {
        self.steps += 1;
        loop {
            frame.wall = self.open_of(&frame).iter().map(|i| self.ok[*i as usize].res).min().unwrap_or(OPEN);
            while let Some(next) = self.ok.get(frame.hi as usize).filter(|o| o.inv < frame.wall) {
                frame.wall = frame.wall.min(next.res);
                self.open.push(frame.hi);
                frame.hi += 1;
            }
            if !self.absorb(&frame) {
                break;
            }
        }
        self.settled = self.settled.max(frame.wall);
        if self.limits.furthest {
            self.remember();
        }
        if self.open.len() == frame.open_at as usize {
            return true;
        }
        self.frames.push(frame);
        let key = self.key(&frame);
        if !self.memo.insert(key) {
            self.leave();
        }
        false
    }

    /// Puts every open idle op in that the state satisfies; true if there was one.
    fn absorb(&mut self, frame: &Frame) -> bool {
        let from = frame.open_at as usize;
        let mut kept = from;
        for at in from..self.open.len() {
            let i = self.open[at];
            let (idle, class, op) =
                (self.ok[i as usize].idle, self.ok[i as usize].class, self.ok[i as usize].op);
            if idle && self.step(frame.state, class) != REFUSED {
                self.order.push(op);
            } else {
                self.open[kept] = i;
                kept += 1;
            }
        }
        let absorbed = kept < self.open.len();
        self.open.truncate(kept);
        absorbed
    }

    fn key(&mut self, frame: &Frame) -> Key {
        let (mut mask, mut more) = (0u128, Vec::new());
        for i in &self.open[frame.open_at as usize..] {
            match self.ok[*i as usize].slot {
                slot @ 0..128 => mask |= 1 << slot,
                _ => more.push(*i),
            }
        }
        let known = self.wide.len();
        let length = more.len();
        let more = if more.is_empty() { 0 } else { self.wide.id(&more) };
        self.heap += (self.wide.len() - known) * 2 * (length * 4 + 32);
        Key { mask, hi: frame.hi, state: frame.state, infos: frame.infos, more }
    }

    fn remember(&mut self) {
        let order = &self.order;
        if order.len() > self.most {
            self.most = order.len();
            self.furthest.clear();
        }
        if order.len() == self.most && self.furthest.len() < 3 {
            self.furthest.push(order.iter().map(|i| *i as usize).collect());
        }
    }
}

/// Gives each ok op a number that no other op open at the same time has, the lowest free one.
fn assign_slots(ok: &mut [Ok]) {
    let mut free = std::collections::BinaryHeap::new();
    let mut ends = std::collections::BinaryHeap::new();
    let mut fresh = 0u32;
    for op in ok.iter_mut() {
        while let Some(&std::cmp::Reverse((res, slot))) = ends.peek() {
            if res > op.inv {
                break;
            }
            ends.pop();
            free.push(std::cmp::Reverse(slot));
        }
        op.slot = match free.pop() {
            Some(std::cmp::Reverse(slot)) => slot,
            None => {
                fresh += 1;
                fresh - 1
            }
        };
        ends.push(std::cmp::Reverse((op.res, op.slot)));
    }
}
