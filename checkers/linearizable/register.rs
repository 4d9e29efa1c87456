//! Registers whose values are unique: decided, with an order, by one sort.
//!
//! A *cluster* is a value with the op that produced it and the ops that saw it; a successful cas glues the cluster
//! of its new value directly behind that of the value it expected, so clusters form *blocks*. Block A must precede
//! block B when some op of A completed before some op of B was invoked. Linearizable iff no two blocks must each
//! precede the other, and then the order by `lo + hi` (first completion, last invocation) is one.
//! Sources: Gibbons and Korach, *Testing shared memories*, SIAM J. Comput. 1997, §4; the glued blocks and the sort
//! key are ours, compared with brute force. Not here: values written twice, which need the search.

use super::dfs::{Limits, Report};
use super::engine::{Decide, Decision as Answer, Refuted};
use super::hash::Map;
use super::objects::{Register, RegisterCall as Call, RegisterReply as Reply};
use super::spec::{Spec, Timed, precedes};
use history::ValueId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

impl Decide for Register {
    fn decide(&self, ops: &[Timed<Register>]) -> Option<Answer<Register>> {
        decide(self, ops).map(|d| d.map_err(|core| Refuted { core, reduced: None }))
    }

    fn own_search(&self, ops: &[Timed<Register>], limits: &Limits) -> Option<Report> {
        super::lazy::search(self, ops, limits)
    }

    fn screen(&self, ops: &[Timed<Register>]) -> Option<Refuted<Register>> {
        super::screen::stale(self, ops).map(|core| Refuted { core, reduced: None })
    }

    fn after(&self, call: &Call, reply: &Reply) -> Option<Register> {
        match (call, reply) {
            (Call::Write(init) | Call::Cas(_, init), Reply::Done) => Some(Register { init: *init }),
            _ => None,
        }
    }
}

/// An order of indices, or the ops that contradict each other (every producer of their values is among them).
pub type Decision = Result<Vec<usize>, Vec<usize>>;

/// `None` where a value was produced twice, or where only a refused cas stands in the way. O(n log n).
pub fn decide(spec: &Register, ops: &[Timed<Register>]) -> Option<Decision> {
    match swift(spec, ops) {
        Swift::Order(order) => Some(Ok(order)),
        Swift::Twice => None,
        Swift::Look => decide_with_core(spec, ops),
    }
}

/// What can be said in one pass over flat arrays, without the structure that a contradiction is told from.
enum Swift {
    Order(Vec<usize>),
    /// A value was produced twice.
    Twice,
    /// A contradiction, or a cas: for the whole decider.
    Look,
}

/// The same decision for histories without cas: 24 bytes an op, its order included.
fn swift(spec: &Register, ops: &[Timed<Register>]) -> Swift {
    const NONE: u32 = u32::MAX;
    /// `lo` and `hi` are one more than positions, so that the initial value is written at 0.
    #[derive(Clone, Copy)]
    struct Flat {
        producer: u32,
        lo: u32,
        hi: u32,
        first: u32,
        last: u32,
    }
    let new = Flat { producer: NONE, lo: u32::MAX, hi: 0, first: NONE, last: NONE };
    let mut numbers = Numbers::new(ops);
    let mut all = vec![Flat { lo: 0, ..new }];
    let init = numbers.of(spec.init, &mut 0);
    // The reads of a value as a chain through this, in the order of the ops.
    let mut after = vec![NONE; ops.len()];
    let mut count = 1;
    for (i, op) in ops.iter().enumerate() {
        let (value, reads) = match (op.call, op.reply) {
            (Call::Write(v), _) => (v, false),
            (Call::Read, Some(Reply::Value(v))) => (v, true),
            (Call::Read, _) => continue,
            (Call::Cas(..), _) => return Swift::Look,
        };
        let c = numbers.of(value, &mut count);
        if c as usize == all.len() {
            all.push(new);
        }
        let flat = &mut all[c as usize];
        if reads {
            match flat.first {
                NONE => flat.first = i as u32,
                _ => after[flat.last as usize] = i as u32,
            }
            flat.last = i as u32;
        } else {
            if c == init || flat.producer != NONE {
                return Swift::Twice;
            }
            flat.producer = i as u32;
        }
        flat.lo = flat.lo.min(op.res.saturating_add(1));
        flat.hi = flat.hi.max(op.inv + 1);
    }
    let mut zones: Vec<(u64, u32)> = Vec::with_capacity(all.len());
    for (c, flat) in all.iter().enumerate() {
        let info = flat.producer != NONE && !ops[flat.producer as usize].is_ok();
        match (flat.producer, flat.first) {
            // A write that nobody is known to have seen and nobody knows to have happened.
            (_, NONE) if info => continue,
            (NONE, _) if c > 0 => return Swift::Look,
            (p, _) if p != NONE && precedes(flat.lo, ops[p as usize].inv + 1) => return Swift::Look,
            _ => {}
        }
        zones.push((flat.lo as u64 + flat.hi as u64, c as u32));
    }
    zones.sort_unstable_by_key(|(sum, c)| (*sum, all[*c as usize].lo));
    let mut latest = 0;
    for (_, c) in &zones {
        if precedes(all[*c as usize].lo, latest) {
            return Swift::Look;
        }
        latest = latest.max(all[*c as usize].hi);
    }
    let mut order = Vec::with_capacity(ops.len());
    for (_, c) in &zones {
        let flat = &all[*c as usize];
        if flat.producer != NONE {
            order.push(flat.producer as usize);
        }
        let from = order.len();
        let mut read = flat.first;
        while read != NONE {
            order.push(read as usize);
            read = after[read as usize];
        }
        order[from..].sort_by_key(|i| ops[*i].inv);
    }
    Swift::Order(order)
}

/// Values to consecutive numbers: by an array where their ids are dense, as in histories they are.
enum Numbers {
    Dense(Vec<u32>),
    Sparse(Map<ValueId, u32>),
}

impl Numbers {
    fn new(ops: &[Timed<Register>]) -> Numbers {
        let of = |op: &Timed<Register>| match (op.call, op.reply) {
            (Call::Write(v), _) | (_, Some(Reply::Value(v))) => v.0,
            _ => 0,
        };
        match ops.iter().map(of).max().unwrap_or(0) as usize {
            most if most < 2 * ops.len() + 1024 => Numbers::Dense(vec![u32::MAX; most + 1]),
            _ => Numbers::Sparse(Map::default()),
        }
    }

    fn of(&mut self, value: ValueId, count: &mut u32) -> u32 {
        let number = match self {
            Numbers::Dense(all) if (value.0 as usize) < all.len() => &mut all[value.0 as usize],
            Numbers::Dense(all) => {
                let sparse = all.iter().enumerate().filter(|(_, n)| **n != u32::MAX);
                let sparse = sparse.map(|(v, n)| (ValueId(v as u32), *n)).collect();
                *self = Numbers::Sparse(sparse);
                return self.of(value, count);
            }
            Numbers::Sparse(all) => all.entry(value).or_insert(u32::MAX),
        };
        if *number == u32::MAX {
            *number = *count;
            *count += 1;
        }
        *number
    }
}

fn decide_with_core(spec: &Register, ops: &[Timed<Register>]) -> Option<Decision> {
    let mut clusters = Clusters::collect(spec, ops)?;
    if let Some(core) = clusters.impossible(ops) {
        return Some(Err(core));
    }
    let mut blocks = match clusters.blocks(ops) {
        Ok(blocks) => blocks,
        Err(core) => return Some(Err(core)),
    };
    blocks.sort_by_key(|b| (b.lo + b.hi, b.lo));
    let mut latest: Option<usize> = None;
    for (i, block) in blocks.iter().enumerate() {
        if let Some(before) = latest.filter(|j| blocks[*j].hi > block.lo) {
            return Some(Err(clusters.clash(&blocks[before], block, ops)));
        }
        if latest.is_none_or(|j| blocks[j].hi < block.hi) {
            latest = Some(i);
        }
    }
    let mut order = Vec::with_capacity(ops.len());
    for block in &blocks {
        for c in &block.chain {
            let cluster = &mut clusters.all[*c];
            order.extend(cluster.producer);
            cluster.seen.sort_by_key(|i| ops[*i].inv);
            order.extend_from_slice(&cluster.seen);
        }
    }
    match clusters.refused.is_empty() {
        true => Some(Ok(order)),
        false => place_refused(spec, ops, order, &clusters.refused).map(Ok),
    }
}

/// A value: who made it and who saw it. `lo` is the first completion among them, `hi` the last invocation.
struct Cluster {
    producer: Option<usize>,
    /// Reads, and cas that change nothing. A cas away from the value belongs to the cluster of its new value.
    seen: Vec<usize>,
    /// The cluster that a successful cas left for this one.
    from: Option<usize>,
    /// Successful cas from here.
    next: Vec<usize>,
    lo: i64,
    hi: i64,
}

struct Clusters {
    all: Vec<Cluster>,
    refused: Vec<usize>,
}

struct Block {
    chain: Vec<usize>,
    lo: i64,
    hi: i64,
}

impl Clusters {
    fn collect(spec: &Register, ops: &[Timed<Register>]) -> Option<Clusters> {
        let mut of: Map<ValueId, usize> = Map::default();
        let mut all: Vec<Cluster> = Vec::new();
        let mut at = |v: ValueId, all: &mut Vec<Cluster>| {
            *of.entry(v).or_insert_with(|| {
                all.push(Cluster {
                    producer: None,
                    seen: Vec::new(),
                    from: None,
                    next: Vec::new(),
                    lo: i64::MAX,
                    hi: i64::MIN,
                });
                all.len() - 1
            })
        };
        let first = at(spec.init, &mut all);
        (all[first].lo, all[first].hi) = (-1, -1);
        let mut refused = Vec::new();
        for (i, op) in ops.iter().enumerate() {
            let c = match (op.call, op.reply) {
                (Call::Cas(..), Some(Reply::Mismatch)) => {
                    refused.push(i);
                    continue;
                }
                (Call::Read, Some(Reply::Value(v))) => at(v, &mut all),
                (Call::Read, _) => continue,
                (Call::Cas(v, w), reply) if v == w => match reply {
                    Some(_) => at(v, &mut all),
                    None => continue,
                },
                (Call::Write(v) | Call::Cas(_, v), _) => {
                    let c = at(v, &mut all);
                    if c == first || all[c].producer.is_some() {
                        return None;
                    }
                    all[c].producer = Some(i);
                    c
                }
            };
            if all[c].producer != Some(i) {
                all[c].seen.push(i);
            }
            all[c].lo = all[c].lo.min(op.res as i64);
            all[c].hi = all[c].hi.max(op.inv as i64);
        }
        // Who was left for whom: only now is every producer known. Infos that nobody needs are not in the order.
        let mut clusters = Clusters { all, refused };
        clusters.link(ops, &of);
        Some(clusters)
    }

    fn link(&mut self, ops: &[Timed<Register>], of: &Map<ValueId, usize>) {
        let certain = |c: &Cluster| c.producer.is_some_and(|i| ops[i].is_ok()) || !c.seen.is_empty();
        let mut todo: Vec<usize> =
            (0..self.all.len()).filter(|c| *c == 0 || certain(&self.all[*c])).collect();
        let mut needed = vec![false; self.all.len()];
        todo.iter().for_each(|c| needed[*c] = true);
        while let Some(c) = todo.pop() {
            let Some(Call::Cas(old, _)) = self.all[c].producer.map(|i| ops[i].call) else { continue };
            // A value that nobody is known to have had: an empty cluster, refused as impossible below.
            let from = of.get(&old).copied().unwrap_or_else(|| {
                self.all.push(Cluster {
                    producer: None,
                    seen: Vec::new(),
                    from: None,
                    next: Vec::new(),
                    lo: i64::MAX,
                    hi: i64::MIN,
                });
                needed.push(true);
                self.all.len() - 1
            });
            self.all[c].from = Some(from);
            self.all[from].next.push(c);
            if !std::mem::replace(&mut needed[from], true) {
                todo.push(from);
            }
        }
        for (c, cluster) in self.all.iter_mut().enumerate() {
            if !needed[c] {
                cluster.producer = None;
            }
        }
    }

    fn exists(&self, c: usize) -> bool {
        c == 0 || self.all[c].producer.is_some()
    }

    /// A value that nobody wrote, one seen before it was written, or two successful cas from one value.
    fn impossible(&mut self, ops: &[Timed<Register>]) -> Option<Vec<usize>> {
        for (c, cluster) in self.all.iter_mut().enumerate() {
            cluster.next.sort_by_key(|d| *d);
            let users = cluster.seen.iter().copied();
            match cluster.producer {
                None if c != 0 => {
                    if let Some(seen) = users.min_by_key(|s| ops[*s].res) {
                        return Some(vec![seen]);
                    }
                }
                Some(p) => {
                    if let Some(seen) =
                        users.filter(|s| precedes(ops[*s].res, ops[p].inv)).min_by_key(|s| ops[*s].res)
                    {
                        return Some(vec![p, seen]);
                    }
                }
                None => {}
            }
        }
        for c in 0..self.all.len() {
            let cas: Vec<usize> = self.all[c].next.iter().filter_map(|d| self.all[*d].producer).collect();
            if !cas.is_empty() && !self.exists(c) {
                return Some(self.with_users(&[cas[0]], ops));
            }
            if cas.len() > 1 {
                let mut core = self.with_users(&[cas[0], cas[1]], ops);
                core.extend(self.all[c].producer);
                return Some(tidy(core));
            }
        }
        None
    }

    /// The ops that prove that info cas did happen: somebody who saw each new value.
    fn with_users(&self, cas: &[usize], ops: &[Timed<Register>]) -> Vec<usize> {
        let mut core = cas.to_vec();
        for i in cas {
            let mut c = self.all.iter().position(|c| c.producer == Some(*i));
            // Bounded: a ring of cas would be walked for ever.
            for _ in 0..self.all.len() {
                let Some((at, p)) = c.and_then(|at| Some((at, self.all[at].producer?))) else { break };
                core.push(p);
                if ops[p].is_ok() {
                    break;
                }
                if let Some(seen) = self.all[at].seen.first() {
                    core.push(*seen);
                    break;
                }
                c = self.all[at].next.first().copied();
            }
        }
        tidy(core)
    }

    /// With the proof that each info op of the core did happen.
    fn proven(&self, mut core: Vec<usize>, ops: &[Timed<Register>]) -> Vec<usize> {
        let infos: Vec<usize> = core.iter().copied().filter(|i| !ops[*i].is_ok()).collect();
        core.extend(self.with_users(&infos, ops));
        tidy(core)
    }

    /// Chains of clusters from each root; an error where a chain contradicts itself.
    fn blocks(&self, ops: &[Timed<Register>]) -> Result<Vec<Block>, Vec<usize>> {
        let mut blocks = Vec::new();
        let mut reached = vec![false; self.all.len()];
        for root in (0..self.all.len()).filter(|c| self.exists(*c) && self.all[*c].from.is_none()) {
            let mut block = Block { chain: Vec::new(), lo: i64::MAX, hi: i64::MIN };
            let mut at = Some(root);
            while let Some(c) = at {
                let cluster = &self.all[c];
                if cluster.lo < block.hi {
                    block.chain.push(c);
                    return Err(self.broken_chain(&block.chain, ops));
                }
                reached[c] = true;
                block.chain.push(c);
                block.lo = block.lo.min(cluster.lo);
                block.hi = block.hi.max(cluster.hi);
                at = cluster.next.first().copied();
            }
            blocks.push(block);
        }
        // What no root leads to is a ring of cas that only follow each other.
        match (0..self.all.len()).find(|c| self.exists(*c) && !reached[*c]) {
            Some(c) => Err(self.ring(c)),
            None => Ok(blocks),
        }
    }

    fn broken_chain(&self, chain: &[usize], ops: &[Timed<Register>]) -> Vec<usize> {
        let Some((last, before)) = chain.split_last() else { return Vec::new() };
        let early = self.first_done(&[*last], ops);
        let late = self.last_begun(before, ops);
        let from = before.iter().position(|c| self.ops_of(*c).any(|i| Some(i) == late)).unwrap_or(0);
        let mut core: Vec<usize> = chain[from..].iter().filter_map(|c| self.all[*c].producer).collect();
        core.extend(early.into_iter().chain(late));
        self.proven(core, ops)
    }

    fn ring(&self, start: usize) -> Vec<usize> {
        let (mut core, mut c) = (Vec::new(), start);
        loop {
            core.extend(self.all[c].producer);
            core.extend(self.all[c].seen.first());
            match self.all[c].from {
                Some(from) if from != start => c = from,
                _ => break,
            }
        }
        tidy(core)
    }

    fn ops_of(&self, c: usize) -> impl Iterator<Item = usize> + '_ {
        self.all[c].producer.into_iter().chain(self.all[c].seen.iter().copied())
    }

    fn first_done(&self, chain: &[usize], ops: &[Timed<Register>]) -> Option<usize> {
        chain.iter().flat_map(|c| self.ops_of(*c)).min_by_key(|i| ops[*i].res)
    }

    fn last_begun(&self, chain: &[usize], ops: &[Timed<Register>]) -> Option<usize> {
        chain.iter().flat_map(|c| self.ops_of(*c)).max_by_key(|i| ops[*i].inv)
    }

    /// Two blocks that must each precede the other: the ops that say so and the chains between them.
    fn clash(&self, a: &Block, b: &Block, ops: &[Timed<Register>]) -> Vec<usize> {
        let mut core = Vec::new();
        for block in [a, b] {
            let ends = [self.first_done(&block.chain, ops), self.last_begun(&block.chain, ops)];
            let at =
                |i: Option<usize>| block.chain.iter().position(|c| self.ops_of(*c).any(|j| Some(j) == i));
            let initial = block.chain.first() == Some(&0);
            let (from, to) = match (at(ends[0]), at(ends[1])) {
                (Some(x), Some(y)) => (if initial { 0 } else { x.min(y) }, x.max(y)),
                (Some(x), None) | (None, Some(x)) => (0, x),
                (None, None) => (0, 0),
            };
            core.extend(block.chain[from..=to].iter().filter_map(|c| self.all[*c].producer));
            core.extend(ends.into_iter().flatten());
        }
        self.proven(core, ops)
    }
}

fn tidy(mut core: Vec<usize>) -> Vec<usize> {
    core.sort_unstable();
    core.dedup();
    core
}

/// Puts each refused cas where the value differs from what it expected. `None` if one finds no place in this order;
/// another order might still serve it.
fn place_refused(
    spec: &Register,
    ops: &[Timed<Register>],
    order: Vec<usize>,
    refused: &[usize],
) -> Option<Vec<usize>> {
    // Gap g is the space before order[g]. An op may stand there if nothing before it was invoked after its
    // completion and nothing behind it completed before its invocation.
    let n = order.len();
    let mut values = Vec::with_capacity(n + 1);
    let mut latest = Vec::with_capacity(n + 1);
    let (mut state, mut inv) = (spec.init, 0);
    for i in &order {
        values.push(state);
        latest.push(inv);
        state = spec.step(&state, &ops[*i].call, ops[*i].reply.as_ref())?;
        inv = inv.max(ops[*i].inv);
    }
    values.push(state);
    latest.push(inv);
    let mut soonest = vec![u32::MAX; n + 1];
    for g in (0..n).rev() {
        soonest[g] = soonest[g + 1].min(ops[order[g]].res);
    }
    // From each gap to the next one where the value is another.
    let mut other = vec![n + 1; n + 1];
    for g in (0..n).rev() {
        other[g] = if values[g + 1] != values[g] { g + 1 } else { other[g + 1] };
    }
    // In order of invocation, each as early as it fits, but not before a refused one that completed before it began.
    let mut refused = refused.to_vec();
    refused.sort_by_key(|i| ops[*i].inv);
    let mut done: BinaryHeap<Reverse<(u32, usize)>> = BinaryHeap::new();
    let mut floor = 0;
    let mut placed: Vec<(usize, u32, usize)> = Vec::with_capacity(refused.len());
    for i in &refused {
        let Call::Cas(expected, _) = ops[*i].call else { return None };
        while let Some(Reverse((_, gap))) = done.peek().filter(|d| precedes(d.0.0, ops[*i].inv)) {
            floor = floor.max(*gap);
            done.pop();
        }
        let from = soonest.partition_point(|res| precedes(*res, ops[*i].inv)).max(floor);
        let gap = if values[from] != expected { from } else { other[from] };
        if gap > n || precedes(ops[*i].res, latest[gap]) {
            return None;
        }
        done.push(Reverse((ops[*i].res, gap)));
        placed.push((gap, ops[*i].inv, *i));
    }
    placed.sort_unstable();
    let mut merged = Vec::with_capacity(ops.len());
    let mut next = placed.into_iter().peekable();
    for (g, op) in order.iter().copied().chain(std::iter::once(usize::MAX)).enumerate() {
        while let Some((_, _, i)) = next.next_if(|(gap, _, _)| *gap == g) {
            merged.push(i);
        }
        if op != usize::MAX {
            merged.push(op);
        }
    }
    Some(merged)
}

#[cfg(test)]
mod tests {
    use super::super::families::Family;
    use super::super::spec::OPEN;
    use super::*;

    fn op(call: Call, reply: Option<Reply>, inv: u32, res: u32) -> Timed<Register> {
        Timed { call, reply, inv, res }
    }

    fn write(value: u32, inv: u32, res: u32) -> Timed<Register> {
        op(Call::Write(ValueId(value)), (res != OPEN).then_some(Reply::Done), inv, res)
    }

    fn read(value: u32, inv: u32, res: u32) -> Timed<Register> {
        op(Call::Read, Some(Reply::Value(ValueId(value))), inv, res)
    }

    /// The verdict would be the same if the whole decider were asked, which takes five times as long.
    #[test]
    fn what_is_valid_and_has_no_cas_takes_one_pass() {
        let spec = Register { init: ValueId(9) };
        let ordered = |ops: &[Timed<Register>]| match swift(&spec, ops) {
            Swift::Order(order) => order,
            Swift::Twice => panic!("twice: {ops:?}"),
            Swift::Look => panic!("look: {ops:?}"),
        };
        assert_eq!(ordered(&[read(9, 0, 1)]), [0]);
        assert_eq!(ordered(&[read(9, 0, 3), write(1, 1, 2), read(1, 4, 5)]), [0, 1, 2]);
        // The one that ends first goes first where nothing else says who does.
        assert_eq!(ordered(&[write(1, 0, 9), write(2, 1, 3), read(2, 4, 6), read(1, 5, 8)]), [1, 2, 0, 3]);
        // An info that somebody saw, and one that nobody did.
        assert_eq!(ordered(&[write(1, 0, OPEN), read(1, 1, 2)]), [0, 1]);
        assert_eq!(ordered(&[write(1, 0, OPEN), write(2, 1, 2), read(2, 3, 4)]), [1, 2]);
        assert_eq!(ordered(&[write(1, 0, 4), read(1, 4, 5), read(1, 1, 4)]), [0, 2, 1]);
        for seed in 0..40 {
            let ops = Family::parse("register:unique:c6:n120").unwrap().ops(seed).unwrap();
            let Swift::Order(order) = swift(&Register::default(), &ops) else { panic!("seed {seed}") };
            assert_eq!(
                super::super::replay::replay(&Register::default(), &ops, &order),
                Ok(()),
                "seed {seed}"
            );
        }
    }

    #[test]
    fn what_one_pass_cannot_say_is_left_to_the_whole_decider() {
        let spec = Register { init: ValueId(9) };
        let looks = |ops: &[Timed<Register>]| matches!(swift(&spec, ops), Swift::Look);
        assert!(looks(&[read(1, 0, 1)]), "written by nobody");
        assert!(looks(&[read(1, 0, 1), write(1, 2, 3)]), "read before it was written");
        assert!(looks(&[write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)]), "stale");
        assert!(looks(&[op(Call::Cas(ValueId(9), ValueId(1)), Some(Reply::Done), 0, 1)]), "a cas");
        for twice in [[write(1, 0, 1), write(1, 2, 3)], [read(9, 0, 1), write(9, 2, 3)]] {
            assert!(matches!(swift(&spec, &twice), Swift::Twice), "{twice:?}");
        }
    }

    #[test]
    fn values_are_counted_by_an_array_only_where_their_ids_are_dense() {
        let dense = |values: &[u32]| {
            let ops: Vec<_> = values.iter().map(|v| write(*v, 0, 1)).collect();
            matches!(Numbers::new(&ops), Numbers::Dense(_))
        };
        assert!(dense(&[0, 1, 1025]) && dense(&[1029, 0, 0]));
        assert!(!dense(&[1030, 0, 0]) && !dense(&[u32::MAX - 1]));
        let mut numbers = Numbers::new(&[read(3, 0, 1)]);
        let mut count = 0;
        assert_eq!([3, 1, 3].map(|v| numbers.of(ValueId(v), &mut count)), [0, 1, 0]);
        assert!(matches!(numbers, Numbers::Dense(_)));
        let found = [7, 3, 5_000, 7, 2, 5_000, 1].map(|v| numbers.of(ValueId(v), &mut count));
        assert!(matches!(numbers, Numbers::Sparse(_)));
        assert_eq!((found, count), ([2, 0, 3, 2, 4, 3, 1], 5));
    }
}
