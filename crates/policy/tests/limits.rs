//! Patterns at the limit of what they may grow to, with and without what variables bring.
#![expect(clippy::expect_used, reason = "tests may fail loudly")]

use policy::pattern::EXPANDED_MAX;
use policy::{
    Context, Dialect, Document, Evaluate, Named, PolicyKind, PolicySet, Principal, PrincipalKind,
    Request, Value,
};
use worlds::Agreed;

/// Whether both evaluators allow with one statement; they must agree.
fn allowed(statement: &str, resource: &str, context: &[(&str, &str)]) -> bool {
    let text = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "a:B", {statement}}}]}}"#
    );
    let document = Document::read(&text, PolicyKind::Identity, Dialect::Aws).expect("a document");
    let mut all = Context::new();
    for (key, value) in context {
        all.set(key, Value::Single((*value).to_owned()));
    }
    let account = Some("111122223333".to_owned());
    let request = Request {
        dialect: Dialect::Aws,
        action: "a:B".to_owned(),
        resource: resource.to_owned(),
        wildcard_only: false,
        resource_account: None,
        principal: Principal { account, ..Principal::new(PrincipalKind::User) },
        context: all,
    };
    let identity = vec![Named { name: "p", document: &document }];
    Agreed.decide(&request, &PolicySet { identity, ..PolicySet::default() }).allowed()
}

const START: &str = "arn:aws:a:::";

#[test]
fn a_part_of_a_name_beyond_the_limit_fits_nothing() {
    for (length, fits) in
        [(EXPANDED_MAX - 1, true), (EXPANDED_MAX, true), (EXPANDED_MAX + 1, false)]
    {
        let (shorter, last) = ("x".repeat(length - 1), "x".repeat(length));
        let name = format!("{START}{last}");
        for part in [last, format!("{shorter}*"), format!("{shorter}?"), format!("*{shorter}")] {
            let only = format!(r#""Resource": "{START}{part}""#);
            assert_eq!(allowed(&only, &name, &[]), fits, "{length}");
            let but = format!(r#""NotResource": "{START}{part}""#);
            assert_eq!(allowed(&but, &name, &[]), !fits, "{length}");
            let arn = condition("ArnLike", &format!("{START}{part}"));
            assert_eq!(allowed(&arn, START, &[("a:k", &name)]), fits, "{length}");
        }
    }
}

fn condition(operator: &str, value: &str) -> String {
    format!(r#""Resource": "*", "Condition": {{"{operator}": {{"a:k": "{value}"}}}}"#)
}

#[test]
fn a_listed_value_beyond_the_limit_fits_nothing() {
    for (length, fits) in
        [(EXPANDED_MAX - 1, true), (EXPANDED_MAX, true), (EXPANDED_MAX + 1, false)]
    {
        let value = "x".repeat(length);
        for operator in ["StringEquals", "StringLike", "StringEqualsIgnoreCase"] {
            let text = condition(operator, &value);
            assert_eq!(allowed(&text, START, &[("a:k", &value)]), fits, "{operator} {length}");
        }
    }
}

#[test]
fn the_values_of_variables_count() {
    for (more, fits) in [(0, true), (1, false)] {
        let value = "x".repeat(EXPANDED_MAX - 1 + more);
        let resource = format!("{START}{value}/");
        let only = format!(r#""Resource": "{START}${{a:k}}/""#);
        assert_eq!(allowed(&only, &resource, &[("a:k", &value)]), fits, "{more}");
    }
    // Characters count, not bytes.
    let value = "é".repeat(EXPANDED_MAX);
    let resource = format!("{START}{value}");
    let only = format!(r#""Resource": "{START}${{a:k}}""#);
    assert!(allowed(&only, &resource, &[("a:k", &value)]));
    let only = format!(r#""Resource": "{START}{value}""#);
    assert!(allowed(&only, &resource, &[]));
}

#[test]
fn more_variables_than_the_engine_takes_are_filled_in_all_the_same() {
    for count in [7, 8, 9, 20] {
        let keys: Vec<String> = (0..count).map(|n| format!("a:k{n}")).collect();
        let pattern: String = keys.iter().map(|key| format!("${{{key}}}/")).collect();
        let context: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
        let only = format!(r#""Resource": "arn:aws:a:::{pattern}""#);
        let resource = format!("arn:aws:a:::{}", "v/".repeat(count));
        assert!(allowed(&only, &resource, &context), "{count}");
        assert!(!allowed(&only, &resource, context.get(1..).expect("more")), "{count}");
        let other = format!("arn:aws:a:::{}", "w/".repeat(count));
        assert!(!allowed(&only, &other, &context), "{count}");
    }
}
