//! The checks of single names in documents: each edge from both sides, with the vendor's words.
#![expect(clippy::panic, reason = "tests may fail loudly")]

use policy::Dialect::{Alibaba, Aws};
use policy::PolicyKind::{Identity, Managed, Rcp, Resource, Scp, Trust};
use policy::{Dialect, Document, PolicyKind};

/// A document with one statement.
fn text(dialect: Dialect, members: &str) -> String {
    let version = if dialect == Aws { "2012-10-17" } else { "1" };
    format!(r#"{{"Version": "{version}", "Statement": [{{"Effect": "Deny", {members}}}]}}"#)
}

/// What storing and what reading answer; an empty text for a document that is accepted.
fn answers(dialect: Dialect, kind: PolicyKind, members: &str) -> [String; 2] {
    let text = text(dialect, members);
    [Document::parse(&text, kind, dialect), Document::read(&text, kind, dialect)]
        .map(|answer| answer.err().map(|error| error.message).unwrap_or_default())
}

/// Asserts both answers; `*` stands for the same answer as that to storing.
fn check(dialect: Dialect, kind: PolicyKind, members: &str, stored: &str, read: &str) {
    let read = if read == "*" { stored } else { read };
    assert_eq!(answers(dialect, kind, members), [stored, read], "{kind:?} {members}");
}

const LEGACY: &str = "The policy failed legacy parsing";
const COLONS: &str = "Actions/Condition can contain only one colon.";
const VENDOR: &str = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
const REGEX: &str = "Resource vendor must be fully qualified and cannot contain regexes.";

#[test]
fn actions_have_a_vendor_and_one_colon() {
    for (dialect, action, stored, read) in [
        (Aws, "*", "", "*"),
        (Aws, "s3:*", "", "*"),
        (Aws, "s3:Get?bject", "", "*"),
        (Aws, "*:Get*", "", "*"),
        (Aws, "a-b.c1:Get", "", "*"),
        (Aws, "s3", VENDOR, "*"),
        (Aws, "", VENDOR, "*"),
        (Aws, "s3:a:b", COLONS, "*"),
        (Aws, "s*:Get", "Vendor s* is not valid", ""),
        (Aws, "s?:Get", "Vendor s? is not valid", ""),
        (Aws, "s_3:Get", "Vendor s_3 is not valid", ""),
        (Aws, "**:Get", "Vendor ** is not valid", ""),
        (Alibaba, "ecs:Describe*", "", "*"),
        (Alibaba, "yundun*:Get?", "", "*"),
        (Alibaba, "y?n-d:Get", "", "*"),
        (Alibaba, "y_n:Get", "Vendor y_n is not valid", ""),
        (Alibaba, "ecs", VENDOR, "*"),
    ] {
        let members = format!(r#""Action": "{action}", "Resource": "*""#);
        check(dialect, Identity, &members, stored, read);
    }
}

#[test]
fn resources_are_complete_names_of_a_known_partition() {
    let arn = |text: &str| format!("Resource {text} must be in ARN format or \"*\".");
    let partition = |given: &str, shown: &str| {
        format!("Partition \"{given}\" is not valid for resource \"{shown}\".")
    };
    let table: Vec<(PolicyKind, &str, String, &str)> = vec![
        (Identity, "*", String::new(), "*"),
        (Identity, "arn:aws:s3:::b", String::new(), "*"),
        (Identity, "arn:aws-cn:s3:::b", String::new(), "*"),
        (Identity, "arn:aws-us-gov:s3:::b", String::new(), "*"),
        (Identity, "b", arn("b"), "*"),
        (Identity, "", arn(""), "*"),
        (Identity, "arn", arn("arn"), "*"),
        (Identity, "b:aws:s3:::b", arn("b:aws:s3:::b"), "*"),
        (Identity, "**", arn("**"), "*"),
        (Identity, "arn:x:s3:::b", partition("x", "arn:x:s3:::b"), ""),
        (Identity, "arn:x:s3:::b:c", partition("x", "arn:x:s3:::b:c"), ""),
        (
            Identity,
            "arn:x",
            partition("x", "arn:x:*:*:*:*"),
            "Resource vendor must be fully qualified and cannot contain regexes.",
        ),
        (Identity, "arn:x:", partition("x", "arn:x:*:*:*:*"), LEGACY),
        (Identity, "arn:x:s3", partition("x", "arn:x:s3:*:*:*"), ""),
        (Identity, "arn:x:s3:r:a", partition("x", "arn:x:s3:r:a:*"), ""),
        (Identity, "arn::s3:::b", partition("", "arn::s3:::b"), "*"),
        (Identity, "arn:*:s3:::b", partition("*", "arn:*:s3:::b"), ""),
        (Identity, "arn:aws", REGEX.to_owned(), "*"),
        (Identity, "arn:aws:s?:::b", REGEX.to_owned(), "*"),
        (Identity, "arn:aws:*:::b", REGEX.to_owned(), "*"),
        (Identity, "arn:aws::::b", LEGACY.to_owned(), "*"),
        (Identity, "arn:aws:s3::b", LEGACY.to_owned(), ""),
        (Identity, "arn:aws:sqs:b", String::new(), "*"),
        (Identity, "arn:aws:s3", String::new(), "*"),
        (Scp, "arn:aws:s3:b", arn("arn:aws:s3:b"), "*"),
        (Scp, "arn:aws:s3:::b", String::new(), "*"),
        (
            Identity,
            "arn:aws:iam:r:111122223333:user/a",
            "IAM resource arn:aws:iam:r:111122223333:user/a cannot contain region information."
                .to_owned(),
            "",
        ),
        (
            Identity,
            "arn:aws:s3:r::b",
            "Resource arn:aws:s3:r::b can not contain region information.".to_owned(),
            "",
        ),
        (Identity, "arn:aws:sqs:r:111122223333:q", String::new(), "*"),
        (Identity, "arn:aws:iam::111122223333:*", String::new(), "*"),
        (Identity, "arn:aws:iam::111122223333:root", String::new(), "*"),
        (Identity, "arn:aws:iam::111122223333:role/a*", String::new(), "*"),
        (Identity, "arn:aws:ec2:r:111122223333:instance/*", String::new(), "*"),
        (Identity, "arn:aws:ec2:r:111122223333:*", String::new(), "*"),
        (Identity, "arn:aws:ec2:r:111122223333:*/", String::new(), "*"),
        (Identity, "arn:aws:ec2:r:111122223333:i*/x", arn("arn:aws:ec2:r:111122223333:i*/x"), ""),
        (
            Identity,
            "arn:aws:lambda:r:111122223333:f?:x",
            arn("arn:aws:lambda:r:111122223333:f?:x"),
            "",
        ),
        (Identity, "arn:aws:sqs:r:111122223333:i*/x", String::new(), "*"),
        (Identity, "arn:aws:s3:::${aws:username}:x", String::new(), "*"),
    ];
    for (kind, resource, stored, read) in table {
        let members = format!(r#""Action": "a:B", "Resource": "{resource}""#);
        check(Aws, kind, &members, &stored, read);
    }
    let types =
        answers(Aws, Identity, r#""Action": "a:B", "Resource": "arn:aws:iam::111122223333:x/y""#);
    assert!(
        types.concat().starts_with("IAM resource path must either be \"*\" or start with user/, ")
    );
    let negated = r#""Action": "a:B", "NotResource": "arn:aws:s3:b""#;
    check(Aws, Identity, negated, &arn("arn:aws:s3:b"), "");
    check(Aws, Managed, r#""Action": "a:B", "NotResource": "arn:aws:s3:::b""#, "", "*");
    let rcp =
        |resource: &str| format!(r#""Principal": "*", "Action": "a:B", "Resource": "{resource}""#);
    check(Aws, Rcp, &rcp("arn:aws:s3:b"), &arn("arn:aws:s3:b"), "*");
    check(Aws, Rcp, &rcp("arn:aws:s3:::b"), "", "*");
}

#[test]
fn resources_of_ram_begin_as_its_names_do() {
    for (resource, stored) in [
        ("*", ""),
        ("acs:oss:*:*:b", ""),
        ("acs:oss:*:b", "The resource acs:oss:*:b is not valid."),
        ("acs:oss:*", ""),
        ("acs*", "The resource acs* is not valid."),
        ("oss:*", "The resource oss:* is not valid."),
        ("arn:aws:s3:::b", "The resource arn:aws:s3:::b is not valid."),
    ] {
        let members = format!(r#""Action": "a:B", "Resource": "{resource}""#);
        check(Alibaba, Identity, &members, stored, "");
    }
}

#[test]
fn principals_are_named_as_their_kind_demands() {
    let yes = |_: &str, _: &str| String::new();
    let no = |kind: &str, text: &str| format!("Invalid principal in policy: \"{kind}\":\"{text}\"");
    let table: Vec<(PolicyKind, &str, &str, bool)> = vec![
        (Trust, "AWS", "*", true),
        (Trust, "AWS", "111122223333", true),
        (Trust, "AWS", "11112222333", false),
        (Trust, "AWS", "1234567890123456", false),
        (Trust, "AWS", "", false),
        (Trust, "AWS", "AROAEXAMPLEWORKER001", true),
        (Trust, "AWS", "arn:aws:iam::111122223333:root", true),
        (Trust, "AWS", "arn:aws:iam::111122223333:role/a", true),
        (Trust, "AWS", "arn:aws:iam::111122223333:role/a*", false),
        (Trust, "AWS", "arn:aws:iam::111122223333:role/a?", false),
        (Trust, "AWS", "arn:aws:iam::111122223333:policy/a", false),
        (Trust, "AWS", "arn:aws:iam::111122223333:group/a", false),
        (Trust, "AWS", "arn:aws:iam::111122223333:oidc-provider/id.example.com", false),
        (Trust, "AWS", "arn:aws:sts::111122223333:assumed-role/a/s1", true),
        (Trust, "AWS", "arn:aws:sts::111122223333:federated-user/a", true),
        (Trust, "AWS", "arn:aws:sts::11112222333:federated-user/a", false),
        (Trust, "AWS", "arn:aws:sts::111122223333:federated-user/", false),
        (Trust, "AWS", "arn:aws:s3:::b", false),
        (Trust, "AWS", "acs:ram::1234567890123456:root", false),
        (Resource, "AWS", "arn:aws:s3:::b", true),
        (Resource, "AWS", "arn:aws:s3:::root", false),
        (Resource, "AWS", "b", false),
        (Trust, "Service", "a.example.com", true),
        (Trust, "Service", "*.example.com", false),
        (Trust, "Service", "?.example.com", false),
        (Trust, "Federated", "accounts.example.com", true),
        (Trust, "Federated", "a*", false),
        (Resource, "CanonicalUser", "79a5*", true),
    ];
    for (kind, class, text, good) in table {
        let rest = if kind == Trust { "" } else { r#", "Resource": "*""# };
        let members =
            format!(r#""Principal": {{"{class}": "{text}"}}, "Action": "sts:AssumeRole"{rest}"#);
        check(Aws, kind, &members, &if good { yes(class, text) } else { no(class, text) }, "*");
    }
    // A star for every service stands in denies only.
    let star =
        |class: &str| format!(r#""Principal": {{"{class}": "*"}}, "Action": "sts:AssumeRole""#);
    for class in ["Service", "Federated"] {
        check(Aws, Trust, &star(class), "", "*");
        let allow = text(Aws, &star(class)).replace("Deny", "Allow");
        assert!(Document::parse(&allow, Trust, Aws).is_err(), "{class}");
    }
    for (kind, text, good) in [
        (Trust, "acs:ram::1234567890123456:root", true),
        (Trust, "acs:ram::1234567890123456:role/Worker", true),
        (Trust, "acs:ram::1234567890123456:user/Alice", true),
        (Trust, "acs:ram::1234567890123456:role/w/s1", true),
        (Trust, "acs:ram::1234567890123456:policy/p", false),
        (Trust, "acs:ram::1234567890123456:group/g", false),
        (Trust, "acs:ram::1234567890123456:oidc-provider/p", false),
        (Trust, "acs:ram::1234567890123456:role/a*", false),
        (Trust, "acs:ram::1234567890123456:role/a?", false),
        (Trust, "*", false),
        (Resource, "*", true),
        (Trust, "arn:aws:iam::111122223333:root", false),
        (Trust, "1234567890123456", false),
        (Trust, "", false),
    ] {
        let rest = if kind == Trust { "" } else { r#", "Resource": "*""# };
        let members =
            format!(r#""Principal": {{"RAM": "{text}"}}, "Action": "sts:AssumeRole"{rest}"#);
        check(Alibaba, kind, &members, &if good { yes("", "") } else { no("RAM", text) }, "*");
    }
}

#[test]
fn trust_policies_hold_the_actions_of_sessions_only() {
    const ACTIONS: &str = "Trust Policy statement actions can only be sts:AssumeRole, sts:AssumeRoleWithSAML,  and sts:AssumeRoleWithWebIdentity";
    for (action, good) in [
        ("sts:AssumeRole", true),
        ("STS:assumerole", true),
        ("sts:AssumeRoleWithSAML", true),
        ("sts:AssumeRoleWithWebIdentity", true),
        ("sts:TagSession", true),
        ("sts:SetSourceIdentity", true),
        ("sts:SetContext", true),
        ("sts:GetCallerIdentity", false),
        ("sts:*", false),
        ("*", false),
    ] {
        let members = format!(r#""Principal": {{"AWS": "111122223333"}}, "Action": "{action}""#);
        check(Aws, Trust, &members, if good { "" } else { ACTIONS }, "");
    }
    let Err(error) = Document::parse(
        &text(Aws, r#""Principal": {"AWS": "111122223333"}, "NotAction": "sts:AssumeRole""#),
        Trust,
        Aws,
    ) else {
        panic!("a trust policy may not say what it is not about")
    };
    assert_eq!(error.message, ACTIONS);
}

#[test]
fn a_value_of_a_wrong_kind_is_named() {
    for (value, kind) in [
        ("null", "null"),
        ("true", "a boolean"),
        ("1.5", "a number"),
        ("[1]", "a number"),
        ("[[]]", "a list"),
        ("{}", "an object"),
    ] {
        let members = format!(r#""Action": {value}, "Resource": "*""#);
        let Err(error) = Document::parse(&text(Aws, &members), Identity, Aws) else {
            panic!("{value} is accepted")
        };
        let wanted = format!("an action must be a string, found {kind}");
        assert_eq!(error.detail, wanted, "{value}");
    }
    let Err(error) = Document::parse("\"a\"", Identity, Aws) else { panic!("a text is accepted") };
    assert_eq!(error.detail, "a policy document must be an object, found a string");
}
