//! A table from names to numbers: open addressing, one hash, the text verified.
//!
//! The floor is measured with it, and every engine finds its principal in it, so that no engine pays for a
//! slower look-up than another.

/// Case folding of eight ASCII bytes at once; other bytes stay as they are.
#[inline]
fn fold(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let low = word & (ONES * 0x7f);
    let from_a = low + ONES * (0x80 - b'A' as u64);
    let beyond_z = low + ONES * (0x80 - b'Z' as u64 - 1);
    let upper = from_a & !beyond_z & !word & (ONES * 0x80);
    word | (upper >> 2)
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => 0,
    }
}

/// Calls `f` with the words of a text; the last may overlap the one before.
#[inline]
fn words(text: &[u8], mut f: impl FnMut(u64)) {
    let length = text.len();
    if length >= 8 {
        let mut at = 0;
        while at + 8 < length {
            f(word(&text[at..]));
            at += 8;
        }
        f(word(&text[length - 8..]));
    } else {
        let mut padded = [0; 8];
        for (to, from) in padded.iter_mut().zip(text) {
            *to = *from;
        }
        f(u64::from_le_bytes(padded));
    }
}

/// The hash of a name without regard to case, or with.
#[inline]
pub fn hash<const FOLD: bool>(text: &[u8]) -> u64 {
    let mut state = 0x2d35_8dcc_aa6c_78a5 ^ text.len() as u64;
    words(text, |word| {
        let word = if FOLD { fold(word) } else { word };
        let product = u128::from(state ^ word) * 0x9e37_79b9_7f4a_7c15;
        state = (product as u64) ^ ((product >> 64) as u64);
    });
    state
}

/// Whether a text equals a stored one, which is folded already when `FOLD` says so.
#[inline]
fn same<const FOLD: bool>(text: &[u8], stored: &[u8]) -> bool {
    if text.len() != stored.len() {
        return false;
    }
    let mut difference = 0;
    let mut at = 0;
    let length = text.len();
    let mut compare = |a: u64, b: u64| difference |= (if FOLD { fold(a) } else { a }) ^ b;
    if length >= 8 {
        while at + 8 < length {
            compare(word(&text[at..]), word(&stored[at..]));
            at += 8;
        }
        compare(word(&text[length - 8..]), word(&stored[length - 8..]));
        difference == 0
    } else if FOLD {
        text.eq_ignore_ascii_case(stored)
    } else {
        text == stored
    }
}

/// A slot: the upper half of the hash, the number plus one, and where the text lies.
#[derive(Clone, Copy, Default)]
struct Slot {
    tag: u32,
    number: u32,
    start: u32,
    length: u32,
}

/// The table. `FOLD` says that names compare without regard to case.
pub struct Names<const FOLD: bool> {
    slots: Vec<Slot>,
    texts: Vec<u8>,
}

impl<const FOLD: bool> Names<FOLD> {
    /// A table of some names, numbered in their order.
    pub fn new<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Names<FOLD> {
        let size = (names.len() * 2).next_power_of_two();
        let mut table = Names { slots: vec![Slot::default(); size], texts: Vec::new() };
        for (number, name) in (1..).zip(names) {
            let hash = hash::<FOLD>(name.as_bytes());
            let mut at = hash as usize & (size - 1);
            while table.slots[at].number != 0 {
                at = (at + 1) & (size - 1);
            }
            table.slots[at] = Slot {
                tag: (hash >> 32) as u32,
                number,
                start: table.texts.len() as u32,
                length: name.len() as u32,
            };
            let text = if FOLD { name.to_ascii_lowercase() } else { name.to_owned() };
            table.texts.extend_from_slice(text.as_bytes());
        }
        table
    }

    /// The number of a name.
    #[inline]
    pub fn find(&self, name: &str) -> Option<usize> {
        let hash = hash::<FOLD>(name.as_bytes());
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = &self.slots[at & mask];
            if slot.number == 0 {
                return None;
            }
            if slot.tag == (hash >> 32) as u32 {
                let start = slot.start as usize;
                let stored = &self.texts[start..start + slot.length as usize];
                if same::<FOLD>(name.as_bytes(), stored) {
                    return Some(slot.number as usize - 1);
                }
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_without_regard_to_case() {
        let names = ["s3:GetObject", "iam:PassRole", "a:B", "s3:GetObjectTagging"];
        let table: Names<true> = Names::new(names.into_iter());
        for (number, name) in names.into_iter().enumerate() {
            assert_eq!(table.find(name), Some(number));
            assert_eq!(table.find(&name.to_uppercase()), Some(number));
        }
        assert_eq!(table.find("s3:GetObjects"), None);
        assert_eq!(table.find("s3zGetObject"), None);
        let exact: Names<false> = Names::new(names.into_iter());
        assert_eq!(exact.find("a:b"), None);
        assert_eq!(exact.find("a:B"), Some(2));
    }
}
