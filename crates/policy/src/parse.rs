//! The parser of policy documents, with the vendor's error texts and the place of each error.
//!
//! It looks at everything and reports what the vendor would report first. It does not judge
//! style or danger; that is `lint`. The checks of single names stand in `parse_name`.

use core::fmt;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::condition::{Condition, Operator, OperatorClass};
use crate::document::{
    Actions, Document, PolicyKind, PrincipalEntry, PrincipalList, Principals, Resources, Statement,
    StatementEffect,
};
use crate::json::{self, Json, Member, Node, pointer_step};
use crate::name::{self, Dialect};
use crate::parse_name::{
    action_problem, is_trust_action, principal_problem, ram_resource_problem, resource_problem,
};
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
    dialect: Dialect,
    strictness: Strictness,
) -> Result<Document, ParseError> {
    let mut parser = Parser { text, kind, dialect, strictness, variables: false, worst: None };
    let document = match json::read(text) {
        Ok(root) => parser.root(&root),
        Err(error) => {
            let (message, detail) = (INVALID_JSON.to_owned(), error.detail);
            let rank = Rank::Syntax;
            parser.worst = Some(Problem { rank, message, detail, at: error.at, path: error.path });
            None
        }
    };
    if document.is_none() && parser.worst.is_none() {
        parser.syntax(0, &Way::Root, "the document could not be read");
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
    dialect: Dialect,
    strictness: Strictness,
    variables: bool,
    /// The first error of the lowest rank.
    worst: Option<Problem>,
}

/// The one member of a pair that may not both be given.
struct Either<'n> {
    negated: bool,
    name: &'n str,
    node: &'n Node<'n>,
}

/// The way to a value, written out as a JSON pointer only when it is told to somebody.
#[derive(Clone, Copy)]
enum Way<'p> {
    Root,
    Member(&'p Way<'p>, &'p str),
    Item(&'p Way<'p>, usize),
}

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Root => Ok(()),
            Way::Member(parent, name) => write!(f, "{parent}{}", pointer_step(name)),
            Way::Item(parent, number) => write!(f, "{parent}/{number}"),
        }
    }
}

/// The way to the version.
const VERSION_WAY: Way<'static> = Way::Member(&Way::Root, "Version");

/// The way to the statements.
const STATEMENT_WAY: Way<'static> = Way::Member(&Way::Root, "Statement");

fn is_empty_list(node: &Node<'_>) -> bool {
    matches!(&node.value, Json::Array(items) if items.is_empty())
}

/// How many values a list has; one for the value that stands for a list of one.
fn count(node: &Node<'_>) -> usize {
    if let Json::Array(items) = &node.value { items.len() } else { 1 }
}

/// The values of a list, or the one value that stands for a list of one, each with its way.
fn items<'n, 'p>(
    node: &'n Node<'n>,
    way: &'p Way<'p>,
) -> impl Iterator<Item = (&'n Node<'n>, Way<'p>)> {
    let (one, list) = match &node.value {
        Json::Array(items) => (None, items.as_slice()),
        _ => (Some((node, *way)), [].as_slice()),
    };
    let items = list.iter().enumerate().map(move |(number, item)| (item, Way::Item(way, number)));
    one.into_iter().chain(items)
}

impl Parser<'_> {
    fn record(
        &mut self,
        rank: Rank,
        message: impl Into<String>,
        at: usize,
        way: &Way<'_>,
        detail: impl Into<String>,
    ) {
        if self.worst.as_ref().is_some_and(|worst| worst.rank <= rank) {
            return;
        }
        let (message, detail, path) = (message.into(), detail.into(), way.to_string());
        self.worst = Some(Problem { rank, message, detail, at, path });
    }

    fn syntax(&mut self, at: usize, way: &Way<'_>, detail: impl Into<String>) {
        self.record(Rank::Syntax, SYNTAX, at, way, detail);
    }

    fn is_ram(&self) -> bool {
        self.dialect == Dialect::Alibaba
    }

    fn storing(&self) -> bool {
        self.strictness == Strictness::Store
    }

    fn object<'n>(
        &mut self,
        node: &'n Node<'n>,
        way: &Way<'_>,
        what: &str,
    ) -> Option<&'n [Member<'n>]> {
        match &node.value {
            Json::Object(members) => Some(members),
            _ => {
                let found = node.kind();
                self.syntax(node.start, way, format!("{what} must be an object, found {found}"));
                None
            }
        }
    }

    fn string<'n>(&mut self, node: &'n Node<'_>, way: &Way<'_>, what: &str) -> Option<&'n str> {
        match &node.value {
            Json::String(text) => Some(text),
            _ => {
                let found = node.kind();
                self.syntax(node.start, way, format!("{what} must be a string, found {found}"));
                None
            }
        }
    }

    fn root(&mut self, root: &Node<'_>) -> Option<Document> {
        let members = self.object(root, &Way::Root, "a policy document")?;
        let mut id = None;
        let mut version = None;
        let mut statement_node = None;
        for member in members {
            let way = Way::Member(&Way::Root, &member.name);
            match &*member.name {
                "Version" => {
                    version = self.version(&member.value, &way);
                    self.variables = version == Some("2012-10-17");
                }
                "Id" if !self.is_ram() => {
                    id = self.string(&member.value, &way, "`Id`").map(str::to_owned);
                }
                "Statement" => statement_node = Some(&member.value),
                other => {
                    let detail = format!(
                        "the member `{other}` is not known; known are `Version`, `Id`, `Statement`"
                    );
                    self.syntax(member.name_at, &way, detail);
                }
            }
        }
        if self.is_ram() && version.is_none() {
            self.syntax(root.start, &VERSION_WAY, "set `Version` to `1`");
        }
        if self.storing()
            && self.kind == PolicyKind::Managed
            && !self.is_ram()
            && version != Some("2012-10-17")
        {
            let detail = "set `Version` to `2012-10-17`";
            self.record(Rank::Version, VERSION, root.start, &VERSION_WAY, detail);
        }
        let Some(node) = statement_node else {
            self.syntax(root.start, &Way::Root, "the member `Statement` is missing");
            return None;
        };
        let statements = self.statements(node);
        self.sids_unique(node, &statements);
        Some(Document {
            text: Arc::from(self.text),
            kind: self.kind,
            dialect: self.dialect,
            variables: self.variables,
            id,
            statements,
        })
    }

    fn version(&mut self, node: &Node<'_>, way: &Way<'_>) -> Option<&'static str> {
        let (known, detail): (&[&'static str], _) = match self.dialect {
            Dialect::Aws => (
                &["2012-10-17", "2008-10-17"],
                "`Version` must be the string `2012-10-17` or `2008-10-17`",
            ),
            Dialect::Alibaba => (&["1"], "`Version` must be the string `1`"),
        };
        let found = match &node.value {
            Json::String(text) => known.iter().find(|version| *version == text),
            _ => None,
        };
        if found.is_none() {
            self.syntax(node.start, way, detail);
        }
        found.copied()
    }

    fn statements(&mut self, node: &Node<'_>) -> Vec<Statement> {
        match &node.value {
            Json::Array(items) if items.is_empty() => {
                self.syntax(node.start, &STATEMENT_WAY, "`Statement` holds no statement");
                Vec::new()
            }
            Json::Array(items) => items
                .iter()
                .enumerate()
                .filter_map(|(number, item)| {
                    self.statement(item, &Way::Item(&STATEMENT_WAY, number))
                })
                .collect(),
            _ if self.is_ram() => {
                self.syntax(node.start, &STATEMENT_WAY, "`Statement` must be a list");
                Vec::new()
            }
            _ => self.statement(node, &STATEMENT_WAY).into_iter().collect(),
        }
    }

    /// Statement ids are unique within a document; empty ones do not count.
    fn sids_unique(&mut self, node: &Node<'_>, statements: &[Statement]) {
        let mut seen = BTreeSet::new();
        for sid in statements.iter().filter_map(|s| s.sid.as_deref()).filter(|s| !s.is_empty()) {
            if !seen.insert(sid) {
                let detail = format!("the id `{sid}` occurs twice; rename one");
                self.record(Rank::Sid, SID_UNIQUE, node.start, &STATEMENT_WAY, detail);
                return;
            }
        }
    }

    /// Finds a member or its negated twin, and refuses both together.
    fn either<'n>(
        &mut self,
        members: &'n [Member<'n>],
        name: &str,
        negated_name: &str,
        way: &Way<'_>,
    ) -> Option<Either<'n>> {
        let find = |wanted: &str| members.iter().find(|m| m.name == wanted);
        let (plain, negated) = (find(name), find(negated_name));
        if let (Some(_), Some(second)) = (plain, negated) {
            let detail = format!("`{name}` and `{negated_name}` exclude each other; keep one");
            self.syntax(second.name_at, way, detail);
        }
        let member = plain.or(negated)?;
        Some(Either { negated: plain.is_none(), name: &member.name, node: &member.value })
    }

    fn statement(&mut self, node: &Node<'_>, way: &Way<'_>) -> Option<Statement> {
        let members = self.object(node, way, "a statement")?;
        let mut sid = None;
        let mut effect = None;
        let mut conditions = Vec::new();
        for member in members {
            let way = Way::Member(way, &member.name);
            match &*member.name {
                "Sid" if !self.is_ram() => sid = self.sid(&member.value, &way),
                "Effect" => effect = self.effect(&member.value, &way),
                "Condition" => conditions = self.conditions(&member.value, &way),
                "Action" | "NotAction" | "Resource" | "Principal" => {}
                "NotResource" | "NotPrincipal" if !self.is_ram() => {}
                other => {
                    let detail = format!("the member `{other}` of a statement is not known");
                    self.syntax(member.name_at, &way, detail);
                }
            }
        }
        if !members.iter().any(|m| m.name == "Effect") {
            self.syntax(node.start, way, "a statement needs `Effect`: `Allow` or `Deny`");
        }
        let effect = effect.unwrap_or(StatementEffect::Deny);
        let principals = self.principals(node, members, way, effect);
        let actions = self.actions(node, members, way);
        let resources = self.resources(node, members, way);
        Some(Statement { sid, effect, principals, actions, resources, conditions })
    }

    fn sid(&mut self, node: &Node<'_>, way: &Way<'_>) -> Option<String> {
        let sid = self.string(node, way, "`Sid`")?;
        let plain = sid.bytes().all(|b| b.is_ascii_alphanumeric());
        if self.storing() && self.kind != PolicyKind::Resource && !plain {
            let detail = format!("`{sid}` holds other characters than letters and digits");
            self.record(Rank::Sid, SID_FORM, node.start, way, detail);
        }
        Some(sid.to_owned())
    }

    fn effect(&mut self, node: &Node<'_>, way: &Way<'_>) -> Option<StatementEffect> {
        let text = self.string(node, way, "`Effect`")?;
        match text {
            "Allow" => return Some(StatementEffect::Allow),
            "Deny" => return Some(StatementEffect::Deny),
            _ => {}
        }
        let detail = format!("`Effect` must be exactly `Allow` or `Deny`, found `{text}`");
        if text.eq_ignore_ascii_case("allow") || text.eq_ignore_ascii_case("deny") {
            self.record(Rank::Legacy, LEGACY, node.start, way, detail);
        } else {
            self.syntax(node.start, way, detail);
        }
        None
    }

    fn actions(&mut self, node: &Node<'_>, members: &[Member<'_>], way: &Way<'_>) -> Actions {
        let none = Actions::Only(Vec::new());
        let Some(found) = self.either(members, "Action", "NotAction", way) else {
            let detail = "a statement needs `Action` or `NotAction`";
            self.record(Rank::ActionsMissing, NO_ACTIONS, node.start, way, detail);
            return none;
        };
        let way = Way::Member(way, found.name);
        let trust = self.kind == PolicyKind::Trust && self.storing();
        if trust && found.negated {
            let detail = "a trust policy lists its actions; use `Action`";
            self.record(Rank::Action, TRUST_ACTIONS, found.node.start, &way, detail);
        }
        if is_empty_list(found.node) {
            let detail = "the list of actions is empty";
            self.record(Rank::ActionsMissing, NO_ACTIONS, found.node.start, &way, detail);
        }
        let mut patterns = Vec::with_capacity(count(found.node));
        for (node, way) in items(found.node, &way) {
            let Some(text) = self.string(node, &way, "an action") else { return none };
            if let Some(message) = action_problem(text, self.dialect, self.storing()) {
                let detail = format!("found `{text}`; write `service:Action` or `*`");
                self.record(Rank::Action, message, node.start, &way, detail);
            } else if trust && !found.negated && !is_trust_action(text) {
                let detail = format!("found `{text}`");
                self.record(Rank::Action, TRUST_ACTIONS, node.start, &way, detail);
            }
            patterns.push(Pattern::new(text));
        }
        if found.negated { Actions::AllBut(patterns) } else { Actions::Only(patterns) }
    }

    fn resources(&mut self, node: &Node<'_>, members: &[Member<'_>], way: &Way<'_>) -> Resources {
        let Some(found) = self.either(members, "Resource", "NotResource", way) else {
            if self.kind != PolicyKind::Trust {
                let detail = "a statement needs `Resource` or `NotResource`";
                self.record(Rank::ResourcesMissing, NO_RESOURCES, node.start, way, detail);
            }
            return Resources::Attached;
        };
        let way = Way::Member(way, found.name);
        if self.kind == PolicyKind::Trust {
            let message = format!("Has prohibited field {}.", found.name);
            let detail = "a trust policy is about its role; remove the member";
            self.record(Rank::Resource, message, found.node.start, &way, detail);
            return Resources::Attached;
        }
        if is_empty_list(found.node) {
            let (at, detail) = (found.node.start, "the list of resources is empty");
            self.record(Rank::ResourcesMissing, NO_RESOURCES, at, &way, detail);
        }
        let mut templates = Vec::with_capacity(count(found.node));
        for (node, way) in items(found.node, &way) {
            let Some(text) = self.string(node, &way, "a resource") else {
                return Resources::Attached;
            };
            let template = Template::new(text, Wildcards::Active, self.variables);
            let problem = match self.dialect {
                Dialect::Aws => {
                    resource_problem(&template, self.kind, found.negated, self.storing())
                }
                Dialect::Alibaba => ram_resource_problem(&template, self.storing()),
            };
            if let Some(problem) = problem {
                let rank = if problem.legacy { Rank::Legacy } else { Rank::Resource };
                let message = problem.message.unwrap_or_else(|| LEGACY.to_owned());
                self.record(rank, message, node.start, &way, problem.detail);
            }
            templates.push(template);
        }
        if found.negated { Resources::AllBut(templates) } else { Resources::Only(templates) }
    }

    fn principals(
        &mut self,
        node: &Node<'_>,
        members: &[Member<'_>],
        way: &Way<'_>,
        effect: StatementEffect,
    ) -> Principals {
        let found = self.either(members, "Principal", "NotPrincipal", way);
        let Some(found) = found else {
            if self.kind.has_principal() {
                let detail = "a statement of this policy says whom it is about";
                self.record(Rank::Principal, NO_PRINCIPAL, node.start, way, detail);
            }
            return Principals::Attached;
        };
        let way = Way::Member(way, found.name);
        if !self.kind.has_principal() {
            let detail = "a policy of a principal is about that principal; remove the member";
            let at = found.node.start;
            self.record(Rank::Principal, PRINCIPAL_GIVEN, at, &way, detail);
            return Principals::Attached;
        }
        if found.negated && self.kind != PolicyKind::Resource {
            let message = "Has prohibited field NotPrincipal.";
            let detail = "only policies of resources may use it; use `Principal`";
            self.record(Rank::Principal, message, found.node.start, &way, detail);
        }
        let list = self.principal_list(found.node, &way, effect, found.negated);
        if self.kind == PolicyKind::Rcp && list.iter().any(|e| *e != PrincipalEntry::Everyone) {
            let detail = "a resource control policy is about everybody; write `\"*\"`";
            self.syntax(found.node.start, &way, detail);
        }
        if found.negated { Principals::AllBut(list) } else { Principals::Only(list) }
    }

    fn principal_list(
        &mut self,
        node: &Node<'_>,
        way: &Way<'_>,
        effect: StatementEffect,
        negated: bool,
    ) -> PrincipalList {
        let mut list = Vec::new();
        if let Json::String(text) = &node.value {
            if text == "*" && !(self.is_ram() && self.kind == PolicyKind::Trust) {
                list.push(PrincipalEntry::Everyone);
            } else {
                let detail = format!("`{text}` needs its kind, for example `{{\"AWS\": ...}}`");
                self.syntax(node.start, way, detail);
            }
            return list;
        }
        let Some(members) = self.object(node, way, "a principal") else { return list };
        if members.is_empty() {
            self.syntax(node.start, way, "the principal names nobody");
        }
        for member in members {
            let way = Way::Member(way, &member.name);
            let kind = &*member.name;
            let known: &[&str] = match self.dialect {
                Dialect::Aws => &["AWS", "Service", "Federated", "CanonicalUser"],
                Dialect::Alibaba => &["RAM", "Service", "Federated"],
            };
            if !known.contains(&kind) {
                let known = known.join("`, `");
                let detail = format!("`{kind}` is no kind of principal; known are `{known}`");
                self.syntax(member.name_at, &way, detail);
                continue;
            }
            if is_empty_list(&member.value) {
                self.syntax(member.value.start, &way, "the list of principals is empty");
            }
            let first = list.len();
            for (node, way) in items(&member.value, &way) {
                let Some(text) = self.string(node, &way, "a principal") else {
                    list.truncate(first);
                    break;
                };
                let allows = effect == StatementEffect::Allow || negated;
                if let Some(detail) = principal_problem(kind, text, self.kind, allows) {
                    let message = format!("Invalid principal in policy: \"{kind}\":\"{text}\"");
                    self.record(Rank::Principal, message, node.start, &way, detail);
                }
                let text = text.to_owned();
                list.push(match kind {
                    "AWS" | "RAM" if text == "*" => PrincipalEntry::Everyone,
                    "AWS" => PrincipalEntry::Aws { text, span: (node.start, node.end) },
                    "RAM" => {
                        let (text, span) = (name::ram_spelling(&text), (node.start, node.end));
                        PrincipalEntry::Aws { text, span }
                    }
                    "Service" => PrincipalEntry::Service(text),
                    "Federated" => PrincipalEntry::Federated(text),
                    _ => PrincipalEntry::CanonicalUser(text),
                });
            }
        }
        list
    }

    fn conditions(&mut self, node: &Node<'_>, way: &Way<'_>) -> Vec<Condition> {
        let mut out = Vec::new();
        let Some(operators) = self.object(node, way, "`Condition`") else { return out };
        for operator in operators {
            let way = Way::Member(way, &operator.name);
            let parsed = Operator::parse(&operator.name, self.dialect);
            if parsed.is_none() && self.storing() {
                let detail = format!("`{}` is no condition operator", operator.name);
                self.syntax(operator.name_at, &way, detail);
            }
            let Some(keys) = self.object(&operator.value, &way, "a condition operator") else {
                continue;
            };
            if keys.is_empty() {
                self.syntax(operator.value.start, &way, "the operator has no condition key");
            }
            let mut seen = BTreeSet::new();
            for key in keys {
                let way = Way::Member(&way, &key.name);
                if keys.len() > 1 && !seen.insert(key.name.to_lowercase()) {
                    let detail = format!(
                        "the key `{}` occurs twice, key names ignore case; merge the values",
                        key.name
                    );
                    self.syntax(key.name_at, &way, detail);
                }
                let values = self.condition_values(&key.value, &way, parsed.map(|o| o.class));
                out.push(Condition {
                    operator_text: (&*operator.name).into(),
                    operator: parsed,
                    key: (&*key.name).into(),
                    values,
                });
            }
        }
        out
    }

    fn condition_values(
        &mut self,
        node: &Node<'_>,
        way: &Way<'_>,
        class: Option<OperatorClass>,
    ) -> Vec<Template> {
        let wild = class.is_some_and(OperatorClass::has_wildcards);
        let wildcards = if wild { Wildcards::Active } else { Wildcards::Literal };
        if is_empty_list(node) {
            self.syntax(node.start, way, "the list of values is empty");
        }
        let mut out = Vec::with_capacity(count(node));
        for (item, _) in items(node, way) {
            let text: &str = match &item.value {
                Json::String(text) => text,
                Json::Number(text) => text,
                Json::Bool(true) => "true",
                Json::Bool(false) => "false",
                Json::Null | Json::Array(_) | Json::Object(_) => {
                    let detail =
                        format!("a condition value must be a string, found {}", item.kind());
                    self.syntax(item.start, way, detail);
                    continue;
                }
            };
            self.condition_value(text, item, way, class);
            out.push(Template::new(text, wildcards, self.variables));
        }
        out
    }

    /// Refuses a value that no request could ever meet because its operator cannot read it.
    fn condition_value(
        &mut self,
        text: &str,
        node: &Node<'_>,
        way: &Way<'_>,
        class: Option<OperatorClass>,
    ) {
        let has_variable = self.variables && text.contains("${");
        let Some(class) = class else { return };
        if !self.storing() || has_variable || class.can_read(text) {
            return;
        }
        let detail = format!("`{text}` is no value that this operator can read");
        self.record(Rank::Legacy, LEGACY, node.start, way, detail);
    }
}
