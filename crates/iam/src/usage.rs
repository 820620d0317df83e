//! What uses a service-linked role: told by its service, and by nobody else.
//!
//! The order is the service's duty and its safety: it registers a use *before* it creates the
//! resource, and removes it *after* the resource is gone. A use does not expire. Each region's set
//! has a version; a service that lost count tells the whole set under the version it read.

use crate::command::*;
use crate::deletion;
use crate::error::{Error, Quota};
use crate::limits;
use crate::output::*;
use crate::role;
use crate::rows::*;
use crate::text::*;
use crate::tx::Tx;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Runs what a service does with its own roles.
pub fn run(tx: &mut Tx<'_>, service: &Service, command: &Command) -> Result<Output, Error> {
    use Command as C;
    match command {
        C::RegisterUsage { target, region, resource } => {
            let row = find(tx, service, target)?;
            check_region(service, region)?;
            register(tx, &row, region, resource)
        }
        C::DeregisterUsage { target, region, resource } => {
            let row = find(tx, service, target)?;
            let changed = tx.state().usage(&row.id, region, resource);
            if changed {
                tx.delete(key(&row, region, resource));
                bump(tx, &row, region);
            }
            let begun = if changed { left(tx, &row)? } else { None };
            answer(tx, &row, region, changed, Deletion { ended: None, begun })
        }
        C::ReconcileUsage { target, region, after_version, resources } => {
            let row = find(tx, service, target)?;
            check_region(service, region)?;
            reconcile(tx, &row, region, *after_version, resources)
        }
        C::ListUsage { target } => {
            let row = find(tx, service, target)?;
            let uses = tx.state().usages_of(&row.id);
            let regions = tx.state().usage_regions(&row.id);
            Ok(Output::UsageList {
                role: role::view(tx, &row),
                usages: uses.map(|u| (u.region.clone(), u.resource.clone())).collect(),
                versions: regions
                    .into_iter()
                    .map(|r| (r.clone(), tx.state().usage_version(&row.id, &r)))
                    .collect(),
                last_session_end_ms: tx.state().ledger_ms(&row.id),
            })
        }
        C::ReleaseSessions { target } => {
            let row = find(tx, service, target)?;
            release(tx, &row)
        }
        C::RetireServiceLinkedRole { target } => {
            let row = find(tx, service, target)?;
            retire(tx, &row)
        }
        _ => Err(Error::Internal("not an operation on usage")),
    }
}

fn register(
    tx: &mut Tx<'_>,
    row: &Arc<Role>,
    region: &Region,
    resource: &ResourceName,
) -> Result<Output, Error> {
    let ended = deletion::use_wins(tx, &row.id, "a use was registered")?;
    let changed = !tx.state().usage(&row.id, region, resource);
    if changed {
        if tx.state().usage_count(&row.id) >= limits::USAGES_PER_ROLE {
            return Err(Error::QuotaExceeded(Quota::Usages, limits::USAGES_PER_ROLE));
        }
        put(tx, row, region, resource);
        bump(tx, row, region);
    }
    answer(tx, row, region, changed, Deletion { ended, begun: None })
}

fn reconcile(
    tx: &mut Tx<'_>,
    row: &Arc<Role>,
    region: &Region,
    after_version: u64,
    resources: &BTreeSet<ResourceName>,
) -> Result<Output, Error> {
    let version = tx.state().usage_version(&row.id, region);
    if version != after_version {
        return Err(Error::Stale(format!(
            "the uses in `{region}` are at version {version}, not {after_version}; list them, \
             compare with the resources there are, and tell the set again"
        )));
    }
    let before: BTreeSet<ResourceName> = tx
        .state()
        .usages_of(&row.id)
        .filter(|u| u.region == *region)
        .map(|u| u.resource.clone())
        .collect();
    let others = tx.state().usage_count(&row.id).saturating_sub(before.len());
    if others.saturating_add(resources.len()) > limits::USAGES_PER_ROLE {
        return Err(Error::QuotaExceeded(Quota::Usages, limits::USAGES_PER_ROLE));
    }
    let mut ended = None;
    if !resources.is_empty() {
        ended = deletion::use_wins(tx, &row.id, "a use was told")?;
    }
    for gone in before.difference(resources) {
        tx.delete(key(row, region, gone));
    }
    for new in resources.difference(&before) {
        put(tx, row, region, new);
    }
    bump(tx, row, region);
    let begun = if resources.is_empty() && !before.is_empty() { left(tx, row)? } else { None };
    answer(tx, row, region, before != *resources, Deletion { ended, begun })
}

/// Ends every session of a role, at once: from this change on none issued before is honoured, and
/// the ledger no longer waits for them.
fn release(tx: &mut Tx<'_>, row: &Arc<Role>) -> Result<Output, Error> {
    // One above the last release, so that it also ends a session opened in the same millisecond
    // after that one: such a session is dated one above it.
    let not_before_ms = tx.now().max(row.not_before_ms.saturating_add(1));
    let row = role::store(tx, Role { not_before_ms, ..(**row).clone() });
    tx.put(Row::Ledger(Ledger {
        account: row.account.clone(),
        role: row.id.clone(),
        last_expiry_ms: tx.now(),
    }));
    Ok(Output::Released { role: role::view(tx, &row), not_before_ms })
}

/// What a use did to the deletion of its role.
struct Deletion {
    /// The task that it ended.
    ended: Option<TaskId>,
    /// The task that it began.
    begun: Option<TaskId>,
}

/// A use has left. If it was the last, and the template says so, the role goes too: its service has
/// said with the manifest that a role without uses is one it is done with.
fn left(tx: &mut Tx<'_>, row: &Arc<Role>) -> Result<Option<TaskId>, Error> {
    let RoleKind::Linked(linked) = &row.kind else { return Ok(None) };
    let template = tx.state().template(&linked.template.principal);
    let rule = template.map(|(_, template)| template.deletion).unwrap_or_default();
    if rule == DeletionRule::Manual || tx.state().usage_count(&row.id) > 0 {
        return Ok(None);
    }
    match retire(tx, row) {
        Ok(Output::Task(view)) => Ok(Some(view.task.id.clone())),
        // The use is gone whatever becomes of the role; it can be asked for again.
        Err(Error::QuotaExceeded(..)) => Ok(None),
        Ok(_) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The service is done with a role: the same task as anybody's. Sessions are its own to end, so it
/// need not wait for them; where a use is still registered nothing ends, and the task says so.
fn retire(tx: &mut Tx<'_>, row: &Arc<Role>) -> Result<Output, Error> {
    let submitted = deletion::submit(tx, &row.account, &row.name)?;
    if tx.state().usage_count(&row.id) == 0 {
        let live = tx.state().role_by_id(&row.id).cloned();
        release(tx, live.as_ref().unwrap_or(row))?;
    }
    Ok(submitted)
}

/// The service's own role. Another's, an ordinary one and a missing one look alike.
fn find(tx: &mut Tx<'_>, service: &Service, target: &LinkedTarget) -> Result<Arc<Role>, Error> {
    let by_id = RoleId::parse(&target.role).ok().and_then(|id| tx.state().role_by_id(&id));
    let by_name = || tx.state().role(&target.account, &Folded::of(&target.role));
    let found = by_id.or_else(by_name).filter(|row| {
        row.account == target.account
            && matches!(&row.kind, RoleKind::Linked(l) if l.template.service == service.name)
    });
    let missing = || Error::NoSuchEntity(crate::error::Entity::Role(target.role.clone()));
    let row = found.cloned().ok_or_else(missing)?;
    tx.touch(&row.account.clone(), tx.role_arn(&row));
    Ok(row)
}

fn check_region(service: &Service, region: &Region) -> Result<(), Error> {
    if service.usage == UsageSource::Sessions {
        return Err(Error::Invalid {
            field: "usage",
            message: format!(
                "`{}` says in its manifest that it keeps no registry of uses; set usage = \"registry\"",
                service.name
            ),
        });
    }
    if service.regions.contains(region) {
        return Ok(());
    }
    let declared: Vec<_> = service.regions.iter().map(Region::as_str).collect();
    Err(Error::Invalid {
        field: "region",
        message: format!(
            "expected a region that the manifest declares ({}); found `{region}`",
            declared.join(", ")
        ),
    })
}

fn key(row: &Role, region: &Region, resource: &ResourceName) -> Key {
    Key::Usage(row.account.clone(), row.id.clone(), region.clone(), resource.clone())
}

fn put(tx: &mut Tx<'_>, row: &Role, region: &Region, resource: &ResourceName) {
    let at_ms = tx.now();
    tx.put(Row::Usage(Usage {
        account: row.account.clone(),
        role: row.id.clone(),
        region: region.clone(),
        resource: resource.clone(),
        at_ms,
    }));
}

fn bump(tx: &mut Tx<'_>, row: &Role, region: &Region) {
    let version = tx.state().usage_version(&row.id, region).saturating_add(1);
    tx.put(Row::UsageGuard(UsageGuard {
        account: row.account.clone(),
        role: row.id.clone(),
        region: region.clone(),
        version,
    }));
}

fn answer(
    tx: &Tx<'_>,
    row: &Arc<Role>,
    region: &Region,
    changed: bool,
    deletion: Deletion,
) -> Result<Output, Error> {
    let live = tx.state().role_by_id(&row.id).unwrap_or(row);
    Ok(Output::Usage {
        role: role::view(tx, live),
        version: tx.state().usage_version(&row.id, region),
        changed,
        ended_deletion: deletion.ended,
        began_deletion: deletion.begun,
    })
}
