//! An engine wrapper that fails chosen calls, for tests of whatever stands above a store.
//!
//! It keeps the contract while it fails: after a failed write it refuses every further one. It
//! simulates no disk; see [`crate::disk`] for that.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{CommitError, Entry, EntryQuery, LastCommit, Page, Revision, Row, Store, StoreError};

/// The kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// [`Store::load`].
    Load,
    /// [`Store::commit`].
    Commit,
    /// [`Store::record`].
    Record,
    /// [`Store::entries`].
    Entries,
    /// [`Store::forget`].
    Forget,
    /// [`Store::first_entry`].
    FirstEntry,
    /// [`Store::last_commit`].
    LastCommit,
}

impl Kind {
    fn writes(self) -> bool {
        matches!(self, Self::Commit | Self::Record | Self::Forget)
    }
}

/// When a failing call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it did anything.
    Before,
    /// After it did everything: the answer is lost.
    After,
}

/// A store that fails the n-th call of each kind as told.
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    calls: BTreeMap<Kind, u64>,
    failures: BTreeMap<(Kind, u64), Moment>,
    stopped: bool,
}

impl<S: Store> Faulty<S> {
    /// Wraps `inner`; nothing fails yet.
    pub fn new(inner: S) -> Self {
        Self { inner, plan: Mutex::default() }
    }

    /// Lets the `nth` call of `kind` fail, counted from 1 and from now.
    pub fn fail(&self, kind: Kind, nth: u64, moment: Moment) {
        let mut plan = self.plan();
        let turn = plan.calls.get(&kind).copied().unwrap_or_default() + nth;
        plan.failures.insert((kind, turn), moment);
    }

    /// The number of calls of `kind` so far.
    pub fn calls(&self, kind: Kind) -> u64 {
        self.plan().calls.get(&kind).copied().unwrap_or_default()
    }

    /// The store inside, as a reopening finds it.
    pub fn into_inner(self) -> S {
        self.inner
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call; the moment at which it fails, if it does. Refuses writes once stopped.
    fn begin(&self, kind: Kind) -> Result<Option<Moment>, StoreError> {
        let mut plan = self.plan();
        let turn = plan.calls.entry(kind).or_default();
        *turn += 1;
        let turn = *turn;
        let writes = kind.writes();
        if plan.stopped && writes {
            return Err(StoreError::Stopped);
        }
        let moment = plan.failures.get(&(kind, turn)).copied();
        if moment == Some(Moment::Before) {
            plan.stopped |= writes;
            return Err(simulated());
        }
        Ok(moment)
    }

    /// The answer of a finished call, or the loss of it.
    fn end<T, E: From<StoreError>>(
        &self,
        kind: Kind,
        moment: Option<Moment>,
        answer: Result<T, E>,
    ) -> Result<T, E> {
        if moment == Some(Moment::After) {
            self.plan().stopped |= kind.writes();
            return Err(simulated().into());
        }
        answer
    }
}

fn simulated() -> StoreError {
    StoreError::Io("simulated failure".to_owned())
}

impl<S: Store> Store for Faulty<S> {
    async fn load(&self, each: &mut (dyn FnMut(Row) + Send)) -> Result<Revision, StoreError> {
        let moment = self.begin(Kind::Load)?;
        let answer = self.inner.load(each).await;
        self.end(Kind::Load, moment, answer)
    }

    async fn commit(&self, after: Revision, batch: &[Entry]) -> Result<Revision, CommitError> {
        let moment = self.begin(Kind::Commit)?;
        let answer = self.inner.commit(after, batch).await;
        self.end(Kind::Commit, moment, answer)
    }

    async fn record(&self, events: &[Entry]) -> Result<(), StoreError> {
        let moment = self.begin(Kind::Record)?;
        let answer = self.inner.record(events).await;
        self.end(Kind::Record, moment, answer)
    }

    async fn entries(&self, query: &EntryQuery) -> Result<Page, StoreError> {
        let moment = self.begin(Kind::Entries)?;
        let answer = self.inner.entries(query).await;
        self.end(Kind::Entries, moment, answer)
    }

    async fn forget(&self, before: u64) -> Result<u64, StoreError> {
        let moment = self.begin(Kind::Forget)?;
        let answer = self.inner.forget(before).await;
        self.end(Kind::Forget, moment, answer)
    }

    async fn first_entry(&self) -> Result<u64, StoreError> {
        let moment = self.begin(Kind::FirstEntry)?;
        let answer = self.inner.first_entry().await;
        self.end(Kind::FirstEntry, moment, answer)
    }

    async fn last_commit(&self) -> Result<LastCommit, StoreError> {
        let moment = self.begin(Kind::LastCommit)?;
        let answer = self.inner.last_commit().await;
        self.end(Kind::LastCommit, moment, answer)
    }
}
