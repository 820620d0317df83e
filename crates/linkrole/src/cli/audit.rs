//! `linkrole audit`: the trail, of one's own account by access key, of all as the operator.

use super::output::{self, Output};
use super::remote::Remote;
use super::{Endpoint, Operator};
use clap::Subcommand;
use serde_json::{Value, json};

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
}

/// Carries out a command.
pub fn run(command: AuditCommand, output: Output) -> Result<(), String> {
    let AuditCommand::Tail { operator, operation, limit, reads, follow, endpoint, socket } =
        command;
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
        text("/actor/invoked_by"),
        text("/operation"),
        outcome,
        on,
    ]
}
