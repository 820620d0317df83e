//! The commands about policies against the real binary: what they print, and their exit codes.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// What a run of the binary came to.
struct Done {
    code: i32,
    out: String,
    err: String,
}

fn policy(arguments: &[&str], input: &str) -> Done {
    let mut child = Command::new(env!("CARGO_BIN_EXE_linkrole"))
        .arg("policy")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut pipe = child.stdin.take().expect("piped");
    // A command that does not read its input may be gone already.
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    let done = child.wait_with_output().expect("it ends");
    Done {
        code: done.status.code().expect("no signal"),
        out: String::from_utf8(done.stdout).expect("text"),
        err: String::from_utf8(done.stderr).expect("text"),
    }
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/policy")
}

/// A file of a right case, a wrong one, a parse case, and one of a dialect with few cases.
fn cases() -> String {
    let request = json!({
        "action": "s3:GetObject", "resource": "arn:aws:s3:::b/k",
        "principal": {"type": "User", "arn": "arn:aws:iam::111122223333:user/a",
            "account": "111122223333"}});
    let policies = json!({"identity": [{"name": "p", "document": {"Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}}}]});
    let evaluate = |id: &str, tag: &str, decision: &str| {
        json!({"id": id, "kind": "evaluate", "tags": [tag], "request": request,
            "policies": policies, "expect": {"decision": decision}})
    };
    let mut refused = evaluate("refused", "right", "Error");
    refused["policies"] = json!({"identity": [{"name": "bad", "text": "no JSON"}]});
    let parse = json!({"id": "parse", "kind": "parse", "policyKind": "identity", "text": "{}",
        "tags": ["right"], "expect": {"valid": false, "code": "MalformedPolicyDocument"}});
    let all = [evaluate("right", "right", "Allow"), evaluate("wrong", "bad", "ImplicitDeny")];
    let all = all.into_iter().chain([refused, parse]).collect::<Vec<_>>();
    json!({"format": "linkrole-cases/1", "cases": all}).to_string()
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

#[test]
fn test_counts_differences_and_says_so_in_its_last_line() {
    let table: [(&[&str], i32, &str); 7] = [
        (&["test", "-"], 1, "3 passed, 1 failed, 0 skipped"),
        (&["test", "--output", "text", "-"], 1, "3 passed, 1 failed, 0 skipped"),
        (&["test", "--only", "right", "-"], 0, "3 passed, 0 failed, 1 skipped"),
        (&["test", "--only", "right", "--only", "bad", "-"], 1, "3 passed, 1 failed, 0 skipped"),
        (&["test", "--skip", "bad", "-"], 0, "3 passed, 0 failed, 1 skipped"),
        (&["test", "--only", "right", "--skip", "right", "-"], 0, "0 passed, 0 failed, 4 skipped"),
        (&["test", "--dialect", "alibaba", "-"], 0, "0 passed, 0 failed, 4 skipped"),
    ];
    for (arguments, code, line) in table {
        let done = policy(arguments, &cases());
        assert_eq!((done.code, last_line(&done.out)), (code, line), "{arguments:?} {}", done.err);
    }
    let done = policy(&["test", "-"], &cases());
    assert!(done.out.contains("wrong in -\n  spec: expected ImplicitDeny, found Allow in layer"));
}

#[test]
fn test_prints_one_document_when_asked_for_json() {
    let done = policy(&["test", "--output", "json", "-"], &cases());
    let value: Value = serde_json::from_str(&done.out).expect("JSON");
    assert_eq!((done.code, &value["failed"], &value["passed"]), (1, &json!(1), &json!(3)));
    assert_eq!(value["differences"][0]["id"], json!("wrong"));
}

#[test]
fn test_reads_folders_and_passes_on_the_corpus() {
    let folder = corpus();
    let done = policy(&["test", folder.to_str().expect("text")], "");
    assert_eq!(done.code, 0, "{}", done.out);
    assert!(done.out.contains("conditions.json") && done.out.contains("samples.json"));
    assert!(last_line(&done.out).contains(" passed, 0 failed, "), "{}", done.out);
}

#[test]
fn unreadable_input_is_told_from_an_answer_that_is_no() {
    let folder = TempDir::new().expect("a folder");
    let bad = folder.path().join("bad.json");
    std::fs::write(&bad, "{").expect("written");
    let bad = bad.to_str().expect("text");
    for verb in ["test", "eval", "validate"] {
        for (file, wanted) in [(bad, "bad.json: not a case file"), ("no-such", "cannot read")] {
            let done = policy(&[verb, file], "");
            assert_eq!(done.code, 2, "{verb} {file}");
            assert!(done.err.contains(wanted), "{}", done.err);
            assert_eq!(done.out, "");
        }
    }
    assert_eq!(policy(&["test"], "").code, 2, "no files at all");
}

#[test]
fn eval_prints_a_line_for_every_request() {
    let done = policy(&["eval", "--format", "jsonl", "-"], &cases());
    let lines: Vec<Value> =
        done.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((done.code, lines.len()), (0, 3));
    assert_eq!(
        lines[0],
        json!({"id": "right", "decision": "Allow", "layer": "identity", "blockedBy": [],
            "matched": [{"policy": "p", "statement": 0, "effect": "Allow"}], "error": null})
    );
    assert_eq!(lines[1]["decision"], json!("Allow"), "the expectation is ignored");
    assert_eq!(lines[2]["decision"], json!("Error"));
    let error = lines[2]["error"].as_str().unwrap_or_else(|| panic!("no error"));
    assert!(error.starts_with("policy `bad`: "), "{error}");
}

#[test]
fn validate_prints_a_line_for_every_policy_text() {
    let done = policy(&["validate", "--format", "jsonl", "-"], &cases());
    let value: Value = serde_json::from_str(&done.out).expect("one line of JSON");
    let members: Vec<&str> = value.as_object().expect("an object").keys().map(|k| &**k).collect();
    assert_eq!(members, ["code", "id", "message", "path", "valid"]);
    assert_eq!(value["code"], json!("MalformedPolicyDocument"));
    let table = policy(&["validate", "-"], &cases());
    assert!(table.out.starts_with("ID     VALID  CODE"), "{}", table.out);
}

/// A folder with some policies.
fn policies() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let files = [
        (
            "reader.json",
            r#"{"Version": "2012-10-17", "Statement": [{"Sid": "Read", "Effect": "Allow", "Action": "s3:Get*",
            "Resource": "arn:aws:s3:::b/*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}]}"#,
        ),
        (
            "all.json",
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#,
        ),
        (
            "compute.json",
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}"#,
        ),
        (
            "trust.json",
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "backup.example.com"}}}"#,
        ),
        ("broken.json", r#"{"Version": "2012-10-17"}"#),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

/// Runs with arguments in which `@name` stands for a file of [`policies`].
fn with_policies(line: &str) -> Done {
    let folder = policies();
    let path = folder.path().to_str().expect("text");
    let line = line.replace('@', &format!("{path}/"));
    policy(&line.split_whitespace().collect::<Vec<_>>(), "")
}

const ALICE: &str = "--principal arn:aws:iam::111122223333:user/alice --identity @reader.json";

#[test]
fn simulate_prints_a_row_for_every_action_and_resource() {
    let read = "simulate --action s3:GetObject --resource arn:aws:s3:::b/k";
    let near = "--context aws:SourceIp=10.1.2.3";
    let table = [
        (format!("{read} {ALICE} {near}"), 0, "Allow         identity  statement 0 (`Read`)"),
        (format!("{read} {ALICE}"), 1, "ImplicitDeny  identity  closest: statement 0"),
        (format!("{read} --action s3:PutObject {ALICE} {near}"), 1, "s3:PutObject  arn:aws"),
        (format!("{read} {ALICE} {near} --boundary @compute.json"), 1, "boundary  closest"),
        (format!("{read} {ALICE} {near} --session @compute.json"), 1, "session"),
        (format!("{read} {ALICE} {near} --scp @all.json --scp @compute.json"), 1, "scp"),
        (
            format!("{read} {ALICE} {near} --scp @all.json --scp @compute.json,@all.json"),
            0,
            "Allow",
        ),
        (format!("{read} --principal 111122223333"), 0, "Allow"),
        (format!("{read} --principal *"), 1, "ImplicitDeny"),
    ];
    for (line, code, wanted) in table {
        let done = with_policies(&line);
        let squeezed = done.out.split_whitespace().collect::<Vec<_>>().join(" ");
        let wanted = wanted.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(done.code, code, "{line}: {}{}", done.out, done.err);
        assert!(squeezed.contains(&wanted), "{line}: {squeezed}\nlacks: {wanted}");
    }
    let trust = "simulate --action sts:AssumeRole --resource arn:aws:iam::111122223333:role/r \
                 --trust @trust.json --principal";
    assert_eq!(with_policies(&format!("{trust} backup.example.com")).code, 0);
    assert_eq!(with_policies(&format!("{trust} other.example.com")).code, 1);
}

#[test]
fn wrong_questions_are_told_what_is_wrong_with_them() {
    let read = "simulate --action s3:GetObject";
    let table = [
        (format!("{read} --principal nobody"), "`nobody` is no principal; give an ARN"),
        (format!("{read} --principal arn:aws:s3:::b/k"), "is no kind of principal"),
        (format!("{read} {ALICE} --context a"), "`--context a` has no `=`"),
        (format!("{read} {ALICE} --boundary @no-such"), "cannot read"),
        (format!("{read} {ALICE} --boundary @broken.json"), "broken.json`: "),
        (read.to_owned(), "--principal"),
        ("explain".to_owned(), "--action"),
        (format!("{read} {ALICE} --trust @trust.json --resource-policy @trust.json"), "cannot be"),
    ];
    for (line, wanted) in table {
        let done = with_policies(&line);
        assert_eq!(done.code, 2, "{line}");
        assert!(done.err.contains(wanted), "{line}: {}\nlacks: {wanted}", done.err);
    }
}

#[test]
fn explain_names_what_decided_and_what_would_have_changed_it() {
    let ask = "explain --action s3:GetObject --resource arn:aws:s3:::b/k";
    let done = with_policies(&format!("{ask} {ALICE} --context aws:SourceIp=192.0.2.1"));
    assert_eq!(done.code, 0, "{}", done.err);
    for wanted in [
        "ImplicitDeny, decided by layer identity",
        "is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k because no \
         identity-based policy allows the s3:GetObject action",
        "closest to allowing: statement 0 (`Read`) of identity policy",
        "condition IpAddress on `aws:SourceIp` wants `10.0.0.0/8`, and it is `192.0.2.1`",
        "an Allow of s3:GetObject on arn:aws:s3:::b/k in an identity policy",
        "a value of `aws:SourceIp` equal to `10.0.0.0`",
    ] {
        assert!(done.out.contains(wanted), "{}\nlacks: {wanted}", done.out);
    }
    let done = with_policies(&format!("{ask} {ALICE} --context aws:SourceIp=10.0.0.1"));
    assert!(done.out.contains("\nAllow: statement 0 (`Read`)"), "{}", done.out);
    let done = with_policies(&format!("{ask} {ALICE} --output json"));
    let value: Value = serde_json::from_str(&done.out).expect("JSON");
    assert_eq!(value["closest"]["failing"][0]["element"], json!("condition"));
    assert_eq!(value["suggestions"][0]["changes"][0]["change"], json!("add_statement"));
}

#[test]
fn explain_takes_a_case_by_its_id() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("cases.json");
    std::fs::write(&file, cases()).expect("written");
    let file = file.to_str().expect("text");
    let table = [
        ("right", 0, "Allow, decided by layer identity"),
        ("refused", 2, "policy `bad`: "),
        ("parse", 2, "the case `parse` asks about no request"),
        ("absent", 2, "has no case with the id `absent`"),
    ];
    for (id, code, wanted) in table {
        let done = policy(&["explain", file, "--id", id], "");
        assert_eq!(done.code, code, "{id}: {}", done.err);
        assert!(done.out.contains(wanted) || done.err.contains(wanted), "{id}: {}", done.err);
    }
    let done = policy(&["test", "--explain", file], "");
    assert!(done.out.contains("  Allow: statement 0 of identity policy `p`"), "{}", done.out);
}

#[test]
fn check_tells_findings_in_three_forms_and_fails_on_errors_only() {
    let bad = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "iam:ListRoles",
        "Resource": "arn:aws:iam::111122223333:role/r"}}"#;
    let done = policy(&["check", "-"], bad);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("-:2:21  warning   resource-ignored"), "{}", done.out);
    let json: Value =
        serde_json::from_str(&policy(&["check", "--output", "json", "-"], bad).out).expect("JSON");
    assert_eq!(json["findings"][0]["code"], json!("resource-ignored"));
    assert_eq!(json["findings"][0]["severity"], json!("warning"));
    let sarif = policy(&["check", "--format", "sarif", "-"], bad);
    let report: Value = serde_json::from_str(&sarif.out).expect("JSON");
    assert_eq!(report["runs"][0]["results"][0]["ruleId"], json!("resource-ignored"));
    for arguments in [&["check", "-"][..], &["check", "--format", "sarif", "-"]] {
        let done = policy(arguments, "{");
        assert_eq!((done.code, done.err.contains("1 errors in 1 files")), (1, true));
    }
    assert_eq!(policy(&["check", "no-such"], "").code, 2);
}

/// Policies as the documentation of the server's own operations would have them.
#[test]
fn check_knows_the_resources_and_keys_of_the_servers_own_operations() {
    let statement = |action: &str, resource: &str, key: &str| {
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action,
            "Resource": resource, "Condition": {"StringEquals": {key: "a"}}}})
        .to_string()
    };
    let role = "arn:aws:iam::111122223333:role/*";
    let linked = "arn:aws:iam::111122223333:role/aws-service-role/*";
    let table = [
        ("iam:CreateServiceLinkedRole", linked, "iam:AWSServiceName", ""),
        ("iam:PassRole", role, "iam:PassedToService", ""),
        ("iam:AttachRolePolicy", role, "iam:PolicyARN", ""),
        ("iam:GetRole", role, "aws:ResourceTag/team", ""),
        ("sts:AssumeRole", role, "sts:ExternalId", ""),
        ("iam:GetRole", role, "iam:PolicyARN", "key-never-present"),
        ("iam:GetRole", role, "aws:SourceIpp", "key-never-present"),
        ("iam:GetUser", role, "aws:SourceIp", "resource-of-other-type"),
    ];
    for (action, resource, key, wanted) in table {
        let done = policy(&["check", "--output", "text", "-"], &statement(action, resource, key));
        let code = done.out.split('\t').nth(2).unwrap_or_default();
        assert_eq!(code, wanted, "{action} {key}: {}", done.out);
    }
}
