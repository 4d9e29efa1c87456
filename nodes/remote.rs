//! One node over SSH, the same for every provider: commands, files, and the long-lived channel of its agent.
//!
//! Two connections, because one channel that nobody reads stalls every other channel of its connection:
//! *control* carries commands and the agent, *bulk* carries files and logs. Every await has a deadline, and
//! every wait also ends when the connection does: a writer alone would never notice a dead peer.

use std::sync::{Arc, Mutex as SyncMutex};
use std::time::Duration;

use agent::protocol::{Capabilities, Reply, Request, VERSION};
use anyhow::{Context, Result, anyhow, bail, ensure};
use russh::client::{self, AuthResult};
use russh::keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::BoxedStream;
use crate::agent_client::AgentClient;

/// Dialling, key exchange and authentication together.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// A command's output beyond this many bytes is an error: whoever wants more reads a file in pieces.
pub const MAX_OUTPUT: usize = 64 << 20;

/// Bytes of an agent's standard error that are kept.
const MAX_WORDS: usize = 8000;

/// Bytes of an agent's replies that may wait to be taken.
const PIPE: usize = 256 << 10;

const KEEPALIVE: Duration = Duration::from_secs(2);
const KEEPALIVES_LOST: usize = 3;

/// Opens a fresh stream to the node's SSH server.
#[async_trait::async_trait]
pub trait Dialer: Send + Sync {
    async fn dial(&self) -> Result<BoxedStream>;
}

/// Who we are, and who the node must prove to be.
#[derive(Clone)]
pub struct Credentials {
    pub user: String,
    pub key: Arc<PrivateKey>,
    /// The only host key that is accepted.
    pub host: PublicKey,
}

/// A fresh ed25519 key; it lives as long as the run and is never written to a disk.
pub fn fresh_key() -> Result<PrivateKey> {
    Ok(PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)?)
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// `None` when a signal ended it.
    pub status: Option<u32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text, trimmed, when the status is 0; an error with standard error otherwise.
    pub fn text(&self) -> Result<String> {
        let stderr = String::from_utf8_lossy(&self.stderr);
        ensure!(self.status == Some(0), "exit status {:?}: {}", self.status, stderr.trim());
        Ok(String::from_utf8_lossy(&self.stdout).trim().to_owned())
    }
}

/// A node.
pub struct Remote {
    name: String,
    dialer: Box<dyn Dialer>,
    credentials: Credentials,
    agent_command: String,
    control: Mutex<Option<Arc<Link>>>,
    bulk: Mutex<Option<Arc<Link>>>,
    agent: Mutex<Option<Arc<AgentClient>>>,
    capabilities: SyncMutex<Option<Capabilities>>,
}

impl Remote {
    /// Connects nothing yet. `agent_command` is the command line that starts the agent on the node.
    pub fn new(
        name: impl Into<String>,
        dialer: impl Dialer + 'static,
        credentials: Credentials,
        agent_command: impl Into<String>,
    ) -> Remote {
        Remote {
            name: name.into(),
            dialer: Box::new(dialer),
            credentials,
            agent_command: agent_command.into(),
            control: Mutex::default(),
            bulk: Mutex::default(),
            agent: Mutex::default(),
            capabilities: SyncMutex::default(),
        }
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command and waits for it to end. After the deadline its channel is closed, which our own
    /// server answers by killing it; OpenSSH leaves it running.
    pub async fn exec(&self, command: &str, deadline: Duration) -> Result<Output> {
        self.run(&self.control, command, &[], deadline).await
    }

    /// The agent's client; starts the agent when none is running.
    pub async fn agent(&self) -> Result<Arc<AgentClient>> {
        let mut slot = self.agent.lock().await;
        if let Some(client) = slot.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let client = self.within("its agent", CONNECT_DEADLINE, self.start_agent()).await?;
        Ok(slot.insert(Arc::new(client)).clone())
    }

    /// What the agent said about itself when it was last started.
    pub fn capabilities(&self) -> Option<Capabilities> {
        self.capabilities.lock().expect("no holder of this lock panics").clone()
    }

    /// One request to the agent, with a refusal made an error.
    pub async fn ask(&self, request: Request, deadline: Duration) -> Result<Reply> {
        let client = self.agent().await?;
        client.ask(request, deadline).await.with_context(|| self.name.clone())
    }

    /// Writes a file, whole, with these permission bits. Needs a shell on the node.
    pub async fn upload(&self, path: &str, bytes: &[u8], mode: u32, deadline: Duration) -> Result<()> {
        let path = quoted(path);
        let command =
            format!("umask 077; cat > {path}.part && chmod {mode:o} {path}.part && mv {path}.part {path}");
        self.run(&self.bulk, &command, bytes, deadline).await?.text().map(drop)
    }

    /// Reads a file from byte `from` to its end. Needs a shell on the node.
    pub async fn download(&self, path: &str, from: u64, deadline: Duration) -> Result<Vec<u8>> {
        let command = format!("tail -c +{} {}", from + 1, quoted(path));
        let output = self.run(&self.bulk, &command, &[], deadline).await?;
        output.text()?;
        Ok(output.stdout)
    }

    async fn start_agent(&self) -> Result<AgentClient> {
        let link = self.link(&self.control).await?;
        let channel = link.alive(link.handle.channel_open_session()).await?;
        link.alive(channel.exec(true, self.agent_command.as_str())).await?;
        let (reader, writer) = channel.split();
        let words = Arc::new(SyncMutex::new(String::new()));
        let (near, far) = duplex(PIPE);
        tokio::spawn(separate(reader, far, words.clone()));
        let client = AgentClient::new(&self.name, near, writer.make_writer());
        let hello = client.ask(Request::Hello, CONNECT_DEADLINE).await;
        let hello = hello.with_context(|| {
            let words = words.lock().expect("no holder of this lock panics");
            format!("{} said {:?}", self.agent_command, words.trim())
        });
        match hello? {
            Reply::Hello(found) => {
                ensure!(found.version == VERSION, "speaks version {} of our {VERSION}", found.version);
                *self.capabilities.lock().expect("no holder of this lock panics") = Some(found);
                Ok(client)
            }
            other => bail!("answered {other:?} to a hello"),
        }
    }

    async fn run(
        &self,
        slot: &Mutex<Option<Arc<Link>>>,
        command: &str,
        input: &[u8],
        deadline: Duration,
    ) -> Result<Output> {
        let work = async {
            let link = self.link(slot).await?;
            let channel = link.alive(link.handle.channel_open_session()).await?;
            link.alive(run_on(channel, command, input)).await
        };
        self.within(command, deadline, work).await
    }

    async fn link(&self, slot: &Mutex<Option<Arc<Link>>>) -> Result<Arc<Link>> {
        let mut slot = slot.lock().await;
        if let Some(link) = slot.as_ref().filter(|link| !link.handle.is_closed()) {
            return Ok(link.clone());
        }
        let connect = Link::connect(&*self.dialer, &self.credentials);
        let link = timeout(CONNECT_DEADLINE, connect).await.context("no SSH connection in time")??;
        Ok(slot.insert(Arc::new(link)).clone())
    }

    async fn within<T>(
        &self,
        what: &str,
        deadline: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let result = timeout(deadline, work).await;
        let what: String = what.chars().take(80).collect();
        result
            .unwrap_or_else(|_| Err(anyhow!("not done within {deadline:?}")))
            .with_context(|| format!("{}: {what}", self.name))
    }
}

/// One SSH connection.
struct Link {
    handle: client::Handle<HostCheck>,
    closed: watch::Receiver<()>,
}

impl Link {
    async fn connect(dialer: &dyn Dialer, credentials: &Credentials) -> Result<Link> {
        let stream = dialer.dial().await?;
        let config = client::Config {
            keepalive_interval: Some(KEEPALIVE),
            keepalive_max: KEEPALIVES_LOST,
            inactivity_timeout: None,
            nodelay: true,
            ..client::Config::default()
        };
        let (alive, closed) = watch::channel(());
        let check = HostCheck { expected: credentials.host.clone(), _alive: alive };
        let mut handle = client::connect_stream(Arc::new(config), stream, check)
            .await
            .context("no SSH connection (a wrong host key shows as this too)")?;
        let key = PrivateKeyWithHashAlg::new(credentials.key.clone(), None);
        match handle.authenticate_publickey(&credentials.user, key).await? {
            AuthResult::Success => Ok(Link { handle, closed }),
            AuthResult::Failure { .. } => bail!("the node refuses our key"),
        }
    }

    /// Waits for the work, or for the end of the connection.
    async fn alive<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T>
    where
        anyhow::Error: From<E>,
    {
        let mut closed = self.closed.clone();
        tokio::select! {
            done = work => Ok(done?),
            // Nothing is ever sent: the wait ends when the session drops its end.
            _ = closed.changed() => bail!("the SSH connection ended"),
        }
    }
}

struct HostCheck {
    expected: PublicKey,
    /// Dropped together with the session, which is how everyone learns of its end.
    _alive: watch::Sender<()>,
}

impl client::Handler for HostCheck {
    type Error = russh::Error;

    async fn check_server_key(&mut self, found: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(match found {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.key_data() == self.expected.key_data(),
            PublicKeyOrCertificate::Certificate(_) => false,
        })
    }
}

async fn run_on(channel: Channel<client::Msg>, command: &str, input: &[u8]) -> Result<Output> {
    channel.exec(true, command).await?;
    let (mut reader, writer) = channel.split();
    let writer = ClosedOnDrop(Some(writer));
    let send = async {
        let Some(writer) = &writer.0 else { return Ok(()) };
        if !input.is_empty() {
            writer.data(input).await?;
        }
        writer.eof().await
    };
    let receive = collect(&mut reader);
    tokio::pin!(send, receive);
    // A command may end without having read its input, so only the receiver decides when it is over.
    tokio::select! {
        output = &mut receive => output,
        _ = &mut send => receive.await,
    }
}

/// Passes standard output on and keeps the end of standard error, until the channel or its reader ends.
async fn separate(mut reader: ChannelReadHalf, mut output: DuplexStream, words: Arc<SyncMutex<String>>) {
    while let Some(message) = reader.wait().await {
        match message {
            ChannelMsg::Data { data } if output.write_all(&data).await.is_err() => break,
            ChannelMsg::ExtendedData { data, .. } => {
                let mut words = words.lock().expect("no holder of this lock panics");
                words.push_str(&String::from_utf8_lossy(&data));
                if words.len() > MAX_WORDS {
                    words.clear();
                }
            }
            ChannelMsg::Close => break,
            _ => {}
        }
    }
}

/// The library leaves a dropped channel open, and with it a command that has run past its deadline.
struct ClosedOnDrop(Option<ChannelWriteHalf<client::Msg>>);

impl Drop for ClosedOnDrop {
    fn drop(&mut self) {
        if let (Some(writer), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            // A dead connection ends the wait by itself, at the latest after its keepalives.
            runtime.spawn(async move { writer.close().await });
        }
    }
}

async fn collect(reader: &mut ChannelReadHalf) -> Result<Output> {
    let mut output = Output { status: None, stdout: Vec::new(), stderr: Vec::new() };
    let mut ended = false;
    while let Some(message) = reader.wait().await {
        match message {
            ChannelMsg::Data { data } => output.stdout.extend_from_slice(&data),
            ChannelMsg::ExtendedData { data, ext: 1 } => output.stderr.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => {
                output.status = Some(exit_status);
                ended = true;
            }
            ChannelMsg::ExitSignal { .. } => ended = true,
            ChannelMsg::Failure => bail!("the node refuses to run commands"),
            ChannelMsg::Close => break,
            _ => {}
        }
        ensure!(output.stdout.len() + output.stderr.len() <= MAX_OUTPUT, "more than {MAX_OUTPUT} bytes");
    }
    ensure!(ended, "the channel ended without an exit status");
    Ok(output)
}

/// A word that a shell takes literally.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
