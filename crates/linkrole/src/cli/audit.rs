//! `linkrole audit`: the trail, of one's own account by access key, of all as the operator.

use super::output::{self, Output};
use super::remote::Remote;
use super::{Endpoint, Operator, evidence};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum AuditCommand {
    /// Print the newest entries, oldest of them first
    #[command(
        after_help = "Example:\n  linkrole audit tail --operator AWSServiceRoleForExampleBackup"
    )]
    Tail {
        /// Only what this user, role or service did
        #[arg(long)]
        operator: Option<String>,
        /// Only this operation
        #[arg(long)]
        operation: Option<String>,
        /// At most so many entries
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Entries of reads too, as far as they are kept; refused ones are always shown
        #[arg(long)]
        reads: bool,
        /// Go on with what comes
        #[arg(long)]
        follow: bool,
        #[command(flatten)]
        endpoint: Endpoint,
        #[command(flatten)]
        socket: Operator,
    },
    /// Check that no entry of a stopped server's trail was changed, dropped, moved or added behind its checkpoints
    #[command(
        after_help = "Examples:\n  linkrole audit verify --data-dir /var/lib/linkrole --checkpoints /mnt/elsewhere/checkpoints\n  linkrole audit verify --proof proof.json --public-key audit-key.pub"
    )]
    Verify {
        /// Where the installation is kept
        #[arg(long, required_unless_present = "proof")]
        data_dir: Option<PathBuf>,
        /// Checkpoints that were put away outside
        #[arg(long, requires = "data_dir")]
        checkpoints: Option<PathBuf>,
        /// The public key; that of the data directory unless given
        #[arg(long)]
        public_key: Option<PathBuf>,
        /// Check what `audit prove` printed instead; needs nothing but the public key
        #[arg(long, conflicts_with = "data_dir", requires = "public_key")]
        proof: Option<PathBuf>,
    },
    /// Prove that an entry is in a stopped server's trail, for somebody who has only the public key
    Prove {
        /// The entry's position, as the trail shows it
        position: u64,
        /// Where the installation is kept
        #[arg(long)]
        data_dir: PathBuf,
    },
}

/// Carries out a command.
pub fn run(command: AuditCommand, output: Output) -> Result<(), String> {
    let (operator, operation, limit, reads, follow, endpoint, socket) = match command {
        AuditCommand::Tail { operator, operation, limit, reads, follow, endpoint, socket } => {
            (operator, operation, limit, reads, follow, endpoint, socket)
        }
        AuditCommand::Verify { data_dir: Some(directory), checkpoints, public_key, .. } => {
            return evidence::verify(
                &directory,
                checkpoints.as_deref(),
                public_key.as_deref(),
                output,
            );
        }
        AuditCommand::Verify { proof, public_key, .. } => {
            return evidence::verify_proof(proof.as_deref(), public_key.as_deref(), output);
        }
        AuditCommand::Prove { position, data_dir } => return evidence::prove(&data_dir, position),
    };
    let (remote, is_operator) = Remote::signed_or_operator(&endpoint.endpoint, &socket)?;
    let path = if is_operator { "/v1/operator/trail" } else { "/v1/trail" };
    let mut seen = 0;
    loop {
        let mut body = json!({ "limit": limit, "reads": reads });
        if let Some(object) = body.as_object_mut() {
            for (name, value) in [("operator", &operator), ("operation", &operation)] {
                if let Some(value) = value {
                    object.insert(name.into(), json!(value));
                }
            }
        }
        let page = remote.post(path, &body)?;
        let entries = page.pointer("/entries").and_then(Value::as_array).cloned();
        let at = |entry: &Value| entry.pointer("/position").and_then(Value::as_u64).unwrap_or(0);
        let mut new: Vec<Value> =
            entries.unwrap_or_default().into_iter().filter(|e| at(e) > seen).collect();
        new.reverse();
        seen = new.iter().map(at).max().unwrap_or(seen);
        if !new.is_empty() || !follow {
            print(output, &new)?;
        }
        if !follow {
            return Ok(());
        }
        remote.pause(500);
    }
}

fn print(output: Output, entries: &[Value]) -> Result<(), String> {
    let headings = ["TIME", "WHO", "FOR", "OPERATION", "OUTCOME", "ON"];
    output::print(output, &json!({ "entries": entries }), &headings, |_| {
        entries.iter().map(row).collect()
    })
}

/// An entry as a line: who, through which service, did what, with which outcome, on what.
pub fn row(entry: &Value) -> Vec<String> {
    let text = |name: &str| output::text(entry, name);
    let error = text("/error");
    let outcome = if error.is_empty() { "done".to_owned() } else { error };
    let on = text("/resources/0/resource");
    let on = if on.is_empty() { text("/params/resource") } else { on };
    vec![
        text("/time"),
        text("/actor/name"),
        if text("/asked_by").is_empty() { text("/actor/invoked_by") } else { text("/asked_by") },
        text("/operation"),
        outcome,
        on,
    ]
}
