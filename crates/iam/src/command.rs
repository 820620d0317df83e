//! What a caller can ask for: one variant per operation, parsed and typed.
//!
//! Every dialect decodes into [`Command`]; the answers are in [`crate::output`]. Not here: who may ask
//! ([`crate::authorize`]) and what it does (the resource files).

use crate::operations::Operation;
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
    /// What it may call onward in its callers' names.
    pub forward: Documents,
    /// Its roles.
    pub roles: Vec<Template>,
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
    PreviewServiceLinkedRole {
        principal: String,
        suffix: Option<Suffix>,
    },
    AcceptServiceUpdate {
        role: RoleName,
    },
    IntroduceServiceLinkedRole {
        account: AccountId,
        principal: String,
    },
    ForwardAccess,
    GetServiceTerms,
    UpdateServiceTerms(TermsChange),
    PutServiceCeiling {
        principal: ServiceName,
        policy: String,
    },
    DeleteServiceCeiling {
        principal: ServiceName,
    },
    PlanServiceLinkedRoleDeletion {
        role: RoleName,
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
        with: Vec<TagFilter>,
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
    Tag {
        on: Tagged,
        tags: Vec<(TagKey, TagValue)>,
    },
    Untag {
        on: Tagged,
        keys: Vec<TagKey>,
        all: bool,
    },
    ListTags {
        on: Tagged,
        with: Vec<TagFilter>,
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
    CreateGroup {
        group: GroupName,
        path: Path,
        comments: Option<Note>,
    },
    GetGroup {
        group: GroupName,
        paging: Paging,
    },
    ListUsersForGroup {
        group: GroupName,
        paging: Paging,
    },
    ListGroups {
        prefix: String,
        paging: Paging,
    },
    UpdateGroup {
        group: GroupName,
        new_name: Option<GroupName>,
        new_path: Option<Path>,
        comments: Option<Note>,
    },
    DeleteGroup {
        group: GroupName,
    },
    AddUserToGroup {
        group: GroupName,
        user: UserName,
    },
    RemoveUserFromGroup {
        group: GroupName,
        user: UserName,
    },
    ListGroupsForUser {
        user: UserName,
        paging: Paging,
    },
    AttachGroupPolicy {
        group: GroupName,
        policy: PolicyTarget,
    },
    DetachGroupPolicy {
        group: GroupName,
        policy: PolicyTarget,
    },
    ListAttachedGroupPolicies {
        group: GroupName,
        prefix: String,
        paging: Paging,
    },
    PutGroupPolicy {
        group: GroupName,
        name: PolicyName,
        document: PermissionsPolicy,
    },
    GetGroupPolicy {
        group: GroupName,
        name: PolicyName,
    },
    ListGroupPolicies {
        group: GroupName,
        paging: Paging,
    },
    DeleteGroupPolicy {
        group: GroupName,
        name: PolicyName,
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
        with: Vec<TagFilter>,
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
    ListPolicyAttachments {
        wanted: Box<AttachmentFilter>,
        paging: Paging,
    },
    ListEntitiesForPolicy {
        policy: PolicyTarget,
        filter: EntityFilter,
        usage: Option<crate::state::Link>,
        prefix: String,
        paging: Paging,
    },
    CreateOpenIDConnectProvider(Box<NewOidcProvider>),
    CreateAccountAlias {
        alias: AccountAlias,
    },
    DeleteAccountAlias {
        alias: Option<AccountAlias>,
    },
    ListAccountAliases,
    DecodeDiagnosticMessage {
        message: String,
    },
    GetOpenIDConnectProvider {
        provider: ProviderName,
    },
    ListOpenIDConnectProviders {
        paging: Paging,
    },
    UpdateOIDCProvider {
        provider: ProviderName,
        client_ids: Option<Vec<ClientId>>,
        issuance_limit_h: Option<u32>,
        description: Option<Note>,
    },
    DeleteOpenIDConnectProvider {
        provider: ProviderName,
    },
    AddClientIDToOpenIDConnectProvider {
        provider: ProviderName,
        client: ClientId,
    },
    RemoveClientIDFromOpenIDConnectProvider {
        provider: ProviderName,
        client: ClientId,
    },
    AddFingerprintToOIDCProvider {
        provider: ProviderName,
        fingerprint: Fingerprint,
    },
    RemoveFingerprintFromOIDCProvider {
        provider: ProviderName,
        fingerprint: Fingerprint,
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
    RetireServiceLinkedRole {
        target: LinkedTarget,
    },
    EnrolService {
        service: ServiceName,
    },
    StockServices {
        services: Box<Vec<Service>>,
    },
    DiffService {
        manifest: Box<Manifest>,
    },
    UpdateService {
        manifest: Box<Manifest>,
    },
    ImportServicePolicy(Box<ImportedPolicy>),
    ForceDeleteServiceLinkedRole {
        account: AccountId,
        role: RoleName,
        confirm: Option<String>,
    },
    RemoveService {
        service: ServiceName,
    },
    CreateServiceKey {
        service: ServiceName,
        revoke: bool,
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
            Self::Tag { on, .. } => {
                on.pick([Operation::TagRole, Operation::TagUser, Operation::TagPolicy])
            }
            Self::Untag { on, .. } => {
                on.pick([Operation::UntagRole, Operation::UntagUser, Operation::UntagPolicy])
            }
            Self::ListTags { on, .. } => on.pick([
                Operation::ListRoleTags,
                Operation::ListUserTags,
                Operation::ListPolicyTags,
            ]),
            $(Self::$unit => Operation::$unit,)*
            $(Self::$tuple(_) => Operation::$tuple,)*
            $(Self::$named { .. } => Operation::$named,)*
        }
    };
}

impl Tagged {
    /// Of operations on roles, users and policies, the one on what these are.
    fn pick(&self, [role, user, policy]: [Operation; 3]) -> Operation {
        match self {
            Self::Roles(_) => role,
            Self::Users(_) => user,
            Self::Policies(_) => policy,
        }
    }
}

impl Command {
    /// The row of the operation table that this command belongs to.
    pub fn operation(&self) -> Operation {
        operation_of!(self:
            GetCallerIdentity ListAccountAliases LookupEvents ListServices ListAccounts ReadTrail Sweep GetServiceTerms ForwardAccess;
            AssumeRole AuthorizeRequest StepDeletion CreateOpenIDConnectProvider UpdateServiceTerms ImportServicePolicy;
            CreateServiceLinkedRole DeleteServiceLinkedRole GetServiceLinkedRoleDeletionStatus
            GetServiceLinkedRoleTemplate UpdatePolicyDescription
            CreateRole GetRole ListRoles UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy
            DeleteRole PlanServiceLinkedRoleDeletion PreviewServiceLinkedRole AcceptServiceUpdate IntroduceServiceLinkedRole ForceDeleteServiceLinkedRole
            PutServiceCeiling DeleteServiceCeiling CreateServiceKey DiffService UpdateService RemoveService StockServices DecodeDiagnosticMessage CreateAccountAlias DeleteAccountAlias GetOpenIDConnectProvider ListOpenIDConnectProviders UpdateOIDCProvider
            DeleteOpenIDConnectProvider AddClientIDToOpenIDConnectProvider
            RemoveClientIDFromOpenIDConnectProvider AddFingerprintToOIDCProvider
            RemoveFingerprintFromOIDCProvider PutRolePolicy GetRolePolicy ListRolePolicies
            DeleteRolePolicy AttachRolePolicy DetachRolePolicy ListAttachedRolePolicies
            PutRolePermissionsBoundary DeleteRolePermissionsBoundary ListInstanceProfilesForRole
            AddRoleToInstanceProfile RemoveRoleFromInstanceProfile CreateUser GetUser ListUsers
            UpdateUser DeleteUser PutUserPolicy GetUserPolicy ListUserPolicies DeleteUserPolicy
            AttachUserPolicy DetachUserPolicy ListAttachedUserPolicies CreateAccessKey
            ListAccessKeys UpdateAccessKey DeleteAccessKey GetAccessKeyLastUsed CreatePolicy
            GetPolicy GetPolicyVersion ListPolicies ListPolicyVersions CreatePolicyVersion
            SetDefaultPolicyVersion DeletePolicyVersion DeletePolicy ListEntitiesForPolicy
            ListPolicyAttachments
            GetSessionToken GetAccessKeyInfo EnsureServiceLinkedRole RegisterUsage DeregisterUsage
            ReconcileUsage ListUsage ReleaseSessions RetireServiceLinkedRole EnrolService RegisterService GetService
            CreateAccount RecordUse CreateGroup GetGroup ListUsersForGroup ListGroups UpdateGroup
            DeleteGroup AddUserToGroup RemoveUserFromGroup ListGroupsForUser AttachGroupPolicy
            DetachGroupPolicy ListAttachedGroupPolicies PutGroupPolicy GetGroupPolicy
            ListGroupPolicies DeleteGroupPolicy)
    }
}
