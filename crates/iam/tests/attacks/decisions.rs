//! D: what decides, on which facts.

use crate::common::*;
use iam::caller::Caller;
use iam::command::*;
use iam::error::Error;
use iam::output::*;
use iam::rows::*;
use std::collections::BTreeMap;

fn question(action: &str, resource: &str) -> Question {
    Question {
        action: action.into(),
        resource: Some(resource.into()),
        account: None,
        context: BTreeMap::new(),
    }
}

/// Whether the service `backup` is told that the caller may.
fn may(world: &mut World, people: &People, who: &Caller, question: Question) -> bool {
    let command = Command::AuthorizeRequest(Box::new(question));
    match world.call_for(&people.backup, Some(who), command) {
        Ok(Output::Authorized { decision, .. }) => decision.allowed(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn atk_d01_a_session_policy_that_only_denies_allows_nothing() {
    let (mut world, people) = World::peopled(1);
    world.role(&people.root, "plain", trust_account(A));
    let attach = Command::AttachRolePolicy {
        role: t("plain"),
        policy: system_policy("AdministratorAccess"),
    };
    world.ok(&people.root, attach);
    let arn = format!("arn:aws:iam::{A}:role/plain");
    let deny = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"iam:DeleteUser","Resource":"*"}]}"#;
    let restricted =
        |policy: PermissionsPolicy| AssumeRole { policy: Some(policy), ..assume(&arn) };
    let session = world.assume(&people.admin, restricted(permissions(deny))).unwrap();
    let tries = [
        Command::ListRoles { prefix: "/".into(), with: Vec::new(), paging: no_paging() },
        Command::CreateAccessKey { user: Some(t("bare")) },
        Command::DeleteUser { user: t("bare") },
    ];
    for command in &tries {
        assert!(is_denied(&world.call(&session, command.clone())), "{command:?}");
    }
    assert!(is_denied(&world.call(&session, Command::AssumeRole(Box::new(assume(&arn))))));
    let narrow = world.assume(&people.admin, restricted(allow("iam:ListRoles", "*"))).unwrap();
    world.ok(
        &narrow,
        Command::ListRoles { prefix: "/".into(), with: Vec::new(), paging: no_paging() },
    );
    assert!(is_denied(&world.call(&narrow, Command::CreateAccessKey { user: Some(t("bare")) })));
    let free = world.assume(&people.admin, assume(&arn)).unwrap();
    world.ok(&free, Command::CreateAccessKey { user: Some(t("bare")) });
}

#[test]
fn atk_d04_atk_d05_a_service_vouches_for_its_own_keys_and_for_no_fact_of_ours() {
    let (mut world, people) = World::peopled(2);
    let statement = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"backup:*","Resource":"*","Condition":{"StringEquals":{"backup:tier":"gold"}}}]}"#;
    world.put_user_policy(&people.root, "bare", permissions(statement));
    let mut asked = question("backup:Start", "arn:aws:backup:::x");
    assert!(!may(&mut world, &people, &people.bare, asked.clone()));
    asked.context.insert("backup:tier".into(), vec!["gold".into()]);
    assert!(may(&mut world, &people, &people.bare, asked.clone()));
    for key in [
        "aws:PrincipalArn",
        "AWS:PRINCIPALARN",
        "aws:PrincipalAccount",
        "aws:PrincipalTag/team",
        "aws:PrincipalType",
        "aws:PrincipalIsAWSService",
        "aws:ViaAWSService",
        "aws:CalledVia",
        "aws:userid",
        "aws:username",
        "aws:SourceIdentity",
        "aws:MultiFactorAuthPresent",
        "aws:TokenIssueTime",
        "aws:CurrentTime",
        "aws:EpochTime",
        "iam:AWSServiceName",
        "sts:ExternalId",
        "other:tier",
        "backup",
        "",
    ] {
        if key == "backup" {
            continue; // Its own name without a colon is nobody's key.
        }
        let mut asked = asked.clone();
        asked.context.insert(key.into(), vec!["x".into()]);
        let command = Command::AuthorizeRequest(Box::new(asked));
        let error = world.call_for(&people.backup, Some(&people.bare), command).unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "context", .. }), "{key}: {error:?}");
    }
    // For our own operations the facts are those of the connection.
    let office = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}]}"#;
    world.put_user_policy(&people.root, "bare", permissions(office));
    let list = || Command::ListRoles { prefix: "/".into(), with: Vec::new(), paging: no_paging() };
    world.ok(&people.bare, list());
    world.source.ip = "198.51.100.1".into();
    assert!(is_denied(&world.call(&people.bare, list())));
    world.source.ip = String::new();
    assert!(is_denied(&world.call(&people.bare, list())));
}

#[test]
fn atk_d05_a_service_asks_about_its_own_actions_only() {
    let (mut world, people) = World::peopled(3);
    for action in ["iam:CreateUser", "other:Start", "sts:AssumeRole", "backup2:Start", "*", ""] {
        let command = Command::AuthorizeRequest(Box::new(question(action, "*")));
        let error = world.call_for(&people.backup, Some(&people.admin), command).unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "action", .. }), "{action}: {error:?}");
    }
    assert!(may(
        &mut world,
        &people,
        &people.admin,
        question("backup:Start", "arn:aws:backup:::x")
    ));
    // Without the caller's request there is nothing to ask, and a dead caller is no caller.
    let command = Command::AuthorizeRequest(Box::new(question("backup:Start", "*")));
    assert!(world.call(&people.backup, command.clone()).is_err());
    let Caller::Key(key) = &people.bare else { panic!("no key") };
    world.ok(&people.root, Command::DeleteAccessKey { user: Some(t("bare")), key: key.clone() });
    let dead = world.call_for(&people.backup, Some(&people.bare), command);
    assert_eq!(dead.unwrap_err(), Error::InvalidCredentials);
}

#[test]
fn atk_d10_atk_f15_a_role_is_passed_only_within_its_account_and_a_linked_one_never() {
    let (mut world, people) = World::peopled(4);
    world.ok(&people.root, create_role("Worker", "/team/", trust_account(A)));
    world.role(&people.other_root, "Worker", trust_account(B));
    world.linked(&people.root, BACKUP);
    let arn = format!("arn:aws:iam::{A}:role/team/Worker");
    world.put_user_policy(&people.root, "bare", allow("iam:PassRole", "*"));
    let pass = |resource: &str| question("iam:PassRole", resource);
    assert!(may(&mut world, &people, &people.bare, pass(&arn)));
    for refused in [
        linked_arn(A, BACKUP, BACKUP_ROLE),
        linked_arn(A, BACKUP, &BACKUP_ROLE.to_lowercase()),
        format!("arn:aws:iam::{A}:role/{BACKUP_ROLE}"),
        format!("arn:aws:iam::{B}:role/Worker"),
        format!("arn:aws:iam::{B}:role/missing"),
    ] {
        assert!(!may(&mut world, &people, &people.bare, pass(&refused)), "{refused}");
        assert!(!may(&mut world, &people, &people.admin, pass(&refused)), "{refused}");
        assert!(!may(&mut world, &people, &people.root, pass(&refused)), "{refused}");
    }
    // Another spelling of a role is that role, to a deny as well.
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iam:PassRole","Resource":"*"}},
        {{"Effect":"Deny","Action":"iam:PassRole","Resource":"{arn}"}}]}}"#
    );
    world.put_user_policy(&people.root, "bare", permissions(&text));
    for spelling in [arn.clone(), arn.to_lowercase(), format!("arn:aws:iam::{A}:role/worker")] {
        assert!(!may(&mut world, &people, &people.bare, pass(&spelling)), "{spelling}");
    }
}

#[test]
fn atk_d13_a_changed_policy_counts_from_the_next_call_on() {
    let (mut world, people) = World::peopled(5);
    let list = || Command::ListUsers { prefix: "/".into(), paging: no_paging() };
    for _ in 0..3 {
        assert!(is_denied(&world.call(&people.bare, list())));
        world.put_user_policy(&people.root, "bare", allow("iam:ListUsers", "*"));
        world.ok(&people.bare, list());
        let command = Command::DeleteUserPolicy { user: t("bare"), name: t("inline") };
        world.ok(&people.root, command);
    }
    // A managed policy: its default version is what counts, also for sessions of a role.
    let create = Command::CreatePolicy {
        name: t("p"),
        path: t("/"),
        document: allow("iam:ListUsers", "*"),
        description: None,
        tags: Vec::new(),
    };
    world.ok(&people.root, create);
    world.role(&people.root, "plain", trust_account(A));
    let policy = || customer_policy(A, "p");
    world.ok(&people.root, Command::AttachRolePolicy { role: t("plain"), policy: policy() });
    let session =
        world.assume(&people.admin, assume(&format!("arn:aws:iam::{A}:role/plain"))).unwrap();
    world.ok(&session, list());
    let empty = Command::CreatePolicyVersion {
        policy: policy(),
        document: allow("iam:ListRoles", "*"),
        set_default: true,
        rotate: false,
    };
    world.ok(&people.root, empty);
    assert!(is_denied(&world.call(&session, list())));
    world.ok(&people.root, Command::SetDefaultPolicyVersion { policy: policy(), version: 1 });
    world.ok(&session, list());
    world.ok(
        &people.root,
        Command::PutRolePermissionsBoundary {
            role: t("plain"),
            policy: system_policy("IAMReadOnlyAccess"),
        },
    );
    world.ok(&session, list());
    world.ok(&people.root, Command::DetachRolePolicy { role: t("plain"), policy: policy() });
    assert!(is_denied(&world.call(&session, list())), "a boundary alone allows nothing");
}

#[test]
fn atk_d19_everybody_in_a_trust_policy_is_nobody_unknown() {
    let (mut world, people) = World::peopled(6);
    world.role(&people.root, "open", trust(r#""*""#));
    let ask = || assume(&format!("arn:aws:iam::{A}:role/open"));
    for caller in [Caller::Anonymous, Caller::Operator, Caller::System] {
        assert!(
            matches!(world.assume(&caller, ask()), Err(Error::AssumeRoleDenied(_))),
            "{caller:?}"
        );
    }
    assert!(world.assume(&people.admin, ask()).is_ok());
}
