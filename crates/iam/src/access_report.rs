//! The access advisor: which services a user, group, role or policy can reach, and when it last tried.
//!
//! A report's id seals what it is about, so that nothing is kept for it and the answer is worked out when it is asked
//! for. What is reached is what permissions policies allow, less the services that they deny as a whole and those
//! beyond a boundary. [src: AWS.md 3.4] Not here: how uses come to be known ([`crate::access`]).

use crate::authorize;
use crate::caller::{Identity, IdentityKind};
use crate::command::{AccessOf, Command as C, Paging, PolicyOwner, ReportOf, ReportTarget};
use crate::error::{Entity, Error};
use crate::limits;
use crate::listing;
use crate::managed_policy;
use crate::operations::Family;
use crate::output::*;
use crate::rows::*;
use crate::state::{EntityRef, Link};
use crate::text::*;
use crate::tx::Tx;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use policy::coverage::covers_action;
use policy::{Actions, Dialect, Pattern, Resources, StatementEffect};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a report is about, found.
#[derive(Clone)]
enum Subject {
    User(Arc<User>),
    Group(Arc<Group>),
    Role(Arc<Role>),
    Policy(PolicyRef),
}

/// A report: what it is about, whether with actions, and when it was asked for, in seconds since 1970.
struct Job {
    subject: Subject,
    with_actions: bool,
    at_s: u32,
}

impl ReportTarget {
    fn missing(&self) -> Error {
        Error::NoSuchEntity(Entity::Reported(self.text.clone()))
    }
}

/// Runs the operations of the access advisor.
pub fn run(tx: &Tx<'_>, me: &Identity, account: &AccountId, c: &C) -> Result<Output, Error> {
    match c {
        C::GenerateServiceLastAccessedDetails { of, with_actions } => {
            let subject = find(tx, me, account, of)?;
            let at_s = u32::try_from(tx.now().div_euclid(1_000)).unwrap_or(u32::MAX);
            let job = Job { subject, with_actions: *with_actions, at_s };
            Ok(Output::AccessJob(seal(tx, me, account, &job)?))
        }
        C::GetServiceLastAccessedDetails { job: id, paging } => {
            let job = open(tx, me, account, id)?;
            let found = services(tx, account, &job.subject);
            let place = ["GetServiceLastAccessedDetails", id.as_str()];
            let key = |item: &ServiceAccess| item.service.to_string();
            let page = listing::cut(tx, account, &place, paging, found.into_iter(), key, |i| i)?;
            let view =
                ReportView { with_actions: job.with_actions, at_s: job.at_s, services: page };
            Ok(Output::AccessReport(Box::new(view)))
        }
        C::GetServiceLastAccessedDetailsWithEntities { job: id, service, paging } => {
            let job = open(tx, me, account, id)?;
            let is_known = || names(tx, account).contains_key(service);
            let is_told =
                || services(tx, account, &job.subject).iter().any(|s| s.service == *service);
            if !is_known() && !is_told() {
                return Err(Error::Invalid {
                    field: "ServiceNamespace",
                    // The vendor's text, with its slip.
                    message: format!(
                        "Service namepace {service} is either invalid or unsupported."
                    ),
                });
            }
            let entities = entities(tx, account, &job.subject, service, id, paging)?;
            Ok(Output::AccessEntities { at_s: job.at_s, entities })
        }
        C::ListPoliciesGrantingServiceAccess { of, services } => {
            let subject = find(tx, me, account, of)?;
            let granting = services.iter().map(|service| {
                let granting = granting(tx, account, &subject, service);
                (service.clone(), granting)
            });
            Ok(Output::GrantingPolicies(granting.collect()))
        }
        C::GetAccess { of } => access(tx, account, of),
        _ => Err(Error::Internal("not an operation of the access advisor")),
    }
}

fn find(
    tx: &Tx<'_>,
    me: &Identity,
    account: &AccountId,
    target: &ReportTarget,
) -> Result<Subject, Error> {
    let state = tx.state();
    // Whether another account has it is not told.
    let owner = match &target.of {
        ReportOf::Policy(policy) => match &policy.owner {
            PolicyOwner::Account(owner) => owner,
            _ => account,
        },
        _ => &target.account,
    };
    if owner != account {
        return Err(Error::ReportDenied(me.name(), target.text.clone()));
    }
    Ok(match &target.of {
        ReportOf::User(name) => {
            let row = state.user(account, &name.folded()).cloned();
            Subject::User(row.ok_or_else(|| target.missing())?)
        }
        ReportOf::Group(name) => {
            let row = state.group(account, &name.folded()).cloned();
            Subject::Group(row.ok_or_else(|| target.missing())?)
        }
        ReportOf::Role(name) => {
            let row = state.role(account, &name.folded()).cloned();
            Subject::Role(row.ok_or_else(|| target.missing())?)
        }
        ReportOf::Policy(policy) => {
            let found = managed_policy::find_usable(tx, account, policy);
            Subject::Policy(found.map_err(|_| target.missing())?)
        }
    })
}

/// Bytes of a report's id: a kind, the unique id, the time and what proves them.
const ID: usize = 14;
const PROOF: usize = 8;

fn seal(tx: &Tx<'_>, me: &Identity, account: &AccountId, job: &Job) -> Result<String, Error> {
    let (kind, id) = match &job.subject {
        Subject::User(row) => (0, row.id.to_string()),
        Subject::Group(row) => (1, row.id.to_string()),
        Subject::Role(row) => (2, row.id.to_string()),
        Subject::Policy(policy) => (3, managed_policy::id_of(policy)),
    };
    let number = number_of(&id).ok_or(Error::Internal("a unique id does not fit a report's"))?;
    let mut bytes = vec![kind | (u8::from(job.with_actions) << 7)];
    bytes.extend(number.to_be_bytes().iter().skip(16 - ID));
    bytes.extend(job.at_s.to_be_bytes());
    let proof = proof(tx, me, account, &bytes);
    bytes.extend(proof);
    Ok(BASE64.encode(bytes))
}

/// What a report's id says; of one that is forged, another's, too old, or about what is gone, nothing.
fn open(tx: &Tx<'_>, me: &Identity, account: &AccountId, id: &str) -> Result<Job, Error> {
    let missing = || Error::NoSuchEntity(Entity::AccessReport(id.to_owned()));
    let bytes = BASE64.decode(id).map_err(|_| missing())?;
    let (body, shown) = bytes.split_last_chunk::<PROOF>().ok_or_else(missing)?;
    let proof = crate::seal::hex(&proof(tx, me, account, body));
    if !crate::seal::equal(&crate::seal::hex(shown), &proof) {
        return Err(missing());
    }
    let (kind, rest) = body.split_first().ok_or_else(missing)?;
    let (number, at) = rest.split_first_chunk::<ID>().ok_or_else(missing)?;
    let at_s = u32::from_be_bytes(*at.first_chunk::<4>().ok_or_else(missing)?);
    if i64::from(at_s) * 1_000 + limits::REPORT_KEPT_MS < tx.now() {
        return Err(missing());
    }
    let id = text_of(number.iter().fold(0, |n, byte| (n << 8) | u128::from(*byte)));
    let state = tx.state();
    let subject = match kind & 3 {
        0 => {
            UserId::parse(&id).ok().and_then(|id| state.user_by_id(&id)).cloned().map(Subject::User)
        }
        1 => {
            let id = GroupId::parse(&id).ok();
            id.and_then(|id| state.group_by_id(&id)).cloned().map(Subject::Group)
        }
        2 => {
            RoleId::parse(&id).ok().and_then(|id| state.role_by_id(&id)).cloned().map(Subject::Role)
        }
        _ => managed_policy::of_id(tx, account, &id).map(Subject::Policy),
    };
    Ok(Job { subject: subject.ok_or_else(missing)?, with_actions: kind & 0x80 != 0, at_s })
}

/// What proves an id: only for the account and the user or role that asked for the report. [src: the same]
fn proof(tx: &Tx<'_>, me: &Identity, account: &AccountId, body: &[u8]) -> [u8; PROOF] {
    let asker = match &me.kind {
        IdentityKind::User(user) => user.id.as_str(),
        IdentityKind::Role(role) => role.id.as_str(),
        _ => "root",
    };
    tx.keyring().prove_report(&[account.as_str(), asker, &crate::seal::hex(body)])
}

/// A unique id as a number: its digits to the base of 36 behind a one.
fn number_of(id: &str) -> Option<u128> {
    id.chars()
        .try_fold(1u128, |n, c| n.checked_mul(36)?.checked_add(c.to_digit(36)?.into()))
        .filter(|n| *n < 1 << (8 * ID))
}

fn text_of(mut number: u128) -> String {
    let mut letters = Vec::new();
    while number > 1 {
        let digit = u32::try_from(number % 36).ok().and_then(|n| char::from_digit(n, 36));
        letters.extend(digit.map(|c| c.to_ascii_uppercase()));
        number /= 36;
    }
    letters.iter().rev().collect()
}

/// Who is meant by a report: whose uses it tells.
fn members(tx: &Tx<'_>, account: &AccountId, subject: &Subject) -> Vec<Who> {
    let state = tx.state();
    let user = |row: &Arc<User>| Who::of_user(tx, row);
    let role = |row: &Arc<Role>| Who::of_role(tx, row);
    match subject {
        Subject::User(row) => user(row).into_iter().collect(),
        Subject::Role(row) => role(row).into_iter().collect(),
        Subject::Group(row) => {
            row.members.keys().filter_map(|id| state.user_by_id(id)).filter_map(user).collect()
        }
        Subject::Policy(policy) => {
            let mut found = Vec::new();
            for (entity, link) in state.links_of(policy) {
                match entity {
                    _ if link != Link::Attached => {}
                    EntityRef::User(owner, name) if owner == account => {
                        found.extend(state.user(owner, name).and_then(user));
                    }
                    EntityRef::Role(owner, name) if owner == account => {
                        found.extend(state.role(owner, name).and_then(role));
                    }
                    EntityRef::Group(owner, name) if owner == account => {
                        let members = state.group(owner, name).map(|g| g.members.keys());
                        let members = members.into_iter().flatten();
                        found
                            .extend(members.filter_map(|id| state.user_by_id(id)).filter_map(user));
                    }
                    _ => {}
                }
            }
            let dialect = tx.dialect(account).unwrap_or_default();
            if let Some(template) = managed_policy::linked_template(tx, dialect, policy) {
                let roles = crate::linked::roles_of(tx, account, &template.principal);
                found.extend(roles.filter_map(role));
            }
            found.sort_by(|a, b| a.id.cmp(&b.id));
            found.dedup_by(|a, b| a.id == b.id);
            found
        }
    }
}

impl Who {
    fn of_user(tx: &Tx<'_>, row: &User) -> Option<Self> {
        Some(Self {
            arn: tx.user_arn(row),
            id: PrincipalId::parse(row.id.as_str()).ok()?,
            name: row.name.to_string(),
            path: row.path.clone(),
            is_role: false,
        })
    }

    fn of_role(tx: &Tx<'_>, row: &Role) -> Option<Self> {
        Some(Self {
            arn: tx.role_arn(row),
            id: PrincipalId::parse(row.id.as_str()).ok()?,
            name: row.name.to_string(),
            path: row.path.clone(),
            is_role: true,
        })
    }
}

/// The services of a report in order: those that are reached, and of a user or role those that it tried, too.
fn services(tx: &Tx<'_>, account: &AccountId, subject: &Subject) -> Vec<ServiceAccess> {
    let names = names(tx, account);
    let mut all: BTreeSet<Namespace> = BTreeSet::new();
    let documents: Vec<_> =
        documents(tx, account, subject).into_iter().map(|(_, document)| document).collect();
    for policy in &documents {
        all.extend(reached(policy, names.keys()));
    }
    let bounds = bounds(tx, account, subject);
    let within = |bounds: &[PermissionsPolicy], service: &Namespace| {
        let one = || std::iter::once(service);
        bounds.iter().any(|policy| reached(policy, one()).contains(service))
    };
    all.retain(|service| {
        let all = documents.iter().chain(bounds.iter().flatten());
        !all.into_iter().any(|policy| denies(policy, service))
            && bounds.as_ref().is_none_or(|bounds| within(bounds, service))
    });
    let who = members(tx, account, subject);
    let oldest_ms = tx.now().saturating_sub(limits::ACCESS_KEPT_MS);
    if let (Subject::User(_) | Subject::Role(_), [one]) = (subject, who.as_slice()) {
        let rows = tx.state().accesses_of(&one.id).filter(|row| row.last.at_ms >= oldest_ms);
        all.extend(rows.map(|row| row.service.clone()));
    }
    let told = |service: Namespace| {
        let display_name = names.get(&service).cloned();
        let mut found = ServiceAccess {
            display_name: display_name.unwrap_or_else(|| service.to_string()),
            service,
            entities: 0,
            last: None,
            actions: BTreeMap::new(),
        };
        for who in &who {
            let row = tx.state().access(&who.id, &found.service);
            let Some(row) = row.filter(|row| row.last.at_ms >= oldest_ms) else { continue };
            found.entities += 1;
            newest(&mut found.last, who, &row.last);
            for (action, seen) in row.actions.iter().filter(|(_, s)| s.at_ms >= oldest_ms) {
                let mut last = found.actions.remove(action);
                newest(&mut last, who, seen);
                found.actions.extend(last.map(|last| (action.clone(), last)));
            }
        }
        found
    };
    all.into_iter().map(told).collect()
}

fn newest(last: &mut Option<(String, Seen)>, who: &Who, seen: &Seen) {
    if last.as_ref().is_none_or(|(_, old)| old.at_ms < seen.at_ms) {
        *last = Some((who.arn.clone(), seen.clone()));
    }
}

/// Who of a report could reach a service, whoever tried last first.
fn entities(
    tx: &Tx<'_>,
    account: &AccountId,
    subject: &Subject,
    service: &Namespace,
    id: &str,
    paging: &Paging,
) -> Result<Page<(Who, Option<i64>)>, Error> {
    let oldest_ms = tx.now().saturating_sub(limits::ACCESS_KEPT_MS);
    let tried = |who: &Who| {
        let row = tx.state().access(&who.id, service);
        row.map(|row| row.last.at_ms).filter(|at| *at >= oldest_ms)
    };
    let mut all: Vec<_> = members(tx, account, subject)
        .into_iter()
        .map(|who| {
            let at = tried(&who);
            (who, at)
        })
        .collect();
    let key =
        |(who, at): &(Who, Option<i64>)| format!("{:020} {}", i64::MAX - at.unwrap_or(0), who.id);
    all.sort_by_key(key);
    let place = ["GetServiceLastAccessedDetailsWithEntities", id, service.as_str()];
    listing::cut(tx, account, &place, paging, all.into_iter(), key, |item| item)
}

/// The policies that say what the subject may, with what refers to them.
fn documents(
    tx: &Tx<'_>,
    account: &AccountId,
    subject: &Subject,
) -> Vec<(Granting, PermissionsPolicy)> {
    let dialect = tx.dialect(account).unwrap_or_default();
    let state = tx.state();
    let own = |grants: &Grants, kind: OwnerKind, name: &str| {
        let attached = grants.attached.keys().filter_map(|policy| {
            let (found, document) = authorize::managed(state, dialect, policy)?;
            let arn = managed_policy::arn_of(tx, account, policy);
            Some((Granting { policy: found, by: GrantedBy::Managed { arn } }, document))
        });
        let inline = grants.inline.iter().map(|(policy, document)| {
            let by = GrantedBy::Inline { kind, name: name.to_owned() };
            (Granting { policy: policy.to_string(), by }, document.clone())
        });
        attached.chain(inline).collect::<Vec<_>>()
    };
    match subject {
        Subject::User(row) => {
            let mut all = own(&row.grants, OwnerKind::User, row.name.as_str());
            for group in state.groups_of(&row.id) {
                all.extend(own(&group.grants, OwnerKind::Group, group.name.as_str()));
            }
            all
        }
        Subject::Group(row) => own(&row.grants, OwnerKind::Group, row.name.as_str()),
        Subject::Role(row) => match &row.kind {
            RoleKind::Own(kind) => own(&kind.grants, OwnerKind::Role, row.name.as_str()),
            RoleKind::Linked(linked) => {
                let found = authorize::template(state, dialect, row, linked).into_iter();
                let path =
                    Path::parse(crate::linked::RESERVED_PATH).unwrap_or_else(|_| Path::root());
                found
                    .filter_map(|(policy, document)| {
                        let name = PolicyName::parse(&policy).ok()?;
                        let policy_ref = PolicyRef::System { path: path.clone(), name };
                        let arn = managed_policy::arn_of(tx, account, &policy_ref);
                        Some((Granting { policy, by: GrantedBy::Managed { arn } }, document))
                    })
                    .collect()
            }
        },
        Subject::Policy(policy) => {
            let linked = managed_policy::linked_template(tx, dialect, policy).and_then(|t| {
                Some((t.policy.to_string(), t.versions.get(&t.version)?.of(dialect)?.clone()))
            });
            let found = linked.or_else(|| authorize::managed(state, dialect, policy));
            let arn = managed_policy::arn_of(tx, account, policy);
            let by = GrantedBy::Managed { arn };
            found
                .map(|(policy, document)| (Granting { policy, by }, document))
                .into_iter()
                .collect()
        }
    }
}

fn granting(
    tx: &Tx<'_>,
    account: &AccountId,
    subject: &Subject,
    service: &Namespace,
) -> Vec<Granting> {
    let all = documents(tx, account, subject).into_iter();
    all.filter(|(_, policy)| reached(policy, std::iter::once(service)).contains(service))
        .map(|(granting, _)| granting)
        .collect()
}

/// The services that a policy's allowing statements reach: of the known ones those that fit, and those it names.
fn reached<'a>(
    policy: &PermissionsPolicy,
    known: impl Iterator<Item = &'a Namespace> + Clone,
) -> BTreeSet<Namespace> {
    let mut found = BTreeSet::new();
    let allows = policy.document().statements().iter();
    for statement in allows.filter(|s| s.effect == StatementEffect::Allow) {
        let fits = |service: &&Namespace| match &statement.actions {
            Actions::Only(patterns) => patterns.iter().any(|p| meets(p, service)),
            Actions::AllBut(patterns) => {
                let all = Pattern::new(&format!("{service}:*"));
                !patterns.iter().any(|p| covers_action(p, &all))
            }
        };
        found.extend(known.clone().filter(fits).cloned());
        if let Actions::Only(patterns) = &statement.actions {
            let named = patterns.iter().filter_map(|p| p.text().split_once(':'));
            found.extend(named.filter_map(|(s, _)| Namespace::parse(&s.to_ascii_lowercase()).ok()));
        }
    }
    found
}

/// The documents of the boundary of a user or role, where it has one. One that is gone allows nothing.
fn bounds(tx: &Tx<'_>, account: &AccountId, subject: &Subject) -> Option<Vec<PermissionsPolicy>> {
    let boundary = match subject {
        Subject::User(row) => row.grants.boundary.as_ref()?,
        Subject::Role(row) => match &row.kind {
            RoleKind::Own(kind) => kind.grants.boundary.as_ref()?,
            RoleKind::Linked(_) => return None,
        },
        Subject::Group(_) | Subject::Policy(_) => return None,
    };
    let dialect = tx.dialect(account).unwrap_or_default();
    let found = authorize::managed(tx.state(), dialect, boundary);
    Some(found.into_iter().map(|(_, document)| document).collect())
}

/// Whether a policy denies all of a service, everywhere and always.
fn denies(policy: &PermissionsPolicy, service: &Namespace) -> bool {
    let all = Pattern::new(&format!("{service}:*"));
    policy.document().statements().iter().any(|statement| {
        let everywhere = match &statement.resources {
            Resources::Only(patterns) => patterns.iter().any(|p| p.text() == "*"),
            _ => false,
        };
        let whole = match &statement.actions {
            Actions::Only(patterns) => patterns.iter().any(|p| covers_action(p, &all)),
            Actions::AllBut(_) => false,
        };
        let always = statement.conditions.is_empty();
        statement.effect == StatementEffect::Deny && everywhere && always && whole
    })
}

/// Whether a pattern fits some action of a service.
fn meets(pattern: &Pattern, service: &Namespace) -> bool {
    match pattern.text().split_once(':') {
        None => pattern.text() == "*",
        Some((prefix, _)) => {
            Pattern::new(&format!("{prefix}:*")).matches_action(&format!("{service}:Any"))
        }
    }
}

/// The names for people of the services that an account's policies can name.
fn names(tx: &Tx<'_>, account: &AccountId) -> BTreeMap<Namespace, String> {
    let dialect = tx.dialect(account).unwrap_or_default();
    let own = |family: Family| {
        let name = match (family, dialect) {
            (Family::Iam, Dialect::Aws) => "AWS Identity and Access Management",
            (Family::Iam, Dialect::Alibaba) => "Resource Access Management",
            (Family::Sts, _) => "Security Token Service",
            (Family::Trail, Dialect::Aws) => "AWS CloudTrail",
            (Family::Trail, Dialect::Alibaba) => "ActionTrail",
            (Family::Linkrole, _) => "linkrole",
        };
        Namespace::parse(family.prefix(dialect)).ok().map(|prefix| (prefix, name.to_owned()))
    };
    let families = [Family::Iam, Family::Sts, Family::Trail, Family::Linkrole];
    let theirs = tx.state().services().flat_map(|service| {
        let prefixes = service.signing_names.iter().filter_map(|name| Namespace::parse(name).ok());
        prefixes.map(|prefix| (prefix, service.display_name.clone()))
    });
    theirs.chain(families.into_iter().filter_map(own)).collect()
}

/// What is known of one principal or key, in full.
fn access(tx: &Tx<'_>, account: &AccountId, of: &AccessOf) -> Result<Output, Error> {
    let state = tx.state();
    let (name, id, last) = match of {
        AccessOf::Root(asked) if asked == account => {
            let arn = policy::name::root(tx.dialect(account)?, account.as_str());
            (arn, account.to_string(), None)
        }
        AccessOf::Root(asked) => {
            return Err(Error::NoSuchEntity(Entity::Account(asked.to_string())));
        }
        AccessOf::User(name) => {
            let row = crate::user::find(tx, account, name)?;
            (tx.user_arn(&row), row.id.to_string(), None)
        }
        AccessOf::Role(name) => {
            let row = state.role(account, &name.folded()).cloned();
            let row = row.ok_or_else(|| Error::no_role(name))?;
            (tx.role_arn(&row), row.id.to_string(), state.last_use(&Used::Role(row.id.clone())))
        }
        AccessOf::Key(key) => {
            let missing = || Error::NoSuchEntity(Entity::AccessKey(key.to_string()));
            let row = state.key(key).ok_or_else(missing)?;
            match &row.owner {
                KeyOwner::Root(owner) | KeyOwner::User(owner, _) if owner == account => {}
                _ => return Err(missing()),
            }
            (key.to_string(), String::new(), state.last_use(&Used::Key(key.clone())))
        }
    };
    let oldest_ms = tx.now().saturating_sub(limits::ACCESS_KEPT_MS);
    let id = PrincipalId::parse(&id).ok();
    let rows = id.iter().flat_map(|id| state.accesses_of(id));
    let services = rows.filter(|row| row.last.at_ms >= oldest_ms).cloned().collect();
    let sessions = id.as_ref().and_then(|id| state.sessions(id)).cloned();
    // Of root and of a user it is that of the service that was used last.
    let newest = id.iter().flat_map(|id| state.accesses_of(id)).max_by_key(|row| row.last.at_ms);
    let of_service = |row: &Arc<Access>| {
        let Seen { at_ms, region } = row.last.clone();
        Arc::new(LastUse { at_ms, region, service: row.service.to_string() })
    };
    let last = last.cloned().or_else(|| newest.map(of_service));
    Ok(Output::Access(Box::new(AccessView { name, last, sessions, services })))
}
