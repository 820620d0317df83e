//! Names of principals and policies: the text forms of both dialects, read and written.
//!
//! Besides the policy parser this is the only place that knows how an ARN is spelled. It does not know
//! whether a name exists.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Which vendor's conventions a text follows.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// AWS IAM.
    #[default]
    Aws,
    /// Alibaba Cloud RAM.
    Alibaba,
}

/// A resource name of six parts, split but not interpreted; printing it gives the text it was read from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Arn {
    /// The second part, `aws` for example.
    pub partition: String,
    /// The third part, `iam` for example.
    pub service: String,
    /// The fourth part; empty for global services.
    pub region: String,
    /// The fifth part, the owning account; may be empty.
    pub account: String,
    /// All that follows the fifth colon; may hold colons and slashes.
    pub resource: String,
}

impl Arn {
    /// Whether a text is a complete ARN; as [`Arn::parse`], without taking it apart.
    pub fn is_complete(text: &str) -> bool {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next();
        let arn = next() == Some("arn");
        let named = next().is_some_and(|partition| !partition.is_empty());
        let service = next().is_some_and(|service| !service.is_empty());
        let place = next().is_some() && next().is_some();
        arn && named && service && place && next().is_some_and(|resource| !resource.is_empty())
    }

    /// Reads a complete ARN; partition, service and resource must not be empty.
    pub fn parse(text: &str) -> Option<Arn> {
        let mut parts = text.splitn(6, ':');
        if parts.next()? != "arn" {
            return None;
        }
        let arn = Arn {
            partition: parts.next()?.to_owned(),
            service: parts.next()?.to_owned(),
            region: parts.next()?.to_owned(),
            account: parts.next()?.to_owned(),
            resource: parts.next()?.to_owned(),
        };
        let complete =
            !arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty();
        complete.then_some(arn)
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arn { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

/// The dialect that a name is written in; `None` if it is no name of either.
pub fn dialect(text: &str) -> Option<Dialect> {
    if text.starts_with("arn:") {
        Some(Dialect::Aws)
    } else if text.starts_with("acs:") {
        Some(Dialect::Alibaba)
    } else {
        None
    }
}

/// What stands for an account that is not known yet, in its place in the name of a resource.
pub const OWN_ACCOUNT: &str = "{account}";

/// The account in the name of a resource; empty for one that has none, `None` for what is no name.
pub fn account_of(text: &str) -> Option<&str> {
    text.split(':').nth(account_place(dialect(text)?))
}

/// The name of a resource with this account where it says [`OWN_ACCOUNT`]; `None` if it does not say
/// so in the place of the account. Elsewhere the text means itself.
pub fn of_account(text: &str, account: &str) -> Option<String> {
    let place = account_place(dialect(text)?);
    let mut parts: Vec<&str> = text.split(':').collect();
    let said = parts.get_mut(place).filter(|said| **said == OWN_ACCOUNT)?;
    *said = account;
    Some(parts.join(":"))
}

/// Which of the parts between colons is the account.
fn account_place(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Aws => 4,
        Dialect::Alibaba => 3,
    }
}

/// The name of an account's root user, which in a policy stands for the account.
pub fn root(dialect: Dialect, account: &str) -> String {
    match dialect {
        Dialect::Aws => format!("arn:aws:iam::{account}:root"),
        Dialect::Alibaba => format!("acs:ram::{account}:root"),
    }
}

/// The name of a user; `path` begins and ends with a slash and does not show in the Alibaba form.
pub fn user(dialect: Dialect, account: &str, path: &str, name: &str) -> String {
    match dialect {
        Dialect::Aws => format!("arn:aws:iam::{account}:user{path}{name}"),
        Dialect::Alibaba => format!("acs:ram::{account}:user/{name}"),
    }
}

/// The name of a role; the Alibaba form is in lower case and has no path.
pub fn role(dialect: Dialect, account: &str, path: &str, name: &str) -> String {
    match dialect {
        Dialect::Aws => format!("arn:aws:iam::{account}:role{path}{name}"),
        Dialect::Alibaba => format!("acs:ram::{account}:role/{}", name.to_lowercase()),
    }
}

/// The owner that stands in the names of the policies that belong to no account. [src: AWS.md 2.1; ALIBABA.md 9]
pub fn system_owner(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Aws => "aws",
        Dialect::Alibaba => "system",
    }
}

/// The name of a managed policy; the account `aws` (or `system` for Alibaba) marks the vendor's own.
pub fn policy(dialect: Dialect, account: &str, path: &str, name: &str) -> String {
    match dialect {
        Dialect::Aws => format!("arn:aws:iam::{account}:policy{path}{name}"),
        Dialect::Alibaba => format!("acs:ram::{account}:policy/{name}"),
    }
}

/// The name of a group; `path` begins and ends with a slash and does not show in the Alibaba form.
pub fn group(dialect: Dialect, account: &str, path: &str, name: &str) -> String {
    match dialect {
        Dialect::Aws => format!("arn:aws:iam::{account}:group{path}{name}"),
        Dialect::Alibaba => format!("acs:ram::{account}:group/{name}"),
    }
}

/// The name of a provider of identities by OpenID Connect.
pub fn oidc_provider(dialect: Dialect, account: &str, name: &str) -> String {
    match dialect {
        Dialect::Aws => format!("arn:aws:iam::{account}:oidc-provider/{name}"),
        Dialect::Alibaba => format!("acs:ram::{account}:oidc-provider/{name}"),
    }
}

/// The ARN of an instance profile at the root path.
pub fn instance_profile(dialect: Dialect, account: &str, name: &str) -> String {
    match dialect {
        Dialect::Aws => format!("arn:aws:iam::{account}:instance-profile/{name}"),
        Dialect::Alibaba => format!("acs:ram::{account}:instance-profile/{name}"),
    }
}

/// The name of a role session; it never shows the role's path. [src: ALIBABA.md 9]
pub fn assumed_role(dialect: Dialect, account: &str, role_name: &str, session: &str) -> String {
    match dialect {
        Dialect::Aws => format!("arn:aws:sts::{account}:assumed-role/{role_name}/{session}"),
        Dialect::Alibaba => format!("{}/{session}", role(dialect, account, "/", role_name)),
    }
}

/// The name of a federated-user session.
pub fn federated_user(dialect: Dialect, account: &str, name: &str) -> String {
    match dialect {
        Dialect::Aws => format!("arn:aws:sts::{account}:federated-user/{name}"),
        Dialect::Alibaba => format!("acs:ram::{account}:federated-user/{name}"),
    }
}

/// The account that an account principal names: a bare number or the ARN of a root user.
///
/// Twelve digits for AWS, up to sixteen for Alibaba; anything else is no account principal.
pub fn account_of_root(text: &str) -> Option<&str> {
    if text.starts_with("acs:") {
        let account = text.strip_prefix("acs:ram::")?.strip_suffix(":root")?;
        return is_alibaba_account(account).then_some(account);
    }
    if is_aws_account(text) || is_alibaba_account(text) {
        return Some(text);
    }
    let rest = text.strip_prefix("arn:")?;
    let (partition, rest) = rest.split_once(':')?;
    let account = rest.strip_prefix("iam::")?.strip_suffix(":root")?;
    (is_partition(partition) && is_aws_account(account)).then_some(account)
}

/// A principal or policy by its parts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[expect(missing_docs, reason = "the fields repeat the names of the parts")]
pub enum Entity {
    /// The root user, or the account as a whole where a policy names it.
    Root { account: String },
    /// A user.
    User { account: String, path: String, name: String },
    /// A role.
    Role { account: String, path: String, name: String },
    /// A managed policy; account `aws` for the vendor's own.
    Policy { account: String, path: String, name: String },
    /// A group of users; never a principal.
    Group { account: String, path: String, name: String },
    /// A provider of identities by OpenID Connect; in the AWS form the name is its address without `https://`.
    OidcProvider { account: String, name: String },
    /// A role session.
    AssumedRole { account: String, role: String, session: String },
}

/// What every name in the `ram` service of the Alibaba dialect begins with.
const RAM: &str = "acs:ram:";
/// What stands before the name of a role.
const ROLE: &str = ":role/";

/// Whether names of roles in the Alibaba dialect can begin with a text.
pub fn begins_ram_role(text: &str) -> bool {
    text.bytes().zip(RAM.bytes()).all(|(given, wanted)| given == wanted)
}

/// Whether a text is the name of a role in the Alibaba dialect, whatever the case of the role's own name.
///
/// Such names compare without regard to case: the vendor writes role names in small letters inside them.
/// [src: ALIBABA.md 18]
pub fn is_ram_role(text: &str) -> bool {
    let mut parts = text.splitn(5, ':').skip(2);
    text.starts_with(RAM) && parts.nth(2).is_some_and(|rest| rest.starts_with("role/"))
}

/// The name of a role or session in the Alibaba dialect as far as the role's own name goes, and what follows it.
fn split_session(text: &str) -> (&str, &str) {
    let role = text.find(ROLE).map_or(0, |at| at + ROLE.len());
    let end = text.get(role..).and_then(|rest| rest.find('/')).map_or(text.len(), |at| role + at);
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Whether two texts name the same role, or the same session, in the Alibaba dialect: names of roles compare
/// without regard to case, names of sessions with.
pub fn is_same_ram_role(left: &str, right: &str) -> bool {
    if !is_ram_role(left) {
        return false;
    }
    let (role, session) = split_session(left);
    let (other, its_session) = split_session(right);
    role.eq_ignore_ascii_case(other) && session == its_session
}

/// The one spelling of the name of a role or session in the Alibaba dialect; any other text as it is.
pub fn ram_spelling(text: &str) -> String {
    if !is_ram_role(text) {
        return text.to_owned();
    }
    let (role, session) = split_session(text);
    format!("{}{session}", role.to_ascii_lowercase())
}

/// Reads the name of a principal or policy of either dialect, strictly.
///
/// Whatever is accepted prints back to the same text, so no two texts are one entity. Refused are an empty
/// account, further colons, further slashes in a session, bad paths, and the partitions other than the first.
pub fn parse_entity(text: &str) -> Option<Entity> {
    let entity = if text.starts_with("acs:") { parse_acs(text) } else { parse_aws(text) }?;
    Some(entity)
}

/// Prints an entity in a dialect's form.
pub fn entity(dialect: Dialect, entity: &Entity) -> String {
    match entity {
        Entity::Root { account } => root(dialect, account),
        Entity::User { account, path, name } => user(dialect, account, path, name),
        Entity::Role { account, path, name } => role(dialect, account, path, name),
        Entity::Policy { account, path, name } => policy(dialect, account, path, name),
        Entity::Group { account, path, name } => group(dialect, account, path, name),
        Entity::OidcProvider { account, name } => oidc_provider(dialect, account, name),
        Entity::AssumedRole { account, role, session } => {
            assumed_role(dialect, account, role, session)
        }
    }
}

fn parse_aws(text: &str) -> Option<Entity> {
    let rest = text.strip_prefix("arn:aws:")?;
    let (service, rest) = rest.split_once("::")?;
    let (account, resource) = rest.split_once(':')?;
    let (kind, rest) = match resource.split_once('/') {
        Some((kind, rest)) => (kind, Some(rest)),
        None => (resource, None),
    };
    if !(is_aws_account(account) || (account == "aws" && kind == "policy")) {
        return None;
    }
    let account = account.to_owned();
    match (service, kind, rest) {
        ("iam", "root", None) => Some(Entity::Root { account }),
        ("iam", "user", Some(rest)) => {
            let (path, name) = split_path(rest)?;
            Some(Entity::User { account, path, name })
        }
        ("iam", "role", Some(rest)) => {
            let (path, name) = split_path(rest)?;
            Some(Entity::Role { account, path, name })
        }
        ("iam", "policy", Some(rest)) => {
            let (path, name) = split_path(rest)?;
            Some(Entity::Policy { account, path, name })
        }
        ("iam", "group", Some(rest)) => {
            let (path, name) = split_path(rest)?;
            Some(Entity::Group { account, path, name })
        }
        ("iam", "oidc-provider", Some(name)) if is_address(name) => {
            Some(Entity::OidcProvider { account, name: name.to_owned() })
        }
        ("sts", "assumed-role", Some(rest)) => parse_session(account, rest),
        _ => None,
    }
}

fn parse_acs(text: &str) -> Option<Entity> {
    let rest = text.strip_prefix("acs:ram::")?;
    let (account, resource) = rest.split_once(':')?;
    let (kind, rest) = match resource.split_once('/') {
        Some((kind, rest)) => (kind, Some(rest)),
        None => (resource, None),
    };
    if !(is_alibaba_account(account) || (account == "system" && kind == "policy")) {
        return None;
    }
    let account = account.to_owned();
    let path = "/".to_owned();
    match (kind, rest) {
        ("root", None) => Some(Entity::Root { account }),
        ("user", Some(name)) if is_name(name, 128) => {
            Some(Entity::User { account, path, name: name.to_owned() })
        }
        ("role", Some(name)) if name.contains('/') => {
            parse_session(account, name).filter(|_| ram_spelling(text) == text)
        }
        ("role", Some(name)) if is_name(name, 64) && name.to_lowercase() == name => {
            Some(Entity::Role { account, path, name: name.to_owned() })
        }
        ("policy", Some(name)) if is_name(name, 128) => {
            Some(Entity::Policy { account, path, name: name.to_owned() })
        }
        ("group", Some(name)) if is_name(name, 128) => {
            Some(Entity::Group { account, path, name: name.to_owned() })
        }
        ("oidc-provider", Some(name)) if is_name(name, 128) => {
            Some(Entity::OidcProvider { account, name: name.to_owned() })
        }
        _ => None,
    }
}

fn parse_session(account: String, rest: &str) -> Option<Entity> {
    let (role, session) = rest.split_once('/')?;
    (is_name(role, 128) && is_name(session, 128)).then(|| Entity::AssumedRole {
        account,
        role: role.to_owned(),
        session: session.to_owned(),
    })
}

/// Whether a text can be an address without its scheme: 1 to 255 letters, digits and `.-_/`, not beginning or ending
/// with a slash.
fn is_address(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_/".contains(&b);
    (1..=255).contains(&text.len())
        && !text.starts_with('/')
        && !text.ends_with('/')
        && text.bytes().all(allowed)
}

/// Splits `a/b/name` into the path `/a/b/` and the name.
fn split_path(rest: &str) -> Option<(String, String)> {
    let (path, name) = match rest.rsplit_once('/') {
        Some((path, name)) => (format!("/{path}/"), name),
        None => ("/".to_owned(), rest),
    };
    (is_path(&path) && is_name(name, 128)).then(|| (path, name.to_owned()))
}

/// Whether a text is a path: `/`, or printable ASCII between two slashes, at most 512 characters.
///
/// A wildcard or a colon in a path would make its ARN a pattern or ambiguous; both are refused.
pub fn is_path(path: &str) -> bool {
    path == "/"
        || (path.len() > 2
            && path.len() <= 512
            && path.starts_with('/')
            && path.ends_with('/')
            && path.bytes().all(|b| (0x21..=0x7e).contains(&b) && !matches!(b, b'*' | b'?' | b':')))
}

/// Whether a text may be the name of a user, role, policy or session: `[A-Za-z0-9_+=,.@-]`, 1 to `length_max`.
pub fn is_name(name: &str, length_max: usize) -> bool {
    !name.is_empty()
        && name.len() <= length_max
        && name.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'=' | b',' | b'.' | b'@' | b'-')
        })
}

/// Whether a text has the shape of a unique id of a principal, as stored for a deleted one.
pub fn is_unique_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    (16..=128).contains(&bytes.len())
        && bytes.first() == Some(&b'A')
        && bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn is_aws_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_alibaba_account(text: &str) -> bool {
    (15..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_partition(text: &str) -> bool {
    text == "aws"
        || (text.starts_with("aws-") && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
}
