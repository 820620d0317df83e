//! `linkrole slr`: service-linked roles, with the access key of the environment.

use super::output::{self, Output};
use super::remote::Remote;
use super::{Endpoint, Operator};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Args)]
pub struct Target {
    /// The role's name or unique id
    role: String,
    /// The account it is in
    #[arg(long)]
    account: String,
    #[command(flatten)]
    endpoint: Endpoint,
}

#[derive(Subcommand)]
pub enum SlrCommand {
    /// List the account's service-linked roles
    List {
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Show one
    Show {
        /// The role's name
        role: String,
        /// Show which services and actions it tried, when and where, and how many sessions it had
        #[arg(long)]
        access: bool,
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Make one
    #[command(after_help = "Example:\n  linkrole slr create backup.example.com")]
    Create {
        /// The service's principal
        principal: String,
        /// What follows the name, where the service allows it
        #[arg(long)]
        suffix: Option<String>,
        /// A description
        #[arg(long)]
        description: Option<String>,
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Show the role that would be made, and what it could do; nothing is made
    #[command(after_help = "Example:\n  linkrole slr preview backup.example.com")]
    Preview {
        /// The service's principal
        principal: String,
        /// What follows the name, where the service allows it
        #[arg(long)]
        suffix: Option<String>,
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Take the latest version of a role's permissions, in an account that holds updates
    AcceptUpdate {
        /// The role's name
        role: String,
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Show or change what the account demands of linked services
    #[command(subcommand)]
    Terms(TermsCommand),
    /// Make one unless it is there
    Ensure {
        /// The service's principal
        principal: String,
        /// What follows the name, where the service allows it
        #[arg(long)]
        suffix: Option<String>,
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Ask for one to be deleted; prints the task
    #[command(after_help = "Example:\n  linkrole slr delete AWSServiceRoleForExampleBackup --wait")]
    Delete {
        /// The role's name
        role: String,
        /// Wait until the task has ended; fails when the role stays
        #[arg(long)]
        wait: bool,
        /// Only tell what would block it, and in which order to clean up
        #[arg(long, conflicts_with = "wait")]
        plan: bool,
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Remove a role whose service is gone for ever, as the operator: without --confirm it only tells what would be lost
    #[command(
        after_help = "Example:\n  linkrole slr force-delete AWSServiceRoleForExampleBackup --account 123456789012\n  linkrole slr force-delete AWSServiceRoleForExampleBackup --account 123456789012 --confirm AROAEXAMPLEEXAMPLE000"
    )]
    ForceDelete {
        /// The role's name
        role: String,
        /// The account it is in
        #[arg(long)]
        account: String,
        /// The role's unique id, as the first call tells it
        #[arg(long)]
        confirm: Option<String>,
        #[command(flatten)]
        operator: Operator,
    },
    /// Show how a deletion stands
    Status {
        /// The task, as `delete` printed it
        task: String,
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// List what uses a role; with the key of its service
    Usage(Target),
    /// End every session of a role; with the key of its service
    ReleaseSessions(Target),
    /// Have a role deleted that its service is done with; with the key of its service
    Retire(Target),
}

#[derive(Subcommand)]
pub enum TermsCommand {
    /// Show the terms
    Show {
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Change them; what is not given stays
    #[command(
        after_help = "Example:\n  linkrole slr terms set --holds-updates true --requires-consent true"
    )]
    Set {
        /// Whether new permissions of services wait until an administrator accepts them
        #[arg(long)]
        holds_updates: Option<bool>,
        /// Whether services can have no roles made here, so that making one by hand is the consent
        #[arg(long)]
        requires_consent: Option<bool>,
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Bound what the roles of a principal may do here, with a policy document
    PutCeiling {
        /// The service's principal
        principal: String,
        /// The file with the document
        #[arg(long)]
        policy: std::path::PathBuf,
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Take a bound away
    DeleteCeiling {
        /// The service's principal
        principal: String,
        #[command(flatten)]
        endpoint: Endpoint,
    },
}

const HEADINGS: [&str; 5] = ["NAME", "SERVICE", "CREATED", "LAST USED", "ARN"];
const MEMBERS: [&str; 5] = ["/name", "/principal", "/created", "/last_used/at", "/arn"];

/// Carries out a command.
pub fn run(command: SlrCommand, output: Output) -> Result<(), String> {
    match command {
        SlrCommand::List { endpoint } => {
            let remote = Remote::signed(&endpoint.endpoint)?;
            let mut roles = Vec::new();
            let mut marker = Value::Null;
            loop {
                let page = remote.post("/v1/slr/list", &json!({ "marker": marker }))?;
                let items = page.pointer("/roles").and_then(Value::as_array);
                roles.extend(items.into_iter().flatten().cloned());
                marker = page.pointer("/next").cloned().unwrap_or_default();
                if marker.is_null() {
                    break;
                }
            }
            output::print(output, &json!({ "roles": roles }), &HEADINGS, |v| {
                output::rows(v, "/roles", &MEMBERS)
            })
        }
        SlrCommand::Show { role, access: true, endpoint } => {
            let remote = Remote::signed(&endpoint.endpoint)?;
            let found = remote.post("/v1/access/show", &json!({ "kind": "role", "name": role }))?;
            output::print(output, &found, &["SERVICE", "ACTION", "LAST", "REGION"], access_rows)
        }
        SlrCommand::Show { role, endpoint, .. } => {
            let remote = Remote::signed(&endpoint.endpoint)?;
            show(output, &remote.post("/v1/slr/show", &json!({ "role": role }))?)
        }
        SlrCommand::Create { principal, suffix, description, endpoint } => {
            let body =
                json!({ "principal": principal, "suffix": suffix, "description": description });
            let remote = Remote::signed(&endpoint.endpoint)?;
            show(output, &remote.post("/v1/slr/create", &body)?)
        }
        SlrCommand::Preview { principal, suffix, endpoint } => {
            let remote = Remote::signed(&endpoint.endpoint)?;
            let body = json!({ "principal": principal, "suffix": suffix });
            // A policy has no useful columns: it is shown as what it is.
            let shown = remote.post("/v1/slr/preview", &body)?;
            output::json(&shown)
        }
        SlrCommand::AcceptUpdate { role, endpoint } => {
            let remote = Remote::signed(&endpoint.endpoint)?;
            show(output, &remote.post("/v1/slr/accept-update", &json!({ "role": role }))?)
        }
        SlrCommand::Terms(command) => terms(command),
        SlrCommand::ForceDelete { role, account, confirm, operator } => {
            let body = json!({ "account": account, "role": role, "confirm": confirm });
            let remote = Remote::operator(&operator)?;
            let shown = remote.post("/v1/operator/force-delete", &body)?;
            output::json(&shown)
        }
        SlrCommand::Ensure { principal, suffix, endpoint } => {
            let remote = Remote::signed(&endpoint.endpoint)?;
            let body = json!({ "principal": principal, "suffix": suffix });
            match remote.post("/v1/slr/create", &body) {
                Ok(made) => show(output, &made),
                Err(refused) => match existing(&remote, &principal, suffix.as_deref())? {
                    Some(role) => show(output, &json!({ "role": role })),
                    None => Err(refused),
                },
            }
        }
        SlrCommand::Delete { role, plan: true, endpoint, .. } => {
            let remote = Remote::signed(&endpoint.endpoint)?;
            let plan = remote.post("/v1/slr/plan", &json!({ "role": role }))?;
            output::print(output, &plan, &["STEP", "REGION", "RESOURCE"], plan_rows)
        }
        SlrCommand::Delete { role, wait, endpoint, .. } => {
            let remote = Remote::signed(&endpoint.endpoint)?;
            let mut task = remote.post("/v1/slr/delete", &json!({ "role": role }))?;
            while wait && !is_final(&task) {
                remote.pause(50);
                let name = output::text(&task, "/task");
                task = remote.post("/v1/slr/status", &json!({ "task": name }))?;
            }
            show_task(output, &task)?;
            match output::text(&task, "/status").as_str() {
                "failed" => Err("the role is kept".to_owned()),
                _ => Ok(()),
            }
        }
        SlrCommand::Status { task, endpoint } => {
            let remote = Remote::signed(&endpoint.endpoint)?;
            show_task(output, &remote.post("/v1/slr/status", &json!({ "task": task }))?)
        }
        SlrCommand::Usage(target) => {
            let (remote, body) = of_service(&target)?;
            let usage = remote.post("/v1/usage/list", &body)?;
            output::print(output, &usage, &["REGION", "RESOURCE"], |v| {
                output::rows(v, "/usages", &["/region", "/resource"])
            })
        }
        SlrCommand::Retire(target) => {
            let (remote, body) = of_service(&target)?;
            let done = remote.post("/v1/slr/retire", &body)?;
            output::print(output, &done, &["TASK", "STATUS"], |v| {
                vec![vec![output::text(v, "/task"), output::text(v, "/status")]]
            })
        }
        SlrCommand::ReleaseSessions(target) => {
            let (remote, body) = of_service(&target)?;
            let done = remote.post("/v1/slr/release-sessions", &body)?;
            output::print(output, &done, &["ROLE", "NO SESSION BEFORE"], |v| {
                vec![vec![output::text(v, "/role/name"), output::text(v, "/not_before")]]
            })
        }
    }
}

/// The sessions in the first row, then each service, and below it each of its actions.
fn access_rows(found: &Value) -> Vec<Vec<String>> {
    let sessions = format!("{} sessions", output::text(found, "/sessions"));
    let mut rows =
        vec![vec![sessions, String::new(), output::text(found, "/last_session"), String::new()]];
    let text = |of: &Value, member: &str| output::text(of, member);
    for service in output::list(found, "/services") {
        let name = text(&service, "/service");
        rows.push(vec![name, String::new(), text(&service, "/at"), text(&service, "/region")]);
        for action in output::list(&service, "/actions") {
            let told = ["/action", "/at", "/region"].map(|member| text(&action, member));
            rows.push(std::iter::once(String::new()).chain(told).collect());
        }
    }
    rows
}

/// The steps of a plan in order; behind the first, where uses block, each use in a row of its own.
fn plan_rows(plan: &Value) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (number, step) in output::list(plan, "/steps").iter().enumerate() {
        let text = step.as_str().unwrap_or_default();
        rows.push(vec![format!("{}. {text}", number + 1), String::new(), String::new()]);
        if number > 0 {
            continue;
        }
        for usage in output::list(plan, "/usages") {
            let region = output::text(&usage, "/region");
            for resource in output::list(&usage, "/resources") {
                let resource = resource.as_str().unwrap_or_default().to_owned();
                rows.push(vec![String::new(), region.clone(), resource]);
            }
        }
    }
    rows
}

fn of_service(target: &Target) -> Result<(Remote, Value), String> {
    let remote = Remote::signed(&target.endpoint.endpoint)?;
    Ok((remote, json!({ "account": target.account, "role": target.role })))
}

/// The role of a principal that is there already.
fn existing(
    remote: &Remote,
    principal: &str,
    suffix: Option<&str>,
) -> Result<Option<Value>, String> {
    let page = remote.post("/v1/slr/list", &json!({ "limit": 1_000 }))?;
    let roles = page.pointer("/roles").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(roles.into_iter().find(|role| {
        output::text(role, "/principal") == principal
            && output::text(role, "/suffix") == suffix.unwrap_or_default()
    }))
}

fn is_final(task: &Value) -> bool {
    matches!(output::text(task, "/status").as_str(), "succeeded" | "failed")
}

fn show(output: Output, value: &Value) -> Result<(), String> {
    output::print(output, value, &HEADINGS, |v| {
        let role = v.pointer("/role").cloned().unwrap_or_default();
        vec![MEMBERS.iter().map(|member| output::text(&role, member)).collect()]
    })
}

fn show_task(output: Output, task: &Value) -> Result<(), String> {
    output::print(output, task, &["STATUS", "REASON", "TASK"], |v| {
        let text = |name: &str| output::text(v, name);
        let mut rows = vec![vec![text("/status"), text("/reason"), text("/task")]];
        let regions = v.pointer("/usages").and_then(Value::as_array);
        for region in regions.into_iter().flatten() {
            let names = region.pointer("/resources").and_then(Value::as_array);
            for name in names.into_iter().flatten() {
                let name = output::text(name, "");
                rows.push(vec![String::new(), output::text(region, "/region"), name]);
            }
        }
        rows
    })
}

/// Shows the terms, after a change where one is asked for.
fn terms(command: TermsCommand) -> Result<(), String> {
    let (endpoint, path, body) = match command {
        TermsCommand::Show { endpoint } => (endpoint, "/v1/terms/show", json!({})),
        TermsCommand::Set { holds_updates, requires_consent, endpoint } => {
            let body =
                json!({ "holds_updates": holds_updates, "requires_consent": requires_consent });
            (endpoint, "/v1/terms/update", body)
        }
        TermsCommand::PutCeiling { principal, policy, endpoint } => {
            let at = policy.display();
            let text = std::fs::read_to_string(&policy).map_err(|e| format!("{at}: {e}"))?;
            let body = json!({ "principal": principal, "policy": text });
            (endpoint, "/v1/terms/put-ceiling", body)
        }
        TermsCommand::DeleteCeiling { principal, endpoint } => {
            (endpoint, "/v1/terms/delete-ceiling", json!({ "principal": principal }))
        }
    };
    let shown = Remote::signed(&endpoint.endpoint)?.post(path, &body)?;
    output::json(&shown)
}
