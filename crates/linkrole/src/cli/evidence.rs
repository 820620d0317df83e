//! `linkrole audit verify` and `audit prove`: what [`crate::evidence`] finds, printed.

use super::output::{self, Output};
use crate::checkpoint::Proof;
use crate::evidence::{self, Ask, Reached};
use serde_json::{Value, json};
use std::path::Path;

fn text_of(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))
}

fn reached(reached: &Reached) -> Value {
    let Reached { entries, checkpoints, at_ms } = reached;
    json!({ "vouched": entries, "checkpoints": checkpoints, "at_ms": at_ms })
}

/// Holds a trail against its checkpoints, and these against what was put away outside.
///
/// Errors: the first thing that is not as it was.
pub fn verify(ask: &Ask<'_>, output: Output) -> Result<(), String> {
    let verified = evidence::verify(ask)?;
    let value = json!({
        "entries": verified.entries,
        "vouched": verified.own.entries,
        "checkpoints": verified.own.checkpoints,
        "at_ms": verified.own.at_ms,
        "outside": verified.outside.as_ref().map(reached),
    });
    let headings =
        ["ENTRIES", "VOUCHED FOR", "CHECKPOINTS", "OUTSIDE VOUCHED FOR", "OUTSIDE CHECKPOINTS"];
    output::print(output, &value, &headings, |value| {
        let text = |name: &str| match value.pointer(name) {
            None | Some(Value::Null) => "-".to_owned(),
            Some(_) => output::text(value, name),
        };
        let names =
            ["/entries", "/vouched", "/checkpoints", "/outside/vouched", "/outside/checkpoints"];
        vec![names.into_iter().map(text).collect()]
    })
}

/// Prints what proves an entry.
pub fn prove(directory: &Path, archives: Option<&Path>, position: u64) -> Result<(), String> {
    let proof = evidence::prove(directory, archives, position)?;
    output::line(&serde_json::to_string_pretty(&proof).map_err(|e| e.to_string())?)
}

/// Checks a proof, and prints the entry.
pub fn verify_proof(
    proof: Option<&Path>,
    public_key: Option<&Path>,
    output: Output,
) -> Result<(), String> {
    let (Some(file), Some(key)) = (proof, public_key) else {
        return Err("expected --proof and --public-key".to_owned());
    };
    let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
    let proof: Proof = serde_json::from_str(&text_of(file)?).map_err(|e| wrong(&e))?;
    let record = proof.verify(&text_of(key)?).map_err(|e| wrong(&e))?;
    let entry: Value = serde_json::from_slice(&record).map_err(|e| wrong(&e))?;
    let value = json!({
        "position": proof.position, "of": proof.checkpoint.size, "at_ms": proof.checkpoint.at_ms, "entry": entry,
    });
    output::print(output, &value, &["POSITION", "OF", "OPERATION"], |value| {
        let text = |name: &str| output::text(value, name);
        vec![vec![text("/position"), text("/of"), text("/entry/operation")]]
    })
}
