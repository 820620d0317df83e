//! What would have turned a decision around: candidates are made, carried out, decided again, and kept only
//! if the decision is then the opposite.

use serde_json::{Value as Json, json};

use crate::change::{Change, Site};
use crate::condition::{Condition, OperatorClass};
use crate::decision::{Decision, Effect, Evaluate, Layer};
use crate::document::{Statement, StatementEffect};
use crate::explain::{Placed, Suggestion, World};
use crate::name::{self, Dialect};
use crate::owned::OwnedPolicies;
use crate::request::{PrincipalKind, Request, Value};
use crate::spec::Spec;

/// The most suggestions that are given for one decision.
pub const SUGGESTIONS_MAX: usize = 12;

/// The most layers and levels that one suggestion gives something to.
const ROUNDS_MAX: usize = 16;

/// The suggestions for a decision, the plainest first.
pub(crate) fn suggestions(world: &World<'_>, decision: &Decision) -> Vec<Suggestion> {
    let finder = Finder {
        world,
        decision,
        policies: OwnedPolicies::of(world.policies),
        wanted: !decision.allowed(),
    };
    let candidates =
        if decision.allowed() { finder.ways_to_deny() } else { finder.ways_to_allow() };
    let mut found: Vec<Suggestion> = Vec::new();
    for candidate in candidates {
        if !finder.holds(&candidate) {
            continue;
        }
        let suggestion = Suggestion { changes: finder.reduced(candidate) };
        if !found.contains(&suggestion) {
            found.push(suggestion);
        }
    }
    found.sort_by_key(|suggestion| suggestion.changes.len());
    found.truncate(SUGGESTIONS_MAX);
    found
}

struct Finder<'a> {
    world: &'a World<'a>,
    decision: &'a Decision,
    policies: OwnedPolicies,
    /// Whether the changed decision has to be an allow.
    wanted: bool,
}

impl Finder<'_> {
    /// The request and policies after some changes; `None` if one does not fit.
    fn changed(&self, changes: &[Change]) -> Option<(Request, OwnedPolicies)> {
        let (mut request, mut policies) = (self.world.request.clone(), self.policies.clone());
        changes
            .iter()
            .all(|change| change.apply(&mut request, &mut policies))
            .then_some((request, policies))
    }

    fn decide(&self, changes: &[Change]) -> Option<Decision> {
        let (request, policies) = self.changed(changes)?;
        Some(Spec.decide(&request, &policies.as_set()))
    }

    fn holds(&self, changes: &[Change]) -> bool {
        self.decide(changes).is_some_and(|decision| decision.allowed() == self.wanted)
    }

    /// The changes without those that are not needed.
    fn reduced(&self, mut changes: Vec<Change>) -> Vec<Change> {
        let mut at = 0;
        while at < changes.len() {
            let mut fewer = changes.clone();
            fewer.remove(at);
            if self.holds(&fewer) {
                changes = fewer;
            } else {
                at += 1;
            }
        }
        changes
    }

    fn ways_to_allow(&self) -> Vec<Vec<Change>> {
        let Some((denies, adds)) = self.plan() else { return Vec::new() };
        let removals = removals(denies.iter().map(|p| &p.site));
        let plan: Vec<Change> = removals.iter().chain(&adds).cloned().collect();
        let mut ways = vec![plan.clone()];
        // Instead of removing a deny, the request can stay out of its way.
        for deny in &denies {
            for condition in &deny.statement.conditions {
                let stays = |c: &&Change| matches!(c, Change::RemoveStatement { site } if *site == deny.site);
                let others = || plan.iter().filter(|c| !stays(c)).cloned();
                let turned = self.turned(deny, condition, false).into_iter();
                let all = turned.map(|change| others().chain([change]).collect());
                ways.extend(all.into_iter().find(|way: &Vec<Change>| self.holds(way)));
            }
        }
        for add in &adds {
            let others = || plan.iter().filter(|c| *c != add).cloned();
            let Change::AddStatement { layer, level, .. } = add else { continue };
            // Instead of a new allow, the request can meet the conditions of one that is there.
            for near in self.world.statements() {
                let same_place = near.site.layer == *layer && near.site.level == *level;
                if same_place && near.statement.effect == StatementEffect::Allow {
                    ways.extend(self.met(&near).map(|met| others().chain(met).collect()));
                }
            }
            if *layer == Layer::Identity && self.policies.resource.is_some() {
                let adds = self.additions(Layer::Resource, None, StatementEffect::Allow);
                ways.extend(adds.into_iter().map(|a| others().chain([a]).collect()));
            }
        }
        ways
    }

    /// The denies that match, and what must be added where once they are gone.
    fn plan(&self) -> Option<(Vec<Placed<'_>>, Vec<Change>)> {
        let mut denies = self.world.matched(self.decision);
        // Policies for a resource group speak once the principal's others are silent.
        let identity = self.world.policies.identity.len();
        let in_group = |p: &Placed<'_>| {
            p.site.layer == Layer::Identity
                && p.site.position >= identity
                && self.world.fits(p.statement.clone(), p.document)
        };
        let known: Vec<Site> = denies.iter().map(|p| p.site.clone()).collect();
        let group = self.world.statements().into_iter().filter(in_group);
        denies.extend(group.filter(|p| !known.contains(&p.site)));
        denies.retain(|p| p.statement.effect == StatementEffect::Deny);
        let removed = removals(denies.iter().map(|p| &p.site));
        let mut adds: Vec<Change> = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let changes: Vec<Change> = removed.iter().chain(&adds).cloned().collect();
            let decision = self.decide(&changes)?;
            match decision.effect {
                Effect::Allow => return Some((denies, adds)),
                Effect::ExplicitDeny => return None,
                Effect::ImplicitDeny => adds.push(self.next_addition(&decision, &changes)?),
            }
        }
        None
    }

    /// An allow for the layer that failed to give one, or for the first of its levels that did.
    fn next_addition(&self, decision: &Decision, changes: &[Change]) -> Option<Change> {
        let layer = decision.layer;
        let levels = match layer {
            Layer::Scp => self.policies.scp.as_ref(),
            Layer::Rcp => self.policies.rcp.as_ref(),
            _ => None,
        };
        let levels: Vec<Option<usize>> = match levels {
            Some(levels) => (0..levels.len()).map(Some).collect(),
            None => vec![None],
        };
        let silent = |level: &Option<usize>| {
            let (request, policies) = self.changed(changes)?;
            let set = policies.as_set();
            let world = World { request: &request, policies: &set };
            let spoke = world.statements().into_iter().any(|p| {
                p.site.layer == layer
                    && p.site.level == *level
                    && p.statement.effect == StatementEffect::Allow
                    && world.fits(p.statement.clone(), p.document)
            });
            Some(level.is_none() || !spoke)
        };
        let level = levels.into_iter().find(|level| silent(level) == Some(true))?;
        let candidates = self.additions(layer, level, StatementEffect::Allow);
        // The first addition that makes a difference is taken.
        candidates.into_iter().find(|addition| {
            let more: Vec<Change> = changes.iter().chain([addition]).cloned().collect();
            level.is_some() || self.decide(&more).is_some_and(|after| after != *decision)
        })
    }

    /// Statements about exactly this request, for a layer; more than one where a principal has two names.
    fn additions(
        &self,
        layer: Layer,
        level: Option<usize>,
        effect: StatementEffect,
    ) -> Vec<Change> {
        let request = self.world.request;
        let resource = if request.wildcard_only { "*" } else { &request.resource };
        let statement = json!({
            "Effect": effect,
            "Action": request.action,
            // Text of the request must not be read as a variable.
            "Resource": resource.replace("${", "${$}{"),
        });
        let with = |principal: Option<Json>| {
            let mut statement = statement.clone();
            if let (Some(principal), Some(members)) = (principal, statement.as_object_mut()) {
                members.insert("Principal".to_owned(), principal);
            }
            Change::AddStatement { layer, level, statement }
        };
        match layer {
            Layer::Resource => self.principals().into_iter().map(|p| with(Some(p))).collect(),
            Layer::Endpoint | Layer::Rcp => vec![with(Some(json!("*")))],
            _ => vec![with(None)],
        }
        .into_iter()
        .map(|change| self.without_resource_in_trust(change))
        .collect()
    }

    /// A trust policy has no resource: it belongs to its role.
    fn without_resource_in_trust(&self, mut change: Change) -> Change {
        use crate::request::ResourceKind;
        let trust = matches!(&self.policies.resource, Some((_, ResourceKind::Trust)));
        if let Change::AddStatement { layer: Layer::Resource, statement, .. } = &mut change
            && trust
            && let Some(members) = statement.as_object_mut()
        {
            members.remove("Resource");
        }
        change
    }

    /// How a resource's policy can name the one who asks.
    fn principals(&self) -> Vec<Json> {
        let principal = &self.world.request.principal;
        let dialect = self.world.request.dialect;
        let kind = match dialect {
            Dialect::Aws => "AWS",
            Dialect::Alibaba => "RAM",
        };
        let own = |text: &Option<String>| text.as_ref().map(|text| json!({kind: text}));
        let text = |name: &str, value: &Option<String>| value.as_ref().map(|v| json!({name: v}));
        let names = match principal.kind {
            PrincipalKind::User | PrincipalKind::Role => vec![own(&principal.arn)],
            PrincipalKind::AssumedRole | PrincipalKind::FederatedUser => {
                vec![own(&principal.role_arn), own(&principal.arn)]
            }
            PrincipalKind::Root => {
                let account = principal.account.as_ref();
                vec![account.map(|a| json!({kind: name::root(dialect, a)}))]
            }
            PrincipalKind::Service => vec![text("Service", &principal.service)],
            PrincipalKind::WebIdentity | PrincipalKind::Saml => {
                vec![text("Federated", &principal.provider)]
            }
            PrincipalKind::CanonicalUser => vec![text("CanonicalUser", &principal.canonical_user)],
            PrincipalKind::Anonymous => vec![Some(json!("*"))],
        };
        names.into_iter().flatten().collect()
    }

    /// Changes of condition keys that make a statement match which fails by its conditions alone.
    fn met(&self, near: &Placed<'_>) -> Option<Vec<Change>> {
        let unconditional = Statement { conditions: Vec::new(), ..near.statement.clone() };
        if near.statement.conditions.is_empty() || !self.world.fits(unconditional, near.document) {
            return None;
        }
        let mut changes = Vec::new();
        for condition in &near.statement.conditions {
            if !self.condition_fits(near, condition, &[]) {
                changes.push(self.turned(near, condition, true).into_iter().next()?);
            }
        }
        (!changes.is_empty()).then_some(changes)
    }

    /// Changes of a condition's key that make the condition hold, or not hold.
    fn turned(&self, near: &Placed<'_>, condition: &Condition, holds: bool) -> Vec<Change> {
        let mut candidates = self.key_changes(condition);
        if !holds {
            candidates.reverse();
        }
        candidates.retain(|change| {
            self.condition_fits(near, condition, std::slice::from_ref(change)) == holds
        });
        candidates
    }

    fn condition_fits(&self, near: &Placed<'_>, condition: &Condition, changes: &[Change]) -> bool {
        let Some((request, _)) = self.changed(changes) else { return false };
        let world = World { request: &request, policies: self.world.policies };
        let alone = Statement { conditions: vec![condition.clone()], ..near.statement.clone() };
        world.fits(alone, near.document)
    }

    /// Values to try for a condition's key, those that are listed first, and none at all last.
    fn key_changes(&self, condition: &Condition) -> Vec<Change> {
        let context = &self.world.request.context;
        let mut texts = Vec::new();
        for template in &condition.values {
            let Some(text) = template.expand_text(context) else { continue };
            texts.push(text.replace(['*', '?'], "x"));
            texts.push(text.replace('*', "").replace('?', "x"));
            texts.extend(text.split_once('/').map(|(base, _)| base.to_owned()));
            if let Ok(number) = text.parse::<i64>() {
                texts.extend([-1, 1].map(|d| number.saturating_add(d).to_string()));
            }
        }
        texts.push(name::user(Dialect::Aws, "999999999999", "/", "other"));
        texts.extend(others(condition).iter().map(|t| (*t).to_owned()));
        let several = condition.operator.is_some_and(|o| o.quantifier.is_some())
            && !matches!(context.get(&condition.key), Some(Value::Single(_)));
        let key = &condition.key;
        let set = |text: String| Change::SetKey {
            key: key.to_string(),
            value: if several { Value::List(vec![text]) } else { Value::Single(text) },
        };
        let mut changes: Vec<Change> = texts.into_iter().map(set).collect();
        changes.push(Change::RemoveKey { key: key.to_string() });
        changes
    }

    fn ways_to_deny(&self) -> Vec<Vec<Change>> {
        let mut ways = Vec::new();
        ways.extend(self.withdrawn());
        let mut allows = self.world.matched(self.decision);
        allows.retain(|p| p.statement.effect == StatementEffect::Allow);
        // Nothing but an organization or a resource can deny the root user.
        let root = self.world.request.principal.kind == PrincipalKind::Root;
        for layer in [Layer::Identity, Layer::Resource] {
            if layer == Layer::Identity || root || self.policies.resource.is_some() {
                let adds = self.additions(layer, None, StatementEffect::Deny);
                ways.extend(adds.into_iter().map(|add| vec![add]));
            }
        }
        for allow in &allows {
            for condition in &allow.statement.conditions {
                let turned = self.turned(allow, condition, false).into_iter();
                ways.extend(turned.map(|change| vec![change]).find(|way| self.holds(way)));
            }
            // One statement less, where it is the only one that allows in its layer or level.
            ways.push(removals([&allow.site].into_iter()));
        }
        for (level, _) in self.policies.scp.iter().flatten().enumerate() {
            ways.push(self.additions(Layer::Scp, Some(level), StatementEffect::Deny));
        }
        ways
    }

    /// Every allow of the layer that granted is removed, and of the next layer that grants then.
    fn withdrawn(&self) -> Option<Vec<Change>> {
        let mut sites: Vec<Site> = Vec::new();
        let mut decision = self.decision.clone();
        let allows = self.world.matched(self.decision);
        while decision.allowed() {
            let before = sites.len();
            let granting = allows.iter().filter(|p| {
                p.site.layer == decision.layer && p.site.effect == StatementEffect::Allow
            });
            sites.extend(granting.map(|p| p.site.clone()));
            if sites.len() == before || sites.len() > 4 * ROUNDS_MAX {
                return None;
            }
            sites.dedup();
            decision = self.decide(&removals(sites.iter()))?;
            if decision.allowed() && sites.iter().any(|s| s.layer == decision.layer) {
                return None;
            }
        }
        Some(removals(sites.iter()))
    }
}

/// Removals in such an order that no number of a later one shifts.
fn removals<'s>(sites: impl Iterator<Item = &'s Site>) -> Vec<Change> {
    let mut sites: Vec<&Site> = sites.collect();
    sites.sort_by(|a, b| b.cmp(a));
    sites.into_iter().map(|site| Change::RemoveStatement { site: site.clone() }).collect()
}

/// Values that an operator can read and that are rarely listed.
fn others(condition: &Condition) -> &'static [&'static str] {
    use OperatorClass as Class;
    let Some(operator) = condition.operator else { return &[] };
    match operator.class {
        Class::Bool => &["true", "false"],
        Class::Null => &["present"],
        Class::IpAddress | Class::NotIpAddress => {
            &["192.0.2.1", "198.51.100.1", "2001:db8::1", "10.0.0.1"]
        }
        Class::BinaryEquals => &["b3RoZXI="],
        Class::NumericEquals
        | Class::NumericNotEquals
        | Class::NumericLessThan
        | Class::NumericLessThanEquals
        | Class::NumericGreaterThan
        | Class::NumericGreaterThanEquals => &["0", "-1000000000", "1000000000"],
        Class::DateEquals
        | Class::DateNotEquals
        | Class::DateLessThan
        | Class::DateLessThanEquals
        | Class::DateGreaterThan
        | Class::DateGreaterThanEquals => &["1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z"],
        _ => &["other"],
    }
}
