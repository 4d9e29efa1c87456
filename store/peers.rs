//! Links between servers: each dials every other and sends on its own link; the other end only says it is alive.
//!
//! A frame is a `u32` length, little-endian, and that many bytes; the first frame of a link holds the sender's
//! index. An empty frame asks for a sign of life, which is an empty frame back. A link without one for a second is
//! dropped and dialled anew, so that after a partition heals nobody waits for TCP's own timers. Links lose messages
//! when they break; the cores expect that.

use crate::server::Input;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

/// Messages that wait for one peer at most; then the oldest go.
const QUEUE: usize = 4096;
const LONGEST_FRAME: usize = 1 << 28;
const DIAL: Duration = Duration::from_millis(200);
const REDIAL: Duration = Duration::from_millis(100);
const PROBE: Duration = Duration::from_millis(250);
const SILENCE: Duration = Duration::from_secs(1);
/// An accepted link without a frame for this long is dead: the other end probes all the time.
const IDLE: Duration = Duration::from_secs(3);

/// What waits to be sent to one peer.
#[derive(Clone, Default)]
pub(crate) struct Outbox {
    inner: Arc<(Mutex<VecDeque<Vec<u8>>>, Notify)>,
}

impl Outbox {
    /// Adds a message; the oldest is dropped if too many wait.
    pub fn push(&self, frame: Vec<u8>) {
        let mut queue = self.inner.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() >= QUEUE {
            queue.pop_front();
        }
        queue.push_back(frame);
        drop(queue);
        self.inner.1.notify_one();
    }

    /// Moves everything that waits into `buffer`, framed; false if nothing did.
    fn drain_into(&self, buffer: &mut Vec<u8>) -> bool {
        let mut queue = self.inner.0.lock().unwrap_or_else(PoisonError::into_inner);
        let any = !queue.is_empty();
        for frame in queue.drain(..) {
            buffer.extend_from_slice(&(frame.len() as u32).to_le_bytes());
            buffer.extend_from_slice(&frame);
        }
        any
    }

    /// What waited while there was no link is out of date.
    fn clear(&self) {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn filled(&self) {
        self.inner.1.notified().await;
    }
}

/// Keeps a link to one peer, for ever.
pub(crate) async fn dial_peer(me: u32, address: String, outbox: Outbox) {
    loop {
        if let Ok(Ok(stream)) = timeout(DIAL, TcpStream::connect(&address)).await {
            outbox.clear();
            // A link ends in an error, always; the next one starts afresh.
            let _ = run_link(me, stream, &outbox).await;
        }
        sleep(REDIAL).await;
    }
}

async fn run_link(me: u32, stream: TcpStream, outbox: &Outbox) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut read, mut write) = stream.into_split();
    let mut buffer = Vec::new();
    buffer.extend_from_slice(&4_u32.to_le_bytes());
    buffer.extend_from_slice(&me.to_le_bytes());
    let mut probe = interval(PROBE);
    let mut heard = Instant::now();
    let mut signs = [0; 64];
    loop {
        if !buffer.is_empty() {
            timeout(SILENCE, write.write_all(&buffer)).await??;
            buffer.clear();
        }
        tokio::select! {
            () = outbox.filled() => {
                outbox.drain_into(&mut buffer);
            }
            count = read.read(&mut signs) => {
                if count? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                heard = Instant::now();
            }
            _ = probe.tick() => {
                if heard.elapsed() > SILENCE {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                outbox.drain_into(&mut buffer);
                buffer.extend_from_slice(&0_u32.to_le_bytes());
            }
        }
    }
}

/// Accepts links from peers and passes their messages on, for ever.
pub(crate) async fn accept_peers(listener: TcpListener, members: u32, inputs: mpsc::UnboundedSender<Input>) {
    let mut links = JoinSet::new();
    loop {
        while links.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                links.spawn(receive_link(stream, members, inputs.clone()));
            }
            // Out of descriptors, most likely: wait for some to be closed.
            Err(_) => sleep(REDIAL).await,
        }
    }
}

async fn receive_link(
    stream: TcpStream,
    members: u32,
    inputs: mpsc::UnboundedSender<Input>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut read = tokio::io::BufReader::with_capacity(1 << 16, read);
    let hello = read_frame(&mut read).await?;
    let from = hello.as_slice().try_into().map(u32::from_le_bytes).unwrap_or(u32::MAX);
    if from >= members {
        return Err(io::ErrorKind::InvalidData.into());
    }
    loop {
        let frame = read_frame(&mut read).await?;
        if frame.is_empty() {
            sign_of_life(&mut write).await?;
        } else if inputs.send(Input::Peer { from, frame }).is_err() {
            return Ok(());
        }
    }
}

async fn sign_of_life(write: &mut OwnedWriteHalf) -> io::Result<()> {
    timeout(SILENCE, write.write_all(&0_u32.to_le_bytes())).await?
}

async fn read_frame(read: &mut tokio::io::BufReader<OwnedReadHalf>) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    timeout(IDLE, read.read_exact(&mut length)).await??;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST_FRAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; length];
    timeout(IDLE, read.read_exact(&mut frame)).await??;
    Ok(frame)
}
