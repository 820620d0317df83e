//! What an account demands of linked services: whether it waits for an administrator before a service's new
//! permissions count or its role appears, and the most that a service's roles may do there.
//!
//! A service owns its role; the terms are the tenant's own side of it. Not here: where a ceiling is evaluated
//! ([`crate::authorize`]) and what a service's update does ([`crate::update`]).

use crate::command::{Command, TermsChange};
use crate::error::{Entity, Error, Quota};
use crate::linked;
use crate::output::Output;
use crate::rows::*;
use crate::text::*;
use crate::tx::Tx;
use crate::{account, limits, role};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The terms of an account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceTerms {
    /// Whether a new version of a role's permissions waits until an administrator accepts it for that role.
    #[serde(default)]
    pub holds_updates: bool,
    /// Whether a service can have no role made here, so that making it by hand is the consent.
    #[serde(default)]
    pub requires_consent: bool,
    /// The most that the roles of a principal may do here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ceilings: BTreeMap<ServiceName, PermissionsPolicy>,
}

/// Runs the operations on an account's terms, and those that they wait for.
pub fn run(tx: &mut Tx<'_>, account: &AccountId, command: &Command) -> Result<Output, Error> {
    match command {
        Command::GetServiceTerms => {}
        Command::UpdateServiceTerms(change) => update(tx, account, change)?,
        Command::PutServiceCeiling { principal, policy } => {
            put_ceiling(tx, account, principal, policy)?;
        }
        Command::DeleteServiceCeiling { principal } => delete_ceiling(tx, account, principal)?,
        Command::AcceptServiceUpdate { role } => return accept(tx, account, role),
        _ => return Err(Error::Internal("not an operation on terms")),
    }
    Ok(Output::Terms(account::find(tx, account)?.terms.clone()))
}

fn update(tx: &mut Tx<'_>, account: &AccountId, change: &TermsChange) -> Result<(), Error> {
    let row = account::find(tx, account)?;
    let mut terms = row.terms.clone();
    let begins_to_hold = change.holds_updates == Some(true) && !terms.holds_updates;
    if begins_to_hold {
        // From now on a role's own version counts: it begins with the one that counted so far.
        pin(tx, account);
    }
    terms.holds_updates = change.holds_updates.unwrap_or(terms.holds_updates);
    terms.requires_consent = change.requires_consent.unwrap_or(terms.requires_consent);
    tx.put(Row::Account(Account { terms, ..(*row).clone() }));
    Ok(())
}

/// Writes the versions in force into all linked roles of an account.
fn pin(tx: &mut Tx<'_>, account: &AccountId) {
    let roles: Vec<_> = tx.state().roles_of(account, None).cloned().collect();
    for row in roles {
        if let RoleKind::Linked(found) = &row.kind {
            let version = linked::version_in_force(tx.state(), account, &found.template);
            if version != found.template.version {
                set_version(tx, &row, found, version);
            }
        }
    }
}

fn set_version(tx: &mut Tx<'_>, row: &Role, found: &LinkedRole, version: u32) {
    let template = TemplateRef { version, ..found.template.clone() };
    let kind = RoleKind::Linked(LinkedRole { template, ..found.clone() });
    role::store(tx, Role { kind, ..row.clone() });
}

/// Takes the latest version of a role's permissions for this role; taking it twice is no error.
///
/// Errors: `NoSuchEntity` for a missing or an ordinary role.
fn accept(tx: &mut Tx<'_>, account: &AccountId, name: &RoleName) -> Result<Output, Error> {
    let (row, found) = role::find_linked(tx, account, name)?;
    let latest = tx.state().template(&found.template.principal).map(|(_, t)| t.version);
    let latest = latest.ok_or(Error::Internal("a linked role without its template"))?;
    tx.note("templateVersion", latest.to_string());
    set_version(tx, &row, &found, latest);
    let row = role::find(tx, account, name)?;
    Ok(Output::Role(role::view(tx, &row)))
}

fn put_ceiling(
    tx: &mut Tx<'_>,
    account: &AccountId,
    principal: &ServiceName,
    policy: &str,
) -> Result<(), Error> {
    let row = account::find(tx, account)?;
    let policy = PermissionsPolicy::parse(policy, row.dialect)
        .map_err(|error| Error::MalformedPolicy { message: error.to_string() })?;
    if policy.document().size() > limits::MANAGED_POLICY_SIZE {
        return Err(Error::QuotaExceeded(Quota::PolicySize, limits::MANAGED_POLICY_SIZE));
    }
    let mut terms = row.terms.clone();
    terms.ceilings.insert(principal.clone(), policy);
    if terms.ceilings.len() > limits::CEILINGS_PER_ACCOUNT {
        return Err(Error::QuotaExceeded(Quota::Ceilings, limits::CEILINGS_PER_ACCOUNT));
    }
    tx.put(Row::Account(Account { terms, ..(*row).clone() }));
    Ok(())
}

fn delete_ceiling(
    tx: &mut Tx<'_>,
    account: &AccountId,
    principal: &ServiceName,
) -> Result<(), Error> {
    let row = account::find(tx, account)?;
    let mut terms = row.terms.clone();
    if terms.ceilings.remove(principal).is_none() {
        return Err(Error::NoSuchEntity(Entity::Ceiling(principal.to_string())));
    }
    tx.put(Row::Account(Account { terms, ..(*row).clone() }));
    Ok(())
}
