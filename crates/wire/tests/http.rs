//! The strict decoder of forms and queries.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use proptest::prelude::*;
use wire::http::{
    FormError, PARAMETERS_MAX, Request, parse_form, percent_decode_strict, percent_encode,
};

#[test]
fn atk_a09_forms() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        parse_form("a=b+c%2B&d&e=f=g;h&a=%E2%82%AC%0A").unwrap(),
        [pair("a", "b c+"), pair("d", ""), pair("e", "f=g;h"), pair("a", "€\n")]
    );
    assert_eq!(parse_form("").unwrap(), []);
    for (text, error) in [
        ("a=%", FormError::BadEscape),
        ("a=%4", FormError::BadEscape),
        ("a=%4g", FormError::BadEscape),
        ("a=%+1", FormError::BadEscape),
        ("a=%u0041", FormError::BadEscape),
        ("%=1", FormError::BadEscape),
        ("a=%C0%AF", FormError::NotUtf8),
        ("a=%E0%80%AF", FormError::NotUtf8),
        ("a=%ED%A0%80", FormError::NotUtf8),
        ("a=%F4%90%80%80", FormError::NotUtf8),
        ("a=%FF", FormError::NotUtf8),
        ("a=%E2%82", FormError::NotUtf8),
        ("a=%00", FormError::Control),
        ("a=%1B", FormError::Control),
        ("a=%7F", FormError::Control),
        ("a=%C2%85", FormError::Control),
        ("a=\n", FormError::Control),
        ("a=\0", FormError::Control),
        ("a=é", FormError::NotAscii),
        ("&&", FormError::EmptyName),
        ("a=1&", FormError::EmptyName),
        ("&a=1", FormError::EmptyName),
        ("=x", FormError::EmptyName),
    ] {
        assert_eq!(parse_form(text).unwrap_err(), error, "{text}");
    }
    assert_eq!(percent_decode_strict("a+b%2B", false).unwrap(), "a+b+");
}

#[test]
fn atk_b15_parameter_count() {
    let at = |count: usize| vec!["a=1"; count].join("&");
    assert_eq!(parse_form(&at(PARAMETERS_MAX)).unwrap().len(), PARAMETERS_MAX);
    assert_eq!(parse_form(&at(PARAMETERS_MAX + 1)), Err(FormError::TooMany));
    assert_eq!(parse_form(&"&".repeat(1_000_000)), Err(FormError::TooMany));
}

#[test]
fn a_header_on_two_lines_is_none() {
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![line("a", "1"), line("b", "2"), line("a", "3")];
    let request = Request { headers, ..Request::default() };
    assert_eq!(request.header("b"), Some("2"));
    assert_eq!(request.header("B"), Some("2"));
    assert_eq!(request.header("a"), None);
    assert_eq!(request.header("c"), None);
    assert_eq!(request.headers_named("a").collect::<Vec<_>>(), ["1", "3"]);
}

proptest! {
    #[test]
    fn forms_round_trip(pairs in prop::collection::vec(("[ -~é日🙂\t\n]{1,9}", "[ -~é日🙂\t\n]{0,9}"), 0..9)) {
        let text: Vec<String> =
            pairs.iter().map(|(n, v)| format!("{}={}", percent_encode(n), percent_encode(v))).collect();
        prop_assert_eq!(parse_form(&text.join("&")).unwrap(), pairs);
    }
}
