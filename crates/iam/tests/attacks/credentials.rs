//! A: keys and tokens.

use crate::common::*;
use iam::caller::{Caller, authenticate};
use iam::command::*;
use iam::error::Error;
use iam::output::*;
use iam::rows::*;
use std::sync::Arc;

fn key_id(caller: &Caller) -> String {
    match caller {
        Caller::Key(id) => id.to_string(),
        Caller::Session(claims) => claims.key.to_string(),
        other => panic!("{other:?}"),
    }
}

fn set_key(world: &mut World, root: &Caller, user: &str, key: &Caller, status: KeyStatus) {
    let command = Command::UpdateAccessKey { user: Some(t(user)), key: t(&key_id(key)), status };
    world.ok(root, command);
}

fn delete_key(world: &mut World, root: &Caller, user: &str, key: &Caller) {
    world.ok(root, Command::DeleteAccessKey { user: Some(t(user)), key: t(&key_id(key)) });
}

#[test]
fn atk_a20_atk_a21_only_an_active_key_of_a_living_owner_is_taken_from_the_very_next_call_on() {
    let (mut world, people) = World::peopled(1);
    let key = world.user(&people.root, "u");
    let token = world.ok(&key, Command::GetSessionToken { duration_s: None });
    let session = world.session(token);
    let id = key_id(&key);
    assert!(world.works(&key) && world.works(&session));
    assert!(world.authenticates(&id, None).is_ok());

    set_key(&mut world, &people.root, "u", &key, KeyStatus::Inactive);
    assert_eq!(world.err(&key, Command::GetCallerIdentity), Error::InactiveKey);
    assert_eq!(world.authenticates(&id, None), Err(Error::InactiveKey));
    assert!(!world.works(&session), "a session of an inactive key");
    set_key(&mut world, &people.root, "u", &key, KeyStatus::Active);
    assert!(world.works(&key) && world.works(&session));

    delete_key(&mut world, &people.root, "u", &key);
    assert!(!world.works(&key) && !world.works(&session));
    assert_eq!(world.authenticates(&id, None), Err(Error::InvalidCredentials));
    world.ok(&people.root, Command::DeleteUser { user: t("u") });
    let again = world.user(&people.root, "u");
    assert!(world.works(&again) && !world.works(&key) && !world.works(&session));

    // A status that is neither is no status; a row that says so does not read.
    let row = world.state.key(&t(&key_id(&again))).cloned().unwrap();
    let text = String::from_utf8(Row::AccessKey((*row).clone()).encode().unwrap()).unwrap();
    assert!(Row::decode(3, text.as_bytes()).is_ok());
    for status in ["\"FALSE\"", "\"active\"", "\"\"", "null", "true"] {
        let odd = text.replace("\"Active\"", status);
        assert!(odd != text && Row::decode(3, odd.as_bytes()).is_err(), "{status}");
    }
}

#[test]
fn atk_a22_a_secret_opens_only_for_its_own_key_owner_and_version() {
    let (mut world, people) = World::peopled(2);
    let key = world.user(&people.root, "u");
    let other = world.user(&people.root, "v");
    let row = |world: &World, key: &Caller| world.state.key(&t(&key_id(key))).cloned().unwrap();
    let (mine, theirs) = (row(&world, &key), row(&world, &other));
    let secret = |world: &World, key: &Caller| {
        let found = authenticate(&world.state, &world.keyring, world.now_ms, &key_id(key), None);
        found.map(|(_, secret)| secret.expose().to_owned())
    };
    let right = secret(&world, &key).unwrap();
    for sealed in [
        AccessKey { version: 2, ..(*mine).clone() },
        AccessKey { owner: KeyOwner::Root(t(B)), ..(*mine).clone() },
        AccessKey { owner: KeyOwner::Service(t(BACKUP)), ..(*mine).clone() },
        AccessKey { sealed: theirs.sealed.clone(), ..(*mine).clone() },
    ] {
        let mut odd = world.clone();
        odd.state.apply(&Change::Put(Row::AccessKey(sealed)));
        assert_eq!(secret(&odd, &key), Err(Error::InvalidCredentials));
    }
    // A key made in place of another has another secret.
    delete_key(&mut world, &people.root, "u", &key);
    let fresh = world.key(&people.root, "u");
    assert_ne!(secret(&world, &fresh).unwrap(), right);
    assert!(secret(&world, &key).is_err());
}

#[test]
fn atk_a23_a_key_id_is_its_exact_bytes() {
    let (mut world, people) = World::peopled(3);
    let id = key_id(&people.admin);
    assert!(world.authenticates(&id, None).is_ok());
    let mut odd: Vec<String> = vec![
        id.to_lowercase(),
        format!(" {id}"),
        format!("{id} "),
        format!("{id}\0"),
        format!("{id}A"),
        id.replace('A', "\u{ff21}"),
        String::new(),
    ];
    odd.extend((0..id.len()).map(|n| id.chars().take(n).collect()));
    odd.extend((0..id.len()).map(|n| {
        let flip = |c: char| if c == 'B' { 'C' } else { 'B' };
        id.chars().enumerate().map(|(i, c)| if i == n { flip(c) } else { c }).collect()
    }));
    for odd in odd {
        assert_eq!(world.authenticates(&odd, None), Err(Error::InvalidCredentials), "{odd:?}");
    }
    assert!(world.works(&people.admin));
}

#[test]
fn atk_a24_atk_e04_a_token_is_whole_its_keys_own_and_never_beside_a_long_term_key() {
    let (mut world, people) = World::peopled(4);
    let output = world.ok(&people.admin, Command::GetSessionToken { duration_s: None });
    let Output::Session { credentials, .. } = output else { panic!("no session") };
    let (id, token) = (credentials.key.as_str(), credentials.token.as_str());
    let found = authenticate(&world.state, &world.keyring, world.now_ms, id, Some(token)).unwrap();
    assert_eq!(found.1.expose(), credentials.secret.expose());

    let long_term = key_id(&people.admin);
    let second = world.ok(&people.admin, Command::GetSessionToken { duration_s: None });
    let Output::Session { credentials: second, .. } = second else { panic!("no session") };
    assert!(world.authenticates(id, None).is_err(), "a session key without its token");
    assert!(world.authenticates(&long_term, Some(token)).is_err(), "a token with another key");
    assert!(world.authenticates(id, Some(&second.token)).is_err(), "another session's token");
    for odd in [
        String::new(),
        format!("{token}{token}"),
        format!("{token} "),
        format!(" {token}"),
        format!("{token}A"),
        token.to_lowercase(),
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.".to_owned(),
    ] {
        assert_eq!(world.authenticates(id, Some(&odd)), Err(Error::InvalidCredentials), "{odd}");
    }
    for end in 0..token.len() {
        let cut: String = token.chars().take(end).collect();
        assert!(world.authenticates(id, Some(&cut)).is_err());
    }
    // Claims sealed by another installation's keys are nobody's.
    let mut stranger = world.clone();
    stranger.keyring = Arc::new(iam::seal::Keyring::from_bytes(&[8; 96]).unwrap());
    assert!(stranger.authenticates(id, Some(token)).is_err());
}

#[test]
fn atk_f05_a_name_that_looks_like_a_service_is_not_one() {
    let (mut world, people) = World::peopled(5);
    world.linked(&people.root, BACKUP);
    let key = world.user(&people.root, BACKUP);
    world.ok(
        &people.root,
        Command::AttachUserPolicy { user: t(BACKUP), policy: system_policy("AdministratorAccess") },
    );
    let arn = linked_arn(A, BACKUP, BACKUP_ROLE);
    assert!(matches!(world.assume(&key, assume(&arn)), Err(Error::AssumeRoleDenied(_))));
    assert!(is_denied(&world.call(&key, register(A, BACKUP_ROLE, "r"))));
    let trusting = trust(&format!(r#"{{"Service":"{BACKUP}"}}"#));
    world.role(&people.root, "for-service", trusting);
    let plain = format!("arn:aws:iam::{A}:role/for-service");
    assert!(world.assume(&key, assume(&plain)).is_err());
    assert!(world.assume(&people.other, assume(&plain)).is_err());
    assert!(world.assume(&people.backup, assume(&plain)).is_ok());
    assert!(world.assume(&people.backup, assume(&arn)).is_ok());
    assert!(world.works(&key));
}

#[test]
fn atk_h09_no_secret_enters_the_trail() {
    let (mut world, people) = World::peopled(6);
    let mut canaries = Vec::new();
    let made = world.ok(&people.root, Command::CreateAccessKey { user: Some(t("bare")) });
    if let Output::Key { secret, key, .. } = made {
        canaries.extend([secret.expose().to_owned(), key.sealed.clone()]);
    }
    let token = world.ok(&people.admin, Command::GetSessionToken { duration_s: None });
    if let Output::Session { credentials, .. } = token {
        canaries.extend([credentials.secret.expose().to_owned(), credentials.token]);
    }
    world.role(&people.root, "plain", trust_account(A));
    let ask = AssumeRole {
        external_id: Some(t("canary-external-id")),
        ..assume(&format!("arn:aws:iam::{A}:role/plain"))
    };
    canaries.push("canary-external-id".into());
    let session = world.ok(&people.admin, Command::AssumeRole(Box::new(ask)));
    if let Output::Session { credentials, .. } = session {
        canaries.extend([credentials.secret.expose().to_owned(), credentials.token]);
    }
    let enrolled = world.ok(
        &Caller::Operator,
        Command::EnrolService { service: t("n.example.com"), callback: None },
    );
    let Output::Enrolment { token, .. } = enrolled else { panic!("no token") };
    canaries.push(token.expose().to_owned());
    let registration = Command::RegisterService {
        token: Some(token.expose().to_owned()),
        manifest: Box::new(manifest("n.example.com", "n", Vec::new())),
    };
    if let Output::Registered { secret, .. } = world.ok(&Caller::Anonymous, registration) {
        canaries.push(secret.expose().to_owned());
    }
    let account =
        Command::CreateAccount { id: None, dialect: policy::Dialect::Aws, role_quota: None };
    if let Output::Account { secret, .. } = world.ok(&Caller::Operator, account) {
        canaries.push(secret.expose().to_owned());
    }
    assert_eq!(canaries.len(), 10);
    let trail: Vec<String> =
        world.events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    for canary in &canaries {
        assert!(canary.len() > 10);
        assert!(!trail.iter().any(|event| event.contains(canary)), "{canary}");
        assert!(!format!("{:?}", world.events).contains(canary));
    }
    // The control: what may be shown is there.
    assert!(trail.iter().any(|event| event.contains("\"plain\"") || event.contains("role/plain")));
}
