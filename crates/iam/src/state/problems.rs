//! What must hold between the rows of a state, checked row by row.
//!
//! Not here: what a call may do; these are the facts that all calls together must keep.

use super::{EntityRef, State};
use crate::names::Names;
use crate::rows::*;
use crate::text::RoleId;

/// What is wrong between the rows of a state: references that lead nowhere, tasks and fences that
/// do not fit each other, indexes that disagree with their tables. Empty for every state that
/// calls have made; the tests ask after every call, and `linkrole fsck` asks of a stored one.
pub fn problems(state: &State) -> Vec<String> {
    let mut found = Vec::new();
    principals(state, &mut found);
    policies(state, &mut found);
    roles(state, &mut found);
    uses(state, &mut found);
    tasks(state, &mut found);
    indexes(state, &mut found);
    found
}

fn principals(state: &State, found: &mut Vec<String>) {
    let owners = state.users.values().map(|u| ("user", u.name.as_str(), &u.account));
    let owners = owners
        .chain(state.groups.values().map(|g| ("group", g.name.as_str(), &g.account)))
        .chain(state.roles.values().map(|r| ("role", r.name.as_str(), &r.account)))
        .chain(state.policies.values().map(|p| ("policy", p.name.as_str(), &p.account)));
    for (kind, name, account) in owners {
        if state.account(account).is_none() {
            found.push(format!("{kind} {name}: its account {account} is missing"));
        }
    }
    for group in state.groups.values() {
        let gone = group
            .members
            .keys()
            .filter(|id| state.user_by_id(id).is_none_or(|user| user.account != group.account));
        for id in gone {
            found.push(format!("group {}: its member {id} is missing", group.name));
        }
    }
    for key in state.keys.values() {
        let lives = match &key.owner {
            KeyOwner::Root(account) => state.account(account).is_some(),
            KeyOwner::User(account, id) => {
                state.user_by_id(id).is_some_and(|user| user.account == *account)
            }
            KeyOwner::Service(name) => state.service(name).is_some(),
        };
        if !lives {
            found.push(format!("key {}: its owner {:?} is missing", key.id, key.owner));
        }
    }
    for enrolment in state.enrolments.values() {
        if state.service(&enrolment.service).is_some() {
            found.push(format!("enrolment {}: the service is registered", enrolment.service));
        }
    }
}

fn policies(state: &State, found: &mut Vec<String>) {
    for policy in state.policies.values() {
        if !policy.versions.contains_key(&policy.default_version) {
            found.push(format!("policy {}: its default version is missing", policy.name));
        }
        if policy.versions.keys().any(|number| *number >= policy.next_version) {
            found.push(format!("policy {}: its next version is taken", policy.name));
        }
    }
    for (policy, entity, link) in &state.links {
        let lives = match policy {
            PolicyRef::Customer(id) => state.policy_by_id(id).is_some_and(|p| {
                let (EntityRef::User(account, _)
                | EntityRef::Group(account, _)
                | EntityRef::Role(account, _)) = entity;
                p.account == *account
            }),
            PolicyRef::System { path, name } => {
                let (EntityRef::User(account, _)
                | EntityRef::Group(account, _)
                | EntityRef::Role(account, _)) = entity;
                crate::caller::dialect(state, account).is_some_and(|dialect| {
                    crate::offered::system_policy(state, dialect, path, name).is_some()
                })
            }
        };
        if !lives {
            found.push(format!("{entity:?}: its policy {policy:?} ({link:?}) is missing"));
        }
    }
}

fn roles(state: &State, found: &mut Vec<String>) {
    for role in state.roles.values() {
        let RoleKind::Linked(linked) = &role.kind else { continue };
        let template = state.template(&linked.template.principal).filter(|(service, template)| {
            service.name == linked.template.service
                && template.versions.contains_key(&crate::linked::version_in_force(
                    state,
                    &role.account,
                    &linked.template,
                ))
        });
        if template.is_none() {
            found.push(format!("role {}: its template is missing", role.name));
        }
        if let RoleStatus::Deleting { task, epoch } = &linked.status {
            let holder = state.task(task).filter(|task| {
                task.role == role.id
                    && task.is_open()
                    && task.phase == TaskPhase::Fenced
                    && task.fence_epoch == Some(*epoch)
            });
            if holder.is_none() {
                found.push(format!("role {}: no open task {task} holds its fence", role.name));
            }
        }
    }
    for (id, tombstone) in &state.tombstones {
        if state.role_by_id(id).is_some() {
            found.push(format!("role {id}: it lives and has a tombstone"));
        }
        if state.account(&tombstone.account).is_none() {
            found.push(format!("tombstone {id}: its account is missing"));
        }
    }
}

fn uses(state: &State, found: &mut Vec<String>) {
    let is_linked = |id: &RoleId| {
        state.role_by_id(id).is_some_and(|role| matches!(role.kind, RoleKind::Linked(_)))
    };
    let of_roles = state.usages.keys().map(|(role, ..)| ("use", role));
    let of_roles = of_roles
        .chain(state.guards.keys().map(|(role, _)| ("usage version", role)))
        .chain(state.ledgers.keys().map(|role| ("ledger", role)));
    for (what, role) in of_roles {
        if !is_linked(role) {
            found.push(format!("{what} of {role}: no service-linked role has this id"));
        }
    }
    for usage in state.usages.values() {
        if state.role_by_id(&usage.role).is_some_and(|role| role.account != usage.account) {
            found.push(format!("use of {}: it stands under another account", usage.role));
        }
    }
    for used in state.uses.keys() {
        let lives = match used {
            Used::Key(id) => state.key(id).is_some(),
            Used::Role(id) => state.role_by_id(id).is_some(),
        };
        if !lives {
            found.push(format!("last use of {used:?}: it is gone"));
        }
    }
    let of_principals = state.accesses.values().map(|row| ("access", &row.principal, &row.account));
    let of_principals = of_principals
        .chain(state.sessions.values().map(|row| ("sessions", &row.principal, &row.account)));
    for (what, principal, account) in of_principals {
        if crate::access::account_of(state, principal).as_ref() != Some(account) {
            found.push(format!("{what} of {principal}: nobody of account {account} has this id"));
        }
    }
}

fn tasks(state: &State, found: &mut Vec<String>) {
    let mut open: std::collections::BTreeSet<&RoleId> = std::collections::BTreeSet::new();
    for task in state.tasks.values() {
        let role = state.role_by_id(&task.role);
        let removed = state.tombstone(&task.role).is_some();
        let mut wrong = |what: &str| found.push(format!("task {}: {what}", task.id));
        if task.is_open() == (task.phase == TaskPhase::Final) {
            wrong("status and phase disagree");
        }
        if task.is_open() && !open.insert(&task.role) {
            wrong("its role has another open task");
        }
        match task.phase {
            TaskPhase::Committed if !removed => wrong("it removed a role that has no tombstone"),
            TaskPhase::Queued | TaskPhase::Claimed | TaskPhase::Checked | TaskPhase::Fenced
                if role.is_none() =>
            {
                wrong("it is open and its role is missing");
            }
            _ => {}
        }
        if task.status == TaskStatus::Succeeded && !removed {
            wrong("it succeeded and its role has no tombstone");
        }
        if task.phase == TaskPhase::Fenced {
            let holds = role.is_some_and(|role| {
                matches!(&role.kind, RoleKind::Linked(LinkedRole {
                    status: RoleStatus::Deleting { task: holder, .. }, ..
                }) if *holder == task.id)
            });
            if !holds {
                wrong("it says that it fenced its role, and the role is not");
            }
        }
    }
}

fn indexes(state: &State, found: &mut Vec<String>) {
    let mut same = |what: &str, holds: bool| {
        if !holds {
            found.push(format!("the index of {what} disagrees with its table"));
        }
    };
    same("user ids", state.user_names.len() == state.users.len());
    same("role ids", state.role_names.len() == state.roles.len());
    same("policy ids", state.policy_names.len() == state.policies.len());
    same("keys by owner", state.keys_of.len() == state.keys.len());
    let roles: usize = state.role_counts.values().filter_map(|n| usize::try_from(*n).ok()).sum();
    same("role counts", roles == state.roles.len());
    same("usage counts", state.usage_counts.values().sum::<usize>() == state.usages.len());
    let linked = state.roles.values().filter(|r| matches!(r.kind, RoleKind::Linked(_))).count();
    same("linked roles", state.linked.len() == linked);
    let open = state.tasks.values().filter(|t| t.is_open()).count();
    same("open tasks", state.open_tasks.len() == open);
    let mut names = Names::default();
    state.services.values().for_each(|service| names.add(service));
    same("names of services", state.names == names);
}
