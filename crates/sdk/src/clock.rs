//! The only place of this crate that reads the clock; a signature carries the time it was made.

use time::OffsetDateTime;

/// The time now.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
