//! Managed policies that every account of a dialect has: linkrole's own, and those that services offer to their
//! customers in their manifests, like a full-access policy that covers a service's own roles.
//!
//! Accounts attach them and cannot change them. What a service offers changes with its manifest, and stays as long as
//! something has it attached. Not here: the permissions of linked roles, which nobody attaches ([`crate::linked`]).

use crate::error::Error;
use crate::output::{PolicyChange, SettingChange};
use crate::rows::{Documents, PermissionsPolicy, PolicyRef, Service};
use crate::state::{EntityRef, State};
use crate::text::{AccountId, Description, Path, PolicyName, ServiceName};
use crate::tx::Tx;
use crate::{caller, catalog, limits, managed_policy, names, update, widening};
use policy::Dialect;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A policy that a service offers to its customers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferedPolicy {
    /// Its name, under the path `/`.
    pub name: PolicyName,
    /// What it is for.
    pub description: Option<Description>,
    /// The permissions in the languages of the dialects in whose accounts it is.
    pub documents: Documents,
    /// The number of its document: one more with each change.
    pub version: u32,
    /// When it was first offered, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it last changed, in milliseconds since 1970.
    pub updated_ms: i64,
}

impl OfferedPolicy {
    fn reference(&self) -> PolicyRef {
        PolicyRef::System { path: Path::root(), name: self.name.clone() }
    }

    fn is_in(&self, dialect: Dialect) -> bool {
        self.documents.of(dialect).is_some()
    }
}

/// A managed policy as the accounts of a dialect see it.
pub struct SystemPolicy<'a> {
    /// Its name.
    pub name: &'a PolicyName,
    /// What it is for.
    pub description: &'a str,
    /// Its document.
    pub document: &'a PermissionsPolicy,
    /// The number of the document.
    pub version: u32,
    /// When it came, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it last changed, in milliseconds since 1970.
    pub updated_ms: i64,
}

impl SystemPolicy<'_> {
    fn own(own: &'static catalog::SystemPolicy) -> Self {
        Self {
            name: &own.name,
            description: own.description,
            document: &own.document,
            version: 1,
            created_ms: 0,
            updated_ms: 0,
        }
    }
}

impl<'a> SystemPolicy<'a> {
    fn offered(policy: &'a OfferedPolicy, dialect: Dialect) -> Option<Self> {
        Some(Self {
            name: &policy.name,
            description: policy.description.as_ref().map(Description::as_str).unwrap_or_default(),
            document: policy.documents.of(dialect)?,
            version: policy.version,
            created_ms: policy.created_ms,
            updated_ms: policy.updated_ms,
        })
    }
}

/// All that accounts of a dialect have, linkrole's own first.
pub fn system_policies(state: &State, dialect: Dialect) -> impl Iterator<Item = SystemPolicy<'_>> {
    let offered = state.services().flat_map(|service| service.policies.values());
    let offered = offered.filter_map(move |policy| SystemPolicy::offered(policy, dialect));
    catalog::system_policies(dialect).map(SystemPolicy::own).chain(offered)
}

/// One of them; they all have the path `/`. Names are matched ignoring case, as everywhere.
pub fn system_policy<'a>(
    state: &'a State,
    dialect: Dialect,
    path: &Path,
    name: &PolicyName,
) -> Option<SystemPolicy<'a>> {
    if *path != Path::root() {
        return None;
    }
    if let Some(own) = catalog::system_policy(dialect, name) {
        return Some(SystemPolicy::own(own));
    }
    SystemPolicy::offered(state.offered_policy(dialect, &name.folded())?, dialect)
}

/// Gives the policies of a new manifest the numbers and times that follow from the registered one.
pub fn follow(tx: &Tx<'_>, old: &Service, new: &mut Service) {
    for (name, policy) in &mut new.policies {
        let Some(known) = old.policies.get(name) else { continue };
        policy.created_ms = known.created_ms;
        let is_same = policy.documents == known.documents;
        policy.version = if is_same { known.version } else { known.version.saturating_add(1) };
        let is_same = is_same && policy.description == known.description;
        policy.updated_ms = if is_same { known.updated_ms } else { tx.now() };
    }
}

/// What has a policy attached, or as its boundary, in accounts of a dialect.
fn holders(tx: &Tx<'_>, policy: &OfferedPolicy, dialect: Dialect) -> Vec<(AccountId, String)> {
    let reference = policy.reference();
    let mut found: Vec<(AccountId, String)> = Vec::new();
    for (entity, _) in tx.state().links_of(&reference) {
        let state = tx.state();
        let (EntityRef::User(account, _)
        | EntityRef::Group(account, _)
        | EntityRef::Role(account, _)) = entity;
        if caller::dialect(state, account) != Some(dialect) {
            continue;
        }
        let arn = match entity {
            EntityRef::User(account, name) => state.user(account, name).map(|u| tx.user_arn(u)),
            EntityRef::Group(account, name) => {
                state.group(account, name).map(|g| crate::group::view(tx, g, 0).arn)
            }
            EntityRef::Role(account, name) => state.role(account, name).map(|r| tx.role_arn(r)),
        };
        found.extend(arn.map(|arn| (account.clone(), arn)));
    }
    // Who is bound by what is attached to him too is named once.
    found.dedup();
    found
}

/// Whether everything that is attached somewhere stays: in a new manifest, or where there is none.
///
/// Errors: `InUse`, with what has it attached.
pub fn check_attached(tx: &Tx<'_>, old: &Service, new: Option<&Service>) -> Result<(), Error> {
    for policy in old.policies.values() {
        let next = new.and_then(|new| new.policies.get(&policy.name));
        for dialect in names::DIALECTS {
            if !policy.is_in(dialect) || next.is_some_and(|next| next.is_in(dialect)) {
                continue;
            }
            let held: Vec<String> =
                holders(tx, policy, dialect).into_iter().map(|(_, arn)| arn).collect();
            if !held.is_empty() {
                let of = format!("policy `{}` of `{}` cannot go", policy.name, old.name);
                return Err(Error::InUse(format!(
                    "{of} while it is attached; detach it first from {}",
                    update::named(&held)
                )));
            }
        }
    }
    Ok(())
}

/// Gives notice to each account that has a policy attached whose permissions change.
pub fn announce(tx: &mut Tx<'_>, old: &Service, new: &Service) -> Result<(), Error> {
    for policy in new.policies.values() {
        let known = old.policies.get(&policy.name);
        if known.is_none_or(|known| known.version == policy.version) {
            continue;
        }
        tx.note("policyVersion", format!("{} {}", policy.name, policy.version));
        for dialect in names::DIALECTS {
            let accounts: BTreeSet<AccountId> =
                holders(tx, policy, dialect).into_iter().map(|(account, _)| account).collect();
            for account in accounts {
                let arn = managed_policy::arn_of(tx, &account, &policy.reference());
                tx.concern(&account, arn);
            }
        }
    }
    Ok(())
}

/// What a manifest changes of the policies that a service offers.
pub fn compare(tx: &Tx<'_>, old: &Service, new: &Service) -> Vec<PolicyChange> {
    let names: BTreeSet<&PolicyName> = old.policies.keys().chain(new.policies.keys()).collect();
    let change = |name: &PolicyName| {
        let (before, after) = (old.policies.get(name), new.policies.get(name));
        let permissions = update::permission_changes(
            before.map(|policy| &policy.documents),
            after.map(|policy| &policy.documents),
        );
        let text = |policy: Option<&OfferedPolicy>| {
            policy.and_then(|p| p.description.as_ref()).map(ToString::to_string).unwrap_or_default()
        };
        let setting = SettingChange {
            name: "description".to_owned(),
            before: text(before),
            after: text(after),
        };
        let settings: Vec<_> =
            [setting].into_iter().filter(|setting| setting.before != setting.after).collect();
        let attached = before.or(after).map_or(0, |policy| {
            names::DIALECTS.into_iter().map(|dialect| holders(tx, policy, dialect).len()).sum()
        });
        (!settings.is_empty() || !permissions.is_empty()).then(|| PolicyChange {
            name: name.clone(),
            settings,
            permissions,
            attached,
        })
    };
    names.into_iter().filter_map(change).collect()
}

/// The policies of a manifest, if their names are free.
///
/// Errors: `Taken`; `Invalid` for too many, and for one that would let its holders change identities.
pub fn checked(
    tx: &Tx<'_>,
    names: &mut names::Names,
    service: &ServiceName,
    policies: &[OfferedPolicy],
) -> Result<std::collections::BTreeMap<PolicyName, OfferedPolicy>, Error> {
    if policies.len() > limits::POLICIES_PER_SERVICE {
        let message = format!("expected at most {} policies", limits::POLICIES_PER_SERVICE);
        return Err(Error::Invalid { field: "policy", message });
    }
    let mut all = std::collections::BTreeMap::new();
    for policy in policies {
        let widening = widening::actions(&policy.documents);
        if !widening.is_empty() {
            // What a customer takes for the service's must not be the keys to the account.
            let message = format!(
                "policy `{}` could change identities or mint credentials by {}; expected those of the service's own roles at most",
                policy.name,
                update::named(&widening)
            );
            return Err(Error::Invalid { field: "policy", message });
        }
        names.take_policy(service, policy)?;
        let now = tx.now();
        let policy = OfferedPolicy { created_ms: now, updated_ms: now, ..policy.clone() };
        all.insert(policy.name.clone(), policy);
    }
    Ok(all)
}
