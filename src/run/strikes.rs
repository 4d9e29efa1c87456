//! A strike's life: resolved, begun, applied under a lease, measured, healed, measured again.
//!
//! Every step is journaled as it happens. Effects are measured through the data path (packets between nodes) or in
//! the target's own answers, never by reading a rule back. What strikes when was planned in `nemeses`.

use super::{Control, watch};
use crate::terminal::Progress;
use agent::fabric::{Edge, Edges};
use agent::protocol::{Request, What, Which};
use history::{Effect, Event, NodeId, Resolved, Strike};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use targets::{Deployed, SharedCluster};
use tokio::time::{Instant, sleep, sleep_until};

const AGENT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_millis(120);
/// How long a heal may take to show before it is recorded as not seen.
const HEAL_SEEN: Duration = Duration::from_secs(8);

/// Everything that strikes share.
pub struct Hands {
    cluster: SharedCluster,
    deployed: Arc<dyn Deployed>,
    roles: watch::Latest,
    control: Arc<Control>,
    lease: Duration,
    progress: Arc<Progress>,
    /// Strikes not yet healed, by id.
    active: Mutex<BTreeMap<u32, Resolved>>,
}

impl Hands {
    pub fn new(
        cluster: SharedCluster,
        deployed: Arc<dyn Deployed>,
        roles: watch::Latest,
        control: Arc<Control>,
        lease: Duration,
        progress: Arc<Progress>,
    ) -> Arc<Hands> {
        Arc::new(Hands { cluster, deployed, roles, control, lease, progress, active: Mutex::default() })
    }

    fn nodes(&self) -> usize {
        self.cluster.nodes().len()
    }

    fn name(&self, node: NodeId) -> &str {
        &self.cluster.nodes()[node.0 as usize].name
    }

    fn names(&self, nodes: &[NodeId]) -> String {
        nodes.iter().map(|n| self.name(*n)).collect::<Vec<_>>().join(", ")
    }

    /// What a strike does, in a few words for the terminal.
    fn says(&self, resolved: &Resolved) -> String {
        match (resolved.killed.is_empty(), resolved.paused.is_empty()) {
            (false, _) => format!("kill {}", self.names(&resolved.killed)),
            (_, false) => format!("pause {}", self.names(&resolved.paused)),
            _ => format!(
                "cut {} links around {}",
                resolved.cut.len(),
                self.names(&resolved.touched(self.nodes()))
            ),
        }
    }

    async fn strike(self: Arc<Self>, id: u32, strike: Strike, due: Instant) {
        sleep_until(due).await;
        if self.control.stopping() {
            return;
        }
        let leader = watch::leader(&self.roles);
        let roles = nemeses::Roles { leader };
        let resolved = nemeses::resolve(&strike.fault, self.nodes(), &roles, strike.pick);
        let before = self.measure(&resolved).await;
        self.control.record(|time| Event::StrikeBegin { time, id, strike: strike.clone() });
        let _ = self.control.journal.sync();
        self.progress.say(format!("  strike: {} ({})", self.says(&resolved), strike.fault));
        self.lock().insert(id, resolved.clone());
        let begun = Instant::now();
        let applied = self.apply(id, &resolved).await;
        let effect = match applied {
            Ok(()) => self.effect(&resolved, &before, begun).await,
            Err(e) => Effect { took: false, measured: format!("not applied: {e:#}") },
        };
        if !effect.took {
            self.progress.say(format!("  without effect: {}", effect.measured));
        }
        self.control.record(|time| Event::StrikeConfirmed { time, id, resolved, effect });
        sleep_until(begun + Duration::from_nanos(strike.lasts)).await;
        self.heal(id).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, Resolved>> {
        self.active.lock().unwrap_or_else(|e| e.into_inner())
    }

    async fn apply(&self, id: u32, resolved: &Resolved) -> anyhow::Result<()> {
        if resolved.is_empty() {
            anyhow::bail!("nobody to strike");
        }
        if !resolved.cut.is_empty() {
            return self.cluster.fabric().cut(id as u64, edges(&resolved.cut), self.lease).await;
        }
        let target = self.deployed.process().to_string();
        let kills = resolved.killed.iter().map(|n| (*n, What::Kill { target: target.clone() }));
        let pauses = resolved.paused.iter().map(|n| (*n, What::Pause { target: target.clone() }));
        let lease_ms = self.lease.as_millis() as u32;
        let asks: Vec<_> = kills
            .chain(pauses)
            .map(|(node, what)| {
                let cluster = self.cluster.clone();
                tokio::spawn(async move {
                    let request = Request::Apply { fault: id as u64, what, lease_ms };
                    cluster.remote(node.0 as usize).ask(request, AGENT).await.map(drop)
                })
            })
            .collect();
        for ask in asks {
            ask.await??;
        }
        Ok(())
    }

    /// What is reachable now: links for a cut, answers of the struck nodes otherwise. `(seen, of)`.
    async fn measure(&self, resolved: &Resolved) -> (usize, usize) {
        if !resolved.cut.is_empty() {
            let edges = edges(&resolved.cut);
            let crossed = self.cluster.fabric().crossed(&edges).await.map(|c| c.len()).unwrap_or(0);
            return (crossed, edges.len());
        }
        let struck: Vec<&NodeId> = resolved.killed.iter().chain(&resolved.paused).collect();
        let views = self.deployed.roles(PATIENCE).await;
        let answer = struck.iter().filter(|n| views.get(n.0 as usize).is_some_and(Option::is_some)).count();
        (answer, struck.len())
    }

    /// Whether the damage shows: every link or node struck is silent, and at least one was not before.
    async fn effect(&self, resolved: &Resolved, before: &(usize, usize), begun: Instant) -> Effect {
        let (seen, of) = self.measure(resolved).await;
        let what = if resolved.cut.is_empty() {
            "struck nodes answer on the client port"
        } else {
            "links carry packets"
        };
        let measured = format!(
            "{seen} of {of} {what} (before: {} of {}), seen after {:.1} ms",
            before.0,
            before.1,
            begun.elapsed().as_secs_f64() * 1e3
        );
        Effect { took: seen == 0 && of > 0 && before.0 > 0, measured }
    }

    /// Heals one strike and waits until that shows. Idempotent: a strike already healed is left alone.
    async fn heal(&self, id: u32) {
        let Some(resolved) = self.lock().remove(&id) else { return };
        let begun = Instant::now();
        self.control.record(|time| Event::HealBegin { time, id });
        let healed = self.undo(Which::These(vec![id as u64]), &resolved).await;
        let wanted = if resolved.cut.is_empty() {
            resolved.killed.len() + resolved.paused.len()
        } else {
            resolved.cut.len()
        };
        let mut seen = self.measure(&resolved).await;
        while seen.0 < wanted && begun.elapsed() < HEAL_SEEN && !self.overlapped(&resolved) {
            sleep(Duration::from_millis(20)).await;
            seen = self.measure(&resolved).await;
        }
        let what = if resolved.cut.is_empty() { "nodes answer again" } else { "links carry packets again" };
        let mut measured = format!(
            "{} of {} {what}, seen after {:.1} ms",
            seen.0,
            seen.1,
            begun.elapsed().as_secs_f64() * 1e3
        );
        if let Err(e) = healed {
            measured += &format!("; {e:#}");
        }
        let effect = Effect { took: seen.0 >= wanted, measured };
        self.control.record(|time| Event::HealConfirmed { time, id, effect });
    }

    /// Another strike still holds some of the same nodes or links, so this heal cannot show.
    fn overlapped(&self, resolved: &Resolved) -> bool {
        self.lock().values().any(|other| {
            let nodes = |r: &Resolved| r.killed.iter().chain(&r.paused).copied().collect::<Vec<_>>();
            nodes(other).iter().any(|n| nodes(resolved).contains(n))
                || other.cut.iter().any(|e| resolved.cut.contains(e))
        })
    }

    async fn undo(&self, which: Which, resolved: &Resolved) -> anyhow::Result<()> {
        if !resolved.cut.is_empty() {
            self.cluster.fabric().heal(which.clone()).await?;
        }
        let asks: Vec<_> = resolved
            .killed
            .iter()
            .chain(&resolved.paused)
            .map(|node| {
                let (cluster, node, which) = (self.cluster.clone(), node.0 as usize, which.clone());
                tokio::spawn(async move {
                    cluster.remote(node).ask(Request::Heal { faults: which }, AGENT).await.map(drop)
                })
            })
            .collect();
        for ask in asks {
            ask.await??;
        }
        Ok(())
    }

    /// Every strike healed and seen to be, then every agent told to forget what it may still hold.
    pub async fn heal_everything(&self) {
        loop {
            let next = self.lock().keys().next().copied();
            match next {
                Some(id) => self.heal(id).await,
                None => break,
            }
        }
        let _ = self.cluster.fabric().heal(Which::All).await;
        for node in 0..self.nodes() {
            let _ = self.cluster.remote(node).ask(Request::Heal { faults: Which::All }, AGENT).await;
        }
    }

    /// Leases are short and renewed, so that a controller that hangs lets go.
    async fn renew(self: Arc<Self>) {
        loop {
            sleep(self.lease / 3).await;
            if self.lock().is_empty() {
                continue;
            }
            let _ = self.cluster.fabric().renew(Which::All, self.lease).await;
            let lease_ms = self.lease.as_millis() as u32;
            for node in 0..self.nodes() {
                let renew = Request::Renew { faults: Which::All, lease_ms };
                let _ = self.cluster.remote(node).ask(renew, AGENT).await;
            }
        }
    }
}

fn edges(cut: &[(NodeId, NodeId)]) -> Edges {
    cut.iter().map(|(a, b)| Edge::new(a.0 as usize, b.0 as usize)).collect()
}

/// Waits for the load phase, then performs each strike at its time, each as a task of its own.
pub async fn perform(hands: Arc<Hands>, strikes: Vec<Strike>, control: Arc<Control>) {
    let mut phase = control.phase.subscribe();
    if phase.wait_for(|p| p == "load").await.is_err() {
        return;
    }
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(hands.clone().renew());
    for (id, strike) in strikes.into_iter().enumerate() {
        let due = start + Duration::from_nanos(strike.at);
        tasks.spawn(hands.clone().strike(id as u32, strike, due));
    }
    while tasks.join_next().await.is_some() {}
}
