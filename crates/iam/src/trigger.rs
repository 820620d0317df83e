//! Which calls of a service make it work with a role of its own: what the service declares, and what follows from it.
//!
//! The owner of the role's permissions declares it, so that whoever reads them knows which call reaches what. What the
//! service may do is bounded by its permissions, whatever it declares.

use crate::arguments::Manifest;
use crate::error::Error;
use crate::limits;
use crate::rows::*;
use crate::state::State;
use crate::text::*;
use policy::{Dialect, Pattern};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// In whose name the service works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acting {
    /// With its role.
    #[default]
    Role,
    /// In the caller's name, within what the manifest's `forward` declares.
    Caller,
}

/// Calls of a service that make it work with a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The service's own actions; `*` and `?` stand for any characters.
    pub on: BTreeSet<String>,
    /// Whether the role is made for them, where there is none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub creates: bool,
    /// The statements that the service then uses, by `Sid`; all of them, unless given.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub uses: BTreeSet<String>,
    /// Condition keys of the caller's request that the service hands on.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub carries: BTreeSet<String>,
    /// In whose name.
    #[serde(default, rename = "as", skip_serializing_if = "Acting::is_role")]
    pub acting: Acting,
}

impl Acting {
    fn is_role(&self) -> bool {
        *self == Self::Role
    }
}

/// Whether the triggers of a role say what can be: own actions, statements that there are, keys.
pub fn check(manifest: &Manifest, template: &Template) -> Result<(), Error> {
    let wrong = |message: String| {
        let message = format!("role `{}`: {message}", template.principal);
        Err(Error::Invalid { field: "trigger", message })
    };
    if template.triggers.len() > limits::TRIGGERS_PER_ROLE {
        return wrong(format!("expected at most {} triggers", limits::TRIGGERS_PER_ROLE));
    }
    for trigger in &template.triggers {
        if trigger.on.is_empty() || trigger.on.len() > limits::ACTIONS_PER_TRIGGER {
            return wrong(format!("`on`: expected 1 to {} actions", limits::ACTIONS_PER_TRIGGER));
        }
        if let Some(bad) = trigger.on.iter().find(|action| !is_own(manifest, action)) {
            return wrong(format!(
                "`on`: expected actions of the service's signing names; found `{bad}`"
            ));
        }
        let documents = match trigger.acting {
            Acting::Role => template.versions.get(&template.version).cloned().unwrap_or_default(),
            Acting::Caller => manifest.forward.clone(),
        };
        if let Some(bad) = trigger.uses.iter().find(|sid| !has_statement(&documents, sid)) {
            return wrong(format!("`uses`: expected the `Sid` of a statement; found `{bad}`"));
        }
        if trigger.acting == Acting::Caller && documents == Documents::default() {
            return wrong("`as = \"caller\"` needs a `forward` in the manifest".to_owned());
        }
        let is_key = |key: &&String| key.len() <= 128 && key.contains(':');
        if let Some(bad) = trigger.carries.iter().find(|key| !is_key(key)) {
            return wrong(format!("`carries`: expected condition keys; found `{bad}`"));
        }
    }
    Ok(())
}

fn is_own(manifest: &Manifest, action: &str) -> bool {
    let Some((prefix, name)) = action.split_once(':') else { return false };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '*' || c == '?';
    manifest.signing_names.contains(prefix)
        && (1..=128).contains(&name.len())
        && name.chars().all(fits)
}

fn has_statement(documents: &Documents, sid: &str) -> bool {
    let given = [&documents.aws, &documents.alibaba].into_iter().flatten();
    let mut statements = given.flat_map(|policy| policy.document().statements());
    statements.any(|statement| statement.sid.as_deref() == Some(sid))
}

/// The principals of the roles that are made for an action, where this account has none of them.
pub fn missing(
    state: &State,
    service: &Service,
    account: &AccountId,
    dialect: Dialect,
    action: &str,
) -> Vec<ServiceName> {
    let made_for = |template: &&Template| {
        let mut creating = template.triggers.iter().filter(|trigger| trigger.creates);
        template.is_offered_in(dialect)
            && creating.any(|trigger| {
                trigger.on.iter().any(|pattern| Pattern::new(pattern).matches_action(action))
            })
    };
    let is_there = |template: &Template| {
        let name = RoleName::parse(&template.role_name(dialect));
        name.is_ok_and(|name| state.role(account, &name.folded()).is_some())
    };
    let wanted = service.templates.values().filter(made_for);
    wanted.filter(|t| !is_there(t)).map(|t| t.principal.clone()).collect()
}
