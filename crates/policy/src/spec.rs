//! The evaluator that follows the rules as they are written, one by one, and is not made to be fast.
//!
//! It is the reference for anything faster. First every statement of every layer is tried; then explicit
//! denies; then the layers that must allow, in the vendor's order of evaluation. The numbers are the rows of
//! the table of traps in POLICY.md.

use crate::condition::Truth;
use crate::decision::{Decision, Effect, Evaluate, Layer, Matched};
use crate::document::{
    Actions, Document, PolicyKind, Principals, Resources, Statement, StatementEffect,
};
use crate::name::{self, Dialect};
use crate::pattern::{Incomplete, Template};
use crate::principal::{Grant, grant, has_account, is_listed_completely};
use crate::request::{Named, PolicySet, Principal, PrincipalKind, Request, ResourceKind};

/// The plain evaluator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spec;

/// The order in which layers are looked at, and named in answers. [src: AWS.md section 7]
const ORDER: [Layer; 7] = [
    Layer::Rcp,
    Layer::Scp,
    Layer::Endpoint,
    Layer::Resource,
    Layer::Identity,
    Layer::Boundary,
    Layer::Session,
];

impl Evaluate for Spec {
    fn decide(&self, request: &Request, policies: &PolicySet<'_>) -> Decision {
        Evaluation { request, policies, matched: Vec::new() }.decide()
    }
}

struct Evaluation<'a> {
    request: &'a Request,
    policies: &'a PolicySet<'a>,
    matched: Vec<Matched>,
}

/// What the layers say about a request, denies aside.
struct Allows {
    rcp: bool,
    scp: bool,
    endpoint: bool,
    resource: Option<Grant>,
    identity: bool,
    boundary: bool,
    session: bool,
}

impl Allows {
    fn all(resource: Option<Grant>) -> Allows {
        Allows {
            rcp: true,
            scp: true,
            endpoint: true,
            resource,
            identity: true,
            boundary: true,
            session: true,
        }
    }
}

/// What follows from what identity and resource policies allow.
enum Base {
    /// Nothing more is asked for; the layer granted.
    Final(Layer),
    /// Boundary and session policy must allow too; the layer granted.
    Capped(Layer),
    /// Not granted; the layers that should have allowed.
    Lacking(Vec<Layer>),
}

impl Evaluation<'_> {
    fn decide(mut self) -> Decision {
        let allows = self.layers();
        let base = self.base(&allows);
        let denied_by = |layer: Layer| {
            let denies = |m: &Matched| m.layer == layer && m.effect == StatementEffect::Deny;
            self.matched.iter().any(denies)
        };
        let silent = |layer: Layer| match layer {
            Layer::Rcp => !allows.rcp,
            Layer::Scp => !allows.scp,
            Layer::Endpoint => !allows.endpoint,
            Layer::Boundary => matches!(base, Base::Capped(_)) && !allows.boundary,
            Layer::Session => matches!(base, Base::Capped(_)) && !allows.session,
            Layer::Resource | Layer::Identity | Layer::Service | Layer::Ceiling => {
                matches!(&base, Base::Lacking(layers) if layers.contains(&layer))
            }
        };
        let explicit = ORDER.into_iter().find(|layer| denied_by(*layer));
        let implicit = ORDER.into_iter().find(|layer| silent(*layer));
        let mut blocked_by = Vec::new();
        if !matches!(base, Base::Lacking(_)) {
            blocked_by.extend(ORDER.into_iter().filter(|l| denied_by(*l) || silent(*l)));
            blocked_by.sort();
        }
        // An explicit deny anywhere wins before any allow is looked at. [80]
        let (effect, layer) = match (explicit, implicit, &base) {
            (Some(layer), _, _) => (Effect::ExplicitDeny, layer),
            (None, Some(layer), _) => (Effect::ImplicitDeny, layer),
            (None, None, Base::Final(layer) | Base::Capped(layer)) => (Effect::Allow, *layer),
            (None, None, Base::Lacking(_)) => (Effect::ImplicitDeny, Layer::Identity),
        };
        Decision { effect, layer, blocked_by, matched: self.matched }
    }

    /// Tries every statement of every layer that applies to this principal.
    fn layers(&mut self) -> Allows {
        let policies = self.policies;
        let principal = &self.request.principal;
        let has_policies = has_account(principal.kind) && principal.kind != PrincipalKind::Root;
        if self.is_owner_in_own_account() {
            let everything = Some(Grant::Direct);
            return Allows::all(everything);
        }
        let rcp = !self.rcp_applies() || self.levels(&policies.rcp, Layer::Rcp);
        let scp = !self.scp_applies() || self.levels(&policies.scp, Layer::Scp);
        let endpoint = match &policies.endpoint {
            Some(list) => self.policies(list, Layer::Endpoint).is_some(),
            None => true,
        };
        let resource = match &policies.resource {
            Some(resource) => self.policies(&[resource.policy], Layer::Resource),
            None => None,
        };
        let mut allows = Allows { rcp, scp, endpoint, ..Allows::all(resource) };
        // The root user has every right that no organization or resource takes away. [78]
        allows.identity = principal.kind == PrincipalKind::Root;
        if has_policies {
            allows.identity = self.identity();
            if let Some(list) = &policies.boundary
                && !self.is_ram()
            {
                allows.boundary = self.policies(list, Layer::Boundary).is_some();
            }
            allows.session = match &policies.session {
                // RAM knows session policies of role sessions only. [src: POLICY.md 3.6]
                Some(_) if self.is_ram() && principal.kind != PrincipalKind::AssumedRole => true,
                Some(list) => self.policies(list, Layer::Session).is_some(),
                // A federated user without a session policy has no permissions of his own. [67]
                None => principal.kind != PrincipalKind::FederatedUser,
            };
        }
        allows
    }

    fn is_ram(&self) -> bool {
        self.request.dialect == Dialect::Alibaba
    }

    /// No policy applies to the owner of an Alibaba account in it. [src: POLICY.md 3.6]
    ///
    /// Roles are the exception: the owner may assume none.
    fn is_owner_in_own_account(&self) -> bool {
        self.is_ram()
            && self.request.principal.kind == PrincipalKind::Root
            && self.is_same_account()
    }

    /// The principal's policies; those for a resource group only if the others are silent. [src: ALIBABA.md 10]
    fn identity(&mut self) -> bool {
        let before = self.matched.len();
        let allowed = self.policies(&self.policies.identity, Layer::Identity).is_some();
        let silent = self.matched.len() == before;
        if silent && self.is_ram() {
            return self.policies(&self.policies.group, Layer::Identity).is_some();
        }
        allowed
    }

    /// Service control policies bind principals of member accounts, but no service-linked role. [71, 72]
    fn scp_applies(&self) -> bool {
        let principal = &self.request.principal;
        // Control policies of RAM bind users and roles, not the account's owner. [src: POLICY.md 3.6]
        let owner = self.is_ram() && principal.kind == PrincipalKind::Root;
        has_account(principal.kind)
            && !owner
            && !principal.management_account
            && !principal.service_linked
    }

    /// Resource control policies bind everybody but service-linked roles, in member accounts. [73]
    fn rcp_applies(&self) -> bool {
        let principal = &self.request.principal;
        let exempt =
            principal.service_linked || (principal.management_account && self.is_same_account());
        !exempt
    }

    /// An unknown owner counts as the caller's own account.
    fn is_same_account(&self) -> bool {
        match (&self.request.principal.account, &self.request.resource_account) {
            (Some(principal), Some(resource)) => principal == resource,
            _ => true,
        }
    }

    /// Every level must allow; a level without policies does not, and no level neither. [71]
    fn levels(&mut self, levels: &Option<Vec<Vec<Named<'_>>>>, layer: Layer) -> bool {
        let mut all = levels.as_ref().is_none_or(|levels| !levels.is_empty());
        for level in levels.iter().flatten() {
            // Not short-circuited: a deny of a later level must be seen.
            all &= self.policies(level, layer).is_some();
        }
        all
    }

    /// Tries all statements of some policies, and returns the strongest allow.
    fn policies(&mut self, policies: &[Named<'_>], layer: Layer) -> Option<Grant> {
        let mut strongest = None;
        for policy in policies {
            for (number, statement) in policy.document.statements().iter().enumerate() {
                let Some(grant) = self.statement(statement, policy.document) else { continue };
                self.matched.push(Matched {
                    policy: policy.name.to_owned(),
                    statement: number,
                    sid: statement.sid.clone(),
                    layer,
                    effect: statement.effect,
                });
                if statement.effect == StatementEffect::Allow {
                    strongest = strongest.max(Some(grant));
                }
            }
        }
        strongest
    }

    /// Whether a statement matches, and how directly it names the principal.
    fn statement(&self, statement: &Statement, document: &Document) -> Option<Grant> {
        let grant = self.principals(&statement.principals, statement.effect)?;
        let fails_safe = |truth: Truth| match truth {
            Truth::True => true,
            Truth::False => false,
            // What cannot be read neither grants nor lets a deny pass. [section 1, B]
            Truth::Unreadable => statement.effect == StatementEffect::Deny,
        };
        let matches = self.actions(&statement.actions)
            && fails_safe(self.resources(&statement.resources, document))
            && statement.conditions.iter().all(|c| fails_safe(c.evaluate(&self.request.context)));
        matches.then_some(grant)
    }

    fn principals(&self, principals: &Principals, effect: StatementEffect) -> Option<Grant> {
        let principal: &Principal = &self.request.principal;
        match principals {
            Principals::Attached => Some(Grant::Direct),
            Principals::Only(list) => list.iter().filter_map(|e| grant(e, principal)).max(),
            Principals::AllBut(list) => {
                let spared = match effect {
                    // Whoever is named in any way gets nothing from "all but".
                    StatementEffect::Allow => list.iter().any(|e| grant(e, principal).is_some()),
                    // A boundary makes the exception void. [60, 61]
                    StatementEffect::Deny => {
                        self.policies.boundary.is_none() && is_listed_completely(list, principal)
                    }
                };
                (!spared).then_some(Grant::Direct)
            }
        }
    }

    fn actions(&self, actions: &Actions) -> bool {
        let action = &self.request.action;
        match actions {
            Actions::Only(list) => list.iter().any(|p| p.matches_action(action)),
            Actions::AllBut(list) => !list.iter().any(|p| p.matches_action(action)),
        }
    }

    fn resources(&self, resources: &Resources, document: &Document) -> Truth {
        let holds = |truth: bool| if truth { Truth::True } else { Truth::False };
        match resources {
            Resources::Attached => Truth::True,
            Resources::Only(list) => holds(list.iter().any(|t| self.resource(t, document))),
            // An incomplete name that matches nothing must not make "all but" match. [section 1, E]
            Resources::AllBut(list) if list.iter().any(|t| is_broken(t, document)) => {
                Truth::Unreadable
            }
            Resources::AllBut(list) => holds(!list.iter().any(|t| self.resource(t, document))),
        }
    }

    fn resource(&self, template: &Template, document: &Document) -> bool {
        if self.request.wildcard_only {
            return template.is_everything();
        }
        let (resource, context) = (&self.request.resource, &self.request.context);
        let fits = match document.dialect() {
            Dialect::Aws => {
                template.matches_resource(resource, context, incomplete(document.kind()))
            }
            // RAM writes the names of roles in small letters. [src: ALIBABA.md 18]
            Dialect::Alibaba if name::is_ram_role(resource) => {
                template.matches_text_in_any_case(resource, context)
            }
            // In RAM a star crosses every boundary. [src: ALIBABA.md 10]
            Dialect::Alibaba => template.matches_text(resource, context),
        };
        // A variable without a value makes the pattern match nothing. [14, 23]
        fits.unwrap_or(false)
    }

    /// What identity and resource policies come to, denies and guard rails aside.
    fn base(&self, allows: &Allows) -> Base {
        let kind = self.policies.resource.as_ref().map_or(ResourceKind::Generic, |r| r.kind);
        let principal = &self.request.principal;
        if self.is_ram() && principal.kind == PrincipalKind::Root && kind != ResourceKind::Generic {
            return Base::Lacking(vec![Layer::Resource]);
        }
        if !has_account(principal.kind) {
            return match allows.resource {
                Some(_) if !self.is_shut_out(kind) => Base::Final(Layer::Resource),
                _ => Base::Lacking(vec![Layer::Resource]),
            };
        }
        if !self.is_same_account() || (self.is_ram() && kind != ResourceKind::Generic) {
            return both(allows);
        }
        if self.is_ram() {
            return match (allows.identity, allows.resource) {
                (true, _) => Base::Capped(Layer::Identity),
                (false, Some(grant)) if grant > Grant::Account => Base::Capped(Layer::Resource),
                _ => Base::Lacking(vec![Layer::Identity]),
            };
        }
        match (allows.resource, kind) {
            // Final, whatever identity policies, boundary and session policy leave out. [56, 63, 65]
            (Some(Grant::Direct), _) => Base::Final(Layer::Resource),
            // Limited by what boundary and session policy leave out. [64, 66]
            (Some(Grant::Parent), _) if allows.boundary && allows.session => {
                Base::Final(Layer::Resource)
            }
            (Some(Grant::Parent), _) => Base::Capped(Layer::Resource),
            (_, ResourceKind::Generic) if allows.identity => Base::Capped(Layer::Identity),
            (_, ResourceKind::Generic) => Base::Lacking(vec![Layer::Identity]),
            // The resource must have its say even within the account. [58, 59]
            (_, ResourceKind::Trust | ResourceKind::Kms) => both(allows),
        }
    }

    /// Nobody known never reaches roles, whatever their trust policy says; a key neither. (attack D19)
    fn is_shut_out(&self, kind: ResourceKind) -> bool {
        self.request.principal.kind == PrincipalKind::Anonymous && kind != ResourceKind::Generic
    }
}

/// Both the resource and the principal's side must allow. [58, 59, 70]
fn both(allows: &Allows) -> Base {
    let mut lacking = Vec::new();
    if allows.resource.is_none() {
        lacking.push(Layer::Resource);
    }
    if !allows.identity {
        lacking.push(Layer::Identity);
    }
    if lacking.is_empty() { Base::Capped(Layer::Identity) } else { Base::Lacking(lacking) }
}

pub(crate) fn incomplete(kind: PolicyKind) -> Incomplete {
    match kind {
        PolicyKind::Identity | PolicyKind::Managed | PolicyKind::Boundary | PolicyKind::Session => {
            Incomplete::Filled
        }
        PolicyKind::Resource | PolicyKind::Trust | PolicyKind::Scp | PolicyKind::Rcp => {
            Incomplete::Never
        }
    }
}

/// Whether a pattern is too short to name anything in such a policy.
pub(crate) fn is_broken(template: &Template, document: &Document) -> bool {
    document.dialect() == Dialect::Aws
        && incomplete(document.kind()) == Incomplete::Never
        && !template.text().ends_with('*')
        && template.colon_parts() < 6
}
