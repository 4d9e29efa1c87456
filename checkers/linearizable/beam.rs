//! A narrow frontier: says *yes* for long and wide histories where the depth-first search loses its way.
//!
//! Goes from completion to completion; at each, every configuration kept is extended, shortest first, until the
//! completing op is in, and the best few are kept. Its cost is linear in the length. An empty frontier proves
//! nothing: what was cut away might have led on. It never says no.

use super::dfs::{Answer, Limits, REFUSED, Report, Search};
use super::hash::Fast;
use super::spec::{Pos, Spec, Timed};
use crate::verdict::Why;
use std::collections::HashSet;
use std::hash::BuildHasherDefault;

const NOTHING: u32 = u32::MAX;

/// One configuration: the state, the infos used, and the ops that are in although they complete later.
#[derive(Clone)]
struct Node {
    state: u32,
    infos: u32,
    early: Vec<u32>,
    /// The last op of its order, in the arena.
    tail: u32,
}

type Seen = HashSet<(u32, u32, Vec<u32>), BuildHasherDefault<Fast>>;

struct Beam<'a, S: Spec> {
    search: Search<'a, S>,
    /// (the one before, op): the orders, as a tree.
    arena: Vec<(u32, u32)>,
    /// Ok ops that are open now.
    live: Vec<u32>,
    width: usize,
}

/// An order, or `Spent`: never `No`.
pub fn search<S: Spec>(spec: &S, ops: &[Timed<S>], width: usize, limits: &Limits) -> Report {
    let search = Search::new(spec, ops, limits);
    let mut beam = Beam { search, arena: Vec::new(), live: Vec::new(), width };
    let (answer, settled) = beam.run(limits);
    Report { answer, steps: beam.search.steps, settled, furthest: Vec::new() }
}

impl<S: Spec> Beam<'_, S> {
    fn run(&mut self, limits: &Limits) -> (Answer, Pos) {
        let mut by_end: Vec<u32> = (0..self.search.ok.len() as u32).collect();
        by_end.sort_unstable_by_key(|i| self.search.ok[*i as usize].res);
        let mut frontier = vec![Node { state: 0, infos: 0, early: Vec::new(), tail: NOTHING }];
        let mut next = 0;
        for op in by_end {
            let wall = self.search.ok[op as usize].res;
            while self.search.ok.get(next as usize).is_some_and(|o| o.inv < wall) {
                self.live.push(next);
                next += 1;
            }
            frontier = self.complete(op, wall, frontier);
            self.live.retain(|l| *l != op);
            let spent = self.search.steps > limits.steps || (self.arena.len() * 8) as u64 > limits.bytes;
            if frontier.is_empty() || spent {
                return (Answer::Spent(Why::Steps), wall);
            }
        }
        let mut order = Vec::new();
        let mut at = frontier[0].tail;
        while at != NOTHING {
            let (before, op) = self.arena[at as usize];
            order.push(op as usize);
            at = before;
        }
        order.reverse();
        (Answer::Yes(order), Pos::MAX)
    }

    /// The best configurations in which `op` is in.
    fn complete(&mut self, op: u32, wall: Pos, frontier: Vec<Node>) -> Vec<Node> {
        let mut seen = Seen::default();
        let mut done = Vec::new();
        let mut layer: Vec<Node> = frontier.into_iter().map(|n| self.absorb(n)).collect();
        let mut budget = self.width * 64;
        while !layer.is_empty() && done.len() < self.width && budget > 0 {
            let mut longer = Vec::new();
            for node in layer {
                budget = budget.saturating_sub(1);
                if let Some(node) = self.with(op, &node) {
                    done.push(node);
                } else if budget > 0 {
                    longer.extend(self.extended(op, wall, &node));
                }
            }
            longer.retain(|n: &Node| seen.insert((n.state, n.infos, n.early.clone())));
            layer = longer;
        }
        done.sort_by_cached_key(|n| {
            (self.infos_used(n.infos), n.early.len(), n.state, n.infos, n.early.clone())
        });
        done.dedup_by(|a, b| a.state == b.state && a.infos == b.infos && a.early == b.early);
        done.truncate(self.width);
        done
    }

    fn infos_used(&self, infos: u32) -> u32 {
        self.search.counts.get(infos).iter().map(|c| c.1).sum()
    }

    /// The configuration once `op` has completed, if it is in or fits now.
    fn with(&mut self, op: u32, node: &Node) -> Option<Node> {
        let mut node = match node.early.contains(&op) {
            true => node.clone(),
            false => {
                let state = self.search.step(node.state, self.search.ok[op as usize].class);
                if state == REFUSED {
                    return None;
                }
                self.put(op, state, node)
            }
        };
        node.early.retain(|e| *e != op);
        Some(node)
    }

    fn put(&mut self, op: u32, state: u32, node: &Node) -> Node {
        let mut next = node.clone();
        next.state = state;
        next.tail = self.link(node.tail, self.search.ok[op as usize].op);
        let at = next.early.partition_point(|e| *e < op);
        next.early.insert(at, op);
        self.absorb(next)
    }

    fn link(&mut self, before: u32, op: u32) -> u32 {
        self.arena.push((before, op));
        self.arena.len() as u32 - 1
    }

    /// Open ops that change nothing and fit go in at once.
    fn absorb(&mut self, mut node: Node) -> Node {
        for at in 0..self.live.len() {
            let i = self.live[at];
            let ok = &self.search.ok[i as usize];
            let (idle, class, op) = (ok.idle, ok.class, ok.op);
            if idle && !node.early.contains(&i) && self.search.step(node.state, class) != REFUSED {
                node.tail = self.link(node.tail, op);
                let at = node.early.partition_point(|e| *e < i);
                node.early.insert(at, i);
            }
        }
        node
    }

    /// One more op before `target`: any other open one, or an info op that changes the state.
    fn extended(&mut self, target: u32, wall: Pos, node: &Node) -> Vec<Node> {
        let mut longer = Vec::new();
        for at in 0..self.live.len() {
            let i = self.live[at];
            if i == target
                || node.early.contains(&i)
                || self.search.ok[i as usize].idle
                || self.sooner(i, node)
            {
                continue;
            }
            let state = self.search.step(node.state, self.search.ok[i as usize].class);
            if state != REFUSED {
                longer.push(self.put(i, state, node));
            }
        }
        for g in 0..self.search.infos.len() {
            let group = &self.search.infos[g];
            if group.from[0] > wall {
                break;
            }
            let (class, ready) = (group.class, group.from.partition_point(|p| *p < wall) as u32);
            let used = self.search.used(node.infos, g as u32);
            if used >= ready {
                continue;
            }
            let op = group.members[used as usize];
            let state = self.search.step(node.state, class);
            if state != REFUSED && state != node.state {
                let infos = self.search.one_more(node.infos, g as u32);
                let tail = self.link(node.tail, op);
                let next = Node { state, infos, early: node.early.clone(), tail };
                longer.push(self.absorb(next));
            }
        }
        longer
    }

    /// An equal op with an earlier deadline is still to come.
    fn sooner(&self, i: u32, node: &Node) -> bool {
        let me = &self.search.ok[i as usize];
        let others =
            self.live.iter().filter(|j| !node.early.contains(j)).map(|j| &self.search.ok[*j as usize]);
        others.into_iter().any(|o| o.class == me.class && o.res < me.res)
    }
}
