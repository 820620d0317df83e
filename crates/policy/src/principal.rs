//! Who is meant by the principals of a statement, and how directly.
//!
//! How directly matters: a grant to a session counts for more than one to its role, and one to an account
//! only lets that account's own policies speak. What follows from it is decided in `spec`.

use crate::document::PrincipalEntry;
use crate::name::{self, Entity};
use crate::request::{Principal, PrincipalKind};

/// How directly a principal element names the one who asks, the weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Grant {
    /// The account is named: its identity policies decide. [src: POLICY.md 52]
    Account,
    /// The role of a session, or the user of a federated session, is named. [src: POLICY.md 64, 66]
    Parent,
    /// The one who asks is named, or everybody is. [src: POLICY.md 56, 63, 65]
    Direct,
}

/// How an entry names a principal; `None` if it does not.
pub(crate) fn grant(entry: &PrincipalEntry, principal: &Principal) -> Option<Grant> {
    let direct = |holds: bool| holds.then_some(Grant::Direct);
    match entry {
        PrincipalEntry::Everyone => Some(Grant::Direct),
        PrincipalEntry::Aws { text, .. } => aws_grant(text, principal),
        // Exact text: no case folding, no suffixes. `*` is only stored in denies. [src: POLICY.md 57]
        PrincipalEntry::Service(service) => direct(
            principal.kind == PrincipalKind::Service
                && (service == "*" || principal.service.as_deref() == Some(service)),
        ),
        PrincipalEntry::Federated(provider) => direct(
            matches!(principal.kind, PrincipalKind::WebIdentity | PrincipalKind::Saml)
                && (provider == "*" || principal.provider.as_deref() == Some(provider)),
        ),
        PrincipalEntry::CanonicalUser(id) => {
            let same = principal.canonical_user.as_deref() == Some(id);
            match principal.kind {
                PrincipalKind::CanonicalUser => direct(same),
                kind if has_account(kind) => same.then_some(Grant::Account),
                _ => None,
            }
        }
    }
}

/// Whether such a principal belongs to an account and has policies there.
pub(crate) fn has_account(kind: PrincipalKind) -> bool {
    matches!(
        kind,
        PrincipalKind::User
            | PrincipalKind::Role
            | PrincipalKind::AssumedRole
            | PrincipalKind::FederatedUser
            | PrincipalKind::Root
    )
}

fn aws_grant(text: &str, principal: &Principal) -> Option<Grant> {
    if !has_account(principal.kind) {
        return None;
    }
    if let Some(account) = name::account_of_root(text) {
        return (principal.account.as_deref() == Some(account)).then_some(Grant::Account);
    }
    if principal.arn.as_deref().is_some_and(|arn| is_same(arn, text)) {
        return Some(Grant::Direct);
    }
    if name::is_unique_id(text) {
        return id_grant(text, principal);
    }
    let session =
        matches!(principal.kind, PrincipalKind::AssumedRole | PrincipalKind::FederatedUser);
    (session && is_parent(text, principal)).then_some(Grant::Parent)
}

/// Whether two names of users, roles or sessions are the same.
fn is_same(asking: &str, listed: &str) -> bool {
    asking == listed || name::is_same_ram_role(asking, listed)
}

/// A unique id names its user or role, and the sessions of the role.
fn id_grant(text: &str, principal: &Principal) -> Option<Grant> {
    let id = principal.id.as_deref()?;
    if id == text {
        return Some(Grant::Direct);
    }
    let (parent, _) = id.split_once(':')?;
    (parent == text).then_some(Grant::Parent)
}

/// Whether a text names the role of a session.
///
/// A session's own name lacks the role's path, so without the role's ARN account and name are compared.
/// [src: POLICY.md 54]
fn is_parent(text: &str, principal: &Principal) -> bool {
    if let Some(parent) = &principal.role_arn {
        return is_same(parent, text);
    }
    let session = principal.arn.as_deref().map(name::ram_spelling);
    let session = session.as_deref().and_then(name::parse_entity);
    match (name::parse_entity(text), session) {
        (
            Some(Entity::Role { account, name, .. }),
            Some(Entity::AssumedRole { account: session_account, role, .. }),
        ) => account == session_account && name == role,
        _ => false,
    }
}

/// Whether every name of the one who asks is among the entries: his own, his role's and his account's.
///
/// Only then does a deny with `NotPrincipal` spare him. [src: POLICY.md 60]
pub(crate) fn is_listed_completely(entries: &[PrincipalEntry], principal: &Principal) -> bool {
    let has = |wanted: Grant| entries.iter().any(|e| grant(e, principal) == Some(wanted));
    if entries.contains(&PrincipalEntry::Everyone) {
        return true;
    }
    match principal.kind {
        PrincipalKind::Root => has(Grant::Account) || has(Grant::Direct),
        PrincipalKind::User | PrincipalKind::Role => has(Grant::Direct) && has(Grant::Account),
        PrincipalKind::AssumedRole => {
            has(Grant::Direct) && has(Grant::Parent) && has(Grant::Account)
        }
        PrincipalKind::FederatedUser => has(Grant::Direct) && has(Grant::Account),
        PrincipalKind::WebIdentity
        | PrincipalKind::Saml
        | PrincipalKind::Service
        | PrincipalKind::CanonicalUser
        | PrincipalKind::Anonymous => has(Grant::Direct),
    }
}

/// Whether a role is a service-linked one, told by the path in its ARN and never by its name. [src: POLICY.md 74]
pub fn is_service_linked_role(arn: &str) -> bool {
    match name::parse_entity(arn) {
        Some(Entity::Role { path, .. }) => is_service_linked_path(&path),
        _ => false,
    }
}

/// Whether a path is one reserved for service-linked roles.
pub fn is_service_linked_path(path: &str) -> bool {
    path.starts_with(SERVICE_LINKED_PATH) && path.len() > SERVICE_LINKED_PATH.len()
}

/// The path under which all service-linked roles of the AWS dialect stand.
pub const SERVICE_LINKED_PATH: &str = "/aws-service-role/";
