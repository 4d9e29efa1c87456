//! The event queue: what happens next, in order of (time, sequence).
//!
//! Two things planned for the same nanosecond happen in the order in which they were planned, so a run depends on
//! nothing but its seed. It knows nothing of what the things are.

use history::Nanos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A priority queue with stable order. Insertion and removal cost O(log n) moves of 24 bytes; the payloads stay put.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<(Nanos, u64, u32)>>,
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    planned: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), planned: 0 }
    }
}

impl<T> Queue<T> {
    /// Plans `thing` for `at`.
    pub fn push(&mut self, at: Nanos, thing: T) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(thing);
                slot
            }
            None => {
                self.slots.push(Some(thing));
                (self.slots.len() - 1) as u32
            }
        };
        self.heap.push(Reverse((at, self.planned, slot)));
        self.planned += 1;
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Takes the next thing.
    pub fn pop(&mut self) -> Option<(Nanos, T)> {
        let Reverse((at, _, slot)) = self.heap.pop()?;
        self.free.push(slot);
        self.slots[slot as usize].take().map(|thing| (at, thing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_first_and_ties_in_the_order_of_planning() {
        let mut queue = Queue::default();
        for (at, name) in [(5, "c"), (1, "a"), (5, "d"), (1, "b")] {
            queue.push(at, name);
        }
        assert_eq!(queue.next_at(), Some(1));
        assert_eq!(queue.pop(), Some((1, "a")));
        queue.push(5, "e");
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(_, name)| name).collect();
        assert_eq!(rest, ["b", "c", "d", "e"]);
    }
}
