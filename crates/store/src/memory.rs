//! An engine in memory, for the `dev` command and for tests. It survives nothing but a clone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::{
    CommitError, Entry, EntryQuery, LastCommit, Page, Revision, Row, SEGMENT, Store, StoreError,
    StoredEntry, Term, batch_id, logged,
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
    entries: Vec<(StoredEntry, Vec<Term>)>,
    /// How many entries were forgotten.
    forgotten: u64,
}

impl Held {
    fn append(&mut self, batch: &[Entry]) {
        for entry in logged(batch).iter() {
            let stored = StoredEntry {
                position: self.forgotten + self.entries.len() as u64 + 1,
                revision: self.last.revision,
                record: entry.record.clone(),
            };
            self.entries.push((stored, entry.terms.clone()));
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
        let range = match query.backwards {
            true => query.to..=query.from,
            false => query.from..=query.to,
        };
        let is_wanted = |(entry, terms): &&(StoredEntry, Vec<Term>)| {
            range.contains(&entry.position) && query.terms.iter().all(|term| terms.contains(term))
        };
        let all = held.entries.iter().filter(is_wanted).map(|(entry, _)| entry);
        let mut entries: Vec<StoredEntry> = if query.backwards {
            all.rev().take(limit + 1).cloned().collect()
        } else {
            all.take(limit + 1).cloned().collect()
        };
        let next = entries.get(limit).map(|entry| entry.position);
        entries.truncate(limit);
        Ok(Page { entries, next })
    }

    async fn forget(&self, before: u64) -> Result<u64, StoreError> {
        let mut held = self.held()?;
        let newest = held.forgotten + held.entries.len() as u64;
        let keep_from = before.min(newest + 1).saturating_sub(1) / SEGMENT * SEGMENT;
        let gone = keep_from.saturating_sub(held.forgotten);
        held.entries.drain(..usize::try_from(gone).unwrap_or_default());
        held.forgotten += gone;
        Ok(held.forgotten + 1)
    }

    async fn first_entry(&self) -> Result<u64, StoreError> {
        Ok(self.held()?.forgotten + 1)
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
