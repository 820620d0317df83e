//! A service's updates and its end, and what an account demands of services, at the level of the core.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

mod common;

use common::*;
use iam::caller::Caller;
use iam::command::*;
use iam::error::{Denial, Entity, Error};
use iam::limits;
use iam::offered::OfferedPolicy;
use iam::output::*;
use iam::rows::*;
use iam::trigger::{Acting, Trigger};
use policy::{Dialect, Layer};
use std::collections::{BTreeMap, BTreeSet};

const ANY: &str = "arn:aws:storage:::bucket";

fn world() -> (World, People) {
    World::peopled(1)
}

/// The manifest of `backup`, its first role with these permissions.
fn backup_manifest(aws: &str) -> Manifest {
    let vault = template(VAULT, "ExampleVault", SuffixRule::Optional);
    let mut role = template(BACKUP, "ExampleBackup", SuffixRule::Refused);
    let documents =
        Documents { aws: Some(permissions(aws)), alibaba: Some(ram_allow("storage:Get*", "*")) };
    role.versions = BTreeMap::from([(1, documents)]);
    manifest(BACKUP, "backup", vec![role, vault])
}

fn may(actions: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":{actions},"Resource":"*"}}}}"#
    )
}

fn update(world: &mut World, manifest: Manifest) -> ServiceChange {
    let command = Command::UpdateService { manifest: Box::new(manifest) };
    match world.ok(&Caller::Operator, command) {
        Output::ServiceChange(change) => *change,
        other => panic!("{other:?}"),
    }
}

/// Why an update is refused; asking for the difference is refused the same way.
fn refused(world: &mut World, manifest: Manifest) -> String {
    let manifest = Box::new(manifest);
    let before = world.state.rows();
    let told = world.err(&Caller::Operator, Command::DiffService { manifest: manifest.clone() });
    let error = world.err(&Caller::Operator, Command::UpdateService { manifest });
    assert_eq!(told, error);
    assert_eq!(world.state.rows(), before);
    match error {
        Error::InUse(text) => text,
        other => panic!("{other:?}"),
    }
}

/// Whether a session of a linked role may do this, as another service asks for itself; with the refusal's text.
fn asks(world: &mut World, service: &Caller, session: &Caller, action: &str) -> Result<(), String> {
    let question = Question {
        action: action.into(),
        resource: Some(ANY.into()),
        account: None,
        context: BTreeMap::new(),
    };
    let command = Command::AuthorizeRequest(Box::new(question));
    match world.call_for(service, Some(session), command).unwrap() {
        Output::Authorized { decision, message, .. } => match decision.allowed() {
            true => Ok(()),
            false => Err(message.unwrap()),
        },
        other => panic!("{other:?}"),
    }
}

/// A storage service that asks whether it may do what it is asked for.
fn storage(world: &mut World) -> Caller {
    world.service(manifest("storage.example.com", "storage", Vec::new()))
}

fn version(world: &mut World, root: &Caller) -> Option<u32> {
    match world.ok(root, Command::GetRole { role: t(BACKUP_ROLE) }) {
        Output::Role(view) => view.template_version,
        other => panic!("{other:?}"),
    }
}

fn terms(world: &mut World, who: &Caller, change: TermsChange) -> ServiceTerms {
    match world.ok(who, Command::UpdateServiceTerms(change)) {
        Output::Terms(terms) => terms,
        other => panic!("{other:?}"),
    }
}

#[test]
fn row_04_a_new_version_of_the_permissions_reaches_existing_roles_at_once_and_is_audited() {
    let (mut world, people) = world();
    let storage = storage(&mut world);
    world.linked(&people.root, BACKUP);
    world.linked(&people.other_root, BACKUP);
    let arn = linked_arn(A, BACKUP, BACKUP_ROLE);
    let session = world.assume(&people.backup, assume(&arn)).unwrap();
    assert!(asks(&mut world, &storage, &session, "storage:GetObject").is_ok());
    assert!(asks(&mut world, &storage, &session, "storage:PutObject").is_err());
    let change = update(&mut world, backup_manifest(&may(r#""storage:Put*""#)));
    let role = change.roles.first().unwrap();
    assert_eq!((role.version_before, role.version_after), (Some(1), Some(2)));
    assert_eq!((role.at_once, role.held, change.roles.len()), (2, 0, 1));
    // The session of before has the permissions of now.
    assert!(asks(&mut world, &storage, &session, "storage:PutObject").is_ok());
    assert!(asks(&mut world, &storage, &session, "storage:GetObject").is_err());
    assert_eq!(version(&mut world, &people.root), Some(2));
    let event = world.events.iter().rfind(|e| e.operation == "UpdateService").unwrap();
    assert_eq!(event.actor.kind, "Operator");
    assert_eq!((event.accounts.len(), event.resources.len()), (0, 0), "it is the operator's");
    assert_eq!(event.response.get("concernedAccounts").unwrap(), "2");
    // Each account is told, of its own role only.
    assert_eq!(world.notices.len(), 2);
    for (account, notice) in [A, B].into_iter().zip(&world.notices) {
        let role = linked_arn(account, BACKUP, BACKUP_ROLE);
        assert_eq!(notice.accounts, [t(account)]);
        let told: Vec<&str> = notice.resources.iter().map(|t| t.resource.as_str()).collect();
        assert_eq!(told, [role.as_str()]);
        assert!(notice.response.values().any(|v| *v == format!("{BACKUP} 2")), "{notice:?}");
        assert!(!notice.response.contains_key("concernedAccounts"));
        assert_ne!(notice.id, event.id);
    }
    // The policy shows both, and which one counts.
    let policy = linked_policy("ExampleBackupServiceRolePolicy");
    let list = Command::ListPolicyVersions { policy, paging: no_paging() };
    let Output::Versions(page) = world.ok(&people.root, list) else { panic!("no versions") };
    let shown: BTreeSet<(u32, bool)> =
        page.items.iter().map(|v| (v.number, v.is_default)).collect();
    assert_eq!(shown, BTreeSet::from([(1, false), (2, true)]));
    // The same manifest again is no change, and no version.
    let again = update(&mut world, backup_manifest(&may(r#""storage:Put*""#)));
    assert_eq!((again.roles, again.settings), (Vec::new(), Vec::new()));
    assert_eq!(version(&mut world, &people.root), Some(2));
    // Of many versions the last five stay.
    for n in 0..6 {
        update(&mut world, backup_manifest(&may(&format!(r#""storage:Put{n}""#))));
    }
    let (_, found) = world.state.template(&t(BACKUP)).unwrap();
    assert_eq!(found.versions.keys().copied().collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
}

#[test]
fn row_26_a_diff_tells_what_an_update_does_and_changes_nothing() {
    let (mut world, people) = world();
    world.linked(&people.root, BACKUP);
    let mut new = backup_manifest(&may(r#"["storage:Get*","storage:Put*"]"#));
    new.display_name = "Backup".into();
    new.roles.get_mut(1).unwrap().suffix = SuffixRule::Refused;
    let next = "next.backup.example.com";
    new.roles.push(template(next, "ExampleNext", SuffixRule::Refused));
    let before = world.state.rows();
    let diff = Command::DiffService { manifest: Box::new(new.clone()) };
    let Output::ServiceChange(change) = world.ok(&Caller::Operator, diff) else { panic!("none") };
    assert_eq!(world.state.rows(), before);
    let setting = |name: &str, before: &str, after: &str| SettingChange {
        name: name.into(),
        before: before.into(),
        after: after.into(),
    };
    assert_eq!(change.settings, [setting("display_name", BACKUP, "Backup")]);
    let [role, next_role, vault] = change.roles.as_slice() else { panic!("{change:?}") };
    let permission = role.permissions.first().unwrap();
    assert_eq!((permission.dialect, role.permissions.len()), (Dialect::Aws, 1));
    let actions = |list: &[serde_json::Value]| {
        list.iter().map(|s| s.pointer("/Action").unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(actions(&permission.removed), [r#"["storage:Get*"]"#]);
    assert_eq!(actions(&permission.added), [r#"["storage:Get*","storage:Put*"]"#]);
    assert_eq!((next_role.version_before, next_role.version_after), (None, Some(1)));
    assert_eq!(vault.settings, [setting("suffix", "optional", "refused")]);
    assert_eq!(update(&mut world, new), *change);
    // What came can be used, and what is gone of it is free again.
    world.linked(&people.root, next);
    world.delete_linked(&people.root, "AWSServiceRoleForExampleNext");
    update(&mut world, backup_manifest(&may(r#""storage:Get*""#)));
    let create = create_linked(next, None);
    assert!(matches!(world.err(&people.root, create), Error::UnknownServicePrincipal(_)));
    let stranger = manifest("other2.example.com", "other2", Vec::new());
    assert!(matches!(
        world.err(&Caller::Operator, Command::UpdateService { manifest: Box::new(stranger) }),
        Error::NoSuchEntity(Entity::Service(_))
    ));
}

#[test]
fn row_26_what_existing_roles_rest_on_cannot_be_taken_away() {
    let (mut world, people) = world();
    world.linked(&people.root, BACKUP);
    world.ok(&people.root, create_linked(VAULT, Some("one")));
    world.ok(&people.backup, register(A, BACKUP_ROLE, "vault-1"));
    let whole = || backup_manifest(&may(r#""storage:Get*""#));
    let with = |alter: &dyn Fn(&mut Manifest)| {
        let mut manifest = whole();
        alter(&mut manifest);
        manifest
    };
    let first = |m: &mut Manifest, alter: &dyn Fn(&mut Template)| {
        m.roles.first_mut().into_iter().for_each(alter);
    };
    let cases: [(&str, Manifest); 7] = [
        ("cannot leave the manifest", with(&|m| drop(m.roles.remove(0)))),
        ("names of role", with(&|m| first(m, &|t| t.role = "ExampleElse".into()))),
        ("names of role", with(&|m| first(m, &|r| r.policy = t("Other")))),
        ("refuse suffixes", with(&|m| m.roles.get_mut(1).unwrap().suffix = SuffixRule::Refused)),
        ("lose its policy", with(&|m| first(m, &|r| r.versions.get_mut(&1).unwrap().aws = None))),
        ("is used in `north-1`", with(&|m| m.regions = BTreeSet::from([t("south-1")]))),
        ("is used in `north-1`", with(&|m| m.usage = UsageSource::Sessions)),
    ];
    for (text, manifest) in cases {
        let refusal = refused(&mut world, manifest);
        assert!(refusal.contains(text), "{text}: {refusal}");
    }
    // A name of another service's is refused as in a registration.
    let stolen = with(&|m| first(m, &|t| t.role = "ExampleOther".into()));
    let command = Command::UpdateService { manifest: Box::new(stolen) };
    assert!(matches!(world.err(&Caller::Operator, command), Error::Taken { what: "role", .. }));
    assert_eq!(update(&mut world, whole()).roles, []);
}

#[test]
fn row_26_a_service_is_removed_only_when_no_role_of_it_is_left() {
    let (mut world, people) = world();
    world.linked(&people.root, BACKUP);
    world.linked(&people.other_root, VAULT);
    let remove = || Command::RemoveService { service: t(BACKUP) };
    let Error::InUse(text) = world.err(&Caller::Operator, remove()) else { panic!("removed") };
    for arn in [linked_arn(A, BACKUP, BACKUP_ROLE), linked_arn(B, VAULT, VAULT_ROLE)] {
        assert!(text.contains(&arn), "{text}");
    }
    world.delete_linked(&people.root, BACKUP_ROLE);
    world.delete_linked(&people.other_root, VAULT_ROLE);
    let Caller::Key(key) = &people.backup else { panic!("no key") };
    assert!(world.works(&people.backup));
    let mut noted = iam::access::Noted::default();
    world.events.iter().for_each(|event| noted.note(event));
    world.ok(
        &Caller::System,
        Command::RecordUse { noted: Box::new(noted), part: iam::access::Part::WHOLE },
    );
    assert!(world.state.last_use(&Used::Key(key.clone())).is_some());
    world.ok(&Caller::Operator, remove());
    assert!(world.state.last_use(&Used::Key(key.clone())).is_none());
    // Its key is nobody's, and its names are free.
    assert!(world.call(&people.backup, Command::GetCallerIdentity).is_err());
    assert!(matches!(world.err(&Caller::Operator, remove()), Error::NoSuchEntity(_)));
    let create = create_linked(VAULT, None);
    assert!(matches!(world.err(&people.root, create), Error::UnknownServicePrincipal(_)));
    world.service(backup_manifest(&may(r#""storage:Get*""#)));
    world.linked(&people.root, VAULT);
}

#[test]
fn row_58_an_account_that_holds_updates_accepts_them_role_by_role() {
    let (mut world, people) = world();
    let storage = storage(&mut world);
    world.linked(&people.root, BACKUP);
    world.linked(&people.other_root, BACKUP);
    update(&mut world, backup_manifest(&may(r#"["storage:Get*","storage:List*"]"#)));
    let hold = |on| TermsChange { holds_updates: Some(on), requires_consent: None };
    assert!(terms(&mut world, &people.root, hold(true)).holds_updates);
    let change = update(&mut world, backup_manifest(&may(r#""storage:*""#)));
    let role = change.roles.first().unwrap();
    assert_eq!((role.at_once, role.held), (1, 1));
    assert_eq!(version(&mut world, &people.root), Some(2));
    assert_eq!(version(&mut world, &people.other_root), Some(3));
    let arn = linked_arn(A, BACKUP, BACKUP_ROLE);
    let session = world.assume(&people.backup, assume(&arn)).unwrap();
    // What counted when the account began to hold still counts.
    assert!(asks(&mut world, &storage, &session, "storage:ListAll").is_ok());
    assert!(asks(&mut world, &storage, &session, "storage:Wipe").is_err());
    // However many versions come, the one in force stays.
    for n in 0..6 {
        update(&mut world, backup_manifest(&may(&format!(r#"["storage:*","x:{n}"]"#))));
    }
    assert!(asks(&mut world, &storage, &session, "storage:ListAll").is_ok());
    let accept = || Command::AcceptServiceUpdate { role: t(BACKUP_ROLE) };
    assert!(is_denied(&world.call(&people.bare, accept())));
    assert!(is_denied(&world.call(&people.backup, accept())), "a service accepts for nobody");
    world.ok(&people.admin, accept());
    assert_eq!(world.last_event().operation, "AcceptServiceUpdate");
    assert_eq!(version(&mut world, &people.root), Some(9));
    assert!(asks(&mut world, &storage, &session, "storage:Wipe").is_ok());
    // Without the hold the latest counts again.
    update(&mut world, backup_manifest(&may(r#""storage:Get*""#)));
    assert_eq!(version(&mut world, &people.root), Some(9));
    terms(&mut world, &people.root, hold(false));
    assert_eq!(version(&mut world, &people.root), Some(10));
    assert!(asks(&mut world, &storage, &session, "storage:Wipe").is_err());
}

#[test]
fn row_58_where_consent_is_required_only_the_accounts_own_principals_make_roles() {
    let (mut world, people) = world();
    let change = TermsChange { holds_updates: None, requires_consent: Some(true) };
    terms(&mut world, &people.root, change);
    let ensure = || Command::EnsureServiceLinkedRole { principal: BACKUP.into(), suffix: None };
    let before = world.state.rows();
    let asked = world.call_for(&people.backup, Some(&people.admin), ensure());
    assert!(matches!(asked, Err(Error::ConsentMissing(_))), "{asked:?}");
    let asked = world.call_for(&people.backup, Some(&people.bare), ensure());
    assert!(is_denied(&asked), "who may not make it learns nothing of the terms");
    assert_eq!(world.state.rows(), before);
    let preview = || Command::PreviewServiceLinkedRole { principal: BACKUP.into(), suffix: None };
    let Output::Preview(view) = world.ok(&people.admin, preview()) else { panic!("no preview") };
    assert_eq!((view.arn.as_str(), view.exists), (&*linked_arn(A, BACKUP, BACKUP_ROLE), false));
    assert!(view.terms.requires_consent);
    assert_eq!(world.state.rows(), before);
    assert!(is_denied(&world.call(&people.bare, preview())));
    world.linked(&people.admin, BACKUP);
    let Output::Preview(view) = world.ok(&people.admin, preview()) else { panic!("no preview") };
    assert!(view.exists);
    let asked = world.call_for(&people.backup, Some(&people.admin), ensure());
    assert!(matches!(asked, Ok(Output::Ensured { created: false, .. })), "{asked:?}");
}

#[test]
fn row_59_a_ceiling_bounds_what_a_services_role_may_do_in_this_account_alone() {
    let (mut world, people) = world();
    let storage = storage(&mut world);
    let mut sessions = Vec::new();
    for (root, account) in [(&people.root, A), (&people.other_root, B)] {
        world.linked(root, BACKUP);
        let arn = linked_arn(account, BACKUP, BACKUP_ROLE);
        sessions.push(world.assume(&people.backup, assume(&arn)).unwrap());
    }
    let [session, elsewhere] = sessions.as_slice() else { panic!("two sessions") };
    let put =
        |policy: &str| Command::PutServiceCeiling { principal: t(BACKUP), policy: policy.into() };
    assert!(is_denied(&world.call(&people.bare, put(&may(r#""storage:GetObject""#)))));
    assert!(is_denied(&world.call(session, put(&may(r#""*""#)))), "a role does not lift its own");
    world.ok(&people.root, put(&may(r#""storage:GetObject""#)));
    assert!(asks(&mut world, &storage, session, "storage:GetObject").is_ok());
    let text = asks(&mut world, &storage, session, "storage:GetAll").unwrap_err();
    assert!(
        text.ends_with("because no ceiling of the account allows the storage:GetAll action"),
        "{text}"
    );
    assert!(asks(&mut world, &storage, elsewhere, "storage:GetAll").is_ok());
    // A ceiling grants nothing.
    world.ok(&people.root, put(&may(r#""*""#)));
    assert!(asks(&mut world, &storage, session, "storage:PutObject").is_err());
    let deny = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"*","Resource":"*"},
        {"Effect":"Deny","Action":"storage:GetAll","Resource":"*"}]}"#;
    world.ok(&people.root, put(deny));
    let text = asks(&mut world, &storage, session, "storage:GetAll").unwrap_err();
    assert!(text.ends_with("with an explicit deny in a ceiling of the account"), "{text}");
    // It binds calls to linkrole itself, and its refusal names the layer.
    let command = Command::ListRoles { prefix: "/".into(), with: Vec::new(), paging: no_paging() };
    let Err(Error::AccessDenied(denial)) = world.call(session, command) else { panic!("listed") };
    let Denial { decision: Some(decision), .. } = *denial else { panic!("no decision") };
    assert_ne!(decision.layer, Layer::Endpoint);
    // What does not read is refused, and nothing changes.
    let before = world.state.rows();
    assert!(matches!(world.err(&people.root, put("{}")), Error::MalformedPolicy { .. }));
    assert_eq!(world.state.rows(), before);
    let delete = || Command::DeleteServiceCeiling { principal: t(BACKUP) };
    world.ok(&people.root, delete());
    assert!(asks(&mut world, &storage, session, "storage:GetAll").is_ok());
    assert!(matches!(world.err(&people.root, delete()), Error::NoSuchEntity(Entity::Ceiling(_))));
}

/// A session with which `backup` calls onward for somebody.
fn onward(world: &mut World, people: &People, caller: &Caller) -> Result<Caller, Error> {
    let made = world.call_for(&people.backup, Some(caller), Command::ForwardAccess)?;
    Ok(world.session(made))
}

#[test]
fn row_56_a_service_calls_onward_in_its_callers_name_for_what_both_may() {
    let (mut world, people) = world();
    let storage = storage(&mut world);
    let both = permissions(
        r#"{"Version":"2012-10-17","Statement":[
            {"Effect":"Allow","Action":["storage:GetObject","iam:ListUsers"],"Resource":"*"}]}"#,
    );
    world.put_user_policy(&people.root, "bare", both);
    let session = onward(&mut world, &people, &people.bare).unwrap();
    assert_eq!(world.last_event().operation, "ForwardAccess");
    // What the manifest declares and the caller may.
    assert!(asks(&mut world, &storage, &session, "storage:GetObject").is_ok());
    let event = world.last_event();
    let named = (event.actor.user_name.as_deref(), event.actor.invoked_by.as_deref());
    assert_eq!(named, (Some("bare"), Some(BACKUP)));
    assert_eq!(event.asked_by.as_deref(), Some("storage.example.com"));
    // What the caller may not, and what the manifest does not declare.
    assert!(asks(&mut world, &storage, &session, "storage:PutObject").is_err());
    let list = || Command::ListUsers { prefix: "/".into(), paging: no_paging() };
    world.ok(&people.bare, list());
    assert!(is_denied(&world.call(&session, list())));
    let event = world.last_event();
    let named = (event.actor.user_name.as_deref(), event.actor.invoked_by.as_deref());
    assert_eq!(named, (Some("bare"), Some(BACKUP)));
    // It is known as a call through the service.
    let through = permissions(&format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"storage:*","Resource":"*",
            "Condition":{{"ForAnyValue:StringEquals":{{"aws:CalledVia":"{BACKUP}"}},
                          "Bool":{{"aws:ViaAWSService":"true"}}}}}}]}}"#
    ));
    world.put_user_policy(&people.root, "bare", through);
    assert!(asks(&mut world, &storage, &session, "storage:PutObject").is_ok());
    assert!(asks(&mut world, &storage, &people.bare, "storage:PutObject").is_err());
    // Five minutes, and not past the caller's key.
    world.now_ms += 299_000;
    assert!(asks(&mut world, &storage, &session, "storage:PutObject").is_ok());
    let again = onward(&mut world, &people, &people.bare).unwrap();
    world.now_ms += 2_000;
    assert!(!world.works(&session));
    assert!(world.works(&again));
    let Caller::Key(key) = &people.bare else { panic!("no key") };
    let off = Command::UpdateAccessKey {
        user: Some(t("bare")),
        key: key.clone(),
        status: KeyStatus::Inactive,
    };
    world.ok(&people.root, off);
    assert!(!world.works(&again));
}

#[test]
fn row_56_of_an_onward_call_comes_nothing_to_keep_and_no_further_one() {
    let (mut world, people) = world();
    world.role(&people.root, "plain", trust_account(A));
    let session = onward(&mut world, &people, &people.admin).unwrap();
    let plain = format!("arn:aws:iam::{A}:role/plain");
    assert!(world.assume(&people.admin, assume(&plain)).is_ok(), "positive control");
    // Even where a manifest declares everything.
    let mut wide = backup_manifest(&may(r#""storage:Get*""#));
    wide.forward.aws = Some(allow("*", "*"));
    update(&mut world, wide);
    world.ok(
        &session,
        Command::CreateServiceLinkedRole {
            principal: OTHER.into(),
            suffix: None,
            description: None,
        },
    );
    assert!(is_denied(&world.assume(&session, assume(&plain))));
    assert!(is_denied(&world.call(&session, Command::CreateAccessKey { user: Some(t("bare")) })));
    assert!(is_denied(&world.call(&session, Command::GetSessionToken { duration_s: None })));
    assert!(onward(&mut world, &people, &session).is_err());
    // Nor in the name of a root, whom policies do not bind in every dialect.
    assert!(onward(&mut world, &people, &people.root).is_err());
    let token = world.ok(&people.root, Command::GetSessionToken { duration_s: None });
    let root_session = world.session(token);
    assert!(onward(&mut world, &people, &root_session).is_err());
    // A service with its role acts for itself; one that declares nothing calls nobody.
    world.linked(&people.root, BACKUP);
    let arn = linked_arn(A, BACKUP, BACKUP_ROLE);
    let linked = world.assume(&people.backup, assume(&arn)).unwrap();
    assert!(onward(&mut world, &people, &linked).is_err());
    let asked = world.call_for(&people.other, Some(&people.admin), Command::ForwardAccess);
    assert!(matches!(asked, Err(Error::Invalid { field: "forward", .. })), "{asked:?}");
    // What a manifest no longer declares ends at once, and so does a role's session with its release.
    let role = world.assume(&people.admin, assume(&plain)).unwrap();
    world.ok(
        &people.root,
        Command::PutRolePolicy {
            role: t("plain"),
            name: t("p"),
            document: allow("storage:*", "*"),
        },
    );
    let of_role = onward(&mut world, &people, &role).unwrap();
    let storage = storage(&mut world);
    assert!(asks(&mut world, &storage, &of_role, "storage:GetObject").is_ok());
    let mut none = backup_manifest(&may(r#""storage:Get*""#));
    none.forward = Documents::default();
    update(&mut world, none);
    assert!(asks(&mut world, &storage, &of_role, "storage:GetObject").is_err());
    assert!(asks(&mut world, &storage, &role, "storage:GetObject").is_ok());
}

#[test]
fn row_28_a_service_that_grew_brings_its_new_role_to_accounts_that_use_it() {
    let (mut world, people) = world();
    let introduce = |account: &str, principal: &str| Command::IntroduceServiceLinkedRole {
        account: t(account),
        principal: principal.into(),
    };
    // Not to an account that does not use it, which looks like one that is not there.
    let unused = world.err(&people.backup, introduce(A, VAULT));
    assert!(matches!(unused, Error::NoSuchEntity(Entity::Account(_))), "{unused:?}");
    let missing = world.err(&people.backup, introduce("999988887777", VAULT));
    assert!(matches!(missing, Error::NoSuchEntity(Entity::Account(_))));
    world.linked(&people.root, BACKUP);
    assert!(is_denied(&world.call(&people.root, introduce(A, VAULT))), "only a service");
    for other in [OTHER, "unknown.example.com"] {
        let error = world.err(&people.backup, introduce(A, other));
        assert!(matches!(error, Error::UnknownServicePrincipal(_)), "{error:?}");
    }
    let Output::Ensured { role, created } = world.ok(&people.backup, introduce(A, VAULT)) else {
        panic!("no role")
    };
    assert_eq!((role.arn.as_str(), created), (&*linked_arn(A, VAULT, VAULT_ROLE), true));
    let event = world.last_event();
    assert_eq!(event.actor.invoked_by.as_deref(), Some(BACKUP));
    assert!(
        event.accounts.iter().any(|account| account.as_str() == A),
        "the account's trail tells"
    );
    let Output::Ensured { created, .. } = world.ok(&people.backup, introduce(A, VAULT)) else {
        panic!("no role")
    };
    assert!(!created);
    // An account that requires consent makes it itself.
    world.linked(&people.other_root, BACKUP);
    let change = TermsChange { holds_updates: None, requires_consent: Some(true) };
    terms(&mut world, &people.other_root, change);
    let held = world.err(&people.backup, introduce(B, VAULT));
    assert!(matches!(held, Error::ConsentMissing(_)), "{held:?}");
}

#[test]
fn the_operator_removes_by_force_what_no_service_answers_for_any_more() {
    let (mut world, people) = world();
    let role = world.linked(&people.root, BACKUP);
    let arn = linked_arn(A, BACKUP, BACKUP_ROLE);
    let session = world.assume(&people.backup, assume(&arn)).unwrap();
    world.ok(&people.backup, register(A, BACKUP_ROLE, "vault-1"));
    let open = world.submit(&people.root, BACKUP_ROLE);
    let force = |confirm: Option<&str>| Command::ForceDeleteServiceLinkedRole {
        account: t(A),
        role: t(BACKUP_ROLE),
        confirm: confirm.map(str::to_owned),
    };
    for who in [&people.root, &people.backup] {
        assert!(is_denied(&world.call(who, force(Some(role.id.as_str())))));
    }
    // The first step tells, and changes nothing; the wrong id neither.
    let before = world.state.rows();
    let Output::Plan(plan) = world.ok(&Caller::Operator, force(None)) else { panic!("no plan") };
    assert_eq!((plan.count, plan.sessions_until_ms.is_some()), (1, true));
    let wrong = world.err(&Caller::Operator, force(Some("AROAAAAAAAAAAAAAAAAAA")));
    assert!(matches!(wrong, Error::Invalid { field: "confirm", .. }), "{wrong:?}");
    assert_eq!(world.state.rows(), before);
    world.ok(&Caller::Operator, force(Some(role.id.as_str())));
    assert!(world.role_named(A, BACKUP_ROLE).is_none());
    assert!(!world.works(&session), "its sessions end with it");
    assert_eq!(world.task(&open).status, TaskStatus::Failed);
    let event = world.events.iter().rfind(|e| e.operation == "ForceDeleteServiceLinkedRole");
    let event = event.unwrap();
    assert!(event.accounts.iter().any(|account| account.as_str() == A));
    assert!(event.response.values().any(|value| value.contains("vault-1")), "{event:?}");
    // A role made again under the name has nothing of it.
    let again = world.linked(&people.root, BACKUP);
    assert_ne!(again.id, role.id);
    assert_eq!(world.state.usage_count(&again.id), 0);
    assert!(!world.works(&session));
    world.role(&people.root, "plain", trust_account(A));
    let plain =
        Command::ForceDeleteServiceLinkedRole { account: t(A), role: t("plain"), confirm: None };
    assert!(matches!(world.err(&Caller::Operator, plain), Error::NoSuchEntity(_)));
}

#[test]
fn a_service_whose_key_is_lost_gets_another_from_the_operator() {
    let (mut world, people) = world();
    let issue = |world: &mut World, revoke: bool| {
        let command = Command::CreateServiceKey { service: t(BACKUP), revoke };
        match world.ok(&Caller::Operator, command) {
            Output::Registered { key, .. } => Caller::Key(key.id.clone()),
            other => panic!("{other:?}"),
        }
    };
    world.now_ms += 1_000;
    let second = issue(&mut world, false);
    assert!(world.works(&people.backup) && world.works(&second), "it can change over");
    world.now_ms += 1_000;
    let third = issue(&mut world, false);
    let working = [&people.backup, &second, &third].map(|key| world.works(key));
    assert_eq!(working, [false, true, true]);
    let fourth = issue(&mut world, true);
    let working = [&second, &third, &fourth].map(|key| world.works(key));
    assert_eq!(working, [false, false, true]);
    for who in [&people.root, &fourth] {
        let command = Command::CreateServiceKey { service: t(BACKUP), revoke: true };
        assert!(is_denied(&world.call(who, command)));
    }
}

/// A service that offers a policy of this name in one language, and nothing else.
fn offering(service: &str, signing: &str, documents: Documents) -> Manifest {
    let policy = OfferedPolicy {
        name: t("SharedFullAccess"),
        description: None,
        documents,
        version: 1,
        created_ms: 0,
        updated_ms: 0,
    };
    Manifest { policies: vec![policy], ..manifest(service, signing, Vec::new()) }
}

#[test]
fn row_24_a_policy_is_held_where_its_language_is_spoken_and_nowhere_else() {
    let (mut world, people) = world();
    let aws = Documents { aws: Some(allow("one:*", "*")), alibaba: None };
    let ram = Documents { aws: None, alibaba: Some(ram_allow("two:*", "*")) };
    // One name in each language is two policies.
    world.service(offering("one.example.com", "one", aws.clone()));
    world.service(offering("two.example.com", "two", ram));
    let again = offering("three.example.com", "three", aws.clone());
    let register = Command::RegisterService { token: None, manifest: Box::new(again) };
    let error = world.err(&Caller::Operator, register);
    assert!(matches!(error, Error::Taken { what: "policy", .. }), "{error:?}");
    let policy = system_policy("sharedFULLaccess");
    world.ok(&people.root, Command::AttachUserPolicy { user: t("bare"), policy: policy.clone() });
    let remove = |name: &str| Command::RemoveService { service: t(name) };
    let error = world.err(&Caller::Operator, remove("one.example.com"));
    let Error::InUse(text) = &error else { panic!("{error:?}") };
    assert!(text.contains(&format!("arn:aws:iam::{A}:user/bare")), "{text}");
    // What an account of the other dialect has is no reason for that one.
    world.ok(&Caller::Operator, remove("two.example.com"));
    // The document of one in force counts as its next version, and only the document does.
    let mut wider = offering("one.example.com", "one", aws);
    let number = |world: &mut World| {
        let get = Command::GetPolicy { policy: system_policy("SharedFullAccess") };
        match world.ok(&people.root, get) {
            Output::Policy(view) => (view.default_version, view.attachments, view.updated_ms),
            other => panic!("{other:?}"),
        }
    };
    world.now_ms += 1_000;
    wider.policies.iter_mut().for_each(|policy| policy.description = Some(t("All of it.")));
    let change = update(&mut world, wider.clone());
    assert_eq!(
        change
            .policies
            .iter()
            .map(|p| (p.settings.len(), p.permissions.len(), p.attached))
            .collect::<Vec<_>>(),
        [(1, 0, 1)]
    );
    assert_eq!(number(&mut world), (1, 1, START_MS + 1_000));
    wider.policies.iter_mut().for_each(|p| p.documents.aws = Some(allow("one:Get*", "*")));
    assert_eq!(update(&mut world, wider.clone()).policies.len(), 1);
    assert_eq!(number(&mut world).0, 2);
    assert!(update(&mut world, wider).policies.is_empty());
    // As a boundary it is held as well.
    world.ok(&people.root, Command::DetachUserPolicy { user: t("bare"), policy: policy.clone() });
    world.role(&people.root, "bound", trust_account(A));
    world.ok(&people.root, Command::PutRolePermissionsBoundary { role: t("bound"), policy });
    assert!(matches!(world.err(&Caller::Operator, remove("one.example.com")), Error::InUse(_)));
    world.ok(&people.root, Command::DeleteRolePermissionsBoundary { role: t("bound") });
    world.ok(&Caller::Operator, remove("one.example.com"));
}

#[test]
fn row_26_triggers_say_which_calls_need_a_role_and_of_nothing_else() {
    let (mut world, people) = World::peopled(31);
    let with = |trigger: Trigger| {
        let mut role = template(BACKUP, "ExampleBackup", SuffixRule::Refused);
        role.triggers = vec![trigger];
        let vault = template(VAULT, "ExampleVault", SuffixRule::Optional);
        Box::new(manifest(BACKUP, "backup", vec![role, vault]))
    };
    let trigger = |on: &str| Trigger {
        on: BTreeSet::from([on.to_owned()]),
        creates: true,
        uses: BTreeSet::new(),
        carries: BTreeSet::new(),
        acting: Acting::Role,
    };
    let named =
        |sid: &str| Trigger { uses: BTreeSet::from([sid.into()]), ..trigger("backup:Start") };
    let carrying = Trigger { carries: BTreeSet::from(["team".into()]), ..trigger("backup:Start") };
    for (why, bad) in [
        ("another's action", trigger("storage:GetObject")),
        ("no action", trigger("backup")),
        ("an action of no letters", trigger("backup:Start Now")),
        ("no statement", named("NoSuch")),
        ("no key", carrying),
        ("nothing at all", Trigger { on: BTreeSet::new(), ..trigger("backup:Start") }),
        (
            "too many actions",
            Trigger {
                on: (0..=limits::ACTIONS_PER_TRIGGER).map(|n| format!("backup:A{n}")).collect(),
                ..trigger("backup:Start")
            },
        ),
        (
            "a statement that `forward` has not",
            Trigger { acting: Acting::Caller, ..named("NoSuch") },
        ),
        (
            "a long key",
            Trigger {
                carries: BTreeSet::from([format!("a:{}", "b".repeat(127))]),
                ..trigger("backup:Start")
            },
        ),
    ] {
        let error = world.err(&Caller::Operator, Command::UpdateService { manifest: with(bad) });
        assert!(matches!(error, Error::Invalid { field: "trigger", .. }), "{why}: {error:?}");
    }
    // The most that there may be, a statement that there is, and keys as they are.
    let most = Trigger {
        on: (1..=limits::ACTIONS_PER_TRIGGER).map(|n| format!("backup:A{n}")).collect(),
        carries: BTreeSet::from([format!("a:{}", "b".repeat(126))]),
        ..trigger("backup:Start")
    };
    let mut full = with(most.clone());
    let role = full.roles.first_mut().unwrap();
    role.triggers = vec![most; limits::TRIGGERS_PER_ROLE];
    let text = r#"{"Version":"2012-10-17","Statement":{"Sid":"Read","Effect":"Allow","Action":"storage:Get*","Resource":"*"}}"#;
    let documents = Documents { aws: Some(permissions(text)), alibaba: None };
    role.versions = BTreeMap::from([(1, documents)]);
    role.triggers.pop();
    role.triggers.push(named("Read"));
    world.ok(&Caller::Operator, Command::DiffService { manifest: full.clone() });
    full.roles.first_mut().unwrap().triggers.push(trigger("backup:Start"));
    let error = world.err(&Caller::Operator, Command::DiffService { manifest: full });
    assert!(matches!(error, Error::Invalid { field: "trigger", .. }), "{error:?}");
    // In its callers' names a service works only where `forward` says so.
    let caller = Trigger { acting: Acting::Caller, ..trigger("backup:Start") };
    let mut without = with(caller.clone());
    world.ok(&Caller::Operator, Command::DiffService { manifest: without.clone() });
    without.forward = Documents::default();
    world.err(&Caller::Operator, Command::DiffService { manifest: without });
    let manifest = with(trigger("backup:Start*"));
    let change = update(&mut world, *manifest);
    let settings: Vec<&str> =
        change.roles.iter().flat_map(|r| &r.settings).map(|s| s.name.as_str()).collect();
    assert_eq!(settings, ["trigger"]);
    let ask = |world: &mut World, caller: &Caller, action: &str| {
        let question = Question {
            action: action.into(),
            resource: Some(format!("arn:aws:backup:north-1:{A}:vault/1")),
            account: None,
            context: BTreeMap::new(),
        };
        let command = Command::AuthorizeRequest(Box::new(question));
        match world.call_for(&people.backup, Some(caller), command).unwrap() {
            Output::Authorized { decision, ensure, .. } => (decision.allowed(), ensure),
            other => panic!("{other:?}"),
        }
    };
    let (root, bare) = (people.root.clone(), people.bare.clone());
    assert_eq!(ask(&mut world, &root, "backup:StartBackup"), (true, vec![t(BACKUP)]));
    assert_eq!(ask(&mut world, &root, "backup:ListVaults"), (true, Vec::new()));
    assert_eq!(ask(&mut world, &bare, "backup:StartBackup"), (false, Vec::new()));
    world.linked(&root, BACKUP);
    assert_eq!(ask(&mut world, &root, "backup:StartBackup"), (true, Vec::new()));
}

#[test]
fn row_26_the_longest_session_is_what_the_manifest_says_now() {
    let (mut world, people) = World::peopled(32);
    let with = |seconds: u32| {
        let mut role = template(BACKUP, "ExampleBackup", SuffixRule::Refused);
        role.max_session_s = seconds;
        let vault = template(VAULT, "ExampleVault", SuffixRule::Optional);
        manifest(BACKUP, "backup", vec![role, vault])
    };
    world.linked(&people.root, BACKUP);
    let shown = |world: &mut World| match world
        .ok(&people.root, Command::GetRole { role: t(BACKUP_ROLE) })
    {
        Output::Role(view) => view.role.max_session_s,
        other => panic!("{other:?}"),
    };
    let asked = |world: &mut World, seconds: u32| {
        let ask =
            AssumeRole { duration_s: Some(seconds), ..assume(&linked_arn(A, BACKUP, BACKUP_ROLE)) };
        world.assume(&people.backup, ask).map(drop)
    };
    assert_eq!(shown(&mut world), limits::SESSION_DEFAULT_S);
    assert_eq!(asked(&mut world, 7_200), Err(Error::DurationAboveRole));
    update(&mut world, with(7_200));
    assert_eq!(shown(&mut world), 7_200, "of roles that are there, too");
    assert_eq!(asked(&mut world, 7_200), Ok(()));
    update(&mut world, with(900));
    assert_eq!(asked(&mut world, 901), Err(Error::DurationAboveRole));
    for bad in [899, 43_201] {
        let command = Command::UpdateService { manifest: Box::new(with(bad)) };
        let error = world.err(&Caller::Operator, command);
        assert!(matches!(error, Error::Invalid { field: "max_session_duration", .. }), "{error:?}");
    }
}
