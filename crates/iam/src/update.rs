//! A service's new manifest: what it changes, and whether it may.
//!
//! New permissions are a new version of the template. It counts for existing roles at once, or, in an account that
//! holds updates, when an administrator accepts it for a role. What existing roles rest on cannot be taken away:
//! their principal, their names, the language of their account, the regions of their uses.

use crate::command::{ImportedPolicy, Manifest};
use crate::error::{Entity, Error};
use crate::output::*;
use crate::rows::*;
use crate::service;
use crate::text::*;
use crate::tx::Tx;
use crate::{access_key, limits, linked, names, offered};
use policy::Dialect;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Compares a manifest with the registered one, and stores it if `store` says so.
///
/// Errors: `NoSuchEntity` for a service that is not registered; those of a registration; `InUse` for what
/// existing roles rest on.
pub fn update(tx: &mut Tx<'_>, manifest: &Manifest, store: bool) -> Result<Output, Error> {
    let missing = || Error::NoSuchEntity(Entity::Service(manifest.service.to_string()));
    let old = tx.state().service(&manifest.service).cloned().ok_or_else(missing)?;
    let mut new = service::checked(tx, manifest)?;
    new.created_ms = old.created_ms;
    for (principal, template) in &mut new.templates {
        if let Some(known) = old.templates.get(principal) {
            *template = merged(tx, &old, known, template);
        }
    }
    offered::follow(tx, &old, &mut new);
    check_roles(tx, &old, &new)?;
    offered::check_attached(tx, &old, Some(&new))?;
    let change = compare(tx, &old, &new);
    if store && *old != new {
        announce(tx, &old, &new)?;
        tx.put(Row::Service(new));
    }
    Ok(Output::ServiceChange(Box::new(change)))
}

/// Gives a role that is known from facts its vendor's policy; the same document again is no new version.
///
/// Errors: `NoSuchEntity` for a policy of no known service; `Invalid` for one of a service that runs here, whose
/// manifest says what its policies are.
pub fn import(tx: &mut Tx<'_>, asked: &ImportedPolicy) -> Result<Output, Error> {
    let dialect = asked.document.document().dialect();
    let found = tx.state().template_of_policy(dialect, &asked.policy.folded());
    let missing = || Error::NoSuchEntity(Entity::Policy(asked.policy.to_string()));
    let (old, template) =
        found.map(|(service, template)| (service.clone(), template.clone())).ok_or_else(missing)?;
    if service::runs_here(tx, &old.name) {
        return Err(Error::Invalid {
            field: "policy",
            message: format!(
                "`{}` belongs to `{}`, which runs here; its manifest says what it may do",
                asked.policy, old.name
            ),
        });
    }
    let mut documents = template.versions.get(&template.version).cloned().unwrap_or_default();
    match dialect {
        Dialect::Aws => documents.aws = Some(asked.document.clone()),
        Dialect::Alibaba => documents.alibaba = Some(asked.document.clone()),
    }
    let given =
        Template { versions: BTreeMap::from([(template.version, documents)]), ..template.clone() };
    let mut next = merged(tx, &old, &template, &given);
    if next.version != template.version {
        let source = PolicySource {
            note: asked.source.clone(),
            at_ms: tx.now(),
            sha256: crate::seal::digest(asked.document.text()),
        };
        next.sources.insert(next.version, source);
    }
    let mut new = (*old).clone();
    new.templates.insert(next.principal.clone(), next);
    let change = compare(tx, &old, &new);
    if !asked.dry_run && *old != new {
        announce(tx, &old, &new)?;
        tx.put(Row::Service(new));
    }
    Ok(Output::ServiceChange(Box::new(change)))
}

/// Takes a service out of the catalogue, with its keys.
///
/// Errors: `NoSuchEntity`; `InUse` while roles of it exist or policies of it are attached, with their names.
pub fn remove(tx: &mut Tx<'_>, name: &ServiceName) -> Result<Output, Error> {
    let missing = || Error::NoSuchEntity(Entity::Service(name.to_string()));
    let found = tx.state().service(name).cloned().ok_or_else(missing)?;
    let roles: Vec<String> =
        tx.state().linked_roles(name, None).map(|role| tx.role_arn(role)).collect();
    if !roles.is_empty() {
        return Err(conflict(format!(
            "`{name}` cannot be removed while {} roles of it exist; delete them first: {}",
            roles.len(),
            named(&roles)
        )));
    }
    offered::check_attached(tx, &found, None)?;
    let keys: Vec<KeyId> =
        tx.state().keys_of(&KeyOwner::Service(name.clone())).map(|key| key.id.clone()).collect();
    for key in keys {
        access_key::remove(tx, &key);
    }
    let notices: Vec<_> = tx.state().notices().filter(|n| n.service == *name).cloned().collect();
    for notice in notices {
        tx.delete(Key::Notice(notice.account.clone(), notice.role.clone()));
    }
    tx.delete(Key::Service(name.clone()));
    Ok(Output::Service(found))
}

/// The first of what stands in the way, by name.
pub fn named(all: &[String]) -> String {
    let first = all.iter().take(limits::ROLES_NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = if all.len() > limits::ROLES_NAMED { ", and others" } else { "" };
    format!("{first}{more}")
}

fn conflict(message: String) -> Error {
    Error::InUse(message)
}

/// A template with the versions that it had; a changed document is one more.
fn merged(tx: &Tx<'_>, service: &Service, old: &Template, new: &Template) -> Template {
    let latest = old.versions.get(&old.version);
    let given = new.versions.get(&new.version);
    let mut versions = old.versions.clone();
    let mut version = old.version;
    if let Some(given) = given
        && latest != Some(given)
    {
        version = version.saturating_add(1);
        versions.insert(version, given.clone());
    }
    // Old versions go, but those that some role still has in force.
    let in_force: BTreeSet<u32> = roles_of(tx, &service.name, &old.principal)
        .map(|(role, found)| linked::version_in_force(tx.state(), &role.account, &found.template))
        .collect();
    let kept = version.saturating_sub(limits::VERSIONS_PER_TEMPLATE);
    versions.retain(|number, _| *number > kept || in_force.contains(number));
    let mut sources = old.sources.clone();
    sources.retain(|version, _| versions.contains_key(version));
    Template { versions, version, sources, ..new.clone() }
}

/// The roles of one principal of a service, in all accounts.
fn roles_of<'a>(
    tx: &'a Tx<'_>,
    service: &'a ServiceName,
    principal: &'a ServiceName,
) -> impl Iterator<Item = (&'a Arc<Role>, &'a LinkedRole)> {
    tx.state().linked_roles(service, None).filter_map(move |role| match &role.kind {
        RoleKind::Linked(found) if found.template.principal == *principal => Some((role, found)),
        _ => None,
    })
}

/// What existing roles rest on has to stay.
fn check_roles(tx: &Tx<'_>, old: &Service, new: &Service) -> Result<(), Error> {
    for row in tx.state().linked_roles(&old.name, None) {
        let RoleKind::Linked(found) = &row.kind else { continue };
        let principal = &found.template.principal;
        let arn = tx.role_arn(row);
        let Some(template) = new.templates.get(principal) else {
            return Err(conflict(format!(
                "role `{principal}` cannot leave the manifest while {arn} exists; delete that first"
            )));
        };
        let known = old.templates.get(principal);
        if known.is_some_and(|t| t.role != template.role || t.policy != template.policy) {
            return Err(conflict(format!(
                "the names of role `{principal}` and of its policy cannot change while {arn} exists"
            )));
        }
        if found.suffix.is_some() && template.suffix == SuffixRule::Refused {
            return Err(conflict(format!(
                "role `{principal}` cannot refuse suffixes while {arn} exists"
            )));
        }
        if !template.is_offered_in(tx.dialect(&row.account)?) {
            return Err(conflict(format!(
                "role `{principal}` cannot lose its policy in the language of {arn}"
            )));
        }
        // Until every use is in the registry, the service alone knows of it.
        let fences = |service: &Service| {
            service.callback.as_ref().map(|callback| callback.contract == Contract::Fenced)
        };
        let registered = |service: &Service| service.usage == UsageSource::Registry;
        if fences(new) < fences(old) && !(registered(old) && registered(new)) {
            return Err(conflict(format!(
                "`callback` cannot leave or lose its fence while {arn} exists; \
                 tell its uses to the registry first"
            )));
        }
        for usage in tx.state().usages_of(&row.id) {
            if new.usage == UsageSource::Sessions || !new.regions.contains(&usage.region) {
                return Err(conflict(format!(
                    "{arn} is used in `{}`; `usage` and `regions` cannot leave that out",
                    usage.region
                )));
            }
        }
    }
    Ok(())
}

/// Gives notice to each account whose roles get other permissions.
fn announce(tx: &mut Tx<'_>, old: &Service, new: &Service) -> Result<(), Error> {
    let changed = |principal: &ServiceName| {
        let version = |service: &Service| service.templates.get(principal).map(|t| t.version);
        version(old) != version(new)
    };
    let roles: Vec<(AccountId, String)> = tx
        .state()
        .linked_roles(&old.name, None)
        .filter(|role| matches!(&role.kind, RoleKind::Linked(l) if changed(&l.template.principal)))
        .map(|role| (role.account.clone(), tx.role_arn(role)))
        .collect();
    for template in new.templates.values().filter(|t| changed(&t.principal)) {
        tx.note("templateVersion", format!("{} {}", template.principal, template.version));
    }
    for (account, arn) in roles {
        tx.concern(&account, arn);
    }
    offered::announce(tx, old, new)?;
    let (accounts, resources) = tx.concerned();
    for (name, count) in crate::audit::CONCERNED.into_iter().zip([accounts, resources]) {
        tx.note(name, count.to_string());
    }
    Ok(())
}

fn compare(tx: &Tx<'_>, old: &Arc<Service>, new: &Service) -> ServiceChange {
    let mut settings = Vec::new();
    let mut setting = |name: &str, before: String, after: String| {
        if before != after {
            settings.push(SettingChange { name: name.to_owned(), before, after });
        }
    };
    let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
    let regions =
        |set: &BTreeSet<Region>| set.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    setting("display_name", old.display_name.clone(), new.display_name.clone());
    setting("signing_names", list(&old.signing_names), list(&new.signing_names));
    setting("hosts", list(&old.hosts), list(&new.hosts));
    setting("regions", regions(&old.regions), regions(&new.regions));
    setting("usage", word(&old.usage), word(&new.usage));
    let callback = |service: &Service| service.callback.as_ref().map(word).unwrap_or_default();
    setting("callback", callback(old), callback(new));
    let identity = |service: &Service| service.identity.as_ref().map(word).unwrap_or_default();
    setting("identity", identity(old), identity(new));
    for (name, dialect) in
        [("forward.policy", Dialect::Aws), ("forward.ram_policy", Dialect::Alibaba)]
    {
        let text = |service: &Service| {
            service.forward.of(dialect).map(|p| p.text().to_owned()).unwrap_or_default()
        };
        setting(name, text(old), text(new));
    }
    let principals: BTreeSet<&ServiceName> =
        old.templates.keys().chain(new.templates.keys()).collect();
    let roles = principals.into_iter().filter_map(|principal| {
        role_change(
            tx,
            &old.name,
            principal,
            old.templates.get(principal),
            new.templates.get(principal),
        )
    });
    let roles = roles.collect();
    let policies = offered::compare(tx, old, new);
    ServiceChange { service: old.name.clone(), settings, roles, policies }
}

/// A setting as a manifest writes it.
fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

fn role_change(
    tx: &Tx<'_>,
    service: &ServiceName,
    principal: &ServiceName,
    old: Option<&Template>,
    new: Option<&Template>,
) -> Option<RoleChange> {
    let mut settings = Vec::new();
    let of = |template: Option<&Template>, read: &dyn Fn(&Template) -> String| {
        template.map(read).unwrap_or_default()
    };
    let mut setting = |name: &str, read: &dyn Fn(&Template) -> String| {
        let (before, after) = (of(old, read), of(new, read));
        if before != after {
            settings.push(SettingChange { name: name.to_owned(), before, after });
        }
    };
    setting("name", &|t| t.role.clone());
    setting("policy_name", &|t| t.policy.to_string());
    setting("suffix", &|t| word(&t.suffix));
    setting("deletion", &|t| word(&t.deletion));
    setting("allow_iam_writes", &|t| t.allow_iam_writes.to_string());
    setting("max_session_duration", &|t| t.max_session_s.to_string());
    setting("trigger", &|t| t.triggers.iter().map(word).collect::<Vec<_>>().join(", "));
    setting("description", &|t| {
        t.description.as_ref().map(ToString::to_string).unwrap_or_default()
    });
    let documents =
        |template: Option<&'_ Template>| template.and_then(|t| t.versions.get(&t.version)).cloned();
    let (before, after) = (documents(old), documents(new));
    let permissions = permission_changes(before.as_ref(), after.as_ref());
    if settings.is_empty() && permissions.is_empty() {
        return None;
    }
    let version = |template: Option<&Template>| template.map(|t| t.version);
    let (mut at_once, mut held) = (0, 0);
    if version(old) != version(new) {
        for (role, _) in roles_of(tx, service, principal) {
            let account = tx.state().account(&role.account);
            match account.is_some_and(|account| account.terms.holds_updates) {
                true => held += 1,
                false => at_once += 1,
            }
        }
    }
    Some(RoleChange {
        principal: principal.clone(),
        settings,
        permissions,
        version_before: version(old),
        version_after: version(new),
        at_once,
        held,
    })
}

/// What changes between documents, in each language.
pub fn permission_changes(
    old: Option<&Documents>,
    new: Option<&Documents>,
) -> Vec<PermissionChange> {
    let change = |dialect| permission_change(dialect, old, new);
    names::DIALECTS.into_iter().filter_map(change).collect()
}

fn permission_change(
    dialect: Dialect,
    old: Option<&Documents>,
    new: Option<&Documents>,
) -> Option<PermissionChange> {
    let statements = |documents: Option<&Documents>| -> Vec<Value> {
        let text = documents.and_then(|d| d.of(dialect)).map(PermissionsPolicy::text);
        text.map(statements_of).unwrap_or_default()
    };
    let (before, after) = (statements(old), statements(new));
    let only_in = |these: &[Value], those: &[Value]| -> Vec<Value> {
        these.iter().filter(|one| !those.contains(one)).cloned().collect()
    };
    let (added, removed) = (only_in(&after, &before), only_in(&before, &after));
    (!added.is_empty() || !removed.is_empty()).then_some(PermissionChange {
        dialect,
        added,
        removed,
    })
}

/// The statements of a document, each list written as a list, so that two ways to write one thing are one.
fn statements_of(text: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let statements = match document.get("Statement") {
        Some(Value::Array(list)) => list.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let listed = |(name, value): (String, Value)| match (name.as_str(), value) {
        ("Action" | "NotAction" | "Resource" | "NotResource", Value::String(text)) => {
            (name, Value::Array(vec![Value::String(text)]))
        }
        (_, value) => (name, value),
    };
    let normal = |statement: Value| match statement {
        Value::Object(members) => {
            Value::Object(members.into_iter().map(listed).collect::<serde_json::Map<_, _>>())
        }
        other => other,
    };
    statements.into_iter().map(normal).collect()
}
