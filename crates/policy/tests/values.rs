//! Typed readings of condition values, against tables.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use std::cmp::Ordering;

use policy::value::{Address, AddressRange, Decimal, boolean, bytes, instant};

const SECOND: i128 = 1_000_000_000;

#[test]
fn points_in_time_are_read_to_the_nanosecond_and_in_every_zone() {
    let base = 1_704_067_200 * SECOND; // 2024-01-01T00:00:00Z
    let read = [
        ("2024-01-01", base),
        ("2024-01", base),
        ("2024-01-01T00:00", base),
        ("2024-01-01T00:00:00", base),
        ("2024-01-01t00:00:00z", base),
        ("2024-01-01T01:02:03Z", base + 3_723 * SECOND),
        ("2024-01-01T23:59:59Z", base + 86_399 * SECOND),
        ("2024-01-01T00:00:00.5Z", base + SECOND / 2),
        ("2024-01-01T00:00:00.000000001Z", base + 1),
        ("2024-01-01T00:00:00.0000000019Z", base + 1),
        ("2024-01-01T08:30:00+08:30", base),
        ("2024-01-01T08:30:00+0830", base),
        ("2024-01-01T08:00:00+08", base),
        ("2023-12-31T16:45:00-07:15", base),
        ("2024-01-01T18:59:00+18:59", base),
        ("2024-02-29", base + 59 * 86_400 * SECOND),
        ("1969-12-31T23:59:59Z", -SECOND),
        ("1704067200", base),
        ("1704067200.25", base + SECOND / 4),
        ("-1.5", -SECOND - SECOND / 2),
        ("0", 0),
    ];
    for (text, expected) in read {
        assert_eq!(instant(text), Some(expected), "{text}");
    }
    let refused = [
        "",
        "-",
        "2024-1-01x",
        "2024-01-1",
        "2024-13-01",
        "2024-02-30",
        "2023-02-29",
        "2024-01-01T",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:60Z",
        "2024-01-01T0:00:00Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00.5Z",
        "2024-01-01T00:00:00+19:00",
        "2024-01-01T00:00:00+08:60",
        "2024-01-01T00:00:00+8",
        "2024-01-01T00:00:00+083",
        "2024-01-01T00:00:00+08:3",
        "2024-01-01T00:00:00ZZ",
        "2024-01-01 00:00:00",
        "2024-01T00:00Z",
        "2024-01-01-01",
        "1.",
        ".5",
        "1.2.3",
        "1234567890123456789",
        "1.1234567890123456789",
    ];
    for text in refused {
        assert_eq!(instant(text), None, "{text}");
    }
}

#[test]
fn ranges_of_addresses_hold_what_their_prefix_says() {
    let holds = |range: &str, address: &str| {
        AddressRange::parse(range).unwrap().contains(Address::parse(address).unwrap())
    };
    let table = [
        ("10.0.0.0/8", "10.255.255.255", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("10.1.2.3/8", "10.9.9.9", true),
        ("10.0.0.1", "10.0.0.1", true),
        ("10.0.0.1", "10.0.0.2", false),
        ("10.0.0.0/31", "10.0.0.1", true),
        ("10.0.0.0/31", "10.0.0.2", false),
        ("0.0.0.0/0", "255.255.255.255", true),
        ("0.0.0.0/0", "::1", false),
        ("::/0", "10.0.0.1", false),
        ("::/0", "ffff::", true),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::", false),
        ("2001:db8::1/128", "2001:db8::1", true),
        ("2001:db8::1/128", "2001:db8::2", false),
        ("::ffff:10.0.0.1", "10.0.0.1", false),
        ("10.0.0.0/08", "10.200.0.1", true),
    ];
    for (range, address, expected) in table {
        assert_eq!(holds(range, address), expected, "{address} in {range}");
    }
    let refused = [
        "",
        "10",
        "10.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/0008",
        "10.0.0.0/+8",
        "10.0.0.0/8/8",
        "10.0.0.0/-1",
        "10.0.0.0/a",
        "::/129",
        "010.0.0.1",
        "10.0.0.1 ",
        "10.0.0.256",
    ];
    for text in refused {
        assert!(AddressRange::parse(text).is_none(), "{text}");
    }
}

#[test]
fn decimals_compare_as_numbers_of_any_length() {
    let order = |a: &str, b: &str| Decimal::parse(a).unwrap().cmp(&Decimal::parse(b).unwrap());
    let ascending = [
        "-1e400",
        "-100",
        "-99.999",
        "-10",
        "-1.5",
        "-1",
        "-0.2",
        "-0.1",
        "-0.09",
        "0",
        "1e-400",
        "0.0099",
        "0.01",
        "0.1",
        "0.11",
        "0.9",
        "1",
        "1.0000000000000000000001",
        "1.1",
        "9",
        "10",
        "10.5",
        "99",
        "100",
        "12345678901234567890",
        "12345678901234567891",
        "1e30",
        "1e400",
    ];
    for (i, a) in ascending.iter().enumerate() {
        for (j, b) in ascending.iter().enumerate() {
            assert_eq!(order(a, b), i.cmp(&j), "{a} and {b}");
        }
    }
    let equal = [
        ("1", "1.0"),
        ("1", "01"),
        ("100", "1e2"),
        ("100", "1E+2"),
        ("0.01", "1e-2"),
        ("0", "-0"),
        ("0", "0.000"),
        ("0", "0e5"),
        ("1200", "12.00e2"),
        ("00012.3400", "12.34"),
        ("0.0012", "12e-4"),
        ("10", "1e000001"),
    ];
    for (a, b) in equal {
        assert_eq!(order(a, b), Ordering::Equal, "{a} and {b}");
    }
    let refused = [
        "",
        "-",
        "+1",
        " 1",
        "1 ",
        "1.",
        ".1",
        "1e",
        "e1",
        "1e+",
        "0x1",
        "1,0",
        "1e401",
        "1e-401",
        "--1",
        "1e1.5",
        "١",
        "NaN",
        "inf",
        "1e0000001",
    ];
    for text in refused {
        assert!(Decimal::parse(text).is_none(), "{text}");
    }
    assert!(Decimal::parse("1").unwrap() != Decimal::parse("2").unwrap());
    assert!(Decimal::parse("1").unwrap() < Decimal::parse("2").unwrap());
}

#[test]
fn booleans_and_bytes_have_one_form_each() {
    for (text, expected) in [("true", Some(true)), ("TRUE", Some(true)), ("False", Some(false))] {
        assert_eq!(boolean(text), expected);
    }
    for text in ["", "1", "0", "yes", "true ", "t"] {
        assert_eq!(boolean(text), None, "{text}");
    }
    assert_eq!(bytes("YWI="), Some(b"ab".to_vec()));
    assert_eq!(bytes(""), Some(Vec::new()));
    for text in ["YWI", "YW I=", "Y", "YWI=="] {
        assert_eq!(bytes(text), None, "{text}");
    }
}

#[test]
fn operators_read_wildcards_and_values_of_their_own_kind() {
    use policy::OperatorClass as Class;
    let class = |name: &str| Class::ALL.iter().find(|(known, _)| *known == name).map(|(_, c)| *c);
    for (name, wildcards, good, bad) in [
        ("StringEquals", false, "any", None),
        ("StringLike", true, "any", None),
        ("StringNotLike", true, "any", None),
        ("ArnLike", true, "arn:aws:a:::b", None),
        ("ArnEquals", true, "arn:aws:a:::b", None),
        ("Bool", false, "true", Some("yes")),
        ("Null", false, "false", Some("0x")),
        ("NumericEquals", false, "1.5", Some("one")),
        ("DateEquals", false, "2020-01-01T00:00:00Z", Some("today")),
        ("BinaryEquals", false, "YQ==", Some("*")),
        ("IpAddress", false, "192.0.2.0/24", Some("192.0.2")),
    ] {
        let class = class(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(class.has_wildcards(), wildcards, "{name}");
        assert!(class.can_read(good), "{name}");
        assert!(bad.is_none_or(|text| !class.can_read(text)), "{name}");
    }
}

#[test]
fn seconds_since_1970_have_eighteen_digits_at_most() {
    let digits = |count: usize| "9".repeat(count);
    assert_eq!(instant(&digits(18)), Some(999_999_999_999_999_999 * SECOND));
    assert_eq!(instant(&format!("-{}", digits(18))), Some(-999_999_999_999_999_999 * SECOND));
    assert_eq!(instant(&digits(19)), None);
    assert_eq!(instant("5.5"), Some(5 * SECOND + SECOND / 2));
    assert_eq!(instant(".5"), None);
}
