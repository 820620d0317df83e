//! Which texts are names, of what, and which are not: every edge from both of its sides.
#![expect(clippy::panic, reason = "tests may fail loudly")]

use policy::Dialect::{Alibaba, Aws};
use policy::name::{self, Arn, Entity};

const AWS_ACCOUNT: &str = "111122223333";
const RAM_ACCOUNT: &str = "1234567890123456";

/// Asserts what a predicate says of texts.
fn holds(what: &str, test: impl Fn(&str) -> bool, yes: &[&str], no: &[&str]) {
    for text in yes {
        assert!(test(text), "{what} {text:?}");
    }
    for text in no {
        assert!(!test(text), "not {what} {text:?}");
    }
}

#[test]
fn names_of_principals_are_told_from_other_texts() {
    let long = "a".repeat(128);
    let longer = "a".repeat(129);
    let accepts = |text: &str| name::is_name(text, 128);
    holds(
        "name",
        accepts,
        &["a", "Z9_+=,.@-", &long],
        &["", &longer, "a b", "a/b", "a:b", "a*", "é"],
    );
    assert!(name::is_name("abc", 3) && !name::is_name("abcd", 3));
}

#[test]
fn paths_begin_and_end_with_a_slash_and_hold_no_patterns() {
    let long = format!("/{}/", "a".repeat(510));
    let longer = format!("/{}/", "a".repeat(511));
    holds(
        "path",
        name::is_path,
        &["/", "/a/", "/a/b/", "/!~/", &long],
        &["", "//", "a/", "/a", "/a b/", "/a*/", "/a?/", "/a:b/", "/é/", "/\u{7f}/", &longer],
    );
}

#[test]
fn unique_ids_are_capital_letters_and_digits() {
    let long = "A".repeat(128);
    let longer = "A".repeat(129);
    holds(
        "id",
        name::is_unique_id,
        &["AIDA000000000000", "AROAEXAMPLEWORKER001", &long],
        &[
            "",
            "AIDA00000000000",
            "BIDA000000000000",
            "AIDA00000000000a",
            "AIDA00000000000-",
            &longer,
        ],
    );
}

#[test]
fn accounts_are_named_by_their_number_or_their_root() {
    for (text, account) in [
        (AWS_ACCOUNT, Some(AWS_ACCOUNT)),
        (RAM_ACCOUNT, Some(RAM_ACCOUNT)),
        ("123456789012345", Some("123456789012345")),
        ("11112222333", None),
        ("1111222233334", None),
        ("12345678901234567", None),
        ("11112222333a", None),
        ("123456789012345x", None),
        ("arn:aws:iam::111122223333:root", Some(AWS_ACCOUNT)),
        ("arn:aws-cn:iam::111122223333:root", Some(AWS_ACCOUNT)),
        ("arn:aws-CN:iam::111122223333:root", None),
        ("arn:gcp-cn:iam::111122223333:root", None),
        ("arn:gcp:iam::111122223333:root", None),
        ("arn:aws:iam::1234567890123456:root", None),
        ("arn:aws:sts::111122223333:root", None),
        ("arn:aws:iam::111122223333:user", None),
        ("acs:ram::1234567890123456:root", Some(RAM_ACCOUNT)),
        ("acs:ram::111122223333:root", None),
        ("acs:ram::1234567890123456:user/a", None),
        ("acs:ecs::1234567890123456:root", None),
        ("", None),
    ] {
        assert_eq!(name::account_of_root(text), account, "{text}");
    }
}

#[test]
fn every_entity_is_read_and_printed_as_the_same_text() {
    let (account, path, name) = (AWS_ACCOUNT.to_owned(), "/a/b/".to_owned(), "n".to_owned());
    let (ram, root) = (RAM_ACCOUNT.to_owned(), "/".to_owned());
    let texts = [
        (Aws, "arn:aws:iam::111122223333:root", Entity::Root { account: account.clone() }),
        (
            Aws,
            "arn:aws:iam::111122223333:user/n",
            Entity::User { account: account.clone(), path: root.clone(), name: name.clone() },
        ),
        (
            Aws,
            "arn:aws:iam::111122223333:user/a/b/n",
            Entity::User { account: account.clone(), path: path.clone(), name: name.clone() },
        ),
        (
            Aws,
            "arn:aws:iam::111122223333:role/a/b/n",
            Entity::Role { account: account.clone(), path: path.clone(), name: name.clone() },
        ),
        (
            Aws,
            "arn:aws:iam::aws:policy/a/b/n",
            Entity::Policy { account: "aws".to_owned(), path: path.clone(), name: name.clone() },
        ),
        (
            Aws,
            "arn:aws:sts::111122223333:assumed-role/n/s",
            Entity::AssumedRole {
                account: account.clone(),
                role: name.clone(),
                session: "s".to_owned(),
            },
        ),
        (
            Aws,
            "arn:aws:iam::111122223333:group/a/b/n",
            Entity::Group { account: account.clone(), path: path.clone(), name: name.clone() },
        ),
        (
            Aws,
            "arn:aws:iam::111122223333:oidc-provider/id.example.com/realm/a_b",
            Entity::OidcProvider { account, name: "id.example.com/realm/a_b".to_owned() },
        ),
        (
            Alibaba,
            "acs:ram::1234567890123456:group/n",
            Entity::Group { account: ram.clone(), path: root.clone(), name: name.clone() },
        ),
        (
            Alibaba,
            "acs:ram::1234567890123456:oidc-provider/n",
            Entity::OidcProvider { account: ram.clone(), name: name.clone() },
        ),
        (Alibaba, "acs:ram::1234567890123456:root", Entity::Root { account: ram.clone() }),
        (
            Alibaba,
            "acs:ram::1234567890123456:user/n",
            Entity::User { account: ram.clone(), path: root.clone(), name: name.clone() },
        ),
        (
            Alibaba,
            "acs:ram::1234567890123456:role/n",
            Entity::Role { account: ram.clone(), path: root.clone(), name: name.clone() },
        ),
        (
            Alibaba,
            "acs:ram::1234567890123456:policy/n",
            Entity::Policy { account: ram.clone(), path: root.clone(), name: name.clone() },
        ),
        (
            Alibaba,
            "acs:ram::system:policy/n",
            Entity::Policy { account: "system".to_owned(), path: root, name: name.clone() },
        ),
        (
            Alibaba,
            "acs:ram::1234567890123456:role/n/S",
            Entity::AssumedRole { account: ram, role: name.clone(), session: "S".to_owned() },
        ),
    ];
    for (dialect, text, entity) in texts {
        assert_eq!(name::parse_entity(text).as_ref(), Some(&entity), "{text}");
        assert_eq!(name::entity(dialect, &entity), text);
        assert_eq!(name::dialect(text), Some(dialect));
    }
    assert_eq!([Aws, Alibaba].map(name::system_owner), ["aws", "system"]);
    let profile = |dialect, account| name::instance_profile(dialect, account, "n");
    assert_eq!(profile(Aws, AWS_ACCOUNT), "arn:aws:iam::111122223333:instance-profile/n");
    assert_eq!(profile(Alibaba, RAM_ACCOUNT), "acs:ram::1234567890123456:instance-profile/n");
    assert_eq!(name::group(Aws, AWS_ACCOUNT, "/p/", "n"), "arn:aws:iam::111122223333:group/p/n");
    assert_eq!(name::group(Alibaba, RAM_ACCOUNT, "/p/", "n"), "acs:ram::1234567890123456:group/n");
    let federated = |dialect, account| name::federated_user(dialect, account, "n");
    assert_eq!(federated(Aws, AWS_ACCOUNT), "arn:aws:sts::111122223333:federated-user/n");
    assert_eq!(federated(Alibaba, RAM_ACCOUNT), "acs:ram::1234567890123456:federated-user/n");
    assert_eq!(name::dialect("n"), None);
}

#[test]
fn names_of_ram_roles_compare_without_case_and_those_of_sessions_with() {
    let at = |rest: &str| format!("acs:ram::1234567890123456:{rest}");
    for (left, right, same) in [
        ("role/n", "role/N", true),
        ("role/n/s", "role/N/s", true),
        ("role/n/s", "role/n/S", false),
        ("role/n/s", "role/n", false),
        ("role/n", "role/n/s", false),
        ("user/n", "user/n", false),
    ] {
        assert_eq!(name::is_same_ram_role(&at(left), &at(right)), same, "{left} {right}");
    }
    assert_eq!(name::ram_spelling(&at("role/N/S")), at("role/n/S"));
    assert_eq!(name::ram_spelling(&at("role/N")), at("role/n"));
    assert_eq!(name::ram_spelling(&at("user/N")), at("user/N"));
    assert_eq!(
        name::ram_spelling("arn:aws:iam::111122223333:role/N"),
        "arn:aws:iam::111122223333:role/N"
    );
}

#[test]
fn what_names_no_entity_is_refused() {
    let long = format!("acs:ram::1234567890123456:user/{}", "a".repeat(129));
    let long_role = format!("acs:ram::1234567890123456:role/{}", "a".repeat(65));
    for text in [
        "",
        "arn:aws:iam::111122223333:root/x",
        "arn:aws:iam::111122223333:user",
        "arn:aws:iam::111122223333:user/",
        "arn:aws:iam::111122223333:user//n",
        "arn:aws:iam::aws:user/n",
        "arn:aws:iam::11112222333:user/n",
        "arn:aws:iam:eu-west-1:111122223333:user/n",
        "arn:aws-cn:iam::111122223333:user/n",
        "arn:aws:sts::111122223333:role/n",
        "arn:aws:sts::111122223333:assumed-role/n",
        "arn:aws:sts::111122223333:assumed-role/n/s/t",
        "arn:aws:sts::111122223333:assumed-role//s",
        "arn:aws:sts::111122223333:assumed-role/n/",
        "arn:aws:iam::111122223333:group/",
        "arn:aws:iam::111122223333:oidc-provider/",
        "arn:aws:iam::111122223333:oidc-provider/https://id.example.com",
        "arn:aws:iam::111122223333:oidc-provider/id.example.com/",
        "acs:ram::1234567890123456:root/x",
        "acs:ram::1234567890123456:user/a/b",
        "acs:ram::1234567890123456:role/Worker",
        "acs:ram::1234567890123456:role/a b",
        "acs:ram::1234567890123456:policy/a/b",
        "acs:ram::1234567890123456:policy/",
        "acs:ram::system:user/n",
        "acs:ram::system:root",
        "acs:ram::other:policy/n",
        "acs:ram::111122223333:user/n",
        "acs:ecs::1234567890123456:user/n",
        "acs:ram::1234567890123456:role/N/s",
        "acs:ram::1234567890123456:role/n/s/t",
        "acs:ram::1234567890123456:role/n/",
        "acs:ram::1234567890123456:assumed-role/n/s",
        "acs:ram::1234567890123456:group/a/n",
        "acs:ram::1234567890123456:oidc-provider/a/n",
        &long,
        &long_role,
    ] {
        assert_eq!(name::parse_entity(text), None, "{text}");
    }
}

#[test]
fn complete_arns_have_six_parts_three_of_them_full() {
    let complete = ["arn:aws:s3:::b", "arn:aws:s3:r:a:b:c/d", "arn:p:s:::r"];
    let broken =
        ["", "arn:aws:s3:::", "arn::s3:::b", "arn:aws::::b", "arn:aws:s3::b", "acs:aws:s3:::b"];
    holds("arn", Arn::is_complete, &complete, &broken);
    holds("parsed", |text| Arn::parse(text).is_some(), &complete, &broken);
    for text in complete {
        let Some(arn) = Arn::parse(text) else { panic!("{text}") };
        assert_eq!(arn.to_string(), text);
    }
}

#[test]
fn roles_of_the_alibaba_dialect_are_known_in_any_case() {
    holds(
        "role",
        name::is_ram_role,
        &["acs:ram::1:role/a", "acs:ram::1:role/A", "acs:ram:*:*:role/"],
        &[
            "acs:ram::1:user/a",
            "acs:oss::1:role/a",
            "acs:ram:1:role/a",
            "acs:ram::1:x:role/a",
            "role/a",
        ],
    );
}

#[test]
fn service_linked_roles_are_told_by_their_path() {
    holds(
        "linked",
        policy::principal::is_service_linked_role,
        &["arn:aws:iam::111122223333:role/aws-service-role/x.amazonaws.com/n"],
        &[
            "arn:aws:iam::111122223333:role/aws-service-role",
            "arn:aws:iam::111122223333:role/aws-service-role/n",
            "arn:aws:iam::111122223333:role/a/aws-service-role/x/n",
            "arn:aws:iam::111122223333:user/aws-service-role/x/n",
        ],
    );
}

#[test]
fn the_account_stands_in_one_place_of_a_resources_name() {
    use policy::name::{account_of, of_account};
    let names = [
        (
            "arn:aws:shelf:local-1:{account}:shelf/{account}",
            "arn:aws:shelf:local-1:1:shelf/{account}",
        ),
        ("acs:ecs:cn-hangzhou:{account}:instance/a:b", "acs:ecs:cn-hangzhou:1:instance/a:b"),
    ];
    for (open, filled) in names {
        assert_eq!(account_of(open), Some("{account}"));
        assert_eq!(of_account(open, "1").as_deref(), Some(filled));
        assert_eq!(account_of(filled), Some("1"));
        assert_eq!(of_account(filled, "2"), None);
    }
    for other in ["*", "{account}", "arn:aws:s3:::{account}", "acs:oss:{account}:1:b", "acs:oss"] {
        assert_eq!(of_account(other, "1"), None, "{other}");
    }
    assert_eq!(account_of("arn:aws:s3:::bucket"), Some(""));
}
