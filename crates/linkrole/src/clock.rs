//! The only place that reads the clock and the random source of the operating system.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the time comes from: the system, or a number that a test moves.
#[derive(Debug, Default)]
pub struct Clock {
    fixed_ms: Option<AtomicI64>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { fixed_ms: None }
    }

    /// A clock that stands where it is put.
    #[cfg(test)]
    pub fn fixed(at_ms: i64) -> Self {
        Self { fixed_ms: Some(AtomicI64::new(at_ms)) }
    }

    /// Moves a fixed clock.
    #[cfg(test)]
    pub fn set(&self, at_ms: i64) {
        if let Some(fixed) = &self.fixed_ms {
            fixed.store(at_ms, Ordering::SeqCst);
        }
    }

    /// The time, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        match &self.fixed_ms {
            Some(fixed) => fixed.load(Ordering::SeqCst),
            None => system_ms(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
fn system_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What has passed since it was started, by a clock that nobody sets.
pub struct StopWatch(Instant);

impl StopWatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// What has passed.
    pub fn passed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Fills bytes with randomness of the operating system.
///
/// Without randomness no secret can be made, so the process ends.
pub fn random(bytes: &mut [u8]) {
    if getrandom::fill(bytes).is_err() {
        std::process::abort();
    }
}

/// A random (version 4) UUID.
pub fn uuid() -> String {
    let mut bytes = [0; 16];
    random(&mut bytes);
    iam::tx::uuid(bytes)
}
