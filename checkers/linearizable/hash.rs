//! A fast hasher without a random seed, and an interner on top: ids in order of first appearance, so that they
//! mean the same in every run. Not for keys chosen by an adversary who wants collisions: budgets bound those.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

#[derive(Default, Clone)]
pub struct Fast(u64);

const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

impl Fast {
    fn add(&mut self, x: u64) {
        let wide = (self.0 ^ x) as u128 * MIX as u128;
        self.0 = (wide >> 64) as u64 ^ wide as u64;
    }
}

impl Hasher for Fast {
    fn finish(&self) -> u64 {
        self.0.wrapping_mul(MIX)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word) ^ (chunk.len() as u64) << 56);
        }
    }

    fn write_u8(&mut self, x: u8) {
        self.add(x as u64 + 1);
    }

    fn write_u32(&mut self, x: u32) {
        self.add(x as u64 + 1);
    }

    fn write_u64(&mut self, x: u64) {
        self.add(x.wrapping_add(1));
    }

    fn write_usize(&mut self, x: usize) {
        self.add(x as u64 + 1);
    }

    fn write_u128(&mut self, x: u128) {
        self.add((x as u64).wrapping_add(1));
        self.add((x >> 64) as u64);
    }
}

pub type Map<K, V> = HashMap<K, V, BuildHasherDefault<Fast>>;

/// Things by number.
pub struct Interned<T> {
    ids: Map<T, u32>,
    things: Vec<T>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Interned { ids: Map::default(), things: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Interned<T> {
    pub fn id(&mut self, thing: &T) -> u32 {
        match self.ids.get(thing) {
            Some(id) => *id,
            None => {
                let id = self.things.len() as u32;
                self.things.push(thing.clone());
                self.ids.insert(thing.clone(), id);
                id
            }
        }
    }

    pub fn get(&self, id: u32) -> &T {
        &self.things[id as usize]
    }

    pub fn len(&self) -> usize {
        self.things.len()
    }

    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }
}
