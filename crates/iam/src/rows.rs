//! What is stored: one row type per table, and the closed set of changes to them.
//!
//! A row is a whole value that cannot be wrong: policies are parsed, names have their types. Rows
//! serialize to JSON; a new member needs a default, a removed name is never used again. Not here:
//! the tables themselves ([`crate::state`]) and the rules of who may change what.

use crate::text::*;
use policy::Dialect;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use crate::grants::{Grants, PolicyRef};
pub use crate::identity::{CertificateIdentity, ServiceIdentity, TokenIdentity};
pub use crate::policy_text::{PermissionsPolicy, TrustPolicy};
pub use crate::service_rows::*;
pub use crate::terms::ServiceTerms;

/// An account: the tenant that owns everything else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The account's id.
    pub id: AccountId,
    /// Its home dialect, fixed at creation: id style, role naming, policy language.
    pub dialect: Dialect,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// Roles after which an ordinary role is refused.
    pub role_quota: u32,
    /// The name it goes by beside its id; no two accounts have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<AccountAlias>,
    /// What it demands of linked services.
    #[serde(default)]
    pub terms: ServiceTerms,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its unique id.
    pub id: UserId,
    /// Its name.
    pub name: UserName,
    /// Its path.
    pub path: Path,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970; 0 if never.
    #[serde(default)]
    pub updated_ms: i64,
    /// What is written of the person behind it.
    #[serde(default)]
    pub profile: Profile,
    /// Its tags.
    pub tags: Tags,
    /// Its permissions.
    pub grants: Grants,
}

/// What is written of the person behind a user. Nothing is decided by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// A name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Note>,
    /// A telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mobile_phone: Option<Note>,
    /// An address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Note>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comments: Option<Note>,
}

impl Profile {
    /// Takes over what another one says.
    pub fn update(&mut self, with: &Self) {
        let set = |slot: &mut Option<Note>, new: &Option<Note>| {
            if new.is_some() {
                slot.clone_from(new);
            }
        };
        set(&mut self.display_name, &with.display_name);
        set(&mut self.mobile_phone, &with.mobile_phone);
        set(&mut self.email, &with.email);
        set(&mut self.comments, &with.comments);
    }
}

/// A group of users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its unique id.
    pub id: GroupId,
    /// Its name.
    pub name: GroupName,
    /// Its path.
    pub path: Path,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970; 0 if never.
    pub updated_ms: i64,
    /// What a person wrote about it.
    pub comments: Option<Note>,
    /// Who is in it, by unique id, with the time of joining in milliseconds since 1970.
    pub members: BTreeMap<UserId, i64>,
    /// What all who are in it may do; a group has no boundary.
    pub grants: Grants,
}

/// A provider of identities by OpenID Connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OidcProvider {
    /// The account that takes its tokens.
    pub account: AccountId,
    /// Its name.
    pub name: ProviderName,
    /// Who issues the tokens.
    pub issuer: IssuerUrl,
    /// For whom they have to be; nobody if empty.
    pub client_ids: Vec<ClientId>,
    /// Certificates of which one has to stand in the issuer's chain; if empty, the chain has to end at one that the
    /// installation trusts.
    pub fingerprints: Vec<Fingerprint>,
    /// How old a token may be, in hours.
    pub issuance_limit_h: Option<u32>,
    /// What a person wrote about it.
    pub description: Option<Note>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970; 0 if never.
    pub updated_ms: i64,
}

/// Who an access key speaks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOwner {
    /// The account's root.
    Root(AccountId),
    /// A user, by unique id.
    User(AccountId, UserId),
    /// A linked service: a class of its own, in no account.
    Service(ServiceName),
}

/// Whether a key is accepted. Anything unreadable is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyStatus {
    /// Accepted.
    Active,
    /// Refused until it is made active again.
    Inactive,
}

/// A long-term access key with its sealed secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Its id.
    pub id: KeyId,
    /// Who it speaks for.
    pub owner: KeyOwner,
    /// Whether it is accepted.
    pub status: KeyStatus,
    /// The secret, sealed for this row.
    pub sealed: String,
    /// Counts changes of the secret; part of what the secret is sealed for.
    pub version: u32,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

impl AccessKey {
    /// The place its secret is sealed for: owner, id and version.
    pub fn place<'a>(owner: &'a KeyOwner, id: &'a KeyId, version: &'a str) -> [&'a str; 4] {
        let (class, name) = match owner {
            KeyOwner::Root(account) | KeyOwner::User(account, _) => ("account", account.as_str()),
            KeyOwner::Service(service) => ("service", service.as_str()),
        };
        [class, name, id.as_str(), version]
    }
}

/// When and for what something was last used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LastUse {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// In which region, as the request's scope said.
    pub region: String,
    /// For which service.
    pub service: String,
}

/// Whose last use is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Used {
    /// An access key.
    Key(KeyId),
    /// A role, by unique id.
    Role(RoleId),
}

/// A role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its unique id.
    pub id: RoleId,
    /// Its name.
    pub name: RoleName,
    /// Its path.
    pub path: Path,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970; 0 if never.
    #[serde(default)]
    pub updated_ms: i64,
    /// What a person wrote about it.
    pub description: Option<Description>,
    /// Its tags.
    pub tags: Tags,
    /// Longest life of its sessions, in seconds.
    pub max_session_s: u32,
    /// Sessions issued at or before this time are not honoured, in milliseconds since 1970.
    pub not_before_ms: i64,
    /// Whose role it is, with all that follows from that.
    pub kind: RoleKind,
}

/// Whose role it is.
///
/// INVARIANT(protected): trust and permissions of a service-linked role are a reference to the
/// catalogue, so no operation on a role's own trust or grants has anything to write to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleKind {
    /// The account's own role.
    Own(OwnRole),
    /// A linked service's role.
    Linked(LinkedRole),
}

/// What only an account's own role has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnRole {
    /// Who may assume it.
    pub trust: TrustPolicy,
    /// The unique ids that the trust policy's principals had when it was stored.
    pub pins: BTreeMap<String, String>,
    /// Its permissions.
    pub grants: Grants,
}

/// What only a service-linked role has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkedRole {
    /// The template that gives it trust and permissions.
    pub template: TemplateRef,
    /// The suffix of its name, where one was given.
    pub suffix: Option<Suffix>,
    /// Whether a deletion holds it, under which epoch.
    pub status: RoleStatus,
}

/// A template of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TemplateRef {
    /// The linked service that owns the template.
    pub service: ServiceName,
    /// The principal named in the role's trust; a service with several roles has one for each.
    pub principal: ServiceName,
    /// The version of the permissions.
    pub version: u32,
}

/// Where a service-linked role stands in its life. The epoch never decreases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleStatus {
    /// In service.
    Active {
        /// The epoch.
        epoch: u64,
    },
    /// Fenced by a deletion task; a use by its service ends the fence.
    Deleting {
        /// The task.
        task: TaskId,
        /// The epoch, one above that before the fence.
        epoch: u64,
    },
}

impl RoleStatus {
    /// The epoch, whatever the status.
    pub fn epoch(&self) -> u64 {
        match self {
            Self::Active { epoch } | Self::Deleting { epoch, .. } => *epoch,
        }
    }
}

/// A customer policy with its versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManagedPolicy {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its unique id.
    pub id: PolicyId,
    /// Its name.
    pub name: PolicyName,
    /// Its path.
    pub path: Path,
    /// What a person wrote about it; fixed at creation.
    pub description: Option<Description>,
    /// Its tags.
    pub tags: Tags,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When its default version was last chosen, in milliseconds since 1970.
    pub updated_ms: i64,
    /// Its versions by number.
    pub versions: BTreeMap<u32, PolicyVersion>,
    /// The version in force.
    pub default_version: u32,
    /// The number the next version gets; numbers are not used again.
    pub next_version: u32,
}

/// One version of a customer policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// Its document.
    pub document: PermissionsPolicy,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

/// An operator's permission for one service to register itself, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The service it is for.
    pub service: ServiceName,
    /// The digest of the one-time token.
    pub token_digest: String,
    /// The address at which the operator lets it be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<String>,
    /// When the token ends, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// A use of a service-linked role by one resource. It does not expire: a service that is down
/// for an hour still owns its resources.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// The role's account.
    pub account: AccountId,
    /// The role, by unique id.
    pub role: RoleId,
    /// Where.
    pub region: Region,
    /// What.
    pub resource: ResourceName,
    /// When it was registered, in milliseconds since 1970.
    pub at_ms: i64,
}

/// The version of the last full set that a service told for one role and region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageGuard {
    /// The role's account.
    pub account: AccountId,
    /// The role, by unique id.
    pub role: RoleId,
    /// Where.
    pub region: Region,
    /// Grows with every change of the set.
    pub version: u64,
}

/// An upper bound on the end of every session of a service-linked role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The role's account.
    pub account: AccountId,
    /// The role, by unique id.
    pub role: RoleId,
    /// No honoured session ends after this time, in milliseconds since 1970.
    pub last_expiry_ms: i64,
}

/// The mark a removed service-linked role leaves for ever: its id is never usable again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The role's account.
    pub account: AccountId,
    /// The role, by unique id.
    pub role: RoleId,
    /// When it was removed, in milliseconds since 1970.
    pub at_ms: i64,
}

/// A deletion task as its submitter sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Submitted.
    NotStarted,
    /// A worker has it.
    InProgress,
    /// The role is gone.
    Succeeded,
    /// The role stays; the reason says why.
    Failed,
}

/// What a task does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskPhase {
    /// Waits for a worker.
    Queued,
    /// Claimed; the look before the fence comes next.
    Claimed,
    /// Seen unused; the fence comes next.
    Checked,
    /// Fenced; the look under the fence and the removal come next.
    Fenced,
    /// The role is removed; the task only has to be closed.
    Committed,
    /// Nothing more to do.
    Final,
}

/// The deletion of one service-linked role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeletionTask {
    /// Its random id.
    pub id: TaskId,
    /// The role's account.
    pub account: AccountId,
    /// The role, by unique id.
    pub role: RoleId,
    /// The role's name, kept for the time after it.
    pub role_name: RoleName,
    /// The role's path, kept for the time after it.
    pub role_path: Path,
    /// The principal in the role's trust.
    pub principal: ServiceName,
    /// What its submitter sees.
    pub status: TaskStatus,
    /// What comes next.
    pub phase: TaskPhase,
    /// Counts claims: a step of an earlier claim is void.
    pub attempt: u32,
    /// Counts fences.
    pub fences: u32,
    /// The epoch of its fence, while it has one.
    pub fence_epoch: Option<u64>,
    /// When the fence was set, in milliseconds since 1970.
    pub fenced_ms: i64,
    /// Until when the present claim holds, in milliseconds since 1970.
    pub lease_until_ms: i64,
    /// When it was submitted, in milliseconds since 1970.
    pub submitted_ms: i64,
    /// When it must be final, in milliseconds since 1970.
    pub deadline_ms: i64,
    /// When it became final, in milliseconds since 1970.
    pub ended_ms: Option<i64>,
    /// Why it failed.
    pub reason: Option<String>,
    /// What used the role, by region.
    pub usages: BTreeMap<Region, Vec<ResourceName>>,
}

impl DeletionTask {
    /// Whether it is not final yet.
    pub fn is_open(&self) -> bool {
        !matches!(self.status, TaskStatus::Succeeded | TaskStatus::Failed)
    }
}

/// What a service that fences is still to be told of a deletion: that it ended without, or with the role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The role's account.
    pub account: AccountId,
    /// The role's unique id.
    pub role: RoleId,
    /// The role's name for everybody, kept for the time after it.
    pub role_arn: String,
    /// The role's name in its account.
    pub role_name: RoleName,
    /// The principal in the role's trust.
    pub principal: ServiceName,
    /// Who is told.
    pub service: ServiceName,
    /// The deletion.
    pub task: TaskId,
    /// The epoch of the fence it is about.
    pub epoch: u64,
    /// Whether the role is gone; else it stays.
    pub committed: bool,
    /// When it is given up, in milliseconds since 1970: the service finds out by itself.
    pub until_ms: i64,
}

/// The last time seen, so that a clock that goes back frees nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// In milliseconds since 1970.
    pub at_ms: i64,
}

/// The row of a last use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UseRow {
    /// Whose.
    pub used: Used,
    /// When and for what.
    pub last: LastUse,
}

/// A last attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// In which region; empty where none was told.
    pub region: String,
}

/// What a principal last tried at one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Access {
    /// The principal's account.
    pub account: AccountId,
    /// The root, user or role.
    pub principal: PrincipalId,
    /// The service.
    pub service: Namespace,
    /// The last attempt of all.
    pub last: Seen,
    /// The last attempt of each action.
    pub actions: BTreeMap<ActionName, Seen>,
}

/// How many sessions a principal has had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sessions {
    /// The principal's account.
    pub account: AccountId,
    /// The root, user or role.
    pub principal: PrincipalId,
    /// Sessions opened since it was first counted.
    pub opened: u64,
    /// When the last one was opened, in milliseconds since 1970.
    pub last_ms: i64,
}

/// A request that was taken and is not taken again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nonce {
    /// What it is known by.
    pub digest: NonceDigest,
    /// Until when it is remembered, in milliseconds since 1970.
    pub until_ms: i64,
}

/// What the installation fixed when it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Installation {
    /// The check value of the keyring the rows are sealed with.
    pub key_check: String,
}

macro_rules! tables {
    ($($(#[$doc:meta])* $number:literal $row:ident($data:ty) by ($($field:ident: $key:ty),*);)*) => {
        /// A row of any table.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Row { $($(#[$doc])* $row($data)),* }

        /// What identifies a row.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Key { $($(#[$doc])* $row($($key),*)),* }

        impl Key {
            /// The table's number and the key's bytes, as the store keeps them.
            pub fn encode(&self) -> (u8, Vec<u8>) {
                match self {
                    $(Self::$row($($field),*) => {
                        let parts: Vec<&str> = vec![$($field.as_key()),*];
                        ($number, parts.join("\n").into_bytes())
                    })*
                }
            }
        }

        impl Row {
            /// The row's bytes, as the store keeps them.
            pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
                match self { $(Self::$row(data) => serde_json::to_vec(data)),* }
            }

            /// Reads a row back. An unknown table or an unreadable row is an error that names it.
            pub fn decode(table: u8, bytes: &[u8]) -> Result<Self, String> {
                match table {
                    $($number => serde_json::from_slice(bytes).map(Self::$row)
                        .map_err(|e| format!("a row of table {table} ({}) is unreadable: {e}", stringify!($row))),)*
                    other => Err(format!("table {other} is not known to this version")),
                }
            }
        }
    };
}

trait AsKey {
    fn as_key(&self) -> &str;
}
macro_rules! as_key {
    ($($t:ty),*) => {$(impl AsKey for $t { fn as_key(&self) -> &str { self.as_str() } })*};
}
as_key!(
    AccountId,
    Folded,
    KeyId,
    ServiceName,
    RoleId,
    Region,
    ResourceName,
    TaskId,
    NonceDigest,
    PrincipalId,
    Namespace
);
impl AsKey for &'static str {
    fn as_key(&self) -> &str {
        self
    }
}

tables! {
    /// An account.
    1 Account(Account) by (account: AccountId);
    /// A user.
    2 User(User) by (account: AccountId, name: Folded);
    /// An access key.
    3 AccessKey(AccessKey) by (id: KeyId);
    /// A role.
    4 Role(Role) by (account: AccountId, name: Folded);
    /// A customer policy.
    5 Policy(ManagedPolicy) by (account: AccountId, name: Folded);
    /// A linked service.
    6 Service(Service) by (name: ServiceName);
    /// An enrolment.
    7 Enrolment(Enrolment) by (service: ServiceName);
    /// A use of a service-linked role.
    8 Usage(Usage) by (account: AccountId, role: RoleId, region: Region, resource: ResourceName);
    /// The version of a usage set.
    9 UsageGuard(UsageGuard) by (account: AccountId, role: RoleId, region: Region);
    /// A session ledger.
    10 Ledger(Ledger) by (account: AccountId, role: RoleId);
    /// A removed service-linked role.
    11 Tombstone(Tombstone) by (account: AccountId, role: RoleId);
    /// A deletion task.
    12 Task(DeletionTask) by (account: AccountId, id: TaskId);
    /// The last time seen.
    13 Clock(Clock) by ();
    /// A last use.
    14 Use(UseRow) by (class: &'static str, id: Folded);
    /// The installation.
    15 Installation(Installation) by ();
    /// A request that was taken.
    16 Nonce(Nonce) by (digest: NonceDigest);
    /// A group.
    17 Group(Group) by (account: AccountId, name: Folded);
    /// A provider of identities.
    18 OidcProvider(OidcProvider) by (account: AccountId, name: Folded);
    /// What a service is still to be told.
    19 Notice(Notice) by (account: AccountId, role: RoleId);
    /// What a principal last tried at a service.
    20 Access(Access) by (account: AccountId, principal: PrincipalId, service: Namespace);
    /// How many sessions a principal has had.
    21 Sessions(Sessions) by (account: AccountId, principal: PrincipalId);
}

impl Row {
    /// What identifies this row.
    pub fn key(&self) -> Key {
        match self {
            Self::Account(r) => Key::Account(r.id.clone()),
            Self::User(r) => Key::User(r.account.clone(), r.name.folded()),
            Self::AccessKey(r) => Key::AccessKey(r.id.clone()),
            Self::Role(r) => Key::Role(r.account.clone(), r.name.folded()),
            Self::Policy(r) => Key::Policy(r.account.clone(), r.name.folded()),
            Self::Service(r) => Key::Service(r.name.clone()),
            Self::Enrolment(r) => Key::Enrolment(r.service.clone()),
            Self::Usage(r) => {
                Key::Usage(r.account.clone(), r.role.clone(), r.region.clone(), r.resource.clone())
            }
            Self::UsageGuard(r) => {
                Key::UsageGuard(r.account.clone(), r.role.clone(), r.region.clone())
            }
            Self::Ledger(r) => Key::Ledger(r.account.clone(), r.role.clone()),
            Self::Tombstone(r) => Key::Tombstone(r.account.clone(), r.role.clone()),
            Self::Task(r) => Key::Task(r.account.clone(), r.id.clone()),
            Self::Clock(_) => Key::Clock(),
            Self::Use(r) => match &r.used {
                Used::Key(id) => Key::Use("key", Folded::of(id.as_str())),
                Used::Role(id) => Key::Use("role", Folded::of(id.as_str())),
            },
            Self::Installation(_) => Key::Installation(),
            Self::Nonce(r) => Key::Nonce(r.digest.clone()),
            Self::Group(r) => Key::Group(r.account.clone(), r.name.folded()),
            Self::OidcProvider(r) => Key::OidcProvider(r.account.clone(), r.name.folded()),
            Self::Notice(r) => Key::Notice(r.account.clone(), r.role.clone()),
            Self::Access(r) => {
                Key::Access(r.account.clone(), r.principal.clone(), r.service.clone())
            }
            Self::Sessions(r) => Key::Sessions(r.account.clone(), r.principal.clone()),
        }
    }
}

/// One change of one table.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The row is there, as given.
    Put(Row),
    /// The row is gone.
    Delete(Key),
}

impl Change {
    /// Table number, key bytes and, unless the row goes, its bytes.
    #[expect(clippy::type_complexity, reason = "the three parts are the store's own")]
    pub fn encode(&self) -> Result<(u8, Vec<u8>, Option<Vec<u8>>), serde_json::Error> {
        match self {
            Self::Put(row) => {
                let (table, key) = row.key().encode();
                Ok((table, key, Some(row.encode()?)))
            }
            Self::Delete(key) => {
                let (table, key) = key.encode();
                Ok((table, key, None))
            }
        }
    }
}
