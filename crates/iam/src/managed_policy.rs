//! Managed policies: an account's own with their versions, and those that every account has, which none can change.

use crate::command::*;
use crate::error::{Conflict, Entity, Error, Quota};
use crate::output::*;
use crate::rows::*;
use crate::state::{EntityRef, Link};
use crate::tagging::{self, tag_list};
use crate::text::*;
use crate::tx::{Class, Tx};
use crate::{limits, linked, listing, offered};
use policy::{Dialect, name};
use std::collections::BTreeMap;

/// Runs the operations on managed policies.
pub fn run(tx: &mut Tx<'_>, account: &AccountId, command: &Command) -> Result<Output, Error> {
    use Command as C;
    match command {
        C::CreatePolicy { name, path, document, description, tags } => create(
            tx,
            account,
            name,
            path,
            document,
            description.clone(),
            tag_list(tx, account, tags)?,
        ),
        C::GetPolicy { policy } => {
            let found = find_usable(tx, account, policy)?;
            let default = versions(tx, account, &found).into_iter().find(|v| v.is_default);
            Ok(Output::Policy(PolicyView { default, ..view(tx, account, &found)? }))
        }
        C::GetPolicyVersion { policy, version } => {
            let found = find_usable(tx, account, policy)?;
            let versions = versions(tx, account, &found);
            let missing = || no_version(policy, *version);
            let version =
                versions.into_iter().find(|v| v.number == *version).ok_or_else(missing)?;
            Ok(Output::Version(version))
        }
        C::ListPolicyVersions { policy, paging } => {
            let found = find_usable(tx, account, policy)?;
            let place = ["ListPolicyVersions", policy.text.as_str()];
            let mut all = versions(tx, account, &found);
            all.reverse();
            // Newest first: the key counts down so that pages follow one another.
            let key = |v: &VersionView| format!("{:010}", u32::MAX - v.number);
            let page = listing::cut(tx, account, &place, paging, all.into_iter(), key, |v| v)?;
            Ok(Output::Versions(page))
        }
        C::ListPolicies { scope, attached_only, prefix, with, paging } => {
            list(tx, account, *scope, *attached_only, prefix, with, paging)
        }
        C::UpdatePolicyDescription { policy, description } => {
            let mut row = customer(tx, account, policy)?;
            row.description = Some(description.clone());
            row.updated_ms = tx.now();
            tx.put(Row::Policy(row));
            view(tx, account, &find_usable(tx, account, policy)?).map(Output::Policy)
        }
        C::CreatePolicyVersion { policy, document, set_default, rotate } => {
            let mut row = customer(tx, account, policy)?;
            let in_force = row.default_version;
            let oldest = row.versions.keys().find(|number| **number != in_force).copied();
            if *rotate
                && row.versions.len() >= limits::VERSIONS_PER_POLICY
                && let Some(oldest) = oldest
            {
                row.versions.remove(&oldest);
            }
            if row.versions.len() >= limits::VERSIONS_PER_POLICY {
                return Err(Error::QuotaExceeded(
                    Quota::PolicyVersions,
                    limits::VERSIONS_PER_POLICY,
                ));
            }
            check_size(document)?;
            let number = row.next_version;
            let now = tx.now();
            row.versions
                .insert(number, PolicyVersion { document: document.clone(), created_ms: now });
            row.next_version = number.saturating_add(1);
            if *set_default {
                row.default_version = number;
            }
            row.updated_ms = now;
            let is_default = row.default_version == number;
            tx.put(Row::Policy(row));
            Ok(Output::Version(VersionView {
                number,
                document: document.text().to_owned(),
                is_default,
                created_ms: now,
            }))
        }
        C::SetDefaultPolicyVersion { policy, version } => {
            let mut row = customer(tx, account, policy)?;
            if !row.versions.contains_key(version) {
                return Err(no_version(policy, *version));
            }
            row.default_version = *version;
            row.updated_ms = tx.now();
            tx.put(Row::Policy(row));
            Ok(Output::Done)
        }
        C::DeletePolicyVersion { policy, version } => {
            let mut row = customer(tx, account, policy)?;
            if row.default_version == *version {
                return Err(Error::DeleteConflict(Conflict::DefaultVersion));
            }
            row.versions.remove(version).ok_or_else(|| no_version(policy, *version))?;
            row.updated_ms = tx.now();
            tx.put(Row::Policy(row));
            Ok(Output::Done)
        }
        C::DeletePolicy { policy, cascade } => {
            let row = customer(tx, account, policy)?;
            if *cascade {
                detach_everywhere(tx, &PolicyRef::Customer(row.id.clone()));
            }
            let reference = PolicyRef::Customer(row.id.clone());
            let holder = tx.state().links_of(&reference).next().map(|(entity, _)| entity);
            match holder {
                Some(EntityRef::User(..)) => {
                    return Err(Error::DeleteConflict(Conflict::AttachedToUser));
                }
                Some(EntityRef::Group(..)) => {
                    return Err(Error::DeleteConflict(Conflict::AttachedToGroup));
                }
                Some(EntityRef::Role(..)) => {
                    return Err(Error::DeleteConflict(Conflict::AttachedToRole));
                }
                None => {}
            }
            if row.versions.len() > 1 && !*cascade {
                return Err(Error::DeleteConflict(Conflict::OtherVersions));
            }
            tx.delete(Key::Policy(account.clone(), row.name.folded()));
            Ok(Output::Done)
        }
        C::ListEntitiesForPolicy { policy, filter, usage, prefix, paging } => {
            referrers(tx, account, policy, *filter, *usage, prefix, paging)
        }
        _ => Err(Error::Internal("not an operation on policies")),
    }
}

fn create(
    tx: &mut Tx<'_>,
    account: &AccountId,
    name: &PolicyName,
    path: &Path,
    document: &PermissionsPolicy,
    description: Option<Description>,
    tags: Tags,
) -> Result<Output, Error> {
    if path.as_str().starts_with(linked::RESERVED_PATH) {
        return Err(Error::ReservedPath);
    }
    if tx.state().policy(account, &name.folded()).is_some() {
        return Err(Error::AlreadyExists(Entity::Policy(name.to_string())));
    }
    let quota = usize::try_from(limits::POLICIES_PER_ACCOUNT).unwrap_or(usize::MAX);
    if tx.state().policies_of(account, None).count() >= quota {
        return Err(Error::QuotaExceeded(Quota::Policies, quota));
    }
    check_size(document)?;
    let id: PolicyId = tx.new_id(account, Class::Policy)?;
    let now = tx.now();
    let first = PolicyVersion { document: document.clone(), created_ms: now };
    let row = ManagedPolicy {
        account: account.clone(),
        id: id.clone(),
        name: name.clone(),
        path: path.clone(),
        description,
        tags,
        created_ms: now,
        updated_ms: now,
        versions: BTreeMap::from([(1, first)]),
        default_version: 1,
        next_version: 2,
    };
    tx.note("policyId", id.to_string());
    tx.put(Row::Policy(row));
    view(tx, account, &PolicyRef::Customer(id)).map(Output::Policy)
}

/// Detaches a policy from all that it is attached to; what it bounds stays bound.
fn detach_everywhere(tx: &mut Tx<'_>, policy: &PolicyRef) {
    let attached = tx.state().links_of(policy).filter(|(_, link)| *link == Link::Attached);
    let holders: Vec<EntityRef> = attached.map(|(entity, _)| entity.clone()).collect();
    for holder in holders {
        match &holder {
            EntityRef::User(account, name) => {
                if let Some(mut row) = tx.state().user(account, name).map(|u| (**u).clone()) {
                    row.grants.attached.remove(policy);
                    tx.put(Row::User(row));
                }
            }
            EntityRef::Group(account, name) => {
                if let Some(mut row) = tx.state().group(account, name).map(|g| (**g).clone()) {
                    row.grants.attached.remove(policy);
                    tx.put(Row::Group(row));
                }
            }
            EntityRef::Role(account, name) => {
                let row = tx.state().role(account, name).map(|r| (**r).clone());
                if let Some(mut row) = row
                    && let RoleKind::Own(own) = &mut row.kind
                {
                    own.grants.attached.remove(policy);
                    tx.put(Row::Role(row));
                }
            }
        }
    }
}

fn check_size(document: &PermissionsPolicy) -> Result<(), Error> {
    if document.document().size() > limits::MANAGED_POLICY_SIZE {
        return Err(Error::QuotaExceeded(Quota::PolicySize, limits::MANAGED_POLICY_SIZE));
    }
    Ok(())
}

fn no_version(policy: &PolicyTarget, version: u32) -> Error {
    Error::NoSuchEntity(Entity::PolicyVersion(policy.text.clone(), version))
}

/// The policy that a caller of this account names. A name is matched ignoring case; path and owner are exact.
///
/// Errors: `NoSuchEntity`.
pub fn find(tx: &Tx<'_>, account: &AccountId, target: &PolicyTarget) -> Result<PolicyRef, Error> {
    let missing = || Error::NoSuchEntity(Entity::Policy(target.text.clone()));
    let owner = match &target.owner {
        PolicyOwner::Own => Some(account),
        PolicyOwner::Account(owner) => Some(owner),
        PolicyOwner::System => None,
    };
    match owner {
        Some(owner) => {
            let row = tx.state().policy(owner, &target.name.folded()).ok_or_else(missing)?;
            if row.path != target.path {
                return Err(missing());
            }
            Ok(PolicyRef::Customer(row.id.clone()))
        }
        None => {
            // The stored spelling, never the caller's: conditions on the ARN are exact.
            let dialect = tx.dialect(account)?;
            // Where names have no paths, a name alone says which.
            let path = match dialect {
                Dialect::Aws => Some(&target.path),
                Dialect::Alibaba => None,
            };
            let root = Path::root();
            let ours =
                offered::system_policy(tx.state(), dialect, path.unwrap_or(&root), &target.name)
                    .map(|p| PolicyRef::System { path: root, name: p.name.clone() });
            let stored = ours.or_else(|| {
                let path = Path::parse(linked::RESERVED_PATH).ok()?;
                let asked = PolicyRef::System { path: path.clone(), name: target.name.clone() };
                let found = linked_template(tx, dialect, &asked)?;
                (dialect == Dialect::Alibaba || target.path == path)
                    .then(|| PolicyRef::System { path, name: found.policy.clone() })
            });
            stored.ok_or_else(missing)
        }
    }
}

/// The policy that a principal of this account names: the account's own or one of linkrole's.
/// One of another account is missing.
///
/// Errors: `NoSuchEntity`.
pub fn find_usable(
    tx: &Tx<'_>,
    account: &AccountId,
    target: &PolicyTarget,
) -> Result<PolicyRef, Error> {
    let found = find(tx, account, target)?;
    own_account(tx, account, &found, target)?;
    Ok(found)
}

/// A policy that can be attached to a user or an ordinary role of this account.
///
/// Errors: `NoSuchEntity`; `PolicyNotAttachable` for a service-linked role's.
pub fn find_attachable(
    tx: &Tx<'_>,
    account: &AccountId,
    target: &PolicyTarget,
) -> Result<PolicyRef, Error> {
    let found = find_usable(tx, account, target)
        .map_err(|_| Error::NoSuchEntity(Entity::Attachable(target.text.clone())))?;
    if is_linked(&found) {
        return Err(Error::PolicyNotAttachable);
    }
    Ok(found)
}

/// A policy that can bound a user or an ordinary role.
///
/// Errors: as [`find_attachable`].
pub fn find_boundary(
    tx: &Tx<'_>,
    account: &AccountId,
    target: &PolicyTarget,
) -> Result<PolicyRef, Error> {
    find_attachable(tx, account, target)
}

fn is_linked(policy: &PolicyRef) -> bool {
    matches!(policy, PolicyRef::System { path, .. } if path.as_str().starts_with(linked::RESERVED_PATH))
}

/// The template whose permissions a system policy shows.
pub fn linked_template<'a>(
    tx: &'a Tx<'_>,
    dialect: Dialect,
    policy: &PolicyRef,
) -> Option<&'a Template> {
    let PolicyRef::System { path, name } = policy else { return None };
    if path.as_str() != linked::RESERVED_PATH {
        return None;
    }
    tx.state().template_of_policy(dialect, &name.folded()).map(|(_, template)| template)
}

/// A customer policy of this account, to be altered. A policy of another account is missing, and
/// linkrole's own cannot be altered by anyone.
pub fn customer(
    tx: &Tx<'_>,
    account: &AccountId,
    target: &PolicyTarget,
) -> Result<ManagedPolicy, Error> {
    let missing = || Error::NoSuchEntity(Entity::Policy(target.text.clone()));
    match find(tx, account, target)? {
        PolicyRef::Customer(id) => {
            let row = tx.state().policy_by_id(&id).filter(|row| row.account == *account);
            row.map(|row| (**row).clone()).ok_or_else(missing)
        }
        PolicyRef::System { .. } => Err(Error::AccessDenied(Box::new(crate::error::Denial {
            principal: account.to_string(),
            action: "a change of this policy".into(),
            resource: Some(target.text.clone()),
            decision: None,
        }))),
    }
}

fn own_account(
    tx: &Tx<'_>,
    account: &AccountId,
    policy: &PolicyRef,
    target: &PolicyTarget,
) -> Result<(), Error> {
    match policy {
        PolicyRef::System { .. } => Ok(()),
        PolicyRef::Customer(id) => match tx.state().policy_by_id(id) {
            Some(row) if row.account == *account => Ok(()),
            _ => Err(Error::NoSuchEntity(Entity::Policy(target.text.clone()))),
        },
    }
}

/// A policy's ARN as an account of this dialect sees it.
pub fn arn_of(tx: &Tx<'_>, account: &AccountId, policy: &PolicyRef) -> String {
    match policy {
        PolicyRef::Customer(id) => {
            tx.state().policy_by_id(id).map_or_else(|| id.to_string(), |row| tx.policy_arn(row))
        }
        PolicyRef::System { path, name } => {
            let dialect = tx.dialect(account).unwrap_or_default();
            name::policy(dialect, name::system_owner(dialect), path.as_str(), name.as_str())
        }
    }
}

fn view(tx: &Tx<'_>, account: &AccountId, policy: &PolicyRef) -> Result<PolicyView, Error> {
    let missing = || Error::Internal("a policy went while it was looked at");
    let count = |link: Link| {
        // Links are counted in this account only: nobody learns of another's.
        let here = |entity: &EntityRef| match entity {
            EntityRef::User(owner, _) | EntityRef::Group(owner, _) | EntityRef::Role(owner, _) => {
                owner == account
            }
        };
        tx.state().links_of(policy).filter(|(e, l)| *l == link && here(e)).count()
    };
    let attachments = count(Link::Attached);
    let boundaries = count(Link::Boundary);
    let arn = arn_of(tx, account, policy);
    let dialect = tx.dialect(account)?;
    match policy {
        PolicyRef::Customer(id) => {
            let row = tx.state().policy_by_id(id).ok_or_else(missing)?;
            Ok(PolicyView {
                arn,
                id: row.id.to_string(),
                name: row.name.clone(),
                path: row.path.clone(),
                description: row.description.clone(),
                tags: row.tags.clone(),
                created_ms: row.created_ms,
                updated_ms: row.updated_ms,
                default_version: row.default_version,
                attachments,
                boundaries,
                attachable: true,
                is_system: false,
                default: None,
            })
        }
        PolicyRef::System { path, name } => {
            let template = linked_template(tx, dialect, policy);
            let ours = offered::system_policy(tx.state(), dialect, path, name);
            let (created_ms, updated_ms) =
                ours.as_ref().map_or((0, 0), |p| (p.created_ms, p.updated_ms));
            let version = template.map(|t| t.version).or(ours.as_ref().map(|p| p.version));
            let (shown, text) = match (template, &ours) {
                (Some(t), _) => (t.policy.clone(), "Used by a service-linked role only."),
                (None, Some(p)) => (p.name.clone(), p.description),
                (None, None) => return Err(missing()),
            };
            let linked = template.map(|t| linked::roles_of(tx, account, &t.principal).count());
            Ok(PolicyView {
                arn,
                id: id_of(&PolicyRef::System { path: path.clone(), name: shown.clone() }),
                name: shown,
                path: path.clone(),
                description: Description::parse(text).ok(),
                tags: Tags::default(),
                created_ms,
                updated_ms,
                default_version: version.unwrap_or(1),
                attachments: linked.unwrap_or(attachments),
                boundaries,
                attachable: template.is_none(),
                is_system: true,
                default: None,
            })
        }
    }
}

/// The unique id of a policy as it is shown.
pub fn id_of(policy: &PolicyRef) -> String {
    match policy {
        PolicyRef::Customer(id) => id.to_string(),
        PolicyRef::System { name, .. } => format!("ANPA{:A<17}", system_id(name.as_str())),
    }
}

/// The policy of this account, or one that it sees, by unique id.
pub fn of_id(tx: &Tx<'_>, account: &AccountId, id: &str) -> Option<PolicyRef> {
    let own = PolicyId::parse(id).ok().and_then(|id| tx.state().policy_by_id(&id));
    if let Some(row) = own.filter(|row| row.account == *account) {
        return Some(PolicyRef::Customer(row.id.clone()));
    }
    let dialect = tx.dialect(account).ok()?;
    let system = |path: Path, name: &PolicyName| PolicyRef::System { path, name: name.clone() };
    let ours = offered::system_policies(tx.state(), dialect).map(|p| system(Path::root(), p.name));
    let path = Path::parse(linked::RESERVED_PATH).ok()?;
    let templates = tx.state().services().flat_map(|service| service.templates.values());
    let mut all = ours.chain(templates.map(|t| system(path.clone(), &t.policy)));
    all.find(|policy| id_of(policy) == id)
}

/// A stable id text for a policy of ours: 17 letters out of its name.
fn system_id(name: &str) -> String {
    let digest = crate::seal::digest(name).to_ascii_uppercase();
    digest.chars().map(|c| if c.is_ascii_digit() { 'A' } else { c }).take(17).collect()
}

fn versions(tx: &Tx<'_>, account: &AccountId, policy: &PolicyRef) -> Vec<VersionView> {
    let dialect = tx.dialect(account).unwrap_or_default();
    match policy {
        PolicyRef::Customer(id) => {
            let rows = tx.state().policy_by_id(id).into_iter();
            rows.flat_map(|row| {
                row.versions.iter().map(|(number, version)| VersionView {
                    number: *number,
                    document: version.document.text().to_owned(),
                    is_default: *number == row.default_version,
                    created_ms: version.created_ms,
                })
            })
            .collect()
        }
        PolicyRef::System { path, name } => {
            let ours = offered::system_policy(tx.state(), dialect, path, name);
            let ours = ours.map(|found| VersionView {
                number: found.version,
                document: found.document.text().to_owned(),
                is_default: true,
                created_ms: found.updated_ms,
            });
            let theirs = linked_template(tx, dialect, policy).into_iter().flat_map(|t| {
                t.versions.iter().filter_map(move |(number, documents)| {
                    Some(VersionView {
                        number: *number,
                        document: documents.of(dialect)?.text().to_owned(),
                        is_default: *number == t.version,
                        created_ms: 0,
                    })
                })
            });
            ours.into_iter().chain(theirs).collect()
        }
    }
}

fn list(
    tx: &Tx<'_>,
    account: &AccountId,
    scope: PolicyScope,
    attached_only: bool,
    prefix: &str,
    with: &[TagFilter],
    paging: &Paging,
) -> Result<Output, Error> {
    let dialect = tx.dialect(account)?;
    let mut all: Vec<(String, PolicyRef)> = Vec::new();
    if scope != PolicyScope::System {
        all.extend(tx.state().policies_of(account, None).map(|row| {
            let key = format!("1{}", row.name.folded().as_str());
            (key, PolicyRef::Customer(row.id.clone()))
        }));
    }
    if scope != PolicyScope::Local {
        let system = |path: &Path, name: &PolicyName| {
            let key = format!("2{}{}", path, name.folded().as_str());
            (key, PolicyRef::System { path: path.clone(), name: name.clone() })
        };
        let root = Path::root();
        all.extend(offered::system_policies(tx.state(), dialect).map(|p| system(&root, p.name)));
        if let Ok(path) = Path::parse(linked::RESERVED_PATH) {
            let templates = tx.state().services().flat_map(|s| s.templates.values());
            let offered = templates.filter(|t| t.is_offered_in(dialect));
            all.extend(offered.map(|t| system(&path, &t.policy)));
        }
    }
    all.sort();
    let views = all
        .into_iter()
        .map(|(key, policy)| view(tx, account, &policy).map(|view| (key, view)))
        .collect::<Result<Vec<_>, _>>()?;
    let wanted = views.into_iter().filter(|(_, view)| {
        view.path.as_str().starts_with(prefix)
            && (!attached_only || view.attachments > 0)
            && tagging::fits(&view.tags, with)
    });
    let scope = format!("{scope:?} {attached_only} {prefix} {with:?}");
    let place = ["ListPolicies", scope.as_str()];
    let page = listing::cut(
        tx,
        account,
        &place,
        paging,
        wanted,
        |(key, _)| key.clone(),
        |(_, view)| view,
    )?;
    Ok(Output::Policies(page))
}

fn referrers(
    tx: &Tx<'_>,
    account: &AccountId,
    target: &PolicyTarget,
    filter: EntityFilter,
    usage: Option<Link>,
    prefix: &str,
    paging: &Paging,
) -> Result<Output, Error> {
    let policy = find_usable(tx, account, target)?;
    let wants = |one: EntityFilter| filter == EntityFilter::All || filter == one;
    let mut found = Vec::new();
    for (entity, link) in tx.state().links_of(&policy) {
        if usage.is_some_and(|wanted| wanted != link) {
            continue;
        }
        let shown = match entity {
            EntityRef::User(owner, name) if owner == account && wants(EntityFilter::Users) => {
                let user = tx.state().user(owner, name);
                user.map(|u| (&u.path, user_referrer(tx, &policy, u)))
            }
            EntityRef::Group(owner, name) if owner == account && wants(EntityFilter::Groups) => {
                let group = tx.state().group(owner, name);
                group.map(|g| (&g.path, group_referrer(tx, &policy, g)))
            }
            EntityRef::Role(owner, name) if owner == account && wants(EntityFilter::Roles) => {
                let role = tx.state().role(owner, name);
                role.map(|r| (&r.path, role_referrer(tx, &policy, r)))
            }
            _ => None,
        };
        if let Some((path, referrer)) = shown
            && path.as_str().starts_with(prefix)
        {
            found.push(referrer);
        }
    }
    if let Some(template) = linked_template(tx, tx.dialect(account)?, &policy)
        && wants(EntityFilter::Roles)
        && usage != Some(Link::Boundary)
    {
        let roles = linked::roles_of(tx, account, &template.principal);
        let wanted = roles.filter(|role| role.path.as_str().starts_with(prefix));
        found.extend(wanted.map(|role| role_referrer(tx, &policy, role)));
    }
    let place_text = format!("{} {filter:?} {usage:?} {prefix}", target.text);
    let place = ["ListEntitiesForPolicy", place_text.as_str()];
    let key = |referrer: &Referrer| match &referrer.entity {
        EntityRef::User(_, name) => format!("1{}", name.as_str()),
        EntityRef::Group(_, name) => format!("2{}", name.as_str()),
        EntityRef::Role(_, name) => format!("3{}", name.as_str()),
    };
    found.sort_by_key(key);
    // Who is bound by what is attached to him too is named once.
    found.dedup_by(|a, b| a.entity == b.entity);
    let page = listing::cut(tx, account, &place, paging, found.into_iter(), key, |item| item)?;
    Ok(Output::Referrers(page))
}

fn user_referrer(tx: &Tx<'_>, policy: &PolicyRef, user: &User) -> Referrer {
    Referrer {
        entity: EntityRef::User(user.account.clone(), user.name.folded()),
        name: user.name.to_string(),
        id: user.id.to_string(),
        arn: tx.user_arn(user),
        note: user.profile.display_name.as_ref().map(ToString::to_string).unwrap_or_default(),
        attached_ms: user.grants.attached.get(policy).copied().unwrap_or(0),
    }
}

fn group_referrer(tx: &Tx<'_>, policy: &PolicyRef, group: &Group) -> Referrer {
    Referrer {
        entity: EntityRef::Group(group.account.clone(), group.name.folded()),
        name: group.name.to_string(),
        id: group.id.to_string(),
        arn: crate::group::view(tx, group, 0).arn,
        note: group.comments.as_ref().map(ToString::to_string).unwrap_or_default(),
        attached_ms: group.grants.attached.get(policy).copied().unwrap_or(0),
    }
}

fn role_referrer(tx: &Tx<'_>, policy: &PolicyRef, role: &Role) -> Referrer {
    let attached_ms = match &role.kind {
        RoleKind::Own(own) => own.grants.attached.get(policy).copied().unwrap_or(0),
        RoleKind::Linked(_) => role.created_ms,
    };
    Referrer {
        entity: EntityRef::Role(role.account.clone(), role.name.folded()),
        name: role.name.to_string(),
        id: role.id.to_string(),
        arn: tx.role_arn(role),
        note: role.description.as_ref().map(ToString::to_string).unwrap_or_default(),
        attached_ms,
    }
}
