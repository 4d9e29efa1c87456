//! The sentences for lists and sets: what a contradiction between a few of their ops means.
//!
//! The ops come from `levels.rs`, which found that they contradict each other; here they only get words.

use super::levels::Leveled;
use super::spec::{Timed, precedes};
use super::story::{Story, capital};
use history::ValueId;

/// The pattern and its words for a core of at most four ops.
pub fn collection<S: Leveled>(
    ops: &[Timed<S>],
    core: &[usize],
    story: &Story<'_>,
) -> Option<(&'static str, Vec<String>)> {
    let seen = |i: usize| ops[i].reply.as_ref().and_then(S::seen);
    let reads: Vec<usize> = core.iter().copied().filter(|i| seen(*i).is_some()).collect();
    let adds: Vec<(usize, ValueId)> =
        core.iter().filter_map(|i| Some((*i, S::added(&ops[*i].call)?))).collect();
    let head = format!("{} is not linearizable:", story.subject());
    let has = |r: usize, v: ValueId| seen(r).is_some_and(|s| s.contains(&v));
    let before = |a: usize, b: usize| precedes(ops[a].res, ops[b].inv);
    let done = |pattern, mut words: Vec<String>, about: usize| {
        words.extend(story.strike(about));
        Some((pattern, words))
    };
    if let ([read], []) = (reads.as_slice(), adds.as_slice()) {
        let words = vec![
            format!("{head} {} returned an element that nobody had added.", story.full(*read)),
            "No call that succeeded or may have succeeded adds it before that.".into(),
        ];
        return done("thin-air read", words, *read);
    }
    for read in &reads {
        for (add, v) in &adds {
            let shown = story.value(*v);
            let times = seen(*read).map_or(0, |s| s.iter().filter(|w| *w == v).count());
            if times > 1 {
                let words = vec![
                    format!("{head} {} returned {shown} {times} times.", story.full(*read)),
                    format!(
                        "{} is the only call that adds it: it was applied more than once.",
                        capital(&story.full(*add))
                    ),
                ];
                return done("duplicate element", words, *read);
            }
            if times == 0 && before(*add, *read) {
                let words = vec![
                    format!(
                        "{head} {} did not return {shown}, which {} had added before it began.",
                        story.full(*read),
                        story.short(*add)
                    ),
                    format!(
                        "{} was acknowledged {} before {} was invoked.",
                        capital(&story.making(*add, *v)),
                        story.gap(*add, *read),
                        story.short(*read)
                    ),
                ];
                return done("lost element", words, *read);
            }
            if times == 1 && before(*read, *add) {
                let words = vec![
                    format!(
                        "{head} {} returned {shown} before anybody had asked to add it.",
                        story.full(*read)
                    ),
                    format!(
                        "{} was invoked {} after {} had completed.",
                        capital(&story.full(*add)),
                        story.gap(*read, *add),
                        story.short(*read)
                    ),
                ];
                return done("future read", words, *read);
            }
        }
    }
    for (a, b) in reads.iter().flat_map(|a| reads.iter().map(move |b| (*a, *b))) {
        if let Some((_, v)) = adds.iter().find(|(_, v)| has(a, *v) && !has(b, *v))
            && before(a, b)
        {
            let shown = story.value(*v);
            let words = vec![
                format!(
                    "{head} {} no longer returned {shown}, which {} had seen.",
                    story.full(b),
                    story.full(a)
                ),
                format!(
                    "{} completed with {shown} {} before {} was invoked, and nothing removes elements.",
                    capital(&story.short(a)),
                    story.gap(a, b),
                    story.short(b)
                ),
            ];
            return done("element vanished", words, b);
        }
    }
    if let ([a, b], [(_, v), (_, w), ..]) = (reads.as_slice(), adds.as_slice()) {
        let words = vec![
            format!(
                "{head} {} and {} cannot both be prefixes of one history.",
                story.full(*a),
                story.full(*b)
            ),
            format!(
                "They disagree about {} and {}: neither read can have grown out of the other.",
                story.value(*v),
                story.value(*w)
            ),
        ];
        return done("forked reads", words, *b);
    }
    if let ([read], [(x, v), (y, w)]) = (reads.as_slice(), adds.as_slice()) {
        let (first, second) = if before(*x, *y) { ((*x, *v), (*y, *w)) } else { ((*y, *w), (*x, *v)) };
        let words = vec![
            format!(
                "{head} {} shows {} in effect before {}, but they were asked for in the opposite order.",
                story.full(*read),
                story.value(second.1),
                story.value(first.1)
            ),
            format!(
                "{} was acknowledged {} before {} was invoked.",
                capital(&story.making(first.0, first.1)),
                story.gap(first.0, second.0),
                story.making(second.0, second.1)
            ),
        ];
        return done("order inversion", words, *read);
    }
    None
}
