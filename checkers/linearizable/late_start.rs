//! A contradiction that begins in mid-run: what had completed before some op is left out, whatever it had left there.
//!
//! Lemma. Let t be a position. Leave out every ok op that completed before t, and let those open at t have happened or
//! not (reply and deadline forgotten). If all ops have an order, what is left has one from *some* first value: let s be
//! the value behind the last op left out in the order of all. What was invoked at t or later stands behind it, by real
//! time; so what stands behind it is an order, from s, of all of those and of some of the others. Hence ops that have no
//! order from any first value prove that the whole has none.
//! Registers only, whose values at t need not be listed for that ([`initial`] asks for any); t is where an ok op begins
//! that shows a value or writes one, so that the story starts with what is known. The idea is step 2 of the usual way
//! to shrink search histories: keep a late frontier as proved. Not here: shrinking itself (`shrink.rs`), patterns
//! (`stale.rs`).

use super::dfs::Limits;
use super::engine::refutes;
use super::explain::Finder;
use super::initial::{self, FromAny};
use super::objects::{Register, RegisterCall as Call, RegisterReply as Reply};
use super::shrink::{A_TRY, Small, shrink_by};
use super::spec::{Pos, Spec, Timed, precedes};
use super::story::{Story, list};
use crate::verdict::Counterexample;

/// Steps of the shrinker, all tries together.
const SHRINKING: u64 = 5_000_000;

/// The ops from a start on (indices), with those open then among the demoted.
struct Late {
    kept: Vec<usize>,
    demoted: Vec<usize>,
    ops: Vec<Timed<FromAny>>,
}

fn from(ops: &[Timed<FromAny>], start: Pos) -> Late {
    let begun = |i: &usize| ops[*i].inv < start || !ops[*i].is_ok();
    // One that may have happened and would change nothing is left out, too.
    let nothing = |i: &usize| matches!(ops[*i].call, Call::Cas(old, new) if old == new) && begun(i);
    let late = |i: &usize| !precedes(ops[*i].res, start) && !nothing(i);
    let kept: Vec<usize> = (0..ops.len()).filter(late).collect();
    let open = |i: &usize| ops[*i].is_ok() && begun(i);
    let late = kept.iter().map(|i| if open(i) { ops[*i].forgotten() } else { ops[*i].clone() }).collect();
    Late { demoted: kept.iter().copied().filter(open).collect(), ops: late, kept }
}

/// The latest start from which nothing explains the rest, looked for by bisection: what an earlier start leaves is
/// nearly always refuted where that of a later one is, and a start is only used once it was.
fn latest(ops: &[Timed<FromAny>]) -> Option<(Pos, Late)> {
    let known = |o: &&Timed<FromAny>| o.is_ok() && o.reply != Some(Reply::Mismatch);
    let mut starts: Vec<Pos> = ops.iter().filter(known).map(|o| o.inv).collect();
    starts.sort_unstable();
    let refuted = |start: Pos| initial::decide(&from(ops, start).ops, &A_TRY).is_no();
    let found = starts.partition_point(|start| refuted(*start)).checked_sub(1)?;
    Some((starts[found], from(ops, starts[found])))
}

/// The contradiction of the latest start, small. `None` where there is no such start, or nothing before it.
pub fn late(ops: &[Timed<Register>], story: &Story<'_>, limits: &Limits) -> Option<Counterexample> {
    let all: Vec<Timed<FromAny>> = ops.iter().map(initial::from_any).collect();
    let (start, late) = latest(&all)?;
    let before = (0..all.len()).filter(|i| precedes(all[*i].res, start)).count();
    let first = (0..all.len()).find(|i| all[*i].inv == start && all[*i].is_ok())?;
    if before == 0 {
        return None;
    }
    // Whatever the first value is, an order stays one without an op that changes nothing.
    let idle = |op: &Timed<FromAny>| op.reply.is_some_and(|reply| Register::default().idle(&op.call, &reply));
    let Small { kept, demoted, ops: small } = shrink_by(&FromAny, &late.ops, SHRINKING, idle);
    if !refutes(&FromAny, &small) {
        return None;
    }
    let kept: Vec<usize> = kept.into_iter().map(|i| late.kept[i]).collect();
    let mut weak: Vec<usize> = demoted.into_iter().map(|i| late.kept[i]).collect();
    weak.extend(late.demoted.into_iter().filter(|i| kept.contains(i)));
    let finder = Finder { spec: &FromAny, ops: &all, story, limits };
    let mut told = finder.counterexample("no order exists", kept.clone(), &weak, Vec::new());
    told.words = finder.plain_words(&told);
    let name = |i: &usize| format!("#{}", story.ids[*i].0);
    let open: Vec<String> = kept.iter().filter(|i| !ops[**i].is_ok()).map(name).collect();
    if !open.is_empty() {
        let says = match open.len() {
            1 => "had no answer by then: it may have happened once, at any time after it was asked",
            _ => "had no answer by then: each may have happened once, at any time after it was asked",
        };
        told.words.push(format!("{} {says}.", list(&open)));
    }
    let calls = if before == 1 { "call that was answered" } else { "calls that were answered" };
    told.groups.push(format!(
        "{before} other {calls} had completed before {} began: whatever value they left, it does not help",
        story.short(first)
    ));
    Some(told)
}

#[cfg(test)]
mod tests {
    use super::super::oracle;
    use super::super::spec::OPEN;
    use super::*;
    use history::ValueId;
    use history::rng::Rng;

    /// Up to six ops of three clients with three values, each op of any kind and with any reply.
    fn drawn(rng: &mut Rng) -> Vec<Timed<Register>> {
        let value = |rng: &mut Rng| ValueId(rng.below(3) as u32);
        let mut free = [0u32; 3];
        let mut ops: Vec<Timed<Register>> = Vec::new();
        for i in 0..3 + rng.below(4) as u32 {
            let client = rng.below(3) as usize;
            let inv = free[client].max(4 * i) + rng.below(4) as u32;
            let res = inv + 1 + rng.below(9) as u32;
            let (call, reply) = match rng.below(4) {
                0 => (Call::Read, Reply::Value(value(rng))),
                1 => (Call::Cas(value(rng), value(rng)), Reply::Done),
                2 => (Call::Cas(value(rng), value(rng)), Reply::Mismatch),
                _ => (Call::Write(value(rng)), Reply::Done),
            };
            let info = call != Call::Read && rng.chance(0.25);
            free[client] = if info { u32::MAX - 99 } else { res + 1 };
            if inv < 99 {
                let (reply, res) = if info { (None, OPEN) } else { (Some(reply), res) };
                ops.push(Timed { call, reply, inv, res });
            }
        }
        ops.sort_by_key(|op| op.inv);
        ops
    }

    /// A start is found only where brute force finds no order of the whole, and then for no first value of what is left.
    #[test]
    fn what_has_an_order_has_no_late_contradiction() {
        let mut rng = Rng::new(1, "late");
        let (mut valid, mut found) = (0, 0);
        for _ in 0..20_000 {
            let ops = drawn(&mut rng);
            let all: Vec<Timed<FromAny>> = ops.iter().map(initial::from_any).collect();
            let whole = oracle::linearizable(&Register::default(), &ops);
            valid += (whole == Some(true)) as u32;
            for start in ops.iter().map(|op| op.inv) {
                let late = from(&all, start);
                if initial::decide(&late.ops, &A_TRY).is_no() {
                    found += 1;
                    assert_eq!(whole, Some(false), "from {start}: {ops:?}");
                    assert_eq!(oracle::linearizable(&FromAny, &late.ops), Some(false));
                }
            }
            if let Some((start, _)) = latest(&all) {
                assert!(all.iter().any(|op| op.is_ok() && op.inv == start));
                assert_eq!(whole, Some(false), "{ops:?}");
            }
        }
        assert!(valid > 2_000 && found > 2_000, "{valid} valid, {found} starts");
    }
}
