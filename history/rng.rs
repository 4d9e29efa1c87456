//! Seeded randomness: one ChaCha stream for each purpose, and the few samplers on top.
//!
//! The samplers are ours so that a seed means the same in five years, whatever a library changes.
//! Not for secrets, and not for anything that is not derived from the run's seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

/// A stream of random numbers for one purpose.
#[derive(Clone, Debug)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// The stream of `purpose` under `seed`. Two purposes never share numbers; the same pair always does.
    pub fn new(seed: u64, purpose: &str) -> Rng {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        // FNV-1a, twice with different starts: the purpose only has to be told apart from a handful of others.
        for (lane, start) in [(8, 0xcbf2_9ce4_8422_2325_u64), (16, 0x9ae1_6a3b_2f90_404f)] {
            let hash = purpose.bytes().fold(start, |h, b| (h ^ b as u64).wrapping_mul(0x0100_0000_01b3));
            key[lane..lane + 8].copy_from_slice(&hash.to_le_bytes());
        }
        Rng(ChaCha8Rng::from_seed(key))
    }

    /// An independent stream for a part of this purpose.
    pub fn fork(&mut self, part: &str) -> Rng {
        let seed = self.u64();
        Rng::new(seed, part)
    }

    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `0..n` (0 when `n` is 0), by multiply-shift; the bias is below 2⁻³² for n < 2³².
    pub fn below(&mut self, n: u64) -> u64 {
        ((self.u64() as u128 * n as u128) >> 64) as u64
    }

    /// Uniform in `low..high`.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low))
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }

    /// Fisher–Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }

    /// An index, chosen in proportion to its weight; 0 when all weights are 0.
    pub fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (i, w) in weights.iter().enumerate() {
            if left < *w {
                return i;
            }
            left -= w;
        }
        0
    }

    /// Exponential with the given mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let mut rng = Rng::new(7, "plan");
        assert_eq!([rng.below(1000), rng.below(1000), rng.below(1000)], GOLDEN);
        assert_ne!(Rng::new(7, "plan").u64(), Rng::new(7, "calls").u64());
        assert_ne!(Rng::new(7, "plan").u64(), Rng::new(8, "plan").u64());
    }
    const GOLDEN: [u64; 3] = [265, 792, 222];

    #[test]
    fn samplers_stay_in_their_ranges() {
        let mut rng = Rng::new(1, "test");
        for _ in 0..1000 {
            assert!((3..9).contains(&rng.range(3, 9)));
            assert!(rng.exponential(2.0) >= 0.0);
            assert!(rng.weighted(&[0, 3, 0, 1]) % 2 == 1);
        }
        let mut v: Vec<u32> = (0..50).collect();
        rng.shuffle(&mut v);
        assert_ne!(v, (0..50).collect::<Vec<_>>());
        v.sort();
        assert_eq!(v, (0..50).collect::<Vec<_>>());
    }
}
