//! Runs every case of `corpus/policy` against the evaluators and the parser.
#![expect(clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

use std::collections::BTreeSet;
use std::path::Path;

use policy::cases::{self, Verdict};
use policy::{Dialect, Evaluate};
use worlds::Agreed;

/// The evaluators at once, so that the quick verdict is compared too, and then each by itself.
fn evaluators() -> Vec<(&'static str, &'static dyn Evaluate)> {
    [("both", &Agreed as &dyn Evaluate)]
        .into_iter()
        .chain(cases::EVALUATORS.iter().copied())
        .collect()
}

#[test]
fn every_case_of_the_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/policy");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    names.sort();
    let evaluators = evaluators();
    let mut ram = 0;
    let (mut ids, mut failures, mut skipped) = (BTreeSet::new(), Vec::new(), Vec::new());
    for name in names {
        let text = std::fs::read_to_string(&name).expect("readable");
        let cases = cases::read(&text).unwrap_or_else(|e| panic!("{}: {e}", name.display()));
        for case in cases {
            match case.run(&evaluators) {
                Verdict::Passed => {}
                Verdict::Skipped(_) => skipped.push(case.id.clone()),
                Verdict::Failed(why) => failures.push(format!("{}: {why}", case.id)),
            }
            ram += usize::from(case.dialect == Dialect::Alibaba);
            assert!(ids.insert(case.id.clone()), "the id {} occurs in two files", case.id);
        }
    }
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
    assert!(skipped.is_empty(), "skipped: {skipped:?}");
    assert!(ids.len() >= 1_200, "only {} cases were found", ids.len());
    assert!(ram >= 250, "only {ram} cases of RAM were found");
}
