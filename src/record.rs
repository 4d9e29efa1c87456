//! The journal: `history.jsonl` as it grows, crash-safe.
//!
//! Every event is stamped and appended under one lock, so file order is time order. A batch is handed to the
//! kernel as soon as its events are complete; a thread of its own syncs the file at least once a second, and
//! [`Journal::sync`] (used at every strike) waits for it. Losing power costs at most that second; a killed
//! controller costs nothing that was flushed. Not here: what the events mean.

use history::jsonl::{Header, Writer};
use history::{Event, Nanos};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How often the file is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    EverySecond,
    /// After each batch, before anything that follows it is sent.
    Always,
}

/// The run's one clock: nanoseconds since it was made, never backwards.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    pub fn now(&self) -> Nanos {
        self.0.elapsed().as_nanos() as Nanos
    }

    pub fn instant(&self, at: Nanos) -> Instant {
        self.0 + Duration::from_nanos(at)
    }
}

/// Bytes wait here until the batch is whole; then they go to the kernel in one write.
struct Batch {
    file: File,
    bytes: Vec<u8>,
}

impl Write for Batch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.bytes.is_empty() {
            self.file.write_all(&self.bytes)?;
            self.bytes.clear();
        }
        Ok(())
    }
}

#[derive(Default)]
struct SyncState {
    asked: u64,
    done: u64,
    closed: bool,
    failed: Option<String>,
}

pub struct Journal {
    writer: Mutex<Option<Writer<Batch>>>,
    pub clock: Clock,
    sync: Sync,
    state: Arc<(Mutex<SyncState>, Condvar)>,
    syncer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere must not lose the record: what was written before it is whole lines.
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Journal {
    pub fn create(path: &Path, header: &Header, sync: Sync, clock: Clock) -> io::Result<Journal> {
        let file = File::create(path)?;
        let other = file.try_clone()?;
        let mut writer = Writer::new(Batch { file, bytes: Vec::with_capacity(1 << 16) }, header)?;
        writer.get_mut().flush()?;
        let state = Arc::new((Mutex::new(SyncState::default()), Condvar::new()));
        let shared = state.clone();
        let syncer = std::thread::Builder::new()
            .name("journal-sync".into())
            .spawn(move || keep_synced(&other, &shared))?;
        Ok(Journal { writer: Mutex::new(Some(writer)), clock, sync, state, syncer: Mutex::new(Some(syncer)) })
    }

    /// Appends whatever `fill` stamps, as one batch. `fill` gets the clock to read under the lock.
    pub fn batch<T>(&self, fill: impl FnOnce(&Clock, &mut Vec<Event>) -> T) -> io::Result<T> {
        let mut guard = locked(&self.writer);
        let mut events = Vec::new();
        let result = fill(&self.clock, &mut events);
        self.append(&mut guard, &events)?;
        Ok(result)
    }

    fn append(&self, writer: &mut Option<Writer<Batch>>, events: &[Event]) -> io::Result<()> {
        let Some(writer) = writer.as_mut() else { return Ok(()) };
        for event in events {
            writer.event(event)?;
        }
        writer.get_mut().flush()?;
        if self.sync == Sync::Always && !events.is_empty() {
            writer.get_mut().file.sync_data()?;
        }
        Ok(())
    }

    /// One event, stamped now.
    pub fn event(&self, make: impl FnOnce(Nanos) -> Event) -> io::Result<()> {
        self.batch(|clock, events| events.push(make(clock.now())))
    }

    /// Returns once everything appended so far is on disk. Blocks for an fsync: milliseconds.
    pub fn sync(&self) -> io::Result<()> {
        let (lock, changed) = &*self.state;
        let mut state = locked(lock);
        state.asked += 1;
        let ticket = state.asked;
        changed.notify_all();
        while state.done < ticket && !state.closed {
            state = changed.wait(state).unwrap_or_else(|e| e.into_inner());
        }
        match &state.failed {
            Some(why) => Err(io::Error::other(why.clone())),
            None => Ok(()),
        }
    }

    /// Why syncing failed, if it ever did: a full disk shows here too.
    pub fn failed(&self) -> Option<String> {
        locked(&self.state.0).failed.clone()
    }

    /// Footer, last sync. A journal dropped without this reads as truncated.
    pub fn finish(&self) -> io::Result<()> {
        if let Some(writer) = locked(&self.writer).take() {
            let mut batch = writer.finish()?;
            batch.flush()?;
            batch.file.sync_data()?;
        }
        self.close();
        Ok(())
    }

    fn close(&self) {
        let (lock, changed) = &*self.state;
        locked(lock).closed = true;
        changed.notify_all();
        if let Some(thread) = locked(&self.syncer).take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

fn keep_synced(file: &File, shared: &(Mutex<SyncState>, Condvar)) {
    let (lock, changed) = shared;
    loop {
        let state = locked(lock);
        let (state, _) = changed
            .wait_timeout_while(state, Duration::from_secs(1), |s| s.asked == s.done && !s.closed)
            .unwrap_or_else(|e| e.into_inner());
        let (asked, closed) = (state.asked, state.closed);
        drop(state);
        let result = file.sync_data();
        let mut state = locked(lock);
        state.done = asked;
        if let Err(e) = result {
            state.failed.get_or_insert(format!("cannot sync the history: {e}"));
        }
        changed.notify_all();
        if closed {
            return;
        }
    }
}
