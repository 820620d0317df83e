//! Service-linked roles: made from a template of the catalogue, for one service, in one account.
//!
//! Not here: their deletion ([`crate::deletion`]), their use ([`crate::usage`]), and every
//! operation that any role has ([`crate::role`], where a linked role has nothing to alter).

use crate::caller::{Identity, Source};
use crate::error::{Entity, Error, Quota};
use crate::output::{Output, PreviewView};
use crate::rows::*;
use crate::state::State;
use crate::text::*;
use crate::tx::{Class, Tx};
use crate::{authorize, limits, role};
use policy::{Dialect, name};
use std::sync::Arc;

/// The path under which service-linked roles and their policies live. [src: AWS.md 2.1]
pub const RESERVED_PATH: &str = "/aws-service-role/";
/// What their names begin with in an account of the AWS dialect.
pub const AWS_PREFIX: &str = "AWSServiceRoleFor";
/// What their names begin with in an account of the Alibaba dialect.
pub const ALIBABA_PREFIX: &str = "AliyunServiceRoleFor";

/// Whether an ordinary role may not have this name, because it would pass for a linked one.
pub fn is_reserved_name(role: &RoleName) -> bool {
    let folded = role.folded();
    [AWS_PREFIX, ALIBABA_PREFIX]
        .iter()
        .any(|prefix| folded.as_str().starts_with(&prefix.to_ascii_lowercase()))
}

/// The path of the roles of a principal.
pub fn path_of(principal: &str) -> String {
    format!("{RESERVED_PATH}{principal}/")
}

/// The ARN that a role of this principal would have; of an unknown principal, that of any role.
///
/// Errors: those of the name.
pub fn future_arn(
    tx: &Tx<'_>,
    account: &AccountId,
    principal: &str,
    suffix: Option<&Suffix>,
) -> Result<String, Error> {
    let dialect = tx.dialect(account)?;
    let known = ServiceName::parse(principal).ok();
    let template = known.as_ref().and_then(|p| tx.state().template(p));
    let role = match template {
        Some((_, template)) => match suffix {
            Some(suffix) => format!("{}_{suffix}", template.role_name(dialect)),
            None => template.role_name(dialect),
        },
        None => "*".to_owned(),
    };
    Ok(name::role(dialect, account.as_str(), &path_of(principal), &role))
}

/// Makes a service-linked role for a caller.
///
/// Errors: `UnknownServicePrincipal`; `SuffixRefused`; `RoleNameTooLong`; `RoleNameTaken`;
/// `QuotaExceeded` only for the number of roles of this one service.
pub fn create(
    tx: &mut Tx<'_>,
    account: &AccountId,
    principal: &str,
    suffix: Option<&Suffix>,
    description: Option<&Description>,
) -> Result<Output, Error> {
    let (service, template) = template(tx, account, principal)?;
    let dialect = tx.dialect(account)?;
    let name = role_name(dialect, &template, suffix)?;
    // In the Alibaba dialect only one of several roles is told apart by a description.
    if dialect == Dialect::Alibaba
        && description.is_some()
        && template.suffix == SuffixRule::Refused
    {
        return Err(Error::DescriptionRefused(template.principal));
    }
    let given = match dialect {
        Dialect::Aws => None,
        Dialect::Alibaba => template.description.as_ref(),
    };
    let description = description.or(given);
    if tx.state().role(account, &name.folded()).is_some() {
        return Err(Error::RoleNameTaken(name));
    }
    let role = make(tx, account, &service, &template, name, suffix, description.cloned())?;
    Ok(Output::Role(role::view(tx, &role)))
}

/// Makes a service-linked role for its service, in the name of the caller whose request the
/// service received, unless it is there.
///
/// Errors: as [`create`] but for `RoleNameTaken`, which only an ordinary role can cause;
/// `AccessDenied` when the caller may not make it; `ConsentMissing` in an account that wants its own
/// principals to make such roles. Nothing is half made.
pub fn ensure(
    tx: &mut Tx<'_>,
    service: &Arc<Service>,
    on_behalf: &Identity,
    source: &Source,
    principal: &str,
    suffix: Option<&Suffix>,
) -> Result<Output, Error> {
    let account = on_behalf.home()?;
    let template = own_template(tx, &account, service, principal)?;
    let name = role_name(tx.dialect(&account)?, &template, suffix)?;
    if let Some(found) = existing(tx, &account, &template, &name)? {
        tx.touch(&account, tx.role_arn(&found));
        return Ok(Output::Ensured { role: role::view(tx, &found), created: false });
    }
    let arn = future_arn(tx, &account, principal, suffix)?;
    tx.touch(&account, arn.clone());
    authorize::check_creation(tx, on_behalf, source, principal, &arn, service)?;
    bring(tx, &account, service, &template, name, suffix)
}

/// The template behind a principal, which must be the service's own.
fn own_template(
    tx: &Tx<'_>,
    account: &AccountId,
    service: &Service,
    principal: &str,
) -> Result<Template, Error> {
    let (owner, template) = template(tx, account, principal)?;
    if owner.name != service.name {
        return Err(Error::UnknownServicePrincipal(principal.to_owned()));
    }
    Ok(template)
}

/// The role that is there already under a template's name.
///
/// Errors: `RoleNameTaken` by an ordinary role.
fn existing(
    tx: &Tx<'_>,
    account: &AccountId,
    template: &Template,
    name: &RoleName,
) -> Result<Option<Arc<Role>>, Error> {
    let Some(found) = tx.state().role(account, &name.folded()) else { return Ok(None) };
    match &found.kind {
        RoleKind::Linked(l) if l.template.principal == template.principal => {
            Ok(Some(found.clone()))
        }
        _ => Err(Error::RoleNameTaken(name.clone())),
    }
}

/// Makes a role that its service asks for.
///
/// Errors: `ConsentMissing`; those of [`make`].
fn bring(
    tx: &mut Tx<'_>,
    account: &AccountId,
    service: &Arc<Service>,
    template: &Template,
    name: RoleName,
    suffix: Option<&Suffix>,
) -> Result<Output, Error> {
    if crate::account::find(tx, account)?.terms.requires_consent {
        return Err(Error::ConsentMissing(template.principal.clone()));
    }
    let description = template.description.clone();
    let role = make(tx, account, service, template, name, suffix, description)?;
    Ok(Output::Ensured { role: role::view(tx, &role), created: true })
}

/// Makes another role of a service in an account that has one of its roles already: the service has grown, and
/// the account uses it. Nobody has to call it for that; the account's trail tells.
///
/// Errors: `UnknownServicePrincipal`; `NoSuchEntity` for an account without a role of the service, as for one that
/// is not there; `ConsentMissing`; `RoleNameTaken` by an ordinary role.
pub fn introduce(
    tx: &mut Tx<'_>,
    service: &Arc<Service>,
    account: &AccountId,
    principal: &str,
) -> Result<Output, Error> {
    // Before all else: whether an account is there is no business of a service that it does not use.
    if tx.state().linked_roles(&service.name, Some(account)).next().is_none() {
        return Err(Error::NoSuchEntity(Entity::Account(account.to_string())));
    }
    let template = own_template(tx, account, service, principal)?;
    let name = role_name(tx.dialect(account)?, &template, None)?;
    if let Some(found) = existing(tx, account, &template, &name)? {
        return Ok(Output::Ensured { role: role::view(tx, &found), created: false });
    }
    let arn = future_arn(tx, account, principal, None)?;
    let made = bring(tx, account, service, &template, name, None)?;
    tx.touch(account, arn);
    Ok(made)
}

/// The role that [`create`] would make, with what it could do; nothing is made.
///
/// Errors: as [`create`].
pub fn preview(
    tx: &Tx<'_>,
    account: &AccountId,
    principal: &str,
    suffix: Option<&Suffix>,
) -> Result<Output, Error> {
    let (service, template) = template(tx, account, principal)?;
    let dialect = tx.dialect(account)?;
    let name = role_name(dialect, &template, suffix)?;
    let terms = crate::account::find(tx, account)?.terms.clone();
    Ok(Output::Preview(Box::new(PreviewView {
        arn: name::role(dialect, account.as_str(), &path_of(principal), name.as_str()),
        exists: tx.state().role(account, &name.folded()).is_some(),
        dialect,
        ceiling: terms.ceilings.get(&template.principal).cloned(),
        terms,
        service,
        template,
    })))
}

/// The version of its template's permissions that counts for a role: the latest, or in an account that holds
/// updates the one that was last accepted.
pub fn version_in_force(state: &State, account: &AccountId, template: &TemplateRef) -> u32 {
    let holds = state.account(account).is_some_and(|account| account.terms.holds_updates);
    let latest = state.template(&template.principal).map(|(_, found)| found.version);
    latest.filter(|_| !holds).unwrap_or(template.version)
}

/// Longest life of a session of a role, in seconds: for a service-linked role what its service says now.
pub fn max_session_s(state: &State, role: &Role) -> u32 {
    let RoleKind::Linked(linked) = &role.kind else { return role.max_session_s };
    let found = state.template(&linked.template.principal);
    found.map_or(role.max_session_s, |(_, template)| template.max_session_s)
}

/// What the catalogue says of the role of one principal, or of all that this account can have.
///
/// Errors: `UnknownServicePrincipal`.
pub fn templates(
    tx: &Tx<'_>,
    account: &AccountId,
    principal: Option<&str>,
) -> Result<Output, Error> {
    if let Some(principal) = principal {
        return Ok(Output::Templates(vec![template(tx, account, principal)?]));
    }
    let dialect = tx.dialect(account)?;
    let all = tx.state().services().flat_map(|s| s.templates.values().map(move |t| (s, t)));
    let offered = all.filter(|(_, t)| t.is_offered_in(dialect));
    Ok(Output::Templates(offered.map(|(s, t)| (s.clone(), t.clone())).collect()))
}

/// The service and template behind a principal, byte for byte.
fn template(
    tx: &Tx<'_>,
    account: &AccountId,
    principal: &str,
) -> Result<(Arc<Service>, Template), Error> {
    let unknown = || Error::UnknownServicePrincipal(principal.to_owned());
    let name = ServiceName::parse(principal).map_err(|_| unknown())?;
    let (service, template) = tx.state().template(&name).ok_or_else(unknown)?;
    // A role without permissions in the account's language would be one that can do nothing.
    if !template.is_offered_in(tx.dialect(account)?) {
        return Err(unknown());
    }
    Ok((service.clone(), template.clone()))
}

fn role_name(
    dialect: Dialect,
    template: &Template,
    suffix: Option<&Suffix>,
) -> Result<RoleName, Error> {
    let base = template.role_name(dialect);
    let text = match (suffix, template.suffix) {
        (Some(_), SuffixRule::Refused) => {
            return Err(Error::SuffixRefused(template.principal.clone()));
        }
        (Some(suffix), SuffixRule::Optional) => format!("{base}_{suffix}"),
        (None, _) => base,
    };
    RoleName::parse(&text).map_err(|_| Error::RoleNameTooLong(text))
}

fn make(
    tx: &mut Tx<'_>,
    account: &AccountId,
    service: &Arc<Service>,
    template: &Template,
    name: RoleName,
    suffix: Option<&Suffix>,
    description: Option<Description>,
) -> Result<Arc<Role>, Error> {
    // The role quota does not bind service-linked roles; only their own cap on suffixes does.
    let suffixed =
        |role: &&Arc<Role>| matches!(&role.kind, RoleKind::Linked(l) if l.suffix.is_some());
    let made = tx.state().linked_roles(&service.name, Some(account)).filter(suffixed).count();
    if suffix.is_some() && made >= limits::LINKED_ROLES_PER_SERVICE {
        return Err(Error::QuotaExceeded(Quota::LinkedRoles, limits::LINKED_ROLES_PER_SERVICE));
    }
    let id = tx.new_id(account, Class::Role)?;
    let path = Path::parse(&path_of(template.principal.as_str()))
        .map_err(|_| Error::Internal("role path"))?;
    let row = Role {
        account: account.clone(),
        id,
        name,
        path,
        created_ms: tx.now(),
        updated_ms: 0,
        description,
        tags: Tags::default(),
        max_session_s: template.max_session_s,
        not_before_ms: 0,
        kind: RoleKind::Linked(LinkedRole {
            template: TemplateRef {
                service: service.name.clone(),
                principal: template.principal.clone(),
                version: template.version,
            },
            suffix: suffix.cloned(),
            status: RoleStatus::Active { epoch: 0 },
        }),
    };
    tx.note("roleId", row.id.to_string());
    Ok(role::store(tx, row))
}

/// The roles of one principal in one account.
pub fn roles_of<'a>(
    tx: &'a Tx<'_>,
    account: &'a AccountId,
    principal: &'a ServiceName,
) -> impl Iterator<Item = &'a Arc<Role>> {
    tx.state().roles_of(account, None).filter(
        move |role| matches!(&role.kind, RoleKind::Linked(l) if l.template.principal == *principal),
    )
}
