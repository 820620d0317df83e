//! C: names, ids, encodings.

use crate::common::*;
use iam::caller::Caller;
use iam::command::*;
use iam::error::Error;
use iam::rows::*;
use iam::text::*;
use proptest::prelude::*;

#[test]
fn atk_c01_of_two_names_that_differ_in_case_one_is_made() {
    let (mut world, people) = World::peopled(1);
    for (first, second) in [("Deploy", "dEPLOY"), ("a", "A")] {
        world.role(&people.root, first, trust_account(A));
        let role = world.err(&people.root, create_role(second, "/other/", trust_account(A)));
        assert!(matches!(role, Error::AlreadyExists(_)), "{role:?}");
        let user = |name| Command::CreateUser {
            user: t(name),
            path: t("/"),
            boundary: None,
            tags: Vec::new(),
            profile: Default::default(),
        };
        world.ok(&people.root, user(first));
        assert!(matches!(world.err(&people.root, user(second)), Error::AlreadyExists(_)));
        let policy = |name| Command::CreatePolicy {
            name: t(name),
            path: t("/"),
            document: allow("a:B", "*"),
            description: None,
            tags: Vec::new(),
        };
        world.ok(&people.root, policy(first));
        assert!(matches!(world.err(&people.root, policy(second)), Error::AlreadyExists(_)));
    }
    // Another account's names are its own.
    world.role(&people.other_root, "deploy", trust_account(B));
    // A renaming cannot make a second one either.
    let rename = Command::UpdateUser {
        user: t("bare"),
        new_name: Some(t("ADMIN")),
        new_path: None,
        profile: Default::default(),
    };
    assert!(matches!(world.err(&people.root, rename), Error::AlreadyExists(_)));
    let recase = Command::UpdateUser {
        user: t("bare"),
        new_name: Some(t("BARE")),
        new_path: None,
        profile: Default::default(),
    };
    world.ok(&people.root, recase);
}

#[test]
fn atk_c02_atk_c09_of_all_characters_names_take_the_ascii_class_exactly() {
    let class = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    for c in '\0'..=char::MAX {
        let text = format!("a{c}");
        assert_eq!(RoleName::parse(&text).is_ok(), class(c), "{c:?}");
        assert_eq!(UserName::parse(&text).is_ok(), class(c), "{c:?}");
        assert_eq!(PolicyName::parse(&text).is_ok(), class(c), "{c:?}");
        assert_eq!(SessionName::parse(&text).is_ok(), class(c), "{c:?}");
        assert_eq!(SourceIdentity::parse(&text).is_ok(), class(c), "{c:?}");
        assert_eq!(Suffix::parse(&text).is_ok(), class(c), "{c:?}");
        let id = c.is_ascii_uppercase() || c.is_ascii_digit();
        assert_eq!(KeyId::parse(&format!("AKIAAAAAAAAAAAAAAAA{c}")).is_ok(), id, "{c:?}");
    }
}

#[test]
fn atk_c03_nothing_is_trimmed() {
    for odd in [" a", "a ", "a\0", "\ta", "a\n", "\u{200b}a", "a\u{feff}", "a b", ""] {
        assert!(RoleName::parse(odd).is_err(), "{odd:?}");
        assert!(UserName::parse(odd).is_err(), "{odd:?}");
        assert!(PolicyName::parse(odd).is_err(), "{odd:?}");
    }
    assert_eq!(RoleName::parse("a.b@c").unwrap().as_str(), "a.b@c");
}

#[test]
fn atk_c04_atk_f16_a_path_has_no_steps_and_the_reserved_one_is_not_free() {
    for odd in
        ["/../", "/a/../b/", "/./", "//", "/a//b/", "a/", "/a", "", "/ /", "/\u{e9}/", "/a/.."]
    {
        assert!(Path::parse(odd).is_err(), "{odd:?}");
    }
    let (mut world, people) = World::peopled(2);
    for path in
        ["/aws-service-role/", "/aws-service-role/x/", "/aws-service-role/backup.example.com/"]
    {
        let error = world.err(&people.root, create_role("mine", path, trust_account(A)));
        assert_eq!(error, Error::ReservedPath, "{path}");
        let policy = Command::CreatePolicy {
            name: t("mine"),
            path: t(path),
            document: allow("a:B", "*"),
            description: None,
            tags: Vec::new(),
        };
        assert_eq!(world.err(&people.root, policy), Error::ReservedPath);
    }
    for path in ["/", "/team/", "/aws-service-roles/", "/x/aws-service-role/", "/..a/"] {
        let name = format!("r{}", path.len());
        world.ok(&people.root, create_role(&name, path, trust_account(A)));
    }
}

#[test]
fn atk_c05_an_ambiguous_arn_assumes_nothing() {
    let (mut world, people) = World::peopled(3);
    world.ok(&people.root, create_role("plain", "/team/", trust_account(A)));
    let right = format!("arn:aws:iam::{A}:role/team/plain");
    assert!(world.assume(&people.admin, assume(&right)).is_ok());
    for odd in [
        format!("arn:aws:iam::{A}:role/plain"),
        format!("arn:aws:iam::{A}:role//team/plain"),
        format!("arn:aws:iam::{A}:role/team/plain/"),
        format!("arn:aws:iam::{A}:role/TEAM/plain"),
        format!("arn:aws:iam::{A}:role/team/Plain"),
        "arn:aws:iam:::role/team/plain".to_owned(),
        format!("arn:aws:iam:north-1:{A}:role/team/plain"),
        format!("arn:aws-cn:iam::{A}:role/team/plain"),
        format!("{right}:x"),
        format!("{right} "),
        String::new(),
    ] {
        // Whatever the wire made of the text, the whole text has to be the stored role's.
        let mut ask = assume(&right);
        ask.role.text.clone_from(&odd);
        assert!(matches!(world.assume(&people.admin, ask), Err(Error::NoRoleToAssume(_))), "{odd}");
    }
}

#[test]
fn atk_c06_atk_d09_what_is_authorized_is_the_stored_name_whatever_the_spelling() {
    let (mut world, people) = World::peopled(4);
    world.ok(&people.root, create_role("Secret", "/team/", trust_account(A)));
    world.ok(&people.root, create_role("Open", "/", trust_account(A)));
    let statements = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iam:*","Resource":"*"}},
        {{"Effect":"Deny","Action":"iam:*","Resource":"arn:aws:iam::{A}:role/team/Secret"}}]}}"#
    );
    world.put_user_policy(&people.root, "bare", permissions(&statements));
    for spelling in ["Secret", "secret", "SECRET", "sEcReT"] {
        let tried = world.call(&people.bare, Command::GetRole { role: t(spelling) });
        assert!(is_denied(&tried), "{spelling}");
        assert!(is_denied(&world.call(&people.bare, Command::DeleteRole { role: t(spelling) })));
    }
    world.ok(&people.bare, Command::GetRole { role: t("open") });

    // The other way round: an allow for one spelling is no allow for another role.
    let one = allow("iam:GetRole", &format!("arn:aws:iam::{A}:role/Open"));
    world.put_user_policy(&people.root, "bare", one);
    world.ok(&people.bare, Command::GetRole { role: t("OPEN") });
    assert!(is_denied(&world.call(&people.bare, Command::GetRole { role: t("Secret") })));
}

#[test]
fn atk_c07_a_name_made_again_has_nothing_of_what_was_there_before() {
    let (mut world, people) = World::peopled(5);
    // A user: its key, its session, and the trust that named it.
    let old = world.user(&people.root, "u");
    world.put_user_policy(&people.root, "u", allow("sts:AssumeRole", "*"));
    let token = world.ok(&old, Command::GetSessionToken { duration_s: None });
    let session = world.session(token);
    let principal = format!(r#"{{"AWS":"arn:aws:iam::{A}:user/u"}}"#);
    world.role(&people.root, "trusting", trust(&principal));
    let arn = format!("arn:aws:iam::{A}:role/trusting");
    assert!(world.assume(&old, assume(&arn)).is_ok());
    let Caller::Key(id) = &old else { panic!("no key") };
    world.ok(&people.root, Command::DeleteAccessKey { user: Some(t("u")), key: id.clone() });
    let command = Command::DeleteUserPolicy { user: t("u"), name: t("inline") };
    world.ok(&people.root, command);
    world.ok(&people.root, Command::DeleteUser { user: t("u") });
    let new = world.user(&people.root, "u");
    world.put_user_policy(&people.root, "u", allow("sts:AssumeRole", "*"));
    assert!(world.works(&new) && !world.works(&old) && !world.works(&session));
    assert!(matches!(world.assume(&new, assume(&arn)), Err(Error::AssumeRoleDenied(_))));
    // Trusting it anew is a decision of its own.
    let again = Command::UpdateAssumeRolePolicy { role: t("trusting"), trust: trust(&principal) };
    world.ok(&people.root, again);
    assert!(world.assume(&new, assume(&arn)).is_ok());

    // A role: its sessions.
    world.role(&people.root, "r", trust_account(A));
    let r = format!("arn:aws:iam::{A}:role/r");
    let before = world.assume(&people.admin, assume(&r)).unwrap();
    world.ok(&people.root, Command::DeleteRole { role: t("r") });
    world.role(&people.root, "r", trust_account(A));
    assert!(!world.works(&before));
    let after = world.assume(&people.admin, assume(&r)).unwrap();
    assert!(world.works(&after));
}

#[test]
fn atk_c07_a_trusted_session_of_a_role_made_again_is_not_trusted() {
    let (mut world, people) = World::peopled(6);
    world.role(&people.root, "ci", trust_account(A));
    let grant = |world: &mut World| {
        let document = allow("sts:AssumeRole", "*");
        let command = Command::PutRolePolicy { role: t("ci"), name: t("p"), document };
        world.ok(&people.root, command);
    };
    grant(&mut world);
    let principal = format!(r#"{{"AWS":"arn:aws:sts::{A}:assumed-role/ci/s-1"}}"#);
    world.role(&people.root, "deploy", trust(&principal));
    let (ci, deploy) =
        (format!("arn:aws:iam::{A}:role/ci"), format!("arn:aws:iam::{A}:role/deploy"));
    let session = world.assume(&people.admin, assume(&ci)).unwrap();
    assert!(world.assume(&session, assume(&deploy)).is_ok());
    let other = AssumeRole { session: t("s-2"), ..assume(&ci) };
    let other = world.assume(&people.admin, other).unwrap();
    assert!(world.assume(&other, assume(&deploy)).is_err(), "another session of the role");
    world.ok(&people.root, Command::DeleteRolePolicy { role: t("ci"), name: t("p") });
    world.ok(&people.root, Command::DeleteRole { role: t("ci") });
    world.role(&people.root, "ci", trust_account(A));
    grant(&mut world);
    let session = world.assume(&people.admin, assume(&ci)).unwrap();
    assert!(world.assume(&session, assume(&deploy)).is_err());
}

#[test]
fn atk_c10_names_that_would_pass_for_linked_roles_are_reserved() {
    let (mut world, people) = World::peopled(7);
    for name in [
        "AWSServiceRoleForExampleBackup",
        "awsservicerolefor",
        "AWSSERVICEROLEFORX",
        "AliyunServiceRoleForExampleBackup",
        "aliyunservicerolefor_x",
    ] {
        let error = world.err(&people.root, create_role(name, "/", trust_account(A)));
        assert!(matches!(error, Error::ReservedName(_)), "{name}: {error:?}");
    }
    for name in ["AWSServiceRole", "MyAWSServiceRoleForX", "AliyunServiceRoleFo"] {
        world.role(&people.root, name, trust_account(A));
    }
    world.linked(&people.root, BACKUP);
}

#[test]
fn atk_c12_atk_f06_a_service_principal_is_its_exact_bytes() {
    let (mut world, people) = World::peopled(8);
    for odd in [
        "Backup.example.com",
        "BACKUP.EXAMPLE.COM",
        "backup.example.com.",
        " backup.example.com",
        "backup.example.com\n",
        "backup.example",
        "xn--backup-9za.example.com",
        "b\u{430}ckup.example.com",
        "backup\u{ff0e}example.com",
        "unknown.example.com",
        "",
    ] {
        let error = world.err(&people.root, create_linked(odd, None));
        assert!(matches!(error, Error::UnknownServicePrincipal(_)), "{odd:?}: {error:?}");
        let ensure = Command::EnsureServiceLinkedRole { principal: odd.into(), suffix: None };
        let error = world.call_for(&people.backup, Some(&people.admin), ensure).unwrap_err();
        assert!(matches!(error, Error::UnknownServicePrincipal(_)), "{odd:?}: {error:?}");
    }
    world.linked(&people.root, BACKUP);
}

#[test]
fn atk_c12_a_service_cannot_claim_what_is_anothers() {
    let (mut world, _) = World::peopled(9);
    let mut refused = |manifest: Manifest| {
        let command = Command::RegisterService { token: None, manifest: Box::new(manifest) };
        world.err(&Caller::Operator, command)
    };
    let one = |service: &str, signing: &str, template: Template| {
        manifest(service, signing, vec![template])
    };
    let plain = |principal: &str, role: &str| template(principal, role, SuffixRule::Refused);
    let taken = |error: Error| assert!(matches!(error, Error::Taken { .. }), "{error:?}");
    let invalid = |error: Error| assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    taken(refused(manifest(BACKUP, "b", Vec::new())));
    taken(refused(manifest(VAULT, "b", Vec::new())));
    taken(refused(one("n.example.com", "n", plain("n.example.com", "examplebackup"))));
    invalid(refused(one("n.example.com", "n", plain(OTHER, "New"))));
    invalid(refused(one("n.example.com", "n", plain("xn.example.com", "New"))));
    invalid(refused(one("n.example.com", "n", plain("n.example.com", "ExampleVault_x"))));
    for signing in ["iam", "sts", "ram", "cloudtrail", "linkrole", "aws", "acs", "", "A"] {
        invalid(refused(manifest("n.example.com", signing, Vec::new())));
    }
    taken(refused(manifest("n.example.com", "backup", Vec::new())));
    world.service(manifest("deep.n.example.com", "deep", Vec::new()));
    let mut refused = |manifest: Manifest| {
        let command = Command::RegisterService { token: None, manifest: Box::new(manifest) };
        world.err(&Caller::Operator, command)
    };
    taken(refused(one("n.example.com", "n", plain("deep.n.example.com", "New"))));
    world.service(one("n.example.com", "n", plain("n.example.com", "New")));
}

proptest! {
    #[test]
    fn atk_c05_atk_f28_texts_read_back_as_themselves_or_not_at_all(text in "[ -~]{0,40}") {
        if let Ok(name) = RoleName::parse(&text) {
            prop_assert_eq!(name.as_str(), text.as_str());
            prop_assert!(!text.contains(['/', ':', '*', '?', ' ']));
        }
        if let Ok(path) = Path::parse(&text) {
            prop_assert_eq!(path.as_str(), text.as_str());
        }
        if let Some(entity) = policy::name::parse_entity(&text) {
            prop_assert_eq!(policy::name::entity(policy::Dialect::Aws, &entity), text);
        }
    }
}
