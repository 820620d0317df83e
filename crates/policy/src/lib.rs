//! The policy language: documents, patterns, conditions, and the decision whether a request is allowed.
//!
//! This crate turns policy text into a [`Document`] that cannot be wrong, and answers a [`Request`] under a
//! [`PolicySet`] with a [`Decision`] and its reasons. It is pure: no input or output, no clock, no random
//! source, no state. Time comes only from the request's context. It does not store principals, resolve
//! names to principals or know which operations exist.

mod case_form;
pub mod cases;
pub mod change;
pub mod condition;
pub mod coverage;
pub mod decision;
pub mod document;
pub mod engine;
pub mod explain;
pub mod fact;
pub mod json;
pub mod key;
pub mod lint;
pub mod lint_facts;
mod lint_reach;
pub mod lint_rules;
pub mod name;
pub mod owned;
pub mod parse;
mod parse_name;
pub mod pattern;
pub mod principal;
pub mod request;
pub mod sarif;
pub mod spec;
mod suggest;
pub mod value;

pub use change::{Change, Site};
pub use condition::{Condition, Operator, OperatorClass, Quantifier, Truth};
pub use decision::{Decision, Effect, Evaluate, Layer, Matched, denial_text};
pub use document::{
    Actions, Document, PolicyKind, PrincipalEntry, PrincipalList, Principals, Resources, Statement,
    StatementEffect,
};
pub use engine::Engine;
pub use explain::{Closest, Explanation, Failing, Suggestion, explain};
pub use fact::{Fact, TagOf};
pub use key::Key;
pub use lint::{Finding, Severity, check, check_with};
pub use lint_facts::{ActionFact, ActionFacts};
pub use lint_rules::{RULES, Rule};
pub use name::{Arn, Dialect, Entity};
pub use owned::{OwnedPolicies, OwnedPolicy};
pub use parse::ParseError;
pub use pattern::{Pattern, Template};
pub use request::{
    Context, Named, PolicySet, Principal, PrincipalKind, Request, ResourceKind, ResourcePolicy,
    Value,
};
pub use spec::Spec;
