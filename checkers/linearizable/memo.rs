//! The set of configurations that a depth-first search has seen: open addressing, 16 or 32 bytes an entry.
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

/// Slots up to here fit into a narrow key.
const NARROW: u32 = 32;

pub enum Memo {
    Narrow(Slots<u128>),
    Wide(Slots<Key>),
}

impl Memo {
    /// A memo that never takes more than about `bytes`, for configurations of at most `width` open ops.
    pub fn new(bytes: u64, width: u32) -> Memo {
        match width <= NARROW {
            true => Memo::Narrow(Slots::new(bytes)),
            false => Memo::Wide(Slots::new(bytes)),
        }
    }

    pub fn bytes(&self) -> usize {
        match self {
            Memo::Narrow(slots) => slots.bytes(),
            Memo::Wide(slots) => slots.bytes(),
        }
    }

    /// May miss a key once it forgets instead of growing, never the reverse.
    pub fn contains(&self, key: &Key) -> bool {
        match self {
            Memo::Narrow(slots) => slots.contains(&narrow(key)),
            Memo::Wide(slots) => slots.contains(key),
        }
    }

    /// True if the key was not there.
    pub fn insert(&mut self, key: Key) -> bool {
        match self {
            Memo::Narrow(slots) => slots.insert(narrow(&key)),
            Memo::Wide(slots) => slots.insert(key),
        }
    }
}

/// All that tells configurations apart where no more than [`NARROW`] ops are open at once, in half the bytes.
fn narrow(key: &Key) -> u128 {
    debug_assert!(key.mask >> NARROW == 0 && key.more == 0);
    (key.hi as u128) << 96 | (key.state as u128) << 64 | (key.infos as u128) << 32 | key.mask
}

/// What a table of [`Slots`] may hold.
pub trait Slot: Copy + PartialEq {
    /// No configuration looks like this.
    const EMPTY: Self;
    fn hash(&self) -> usize;
}

impl Slot for Key {
    const EMPTY: Key = Key { mask: 0, hi: u32::MAX, state: 0, infos: 0, more: 0 };

    fn hash(&self) -> usize {
        let h = mix(SEED, (self.hi as u64) << 32 | self.state as u64);
        let h = mix(h, (self.infos as u64) << 32 | self.more as u64);
        mix(mix(h, self.mask as u64 ^ 0x2545_f491_4f6c_dd1d), (self.mask >> 64) as u64 ^ 0x6c07_8965) as usize
    }
}

impl Slot for u128 {
    const EMPTY: u128 = u128::MAX;

    fn hash(&self) -> usize {
        mix(mix(SEED, (self >> 64) as u64), *self as u64 ^ 0x2545_f491_4f6c_dd1d) as usize
    }
}

const SEED: u64 = 0x51_7c_c1_b7;

fn mix(h: u64, x: u64) -> u64 {
    let wide = (h ^ x) as u128 * 0x9e37_79b9_7f4a_7c15;
    (wide >> 64) as u64 ^ wide as u64
}

/// Open addressing, grown by doubling up to a limit.
pub struct Slots<K> {
    slots: Vec<K>,
    used: usize,
    most: usize,
}

impl<K: Slot> Slots<K> {
    fn new(bytes: u64) -> Slots<K> {
        let most = (bytes / size_of::<K>() as u64).max(1024) as usize;
        // Rounded down to a power of two, so that an index is a mask away.
        let most = 1usize << (usize::BITS - 1 - most.leading_zeros());
        Slots { slots: vec![K::EMPTY; 256], used: 0, most }
    }

    fn bytes(&self) -> usize {
        self.slots.len() * size_of::<K>()
    }

    /// Beyond seven tenths, probes become long.
    fn is_full(&self) -> bool {
        self.used * 10 >= self.slots.len() * 7
    }

    fn contains(&self, key: &K) -> bool {
        if self.used == 0 {
            return false;
        }
        let mask = self.slots.len() - 1;
        let home = key.hash() & mask;
        let replacing = self.is_full() && self.slots.len() == self.most;
        if replacing && self.slots[home ^ 1] == *key {
            return true;
        }
        // A table that replaces may have no free slot left to stop at.
        let probes = if replacing { 32 } else { self.slots.len() };
        for i in 0..probes {
            let slot = &self.slots[(home + i) & mask];
            if *slot == K::EMPTY || slot == key {
                return slot == key;
            }
        }
        false
    }

    fn insert(&mut self, key: K) -> bool {
        if self.is_full() {
            if self.slots.len() == self.most {
                return self.replace(key);
            }
            self.grow();
        }
        let mut at = key.hash() & (self.slots.len() - 1);
        loop {
            if self.slots[at] == K::EMPTY {
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
    fn replace(&mut self, key: K) -> bool {
        let home = key.hash() & (self.slots.len() - 1);
        if self.slots[home] == key || self.slots[home ^ 1] == key {
            return false;
        }
        // The newer one of a pair stands first, whichever of the two its key calls home.
        let pair = home & !1;
        self.slots[pair + 1] = self.slots[pair];
        self.slots[pair] = key;
        true
    }

    fn grow(&mut self) {
        let double = vec![K::EMPTY; self.slots.len() * 2];
        let mask = double.len() - 1;
        for key in std::mem::replace(&mut self.slots, double) {
            if key != K::EMPTY {
                let mut at = key.hash() & mask;
                while self.slots[at] != K::EMPTY {
                    at = (at + 1) & mask;
                }
                self.slots[at] = key;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(i: u32) -> Key {
        Key { mask: (i % 1000) as u128 * 7, hi: i, state: i % 3, infos: i % 2, more: 0 }
    }

    #[test]
    fn remembers_everything_below_its_limit_and_stays_within_it_above() {
        for width in [32, 33] {
            let mut memo = Memo::new(1 << 20, width);
            assert!((0..10_000).all(|i| memo.insert(key(i))));
            assert!((0..10_000).all(|i| !memo.insert(key(i)) && memo.contains(&key(i))));
            assert!((10_000..20_000).all(|i| !memo.contains(&key(i))));
            let mut small = Memo::new(1 << 15, width);
            assert!((0..100_000).filter(|i| small.insert(key(*i))).count() > 90_000);
            assert!(small.bytes() <= 1 << 15);
            assert!((0..200_000).filter(|i| small.contains(&key(*i))).count() > 500);
            assert!((100_000..200_000).all(|i| !small.contains(&key(i))));
        }
    }

    fn filled(bytes: u64, width: u32, keys: u32) -> Memo {
        let mut memo = Memo::new(bytes, width);
        (0..keys).for_each(|i| assert!(memo.insert(key(i))));
        memo
    }

    #[test]
    fn it_doubles_at_seven_tenths() {
        for (width, size) in [(32, 16), (33, 32)] {
            let after = |keys| filled(1 << 20, width, keys).bytes() / size;
            assert_eq!([0, 180, 181, 359, 360, 717, 718].map(after), [256, 256, 512, 512, 1024, 1024, 2048]);
        }
    }

    #[test]
    fn it_grows_to_the_largest_power_of_two_within_its_bytes() {
        for (width, size) in [(32, 16), (33, 32)] {
            for (slots, most) in [(1, 1024), (1024, 1024), (2047, 1024), (2048, 2048), (5000, 4096)] {
                assert_eq!(filled(slots * size, width, 10_000).bytes() as u64, most * size, "{slots}");
            }
        }
    }

    /// At its limit each key belongs to one of 512 pairs, of which the older one goes: the last two are always there.
    #[test]
    fn at_its_limit_it_forgets_the_older_of_two() {
        for (width, size) in [(32, 16), (33, 32)] {
            let mut memo = filled(1024 * size, width, 717);
            assert!((0..717).all(|i| memo.contains(&key(i))), "full is not yet beyond the limit");
            for i in 717..30_000 {
                assert!(memo.insert(key(i)));
                assert!(memo.contains(&key(i)) && !memo.insert(key(i)), "{i}");
                assert!(memo.contains(&key(i - 1)), "{i}");
                assert!(!memo.contains(&key(i + 1)), "{i}");
            }
            assert_eq!(memo.bytes() as u64, 1024 * size);
            // After 60 others hardly a pair has met two of them.
            let young = (29_940..30_000).filter(|i| memo.contains(&key(*i))).count();
            assert!(young >= 58, "{young} of the last 60");
            let known = (0..30_000).filter(|i| memo.contains(&key(*i))).count();
            assert!(known > 900 && known <= 1024, "{known} of 1024");
        }
    }

    /// Of both kinds of key, each part alone spreads over the table. At random, 4 096 keys hit 63 in 100 of as many slots.
    #[test]
    fn keys_spread_whatever_part_differs() {
        fn hit(hash: impl Fn(u32) -> usize) -> usize {
            let mut slots = vec![false; 4_096];
            (0..4_096).for_each(|i| slots[hash(i) & 4_095] = true);
            slots.into_iter().filter(|s| *s).count()
        }
        let base = Key { mask: 5, hi: 6, state: 7, infos: 8, more: 0 };
        let parts: [fn(Key, u32) -> Key; 5] = [
            |k, i| Key { mask: i as u128, ..k },
            |k, i| Key { hi: i, ..k },
            |k, i| Key { state: i, ..k },
            |k, i| Key { infos: i, ..k },
            |k, i| Key { mask: (i as u128) << 12, ..k },
        ];
        for (n, part) in parts.into_iter().enumerate() {
            let hits = hit(|i| narrow(&part(base, i)).hash());
            assert!(hits > 2_300, "narrow, part {n}: {hits}");
            let hits = hit(|i| part(base, i).hash());
            assert!(hits > 2_300, "wide, part {n}: {hits}");
        }
        assert!(
            hit(|i| Key { mask: (i as u128) << 100, ..base }.hash()) > 2_300,
            "the upper half of the mask"
        );
        assert!(hit(|i| Key { more: i, ..base }.hash()) > 2_300, "what is beyond the mask");
    }

    #[test]
    fn a_narrow_key_tells_all_apart_that_a_wide_one_does() {
        let base = Key { mask: 1 << 31, hi: 3, state: 4, infos: 5, more: 0 };
        let others = [
            Key { mask: 1, ..base },
            Key { hi: 4, ..base },
            Key { state: 5, ..base },
            Key { infos: 4, ..base },
        ];
        for width in [32, 33] {
            let mut memo = Memo::new(1 << 20, width);
            memo.insert(base);
            assert!(others.iter().all(|k| !memo.contains(k)) && memo.contains(&base));
        }
    }
}
