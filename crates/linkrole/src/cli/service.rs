//! `linkrole service`: linked services, enrolled and registered.

use super::Operator;
use super::output::{self, Output};
use super::remote::Remote;
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum ServiceCommand {
    /// Let a service register itself: prints a token that works once, for an hour
    #[command(
        after_help = "Example:\n  linkrole service enrol backup.example.com --token-file /run/backup.token"
    )]
    Enrol {
        /// The service's principal
        service: String,
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
        ServiceCommand::Enrol { service, token_file, operator } => {
            let remote = Remote::operator(&operator)?;
            let made = remote.post("/v1/services/enrol", &json!({ "service": service }))?;
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
            let at = manifest.display();
            let text = std::fs::read_to_string(&manifest).map_err(|e| format!("{at}: {e}"))?;
            let body = json!({ "manifest": read(&text).map_err(|e| format!("{at}: {e}"))? });
            let made = Remote::operator(&operator)?.post("/v1/services/register", &body)?;
            output::print(output, &made, &["SERVICE", "ACCESS KEY", "SECRET"], |v| {
                let text = |name: &str| output::text(v, name);
                vec![vec![
                    text("/service/service"),
                    text("/access_key_id"),
                    text("/secret_access_key"),
                ]]
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
            output::print(Output::Json, &shown, &[], |_| Vec::new())
        }
    }
}

/// A manifest as the wire takes it. The server checks it; here only its syntax matters.
fn read(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|e| e.to_string())
    } else {
        toml::from_str(text).map_err(|e| e.to_string())
    }
}
