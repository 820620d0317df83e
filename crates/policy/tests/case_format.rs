//! What the format of case files refuses, and how a case and its answer are told apart.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use policy::Spec;
use policy::cases::{self, Verdict};
use serde_json::{Value, json};

fn file(cases: &Value) -> String {
    json!({"format": "linkrole-cases/1", "cases": cases}).to_string()
}

/// A case that is right: the identity policy allows reading from a bucket.
fn right() -> Value {
    json!({
        "id": "one",
        "kind": "evaluate",
        "request": {
            "action": "s3:GetObject",
            "resource": "arn:aws:s3:::b/k",
            "principal": {"type": "User", "arn": "arn:aws:iam::111122223333:user/a", "account": "111122223333"},
        },
        "policies": {"identity": [{"name": "p", "document": {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}}}]},
        "expect": {"decision": "Allow", "layer": "identity", "blockedBy": [],
            "matched": [{"policy": "p", "statement": 0, "effect": "Allow"}]},
    })
}

/// The right case with the value at a JSON pointer set; a missing last member is added.
fn with(pointer: &str, value: Value) -> Value {
    let mut case = right();
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    let parent = case.pointer_mut(parent).expect("the parent is there");
    parent.as_object_mut().expect("an object").insert(last.to_owned(), value);
    case
}

fn without(member: &str) -> Value {
    let mut case = right();
    case.as_object_mut().expect("an object").remove(member);
    case
}

#[test]
fn errors_name_the_case_and_the_place() {
    let parse = json!({"id": "one", "kind": "parse", "policyKind": "identity", "text": "{}"});
    let mut parse_with_request = parse.clone();
    parse_with_request["request"] = right()["request"].clone();
    let policy = json!({"name": "p", "document": {}, "text": "{}"});
    let table = [
        (with("/extra", json!(1)), "case `one`, at `extra`: unknown field `extra`"),
        (with("/request/colour", json!(1)), "at `request.colour`: unknown field `colour`"),
        (with("/request/principal/type", json!("user")), "at `request.principal.type`: unknown"),
        (with("/request/context", json!({"aws:a": 1})), "at `request.context.aws:a`: data did not"),
        (with("/expect/decision", json!("Deny")), "at `expect.decision`: unknown variant `Deny`"),
        (with("/expect/valid", json!(true)), "at `expect.valid`: a case of this kind"),
        (with("/policies/identity", json!([policy])), "the policy `p` needs one of"),
        (with("/policies/identity", json!([{"name": "p"}])), "the policy `p` needs one of"),
        (with("/policies/scp", json!([])), "`scp` has no level"),
        (with("/policies/boundary", json!([{"name": "p"}])), "the policy `p` needs one of"),
        (with("/text", json!("{}")), "at `text`: a case of kind `evaluate` has no such member"),
        (with("/dialect", json!("azure")), "at `dialect`: unknown variant `azure`"),
        (without("request"), "at `request`: a case of kind `evaluate` needs this member"),
        (without("id"), "case number 0 (from 0)"),
        (without("kind"), "missing field `kind`"),
        (parse_with_request, "at `request`: a case of kind `parse` has no such member"),
        (json!({"id": "one", "kind": "parse", "text": "{}"}), "at `policyKind`: a case of kind"),
    ];
    for (case, wanted) in table {
        let Err(error) = cases::read(&file(&json!([case]))) else {
            panic!("accepted: {case}");
        };
        assert!(error.to_string().contains(wanted), "{error}\nlacks: {wanted}");
    }
}

#[test]
fn a_file_is_refused_as_a_whole() {
    let twice = file(&json!([right(), right()]));
    let table = [
        ("".to_owned(), "EOF"),
        ("[]".to_owned(), "not a case file"),
        (json!({"format": "other/1", "cases": []}).to_string(), "`format` is `other/1`"),
        (json!({"format": "linkrole-cases/1"}).to_string(), "missing field `cases`"),
        (json!({"format": "linkrole-cases/1", "cases": [], "x": 1}).to_string(), "unknown field"),
        (
            r#"{"format": "linkrole-cases/1", "cases": [{"id": "a", "expect": {"valid": true, "valid": false}}]}"#
                .to_owned(),
            "the member `valid` is given twice",
        ),
        (twice, "another case of this file has the same id"),
    ];
    for (text, wanted) in table {
        let Err(error) = cases::read(&text) else { panic!("accepted: {text}") };
        assert!(error.to_string().contains(wanted), "{error}\nlacks: {wanted}");
    }
}

#[test]
fn differences_are_told_and_the_outcome_comes_first() {
    let failing = [
        (with("/expect/decision", json!("ExplicitDeny")), "expected ExplicitDeny, found Allow"),
        (with("/expect/decision", json!("Error")), "expected that a policy is refused"),
        (with("/expect", json!({"allowed": false})), "expected denied, found Allow"),
        (with("/expect/layer", json!("resource")), "expected layer Resource, found Allow"),
        (with("/expect/blockedBy", json!(["scp"])), "expected to be blocked by [Scp]"),
        (with("/expect/matched", json!([])), "expected {} to match"),
        (with("/policies/identity/0/document", json!({"Statement": 1})), "are refused: policy `p`"),
    ];
    let run = |case: &Value| {
        let cases = cases::read(&file(&json!([case]))).expect("a case file");
        cases.first().expect("one case").run(&[("spec", &Spec)])
    };
    for (case, wanted) in failing {
        match run(&case) {
            Verdict::Failed(why) => assert!(why.contains(wanted), "{why}\nlacks: {wanted}"),
            other => panic!("{other:?} instead of: {wanted}"),
        }
    }
    let refused = json!([{"name": "p", "text": "no JSON"}]);
    let mut error = with("/policies/identity", refused);
    error["expect"] = json!({"decision": "Error"});
    for passing in [right(), with("/expect", json!({"allowed": true})), error] {
        assert_eq!(run(&passing), Verdict::Passed, "{passing}");
    }
    assert!(matches!(run(&with("/expect", json!({}))), Verdict::Skipped(_)));
}

#[test]
fn any_denying_layer_may_be_expected_of_an_explicit_deny() {
    let deny = json!({"name": "d", "document": {"Version": "2012-10-17",
        "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}});
    for layer in ["identity", "boundary", "scp"] {
        let mut case = right();
        case["policies"] = json!({"identity": [deny], "boundary": [deny],
            "scp": [{"target": "root", "policies": [deny]}]});
        case["expect"] = json!({"decision": "ExplicitDeny", "layer": layer});
        let cases = cases::read(&file(&json!([case]))).expect("a case file");
        assert_eq!(cases.first().expect("one").run(&[("spec", &Spec)]), Verdict::Passed, "{layer}");
    }
}

#[test]
fn defaults_are_merged_at_every_depth_and_the_case_wins() {
    let text = json!({
        "format": "linkrole-cases/1",
        "source": {"anything": ["goes"]},
        "defaults": right(),
        "cases": [
            {"id": "as-it-is"},
            {"id": "other-action", "request": {"action": "s3:PutObject"},
             "expect": {"decision": "ImplicitDeny", "matched": []}},
        ],
    });
    for case in cases::read(&text.to_string()).expect("a case file") {
        assert_eq!(case.run(&[("spec", &Spec)]), Verdict::Passed, "{}", case.id);
    }
}

#[test]
fn the_expected_layer_is_the_one_that_decided_or_one_of_several_that_deny() {
    let policy = |effect: &str| {
        json!({"Version": "2012-10-17",
            "Statement": {"Effect": effect, "Action": "s3:*", "Resource": "*"}})
    };
    let named = |effect: &str| json!([{"name": "q", "document": policy(effect)}]);
    // Identity and session deny, the boundary allows.
    let mut both = with("/policies/identity/0/document", policy("Deny"));
    both["policies"]["session"] = named("Deny");
    both["policies"]["boundary"] = named("Allow");
    let mut silent = with("/policies/identity", json!([]));
    silent["policies"]["session"] = named("Allow");
    for (case, decision, layer, holds) in [
        (right(), "Allow", "identity", true),
        (right(), "Allow", "session", false),
        (both.clone(), "ExplicitDeny", "identity", true),
        (both.clone(), "ExplicitDeny", "session", true),
        (both.clone(), "ExplicitDeny", "boundary", false),
        (both, "ExplicitDeny", "scp", false),
        (silent.clone(), "ImplicitDeny", "identity", true),
        (silent, "ImplicitDeny", "session", false),
    ] {
        let mut case = case;
        case["expect"] = json!({"decision": decision, "layer": layer});
        let read = cases::read(&file(&json!([case]))).expect("a case file").remove(0);
        let passed = matches!(read.run(&[("spec", &Spec)]), Verdict::Passed);
        assert_eq!(passed, holds, "{decision} in {layer}: {case}");
    }
}

#[test]
fn parse_cases_tell_what_was_expected_and_what_was_found() {
    let good = r#"{"Version": "2012-10-17", "Statement": []}"#;
    let run = |text: &str, expect: Value| {
        let case = json!({"id": "one", "kind": "parse", "policyKind": "identity",
            "text": text, "expect": expect});
        let cases = cases::read(&file(&json!([case]))).expect("a case file");
        cases.first().expect("one case").run(&[("spec", &Spec)])
    };
    let good = good.replace("[]", r#"[{"Effect": "Allow", "Action": "a:B", "Resource": "*"}]"#);
    let wrong = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow"}]}"#;
    let message =
        match policy::Document::parse(wrong, policy::PolicyKind::Identity, policy::Dialect::Aws) {
            Err(error) => error.message,
            Ok(_) => panic!("accepted"),
        };
    assert_eq!(run(&good, json!({"valid": true})), Verdict::Passed);
    assert_eq!(run(wrong, json!({"valid": false})), Verdict::Passed);
    assert_eq!(run(wrong, json!({"valid": false, "message": message})), Verdict::Passed);
    let code = "MalformedPolicyDocument";
    assert_eq!(run(wrong, json!({"valid": false, "code": code})), Verdict::Passed);
    for (text, expect, wanted) in [
        (good.as_str(), json!({"valid": false}), "expected a refusal"),
        (wrong, json!({"valid": true}), "expected to be accepted"),
        (wrong, json!({"valid": false, "message": "other"}), "expected the message `other`"),
        (wrong, json!({"valid": false, "code": "Other"}), "expected the code Other"),
    ] {
        match run(text, expect) {
            Verdict::Failed(why) => assert!(why.contains(wanted), "{why}\nlacks: {wanted}"),
            other => panic!("{other:?} instead of: {wanted}"),
        }
    }
}

#[test]
fn what_a_resources_policy_is_follows_from_its_name() {
    let kind = |resource: &str, document: Value| {
        let mut case = with("/request/resource", json!(resource));
        case["policies"] = json!({"resource": {"name": "r", "document": document}});
        case["expect"] = json!({"decision": "Error"});
        cases::read(&file(&json!([case]))).expect("a case file").remove(0).run(&[("spec", &Spec)])
    };
    let statement = |more: Value| {
        let mut one = json!({"Effect": "Allow", "Principal": {"AWS": "111122223333"},
            "Action": "sts:AssumeRole"});
        one.as_object_mut().expect("an object").extend(more.as_object().expect("more").clone());
        json!({"Version": "2012-10-17", "Statement": [one]})
    };
    // A trust policy has no resource; every other policy of a resource has one.
    let (bare, named) = (statement(json!({})), statement(json!({"Resource": "*"})));
    for (resource, is_trust) in [
        ("arn:aws:iam::111122223333:role/a", true),
        ("arn:aws:iam::111122223333:role/a/b", true),
        ("arn:aws:iam::111122223333:user/a", false),
        ("arn:aws:kms:eu-west-1:111122223333:key/a", false),
        ("arn:aws:s3:::role/a", false),
    ] {
        assert_eq!(kind(resource, bare.clone()) == Verdict::Passed, !is_trust, "{resource}");
        assert_eq!(kind(resource, named.clone()) == Verdict::Passed, is_trust, "{resource}");
    }
}

#[test]
fn an_evaluate_case_has_no_kind_of_policy() {
    let case = with("/policyKind", json!("identity"));
    let Err(error) = cases::read(&file(&json!([case]))) else { panic!("accepted") };
    assert!(error.to_string().contains("at `policyKind`: a case of kind `evaluate`"), "{error}");
}

#[test]
fn a_parse_case_has_no_policies() {
    let case = json!({"id": "one", "kind": "parse", "policyKind": "identity", "text": "{}",
        "policies": right()["policies"]});
    let Err(error) = cases::read(&file(&json!([case]))) else { panic!("accepted") };
    assert!(error.to_string().contains("at `policies`: a case of kind `parse`"), "{error}");
}
