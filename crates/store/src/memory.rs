//! An engine in memory, for the `dev` command and for tests. It survives nothing but a clone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::{
    CommitError, Entry, EntryQuery, LastCommit, Page, Revision, Row, Store, StoreError,
    StoredEntry, batch_id,
};

/// Rows and entries in memory; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    last: LastCommit,
    rows: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
    entries: Vec<StoredEntry>,
}

impl Held {
    fn append(&mut self, batch: &[Entry]) {
        for entry in batch {
            self.entries.push(StoredEntry {
                position: self.entries.len() as u64 + 1,
                revision: self.last.revision,
                record: entry.record.clone(),
            });
        }
    }
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn held(&self) -> Result<MutexGuard<'_, Held>, StoreError> {
        // A poisoned lock means a panic between two changes: the doubt that stops the store.
        self.held.lock().map_err(|_| StoreError::Stopped)
    }
}

impl Store for Memory {
    async fn load(&self, each: &mut (dyn FnMut(Row) + Send)) -> Result<Revision, StoreError> {
        let held = self.held()?;
        for ((table, key), value) in &held.rows {
            each(Row { table: *table, key: key.clone(), value: value.clone() });
        }
        Ok(held.last.revision)
    }

    async fn commit(&self, after: Revision, batch: &[Entry]) -> Result<Revision, CommitError> {
        let mut held = self.held()?;
        let last = held.last.revision;
        if after != last {
            return Err(CommitError::Conflict { last });
        }
        for change in batch.iter().flat_map(|entry| &entry.changes) {
            let key = (change.table, change.key.clone());
            match &change.value {
                Some(value) => held.rows.insert(key, value.clone()),
                None => held.rows.remove(&key),
            };
        }
        held.last = LastCommit { revision: last + 1, batch: batch_id(after, batch) };
        held.append(batch);
        Ok(held.last.revision)
    }

    async fn record(&self, events: &[Entry]) -> Result<(), StoreError> {
        refuse_changes(events)?;
        self.held()?.append(events);
        Ok(())
    }

    async fn entries(&self, query: &EntryQuery) -> Result<Page, StoreError> {
        let held = self.held()?;
        let limit = query.limit.max(1);
        let all = held.entries.iter();
        let mut entries: Vec<StoredEntry> = if query.backwards {
            all.rev().filter(|e| e.position <= query.from).take(limit + 1).cloned().collect()
        } else {
            all.filter(|e| e.position >= query.from).take(limit + 1).cloned().collect()
        };
        let next = entries.get(limit).map(|entry| entry.position);
        entries.truncate(limit);
        Ok(Page { entries, next })
    }

    async fn last_commit(&self) -> Result<LastCommit, StoreError> {
        Ok(self.held()?.last)
    }
}

/// Recorded events carry no changes: those need a revision.
pub(crate) fn refuse_changes(events: &[Entry]) -> Result<(), StoreError> {
    if events.iter().any(|event| !event.changes.is_empty()) {
        return Err(StoreError::Refused("a recorded event carries row changes"));
    }
    Ok(())
}
