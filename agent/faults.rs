//! The set of active faults under their leases, and what all of them together ask of the world.
//!
//! Pure: the time is an argument. Overlap is union, so healing one of two faults on the same thing leaves
//! the other in force, and the order of applying and healing never matters.

use std::collections::BTreeMap;

use crate::fabric::Edges;
use crate::protocol::{ActiveFault, What, Which};

/// What the active faults, taken together, ask of one target. Ordered by force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    Paused,
    Down,
}

#[derive(Clone, Debug)]
struct Leased {
    what: What,
    deadline_ns: u64,
}

/// The active faults by id.
#[derive(Clone, Debug, Default)]
pub struct FaultSet {
    active: BTreeMap<u64, Leased>,
}

impl FaultSet {
    /// Adds a fault, or renews it when it is there already. An id that stands for other damage is refused.
    pub fn apply(&mut self, fault: u64, what: What, deadline_ns: u64) -> Result<(), String> {
        match self.active.get_mut(&fault) {
            Some(old) if old.what != what => {
                Err(format!("fault {fault} is already active as {:?}", old.what))
            }
            Some(old) => {
                old.deadline_ns = deadline_ns;
                Ok(())
            }
            None => {
                self.active.insert(fault, Leased { what, deadline_ns });
                Ok(())
            }
        }
    }

    /// Moves the deadline of these faults; returns the ids that were active.
    pub fn renew(&mut self, which: &Which, deadline_ns: u64) -> Vec<u64> {
        let ids = self.select(which);
        for id in &ids {
            if let Some(leased) = self.active.get_mut(id) {
                leased.deadline_ns = deadline_ns;
            }
        }
        ids
    }

    /// Removes these faults; returns the ids that were active. Ids that were not are no error.
    pub fn heal(&mut self, which: &Which) -> Vec<u64> {
        let ids = self.select(which);
        for id in &ids {
            self.active.remove(id);
        }
        ids
    }

    /// Removes the faults whose lease has run out; returns their ids.
    pub fn expire(&mut self, now_ns: u64) -> Vec<u64> {
        let late: Vec<u64> =
            self.active.iter().filter(|(_, f)| f.deadline_ns <= now_ns).map(|(id, _)| *id).collect();
        self.heal(&Which::These(late))
    }

    /// When the next lease runs out, if any fault is active.
    pub fn next_deadline(&self) -> Option<u64> {
        self.active.values().map(|leased| leased.deadline_ns).min()
    }

    /// The damage and the deadline of one fault.
    pub fn get(&self, fault: u64) -> Option<(&What, u64)> {
        self.active.get(&fault).map(|leased| (&leased.what, leased.deadline_ns))
    }

    /// Every active fault with what is left of its lease.
    pub fn list(&self, now_ns: u64) -> Vec<ActiveFault> {
        let left = |leased: &Leased| leased.deadline_ns.saturating_sub(now_ns) / 1_000_000;
        self.active
            .iter()
            .map(|(&fault, leased)| ActiveFault { fault, what: leased.what.clone(), left_ms: left(leased) })
            .collect()
    }

    /// What all faults together ask of each target; down outranks paused.
    pub fn wishes(&self) -> BTreeMap<String, Wish> {
        let mut wishes = BTreeMap::new();
        for leased in self.active.values() {
            let (target, wish) = match &leased.what {
                What::Kill { target } => (target, Wish::Down),
                What::Pause { target } => (target, Wish::Paused),
                What::Cut { .. } => continue,
            };
            let strongest = wishes.entry(target.clone()).or_insert(wish);
            *strongest = wish.max(*strongest);
        }
        wishes
    }

    /// The union of all cuts.
    pub fn cut_edges(&self) -> Edges {
        let edges = self.active.values().filter_map(|leased| match &leased.what {
            What::Cut { edges } => Some(edges),
            _ => None,
        });
        edges.flatten().copied().collect()
    }

    fn select(&self, which: &Which) -> Vec<u64> {
        match which {
            Which::All => self.active.keys().copied().collect(),
            Which::These(ids) => ids.iter().copied().filter(|id| self.active.contains_key(id)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fabric::{Edge, between};

    fn kill(target: &str) -> What {
        What::Kill { target: target.into() }
    }

    fn pause(target: &str) -> What {
        What::Pause { target: target.into() }
    }

    #[test]
    fn overlapping_faults_are_a_union_and_heal_in_any_order() {
        let mut set = FaultSet::default();
        set.apply(1, pause("a"), 10).unwrap();
        set.apply(2, kill("a"), 10).unwrap();
        set.apply(3, kill("b"), 10).unwrap();
        assert_eq!(set.wishes(), BTreeMap::from([("a".into(), Wish::Down), ("b".into(), Wish::Down)]));
        assert_eq!(set.heal(&Which::These(vec![2, 3])), [2, 3]);
        assert_eq!(set.wishes(), BTreeMap::from([("a".into(), Wish::Paused)]));
        assert!(set.heal(&Which::These(vec![2])).is_empty());
    }

    #[test]
    fn a_cut_edge_stays_cut_while_any_fault_cuts_it() {
        let mut set = FaultSet::default();
        set.apply(1, What::Cut { edges: between(&[0], &[1]) }, 10).unwrap();
        set.apply(2, What::Cut { edges: [Edge::new(0, 1)].into() }, 20).unwrap();
        assert_eq!(set.expire(10), [1]);
        assert_eq!(set.cut_edges(), [Edge::new(0, 1)].into());
        assert_eq!(set.next_deadline(), Some(20));
    }

    #[test]
    fn an_id_means_one_damage_and_applying_it_again_renews() {
        let mut set = FaultSet::default();
        set.apply(1, kill("a"), 10).unwrap();
        assert!(set.apply(1, kill("b"), 30).is_err());
        set.apply(1, kill("a"), 20).unwrap();
        assert!(set.expire(10).is_empty());
        assert_eq!(set.renew(&Which::All, 40), [1]);
        assert!(set.expire(39).is_empty());
        assert_eq!(set.expire(40), [1]);
        assert_eq!(set.next_deadline(), None);
    }
}
