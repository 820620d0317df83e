//! The state of the server: one snapshot that every reader shares, one writer that changes it.
//!
//! Reads run here, on the snapshot of the moment; everything else waits in a queue for the writer
//! ([`crate::writer`]). On any doubt about the store the engine takes no more writes and says so to
//! the process.

use crate::clock::{Clock, random};
use crate::look_up::terms;
use crate::pace::Pace;
use crate::recent::Recent;
use crate::writer;
use arc_swap::ArcSwap;
use iam::access::{Lost, Noted};
use iam::audit::{Event, Told};
use iam::caller::{Call, Caller, Source};
use iam::command::Command;
use iam::error::Error;
use iam::handle::{Handled, handle};
use iam::operations::Access;
use iam::operations::Operation;
use iam::output::Output;
use iam::rows::{Change, Row};
use iam::seal::Keyring;
use iam::state::State;
use iam::tx::Env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use store::{Entry, EntryQuery, Store, StoreError};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

/// Calls that may wait for the writer.
const QUEUE: usize = 4_096;
/// Reads of the trail that run at the same time. They block a thread each, and are not to take the
/// processor from everybody else.
const READERS: usize = 4;
/// Places where reads are noted that the trail does not keep, so that no two threads wait for each other.
const SEEN: usize = 8;
/// A report about uses is not older than this, in milliseconds.
const FRESH_MS: i64 = 1_000;
/// Uses that are older than this before the last one, in milliseconds, were stored, ten times over.
const USES_STORED_WITHIN_MS: i64 = 300_000;

type Reply = oneshot::Sender<Result<Output, Error>>;

/// What the writer is given to do.
pub enum Job {
    /// A call to run.
    Call(Box<Call>, Reply),
    /// A read that is to be kept: nothing to run.
    Record(Box<Event>, oneshot::Sender<()>),
    /// Stores a part of what was used since the last time. With the reads that are in no trail it begins anew.
    /// The answer says whether there is more.
    RecordUses(Option<Box<Noted>>, oneshot::Sender<bool>),
    /// Empties a store in memory and puts these rows there.
    Reset(Vec<Row>, oneshot::Sender<Result<(), String>>),
    /// Ends the writer, once all that came before is done.
    Stop,
}

/// What the trail keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// Changes, credentials handed out, and what was refused.
    Changes,
    /// These, and every read of a known caller.
    Reads,
    /// Nothing: only to measure what recording costs. No server is started so.
    Nothing,
}

/// The state of the server.
pub struct Engine<S> {
    pub(crate) store: Arc<S>,
    keyring: Arc<Keyring>,
    clock: Arc<Clock>,
    pub(crate) snapshot: ArcSwap<State>,
    queue: mpsc::Sender<Job>,
    /// What was used by reads that the trail does not keep, since that was last stored.
    seen: [Mutex<Noted>; SEEN],
    /// Held by who stores what was used; when that was done last, in milliseconds since 1970.
    stored_ms: tokio::sync::Mutex<i64>,
    /// Places for those who read the trail.
    readers: Arc<Semaphore>,
    /// Wakes the reconciler.
    pub changed: Notify,
    /// Set when the store is in doubt; wakes whoever ends the process.
    pub failed: Notify,
    /// What the trail keeps; changes unless told before the first call.
    pub recording: OnceLock<Recording>,
    /// How far the trail may run ahead of its checkpoints, where it has any.
    pub pace: OnceLock<Arc<Pace>>,
    /// The newest entries, for who signs them.
    pub recent: Recent,
    broken: AtomicBool,
    panics: AtomicU64,
}

impl<S: Store> Engine<S> {
    /// Loads a store and begins to serve it.
    ///
    /// Errors: what the store says; rows that do not read; a keyring that is not the store's.
    pub async fn start(
        store: S,
        keyring: Keyring,
        clock: Arc<Clock>,
    ) -> Result<(Arc<Self>, std::thread::JoinHandle<()>), String> {
        let mut state = State::default();
        let mut bad = None;
        let revision = store
            .load(&mut |row: store::Row| match Row::decode(row.table, &row.value) {
                Ok(decoded) if decoded.key().encode() == (row.table, row.key.clone()) => {
                    state.apply(&Change::Put(decoded));
                }
                Ok(_) => {
                    bad.get_or_insert(format!(
                        "a row of table {} stands under another's key",
                        row.table
                    ));
                }
                Err(error) => {
                    bad.get_or_insert(error);
                }
            })
            .await
            .map_err(|e| e.to_string())?;
        if let Some(error) = bad {
            return Err(format!("the store does not read: {error}; run `linkrole fsck`"));
        }
        if let Some(installed) = state.installation()
            && installed.key_check != keyring.check_value()
        {
            return Err("the master key is not the one this store was made with; put the right file in its place".into());
        }
        let noted = lost_uses(&store).await?;
        let next = next_position(&store).await.map_err(|e| e.to_string())?;
        let (queue, jobs) = mpsc::channel(QUEUE);
        let engine = Arc::new(Self {
            store: Arc::new(store),
            keyring: Arc::new(keyring),
            clock,
            snapshot: ArcSwap::from_pointee(state),
            queue,
            seen: Default::default(),
            stored_ms: tokio::sync::Mutex::new(0),
            readers: Arc::new(Semaphore::new(READERS)),
            changed: Notify::new(),
            failed: Notify::new(),
            recording: OnceLock::new(),
            pace: OnceLock::new(),
            recent: Recent::new(next),
            broken: AtomicBool::new(false),
            panics: AtomicU64::new(0),
        });
        let thread = writer::start(engine.clone(), jobs, revision, noted)?;
        Ok((engine, thread))
    }

    /// The present snapshot.
    pub fn state(&self) -> Arc<State> {
        self.snapshot.load_full()
    }

    /// The installation's keys.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The server's clock, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Whether writes are taken.
    pub fn is_sound(&self) -> bool {
        !self.broken.load(Ordering::Acquire)
    }

    /// Panics caught so far; anything but 0 is a fault of ours.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Runs a call: a read on the present snapshot, anything else on the writer.
    pub async fn call(&self, call: Call) -> Result<Output, Error> {
        if reports_uses(call.command.operation()) {
            self.record_uses_if_older(FRESH_MS).await;
        }
        // That a request was taken is a change too.
        if call.nonce.is_none() && call.command.operation().facts().access == Access::Read {
            let Some(handled) = self.run_caught(&self.snapshot.load(), &call) else {
                return Err(Error::Internal("a call panicked"));
            };
            // What is kept is noted when it is stored.
            if !self.keeps(&call, &handled) {
                self.note(&handled.event);
                return handled.outcome;
            }
            let (done, kept) = oneshot::channel();
            let job = Job::Record(Box::new(handled.event), done);
            // No answer without its entry, not even a refusal.
            if self.queue.send(job).await.is_err() || kept.await.is_err() {
                return Err(Error::Internal("the store failed"));
            }
            return handled.outcome;
        }
        let (reply, answer) = oneshot::channel();
        if self.queue.send(Job::Call(Box::new(call), reply)).await.is_err() {
            return Err(Error::Internal("the writer has ended"));
        }
        answer.await.unwrap_or(Err(Error::Internal("the writer has ended")))
    }

    /// What the trail keeps.
    pub fn recording(&self) -> Recording {
        self.recording.get().copied().unwrap_or(Recording::Changes)
    }

    /// Whether the trail keeps a call. Of a stranger only what came to something: he must not be able to fill
    /// the disk. Of reads what was refused, what changed something at a linked service that asked about
    /// it, and the rest by switch.
    pub fn keeps(&self, call: &Call, handled: &Handled) -> bool {
        let (recording, event) = (self.recording(), &handled.event);
        if recording == Recording::Nothing {
            return false;
        }
        if call.command.operation().facts().access != Access::Read {
            return handled.outcome.is_ok() || is_known(&call.caller);
        }
        let is_write = event.asked_by.is_some() && !wire::trail::is_read(event);
        is_known(&call.caller) && (event.denied || is_write || recording == Recording::Reads)
    }

    /// Runs a call of the server itself.
    pub async fn system(&self, command: Command) -> Result<Output, Error> {
        self.call(of_system(command)).await
    }

    /// Empties the server and puts these rows there; only for a store in memory.
    pub async fn reset(&self, rows: Vec<Row>) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let gone = |_| "the writer has ended".to_owned();
        self.queue
            .send(Job::Reset(rows, done))
            .await
            .map_err(|_| "the writer has ended".to_owned())?;
        answer.await.map_err(gone)?
    }

    /// Ends the writer, once all that waits is done.
    pub async fn stop(&self) {
        let _ = self.queue.send(Job::Stop).await;
    }

    /// Notes who used what by a read that the trail does not keep; stored in batches, off the way of requests.
    fn note(&self, event: &Event) {
        if let Some(place) = self.seen.get(own_place()) {
            place.lock().unwrap_or_else(PoisonError::into_inner).note(event);
        }
    }

    /// Takes out what was noted by [`Self::note`].
    pub fn take_seen(&self) -> Noted {
        let mut all = Noted::default();
        for place in &self.seen {
            let seen = std::mem::take(&mut *place.lock().unwrap_or_else(PoisonError::into_inner));
            all.merge(seen);
        }
        all
    }

    /// Stores the uses noted since the last time, a part at a time: other calls come in between.
    pub async fn record_uses(&self) {
        self.record_uses_if_older(i64::MIN).await;
    }

    async fn record_uses_if_older(&self, age_ms: i64) {
        let mut stored_ms = self.stored_ms.lock().await;
        // A clock that went back makes nothing fresh.
        if (0..age_ms).contains(&self.now_ms().saturating_sub(*stored_ms)) {
            return;
        }
        let mut is_first = true;
        while self.record_part(is_first).await {
            is_first = false;
        }
        *stored_ms = self.now_ms();
    }

    /// Stores a part; whether there is more. The first one takes what was noted up to now.
    pub(crate) async fn record_part(&self, is_first: bool) -> bool {
        let seen = is_first.then(|| Box::new(self.take_seen()));
        let (done, stored) = oneshot::channel();
        let sent = self.queue.send(Job::RecordUses(seen, done)).await;
        // A store that failed takes no more.
        sent.is_ok() && stored.await.unwrap_or(false)
    }

    /// Entries of the trail, read on a thread where that may take a while: those that serve requests
    /// go on meanwhile.
    pub async fn entries(&self, query: &EntryQuery) -> Result<store::Page, String> {
        let place = self.readers.clone().acquire_owned().await.map_err(|e| e.to_string())?;
        let (store, query) = (self.store.clone(), query.clone());
        let here = tokio::runtime::Handle::current();
        let read = tokio::task::spawn_blocking(move || {
            let page = here.block_on(store.entries(&query));
            // A reader who has gone away leaves its place when the read is over, not before.
            drop(place);
            page
        });
        read.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
    }

    /// The position of the trail's first entry that is still there.
    pub async fn first_entry(&self) -> Result<u64, String> {
        self.store.first_entry().await.map_err(|e| e.to_string())
    }

    /// Forgets entries of the trail before a position, as far as whole segments lie there.
    pub async fn forget(&self, before: u64) -> Result<u64, String> {
        self.store.forget(before).await.map_err(|e| e.to_string())
    }

    /// Runs a call. One that panics is counted and answered as a fault; it changes nothing.
    pub fn run_caught(&self, state: &State, call: &Call) -> Option<Handled> {
        let handled = catch_unwind(AssertUnwindSafe(|| self.run(state, call)));
        if handled.is_err() {
            self.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!(request = call.request_id, "a call panicked; it was not carried out");
        }
        handled.ok()
    }

    fn run(&self, state: &State, call: &Call) -> Handled {
        let mut source = random;
        let mut env =
            Env { now_ms: self.clock.now_ms(), random: &mut source, keyring: &self.keyring };
        let mut handled = handle(state, call, &mut env);
        // The core knows no texts; the trail is to say what the caller was told.
        if let Err(Error::Refused(refusal)) = &handled.outcome {
            let (code, message) = (refusal.code.clone(), refusal.message.clone());
            handled.event.told = Some(Told { code, message });
        } else if let Err(error) = &handled.outcome {
            handled.event.told = Some(wire::trail::told(call, handled.event.dialect, error));
        }
        handled
    }
}

/// Whether an operation answers what was used of late.
fn reports_uses(operation: Operation) -> bool {
    matches!(
        operation,
        // A report is worked out when it is read.
        Operation::GetServiceLastAccessedDetails
            | Operation::GetServiceLastAccessedDetailsWithEntities
            | Operation::GetAccess
            | Operation::GetAccessKeyLastUsed
    )
}

/// Where this thread notes reads.
fn own_place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SEEN;
    }
    OWN.with(|own| *own)
}

/// Whether a caller is one whose vain attempts are kept. A stranger must not be able to fill the
/// disk, and a stale step of a worker is no news.
pub fn is_known(caller: &Caller) -> bool {
    !matches!(caller, Caller::System | Caller::Anonymous)
}

impl<S> Engine<S> {
    /// Takes no more writes, and says so to the process.
    pub fn break_down(&self, why: &str) {
        tracing::error!(why, "the store is in doubt; no more writes are taken");
        self.broken.store(true, Ordering::Release);
        self.failed.notify_waiters();
        self.failed.notify_one();
    }
}

/// A call of the server itself.
pub fn of_system(command: Command) -> Call {
    Call {
        caller: Caller::System,
        on_behalf: None,
        command,
        nonce: None,
        refusal: None,
        source: Source::default(),
        request_id: crate::clock::uuid(),
    }
}

/// What was used and not stored before the last process ended, as far as the trail tells: reads that were allowed
/// are not in it. It is read back to where uses were stored last, or to what must have been.
async fn lost_uses<S: Store>(store: &S) -> Result<Noted, String> {
    let mut lost = Lost::default();
    let mut newest_ms = None;
    let mut from = u64::MAX;
    loop {
        let query = EntryQuery::backwards(from, 500);
        let page = store.entries(&query).await.map_err(|e| e.to_string())?;
        for stored in &page.entries {
            let Ok(event) = serde_json::from_slice::<Event>(&stored.record) else { continue };
            // Work of the server itself is no use, and may come long after the last one.
            if event.actor.kind != "System" {
                newest_ms = newest_ms.or(Some(event.at_ms));
            }
            let is_stored =
                newest_ms.is_some_and(|newest| event.at_ms < newest - USES_STORED_WITHIN_MS);
            if is_stored || lost.take(&event) {
                return Ok(lost.noted());
            }
        }
        match page.next {
            Some(next) => from = next,
            None => return Ok(lost.noted()),
        }
    }
}

/// The position that the next entry gets.
async fn next_position<S: Store>(store: &S) -> Result<u64, StoreError> {
    let page = store.entries(&EntryQuery::backwards(u64::MAX, 1)).await?;
    match page.entries.first() {
        Some(newest) => Ok(newest.position.saturating_add(1)),
        None => store.first_entry().await,
    }
}

/// What is stored of a call.
pub fn entry(event: &Event, changes: &[Change]) -> Option<Entry> {
    // Most events fit, so that what is written does not move while it grows.
    let mut record = Vec::with_capacity(2_048);
    serde_json::to_writer(&mut record, event).ok()?;
    Some(Entry { record, terms: terms(event), changes: row_changes(changes)? })
}

/// Changes as the store takes them.
pub fn row_changes(changes: &[Change]) -> Option<Vec<store::RowChange>> {
    changes.iter().map(row_change).collect()
}

fn row_change(change: &Change) -> Option<store::RowChange> {
    let (table, key, value) = change.encode().ok()?;
    Some(store::RowChange { table, key, value })
}

/// Stores the first rows of a new installation.
///
/// Errors: what the store says.
pub async fn install<S: Store>(store: &S, changes: &[Change], event: &Event) -> Result<(), String> {
    let entry = entry(event, changes).ok_or("a row was not written")?;
    store.commit(0, &[entry]).await.map(drop).map_err(|e| e.to_string())
}
