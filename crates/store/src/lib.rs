//! The store seam: rows and entries as opaque bytes, behind one small trait with a written contract.
//!
//! Holds the contract ([`Store`]), its engines and the conformance suite every engine runs. Knows
//! nothing of accounts, roles or events, opens no socket and reads no clock.

use std::borrow::Cow;
use std::future::Future;

use thiserror::Error;

pub mod any;
mod codec;
pub mod disk;
pub mod embedded;
pub mod faults;
pub mod forge;
mod fsck;
mod index;
mod log;
pub mod memory;
pub mod suite;
mod trail;

pub use any::Any;
pub use codec::{BatchId, batch_id};
pub use embedded::Embedded;
pub use fsck::{FsckReport, fsck, fsck_backend};
pub use index::{SEGMENT, Term};
pub use memory::Memory;
pub use trail::{Trail, TrailEntry};

/// The number of commits so far; 0 for a store that never saw one.
pub type Revision = u64;

/// One change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// The table.
    pub table: u8,
    /// The key inside the table; ordered by its bytes.
    pub key: Vec<u8>,
    /// The new value; `None` deletes the row.
    pub value: Option<Vec<u8>>,
}

/// One event and the row changes it made. One without a record changes rows only: it has no place in
/// the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The event; empty for none.
    pub record: Vec<u8>,
    /// What the event can be found by.
    pub terms: Vec<Term>,
    /// The changes, applied in order.
    pub changes: Vec<RowChange>,
}

/// The entries of a batch that have a place in the log.
pub(crate) fn logged(batch: &[Entry]) -> Cow<'_, [Entry]> {
    match batch.iter().any(|entry| entry.record.is_empty()) {
        false => Cow::Borrowed(batch),
        true => batch.iter().filter(|entry| !entry.record.is_empty()).cloned().collect(),
    }
}

/// One row as loaded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The table.
    pub table: u8,
    /// The key inside the table.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// One event as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its place in the log: 1 for the first entry ever, then without gaps.
    pub position: u64,
    /// The revision of the commit it came with; for a recorded event, the last revision before it.
    pub revision: Revision,
    /// The event.
    pub record: Vec<u8>,
}

/// Which entries to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryQuery {
    /// The position to start at, inclusive. Backwards, `u64::MAX` starts at the newest.
    pub from: u64,
    /// The last position to look at, inclusive.
    pub to: u64,
    /// The most entries to answer; 0 counts as 1.
    pub limit: usize,
    /// True to walk from newer to older.
    pub backwards: bool,
    /// Only entries that bear all of these; without any, all entries.
    pub terms: Vec<Term>,
}

impl EntryQuery {
    /// Every entry from a position on.
    #[must_use]
    pub fn forwards(from: u64, limit: usize) -> Self {
        Self { from, to: u64::MAX, limit, backwards: false, terms: Vec::new() }
    }

    /// Every entry from a position back to the first.
    #[must_use]
    pub fn backwards(from: u64, limit: usize) -> Self {
        Self { from, to: 0, limit, backwards: true, terms: Vec::new() }
    }
}

/// A run of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries, in the direction of the query.
    pub entries: Vec<StoredEntry>,
    /// Where to go on; `None` when there is nothing beyond at the moment of reading. A look-up by
    /// terms may answer fewer entries than it was allowed, even none, and a place to go on at.
    pub next: Option<u64>,
}

/// The last commit a store holds, to find out what became of one whose answer was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastCommit {
    /// Its revision.
    pub revision: Revision,
    /// Its id, as [`batch_id`] makes it; all zero before the first commit.
    pub batch: BatchId,
}

/// Why a store could not do what it was asked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    /// There is no store at this place.
    #[error("`{place}` holds no linkrole store; create one with `linkrole init`")]
    NotInitialised {
        /// The directory or file.
        place: String,
    },
    /// There is a store already where one should be created.
    #[error("`{place}` holds a linkrole store already; it was left as it is")]
    AlreadyInitialised {
        /// The file.
        place: String,
    },
    /// Another process has the file open.
    #[error("`{place}` is in use by another linkrole process")]
    InUse {
        /// The file.
        place: String,
    },
    /// The store was written in another format than this program reads.
    #[error("the store has format {found}, this program reads {supported}; use a matching release")]
    Format {
        /// The format found.
        found: u32,
        /// The format this program reads and writes.
        supported: u32,
    },
    /// What was read is not what was written.
    #[error("the store is damaged: {0}; run `linkrole fsck` and restore a backup")]
    Damaged(String),
    /// The disk, or the engine on it, failed.
    #[error("the store failed: {0}")]
    Io(String),
    /// A write after a failure; only a reopened store takes writes again.
    #[error("the store takes no writes since an earlier failure; restart to reload it")]
    Stopped,
    /// The caller broke the contract; nothing was written.
    #[error("the store refused the call: {0}")]
    Refused(&'static str),
}

/// Why a commit did not happen, or may not have.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CommitError {
    /// Somebody committed since; nothing was written.
    #[error("the last revision is {last}, not the expected one")]
    Conflict {
        /// The last revision.
        last: Revision,
    },
    /// The batch is stored whole or not at all, and only a reload tells which.
    #[error(transparent)]
    Failed(#[from] StoreError),
}

/// Where rows and entries survive.
///
/// The contract, which [`suite`] checks on every engine:
/// - **Atomic.** A commit's rows, entries and revision become durable together or not at all,
///   across any crash.
/// - **Durable.** After `Ok` of [`commit`](Store::commit) or [`record`](Store::record) the batch
///   survives the loss of power; `Ok` is never answered before the sync that makes it so.
/// - **Exact conflicts.** A commit whose `after` is the last revision never conflicts; any other
///   `after` always does, and writes nothing.
/// - **One history.** Revisions grow by one a commit. Positions start at 1 and have no gap but for
///   what was forgotten at the beginning. A reader sees whole commits only, and sees each as soon as
///   it was answered.
/// - **Rows alone.** An entry without a record takes no position; its changes are made as any other's.
/// - **Found by its terms.** A look-up by terms answers every entry in its range that bears all of
///   them, and no other.
/// - **Doubt stops.** After `Failed` (but for `Refused`, which wrote nothing) or a failed `record`,
///   the engine refuses every further write with `Stopped`. The owner drops it, opens it again,
///   loads, and compares [`last_commit`](Store::last_commit) with [`batch_id`] of what was in
///   flight.
/// - **Damage is found.** A row or entry that reads back differs from what was written only by
///   being answered as `Damaged`; so does a row that is missing.
///
/// An engine may block the calling thread instead of yielding: call it from a thread of its own.
pub trait Store: Send + Sync + 'static {
    /// Hands every row to `each`, ordered by table and key, and answers the revision they are of.
    fn load(
        &self,
        each: &mut (dyn FnMut(Row) + Send),
    ) -> impl Future<Output = Result<Revision, StoreError>> + Send;

    /// Stores a batch in one transaction, if `after` is the last revision; answers the new one.
    fn commit(
        &self,
        after: Revision,
        batch: &[Entry],
    ) -> impl Future<Output = Result<Revision, CommitError>> + Send;

    /// Appends events that change no row. The revision stays; an event with changes is refused.
    fn record(&self, events: &[Entry]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads entries in order of position.
    fn entries(&self, query: &EntryQuery) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Forgets entries before a position, as many whole segments as lie before it; answers the
    /// position of the first entry that is left. Rows and positions stay as they are.
    fn forget(&self, before: u64) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The position of the first entry that was not forgotten; 1 where none was.
    fn first_entry(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The last commit that is stored.
    fn last_commit(&self) -> impl Future<Output = Result<LastCommit, StoreError>> + Send;
}
