//! Case files on the command line: run them, or only print what they are answered.

use super::DialectArg;
use super::explain::Told;
use super::output::{self, Output};
use super::policy::read;
use ::policy::cases::{self, Case, EVALUATORS, EvaluateCase, MALFORMED, ParseCase, Task, Verdict};
use ::policy::{Decision, Dialect, Engine};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// How many differences are printed; the count of all is in the last line.
const DIFFERENCES_MAX: usize = 20;

#[derive(Args)]
pub struct Selection {
    /// Only cases with this tag; may be given several times
    #[arg(long, value_name = "TAG")]
    only: Vec<String>,
    /// No cases with this tag; may be given several times
    #[arg(long, value_name = "TAG")]
    skip: Vec<String>,
    /// Only cases of this dialect
    #[arg(long, value_enum)]
    dialect: Option<DialectArg>,
    /// Case files, or folders of them; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

#[derive(Args)]
pub struct TestArgs {
    /// Say of every difference why the decision came out as it did
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Args)]
pub struct EvalArgs {
    /// One JSON object a line, instead of what `--output` says
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    selection: Selection,
}

/// A form of output besides those of `--output`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
}

impl Selection {
    /// Whether a case is asked for.
    fn takes(&self, case: &Case) -> bool {
        let has = |tag: &String| case.tags.contains(tag);
        self.dialect.is_none_or(|dialect| Dialect::from(dialect) == case.dialect)
            && (self.only.is_empty() || self.only.iter().any(has))
            && !self.skip.iter().any(has)
    }

    /// The files by name with their cases; an error names the file that cannot be read.
    fn read(&self) -> Result<Vec<(String, Vec<Case>)>, String> {
        let mut names = Vec::new();
        for file in &self.files {
            collect(file, &mut names)?;
        }
        let mut files = Vec::new();
        for name in names {
            let at = name.display().to_string();
            let cases = cases::read(&read(&name)?).map_err(|error| format!("{at}: {error}"))?;
            files.push((at, cases));
        }
        Ok(files)
    }

    /// The cases that are asked for, of all files.
    fn cases(&self) -> Result<Vec<Case>, String> {
        let all = self.read()?.into_iter().flat_map(|(_, cases)| cases);
        Ok(all.filter(|case| self.takes(case)).collect())
    }
}

/// Adds a file, or every JSON file of a folder and its folders, in the order of their names.
fn collect(path: &Path, names: &mut Vec<PathBuf>) -> Result<(), String> {
    if !path.is_dir() {
        names.push(path.to_owned());
        return Ok(());
    }
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let entries: Result<Vec<_>, _> =
        std::fs::read_dir(path).map_err(failed)?.map(|e| e.map(|e| e.path())).collect();
    let mut entries = entries.map_err(failed)?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|e| e == "json") {
            collect(&entry, names)?;
        }
    }
    Ok(())
}

/// How many cases ended how.
#[derive(Clone, Copy, Default)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Count {
    fn add(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Runs cases; `false` when an answer differs from the expected one.
pub fn test(args: &TestArgs, output: Output) -> Result<bool, String> {
    let (mut files, mut differences, mut total) = (Vec::new(), Vec::new(), Count::default());
    for (file, cases) in args.selection.read()? {
        let mut count = Count::default();
        for case in &cases {
            match run(&args.selection, case) {
                Verdict::Passed => count.passed += 1,
                Verdict::Skipped(_) => count.skipped += 1,
                Verdict::Failed(why) => {
                    count.failed += 1;
                    let explanation = if args.explain { explained(case) } else { None };
                    differences.push(json!({
                        "file": file, "id": case.id, "difference": why, "explanation": explanation,
                    }));
                }
            }
        }
        let Count { passed, failed, skipped } = count;
        files.push(json!({"file": file, "passed": passed, "failed": failed, "skipped": skipped}));
        total.add(count);
    }
    let value = json!({
        "files": files,
        "differences": differences,
        "passed": total.passed,
        "failed": total.failed,
        "skipped": total.skipped,
    });
    let headings = ["FILE", "PASSED", "FAILED", "SKIPPED"];
    output::print(output, &value, &headings, |value| {
        output::rows(value, "/files", &["/file", "/passed", "/failed", "/skipped"])
    })?;
    if output != Output::Json {
        print_differences(&differences)?;
        let Count { passed, failed, skipped } = total;
        output::line(&format!("{passed} passed, {failed} failed, {skipped} skipped"))?;
    }
    Ok(total.failed == 0)
}

fn run(selection: &Selection, case: &Case) -> Verdict {
    if selection.takes(case) {
        case.run(EVALUATORS)
    } else {
        Verdict::Skipped("it is not asked for".to_owned())
    }
}

/// Why a case is answered as it is; nothing for a policy text or refused policies.
fn explained(case: &Case) -> Option<String> {
    match &case.task {
        Task::Evaluate(task) => Told::of(task).ok().map(|told| told.text()),
        Task::Parse(_) => None,
    }
}

fn print_differences(differences: &[Value]) -> Result<(), String> {
    for difference in differences.iter().take(DIFFERENCES_MAX) {
        let text = |name: &str| output::text(difference, name);
        output::line(&format!("\n{} in {}", text("/id"), text("/file")))?;
        for part in [text("/difference"), text("/explanation")] {
            if !part.is_empty() {
                output::line(&format!("  {}", part.replace('\n', "\n  ")))?;
            }
        }
    }
    let more = differences.len().saturating_sub(DIFFERENCES_MAX);
    if more > 0 {
        output::line(&format!("\n{more} more differences; `--output json` shows all"))?;
    }
    if differences.is_empty() { Ok(()) } else { output::line("") }
}

/// Prints the answer to every request of the files.
pub fn eval(args: &EvalArgs, output: Output) -> Result<bool, String> {
    let mut answers = Vec::new();
    for case in args.selection.cases()? {
        if let Task::Evaluate(task) = &case.task {
            answers.push(answer(&case, task));
        }
    }
    let headings = ["ID", "DECISION", "LAYER", "BLOCKED BY", "ERROR"];
    let members = ["/id", "/decision", "/layer", "/blockedBy", "/error"];
    print(args, output, answers, &headings, &members)
}

/// Prints of every policy text of the files whether it may be stored.
pub fn validate(args: &EvalArgs, output: Output) -> Result<bool, String> {
    let mut answers = Vec::new();
    for case in args.selection.cases()? {
        if let Task::Parse(task) = &case.task {
            answers.push(validity(&case, task));
        }
    }
    let headings = ["ID", "VALID", "CODE", "MESSAGE", "PATH"];
    let members = ["/id", "/valid", "/code", "/message", "/path"];
    print(args, output, answers, &headings, &members)
}

fn print(
    args: &EvalArgs,
    output: Output,
    answers: Vec<Value>,
    headings: &[&str],
    members: &[&str],
) -> Result<bool, String> {
    if args.format == Some(Format::Jsonl) {
        for answer in &answers {
            output::line(&answer.to_string())?;
        }
        return Ok(true);
    }
    output::print(output, &json!({ "cases": answers }), headings, |value| {
        output::rows(value, "/cases", members)
    })?;
    Ok(true)
}

/// The answer to a request; a policy that is refused is the decision `Error`.
fn answer(case: &Case, task: &EvaluateCase) -> Value {
    match task.decide(&Engine) {
        Ok(decision) => decision_value(&case.id, &decision),
        Err(error) => json!({
            "id": case.id, "decision": "Error", "layer": null, "blockedBy": [], "matched": [],
            "error": error,
        }),
    }
}

fn decision_value(id: &str, decision: &Decision) -> Value {
    let matched: Vec<Value> = decision
        .matched
        .iter()
        .map(|m| json!({"policy": m.policy, "statement": m.statement, "effect": m.effect}))
        .collect();
    json!({
        "id": id,
        "decision": decision.effect,
        "layer": decision.layer,
        "blockedBy": decision.blocked_by,
        "matched": matched,
        "error": null,
    })
}

fn validity(case: &Case, task: &ParseCase) -> Value {
    let id = &case.id;
    match task.parse() {
        Ok(_) => json!({"id": id, "valid": true, "code": null, "message": null, "path": null}),
        Err(error) => json!({
            "id": id, "valid": false, "code": MALFORMED, "message": error.message,
            "path": error.path,
        }),
    }
}
