//! F: the deletion of a service-linked role, order by order. Random orders are in `tests/model`.

use crate::common::*;
use iam::caller::Caller;
use iam::command::*;
use iam::deletion::IN_USE;
use iam::error::{Entity, Error, Quota};
use iam::limits;
use iam::output::*;
use iam::rows::*;
use std::sync::Arc;

fn arn() -> String {
    linked_arn(A, BACKUP, BACKUP_ROLE)
}

fn world() -> (World, People, Arc<Role>) {
    let (mut world, people) = World::peopled(1);
    let role = world.linked(&people.root, BACKUP);
    (world, people, role)
}

fn step_of(task: &DeletionTask, step: Step) -> Command {
    Command::StepDeletion(DeletionStep {
        task: task.id.clone(),
        attempt: task.attempt,
        epoch: task.fence_epoch,
        step,
        answers: Vec::new(),
    })
}

fn is_stale(outcome: &Result<Output, Error>) -> bool {
    matches!(outcome, Err(Error::Stale(_)))
}

fn status(world: &World) -> RoleStatus {
    match world.role_named(A, BACKUP_ROLE).unwrap().kind.clone() {
        RoleKind::Linked(linked) => linked.status,
        RoleKind::Own(_) => panic!("not linked"),
    }
}

#[test]
fn atk_f20_a_use_that_begins_at_any_moment_keeps_the_role() {
    for phase in [TaskPhase::Queued, TaskPhase::Claimed, TaskPhase::Checked, TaskPhase::Fenced] {
        let (mut world, people, role) = world();
        let task = world.submit(&people.root, BACKUP_ROLE);
        world.step_to(&task, phase);
        let answer = world.ok(&people.backup, register(A, role.id.as_str(), "vault-1"));
        let Output::Usage { ended_deletion, .. } = answer else { panic!("no usage") };
        assert_eq!(ended_deletion.is_some(), phase == TaskPhase::Fenced);
        let ended = world.finish(&task);
        assert_eq!(ended.status, TaskStatus::Failed, "{phase:?}");
        assert!(ended.reason.as_deref().unwrap().starts_with(IN_USE));
        assert!(matches!(status(&world), RoleStatus::Active { .. }));
        // The control: without the use the same orders end it.
        world.ok(&people.backup, deregister(A, BACKUP_ROLE, "vault-1"));
        assert_eq!(world.delete_linked(&people.root, BACKUP_ROLE).status, TaskStatus::Succeeded);
    }
}

#[test]
fn atk_f21_a_commit_under_another_epoch_does_nothing() {
    let (mut world, people, _) = world();
    let task = world.submit(&people.root, BACKUP_ROLE);
    let fenced = world.step_to(&task, TaskPhase::Fenced);
    assert_eq!(fenced.fence_epoch, Some(1));
    for epoch in [None, Some(0), Some(2), Some(u64::MAX)] {
        let odd = DeletionTask { fence_epoch: epoch, ..(*fenced).clone() };
        assert!(is_stale(&world.call(&Caller::System, step_of(&odd, Step::Commit))), "{epoch:?}");
    }
    world.ok(&Caller::System, step_of(&fenced, Step::Commit));
    // Once more is once too often.
    assert!(is_stale(&world.call(&Caller::System, step_of(&fenced, Step::Commit))));
    assert_eq!(world.finish(&task).status, TaskStatus::Succeeded);
    assert!(is_stale(&world.call(&Caller::System, step_of(&fenced, Step::Commit))));
}

#[test]
fn atk_f22_a_worker_that_slept_through_its_lease_does_nothing() {
    let (mut world, people, _) = world();
    let task = world.submit(&people.root, BACKUP_ROLE);
    let mine = world.step_to(&task, TaskPhase::Fenced);
    assert!(is_stale(&world.call(&Caller::System, step_of(&mine, Step::Claim))), "it is held");
    world.now_ms += limits::TASK_LEASE_MS;
    world.ok(&Caller::System, step_of(&mine, Step::Claim));
    for step in [Step::Claim, Step::Check, Step::Fence, Step::Commit, Step::Finish, Step::Refuse] {
        assert!(is_stale(&world.call(&Caller::System, step_of(&mine, step))), "{step:?}");
    }
    assert_eq!(status(&world), RoleStatus::Active { epoch: 1 }, "its fence is lifted");
    let other = world.step_to(&task, TaskPhase::Fenced);
    assert_eq!((other.attempt, other.fence_epoch), (2, Some(2)));
    for step in [Step::Commit, Step::Refuse] {
        assert!(is_stale(&world.call(&Caller::System, step_of(&mine, step))), "{step:?}");
    }
    assert_eq!(world.finish(&task).status, TaskStatus::Succeeded);
}

#[test]
fn atk_f23_of_a_commit_and_a_session_the_first_decides() {
    // The session first: it is opened, the deletion ends, the role stays.
    let (mut world, people, _) = world();
    let task = world.submit(&people.root, BACKUP_ROLE);
    let fenced = world.step_to(&task, TaskPhase::Fenced);
    let mut other = world.clone();
    let session = world.assume(&people.backup, assume(&arn())).unwrap();
    assert!(is_stale(&world.call(&Caller::System, step_of(&fenced, Step::Commit))));
    assert_eq!(world.task(&task).status, TaskStatus::Failed);
    assert!(world.works(&session));
    // The commit first: there is no session and no use any more.
    other.ok(&Caller::System, step_of(&fenced, Step::Commit));
    assert!(is_denied(&other.assume(&people.backup, assume(&arn()))));
    assert!(other.call(&people.backup, register(A, BACKUP_ROLE, "r")).is_err());
    assert_eq!(other.finish(&task).status, TaskStatus::Succeeded);
}

#[test]
fn atk_f24_deletes_without_end_do_not_starve_a_service() {
    let (mut world, people, role) = world();
    world.ok(&people.backup, register(A, role.id.as_str(), "vault-1"));
    for _ in 0..100 {
        let ended = world.delete_linked(&people.root, BACKUP_ROLE);
        assert_eq!(ended.status, TaskStatus::Failed);
        assert!(world.assume(&people.backup, assume(&arn())).is_ok());
    }
    assert_eq!(status(&world), RoleStatus::Active { epoch: 0 }, "it was never fenced");
    // Nor do deletes of an unused role that is used just then.
    world.ok(&people.backup, deregister(A, BACKUP_ROLE, "vault-1"));
    for _ in 0..20 {
        world.ok(&people.backup, Command::ReleaseSessions { target: target(A, BACKUP_ROLE) });
        world.now_ms += 1;
        let task = world.submit(&people.root, BACKUP_ROLE);
        world.step_to(&task, TaskPhase::Fenced);
        assert!(world.assume(&people.backup, assume(&arn())).is_ok());
        assert_eq!(world.task(&task).status, TaskStatus::Failed);
    }
}

#[test]
fn atk_f27_atk_f28_a_task_is_its_accounts_and_its_handle_is_one_piece() {
    let (mut world, people, _) = world();
    world.linked(&people.root, OTHER);
    let task = world.submit(&people.root, BACKUP_ROLE);
    let ask =
        |task: &str, principal: &str, role: &str| Command::GetServiceLinkedRoleDeletionStatus {
            task: t(task),
            principal: principal.into(),
            role: role.into(),
        };
    let unknown = "00000000-0000-4000-8000-000000000000";
    world.ok(&people.root, ask(task.as_str(), BACKUP, BACKUP_ROLE));
    let missing = world.err(&people.other_root, ask(unknown, BACKUP, BACKUP_ROLE));
    assert_eq!(missing, Error::NoSuchEntity(Entity::DeletionTask));
    let foreign = world.err(&people.other_root, ask(task.as_str(), BACKUP, BACKUP_ROLE));
    assert_eq!(foreign, missing);
    for (task, principal, role) in [
        (unknown, BACKUP, BACKUP_ROLE),
        (task.as_str(), OTHER, BACKUP_ROLE),
        (task.as_str(), BACKUP, OTHER_ROLE),
        (task.as_str(), "BACKUP.example.com", BACKUP_ROLE),
        (task.as_str(), BACKUP, "awsserviceroleforexamplebackup"),
        (task.as_str(), "", ""),
    ] {
        assert_eq!(world.err(&people.root, ask(task, principal, role)), missing);
    }
    // Without the permission the refusal does not tell a foreign task from an unknown one.
    let both = [unknown, task.as_str()].map(|task| {
        world.put_user_policy(&people.root, "bare", allow("iam:ListRoles", "*"));
        world.err(&people.bare, ask(task, BACKUP, BACKUP_ROLE))
    });
    assert!(both.iter().all(Error::is_denial));
    for odd in ["", "../x", "074F1F09-3777-4FA2-B8FD-BECB42EB9822", "074f1f09/3777"] {
        assert!(iam::text::TaskId::parse(odd).is_err(), "{odd}");
    }
}

#[test]
fn atk_f29_while_a_deletion_is_open_it_is_the_answer() {
    let (mut world, people, _) = world();
    let first = world.submit(&people.root, BACKUP_ROLE);
    for phase in [TaskPhase::Claimed, TaskPhase::Checked, TaskPhase::Fenced] {
        world.step_to(&first, phase);
        assert_eq!(world.submit(&people.admin, BACKUP_ROLE), first);
        assert_eq!(world.submit(&people.root, &BACKUP_ROLE.to_uppercase()), first);
    }
    assert_eq!(world.state.open_tasks().count(), 1);
    world.finish(&first);
    let gone = Command::DeleteServiceLinkedRole { role: t(BACKUP_ROLE) };
    assert!(matches!(world.err(&people.root, gone), Error::NoSuchEntity(_)));
}

#[test]
fn atk_f30_atk_f31_an_old_task_and_an_old_session_do_not_reach_a_role_made_again() {
    let (mut world, people, old) = world();
    let session = world.assume(&people.backup, assume(&arn())).unwrap();
    world.ok(&people.backup, register(A, old.id.as_str(), "vault-1"));
    world.ok(&people.backup, deregister(A, old.id.as_str(), "vault-1"));
    world.now_ms += 3_700_000;
    let task = world.submit(&people.root, BACKUP_ROLE);
    let fenced = world.step_to(&task, TaskPhase::Fenced);
    // The name is taken until the role is gone.
    let early = world.err(&people.root, create_linked(BACKUP, None));
    assert!(matches!(early, Error::RoleNameTaken(_)), "{early:?}");
    let committed = world.step_to(&task, TaskPhase::Committed);
    let new = world.linked(&people.root, BACKUP);
    assert_ne!(new.id, old.id);
    assert!(is_stale(&world.call(&Caller::System, step_of(&fenced, Step::Commit))));
    world.ok(&Caller::System, step_of(&committed, Step::Finish));
    assert_eq!(world.task(&task).status, TaskStatus::Succeeded);
    assert_eq!(world.role_named(A, BACKUP_ROLE), Some(new.clone()));
    // Nothing of the old id acts on the new role.
    assert!(!world.works(&session));
    assert!(world.call(&people.backup, register(A, old.id.as_str(), "vault-1")).is_err());
    assert_eq!((world.state.usage_count(&new.id), world.state.ledger_ms(&new.id)), (0, 0));
    assert!(world.state.usage_regions(&new.id).is_empty());
    assert!(world.state.tombstone(&old.id).is_some());
    world.ok(&people.backup, register(A, new.id.as_str(), "vault-1"));
}

#[test]
fn atk_f32_when_a_deletion_has_succeeded_no_session_is_left() {
    let (mut world, people, _) = world();
    let sessions: Vec<Caller> =
        (0..3).map(|_| world.assume(&people.backup, assume(&arn())).unwrap()).collect();
    assert_eq!(world.delete_linked(&people.root, BACKUP_ROLE).status, TaskStatus::Failed);
    assert!(sessions.iter().all(|session| world.works(session)));
    world.ok(&people.backup, Command::ReleaseSessions { target: target(A, BACKUP_ROLE) });
    assert!(!sessions.iter().any(|session| world.works(session)));
    world.now_ms += 1;
    assert_eq!(world.delete_linked(&people.root, BACKUP_ROLE).status, TaskStatus::Succeeded);
    assert!(!sessions.iter().any(|session| world.works(session)));
}

#[test]
fn atk_f35_every_transition_of_a_deletion_is_one_event() {
    let (mut world, people, role) = world();
    let mut transitions = 0;
    let mut events = 0;
    // Under whom each stands: who asked, the service that used the role, or the server's own work.
    let mut actors: Vec<(&str, String, Option<String>)> = Vec::new();
    let mut run = |world: &mut World, caller: &Caller, command: Command| {
        let before: Vec<_> = world.state.tasks().cloned().collect();
        let told = world.events.len();
        let outcome = world.call(caller, command);
        let changed = world.state.tasks().any(|task| !before.contains(task));
        transitions += u32::from(changed);
        let event = world.last_event();
        assert_eq!(world.events.len(), told + 1);
        if changed {
            assert!(outcome.is_ok() && event.error.is_none());
            assert!(event.accounts.contains(&t(A)), "{event:?}");
            let linked = event.resources.iter().any(|r| r.resource == arn());
            assert!(linked, "{event:?}");
            let (kind, name) = match caller {
                Caller::System => ("System", "linkrole".to_owned()),
                by if *by == people.backup => ("AWSService", BACKUP.to_owned()),
                _ => ("Root", format!("arn:aws:iam::{A}:root")),
            };
            assert_eq!((event.actor.kind.as_str(), &event.actor.name), (kind, &name), "{event:?}");
            let through = (kind == "AWSService").then(|| BACKUP.to_owned());
            assert_eq!(event.actor.invoked_by, through, "{event:?}");
            actors.push((kind, name, through));
            events += 1;
        }
    };
    let delete = || Command::DeleteServiceLinkedRole { role: t(BACKUP_ROLE) };
    run(&mut world, &people.root, delete());
    run(&mut world, &people.root, delete());
    for end in [TaskPhase::Fenced, TaskPhase::Final] {
        loop {
            let task = world.state.tasks().find(|task| task.is_open()).cloned();
            let Some(task) = task.filter(|task| task.phase != end) else { break };
            let step = iam::deletion::next_step(&task, world.now_ms).unwrap();
            run(&mut world, &Caller::System, Command::StepDeletion(step.clone()));
            run(&mut world, &Caller::System, Command::StepDeletion(step));
        }
        if end == TaskPhase::Fenced {
            run(&mut world, &people.backup, register(A, role.id.as_str(), "r"));
            run(&mut world, &people.backup, deregister(A, role.id.as_str(), "r"));
            run(&mut world, &people.root, delete());
        }
    }
    assert!(world.role_named(A, BACKUP_ROLE).is_none());
    // Submit, claim, look, fence, the use; submit, claim, look, fence, commit, finish.
    assert_eq!((transitions, events), (11, 11));
    let count = |kind: &str| actors.iter().filter(|(of, ..)| *of == kind).count();
    assert_eq!((count("Root"), count("AWSService"), count("System")), (2, 1, 8));
}

#[test]
fn a_deletion_ends_in_time_and_no_fence_outlives_its_limit() {
    let (mut world, people, _) = world();
    let task = world.submit(&people.root, BACKUP_ROLE);
    let fenced = world.step_to(&task, TaskPhase::Fenced);
    world.now_ms += limits::FENCE_MS + 1;
    let late = world.clone().call(&Caller::System, step_of(&fenced, Step::Commit));
    let Ok(Output::Step { task: late }) = late else { panic!("{late:?}") };
    assert_eq!(late.status, TaskStatus::Failed, "a commit under an old fence gives up");
    // All workers gone until the deadline: the next one gives up and lifts the fence.
    world.now_ms += limits::TASK_DEADLINE_MS;
    assert_eq!(world.finish(&task).status, TaskStatus::Failed);
    assert_eq!(status(&world), RoleStatus::Active { epoch: 1 });
    assert_eq!(world.delete_linked(&people.root, BACKUP_ROLE).status, TaskStatus::Succeeded);
}

#[test]
fn open_deletions_of_an_account_are_bounded() {
    let (mut world, people) = World::peopled(2);
    for n in 0..=limits::OPEN_TASKS_PER_ACCOUNT {
        world.ok(&people.root, create_linked(VAULT, Some(&format!("n{n}"))));
    }
    for n in 0..limits::OPEN_TASKS_PER_ACCOUNT {
        world.submit(&people.root, &format!("{VAULT_ROLE}_n{n}"));
    }
    let last = || format!("{VAULT_ROLE}_n{}", limits::OPEN_TASKS_PER_ACCOUNT);
    let command = Command::DeleteServiceLinkedRole { role: t(&last()) };
    let error = world.err(&people.root, command);
    let full = Error::QuotaExceeded(Quota::DeletionTasks, limits::OPEN_TASKS_PER_ACCOUNT);
    assert_eq!(error, full);
    let first = world.submit(&people.root, &format!("{VAULT_ROLE}_n0"));
    world.finish(&first);
    world.submit(&people.root, &last());
}

#[test]
fn atk_f09_failed_deletions_of_an_account_do_not_pile_up() {
    let (mut world, people) = World::peopled(3);
    world.linked(&people.root, BACKUP);
    world.ok(&people.backup, register(A, BACKUP_ROLE, "vault-1"));
    let mut tasks = Vec::new();
    for _ in 0..limits::ENDED_TASKS_PER_ACCOUNT + 5 {
        world.now_ms += 1;
        let task = world.submit(&people.root, BACKUP_ROLE);
        world.finish(&task);
        tasks.push(task);
    }
    assert_eq!(world.state.tasks().count(), limits::ENDED_TASKS_PER_ACCOUNT);
    // The latest are there, the oldest have given way.
    assert!(tasks.iter().take(5).all(|task| world.state.task(task).is_none()));
    assert!(tasks.iter().skip(5).all(|task| world.state.task(task).is_some()));
}

#[test]
fn only_final_tasks_are_forgotten_and_only_after_their_time() {
    let (mut world, people, _) = world();
    world.linked(&people.root, OTHER);
    let done = world.submit(&people.root, BACKUP_ROLE);
    world.finish(&done);
    let open = world.submit(&people.root, OTHER_ROLE);
    world.now_ms += limits::TASK_KEPT_MS;
    world.ok(&Caller::System, Command::Sweep);
    assert!(world.state.task(&done).is_some());
    world.now_ms += 1;
    world.ok(&Caller::System, Command::Sweep);
    assert!(world.state.task(&done).is_none() && world.state.task(&open).is_some());
}
