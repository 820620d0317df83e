//! D, E: what a group grants holds as long as the user is in it, under the same denies and boundaries.

use crate::common::*;
use iam::caller::Caller;
use iam::command::Command;
use iam::error::{Conflict, Entity, Error};
use policy::Dialect;

const DENY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"iam:ListUsers","Resource":"*"}]}"#;

fn list_users() -> Command {
    Command::ListUsers { prefix: "/".into(), paging: no_paging() }
}

fn group(world: &mut World, root: &Caller, name: &str, policy: Option<&str>) {
    let create = Command::CreateGroup { group: t(name), path: t("/"), comments: None };
    world.ok(root, create);
    if let Some(text) = policy {
        let document = permissions(text);
        let put = Command::PutGroupPolicy { group: t(name), name: t("p"), document };
        world.ok(root, put);
    }
}

fn join(group: &str, user: &str) -> Command {
    Command::AddUserToGroup { group: t(group), user: t(user) }
}

fn leave(group: &str, user: &str) -> Command {
    Command::RemoveUserFromGroup { group: t(group), user: t(user) }
}

#[test]
fn atk_d13_what_a_group_grants_ends_with_the_membership() {
    let (mut world, people) = World::peopled(41);
    let (root, bare) = (people.root.clone(), people.bare.clone());
    group(&mut world, &root, "readers", None);
    let policy = system_policy("IAMReadOnlyAccess");
    world.ok(&root, Command::AttachGroupPolicy { group: t("readers"), policy: policy.clone() });
    assert!(is_denied(&world.call(&bare, list_users())));
    world.ok(&root, join("readers", "bare"));
    world.ok(&bare, list_users());
    let token = world.ok(&bare, Command::GetSessionToken { duration_s: None });
    let session = world.session(token);
    world.ok(&session, list_users());
    // A change of the name changes nothing; leaving counts from the next call on, for sessions too.
    let rename = Command::UpdateGroup {
        group: t("readers"),
        new_name: Some(t("lectors")),
        new_path: Some(t("/team/")),
        comments: None,
    };
    world.ok(&root, rename);
    world.ok(&bare, list_users());
    world.ok(&root, leave("LECTORS", "bare"));
    for caller in [&bare, &session] {
        assert!(is_denied(&world.call(caller, list_users())));
    }
    // So does a policy that goes.
    world.ok(&root, join("lectors", "bare"));
    world.ok(&bare, list_users());
    world.ok(&root, Command::DetachGroupPolicy { group: t("lectors"), policy });
    assert!(is_denied(&world.call(&bare, list_users())));
}

#[test]
fn atk_d15_denies_and_boundaries_bind_what_groups_grant() {
    let (mut world, people) = World::peopled(42);
    let (root, bare) = (people.root.clone(), people.bare.clone());
    group(&mut world, &root, "wide", Some(allow("iam:*", "*").text()));
    group(&mut world, &root, "narrow", Some(DENY));
    world.ok(&root, join("wide", "bare"));
    world.ok(&bare, list_users());
    world.ok(&root, join("narrow", "bare"));
    assert!(is_denied(&world.call(&bare, list_users())), "a deny of one group beats all allows");
    world.ok(&root, leave("narrow", "bare"));
    world.ok(&bare, list_users());
    let create = |user: &str, boundary| Command::CreateUser {
        user: t(user),
        path: t("/"),
        boundary,
        tags: Vec::new(),
        profile: Default::default(),
    };
    let limit = system_policy("IAMReadOnlyAccess");
    world.ok(&root, create("bounded", Some(limit)));
    world.ok(&root, join("wide", "bounded"));
    let bounded = world.key(&root, "bounded");
    world.ok(&bounded, list_users());
    let beyond = world.call(&bounded, create("other", None));
    assert!(is_denied(&beyond), "a boundary binds what groups grant");
    world.ok(&bare, create("other", None));
}

#[test]
fn groups_are_of_one_account() {
    let (mut world, people) = World::peopled(43);
    let root = people.root.clone();
    group(&mut world, &root, "ours", Some(allow("iam:*", "*").text()));
    let missing = Error::NoSuchEntity(Entity::Group("ours".into()));
    let stranger = people.other_root.clone();
    for command in [
        Command::GetGroup { group: t("ours"), paging: no_paging() },
        Command::DeleteGroup { group: t("ours") },
        Command::PutGroupPolicy { group: t("ours"), name: t("p"), document: permissions(DENY) },
        join("ours", "bare"),
    ] {
        assert_eq!(world.err(&stranger, command), missing);
    }
    let not_here = Error::NoSuchEntity(Entity::User("nobody".into()));
    assert_eq!(world.err(&root, join("ours", "nobody")), not_here);
    // Groups of one name in two accounts are two.
    group(&mut world, &stranger, "ours", None);
    world.ok(&root, join("ours", "bare"));
    world.ok(&stranger, Command::DeleteGroup { group: t("ours") });
    world.ok(&people.bare, list_users());
}

#[test]
fn nothing_is_left_behind_by_users_groups_and_policies() {
    let (mut world, people) = World::peopled(44);
    let root = people.root.clone();
    let conflict = |conflict| Error::DeleteConflict(conflict);
    group(&mut world, &root, "crew", None);
    let user = Command::CreateUser {
        user: t("sailor"),
        path: t("/"),
        boundary: None,
        tags: Vec::new(),
        profile: Default::default(),
    };
    world.ok(&root, user);
    world.ok(&root, join("crew", "sailor"));
    world.ok(&root, join("crew", "sailor"));
    let gone = || Command::DeleteUser { user: t("sailor") };
    assert_eq!(world.err(&root, gone()), conflict(Conflict::Groups));
    let group_gone = || Command::DeleteGroup { group: t("crew") };
    assert_eq!(world.err(&root, group_gone()), conflict(Conflict::Members));
    world.ok(&root, leave("crew", "sailor"));
    let left = Error::NoSuchEntity(Entity::Membership("crew".into()));
    assert_eq!(world.err(&root, leave("crew", "sailor")), left);
    world.ok(&root, gone());
    let create = Command::CreatePolicy {
        name: t("p"),
        path: t("/"),
        document: allow("a:B", "*"),
        description: None,
        tags: Vec::new(),
    };
    world.ok(&root, create);
    let policy = || customer_policy(A, "p");
    world.ok(&root, Command::AttachGroupPolicy { group: t("crew"), policy: policy() });
    assert_eq!(world.err(&root, group_gone()), conflict(Conflict::AttachedPolicies));
    let policy_gone = |cascade| Command::DeletePolicy { policy: policy(), cascade };
    assert_eq!(world.err(&root, policy_gone(false)), conflict(Conflict::AttachedToGroup));
    world.ok(&root, policy_gone(true));
    world.ok(&root, group_gone());
    assert!(iam::state::problems(&world.state).is_empty());
}

#[test]
fn a_second_joining_is_refused_where_the_vendor_does() {
    let (mut world, _) = World::peopled(45);
    let root = world.account("9999888877776666", Dialect::Alibaba);
    group(&mut world, &root, "crew", None);
    world.user(&root, "sailor");
    world.ok(&root, join("crew", "sailor"));
    let twice = Error::AlreadyExists(Entity::Membership("crew".into()));
    assert_eq!(world.err(&root, join("crew", "sailor")), twice);
}
