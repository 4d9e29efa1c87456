//! Opening recorded histories: a run's directory or a file, plain, gzip or zstd, in any known format.
//!
//! Untrusted input: what is decompressed is counted as it streams and stopped at a limit. Not here: the formats
//! themselves (`history::formats`), judging.

use crate::cli::Failure;
use history::History;
use history::jsonl::{Limits, ReadOptions};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Decompressed bytes at most: what was said, or 20 times what the file has, within 64 MiB and 8 GiB.
fn limit(compressed: u64, limits: &Limits) -> u64 {
    limits.unpacked.unwrap_or(compressed.saturating_mul(20).clamp(64 << 20, 8 << 30))
}

/// A history that was read, and where it came from.
pub struct Input {
    pub history: History,
    pub format: &'static str,
    /// The file itself, also when its directory was named.
    pub path: PathBuf,
}

/// Reads what the path names. Every error names the file and, where there is one, the line.
pub fn open(path: &Path, format: Option<&str>, options: &ReadOptions) -> Result<Input, Failure> {
    let file = file_of(path)?;
    let (read, inner) = unpacked(&file, &options.limits)?;
    let (history, format) = history::formats::read(read, &inner, format, options)
        .map_err(|e| Failure::usage(format!("{}:{e}", file.display())))?;
    // Each key costs a judge of its own.
    if history.len() as u64 > options.limits.keys && history.by_key().len() as u64 > options.limits.keys {
        let says = Limits::reached("more than", options.limits.keys, "keys", "keys");
        return Err(Failure::usage(format!("{}: {says}", file.display())));
    }
    Ok(Input { history, format, path: file })
}

/// The file that a path names, unpacked as it is read.
pub fn reader(path: &Path, limits: &Limits) -> Result<(Box<dyn BufRead>, PathBuf), Failure> {
    let file = file_of(path)?;
    Ok((unpacked(&file, limits)?.0, file))
}

/// The bytes of a history as its reader would see them, unpacked.
pub fn raw(path: &Path, limits: &Limits) -> Result<Vec<u8>, Failure> {
    let file = file_of(path)?;
    let mut bytes = Vec::new();
    let failed = |e: io::Error| Failure::usage(format!("{}: {e}", file.display()));
    unpacked(&file, limits)?.0.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// What is in a file, and its name without the ending of a packer.
fn unpacked(file: &Path, limits: &Limits) -> Result<(Box<dyn BufRead>, String), Failure> {
    let at = |what: &dyn std::fmt::Display| Failure::usage(format!("{}: {what}", file.display()));
    let opened = File::open(file).map_err(|e| at(&e))?;
    let size = opened.metadata().map_err(|e| at(&e))?.len();
    let unpacked = limit(size, limits);
    let mut plain = BufReader::with_capacity(1 << 16, opened);
    let head = plain.fill_buf().map_err(|e| at(&e))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let read: Box<dyn BufRead> = match head {
        [0x1f, 0x8b, ..] => capped(flate2::bufread::MultiGzDecoder::new(plain), unpacked),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            capped(zstd::stream::read::Decoder::with_buffer(plain).map_err(|e| at(&e))?, unpacked)
        }
        _ => Box::new(plain),
    };
    let inner = name.trim_end_matches(".gz").trim_end_matches(".zst").to_string();
    Ok((read, inner))
}

fn file_of(path: &Path) -> Result<PathBuf, Failure> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    for name in ["history.jsonl", "history.jsonl.zst", "history.edn"] {
        if path.join(name).is_file() {
            return Ok(path.join(name));
        }
    }
    Err(Failure::usage(format!("{}: a directory without history.jsonl or history.edn", path.display())))
}

struct Capped<R> {
    inner: R,
    left: u64,
    most: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| {
            let limit = Limits::reached("it unpacks to over", self.most, "bytes", "unpacked");
            io::Error::other(format!("{limit}, or unpack it first"))
        })?;
        Ok(n)
    }
}

fn capped(inner: impl Read + 'static, most: u64) -> Box<dyn BufRead> {
    Box::new(BufReader::with_capacity(1 << 16, Capped { inner, left: most, most }))
}
