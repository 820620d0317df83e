//! What must work, row by row of the list of features, at the level of the core.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

mod common;

use common::*;
use iam::caller::Caller;
use iam::command::*;
use iam::error::{Entity, Error};
use iam::output::*;
use iam::rows::*;
use std::collections::BTreeMap;

fn world() -> (World, People) {
    World::peopled(1)
}

fn backup_arn() -> String {
    linked_arn(A, BACKUP, BACKUP_ROLE)
}

fn view(world: &mut World, root: &Caller, role: &str) -> RoleView {
    match world.ok(root, Command::GetRole { role: t(role) }) {
        Output::Role(view) => view,
        other => panic!("{other:?}"),
    }
}

fn authorized(world: &mut World, service: &Caller, who: &Caller, action: &str) -> bool {
    let question = Question {
        action: action.into(),
        resource: Some("arn:aws:storage:::bucket".into()),
        account: None,
        context: BTreeMap::new(),
    };
    let command = Command::AuthorizeRequest(Box::new(question));
    match world.call_for(service, Some(who), command).unwrap() {
        Output::Authorized { decision, .. } => decision.allowed(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn row_01_02_a_linked_role_shows_its_one_service_as_its_trust() {
    let (mut world, people) = world();
    world.linked(&people.root, BACKUP);
    world.linked(&people.root, VAULT);
    world.role(&people.root, "plain", trust_account(A));
    let shown = view(&mut world, &people.root, BACKUP_ROLE);
    assert_eq!(shown.trust, TrustView::Linked(t(BACKUP)));
    assert!(
        matches!(&shown.role.kind, RoleKind::Linked(l) if l.template.service.as_str() == BACKUP)
    );
    assert_eq!(shown.arn, backup_arn());
    let shown = view(&mut world, &people.root, VAULT_ROLE);
    assert_eq!(shown.trust, TrustView::Linked(t(VAULT)));
    assert!(matches!(view(&mut world, &people.root, "plain").trust, TrustView::Own(_)));
}

#[test]
fn row_03_only_its_service_assumes_it() {
    let (mut world, people) = world();
    world.linked(&people.root, BACKUP);
    for caller in [&people.root, &people.admin, &people.other_root, &people.other] {
        assert!(is_denied(&world.assume(caller, assume(&backup_arn()))));
    }
    assert!(world.assume(&people.backup, assume(&backup_arn())).is_ok());
}

#[test]
fn row_05_whatever_alters_it_is_refused_by_name() {
    let (mut world, people) = world();
    world.linked(&people.root, BACKUP);
    let delete = world.err(&people.root, Command::DeleteRole { role: t(BACKUP_ROLE) });
    assert_eq!(delete, Error::ProtectedRole(t(BACKUP_ROLE)));
    let longer = Command::UpdateRole {
        role: t(BACKUP_ROLE),
        description: Some(t("x")),
        max_session_s: Some(7_200),
        trust: None,
    };
    assert_eq!(world.err(&people.root, longer), Error::ProtectedDuration(t(BACKUP_ROLE)));
    // The whole list is in `tests/inventory`.
}

#[test]
fn row_06_its_policy_is_for_no_other_identity() {
    let (mut world, people) = world();
    world.linked(&people.root, BACKUP);
    let policy = linked_policy("ExampleBackupServiceRolePolicy");
    let attached = Command::ListAttachedRolePolicies {
        role: t(BACKUP_ROLE),
        prefix: "/".into(),
        paging: no_paging(),
    };
    let Output::Attached(page) = world.ok(&people.root, attached) else { panic!("no page") };
    assert_eq!(page.items.first().unwrap().arn, policy.text);
    let command = Command::AttachUserPolicy { user: t("bare"), policy };
    assert_eq!(world.err(&people.root, command), Error::PolicyNotAttachable);
}

#[test]
fn row_07_08_the_service_does_with_its_session_what_the_policy_says_and_nothing_else() {
    let (mut world, people) = world();
    let storage = world.service(manifest("storage.example.com", "storage", Vec::new()));
    world.linked(&people.root, BACKUP);
    let session = world.assume(&people.backup, assume(&backup_arn())).unwrap();
    assert!(authorized(&mut world, &storage, &session, "storage:GetObject"));
    assert!(!authorized(&mut world, &storage, &session, "storage:PutObject"));
    let list = Command::ListRoles { prefix: "/".into(), with: Vec::new(), paging: no_paging() };
    assert!(is_denied(&world.call(&session, list)));
    let Output::Caller(me) = world.ok(&session, Command::GetCallerIdentity) else {
        panic!("no one")
    };
    assert_eq!(me.arn, format!("arn:aws:sts::{A}:assumed-role/{BACKUP_ROLE}/s-1"));
    assert_eq!((me.kind, me.account), ("role session", Some(t(A))));
}

#[test]
fn row_09_a_service_role_is_made_edited_and_deleted_by_the_account() {
    let (mut world, people) = world();
    let trusting = trust(&format!(r#"{{"Service":"{BACKUP}"}}"#));
    world.role(&people.admin, "for-backup", trusting);
    let arn = format!("arn:aws:iam::{A}:role/for-backup");
    assert!(world.assume(&people.backup, assume(&arn)).is_ok());
    assert!(world.assume(&people.other, assume(&arn)).is_err());
    let other = trust(&format!(r#"{{"Service":"{OTHER}"}}"#));
    let command = Command::UpdateAssumeRolePolicy { role: t("for-backup"), trust: other };
    world.ok(&people.admin, command);
    assert!(world.assume(&people.backup, assume(&arn)).is_err());
    world.ok(&people.admin, Command::DeleteRole { role: t("for-backup") });
    assert!(world.assume(&people.other, assume(&arn)).is_err());
}

#[test]
fn row_10_14_a_service_has_several_roles_and_suffixes_where_its_template_says() {
    let (mut world, people) = world();
    world.linked(&people.root, BACKUP);
    world.linked(&people.root, VAULT);
    world.ok(&people.root, create_linked(VAULT, Some("east")));
    assert!(world.role_named(A, &format!("{VAULT_ROLE}_east")).is_some());
    let error = world.err(&people.root, create_linked(BACKUP, Some("east")));
    assert_eq!(error, Error::SuffixRefused(t(BACKUP)));
    for role in [VAULT_ROLE.to_owned(), format!("{VAULT_ROLE}_east")] {
        let ask = assume(&linked_arn(A, VAULT, &role));
        assert!(world.assume(&people.backup, ask).is_ok());
    }
}

#[test]
fn row_11_names_follow_the_dialect_of_the_account() {
    let (mut world, people) = world();
    assert_eq!(world.linked(&people.root, BACKUP).name.as_str(), BACKUP_ROLE);
    let account = Command::CreateAccount {
        id: Some(t("5555666677778888")),
        dialect: policy::Dialect::Alibaba,
        role_quota: None,
    };
    let Output::Account { key, .. } = world.ok(&Caller::Operator, account) else {
        panic!("no key")
    };
    let root = Caller::Key(key.id.clone());
    let role = world.linked(&root, BACKUP);
    assert_eq!(role.name.as_str(), "AliyunServiceRoleForExampleBackup");
    let shown = view(&mut world, &root, "AliyunServiceRoleForExampleBackup");
    assert_eq!(shown.arn, "acs:ram::5555666677778888:role/aliyunserviceroleforexamplebackup");
}

#[test]
fn row_12_13_principals_are_exact_and_role_names_unique_ignoring_case() {
    let (mut world, people) = world();
    let error = world.err(&people.root, create_linked("Backup.example.com", None));
    assert!(matches!(error, Error::UnknownServicePrincipal(_)));
    world.linked(&people.root, BACKUP);
    let error = world.err(&people.root, create_linked(BACKUP, None));
    assert_eq!(error, Error::RoleNameTaken(t(BACKUP_ROLE)));
    world.role(&people.root, "Plain", trust_account(A));
    let error = world.err(&people.root, create_role("pLAIN", "/x/", trust_account(A)));
    assert!(matches!(error, Error::AlreadyExists(Entity::Role(_))));
}

#[test]
fn row_15_16_description_now_and_later_tags_only_later() {
    let (mut world, people) = world();
    let create = Command::CreateServiceLinkedRole {
        principal: BACKUP.into(),
        suffix: None,
        description: Some(t("first")),
    };
    world.ok(&people.root, create);
    let described = |world: &World| {
        let role = world.role_named(A, BACKUP_ROLE).unwrap();
        (role.description.as_ref().unwrap().to_string(), role.tags.len())
    };
    assert_eq!(described(&world), ("first".to_owned(), 0));
    let update = Command::UpdateRoleDescription { role: t(BACKUP_ROLE), description: t("second") };
    world.ok(&people.root, update);
    let tags = vec![(t("team"), t("blue"))];
    world.ok(&people.root, Command::Tag { on: Tagged::Roles(vec![t(BACKUP_ROLE)]), tags });
    assert_eq!(described(&world), ("second".to_owned(), 1));
    // Also while a deletion has it fenced, and the epoch does not move.
    let task = world.submit(&people.root, BACKUP_ROLE);
    world.step_to(&task, TaskPhase::Fenced);
    let third = Command::UpdateRole {
        role: t(BACKUP_ROLE),
        description: Some(t("third")),
        max_session_s: None,
        trust: None,
    };
    world.ok(&people.root, third);
    world.ok(
        &people.root,
        Command::Untag {
            on: Tagged::Roles(vec![t(BACKUP_ROLE)]),
            keys: vec![t("team")],
            all: false,
        },
    );
    assert_eq!(described(&world), ("third".to_owned(), 0));
    assert_eq!(world.finish(&task).status, TaskStatus::Succeeded);
}

#[test]
fn row_17_linked_roles_count_and_are_never_refused_for_it() {
    let (mut world, _) = world();
    let account =
        Command::CreateAccount { id: None, dialect: policy::Dialect::Aws, role_quota: Some(2) };
    let Output::Account { key, .. } = world.ok(&Caller::Operator, account) else {
        panic!("no key")
    };
    let root = Caller::Key(key.id.clone());
    world.linked(&root, BACKUP);
    world.role(&root, "one", trust_account(A));
    assert!(matches!(
        world.err(&root, create_role("two", "/", trust_account(A))),
        Error::QuotaExceeded(iam::error::Quota::Roles, 2)
    ));
    world.linked(&root, VAULT);
    world.linked(&root, OTHER);
}

#[test]
fn row_18_19_20_it_comes_by_itself_for_a_caller_who_may_and_by_hand() {
    let (mut world, people) = world();
    let ensure = || Command::EnsureServiceLinkedRole { principal: BACKUP.into(), suffix: None };
    let before = world.state.rows();
    assert!(is_denied(&world.call_for(&people.backup, Some(&people.bare), ensure())));
    assert_eq!(world.state.rows(), before, "nothing is half made");
    let first = world.call_for(&people.backup, Some(&people.admin), ensure()).unwrap();
    let Output::Ensured { role, created: true } = first else { panic!("{first:?}") };
    let second = world.call_for(&people.backup, Some(&people.admin), ensure()).unwrap();
    let Output::Ensured { role: same, created: false } = second else { panic!("{second:?}") };
    assert_eq!(role.role.id, same.role.id);
    world.ok(&people.admin, create_linked(OTHER, None));
}

/// A user with one policy; what of the four operations it may do, per service.
fn allowed(document: &str, service: &str) -> Vec<&'static str> {
    let (mut world, people) = world();
    world.put_user_policy(&people.root, "bare", permissions(document));
    let role = if service == BACKUP { BACKUP_ROLE } else { OTHER_ROLE };
    let mut all = Vec::new();
    let mut note = |name, outcome: Result<Output, Error>| {
        if !is_denied(&outcome) {
            all.push(name);
        }
    };
    note("create", world.call(&people.bare, create_linked(service, None)));
    let _ = world.call(&people.root, create_linked(service, None));
    let update = Command::UpdateRoleDescription { role: t(role), description: t("x") };
    note("describe", world.call(&people.bare, update));
    let attach = Command::AttachRolePolicy {
        role: t(role),
        policy: linked_policy("ExampleBackupServiceRolePolicy"),
    };
    note("attach", world.call(&people.bare, attach));
    note("delete", world.call(&people.bare, Command::DeleteServiceLinkedRole { role: t(role) }));
    let task = world.submit(&people.root, role);
    let status = Command::GetServiceLinkedRoleDeletionStatus {
        task,
        principal: service.into(),
        role: role.into(),
    };
    note("status", world.call(&people.bare, status));
    note(
        "list",
        world.call(
            &people.bare,
            Command::ListRoles { prefix: "/".into(), with: Vec::new(), paging: no_paging() },
        ),
    );
    note("other", world.call(&people.bare, Command::DeleteRole { role: t(role) }));
    all
}

fn statement(actions: &str, resource: &str, condition: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":{actions},"Resource":"{resource}"{condition}}}]}}"#
    )
}

const NAMED: &str = r#","Condition":{"StringLike":{"iam:AWSServiceName":"backup.example.com"}}"#;
const ONE: &str =
    "arn:aws:iam::*:role/aws-service-role/backup.example.com/AWSServiceRoleForExampleBackup*";
const ANY: &str = "arn:aws:iam::*:role/aws-service-role/*";

#[test]
fn row_21_22_23_sample_create_one_role() {
    let create = statement(r#""iam:CreateServiceLinkedRole""#, ONE, NAMED);
    assert_eq!(allowed(&create, BACKUP), ["create"]);
    assert!(allowed(&create, OTHER).is_empty());
    // The page's second statement opens the way to the protected role's own refusal, no further.
    let second = statement(r#"["iam:AttachRolePolicy","iam:PutRolePolicy"]"#, ONE, "");
    assert_eq!(allowed(&second, BACKUP), ["attach"]);
    assert!(allowed(&second, OTHER).is_empty());
}

#[test]
fn row_21_22_23_sample_create_any_role() {
    let document = statement(r#""iam:CreateServiceLinkedRole""#, ANY, "");
    assert_eq!(allowed(&document, BACKUP), ["create"]);
    assert_eq!(allowed(&document, OTHER), ["create"]);
}

#[test]
fn row_21_22_23_sample_edit_a_description() {
    let one = statement(r#""iam:UpdateRoleDescription""#, ONE, NAMED);
    assert_eq!(allowed(&one, BACKUP), ["describe"]);
    assert!(allowed(&one, OTHER).is_empty());
    let any = statement(r#""iam:UpdateRoleDescription""#, ANY, "");
    assert_eq!(allowed(&any, BACKUP), ["describe"]);
    assert_eq!(allowed(&any, OTHER), ["describe"]);
}

#[test]
fn row_21_22_23_sample_delete_roles() {
    let actions = r#"["iam:DeleteServiceLinkedRole","iam:GetServiceLinkedRoleDeletionStatus"]"#;
    let one = statement(actions, ONE, NAMED);
    assert_eq!(allowed(&one, BACKUP), ["delete", "status"]);
    assert!(allowed(&one, OTHER).is_empty());
    let any = statement(actions, ANY, "");
    assert_eq!(allowed(&any, BACKUP), ["delete", "status"]);
    assert_eq!(allowed(&any, OTHER), ["delete", "status"]);
}

#[test]
fn row_23_27_sample_pass_one_role() {
    let (mut world, people) = world();
    for name in ["my-role-for-backup", "another"] {
        world.role(&people.root, name, trust(&format!(r#"{{"Service":"{BACKUP}"}}"#)));
    }
    world.linked(&people.root, BACKUP);
    let one = format!("arn:aws:iam::{A}:role/my-role-for-backup");
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*"}},{{"Effect":"Allow","Action":"iam:PassRole","Resource":"{one}"}}]}}"#
    );
    world.put_user_policy(&people.root, "bare", permissions(&text));
    let mut pass = |resource: String| {
        let question = Question {
            action: "iam:PassRole".into(),
            resource: Some(resource),
            account: None,
            context: BTreeMap::from([("iam:PassedToService".to_owned(), vec![BACKUP.to_owned()])]),
        };
        let command = Command::AuthorizeRequest(Box::new(question));
        match world.call_for(&people.backup, Some(&people.bare), command).unwrap() {
            Output::Authorized { decision, .. } => decision.allowed(),
            other => panic!("{other:?}"),
        }
    };
    assert!(pass(one.clone()));
    assert!(!pass(format!("arn:aws:iam::{A}:role/another")));
    assert!(!pass(backup_arn()));
    let list = Command::ListRoles { prefix: "/".into(), with: Vec::new(), paging: no_paging() };
    world.ok(&people.bare, list);
    assert!(is_denied(&world.call(&people.bare, Command::DeleteRole { role: t("another") })));
    world.put_user_policy(&people.root, "bare", allow("iam:PassRole", "*"));
    let linked = Question {
        action: "iam:PassRole".into(),
        resource: Some(backup_arn()),
        account: None,
        context: BTreeMap::new(),
    };
    let command = Command::AuthorizeRequest(Box::new(linked));
    match world.call_for(&people.backup, Some(&people.bare), command).unwrap() {
        Output::Authorized { decision, message, .. } => {
            assert!(!decision.allowed() && message.is_some());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn row_26_a_service_registers_itself_once_with_the_operators_token() {
    let (mut world, people) = world();
    let command = Command::EnrolService { service: t("new.example.com"), callback: None };
    let Output::Enrolment { token, .. } = world.ok(&Caller::Operator, command) else {
        panic!("no token")
    };
    let register = |token: Option<&str>, service: &str| Command::RegisterService {
        token: token.map(str::to_owned),
        manifest: Box::new(manifest(
            service,
            "new",
            vec![template(service, "ExampleNew", SuffixRule::Refused)],
        )),
    };
    let token = token.expose().to_owned();
    for (given, service) in [
        (None, "new.example.com"),
        (Some(""), "new.example.com"),
        (Some("0000"), "new.example.com"),
        (Some(token.as_str()), "newer.example.com"),
    ] {
        let error = world.err(&Caller::Anonymous, register(given, service));
        assert_eq!(error, Error::EnrolmentRefused);
    }
    let mut late = world.clone();
    late.now_ms += iam::limits::ENROLMENT_MS;
    let error = late.err(&Caller::Anonymous, register(Some(&token), "new.example.com"));
    assert_eq!(error, Error::EnrolmentRefused);
    world.ok(&Caller::Anonymous, register(Some(&token), "new.example.com"));
    let again = world.err(&Caller::Anonymous, register(Some(&token), "new.example.com"));
    assert_eq!(again, Error::EnrolmentRefused);
    world.linked(&people.root, "new.example.com");
}

#[test]
fn row_35_36_37_38_41_a_deletion_is_a_task_that_says_why_it_failed_and_can_be_asked_for_again() {
    let (mut world, people) = world();
    let role = world.linked(&people.root, BACKUP);
    for (region, resource) in [("north-1", "vault-1"), ("south-1", "vault-2")] {
        let command = Command::RegisterUsage {
            target: target(A, BACKUP_ROLE),
            region: t(region),
            resource: t(resource),
        };
        world.ok(&people.backup, command);
    }
    let task = world.submit(&people.root, BACKUP_ROLE);
    assert_eq!(world.task(&task).status, TaskStatus::NotStarted);
    assert_eq!(world.submit(&people.root, BACKUP_ROLE), task);
    world.step(&task);
    assert_eq!(world.task(&task).status, TaskStatus::InProgress);
    let failed = world.finish(&task);
    assert_eq!(failed.status, TaskStatus::Failed);
    let usages: Vec<String> =
        failed.usages.iter().map(|(region, names)| format!("{region}: {names:?}")).collect();
    assert_eq!(usages, [r#"north-1: ["vault-1"]"#, r#"south-1: ["vault-2"]"#]);
    assert!(failed.reason.as_deref().unwrap().contains("in use"));

    // After the clean-up a session still holds it, until it ends.
    let reconcile = |region: &str| Command::ReconcileUsage {
        target: target(A, role.id.as_str()),
        region: t(region),
        after_version: 1,
        resources: std::collections::BTreeSet::new(),
    };
    world.ok(&people.backup, reconcile("north-1"));
    world.ok(&people.backup, reconcile("south-1"));
    let session = world.assume(&people.backup, assume(&backup_arn())).unwrap();
    let failed = world.delete_linked(&people.root, BACKUP_ROLE);
    assert_eq!(failed.status, TaskStatus::Failed);
    assert!(failed.reason.as_deref().unwrap().contains("session") && failed.usages.is_empty());
    assert!(world.works(&session), "nobody but the service ends it");
    world.now_ms += 3_600_000 + iam::limits::LEDGER_STEP_MS;
    let done = world.delete_linked(&people.root, BACKUP_ROLE);
    assert_eq!(done.status, TaskStatus::Succeeded);
    assert_ne!(done.id, task);
}

#[test]
fn row_40_a_role_goes_with_its_last_use_or_when_its_service_is_done_with_it() {
    let (mut world, people) = World::peopled(40);
    let automatic = Template {
        deletion: DeletionRule::Automatic,
        ..template("auto.example.com", "ExampleAuto", SuffixRule::Refused)
    };
    let service = world.service(manifest("auto.example.com", "auto", vec![automatic]));
    let name = "AWSServiceRoleForExampleAuto";
    let gone = |world: &World| world.role_named(A, name).is_none();
    let leave = |resource: &str| Command::DeregisterUsage {
        target: target(A, name),
        region: t("north-1"),
        resource: t(resource),
    };
    let begun = |output: Output| match output {
        Output::Usage { began_deletion, .. } => began_deletion,
        other => panic!("{other:?}"),
    };
    let role = world.linked(&people.root, "auto.example.com");
    // Nothing was ever registered: nothing leaves, and the role stays.
    assert_eq!(begun(world.ok(&service, leave("a"))), None);
    for resource in ["a", "b"] {
        world.ok(&service, register(A, name, resource));
    }
    let arn = linked_arn(A, "auto.example.com", name);
    let session = world.assume(&service, assume(&arn)).unwrap();
    assert_eq!(begun(world.ok(&service, leave("a"))), None, "one is left");
    let task = begun(world.ok(&service, leave("b"))).unwrap();
    assert_eq!(world.last_event().response.get("deletionTaskId"), Some(&task.to_string()));
    world.err(&session, Command::GetCallerIdentity);
    world.finish(&task);
    assert!(gone(&world));
    // Told as a set, it is the same; a use that comes first wins.
    let again = world.linked(&people.root, "auto.example.com");
    assert_ne!(again.id, role.id);
    world.ok(&service, register(A, name, "c"));
    let version = world.state.usage_version(&again.id, &t("north-1"));
    let empty = Command::ReconcileUsage {
        target: target(A, name),
        region: t("north-1"),
        after_version: version,
        resources: Default::default(),
    };
    let task = begun(world.ok(&service, empty)).unwrap();
    let Output::Usage { ended_deletion, .. } = world.ok(&service, register(A, name, "d")) else {
        panic!("no usage")
    };
    assert!(ended_deletion.is_none() || ended_deletion == Some(task.clone()));
    world.finish(&task);
    assert!(!gone(&world), "a use wins");
    // Done with it: refused while something uses it, and its sessions live on.
    let session = world.assume(&service, assume(&arn)).unwrap();
    let retire = || Command::RetireServiceLinkedRole { target: target(A, name) };
    let Output::Task(view) = world.ok(&service, retire()) else { panic!("no task") };
    world.finish(&view.task.id);
    assert!(!gone(&world));
    world.ok(&session, Command::GetCallerIdentity);
    let task = begun(world.ok(&service, leave("d"))).unwrap();
    world.finish(&task);
    assert!(gone(&world));
    // A service retires no other's role, and a role of manual deletion stays when its last use leaves.
    world.linked(&people.root, BACKUP);
    let backup = || Command::RetireServiceLinkedRole { target: target(A, BACKUP_ROLE) };
    assert!(matches!(world.err(&service, backup()), Error::NoSuchEntity(_)));
    world.ok(&people.backup, register(A, BACKUP_ROLE, "v"));
    let command = Command::DeregisterUsage {
        target: target(A, BACKUP_ROLE),
        region: t("north-1"),
        resource: t("v"),
    };
    assert_eq!(begun(world.ok(&people.backup, command)), None);
    let Output::Task(view) = world.ok(&people.backup, backup()) else { panic!("no task") };
    world.finish(&view.task.id);
    assert!(world.role_named(A, BACKUP_ROLE).is_none());
}

#[test]
fn row_42_after_the_deletion_the_features_fail_clearly_and_can_be_enabled_again() {
    let (mut world, people) = world();
    world.linked(&people.root, BACKUP);
    assert_eq!(world.delete_linked(&people.root, BACKUP_ROLE).status, TaskStatus::Succeeded);
    assert!(matches!(
        world.err(&people.backup, register(A, BACKUP_ROLE, "vault-1")),
        Error::NoSuchEntity(Entity::Role(_))
    ));
    assert!(is_denied(&world.assume(&people.backup, assume(&backup_arn()))));
    let ensure = Command::EnsureServiceLinkedRole { principal: BACKUP.into(), suffix: None };
    world.call_for(&people.backup, Some(&people.admin), ensure).unwrap();
    world.ok(&people.backup, register(A, BACKUP_ROLE, "vault-1"));
    assert!(world.assume(&people.backup, assume(&backup_arn())).is_ok());
}

#[test]
fn row_44_a_plan_says_what_a_deletion_would_find_and_changes_nothing() {
    let (mut world, people) = world();
    let plan = || Command::PlanServiceLinkedRoleDeletion { role: t(BACKUP_ROLE) };
    let read = |output: Output| match output {
        Output::Plan(view) => *view,
        other => panic!("{other:?}"),
    };
    assert!(matches!(world.err(&people.root, plan()), Error::NoSuchEntity(_)));
    world.linked(&people.root, BACKUP);
    let free = read(world.ok(&people.root, plan()));
    assert_eq!((free.count, free.sessions_until_ms, free.open), (0, None, None));
    for number in 0..101 {
        world.ok(&people.backup, register(A, BACKUP_ROLE, &format!("vault-{number}")));
    }
    let arn = linked_arn(A, BACKUP, BACKUP_ROLE);
    world.assume(&people.backup, assume(&arn)).unwrap();
    let before = world.state.rows();
    let held = read(world.ok(&people.root, plan()));
    assert_eq!(world.state.rows(), before);
    let shown: usize = held.usages.values().map(Vec::len).sum();
    assert_eq!((held.count, shown), (101, 100));
    assert!(held.sessions_until_ms.is_some_and(|until| until > world.now_ms));
    let task = world.submit(&people.root, BACKUP_ROLE);
    assert_eq!(read(world.ok(&people.root, plan())).open, Some(task));
    // An ordinary role has no such plan, and who may not plan learns nothing.
    world.role(&people.root, "plain", trust_account(A));
    let command = Command::PlanServiceLinkedRoleDeletion { role: t("plain") };
    assert!(matches!(world.err(&people.root, command), Error::NoSuchEntity(_)));
    assert!(is_denied(&world.call(&people.bare, plan())));
}

#[test]
fn row_45_what_opens_doors_is_in_the_trail_boundary_tags_and_session_policies() {
    let (mut world, people) = world();
    let tag = |key: &str, value: &str| (t(key), t(value));
    let tags = vec![tag("a", "x"), tag("b", "y")];
    let param = |world: &World, name: &str| world.last_event().params.get(name).cloned();
    let told = r#"[{"key":"a","value":"x"},{"key":"b","value":"y"}]"#;
    let bound = system_policy("AdministratorAccess");
    let create = Command::CreateUser {
        user: t("bounded"),
        path: t("/"),
        boundary: Some(bound.clone()),
        tags: tags.clone(),
        profile: Default::default(),
    };
    world.ok(&people.root, create);
    assert_eq!(param(&world, "permissionsBoundary"), Some(bound.text.clone()));
    assert_eq!(param(&world, "tags").as_deref(), Some(told));
    let create = Command::CreatePolicy {
        name: t("tagged"),
        path: t("/"),
        document: allow("x:Get", "*"),
        description: None,
        tags: tags.clone(),
    };
    world.ok(&people.root, create);
    assert_eq!(param(&world, "tags").as_deref(), Some(told));
    world.role(&people.root, "door", trust_account(A));
    let ask = AssumeRole {
        policy_arns: vec![bound.clone()],
        tags,
        transitive: vec![t("a")],
        ..assume(&format!("arn:aws:iam::{A}:role/door"))
    };
    let _ = world.call(&people.admin, Command::AssumeRole(Box::new(ask)));
    assert_eq!(param(&world, "tags").as_deref(), Some(told));
    assert_eq!(param(&world, "transitiveTagKeys").as_deref(), Some(r#"["a"]"#));
    let arns = format!(r#"[{{"arn":"{}"}}]"#, bound.text);
    assert_eq!(param(&world, "policyArns"), Some(arns));
}
