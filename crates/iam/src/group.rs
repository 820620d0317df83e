//! Groups of users: who is in them, and the permissions that all who are in them have.

use crate::attachment::{self, Holder};
use crate::command::*;
use crate::error::{Conflict, Entity, Error, Quota};
use crate::output::*;
use crate::rows::*;
use crate::text::*;
use crate::tx::{Class, Tx};
use crate::{limits, listing, user};
use policy::name;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs the operations on groups.
pub fn run(tx: &mut Tx<'_>, account: &AccountId, command: &Command) -> Result<Output, Error> {
    use Command as C;
    match command {
        C::CreateGroup { group, path, comments } => {
            create(tx, account, group, path, comments.clone())
        }
        C::GetGroup { group, paging } | C::ListUsersForGroup { group, paging } => {
            members(tx, account, group, paging)
        }
        C::ListGroups { prefix, paging } => {
            let place = ["ListGroups", prefix.as_str()];
            let after = listing::after_name(tx, account, &place, paging)?;
            let all = tx.state().groups_of_account(account, after.as_ref());
            let found = all.filter(|g| g.path.as_str().starts_with(prefix.as_str()));
            let key = |g: &&Arc<Group>| g.name.folded().as_str().to_owned();
            let page = listing::cut(tx, account, &place, paging, found, key, |g| view(tx, g, 0))?;
            Ok(Output::Groups(page))
        }
        C::UpdateGroup { group, new_name, new_path, comments } => {
            update(tx, account, group, new_name.as_ref(), new_path.as_ref(), comments.as_ref())
        }
        C::DeleteGroup { group } => delete(tx, account, group),
        C::AddUserToGroup { group, user } => add(tx, account, group, user),
        C::RemoveUserFromGroup { group, user } => {
            let mut row = (*find(tx, account, group)?).clone();
            let who = user::find(tx, account, user)?;
            if row.members.remove(&who.id).is_none() {
                return Err(Error::NoSuchEntity(Entity::Membership(group.to_string())));
            }
            tx.put(Row::Group(row));
            Ok(Output::Done)
        }
        C::ListGroupsForUser { user, paging } => {
            let who = user::find(tx, account, user)?;
            let place = ["ListGroupsForUser", who.id.as_str()];
            let found = tx.state().groups_of(&who.id);
            let key = |g: &&Arc<Group>| g.name.folded().as_str().to_owned();
            let joined = |g: &Group| g.members.get(&who.id).copied().unwrap_or(0);
            let page =
                listing::cut(tx, account, &place, paging, found, key, |g| view(tx, g, joined(g)))?;
            Ok(Output::Groups(page))
        }
        other => permissions(tx, account, other),
    }
}

fn permissions(tx: &mut Tx<'_>, account: &AccountId, command: &Command) -> Result<Output, Error> {
    use Command as C;
    let no_inline = |name: &PolicyName| Error::NoSuchEntity(Entity::GroupPolicy(name.to_string()));
    match command {
        C::AttachGroupPolicy { group, policy } => {
            let mut row = (*find(tx, account, group)?).clone();
            attachment::attach(tx, account, Holder::Group, &mut row.grants, policy)?;
            tx.put(Row::Group(row));
            Ok(Output::Done)
        }
        C::DetachGroupPolicy { group, policy } => {
            let mut row = (*find(tx, account, group)?).clone();
            attachment::detach(tx, account, Holder::Group, &mut row.grants, policy)?;
            tx.put(Row::Group(row));
            Ok(Output::Done)
        }
        C::ListAttachedGroupPolicies { group, prefix, paging } => {
            let row = find(tx, account, group)?;
            let place = ["ListAttachedGroupPolicies", row.id.as_str(), prefix.as_str()];
            let attached = attachment::shown(tx, account, &row.grants);
            attachment::page(tx, account, &place, paging, prefix, attached)
        }
        C::PutGroupPolicy { group, name, document } => {
            let mut row = (*find(tx, account, group)?).clone();
            row.grants.inline.insert(name.clone(), document.clone());
            let size: usize = row.grants.inline.values().map(|p| p.document().size()).sum();
            if size > limits::GROUP_INLINE_SIZE {
                return Err(Error::QuotaExceeded(
                    Quota::GroupInlineSize,
                    limits::GROUP_INLINE_SIZE,
                ));
            }
            tx.put(Row::Group(row));
            Ok(Output::Done)
        }
        C::GetGroupPolicy { group, name } => {
            let row = find(tx, account, group)?;
            let found = row.grants.inline.get_key_value(name);
            let (name, document) = found.ok_or_else(|| no_inline(name))?;
            Ok(Output::Inline {
                owner: row.name.to_string(),
                name: name.clone(),
                document: document.text().to_owned(),
            })
        }
        C::ListGroupPolicies { group, paging } => {
            let row = find(tx, account, group)?;
            let place = ["ListGroupPolicies", row.id.as_str()];
            let names = row.grants.inline.keys().cloned();
            let key = |name: &PolicyName| name.to_string();
            let page = listing::cut(tx, account, &place, paging, names, key, |name| name)?;
            Ok(Output::Names(page))
        }
        C::DeleteGroupPolicy { group, name } => {
            let mut row = (*find(tx, account, group)?).clone();
            row.grants.inline.remove(name).ok_or_else(|| no_inline(name))?;
            tx.put(Row::Group(row));
            Ok(Output::Done)
        }
        _ => Err(Error::Internal("not an operation on groups")),
    }
}

fn create(
    tx: &mut Tx<'_>,
    account: &AccountId,
    group: &GroupName,
    path: &Path,
    comments: Option<Note>,
) -> Result<Output, Error> {
    if tx.state().group(account, &group.folded()).is_some() {
        return Err(Error::AlreadyExists(Entity::Group(group.to_string())));
    }
    if tx.state().groups_of_account(account, None).count() >= limits::GROUPS_PER_ACCOUNT {
        return Err(Error::QuotaExceeded(Quota::Groups, limits::GROUPS_PER_ACCOUNT));
    }
    let row = Group {
        account: account.clone(),
        id: tx.new_id(account, Class::Group)?,
        name: group.clone(),
        path: path.clone(),
        created_ms: tx.now(),
        updated_ms: 0,
        comments,
        members: BTreeMap::new(),
        grants: Grants::default(),
    };
    tx.note("groupId", row.id.to_string());
    tx.put(Row::Group(row.clone()));
    Ok(Output::Group(view(tx, &row, 0)))
}

fn members(
    tx: &Tx<'_>,
    account: &AccountId,
    group: &GroupName,
    paging: &Paging,
) -> Result<Output, Error> {
    let row = find(tx, account, group)?;
    let place = ["GetGroup", row.id.as_str()];
    let known = row.members.iter();
    let mut found: Vec<(Arc<User>, i64)> = known
        .filter_map(|(id, joined_ms)| Some((tx.state().user_by_id(id)?.clone(), *joined_ms)))
        .collect();
    found.sort_by_key(|(user, _)| user.name.folded());
    let key = |(user, _): &(Arc<User>, i64)| user.name.folded().as_str().to_owned();
    let shown = |(user, joined_ms): (Arc<User>, i64)| (user::view(tx, &user), joined_ms);
    let users = listing::cut(tx, account, &place, paging, found.into_iter(), key, shown)?;
    Ok(Output::Members { group: view(tx, &row, 0), users })
}

fn update(
    tx: &mut Tx<'_>,
    account: &AccountId,
    group: &GroupName,
    new_name: Option<&GroupName>,
    new_path: Option<&Path>,
    comments: Option<&Note>,
) -> Result<Output, Error> {
    let old = find(tx, account, group)?;
    let mut row = (*old).clone();
    if let Some(name) = new_name {
        let other = tx.state().group(account, &name.folded());
        if other.is_some_and(|other| other.id != old.id) {
            return Err(Error::AlreadyExists(Entity::Group(name.to_string())));
        }
        row.name = name.clone();
    }
    if let Some(path) = new_path {
        row.path = path.clone();
    }
    if comments.is_some() {
        row.comments = comments.cloned();
    }
    row.updated_ms = tx.now();
    tx.delete(Key::Group(account.clone(), old.name.folded()));
    tx.put(Row::Group(row.clone()));
    Ok(Output::Group(view(tx, &row, 0)))
}

fn delete(tx: &mut Tx<'_>, account: &AccountId, group: &GroupName) -> Result<Output, Error> {
    let row = find(tx, account, group)?;
    if !row.members.is_empty() {
        return Err(Error::DeleteConflict(Conflict::Members));
    }
    if !row.grants.attached.is_empty() {
        return Err(Error::DeleteConflict(Conflict::AttachedPolicies));
    }
    if !row.grants.inline.is_empty() {
        return Err(Error::DeleteConflict(Conflict::InlinePolicies));
    }
    tx.delete(Key::Group(account.clone(), row.name.folded()));
    Ok(Output::Done)
}

/// Puts a user into a group. Doing so again does nothing in the AWS dialect and is refused in
/// Alibaba's, as the vendors do. [src: ALIBABA.md 13]
fn add(
    tx: &mut Tx<'_>,
    account: &AccountId,
    group: &GroupName,
    user: &UserName,
) -> Result<Output, Error> {
    let mut row = (*find(tx, account, group)?).clone();
    let who = user::find(tx, account, user)?;
    if row.members.contains_key(&who.id) {
        return match tx.dialect(account)? {
            policy::Dialect::Aws => Ok(Output::Done),
            policy::Dialect::Alibaba => {
                Err(Error::AlreadyExists(Entity::Membership(group.to_string())))
            }
        };
    }
    if tx.state().groups_of(&who.id).count() >= limits::GROUPS_PER_USER {
        return Err(Error::QuotaExceeded(Quota::GroupsPerUser, limits::GROUPS_PER_USER));
    }
    row.members.insert(who.id.clone(), tx.now());
    tx.put(Row::Group(row));
    Ok(Output::Done)
}

fn find(tx: &Tx<'_>, account: &AccountId, group: &GroupName) -> Result<Arc<Group>, Error> {
    let missing = || Error::NoSuchEntity(Entity::Group(group.to_string()));
    tx.state().group(account, &group.folded()).cloned().ok_or_else(missing)
}

/// A group as it is shown; `joined_ms` is when the user who is asked about came into it.
pub fn view(tx: &Tx<'_>, group: &Group, joined_ms: i64) -> GroupView {
    let dialect = tx.dialect(&group.account).unwrap_or_default();
    let account = group.account.as_str();
    GroupView {
        arn: name::group(dialect, account, group.path.as_str(), group.name.as_str()),
        id: group.id.clone(),
        name: group.name.clone(),
        path: group.path.clone(),
        comments: group.comments.clone(),
        created_ms: group.created_ms,
        updated_ms: group.updated_ms,
        joined_ms,
    }
}
