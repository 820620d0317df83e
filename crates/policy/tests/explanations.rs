//! Explanations of every decision of the corpus: what they say of statements is so, and every suggestion,
//! carried out, turns the decision around.
#![expect(clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

use std::path::Path;

use policy::cases::{self, EvaluateCase, Task};
use policy::{
    Change, Decision, Dialect, Effect, Evaluate, OwnedPolicies, PrincipalKind, Request, Spec,
    Value, explain,
};

/// Every case of the corpus whose policies are accepted.
fn corpus() -> Vec<(String, Box<EvaluateCase>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/policy");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let text = std::fs::read_to_string(entry.expect("readable").path()).expect("readable");
        for case in cases::read(&text).expect("a case file") {
            if let Task::Evaluate(task) = case.task
                && task.policies().is_ok()
            {
                all.push((case.id, task));
            }
        }
    }
    all
}

fn decide(request: &Request, policies: &OwnedPolicies) -> Decision {
    Spec.decide(request, &policies.as_set())
}

#[test]
fn every_suggestion_turns_the_decision_around() {
    let (mut suggestions, mut without) = (0, Vec::new());
    for (id, task) in corpus() {
        let policies = task.policies().expect("accepted");
        let decision = decide(&task.request, &policies);
        let explanation = explain(&task.request, &policies.as_set(), &decision);
        for suggestion in &explanation.suggestions {
            assert!(!suggestion.changes.is_empty(), "{id}");
            let (mut request, mut changed) = (task.request.clone(), policies.clone());
            for change in &suggestion.changes {
                assert!(change.apply(&mut request, &mut changed), "{id}: {change:?} does not fit");
            }
            let after = decide(&request, &changed);
            assert_ne!(after.allowed(), decision.allowed(), "{id}: {}", suggestion.text());
            suggestions += 1;
        }
        // A role that only nobody known may assume is open to nobody, and the owner of an Alibaba account has all
        // rights there and assumes no role.
        let fixed = match task.request.principal.kind {
            PrincipalKind::Anonymous => true,
            PrincipalKind::Root => task.request.dialect == Dialect::Alibaba,
            _ => false,
        };
        if explanation.suggestions.is_empty() && !fixed {
            without.push(format!("{id}: {:?} {:?}", decision.effect, decision.layer));
        }
    }
    assert!(suggestions > 1000, "only {suggestions} suggestions");
    assert!(without.is_empty(), "no suggestion for:\n{}", without.join("\n"));
}

#[test]
fn every_change_of_a_suggestion_is_needed() {
    for (id, task) in corpus() {
        let policies = task.policies().expect("accepted");
        let decision = decide(&task.request, &policies);
        for suggestion in explain(&task.request, &policies.as_set(), &decision).suggestions {
            for left_out in 0..suggestion.changes.len() {
                let (mut request, mut changed) = (task.request.clone(), policies.clone());
                let others = suggestion.changes.iter().enumerate().filter(|(n, _)| *n != left_out);
                let fits = others.fold(true, |fits, (_, change): (usize, &Change)| {
                    fits && change.apply(&mut request, &mut changed)
                });
                let after = decide(&request, &changed);
                assert!(!fits || after.allowed() == decision.allowed(), "{id}: {left_out}");
            }
        }
    }
}

#[test]
fn what_decided_matched_and_what_came_closest_did_not() {
    for (id, task) in corpus() {
        let policies = task.policies().expect("accepted");
        let decision = decide(&task.request, &policies);
        let explanation = explain(&task.request, &policies.as_set(), &decision);
        for site in &explanation.decided_by {
            let listed = decision.matched.iter().any(|m| {
                (m.layer, &m.policy, m.statement) == (site.layer, &site.policy, site.statement)
            });
            assert!(listed && site.layer == decision.layer, "{id}: {site:?}");
        }
        if decision.effect == Effect::ExplicitDeny {
            assert!(!explanation.decided_by.is_empty(), "{id}: a deny without a statement");
        }
        let Some(closest) = explanation.closest else { continue };
        assert_eq!((decision.effect, decision.layer), (Effect::ImplicitDeny, closest.site.layer));
        assert!(!closest.failing.is_empty(), "{id}");
    }
}

#[test]
fn a_statement_fails_in_a_part_exactly_if_it_did_not_match() {
    // Removing every statement but one keeps what that one does, so the parts can be told from outside.
    let mut tried = 0;
    for (id, task) in corpus() {
        let mut policies = task.policies().expect("accepted");
        let [policy] = policies.identity.as_mut_slice() else { continue };
        if policy.document.statements().len() != 1 || policies.boundary.is_some() {
            continue;
        }
        let decision = decide(&task.request, &policies);
        if decision.effect != Effect::ImplicitDeny || !decision.matched.is_empty() {
            continue;
        }
        let effect = policies.identity.first().and_then(|p| p.document.statements().first());
        let allows = effect.is_some_and(|s| s.effect == policy::StatementEffect::Allow);
        if allows && decision.layer == policy::Layer::Identity {
            let closest = explain(&task.request, &policies.as_set(), &decision).closest;
            assert!(closest.is_some(), "{id}: the statement did not match and nothing fails");
            tried += 1;
        }
    }
    assert!(tried > 50, "only {tried}");
}

#[test]
fn reasons_are_told_in_words() {
    let text = r#"{"format": "linkrole-cases/1", "cases": [{"id": "one", "kind": "evaluate",
        "request": {"action": "s3:PutObject", "resource": "arn:aws:s3:::b/k",
            "principal": {"type": "User", "arn": "arn:aws:iam::111122223333:user/a", "account": "111122223333"},
            "context": {"aws:PrincipalTag/team": "red"}},
        "policies": {"identity": [{"name": "p0", "document": {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::c/*"},
            {"Effect": "Allow", "Action": "s3:*", "Resource": "*",
             "Condition": {"StringEquals": {"aws:PrincipalTag/team": "blue"}}}]}}]}}]}"#;
    let case = cases::read(text).expect("a case file").remove(0);
    let Task::Evaluate(task) = case.task else { panic!("an evaluate case") };
    let policies = task.policies().expect("accepted");
    let decision = decide(&task.request, &policies);
    let explanation = explain(&task.request, &policies.as_set(), &decision);
    let closest = explanation.closest.expect("a statement is close");
    assert_eq!(closest.site.text(), "statement 1 of identity policy `p0`");
    let failing: Vec<String> = closest.failing.iter().map(policy::Failing::text).collect();
    assert_eq!(
        failing,
        ["condition StringEquals on `aws:PrincipalTag/team` wants `blue`, and it is `red`"]
    );
    let suggestions: Vec<String> = explanation.suggestions.iter().map(|s| s.text()).collect();
    assert_eq!(
        suggestions,
        [
            "an Allow of s3:PutObject on arn:aws:s3:::b/k in an identity policy",
            "a value of `aws:PrincipalTag/team` equal to `blue`",
        ]
    );
}

#[test]
fn a_key_left_out_leaves_the_others_where_they_are() {
    let text = r#"{"format": "linkrole-cases/1", "cases": [{"id": "one", "kind": "evaluate",
        "request": {"action": "s3:PutObject", "resource": "arn:aws:s3:::b/k",
            "principal": {"type": "User", "arn": "arn:aws:iam::111122223333:user/a", "account": "111122223333"},
            "context": {"aws:username": "a", "aws:SourceIp": "192.0.2.1", "x:y": "z"}},
        "policies": {}}]}"#;
    let case = cases::read(text).expect("a case file").remove(0);
    let Task::Evaluate(task) = case.task else { panic!("an evaluate case") };
    let mut policies = task.policies().expect("accepted");
    let mut request = task.request.clone();
    let remove = Change::RemoveKey { key: "AWS:sourceIP".to_owned() };
    assert!(remove.apply(&mut request, &mut policies));
    let left: Vec<&str> = request.context.iter().map(|(key, _)| key).collect();
    assert_eq!(left, ["aws:username", "x:y"]);
    let set = Change::SetKey { key: "x:y".to_owned(), value: Value::Single("w".to_owned()) };
    assert!(set.apply(&mut request, &mut policies));
    assert_eq!(request.context.get("x:y"), Some(&Value::Single("w".to_owned())));
    assert_eq!(request.context.iter().count(), 2);
}

#[test]
fn where_a_resource_has_a_policy_it_can_grant_too() {
    let case = |resource: &str| {
        let text = format!(
            r#"{{"format": "linkrole-cases/1", "cases": [{{"id": "one", "kind": "evaluate",
        "request": {{"action": "s3:PutObject", "resource": "arn:aws:s3:::b/k",
            "principal": {{"type": "User", "arn": "arn:aws:iam::111122223333:user/a", "account": "111122223333"}}}},
        "policies": {{{resource}}}}}]}}"#
        );
        let case = cases::read(&text).expect("a case file").remove(0);
        let Task::Evaluate(task) = case.task else { panic!("an evaluate case") };
        let policies = task.policies().expect("accepted");
        let decision = decide(&task.request, &policies);
        let explanation = explain(&task.request, &policies.as_set(), &decision);
        explanation.suggestions.iter().map(|s| s.text()).collect::<Vec<String>>()
    };
    let identity = "an Allow of s3:PutObject on arn:aws:s3:::b/k in an identity policy";
    assert_eq!(case(""), [identity]);
    let policy = r#""resource": {"name": "b", "document": {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b"}]}}"#;
    let found = case(policy);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.contains(&identity.to_owned()) && found.iter().any(|s| s.contains("resource")),
        "{found:?}"
    );
}

/// The reasons of the statement that came closest, for one policy in the layer where it is asked.
fn reasons(layer: &str, statement: &str, context: &str) -> (Vec<String>, Vec<String>) {
    let document = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
    // Another account's resource, so that the caller's own right alone is not enough.
    let all = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
    let (owner, policies) = match layer {
        "resource" => (
            r#""resourceAccount": "444455556666","#,
            format!(
                r#"{{"identity": [{{"name": "p", "document": {all}}}],
                "resource": {{"name": "r", "document": {document}}}}}"#
            ),
        ),
        layer => ("", format!(r#"{{"{layer}": [{{"name": "p", "document": {document}}}]}}"#)),
    };
    let text = format!(
        r#"{{"format": "linkrole-cases/1", "cases": [{{"id": "one", "kind": "evaluate",
        "request": {{"action": "s3:PutObject", "resource": "arn:aws:s3:::b/k", {owner}
            "principal": {{"type": "User", "arn": "arn:aws:iam::111122223333:user/a", "account": "111122223333"}},
            "context": {context}}}, "policies": {policies}}}]}}"#
    );
    let case = cases::read(&text).expect("a case file").remove(0);
    let Task::Evaluate(task) = case.task else { panic!("an evaluate case") };
    let policies = task.policies().expect("accepted");
    let decision = decide(&task.request, &policies);
    let explanation = explain(&task.request, &policies.as_set(), &decision);
    let closest = explanation.closest.map(|c| c.failing).unwrap_or_default();
    (
        closest.iter().map(policy::Failing::text).collect(),
        explanation.suggestions.iter().map(policy::Suggestion::text).collect(),
    )
}

#[test]
fn the_part_that_fails_is_named_and_no_other() {
    let user = r#""Principal": {"AWS": "arn:aws:iam::111122223333:user/a"}"#;
    let table = [
        (
            "identity",
            r#"{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}"#.to_owned(),
            "action `s3:PutObject` does not fit Action `s3:Get*`",
        ),
        (
            "identity",
            r#"{"Effect": "Allow", "NotAction": "s3:Put*", "Resource": "*"}"#.to_owned(),
            "action `s3:PutObject` is left out by NotAction `s3:Put*`",
        ),
        (
            "identity",
            r#"{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::c/*"}"#.to_owned(),
            "resource `arn:aws:s3:::b/k` does not fit Resource `arn:aws:s3:::c/*`",
        ),
        (
            "identity",
            r#"{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::b/*"}"#.to_owned(),
            "resource `arn:aws:s3:::b/k` is left out by NotResource `arn:aws:s3:::b/*`",
        ),
        (
            "resource",
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/b"}, "Action": "*", "Resource": "*"}"#
                .to_owned(),
            "principal `arn:aws:iam::111122223333:user/a` does not fit Principal `arn:aws:iam::111122223333:user/b`",
        ),
        (
            "resource",
            format!(r#"{{"Effect": "Allow", {user}, "Action": "s3:GetObject", "Resource": "*"}}"#),
            "action `s3:PutObject` does not fit Action `s3:GetObject`",
        ),
        (
            "resource",
            format!(r#"{{"Effect": "Allow", {user}, "Action": "*", "Resource": "arn:aws:s3:::b"}}"#),
            "resource `arn:aws:s3:::b/k` does not fit Resource `arn:aws:s3:::b`",
        ),
    ];
    for (layer, statement, reason) in table {
        assert_eq!(reasons(layer, &statement, "{}").0, [reason], "{statement}");
    }
}

#[test]
fn only_the_condition_that_fails_is_to_be_met() {
    let statement = r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {
        "StringEquals": {"aws:PrincipalTag/team": "blue", "aws:PrincipalTag/floor": "1"}}}"#;
    let set = |team: &str, floor: &str| {
        let context = format!(
            r#"{{"aws:PrincipalTag/team": "{team}", "aws:PrincipalTag/floor": "{floor}"}}"#
        );
        reasons("identity", statement, &context)
    };
    let (failing, suggested) = set("red", "1");
    assert_eq!(failing.len(), 1);
    assert!(suggested.contains(&"a value of `aws:PrincipalTag/team` equal to `blue`".to_owned()));
    let (failing, suggested) = set("red", "2");
    assert_eq!(failing.len(), 2);
    let both = "a value of `aws:PrincipalTag/floor` equal to `1`";
    assert!(suggested.iter().any(|s| s.contains(both) && s.contains("`blue`")), "{suggested:?}");
}

#[test]
fn a_request_can_stay_out_of_the_way_of_a_deny_whatever_its_operator() {
    for (operator, listed, held, wanted) in [
        ("StringEquals", "a", "a", "other"),
        ("StringLike", "a*", "ab", "other"),
        ("StringNotEquals", "a", "b", "a"),
        ("Bool", "true", "true", "false"),
        ("NumericEquals", "5", "5", "1000000000"),
        ("NumericLessThan", "5", "4", "1000000000"),
        ("NumericGreaterThan", "5", "6", "-1000000000"),
        ("DateLessThan", "2020-01-01T00:00:00Z", "2019-01-01T00:00:00Z", "2100-01-01T00:00:00Z"),
        ("DateGreaterThan", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("IpAddress", "192.0.2.0/24", "192.0.2.7", "10.0.0.1"),
        ("NotIpAddress", "192.0.2.0/24", "10.0.0.9", "192.0.2.1"),
        ("BinaryEquals", "YQ==", "YQ==", "b3RoZXI="),
    ] {
        // Without the key an allow fails, so that leaving the key out is no way.
        let statement = format!(
            r#"{{"Effect": "Allow", "Action": "*", "Resource": "*",
                "Condition": {{"Null": {{"a:k": "false"}}}}}},
            {{"Effect": "Deny", "Action": "*", "Resource": "*",
                "Condition": {{"{operator}": {{"a:k": "{listed}"}}}}}}"#
        );
        let (_, suggested) = reasons("identity", &statement, &format!(r#"{{"a:k": "{held}"}}"#));
        let wanted = format!("a value of `a:k` equal to `{wanted}`");
        assert!(suggested.contains(&wanted), "{operator}: {suggested:?}");
    }
}

#[test]
fn what_would_deny_is_told_in_every_way() {
    let two = r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:Put*", "Resource": "*"}"#;
    let (_, suggested) = reasons("identity", two, "{}");
    let both = "without statement 1 of identity policy `p`, and without statement 0 of";
    assert!(suggested.iter().any(|s| s.contains(both)), "both have to go: {suggested:?}");
    assert!(suggested.iter().any(|s| s.starts_with("a Deny of s3:PutObject")), "{suggested:?}");
    // One allow with a condition: without it, or out of its way.
    let one = r#"{"Effect": "Allow", "Action": "*", "Resource": "*",
        "Condition": {"StringEquals": {"a:k": "v"}}}"#;
    let (_, suggested) = reasons("identity", one, r#"{"a:k": "v"}"#);
    for wanted in ["without statement 0 of identity policy `p`", "no `a:k`"] {
        assert!(suggested.iter().any(|s| s.contains(wanted)), "{wanted}: {suggested:?}");
    }
}

#[test]
fn one_of_several_denies_can_be_met_and_the_others_removed() {
    let statement = r#"{"Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": {"Null": {"a:k": "false"}}},
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": {"StringEquals": {"a:k": "v"}}}"#;
    let (_, suggested) = reasons("identity", statement, r#"{"a:k": "v"}"#);
    let met = suggested.iter().find(|s| s.contains("a value of `a:k`"));
    let met = met.unwrap_or_else(|| panic!("{suggested:?}"));
    assert!(met.contains("without statement 1"), "{met}");
    assert!(!met.contains("without statement 2"), "what is met can stay: {met}");
    let removed = suggested.iter().find(|s| s.contains("without statement 2"));
    assert!(removed.is_some_and(|s| s.contains("without statement 1")), "{suggested:?}");
}

#[test]
fn only_allows_of_the_layer_that_is_silent_are_to_be_met() {
    // A deny with a condition in the same layer, and an allow in another, are nothing to be met.
    let statement = r#"{"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*",
            "Condition": {"StringEquals": {"a:k": "v"}}},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*",
            "Condition": {"StringEquals": {"a:j": "w"}}}"#;
    let (_, suggested) = reasons("identity", statement, "{}");
    assert!(suggested.contains(&"a value of `a:j` equal to `w`".to_owned()), "{suggested:?}");
    assert!(!suggested.iter().any(|s| s.contains("`a:k`")), "{suggested:?}");
    let (_, suggested) = reasons(
        "resource",
        r#"{"Effect": "Allow", "Principal": "*",
        "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"a:k": "v"}}}"#,
        "{}",
    );
    assert!(suggested.contains(&"a value of `a:k` equal to `v`".to_owned()), "{suggested:?}");
    let person = suggested.iter().find(|s| s.contains(" for "));
    let person = person.unwrap_or_else(|| panic!("{suggested:?}"));
    assert!(person.contains("for arn:aws:iam::111122223333:user/a in"), "{person}");
}
