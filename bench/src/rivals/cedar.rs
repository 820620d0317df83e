//! cedar-policy: one policy per statement, actions as entities in groups for the patterns that fit them.
//!
//! Resources are compared by `like` on a text of the context, because resource patterns are open-ended.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression,
};

use crate::engine::Engine;
use crate::work::{Ask, Effect, Policy, Statement, fits};

/// The engine.
pub struct Cedar;

/// The authorizer and the entities of the asked actions.
pub struct World {
    authorizer: Authorizer,
    entities: Entities,
}

impl Engine for Cedar {
    const NAME: &'static str = "cedar-policy 4.14";
    const FLEET: Result<usize, &'static str> = Ok(crate::workloads::PRINCIPALS);
    type Source = String;
    type World = World;
    type Loaded = PolicySet;
    type Request = Request;

    fn render(policies: &[Policy], _: &[Ask]) -> Result<String, String> {
        let mut text = String::new();
        for statement in policies.iter().flat_map(|policy| &policy.statements) {
            write_policy(&mut text, statement);
        }
        Ok(text)
    }

    fn world(patterns: &[String], asks: &[Ask]) -> World {
        let mut entities = HashMap::new();
        for ask in asks {
            let groups = patterns.iter().filter(|p| p.contains('*') && fits(p, &ask.action));
            let groups: HashSet<EntityUid> = groups.map(|p| uid("Action", p)).collect();
            for group in &groups {
                let entity = Entity::new_no_attrs(group.clone(), HashSet::new());
                entities.insert(group.clone(), entity);
            }
            let action = uid("Action", &ask.action);
            entities.insert(action.clone(), Entity::new_no_attrs(action, groups));
        }
        World {
            authorizer: Authorizer::new(),
            entities: Entities::from_entities(entities.into_values(), None).expect("no cycles"),
        }
    }

    fn load(source: &String) -> PolicySet {
        PolicySet::from_str(source).expect("written here")
    }

    fn request(ask: &Ask) -> Request {
        let resource = [("resource".to_owned(), ask.resource.clone())];
        let pairs = ask.context.iter().cloned().chain(resource);
        let pairs = pairs.map(|(key, value)| (key, RestrictedExpression::new_string(value)));
        Request::new(
            uid("User", "worker"),
            uid("Action", &ask.action),
            uid("Resource", "any"),
            Context::from_pairs(pairs).expect("different keys"),
            None,
        )
        .expect("no schema")
    }

    fn allowed(world: &World, loaded: &mut PolicySet, request: &Request) -> bool {
        let answer = world.authorizer.is_authorized(request, loaded, &world.entities);
        answer.decision() == Decision::Allow
    }
}

fn uid(kind: &str, id: &str) -> EntityUid {
    let kind = EntityTypeName::from_str(kind).expect("a name");
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}

fn write_policy(text: &mut String, statement: &Statement) {
    let effect = match statement.effect {
        Effect::Allow => "permit",
        Effect::Deny => "forbid",
    };
    let actions: Vec<String> = statement.actions.iter().map(|a| format!("Action::{a:?}")).collect();
    let scope = match actions.as_slice() {
        [only] if only.contains('*') => format!("action in {only}"),
        [only] => format!("action == {only}"),
        many => format!("action in [{}]", many.join(", ")),
    };
    let mut clauses = Vec::new();
    if !statement.resources.iter().any(|pattern| pattern == "*") {
        clauses.push(any("context.resource", &statement.resources, true));
    }
    for condition in &statement.conditions {
        let key = format!("context[{:?}]", condition.key);
        let values = any(&key, &condition.values, condition.like);
        clauses.push(format!("context has {:?} && {values}", condition.key));
    }
    let when = if clauses.is_empty() {
        String::new()
    } else {
        format!(" when {{ {} }}", clauses.join(" && "))
    };
    writeln!(text, "{effect}(principal, {scope}, resource){when};").expect("into a string");
}

/// Whether a text fits one of some patterns; literal ones are compared for equality.
fn any(subject: &str, patterns: &[String], like: bool) -> String {
    let tests: Vec<String> = patterns
        .iter()
        .map(|pattern| {
            let operator = if like && pattern.contains('*') { "like" } else { "==" };
            format!("{subject} {operator} {pattern:?}")
        })
        .collect();
    if tests.len() == 1 { tests.join("") } else { format!("({})", tests.join(" || ")) }
}
