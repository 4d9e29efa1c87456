//! A lock with an owner that hands out a larger *fencing token* with every grant.
//!
//! | f | value | reply |
//! | --- | --- | --- |
//! | `acquire` | nil | the token, a whole number; or done, where the service tells none |
//! | `release` | nil | done |
//!
//! The owner is the process; the key names the lock; holding it twice is refused. Each token is larger than those of
//! all earlier grants: that is what lets a resource turn away a holder whose lock has been given to somebody else.
//! A grant without a token counts as the smallest that fits. Decided by `holds.rs`, which finds the only order of
//! the grants, and one walk over their tokens: O(n log n).

use super::bind::{Bind, Taken, unknown};
use super::engine::{Decide, Decision};
use super::explain::Story;
use super::holds::{self, Block};
use super::objects::MutexCall;
use super::spec::{Spec, Timed};
use super::story::capital;
use history::{History, Op, OutcomeKind, ReplyId};

#[derive(Clone, Copy, Debug, Default)]
pub struct FencedLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FencedReply {
    Done,
    Token(i64),
}

impl Spec for FencedLock {
    type Call = MutexCall;
    type Reply = FencedReply;
    /// The owner, and the largest token given out so far (`i64::MIN`: none).
    type State = (Option<u32>, i64);

    fn init(&self) -> Self::State {
        (None, i64::MIN)
    }

    /// An unknown token is taken to be the smallest possible, so forgetting a token leads to a state that allows all
    /// that the true one does: the law of [`Spec`] up to what may follow.
    fn step(&self, s: &Self::State, call: &MutexCall, reply: Option<&FencedReply>) -> Option<Self::State> {
        match (call, s) {
            (MutexCall::Acquire(me), (None, last)) => match reply {
                Some(FencedReply::Token(token)) => (token > last).then_some((Some(*me), *token)),
                Some(FencedReply::Done) | None => Some((Some(*me), last.checked_add(1)?)),
            },
            (MutexCall::Release(me), (Some(holder), last)) if me == holder => {
                (!matches!(reply, Some(FencedReply::Token(_)))).then_some((None, *last))
            }
            _ => None,
        }
    }

    /// As for the lock without tokens: a larger token is of no use to anybody.
    fn wants(&self, by: &Timed<Self>, info: &MutexCall) -> bool {
        by.call.wants(*info)
    }
}

impl Decide for FencedLock {
    fn decide(&self, ops: &[Timed<Self>]) -> Option<Decision<Self>> {
        let strange = |op: &Timed<Self>| {
            matches!((op.call, op.reply), (MutexCall::Release(_), Some(FencedReply::Token(_))))
        };
        if ops.iter().any(strange) {
            return None;
        }
        let blocks = holds::blocks(ops, Some(1))?;
        Some(holds::decision(blocks.and_then(|blocks| ascending(ops, blocks))))
    }
}

/// Blocks with tokens that fit, or a grant whose token does not and those since the last token that did.
fn ascending(ops: &[Timed<FencedLock>], blocks: Vec<Block>) -> Result<Vec<Block>, Vec<usize>> {
    let (mut last, mut since) = (i64::MIN, Vec::new());
    for block in &blocks {
        match ops[block.from].reply {
            Some(FencedReply::Token(token)) if token <= last => {
                since.push(block.from);
                return Err(since);
            }
            Some(FencedReply::Token(token)) => {
                last = token;
                since.clear();
            }
            _ => last = last.saturating_add(1),
        }
        since.extend(std::iter::once(block.from).chain(block.until));
    }
    Ok(blocks)
}

impl Bind for FencedLock {
    const NOUN: &'static str = "lock";

    fn take(&self, op: &Op<'_>, history: &History) -> Result<Option<Taken<Self>>, String> {
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        let me = op.process().0;
        let done = op.is_ok().then_some(FencedReply::Done);
        Ok(Some(match (op.f(), op.reply()) {
            ("acquire", ReplyId::Read(token)) if !token.is_null() => {
                let int = history.values().int(token).ok_or_else(|| {
                    format!("op #{}: the token {} is no whole number", op.id.0, history.value(token))
                })?;
                (MutexCall::Acquire(me), Some(FencedReply::Token(int)))
            }
            ("acquire", _) => (MutexCall::Acquire(me), done),
            ("release", _) => (MutexCall::Release(me), done),
            _ => return unknown(op, Self::NOUN),
        }))
    }

    fn tell(
        &self,
        ops: &[Timed<Self>],
        core: &[usize],
        story: &Story<'_>,
    ) -> Option<(&'static str, Vec<String>)> {
        let granted = |i: &&usize| matches!(ops[**i].reply, Some(FencedReply::Token(_)));
        let mut grants: Vec<usize> = core.iter().filter(granted).copied().collect();
        grants.sort_by_key(|i| ops[*i].res);
        if let ([a, .., b], Err(_)) =
            (grants.as_slice(), holds::blocks(ops, Some(1))?.and_then(|x| ascending(ops, x)))
            && let (Some(FencedReply::Token(x)), Some(FencedReply::Token(y))) = (ops[*a].reply, ops[*b].reply)
            && x >= y
            && holds::blocks(ops, Some(1))?.is_ok()
        {
            let mut words = vec![
                format!(
                    "{} is not linearizable: {} was granted with fencing token {y}, although {} had been granted before with token {x}.",
                    story.subject(),
                    story.full(*b),
                    story.short(*a)
                ),
                format!(
                    "{} was granted {} before {} was: a resource that has seen {x} turns the new holder away, and lets the old one in.",
                    capital(&story.full(*a)),
                    holds::between(story, *a, *b),
                    story.short(*b)
                ),
            ];
            words.extend(story.strike(*b));
            return Some(("token not larger", words));
        }
        holds::tell(ops, core, story)
    }

    fn show(&self, state: &Self::State, _: &History) -> String {
        let held = state.0.map_or("free".into(), |p| format!("held by process {p}"));
        match state.1 {
            i64::MIN => held,
            token => format!("{held}, last token {token}"),
        }
    }

    fn refusal(&self, state: &Self::State, op: &Timed<Self>, history: &History) -> String {
        let is = self.show(state, history);
        match (op.call, op.reply) {
            (MutexCall::Acquire(_), Some(FencedReply::Token(token))) if state.0.is_none() => {
                format!("needs a last token below {token}, the lock is {is}")
            }
            (MutexCall::Acquire(_), _) => format!("needs the lock free, it is {is}"),
            (MutexCall::Release(me), _) => format!("needs the lock held by process {me}, it is {is}"),
        }
    }
}
