//! Literal texts as numbers: compared by their last eight bytes first, and by the rest only if those agree.

use super::asked::Subject;

/// How a text relates to a literal that it fits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// It is the same.
    Exact,
    /// It begins with it; with an empty literal it is anything.
    Prefix,
    /// Whatever the test of this number says, among texts that begin with the literal.
    Test,
}

/// A literal text of a set, in two words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Literal {
    tail: u64,
    /// From the lowest bit: where its words stand or which test it is (32), its length (16), its shape (2).
    meta: u64,
}

/// The longest text that a literal can stand for; of a longer one it stands for the beginning.
pub(super) const LENGTH_MAX: usize = 0xffff;

impl Literal {
    /// The literal of a text, whose words but the last ones are put behind `words`; they are counted from `base`.
    pub(super) fn new(text: &[u8], shape: Shape, test: usize, words: &mut Vec<u64>) -> Literal {
        let text = text.get(..LENGTH_MAX).unwrap_or(text);
        let detail = match shape {
            Shape::Test => test,
            Shape::Exact | Shape::Prefix => words.len(),
        };
        if shape != Shape::Test {
            // The last eight bytes, at least one of them, are compared as the tail.
            let before = text.len().saturating_sub(1) / 8;
            let own = text.as_chunks::<8>().0.iter().take(before);
            words.extend(own.map(|bytes| u64::from_le_bytes(*bytes)));
        }
        let meta = (detail as u64 & 0xffff_ffff)
            | (text.len() as u64) << 32
            | match shape {
                Shape::Exact => 0,
                Shape::Prefix => 1 << 48,
                Shape::Test => 2 << 48,
            };
        Literal { tail: Subject::<false>::new(text).tail(text.len()).unwrap_or_default(), meta }
    }

    /// How a text relates to the literal.
    pub(super) fn shape(self) -> Shape {
        match self.meta >> 48 {
            0 => Shape::Exact,
            1 => Shape::Prefix,
            _ => Shape::Test,
        }
    }

    /// Which test decides, for a literal that is not all there is.
    pub(super) fn test(self) -> usize {
        (self.meta & 0xffff_ffff) as usize
    }

    /// The text of a literal that is no test; `text` holds the words of all literals.
    pub(super) fn bytes(self, text: &[u64]) -> Vec<u8> {
        let (from, length) = (self.test(), (self.meta >> 32 & 0xffff) as usize);
        let before = length.saturating_sub(1) / 8;
        let words = text.get(from..from + before).unwrap_or_default();
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let tail = self.tail.to_le_bytes();
        bytes.extend(tail.get(8 - (length - 8 * before)..).unwrap_or_default());
        bytes
    }

    pub(super) fn from_words(words: [u64; 2]) -> Literal {
        let [tail, meta] = words;
        Literal { tail, meta }
    }

    pub(super) fn words(self) -> [u64; 2] {
        [self.tail, self.meta]
    }

    /// Whether a text fits; `text` holds the words of all literals, `test` decides what is more than a literal.
    #[inline]
    pub(super) fn fits<const FOLD: bool>(
        self,
        subject: &Subject<'_, FOLD>,
        text: &[u64],
        test: impl FnOnce(usize) -> bool,
    ) -> bool {
        let detail = (self.meta & 0xffff_ffff) as usize;
        let length = (self.meta >> 32 & 0xffff) as usize;
        match self.meta >> 48 {
            0 if !subject.ends(length, self.tail) => return false,
            0 => {}
            _ if subject.tail(length) != Some(self.tail) => return false,
            1 => {}
            _ => return test(detail),
        }
        if length <= 8 {
            return true;
        }
        let before = (length - 1) / 8;
        text.get(detail..detail + before).is_some_and(|words| subject.begins(words))
    }
}
