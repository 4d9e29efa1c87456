//! Real servers on loopback: sockets, log files and the client, in one process.

use std::path::PathBuf;
use std::time::Duration;
use store::client::{CallError, Client};
use store::server::{ServeOptions, serve_until};
use store::{Code, Command, Config, Failure, Mode, Reply, Request, Response, Role};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const LIMIT: Duration = Duration::from_secs(10);

struct Cluster {
    folder: PathBuf,
    mode: Mode,
    peers: Vec<String>,
    clients: Vec<String>,
    tasks: Vec<Option<JoinHandle<std::io::Result<()>>>>,
    calls: u64,
}

impl Cluster {
    async fn start(name: &str, mode: Mode) -> Cluster {
        let folder = std::env::temp_dir().join(format!("store-server-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let (peers, clients) = (free_addresses(3).await, free_addresses(3).await);
        let mut cluster = Cluster { folder, mode, peers, clients, tasks: vec![None, None, None], calls: 0 };
        (0..3).for_each(|server| cluster.up(server));
        cluster
    }

    fn up(&mut self, server: usize) {
        let names = ["n1", "n2", "n3"].map(String::from).to_vec();
        let config = Config { snapshot_every: 20, ..Config::new(server as u32, names, self.mode) };
        let (peers, clients) = (self.peers.clone(), self.clients.clone());
        let data = self.folder.join(server.to_string());
        self.tasks[server] = Some(tokio::spawn(async move {
            loop {
                let options = ServeOptions {
                    config: config.clone(),
                    addresses: peers.clone(),
                    peer_listen: peers[server].clone(),
                    client_listen: clients[server].clone(),
                    data: data.clone(),
                };
                match serve_until(options, std::future::pending()).await {
                    // The tasks of the life before may not have been dropped yet.
                    Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                        tokio::task::yield_now().await
                    }
                    other => return other,
                }
            }
        }));
    }

    /// Drops everything the server has, as a crash does.
    async fn kill(&mut self, server: usize) {
        if let Some(task) = self.tasks[server].take() {
            task.abort();
            let _ = task.await;
        }
    }

    /// Asks `server` until it answers with something else than a definite error.
    async fn ask(&mut self, server: usize, command: Command) -> Response {
        self.calls += 1;
        for _ in 0..2000 {
            let request = Request {
                id: format!("c{}", self.calls),
                session: 1,
                seq: self.calls,
                command: command.clone(),
            };
            if let Ok(stream) = TcpStream::connect(&self.clients[server]).await {
                match Client::connect(stream).call(&request, LIMIT).await {
                    Ok(Response { result: Err(Failure { code, .. }), .. }) if code.info().definite => {}
                    Ok(response) => return response,
                    Err(error) => panic!("{error}"),
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("server {server} never answered {command:?}");
    }

    /// The server that leads, once one does.
    async fn leader(&mut self, among: &[usize]) -> usize {
        loop {
            for server in among {
                if self.ask(*server, Command::Status).await.role == Role::Leader {
                    return *server;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn free_addresses(count: usize) -> Vec<String> {
    let mut listeners = Vec::new();
    for _ in 0..count {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

fn write(value: i64) -> Command {
    Command::Write { key: "x".into(), value }
}

fn read() -> Command {
    Command::Read { key: "x".into() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raft_servers_outlive_their_leader_and_take_it_back() {
    let mut cluster = Cluster::start("raft", Mode::Raft).await;
    let old = cluster.leader(&[0, 1, 2]).await;
    let others: Vec<usize> = (0..3).filter(|server| *server != old).collect();
    // Through a follower, and enough for snapshots.
    for value in 1..=50 {
        assert_eq!(cluster.ask(others[0], write(value)).await.result, Ok(Reply::Done));
    }
    assert_eq!(cluster.ask(others[1], read()).await.result, Ok(Reply::Value(Some(50))));
    cluster.kill(old).await;
    cluster.leader(&others).await;
    let response = cluster.ask(others[0], write(51)).await;
    assert_eq!(response.result, Ok(Reply::Done));
    assert_eq!(response.server, format!("n{}", others[0] + 1));
    for server in &others {
        assert_eq!(cluster.ask(*server, read()).await.result, Ok(Reply::Value(Some(51))));
    }
    cluster.up(old);
    assert_eq!(cluster.ask(old, read()).await.result, Ok(Reply::Value(Some(51))));
    // All down, all up: what was acknowledged is on the disks.
    for server in 0..3 {
        cluster.kill(server).await;
    }
    (0..3).for_each(|server| cluster.up(server));
    assert_eq!(cluster.ask(others[1], read()).await.result, Ok(Reply::Value(Some(51))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quorum_servers_need_no_particular_one() {
    let mut cluster = Cluster::start("quorum", Mode::Quorum { n: 3, w: 2, r: 2, write_back: true }).await;
    assert_eq!(cluster.ask(0, write(1)).await.result, Ok(Reply::Done));
    cluster.kill(0).await;
    assert_eq!(cluster.ask(1, read()).await.result, Ok(Reply::Value(Some(1))));
    assert_eq!(cluster.ask(2, write(2)).await.result, Ok(Reply::Done));
    cluster.up(0);
    assert_eq!(cluster.ask(0, read()).await.result, Ok(Reply::Value(Some(2))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_no_request_is_answered_as_malformed() {
    let cluster = Cluster::start("malformed", Mode::Single).await;
    let stream = loop {
        match TcpStream::connect(&cluster.clients[1]).await {
            Ok(stream) => break stream,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let mut stream = BufReader::new(stream);
    stream.write_all(b"{\"id\":\"7\",\"op\":\"fly\"}\n").await.unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    let response = Response::from_json(&line).expect("a response");
    assert_eq!((response.id.as_str(), response.server.as_str()), ("7", "n2"));
    assert!(response.result.is_err_and(|failure| failure.code == Code::Malformed));
}

#[tokio::test]
async fn a_client_drops_late_responses_and_tells_unsent_from_unknown() {
    let (near, far) = tokio::io::duplex(1 << 16);
    let mut client = Client::connect(near);
    let mut far = BufReader::new(far);
    let request = |id: &str| Request { id: id.into(), session: 0, seq: 0, command: Command::Status };
    let answer = |id: &str| {
        let result = Ok(Reply::Done);
        Response { id: id.into(), server: "n1".into(), role: Role::Leader, term: 1, result }.to_json() + "\n"
    };
    let unanswered = client.call(&request("1"), Duration::from_millis(1)).await;
    assert!(matches!(unanswered, Err(CallError::Unknown(_))));
    far.write_all(answer("1").as_bytes()).await.unwrap();
    far.write_all(answer("2").as_bytes()).await.unwrap();
    assert_eq!(client.call(&request("2"), LIMIT).await.unwrap().id, "2");
    drop(far);
    assert!(client.call(&request("3"), LIMIT).await.unwrap_err().is_definite());
}
