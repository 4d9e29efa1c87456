//! A remote against servers that misbehave: whatever they do, every call ends with an error and none hangs.
//! The servers are our own, over pipes in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use nodes::remote::{Credentials, Dialer, Remote, fresh_key};
use nodes::{BoxedStream, sshd};
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, copy, duplex, split};

/// Long enough for a slow machine to connect, where the failure comes after that.
const LONG: Duration = Duration::from_secs(20);

/// Where the failure *is* that nothing comes.
const SHORT: Duration = Duration::from_millis(300);

/// What a server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Accepts the connection and never says a word.
    Mute,
    /// Closes at once.
    HangUp,
    /// Is no SSH server.
    OtherProtocol,
    WrongHostKey,
    RefuseKey,
    RefuseChannel,
    RefuseExec,
    /// Takes the command and never answers.
    Stall,
    /// Takes the command and closes the channel without a status.
    NoStatus,
    /// Takes the command and lets the connection end.
    Disconnect,
    /// Nothing more arrives after this many bytes, and the connection stays open.
    FreezeAfter(u64),
    /// The connection ends after this many bytes.
    CutAfter(u64),
}

struct Bench {
    fault: Fault,
    host: PrivateKey,
    client: PublicKey,
    dialled: AtomicUsize,
}

struct Dial(Arc<Bench>);

#[async_trait::async_trait]
impl Dialer for Dial {
    async fn dial(&self) -> Result<BoxedStream> {
        self.0.dialled.fetch_add(1, Ordering::Relaxed);
        let (ours, theirs) = duplex(1 << 16);
        tokio::spawn(serve(self.0.clone(), theirs));
        Ok(Box::new(ours))
    }
}

fn remote(fault: Fault) -> (Remote, Arc<Bench>) {
    let (key, host) = (Arc::new(fresh_key().unwrap()), fresh_key().unwrap());
    let bench = Bench { fault, host, client: key.public_key().clone(), dialled: AtomicUsize::new(0) };
    let bench = Arc::new(bench);
    let expected = match fault {
        Fault::WrongHostKey => fresh_key().unwrap().public_key().clone(),
        _ => bench.host.public_key().clone(),
    };
    let credentials = Credentials { user: "root".into(), key, host: expected };
    (Remote::new("n1", Dial(bench.clone()), credentials, "no-such-agent"), bench)
}

async fn serve(bench: Arc<Bench>, mut stream: DuplexStream) {
    match bench.fault {
        Fault::Mute => std::future::pending().await,
        Fault::HangUp => {}
        Fault::OtherProtocol => {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
        Fault::None | Fault::WrongHostKey => honest(&bench).connection(stream).await,
        Fault::FreezeAfter(bytes) => through(&bench, stream, bytes, true).await,
        Fault::CutAfter(bytes) => through(&bench, stream, bytes, false).await,
        _ => bad(bench, stream).await,
    }
}

fn honest(bench: &Bench) -> sshd::Server {
    sshd::Server::new(bench.host.clone(), bench.client.clone())
}

/// An honest server behind a pipe that carries only so many bytes towards the client.
async fn through(bench: &Bench, stream: DuplexStream, bytes: u64, freeze: bool) {
    let (near, far) = duplex(1 << 16);
    tokio::spawn(honest(bench).connection(far));
    let (mut client_reads, client_writes) = split(stream);
    let (server_reads, mut server_writes) = split(near);
    let up = tokio::spawn(async move { copy(&mut client_reads, &mut server_writes).await });
    let mut down: (Box<dyn AsyncRead + Send + Unpin>, _) =
        (Box::new(server_reads.take(bytes)), client_writes);
    let _ = copy(&mut down.0, &mut down.1).await;
    if freeze {
        std::future::pending::<()>().await;
    }
    up.abort();
}

async fn bad(bench: Arc<Bench>, stream: DuplexStream) {
    let config = server::Config {
        keys: vec![bench.host.clone()],
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        ..server::Config::default()
    };
    if let Ok(session) = server::run_stream(Arc::new(config), stream, Bad(bench.fault, Vec::new())).await {
        let _ = session.await;
    }
}

struct Bad(Fault, Vec<Channel<Msg>>);

impl server::Handler for Bad {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(if self.0 == Fault::RefuseKey { Auth::reject() } else { Auth::Accept })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        // Dropping the handle refuses the channel.
        if self.0 != Fault::RefuseChannel {
            self.1.push(channel);
            reply.accept().await;
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.0 {
            Fault::RefuseExec => session.channel_failure(id),
            Fault::Disconnect => Err(russh::Error::Disconnect),
            Fault::NoStatus => {
                session.channel_success(id)?;
                session.close(id)
            }
            _ => session.channel_success(id),
        }
    }
}

async fn error_of(fault: Fault, deadline: Duration) -> String {
    let (remote, _) = remote(fault);
    let error = remote.exec("true", deadline).await.expect_err(&format!("{fault:?} must be an error"));
    let text = format!("{error:#}");
    assert!(text.starts_with("n1: true: "), "{fault:?}: the error names node and command: {text}");
    text
}

#[tokio::test]
async fn an_honest_server_serves() {
    let (remote, bench) = remote(Fault::None);
    for _ in 0..3 {
        assert_eq!(remote.exec("echo hello", LONG).await.unwrap().text().unwrap(), "hello");
    }
    assert_eq!(bench.dialled.load(Ordering::Relaxed), 1, "one connection is kept");
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("f").to_str().unwrap().to_owned();
    remote.upload(&path, b"content", 0o600, LONG).await.unwrap();
    assert_eq!(remote.download(&path, 3, LONG).await.unwrap(), b"tent");
    assert_eq!(bench.dialled.load(Ordering::Relaxed), 2, "files have a connection of their own");
    let missing = remote.download("/no/such/file", 0, LONG).await.unwrap_err();
    assert!(format!("{missing:#}").contains("No such file"), "{missing:#}");
}

#[tokio::test]
async fn a_command_may_end_without_reading_its_input() {
    let (remote, _) = remote(Fault::None);
    // The upload's own command fails before it reads, with more input than any window holds.
    let error = remote.upload("/no/such/folder/file", &vec![0; 8 << 20], 0o600, LONG).await.unwrap_err();
    assert!(format!("{error:#}").contains("exit status"), "{error:#}");
}

#[tokio::test]
async fn a_mute_server_costs_no_more_than_the_deadline() {
    assert!(error_of(Fault::Mute, SHORT).await.contains("not done within"));
}

#[tokio::test]
async fn what_is_no_ssh_server_is_told_so() {
    for fault in [Fault::HangUp, Fault::OtherProtocol] {
        let text = error_of(fault, LONG).await;
        assert!(text.contains("no SSH connection"), "{fault:?}: {text}");
    }
}

#[tokio::test]
async fn a_wrong_host_key_ends_it_before_we_log_in() {
    let text = error_of(Fault::WrongHostKey, LONG).await;
    assert!(text.contains("wrong host key"), "{text}");
}

#[tokio::test]
async fn refusals_are_errors() {
    let text = error_of(Fault::RefuseKey, LONG).await;
    assert!(text.contains("refuses our key"), "{text}");
    error_of(Fault::RefuseChannel, LONG).await;
    let text = error_of(Fault::RefuseExec, LONG).await;
    assert!(text.contains("refuses to run"), "{text}");
}

#[tokio::test]
async fn a_server_that_stalls_costs_no_more_than_the_deadline() {
    assert!(error_of(Fault::Stall, SHORT).await.contains("not done within"));
}

#[tokio::test]
async fn an_end_without_a_status_is_no_success() {
    let text = error_of(Fault::NoStatus, LONG).await;
    assert!(text.contains("without an exit status"), "{text}");
    error_of(Fault::Disconnect, LONG).await;
}

#[tokio::test]
async fn a_connection_cut_anywhere_is_an_error() {
    // From the greeting over the key exchange and the login into the command's answer.
    for bytes in [0, 10, 300, 1000, 1300, 1500, 1700] {
        error_of(Fault::CutAfter(bytes), LONG).await;
    }
}

#[tokio::test]
async fn a_peer_that_freezes_anywhere_costs_no_more_than_the_deadline() {
    for bytes in [10, 1000, 1500] {
        error_of(Fault::FreezeAfter(bytes), SHORT).await;
    }
}

#[tokio::test]
async fn a_writer_does_not_outlive_a_frozen_connection() {
    // More than fits into the windows, the pipes and the buffers of a peer that no longer takes anything.
    for fault in [Fault::FreezeAfter(1500), Fault::Stall] {
        let (remote, _) = remote(fault);
        let error = remote.upload("/dev/null", &vec![0; 16 << 20], 0o600, SHORT).await.unwrap_err();
        assert!(format!("{error:#}").contains("not done within"), "{fault:?}: {error:#}");
    }
}

#[tokio::test]
async fn an_agent_that_cannot_start_is_an_error() {
    let (remote, _) = remote(Fault::None);
    let error = remote.agent().await.err().unwrap();
    let text = format!("{error:#}");
    assert!(text.starts_with("n1: its agent") && text.contains("not found"), "it says why: {text}");
}
