//! What patterns, conditions and lists are compiled to: a table for each form, since a wrong one only costs
//! time and shows nowhere else.
#![cfg(test)]
#![expect(clippy::expect_used, reason = "tests may fail loudly")]

use super::condition::Condition;
use super::glob::Glob;
use super::literal::{LENGTH_MAX, Shape};
use super::pattern::{ActionTest, ResourceTest};
use super::set::Set;
use crate::document::{Document, PolicyKind, Statement};
use crate::name::Dialect;
use crate::pattern::EXPANDED_MAX;
use crate::request::Named;

fn document(members: &str, dialect: Dialect) -> Document {
    let version = match dialect {
        Dialect::Aws => "2012-10-17",
        Dialect::Alibaba => "1",
    };
    let text =
        format!(r#"{{"Version": "{version}", "Statement": [{{"Effect": "Allow", {members}}}]}}"#);
    Document::read(&text, PolicyKind::Identity, dialect).expect("a document")
}

fn statement(document: &Document) -> &Statement {
    document.statements().first().expect("a statement")
}

#[test]
fn globs_know_what_of_them_is_literal() {
    for (pattern, prefix, suffix, literal, starred) in [
        ("", "", "", Some(""), None),
        ("a:b", "a:b", "a:b", Some("a:b"), None),
        ("a:b*", "a:b", "", None, Some("a:b")),
        ("a:*b", "a:", "b", None, None),
        ("a:b?", "a:b", "", None, None),
        ("*:b", "", ":b", None, None),
        ("a*:b*", "a", "", None, None),
    ] {
        let glob = Glob::action(pattern);
        assert_eq!((glob.prefix(), glob.suffix()), (prefix, suffix), "{pattern}");
        assert_eq!((glob.literal(), glob.starred()), (literal, starred), "{pattern}");
    }
    for (length, is_kept) in [(EXPANDED_MAX, true), (EXPANDED_MAX + 1, false)] {
        let plain = format!("a:{}", "b".repeat(length - 2));
        assert_eq!(Glob::action(&plain).literal().is_some(), is_kept, "{length}");
        let starred = format!("a:{}*", "b".repeat(length - 3));
        assert_eq!(Glob::action(&starred).starred().is_some(), is_kept, "{length}");
    }
}

#[test]
fn conditions_on_single_texts_are_literals() {
    let literals = |operator: &str, values: &str| {
        let members = format!(
            r#""Action": "a:B", "Resource": "*", "Condition": {{"{operator}": {{"a:k": [{values}]}}}}"#
        );
        let document = document(&members, Dialect::Aws);
        let condition = statement(&document).conditions.first().expect("a condition");
        let compiled = Condition::new(condition);
        let found = compiled.literals();
        found.map(|list| list.iter().map(|(text, shape)| ((*text).to_owned(), *shape)).collect())
    };
    let one = |text: &str, shape| Some(vec![(text.to_owned(), shape)]);
    assert_eq!(literals("StringEquals", r#""v""#), one("v", Shape::Exact));
    assert_eq!(literals("StringLike", r#""v*""#), one("v", Shape::Prefix));
    assert_eq!(literals("StringLike", r#""*v""#), None);
    for operator in [
        "StringEqualsIfExists",
        "ForAnyValue:StringEquals",
        "ForAllValues:StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "Null",
    ] {
        assert_eq!(literals(operator, r#""true""#), None, "{operator}");
    }
    let many = |count: usize| vec![r#""v""#; count].join(",");
    assert_eq!(literals("StringEquals", &many(300)).map(|l: Vec<_>| l.len()), Some(300));
}

#[test]
fn resources_have_the_longest_literal_prefix_that_fits() {
    let tests = |resource: &str, dialect| {
        let document = document(&format!(r#""Action": "a:B", "Resource": "{resource}""#), dialect);
        let found = statement(&document);
        ResourceTest::list(&found.resources, &document, found.effect)
    };
    for (resource, prefix, shape) in [
        ("*", "", Shape::Prefix),
        ("arn:aws:a:::b", "arn:aws:a:::b", Shape::Exact),
        ("arn:aws:a:::b*", "arn:aws:a:::b", Shape::Prefix),
        ("arn:aws:a:::b*c", "arn:aws:a:::b", Shape::Test),
        ("arn:aws:a:::b${a:k}", "arn:aws:a:::b", Shape::Test),
    ] {
        let list = tests(resource, Dialect::Aws);
        let test = list.first().expect("a test");
        assert_eq!((test.prefix(), test.shape()), (prefix, shape), "{resource}");
    }
    let list = tests("acs:ram::1234567890123456:role/Work*", Dialect::Alibaba);
    let prefixes: Vec<&str> = list.iter().map(ResourceTest::prefix).collect();
    let (written, folded) =
        ("acs:ram::1234567890123456:role/Work", "acs:ram::1234567890123456:role/work");
    assert_eq!(prefixes, [written, folded]);
    for (length, shape) in [(LENGTH_MAX, Shape::Exact), (LENGTH_MAX + 1, Shape::Test)] {
        let exact = ResourceTest::Exact("a".repeat(length).into());
        assert_eq!(exact.shape(), shape, "{length}");
        let action = ActionTest::Exact("a".repeat(length).into());
        assert_eq!(action.shape(), shape, "{length}");
    }
}

#[test]
fn of_two_statements_that_allow_the_first_is_named() {
    use crate::engine::Layers;
    use crate::request::{Context, Principal, PrincipalKind, Request};
    let text = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "b:C", "Resource": "*"},
        {"Effect": "Allow", "Action": "a:B", "Resource": "*"},
        {"Effect": "Allow", "Action": "a:*", "Resource": "*"}]}"#;
    let document = Document::read(text, PolicyKind::Identity, Dialect::Aws).expect("a document");
    let set = std::sync::Arc::new(Set::new(&[Named { name: "p", document: &document }]));
    let identity = [set];
    let layers = Layers { identity: &identity, ..Layers::default() };
    let ask = |action: &str| Request {
        dialect: Dialect::Aws,
        action: action.to_owned(),
        resource: "*".to_owned(),
        wildcard_only: true,
        resource_account: None,
        principal: Principal {
            account: Some("111122223333".to_owned()),
            ..Principal::new(PrincipalKind::User)
        },
        context: Context::new(),
    };
    let verdict = layers.verdict(&ask("a:B"));
    assert!(verdict.allowed());
    assert_eq!(verdict.reason.map(|reason| reason.statement), Some(1));
    assert!(!layers.verdict(&ask("c:D")).allowed());
}
