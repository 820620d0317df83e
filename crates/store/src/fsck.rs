//! The offline check of a store file: everything that can be checked, nothing changed.
//!
//! The check of redb wants to write; its writes go to an overlay in memory that is thrown away.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Mutex;

use redb::{BackendError, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageBackend};

use crate::codec::{Head, Held, seal, unseal_batch};
use crate::embedded::{
    FILE_NAME, HEAD, HEADER_LEN, ROWS, builder, check_header_bytes, check_rows, failed,
    file_backend, guard, open_error, read_head,
};
use crate::log::{self, ENTRIES, INDEX, Tail};
use crate::{Revision, StoreError};

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FsckReport {
    /// The revision of the last commit.
    pub revision: Revision,
    /// The number of rows that were read.
    pub rows: u64,
    /// The number of entries that were read.
    pub entries: u64,
    /// What is wrong, in words; empty when the store is sound.
    pub problems: Vec<String>,
}

impl FsckReport {
    /// True when nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Checks the store in `directory`: the file's own integrity, each checksum, the rows against the
/// head, the entries for gaps, and the index against the entries. The file is not changed; no other process may have it open.
///
/// Errors: `NotInitialised`, `InUse`, `Io`, `Format`; damage is in the report.
pub fn fsck(directory: &Path) -> Result<FsckReport, StoreError> {
    let file = directory.join(FILE_NAME);
    if !file.try_exists().map_err(|error| StoreError::Io(error.to_string()))? {
        return Err(StoreError::NotInitialised { place: file.display().to_string() });
    }
    check(&file.display().to_string(), file_backend(&file)?)
}

/// Checks the store on a backend of the caller's; see [`fsck`].
pub fn fsck_backend(backend: impl StorageBackend) -> Result<FsckReport, StoreError> {
    check("the backend", backend)
}

fn check(place: &str, backend: impl StorageBackend) -> Result<FsckReport, StoreError> {
    let mut report = FsckReport::default();
    match guard(|| check_unguarded(place, backend, &mut report)) {
        Ok(()) => {}
        Err(StoreError::Damaged(text)) => report.problems.push(text),
        Err(other) => return Err(other),
    }
    Ok(report)
}

fn check_unguarded(
    place: &str,
    backend: impl StorageBackend,
    report: &mut FsckReport,
) -> Result<(), StoreError> {
    let mut database = open_over(place, backend)?;
    if !database.check_integrity().map_err(|error| open_error(place, &error))? {
        report.problems.push("the engine's own check had to repair the file".to_owned());
    }
    let transaction = database.begin_read().map_err(failed)?;
    let head = read_head(&transaction.open_table(HEAD).map_err(failed)?)?;
    report.revision = head.last.revision;
    let rows = transaction.open_table(ROWS).map_err(failed)?;
    let mut count = 0;
    let checked = check_rows(&rows, &head, &mut |_| count += 1);
    report.rows = count;
    note(report, checked)?;
    check_entries(&transaction, &head, report, &mut |_| true)
}

/// Opens a store that is only read: what redb writes, to repair it, goes to an overlay in memory.
pub(crate) fn open_over(
    place: &str,
    backend: impl StorageBackend,
) -> Result<redb::Database, StoreError> {
    let mut header = vec![0; usize::try_from(HEADER_LEN).unwrap_or_default()];
    if backend.len().map_err(failed)? < HEADER_LEN {
        return Err(StoreError::Damaged(format!("`{place}` is too short")));
    }
    backend.read(0, &mut header).map_err(failed)?;
    check_header_bytes(&header)?;
    let overlay = Overlay::over(backend)?;
    builder().create_with_backend(overlay).map_err(|error| open_error(place, &error))
}

/// Reads every batch and hands each entry to `each`, until that has enough; the index must say of each whole segment
/// what its entries say.
pub(crate) fn check_entries(
    transaction: &redb::ReadTransaction,
    head: &Head,
    report: &mut FsckReport,
    each: &mut dyn FnMut(&Held) -> bool,
) -> Result<(), StoreError> {
    let entries = transaction.open_table(ENTRIES).map_err(failed)?;
    let index = transaction.open_table(INDEX).map_err(failed)?;
    // The first batch may begin before the first entry that is left.
    let first = log::batch_start(&entries, head.first_position)?;
    let (mut next, mut revision) = (first.unwrap_or(head.first_position), 0);
    let mut tail = Tail::starting_at(head, head.first_position);
    for batch in entries.iter().map_err(failed)? {
        let (start, stored) = batch.map_err(failed)?;
        let start = start.value();
        if start != next {
            report.problems.push(format!("the entries from position {next} are missing"));
        }
        next = start;
        let found = match unseal_batch(start, stored.value()) {
            Ok(found) => found,
            Err(error) => {
                note(report, Err(error))?;
                continue;
            }
        };
        let from = found.first().map_or(revision, |entry| entry.revision);
        if from < revision || from > head.last.revision {
            let text = format!("the revision of the entry at position {start} is wrong");
            report.problems.push(text);
        }
        revision = from;
        next = start.saturating_add(found.len() as u64);
        for entry in found.iter().filter(|entry| entry.position >= head.first_position) {
            report.entries += 1;
            if !each(entry) {
                return Ok(());
            }
            tail.add(head, entry.position, &entry.terms);
            if let Some((segment, buckets)) = tail.take_whole() {
                check_segment(&index, head, segment, &buckets, report)?;
            }
        }
    }
    if next != head.next_position {
        let text = format!("the log ends before position {next}, not {}", head.next_position);
        report.problems.push(text);
    }
    let (first, next) = (head.segment_of(head.first_position), head.segment_of(head.next_position));
    if !(Head::bucket_of(first)..=Head::bucket_of(next)).contains(&head.indexed) {
        let text = format!("{} buckets of the index cannot be written yet", head.indexed);
        report.problems.push(text);
    }
    let found = index.len().map_err(failed)?;
    let written = head.indexed.saturating_sub(Head::bucket_of(first));
    if found != written {
        report.problems.push(format!("the index has {found} buckets, not {written}"));
    }
    Ok(())
}

/// Holds the buckets of a segment, as far as they are written, against what its entries say.
fn check_segment(
    index: &impl ReadableTable<(u64, u8), &'static [u8]>,
    head: &Head,
    segment: u64,
    buckets: &[Vec<u8>],
    report: &mut FsckReport,
) -> Result<(), StoreError> {
    let written = (0..=u8::MAX).take_while(|number| (segment, *number) < head.next_bucket());
    for (number, bucket) in written.zip(buckets) {
        let stored = index.get((segment, number)).map_err(failed)?;
        let wanted = seal(&log::bucket_key(segment, number), bucket);
        if stored.is_none_or(|stored| stored.value() != wanted) {
            report.problems.push(format!(
                "bucket {number} of segment {segment} of the index over entries is not what the entries say"
            ));
        }
    }
    Ok(())
}

/// Puts damage into the report and lets every other error through.
fn note(report: &mut FsckReport, checked: Result<(), StoreError>) -> Result<(), StoreError> {
    match checked {
        Err(StoreError::Damaged(text)) => {
            report.problems.push(text);
            Ok(())
        }
        other => other,
    }
}

const PAGE: u64 = 4096;

/// A backend whose writes stay in memory, above one that is only read.
#[derive(Debug)]
struct Overlay<B> {
    below: B,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    length: u64,
    /// How much of what is below still shows: less after the file was cut and grew again.
    below_length: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl<B: StorageBackend> Overlay<B> {
    fn over(below: B) -> Result<Self, StoreError> {
        let length = below.len().map_err(failed)?;
        let written = Written { length, below_length: length, pages: BTreeMap::new() };
        Ok(Self { below, written: Mutex::new(written) })
    }

    fn written(&self) -> io::Result<std::sync::MutexGuard<'_, Written>> {
        self.written.lock().map_err(|_| io::Error::other("an earlier call panicked"))
    }

    /// The page at `number`, from the overlay or below.
    fn page(&self, written: &Written, number: u64) -> io::Result<Vec<u8>> {
        if let Some(page) = written.pages.get(&number) {
            return Ok(page.clone());
        }
        let mut page = vec![0; usize::try_from(PAGE).unwrap_or_default()];
        let shown = written.below_length.saturating_sub(number * PAGE).min(PAGE);
        if let Some(part) = page.get_mut(..usize::try_from(shown).unwrap_or_default())
            && !part.is_empty()
        {
            self.below.read(number * PAGE, part)?;
        }
        Ok(page)
    }
}

impl<B: StorageBackend> StorageBackend for Overlay<B> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written()?.length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written()?;
        if offset.saturating_add(out.len() as u64) > written.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut at = offset;
        let mut rest = out;
        while !rest.is_empty() {
            let page = self.page(&written, at / PAGE)?;
            let from = page.get(usize::try_from(at % PAGE).unwrap_or_default()..);
            let from = from.unwrap_or_default();
            let length = from.len().min(rest.len());
            let (now, later) = rest.split_at_mut(length);
            now.iter_mut().zip(from).for_each(|(slot, byte)| *slot = *byte);
            rest = later;
            at += length as u64;
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut written = self.written()?;
        if length < written.length {
            written.below_length = written.below_length.min(length);
            let kept = written.pages.split_off(&length.div_ceil(PAGE));
            drop(kept);
            let last = length / PAGE;
            if let Some(page) = written.pages.get_mut(&last) {
                let used = usize::try_from(length % PAGE).unwrap_or_default();
                page.iter_mut().skip(used).for_each(|byte| *byte = 0);
            }
        }
        written.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written()?;
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let mut page = self.page(&written, at / PAGE)?;
            let slots = page.iter_mut().skip(usize::try_from(at % PAGE).unwrap_or_default());
            let mut length = 0;
            for (slot, byte) in slots.zip(rest) {
                *slot = *byte;
                length += 1;
            }
            written.pages.insert(at / PAGE, page);
            rest = rest.get(length..).unwrap_or_default();
            at += length as u64;
        }
        written.length = written.length.max(at);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.below.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.below.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_shared_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.query_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.unlock_range(start, end)
    }
}
