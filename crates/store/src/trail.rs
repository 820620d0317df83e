//! The entries of a stopped server's store, read as the offline check reads them: in order, with what
//! they can be found by, and with the index held against them. Nothing is written.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Database, ReadableDatabase, StorageBackend};

use crate::codec::{Head, Held};
use crate::embedded::{FILE_NAME, HEAD, failed, file_backend, guard, read_head};
use crate::fsck::{FsckReport, check_entries, open_over};
use crate::{StoreError, Term};

/// An entry as it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrailEntry<'a> {
    /// Its place in the log.
    pub position: u64,
    /// The event.
    pub record: &'a [u8],
    /// What the event can be found by.
    pub terms: &'a [Term],
}

/// The log of a store that no process writes.
#[derive(Debug)]
pub struct Trail {
    /// `None` only while dropping.
    database: Option<Database>,
    head: Head,
}

impl Drop for Trail {
    /// Closes the file; a panic of redb over a damaged one ends here.
    fn drop(&mut self) {
        let database = self.database.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

impl Trail {
    /// Opens the store in `directory`.
    ///
    /// Errors: `NotInitialised`, `InUse`, `Format`, `Damaged`, `Io`.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let file = directory.join(FILE_NAME);
        let place = file.display().to_string();
        if !file.try_exists().map_err(|error| StoreError::Io(error.to_string()))? {
            return Err(StoreError::NotInitialised { place });
        }
        Self::open_on(&place, file_backend(&file)?)
    }

    fn open_on(place: &str, backend: impl StorageBackend) -> Result<Self, StoreError> {
        guard(|| {
            let database = open_over(place, backend)?;
            let transaction = database.begin_read().map_err(failed)?;
            let head = read_head(&transaction.open_table(HEAD).map_err(failed)?)?;
            Ok(Self { database: Some(database), head })
        })
    }

    /// The position of the first entry that was not forgotten.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.head.first_position
    }

    /// The position that the next entry would get.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.head.next_position
    }

    /// Hands every entry to `each`, in order, until that has enough. Answers what is wrong with the
    /// entries or with the index over them, as far as it was read.
    ///
    /// Errors: `Io`; damage is in the answer.
    pub fn read(
        &self,
        each: &mut dyn FnMut(TrailEntry<'_>) -> bool,
    ) -> Result<Vec<String>, StoreError> {
        let mut report = FsckReport::default();
        let read = guard(|| {
            let database = self.database.as_ref().ok_or(StoreError::Stopped)?;
            let transaction = database.begin_read().map_err(failed)?;
            check_entries(&transaction, &self.head, &mut report, &mut |held| {
                let Held { position, record, terms, .. } = held;
                each(TrailEntry { position: *position, record, terms })
            })
        });
        match read {
            Ok(()) => {}
            Err(StoreError::Damaged(text)) => report.problems.push(text),
            Err(other) => return Err(other),
        }
        Ok(report.problems)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use crate::disk::Disk;
    use crate::{Embedded, Entry, Store};

    #[test]
    fn entries_come_with_their_terms_and_nothing_is_written() {
        let disk = Disk::new();
        let store = Embedded::create_with_segments(disk.clone(), 4).unwrap();
        let named = |n: u8| Entry {
            record: vec![n],
            terms: vec![Term::of("name", [n])],
            ..Entry::default()
        };
        for n in 1..=9 {
            now(store.record(&[named(n)])).unwrap();
        }
        now(store.forget(6)).unwrap();
        drop(store);
        let before = disk.bytes();
        let trail = Trail::open_on("the backend", disk.clone()).unwrap();
        assert_eq!((trail.first(), trail.end()), (5, 10));
        let mut found = Vec::new();
        let problems = trail
            .read(&mut |entry| {
                found.push((entry.position, entry.record.to_vec(), entry.terms.to_vec()));
                true
            })
            .unwrap();
        assert_eq!(problems, Vec::<String>::new());
        let expected = (5..=9_u8).map(|n| (u64::from(n), vec![n], vec![Term::of("name", [n])]));
        assert_eq!(found, expected.collect::<Vec<_>>());
        // Who has enough is asked no more.
        let mut count = 0;
        trail
            .read(&mut |_| {
                count += 1;
                count < 2
            })
            .unwrap();
        assert_eq!(count, 2);
        drop(trail);
        assert_eq!(disk.bytes(), before);
    }

    /// The engine never waits.
    pub fn now<T>(work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match work.as_mut().poll(&mut context) {
            std::task::Poll::Ready(done) => done,
            std::task::Poll::Pending => unreachable!("the engine waits"),
        }
    }
}
