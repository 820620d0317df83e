//! E: what a session may do and how long it lives.

use crate::common::*;
use iam::caller::Caller;
use iam::command::*;
use iam::error::Error;
use iam::limits;
use iam::output::*;
use iam::rows::*;
use iam::text::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::LazyLock;

const PLAIN: &str = "arn:aws:iam::111122223333:role/plain";

/// A user with the role `plain` at hand, which trusts the account and may assume itself.
fn base() -> (World, People) {
    let (mut world, people) = World::peopled(1);
    world.role(&people.root, "plain", trust_account(A));
    let command = Command::PutRolePolicy {
        role: t("plain"),
        name: t("chain"),
        document: allow("sts:*", "*"),
    };
    world.ok(&people.root, command);
    (world, people)
}

static BASE: LazyLock<(World, People)> = LazyLock::new(base);

const ACTIONS: [&str; 3] = ["backup:Get", "backup:Put", "backup:Delete"];
const RESOURCES: [&str; 2] = ["arn:aws:backup:::x", "arn:aws:backup:::y"];

/// A statement out of a small universe: effect, actions, resource.
fn statement() -> impl Strategy<Value = String> {
    let action =
        prop::sample::select(vec!["backup:Get", "backup:Put", "backup:*", "backup:*t", "*"]);
    let resource = prop::sample::select(vec!["arn:aws:backup:::x", "arn:aws:backup:::*", "*"]);
    let verb = prop::sample::select(vec!["Action", "NotAction"]);
    (prop::bool::weighted(0.7), verb, action, resource).prop_map(
        |(allow, verb, action, resource)| {
            let effect = if allow { "Allow" } else { "Deny" };
            format!(r#"{{"Effect":"{effect}","{verb}":"{action}","Resource":"{resource}"}}"#)
        },
    )
}

fn document() -> impl Strategy<Value = PermissionsPolicy> {
    prop::collection::vec(statement(), 1..4).prop_map(|statements| {
        permissions(&format!(
            r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
            statements.join(",")
        ))
    })
}

/// What the caller may do, of all there is to do.
fn effective(
    world: &mut World,
    people: &People,
    who: &Caller,
) -> Vec<(&'static str, &'static str)> {
    let mut all = Vec::new();
    for action in ACTIONS {
        for resource in RESOURCES {
            let question = Question {
                action: action.into(),
                resource: Some(resource.into()),
                account: None,
                context: BTreeMap::new(),
            };
            let command = Command::AuthorizeRequest(Box::new(question));
            match world.call_for(&people.backup, Some(who), command).unwrap() {
                Output::Authorized { decision, .. } if decision.allowed() => {
                    all.push((action, resource));
                }
                _ => {}
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn atk_e01_a_minted_credential_can_do_no_more_than_what_it_comes_from(
        grant in document(), session in document(), again in document(),
    ) {
        let (mut world, people) = BASE.clone();
        let put = Command::PutRolePolicy { role: t("plain"), name: t("p"), document: grant.clone() };
        world.ok(&people.root, put);
        let parent = world.assume(&people.admin, assume(PLAIN)).unwrap();
        let all = effective(&mut world, &people, &parent);
        for policy in [&session, &again] {
            let ask = AssumeRole { policy: Some(policy.clone()), ..assume(PLAIN) };
            let child = world.assume(&people.admin, ask).unwrap();
            for may in effective(&mut world, &people, &child) {
                prop_assert!(all.contains(&may), "{:?} by {}", may, policy.text());
            }
        }
        world.put_user_policy(&people.root, "bare", grant);
        let mine = effective(&mut world, &people, &people.bare);
        let token = world.ok(&people.bare, Command::GetSessionToken { duration_s: None });
        let token = world.session(token);
        prop_assert_eq!(effective(&mut world, &people, &token), mine);
    }
}

#[test]
fn atk_e02_a_chain_ends_by_its_age_and_each_link_within_the_hour() {
    let (mut world, people) = base();
    let mut session = world.assume(&people.admin, assume(PLAIN)).unwrap();
    let long = AssumeRole { duration_s: Some(3_601), ..assume(PLAIN) };
    let command = Command::UpdateRole {
        role: t("plain"),
        description: None,
        max_session_s: Some(43_200),
        trust: None,
    };
    world.ok(&people.root, command);
    assert!(matches!(world.assume(&session, long.clone()), Err(Error::DurationAboveChain)));
    assert!(world.assume(&people.admin, long).is_ok());
    let began_ms = world.now_ms;
    let mut links = 0;
    let refusal = loop {
        world.now_ms += 30 * 60_000;
        match world.assume(&session, AssumeRole { duration_s: Some(3_600), ..assume(PLAIN) }) {
            Ok(next) => session = next,
            Err(error) => break error,
        }
        links += 1;
    };
    assert_eq!(refusal, Error::DurationAboveChain);
    assert!((20..24).contains(&links), "{links}");
    assert!(world.now_ms - began_ms <= limits::CHAIN_AGE_MAX_S * 1_000);
    world.now_ms += 3_600_000;
    assert_eq!(world.err(&session, Command::GetCallerIdentity), Error::SessionExpired);
    assert!(world.assume(&people.admin, assume(PLAIN)).is_ok());
    // A session token begets no session token.
    let token = world.ok(&people.admin, Command::GetSessionToken { duration_s: Some(900) });
    let token = world.session(token);
    let error = world.err(&token, Command::GetSessionToken { duration_s: None });
    assert!(matches!(error, Error::NotWithSession(_)));
}

#[test]
fn atk_e02_the_clock_decides_to_the_millisecond_and_does_not_go_back() {
    let (mut world, people) = base();
    let ask = AssumeRole { duration_s: Some(900), ..assume(PLAIN) };
    let session = world.assume(&people.admin, ask).unwrap();
    world.now_ms += 899_999;
    assert!(world.works(&session));
    world.now_ms += 1;
    assert!(!world.works(&session));
    world.ok(&people.root, Command::CreateAccessKey { user: Some(t("bare")) });
    world.now_ms -= 3_600_000;
    assert!(!world.works(&session), "a clock that goes back revives nothing");
    assert!(world.works(&people.admin));
}

#[test]
fn atk_e03_nobody_but_a_service_speaks_for_another_caller() {
    let (mut world, people) = base();
    let list = || Command::ListRoles { prefix: "/".into(), with: Vec::new(), paging: no_paging() };
    assert!(is_denied(&world.call_for(&people.bare, Some(&people.root), list())));
    assert!(is_denied(&world.call_for(&people.backup, Some(&people.root), list())));
    assert!(is_denied(&world.call_for(&Caller::Anonymous, Some(&people.root), list())));
    assert!(world.call_for(&people.root, Some(&people.bare), list()).is_ok());
    // An access key is made for whom it is asked, in the caller's account, and for nobody else.
    let Output::Key { key, .. } = world.ok(&people.admin, Command::CreateAccessKey { user: None })
    else {
        panic!("no key")
    };
    let admin = world.state.user(&t(A), &Folded::of("admin")).unwrap().id.clone();
    assert_eq!(key.owner, KeyOwner::User(t(A), admin));
}

#[test]
fn atk_e08_a_session_dies_with_its_role() {
    let (mut world, people) = base();
    let session = world.assume(&people.admin, assume(PLAIN)).unwrap();
    assert!(world.works(&session));
    let command = Command::DeleteRolePolicy { role: t("plain"), name: t("chain") };
    world.ok(&people.root, command);
    world.ok(&people.root, Command::DeleteRole { role: t("plain") });
    assert_eq!(world.err(&session, Command::GetCallerIdentity), Error::InvalidCredentials);
}

#[test]
fn atk_e09_a_release_counts_on_every_way_in() {
    let (mut world, people) = base();
    world.linked(&people.root, BACKUP);
    let arn = linked_arn(A, BACKUP, BACKUP_ROLE);
    let release = || Command::ReleaseSessions { target: target(A, BACKUP_ROLE) };
    let output = world.ok(&people.backup, Command::AssumeRole(Box::new(assume(&arn))));
    let Output::Session { credentials, .. } = &output else { panic!("no session") };
    let (key, token) = (credentials.key.to_string(), credentials.token.clone());
    let old = world.session(output);
    let ask = || {
        Command::AuthorizeRequest(Box::new(Question {
            action: "backup:Get".into(),
            resource: None,
            account: None,
            context: BTreeMap::new(),
        }))
    };
    assert!(world.works(&old));
    assert!(world.authenticates(&key, Some(&token)).is_ok());
    assert!(world.call_for(&people.backup, Some(&old), ask()).is_ok());
    world.ok(&people.backup, release());
    assert!(!world.works(&old));
    assert!(world.authenticates(&key, Some(&token)).is_err());
    assert!(world.call_for(&people.backup, Some(&old), ask()).is_err());
    // A session opened after it lives, until the next release, also within one millisecond.
    for _ in 0..3 {
        let new = world.assume(&people.backup, assume(&arn)).unwrap();
        assert!(world.works(&new));
        world.ok(&people.backup, release());
        assert!(!world.works(&new) && !world.works(&old));
    }
    let last = world.assume(&people.backup, assume(&arn)).unwrap();
    world.now_ms += 1;
    assert!(world.works(&last));
}

#[test]
fn atk_e11_tags_and_source_identity_go_on_along_a_chain() {
    let (mut world, people) = base();
    let open = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}]}"#;
    let trust = TrustPolicy::parse(open, policy::Dialect::Aws).unwrap();
    world.ok(&people.root, Command::UpdateAssumeRolePolicy { role: t("plain"), trust });
    let tag = |key: &str, value: &str| (t::<TagKey>(key), t::<TagValue>(value));
    let first = AssumeRole {
        tags: vec![tag("team", "blue"), tag("step", "1")],
        transitive: vec![t("team")],
        source_identity: Some(t("alice")),
        ..assume(PLAIN)
    };
    let session = world.assume(&people.admin, first).unwrap();
    let tags = |caller: &Caller| match caller {
        Caller::Session(claims) => {
            claims.tags.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(tags(&session), ["step=1", "team=blue"]);
    let second = world.assume(&session, assume(PLAIN)).unwrap();
    assert_eq!(tags(&second), ["team=blue"]);
    let third = world.assume(&second, assume(PLAIN)).unwrap();
    assert_eq!(tags(&third), ["team=blue"]);
    let Caller::Session(claims) = &third else { panic!("no session") };
    assert_eq!(claims.source_identity, Some(t("alice")));
    for odd in ["team", "TEAM", "Team"] {
        let ask = AssumeRole { tags: vec![tag(odd, "red")], ..assume(PLAIN) };
        assert_eq!(world.assume(&third, ask).unwrap_err(), Error::InheritedTag);
    }
    let ask = AssumeRole { source_identity: Some(t("mallory")), ..assume(PLAIN) };
    assert_eq!(world.assume(&third, ask).unwrap_err(), Error::SourceIdentityFixed);
    let ask = AssumeRole { transitive: vec![t("team")], ..assume(PLAIN) };
    assert_eq!(world.assume(&people.admin, ask).unwrap_err(), Error::TransitiveTagMissing);
}

#[test]
fn atk_e14_what_does_not_fit_is_refused_and_never_cut() {
    let (mut world, people) = base();
    let of_size = |n: usize| allow("backup:Get", &format!("arn:aws:backup:::{}", "x".repeat(n)));
    let mut fits = 0;
    let mut refused = 0;
    for n in (0..6_000).step_by(200) {
        let policy = of_size(n);
        let ask = AssumeRole { policy: Some(policy.clone()), ..assume(PLAIN) };
        match world.assume(&people.admin, ask) {
            Ok(Caller::Session(claims)) => {
                assert_eq!(claims.policy, Some(policy), "the policy is whole");
                assert_eq!(refused, 0, "a larger one fits");
                fits += 1;
            }
            Err(Error::SessionTooLarge(percent)) => {
                assert!(percent > 100);
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(fits > 5 && refused > 5, "{fits} {refused}");
}
