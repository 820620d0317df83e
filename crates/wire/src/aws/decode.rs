//! From the parameters of a Query request to a command.

use super::fault::Fault;
use super::params::Params;
use iam::command::{AssumeRole, Command, EntityFilter, PolicyScope, RoleTarget, Tagged};
use iam::limits;
use iam::operations::Operation;
use iam::rows::{KeyStatus, Profile};
use iam::state::Link;
use iam::text::*;
use policy::name::{self, Entity};

/// Reads all fields first, so that all that is wrong is told at once, then builds the command.
macro_rules! command {
    ($p:ident, $name:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        $(let $field = $value;)*
        $p.check()?;
        match ($($field,)*) {
            ($(Some($field),)*) => Ok(Command::$name { $($field),* }),
            _ => Err(Fault::internal()),
        }
    }};
}

/// Reads the command of an operation that is ours.
///
/// Errors: the vendor's own for parameters that do not fit.
pub fn command(operation: Operation, p: &Params<'_>) -> Result<Command, Fault> {
    use Operation as O;
    match operation {
        O::CreateServiceLinkedRole => create_service_linked_role(p),
        O::DeleteServiceLinkedRole => {
            command!(p, DeleteServiceLinkedRole { role: p.required("RoleName") })
        }
        O::GetServiceLinkedRoleDeletionStatus => deletion_status(p),
        O::CreateRole => command!(
            p,
            CreateRole {
                role: p.required("RoleName"),
                path: path(p),
                trust: p.trust("AssumeRolePolicyDocument"),
                description: p.description("Description"),
                max_session_s: session_length(p),
                boundary: p.optional_policy("PermissionsBoundary"),
                tags: p.tags("Tags"),
            }
        ),
        O::GetRole => command!(p, GetRole { role: p.required("RoleName") }),
        O::ListRoles => {
            command!(
                p,
                ListRoles {
                    prefix: p.prefix("PathPrefix"),
                    with: Some(Vec::new()),
                    paging: p.paging(),
                }
            )
        }
        O::UpdateRole => command!(
            p,
            UpdateRole {
                role: p.required("RoleName"),
                description: p.description("Description"),
                max_session_s: session_length(p),
                trust: Some(None),
            }
        ),
        O::UpdateRoleDescription => command!(
            p,
            UpdateRoleDescription {
                role: p.required("RoleName"),
                description: p.required_description("Description"),
            }
        ),
        O::UpdateAssumeRolePolicy => command!(
            p,
            UpdateAssumeRolePolicy {
                role: p.required("RoleName"),
                trust: p.trust("PolicyDocument"),
            }
        ),
        O::DeleteRole => command!(p, DeleteRole { role: p.required("RoleName") }),
        O::TagRole | O::UntagRole | O::ListRoleTags => {
            tagging(operation, p, p.required("RoleName").map(|role| Tagged::Roles(vec![role])))
        }
        O::TagUser | O::UntagUser | O::ListUserTags => {
            tagging(operation, p, p.required("UserName").map(|user| Tagged::Users(vec![user])))
        }
        O::TagPolicy | O::UntagPolicy | O::ListPolicyTags => tagging(
            operation,
            p,
            p.policy("PolicyArn").map(|policy| Tagged::Policies(vec![policy])),
        ),
        O::ListInstanceProfilesForRole => command!(
            p,
            ListInstanceProfilesForRole { role: p.required("RoleName"), paging: p.paging() }
        ),
        O::AddRoleToInstanceProfile => command!(
            p,
            AddRoleToInstanceProfile {
                profile: p.required_text("InstanceProfileName", 1, 128),
                role: p.required("RoleName"),
            }
        ),
        O::RemoveRoleFromInstanceProfile => command!(
            p,
            RemoveRoleFromInstanceProfile {
                profile: p.required_text("InstanceProfileName", 1, 128),
                role: p.required("RoleName"),
            }
        ),
        O::PutRolePolicy
        | O::GetRolePolicy
        | O::ListRolePolicies
        | O::DeleteRolePolicy
        | O::AttachRolePolicy
        | O::DetachRolePolicy
        | O::ListAttachedRolePolicies
        | O::PutRolePermissionsBoundary
        | O::DeleteRolePermissionsBoundary => role_policy(operation, p),
        O::AssumeRole => assume_role(p),
        O::GetCallerIdentity => Ok(Command::GetCallerIdentity),
        O::GetSessionToken => command!(
            p,
            GetSessionToken {
                duration_s: p.number("DurationSeconds", 900, limits::SESSION_TOKEN_MAX_S),
            }
        ),
        O::GenerateServiceLastAccessedDetails
        | O::GetServiceLastAccessedDetails
        | O::GetServiceLastAccessedDetailsWithEntities
        | O::ListPoliciesGrantingServiceAccess => access(operation, p),
        O::CreateAccountAlias => {
            command!(p, CreateAccountAlias { alias: p.required("AccountAlias") })
        }
        O::DeleteAccountAlias => {
            command!(p, DeleteAccountAlias { alias: p.required("AccountAlias").map(Some) })
        }
        O::ListAccountAliases => Ok(Command::ListAccountAliases),
        O::GetAccessKeyInfo => command!(p, GetAccessKeyInfo { key: p.required("AccessKeyId") }),
        O::CreatePolicy
        | O::GetPolicy
        | O::GetPolicyVersion
        | O::ListPolicies
        | O::ListPolicyVersions
        | O::CreatePolicyVersion
        | O::SetDefaultPolicyVersion
        | O::DeletePolicyVersion
        | O::DeletePolicy
        | O::ListEntitiesForPolicy => managed_policy(operation, p),
        O::CreateGroup
        | O::GetGroup
        | O::ListGroups
        | O::UpdateGroup
        | O::DeleteGroup
        | O::AddUserToGroup
        | O::RemoveUserFromGroup
        | O::ListGroupsForUser
        | O::AttachGroupPolicy
        | O::DetachGroupPolicy
        | O::ListAttachedGroupPolicies
        | O::PutGroupPolicy
        | O::GetGroupPolicy
        | O::ListGroupPolicies
        | O::DeleteGroupPolicy => group(operation, p),
        _ => user(operation, p),
    }
}

/// The tags of one thing.
fn tagging(operation: Operation, p: &Params<'_>, bearer: Option<Tagged>) -> Result<Command, Fault> {
    use Operation as O;
    match operation {
        O::TagRole | O::TagUser | O::TagPolicy => {
            command!(p, Tag { on: bearer, tags: p.tags("Tags") })
        }
        O::UntagRole | O::UntagUser | O::UntagPolicy => {
            command!(p, Untag { on: bearer, keys: p.texts("TagKeys"), all: Some(false) })
        }
        _ => command!(p, ListTags { on: bearer, with: Some(Vec::new()), paging: p.paging() }),
    }
}

fn role_policy(operation: Operation, p: &Params<'_>) -> Result<Command, Fault> {
    use Operation as O;
    match operation {
        O::PutRolePolicy => command!(
            p,
            PutRolePolicy {
                role: p.required("RoleName"),
                name: p.required("PolicyName"),
                document: p.permissions("PolicyDocument"),
            }
        ),
        O::GetRolePolicy => command!(
            p,
            GetRolePolicy { role: p.required("RoleName"), name: p.required("PolicyName") }
        ),
        O::ListRolePolicies => {
            command!(p, ListRolePolicies { role: p.required("RoleName"), paging: p.paging() })
        }
        O::DeleteRolePolicy => command!(
            p,
            DeleteRolePolicy { role: p.required("RoleName"), name: p.required("PolicyName") }
        ),
        O::AttachRolePolicy => command!(
            p,
            AttachRolePolicy { role: p.required("RoleName"), policy: p.policy("PolicyArn") }
        ),
        O::DetachRolePolicy => command!(
            p,
            DetachRolePolicy { role: p.required("RoleName"), policy: p.policy("PolicyArn") }
        ),
        O::ListAttachedRolePolicies => command!(
            p,
            ListAttachedRolePolicies {
                role: p.required("RoleName"),
                prefix: p.prefix("PathPrefix"),
                paging: p.paging(),
            }
        ),
        O::PutRolePermissionsBoundary => command!(
            p,
            PutRolePermissionsBoundary {
                role: p.required("RoleName"),
                policy: p.policy("PermissionsBoundary"),
            }
        ),
        O::DeleteRolePermissionsBoundary => {
            command!(p, DeleteRolePermissionsBoundary { role: p.required("RoleName") })
        }
        _ => Err(Fault::internal()),
    }
}

fn user(operation: Operation, p: &Params<'_>) -> Result<Command, Fault> {
    use Operation as O;
    match operation {
        O::CreateUser => command!(
            p,
            CreateUser {
                user: p.required("UserName"),
                path: path(p),
                boundary: p.optional_policy("PermissionsBoundary"),
                tags: p.tags("Tags"),
                profile: Some(Profile::default()),
            }
        ),
        O::GetUser => command!(p, GetUser { user: p.optional("UserName") }),
        O::ListUsers => {
            command!(p, ListUsers { prefix: p.prefix("PathPrefix"), paging: p.paging() })
        }
        O::UpdateUser => command!(
            p,
            UpdateUser {
                user: p.required("UserName"),
                new_name: p.optional("NewUserName"),
                new_path: p.optional("NewPath"),
                profile: Some(Profile::default()),
            }
        ),
        O::DeleteUser => command!(p, DeleteUser { user: p.required("UserName") }),
        O::PutUserPolicy => command!(
            p,
            PutUserPolicy {
                user: p.required("UserName"),
                name: p.required("PolicyName"),
                document: p.permissions("PolicyDocument"),
            }
        ),
        O::GetUserPolicy => command!(
            p,
            GetUserPolicy { user: p.required("UserName"), name: p.required("PolicyName") }
        ),
        O::ListUserPolicies => {
            command!(p, ListUserPolicies { user: p.required("UserName"), paging: p.paging() })
        }
        O::DeleteUserPolicy => command!(
            p,
            DeleteUserPolicy { user: p.required("UserName"), name: p.required("PolicyName") }
        ),
        O::AttachUserPolicy => command!(
            p,
            AttachUserPolicy { user: p.required("UserName"), policy: p.policy("PolicyArn") }
        ),
        O::DetachUserPolicy => command!(
            p,
            DetachUserPolicy { user: p.required("UserName"), policy: p.policy("PolicyArn") }
        ),
        O::ListAttachedUserPolicies => command!(
            p,
            ListAttachedUserPolicies {
                user: p.required("UserName"),
                prefix: p.prefix("PathPrefix"),
                paging: p.paging(),
            }
        ),
        O::CreateAccessKey => command!(p, CreateAccessKey { user: p.optional("UserName") }),
        O::ListAccessKeys => {
            command!(p, ListAccessKeys { user: p.optional("UserName"), paging: p.paging() })
        }
        O::UpdateAccessKey => {
            let words = [("Active", KeyStatus::Active), ("Inactive", KeyStatus::Inactive)];
            command!(
                p,
                UpdateAccessKey {
                    user: p.optional("UserName"),
                    key: p.required("AccessKeyId"),
                    status: required_word(p, "Status", &words),
                }
            )
        }
        O::DeleteAccessKey => command!(
            p,
            DeleteAccessKey { user: p.optional("UserName"), key: p.required("AccessKeyId") }
        ),
        O::GetAccessKeyLastUsed => {
            command!(p, GetAccessKeyLastUsed { key: p.required("AccessKeyId") })
        }
        other => Err(super::not_implemented(other.facts().name)),
    }
}

/// The operations of the access advisor.
fn access(operation: Operation, p: &Params<'_>) -> Result<Command, Fault> {
    use Operation as O;
    match operation {
        O::GenerateServiceLastAccessedDetails => {
            let words = [("SERVICE_LEVEL", false), ("ACTION_LEVEL", true)];
            command!(
                p,
                GenerateServiceLastAccessedDetails {
                    of: p.reported("Arn"),
                    with_actions: p.word("Granularity", &words).map(Option::unwrap_or_default),
                }
            )
        }
        O::GetServiceLastAccessedDetails => {
            command!(p, GetServiceLastAccessedDetails { job: job(p), paging: p.paging() })
        }
        O::GetServiceLastAccessedDetailsWithEntities => command!(
            p,
            GetServiceLastAccessedDetailsWithEntities {
                job: job(p),
                service: p.required("ServiceNamespace"),
                paging: p.paging(),
            }
        ),
        _ => command!(
            p,
            ListPoliciesGrantingServiceAccess {
                of: p.reported("Arn"),
                services: p.texts("ServiceNamespaces"),
            }
        ),
    }
}

fn job(p: &Params<'_>) -> Option<String> {
    p.required_text("JobId", 36, 36)
}

fn group(operation: Operation, p: &Params<'_>) -> Result<Command, Fault> {
    use Operation as O;
    let name = || p.required("GroupName");
    match operation {
        O::CreateGroup => {
            command!(p, CreateGroup { group: name(), path: path(p), comments: Some(None) })
        }
        O::GetGroup => command!(p, GetGroup { group: name(), paging: p.paging() }),
        O::ListGroups => {
            command!(p, ListGroups { prefix: p.prefix("PathPrefix"), paging: p.paging() })
        }
        O::UpdateGroup => command!(
            p,
            UpdateGroup {
                group: name(),
                new_name: p.optional("NewGroupName"),
                new_path: p.optional("NewPath"),
                comments: Some(None),
            }
        ),
        O::DeleteGroup => command!(p, DeleteGroup { group: name() }),
        O::AddUserToGroup => {
            command!(p, AddUserToGroup { group: name(), user: p.required("UserName") })
        }
        O::RemoveUserFromGroup => {
            command!(p, RemoveUserFromGroup { group: name(), user: p.required("UserName") })
        }
        O::ListGroupsForUser => {
            command!(p, ListGroupsForUser { user: p.required("UserName"), paging: p.paging() })
        }
        O::AttachGroupPolicy => {
            command!(p, AttachGroupPolicy { group: name(), policy: p.policy("PolicyArn") })
        }
        O::DetachGroupPolicy => {
            command!(p, DetachGroupPolicy { group: name(), policy: p.policy("PolicyArn") })
        }
        O::ListAttachedGroupPolicies => command!(
            p,
            ListAttachedGroupPolicies {
                group: name(),
                prefix: p.prefix("PathPrefix"),
                paging: p.paging(),
            }
        ),
        O::PutGroupPolicy => command!(
            p,
            PutGroupPolicy {
                group: name(),
                name: p.required("PolicyName"),
                document: p.permissions("PolicyDocument"),
            }
        ),
        O::GetGroupPolicy => {
            command!(p, GetGroupPolicy { group: name(), name: p.required("PolicyName") })
        }
        O::ListGroupPolicies => {
            command!(p, ListGroupPolicies { group: name(), paging: p.paging() })
        }
        O::DeleteGroupPolicy => {
            command!(p, DeleteGroupPolicy { group: name(), name: p.required("PolicyName") })
        }
        _ => Err(Fault::internal()),
    }
}

fn managed_policy(operation: Operation, p: &Params<'_>) -> Result<Command, Fault> {
    use Operation as O;
    match operation {
        O::CreatePolicy => command!(
            p,
            CreatePolicy {
                name: p.required("PolicyName"),
                path: path(p),
                document: p.managed("PolicyDocument"),
                description: p.description("Description"),
                tags: p.tags("Tags"),
            }
        ),
        O::GetPolicy => command!(p, GetPolicy { policy: p.policy("PolicyArn") }),
        O::GetPolicyVersion => {
            command!(p, GetPolicyVersion { policy: p.policy("PolicyArn"), version: version(p) })
        }
        O::ListPolicies => {
            let words = [
                ("All", PolicyScope::All),
                ("AWS", PolicyScope::System),
                ("Local", PolicyScope::Local),
            ];
            command!(
                p,
                ListPolicies {
                    scope: p.word("Scope", &words).map(Option::unwrap_or_default),
                    attached_only: p.flag("OnlyAttached"),
                    prefix: p.prefix("PathPrefix"),
                    with: Some(Vec::new()),
                    paging: p.paging(),
                }
            )
        }
        O::ListPolicyVersions => {
            command!(p, ListPolicyVersions { policy: p.policy("PolicyArn"), paging: p.paging() })
        }
        O::CreatePolicyVersion => command!(
            p,
            CreatePolicyVersion {
                policy: p.policy("PolicyArn"),
                document: p.managed("PolicyDocument"),
                set_default: p.flag("SetAsDefault"),
                rotate: Some(false),
            }
        ),
        O::SetDefaultPolicyVersion => command!(
            p,
            SetDefaultPolicyVersion { policy: p.policy("PolicyArn"), version: version(p) }
        ),
        O::DeletePolicyVersion => {
            command!(p, DeletePolicyVersion { policy: p.policy("PolicyArn"), version: version(p) })
        }
        O::DeletePolicy => {
            command!(p, DeletePolicy { policy: p.policy("PolicyArn"), cascade: Some(false) })
        }
        O::ListEntitiesForPolicy => {
            let filters = [
                ("User", EntityFilter::Users),
                ("Role", EntityFilter::Roles),
                ("Group", EntityFilter::Groups),
                ("LocalManagedPolicy", EntityFilter::All),
                ("AWSManagedPolicy", EntityFilter::All),
            ];
            let usages =
                [("PermissionsPolicy", Link::Attached), ("PermissionsBoundary", Link::Boundary)];
            command!(
                p,
                ListEntitiesForPolicy {
                    policy: p.policy("PolicyArn"),
                    filter: p.word("EntityFilter", &filters).map(Option::unwrap_or_default),
                    usage: p.word("PolicyUsageFilter", &usages),
                    prefix: p.prefix("PathPrefix"),
                    paging: p.paging(),
                }
            )
        }
        _ => Err(Fault::internal()),
    }
}

/// The vendor ignores what it does not know; here what would give a service-linked role something
/// of the caller's own is refused. [src: AWS.md 2.2]
fn create_service_linked_role(p: &Params<'_>) -> Result<Command, Fault> {
    for extra in ["Path", "AssumeRolePolicyDocument", "Tags", "MaxSessionDuration"] {
        if p.has(extra) {
            let text = format!("{extra} cannot be given for a service-linked role.");
            return Err(Fault::new("InvalidInput", 400, text));
        }
    }
    let name = p.required_text("AWSServiceName", 1, 128);
    command!(
        p,
        CreateServiceLinkedRole {
            principal: name,
            suffix: p.optional("CustomSuffix"),
            description: p.description("Description"),
        }
    )
}

/// A deletion task's handle is `task/aws-service-role/PRINCIPAL/ROLE/UUID`, looked up as a whole.
fn deletion_status(p: &Params<'_>) -> Result<Command, Fault> {
    let handle = p.required_text("DeletionTaskId", 1, 1_000);
    p.check()?;
    let handle = handle.unwrap_or_default();
    let parts: Vec<&str> = handle.split('/').collect();
    let parsed = match parts.as_slice() {
        ["task", "aws-service-role", principal, role, id] => {
            TaskId::parse(id).ok().map(|task| (task, (*principal).to_owned(), (*role).to_owned()))
        }
        _ => None,
    };
    match parsed {
        Some((task, principal, role)) => {
            Ok(Command::GetServiceLinkedRoleDeletionStatus { task, principal, role })
        }
        None => Err(Fault::new("InvalidInput", 400, "Invalid task id")),
    }
}

fn assume_role(p: &Params<'_>) -> Result<Command, Fault> {
    let arn = p.required_text("RoleArn", 20, 2_048);
    let session = p.required("RoleSessionName");
    let duration_s = p.number("DurationSeconds", limits::SESSION_MIN_S, limits::SESSION_MAX_S);
    let policy = p.session_policy("Policy", limits::SESSION_POLICY_SIZE);
    let policy_arns = p.policies("PolicyArns");
    let tags = p.tags("Tags");
    let transitive = p.texts("TransitiveTagKeys");
    let external_id = p.optional("ExternalId");
    let source_identity = p.optional("SourceIdentity");
    p.check()?;
    let arn = arn.unwrap_or_default();
    let target = parse_role(&arn)
        .ok_or_else(|| Fault::new("ValidationError", 400, format!("{arn} is invalid")))?;
    let policy_arns = policy_arns.unwrap_or_default();
    if policy_arns.len() > limits::SESSION_POLICY_ARNS {
        let text = format!(
            "1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to {}",
            limits::SESSION_POLICY_ARNS
        );
        return Err(Fault::new("ValidationError", 400, text));
    }
    let missing = Fault::internal;
    Ok(Command::AssumeRole(Box::new(AssumeRole {
        role: target,
        session: session.ok_or_else(missing)?,
        duration_s: duration_s.flatten(),
        policy: policy.flatten(),
        policy_arns,
        tags: tags.unwrap_or_default(),
        transitive: transitive.unwrap_or_default(),
        external_id: external_id.flatten(),
        source_identity: source_identity.flatten(),
    })))
}

fn parse_role(arn: &str) -> Option<RoleTarget> {
    match name::parse_entity(arn)? {
        Entity::Role { account, name, .. } => Some(RoleTarget {
            text: arn.to_owned(),
            account: AccountId::parse(&account).ok()?,
            name: RoleName::parse(&name).ok()?,
        }),
        _ => None,
    }
}

fn path(p: &Params<'_>) -> Option<Path> {
    match p.optional("Path")? {
        Some(path) => Some(path),
        None => Path::parse("/").ok(),
    }
}

fn session_length(p: &Params<'_>) -> Option<Option<u32>> {
    p.number("MaxSessionDuration", 3_600, limits::SESSION_MAX_S)
}

fn version(p: &Params<'_>) -> Option<u32> {
    let text = p.required_text("VersionId", 1, 32)?;
    let number = text.strip_prefix('v').and_then(|n| n.parse::<u32>().ok());
    match number.filter(|n| *n > 0 && format!("v{n}") == text) {
        Some(number) => Some(number),
        None => {
            p.violate_pattern("VersionId", &text, "v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?");
            None
        }
    }
}

fn required_word<T: Copy>(p: &Params<'_>, name: &str, words: &[(&str, T)]) -> Option<T> {
    if p.raw(name).is_none() {
        p.required_text(name, 1, 64)?;
    }
    p.word(name, words).flatten()
}
