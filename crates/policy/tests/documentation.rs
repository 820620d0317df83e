//! The pages about policies: their examples work, and their lists are complete.
#![expect(clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

use std::path::Path;

use policy::Spec;
use policy::cases::{self, Verdict};

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_example_of_a_case_file_passes() {
    let page = page("policy-cases.md");
    let (_, example) = page.split_once("```json\n").expect("an example");
    let (example, _) = example.split_once("```").expect("it ends");
    let cases = cases::read(example).expect("a case file");
    assert_eq!(cases.len(), 2);
    for case in cases {
        assert_eq!(case.run(&[("spec", &Spec)]), Verdict::Passed, "{}", case.id);
    }
}

#[test]
fn every_kind_of_finding_is_described() {
    let page = page("policy-lint.md");
    let (_, table) = page.split_once("## The codes").expect("the list");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').splitn(4, " | ").map(str::trim).collect())
        .collect();
    let wanted: Vec<Vec<String>> = policy::RULES
        .iter()
        .map(|rule| {
            let severity = format!("{:?}", rule.severity).to_lowercase();
            vec![format!("`{}`", rule.code), severity, rule.title.to_owned(), rule.help.to_owned()]
        })
        .collect();
    assert_eq!(rows, wanted, "docs/reference/policy-lint.md does not list the rules as they are");
}
