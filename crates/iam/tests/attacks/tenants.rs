//! G: what belongs to another account.

use crate::common::*;
use iam::caller::Caller;
use iam::command::*;
use iam::error::Error;
use iam::output::*;
use iam::rows::*;

fn canary_policy() -> Command {
    Command::CreatePolicy {
        name: t("canary"),
        path: t("/"),
        document: allow("canary:Get", "*"),
        description: None,
        tags: Vec::new(),
    }
}

#[test]
fn atk_g01_a_policy_of_another_account_cannot_be_attached_bound_or_put_on_a_session() {
    let (mut world, people) = World::peopled(1);
    world.ok(&people.other_root, canary_policy());
    world.role(&people.root, "plain", trust_account(A));
    let foreign = || customer_policy(B, "canary");
    let role = || t("plain");
    let ask = AssumeRole {
        policy_arns: vec![foreign()],
        ..assume(&format!("arn:aws:iam::{A}:role/plain"))
    };
    let new_role = Command::CreateRole {
        role: t("bounded"),
        path: t("/"),
        trust: trust_account(A),
        description: None,
        max_session_s: None,
        boundary: Some(foreign()),
        tags: Vec::new(),
    };
    let new_user = Command::CreateUser {
        user: t("bounded"),
        path: t("/"),
        boundary: Some(foreign()),
        tags: Vec::new(),
        profile: Default::default(),
    };
    for command in [
        Command::AttachRolePolicy { role: role(), policy: foreign() },
        Command::DetachRolePolicy { role: role(), policy: foreign() },
        Command::PutRolePermissionsBoundary { role: role(), policy: foreign() },
        Command::AttachUserPolicy { user: t("bare"), policy: foreign() },
        Command::DetachUserPolicy { user: t("bare"), policy: foreign() },
        Command::AssumeRole(Box::new(ask)),
        new_role,
        new_user,
    ] {
        let error = world.err(&people.admin, command.clone());
        assert!(matches!(error, Error::NoSuchEntity(_)), "{command:?}: {error:?}");
    }
    // Nor does what A does show in B, or keep B's policy from going.
    world.ok(&people.other_root, Command::DeletePolicy { policy: foreign(), cascade: false });

    // The control: the same with an own policy.
    world.ok(&people.root, canary_policy());
    let own = || customer_policy(A, "canary");
    world.ok(&people.admin, Command::AttachRolePolicy { role: role(), policy: own() });
    world.ok(&people.admin, Command::PutRolePermissionsBoundary { role: role(), policy: own() });
    world.ok(&people.admin, Command::AttachUserPolicy { user: t("bare"), policy: own() });
    let ask =
        AssumeRole { policy_arns: vec![own()], ..assume(&format!("arn:aws:iam::{A}:role/plain")) };
    assert!(world.assume(&people.admin, ask).is_ok());
}

#[test]
fn atk_g01_foreign_ids_find_nothing() {
    let (mut world, people) = World::peopled(2);
    let theirs = world.user(&people.other_root, "theirs");
    let Caller::Key(key) = &theirs else { panic!("no key") };
    let linked = world.linked(&people.other_root, BACKUP);
    world.ok(&people.other_root, canary_policy());
    for command in [
        Command::GetAccessKeyLastUsed { key: key.clone() },
        Command::DeleteAccessKey { user: None, key: key.clone() },
        Command::DeleteAccessKey { user: Some(t("bare")), key: key.clone() },
        Command::UpdateAccessKey {
            user: Some(t("bare")),
            key: key.clone(),
            status: KeyStatus::Inactive,
        },
        Command::GetUser { user: Some(t("theirs")) },
        Command::CreateAccessKey { user: Some(t("theirs")) },
        Command::DeleteServiceLinkedRole { role: t(BACKUP_ROLE) },
        Command::GetPolicy { policy: customer_policy(B, "canary") },
        Command::DeletePolicy { policy: customer_policy(B, "canary"), cascade: false },
    ] {
        let error = world.err(&people.root, command.clone());
        assert!(matches!(error, Error::NoSuchEntity(_)), "{command:?}: {error:?}");
    }
    // A service names account and role; a role's id under another account is unknown.
    let error = world.err(&people.backup, register(A, linked.id.as_str(), "r"));
    assert!(matches!(error, Error::NoSuchEntity(_)), "{error:?}");
    world.ok(&people.backup, register(B, linked.id.as_str(), "r"));
    assert!(world.works(&theirs));
}

#[test]
fn atk_g02_nothing_of_another_account_shows_in_lists_errors_or_the_trail() {
    let (mut world, people) = World::peopled(3);
    world.user(&people.other_root, "canary-user");
    world.role(&people.other_root, "canary-role", trust_account(B));
    world.ok(&people.other_root, canary_policy());
    let linked = world.linked(&people.other_root, BACKUP);
    world.ok(&people.backup, register(B, BACKUP_ROLE, "canary-resource"));
    world.delete_linked(&people.other_root, BACKUP_ROLE);
    let before = world.events.len();
    let task = world.state.tasks().next().unwrap().id.clone();
    let prefix = || "/".to_owned();
    let mut seen = Vec::new();
    for command in [
        Command::ListRoles { prefix: prefix(), with: Vec::new(), paging: no_paging() },
        Command::ListUsers { prefix: prefix(), paging: no_paging() },
        Command::ListPolicies {
            scope: PolicyScope::All,
            attached_only: false,
            prefix: prefix(),
            with: Vec::new(),
            paging: no_paging(),
        },
        Command::ListAccessKeys { user: None, paging: no_paging() },
        Command::ListEntitiesForPolicy {
            policy: system_policy("AdministratorAccess"),
            filter: EntityFilter::All,
            usage: None,
            prefix: prefix(),
            paging: no_paging(),
        },
        Command::GetRole { role: t(BACKUP_ROLE) },
        Command::GetServiceLinkedRoleDeletionStatus {
            task,
            principal: BACKUP.into(),
            role: BACKUP_ROLE.into(),
        },
        Command::ListServices,
        Command::GetCallerIdentity,
    ] {
        seen.push(format!("{:?}", world.call(&people.root, command)));
    }
    let told = world.events.get(before..).unwrap();
    seen.extend(told.iter().map(|event| serde_json::to_string(event).unwrap()));
    assert!(told.iter().all(|event| event.accounts == [t(A)]));
    for text in &seen {
        assert!(!text.contains("canary") && !text.contains(linked.id.as_str()), "{text}");
        assert!(!text.contains(B), "{text}");
    }
    // The control: B sees its own.
    let own =
        world.ok(&people.other_root, Command::ListUsers { prefix: prefix(), paging: no_paging() });
    assert!(format!("{own:?}").contains("canary-user"));
}

#[test]
fn atk_b18_atk_g02_a_marker_is_of_its_account_operation_and_filter() {
    let (mut world, people) = World::peopled(4);
    for root in [&people.root, &people.other_root] {
        for name in ["r1", "r2", "r3"] {
            world.role(root, name, trust_account(A));
        }
    }
    let list = |prefix: &str, marker: Option<String>| Command::ListRoles {
        prefix: prefix.into(),
        with: Vec::new(),
        paging: Paging { marker, limit: Some(1), page: None },
    };
    let Output::Roles(page) = world.ok(&people.root, list("/", None)) else { panic!("no page") };
    let marker = page.next.unwrap();
    let Output::Roles(second) = world.ok(&people.root, list("/", Some(marker.clone()))) else {
        panic!("no page")
    };
    assert_eq!(second.items.first().unwrap().role.name.as_str(), "r2");
    let users = Command::ListUsers {
        prefix: "/".into(),
        paging: Paging { marker: Some(marker.clone()), limit: Some(1), page: None },
    };
    assert_eq!(world.err(&people.root, users), Error::InvalidMarker);
    assert_eq!(world.err(&people.root, list("/x/", Some(marker.clone()))), Error::InvalidMarker);
    assert_eq!(world.err(&people.other_root, list("/", Some(marker))), Error::InvalidMarker);
    assert_eq!(world.err(&people.root, list("/", Some("r1".into()))), Error::InvalidMarker);
}
