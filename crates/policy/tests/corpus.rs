//! Runs every case of `corpus/policy` (format `linkrole-cases/1`) against the evaluator and the parser.
#![expect(clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use policy::principal::is_service_linked_role;
use policy::{
    Arn, Context, Decision, Document, Effect, Evaluate, Layer, Named, PolicyKind, PolicySet,
    Principal, PrincipalKind, Request, ResourceKind, ResourcePolicy, Spec, StatementEffect, Value,
};
use serde::Deserialize;
use serde_json::Value as Json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    #[expect(dead_code, reason = "free form, not interpreted")]
    source: Option<Json>,
    defaults: Option<Json>,
    cases: Vec<Json>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Case {
    id: String,
    kind: String,
    dialect: Option<String>,
    #[serde(rename = "tags")]
    _tags: Option<Vec<String>>,
    #[serde(rename = "note")]
    _note: Option<String>,
    request: Option<CaseRequest>,
    #[serde(default)]
    policies: CasePolicies,
    policy_kind: Option<String>,
    text: Option<String>,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CaseRequest {
    action: String,
    resource: String,
    #[serde(default)]
    wildcard_only: bool,
    #[serde(default, deserialize_with = "present")]
    resource_account: Option<Option<String>>,
    principal: CasePrincipal,
    #[serde(default)]
    context: BTreeMap<String, Option<Value>>,
}

/// Tells an absent member from one that is `null`.
fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Option<String>>, D::Error> {
    Deserialize::deserialize(d).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CasePrincipal {
    #[serde(rename = "type")]
    kind: PrincipalKind,
    arn: Option<String>,
    account: Option<String>,
    id: Option<String>,
    service: Option<String>,
    provider: Option<String>,
    canonical_user: Option<String>,
    service_linked: Option<bool>,
    #[serde(default)]
    management_account: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct CasePolicies {
    #[serde(default)]
    identity: Vec<CasePolicy>,
    boundary: Option<Vec<CasePolicy>>,
    session: Option<Vec<CasePolicy>>,
    endpoint: Option<Vec<CasePolicy>>,
    resource: Option<CasePolicy>,
    scp: Option<Vec<Level>>,
    rcp: Option<Vec<Level>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CasePolicy {
    name: String,
    document: Option<Json>,
    text: Option<String>,
    kind: Option<ResourceKind>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Level {
    #[serde(rename = "target")]
    _target: String,
    policies: Vec<CasePolicy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Expect {
    decision: Option<String>,
    allowed: Option<bool>,
    layer: Option<Layer>,
    blocked_by: Option<Vec<Layer>>,
    matched: Option<Vec<ExpectMatched>>,
    valid: Option<bool>,
    code: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectMatched {
    policy: String,
    statement: usize,
    effect: StatementEffect,
}

/// The members of `under` that `over` lacks are added, at every depth.
fn merge(over: &mut Json, under: &Json) {
    let (Json::Object(over), Json::Object(under)) = (over, under) else { return };
    for (key, value) in under {
        match over.get_mut(key) {
            Some(existing) => merge(existing, value),
            None => {
                over.insert(key.clone(), value.clone());
            }
        }
    }
}

type Owned = (String, Document);

fn load(list: &[CasePolicy], kind: PolicyKind) -> Result<Vec<Owned>, String> {
    list.iter()
        .map(|p| {
            let text = match (&p.document, &p.text) {
                (Some(document), None) => document.to_string(),
                (None, Some(text)) => text.clone(),
                _ => panic!("policy {} needs `document` or `text`", p.name),
            };
            let document = Document::read(&text, kind).map_err(|e| e.to_string())?;
            Ok((p.name.clone(), document))
        })
        .collect()
}

fn named(list: &[Owned]) -> Vec<Named<'_>> {
    list.iter().map(|(name, document)| Named { name, document }).collect()
}

fn load_levels(levels: &[Level], kind: PolicyKind) -> Result<Vec<Vec<Owned>>, String> {
    levels.iter().map(|level| load(&level.policies, kind)).collect()
}

/// As the format says: roles of IAM have trust policies, keys of KMS key policies.
fn infer_kind(resource: &str) -> ResourceKind {
    match Arn::parse(resource) {
        Some(arn) if arn.service == "iam" && arn.resource.starts_with("role/") => {
            ResourceKind::Trust
        }
        Some(arn) if arn.service == "kms" && arn.resource.starts_with("key/") => ResourceKind::Kms,
        _ => ResourceKind::Generic,
    }
}

fn request_of(case: &CaseRequest) -> Request {
    let p = &case.principal;
    let mut context = Context::new();
    for (key, value) in &case.context {
        if let Some(value) = value {
            context.set(key, value.clone());
        }
    }
    let of_arn = || Arn::parse(&case.resource).map(|arn| arn.account).filter(|a| !a.is_empty());
    Request {
        action: case.action.clone(),
        resource: case.resource.clone(),
        wildcard_only: case.wildcard_only,
        resource_account: case.resource_account.clone().unwrap_or_else(of_arn),
        principal: Principal {
            kind: p.kind,
            arn: p.arn.clone(),
            role_arn: None,
            account: p.account.clone(),
            id: p.id.clone(),
            service: p.service.clone(),
            provider: p.provider.clone(),
            canonical_user: p.canonical_user.clone(),
            service_linked: p
                .service_linked
                .unwrap_or_else(|| p.arn.as_deref().is_some_and(is_service_linked_role)),
            management_account: p.management_account,
        },
        context,
    }
}

fn decide(case: &Case) -> Result<Decision, String> {
    let wanted = case.request.as_ref().expect("an evaluate case has a request");
    let request = request_of(wanted);
    let p = &case.policies;
    let optional = |list: &Option<Vec<CasePolicy>>, kind| -> Result<Option<Vec<Owned>>, String> {
        list.as_ref().map(|l| load(l, kind)).transpose()
    };
    let identity = load(&p.identity, PolicyKind::Identity)?;
    let boundary = optional(&p.boundary, PolicyKind::Boundary)?;
    let session = optional(&p.session, PolicyKind::Session)?;
    let endpoint = optional(&p.endpoint, PolicyKind::Resource)?;
    let kind = p
        .resource
        .as_ref()
        .map(|r| r.kind.unwrap_or_else(|| infer_kind(&wanted.resource)))
        .unwrap_or_default();
    let resource_kind =
        if kind == ResourceKind::Trust { PolicyKind::Trust } else { PolicyKind::Resource };
    let resource = load(p.resource.as_slice(), resource_kind)?;
    let scp = p.scp.as_ref().map(|l| load_levels(l, PolicyKind::Scp)).transpose()?;
    let rcp = p.rcp.as_ref().map(|l| load_levels(l, PolicyKind::Rcp)).transpose()?;
    let levels = |l: &Option<Vec<Vec<Owned>>>| -> Option<usize> { l.as_ref().map(Vec::len) };
    assert_ne!(levels(&scp), Some(0), "no levels");
    let policies = PolicySet {
        identity: named(&identity),
        boundary: boundary.as_deref().map(named),
        session: session.as_deref().map(named),
        endpoint: endpoint.as_deref().map(named),
        resource: named(&resource).first().map(|policy| ResourcePolicy { policy: *policy, kind }),
        scp: scp.as_ref().map(|l| l.iter().map(|p| named(p)).collect()),
        rcp: rcp.as_ref().map(|l| l.iter().map(|p| named(p)).collect()),
    };
    Ok(Spec.decide(&request, &policies))
}

fn check_evaluate(case: &Case) -> Result<(), String> {
    let expect = &case.expect;
    let decision = match decide(case) {
        Err(_) if expect.decision.as_deref() == Some("Error") => return Ok(()),
        Err(error) => return Err(format!("the policies are refused: {error}")),
        Ok(decision) => decision,
    };
    let effect = match decision.effect {
        Effect::Allow => "Allow",
        Effect::ImplicitDeny => "ImplicitDeny",
        Effect::ExplicitDeny => "ExplicitDeny",
    };
    let same = expect.decision.as_deref().is_none_or(|wanted| wanted == effect)
        && expect.allowed.is_none_or(|wanted| wanted == decision.allowed())
        && expect.layer.is_none_or(|wanted| wanted == decision.layer)
        && expect.blocked_by.as_ref().is_none_or(|wanted| *wanted == decision.blocked_by)
        && expect.matched.as_ref().is_none_or(|wanted| {
            let wanted: BTreeSet<_> =
                wanted.iter().map(|m| (m.policy.clone(), m.statement, m.effect)).collect();
            let found: BTreeSet<_> = decision
                .matched
                .iter()
                .map(|m| (m.policy.clone(), m.statement, m.effect))
                .collect();
            wanted == found
        });
    if same { Ok(()) } else { Err(format!("found {decision:?}")) }
}

fn check_parse(case: &Case) -> Result<(), String> {
    let kind = match case.policy_kind.as_deref() {
        Some("identity") => PolicyKind::Managed,
        Some("inline") => PolicyKind::Identity,
        Some("resource") => PolicyKind::Resource,
        Some("trust") => PolicyKind::Trust,
        Some("scp") => PolicyKind::Scp,
        Some("rcp") => PolicyKind::Rcp,
        Some("boundary") => PolicyKind::Boundary,
        Some("session") => PolicyKind::Session,
        other => return Err(format!("policy kind {other:?}")),
    };
    let text = case.text.as_deref().ok_or("a parse case has a text")?;
    let valid = case.expect.valid.ok_or("a parse case says whether it is valid")?;
    if case.expect.code.as_deref().is_some_and(|c| c != "MalformedPolicyDocument") {
        return Err("unknown code".to_owned());
    }
    match Document::parse(text, kind) {
        Ok(document) if valid && document.text() == text => Ok(()),
        Ok(_) => Err("it is accepted".to_owned()),
        Err(error) if valid => Err(format!("it is refused: {error}")),
        Err(error) => match &case.expect.message {
            Some(wanted) if *wanted != error.message => Err(format!("found {error}")),
            _ => Ok(()),
        },
    }
}

fn check(case: &Case) -> Result<(), String> {
    if case.dialect.as_deref().is_some_and(|d| d != "aws") {
        return Ok(());
    }
    match case.kind.as_str() {
        "evaluate" => check_evaluate(case),
        "parse" => check_parse(case),
        other => Err(format!("kind {other}")),
    }
}

#[test]
fn every_case_of_the_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/policy");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    names.sort();
    let (mut ids, mut failures) = (BTreeSet::new(), Vec::new());
    for name in names {
        let text = std::fs::read_to_string(&name).expect("readable");
        let file: File = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", name.display()));
        assert_eq!(file.format, "linkrole-cases/1");
        for mut json in file.cases {
            if let Some(defaults) = &file.defaults {
                merge(&mut json, defaults);
            }
            let shown = json.get("id").map(Json::to_string).unwrap_or_default();
            let case: Case =
                serde_json::from_value(json).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert!(ids.insert(case.id.clone()), "the id {shown} occurs twice");
            if let Err(why) = check(&case) {
                failures.push(format!("{}: {why}", case.id));
            }
        }
    }
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
    assert!(ids.len() >= 250, "only {} cases were found", ids.len());
}
