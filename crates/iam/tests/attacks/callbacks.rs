//! What services answer when they are asked whether a role of theirs is used: lies, halves, yesterdays.

use crate::asked::*;
use crate::common::*;
use iam::callback::{self, Answer, Asking, Inquiry, Reply};
use iam::caller::Caller;
use iam::command::*;
use iam::deletion;
use iam::error::Error;
use iam::limits;
use iam::output::*;
use iam::rows::*;
use iam::text::*;
use std::collections::{BTreeMap, BTreeSet};

const FENCER: &str = "fence.example.com";
const ROLE: &str = "AWSServiceRoleForExampleFence";

/// A world with a role whose service is asked and keeps no registry.
fn world() -> (World, Caller, Caller, RoleId) {
    let mut world = World::empty(3);
    let root = world.account(A, policy::Dialect::Aws);
    let service = world.service(fencing(FENCER, "ExampleFence", UsageSource::Sessions));
    let role = world.linked(&root, FENCER).id.clone();
    (world, root, service, role)
}

/// Runs a deletion to its end with these answers.
fn delete(
    world: &mut World,
    root: &Caller,
    answer: &mut dyn FnMut(&Inquiry) -> Vec<Answer>,
) -> DeletionTask {
    let id = world.submit(root, ROLE);
    while let Some(mut step) = deletion::next_step(&world.task(&id), world.now_ms) {
        if let Some(question) = callback::inquiry(&world.state, &step) {
            step.answers = answer(&question);
        }
        world.ok(&Caller::System, Command::StepDeletion(step));
    }
    (*world.task(&id)).clone()
}

fn one(reply: Reply) -> Vec<Answer> {
    vec![Answer { region: None, reply: Ok(reply) }]
}

/// Answers by region, as a service with an address for each gives them.
fn each(question: &Inquiry, reply: impl Fn(&Region) -> Result<Reply, String>) -> Vec<Answer> {
    let regions = question.regions.iter();
    regions.map(|r| Answer { region: Some(r.clone()), reply: reply(r) }).collect()
}

fn usages(region: &str, resources: &[&str]) -> BTreeMap<Region, Vec<ResourceName>> {
    BTreeMap::from([(t(region), resources.iter().map(|name| t(name)).collect())])
}

#[test]
fn atk_f21_atk_f25_whatever_is_no_clear_answer_keeps_the_role() {
    type Bend = fn(&Inquiry) -> Vec<Answer>;
    let cases: &[(&str, Bend, &str)] = &[
        ("nothing", |_| Vec::new(), "it was not asked"),
        (
            "no answer",
            |_| vec![Answer { region: None, reply: Err("it took longer than 5 s".into()) }],
            "longer than 5 s",
        ),
        (
            "an older epoch",
            |q| one(Reply { epoch: q.epoch.wrapping_sub(1), ..unused(q) }),
            "answered for epoch",
        ),
        ("a later epoch", |q| one(Reply { epoch: q.epoch + 1, ..unused(q) }), "answered for epoch"),
        (
            "a region left out",
            |q| one(Reply { regions_complete: BTreeSet::from([t("north-1")]), ..unused(q) }),
            "did not look in `south-1`",
        ),
        (
            "a region that answers for another",
            |q| {
                let mut answers = each(q, |_| Ok(unused(q)));
                answers.retain(|answer| answer.region == Some(t("north-1")));
                answers
            },
            "did not look in `south-1`",
        ),
        (
            "a region that has not looked at itself",
            |q| {
                let north = BTreeSet::from([t("north-1")]);
                each(q, |_| Ok(Reply { regions_complete: north.clone(), ..unused(q) }))
            },
            "did not look in `south-1`",
        ),
        (
            "one region of two in doubt",
            |q| {
                each(q, |r| if r.as_str() == "north-1" { Ok(unused(q)) } else { Err("503".into()) })
            },
            "503",
        ),
        (
            "in use, unnamed",
            |q| one(Reply { in_use: true, ..unused(q) }),
            "does not name what uses it",
        ),
        (
            "a list against the bit",
            |q| one(Reply { usages: usages("north-1", &["vault/1"]), ..unused(q) }),
            "all, some or none",
        ),
        (
            "in use here, in doubt there",
            |q| {
                let used = Reply { in_use: true, ..unused(q) };
                each(
                    q,
                    |r| if r.as_str() == "north-1" { Ok(used.clone()) } else { Err("503".into()) },
                )
            },
            "does not name what uses it",
        ),
    ];
    for (name, bend, reason) in cases {
        // The answer is bent at the first look, or only under the fence.
        for asking in [Asking::Check, Asking::Prepare] {
            let (mut world, root, _, role) = world();
            let task = delete(&mut world, &root, &mut |question| {
                if question.asking == asking { bend(question) } else { one(unused(question)) }
            });
            assert_eq!(task.status, TaskStatus::Failed, "{name}");
            let said = task.reason.clone().unwrap();
            assert!(said.contains(reason), "{name}: {said}");
            let row = world.state.role_by_id(&role).unwrap();
            let RoleKind::Linked(linked) = &row.kind else { panic!("{name}") };
            assert!(matches!(linked.status, RoleStatus::Active { .. }), "{name}: still fenced");
            // Who was asked to fence hears that the role stays.
            let told = world.state.notice(&role).map(|notice| (notice.committed, notice.epoch));
            let fenced = asking == Asking::Prepare;
            assert_eq!(told, fenced.then_some((false, 1)), "{name}");
            // The positive control: an honest answer lets it go, and is told so.
            let task = delete(&mut world, &root, &mut |question| one(unused(question)));
            assert_eq!(task.status, TaskStatus::Succeeded, "{name}: {task:?}");
            assert!(world.state.tombstone(&role).is_some());
            assert!(world.state.notice(&role).unwrap().committed, "{name}");
        }
    }
}

#[test]
fn atk_f20_a_service_that_did_not_fence_keeps_its_role() {
    let (mut world, root, _, _) = world();
    let task = delete(&mut world, &root, &mut |q| one(Reply { fenced_epoch: None, ..unused(q) }));
    assert!(task.reason.unwrap().contains("has not fenced the role"));
    // An answer to the look before the fence says nothing under it.
    let task = delete(&mut world, &root, &mut |q| {
        let before = Inquiry { asking: Asking::Check, ..q.clone() };
        one(unused(&before))
    });
    assert_eq!(task.status, TaskStatus::Failed);
    let task = delete(&mut world, &root, &mut |q| one(unused(q)));
    assert_eq!(task.status, TaskStatus::Succeeded);
}

#[test]
fn what_a_service_names_is_shown_as_far_as_a_task_shows_anything() {
    let (mut world, root, _, _) = world();
    let names: Vec<String> = (0..150).map(|n| format!("vault/{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut used = usages("south-1", &names);
    used.extend(usages("north-1", names.get(..60).unwrap()));
    let task = delete(&mut world, &root, &mut |q| {
        one(Reply { in_use: true, usages: used.clone(), ..unused(q) })
    });
    let shown: usize = task.usages.values().map(Vec::len).sum();
    assert_eq!(shown, limits::USAGES_SHOWN);
    assert!(task.reason.unwrap().contains("all, some or none"));
}

#[test]
fn atk_f23_a_session_blocks_unless_the_service_vouches_for_this_epoch() {
    for vouched in [false, true] {
        let (mut world, root, service, _) = world();
        let session = world.assume(&service, assume(&linked_arn(A, FENCER, ROLE))).unwrap();
        let task = delete(&mut world, &root, &mut |q| {
            one(Reply { sessions_released: vouched, ..unused(q) })
        });
        let gone = task.status == TaskStatus::Succeeded;
        assert_eq!(gone, vouched, "{task:?}");
        assert_eq!(world.works(&session), !vouched, "a session ends with its role");
    }
    // Vouched for at the first look only: what counts is what is said under the fence.
    let (mut world, root, service, _) = world();
    world.assume(&service, assume(&linked_arn(A, FENCER, ROLE))).unwrap();
    let task = delete(&mut world, &root, &mut |q| {
        one(Reply { sessions_released: q.asking == Asking::Check, ..unused(q) })
    });
    assert_eq!(task.status, TaskStatus::Failed);
}

#[test]
fn atk_f20_a_use_under_the_fence_wins_over_the_answer_that_came_before_it() {
    let (mut world, root, service, role) = world();
    let mut used = false;
    let answers = |q: &Inquiry| one(unused(q));
    let id = world.submit(&root, ROLE);
    while let Some(mut step) = deletion::next_step(&world.task(&id), world.now_ms) {
        if let Some(question) = callback::inquiry(&world.state, &step) {
            step.answers = answers(&question);
        }
        if step.step == Step::Commit && !used {
            used = true;
            world.assume(&service, assume(&linked_arn(A, FENCER, ROLE))).unwrap();
            let late = world.err(&Caller::System, Command::StepDeletion(step));
            assert!(matches!(late, Error::Stale(_)));
            continue;
        }
        world.ok(&Caller::System, Command::StepDeletion(step));
    }
    assert_eq!(world.task(&id).status, TaskStatus::Failed);
    let notice = world.state.notice(&role).unwrap();
    assert!(!notice.committed, "the service hears that its fence is to go");
}

#[test]
fn atk_f21_notices_are_settled_once_and_the_latest_counts() {
    let (mut world, root, _, role) = world();
    let mut bent = |q: &Inquiry| match q.asking {
        Asking::Check => one(unused(q)),
        _ => Vec::new(),
    };
    delete(&mut world, &root, &mut bent);
    let first = (**world.state.notice(&role).unwrap()).clone();
    delete(&mut world, &root, &mut bent);
    let second = (**world.state.notice(&role).unwrap()).clone();
    assert!(second.epoch > first.epoch, "{first:?} {second:?}");
    let late = world.err(&Caller::System, Command::SettleNotice(first));
    assert!(matches!(late, Error::Stale(_)), "a notice that was replaced settles nothing");
    world.ok(&Caller::System, Command::SettleNotice(second.clone()));
    assert!(world.state.notice(&role).is_none());
    let again = world.err(&Caller::System, Command::SettleNotice(second));
    assert!(matches!(again, Error::Stale(_)));
    // Nobody is told for ever.
    delete(&mut world, &root, &mut bent);
    world.now_ms += limits::NOTICE_MS + 1;
    world.ok(&Caller::System, Command::Sweep);
    assert!(world.state.notice(&role).is_none());
}

#[test]
fn atk_f26_a_service_is_asked_only_where_the_operator_enrolled_it() {
    let mut world = World::empty(5);
    let manifest = fencing(FENCER, "ExampleFence", UsageSource::Sessions);
    let url = manifest.callback.clone().unwrap().url;
    for (enrolled, fits) in [
        (None, false),
        (Some("https://elsewhere.example.com/linkrole".to_owned()), false),
        (Some(url), true),
    ] {
        let enrol = Command::EnrolService { service: t(FENCER), callback: enrolled };
        let Output::Enrolment { token, .. } = world.ok(&Caller::Operator, enrol) else {
            panic!("no token")
        };
        let register = Command::RegisterService {
            token: Some(token.expose().to_owned()),
            manifest: Box::new(manifest.clone()),
        };
        let outcome = world.call(&Caller::Anonymous, register);
        assert_eq!(outcome.is_ok(), fits, "{outcome:?}");
    }
    for bad in [
        "ftp://fence.example.com/",
        "https://",
        "https:///path",
        "https://user@fence.example.com/",
        "https://fence.example.com/a b",
        "https://fence.example.com/#there",
        "https://fence.example.com/?to=there",
        "https://{region}.{region}.example.com/",
        "fence.example.com",
    ] {
        let enrol =
            Command::EnrolService { service: t("new.example.com"), callback: Some(bad.into()) };
        let error = world.err(&Caller::Operator, enrol);
        assert!(matches!(error, Error::Invalid { field: "callback", .. }), "{bad}: {error:?}");
    }
}

#[test]
fn an_answer_without_fence_or_registry_needs_a_word_of_the_operator() {
    for contract in [Contract::Ask, Contract::Alibaba] {
        for (usage, allowed, fits) in [
            (UsageSource::Sessions, false, false),
            (UsageSource::Sessions, true, true),
            (UsageSource::Registry, false, true),
        ] {
            let mut world = World::empty(7);
            let mut manifest = fencing(FENCER, "ExampleFence", usage);
            if let Some(callback) = &mut manifest.callback {
                callback.contract = contract;
                callback.allow_racy_delete = allowed;
            }
            let register = Command::RegisterService { token: None, manifest: Box::new(manifest) };
            let outcome = world.call(&Caller::Operator, register);
            assert_eq!(outcome.is_ok(), fits, "{contract:?} {usage:?} {allowed}: {outcome:?}");
        }
    }
}

#[test]
fn what_keeps_roles_cannot_leave_a_manifest_while_they_exist() {
    let (mut world, root, _, _) = world();
    let whole = fencing(FENCER, "ExampleFence", UsageSource::Sessions);
    let without = Manifest { callback: None, ..whole.clone() };
    let update =
        |manifest: &Manifest| Command::UpdateService { manifest: Box::new(manifest.clone()) };
    let error = world.err(&Caller::Operator, update(&without));
    assert!(matches!(&error, Error::InUse(why) if why.contains("lose its fence")), "{error:?}");
    // First the registry beside it; then, since that knows all uses, it alone.
    let both = Manifest { usage: UsageSource::Registry, ..whole };
    let alone = Manifest { callback: None, ..both.clone() };
    world.err(&Caller::Operator, update(&alone));
    world.ok(&Caller::Operator, update(&both));
    world.ok(&Caller::Operator, update(&alone));
    let task = delete(&mut world, &root, &mut |_| panic!("nobody is to be asked"));
    assert_eq!(task.status, TaskStatus::Succeeded);
}
