//! The printer: what it writes, the reader gives back.

use crate::value::Value;

/// Prints a value so that [`super::parse`] gives it back (lists always as vectors).
pub fn print(value: &Value, out: &mut String) {
    use std::fmt::Write as _;
    match value {
        Value::Null => out.push_str("nil"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) => write!(out, "{i}").unwrap_or(()),
        Value::Float(bits) => print_float(f64::from_bits(*bits), out),
        Value::Big(s) => {
            out.push_str(s);
            if s.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
                out.push('N');
            }
        }
        Value::Text(s) => print_text(s, out),
        Value::Keyword(s) => out.push_str(s),
        Value::List(v) => print_all("[", v.iter(), "]", out),
        Value::Set(v) => print_all("#{", v.iter(), "}", out),
        Value::Map(pairs) => {
            out.push('{');
            for (i, (k, v)) in pairs.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                print(k, out);
                out.push(' ');
                print(v, out);
            }
            out.push('}');
        }
        Value::Tagged(tag, inner) => print_tagged(tag, inner, out),
    }
}

fn print_all<'v>(open: &str, items: impl Iterator<Item = &'v Value>, close: &str, out: &mut String) {
    out.push_str(open);
    for (i, item) in items.enumerate() {
        out.push_str(if i > 0 { " " } else { "" });
        print(item, out);
    }
    out.push_str(close);
}

fn print_float(x: f64, out: &mut String) {
    out.push_str(&match x {
        x if x.is_nan() => "##NaN".into(),
        f64::INFINITY => "##Inf".into(),
        f64::NEG_INFINITY => "##-Inf".into(),
        x => format!("{x:?}"),
    });
}

fn print_text(s: &str, out: &mut String) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn print_tagged(tag: &str, inner: &Value, out: &mut String) {
    match (tag, inner) {
        ("char", Value::Text(s)) if s.chars().count() == 1 => {
            let c = s.chars().next().unwrap_or(' ');
            match c {
                '\n' => out.push_str("\\newline"),
                ' ' => out.push_str("\\space"),
                '\t' => out.push_str("\\tab"),
                '\r' => out.push_str("\\return"),
                '\u{8}' => out.push_str("\\backspace"),
                '\u{c}' => out.push_str("\\formfeed"),
                c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
                c => {
                    out.push('\\');
                    out.push(c);
                }
            }
        }
        ("regex", Value::Text(s)) if raw(format!("#\"{s}\""), tag, inner, out) => {}
        ("object", Value::Text(s)) if raw(format!("#object[{s}]"), tag, inner, out) => {}
        ("<>", Value::Text(s)) if raw(format!("#<{s}>"), tag, inner, out) => {}
        _ => {
            out.push('#');
            out.push_str(tag);
            out.push(' ');
            print(inner, out);
        }
    }
}

/// Prints what stands raw between brackets, unless it would not be read back: the same value may have been written
/// as a tagged string, whose brackets need not balance.
fn raw(text: String, tag: &str, inner: &Value, out: &mut String) -> bool {
    let back = super::parse(text.as_bytes());
    let same = match back.as_deref() {
        Ok([Value::Tagged(read, value)]) => **read == *tag && **value == *inner,
        _ => false,
    };
    if same {
        out.push_str(&text);
    }
    same
}
