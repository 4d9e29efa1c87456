//! Seeded histories of registers by family, as large as wanted: what the benchmarks and the hard tests run on.
//!
//! `c` clients, each with one op at a time of exponential length (mean 1) and a pause of mean 0.02; an atomic object
//! decides at a uniform point inside. `m` info mutators among the first nine tenths: a third takes effect inside its
//! interval, a third never, a third late (within a tenth of the run). `stale`: one read near 97 % returns a value all
//! of whose producers had completed before an ok write of another value, itself complete before the read began.
//! Not here: recorded events (these are ops as the engines see them), and timing anything.

use super::objects::{Register, RegisterCall as Call, RegisterReply as Reply};
use super::spec::{OPEN, Pos, Spec, Timed};
use history::ValueId;
use history::rng::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

/// One family: `register:unique:c10:n10k`, `cas:5:c5:m100:n1k:stale`, `cas:5:refused:c10:n1k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// A third each of read, write and cas; else half reads, half writes.
    pub cas: bool,
    /// How many values there are; `None`: each is written once.
    pub values: Option<u32>,
    pub clients: u32,
    pub infos: u32,
    pub ops: u32,
    pub stale: bool,
    /// Keeps refused cas as evidence; else they are left out and do not count.
    pub refused: bool,
}

/// `10k`, `1M`, `250`.
pub fn number(text: &str) -> Option<u32> {
    let (digits, factor) = match text.strip_suffix(['k', 'M']) {
        Some(digits) if text.ends_with('k') => (digits, 1_000),
        Some(digits) => (digits, 1_000_000),
        None => (text, 1),
    };
    digits.parse::<u32>().ok()?.checked_mul(factor)
}

/// The shortest form that [`number`] reads back.
pub fn short(n: u32) -> String {
    match n {
        0 => "0".into(),
        n if n % 1_000_000 == 0 => format!("{}M", n / 1_000_000),
        n if n % 1_000 == 0 => format!("{}k", n / 1_000),
        n => n.to_string(),
    }
}

impl Family {
    /// Reads a name; the error says which part is wrong.
    pub fn parse(text: &str) -> Result<Family, String> {
        let mut parts = text.split(':');
        let cas = match parts.next() {
            Some("register") => false,
            Some("cas") => true,
            _ => return Err(format!("{text:?} is no family: it begins with register or cas")),
        };
        let values = match parts.next() {
            Some("unique") => None,
            Some(n) => Some(number(n).filter(|n| *n > 0).ok_or_else(|| wrong(text, n))?),
            None => return Err(wrong(text, "")),
        };
        let mut family =
            Family { cas, values, clients: 10, infos: 0, ops: 1_000, stale: false, refused: false };
        for part in parts {
            let n = part.get(1..).and_then(number);
            match (part.get(..1), n) {
                _ if part == "stale" => family.stale = true,
                _ if part == "refused" => family.refused = true,
                (Some("c"), Some(n)) if n > 0 => family.clients = n,
                (Some("m"), Some(n)) => family.infos = n,
                (Some("n"), Some(n)) if n > 0 => family.ops = n,
                _ => return Err(wrong(text, part)),
            }
        }
        Ok(family)
    }

    /// The ops, in order of invocation. `None`: it was to be stale and no read can be made so.
    pub fn ops(&self, seed: u64) -> Option<Vec<Timed<Register>>> {
        let mut ops = Run::new(self, Rng::new(seed, &self.to_string())).play();
        (!self.stale || make_stale(&mut ops)).then_some(ops)
    }
}

fn wrong(text: &str, part: &str) -> String {
    format!("family {text:?}: {part:?} is none of unique, a number of values, cN, mN, nN, stale, refused")
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.map_or("unique".into(), |v| v.to_string());
        write!(f, "{}:{values}", if self.cas { "cas" } else { "register" })?;
        if self.refused {
            f.write_str(":refused")?;
        }
        write!(f, ":c{}", self.clients)?;
        if self.infos > 0 {
            write!(f, ":m{}", short(self.infos))?;
        }
        write!(f, ":n{}{}", short(self.ops), if self.stale { ":stale" } else { "" })
    }
}

/// What happens at an instant, in the order in which equal instants are taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Invoke(u32),
    Decide(u32),
    Complete(u32),
}

struct Drawn {
    client: u32,
    call: Call,
    /// `None`: an info op, or one that is not decided yet.
    reply: Option<Reply>,
    info: bool,
    left_out: bool,
}

struct Run<'a> {
    family: &'a Family,
    rng: Rng,
    /// Times are drawn as f64 and ordered as their bits: none is negative.
    queue: BinaryHeap<Reverse<(u64, Step)>>,
    /// Info ops still to be drawn and ops left among which to draw them.
    infos: u32,
    among: u32,
    drawn: Vec<Drawn>,
    kept: u32,
    fresh: u32,
    state: ValueId,
    saw: Vec<ValueId>,
    spans: Vec<(Pos, Pos)>,
    pos: Pos,
}

impl<'a> Run<'a> {
    fn new(family: &'a Family, rng: Rng) -> Run<'a> {
        Run {
            family,
            rng,
            queue: BinaryHeap::new(),
            infos: family.infos,
            among: family.ops - family.ops / 10,
            drawn: Vec::new(),
            kept: 0,
            fresh: 0,
            state: ValueId::NULL,
            saw: vec![ValueId::NULL; family.clients as usize],
            spans: Vec::new(),
            pos: 0,
        }
    }

    fn play(mut self) -> Vec<Timed<Register>> {
        for client in 0..self.family.clients {
            let at = self.rng.exponential(0.02);
            self.at(at, Step::Invoke(client));
        }
        while let Some(Reverse((at, step))) = self.queue.pop() {
            let now = f64::from_bits(at);
            match step {
                Step::Invoke(client) if self.kept < self.family.ops => self.invoke(now, client),
                Step::Invoke(_) => {}
                Step::Decide(op) => self.decide(op as usize),
                Step::Complete(op) => self.complete(now, op as usize),
            }
        }
        let timed = |(op, (inv, res)): (Drawn, (Pos, Pos))| {
            let res = if op.info { OPEN } else { res };
            (!op.left_out).then_some(Timed { call: op.call, reply: op.reply, inv, res })
        };
        self.drawn.into_iter().zip(self.spans).filter_map(timed).collect()
    }

    fn at(&mut self, time: f64, step: Step) {
        self.queue.push(Reverse((time.to_bits(), step)));
    }

    fn invoke(&mut self, now: f64, client: u32) {
        let info = self.infos > 0 && self.rng.below(self.among.max(1) as u64) < self.infos as u64;
        self.among = self.among.saturating_sub(1);
        self.infos -= info as u32;
        let call = self.call(client, info);
        let id = self.drawn.len() as u32;
        self.drawn.push(Drawn { client, call, reply: None, info, left_out: false });
        self.spans.push((self.pos, OPEN));
        self.pos += 1;
        self.kept += 1;
        let length = self.rng.exponential(1.0);
        let inside = now + length * self.rng.unit();
        let run = self.family.ops as f64 / self.family.clients as f64 * 1.02;
        match (info, self.rng.below(3)) {
            (true, 0) => {}
            (true, 1) => {
                let late = now + length + self.rng.unit() * run / 10.0;
                self.at(late, Step::Decide(id));
            }
            _ => self.at(inside, Step::Decide(id)),
        }
        self.at(now + length, Step::Complete(id));
    }

    fn call(&mut self, client: u32, info: bool) -> Call {
        let kind = match self.family.cas {
            true if info => 1 + self.rng.below(2),
            true => self.rng.below(3),
            false if info => 1,
            false => self.rng.below(2),
        };
        match kind {
            0 => Call::Read,
            1 => Call::Write(self.value(info)),
            _ => {
                let old = match self.family.values {
                    Some(_) => self.value(false),
                    None => self.saw[client as usize],
                };
                Call::Cas(old, self.value(info))
            }
        }
    }

    /// Where a stale read is to be planted, info ops leave the last value alone: it could not be stale else.
    fn value(&mut self, info: bool) -> ValueId {
        match self.family.values {
            Some(n) => {
                let most = if info && self.family.stale { n.max(2) - 1 } else { n };
                ValueId(1 + self.rng.below(most as u64) as u32)
            }
            None => {
                self.fresh += 1;
                ValueId(self.fresh)
            }
        }
    }

    fn decide(&mut self, op: usize) {
        let drawn = &mut self.drawn[op];
        let reply = match drawn.call {
            Call::Read => Reply::Value(self.state),
            Call::Write(v) => {
                self.state = v;
                Reply::Done
            }
            Call::Cas(old, new) if old == self.state => {
                self.state = new;
                Reply::Done
            }
            Call::Cas(..) => Reply::Mismatch,
        };
        if !drawn.info {
            drawn.reply = Some(reply);
            if reply == Reply::Mismatch && !self.family.refused {
                drawn.left_out = true;
                self.kept -= 1;
            }
        }
    }

    fn complete(&mut self, now: f64, op: usize) {
        let drawn = &self.drawn[op];
        let client = drawn.client as usize;
        match (drawn.call, drawn.reply) {
            (_, Some(Reply::Value(v))) => self.saw[client] = v,
            (Call::Write(v) | Call::Cas(_, v), Some(Reply::Done)) => self.saw[client] = v,
            _ => {}
        }
        self.spans[op].1 = self.pos;
        self.pos += 1;
        let pause = self.rng.exponential(0.02);
        self.at(now + pause, Step::Invoke(client as u32));
    }
}

/// Changes one read near 97 % to a value that it cannot have seen. False if there is none.
fn make_stale(ops: &mut [Timed<Register>]) -> bool {
    let target = ops.len() * 97 / 100;
    let mut reads: Vec<usize> =
        (0..ops.len()).filter(|i| ops[*i].call == Call::Read && ops[*i].is_ok()).collect();
    reads.sort_by_key(|i| i.abs_diff(target));
    // Beyond the nearest thousand the place would no longer be the one that the name promises.
    for i in reads.into_iter().take(1_000) {
        if let Some(v) = stale_value(ops, i) {
            ops[i].reply = Some(Reply::Value(v));
            return true;
        }
    }
    false
}

/// Of the values whose producers had all completed before a later ok write began that completed before `read` did,
/// the one that was produced last.
fn stale_value(ops: &[Timed<Register>], read: usize) -> Option<ValueId> {
    let (begins, ends) = (ops[read].inv, ops[read].res);
    let spec = Register::default();
    let made = |op: &Timed<Register>| match op.call {
        Call::Write(v) | Call::Cas(_, v) if op.reply != Some(Reply::Mismatch) => Some(v),
        _ => None,
    };
    // The last invocation of an ok write of each value that was complete before the read.
    let wrote = |op: &&Timed<Register>| matches!(op.call, Call::Write(_)) && op.res < begins;
    let last: Vec<(Pos, ValueId)> = {
        let mut all: Vec<_> =
            ops[..read].iter().filter(wrote).filter_map(|o| Some((o.inv, made(o)?))).collect();
        all.sort_unstable_by_key(|a| Reverse(a.0));
        all.truncate(64);
        all
    };
    let mut candidates: Vec<ValueId> = ops[..read].iter().rev().take(4_000).filter_map(made).collect();
    candidates.sort_unstable();
    candidates.dedup();
    let mut settled: Vec<(Pos, ValueId)> = Vec::new();
    let mut until: std::collections::BTreeMap<ValueId, Pos> = Default::default();
    for op in ops.iter().filter(|o| o.inv < ends) {
        if let Some(v) = made(op) {
            let most = until.entry(v).or_default();
            *most = (*most).max(op.res);
        }
    }
    for v in candidates {
        let done = until.get(&v).copied().unwrap_or(OPEN);
        if v != spec.init() && last.iter().any(|(inv, w)| *w != v && done < *inv) {
            settled.push((done, v));
        }
    }
    settled.into_iter().max().map(|s| s.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for name in [
            "register:unique:c10:n10k",
            "cas:5:c5:m100:n1k:stale",
            "cas:5:refused:c10:n1M",
            "register:5:c7:n123",
        ] {
            assert_eq!(Family::parse(name).unwrap().to_string(), name);
        }
        for bad in ["", "queue", "register:", "cas:x:c5", "cas:5:c0", "cas:5:q3", "register:unique:c10:n10G"]
        {
            assert!(Family::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_family_is_what_its_name_says() {
        let ops = |name: &str| Family::parse(name).unwrap().ops(1).unwrap();
        let plain = ops("cas:5:c10:m100:n2k");
        assert_eq!(plain.len(), 2_000);
        assert_eq!(plain.iter().filter(|o| !o.is_ok()).count(), 100);
        assert!(plain.iter().all(|o| o.reply != Some(Reply::Mismatch)));
        assert!(ops("cas:5:refused:c10:n2k").iter().any(|o| o.reply == Some(Reply::Mismatch)));
        assert!(plain.is_sorted_by_key(|o| o.inv));
        let (valid, stale) = (ops("register:unique:c5:n1k"), ops("register:unique:c5:n1k:stale"));
        let spec = Register::default();
        assert!(super::super::register::decide(&spec, &valid).unwrap().is_ok());
        assert!(super::super::register::decide(&spec, &stale).unwrap().is_err());
    }
}
