//! The sentences for queues, stacks and priority queues: what a contradiction between a few of their ops means.
//!
//! Each fact that a sentence states is looked up in the ops again, whoever found the contradiction; where the facts do
//! not make a contradiction by themselves, there is no sentence.

use super::collections::Collection;
use super::explain::Claim;
use super::spec::{OPEN, Pos, Timed, precedes};
use super::story::{Story, capital, list, span};
use history::{Op, OutcomeKind};
use std::collections::BTreeMap;

/// An object whose order can be wrong in its own way.
pub trait Inverted: Collection + Sized {
    /// The words for elements that came out in a wrong order.
    fn inversion(&self, told: &Told<'_, Self>) -> Option<Vec<String>>;
}

/// An element of a contradiction: put in once, returned at most once.
#[derive(Clone, Copy)]
pub struct Element {
    pub put: usize,
    pub take: Option<usize>,
}

/// A contradiction among elements that were put in once.
pub struct Told<'a, S: Collection> {
    pub ops: &'a [Timed<S>],
    pub story: &'a Story<'a>,
    pub elements: Vec<Element>,
    /// From here on elements may leave unseen.
    leave: Pos,
}

/// The pattern and its words, if the core is one of the known kinds.
pub fn tell<S: Inverted>(
    spec: &S,
    ops: &[Timed<S>],
    core: &[usize],
    story: &Story<'_>,
) -> Option<(&'static str, Vec<String>)> {
    let mut puts: BTreeMap<S::Item, Vec<usize>> = BTreeMap::new();
    let mut takes: BTreeMap<S::Item, Vec<usize>> = BTreeMap::new();
    let mut empties = Vec::new();
    for i in core.iter().copied() {
        match (S::put(&ops[i].call), ops[i].reply.as_ref()) {
            (Some(item), _) => puts.entry(item).or_default().push(i),
            (None, Some(reply)) => match S::took(reply) {
                Some(item) => takes.entry(item).or_default().push(i),
                None => empties.push(i),
            },
            (None, None) => {}
        }
    }
    let all = |item: &S::Item| {
        let item = *item;
        (0..ops.len()).filter(move |i| S::put(&ops[*i].call) == Some(item))
    };
    for (item, of) in &takes {
        let sources: Vec<usize> = all(item).collect();
        if let Some(told) = overdrawn(ops, story, &sources, of) {
            return Some(told);
        }
    }
    // From here on each element has one life.
    if takes.keys().any(|item| !puts.contains_key(item)) || puts.keys().any(|item| all(item).count() > 1) {
        return None;
    }
    let life =
        |(item, put): (&S::Item, &Vec<usize>)| Element { put: put[0], take: takes.get(item).map(|of| of[0]) };
    let leave = ops.iter().filter(|o| !o.is_ok() && S::put(&o.call).is_none()).map(|o| o.inv).min();
    let elements: Vec<Element> = puts.iter().map(life).collect();
    let told = Told { ops, story, elements, leave: leave.unwrap_or(OPEN) };
    let (pattern, mut words, about) = match empties.as_slice() {
        [] => {
            let last = told.elements.iter().filter_map(|e| e.take).max_by_key(|i| ops[*i].res)?;
            ("order inversion", spec.inversion(&told)?, last)
        }
        [nothing] => {
            let (pattern, words) = told.nothing(*nothing)?;
            (pattern, words, *nothing)
        }
        _ => return None,
    };
    words.extend(story.strike(about));
    Some((pattern, words))
}

/// Returned more often than put in, or before it was.
fn overdrawn<S: Collection>(
    ops: &[Timed<S>],
    story: &Story<'_>,
    puts: &[usize],
    takes: &[usize],
) -> Option<(&'static str, Vec<String>)> {
    let head = format!("{} is not linearizable:", story.subject());
    let mut takes = takes.to_vec();
    takes.sort_by_key(|i| ops[*i].res);
    let (last, before) = takes.split_last()?;
    let shown = story.value(story.op(*last).read()?);
    let (pattern, mut words) = match (puts, before) {
        ([], _) => ("thin-air value", nowhere::<S>(&head, &story.full(*last), &shown)),
        ([put], []) if precedes(ops[*last].res, ops[*put].inv) => {
            let late = format!(
                "{} was invoked {} after {} had completed.",
                capital(&story.full(*put)),
                story.gap(*last, *put),
                story.short(*last)
            );
            (S::FUTURE, vec![too_early::<S>(&head, &story.full(*last), &shown), late])
        }
        ([put], [first, ..]) => {
            let first = *first;
            let when = match precedes(ops[first].res, ops[*last].inv) {
                true => format!(
                    "{} began {} after {} had completed",
                    capital(&story.short(*last)),
                    story.gap(first, *last),
                    story.short(first)
                ),
                false => "Both ran at the same time".into(),
            };
            let (last, first) = (story.full(*last), story.full(first));
            let words = vec![
                format!("{head} {last} returned {shown}, which {first} returned too."),
                format!(
                    "{} is the only call that can have {} {shown}: it was delivered twice.",
                    capital(&story.full(*put)),
                    S::PAST
                ),
                format!("{when}."),
            ];
            ("duplicate delivery", words)
        }
        (_, before) if before.len() >= puts.len() => {
            let names: Vec<String> = before.iter().map(|i| format!("#{}", story.op(*i).id.0)).collect();
            let words = vec![
                format!("{head} {} returned {shown} once more than it was {}.", story.full(*last), S::PAST),
                format!(
                    "At most {} calls {} {shown}, and {} had returned it already.",
                    puts.len(),
                    S::PAST,
                    list(&names)
                ),
            ];
            ("duplicate delivery", words)
        }
        _ => return None,
    };
    words.extend(story.strike(*last));
    Some((pattern, words))
}

fn nowhere<S: Collection>(head: &str, take: &str, shown: &str) -> Vec<String> {
    vec![
        format!("{head} {take} returned {shown}, which nobody had {}.", S::PAST),
        format!("No call that succeeded or may have succeeded {} {shown}.", S::PAST),
    ]
}

fn too_early<S: Collection>(head: &str, take: &str, shown: &str) -> String {
    format!("{head} {take} returned {shown} before anybody had asked to {} it.", S::PUT)
}

/// Claims an element returned that nobody had put in yet, whatever happened afterwards.
pub fn from_nowhere<S: Collection>(ops: &[Timed<S>], bad: usize, story: &Story<'_>) -> Option<Claim<S>> {
    let item = ops[bad].reply.as_ref().and_then(S::took)?;
    if ops.iter().any(|o| S::put(&o.call) == Some(item) && !precedes(ops[bad].res, o.inv)) {
        return None;
    }
    let take = story.op(bad);
    let value = take.read()?;
    let (head, shown) = (format!("{} is not linearizable:", story.subject()), story.value(value));
    let puts = |o: &Op<'_>| o.f() == S::PUT && o.key() == take.key() && o.arg() == value;
    let all = || story.history.ops().filter(puts);
    let (pattern, mut words, also) = match all().find(|o| o.kind() != OutcomeKind::Fail) {
        Some(put) => {
            let late = match put.invoked().saturating_sub(take.completed().unwrap_or(0)) {
                0 => "just".into(),
                ns => span(ns),
            };
            let first = too_early::<S>(&head, &story.full(bad), &shown);
            let begun = format!(
                "The first call that did, {} #{} by process {}, was invoked {late} after {} had completed.",
                put.f(),
                put.id.0,
                put.process().0,
                story.short(bad)
            );
            (S::FUTURE, vec![first, begun], vec![put.id])
        }
        None => {
            let mut words = nowhere::<S>(&head, &story.full(bad), &shown);
            words.extend(all().next().map(|o| {
                format!(
                    "{} #{} of it was answered with a failure: it certainly did not happen.",
                    capital(o.f()),
                    o.id.0
                )
            }));
            ("thin-air value", words, Vec::new())
        }
    };
    words.extend(story.strike(bad));
    Some(Claim { pattern, core: vec![bad], also, groups: Vec::new(), words, of: std::marker::PhantomData })
}

impl<S: Collection> Told<'_, S> {
    pub fn head(&self) -> String {
        format!("{} is not linearizable:", self.story.subject())
    }

    pub fn name(&self, e: &Element) -> String {
        self.story.value(self.story.op(e.put).arg())
    }

    /// Certainly inside strictly between the two.
    fn stretch(&self, e: &Element) -> (Pos, Pos) {
        let until = e.take.map_or(self.leave, |t| self.ops[t].inv);
        (self.ops[e.put].res, until)
    }

    fn before(&self, a: usize, b: usize) -> bool {
        precedes(self.ops[a].res, self.ops[b].inv)
    }

    /// Elements such that at each moment between two events one of them is certainly inside, in turn.
    pub fn cover(&self, from: Pos, to: Pos, may: impl Fn(&Element) -> bool) -> Option<Vec<Element>> {
        let (mut at, mut chain) = (from, Vec::new());
        while at <= to {
            let inside = |e: &&Element| may(e) && self.stretch(e).0 < at && at < self.stretch(e).1;
            let best = self.elements.iter().filter(inside).max_by_key(|e| self.stretch(e).1)?;
            at = self.stretch(best).1;
            chain.push(*best);
        }
        Some(chain)
    }

    /// Whoever returned the element in the whole history, even after what is told here.
    fn returned_by(&self, e: &Element) -> Option<Op<'_>> {
        let put = self.story.op(e.put);
        self.story
            .history
            .ops()
            .find(|o| o.f() == S::TAKE && o.key() == put.key() && o.read() == Some(put.arg()))
    }

    /// What became of an element that was certainly still inside when `done` completed.
    fn fate(&self, e: &Element, done: usize) -> String {
        let name = self.name(e);
        match (e.take, self.returned_by(e)) {
            (Some(take), _) => format!(
                "{} was returned only by {}, which began {} after {} had completed.",
                capital(&name),
                self.story.short(take),
                self.story.gap(done, take),
                self.story.short(done)
            ),
            (None, Some(later)) => {
                format!("Nobody had returned {name} by then; {} #{} did later.", S::TAKE, later.id.0)
            }
            (None, None) => format!("No call ever returned {name}."),
        }
    }

    fn acknowledged(&self, put: usize, before: usize) -> String {
        format!(
            "{} was acknowledged {} before {} was invoked.",
            capital(&self.story.making(put, self.story.op(put).arg())),
            self.story.gap(put, before),
            self.story.short(before)
        )
    }

    /// How the elements of a cover relieve each other while `op` ran.
    pub fn chain(&self, chain: &[Element], op: usize) -> Vec<String> {
        if let [only] = chain {
            return vec![self.acknowledged(only.put, op), self.fate(only, op)];
        }
        let mut parts = Vec::new();
        for (i, e) in chain.iter().enumerate() {
            let since = match i.checked_sub(1).and_then(|p| chain[p].take) {
                Some(take) => format!(
                    "then {}, since {} had been acknowledged before {} began",
                    self.name(e),
                    self.story.short(e.put),
                    self.story.short(take)
                ),
                None => format!(
                    "{}, since {} had been acknowledged before it",
                    self.name(e),
                    self.story.short(e.put)
                ),
            };
            let until = e.take.filter(|_| i + 1 < chain.len());
            parts.push(match until {
                Some(take) => format!("{since} (until {} began)", self.story.short(take)),
                None => since,
            });
        }
        let mut words = vec![format!("While {} ran there was {}.", self.story.short(op), parts.join("; "))];
        words.extend(chain.last().map(|e| self.fate(e, op)));
        words
    }

    /// An empty reply while something was certainly inside.
    fn nothing(&self, op: usize) -> Option<(&'static str, Vec<String>)> {
        let chain = self.cover(self.ops[op].inv, self.ops[op].res, |_| true)?;
        let (head, full, noun) = (self.head(), self.story.full(op), self.story.noun);
        let (pattern, first) = match chain.as_slice() {
            [only] if only.take.is_none() && self.returned_by(only).is_none() && self.leave == OPEN => (
                "lost element",
                format!(
                    "{head} {full} found the {noun} empty, although {} had been {} and nobody ever returned it.",
                    self.name(only),
                    S::PAST
                ),
            ),
            [only] => (
                "empty lie",
                format!(
                    "{head} {full} found the {noun} empty, although {} was inside all the time.",
                    self.name(only)
                ),
            ),
            _ => (
                "empty lie",
                format!("{head} {full} found the {noun} empty, although it never was while the call ran."),
            ),
        };
        let mut words = vec![first];
        words.extend(self.chain(&chain, op));
        if pattern == "lost element" {
            // The first sentence has said what became of it.
            words.truncate(2);
        }
        Some((pattern, words))
    }

    fn pair(&self, fits: impl Fn(&Element, &Element) -> bool) -> Option<(Element, Element)> {
        let all = &self.elements;
        let mut pairs = all.iter().flat_map(|a| all.iter().map(move |b| (a, b)));
        pairs.find(|(a, b)| a.put != b.put && fits(a, b)).map(|(a, b)| (*a, *b))
    }

    /// The second element came out while the first was still inside.
    pub fn first_in_first_out(&self) -> Option<Vec<String>> {
        let taken = |e: &Element| e.take.map_or(OPEN, |t| self.ops[t].res);
        let (a, b) = self.pair(|a, b| self.before(a.put, b.put) && taken(b) < self.stretch(a).1)?;
        let take = b.take?;
        Some(vec![
            format!(
                "{} {} returned {}, although {} had been {} before it and was still inside.",
                self.head(),
                self.story.full(take),
                self.name(&b),
                self.name(&a),
                S::PAST
            ),
            format!(
                "{} was acknowledged {} before {} was invoked.",
                capital(&self.story.making(a.put, self.story.op(a.put).arg())),
                self.story.gap(a.put, b.put),
                self.story.making(b.put, self.story.op(b.put).arg())
            ),
            self.fate(&a, take),
        ])
    }

    /// An element came out from under another, or several bar each other in a ring.
    pub fn last_in_first_out(&self) -> Option<Vec<String>> {
        let under = |x: &Element, y: &Element| {
            x.take.is_some_and(|t| {
                self.before(x.put, y.put) && self.before(y.put, t) && self.ops[t].res < self.stretch(y).1
            })
        };
        let Some((x, y)) = self.pair(under) else { return self.ring() };
        let take = x.take?;
        Some(vec![
            format!(
                "{} {} returned {}, although {} had been {} on top of it and was still there.",
                self.head(),
                self.story.full(take),
                self.name(&x),
                self.name(&y),
                S::PAST
            ),
            format!(
                "{} was acknowledged {} before {} was invoked, and that one {} before {} was.",
                capital(&self.story.making(x.put, self.story.op(x.put).arg())),
                self.story.gap(x.put, y.put),
                self.story.making(y.put, self.story.op(y.put).arg()),
                self.story.gap(y.put, take),
                self.story.short(take)
            ),
            self.fate(&y, take),
        ])
    }

    fn ring(&self) -> Option<Vec<String>> {
        let barred = |e: &Element, op: usize| {
            self.cover(self.ops[op].inv, self.ops[op].res, |other| other.put != e.put).is_some()
        };
        let (mut names, mut ways) = (Vec::new(), Vec::new());
        for e in &self.elements {
            let op = [Some(e.put), e.take].into_iter().flatten().find(|op| barred(e, *op))?;
            names.push(self.name(e));
            ways.push(self.story.short(op));
        }
        Some(vec![
            format!(
                "{} of {} none can have been the lowest, so they cannot have come out last in, first out.",
                self.head(),
                list(&names)
            ),
            format!("During each of {} another of them was certainly inside at every moment.", list(&ways)),
        ])
    }
}
