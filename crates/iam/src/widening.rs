//! Which documents of a service's manifest would let it change identities here, or mint credentials: what a stolen
//! session of its role would be worth most for.
//!
//! Decided by the operation table, not by how a document is written: every pattern is held against every operation.
//! Vendors' policies that an operator imports are not asked: nobody has a key of those services, so no session of
//! their roles exists.

use crate::operations::{Access, Guard, Operation};
use crate::rows::{Documents, PermissionsPolicy};
use policy::{Actions, Dialect, Resources, Statement, StatementEffect};

/// Operations on a service's own kind of role. They hand out nothing, and what they make only its service can use.
const HARMLESS: [Operation; 2] =
    [Operation::CreateServiceLinkedRole, Operation::DeleteServiceLinkedRole];

/// Whether an operation changes identities or mints credentials for whom policies allow it.
pub fn widens(operation: Operation) -> bool {
    let facts = operation.facts();
    facts.access != Access::Read
        && matches!(facts.guard, Guard::Policy | Guard::Trust)
        && !HARMLESS.contains(&operation)
}

/// The actions by which documents let their holder change identities or mint credentials, in order of the table.
/// Conditions and resources of what allows are not looked at: they may come true.
pub fn actions(documents: &Documents) -> Vec<String> {
    let both = [(Dialect::Aws, &documents.aws), (Dialect::Alibaba, &documents.alibaba)];
    let mut found = Vec::new();
    for (dialect, document) in both {
        let Some(document) = document else { continue };
        let actions = Operation::ALL.iter().filter(|operation| widens(**operation));
        for action in actions.map(|operation| operation.action(dialect)) {
            if allows(document, &action) && !found.contains(&action) {
                found.push(action);
            }
        }
    }
    found
}

/// Whether some statement allows an action on something, and none denies it on everything.
fn allows(document: &PermissionsPolicy, action: &str) -> bool {
    let says = |effect: StatementEffect| {
        let statements = document.document().statements().iter();
        statements.filter(move |s| s.effect == effect && is_about(s, action))
    };
    let everywhere = |s: &Statement| {
        let everything = match &s.resources {
            Resources::Only(list) => list.iter().any(policy::Template::is_everything),
            Resources::Attached | Resources::AllBut(_) => false,
        };
        everything && s.conditions.is_empty()
    };
    says(StatementEffect::Allow).next().is_some() && !says(StatementEffect::Deny).any(everywhere)
}

fn is_about(statement: &Statement, action: &str) -> bool {
    match &statement.actions {
        Actions::Only(patterns) => patterns.iter().any(|p| p.matches_action(action)),
        Actions::AllBut(patterns) => !patterns.iter().any(|p| p.matches_action(action)),
    }
}
