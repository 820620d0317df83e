//! Entries of the embedded engine, read by position and by terms; the terms of the newest ones.

use redb::{ReadableTable, TableDefinition};

use crate::codec::{Head, unseal, unseal_batch};
use crate::embedded::failed;
use crate::index::{Postings, common, places_in};
use crate::{Entry, EntryQuery, Page, StoreError, StoredEntry, Term};

/// Batches of entries under the position of their first.
pub(crate) const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("entries");
/// Buckets of whole segments, under the segment's number and the bucket's.
pub(crate) const INDEX: TableDefinition<'static, (u64, u8), &[u8]> = TableDefinition::new("index");

/// How many entries of a batch stand under one checksum: who reads one of them, reads these.
pub(crate) const CHUNK: usize = 32;
/// How many segments one look-up reads at most; then it says where to go on.
const LOOKED_AT: u64 = 1_024;

/// The terms of the segment that is not whole yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    segment: u64,
    postings: Postings,
}

impl Tail {
    /// The terms of the stored entries behind the last whole segment.
    pub fn load(
        head: &Head,
        entries: &impl ReadableTable<u64, &'static [u8]>,
    ) -> Result<Self, StoreError> {
        let mut tail = Self::starting_at(head, head.next_position);
        let from = head.start_of(tail.segment);
        let first = batch_start(entries, from)?.unwrap_or(from);
        for batch in entries.range(first..).map_err(failed)? {
            let (start, stored) = batch.map_err(failed)?;
            for entry in unseal_batch(start.value(), stored.value())? {
                if entry.position >= from {
                    tail.add(head, entry.position, &entry.terms);
                }
            }
        }
        Ok(tail)
    }

    /// Nothing yet, of the segment that a position is in.
    pub fn starting_at(head: &Head, position: u64) -> Self {
        Self { segment: head.segment_of(position), postings: Postings::default() }
    }

    fn add(&mut self, head: &Head, position: u64, terms: &[Term]) {
        self.postings.add(place(head, position), terms);
    }

    /// Whether entries up to `next`, which is not there yet, make the segment whole.
    pub fn is_whole_before(&self, head: &Head, next: u64) -> bool {
        head.segment_of(next) > self.segment
    }

    /// Adds a batch that starts at `position`; hands every segment that is whole then to `write`.
    pub fn grow(
        &mut self,
        head: &Head,
        position: u64,
        batch: &[Entry],
        mut write: impl FnMut(u64, Vec<Vec<u8>>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut next = position;
        for entry in batch {
            self.add(head, next, &entry.terms);
            next += 1;
            if self.is_whole_before(head, next) {
                let whole = std::mem::take(&mut self.postings);
                write(self.segment, whole.buckets())?;
                self.segment = head.segment_of(next);
            }
        }
        Ok(())
    }

    /// What the tail knows of terms, and of which segment.
    pub fn places(&self, terms: &[Term]) -> (u64, Vec<u32>) {
        (self.segment, self.postings.places(terms))
    }
}

/// Where an entry stands in its segment.
fn place(head: &Head, position: u64) -> u32 {
    let start = head.start_of(head.segment_of(position));
    u32::try_from(position.saturating_sub(start)).unwrap_or(u32::MAX)
}

/// The key under which a bucket's checksum is made.
pub(crate) fn bucket_key(segment: u64, bucket: u8) -> Vec<u8> {
    [b"index".as_slice(), &segment.to_be_bytes(), &[bucket]].concat()
}

/// The position of the first entry of the batch that holds a position.
pub(crate) fn batch_start(
    entries: &impl ReadableTable<u64, &'static [u8]>,
    position: u64,
) -> Result<Option<u64>, StoreError> {
    let found = entries.range(..=position).map_err(failed)?.next_back();
    Ok(found.transpose().map_err(failed)?.map(|(start, _)| start.value()))
}

/// The positions that a query is about: lowest, highest. Empty if the lowest is the higher one.
fn bounds(head: &Head, query: &EntryQuery) -> (u64, u64) {
    let newest = head.next_position.saturating_sub(1);
    let (low, high) = if query.backwards { (query.to, query.from) } else { (query.from, query.to) };
    (low.max(head.first_position), high.min(newest))
}

/// Entries in a run of positions.
pub(crate) fn by_position(
    head: &Head,
    entries: &impl ReadableTable<u64, &'static [u8]>,
    query: &EntryQuery,
) -> Result<Page, StoreError> {
    let (low, high) = bounds(head, query);
    let limit = query.limit.max(1);
    let mut wanted = if query.backwards { high } else { low };
    let mut page = Page::default();
    while (low..=high).contains(&wanted) {
        if page.entries.len() == limit {
            page.next = Some(wanted);
            break;
        }
        let mut batch = batch_with(entries, wanted)?;
        batch.retain(|entry| {
            let on_the_way =
                if query.backwards { entry.position <= wanted } else { entry.position >= wanted };
            on_the_way && (low..=high).contains(&entry.position)
        });
        if query.backwards {
            batch.reverse();
        }
        batch.truncate(limit - page.entries.len());
        let last = batch.last().map_or(wanted, |entry| entry.position);
        wanted = if query.backwards { last - 1 } else { last + 1 };
        page.entries.append(&mut batch);
    }
    Ok(page)
}

/// Entries that bear all the terms of a query. `known` is what the tail knew before the tables
/// were opened: what was sealed since is in both.
pub(crate) fn by_terms(
    head: &Head,
    entries: &impl ReadableTable<u64, &'static [u8]>,
    index: &impl ReadableTable<(u64, u8), &'static [u8]>,
    query: &EntryQuery,
    known: &(u64, Vec<u32>),
) -> Result<Page, StoreError> {
    let (low, high) = bounds(head, query);
    let mut page = Page::default();
    if low > high {
        return Ok(page);
    }
    let limit = query.limit.max(1);
    let (mut segment, last) = match query.backwards {
        true => (head.segment_of(high), head.segment_of(low)),
        false => (head.segment_of(low), head.segment_of(high)),
    };
    let mut batch: Vec<StoredEntry> = Vec::new();
    for looked_at in 1.. {
        let mut places = match segment.cmp(&known.0) {
            std::cmp::Ordering::Less => places_of(index, segment, &query.terms)?,
            std::cmp::Ordering::Equal => known.1.clone(),
            // Written after the look-up began.
            std::cmp::Ordering::Greater => Vec::new(),
        };
        if query.backwards {
            places.reverse();
        }
        let start = head.start_of(segment);
        let found = places.into_iter().map(|place| start + u64::from(place));
        for position in found.filter(|position| (low..=high).contains(position)) {
            if page.entries.len() == limit {
                page.next = Some(position);
                return Ok(page);
            }
            if !batch.iter().any(|entry| entry.position == position) {
                batch = batch_with(entries, position)?;
            }
            page.entries.extend(batch.iter().find(|entry| entry.position == position).cloned());
        }
        if segment == last {
            break;
        }
        if looked_at == LOOKED_AT {
            let beyond = if query.backwards { start - 1 } else { start + head.segment };
            page.next = Some(beyond);
            break;
        }
        segment = if query.backwards { segment - 1 } else { segment + 1 };
    }
    Ok(page)
}

/// The places in a whole segment of the entries that bear all of `terms`.
fn places_of(
    index: &impl ReadableTable<(u64, u8), &'static [u8]>,
    segment: u64,
    terms: &[Term],
) -> Result<Vec<u32>, StoreError> {
    let mut all: Option<Vec<u32>> = None;
    for term in terms {
        let number = term.bucket();
        let what = || format!("bucket {number} of segment {segment} of the index over entries");
        let stored = index.get((segment, number)).map_err(failed)?;
        let stored = stored.ok_or_else(|| StoreError::Damaged(format!("{} is missing", what())))?;
        let (_, bucket) = unseal(&bucket_key(segment, number), stored.value(), &what())?;
        let found = places_in(bucket, *term)?;
        let both = match all {
            Some(before) => common(&before, &found),
            None => found,
        };
        if both.is_empty() {
            return Ok(both);
        }
        all = Some(both);
    }
    Ok(all.unwrap_or_default())
}

/// The entries of the batch that holds `wanted`: the last one that starts at or before it.
fn batch_with(
    entries: &impl ReadableTable<u64, &'static [u8]>,
    wanted: u64,
) -> Result<Vec<StoredEntry>, StoreError> {
    let gap = || StoreError::Damaged(format!("the entry at position {wanted} is missing"));
    let found = entries.range(..=wanted).map_err(failed)?.next_back();
    let (start, stored) = found.transpose().map_err(failed)?.ok_or_else(gap)?;
    let batch = unseal_batch(start.value(), stored.value())?;
    if !batch.iter().any(|entry| entry.position == wanted) {
        return Err(gap());
    }
    Ok(batch.iter().map(crate::codec::Held::entry).collect())
}
