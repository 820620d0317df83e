//! F18: what a service-linked role's session cannot be used for; E13: what a service cannot be talked into.

use crate::common::*;
use iam::caller::{Caller, MadeFor};
use iam::command::*;
use iam::error::Error;
use iam::offered::OfferedPolicy;
use iam::operations::Operation;
use iam::output::*;
use iam::rows::*;
use iam::widening;
use policy::Dialect;
use std::collections::BTreeMap;

const NEW: &str = "new.example.com";
const NEW_ROLE: &str = "AWSServiceRoleForExampleNew";

/// A manifest with one role of these permissions.
fn with_role(documents: Documents, allow_iam_writes: bool) -> Manifest {
    let mut role = template(NEW, "ExampleNew", SuffixRule::Refused);
    role.versions = BTreeMap::from([(1, documents)]);
    role.allow_iam_writes = allow_iam_writes;
    manifest(NEW, "new", vec![role])
}

fn in_aws(statements: &str) -> Documents {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    Documents { aws: Some(permissions(&text)), alibaba: None }
}

fn in_ram(statements: &str) -> Documents {
    let text = format!(r#"{{"Version":"1","Statement":[{statements}]}}"#);
    let document = PermissionsPolicy::parse(&text, Dialect::Alibaba).unwrap();
    Documents { aws: None, alibaba: Some(document) }
}

fn allowing(action: &str) -> String {
    format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"*"}}"#)
}

fn register_new(token: Option<String>, manifest: &Manifest) -> Command {
    Command::RegisterService { token, manifest: Box::new(manifest.clone()) }
}

/// Whether the operator can register such a role without and with the flag, in worlds of their own.
fn registers(world: &World, documents: &Documents) -> (bool, bool) {
    let tried = |flag: bool| {
        let manifest = with_role(documents.clone(), flag);
        match world.clone().call(&Caller::Operator, register_new(None, &manifest)) {
            Ok(_) => true,
            Err(Error::Invalid { field: "policy", message }) => {
                assert!(message.contains("allow_iam_writes"), "{message}");
                false
            }
            Err(other) => panic!("{other:?}"),
        }
    };
    (tried(false), tried(true))
}

#[test]
fn atk_f18_a_role_that_could_change_identities_is_registered_only_when_flagged() {
    let (world, _) = World::peopled(1);
    for wide in [
        "*",
        "*:*",
        "iam:*",
        "IAM:createaccesskey",
        "iam:Create*",
        "iam:*AccessKey",
        "iam:CreateUse?",
        "*:Put*",
        "iam:*RolePolicy",
        "sts:*",
        "sts:AssumeRole",
        "linkrole:*",
        "linkrole:DeleteServiceCeiling",
    ] {
        assert_eq!(registers(&world, &in_aws(&allowing(wide))), (false, true), "{wide}");
    }
    for narrow in [
        "s3:*",
        "iam:Get*",
        "iam:List*",
        "iam:PassRole",
        "iam:*ServiceLinkedRole",
        "sts:Get*",
        "iamx:*",
    ] {
        assert_eq!(registers(&world, &in_aws(&allowing(narrow))), (true, true), "{narrow}");
    }
    for wide in ["*", "ram:*", "ram:CreateAccessKey", "*:TagResources", "ram:Set*", "sts:Assume*"] {
        assert_eq!(registers(&world, &in_ram(&allowing(wide))), (false, true), "{wide}");
    }
    for narrow in ["ecs:*", "ram:Get*", "ram:List*", "ram:DeleteServiceLinkedRole", "iam:*"] {
        assert_eq!(registers(&world, &in_ram(&allowing(narrow))), (true, true), "{narrow}");
    }
}

#[test]
fn atk_f18_what_a_document_comes_to_decides_and_not_how_it_is_written() {
    let (world, _) = World::peopled(2);
    let all_but =
        |actions: &str| format!(r#"{{"Effect":"Allow","NotAction":[{actions}],"Resource":"*"}}"#);
    let denied = |action: &str, more: &str| {
        format!(
            r#"{},{{"Effect":"Deny","Action":["iam:*","sts:*","linkrole:{action}"],{more}}}"#,
            allowing("*")
        )
    };
    let everywhere = r#""Resource":"*""#;
    let at_times = r#""Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}"#;
    let conditional = r#"{"Effect":"Allow","Action":"iam:CreateUser","Resource":"arn:aws:iam::*:user/x","Condition":{"StringEquals":{"aws:username":"nobody"}}}"#;
    for (statements, is_narrow) in [
        (all_but(r#""s3:*""#), false),
        (all_but(r#""iam:*","sts:*""#), false),
        (all_but(r#""iam:*","sts:*","linkrole:*""#), true),
        (denied("*", everywhere), true),
        (denied("A*", everywhere), false),
        (denied("*", r#""Resource":"arn:aws:iam::*:user/x""#), false),
        (denied("*", r#""NotResource":"arn:aws:iam::*:user/x""#), false),
        (denied("*", at_times), false),
        (conditional.to_owned(), false),
        (format!("{},{}", allowing("s3:*"), allowing("iam:DeleteUser")), false),
    ] {
        assert_eq!(registers(&world, &in_aws(&statements)), (is_narrow, true), "{statements}");
    }
    // One language is enough to be refused.
    let both = Documents {
        aws: in_aws(&allowing("s3:*")).aws,
        alibaba: in_ram(&allowing("ram:CreateUser")).alibaba,
    };
    assert_eq!(registers(&world, &both), (false, true));
    // Every operation of the table by itself.
    let mut wide = 0;
    for operation in Operation::ALL {
        let is_wide = widening::widens(*operation);
        let aws = in_aws(&allowing(&operation.action(Dialect::Aws)));
        let ram = in_ram(&allowing(&operation.action(Dialect::Alibaba)));
        assert_eq!(registers(&world, &aws).0, !is_wide, "{operation:?}");
        assert!(!is_wide || !registers(&world, &ram).0, "{operation:?}");
        wide += usize::from(is_wide);
    }
    assert!(wide > 50, "{wide}");
}

#[test]
fn atk_f18_the_operator_sees_the_flag_and_no_service_gives_it_to_itself() {
    let (mut world, _) = World::peopled(3);
    let narrow = with_role(in_aws(&allowing("s3:*")), false);
    let wide = |flag| with_role(in_aws(&allowing("iam:CreateAccessKey")), flag);
    let token = |world: &mut World| match world
        .ok(&Caller::Operator, Command::EnrolService { service: t(NEW), callback: None })
    {
        Output::Enrolment { token, .. } => token.expose().to_owned(),
        other => panic!("{other:?}"),
    };
    // By its token a service registers what it may, and not what it may not, flagged or not.
    let given = token(&mut world);
    for (manifest, field) in [(wide(false), "policy"), (wide(true), "allow_iam_writes")] {
        let command = register_new(Some(given.clone()), &manifest);
        let error = world.err(&Caller::Anonymous, command);
        assert!(
            matches!(&error, Error::Invalid { field: found, .. } if *found == field),
            "{error:?}"
        );
    }
    world.ok(&Caller::Anonymous, register_new(Some(given), &narrow));
    // A new manifest is held to the same, and its difference shows the flag.
    let update =
        |manifest: &Manifest| Command::UpdateService { manifest: Box::new(manifest.clone()) };
    let error = world.err(&Caller::Operator, update(&wide(false)));
    assert!(matches!(error, Error::Invalid { field: "policy", .. }), "{error:?}");
    let diff = Command::DiffService { manifest: Box::new(wide(true)) };
    let Output::ServiceChange(change) = world.ok(&Caller::Operator, diff) else { panic!() };
    let role = change.roles.first().unwrap();
    let flag = role.settings.iter().find(|s| s.name == "allow_iam_writes").unwrap();
    assert_eq!((flag.before.as_str(), flag.after.as_str()), ("false", "true"));
    assert_eq!(role.permissions.iter().map(|p| p.added.len()).sum::<usize>(), 1);
    world.ok(&Caller::Operator, update(&wide(true)));
    // What customers attach has no flag at all.
    let offers = |action: &str| {
        let mut manifest = narrow.clone();
        manifest.policies = vec![OfferedPolicy {
            name: t("ExampleNewFullAccess"),
            description: None,
            documents: in_aws(&format!("{},{}", allowing("new:*"), allowing(action))),
            version: 1,
            created_ms: 0,
            updated_ms: 0,
        }];
        manifest
    };
    for action in ["*", "iam:AttachUserPolicy", "sts:AssumeRole"] {
        let error = world.err(&Caller::Operator, update(&offers(action)));
        assert!(matches!(error, Error::Invalid { field: "policy", .. }), "{action}: {error:?}");
    }
    world.ok(&Caller::Operator, update(&offers("iam:CreateServiceLinkedRole")));
}

/// What would make long-term keys, or widen a role of this name.
fn tries(role: &str) -> Vec<Command> {
    let document = allow("*", "*");
    vec![
        Command::CreateAccessKey { user: Some(t("bare")) },
        Command::PutUserPolicy { user: t("bare"), name: t("p"), document: document.clone() },
        Command::AttachUserPolicy { user: t("bare"), policy: system_policy("AdministratorAccess") },
        Command::PutRolePolicy { role: t(role), name: t("p"), document },
        Command::AttachRolePolicy { role: t(role), policy: system_policy("AdministratorAccess") },
        Command::UpdateAssumeRolePolicy { role: t(role), trust: trust_account(A) },
        create_role("mine", "/", trust_account(A)),
        Command::AssumeRole(Box::new(assume(&format!("arn:aws:iam::{A}:role/plain")))),
        Command::DeleteServiceCeiling { principal: t(NEW) },
        Command::PutServiceCeiling { principal: t(NEW), policy: allow("*", "*").text().to_owned() },
    ]
}

#[test]
fn atk_f18_a_session_mints_no_keys_and_never_widens_itself() {
    let (mut world, people) = World::peopled(4);
    world.role(&people.root, "plain", trust_account(A));
    // Of an ordinary manifest: nothing of it.
    world.linked(&people.root, BACKUP);
    let session =
        world.assume(&people.backup, assume(&linked_arn(A, BACKUP, BACKUP_ROLE))).unwrap();
    for command in tries(BACKUP_ROLE) {
        let outcome = world.call(&session, command.clone());
        assert!(is_denied(&outcome), "{command:?}: {outcome:?}");
    }
    // Of a flagged one that allows everything: what is said, but never on itself.
    let service = world.service(with_role(in_aws(&allowing("*")), true));
    world.linked(&people.root, NEW);
    let session = world.assume(&service, assume(&linked_arn(A, NEW, NEW_ROLE))).unwrap();
    world.ok(&session, Command::CreateAccessKey { user: Some(t("admin")) });
    for command in tries(NEW_ROLE).iter().skip(3).take(3) {
        let error = world.err(&session, command.clone());
        assert!(matches!(error, Error::ProtectedRole(_)), "{command:?}: {error:?}");
    }
    // What the account allows it at most binds it, also where it would lift that.
    let policy = allow("iam:CreateAccessKey", "*").text().to_owned();
    world.ok(&people.root, Command::PutServiceCeiling { principal: t(NEW), policy });
    for command in tries(NEW_ROLE).iter().skip(1) {
        let outcome = world.call(&session, command.clone());
        assert!(outcome.is_err(), "{command:?}: {outcome:?}");
    }
    world.ok(&session, Command::CreateAccessKey { user: Some(t("bare")) });
}

#[test]
fn atk_f18_a_vendors_imported_policy_is_taken_and_nobody_holds_it() {
    let (mut world, people) = World::peopled(5);
    let mut role = template("fact.example.com", "ExampleFact", SuffixRule::Refused);
    role.policy = t("FactPolicy");
    let fact = Service {
        name: t("fact.example.com"),
        display_name: "Fact".into(),
        signing_names: Default::default(),
        hosts: Default::default(),
        regions: Default::default(),
        templates: BTreeMap::from([(t("fact.example.com"), role)]),
        policies: BTreeMap::new(),
        forward: Documents::default(),
        usage: UsageSource::Sessions,
        callback: None,
        identity: None,
        created_ms: 0,
    };
    world.ok(&Caller::System, Command::StockServices { services: Box::new(vec![fact]) });
    let import = Command::ImportServicePolicy(Box::new(ImportedPolicy {
        policy: t("FactPolicy"),
        document: allow("iam:*", "*"),
        source: t("the vendor"),
        dry_run: false,
    }));
    world.ok(&Caller::Operator, import);
    world.linked(&people.root, "fact.example.com");
    let arn = linked_arn(A, "fact.example.com", "AWSServiceRoleForExampleFact");
    for caller in [&people.root, &people.admin, &people.backup, &people.other] {
        assert!(world.assume(caller, assume(&arn)).is_err(), "{caller:?}");
    }
    let key = Command::CreateServiceKey { service: t("fact.example.com"), revoke: false };
    assert!(matches!(world.err(&Caller::Operator, key), Error::Invalid { .. }));
}

fn about(action: &str, resource: &str, account: Option<&str>) -> Command {
    Command::AuthorizeRequest(Box::new(Question {
        action: action.into(),
        resource: Some(resource.into()),
        account: account.map(t),
        context: BTreeMap::new(),
    }))
}

/// Whether a service is told that a caller may.
fn told(world: &mut World, service: &Caller, who: &Caller, command: Command) -> bool {
    match world.call_for(service, Some(who), command) {
        Ok(Output::Authorized { decision, .. }) => decision.allowed(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn atk_e13_a_session_of_a_linked_role_acts_in_the_account_of_its_role_only() {
    let (mut world, people) = World::peopled(6);
    let storage = world.service(manifest("storage.example.com", "storage", Vec::new()));
    for root in [&people.root, &people.other_root] {
        world.linked(root, BACKUP);
    }
    let of = |account| assume(&linked_arn(account, BACKUP, BACKUP_ROLE));
    let in_a = world.assume(&people.backup, of(A)).unwrap();
    let in_b = world.assume(&people.backup, of(B)).unwrap();
    let thing = |account: &str| format!("arn:aws:storage:north-1:{account}:thing");
    let get = "storage:GetObject";
    for (session, own, other) in [(&in_a, A, B), (&in_b, B, A)] {
        assert!(told(&mut world, &storage, session, about(get, &thing(own), Some(own))));
        assert!(told(&mut world, &storage, session, about(get, "arn:aws:storage:::x", Some(own))));
        // The other tenant's thing, by its name, by its account, and by both.
        for (name, account) in [
            (thing(other), None),
            (thing(other), Some(other)),
            ("arn:aws:storage:::x".to_owned(), Some(other)),
        ] {
            let command = about(get, &name, account);
            let outcome = world.call_for(&storage, Some(session), command);
            let allowed =
                matches!(&outcome, Ok(Output::Authorized { decision, .. }) if decision.allowed());
            assert!(!allowed, "{name} of {account:?}: {outcome:?}");
        }
    }
    // With nothing but its own key a service is in no account.
    for account in [A, B] {
        let command = about(get, &thing(account), Some(account));
        assert!(!told(&mut world, &storage, &people.backup, command));
    }
}

#[test]
fn atk_e13_a_service_acts_for_the_caller_whose_request_it_holds_and_for_no_name_in_it() {
    let (mut world, people) = World::peopled(7);
    // B's administrator asks backup, and names what is A's.
    let ensure = || Command::EnsureServiceLinkedRole { principal: BACKUP.into(), suffix: None };
    let made = world.call_for(&people.backup, Some(&people.other_root), ensure());
    assert!(matches!(made, Ok(Output::Ensured { created: true, .. })), "{made:?}");
    assert!(
        world.role_named(A, BACKUP_ROLE).is_none() && world.role_named(B, BACKUP_ROLE).is_some()
    );
    world.role(&people.root, "Worker", trust(&format!(r#"{{"Service":"{BACKUP}"}}"#)));
    world.role(&people.other_root, "Worker", trust(&format!(r#"{{"Service":"{BACKUP}"}}"#)));
    let pass =
        |account: &str| about("iam:PassRole", &format!("arn:aws:iam::{account}:role/Worker"), None);
    let start = |account: &str| {
        about("backup:Start", &format!("arn:aws:backup:north-1:{account}:x"), Some(account))
    };
    for ask in [pass, start] {
        assert!(told(&mut world, &people.backup, &people.other_root, ask(B)));
        let outcome = world.call_for(&people.backup, Some(&people.other_root), ask(A));
        let allowed =
            matches!(&outcome, Ok(Output::Authorized { decision, .. }) if decision.allowed());
        assert!(!allowed, "{outcome:?}");
    }
    // The role that it may assume for everybody: a word that only its tenant has told the service keeps others out.
    let guarded = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"{BACKUP}"}},"Action":"sts:AssumeRole","Condition":{{"StringEquals":{{"sts:ExternalId":"of-a"}}}}}}]}}"#
    );
    let sourced = guarded.replace("sts:ExternalId", "aws:SourceAccount").replace("of-a", A);
    let trusts = |text: &str| TrustPolicy::parse(text, Dialect::Aws).unwrap();
    world.role(&people.root, "Guarded", trusts(&guarded));
    world.role(&people.root, "Sourced", trusts(&sourced));
    let ask = |role: &str, word: Option<&str>| AssumeRole {
        external_id: word.map(t),
        ..assume(&format!("arn:aws:iam::{A}:role/{role}"))
    };
    assert!(is_denied(&world.assume(&people.backup, ask("Guarded", None))));
    assert!(is_denied(&world.assume(&people.backup, ask("Guarded", Some("of-b")))));
    assert!(world.assume(&people.backup, ask("Guarded", Some("of-a"))).is_ok());
    // For whom it acts the service says with each call, and only a service can: what B made it do is not done in A.
    let own = format!(r#""AWS":"{A}""#);
    let for_users = sourced.replace(&format!(r#""Service":"{BACKUP}""#), &own);
    world.role(&people.root, "Users", trusts(&for_users));
    world.role(&people.root, "Anybody", trust_account(A));
    for (account, fits) in [(None, false), (Some(B), false), (Some(A), true)] {
        world.source.made_for = MadeFor { account: account.map(str::to_owned), arn: None };
        let got = world.assume(&people.backup, ask("Sourced", None));
        assert_eq!(got.is_ok(), fits, "{account:?}: {got:?}");
        assert!(is_denied(&world.assume(&people.admin, ask("Users", None))), "{account:?}");
        assert!(world.assume(&people.admin, ask("Anybody", None)).is_ok());
    }
}

#[test]
fn atk_e13_for_whom_a_call_is_made_is_what_its_signature_tells() {
    let (mut world, people) = World::peopled(8);
    let storage = world.service(manifest("storage.example.com", "storage", Vec::new()));
    let mut deputy = template(NEW, "ExampleNew", SuffixRule::Refused);
    let text = format!(
        r#"{{"Effect":"Allow","Action":"storage:*","Resource":"*","Condition":{{"StringEquals":{{"aws:SourceAccount":"{A}"}},"ArnLike":{{"aws:SourceArn":"arn:aws:new:*:{A}:*"}}}}}}"#
    );
    deputy.versions = BTreeMap::from([(1, in_aws(&text))]);
    let service = world.service(manifest(NEW, "new", vec![deputy]));
    for root in [&people.root, &people.other_root] {
        world.linked(root, NEW);
    }
    let mut session =
        |account| world.assume(&service, assume(&linked_arn(account, NEW, NEW_ROLE))).unwrap();
    let (in_a, in_b) = (session(A), session(B));
    // What storage was told of the source, and tells on.
    let asked = |account: &str, arn: &str| {
        Command::AuthorizeRequest(Box::new(Question {
            action: "storage:GetObject".into(),
            resource: Some("arn:aws:storage:::x".into()),
            account: None,
            context: BTreeMap::from([
                ("AWS:sourceaccount".to_owned(), vec![account.to_owned()]),
                ("aws:SourceArn".to_owned(), vec![arn.to_owned()]),
            ]),
        }))
    };
    let of_a = format!("arn:aws:new:north-1:{A}:thing");
    let of_b = format!("arn:aws:new:north-1:{B}:thing");
    assert!(told(&mut world, &storage, &in_a, asked(A, &of_a)));
    assert!(!told(&mut world, &storage, &in_b, asked(B, &of_b)));
    let none = "arn:aws:new:::thing".to_owned();
    for (caller, account, arn) in [
        (&in_b, A, &of_a),
        (&in_b, B, &of_a),
        (&in_b, A, &of_b),
        (&in_b, B, &none),
        (&in_a, B, &of_a),
        (&in_a, "", &of_a),
        // A service by itself is in no account, so it is no source of anything.
        (&service, A, &of_a),
        (&people.backup, A, &of_a),
    ] {
        let error = world.call_for(&storage, Some(caller), asked(account, arn)).unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "context", .. }), "{error:?}");
    }
}

/// What a weak user reaches through a service is what the user may ask the service for, what the role may do, what the
/// account's ceiling leaves, in that account; and the trail names the user.
#[test]
fn atk_f19_a_weak_user_reaches_through_a_service_only_what_the_account_lets_it() {
    let (mut world, people) = World::peopled(9);
    let storage = world.service(manifest("storage.example.com", "storage", Vec::new()));
    for root in [&people.root, &people.other_root] {
        world.linked(root, BACKUP);
    }
    let weak = world.user(&people.root, "weak");
    let id = world.state.user(&t(A), &iam::text::Folded::of("weak")).unwrap().id.to_string();
    let start = || about("backup:Start", &format!("arn:aws:backup:north-1:{A}:x"), Some(A));
    let get = |account: &str| {
        about("storage:GetObject", &format!("arn:aws:storage:north-1:{account}:x"), Some(account))
    };
    // Without a word for it the service is not driven at all.
    assert!(!told(&mut world, &people.backup, &weak, start()));
    world.put_user_policy(&people.root, "weak", allow("backup:Start", "*"));
    assert!(told(&mut world, &people.backup, &weak, start()));
    assert!(!told(&mut world, &storage, &weak, get(A)), "the user itself may not");
    // The service works with its role and says for whom: that is not the user's to choose.
    let of_weak =
        AssumeRole { source_identity: Some(t(&id)), ..assume(&linked_arn(A, BACKUP, BACKUP_ROLE)) };
    let session = world.assume(&people.backup, of_weak).unwrap();
    assert!(told(&mut world, &storage, &session, get(A)), "this much the role is for");
    assert!(!told(&mut world, &storage, &session, get(B)), "never another tenant's");
    let event = world.events.iter().rev().find(|event| event.operation == "AssumeRole").unwrap();
    assert!(serde_json::to_string(event).unwrap().contains(&id), "the trail names the user");
    // And the account says what may be reached in this user's name.
    let ceiling = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"*","Resource":"*"}},{{"Effect":"Deny","Action":"storage:*","Resource":"*","Condition":{{"StringEquals":{{"aws:SourceIdentity":"{id}"}}}}}}]}}"#
    );
    let put = Command::PutServiceCeiling { principal: t(BACKUP), policy: ceiling };
    world.ok(&people.root, put);
    assert!(!told(&mut world, &storage, &session, get(A)));
    let unnamed =
        world.assume(&people.backup, assume(&linked_arn(A, BACKUP, BACKUP_ROLE))).unwrap();
    assert!(told(&mut world, &storage, &unnamed, get(A)), "others are not concerned");
}
