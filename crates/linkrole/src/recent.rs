//! The newest entries of the trail, on their way from who stores them to who signs them: these need not be read from the
//! store again. Whoever finds what it wants no longer here reads it there.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many entries are held at most; where more come before they are taken, all are let go.
const MOST: usize = 8_192;

/// Entries that are stored, up to the newest.
#[derive(Debug)]
pub struct Recent(Mutex<Held>);

#[derive(Debug)]
struct Held {
    /// The position that the next entry gets.
    next: u64,
    /// The newest entries, one after the other.
    records: VecDeque<Vec<u8>>,
    /// The time of the youngest entry that was ever held.
    youngest_ms: i64,
}

/// Entries that were taken out.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// What they say, one after the other.
    pub records: Vec<Vec<u8>>,
    /// None of them is younger, in milliseconds since 1970.
    pub youngest_ms: i64,
}

impl Recent {
    /// Nothing yet, before the entry at this position.
    pub fn new(next: u64) -> Self {
        Self(Mutex::new(Held { next, records: VecDeque::new(), youngest_ms: i64::MIN }))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Entries were stored, none younger than `youngest_ms`. Only where somebody takes them they are held.
    pub fn stored(&self, records: Vec<Vec<u8>>, youngest_ms: i64, is_wanted: bool) {
        let mut held = self.lock();
        held.next = held.next.saturating_add(records.len() as u64);
        held.youngest_ms = held.youngest_ms.max(youngest_ms);
        if is_wanted && held.records.len() + records.len() <= MOST {
            held.records.extend(records);
        } else {
            held.records.clear();
        }
    }

    /// Takes entries out from a position on, so many at most, and lets those before it go. None if the first of them is not
    /// here: then the store has it, if anybody has.
    pub fn take(&self, from: u64, most: usize) -> Option<Taken> {
        let mut held = self.lock();
        let first = held.next.checked_sub(held.records.len() as u64)?;
        let past = usize::try_from(from.checked_sub(first)?).ok()?;
        if past > held.records.len() {
            return None;
        }
        held.records.drain(..past);
        let count = held.records.len().min(most);
        let records = held.records.drain(..count).collect();
        Some(Taken { records, youngest_ms: held.youngest_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(recent: &Recent, from: u64, most: usize) -> Option<Vec<u8>> {
        recent.take(from, most).map(|taken| taken.records.concat())
    }

    fn store(recent: &Recent, records: std::ops::Range<u8>, is_wanted: bool) {
        recent.stored(records.map(|n| vec![n]).collect(), 0, is_wanted);
    }

    #[test]
    fn what_is_not_held_is_to_be_read_from_the_store() {
        let recent = Recent::new(5);
        // What came before, and what nobody wanted.
        assert_eq!(taken(&recent, 4, 9), None);
        store(&recent, 5..7, false);
        assert_eq!(taken(&recent, 5, 9), None);
        assert_eq!(taken(&recent, 7, 9), Some(vec![]));
        assert_eq!(taken(&recent, 8, 9), None);
        store(&recent, 7..12, true);
        assert_eq!(taken(&recent, 6, 9), None);
        assert_eq!(taken(&recent, 8, 2), Some(vec![8, 9]));
        // What was taken, or passed over, is gone.
        assert_eq!(taken(&recent, 9, 2), None);
        assert_eq!(taken(&recent, 10, 9), Some(vec![10, 11]));
        assert_eq!(taken(&recent, 12, 9), Some(vec![]));
    }

    #[test]
    fn too_much_is_let_go_and_what_comes_then_is_in_its_place() {
        let recent = Recent::new(1);
        recent.stored(vec![vec![1]; MOST], 7, true);
        recent.stored(vec![vec![2]], 9, true);
        let next = MOST as u64 + 2;
        assert_eq!(taken(&recent, 1, 9), None);
        assert_eq!(taken(&recent, next, 9), Some(vec![]));
        recent.stored(vec![vec![3]], 8, true);
        let only = Taken { records: vec![vec![3]], youngest_ms: 9 };
        assert_eq!(recent.take(next, 9), Some(only));
    }
}
