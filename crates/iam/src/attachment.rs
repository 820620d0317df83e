//! Managed policies on users, groups and ordinary roles: attached, detached, listed.

use crate::command::*;
use crate::error::{Entity, Error, Quota};
use crate::managed_policy::{arn_of, find_attachable, find_usable};
use crate::output::*;
use crate::rows::*;
use crate::state::EntityRef;
use crate::text::*;
use crate::tx::Tx;
use crate::{limits, linked, listing, offered};
use policy::Dialect;

/// What a managed policy is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A user.
    User,
    /// A group.
    Group,
    /// An account's own role.
    Role,
}

impl Holder {
    fn quota(self) -> Quota {
        match self {
            Self::User => Quota::PoliciesPerUser,
            Self::Group => Quota::PoliciesPerGroup,
            Self::Role => Quota::PoliciesPerRole,
        }
    }

    fn attachment(self, policy: &PolicyTarget) -> Entity {
        match self {
            Self::User => Entity::UserAttachment(policy.text.clone()),
            Self::Group => Entity::GroupAttachment(policy.text.clone()),
            Self::Role => Entity::RoleAttachment(policy.text.clone()),
        }
    }
}

/// Attaches a policy. Attaching it again does nothing in the AWS dialect and is refused in
/// Alibaba's, as the vendors do. [src: ALIBABA.md 13]
///
/// Errors: those of [`find_attachable`]; `AlreadyExists`; `QuotaExceeded`.
pub fn attach(
    tx: &Tx<'_>,
    account: &AccountId,
    holder: Holder,
    grants: &mut Grants,
    policy: &PolicyTarget,
) -> Result<(), Error> {
    let found = find_attachable(tx, account, policy)?;
    let dialect = tx.dialect(account)?;
    if grants.attached.contains_key(&found) {
        return match dialect {
            Dialect::Aws => Ok(()),
            Dialect::Alibaba => Err(Error::AlreadyExists(holder.attachment(policy))),
        };
    }
    let is_system = matches!(found, PolicyRef::System { .. });
    let of_kind = |held: &&PolicyRef| {
        dialect == Dialect::Aws || matches!(held, PolicyRef::System { .. }) == is_system
    };
    let limit = limits::attached_policies(dialect, is_system);
    if grants.attached.keys().filter(of_kind).count() >= limit {
        return Err(Error::QuotaExceeded(holder.quota(), limit));
    }
    grants.attached.insert(found, tx.now());
    Ok(())
}

/// Detaches a policy.
///
/// Errors: `NoSuchEntity` for a policy that is not there, or not attached.
pub fn detach(
    tx: &Tx<'_>,
    account: &AccountId,
    holder: Holder,
    grants: &mut Grants,
    policy: &PolicyTarget,
) -> Result<(), Error> {
    let found = find_usable(tx, account, policy)?;
    match grants.attached.remove(&found) {
        Some(_) => Ok(()),
        None => Err(Error::NoSuchEntity(holder.attachment(policy))),
    }
}

/// Attached policies as they are shown, in the order of their names.
pub fn shown(tx: &Tx<'_>, account: &AccountId, grants: &Grants) -> Vec<AttachedView> {
    let attached = grants.attached.iter();
    let mut shown: Vec<_> =
        attached.filter_map(|(policy, at)| view(tx, account, policy, *at)).collect();
    shown.sort_by(|a, b| a.arn.cmp(&b.arn));
    shown
}

/// The one policy of a service-linked role, as it is shown.
pub fn shown_of_linked(tx: &Tx<'_>, role: &Role, template: &TemplateRef) -> Vec<AttachedView> {
    let policy = tx.state().template(&template.principal).and_then(|(_, found)| {
        let path = Path::parse(linked::RESERVED_PATH).ok()?;
        Some(PolicyRef::System { path, name: found.policy.clone() })
    });
    policy.and_then(|p| view(tx, &role.account, &p, role.created_ms)).into_iter().collect()
}

fn view(
    tx: &Tx<'_>,
    account: &AccountId,
    policy: &PolicyRef,
    attached_ms: i64,
) -> Option<AttachedView> {
    let arn = arn_of(tx, account, policy);
    match policy {
        PolicyRef::Customer(id) => {
            let row = tx.state().policy_by_id(id)?;
            Some(AttachedView {
                arn,
                name: row.name.clone(),
                path: row.path.clone(),
                is_system: false,
                description: row.description.clone(),
                default_version: row.default_version,
                attached_ms,
            })
        }
        PolicyRef::System { path, name } => {
            let dialect = tx.dialect(account).ok()?;
            let ours = offered::system_policy(tx.state(), dialect, path, name);
            let template = crate::managed_policy::linked_template(tx, dialect, policy);
            Some(AttachedView {
                arn,
                name: name.clone(),
                path: path.clone(),
                is_system: true,
                description: ours.as_ref().and_then(|p| Description::parse(p.description).ok()),
                default_version: template
                    .map(|t| t.version)
                    .or(ours.map(|p| p.version))
                    .unwrap_or(1),
                attached_ms,
            })
        }
    }
}

/// A page of attached policies, of those whose path begins with a prefix.
///
/// Errors: `InvalidMarker`.
pub fn page(
    tx: &Tx<'_>,
    account: &AccountId,
    place: &[&str],
    paging: &Paging,
    prefix: &str,
    attached: Vec<AttachedView>,
) -> Result<Output, Error> {
    let wanted = attached.into_iter().filter(|view| view.path.as_str().starts_with(prefix));
    let key = |view: &AttachedView| view.arn.clone();
    Ok(Output::Attached(listing::cut(tx, account, place, paging, wanted, key, |view| view)?))
}

/// All attachments of an account that a filter wants, by holder and policy.
///
/// Errors: `InvalidMarker`.
pub fn list(
    tx: &Tx<'_>,
    account: &AccountId,
    wanted: &AttachmentFilter,
    paging: &Paging,
) -> Result<Output, Error> {
    let state = tx.state();
    let mut found: Vec<AttachmentView> = Vec::new();
    let mut take = |entity: EntityRef, holder: &str, policies: &dyn Fn() -> Vec<AttachedView>| {
        if wanted.holder.as_ref().is_some_and(|holder| !holder.fits(&entity)) {
            return;
        }
        let fits = |policy: &AttachedView| {
            wanted.policy.as_ref().is_none_or(|name| name.folded() == policy.name.folded())
                && wanted.is_system.is_none_or(|is_system| is_system == policy.is_system)
        };
        found.extend(policies().into_iter().filter(fits).map(|policy| AttachmentView {
            entity: entity.clone(),
            holder: holder.to_owned(),
            policy,
        }));
    };
    for user in state.users_of(account, None) {
        let entity = EntityRef::User(account.clone(), user.name.folded());
        take(entity, user.name.as_str(), &|| shown(tx, account, &user.grants));
    }
    for group in state.groups_of_account(account, None) {
        let entity = EntityRef::Group(account.clone(), group.name.folded());
        take(entity, group.name.as_str(), &|| shown(tx, account, &group.grants));
    }
    for role in state.roles_of(account, None) {
        let entity = EntityRef::Role(account.clone(), role.name.folded());
        take(entity, role.name.as_str(), &|| match &role.kind {
            RoleKind::Own(own) => shown(tx, account, &own.grants),
            RoleKind::Linked(linked) => shown_of_linked(tx, role, &linked.template),
        });
    }
    let place = format!("{wanted:?}");
    let place = ["ListPolicyAttachments", place.as_str()];
    let key = |view: &AttachmentView| format!("{:?} {}", view.entity, view.policy.arn);
    let page = listing::cut(tx, account, &place, paging, found.into_iter(), key, |view| view)?;
    Ok(Output::Attachments(page))
}
