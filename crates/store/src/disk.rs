//! A simulated disk for fault tests: it counts calls, fails them, and loses power.
//!
//! What was written since the last sync is only pending; [`Disk::crash`] keeps, drops or tears
//! each pending write as a seed decides. Never used by the server.

use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::{BackendError, StorageBackend};

/// The unit in which a write can tear.
const SECTOR: usize = 512;

/// A disk in memory; clones are handles on the same one.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// What survives a crash for certain.
    durable: Vec<u8>,
    /// What reads see.
    current: Vec<u8>,
    pending: Vec<Pending>,
    calls: u64,
    syncs: u64,
    syncs_failed: u64,
    fail: Option<Failure>,
}

#[derive(Clone, Debug)]
enum Pending {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// Which calls of a [`Disk`] fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The n-th call from the first ever (1 is the first), and only that.
    Once(u64),
    /// The n-th call and every later one: the disk is gone.
    From(u64),
    /// The n-th sync, which also forgets what was pending, as a kernel may. Later ones succeed.
    Sync(u64),
    /// The n-th sync and every later one.
    SyncFrom(u64),
    /// What would make the file longer than so many bytes: the disk is full.
    Full(u64),
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that holds `bytes`, durably.
    #[must_use]
    pub fn holding(bytes: Vec<u8>) -> Self {
        let inner = Inner { durable: bytes.clone(), current: bytes, ..Inner::default() };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// The calls (reads, writes, length changes and syncs) so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.inner().calls
    }

    /// The syncs that succeeded so far.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.inner().syncs
    }

    /// The writes that no sync has made durable yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.inner().pending.len()
    }

    /// What reads see.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.inner().current.clone()
    }

    /// Lets calls fail from now on.
    pub fn fail(&self, failure: Failure) {
        self.inner().fail = Some(failure);
    }

    /// The disk after a loss of power now: each pending write is kept, dropped or torn.
    ///
    /// `None` drops them all.
    #[must_use]
    pub fn crash(&self, seed: Option<u64>) -> Self {
        let inner = self.inner();
        let mut bytes = inner.durable.clone();
        if let Some(seed) = seed {
            let mut dice = Dice(seed ^ 0x9e37_79b9_7f4a_7c15);
            for pending in &inner.pending {
                match dice.roll() % 3 {
                    0 => {}
                    1 => apply(&mut bytes, pending),
                    _ => tear(&mut bytes, pending, &mut dice),
                }
            }
        }
        Self::holding(bytes)
    }

    /// The lock, also after a panic in a test: the numbers inside are always whole.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Counts a call and fails it if its turn has come.
    fn call(&self) -> io::Result<MutexGuard<'_, Inner>> {
        let mut inner = self.inner();
        inner.calls += 1;
        match inner.fail {
            Some(Failure::Once(n)) if inner.calls == n => Err(broken()),
            Some(Failure::From(n)) if inner.calls >= n => Err(broken()),
            _ => Ok(inner),
        }
    }
}

fn broken() -> io::Error {
    io::Error::other("simulated failure of the disk")
}

fn apply(bytes: &mut Vec<u8>, pending: &Pending) {
    match pending {
        Pending::Length(length) => bytes.resize(*length, 0),
        Pending::Write(offset, data) => put(bytes, *offset, data),
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if bytes.len() < offset + data.len() {
        bytes.resize(offset + data.len(), 0);
    }
    bytes.iter_mut().skip(offset).zip(data).for_each(|(slot, byte)| *slot = *byte);
}

/// Keeps some sectors of a write, and sometimes cuts inside one.
fn tear(bytes: &mut Vec<u8>, pending: &Pending, dice: &mut Dice) {
    let Pending::Write(offset, data) = pending else {
        return;
    };
    for (number, sector) in data.chunks(SECTOR).enumerate() {
        let kept = match dice.roll() % 4 {
            0 => continue,
            1 => usize::try_from(dice.roll() % 512).unwrap_or_default().min(sector.len()),
            _ => sector.len(),
        };
        put(bytes, offset + number * SECTOR, sector.get(..kept).unwrap_or_default());
    }
}

/// The generator of the seeds' decisions (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.call()?.current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.call()?;
        let from = place(offset)?;
        let held = inner.current.get(from..from + out.len());
        let held = held.ok_or(io::ErrorKind::UnexpectedEof)?;
        out.iter_mut().zip(held).for_each(|(slot, byte)| *slot = *byte);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.call()?;
        if matches!(inner.fail, Some(Failure::Full(room)) if len > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let pending = Pending::Length(place(len)?);
        apply(&mut inner.current, &pending);
        inner.pending.push(pending);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.call()?;
        let number = inner.syncs + inner.syncs_failed + 1;
        let fails = match inner.fail {
            Some(Failure::Sync(n)) => number == n,
            Some(Failure::SyncFrom(n)) => number >= n,
            _ => false,
        };
        if fails {
            inner.syncs_failed += 1;
            inner.pending.clear();
            return Err(broken());
        }
        inner.syncs += 1;
        let pending = std::mem::take(&mut inner.pending);
        for one in &pending {
            apply(&mut inner.durable, one);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.call()?;
        let pending = Pending::Write(place(offset)?, data.to_vec());
        apply(&mut inner.current, &pending);
        inner.pending.push(pending);
        Ok(())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }
}
