//! An SSH server in this binary, for nodes that have none: commands, their environment, input, output, exit
//! status and signals. No terminal, no forwarding, no passwords, one user, one key.
//!
//! It needs no program on the node: [`AGENT`] starts this very binary as the agent. Everything else goes to
//! `/bin/sh -c` where there is one.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The command that starts the agent out of this binary; no shell is involved.
pub const AGENT: &str = "schism-agent";

/// How long after a command's end its output is still read: a grandchild may hold the pipe for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Exit status of a command that cannot be started, as shells have it.
const CANNOT_START: u32 = 127;

/// Variables for a command, in the order in which they were set.
type Env = Vec<(String, String)>;

/// What a server needs to know.
#[derive(Clone)]
pub struct Server {
    config: Arc<server::Config>,
    client: PublicKey,
    env: Env,
}

impl Server {
    /// A server that proves to be `host` and lets in only the holder of `client`'s secret.
    pub fn new(host: PrivateKey, client: PublicKey) -> Server {
        let config = server::Config {
            keys: vec![host],
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            inactivity_timeout: None,
            nodelay: true,
            ..server::Config::default()
        };
        Server { config: Arc::new(config), client, env: Vec::new() }
    }

    /// Sets a variable for everything that it runs.
    pub fn env(mut self, name: &str, value: &str) -> Server {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Serves every connection of the listener, for ever.
    pub async fn serve(self, listener: TcpListener) {
        loop {
            // An accept fails for want of descriptors or because the peer has left; both pass.
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            tokio::spawn(self.clone().connection(stream));
        }
    }

    /// Serves one connection until it ends.
    pub async fn connection(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let handler = Connection { client: self.client, env: self.env, waiting: BTreeMap::new() };
        if let Ok(session) = server::run_stream(self.config, stream, handler).await {
            // How a session ends is the client's affair; the server has nobody to tell.
            let _ = session.await;
        }
    }
}

struct Connection {
    client: PublicKey,
    env: Env,
    /// Channels that have not been asked to run anything yet, with their environment.
    waiting: BTreeMap<ChannelId, (Channel<Msg>, Env)>,
}

impl server::Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let ours = key.public_key.key_data() == self.client.key_data();
        Ok(if ours { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.waiting.insert(channel.id(), (channel, self.env.clone()));
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.waiting.get_mut(&channel) {
            Some((_, env)) => {
                env.push((name.to_owned(), value.to_owned()));
                session.channel_success(channel)
            }
            None => session.channel_failure(channel),
        }
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some((channel, env)) = self.waiting.remove(&id) else { return session.channel_failure(id) };
        session.channel_success(id)?;
        let line = String::from_utf8_lossy(data).into_owned();
        tokio::spawn(run(channel, line, env));
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.waiting.remove(&channel);
        Ok(())
    }
}

fn command(line: &str) -> Command {
    let mut command;
    if line == AGENT {
        command = Command::new("/proc/self/exe");
        command.arg0(AGENT).arg(agent::COMMAND);
    } else {
        command = Command::new("/bin/sh");
        command.arg("-c").arg(line);
    }
    command
}

async fn run(channel: Channel<Msg>, line: String, env: Env) {
    let (reader, writer) = channel.split();
    let mut command = command(&line);
    command.envs(env).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that the command can be ended together with what it started.
    command.process_group(0);
    // The channel may be gone at any of these steps; then nobody is left to be told.
    let _ = match command.spawn() {
        Ok(child) => serve_child(child, reader, &writer, line == AGENT).await,
        Err(error) => refuse(&writer, &format!("{line}: {error}\n")).await,
    };
    let _ = writer.eof().await;
    let _ = writer.close().await;
}

async fn refuse(writer: &ChannelWriteHalf<Msg>, why: &str) -> Result<(), russh::Error> {
    writer.extended_data(1, why.as_bytes()).await?;
    writer.exit_status(CANNOT_START).await
}

async fn serve_child(
    mut child: Child,
    reader: ChannelReadHalf,
    writer: &ChannelWriteHalf<Msg>,
    outlives_its_channel: bool,
) -> Result<(), russh::Error> {
    let group = child.id().map(|id| Pid::from_raw(id as i32));
    let stdin = child.stdin.take();
    let stdout = child.stdout.take().map(|out| copy(out, writer.make_writer()));
    let stderr = child.stderr.take().map(|err| copy(err, writer.make_writer_ext(Some(1))));
    let input = tokio::spawn(feed(reader, stdin, group, outlives_its_channel));
    let status = child.wait().await;
    input.abort();
    for task in [stdout, stderr].into_iter().flatten() {
        let stop = task.abort_handle();
        if timeout(LAST_WORDS, task).await.is_err() {
            stop.abort();
        }
    }
    match status.map(|status| (status.code(), status.signal())) {
        Ok((Some(code), _)) => writer.exit_status(code as u32).await,
        // Shells report a death by signal as 128 + its number; the channel's own message for it carries
        // only a name, and clients treat it unevenly.
        Ok((None, signal)) => writer.exit_status(128 + signal.unwrap_or(0) as u32).await,
        Err(error) => refuse(writer, &error.to_string()).await,
    }
}

fn copy(
    mut from: impl AsyncRead + Send + Unpin + 'static,
    mut to: impl AsyncWrite + Send + Unpin + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        // Ends with the pipe or with the channel, whichever is first.
        let _ = tokio::io::copy(&mut from, &mut to).await;
    })
}

/// Passes the channel's input and signals on. When the channel goes, the command goes with it; the agent
/// alone only sees the end of its input, since it has healing to do.
async fn feed(
    mut reader: ChannelReadHalf,
    mut stdin: Option<ChildStdin>,
    group: Option<Pid>,
    outlives: bool,
) {
    while let Some(message) = reader.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let written = match &mut stdin {
                    Some(pipe) => pipe.write_all(&data).await,
                    None => Ok(()),
                };
                if written.is_err() {
                    stdin = None;
                }
            }
            ChannelMsg::Eof => stdin = None,
            ChannelMsg::Signal { signal } => send(group, number(&signal)),
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    drop(stdin);
    if !outlives {
        send(group, Some(Signal::SIGKILL));
    }
}

fn send(group: Option<Pid>, signal: Option<Signal>) {
    if let (Some(group), Some(signal)) = (group, signal) {
        // The group may be gone already.
        let _ = killpg(group, signal);
    }
}

fn number(signal: &Sig) -> Option<Signal> {
    Some(match signal {
        Sig::HUP => Signal::SIGHUP,
        Sig::INT => Signal::SIGINT,
        Sig::QUIT => Signal::SIGQUIT,
        Sig::KILL => Signal::SIGKILL,
        Sig::TERM => Signal::SIGTERM,
        Sig::USR1 => Signal::SIGUSR1,
        _ => return None,
    })
}
