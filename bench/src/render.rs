//! Policies as documents in the vendor's JSON, for every engine that reads it.

use serde_json::{Map, Value, json};

use crate::work::{Effect, Policy, Statement};

/// One document, compact, as it would be stored.
pub fn document(policy: &Policy) -> String {
    document_for(policy, None)
}

/// One document with a `Principal` element in every statement, as resource policies have it.
pub fn document_for(policy: &Policy, principal: Option<&Value>) -> String {
    let statements: Vec<Value> =
        policy.statements.iter().map(|s| statement(s, principal)).collect();
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn statement(statement: &Statement, principal: Option<&Value>) -> Value {
    let effect = match statement.effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    };
    let mut object = Map::new();
    object.insert("Effect".to_owned(), effect.into());
    if let Some(principal) = principal {
        object.insert("Principal".to_owned(), principal.clone());
    }
    object.insert("Action".to_owned(), one_or_many(&statement.actions));
    object.insert("Resource".to_owned(), one_or_many(&statement.resources));
    let mut operators = Map::new();
    for condition in &statement.conditions {
        let operator = if condition.like { "StringLike" } else { "StringEquals" };
        let keys = operators.entry(operator).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(keys) = keys {
            keys.insert(condition.key.clone(), one_or_many(&condition.values));
        }
    }
    if !operators.is_empty() {
        object.insert("Condition".to_owned(), Value::Object(operators));
    }
    Value::Object(object)
}

/// A single text stands alone, as people write it.
fn one_or_many(texts: &[String]) -> Value {
    match texts {
        [only] => only.as_str().into(),
        many => many.into(),
    }
}
