//! The answer to a request: allowed or not, by which layer, through which statements, and in which words.
//!
//! The words are those of the vendor's access-denied errors. How the answer is found stands in `spec`.

use serde::{Deserialize, Serialize};

use crate::document::StatementEffect;
use crate::request::{PolicySet, Request};

/// The outcome of a decision.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub enum Effect {
    /// Allowed.
    Allow,
    /// Denied, because something that must allow does not.
    ImplicitDeny,
    /// Denied by a statement that says so.
    ExplicitDeny,
}

/// A kind of policy that takes part in decisions.
///
/// The order of the variants is alphabetical by their written names, as lists of layers are sorted in answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The permissions boundary.
    Boundary,
    /// The private endpoint's policies.
    Endpoint,
    /// The principal's own policies.
    Identity,
    /// Resource control policies.
    Rcp,
    /// The resource's policy; of a role, its trust policy.
    Resource,
    /// Service control policies.
    Scp,
    /// The service itself, by a rule outside all policies.
    Service,
    /// Session policies.
    Session,
    /// What an account lets the role of a linked service do at most; linkrole's own, and no layer of the evaluators.
    Ceiling,
}

/// A statement that matched the request.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Matched {
    /// The policy's name.
    pub policy: String,
    /// The statement's number, from 0.
    pub statement: usize,
    /// The statement's id, if it has one.
    pub sid: Option<String>,
    /// The layer the policy stands in.
    pub layer: Layer,
    /// What the statement says.
    pub effect: StatementEffect,
}

/// The answer with its reasons.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Decision {
    /// The outcome.
    pub effect: Effect,
    /// The layer that decided: that granted, denied, or first failed to allow.
    pub layer: Layer,
    /// Sorted: the layers that turn an allow of identity or resource policies into a deny.
    pub blocked_by: Vec<Layer>,
    /// Every statement that matched, allows and denies, in order of layers and policies.
    pub matched: Vec<Matched>,
}

impl Decision {
    /// Whether the request is allowed.
    pub fn allowed(&self) -> bool {
        self.effect == Effect::Allow
    }
}

/// Something that decides requests.
pub trait Evaluate {
    /// Decides one request under the policies that bear on it.
    fn decide(&self, request: &Request, policies: &PolicySet<'_>) -> Decision;
}

/// The text of the access-denied error for a decision.
///
/// `resource` is `None` for actions without resources; `trust` says that the resource layer is a role's trust
/// policy. Exactly one kind of policy is named: the deciding layer. [src: AWS.md section 7]
pub fn denial_text(
    decision: &Decision,
    principal_arn: &str,
    action: &str,
    resource: Option<&str>,
    trust: bool,
) -> String {
    let mut text = format!("User: {principal_arn} is not authorized to perform: {action}");
    if let Some(resource) = resource {
        text.push_str(" on resource: ");
        text.push_str(resource);
    }
    let kind = match decision.layer {
        Layer::Identity => "identity-based policy",
        Layer::Boundary => "permissions boundary",
        Layer::Session => "session policy",
        Layer::Scp => "service control policy",
        Layer::Rcp => "resource control policy",
        Layer::Endpoint => "VPC endpoint policy",
        Layer::Ceiling => "ceiling of the account",
        Layer::Resource if trust => "role trust policy",
        Layer::Resource => "resource-based policy",
        Layer::Service => return text,
    };
    match decision.effect {
        Effect::Allow => {}
        Effect::ImplicitDeny => {
            text.push_str(&format!(" because no {kind} allows the {action} action"));
        }
        Effect::ExplicitDeny => {
            let article = match decision.layer {
                Layer::Identity => "an",
                Layer::Resource if trust => "the",
                _ => "a",
            };
            text.push_str(&format!(" with an explicit deny in {article} {kind}"));
        }
    }
    text
}
