//! Where choices come from: a seed, or the bytes of a fuzzer.

/// A source of choices that gives the same ones for the same start.
#[derive(Clone, Debug)]
pub struct Dice<'a> {
    state: u64,
    bytes: &'a [u8],
}

impl Dice<'static> {
    /// Choices without end, from a seed.
    pub fn seeded(seed: u64) -> Dice<'static> {
        Dice { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d, bytes: &[] }
    }
}

impl<'a> Dice<'a> {
    /// Choices from bytes, and when those are used up from what they were.
    pub fn from_bytes(bytes: &'a [u8]) -> Dice<'a> {
        Dice { state: 1, bytes }
    }

    fn next(&mut self) -> u64 {
        if let Some((byte, rest)) = self.bytes.split_first() {
            self.bytes = rest;
            self.state = self.state.rotate_left(8) ^ u64::from(*byte);
            return u64::from(*byte);
        }
        // SplitMix64: short, and good enough for choices.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below another one; 0 below 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = end.max(1) as u64;
        usize::try_from(self.next() % end).unwrap_or_default()
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of some values.
    pub fn pick<'t, T: ?Sized>(&mut self, list: &[&'t T]) -> &'t T
    where
        &'t T: Default,
    {
        list.get(self.below(list.len())).copied().unwrap_or_default()
    }

    /// The place of one of some values; `None` of none.
    pub fn place<'t, T>(&mut self, list: &'t [T]) -> Option<&'t T> {
        list.get(self.below(list.len()))
    }
}
