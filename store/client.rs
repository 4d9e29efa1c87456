//! A client of one connection: sends a request, waits for its response, and tells *not sent* from *unknown*.
//!
//! The caller dials; any stream will do. There is no retry and no choice of server here.

use crate::protocol::{Request, Response};
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout_at};

/// A connection to one server. Not to be used again after an error.
pub struct Client<S> {
    read: BufReader<ReadHalf<S>>,
    write: WriteHalf<S>,
    /// The part of a line that has arrived; kept when a wait for the rest is given up.
    line: Vec<u8>,
    broken: bool,
}

/// Why there is no response.
#[derive(Debug)]
pub enum CallError {
    /// Nothing of the request left: it certainly has no effect.
    NotSent(io::Error),
    /// It may have been carried out, or may yet be.
    Unknown(io::Error),
}

impl CallError {
    /// Whether the request certainly has no effect.
    pub fn is_definite(&self) -> bool {
        matches!(self, CallError::NotSent(_))
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::NotSent(error) => write!(f, "not sent: {error}"),
            CallError::Unknown(error) => write!(f, "sent, and then: {error}"),
        }
    }
}

impl std::error::Error for CallError {}

impl<S: AsyncRead + AsyncWrite> Client<S> {
    /// Wraps an open stream; says nothing yet.
    pub fn connect(stream: S) -> Client<S> {
        let (read, write) = tokio::io::split(stream);
        Client { read: BufReader::new(read), write, line: Vec::new(), broken: false }
    }

    /// Sends `request` and waits for its response, `limit` long at most. Responses to other ids, which belong to
    /// calls given up before, are dropped.
    ///
    /// # Errors
    /// See [`CallError`]; after `Unknown` from anything but a timeout the connection is of no use, and further
    /// calls are `NotSent`.
    pub async fn call(&mut self, request: &Request, limit: Duration) -> Result<Response, CallError> {
        if self.broken {
            return Err(CallError::NotSent(io::ErrorKind::NotConnected.into()));
        }
        let deadline = Instant::now() + limit;
        let mut bytes = request.to_json().into_bytes();
        bytes.push(b'\n');
        self.send(&bytes, deadline).await?;
        match timeout_at(deadline, self.response(&request.id)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                self.broken = true;
                Err(CallError::Unknown(error))
            }
            Err(late) => Err(CallError::Unknown(late.into())),
        }
    }

    async fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), CallError> {
        let mut sent = 0;
        while sent < bytes.len() {
            let result = match timeout_at(deadline, self.write.write(&bytes[sent..])).await {
                Ok(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
                Ok(other) => other,
                Err(late) => Err(late.into()),
            };
            match result {
                Ok(count) => sent += count,
                Err(error) => {
                    self.broken = true;
                    return Err(if sent == 0 {
                        CallError::NotSent(error)
                    } else {
                        CallError::Unknown(error)
                    });
                }
            }
        }
        match timeout_at(deadline, self.write.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(CallError::Unknown(error)),
            Err(late) => Err(CallError::Unknown(late.into())),
        }
    }

    async fn response(&mut self, id: &str) -> io::Result<Response> {
        loop {
            if self.read.read_until(b'\n', &mut self.line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.line.last() != Some(&b'\n') {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let response = std::str::from_utf8(&line).ok().and_then(Response::from_json);
            let response =
                response.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a response"))?;
            if response.id == id {
                return Ok(response);
            }
        }
    }
}
