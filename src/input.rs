//! Opening recorded histories: a run's directory or a file, plain, gzip or zstd, in any known format.
//!
//! Untrusted input: what is decompressed is counted as it streams and stopped at a limit. Not here: the formats
//! themselves (`history::formats`), judging.

use crate::cli::Failure;
use history::History;
use history::jsonl::ReadOptions;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Decompressed bytes at most: 8 GiB, or 20 times what the file has (never below 64 MiB), whichever is smaller.
fn limit(compressed: u64) -> u64 {
    (compressed.saturating_mul(20)).clamp(64 << 20, 8 << 30)
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
    let (read, file) = reader(path)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let inner = name.trim_end_matches(".gz").trim_end_matches(".zst").to_string();
    let (history, format) = history::formats::read(read, &inner, format, options)
        .map_err(|e| Failure::usage(format!("{}:{e}", file.display())))?;
    Ok(Input { history, format, path: file })
}

/// The file that a path names, unpacked as it is read.
pub fn reader(path: &Path) -> Result<(Box<dyn BufRead>, PathBuf), Failure> {
    let file = file_of(path)?;
    let at = |what: &dyn std::fmt::Display| Failure::usage(format!("{}: {what}", file.display()));
    let opened = File::open(&file).map_err(|e| at(&e))?;
    let size = opened.metadata().map_err(|e| at(&e))?.len();
    let mut plain = BufReader::with_capacity(1 << 16, opened);
    let head = plain.fill_buf().map_err(|e| at(&e))?;
    let read: Box<dyn BufRead> = match head {
        [0x1f, 0x8b, ..] => capped(flate2::bufread::MultiGzDecoder::new(plain), size),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            capped(zstd::stream::read::Decoder::with_buffer(plain).map_err(|e| at(&e))?, size)
        }
        _ => Box::new(plain),
    };
    Ok((read, file))
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
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| {
            io::Error::other(
                "limit reached: it unpacks to more than 20 times its size (or 8 GiB); unpack it first",
            )
        })?;
        Ok(n)
    }
}

fn capped(inner: impl Read + 'static, size: u64) -> Box<dyn BufRead> {
    Box::new(BufReader::with_capacity(1 << 16, Capped { inner, left: limit(size) }))
}
