//! From nemeses to strikes in time: intervals, lengths, the budget of nodes that may be down at once.

use crate::{Nemesis, PlanOptions, Topology};
use history::rng::Rng;
use history::{Fault, Nanos, Strike, Who};
use std::collections::BTreeMap;

/// Plans are printed and edited by people: nothing finer than this.
const GRAIN: Nanos = 10_000_000;

/// The plan of several nemeses together, in order of time.
///
/// One strike at a time, with at least the calm gap around it; each nemesis gets its turn before any gets its
/// second. With `overlap`, each family of faults has a timeline of its own, and no more than a minority is ever
/// killed or paused at once, unless a nemesis means a majority by itself or `majority` asks for it.
pub fn plan_all(
    nemeses: &[&dyn Nemesis],
    topology: &Topology,
    span: Nanos,
    options: &PlanOptions,
    mut rng: Rng,
) -> Vec<Strike> {
    let active: Vec<&dyn Nemesis> = nemeses.iter().filter(|n| !n.needs().is_empty()).copied().collect();
    if !options.overlap {
        return timeline(&active, topology, span, options, rng);
    }
    let mut families: BTreeMap<&str, Vec<&dyn Nemesis>> = BTreeMap::new();
    for nemesis in active {
        families.entry(nemesis.needs()[0]).or_default().push(nemesis);
    }
    let mut strikes: Vec<Strike> = families
        .iter()
        .flat_map(|(family, part)| timeline(part, topology, span, options, rng.fork(family)))
        .collect();
    strikes.sort_by_key(|s| s.at);
    within_budget(strikes, topology.nodes, options)
}

/// One strike at a time.
fn timeline(
    nemeses: &[&dyn Nemesis],
    topology: &Topology,
    span: Nanos,
    options: &PlanOptions,
    mut rng: Rng,
) -> Vec<Strike> {
    if nemeses.is_empty() || span == 0 {
        return Vec::new();
    }
    let mut bag: Vec<usize> = Vec::new();
    let mut strikes = Vec::new();
    for (at, lasts) in times(span, nemeses.len(), options, &mut rng) {
        if bag.is_empty() {
            bag = (0..nemeses.len()).collect();
            rng.shuffle(&mut bag);
        }
        let Some(nemesis) = bag.pop().map(|i| nemeses[i]) else { continue };
        if let Some(fault) = nemesis.fault(topology, options, &mut rng) {
            // 53 bits, so that every reader of JSON gets the same number.
            let pick = rng.u64() >> 11;
            strikes.push(Strike { at, lasts, fault, pick, nemesis: nemesis.name().into() });
        }
    }
    strikes
}

/// When strikes begin and how long they last. Fewer than `least` would leave a nemesis without its turn: then
/// the span is cut into that many equal parts, with a strike in the middle third of each.
fn times(span: Nanos, least: usize, options: &PlanOptions, rng: &mut Rng) -> Vec<(Nanos, Nanos)> {
    let mut times = Vec::new();
    let shortest = options.min_length.min(options.max_length).max(GRAIN);
    let mut at = options.calm + gap(options, rng) / 2;
    loop {
        let lasts = coarse(rng.range(shortest, options.max_length.max(shortest) + 1));
        let left = span.saturating_sub(at + options.calm);
        if left < shortest {
            break;
        }
        let lasts = lasts.min(coarse(left)).max(GRAIN);
        times.push((coarse(at), lasts));
        at += lasts + options.calm + gap(options, rng);
    }
    if times.len() >= least {
        return times;
    }
    let slot = span / least as u64;
    let lasts = |slot: Nanos| coarse(slot / 3).clamp(1, options.max_length.max(1));
    (0..least as u64).map(|i| (coarse(i * slot + slot / 3), lasts(slot))).collect()
}

/// What comes on top of the calm: uniform, so that the whole is `interval` on average.
fn gap(options: &PlanOptions, rng: &mut Rng) -> Nanos {
    rng.below(2 * options.interval.saturating_sub(options.calm) + 1)
}

fn coarse(time: Nanos) -> Nanos {
    if time < GRAIN { time } else { time / GRAIN * GRAIN }
}

/// Most nodes that a role can stand for.
pub fn most(who: &Who, nodes: usize) -> usize {
    let minority = nodes.saturating_sub(1) / 2;
    match who {
        Who::Nodes(named) => named.len().min(nodes),
        Who::One | Who::Leader => 1,
        Who::Minority | Who::LeaderMinority => minority,
        Who::Majority => nodes / 2 + 1,
        Who::Followers => nodes.saturating_sub(1),
        Who::All => nodes,
        Who::Not(who) => nodes - most(who, nodes).min(nodes),
    }
}

/// Nodes that a fault takes out of service for as long as it lasts.
fn down(fault: &Fault, nodes: usize) -> usize {
    match fault {
        Fault::Kill(who) | Fault::Pause(who) => most(who, nodes),
        Fault::Partition(_) => 0,
    }
}

/// Makes overlapping strikes smaller, or leaves them out, until no more than a minority is down at once. A strike
/// that is more than a minority by itself was asked for: it stays, alone.
fn within_budget(strikes: Vec<Strike>, nodes: usize, options: &PlanOptions) -> Vec<Strike> {
    let budget = nodes.saturating_sub(1) / 2;
    if options.majority {
        return strikes;
    }
    let mut kept: Vec<Strike> = Vec::new();
    for mut strike in strikes {
        let overlaps = |s: &&Strike| s.at + s.lasts + options.calm > strike.at;
        let already: usize = kept.iter().filter(overlaps).map(|s| down(&s.fault, nodes)).sum();
        let more = down(&strike.fault, nodes);
        if more > 0 && already > 0 && already + more > budget {
            if already + 1 > budget {
                continue;
            }
            strike.fault = match strike.fault {
                Fault::Kill(_) => Fault::Kill(Who::One),
                _ => Fault::Pause(Who::One),
            };
        }
        kept.push(strike);
    }
    kept
}
