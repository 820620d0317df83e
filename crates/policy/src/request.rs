//! What is asked, and under which policies: the request, its context and the layers in play.
//!
//! Plain data. Who fills it, and from which facts, is the caller's business.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::Document;

/// What kind of principal asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub enum PrincipalKind {
    /// An IAM user.
    User,
    /// A role itself, not a session of it.
    Role,
    /// A role session.
    AssumedRole,
    /// A session made for a user with a federation token.
    FederatedUser,
    /// Somebody with a token of a web identity provider, without credentials yet.
    WebIdentity,
    /// Somebody with an assertion of a SAML provider, without credentials yet.
    #[serde(rename = "SAML")]
    Saml,
    /// The root user of an account.
    Root,
    /// A service that acts for itself.
    Service,
    /// An account known by its canonical user id only.
    CanonicalUser,
    /// Nobody known.
    Anonymous,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Principal {
    /// What kind of principal it is; decides which of the members below count.
    pub kind: PrincipalKind,
    /// The principal's ARN; of a session, the session's.
    pub arn: Option<String>,
    /// Of a role session, the role's ARN with its path; of a federated-user session, the user's ARN.
    pub role_arn: Option<String>,
    /// The account the principal belongs to.
    pub account: Option<String>,
    /// The unique id; of a role session `role id:session name`.
    pub id: Option<String>,
    /// The service principal, `backup.example.com` for example.
    pub service: Option<String>,
    /// The identity provider of a web or SAML identity.
    pub provider: Option<String>,
    /// The canonical user id.
    pub canonical_user: Option<String>,
    /// Whether this is a session of a service-linked role, told by its path and never by its name.
    pub service_linked: bool,
    /// Whether the principal's account is the management account of its organization.
    pub management_account: bool,
}

impl Principal {
    /// A principal of which only the kind is known.
    pub fn new(kind: PrincipalKind) -> Principal {
        Principal {
            kind,
            arn: None,
            role_arn: None,
            account: None,
            id: None,
            service: None,
            provider: None,
            canonical_user: None,
            service_linked: false,
            management_account: false,
        }
    }
}

/// The value of a context key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// One value of a single-valued key.
    Single(String),
    /// All values of a multi-valued key; an empty list counts as an absent key.
    List(Vec<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Single(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Single(text)
    }
}

impl From<Vec<String>> for Value {
    fn from(list: Vec<String>) -> Value {
        Value::List(list)
    }
}

/// The condition keys of a request; key names compare without regard to case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Context(BTreeMap<String, (String, Value)>);

impl Context {
    /// A context without keys.
    pub fn new() -> Context {
        Context::default()
    }

    /// Sets a key; a value set before under the same name, in any case, is replaced.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_lowercase(), (key.to_owned(), value.into()));
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(&key.to_lowercase()).map(|(_, value)| value)
    }

    /// All keys as they were set, sorted by their lower-case form.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.values().map(|(key, value)| (key.as_str(), value))
    }
}

/// One question: may this principal do this to that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The action, `service:Name`.
    pub action: String,
    /// The ARN of the resource, or `*` with `wildcard_only`.
    pub resource: String,
    /// Whether the action knows no resources, so that only the pattern `*` fits.
    pub wildcard_only: bool,
    /// The account that owns the resource; unknown counts as the principal's own.
    pub resource_account: Option<String>,
    /// Who asks.
    pub principal: Principal,
    /// The condition keys.
    pub context: Context,
}

/// A document and the name it goes by in reasons.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The name, an ARN or an inline policy's name.
    pub name: &'a str,
    /// The document.
    pub document: &'a Document,
}

/// How a resource policy works together with identity policies.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// Within the account, an identity policy or the resource policy suffices.
    #[default]
    Generic,
    /// A role's trust policy: it must allow, even within the account.
    Trust,
    /// A key policy: it must allow, even within the account.
    Kms,
}

/// The policy of the resource that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct ResourcePolicy<'a> {
    /// The policy.
    pub policy: Named<'a>,
    /// How it works together with identity policies.
    pub kind: ResourceKind,
}

/// All policies that bear on a request, by layer.
///
/// For the optional layers `None` means that the layer is not in play, an empty list that it allows nothing.
#[derive(Clone, Debug, Default)]
pub struct PolicySet<'a> {
    /// The policies of the principal, of its groups, or of the session's role.
    pub identity: Vec<Named<'a>>,
    /// The permissions boundary.
    pub boundary: Option<Vec<Named<'a>>>,
    /// The session policies.
    pub session: Option<Vec<Named<'a>>>,
    /// The policies of the private endpoint the request came through.
    pub endpoint: Option<Vec<Named<'a>>>,
    /// The policy of the resource.
    pub resource: Option<ResourcePolicy<'a>>,
    /// Service control policies by level, the root first.
    pub scp: Option<Vec<Vec<Named<'a>>>>,
    /// Resource control policies by level, the root first.
    pub rcp: Option<Vec<Vec<Named<'a>>>>,
}
