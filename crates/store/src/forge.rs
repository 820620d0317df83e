//! For tests: what somebody who can write a store's file, and knows its form, can make of its log. All checksums
//! are right, so the store itself has nothing to object to. Never used by the server.

use std::collections::BTreeMap;

use redb::{ReadableDatabase, ReadableTable};

use crate::codec::{Head, seal, seal_batch, unseal, unseal_batch};
use crate::disk::Disk;
use crate::embedded::{HEAD, builder, failed, open_error, read_head};
use crate::log::{self, ENTRIES, INDEX, Tail};
use crate::{Entry, StoreError, Term};

/// The log of a store's file, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgery {
    /// The position of the first entry.
    pub first: u64,
    /// The entries: what they say and what they are found by.
    pub entries: Vec<(Vec<u8>, Vec<Term>)>,
    /// The index over them: buckets of whole segments, under the segment's number and the bucket's.
    pub buckets: BTreeMap<(u64, u8), Vec<u8>>,
    segment: u64,
    indexed: u64,
}

impl Forgery {
    /// Takes the log of a file apart.
    pub fn of(bytes: Vec<u8>) -> Result<Self, StoreError> {
        let database = opened(&Disk::holding(bytes))?;
        let transaction = database.begin_read().map_err(failed)?;
        let head = read_head(&transaction.open_table(HEAD).map_err(failed)?)?;
        let (mut entries, mut buckets) = (Vec::new(), BTreeMap::new());
        for batch in transaction.open_table(ENTRIES).map_err(failed)?.iter().map_err(failed)? {
            let (start, stored) = batch.map_err(failed)?;
            let found = unseal_batch(start.value(), stored.value())?;
            let found = found.into_iter().filter(|entry| entry.position >= head.first_position);
            entries.extend(found.map(|entry| (entry.record, entry.terms)));
        }
        for bucket in transaction.open_table(INDEX).map_err(failed)?.iter().map_err(failed)? {
            let (key, stored) = bucket.map_err(failed)?;
            let (segment, number) = key.value();
            let (_, bucket) = unseal(&log::bucket_key(segment, number), stored.value(), "it")?;
            buckets.insert((segment, number), bucket.to_vec());
        }
        let Head { first_position: first, segment, indexed, .. } = head;
        Ok(Self { first, entries, buckets, segment, indexed })
    }

    /// Makes the index what the entries say, of every segment that is whole.
    pub fn index_anew(&mut self) {
        let mut head = Head { segment: self.segment, ..Head::default() };
        let mut tail = Tail::starting_at(&head, self.first);
        let mut made = BTreeMap::new();
        head.next_position = self.first.saturating_add(self.entries.len() as u64);
        for (position, (_, terms)) in (self.first..).zip(&self.entries) {
            tail.add(&head, position, terms);
            let whole = tail.take_whole();
            let buckets = whole.into_iter().flat_map(|(segment, buckets)| {
                (0_u8..=u8::MAX).zip(buckets).map(move |(n, bucket)| ((segment, n), bucket))
            });
            made.extend(buckets);
        }
        self.indexed = Head::bucket_of(tail.first());
        self.buckets = made;
    }

    /// Puts this log in the place of a file's own.
    pub fn onto(&self, bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let disk = Disk::holding(bytes);
        let database = opened(&disk)?;
        let transaction = database.begin_write().map_err(failed)?;
        {
            let mut table = transaction.open_table(HEAD).map_err(failed)?;
            let mut head = read_head(&table)?;
            head.first_position = self.first;
            head.next_position = self.first.saturating_add(self.entries.len() as u64);
            head.indexed = self.indexed;
            table.insert(0, head.encode().as_slice()).map_err(failed)?;
            let mut table = transaction.open_table(ENTRIES).map_err(failed)?;
            table.retain(|_, _| false).map_err(failed)?;
            for (position, (record, terms)) in (self.first..).zip(&self.entries) {
                let (record, terms) = (record.clone(), terms.clone());
                let entry = Entry { record, terms, ..Entry::default() };
                let stored = seal_batch(position, head.last.revision, &[entry]);
                table.insert(position, stored.as_slice()).map_err(failed)?;
            }
            let mut table = transaction.open_table(INDEX).map_err(failed)?;
            table.retain(|_, _| false).map_err(failed)?;
            for ((segment, number), bucket) in &self.buckets {
                let stored = seal(&log::bucket_key(*segment, *number), bucket);
                table.insert((*segment, *number), stored.as_slice()).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)?;
        drop(database);
        Ok(disk.bytes())
    }
}

fn opened(disk: &Disk) -> Result<redb::Database, StoreError> {
    let made = builder().create_with_backend(disk.clone());
    made.map_err(|error| open_error("the backend", &error))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use crate::trail::tests::now;
    use crate::{Embedded, EntryQuery, Store, fsck_backend};

    #[test]
    fn a_log_that_is_put_back_is_sound_and_a_forged_one_has_right_checksums() {
        let disk = Disk::new();
        drop(Embedded::create_with_segments(disk.clone(), 2).unwrap());
        let mut log = Forgery::of(disk.bytes()).unwrap();
        assert_eq!(log.entries, Vec::new());
        log.entries = (0..5).map(|n| (vec![n], vec![Term::of("name", [n])])).collect();
        log.index_anew();
        assert_eq!(log.buckets.len(), 2 * 256);
        let bytes = log.onto(disk.bytes()).unwrap();
        assert_eq!(Forgery::of(bytes.clone()).unwrap(), log);
        let report = fsck_backend(Disk::holding(bytes)).unwrap();
        assert_eq!((report.problems, report.entries), (Vec::new(), 5));
    }

    #[test]
    fn no_entry_waits_for_the_index_over_a_whole_segment() {
        const SEGMENT: u64 = 64;
        let disk = Disk::new();
        let mut store = Embedded::create_with_segments(disk.clone(), SEGMENT).unwrap();

        let mut before = 0;
        for n in 0..200_u64 {
            let terms = vec![Term::of("n", n.to_string()), Term::of("all", "")];
            now(store.record(&[Entry { record: vec![1], terms, ..Entry::default() }])).unwrap();
            let log = Forgery::of(disk.bytes()).unwrap();
            let written = log.buckets.len() as u64;
            assert!(written <= before + 16, "entry {n} wrote {} buckets", written - before);
            before = written;
            // A segment is written by the time that the next is half there.
            let entries = n + 1;
            assert!(written <= entries / SEGMENT * 256);
            assert!(written >= entries.saturating_sub(SEGMENT / 2) / SEGMENT * 256);
            assert_eq!(
                fsck_backend(Disk::holding(disk.bytes())).unwrap().problems,
                Vec::<String>::new()
            );
            if n % 7 == 0 {
                drop(store);
                store = Embedded::open_on(disk.clone()).unwrap();
            }
            for (term, found) in [("all", entries), ("n", 1)] {
                let value = if term == "n" { (n / 2).to_string() } else { String::new() };
                let terms = vec![Term::of(term, value)];
                let query = EntryQuery { terms, ..EntryQuery::forwards(1, 1_000) };
                let page = now(store.entries(&query)).unwrap();
                assert_eq!(page.entries.len() as u64, found, "{term} after {entries}");
            }
        }
    }
}
