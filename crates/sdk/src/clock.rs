//! The only place of this crate that reads the clock and draws random bytes; a signature carries the time it
//! was made, and one of Alibaba Cloud's a nonce.

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

/// A text that was never drawn before.
///
/// Errors: what the system's random source says.
pub(crate) fn nonce() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
