//! F: what a service-linked role is safe from. Who may assume or alter it at all is in
//! `tests/inventory`.

use crate::common::*;
use iam::caller::Caller;
use iam::command::*;
use iam::error::{Error, Quota};
use iam::limits;
use iam::output::*;
use iam::rows::*;
use iam::text::*;
use proptest::prelude::*;

#[test]
fn atk_f01_no_permission_of_any_kind_lets_a_principal_of_the_account_assume_it() {
    let (mut world, people) = World::peopled(1);
    world.linked(&people.root, BACKUP);
    let arn = linked_arn(A, BACKUP, BACKUP_ROLE);
    world.put_user_policy(&people.root, "bare", allow("sts:AssumeRole", &arn));
    for caller in [&people.admin, &people.bare, &people.root, &Caller::Builtin(t(A))] {
        let outcome = world.assume(caller, assume(&arn));
        assert!(is_denied(&outcome), "{caller:?}: {outcome:?}");
    }
    let own = world.assume(&people.backup, assume(&arn)).unwrap();
    assert!(is_denied(&world.assume(&own, assume(&arn))), "not even its own session");
}

#[test]
fn atk_f02_another_accounts_role_is_refused_like_one_that_is_not_there() {
    let (mut world, people) = World::peopled(2);
    let ask = || assume(&linked_arn(B, BACKUP, BACKUP_ROLE));
    let missing = world.assume(&people.admin, ask()).unwrap_err();
    world.linked(&people.other_root, BACKUP);
    let there = world.assume(&people.admin, ask()).unwrap_err();
    assert_eq!(missing, there);
    assert!(world.assume(&people.backup, ask()).is_ok());
}

#[test]
fn atk_f03_atk_f04_a_service_has_its_own_roles_where_they_were_made_and_nothing_else() {
    let (mut world, people) = World::peopled(3);
    world.linked(&people.root, BACKUP);
    let ours = linked_arn(A, BACKUP, BACKUP_ROLE);
    assert!(is_denied(&world.assume(&people.other, assume(&ours))));
    // B has not let the service in: there is no role to assume and nothing to use.
    let theirs = linked_arn(B, BACKUP, BACKUP_ROLE);
    assert!(is_denied(&world.assume(&people.backup, assume(&theirs))));
    let error = world.err(&people.backup, register(B, BACKUP_ROLE, "r"));
    assert!(matches!(error, Error::NoSuchEntity(_)));
    for error in [
        world.err(&people.other, register(A, BACKUP_ROLE, "r")),
        world.err(&people.other, deregister(A, BACKUP_ROLE, "r")),
        world.err(&people.other, Command::ListUsage { target: target(A, BACKUP_ROLE) }),
        world.err(&people.other, Command::ReleaseSessions { target: target(A, BACKUP_ROLE) }),
        world.err(&people.other, register(A, "missing", "r")),
    ] {
        assert!(matches!(error, Error::NoSuchEntity(_)), "{error:?}");
    }
    // An ordinary role is nothing a service registers uses of, even one that trusts it.
    world.role(&people.root, "plain", trust(&format!(r#"{{"Service":"{BACKUP}"}}"#)));
    assert!(matches!(world.err(&people.backup, register(A, "plain", "r")), Error::NoSuchEntity(_)));
    // What the service does in the tenant's account is in the tenant's trail.
    assert!(world.assume(&people.backup, assume(&ours)).is_ok());
    let event = world.last_event();
    assert!(event.accounts.contains(&t(A)), "{event:?}");
    assert_eq!(event.actor.invoked_by.as_deref(), Some(BACKUP));
    world.ok(&people.backup, register(A, BACKUP_ROLE, "r"));
    assert!(world.last_event().accounts.contains(&t(A)));
}

#[test]
fn atk_f07_a_suffix_is_of_its_class_where_the_template_takes_one_and_as_long_as_the_name_allows() {
    let (mut world, people) = World::peopled(4);
    for odd in ["", "a/b", "..\\", "a b", "\u{e9}", "a\0", "a*", "a:b", &"x".repeat(65)] {
        assert!(Suffix::parse(odd).is_err(), "{odd:?}");
    }
    let error = world.err(&people.root, create_linked(BACKUP, Some("x")));
    assert!(matches!(error, Error::SuffixRefused(_)), "{error:?}");
    let room = 64 - VAULT_ROLE.len() - 1;
    let longer = "x".repeat(room + 1);
    let error = world.err(&people.root, create_linked(VAULT, Some(&longer)));
    assert!(matches!(error, Error::RoleNameTooLong(_)), "{error:?}");
    for suffix in ["a", "A.b", "..", &"x".repeat(room)] {
        let output = world.ok(&people.root, create_linked(VAULT, Some(suffix)));
        let Output::Role(view) = output else { panic!("no role") };
        assert_eq!(view.role.name.as_str(), format!("{VAULT_ROLE}_{suffix}"));
        assert_eq!(view.role.path.as_str(), format!("/aws-service-role/{VAULT}/"));
    }
    // One that differs in case is the same.
    let error = world.err(&people.root, create_linked(VAULT, Some("a.B")));
    assert!(matches!(error, Error::RoleNameTaken(_)), "{error:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn atk_f08_no_suffix_makes_another_templates_role(text in "[A-Za-z0-9_+=,.@-]{1,40}") {
        let (mut world, people) = World::peopled(5);
        if let Ok(Output::Role(view)) = world.call(&people.root, create_linked(VAULT, Some(&text))) {
            let RoleKind::Linked(linked) = &view.role.kind else { panic!("not linked") };
            prop_assert_eq!(linked.template.principal.as_str(), VAULT);
            world.linked(&people.root, BACKUP);
            world.linked(&people.root, OTHER);
            world.linked(&people.root, VAULT);
        }
    }
}

#[test]
fn atk_f09_the_roles_of_a_service_are_bounded_though_no_role_quota_holds() {
    let (mut world, people) = World::peopled(6);
    let small = Command::CreateAccount {
        id: Some(t("999999999999")),
        dialect: policy::Dialect::Aws,
        role_quota: Some(1),
    };
    let Output::Account { key, .. } = world.ok(&Caller::Operator, small) else { panic!("no key") };
    let root = Caller::Key(key.id.clone());
    world.role(&root, "only", trust_account(A));
    let full = world.err(&root, create_role("second", "/", trust_account(A)));
    assert_eq!(full, Error::QuotaExceeded(Quota::Roles, 1));
    let mut made = 0;
    let end = loop {
        match world.call(&root, create_linked(VAULT, Some(&format!("n{made}")))) {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(made, limits::LINKED_ROLES_PER_SERVICE);
    assert_eq!(end, Error::QuotaExceeded(Quota::LinkedRoles, limits::LINKED_ROLES_PER_SERVICE));
    // Another service and another account are not kept from theirs.
    world.linked(&root, OTHER);
    world.linked(&people.root, VAULT);
}

#[test]
fn atk_f10_the_service_name_condition_sees_the_registered_principal() {
    let (mut world, people) = World::peopled(7);
    let only = |operator: &str, value: &str| {
        permissions(&format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iam:CreateServiceLinkedRole","Resource":"*","Condition":{{"{operator}":{{"iam:AWSServiceName":"{value}"}}}}}}]}}"#
        ))
    };
    world.put_user_policy(&people.root, "bare", only("StringEquals", BACKUP));
    for odd in [OTHER, VAULT, "BACKUP.example.com", "backup.example.com ", ""] {
        assert!(is_denied(&world.call(&people.bare, create_linked(odd, None))), "{odd}");
    }
    world.ok(&people.bare, create_linked(BACKUP, None));
    world.put_user_policy(&people.root, "bare", only("StringLike", "*.backup.example.com"));
    assert!(is_denied(&world.call(&people.bare, create_linked(OTHER, None))));
    world.ok(&people.bare, create_linked(VAULT, None));
    // A deny on the name holds whoever asks.
    let deny = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iam:*","Resource":"*"}},{{"Effect":"Deny","Action":"iam:CreateServiceLinkedRole","Resource":"*","Condition":{{"StringEquals":{{"iam:AWSServiceName":"{OTHER}"}}}}}}]}}"#
    );
    world.put_user_policy(&people.root, "bare", permissions(&deny));
    assert!(is_denied(&world.call(&people.bare, create_linked(OTHER, None))));
    let ensure = Command::EnsureServiceLinkedRole { principal: OTHER.into(), suffix: None };
    assert!(is_denied(&world.call_for(&people.other, Some(&people.bare), ensure)));
}

#[test]
fn atk_f14_its_policy_is_neither_attached_elsewhere_nor_changed_by_anyone() {
    let (mut world, people) = World::peopled(8);
    world.linked(&people.root, BACKUP);
    world.role(&people.root, "plain", trust_account(A));
    for name in ["ExampleBackupServiceRolePolicy", "examplebackupserviceROLEpolicy"] {
        let policy = || linked_policy(name);
        for command in [
            Command::AttachRolePolicy { role: t("plain"), policy: policy() },
            Command::AttachUserPolicy { user: t("bare"), policy: policy() },
            Command::PutRolePermissionsBoundary { role: t("plain"), policy: policy() },
        ] {
            assert_eq!(world.err(&people.root, command), Error::PolicyNotAttachable);
        }
        for command in [
            Command::DeletePolicy { policy: policy(), cascade: false },
            Command::DeletePolicyVersion { policy: policy(), version: 1 },
            Command::SetDefaultPolicyVersion { policy: policy(), version: 1 },
            Command::CreatePolicyVersion {
                policy: policy(),
                document: allow("*", "*"),
                set_default: true,
                rotate: false,
            },
        ] {
            assert!(is_denied(&world.call(&people.root, command)));
        }
    }
    let shown = Command::GetPolicy { policy: linked_policy("ExampleBackupServiceRolePolicy") };
    let Output::Policy(view) = world.ok(&people.root, shown) else { panic!("no policy") };
    assert!(!view.attachable && view.attachments == 1);
    let read_only = system_policy("IAMReadOnlyAccess");
    world.ok(&people.root, Command::AttachRolePolicy { role: t("plain"), policy: read_only });
}

#[test]
fn atk_f17_a_new_linked_role_has_what_its_template_says_and_no_more() {
    let (mut world, people) = World::peopled(9);
    let role = world.linked(&people.root, BACKUP);
    assert!(role.tags.is_empty());
    assert_eq!(role.path.as_str(), format!("/aws-service-role/{BACKUP}/"));
    assert_eq!((role.max_session_s, role.not_before_ms), (3_600, 0));
    let RoleKind::Linked(linked) = &role.kind else { panic!("not linked") };
    assert_eq!(linked.status, RoleStatus::Active { epoch: 0 });
    assert_eq!(linked.template.service.as_str(), BACKUP);
    let ask = AssumeRole { duration_s: Some(3_601), ..assume(&linked_arn(A, BACKUP, BACKUP_ROLE)) };
    assert_eq!(world.assume(&people.backup, ask).unwrap_err(), Error::DurationAboveRole);
    // Its description and its tags are the account's to change, later.
    let command = Command::UpdateRoleDescription { role: t(BACKUP_ROLE), description: t("ours") };
    world.ok(&people.root, command);
    let tags = vec![(t("team"), t("blue"))];
    world.ok(&people.root, Command::Tag { on: Tagged::Roles(vec![t(BACKUP_ROLE)]), tags });
    let after = world.role_named(A, BACKUP_ROLE).unwrap();
    assert_eq!((after.tags.len(), &after.kind), (1, &role.kind));
}

#[test]
fn atk_f33_a_service_makes_its_role_only_for_a_caller_who_may_and_who_lives() {
    let (mut world, people) = World::peopled(10);
    let ensure = || Command::EnsureServiceLinkedRole { principal: BACKUP.into(), suffix: None };
    let refused = world.call_for(&people.backup, Some(&people.bare), ensure());
    assert!(is_denied(&refused), "{refused:?}");
    assert!(world.role_named(A, BACKUP_ROLE).is_none(), "nothing is half made");
    assert!(world.call(&people.backup, ensure()).is_err(), "in nobody's name");
    let own = world.call_for(&people.backup, Some(&people.backup), ensure());
    assert!(own.is_err(), "in its own name");
    for caller in [Caller::Anonymous, Caller::Operator, Caller::System] {
        assert!(world.call_for(&people.backup, Some(&caller), ensure()).is_err(), "{caller:?}");
    }
    let error = world.call_for(&people.other, Some(&people.admin), ensure()).unwrap_err();
    assert!(matches!(error, Error::UnknownServicePrincipal(_)));
    world.put_user_policy(&people.root, "bare", allow("iam:CreateServiceLinkedRole", "*"));
    let made = world.call_for(&people.backup, Some(&people.bare), ensure());
    assert!(matches!(made, Ok(Output::Ensured { created: true, .. })), "{made:?}");
    let event = world.last_event();
    assert_eq!(event.actor.user_name.as_deref(), Some("bare"));
    assert_eq!(event.actor.invoked_by.as_deref(), Some(BACKUP));
    let again = world.call_for(&people.backup, Some(&people.admin), ensure());
    assert!(matches!(again, Ok(Output::Ensured { created: false, .. })), "{again:?}");
}
