//! Accounts: made by the operator, each with a root access key.

use crate::error::{Entity, Error};
use crate::output::Output;
use crate::rows::*;
use crate::text::*;
use crate::tx::Tx;
use crate::{access_key, limits};
use policy::Dialect;

/// Makes an account and its root's access key.
///
/// Errors: `AlreadyExists`; `Invalid` for an id that is not of the dialect.
pub fn create(
    tx: &mut Tx<'_>,
    id: Option<&AccountId>,
    dialect: Dialect,
    role_quota: Option<u32>,
) -> Result<Output, Error> {
    let digits = match dialect {
        Dialect::Aws => 12,
        Dialect::Alibaba => 16,
    };
    let id = match id {
        Some(id) if id.as_str().len() != digits => {
            return Err(Error::Invalid {
                field: "id",
                message: format!("expected {digits} digits in this dialect; found `{id}`"),
            });
        }
        Some(id) => id.clone(),
        None => free_id(tx, digits)?,
    };
    if tx.state().account(&id).is_some() {
        return Err(Error::AlreadyExists(Entity::Account(id.to_string())));
    }
    let account = Account {
        id: id.clone(),
        dialect,
        created_ms: tx.now(),
        role_quota: role_quota.unwrap_or(limits::ROLES_PER_ACCOUNT),
        alias: None,
        terms: ServiceTerms::default(),
    };
    tx.put(Row::Account(account.clone()));
    tx.note("accountId", id.to_string());
    let (key, secret) = access_key::make(tx, KeyOwner::Root(id))?;
    Ok(Output::Account { account: account.into(), key, secret })
}

/// Gives an account an alias, in place of the one it had.
///
/// Errors: `AlreadyExists` for one that another account has.
pub fn set_alias(
    tx: &mut Tx<'_>,
    account: &AccountId,
    alias: &AccountAlias,
) -> Result<Output, Error> {
    if tx.state().account_of_alias(alias).is_some_and(|holder| holder != account) {
        return Err(Error::AlreadyExists(Entity::Alias(alias.to_string())));
    }
    let alias = Some(alias.clone());
    let row = Account { alias, ..(*find(tx, account)?).clone() };
    tx.put(Row::Account(row));
    Ok(Output::Done)
}

/// Takes an account's alias away; where one is named, only that.
///
/// Errors: `NoSuchEntity` for one that the account does not have.
pub fn clear_alias(
    tx: &mut Tx<'_>,
    account: &AccountId,
    alias: Option<&AccountAlias>,
) -> Result<Output, Error> {
    let row = find(tx, account)?;
    if let Some(named) = alias
        && row.alias.as_ref() != Some(named)
    {
        return Err(Error::NoSuchEntity(Entity::Alias(named.to_string())));
    }
    if row.alias.is_some() {
        tx.put(Row::Account(Account { alias: None, ..(*row).clone() }));
    }
    Ok(Output::Done)
}

/// An account. Errors: `NoSuchEntity`.
pub fn find(tx: &Tx<'_>, account: &AccountId) -> Result<std::sync::Arc<Account>, Error> {
    let found = tx.state().account(account).cloned();
    found.ok_or_else(|| Error::NoSuchEntity(Entity::Account(account.to_string())))
}

fn free_id(tx: &mut Tx<'_>, digits: usize) -> Result<AccountId, Error> {
    for _ in 0..16 {
        let random = u64::from_be_bytes(tx.random());
        // The first digit is not zero, so that no tool that reads numbers loses one.
        let span = 9 * 10u64.pow(u32::try_from(digits).unwrap_or(12) - 1);
        let number = span / 9 + random % span;
        if let Ok(id) = AccountId::parse(&number.to_string())
            && tx.state().account(&id).is_none()
        {
            return Ok(id);
        }
    }
    Err(Error::Internal("no free account id"))
}
