//! The index over entries: which of them bear a term, by segments of the log.
//!
//! A segment is a run of positions. When the log has grown past one, the terms of its entries are
//! written beside it once and for all: 256 buckets by the term's first byte, in each the terms in
//! order, each with the places of its entries. A look-up reads one bucket a segment and term, so it
//! costs what the log is long divided by the segment's length, however rare or common the term.
//! What came after the last whole segment is kept in memory. No I/O here.

use sha2::{Digest, Sha256};

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
    pub fn of(kind: &str, value: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update((kind.len() as u64).to_be_bytes());
        hash.update(kind);
        hash.update(value);
        let whole: [u8; 32] = hash.finalize().into();
        let first = whole.first_chunk().copied().unwrap_or_default();
        Self(u64::from_be_bytes(first))
    }

    /// The bucket it is in.
    pub(crate) fn bucket(self) -> u8 {
        self.0.to_be_bytes().first().copied().unwrap_or_default()
    }
}

/// The terms of a run of entries: each with the place of its entry, counted from the run's start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Postings(Vec<(Term, u32)>);

impl Postings {
    /// Adds the terms of the entry at `place`.
    pub fn add(&mut self, place: u32, terms: &[Term]) {
        self.0.extend(terms.iter().map(|term| (*term, place)));
    }

    /// The places of the entries that bear all of `terms`, in order.
    pub fn places(&self, terms: &[Term]) -> Vec<u32> {
        let of = |term: &Term| {
            let mut places: Vec<u32> =
                self.0.iter().filter(|(t, _)| t == term).map(|(_, place)| *place).collect();
            places.dedup();
            places
        };
        terms.iter().map(of).reduce(|a, b| common(&a, &b)).unwrap_or_default()
    }

    /// The buckets of a finished segment, in order of their number.
    pub fn buckets(mut self) -> Vec<Vec<u8>> {
        self.0.sort_unstable();
        self.0.dedup();
        let mut buckets = vec![Vec::new(); BUCKETS];
        for run in self.0.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((term, _)) = run.first() else { continue };
            let Some(bucket) = buckets.get_mut(usize::from(term.bucket())) else { continue };
            bucket.extend_from_slice(&term.0.to_be_bytes());
            put_number(bucket, u32::try_from(run.len()).unwrap_or(u32::MAX));
            let mut last = 0;
            for (_, place) in run {
                put_number(bucket, place - last);
                last = *place;
            }
        }
        buckets
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
        let terms: Vec<Term> = (0..40).map(|n| Term::of("n", &n.to_string())).collect();
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
        let buckets = postings.clone().buckets();
        assert_eq!(buckets.len(), BUCKETS);
        let of = |term: &Term| {
            let bucket = buckets.get(usize::from(term.bucket())).map_or(&[][..], Vec::as_slice);
            places_in(bucket, *term)
        };
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
        let buckets = postings.buckets();
        let bucket = buckets.iter().find(|b| !b.is_empty()).cloned().unwrap_or_default();
        assert_eq!(places_in(&bucket, term), Ok(vec![200]));
        for length in 8..bucket.len() {
            assert!(places_in(&bucket[..length], term).is_err(), "{length}");
        }
    }
}
