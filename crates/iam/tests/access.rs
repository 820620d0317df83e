//! What is remembered of who used what.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

mod common;

use common::*;
use iam::access::{Noted, Part};
use iam::caller::Caller;
use iam::command::*;
use iam::limits;
use iam::output::*;
use iam::rows::*;
use iam::text::*;
use std::collections::BTreeMap;

fn world() -> (World, People) {
    let (mut world, people) = World::peopled(3);
    world.source.region = "north-1".into();
    (world, people)
}

/// Stores what the events since `from` tell.
fn record(world: &mut World, from: usize) {
    let mut noted = Noted::default();
    world.events.iter().skip(from).for_each(|event| noted.note(event));
    world.ok(&Caller::System, Command::RecordUse { noted: Box::new(noted), part: Part::WHOLE });
}

/// A service asks about a caller whose request it received; whether it is allowed.
fn asked(world: &mut World, service: &Caller, who: &Caller, action: &str) -> bool {
    let question = Question {
        action: action.into(),
        resource: Some("arn:aws:storage:::bucket".into()),
        account: None,
        context: BTreeMap::new(),
    };
    match world.call_for(service, Some(who), Command::AuthorizeRequest(Box::new(question))) {
        Ok(Output::Authorized { decision, .. }) => decision.allowed(),
        other => panic!("{other:?}"),
    }
}

fn storage(world: &mut World) -> Caller {
    world.service(manifest("storage.example.com", "storage", Vec::new()))
}

fn user_id(world: &World, name: &str) -> PrincipalId {
    t(world.state.user(&t(A), &Folded::of(name)).unwrap().id.as_str())
}

fn seen(world: &World, of: &PrincipalId, service: &str) -> Option<Access> {
    world.state.access(of, &t(service)).map(|row| (**row).clone())
}

#[test]
fn row_33_attempts_count_by_service_and_action_whether_allowed_or_not() {
    let (mut world, people) = world();
    let service = storage(&mut world);
    world.put_user_policy(&people.root, "bare", allow("storage:Get*", "*"));
    let from = world.events.len();
    assert!(asked(&mut world, &service, &people.bare, "storage:GetObject"));
    world.now_ms += 5_000;
    assert!(!asked(&mut world, &service, &people.bare, "storage:PutObject"));
    // Its own calls count too, refused ones like others; handing on a role does not.
    assert!(world.call(&people.bare, Command::ListAccounts).is_err());
    assert!(is_denied(
        &world.call(&people.bare, Command::ListUsers { prefix: "/".into(), paging: no_paging() })
    ));
    record(&mut world, from);
    let bare = user_id(&world, "bare");
    let row = seen(&world, &bare, "storage").unwrap();
    let names: Vec<&str> = row.actions.keys().map(ActionName::as_str).collect();
    assert_eq!(names, ["GetObject", "PutObject"]);
    assert_eq!(row.last, Seen { at_ms: world.now_ms, region: "north-1".into() });
    assert_eq!(row.actions.get(&t("GetObject")).unwrap().at_ms, world.now_ms - 5_000);
    assert!(seen(&world, &bare, "iam").unwrap().actions.contains_key(&t("ListUsers")));
    // Nobody else did anything, and the service is no principal of an account.
    let all: Vec<Row> = world.state.rows();
    let others = all.iter().filter(|row| matches!(row, Row::Access(a) if a.principal != bare));
    assert_eq!(others.count(), 0);
}

#[test]
fn row_33_sessions_of_a_role_are_counted_and_what_they_do_is_the_roles() {
    let (mut world, people) = world();
    let service = storage(&mut world);
    let role = world.linked(&people.root, BACKUP);
    let arn = linked_arn(A, BACKUP, BACKUP_ROLE);
    let from = world.events.len();
    let session = world.assume(&people.backup, assume(&arn)).unwrap();
    world.assume(&people.backup, assume(&arn)).unwrap();
    assert!(world.assume(&people.admin, assume(&arn)).is_err());
    asked(&mut world, &service, &session, "storage:GetObject");
    record(&mut world, from);
    let id: PrincipalId = t(role.id.as_str());
    assert_eq!(world.state.sessions(&id).unwrap().opened, 2);
    assert!(seen(&world, &id, "storage").unwrap().actions.contains_key(&t("GetObject")));
    let last = world.state.last_use(&Used::Role(role.id.clone())).unwrap();
    assert_eq!((last.service.as_str(), last.region.as_str()), ("storage", "north-1"));
    // A role that goes takes it along; one of its name made again begins with nothing.
    world.now_ms += 2 * i64::from(limits::SESSION_DEFAULT_S) * 1_000;
    assert_eq!(world.delete_linked(&people.root, BACKUP_ROLE).status, TaskStatus::Succeeded);
    assert!(seen(&world, &id, "storage").is_none() && world.state.sessions(&id).is_none());
    // What is told of it later is dropped.
    record(&mut world, from);
    assert!(world.state.sessions(&id).is_none());
}

#[test]
fn row_33_a_session_of_a_user_is_a_use_of_the_key_that_opened_it() {
    let (mut world, people) = world();
    let Caller::Key(key) = &people.admin else { panic!("no key") };
    let output = world.ok(&people.admin, Command::GetSessionToken { duration_s: None });
    let session = world.session(output);
    let from = world.events.len();
    world.now_ms += 1_000;
    assert!(world.works(&session));
    record(&mut world, from);
    assert_eq!(world.state.last_use(&Used::Key(key.clone())).unwrap().at_ms, world.now_ms);
}

#[test]
fn row_33_what_is_kept_of_one_principal_is_bounded_and_ends_after_400_days() {
    let (mut world, people) = world();
    let service = storage(&mut world);
    let bare = user_id(&world, "bare");
    let from = world.events.len();
    assert!(!asked(&mut world, &service, &people.bare, "storage:Oldest"));
    record(&mut world, from);
    world.now_ms += limits::ACCESS_KEPT_MS + 1;
    for round in 0..2 {
        let from = world.events.len();
        for n in 0..limits::ACCESS_ACTIONS {
            world.now_ms += 1;
            assert!(!asked(&mut world, &service, &people.bare, &format!("storage:Do{round}x{n}")));
        }
        record(&mut world, from);
    }
    let row = seen(&world, &bare, "storage").unwrap();
    assert_eq!(row.actions.len(), limits::ACCESS_ACTIONS);
    assert!(!row.actions.contains_key(&t("Oldest")));
    assert!(row.actions.keys().all(|name| name.as_str().starts_with("Do1x")), "the newest stay");
}

#[test]
fn row_33_the_same_events_in_any_order_leave_the_same() {
    let (mut world, people) = world();
    let service = storage(&mut world);
    let from = world.events.len();
    for n in 0..20 {
        world.now_ms += 1;
        asked(&mut world, &service, &people.bare, &format!("storage:Do{}", n % 3));
        assert!(world.works(&people.admin));
    }
    let (mut forwards, mut backwards) = (Noted::default(), Noted::default());
    let events = world.events.iter().skip(from);
    events.clone().for_each(|event| forwards.note(event));
    events.rev().for_each(|event| backwards.note(event));
    assert!(!forwards.is_empty());
    assert_eq!(forwards, backwards);
}

#[test]
fn row_33_a_report_is_about_what_its_id_says_for_seven_days_and_for_whoever_asked() {
    let (mut world, people) = world();
    let root = people.root.clone();
    world.linked(&root, BACKUP);
    let document = allow("vault:*", "*");
    world.ok(
        &root,
        Command::CreatePolicy {
            name: t("own"),
            path: t("/"),
            document,
            description: None,
            tags: Vec::new(),
        },
    );
    let group = Command::CreateGroup { group: t("crew"), path: t("/"), comments: None };
    world.ok(&root, group);
    let policy = world.state.template(&t(BACKUP)).unwrap().1.policy.to_string();
    world.put_user_policy(&root, "bare", allow("ec2:Get*", "*"));
    for (of, reaches) in [
        (ReportOf::User(t("bare")), Some("ec2")),
        (ReportOf::Group(t("crew")), None),
        (ReportOf::Role(t(BACKUP_ROLE)), Some("storage")),
        (ReportOf::Policy(customer_policy(A, "own")), Some("vault")),
        (ReportOf::Policy(system_policy("IAMReadOnlyAccess")), Some("iam")),
        (ReportOf::Policy(linked_policy(&policy)), Some("storage")),
    ] {
        let target = ReportTarget { text: "the ARN".into(), account: t(A), of: of.clone() };
        let ask = Command::GenerateServiceLastAccessedDetails { of: target, with_actions: false };
        let Output::AccessJob(job) = world.ok(&root, ask) else { panic!("no report") };
        assert_eq!(job.len(), 36, "{of:?}");
        let read = Command::GetServiceLastAccessedDetails { job, paging: no_paging() };
        let Output::AccessReport(view) = world.ok(&root, read.clone()) else { panic!("none") };
        let names: Vec<&str> = view.services.items.iter().map(|s| s.service.as_str()).collect();
        assert!(reaches.is_none_or(|service| names.contains(&service)), "{of:?}: {names:?}");
        assert!(world.call(&people.admin, read.clone()).is_err(), "{of:?}");
        assert!(world.call(&people.other_root, read.clone()).is_err(), "{of:?}");
        world.now_ms += limits::REPORT_KEPT_MS + 2_000;
        assert!(world.call(&root, read).is_err(), "{of:?}");
    }
}
