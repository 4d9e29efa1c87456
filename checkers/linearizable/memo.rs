//! The set of configurations that a depth-first search has seen: open addressing, 32 bytes an entry.
//!
//! At its byte limit it forgets instead of growing: still sound, only slower; the step budget ends the search.

/// A configuration. `hi` and `mask` say which ok ops are in, `more` numbers the part of the mask beyond 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    pub mask: u128,
    pub hi: u32,
    pub state: u32,
    pub infos: u32,
    pub more: u32,
}

const FREE: u32 = u32::MAX;
const EMPTY: Key = Key { mask: 0, hi: FREE, state: 0, infos: 0, more: 0 };

pub struct Memo {
    slots: Vec<Key>,
    used: usize,
    most: usize,
}

impl Memo {
    /// A memo that never takes more than about `bytes`.
    pub fn new(bytes: u64) -> Memo {
        let most = (bytes / size_of::<Key>() as u64).max(1024) as usize;
        // Rounded down to a power of two, so that an index is a mask away.
        let most = 1usize << (usize::BITS - 1 - most.leading_zeros());
        Memo { slots: vec![EMPTY; 256], used: 0, most }
    }

    pub fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Key>()
    }

    /// May miss a key once it forgets instead of growing, never the reverse.
    pub fn contains(&self, key: &Key) -> bool {
        if self.used == 0 {
            return false;
        }
        let mask = self.slots.len() - 1;
        let home = hash(key) & mask;
        let replacing = self.slots.len() * 2 > self.most && self.used * 10 >= self.slots.len() * 7;
        if replacing && self.slots[home ^ 1] == *key {
            return true;
        }
        // A table that replaces may have no free slot left to stop at.
        let probes = if replacing { 32 } else { self.slots.len() };
        for i in 0..probes {
            let slot = &self.slots[(home + i) & mask];
            if slot.hi == FREE || slot == key {
                return slot == key;
            }
        }
        false
    }

    /// True if the key was not there.
    pub fn insert(&mut self, key: Key) -> bool {
        if self.used * 10 >= self.slots.len() * 7 {
            if self.slots.len() * 2 > self.most {
                return self.replace(key);
            }
            self.grow();
        }
        let mut at = hash(&key) & (self.slots.len() - 1);
        loop {
            if self.slots[at].hi == FREE {
                self.slots[at] = key;
                self.used += 1;
                return true;
            }
            if self.slots[at] == key {
                return false;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Two ways, the older one out.
    fn replace(&mut self, key: Key) -> bool {
        let home = hash(&key) & (self.slots.len() - 1);
        if self.slots[home] == key || self.slots[home ^ 1] == key {
            return false;
        }
        self.slots[home ^ 1] = self.slots[home];
        self.slots[home] = key;
        true
    }

    fn grow(&mut self) {
        let double = vec![EMPTY; self.slots.len() * 2];
        let mask = double.len() - 1;
        for key in std::mem::replace(&mut self.slots, double) {
            if key.hi != FREE {
                let mut at = hash(&key) & mask;
                while self.slots[at].hi != FREE {
                    at = (at + 1) & mask;
                }
                self.slots[at] = key;
            }
        }
    }
}

fn hash(key: &Key) -> usize {
    let mix = |h: u64, x: u64| {
        let wide = (h ^ x) as u128 * 0x9e37_79b9_7f4a_7c15;
        (wide >> 64) as u64 ^ wide as u64
    };
    let h = mix(0x51_7c_c1_b7, (key.hi as u64) << 32 | key.state as u64);
    let h = mix(h, (key.infos as u64) << 32 | key.more as u64);
    mix(mix(h, key.mask as u64 ^ 0x2545_f491_4f6c_dd1d), (key.mask >> 64) as u64 ^ 0x6c07_8965) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(i: u32) -> Key {
        Key { mask: i as u128 * 7, hi: i, state: i % 3, infos: 0, more: 0 }
    }

    #[test]
    fn remembers_everything_below_its_limit_and_stays_within_it_above() {
        let mut memo = Memo::new(1 << 20);
        assert!((0..10_000).all(|i| memo.insert(key(i))));
        assert!((0..10_000).all(|i| !memo.insert(key(i)) && memo.contains(&key(i))));
        assert!((10_000..20_000).all(|i| !memo.contains(&key(i))));
        let mut small = Memo::new(1 << 15);
        assert!((0..100_000).filter(|i| small.insert(key(*i))).count() > 90_000);
        assert!(small.bytes() <= 1 << 15);
        assert!((0..200_000).filter(|i| small.contains(&key(*i))).count() > 500);
        assert!((100_000..200_000).all(|i| !small.contains(&key(i))));
    }
}
