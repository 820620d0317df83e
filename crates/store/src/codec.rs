//! The bytes of stored rows, batches of entries and the head, each under a checksum.
//!
//! The checksum is XXH3 of 64 bits: it finds every flip with a chance of error of 2^-64, where a CRC
//! would leave 2^-32, and costs next to nothing. It guards against accidents, not against whoever can
//! write the file; for that the trail has signed checkpoints. The key is part of it, so a value
//! cannot pass under another key. No I/O here.

use twox_hash::{XxHash3_64, XxHash3_128};

use crate::index::{BUCKETS, SEGMENT};
use crate::{Entry, LastCommit, Revision, StoreError, StoredEntry, Term};

/// The format this program reads and writes. The old-format question is answered where it grows.
pub(crate) const FORMAT: u32 = 3;

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
    let mut terms = Vec::new();
    for entry in batch {
        terms.clear();
        entry.terms.iter().for_each(|term| terms.extend_from_slice(&term.0.to_be_bytes()));
        part(&entry.record);
        part(&terms);
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
    /// How many buckets of the index are written, counted from that of the first entry ever.
    pub indexed: u64,
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
            indexed: 0,
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
            self.indexed,
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
        let (first_position, segment, indexed) = (number()?, number()?.max(1), number()?);
        let batch = take(&mut body).ok_or_else(short)?;
        let last = LastCommit { revision, batch };
        Ok(Self { last, next_position, rows, digest, first_position, segment, indexed })
    }

    /// The number of the segment that a position is in; segments count from 0.
    pub fn segment_of(&self, position: u64) -> u64 {
        position.saturating_sub(1) / self.segment
    }

    /// The first position of a segment.
    pub fn start_of(&self, segment: u64) -> u64 {
        segment.saturating_mul(self.segment).saturating_add(1)
    }

    /// The number of a segment's first bucket, counted from that of the first entry ever.
    pub fn bucket_of(segment: u64) -> u64 {
        segment.saturating_mul(BUCKETS as u64)
    }

    /// Which bucket of the index is written next: its segment and its number there.
    pub fn next_bucket(&self) -> (u64, u8) {
        let number = u8::try_from(self.indexed % BUCKETS as u64).unwrap_or_default();
        (self.indexed / BUCKETS as u64, number)
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

/// The stored form of the entries that start at `position`: compressed, since they are much alike.
pub(crate) fn seal_batch(position: u64, revision: Revision, batch: &[Entry]) -> Vec<u8> {
    let size = |entry: &Entry| 16 + entry.terms.len() * 8 + entry.record.len();
    let mut body = Vec::with_capacity(batch.iter().map(size).sum());
    for entry in batch {
        body.extend_from_slice(&(entry.terms.len() as u64).to_be_bytes());
        entry.terms.iter().for_each(|term| body.extend_from_slice(&term.0.to_be_bytes()));
        body.extend_from_slice(&(entry.record.len() as u64).to_be_bytes());
        body.extend_from_slice(&entry.record);
    }
    let packed = lz4_flex::block::compress(&body);
    let head = [revision.to_be_bytes(), (body.len() as u64).to_be_bytes()].concat();
    seal(&position.to_be_bytes(), &[head, packed].concat())
}

/// An entry of a stored batch.
pub(crate) struct Held {
    pub position: u64,
    pub revision: Revision,
    pub terms: Vec<Term>,
    pub record: Vec<u8>,
}

impl From<Held> for StoredEntry {
    fn from(held: Held) -> Self {
        let Held { position, revision, record, .. } = held;
        Self { position, revision, record }
    }
}

/// The entries of a stored batch that starts at `position`.
pub(crate) fn unseal_batch(position: u64, stored: &[u8]) -> Result<Vec<Held>, StoreError> {
    let what = format!("the entries from position {position}");
    let (_, mut packed) = unseal(&position.to_be_bytes(), stored, &what)?;
    let revision = take(&mut packed).map(Revision::from_be_bytes).ok_or_else(short)?;
    let body = unpack(packed).ok_or_else(|| StoreError::Damaged(format!("{what} do not read")))?;
    let mut body = body.as_slice();
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
        entries.push(Held { position, revision, terms, record: record.to_vec() });
    }
    Ok(entries)
}

/// What was compressed, behind its length.
fn unpack(mut packed: &[u8]) -> Option<Vec<u8>> {
    /// A byte of LZ4 never stands for more; so no length makes room for what cannot be there.
    const MOST: usize = 255;
    let length = usize::try_from(u64::from_be_bytes(take(&mut packed)?)).ok()?;
    if length > packed.len().checked_mul(MOST)? {
        return None;
    }
    let body = lz4_flex::block::decompress(packed, length).ok()?;
    (body.len() == length).then_some(body)
}

/// Takes `N` bytes off the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    fn batch() -> Vec<Entry> {
        let record = |n: u8| format!(r#"{{"operation":"AssumeRole","number":{n}}}"#).into_bytes();
        let terms = |n: u8| vec![Term::of("name", "AssumeRole"), Term::of("number", [n])];
        (0..32).map(|n| Entry { record: record(n), terms: terms(n), ..Entry::default() }).collect()
    }

    #[test]
    fn entries_that_are_alike_take_less_room_and_come_back_whole() {
        let batch = batch();
        let stored = seal_batch(7, 3, &batch);
        let plain: usize = batch.iter().map(|entry| entry.record.len()).sum();
        assert!(stored.len() < plain, "{} of {plain}", stored.len());
        let back = unseal_batch(7, &stored).unwrap();
        assert_eq!(back.len(), batch.len());
        for ((held, entry), position) in back.into_iter().zip(&batch).zip(7..) {
            assert_eq!((&held.record, &held.terms), (&entry.record, &entry.terms));
            assert_eq!((held.position, held.revision), (position, 3));
        }
        assert!(unseal_batch(8, &stored).is_err(), "under another's position");
    }

    #[test]
    fn a_length_that_cannot_be_makes_no_room() {
        let (_, body) = unseal(&7_u64.to_be_bytes(), &seal_batch(7, 3, &batch()), "it")
            .map(|(sum, body)| (sum, body.to_vec()))
            .unwrap();
        let said = u64::from_be_bytes(*body.get(8..).unwrap().first_chunk().unwrap());
        for length in [0, 1, said - 1, said + 1, 1 << 20, 1 << 40, u64::MAX] {
            let mut forged = body.clone();
            forged.splice(8..16, length.to_be_bytes());
            let stored = seal(&7_u64.to_be_bytes(), &forged);
            let read = unseal_batch(7, &stored).map(|held| held.len());
            assert!(matches!(read, Err(StoreError::Damaged(_))), "{length}: {read:?}");
        }
    }
}
