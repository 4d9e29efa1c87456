//! A generator of ids: every id that it gives out is new.
//!
//! | f | value | reply |
//! | --- | --- | --- |
//! | `generate` | nil | the id, any value |
//!
//! Ids need not grow; a call that was never answered may have used up any id. Linearizable iff no id was given out
//! twice: one pass. One generator is judged for the whole history.

use super::bind::{Bind, Taken, show_all, unknown};
use super::engine::{Decide, Decision, Refuted};
use super::explain::Story;
use super::hash::Map;
use super::spec::{Spec, Timed, precedes};
use super::story::capital;
use history::{History, Op, OutcomeKind, ReplyId, ValueId};

#[derive(Clone, Copy, Debug, Default)]
pub struct UniqueIds;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Generate;

impl Spec for UniqueIds {
    type Call = Generate;
    /// The id.
    type Reply = ValueId;
    /// The ids given out, sorted.
    type State = Vec<ValueId>;

    fn init(&self) -> Vec<ValueId> {
        Vec::new()
    }

    fn weight(&self, s: &Vec<ValueId>) -> usize {
        size_of_val(s.as_slice())
    }

    /// An unknown id could be one that nobody else ever gets, so it leaves the state: what may follow is no less
    /// than after any known id. That is the law of [`Spec`] up to what may follow.
    fn step(&self, s: &Vec<ValueId>, _: &Generate, reply: Option<&ValueId>) -> Option<Vec<ValueId>> {
        let Some(id) = reply else { return Some(s.clone()) };
        let at = s.binary_search(id).err()?;
        let mut next = s.clone();
        next.insert(at, *id);
        Some(next)
    }

    /// A generation without an answer changes no state (see `step`), so nothing can need it.
    fn wants(&self, _: &Timed<Self>, _: &Generate) -> bool {
        false
    }
}

impl Decide for UniqueIds {
    fn decide(&self, ops: &[Timed<Self>]) -> Option<Decision<Self>> {
        let mut given: Map<ValueId, usize> = Map::default();
        let mut order: Vec<usize> = (0..ops.len()).filter(|i| ops[*i].is_ok()).collect();
        // By completion, so that the first repetition is the one that completed first.
        order.sort_by_key(|i| ops[*i].res);
        for i in order.iter().copied() {
            if let Some(first) = given.insert(ops[i].reply?, i) {
                return Some(Err(Refuted { core: vec![first, i], reduced: None }));
            }
        }
        Some(Ok(order))
    }
}

impl Bind for UniqueIds {
    const NOUN: &'static str = "id generator";

    fn take(&self, op: &Op<'_>, _: &History) -> Result<Option<Taken<Self>>, String> {
        match (op.f(), op.kind(), op.reply()) {
            ("generate", OutcomeKind::Fail, _) => Ok(None),
            ("generate", OutcomeKind::Info, _) => Ok(Some((Generate, None))),
            ("generate", _, ReplyId::Read(id)) if !id.is_null() => Ok(Some((Generate, Some(id)))),
            ("generate", ..) => Err(format!("op #{}: a generate that succeeded without an id", op.id.0)),
            _ if op.kind() == OutcomeKind::Fail => Ok(None),
            _ => unknown(op, Self::NOUN),
        }
    }

    fn tell(
        &self,
        ops: &[Timed<Self>],
        core: &[usize],
        story: &Story<'_>,
    ) -> Option<(&'static str, Vec<String>)> {
        let [a, b] = core else { return None };
        let id = ops[*b].reply.filter(|id| ops[*a].reply == Some(*id))?;
        let mut words = vec![
            format!(
                "{} is not linearizable: {} was given the id {}, which {} had been given too.",
                story.subject(),
                story.full(*b),
                story.value(id),
                story.full(*a)
            ),
            match precedes(ops[*a].res, ops[*b].inv) {
                true => format!(
                    "{} had completed {} before {} began.",
                    capital(&story.short(*a)),
                    story.gap(*a, *b),
                    story.short(*b)
                ),
                false => "The two calls overlapped.".into(),
            },
        ];
        words.extend(story.strike(*b));
        Some(("duplicate id", words))
    }

    fn show(&self, state: &Vec<ValueId>, history: &History) -> String {
        format!("given out: {}", show_all(state, history))
    }

    fn refusal(&self, state: &Vec<ValueId>, op: &Timed<Self>, history: &History) -> String {
        match op.reply {
            Some(id) => format!("needs {} unused; {}", history.value(id), self.show(state, history)),
            None => "does not fit".into(),
        }
    }

    fn makes(&self, op: &Timed<Self>) -> Option<ValueId> {
        op.reply
    }
}
