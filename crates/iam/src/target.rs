//! What a command is about: the resource it names as it is stored, and the condition keys of its action.
//!
//! [`crate::authorize`] asks the policies about it. Not here: who may, and what a command does.

use crate::authorize::Ask;
use crate::caller::Identity;
use crate::command::*;
use crate::error::Error;
use crate::operations::Operation;
use crate::rows::*;
use crate::text::*;
use crate::tx::Tx;
use policy::{Dialect, Fact, TagOf, name};

/// All that the policies are asked before a command runs. What is about several things is asked
/// about each of them.
pub fn questions(tx: &Tx<'_>, me: &Identity, command: &Command) -> Result<Vec<Ask>, Error> {
    use Command as C;
    if let C::Tag { on, .. } | C::Untag { on, .. } | C::ListTags { on, .. } = command {
        let account = me.home()?;
        let dialect = tx.dialect(&account)?;
        return Ok(Target { tx, me, account, dialect }.each(on, command));
    }
    let ask = of(tx, me, command)?;
    let renamed = renamed(tx, me, command, &ask)?;
    Ok(core::iter::once(ask).chain(renamed).collect())
}

/// What a command is about: its resource as it is stored, and the keys of its action.
fn of(tx: &Tx<'_>, me: &Identity, command: &Command) -> Result<Ask, Error> {
    use Command as C;
    let account = me.home()?;
    let dialect = tx.dialect(&account)?;
    let operation = command.operation();
    let at = Target { tx, me, account: account.clone(), dialect };
    let resource = match command {
        C::CreateServiceLinkedRole { principal, suffix, .. } => {
            let arn = crate::linked::future_arn(tx, &account, principal, suffix.as_ref())?;
            return Ok(creation(tx, principal, arn, account));
        }
        C::PreviewServiceLinkedRole { principal, suffix } => {
            Some(crate::linked::future_arn(tx, &account, principal, suffix.as_ref())?)
        }
        C::GetServiceLinkedRoleDeletionStatus { task, principal, role } => {
            let known = tx.state().task(task).filter(|t| t.account == account);
            Some(match known {
                Some(t) => name::role(
                    dialect,
                    account.as_str(),
                    t.role_path.as_str(),
                    t.role_name.as_str(),
                ),
                None => {
                    let path = crate::linked::path_of(principal);
                    name::role(dialect, account.as_str(), &path, role)
                }
            })
        }
        C::CreateRole { role, path, .. } => {
            Some(name::role(dialect, account.as_str(), path.as_str(), role.as_str()))
        }
        C::CreateUser { user, path, .. } => {
            Some(name::user(dialect, account.as_str(), path.as_str(), user.as_str()))
        }
        C::CreateGroup { group, path, .. } => {
            Some(name::group(dialect, account.as_str(), path.as_str(), group.as_str()))
        }
        C::CreateOpenIDConnectProvider(asked) => {
            Some(name::oidc_provider(dialect, account.as_str(), asked.name.as_str()))
        }
        C::CreatePolicy { name: policy, path, .. } => {
            Some(name::policy(dialect, account.as_str(), path.as_str(), policy.as_str()))
        }
        C::GetAccessKeyLastUsed { key } => Some(at.owner_of(key)),
        C::GenerateServiceLastAccessedDetails { of, .. }
        | C::ListPoliciesGrantingServiceAccess { of, .. } => Some(at.reported(&of.of)),
        C::GetAccess { of } => Some(match of {
            AccessOf::Root(_) => name::root(dialect, account.as_str()),
            AccessOf::User(user) => at.user(user),
            AccessOf::Role(role) => at.role(role),
            AccessOf::Key(key) => at.owner_of(key),
        }),
        C::AddRoleToInstanceProfile { profile, .. }
        | C::RemoveRoleFromInstanceProfile { profile, .. } => {
            Some(name::instance_profile(dialect, account.as_str(), profile))
        }
        other => at.named(other),
    };
    let mut ask = Ask::new(dialect, &operation.action(dialect), resource, Some(account));
    at.keys(command, &mut ask);
    Ok(ask)
}

/// The second question of a renaming: who renames must have the right on the new name too.
/// [src: the vendor's page on renaming users]
fn renamed(tx: &Tx<'_>, me: &Identity, command: &Command, ask: &Ask) -> Result<Option<Ask>, Error> {
    let account = me.home()?;
    let dialect = tx.dialect(&account)?;
    let owner = account.as_str();
    let arn = match command {
        Command::UpdateUser { user, new_name, new_path, .. } => {
            let Some(row) = tx.state().user(&account, &user.folded()) else { return Ok(None) };
            let name = new_name.as_ref().unwrap_or(&row.name);
            let path = new_path.as_ref().unwrap_or(&row.path);
            name::user(dialect, owner, path.as_str(), name.as_str())
        }
        Command::UpdateGroup { group, new_name, new_path, .. } => {
            let Some(row) = tx.state().group(&account, &group.folded()) else { return Ok(None) };
            let name = new_name.as_ref().unwrap_or(&row.name);
            let path = new_path.as_ref().unwrap_or(&row.path);
            name::group(dialect, owner, path.as_str(), name.as_str())
        }
        _ => return Ok(None),
    };
    Ok(Some(Ask { resource: Some(arn), ..ask.clone() }))
}

/// The question of who makes a service-linked role.
pub fn creation(tx: &Tx<'_>, principal: &str, role_arn: String, account: AccountId) -> Ask {
    let dialect = tx.dialect(&account).unwrap_or_default();
    let action = Operation::CreateServiceLinkedRole.action(dialect);
    let mut ask = Ask::new(dialect, &action, Some(role_arn), Some(account));
    ask.set(Fact::LinkedService, principal);
    ask
}

struct Target<'a, 'b> {
    tx: &'a Tx<'b>,
    me: &'a Identity,
    account: AccountId,
    dialect: Dialect,
}

impl Target<'_, '_> {
    /// The stored ARN behind a name, whatever case the request used; of a missing thing the ARN
    /// it would have at the root path. [src: AWS.md 3.9]
    fn named(&self, command: &Command) -> Option<String> {
        use Command as C;
        match command {
            C::DeleteServiceLinkedRole { role }
            | C::AcceptServiceUpdate { role }
            | C::PlanServiceLinkedRoleDeletion { role }
            | C::GetRole { role }
            | C::UpdateRole { role, .. }
            | C::UpdateRoleDescription { role, .. }
            | C::UpdateAssumeRolePolicy { role, .. }
            | C::DeleteRole { role }
            | C::PutRolePolicy { role, .. }
            | C::GetRolePolicy { role, .. }
            | C::ListRolePolicies { role, .. }
            | C::DeleteRolePolicy { role, .. }
            | C::AttachRolePolicy { role, .. }
            | C::DetachRolePolicy { role, .. }
            | C::ListAttachedRolePolicies { role, .. }
            | C::PutRolePermissionsBoundary { role, .. }
            | C::DeleteRolePermissionsBoundary { role }
            | C::ListInstanceProfilesForRole { role, .. } => Some(self.role(role)),
            C::UpdateUser { user, .. }
            | C::DeleteUser { user }
            | C::PutUserPolicy { user, .. }
            | C::GetUserPolicy { user, .. }
            | C::ListUserPolicies { user, .. }
            | C::DeleteUserPolicy { user, .. }
            | C::AttachUserPolicy { user, .. }
            | C::DetachUserPolicy { user, .. }
            | C::ListGroupsForUser { user, .. }
            | C::ListAttachedUserPolicies { user, .. } => Some(self.user(user)),
            C::GetGroup { group, .. }
            | C::ListUsersForGroup { group, .. }
            | C::UpdateGroup { group, .. }
            | C::DeleteGroup { group }
            | C::AddUserToGroup { group, .. }
            | C::RemoveUserFromGroup { group, .. }
            | C::AttachGroupPolicy { group, .. }
            | C::DetachGroupPolicy { group, .. }
            | C::ListAttachedGroupPolicies { group, .. }
            | C::PutGroupPolicy { group, .. }
            | C::GetGroupPolicy { group, .. }
            | C::ListGroupPolicies { group, .. }
            | C::DeleteGroupPolicy { group, .. } => Some(self.group(group)),
            C::GetOpenIDConnectProvider { provider }
            | C::UpdateOIDCProvider { provider, .. }
            | C::DeleteOpenIDConnectProvider { provider }
            | C::AddClientIDToOpenIDConnectProvider { provider, .. }
            | C::RemoveClientIDFromOpenIDConnectProvider { provider, .. }
            | C::AddFingerprintToOIDCProvider { provider, .. }
            | C::RemoveFingerprintFromOIDCProvider { provider, .. } => {
                Some(self.oidc_provider(provider))
            }
            C::GetUser { user }
            | C::CreateAccessKey { user }
            | C::ListAccessKeys { user, .. }
            | C::UpdateAccessKey { user, .. }
            | C::DeleteAccessKey { user, .. } => Some(match user {
                Some(user) => self.user(user),
                None => self.me.principal.arn.clone().unwrap_or_default(),
            }),
            other => policy_of(other).map(|policy| self.policy(policy)),
        }
    }

    /// The question about each thing that bears tags, or the one about all of a kind.
    fn each(&self, on: &Tagged, command: &Command) -> Vec<Ask> {
        let about: Vec<(Option<String>, Option<&PolicyTarget>)> = match on {
            Tagged::Roles(names) => names.iter().map(|n| (Some(self.role(n)), None)).collect(),
            Tagged::Users(names) => names.iter().map(|n| (Some(self.user(n)), None)).collect(),
            Tagged::Policies(list) => {
                list.iter().map(|p| (Some(self.policy(p)), Some(p))).collect()
            }
        };
        let about = if about.is_empty() { vec![(None, None)] } else { about };
        let action = command.operation().action(self.dialect);
        let ask = |(resource, policy)| {
            let mut ask = Ask::new(self.dialect, &action, resource, Some(self.account.clone()));
            self.request_keys(command, &mut ask);
            self.stored_keys(policy, &mut ask);
            ask
        };
        about.into_iter().map(ask).collect()
    }

    fn reported(&self, of: &ReportOf) -> String {
        match of {
            ReportOf::User(user) => self.user(user),
            ReportOf::Group(group) => self.group(group),
            ReportOf::Role(role) => self.role(role),
            ReportOf::Policy(policy) => self.policy(policy),
        }
    }

    fn role(&self, role: &RoleName) -> String {
        match self.tx.state().role(&self.account, &role.folded()) {
            Some(found) => self.tx.role_arn(found),
            None => name::role(self.dialect, self.account.as_str(), "/", role.as_str()),
        }
    }

    fn user(&self, user: &UserName) -> String {
        match self.tx.state().user(&self.account, &user.folded()) {
            Some(found) => self.tx.user_arn(found),
            None => name::user(self.dialect, self.account.as_str(), "/", user.as_str()),
        }
    }

    fn group(&self, group: &GroupName) -> String {
        match self.tx.state().group(&self.account, &group.folded()) {
            Some(found) => crate::group::view(self.tx, found, 0).arn,
            None => name::group(self.dialect, self.account.as_str(), "/", group.as_str()),
        }
    }

    fn oidc_provider(&self, provider: &ProviderName) -> String {
        let stored = self.tx.state().oidc_provider(&self.account, &provider.folded());
        let name = stored.map_or(provider, |row| &row.name);
        name::oidc_provider(self.dialect, self.account.as_str(), name.as_str())
    }

    fn policy(&self, policy: &PolicyTarget) -> String {
        let stored = crate::managed_policy::find(self.tx, &self.account, policy).ok();
        stored.map_or_else(
            || policy.text.clone(),
            |found| crate::managed_policy::arn_of(self.tx, &self.account, &found),
        )
    }

    fn owner_of(&self, key: &KeyId) -> String {
        let user = self.tx.state().key(key).and_then(|row| match &row.owner {
            KeyOwner::User(account, id) if *account == self.account => {
                self.tx.state().user_by_id(id)
            }
            _ => None,
        });
        match user {
            Some(user) => self.tx.user_arn(user),
            None => name::user(self.dialect, self.account.as_str(), "/", "*"),
        }
    }

    /// The condition keys that only some actions have.
    fn keys(&self, command: &Command, ask: &mut Ask) {
        use Command as C;
        self.request_keys(command, ask);
        // What is to be made has nothing of what stands under its name.
        let makes =
            matches!(command, C::CreateRole { .. } | C::CreateUser { .. } | C::CreatePolicy { .. });
        if !makes {
            self.stored_keys(policy_of(command), ask);
        }
    }

    /// The condition keys that a request tells.
    fn request_keys(&self, command: &Command, ask: &mut Ask) {
        use Command as C;
        match command {
            C::AttachRolePolicy { policy, .. }
            | C::DetachRolePolicy { policy, .. }
            | C::AttachUserPolicy { policy, .. }
            | C::DetachUserPolicy { policy, .. }
            | C::AttachGroupPolicy { policy, .. }
            | C::DetachGroupPolicy { policy, .. } => {
                ask.set(Fact::PolicyArn, &self.policy(policy));
            }
            C::PutRolePermissionsBoundary { policy, .. } => {
                ask.set(Fact::Boundary, &self.policy(policy));
            }
            C::CreateRole { boundary, tags, .. } | C::CreateUser { boundary, tags, .. } => {
                if let Some(policy) = boundary {
                    ask.set(Fact::Boundary, &self.policy(policy));
                }
                self.request_tags(tags, ask);
            }
            C::CreatePolicy { tags, .. } | C::Tag { tags, .. } => self.request_tags(tags, ask),
            C::GetServiceLinkedRoleDeletionStatus { principal, .. } => {
                ask.set(Fact::LinkedService, principal);
            }
            C::Untag { keys, .. } => {
                ask.set_list(Fact::TagKeys, keys.iter().map(ToString::to_string).collect());
            }
            _ => {}
        }
    }

    /// The condition keys of the stored thing that a question is about.
    fn stored_keys(&self, policy: Option<&PolicyTarget>, ask: &mut Ask) {
        let state = self.tx.state();
        if let Some(target) = policy {
            let row = crate::managed_policy::find(self.tx, &self.account, target).ok();
            if let Some(PolicyRef::Customer(id)) = row
                && let Some(row) = state.policy_by_id(&id)
            {
                resource_tags(&row.tags, ask);
            }
            return;
        }
        match ask.resource.as_deref().and_then(name::parse_entity) {
            Some(name::Entity::Role { name, .. }) => {
                let Some(role) = state.role(&self.account, &Folded::of(&name)) else { return };
                resource_tags(&role.tags, ask);
                match &role.kind {
                    RoleKind::Own(own) => self.boundary(&own.grants, ask),
                    RoleKind::Linked(linked) => {
                        ask.set(Fact::LinkedService, linked.template.principal.as_str());
                    }
                }
            }
            Some(name::Entity::User { name, .. }) => {
                let Some(user) = state.user(&self.account, &Folded::of(&name)) else { return };
                resource_tags(&user.tags, ask);
                self.boundary(&user.grants, ask);
            }
            _ => {}
        }
    }

    /// The boundary that a principal has, unless the request is about another.
    fn boundary(&self, grants: &Grants, ask: &mut Ask) {
        if let Some(boundary) = &grants.boundary
            && !ask.tells(Fact::Boundary)
        {
            let arn = crate::managed_policy::arn_of(self.tx, &self.account, boundary);
            ask.set(Fact::Boundary, &arn);
        }
    }

    fn request_tags(&self, tags: &[(TagKey, TagValue)], ask: &mut Ask) {
        if !tags.is_empty() {
            ask.set_tags(tags);
        }
    }
}

/// The managed policy that a command is about.
fn policy_of(command: &Command) -> Option<&PolicyTarget> {
    use Command as C;
    match command {
        C::GetPolicy { policy }
        | C::GetPolicyVersion { policy, .. }
        | C::ListPolicyVersions { policy, .. }
        | C::CreatePolicyVersion { policy, .. }
        | C::SetDefaultPolicyVersion { policy, .. }
        | C::DeletePolicyVersion { policy, .. }
        | C::DeletePolicy { policy, .. }
        | C::UpdatePolicyDescription { policy, .. }
        | C::ListEntitiesForPolicy { policy, .. } => Some(policy),
        _ => None,
    }
}

fn resource_tags(tags: &Tags, ask: &mut Ask) {
    for (key, value) in tags.iter() {
        ask.set_tag(TagOf::Resource, key, value);
    }
}
