//! Histories of texts by key that are put, appended to and read, as the tests of MIT's distributed systems course make
//! them and Porcupine ships them: any length, any concurrency.
//!
//! The clients are those of `families_collections.rs`. Each call picks a key at random and is a get with a half, an
//! append with four tenths and a put else; every put and append brings a text of its own. Not here: other objects.

use super::families_collections::{Family, plan};
use super::spec::{OPEN, Pos, Timed};
use super::text_kv::{Text, TextCall as Call, TextReply as Reply};
use history::rng::Rng;
use std::sync::Arc;

/// The ops of each of `keys` keys, in order of invocation; positions are those of the whole history.
/// `family.swapped`: near 97 % one get returns what its key held at first. `None` if no get can be made so.
pub fn kv(family: &Family, keys: u32) -> Option<Vec<Vec<Timed<Text>>>> {
    let mut rng = Rng::new(family.seed, "kv");
    let planned = plan(family, &mut rng);
    let keys = keys.max(1);
    let mut drawn: Vec<(u32, Timed<Text>)> = (0..planned.len())
        .map(|i| {
            let text = || Arc::from(format!("x {i} y"));
            let call = match rng.below(10) {
                0..5 => Call::Get,
                5..9 => Call::Append(text()),
                _ => Call::Put(text()),
            };
            (rng.below(keys as u64) as u32, Timed { call, reply: None, inv: 0, res: 0 })
        })
        .collect();
    let mut lost: Vec<usize> = (0..drawn.len()).filter(|i| drawn[*i].1.call != Call::Get).collect();
    rng.shuffle(&mut lost);
    for i in lost.into_iter().take(family.infos as usize) {
        drawn[i].1.res = OPEN;
    }
    let mut events: Vec<(f64, u8, u32)> = Vec::with_capacity(3 * drawn.len());
    for (i, p) in planned.iter().enumerate() {
        events.push((p.from, 0, i as u32));
        events.extend(p.at.map(|at| (at, 1, i as u32)));
        if drawn[i].1.res != OPEN {
            events.push((p.to, 2, i as u32));
        }
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let (mut texts, mut position) = (vec![Arc::<str>::from(""); keys as usize], 0);
    for (_, kind, i) in events {
        let (key, op) = &mut drawn[i as usize];
        let text = &mut texts[*key as usize];
        match (kind, &op.call) {
            (0, _) => op.inv = position,
            (2, _) => op.res = position,
            (_, Call::Get) => op.reply = Some(Reply::Is(text.clone())),
            (_, Call::Put(new)) => *text = new.clone(),
            (_, Call::Append(more)) => *text = format!("{text}{more}").into(),
        }
        if kind != 1 {
            position += 1;
        } else if op.res != OPEN && op.call != Call::Get {
            op.reply = Some(Reply::Done);
        }
    }
    let mut parts: Vec<Vec<Timed<Text>>> = vec![Vec::new(); keys as usize];
    for (key, op) in drawn {
        parts[key as usize].push(op);
    }
    parts.iter_mut().for_each(|p| p.sort_by_key(|op| op.inv));
    (!family.swapped || contradict(&mut parts, position)).then_some(parts)
}

/// Empties the reply of a get that began after something had been put or appended for good.
fn contradict(parts: &mut [Vec<Timed<Text>>], end: Pos) -> bool {
    let target = (end as u64 * 97 / 100) as Pos;
    let gets = parts.iter().enumerate().flat_map(|(k, ops)| {
        let ok = ops.iter().enumerate().filter(|(_, op)| op.call == Call::Get && op.is_ok());
        ok.map(move |(i, op)| (op.inv.abs_diff(target), k, i))
    });
    let mut gets: Vec<_> = gets.collect();
    gets.sort_unstable();
    for (_, k, i) in gets {
        let get = &parts[k][i];
        if parts[k].iter().any(|op| op.call != Call::Get && op.res < get.inv) {
            parts[k][i].reply = Some(Reply::Is("".into()));
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::dfs::Limits;
    use super::super::engine::decide_needed;
    use super::*;

    #[test]
    fn texts_are_valid_unless_one_is_emptied() {
        let family = Family { ops: 2_000, clients: 20, infos: 20, swapped: false, seed: 1 };
        for (swapped, bad) in [(false, 0), (true, 1)] {
            let parts = kv(&Family { swapped, ..family }, 10).unwrap();
            assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 2_000);
            assert_eq!(parts.iter().flatten().filter(|op| !op.is_ok()).count(), 20);
            let refused = parts.iter().filter(|ops| decide_needed(&Text, ops, &Limits::default()).is_no());
            assert_eq!(refused.count(), bad);
        }
    }
}
