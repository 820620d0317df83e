//! D: what a decision is about: the stored thing, its tags and its owner, and where a caller is.

use crate::common::*;
use iam::command::*;
use iam::error::Error;
use iam::output::*;
use iam::text::{Path, TagKey, TagValue};
use std::collections::BTreeMap;

/// Lets the user `bare` do something under a condition.
fn grant(world: &mut World, people: &People, action: &str, resource: &str, condition: &str) {
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"{resource}","Condition":{condition}}}]}}"#
    );
    world.put_user_policy(&people.root, "bare", permissions(&text));
}

fn tags(value: &str) -> Vec<(TagKey, TagValue)> {
    vec![(t("team"), t(value))]
}

const OURS: &str = r#"{"StringEquals":{"aws:ResourceTag/team":"ours"}}"#;

#[test]
fn atk_d04_the_tags_of_users_roles_and_policies_are_those_stored() {
    let (mut world, people) = World::peopled(20);
    for team in ["ours", "theirs"] {
        let user = Command::CreateUser {
            user: t(&format!("u-{team}")),
            path: t("/"),
            boundary: None,
            tags: tags(team),
            profile: Default::default(),
        };
        world.ok(&people.root, user);
        let policy = Command::CreatePolicy {
            name: t(&format!("p-{team}")),
            path: t("/"),
            document: allow("a:B", "*"),
            description: None,
            tags: tags(team),
        };
        world.ok(&people.root, policy);
        let role =
            Command::Tag { on: Tagged::Roles(vec![t(&format!("r-{team}"))]), tags: tags(team) };
        world.role(&people.root, &format!("r-{team}"), trust_account(A));
        world.ok(&people.root, role);
    }
    grant(&mut world, &people, "iam:*", "*", OURS);
    let about = |team: &str| {
        [
            Command::GetUser { user: Some(t(&format!("u-{team}"))) },
            Command::GetPolicy { policy: customer_policy(A, &format!("p-{team}")) },
            Command::GetRole { role: t(&format!("r-{team}")) },
        ]
    };
    for command in about("ours") {
        world.ok(&people.bare, command);
    }
    for command in about("theirs") {
        assert!(is_denied(&world.call(&people.bare, command.clone())), "{command:?}");
    }
}

#[test]
fn atk_d04_what_is_to_be_made_has_no_tags_of_what_has_its_name() {
    let (mut world, people) = World::peopled(21);
    world.role(&people.root, "taken", trust_account(A));
    world
        .ok(&people.root, Command::Tag { on: Tagged::Roles(vec![t("taken")]), tags: tags("ours") });
    grant(&mut world, &people, "iam:*", "*", OURS);
    let create = || create_role("taken", "/", trust_account(A));
    // Otherwise the refusal would tell that the role is there.
    assert!(is_denied(&world.call(&people.bare, create())));
    world.ok(&people.bare, Command::GetRole { role: t("taken") });
    grant(&mut world, &people, "iam:*", "*", "{}");
    assert!(matches!(world.err(&people.bare, create()), Error::AlreadyExists(_)));
}

#[test]
fn atk_d04_a_user_has_the_boundary_that_is_stored() {
    let (mut world, people) = World::peopled(22);
    let policy = Command::CreatePolicy {
        name: t("edge"),
        path: t("/"),
        document: allow("*", "*"),
        description: None,
        tags: Vec::new(),
    };
    world.ok(&people.root, policy);
    for (user, boundary) in [("bounded", Some(customer_policy(A, "edge"))), ("free", None)] {
        let create = Command::CreateUser {
            user: t(user),
            path: t("/"),
            boundary,
            tags: Vec::new(),
            profile: Default::default(),
        };
        world.ok(&people.root, create);
    }
    let edge = format!(
        r#"{{"StringEquals":{{"iam:PermissionsBoundary":"arn:aws:iam::{A}:policy/edge"}}}}"#
    );
    grant(&mut world, &people, "iam:PutUserPolicy", "*", &edge);
    let put = |user: &str| Command::PutUserPolicy {
        user: t(user),
        name: t("more"),
        document: allow("*", "*"),
    };
    world.ok(&people.bare, put("bounded"));
    assert!(is_denied(&world.call(&people.bare, put("free"))));
}

#[test]
fn atk_d04_a_renaming_needs_the_right_on_the_old_name_and_on_the_new() {
    let (mut world, people) = World::peopled(23);
    world.user(&people.root, "junior-1");
    let rename = |from: &str, name: Option<&str>, path: Option<&str>| Command::UpdateUser {
        user: t(from),
        new_name: name.map(t),
        new_path: path.map(t),
        profile: Default::default(),
    };
    let juniors = format!("arn:aws:iam::{A}:user/junior-*");
    grant(&mut world, &people, "iam:UpdateUser", &juniors, "{}");
    for (name, path) in [(Some("senior-1"), None), (None, Some("/senior/"))] {
        let outcome = world.call(&people.bare, rename("junior-1", name, path));
        assert!(is_denied(&outcome), "{name:?} {path:?}");
    }
    world.ok(&people.bare, rename("junior-1", Some("junior-2"), None));
}

fn ask(
    world: &mut World,
    people: &People,
    action: &str,
    resource: &str,
    account: Option<&str>,
    context: &[(&str, &str)],
) -> Result<bool, Error> {
    let context: BTreeMap<String, Vec<String>> =
        context.iter().map(|(k, v)| ((*k).to_owned(), vec![(*v).to_owned()])).collect();
    let question = Question {
        action: action.to_owned(),
        resource: Some(resource.to_owned()),
        account: account.map(t),
        context,
    };
    let command = Command::AuthorizeRequest(Box::new(question));
    match world.call_for(&people.backup, Some(&people.bare), command)? {
        Output::Authorized { decision, .. } => Ok(decision.allowed()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn atk_d05_a_resource_belongs_to_the_account_that_its_name_tells() {
    let (mut world, people) = World::peopled(24);
    world.put_user_policy(&people.root, "bare", allow("backup:*", "*"));
    let (ours, theirs) =
        (format!("arn:aws:backup::{A}:vault/1"), format!("arn:aws:backup::{B}:vault/1"));
    let mut may = |resource: &str, account: Option<&str>| {
        ask(&mut world, &people, "backup:Start", resource, account, &[])
    };
    assert_eq!(may(&ours, None), Ok(true));
    assert_eq!(may(&ours, Some(A)), Ok(true));
    // Another account's resource needs that account's word, which linkrole does not have.
    assert_eq!(may(&theirs, None), Ok(false));
    assert_eq!(may(&theirs, Some(B)), Ok(false));
    for (resource, account) in [(&theirs, A), (&ours, B)] {
        let error = may(resource, Some(account)).unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "account", .. }), "{error:?}");
    }
    assert_eq!(may("arn:aws:backup:::vault/1", Some(A)), Ok(true));
    assert_eq!(may("arn:aws:backup:::vault/1", Some(B)), Ok(false));
}

#[test]
fn atk_d05_a_role_is_passed_by_its_complete_name_and_to_the_asking_service() {
    let (mut world, people) = World::peopled(25);
    world.role(&people.root, "worker", trust_account(A));
    let arn = format!("arn:aws:iam::{A}:role/worker");
    let passed_to =
        |service: &str| format!(r#"{{"StringEquals":{{"iam:PassedToService":"{service}"}}}}"#);
    let to = |world: &mut World, resource: &str, service: &[(&str, &str)]| {
        ask(world, &people, "iam:PassRole", resource, None, service)
    };
    grant(&mut world, &people, "iam:PassRole", "*", &passed_to(BACKUP));
    assert_eq!(to(&mut world, &arn, &[("iam:PassedToService", BACKUP)]), Ok(true));
    assert_eq!(to(&mut world, &arn, &[]), Ok(true));
    for key in ["iam:PassedToService", "IAM:passedtoservice"] {
        let error = to(&mut world, &arn, &[(key, OTHER)]).unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "context", .. }), "{error:?}");
    }
    for resource in [
        "*",
        "worker",
        "",
        &format!("arn:aws:iam::{A}:role/*"),
        &format!("arn:aws:iam::{A}:user/x"),
    ] {
        let error = to(&mut world, resource, &[]).unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "resource", .. }), "{resource}: {error:?}");
    }
    grant(&mut world, &people, "iam:PassRole", "*", &passed_to(OTHER));
    assert_eq!(to(&mut world, &arn, &[]), Ok(false));
}

#[test]
fn atk_d04_the_address_of_a_service_is_not_that_of_its_caller() {
    let (mut world, people) = World::peopled(26);
    world.source.ip = "192.0.2.7".into();
    world.source.user_agent = "service/1".into();
    let mut may = |condition: &str, context: &[(&str, &str)]| {
        grant(&mut world, &people, "backup:*", "*", condition);
        ask(&mut world, &people, "backup:Start", "arn:aws:backup:::x", None, context)
    };
    let office = r#"{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}"#;
    assert_eq!(may(office, &[]), Ok(false));
    assert_eq!(may(office, &[("aws:SourceIp", "192.0.2.9")]), Ok(true));
    let agent = r#"{"StringLike":{"aws:UserAgent":"service/*"}}"#;
    assert_eq!(may(agent, &[]), Ok(false));
    assert_eq!(may(agent, &[("aws:UserAgent", "service/1")]), Ok(true));
}

#[test]
fn atk_c02_a_path_that_is_no_part_of_a_name_is_refused_when_it_is_given() {
    for path in ["/a:b/", "/a*/", "/a?/"] {
        assert!(Path::parse(path).is_err(), "{path}");
    }
    assert!(Path::parse("/a+b/").is_ok());
}

#[test]
fn atk_d10_tags_of_several_things_are_asked_about_one_by_one() {
    let (mut world, people) = World::peopled(23);
    for team in ["ours", "theirs"] {
        world.role(&people.root, &format!("r-{team}"), trust_account(A));
        let on = Tagged::Roles(vec![t(&format!("r-{team}"))]);
        world.ok(&people.root, Command::Tag { on, tags: tags(team) });
    }
    grant(&mut world, &people, "iam:*", "*", OURS);
    let roles = |names: &[&str]| Tagged::Roles(names.iter().map(|name| t(name)).collect());
    let more = || vec![(t::<TagKey>("cost"), t::<TagValue>("1"))];
    let list = |on| Command::ListTags { on, with: Vec::new(), paging: no_paging() };
    let both = || roles(&["r-ours", "r-theirs"]);
    for command in [
        Command::Tag { on: both(), tags: more() },
        Command::Tag { on: roles(&["r-theirs", "r-ours"]), tags: more() },
        Command::Untag { on: both(), keys: vec![t("team")], all: false },
        Command::Untag { on: both(), keys: Vec::new(), all: true },
        list(both()),
        // All of a kind at once is nothing that a condition on one thing's tags allows.
        list(roles(&[])),
    ] {
        assert!(is_denied(&world.call(&people.bare, command.clone())), "{command:?}");
    }
    let tags_of = |world: &mut World, name: &str| match world.ok(&people.root, list(roles(&[name])))
    {
        Output::Tags(page) => page.items.iter().map(|tag| tag.key.to_string()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(tags_of(&mut world, "r-ours"), ["team"]);
    assert_eq!(tags_of(&mut world, "r-theirs"), ["team"]);
    world.ok(&people.bare, Command::Tag { on: roles(&["r-ours"]), tags: more() });
    world.ok(&people.bare, list(roles(&["r-ours"])));
    // One that is missing leaves the others as they were.
    let on = roles(&["r-ours", "gone"]);
    assert!(world.call(&people.root, Command::Untag { on, keys: Vec::new(), all: true }).is_err());
    assert_eq!(tags_of(&mut world, "r-ours"), ["cost", "team"]);
}

#[test]
fn atk_b18_a_marker_of_tags_is_of_what_was_named_and_looked_for() {
    let (mut world, people) = World::peopled(24);
    for name in ["r1", "r2"] {
        world.role(&people.root, name, trust_account(A));
        let on = Tagged::Roles(vec![t(name)]);
        let tags = vec![(t("cost"), t(name)), (t("team"), t("ours"))];
        world.ok(&people.root, Command::Tag { on, tags });
    }
    let list =
        |names: &[&str], with: &[(&str, Option<&str>)], marker: Option<String>| Command::ListTags {
            on: Tagged::Roles(names.iter().map(|name| t(name)).collect()),
            with: with.iter().map(|(key, value)| (t(key), value.map(t))).collect(),
            paging: Paging { marker, limit: Some(1), page: None },
        };
    let page = |output: Output| match output {
        Output::Tags(page) => page,
        other => panic!("{other:?}"),
    };
    // Page by page, everything once.
    let mut seen = Vec::new();
    let mut marker = None;
    loop {
        let found = page(world.ok(&people.root, list(&[], &[], marker.clone())));
        seen.extend(
            found.items.iter().map(|tag| format!("{} {}={}", tag.bearer, tag.key, tag.value)),
        );
        marker = found.next;
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["r1 cost=r1", "r1 team=ours", "r2 cost=r2", "r2 team=ours"]);
    let first = page(world.ok(&people.root, list(&[], &[], None))).next;
    for wrong in [list(&["r1"], &[], first.clone()), list(&[], &[("team", None)], first.clone())] {
        assert!(matches!(world.call(&people.root, wrong), Err(iam::error::Error::InvalidMarker)));
    }
    let found = page(world.ok(&people.root, list(&[], &[("cost", Some("r2"))], None)));
    assert_eq!(found.items.iter().map(|tag| tag.bearer.as_str()).collect::<Vec<_>>(), ["r2"]);
    let none =
        page(world.ok(&people.root, list(&[], &[("cost", Some("r2")), ("team", Some("x"))], None)));
    assert!(none.items.is_empty());
}
