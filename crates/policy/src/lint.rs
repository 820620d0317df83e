//! Findings about a policy text: what is wrong, dangerous or useless in it, and what to write instead.
//!
//! Errors are the parser's. Warnings are about statements that are accepted and probably do not do what their
//! author means. What needs to know which actions exist is silent unless it is told; see `lint_facts`.

use serde::Serialize;

use crate::condition::{Condition, Operator, OperatorClass, Quantifier};
use crate::document::{
    Actions, Document, PolicyKind, PrincipalEntry, Principals, Resources, Statement,
    StatementEffect,
};
use crate::json::{self, Json, Node};
use crate::lint_facts::{self, ActionFacts};
use crate::lint_reach;
use crate::name::Dialect;
use crate::parse::ParseError;
use crate::pattern::Template;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The text is refused.
    Error,
    /// The text is accepted and probably does not do what is meant.
    Warning,
    /// The text could be written better.
    Suggestion,
}

/// One finding.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A fixed name of the kind of finding.
    pub code: &'static str,
    /// What was found.
    pub message: String,
    /// What to do.
    pub fix: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The JSON pointer of the value.
    pub path: String,
}

/// The most findings that one check makes; whoever has as many starts with these.
pub const FINDINGS_MAX: usize = 100;

/// Checks a policy text of AWS that somebody wants to store: errors if it is refused, else warnings and suggestions.
pub fn check(text: &str, kind: PolicyKind) -> Vec<Finding> {
    check_with(text, kind, Dialect::Aws, &ActionFacts::default())
}

/// As [`check`], in the language of a dialect, and with what is known of actions.
pub fn check_with(
    text: &str,
    kind: PolicyKind,
    dialect: Dialect,
    facts: &ActionFacts,
) -> Vec<Finding> {
    let document = match Document::parse(text, kind, dialect) {
        Ok(document) => document,
        Err(error) => return refused(text, kind, dialect, error),
    };
    let Ok(root) = json::read(text) else { return Vec::new() };
    let mut linter = Linter { text, root: &root, findings: Vec::new() };
    linter.document(&document, kind, facts);
    linter.findings
}

/// Why a text is refused; operators that do not exist are all named, as the parser stops at one error.
fn refused(text: &str, kind: PolicyKind, dialect: Dialect, error: ParseError) -> Vec<Finding> {
    let mut findings = match (Document::read(text, kind, dialect), json::read(text)) {
        (Ok(document), Ok(root)) => {
            let mut linter = Linter { text, root: &root, findings: Vec::new() };
            for (statement, path) in document.statements().iter().zip(linter.paths(&document)) {
                for condition in &statement.conditions {
                    linter.operator(condition, &path);
                }
            }
            linter.findings
        }
        _ => Vec::new(),
    };
    let named = findings.iter().any(|finding| {
        error.path == finding.path || error.path.starts_with(&format!("{}/", finding.path))
    });
    if !named {
        let finding = Finding {
            severity: Severity::Error,
            code: "malformed",
            message: error.message,
            fix: error.detail,
            line: error.line,
            column: error.column,
            path: error.path,
        };
        findings.insert(0, finding);
    }
    findings
}

/// The operator whose name has the most in common with a text.
fn nearest_operator(text: &str) -> &'static str {
    let bare = text.rsplit(':').next().unwrap_or(text).to_ascii_lowercase();
    let bare = bare.strip_suffix("ifexists").unwrap_or(&bare);
    let names = OperatorClass::ALL.iter().map(|(name, _)| *name);
    names.min_by_key(|name| distance(&name.to_ascii_lowercase(), bare)).unwrap_or("StringEquals")
}

/// How many characters must be added, removed or replaced to make one text of the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (number, c) in left.chars().enumerate() {
        let (mut diagonal, mut beside) = (number, number + 1);
        let mut next = vec![beside];
        for (d, above) in right.iter().zip(row.iter().skip(1)) {
            let replaced = diagonal + usize::from(c != *d);
            beside = replaced.min(above + 1).min(beside + 1);
            next.push(beside);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// Collects the findings about one text.
pub(crate) struct Linter<'a> {
    text: &'a str,
    root: &'a Node<'a>,
    findings: Vec<Finding>,
}

impl Linter<'_> {
    fn record(
        &mut self,
        severity: Severity,
        code: &'static str,
        path: &str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        if self.findings.len() >= FINDINGS_MAX {
            return;
        }
        let at = find(self.root, path).map_or(self.root.start, |node| node.start);
        let (line, column) = json::position(self.text, at);
        let (message, fix, path) = (message.into(), fix.into(), path.to_owned());
        self.findings.push(Finding { severity, code, message, fix, line, column, path });
    }

    pub(crate) fn warn(
        &mut self,
        code: &'static str,
        path: &str,
        message: impl Into<String>,
        fix: &str,
    ) {
        self.record(Severity::Warning, code, path, message, fix);
    }

    pub(crate) fn suggest(
        &mut self,
        code: &'static str,
        path: &str,
        message: impl Into<String>,
        fix: &str,
    ) {
        self.record(Severity::Suggestion, code, path, message, fix);
    }

    /// The places of the statements; a single statement need not stand in a list.
    fn paths(&self, document: &Document) -> Vec<String> {
        let statement = find(self.root, "/Statement");
        let list = matches!(statement, Some(node) if matches!(node.value, Json::Array(_)));
        let path = |number| {
            if list { format!("/Statement/{number}") } else { "/Statement".to_owned() }
        };
        (0..document.statements().len()).map(path).collect()
    }

    fn operator(&mut self, condition: &Condition, path: &str) {
        if condition.operator.is_none() {
            let text = &condition.operator_text;
            let path = format!("{path}/Condition{}", json::pointer_step(text));
            let message = format!("there is no condition operator `{text}`");
            let fix = format!("the nearest one is `{}`", nearest_operator(text));
            self.record(Severity::Error, "unknown-operator", &path, message, fix);
        }
    }

    fn document(&mut self, document: &Document, kind: PolicyKind, facts: &ActionFacts) {
        if !document.has_variables() && document.dialect() == Dialect::Aws {
            if document.text().contains("${") {
                let message = "`${...}` is plain text in this version of the policy language";
                self.warn("variables-off", "", message, "set `Version` to `2012-10-17`");
            } else {
                let fix = "set `Version` to `2012-10-17`";
                let message = "the policy has no version or an old one";
                self.record(Severity::Suggestion, "old-version", "", message, fix);
            }
        }
        let paths = self.paths(document);
        let ram = document.dialect() == Dialect::Alibaba;
        for (statement, path) in document.statements().iter().zip(&paths) {
            self.statement(statement, kind, ram, path);
            if !ram {
                lint_facts::statement(self, facts, statement, kind, path);
            }
        }
        // What covers what, and what is known of actions, is told of the AWS language only.
        if !ram {
            lint_reach::document(self, document, kind, &paths);
        }
    }

    fn statement(&mut self, statement: &Statement, kind: PolicyKind, ram: bool, path: &str) {
        let allows = statement.effect == StatementEffect::Allow;
        self.principals(statement, kind, path);
        self.actions(statement, path);
        let everything = |list: &[Template]| list.iter().any(Template::is_everything);
        match &statement.resources {
            Resources::AllBut(_) if allows => {
                let message = "an allow with `NotResource` covers every other resource there is";
                self.warn("allow-not-resource", path, message, "list the resources instead");
            }
            Resources::AllBut(list) if everything(list) => {
                let message = "`NotResource` lists `*`, so the statement never matches";
                self.warn("never-matches", path, message, "remove the statement or list resources");
            }
            Resources::Only(list) => {
                for (number, template) in list.iter().enumerate() {
                    let complete = ram || template.is_everything() || template.colon_parts() >= 6;
                    if !complete {
                        let message =
                            format!("the resource name `{}` is incomplete", template.text());
                        let path = format!("{path}/Resource/{number}");
                        let fix = "write all six parts, with `*` where any will do";
                        self.warn("incomplete-arn", &path, message, fix);
                    }
                }
            }
            Resources::Attached | Resources::AllBut(_) => {}
        }
        for condition in &statement.conditions {
            let path = format!(
                "{path}/Condition{}{}",
                json::pointer_step(&condition.operator_text),
                json::pointer_step(&condition.key)
            );
            self.condition(condition, statement, &path);
        }
    }

    fn principals(&mut self, statement: &Statement, kind: PolicyKind, path: &str) {
        let allows = statement.effect == StatementEffect::Allow;
        match &statement.principals {
            Principals::Only(list)
                if allows
                    && kind != PolicyKind::Rcp
                    && list.contains(&PrincipalEntry::Everyone)
                    && statement.conditions.is_empty() =>
            {
                let (code, message) = if kind == PolicyKind::Trust {
                    ("trust-everyone", "anybody in any account may try to assume this role")
                } else {
                    ("public", "everybody is allowed, also without credentials")
                };
                self.warn(code, path, message, "name the principals, or add a condition");
            }
            Principals::AllBut(_) if allows => {
                let message = "an allow with `NotPrincipal` covers everybody else, also strangers";
                self.warn("allow-not-principal", path, message, "use `Principal`");
            }
            Principals::AllBut(_) => {
                let message = "a deny with `NotPrincipal` also hits principals with a permissions \
                               boundary, and sessions whose role and account are not listed";
                let fix = "use `Principal: \"*\"` with a condition on `aws:PrincipalArn`";
                self.warn("deny-not-principal", path, message, fix);
            }
            Principals::Only(_) | Principals::Attached => {}
        }
    }

    fn actions(&mut self, statement: &Statement, path: &str) {
        let list = match &statement.actions {
            Actions::Only(list) => list,
            Actions::AllBut(list) => {
                if statement.effect == StatementEffect::Allow {
                    let message = "an allow with `NotAction` covers every other action there is";
                    self.warn("allow-not-action", path, message, "list the actions instead");
                }
                list
            }
        };
        for pattern in list {
            let text = pattern.text();
            if text == "*:*" {
                let message = "`*:*` covers every action of every service";
                self.warn("action-everything", path, message, "write `*`, or name the service");
            } else if text.ends_with(':') || text.contains(char::is_whitespace) {
                let message = format!("no action fits `{text}`");
                self.warn("never-matches", path, message, "write `service:Action` without blanks");
            }
        }
    }

    fn condition(&mut self, condition: &Condition, statement: &Statement, path: &str) {
        let allows = statement.effect == StatementEffect::Allow;
        let Some(operator) = condition.operator else { return };
        if allows && operator.quantifier == Some(Quantifier::AllValues) {
            let guarded = statement.conditions.iter().any(|c| demands_presence(c, &condition.key));
            if !guarded {
                let message = format!(
                    "`ForAllValues` also holds when the request has no `{}`",
                    condition.key
                );
                let fix = "add `Null` with value `false` for the key";
                self.warn("for-all-values-absent", path, message, fix);
            }
        }
        let any_if_exists = operator.quantifier == Some(Quantifier::AnyValue) && operator.if_exists;
        if allows && any_if_exists {
            let message = format!("this also holds when the request has no `{}`", condition.key);
            self.warn("for-any-value-if-exists", path, message, "drop `IfExists`");
        }
        let plain = operator.quantifier.is_none() && operator.class != OperatorClass::Null;
        if plain && is_multi_valued(&condition.key) {
            let message = format!(
                "`{}` may have several values, and without a set operator nothing matches",
                condition.key
            );
            let fix = "put `ForAnyValue:` or `ForAllValues:` before the operator";
            self.warn("needs-set-operator", path, message, fix);
        }
        let literal =
            matches!(operator.class, OperatorClass::StringEquals | OperatorClass::StringNotEquals);
        if literal && condition.values.iter().any(|v| v.text().contains('*')) {
            let message = "`*` stands for itself with this operator";
            self.warn("literal-wildcard", path, message, "use `StringLike` or `StringNotLike`");
        }
        let mfa = condition.key.eq_ignore_ascii_case("aws:MultiFactorAuthPresent");
        if !allows && mfa && operator.class == OperatorClass::Bool && !operator.if_exists {
            let message = "requests with long-term keys lack this key, so the deny misses them";
            self.warn("mfa-absent", path, message, "use `BoolIfExists`");
        }
    }
}

/// Whether a condition holds only if the key is present.
fn demands_presence(condition: &Condition, key: &str) -> bool {
    let null = Operator { class: OperatorClass::Null, quantifier: None, if_exists: false };
    condition.operator == Some(null)
        && condition.key.eq_ignore_ascii_case(key)
        && condition.values.iter().all(|v| v.text().eq_ignore_ascii_case("false"))
}

/// Keys documented to have several values.
fn is_multi_valued(key: &str) -> bool {
    [
        "aws:TagKeys",
        "aws:CalledVia",
        "aws:PrincipalServiceNamesList",
        "aws:PrincipalOrgPaths",
        "aws:ResourceOrgPaths",
        "aws:SourceOrgPaths",
    ]
    .iter()
    .any(|known| known.eq_ignore_ascii_case(key))
}

/// The value a JSON pointer leads to, or the nearest one around it.
fn find<'a>(root: &'a Node<'a>, path: &str) -> Option<&'a Node<'a>> {
    let mut node = root;
    for step in path.split('/').skip(1) {
        let name = step.replace("~1", "/").replace("~0", "~");
        let next = match &node.value {
            Json::Object(members) => members.iter().find(|m| m.name == name).map(|m| &m.value),
            Json::Array(items) => name.parse::<usize>().ok().and_then(|n| items.get(n)),
            _ => None,
        };
        match next {
            Some(next) => node = next,
            None => break,
        }
    }
    Some(node)
}
