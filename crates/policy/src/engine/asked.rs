//! The question as compiled policies look at it: texts with their ends as numbers.

use crate::document::{Principals, StatementEffect};
use crate::key::Key;
use crate::name::{self, Dialect};
use crate::principal::{self, Grant};
use crate::request::{Context, Principal, Request, Value};

/// How many different condition keys of a set are looked up only once for a request.
pub(super) const SLOTS: usize = 8;

/// A text that literals are compared with: its first and its last eight bytes at hand as numbers.
///
/// With `FOLD`, ASCII letters are taken as small ones, whatever they are; literals are then in small letters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a, const FOLD: bool> {
    bytes: &'a [u8],
    /// The first eight bytes, zeros behind a shorter text.
    first: u64,
    /// The last eight bytes, zeros before a shorter text.
    last: u64,
}

impl<'a, const FOLD: bool> Subject<'a, FOLD> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(first), Some(last)) => {
                Subject { bytes, first: number_of::<FOLD>(*first), last: number_of::<FOLD>(*last) }
            }
            _ => {
                let first = number_of::<FOLD>(padded(bytes));
                Subject { bytes, first, last: aligned(first, bytes.len()) }
            }
        }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The first four bytes.
    #[inline]
    pub(super) fn head(&self) -> u32 {
        self.first as u32
    }

    /// The last four bytes, zeros before a shorter text.
    #[inline]
    pub(super) fn end(&self) -> u32 {
        (self.last >> 32) as u32
    }

    /// Whether the text is this one.
    #[inline]
    pub(super) fn is(&self, text: &[u8]) -> bool {
        self.bytes.len() == text.len() && after::<FOLD>(self.bytes, text).is_some()
    }

    /// A number that different texts mostly differ in.
    #[inline]
    pub(super) fn hash(&self) -> u32 {
        let ends = self.first.rotate_left(29) ^ self.last.wrapping_add(self.bytes.len() as u64);
        (ends.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u32
    }

    /// Whether the text is as long as a literal and ends with the same eight bytes.
    #[inline]
    pub(super) fn ends(&self, length: usize, tail: u64) -> bool {
        self.bytes.len() == length && self.last == tail
    }

    /// The eight bytes that end at a place, zeros before the text's start; `None` beyond its end.
    #[inline]
    pub(super) fn tail(&self, place: usize) -> Option<u64> {
        let head = self.bytes.get(..place)?;
        Some(match head.last_chunk::<8>() {
            Some(tail) => number_of::<FOLD>(*tail),
            None => aligned(self.first, place),
        })
    }

    /// Whether the text begins with some words.
    #[inline]
    pub(super) fn begins(&self, words: &[u64]) -> bool {
        let own = self.bytes.as_chunks::<8>().0;
        own.len() >= words.len() && own.iter().zip(words).all(|(o, w)| number_of::<FOLD>(*o) == *w)
    }
}

/// What follows a prefix in a text; `None` if the text does not begin with it.
///
/// As the standard library's, but without a call for a few bytes.
#[inline]
pub(super) fn after<'a, const FOLD: bool>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    let same =
        match (head.last_chunk::<8>(), prefix.last_chunk::<8>()) {
            (Some(last), Some(wanted)) => {
                let (words, wanted_words) = (head.as_chunks::<8>().0, prefix.as_chunks::<8>().0);
                number_of::<FOLD>(*last) == u64::from_le_bytes(*wanted)
                    && words.iter().zip(wanted_words).all(|(word, wanted)| {
                        number_of::<FOLD>(*word) == u64::from_le_bytes(*wanted)
                    })
            }
            _ => head.iter().zip(prefix).all(|(byte, wanted)| {
                *wanted == if FOLD { byte.to_ascii_lowercase() } else { *byte }
            }),
        };
    same.then_some(rest)
}

/// Eight bytes as a number, with `FOLD` in small letters.
#[inline]
pub(super) fn number_of<const FOLD: bool>(bytes: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(bytes);
    if FOLD { lower(word) } else { word }
}

/// The first eight bytes of a text, or fewer, as a number.
#[inline]
pub(super) fn word(text: &[u8]) -> u64 {
    match text.first_chunk::<8>() {
        Some(word) => u64::from_le_bytes(*word),
        None => u64::from_le_bytes(padded(text)),
    }
}

/// The first `length` bytes of a word, moved to its upper end.
#[inline]
fn aligned(word: u64, length: usize) -> u64 {
    match length {
        0 => 0,
        8.. => word,
        _ => word << (64 - 8 * length),
    }
}

/// Fewer than eight bytes with zeros behind them, without a loop over single bytes.
#[inline]
fn padded(text: &[u8]) -> [u8; 8] {
    let length = text.len();
    let byte = |place: usize| {
        let byte = text.get(place).copied().unwrap_or_default();
        u64::from(byte) << (8 * place)
    };
    let word = match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            u64::from(first) | u64::from(last) << (8 * (length - 4))
        }
        // Three bytes at most; for fewer some of these are the same one.
        _ => byte(0) | byte(length / 2) | byte(length.saturating_sub(1)),
    };
    word.to_le_bytes()
}

/// One question, made once and put to every set.
pub(super) struct Asked<'a> {
    pub(super) action: Subject<'a, true>,
    /// The resource's name; empty for an action without resources.
    pub(super) resource: Subject<'a, false>,
    pub(super) name: &'a str,
    pub(super) wildcard_only: bool,
    /// Whether the resource is a role of the Alibaba dialect; its name is in small letters then.
    pub(super) is_ram_role: bool,
    pub(super) context: &'a Context,
    principal: &'a Principal,
    /// Whether the principal has a permissions boundary.
    bounded: bool,
}

impl<'a> Asked<'a> {
    #[inline]
    pub(super) fn new(request: &'a Request, bounded: bool) -> Asked<'a> {
        let name = if request.wildcard_only { "" } else { request.resource.as_str() };
        Asked {
            action: Subject::new(request.action.as_bytes()),
            resource: Subject::new(name.as_bytes()),
            name,
            wildcard_only: request.wildcard_only,
            is_ram_role: request.dialect == Dialect::Alibaba && name::is_ram_role(name),
            context: &request.context,
            principal: &request.principal,
            bounded,
        }
    }

    /// How directly a statement's principals name the one who asks; `None` if they do not.
    pub(super) fn grant(&self, listed: &Principals, effect: StatementEffect) -> Option<Grant> {
        let asking = self.principal;
        match listed {
            Principals::Attached => Some(Grant::Direct),
            Principals::Only(list) => list.iter().filter_map(|e| principal::grant(e, asking)).max(),
            Principals::AllBut(list) => {
                let spared = match effect {
                    StatementEffect::Allow => {
                        list.iter().any(|e| principal::grant(e, asking).is_some())
                    }
                    // With a boundary nobody is spared.
                    StatementEffect::Deny => {
                        !self.bounded && principal::is_listed_completely(list, asking)
                    }
                };
                (!spared).then_some(Grant::Direct)
            }
        }
    }
}

/// Eight bytes with their ASCII capital letters made small.
#[inline]
fn lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let low_bits = word & !HIGH;
    let from_a = low_bits + ONES * (0x80 - b'A' as u64);
    let beyond_z = low_bits + ONES * (0x7f - b'Z' as u64);
    let capital = (from_a ^ beyond_z) & HIGH & !word;
    word | (capital >> 2)
}

/// The values of a set's condition keys for one request, each looked up when it is first asked for.
pub(super) struct Slots<'a> {
    context: &'a Context,
    looked_up: u8,
    values: [Option<Subject<'a, false>>; SLOTS],
}

impl<'a> Slots<'a> {
    #[inline]
    pub(super) fn new(context: &'a Context) -> Slots<'a> {
        Slots { context, looked_up: 0, values: [None; SLOTS] }
    }

    /// The value of a key that has a single one; `None` for any other.
    #[inline]
    pub(super) fn single(&mut self, slot: usize, key: &Key) -> Option<Subject<'a, false>> {
        let place = self.values.get_mut(slot)?;
        let bit = 1 << slot;
        if self.looked_up & bit == 0 {
            self.looked_up |= bit;
            *place = match self.context.value(key) {
                Some(Value::Single(text)) => Some(Subject::new(text.as_bytes())),
                _ => None,
            };
        }
        *place
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_cut_byte_by_byte() {
        for byte in 0..=u8::MAX {
            for beside in [0, b'A', b'[', 0xff] {
                let bytes = [byte, beside, byte, b'@', byte, b'Z', byte, b'z'];
                let folded = bytes.map(|b| b.to_ascii_lowercase());
                assert_eq!(lower(u64::from_le_bytes(bytes)), u64::from_le_bytes(folded), "{byte}");
            }
        }
        let word = 0x8877_6655_4433_2211;
        assert_eq!(aligned(word, 0), 0);
        assert_eq!(aligned(word, 1), 0x11 << 56);
        assert_eq!(aligned(word, 7), 0x7766_5544_3322_1100);
        assert_eq!(aligned(word, 8), word);
        assert_eq!(aligned(word, 9), word);
    }

    use proptest::prelude::*;

    /// The definition of a tail, byte by byte.
    fn tail(text: &[u8], place: usize) -> u64 {
        text[..place].iter().fold(0, |word, byte| (word >> 8) | (u64::from(*byte) << 56))
    }

    proptest! {
        #[test]
        fn ends_and_beginnings_are_those_of_the_text(text in r"[a-zA-Z:*é]{0,40}", at in 0usize..45) {
            let folded = text.to_ascii_lowercase();
            let bytes = folded.as_bytes();
            let subject = Subject::<true>::new(text.as_bytes());
            let plain = Subject::<false>::new(bytes);
            let expected = (at <= bytes.len()).then(|| tail(bytes, at));
            prop_assert_eq!(subject.tail(at), expected);
            prop_assert_eq!(plain.tail(at), expected);
            prop_assert_eq!(u64::from(subject.end()), tail(bytes, bytes.len()) >> 32);
            prop_assert!(subject.ends(bytes.len(), tail(bytes, bytes.len())));
            prop_assert!(!subject.ends(bytes.len() + 1, tail(bytes, bytes.len())));
            let words: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|w| u64::from_le_bytes(*w)).collect();
            prop_assert!(subject.begins(&words) && plain.begins(&words));
            prop_assert!(!subject.begins(&[words, vec![7]].concat()));
            if at <= bytes.len() {
                let (head, rest) = (&bytes[..at], &bytes[at..]);
                prop_assert_eq!(after::<false>(bytes, head), Some(rest));
                prop_assert_eq!(after::<true>(text.as_bytes(), head), Some(&text.as_bytes()[at..]));
                let mut other = head.to_vec();
                for place in 0..at {
                    other[place] ^= 1;
                    prop_assert_eq!(after::<false>(bytes, &other), None);
                    other[place] ^= 1;
                }
            }
        }
    }
}
