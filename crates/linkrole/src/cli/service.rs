//! `linkrole service`: linked services, enrolled and registered.

use super::Operator;
use super::output::{self, Output};
use super::remote::Remote;
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub enum ServiceCommand {
    /// Let a service register itself: prints a token that works once, for an hour
    #[command(
        after_help = "Example:\n  linkrole service enrol backup.example.com --token-file /run/backup.token"
    )]
    Enrol {
        /// The service's principal
        service: String,
        /// The address at which the service may be asked whether its roles are used; `{region}` in it is replaced
        #[arg(long, value_name = "URL")]
        callback: Option<String>,
        /// Write the token to this new file, mode 600, instead of printing it
        #[arg(long)]
        token_file: Option<PathBuf>,
        #[command(flatten)]
        operator: Operator,
    },
    /// Register a service from its manifest; prints its access key, once
    #[command(after_help = "Example:\n  linkrole service register --manifest backup.toml")]
    Register {
        /// The manifest, TOML or JSON
        #[arg(long)]
        manifest: PathBuf,
        #[command(flatten)]
        operator: Operator,
    },
    /// List the services
    List {
        #[command(flatten)]
        operator: Operator,
    },
    /// Show what a new manifest would change, and for how many roles
    Diff {
        /// The manifest, TOML or JSON
        #[arg(long)]
        manifest: PathBuf,
        #[command(flatten)]
        operator: Operator,
    },
    /// Give a service a new manifest; changed permissions are a new version
    #[command(after_help = "Example:\n  linkrole service update --manifest backup.toml")]
    Update {
        /// The manifest, TOML or JSON
        #[arg(long)]
        manifest: PathBuf,
        #[command(flatten)]
        operator: Operator,
    },
    /// Make a service another access key, and print it, once; the newest of the others stays, so that it can change over
    NewKey {
        /// The service
        service: String,
        /// End all its other keys at once
        #[arg(long)]
        revoke_others: bool,
        #[command(flatten)]
        operator: Operator,
    },
    /// Remove a service that has no roles left, with its keys
    Remove {
        /// The service
        service: String,
        #[command(flatten)]
        operator: Operator,
    },
    /// Show a service's manifest
    Show {
        /// The service, or a principal of it
        service: String,
        #[command(flatten)]
        operator: Operator,
    },
}

/// Carries out a command.
pub fn run(command: ServiceCommand, output: Output) -> Result<(), String> {
    match command {
        ServiceCommand::Enrol { service, callback, token_file, operator } => {
            let remote = Remote::operator(&operator)?;
            let body = json!({ "service": service, "callback": callback });
            let made = remote.post("/v1/services/enrol", &body)?;
            match token_file {
                Some(file) => {
                    crate::keys::write_private(&file, output::text(&made, "/token").as_bytes())?;
                    output::line(&format!(
                        "{} until {}",
                        file.display(),
                        output::text(&made, "/expires")
                    ))
                }
                None => output::print(output, &made, &["SERVICE", "TOKEN", "UNTIL"], |v| {
                    let text = |name: &str| output::text(v, name);
                    vec![vec![text("/service"), text("/token"), text("/expires")]]
                }),
            }
        }
        ServiceCommand::Register { manifest, operator } => {
            let body = body(&manifest)?;
            let made = Remote::operator(&operator)?.post("/v1/services/register", &body)?;
            print_key(output, &made)
        }
        ServiceCommand::NewKey { service, revoke_others, operator } => {
            let body = json!({ "service": service, "revoke_others": revoke_others });
            print_key(output, &Remote::operator(&operator)?.post("/v1/services/new-key", &body)?)
        }
        ServiceCommand::Diff { manifest, operator } => {
            let body = body(&manifest)?;
            print_change(output, &Remote::operator(&operator)?.post("/v1/services/diff", &body)?)
        }
        ServiceCommand::Update { manifest, operator } => {
            let body = body(&manifest)?;
            print_change(output, &Remote::operator(&operator)?.post("/v1/services/update", &body)?)
        }
        ServiceCommand::Remove { service, operator } => {
            let remote = Remote::operator(&operator)?;
            let gone = remote.post("/v1/services/remove", &json!({ "service": service }))?;
            output::print(output, &gone, &["REMOVED"], |v| {
                vec![vec![output::text(v, "/service/service")]]
            })
        }
        ServiceCommand::List { operator } => {
            let all = Remote::operator(&operator)?.post("/v1/services/list", &json!({}))?;
            output::print(output, &all, &["SERVICE", "NAME", "USAGE", "ROLES"], |v| {
                let services = v.pointer("/services").and_then(Value::as_array);
                services
                    .into_iter()
                    .flatten()
                    .map(|s| {
                        let roles = output::rows(s, "/role", &["/name"]).concat().join(", ");
                        let text = |name: &str| output::text(s, name);
                        vec![text("/service"), text("/display_name"), text("/usage"), roles]
                    })
                    .collect()
            })
        }
        ServiceCommand::Show { service, operator } => {
            let remote = Remote::operator(&operator)?;
            let shown = remote.post("/v1/services/show", &json!({ "service": service }))?;
            let shown = shown.pointer("/service").cloned().unwrap_or_default();
            // A manifest has no useful columns: it is shown as what it is.
            output::json(&shown)
        }
    }
}

/// The request about a manifest in a file.
fn body(manifest: &Path) -> Result<Value, String> {
    let at = manifest.display();
    let text = std::fs::read_to_string(manifest).map_err(|e| format!("{at}: {e}"))?;
    Ok(json!({ "manifest": read(&text).map_err(|e| format!("{at}: {e}"))? }))
}

fn print_key(output: Output, made: &Value) -> Result<(), String> {
    output::print(output, made, &["SERVICE", "ACCESS KEY", "SECRET"], |v| {
        let text = |name: &str| output::text(v, name);
        vec![vec![text("/service/service"), text("/access_key_id"), text("/secret_access_key")]]
    })
}

/// What changes: a line for each setting and each statement, `+` for what comes and `-` for what goes.
fn print_change(output: Output, change: &Value) -> Result<(), String> {
    if output == Output::Json {
        return output::json(change);
    }
    change_lines(change).iter().try_for_each(|line| output::line(line))
}

/// The lines about a change that the server told.
pub fn change_lines(change: &Value) -> Vec<String> {
    if change.pointer("/changed") != Some(&Value::Bool(true)) {
        return vec!["Nothing changes.".to_owned()];
    }
    let setting = |of: &str, s: &Value| {
        let text = |name: &str| output::text(s, name);
        format!("{of}: {}: `{}` becomes `{}`", text("/name"), text("/before"), text("/after"))
    };
    let mut lines = Vec::new();
    for one in output::list(change, "/settings") {
        lines.push(setting(&output::text(change, "/service"), &one));
    }
    for role in output::list(change, "/roles") {
        let principal = output::text(&role, "/principal");
        lines.extend(output::list(&role, "/settings").iter().map(|one| setting(&principal, one)));
        lines.extend(statement_lines(&principal, &role));
        lines.push(format!(
            "{principal}: {} roles at once, {} when their accounts accept it",
            output::text(&role, "/roles_at_once"),
            output::text(&role, "/roles_held")
        ));
    }
    for policy in output::list(change, "/policies") {
        let name = output::text(&policy, "/name");
        lines.extend(output::list(&policy, "/settings").iter().map(|one| setting(&name, one)));
        lines.extend(statement_lines(&name, &policy));
        lines.push(format!("{name}: attached {} times", output::text(&policy, "/attached")));
    }
    lines
}

/// The lines about statements that come and go.
fn statement_lines(of: &str, change: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for permissions in output::list(change, "/permissions") {
        let dialect = output::text(&permissions, "/dialect");
        for (sign, at) in [("-", "/removed"), ("+", "/added")] {
            let statements = output::list(&permissions, at);
            lines.extend(statements.iter().map(|one| format!("{of}: {dialect}: {sign} {one}")));
        }
    }
    lines
}

/// A manifest as the wire takes it. The server checks it; here only its syntax matters.
fn read(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|e| e.to_string())
    } else {
        toml::from_str(text).map_err(|e| e.to_string())
    }
}
