//! Runs every case of `corpus/policy` against the evaluators and the parser.
#![expect(clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

use std::collections::BTreeSet;
use std::path::Path;

use policy::cases::{self, Verdict};
use policy::{Evaluate, Spec};

/// Every evaluator there is; all must give the expected answers.
const EVALUATORS: &[(&str, &dyn Evaluate)] = &[("spec", &Spec)];

#[test]
fn every_case_of_the_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/policy");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    names.sort();
    let (mut ids, mut failures, mut skipped) = (BTreeSet::new(), Vec::new(), Vec::new());
    for name in names {
        let text = std::fs::read_to_string(&name).expect("readable");
        let cases = cases::read(&text).unwrap_or_else(|e| panic!("{}: {e}", name.display()));
        for case in cases {
            match case.run(EVALUATORS) {
                Verdict::Passed => {}
                // Cases wait for their dialect, and for nothing else.
                Verdict::Skipped(why) if cases::DIALECTS.contains(&case.dialect) => {
                    failures.push(format!("{}: skipped: {why}", case.id));
                }
                Verdict::Skipped(_) => skipped.push(case.id.clone()),
                Verdict::Failed(why) => failures.push(format!("{}: {why}", case.id)),
            }
            assert!(ids.insert(case.id.clone()), "the id {} occurs in two files", case.id);
        }
    }
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
    assert!(ids.len() >= 650, "only {} cases were found", ids.len());
    assert!(skipped.len() < ids.len() / 2, "{} cases are skipped", skipped.len());
}
