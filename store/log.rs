//! The log file: records with a length and a checksum, appended, synced, and now and then replaced as a whole.
//!
//! A record is `u32` length, `u32` CRC-32C of the payload, payload, both numbers little-endian. A crash can leave a
//! torn record at the end; opening cuts the file at the first record that does not hold. What records mean is the
//! cores' business.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const HEADER: usize = 8;
/// A record longer than this is taken for damage.
const LONGEST: usize = 1 << 30;

/// An open log file, positioned at its end.
pub struct LogFile {
    file: File,
    path: PathBuf,
}

/// What was found when a log was opened.
pub struct Opened {
    pub log: LogFile,
    /// The records that hold, oldest first.
    pub records: Vec<Vec<u8>>,
    /// A note if a damaged tail was cut off: where, and how many bytes.
    pub note: Option<String>,
}

impl LogFile {
    /// Opens or creates the log at `path`, reads it, and cuts a damaged tail. Cost: one pass over the file.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(path: &Path) -> io::Result<Opened> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (records, end) = split(&bytes);
        let mut note = None;
        if end < bytes.len() {
            note = Some(format!("cut {} bytes of a damaged tail at offset {end}", bytes.len() - end));
            file.set_len(end as u64)?;
        }
        file.seek(SeekFrom::Start(end as u64))?;
        file.sync_all()?;
        sync_folder(path)?;
        Ok(Opened { log: LogFile { file, path: path.to_path_buf() }, records, note })
    }

    /// Writes framed records ([`frame`]) at the end; durable only after [`LogFile::sync`].
    ///
    /// # Errors
    /// Those of the file system; what was written before the error is unknown, so the log must not be used further.
    pub fn append(&mut self, framed: &[u8]) -> io::Result<()> {
        self.file.write_all(framed)
    }

    /// Makes all that was appended durable (`fdatasync`).
    ///
    /// # Errors
    /// Those of the file system; see [`LogFile::append`].
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Replaces the whole log by framed records, all or nothing, and durably: a new file, synced, renamed over the
    /// old one, and the folder synced.
    ///
    /// # Errors
    /// Those of the file system; the old log is still there then.
    pub fn rewrite(&mut self, framed: &[u8]) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(framed)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        sync_folder(&self.path)?;
        self.file = file;
        Ok(())
    }
}

/// Appends one record to `buffer` in the file's format.
pub fn frame(record: &[u8], buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&(record.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&crc32c::crc32c(record).to_le_bytes());
    buffer.extend_from_slice(record);
}

/// The records that hold and where the first that does not begins.
fn split(bytes: &[u8]) -> (Vec<Vec<u8>>, usize) {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some(record) = record_at(bytes, at) {
        records.push(record.to_vec());
        at += HEADER + record.len();
    }
    (records, at)
}

fn record_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = &bytes[at..];
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    // No record is empty: a run of zeros, which some file systems leave after a crash, is damage.
    if length == 0 || length > LONGEST {
        return None;
    }
    let record = rest.get(..length)?;
    (crc32c::crc32c(record) == u32::from_le_bytes(*sum)).then_some(record)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("store-log-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Folder(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn framed(records: &[&[u8]]) -> Vec<u8> {
        let mut buffer = Vec::new();
        records.iter().for_each(|record| frame(record, &mut buffer));
        buffer
    }

    #[test]
    fn a_tail_torn_anywhere_is_cut_and_the_log_goes_on() {
        let folder = Folder::new("torn");
        let path = folder.0.join("log");
        let whole = framed(&[b"one", b"two", b"three"]);
        let third = framed(&[b"one", b"two"]).len();
        for length in third..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let mut opened = LogFile::open(&path).unwrap();
            assert_eq!(opened.records, [b"one", b"two"]);
            assert_eq!(opened.note.is_some(), length > third);
            opened.log.append(&framed(&[b"four"])).unwrap();
            opened.log.sync().unwrap();
            assert_eq!(LogFile::open(&path).unwrap().records, [&b"one"[..], b"two", b"four"]);
        }
    }

    #[test]
    fn a_flipped_bit_and_a_run_of_zeros_are_damage() {
        let folder = Folder::new("flip");
        let path = folder.0.join("log");
        let mut bytes = framed(&[b"one", b"two"]);
        *bytes.last_mut().unwrap() ^= 4;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(LogFile::open(&path).unwrap().records, [b"one"]);
        let mut bytes = framed(&[b"one"]);
        bytes.extend([0; 64]);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(LogFile::open(&path).unwrap().records, [b"one"]);
    }

    #[test]
    fn a_rewrite_replaces_everything_and_appends_follow_it() {
        let folder = Folder::new("rewrite");
        let path = folder.0.join("log");
        let mut log = LogFile::open(&path).unwrap().log;
        log.append(&framed(&[b"one", b"two"])).unwrap();
        log.rewrite(&framed(&[b"both"])).unwrap();
        log.append(&framed(&[b"three"])).unwrap();
        log.sync().unwrap();
        assert_eq!(LogFile::open(&path).unwrap().records, [&b"both"[..], b"three"]);
    }
}
