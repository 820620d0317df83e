//! The linter: an example for every kind of finding, and examples that must have none.
#![expect(clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

use std::collections::BTreeSet;

use policy::{ActionFact, ActionFacts, Document, Finding, PolicyKind, RULES, check, check_with};

use PolicyKind::{Identity, Managed, Resource, Scp, Trust};

fn statement(members: &str) -> String {
    format!(r#"{{"Version": "2012-10-17", "Statement": [{{{members}}}]}}"#)
}

fn statements(list: &[&str]) -> String {
    format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, list.join(", "))
}

const ALLOW: &str =
    r#""Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*""#;

fn with_condition(condition: &str) -> String {
    statement(&format!(r#"{ALLOW}, "Condition": {condition}"#))
}

fn facts() -> ActionFacts {
    let fact = |action: &str, resources: &[&str], keys: &[&str]| ActionFact {
        action: action.to_owned(),
        resources: resources.iter().map(|r| (*r).to_owned()).collect(),
        keys: keys.iter().map(|k| (*k).to_owned()).collect(),
    };
    ActionFacts {
        actions: vec![
            fact("iam:GetRole", &["arn:*:iam::*:role/*"], &["iam:ResourceTag/"]),
            fact("iam:GetUser", &["arn:*:iam::*:user/*"], &[]),
            fact("iam:ListRoles", &[], &[]),
        ],
        global_keys: vec!["aws:SourceIp".to_owned(), "aws:PrincipalTag/".to_owned()],
    }
}

/// A code, the kind of policy, a text that has the finding, and where.
fn examples() -> Vec<(&'static str, PolicyKind, String, &'static str)> {
    let principal = |principal: &str, more: &str| {
        statement(&format!(
            r#""Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", {principal}{more}"#
        ))
    };
    let trust = |more: &str| {
        statement(&format!(
            r#""Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {{"AWS": "*"}}{more}"#
        ))
    };
    let key = |key: &str| {
        statement(&format!(
            r#""Effect": "Allow", "Action": "iam:GetRole", "Resource": "*", "Condition": {{"StringEquals": {{"{key}": "a"}}}}"#
        ))
    };
    vec![
        ("malformed", Identity, "{".to_owned(), ""),
        (
            "unknown-operator",
            Identity,
            with_condition(r#"{"StringEqual": {"aws:a": "b"}}"#),
            "/Statement/0/Condition/StringEqual",
        ),
        ("old-version", Identity, format!(r#"{{"Statement": [{{{ALLOW}}}]}}"#), ""),
        (
            "variables-off",
            Identity,
            format!(r#"{{"Statement": [{{{}}}]}}"#, ALLOW.replace("b/*", "b/${aws:username}")),
            "",
        ),
        (
            "never-matches",
            Identity,
            statement(&ALLOW.replace("s3:GetObject", "s3:")),
            "/Statement/0",
        ),
        (
            "never-matches",
            Identity,
            statement(
                r#""Effect": "Deny", "Action": "s3:*", "NotResource": ["arn:aws:s3:::b/*", "*"]"#,
            ),
            "/Statement/0",
        ),
        (
            "incomplete-arn",
            Identity,
            statement(&ALLOW.replace(":::b/*", "")),
            "/Statement/0/Resource/0",
        ),
        (
            "action-everything",
            Scp,
            statement(r#""Effect": "Deny", "Action": "*:*", "Resource": "*""#),
            "/Statement/0",
        ),
        (
            "full-access",
            Identity,
            statement(r#""Effect": "Allow", "Action": "*", "Resource": "*""#),
            "/Statement/0",
        ),
        (
            "allow-not-action",
            Identity,
            statement(r#""Effect": "Allow", "NotAction": "iam:*", "Resource": "*""#),
            "/Statement/0",
        ),
        (
            "allow-not-resource",
            Identity,
            statement(&ALLOW.replace("Resource", "NotResource")),
            "/Statement/0",
        ),
        (
            "allow-not-principal",
            Resource,
            principal(r#""NotPrincipal": {"AWS": "111122223333"}"#, ""),
            "/Statement/0",
        ),
        (
            "deny-not-principal",
            Resource,
            principal(r#""NotPrincipal": {"AWS": "111122223333"}"#, "").replace("Allow", "Deny"),
            "/Statement/0",
        ),
        ("public", Resource, principal(r#""Principal": "*""#, ""), "/Statement/0"),
        ("trust-everyone", Trust, trust(""), "/Statement/0"),
        (
            "trust-wildcard",
            Trust,
            trust(r#", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}"#),
            "/Statement/0",
        ),
        (
            "for-all-values-absent",
            Identity,
            with_condition(r#"{"ForAllValues:StringEquals": {"aws:TagKeys": "a"}}"#),
            "/Statement/0/Condition/ForAllValues:StringEquals/aws:TagKeys",
        ),
        (
            "for-any-value-if-exists",
            Identity,
            with_condition(r#"{"ForAnyValue:StringEqualsIfExists": {"aws:TagKeys": "a"}}"#),
            "/Statement/0/Condition/ForAnyValue:StringEqualsIfExists/aws:TagKeys",
        ),
        (
            "needs-set-operator",
            Identity,
            with_condition(r#"{"StringEquals": {"aws:TagKeys": "a"}}"#),
            "/Statement/0/Condition/StringEquals/aws:TagKeys",
        ),
        (
            "literal-wildcard",
            Identity,
            with_condition(r#"{"StringEquals": {"aws:UserAgent": "a*"}}"#),
            "/Statement/0/Condition/StringEquals/aws:UserAgent",
        ),
        (
            "mfa-absent",
            Identity,
            with_condition(r#"{"Bool": {"aws:MultiFactorAuthPresent": "false"}}"#)
                .replace("Allow", "Deny"),
            "/Statement/0/Condition/Bool/aws:MultiFactorAuthPresent",
        ),
        (
            "key-never-present",
            Identity,
            key("iam:PolicyARN"),
            "/Statement/0/Condition/StringEquals/iam:PolicyARN",
        ),
        (
            "key-never-present",
            Identity,
            key("aws:SourceIpp"),
            "/Statement/0/Condition/StringEquals/aws:SourceIpp",
        ),
        (
            "key-never-present",
            Identity,
            key("aws:PrincipalTag"),
            "/Statement/0/Condition/StringEquals/aws:PrincipalTag",
        ),
        (
            "resource-ignored",
            Identity,
            statement(
                r#""Effect": "Allow", "Action": ["iam:GetRole", "iam:ListRoles"], "Resource": "arn:aws:iam::111122223333:role/*""#,
            ),
            "/Statement/0/Resource",
        ),
        (
            "resource-of-other-type",
            Identity,
            statement(
                r#""Effect": "Allow", "Action": "iam:GetRole", "Resource": ["arn:aws:iam::111122223333:role/r", "arn:aws:iam::111122223333:user/u"]"#,
            ),
            "/Statement/0/Resource/1",
        ),
        (
            "resource-of-other-type",
            Identity,
            statement(r#""Effect": "Allow", "Action": "iam:Get*", "Resource": "arn:aws:s3:::b""#),
            "/Statement/0/Resource/0",
        ),
        (
            "unreachable-allow",
            Identity,
            statements(&[
                &format!("{{{ALLOW}}}"),
                r#"{"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::b/*"}"#,
            ]),
            "/Statement/0",
        ),
        (
            "redundant-statement",
            Identity,
            statements(&[
                &format!("{{{ALLOW}}}"),
                r#"{"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::*"}"#,
            ]),
            "/Statement/0",
        ),
        (
            "redundant-statement",
            Identity,
            statements(&[&format!("{{{ALLOW}}}"), &format!("{{{ALLOW}}}")]),
            "/Statement/1",
        ),
        (
            "privilege-escalation",
            Managed,
            statement(
                r#""Effect": "Allow", "Action": "iam:CreatePolicyVersion", "Resource": "arn:aws:iam::111122223333:policy/*""#,
            ),
            "/Statement/0",
        ),
        (
            "privilege-escalation",
            Identity,
            statements(&[
                r#"{"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}"#,
                r#"{"Effect": "Allow", "Action": "ec2:Run*", "Resource": "*"}"#,
            ]),
            "/Statement/0",
        ),
        (
            "service-linked-role-any",
            Identity,
            statement(
                r#""Effect": "Allow", "Action": "iam:CreateServiceLinkedRole", "Resource": "arn:aws:iam::*:role/aws-service-role/*""#,
            ),
            "/Statement/0",
        ),
    ]
}

#[test]
fn every_kind_of_finding_has_an_example() {
    let mut found = BTreeSet::new();
    for (code, kind, text, path) in examples() {
        let findings = check_with(&text, kind, policy::Dialect::Aws, &facts());
        let hit = findings.iter().find(|f| f.code == code && f.path == path);
        let hit = hit.unwrap_or_else(|| panic!("no `{code}` at `{path}` in {text}: {findings:#?}"));
        assert!(!hit.message.is_empty() && !hit.fix.is_empty() && hit.line > 0, "{hit:?}");
        found.extend(findings.iter().map(|f| (f.code, f.severity)));
    }
    let known: BTreeSet<_> = RULES.iter().map(|rule| (rule.code, rule.severity)).collect();
    assert_eq!(found, known, "the rules, and what the examples find");
    assert_eq!(known.len(), RULES.len(), "no code stands twice");
}

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|f| f.code).collect()
}

#[test]
fn good_policies_have_no_findings() {
    let trusted = |condition: &str| {
        statement(&format!(
            r#""Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*", "Condition": {condition}"#
        ))
    };
    let own_keys = r#""Effect": "Allow", "Action": "iam:CreateAccessKey", "Resource": "arn:aws:iam::*:user/${aws:username}""#;
    let pass_one = r#"{"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::111122223333:role/web"}"#;
    let run = r#"{"Effect": "Allow", "Action": "ec2:RunInstances", "Resource": "*"}"#;
    let narrow_deny = r#"{"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}"#;
    let linked = |more: &str| {
        format!(r#""Effect": "Allow", "Action": "iam:CreateServiceLinkedRole", "Resource": {more}"#)
    };
    let denied = r#"{"Effect": "Deny", "Action": "iam:*", "Resource": "*"}"#;
    let bucket = r#"{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::b/*"}"#;
    let table = [
        (Identity, statement(ALLOW)),
        (Identity, statement(own_keys)),
        (Identity, statements(&[pass_one, run])),
        (Identity, statements(&[&format!("{{{ALLOW}}}"), narrow_deny])),
        (Identity, statements(&[bucket])),
        (
            Identity,
            statements(&[denied, r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#]),
        ),
        (
            Identity,
            statement(&linked(
                r#""*", "Condition": {"StringLike": {"iam:AWSServiceName": "backup.example.com"}}"#,
            )),
        ),
        (
            Identity,
            statement(&linked(r#""arn:aws:iam::*:role/aws-service-role/backup.example.com/*""#)),
        ),
        (Trust, trusted(r#"{"StringEquals": {"aws:PrincipalOrgID": "o-1"}}"#)),
        (Scp, statement(r#""Effect": "Allow", "Action": "*", "Resource": "*""#)),
        (
            Identity,
            statement(
                r#""Effect": "Allow", "Action": ["iam:GetRole", "iam:GetUser"], "Resource": ["arn:aws:iam::111122223333:role/r", "arn:aws:iam::111122223333:user/*"]"#,
            ),
        ),
        (
            Identity,
            statement(
                r#""Effect": "Allow", "Action": "iam:GetRole", "Resource": "*", "Condition": {"StringEquals": {"IAM:resourcetag/team": "a", "aws:principaltag/b": "c"}}"#,
            ),
        ),
        (Identity, statement(r#""Effect": "Allow", "Action": "iam:ListRoles", "Resource": "*""#)),
        (
            Identity,
            statement(
                r#""Effect": "Allow", "Action": "iam:Unheard", "Resource": "arn:aws:s3:::b", "Condition": {"StringEquals": {"iam:Other": "a"}}"#,
            ),
        ),
        (
            Identity,
            statement(
                r#""Effect": "Allow", "Action": "*", "Resource": "arn:aws:sqs:*:*:q", "Condition": {"StringEquals": {"sqs:Any": "a"}}"#,
            ),
        ),
    ];
    for (kind, text) in table {
        assert_eq!(
            codes(&check_with(&text, kind, policy::Dialect::Aws, &facts())),
            Vec::<&str>::new(),
            "{text}"
        );
    }
}

#[test]
fn without_facts_nothing_is_said_about_actions() {
    for (code, kind, text, _) in examples() {
        if ["key-never-present", "resource-ignored", "resource-of-other-type"].contains(&code) {
            assert!(!codes(&check(&text, kind)).contains(&code), "{text}");
        }
    }
}

#[test]
fn a_deny_of_the_same_actions_takes_a_way_to_more_rights_away() {
    let gives =
        r#"{"Effect": "Allow", "Action": ["iam:CreatePolicyVersion", "s3:*"], "Resource": "*"}"#;
    let denies = r#"{"Effect": "Deny", "Action": "iam:Create*", "Resource": "*"}"#;
    assert_eq!(codes(&check(&statements(&[gives]), Identity)), ["privilege-escalation"]);
    assert_eq!(codes(&check(&statements(&[gives, denies]), Identity)), Vec::<&str>::new());
}

#[test]
fn operators_that_do_not_exist_are_all_named_and_corrected() {
    let table = [
        ("StringEqual", "StringEquals"),
        ("ArnLikes", "ArnLike"),
        ("NotIpAdress", "NotIpAddress"),
        ("Nul", "Null"),
        ("xxNull", "Null"),
        ("Boool", "Bool"),
        ("DateLessThen", "DateLessThan"),
        ("umericEquals", "NumericEquals"),
        ("ForAllValues:StringNotEqual", "StringNotEquals"),
        ("StringLkeIfExists", "StringLike"),
        ("BinaryEqual", "BinaryEquals"),
        ("IpAddresss", "IpAddress"),
    ];
    for (written, wanted) in table {
        let text = with_condition(&format!(r#"{{"{written}": {{"aws:a": "b"}}}}"#));
        let findings = check(&text, Identity);
        let finding = findings.iter().find(|f| f.code == "unknown-operator").expect("found");
        assert!(finding.fix.contains(&format!("`{wanted}`")), "{}", finding.fix);
        assert!(Document::parse(&text, Identity, policy::Dialect::Aws).is_err());
    }
    let two = with_condition(r#"{"Equals": {"aws:a": "b"}, "Like": {"aws:a": "b"}}"#);
    assert_eq!(codes(&check(&two, Identity)), ["unknown-operator", "unknown-operator"]);
}

#[test]
fn a_report_has_what_sarif_demands() {
    let (_, kind, text, _) = examples().swap_remove(1);
    let findings = check(&text, kind);
    let files =
        [("a b.json".to_owned(), findings.clone()), ("/tmp/x.json".to_owned(), findings.clone())];
    let report = policy::sarif::report("1.2.3", &files);
    let at = |path: &str| report.pointer(path).unwrap_or_else(|| panic!("no {path}: {report:#}"));
    assert_eq!(at("/version"), "2.1.0");
    assert_eq!(at("/runs/0/tool/driver/name"), "linkrole");
    assert_eq!(at("/runs/0/tool/driver/version"), "1.2.3");
    let rules = at("/runs/0/tool/driver/rules").as_array().expect("a list");
    assert_eq!(rules.len(), RULES.len());
    for rule in rules {
        for member in ["/id", "/shortDescription/text", "/fullDescription/text", "/help/text"] {
            let text = rule.pointer(member).and_then(|t| t.as_str()).unwrap_or_default();
            assert!(!text.is_empty(), "{member} of {rule}");
        }
        let level = rule.pointer("/defaultConfiguration/level").and_then(|l| l.as_str());
        assert!(matches!(level, Some("error" | "warning" | "note")), "{rule}");
    }
    let results = at("/runs/0/results").as_array().expect("a list");
    assert_eq!(results.len(), 2 * findings.len());
    for (number, finding) in findings.iter().enumerate() {
        let at = |path: &str| at(&format!("/runs/0/results/{number}{path}"));
        let index = at("/ruleIndex").as_u64().and_then(|n| usize::try_from(n).ok());
        let rule = index.and_then(|n| rules.get(n)).expect("a rule");
        assert_eq!(at("/ruleId"), finding.code);
        assert_eq!(rule.pointer("/id"), Some(at("/ruleId")));
        assert!(!at("/message/text").as_str().unwrap_or_default().is_empty());
        let place = "/locations/0/physicalLocation";
        assert_eq!(at(&format!("{place}/artifactLocation/uri")), "a%20b.json");
        assert_eq!(at(&format!("{place}/region/startLine")), finding.line);
        assert_eq!(at(&format!("{place}/region/startColumn")), finding.column);
    }
    let last = format!("/runs/0/results/{}/locations/0/physicalLocation", 2 * findings.len() - 1);
    assert_eq!(at(&format!("{last}/artifactLocation/uri")), "file:///tmp/x.json");
}

#[test]
fn documents_of_ram_are_read_in_their_own_language() {
    use policy::Dialect::Alibaba;
    let check = |text: &str| check_with(text, Identity, Alibaba, &facts());
    let good = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:Get*","Resource":"acs:oss:*:*:vault/*"}]}"#;
    assert_eq!(codes(&check(good)), Vec::<&str>::new());
    let wide =
        r#"{"Version":"1","Statement":[{"Effect":"Allow","NotAction":"oss:*","Resource":"*"}]}"#;
    assert_eq!(codes(&check(wide)), ["allow-not-action"]);
    let foreign = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"*","Condition":{"ArnLike":{"acs:PrincipalArn":"a"}}}]}"#;
    assert_eq!(codes(&check(foreign)), ["unknown-operator"]);
    assert_eq!(codes(&check_with(good, Identity, policy::Dialect::Aws, &facts())), ["malformed"]);
}

#[test]
fn statements_of_very_large_documents_are_not_compared() {
    let text = |actions: usize| {
        let actions: Vec<String> = (0..actions).map(|n| format!("\"s3:Get{n}\"")).collect();
        let one = format!(
            r#""Effect": "Allow", "Action": [{}], "Resource": "arn:aws:s3:::b/*""#,
            actions.join(",")
        );
        format!(r#"{{"Version": "2012-10-17", "Statement": [{{{one}}}, {{{one}}}]}}"#)
    };
    let is_compared = |actions: usize| {
        codes(&policy::check(&text(actions), Identity)).contains(&"redundant-statement")
    };
    assert!(is_compared(249));
    assert!(!is_compared(250));
}

#[test]
fn of_two_statements_that_cover_each_other_the_later_is_too_much() {
    let pair = |first: &str, second: &str| {
        let one = |effect: &str| {
            format!(
                r#"{{"Effect": "{effect}", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}}"#
            )
        };
        let text = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{}, {}]}}"#,
            one(first),
            one(second)
        );
        let found = check(&text, Identity);
        let wanted = ["unreachable-allow", "redundant-statement"];
        let mut paths: Vec<_> = found
            .iter()
            .filter(|finding| wanted.contains(&finding.code))
            .map(|finding| (finding.code, finding.path.clone()))
            .collect();
        paths.sort();
        paths
    };
    let at = |code: &'static str, number: usize| vec![(code, format!("/Statement/{number}"))];
    assert_eq!(pair("Allow", "Allow"), at("redundant-statement", 1));
    assert_eq!(pair("Deny", "Deny"), at("redundant-statement", 1));
    assert_eq!(pair("Allow", "Deny"), at("unreachable-allow", 0));
    assert_eq!(pair("Deny", "Allow"), at("unreachable-allow", 1));
}

#[test]
fn only_a_named_service_narrows_who_gets_a_linked_role() {
    let is_found = |condition: &str| {
        let text = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow",
            "Action": "iam:CreateServiceLinkedRole", "Resource": "*"{condition}}}]}}"#
        );
        codes(&check(&text, Identity)).contains(&"service-linked-role-any")
    };
    let on = |operator: &str, key: &str| {
        is_found(&format!(r#", "Condition": {{"{operator}": {{"{key}": "true"}}}}"#))
    };
    assert!(is_found(""));
    let key = "iam:AWSServiceName";
    for operator in ["StringEquals", "StringLike", "ForAnyValue:StringLike"] {
        assert!(!on(operator, key), "{operator}");
    }
    for operator in ["StringEqualsIfExists", "StringNotEquals", "StringNotLike", "Null"] {
        assert!(on(operator, key), "{operator}");
    }
    assert!(on("StringEquals", "aws:PrincipalTag/team"));
}

#[test]
fn an_action_without_resources_is_told_of_when_it_is_named_and_not_when_a_wildcard_reaches_it() {
    let on_roles = |actions: &str| {
        statement(&format!(
            r#""Effect": "Allow", "Action": {actions}, "Resource": "arn:aws:iam::111122223333:role/*""#
        ))
    };
    for (actions, told) in [
        (r#"["iam:GetRole", "iam:ListRoles"]"#, true),
        (r#"["iam:GetRole", "IAM:listroles"]"#, true),
        (r#"["iam:GetRole", "iam:List*"]"#, false),
        (r#""iam:*""#, false),
    ] {
        let findings = check_with(&on_roles(actions), Identity, policy::Dialect::Aws, &facts());
        let findings = codes(&findings);
        assert_eq!(findings.contains(&"resource-ignored"), told, "{actions}: {findings:?}");
    }
}
