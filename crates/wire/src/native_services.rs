//! The native dialect, the part about services' updates and about what an account demands of services.

use crate::aws::fault::Fault;
use crate::clock::iso_seconds;
use crate::manifest::{self, ManifestText};
use crate::native::{Nothing, RoleOnly, read, role};
use iam::command::{AccessOf, Command, ImportedPolicy, TermsChange};
use iam::operations::Operation;
use iam::output::{
    AccessView, CatalogEntry, Output, PermissionChange, PolicyChange, PreviewView, RoleChange,
    ServiceChange, SettingChange,
};
use iam::rows::{PermissionsPolicy, ServiceTerms, Template};
use iam::text::{
    AccountId, Description, KeyId, PolicyName, RoleName, ServiceName, Suffix, UserName,
};
use policy::Dialect;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preview {
    principal: String,
    #[serde(default)]
    suffix: Option<Suffix>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Terms {
    #[serde(default)]
    holds_updates: Option<bool>,
    #[serde(default)]
    requires_consent: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ceiling {
    principal: ServiceName,
    /// The text of a document: as a text, so that nothing of it is lost before it is checked.
    policy: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Principal {
    principal: ServiceName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByName {
    service: ServiceName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    #[serde(default)]
    after: Option<ServiceName>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    service: ServiceName,
    #[serde(default)]
    revoke_others: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Force {
    account: AccountId,
    role: RoleName,
    #[serde(default)]
    confirm: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowAccess {
    kind: AccessKind,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum AccessKind {
    Root,
    User,
    Role,
    Key,
}

/// Whose access is shown.
fn access_of(ask: &ShowAccess) -> Result<AccessOf, Fault> {
    let name = ask.name.as_str();
    let (found, rule) = match ask.kind {
        AccessKind::Root => (AccountId::parse(name).map(AccessOf::Root), "the account's id"),
        AccessKind::User => (UserName::parse(name).map(AccessOf::User), "a user's name"),
        AccessKind::Role => (RoleName::parse(name).map(AccessOf::Role), "a role's name"),
        AccessKind::Key => (KeyId::parse(name).map(AccessOf::Key), "an access key's id"),
    };
    found.map_err(|_| {
        let text = format!("Expected `name` to be {rule}; found `{name}`.");
        Fault::new("ValidationError", 400, text)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    dialect: Dialect,
    policy: PolicyName,
    document: String,
    source: Description,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneManifest {
    manifest: ManifestText,
}

/// Every path of this part, with the operation that it asks for.
pub const PATHS: &[(&str, Operation)] = &[
    ("/v1/slr/preview", Operation::PreviewServiceLinkedRole),
    ("/v1/slr/accept-update", Operation::AcceptServiceUpdate),
    ("/v1/terms/show", Operation::GetServiceTerms),
    ("/v1/terms/update", Operation::UpdateServiceTerms),
    ("/v1/terms/put-ceiling", Operation::PutServiceCeiling),
    ("/v1/terms/delete-ceiling", Operation::DeleteServiceCeiling),
    ("/v1/services/diff", Operation::DiffService),
    ("/v1/services/update", Operation::UpdateService),
    ("/v1/services/import-policy", Operation::ImportServicePolicy),
    ("/v1/services/export", Operation::ExportCatalog),
    ("/v1/services/remove", Operation::RemoveService),
    ("/v1/services/new-key", Operation::CreateServiceKey),
    ("/v1/operator/force-delete", Operation::ForceDeleteServiceLinkedRole),
    ("/v1/access/show", Operation::GetAccess),
];

/// Reads a request to one of the paths.
///
/// Errors: 400 for a body that does not read.
pub fn decode(path: &str, body: &[u8]) -> Result<Command, Fault> {
    let manifest = || -> Result<_, Fault> {
        let read: OneManifest = read(body)?;
        let checked = manifest::check(&read.manifest);
        Ok(Box::new(checked.map_err(|text| Fault::new("ValidationError", 400, text))?))
    };
    Ok(match path {
        "/v1/slr/preview" => {
            let Preview { principal, suffix } = read(body)?;
            Command::PreviewServiceLinkedRole { principal, suffix }
        }
        "/v1/slr/accept-update" => {
            Command::AcceptServiceUpdate { role: read::<RoleOnly>(body)?.role }
        }
        "/v1/access/show" => Command::GetAccess { of: access_of(&read(body)?)? },
        "/v1/terms/show" => {
            read::<Nothing>(body)?;
            Command::GetServiceTerms
        }
        "/v1/terms/update" => {
            let Terms { holds_updates, requires_consent } = read(body)?;
            Command::UpdateServiceTerms(TermsChange { holds_updates, requires_consent })
        }
        "/v1/terms/put-ceiling" => {
            let Ceiling { principal, policy } = read(body)?;
            Command::PutServiceCeiling { principal, policy }
        }
        "/v1/terms/delete-ceiling" => {
            Command::DeleteServiceCeiling { principal: read::<Principal>(body)?.principal }
        }
        "/v1/services/diff" => Command::DiffService { manifest: manifest()? },
        "/v1/services/new-key" => {
            let NewKey { service, revoke_others } = read(body)?;
            Command::CreateServiceKey { service, revoke: revoke_others }
        }
        "/v1/operator/force-delete" => {
            let Force { account, role, confirm } = read(body)?;
            Command::ForceDeleteServiceLinkedRole { account, role, confirm }
        }
        "/v1/services/import-policy" => {
            let Import { dialect, policy, document, source, dry_run } = read(body)?;
            let document = PermissionsPolicy::read(&document, dialect)
                .map_err(|e| Fault::new("MalformedPolicyDocument", 400, e.to_string()))?;
            let asked = ImportedPolicy { policy, document, source, dry_run };
            Command::ImportServicePolicy(Box::new(asked))
        }
        "/v1/services/export" => Command::ExportCatalog { after: read::<Export>(body)?.after },
        "/v1/services/update" => Command::UpdateService { manifest: manifest()? },
        "/v1/services/remove" => Command::RemoveService { service: read::<ByName>(body)?.service },
        other => return Err(Fault::new("NotFound", 404, format!("There is nothing at {other}."))),
    })
}

/// The answer, where it is one of this part.
pub fn body(output: &Output) -> Option<Value> {
    Some(match output {
        Output::Preview(view) => preview(view),
        Output::Terms(terms) => shown_terms(terms),
        Output::ServiceChange(change) => shown_change(change),
        Output::Catalog { entries, next } => json!({
            "entries": entries.iter().flat_map(catalog_entries).collect::<Vec<_>>(),
            "next": next,
        }),
        Output::Role(view) => json!({ "role": role(view) }),
        Output::Access(view) => access(view),
        _ => return None,
    })
}

/// A region that was not told is null.
fn region(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}

fn access(view: &AccessView) -> Value {
    let services = view.services.iter().map(|row| {
        let actions = row.actions.iter().map(|(action, seen)| {
            json!({ "action": action, "at": iso_seconds(seen.at_ms), "region": region(&seen.region) })
        });
        json!({
            "service": row.service,
            "at": iso_seconds(row.last.at_ms),
            "region": region(&row.last.region),
            "actions": actions.collect::<Vec<_>>(),
        })
    });
    let sessions = view.sessions.as_ref();
    json!({
        "name": view.name,
        "last_used": view.last.as_ref().map(|last| json!({
            "at": iso_seconds(last.at_ms), "region": region(&last.region), "service": last.service,
        })),
        "sessions": sessions.map_or(0, |row| row.opened),
        "last_session": sessions.map(|row| iso_seconds(row.last_ms)),
        "services": services.collect::<Vec<_>>(),
    })
}

fn document(policy: &PermissionsPolicy) -> Value {
    serde_json::from_str(policy.text()).unwrap_or_default()
}

fn preview(view: &PreviewView) -> Value {
    let template: &Template = &view.template;
    let documents = template.versions.get(&template.version);
    json!({
        "arn": view.arn,
        "exists": view.exists,
        "service": view.service.name,
        "display_name": view.service.display_name,
        "principal": template.principal,
        "description": template.description,
        "policy_name": template.policy,
        "template_version": template.version,
        "policy_source": source(template),
        "policy": documents.and_then(|d| d.of(view.dialect)).map(document),
        "ceiling": view.ceiling.as_ref().map(document),
        "deletion": template.deletion,
        "max_session_s": template.max_session_s,
        "triggers": template.triggers,
        "requires_consent": view.terms.requires_consent,
    })
}

/// Where the permissions in force come from, if they were imported.
fn source(template: &Template) -> Option<Value> {
    template.sources.get(&template.version).map(|source| {
        json!({
            "note": source.note, "at": iso_seconds(source.at_ms), "sha256": source.sha256,
        })
    })
}

/// What the catalogue holds of each role of a service. Documents are texts, so that they stay what they are.
fn catalog_entries(entry: &CatalogEntry) -> impl Iterator<Item = Value> {
    let service = &entry.service;
    service.templates.values().map(|template| {
        let documents = template.versions.get(&template.version);
        let (mut roles, mut texts) = (Map::new(), Map::new());
        for (name, dialect) in [("aws", Dialect::Aws), ("alibaba", Dialect::Alibaba)] {
            if let Some(document) = documents.and_then(|d| d.of(dialect)) {
                roles.insert(name.to_owned(), json!(template.role_name(dialect)));
                texts.insert(name.to_owned(), json!(document.text()));
            }
        }
        json!({
            "service": service.name,
            "display_name": service.display_name,
            "runs_here": entry.runs_here,
            "principal": template.principal,
            "roles": roles,
            "policy_name": template.policy,
            "suffix": template.suffix,
            "deletion": template.deletion,
            "version": template.version,
            "documents": texts,
            "source": source(template),
        })
    })
}

fn shown_terms(terms: &ServiceTerms) -> Value {
    let ceilings = terms
        .ceilings
        .iter()
        .map(|(principal, policy)| json!({ "principal": principal, "policy": document(policy) }));
    json!({
        "holds_updates": terms.holds_updates,
        "requires_consent": terms.requires_consent,
        "ceilings": ceilings.collect::<Vec<_>>(),
    })
}

fn settings(list: &[SettingChange]) -> Vec<Value> {
    let one = |s: &SettingChange| json!({ "name": s.name, "before": s.before, "after": s.after });
    list.iter().map(one).collect()
}

fn shown_change(change: &ServiceChange) -> Value {
    let permissions = |p: &PermissionChange| json!({ "dialect": p.dialect, "added": p.added, "removed": p.removed });
    let role = |r: &RoleChange| {
        json!({
            "principal": r.principal,
            "settings": settings(&r.settings),
            "permissions": r.permissions.iter().map(permissions).collect::<Vec<_>>(),
            "version_before": r.version_before,
            "version_after": r.version_after,
            "roles_at_once": r.at_once,
            "roles_held": r.held,
        })
    };
    let policy = |p: &PolicyChange| {
        json!({
            "name": p.name,
            "settings": settings(&p.settings),
            "permissions": p.permissions.iter().map(permissions).collect::<Vec<_>>(),
            "attached": p.attached,
        })
    };
    let is_same =
        change.settings.is_empty() && change.roles.is_empty() && change.policies.is_empty();
    json!({
        "service": change.service,
        "changed": !is_same,
        "settings": settings(&change.settings),
        "roles": change.roles.iter().map(role).collect::<Vec<_>>(),
        "policies": change.policies.iter().map(policy).collect::<Vec<_>>(),
    })
}
