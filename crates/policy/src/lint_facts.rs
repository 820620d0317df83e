//! Findings that need to know which resources and condition keys an action has.
//!
//! The facts come from the caller. A statement about an action of which nothing is known has no findings.

use crate::condition::Condition;
use crate::coverage::meets_resource;
use crate::document::{Actions, PolicyKind, Resources, Statement};
use crate::lint::Linter;
use crate::pattern::{Pattern, Template};

/// What is known of one action.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ActionFact {
    /// The action, `service:Name`.
    pub action: String,
    /// The names of the resources it is checked against, with wildcards; none if only `*` fits.
    pub resources: Vec<String>,
    /// The condition keys that only some actions have; one that ends in `/` stands for all that begin so.
    pub keys: Vec<String>,
}

/// What is known of actions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ActionFacts {
    /// The actions.
    pub actions: Vec<ActionFact>,
    /// The condition keys that requests for any action may have.
    pub global_keys: Vec<String>,
}

impl ActionFacts {
    /// The known actions that a statement is about; `None` if it may be about others too.
    fn of(&self, actions: &Actions) -> Option<Vec<&ActionFact>> {
        let Actions::Only(patterns) = actions else { return None };
        let mut all = Vec::new();
        for pattern in patterns {
            let (service, _) = pattern.text().split_once(':')?;
            let before = all.len();
            all.extend(self.actions.iter().filter(|f| pattern.matches_action(&f.action)));
            // A wildcard in the service, or a name that is not listed, reaches beyond what is known.
            if service.contains(['*', '?']) || all.len() == before {
                return None;
            }
        }
        Some(all)
    }

    fn is_global(&self, key: &str) -> bool {
        self.global_keys.iter().any(|known| is_key(known, key))
    }
}

/// Whether a key is a known one, or of a known family.
fn is_key(known: &str, key: &str) -> bool {
    match known.strip_suffix('/') {
        Some(family) => key
            .split_once('/')
            .is_some_and(|(name, rest)| name.eq_ignore_ascii_case(family) && !rest.is_empty()),
        None => known.eq_ignore_ascii_case(key),
    }
}

/// Looks at one statement.
pub(crate) fn statement(
    linter: &mut Linter<'_>,
    facts: &ActionFacts,
    statement: &Statement,
    kind: PolicyKind,
    path: &str,
) {
    let Some(known) = facts.of(&statement.actions) else { return };
    for condition in &statement.conditions {
        key(linter, facts, condition, &statement.actions, &known, path);
    }
    let Resources::Only(resources) = &statement.resources else { return };
    if resources.iter().any(Template::is_everything) {
        return;
    }
    let (bare, with): (Vec<&ActionFact>, Vec<&ActionFact>) =
        known.iter().copied().partition(|fact| fact.resources.is_empty());
    for fact in bare {
        // A wildcard may well reach such an action by the way; one that is named is meant.
        if names(&statement.actions, &fact.action) {
            let message = format!(
                "`{}` knows no resources, so this statement does not match it",
                fact.action
            );
            let fix = "put the action into a statement of its own with `Resource` `*`";
            linter.warn("resource-ignored", &format!("{path}/Resource"), message, fix);
        }
    }
    if with.is_empty() {
        return;
    }
    for (number, resource) in resources.iter().enumerate() {
        let types = with.iter().flat_map(|fact| &fact.resources);
        if !types.clone().any(|name| meets_resource(resource, name, kind)) {
            let mut types: Vec<&str> = types.map(String::as_str).collect();
            types.sort_unstable();
            types.dedup();
            let message =
                format!("none of the statement's actions is checked against `{}`", resource.text());
            let fix = format!("name a resource like `{}`", types.join("` or `"));
            linter.warn(
                "resource-of-other-type",
                &format!("{path}/Resource/{number}"),
                message,
                &fix,
            );
        }
    }
}

/// Whether an action is listed without wildcards.
fn names(actions: &Actions, action: &str) -> bool {
    let Actions::Only(list) = actions else { return false };
    list.iter().any(|pattern| pattern.text().eq_ignore_ascii_case(action))
}

fn key(
    linter: &mut Linter<'_>,
    facts: &ActionFacts,
    condition: &Condition,
    actions: &Actions,
    known: &[&ActionFact],
    path: &str,
) {
    let key = &condition.key;
    let has = |fact: &&ActionFact| fact.keys.iter().any(|known| is_key(known, key));
    if facts.is_global(key) || known.iter().any(has) {
        return;
    }
    // Behind a wildcard there may be actions of the service that are not listed.
    let wild = |pattern: &Pattern| pattern.text().contains(['*', '?']);
    let prefix = key.split_once(':').map_or("", |(prefix, _)| prefix);
    let Actions::Only(patterns) = actions else { return };
    let own = patterns.iter().filter(|p| wild(p)).any(|p| {
        p.text().split_once(':').is_some_and(|(service, _)| service.eq_ignore_ascii_case(prefix))
    });
    if own {
        return;
    }
    let path = format!(
        "{path}/Condition{}{}",
        crate::json::pointer_step(&condition.operator_text),
        crate::json::pointer_step(key)
    );
    let message = format!("requests for the statement's actions never have the key `{key}`");
    let fix = "correct the key's name, or move the condition to the actions that have the key";
    linter.warn("key-never-present", &path, message, fix);
}
