//! One type for whichever engine the server was started with.
//!
//! Only forwards; holds no behaviour of its own.

use crate::faults::Faulty;
use crate::{
    CommitError, Embedded, Entry, EntryQuery, LastCommit, Memory, Page, Revision, Row, Store,
    StoreError,
};

/// A store of any engine.
#[derive(Debug)]
pub enum Any {
    /// In memory.
    Memory(Memory),
    /// In one file.
    Embedded(Embedded),
    /// In memory, failing as told.
    FaultyMemory(Faulty<Memory>),
    /// In one file, failing as told.
    FaultyEmbedded(Faulty<Embedded>),
}

macro_rules! forward {
    ($self:ident, $store:ident => $call:expr) => {
        match $self {
            Any::Memory($store) => $call.await,
            Any::Embedded($store) => $call.await,
            Any::FaultyMemory($store) => $call.await,
            Any::FaultyEmbedded($store) => $call.await,
        }
    };
}

impl Store for Any {
    async fn load(&self, each: &mut (dyn FnMut(Row) + Send)) -> Result<Revision, StoreError> {
        forward!(self, store => store.load(each))
    }

    async fn commit(&self, after: Revision, batch: &[Entry]) -> Result<Revision, CommitError> {
        forward!(self, store => store.commit(after, batch))
    }

    async fn record(&self, events: &[Entry]) -> Result<(), StoreError> {
        forward!(self, store => store.record(events))
    }

    async fn entries(&self, query: &EntryQuery) -> Result<Page, StoreError> {
        forward!(self, store => store.entries(query))
    }

    async fn forget(&self, before: u64) -> Result<u64, StoreError> {
        forward!(self, store => store.forget(before))
    }

    async fn first_entry(&self) -> Result<u64, StoreError> {
        forward!(self, store => store.first_entry())
    }

    async fn last_commit(&self) -> Result<LastCommit, StoreError> {
        forward!(self, store => store.last_commit())
    }
}
