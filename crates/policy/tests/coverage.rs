//! Coverage of patterns against brute force: every short text is tried.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

use policy::coverage::{covers, covers_action, covers_resource, meets_resource};
use policy::pattern::{Incomplete, Wildcards, matches};
use policy::{Context, Pattern, PolicyKind, Template, check};
use proptest::prelude::*;

/// Every text over some characters up to a length.
fn texts(characters: &[char], length_max: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..length_max {
        let to = all.len();
        for at in from..to {
            for c in characters {
                let longer = format!("{}{c}", all[at]);
                all.push(longer);
            }
        }
        from = to;
    }
    all
}

/// What each pattern fits, by the matcher.
fn table(
    patterns: &[String],
    texts: &[String],
    fits: &dyn Fn(&str, &str) -> bool,
) -> Vec<Vec<bool>> {
    patterns.iter().map(|p| texts.iter().map(|t| fits(p, t)).collect()).collect()
}

fn is_subset(under: &[bool], over: &[bool]) -> bool {
    under.iter().zip(over).all(|(under, over)| !under || *over)
}

#[test]
fn plain_patterns_agree_with_every_short_text() {
    let patterns = texts(&['a', '?', '*'], 4);
    // `z` stands for every character that no pattern names.
    let samples = texts(&['a', 'z'], 8);
    let fits = table(&patterns, &samples, &|p, t| matches(p, t));
    for (over, over_fits) in patterns.iter().zip(&fits) {
        for (under, under_fits) in patterns.iter().zip(&fits) {
            let wanted = is_subset(under_fits, over_fits);
            assert_eq!(covers(over, under), wanted, "`{over}` over `{under}`");
        }
    }
}

/// How the name of a type of resources is matched.
fn part_by_part(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<_>, Vec<_>) =
        (pattern.splitn(6, ':').collect(), text.splitn(6, ':').collect());
    pattern.len() == text.len() && pattern.iter().zip(&text).all(|(p, t)| matches(p, t))
}

#[test]
fn resource_patterns_agree_with_every_short_text() {
    let patterns: Vec<String> = texts(&['a', '?', '*', ':'], 3).into_iter().skip(1).collect();
    let samples = texts(&['a', 'z', ':'], 7);
    let empty = Context::new();
    for (kind, incomplete) in
        [(PolicyKind::Identity, Incomplete::Filled), (PolicyKind::Resource, Incomplete::Never)]
    {
        let template = |p: &str| Template::new(p, Wildcards::Active, false);
        let fits = table(&patterns, &samples, &|p, t| {
            template(p).matches_resource(t, &empty, incomplete) == Some(true)
        });
        let strict = table(&patterns, &samples, &part_by_part);
        for (over, over_fits) in patterns.iter().zip(&fits) {
            for ((under, under_fits), names) in patterns.iter().zip(&fits).zip(&strict) {
                let (o, u) = (template(over), template(under));
                let wanted = is_subset(under_fits, over_fits);
                assert_eq!(
                    covers_resource(&o, &u, kind),
                    wanted,
                    "`{over}` over `{under}` {kind:?}"
                );
                let both = over_fits.iter().zip(names).any(|(o, n)| *o && *n);
                assert_eq!(
                    meets_resource(&o, under, kind),
                    both,
                    "`{over}` and `{under}` {kind:?}"
                );
            }
        }
    }
}

#[test]
fn actions_compare_without_case_and_part_by_part() {
    let table = [
        ("*", "s3:Get*", true),
        ("s3:*", "S3:getObject", true),
        ("s3:Get*", "s3:GetObject*", true),
        ("s3:GetObject", "s3:Get*", false),
        ("s3:*Object*", "s3:GetObjectAcl", true),
        ("s3:*", "*", false),
        ("*:*", "*", true),
        ("s*:Get*", "s3:Get?", true),
        ("s3:*:x", "s3:a:x", true),
        ("*s3:*", "s3:x", true),
        ("s3", "s3:x", false),
    ];
    for (over, under, wanted) in table {
        let found = covers_action(&Pattern::new(over), &Pattern::new(under));
        assert_eq!(found, wanted, "`{over}` over `{under}`");
    }
}

#[test]
fn a_variable_is_covered_by_what_covers_any_value() {
    let template = |p: &str| Template::new(p, Wildcards::Active, true);
    let table = [
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/${aws:username}/x", true),
        ("arn:aws:s3:::b/${aws:username}", "arn:aws:s3:::b/${aws:username}", true),
        ("arn:aws:s3:::b/${aws:username}", "arn:aws:s3:::b/x", false),
        ("arn:aws:s3:::b/x*", "arn:aws:s3:::b/${aws:username}", false),
        ("arn:aws:iam::*:user/x", "arn:aws:iam::${aws:PrincipalAccount}:user/x", true),
    ];
    for (over, under, wanted) in table {
        let found = covers_resource(&template(over), &template(under), PolicyKind::Identity);
        assert_eq!(found, wanted, "`{over}` over `{under}`");
    }
}

/// A name of six parts, each short and with wildcards.
fn name() -> impl Strategy<Value = String> {
    proptest::collection::vec("[ab*?]{0,3}", 6).prop_map(|parts| parts.join(":"))
}

proptest! {
    #[test]
    fn what_covers_a_complete_name_fits_what_the_name_fits(
        over in name(),
        under in name(),
        fill in proptest::collection::vec("[ab:]{0,2}", 24),
    ) {
        let template = |p: &str| Template::new(p, Wildcards::Active, false);
        let mut fill = fill.into_iter();
        let text: String = under
            .chars()
            .map(|c| match c {
                '*' => fill.next().expect("enough"),
                '?' => "a".to_owned(),
                c => c.to_string(),
            })
            .collect();
        let fits = |p: &str| {
            template(p).matches_resource(&text, &Context::new(), Incomplete::Never) == Some(true)
        };
        if covers_resource(&template(&over), &template(&under), PolicyKind::Resource) && fits(&under) {
            prop_assert!(fits(&over), "`{over}` over `{under}` for `{text}`");
        }
    }
}

/// Hostile patterns: the number of states explodes, and the answer is no, soon.
#[test]
fn hostile_patterns_get_an_answer() {
    let over = "*a????????????????????????????????????????????????b*".repeat(20);
    let under = format!("*{}", "a?*".repeat(300));
    assert!(!covers(&over, &under));
}

/// Whether the second statement of a resource's policy is found to be covered by the first.
fn is_covered(over: &str, under: &str) -> bool {
    let text = format!(r#"{{"Version": "2012-10-17", "Statement": [{{{over}}}, {{{under}}}]}}"#);
    let findings = check(&text, PolicyKind::Resource);
    let known = ["redundant-statement", "unreachable-allow"];
    let errors = findings.iter().filter(|f| f.code == "malformed").count();
    assert_eq!(errors, 0, "{text}");
    findings.iter().any(|f| known.contains(&f.code) && f.path == "/Statement/1")
}

/// A statement of some parts; those that are not given are the same in every statement.
fn parts(effect: &str, principal: &str, action: &str, resource: &str, condition: &str) -> String {
    let or = |given: &str, usual: &str| (if given.is_empty() { usual } else { given }).to_owned();
    let principal = or(principal, r#""Principal": {"AWS": ["111122223333"]}"#);
    let action = or(action, r#""Action": "s3:GetObject""#);
    let resource = or(resource, r#""Resource": "arn:aws:s3:::b/*""#);
    let condition =
        if condition.is_empty() { String::new() } else { format!(r#", "Condition": {condition}"#) };
    format!(r#""Effect": "{effect}", {principal}, {action}, {resource}{condition}"#)
}

const A: &str = r#"{"StringEquals": {"aws:a": "x"}}"#;
const B: &str = r#"{"StringEquals": {"aws:b": "x"}}"#;
const BOTH: &str = r#"{"StringEquals": {"aws:a": "x", "aws:b": "x"}}"#;

#[test]
fn a_statement_is_covered_part_by_part() {
    let principal = |p: &str| [p.to_owned(), String::new(), String::new(), String::new()];
    let action = |a: &str| [String::new(), a.to_owned(), String::new(), String::new()];
    let resource = |r: &str| [String::new(), String::new(), r.to_owned(), String::new()];
    let condition = |c: &str| [String::new(), String::new(), String::new(), c.to_owned()];
    let everyone = r#""Principal": "*""#;
    let (one, two) = (
        r#""Principal": {"AWS": "111122223333"}"#,
        r#""Principal": {"AWS": ["444455556666", "111122223333"]}"#,
    );
    let service = r#""Principal": {"Service": "a.example.com"}"#;
    let (no_one, no_two) =
        (one.replace("Principal", "NotPrincipal"), two.replace("Principal", "NotPrincipal"));
    let list = |name: &str, texts: &str| format!(r#""{name}": [{texts}]"#);
    let get = list("Action", r#""s3:GetObject""#);
    let get_put = list("Action", r#""s3:PutObject", "s3:GetObject""#);
    let (not_get, not_get_put) =
        (get.replace("Action", "NotAction"), get_put.replace("Action", "NotAction"));
    let any_action = list("Action", r#""*""#);
    let key = list("Resource", r#""arn:aws:s3:::b/k""#);
    let keys = list("Resource", r#""arn:aws:s3:::c/*", "arn:aws:s3:::b/*""#);
    let any_resource = list("Resource", r#""*""#);
    let (not_key, not_keys) =
        (key.replace("Resource", "NotResource"), keys.replace("Resource", "NotResource"));
    // What covers, what is covered, and whether it is so among equal effects and of a deny over an allow.
    let table = [
        (principal(everyone), principal(one), true, true),
        (principal(everyone), principal(service), true, true),
        (principal(everyone), principal(&no_one), true, true),
        (principal(one), principal(everyone), false, false),
        (principal(two), principal(one), true, true),
        (principal(one), principal(two), false, false),
        (principal(service), principal(one), false, false),
        (principal(service), principal(service), true, true),
        (principal(&no_one), principal(&no_one), true, false),
        (principal(&no_one), principal(&no_two), false, false),
        (principal(one), principal(&no_one), false, false),
        (principal(&no_one), principal(one), false, false),
        (action(&get_put), action(&get), true, true),
        (action(&get), action(&get_put), false, false),
        (action(&any_action), action(&not_get), true, true),
        (action(&get), action(&not_get), false, false),
        (action(&not_get), action(&not_get_put), true, true),
        (action(&not_get_put), action(&not_get), false, false),
        (action(&not_get), action(&get), false, false),
        (resource(&keys), resource(&key), true, true),
        (resource(&key), resource(&keys), false, false),
        (resource(&any_resource), resource(&not_key), true, true),
        (resource(&keys), resource(&not_key), false, false),
        (resource(&not_key), resource(&not_key), true, false),
        (resource(&not_key), resource(&not_keys), false, false),
        (resource(&not_key), resource(&key), false, false),
        (condition(""), condition(A), true, true),
        (condition(A), condition(""), false, false),
        (condition(A), condition(A), true, false),
        (condition(A), condition(B), false, false),
        (condition(A), condition(BOTH), true, false),
        (condition(BOTH), condition(A), false, false),
    ];
    for (over, under, same, denied) in table {
        let text = |effect: &str, [p, a, r, c]: &[String; 4]| parts(effect, p, a, r, c);
        for effect in ["Allow", "Deny"] {
            let found = is_covered(&text(effect, &over), &text(effect, &under));
            assert_eq!(found, same, "{effect}: {over:?} over {under:?}");
        }
        let found = is_covered(&text("Deny", &over), &text("Allow", &under));
        assert_eq!(found, denied, "a deny: {over:?} over {under:?}");
        let found = is_covered(&text("Allow", &over), &text("Deny", &under));
        assert!(!found, "no allow makes a deny superfluous: {over:?} over {under:?}");
    }
}
