//! A text that is replaced, added to at its end, and read whole: the key-value store of Porcupine's tests.
//!
//! | f | value | reply |
//! | --- | --- | --- |
//! | `read` (get) | nil | the whole text; nil counts as the empty one |
//! | `write` (put) | a text | done |
//! | `append` | a text | done |
//!
//! One text a key, empty at first. Where no part is put twice, appended twice or the beginning of another, a read
//! tells which parts it is made of and thereby the order of the appends since the last put. Each state that was read
//! is then a value produced once: a put writes it, an append is a compare-and-set from the state before it, and
//! `register.rs` decides in O(total size of the reads + n log n). Appends that no read shows can only stand at the end
//! of what one put began; they are fitted in there. A read that begins with a part both put and appended is taken
//! to begin with the put: an order found so is an order, a contradiction is not believed.
//! Everything else needs the search.

use super::bind::{Bind, Taken, done_or, unknown};
use super::engine::{Decide, Decision, Refuted, refutes};
use super::explain::Story;
use super::hash::Map;
use super::objects::{Register, RegisterCall, RegisterReply};
use super::register;
use super::spec::{Spec, Timed, precedes};
use super::story::capital;
use history::{History, Op, OutcomeKind, ReplyId, Value, ValueId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, Default)]
pub struct Text;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TextCall {
    Get,
    Put(Arc<str>),
    Append(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TextReply {
    Done,
    Is(Arc<str>),
}

impl Spec for Text {
    type Call = TextCall;
    type Reply = TextReply;
    type State = Arc<str>;

    fn init(&self) -> Arc<str> {
        "".into()
    }

    fn weight(&self, s: &Arc<str>) -> usize {
        s.len()
    }

    fn step(&self, s: &Arc<str>, call: &TextCall, reply: Option<&TextReply>) -> Option<Arc<str>> {
        match (call, reply) {
            (TextCall::Get, None) => Some(s.clone()),
            (TextCall::Get, Some(TextReply::Is(seen))) => (seen == s).then(|| s.clone()),
            (TextCall::Put(text), None | Some(TextReply::Done)) => Some(text.clone()),
            (TextCall::Append(text), None | Some(TextReply::Done)) => Some(format!("{s}{text}").into()),
            _ => None,
        }
    }

    fn pure(&self, call: &TextCall) -> bool {
        *call == TextCall::Get
    }
}

type Ops = [Timed<Text>];

fn part(op: &Timed<Text>) -> Option<&Arc<str>> {
    match &op.call {
        TextCall::Put(text) | TextCall::Append(text) => Some(text),
        TextCall::Get => None,
    }
}

fn is_put(op: &Timed<Text>) -> bool {
    matches!(op.call, TextCall::Put(_))
}

fn seen(op: &Timed<Text>) -> Option<&Arc<str>> {
    match &op.reply {
        Some(TextReply::Is(text)) => Some(text),
        _ => None,
    }
}

impl Decide for Text {
    fn decide(&self, ops: &Ops) -> Option<Decision<Self>> {
        let mut parts = Parts::of(ops)?;
        match parts.decide()? {
            Ok(order) => Some(Ok(order)),
            Err(_) if parts.guessed => None,
            Err(core) => {
                let (core, reduced) = parts.reduced(&core);
                refutes(self, &reduced).then_some(Err(Refuted { core, reduced: Some(reduced) }))
            }
        }
    }
}

/// The parts that texts are made of, and what the reads say about them.
struct Parts<'a> {
    ops: &'a Ops,
    /// Parts with who put and who appended them, sorted; none is the beginning of another.
    known: Vec<(&'a str, [Option<usize>; 2])>,
    /// Some read begins with a part that was both put and appended.
    guessed: bool,
    /// The producers of the parts of each read.
    reads: Map<usize, Vec<usize>>,
    /// Of each part that a read shows: the part before it (`None`: it came first), and that read.
    before: Map<usize, (Option<usize>, usize)>,
}

const PUT: usize = 0;
const APPEND: usize = 1;

type Found<T> = Result<T, Vec<usize>>;

impl<'a> Parts<'a> {
    /// `None` where parts do not tell who made them.
    fn of(ops: &'a Ops) -> Option<Parts<'a>> {
        let strange = |op: &Timed<Text>| op.is_ok() && part(op).is_some() == seen(op).is_some();
        if ops.iter().any(strange) {
            return None;
        }
        let mut known: BTreeMap<&str, [Option<usize>; 2]> = BTreeMap::new();
        for (i, op) in ops.iter().enumerate() {
            let Some(text) = part(op) else { continue };
            let kind = if is_put(op) { PUT } else { APPEND };
            if known.entry(text).or_default()[kind].replace(i).is_some() {
                return None;
            }
        }
        let known: Vec<_> = known.into_iter().collect();
        // Whatever begins with a part follows it at once in the sorted list.
        if known.first().is_some_and(|k| k.0.is_empty())
            || known.windows(2).any(|w| w[1].0.starts_with(w[0].0))
        {
            return None;
        }
        Some(Parts { ops, known, guessed: false, reads: Map::default(), before: Map::default() })
    }

    /// Who made the parts of a text: the first may have been put, the others were appended if anybody did.
    fn parse(&self, mut text: &str) -> Option<Vec<usize>> {
        let mut made_of = Vec::new();
        while !text.is_empty() {
            let at = self.known.partition_point(|k| k.0 <= text).checked_sub(1)?;
            let (part, [put, append]) = self.known[at];
            text = text.strip_prefix(part)?;
            made_of.push(if made_of.is_empty() { put.or(append) } else { append.or(put) }?);
        }
        Some(made_of)
    }

    fn ambiguous(&self, part: &str) -> bool {
        let at = self.known.binary_search_by(|k| k.0.cmp(part));
        at.is_ok_and(|at| self.known[at].1.iter().all(Option::is_some))
    }

    /// Takes in the reads by completion; each must go with those before it.
    fn take_reads(&mut self) -> Found<()> {
        let mut reads: Vec<usize> = (0..self.ops.len()).filter(|i| seen(&self.ops[*i]).is_some()).collect();
        reads.sort_by_key(|i| self.ops[*i].res);
        for read in reads {
            let text = seen(&self.ops[read]).cloned().unwrap_or_default();
            let made_of = self.parse(&text).ok_or_else(|| vec![read])?;
            let first = made_of.first().and_then(|p| part(&self.ops[*p]));
            self.guessed |= first.is_some_and(|text| self.ambiguous(text));
            for (at, p) in made_of.iter().copied().enumerate() {
                let before = at.checked_sub(1).map(|b| made_of[b]);
                if is_put(&self.ops[p]) && before.is_some() {
                    return Err([Some(read), Some(p), before].into_iter().flatten().collect());
                }
                match self.before.get(&p).copied() {
                    Some((other, first)) if other != before => {
                        self.reads.insert(read, made_of.clone());
                        return Err([Some(read), Some(first), Some(p), before, other]
                            .into_iter()
                            .flatten()
                            .collect());
                    }
                    Some(_) => {}
                    None => {
                        self.before.insert(p, (before, read));
                    }
                }
            }
            self.reads.insert(read, made_of);
        }
        Ok(())
    }

    /// An order, or ops that contradict each other.
    fn decide(&mut self) -> Option<Found<Vec<usize>>> {
        if let Err(core) = self.take_reads() {
            return Some(Err(core));
        }
        // Appends that no read shows are left out at first.
        let (shown, unseen): (Vec<usize>, Vec<usize>) = (0..self.ops.len()).partition(|i| {
            part(&self.ops[*i]).is_none() || is_put(&self.ops[*i]) || self.before.contains_key(i)
        });
        let listed: Vec<Timed<Register>> = shown.iter().map(|i| self.as_register(*i)).collect();
        let back = |order: Vec<usize>| order.into_iter().map(|i| shown[i]).collect::<Vec<usize>>();
        let order = match register::decide(&Register::default(), &listed)? {
            Ok(order) => back(order),
            Err(core) => return Some(Err(back(core))),
        };
        let unseen: Vec<usize> = unseen.into_iter().filter(|i| self.ops[*i].is_ok()).collect();
        if let Some(core) = unseen.iter().find_map(|u| self.lost(&order, *u)) {
            return Some(Err(core));
        }
        self.fit_in(order, unseen).map(Ok)
    }

    /// The state after an op of part `p`, as a value of a register.
    fn state(p: Option<usize>) -> ValueId {
        p.map_or(ValueId::NULL, |p| ValueId(p as u32 + 1))
    }

    fn as_register(&self, i: usize) -> Timed<Register> {
        let op = &self.ops[i];
        let call = match op.call {
            TextCall::Get => RegisterCall::Read,
            TextCall::Put(_) => RegisterCall::Write(Self::state(Some(i))),
            TextCall::Append(_) => {
                RegisterCall::Cas(Self::state(self.before.get(&i).and_then(|b| b.0)), Self::state(Some(i)))
            }
        };
        let reply = op.is_ok().then(|| match self.reads.get(&i) {
            Some(made_of) => RegisterReply::Value(Self::state(made_of.last().copied())),
            None => RegisterReply::Done,
        });
        Timed { call, reply, inv: op.inv, res: op.res }
    }

    /// The stretches of an order that one put (or the beginning) began, as ranges of it.
    fn stretches(&self, order: &[usize]) -> Vec<std::ops::Range<usize>> {
        let mut starts: Vec<usize> = (0..order.len()).filter(|k| is_put(&self.ops[order[*k]])).collect();
        if starts.first() != Some(&0) {
            starts.insert(0, 0);
        }
        let ends = starts.iter().skip(1).copied().chain([order.len()]).collect::<Vec<_>>();
        starts.into_iter().zip(ends).map(|(a, b)| a..b).collect()
    }

    /// An acknowledged append that no read shows, although ops of one stretch lie before and after it. Sound: inside
    /// a stretch it would be seen by whatever read shows the end of that.
    fn lost(&self, order: &[usize], append: usize) -> Option<Vec<usize>> {
        let op = &self.ops[append];
        self.stretches(order).into_iter().find_map(|stretch| {
            let ops = &order[stretch];
            let first = ops.iter().copied().min_by_key(|i| self.ops[*i].res)?;
            let last = ops.iter().copied().max_by_key(|i| self.ops[*i].inv)?;
            (precedes(self.ops[first].res, op.inv) && precedes(op.res, self.ops[last].inv))
                .then(|| vec![first, append, last])
        })
    }

    /// Each append that no read shows goes to the first end of a stretch where real time allows it. `None` where one
    /// finds no such place: another order of the stretches might have it.
    fn fit_in(&self, order: Vec<usize>, mut unseen: Vec<usize>) -> Option<Vec<usize>> {
        let slots: Vec<usize> =
            (0..=order.len()).filter(|k| *k == order.len() || is_put(&self.ops[order[*k]])).collect();
        let mut last_inv = vec![0; order.len() + 1];
        let mut first_res = vec![u32::MAX; order.len() + 1];
        for k in 0..order.len() {
            last_inv[k + 1] = last_inv[k].max(self.ops[order[k]].inv);
            let back = order.len() - 1 - k;
            first_res[back] = first_res[back + 1].min(self.ops[order[back]].res);
        }
        unseen.sort_by_key(|u| self.ops[*u].inv);
        let mut merged = Vec::with_capacity(order.len() + unseen.len());
        let mut copied = 0;
        for u in unseen {
            let at = slots.partition_point(|k| first_res[*k] < self.ops[u].inv);
            let slot = *slots.get(at)?;
            if last_inv[slot] > self.ops[u].res {
                return None;
            }
            merged.extend_from_slice(&order[copied..slot]);
            copied = slot;
            merged.push(u);
        }
        merged.extend_from_slice(&order[copied..]);
        Some(merged)
    }

    /// The put that began the state of an op, if it is known.
    fn began(&self, i: usize) -> Option<usize> {
        let shown = match self.reads.get(&i) {
            Some(made_of) => made_of,
            None => self.reads.get(&self.before.get(&i)?.1)?,
        };
        shown.first().copied().filter(|p| is_put(&self.ops[*p]))
    }

    /// A core completed by what shows the place of its appends, its texts reduced to the parts that are in it. Sound:
    /// leaving appends out of a history and out of all that was read keeps an order, and so does leaving out a
    /// put together with all that was read of it.
    fn reduced(&self, core: &[usize]) -> (Vec<usize>, Vec<Timed<Text>>) {
        let mut all: BTreeSet<usize> = core.iter().copied().collect();
        all.extend(core.iter().filter_map(|i| self.before.get(i)).map(|b| b.1));
        let began: Vec<usize> = all.iter().filter_map(|i| self.began(*i)).collect();
        all.extend(began);
        let keep = |made_of: &Vec<usize>| -> String {
            made_of
                .iter()
                .filter(|p| all.contains(p))
                .filter_map(|p| part(&self.ops[*p]).map(|t| &**t))
                .collect()
        };
        let mut core: Vec<usize> = all.iter().copied().collect();
        core.sort_by_key(|i| self.ops[*i].inv);
        let list = core.iter().map(|i| {
            let op = &self.ops[*i];
            let made_of = self.reads.get(i).cloned().or_else(|| self.parse(seen(op)?));
            let reply = match made_of.filter(|_| seen(op).is_some()) {
                Some(made_of) => Some(TextReply::Is(keep(&made_of).into())),
                None => op.reply.clone(),
            };
            Timed { reply, ..op.clone() }
        });
        let list = list.collect();
        (core, list)
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{:?} …", &text[..at]),
        None => format!("{text:?}"),
    }
}

impl Bind for Text {
    const NOUN: &'static str = "text";

    fn take(&self, op: &Op<'_>, history: &History) -> Result<Option<Taken<Self>>, String> {
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        let text = |v: ValueId| match history.value(v) {
            Value::Null => Ok("".into()),
            Value::Text(text) => Ok(Arc::from(text)),
            other => Err(format!("op #{}: {other} is no text", op.id.0)),
        };
        Ok(Some(match (op.f(), op.reply()) {
            ("read", ReplyId::Read(v)) => (TextCall::Get, Some(TextReply::Is(text(v)?))),
            ("read", _) => (TextCall::Get, done_or(op, TextReply::Done)),
            ("write", _) => (TextCall::Put(text(op.arg())?), done_or(op, TextReply::Done)),
            ("append", _) => (TextCall::Append(text(op.arg())?), done_or(op, TextReply::Done)),
            _ => return unknown(op, Self::NOUN),
        }))
    }

    fn tell(&self, ops: &Ops, core: &[usize], story: &Story<'_>) -> Option<(&'static str, Vec<String>)> {
        let mut order = core.to_vec();
        order.sort_by_key(|i| ops[*i].inv);
        let bad = order.iter().copied().filter(|i| seen(&ops[*i]).is_some()).max_by_key(|i| ops[*i].res)?;
        let text = seen(&ops[bad])?;
        let head =
            format!("{} is not linearizable: {} returned {}", story.subject(), story.full(bad), short(text));
        let replaced =
            |i: usize| order.iter().any(|p| is_put(&ops[*p]) && !precedes(ops[*p].res, ops[i].inv));
        let missing = |i: &usize| {
            let early = !is_put(&ops[*i]) && precedes(ops[*i].res, ops[bad].inv) && !replaced(*i);
            early && part(&ops[*i]).is_some_and(|p| !text.contains(&**p))
        };
        let (pattern, mut words) = match (order.as_slice(), order.iter().find(|i| missing(i))) {
            ([_], _) => (
                "thin-air read",
                vec![
                    format!("{head}, which is not made of what was put and appended."),
                    "No call that succeeded or may have succeeded adds the rest of it before that.".into(),
                ],
            ),
            (_, Some(lost)) => (
                "lost append",
                vec![
                    format!(
                        "{head}, without {}, which {} had appended.",
                        part(&ops[*lost]).map_or(String::new(), |p| short(p)),
                        story.full(*lost)
                    ),
                    format!(
                        "{} was acknowledged {} before {} began, and nothing here replaces the text in between.",
                        capital(&story.short(*lost)),
                        story.gap(*lost, bad),
                        story.short(bad)
                    ),
                ],
            ),
            _ => ("texts contradict", vec![format!("{head}, which does not go with what others saw.")]),
        };
        for i in order.iter().filter(|i| **i != bad).take(4) {
            let what = match (part(&ops[*i]), seen(&ops[*i])) {
                (Some(part), _) => format!("asked for {}", short(part)),
                (_, Some(text)) => format!("returned {}", short(text)),
                _ => continue,
            };
            words.push(format!("{} {what}.", capital(&story.full(*i))));
        }
        words.extend(story.strike(bad));
        Some((pattern, words))
    }

    fn show(&self, state: &Arc<str>, _: &History) -> String {
        short(state)
    }

    fn refusal(&self, state: &Arc<str>, op: &Timed<Self>, _: &History) -> String {
        match seen(op) {
            Some(text) => format!("needs {}, the text is {}", short(text), short(state)),
            None => "does not fit".into(),
        }
    }
}
