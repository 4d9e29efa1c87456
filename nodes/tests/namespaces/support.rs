//! What the cases share: a cluster in a temporary folder, an echo server to run on its nodes, patience.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use agent::protocol::{Reply, Request, StartSpec, TargetState, TargetStatus};
use nodes::{BoxedStream, Cluster, ClusterSpec, From, Provider, namespaces::Namespaces};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Sub-command that serves an echo on a TCP port, for ever.
pub const ECHO: &str = "echo-server";

pub const PORT: u16 = 4000;

/// Generous, so that a loaded machine fails no case: nothing waits this long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const LEASE: Duration = Duration::from_secs(60);

/// Runs a case with a cluster of this many nodes, which is taken down afterwards.
pub fn with_cluster<F, Fut>(nodes: usize, case: F)
where
    F: FnOnce(Box<dyn Cluster>) -> Fut,
    Fut: Future<Output = Box<dyn Cluster>>,
{
    let folder = TempDir::new().unwrap();
    run(async {
        let spec = ClusterSpec { run: "test".into(), nodes, data_root: folder.path().to_owned() };
        let cluster = Namespaces.up(&spec).await.unwrap();
        case(cluster).await.down().await.unwrap();
    });
}

pub fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work);
}

/// Waits until the question is answered with yes.
pub async fn until<F, Fut>(what: &str, mut question: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let asking = async {
        while !question().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub async fn ask(cluster: &dyn Cluster, node: usize, request: Request) -> Reply {
    cluster.remote(node).ask(request, PATIENCE).await.unwrap()
}

/// Starts the echo server on a node and waits until it listens.
pub async fn start_echo(cluster: &dyn Cluster, node: usize) {
    let program = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    let data = cluster.nodes()[node].data.to_str().unwrap().to_owned();
    let spec = StartSpec {
        name: "echo".into(),
        argv: vec![program, ECHO.into(), PORT.to_string()],
        env: BTreeMap::new(),
        log_path: format!("{data}/echo.log"),
        dir: data,
    };
    ask(cluster, node, Request::Start(spec)).await;
    until("the echo server listens", || async { dial(cluster, From::Inside(node), node).await.is_some() })
        .await;
}

pub async fn dial(cluster: &dyn Cluster, from: From, to: usize) -> Option<BoxedStream> {
    cluster.dial(from, to, PORT).await.ok()
}

/// A byte goes to the node and comes back.
pub async fn echoes(cluster: &dyn Cluster, from: From, to: usize) -> bool {
    let Some(mut stream) = dial(cluster, from, to).await else { return false };
    let mut byte = [7];
    stream.write_all(&byte).await.is_ok() && stream.read_exact(&mut byte).await.is_ok_and(|_| byte == [7])
}

pub async fn status(cluster: &dyn Cluster, node: usize) -> TargetStatus {
    match ask(cluster, node, Request::Status { name: "echo".into() }).await {
        Reply::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

pub async fn pid(cluster: &dyn Cluster, node: usize) -> i32 {
    match status(cluster, node).await.state {
        TargetState::Alive { pid, .. } => pid,
        other => panic!("{other:?}"),
    }
}

/// The state letter of a process of a node, read by a command there; empty when it is gone.
pub async fn letter(cluster: &dyn Cluster, node: usize, pid: i32) -> String {
    let command = format!("cut -d' ' -f3 /proc/{pid}/stat 2>/dev/null; true");
    cluster.remote(node).exec(&command, PATIENCE).await.unwrap().text().unwrap()
}

/// The process is alive and neither stopped nor a zombie.
pub async fn goes_on(cluster: &dyn Cluster, node: usize, pid: i32) -> bool {
    matches!(letter(cluster, node, pid).await.as_str(), "S" | "R" | "D")
}

pub fn bench() {
    let folder = TempDir::new().unwrap();
    run(async {
        let numbers = nodes::bench::bench_cluster(&Namespaces, folder.path(), 5, 500).await.unwrap();
        println!("{numbers:#?}");
    });
}

pub fn echo_server(port: &str) -> ! {
    let listener = TcpListener::bind(("0.0.0.0", port.parse().unwrap())).unwrap();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(length @ 1..) = stream.read(&mut bytes) {
                if stream.write_all(&bytes[..length]).is_err() {
                    break;
                }
            }
        });
    }
}
