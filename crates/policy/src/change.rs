//! Changes to a request or to the policies that bear on it, small enough to be told in a line.
//!
//! A change can be carried out, so that whoever suggests one can be held to it. Which change does what is
//! found in `explain`.

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::case_form::infer_kind;
use crate::decision::Layer;
use crate::document::{Document, PolicyKind, StatementEffect};
use crate::name::Dialect;
use crate::owned::{OwnedPolicies, OwnedPolicy};
use crate::request::{Context, Request, ResourceKind, Value};

/// The name of a policy that a change adds.
pub const ADDED: &str = "added";

/// Where a statement stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Site {
    /// The layer of the policy.
    pub layer: Layer,
    /// Of a control policy the level, the root's being 0.
    pub level: Option<usize>,
    /// The policy's place among the policies of its layer or level, from 0.
    pub position: usize,
    /// The policy's name.
    pub policy: String,
    /// The statement's number, from 0.
    pub statement: usize,
    /// The statement's id, if it has one.
    pub sid: Option<String>,
    /// What the statement says.
    pub effect: StatementEffect,
}

/// One change.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A statement is added, in a policy of its own; to a resource's policy it is added at the end.
    AddStatement {
        /// The layer.
        layer: Layer,
        /// Of a control policy the level, the root's being 0.
        level: Option<usize>,
        /// The statement, as it stands in a policy.
        statement: Json,
    },
    /// A statement is removed.
    RemoveStatement {
        /// Where it stands.
        site: Site,
    },
    /// A condition key of the request gets another value.
    SetKey {
        /// The key.
        key: String,
        /// Its value.
        value: Value,
    },
    /// A condition key is left out of the request.
    RemoveKey {
        /// The key.
        key: String,
    },
}

impl Change {
    /// Carries the change out; `false` if it does not fit what it is applied to.
    ///
    /// A document that loses or gains a statement keeps its text, as it is only meant to be evaluated.
    pub fn apply(&self, request: &mut Request, policies: &mut OwnedPolicies) -> bool {
        match self {
            Change::AddStatement { layer, level, statement } => {
                add(policies, request, *layer, *level, statement).is_some()
            }
            Change::RemoveStatement { site } => {
                let Some(policy) = policy_at(policies, site) else { return false };
                let statements = &mut policy.document.statements;
                if site.statement >= statements.len() {
                    return false;
                }
                statements.remove(site.statement);
                true
            }
            Change::SetKey { key, value } => {
                request.context.set(key, value.clone());
                true
            }
            Change::RemoveKey { key } => {
                let mut context = Context::new();
                let others = request.context.iter();
                for (name, value) in others.filter(|(name, _)| !name.eq_ignore_ascii_case(key)) {
                    context.set(name, value.clone());
                }
                request.context = context;
                true
            }
        }
    }

    /// The change in words, to follow "this would have changed it:".
    pub fn text(&self) -> String {
        match self {
            Change::AddStatement { layer, level, statement } => {
                let member = |name: &str| match statement.get(name) {
                    Some(Json::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                    None => String::new(),
                };
                let effect = member("Effect");
                let article = if effect == "Allow" { "an" } else { "a" };
                let resource = match statement.get("Resource") {
                    Some(_) => format!(" on {}", member("Resource")),
                    None => String::new(),
                };
                let principal = match statement.get("Principal") {
                    Some(Json::Object(members)) => {
                        let names: Vec<&str> = members.values().filter_map(Json::as_str).collect();
                        format!(" for {}", names.join(", "))
                    }
                    _ => String::new(),
                };
                let action = member("Action");
                let place = place(*layer, *level);
                format!("{article} {effect} of {action}{resource}{principal} in {place}")
            }
            Change::RemoveStatement { site } => {
                format!("without {}", site.text())
            }
            Change::SetKey { key, value: Value::Single(value) } => {
                format!("a value of `{key}` equal to `{value}`")
            }
            Change::SetKey { key, value: Value::List(list) } => {
                format!("the values of `{key}` being `{}`", list.join("`, `"))
            }
            Change::RemoveKey { key } => format!("no `{key}` in the request"),
        }
    }
}

impl Site {
    /// The place in words.
    pub fn text(&self) -> String {
        let sid = match &self.sid {
            Some(sid) => format!(" (`{sid}`)"),
            None => String::new(),
        };
        let place = match self.level {
            Some(level) => format!("{} at level {level}", words(self.layer)),
            None => words(self.layer).to_owned(),
        };
        format!("statement {}{sid} of {place} `{}`", self.statement, self.policy)
    }
}

/// What a policy of a layer is called.
pub(crate) fn words(layer: Layer) -> &'static str {
    match layer {
        Layer::Boundary => "permissions boundary",
        Layer::Endpoint => "endpoint policy",
        Layer::Ceiling => "ceiling",
        Layer::Identity => "identity policy",
        Layer::Rcp => "resource control policy",
        Layer::Resource => "resource policy",
        Layer::Scp => "service control policy",
        Layer::Service => "service rule",
        Layer::Session => "session policy",
    }
}

fn place(layer: Layer, level: Option<usize>) -> String {
    let words = words(layer);
    match (layer, level) {
        (_, Some(level)) => format!("a {words} at level {level}"),
        (Layer::Identity | Layer::Endpoint, None) => format!("an {words}"),
        (Layer::Resource | Layer::Boundary, None) => format!("the {words}"),
        (_, None) => format!("a {words}"),
    }
}

fn policy_at<'a>(policies: &'a mut OwnedPolicies, site: &Site) -> Option<&'a mut OwnedPolicy> {
    if site.layer == Layer::Resource {
        return policies.resource.as_mut().map(|(policy, _)| policy);
    }
    let before = policies.identity.len();
    if site.layer == Layer::Identity && site.position >= before {
        // Those for the resource's group follow the principal's other policies.
        return policies.group.get_mut(site.position - before);
    }
    list_of(policies, site.layer, site.level)?.get_mut(site.position)
}

/// The policies of a layer or level; `None` if it is not in play.
fn list_of(
    policies: &mut OwnedPolicies,
    layer: Layer,
    level: Option<usize>,
) -> Option<&mut Vec<OwnedPolicy>> {
    match layer {
        Layer::Identity => Some(&mut policies.identity),
        Layer::Boundary => policies.boundary.as_mut(),
        Layer::Session => policies.session.as_mut(),
        Layer::Endpoint => policies.endpoint.as_mut(),
        Layer::Scp => policies.scp.as_mut()?.get_mut(level?),
        Layer::Rcp => policies.rcp.as_mut()?.get_mut(level?),
        Layer::Resource | Layer::Service | Layer::Ceiling => None,
    }
}

fn add(
    policies: &mut OwnedPolicies,
    request: &Request,
    layer: Layer,
    level: Option<usize>,
    statement: &Json,
) -> Option<()> {
    let version = match request.dialect {
        Dialect::Aws => "2012-10-17",
        Dialect::Alibaba => "1",
    };
    let text = json!({"Version": version, "Statement": [statement]}).to_string();
    let read = |kind| Document::read(&text, kind, request.dialect).ok();
    let policy = |document| OwnedPolicy { name: ADDED.to_owned(), document };
    let kind = match layer {
        Layer::Resource => return add_to_resource(policies, infer_kind(&request.resource), &read),
        Layer::Identity => PolicyKind::Identity,
        Layer::Boundary => PolicyKind::Boundary,
        Layer::Session => {
            // A federated user without session policies gets the first one.
            policies.session.get_or_insert_default();
            PolicyKind::Session
        }
        Layer::Endpoint => PolicyKind::Resource,
        Layer::Scp => PolicyKind::Scp,
        Layer::Rcp => PolicyKind::Rcp,
        Layer::Service | Layer::Ceiling => return None,
    };
    let document = read(kind)?;
    list_of(policies, layer, level)?.push(policy(document));
    Some(())
}

fn add_to_resource(
    policies: &mut OwnedPolicies,
    inferred: ResourceKind,
    read: &dyn Fn(PolicyKind) -> Option<Document>,
) -> Option<()> {
    let kind = policies.resource.as_ref().map_or(inferred, |(_, kind)| *kind);
    let document = read(match kind {
        ResourceKind::Trust => PolicyKind::Trust,
        ResourceKind::Generic | ResourceKind::Kms => PolicyKind::Resource,
    })?;
    match &mut policies.resource {
        Some((policy, _)) => policy.document.statements.extend(document.statements),
        None => {
            let policy = OwnedPolicy { name: ADDED.to_owned(), document };
            policies.resource = Some((policy, kind));
        }
    }
    Some(())
}
