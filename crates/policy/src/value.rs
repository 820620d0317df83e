//! Typed readings of condition values: decimals, instants, addresses, booleans, bytes.
//!
//! Every reader is strict: what it does not understand completely it refuses, so that no text is read
//! loosely. Nothing here is a float.

use core::cmp::Ordering;
use core::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;

/// The largest exponent of a decimal, either way, that is accepted.
const EXPONENT_MAX: i64 = 400;

/// A decimal number of any length, as a view of its text.
#[derive(Clone, Copy, Debug)]
pub struct Decimal<'a> {
    negative: bool,
    /// The number of digits before the point; zero or negative for small fractions.
    magnitude: i64,
    /// The significant digits without zeros at either end, in two pieces; empty for zero.
    digits: (&'a str, &'a str),
}

impl<'a> Decimal<'a> {
    /// Reads `-12.50` or `1e3`; blanks, a plus sign and other notations are refused.
    pub fn parse(text: &'a str) -> Option<Decimal<'a>> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let digits = trimmed(whole, fraction);
        if digits == ("", "") {
            return Some(Decimal { negative: false, magnitude: 0, digits });
        }
        let zeros = whole.len() + fraction.len() - trimmed_start(whole, fraction);
        let magnitude = i64::try_from(whole.len()).ok()? - i64::try_from(zeros).ok()? + exponent;
        Some(Decimal { negative, magnitude, digits })
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        self.digits.0.bytes().chain(self.digits.1.bytes())
    }
}

/// How many digits are left when the zeros at the start are gone.
fn trimmed_start(whole: &str, fraction: &str) -> usize {
    match whole.trim_start_matches('0') {
        "" => fraction.trim_start_matches('0').len(),
        rest => rest.len() + fraction.len(),
    }
}

/// The digits without zeros at either end.
fn trimmed<'a>(whole: &'a str, fraction: &'a str) -> (&'a str, &'a str) {
    let (whole, fraction) = match whole.trim_start_matches('0') {
        "" => ("", fraction.trim_start_matches('0')),
        rest => (rest, fraction),
    };
    match fraction.trim_end_matches('0') {
        "" => (whole.trim_end_matches('0'), ""),
        rest => (whole, rest),
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal<'_> {}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size: i64 = digits.parse().ok()?;
    let value = if text.starts_with('-') { -size } else { size };
    (size <= EXPONENT_MAX).then_some(value)
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |d: &Self| match (d.digits == ("", ""), d.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let size =
            || self.magnitude.cmp(&other.magnitude).then_with(|| self.bytes().cmp(other.bytes()));
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            1 => size(),
            _ => size().reverse(),
        })
    }
}

/// Nanoseconds since 1970 of a point in time.
///
/// Read are epoch seconds (digits, optionally a sign and a fraction) and ISO 8601 forms: a date alone, or a
/// date and a time to the minute, second or fraction; without a zone it is UTC.
pub fn instant(text: &str) -> Option<i128> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let epoch = unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if epoch { epoch_instant(text, unsigned) } else { calendar_instant(text) }
}

const NANOS: i128 = 1_000_000_000;

fn epoch_instant(text: &str, unsigned: &str) -> Option<i128> {
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, nanos(fraction)?),
        None => (unsigned, 0),
    };
    if whole.is_empty() || whole.len() > 18 {
        return None;
    }
    let total = i128::from(whole.parse::<u64>().ok()?) * NANOS + fraction;
    Some(if text.starts_with('-') { -total } else { total })
}

fn nanos(fraction: &str) -> Option<i128> {
    if fraction.is_empty() || fraction.len() > 18 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The first nine digits count; missing ones are zeros.
    let digits = fraction.bytes().chain(core::iter::repeat(b'0')).take(9);
    Some(digits.fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0')))
}

/// Exactly `width` digits as a number.
fn digits(text: &str, width: usize) -> Option<u16> {
    let valid = text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
    if valid { text.parse().ok() } else { None }
}

fn calendar_instant(text: &str) -> Option<i128> {
    let (date, clock) = match text.split_once(['T', 't']) {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let mut fields = date.split('-');
    let year = digits(fields.next()?, 4)?;
    let month = u8::try_from(digits(fields.next()?, 2)?).ok()?;
    let day = match fields.next() {
        Some(day) => u8::try_from(digits(day, 2)?).ok()?,
        None if clock.is_none() => 1,
        None => return None,
    };
    if fields.next().is_some() {
        return None;
    }
    let month = time::Month::try_from(month).ok()?;
    let date = time::Date::from_calendar_date(i32::from(year), month, day).ok()?;
    let days = i128::from(date.to_julian_day()) - 2_440_588;
    let nanos_of_day = match clock {
        Some(clock) => clock_nanos(clock)?,
        None => 0,
    };
    Some(days * 86_400 * NANOS + nanos_of_day)
}

/// Nanoseconds since midnight UTC of `hh:mm[:ss[.fraction]][Z|±hh:mm|±hhmm]`.
fn clock_nanos(text: &str) -> Option<i128> {
    let zone_at = text.find(['Z', 'z', '+', '-']).unwrap_or(text.len());
    let (local, zone) = text.split_at_checked(zone_at)?;
    let (local, fraction) = match local.split_once('.') {
        Some((local, fraction)) => (local, nanos(fraction)?),
        None => (local, 0),
    };
    let mut fields = local.split(':');
    let hour = digits(fields.next()?, 2)?;
    let minute = digits(fields.next()?, 2)?;
    let second = match fields.next() {
        Some(second) => digits(second, 2)?,
        None if fraction == 0 => 0,
        None => return None,
    };
    if fields.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i128::from(hour) * 3600 + i128::from(minute) * 60 + i128::from(second);
    Some((seconds - zone_seconds(zone)?) * NANOS + fraction)
}

fn zone_seconds(zone: &str) -> Option<i128> {
    if matches!(zone, "" | "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match zone.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, zone.strip_prefix('-')?),
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None if rest.len() == 4 => rest.split_at_checked(2)?,
        None => (rest, "00"),
    };
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours > 18 || minutes > 59 {
        return None;
    }
    Some(sign * (i128::from(hours) * 3600 + i128::from(minutes) * 60))
}

/// An IP address of either version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Address {
    /// Version 4.
    V4(u32),
    /// Version 6; an address that wraps a version 4 one stays a version 6 address.
    V6(u128),
}

impl Address {
    /// Reads one address.
    pub fn parse(text: &str) -> Option<Address> {
        if let Ok(v4) = text.parse::<Ipv4Addr>() {
            return Some(Address::V4(u32::from(v4)));
        }
        text.parse::<Ipv6Addr>().ok().map(|v6| Address::V6(u128::from(v6)))
    }
}

/// A range of addresses, `10.0.0.0/8` or a single address; bits beyond the prefix are ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressRange {
    base: Address,
    prefix: u32,
}

impl AddressRange {
    /// Reads a range.
    pub fn parse(text: &str) -> Option<AddressRange> {
        let (base, prefix) = match text.split_once('/') {
            Some((base, prefix)) => (base, Some(prefix)),
            None => (text, None),
        };
        let base = Address::parse(base)?;
        let prefix_max = match base {
            Address::V4(_) => 32,
            Address::V6(_) => 128,
        };
        let prefix = match prefix {
            None => prefix_max,
            Some(p) if (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()) => {
                p.parse().ok().filter(|p| *p <= prefix_max)?
            }
            Some(_) => return None,
        };
        Some(AddressRange { base, prefix })
    }

    /// Whether an address lies in the range; one of the other version never does.
    pub fn contains(&self, address: Address) -> bool {
        match (self.base, address) {
            (Address::V4(base), Address::V4(a)) => {
                let mask = u32::MAX.checked_shl(32 - self.prefix).unwrap_or(0);
                base & mask == a & mask
            }
            (Address::V6(base), Address::V6(a)) => {
                let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
                base & mask == a & mask
            }
            _ => false,
        }
    }
}

/// Reads `true` or `false` in any case; nothing else is a boolean.
pub fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Reads standard base64 with padding.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}
