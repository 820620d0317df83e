//! The parser of policy documents, with the vendor's error texts and the place of each error.
//!
//! It looks at everything and reports what the vendor would report first. It does not judge
//! style or danger; that is `lint`. The checks of single names stand in `parse_name`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::condition::{Condition, Operator, OperatorClass};
use crate::document::{
    Actions, Document, PolicyKind, PrincipalEntry, PrincipalList, Principals, Resources, Statement,
    StatementEffect,
};
use crate::json::{self, Json, Member, Node, pointer_step};
use crate::parse_name::{action_problem, is_trust_action, principal_problem, resource_problem};
use crate::pattern::{Pattern, Template, Wildcards};

/// Why a policy document is refused, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message} ({detail}; line {line}, column {column})")]
pub struct ParseError {
    /// The vendor's text. [src: AWS.md 3.7]
    pub message: String,
    /// What was found and what to do about it.
    pub detail: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The JSON pointer of the value at fault.
    pub path: String,
}

/// What a document is read for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Strictness {
    /// To be stored: everything the vendor refuses is refused.
    Store,
    /// To be evaluated only: what has a defined meaning is accepted.
    Evaluate,
}

/// The order in which the vendor looks for errors.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
enum Rank {
    #[default]
    Syntax,
    Version,
    Legacy,
    Sid,
    Principal,
    ActionsMissing,
    ResourcesMissing,
    Resource,
    Action,
}

pub(crate) const SYNTAX: &str = "Syntax errors in policy.";
/// What a text that is no JSON at all is told.
pub(crate) const INVALID_JSON: &str = "This policy contains invalid Json";
const VERSION: &str = "Policy document must be version 2012-10-17 or greater.";
const LEGACY: &str = "The policy failed legacy parsing";
const SID_UNIQUE: &str = "Statement IDs (SID) in a single policy must be unique.";
const SID_FORM: &str = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*";
const NO_ACTIONS: &str = "Policy statement must contain actions.";
const NO_RESOURCES: &str = "Policy statement must contain resources.";
const NO_PRINCIPAL: &str = "Missing required field Principal";
const PRINCIPAL_GIVEN: &str = "Policy document should not specify a principal.";
const TRUST_ACTIONS: &str = "Trust Policy statement actions can only be sts:AssumeRole, sts:AssumeRoleWithSAML,  and sts:AssumeRoleWithWebIdentity";

/// Reads a document.
pub(crate) fn document(
    text: &str,
    kind: PolicyKind,
    strictness: Strictness,
) -> Result<Document, ParseError> {
    let mut parser = Parser { text, kind, strictness, variables: false, worst: None };
    let document = match json::read(text) {
        Ok(root) => parser.root(&root),
        Err(error) => {
            parser.record(Rank::Syntax, INVALID_JSON, error.at, error.path, error.detail);
            None
        }
    };
    if document.is_none() && parser.worst.is_none() {
        parser.syntax(0, "", "the document could not be read");
    }
    match (parser.worst, document) {
        (None, Some(document)) => Ok(document),
        (worst, _) => {
            let Problem { message, detail, at, path, .. } = worst.unwrap_or_default();
            // Positions cost a walk over the text, so only the one error that is told has them.
            let (line, column) = json::position(text, at);
            Err(ParseError { message, detail, line, column, path })
        }
    }
}

/// An error before its place is counted out.
#[derive(Default)]
struct Problem {
    rank: Rank,
    message: String,
    detail: String,
    at: usize,
    path: String,
}

struct Parser<'a> {
    text: &'a str,
    kind: PolicyKind,
    strictness: Strictness,
    variables: bool,
    /// The first error of the lowest rank.
    worst: Option<Problem>,
}

/// The one member of a pair that may not both be given.
struct Either<'n> {
    negated: bool,
    node: &'n Node,
    path: String,
}

impl Parser<'_> {
    fn record(
        &mut self,
        rank: Rank,
        message: impl Into<String>,
        at: usize,
        path: impl Into<String>,
        detail: impl Into<String>,
    ) {
        if self.worst.as_ref().is_some_and(|worst| worst.rank <= rank) {
            return;
        }
        let (message, detail, path) = (message.into(), detail.into(), path.into());
        self.worst = Some(Problem { rank, message, detail, at, path });
    }

    fn syntax(&mut self, at: usize, path: &str, detail: impl Into<String>) {
        self.record(Rank::Syntax, SYNTAX, at, path, detail);
    }

    fn storing(&self) -> bool {
        self.strictness == Strictness::Store
    }

    fn object<'n>(&mut self, node: &'n Node, path: &str, what: &str) -> Option<&'n [Member]> {
        match &node.value {
            Json::Object(members) => Some(members),
            _ => {
                let found = node.kind();
                self.syntax(node.start, path, format!("{what} must be an object, found {found}"));
                None
            }
        }
    }

    fn string(&mut self, node: &Node, path: &str, what: &str) -> Option<String> {
        match &node.value {
            Json::String(text) => Some(text.clone()),
            _ => {
                let found = node.kind();
                self.syntax(node.start, path, format!("{what} must be a string, found {found}"));
                None
            }
        }
    }

    /// A string or a list of strings, with the place of each.
    fn strings<'n>(
        &mut self,
        node: &'n Node,
        path: &str,
        what: &str,
    ) -> Option<Vec<(String, &'n Node, String)>> {
        match &node.value {
            Json::Array(items) => {
                let mut out = Vec::with_capacity(items.len());
                for (number, item) in items.iter().enumerate() {
                    let path = format!("{path}/{number}");
                    out.push((self.string(item, &path, what)?, item, path));
                }
                Some(out)
            }
            _ => Some(vec![(self.string(node, path, what)?, node, path.to_owned())]),
        }
    }

    fn root(&mut self, root: &Node) -> Option<Document> {
        let members = self.object(root, "", "a policy document")?;
        let mut id = None;
        let mut version = None;
        let mut statement_node = None;
        for member in members {
            let path = pointer_step(&member.name);
            match member.name.as_str() {
                "Version" => {
                    version = self.version(&member.value, &path);
                    self.variables = version == Some("2012-10-17");
                }
                "Id" => id = self.string(&member.value, &path, "`Id`"),
                "Statement" => statement_node = Some(&member.value),
                other => {
                    let detail = format!(
                        "the member `{other}` is not known; known are `Version`, `Id`, `Statement`"
                    );
                    self.syntax(member.name_at, &path, detail);
                }
            }
        }
        if self.storing() && self.kind == PolicyKind::Managed && version != Some("2012-10-17") {
            let detail = "set `Version` to `2012-10-17`";
            self.record(Rank::Version, VERSION, root.start, "/Version", detail);
        }
        let Some(node) = statement_node else {
            self.syntax(root.start, "", "the member `Statement` is missing");
            return None;
        };
        let statements = self.statements(node);
        self.sids_unique(node, &statements);
        Some(Document {
            text: Arc::from(self.text),
            kind: self.kind,
            variables: self.variables,
            id,
            statements,
        })
    }

    fn version(&mut self, node: &Node, path: &str) -> Option<&'static str> {
        match &node.value {
            Json::String(text) if text == "2012-10-17" => Some("2012-10-17"),
            Json::String(text) if text == "2008-10-17" => Some("2008-10-17"),
            _ => {
                let detail = "`Version` must be the string `2012-10-17` or `2008-10-17`";
                self.syntax(node.start, path, detail);
                None
            }
        }
    }

    fn statements(&mut self, node: &Node) -> Vec<Statement> {
        match &node.value {
            Json::Array(items) if items.is_empty() => {
                self.syntax(node.start, "/Statement", "`Statement` holds no statement");
                Vec::new()
            }
            Json::Array(items) => items
                .iter()
                .enumerate()
                .filter_map(|(number, item)| self.statement(item, &format!("/Statement/{number}")))
                .collect(),
            _ => self.statement(node, "/Statement").into_iter().collect(),
        }
    }

    /// Statement ids are unique within a document; empty ones do not count.
    fn sids_unique(&mut self, node: &Node, statements: &[Statement]) {
        let mut seen = BTreeSet::new();
        for sid in statements.iter().filter_map(|s| s.sid.as_deref()).filter(|s| !s.is_empty()) {
            if !seen.insert(sid) {
                let detail = format!("the id `{sid}` occurs twice; rename one");
                self.record(Rank::Sid, SID_UNIQUE, node.start, "/Statement", detail);
                return;
            }
        }
    }

    /// Finds a member or its negated twin, and refuses both together.
    fn either<'n>(
        &mut self,
        members: &'n [Member],
        name: &str,
        negated_name: &str,
        path: &str,
    ) -> Option<Either<'n>> {
        let find = |wanted: &str| members.iter().find(|m| m.name == wanted);
        let (plain, negated) = (find(name), find(negated_name));
        if let (Some(_), Some(second)) = (plain, negated) {
            let detail = format!("`{name}` and `{negated_name}` exclude each other; keep one");
            self.syntax(second.name_at, path, detail);
        }
        let member = plain.or(negated)?;
        Some(Either {
            negated: plain.is_none(),
            node: &member.value,
            path: format!("{path}/{}", member.name),
        })
    }

    fn statement(&mut self, node: &Node, path: &str) -> Option<Statement> {
        let members = self.object(node, path, "a statement")?;
        let mut sid = None;
        let mut effect = None;
        let mut conditions = Vec::new();
        for member in members {
            let path = format!("{path}{}", pointer_step(&member.name));
            match member.name.as_str() {
                "Sid" => sid = self.sid(&member.value, &path),
                "Effect" => effect = self.effect(&member.value, &path),
                "Condition" => conditions = self.conditions(&member.value, &path),
                "Action" | "NotAction" | "Resource" | "NotResource" | "Principal"
                | "NotPrincipal" => {}
                other => {
                    let detail = format!("the member `{other}` of a statement is not known");
                    self.syntax(member.name_at, &path, detail);
                }
            }
        }
        if !members.iter().any(|m| m.name == "Effect") {
            self.syntax(node.start, path, "a statement needs `Effect`: `Allow` or `Deny`");
        }
        let effect = effect.unwrap_or(StatementEffect::Deny);
        let principals = self.principals(node, members, path, effect);
        let actions = self.actions(node, members, path);
        let resources = self.resources(node, members, path);
        Some(Statement { sid, effect, principals, actions, resources, conditions })
    }

    fn sid(&mut self, node: &Node, path: &str) -> Option<String> {
        let sid = self.string(node, path, "`Sid`")?;
        let plain = sid.bytes().all(|b| b.is_ascii_alphanumeric());
        if self.storing() && self.kind != PolicyKind::Resource && !plain {
            let detail = format!("`{sid}` holds other characters than letters and digits");
            self.record(Rank::Sid, SID_FORM, node.start, path, detail);
        }
        Some(sid)
    }

    fn effect(&mut self, node: &Node, path: &str) -> Option<StatementEffect> {
        let text = self.string(node, path, "`Effect`")?;
        match text.as_str() {
            "Allow" => return Some(StatementEffect::Allow),
            "Deny" => return Some(StatementEffect::Deny),
            _ => {}
        }
        let detail = format!("`Effect` must be exactly `Allow` or `Deny`, found `{text}`");
        if text.eq_ignore_ascii_case("allow") || text.eq_ignore_ascii_case("deny") {
            self.record(Rank::Legacy, LEGACY, node.start, path, detail);
        } else {
            self.syntax(node.start, path, detail);
        }
        None
    }

    fn actions(&mut self, node: &Node, members: &[Member], path: &str) -> Actions {
        let none = Actions::Only(Vec::new());
        let Some(found) = self.either(members, "Action", "NotAction", path) else {
            let detail = "a statement needs `Action` or `NotAction`";
            self.record(Rank::ActionsMissing, NO_ACTIONS, node.start, path, detail);
            return none;
        };
        let trust = self.kind == PolicyKind::Trust && self.storing();
        if trust && found.negated {
            let detail = "a trust policy lists its actions; use `Action`";
            self.record(Rank::Action, TRUST_ACTIONS, found.node.start, &found.path, detail);
        }
        let Some(texts) = self.strings(found.node, &found.path, "an action") else { return none };
        if texts.is_empty() {
            let detail = "the list of actions is empty";
            self.record(Rank::ActionsMissing, NO_ACTIONS, found.node.start, &found.path, detail);
        }
        let mut patterns = Vec::with_capacity(texts.len());
        for (text, at, path) in texts {
            if let Some(message) = action_problem(&text, self.storing()) {
                let detail = format!("found `{text}`; write `service:Action` or `*`");
                self.record(Rank::Action, message, at.start, &path, detail);
            } else if trust && !found.negated && !is_trust_action(&text) {
                let detail = format!("found `{text}`");
                self.record(Rank::Action, TRUST_ACTIONS, at.start, &path, detail);
            }
            patterns.push(Pattern::new(&text));
        }
        if found.negated { Actions::AllBut(patterns) } else { Actions::Only(patterns) }
    }

    fn resources(&mut self, node: &Node, members: &[Member], path: &str) -> Resources {
        let Some(found) = self.either(members, "Resource", "NotResource", path) else {
            if self.kind != PolicyKind::Trust {
                let detail = "a statement needs `Resource` or `NotResource`";
                self.record(Rank::ResourcesMissing, NO_RESOURCES, node.start, path, detail);
            }
            return Resources::Attached;
        };
        if self.kind == PolicyKind::Trust {
            let field = if found.negated { "NotResource" } else { "Resource" };
            let message = format!("Has prohibited field {field}.");
            let detail = "a trust policy is about its role; remove the member";
            self.record(Rank::Resource, message, found.node.start, &found.path, detail);
            return Resources::Attached;
        }
        let Some(texts) = self.strings(found.node, &found.path, "a resource") else {
            return Resources::Attached;
        };
        if texts.is_empty() {
            let (at, detail) = (found.node.start, "the list of resources is empty");
            self.record(Rank::ResourcesMissing, NO_RESOURCES, at, &found.path, detail);
        }
        let mut templates = Vec::with_capacity(texts.len());
        for (text, at, path) in texts {
            let template = Template::new(&text, Wildcards::Active, self.variables);
            let problem = resource_problem(&template, self.kind, found.negated, self.storing());
            if let Some(problem) = problem {
                let rank = if problem.legacy { Rank::Legacy } else { Rank::Resource };
                let message = problem.message.unwrap_or_else(|| LEGACY.to_owned());
                self.record(rank, message, at.start, &path, problem.detail);
            }
            templates.push(template);
        }
        if found.negated { Resources::AllBut(templates) } else { Resources::Only(templates) }
    }

    fn principals(
        &mut self,
        node: &Node,
        members: &[Member],
        path: &str,
        effect: StatementEffect,
    ) -> Principals {
        let found = self.either(members, "Principal", "NotPrincipal", path);
        let Some(found) = found else {
            if self.kind.has_principal() {
                let detail = "a statement of this policy says whom it is about";
                self.record(Rank::Principal, NO_PRINCIPAL, node.start, path, detail);
            }
            return Principals::Attached;
        };
        if !self.kind.has_principal() {
            let detail = "a policy of a principal is about that principal; remove the member";
            let at = found.node.start;
            self.record(Rank::Principal, PRINCIPAL_GIVEN, at, &found.path, detail);
            return Principals::Attached;
        }
        if found.negated && self.kind != PolicyKind::Resource {
            let message = "Has prohibited field NotPrincipal.";
            let detail = "only policies of resources may use it; use `Principal`";
            self.record(Rank::Principal, message, found.node.start, &found.path, detail);
        }
        let list = self.principal_list(found.node, &found.path, effect, found.negated);
        if self.kind == PolicyKind::Rcp && list.iter().any(|e| *e != PrincipalEntry::Everyone) {
            let detail = "a resource control policy is about everybody; write `\"*\"`";
            self.syntax(found.node.start, &found.path, detail);
        }
        if found.negated { Principals::AllBut(list) } else { Principals::Only(list) }
    }

    fn principal_list(
        &mut self,
        node: &Node,
        path: &str,
        effect: StatementEffect,
        negated: bool,
    ) -> PrincipalList {
        let mut list = Vec::new();
        if let Json::String(text) = &node.value {
            if text == "*" {
                list.push(PrincipalEntry::Everyone);
            } else {
                let detail = format!("`{text}` needs its kind, for example `{{\"AWS\": ...}}`");
                self.syntax(node.start, path, detail);
            }
            return list;
        }
        let Some(members) = self.object(node, path, "a principal") else { return list };
        if members.is_empty() {
            self.syntax(node.start, path, "the principal names nobody");
        }
        for member in members {
            let path = format!("{path}{}", pointer_step(&member.name));
            let kind = member.name.as_str();
            if !matches!(kind, "AWS" | "Service" | "Federated" | "CanonicalUser") {
                let detail = format!(
                    "`{kind}` is no kind of principal; known are `AWS`, `Service`, `Federated`, `CanonicalUser`"
                );
                self.syntax(member.name_at, &path, detail);
                continue;
            }
            let Some(texts) = self.strings(&member.value, &path, "a principal") else { continue };
            if texts.is_empty() {
                self.syntax(member.value.start, &path, "the list of principals is empty");
            }
            for (text, at, path) in texts {
                let allows = effect == StatementEffect::Allow || negated;
                if let Some(detail) = principal_problem(kind, &text, self.kind, allows) {
                    let message = format!("Invalid principal in policy: \"{kind}\":\"{text}\"");
                    self.record(Rank::Principal, message, at.start, &path, detail);
                }
                list.push(match kind {
                    "AWS" if text == "*" => PrincipalEntry::Everyone,
                    "AWS" => PrincipalEntry::Aws { text, span: (at.start, at.end) },
                    "Service" => PrincipalEntry::Service(text),
                    "Federated" => PrincipalEntry::Federated(text),
                    _ => PrincipalEntry::CanonicalUser(text),
                });
            }
        }
        list
    }

    fn conditions(&mut self, node: &Node, path: &str) -> Vec<Condition> {
        let mut out = Vec::new();
        let Some(operators) = self.object(node, path, "`Condition`") else { return out };
        for operator in operators {
            let path = format!("{path}{}", pointer_step(&operator.name));
            let parsed = Operator::parse(&operator.name);
            if parsed.is_none() && self.storing() {
                let detail = format!("`{}` is no condition operator", operator.name);
                self.syntax(operator.name_at, &path, detail);
            }
            let Some(keys) = self.object(&operator.value, &path, "a condition operator") else {
                continue;
            };
            if keys.is_empty() {
                self.syntax(operator.value.start, &path, "the operator has no condition key");
            }
            let mut seen = BTreeSet::new();
            for key in keys {
                let path = format!("{path}{}", pointer_step(&key.name));
                if !seen.insert(key.name.to_lowercase()) {
                    let detail = format!(
                        "the key `{}` occurs twice, key names ignore case; merge the values",
                        key.name
                    );
                    self.syntax(key.name_at, &path, detail);
                }
                let values = self.condition_values(&key.value, &path, parsed.map(|o| o.class));
                out.push(Condition {
                    operator_text: operator.name.clone(),
                    operator: parsed,
                    key: key.name.clone(),
                    values,
                });
            }
        }
        out
    }

    fn condition_values(
        &mut self,
        node: &Node,
        path: &str,
        class: Option<OperatorClass>,
    ) -> Vec<Template> {
        let wild = class.is_some_and(OperatorClass::has_wildcards);
        let wildcards = if wild { Wildcards::Active } else { Wildcards::Literal };
        let items = match &node.value {
            Json::Array(items) => items.iter().collect(),
            _ => vec![node],
        };
        if items.is_empty() {
            self.syntax(node.start, path, "the list of values is empty");
        }
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            let text = match &item.value {
                Json::String(text) | Json::Number(text) => text.clone(),
                Json::Bool(value) => value.to_string(),
                Json::Null | Json::Array(_) | Json::Object(_) => {
                    let detail =
                        format!("a condition value must be a string, found {}", item.kind());
                    self.syntax(item.start, path, detail);
                    continue;
                }
            };
            self.condition_value(&text, item, path, class);
            out.push(Template::new(&text, wildcards, self.variables));
        }
        out
    }

    /// Refuses a value that no request could ever meet because its operator cannot read it.
    fn condition_value(
        &mut self,
        text: &str,
        node: &Node,
        path: &str,
        class: Option<OperatorClass>,
    ) {
        let has_variable = self.variables && text.contains("${");
        let Some(class) = class else { return };
        if !self.storing() || has_variable || class.can_read(text) {
            return;
        }
        let detail = format!("`{text}` is no value that this operator can read");
        self.record(Rank::Legacy, LEGACY, node.start, path, detail);
    }
}
