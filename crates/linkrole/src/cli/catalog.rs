//! `linkrole catalog`: the clouds' own services, and their policies brought in by the operator.
//!
//! The vendors' texts are not shipped. What an operator has of them is read as the vendors' own tools write it
//! (`sources`), and handed to the server document by document; the server checks each, and refuses it whole or takes
//! it whole.

use super::output::{self, Output};
use super::remote::Remote;
use super::sources::{self, FORMAT, Found, Source};
use super::{Operator, service, verify};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum CatalogCommand {
    /// List the services whose roles can be made
    List {
        #[command(flatten)]
        operator: Operator,
    },
    /// Show all that is known of one role, with its policy in force and where that comes from
    #[command(after_help = "Example:\n  linkrole catalog show rds.amazonaws.com")]
    Show {
        /// A principal, or the name of a role
        name: String,
        #[command(flatten)]
        operator: Operator,
    },
    /// Bring in the vendor's policies of known roles; the same ones again change nothing
    #[command(
        after_help = "Examples:\n  aws iam get-account-authorization-details --filter AWSManagedPolicy > details.json\n  linkrole catalog import aws --from account details.json\n  linkrole catalog import aws --from endpoint http://127.0.0.1:5000"
    )]
    Import {
        #[command(flatten)]
        source: Source,
        /// Only tell what would change
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        operator: Operator,
    },
    /// Show what an import would change, statement by statement; changes nothing
    #[command(after_help = "Example:\n  linkrole catalog diff aws --from export catalog.json")]
    Diff {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        operator: Operator,
    },
    /// Print all that the server holds, for the import of another
    #[command(after_help = "Example:\n  linkrole catalog export > catalog.json")]
    Export {
        #[command(flatten)]
        operator: Operator,
    },
    /// Check what the server holds: digests, documents, facts; and whether it is what a file says
    #[command(after_help = "Example:\n  linkrole catalog verify catalog.json")]
    Verify {
        /// What `catalog export` wrote
        file: Option<PathBuf>,
        #[command(flatten)]
        operator: Operator,
    },
}

/// Carries out a command.
pub fn run(command: CatalogCommand, output: Output) -> Result<(), String> {
    match command {
        CatalogCommand::List { operator } => list(&operator, output),
        CatalogCommand::Show { name, operator } => show(&held(&operator)?, &name),
        CatalogCommand::Import { source, dry_run, operator } => {
            import(&operator, output, &source, dry_run)
        }
        CatalogCommand::Diff { source, operator } => diff(&operator, output, &source),
        CatalogCommand::Export { operator } => {
            // It is a file, whatever the form of other answers.
            output::json(&json!({ "format": FORMAT, "entries": held(&operator)? }))
        }
        CatalogCommand::Verify { file, operator } => {
            let file = file.as_deref().map(sources::export).transpose()?;
            verify::run(output, &held(&operator)?, file.as_ref())
        }
    }
}

fn list(operator: &Operator, output: Output) -> Result<(), String> {
    let all = Remote::operator(operator)?.post("/v1/services/list", &json!({}))?;
    output::print(output, &all, &["PRINCIPAL", "ROLE", "POLICY", "SUFFIX"], |v| {
        let services = v.pointer("/services").and_then(Value::as_array);
        let members = ["/principal", "/name", "/policy_name", "/suffix"];
        services.into_iter().flatten().flat_map(|s| output::rows(s, "/role", &members)).collect()
    })
}

/// All entries of the server's catalogue, by service and principal.
fn held(operator: &Operator) -> Result<Vec<Value>, String> {
    let remote = Remote::operator(operator)?;
    let (mut all, mut after) = (Vec::new(), Value::Null);
    for _ in 0..sources::PAGES_MAX {
        let page = remote.post("/v1/services/export", &json!({ "after": after }))?;
        all.extend(output::list(&page, "/entries"));
        after = page.pointer("/next").cloned().unwrap_or_default();
        if after.is_null() {
            return Ok(all);
        }
    }
    Err("the server's catalogue does not end".to_owned())
}

/// Prints the entry of a principal or of a role, its documents as documents.
fn show(held: &[Value], name: &str) -> Result<(), String> {
    let is_meant = |entry: &&Value| {
        let roles = entry.pointer("/roles").and_then(Value::as_object);
        let mut roles =
            roles.into_iter().flat_map(serde_json::Map::values).filter_map(Value::as_str);
        output::text(entry, "/principal") == name || roles.any(|r| r.eq_ignore_ascii_case(name))
    };
    let mut entry = held.iter().find(is_meant).cloned().ok_or_else(|| {
        format!("expected a principal or the name of a role; found `{name}`, which is neither here")
    })?;
    if let Some(documents) = entry.pointer_mut("/documents").and_then(Value::as_object_mut) {
        for document in documents.values_mut() {
            let read = document.as_str().and_then(|text| serde_json::from_str(text).ok());
            *document = read.unwrap_or_default();
        }
    }
    output::json(&entry)
}

/// What the server makes of documents.
#[derive(Default)]
struct Told {
    /// Those that differ, by name, with the server's account of the change.
    changed: Vec<(String, Value)>,
    unchanged: usize,
    /// Those of roles that the server does not know.
    unknown: Vec<String>,
    /// Those that it does not take, with the reason.
    rejected: Vec<String>,
}

impl Told {
    /// Hands the documents over.
    fn of(remote: &Remote, source: &Source, dry_run: bool) -> Result<Self, String> {
        let mut told = Self::default();
        for Found { name, document, note } in source.read()? {
            let body = json!({
                "dialect": source.dialect(), "policy": name, "document": document, "source": note,
                "dry_run": dry_run,
            });
            match remote.post("/v1/services/import-policy", &body) {
                Ok(change) if change.pointer("/changed") == Some(&Value::Bool(true)) => {
                    told.changed.push((name, change));
                }
                Ok(_) => told.unchanged += 1,
                Err(error) if error.contains("NoSuchEntity") => told.unknown.push(name),
                Err(error) => told.rejected.push(format!("{name}: {error}")),
            }
        }
        Ok(told)
    }

    /// Fails if a document was rejected.
    fn result(&self) -> Result<(), String> {
        match self.rejected.first() {
            None => Ok(()),
            Some(first) => Err(format!(
                "{} documents were rejected; the first is {first}",
                self.rejected.len()
            )),
        }
    }
}

fn import(
    operator: &Operator,
    output: Output,
    source: &Source,
    dry_run: bool,
) -> Result<(), String> {
    let told = Told::of(&Remote::operator(operator)?, source, dry_run)?;
    let changed: Vec<&String> = told.changed.iter().map(|(name, _)| name).collect();
    let summary = json!({
        "dry_run": dry_run, "changed": changed, "unchanged": told.unchanged,
        "unknown": told.unknown, "rejected": told.rejected,
    });
    output::print(
        output,
        &summary,
        &["CHANGED", "UNCHANGED", "NO KNOWN ROLE", "REJECTED"],
        |_| {
            let counts = [changed.len(), told.unchanged, told.unknown.len(), told.rejected.len()];
            vec![counts.iter().map(ToString::to_string).collect()]
        },
    )?;
    told.result()
}

/// Tells what an import would change, those first of which nothing was imported before.
fn diff(operator: &Operator, output: Output, source: &Source) -> Result<(), String> {
    let told = Told::of(&Remote::operator(operator)?, source, true)?;
    let held = held(operator)?;
    let has_source = |name: &str| {
        held.iter().any(|entry| {
            output::text(entry, "/policy_name").eq_ignore_ascii_case(name)
                && entry.pointer("/source").is_some_and(Value::is_object)
        })
    };
    let (changed, added): (Vec<_>, Vec<_>) =
        told.changed.iter().partition(|(name, _)| has_source(name));
    if output == Output::Json {
        let shown = |list: &[&(String, Value)]| -> Vec<Value> {
            list.iter().map(|(name, change)| json!({ "policy": name, "change": change })).collect()
        };
        output::json(&json!({
            "added": shown(&added), "changed": shown(&changed), "unchanged": told.unchanged,
            "unknown": told.unknown, "rejected": told.rejected,
        }))?;
        return told.result();
    }
    for (word, list) in [("is imported for the first time", &added), ("changes", &changed)] {
        for (name, change) in list {
            output::line(&format!("{name} {word}"))?;
            service::change_lines(change).iter().try_for_each(|line| output::line(line))?;
        }
    }
    for name in &told.unknown {
        output::line(&format!("{name} is the policy of no role that is known here"))?;
    }
    output::line(&format!(
        "{} come, {} change, {} stay, {} are of no known role",
        added.len(),
        changed.len(),
        told.unchanged,
        told.unknown.len()
    ))?;
    told.result()
}
