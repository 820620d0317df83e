//! Conditions against a written-out truth table, and whole policies against models of a small world.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "tests may fail loudly")]

use policy::{
    Context, Dialect, Document, Effect, Evaluate, Named, OperatorClass, PolicyKind, PolicySet,
    Principal, PrincipalKind, Request, ResourceKind, ResourcePolicy,
};
use proptest::prelude::*;
use worlds::Agreed;

const ACCOUNT: &str = "111122223333";
const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const BOB: &str = "arn:aws:iam::111122223333:user/bob";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/Worker/job";
const WORKER: &str = "arn:aws:iam::111122223333:role/Worker";

fn principal(kind: PrincipalKind, arn: &str) -> Principal {
    Principal {
        arn: Some(arn.to_owned()),
        account: Some(ACCOUNT.to_owned()),
        ..Principal::new(kind)
    }
}

fn request(principal: Principal, action: &str, resource: &str) -> Request {
    Request {
        dialect: Dialect::Aws,
        action: action.to_owned(),
        resource: resource.to_owned(),
        wildcard_only: false,
        resource_account: Some(ACCOUNT.to_owned()),
        principal,
        context: Context::new(),
    }
}

fn document(statements: &[String], kind: PolicyKind) -> Document {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
    Document::read(&text, kind, Dialect::Aws).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Two listed values of an operator, two that fit them and two that do not.
struct Samples {
    listed: [&'static str; 2],
    hits: [&'static str; 2],
    misses: [&'static str; 2],
}

fn samples(name: &str) -> Samples {
    let s = |listed, hits, misses| Samples { listed, hits, misses };
    let dates = ["2024-01-01", "2025-01-01"];
    match name {
        "StringEquals" | "StringNotEquals" => s(["a", "b"], ["a", "b"], ["A", "c"]),
        "StringEqualsIgnoreCase" | "StringNotEqualsIgnoreCase" => {
            s(["a", "b"], ["A", "b"], ["c", "ab"])
        }
        "StringLike" | "StringNotLike" => s(["a*", "b?"], ["a", "bc"], ["b", "c"]),
        "NumericEquals" | "NumericNotEquals" => s(["1", "2"], ["1.0", "2"], ["3", "-1"]),
        "NumericLessThan" => s(["1", "5"], ["4", "0"], ["5", "9"]),
        "NumericLessThanEquals" => s(["1", "5"], ["5", "0"], ["5.01", "9"]),
        "NumericGreaterThan" => s(["1", "5"], ["2", "9"], ["1", "0"]),
        "NumericGreaterThanEquals" => s(["1", "5"], ["1", "9"], ["0.99", "-5"]),
        "DateEquals" | "DateNotEquals" => {
            s(dates, ["2024-01-01T00:00:00Z", "1735689600"], ["2024-01-02", "2026-01-01"])
        }
        "DateLessThan" => s(dates, ["2024-06-01", "2023-01-01"], ["2025-01-01", "2026-01-01"]),
        "DateLessThanEquals" => {
            s(dates, ["2025-01-01", "2023-01-01"], ["2025-01-02", "2026-01-01"])
        }
        "DateGreaterThan" => s(dates, ["2024-06-01", "2026-01-01"], ["2024-01-01", "2020-01-01"]),
        "DateGreaterThanEquals" => {
            s(dates, ["2024-01-01", "2026-01-01"], ["2023-12-31", "2020-01-01"])
        }
        "Bool" => s(["true", "true"], ["true", "TRUE"], ["false", "False"]),
        "BinaryEquals" => s(["YQ==", "Yg=="], ["YQ==", "Yg=="], ["Yw==", "ZA=="]),
        "IpAddress" | "NotIpAddress" => {
            s(["10.0.0.0/8", "::1"], ["10.1.2.3", "::1"], ["11.0.0.1", "::2"])
        }
        "ArnEquals" | "ArnNotEquals" | "ArnLike" | "ArnNotLike" => s(
            ["arn:aws:iam::*:user/a*", "arn:aws:sqs:*:*:q"],
            ["arn:aws:iam::1:user/ab", "arn:aws:sqs:r:1:q"],
            ["arn:aws:iam::1:user/b", "arn:aws:sqs:r:1:p"],
        ),
        other => panic!("no samples for {other}"),
    }
}

/// The table: one row for quantifier, `IfExists` and polarity; one column for each state of the key.
///
/// Columns: absent, empty list, one fitting value, one other value, list of one that fits, list that overlaps,
/// list that holds all that fit and more, list of others only.
const TABLE: [(&str, &str, bool, &str); 12] = [
    ("", "", false, "FFTFFFFF"),
    ("", "", true, "TTFTFFFF"),
    ("", "IfExists", false, "TTTFFFFF"),
    ("", "IfExists", true, "TTFTFFFF"),
    ("ForAllValues:", "", false, "TTTFTFFF"),
    ("ForAllValues:", "", true, "TTFTFFFT"),
    ("ForAllValues:", "IfExists", false, "TTTFTFFF"),
    ("ForAllValues:", "IfExists", true, "TTFTFFFT"),
    ("ForAnyValue:", "", false, "FFTFTTTF"),
    ("ForAnyValue:", "", true, "FFFTFTTT"),
    ("ForAnyValue:", "IfExists", false, "TTTFTTTF"),
    ("ForAnyValue:", "IfExists", true, "TTFTFTTT"),
];

const NEGATED: [&str; 8] = [
    "StringNotEquals",
    "StringNotEqualsIgnoreCase",
    "StringNotLike",
    "NumericNotEquals",
    "DateNotEquals",
    "NotIpAddress",
    "ArnNotEquals",
    "ArnNotLike",
];

fn set_state(context: &mut Context, column: usize, samples: &Samples) {
    let list = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<String>>();
    let ([hit, other_hit], [miss, other_miss]) = (samples.hits, samples.misses);
    match column {
        0 => {}
        1 => context.set("x:a", Vec::new()),
        2 => context.set("x:a", hit),
        3 => context.set("x:a", miss),
        4 => context.set("x:a", list(&[other_hit])),
        5 => context.set("x:a", list(&[hit, other_miss])),
        6 => context.set("x:a", list(&[hit, other_hit, miss])),
        _ => context.set("x:a", list(&[miss, other_miss])),
    }
}

fn holds(condition: &str, context: &Context) -> (bool, bool) {
    let statement = |effect: &str, condition: &str| {
        format!(r#"{{"Effect":"{effect}","Action":"*","Resource":"*"{condition}}}"#)
    };
    let condition = format!(r#","Condition":{condition}"#);
    let allow = document(&[statement("Allow", &condition)], PolicyKind::Identity);
    let deny =
        document(&[statement("Allow", ""), statement("Deny", &condition)], PolicyKind::Identity);
    let mut asked = request(principal(PrincipalKind::User, ALICE), "s3:Get", "arn:aws:s3:::b/k");
    asked.context = context.clone();
    let effect = |document: &Document| {
        let identity = vec![Named { name: "p", document }];
        Agreed.decide(&asked, &PolicySet { identity, ..PolicySet::default() }).effect
    };
    (effect(&allow) == Effect::Allow, effect(&deny) == Effect::ExplicitDeny)
}

#[test]
fn atk_d03_absent_keys_quantifiers_and_negation_follow_the_table() {
    let mut checked = 0;
    for (name, _) in OperatorClass::ALL.iter().filter(|(name, _)| *name != "Null") {
        let samples = samples(name);
        let [first, second] = samples.listed;
        for (quantifier, suffix, negated, row) in TABLE {
            if NEGATED.contains(name) != negated {
                continue;
            }
            let condition =
                format!(r#"{{"{quantifier}{name}{suffix}":{{"x:a":["{first}","{second}"]}}}}"#);
            for (column, wanted) in row.chars().enumerate() {
                let mut context = Context::new();
                set_state(&mut context, column, &samples);
                let wanted = wanted == 'T';
                let found = holds(&condition, &context);
                assert_eq!(found, (wanted, wanted), "{condition} in column {column}");
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 26 * 6 * 8);
    let any = samples("StringEquals");
    for (value, row) in [("true", "TTFFFFFF"), ("false", "FFTTTTTT")] {
        for (column, wanted) in row.chars().enumerate() {
            let mut context = Context::new();
            set_state(&mut context, column, &any);
            let condition = format!(r#"{{"Null":{{"x:a":"{value}"}}}}"#);
            let wanted = wanted == 'T';
            assert_eq!(holds(&condition, &context), (wanted, wanted), "{value} {column}");
        }
    }
}

/// A small world: pattern lists with the actions or resources they name, written out.
const ACTIONS: [&str; 3] = ["s3:Get", "s3:Put", "iam:Get"];
const ACTION_LISTS: [(&str, &[usize]); 5] = [
    (r#""*""#, &[0, 1, 2]),
    (r#""s3:*""#, &[0, 1]),
    (r#""S3:get""#, &[0]),
    (r#"["iam:*","s3:P?t"]"#, &[1, 2]),
    (r#""iam:Ge""#, &[]),
];
const RESOURCES: [&str; 3] = ["arn:aws:s3:::b", "arn:aws:s3:::b/k", "arn:aws:s3:::c/k"];
const RESOURCE_LISTS: [(&str, &[usize]); 5] = [
    (r#""*""#, &[0, 1, 2]),
    (r#""arn:aws:s3:::b""#, &[0]),
    (r#""arn:aws:s3:::?/*""#, &[1, 2]),
    (r#"["arn:aws:s3:::b*","arn:aws:s3:::c"]"#, &[0, 1]),
    (r#""arn:aws:s3:::B/k""#, &[]),
];
const WHO: &str = "ABSX"; // alice, bob, a session of Worker, nobody known

/// Principal elements: whom they let in or keep out as allow, deny, allow all but, deny all but.
fn principal_lists() -> [(String, [&'static str; 4]); 6] {
    let aws = |names: &[&str]| format!(r#"{{"AWS":["{}"]}}"#, names.join("\",\""));
    [
        (r#""*""#.to_owned(), ["ABSX", "ABSX", "", ""]),
        (aws(&[ALICE]), ["A", "A", "BSX", "ABSX"]),
        (aws(&[ALICE, ACCOUNT]), ["A", "ABS", "X", "BSX"]),
        (aws(&[WORKER]), ["S", "S", "ABX", "ABSX"]),
        (aws(&[SESSION, WORKER, ACCOUNT]), ["S", "ABS", "X", "ABX"]),
        (aws(&[ACCOUNT]), ["", "ABS", "X", "ABSX"]),
    ]
}

/// One statement of the small world and the set of (who, action, resource) it speaks of.
struct Modelled {
    text: String,
    deny: bool,
    set: Vec<bool>,
}

fn statements() -> Vec<Modelled> {
    let mut out = Vec::new();
    for (action, actions) in ACTION_LISTS {
        for (resource, resources) in RESOURCE_LISTS {
            for (who, sets) in principal_lists() {
                for bits in 0..16 {
                    let (deny, na, nr, np) =
                        (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0, bits & 8 > 0);
                    let not = |negated: bool| if negated { "Not" } else { "" };
                    let text = format!(
                        r#"{{"Effect":"{}","{}Action":{action},"{}Resource":{resource},"{}Principal":{who}}}"#,
                        if deny { "Deny" } else { "Allow" },
                        not(na),
                        not(nr),
                        not(np)
                    );
                    let people = sets[usize::from(deny) + 2 * usize::from(np)];
                    let mut set = Vec::with_capacity(36);
                    for person in WHO.chars() {
                        for a in 0..ACTIONS.len() {
                            for r in 0..RESOURCES.len() {
                                let named = people.contains(person)
                                    && actions.contains(&a) != na
                                    && resources.contains(&r) != nr;
                                set.push(named);
                            }
                        }
                    }
                    out.push(Modelled { text, deny, set });
                }
            }
        }
    }
    out
}

/// What the evaluator says for every request of the small world.
fn decide_all(texts: &[String]) -> Vec<Effect> {
    let document = document(texts, PolicyKind::Resource);
    let policy = Named { name: "r", document: &document };
    let resource = Some(ResourcePolicy { policy, kind: ResourceKind::Generic });
    let policies = PolicySet { resource, ..PolicySet::default() };
    let people = [
        principal(PrincipalKind::User, ALICE),
        principal(PrincipalKind::User, BOB),
        principal(PrincipalKind::AssumedRole, SESSION),
        Principal::new(PrincipalKind::Anonymous),
    ];
    let mut out = Vec::with_capacity(36);
    for person in people {
        for action in ACTIONS {
            for resource in RESOURCES {
                let asked = request(person.clone(), action, resource);
                out.push(Agreed.decide(&asked, &policies).effect);
            }
        }
    }
    out
}

fn model(list: &[&Modelled]) -> Vec<Effect> {
    (0..36)
        .map(|n| {
            if list.iter().any(|s| s.deny && s.set[n]) {
                Effect::ExplicitDeny
            } else if list.iter().any(|s| !s.deny && s.set[n]) {
                Effect::Allow
            } else {
                Effect::ImplicitDeny
            }
        })
        .collect()
}

#[test]
fn atk_d16_negated_elements_agree_with_sets_in_a_small_world() {
    let all = statements();
    assert_eq!(all.len(), 5 * 5 * 6 * 16);
    for one in &all {
        assert_eq!(decide_all(std::slice::from_ref(&one.text)), model(&[one]), "{}", one.text);
    }
    // Pairs and triples, chosen by a fixed stride that shares no factor with their number.
    for step in 0..2_000_usize {
        let pick = |factor: usize| &all[(step * factor + 7) % all.len()];
        let mut list = vec![pick(1_021), pick(1_283)];
        if step % 2 == 0 {
            list.push(pick(1_597));
        }
        let texts: Vec<String> = list.iter().map(|s| s.text.clone()).collect();
        assert_eq!(decide_all(&texts), model(&list), "{texts:?}");
    }
}

/// Statements without principals to build layers from.
const POOL: [&str; 14] = [
    r#""Effect":"Allow","Action":"*","Resource":"*""#,
    r#""Effect":"Allow","Action":"s3:*","Resource":"*""#,
    r#""Effect":"Allow","Action":"s3:Get","Resource":"arn:aws:s3:::b/*""#,
    r#""Effect":"Allow","NotAction":"iam:*","Resource":"*""#,
    r#""Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::b/*""#,
    r#""Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"x:a":"1"}}"#,
    r#""Effect":"Allow","Action":"*","Resource":"*","Condition":{"NumericNotEquals":{"x:a":"1"}}"#,
    r#""Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${x:a}/*""#,
    r#""Effect":"Deny","Action":"s3:Put","Resource":"*""#,
    r#""Effect":"Deny","NotAction":"s3:*","Resource":"*""#,
    r#""Effect":"Deny","Action":"*","NotResource":"arn:aws:s3:::b*""#,
    r#""Effect":"Deny","Action":"*","Resource":"*","Condition":{"BoolIfExists":{"x:a":"false"}}"#,
    r#""Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"x:a":"1"}}"#,
    r#""Effect":"Deny","Action":"*","Resource":"*","Condition":{"ForAnyValue:StringLike":{"x:a":"1*"}}"#,
];

/// A world as numbers of the pool; an empty list is a layer with a policy that never matches.
#[derive(Clone, Debug)]
struct World {
    identity: Vec<usize>,
    resource: Option<(Vec<usize>, usize)>,
    caps: [Option<Vec<usize>>; 4], // boundary, session, service control, endpoint
}

fn world() -> impl Strategy<Value = World> {
    let layer = || prop::collection::vec(0..POOL.len(), 0..3);
    let caps = [(); 4].map(|()| prop::option::weighted(0.3, layer()));
    (layer(), prop::option::of((layer(), 0..6_usize)), caps)
        .prop_map(|(identity, resource, caps)| World { identity, resource, caps })
}

fn layer_document(list: &[usize], kind: PolicyKind, who: &str) -> Document {
    let mut texts: Vec<String> = list.iter().map(|n| format!("{{{}{who}}}", POOL[*n])).collect();
    texts.push(format!(r#"{{"Effect":"Deny","Action":"none:None","Resource":"*"{who}}}"#));
    document(&texts, kind)
}

fn allowed(world: &World, asked: &Request) -> bool {
    let identity = layer_document(&world.identity, PolicyKind::Identity, "");
    let resource = world.resource.as_ref().map(|(list, who)| {
        let who = format!(r#","Principal":{}"#, principal_lists()[*who].0);
        layer_document(list, PolicyKind::Resource, &who)
    });
    let kinds = [PolicyKind::Boundary, PolicyKind::Session, PolicyKind::Scp, PolicyKind::Resource];
    let caps: Vec<Option<Document>> = world
        .caps
        .iter()
        .zip(kinds)
        .map(|(list, kind)| {
            let who = if kind == PolicyKind::Resource { r#","Principal":"*""# } else { "" };
            list.as_ref().map(|list| layer_document(list, kind, who))
        })
        .collect();
    let named = |document| Named { name: "p", document };
    let cap = |n: usize| caps[n].as_ref().map(|document| vec![named(document)]);
    let policies = PolicySet {
        group: Vec::new(),
        identity: vec![named(&identity)],
        boundary: cap(0),
        session: cap(1),
        endpoint: cap(3),
        resource: resource
            .as_ref()
            .map(|d| ResourcePolicy { policy: named(d), kind: ResourceKind::Generic }),
        scp: cap(2).map(|level| vec![level]),
        rcp: None,
    };
    Agreed.decide(asked, &policies).allowed()
}

fn asked() -> impl Strategy<Value = Request> {
    (0..3_usize, 0..3_usize, 0..3_usize, 0..4_usize, any::<bool>()).prop_map(
        |(who, action, resource, value, foreign)| {
            let person = match who {
                0 => principal(PrincipalKind::User, ALICE),
                1 => principal(PrincipalKind::User, BOB),
                _ => principal(PrincipalKind::AssumedRole, SESSION),
            };
            let mut asked = request(person, ACTIONS[action], RESOURCES[resource]);
            if foreign {
                asked.resource_account = Some("444455556666".to_owned());
            }
            match value {
                0 => {}
                1 => asked.context.set("x:a", "1"),
                2 => asked.context.set("x:a", "b"),
                _ => asked.context.set("x:a", vec!["1".to_owned(), "c".to_owned()]),
            }
            asked
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn atk_d15_restrictions_never_grant(world in world(), asked in asked(), deny in 8..POOL.len(), cap in prop::collection::vec(0..POOL.len(), 0..3)) {
        let before = allowed(&world, &asked);
        let mut changed = Vec::new();
        let lists: usize = 6;
        for list in 0..lists {
            let mut with_deny = world.clone();
            let target = match list {
                0 => Some(&mut with_deny.identity),
                1 => with_deny.resource.as_mut().map(|(list, _)| list),
                n => with_deny.caps[n - 2].as_mut(),
            };
            let Some(target) = target else { continue };
            target.push(deny);
            changed.push(with_deny);
            for removed in 0..3 {
                let mut without_allow = world.clone();
                let target = match list {
                    0 => Some(&mut without_allow.identity),
                    1 => without_allow.resource.as_mut().map(|(list, _)| list),
                    n => without_allow.caps[n - 2].as_mut(),
                };
                if let Some(target) = target && target.get(removed).is_some_and(|n| *n < 8) {
                    target.remove(removed);
                    changed.push(without_allow);
                }
            }
        }
        for n in 0..4 {
            let mut capped = world.clone();
            if capped.caps[n].is_none() {
                capped.caps[n] = Some(cap.clone());
                changed.push(capped);
            }
        }
        for world in changed {
            prop_assert!(before || !allowed(&world, &asked), "{world:?}");
        }
    }
}

#[test]
fn atk_d15_the_worlds_hold_both_answers() {
    let mut world = World { identity: vec![0], resource: None, caps: [const { None }; 4] };
    let asked = request(principal(PrincipalKind::User, ALICE), "s3:Get", "arn:aws:s3:::b/k");
    assert!(allowed(&world, &asked));
    for n in 0..4 {
        world.caps[n] = Some(Vec::new());
        assert!(!allowed(&world, &asked), "cap {n}");
        world.caps[n] = Some(vec![0]);
        assert!(allowed(&world, &asked), "cap {n}");
    }
    world.identity.push(12);
    assert!(!allowed(&world, &asked));
}
