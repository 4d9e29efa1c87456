//! Spelling: times, numbers, ops and escaped text, the same in every part of the page.
//!
//! Everything that came from outside (keys, values, node names, errors, log lines) passes through [`plain`] before
//! it is drawn and through [`esc`] or the template's own escaping before it is HTML. No layout here.

use history::{History, Nanos, Op, OutcomeKind, ReplyId};
use std::fmt::Write;

/// Text from outside, made visible: control and direction-changing characters become `\u{…}`.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if hidden {
            let _ = write!(out, "\\u{{{:x}}}", c as u32);
        } else {
            out.push(c);
        }
    }
    out
}

/// HTML and SVG escaping, for text nodes and quoted attributes alike.
pub fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// At most `limit` characters; what is cut shows as an ellipsis at the end.
pub fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some(_) => text.chars().take(limit.saturating_sub(1)).collect::<String>() + "…",
        None => text.to_string(),
    }
}

/// At most `limit` characters, keeping the end: lists grow there.
pub fn cut_front(text: &str, limit: usize) -> String {
    let count = text.chars().count();
    match count > limit {
        true => "…".to_string() + &text.chars().skip(count + 1 - limit).collect::<String>(),
        false => text.to_string(),
    }
}

/// `6 093`, with a narrow space that does not break.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    out
}

/// Has the record times? Where it has none, its order is all there is: places in it stand for them.
pub fn timed(history: &History) -> bool {
    history.end() > 0
}

/// Seconds of the run's clock with three decimals: `5.912`.
pub fn seconds(t: Nanos) -> String {
    format!("{:.3}", t as f64 / 1e9)
}

/// A length of time in the unit that suits it: `41 µs`, `3.2 ms`, `1.20 s`.
pub fn length(t: Nanos) -> String {
    match t {
        0..1_000_000 => format!("{} µs", t / 1000),
        1_000_000..1_000_000_000 => format!("{:.1} ms", t as f64 / 1e6),
        _ => format!("{:.2} s", t as f64 / 1e9),
    }
}

/// What was asked, without its key: `write 26`, `cas 1 → 2`, `read`.
pub fn call(op: &Op<'_>) -> String {
    if let Some(micro) = op.micro_ops() {
        return plain(&history_micro(&micro, true));
    }
    let h = op.call();
    let text = match (op.cas(), h.value()) {
        (Some(_), value) => match value.elements() {
            Some([old, new]) => format!("cas {old} → {new}"),
            _ => "cas".into(),
        },
        (None, value) if value.is_null() => op.f().to_string(),
        (None, value) => format!("{} {value}", op.f()),
    };
    plain(&text)
}

fn history_micro(ops: &[history::MicroOp], answered: bool) -> String {
    let one = |op: &history::MicroOp| match op {
        history::MicroOp::Read(k, v) if answered => format!("r {} {v}", k.to_plain()),
        history::MicroOp::Read(k, _) => format!("r {}", k.to_plain()),
        history::MicroOp::Write(k, v) => format!("w {} {v}", k.to_plain()),
        history::MicroOp::Append(k, v) => format!("append {} {v}", k.to_plain()),
    };
    ops.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What came back: `ok`, the value read, `mismatch`, or the error.
pub fn reply(op: &Op<'_>, value: impl Fn(history::ValueId) -> history::Value) -> String {
    plain(&match op.reply() {
        ReplyId::Done => "ok".to_string(),
        ReplyId::Mismatch => "mismatch".to_string(),
        ReplyId::Read(id) => value(id).to_string(),
        ReplyId::Absent => op.error().map_or_else(|| "no answer".to_string(), |e| e.0.to_string()),
    })
}

/// Call and reply in one label: `write 26`, `read → 26`, `cas 1 → 2 refused`.
pub fn label(op: &Op<'_>, value: impl Fn(history::ValueId) -> history::Value) -> String {
    let asked = call(op);
    match (op.kind(), op.reply()) {
        (OutcomeKind::Ok, ReplyId::Read(_)) if op.f() == "txn" => asked,
        (OutcomeKind::Ok, ReplyId::Read(_)) => format!("{asked} → {}", reply(op, value)),
        (OutcomeKind::Ok, ReplyId::Mismatch) => format!("{asked} refused"),
        (OutcomeKind::Fail, _) => format!("{asked} failed"),
        _ => asked,
    }
}

/// `ok`, `info` or `fail`, as the drawings and the file spell it.
pub fn outcome(op: &Op<'_>) -> &'static str {
    match (op.kind(), op.reply()) {
        (OutcomeKind::Ok, ReplyId::Mismatch) | (OutcomeKind::Fail, _) => "fail",
        (OutcomeKind::Ok, _) => "ok",
        (OutcomeKind::Info, _) => "info",
    }
}

/// Escaped prose in which every `#12`, `op 12` that is an op of this history links to it in the timeline.
pub fn linked(text: &str, ops: usize) -> String {
    let text = plain(text);
    let bytes = text.as_bytes();
    let (mut out, mut from, mut at) = (String::new(), 0, 0);
    while at < bytes.len() {
        let word = |w: &str| text[at..].starts_with(w) && (at == 0 || !bytes[at - 1].is_ascii_alphanumeric());
        let skip = ["#", "op ", "Op "].iter().find(|w| word(w)).map_or(0, |w| w.len());
        let digits = bytes[at + skip..].iter().take_while(|b| b.is_ascii_digit()).count();
        let id = text[at + skip..at + skip + digits].parse::<usize>();
        match id {
            Ok(id) if skip > 0 && id < ops => {
                out += &esc(&text[from..at]);
                let shown = &text[at..at + skip + digits];
                let _ = write!(out, "<a class=\"op\" href=\"#op={id}\" data-op=\"{id}\">{}</a>", esc(shown));
                at += skip + digits;
                from = at;
            }
            _ => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
    out + &esc(&text[from..])
}

/// The share and its 95 % Wilson interval, both in `0..=1`.
pub fn wilson(hits: u64, n: u64) -> (f64, f64, f64) {
    if n == 0 {
        return (0.0, 0.0, 1.0);
    }
    let (n, z) = (n as f64, 1.96);
    let p = hits as f64 / n;
    let d = 1.0 + z * z / n;
    let centre = (p + z * z / (2.0 * n)) / d;
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / d;
    (p, (centre - half).max(0.0), (centre + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_leave_its_place() {
        assert_eq!(esc("</script><b x='\"'>&"), "&lt;/script&gt;&lt;b x=&#39;&quot;&#39;&gt;&amp;");
        assert_eq!(plain("a\u{202e}b\u{0}c\n"), "a\\u{202e}b\\u{0}c\n");
    }

    #[test]
    fn ops_in_prose_become_links_only_if_they_exist() {
        assert_eq!(
            linked("Op 3 saw #12 < #99, loop 4", 50),
            "<a class=\"op\" href=\"#op=3\" data-op=\"3\">Op 3</a> saw <a class=\"op\" href=\"#op=12\" data-op=\"12\">#12</a> &lt; #99, loop 4"
        );
        assert_eq!(linked("é #1é", 5), "é <a class=\"op\" href=\"#op=1\" data-op=\"1\">#1</a>é");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(thousands(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(
            (length(41_000), length(3_200_000), length(1_200_000_000)),
            ("41 µs".into(), "3.2 ms".into(), "1.20 s".into())
        );
        assert_eq!((cut("abcdef", 4), cut_front("abcdef", 4)), ("abc…".to_string(), "…def".to_string()));
        let (p, low, high) = wilson(9, 10);
        assert!(p == 0.9 && (0.59..0.61).contains(&low) && (0.97..0.99).contains(&high));
    }
}
