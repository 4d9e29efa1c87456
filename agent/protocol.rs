//! What the controller and an agent say to each other: frames of postcard with a length in front.
//!
//! The same protocol serves both families of agents: the one on a node (processes) and the fabric's (the
//! switch between the nodes). An agent answers what it cannot do with [`Reply::Error`]: errors are data,
//! and only a broken frame ends the conversation.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fabric::{Edges, LinkCount};

/// Longest body of a frame in bytes; a longer one is refused before anything is allocated for it.
pub const MAX_FRAME: usize = 16 << 20;

/// Version of the protocol, compared at [`Request::Hello`].
pub const VERSION: u16 = 1;

/// A body with the id that ties a reply to its request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame<T> {
    pub id: u64,
    pub body: T,
}

/// What to run as a process under test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartSpec {
    /// Name by which later requests refer to it: letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Program and arguments; no shell is involved.
    pub argv: Vec<String>,
    /// Variables added to the agent's own environment.
    pub env: BTreeMap<String, String>,
    /// Working directory; it must exist.
    pub dir: String,
    /// Standard output and standard error are appended here.
    pub log_path: String,
}

/// The families of faults; an agent serves one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    Process,
    Fabric,
}

/// The damage that one fault does while it is active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// The target's process tree is killed, and stays down until the heal, which starts it again.
    Kill { target: String },
    /// Every process of the target's tree stands still until the heal.
    Pause { target: String },
    /// These directed edges carry nothing.
    Cut { edges: Edges },
}

impl What {
    /// The family whose agent can do this.
    pub fn family(&self) -> Family {
        match self {
            What::Kill { .. } | What::Pause { .. } => Family::Process,
            What::Cut { .. } => Family::Fabric,
        }
    }
}

/// Which faults a request is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    All,
    These(Vec<u64>),
}

/// What to look at; every answer is an observation of the world, not of the agent's own books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Probe {
    /// The state of one target's processes, read from `/proc`.
    Target { name: String },
    /// The counters of every directed link.
    Links,
}

/// A request to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    Hello,
    Start(StartSpec),
    Status {
        name: String,
    },
    /// Ask the target to end (SIGTERM), and kill its tree after the grace. Answered when it is gone.
    Terminate {
        name: String,
        grace_ms: u32,
    },
    /// Activate a fault under a lease. The same id again with the same damage renews it.
    Apply {
        fault: u64,
        what: What,
        lease_ms: u32,
    },
    /// Let the leases of these faults run out `lease_ms` from now.
    Renew {
        faults: Which,
        lease_ms: u32,
    },
    Heal {
        faults: Which,
    },
    Active,
    Probe(Probe),
    /// Up to `max` bytes of a file from `offset`.
    ReadFile {
        path: String,
        offset: u64,
        max: u32,
    },
    Echo(Vec<u8>),
}

/// What an agent can do here, as found by trying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    pub version: u16,
    pub families: Vec<Family>,
    /// The agent's process id in its own namespace.
    pub pid: u32,
    /// A watchdog is running that heals if the agent dies.
    pub watchdog: bool,
    /// Faults left by a dead predecessor that this agent healed when it started.
    pub swept: u32,
}

/// What became of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetState {
    /// Alive; `stopped` counts its processes that stand still, out of `processes`.
    Alive { pid: i32, processes: u32, stopped: u32 },
    /// A kill fault holds it down.
    Down,
    /// It ended by itself or was terminated. Neither is known when it ended under an earlier agent.
    Ended { code: Option<i32>, signal: Option<i32> },
}

/// A target, observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetStatus {
    pub name: String,
    pub state: TargetState,
    /// How often it has been started, restarts after kills included.
    pub starts: u32,
}

/// A fault that is active now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveFault {
    pub fault: u64,
    pub what: What,
    pub left_ms: u64,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// No such target or file.
    Unknown,
    /// The request contradicts the state: already running, held down, another fault under this id.
    Conflict,
    /// This agent is of another family.
    Unsupported,
    /// The operating system refused.
    System,
    /// It was done, and the probe did not see it.
    NoEffect,
}

/// An agent's answer; it carries the id of its request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    Hello(Capabilities),
    Started {
        pid: i32,
    },
    Status(TargetStatus),
    /// The fault is active, and these are the targets that it touched, as observed afterwards.
    Applied {
        seen: Vec<TargetStatus>,
    },
    Renewed {
        faults: u32,
    },
    /// This many faults were removed, and these targets were touched, as observed afterwards.
    Healed {
        faults: u32,
        seen: Vec<TargetStatus>,
    },
    Active(Vec<ActiveFault>),
    Links(Vec<LinkCount>),
    File {
        bytes: Vec<u8>,
        size: u64,
    },
    Echo(Vec<u8>),
    Error {
        kind: ErrorKind,
        message: String,
    },
}

impl Reply {
    /// A refusal with its reason.
    pub fn error(kind: ErrorKind, message: impl Into<String>) -> Self {
        Reply::Error { kind, message: message.into() }
    }
}

/// One frame as bytes, ready to be written. Fails when the body is longer than [`MAX_FRAME`].
pub fn encode<T: Serialize>(body: &T) -> io::Result<Vec<u8>> {
    let mut bytes = postcard::to_extend(body, vec![0; 4]).map_err(invalid)?;
    let length = bytes.len() - 4;
    if length > MAX_FRAME {
        return Err(invalid(format!("a frame of {length} bytes is longer than {MAX_FRAME}")));
    }
    bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(bytes)
}

/// Writes one frame and flushes.
pub fn write_frame<T: Serialize>(writer: &mut impl Write, body: &T) -> io::Result<()> {
    writer.write_all(&encode(body)?)?;
    writer.flush()
}

/// Reads one frame, blocking until it is whole.
pub fn read_frame<T: DeserializeOwned>(reader: &mut impl Read) -> io::Result<T> {
    let mut header = [0; 4];
    reader.read_exact(&mut header)?;
    let mut body = vec![0; checked_length(header)?];
    reader.read_exact(&mut body)?;
    postcard::from_bytes(&body).map_err(invalid)
}

/// Cuts a stream of bytes, arriving in pieces of any size, into frames.
#[derive(Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    taken: usize,
}

impl Decoder {
    /// Appends bytes as they arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, `None` when more bytes are needed. An error means that the stream is broken.
    pub fn frame<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let rest = &self.buffer[self.taken..];
        let Some(header) = rest.first_chunk::<4>() else { return Ok(None) };
        let length = checked_length(*header)?;
        let Some(body) = rest.get(4..4 + length) else { return Ok(None) };
        let value = postcard::from_bytes(body).map_err(invalid)?;
        self.taken += 4 + length;
        Ok(Some(value))
    }
}

fn checked_length(header: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(header) as usize;
    if length > MAX_FRAME {
        return Err(invalid(format!("a frame announces {length} bytes, more than {MAX_FRAME}")));
    }
    Ok(length)
}

fn invalid(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fabric::{Edge, between};

    fn requests() -> Vec<Request> {
        let spec = StartSpec {
            name: "store".into(),
            argv: vec!["/bin/store".into(), "--node=1".into()],
            env: BTreeMap::from([("A".into(), "é".into())]),
            dir: "/".into(),
            log_path: "/tmp/log".into(),
        };
        vec![
            Request::Hello,
            Request::Start(spec),
            Request::Terminate { name: "store".into(), grace_ms: 250 },
            Request::Apply {
                fault: u64::MAX,
                what: What::Cut { edges: between(&[0], &[1, 2]) },
                lease_ms: 9,
            },
            Request::Apply { fault: 0, what: What::Kill { target: "store".into() }, lease_ms: 0 },
            Request::Renew { faults: Which::These(vec![1, 2]), lease_ms: 3 },
            Request::Probe(Probe::Links),
            Request::ReadFile { path: "/a".into(), offset: 1 << 40, max: 7 },
            Request::Echo(vec![0; 70_000]),
        ]
    }

    #[test]
    fn frames_survive_any_cut_of_the_stream() {
        let frames: Vec<_> =
            requests().into_iter().enumerate().map(|(i, body)| Frame { id: i as u64, body }).collect();
        let stream: Vec<u8> = frames.iter().flat_map(|f| encode(f).unwrap()).collect();
        for size in [1, 3, 4, 1000, stream.len()] {
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(size) {
                decoder.push(piece);
                while let Some(frame) = decoder.frame::<Frame<Request>>().unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, frames, "pieces of {size}");
        }
        let mut reader = &stream[..];
        for frame in &frames {
            assert_eq!(&read_frame::<Frame<Request>>(&mut reader).unwrap(), frame);
        }
    }

    #[test]
    fn replies_round_trip() {
        let status = TargetStatus {
            name: "s".into(),
            state: TargetState::Alive { pid: 7, processes: 2, stopped: 1 },
            starts: 3,
        };
        let replies = [
            Reply::Status(status.clone()),
            Reply::Applied { seen: vec![status] },
            Reply::Links(vec![LinkCount { edge: Edge::new(1, 2), forwarded: 3, dropped: 4 }]),
            Reply::error(ErrorKind::NoEffect, "still alive"),
        ];
        for body in replies {
            let frame = Frame { id: 5, body };
            let bytes = encode(&frame).unwrap();
            assert_eq!(read_frame::<Frame<Reply>>(&mut &bytes[..]).unwrap(), frame);
        }
    }

    #[test]
    fn a_length_bomb_is_refused_before_it_is_believed() {
        let mut decoder = Decoder::default();
        decoder.push(&u32::MAX.to_le_bytes());
        assert!(decoder.frame::<Frame<Request>>().is_err());
        assert!(read_frame::<Frame<Request>>(&mut &[0xff; 16][..]).is_err());
        assert!(encode(&vec![0u8; MAX_FRAME + 1]).is_err());
    }

    #[test]
    fn garbage_is_an_error_and_not_a_request() {
        let mut decoder = Decoder::default();
        decoder.push(&[2, 0, 0, 0, 0, 250]);
        assert!(decoder.frame::<Frame<Request>>().is_err());
    }
}
