//! The bundled replicated store as a system under test: `schism store serve` on every node.
//!
//! It is started and stopped by each node's agent like any other program, and asked over its own client protocol.
//! The translation of calls is `sim::translate`, so that a simulated run and a live one ask the same.

use crate::{Client, Deploy, Deployed, RoleView, SharedCluster, Target};
use agent::protocol::{Request as Ask, StartSpec};
use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use history::{Call, Error, NodeId, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::protocol::{Command, Reply, Report, Request};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use workloads::Object;

const CLIENT_PORT: u16 = 7000;
const PEER_PORT: u16 = 7001;
const PROCESS: &str = "store";

pub struct Store;

/// Copies of each key in quorum mode, and how many of them make a quorum.
pub fn replicas(nodes: usize) -> (usize, usize) {
    let n = nodes.min(3);
    (n, n / 2 + 1)
}

#[async_trait]
impl Target for Store {
    fn name(&self) -> &'static str {
        "store"
    }

    fn about(&self) -> &'static str {
        "The bundled replicated store, with bugs that can be switched on."
    }

    fn modes(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("raft", "Consensus on one log: everything linearizable, also while a minority is gone."),
            (
                "quorum",
                "Leaderless, majorities for reads and writes with write-back: linearizable registers, nothing else.",
            ),
            ("single", "One node holds everything, the others forward: the reference."),
        ]
    }

    fn promise(&self, mode: &str, workload: &str, family: &str) -> Option<&'static str> {
        store::promises::promised(mode, workload, family)
    }

    async fn deploy(&self, cluster: SharedCluster, deploy: &Deploy) -> Result<Arc<dyn Deployed>> {
        let members: Vec<String> =
            cluster.nodes().iter().map(|n| format!("{}={}:{PEER_PORT}", n.name, n.address)).collect();
        let members = members.join(",");
        let starts = cluster.nodes().iter().enumerate().map(|(i, node)| {
            let data = node.data.display().to_string();
            let mut argv: Vec<String> =
                vec![deploy.program.display().to_string(), "store".into(), "serve".into()];
            let mut flag = |name: &str, value: String| argv.extend([format!("--{name}"), value]);
            flag("mode", deploy.mode.clone());
            flag("me", node.name.clone());
            flag("members", members.clone());
            flag("client-port", CLIENT_PORT.to_string());
            flag("client-host", "0.0.0.0".into());
            flag("data", format!("{data}/store"));
            flag("seed", deploy.seed.to_string());
            if deploy.mode == "quorum" {
                let (n, majority) = replicas(cluster.nodes().len());
                flag("n", n.to_string());
                flag("w", majority.to_string());
                flag("r", majority.to_string());
            }
            if let Some(bug) = &deploy.bug {
                flag("bug", bug.clone());
            }
            argv.push("--trace".into());
            let spec = StartSpec {
                name: PROCESS.into(),
                argv,
                env: BTreeMap::new(),
                dir: data.clone(),
                log_path: format!("{data}/store.log"),
            };
            let cluster = cluster.clone();
            async move {
                cluster
                    .remote(i)
                    .ask(Ask::Start(spec), Duration::from_secs(5))
                    .await
                    .with_context(|| format!("starting the store on n{}", i + 1))
            }
        });
        for started in join_all(starts.collect()).await {
            started?;
        }
        let links = cluster.nodes().iter().map(|_| Mutex::new(None)).collect();
        Ok(Arc::new(Running { cluster, links, mode: deploy.mode.clone() }))
    }
}

type Connection = store::client::Client<nodes::BoxedStream>;

struct Running {
    cluster: SharedCluster,
    /// One connection a node for status, from outside, opened when needed.
    links: Vec<Mutex<Option<Connection>>>,
    mode: String,
}

impl Running {
    async fn status(&self, node: usize, patience: Duration) -> Option<Report> {
        let mut link = self.links[node].lock().await;
        let asked = timeout(patience, async {
            if link.is_none() {
                let stream = self.cluster.dial(nodes::From::Outside, node, CLIENT_PORT).await.ok()?;
                *link = Some(Connection::connect(stream));
            }
            let request = Request { id: "status".into(), session: 0, seq: 0, command: Command::Status };
            let response = link.as_mut()?.call(&request, patience).await.ok()?;
            match response.result {
                Ok(Reply::Status(report)) => Some(*report),
                _ => None,
            }
        });
        let report = asked.await.ok().flatten();
        if report.is_none() {
            *link = None;
        }
        report
    }

    async fn all(&self, patience: Duration) -> Vec<Option<Report>> {
        let mut reports = Vec::new();
        let asks: Vec<_> = (0..self.links.len()).map(|n| self.status(n, patience)).collect();
        // One after the other would wait for every dead node in turn.
        for report in join_all(asks).await {
            reports.push(report);
        }
        reports
    }
}

/// Drives all at once, in one task.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.into_iter().map(|f| Some(Box::pin(f))).collect();
    let mut done: Vec<Option<F::Output>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (slot, out) in pending.iter_mut().zip(&mut done) {
            if let Some(future) = slot
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *out = Some(value);
                *slot = None;
            }
        }
        match pending.iter().all(Option::is_none) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[async_trait]
impl Deployed for Running {
    async fn healthy(&self, deadline: Duration) -> Result<()> {
        let until = Instant::now() + deadline;
        let mut missing = String::from("no node was asked");
        while Instant::now() < until {
            let reports = self.all(Duration::from_millis(300)).await;
            let silent: Vec<String> = reports
                .iter()
                .enumerate()
                .filter(|(_, r)| r.is_none())
                .map(|(i, _)| format!("n{}", i + 1))
                .collect();
            let leads =
                reports.iter().flatten().any(|r| matches!(r.role.as_str(), "leader" | "primary" | "replica"));
            match (silent.is_empty(), leads) {
                (true, true) if self.serves().await => return Ok(()),
                (true, true) => missing = "a leader is there, but a write is not answered".into(),
                (true, false) => missing = "no node leads".into(),
                (false, _) => missing = format!("no answer from {}", silent.join(", ")),
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!("the store ({}) is not healthy after {deadline:?}: {missing}", self.mode)
    }

    async fn client(
        &self,
        from: nodes::From,
        node: usize,
        object: Object,
        session: u64,
    ) -> Result<Box<dyn Client>> {
        let stream = self.cluster.dial(from, node, CLIENT_PORT).await?;
        let names = self.cluster.nodes().iter().map(|n| n.name.clone()).collect();
        Ok(Box::new(StoreClient { connection: Connection::connect(stream), object, session, seq: 0, names }))
    }

    async fn roles(&self, patience: Duration) -> Vec<Option<RoleView>> {
        let view = |r: Report| RoleView {
            leads: matches!(r.role.as_str(), "leader" | "primary"),
            role: r.role,
            term: r.term,
        };
        self.all(patience).await.into_iter().map(|r| r.map(view)).collect()
    }

    fn process(&self) -> &'static str {
        PROCESS
    }

    fn log(&self, node: usize) -> String {
        format!("{}/store.log", self.cluster.nodes()[node].data.display())
    }

    async fn syncs(&self, node: usize) -> Option<u64> {
        self.status(node, Duration::from_secs(1)).await.map(|r| r.syncs)
    }

    async fn activations(&self, patience: Duration) -> Option<u64> {
        let reports = self.all(patience).await;
        let sums: Vec<u64> = reports.iter().flatten().map(|r| r.activations.values().sum()).collect();
        (!sums.is_empty()).then(|| sums.iter().sum())
    }
}

impl Running {
    /// Whether a write through some node comes back: a leader that cannot commit is not healthy.
    async fn serves(&self) -> bool {
        let Ok(Ok(stream)) =
            timeout(Duration::from_secs(1), self.cluster.dial(nodes::From::Outside, 0, CLIENT_PORT)).await
        else {
            return false;
        };
        let command = Command::Write { key: "health".into(), value: 1 };
        let request = Request { id: "health".into(), session: 0, seq: 0, command };
        let answer = Connection::connect(stream).call(&request, Duration::from_secs(1)).await;
        matches!(answer, Ok(response) if response.result.is_ok())
    }
}

struct StoreClient {
    connection: Connection,
    object: Object,
    session: u64,
    seq: u64,
    names: Vec<String>,
}

#[async_trait]
impl Client for StoreClient {
    async fn invoke(&mut self, call: &Call, id: &str, deadline: Duration) -> (Outcome, Option<NodeId>) {
        self.seq += 1;
        let request = match sim::translate::request(self.object, call, id.to_string(), self.session, self.seq)
        {
            Ok(request) => request,
            Err(why) => return (Outcome::Fail(Error::new(format!("unsupported: {why}"))), None),
        };
        match self.connection.call(&request, deadline).await {
            Ok(response) => {
                let (outcome, server) = sim::translate::outcome(self.object, call, &response);
                let node = self.names.iter().position(|n| *n == server).map(|i| NodeId(i as u8));
                (outcome, node)
            }
            Err(e) if e.is_definite() => (Outcome::Fail(Error::new(format!("not-sent: {e}"))), None),
            Err(e) => (Outcome::Info(Error::new(e.to_string())), None),
        }
    }
}
