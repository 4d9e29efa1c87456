//! The controller's end of an agent's frames: many calls at once over one stream, matched by id.
//!
//! It knows nothing of SSH: any reader and writer will do, so the same client speaks to the agent on a node
//! and to the fabric's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent::protocol::{Decoder, Frame, Reply, Request, encode};
use anyhow::{Context, Result, anyhow, bail};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Requests that may wait for the writer; a full queue means that the agent does not read, and calls wait.
const QUEUE: usize = 64;

/// How long the end of the stream may take to be written; a peer that does not read it is left alone.
const FAREWELL: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Pending {
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
    /// Why there will be no more replies.
    closed: Option<String>,
}

/// A client of one agent. Dropping it closes the stream, at which the agent heals everything.
pub struct AgentClient {
    name: String,
    outgoing: mpsc::Sender<Vec<u8>>,
    pending: Arc<Mutex<Pending>>,
    next: AtomicU64,
    reader: AbortHandle,
}

impl AgentClient {
    /// Starts to read and write; `name` goes into error messages.
    pub fn new(
        name: impl Into<String>,
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        let pending = Arc::new(Mutex::new(Pending::default()));
        let (outgoing, queue) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(writer, queue, pending.clone()));
        let reader = tokio::spawn(read_all(reader, pending.clone())).abort_handle();
        AgentClient { name: name.into(), outgoing, pending, next: AtomicU64::new(1), reader }
    }

    /// Sends a request and waits for its reply, both within the deadline. A refusal of the agent is a
    /// [`Reply::Error`] here, not an `Err`: that means that no answer came.
    pub async fn call(&self, request: Request, deadline: Duration) -> Result<Reply> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let bytes = encode(&Frame { id, body: request })?;
        let (sender, receiver) = oneshot::channel();
        {
            let mut pending = self.pending.lock().expect("no holder of this lock panics");
            if let Some(reason) = &pending.closed {
                bail!("agent {}: {reason}", self.name);
            }
            pending.waiting.insert(id, sender);
        }
        let answer = timeout(deadline, async {
            self.outgoing.send(bytes).await.map_err(|_| anyhow!("the writer has ended"))?;
            receiver.await.map_err(|_| anyhow!(self.why_closed()))
        });
        let answer = answer.await;
        self.pending.lock().expect("no holder of this lock panics").waiting.remove(&id);
        answer
            .map_err(|_| anyhow!("no answer within {deadline:?}"))
            .and_then(|result| result)
            .with_context(|| format!("agent {}", self.name))
    }

    /// Like [`AgentClient::call`], with a refusal of the agent made an error.
    pub async fn ask(&self, request: Request, deadline: Duration) -> Result<Reply> {
        match self.call(request, deadline).await? {
            Reply::Error { kind, message } => bail!("agent {}: {kind:?}: {message}", self.name),
            reply => Ok(reply),
        }
    }

    /// No reply will come any more.
    pub fn is_closed(&self) -> bool {
        self.pending.lock().expect("no holder of this lock panics").closed.is_some()
    }

    fn why_closed(&self) -> String {
        let pending = self.pending.lock().expect("no holder of this lock panics");
        pending.closed.clone().unwrap_or_else(|| "the stream ended".into())
    }
}

impl Drop for AgentClient {
    fn drop(&mut self) {
        // The writer ends by itself, since the queue does, and tells the agent so.
        self.reader.abort();
    }
}

fn close(pending: &Mutex<Pending>, reason: String) {
    let mut pending = pending.lock().expect("no holder of this lock panics");
    pending.closed.get_or_insert(reason);
    // Dropping the senders wakes everyone who waits.
    pending.waiting.clear();
}

async fn write_all(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Vec<u8>>,
    pending: Arc<Mutex<Pending>>,
) {
    while let Some(bytes) = queue.recv().await {
        let written = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        if let Err(error) = written.await {
            return close(&pending, format!("cannot be written to: {error}"));
        }
    }
    let _ = timeout(FAREWELL, writer.shutdown()).await;
}

async fn read_all(mut reader: impl AsyncRead + Unpin, pending: Arc<Mutex<Pending>>) {
    let mut decoder = Decoder::default();
    let mut piece = vec![0; 64 << 10];
    let reason = loop {
        match reader.read(&mut piece).await {
            Ok(0) => break "the stream ended".to_owned(),
            Ok(length) => decoder.push(&piece[..length]),
            Err(error) => break format!("cannot be read from: {error}"),
        }
        if let Err(error) = deliver(&mut decoder, &pending) {
            break format!("sent a broken frame: {error}");
        }
    };
    close(&pending, reason);
}

fn deliver(decoder: &mut Decoder, pending: &Mutex<Pending>) -> std::io::Result<()> {
    while let Some(frame) = decoder.frame::<Frame<Reply>>()? {
        let waiting = &mut pending.lock().expect("no holder of this lock panics").waiting;
        if let Some(sender) = waiting.remove(&frame.id) {
            // The caller may have given up in this very moment.
            let _ = sender.send(frame.body);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{DuplexStream, duplex, split};

    const SOON: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(20);

    fn client(stream: DuplexStream) -> AgentClient {
        let (reader, writer) = split(stream);
        AgentClient::new("test", reader, writer)
    }

    async fn next_request(stream: &mut DuplexStream, decoder: &mut Decoder) -> Frame<Request> {
        loop {
            if let Some(frame) = decoder.frame().unwrap() {
                return frame;
            }
            let mut piece = [0; 100];
            let length = stream.read(&mut piece).await.unwrap();
            decoder.push(&piece[..length]);
        }
    }

    #[tokio::test]
    async fn replies_find_their_callers_in_any_order() {
        let (ours, mut theirs) = duplex(1000);
        let client = client(ours);
        let server = async {
            let mut decoder = Decoder::default();
            let mut frames = Vec::new();
            for _ in 0..3 {
                frames.push(next_request(&mut theirs, &mut decoder).await);
            }
            for Frame { id, body } in frames.into_iter().rev() {
                let Request::Echo(bytes) = body else { panic!("not an echo") };
                let reply = Frame { id, body: Reply::Echo(bytes) };
                theirs.write_all(&encode(&reply).unwrap()).await.unwrap();
            }
            theirs
        };
        let call = |byte: u8| client.call(Request::Echo(vec![byte]), LONG);
        let (a, b, c, _) = tokio::join!(call(1), call(2), call(3), server);
        assert_eq!(a.unwrap(), Reply::Echo(vec![1]));
        assert_eq!(b.unwrap(), Reply::Echo(vec![2]));
        assert_eq!(c.unwrap(), Reply::Echo(vec![3]));
    }

    #[tokio::test]
    async fn silence_ends_at_the_deadline_and_the_client_lives_on() {
        let (ours, mut theirs) = duplex(1000);
        let client = client(ours);
        let error = client.call(Request::Hello, SOON).await.unwrap_err();
        assert!(format!("{error:#}").contains("no answer within"), "{error:#}");
        // The late answer is dropped, and the next call gets its own.
        let mut decoder = Decoder::default();
        let late = next_request(&mut theirs, &mut decoder).await;
        let answer = async {
            let next = next_request(&mut theirs, &mut decoder).await;
            for id in [late.id, next.id] {
                let reply = Frame { id, body: Reply::Echo(vec![id as u8]) };
                theirs.write_all(&encode(&reply).unwrap()).await.unwrap();
            }
            next.id
        };
        let (reply, id) = tokio::join!(client.call(Request::Active, LONG), answer);
        assert_eq!(reply.unwrap(), Reply::Echo(vec![id as u8]));
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_cannot_hold_a_call() {
        let (ours, _theirs) = duplex(16);
        let client = client(ours);
        let error = client.call(Request::Echo(vec![0; 1000]), SOON).await.unwrap_err();
        assert!(format!("{error:#}").contains("no answer within"), "{error:#}");
    }

    #[tokio::test]
    async fn the_end_of_the_stream_ends_every_call() {
        let (ours, theirs) = duplex(1000);
        let client = client(ours);
        let (first, ()) = tokio::join!(client.call(Request::Hello, LONG), async {
            tokio::task::yield_now().await;
            drop(theirs);
        });
        let first = format!("{:#}", first.unwrap_err());
        assert!(first.contains("agent test"), "{first}");
        assert!(client.call(Request::Hello, LONG).await.is_err());
        assert!(client.is_closed());
    }

    #[tokio::test]
    async fn a_broken_frame_ends_every_call() {
        let (ours, mut theirs) = duplex(1000);
        let client = client(ours);
        theirs.write_all(&[255; 8]).await.unwrap();
        assert!(client.call(Request::Hello, LONG).await.is_err());
    }
}
