//! Commands that look at one thing and say what they found: a store, a server.

use super::Endpoint;
use super::output::{self, Output};
use super::remote;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

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
