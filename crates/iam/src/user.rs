//! Users and their permissions.

use crate::attachment::Holder;
use crate::caller::{Identity, IdentityKind};
use crate::command::*;
use crate::error::{Conflict, Entity, Error, Quota};
use crate::output::*;
use crate::rows::*;
use crate::tagging::tag_list;
use crate::text::*;
use crate::tx::{Class, Tx};
use crate::{access_key, attachment, limits, listing, managed_policy};
use std::sync::Arc;

/// Runs the operations on users.
pub fn run(
    tx: &mut Tx<'_>,
    me: &Identity,
    account: &AccountId,
    command: &Command,
) -> Result<Output, Error> {
    use Command as C;
    match command {
        C::CreateUser { user, path, boundary, tags, profile } => {
            let boundary = boundary
                .as_ref()
                .map(|b| managed_policy::find_boundary(tx, account, b))
                .transpose()?;
            create(tx, account, user, path, boundary, tag_list(tx, account, tags)?, profile.clone())
        }
        C::GetUser { user: Some(user) } => {
            let found = find(tx, account, user)?;
            Ok(Output::User(view(tx, &found)))
        }
        C::GetUser { user: None } => own(tx, me, account),
        C::ListUsers { prefix, paging } => {
            let place = ["ListUsers", prefix.as_str()];
            let after = listing::after_name(tx, account, &place, paging)?;
            let found = tx
                .state()
                .users_of(account, after.as_ref())
                .filter(|u| u.path.as_str().starts_with(prefix.as_str()));
            let key = |u: &&Arc<User>| u.name.folded().as_str().to_owned();
            let page = listing::cut(tx, account, &place, paging, found, key, |u| view(tx, u))?;
            Ok(Output::Users(page))
        }
        C::UpdateUser { user, new_name, new_path, profile } => {
            update(tx, account, user, new_name.as_ref(), new_path.as_ref(), profile)
        }
        C::DeleteUser { user } => delete(tx, account, user),
        C::PutUserPolicy { user, name, document } => {
            let mut row = (*find(tx, account, user)?).clone();
            row.grants.inline.insert(name.clone(), document.clone());
            let size: usize = row.grants.inline.values().map(|p| p.document().size()).sum();
            if size > limits::USER_INLINE_SIZE {
                return Err(Error::QuotaExceeded(Quota::UserInlineSize, limits::USER_INLINE_SIZE));
            }
            tx.put(Row::User(row));
            Ok(Output::Done)
        }
        C::GetUserPolicy { user, name } => {
            let row = find(tx, account, user)?;
            let (name, document) = row
                .grants
                .inline
                .get_key_value(name)
                .ok_or_else(|| Error::NoSuchEntity(Entity::UserPolicy(name.to_string())))?;
            Ok(Output::Inline {
                owner: row.name.to_string(),
                name: name.clone(),
                document: document.text().to_owned(),
            })
        }
        C::ListUserPolicies { user, paging } => {
            let row = find(tx, account, user)?;
            let place = ["ListUserPolicies", row.id.as_str()];
            let names = row.grants.inline.keys().cloned();
            let key = |name: &PolicyName| name.to_string();
            let page = listing::cut(tx, account, &place, paging, names, key, |name| name)?;
            Ok(Output::Names(page))
        }
        C::DeleteUserPolicy { user, name } => {
            let mut row = (*find(tx, account, user)?).clone();
            let gone = row.grants.inline.remove(name);
            gone.ok_or_else(|| Error::NoSuchEntity(Entity::UserPolicy(name.to_string())))?;
            tx.put(Row::User(row));
            Ok(Output::Done)
        }
        C::AttachUserPolicy { user, policy } => {
            let mut row = (*find(tx, account, user)?).clone();
            attachment::attach(tx, account, Holder::User, &mut row.grants, policy)?;
            tx.put(Row::User(row));
            Ok(Output::Done)
        }
        C::DetachUserPolicy { user, policy } => {
            let mut row = (*find(tx, account, user)?).clone();
            attachment::detach(tx, account, Holder::User, &mut row.grants, policy)?;
            tx.put(Row::User(row));
            Ok(Output::Done)
        }
        C::ListAttachedUserPolicies { user, prefix, paging } => {
            let row = find(tx, account, user)?;
            let place = ["ListAttachedUserPolicies", row.id.as_str(), prefix.as_str()];
            let attached = attachment::shown(tx, account, &row.grants);
            attachment::page(tx, account, &place, paging, prefix, attached)
        }
        _ => Err(Error::Internal("not an operation on users")),
    }
}

fn create(
    tx: &mut Tx<'_>,
    account: &AccountId,
    user: &UserName,
    path: &Path,
    boundary: Option<PolicyRef>,
    tags: Tags,
    profile: Profile,
) -> Result<Output, Error> {
    if tx.state().user(account, &user.folded()).is_some() {
        return Err(Error::AlreadyExists(Entity::User(user.to_string())));
    }
    let quota = usize::try_from(limits::USERS_PER_ACCOUNT).unwrap_or(usize::MAX);
    if tx.state().users_of(account, None).count() >= quota {
        return Err(Error::QuotaExceeded(Quota::Users, quota));
    }
    let id = tx.new_id(account, Class::User)?;
    let row = User {
        account: account.clone(),
        id,
        name: user.clone(),
        path: path.clone(),
        created_ms: tx.now(),
        updated_ms: 0,
        profile,
        tags,
        grants: Grants { boundary, ..Grants::default() },
    };
    tx.note("userId", row.id.to_string());
    tx.put(Row::User(row.clone()));
    Ok(Output::User(view(tx, &Arc::new(row))))
}

fn update(
    tx: &mut Tx<'_>,
    account: &AccountId,
    user: &UserName,
    new_name: Option<&UserName>,
    new_path: Option<&Path>,
    profile: &Profile,
) -> Result<Output, Error> {
    let old = find(tx, account, user)?;
    let mut row = (*old).clone();
    if let Some(name) = new_name {
        let other = tx.state().user(account, &name.folded());
        if other.is_some_and(|other| other.id != old.id) {
            return Err(Error::AlreadyExists(Entity::User(name.to_string())));
        }
        row.name = name.clone();
    }
    if let Some(path) = new_path {
        row.path = path.clone();
    }
    row.profile.update(profile);
    row.updated_ms = tx.now();
    tx.delete(Key::User(account.clone(), old.name.folded()));
    tx.put(Row::User(row.clone()));
    Ok(Output::User(view(tx, &Arc::new(row))))
}

fn delete(tx: &mut Tx<'_>, account: &AccountId, user: &UserName) -> Result<Output, Error> {
    let row = find(tx, account, user)?;
    if let Some(conflict) = access_key::blocks_deletion(tx, &row) {
        return Err(conflict);
    }
    if !row.grants.attached.is_empty() {
        return Err(Error::DeleteConflict(Conflict::AttachedPolicies));
    }
    if !row.grants.inline.is_empty() {
        return Err(Error::DeleteConflict(Conflict::InlinePolicies));
    }
    if tx.state().groups_of(&row.id).next().is_some() {
        return Err(Error::DeleteConflict(Conflict::Groups));
    }
    crate::access::forget(tx, row.id.as_str());
    tx.delete(Key::User(account.clone(), row.name.folded()));
    Ok(Output::Done)
}

/// A user by name. Errors: `NoSuchEntity`.
pub fn find(tx: &Tx<'_>, account: &AccountId, user: &UserName) -> Result<Arc<User>, Error> {
    tx.state().user(account, &user.folded()).cloned().ok_or_else(|| Error::no_user(user))
}

/// A user as it is shown.
pub fn view(tx: &Tx<'_>, user: &Arc<User>) -> UserView {
    let boundary = user.grants.boundary.as_ref();
    UserView {
        account: user.account.clone(),
        arn: tx.user_arn(user),
        boundary: boundary.map(|b| managed_policy::arn_of(tx, &user.account, b)),
        created_ms: user.created_ms,
        user: Some(user.clone()),
    }
}

/// The caller itself.
fn own(tx: &Tx<'_>, me: &Identity, account: &AccountId) -> Result<Output, Error> {
    match &me.kind {
        IdentityKind::User(user) => Ok(Output::User(view(tx, user))),
        IdentityKind::Root => Ok(Output::User(UserView {
            user: None,
            account: account.clone(),
            arn: me.name(),
            boundary: None,
            created_ms: tx.state().account(account).map_or(0, |a| a.created_ms),
        })),
        _ => Err(Error::Invalid {
            field: "userName",
            message: "Must specify userName when calling with non-User credentials".into(),
        }),
    }
}
