//! Why an operation did not happen, in neutral terms.
//!
//! Each dialect's fault table turns an [`Error`] into its code, status and text. Not here: any of
//! those three.

use crate::caller::Refusal;
use crate::text::*;
use policy::Decision;

/// A refused call, with all that an explanation needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Denial {
    /// The caller as its dialect names it.
    pub principal: String,
    /// The action, with its prefix.
    pub action: String,
    /// The resource, unless the action has none.
    pub resource: Option<String>,
    /// The decision; `None` where no policy was asked, because no policy could allow it.
    pub decision: Option<Decision>,
}

/// What a name did not find, or found already there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entity {
    /// A role.
    Role(String),
    /// A user.
    User(String),
    /// A group.
    Group(String),
    /// A user's place in a group.
    Membership(String),
    /// A managed policy on a group.
    GroupAttachment(String),
    /// An inline policy of a group.
    GroupPolicy(String),
    /// A managed policy, as the caller named it.
    Policy(String),
    /// A managed policy on a role.
    RoleAttachment(String),
    /// A managed policy on a user.
    UserAttachment(String),
    /// A managed policy that was to be attached.
    Attachable(String),
    /// A version of a managed policy.
    PolicyVersion(String, u32),
    /// An inline policy of a role.
    RolePolicy(String),
    /// An inline policy of a user.
    UserPolicy(String),
    /// An access key.
    AccessKey(String),
    /// An instance profile.
    InstanceProfile(String),
    /// A permissions boundary.
    Boundary(String),
    /// A role that is not service-linked where one was needed.
    NotServiceLinked(String),
    /// A provider of identities.
    OidcProvider(String),
    /// A report of the access advisor.
    AccessReport(String),
    /// What a report is to be about, by its ARN.
    Reported(String),
    /// A deletion task.
    DeletionTask,
    /// A linked service.
    Service(String),
    /// An account.
    Account(String),
    /// An account's alias.
    Alias(String),
    /// A ceiling for the roles of a principal.
    Ceiling(String),
}

/// A number that would be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Roles of an account.
    Roles,
    /// Users of an account.
    Users,
    /// Groups of an account.
    Groups,
    /// Groups of a user.
    GroupsPerUser,
    /// Managed policies attached to a group.
    PoliciesPerGroup,
    /// Characters of a group's inline policies.
    GroupInlineSize,
    /// Providers of identities of an account.
    OidcProviders,
    /// Clients of a provider.
    ClientIds,
    /// Pinned certificates of a provider.
    Fingerprints,
    /// Customer policies of an account.
    Policies,
    /// Managed policies attached to a role.
    PoliciesPerRole,
    /// Managed policies attached to a user.
    PoliciesPerUser,
    /// Access keys of a user.
    AccessKeys,
    /// Tags of a resource.
    Tags,
    /// Characters of a managed policy.
    PolicySize,
    /// Characters of a role's inline policies.
    RoleInlineSize,
    /// Characters of a user's inline policies.
    UserInlineSize,
    /// Characters of a trust policy.
    TrustSize,
    /// Versions of a managed policy.
    PolicyVersions,
    /// Service-linked roles of one service.
    LinkedRoles,
    /// Open deletion tasks.
    DeletionTasks,
    /// Registered uses of a role.
    Usages,
    /// Ceilings of an account.
    Ceilings,
}

/// What has to go before a thing can be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Managed policies are attached.
    AttachedPolicies,
    /// Inline policies are there.
    InlinePolicies,
    /// Access keys are there.
    AccessKeys,
    /// Users are in the group.
    Members,
    /// The user is in a group.
    Groups,
    /// The policy is attached to a group.
    AttachedToGroup,
    /// The policy is attached to a user, or bounds one.
    AttachedToUser,
    /// The policy is attached to a role, or bounds one.
    AttachedToRole,
    /// The policy has other versions.
    OtherVersions,
    /// It is the version in force.
    DefaultVersion,
}

/// Why an operation did not happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The caller may not.
    AccessDenied(Box<Denial>),
    /// A report is to be about what is another account's: who asks, and about what.
    ReportDenied(String, String),
    /// The role may not be assumed by this caller; also when there is no such role.
    AssumeRoleDenied(Box<Denial>),
    /// Root may not assume roles.
    RootMayNotAssume,
    /// The caller's own account has no such role to assume.
    NoRoleToAssume(Box<Denial>),
    /// The credentials are unknown, or their owner is gone.
    InvalidCredentials,
    /// The key is not active.
    InactiveKey,
    /// The request was presented before.
    NonceUsed,
    /// More requests than can be remembered; later there is room again.
    TooManyRequests,
    /// The session has ended.
    SessionExpired,
    /// Temporary credentials may not make this call.
    NotWithSession(&'static str),
    /// There is no such thing.
    NoSuchEntity(Entity),
    /// There is one already.
    AlreadyExists(Entity),
    /// The name of a service-linked role is taken.
    RoleNameTaken(RoleName),
    /// No linked service has this principal.
    UnknownServicePrincipal(String),
    /// The service's role takes no suffix.
    SuffixRefused(ServiceName),
    /// The service's role takes no description of the caller's.
    DescriptionRefused(ServiceName),
    /// Base and suffix make a name that is too long.
    RoleNameTooLong(String),
    /// Trust and permissions of a service-linked role are its service's.
    ProtectedRole(RoleName),
    /// The session duration of a service-linked role is its service's.
    ProtectedDuration(RoleName),
    /// The policy belongs to service-linked roles.
    PolicyNotAttachable,
    /// The path is reserved for service-linked roles.
    ReservedPath,
    /// The name's prefix is reserved for service-linked roles.
    ReservedName(RoleName),
    /// A number would be exceeded.
    QuotaExceeded(Quota, usize),
    /// Something has to go first.
    DeleteConflict(Conflict),
    /// What is to go or to change is still used: by what.
    InUse(String),
    /// The account wants service-linked roles to be made by its own principals only.
    ConsentMissing(ServiceName),
    /// A document is not valid: what its dialect says, and where.
    MalformedPolicy {
        /// The vendor's text.
        message: String,
    },
    /// A trust policy names a principal that does not exist.
    InvalidPrincipal(String),
    /// A tag key is given twice.
    DuplicateTags,
    /// A page marker was not made for this listing.
    InvalidMarker,
    /// The role grants no session as long as that.
    DurationAboveRole,
    /// A session obtained with a session is at most an hour long, within its chain's age.
    DurationAboveChain,
    /// The source identity of a chain is fixed.
    SourceIdentityFixed,
    /// A transitive tag key is not among the tags.
    TransitiveTagMissing,
    /// A tag collides with one inherited along the chain.
    InheritedTag,
    /// Session policies and tags do not fit into a token; percent of what fits.
    SessionTooLarge(usize),
    /// The token of an enrolment is unknown, used, or has ended.
    EnrolmentRefused,
    /// What was shown does not prove the service; why.
    IdentityRefused(String),
    /// A name or principal of a manifest belongs to another service.
    Taken {
        /// What is taken.
        what: &'static str,
        /// Its text.
        name: String,
    },
    /// An argument breaks a rule that has no vendor's text.
    Invalid {
        /// The argument.
        field: &'static str,
        /// What was expected, what was found, what to do.
        message: String,
    },
    /// It was refused where it came in.
    Refused(Box<Refusal>),
    /// What was read before has changed since; read again and repeat.
    Stale(String),
    /// A fault of ours; the operator's log has more under the request's id.
    Internal(&'static str),
}

impl Error {
    /// A missing role.
    pub fn no_role(name: &RoleName) -> Self {
        Self::NoSuchEntity(Entity::Role(name.to_string()))
    }

    /// A missing user.
    pub fn no_user(name: &UserName) -> Self {
        Self::NoSuchEntity(Entity::User(name.to_string()))
    }

    /// Whether this is a refusal for want of permission.
    pub fn is_denial(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.denied,
            other => matches!(
                other,
                Self::AccessDenied(_)
                    | Self::ReportDenied(..)
                    | Self::AssumeRoleDenied(_)
                    | Self::NoRoleToAssume(_)
                    | Self::RootMayNotAssume
            ),
        }
    }
}
