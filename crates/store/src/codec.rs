//! The bytes of stored rows, batches of entries and the head, each under a checksum.
//!
//! The checksum is XXH3 of 64 bits: it finds every flip with a chance of error of 2^-64, where a CRC
//! would leave 2^-32, and costs next to nothing. It guards against accidents, not against whoever can
//! write the file; for that the trail has signed checkpoints. The key is part of it, so a value
//! cannot pass under another key. No I/O here.

use twox_hash::{XxHash3_64, XxHash3_128};

use crate::index::SEGMENT;
use crate::{Entry, LastCommit, Revision, StoreError, StoredEntry, Term};

/// The format this program reads and writes. The old-format question is answered where it grows.
pub(crate) const FORMAT: u32 = 2;

const SUM_LEN: usize = 8;

/// Names one batch of one commit: equal only for the same content after the same revision.
pub type BatchId = [u8; 16];

/// The id under which a commit of `batch` after revision `after` is stored.
#[must_use]
pub fn batch_id(after: Revision, batch: &[Entry]) -> BatchId {
    let mut hash = 0_u128;
    // Each part is hashed under what the parts before it made, so none passes for another.
    let mut part = |bytes: &[u8]| {
        let seed = u64::try_from(hash >> 64).unwrap_or_default() ^ (bytes.len() as u64);
        hash = XxHash3_128::oneshot_with_seed(seed, bytes) ^ hash.rotate_left(1);
    };
    part(&after.to_be_bytes());
    for entry in batch {
        part(&entry.record);
        part(&(entry.terms.len() as u64).to_be_bytes());
        for term in &entry.terms {
            part(&term.0.to_be_bytes());
        }
        part(&(entry.changes.len() as u64).to_be_bytes());
        for change in &entry.changes {
            part(&[change.table, u8::from(change.value.is_some())]);
            part(&change.key);
            part(change.value.as_deref().unwrap_or_default());
        }
    }
    hash.to_be_bytes()
}

/// The first row of the store: what the rest must agree with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub last: LastCommit,
    /// The position the next entry gets.
    pub next_position: u64,
    /// The number of rows.
    pub rows: u64,
    /// The wrapping sum of the checksums of all rows: a row that is lost or stale changes it.
    pub digest: u64,
    /// The position of the first entry that was not forgotten; the first of a segment.
    pub first_position: u64,
    /// How many entries a segment of the index has.
    pub segment: u64,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            last: LastCommit::default(),
            next_position: 1,
            rows: 0,
            digest: 0,
            first_position: 1,
            segment: SEGMENT,
        }
    }
}

impl Head {
    pub fn encode(&self) -> Vec<u8> {
        let mut body = FORMAT.to_be_bytes().to_vec();
        for number in [
            self.last.revision,
            self.next_position,
            self.rows,
            self.digest,
            self.first_position,
            self.segment,
        ] {
            body.extend_from_slice(&number.to_be_bytes());
        }
        body.extend_from_slice(&self.last.batch);
        seal(b"head", &body)
    }

    pub fn decode(stored: &[u8]) -> Result<Self, StoreError> {
        let (_, mut body) = unseal(b"head", stored, "its head")?;
        let found = u32::from_be_bytes(take(&mut body).ok_or_else(short)?);
        if found != FORMAT {
            return Err(StoreError::Format { found, supported: FORMAT });
        }
        let mut number = || take(&mut body).map(u64::from_be_bytes).ok_or_else(short);
        let (revision, next_position, rows, digest) = (number()?, number()?, number()?, number()?);
        let (first_position, segment) = (number()?, number()?.max(1));
        let batch = take(&mut body).ok_or_else(short)?;
        let last = LastCommit { revision, batch };
        Ok(Self { last, next_position, rows, digest, first_position, segment })
    }

    /// The number of the segment that a position is in; segments count from 0.
    pub fn segment_of(&self, position: u64) -> u64 {
        position.saturating_sub(1) / self.segment
    }

    /// The first position of a segment.
    pub fn start_of(&self, segment: u64) -> u64 {
        segment.saturating_mul(self.segment).saturating_add(1)
    }
}

fn short() -> StoreError {
    StoreError::Damaged("a value is too short".to_owned())
}

/// The key of a row in the one ordered table: its table number, then its own key.
pub(crate) fn row_key(table: u8, key: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(key.len() + 1);
    whole.push(table);
    whole.extend_from_slice(key);
    whole
}

/// The stored form of a value under `key`, and its share of the digest.
pub(crate) fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(value.len() + SUM_LEN);
    stored.extend_from_slice(&checksum(key, value).to_be_bytes());
    stored.extend_from_slice(value);
    stored
}

/// The checksum and the value of a stored form, if they agree. `what` names it in the error.
pub(crate) fn unseal<'a>(
    key: &[u8],
    stored: &'a [u8],
    what: &str,
) -> Result<(u64, &'a [u8]), StoreError> {
    let mut value = stored;
    let sum = take(&mut value).map(u64::from_be_bytes).ok_or_else(short)?;
    if sum != checksum(key, value) {
        return Err(StoreError::Damaged(format!("the checksum of {what} does not match")));
    }
    Ok((sum, value))
}

/// The checksum a stored form carries, unchecked.
pub(crate) fn carried_sum(stored: &[u8]) -> u64 {
    let mut stored = stored;
    take(&mut stored).map_or(0, u64::from_be_bytes)
}

fn checksum(key: &[u8], value: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(XxHash3_64::oneshot(key), value)
}

/// The stored form of the entries that start at `position`.
pub(crate) fn seal_batch(position: u64, revision: Revision, batch: &[Entry]) -> Vec<u8> {
    let size = |entry: &Entry| 16 + entry.terms.len() * 8 + entry.record.len();
    // Written once, the checksum's place in front: a batch is large.
    let mut stored = Vec::with_capacity(SUM_LEN + 8 + batch.iter().map(size).sum::<usize>());
    stored.resize(SUM_LEN, 0);
    stored.extend_from_slice(&revision.to_be_bytes());
    for entry in batch {
        stored.extend_from_slice(&(entry.terms.len() as u64).to_be_bytes());
        entry.terms.iter().for_each(|term| stored.extend_from_slice(&term.0.to_be_bytes()));
        stored.extend_from_slice(&(entry.record.len() as u64).to_be_bytes());
        stored.extend_from_slice(&entry.record);
    }
    if let Some((sum, body)) = stored.split_first_chunk_mut::<SUM_LEN>() {
        *sum = checksum(&position.to_be_bytes(), body).to_be_bytes();
    }
    stored
}

/// An entry of a stored batch, where it stands.
pub(crate) struct Held<'a> {
    pub position: u64,
    pub revision: Revision,
    pub terms: Vec<Term>,
    pub record: &'a [u8],
}

impl Held<'_> {
    pub fn entry(&self) -> StoredEntry {
        let Self { position, revision, record, .. } = *self;
        StoredEntry { position, revision, record: record.to_vec() }
    }
}

/// The entries of a stored batch that starts at `position`.
pub(crate) fn unseal_batch(position: u64, stored: &[u8]) -> Result<Vec<Held<'_>>, StoreError> {
    let what = format!("the entries from position {position}");
    let (_, mut body) = unseal(&position.to_be_bytes(), stored, &what)?;
    let revision = take(&mut body).map(Revision::from_be_bytes).ok_or_else(short)?;
    let mut entries = Vec::new();
    while !body.is_empty() {
        let count = take(&mut body).map(u64::from_be_bytes).ok_or_else(short)?;
        let mut terms = Vec::new();
        for _ in 0..count {
            terms.push(Term(take(&mut body).map(u64::from_be_bytes).ok_or_else(short)?));
        }
        let length = take(&mut body).map(u64::from_be_bytes).ok_or_else(short)?;
        let length = usize::try_from(length).map_err(|_| short())?;
        let (record, rest) = body.split_at_checked(length).ok_or_else(short)?;
        body = rest;
        let position = position.saturating_add(entries.len() as u64);
        entries.push(Held { position, revision, terms, record });
    }
    Ok(entries)
}

/// Takes `N` bytes off the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}
