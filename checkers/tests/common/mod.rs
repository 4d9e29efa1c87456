//! Small worlds, and random runs of an atomic object: shared by the test files.
#![allow(dead_code)]

pub mod asked;
pub mod atomic;
pub mod golden;

use checkers::linearizable::objects::{Register, RegisterCall, RegisterReply};
use checkers::linearizable::spec::{OPEN, Spec, Timed};
use history::ValueId;
use history::rng::Rng;

/// Every history of `n` ops: each op of any type, invocations in label order, each completion after its own
/// invocation. An info op (`None`) takes part in the interleaving and its completion is then ignored.
pub fn worlds<S: Spec>(n: usize, types: &[(S::Call, Option<S::Reply>)], mut each: impl FnMut(&[Timed<S>])) {
    (0..types.len()).for_each(|last| worlds_ending(n, types, last, &mut each));
}

/// Those of them whose last op by label is of the type `last`: a share of the work.
pub fn worlds_ending<S: Spec>(
    n: usize,
    types: &[(S::Call, Option<S::Reply>)],
    last: usize,
    each: &mut impl FnMut(&[Timed<S>]),
) {
    let mut spans = Vec::new();
    interleave(n, 0, &mut vec![None; n], &mut Vec::new(), &mut spans);
    let mut pick = vec![0; n];
    pick[n - 1] = last;
    loop {
        for span in &spans {
            let ops: Vec<Timed<S>> = (0..n)
                .map(|i| {
                    let (call, reply) = types[pick[i]].clone();
                    let res = if reply.is_some() { span[i].1 } else { OPEN };
                    Timed { call, reply, inv: span[i].0, res }
                })
                .collect();
            each(&ops);
        }
        let Some(at) = (0..n - 1).find(|i| pick[*i] + 1 < types.len()) else { return };
        pick[at] += 1;
        pick[..at].fill(0);
    }
}

fn interleave(
    n: usize,
    pos: u32,
    begun: &mut Vec<Option<u32>>,
    done: &mut Vec<(usize, u32, u32)>,
    out: &mut Vec<Vec<(u32, u32)>>,
) {
    if done.len() == n {
        let mut span = vec![(0, 0); n];
        done.iter().for_each(|(i, inv, res)| span[*i] = (*inv, *res));
        out.push(span);
        return;
    }
    let invoked = begun.iter().filter(|b| b.is_some()).count() + done.len();
    if invoked < n {
        begun[invoked] = Some(pos);
        interleave(n, pos + 1, begun, done, out);
        begun[invoked] = None;
    }
    for i in 0..n {
        if let Some(inv) = begun[i].take() {
            done.push((i, inv, pos));
            interleave(n, pos + 1, begun, done, out);
            done.pop();
            begun[i] = Some(inv);
        }
    }
}

pub fn v(i: u32) -> ValueId {
    // Nil is the initial value and plays the part of 0 in the tables.
    if i == 0 { ValueId::NULL } else { ValueId(i) }
}

pub type RegisterType = (RegisterCall, Option<RegisterReply>);

pub fn register_types() -> Vec<RegisterType> {
    use RegisterCall::*;
    use RegisterReply::*;
    vec![
        (Write(v(1)), Some(Done)),
        (Write(v(2)), Some(Done)),
        (Write(v(1)), None),
        (Write(v(2)), None),
        (Read, Some(Value(v(0)))),
        (Read, Some(Value(v(1)))),
        (Read, Some(Value(v(2)))),
    ]
}

pub fn cas_types() -> Vec<RegisterType> {
    use RegisterCall::*;
    use RegisterReply::*;
    let mut types = register_types();
    types.extend([
        (Cas(v(0), v(1)), Some(Done)),
        (Cas(v(1), v(2)), Some(Done)),
        (Cas(v(0), v(1)), Some(Mismatch)),
        (Cas(v(1), v(2)), Some(Mismatch)),
        (Cas(v(0), v(1)), None),
    ]);
    types
}

/// What random register runs look like.
#[derive(Clone, Copy)]
pub struct Mix {
    pub ops: usize,
    pub clients: usize,
    /// 0: each write has a value of its own.
    pub values: u32,
    pub cas: bool,
    /// Of a hundred ops, how many end in info.
    pub info: u64,
    /// Replies changed afterwards.
    pub lies: usize,
}

/// A run of an atomic register by `clients`, each op taking effect somewhere inside its interval; then some lies.
pub fn register_run(rng: &mut Rng, mix: Mix) -> Vec<Timed<Register>> {
    use RegisterCall::*;
    use RegisterReply::*;
    struct Open {
        op: usize,
        effect: bool,
        info: bool,
    }
    let spec = Register::default();
    let mut ops: Vec<Timed<Register>> = Vec::new();
    let mut open: Vec<Option<Open>> = (0..mix.clients).map(|_| None).collect();
    let (mut state, mut pos, mut fresh) = (spec.init, 0, 0);
    while ops.len() < mix.ops || open.iter().any(Option::is_some) {
        let client = rng.below(mix.clients as u64) as usize;
        pos += 1;
        match open[client].take() {
            None if ops.len() < mix.ops => {
                let mut value = || {
                    fresh += 1;
                    if mix.values == 0 { v(fresh) } else { v(1 + rng.below(mix.values as u64) as u32) }
                };
                let (new, old) = (value(), value());
                let call = match rng.below(if mix.cas { 3 } else { 2 }) {
                    0 => Read,
                    1 => Write(new),
                    _ if mix.values == 0 => Cas(state, new),
                    _ => Cas(old, new),
                };
                let info = rng.below(100) < mix.info;
                ops.push(Timed { call, reply: None, inv: pos, res: OPEN });
                open[client] = Some(Open { op: ops.len() - 1, effect: false, info });
            }
            None => {}
            Some(o) if !(o.effect || o.info && rng.chance(0.3)) => {
                let said = match ops[o.op].call {
                    Read => Value(state),
                    Cas(old, _) if old != state => Mismatch,
                    _ => Done,
                };
                if let Some(next) = spec.step(&state, &ops[o.op].call, Some(&said)) {
                    state = next;
                }
                if !o.info {
                    ops[o.op].reply = Some(said);
                }
                open[client] = Some(Open { effect: true, ..o });
            }
            // Done, or given up: an info that has not taken effect may never.
            Some(o) if !o.info => ops[o.op].res = pos,
            Some(_) => {}
        }
    }
    for _ in 0..mix.lies {
        let reads: Vec<usize> = (0..ops.len()).filter(|i| ops[*i].call == Read && ops[*i].is_ok()).collect();
        if let (Some(a), Some(b)) = (rng.pick(&reads), rng.pick(&reads)) {
            let (x, y) = (ops[*a].reply, ops[*b].reply);
            (ops[*a].reply, ops[*b].reply) = (y, x);
        }
    }
    ops
}
