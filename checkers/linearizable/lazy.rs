//! Registers without cas, values written more than once: decided completion by completion, deciding nothing early.
//!
//! A write takes effect at one of two places only. *Now*: at the completion that forces it. *Hidden*: just before the
//! last write placed, which covers it up at once; reads of its value that had begun by then see it in between. So a
//! configuration is the value, the position of the last write, the open ops that are in already, and the infos used;
//! of equal ones only the latest position matters, since everything that could be hidden before an earlier write can
//! be hidden before a later one. The frontier stays small whatever the concurrency.
//! Complete because in any order a write can be moved to the completion that forces it, or to just before the write
//! that hides it, and each read next to the write it sees; compared with brute force in `tests/`.
//! Not here: cas (`frontier.rs`), values written once (`register.rs`).

use super::arena::{Arena, NOTHING};
use super::dfs::{Answer, Limits, Report};
use super::hash::Map;
use super::objects::{Register, RegisterCall as Call, RegisterReply as Reply};
use super::spec::{Pos, Timed, precedes};
use super::table::Table;
use crate::verdict::Why;
use history::ValueId;

/// `None` where its preconditions do not hold: a cas, or more than 128 ops open at once. Yes and no.
pub fn search(spec: &Register, ops: &[Timed<Register>], limits: &Limits) -> Option<Report> {
    if ops.iter().any(|op| matches!(op.call, Call::Cas(..))) {
        return None;
    }
    let mut lazy = Lazy::new(spec, ops, limits)?;
    let answer = lazy.run();
    let (steps, bytes) = (lazy.steps, lazy.most_bytes);
    Some(Report { answer, steps, bytes, settled: lazy.settled, furthest: Vec::new() })
}

#[derive(Clone, Copy)]
struct Node {
    /// Slots of open ops that are in.
    early: u128,
    value: u32,
    /// Where the last write took effect.
    last: Pos,
    infos: u32,
    /// The last decision, in the arena.
    tail: u32,
}

impl Node {
    /// What was invoked then may stand hidden before the last write. Nothing stands before the initial value.
    fn hides(&self, inv: Pos) -> bool {
        self.tail != NOTHING && !precedes(self.last, inv)
    }
}

/// With the op of this slot in.
fn with(early: u128, slot: u8) -> u128 {
    early | 1 << slot
}

/// With the slot free for another op.
fn without(early: u128, slot: u8) -> u128 {
    early & !(1 << slot)
}

#[derive(Clone, Copy)]
struct Link {
    /// An ok op, or (from `ok.len()` on) an info of a group.
    item: u32,
    at: u32,
    hidden: bool,
}

#[derive(Default)]
struct Live {
    /// Open reads and writes of a value; writes by deadline.
    reads: Vec<u32>,
    writes: Vec<u32>,
    read_slots: u128,
}

/// An ok op as the loop needs it.
#[derive(Clone, Copy)]
struct Access {
    inv: Pos,
    res: Pos,
    value: u32,
    slot: u8,
    reads: bool,
}

struct Lazy<'a> {
    table: Table<'a>,
    limits: Limits,
    accesses: Vec<Access>,
    /// The group of infos that write a value.
    info_of: Vec<u32>,
    by_end: Vec<u32>,
    live: Vec<Live>,
    arena: Arena<Link>,
    steps: u64,
    settled: Pos,
    most_bytes: u64,
    at: u32,
}

impl<'a> Lazy<'a> {
    fn new(spec: &'a Register, ops: &'a [Timed<Register>], limits: &Limits) -> Option<Lazy<'a>> {
        let table = Table::new(spec, ops);
        if table.width > 128 {
            return None;
        }
        let mut values: Map<ValueId, u32> = Map::default();
        let mut number = |v: ValueId| {
            let next = values.len() as u32;
            *values.entry(v).or_insert(next)
        };
        // The initial value is number 0.
        number(spec.init);
        let access = |ok: &super::table::Ok, number: &mut dyn FnMut(ValueId) -> u32| {
            let op = &ops[ok.op as usize];
            let (value, reads) = match (op.call, op.reply) {
                (Call::Write(v), _) => (v, false),
                (_, Some(Reply::Value(v))) => (v, true),
                _ => return None,
            };
            Some(Access { inv: ok.inv, res: ok.res, value: number(value), slot: ok.slot as u8, reads })
        };
        let accesses: Vec<Access> =
            table.ok.iter().map(|ok| access(ok, &mut number)).collect::<Option<_>>()?;
        let mut groups = Vec::new();
        for group in &table.infos {
            let Call::Write(v) = ops[*group.members.first()? as usize].call else { return None };
            groups.push(number(v));
        }
        let mut info_of = vec![NOTHING; values.len()];
        groups.iter().enumerate().for_each(|(g, v)| info_of[*v as usize] = g as u32);
        let mut by_end: Vec<u32> = (0..accesses.len() as u32).collect();
        by_end.sort_unstable_by_key(|i| accesses[*i as usize].res);
        let live = (0..values.len()).map(|_| Live::default()).collect();
        Some(Lazy {
            table,
            limits: *limits,
            accesses,
            info_of,
            by_end,
            live,
            arena: Arena::default(),
            steps: 0,
            settled: 0,
            most_bytes: 0,
            at: 0,
        })
    }

    fn run(&mut self) -> Answer {
        let mut nodes = vec![Node { early: 0, value: 0, last: 0, infos: 0, tail: NOTHING }];
        let mut next = 0;
        for at in 0..self.by_end.len() {
            let target = self.by_end[at];
            self.at = at as u32;
            let op = self.accesses[target as usize];
            while let Some(new) =
                self.accesses.get(next as usize).copied().filter(|a| !precedes(op.res, a.inv))
            {
                self.invoke(next, new, &mut nodes);
                next += 1;
            }
            self.steps += nodes.len() as u64;
            if nodes.iter().all(|n| n.early >> op.slot & 1 == 1) {
                // What differed still differs.
                nodes.iter_mut().for_each(|n| n.early = without(n.early, op.slot));
                self.retire(target, &op);
                self.settled = op.res;
                continue;
            }
            let mut done = Vec::with_capacity(2 * nodes.len());
            for node in nodes {
                match node.early >> op.slot & 1 {
                    1 => done.push(Node { early: without(node.early, op.slot), ..node }),
                    _ if op.reads => self.read(&node, &op, &mut done),
                    _ => self.write(&node, target, &op, &mut done),
                }
            }
            nodes = self.best(done);
            self.retire(target, &op);
            self.settled = op.res;
            if nodes.is_empty() {
                return Answer::No;
            }
            if self.arena.is_due() {
                self.arena.sweep(&mut [&mut nodes], |n| &mut n.tail);
            }
            if let Some(why) = self.spent(nodes.len()) {
                return Answer::Spent(why);
            }
        }
        Answer::Yes(self.order(nodes[0].tail))
    }

    fn spent(&mut self, nodes: usize) -> Option<Why> {
        let bytes = self.table.bytes()
            + self.accesses.len() * (size_of::<Access>() + 4)
            + self.live.len() * size_of::<Live>()
            + self.arena.bytes()
            + nodes * 3 * size_of::<Node>();
        self.most_bytes = self.most_bytes.max(bytes as u64);
        match () {
            () if bytes as u64 > self.limits.bytes => Some(Why::Bytes),
            () if self.steps > self.limits.steps => Some(Why::Steps),
            () => None,
        }
    }

    fn invoke(&mut self, i: u32, op: Access, nodes: &mut [Node]) {
        let accesses = &self.accesses;
        let live = &mut self.live[op.value as usize];
        if op.reads {
            live.reads.push(i);
            live.read_slots = with(live.read_slots, op.slot);
            for node in nodes.iter_mut().filter(|n| n.value == op.value) {
                node.early = with(node.early, op.slot);
            }
        } else {
            let place = live.writes.partition_point(|w| accesses[*w as usize].res < op.res);
            live.writes.insert(place, i);
        }
    }

    fn retire(&mut self, i: u32, op: &Access) {
        let live = &mut self.live[op.value as usize];
        if op.reads {
            live.reads.retain(|r| *r != i);
            live.read_slots = without(live.read_slots, op.slot);
        } else {
            live.writes.retain(|w| *w != i);
        }
    }

    fn write(&mut self, node: &Node, target: u32, op: &Access, done: &mut Vec<Node>) {
        done.push(self.placed_now(node, target, op.value, op.res));
        if node.hides(op.inv) {
            done.push(self.hidden(node, target, op.value));
        }
    }

    /// A read that no write served yet: some write of its value takes effect now, or hidden.
    fn read(&mut self, node: &Node, op: &Access, done: &mut Vec<Node>) {
        if let Some((item, node)) = self.source(node, op.value, op.res) {
            let now = self.placed_now(&node, item, op.value, op.res);
            done.push(Node { early: without(now.early, op.slot), ..now });
        }
        if node.hides(op.inv)
            && let Some((item, node)) = self.source(node, op.value, node.last)
        {
            let hidden = self.hidden(&node, item, op.value);
            done.push(Node { early: without(hidden.early, op.slot), ..hidden });
        }
    }

    /// A write of the value invoked by `until` that is not in yet: the ok one with the earliest deadline (of equal
    /// ones it may stand wherever another would), else an info. With it the configuration that has used it.
    fn source(&mut self, node: &Node, value: u32, until: Pos) -> Option<(u32, Node)> {
        for w in &self.live[value as usize].writes {
            let write = &self.accesses[*w as usize];
            if !precedes(until, write.inv) && node.early >> write.slot & 1 == 0 {
                return Some((*w, Node { early: with(node.early, write.slot), ..*node }));
            }
        }
        let group = self.info_of[value as usize];
        if group == NOTHING {
            return None;
        }
        // Infos are used in order of invocation, and never at an earlier place than the one before.
        let used = self.table.used(node.infos, group);
        if used >= self.table.ready(group, until) {
            return None;
        }
        let infos = self.table.one_more(node.infos, group);
        Some((self.accesses.len() as u32 + group, Node { infos, ..*node }))
    }

    fn placed_now(&mut self, node: &Node, item: u32, value: u32, now: Pos) -> Node {
        let tail = self.link(node.tail, item, false);
        let early = node.early | self.live[value as usize].read_slots;
        Node { early, value, last: now, tail, ..*node }
    }

    fn hidden(&mut self, node: &Node, item: u32, value: u32) -> Node {
        let tail = self.link(node.tail, item, true);
        let mut early = node.early;
        for r in &self.live[value as usize].reads {
            let read = &self.accesses[*r as usize];
            if node.hides(read.inv) {
                early = with(early, read.slot);
            }
        }
        Node { early, tail, ..*node }
    }

    fn link(&mut self, before: u32, item: u32, hidden: bool) -> u32 {
        self.arena.push(before, Link { item, at: self.at, hidden })
    }

    /// Of equal configurations those that no other beats in both the last position and the infos used.
    fn best(&self, mut done: Vec<Node>) -> Vec<Node> {
        if done.len() < 2 {
            return done;
        }
        use std::cmp::Reverse;
        if self.table.infos.is_empty() {
            done.sort_unstable_by_key(|n| (n.value, n.early, Reverse(n.last), n.tail));
            done.dedup_by_key(|n| (n.value, n.early));
            return done;
        }
        done.sort_unstable_by_key(|n| {
            (n.value, n.early, Reverse(n.last), self.table.all_used(n.infos), n.infos, n.tail)
        });
        let mut kept: Vec<Node> = Vec::with_capacity(done.len());
        let mut from = 0;
        for node in done {
            if kept.get(from).is_some_and(|k| (k.value, k.early) != (node.value, node.early)) {
                from = kept.len();
            }
            // Those kept reach at least as late.
            if !kept[from..].iter().any(|k| self.table.at_most(k.infos, node.infos)) {
                kept.push(node);
            }
        }
        kept
    }

    /// Plays the decisions of one path again and writes down where everything went.
    fn order(&self, tail: u32) -> Vec<usize> {
        let mut path = self.arena.path(tail).into_iter().peekable();
        let n = self.accesses.len();
        // What is settled, and the last write with the reads that it serves: hidden ops go between the two.
        let (mut order, mut current): (Vec<usize>, Vec<usize>) = (Vec::with_capacity(n), Vec::new());
        let mut waiting: Vec<Vec<u32>> = vec![Vec::new(); self.live.len()];
        let mut used = vec![0; self.table.infos.len()];
        let (mut value, mut last, mut next) = (0, 0, 0);
        let op = |i: u32| self.table.ok[i as usize].op as usize;
        for at in 0..self.by_end.len() {
            let wall = self.accesses[self.by_end[at] as usize].res;
            while let Some(new) = self.accesses.get(next).filter(|a| !precedes(wall, a.inv)) {
                match new.reads {
                    true if new.value == value => current.push(op(next as u32)),
                    true => waiting[new.value as usize].push(next as u32),
                    false => {}
                }
                next += 1;
            }
            while let Some(link) = path.next_if(|l| l.at == at as u32) {
                let (item, wrote) = match (link.item as usize).checked_sub(n) {
                    None => (op(link.item), self.accesses[link.item as usize].value),
                    Some(g) => {
                        let member = self.table.infos[g].members[used[g]] as usize;
                        used[g] += 1;
                        let value = self.info_of.iter().position(|group| *group == g as u32).unwrap_or(0);
                        (member, value as u32)
                    }
                };
                if link.hidden {
                    order.push(item);
                    waiting[wrote as usize].retain(|r| {
                        let fits = !precedes(last, self.accesses[*r as usize].inv);
                        if fits {
                            order.push(op(*r));
                        }
                        !fits
                    });
                } else {
                    order.append(&mut current);
                    current.push(item);
                    (value, last) = (wrote, wall);
                    current.extend(waiting[wrote as usize].drain(..).map(op));
                }
            }
        }
        order.append(&mut current);
        order
    }
}
