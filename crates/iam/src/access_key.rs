//! Access keys: made with a secret that is shown once and kept sealed.

use crate::caller::{Identity, IdentityKind};
use crate::command::Command as C;
use crate::error::{Conflict, Entity, Error, Quota};
use crate::output::{Output, Page};
use crate::rows::*;
use crate::seal::Secret;
use crate::text::*;
use crate::tx::{KeyClass, Tx};
use crate::{limits, listing};
use std::sync::Arc;

/// Runs the operations on access keys.
pub fn run(tx: &mut Tx<'_>, me: &Identity, account: &AccountId, c: &C) -> Result<Output, Error> {
    match c {
        C::CreateAccessKey { user } => {
            let (owner, name) = owner(tx, me, account, user.as_ref())?;
            if tx.state().keys_of(&owner).count() >= limits::ACCESS_KEYS {
                return Err(Error::QuotaExceeded(Quota::AccessKeys, limits::ACCESS_KEYS));
            }
            let (key, secret) = make(tx, owner)?;
            Ok(Output::Key { key, user: name, secret })
        }
        C::ListAccessKeys { user, paging } => {
            let (owner, name) = owner(tx, me, account, user.as_ref())?;
            let label = name.as_ref().map_or("", UserName::as_str).to_owned();
            let place = ["ListAccessKeys", label.as_str()];
            let found = tx.state().keys_of(&owner);
            let keys: Page<Arc<AccessKey>> =
                listing::cut(tx, account, &place, paging, found, |k| k.id.to_string(), Arc::clone)?;
            Ok(Output::Keys { user: name, keys })
        }
        C::UpdateAccessKey { user, key, status } => {
            let row = find(tx, me, account, user.as_ref(), key)?;
            tx.put(Row::AccessKey(AccessKey { status: *status, ..(*row).clone() }));
            Ok(Output::Done)
        }
        C::DeleteAccessKey { user, key } => {
            find(tx, me, account, user.as_ref(), key)?;
            remove(tx, key);
            Ok(Output::Done)
        }
        C::GetAccessKeyLastUsed { key } => {
            let missing = || Error::NoSuchEntity(Entity::AccessKey(key.to_string()));
            let row = tx.state().key(key).ok_or_else(missing)?;
            let user = match &row.owner {
                KeyOwner::User(owner, id) if owner == account => {
                    tx.state().user_by_id(id).map(|u| u.name.clone())
                }
                KeyOwner::Root(owner) if owner == account => None,
                _ => return Err(missing()),
            };
            let last = tx.state().last_use(&Used::Key(key.clone())).cloned();
            Ok(Output::KeyUse { user, last })
        }
        _ => Err(Error::Internal("not an operation on access keys")),
    }
}

/// Makes a key; the secret leaves this function in the clear once, and is stored sealed.
pub fn make(tx: &mut Tx<'_>, owner: KeyOwner) -> Result<(Arc<AccessKey>, Secret), Error> {
    let account = match &owner {
        KeyOwner::Root(account) | KeyOwner::User(account, _) => Some(account.clone()),
        KeyOwner::Service(_) => None,
    };
    let id = tx.new_key_id(KeyClass::LongTerm, account.as_ref())?;
    let secret = tx.new_secret();
    let nonce = tx.random();
    let version = 1u32;
    let place = version.to_string();
    let sealed = tx.keyring().seal_secret(&secret, &AccessKey::place(&owner, &id, &place), nonce);
    let key =
        AccessKey { id, owner, status: KeyStatus::Active, sealed, version, created_ms: tx.now() };
    tx.note("accessKeyId", key.id.to_string());
    tx.put(Row::AccessKey(key.clone()));
    Ok((Arc::new(key), secret))
}

/// Takes a key away, with what is known of its use.
pub fn remove(tx: &mut Tx<'_>, key: &KeyId) {
    tx.delete(Key::AccessKey(key.clone()));
    if tx.state().last_use(&Used::Key(key.clone())).is_some() {
        tx.delete(Key::Use("key", Folded::of(key.as_str())));
    }
}

/// Whether a user's keys have to go before it can.
pub fn blocks_deletion(tx: &Tx<'_>, user: &User) -> Option<Error> {
    let owner = KeyOwner::User(user.account.clone(), user.id.clone());
    let any = tx.state().keys_of(&owner).next().is_some();
    any.then_some(Error::DeleteConflict(Conflict::AccessKeys))
}

/// The account that a key id tells.
///
/// Errors: `Invalid` for an id that tells none.
pub fn account_of(tx: &Tx<'_>, key: &KeyId) -> Result<Output, Error> {
    let stored = tx.state().key(key).and_then(|row| match &row.owner {
        KeyOwner::Root(account) | KeyOwner::User(account, _) => Some(account.clone()),
        KeyOwner::Service(_) => None,
    });
    match stored.or_else(|| crate::tx::account_in_key_id(key)) {
        Some(account) => Ok(Output::KeyAccount(account)),
        None => Err(Error::NoSuchEntity(Entity::AccessKey(key.to_string()))),
    }
}

/// Whose keys a call is about: the named user's, else the caller's own.
fn owner(
    tx: &Tx<'_>,
    me: &Identity,
    account: &AccountId,
    user: Option<&UserName>,
) -> Result<(KeyOwner, Option<UserName>), Error> {
    match (user, &me.kind) {
        (Some(name), _) => {
            let row =
                tx.state().user(account, &name.folded()).ok_or_else(|| Error::no_user(name))?;
            let owner = KeyOwner::User(account.clone(), row.id.clone());
            Ok((owner, Some(row.name.clone())))
        }
        (None, IdentityKind::User(row)) => {
            let owner = KeyOwner::User(account.clone(), row.id.clone());
            Ok((owner, Some(row.name.clone())))
        }
        (None, IdentityKind::Root) => Ok((KeyOwner::Root(account.clone()), None)),
        (None, _) => Err(Error::Invalid {
            field: "userName",
            message: "Must specify userName when calling with non-User credentials".into(),
        }),
    }
}

fn find(
    tx: &Tx<'_>,
    me: &Identity,
    account: &AccountId,
    user: Option<&UserName>,
    key: &KeyId,
) -> Result<Arc<AccessKey>, Error> {
    let (owner, _) = owner(tx, me, account, user)?;
    let row = tx.state().key(key).filter(|row| row.owner == owner).cloned();
    row.ok_or_else(|| Error::NoSuchEntity(Entity::AccessKey(key.to_string())))
}
