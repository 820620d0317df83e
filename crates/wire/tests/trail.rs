//! The shapes in which the vendors tell an event, member by member.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use iam::audit::Event;
use iam::text::AccountId;
use serde_json::{Value, json};
use wire::alibaba::actiontrail;
use wire::aws::cloudtrail;

const AWS: &str = "111122223333";
const ALIBABA: &str = "1234567890123456";

fn event(account: &str, operation: &str, more: Value) -> Event {
    let dialect = if account == AWS { "aws" } else { "alibaba" };
    let mut all = json!({
        "format": 1, "id": "id", "at_ms": 1_700_000_000_000_i64, "request_id": "req", "operation": operation,
        "service": "iam", "read_only": false, "accounts": [account], "dialect": dialect,
        "actor": { "kind": "Root", "name": "root", "id": account, "account": account },
        "source_ip": "", "user_agent": "", "region": "", "params": {}, "response": {}, "resources": [],
    });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn on(account: &str, names: &[&str]) -> Value {
    let touched = |name: &&str| json!({ "account": account, "resource": name });
    names.iter().map(touched).collect()
}

fn as_cloudtrail(event: &Event) -> Value {
    cloudtrail::record(&AccountId::parse(AWS).unwrap(), event)
}

fn as_actiontrail(event: &Event) -> Value {
    actiontrail::event(&AccountId::parse(ALIBABA).unwrap(), event)
}

fn at(value: &Value, path: &str) -> Value {
    value.pointer(path).cloned().unwrap_or_default()
}

/// [src: ALIBABA.md 14.2]
#[test]
fn actiontrail_joins_resources_within_a_type_and_between_types() {
    let roles = ["acs:ram::1234567890123456:role/a", "acs:ram::1234567890123456:role/b"];
    let user = "acs:ram::1234567890123456:user/c";
    for (names, kinds, joined) in [
        (vec![roles[0], roles[1]], "ACS::RAM::Role", "a,b"),
        (vec![roles[0], user, roles[1]], "ACS::RAM::Role;ACS::RAM::User", "a,b;c"),
        (vec![], "", ""),
    ] {
        let shown =
            as_actiontrail(&event(ALIBABA, "TagRole", json!({ "resources": on(ALIBABA, &names) })));
        assert_eq!(
            (at(&shown, "/resourceType"), at(&shown, "/resourceName")),
            (json!(kinds), json!(joined))
        );
    }
    let both = json!({ "resources": on(ALIBABA, &[roles[0], roles[1], user]) });
    let shown = as_actiontrail(&event(ALIBABA, "TagRole", both));
    let wanted = json!({ "ACS::RAM::Role": ["a", "b"], "ACS::RAM::User": ["c"] });
    assert_eq!(at(&shown, "/referencedResources"), wanted);
    assert_eq!(
        at(&shown, "/additionalEventData"),
        json!({ "Scheme": "http", "CallerBid": "26842" })
    );
}

#[test]
fn actiontrail_has_the_vendors_names_for_what_was_asked_and_answered() {
    let role = "acs:ram::1234567890123456:role/r";
    let api = |name: &str| json!({ "product": "Ram", "version": "2015-05-01", "name": name, "host": "h" });
    let shown = as_actiontrail(&event(
        ALIBABA,
        "UpdateAssumeRolePolicy",
        json!({
            "api": api("UpdateRole"), "resources": on(ALIBABA, &[role]),
            "params": { "roleName": "r", "policyDocument": "{}", "description": "d", "maxSessionDuration": "3600" },
        }),
    ));
    let given = at(&shown, "/requestParameters");
    for (name, value) in [
        ("RoleName", "r"),
        ("NewAssumeRolePolicyDocument", "{}"),
        ("NewDescription", "d"),
        ("NewMaxSessionDuration", "3600"),
    ] {
        assert_eq!(given.get(name), Some(&json!(value)), "{given}");
    }
    assert!(given.get("PolicyDocument").is_none() && given.get("Description").is_none());
    let shown = as_actiontrail(&event(
        ALIBABA,
        "DeleteAccessKey",
        json!({
            "api": api("DeleteAccessKey"), "params": { "accessKeyId": "LTAI1", "policyName": "p", "policyType": "Custom" },
        }),
    ));
    assert_eq!(at(&shown, "/requestParameters/UserAccessKeyId"), json!("LTAI1"));
    assert_eq!(at(&shown, "/requestParameters/PolicyType"), json!("Custom"));
    let opened = json!({ "accessKeyId": "STS.1", "expirationMs": "1700000000000", "assumedRoleId": "3001:s" });
    let assumed = event(
        ALIBABA,
        "AssumeRole",
        json!({
            "response": opened, "resources": on(ALIBABA, &[role]),
            "actor": { "kind": "AssumedRole", "name": "n", "id": "3002:t", "role_id": "3002", "user_name": "caller" },
        }),
    );
    let shown = as_actiontrail(&assumed);
    assert_eq!(
        at(&shown, "/responseElements"),
        json!({
            "RequestId": "REQ",
            "AssumedRoleUser": { "AssumedRoleId": "3001:s", "Arn": "acs:ram::1234567890123456:role/r/s" },
            "Credentials": { "AccessKeyId": "STS.1", "AccessKeySecret": "******", "SecurityToken": "******",
                             "Expiration": "2023-11-14T22:13:20Z" },
        })
    );
    assert_eq!(at(&shown, "/requestParameters/stsTokenPrincipalName"), json!("caller/t"));
    assert_eq!(at(&shown, "/requestParameters/stsTokenPlayerUid"), json!("3002"));
    let made = json!({ "response": { "accessKeyId": "LTAI2" } });
    let shown = as_actiontrail(&event(ALIBABA, "CreateAccessKey", made));
    assert_eq!(at(&shown, "/responseElements/AccessKey/AccessKeySecret"), json!("******"));
}

/// [src: AWS.md 8.1]
#[test]
fn cloudtrail_has_lists_as_lists_and_a_deletions_whole_id() {
    let tags = json!([{ "key": "a", "value": "x, b=y" }, { "key": "c", "value": "" }]);
    let shown = as_cloudtrail(&event(
        AWS,
        "AssumeRole",
        json!({ "params": {
            "tags": tags.to_string(), "transitiveTagKeys": "[\"a\"]", "policyArns": "[{\"arn\":\"x\"}]", "roleArn": "r",
        }}),
    ));
    assert_eq!(at(&shown, "/requestParameters/tags"), tags);
    assert_eq!(at(&shown, "/requestParameters/transitiveTagKeys"), json!(["a"]));
    assert_eq!(at(&shown, "/requestParameters/policyArns/0/arn"), json!("x"));
    let role = "arn:aws:iam::111122223333:role/aws-service-role/a.example.com/AWSServiceRoleForA";
    let submitted = json!({ "response": { "deletionTaskId": "u-u-i-d", "usageSource": "registry" },
                            "resources": on(AWS, &[role]) });
    let shown = as_cloudtrail(&event(AWS, "DeleteServiceLinkedRole", submitted));
    let task = "task/aws-service-role/a.example.com/AWSServiceRoleForA/u-u-i-d";
    assert_eq!(at(&shown, "/responseElements"), json!({ "deletionTaskId": task }));
    for (code, exception) in [
        ("PackedPolicyTooLarge", "PackedPolicyTooLargeException"),
        ("ConcurrentModification", "ConcurrentModificationException"),
        ("NoSuchEntity", "NoSuchEntityException"),
        ("AccessDenied", "AccessDenied"),
    ] {
        let failed = json!({ "error": "X", "told": { "code": code, "message": "m" } });
        let shown = as_cloudtrail(&event(AWS, "AssumeRole", failed));
        assert_eq!(at(&shown, "/errorCode"), json!(exception));
    }
}
