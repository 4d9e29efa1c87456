//! Stale reads at one glance, also where values repeat: a sweep, O(n log n).
//!
//! An op that saw v is impossible if every op that may have stored v had completed before some other op began that
//! had another value, and that one had completed before the first began. Refutes only; finding nothing proves
//! nothing. The sentences about what it finds are in `stale.rs`.

use super::bind::Bind;
use super::hash::Map;
use super::objects::Register;
use super::spec::{Timed, precedes};
use history::ValueId;

/// An op that showed a value.
#[derive(Clone, Copy)]
struct Shown {
    op: usize,
    inv: u32,
    value: ValueId,
}

/// The ops of one contradiction: the reader, the op with the other value, and every producer of what was read.
pub fn stale(spec: &Register, ops: &[Timed<Register>]) -> Option<Vec<usize>> {
    let producers = Producers::new(spec, ops);
    let mut readers: Vec<usize> =
        (0..ops.len()).filter(|i| ops[*i].is_ok() && spec.sees(&ops[*i]).is_some()).collect();
    readers.sort_unstable_by_key(|i| ops[*i].inv);
    let mut done: Vec<usize> = (0..ops.len()).filter(|i| ops[*i].is_ok()).collect();
    done.sort_unstable_by_key(|i| ops[*i].res);
    // Among the ops completed so far, the one that began last, and the last with any other value.
    let (mut first, mut second): (Option<Shown>, Option<Shown>) = (None, None);
    let mut next = 0;
    for reader in readers {
        while let Some(op) = done.get(next).copied().filter(|i| precedes(ops[*i].res, ops[reader].inv)) {
            let shown = [spec.makes(&ops[op]), spec.sees(&ops[op])];
            for value in shown.into_iter().flatten() {
                remember(&mut first, &mut second, Shown { op, inv: ops[op].inv, value });
            }
            next += 1;
        }
        let value = spec.sees(&ops[reader])?;
        let other = [first, second].into_iter().flatten().find(|s| s.value != value);
        let Some(last) = producers.settled(value, reader, ops) else { continue };
        match (other, last) {
            // Nobody stored it at all.
            (_, Settled::Never) => return Some(vec![reader]),
            (Some(other), Settled::Before(res)) if res.is_none_or(|res| precedes(res, other.inv)) => {
                let mut core = producers.of(value, reader, ops);
                core.extend([other.op, reader]);
                return Some(core);
            }
            _ => {}
        }
    }
    None
}

fn remember(first: &mut Option<Shown>, second: &mut Option<Shown>, new: Shown) {
    match first {
        Some(f) if f.value == new.value => {
            if new.inv > f.inv {
                *f = new;
            }
        }
        Some(f) if f.inv >= new.inv => {
            if second.is_none_or(|s| s.inv < new.inv) {
                *second = Some(new);
            }
        }
        _ => {
            *second = *first;
            *first = Some(new);
        }
    }
}

enum Settled {
    Never,
    /// Every store of the value had completed at this position; `None`: it is the initial value only.
    Before(Option<u32>),
}

struct Producers {
    init: ValueId,
    /// For each value its producers by invocation, with the largest completion so far.
    of: Map<ValueId, Vec<(u32, u32, usize)>>,
}

impl Producers {
    fn new(spec: &Register, ops: &[Timed<Register>]) -> Producers {
        let mut of: Map<ValueId, Vec<(u32, u32, usize)>> = Map::default();
        for (i, op) in ops.iter().enumerate() {
            if let Some(v) = spec.makes(op) {
                of.entry(v).or_default().push((op.inv, op.res, i));
            }
        }
        for list in of.values_mut() {
            list.sort_unstable();
            let mut most = 0;
            list.iter_mut().for_each(|p| {
                most = most.max(p.1);
                p.1 = most;
            });
        }
        Producers { init: spec.init, of }
    }

    /// `None` if a producer may still have been at work when the reader began.
    fn settled(&self, value: ValueId, reader: usize, ops: &[Timed<Register>]) -> Option<Settled> {
        let list = self.of.get(&value).map(Vec::as_slice).unwrap_or_default();
        // A cas from v to w is no producer of v; a reader never produces what it saw.
        let upto = list.partition_point(|p| !precedes(ops[reader].res, p.0));
        match (upto.checked_sub(1), value == self.init) {
            (None, false) => Some(Settled::Never),
            (None, true) => Some(Settled::Before(None)),
            (Some(last), _) => {
                precedes(list[last].1, ops[reader].inv).then_some(Settled::Before(Some(list[last].1)))
            }
        }
    }

    fn of(&self, value: ValueId, reader: usize, ops: &[Timed<Register>]) -> Vec<usize> {
        let list = self.of.get(&value).map(Vec::as_slice).unwrap_or_default();
        list.iter().filter(|p| !precedes(ops[reader].res, p.0)).map(|p| p.2).collect()
    }
}
