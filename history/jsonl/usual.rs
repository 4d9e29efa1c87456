//! Lines of reads and writes in the shape in which we write them, taken apart without a JSON parser.
//!
//! Fields in our order, integers, plain strings and nil. `None` for any other line, which serde then reads: this is
//! only ever faster, never different. Not here: cas and the calls of other objects, whose lines are too few to matter.

use crate::event::{Call, Error, Event, Outcome, Process, Reply};
use crate::value::Value;

/// The event of such a line.
pub fn event(line: &[u8]) -> Option<Event> {
    let mut rest = Rest(line);
    rest.skip(b"{\"index\":")?;
    rest.digits()?;
    rest.skip(b",\"time\":")?;
    let time = rest.digits()?;
    rest.skip(b",\"process\":")?;
    let process = Process(u32::try_from(rest.digits()?).ok()?);
    rest.skip(b",\"type\":")?;
    let kind = rest.string()?;
    rest.skip(b",\"f\":")?;
    let reads = match rest.string()? {
        "read" => true,
        "write" => false,
        _ => return None,
    };
    let key = match rest.skip(b",\"key\":") {
        Some(()) => rest.value()?,
        None => Value::Null,
    };
    rest.skip(b",\"value\":")?;
    let value = rest.value()?;
    // Names of nodes are not kept, but must be names.
    for field in [&b",\"node\":"[..], b",\"server\":"] {
        if rest.skip(field).is_some() {
            rest.string()?;
        }
    }
    let error = match rest.skip(b",\"error\":") {
        Some(()) => Error::new(rest.string()?),
        None => Error::default(),
    };
    let last = rest.skip(b",\"final\":true").is_some();
    rest.skip(b"}")?;
    if !rest.0.is_empty() {
        return None;
    }
    let call = if reads { Call::Read(key) } else { Call::Write(key, value.clone()) };
    let outcome = match kind {
        "invoke" => return Some(Event::Invoke { time, process, node: None, call, last }),
        "ok" if reads => Outcome::Ok(Reply::Read(value)),
        "ok" => Outcome::Ok(Reply::Done),
        "fail" => Outcome::Fail(error),
        "info" => Outcome::Info(error),
        _ => return None,
    };
    Some(Event::Complete { time, process, call, outcome, server: None })
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn skip(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// Up to 18 digits, as JSON has them.
    fn digits(&mut self) -> Option<u64> {
        let n = self.0.iter().position(|b| !b.is_ascii_digit())?;
        if n == 0 || n > 18 || (n > 1 && self.0[0] == b'0') {
            return None;
        }
        let number = self.0[..n].iter().fold(0, |sum, b| sum * 10 + (b - b'0') as u64);
        self.0 = &self.0[n..];
        Some(number)
    }

    /// A string without escapes and control characters.
    fn string(&mut self) -> Option<&'a str> {
        self.skip(b"\"")?;
        let n = self.0.iter().position(|b| matches!(b, b'"' | b'\\') || *b < 0x20)?;
        let text = std::str::from_utf8(&self.0[..n]).ok()?;
        self.0 = &self.0[n..];
        self.skip(b"\"")?;
        Some(text)
    }

    fn value(&mut self) -> Option<Value> {
        match self.0.first()? {
            b'n' => self.skip(b"null").map(|()| Value::Null),
            b'"' => self.string().map(Value::text),
            b'0'..=b'9' => {
                let number = self.digits()? as i64;
                // A fraction or an exponent would follow.
                matches!(self.0.first()?, b',' | b'}').then_some(Value::Int(number))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonl::{ReadOptions, stream};

    fn streamed(text: &str) -> Vec<Event> {
        let mut events = Vec::new();
        let mut sink = |event, _| {
            events.push(event);
            Ok(())
        };
        stream(text.as_bytes(), &ReadOptions::default(), &mut sink).unwrap_or_else(|e| panic!("{text}: {e}"));
        events
    }

    /// What is taken apart here is what serde makes of the same fields in another order.
    #[test]
    fn the_short_way_reads_what_the_long_way_does() {
        let mut short = 0;
        for kind in ["invoke", "ok", "fail", "info"] {
            for f in ["read", "write"] {
                for key in ["", "\"key\":\"x\",", "\"key\":7,", "\"key\":null,"] {
                    for value in
                        ["null", "0", "17", "\"ü\"", "-3", "1.5", "1e3", "[1,2]", "\"a\\nb\"", "true"]
                    {
                        for more in ["", ",\"error\":\"timeout: 1 s\"", ",\"final\":true"] {
                            let fields =
                                format!("\"type\":\"{kind}\",\"f\":\"{f}\",{key}\"value\":{value}{more}");
                            let usual = format!("{{\"index\":0,\"time\":5,\"process\":3,{fields}}}");
                            let other = format!("{{ \"process\":3, \"time\":5,{fields}}}");
                            short += event(usual.as_bytes()).is_some() as u32;
                            assert!(event(other.as_bytes()).is_none());
                            assert_eq!(streamed(&usual), streamed(&other), "{usual}");
                        }
                    }
                }
            }
        }
        assert!(short > 300, "{short} lines took the short way");
    }

    #[test]
    fn a_line_that_is_not_quite_usual_is_left_to_serde() {
        let usual = "{\"index\":0,\"time\":5,\"process\":3,\"type\":\"ok\",\"f\":\"read\",\"value\":1}";
        assert!(event(usual.as_bytes()).is_some());
        for end in 0..usual.len() {
            assert!(event(&usual.as_bytes()[..end]).is_none(), "{}", &usual[..end]);
        }
        for other in [
            usual.replace("5", "05"),
            usual.replace("3", "-3"),
            usual.replace("3", "99999999999"),
            usual.replace("read", "cas"),
            usual.replace("1}", "1,\"node\":4}"),
            format!("{usual} "),
        ] {
            assert!(event(other.as_bytes()).is_none(), "{other}");
        }
    }
}
