//! The parsed policy document: statements and their elements, as data that the parser has checked.
//!
//! Only the parser makes documents. What a document means for a request stands in `spec`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::json;
use crate::name::Dialect;
use crate::parse::{self, ParseError};
use crate::pattern::{Pattern, Template};

/// Where a document is used; decides which elements it must and must not have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// A policy of a user, group or role.
    Identity,
    /// A managed policy: as `Identity`, and the newest version is demanded.
    Managed,
    /// A policy attached to a resource, or to a private endpoint.
    Resource,
    /// A role's trust policy.
    Trust,
    /// A service control policy.
    Scp,
    /// A resource control policy.
    Rcp,
    /// A permissions boundary.
    Boundary,
    /// A session policy.
    Session,
}

impl PolicyKind {
    /// Whether statements name principals, which they then must.
    pub fn has_principal(self) -> bool {
        matches!(self, PolicyKind::Resource | PolicyKind::Trust | PolicyKind::Rcp)
    }
}

/// What a statement says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub enum StatementEffect {
    /// It allows.
    Allow,
    /// It denies.
    Deny,
}

/// Either what is listed or all but what is listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Actions {
    /// `Action`.
    Only(Vec<Pattern>),
    /// `NotAction`.
    AllBut(Vec<Pattern>),
}

/// The resources of a statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resources {
    /// None given: the statement is about the resource that the policy belongs to.
    Attached,
    /// `Resource`.
    Only(Vec<Template>),
    /// `NotResource`.
    AllBut(Vec<Template>),
}

/// One entry of a principal element.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PrincipalEntry {
    /// Everybody, written `"*"` or `{"AWS": "*"}`.
    Everyone,
    /// An account, a principal's ARN, or the unique id of a deleted principal; `AWS` or `RAM` in a document.
    Aws {
        /// The text as written, or as replaced.
        text: String,
        /// Where the string literal with its quotes stands in the document's text.
        span: (usize, usize),
    },
    /// A service principal; `*` only in denies.
    Service(String),
    /// An identity provider.
    Federated(String),
    /// A canonical user id.
    CanonicalUser(String),
}

/// The entries of a principal element.
pub type PrincipalList = Vec<PrincipalEntry>;

/// The principals of a statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Principals {
    /// None: the policy belongs to a principal.
    Attached,
    /// `Principal`.
    Only(PrincipalList),
    /// `NotPrincipal`.
    AllBut(PrincipalList),
}

impl Principals {
    fn entries(&self) -> &[PrincipalEntry] {
        match self {
            Principals::Attached => &[],
            Principals::Only(list) | Principals::AllBut(list) => list,
        }
    }

    fn entries_mut(&mut self) -> &mut [PrincipalEntry] {
        match self {
            Principals::Attached => &mut [],
            Principals::Only(list) | Principals::AllBut(list) => list,
        }
    }
}

/// One statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    /// Its id, if it has one.
    pub sid: Option<String>,
    /// Whether it allows or denies.
    pub effect: StatementEffect,
    /// Whom it is about.
    pub principals: Principals,
    /// Which actions it is about.
    pub actions: Actions,
    /// Which resources it is about.
    pub resources: Resources,
    /// Conditions, all of which must hold.
    pub conditions: Vec<Condition>,
}

/// A policy document that was found correct for its kind.
#[derive(Clone, PartialEq, Debug)]
pub struct Document {
    pub(crate) text: Arc<str>,
    pub(crate) kind: PolicyKind,
    pub(crate) dialect: Dialect,
    pub(crate) variables: bool,
    pub(crate) id: Option<String>,
    pub(crate) statements: Vec<Statement>,
}

impl Document {
    /// Reads a document that somebody wants to store, refusing whatever the vendor refuses.
    ///
    /// The dialect chooses the language: that of AWS (versions `2012-10-17` and `2008-10-17`), or that of
    /// Alibaba Cloud RAM (version `1`).
    pub fn parse(text: &str, kind: PolicyKind, dialect: Dialect) -> Result<Document, ParseError> {
        parse::document(text, kind, dialect, parse::Strictness::Store)
    }

    /// Reads a document only to evaluate it, as case files do.
    ///
    /// It accepts what has a defined meaning but may not be stored: an older version, an unknown operator
    /// (never true), an incomplete or partly wild resource name. [src: POLICY.md 1]
    pub fn read(text: &str, kind: PolicyKind, dialect: Dialect) -> Result<Document, ParseError> {
        parse::document(text, kind, dialect, parse::Strictness::Evaluate)
    }

    /// The statements in written order.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Exactly the text the document was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What kind of policy it was read as.
    pub fn kind(&self) -> PolicyKind {
        self.kind
    }

    /// Which language it is written in.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Its `Id`, if it has one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether its version is one in which `${...}` stands for a context key.
    pub fn has_variables(&self) -> bool {
        self.variables
    }

    /// The texts of all `AWS` or `RAM` entries of `Principal` and `NotPrincipal` but `*`, in written order.
    pub fn aws_principals(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().flat_map(|s| s.principals.entries()).filter_map(
            |entry| match entry {
                PrincipalEntry::Aws { text, .. } => Some(text.as_str()),
                _ => None,
            },
        )
    }

    /// The document with some `AWS` or `RAM` principal entries replaced, in its text too.
    ///
    /// `f` gets each entry and returns its replacement, or `None` to keep it. The use is a deleted principal,
    /// whose name gives way to its unique id, so that a new principal of that name does not match.
    pub fn map_aws_principals(&self, f: &dyn Fn(&str) -> Option<String>) -> Document {
        let mut copy = self.clone();
        let mut text = String::with_capacity(self.text.len());
        let mut copied = 0;
        for statement in &mut copy.statements {
            for entry in statement.principals.entries_mut() {
                let PrincipalEntry::Aws { text: name, span } = entry else { continue };
                let replacement = f(name);
                text.push_str(self.text.get(copied..span.0).unwrap_or_default());
                let start = text.len();
                match &replacement {
                    Some(new) => text.push_str(&json::quoted(new)),
                    None => text.push_str(self.text.get(span.0..span.1).unwrap_or_default()),
                }
                copied = span.1;
                *span = (start, text.len());
                if let Some(new) = replacement {
                    *name = new;
                }
            }
        }
        text.push_str(self.text.get(copied..).unwrap_or_default());
        copy.text = Arc::from(text);
        copy
    }

    /// The number of characters that are no white space, as size quotas count.
    pub fn size(&self) -> usize {
        self.text.chars().filter(|c| !c.is_whitespace()).count()
    }
}
