//! From the parameters of an RPC request to a command.

use super::fault::Fault;
use super::params::{ALIAS, GROUP, NEW_ROLE, POLICY, Params, ROLE, SESSION, SUFFIX, USER};
use super::{Home, Product};
use iam::command::*;
use iam::limits;
use iam::rows::{KeyStatus, Profile};
use iam::text::*;

/// The domain of users, behind the account's id. [src: ALIBABA.md 4.3]
pub const USER_DOMAIN: &str = ".onaliyun.com";
/// The domain of roles, behind `role.` and the account's id. [src: ALIBABA.md 3.2]
pub const ROLE_DOMAIN: &str = ".onaliyunservice.com";

/// Reads the command of an operation that is done, for a caller of this account.
///
/// Errors: the vendor's own for parameters that do not fit.
pub fn command(
    product: Product,
    action: &str,
    home: Option<&Home>,
    p: Params<'_>,
) -> Result<Command, Fault> {
    match product {
        Product::Sts => sts(action, p),
        Product::Ims => ims(action, home, p),
        Product::ActionTrail => Ok(Command::LookupEvents),
        Product::ResourceManager => match action {
            "ListRoles" => list_roles(p, p.numbered()?),
            "ListPolicies" => list_policies(p, p.numbered()?),
            "AttachPolicy" | "DetachPolicy" => attachment(action, home, p),
            "ListPolicyAttachments" => attachments(home, p),
            _ => ram(action, p),
        },
        Product::Ram => match action {
            "ListRoles" => list_roles(p, p.marked()?),
            "ListPolicies" => list_policies(p, p.marked()?),
            "SetAccountAlias" => {
                Ok(Command::CreateAccountAlias { alias: p.name("AccountAlias", ALIAS)? })
            }
            "DecodeDiagnosticMessage" => Ok(Command::DecodeDiagnosticMessage {
                message: p.required("EncodedDiagnosticMessage")?.to_owned(),
            }),
            "GetAccountAlias" => Ok(Command::ListAccountAliases),
            "ClearAccountAlias" => Ok(Command::DeleteAccountAlias { alias: None }),
            "TagResources" | "UntagResources" | "ListTagResources" => tagging(action, p),
            _ => ram(action, p),
        },
    }
}

fn ram(action: &str, p: Params<'_>) -> Result<Command, Fault> {
    match action {
        "CreateServiceLinkedRole" => create_service_linked_role(p),
        "DeleteServiceLinkedRole" => {
            Ok(Command::DeleteServiceLinkedRole { role: p.name("RoleName", ROLE)? })
        }
        "GetServiceLinkedRoleDeletionStatus" => deletion_status(p),
        "GetServiceLinkedRoleTemplate" => {
            let principal = p.required("ServiceName")?.to_owned();
            Ok(Command::GetServiceLinkedRoleTemplate { principal: Some(principal) })
        }
        "CreateRole" => Ok(Command::CreateRole {
            role: p.name("RoleName", NEW_ROLE)?,
            path: root()?,
            trust: p
                .trust("AssumeRolePolicyDocument")?
                .ok_or_else(|| Fault::missing("AssumeRolePolicyDocument"))?,
            description: p.text("Description")?,
            max_session_s: session_length(p, "MaxSessionDuration")?,
            boundary: None,
            tags: p.tags()?,
        }),
        "GetRole" => Ok(Command::GetRole { role: p.name("RoleName", ROLE)? }),
        "UpdateRole" => Ok(Command::UpdateRole {
            role: p.name("RoleName", ROLE)?,
            description: p.text("NewDescription")?,
            max_session_s: session_length(p, "NewMaxSessionDuration")?,
            trust: p.trust("NewAssumeRolePolicyDocument")?,
        }),
        "DeleteRole" => Ok(Command::DeleteRole { role: p.name("RoleName", ROLE)? }),
        "AttachPolicyToRole" => Ok(Command::AttachRolePolicy {
            policy: p.typed_policy()?,
            role: p.name("RoleName", ROLE)?,
        }),
        "DetachPolicyFromRole" => Ok(Command::DetachRolePolicy {
            policy: p.typed_policy()?,
            role: p.name("RoleName", ROLE)?,
        }),
        "ListPoliciesForRole" => Ok(Command::ListAttachedRolePolicies {
            role: p.name("RoleName", ROLE)?,
            prefix: "/".to_owned(),
            paging: whole(),
        }),
        "AttachPolicyToUser" => Ok(Command::AttachUserPolicy {
            policy: p.typed_policy()?,
            user: p.name("UserName", USER)?,
        }),
        "DetachPolicyFromUser" => Ok(Command::DetachUserPolicy {
            policy: p.typed_policy()?,
            user: p.name("UserName", USER)?,
        }),
        "ListPoliciesForUser" => Ok(Command::ListAttachedUserPolicies {
            user: p.name("UserName", USER)?,
            prefix: "/".to_owned(),
            paging: whole(),
        }),
        "CreateUser" => Ok(Command::CreateUser {
            user: p.name("UserName", USER)?,
            path: root()?,
            boundary: None,
            tags: p.tags()?,
            profile: profile(p, "")?,
        }),
        "GetUser" => Ok(Command::GetUser { user: Some(p.name("UserName", USER)?) }),
        "ListUsers" => Ok(Command::ListUsers { prefix: "/".to_owned(), paging: p.marked()? }),
        "UpdateUser" => Ok(Command::UpdateUser {
            user: p.name("UserName", USER)?,
            new_name: p.optional_name("NewUserName", USER)?,
            new_path: None,
            profile: profile(p, "New")?,
        }),
        "DeleteUser" => Ok(Command::DeleteUser { user: p.name("UserName", USER)? }),
        "CreateAccessKey"
        | "ListAccessKeys"
        | "UpdateAccessKey"
        | "DeleteAccessKey"
        | "GetAccessKeyLastUsed" => access_key(action, p.optional_name("UserName", USER)?, p),
        _ if action.contains("Group") => group(action, p),
        _ => managed_policy(action, p),
    }
}

fn group(action: &str, p: Params<'_>) -> Result<Command, Fault> {
    let name = || p.name("GroupName", GROUP);
    let user = || p.name("UserName", USER);
    match action {
        "CreateGroup" => Ok(Command::CreateGroup {
            group: name()?,
            path: root()?,
            comments: p.text("Comments")?,
        }),
        "GetGroup" => Ok(Command::GetGroup { group: name()?, paging: whole() }),
        "ListGroups" => Ok(Command::ListGroups { prefix: "/".to_owned(), paging: p.marked()? }),
        "UpdateGroup" => Ok(Command::UpdateGroup {
            group: name()?,
            new_name: p.optional_name("NewGroupName", GROUP)?,
            new_path: None,
            comments: p.text("NewComments")?,
        }),
        "DeleteGroup" => Ok(Command::DeleteGroup { group: name()? }),
        "AddUserToGroup" => Ok(Command::AddUserToGroup { user: user()?, group: name()? }),
        "RemoveUserFromGroup" => Ok(Command::RemoveUserFromGroup { user: user()?, group: name()? }),
        "ListGroupsForUser" => Ok(Command::ListGroupsForUser { user: user()?, paging: whole() }),
        "ListUsersForGroup" => {
            Ok(Command::ListUsersForGroup { group: name()?, paging: p.marked()? })
        }
        "AttachPolicyToGroup" => {
            Ok(Command::AttachGroupPolicy { policy: p.typed_policy()?, group: name()? })
        }
        "DetachPolicyFromGroup" => {
            Ok(Command::DetachGroupPolicy { policy: p.typed_policy()?, group: name()? })
        }
        "ListPoliciesForGroup" => Ok(Command::ListAttachedGroupPolicies {
            group: name()?,
            prefix: "/".to_owned(),
            paging: whole(),
        }),
        _ => Err(Fault::internal()),
    }
}

fn managed_policy(action: &str, p: Params<'_>) -> Result<Command, Fault> {
    match action {
        "CreatePolicy" => Ok(Command::CreatePolicy {
            name: p.name("PolicyName", POLICY)?,
            path: root()?,
            document: p.permissions("PolicyDocument")?,
            description: p.text("Description")?,
            tags: p.tags()?,
        }),
        "GetPolicy" => Ok(Command::GetPolicy { policy: p.typed_policy()? }),
        "UpdatePolicyDescription" => Ok(Command::UpdatePolicyDescription {
            policy: p.custom_policy()?,
            description: p.required_text("NewDescription")?,
        }),
        "DeletePolicy" => Ok(Command::DeletePolicy {
            policy: p.custom_policy()?,
            cascade: p.flag("CascadingDelete")?,
        }),
        "CreatePolicyVersion" => Ok(Command::CreatePolicyVersion {
            policy: p.custom_policy()?,
            document: p.permissions("PolicyDocument")?,
            set_default: p.flag("SetAsDefault")?,
            rotate: match p.raw("RotateStrategy") {
                None | Some("None") => false,
                Some("DeleteOldestNonDefaultVersionWhenLimitExceeded") => true,
                Some(_) => return Err(Fault::incorrect("RotateStrategy")),
            },
        }),
        "GetPolicyVersion" => {
            Ok(Command::GetPolicyVersion { policy: p.typed_policy()?, version: p.version()? })
        }
        "ListPolicyVersions" => {
            Ok(Command::ListPolicyVersions { policy: p.typed_policy()?, paging: whole() })
        }
        "SetDefaultPolicyVersion" => Ok(Command::SetDefaultPolicyVersion {
            policy: p.custom_policy()?,
            version: p.version()?,
        }),
        "DeletePolicyVersion" => {
            Ok(Command::DeletePolicyVersion { policy: p.custom_policy()?, version: p.version()? })
        }
        "ListEntitiesForPolicy" => Ok(Command::ListEntitiesForPolicy {
            policy: p.typed_policy()?,
            filter: EntityFilter::All,
            usage: Some(iam::state::Link::Attached),
            prefix: "/".to_owned(),
            paging: whole(),
        }),
        _ => Err(Fault::internal()),
    }
}

fn list_policies(p: Params<'_>, paging: Paging) -> Result<Command, Fault> {
    let scope = match p.raw("PolicyType") {
        None => PolicyScope::All,
        Some("System") => PolicyScope::System,
        Some("Custom") => PolicyScope::Local,
        Some(_) => return Err(Fault::incorrect("PolicyType")),
    };
    Ok(Command::ListPolicies {
        scope,
        attached_only: false,
        prefix: "/".to_owned(),
        with: p.tag_filters()?,
        paging,
    })
}

fn list_roles(p: Params<'_>, paging: Paging) -> Result<Command, Fault> {
    Ok(Command::ListRoles { prefix: "/".to_owned(), with: p.tag_filters()?, paging })
}

/// Tags of roles and policies, by name. [src: ALIBABA.md 4.1]
fn tagging(action: &str, p: Params<'_>) -> Result<Command, Fault> {
    let names = p.names("ResourceNames", "ResourceName")?;
    let policy = |name: &String| p.own_policy("ResourceNames", name);
    let on = match p.required("ResourceType")? {
        "role" => Tagged::Roles(p.typed("ResourceNames", &names, ROLE)?),
        "policy" => Tagged::Policies(names.iter().map(policy).collect::<Result<_, _>>()?),
        _ => return Err(Fault::incorrect("ResourceType")),
    };
    tag_command(action, "ResourceNames", names.is_empty(), on, p)
}

/// Tags of users, by principal name or id. [src: the vendor's model of IMS]
fn user_tagging(action: &str, home: Option<&Home>, p: Params<'_>) -> Result<Command, Fault> {
    if p.required("ResourceType")? != "user" {
        return Err(Fault::incorrect("ResourceType"));
    }
    let names = p.names("ResourcePrincipalNames", "ResourcePrincipalName")?;
    let users: Result<Vec<UserName>, Fault> =
        names.iter().map(|name| user_in("ResourcePrincipalName", name, home)).collect();
    tag_command(action, "ResourcePrincipalName", names.is_empty(), Tagged::Users(users?), p)
}

fn tag_command(
    action: &str,
    names: &str,
    is_empty: bool,
    on: Tagged,
    p: Params<'_>,
) -> Result<Command, Fault> {
    if action == "ListTagResources" {
        return Ok(Command::ListTags { on, with: p.tag_filters()?, paging: p.tokened()? });
    }
    // Of a change, nothing named is a mistake and not all there is.
    if is_empty {
        return Err(Fault::missing(names));
    }
    if action == "TagResources" {
        let tags = p.tags()?;
        return match tags.is_empty() {
            true => Err(Fault::missing("Tag")),
            false => Ok(Command::Tag { on, tags }),
        };
    }
    let all = p.flag("All")?;
    let keys = p.tag_keys()?;
    if keys.is_empty() && !all {
        return Err(Fault::missing("TagKeys"));
    }
    // Keys that are named are meant; `All` counts without them only.
    Ok(Command::Untag { on, all: all && keys.is_empty(), keys })
}

/// Users by principal name; the rest as RAM has it. [src: ALIBABA.md 4.3]
fn ims(action: &str, home: Option<&Home>, p: Params<'_>) -> Result<Command, Fault> {
    let named = |parameter: &str| {
        let text = p.raw(parameter);
        text.map(|text| user_in(parameter, text, home)).transpose()
    };
    let user = named("UserPrincipalName")?;
    let given = || user.clone().ok_or_else(|| Fault::missing("UserPrincipalName"));
    match action {
        "CreateUser" => Ok(Command::CreateUser {
            user: given()?,
            path: root()?,
            boundary: None,
            tags: p.tags()?,
            profile: profile(p, "")?,
        }),
        "GetUser" => Ok(Command::GetUser { user: Some(given()?) }),
        "ListUsers" => Ok(Command::ListUsers { prefix: "/".to_owned(), paging: p.marked()? }),
        "UpdateUser" => Ok(Command::UpdateUser {
            user: given()?,
            new_name: named("NewUserPrincipalName")?,
            new_path: None,
            profile: profile(p, "New")?,
        }),
        "DeleteUser" => Ok(Command::DeleteUser { user: given()? }),
        _ if action.contains("OIDCProvider") => oidc_provider(action, p),
        "TagResources" | "UntagResources" | "ListTagResources" => user_tagging(action, home, p),
        _ => access_key(action, user, p),
    }
}

/// Providers of identities; lists stand in one text with commas. [src: ALIBABA.md 4.3]
fn oidc_provider(action: &str, p: Params<'_>) -> Result<Command, Fault> {
    let list = |name: &str| -> Vec<&str> {
        let text = p.raw(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
    };
    let clients = |name: &str| -> Result<Vec<ClientId>, Fault> {
        list(name).into_iter().map(|id| p.read(name, id)).collect()
    };
    let issuance_limit_h = p.number("IssuanceLimitTime", 1, 168)?;
    if action == "ListOIDCProviders" {
        return Ok(Command::ListOpenIDConnectProviders { paging: p.marked()? });
    }
    let provider: ProviderName = p.required_text("OIDCProviderName")?;
    match action {
        "CreateOIDCProvider" => {
            let fingerprints = list("Fingerprints").into_iter();
            Ok(Command::CreateOpenIDConnectProvider(Box::new(NewOidcProvider {
                name: provider,
                issuer: p.required_text("IssuerUrl")?,
                client_ids: clients("ClientIds")?,
                fingerprints: fingerprints
                    .map(|text| fingerprint(p, "Fingerprints", text))
                    .collect::<Result<_, _>>()?,
                issuance_limit_h,
                description: p.text("Description")?,
            })))
        }
        "GetOIDCProvider" => Ok(Command::GetOpenIDConnectProvider { provider }),
        "DeleteOIDCProvider" => Ok(Command::DeleteOpenIDConnectProvider { provider }),
        "UpdateOIDCProvider" => Ok(Command::UpdateOIDCProvider {
            provider,
            client_ids: p.raw("ClientIds").map(|_| clients("ClientIds")).transpose()?,
            issuance_limit_h,
            description: p.text("NewDescription")?,
        }),
        "AddClientIdToOIDCProvider" => Ok(Command::AddClientIDToOpenIDConnectProvider {
            provider,
            client: p.required_text("ClientId")?,
        }),
        "RemoveClientIdFromOIDCProvider" => Ok(Command::RemoveClientIDFromOpenIDConnectProvider {
            provider,
            client: p.required_text("ClientId")?,
        }),
        _ => {
            let fingerprint = fingerprint(p, "Fingerprint", p.required("Fingerprint")?)?;
            Ok(match action {
                "AddFingerprintToOIDCProvider" => {
                    Command::AddFingerprintToOIDCProvider { provider, fingerprint }
                }
                _ => Command::RemoveFingerprintFromOIDCProvider { provider, fingerprint },
            })
        }
    }
}

/// Fingerprints compare without regard to case and to colons between the bytes.
fn fingerprint(p: Params<'_>, name: &str, text: &str) -> Result<Fingerprint, Fault> {
    p.read(name, &text.replace(':', "").to_ascii_lowercase())
}

fn access_key(action: &str, user: Option<UserName>, p: Params<'_>) -> Result<Command, Fault> {
    let key = || -> Result<KeyId, Fault> {
        let text = p.required("UserAccessKeyId")?;
        // Whatever is no key of ours is one that does not exist.
        KeyId::parse(text).map_err(|_| {
            Fault::new("EntityNotExist.User.AccessKey", 404, "The user access key does not exist.")
        })
    };
    match action {
        "CreateAccessKey" => Ok(Command::CreateAccessKey { user }),
        "ListAccessKeys" => Ok(Command::ListAccessKeys { user, paging: whole() }),
        "UpdateAccessKey" => Ok(Command::UpdateAccessKey {
            user,
            key: key()?,
            status: match p.required("Status")? {
                "Active" => KeyStatus::Active,
                "Inactive" => KeyStatus::Inactive,
                _ => return Err(Fault::incorrect("Status")),
            },
        }),
        "DeleteAccessKey" => Ok(Command::DeleteAccessKey { user, key: key()? }),
        "GetAccessKeyLastUsed" => Ok(Command::GetAccessKeyLastUsed { key: key()? }),
        _ => Err(Fault::internal()),
    }
}

/// Attaches by principal name. [src: ALIBABA.md 4.2]
fn attachment(action: &str, home: Option<&Home>, p: Params<'_>) -> Result<Command, Fault> {
    let policy = p.typed_policy()?;
    let name = p.required("PrincipalName")?;
    check_resource_group(p.required("ResourceGroupId")?, home)?;
    let attach = action == "AttachPolicy";
    match p.required("PrincipalType")? {
        "IMSUser" => {
            let user = user_in("PrincipalName", name, home)?;
            Ok(match attach {
                true => Command::AttachUserPolicy { user, policy },
                false => Command::DetachUserPolicy { user, policy },
            })
        }
        "IMSGroup" => {
            let group = group_in(name, home)?;
            Ok(match attach {
                true => Command::AttachGroupPolicy { group, policy },
                false => Command::DetachGroupPolicy { group, policy },
            })
        }
        "ServiceRole" => {
            let role = role_in(name, home)?;
            Ok(match attach {
                true => Command::AttachRolePolicy { role, policy },
                false => Command::DetachRolePolicy { role, policy },
            })
        }
        _ => Err(Fault::incorrect("PrincipalType")),
    }
}

/// [src: ALIBABA.md 4.2]
fn attachments(home: Option<&Home>, p: Params<'_>) -> Result<Command, Fault> {
    let is_system = match p.raw("PolicyType") {
        None => None,
        Some("System") => Some(true),
        Some("Custom") => Some(false),
        Some(_) => return Err(Fault::incorrect("PolicyType")),
    };
    if let Some(group) = p.raw("ResourceGroupId") {
        check_resource_group(group, home)?;
    }
    let name = p.raw("PrincipalName");
    let holder = match p.raw("PrincipalType") {
        None if name.is_some() => return Err(Fault::missing("PrincipalType")),
        None => None,
        Some("IMSUser") => {
            let user = name.map(|name| user_in("PrincipalName", name, home)).transpose()?;
            Some(HolderFilter::User(user.map(|user| user.folded())))
        }
        Some("IMSGroup") => {
            let group = name.map(|name| group_in(name, home)).transpose()?;
            Some(HolderFilter::Group(group.map(|group| group.folded())))
        }
        Some("ServiceRole") => {
            let role = name.map(|name| role_in(name, home)).transpose()?;
            Some(HolderFilter::Role(role.map(|role| role.folded())))
        }
        Some(_) => return Err(Fault::incorrect("PrincipalType")),
    };
    let policy = p.optional_name("PolicyName", POLICY)?;
    let wanted = Box::new(AttachmentFilter { policy, is_system, holder });
    Ok(Command::ListPolicyAttachments { wanted, paging: p.numbered()? })
}

/// Only the account as a whole is there; it goes by its id.
fn check_resource_group(group: &str, home: Option<&Home>) -> Result<(), Fault> {
    // A caller without an account is refused by the guard, whatever it names.
    if home.is_some_and(|home| home.account.as_str() != group) {
        let text = "The resource group does not exist.";
        return Err(Fault::new("EntityNotExists.ResourceGroup", 404, text));
    }
    Ok(())
}

fn user_in(parameter: &str, text: &str, home: Option<&Home>) -> Result<UserName, Fault> {
    name_in(parameter, text, "User", ("@", USER_DOMAIN), home)
}

fn group_in(text: &str, home: Option<&Home>) -> Result<GroupName, Fault> {
    name_in("PrincipalName", text, "Group", ("@group.", USER_DOMAIN), home)
}

fn role_in(text: &str, home: Option<&Home>) -> Result<RoleName, Fault> {
    name_in("PrincipalName", text, "Role", ("@role.", ROLE_DOMAIN), home)
}

/// The name that a principal name begins with; behind it stand a mark, the account and a domain.
fn name_in<T: Text>(
    parameter: &str,
    text: &str,
    what: &str,
    (mark, domain): (&str, &str),
    home: Option<&Home>,
) -> Result<T, Fault> {
    let wrong = || Fault::format(parameter);
    let (name, place) = text.split_once(mark).ok_or_else(wrong)?;
    let account = place.strip_suffix(domain).ok_or_else(wrong)?;
    if home.is_some_and(|home| !home.is(account)) {
        let text = format!("The {} does not exist.", what.to_lowercase());
        return Err(Fault::new(format!("EntityNotExist.{what}"), 404, text));
    }
    T::read(name).map_err(|_| wrong())
}

fn create_service_linked_role(p: Params<'_>) -> Result<Command, Fault> {
    let principal = p.required("ServiceName")?.to_owned();
    let custom = |what: &str, text: &str| {
        Fault::new(format!("InvalidParameter.CustomSuffix.{what}"), 400, text)
    };
    let suffix: Option<Suffix> = p.optional_name("CustomSuffix", SUFFIX).map_err(|fault| {
        if fault.code.ends_with("Length") {
            custom("Length", "The maximum length of the parameter CustomSuffix is exceeded.")
        } else {
            custom("InvalidChars", "The parameter CustomSuffix contains invalid characters.")
        }
    })?;
    let description = p.text("Description").map_err(|fault| match fault.code.as_str() {
        "InvalidParameter.Description.Length" => Fault::new(
            fault.code,
            400,
            "The maximum length of the description is exceeded. It must not exceed 1024 characters.",
        ),
        _ => fault,
    })?;
    Ok(Command::CreateServiceLinkedRole { principal, suffix, description })
}

/// A deletion task's handle is `task/acs-service-role/SERVICE/ROLE/UUID`, looked up as a whole.
fn deletion_status(p: Params<'_>) -> Result<Command, Fault> {
    let handle = p.required("DeletionTaskId")?;
    if !(26..=255).contains(&handle.len()) {
        let text =
            "The length of the parameter DeletionTaskId must be between 26 and 255 characters.";
        return Err(Fault::new("InvalidParameter.DeletionTaskId.Length", 400, text));
    }
    let parts: Vec<&str> = handle.split('/').collect();
    let parsed = match parts.as_slice() {
        ["task", "acs-service-role", principal, role, id] => {
            TaskId::parse(id).ok().map(|task| (task, (*principal).to_owned(), (*role).to_owned()))
        }
        _ => None,
    };
    match parsed {
        Some((task, principal, role)) => {
            Ok(Command::GetServiceLinkedRoleDeletionStatus { task, principal, role })
        }
        None => {
            let text = "The DeletionTaskId is invalid.";
            Err(Fault::new("InvalidParameter.DeletionTaskId", 400, text))
        }
    }
}

/// Both ways to assume a role; with a token the caller is another one, and the rest the same.
fn sts(action: &str, p: Params<'_>) -> Result<Command, Fault> {
    if action == "GetCallerIdentity" {
        return Ok(Command::GetCallerIdentity);
    }
    let wrong = |name: &str, text: &str| Fault::new(format!("InvalidParameter.{name}"), 400, text);
    let role = p.role_target()?;
    let session = p.name("RoleSessionName", SESSION).map_err(|fault| {
        if fault.code.starts_with("Missing") {
            return fault;
        }
        wrong("RoleSessionName", "The parameter RoleSessionName is wrongly formed.")
    })?;
    let (min, max) = (limits::SESSION_MIN_S, limits::SESSION_MAX_S);
    let duration_s = p.number("DurationSeconds", min, max).map_err(|_| {
        wrong("DurationSeconds", "The Min/Max value of DurationSeconds is 15min/1hr.")
    })?;
    let policy = match p.raw("Policy") {
        None => None,
        Some(text) if text.chars().count() > limits::SESSION_POLICY_SIZE => {
            let text = "The size of Policy must be smaller than 1024 bytes.";
            return Err(wrong("PolicySize", text));
        }
        Some(_) => Some(p.permissions("Policy").map_err(|_| {
            wrong("PolicyGrammar", "The parameter Policy has not passed grammar check.")
        })?),
    };
    Ok(Command::AssumeRole(Box::new(AssumeRole {
        role,
        session,
        duration_s,
        policy,
        policy_arns: Vec::new(),
        tags: Vec::new(),
        transitive: Vec::new(),
        external_id: p.text("ExternalId")?,
        source_identity: p.text("SourceIdentity")?,
    })))
}

fn profile(p: Params<'_>, prefix: &str) -> Result<Profile, Fault> {
    let note = |name: &str| p.text::<Note>(&format!("{prefix}{name}"));
    Ok(Profile {
        display_name: note("DisplayName")?,
        mobile_phone: note("MobilePhone")?,
        email: note("Email")?,
        comments: note("Comments")?,
    })
}

fn session_length(p: Params<'_>, name: &str) -> Result<Option<u32>, Fault> {
    p.number(name, limits::SESSION_DEFAULT_S, limits::SESSION_MAX_S)
}

fn root() -> Result<Path, Fault> {
    Path::parse("/").map_err(|_| Fault::internal())
}

/// All of a listing that the vendor does not cut into pages; what is listed has a small quota.
fn whole() -> Paging {
    Paging { marker: None, limit: Some(1_000), page: None }
}
