//! A strike's life in the simulated world: begun, measured, healed, measured again, each step a line of the history.
//!
//! An effect is what the world shows, not what was ordered: a kill took if a process that was up is down, a cut if a
//! packet sent over each of its links would be lost, as the probes of a live run find out. Whom a strike hits is resolved by `nemeses`; when it is due is known to `run.rs`.

use crate::world::World;
use history::{Effect, Event, Nanos, NodeId, Resolved, Strike};

/// A strike that has begun and not yet healed.
struct Active {
    id: u32,
    begun: Nanos,
    resolved: Resolved,
    /// Processes that the strike itself took down or stopped, with the life they had.
    stopped: Vec<(NodeId, u64)>,
    /// Of each link of its cut: messages dropped before it began.
    dropped: Vec<u64>,
    /// Links of its cut that still carried packets when it began.
    open: usize,
    confirmed: bool,
}

/// All strikes in force.
pub struct Strikes {
    active: Vec<Active>,
    /// Strikes that hold each node down.
    down: Vec<u32>,
}

impl Strikes {
    pub fn new(nodes: usize) -> Strikes {
        Strikes { active: Vec::new(), down: vec![0; nodes] }
    }

    /// Carries out a strike whose roles are resolved.
    pub fn begin(
        &mut self,
        id: u32,
        strike: &Strike,
        resolved: Resolved,
        world: &mut World,
        events: &mut Vec<Event>,
    ) {
        events.push(Event::StrikeBegin { time: world.now(), id, strike: strike.clone() });
        let mut stopped = Vec::new();
        for node in &resolved.killed {
            if world.server(*node).is_up() {
                stopped.push((*node, world.server(*node).life));
            }
            world.crash(*node);
            self.down[node.0 as usize] += 1;
        }
        for node in &resolved.paused {
            if world.server(*node).is_up() {
                stopped.push((*node, world.server(*node).life));
                world.pause(*node);
            }
        }
        let open = resolved.cut.iter().filter(|(from, to)| !world.network.is_cut(*from, *to)).count();
        let dropped = resolved.cut.iter().map(|(from, to)| world.network.dropped(*from, *to)).collect();
        for (from, to) in &resolved.cut {
            world.network.cut(*from, *to);
        }
        let begun = world.now();
        self.active.push(Active { id, begun, resolved, stopped, dropped, open, confirmed: false });
        self.measure(world, events);
    }

    /// Confirms the strikes whose effect shows by now. True while some have to be looked at again.
    pub fn measure(&mut self, world: &World, events: &mut Vec<Event>) -> bool {
        for active in self.active.iter_mut().filter(|active| !active.confirmed) {
            let effect = active.effect(world);
            if effect.took {
                active.confirm(effect, world, events);
            }
        }
        self.active.iter().any(|active| !active.confirmed)
    }

    /// Heals one strike; nothing if it is not in force.
    pub fn heal(&mut self, id: u32, world: &mut World, events: &mut Vec<Event>) {
        let Some(at) = self.active.iter().position(|active| active.id == id) else { return };
        let mut active = self.active.remove(at);
        if !active.confirmed {
            active.confirm(active.effect(world), world, events);
        }
        events.push(Event::HealBegin { time: world.now(), id });
        for (from, to) in &active.resolved.cut {
            world.network.mend(*from, *to);
        }
        for node in &active.resolved.killed {
            self.down[node.0 as usize] -= 1;
            if self.down[node.0 as usize] == 0 {
                world.start(*node);
            }
        }
        for (node, life) in &active.stopped {
            if active.resolved.paused.contains(node) && world.server(*node).life == *life {
                world.resume(*node);
            }
        }
        events.push(Event::HealConfirmed { time: world.now(), id, effect: active.healed(world) });
    }

    /// Heals everything that is in force, the latest first.
    pub fn heal_all(&mut self, world: &mut World, events: &mut Vec<Event>) {
        while let Some(id) = self.active.last().map(|active| active.id) {
            self.heal(id, world, events);
        }
    }
}

impl Active {
    fn confirm(&mut self, effect: Effect, world: &World, events: &mut Vec<Event>) {
        self.confirmed = true;
        let (time, resolved) = (world.now(), self.resolved.clone());
        events.push(Event::StrikeConfirmed { time, id: self.id, resolved, effect });
    }

    /// What the strike has done so far.
    fn effect(&self, world: &World) -> Effect {
        let mut says = Vec::new();
        let mut took = !self.resolved.is_empty();
        if !self.resolved.killed.is_empty() || !self.resolved.paused.is_empty() {
            let asked = self.resolved.killed.len() + self.resolved.paused.len();
            let gone = self.stopped.iter().filter(|(node, _)| !world.server(*node).runs()).count();
            took &= gone > 0;
            says.push(format!("{gone} of {asked} processes no longer run that ran before"));
        }
        if !self.resolved.cut.is_empty() {
            let met = self.resolved.cut.iter().zip(&self.dropped);
            let met: Vec<u64> =
                met.map(|((from, to), before)| world.network.dropped(*from, *to) - before).collect();
            let open =
                self.resolved.cut.iter().filter(|(from, to)| !world.network.is_cut(*from, *to)).count();
            took &= open == 0 && self.open > 0;
            let (messages, of) = (met.iter().sum::<u64>(), met.len());
            let after = (world.now() - self.begun) as f64 / 1e6;
            says.push(format!(
                "{open} of {of} links carry packets (before: {}), {messages} messages lost in {after:.1} ms",
                self.open
            ));
        }
        Effect { took, measured: says.join("; ") }
    }

    /// Whether the damage is gone.
    fn healed(&self, world: &World) -> Effect {
        let nodes = self.resolved.killed.iter().chain(&self.resolved.paused);
        let silent = nodes.filter(|node| !world.server(**node).runs()).count();
        let cut = self.resolved.cut.iter().filter(|(from, to)| world.network.is_cut(*from, *to)).count();
        let measured = match (silent, cut) {
            (0, 0) => "all processes run, all links are open".to_string(),
            _ => format!("{silent} processes do not run, {cut} links are cut: by another strike"),
        };
        Effect { took: silent + cut == 0, measured }
    }
}
