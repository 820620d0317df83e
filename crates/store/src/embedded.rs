//! The embedded engine: one redb file in the data directory, one transaction a commit.
//!
//! Quick repair is on (open after a kill takes milliseconds) and with it two-phase commit. redb
//! reports some damage by panicking; every call into it is guarded so that such a panic becomes
//! [`StoreError::Damaged`] and stops the writes. Knows no group commit: the caller batches.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, WriteTransaction,
};

use crate::codec::{Head, carried_sum, row_key, seal, seal_batch, unseal};
use crate::log::{self, ENTRIES, INDEX, Tail};
use crate::memory::refuse_changes;
use crate::{
    CommitError, Entry, EntryQuery, LastCommit, Page, Revision, Row, SEGMENT, Store, StoreError,
    batch_id, logged,
};

/// The name of the store's file inside its directory.
pub const FILE_NAME: &str = "linkrole.redb";

pub(crate) const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");
pub(crate) const HEAD: TableDefinition<'static, u8, &[u8]> = TableDefinition::new("head");

const CACHE_BYTES: usize = 64 << 20;

/// A store in one file.
#[derive(Debug)]
pub struct Embedded {
    /// `None` only while dropping.
    database: Option<Database>,
    /// Set by the first failed write; no write is tried again after it.
    stopped: AtomicBool,
    /// The terms of the newest entries, as far as they are stored.
    tail: Mutex<Tail>,
    /// Held by who writes: the tail grows in the order of the commits.
    writing: Mutex<()>,
}

impl Embedded {
    /// Creates a store in `directory` (made if missing, mode 0700), with a file of mode 0600.
    ///
    /// The file appears under its name only when it is complete and synced.
    ///
    /// Errors: `AlreadyInitialised`, `InUse`, `Io`.
    pub fn create(directory: &Path) -> Result<Self, StoreError> {
        let file = directory.join(FILE_NAME);
        make_directory(directory)?;
        if file.try_exists().map_err(|error| io_at(&file, &error))? {
            return Err(StoreError::AlreadyInitialised { place: file.display().to_string() });
        }
        let fresh = directory.join(format!("{FILE_NAME}.new"));
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io_at(&fresh, &error));
            }
            _ => {}
        }
        make_file(&fresh)?;
        drop(Self::create_on(file_backend(&fresh)?)?);
        // A hard link fails where a rename would overwrite a store made in the meantime.
        std::fs::hard_link(&fresh, &file).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                StoreError::AlreadyInitialised { place: file.display().to_string() }
            }
            _ => io_at(&file, &error),
        })?;
        std::fs::remove_file(&fresh).map_err(|error| io_at(&fresh, &error))?;
        let opened = std::fs::File::open(directory).map_err(|error| io_at(directory, &error))?;
        opened.sync_all().map_err(|error| io_at(directory, &error))?;
        Self::open(directory)
    }

    /// Opens the store in `directory`; a file mode wider than 0600 is narrowed.
    ///
    /// Errors: `NotInitialised`, `InUse`, `Format`, `Damaged`, `Io`.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let file = directory.join(FILE_NAME);
        let place = file.display().to_string();
        let length = match std::fs::metadata(&file) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::NotInitialised { place });
            }
            Err(error) => return Err(io_at(&file, &error)),
        };
        if length == 0 {
            return Err(StoreError::Damaged(format!("`{place}` is empty")));
        }
        narrow_mode(&file)?;
        check_header(&file)?;
        guard(|| {
            let database = builder().open(&file).map_err(|error| open_error(&place, &error))?;
            Self::adopt(database)
        })
    }

    /// Creates a store on a backend of the caller's, which must be empty.
    pub fn create_on(backend: impl StorageBackend) -> Result<Self, StoreError> {
        Self::create_with_segments(backend, SEGMENT)
    }

    /// Creates a store as [`Embedded::create_on`] does, with so many entries in a segment of its
    /// index: few, for tests of what happens when one is whole.
    pub fn create_with_segments(
        backend: impl StorageBackend,
        segment: u64,
    ) -> Result<Self, StoreError> {
        guard(|| {
            let database = builder()
                .create_with_backend(backend)
                .map_err(|error| open_error("the backend", &error))?;
            let mut transaction = database.begin_write().map_err(failed)?;
            durable(&mut transaction)?;
            {
                transaction.open_table(ROWS).map_err(failed)?;
                transaction.open_table(ENTRIES).map_err(failed)?;
                transaction.open_table(INDEX).map_err(failed)?;
                let mut head = transaction.open_table(HEAD).map_err(failed)?;
                if head.get(0).map_err(failed)?.is_some() {
                    let place = "the backend".to_owned();
                    return Err(StoreError::AlreadyInitialised { place });
                }
                let first = Head { segment: segment.max(1), ..Head::default() };
                head.insert(0, first.encode().as_slice()).map_err(failed)?;
            }
            transaction.commit().map_err(failed)?;
            Self::adopt(database)
        })
    }

    /// Opens the store on a backend of the caller's.
    pub fn open_on(backend: impl StorageBackend) -> Result<Self, StoreError> {
        guard(|| {
            if backend.len().map_err(failed)? == 0 {
                return Err(StoreError::NotInitialised { place: "the backend".to_owned() });
            }
            let mut header = [0; HEADER_LEN as usize];
            backend.read(0, &mut header).map_err(failed)?;
            check_header_bytes(&header)?;
            let database = builder()
                .create_with_backend(backend)
                .map_err(|error| open_error("the backend", &error))?;
            Self::adopt(database)
        })
    }

    /// Takes a database over, once its head can be read.
    fn adopt(database: Database) -> Result<Self, StoreError> {
        let store = Self {
            database: Some(database),
            stopped: AtomicBool::new(false),
            tail: Mutex::default(),
            writing: Mutex::default(),
        };
        let head = store.head()?;
        let transaction = store.database()?.begin_read().map_err(failed)?;
        let entries = transaction.open_table(ENTRIES).map_err(failed)?;
        *store.tail() = Tail::load(&head, &entries)?;
        Ok(store)
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        // A panic in between stops the writes; what was stored before is still right.
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or(StoreError::Stopped)
    }

    fn head(&self) -> Result<Head, StoreError> {
        let transaction = self.database()?.begin_read().map_err(failed)?;
        let table = match transaction.open_table(HEAD) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => {
                return Err(StoreError::Damaged("it has no head".to_owned()));
            }
            Err(error) => return Err(failed(error)),
        };
        read_head(&table)
    }

    /// Writes one batch in one transaction. `after` is `None` for recorded events.
    fn append(&self, after: Option<Revision>, batch: &[Entry]) -> Result<Revision, CommitError> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(StoreError::Stopped.into());
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let written = catch_unwind(AssertUnwindSafe(|| self.append_unguarded(after, batch)))
            .unwrap_or_else(|_| Err(panicked().into()));
        if matches!(written, Err(CommitError::Failed(_))) {
            self.stopped.store(true, Ordering::Release);
        }
        written
    }

    fn append_unguarded(
        &self,
        after: Option<Revision>,
        batch: &[Entry],
    ) -> Result<Revision, CommitError> {
        let mut transaction = self.database()?.begin_write().map_err(failed)?;
        durable(&mut transaction)?;
        let mut head = read_head(&transaction.open_table(HEAD).map_err(failed)?)?;
        let last = head.last.revision;
        if let Some(after) = after {
            if after != last {
                transaction.abort().map_err(failed)?;
                return Err(CommitError::Conflict { last });
            }
            head.last = LastCommit { revision: last + 1, batch: batch_id(after, batch) };
        }
        {
            let mut rows = transaction.open_table(ROWS).map_err(failed)?;
            for change in batch.iter().flat_map(|entry| &entry.changes) {
                let key = row_key(change.table, &change.key);
                let old = match &change.value {
                    Some(value) => {
                        let stored = seal(&key, value);
                        head.rows = head.rows.wrapping_add(1);
                        head.digest = head.digest.wrapping_add(carried_sum(&stored));
                        rows.insert(key.as_slice(), stored.as_slice()).map_err(failed)?
                    }
                    None => rows.remove(key.as_slice()).map_err(failed)?,
                };
                if let Some(old) = old {
                    head.rows = head.rows.wrapping_sub(1);
                    head.digest = head.digest.wrapping_sub(carried_sum(old.value()));
                }
            }
        }
        let position = head.next_position;
        let logged = logged(batch);
        if !logged.is_empty() {
            let mut entries = transaction.open_table(ENTRIES).map_err(failed)?;
            for chunk in logged.chunks(log::CHUNK) {
                let at = head.next_position;
                let stored = seal_batch(at, head.last.revision, chunk);
                let old = entries.insert(at, stored.as_slice()).map_err(failed)?;
                if old.is_some() {
                    return Err(StoreError::Damaged(format!("position {at} was taken")).into());
                }
                head.next_position += chunk.len() as u64;
            }
            self.write_buckets(&transaction, &mut head)?;
        }
        write_head(&transaction, &head)?;
        transaction.commit().map_err(failed)?;
        let mut tail = self.tail();
        tail.drop_written(&head);
        for (position, entry) in (position..).zip(logged.iter()) {
            tail.add(&head, position, &entry.terms);
        }
        Ok(head.last.revision)
    }

    /// Writes what is due of the index over segments that are whole.
    fn write_buckets(
        &self,
        transaction: &WriteTransaction,
        head: &mut Head,
    ) -> Result<(), StoreError> {
        let due = self.tail().due(head, log::buckets_due(head));
        if due.is_empty() {
            return Ok(());
        }
        let mut index = transaction.open_table(INDEX).map_err(failed)?;
        for ((segment, number), bucket) in due {
            let stored = seal(&log::bucket_key(segment, number), &bucket);
            index.insert((segment, number), stored.as_slice()).map_err(failed)?;
            head.indexed += 1;
        }
        Ok(())
    }

    fn load_unguarded(&self, each: &mut (dyn FnMut(Row) + Send)) -> Result<Revision, StoreError> {
        let transaction = self.database()?.begin_read().map_err(failed)?;
        let head = read_head(&transaction.open_table(HEAD).map_err(failed)?)?;
        let table = transaction.open_table(ROWS).map_err(failed)?;
        check_rows(&table, &head, each)?;
        Ok(head.last.revision)
    }

    fn entries_unguarded(&self, query: &EntryQuery) -> Result<Page, StoreError> {
        // Before the tables are opened: what is sealed in between is then found in one of them.
        let known = self.tail().places(&query.terms);
        let transaction = self.database()?.begin_read().map_err(failed)?;
        let head = read_head(&transaction.open_table(HEAD).map_err(failed)?)?;
        let entries = transaction.open_table(ENTRIES).map_err(failed)?;
        if query.terms.is_empty() {
            return log::by_position(&head, &entries, query);
        }
        let index = transaction.open_table(INDEX).map_err(failed)?;
        log::by_terms(&head, &entries, &index, query, &known)
    }

    fn forget_unguarded(&self, before: u64) -> Result<u64, StoreError> {
        let mut transaction = self.database()?.begin_write().map_err(failed)?;
        durable(&mut transaction)?;
        let mut head = read_head(&transaction.open_table(HEAD).map_err(failed)?)?;
        let whole = head.segment_of(before.min(head.next_position));
        let keep_from = head.start_of(whole);
        if keep_from <= head.first_position {
            transaction.abort().map_err(failed)?;
            return Ok(head.first_position);
        }
        {
            let mut entries = transaction.open_table(ENTRIES).map_err(failed)?;
            // A batch that reaches beyond the segment stays whole, unread up to there.
            let first = match keep_from < head.next_position {
                true => log::batch_start(&entries, keep_from)?.unwrap_or(keep_from),
                false => keep_from,
            };
            entries.retain_in(..first, |_, _| false).map_err(failed)?;
            let mut index = transaction.open_table(INDEX).map_err(failed)?;
            index.retain_in(..(whole, 0), |_, _| false).map_err(failed)?;
        }
        head.first_position = keep_from;
        // Nobody asks for what is gone.
        head.indexed = head.indexed.max(Head::bucket_of(whole));
        write_head(&transaction, &head)?;
        transaction.commit().map_err(failed)?;
        self.tail().drop_written(&head);
        Ok(keep_from)
    }
}

impl Drop for Embedded {
    /// Closes the file; a panic of redb over a damaged one ends here.
    fn drop(&mut self) {
        let database = self.database.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

impl Store for Embedded {
    async fn load(&self, each: &mut (dyn FnMut(Row) + Send)) -> Result<Revision, StoreError> {
        guard(|| self.load_unguarded(each))
    }

    async fn commit(&self, after: Revision, batch: &[Entry]) -> Result<Revision, CommitError> {
        self.append(Some(after), batch)
    }

    async fn record(&self, events: &[Entry]) -> Result<(), StoreError> {
        refuse_changes(events)?;
        match self.append(None, events) {
            Ok(_) => Ok(()),
            Err(CommitError::Failed(error)) => Err(error),
            Err(CommitError::Conflict { .. }) => Err(StoreError::Stopped),
        }
    }

    async fn entries(&self, query: &EntryQuery) -> Result<Page, StoreError> {
        guard(|| self.entries_unguarded(query))
    }

    async fn forget(&self, before: u64) -> Result<u64, StoreError> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(StoreError::Stopped);
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let done = guard(|| self.forget_unguarded(before));
        if done.is_err() {
            self.stopped.store(true, Ordering::Release);
        }
        done
    }

    async fn first_entry(&self) -> Result<u64, StoreError> {
        guard(|| self.head()).map(|head| head.first_position)
    }

    async fn last_commit(&self) -> Result<LastCommit, StoreError> {
        guard(|| self.head()).map(|head| head.last)
    }
}

/// Hands every row to `each` and checks each one, their number and their digest against the head.
pub(crate) fn check_rows(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    head: &Head,
    each: &mut (dyn FnMut(Row) + Send),
) -> Result<(), StoreError> {
    let (mut rows, mut digest) = (0_u64, 0_u64);
    for row in table.iter().map_err(failed)? {
        let (key, stored) = row.map_err(failed)?;
        let key = key.value();
        let (sum, value) = unseal(key, stored.value(), "a row")?;
        let Some((table, own)) = key.split_first() else {
            return Err(StoreError::Damaged("a row has no table".to_owned()));
        };
        rows += 1;
        digest = digest.wrapping_add(sum);
        each(Row { table: *table, key: own.to_vec(), value: value.to_vec() });
    }
    if (rows, digest) != (head.rows, head.digest) {
        return Err(StoreError::Damaged(format!(
            "its {rows} rows are not the {} its head knows",
            head.rows
        )));
    }
    Ok(())
}

pub(crate) fn read_head(table: &impl ReadableTable<u8, &'static [u8]>) -> Result<Head, StoreError> {
    let stored = table.get(0).map_err(failed)?;
    let stored = stored.ok_or_else(|| StoreError::Damaged("it has no head".to_owned()))?;
    Head::decode(stored.value())
}

fn write_head(transaction: &WriteTransaction, head: &Head) -> Result<(), StoreError> {
    let mut table = transaction.open_table(HEAD).map_err(failed)?;
    table.insert(0, head.encode().as_slice()).map_err(failed)?;
    Ok(())
}

fn durable(transaction: &mut WriteTransaction) -> Result<(), StoreError> {
    transaction.set_durability(Durability::Immediate).map_err(failed)?;
    transaction.set_quick_repair(true);
    Ok(())
}

pub(crate) fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Runs `work` and turns a panic of the engine underneath into an error.
pub(crate) fn guard<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> StoreError {
    StoreError::Damaged("the engine found its file inconsistent".to_owned())
}

/// Sorts the errors of redb into damage and failures.
pub(crate) fn failed(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Corrupted(text) => StoreError::Damaged(text),
        other => StoreError::Io(other.to_string()),
    }
}

pub(crate) fn open_error(place: &str, error: &DatabaseError) -> StoreError {
    let place = place.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            StoreError::InUse { place }
        }
        DatabaseError::Storage(redb::StorageError::Corrupted(text)) => {
            StoreError::Damaged(format!("`{place}`: {text}"))
        }
        other => StoreError::Io(format!("`{place}`: {other}")),
    }
}

pub(crate) fn io_at(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Io(format!("`{}`: {error}", path.display()))
}

pub(crate) fn file_backend(path: &Path) -> Result<redb::backends::FileBackend, StoreError> {
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| io_at(path, &error))?;
    let place = path.display().to_string();
    redb::backends::FileBackend::new(file).map_err(|error| open_error(&place, &error))
}

/// Refuses a file that was closed well but points at the older of its two commits.
///
/// One flipped bit of redb's header would do that, and everything behind it would be consistent.
/// After a kill the same picture is legal (a commit that was never answered), so only a clean
/// file is checked. [redb 4.6, header.rs: byte 9 bit 0 primary slot, bit 1 recovery required;
/// slots of 128 bytes from byte 64, transaction id at 104.]
fn check_header(path: &Path) -> Result<(), StoreError> {
    use std::io::Read;
    let mut header = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(HEADER_LEN).read_to_end(&mut header))
        .map_err(|error| io_at(path, &error))?;
    check_header_bytes(&header)
}

/// How much of the file [`check_header_bytes`] reads.
pub(crate) const HEADER_LEN: u64 = 320;

pub(crate) fn check_header_bytes(header: &[u8]) -> Result<(), StoreError> {
    let short = || StoreError::Damaged("its header is too short".to_owned());
    let flags = *header.get(9).ok_or_else(short)?;
    let id = |slot: usize| -> Result<u64, StoreError> {
        let from = 64 + 128 * slot + 104;
        let bytes = header.get(from..from + 8).and_then(|bytes| bytes.first_chunk());
        bytes.map(|bytes| u64::from_le_bytes(*bytes)).ok_or_else(short)
    };
    let primary = usize::from(flags & 1);
    if flags & 2 == 0 && id(primary)? < id(1 - primary)? {
        return Err(StoreError::Damaged("its header points at an older commit".to_owned()));
    }
    Ok(())
}

fn make_directory(directory: &Path) -> Result<(), StoreError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|error| io_at(directory, &error))
}

fn make_file(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| io_at(path, &error))
}

#[cfg(unix)]
fn narrow_mode(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_err(|error| io_at(path, &error))?.permissions().mode();
    if mode & 0o077 != 0 {
        let narrow = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, narrow).map_err(|error| io_at(path, &error))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn narrow_mode(_: &Path) -> Result<(), StoreError> {
    Ok(())
}
