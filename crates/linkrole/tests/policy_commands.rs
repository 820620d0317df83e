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
