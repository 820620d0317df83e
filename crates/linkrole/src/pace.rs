//! How far the trail may run ahead of its checkpoints.
//!
//! No entry is stored whose time is later than two intervals after the last checkpoint's: who stores one waits for the
//! next checkpoint first. That is seldom, since there is one a minute: after the machine slept, after its clock was set
//! forward, and when checkpoints cannot be written. So an entry that is further ahead was never left by a crash, and
//! whoever finds one knows that checkpoints are missing, by the trail's own times and whatever today's is.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest time without a checkpoint.
pub const EVERY: Duration = Duration::from_secs(60);
/// How much younger than the last checkpoint an entry may be, in milliseconds.
pub const GRACE_MS: i64 = 120_000;
/// How long somebody who stores an entry waits for a checkpoint.
const PATIENCE: Duration = Duration::from_secs(60);

/// What whoever stores entries and whoever signs checkpoints say to each other.
#[derive(Debug)]
pub struct Pace {
    now: Mutex<Now>,
    changed: Condvar,
}

/// What was said so far.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Up to which time entries may be stored.
    pub until_ms: i64,
    /// The time of the latest entry that waits.
    pub wanted_ms: i64,
    /// Nothing more comes.
    pub is_ending: bool,
    /// Nobody signs any more.
    is_over: bool,
}

impl Now {
    /// Whether somebody waits for a checkpoint.
    pub fn is_waited_for(&self) -> bool {
        self.wanted_ms > self.until_ms
    }
}

impl Pace {
    /// After a checkpoint of this time.
    pub fn new(last_ms: i64) -> Self {
        let until_ms = last_ms.saturating_add(GRACE_MS);
        let now = Now { until_ms, wanted_ms: i64::MIN, is_ending: false, is_over: false };
        Self { now: Mutex::new(now), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was said so far.
    pub fn now(&self) -> Now {
        *self.lock()
    }

    /// Waits until an entry of this time may be stored.
    ///
    /// Errors: no checkpoint came.
    pub fn wait_for(&self, at_ms: i64) -> Result<(), String> {
        let mut now = self.lock();
        if at_ms <= now.until_ms {
            return Ok(());
        }
        now.wanted_ms = now.wanted_ms.max(at_ms);
        self.changed.notify_all();
        let waits = |now: &mut Now| at_ms > now.until_ms && !now.is_over;
        let waited = self.changed.wait_timeout_while(now, PATIENCE, waits);
        let (now, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match at_ms <= now.until_ms {
            true => Ok(()),
            false => Err("expected a checkpoint of the trail before more is stored; none could be written, see the log".to_owned()),
        }
    }

    /// A checkpoint of this time is on the disk.
    pub fn vouched(&self, at_ms: i64) {
        self.lock().until_ms = at_ms.saturating_add(GRACE_MS);
        self.changed.notify_all();
    }

    /// Rests until somebody waits for a checkpoint or nothing more comes, and for so long at most.
    pub fn rest(&self, at_most: Duration) {
        let rests = |now: &mut Now| !now.is_ending && !now.is_waited_for();
        drop(self.changed.wait_timeout_while(self.lock(), at_most, rests));
    }

    /// Nothing more comes.
    pub fn end(&self) {
        self.lock().is_ending = true;
        self.changed.notify_all();
    }

    /// Nobody signs any more.
    pub fn over(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use std::sync::Arc;

    #[test]
    fn who_is_too_far_ahead_waits_for_a_checkpoint() {
        let pace = Arc::new(Pace::new(1_000));
        pace.wait_for(i64::MIN).unwrap();
        pace.wait_for(1_000 + GRACE_MS).unwrap();
        assert!(!pace.now().is_waited_for());
        let other = pace.clone();
        let waiting = std::thread::spawn(move || other.wait_for(1_001 + GRACE_MS));
        pace.rest(Duration::MAX);
        assert_eq!(pace.now().wanted_ms, 1_001 + GRACE_MS);
        pace.vouched(1_001 + GRACE_MS);
        waiting.join().unwrap().unwrap();
        assert!(!pace.now().is_waited_for());
    }

    #[test]
    fn nobody_waits_for_who_is_gone() {
        let pace = Pace::new(0);
        pace.over();
        assert!(pace.wait_for(GRACE_MS + 1).unwrap_err().contains("none could be written"));
        pace.wait_for(GRACE_MS).unwrap();
    }
}
