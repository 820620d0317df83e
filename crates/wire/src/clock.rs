//! Times as the vendors write them.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// A time in seconds, as `2026-09-11T15:16:47Z`. A time outside the years 0 to 9999 becomes the
/// nearest inside them.
pub fn iso_seconds(at_ms: i64) -> String {
    let seconds = at_ms.div_euclid(1_000).clamp(-62_167_219_200, 253_402_300_799);
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(SECONDS).unwrap_or_default()
}

/// A time as [`iso_seconds`] writes it, with its milliseconds.
pub fn iso_millis(at_ms: i64) -> String {
    let seconds = iso_seconds(at_ms);
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), at_ms.rem_euclid(1_000))
}

/// The seconds since 1970 of `2026-09-11T15:16:47Z`, the only accepted form.
pub fn parse_seconds(text: &str) -> Option<i64> {
    let plain =
        text.len() == 20 && text.bytes().all(|b| b.is_ascii_digit() || b"-:TZ".contains(&b));
    let at = PrimitiveDateTime::parse(text, SECONDS).ok().filter(|_| plain)?;
    Some(at.assume_utc().unix_timestamp())
}

const LONG: &[BorrowedFormatItem<'_>] = format_description!(
    "[month repr:short] [day padding:none], [year], [hour repr:12 padding:none]:[minute]:[second] [period]"
);

/// A time as CloudTrail writes the end of credentials: `Jul 18, 2014, 4:07:39 PM`.
pub fn long_date(at_ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1_000));
    at.unwrap_or(OffsetDateTime::UNIX_EPOCH).format(LONG).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_at_the_edges() {
        assert_eq!(iso_seconds(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso_seconds(1_789_140_607_999), "2026-09-11T15:30:07Z");
        assert_eq!(iso_seconds(i64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(iso_seconds(i64::MIN), "0000-01-01T00:00:00Z");
        assert_eq!(iso_millis(1_789_140_607_009), "2026-09-11T15:30:07.009Z");
        assert_eq!(iso_millis(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(parse_seconds("2026-09-11T15:30:07Z"), Some(1_789_140_607));
        for text in ["", "2026-09-11T15:30:07", "2026-9-11T15:30:07Z0", "2026-02-30T15:30:07Z"] {
            assert_eq!(parse_seconds(text), None, "{text}");
        }
        assert_eq!(long_date(1_405_699_659_000), "Jul 18, 2014, 4:07:39 PM");
        assert_eq!(parse_seconds("+026-09-11T15:30:07Z"), None);
    }
}
