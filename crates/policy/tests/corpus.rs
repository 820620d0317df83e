//! Runs every case of `corpus/policy` against the evaluators and the parser.
#![expect(clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

use std::collections::BTreeSet;
use std::path::Path;

use policy::cases::{self, Case, Task, Verdict};
use policy::{Dialect, Evaluate, Spec};
use worlds::Agreed;

/// The evaluators at once, so that whatever they say is compared, and then each by itself.
fn evaluators() -> Vec<(&'static str, &'static dyn Evaluate)> {
    [("both", &Agreed as &dyn Evaluate)]
        .into_iter()
        .chain(cases::EVALUATORS.iter().copied())
        .collect()
}

fn corpus() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/policy");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    names.sort();
    let mut all = Vec::new();
    for name in names {
        let text = std::fs::read_to_string(&name).expect("readable");
        all.extend(cases::read(&text).unwrap_or_else(|e| panic!("{}: {e}", name.display())));
    }
    all
}

#[test]
fn every_case_of_the_corpus_holds() {
    let (cases, evaluators) = (corpus(), evaluators());
    let (mut ids, mut failures) = (BTreeSet::new(), Vec::new());
    for case in &cases {
        match case.run(&evaluators) {
            Verdict::Passed => {}
            Verdict::Skipped(why) => failures.push(format!("{}: skipped: {why}", case.id)),
            Verdict::Failed(why) => failures.push(format!("{}: {why}", case.id)),
        }
        assert!(ids.insert(&case.id), "the id {} occurs in two files", case.id);
    }
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
    assert!(ids.len() >= 1_200, "only {} cases were found", ids.len());
    let ram = cases.iter().filter(|case| case.dialect == Dialect::Alibaba).count();
    assert!(ram >= 250, "only {ram} cases of RAM were found");
}

/// The numbers of each table of traps, by the beginning of their tags.
const TRAPS: [(&str, core::ops::RangeInclusive<u8>); 4] =
    [("trap-31", 1..=17), ("trap-32", 18..=27), ("trap-33", 28..=50), ("trap-34", 51..=89)];

/// Traps that are not about documents or decisions.
const ELSEWHERE: [(u8, &str); 3] = [
    (79, "the operation asks for no permission, so no decision is made"),
    (81, "about what the simulation operation leaves out of its question"),
    (86, "sizes are limits of the account that stores a document, not of the language"),
];

/// The open questions, and the rows in which RAM differs.
const TOPICS: [&str; 28] = [
    "section-1-a",
    "section-1-b",
    "section-1-c",
    "section-1-d",
    "section-1-e",
    "section-1-everything",
    "section-1-plain-on-list",
    "section-1-role-boundary",
    "section-1-role-case",
    "trap-36-action",
    "trap-36-assume-role",
    "trap-36-boundary",
    "trap-36-control",
    "trap-36-elements",
    "trap-36-keys",
    "trap-36-name",
    "trap-36-operators",
    "trap-36-order",
    "trap-36-owner",
    "trap-36-scope",
    "trap-36-service-linked",
    "trap-36-service-linked-control",
    "trap-36-session",
    "trap-36-stringlike",
    "trap-36-trust",
    "trap-36-values",
    "trap-36-variables",
    "trap-36-version",
];

/// Whether a case ends with access or with a document accepted.
fn is_yes(case: &Case) -> bool {
    match &case.task {
        Task::Evaluate(task) => task.decide(&Spec).is_ok_and(|decision| decision.allowed()),
        Task::Parse(task) => task.parse().is_ok(),
    }
}

#[test]
fn every_trap_has_cases_in_both_directions() {
    let cases = corpus();
    let found = |yes: bool| -> BTreeSet<&str> {
        let cases = cases.iter().filter(|case| is_yes(case) == yes);
        cases.flat_map(|case| case.tags.iter().map(String::as_str)).collect()
    };
    let (yes, no) = (found(true), found(false));
    let numbered = TRAPS.iter().flat_map(|(table, numbers)| {
        let here = numbers.clone().filter(|n| ELSEWHERE.iter().all(|(other, _)| n != other));
        here.map(move |n| format!("{table}-{n:02}"))
    });
    let missing: Vec<String> = numbered
        .chain(TOPICS.iter().map(|topic| (*topic).to_owned()))
        .filter(|tag| !yes.contains(tag.as_str()) || !no.contains(tag.as_str()))
        .collect();
    assert!(missing.is_empty(), "no case, or cases of one direction only: {missing:?}");
}

#[test]
fn every_case_says_where_its_rule_comes_from() {
    for case in corpus() {
        assert!(!case.tags.is_empty() && !case.note.is_empty(), "{}", case.id);
    }
}
