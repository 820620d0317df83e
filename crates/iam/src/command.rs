//! What a caller can ask for: one variant per operation, parsed and typed.
//!
//! Every dialect decodes into [`Command`]; the answers are in [`crate::output`]. Not here: who may ask
//! ([`crate::authorize`]) and what it does (the resource files).

pub use crate::arguments::*;
use crate::operations::Operation;
use crate::rows::*;
use crate::text::*;
use std::collections::BTreeSet;

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
    GenerateServiceLastAccessedDetails {
        of: ReportTarget,
        with_actions: bool,
    },
    GetServiceLastAccessedDetails {
        job: String,
        paging: Paging,
    },
    GetServiceLastAccessedDetailsWithEntities {
        job: String,
        service: Namespace,
        paging: Paging,
    },
    ListPoliciesGrantingServiceAccess {
        of: ReportTarget,
        services: Vec<Namespace>,
    },
    GetAccess {
        of: AccessOf,
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
    ConsoleLogin,
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
    CreateServiceSession {
        service: ServiceName,
    },
    EnrolService {
        service: ServiceName,
        callback: Option<String>,
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
    ExportCatalog {
        after: Option<ServiceName>,
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
    SettleNotice(Notice),
    RecordUse {
        noted: Box<crate::access::Noted>,
        part: crate::access::Part,
    },
    Sweep,
    /// A request of this operation whose arguments do not read; never without a refusal.
    Unread(Operation),
}

macro_rules! operation_of {
    ($self:ident: $($unit:ident)* ; $($tuple:ident)* ; $($named:ident)*) => {
        match $self {
            Self::Unread(operation) => *operation,
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
            GetCallerIdentity ConsoleLogin ListAccountAliases LookupEvents ListServices ListAccounts ReadTrail Sweep GetServiceTerms ForwardAccess;
            AssumeRole AuthorizeRequest StepDeletion CreateOpenIDConnectProvider UpdateServiceTerms ImportServicePolicy SettleNotice;
            CreateServiceLinkedRole DeleteServiceLinkedRole GetServiceLinkedRoleDeletionStatus
            GetServiceLinkedRoleTemplate UpdatePolicyDescription
            CreateRole GetRole ListRoles UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy
            DeleteRole PlanServiceLinkedRoleDeletion PreviewServiceLinkedRole AcceptServiceUpdate IntroduceServiceLinkedRole ForceDeleteServiceLinkedRole
            PutServiceCeiling DeleteServiceCeiling CreateServiceKey DiffService ExportCatalog UpdateService RemoveService StockServices DecodeDiagnosticMessage CreateAccountAlias DeleteAccountAlias GetOpenIDConnectProvider ListOpenIDConnectProviders UpdateOIDCProvider
            DeleteOpenIDConnectProvider AddClientIDToOpenIDConnectProvider
            RemoveClientIDFromOpenIDConnectProvider AddFingerprintToOIDCProvider
            RemoveFingerprintFromOIDCProvider PutRolePolicy GetRolePolicy ListRolePolicies
            DeleteRolePolicy AttachRolePolicy DetachRolePolicy ListAttachedRolePolicies
            PutRolePermissionsBoundary DeleteRolePermissionsBoundary ListInstanceProfilesForRole
            AddRoleToInstanceProfile RemoveRoleFromInstanceProfile CreateUser GetUser ListUsers
            UpdateUser DeleteUser PutUserPolicy GetUserPolicy ListUserPolicies DeleteUserPolicy
            AttachUserPolicy DetachUserPolicy ListAttachedUserPolicies CreateAccessKey
            GenerateServiceLastAccessedDetails GetServiceLastAccessedDetails
            GetServiceLastAccessedDetailsWithEntities ListPoliciesGrantingServiceAccess GetAccess
            ListAccessKeys UpdateAccessKey DeleteAccessKey GetAccessKeyLastUsed CreatePolicy
            GetPolicy GetPolicyVersion ListPolicies ListPolicyVersions CreatePolicyVersion
            SetDefaultPolicyVersion DeletePolicyVersion DeletePolicy ListEntitiesForPolicy
            ListPolicyAttachments
            GetSessionToken GetAccessKeyInfo EnsureServiceLinkedRole RegisterUsage DeregisterUsage
            ReconcileUsage ListUsage ReleaseSessions RetireServiceLinkedRole CreateServiceSession EnrolService RegisterService GetService
            CreateAccount RecordUse CreateGroup GetGroup ListUsersForGroup ListGroups UpdateGroup
            DeleteGroup AddUserToGroup RemoveUserFromGroup ListGroupsForUser AttachGroupPolicy
            DetachGroupPolicy ListAttachedGroupPolicies PutGroupPolicy GetGroupPolicy
            ListGroupPolicies DeleteGroupPolicy)
    }
}
