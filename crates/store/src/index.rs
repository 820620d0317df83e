//! The index over entries: which of them bear a term, by segments of the log.
//!
//! A segment is a run of positions. When the log has grown past one, the terms of its entries are
//! written beside it once and for all: 256 buckets by the term's first byte, in each the terms in
//! order, each with the places of its entries. A look-up reads one bucket a segment and term, so it
//! costs what the log is long divided by the segment's length, however rare or common the term.
//! What is not written yet is kept in memory. No I/O here.

use twox_hash::XxHash3_64;

use crate::StoreError;

/// How many entries a segment has, unless a store was made otherwise.
pub const SEGMENT: u64 = 16_384;
/// How many buckets the terms of a segment are spread over.
pub(crate) const BUCKETS: usize = 256;

/// What an entry can be found by: a digest, so that a store learns nothing of its meaning. Two
/// terms share one with a chance of 2^-64; whoever looks something up checks what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(pub(crate) u64);

impl Term {
    /// The term for a kind of thing and its value.
    #[must_use]
    pub fn of(kind: &str, value: impl AsRef<[u8]>) -> Self {
        let kind = XxHash3_64::oneshot(kind.as_bytes());
        Self(XxHash3_64::oneshot_with_seed(kind, value.as_ref()))
    }

    /// The bucket it is in.
    pub(crate) fn bucket(self) -> u8 {
        self.0.to_be_bytes().first().copied().unwrap_or_default()
    }
}

/// The terms of a run of entries, by buckets: each with the place of its entry, counted from the run's start.
#[derive(Debug)]
pub(crate) struct Postings([Vec<(Term, u32)>; BUCKETS]);

impl Default for Postings {
    fn default() -> Self {
        Self([const { Vec::new() }; BUCKETS])
    }
}

impl Postings {
    /// Adds the terms of the entry at `place`, which is none before those that are there.
    pub fn add(&mut self, place: u32, terms: &[Term]) {
        for term in terms {
            if let Some(bucket) = self.0.get_mut(usize::from(term.bucket())) {
                bucket.push((*term, place));
            }
        }
    }

    /// The places of the entries that bear all of `terms`, in order.
    pub fn places(&self, terms: &[Term]) -> Vec<u32> {
        let of = |term: &Term| {
            let bucket = self.0.get(usize::from(term.bucket())).map_or(&[][..], Vec::as_slice);
            let mut places: Vec<u32> =
                bucket.iter().filter(|(t, _)| t == term).map(|(_, place)| *place).collect();
            places.dedup();
            places
        };
        terms.iter().map(of).reduce(|a, b| common(&a, &b)).unwrap_or_default()
    }

    /// A bucket as it is written.
    pub fn bucket(&self, number: u8) -> Vec<u8> {
        let mut pairs = self.0.get(usize::from(number)).cloned().unwrap_or_default();
        pairs.sort_unstable();
        pairs.dedup();
        let mut bucket = Vec::new();
        for run in pairs.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((term, _)) = run.first() else { continue };
            bucket.extend_from_slice(&term.0.to_be_bytes());
            put_number(&mut bucket, u32::try_from(run.len()).unwrap_or(u32::MAX));
            let mut last = 0;
            for (_, place) in run {
                put_number(&mut bucket, place - last);
                last = *place;
            }
        }
        bucket
    }
}

/// The places of a term in a bucket, in order; none if it is not there.
pub(crate) fn places_in(bucket: &[u8], wanted: Term) -> Result<Vec<u32>, StoreError> {
    let mut rest = bucket;
    while let Some((term, after)) = rest.split_first_chunk::<8>() {
        rest = after;
        let term = Term(u64::from_be_bytes(*term));
        if term > wanted {
            break;
        }
        let count = take_number(&mut rest)?;
        if term < wanted {
            for _ in 0..count {
                take_number(&mut rest)?;
            }
            continue;
        }
        let mut places = Vec::new();
        let mut last = 0_u32;
        for _ in 0..count {
            last = last.checked_add(take_number(&mut rest)?).ok_or_else(broken)?;
            places.push(last);
        }
        return Ok(places);
    }
    Ok(Vec::new())
}

/// What two ordered lists have in common.
pub(crate) fn common(a: &[u32], b: &[u32]) -> Vec<u32> {
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    few.iter().copied().filter(|place| many.binary_search(place).is_ok()).collect()
}

/// Seven bits a byte, the least first; the highest bit says that more follow.
fn put_number(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes().first().copied().unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes().first().copied().unwrap_or_default());
}

fn take_number(bytes: &mut &[u8]) -> Result<u32, StoreError> {
    let mut number = 0_u32;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, rest) = bytes.split_first().ok_or_else(broken)?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(broken())
}

fn broken() -> StoreError {
    StoreError::Damaged("a bucket of the index over entries does not read".to_owned())
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found_as_in_memory() {
        let mut dice = crate::disk::Dice(3);
        let terms: Vec<Term> = (0..40).map(|n| Term::of("n", n.to_string())).collect();
        let mut postings = Postings::default();
        for place in 0..20_000 {
            let few: Vec<Term> = terms
                .iter()
                .enumerate()
                .filter(|(n, _)| dice.roll().is_multiple_of(*n as u64 + 1))
                .map(|(_, term)| *term)
                .collect();
            postings.add(place, &few);
        }
        let of = |term: &Term| places_in(&postings.bucket(term.bucket()), *term);
        for term in terms.iter().chain(&[Term::of("m", "1")]) {
            assert_eq!(of(term), Ok(postings.places(&[*term])));
        }
        assert_eq!(of(&terms[0]).map(|all| all.len()), Ok(20_000));
        let both = postings.places(&[terms[1], terms[2]]);
        assert!(!both.is_empty() && both.iter().all(|p| postings.places(&terms[2..3]).contains(p)));
        assert_eq!(postings.places(&[]), Vec::<u32>::new());
    }

    #[test]
    fn a_cut_bucket_is_an_error() {
        let term = Term::of("n", "1");
        let mut postings = Postings::default();
        postings.add(200, &[term]);
        let bucket = postings.bucket(term.bucket());
        assert_eq!(places_in(&bucket, term), Ok(vec![200]));
        for length in 8..bucket.len() {
            assert!(places_in(&bucket[..length], term).is_err(), "{length}");
        }
    }
}
