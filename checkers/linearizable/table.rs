//! What every search engine shares: the ops by invocation, their classes, and the states reached, by number.
//!
//! A *class* is equal (call, reply); equal ops are interchangeable, so engines decide between classes. States, sets of
//! used infos and wide windows are interned to four bytes. Not here: which op comes next (`dfs.rs`, `frontier.rs`).

use super::hash::{Interned, Map};
use super::spec::{OPEN, Pos, Spec, Timed, precedes};

/// The state that a step leads to where the object refuses it.
pub const REFUSED: u32 = u32::MAX;
const UNKNOWN: u32 = u32::MAX - 1;

/// With more classes than this a row of transitions for each state would be mostly empty.
const DENSE: usize = 512;

/// An ok op. Their index is their rank by invocation.
#[derive(Clone, Copy)]
pub struct Ok {
    pub op: u32,
    pub inv: Pos,
    pub res: Pos,
    pub class: u32,
    /// A number that no other op open at the same time has.
    pub slot: u32,
}

/// Equal (call, reply) pairs.
#[derive(Clone, Copy)]
struct Class {
    /// One of its ops.
    sample: u32,
    call: u32,
    idle: bool,
}

/// Info ops with equal calls, in order of invocation.
pub struct Infos {
    pub class: u32,
    pub members: Vec<u32>,
    pub from: Vec<Pos>,
}

/// Sorted (group of infos, number used).
pub type Counts = Vec<(u32, u32)>;

/// The object behind a table. Everything else in the engines is the same code for every object, compiled once.
trait Machine {
    /// The state after the op `sample` in `state`, by number, or [`REFUSED`].
    fn apply(&mut self, state: u32, sample: u32) -> u32;
    /// Bytes of the states met so far.
    fn bytes(&self) -> usize;
}

struct Object<'a, S: Spec> {
    spec: &'a S,
    ops: &'a [Timed<S>],
    states: Interned<S::State>,
    heap: usize,
}

impl<S: Spec> Machine for Object<'_, S> {
    fn apply(&mut self, state: u32, sample: u32) -> u32 {
        let op = &self.ops[sample as usize];
        let Some(next) = self.spec.step(self.states.get(state), &op.call, op.reply.as_ref()) else {
            return REFUSED;
        };
        let known = self.states.len();
        let id = self.states.id(&next);
        // Interned things are held twice: in the table and in the index.
        self.heap += (self.states.len() - known) * 2 * self.spec.weight(&next);
        id
    }

    fn bytes(&self) -> usize {
        self.states.len() * (2 * size_of::<S::State>() + 56) + self.heap
    }
}

pub struct Table<'a> {
    machine: Box<dyn Machine + 'a>,
    pub ok: Vec<Ok>,
    pub infos: Vec<Infos>,
    classes: Vec<Class>,
    counts: Interned<Counts>,
    wide: Interned<Vec<u32>>,
    rows: Vec<Vec<u32>>,
    sparse: Map<(u32, u32), u32>,
    pub steps: u64,
    /// Heap bytes behind the interned things.
    heap: usize,
    infos_bytes: usize,
    /// The most ops open at once.
    pub width: u32,
    /// For each group of infos the groups that may wait for it; empty unless the spec says that infos are seen at
    /// once.
    waiting: Vec<Vec<u32>>,
}

impl<'a> Table<'a> {
    pub fn new<S: Spec>(spec: &'a S, ops: &'a [Timed<S>]) -> Self {
        let mut calls: Interned<&S::Call> = Interned::default();
        let mut pairs: Interned<(&S::Call, Option<&S::Reply>)> = Interned::default();
        let (mut classes, mut infos) = (Vec::new(), Vec::<Infos>::new());
        let mut ok = Vec::with_capacity(ops.len());
        let mut group_of: Map<u32, usize> = Map::default();
        let mut add = |i: u32| {
            let op = &ops[i as usize];
            let class = pairs.id(&(&op.call, op.reply.as_ref()));
            if class as usize == classes.len() {
                let idle = op.reply.as_ref().is_some_and(|r| spec.idle(&op.call, r));
                classes.push(Class { sample: i, call: calls.id(&&op.call), idle });
            }
            if op.is_ok() {
                ok.push(Ok { op: i, inv: op.inv, res: op.res, class, slot: 0 });
            } else if !spec.pure(&op.call) {
                let at = *group_of.entry(class).or_insert_with(|| {
                    infos.push(Infos { class, members: Vec::new(), from: Vec::new() });
                    infos.len() - 1
                });
                infos[at].members.push(i);
                infos[at].from.push(op.inv);
            }
        };
        match ops.is_sorted_by_key(|o| o.inv) {
            true => (0..ops.len() as u32).for_each(&mut add),
            false => {
                let mut by_inv: Vec<u32> = (0..ops.len() as u32).collect();
                by_inv.sort_by_key(|i| ops[*i as usize].inv);
                by_inv.into_iter().for_each(&mut add);
            }
        }
        let width = assign_slots(&mut ok);
        let mut states = Interned::default();
        states.id(&spec.init());
        let waiting = if spec.seen_at_once() { infos_waiting(spec, ops, &infos) } else { Vec::new() };
        let infos_bytes = infos.iter().map(|g| g.members.len() * 8 + 64).sum();
        let mut table = Table {
            machine: Box::new(Object { spec, ops, states, heap: 0 }),
            ok,
            infos,
            classes,
            counts: Interned::default(),
            wide: Interned::default(),
            rows: Vec::new(),
            sparse: Map::default(),
            steps: 0,
            heap: 0,
            infos_bytes,
            width,
            waiting,
        };
        table.counts.id(&Vec::new());
        table.wide.id(&Vec::new());
        table
    }

    /// May another info wait for one of this group, or does the object not say? Else only an ok op can, to which it is
    /// news.
    pub fn awaited(&self, group: u32, wall: Pos) -> bool {
        let others =
            || self.waiting[group as usize].iter().any(|h| !precedes(wall, self.infos[*h as usize].from[0]));
        self.waiting.is_empty() || others()
    }

    /// Of these ok ops one fits in `next` that does not in `state`.
    pub fn news(&mut self, state: u32, next: u32, open: &[u32]) -> bool {
        open.iter().any(|i| {
            let class = self.ok[*i as usize].class;
            self.step(next, class) != REFUSED && self.step(state, class) == REFUSED
        })
    }

    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// Ops of this class change no state in which they fit.
    pub fn idle(&self, class: u32) -> bool {
        self.classes[class as usize].idle
    }

    /// The number of a class's call, whatever the reply.
    pub fn call(&self, class: u32) -> u32 {
        self.classes[class as usize].call
    }

    /// The state after an op of this class, or [`REFUSED`].
    pub fn step(&mut self, state: u32, class: u32) -> u32 {
        self.steps += 1;
        if self.classes.len() > DENSE {
            if let Some(next) = self.sparse.get(&(state, class)) {
                return *next;
            }
            let next = self.apply(state, class);
            self.sparse.insert((state, class), next);
            return next;
        }
        while self.rows.len() <= state as usize {
            self.rows.push(Vec::new());
        }
        let row = &mut self.rows[state as usize];
        if row.is_empty() {
            row.resize(self.classes.len(), UNKNOWN);
            self.heap += self.classes.len() * 4;
        }
        let known = row[class as usize];
        if known != UNKNOWN {
            return known;
        }
        let next = self.apply(state, class);
        self.rows[state as usize][class as usize] = next;
        next
    }

    fn apply(&mut self, state: u32, class: u32) -> u32 {
        self.machine.apply(state, self.classes[class as usize].sample)
    }

    pub fn used(&self, infos: u32, group: u32) -> u32 {
        let counts = self.counts.get(infos);
        counts.binary_search_by_key(&group, |c| c.0).map_or(0, |at| counts[at].1)
    }

    pub fn all_used(&self, infos: u32) -> u32 {
        self.counts.get(infos).iter().map(|c| c.1).sum()
    }

    /// The counts with one more info op of a group used.
    pub fn one_more(&mut self, infos: u32, group: u32) -> u32 {
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

    /// No group was used more often in `few` than in `many`.
    pub fn at_most(&self, few: u32, many: u32) -> bool {
        let many = self.counts.get(many);
        self.counts
            .get(few)
            .iter()
            .all(|(group, n)| many.binary_search_by_key(group, |c| c.0).is_ok_and(|at| many[at].1 >= *n))
    }

    /// Of the infos of a group, how many had been invoked by `wall`.
    pub fn ready(&self, group: u32, wall: Pos) -> u32 {
        self.infos[group as usize].from.partition_point(|p| !precedes(wall, *p)) as u32
    }

    /// A number for the slots of a window beyond the first 128.
    pub fn wide(&mut self, more: &Vec<u32>) -> u32 {
        if more.is_empty() {
            return 0;
        }
        let known = self.wide.len();
        let id = self.wide.id(more);
        self.heap += (self.wide.len() - known) * 2 * (more.len() * 4 + 32);
        id
    }

    pub fn wide_slots(&self, id: u32) -> &[u32] {
        self.wide.get(id)
    }

    pub fn bytes(&self) -> usize {
        self.machine.bytes()
            + self.sparse.capacity() * 13
            + self.heap
            + self.ok.len() * size_of::<Ok>()
            + self.classes.len() * (size_of::<Class>() + 40)
            + self.infos_bytes
    }
}

/// For each group of infos the groups that want it.
fn infos_waiting<S: Spec>(spec: &S, ops: &[Timed<S>], infos: &[Infos]) -> Vec<Vec<u32>> {
    let sample = |g: &Infos| &ops[g.members[0] as usize];
    let wants = |by: &Infos, info: &Infos| spec.wants(sample(by), &sample(info).call);
    let of = |info: &Infos| (0..infos.len() as u32).filter(|h| wants(&infos[*h as usize], info)).collect();
    infos.iter().map(of).collect()
}

/// Gives each ok op a number that no other op open at the same time has, the lowest free one. Returns how many there
/// are. An op that never completes would keep its slot: such are no ok ops.
fn assign_slots(ok: &mut [Ok]) -> u32 {
    use std::cmp::Reverse;
    let mut free = std::collections::BinaryHeap::new();
    let mut ends = std::collections::BinaryHeap::new();
    let mut fresh = 0u32;
    for op in ok.iter_mut() {
        debug_assert!(op.res != OPEN);
        while let Some(&Reverse((res, slot))) = ends.peek() {
            if !precedes(res, op.inv) {
                break;
            }
            ends.pop();
            free.push(Reverse(slot));
        }
        op.slot = match free.pop() {
            Some(Reverse(slot)) => slot,
            None => {
                fresh += 1;
                fresh - 1
            }
        };
        ends.push(Reverse((op.res, op.slot)));
    }
    fresh
}
