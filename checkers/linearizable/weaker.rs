//! Regular and safe registers: what a register that is not linearizable may still promise.
//!
//! Lamport's models with several writers, each read judged alone: a *regular* read returns a write that began before
//! the read ended and was not overwritten before the read began; a *safe* read has to do so only where it overlaps no
//! write. A successful cas is a read of what it expected and a write. Refused cas are not judged.

use super::bind::Bind;
use super::hash::Map;
use super::objects::Register;
use super::spec::Timed;
use history::ValueId;

/// The first op, by completion, that no regular register could have answered. O(n log n).
pub fn irregular(spec: &Register, ops: &[Timed<Register>]) -> Option<usize> {
    let writes = Writes::new(spec, ops);
    readers(spec, ops).into_iter().find(|i| !writes.allows(spec, ops, *i))
}

/// The first op, by completion, that overlaps no write and that no safe register could have answered.
pub fn unsafe_read(spec: &Register, ops: &[Timed<Register>]) -> Option<usize> {
    let writes = Writes::new(spec, ops);
    readers(spec, ops).into_iter().find(|i| !writes.overlap(ops, *i) && !writes.allows(spec, ops, *i))
}

fn readers(spec: &Register, ops: &[Timed<Register>]) -> Vec<usize> {
    let mut readers: Vec<usize> =
        (0..ops.len()).filter(|i| ops[*i].is_ok() && spec.sees(&ops[*i]).is_some()).collect();
    readers.sort_unstable_by_key(|i| ops[*i].res);
    readers
}

struct Writes {
    /// By completion: the largest invocation so far.
    done: Vec<(u32, u32)>,
    /// By invocation: the largest completion so far.
    begun: Vec<(u32, u32)>,
    /// For each value its writes by invocation, with the largest completion so far.
    of: Map<ValueId, Vec<(u32, u32, usize)>>,
}

impl Writes {
    fn new(spec: &Register, ops: &[Timed<Register>]) -> Writes {
        let all: Vec<usize> = (0..ops.len()).filter(|i| spec.makes(&ops[*i]).is_some()).collect();
        let running = |mut pairs: Vec<(u32, u32)>| {
            pairs.sort_unstable();
            let mut most = 0;
            pairs.iter_mut().for_each(|p| {
                most = most.max(p.1);
                p.1 = most;
            });
            pairs
        };
        let mut of: Map<ValueId, Vec<(u32, u32, usize)>> = Map::default();
        for i in &all {
            if let Some(v) = spec.makes(&ops[*i]) {
                of.entry(v).or_default().push((ops[*i].inv, ops[*i].res, *i));
            }
        }
        of.values_mut().for_each(|list| list.sort_unstable());
        Writes {
            done: running(
                all.iter().filter(|i| ops[**i].is_ok()).map(|i| (ops[*i].res, ops[*i].inv)).collect(),
            ),
            begun: running(all.iter().map(|i| (ops[*i].inv, ops[*i].res)).collect()),
            of,
        }
    }

    /// The largest invocation among writes completed before a position.
    fn last_done(&self, pos: u32) -> Option<u32> {
        self.done.partition_point(|d| d.0 < pos).checked_sub(1).map(|i| self.done[i].1)
    }

    fn allows(&self, spec: &Register, ops: &[Timed<Register>], reader: usize) -> bool {
        let Some(value) = spec.sees(&ops[reader]) else { return true };
        let last = self.last_done(ops[reader].inv);
        let list = self.of.get(&value).map(Vec::as_slice).unwrap_or_default();
        let fits =
            |w: &&(u32, u32, usize)| w.0 < ops[reader].res && w.2 != reader && last.is_none_or(|l| w.1 > l);
        (last.is_none() && value == spec.init) || list.iter().any(|w| fits(&w))
    }

    fn overlap(&self, ops: &[Timed<Register>], reader: usize) -> bool {
        // A cas overlaps itself: it is judged as a write.
        let me = &ops[reader];
        let upto = self.begun.partition_point(|b| b.0 < me.res);
        upto.checked_sub(1).is_some_and(|i| self.begun[i].1 > me.inv)
    }
}
