//! What a caller can ask for and what it gets: one variant per operation, parsed and typed.
//!
//! Every dialect decodes into [`Command`] and encodes from [`Output`]. Not here: who may ask
//! ([`crate::authorize`]) and what it does (the resource files).

use crate::operations::Operation;
use crate::rows::*;
use crate::text::*;
use policy::Decision;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

/// Which roles a listing wants.
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
    /// Its roles.
    pub roles: Vec<Template>,
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

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "fields are the vendors' parameters of the operation")]
pub enum Command {
    CreateServiceLinkedRole {
        principal: String,
        suffix: Option<Suffix>,
        description: Option<Description>,
    },
    DeleteServiceLinkedRole {
        role: RoleName,
    },
    GetServiceLinkedRoleTemplate {
        principal: Option<String>,
    },
    GetServiceLinkedRoleDeletionStatus {
        task: TaskId,
        principal: String,
        role: String,
    },
    CreateRole {
        role: RoleName,
        path: Path,
        trust: TrustPolicy,
        description: Option<Description>,
        max_session_s: Option<u32>,
        boundary: Option<PolicyTarget>,
        tags: Vec<(TagKey, TagValue)>,
    },
    GetRole {
        role: RoleName,
    },
    ListRoles {
        prefix: String,
        paging: Paging,
    },
    UpdateRole {
        role: RoleName,
        description: Option<Description>,
        max_session_s: Option<u32>,
        trust: Option<TrustPolicy>,
    },
    UpdateRoleDescription {
        role: RoleName,
        description: Description,
    },
    UpdateAssumeRolePolicy {
        role: RoleName,
        trust: TrustPolicy,
    },
    DeleteRole {
        role: RoleName,
    },
    TagRole {
        role: RoleName,
        tags: Vec<(TagKey, TagValue)>,
    },
    UntagRole {
        role: RoleName,
        keys: Vec<TagKey>,
    },
    ListRoleTags {
        role: RoleName,
        paging: Paging,
    },
    PutRolePolicy {
        role: RoleName,
        name: PolicyName,
        document: PermissionsPolicy,
    },
    GetRolePolicy {
        role: RoleName,
        name: PolicyName,
    },
    ListRolePolicies {
        role: RoleName,
        paging: Paging,
    },
    DeleteRolePolicy {
        role: RoleName,
        name: PolicyName,
    },
    AttachRolePolicy {
        role: RoleName,
        policy: PolicyTarget,
    },
    DetachRolePolicy {
        role: RoleName,
        policy: PolicyTarget,
    },
    ListAttachedRolePolicies {
        role: RoleName,
        prefix: String,
        paging: Paging,
    },
    PutRolePermissionsBoundary {
        role: RoleName,
        policy: PolicyTarget,
    },
    DeleteRolePermissionsBoundary {
        role: RoleName,
    },
    ListInstanceProfilesForRole {
        role: RoleName,
        paging: Paging,
    },
    AddRoleToInstanceProfile {
        profile: String,
        role: RoleName,
    },
    RemoveRoleFromInstanceProfile {
        profile: String,
        role: RoleName,
    },
    CreateUser {
        user: UserName,
        path: Path,
        boundary: Option<PolicyTarget>,
        tags: Vec<(TagKey, TagValue)>,
        profile: Profile,
    },
    GetUser {
        user: Option<UserName>,
    },
    ListUsers {
        prefix: String,
        paging: Paging,
    },
    UpdateUser {
        user: UserName,
        new_name: Option<UserName>,
        new_path: Option<Path>,
        profile: Profile,
    },
    DeleteUser {
        user: UserName,
    },
    PutUserPolicy {
        user: UserName,
        name: PolicyName,
        document: PermissionsPolicy,
    },
    GetUserPolicy {
        user: UserName,
        name: PolicyName,
    },
    ListUserPolicies {
        user: UserName,
        paging: Paging,
    },
    DeleteUserPolicy {
        user: UserName,
        name: PolicyName,
    },
    AttachUserPolicy {
        user: UserName,
        policy: PolicyTarget,
    },
    DetachUserPolicy {
        user: UserName,
        policy: PolicyTarget,
    },
    ListAttachedUserPolicies {
        user: UserName,
        prefix: String,
        paging: Paging,
    },
    CreateAccessKey {
        user: Option<UserName>,
    },
    ListAccessKeys {
        user: Option<UserName>,
        paging: Paging,
    },
    UpdateAccessKey {
        user: Option<UserName>,
        key: KeyId,
        status: KeyStatus,
    },
    DeleteAccessKey {
        user: Option<UserName>,
        key: KeyId,
    },
    GetAccessKeyLastUsed {
        key: KeyId,
    },
    CreatePolicy {
        name: PolicyName,
        path: Path,
        document: PermissionsPolicy,
        description: Option<Description>,
        tags: Vec<(TagKey, TagValue)>,
    },
    GetPolicy {
        policy: PolicyTarget,
    },
    GetPolicyVersion {
        policy: PolicyTarget,
        version: u32,
    },
    ListPolicies {
        scope: PolicyScope,
        attached_only: bool,
        prefix: String,
        paging: Paging,
    },
    ListPolicyVersions {
        policy: PolicyTarget,
        paging: Paging,
    },
    CreatePolicyVersion {
        policy: PolicyTarget,
        document: PermissionsPolicy,
        set_default: bool,
        rotate: bool,
    },
    SetDefaultPolicyVersion {
        policy: PolicyTarget,
        version: u32,
    },
    DeletePolicyVersion {
        policy: PolicyTarget,
        version: u32,
    },
    DeletePolicy {
        policy: PolicyTarget,
        cascade: bool,
    },
    UpdatePolicyDescription {
        policy: PolicyTarget,
        description: Description,
    },
    ListEntitiesForPolicy {
        policy: PolicyTarget,
        filter: EntityFilter,
        usage: Option<crate::state::Link>,
        prefix: String,
        paging: Paging,
    },
    AssumeRole(Box<AssumeRole>),
    GetCallerIdentity,
    GetSessionToken {
        duration_s: Option<u32>,
    },
    GetAccessKeyInfo {
        key: KeyId,
    },
    LookupEvents,
    EnsureServiceLinkedRole {
        principal: String,
        suffix: Option<Suffix>,
    },
    AuthorizeRequest(Box<Question>),
    RegisterUsage {
        target: LinkedTarget,
        region: Region,
        resource: ResourceName,
    },
    DeregisterUsage {
        target: LinkedTarget,
        region: Region,
        resource: ResourceName,
    },
    ReconcileUsage {
        target: LinkedTarget,
        region: Region,
        after_version: u64,
        resources: BTreeSet<ResourceName>,
    },
    ListUsage {
        target: LinkedTarget,
    },
    ReleaseSessions {
        target: LinkedTarget,
    },
    EnrolService {
        service: ServiceName,
    },
    RegisterService {
        token: Option<String>,
        manifest: Box<Manifest>,
    },
    ListServices,
    GetService {
        service: String,
    },
    CreateAccount {
        id: Option<AccountId>,
        dialect: policy::Dialect,
        role_quota: Option<u32>,
    },
    ListAccounts,
    ReadTrail,
    StepDeletion(DeletionStep),
    RecordUse {
        uses: Vec<(Used, LastUse)>,
    },
    Sweep,
}

macro_rules! operation_of {
    ($self:ident: $($unit:ident)* ; $($tuple:ident)* ; $($named:ident)*) => {
        match $self {
            $(Self::$unit => Operation::$unit,)*
            $(Self::$tuple(_) => Operation::$tuple,)*
            $(Self::$named { .. } => Operation::$named,)*
        }
    };
}

impl Command {
    /// The row of the operation table that this command belongs to.
    pub fn operation(&self) -> Operation {
        operation_of!(self:
            GetCallerIdentity LookupEvents ListServices ListAccounts ReadTrail Sweep;
            AssumeRole AuthorizeRequest StepDeletion;
            CreateServiceLinkedRole DeleteServiceLinkedRole GetServiceLinkedRoleDeletionStatus
            GetServiceLinkedRoleTemplate UpdatePolicyDescription
            CreateRole GetRole ListRoles UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy
            DeleteRole TagRole UntagRole ListRoleTags PutRolePolicy GetRolePolicy ListRolePolicies
            DeleteRolePolicy AttachRolePolicy DetachRolePolicy ListAttachedRolePolicies
            PutRolePermissionsBoundary DeleteRolePermissionsBoundary ListInstanceProfilesForRole
            AddRoleToInstanceProfile RemoveRoleFromInstanceProfile CreateUser GetUser ListUsers
            UpdateUser DeleteUser PutUserPolicy GetUserPolicy ListUserPolicies DeleteUserPolicy
            AttachUserPolicy DetachUserPolicy ListAttachedUserPolicies CreateAccessKey
            ListAccessKeys UpdateAccessKey DeleteAccessKey GetAccessKeyLastUsed CreatePolicy
            GetPolicy GetPolicyVersion ListPolicies ListPolicyVersions CreatePolicyVersion
            SetDefaultPolicyVersion DeletePolicyVersion DeletePolicy ListEntitiesForPolicy
            GetSessionToken GetAccessKeyInfo EnsureServiceLinkedRole RegisterUsage DeregisterUsage
            ReconcileUsage ListUsage ReleaseSessions EnrolService RegisterService GetService
            CreateAccount RecordUse)
    }
}

/// A role as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleView {
    /// The stored role.
    pub role: Arc<Role>,
    /// Its ARN.
    pub arn: String,
    /// Its trust.
    pub trust: TrustView,
    /// The ARN of its boundary.
    pub boundary: Option<String>,
    /// When and where it was last used.
    pub last_use: Option<Arc<LastUse>>,
    /// The newest deletion task of a service-linked role.
    pub deletion: Option<Arc<DeletionTask>>,
}

/// A role's trust as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum TrustView {
    /// The account's own document; deleted principals stand as their unique ids.
    Own(String),
    /// Only this linked service.
    Linked(ServiceName),
}

/// A user as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct UserView {
    /// The stored user; `None` stands for root.
    pub user: Option<Arc<User>>,
    /// The account.
    pub account: AccountId,
    /// The ARN.
    pub arn: String,
    /// The ARN of its boundary.
    pub boundary: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

/// A managed policy as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyView {
    /// Its ARN.
    pub arn: String,
    /// Its unique id.
    pub id: String,
    /// Its name.
    pub name: PolicyName,
    /// Its path.
    pub path: Path,
    /// What a person wrote about it.
    pub description: Option<Description>,
    /// Its tags.
    pub tags: Tags,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_ms: i64,
    /// The version in force.
    pub default_version: u32,
    /// Users and roles it is attached to.
    pub attachments: usize,
    /// Users and roles it bounds.
    pub boundaries: usize,
    /// Whether it can be attached to an ordinary role or user.
    pub attachable: bool,
    /// Whether it is linkrole's own.
    pub is_system: bool,
    /// The version in force, where one policy is looked at.
    pub default: Option<VersionView>,
}

/// An attached managed policy as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct AttachedView {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: PolicyName,
    /// Its path.
    pub path: Path,
    /// Whether it is linkrole's own.
    pub is_system: bool,
    /// What a person wrote about it.
    pub description: Option<Description>,
    /// The version in force.
    pub default_version: u32,
    /// When it was attached, in milliseconds since 1970.
    pub attached_ms: i64,
}

/// What a managed policy is attached to, or bounds, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// What it is.
    pub entity: crate::state::EntityRef,
    /// Its name.
    pub name: String,
    /// Its unique id.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// What a person wrote about it: of a user its name to show, of a role its description.
    pub note: String,
    /// When the policy was attached, in milliseconds since 1970; 0 if it bounds.
    pub attached_ms: i64,
}

/// One version of a managed policy as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionView {
    /// Its number.
    pub number: u32,
    /// Its text.
    pub document: String,
    /// Whether it is in force.
    pub is_default: bool,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

/// Temporary credentials.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The key's id.
    pub key: KeyId,
    /// Its secret.
    pub secret: crate::seal::Secret,
    /// The session token.
    pub token: String,
    /// When they end, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// A page and the marker of the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The sealed marker of the next page, if there is one.
    pub next: Option<String>,
    /// How many items there are on all pages, where pages are counted.
    pub total: Option<usize>,
}

/// The state of a deletion task as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskView {
    /// The task.
    pub task: Arc<DeletionTask>,
    /// The role's ARN.
    pub role_arn: String,
}

/// A caller as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct CallerView {
    /// Its ARN, or the name of the service.
    pub arn: String,
    /// Its unique id.
    pub id: String,
    /// Its account; a linked service has none.
    pub account: Option<AccountId>,
    /// Its class: root, user, role session or service.
    pub kind: &'static str,
}

/// What a caller gets.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is named for what it carries")]
pub enum Output {
    Done,
    Role(RoleView),
    Roles(Page<RoleView>),
    User(UserView),
    Users(Page<UserView>),
    Templates(Vec<(Arc<Service>, Template)>),
    Policy(PolicyView),
    Policies(Page<PolicyView>),
    Version(VersionView),
    Versions(Page<VersionView>),
    Inline {
        owner: String,
        name: PolicyName,
        document: String,
    },
    Names(Page<PolicyName>),
    Attached(Page<AttachedView>),
    Referrers(Page<Referrer>),
    Tags(Page<(TagKey, TagValue)>),
    NoProfiles,
    Key {
        key: Arc<AccessKey>,
        user: Option<UserName>,
        secret: crate::seal::Secret,
    },
    Keys {
        user: Option<UserName>,
        keys: Page<Arc<AccessKey>>,
    },
    KeyUse {
        user: Option<UserName>,
        last: Option<Arc<LastUse>>,
    },
    Task(TaskView),
    Session {
        credentials: Credentials,
        assumed: Option<CallerView>,
        packed_percent: Option<usize>,
        source_identity: Option<SourceIdentity>,
    },
    Caller(CallerView),
    KeyAccount(AccountId),
    Ensured {
        role: RoleView,
        created: bool,
    },
    Authorized {
        decision: Decision,
        caller: CallerView,
        account_dialect: policy::Dialect,
        message: Option<String>,
    },
    Usage {
        role: RoleView,
        version: u64,
        changed: bool,
        ended_deletion: Option<TaskId>,
    },
    UsageList {
        role: RoleView,
        usages: Vec<(Region, ResourceName)>,
        versions: Vec<(Region, u64)>,
        last_session_end_ms: i64,
    },
    Released {
        role: RoleView,
        not_before_ms: i64,
    },
    Enrolment {
        service: ServiceName,
        token: crate::seal::Secret,
        expires_ms: i64,
    },
    Registered {
        service: Arc<Service>,
        key: Arc<AccessKey>,
        secret: crate::seal::Secret,
    },
    Services(Vec<Arc<Service>>),
    Service(Arc<Service>),
    Account {
        account: Arc<Account>,
        key: Arc<AccessKey>,
        secret: crate::seal::Secret,
    },
    Accounts(Vec<Arc<Account>>),
    Trail {
        account: Option<AccountId>,
    },
    Step {
        task: Arc<DeletionTask>,
    },
    Swept {
        tasks: usize,
    },
}
