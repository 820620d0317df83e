//! Writes a checkpoint of the trail every minute, every thousand entries, and at the end: also when nothing happened, so
//! that silence can be told from a trail that was cut off.
//!
//! It does so on a thread of its own, to a file in the data directory. The file outside ([`crate::outside`]) and archives
//! ([`crate::put_away`]) have each their own thread, so that no place that hangs holds checkpoints up. How it goes on
//! after a start, and when it does not, is in [`crate::resume`].

use crate::archive::Keep;
use crate::audit_key::Signer;
use crate::checkpoint::{Checkpoint, LEAVES, leaf, time_of};
use crate::clock::StopWatch;
use crate::engine::Engine;
use crate::merkle::{Hash, Tree};
use crate::outside::{Outside, Reach};
use crate::pace::{EVERY, Pace};
use crate::put_away::{PutAway, Told};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{EntryQuery, Store};

/// How often it is looked whether entries came.
const LOOK: Duration = Duration::from_secs(1);

/// Who signs the trail: where the checkpoints of a data directory end, and all that is needed to go on.
pub struct Witness {
    pub(crate) signer: Arc<Signer>,
    /// Whose trail it is.
    pub(crate) origin: String,
    pub(crate) own: PathBuf,
    /// How long our own file is, as far as it holds.
    pub(crate) length: u64,
    pub(crate) tree: Tree,
    pub(crate) last: Checkpoint,
    pub(crate) outside: Option<Outside>,
    /// How long entries stay in the store; for ever unless told.
    pub(crate) keep: Option<Keep>,
    pub(crate) signed: Signing,
}

/// What is on its way into a checkpoint.
#[derive(Debug, Default)]
pub struct Signing {
    /// Leaves that no checkpoint has yet; never more than one may have.
    new: Vec<Hash>,
    /// The time of the youngest entry so far.
    youngest_ms: Option<i64>,
    /// When the last checkpoint was written.
    said: Option<Duration>,
}

/// A witness at work.
pub struct Watch {
    pace: Arc<Pace>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    /// Has it say its last word. To be called when nothing more comes.
    pub fn end(self) {
        self.pace.end();
        if self.thread.join().is_err() {
            tracing::error!("who signs the trail panicked");
        }
    }
}

/// Tells those who wait for a checkpoint that none comes any more, however the thread ends.
struct Over(Arc<Pace>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over();
    }
}

impl Witness {
    /// Begins to sign what the engine stores.
    pub fn start<S: Store>(self, engine: Arc<Engine<S>>) -> Result<Watch, String> {
        let pace = Arc::new(Pace::new(self.last.at_ms));
        let _ = engine.pace.set(pace.clone());
        let told = Arc::new(Told::default());
        if let Some(keep) = self.keep.clone() {
            let signer = self.signer.clone();
            PutAway { engine: engine.clone(), signer, keep, told: told.clone() }.start()?;
        }
        let over = Over(pace.clone());
        let work = move || {
            let pace = over.0.clone();
            if !crate::writer::on_this_thread(self.run(&engine, &pace, &told)) {
                tracing::error!("the trail is not signed: there is no runtime");
            }
            drop(over);
        };
        let made = std::thread::Builder::new().name("witness".to_owned()).spawn(work);
        let thread = made.map_err(|e| format!("cannot start who signs the trail: {e}"))?;
        Ok(Watch { pace, thread })
    }

    async fn run<S: Store>(mut self, engine: &Engine<S>, pace: &Pace, told: &Told) {
        let watch = StopWatch::start();
        loop {
            let is_ending = pace.now().is_ending;
            self.turn(engine, pace, watch.passed()).await;
            told.vouched(self.vouched());
            if is_ending {
                break;
            }
            pace.rest(LOOK);
        }
        if self.keep.is_some() && !told.finish() {
            tracing::warn!("an archive was not ended; it is written again after the next start");
        }
        if self.outside.is_some_and(|outside| !outside.finish()) {
            tracing::warn!(
                "the last checkpoints are not outside; they are written there after the next start"
            );
        }
    }

    /// Up to which entry checkpoints vouch, in every place where they are to be.
    fn vouched(&self) -> u64 {
        let outside = self.outside.as_ref().map(|outside| outside.there().entries);
        outside.unwrap_or(u64::MAX).min(self.last.size)
    }

    /// Reads what came and signs it, as far as that is due. `passed` tells the time since the start.
    pub(crate) async fn turn<S: Store>(
        &mut self,
        engine: &Engine<S>,
        pace: &Pace,
        passed: Duration,
    ) {
        loop {
            let more = self.catch_up(engine).await;
            let now = pace.now();
            let is_time = self.signed.said.is_none_or(|said| passed.saturating_sub(said) >= EVERY);
            let is_due = is_time
                || self.signed.new.len() >= LEAVES
                || now.is_waited_for()
                || (now.is_ending && !more);
            if !is_due {
                return;
            }
            let at_ms = engine.now_ms().max(now.wanted_ms);
            if let Err(why) = self.say(at_ms) {
                return tracing::error!(why, "a checkpoint was not written");
            }
            self.signed.said = Some(passed);
            pace.vouched(self.last.at_ms);
            if !more {
                return;
            }
        }
    }

    /// Takes entries that came, as many as one checkpoint has; answers whether there are more.
    async fn catch_up<S: Store>(&mut self, engine: &Engine<S>) -> bool {
        while self.signed.new.len() < LEAVES {
            let (from, most) = (self.tree.size() + 1, LEAVES - self.signed.new.len());
            if let Some(taken) = engine.recent.take(from, most) {
                if taken.records.is_empty() {
                    return false;
                }
                for (position, record) in (from..).zip(&taken.records) {
                    self.add(position, record, Some(taken.youngest_ms));
                }
                continue;
            }
            let query = EntryQuery::forwards(from, most);
            let page = match engine.entries(&query).await {
                Ok(page) => page,
                Err(why) => {
                    tracing::error!(why, "the trail was not read for a checkpoint");
                    return false;
                }
            };
            for entry in &page.entries {
                self.add(entry.position, &entry.record, time_of(&entry.record));
            }
            if page.entries.is_empty() || page.next.is_none() {
                return false;
            }
        }
        true
    }

    /// Adds an entry, which is not younger than `at_ms`, to what is signed next.
    fn add(&mut self, position: u64, record: &[u8], at_ms: Option<i64>) {
        let hash = leaf(position, record);
        self.tree.push(hash);
        self.signed.new.push(hash);
        self.signed.youngest_ms = self.signed.youngest_ms.max(at_ms);
    }

    /// Signs and writes a checkpoint of this time, or of a later one if something it vouches for is younger. One that was
    /// not written is as if it had never been.
    fn say(&mut self, at_ms: i64) -> Result<(), String> {
        let at_ms = at_ms.max(self.last.at_ms).max(self.signed.youngest_ms.unwrap_or(i64::MIN));
        let (last, leaves) = (Some(&self.last), &self.signed.new);
        let made = Checkpoint::sign(&self.signer, &self.origin, last, &self.tree, leaves, at_ms);
        let line = serde_json::to_string(&made).map_err(|e| e.to_string())? + "\n";
        append(&self.own, self.length, line.as_bytes())?;
        self.length += line.len() as u64;
        self.signed.new.clear();
        self.last = made;
        self.last.leaves.clear();
        if let Some(outside) = &self.outside {
            outside.tell(Reach { bytes: self.length, entries: self.last.size });
        }
        Ok(())
    }
}

/// Adds a line to our own file, whose lines end at `length`, and answers when the disk has it.
///
/// Errors: a file that cannot be written, or that somebody else has written.
fn append(file: &Path, length: u64, line: &[u8]) -> Result<(), String> {
    let wrong = |e: std::io::Error| format!("{}: {e}", file.display());
    let mut open = std::fs::OpenOptions::new().append(true).open(file).map_err(wrong)?;
    let found = open.metadata().map_err(wrong)?.len();
    if found < length {
        return Err(format!("{}: expected {length} bytes; found {found}", file.display()));
    }
    if found > length {
        // A line that was not written whole, and could not be taken back at once.
        open.set_len(length).map_err(wrong)?;
    }
    open.write_all(line).and_then(|()| open.sync_all()).map_err(|e| {
        let _ = open.set_len(length);
        wrong(e)
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use crate::checkpoint::{End, FILE};
    use crate::clock::Clock;
    use crate::pace::GRACE_MS;
    use crate::resume::Place;
    use crate::seed::Seed;
    use iam::command::Command;
    use iam::seal::Keyring;
    use store::disk::Disk;
    use store::{Embedded, Memory};

    struct Site {
        folder: tempfile::TempDir,
        engine: Arc<Engine<Memory>>,
        writer: std::thread::JoinHandle<()>,
        clock: Arc<Clock>,
        witness: Witness,
        now_ms: i64,
    }

    async fn site() -> Site {
        let ring = Keyring::from_bytes(&[3; Keyring::LEN]).unwrap();
        let mut seed = Seed::begin(&ring);
        seed.account(None, policy::Dialect::Aws).unwrap();
        let store = Memory::new();
        crate::engine::install(&store, &seed.changes, seed.event.as_ref().unwrap()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let now_ms = Clock::system().now_ms();
        let (directory, origin) = (folder.path(), ring.check_value());
        let place = Place { directory, origin, now_ms, outside: None, keep: None };
        let witness = Witness::open(&store, place).await.unwrap();
        let clock = Arc::new(Clock::fixed(now_ms));
        let (engine, writer) = Engine::start(store, ring, clock.clone()).await.unwrap();
        Site { folder, engine, writer, clock, witness, now_ms }
    }

    fn last(folder: &Path) -> Checkpoint {
        End::of(&folder.join(FILE)).unwrap().checkpoint().unwrap().unwrap()
    }

    fn block_on(work: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(work);
    }

    async fn write(engine: &Engine<Memory>) {
        let command = Command::StockServices { services: Box::default() };
        engine.system(command).await.unwrap();
    }

    #[test]
    fn there_is_a_checkpoint_a_minute_by_a_clock_that_nobody_sets() {
        block_on(async {
            let Site { folder, engine, mut witness, clock, now_ms, .. } = site().await;
            let pace = Pace::new(now_ms);
            let mut hashes = Vec::new();
            // The clock of the day stands, and goes back.
            for (passed_s, is_new) in
                [(0, true), (59, false), (60, true), (119, false), (500, true)]
            {
                clock.set(now_ms - passed_s);
                let passed = Duration::from_secs(u64::try_from(passed_s).unwrap());
                witness.turn(&engine, &pace, passed).await;
                let hash = last(folder.path()).hash();
                assert_eq!(hashes.last() != Some(&hash), is_new, "after {passed_s} s");
                hashes.push(hash);
            }
            assert_eq!(last(folder.path()).at_ms, now_ms);
        });
    }

    #[test]
    fn no_checkpoint_vouches_for_what_a_loss_of_power_takes() {
        block_on(async {
            let ring = || Keyring::from_bytes(&[3; Keyring::LEN]).unwrap();
            let own = ring();
            let mut seed = Seed::begin(&own);
            seed.account(None, policy::Dialect::Aws).unwrap();
            let disk = Disk::new();
            let store = Embedded::create_on(disk.clone()).unwrap();
            let event = seed.event.as_ref().unwrap();
            crate::engine::install(&store, &seed.changes, event).await.unwrap();
            let (folder, now_ms) = (tempfile::tempdir().unwrap(), Clock::system().now_ms());
            let place = || Place {
                directory: folder.path(),
                origin: ring().check_value(),
                now_ms,
                outside: None,
                keep: None,
            };
            let mut witness = Witness::open(&store, place()).await.unwrap();
            let clock = Arc::new(Clock::fixed(now_ms));
            let (engine, writer) = Engine::start(store, ring(), clock).await.unwrap();
            let pace = Pace::new(now_ms);
            for n in 0..12_u32 {
                engine.system(Command::StockServices { services: Box::default() }).await.unwrap();
                witness.turn(&engine, &pace, EVERY * n).await;
                assert_eq!(witness.last.size, u64::from(n) + 2);
                for dice in [None, Some(u64::from(n)), Some(u64::from(n) + 1_000)] {
                    let after = Embedded::open_on(disk.crash(dice)).unwrap();
                    let resumed = Witness::open(&after, place()).await.unwrap();
                    assert_eq!(resumed.last.size, witness.last.size);
                }
            }
            engine.stop().await;
            writer.join().unwrap();
        });
    }

    #[test]
    fn an_entry_after_a_leap_of_the_clock_waits_for_a_checkpoint() {
        block_on(async {
            let Site { folder, engine, writer, witness, clock, now_ms } = site().await;
            let watch = witness.start(engine.clone()).unwrap();
            write(&engine).await;
            let leap_ms = now_ms + 10 * GRACE_MS;
            clock.set(leap_ms);
            write(&engine).await;
            // It was answered, so it is stored; what was signed by then must not be further behind than a crash leaves it.
            let at_ms = last(folder.path()).at_ms;
            assert!(at_ms >= leap_ms, "{at_ms}");
            engine.stop().await;
            writer.join().unwrap();
            watch.end();
            let page = engine.entries(&EntryQuery::backwards(u64::MAX, 1)).await.unwrap();
            assert_eq!(page.entries.first().and_then(|e| time_of(&e.record)), Some(leap_ms));
        });
    }

    #[test]
    fn where_nothing_is_signed_any_more_nothing_is_stored_beyond_what_a_crash_leaves() {
        block_on(async {
            let Site { engine, clock, now_ms, .. } = site().await;
            let pace = Arc::new(Pace::new(now_ms));
            assert!(engine.pace.set(pace.clone()).is_ok());
            drop(Over(pace));
            clock.set(now_ms + GRACE_MS);
            write(&engine).await;
            let stored = engine.entries(&EntryQuery::forwards(1, 100)).await.unwrap().entries;
            clock.set(now_ms + GRACE_MS + 1);
            let command = Command::StockServices { services: Box::default() };
            assert!(engine.system(command).await.is_err());
            assert!(!engine.is_sound(), "the server ends");
            let after = engine.entries(&EntryQuery::forwards(1, 100)).await.unwrap().entries;
            assert_eq!(after, stored);
        });
    }

    #[test]
    fn a_line_that_was_not_written_whole_is_taken_back_before_the_next() {
        block_on(async {
            let Site { folder, engine, mut witness, now_ms, .. } = site().await;
            let (own, pace) = (folder.path().join(FILE), Pace::new(now_ms));
            witness.turn(&engine, &pace, Duration::ZERO).await;
            let before = std::fs::read(&own).unwrap();
            std::fs::write(&own, [before.as_slice(), b"half"].concat()).unwrap();
            witness.turn(&engine, &pace, EVERY).await;
            let after = std::fs::read(&own).unwrap();
            assert_eq!(after.get(..before.len()).unwrap(), before);
            assert!(after.get(before.len()..).unwrap().starts_with(b"{\"kind\""));
            // Somebody took checkpoints away: none is written until they are back, and what is to be stored waits.
            std::fs::write(&own, &before).unwrap();
            witness.turn(&engine, &pace, EVERY * 2).await;
            assert_eq!(std::fs::read(&own).unwrap(), before);
            std::fs::write(&own, &after).unwrap();
            witness.turn(&engine, &pace, EVERY * 2).await;
            assert!(std::fs::read(&own).unwrap().len() > after.len());
        });
    }

    #[test]
    fn a_place_that_never_answers_holds_no_checkpoint_up_and_nothing_is_put_away() {
        block_on(async {
            let Site { folder, engine, mut witness, now_ms, .. } = site().await;
            witness.outside = Some(Outside::silent());
            let pace = Pace::new(now_ms);
            write(&engine).await;
            let mut length = 0;
            for minute in 0..5 {
                witness.turn(&engine, &pace, EVERY * minute).await;
                let found = std::fs::read(folder.path().join(FILE)).unwrap().len();
                assert!(found > length);
                length = found;
            }
            assert_eq!((witness.last.size, witness.vouched()), (2, 0));
        });
    }
}
