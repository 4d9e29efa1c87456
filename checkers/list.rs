//! Append-only lists: are all reads prefixes of one list that holds every acknowledged element once?
//!
//! Closed tests, read by read. The exact search is `linearizable`'s; this one also judges histories that are too
//! broken for it, and says how many elements are gone.

use crate::linearizable::story::{capital, full, span};
use crate::presence::{Breach, Collection, Kind, Read, of};
use crate::set::judge;
use crate::verdict::{Findings, Model};
use crate::{Budget, Checker};
use history::{History, OpId, Value};
use std::collections::BTreeMap;

pub struct List;

impl Checker for List {
    fn name(&self) -> &'static str {
        "list"
    }

    fn about(&self) -> &'static str {
        "All reads must be prefixes of one list, in the order of real time, with every acknowledged element once."
    }

    fn blind_to(&self) -> &'static str {
        "What came after the longest read."
    }

    fn check(&self, history: &History, _: &Budget) -> Findings {
        judge(self.name(), "append", Model::Prefixes, "list", history, order)
    }
}

/// Reads that are no prefixes of the longest one, and elements against the order of real time.
fn order<'h>(list: &Collection<'h>, history: &'h History) -> Vec<(&'static str, Breach)> {
    let Some(longest) = list.reads.iter().max_by_key(|r| (r.elements.len(), std::cmp::Reverse(r.op.inv())))
    else {
        return Vec::new();
    };
    let mut found: Vec<(&'static str, Breach)> = list
        .reads
        .iter()
        .filter(|r| !longest.elements.starts_with(r.elements))
        .map(|r| ("forked reads", forked(list, r, longest, history)))
        .collect();
    found.extend(inverted(list, longest, history).map(|b| ("order inversion", b)));
    found
}

fn add_of(list: &Collection<'_>, element: &Value) -> Option<OpId> {
    list.adds.get(element)?.first().map(|a| a.id)
}

fn forked<'h>(list: &Collection<'h>, read: &Read<'h>, longest: &Read<'h>, history: &History) -> Breach {
    let at = read.elements.iter().zip(longest.elements).position(|(a, b)| a != b).unwrap_or(0);
    let (mine, theirs) = (&read.elements[at], &longest.elements[at]);
    let mut ops = vec![read.op.id, longest.op.id];
    ops.extend(add_of(list, mine).into_iter().chain(add_of(list, theirs)));
    ops.sort();
    ops.dedup();
    Breach {
        kind: Kind::Lost,
        element: mine.clone(),
        ops,
        read: if read.op.res() > longest.op.res() { read.op.id } else { longest.op.id },
        says: format!(
            "{} and {} disagree at position {at}: one has {mine}, the other {theirs}.",
            full(&read.op, history),
            full(&longest.op, history)
        ),
        because: "Nothing is ever taken out of the list, so neither read can have grown out of the other."
            .into(),
    }
}

/// Two elements of one read, the later of which was acknowledged before the earlier was asked for.
fn inverted<'h>(list: &Collection<'h>, read: &Read<'h>, history: &History) -> Option<Breach> {
    let mut first: BTreeMap<&Value, usize> = BTreeMap::new();
    read.elements.iter().enumerate().for_each(|(i, e)| {
        first.entry(e).or_insert(i);
    });
    let mut latest: Option<(&Value, &history::Op<'h>)> = None;
    for (i, element) in read.elements.iter().enumerate().filter(|(i, e)| first[e] == *i) {
        let [add] = list.adds.get(element)?.as_slice() else { return None };
        if let Some((before, other)) = latest.filter(|(_, other)| add.res() < other.inv()) {
            let mut ops = vec![add.id, other.id, read.op.id];
            ops.sort();
            return Some(Breach {
                kind: Kind::Lost,
                element: element.clone(),
                ops,
                read: read.op.id,
                says: format!(
                    "{} has {before} before {element} (position {i}), but they were asked for in the opposite order.",
                    full(&read.op, history)
                ),
                because: format!(
                    "{} was acknowledged {} before {} was invoked.",
                    capital(&of(add, element, history)),
                    span(other.invoked().saturating_sub(add.completed().unwrap_or(0))),
                    of(other, before, history)
                ),
            });
        }
        if latest.is_none_or(|(_, other)| other.inv() < add.inv()) {
            latest = Some((element, add));
        }
    }
    None
}
