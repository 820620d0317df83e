//! What is asked, and under which policies: the request, its context and the layers in play.
//!
//! Plain data. Who fills it, and from which facts, is the caller's business.

use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::key::{GLOBAL_COUNT, Key, Name};
use crate::name::Dialect;

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
#[derive(Clone, Debug)]
pub struct Context {
    /// The global keys, in the order they were set.
    global: Vec<Entry>,
    /// For the number of each global key its place in `global`, from 1; 0 without a value.
    places: [u8; GLOBAL_COUNT],
    /// All other keys, sorted by the hashes of their names, then by the names.
    named: Vec<Entry>,
    /// The hashes of `named`.
    hashes: Vec<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    key: Key,
    name: String,
    value: Value,
}

impl Entry {
    fn hash(&self) -> u64 {
        match &self.key {
            Key::Global(_) => 0,
            Key::Named(name) => name.hash(),
        }
    }
}

impl Default for Context {
    fn default() -> Context {
        Context {
            global: Vec::new(),
            places: [0; GLOBAL_COUNT],
            named: Vec::new(),
            hashes: Vec::new(),
        }
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Context) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Context {}

impl Context {
    /// A context without keys.
    pub fn new() -> Context {
        Context::default()
    }

    /// Sets a key; a value set before under the same name, in any case, is replaced.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.put(Entry { key: Key::new(key), name: key.to_owned(), value: value.into() });
    }

    fn put(&mut self, entry: Entry) {
        if let Key::Global(number) = entry.key {
            let Some(place) = self.places.get_mut(usize::from(number)) else { return };
            match usize::from(*place).checked_sub(1).and_then(|at| self.global.get_mut(at)) {
                Some(old) => *old = entry,
                None => {
                    self.global.push(entry);
                    *place = u8::try_from(self.global.len()).unwrap_or_default();
                }
            }
            return;
        }
        let place = |e: &Entry| (e.hash(), &e.key).cmp(&(entry.hash(), &entry.key));
        match self.named.binary_search_by(place) {
            Ok(at) => {
                if let Some(old) = self.named.get_mut(at) {
                    *old = entry;
                }
            }
            Err(at) => {
                self.hashes.insert(at, entry.hash());
                self.named.insert(at, entry);
            }
        }
    }

    /// The value of a key by its name.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.value(&Key::new(key))
    }

    /// The value of a key.
    #[inline]
    pub fn value(&self, key: &Key) -> Option<&Value> {
        let entry = match key {
            Key::Global(number) => {
                let place = *self.places.get(usize::from(*number))?;
                self.global.get(usize::from(place).checked_sub(1)?)?
            }
            Key::Named(name) => self.named(name)?,
        };
        Some(&entry.value)
    }

    #[inline]
    fn named(&self, name: &Name) -> Option<&Entry> {
        let same = |entry: &&Entry| matches!(&entry.key, Key::Named(own) if own == name);
        let at = self.hashes.iter().position(|hash| *hash == name.hash())?;
        // Two names with one hash stand side by side.
        let with_hash = self.named.get(at..).unwrap_or_default().iter();
        with_hash.take_while(|entry| entry.hash() == name.hash()).find(same)
    }

    /// All keys as they were set, sorted by their folded names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        let mut all: Vec<&Entry> = self.global.iter().chain(&self.named).collect();
        all.sort_by(|a, b| a.key.folded().cmp(b.key.folded()));
        all.into_iter().map(|entry| (entry.name.as_str(), &entry.value))
    }
}

/// One question: may this principal do this to that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The dialect of the accounts concerned; decides how layers work together.
    pub dialect: Dialect,
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
    /// Policies of the principal that count only for the asked resource's resource group; Alibaba only.
    ///
    /// They are looked at when `identity` neither allows nor denies. [src: ALIBABA.md 10]
    pub group: Vec<Named<'a>>,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::Named(Name::colliding(name, 7))
    }

    fn put(context: &mut Context, name: &str) {
        context.put(Entry { key: key(name), name: name.to_owned(), value: name.into() });
    }

    #[test]
    fn atk_b09_names_that_share_a_hash_are_told_apart_by_their_texts() {
        let mut context = Context::new();
        for name in ["x:m", "x:a", "x:z", "x:m"] {
            put(&mut context, name);
        }
        context.set("x:other", "other");
        for name in ["x:a", "x:m", "x:z"] {
            assert_eq!(context.value(&key(name)), Some(&Value::from(name)));
        }
        assert_eq!(context.value(&key("x:b")), None);
        assert_eq!(context.get("x:other"), Some(&Value::from("other")));
        assert_eq!(context.iter().count(), 4);
    }

    #[test]
    fn the_last_value_of_a_key_counts_in_whatever_case_it_is_set() {
        let mut context = Context::new();
        for (name, value) in
            [("aws:SourceIp", "1"), ("x:k", "2"), ("AWS:sourceip", "3"), ("X:K", "4")]
        {
            context.set(name, value);
        }
        assert_eq!(context.get("aws:sourceIP"), Some(&Value::from("3")));
        assert_eq!(context.get("x:k"), Some(&Value::from("4")));
        let shown: Vec<&str> = context.iter().map(|(name, _)| name).collect();
        assert_eq!(shown, ["AWS:sourceip", "X:K"]);
        let mut other = Context::new();
        other.set("X:K", "4");
        other.set("AWS:sourceip", "3");
        assert_eq!(context, other);
    }
}
