//! What commands take where one value does not say it: typed, and the same in every dialect.

use crate::callback::Answer;
use crate::offered::OfferedPolicy;
use crate::rows::*;
use crate::state::EntityRef;
use crate::text::*;
use std::collections::{BTreeMap, BTreeSet};

/// A page of a listing: after which name, how many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Paging {
    /// The sealed marker of the page before, as the caller sent it.
    pub marker: Option<String>,
    /// At most this many items; 100 unless given.
    pub limit: Option<usize>,
    /// The number of the page, from 1, where pages are counted instead of marked.
    pub page: Option<usize>,
}

/// Whose a managed policy is, as a caller says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyOwner {
    /// The caller's own account.
    Own,
    /// This account.
    Account(AccountId),
    /// Nobody: linkrole's own policies.
    System,
}

/// A managed policy as a caller names it.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyTarget {
    /// The text as given, for errors.
    pub text: String,
    /// Its owner.
    pub owner: PolicyOwner,
    /// Its path.
    pub path: Path,
    /// Its name.
    pub name: PolicyName,
}

/// A role as a caller of AssumeRole names it.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleTarget {
    /// The text as given, for errors.
    pub text: String,
    /// Its account.
    pub account: AccountId,
    /// Its name; the whole text must equal the stored role's.
    pub name: RoleName,
}

/// Everything AssumeRole takes.
#[derive(Clone, Debug, PartialEq)]
pub struct AssumeRole {
    /// The role.
    pub role: RoleTarget,
    /// The session's name.
    pub session: SessionName,
    /// Its length in seconds; the default is an hour.
    pub duration_s: Option<u32>,
    /// An inline session policy.
    pub policy: Option<PermissionsPolicy>,
    /// Managed policies as session policies.
    pub policy_arns: Vec<PolicyTarget>,
    /// Session tags.
    pub tags: Vec<(TagKey, TagValue)>,
    /// Keys of the tags that go on along a chain.
    pub transitive: Vec<TagKey>,
    /// The third party's secret word.
    pub external_id: Option<ExternalId>,
    /// The identity to be kept along the chain.
    pub source_identity: Option<SourceIdentity>,
}

/// What a forwarded request asks of the service it was sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The action, with its prefix.
    pub action: String,
    /// The resource, or `None` for an action without one.
    pub resource: Option<String>,
    /// The account that owns the resource; the caller's own unless given.
    pub account: Option<AccountId>,
    /// Condition keys that the service vouches for.
    pub context: BTreeMap<String, Vec<String>>,
}

/// A service-linked role as its own service names it.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkedTarget {
    /// The account.
    pub account: AccountId,
    /// The role's unique id, or its name.
    pub role: String,
}

/// A provider of identities that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOidcProvider {
    /// Its name.
    pub name: ProviderName,
    /// Who issues the tokens.
    pub issuer: IssuerUrl,
    /// For whom they have to be.
    pub client_ids: Vec<ClientId>,
    /// Pinned certificates.
    pub fingerprints: Vec<Fingerprint>,
    /// How old a token may be, in hours.
    pub issuance_limit_h: Option<u32>,
    /// What a person wrote about it.
    pub description: Option<Note>,
}

/// What a report of the access advisor is to be about.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportTarget {
    /// The text as given, for errors.
    pub text: String,
    /// The account that the name tells.
    pub account: AccountId,
    /// What it is.
    pub of: ReportOf,
}

/// The kinds of things that reports are about.
#[derive(Clone, Debug, PartialEq)]
pub enum ReportOf {
    /// A user.
    User(UserName),
    /// A group: its members.
    Group(GroupName),
    /// A role.
    Role(RoleName),
    /// A managed policy: all who have it attached.
    Policy(PolicyTarget),
}

/// Whose access is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessOf {
    /// The root of the account.
    Root(AccountId),
    /// A user.
    User(UserName),
    /// A role.
    Role(RoleName),
    /// An access key.
    Key(KeyId),
}

/// What bears tags: things of one kind. Of a listing, none stands for all of the kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Tagged {
    /// Roles.
    Roles(Vec<RoleName>),
    /// Users.
    Users(Vec<UserName>),
    /// Managed policies.
    Policies(Vec<PolicyTarget>),
}

/// A tag that is looked for: its key, and its value unless any will do.
pub type TagFilter = (TagKey, Option<TagValue>);

/// Which policies a listing wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PolicyScope {
    /// All policies.
    #[default]
    All,
    /// linkrole's own.
    System,
    /// The account's.
    Local,
}

/// Which referrers of a policy a listing wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EntityFilter {
    /// All.
    #[default]
    All,
    /// Users.
    Users,
    /// Roles.
    Roles,
    /// Groups.
    Groups,
}

/// Which attachments a listing wants; what is not given may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachmentFilter {
    /// The policy's name.
    pub policy: Option<PolicyName>,
    /// Whether the policy is linkrole's own.
    pub is_system: Option<bool>,
    /// Who it is attached to.
    pub holder: Option<HolderFilter>,
}

/// Which holders of policies a listing wants; without a name, all of the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HolderFilter {
    /// Users.
    User(Option<Folded>),
    /// Groups.
    Group(Option<Folded>),
    /// Roles.
    Role(Option<Folded>),
}

impl HolderFilter {
    /// Whether an entity is wanted.
    pub fn fits(&self, entity: &EntityRef) -> bool {
        let (wanted, name) = match (self, entity) {
            (Self::User(wanted), EntityRef::User(_, name))
            | (Self::Group(wanted), EntityRef::Group(_, name))
            | (Self::Role(wanted), EntityRef::Role(_, name)) => (wanted, name),
            _ => return false,
        };
        wanted.as_ref().is_none_or(|wanted| wanted == name)
    }
}

/// A manifest: what a linked service says of itself. See `docs/reference/manifest.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The service.
    pub service: ServiceName,
    /// Its name for people.
    pub display_name: String,
    /// Names under which callers sign requests to it.
    pub signing_names: BTreeSet<String>,
    /// Hosts at which callers reach it.
    pub hosts: BTreeSet<String>,
    /// Regions in which it keeps resources.
    pub regions: BTreeSet<Region>,
    /// How use of its roles is known.
    pub usage: UsageSource,
    /// Where it is asked whether its roles are used.
    pub callback: Option<Callback>,
    /// What proves it beside its keys.
    pub identity: Option<Box<ServiceIdentity>>,
    /// What it may call onward in its callers' names.
    pub forward: Documents,
    /// Its roles.
    pub roles: Vec<Template>,
    /// The policies that it offers to its customers.
    pub policies: Vec<OfferedPolicy>,
}

/// A vendor's policy of a role that is known from facts.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedPolicy {
    /// The policy's name.
    pub policy: PolicyName,
    /// What it says; its language tells in which dialect's accounts it counts.
    pub document: PermissionsPolicy,
    /// Where it comes from, as the operator says.
    pub source: Description,
    /// Whether only the difference is wanted.
    pub dry_run: bool,
}

/// What is to change in an account's terms; what is not given stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TermsChange {
    /// Whether new permissions of services wait for an administrator.
    pub holds_updates: Option<bool>,
    /// Whether only the account's own principals make service-linked roles.
    pub requires_consent: Option<bool>,
}

/// One step of a deletion, with what its worker read before it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeletionStep {
    /// The task.
    pub task: TaskId,
    /// The claim under which the worker acts.
    pub attempt: u32,
    /// The epoch of the fence the worker saw, where there is one.
    pub epoch: Option<u64>,
    /// What to do.
    pub step: Step,
    /// What the role's service answered, where it is asked for this step.
    pub answers: Vec<Answer>,
}

/// What a step does. T2 to T8 and T10 of the protocol in `docs/explanation/deletion.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Take the task, or take it over when its lease has run out.
    Claim,
    /// Look, without a fence.
    Check,
    /// Set the fence.
    Fence,
    /// Look under the fence and remove the role.
    Commit,
    /// Close the task of a removed role.
    Finish,
    /// Give up: lift the fence, keep the role.
    Refuse,
}
