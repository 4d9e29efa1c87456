//! The closed tests for registers: small contradictions that need no search, and the sentences that tell them.
//!
//! Each takes the op at whose completion nothing was left and looks for two or three others that refuse it:
//! thin-air read, future read, stale read, new/old inversion, lost update. Not complete: where none fits,
//! `explain.rs` shrinks instead.

use super::bind::Bind;
use super::explain::Claim;
use super::objects::{Register, RegisterCall, RegisterReply};
use super::spec::{Timed, precedes};
use super::story::{Story, capital};
use history::{OutcomeKind, ValueId};

type Ops<'a> = &'a [Timed<Register>];

/// A contradiction that ends with `bad`, an ok op.
pub fn claim(spec: &Register, ops: Ops, bad: usize, story: &Story<'_>) -> Option<Claim<Register>> {
    let value = spec.sees(&ops[bad])?;
    // Nothing makes what it sees.
    let made = |i: &usize| !precedes(ops[bad].res, ops[*i].inv) && spec.makes(&ops[*i]) == Some(value);
    let producers: Vec<usize> = (0..ops.len()).filter(made).collect();
    let initial = spec.init == value;
    if producers.is_empty() && !initial {
        return Some(unwritten(bad, value, story));
    }
    double_cas(spec, ops, bad, value, &producers, initial, story)
        .or_else(|| overwritten(spec, ops, bad, value, &producers, initial, story))
}

/// Nobody wrote it: not yet, or never, or the write had failed.
fn unwritten(bad: usize, value: ValueId, story: &Story<'_>) -> Claim<Register> {
    let me = story.op(bad);
    let shown = story.value(value);
    let writes = |op: &history::Op<'_>| {
        op.key() == me.key()
            && op.id != me.id
            && (op.cas().map_or(op.f() == "write" && op.arg() == value, |c| c.1 == value))
    };
    let others: Vec<_> = story.history.ops().filter(writes).collect();
    let verb = if me.f() == "read" { "returned" } else { "succeeded by finding" };
    let told = format!("{} is not linearizable: {} {verb} {shown}", story.subject(), story.full(bad));
    let later = others.iter().find(|op| op.kind() != OutcomeKind::Fail);
    let (pattern, words, also) = match (later, others.first()) {
        (Some(later), _) => (
            "future read",
            vec![
                format!("{told} before anybody had asked to write it."),
                format!(
                    "The first write of {shown} is #{}, which was invoked {} after #{} had completed.",
                    later.id.0,
                    super::story::span(later.invoked().saturating_sub(me.completed().unwrap_or(0))),
                    me.id.0
                ),
            ],
            vec![later.id],
        ),
        (None, Some(failed)) => (
            "thin-air read",
            vec![
                format!("{told}, which only a failed write ever tried to store."),
                format!(
                    "{} was answered with a definite failure ({}), so its value must never be seen.",
                    capital(&super::story::full(failed, story.history)),
                    failed.error().unwrap_or_default()
                ),
            ],
            vec![failed.id],
        ),
        (None, None) => (
            "thin-air read",
            vec![
                format!("{told}, which nobody ever wrote."),
                format!(
                    "No call in the whole history writes {shown} to it, and it starts as {}.",
                    story.value(ValueId::NULL)
                ),
            ],
            vec![],
        ),
    };
    Claim {
        pattern,
        core: vec![bad],
        also,
        groups: vec![],
        words: with_strike(words, bad, story),
        of: Default::default(),
    }
}

fn with_strike(mut words: Vec<String>, i: usize, story: &Story<'_>) -> Vec<String> {
    words.extend(story.strike(i));
    words
}

/// More successful cas from a value than times that the value can have been stored.
fn double_cas(
    spec: &Register,
    ops: Ops,
    bad: usize,
    value: ValueId,
    producers: &[usize],
    initial: bool,
    story: &Story<'_>,
) -> Option<Claim<Register>> {
    let away = |i: &usize| {
        matches!(ops[*i].call, RegisterCall::Cas(old, new) if old == value && new != value)
            && ops[*i].reply == Some(RegisterReply::Done)
    };
    if !away(&bad) {
        return None;
    }
    let all: Vec<usize> = (0..ops.len()).filter(away).collect();
    let times = producers.len() + initial as usize;
    if all.len() <= times {
        return None;
    }
    let other = all.iter().copied().find(|i| *i != bad)?;
    let _ = spec;
    let shown = story.value(value);
    let source = match (producers, initial) {
        ([], _) => format!("{shown} is the initial value and nobody had stored it again"),
        ([one], false) => format!("{shown} was stored once, by {}", story.full(*one)),
        _ => format!("{shown} can have been there {times} times at most"),
    };
    let words = vec![
        format!(
            "{} is not linearizable: {} compare-and-sets succeeded from {shown}, but only {times} can have found it.",
            story.subject(),
            all.len()
        ),
        format!("{} and {} both replaced {shown}.", capital(&story.full(other)), story.full(bad)),
        format!("{source}; one of the updates was lost."),
    ];
    let mut core = all;
    let groups = few_or_line(&mut core, producers, &shown);
    Some(Claim {
        pattern: "lost update",
        core,
        also: vec![],
        groups,
        words: with_strike(words, bad, story),
        of: Default::default(),
    })
}

/// One producer belongs to the core; many are one line.
fn few_or_line(core: &mut Vec<usize>, producers: &[usize], shown: &str) -> Vec<(Vec<usize>, String)> {
    if producers.len() > 1 {
        return vec![(producers.to_vec(), format!("all {} writes of {shown}", producers.len()))];
    }
    core.extend_from_slice(producers);
    vec![]
}

/// Another value was certainly there after every store of this one and before the op that saw this one began.
fn overwritten(
    spec: &Register,
    ops: Ops,
    bad: usize,
    value: ValueId,
    producers: &[usize],
    initial: bool,
    story: &Story<'_>,
) -> Option<Claim<Register>> {
    let users = (0..ops.len()).filter(|i| *i != bad && ops[*i].is_ok() && spec.sees(&ops[*i]) == Some(value));
    // The moment by which every store of the value had happened, and the op that proves it. A value stored once
    // had been stored when the first op that saw it completed.
    let settled = match (producers, initial) {
        ([one], false) => users.chain([*one]).min_by_key(|i| ops[*i].res),
        _ => producers.iter().copied().max_by_key(|i| ops[*i].res),
    };
    // A value stored once and replaced by a successful cas is gone, whenever it was stored.
    let once = producers.len() + initial as usize == 1;
    let away = |i: &usize| {
        matches!(ops[*i].call, RegisterCall::Cas(old, new) if old == value && new != value)
            && ops[*i].reply == Some(RegisterReply::Done)
    };
    let replaced = (0..ops.len())
        .filter(|i| once && away(i) && precedes(ops[*i].res, ops[bad].inv))
        .min_by_key(|i| ops[*i].res);
    if let Some(cas) = replaced {
        let mut core = producers.to_vec();
        core.extend([cas, bad]);
        let pattern = if story.op(bad).f() == "read" { "stale read" } else { "lost update" };
        let words = tell_replaced(spec, ops, bad, cas, value, producers, story);
        return Some(Claim { pattern, core, also: vec![], groups: vec![], words, of: Default::default() });
    }
    let inside = |i: &usize| {
        settled.is_none_or(|s| precedes(ops[s].res, ops[*i].inv)) && precedes(ops[*i].res, ops[bad].inv)
    };
    let other = |v: Option<ValueId>| v.is_some_and(|w| w != value);
    let writer =
        (0..ops.len()).filter(inside).filter(|i| other(spec.makes(&ops[*i]))).min_by_key(|i| ops[*i].res);
    let reader =
        (0..ops.len()).filter(inside).filter(|i| other(spec.sees(&ops[*i]))).min_by_key(|i| ops[*i].res);
    let shown = story.value(value);
    let first = match (producers, settled) {
        (_, None) => format!("{shown} is the initial value and nobody had stored it again"),
        ([one], Some(by)) if by == *one => format!("{} completed", capital(&story.making(*one, value))),
        ([one], Some(by)) => {
            format!("{} had taken effect when {} saw it", capital(&story.making(*one, value)), story.full(by))
        }
        (many, Some(_)) => format!("All {} writes of {shown} had completed", many.len()),
    };
    let (pattern, between, words) = match (writer, reader) {
        (Some(w), _) => {
            let new = spec.makes(&ops[w]).unwrap_or(value);
            (
                if story.op(bad).f() == "read" { "stale read" } else { "lost update" },
                w,
                tell_overwritten(bad, w, new, &shown, settled, &first, story),
            )
        }
        (None, Some(r)) => {
            let new = spec.sees(&ops[r]).map(|v| story.value(v)).unwrap_or_default();
            ("new/old inversion", r, tell_inverted(bad, r, &new, &shown, settled, &first, story))
        }
        (None, None) => return None,
    };
    let mut core = vec![between, bad];
    let mut groups = few_or_line(&mut core, producers, &shown);
    core.extend(settled);
    // What a value that was only seen came from, so that the core stands alone.
    if let Some(new) = spec.sees(&ops[between]).filter(|_| pattern == "new/old inversion") {
        let source =
            |i: &usize| spec.makes(&ops[*i]) == Some(new) && !precedes(ops[between].res, ops[*i].inv);
        let sources: Vec<usize> = (0..ops.len()).filter(source).collect();
        groups.extend(few_or_line(&mut core, &sources, &story.value(new)));
    }
    Some(Claim {
        pattern,
        core,
        also: vec![],
        groups,
        words: with_strike(words, bad, story),
        of: Default::default(),
    })
}

fn tell_replaced(
    spec: &Register,
    ops: Ops,
    bad: usize,
    cas: usize,
    value: ValueId,
    producers: &[usize],
    story: &Story<'_>,
) -> Vec<String> {
    let shown = story.value(value);
    let new = spec.makes(&ops[cas]).unwrap_or(value);
    let verb = if story.op(bad).f() == "read" { "returned" } else { "succeeded by finding" };
    let source = match producers {
        [one] => format!("It was stored once only, by {}", story.making(*one, value)),
        _ => "It is the initial value, and nobody had stored it again".into(),
    };
    let words = vec![
        format!(
            "{} is not linearizable: {} {verb} {shown}, although {} had replaced it with {} before #{} began.",
            story.subject(),
            story.full(bad),
            story.short(cas),
            story.value(new),
            story.op(bad).id.0
        ),
        format!(
            "{} found {shown} and was acknowledged {} before {} began.",
            capital(&story.full(cas)),
            story.gap(cas, bad),
            story.short(bad)
        ),
        format!("{source}, so it could not come back."),
    ];
    with_strike(words, bad, story)
}

fn tell_overwritten(
    bad: usize,
    write: usize,
    new: ValueId,
    old: &str,
    settled: Option<usize>,
    first: &str,
    story: &Story<'_>,
) -> Vec<String> {
    let verb = if story.op(bad).f() == "read" { "returned" } else { "succeeded by finding" };
    let before = match settled {
        Some(by) => {
            format!("{first} {} before {} was invoked.", story.gap(by, write), story.making(write, new))
        }
        None => format!("{first}; {} replaced it.", story.making(write, new)),
    };
    let new = story.value(new);
    vec![
        format!(
            "{} is not linearizable: {} {verb} {old}, although {} had replaced it with {new} before #{} began.",
            story.subject(),
            story.full(bad),
            story.short(write),
            story.op(bad).id.0
        ),
        before,
        format!(
            "#{} was acknowledged {} before {} began, so {old} was no longer there to be found.",
            story.op(write).id.0,
            story.gap(write, bad),
            story.short(bad)
        ),
    ]
}

fn tell_inverted(
    bad: usize,
    read: usize,
    new: &str,
    old: &str,
    settled: Option<usize>,
    first: &str,
    story: &Story<'_>,
) -> Vec<String> {
    let before = match settled {
        Some(by) => format!("{first} {} before {} began.", story.gap(by, read), story.short(read)),
        None => format!("{first}."),
    };
    vec![
        format!(
            "{} is not linearizable: {} found {old}, although {} had already found {new} before it began.",
            story.subject(),
            story.full(bad),
            story.full(read)
        ),
        before,
        format!(
            "{} completed with {new} {} before {} began: the value went back from {new} to {old}.",
            capital(&story.short(read)),
            story.gap(read, bad),
            story.short(bad)
        ),
    ]
}

/// Two values that must each precede the other. Of a value that was there twice its times say nothing.
pub fn tell(
    spec: &Register,
    ops: Ops,
    core: &[usize],
    story: &Story<'_>,
) -> Option<(&'static str, Vec<String>)> {
    let mut made: Vec<ValueId> =
        core.iter().filter_map(|i| spec.makes(&ops[*i])).chain([spec.init]).collect();
    made.sort_unstable();
    if made.windows(2).any(|two| two[0] == two[1]) {
        return None;
    }
    let mut words = Vec::new();
    for a in core {
        for b in core {
            let of = |i: usize| spec.makes(&ops[i]).or(spec.sees(&ops[i]));
            if let (Some(x), Some(y)) = (of(*a), of(*b))
                && x != y
                && precedes(ops[*a].res, ops[*b].inv)
            {
                words.push(format!(
                    "{} ({}) completed {} before {} ({}) was invoked, so {} came first.",
                    capital(&story.full(*a)),
                    story.value(x),
                    story.gap(*a, *b),
                    story.full(*b),
                    story.value(y),
                    story.value(x)
                ));
            }
        }
    }
    if words.len() < 2 {
        return None;
    }
    words.truncate(4);
    let first = format!(
        "{} is not linearizable: by the times of these {} ops, two values must each have come before the other.",
        story.subject(),
        core.len()
    );
    words.insert(0, first);
    Some(("crossed values", words))
}
