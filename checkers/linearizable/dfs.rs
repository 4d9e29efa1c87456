//! The general engine: depth-first search over configurations, for any [`Spec`].
//!
//! Exact, with these reductions: a configuration names only the ops open at its frontier (so its size follows the
//! concurrency, not the length); idle ops go in at once; of equal ops the one with the earliest deadline; info ops
//! are counted for each class and come last. An explicit stack: no history is too long for it. The ops not yet in the
//! order form one linked list (Knuth's dancing links), so a step costs the ops open at once and sixteen bytes.
//! Not here: choosing what to search (`engine.rs`), explaining a refusal (`explain.rs`).

use super::memo::{Key, Memo};
use super::spec::{OPEN, Pos, Spec, Timed, precedes};
use super::table::{REFUSED, Table};
use crate::verdict::Why;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// Bytes at the end, as accounted: the most there were, since nothing is given back before.
    pub bytes: u64,
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
    Search::new(spec, ops, limits, None).run()
}

/// The same, given up with `Spent` once `stop` is set: for one of two engines that run side by side.
pub fn search_until<S: Spec>(spec: &S, ops: &[Timed<S>], limits: &Limits, stop: &AtomicBool) -> Report {
    Search::new(spec, ops, limits, Some(stop)).run()
}

/// One configuration on the stack: what `order` holds up to where the next frame begins.
#[derive(Clone, Copy)]
struct Frame {
    state: u32,
    infos: u32,
    order_at: u32,
    /// Where to go on: an ok op, or (from `ok.len()` on) a group of infos.
    next: u32,
}

/// The ops open in a configuration, and what names it in the memo.
#[derive(Default)]
struct Window {
    open: Vec<u32>,
    /// The smallest completion among ops that are not in: what is invoked later cannot come next.
    wall: Pos,
    mask: u128,
    more: Vec<u32>,
    /// The first op that is not yet open.
    hi: u32,
}

struct Search<'a> {
    table: Table<'a>,
    limits: Limits,
    stop: Option<&'a AtomicBool>,
    memo: Memo,
    frames: Vec<Frame>,
    deepest: usize,
    /// Ok ops that are not in the order, by invocation; the last entry is both head and end.
    next: Vec<u32>,
    prev: Vec<u32>,
    /// Ok ops by their index; beyond it info ops, by group and rank (see `info_at`).
    order: Vec<u32>,
    /// Where the infos of a group begin among all infos.
    info_at: Vec<u32>,
    window: Window,
    /// For each class the window in which it was met and its op with the earliest deadline there.
    soonest: Vec<(u32, u32)>,
    windows: u32,
    settled: Pos,
    furthest: Vec<Vec<usize>>,
    most: usize,
}

impl<'a> Search<'a> {
    fn new<S: Spec>(spec: &'a S, ops: &'a [Timed<S>], limits: &Limits, stop: Option<&'a AtomicBool>) -> Self {
        let table = Table::new(spec, ops);
        let n = table.ok.len() as u32;
        let mut info_at = vec![n];
        for group in &table.infos {
            info_at.push(info_at.last().copied().unwrap_or(n) + group.members.len() as u32);
        }
        Search {
            soonest: vec![(0, 0); table.classes()],
            next: (1..=n).chain([0]).collect(),
            prev: [n].into_iter().chain(0..n).collect(),
            order: Vec::with_capacity(n as usize),
            memo: Memo::new(limits.bytes / 2, table.width),
            table,
            limits: *limits,
            stop,
            // As long as the longest order, and touched only as far as it is used: no doubling in the middle.
            frames: Vec::with_capacity(n as usize),
            deepest: 0,
            info_at,
            window: Window::default(),
            windows: 0,
            settled: 0,
            furthest: Vec::new(),
            most: 0,
        }
    }

    fn run(mut self) -> Report {
        let answer = self.walk();
        let bytes = self.bytes();
        Report { answer, steps: self.table.steps, bytes, settled: self.settled, furthest: self.furthest }
    }

    fn walk(&mut self) -> Answer {
        if self.enter(Frame { state: 0, infos: 0, order_at: 0, next: 0 }) {
            return self.yes();
        }
        let mut turn = 0u32;
        while let Some(frame) = self.frames.last().copied() {
            turn = turn.wrapping_add(1);
            if self.table.steps >= self.limits.steps {
                return Answer::Spent(Why::Steps);
            }
            if turn & 255 == 0 {
                if self.bytes() > self.limits.bytes {
                    return Answer::Spent(Why::Bytes);
                }
                if self.stop.is_some_and(|s| s.load(Ordering::Relaxed)) {
                    return Answer::Spent(Why::Steps);
                }
            }
            let Some((item, state, infos, next)) = self.choose(&frame) else {
                self.leave(&frame);
                continue;
            };
            if let Some(top) = self.frames.last_mut() {
                top.next = next;
            }
            let child = Frame { state, infos, order_at: self.order.len() as u32, next: 0 };
            self.put(item);
            if self.enter(child) {
                return self.yes();
            }
        }
        Answer::No
    }

    fn yes(&self) -> Answer {
        Answer::Yes(self.in_order())
    }

    fn in_order(&self) -> Vec<usize> {
        self.order.iter().map(|item| self.op_of(*item)).collect()
    }

    fn op_of(&self, item: u32) -> usize {
        match self.table.ok.get(item as usize) {
            Some(ok) => ok.op as usize,
            None => {
                let group = self.info_at.partition_point(|at| *at <= item) - 1;
                self.table.infos[group].members[(item - self.info_at[group]) as usize] as usize
            }
        }
    }

    fn bytes(&self) -> u64 {
        let lists = self.next.len() * 8 + self.soonest.len() * 8 + self.order.capacity() * 4;
        let stacks = self.deepest * size_of::<Frame>();
        (self.memo.bytes() + self.table.bytes() + lists + stacks) as u64
    }

    fn put(&mut self, item: u32) {
        self.order.push(item);
        if (item as usize) < self.table.ok.len() {
            let (before, after) = (self.prev[item as usize], self.next[item as usize]);
            self.next[before as usize] = after;
            self.prev[after as usize] = before;
        }
    }

    /// Takes back what was put since the order had this length.
    fn take_back(&mut self, order_at: u32) {
        while self.order.len() > order_at as usize {
            let Some(item) = self.order.pop() else { return };
            if (item as usize) < self.table.ok.len() {
                let (before, after) = (self.prev[item as usize], self.next[item as usize]);
                self.next[before as usize] = item;
                self.prev[after as usize] = item;
            }
        }
    }

    /// Everything was tried from here: remembered, and taken back. Remembering only on the way out keeps the memo as
    /// small as the number of dead ends; nothing on the stack can be met again, since an order only grows.
    fn leave(&mut self, frame: &Frame) {
        let key = self.key(frame);
        self.memo.insert(key);
        self.frames.pop();
        self.take_back(frame.order_at);
    }

    /// Reads the open ops off the list; puts idle ones in that the state satisfies, if asked to.
    fn look(&mut self, state: u32, absorb: bool) {
        self.windows = self.windows.wrapping_add(1);
        let window = &mut self.window;
        window.open.clear();
        window.more.clear();
        (window.wall, window.mask) = (OPEN, 0);
        let end = self.table.ok.len() as u32;
        let mut i = self.next[end as usize];
        while i != end {
            let ok = self.table.ok[i as usize];
            if precedes(self.window.wall, ok.inv) {
                break;
            }
            let after = self.next[i as usize];
            if absorb && self.table.idle(ok.class) && self.table.step(state, ok.class) != REFUSED {
                self.put(i);
                i = after;
                continue;
            }
            let window = &mut self.window;
            window.wall = window.wall.min(ok.res);
            window.open.push(i);
            match ok.slot {
                slot @ 0..128 => window.mask |= 1 << slot,
                _ => window.more.push(i),
            }
            let soonest = &mut self.soonest[ok.class as usize];
            if soonest.0 != self.windows || self.table.ok[soonest.1 as usize].res > ok.res {
                *soonest = (self.windows, i);
            }
            i = after;
        }
        self.window.hi = i;
    }

    /// Pushes the frame unless it was seen to fail before. True when every ok op is in.
    fn enter(&mut self, frame: Frame) -> bool {
        self.table.steps += 1;
        self.look(frame.state, true);
        self.settled = self.settled.max(self.window.wall);
        if self.limits.furthest {
            self.remember();
        }
        if self.window.open.is_empty() {
            return true;
        }
        let key = self.key(&frame);
        match self.memo.contains(&key) {
            true => self.take_back(frame.order_at),
            false => {
                self.frames.push(frame);
                self.deepest = self.deepest.max(self.frames.len());
            }
        }
        false
    }

    fn key(&mut self, frame: &Frame) -> Key {
        let more = self.table.wide(&self.window.more);
        Key { mask: self.window.mask, hi: self.window.hi, state: frame.state, infos: frame.infos, more }
    }

    /// The next thing to try: the op, the state and infos after it, and where to go on later.
    fn choose(&mut self, frame: &Frame) -> Option<(u32, u32, u32, u32)> {
        if frame.next > 0 {
            // Back from a child: the window is the child's.
            self.look(frame.state, false);
        }
        let n = self.table.ok.len() as u32;
        let from = self.window.open.partition_point(|i| *i < frame.next);
        for at in from..self.window.open.len() {
            let i = self.window.open[at];
            let class = self.table.ok[i as usize].class;
            if self.soonest[class as usize].1 != i {
                continue;
            }
            let next = self.table.step(frame.state, class);
            if next != REFUSED {
                return Some((i, next, frame.infos, i + 1));
            }
        }
        for g in frame.next.saturating_sub(n)..self.table.infos.len() as u32 {
            let group = &self.table.infos[g as usize];
            // Groups are in order of their first invocation.
            if precedes(self.window.wall, group.from[0]) {
                return None;
            }
            let (class, used) = (group.class, self.table.used(frame.infos, g));
            if used < self.table.ready(g, self.window.wall) {
                let next = self.table.step(frame.state, class);
                if next != REFUSED
                    && next != frame.state
                    && self.awaited(g, frame.state, next)
                    && !self.has_ok_twin(frame.state, class, next)
                {
                    let infos = self.table.one_more(frame.infos, g);
                    return Some((self.info_at[g as usize] + used, next, infos, n + g + 1));
                }
            }
        }
        None
    }

    /// Does anything wait for an info of this group, which leads from `state` to `next`?
    fn awaited(&mut self, group: u32, state: u32, next: u32) -> bool {
        self.table.awaited(group, self.window.wall) || self.table.news(state, next, &self.window.open)
    }

    /// An open ok op that would do the same, and has a deadline.
    fn has_ok_twin(&mut self, state: u32, class: u32, next: u32) -> bool {
        let call = self.table.call(class);
        for at in 0..self.window.open.len() {
            let twin = self.table.ok[self.window.open[at] as usize].class;
            if self.table.call(twin) == call && self.table.step(state, twin) == next {
                return true;
            }
        }
        false
    }

    fn remember(&mut self) {
        if self.order.len() > self.most {
            self.most = self.order.len();
            self.furthest.clear();
        }
        if self.order.len() == self.most && self.furthest.len() < 3 {
            self.furthest.push(self.in_order());
        }
    }
}
