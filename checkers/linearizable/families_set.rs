//! Histories of a set whose elements are added, removed and asked for: any length, any concurrency.
//!
//! The clients are those of `families_collections.rs`. Each call picks an element at random and is an add, a remove
//! or a question with a third each; every reply tells whether the element was there. One list of ops an element,
//! since the elements of a set that nobody reads whole are independent. Not here: sets that are read whole.

use super::families_collections::{Family, plan};
use super::objects::{Element, ElementCall as Call, ElementReply as Reply};
use super::spec::{OPEN, Pos, Timed};
use history::rng::Rng;

/// The ops of each of `elements` elements, in order of invocation; positions are those of the whole history.
/// `family.swapped`: one answer near 97 % is the opposite of what it must be. `None` if no answer can be made so.
pub fn set(family: &Family, elements: u32) -> Option<Vec<Vec<Timed<Element>>>> {
    let mut rng = Rng::new(family.seed, "set");
    let planned = plan(family, &mut rng);
    let elements = elements.max(1);
    let mut drawn: Vec<(u32, Timed<Element>)> = (0..planned.len())
        .map(|_| {
            let call = [Call::Add, Call::Remove, Call::Has][rng.below(3) as usize];
            (rng.below(elements as u64) as u32, Timed { call, reply: None, inv: 0, res: 0 })
        })
        .collect();
    let end = planned.iter().map(|p| p.to).fold(0.0, f64::max);
    let mut changing: Vec<usize> =
        (0..drawn.len()).filter(|i| drawn[*i].1.call != Call::Has && planned[*i].from < 0.9 * end).collect();
    rng.shuffle(&mut changing);
    let mut when: Vec<Option<f64>> = planned.iter().map(|p| p.at).collect();
    for (n, i) in changing.into_iter().take(family.infos as usize).enumerate() {
        drawn[i].1.res = OPEN;
        match n % 3 {
            0 => {}
            1 => when[i] = None,
            _ => when[i] = Some(planned[i].to + rng.unit() * 0.1 * end),
        }
    }
    let mut events: Vec<(f64, u8, u32)> = Vec::with_capacity(3 * drawn.len());
    for (i, p) in planned.iter().enumerate() {
        events.push((p.from, 0, i as u32));
        events.extend(when[i].map(|at| (at, 1, i as u32)));
        if drawn[i].1.res != OPEN {
            events.push((p.to, 2, i as u32));
        }
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let (mut there, mut position) = (vec![false; elements as usize], 0);
    for (_, kind, i) in events {
        let (element, op) = &mut drawn[i as usize];
        match kind {
            0 => op.inv = position,
            2 => op.res = position,
            _ => {
                let was = &mut there[*element as usize];
                if op.res != OPEN {
                    op.reply = Some(Reply::Was(*was));
                }
                *was = match op.call {
                    Call::Add => true,
                    Call::Remove => false,
                    Call::Has => *was,
                };
                continue;
            }
        }
        position += 1;
    }
    let mut parts: Vec<Vec<Timed<Element>>> = vec![Vec::new(); elements as usize];
    for (element, op) in drawn {
        parts[element as usize].push(op);
    }
    parts.iter_mut().for_each(|p| p.sort_by_key(|op| op.inv));
    (!family.swapped || contradict(&mut parts, position)).then_some(parts)
}

/// Turns one answer around where nothing was under way that could explain it: the replies of the completed changes
/// then say whether the element is there.
fn contradict(parts: &mut [Vec<Timed<Element>>], end: Pos) -> bool {
    let target = (end as u64 * 97 / 100) as Pos;
    let mut asks: Vec<(Pos, usize, usize)> = Vec::new();
    for (e, ops) in parts.iter().enumerate() {
        let ok = ops.iter().enumerate().filter(|(_, op)| op.call == Call::Has && op.is_ok());
        asks.extend(ok.map(|(i, op)| (op.inv.abs_diff(target), e, i)));
    }
    asks.sort_unstable();
    for (_, e, i) in asks {
        let ask = parts[e][i].clone();
        let open = |op: &Timed<Element>| op.call != Call::Has && op.inv < ask.res && op.res > ask.inv;
        if !parts[e].iter().any(open)
            && let Some(Reply::Was(was)) = ask.reply
        {
            parts[e][i].reply = Some(Reply::Was(!was));
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::engine::Decide;
    use super::*;

    #[test]
    fn a_set_is_valid_unless_it_is_turned_around() {
        let family = Family { ops: 3_000, clients: 10, infos: 30, swapped: false, seed: 1 };
        for (swapped, bad) in [(false, 0), (true, 1)] {
            let parts = set(&Family { swapped, ..family }, 40).unwrap();
            assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 3_000);
            assert_eq!(parts.iter().flatten().filter(|op| !op.is_ok()).count(), 30);
            let refused = parts.iter().filter(|ops| Element.decide(ops).unwrap().is_err()).count();
            assert_eq!(refused, bad);
        }
    }
}
