//! Numbers about the local cluster, for the bench verb: how long it takes to come up, and how many times a
//! second one link can be cut, seen cut, healed and seen healed.

use std::path::Path;
use std::time::{Duration, Instant};

use agent::fabric::{Edge, Edges};
use agent::protocol::Which;
use anyhow::{Result, ensure};

use crate::{ClusterSpec, Provider};

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// From nothing to every node's agent answering.
    pub up: Duration,
    /// Every process gone.
    pub down: Duration,
    /// Cut, verify, heal, verify of one directed link, per second.
    pub strikes_per_second: f64,
    /// One look at every directed link of a whole network.
    pub matrix_whole: Duration,
    /// The same with a minority of two cut off.
    pub matrix_cut: Duration,
}

/// Measures a cluster of `nodes` nodes, with `strikes` strikes. `data_root` must exist.
pub async fn bench_cluster(
    provider: &dyn Provider,
    data_root: &Path,
    nodes: usize,
    strikes: u32,
) -> Result<Numbers> {
    let begin = Instant::now();
    let spec = ClusterSpec { run: "bench".into(), nodes, data_root: data_root.to_owned() };
    let cluster = provider.up(&spec).await?;
    let up = begin.elapsed();
    let fabric = cluster.fabric();
    let lease = Duration::from_secs(10);
    let edges: Edges = [Edge::new(0, 1)].into();

    let begin = Instant::now();
    for strike in 0..u64::from(strikes) {
        fabric.cut(strike, edges.clone(), lease).await?;
        ensure!(fabric.crossed(&edges).await?.is_empty(), "strike {strike} had no effect");
        fabric.heal(Which::These(vec![strike])).await?;
        ensure!(fabric.crossed(&edges).await? == edges, "strike {strike} did not heal");
    }
    let strikes_per_second = f64::from(strikes) / begin.elapsed().as_secs_f64();

    let begin = Instant::now();
    fabric.connectivity().await?;
    let matrix_whole = begin.elapsed();
    let rest: Vec<usize> = (2..nodes).collect();
    fabric.cut(u64::MAX, agent::fabric::between(&[0, 1], &rest), lease).await?;
    let begin = Instant::now();
    fabric.connectivity().await?;
    let matrix_cut = begin.elapsed();

    let begin = Instant::now();
    cluster.down().await?;
    Ok(Numbers { up, down: begin.elapsed(), strikes_per_second, matrix_whole, matrix_cut })
}
