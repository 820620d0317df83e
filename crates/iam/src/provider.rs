//! Providers of identities by OpenID Connect: whose tokens an account takes, and for whom.
//!
//! Not here: a token's signature and where its keys come from (the server).

use crate::command::{Command, NewOidcProvider, Paging};
use crate::error::{Entity, Error, Quota};
use crate::output::Output;
use crate::rows::*;
use crate::text::*;
use crate::tx::Tx;
use crate::{limits, listing};
use policy::name;
use std::sync::Arc;

/// Runs the operations on providers.
pub fn run(tx: &mut Tx<'_>, account: &AccountId, command: &Command) -> Result<Output, Error> {
    use Command as C;
    match command {
        C::CreateOpenIDConnectProvider(asked) => create(tx, account, asked),
        C::GetOpenIDConnectProvider { provider } => shown(tx, find(tx, account, provider)?),
        C::ListOpenIDConnectProviders { paging } => list(tx, account, paging),
        C::UpdateOIDCProvider { provider, client_ids, issuance_limit_h, description } => {
            change(tx, account, provider, |row| {
                if let Some(ids) = client_ids {
                    row.client_ids.clone_from(ids);
                }
                if issuance_limit_h.is_some() {
                    row.issuance_limit_h = *issuance_limit_h;
                }
                if description.is_some() {
                    row.description.clone_from(description);
                }
            })
        }
        C::DeleteOpenIDConnectProvider { provider } => {
            let row = find(tx, account, provider)?;
            tx.delete(Key::OidcProvider(account.clone(), row.name.folded()));
            Ok(Output::Done)
        }
        C::AddClientIDToOpenIDConnectProvider { provider, client } => {
            change(tx, account, provider, |row| {
                if !row.client_ids.contains(client) {
                    row.client_ids.push(client.clone());
                }
            })
        }
        C::RemoveClientIDFromOpenIDConnectProvider { provider, client } => {
            change(tx, account, provider, |row| row.client_ids.retain(|id| id != client))
        }
        C::AddFingerprintToOIDCProvider { provider, fingerprint } => {
            change(tx, account, provider, |row| {
                if !row.fingerprints.contains(fingerprint) {
                    row.fingerprints.push(fingerprint.clone());
                }
            })
        }
        C::RemoveFingerprintFromOIDCProvider { provider, fingerprint } => {
            change(tx, account, provider, |row| row.fingerprints.retain(|f| f != fingerprint))
        }
        _ => Err(Error::Internal("not an operation on providers")),
    }
}

fn create(tx: &mut Tx<'_>, account: &AccountId, asked: &NewOidcProvider) -> Result<Output, Error> {
    let taken = || Error::AlreadyExists(Entity::OidcProvider(asked.name.to_string()));
    if tx.state().oidc_provider(account, &asked.name.folded()).is_some() {
        return Err(taken());
    }
    // One issuer is one provider of an account: what it vouches for has one set of rules.
    let others: Vec<_> = tx.state().oidc_providers_of(account, None).cloned().collect();
    if others.iter().any(|other| other.issuer == asked.issuer) {
        return Err(taken());
    }
    if others.len() >= limits::OIDC_PROVIDERS_PER_ACCOUNT {
        return Err(Error::QuotaExceeded(Quota::OidcProviders, limits::OIDC_PROVIDERS_PER_ACCOUNT));
    }
    let row = OidcProvider {
        account: account.clone(),
        name: asked.name.clone(),
        issuer: asked.issuer.clone(),
        client_ids: asked.client_ids.clone(),
        fingerprints: asked.fingerprints.clone(),
        issuance_limit_h: asked.issuance_limit_h,
        description: asked.description.clone(),
        created_ms: tx.now(),
        updated_ms: 0,
    };
    check(&row)?;
    tx.put(Row::OidcProvider(row.clone()));
    shown(tx, Arc::new(row))
}

fn change(
    tx: &mut Tx<'_>,
    account: &AccountId,
    provider: &ProviderName,
    alter: impl FnOnce(&mut OidcProvider),
) -> Result<Output, Error> {
    let mut row = (*find(tx, account, provider)?).clone();
    alter(&mut row);
    row.updated_ms = tx.now();
    check(&row)?;
    tx.put(Row::OidcProvider(row.clone()));
    shown(tx, Arc::new(row))
}

fn check(row: &OidcProvider) -> Result<(), Error> {
    if row.client_ids.len() > limits::CLIENT_IDS_PER_PROVIDER {
        return Err(Error::QuotaExceeded(Quota::ClientIds, limits::CLIENT_IDS_PER_PROVIDER));
    }
    if row.fingerprints.len() > limits::FINGERPRINTS_PER_PROVIDER {
        return Err(Error::QuotaExceeded(Quota::Fingerprints, limits::FINGERPRINTS_PER_PROVIDER));
    }
    Ok(())
}

fn list(tx: &Tx<'_>, account: &AccountId, paging: &Paging) -> Result<Output, Error> {
    let place = ["ListOpenIDConnectProviders"];
    let after = listing::after_name(tx, account, &place, paging)?;
    let found = tx.state().oidc_providers_of(account, after.as_ref());
    let key = |row: &&Arc<OidcProvider>| row.name.folded().as_str().to_owned();
    let view = |row: &Arc<OidcProvider>| (arn(tx, row), row.clone());
    let page = listing::cut(tx, account, &place, paging, found, key, view)?;
    Ok(Output::OidcProviders(page))
}

fn shown(tx: &Tx<'_>, row: Arc<OidcProvider>) -> Result<Output, Error> {
    Ok(Output::OidcProvider { arn: arn(tx, &row), provider: row })
}

fn arn(tx: &Tx<'_>, row: &OidcProvider) -> String {
    let dialect = tx.dialect(&row.account).unwrap_or_default();
    name::oidc_provider(dialect, row.account.as_str(), row.name.as_str())
}

/// A provider by name. Errors: `NoSuchEntity`.
pub fn find(
    tx: &Tx<'_>,
    account: &AccountId,
    provider: &ProviderName,
) -> Result<Arc<OidcProvider>, Error> {
    let found = tx.state().oidc_provider(account, &provider.folded()).cloned();
    found.ok_or_else(|| Error::NoSuchEntity(Entity::OidcProvider(provider.to_string())))
}
