//! Locks whose holder is known: decided, with an order, from the stretches in which each was certainly held.
//!
//! The ops of one owner come one after the other, so they fall into *blocks*: an acquire of the free lock, what the
//! owner did while it held it, and the release that freed it. A block certainly holds the lock from the completion
//! of its first acquire to the invocation of its last release (for ever, if there is none). Linearizable iff no
//! owner acquires or releases out of turn and no two of these stretches overlap; sorted by their beginning they are
//! the order. Cost: O(n log n).
//! Lemma (why blocks are enough): in an order nobody else's op stands between the first and the last op of a block,
//! so block A comes before block B iff no op of B completed before one of A was invoked; the earliest completion in
//! B is that of its first acquire, the latest invocation in A that of its last release. If neither of two disjoint
//! stretches may come first, each begins before the other ends: they overlap.
//! Not here: locks without an owner (`element.rs`), permits for several holders (`semaphore.rs`).

use super::engine::{Decision, Refuted};
use super::hash::Map;
use super::objects::MutexCall;
use super::spec::{Spec, Timed, precedes};
use super::story::{Story, capital};

/// From the first acquire of an owner to the release that freed the lock. Indices of ops.
pub struct Block {
    pub ops: Vec<usize>,
    pub from: usize,
    pub until: Option<usize>,
}

/// The blocks in the only order that they can have, or the ops that contradict each other.
pub type Blocks = Result<Vec<Block>, Vec<usize>>;

/// `most`: how often one owner may acquire before it must release; `None`: any number of times. `None` is returned
/// where an owner has two ops at once or goes on after one that was never answered: such need the search.
pub fn blocks<S: Spec<Call = MutexCall>>(ops: &[Timed<S>], most: Option<u32>) -> Option<Blocks> {
    let mut owners: Map<u32, usize> = Map::default();
    let mut turns: Vec<Vec<usize>> = Vec::new();
    let mut by_inv: Vec<usize> = (0..ops.len()).collect();
    by_inv.sort_by_key(|i| ops[*i].inv);
    for i in by_inv {
        let slot = *owners.entry(ops[i].call.turn().0).or_insert_with(|| {
            turns.push(Vec::new());
            turns.len() - 1
        });
        // `OPEN` is later than any invocation: an owner that goes on after an open op is caught here too.
        if turns[slot].last().is_some_and(|before| !precedes(ops[*before].res, ops[i].inv)) {
            return None;
        }
        turns[slot].push(i);
    }
    let mut blocks = Vec::new();
    for turn in &turns {
        match of_owner(ops, turn, most) {
            Ok(found) => blocks.extend(found),
            Err(core) => return Some(Err(core)),
        }
    }
    blocks.sort_by_key(|b| ops[b.from].res);
    for pair in blocks.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        if a.until.is_none_or(|release| precedes(ops[b.from].res, ops[release].inv)) {
            return Some(Err([Some(a.from), a.until, Some(b.from), b.until].into_iter().flatten().collect()));
        }
    }
    Some(Ok(blocks))
}

/// Blocks as what a decider answers.
pub fn decision<S: Spec>(blocks: Blocks) -> Decision<S> {
    match blocks {
        Ok(blocks) => Ok(order(&blocks)),
        Err(core) => Err(Refuted { core, reduced: None }),
    }
}

/// The blocks of one owner. Leaving out another owner, an earlier whole block or an inner pair of acquire and release
/// keeps an order, so what is refuted here is refuted with these few ops alone.
fn of_owner<S: Spec<Call = MutexCall>>(
    ops: &[Timed<S>],
    turn: &[usize],
    most: Option<u32>,
) -> Result<Vec<Block>, Vec<usize>> {
    let (mut blocks, mut block) = (Vec::new(), Vec::new());
    // Acquires not yet released, the first at the bottom.
    let mut held: Vec<usize> = Vec::new();
    for i in turn.iter().copied() {
        let acquires = ops[i].call.turn().1;
        if acquires {
            // Never answered, so nothing follows: whether it was granted shows nowhere.
            if !ops[i].is_ok() {
                continue;
            }
            if most.is_some_and(|most| held.len() >= most as usize) {
                held.push(i);
                return Err(held);
            }
            held.push(i);
            block.push(i);
            continue;
        }
        match (held.as_slice(), ops[i].is_ok()) {
            ([], true) => return Err(vec![i]),
            ([from], _) => {
                block.push(i);
                blocks.push(Block { ops: std::mem::take(&mut block), from: *from, until: Some(i) });
                held.clear();
            }
            (_, true) => {
                held.pop();
                block.push(i);
            }
            // A release that was never answered and would not free the lock.
            (_, false) => {}
        }
    }
    if let Some(from) = held.first() {
        blocks.push(Block { ops: block, from: *from, until: None });
    }
    Ok(blocks)
}

/// The whole order.
fn order(blocks: &[Block]) -> Vec<usize> {
    blocks.iter().flat_map(|b| b.ops.iter().copied()).collect()
}

/// What a contradiction found here means.
pub fn tell<S: Spec<Call = MutexCall>>(
    ops: &[Timed<S>],
    core: &[usize],
    story: &Story<'_>,
) -> Option<(&'static str, Vec<String>)> {
    let owner = |i: usize| ops[i].call.turn().0;
    let mut core = core.to_vec();
    core.sort_by_key(|i| ops[*i].inv);
    let (granted, released): (Vec<usize>, Vec<usize>) = core.iter().partition(|i| ops[**i].call.turn().1);
    let head = format!("{} is not linearizable:", story.subject());
    let (pattern, mut words, about) = match (granted.as_slice(), released.as_slice()) {
        ([], [release]) => (
            "release without hold",
            vec![
                format!(
                    "{head} {} was acknowledged, but process {} did not hold the lock.",
                    story.full(*release),
                    owner(*release)
                ),
                format!("Every acquire of process {} before it had been released already.", owner(*release)),
            ],
            *release,
        ),
        ([first, .., last], []) if granted.iter().all(|i| owner(*i) == owner(*first)) => (
            "held too often",
            vec![
                format!(
                    "{head} {} was granted while the same process still held the lock by {} earlier acquires.",
                    story.full(*last),
                    granted.len() - 1
                )
                .replace("1 earlier acquires", "an earlier acquire"),
                format!(
                    "The first of them is {}; no release stands between them and {}.",
                    story.full(*first),
                    story.short(*last)
                ),
            ],
            *last,
        ),
        ([_, _], _) => {
            let mut both = [granted[0], granted[1]];
            both.sort_by_key(|i| ops[*i].res);
            let [a, b] = both;
            let words = vec![
                format!(
                    "{head} two clients held the lock at once: {} was granted while process {} still held it by {}.",
                    story.full(b),
                    owner(a),
                    story.short(a)
                ),
                // What came after is not told about: it may have asked later.
                format!(
                    "{} was granted {} before {} was, and process {} had not asked to release by then.",
                    capital(&story.full(a)),
                    between(story, a, b),
                    story.short(b),
                    owner(a)
                ),
            ];
            ("split hold", words, b)
        }
        _ => return None,
    };
    words.extend(story.strike(about));
    Some((pattern, words))
}

/// From one completion to another.
pub fn between(story: &Story<'_>, a: usize, b: usize) -> String {
    let at = |i: usize| story.op(i).completed().unwrap_or(0);
    match at(b).saturating_sub(at(a)) {
        0 => "just".into(),
        ns => super::story::span(ns),
    }
}
