//! Roles: an account's own, and what can be done with any role whoever it belongs to.
//!
//! INVARIANT(protected): everything that alters trust or permissions goes through [`own_mut`],
//! which has nothing to hand out for a service-linked role.

use crate::authorize::principal_id;
use crate::command::*;
use crate::error::{Conflict, Entity, Error, Quota};
use crate::linked;
use crate::output::*;
use crate::rows::*;
use crate::text::*;
use crate::tx::{Class, Tx};
use crate::{authorize, limits, listing, managed_policy, tagging};
use policy::name;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs the operations on roles.
pub fn run(tx: &mut Tx<'_>, account: &AccountId, command: &Command) -> Result<Output, Error> {
    use Command as C;
    match command {
        C::CreateRole { role, path, trust, description, max_session_s, boundary, tags } => {
            let boundary = boundary
                .as_ref()
                .map(|b| managed_policy::find_boundary(tx, account, b))
                .transpose()?;
            let own = OwnRole {
                trust: trust.clone(),
                pins: BTreeMap::new(),
                grants: Grants { boundary, ..Grants::default() },
            };
            let tags = tagging::tag_list(tx, account, tags)?;
            create(tx, account, role, path, own, description.clone(), *max_session_s, tags)
        }
        C::GetRole { role } => {
            let found = find(tx, account, role)?;
            Ok(Output::Role(view(tx, &found)))
        }
        C::ListRoles { prefix, with, paging } => {
            let filters = format!("{with:?}");
            let place = ["ListRoles", prefix.as_str(), filters.as_str()];
            let after = listing::after_name(tx, account, &place, paging)?;
            let found = tx
                .state()
                .roles_of(account, after.as_ref())
                .filter(|r| r.path.as_str().starts_with(prefix.as_str()))
                .filter(|r| tagging::fits(&r.tags, with));
            let page = listing::cut(
                tx,
                account,
                &place,
                paging,
                found,
                |r| r.name.folded().as_str().to_owned(),
                |r| view(tx, r),
            )?;
            Ok(Output::Roles(page))
        }
        C::UpdateRole { role, description, max_session_s, trust } => {
            let mut row = (*find(tx, account, role)?).clone();
            if let Some(trust) = trust {
                let own = own_mut(&mut row)?;
                own.pins = pins(tx, account, trust)?;
                own.trust = trust.clone();
            }
            if let Some(seconds) = max_session_s {
                own_mut(&mut row).map_err(|_| Error::ProtectedDuration(role.clone()))?;
                row.max_session_s = *seconds;
            }
            if description.is_some() {
                row.description.clone_from(description);
            }
            let row = update(tx, row);
            Ok(Output::Role(view(tx, &row)))
        }
        C::UpdateRoleDescription { role, description } => {
            let mut row = (*find(tx, account, role)?).clone();
            row.description = Some(description.clone());
            let row = update(tx, row);
            Ok(Output::Role(view(tx, &row)))
        }
        C::UpdateAssumeRolePolicy { role, trust } => {
            let mut row = (*find(tx, account, role)?).clone();
            let own = own_mut(&mut row)?;
            own.pins = pins(tx, account, trust)?;
            own.trust = trust.clone();
            update(tx, row);
            Ok(Output::Done)
        }
        C::DeleteRole { role } => delete(tx, account, role),
        C::ListInstanceProfilesForRole { role, .. } => {
            find(tx, account, role)?;
            Ok(Output::NoProfiles)
        }
        C::AddRoleToInstanceProfile { profile, role }
        | C::RemoveRoleFromInstanceProfile { profile, role } => {
            let mut row = (*find(tx, account, role)?).clone();
            own_mut(&mut row)?;
            Err(Error::NoSuchEntity(Entity::InstanceProfile(profile.clone())))
        }
        _ => Err(Error::Internal("not an operation on roles")),
    }
}

#[expect(clippy::too_many_arguments, reason = "they are the parts of a new role")]
fn create(
    tx: &mut Tx<'_>,
    account: &AccountId,
    role: &RoleName,
    path: &Path,
    mut own: OwnRole,
    description: Option<Description>,
    max_session_s: Option<u32>,
    tags: Tags,
) -> Result<Output, Error> {
    if path.as_str().starts_with(linked::RESERVED_PATH) {
        return Err(Error::ReservedPath);
    }
    if linked::is_reserved_name(role) {
        return Err(Error::ReservedName(role.clone()));
    }
    if tx.state().role(account, &role.folded()).is_some() {
        return Err(Error::AlreadyExists(Entity::Role(role.to_string())));
    }
    let quota = tx.state().account(account).map_or(0, |a| a.role_quota);
    if tx.state().role_count(account) >= quota {
        let quota = usize::try_from(quota).unwrap_or(usize::MAX);
        return Err(Error::QuotaExceeded(Quota::Roles, quota));
    }
    own.pins = pins(tx, account, &own.trust)?;
    let id = tx.new_id(account, Class::Role)?;
    let now = tx.now();
    let row = Role {
        account: account.clone(),
        id,
        name: role.clone(),
        path: path.clone(),
        created_ms: now,
        updated_ms: 0,
        description,
        tags,
        max_session_s: max_session_s.unwrap_or(limits::SESSION_DEFAULT_S),
        not_before_ms: 0,
        kind: RoleKind::Own(own),
    };
    tx.note("roleId", row.id.to_string());
    let row = store(tx, row);
    Ok(Output::Role(view(tx, &row)))
}

fn delete(tx: &mut Tx<'_>, account: &AccountId, role: &RoleName) -> Result<Output, Error> {
    let mut row = (*find(tx, account, role)?).clone();
    let own = own_mut(&mut row)?;
    if !own.grants.attached.is_empty() {
        return Err(Error::DeleteConflict(Conflict::AttachedPolicies));
    }
    if !own.grants.inline.is_empty() {
        return Err(Error::DeleteConflict(Conflict::InlinePolicies));
    }
    crate::access::forget(tx, row.id.as_str());
    tx.delete(Key::Role(account.clone(), row.name.folded()));
    Ok(Output::Done)
}

/// A role by name. Errors: `NoSuchEntity`.
pub fn find(tx: &Tx<'_>, account: &AccountId, role: &RoleName) -> Result<Arc<Role>, Error> {
    tx.state().role(account, &role.folded()).cloned().ok_or_else(|| Error::no_role(role))
}

/// A service-linked role by name. Errors: `NoSuchEntity`, for an ordinary role too.
pub fn find_linked(
    tx: &Tx<'_>,
    account: &AccountId,
    role: &RoleName,
) -> Result<(Arc<Role>, LinkedRole), Error> {
    let row = find(tx, account, role)?;
    match &row.kind {
        RoleKind::Linked(linked) => Ok((row.clone(), linked.clone())),
        RoleKind::Own(_) => Err(Error::NoSuchEntity(Entity::NotServiceLinked(role.to_string()))),
    }
}

/// What may be altered of a role; nothing for a service-linked one.
///
/// Errors: `ProtectedRole`.
pub fn own_mut(role: &mut Role) -> Result<&mut OwnRole, Error> {
    match &mut role.kind {
        RoleKind::Own(own) => Ok(own),
        RoleKind::Linked(_) => Err(Error::ProtectedRole(role.name.clone())),
    }
}

/// Stores a role that a caller changed.
fn update(tx: &mut Tx<'_>, role: Role) -> Arc<Role> {
    let updated_ms = tx.now();
    store(tx, Role { updated_ms, ..role })
}

/// Stores a role.
pub fn store(tx: &mut Tx<'_>, role: Role) -> Arc<Role> {
    tx.put(Row::Role(role.clone()));
    Arc::new(role)
}

/// A role as it is shown.
pub fn view(tx: &Tx<'_>, role: &Arc<Role>) -> RoleView {
    let (trust, boundary) = match &role.kind {
        RoleKind::Own(own) => {
            let boundary = own.grants.boundary.as_ref();
            let boundary = boundary.map(|b| managed_policy::arn_of(tx, &role.account, b));
            (TrustView::Own(shown_trust(tx, own)), boundary)
        }
        RoleKind::Linked(linked) => (TrustView::Linked(linked.template.principal.clone()), None),
    };
    RoleView {
        arn: tx.role_arn(role),
        trust,
        boundary,
        last_use: tx.state().last_use(&Used::Role(role.id.clone())).cloned(),
        template_version: match &role.kind {
            RoleKind::Own(_) => None,
            RoleKind::Linked(found) => {
                Some(linked::version_in_force(tx.state(), &role.account, &found.template))
            }
        },
        deletion: match &role.kind {
            RoleKind::Own(_) => None,
            RoleKind::Linked(_) => tx.state().last_task(role).cloned(),
        },
        role: match linked::max_session_s(tx.state(), role) {
            shown if shown == role.max_session_s => role.clone(),
            max_session_s => Arc::new(Role { max_session_s, ..(**role).clone() }),
        },
    }
}

/// The trust text with the ids of principals that are gone in place of their ARNs.
fn shown_trust(tx: &Tx<'_>, own: &OwnRole) -> String {
    let mut text = own.trust.text().to_owned();
    for (arn, id) in &own.pins {
        if principal_id(tx.state(), arn).as_ref() != Some(id) {
            text = text.replace(&format!("\"{arn}\""), &format!("\"{id}\""));
        }
    }
    text
}

/// The unique ids of the principals that a trust policy names.
///
/// Errors: `InvalidPrincipal` for one that does not exist or is of another dialect; quota.
fn pins(
    tx: &Tx<'_>,
    account: &AccountId,
    trust: &TrustPolicy,
) -> Result<BTreeMap<String, String>, Error> {
    if trust.document().size() > limits::TRUST_POLICY_SIZE {
        return Err(Error::QuotaExceeded(Quota::TrustSize, limits::TRUST_POLICY_SIZE));
    }
    let dialect = tx.dialect(account)?;
    let mut pins = BTreeMap::new();
    for text in trust.document().aws_principals() {
        let invalid = || Error::InvalidPrincipal(text.to_owned());
        if let Some(owner) = name::account_of_root(text) {
            let owner = AccountId::parse(owner).map_err(|_| invalid())?;
            let known = tx.state().account(&owner).ok_or_else(invalid)?;
            if known.dialect != dialect {
                return Err(invalid());
            }
            continue;
        }
        match name::parse_entity(text) {
            Some(
                name::Entity::User { account, .. }
                | name::Entity::Role { account, .. }
                | name::Entity::AssumedRole { account, .. },
            ) => {
                let owner = AccountId::parse(&account).map_err(|_| invalid())?;
                if authorize_dialect(tx, &owner) != Some(dialect) {
                    return Err(invalid());
                }
                let id = authorize::principal_id(tx.state(), text).ok_or_else(invalid)?;
                pins.insert(text.to_owned(), id);
            }
            _ => {
                // A unique id stands for a principal that is gone; it matches nothing alive.
                let id = text.starts_with("AROA") || text.starts_with("AIDA");
                if !id {
                    return Err(invalid());
                }
            }
        }
    }
    Ok(pins)
}

fn authorize_dialect(tx: &Tx<'_>, account: &AccountId) -> Option<policy::Dialect> {
    crate::caller::dialect(tx.state(), account)
}
