//! The fault table of the AWS dialect: every error of `iam` with its code, status and text.
//!
//! The texts are facts of the vendor's wire [src: AWS.md 2 to 4 and 7]; those of our own are
//! marked "ours".

use iam::error::{Conflict, Denial, Entity, Error, Quota};

/// An error as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The vendor's code.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The text for people.
    pub message: String,
}

impl Fault {
    /// Puts a fault together.
    pub fn new(code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into() }
    }

    /// Our own fault; the operator's log has more under the request's id.
    pub fn internal() -> Self {
        Self::new(
            "ServiceFailure",
            500,
            "The request processing has failed because of an unknown error, exception or failure.",
        )
    }
}

impl From<crate::sign_v4::Fault> for Fault {
    fn from(fault: crate::sign_v4::Fault) -> Self {
        Self::new(fault.code, fault.status, fault.message)
    }
}

/// Turns an error into the dialect's own.
pub fn fault(error: &Error) -> Fault {
    match error {
        Error::AccessDenied(denial) => Fault::new("AccessDenied", 403, denied(denial)),
        Error::ReportDenied(caller, arn) => Fault::new(
            "AccessDenied",
            403,
            format!("User: {caller} is not authorized to perform the operation on {arn}"),
        ),
        Error::AssumeRoleDenied(denial) | Error::NoRoleToAssume(denial) => {
            Fault::new("AccessDenied", 403, base(denial))
        }
        Error::RootMayNotAssume => {
            Fault::new("AccessDenied", 403, "Roles may not be assumed by root accounts.")
        }
        Error::InvalidCredentials | Error::InactiveKey => {
            crate::sign_v4::Fault::unknown_key().into()
        }
        Error::SessionExpired => crate::sign_v4::Fault::expired_token().into(),
        Error::NotWithSession(call) => {
            Fault::new("AccessDenied", 403, format!("Cannot call {call} with session credentials"))
        }
        Error::NoSuchEntity(entity) => Fault::new("NoSuchEntity", 404, missing(entity)),
        Error::AlreadyExists(entity) => Fault::new("EntityAlreadyExists", 409, exists(entity)),
        Error::RoleNameTaken(name) => Fault::new(
            "InvalidInput",
            400,
            format!(
                "Service role name {name} has been taken in this account, please try a different suffix."
            ),
        ),
        // ours: the vendor's text is not recorded
        Error::UnknownServicePrincipal(name) => Fault::new(
            "InvalidInput",
            400,
            format!(
                "No service with the principal {name} is registered; principals are case-sensitive."
            ),
        ),
        Error::SuffixRefused(service) => {
            Fault::new("InvalidInput", 400, format!("Custom suffix is not allowed for {service}"))
        }
        // ours: requests of this dialect have no nonces, and its roles take any description
        Error::NonceUsed => Fault::new("InvalidInput", 400, "The request was presented before."),
        Error::TooManyRequests => {
            Fault::new("Throttling", 400, "More requests than can be remembered; try later.")
        }
        Error::DescriptionRefused(service) => {
            let text = format!("A description is not allowed for {service}");
            Fault::new("InvalidInput", 400, text)
        }
        // ours
        Error::InUse(message) => Fault::new("DeleteConflict", 409, message.clone()),
        Error::ConsentMissing(principal) => Fault::new(
            "ConsentRequired",
            403,
            format!(
                "This account makes its service-linked roles itself. See what the role may do with `linkrole slr preview {principal}`; `linkrole slr create {principal}` is the consent."
            ),
        ),
        Error::RoleNameTooLong(name) => Fault::new(
            "ValidationError",
            400,
            format!(
                "1 validation error detected: Value '{name}' at 'roleName' failed to satisfy constraint: Member must have length less than or equal to 64"
            ),
        ),
        Error::ProtectedRole(name) => Fault::new(
            "UnmodifiableEntity",
            400,
            format!(
                "Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
            ),
        ),
        Error::ProtectedDuration(name) => Fault::new(
            "UnmodifiableEntity",
            400,
            format!(
                "{name} is an AWS service linked role, max session duration cannot be changed."
            ),
        ),
        Error::PolicyNotAttachable => Fault::new(
            "PolicyNotAttachable",
            400,
            "Cannot attach a Service Role Policy to a Customer Role.",
        ),
        Error::ReservedPath => Fault::new(
            "InvalidInput",
            400,
            "Path prefix '/aws-service-role/' can only be used for AWS Service linked Roles",
        ),
        // ours
        Error::ReservedName(name) => Fault::new(
            "InvalidInput",
            400,
            format!("The name {name} begins like that of a service-linked role; choose another."),
        ),
        Error::QuotaExceeded(quota, n) => exceeded(*quota, *n),
        Error::DeleteConflict(conflict) => Fault::new("DeleteConflict", 409, in_the_way(*conflict)),
        Error::MalformedPolicy { message } => {
            Fault::new("MalformedPolicyDocument", 400, message.clone())
        }
        Error::InvalidPrincipal(arn) => Fault::new(
            "MalformedPolicyDocument",
            400,
            format!("Invalid principal in policy: \"AWS\":\"{arn}\""),
        ),
        Error::DuplicateTags => Fault::new(
            "InvalidInput",
            400,
            "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
        ),
        Error::InvalidMarker => Fault::new("ValidationError", 400, "Invalid Marker."),
        Error::DurationAboveRole => Fault::new(
            "ValidationError",
            400,
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ),
        Error::DurationAboveChain => Fault::new(
            "ValidationError",
            400,
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        ),
        Error::SourceIdentityFixed => Fault::new(
            "ValidationError",
            400,
            "The source identity is already set for this assume role session",
        ),
        Error::TransitiveTagMissing => Fault::new(
            "InvalidParameterValue",
            400,
            "The specified transitive tag key must be included in the requested tags.",
        ),
        Error::InheritedTag => Fault::new(
            "InvalidParameterValue",
            400,
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
        ),
        Error::SessionTooLarge(percent) => Fault::new(
            "PackedPolicyTooLarge",
            400,
            format!(
                "Packed policy consumes {percent}% of allotted space, please use smaller policy."
            ),
        ),
        // ours: what follows has no vendor's text
        Error::EnrolmentRefused => Fault::new(
            "EnrolmentRefused",
            403,
            "The enrolment token is unknown, used, of another service, or has ended; ask the operator for a new one.",
        ),
        Error::IdentityRefused(why) => Fault::new(
            "IdentityRefused",
            403,
            format!("What was shown does not prove the service: {why}."),
        ),
        Error::Taken { what, name } => Fault::new(
            "Taken",
            409,
            format!("The {what} {name} belongs to a registered service; choose another."),
        ),
        Error::Invalid { field: "ServiceNamespace", message } => {
            Fault::new("InvalidInput", 400, message.clone())
        }
        Error::Invalid { message, .. } => Fault::new("ValidationError", 400, message.clone()),
        // The edge has the words at hand; these are for who calls past it.
        Error::Refused(refusal) if refusal.denied => {
            Fault::new("AccessDenied", 403, refusal.message.clone())
        }
        Error::Refused(refusal) => Fault::new("ValidationError", 400, refusal.message.clone()),
        Error::Stale(message) => Fault::new("ConcurrentModification", 409, message.clone()),
        Error::Internal(_) => Fault::internal(),
    }
}

/// In STS the duplicate-tag error has another code. [src: AWS.md 4.2]
pub fn sts_fault(error: &Error) -> Fault {
    let known = fault(error);
    match error {
        Error::DuplicateTags => Fault { code: "InvalidParameterValue", ..known },
        _ => known,
    }
}

fn base(denial: &Denial) -> String {
    let head =
        format!("User: {} is not authorized to perform: {}", denial.principal, denial.action);
    match &denial.resource {
        Some(resource) => format!("{head} on resource: {resource}"),
        None => head,
    }
}

fn denied(denial: &Denial) -> String {
    match &denial.decision {
        Some(decision) => policy::denial_text(
            decision,
            &denial.principal,
            &denial.action,
            denial.resource.as_deref(),
            false,
        ),
        None => base(denial),
    }
}

fn missing(entity: &Entity) -> String {
    match entity {
        Entity::Role(name) => format!("The role with name {name} cannot be found."),
        Entity::User(name) => format!("The user with name {name} cannot be found."),
        Entity::Group(name) => format!("The group with name {name} cannot be found."),
        Entity::Alias(name) => format!("The Account Alias {name} cannot be found."),
        Entity::Ceiling(name) => format!("No ceiling is set for {name}."),
        Entity::OidcProvider(name) => format!("OpenIDConnect Provider not found for arn {name}"),
        Entity::Membership(group) => format!("The user is not in the group {group}."),
        Entity::GroupPolicy(name) => format!("The group policy with name {name} cannot be found."),
        Entity::Policy(arn)
        | Entity::RoleAttachment(arn)
        | Entity::UserAttachment(arn)
        | Entity::GroupAttachment(arn) => format!("Policy {arn} was not found."),
        Entity::Attachable(arn) => format!("Policy {arn} does not exist or is not attachable."),
        Entity::PolicyVersion(arn, n) => {
            format!("Policy {arn} version v{n} does not exist or is not attachable.")
        }
        Entity::RolePolicy(name) => format!("The role policy with name {name} cannot be found."),
        Entity::UserPolicy(name) => format!("The user policy with name {name} cannot be found."),
        Entity::AccessKey(id) => format!("The Access Key with id {id} cannot be found."),
        Entity::InstanceProfile(name) => format!("Instance Profile {name} cannot be found."),
        Entity::Boundary(name) => format!("{name} has no permissions boundary."),
        Entity::NotServiceLinked(name) => format!("{name} exists but is not a service role."),
        Entity::AccessReport(id) => format!("Job {id} does not exist."),
        Entity::Reported(arn) => format!("ARN {arn} does not exist."),
        Entity::DeletionTask => "Cannot find deletion status for given id.".to_owned(),
        Entity::Service(name) => format!("No service {name} is registered."),
        Entity::Account(id) => format!("The account {id} cannot be found."),
    }
}

fn exists(entity: &Entity) -> String {
    match entity {
        Entity::Role(name) => format!("Role with name {name} already exists."),
        Entity::User(name) => format!("User with name {name} already exists."),
        Entity::Group(name) => format!("Group with name {name} already exists."),
        Entity::Alias(name) => format!("The account alias {name} already exists."),
        Entity::Policy(name) => {
            format!("A policy called {name} already exists. Duplicate names are not allowed.")
        }
        Entity::Account(id) => format!("The account {id} already exists."),
        other => format!("{other:?} already exists."),
    }
}

fn exceeded(quota: Quota, n: usize) -> Fault {
    let name = match quota {
        Quota::Roles => "RolesPerAccount",
        Quota::Users => "UsersPerAccount",
        Quota::Groups => "GroupsPerAccount",
        Quota::OidcProviders => "OpenIdConnectProvidersPerAccount",
        Quota::ClientIds => "ClientIdsPerOpenIdConnectProvider",
        Quota::Fingerprints => "ThumbprintsPerOpenIdConnectProvider",
        Quota::GroupsPerUser => "GroupsPerUser",
        Quota::PoliciesPerGroup => "PoliciesPerGroup",
        Quota::GroupInlineSize => "GroupPolicySize",
        Quota::Policies => "PoliciesPerAccount",
        Quota::PoliciesPerRole => "PoliciesPerRole",
        Quota::PoliciesPerUser => "PoliciesPerUser",
        Quota::AccessKeys => "AccessKeysPerUser",
        Quota::Tags => "TagsPerResource",
        Quota::PolicySize => "PolicySize",
        Quota::RoleInlineSize => "RolePolicySize",
        Quota::UserInlineSize => "UserPolicySize",
        Quota::TrustSize => "ACLSizePerRole",
        Quota::LinkedRoles => "ServiceLinkedRolesPerService",
        Quota::DeletionTasks => "DeletionTasksPerAccount",
        Quota::Usages => "UsagesPerRole",
        Quota::Ceilings => "CeilingsPerAccount",
        Quota::PolicyVersions => {
            return Fault::new(
                "LimitExceeded",
                409,
                format!(
                    "A managed policy can have up to {n} versions. Before you create a new version, you must delete an existing version."
                ),
            );
        }
    };
    Fault::new("LimitExceeded", 409, format!("Cannot exceed quota for {name}: {n}"))
}

fn in_the_way(conflict: Conflict) -> &'static str {
    match conflict {
        Conflict::AttachedPolicies => "Cannot delete entity, must detach all policies first.",
        Conflict::InlinePolicies => "Cannot delete entity, must delete policies first.",
        Conflict::AccessKeys => "Cannot delete entity, must delete access keys first.",
        Conflict::Members => "Cannot delete entity, must remove users from group first.",
        Conflict::Groups => "Cannot delete entity, must remove user from all groups first.",
        Conflict::AttachedToUser | Conflict::AttachedToGroup | Conflict::AttachedToRole => {
            "Cannot delete a policy attached to entities."
        }
        Conflict::OtherVersions => {
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy."
        }
        Conflict::DefaultVersion => "Cannot delete the default version of a policy.",
    }
}
