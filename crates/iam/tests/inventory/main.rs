//! Every operation by every kind of caller, generated from the one operation table.
//!
//! A new operation does not build here until it has a sample call, and does not pass until the
//! matrix in `corpus/access/matrix.txt` has its row (written with `LINKROLE_UPDATE=1`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

#[path = "../common/asked.rs"]
mod asked;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/proved.rs"]
mod proved;
mod sample;

use common::*;
use iam::caller::{Caller, WebToken};
use iam::command::Command;
use iam::error::Error;
use iam::operations::{Guard, Operation};
use iam::output::Output;
use iam::rows::*;
use proved::*;
use sample::{Fixture, sample};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// The kinds of callers, in the order of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Root,
    Admin,
    Builtin,
    Bare,
    RoleSession,
    LinkedSession,
    OwnService,
    ServiceSession,
    OtherService,
    Operator,
    System,
    Anonymous,
    WebIdentity,
    Workload,
    InactiveKey,
    OtherRoot,
}

const KINDS: [Kind; 16] = [
    Kind::Root,
    Kind::Admin,
    Kind::Builtin,
    Kind::Bare,
    Kind::RoleSession,
    Kind::LinkedSession,
    Kind::OwnService,
    Kind::ServiceSession,
    Kind::OtherService,
    Kind::Operator,
    Kind::System,
    Kind::Anonymous,
    Kind::WebIdentity,
    Kind::Workload,
    Kind::InactiveKey,
    Kind::OtherRoot,
];

fn caller(fixture: &Fixture, kind: Kind) -> Caller {
    match kind {
        Kind::Root => fixture.people.root.clone(),
        Kind::Admin => fixture.people.admin.clone(),
        Kind::Builtin => Caller::Builtin(t(A)),
        Kind::Bare => fixture.people.bare.clone(),
        Kind::RoleSession => fixture.role_session.clone(),
        Kind::LinkedSession => fixture.linked_session.clone(),
        Kind::OwnService => fixture.people.backup.clone(),
        Kind::ServiceSession => fixture.service_session.clone(),
        Kind::OtherService => fixture.people.other.clone(),
        Kind::Operator => Caller::Operator,
        Kind::System => Caller::System,
        Kind::Anonymous => Caller::Anonymous,
        Kind::WebIdentity => Caller::Federated(web_token()),
        Kind::Workload => Caller::Workload(backup_workload().into()),
        Kind::InactiveKey => fixture.inactive.clone(),
        Kind::OtherRoot => fixture.people.other_root.clone(),
    }
}

/// What a token of the fixture's provider says.
fn web_token() -> Arc<WebToken> {
    Arc::new(WebToken {
        account: t(A),
        provider: t("idp"),
        issuer: "https://id.example.com".to_owned(),
        subject: "somebody".to_owned(),
        client: "client".to_owned(),
        issued_s: 0,
        expires_s: i64::MAX,
    })
}

/// What the guard of an operation promises a kind of caller.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It comes past authorization.
    Passes,
    /// It is refused for want of permission.
    Denied,
    /// Its credentials are not taken.
    NoCredentials,
}

fn promised(guard: Guard, kind: Kind) -> Verdict {
    if kind == Kind::InactiveKey {
        return Verdict::NoCredentials;
    }
    let passes = match guard {
        Guard::Policy => {
            matches!(kind, Kind::Root | Kind::Admin | Kind::Builtin | Kind::OtherRoot)
        }
        Guard::Authenticated => {
            !matches!(kind, Kind::Anonymous | Kind::WebIdentity | Kind::Workload)
        }
        Guard::Member => matches!(
            kind,
            Kind::Root
                | Kind::Admin
                | Kind::Builtin
                | Kind::Bare
                | Kind::RoleSession
                | Kind::OtherRoot
        ),
        Guard::Trust => matches!(kind, Kind::Admin | Kind::Builtin),
        Guard::OwnService => {
            matches!(kind, Kind::OwnService | Kind::ServiceSession | Kind::OtherService)
        }
        Guard::Workload => kind == Kind::Workload,
        Guard::Operator => kind == Kind::Operator,
        Guard::Enrolment => matches!(kind, Kind::Operator | Kind::Anonymous),
        Guard::System => kind == Kind::System,
    };
    if passes { Verdict::Passes } else { Verdict::Denied }
}

fn verdict(outcome: &Result<Output, Error>) -> Verdict {
    match outcome {
        Err(Error::InvalidCredentials | Error::InactiveKey) => Verdict::NoCredentials,
        outcome if is_denied(outcome) => Verdict::Denied,
        _ => Verdict::Passes,
    }
}

fn word(outcome: &Result<Output, Error>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(error) => {
            let text = format!("{error:?}");
            text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
        }
    }
}

/// One call on a world of its own; the world after it, and what came of it.
fn one(fixture: &Fixture, who: &Caller, command: Command) -> (World, Result<Output, Error>) {
    let mut world = fixture.world.clone();
    let before = world.events.len();
    // Only a service can present somebody's request; for everybody else the field has no effect.
    let outcome = world.call_for(who, Some(&fixture.people.admin), command);
    assert_eq!(world.events.len(), before + 1, "one call, one event");
    (world, outcome)
}

/// The rows of an account.
fn rows_of(world: &World, account: &str) -> Vec<Row> {
    let all = world.state.rows().into_iter();
    all.filter(|row| {
        let (table, key) = row.key().encode();
        let owner = match row {
            Row::AccessKey(key) => format!("{:?}", key.owner),
            _ => String::from_utf8(key).unwrap(),
        };
        table != 13 && owner.contains(account)
    })
    .collect()
}

#[test]
fn atk_d08_atk_h15_every_operation_is_guarded_for_every_caller_and_recorded_once() {
    let fixture = Fixture::new();
    let mut matrix = String::from(
        "# What every kind of caller gets from every operation: `ok`, or the kind of error.\n\
         # Written by `LINKROLE_UPDATE=1 cargo test -p iam --test inventory`; read it in a review.\n\n",
    );
    for operation in Operation::ALL.iter().copied() {
        let facts = operation.facts();
        writeln!(matrix, "{} ({:?}, {:?})", facts.name, facts.guard, facts.access).unwrap();
        let mut words: Vec<(String, Vec<String>)> = Vec::new();
        for kind in KINDS {
            let who = caller(&fixture, kind);
            let command = sample(&fixture, operation);
            assert_eq!(command.operation(), operation);
            let (world, outcome) = one(&fixture, &who, command);
            let place = format!("{} by {kind:?}: {outcome:?}", facts.name);
            let expected = match (operation, kind) {
                // A session token hangs on the key that asked, and these have none.
                (Operation::GetSessionToken, Kind::Builtin | Kind::Operator | Kind::System) => {
                    Verdict::NoCredentials
                }
                // Who may ask is told that another account's is not his to ask about. [src: AWS.md 3.4]
                (
                    Operation::GenerateServiceLastAccessedDetails
                    | Operation::ListPoliciesGrantingServiceAccess,
                    Kind::OtherRoot,
                ) => Verdict::Denied,
                _ => promised(facts.guard, kind),
            };
            // A service's own duties are not refused for want of permission: to another service
            // what it asks about does not exist.
            assert_eq!(verdict(&outcome), expected, "{place}");
            if kind == Kind::OtherService && facts.guard == Guard::OwnService {
                assert!(outcome.is_err(), "{place}");
            }
            if kind == Kind::OtherRoot && operation != Operation::CreateServiceLinkedRole {
                let (before, after) = (rows_of(&fixture.world, A), rows_of(&world, A));
                assert_eq!(before, after, "{place}");
            }
            if facts.access == iam::operations::Access::Read {
                assert_eq!(world.state.rows(), fixture.world.state.rows(), "{place}");
            }
            let event = world.last_event();
            assert_eq!(event.operation, facts.name);
            assert_eq!(event.denied, expected == Verdict::Denied, "{place}");
            assert_eq!(event.read_only, operation.is_read());
            let word = word(&outcome);
            match words.iter_mut().find(|(known, _)| *known == word) {
                Some((_, kinds)) => kinds.push(format!("{kind:?}")),
                None => words.push((word, vec![format!("{kind:?}")])),
            }
        }
        for (word, kinds) in words {
            writeln!(matrix, "    {word:<18} {}", kinds.join(" ")).unwrap();
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../corpus/access/matrix.txt");
    if std::env::var_os("LINKROLE_UPDATE").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, &matrix).unwrap();
    }
    let reviewed = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(reviewed, matrix, "the matrix changed; look at it, then write it anew");
}

#[test]
fn every_sample_is_a_call_that_works_for_whom_it_is_meant() {
    let fixture = Fixture::new();
    for operation in Operation::ALL.iter().copied() {
        let kind = match operation.facts().guard {
            Guard::Policy => Kind::Root,
            Guard::Authenticated | Guard::Member | Guard::Trust => Kind::Admin,
            Guard::OwnService => Kind::OwnService,
            Guard::Workload => Kind::Workload,
            Guard::Operator => Kind::Operator,
            Guard::Enrolment => Kind::Anonymous,
            Guard::System => Kind::System,
        };
        let (_, outcome) = one(&fixture, &caller(&fixture, kind), sample(&fixture, operation));
        let profile = matches!(
            operation,
            Operation::AddRoleToInstanceProfile | Operation::RemoveRoleFromInstanceProfile
        );
        assert_eq!(outcome.is_ok(), !profile, "{operation:?}: {outcome:?}");
    }
}

#[test]
fn atk_d07_a_policy_for_one_action_opens_that_operation_and_no_other() {
    let fixture = Fixture::new();
    let guarded: Vec<Operation> = Operation::ALL
        .iter()
        .copied()
        .filter(|operation| operation.facts().guard == Guard::Policy)
        .collect();
    let actions: BTreeSet<String> =
        guarded.iter().map(|o| o.action(policy::Dialect::Aws)).collect();
    assert_eq!(actions.len(), guarded.len(), "two operations share an action");
    for allowed in &guarded {
        let mut fixture = fixture.clone();
        let root = fixture.people.root.clone();
        fixture.world.put_user_policy(
            &root,
            "bare",
            allow(&allowed.action(policy::Dialect::Aws), "*"),
        );
        let bare = fixture.people.bare.clone();
        for tried in &guarded {
            let (_, outcome) = one(&fixture, &bare, sample(&fixture, *tried));
            let expected = if tried == allowed { Verdict::Passes } else { Verdict::Denied };
            assert_eq!(
                verdict(&outcome),
                expected,
                "allowed {allowed:?}, tried {tried:?}: {outcome:?}"
            );
        }
    }
}

#[test]
fn atk_f01_atk_f03_only_the_own_service_assumes_a_service_linked_role() {
    let fixture = Fixture::new();
    let arn = linked_arn(A, BACKUP, BACKUP_ROLE);
    for kind in KINDS {
        let ask = Command::AssumeRole(Box::new(assume(&arn)));
        let (_, outcome) = one(&fixture, &caller(&fixture, kind), ask);
        let expected = match kind {
            Kind::OwnService | Kind::ServiceSession => Verdict::Passes,
            Kind::InactiveKey => Verdict::NoCredentials,
            _ => Verdict::Denied,
        };
        assert_eq!(verdict(&outcome), expected, "{kind:?}: {outcome:?}");
        assert_eq!(outcome.is_ok(), expected == Verdict::Passes);
    }
}

#[test]
fn atk_f11_atk_f12_atk_f13_no_operation_alters_trust_permissions_or_existence_of_a_linked_role() {
    let fixture = Fixture::new();
    let role = fixture.world.role_named(A, BACKUP_ROLE).unwrap();
    for operation in Operation::ALL.iter().copied() {
        let Some(command) = sample::on_linked_role(&fixture, operation) else { continue };
        for kind in [Kind::Root, Kind::Admin, Kind::Builtin] {
            let (world, outcome) = one(&fixture, &caller(&fixture, kind), command.clone());
            let refused = match operation {
                Operation::UpdateRole => {
                    matches!(&outcome, Err(Error::ProtectedDuration(name)) if *name == role.name)
                }
                _ => matches!(&outcome, Err(Error::ProtectedRole(name)) if *name == role.name),
            };
            assert!(refused, "{operation:?} by {kind:?}: {outcome:?}");
            assert_eq!(world.role_named(A, BACKUP_ROLE), Some(role.clone()), "{operation:?}");
        }
        // The control: on an ordinary role the same call changes something or finds its object.
        let (_, outcome) = one(&fixture, &fixture.people.root, sample(&fixture, operation));
        assert!(!matches!(outcome, Err(Error::ProtectedRole(_) | Error::ProtectedDuration(_))));
    }
    // What is left: whatever else is called on any sample, kind, trust and template stay.
    for operation in Operation::ALL.iter().copied() {
        for kind in KINDS {
            let command = sample(&fixture, operation);
            let (world, _) = one(&fixture, &caller(&fixture, kind), command);
            let after = world.role_named(A, BACKUP_ROLE).unwrap();
            assert_eq!(after.kind, role.kind, "{operation:?} by {kind:?}");
            assert_eq!(after.id, role.id);
        }
    }
}
