//! From completion to completion: all configurations that are still possible, or the best few of them.
//!
//! Three engines in one loop. [`beam`] keeps a narrow frontier and can only say *yes*: its cost is linear in the
//! length, so it answers for long and wide histories in which the depth-first search loses its way. [`relaxed`] lets
//! info ops take effect as often as they like and can only say *no*: a contradiction that remains is one. [`cegar`]
//! starts from there and counts just those infos that an order overused, until it knows either way.
//! Source of the frontier: Lowe, *Testing for linearizability*, CCPE 2017, §4 (just-in-time linearization).
//! Not here: depth first (`dfs.rs`); choosing among engines (`engine.rs`).

use super::arena::{Arena, NOTHING};
use super::dfs::{Answer, Limits, Report};
use super::hash::{Fast, Map};
use super::retreat::Retreat;
use super::spec::{Pos, Spec, Timed, precedes};
use super::table::{Infos, REFUSED, Table};
use crate::verdict::Why;
use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicBool, Ordering};

/// An order, or `Spent`: never `No`. Where the best `width` configurations lead nowhere, it goes back some way and
/// passes the place with four times as many, up to `tries` times.
pub fn beam<S: Spec>(spec: &S, ops: &[Timed<S>], width: usize, tries: u32, limits: &Limits) -> Report {
    Frontier::new(spec, ops, Some(width), limits, None).beam(tries)
}

/// What a relaxed look at a history comes to.
pub enum Relaxed {
    No,
    /// Only where there is no info op to be relaxed about.
    Yes(Vec<usize>),
    /// Something remains, perhaps by repeating an info: no larger budget would tell more.
    Accepts,
    Spent(Why),
}

/// Lets every info op take effect as often as it likes. The report's `settled` means nothing here.
pub fn relaxed<S: Spec>(
    spec: &S,
    ops: &[Timed<S>],
    limits: &Limits,
    stop: Option<&AtomicBool>,
) -> (Relaxed, Report) {
    Frontier::new(spec, ops, None, limits, stop).relaxed()
}

/// Counterexample-guided: relaxed about all infos, then exact about those that were overused. Yes and no.
pub fn cegar<S: Spec>(spec: &S, ops: &[Timed<S>], limits: &Limits) -> Report {
    Frontier::new(spec, ops, None, limits, None).cegar()
}

/// The state, the infos used, and the ops that are in although they complete later (by slot).
#[derive(Clone, Copy)]
struct Node {
    early: u128,
    state: u32,
    infos: u32,
    /// The slots of early ops beyond 128, interned.
    more: u32,
    /// The last decision of its order, in the arena.
    tail: u32,
}

type Key = (u128, u32, u32, u32);

impl Node {
    fn key(&self) -> Key {
        (self.early, self.state, self.infos, self.more)
    }
}

/// A decision: an ok op, or (from `ok.len()` on) an info of a group, put in while the `at`-th completion was awaited.
#[derive(Clone, Copy)]
struct Link {
    item: u32,
    at: u32,
}

/// What can be done in one state while one completion is awaited. Of few states there are many configurations, so
/// this is looked up once for each.
#[derive(Default)]
struct View {
    /// The slots of open ops that fit and change nothing; those of its beyond 128.
    idle: u128,
    idle_more: Vec<u32>,
    /// The open classes that fit, one bit for each in `live`.
    fits: Vec<u64>,
    /// Those that do not leave the state as it is by their nature, and the state after them.
    moves: Vec<(u32, u32)>,
    /// Groups of infos that lead to another state which something waits for; `None`: not looked up yet.
    chances: Option<Vec<Chance>>,
}

#[derive(Clone, Copy)]
struct Chance {
    group: u32,
    state: u32,
    /// How many of the group had been invoked.
    ready: u32,
}

/// Configurations of a narrow frontier that differ only in the infos they used.
const ALIKE: u32 = 4;

/// The ops of one class that are open now.
#[derive(Clone)]
struct Live {
    class: u32,
    idle: bool,
    /// By deadline.
    members: Vec<u32>,
    slots: u128,
    wide: bool,
}

enum Outcome {
    Empty,
    Survived(Vec<Node>),
    Spent(Why),
}

struct Frontier<'a> {
    table: Table<'a>,
    limits: Limits,
    stop: Option<&'a AtomicBool>,
    width: Option<usize>,
    by_end: Vec<u32>,
    arena: Arena<Link>,
    live: Vec<Live>,
    /// Of the present completion, by state.
    views: Vec<View>,
    view_of: Map<u32, u32>,
    wall: Pos,
    at: u32,
    settled: Pos,
    most_bytes: u64,
    /// Bytes of the frontiers to go back to.
    held: usize,
    /// Groups of infos that do more when they take effect again: without counting, states would grow for ever.
    piling: Vec<bool>,
}

impl<'a> Frontier<'a> {
    fn new<S: Spec>(
        spec: &'a S,
        ops: &'a [Timed<S>],
        width: Option<usize>,
        limits: &Limits,
        stop: Option<&'a AtomicBool>,
    ) -> Self {
        let table = Table::new(spec, ops);
        let mut by_end: Vec<u32> = (0..table.ok.len() as u32).collect();
        by_end.sort_unstable_by_key(|i| table.ok[*i as usize].res);
        Frontier {
            piling: vec![false; table.infos.len()],
            table,
            limits: *limits,
            stop,
            width,
            by_end,
            arena: Arena::default(),
            live: Vec::new(),
            views: Vec::new(),
            view_of: Map::default(),
            wall: 0,
            at: 0,
            settled: 0,
            most_bytes: 0,
            held: 0,
        }
    }

    fn beam(mut self, tries: u32) -> Report {
        let counted = vec![true; self.table.infos.len()];
        let answer = match self.run(&counted, tries) {
            Outcome::Survived(nodes) => {
                self.order(nodes[0].tail).map_or(Answer::Spent(Why::Steps), Answer::Yes)
            }
            Outcome::Empty => Answer::Spent(Why::Steps),
            Outcome::Spent(why) => Answer::Spent(why),
        };
        self.report(answer)
    }

    fn relaxed(mut self) -> (Relaxed, Report) {
        let counted = vec![false; self.table.infos.len()];
        let says = match self.run(&counted, 0) {
            Outcome::Empty => Relaxed::No,
            Outcome::Survived(nodes) if counted.is_empty() => {
                self.order(nodes[0].tail).map_or(Relaxed::Spent(Why::Disagreement), Relaxed::Yes)
            }
            Outcome::Survived(_) => Relaxed::Accepts,
            Outcome::Spent(why) => Relaxed::Spent(why),
        };
        self.settled = 0;
        let answer = match &says {
            Relaxed::No => Answer::No,
            Relaxed::Yes(order) => Answer::Yes(order.clone()),
            Relaxed::Accepts => Answer::Spent(Why::Steps),
            Relaxed::Spent(why) => Answer::Spent(why.clone()),
        };
        (says, self.report(answer))
    }

    fn cegar(mut self) -> Report {
        let mut counted = vec![false; self.table.infos.len()];
        loop {
            let nodes = match self.run(&counted, 0) {
                Outcome::Empty => return self.report(Answer::No),
                Outcome::Spent(why) => {
                    // What a relaxed look got past is not settled.
                    self.settled = if counted.iter().all(|c| *c) { self.settled } else { 0 };
                    return self.report(Answer::Spent(why));
                }
                Outcome::Survived(nodes) => nodes,
            };
            self.settled = 0;
            let least = nodes.iter().map(|n| self.overused(n.tail)).min_by_key(|o| (o.len(), o.clone()));
            match least {
                Some(overused) if overused.iter().any(|g| !counted[*g]) => {
                    overused.into_iter().for_each(|g| counted[g] = true);
                }
                // Overused although counted: by states in which it had seemed harmless not to. Now all count.
                Some(overused) if !overused.is_empty() => counted.fill(true),
                _ => {
                    // Another one may have an order too, of infos that were used before they were invoked.
                    let fits = nodes.iter().find(|n| self.overused(n.tail).is_empty()).map(|n| n.tail);
                    let order = fits.and_then(|tail| self.order(tail));
                    return self.report(order.map_or(Answer::Spent(Why::Disagreement), Answer::Yes));
                }
            }
        }
    }

    fn report(self, answer: Answer) -> Report {
        Report {
            answer,
            steps: self.table.steps,
            bytes: self.most_bytes,
            settled: self.settled,
            furthest: Vec::new(),
        }
    }

    fn run(&mut self, counted: &[bool], tries: u32) -> Outcome {
        self.arena.clear();
        self.live.clear();
        let mut nodes = vec![Node { early: 0, state: 0, infos: 0, more: 0, tail: NOTHING }];
        let (mut at, mut next, mut retreat) = (0, 0, self.width.map(|narrow| Retreat::new(narrow, tries)));
        while at < self.by_end.len() {
            if let Some(retreat) = &mut retreat {
                self.width = Some(retreat.pass(at, next, &nodes, &self.live));
                self.held = retreat.bytes();
            }
            let target = self.by_end[at];
            (self.at, self.wall) = (at as u32, self.table.ok[target as usize].res);
            while self.table.ok.get(next as usize).is_some_and(|o| !precedes(self.wall, o.inv)) {
                self.invoke(next, &mut nodes);
                next += 1;
            }
            self.views.clear();
            self.view_of.clear();
            nodes = match self.complete(target, nodes, counted) {
                Ok(nodes) => nodes,
                Err(why) => return Outcome::Spent(why),
            };
            self.retire(target);
            self.settled = self.settled.max(self.wall);
            at += 1;
            if nodes.is_empty() {
                let Some(before) = retreat.as_mut().and_then(|r| r.back(at)) else { return Outcome::Empty };
                (at, next, nodes) = (before.at, before.next, before.nodes.clone());
                self.live.clone_from(&before.live);
                continue;
            }
            if self.arena.is_due() {
                let kept = retreat.iter_mut().flat_map(|r| r.kept.iter_mut());
                let mut roots: Vec<&mut [Node]> = kept.map(|k| k.nodes.as_mut_slice()).collect();
                roots.push(&mut nodes);
                self.arena.sweep(&mut roots, |n| &mut n.tail);
            }
        }
        Outcome::Survived(nodes)
    }

    fn spent(&mut self, nodes: usize) -> Option<Why> {
        // A view has up to two words for each open class and chance.
        let wide = size_of::<View>() + 16 * (self.live.len() + self.table.infos.len());
        let views = self.views.len() * wide;
        let nodes = nodes * 3 * size_of::<Node>();
        let bytes = self.table.bytes() + self.arena.bytes() + views + self.held + nodes;
        self.most_bytes = self.most_bytes.max(bytes as u64);
        if bytes as u64 > self.limits.bytes {
            return Some(Why::Bytes);
        }
        let stopped = self.stop.is_some_and(|s| s.load(Ordering::Relaxed));
        (stopped || self.table.steps > self.limits.steps).then_some(Why::Steps)
    }

    /// A new op is open. If it is idle and fits a configuration, it goes in there at once.
    fn invoke(&mut self, i: u32, nodes: &mut [Node]) {
        let ok = self.table.ok[i as usize];
        let idle = self.table.idle(ok.class);
        let at = match self.live.iter().position(|l| l.class == ok.class) {
            Some(at) => at,
            None => {
                self.live.push(Live { class: ok.class, idle, members: Vec::new(), slots: 0, wide: false });
                self.live.len() - 1
            }
        };
        let live = &mut self.live[at];
        let table = &self.table;
        let place = live.members.partition_point(|m| table.ok[*m as usize].res < ok.res);
        live.members.insert(place, i);
        match ok.slot {
            slot @ 0..128 => live.slots |= 1 << slot,
            _ => live.wide = true,
        }
        if idle {
            for node in nodes.iter_mut() {
                if self.table.step(node.state, ok.class) != REFUSED {
                    *node = self.with_slot(*node, ok.slot);
                }
            }
        }
    }

    fn retire(&mut self, i: u32) {
        let ok = self.table.ok[i as usize];
        let Some(at) = self.live.iter().position(|l| l.class == ok.class) else { return };
        let live = &mut self.live[at];
        live.members.retain(|m| *m != i);
        if let slot @ 0..128 = ok.slot {
            live.slots &= !(1 << slot);
        }
        if live.members.is_empty() {
            // Kept in order of appearance, so that equal inputs are extended in equal order.
            self.live.remove(at);
        }
    }

    fn is_early(&self, node: &Node, slot: u32) -> bool {
        match slot {
            0..128 => node.early >> slot & 1 == 1,
            _ => self.table.wide_slots(node.more).binary_search(&slot).is_ok(),
        }
    }

    fn with_slot(&mut self, mut node: Node, slot: u32) -> Node {
        if slot < 128 {
            node.early |= 1 << slot;
            return node;
        }
        let mut more = self.table.wide_slots(node.more).to_vec();
        if let Err(place) = more.binary_search(&slot) {
            more.insert(place, slot);
            node.more = self.table.wide(&more);
        }
        node
    }

    fn without_slot(&mut self, mut node: Node, slot: u32) -> Node {
        if slot < 128 {
            node.early &= !(1 << slot);
            return node;
        }
        let mut more = self.table.wide_slots(node.more).to_vec();
        more.retain(|s| *s != slot);
        node.more = self.table.wide(&more);
        node
    }

    /// All (or the best) configurations in which `target` is in.
    fn complete(&mut self, target: u32, nodes: Vec<Node>, counted: &[bool]) -> Result<Vec<Node>, Why> {
        let (slot, class) = (self.table.ok[target as usize].slot, self.table.ok[target as usize].class);
        let mut done = Vec::with_capacity(nodes.len());
        let mut layer = Vec::new();
        for node in nodes {
            match self.is_early(&node, slot) {
                true => done.push(self.without_slot(node, slot)),
                false => layer.push(node),
            }
        }
        let mut seen: HashSet<Key, BuildHasherDefault<Fast>> = HashSet::default();
        let mut left = self.width.map_or(usize::MAX, |w| w * 64);
        let enough = self.width.unwrap_or(usize::MAX);
        while !layer.is_empty() && done.len() < enough && left > 0 {
            let mut longer = Vec::new();
            for node in layer {
                left = left.saturating_sub(1);
                let next = self.table.step(node.state, class);
                let fits = next != REFUSED;
                if fits {
                    let node = self.put(&node, target, slot, next);
                    done.push(self.without_slot(node, slot));
                }
                // To know that nothing is left, also what goes in before an op that fits already; the beam goes the
                // shortest way.
                if left > 0 {
                    self.extend(&node, class, counted, |node| {
                        if seen.insert(node.key()) {
                            longer.push(node);
                        }
                    });
                    if let Some(why) = self.spent(longer.len() + done.len() + seen.len()) {
                        return Err(why);
                    }
                }
            }
            // What an extension absorbed may be the very op that is awaited.
            layer = Vec::with_capacity(longer.len());
            for node in longer {
                match self.is_early(&node, slot) {
                    true => done.push(self.without_slot(node, slot)),
                    false => layer.push(node),
                }
            }
        }
        if let Some(why) = self.spent(done.len()) {
            return Err(why);
        }
        Ok(self.best(done))
    }

    /// Without duplicates and without what another configuration does with fewer infos; the best few if asked for.
    fn best(&self, mut done: Vec<Node>) -> Vec<Node> {
        if done.len() > 1 {
            let rank = |n: &Node| (n.state, n.early, n.more, self.table.all_used(n.infos), n.infos, n.tail);
            done.sort_unstable_by_key(rank);
            done.dedup_by_key(|n| n.key());
            if !self.table.infos.is_empty() {
                done = self.undominated(done);
            }
        }
        if let Some(width) = self.width.filter(|w| *w < done.len()) {
            // Few infos; of the ops that are in before their time, few that change the state, which may be wanted
            // later, and many that were waiting for it.
            let idle = self.live.iter().filter(|l| l.idle).fold(0, |all, l| all | l.slots);
            let rank = |n: &Node| {
                let ahead = (n.early & !idle).count_ones() as i32 - (n.early & idle).count_ones() as i32;
                (self.table.all_used(n.infos), ahead, n.state, n.infos, n.early, n.more)
            };
            done.sort_unstable_by_key(rank);
            // Those that differ in their infos only would fill it all.
            let mut alike: Map<(u32, u128, u32), u32> = Map::default();
            done.retain(|n| {
                let so_far = alike.entry((n.state, n.early, n.more)).or_default();
                *so_far += 1;
                *so_far <= ALIKE
            });
            done.truncate(width);
        }
        done
    }

    /// Of equal states and early ops, those that no other reaches with fewer infos of every group.
    fn undominated(&self, done: Vec<Node>) -> Vec<Node> {
        let mut kept: Vec<Node> = Vec::with_capacity(done.len());
        let mut from = 0;
        for node in done {
            let alike = |k: &Node| (k.state, k.early, k.more) == (node.state, node.early, node.more);
            if kept.get(from).is_some_and(|k| !alike(k)) {
                from = kept.len();
            }
            if !kept[from..].iter().any(|k| self.table.at_most(k.infos, node.infos)) {
                kept.push(node);
            }
        }
        kept
    }

    /// The configuration with one more op that changes the state (or is the one awaited), idle ones absorbed.
    fn put(&mut self, node: &Node, item: u32, slot: u32, state: u32) -> Node {
        let tail = self.link(node.tail, item);
        let node = self.with_slot(Node { state, tail, ..*node }, slot);
        self.absorb(node)
    }

    fn link(&mut self, before: u32, item: u32) -> u32 {
        self.arena.push(before, Link { item, at: self.at })
    }

    /// The number of the view of a state.
    fn view(&mut self, state: u32) -> usize {
        if let Some(at) = self.view_of.get(&state) {
            return *at as usize;
        }
        let mut view = View { fits: vec![0; self.live.len().div_ceil(64)], ..View::default() };
        for (at, live) in self.live.iter().enumerate() {
            let next = self.table.step(state, live.class);
            if next == REFUSED {
                continue;
            }
            view.fits[at / 64] |= 1 << (at % 64);
            if !live.idle {
                view.moves.push((at as u32, next));
                continue;
            }
            view.idle |= live.slots;
            if live.wide {
                view.idle_more
                    .extend(live.members.iter().copied().filter(|m| self.table.ok[*m as usize].slot >= 128));
            }
        }
        self.views.push(view);
        let at = self.views.len() - 1;
        self.view_of.insert(state, at as u32);
        at
    }

    /// Open ops that change nothing and fit go in at once.
    fn absorb(&mut self, mut node: Node) -> Node {
        self.table.steps += 1;
        let view = self.view(node.state);
        node.early |= self.views[view].idle;
        for m in 0..self.views[view].idle_more.len() {
            let slot = self.table.ok[self.views[view].idle_more[m] as usize].slot;
            node = self.with_slot(node, slot);
        }
        node
    }

    /// One more op before the awaited one: any other open one, or an info op that changes the state.
    fn extend(&mut self, node: &Node, awaited: u32, counted: &[bool], mut each: impl FnMut(Node)) {
        let view = self.view(node.state);
        for m in 0..self.views[view].moves.len() {
            let (at, state) = self.views[view].moves[m];
            // The awaited op has the earliest deadline of its class.
            if self.live[at as usize].class == awaited {
                continue;
            }
            if let Some(i) = self.first(node, at) {
                let slot = self.table.ok[i as usize].slot;
                each(self.put(node, i, slot, state));
            }
        }
        if self.table.infos.is_empty() {
            return;
        }
        if self.views[view].chances.is_none() {
            self.views[view].chances = Some(self.chances(node.state, view));
        }
        for c in 0..self.views[view].chances.as_ref().map_or(0, Vec::len) {
            let Some(Chance { group, state, ready }) = self.views[view].chances.as_ref().map(|all| all[c])
            else {
                return;
            };
            self.table.steps += 1;
            let counts = counted[group as usize] || self.piling[group as usize];
            let used = if counts { self.table.used(node.infos, group) } else { 0 };
            if used >= ready || self.has_ok_twin(node, view, group, state) {
                continue;
            }
            let infos = match counts {
                true => self.table.one_more(node.infos, group),
                false => node.infos,
            };
            let tail = self.link(node.tail, self.table.ok.len() as u32 + group);
            let next = self.absorb(Node { state, infos, tail, ..*node });
            each(next);
        }
    }

    /// Of the open ops of a class that are not in, the one with the earliest deadline.
    fn first(&self, node: &Node, at: u32) -> Option<u32> {
        let live = &self.live[at as usize];
        if !live.wide && live.slots & !node.early == 0 {
            return None;
        }
        live.members.iter().copied().find(|m| !self.is_early(node, self.table.ok[*m as usize].slot))
    }

    /// The infos that could be of use in a state.
    fn chances(&mut self, from: u32, view: usize) -> Vec<Chance> {
        let mut found = Vec::new();
        for g in 0..self.table.infos.len() {
            let Infos { class, from: invoked, .. } = &self.table.infos[g];
            if precedes(self.wall, invoked[0]) {
                break;
            }
            let (class, group) = (*class, g as u32);
            let state = self.table.step(from, class);
            if state == REFUSED || state == from {
                continue;
            }
            let again = self.table.step(state, class);
            self.piling[g] |= again != state && again != REFUSED;
            if self.table.awaited(group, self.wall) || self.news(view, state) {
                found.push(Chance { group, state, ready: self.table.ready(group, self.wall) });
            }
        }
        found
    }

    /// An open op fits in this state that does not in that of the view. Early ones are left among them: they could not
    /// come next, but to look costs more than it saves.
    fn news(&mut self, view: usize, state: u32) -> bool {
        let then = self.view(state);
        self.views[then].fits.iter().zip(&self.views[view].fits).any(|(then, now)| then & !now != 0)
    }

    /// An open ok op that would do the same, and has a deadline.
    fn has_ok_twin(&self, node: &Node, view: usize, group: u32, state: u32) -> bool {
        let call = self.table.call(self.table.infos[group as usize].class);
        self.views[view].moves.iter().any(|(at, next)| {
            *next == state
                && self.table.call(self.live[*at as usize].class) == call
                && self.first(node, *at).is_some()
        })
    }

    /// The groups of which a path used an info that had not been invoked, or more than there are.
    fn overused(&self, tail: u32) -> Vec<usize> {
        let n = self.table.ok.len() as u32;
        let mut used = vec![0; self.table.infos.len()];
        let mut over = vec![false; used.len()];
        for link in self.arena.path(tail).into_iter().filter(|l| l.item >= n) {
            let g = (link.item - n) as usize;
            let wall = self.table.ok[self.by_end[link.at as usize] as usize].res;
            used[g] += 1;
            if used[g] > self.table.ready(g as u32, wall) {
                over[g] = true;
            }
        }
        (0..over.len()).filter(|g| over[*g]).collect()
    }

    /// The order that a path of decisions stands for, idle ops where they were absorbed. `None` if it overuses infos.
    fn order(&mut self, tail: u32) -> Option<Vec<usize>> {
        let path = self.arena.path(tail);
        let n = self.table.ok.len();
        let mut order = Vec::with_capacity(n);
        let mut waiting: Vec<u32> = Vec::new();
        let mut used = vec![0usize; self.table.infos.len()];
        let mut is_in = vec![false; n];
        let (mut state, mut next, mut links) = (0, 0, path.into_iter().peekable());
        for at in 0..self.by_end.len() {
            let wall = self.table.ok[self.by_end[at] as usize].res;
            while let Some(ok) = self.table.ok.get(next).copied().filter(|o| !precedes(wall, o.inv)) {
                if self.table.idle(ok.class) {
                    waiting.push(next as u32);
                }
                next += 1;
            }
            self.serve(state, &mut waiting, &mut is_in, &mut order);
            while let Some(link) = links.next_if(|l| l.at == at as u32) {
                let class = match self.table.ok.get(link.item as usize) {
                    Some(ok) => {
                        order.push(ok.op as usize);
                        is_in[link.item as usize] = true;
                        ok.class
                    }
                    None => {
                        let g = link.item as usize - n;
                        order.push(*self.table.infos[g].members.get(used[g])? as usize);
                        used[g] += 1;
                        self.table.infos[g].class
                    }
                };
                state = self.table.step(state, class);
                if state == REFUSED {
                    return None;
                }
                self.serve(state, &mut waiting, &mut is_in, &mut order);
            }
        }
        Some(order)
    }

    /// Puts the waiting ops in that the state satisfies.
    fn serve(&mut self, state: u32, waiting: &mut Vec<u32>, is_in: &mut [bool], order: &mut Vec<usize>) {
        waiting.retain(|i| {
            let ok = self.table.ok[*i as usize];
            let fits = !is_in[*i as usize] && self.table.step(state, ok.class) != REFUSED;
            if fits {
                order.push(ok.op as usize);
            }
            !fits && !is_in[*i as usize]
        });
    }
}
