//! Entries of the embedded engine, read by position and by terms; the terms of the newest ones.

use std::collections::{BTreeMap, VecDeque};

use redb::{ReadableTable, TableDefinition};

use crate::codec::{Head, unseal, unseal_batch};
use crate::embedded::failed;
use crate::index::{BUCKETS, Postings, common, places_in};
use crate::{EntryQuery, Page, StoreError, StoredEntry, Term};

/// Batches of entries under the position of their first.
pub(crate) const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("entries");
/// Buckets of whole segments, under the segment's number and the bucket's.
pub(crate) const INDEX: TableDefinition<'static, (u64, u8), &[u8]> = TableDefinition::new("index");

/// How many entries of a batch stand under one checksum: who reads one of them, reads these.
pub(crate) const CHUNK: usize = 32;
/// How many buckets of the index are written with a batch, at least.
const AT_A_TIME: u64 = 16;
/// How many segments one look-up reads at most; then it says where to go on.
const LOOKED_AT: u64 = 1_024;

/// The terms of the newest segments: of those that are whole and not written yet, and of the one that grows.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// The segment that the first is of.
    first: u64,
    /// One after the other; the last one grows.
    segments: VecDeque<Postings>,
}

/// What a look-up found in memory: places by segments.
pub(crate) type Known = BTreeMap<u64, Vec<u32>>;

impl Tail {
    /// The terms of the stored entries whose segments are not written yet.
    pub fn load(
        head: &Head,
        entries: &impl ReadableTable<u64, &'static [u8]>,
    ) -> Result<Self, StoreError> {
        let (segment, _) = head.next_bucket();
        let from = head.start_of(segment);
        let mut tail = Self::starting_at(head, from);
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

    /// Nothing yet, from the segment on that a position is in.
    pub fn starting_at(head: &Head, position: u64) -> Self {
        Self { first: head.segment_of(position), segments: VecDeque::from([Postings::default()]) }
    }

    /// Adds the terms of an entry, the one after the last. Behind a gap, which only a damaged file has, it begins anew.
    pub fn add(&mut self, head: &Head, position: u64, terms: &[Term]) {
        let segment = head.segment_of(position);
        if segment - self.first.min(segment) + 1 != self.segments.len() as u64 {
            *self = Self::starting_at(head, position);
        }
        if let Some(grows) = self.segments.back_mut() {
            grows.add(place(head, position), terms);
        }
        if head.segment_of(position.saturating_add(1)) > segment {
            self.segments.push_back(Postings::default());
        }
    }

    /// The number of the oldest segment.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The oldest segment, if it is whole: there is another one behind it.
    fn whole(&self) -> Option<&Postings> {
        self.segments.front().filter(|_| self.segments.len() > 1)
    }

    /// The next buckets to write, so many at most, each with its segment and number.
    pub fn due(&self, head: &Head, count: u64) -> Vec<((u64, u8), Vec<u8>)> {
        let mut due = Vec::new();
        let mut at = *head;
        while (due.len() as u64) < count {
            let (segment, number) = at.next_bucket();
            let place =
                segment.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
            let whole = place.filter(|place| place + 1 < self.segments.len());
            let Some(postings) = whole.and_then(|place| self.segments.get(place)) else { break };
            due.push(((segment, number), postings.bucket(number)));
            at.indexed = at.indexed.saturating_add(1);
        }
        due
    }

    /// Forgets segments that are written.
    pub fn drop_written(&mut self, head: &Head) {
        let (segment, _) = head.next_bucket();
        while self.first < segment && self.whole().is_some() {
            self.segments.pop_front();
            self.first += 1;
        }
    }

    /// Takes the oldest segment out, if it is whole: its number and its buckets.
    pub fn take_whole(&mut self) -> Option<(u64, Vec<Vec<u8>>)> {
        let whole = self.whole()?;
        let buckets = (0..=u8::MAX).map(|number| whole.bucket(number)).collect();
        self.segments.pop_front();
        self.first += 1;
        Some((self.first - 1, buckets))
    }

    /// What the tail knows of terms, and of which segments.
    pub fn places(&self, terms: &[Term]) -> Known {
        (self.first..).zip(self.segments.iter().map(|postings| postings.places(terms))).collect()
    }
}

/// How many buckets are to be written now: some at a time, so that no call waits for a whole segment; all of one by the
/// time that the next is half there.
pub(crate) fn buckets_due(head: &Head) -> u64 {
    let grows = head.segment_of(head.next_position);
    let there = head.next_position.saturating_sub(head.start_of(grows));
    let of_last = (there.saturating_mul(2 * BUCKETS as u64) / head.segment).min(BUCKETS as u64);
    let Some(last) = grows.checked_sub(1) else { return 0 };
    let due = (Head::bucket_of(last) + of_last).saturating_sub(head.indexed);
    if due < AT_A_TIME && of_last < BUCKETS as u64 { 0 } else { due }
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
    known: &Known,
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
        let mut places = match known.get(&segment) {
            Some(places) => places.clone(),
            // Written after the look-up began.
            None if known.keys().next().is_none_or(|first| segment > *first) => Vec::new(),
            None => places_of(index, segment, &query.terms)?,
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
    Ok(batch.into_iter().map(StoredEntry::from).collect())
}
