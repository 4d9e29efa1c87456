//! From roles to nodes, at the moment a strike begins. The same pick and the same roles give the same nodes.

use history::rng::Rng;
use history::{Cut, Fault, NodeId, Resolved, Who};
use std::collections::BTreeSet;

/// Who plays which part now, by the target's own word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// The leader of the highest term; `None` where nobody says so.
    pub leader: Option<NodeId>,
}

type Nodes = BTreeSet<NodeId>;
type Edges = BTreeSet<(NodeId, NodeId)>;

/// The nodes and directed links that `fault` strikes among `nodes` nodes. `pick` is the seed of every choice.
pub fn resolve(fault: &Fault, nodes: usize, roles: &Roles, pick: u64) -> Resolved {
    let mut resolver =
        Resolver { all: (0..nodes).map(|n| NodeId(n as u8)).collect(), rng: Rng::new(pick, "resolve") };
    // Drawn whether it is needed or not, so that the other choices do not depend on whether anybody leads.
    let stand_in = resolver.some(1).first().copied();
    let leader = roles.leader.filter(|l| (l.0 as usize) < nodes);
    let lead = leader.or(stand_in);
    let mut resolved = Resolved { leader, ..Resolved::default() };
    match fault {
        Fault::Kill(who) => resolved.killed = resolver.who(who, lead).into_iter().collect(),
        Fault::Pause(who) => resolved.paused = resolver.who(who, lead).into_iter().collect(),
        Fault::Partition(cut) => resolved.cut = resolver.cut(cut, lead).into_iter().collect(),
    }
    resolved
}

struct Resolver {
    all: Vec<NodeId>,
    rng: Rng,
}

impl Resolver {
    fn minority(&self) -> usize {
        self.all.len().saturating_sub(1) / 2
    }

    fn shuffled(&mut self) -> Vec<NodeId> {
        let mut nodes = self.all.clone();
        self.rng.shuffle(&mut nodes);
        nodes
    }

    fn some(&mut self, count: usize) -> Nodes {
        self.shuffled().into_iter().take(count).collect()
    }

    fn who(&mut self, who: &Who, lead: Option<NodeId>) -> Nodes {
        match who {
            Who::Nodes(named) => named.iter().filter(|n| self.all.contains(n)).copied().collect(),
            Who::One => self.some(1),
            Who::Minority => self.some(self.minority()),
            Who::Majority => self.some(self.all.len() / 2 + 1),
            Who::Leader => lead.into_iter().collect(),
            Who::LeaderMinority => {
                let followers = self.shuffled().into_iter().filter(|n| Some(*n) != lead);
                lead.into_iter().chain(followers).take(self.minority()).collect()
            }
            Who::Followers => self.all.iter().filter(|n| Some(**n) != lead).copied().collect(),
            Who::All => self.all.iter().copied().collect(),
            Who::Not(who) => {
                let not = self.who(who, lead);
                self.all.iter().filter(|n| !not.contains(n)).copied().collect()
            }
        }
    }

    fn cut(&mut self, cut: &Cut, lead: Option<NodeId>) -> Edges {
        match cut {
            Cut::Split(who) => {
                let side = self.who(who, lead);
                let rest = self.all.iter().filter(|n| !side.contains(n)).copied().collect();
                between(&side, &rest)
            }
            Cut::Isolate(who) => {
                let alone = self.who(who, lead);
                between(&alone, &self.all.iter().copied().collect())
            }
            Cut::Bridge => {
                let nodes = self.shuffled();
                let Some((_, rest)) = nodes.split_first() else { return Edges::new() };
                let (left, right) = rest.split_at(rest.len() / 2);
                between(&left.iter().copied().collect(), &right.iter().copied().collect())
            }
            Cut::Ring => ring(&self.shuffled()),
            Cut::OneWay(from, to) => {
                let from = self.who(from, lead);
                let mut to = self.who(to, lead);
                if from.len() == 1 && from == to {
                    // Two draws of one node: the second means another.
                    let next = from.iter().map(|n| NodeId((n.0 + 1) % self.all.len() as u8));
                    to = next.collect();
                }
                one_way(&from, &to)
            }
        }
    }
}

fn one_way(from: &Nodes, to: &Nodes) -> Edges {
    from.iter().flat_map(|a| to.iter().filter(move |b| *b != a).map(move |b| (*a, *b))).collect()
}

fn between(a: &Nodes, b: &Nodes) -> Edges {
    one_way(a, b).into_iter().chain(one_way(b, a)).collect()
}

/// Each node keeps its nearest neighbours on a ring, as many on each side as make a majority with itself. The links
/// are kept both ways: over TCP a link open in one direction only is no link. Three nodes make a path, since
/// every ring of three is whole; two or one cannot be cut that way.
fn ring(order: &[NodeId]) -> Edges {
    let n = order.len();
    if n < 3 {
        return Edges::new();
    }
    if n == 3 {
        return between(&[order[0]].into(), &[order[2]].into());
    }
    let reach = (n / 2).div_ceil(2);
    let apart = |i: usize, j: usize| i.abs_diff(j).min(n - i.abs_diff(j));
    let pairs = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
    pairs.filter(|(i, j)| apart(*i, *j) > reach).map(|(i, j)| (order[i], order[j])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(cut: Cut, nodes: usize, leader: Option<u8>, pick: u64) -> Vec<(u8, u8)> {
        let roles = Roles { leader: leader.map(NodeId) };
        let resolved = resolve(&Fault::Partition(cut), nodes, &roles, pick);
        resolved.cut.iter().map(|(a, b)| (a.0, b.0)).collect()
    }

    /// Whom each node still exchanges packets with, itself included.
    fn views(edges: &[(u8, u8)], nodes: usize) -> Vec<BTreeSet<u8>> {
        let n = nodes as u8;
        let linked = |a: u8, b: u8| !edges.contains(&(a, b)) && !edges.contains(&(b, a));
        (0..n).map(|a| (0..n).filter(|b| linked(a, *b)).collect()).collect()
    }

    fn every_case(mut check: impl FnMut(usize, u64)) {
        (1..=9).for_each(|nodes| (0..40).for_each(|pick| check(nodes, pick)));
    }

    #[test]
    fn in_a_ring_every_node_sees_a_majority_and_no_two_the_same() {
        every_case(|nodes, pick| {
            let edges = cut(Cut::Ring, nodes, None, pick);
            assert_eq!(edges.is_empty(), nodes < 3);
            let views = views(&edges, nodes);
            assert!(views.iter().all(|v| v.len() > nodes / 2), "{nodes} {views:?}");
            let different: BTreeSet<_> = views.iter().collect();
            assert!(nodes < 3 || different.len() == nodes, "{nodes} {views:?}");
        });
    }

    #[test]
    fn a_bridge_shares_exactly_one_node() {
        every_case(|nodes, pick| {
            let views = views(&cut(Cut::Bridge, nodes, None, pick), nodes);
            let whole = views.iter().filter(|v| v.len() == nodes).count();
            assert_eq!(whole, if nodes < 3 { nodes } else { 1 }, "{views:?}");
            let sizes: BTreeSet<usize> = views.iter().map(BTreeSet::len).filter(|len| *len < nodes).collect();
            assert!(sizes.iter().all(|len| len.abs_diff(nodes / 2 + 1) <= 1), "{nodes} {sizes:?}");
        });
    }

    #[test]
    fn the_leaders_minority_holds_the_leader_and_is_one() {
        every_case(|nodes, pick| {
            let leader = (pick % nodes as u64) as u8;
            let views = views(&cut(Cut::Split(Who::LeaderMinority), nodes, Some(leader), pick), nodes);
            let side = &views[leader as usize];
            if nodes >= 3 {
                assert!(side.len() <= nodes / 2 && side.len() == (nodes - 1) / 2, "{nodes} {side:?}");
                assert!(side.iter().all(|n| &views[*n as usize] == side), "the side stays whole");
            }
        });
    }

    #[test]
    fn isolated_nodes_see_nobody() {
        every_case(|nodes, pick| {
            let views = views(&cut(Cut::Isolate(Who::Minority), nodes, None, pick), nodes);
            let alone = views.iter().filter(|v| v.len() == 1).count();
            assert!(alone >= (nodes - 1) / 2, "{views:?}");
        });
    }

    #[test]
    fn one_way_leaves_the_way_back_open() {
        assert_eq!(cut(Cut::OneWay(Who::Leader, Who::Followers), 3, Some(1), 5), [(1, 0), (1, 2)]);
        assert_eq!(cut(Cut::OneWay(Who::All, Who::Leader), 3, Some(1), 5), [(0, 1), (2, 1)]);
        every_case(|nodes, pick| {
            let edges = cut(Cut::OneWay(Who::One, Who::One), nodes, None, pick);
            assert_eq!(edges.len(), (nodes > 1) as usize);
        });
    }

    #[test]
    fn no_edge_leads_from_a_node_to_itself_and_a_pick_decides_all() {
        let cuts = [
            Cut::Split(Who::Majority),
            Cut::Isolate(Who::All),
            Cut::Bridge,
            Cut::Ring,
            Cut::OneWay(Who::All, Who::All),
            Cut::Split(Who::Not(Box::new(Who::Leader))),
        ];
        every_case(|nodes, pick| {
            for c in &cuts {
                let edges = cut(c.clone(), nodes, None, pick);
                assert!(edges.iter().all(|(a, b)| a != b && (*a as usize) < nodes && (*b as usize) < nodes));
                assert_eq!(edges, cut(c.clone(), nodes, None, pick));
            }
        });
    }

    #[test]
    fn roles_become_nodes() {
        let roles = Roles { leader: Some(NodeId(2)) };
        let killed = |who: Who, nodes: usize| resolve(&Fault::Kill(who), nodes, &roles, 7).killed;
        assert_eq!(killed(Who::Leader, 5), [NodeId(2)]);
        assert_eq!(killed(Who::Followers, 3), [NodeId(0), NodeId(1)]);
        assert_eq!(killed(Who::Minority, 5).len(), 2);
        assert_eq!(killed(Who::Majority, 4).len(), 3);
        assert_eq!(
            killed(Who::Nodes(vec![NodeId(4), NodeId(9), NodeId(0), NodeId(4)]), 5),
            [NodeId(0), NodeId(4)]
        );
        assert_eq!(killed(Who::Not(Box::new(Who::Leader)), 3), [NodeId(0), NodeId(1)]);
        let nobody = resolve(&Fault::Pause(Who::Leader), 5, &Roles::default(), 7);
        assert_eq!((nobody.paused.len(), nobody.leader), (1, None));
        // Every node gets its turn.
        let ones: BTreeSet<_> =
            (0..200).flat_map(|p| resolve(&Fault::Kill(Who::One), 5, &roles, p).killed).collect();
        assert_eq!(ones.len(), 5);
    }
}
