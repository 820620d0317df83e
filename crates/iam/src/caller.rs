//! Who calls: from an access key to a principal that lives in the present state.
//!
//! [`authenticate`] answers with the secret a signature is checked against; [`resolve`] turns the
//! caller into an [`Identity`] on the very state an operation runs on, so that a key made inactive,
//! a user deleted or a role removed in between counts. Not here: signatures, and permissions.

use crate::error::Error;
use crate::identity::{self, Workload};
use crate::rows::*;
use crate::seal::{Keyring, Secret};
use crate::session::{Claims, Subject};
use crate::state::State;
use crate::text::*;
use policy::{Dialect, Principal, PrincipalKind, name};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How far the clocks of an issuer and of this server may differ, in seconds. [src: AWS.md 4.5]
pub const WEB_TOKEN_GRACE_S: i64 = 300;

/// Who calls, as far as the credentials say.
#[derive(Clone, Debug, PartialEq)]
pub enum Caller {
    /// Holder of a long-term key.
    Key(KeyId),
    /// Holder of a session.
    Session(Arc<Claims>),
    /// The operator, at the installation's own socket.
    Operator,
    /// The server itself.
    System,
    /// The built-in administrator of a `dev` that accepts any credentials.
    Builtin(AccountId),
    /// Holder of a token of a provider, whose signature holds.
    Federated(Arc<WebToken>),
    /// Holder of what proves a linked service, whose signature holds.
    Workload(Arc<Workload>),
    /// Nobody known.
    Anonymous,
}

/// What a token of a provider says, once its signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebToken {
    /// The account of the provider.
    pub account: AccountId,
    /// The provider by whose keys the signature was checked.
    pub provider: ProviderName,
    /// Who issued it.
    pub issuer: String,
    /// Whom it speaks of.
    pub subject: String,
    /// For whom it is: one client.
    pub client: String,
    /// When it was issued, in seconds since 1970.
    pub issued_s: i64,
    /// When it ends, in seconds since 1970.
    pub expires_s: i64,
}

/// Where a call came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// The peer's address.
    pub ip: String,
    /// What the client says it is.
    pub user_agent: String,
    /// The region of the signature's scope.
    pub region: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Whether it is made from the console, by who is signed in there.
    pub console: bool,
    /// For whom a linked service says that it calls: an account and a resource. Of anybody else it is nothing.
    pub made_for: MadeFor,
    /// The interface that was called, where its dialect has several for one operation.
    pub api: Option<Api>,
}

/// For whom a call is made, in the words of the linked service that makes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeFor {
    /// The account.
    pub account: Option<String>,
    /// The resource.
    pub arn: Option<String>,
}

/// An interface as a dialect names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Api {
    /// The product.
    pub product: String,
    /// The version of its interface.
    pub version: String,
    /// The operation's name there.
    pub name: String,
    /// Its host.
    pub host: String,
}

/// A request that is taken once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// A digest of the key and of what the client made up for this request.
    pub digest: NonceDigest,
    /// Until when it has to be remembered, in milliseconds since 1970.
    pub until_ms: i64,
}

/// A call that was refused where it came in: for what it presents does not hold, or does not read. There
/// is nothing to run; that it was tried goes into the trail, in the words that its caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whether for want of permission.
    pub denied: bool,
    /// The code.
    pub code: String,
    /// The text.
    pub message: String,
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// The caller whose signed request a linked service presents.
    pub on_behalf: Option<Caller>,
    /// What is asked for.
    pub command: crate::command::Command,
    /// What makes the request one of a kind, where its signature has such a thing.
    pub nonce: Option<Once>,
    /// What it was refused for already.
    pub refusal: Option<Refusal>,
    /// Where it came from.
    pub source: Source,
    /// The request's random id.
    pub request_id: String,
}

/// A caller that lives in the present state.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Whose.
    pub kind: IdentityKind,
    /// As policies see it.
    pub principal: Principal,
    /// Its account; a linked service and the operator have none.
    pub account: Option<AccountId>,
    /// The key it used.
    pub key: Option<KeyId>,
    /// The session it holds.
    pub session: Option<Arc<Claims>>,
}

/// Whose call it is.
#[derive(Clone, Debug)]
pub enum IdentityKind {
    /// The account's root.
    Root,
    /// A user, with a key or with a session token.
    User(Arc<User>),
    /// A session of a role.
    Role(Arc<Role>),
    /// A linked service.
    Service(Arc<Service>),
    /// The operator.
    Operator,
    /// The server itself.
    System,
    /// The built-in administrator.
    Builtin,
    /// Holder of a token of a provider; can assume roles that trust the provider, and nothing else.
    Federated(Arc<WebToken>),
    /// Holder of what proves a linked service; can open a session of it, and nothing else.
    Workload(Arc<Workload>),
    /// Nobody known.
    Anonymous,
}

/// Finds the secret that a request signed with this key must have been signed with.
///
/// Errors: [`Error::InvalidCredentials`] for a key or token that is unknown, inactive, not of one
/// another, or whose owner is gone; [`Error::SessionExpired`]. [src: AWS.md 4.4]
pub fn authenticate(
    state: &State,
    keyring: &Keyring,
    now_ms: i64,
    key: &str,
    token: Option<&str>,
) -> Result<(Caller, Secret), Error> {
    let key = KeyId::parse(key).map_err(|_| Error::InvalidCredentials)?;
    let now_ms = now_ms.max(state.clock_ms());
    let (caller, secret) = match token {
        Some(token) => {
            let claims = Claims::open(keyring, token).ok_or(Error::InvalidCredentials)?;
            if claims.key != key {
                return Err(Error::InvalidCredentials);
            }
            let secret = keyring.session_secret(&claims.session, key.as_str());
            (Caller::Session(Arc::new(claims)), secret)
        }
        None => {
            let row = state.key(&key).ok_or(Error::InvalidCredentials)?;
            let version = row.version.to_string();
            let place = AccessKey::place(&row.owner, &row.id, &version);
            let secret =
                keyring.open_secret(&row.sealed, &place).map_err(|_| Error::InvalidCredentials)?;
            (Caller::Key(key), secret)
        }
    };
    resolve(state, &caller, now_ms)?;
    Ok((caller, secret))
}

/// Finds the living principal behind a caller.
///
/// Errors: as [`authenticate`].
pub fn resolve(state: &State, caller: &Caller, now_ms: i64) -> Result<Identity, Error> {
    match caller {
        Caller::Key(key) => resolve_key(state, key),
        Caller::Session(claims) => resolve_session(state, claims, now_ms),
        Caller::Operator => Ok(unnamed(IdentityKind::Operator)),
        Caller::System => Ok(unnamed(IdentityKind::System)),
        Caller::Anonymous => Ok(unnamed(IdentityKind::Anonymous)),
        Caller::Federated(token) => federated(state, token, now_ms),
        Caller::Workload(shown) => identity::prove(state, shown, now_ms),
        Caller::Builtin(account) => {
            let dialect = dialect(state, account).ok_or(Error::InvalidCredentials)?;
            let arn = name::user(dialect, account.as_str(), "/", "linkrole-builtin");
            Ok(Identity {
                kind: IdentityKind::Builtin,
                principal: Principal {
                    arn: Some(arn),
                    id: Some("AIDAAAAAAAAAAAAAAAAAA".into()),
                    ..principal(PrincipalKind::User, account)
                },
                account: Some(account.clone()),
                key: None,
                session: None,
            })
        }
    }
}

fn resolve_key(state: &State, id: &KeyId) -> Result<Identity, Error> {
    let key = state.key(id).ok_or(Error::InvalidCredentials)?;
    if key.status != KeyStatus::Active {
        return Err(Error::InactiveKey);
    }
    let identity = match &key.owner {
        KeyOwner::Root(account) => root(state, account)?,
        KeyOwner::User(account, user) => self::user(state, account, user)?,
        KeyOwner::Service(name) => service(state.service(name).ok_or(Error::InvalidCredentials)?),
    };
    Ok(Identity { key: Some(id.clone()), ..identity })
}

fn resolve_session(state: &State, claims: &Arc<Claims>, now_ms: i64) -> Result<Identity, Error> {
    if claims.expires_ms <= now_ms {
        return Err(Error::SessionExpired);
    }
    let identity = match &claims.subject {
        Subject::Root { account, key } => {
            resolve_key(state, key)?;
            root(state, account)?
        }
        Subject::User { account, user, key } => {
            resolve_key(state, key)?;
            self::user(state, account, user)?
        }
        Subject::Role { role, session } => {
            // The session hangs on the role's id: a role made again under the name is another one.
            let role = state.role_by_id(role).ok_or(Error::InvalidCredentials)?;
            // INVARIANT(not-before): one rule for every way in; a session issued at that very
            // time is not honoured.
            if claims.issued_ms <= role.not_before_ms {
                return Err(Error::InvalidCredentials);
            }
            role_session(state, role, session)?
        }
        Subject::Service { service, terms } => {
            let row = state.service(service).ok_or(Error::InvalidCredentials)?;
            // A service made again under the name is another one; and what proved this one must still do so.
            let proved = row.identity.as_ref().is_some_and(|identity| identity.has(terms));
            if claims.issued_ms <= row.created_ms || !proved {
                return Err(Error::InvalidCredentials);
            }
            self::service(row)
        }
    };
    Ok(Identity { key: Some(claims.key.clone()), session: Some(claims.clone()), ..identity })
}

/// A token counts as long as its provider is as it was when the signature was checked: of the same issuer, and for
/// the same client.
fn federated(state: &State, token: &Arc<WebToken>, now_ms: i64) -> Result<Identity, Error> {
    let provider = state.oidc_provider(&token.account, &token.provider.folded());
    let provider = provider.filter(|row| {
        row.issuer.as_str() == token.issuer
            && row.client_ids.iter().any(|id| id.as_str() == token.client)
    });
    let provider = provider.ok_or(Error::InvalidCredentials)?;
    let now_s = now_ms.div_euclid(1_000);
    let oldest_s = provider.issuance_limit_h.map(|hours| now_s - i64::from(hours) * 3_600);
    if token.expires_s.saturating_add(WEB_TOKEN_GRACE_S) <= now_s
        || oldest_s.is_some_and(|oldest| token.issued_s.saturating_add(WEB_TOKEN_GRACE_S) < oldest)
    {
        return Err(Error::SessionExpired);
    }
    if token.issued_s > now_s.saturating_add(WEB_TOKEN_GRACE_S) {
        return Err(Error::InvalidCredentials);
    }
    let dialect = dialect(state, &token.account).ok_or(Error::InvalidCredentials)?;
    let arn = name::oidc_provider(dialect, token.account.as_str(), provider.name.as_str());
    Ok(Identity {
        kind: IdentityKind::Federated(token.clone()),
        principal: Principal {
            id: Some(format!("{arn}:{}", token.subject)),
            provider: Some(arn),
            ..Principal::new(PrincipalKind::WebIdentity)
        },
        account: None,
        key: None,
        session: None,
    })
}

fn service(row: &Arc<Service>) -> Identity {
    Identity {
        principal: Principal {
            service: Some(row.name.to_string()),
            ..Principal::new(PrincipalKind::Service)
        },
        ..unnamed(IdentityKind::Service(row.clone()))
    }
}

fn root(state: &State, account: &AccountId) -> Result<Identity, Error> {
    let dialect = dialect(state, account).ok_or(Error::InvalidCredentials)?;
    Ok(Identity {
        kind: IdentityKind::Root,
        principal: Principal {
            arn: Some(name::root(dialect, account.as_str())),
            id: Some(account.to_string()),
            ..principal(PrincipalKind::Root, account)
        },
        account: Some(account.clone()),
        key: None,
        session: None,
    })
}

fn user(state: &State, account: &AccountId, id: &UserId) -> Result<Identity, Error> {
    let user = state.user_by_id(id).ok_or(Error::InvalidCredentials)?;
    let dialect = dialect(state, account).ok_or(Error::InvalidCredentials)?;
    let arn = name::user(dialect, account.as_str(), user.path.as_str(), user.name.as_str());
    Ok(Identity {
        kind: IdentityKind::User(user.clone()),
        principal: Principal {
            arn: Some(arn),
            id: Some(id.to_string()),
            ..principal(PrincipalKind::User, account)
        },
        account: Some(account.clone()),
        key: None,
        session: None,
    })
}

fn role_session(state: &State, role: &Arc<Role>, session: &SessionName) -> Result<Identity, Error> {
    let dialect = dialect(state, &role.account).ok_or(Error::InvalidCredentials)?;
    let account = role.account.as_str();
    Ok(Identity {
        kind: IdentityKind::Role(role.clone()),
        principal: Principal {
            arn: Some(name::assumed_role(dialect, account, role.name.as_str(), session.as_str())),
            role_arn: Some(name::role(dialect, account, role.path.as_str(), role.name.as_str())),
            id: Some(format!("{}:{session}", role.id)),
            // The kind is stored with the role; a name or path proves nothing.
            service_linked: matches!(role.kind, RoleKind::Linked(_)),
            ..principal(PrincipalKind::AssumedRole, &role.account)
        },
        account: Some(role.account.clone()),
        key: None,
        session: None,
    })
}

/// The home dialect of an account.
pub fn dialect(state: &State, account: &AccountId) -> Option<Dialect> {
    state.account(account).map(|a| a.dialect)
}

fn unnamed(kind: IdentityKind) -> Identity {
    Identity { kind, principal: no_one(), account: None, key: None, session: None }
}

/// A principal of which only class and account are known.
fn principal(kind: PrincipalKind, account: &AccountId) -> Principal {
    Principal { account: Some(account.to_string()), ..Principal::new(kind) }
}

fn no_one() -> Principal {
    Principal::new(PrincipalKind::Anonymous)
}

impl Identity {
    /// How an error or the trail names it.
    pub fn name(&self) -> String {
        match (&self.principal.arn, &self.principal.service) {
            (Some(arn), _) => arn.clone(),
            (None, Some(service)) => service.clone(),
            (None, None) => match &self.kind {
                IdentityKind::Operator => "operator".to_owned(),
                IdentityKind::System => "linkrole".to_owned(),
                IdentityKind::Federated(_) => self.principal.id.clone().unwrap_or_default(),
                IdentityKind::Workload(shown) => shown.name().to_owned(),
                _ => "anonymous".to_owned(),
            },
        }
    }

    /// The view of itself that a caller gets.
    pub fn view(&self) -> crate::output::CallerView {
        crate::output::CallerView {
            arn: self.name(),
            id: self.principal.id.clone().unwrap_or_else(|| self.name()),
            account: self.account.clone(),
            kind: match self.kind {
                IdentityKind::Root => "root",
                IdentityKind::User(_) | IdentityKind::Builtin => "user",
                IdentityKind::Role(_) => "role session",
                IdentityKind::Service(_) => "service",
                IdentityKind::Operator => "operator",
                IdentityKind::System => "system",
                IdentityKind::Federated(_) => "web identity",
                IdentityKind::Workload(_) => "workload",
                IdentityKind::Anonymous => "anonymous",
            },
        }
    }

    /// The dialect of its account; of a caller without one the default.
    pub fn dialect(&self, state: &State) -> Dialect {
        let of = |account| dialect(state, account);
        self.account.as_ref().and_then(of).unwrap_or_default()
    }

    /// The linked service that calls onward in its name.
    pub fn via(&self) -> Option<&ServiceName> {
        self.session.as_ref().and_then(|session| session.via.as_ref())
    }

    /// Whether it comes with temporary credentials.
    pub fn is_session(&self) -> bool {
        self.session.is_some()
    }

    /// The account it acts in. Errors: a caller without an account.
    pub fn home(&self) -> Result<AccountId, Error> {
        self.account.clone().ok_or(Error::Invalid {
            field: "account",
            message: "this operation acts in the caller's account, and the caller has none".into(),
        })
    }

    /// The linked service it is. Errors: another class of caller.
    pub fn service(&self) -> Option<&Arc<Service>> {
        match &self.kind {
            IdentityKind::Service(service) => Some(service),
            _ => None,
        }
    }
}
