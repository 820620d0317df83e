//! The JSON reader beside serde's: what ours accepts means the same there, what it refuses more is listed.
#![expect(clippy::panic, reason = "tests may fail loudly")]

use policy::json::{self, Json};
use proptest::prelude::*;
use serde_json::Value;

/// A value of ours as one of serde's; numbers as the texts they are.
fn value(json: &Json<'_>) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(is) => Value::Bool(*is),
        Json::Number(text) => text.parse().map_or(Value::Null, Value::Number),
        Json::String(text) => Value::String(text.to_string()),
        Json::Array(items) => items.iter().map(|node| value(&node.value)).collect(),
        Json::Object(members) => {
            members.iter().map(|m| (m.name.to_string(), value(&m.value.value))).collect()
        }
    }
}

/// The refusals that serde does not have.
const STRICTER: [&str; 4] = ["occurs twice", "control character", "not accepted", "deeper than"];

fn agree(text: &str) {
    let theirs = serde_json::from_str::<Value>(text);
    match (json::read(text), theirs) {
        (Ok(node), Ok(theirs)) => assert_eq!(value(&node.value), theirs, "{text}"),
        (Ok(node), Err(error)) => panic!("{text:?}: read as {node:?}, but {error}"),
        (Err(_), Err(_)) => {}
        (Err(error), Ok(_)) => {
            assert!(STRICTER.iter().any(|why| error.detail.contains(why)), "{text:?}: {error:?}");
        }
    }
}

/// Texts made of what JSON is made of.
fn scraps() -> impl Strategy<Value = String> {
    let scrap = prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"b\"", "\\", "\\n", "\\u0041", "\\ud83d",
        "\\ude00", "\\u00", "0", "1", "-", "+", ".", "e", "E", "9", "true", "false", "null", "tru",
        " ", "\n", "\t", "\r", "é", "\u{1}", "\"k\":", "{}", "[]", "1.5e3", "-0",
    ]);
    prop::collection::vec(scrap, 0..9).prop_map(|scraps| scraps.concat())
}

/// Correct texts, one place of which may be spoilt.
fn nearly() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(Value::from),
        "[a-z\"\\\\/\n\té]{0,6}".prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{0,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    (tree, any::<bool>(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(value, spoil, at, with)| {
            let mut text = value.to_string().into_bytes();
            if spoil {
                let at = at.index(text.len());
                if let Some(byte) = text.get_mut(at) {
                    *byte = with % 128;
                }
            }
            String::from_utf8_lossy(&text).into_owned()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn scraps_are_read_as_elsewhere(text in scraps()) {
        agree(&text);
    }

    #[test]
    fn correct_and_spoilt_texts_are_read_as_elsewhere(text in nearly()) {
        agree(&text);
    }

    #[test]
    fn a_string_literal_is_read_as_the_string(text in "\\PC{0,12}[\n\r\t\"\\\\]{0,3}\\PC{0,4}") {
        let literal = json::quoted(&text);
        let node = json::read(&literal).map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
        prop_assert_eq!(node.value, Json::String(text.into()));
        prop_assert_eq!((node.start, node.end), (0, literal.len()));
    }
}

#[test]
fn every_escape_is_resolved_or_refused() {
    for (escape, wanted) in [
        (r#"\""#, Some("\"")),
        (r"\\", Some("\\")),
        (r"\/", Some("/")),
        (r"\n", Some("\n")),
        (r"\r", Some("\r")),
        (r"\t", Some("\t")),
        (r"\u0041", Some("A")),
        (r"\u0020", Some(" ")),
        (r"\u000a", Some("\n")),
        (r"\u000D", Some("\r")),
        (r"\u0009", Some("\t")),
        (r"\u00e9", Some("é")),
        (r"\uFFFF", Some("\u{ffff}")),
        (r"\uE000", Some("\u{e000}")),
        (r"\uD7FF", Some("\u{d7ff}")),
        (r"\ud800\udc00", Some("\u{10000}")),
        (r"\udbff\udfff", Some("\u{10ffff}")),
        (r"\ud83d\ude00", Some("😀")),
        (r"\b", None),
        (r"\f", None),
        (r"\x41", None),
        (r"\u001f", None),
        (r"\u0000", None),
        (r"\u000b", None),
        (r"\u004", None),
        (r"\u+041", None),
        (r"\u004g", None),
        (r"\ud800", None),
        (r"\ud800\ue000", None),
        (r"\ud800\udbff", None),
        (r"\ud800x", None),
        (r"\udc00", None),
        (r"\udfff", None),
    ] {
        let text = format!("\"{escape}\"");
        let found = json::read(&text).ok().map(|node| node.value);
        assert_eq!(found, wanted.map(|text| Json::String(text.into())), "{escape}");
    }
    assert!(json::read("\"\u{1f}\"").is_err());
    assert!(json::read("\"\u{7f}\"").is_ok());
}

#[test]
fn an_error_tells_where_it_is_and_in_which_value() {
    for (text, at, path, detail) in [
        ("", 0, "", "the text ends where a value was expected"),
        ("\u{feff}{}", 0, "", "byte-order mark"),
        ("  nul", 2, "", "expected a JSON value"),
        ("{} {}", 3, "", "text follows"),
        ("{\"a\": [1, 2 3]}", 12, "/a", "a comma or a closing bracket"),
        ("{\"a\": [1, x]}", 10, "/a/1", "expected a JSON value"),
        ("{\"a\": {\"b/~\": 01}}", 14, "/a/b~1~0", "no leading zero"),
        ("{\"a\": 1 \"b\": 2}", 8, "", "a comma or a closing brace"),
        ("{\"a\" 1}", 5, "/a", "a colon"),
        ("{a: 1}", 1, "", "a member name in double quotes"),
        ("{\"a\": 1, \"a\": 2}", 9, "/a", "`a` occurs twice"),
        ("[-]", 1, "/0", "a number needs digits"),
        ("[1.]", 1, "/0", "digits after its point"),
        ("[1e+]", 1, "/0", "digits in its exponent"),
        ("[1e999]", 1, "/0", "out of range"),
        ("[\"a\u{2}\"]", 3, "/0", "a control character"),
        ("[\"ab", 4, "/0", "ends inside a string"),
        ("[\"a\\q\"]", 3, "/0", "an escape that is not accepted"),
    ] {
        let Err(error) = json::read(text) else { panic!("{text:?} is accepted") };
        assert_eq!((error.at, error.path.as_str()), (at, path), "{text:?}: {}", error.detail);
        assert!(error.detail.contains(detail), "{text:?}: {}", error.detail);
    }
}

#[test]
fn a_member_given_twice_is_found_among_few_and_among_many() {
    for count in [1, 2, 15, 16, 17, 18, 40] {
        let names: Vec<String> = (0..count).map(|n| format!("\"k{n}\": 0")).collect();
        assert!(json::read(&format!("{{{}}}", names.join(","))).is_ok(), "{count}");
        for again in [0, count / 2, count - 1] {
            let text = format!("{{{}, \"k{again}\": 0}}", names.join(","));
            let twice = json::read(&text).is_err_and(|e| e.detail.contains("twice"));
            assert!(twice, "{again} of {count}");
        }
    }
}

#[test]
fn places_are_counted_in_lines_and_characters() {
    let text = "a\né\n\nb";
    let found: Vec<_> = [0, 1, 2, 4, 5, 6, 99].iter().map(|at| json::position(text, *at)).collect();
    assert_eq!(found, [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (4, 1), (4, 2)]);
}

#[test]
fn texts_are_quoted_as_they_are_read() {
    for (text, quoted) in [
        ("", r#""""#),
        (" a", r#"" a""#),
        ("\u{1f}\u{20}", r#""\u001f ""#),
        ("\"\\/", r#""\"\\/""#),
        ("\n\r\t\u{7f}é", "\"\\n\\r\\t\u{7f}é\""),
    ] {
        assert_eq!(json::quoted(text), quoted);
    }
}
