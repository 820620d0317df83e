//! The one operation table. What is not in it does not exist: the dialects route by it, the
//! authorization and the trail read it, and the generated inventory tests walk it.

use policy::Dialect;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// How an operation touches the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads a snapshot.
    Read,
    /// Changes tables; runs on the writer.
    Write,
    /// Hands out a credential; runs on the writer, so that it cannot overtake a change.
    Mint,
}

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Whoever the policies allow.
    Policy,
    /// Every authenticated caller; no policy is asked.
    Authenticated,
    /// Who is of an account, and no linked service's role: no policy is asked.
    Member,
    /// The account's own trust rules decide (AssumeRole).
    Trust,
    /// A linked service, on what is its own.
    OwnService,
    /// Whoever shows what proves a linked service.
    Workload,
    /// The operator of the installation.
    Operator,
    /// The operator, or whoever holds a one-time enrolment token.
    Enrolment,
    /// The server itself.
    System,
}

/// Where an operation's action belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Identity and access management.
    Iam,
    /// Credentials.
    Sts,
    /// The trail.
    Trail,
    /// linkrole's own.
    Linkrole,
}

impl Family {
    /// What its actions begin with in a dialect.
    pub fn prefix(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Iam, Dialect::Aws) => "iam",
            (Self::Iam, Dialect::Alibaba) => "ram",
            (Self::Sts, _) => "sts",
            (Self::Trail, Dialect::Aws) => "cloudtrail",
            (Self::Trail, Dialect::Alibaba) => "actiontrail",
            (Self::Linkrole, _) => "linkrole",
        }
    }
}

/// What an action is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Nothing: only `*` fits.
    None,
    /// A role.
    Role,
    /// A user.
    User,
    /// A group.
    Group,
    /// A managed policy.
    Policy,
    /// A user, group, role or managed policy.
    Entity,
    /// An instance profile.
    InstanceProfile,
    /// A provider of identities by OpenID Connect.
    OidcProvider,
}

/// What is true of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Its name, the same in every dialect that has it.
    pub name: &'static str,
    /// Where its action belongs.
    pub family: Family,
    /// How it touches the tables.
    pub access: Access,
    /// What its action is checked against.
    pub resource: Resource,
    /// Who may call it.
    pub guard: Guard,
}

macro_rules! operations {
    ($($name:ident $family:ident $access:ident $resource:ident $guard:ident;)*) => {
        /// Every operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the names are the vendors' own")]
        pub enum Operation { $($name),* }

        impl Operation {
            /// All operations, in the order of the table.
            pub const ALL: &'static [Operation] = &[$(Self::$name),*];

            /// What is true of this operation.
            pub const fn facts(self) -> Facts {
                match self {
                    $(Self::$name => Facts {
                        name: stringify!($name),
                        family: Family::$family,
                        access: Access::$access,
                        resource: Resource::$resource,
                        guard: Guard::$guard,
                    }),*
                }
            }

            /// The operation of this exact name.
            pub fn named(name: &str) -> Option<Self> {
                // Every request and every entry of the trail asks.
                static BY_NAME: LazyLock<BTreeMap<&str, Operation>> =
                    LazyLock::new(|| Operation::ALL.iter().map(|o| (o.facts().name, *o)).collect());
                BY_NAME.get(name).copied()
            }
        }
    };
}

operations! {
    CreateServiceLinkedRole             Iam Write Role Policy;
    DeleteServiceLinkedRole             Iam Write Role Policy;
    GetServiceLinkedRoleDeletionStatus  Iam Read  Role Policy;
    GetServiceLinkedRoleTemplate        Iam Read  None Policy;
    PlanServiceLinkedRoleDeletion       Linkrole Read Role Policy;
    PreviewServiceLinkedRole            Linkrole Read Role Policy;
    AcceptServiceUpdate                 Linkrole Write Role Policy;
    GetServiceTerms                     Linkrole Read  None Policy;
    UpdateServiceTerms                  Linkrole Write None Policy;
    PutServiceCeiling                   Linkrole Write None Policy;
    DeleteServiceCeiling                Linkrole Write None Policy;
    CreateRole                          Iam Write Role Policy;
    GetRole                             Iam Read  Role Policy;
    ListRoles                           Iam Read  None Policy;
    UpdateRole                          Iam Write Role Policy;
    UpdateRoleDescription               Iam Write Role Policy;
    UpdateAssumeRolePolicy              Iam Write Role Policy;
    DeleteRole                          Iam Write Role Policy;
    TagRole                             Iam Write Role Policy;
    UntagRole                           Iam Write Role Policy;
    ListRoleTags                        Iam Read  Role Policy;
    PutRolePolicy                       Iam Write Role Policy;
    GetRolePolicy                       Iam Read  Role Policy;
    ListRolePolicies                    Iam Read  Role Policy;
    DeleteRolePolicy                    Iam Write Role Policy;
    AttachRolePolicy                    Iam Write Role Policy;
    DetachRolePolicy                    Iam Write Role Policy;
    ListAttachedRolePolicies            Iam Read  Role Policy;
    PutRolePermissionsBoundary          Iam Write Role Policy;
    DeleteRolePermissionsBoundary       Iam Write Role Policy;
    ListInstanceProfilesForRole         Iam Read  Role Policy;
    AddRoleToInstanceProfile            Iam Write InstanceProfile Policy;
    RemoveRoleFromInstanceProfile       Iam Write InstanceProfile Policy;
    CreateUser                          Iam Write User Policy;
    GetUser                             Iam Read  User Policy;
    ListUsers                           Iam Read  None Policy;
    UpdateUser                          Iam Write User Policy;
    DeleteUser                          Iam Write User Policy;
    CreateGroup                         Iam Write Group Policy;
    GetGroup                            Iam Read  Group Policy;
    ListUsersForGroup                   Iam Read  Group Policy;
    ListGroups                          Iam Read  None Policy;
    UpdateGroup                         Iam Write Group Policy;
    DeleteGroup                         Iam Write Group Policy;
    AddUserToGroup                      Iam Write Group Policy;
    RemoveUserFromGroup                 Iam Write Group Policy;
    ListGroupsForUser                   Iam Read  User Policy;
    AttachGroupPolicy                   Iam Write Group Policy;
    DetachGroupPolicy                   Iam Write Group Policy;
    ListAttachedGroupPolicies           Iam Read  Group Policy;
    PutGroupPolicy                      Iam Write Group Policy;
    GetGroupPolicy                      Iam Read  Group Policy;
    ListGroupPolicies                   Iam Read  Group Policy;
    DeleteGroupPolicy                   Iam Write Group Policy;
    TagUser                             Iam Write User Policy;
    UntagUser                           Iam Write User Policy;
    ListUserTags                        Iam Read  User Policy;
    PutUserPolicy                       Iam Write User Policy;
    GetUserPolicy                       Iam Read  User Policy;
    ListUserPolicies                    Iam Read  User Policy;
    DeleteUserPolicy                    Iam Write User Policy;
    AttachUserPolicy                    Iam Write User Policy;
    DetachUserPolicy                    Iam Write User Policy;
    ListAttachedUserPolicies            Iam Read  User Policy;
    CreateAccessKey                     Iam Mint  User Policy;
    ListAccessKeys                      Iam Read  User Policy;
    UpdateAccessKey                     Iam Write User Policy;
    DeleteAccessKey                     Iam Write User Policy;
    GetAccessKeyLastUsed                Iam Read  User Policy;
    GenerateServiceLastAccessedDetails  Iam Read  Entity Policy;
    GetServiceLastAccessedDetails       Iam Read  None Policy;
    GetServiceLastAccessedDetailsWithEntities Iam Read None Policy;
    ListPoliciesGrantingServiceAccess   Iam Read  Entity Policy;
    GetAccess                           Linkrole Read Entity Policy;
    CreatePolicy                        Iam Write Policy Policy;
    GetPolicy                           Iam Read  Policy Policy;
    GetPolicyVersion                    Iam Read  Policy Policy;
    ListPolicies                        Iam Read  None Policy;
    ListPolicyVersions                  Iam Read  Policy Policy;
    CreatePolicyVersion                 Iam Write Policy Policy;
    SetDefaultPolicyVersion             Iam Write Policy Policy;
    DeletePolicyVersion                 Iam Write Policy Policy;
    DeletePolicy                        Iam Write Policy Policy;
    UpdatePolicyDescription             Iam Write Policy Policy;
    ListPolicyAttachments               Iam Read  None Policy;
    ListEntitiesForPolicy               Iam Read  Policy Policy;
    TagPolicy                           Iam Write Policy Policy;
    UntagPolicy                         Iam Write Policy Policy;
    ListPolicyTags                      Iam Read  Policy Policy;
    DecodeDiagnosticMessage             Iam Read  None Policy;
    CreateAccountAlias                  Iam Write None Policy;
    DeleteAccountAlias                  Iam Write None Policy;
    ListAccountAliases                  Iam Read  None Policy;
    CreateOpenIDConnectProvider         Iam Write OidcProvider Policy;
    GetOpenIDConnectProvider            Iam Read  OidcProvider Policy;
    ListOpenIDConnectProviders          Iam Read  None Policy;
    UpdateOIDCProvider                  Iam Write OidcProvider Policy;
    DeleteOpenIDConnectProvider         Iam Write OidcProvider Policy;
    AddClientIDToOpenIDConnectProvider  Iam Write OidcProvider Policy;
    RemoveClientIDFromOpenIDConnectProvider Iam Write OidcProvider Policy;
    AddFingerprintToOIDCProvider        Iam Write OidcProvider Policy;
    RemoveFingerprintFromOIDCProvider   Iam Write OidcProvider Policy;
    AssumeRole                          Sts Mint  Role Trust;
    GetCallerIdentity                   Sts Read  None Authenticated;
    GetSessionToken                     Sts Mint  None Authenticated;
    ConsoleLogin                        Linkrole Mint None Member;
    GetAccessKeyInfo                    Sts Read  None Policy;
    LookupEvents                        Trail Read None Policy;
    EnsureServiceLinkedRole             Linkrole Write Role OwnService;
    IntroduceServiceLinkedRole          Linkrole Write Role OwnService;
    ForwardAccess                       Linkrole Mint  None OwnService;
    AuthorizeRequest                    Linkrole Read  None OwnService;
    RegisterUsage                       Linkrole Write Role OwnService;
    DeregisterUsage                     Linkrole Write Role OwnService;
    ReconcileUsage                      Linkrole Write Role OwnService;
    ListUsage                           Linkrole Read  Role OwnService;
    ReleaseSessions                     Linkrole Write Role OwnService;
    RetireServiceLinkedRole             Linkrole Write Role OwnService;
    CreateServiceSession                Linkrole Mint  None Workload;
    EnrolService                        Linkrole Mint  None Operator;
    RegisterService                     Linkrole Mint  None Enrolment;
    DiffService                         Linkrole Read  None Operator;
    CreateServiceKey                    Linkrole Mint  None Operator;
    UpdateService                       Linkrole Write None Operator;
    ImportServicePolicy                 Linkrole Write None Operator;
    ForceDeleteServiceLinkedRole        Linkrole Write None Operator;
    RemoveService                       Linkrole Write None Operator;
    ExportCatalog                       Linkrole Read  None Operator;
    ListServices                        Linkrole Read  None Authenticated;
    GetService                          Linkrole Read  None Authenticated;
    CreateAccount                       Linkrole Mint  None Operator;
    ListAccounts                        Linkrole Read  None Operator;
    ReadTrail                           Linkrole Read  None Operator;
    StepDeletion                        Linkrole Write Role System;
    SettleNotice                        Linkrole Write None System;
    StockServices                       Linkrole Write None System;
    RecordUse                           Linkrole Write None System;
    Sweep                               Linkrole Write None System;
}

impl Operation {
    /// The action as policies of a dialect name it.
    pub fn action(self, dialect: Dialect) -> String {
        format!("{}:{}", self.facts().family.prefix(dialect), self.name(dialect))
    }

    /// The operation's name in a dialect; of one that a dialect does not have, the table's.
    pub fn name(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Aws => self.facts().name,
            Dialect::Alibaba => self.name_in_ram(),
        }
    }

    /// RAM has fewer operations with other names. [src: ALIBABA.md 4.1]
    fn name_in_ram(self) -> &'static str {
        match self {
            Self::UpdateRoleDescription | Self::UpdateAssumeRolePolicy => "UpdateRole",
            Self::TagRole | Self::TagUser | Self::TagPolicy => "TagResources",
            Self::UntagRole | Self::UntagUser | Self::UntagPolicy => "UntagResources",
            Self::ListRoleTags | Self::ListUserTags | Self::ListPolicyTags => "ListTagResources",
            Self::AttachRolePolicy => "AttachPolicyToRole",
            Self::DetachRolePolicy => "DetachPolicyFromRole",
            Self::ListAttachedRolePolicies => "ListPoliciesForRole",
            Self::AttachUserPolicy => "AttachPolicyToUser",
            Self::DetachUserPolicy => "DetachPolicyFromUser",
            Self::ListAttachedUserPolicies => "ListPoliciesForUser",
            Self::AttachGroupPolicy => "AttachPolicyToGroup",
            Self::DetachGroupPolicy => "DetachPolicyFromGroup",
            Self::ListAttachedGroupPolicies => "ListPoliciesForGroup",
            Self::CreateAccountAlias => "SetAccountAlias",
            Self::DeleteAccountAlias => "ClearAccountAlias",
            Self::ListAccountAliases => "GetAccountAlias",
            Self::CreateOpenIDConnectProvider => "CreateOIDCProvider",
            Self::GetOpenIDConnectProvider => "GetOIDCProvider",
            Self::ListOpenIDConnectProviders => "ListOIDCProviders",
            Self::DeleteOpenIDConnectProvider => "DeleteOIDCProvider",
            Self::AddClientIDToOpenIDConnectProvider => "AddClientIdToOIDCProvider",
            Self::RemoveClientIDFromOpenIDConnectProvider => "RemoveClientIdFromOIDCProvider",
            Self::ConsoleLogin => "ConsoleSignin",
            other => other.facts().name,
        }
    }

    /// Whether it leaves everything as it was and hands nothing out.
    pub fn is_read(self) -> bool {
        self.facts().access == Access::Read
    }
}
