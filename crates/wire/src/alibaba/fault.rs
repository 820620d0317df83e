//! The codes, statuses and texts of Alibaba Cloud for what can go wrong.
//!
//! Texts that the vendor has are the vendor's, warts and all [src: ALIBABA.md 3.3, 11, 13]; where
//! nothing public tells what it says, the text is linkrole's own, and `docs/reference/alibaba.md`
//! lists it.

use iam::error::{Conflict, Denial, Entity, Error, Quota};
use iam::operations::Operation;
use policy::name::{self, Entity as Named};
use policy::{Effect, Layer};
use serde_json::{Value, json};

/// The code for whatever would alter a service-linked role from outside: linkrole's own choice, as
/// nothing public tells the vendor's. [src: ALIBABA.md 17]
pub const PROTECTED: &str = "NoPermission.ServiceLinkedRole";

/// A refusal as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The code that clients act on.
    pub code: String,
    /// The status of the answer.
    pub status: u16,
    /// The text for a person.
    pub message: String,
    /// Of a refusal for want of permission: who may not do what, and why.
    pub denial: Option<Box<DenialDetail>>,
}

/// What clients call `AccessDeniedDetail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenialDetail {
    /// Which kind of policy decided.
    pub policy_type: &'static str,
    /// The account of the caller.
    pub owner: String,
    /// The class of the caller.
    pub principal_type: &'static str,
    /// The caller's name.
    pub principal: String,
    /// The action.
    pub action: String,
    /// Whether a statement denies, or none allows.
    pub refusal: &'static str,
    /// The resource that was asked for, and the statements that had a part: not for everybody's eyes.
    pub diagnosis: Value,
    /// The same, sealed; who may decode it sees it.
    pub encoded: String,
}

impl Fault {
    /// Puts a fault together.
    pub fn new(code: impl Into<String>, status: u16, message: impl Into<String>) -> Self {
        Self { code: code.into(), status, message: message.into(), denial: None }
    }

    /// A parameter that must be there.
    pub fn missing(name: &str) -> Self {
        Self::new(format!("Missing{name}"), 400, format!("{name} is mandatory for this action."))
    }

    /// A parameter with a character that it must not have.
    pub fn characters(name: &str) -> Self {
        let text = format!("The parameter - \"{name}\" contains invalid chars.");
        Self::new(format!("InvalidParameter.{name}.InvalidChars"), 400, text)
    }

    /// A parameter that is too long or too short.
    pub fn length(name: &str) -> Self {
        let text = format!("The parameter - \"{name}\" beyond the length limit.");
        Self::new(format!("InvalidParameter.{name}.Length"), 400, text)
    }

    /// A parameter that does not read.
    pub fn format(name: &str) -> Self {
        let text = format!("The format of the parameter - \"{name}\" is incorrect.");
        Self::new(format!("InvalidParameter.{name}.Format"), 400, text)
    }

    /// A parameter that is none of the words it can be.
    pub fn incorrect(name: &str) -> Self {
        let text = format!("The parameter - \"{name}\" is incorrect.");
        Self::new(format!("InvalidParameter.{name}"), 400, text)
    }

    /// No such operation.
    pub fn no_such_api() -> Self {
        let text = "Specified api is not found, please check your url and method.";
        Self::new("InvalidApi.NotFound", 404, text)
    }

    /// Our own fault; the operator's log has more under the request's id.
    pub fn internal() -> Self {
        Self::new("InternalError", 500, "An internal error occurred.")
    }
}

impl Fault {
    /// Too many requests.
    pub fn throttled() -> Self {
        Self::new("Throttling.User", 400, "Request was denied due to user flow control.")
    }
}

impl From<crate::sign_acs::Fault> for Fault {
    fn from(fault: crate::sign_acs::Fault) -> Self {
        Self::new(fault.code, fault.status, fault.message)
    }
}

/// Turns an error into the dialect's own.
pub fn fault(operation: Operation, error: &Error) -> Fault {
    let is_sts = operation.facts().family == iam::operations::Family::Sts;
    match error {
        Error::AccessDenied(denial) | Error::AssumeRoleDenied(denial) => {
            let text = match is_sts {
                true => {
                    "You are not authorized to do this action. You should be authorized by RAM."
                }
                false => "You are not authorized to do this action.",
            };
            Fault { denial: detail(denial), ..Fault::new("NoPermission", 403, text) }
        }
        Error::NoRoleToAssume(denial) => {
            let role = denial.resource.as_deref().unwrap_or_default();
            Fault::new("EntityNotExist.Role", 404, format!("The role not exists: {role}."))
        }
        Error::RootMayNotAssume => {
            Fault::new("NoPermission", 403, "Roles may not be assumed by root accounts.")
        }
        Error::InvalidCredentials => {
            let text = "Specified access key is not found.";
            Fault::new("InvalidAccessKeyId.NotFound", 400, text)
        }
        Error::InactiveKey => {
            Fault::new("InvalidAccessKeyId.Inactive", 400, "Specified access key is disabled.")
        }
        Error::SessionExpired => {
            let text = "Specified SecurityToken is expired.";
            Fault::new("InvalidSecurityToken.Expired", 400, text)
        }
        // ours: no operation of this dialect comes to these
        Error::InUse(message) => Fault::new("DeleteConflict", 409, message.clone()),
        Error::ConsentMissing(_) => {
            let text = "The account makes its service linked roles itself.";
            Fault::new("ConsentRequired", 403, text)
        }
        Error::NonceUsed => {
            let text = "Specified signature nonce was used already.";
            Fault::new("SignatureNonceUsed", 400, text)
        }
        Error::TooManyRequests => Fault::throttled(),
        Error::NoSuchEntity(entity) => missing(entity),
        Error::AlreadyExists(entity) => exists(entity),
        Error::RoleNameTaken(_) => {
            Fault::new("EntityAlreadyExists.Role", 409, "The role already exists.")
        }
        Error::UnknownServicePrincipal(_) => {
            Fault::new("EntityNotExist.Service", 404, "The service does not exist.")
        }
        Error::SuffixRefused(_) => Fault::new(
            "InvalidParameter.CustomSuffix.NotAllowed",
            400,
            "Custom suffix is not allowed for this Service Linked Role.",
        ),
        Error::DescriptionRefused(_) => Fault::new(
            "InvalidParameter.Description.NotAllowed",
            400,
            "Custom description is not allowed for default service linked role.",
        ),
        Error::RoleNameTooLong(_) => Fault::new(
            "InvalidParameter.CustomSuffix.Length",
            400,
            "The maximum length of the parameter CustomSuffix is exceeded.",
        ),
        Error::ProtectedRole(name) | Error::ProtectedDuration(name) => Fault::new(
            PROTECTED,
            403,
            format!("The role {name} is a service-linked role; only its service can change it."),
        ),
        Error::ReservedName(name) => Fault::new(
            PROTECTED,
            403,
            format!("The name {name} begins like that of a service-linked role; choose another."),
        ),
        Error::PolicyNotAttachable => Fault::new(
            PROTECTED,
            403,
            "The policy belongs to service-linked roles; it cannot be attached to anything else.",
        ),
        Error::ReservedPath => Fault::internal(),
        Error::QuotaExceeded(quota, _) => exceeded(*quota),
        Error::DeleteConflict(conflict) => in_the_way(operation, *conflict),
        Error::MalformedPolicy { message } => {
            Fault::new("MalformedPolicyDocument", 400, message.clone())
        }
        Error::InvalidPrincipal(name) => Fault::new(
            "MalformedPolicyDocument",
            400,
            format!("The principal {name} of the policy does not exist."),
        ),
        Error::DuplicateTags => Fault::format("Tag"),
        Error::InvalidMarker => Fault::incorrect("Marker"),
        Error::DurationAboveRole | Error::DurationAboveChain => {
            let text = "The Min/Max value of DurationSeconds is 15min/1hr.";
            Fault::new("InvalidParameter.DurationSeconds", 400, text)
        }
        Error::SessionTooLarge(_) => {
            let text = "The size of Policy must be smaller than 1024 bytes.";
            Fault::new("InvalidParameter.PolicySize", 400, text)
        }
        Error::SourceIdentityFixed => Fault::incorrect("SourceIdentity"),
        Error::TransitiveTagMissing | Error::InheritedTag => Fault::incorrect("Tag"),
        Error::NotWithSession(_) => {
            Fault::new("NoPermission", 403, "You are not authorized to do this action.")
        }
        Error::Invalid { field, message } => {
            Fault::new(format!("InvalidParameter.{field}"), 400, message.clone())
        }
        // ours: what follows has no vendor's text
        Error::EnrolmentRefused => Fault::new("EnrolmentRefused", 403, "The token is refused."),
        Error::IdentityRefused(why) => Fault::new("IdentityRefused", 403, why.clone()),
        Error::Taken { what, name } => {
            Fault::new("EntityAlreadyExists", 409, format!("The {what} {name} is taken."))
        }
        // No interface of this dialect has reports.
        Error::ReportDenied(..) => {
            Fault::new("NoPermission", 403, "You are not authorized to do this action.")
        }
        // The edge has the words at hand; these are for who calls past it.
        Error::Refused(refusal) if refusal.denied => {
            Fault::new("NoPermission", 403, refusal.message.clone())
        }
        Error::Refused(refusal) => Fault::new("InvalidParameter", 400, refusal.message.clone()),
        Error::Stale(message) => Fault::new("ConcurrentCallNotSupported", 409, message.clone()),
        Error::Internal(_) => Fault::internal(),
    }
}

/// A token that is not taken; what is wrong with it is told, for its holder made no secret of it.
pub fn wrong_token(why: &str) -> Fault {
    let text = format!("This JWT Token is invalid: {why}.");
    Fault::new("AuthenticationFail.OIDCToken.Invalid", 400, text)
}

/// What is wrong with a token whose claims or signature do not fit, and no more.
pub const UNFIT: &str = "its signature, issuer, audience or time does not fit";

/// What the holder of a token may not, without a word on what there is.
pub fn refused_token() -> Fault {
    let text = "This operation is forbidden by permission system.";
    Fault::new("AuthenticationFail.NoPermission", 403, text)
}

/// An error of a call by token. [ours: no public list tells the vendor's]
pub fn token_fault(error: &Error) -> Fault {
    match error {
        Error::SessionExpired => {
            Fault::new("AuthenticationFail.OIDCToken.Expired", 400, "This JWT Token is expired.")
        }
        Error::InvalidCredentials => wrong_token(UNFIT),
        Error::AccessDenied(_) | Error::AssumeRoleDenied(_) | Error::NoRoleToAssume(_) => {
            refused_token()
        }
        other => fault(Operation::AssumeRole, other),
    }
}

fn missing(entity: &Entity) -> Fault {
    let (code, text) = match entity {
        Entity::Role(_) => ("Role", "The role does not exist."),
        Entity::NotServiceLinked(_) => {
            ("ServiceLinkedRole", "This role exists but is not a Service Linked Role.")
        }
        Entity::User(_) => ("User", "The user does not exist."),
        Entity::Group(_) => ("Group", "The group does not exist."),
        Entity::Membership(_) => ("User.Group", "The user has not joined the group."),
        Entity::GroupAttachment(_) | Entity::GroupPolicy(_) => {
            ("Group.Policy", "The group policy does not exist.")
        }
        Entity::Policy(_) | Entity::Attachable(_) => ("Policy", "The policy does not exist."),
        Entity::PolicyVersion(_, _) => ("Policy.Version", "The policy version does not exist."),
        Entity::RoleAttachment(_) | Entity::RolePolicy(_) | Entity::Boundary(_) => {
            ("Role.Policy", "The role policy does not exist.")
        }
        Entity::UserAttachment(_) | Entity::UserPolicy(_) => {
            ("User.Policy", "The user policy does not exist.")
        }
        Entity::AccessKey(_) => ("User.AccessKey", "The user access key does not exist."),
        Entity::OidcProvider(_) => ("OIDCProvider", "The OIDC provider does not exist."),
        Entity::Alias(_) => ("AccountAlias", "The account alias does not exist."),
        Entity::Ceiling(_) => ("ServiceCeiling", "The ceiling does not exist."),
        Entity::Reported(_) => ("Entity", "The entity does not exist."),
        Entity::AccessReport(_) => ("AccessReport", "The access report does not exist."),
        Entity::DeletionTask => {
            ("ServiceLinkedRole.DeletionTask", "The deletion task for the given ID does not exist.")
        }
        Entity::Service(_) => ("Service", "The service does not exist."),
        Entity::Account(_) => ("Account", "The account does not exist."),
        Entity::InstanceProfile(_) => ("InstanceProfile", "The instance profile does not exist."),
    };
    Fault::new(format!("EntityNotExist.{code}"), 404, text)
}

fn exists(entity: &Entity) -> Fault {
    let (code, text) = match entity {
        Entity::Role(_) => ("Role", "The role does already EXIST."),
        Entity::User(_) => ("User", "The user does already EXIST."),
        Entity::Group(_) => ("Group", "The group does already EXIST."),
        Entity::Membership(_) => ("User.Group", "The user has already joined the group."),
        Entity::GroupAttachment(_) => {
            ("Group.Policy", "The group has already been attached this policy.")
        }
        // The vendor's text speaks of a group.
        Entity::Policy(_) => ("Policy", "The group does already EXIST."),
        Entity::RoleAttachment(_) => {
            ("Role.Policy", "The role has already been attached this policy.")
        }
        Entity::UserAttachment(_) => {
            ("User.Policy", "The user has already been attached this policy.")
        }
        Entity::Alias(_) => ("AccountAlias", "The account alias does already EXIST."),
        Entity::OidcProvider(_) => {
            ("OIDCProvider", "The OIDC provider or its issuer does already EXIST.")
        }
        _ => ("Entity", "The entity does already EXIST."),
    };
    Fault::new(format!("EntityAlreadyExists.{code}"), 409, text)
}

fn exceeded(quota: Quota) -> Fault {
    let (code, what) = match quota {
        Quota::Roles | Quota::LinkedRoles => ("Role", "roles"),
        Quota::Users => ("User", "users"),
        Quota::Groups => ("Group", "groups"),
        Quota::GroupsPerUser => ("User.Group", "user groups"),
        Quota::PoliciesPerGroup => ("Group.Policy", "group policies"),
        Quota::OidcProviders => ("OIDCProvider", "OIDC providers"),
        Quota::ClientIds => ("OIDCProvider.ClientId", "client ids"),
        Quota::Fingerprints => ("OIDCProvider.Fingerprint", "fingerprints"),
        Quota::Policies => ("Policy", "policies"),
        Quota::PoliciesPerRole => ("Role.Policy", "role policies"),
        Quota::PoliciesPerUser => ("User.Policy", "user policies"),
        Quota::AccessKeys => ("User.AccessKey", "user access keys"),
        Quota::PolicyVersions => ("Policy.Version", "policy versions"),
        Quota::Tags => ("Tag", "tags"),
        Quota::DeletionTasks => ("ServiceLinkedRole.DeletionTask", "deletion tasks"),
        Quota::Usages => ("Usage", "usages"),
        Quota::Ceilings => ("ServiceCeiling", "ceilings"),
        Quota::PolicySize
        | Quota::RoleInlineSize
        | Quota::UserInlineSize
        | Quota::GroupInlineSize => {
            return Fault::length("PolicyDocument");
        }
        Quota::TrustSize => return Fault::length("AssumeRolePolicyDocument"),
    };
    let text = format!("The count of {what} beyond the current limits.");
    Fault::new(format!("LimitExceeded.{code}"), 409, text)
}

fn in_the_way(operation: Operation, conflict: Conflict) -> Fault {
    let is_role = operation == Operation::DeleteRole;
    let is_group = operation == Operation::DeleteGroup;
    let (code, text) = match conflict {
        Conflict::AttachedPolicies | Conflict::InlinePolicies if is_role => {
            ("Role.Policy", "The role CAN NOT has any attached policy while deleting the role.")
        }
        Conflict::AttachedPolicies | Conflict::InlinePolicies if is_group => {
            ("Group.Policy", "The entity CAN NOT has any attached policy while deleting the group.")
        }
        Conflict::Members => {
            ("Group.User", "The group CAN NOT has any user member while deleting the group.")
        }
        Conflict::Groups => {
            ("User.Group", "The user CAN NOT has any group while deleting the user.")
        }
        Conflict::AttachedToGroup => (
            "Policy.Group",
            "The policy CAN NOT been attached to any group while deleting the policy.",
        ),
        Conflict::AttachedPolicies | Conflict::InlinePolicies => {
            ("User.Policy", "The user CAN NOT has any attached policy while deleting the user.")
        }
        Conflict::AccessKeys => {
            ("User.AccessKey", "The user CAN NOT has any access key while deleting the user.")
        }
        Conflict::AttachedToUser => (
            "Policy.User",
            "The policy CAN NOT been attached to any user while deleting the policy.",
        ),
        Conflict::AttachedToRole => (
            "Policy.Role",
            "The policy CAN NOT been attached to any role while deleting the policy.",
        ),
        Conflict::OtherVersions => {
            ("Policy.Version", "The policy CAN NOT has any version except the default version.")
        }
        Conflict::DefaultVersion => {
            ("Policy.Version.Default", "The default policy version CAN NOT been deleted directly.")
        }
    };
    Fault::new(format!("DeleteConflict.{code}"), 409, text)
}

fn policy_type_of(layer: Layer) -> &'static str {
    match layer {
        Layer::Scp | Layer::Rcp => "ControlPolicy",
        Layer::Session => "SessionPolicy",
        Layer::Resource => "AssumeRolePolicy",
        _ => "AccountLevelIdentityBasedPolicy",
    }
}

/// Who was refused what, and by which kind of policy. [src: ALIBABA.md 7]
fn detail(denial: &Denial) -> Option<Box<DenialDetail>> {
    let (owner, principal_type, principal) = match name::parse_entity(&denial.principal)? {
        Named::Root { account } => (account.clone(), "Account", account),
        Named::User { account, name, .. } => (account, "SubUser", name),
        Named::AssumedRole { account, role, session } => {
            (account, "AssumedRoleUser", format!("{role}:{session}"))
        }
        Named::Role { .. }
        | Named::Policy { .. }
        | Named::Group { .. }
        | Named::OidcProvider { .. } => return None,
    };
    let decision = denial.decision.as_ref();
    let policy_type = policy_type_of(decision.map_or(Layer::Identity, |d| d.layer));
    let explicit = decision.is_some_and(|d| d.effect == Effect::ExplicitDeny);
    let matched = |matched: &policy::decision::Matched| {
        json!({
            "PolicyIdentifier": matched.policy,
            "PolicyType": policy_type_of(matched.layer),
            "Effect": match matched.effect {
                policy::StatementEffect::Allow => "Allow",
                policy::StatementEffect::Deny => "Deny",
            },
        })
    };
    let matched: Vec<Value> =
        decision.map(|d| d.matched.iter().map(matched).collect()).unwrap_or_default();
    let diagnosis = json!({
        "AuthAction": denial.action,
        "AuthResource": denial.resource.as_deref().unwrap_or("*"),
        "AuthConditions": [],
        "AuthPrincipal": {
            "AuthPrincipalOwnerId": owner,
            "AuthPrincipalType": principal_type,
            "AuthPrincipalDisplayName": principal,
        },
        "ExplicitDeny": explicit,
        "MatchedPolicies": matched,
        "NoPermissionPolicyType": policy_type,
    });
    Some(Box::new(DenialDetail {
        diagnosis,
        encoded: String::new(),
        policy_type,
        owner,
        principal_type,
        principal,
        action: denial.action.clone(),
        refusal: if explicit { "ExplicitDeny" } else { "ImplicitDeny" },
    }))
}
