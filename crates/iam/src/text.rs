//! Names, ids and other short texts, each parsed once into its own type.
//!
//! Every class is ASCII and byte-exact: nothing is trimmed, folded or normalised on the way in.
//! Names that must be unique ignoring case are compared through [`Folded`]. Not here: ARN text
//! (see `policy::name`) and the wording of a refusal (see the fault tables of `wire`).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Why a text is not of its type: what the type demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Fewer characters than this.
    Shorter(usize),
    /// More characters than this.
    Longer(usize),
    /// A character or shape outside this pattern.
    Pattern(&'static str),
}

/// What a text type accepts: lengths in Unicode scalars, and a class.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Least number of characters.
    pub min: usize,
    /// Greatest number of characters.
    pub max: usize,
    /// The class as the vendor writes it.
    pub pattern: &'static str,
    /// Whether the whole text has the class.
    pub accepts: fn(&str) -> bool,
}

impl Rule {
    /// Checks a text: lengths first, then the class.
    pub fn check(&self, text: &str) -> Result<(), Violation> {
        let length = text.chars().count();
        if length < self.min {
            Err(Violation::Shorter(self.min))
        } else if length > self.max {
            Err(Violation::Longer(self.max))
        } else if !(self.accepts)(text) {
            Err(Violation::Pattern(self.pattern))
        } else {
            Ok(())
        }
    }
}

/// A text type: what it accepts, and how it is parsed.
pub trait Text: Sized {
    /// What this type accepts.
    const RULE: Rule;
    /// Parses a text; nothing is changed on the way.
    fn read(text: &str) -> Result<Self, Violation>;
}

fn every(text: &str, accepts: impl Fn(u8) -> bool) -> bool {
    text.bytes().all(accepts)
}

/// The class `[\w+=,.@-]`, ASCII only (a Unicode `\w` would let look-alikes in).
fn is_name(text: &str) -> bool {
    every(text, |b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

fn is_path(text: &str) -> bool {
    text == "/"
        || (text.len() > 1
            && text.starts_with('/')
            && text.ends_with('/')
            // A wildcard or a colon would make the ARN a pattern, or ambiguous.
            && every(text, |b| (0x21..=0x7e).contains(&b) && !matches!(b, b'*' | b'?' | b':'))
            // A path is never interpreted, so what could be read as a step is not let in.
            && !text.contains("//")
            && !text.split('/').any(|part| part == "." || part == ".."))
}

/// What the AWS dialect takes as a description. [src: AWS.md 3.1]
pub const LATIN_DESCRIPTION: Rule = Rule {
    min: 0,
    max: 1_000,
    pattern: "[\\u0009\\u000A\\u000D\\u0020-\\u007E\\u00A1-\\u00FF]*",
    accepts: is_latin,
};

fn is_latin(text: &str) -> bool {
    text.chars()
        .all(|c| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{7e}' | '\u{a1}'..='\u{ff}'))
}

fn is_written(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'))
}

fn is_account(text: &str) -> bool {
    (text.len() == 12 || text.len() == 16) && every(text, |b| b.is_ascii_digit())
}

/// Host-name shape: lower-case labels, at least two, so that no user or role name collides with it.
fn is_service(text: &str) -> bool {
    text.contains('.')
        && text.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && every(label, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

/// Small letters, digits and single dashes, not at an end.
fn is_alias(text: &str) -> bool {
    is_region(text) && !text.starts_with('-') && !text.ends_with('-') && !text.contains("--")
}

fn is_region(text: &str) -> bool {
    every(text, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_resource(text: &str) -> bool {
    every(text, |b| (0x21..=0x7e).contains(&b))
}

fn is_external_id(text: &str) -> bool {
    every(text, |b| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b))
}

fn is_id(text: &str) -> bool {
    every(text, |b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// Keys of sessions in the Alibaba dialect have a point behind their class. [src: ALIBABA.md 9]
fn is_key_id(text: &str) -> bool {
    is_id(text.strip_prefix("STS.").unwrap_or(text))
}

/// Letters, digits and `._-`, neither beginning nor ending with a mark. [src: the vendor's model of IMS]
fn is_provider(text: &str) -> bool {
    let mark = |b: Option<&u8>| b.is_some_and(|b| !b.is_ascii_alphanumeric());
    every(text, |b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !mark(text.as_bytes().first())
        && !mark(text.as_bytes().last())
}

/// An address that can be nothing else: `https://`, a host with at most a port, and a plain path.
fn is_issuer(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://") else { return false };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !host.is_empty()
        && every(host, |b| plain(b) && b != b'_')
        && port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port)
        && every(path, |b| plain(b) || b == b'/' || b == b'~')
        && path.split('/').all(|part| part != "." && part != "..")
}

fn is_client_id(text: &str) -> bool {
    every(text, |b| b.is_ascii_alphanumeric() || b"._-:/".contains(&b))
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

fn is_fingerprint(text: &str) -> bool {
    every(text, |b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_namespace(text: &str) -> bool {
    every(text, |b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

fn is_action(text: &str) -> bool {
    every(text, |b| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b))
}

fn is_uuid(text: &str) -> bool {
    every(text, |b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b) || b == b'-')
}

fn is_tag_key(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c))
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $min:literal..=$max:literal, $pattern:literal, $accepts:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// What this type accepts.
            pub const RULE: Rule =
                Rule { min: $min, max: $max, pattern: $pattern, accepts: $accepts };

            /// Parses a text; nothing is changed on the way.
            pub fn parse(text: &str) -> Result<Self, Violation> {
                Self::RULE.check(text).map(|()| Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The form under which two texts that differ only in ASCII case are one.
            pub fn folded(&self) -> Folded {
                Folded(self.0.to_ascii_lowercase().into())
            }
        }

        impl Text for $name {
            const RULE: Rule = Self::RULE;
            fn read(text: &str) -> Result<Self, Violation> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                Self::parse(&text).map_err(|v| format!("`{text}` is not a {}: {v:?}", stringify!($name)))
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    )*};
}

texts! {
    /// An account: 12 digits in the AWS dialect, 16 in the Alibaba dialect.
    AccountId: 12..=16, "\\d{12}", is_account;
    /// The name an account goes by beside its id.
    AccountAlias: 3..=63, "^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$", is_alias;
    /// A role's name, unique in its account ignoring case; never changed.
    RoleName: 1..=64, "[\\w+=,.@-]+", is_name;
    /// A user's name, unique in its account ignoring case.
    UserName: 1..=64, "[\\w+=,.@-]+", is_name;
    /// A group's name, unique in its account ignoring case.
    GroupName: 1..=128, "[\\w+=,.@-]+", is_name;
    /// A group's unique id, never used again.
    GroupId: 18..=21, "[A-Z0-9]+", is_id;
    /// The name of a managed or an inline policy.
    PolicyName: 1..=128, "[\\w+=,.@-]+", is_name;
    /// The path of a user, role or policy: `/` or `/…/`.
    Path: 1..=512, "(\\u002F)|(\\u002F[\\u0021-\\u007E]+\\u002F)", is_path;
    /// A description: anything but control characters other than tabs and line ends.
    Description: 0..=1024, "[^\\p{Cc}]*", is_written;
    /// A remark of a person about a user or group.
    Note: 0..=256, "[^\\p{Cc}]*", is_written;
    /// A linked service's principal, compared byte for byte.
    ServiceName: 3..=128, "[\\w+=,.@-]+", is_service;
    /// What a caller adds to the name of a service-linked role.
    Suffix: 1..=64, "[\\w+=,.@-]+", is_name;
    /// The name of a role session.
    SessionName: 2..=64, "[\\w+=,.@-]*", is_name;
    /// A source identity, set once for a chain of sessions.
    SourceIdentity: 2..=64, "[\\w+=,.@-]*", is_name;
    /// The secret word of a third party in a trust policy.
    ExternalId: 2..=1224, "[\\w+=,.@:\\/-]*", is_external_id;
    /// A region in which a linked service keeps resources.
    Region: 1..=100, "[a-z0-9-]+", is_region;
    /// A resource that uses a role, as its service names it.
    ResourceName: 1..=1024, "[\\u0021-\\u007E]+", is_resource;
    /// An access key's id.
    KeyId: 16..=128, "[\\w]*", is_key_id;
    /// A role's unique id, never used again.
    RoleId: 18..=21, "[A-Z0-9]+", is_id;
    /// A user's unique id, never used again.
    UserId: 18..=21, "[A-Z0-9]+", is_id;
    /// A managed policy's unique id, never used again.
    PolicyId: 18..=21, "[A-Z0-9]+", is_id;
    /// The unique id of a user or role, or an account's id for its root.
    PrincipalId: 12..=21, "[A-Z0-9]+", is_id;
    /// What the actions of a service begin with.
    Namespace: 1..=64, "[\\w-]*", is_namespace;
    /// What follows it in an action.
    ActionName: 1..=128, "[\\w.:/-]+", is_action;
    /// A deletion task's random id.
    TaskId: 36..=36, "[0-9a-f-]{36}", is_uuid;
    /// The digest by which a request is known that is taken once.
    NonceDigest: 32..=32, "[0-9a-f]{32}", is_uuid;
    /// The name of a provider of identities, unique in its account ignoring case.
    ProviderName: 1..=128, "[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?", is_provider;
    /// The address of an issuer of tokens, compared byte for byte.
    IssuerUrl: 9..=255, "https://[a-zA-Z0-9.-]+(:[0-9]+)?(/[a-zA-Z0-9._~/-]*)?", is_issuer;
    /// For whom a token is: the name under which an issuer knows a client.
    ClientId: 1..=128, "[a-zA-Z0-9][a-zA-Z0-9._:/-]*", is_client_id;
    /// The SHA-1 of a certificate in hexadecimal digits.
    Fingerprint: 40..=40, "[0-9a-f]{40}", is_fingerprint;
    /// A tag's key.
    TagKey: 1..=128, "[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+", is_tag_key;
    /// A tag's value.
    TagValue: 0..=256, "[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*", is_tag_key;
}

/// A name with its ASCII letters in lower case: the key under which uniqueness is kept.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Folded(Arc<str>);

impl Folded {
    /// Folds any text; a text that is no name simply finds nothing.
    pub fn of(text: &str) -> Self {
        Self(text.to_ascii_lowercase().into())
    }

    /// The folded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Path {
    /// The path of what has none of its own.
    pub fn root() -> Self {
        Self("/".into())
    }
}

/// Tags of a resource. Keys are matched ignoring case and keep the case they were given in.
#[derive(Clone, Default, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags(std::collections::BTreeMap<String, (TagKey, TagValue)>);

impl Tags {
    /// Builds tags from a list; a key given twice is an error (the caller names it).
    pub fn from_list(list: &[(TagKey, TagValue)]) -> Option<Self> {
        let mut tags = Self::default();
        for (key, value) in list {
            if tags.set(key.clone(), value.clone()) {
                return None;
            }
        }
        Some(tags)
    }

    /// Sets one tag; answers whether the key was there.
    pub fn set(&mut self, key: TagKey, value: TagValue) -> bool {
        let folded = key.as_str().to_lowercase();
        self.0.insert(folded, (key, value)).is_some()
    }

    /// Removes one tag, if it is there.
    pub fn remove(&mut self, key: &TagKey) {
        self.0.remove(&key.as_str().to_lowercase());
    }

    /// The tags in the order of their folded keys.
    pub fn iter(&self) -> impl Iterator<Item = (&TagKey, &TagValue)> {
        self.0.values().map(|(key, value)| (key, value))
    }

    /// Number of tags.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
