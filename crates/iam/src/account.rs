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
    };
    tx.put(Row::Account(account.clone()));
    tx.note("accountId", id.to_string());
    let (key, secret) = access_key::make(tx, KeyOwner::Root(id))?;
    Ok(Output::Account { account: account.into(), key, secret })
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
