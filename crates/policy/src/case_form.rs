//! The members of a case file as they are written, and what they stand for.
//!
//! Nothing is judged here but the form. What a case expects is compared in `cases`.

use core::fmt;
use std::collections::BTreeMap;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

use crate::decision::{Effect, Layer};
use crate::document::{Document, PolicyKind, StatementEffect};
use crate::name::{self, Arn, Dialect, Entity};
use crate::owned::{OwnedPolicies, OwnedPolicy};
use crate::principal::is_service_linked_role;
use crate::request::{Context, Principal, PrincipalKind, Request, ResourceKind, Value};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub format: String,
    #[expect(dead_code, reason = "free form, not interpreted")]
    source: Option<Json>,
    pub defaults: Option<Unique>,
    pub cases: Vec<Unique>,
}

/// A JSON value in which no member is given twice; most readers would keep the last one and say nothing.
pub(crate) struct Unique(pub Json);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Unique, D::Error> {
        reader.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Unique, E> {
        Ok(Unique(Json::Null))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
        let mut list = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Unique(Json::Array(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unique, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let Unique(value) = members.next_value()?;
            if object.contains_key(&name) {
                let text =
                    "is given twice; remove one, or give the policy as `text` if that is meant";
                return Err(de::Error::custom(format!("the member `{name}` {text}")));
            }
            object.insert(name, value);
        }
        Ok(Unique(Json::Object(object)))
    }
}

/// A case with the members of every kind of case; which of them a kind needs is checked by `cases`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Form {
    pub id: String,
    pub kind: KindForm,
    #[serde(default)]
    pub dialect: Dialect,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub note: String,
    pub request: Option<RequestForm>,
    pub policies: Option<PoliciesForm>,
    pub policy_kind: Option<PolicyKindForm>,
    pub text: Option<String>,
    #[serde(default)]
    pub expect: ExpectForm,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KindForm {
    Evaluate,
    Parse,
}

/// The kinds of policy by their names in case files, where `identity` is a managed policy.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PolicyKindForm {
    Identity,
    Inline,
    Resource,
    Trust,
    Scp,
    Rcp,
    Boundary,
    Session,
}

impl From<PolicyKindForm> for PolicyKind {
    fn from(form: PolicyKindForm) -> PolicyKind {
        match form {
            PolicyKindForm::Identity => PolicyKind::Managed,
            PolicyKindForm::Inline => PolicyKind::Identity,
            PolicyKindForm::Resource => PolicyKind::Resource,
            PolicyKindForm::Trust => PolicyKind::Trust,
            PolicyKindForm::Scp => PolicyKind::Scp,
            PolicyKindForm::Rcp => PolicyKind::Rcp,
            PolicyKindForm::Boundary => PolicyKind::Boundary,
            PolicyKindForm::Session => PolicyKind::Session,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RequestForm {
    action: String,
    resource: String,
    #[serde(default)]
    wildcard_only: bool,
    #[serde(default, deserialize_with = "present")]
    resource_account: Option<Option<String>>,
    principal: PrincipalForm,
    #[serde(default)]
    context: BTreeMap<String, Option<Value>>,
}

/// Tells an absent member from one that is `null`.
fn present<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Option<String>>, D::Error> {
    Deserialize::deserialize(reader).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PrincipalForm {
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
pub(crate) struct PoliciesForm {
    #[serde(default)]
    identity: Vec<PolicyForm>,
    #[serde(default)]
    group: Vec<PolicyForm>,
    boundary: Option<Vec<PolicyForm>>,
    session: Option<Vec<PolicyForm>>,
    endpoint: Option<Vec<PolicyForm>>,
    resource: Option<ResourceForm>,
    scp: Option<Vec<LevelForm>>,
    rcp: Option<Vec<LevelForm>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyForm {
    name: String,
    document: Option<Json>,
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceForm {
    name: String,
    document: Option<Json>,
    text: Option<String>,
    kind: Option<ResourceKind>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LevelForm {
    #[serde(rename = "target")]
    _target: String,
    policies: Vec<PolicyForm>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ExpectForm {
    pub decision: Option<DecisionForm>,
    pub allowed: Option<bool>,
    pub layer: Option<Layer>,
    pub blocked_by: Option<Vec<Layer>>,
    pub matched: Option<Vec<MatchedForm>>,
    pub valid: Option<bool>,
    pub code: Option<String>,
    pub message: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum DecisionForm {
    Allow,
    ImplicitDeny,
    ExplicitDeny,
    Error,
}

impl DecisionForm {
    /// The outcome it stands for; none for an error.
    pub(crate) fn effect(self) -> Option<Effect> {
        match self {
            DecisionForm::Allow => Some(Effect::Allow),
            DecisionForm::ImplicitDeny => Some(Effect::ImplicitDeny),
            DecisionForm::ExplicitDeny => Some(Effect::ExplicitDeny),
            DecisionForm::Error => None,
        }
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatchedForm {
    pub policy: String,
    pub statement: usize,
    pub effect: StatementEffect,
}

impl RequestForm {
    pub(crate) fn request(&self, dialect: Dialect) -> Request {
        let mut context = Context::new();
        for (key, value) in &self.context {
            if let Some(value) = value {
                context.set(key, value.clone());
            }
        }
        let of_arn = || owner(&self.resource, dialect);
        Request {
            dialect,
            action: self.action.clone(),
            resource: self.resource.clone(),
            wildcard_only: self.wildcard_only,
            resource_account: self.resource_account.clone().unwrap_or_else(of_arn),
            principal: self.principal.principal(),
            context,
        }
    }
}

impl PrincipalForm {
    fn principal(&self) -> Principal {
        let by_path = || self.arn.as_deref().is_some_and(is_service_linked_role);
        Principal {
            arn: self.arn.clone(),
            account: self.account.clone(),
            id: self.id.clone(),
            service: self.service.clone(),
            provider: self.provider.clone(),
            canonical_user: self.canonical_user.clone(),
            service_linked: self.service_linked.unwrap_or_else(by_path),
            management_account: self.management_account,
            ..Principal::new(self.kind)
        }
    }
}

impl PoliciesForm {
    /// Reads every document; the error names the policy that is refused.
    pub(crate) fn policies(
        &self,
        resource: &str,
        dialect: Dialect,
    ) -> Result<OwnedPolicies, String> {
        let documents = |list: &[PolicyForm], kind| documents(list, kind, dialect);
        let optional = |list: &Option<Vec<PolicyForm>>, kind| {
            list.as_ref().map(|list| documents(list, kind)).transpose()
        };
        let levels = |levels: &Option<Vec<LevelForm>>, kind| {
            let read = |levels: &Vec<LevelForm>| {
                levels.iter().map(|level| documents(&level.policies, kind)).collect()
            };
            levels.as_ref().map(read).transpose()
        };
        Ok(OwnedPolicies {
            identity: documents(&self.identity, PolicyKind::Identity)?,
            group: documents(&self.group, PolicyKind::Identity)?,
            boundary: optional(&self.boundary, PolicyKind::Boundary)?,
            session: optional(&self.session, PolicyKind::Session)?,
            endpoint: optional(&self.endpoint, PolicyKind::Resource)?,
            resource: self.resource.as_ref().map(|r| r.policy(resource, dialect)).transpose()?,
            scp: levels(&self.scp, PolicyKind::Scp)?,
            rcp: levels(&self.rcp, PolicyKind::Rcp)?,
        })
    }

    /// What is wrong with the form itself, whatever the documents say.
    pub(crate) fn problem(&self) -> Option<String> {
        let own = [Some(&self.identity), Some(&self.group)];
        let plain = own.into_iter().chain([self.boundary.as_ref(), self.session.as_ref()]);
        let levels = self.scp.iter().chain(&self.rcp).flatten().map(|level| &level.policies);
        let lists = plain.flatten().chain(&self.endpoint).chain(levels);
        for policy in lists.flatten() {
            if policy.document.is_some() == policy.text.is_some() {
                return Some(one_of(&policy.name));
            }
        }
        if let Some(r) = &self.resource
            && r.document.is_some() == r.text.is_some()
        {
            return Some(one_of(&r.name));
        }
        for (name, levels) in [("scp", &self.scp), ("rcp", &self.rcp)] {
            if levels.as_ref().is_some_and(Vec::is_empty) {
                return Some(format!(
                    "`{name}` has no level; give at least the root's, or leave `{name}` out"
                ));
            }
        }
        None
    }
}

fn one_of(policy: &str) -> String {
    format!("the policy `{policy}` needs one of `document` and `text`, and not both")
}

impl ResourceForm {
    fn policy(
        &self,
        resource: &str,
        dialect: Dialect,
    ) -> Result<(OwnedPolicy, ResourceKind), String> {
        let kind = self.kind.unwrap_or_else(|| infer_kind(resource));
        let document_kind = match kind {
            ResourceKind::Trust => PolicyKind::Trust,
            ResourceKind::Generic | ResourceKind::Kms => PolicyKind::Resource,
        };
        let policy = document(&self.name, &self.document, &self.text, document_kind, dialect)?;
        Ok((policy, kind))
    }
}

/// How a resource's policy counts when a case does not say: roles of IAM have trust policies, keys of KMS key
/// policies.
pub(crate) fn infer_kind(resource: &str) -> ResourceKind {
    match Arn::parse(resource) {
        Some(arn) if arn.service == "iam" && arn.resource.starts_with("role/") => {
            ResourceKind::Trust
        }
        Some(arn) if arn.service == "kms" && arn.resource.starts_with("key/") => ResourceKind::Kms,
        _ if matches!(name::parse_entity(resource), Some(Entity::Role { .. })) => {
            ResourceKind::Trust
        }
        _ => ResourceKind::Generic,
    }
}

/// The account that a resource's name tells.
fn owner(resource: &str, dialect: Dialect) -> Option<String> {
    let account = match dialect {
        Dialect::Aws => Arn::parse(resource)?.account,
        Dialect::Alibaba => resource.split(':').nth(3)?.to_owned(),
    };
    (!account.is_empty() && account != "*").then_some(account)
}

fn documents(
    list: &[PolicyForm],
    kind: PolicyKind,
    dialect: Dialect,
) -> Result<Vec<OwnedPolicy>, String> {
    list.iter().map(|p| document(&p.name, &p.document, &p.text, kind, dialect)).collect()
}

fn document(
    name: &str,
    document: &Option<Json>,
    text: &Option<String>,
    kind: PolicyKind,
    dialect: Dialect,
) -> Result<OwnedPolicy, String> {
    let written = match (document, text) {
        (_, Some(text)) => text.clone(),
        (Some(document), None) => document.to_string(),
        (None, None) => return Err(one_of(name)),
    };
    let document = Document::read(&written, kind, dialect)
        .map_err(|error| format!("policy `{name}`: {error}"))?;
    Ok(OwnedPolicy { name: name.to_owned(), document })
}
