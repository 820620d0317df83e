//! Services that prove themselves: what proves which service, for how long, and what ends it.

use crate::common::*;
use crate::proved::*;
use iam::caller::Caller;
use iam::command::*;
use iam::error::Error;
use iam::identity::{Proof, Workload};
use iam::output::*;
use iam::rows::*;
use std::collections::BTreeSet;

fn opened(world: &mut World, shown: &Workload) -> Result<Caller, Error> {
    let service = shown.service.as_str().to_owned();
    let output = world.call(&Caller::Workload(shown.clone().into()), open_session(&service))?;
    Ok(world.session(output))
}

fn backup_roles() -> Vec<Template> {
    vec![
        template(BACKUP, "ExampleBackup", SuffixRule::Refused),
        template(VAULT, "ExampleVault", SuffixRule::Optional),
    ]
}

/// The manifest of `backup` with another token than the usual one.
fn with_token(change: impl FnOnce(&mut TokenIdentity)) -> Manifest {
    let mut identity = backup_identity();
    let mut token = identity.token.take().unwrap();
    change(&mut token);
    identity.token = Some(token);
    Manifest { identity: Some(identity.into()), ..manifest(BACKUP, "backup", backup_roles()) }
}

fn update(manifest: Manifest) -> Command {
    Command::UpdateService { manifest: Box::new(manifest) }
}

#[test]
fn atk_e04_atk_e06_what_is_shown_must_be_what_the_manifest_names_in_every_part() {
    let (mut world, _) = World::peopled(5);
    let good = backup_workload();
    let Proof::Token { issuer, subject, audience, .. } = good.proof.clone() else {
        panic!("no token")
    };
    assert!(opened(&mut world, &good).is_ok());
    let proof = |issuer: Option<&str>, subject: &str, audience: &str, begins_ms| Workload {
        proof: Proof::Token {
            issuer: issuer.map(str::to_owned),
            subject: subject.into(),
            audience: audience.into(),
            begins_ms,
        },
        ..good.clone()
    };
    let own = issuer.as_deref();
    let now = world.now_ms;
    assert!(opened(&mut world, &proof(own, &subject, &audience, now + 300_000)).is_ok());
    for (why, shown) in [
        ("no issuer", proof(None, &subject, &audience, 0)),
        ("another issuer", proof(Some("https://id.example.com/"), &subject, &audience, 0)),
        ("another subject", proof(own, "spiffe://example.org/backup2", &audience, 0)),
        ("another spelling", proof(own, "SPIFFE://example.org/backup", &audience, 0)),
        ("another audience", proof(own, &subject, "linkrole2", 0)),
        ("from later on", proof(own, &subject, &audience, now + 300_001)),
        ("ended", Workload { expires_ms: now, ..good.clone() }),
        ("another service", Workload { service: t(OTHER), ..good.clone() }),
        ("no service", Workload { service: t("none.example.com"), ..good.clone() }),
        ("checked under other terms", Workload { terms: "x".into(), ..good.clone() }),
    ] {
        let error = opened(&mut world, &shown).unwrap_err();
        assert!(matches!(error, Error::IdentityRefused(_)), "{why}: {error:?}");
    }
    // What proves one service opens no session of another.
    let error = world.err(&Caller::Workload(good.into()), open_session(OTHER));
    assert!(matches!(error, Error::IdentityRefused(_)), "{error:?}");
}

#[test]
fn atk_e01_atk_e02_a_services_session_ends_with_its_proof_and_begets_none() {
    let (mut world, people) = World::peopled(5);
    world.linked(&people.root, BACKUP);
    let arn = linked_arn(A, BACKUP, BACKUP_ROLE);
    let long = opened(&mut world, &backup_workload()).unwrap();
    let short = Workload { expires_ms: world.now_ms + 60_000, ..backup_workload() };
    let short = opened(&mut world, &short).unwrap();
    for session in [&long, &short] {
        assert!(world.works(session));
        assert!(world.assume(session, assume(&arn)).is_ok());
        let error = world.err(session, open_session(BACKUP));
        assert!(error.is_denial(), "{error:?}");
        let error = world.err(session, Command::GetSessionToken { duration_s: None });
        assert_eq!(error, Error::NotWithSession("GetSessionToken"));
    }
    world.now_ms += 59_999;
    assert!(world.works(&short));
    world.now_ms += 1;
    assert!(!world.works(&short) && world.works(&long));
    world.now_ms += 3_540_000 - 1;
    assert!(world.works(&long));
    world.now_ms += 1;
    assert_eq!(world.err(&long, Command::GetCallerIdentity), Error::SessionExpired);
}

#[test]
fn atk_e08_a_services_session_dies_with_what_proved_it() {
    let without = Manifest { identity: None, ..manifest(BACKUP, "backup", backup_roles()) };
    for (why, changed, lives) in [
        ("the same", manifest(BACKUP, "backup", backup_roles()), true),
        (
            "another name for people",
            Manifest { display_name: "B".into(), ..manifest(BACKUP, "backup", backup_roles()) },
            true,
        ),
        ("no identity", without, false),
        ("another subject", with_token(|token| token.subject.push('2')), false),
        (
            "another issuer",
            with_token(|token| token.issuer = Some(t("https://b.example.com"))),
            false,
        ),
        ("another audience", with_token(|token| token.audience.push('2')), false),
        (
            "keys elsewhere",
            with_token(|token| token.keys = Some(t("https://b.example.com"))),
            false,
        ),
        (
            "another pin",
            with_token(|token| {
                token.certificates.insert("0".repeat(64));
            }),
            false,
        ),
    ] {
        let (mut world, people) = World::peopled(5);
        let session = opened(&mut world, &backup_workload()).unwrap();
        assert!(world.works(&session));
        world.ok(&Caller::Operator, update(changed));
        assert_eq!(world.works(&session), lives, "{why}");
        assert_eq!(opened(&mut world, &backup_workload()).is_ok(), lives, "{why}");
        assert!(world.works(&people.backup), "its key is another matter");
    }
    // A service made again under the name is another one, also within one millisecond.
    let (mut world, _) = World::peopled(5);
    let session = opened(&mut world, &backup_workload()).unwrap();
    world.ok(&Caller::Operator, Command::RemoveService { service: t(BACKUP) });
    assert!(!world.works(&session));
    world.now_ms += 5;
    world.service(manifest(BACKUP, "backup", backup_roles()));
    assert!(!world.works(&session));
    let new = opened(&mut world, &backup_workload()).unwrap();
    assert!(world.works(&new));
}

#[test]
fn what_proves_a_service_is_the_operators_to_say_and_proves_one() {
    let (mut world, _) = World::peopled(5);
    let enrol = Command::EnrolService { service: t("new.example.com"), callback: None };
    let Output::Enrolment { token, .. } = world.ok(&Caller::Operator, enrol) else { panic!() };
    let register = |token: Option<&str>, identity: Option<ServiceIdentity>| {
        let identity = identity.map(Box::new);
        let manifest = Manifest { identity, ..manifest("new.example.com", "new", Vec::new()) };
        Command::RegisterService { token: token.map(Into::into), manifest: Box::new(manifest) }
    };
    let mut own = backup_identity();
    own.token.as_mut().unwrap().subject = "spiffe://example.org/new".into();
    let error = world.err(&Caller::Anonymous, register(Some(token.expose()), Some(own.clone())));
    assert!(matches!(error, Error::Invalid { field: "identity", .. }), "{error:?}");
    let taken = |world: &mut World, identity: ServiceIdentity| {
        matches!(
            world.err(&Caller::Operator, register(None, Some(identity))),
            Error::Taken { what: "subject", .. }
        )
    };
    assert!(taken(&mut world, backup_identity()));
    let mut other_audience = backup_identity();
    other_audience.token.as_mut().unwrap().audience = "other".into();
    assert!(taken(&mut world, other_audience));
    for change in [
        (|token| token.issuer = None) as fn(&mut TokenIdentity),
        |token| {
            token.issuer = None;
            token.keys = Some(t("https://keys.example.com"));
            token.subject = "system:serviceaccount:a:b".into();
        },
        |token| token.subject = String::new(),
        |token| token.subject = "a b".into(),
        |token| token.audience = "x".repeat(2_049),
        |token| token.certificates = BTreeSet::from(["0".repeat(40)]),
    ] {
        let mut bad = own.clone();
        change(bad.token.as_mut().unwrap());
        let error = world.err(&Caller::Operator, register(None, Some(bad)));
        assert!(matches!(error, Error::Invalid { field: "identity.token", .. }), "{error:?}");
    }
    let error = world.err(&Caller::Operator, register(None, Some(ServiceIdentity::default())));
    assert!(matches!(error, Error::Invalid { field: "identity", .. }), "{error:?}");
    world.ok(&Caller::Operator, register(None, Some(own)));
}

#[test]
fn the_trail_names_service_issuer_and_subject() {
    let (mut world, _) = World::peopled(5);
    opened(&mut world, &backup_workload()).unwrap();
    let event = world.last_event();
    assert_eq!(event.actor.kind, "Workload");
    assert_eq!(event.actor.name, "spiffe://example.org/backup");
    assert_eq!(event.actor.invoked_by.as_deref(), Some(BACKUP));
    assert_eq!(event.params.get("service").map(String::as_str), Some(BACKUP));
    let response = |name: &str| event.response.get(name).map(String::as_str);
    assert_eq!(response("issuer"), Some("https://id.example.com"));
    assert_eq!(response("subject"), Some("spiffe://example.org/backup"));
    assert!(response("accessKeyId").is_some_and(|key| key.starts_with("ASIA")));
}

/// The manifest of `backup` with a certificate beside the token.
fn with_certificate(san: &str) -> Manifest {
    let certificate = Some(CertificateIdentity { san: san.into() });
    let identity = ServiceIdentity { certificate, ..backup_identity() };
    Manifest { identity: Some(identity.into()), ..manifest(BACKUP, "backup", backup_roles()) }
}

#[test]
fn atk_e19_a_certificate_proves_by_its_exact_name_and_hangs_on_it() {
    let (mut world, _) = World::peopled(5);
    let san = "spiffe://example.org/svc/backup";
    let shown = |named: &str, san: &str, expires_ms| Workload {
        service: t(BACKUP),
        terms: CertificateIdentity { san: named.into() }.terms(),
        proof: Proof::Certificate { san: san.into() },
        expires_ms,
    };
    let end_ms = world.now_ms + 60_000;
    assert!(opened(&mut world, &shown(san, san, end_ms)).is_err(), "no certificate is named yet");
    world.ok(&Caller::Operator, update(with_certificate(san)));
    let session = opened(&mut world, &shown(san, san, end_ms)).unwrap();
    let by_token = opened(&mut world, &backup_workload()).unwrap();
    for (why, other) in [
        ("another name", shown(san, "spiffe://example.org/svc/backup2", end_ms)),
        ("another spelling", shown(san, "spiffe://EXAMPLE.org/svc/backup", end_ms)),
        ("ended", shown(san, san, world.now_ms)),
        ("named otherwise by now", shown("b.example.com", "b.example.com", end_ms)),
        ("another service", Workload { service: t(OTHER), ..shown(san, san, end_ms) }),
        (
            "a token's terms",
            Workload {
                terms: backup_workload().terms,
                ..shown(san, "spiffe://example.org/backup", end_ms)
            },
        ),
    ] {
        let error = opened(&mut world, &other).unwrap_err();
        assert!(matches!(error, Error::IdentityRefused(_)), "{why}: {error:?}");
    }
    // Each session hangs on what opened it, and on nothing else of the manifest.
    assert!(world.works(&session) && world.works(&by_token));
    world.ok(&Caller::Operator, update(with_certificate("backup.example.org")));
    assert!(!world.works(&session) && world.works(&by_token));
    let name = "backup.example.org";
    let session = opened(&mut world, &shown(name, name, end_ms)).unwrap();
    world.now_ms = end_ms - 1;
    assert!(world.works(&session));
    world.now_ms = end_ms;
    assert!(!world.works(&session), "it ends with the certificate");
}

#[test]
fn a_name_of_a_certificate_is_one_services_and_stands_for_itself() {
    let (mut world, _) = World::peopled(5);
    world.ok(&Caller::Operator, update(with_certificate("spiffe://example.org/b")));
    let register = |san: &str| {
        let certificate = Some(CertificateIdentity { san: san.into() });
        let identity = Some(ServiceIdentity { token: None, certificate }.into());
        let manifest = Manifest { identity, ..manifest("new.example.com", "new", Vec::new()) };
        Command::RegisterService { token: None, manifest: Box::new(manifest) }
    };
    let error = world.err(&Caller::Operator, register("spiffe://example.org/b"));
    assert!(matches!(error, Error::Taken { what: "san", .. }), "{error:?}");
    for bad in
        ["", "host", "*.example.com", "B.example.com", "a..b", "://x", "spiffe://", "spiffe://a b"]
    {
        let error = world.err(&Caller::Operator, register(bad));
        assert!(matches!(error, Error::Invalid { field: "identity.certificate", .. }), "{error:?}");
    }
    world.ok(&Caller::Operator, register("b.example.org"));
}
