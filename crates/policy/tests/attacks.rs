//! One test for each attack of the attack table that policies face, each with a case that must still work.
#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use policy::json::{self, BYTES_MAX, DEPTH_MAX};
use policy::pattern::{EXPANDED_MAX, matches, matches_counted};
use policy::{
    Arn, Context, Dialect, Document, Effect, Evaluate, Named, PolicyKind, PolicySet, Principal,
    PrincipalKind, Request, ResourceKind, ResourcePolicy, Value, check, name,
};
use proptest::prelude::*;
use worlds::Agreed;

const USER: &str = "arn:aws:iam::111122223333:user/alice";

fn request(action: &str, resource: &str) -> Request {
    Request {
        dialect: Dialect::Aws,
        action: action.to_owned(),
        resource: resource.to_owned(),
        wildcard_only: resource == "*",
        resource_account: None,
        principal: Principal {
            arn: Some(USER.to_owned()),
            account: Some("111122223333".to_owned()),
            ..Principal::new(PrincipalKind::User)
        },
        context: Context::new(),
    }
}

fn read(statements: &str) -> Document {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    Document::read(&text, PolicyKind::Identity, Dialect::Aws).unwrap()
}

fn decide(statements: &str, request: &Request) -> Effect {
    let document = read(statements);
    let named = Named { name: "p", document: &document };
    let policies = PolicySet { identity: vec![named], ..PolicySet::default() };
    Agreed.decide(request, &policies).effect
}

const ALL: &str = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;

#[test]
fn atk_b07_deep_nesting_is_refused_after_few_steps() {
    for depth in [DEPTH_MAX + 1, 100, 10_000, 60_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let (result, steps) = json::read_counted(&text);
            assert!(result.is_err(), "{depth}");
            assert!(steps < 1_000, "{depth}: {steps} steps");
            assert!(Document::parse(&text, PolicyKind::Identity, Dialect::Aws).is_err());
        }
    }
    let deepest = format!("{}1{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    assert!(json::read(&deepest).is_ok());
}

#[test]
fn atk_b08_size_is_capped_before_reading_and_work_grows_with_the_text() {
    let long = format!("\"{}\"", "a".repeat(BYTES_MAX));
    let (result, steps) = json::read_counted(&long);
    assert!(result.is_err());
    assert_eq!(steps, 0);
    let keys: Vec<String> = (0..10_000).map(|n| format!("\"k{n}\":0")).collect();
    let keys = format!("{{{}}}", keys.join(","));
    for text in [keys, "9".repeat(300), format!("\"{}\"", "a".repeat(BYTES_MAX - 2))] {
        let (result, steps) = json::read_counted(&text);
        assert!(result.is_ok());
        assert!(steps <= 2 * text.len() as u64, "{steps} steps for {} bytes", text.len());
    }
    assert!(json::read(&"9".repeat(400)).is_err(), "beyond range");
    assert!(json::read("1e400").is_err());
    assert!(json::read("-1.5e30").is_ok());
}

#[test]
fn atk_b10_patterns_do_not_blow_up() {
    let steps = |stars: usize, length: usize| {
        let (matched, steps) = matches_counted(&("*a".repeat(stars) + "b"), &"a".repeat(length));
        assert!(!matched);
        steps
    };
    let (small, large) = (steps(256, 1024), steps(512, 2048));
    assert!(large <= 2 * small + 16, "linear growth: {small} then {large}");
    assert!(large <= 3 * (1024 + 2048));
    // The worst for one resume point: every start fits almost to the end.
    let (_, worst) = matches_counted(&format!("*{}b", "a".repeat(1023)), &"a".repeat(2048));
    assert!(worst <= 1024 * 2048, "{worst}");
    assert!(matches(&"*a".repeat(512), &"a".repeat(2048)));
}

/// The meaning of a pattern, written as its definition.
fn naive(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => {
            (0..=text.len()).any(|skip| text.get(skip..).is_some_and(|tail| naive(rest, tail)))
        }
        Some((c, rest)) => match text.split_first() {
            Some((first, tail)) => (*c == '?' || c == first) && naive(rest, tail),
            None => false,
        },
    }
}

/// The meaning of a resource pattern: stars at the end of one of the first five parts run on, others stop at colons.
fn naive_resource(parts: &[Vec<char>], text: &[char]) -> bool {
    let Some((part, rest)) = parts.split_first() else { return false };
    if rest.is_empty() {
        return naive(part, text);
    }
    (0..=text.len()).any(|end| {
        let (head, tail) = text.split_at(end);
        let Some((':', after)) = tail.split_first() else { return false };
        let fits = if part.last() == Some(&'*') {
            let first: Vec<char> = head.iter().copied().take_while(|c| *c != ':').collect();
            naive(part, &first)
        } else {
            !head.contains(&':') && naive(part, head)
        };
        fits && naive_resource(rest, after)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn atk_d14_matching_is_exact_as_the_naive_model(
        pattern in "[ab*?é:]{0,8}", text in "[abé:]{0,10}"
    ) {
        let p: Vec<char> = pattern.chars().collect();
        let t: Vec<char> = text.chars().collect();
        prop_assert_eq!(matches(&pattern, &text), naive(&p, &t));
        prop_assert!(matches(&text, &text));
        let longer = text.clone() + "x";
        prop_assert!(!matches(&text, &longer));
    }

    #[test]
    fn atk_d18_wildcards_cross_arn_fields_only_where_the_table_says(
        pattern in "arn:aws:s3(:[ab*?]{0,3}){3,5}", text in "arn:aws:s3(:[ab]{0,3}){2,5}"
    ) {
        let template = policy::Template::new(&pattern, policy::pattern::Wildcards::Active, true);
        let parts: Vec<Vec<char>> =
            pattern.splitn(6, ':').map(|part| part.chars().collect()).collect();
        let chars: Vec<char> = text.chars().collect();
        let found = template.matches_resource(&text, &Context::new(), policy::pattern::Incomplete::Never);
        prop_assert_eq!(found, Some(naive_resource(&parts, &chars)));
    }

    #[test]
    fn atk_b12_expansion_is_one_pass_and_literal(value in "[a${}*?:,' ]{1,12}", text in "[a${}*?:,' ]{0,12}") {
        let template = policy::Template::new("${k}", policy::pattern::Wildcards::Active, true);
        let mut context = Context::new();
        context.set("k", value.as_str());
        context.set("a", "inner");
        prop_assert_eq!(template.expand_text(&context), Some(value.clone()));
        let tokens = template.expand(&context).unwrap();
        prop_assert_eq!(tokens.len(), value.chars().count());
        prop_assert!(tokens.iter().all(|t| matches!(t, policy::pattern::Token::Char(_))));
        let any = policy::Template::new(&text, policy::pattern::Wildcards::Active, true);
        let _ = any.expand(&context);
    }

    #[test]
    fn atk_c05_whatever_is_read_as_a_name_prints_the_same(
        text in "(arn|acs):(aws|ram|aws-cn)?:(iam|sts|)?:{0,2}(111122223333|1234567890123456|aws|)?:(user|role|root|policy|assumed-role)?[/:ab*]{0,6}"
    ) {
        if let Some(entity) = name::parse_entity(&text) {
            let dialect = if text.starts_with("acs") { Dialect::Alibaba } else { Dialect::Aws };
            prop_assert_eq!(name::entity(dialect, &entity), text.clone());
        }
        if let Some(arn) = Arn::parse(&text) {
            prop_assert_eq!(arn.to_string(), text);
        }
    }
}

#[test]
fn atk_b12_variables_have_a_size_cap_and_no_recursion() {
    let mut context = Context::new();
    context.set("k", "${k}${k}");
    let template = policy::Template::new("${k}", policy::pattern::Wildcards::Active, true);
    assert_eq!(template.expand_text(&context).unwrap(), "${k}${k}");
    context.set("k", "a".repeat(1_000));
    let many = policy::Template::new(
        &"${k}".repeat(EXPANDED_MAX / 1_000 + 1),
        policy::pattern::Wildcards::Active,
        true,
    );
    assert_eq!(many.expand(&context), None);
    assert_eq!(template.expand_text(&context).unwrap().len(), 1_000);
}

#[test]
fn atk_c05_ambiguous_names_are_refused() {
    for text in [
        "arn:aws:iam:::user/a",
        "arn:aws:iam::111122223333:user/a:b",
        "arn:aws:iam::111122223333:user//a",
        "arn:aws:iam::111122223333:user/a/",
        "arn:aws:iam::111122223333:user/",
        "arn:aws:iam::111122223333:user",
        "arn:aws:iam::111122223333:root/x",
        "arn:aws:iam::11112222333:root",
        "arn:aws:iam::1111222233334:root",
        "arn:aws:iam::１11122223333:root",
        "arn:aws:iam:us-east-1:111122223333:user/a",
        "arn:aws:iam::111122223333:user/*",
        "arn:aws:iam::111122223333:user/a b",
        " arn:aws:iam::111122223333:user/a",
        "arn:aws:iam::111122223333:user/a\n",
        "arn:aws:sts::111122223333:assumed-role/r",
        "arn:aws:sts::111122223333:assumed-role/r/s/t",
        "arn:aws:iam::aws:user/a",
        "arn:aws:sts::111122223333:user/a",
        "ARN:aws:iam::111122223333:user/a",
        "acs:ram::1234567890123456:role/Upper",
        "acs:ram::1234567890123456:user/a/b",
        "acs:ram:::root",
    ] {
        assert_eq!(name::parse_entity(text), None, "{text}");
    }
    for text in [
        USER,
        "arn:aws:iam::111122223333:role/a/b/c",
        "arn:aws:iam::aws:policy/aws-service-role/P",
        "arn:aws:sts::111122223333:assumed-role/r/s",
        "arn:aws:iam::111122223333:root",
    ] {
        let entity = name::parse_entity(text).unwrap();
        assert_eq!(name::entity(Dialect::Aws, &entity), text);
    }
    for text in ["acs:ram::1234567890123456:role/lower", "acs:ram::1234567890123456:root"] {
        let entity = name::parse_entity(text).unwrap();
        assert_eq!(name::entity(Dialect::Alibaba, &entity), text);
    }
}

#[test]
fn atk_d02_an_unreadable_value_in_a_deny_counts_as_matching() {
    let rows = [
        ("NumericEquals", "1"),
        ("NumericNotEquals", "1"),
        ("NumericLessThan", "1"),
        ("NumericLessThanEquals", "1"),
        ("NumericGreaterThan", "1"),
        ("NumericGreaterThanEquals", "1"),
        ("DateEquals", "2024-01-01"),
        ("DateNotEquals", "2024-01-01"),
        ("DateLessThan", "2024-01-01"),
        ("DateLessThanEquals", "2024-01-01"),
        ("DateGreaterThan", "2024-01-01"),
        ("DateGreaterThanEquals", "2024-01-01"),
        ("Bool", "true"),
        ("BinaryEquals", "YQ=="),
        ("IpAddress", "10.0.0.0/8"),
        ("NotIpAddress", "10.0.0.0/8"),
        ("ArnEquals", USER),
        ("ArnNotEquals", USER),
        ("ArnLike", USER),
        ("ArnNotLike", USER),
    ];
    let mut asked = request("s3:GetObject", "arn:aws:s3:::b/k");
    asked.context.set("x:a", "%unreadable%");
    for (operator, value) in rows {
        for prefix in ["", "ForAnyValue:", "ForAllValues:"] {
            for suffix in ["", "IfExists"] {
                let condition = format!(r#"{{"{prefix}{operator}{suffix}":{{"x:a":"{value}"}}}}"#);
                let deny = format!(
                    r#"{ALL},{{"Effect":"Deny","Action":"*","Resource":"*","Condition":{condition}}}"#
                );
                let allow = format!(
                    r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{condition}}}"#
                );
                assert_eq!(decide(&deny, &asked), Effect::ExplicitDeny, "{condition}");
                assert_eq!(decide(&allow, &asked), Effect::ImplicitDeny, "{condition}");
            }
        }
    }
    // An unreadable listed value does the same; strings have no unreadable values.
    for (operator, value) in rows {
        let condition = format!(r#"{{"{operator}":{{"x:b":"%unreadable%"}}}}"#);
        let mut asked = request("s3:GetObject", "arn:aws:s3:::b/k");
        asked.context.set("x:b", if operator.contains("Ip") { "10.0.0.1" } else { value });
        let deny = format!(
            r#"{ALL},{{"Effect":"Deny","Action":"*","Resource":"*","Condition":{condition}}}"#
        );
        assert_eq!(decide(&deny, &asked), Effect::ExplicitDeny, "{condition}");
    }
    // The other conditions of the deny still count.
    let other = r#"{"Bool":{"x:a":"true"},"StringEquals":{"x:b":"z"}}"#;
    let deny =
        format!(r#"{ALL},{{"Effect":"Deny","Action":"*","Resource":"*","Condition":{other}}}"#);
    assert_eq!(decide(&deny, &asked), Effect::Allow);
}

#[test]
fn atk_d17_texts_that_readers_disagree_about_are_refused() {
    let good =
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    let document = Document::parse(good, PolicyKind::Managed, Dialect::Aws).unwrap();
    assert_eq!(document.text(), good);
    assert_eq!(document.statements().len(), 1);
    for (from, to) in [
        ("\"Effect\"", "\"effect\""),
        ("\"Effect\"", "\"Effect \""),
        ("\"Action\"", "\"action\""),
        ("\"Resource\"", "\"Resources\""),
        ("\"Statement\"", "\"statement\""),
        ("{\"Version\"", "\u{feff}{\"Version\""),
        ("{\"Version\"", "{\"Version\":\"2008-10-17\",\"Version\""),
        ("\"Effect\":", "\"Effect\":\"Deny\",\"Effect\":"),
        ("\"Effect\":", "\"Effect\":\"Deny\",\"\\u0045ffect\":"),
        ("\"Allow\"", "\"allow\""),
        ("\"Allow\"", "\"Allow\\u0000\""),
        ("\"Allow\"", "'Allow'"),
        ("\"*\"}", "\"*\",}"),
        ("}}", "}} {}"),
        ("{\"Version\"", "// x\n{\"Version\""),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good);
        for kind in [PolicyKind::Managed, PolicyKind::Identity] {
            assert!(Document::parse(&text, kind, Dialect::Aws).is_err(), "{text}");
            assert!(Document::read(&text, kind, Dialect::Aws).is_err(), "{text}");
            assert!(check(&text, kind).iter().all(|f| f.severity == policy::Severity::Error));
        }
    }
}

#[test]
fn atk_d18_actions_without_resources_match_only_the_star() {
    let asked = request("iam:ListUsers", "*");
    for (resource, wanted) in [
        ("*", Effect::Allow),
        ("arn:aws:iam::*:user/*", Effect::ImplicitDeny),
        ("arn:aws:iam::111122223333:*", Effect::ImplicitDeny),
    ] {
        let statement = format!(r#"{{"Effect":"Allow","Action":"*","Resource":"{resource}"}}"#);
        assert_eq!(decide(&statement, &asked), wanted, "{resource}");
    }
}

#[test]
fn atk_d19_anonymous_satisfies_everyone_but_never_reaches_roles() {
    let everyone = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}"#;
    let trust = Document::read(everyone, PolicyKind::Trust, Dialect::Aws).unwrap();
    let public = everyone.replace("\"sts:AssumeRole\"", "\"*\",\"Resource\":\"*\"");
    let public = Document::read(&public, PolicyKind::Resource, Dialect::Aws).unwrap();
    let mut asked = request("sts:AssumeRole", "arn:aws:iam::111122223333:role/R");
    let decide = |asked: &Request, document: &Document, kind| {
        let policy = Named { name: "r", document };
        let resource = Some(ResourcePolicy { policy, kind });
        Agreed.decide(asked, &PolicySet { resource, ..PolicySet::default() }).allowed()
    };
    assert!(decide(&asked, &trust, ResourceKind::Trust), "a user may");
    asked.principal = Principal::new(PrincipalKind::Anonymous);
    assert!(!decide(&asked, &trust, ResourceKind::Trust));
    assert!(!decide(&asked, &public, ResourceKind::Kms));
    asked.action = "s3:GetObject".to_owned();
    asked.resource = "arn:aws:s3:::b/k".to_owned();
    assert!(decide(&asked, &public, ResourceKind::Generic), "a public bucket is public");
    let none = PolicySet::default();
    assert!(!Agreed.decide(&asked, &none).allowed());
}

#[test]
fn atk_d20_values_are_read_strictly() {
    let rows: [(&str, &str, &str, bool); 26] = [
        ("Bool", "true", "TRUE", true),
        ("Bool", "true", "1", false),
        ("Bool", "true", "yes", false),
        ("Bool", "true", "true ", false),
        ("Bool", "false", "", false),
        ("Bool", "false", "0", false),
        ("NumericEquals", "10", "10.0", true),
        ("NumericEquals", "10", "1e1", true),
        ("NumericEquals", "10", "0xA", false),
        ("NumericEquals", "10", "10 ", false),
        ("NumericEquals", "10", "10abc", false),
        ("NumericEquals", "10", "１0", false),
        ("NumericGreaterThan", "10", "NaN", false),
        ("NumericGreaterThan", "10", "Infinity", false),
        ("NumericGreaterThan", "10", "1e999999", false),
        ("DateLessThan", "2030-01-01T00:00:00Z", "2020-01-01T00:00:00Z", true),
        ("DateLessThan", "2030-01-01T00:00:00Z", "2020-1-1", false),
        ("DateLessThan", "2030-01-01T00:00:00Z", "20200101T000000Z", false),
        ("DateLessThan", "2030-01-01T00:00:00Z", "2020-01-01 00:00:00", false),
        ("DateLessThan", "2030-01-01T00:00:00Z", "2020-01-01T00:00:60Z", false),
        ("DateLessThan", "2030-01-01T00:00:00Z", "2020-01-01T00:00:00+25:00", false),
        ("DateLessThan", "2030-01-01T00:00:00Z", "", false),
        ("IpAddress", "10.0.0.0/8", "10.0.0.1", true),
        ("IpAddress", "10.0.0.0/8", "10.1", false),
        ("IpAddress", "10.0.0.0/8", "0xa.0.0.1", false),
        ("IpAddress", "10.0.0.0/8", "10.0.0.1 ", false),
    ];
    for (operator, listed, value, fits) in rows {
        let mut asked = request("s3:GetObject", "arn:aws:s3:::b/k");
        asked.context.set("x:a", value);
        let condition = format!(r#""Condition":{{"{operator}":{{"x:a":"{listed}"}}}}"#);
        let allow = format!(r#"{{"Effect":"Allow","Action":"*","Resource":"*",{condition}}}"#);
        let deny = format!(r#"{ALL},{{"Effect":"Deny","Action":"*","Resource":"*",{condition}}}"#);
        assert_eq!(decide(&allow, &asked) == Effect::Allow, fits, "{operator} {value}");
        assert_eq!(decide(&deny, &asked), Effect::ExplicitDeny, "{operator} {value}");
    }
}

#[test]
fn a_deleted_principal_gives_way_to_its_id_in_text_and_meaning() {
    let text = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
      "Principal":{"AWS":["arn:aws:iam::111122223333:user/alice", "444455556666"],"Service":"a.example.com"}}]}"#;
    let document = Document::parse(text, PolicyKind::Trust, Dialect::Aws).unwrap();
    let same = document.map_aws_principals(&|_| None);
    assert_eq!(same, document);
    let replace = |entry: &str| (entry == USER).then(|| "AIDAEXAMPLEALICE0001".to_owned());
    let replaced = document.map_aws_principals(&replace);
    assert_eq!(replaced.text(), text.replace(USER, "AIDAEXAMPLEALICE0001"));
    let names: Vec<&str> = replaced.aws_principals().collect();
    assert_eq!(names, ["AIDAEXAMPLEALICE0001", "444455556666"]);
    assert_eq!(
        Document::parse(replaced.text(), PolicyKind::Trust, Dialect::Aws).unwrap(),
        replaced
    );
    let back = |entry: &str| (entry == "AIDAEXAMPLEALICE0001").then(|| USER.to_owned());
    assert_eq!(replaced.map_aws_principals(&back), document);
    assert!(Value::from("a") == Value::Single("a".to_owned()));
}

#[test]
fn atk_b09_keys_made_to_collide_cost_no_more_than_their_number() {
    // Names of context keys are told apart by a hash first, and seen to be the same by their texts only; a unit
    // test beside the context has names that share a hash. Here it is their number that must not matter.
    let mut context = Context::new();
    let names: Vec<String> = (0..20_000).map(|n| format!("x:k{n}")).collect();
    for name in &names {
        context.set(name, name.as_str());
    }
    for name in &names {
        assert_eq!(context.get(name), Some(&Value::Single(name.clone())));
    }
    assert_eq!(context.get("x:k20000"), None);
    assert_eq!(context.iter().count(), names.len());
    // Actions and resources are compared, never hashed: rules whose texts all begin alike are found as ever.
    let statements: Vec<String> = (0..1_000)
        .map(|n| {
            let tail = "a".repeat(n % 50);
            format!(
                r#"{{"Effect":"Allow","Action":"s3:Get{n}","Resource":"arn:aws:s3:::{tail}{n}"}}"#
            )
        })
        .collect();
    let statements = statements.join(",");
    let asked = |n: usize| {
        let resource = format!("arn:aws:s3:::{}{n}", "a".repeat(n % 50));
        decide(&statements, &request(&format!("s3:get{n}"), &resource))
    };
    for n in [0, 49, 999] {
        assert_eq!(asked(n), Effect::Allow);
    }
    assert_eq!(decide(&statements, &request("s3:get1", "arn:aws:s3:::2")), Effect::ImplicitDeny);
}

#[test]
fn atk_b11_the_largest_policies_are_decided() {
    // As many patterns as fit, on both sides of one statement, all of which have to be tried.
    let list = |count: usize, make: &dyn Fn(usize) -> String| -> String {
        (0..count).map(|n| format!("\"{}\"", make(n))).collect::<Vec<_>>().join(",")
    };
    let count = 1_000;
    let actions = list(count, &|n| format!("s3:*{n}*a"));
    let resources = list(count, &|n| format!("arn:aws:s3:::*{n}*b"));
    let statement =
        format!(r#"{{"Effect":"Allow","Action":[{actions}],"Resource":[{resources}]}}"#);
    let last = (format!("s3:{}a", count - 1), format!("arn:aws:s3:::{}b", count - 1));
    assert_eq!(decide(&statement, &request(&last.0, &last.1)), Effect::Allow);
    let misses = request("s3:a", &format!("arn:aws:s3:::{}", "1b2".repeat(300)));
    assert_eq!(decide(&statement, &misses), Effect::ImplicitDeny);
    // Patterns that tempt a matcher: the work of the one matcher is counted above, under B10.
    let tempting = format!("arn:aws:s3:::{}b", "*a".repeat(1_000));
    let statement = format!(r#"{{"Effect":"Allow","Action":"*","Resource":"{tempting}"}}"#);
    let name = format!("arn:aws:s3:::{}", "a".repeat(2_000));
    assert_eq!(decide(&statement, &request("s3:Get", &name)), Effect::ImplicitDeny);
    assert_eq!(decide(&statement, &request("s3:Get", &(name + "b"))), Effect::Allow);
}
