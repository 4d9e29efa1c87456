//! A fingerprint of everything that was sent: equal for two runs that did the same, different for any other two.
//!
//! Not a serialisation: the content of a message enters through its debug form, written straight into the hash.

use history::Nanos;
use std::fmt::{self, Debug, Write};

/// FNV-1a over words and text.
#[derive(Clone, Debug)]
pub struct TraceHash(u64);

impl Default for TraceHash {
    fn default() -> TraceHash {
        TraceHash(0xcbf2_9ce4_8422_2325)
    }
}

impl TraceHash {
    /// Adds one message. Cost: proportional to its debug form; nothing is allocated.
    pub fn add(&mut self, time: Nanos, from: u64, to: u64, what: &dyn Debug) {
        for word in [time, from, to] {
            self.bytes(&word.to_le_bytes());
        }
        // Writing into a hash cannot fail.
        let _ = write!(self, "{what:?}");
    }

    pub fn value(&self) -> u64 {
        self.0
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Write for TraceHash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_ends_and_content_all_count() {
        let hash = |time, from, to, what: &dyn Debug| {
            let mut hash = TraceHash::default();
            hash.add(time, from, to, what);
            hash.value()
        };
        let one = hash(1, 2, 3, &"a");
        assert_eq!(one, hash(1, 2, 3, &"a"));
        for other in [hash(0, 2, 3, &"a"), hash(1, 3, 3, &"a"), hash(1, 2, 2, &"a"), hash(1, 2, 3, &"b")] {
            assert_ne!(one, other);
        }
    }
}
