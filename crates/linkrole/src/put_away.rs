//! Puts old entries of the trail away: a whole segment at a time, once signed checkpoints, inside and outside, vouch for
//! it, on a thread of its own. A hanging place for archives holds nothing else up, and the end of the server does not wait
//! for what is left to do.

use crate::archive::{self, Keep};
use crate::audit_key::Signer;
use crate::checkpoint::time_of;
use crate::engine::Engine;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use store::{EntryQuery, SEGMENT, Store};

/// How often it is looked whether entries are too old.
const EVERY: Duration = Duration::from_secs(10);
/// How long whoever writes the trail has the store for itself between two segments.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the end of the server waits for the segment that is being put away.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the thread and the rest of the server say to each other.
#[derive(Debug, Default)]
pub struct Told {
    /// Up to which entry checkpoints vouch, wherever they are to be.
    vouched: AtomicU64,
    ending: AtomicBool,
    is_over: Mutex<bool>,
    changed: Condvar,
}

impl Told {
    /// Checkpoints vouch for the first so many entries, wherever they are to be.
    pub fn vouched(&self, entries: u64) {
        self.vouched.store(entries, Ordering::Release);
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    fn rest(&self, at_most: Duration) {
        let over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_ending() {
            drop(self.changed.wait_timeout_while(over, at_most, |_| !self.is_ending()));
        }
    }

    /// Ends it, between two segments; answers whether it ended.
    pub fn finish(&self) -> bool {
        let over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        self.ending.store(true, Ordering::Release);
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(over, PATIENCE, |over| !*over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Who puts entries away.
pub struct PutAway<S> {
    /// The trail.
    pub engine: Arc<Engine<S>>,
    /// Signs archives.
    pub signer: Arc<Signer>,
    /// How long entries stay, and where they go then.
    pub keep: Keep,
    /// When to look, and when to end.
    pub told: Arc<Told>,
}

impl<S: Store> PutAway<S> {
    /// Starts the thread.
    pub fn start(self) -> Result<(), String> {
        let work = move || {
            let told = self.told.clone();
            if !crate::writer::on_this_thread(self.run()) {
                tracing::error!("old entries are not put away: there is no runtime");
            }
            *told.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
            told.changed.notify_all();
        };
        let made = std::thread::Builder::new().name("archive".to_owned()).spawn(work);
        made.map(drop).map_err(|e| format!("cannot start the thread for archives: {e}"))
    }

    async fn run(self) {
        while !self.told.is_ending() {
            let pause = match self.put_segment_away().await {
                Ok(true) => PAUSE,
                Ok(false) => EVERY,
                Err(why) => {
                    tracing::error!(why, "old entries were not put away");
                    crate::pace::EVERY
                }
            };
            self.told.rest(pause);
        }
    }

    /// Puts the oldest segment away, if all of it is old and vouched for. A crash between the archive and the forgetting
    /// leaves both, and writes it again.
    async fn put_segment_away(&self) -> Result<bool, String> {
        let (engine, keep) = (&self.engine, &self.keep);
        let first = engine.first_entry().await?;
        let after = first.saturating_add(SEGMENT);
        if after > self.told.vouched.load(Ordering::Acquire).saturating_add(1) {
            return Ok(false);
        }
        let old_ms = engine.now_ms().saturating_sub(i64::from(keep.days) * 86_400_000);
        // The last one is nearly always the youngest: who is young there need not be read.
        let last = engine.entries(&EntryQuery::forwards(after - 1, 1)).await?;
        let last = last.entries.first().ok_or_else(|| format!("entry {} is missing", after - 1))?;
        if time_of(&last.record).is_some_and(|at_ms| at_ms > old_ms) {
            return Ok(false);
        }
        let mut records = Vec::new();
        while (records.len() as u64) < SEGMENT {
            if self.told.is_ending() {
                return Ok(false);
            }
            let at = first.saturating_add(records.len() as u64);
            let query = EntryQuery { to: after - 1, ..EntryQuery::forwards(at, 1_000) };
            let page = engine.entries(&query).await?;
            if page.entries.is_empty() {
                return Err(format!("entry {at} is missing"));
            }
            records.extend(page.entries.into_iter().map(|entry| entry.record));
        }
        if records.iter().filter_map(|record| time_of(record)).any(|at_ms| at_ms > old_ms) {
            return Ok(false);
        }
        let origin = engine.keyring().check_value();
        let file = archive::write(&keep.folder, &self.signer, &origin, first, &records)?;
        // A place that was slow may answer when the store is about to be closed.
        if self.told.is_ending() {
            return Ok(false);
        }
        engine.forget(after).await?;
        tracing::info!(file = %file.display(), from = first, to = after - 1, "put entries away");
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use crate::clock::Clock;
    use iam::seal::Keyring;
    use store::{Entry, Memory};

    const T0: i64 = 1_800_000_000_000;
    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn a_segment_a_turn_goes_once_all_of_it_is_old_and_vouched_for() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Memory::new();
            let entry = |at_ms: i64| Entry {
                record: format!("{{\"at_ms\":{at_ms}}}").into_bytes(),
                ..Entry::default()
            };
            // Two segments; of the second the last entry is not the youngest, and one is younger still.
            let mut entries = vec![entry(T0); 2 * usize::try_from(SEGMENT).unwrap() + 7];
            if let Some(young) = entries.get_mut(usize::try_from(SEGMENT).unwrap() + 5) {
                *young = entry(T0 + DAY_MS);
            }
            store.record(&entries).await.unwrap();
            let ring = Keyring::from_bytes(&[3; Keyring::LEN]).unwrap();
            let clock = Arc::new(Clock::fixed(T0));
            let (engine, _) = Engine::start(store, ring, clock.clone()).await.unwrap();
            let folder = tempfile::tempdir().unwrap();
            let archives = folder.path().join("archive");
            let keep = Keep { days: 3, folder: archives.clone() };
            let told = Arc::new(Told::default());
            let signer = Arc::new(Signer::of(&[1; 32]).unwrap());
            let put_away = PutAway { engine: engine.clone(), signer, keep, told: told.clone() };
            let turn = async |now_ms: i64, vouched: u64| {
                clock.set(now_ms);
                told.vouched(vouched);
                let done = put_away.put_segment_away().await.unwrap();
                (done, engine.first_entry().await.unwrap())
            };
            let (old, newest) = (T0 + 3 * DAY_MS, 2 * SEGMENT + 7);
            assert_eq!(turn(old - 1, newest).await, (false, 1), "too young");
            assert_eq!(turn(old, SEGMENT - 1).await, (false, 1), "not vouched for");
            assert_eq!(turn(old, newest).await, (true, SEGMENT + 1));
            assert_eq!(turn(old, newest).await, (false, SEGMENT + 1), "one of it is too young");
            assert_eq!(std::fs::read_dir(&archives).unwrap().count(), 1);
            // Who ends does not begin what takes long.
            told.ending.store(true, Ordering::Release);
            assert_eq!(turn(old + DAY_MS, newest).await, (false, SEGMENT + 1));
            assert_eq!(std::fs::read_dir(&archives).unwrap().count(), 1);
            told.ending.store(false, Ordering::Release);
            assert_eq!(turn(old + DAY_MS, newest).await, (true, 2 * SEGMENT + 1));
            assert_eq!(turn(old + DAY_MS, newest).await, (false, 2 * SEGMENT + 1), "no segment");
        });
    }
}
