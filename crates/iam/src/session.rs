//! Role sessions and session tokens: sealed claims that their holder carries, derived secrets.
//!
//! Nothing is stored per session but, for a service-linked role, the ledger: an upper bound on the
//! end of all its sessions. Not here: the cipher (`seal`), and what a session may do.

use crate::authorize::{self, Ask};
use crate::caller::{Identity, IdentityKind, Source};
use crate::command::*;
use crate::error::{Denial, Error};
use crate::limits;
use crate::linked;
use crate::operations::Operation;
use crate::output::*;
use crate::rows::*;
use crate::seal::Keyring;
use crate::text::*;
use crate::tx::{KeyClass, Tx};
use policy::{Effect, Fact, name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A role.
    Role {
        /// The role, by unique id.
        role: RoleId,
        /// The session's name.
        session: SessionName,
    },
    /// A user, as long as the key lives that asked.
    User {
        /// The account.
        account: AccountId,
        /// The user, by unique id.
        user: UserId,
        /// The key that asked.
        key: KeyId,
    },
    /// Root, as long as the key lives that asked.
    Root {
        /// The account.
        account: AccountId,
        /// The key that asked.
        key: KeyId,
    },
    /// A linked service, as long as its manifest says what it said when it proved itself.
    Service {
        /// The service.
        service: ServiceName,
        /// The digest of what the manifest said.
        terms: String,
    },
}

/// What a session token says. Format 1; a new member needs a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// The session's random id; its secret is derived from it.
    pub session: String,
    /// The session's access key id.
    pub key: KeyId,
    /// Whose session it is.
    pub subject: Subject,
    /// When it was issued, in milliseconds since 1970.
    pub issued_ms: i64,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: i64,
    /// When the first sign-in of its chain was, in milliseconds since 1970.
    pub first_ms: i64,
    /// The inline session policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PermissionsPolicy>,
    /// Managed session policies, read live.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyRef>,
    /// Session tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Keys, folded, of the tags that go on along a chain.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub transitive: BTreeSet<String>,
    /// The identity kept along the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_identity: Option<SourceIdentity>,
    /// The linked service that calls onward in the subject's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<ServiceName>,
}

impl Claims {
    /// Opens a token. `None` for anything but a whole token of this installation.
    pub fn open(keyring: &Keyring, token: &str) -> Option<Self> {
        if token.len() > limits::TOKEN_SIZE {
            return None;
        }
        serde_json::from_slice(&keyring.open_token(token).ok()?).ok()
    }

    /// Whether the session has session policies.
    pub fn is_restricted(&self) -> bool {
        self.policy.is_some() || !self.policies.is_empty()
    }
}

/// Issues a session of a role.
///
/// Runs on the writer: role, epoch, not-before and trust are those of the state it commits to, so
/// no session can overtake a deletion or a release. A use by the linked service of a role that a
/// deletion has fenced ends the deletion.
///
/// Errors: `AssumeRoleDenied`, alike for a missing role, for trust and for permissions;
/// `RootMayNotAssume`; the duration errors; the tag errors; `SessionTooLarge`.
pub fn assume_role(
    tx: &mut Tx<'_>,
    me: &Identity,
    source: &Source,
    ask: &AssumeRole,
) -> Result<Output, Error> {
    if matches!(me.kind, IdentityKind::Root) {
        return Err(Error::RootMayNotAssume);
    }
    let denied = |tx: &Tx<'_>| {
        Error::AssumeRoleDenied(Box::new(Denial {
            principal: me.name(),
            action: Operation::AssumeRole.action(tx.dialect_of(me)),
            resource: Some(ask.role.text.clone()),
            decision: None,
        }))
    };
    // All that needs no role comes first, so that no answer tells whether there is one.
    let tags = merge_tags(me, ask)?;
    let source_identity = source_identity(me, ask)?;
    let folded = ask.role.name.folded();
    let role = tx.state().role(&ask.role.account, &folded).cloned();
    let Some(role) = role.filter(|r| tx.role_arn(r) == ask.role.text) else {
        // Only of its own account may a caller learn that there is no such role.
        let own = me.account.as_ref() == Some(&ask.role.account);
        return Err(match denied(tx) {
            Error::AssumeRoleDenied(denial) if own => Error::NoRoleToAssume(denial),
            other => other,
        });
    };
    // What the session inherits is asked for like what it is given.
    let wanted = Wanted { source, tags: &tags, source_identity: source_identity.as_ref() };
    let allowed = may_assume(tx, me, &role, ask, &wanted);
    // A refused try stands in the trail of the role's account, unless that is another's: a caller
    // would read there whether the role exists.
    if allowed || me.account.as_ref() == Some(&role.account) || me.service().is_some() {
        tx.touch(&role.account, tx.role_arn(&role));
    }
    if !allowed {
        return Err(denied(tx));
    }
    let dialect = tx.dialect(&role.account)?;
    if ask.policy.as_ref().is_some_and(|policy| policy.document().dialect() != dialect) {
        let message = "the session policy is not in the language of the role's account".to_owned();
        return Err(Error::MalformedPolicy { message });
    }
    let most_s = linked::max_session_s(tx.state(), &role);
    let duration_s = duration(me, most_s, ask, tx.now())?;
    if let RoleKind::Linked(_) = role.kind {
        crate::deletion::use_wins(tx, &role.id, "a session was opened")?;
    }

    // A session issued in the very millisecond of a release would be born dead.
    let issued_ms = tx.now().max(role.not_before_ms.saturating_add(1));
    let expires_ms = issued_ms.saturating_add(i64::from(duration_s).saturating_mul(1_000));
    if let RoleKind::Linked(_) = role.kind {
        raise_ledger(tx, &role, expires_ms)?;
        // A release must never be dated before a session that it ends.
        tx.stamp();
    }
    let policies = ask
        .policy_arns
        .iter()
        .map(|target| crate::managed_policy::find_usable(tx, &role.account, target))
        .collect::<Result<Vec<_>, _>>()?;
    let claims = Claims {
        session: tx.random_hex(16),
        key: tx.new_key_id(KeyClass::Session, Some(&role.account))?,
        subject: Subject::Role { role: role.id.clone(), session: ask.session.clone() },
        issued_ms,
        expires_ms,
        first_ms: chain(me).map_or(issued_ms, |s| s.first_ms),
        policy: ask.policy.clone(),
        policies,
        tags,
        transitive: transitive(me, ask),
        source_identity: source_identity.clone(),
        via: None,
    };
    let restricted = claims.is_restricted() || !claims.tags.is_empty();
    let (credentials, size) = issue(tx, &claims)?;
    tx.note("assumedRoleId", format!("{}:{}", role.id, ask.session));
    Ok(Output::Session {
        credentials,
        assumed: Some(CallerView {
            arn: name::assumed_role(
                dialect,
                role.account.as_str(),
                role.name.as_str(),
                ask.session.as_str(),
            ),
            id: format!("{}:{}", role.id, ask.session),
            account: Some(role.account.clone()),
            kind: "role session",
        }),
        packed_percent: restricted.then_some(size * 100 / limits::TOKEN_SIZE),
        source_identity,
    })
}

/// What a session would carry, and where it is asked for.
struct Wanted<'a> {
    source: &'a Source,
    tags: &'a Tags,
    source_identity: Option<&'a SourceIdentity>,
}

/// Whether trust and permissions let the caller assume the role, and set what it sets.
fn may_assume(
    tx: &Tx<'_>,
    me: &Identity,
    role: &Arc<Role>,
    ask: &AssumeRole,
    wanted: &Wanted<'_>,
) -> bool {
    // INVARIANT(exclusive): a service-linked role is assumed by its own service and nobody else,
    // whatever any policy says; and a linked service assumes nothing but roles whose trust names
    // one of its principals.
    if let RoleKind::Linked(linked) = &role.kind {
        return me.service().is_some_and(|service| service.name == linked.template.service);
    }
    let dialect = tx.dialect(&role.account).unwrap_or_default();
    let mut actions = vec![match (&me.kind, dialect) {
        (IdentityKind::Federated(_), policy::Dialect::Aws) => "sts:AssumeRoleWithWebIdentity",
        _ => "sts:AssumeRole",
    }];
    if !wanted.tags.is_empty() {
        actions.push("sts:TagSession");
    }
    if wanted.source_identity.is_some() {
        actions.push("sts:SetSourceIdentity");
    }
    actions.into_iter().all(|action| {
        let account = Some(role.account.clone());
        let mut question = Ask::new(dialect, action, Some(tx.role_arn(role)), account);
        question.set(Fact::SessionName, ask.session.as_str());
        if let Some(id) = &ask.external_id {
            question.set(Fact::ExternalId, id.as_str());
        }
        if let Some(id) = wanted.source_identity {
            question.set(Fact::SetSourceIdentity, id.as_str());
        }
        if !wanted.tags.is_empty() {
            let tags: Vec<_> = wanted.tags.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            question.set_tags(&tags);
            question.set_list(Fact::TransitiveTagKeys, transitive(me, ask).into_iter().collect());
        }
        authorize::ask_role_trust(tx, me, wanted.source, role, question).effect == Effect::Allow
    })
}

/// The role session that a caller acts with. A user's session token begins no chain.
fn chain(me: &Identity) -> Option<&Arc<Claims>> {
    me.session.as_ref().filter(|session| matches!(session.subject, Subject::Role { .. }))
}

/// The order of the checks is the vendor's: role limit, then chaining. [src: AWS.md 4.2]
fn duration(me: &Identity, most_s: u32, ask: &AssumeRole, now_ms: i64) -> Result<u32, Error> {
    let asked_s = ask.duration_s.unwrap_or(limits::SESSION_DEFAULT_S.min(most_s));
    if asked_s > most_s {
        return Err(Error::DurationAboveRole);
    }
    if let Some(session) = chain(me) {
        let chain_end_ms = session.first_ms.saturating_add(limits::CHAIN_AGE_MAX_S * 1_000);
        let left_s = chain_end_ms.saturating_sub(now_ms) / 1_000;
        if asked_s > limits::CHAINED_SESSION_MAX_S || i64::from(asked_s) > left_s {
            return Err(Error::DurationAboveChain);
        }
    }
    Ok(asked_s)
}

fn source_identity(me: &Identity, ask: &AssumeRole) -> Result<Option<SourceIdentity>, Error> {
    let inherited = me.session.as_ref().and_then(|s| s.source_identity.clone());
    match (inherited, &ask.source_identity) {
        (Some(old), Some(new)) if old != *new => Err(Error::SourceIdentityFixed),
        (Some(old), _) => Ok(Some(old)),
        (None, new) => Ok(new.clone()),
    }
}

fn merge_tags(me: &Identity, ask: &AssumeRole) -> Result<Tags, Error> {
    let mut tags = Tags::from_list(&ask.tags).ok_or(Error::DuplicateTags)?;
    let limit = limits::tags(policy::Dialect::Aws);
    if tags.len() > limit {
        return Err(Error::QuotaExceeded(crate::error::Quota::Tags, limit));
    }
    let given: BTreeSet<String> = ask.tags.iter().map(|(k, _)| k.as_str().to_lowercase()).collect();
    if ask.transitive.iter().any(|key| !given.contains(&key.as_str().to_lowercase())) {
        return Err(Error::TransitiveTagMissing);
    }
    if let Some(session) = &me.session {
        for (key, value) in session.tags.iter() {
            let folded = key.as_str().to_lowercase();
            if session.transitive.contains(&folded) {
                if given.contains(&folded) {
                    return Err(Error::InheritedTag);
                }
                tags.set(key.clone(), value.clone());
            }
        }
    }
    Ok(tags)
}

fn transitive(me: &Identity, ask: &AssumeRole) -> BTreeSet<String> {
    let inherited = me.session.iter().flat_map(|s| s.transitive.iter().cloned());
    ask.transitive.iter().map(|key| key.as_str().to_lowercase()).chain(inherited).collect()
}

/// Keeps the ledger at or above the end of every session, in steps, so that it is seldom written.
fn raise_ledger(tx: &mut Tx<'_>, role: &Role, expires_ms: i64) -> Result<(), Error> {
    if tx.state().ledger_ms(&role.id) >= expires_ms {
        return Ok(());
    }
    let steps = expires_ms.div_euclid(limits::LEDGER_STEP_MS).saturating_add(1);
    tx.put(Row::Ledger(Ledger {
        account: role.account.clone(),
        role: role.id.clone(),
        last_expiry_ms: steps.saturating_mul(limits::LEDGER_STEP_MS),
    }));
    Ok(())
}

/// Issues a session token of the calling user or root.
///
/// Errors: `NotWithSession` for temporary credentials; `Invalid` for a length out of range.
pub fn session_token(
    tx: &mut Tx<'_>,
    me: &Identity,
    duration_s: Option<u32>,
) -> Result<Output, Error> {
    if me.is_session() {
        return Err(Error::NotWithSession("GetSessionToken"));
    }
    let key = me.key.clone().ok_or(Error::InvalidCredentials)?;
    let account = me.home()?;
    let (subject, longest_s) = match &me.kind {
        IdentityKind::User(user) => {
            let subject = Subject::User { account: account.clone(), user: user.id.clone(), key };
            (subject, limits::SESSION_TOKEN_MAX_S)
        }
        IdentityKind::Root => {
            (Subject::Root { account: account.clone(), key }, limits::ROOT_SESSION_TOKEN_S)
        }
        _ => return Err(Error::InvalidCredentials),
    };
    let duration_s = duration_s.unwrap_or(limits::SESSION_TOKEN_DEFAULT_S).min(longest_s);
    let claims = plain(tx, Some(&account), subject, i64::from(duration_s).saturating_mul(1_000))?;
    let (credentials, _) = issue(tx, &claims)?;
    Ok(Output::Session { credentials, assumed: None, packed_percent: None, source_identity: None })
}

/// Issues a session with which a service calls onward in the name of the caller whose request it presents: for
/// what its manifest declares, within what the caller may do, for five minutes and no longer than the caller's own.
///
/// Errors: `Invalid` for a service that declares nothing, and for a caller in whose name nobody can call.
pub fn forward(tx: &mut Tx<'_>, service: &Service, caller: &Identity) -> Result<Output, Error> {
    let account = caller.home()?;
    if service.forward.of(tx.dialect(&account)?).is_none() {
        return Err(Error::Invalid {
            field: "forward",
            message: format!(
                "the manifest of `{}` declares no onward calls in the language of account {account}",
                service.name
            ),
        });
    }
    let first = Claims {
        via: Some(service.name.clone()),
        ..plain(tx, Some(&account), subject(caller)?, limits::FORWARD_ACCESS_MS)?
    };
    // Of a session all that binds it goes on: its policies, its end, and the time that a release looks at.
    let claims = match &caller.session {
        None => first,
        Some(own) => Claims {
            session: first.session,
            key: first.key,
            expires_ms: first.expires_ms.min(own.expires_ms),
            via: first.via,
            ..(**own).clone()
        },
    };
    tx.touch(&account, caller.name());
    let (credentials, _) = issue(tx, &claims)?;
    Ok(Output::Session { credentials, assumed: None, packed_percent: None, source_identity: None })
}

/// A session that begins now and carries nothing but its subject.
pub(crate) fn plain(
    tx: &mut Tx<'_>,
    account: Option<&AccountId>,
    subject: Subject,
    length_ms: i64,
) -> Result<Claims, Error> {
    let now = tx.now();
    Ok(Claims {
        session: tx.random_hex(16),
        key: tx.new_key_id(KeyClass::Session, account)?,
        subject,
        issued_ms: now,
        expires_ms: now.saturating_add(length_ms),
        first_ms: now,
        policy: None,
        policies: Vec::new(),
        tags: Tags::default(),
        transitive: BTreeSet::new(),
        source_identity: None,
        via: None,
    })
}

/// In whose name a service can call onward.
fn subject(caller: &Identity) -> Result<Subject, Error> {
    let nobody = |why: &str| Error::Invalid { field: "forwarded", message: why.to_owned() };
    if caller.via().is_some() {
        return Err(nobody("the request is an onward call already; it goes no further"));
    }
    if let Some(own) = &caller.session {
        return match &caller.kind {
            IdentityKind::Role(role) if matches!(role.kind, RoleKind::Linked(_)) => {
                Err(nobody("the caller is a service with its role, and acts for itself"))
            }
            // No policy binds an account's root in every dialect, so none could bind this.
            IdentityKind::Root => {
                Err(nobody("nobody calls onward in the name of an account's root"))
            }
            _ => Ok(own.subject.clone()),
        };
    }
    let none = || nobody("the caller is neither a user nor a role's session");
    let (account, key) = (caller.home()?, caller.key.clone().ok_or_else(none)?);
    match &caller.kind {
        IdentityKind::User(user) => Ok(Subject::User { account, user: user.id.clone(), key }),
        _ => Err(none()),
    }
}

pub(crate) fn issue(tx: &mut Tx<'_>, claims: &Claims) -> Result<(Credentials, usize), Error> {
    let text = serde_json::to_vec(claims).map_err(|_| Error::Internal("claims not written"))?;
    let nonce = tx.random();
    let token = tx.keyring().seal_token(&text, nonce);
    if token.len() > limits::TOKEN_SIZE {
        return Err(Error::SessionTooLarge(token.len() * 100 / limits::TOKEN_SIZE));
    }
    let size = token.len();
    tx.note("accessKeyId", claims.key.to_string());
    tx.note("expirationMs", claims.expires_ms.to_string());
    let credentials = Credentials {
        secret: tx.keyring().session_secret(&claims.session, claims.key.as_str()),
        key: claims.key.clone(),
        token,
        expires_ms: claims.expires_ms,
    };
    Ok((credentials, size))
}
