//! Commands about policies: checks of documents, and questions with and without expected answers.
//!
//! They need no server and keep nothing. Exit codes are those of their help texts: an answer that is no is 1,
//! input that cannot be read is 2.

use super::DialectArg;
use super::cases::{self, EvalArgs, TestArgs};
use super::explain::{self, ExplainArgs, SimulateArgs};
use super::facts;
use super::output::{self, Output};
use ::policy::{Dialect, Finding, PolicyKind, Severity, sarif};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum PolicyCommand {
    /// Find what is wrong with policy documents, or risky in them
    #[command(
        after_help = "Example:\n  linkrole policy check --kind trust trust.json\n  linkrole policy check - < policy.json\n  linkrole policy check --format sarif policies/*.json > policies.sarif"
    )]
    Check(CheckArgs),
    /// Run case files and compare the answers with the expected ones
    #[command(
        after_help = "Exit codes: 0 all pass, 1 an answer differs, 2 a file cannot be read.\n\nExample:\n  linkrole policy test cases/\n  linkrole policy test --only scp --explain cases/layers.json\n  linkrole policy test - < cases.json"
    )]
    Test(TestArgs),
    /// Decide the requests of case files, whatever answers they expect
    #[command(
        after_help = "Exit codes: 0 done, 2 a file cannot be read.\n\nExample:\n  linkrole policy eval --format jsonl cases.json"
    )]
    Eval(EvalArgs),
    /// Say which policy texts of case files may be stored, whatever they expect
    #[command(
        after_help = "Exit codes: 0 done, 2 a file cannot be read.\n\nExample:\n  linkrole policy validate --format jsonl cases.json"
    )]
    Validate(EvalArgs),
    /// Say why a request is allowed or denied, and what would have changed it
    #[command(
        after_help = "Condition keys that follow from the principal (aws:PrincipalArn, aws:PrincipalAccount, aws:username) are set\nunless given.\n\nExample:\n  linkrole policy explain cases.json --id read-own-bucket\n  linkrole policy explain --action s3:GetObject --resource \"$OBJECT_ARN\" \\\n    --principal \"$USER_ARN\" --identity reader.json --context aws:SourceIp=10.0.0.1"
    )]
    Explain(ExplainArgs),
    /// Decide actions on resources under policies given as files
    #[command(
        after_help = "Exit codes: 0 all are allowed, 1 one is denied, 2 a file cannot be read.\n\nExample:\n  linkrole policy simulate --principal \"$USER_ARN\" --identity reader.json \\\n    --action s3:GetObject --action s3:PutObject --resource \"$OBJECT_ARN\""
    )]
    Simulate(SimulateArgs),
}

#[derive(Args)]
pub struct CheckArgs {
    /// A report for code review tools, instead of what `--output` says
    #[arg(long, value_enum)]
    format: Option<CheckFormat>,
    /// What the documents are
    #[arg(long, value_enum, default_value_t = KindArg::Identity)]
    kind: KindArg,
    /// Files; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Whose language they are written in
    #[arg(long, value_enum, default_value_t = DialectArg::Aws)]
    dialect: DialectArg,
}

/// A form of findings besides those of `--output`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// SARIF 2.1.0.
    Sarif,
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

/// The exit code of input that cannot be read, as of wrong use.
pub const UNREADABLE: u8 = 2;

/// Carries out a command. `false` is an answer that is no; an error is input that cannot be read.
pub fn run(command: &PolicyCommand, output: Output) -> ExitCode {
    let done = match command {
        PolicyCommand::Check(args) => check(args, output),
        PolicyCommand::Test(args) => cases::test(args, output),
        PolicyCommand::Eval(args) => cases::eval(args, output),
        PolicyCommand::Validate(args) => cases::validate(args, output),
        PolicyCommand::Explain(args) => explain::explain_one(args, output),
        PolicyCommand::Simulate(args) => explain::simulate(args, output),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            output::complain(&error);
            ExitCode::from(UNREADABLE)
        }
    }
}

/// Checks policy documents; fails when one of them has an error.
fn check(args: &CheckArgs, output: Output) -> Result<bool, String> {
    let facts = facts::facts();
    let dialect = Dialect::from(args.dialect);
    let mut files = Vec::new();
    for file in &args.files {
        let found =
            ::policy::check_with(&read(file)?, PolicyKind::from(args.kind), dialect, &facts);
        files.push((file.display().to_string(), found));
    }
    let all = files.iter().flat_map(|(file, found)| found.iter().map(move |f| (file, f)));
    let errors = all.clone().filter(|(_, f)| f.severity == Severity::Error).count();
    if args.format == Some(CheckFormat::Sarif) {
        let report = sarif::report(env!("CARGO_PKG_VERSION"), &files);
        output::line(&serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?)?;
    } else {
        print_findings(output, &all.map(|(file, f)| finding(file, f)).collect::<Vec<_>>())?;
    }
    if errors > 0 {
        output::complain(&format!("{errors} errors in {} files", args.files.len()));
    }
    Ok(errors == 0)
}

fn finding(file: &str, finding: &Finding) -> Value {
    json!({
        "file": file,
        "severity": finding.severity,
        "code": finding.code,
        "line": finding.line,
        "column": finding.column,
        "path": finding.path,
        "message": finding.message,
        "fix": finding.fix,
    })
}

fn print_findings(output: Output, findings: &[Value]) -> Result<(), String> {
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
    })
}

/// The text of a file, or of standard input for `-`.
pub fn read(file: &Path) -> Result<String, String> {
    let at = file.display();
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map_err(|e| format!("standard input: {e}"))?;
    } else {
        text = std::fs::read_to_string(file).map_err(|e| format!("cannot read {at}: {e}"))?;
    }
    Ok(text)
}
