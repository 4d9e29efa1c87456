//! Words for ops, values and the time between them.
//!
//! Not here: which ops to talk about (`stale.rs`, `tales.rs`, `explain.rs`).

use super::bind::NOBODYS;
use history::{History, Nanos, Op, OpId, Value, ValueId};

/// Names the ops of one partition. Indices are those of the partition's ops; `ids` maps them to the history's.
pub struct Story<'h> {
    pub history: &'h History,
    pub ids: &'h [OpId],
    pub key: Option<Value>,
    pub noun: &'static str,
}

impl<'h> Story<'h> {
    pub fn op(&self, i: usize) -> Op<'h> {
        self.history.op(self.ids[i])
    }

    /// `Key x` or `The register`, as a subject.
    pub fn subject(&self) -> String {
        subject(self.key.as_ref(), self.noun)
    }

    pub fn value(&self, v: ValueId) -> String {
        match v {
            NOBODYS => "an element that no call ever named".into(),
            v => self.history.value(v).to_string(),
        }
    }

    /// `read #812 by process 7 on n3`
    pub fn full(&self, i: usize) -> String {
        full(&self.op(i), self.history)
    }

    /// `write #655`
    pub fn short(&self, i: usize) -> String {
        let op = self.op(i);
        format!("{} #{}", op.f(), op.id.0)
    }

    /// `write #655 of 9 by process 1 on n2`, `cas #7 to 9 by process 1`
    pub fn making(&self, i: usize, value: ValueId) -> String {
        let op = self.op(i);
        let link = if op.f() == "cas" { "to" } else { "of" };
        self.full(i).replacen(" by", &format!(" {link} {} by", self.value(value)), 1)
    }

    /// From the completion of one op to the invocation of another: `31 ms`; `just` where the record has no times.
    pub fn gap(&self, done: usize, begun: usize) -> String {
        let from = self.op(done).completed().unwrap_or(0);
        match self.op(begun).invoked().saturating_sub(from) {
            0 => "just".into(),
            ns => span(ns),
        }
    }

    /// When the op began, seen from the strike before it; nothing if none came before.
    pub fn strike(&self, i: usize) -> Option<String> {
        strike_before(&self.op(i), self.history)
    }
}

pub fn subject(key: Option<&Value>, noun: &str) -> String {
    match key {
        Some(Value::Null) | None => format!("The {noun}"),
        Some(key) => format!("Key {}", key.to_plain()),
    }
}

/// `read #812 by process 7 on n3`
pub fn full(op: &Op<'_>, history: &History) -> String {
    let on = op.node().or(op.server()).map(|n| format!(" on {}", history.node_name(n))).unwrap_or_default();
    format!("{} #{} by process {}{on}", op.f(), op.id.0, op.process().0)
}

/// The sentence about the strike that began last before this op did.
pub fn strike_before(op: &Op<'_>, history: &History) -> Option<String> {
    let strike = history.strikes().iter().filter(|s| s.begun <= op.invoked()).max_by_key(|s| s.begun)?;
    let nodes =
        strike.confirmed.as_ref().map(|(_, r, _)| r.touched(history.nodes().len())).unwrap_or_default();
    let names: Vec<&str> = nodes.iter().map(|n| history.node_name(*n)).collect();
    let whom = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    let what = format!("\"{}\"{whom}", strike.strike.fault);
    let name = format!("{} #{}", op.f(), op.id.0);
    Some(
        match strike.healed.as_ref().map(|(at, _)| *at).or(strike.heal_begun).filter(|at| *at <= op.invoked())
        {
            Some(healed) => format!(
                "{} began {} after the strike {what} had healed.",
                capital(&name),
                span(op.invoked() - healed)
            ),
            None => {
                format!(
                    "{} began {} into the strike {what}.",
                    capital(&name),
                    span(op.invoked() - strike.begun)
                )
            }
        },
    )
}

/// `310 ns`, `4.2 µs`, `31 ms`, `2.1 s`: two digits are enough to compare.
pub fn span(ns: Nanos) -> String {
    let scaled = |unit: f64, name: &str| {
        let x = ns as f64 / unit;
        if x < 10.0 { format!("{x:.1} {name}") } else { format!("{x:.0} {name}") }
    };
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => scaled(1e3, "µs"),
        1_000_000..1_000_000_000 => scaled(1e6, "ms"),
        _ => scaled(1e9, "s"),
    }
}

pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}

/// `#3, #5 and #8`
pub fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_lists_read_well() {
        assert_eq!(
            [span(310), span(4_200), span(31_400_000), span(2_140_000_000)],
            ["310 ns", "4.2 µs", "31 ms", "2.1 s"]
        );
        assert_eq!(list(&["#1".into(), "#2".into(), "#3".into()]), "#1, #2 and #3");
        assert_eq!(subject(Some(&Value::text("x")), "register"), "Key x");
    }
}
