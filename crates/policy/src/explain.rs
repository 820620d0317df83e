//! Why a decision came out as it did, which statement came closest, and what would have turned it around.
//!
//! Nothing is guessed: every test of a part of a statement is a question to the plain evaluator, and every
//! suggestion was carried out and decided again before it is given.

use serde::Serialize;

use crate::change::{Change, Site};
use crate::decision::{Decision, Effect, Evaluate, Layer};
use crate::document::{
    Actions, Document, PrincipalEntry, Principals, Resources, Statement, StatementEffect,
};
use crate::request::{Named, PolicySet, Request, Value};
use crate::spec::Spec;
use crate::suggest;

/// Why a decision came out as it did.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Explanation {
    /// The statements that decided; none when the lack of one did.
    pub decided_by: Vec<Site>,
    /// Of a denial for lack of an allow, the statement of the deciding layer that came closest to allowing.
    pub closest: Option<Closest>,
    /// What would have turned the decision around, each suggestion by itself.
    pub suggestions: Vec<Suggestion>,
}

/// A statement that did not match, and why.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Closest {
    /// Where it stands.
    pub site: Site,
    /// Every part that does not fit.
    pub failing: Vec<Failing>,
}

/// A part of a statement that does not fit the request.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "element", rename_all = "snake_case")]
pub enum Failing {
    /// The principal.
    Principal {
        /// The name of the element, `Principal` or `NotPrincipal`.
        name: &'static str,
        /// The listed principals.
        wanted: Vec<String>,
        /// Who asks.
        found: String,
    },
    /// The action.
    Action {
        /// The name of the element, `Action` or `NotAction`.
        name: &'static str,
        /// The listed patterns.
        wanted: Vec<String>,
        /// The action that is asked for.
        found: String,
    },
    /// The resource.
    Resource {
        /// The name of the element, `Resource` or `NotResource`.
        name: &'static str,
        /// The listed patterns.
        wanted: Vec<String>,
        /// The resource that is asked for.
        found: String,
    },
    /// One key of one condition operator.
    Condition {
        /// The operator as written.
        operator: String,
        /// The condition key as written.
        key: String,
        /// The listed values.
        wanted: Vec<String>,
        /// The request's value; `None` if it has none.
        found: Option<Value>,
    },
}

/// Changes that together turn a decision around.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Suggestion {
    /// The changes; all are needed, and they are carried out in this order.
    pub changes: Vec<Change>,
}

impl Suggestion {
    /// The suggestion in words.
    pub fn text(&self) -> String {
        self.changes.iter().map(Change::text).collect::<Vec<_>>().join(", and ")
    }
}

impl Failing {
    /// The reason in words.
    pub fn text(&self) -> String {
        let listed = |wanted: &[String]| format!("`{}`", wanted.join("`, `"));
        match self {
            Failing::Principal { name, wanted, found } => {
                fit("principal", found, name, &listed(wanted))
            }
            Failing::Action { name, wanted, found } => fit("action", found, name, &listed(wanted)),
            Failing::Resource { name, wanted, found } => {
                fit("resource", found, name, &listed(wanted))
            }
            Failing::Condition { operator, key, wanted, found } => {
                let found = match found {
                    Some(Value::Single(value)) => format!("it is `{value}`"),
                    Some(Value::List(list)) => format!("its values are `{}`", list.join("`, `")),
                    None => "the request has none".to_owned(),
                };
                format!("condition {operator} on `{key}` wants {}, and {found}", listed(wanted))
            }
        }
    }
}

fn fit(what: &str, found: &str, name: &str, wanted: &str) -> String {
    if name.starts_with("Not") {
        format!("{what} `{found}` is left out by {name} {wanted}")
    } else {
        format!("{what} `{found}` does not fit {name} {wanted}")
    }
}

/// Explains a decision that was made about a request under these policies.
pub fn explain(request: &Request, policies: &PolicySet<'_>, decision: &Decision) -> Explanation {
    let world = World { request, policies };
    Explanation {
        decided_by: world.decided_by(decision),
        closest: world.closest(decision),
        suggestions: suggest::suggestions(&world, decision),
    }
}

/// A request and its policies, to be asked about.
pub(crate) struct World<'a> {
    pub request: &'a Request,
    pub policies: &'a PolicySet<'a>,
}

/// A statement with its place and its document.
pub(crate) struct Placed<'a> {
    pub site: Site,
    pub statement: &'a Statement,
    pub document: &'a Document,
}

impl<'a> World<'a> {
    /// Every statement of every layer, whether or not the layer binds the principal.
    pub(crate) fn statements(&self) -> Vec<Placed<'a>> {
        let policies = self.policies;
        let mut all = Vec::new();
        for (layer, levels) in [(Layer::Rcp, &policies.rcp), (Layer::Scp, &policies.scp)] {
            for (level, list) in levels.iter().flatten().enumerate() {
                place(layer, Some(level), list, &mut all);
            }
        }
        if let Some(resource) = &policies.resource {
            place(Layer::Resource, None, std::slice::from_ref(&resource.policy), &mut all);
        }
        // Those for the resource's group follow the principal's other policies.
        let own: Vec<Named<'a>> =
            policies.identity.iter().chain(&policies.group).copied().collect();
        place(Layer::Identity, None, &own, &mut all);
        let optional = [
            (Layer::Endpoint, &policies.endpoint),
            (Layer::Boundary, &policies.boundary),
            (Layer::Session, &policies.session),
        ];
        for (layer, list) in optional {
            place(layer, None, list.as_deref().unwrap_or_default(), &mut all);
        }
        all
    }

    /// The statements that matched, by their places.
    pub(crate) fn matched(&self, decision: &Decision) -> Vec<Placed<'a>> {
        let listed = |site: &Site| {
            decision.matched.iter().any(|m| {
                m.layer == site.layer && m.policy == site.policy && m.statement == site.statement
            })
        };
        // Policies of one name may stand at several levels, so each statement is tried again.
        let mut all = self.statements();
        all.retain(|p| listed(&p.site) && self.fits(p.statement.clone(), p.document));
        all
    }

    /// Whether a statement matches the request, wherever it stands.
    ///
    /// The evaluator is asked about a document of this statement alone, in the one layer that binds everybody.
    pub(crate) fn fits(&self, statement: Statement, document: &Document) -> bool {
        let mut alone = document.clone();
        alone.statements = vec![statement];
        let named = Named { name: "", document: &alone };
        let policies = PolicySet {
            endpoint: Some(vec![named]),
            // Whether there is a boundary matters to `NotPrincipal`.
            boundary: self.policies.boundary.as_ref().map(|_| Vec::new()),
            ..PolicySet::default()
        };
        !Spec.decide(self.request, &policies).matched.is_empty()
    }

    /// The parts of a statement that do not fit the request.
    pub(crate) fn failing(&self, statement: &Statement, document: &Document) -> Vec<Failing> {
        let bare = Statement {
            principals: Principals::Attached,
            actions: Actions::AllBut(Vec::new()),
            resources: Resources::Attached,
            conditions: Vec::new(),
            ..statement.clone()
        };
        let mut failing = Vec::new();
        let principals = Statement { principals: statement.principals.clone(), ..bare.clone() };
        if !self.fits(principals, document) {
            failing.push(self.failing_principal(&statement.principals));
        }
        let actions = Statement { actions: statement.actions.clone(), ..bare.clone() };
        if !self.fits(actions, document) {
            failing.push(self.failing_action(&statement.actions));
        }
        let resources = Statement { resources: statement.resources.clone(), ..bare.clone() };
        if !self.fits(resources, document) {
            failing.push(self.failing_resource(&statement.resources));
        }
        for condition in &statement.conditions {
            let alone = Statement { conditions: vec![condition.clone()], ..bare.clone() };
            if !self.fits(alone, document) {
                failing.push(Failing::Condition {
                    operator: condition.operator_text.to_string(),
                    key: condition.key.to_string(),
                    wanted: condition.values.iter().map(|v| v.text().to_owned()).collect(),
                    found: self.request.context.get(&condition.key).cloned(),
                });
            }
        }
        failing
    }

    fn failing_principal(&self, principals: &Principals) -> Failing {
        let principal = &self.request.principal;
        let names = [&principal.arn, &principal.service, &principal.provider, &principal.id];
        let found = names.into_iter().flatten().next().cloned();
        let (name, list) = match principals {
            Principals::AllBut(list) => ("NotPrincipal", list.as_slice()),
            Principals::Only(list) => ("Principal", list.as_slice()),
            Principals::Attached => ("Principal", [].as_slice()),
        };
        Failing::Principal {
            name,
            wanted: list.iter().map(entry_text).collect(),
            found: found.unwrap_or_else(|| format!("{:?}", principal.kind)),
        }
    }

    fn failing_action(&self, actions: &Actions) -> Failing {
        let (name, list) = match actions {
            Actions::Only(list) => ("Action", list),
            Actions::AllBut(list) => ("NotAction", list),
        };
        let wanted = list.iter().map(|p| p.text().to_owned()).collect();
        Failing::Action { name, wanted, found: self.request.action.clone() }
    }

    fn failing_resource(&self, resources: &Resources) -> Failing {
        let (name, list) = match resources {
            Resources::Only(list) => ("Resource", list.as_slice()),
            Resources::AllBut(list) => ("NotResource", list.as_slice()),
            Resources::Attached => ("Resource", [].as_slice()),
        };
        let wanted = list.iter().map(|t| t.text().to_owned()).collect();
        Failing::Resource { name, wanted, found: self.request.resource.clone() }
    }

    fn decided_by(&self, decision: &Decision) -> Vec<Site> {
        let effect = match decision.effect {
            Effect::Allow => StatementEffect::Allow,
            Effect::ExplicitDeny => StatementEffect::Deny,
            Effect::ImplicitDeny => return Vec::new(),
        };
        let mut sites: Vec<Site> = self.matched(decision).into_iter().map(|p| p.site).collect();
        sites.retain(|site| site.layer == decision.layer && site.effect == effect);
        sites
    }

    /// The allow of the deciding layer with the fewest parts that do not fit; the first of several.
    fn closest(&self, decision: &Decision) -> Option<Closest> {
        if decision.effect != Effect::ImplicitDeny {
            return None;
        }
        let all = self.statements().into_iter();
        let allows = all.filter(|p| {
            p.site.layer == decision.layer && p.statement.effect == StatementEffect::Allow
        });
        allows
            .map(|p| Closest { failing: self.failing(p.statement, p.document), site: p.site })
            // What fits completely did its part; another level or layer did not.
            .filter(|closest| !closest.failing.is_empty())
            .min_by_key(|closest| closest.failing.len())
    }
}

fn place<'a>(layer: Layer, level: Option<usize>, list: &[Named<'a>], all: &mut Vec<Placed<'a>>) {
    for (position, policy) in list.iter().enumerate() {
        for (number, statement) in policy.document.statements().iter().enumerate() {
            let site = Site {
                layer,
                level,
                position,
                policy: policy.name.to_owned(),
                statement: number,
                sid: statement.sid.clone(),
                effect: statement.effect,
            };
            all.push(Placed { site, statement, document: policy.document });
        }
    }
}

fn entry_text(entry: &PrincipalEntry) -> String {
    match entry {
        PrincipalEntry::Everyone => "*".to_owned(),
        PrincipalEntry::Aws { text, .. } => text.clone(),
        PrincipalEntry::Service(text)
        | PrincipalEntry::Federated(text)
        | PrincipalEntry::CanonicalUser(text) => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "tests may fail loudly")]

    use super::*;
    use crate::cases::{self, Task};

    #[test]
    fn a_statement_has_a_failing_part_exactly_if_it_does_not_match() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../corpus/policy");
        let mut tried = 0;
        for entry in std::fs::read_dir(folder).expect("the corpus is there") {
            let text = std::fs::read_to_string(entry.expect("readable").path()).expect("readable");
            for case in cases::read(&text).expect("a case file") {
                let Task::Evaluate(task) = &case.task else { continue };
                let Ok(policies) = task.policies() else { continue };
                let set = policies.as_set();
                let world = World { request: &task.request, policies: &set };
                for placed in world.statements() {
                    let fits = world.fits(placed.statement.clone(), placed.document);
                    let failing = world.failing(placed.statement, placed.document);
                    assert_eq!(fits, failing.is_empty(), "{}: {failing:?}", case.id);
                    tried += 1;
                }
                // Every statement that the evaluator names is found at its place.
                let decision = Spec.decide(&task.request, &set);
                assert!(world.matched(&decision).len() >= decision.matched.len(), "{}", case.id);
            }
        }
        assert!(tried > 500, "only {tried} statements were tried");
    }
}
