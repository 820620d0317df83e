//! Commands that look at one thing and say what they found: policies, a store, a server.

use super::Endpoint;
use super::output::{self, Output};
use super::remote;
use clap::{Args, Subcommand, ValueEnum};
use policy::{PolicyKind, Severity};
use serde_json::json;
use std::io::Read;
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum PolicyCommand {
    /// Find what is wrong with policy documents, or risky in them
    #[command(
        after_help = "Example:\n  linkrole policy check --kind trust trust.json\n  linkrole policy check - < policy.json"
    )]
    Check {
        /// What the documents are
        #[arg(long, value_enum, default_value_t = KindArg::Identity)]
        kind: KindArg,
        /// Files; `-` is standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    Identity,
    Resource,
    Trust,
    Scp,
    Rcp,
    Boundary,
    Session,
}

impl From<KindArg> for PolicyKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Identity => Self::Identity,
            KindArg::Resource => Self::Resource,
            KindArg::Trust => Self::Trust,
            KindArg::Scp => Self::Scp,
            KindArg::Rcp => Self::Rcp,
            KindArg::Boundary => Self::Boundary,
            KindArg::Session => Self::Session,
        }
    }
}

/// Checks policy documents; fails when one of them has an error.
pub fn policy(command: &PolicyCommand, output: Output) -> Result<(), String> {
    let PolicyCommand::Check { kind, files } = command;
    let mut findings = Vec::new();
    let mut errors = 0;
    for file in files {
        let text = read(file)?;
        for finding in policy::check(&text, PolicyKind::from(*kind)) {
            errors += usize::from(finding.severity == Severity::Error);
            findings.push(json!({
                "file": file.display().to_string(),
                "severity": format!("{:?}", finding.severity).to_lowercase(),
                "code": finding.code,
                "line": finding.line,
                "column": finding.column,
                "path": finding.path,
                "message": finding.message,
                "fix": finding.fix,
            }));
        }
    }
    let headings = ["WHERE", "SEVERITY", "CODE", "MESSAGE", "FIX"];
    output::print(output, &json!({ "findings": findings }), &headings, |value| {
        let all = value.pointer("/findings").and_then(|f| f.as_array()).cloned();
        let all = all.unwrap_or_default();
        all.iter()
            .map(|f| {
                let text = |name: &str| output::text(f, &format!("/{name}"));
                let place = format!("{}:{}:{}", text("file"), text("line"), text("column"));
                vec![place, text("severity"), text("code"), text("message"), text("fix")]
            })
            .collect()
    })?;
    match errors {
        0 => Ok(()),
        n => Err(format!("{n} errors in {} files", files.len())),
    }
}

fn read(file: &std::path::Path) -> Result<String, String> {
    let at = file.display();
    let mut text = String::new();
    if file == std::path::Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map_err(|e| format!("standard input: {e}"))?;
    } else {
        text = std::fs::read_to_string(file).map_err(|e| format!("cannot read {at}: {e}"))?;
    }
    Ok(text)
}

#[derive(Args)]
pub struct FsckArgs {
    /// Where the installation is kept
    #[arg(long)]
    data_dir: PathBuf,
}

/// Checks a store: its pages and checksums, that every row reads, and that the rows agree.
pub fn fsck(args: &FsckArgs, output: Output) -> Result<(), String> {
    let report = store::fsck(&args.data_dir).map_err(|e| e.to_string())?;
    let mut problems: Vec<String> = report.problems.clone();
    if problems.is_empty() {
        problems.extend(read_rows(&args.data_dir)?);
    }
    let value = json!({
        "rows": report.rows,
        "entries": report.entries,
        "revision": report.revision,
        "problems": problems,
    });
    let headings = ["ROWS", "ENTRIES", "REVISION", "PROBLEMS"];
    output::print(output, &value, &headings, |value| {
        let text = |name: &str| output::text(value, &format!("/{name}"));
        let problems = problems.len().to_string();
        let mut rows =
            vec![vec![text("rows"), text("entries"), text("revision"), problems.clone()]];
        rows.extend(report_problems(value));
        rows
    })?;
    if problems.is_empty() { Ok(()) } else { Err(format!("{} problems", problems.len())) }
}

fn report_problems(value: &serde_json::Value) -> Vec<Vec<String>> {
    let all = value.pointer("/problems").and_then(|p| p.as_array()).cloned().unwrap_or_default();
    all.iter().map(|p| vec![output::text(p, "")]).collect()
}

/// Reads every row into a state and checks what holds between rows.
fn read_rows(directory: &std::path::Path) -> Result<Vec<String>, String> {
    use iam::rows::{Change, Row};
    use store::Store;
    super::runtime()?.block_on(async {
        let store = store::Embedded::open(directory).map_err(|e| e.to_string())?;
        let mut state = iam::state::State::default();
        let mut problems = Vec::new();
        let mut each = |row: store::Row| match Row::decode(row.table, &row.value) {
            Ok(decoded) => state.apply(&Change::Put(decoded)),
            Err(error) => problems.push(error),
        };
        store.load(&mut each).await.map_err(|e| e.to_string())?;
        problems.extend(iam::state::problems(&state));
        Ok(problems)
    })
}

#[derive(Args)]
pub struct HealthArgs {
    #[command(flatten)]
    endpoint: Endpoint,
}

/// Asks a server whether it is ready.
pub fn health(args: &HealthArgs) -> Result<(), String> {
    remote::ready(&args.endpoint.endpoint)?;
    output::line("ready")
}
