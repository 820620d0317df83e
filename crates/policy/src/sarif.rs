//! Findings as SARIF 2.1.0, the form in which code review tools take them.

use serde_json::{Value as Json, json};

use crate::lint::{Finding, Severity};
use crate::lint_rules::RULES;

/// The page that describes every kind of finding.
const PAGE: &str = "docs/reference/policy-lint.md";

/// A report of the findings of some files, by the files' names.
pub fn report(tool_version: &str, files: &[(String, Vec<Finding>)]) -> Json {
    let rules: Vec<Json> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.code,
                "shortDescription": {"text": rule.title},
                "fullDescription": {"text": rule.help},
                "help": {"text": format!("{}\nSee {PAGE}.", rule.help)},
                "defaultConfiguration": {"level": level(rule.severity)},
            })
        })
        .collect();
    let results: Vec<Json> = files
        .iter()
        .flat_map(|(file, findings)| findings.iter().map(|finding| result(file, finding)))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "linkrole", "version": tool_version, "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Suggestion => "note",
    }
}

fn result(file: &str, finding: &Finding) -> Json {
    let mut result = json!({
        "ruleId": finding.code,
        "level": level(finding.severity),
        "message": {"text": format!("{}: {}", finding.message, finding.fix)},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": {"uri": address(file)},
                "region": {"startLine": finding.line, "startColumn": finding.column},
            },
            "logicalLocations": [{"fullyQualifiedName": finding.path}],
        }],
    });
    let index = RULES.iter().position(|rule| rule.code == finding.code);
    if let (Some(index), Some(members)) = (index, result.as_object_mut()) {
        members.insert("ruleIndex".to_owned(), json!(index));
    }
    result
}

/// A file's name as a relative or absolute address; what an address cannot hold is escaped.
fn address(file: &str) -> String {
    let mut out = String::with_capacity(file.len());
    for byte in file.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    if out.starts_with('/') { format!("file://{out}") } else { out }
}
