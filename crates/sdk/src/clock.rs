//! The only place of this crate that reads the clock; a signature carries the time it was made.

use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// The time now.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// The time in the form that signatures carry.
pub(crate) fn parse(text: &str) -> Option<OffsetDateTime> {
    let form = format_description!("[year][month][day]T[hour][minute][second]Z");
    Some(PrimitiveDateTime::parse(text, form).ok()?.assume_utc())
}
