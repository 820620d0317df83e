//! From an answer to the vendor's XML.

use crate::clock::{iso_millis, iso_seconds};
use crate::http::percent_encode;
use crate::xml::Xml;
use iam::operations::Operation;
use iam::output::*;
use iam::rows::*;
use iam::state::EntityRef;
use iam::text::*;
use policy::Dialect;

/// Writes the result of an operation. `false` means that the operation has no result element.
pub fn result(x: &mut Xml, operation: Operation, output: &Output) -> bool {
    match output {
        // The vendor's UpdateRole has a result element with nothing in it, UpdateUser not even that.
        Output::Role(_) if operation == Operation::UpdateRole => {}
        Output::User(_) if operation == Operation::UpdateUser => return false,
        Output::Done => return false,
        Output::Role(view) => x.within("Role", |x| role(x, view, RoleForm::of(operation))),
        Output::Roles(page) => {
            x.list("Roles", &page.items, |x, view| role(x, view, RoleForm::Listed));
            paging(x, page.next.as_deref());
        }
        Output::User(view) => x.within("User", |x| user(x, view)),
        Output::Users(page) => {
            x.list("Users", &page.items, user);
            paging(x, page.next.as_deref());
        }
        Output::Group(_) if operation == Operation::UpdateGroup => return false,
        Output::Group(view) => x.within("Group", |x| group(x, view)),
        Output::Groups(page) => {
            x.list("Groups", &page.items, group);
            paging(x, page.next.as_deref());
        }
        Output::Members { group: view, users } => {
            x.within("Group", |x| group(x, view));
            x.list("Users", &users.items, |x, (view, _)| user(x, view));
            paging(x, users.next.as_deref());
        }
        Output::Policy(view) => {
            x.within("Policy", |x| policy(x, view, operation == Operation::GetPolicy));
        }
        Output::Policies(page) => {
            x.list("Policies", &page.items, |x, view| policy(x, view, false));
            paging(x, page.next.as_deref());
        }
        Output::Version(view) => {
            let whole = operation == Operation::GetPolicyVersion;
            x.within("PolicyVersion", |x| version(x, view, whole));
        }
        Output::Versions(page) => {
            x.list("Versions", &page.items, |x, view| version(x, view, false));
            paging(x, page.next.as_deref());
        }
        Output::Inline { owner, name, document } => {
            let holder = match operation {
                Operation::GetRolePolicy => "RoleName",
                Operation::GetGroupPolicy => "GroupName",
                _ => "UserName",
            };
            x.text(holder, owner);
            x.text("PolicyName", name.as_str());
            x.text("PolicyDocument", &percent_encode(document));
        }
        Output::Names(page) => {
            x.within("PolicyNames", |x| {
                page.items.iter().for_each(|name| x.text("member", name.as_str()));
            });
            paging(x, page.next.as_deref());
        }
        Output::Attached(page) => {
            x.list("AttachedPolicies", &page.items, |x, view| {
                x.text("PolicyName", view.name.as_str());
                x.text("PolicyArn", &view.arn);
            });
            paging(x, page.next.as_deref());
        }
        Output::Referrers(page) => referrers(x, page),
        Output::Tags(page) => {
            tags(x, page.items.iter().map(|tag| (&tag.key, &tag.value)));
            paging(x, page.next.as_deref());
        }
        // The wire has no operations on these yet.
        Output::Plan(_)
        | Output::Preview(_)
        | Output::Terms(_)
        | Output::ServiceChange(_)
        | Output::Diagnosis(_)
        | Output::Attachments(_)
        | Output::Access(_)
        | Output::OidcProvider { .. }
        | Output::OidcProviders(_) => {
            return false;
        }
        Output::Alias(alias) => {
            x.within("AccountAliases", |x| {
                alias.iter().for_each(|alias| x.text("member", alias.as_str()));
            });
            x.text("IsTruncated", "false");
        }
        Output::NoProfiles => {
            x.within("InstanceProfiles", |_| {});
            x.text("IsTruncated", "false");
        }
        Output::Key { key, user, secret } => x.within("AccessKey", |x| {
            x.some("UserName", user.as_ref().map(UserName::as_str));
            x.text("AccessKeyId", key.id.as_str());
            x.text("Status", status(key.status));
            x.text("SecretAccessKey", secret.expose());
            x.text("CreateDate", &iso_seconds(key.created_ms));
        }),
        Output::Keys { user, keys } => {
            x.some("UserName", user.as_ref().map(UserName::as_str));
            x.list("AccessKeyMetadata", &keys.items, |x, key| {
                x.some("UserName", user.as_ref().map(UserName::as_str));
                x.text("AccessKeyId", key.id.as_str());
                x.text("Status", status(key.status));
                x.text("CreateDate", &iso_seconds(key.created_ms));
            });
            paging(x, keys.next.as_deref());
        }
        Output::KeyUse { user, last } => {
            x.some("UserName", user.as_ref().map(UserName::as_str));
            x.within("AccessKeyLastUsed", |x| match last {
                Some(last) => {
                    x.text("LastUsedDate", &iso_seconds(last.at_ms));
                    x.text("ServiceName", &last.service);
                    x.text("Region", &last.region);
                }
                None => {
                    x.text("ServiceName", "N/A");
                    x.text("Region", "N/A");
                }
            });
        }
        Output::AccessJob(id) => x.text("JobId", id),
        Output::AccessReport(view) => {
            report_head(x, view.at_s);
            x.text("JobType", if view.with_actions { "ACTION_LEVEL" } else { "SERVICE_LEVEL" });
            x.list("ServicesLastAccessed", &view.services.items, |x, item| {
                service_access(x, item, view.with_actions);
            });
            paging(x, view.services.next.as_deref());
        }
        Output::AccessEntities { at_s, entities } => {
            report_head(x, *at_s);
            x.list("EntityDetailsList", &entities.items, |x, (who, at_ms)| {
                x.within("EntityInfo", |x| {
                    x.text("Arn", &who.arn);
                    x.text("Name", &who.name);
                    x.text("Type", if who.is_role { "ROLE" } else { "USER" });
                    x.text("Id", who.id.as_str());
                    x.text("Path", who.path.as_str());
                });
                x.some("LastAuthenticated", at_ms.map(iso_millis).as_deref());
            });
            paging(x, entities.next.as_deref());
        }
        Output::GrantingPolicies(all) => {
            x.list("PoliciesGrantingServiceAccess", all, |x, (service, policies)| {
                x.text("ServiceNamespace", service.as_str());
                x.list("Policies", policies, granting);
            });
            paging(x, None);
        }
        Output::Task(view) => task(x, view, operation),
        Output::Session { credentials, assumed, packed_percent, source_identity } => {
            if let Some(assumed) = assumed {
                x.within("AssumedRoleUser", |x| {
                    x.text("AssumedRoleId", &assumed.id);
                    x.text("Arn", &assumed.arn);
                });
            }
            x.within("Credentials", |x| {
                x.text("AccessKeyId", credentials.key.as_str());
                x.text("SecretAccessKey", credentials.secret.expose());
                x.text("SessionToken", &credentials.token);
                x.text("Expiration", &iso_seconds(credentials.expires_ms));
            });
            if let Some(percent) = packed_percent {
                x.text("PackedPolicySize", &percent.to_string());
            }
            x.some("SourceIdentity", source_identity.as_ref().map(SourceIdentity::as_str));
        }
        Output::Caller(view) => {
            x.text("Arn", &view.arn);
            x.text("UserId", &view.id);
            // A linked service has no account; the element stays, because clients expect it.
            x.text("Account", view.account.as_ref().map_or("", AccountId::as_str));
        }
        Output::KeyAccount(account) => x.text("Account", account.as_str()),
        // The rest is spoken in the native dialect only.
        Output::Templates(_)
        | Output::Ensured { .. }
        | Output::Authorized { .. }
        | Output::Usage { .. }
        | Output::UsageList { .. }
        | Output::Released { .. }
        | Output::Enrolment { .. }
        | Output::Registered { .. }
        | Output::Services(_)
        | Output::Catalog { .. }
        | Output::Service(_)
        | Output::Account { .. }
        | Output::Accounts(_)
        | Output::Trail { .. }
        | Output::Step { .. }
        | Output::Swept { .. } => return false,
    }
    true
}

/// How much of a role an operation shows. [src: AWS.md 2.2, 2.3, 3.3]
#[derive(Clone, Copy, PartialEq, Eq)]
enum RoleForm {
    /// After creation: neither description nor session length.
    Created,
    /// In a listing: no last use, tags or boundary.
    Listed,
    /// After a change of the description: no session length.
    Described,
    /// Everything.
    Whole,
}

impl RoleForm {
    fn of(operation: Operation) -> Self {
        match operation {
            Operation::CreateRole | Operation::CreateServiceLinkedRole => Self::Created,
            Operation::UpdateRoleDescription => Self::Described,
            _ => Self::Whole,
        }
    }
}

fn role(x: &mut Xml, view: &RoleView, form: RoleForm) {
    let role = &view.role;
    x.text("Path", role.path.as_str());
    x.text("RoleName", role.name.as_str());
    x.text("RoleId", role.id.as_str());
    x.text("Arn", &view.arn);
    x.text("CreateDate", &iso_seconds(role.created_ms));
    x.text("AssumeRolePolicyDocument", &percent_encode(&trust(&view.trust, form)));
    if form != RoleForm::Created {
        x.some("Description", role.description.as_ref().map(Description::as_str));
    }
    if matches!(form, RoleForm::Whole | RoleForm::Listed) {
        x.text("MaxSessionDuration", &role.max_session_s.to_string());
    }
    if matches!(form, RoleForm::Whole | RoleForm::Created) {
        if let Some(boundary) = &view.boundary {
            x.within("PermissionsBoundary", |x| boundary_of(x, boundary));
        }
        if !role.tags.is_empty() {
            tags(x, role.tags.iter());
        }
    }
    if form == RoleForm::Whole {
        x.within("RoleLastUsed", |x| {
            if let Some(last) = &view.last_use {
                x.text("LastUsedDate", &iso_seconds(last.at_ms));
                x.text("Region", &last.region);
            }
        });
    }
}

/// A role's trust as it is looked at.
pub fn shown_trust(view: &TrustView) -> String {
    trust(view, RoleForm::Whole)
}

/// The trust of a service-linked role has two spellings: lists when it is made, single values
/// when it is looked at. [src: AWS.md 2.1]
fn trust(trust: &TrustView, form: RoleForm) -> String {
    match (trust, form) {
        (TrustView::Own(text), _) => text.clone(),
        (TrustView::Linked(service), RoleForm::Created) => format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Action":["sts:AssumeRole"],"Effect":"Allow","Principal":{{"Service":["{service}"]}}}}]}}"#
        ),
        (TrustView::Linked(service), _) => format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"{service}"}},"Action":"sts:AssumeRole"}}]}}"#
        ),
    }
}

fn boundary_of(x: &mut Xml, arn: &str) {
    x.text("PermissionsBoundaryType", "Policy");
    x.text("PermissionsBoundaryArn", arn);
}

fn tags<'a>(x: &mut Xml, list: impl Iterator<Item = (&'a TagKey, &'a TagValue)>) {
    x.list("Tags", list, |x, (key, value)| {
        x.text("Key", key.as_str());
        x.text("Value", value.as_str());
    });
}

fn user(x: &mut Xml, view: &UserView) {
    match &view.user {
        Some(user) => {
            x.text("Path", user.path.as_str());
            x.text("UserName", user.name.as_str());
            x.text("UserId", user.id.as_str());
        }
        // Root has neither name nor path.
        None => x.text("UserId", view.account.as_str()),
    }
    x.text("Arn", &view.arn);
    x.text("CreateDate", &iso_seconds(view.created_ms));
    if let Some(boundary) = &view.boundary {
        x.within("PermissionsBoundary", |x| boundary_of(x, boundary));
    }
    if let Some(user) = view.user.as_ref().filter(|u| !u.tags.is_empty()) {
        tags(x, user.tags.iter());
    }
}

fn policy(x: &mut Xml, view: &PolicyView, whole: bool) {
    x.text("PolicyName", view.name.as_str());
    x.text("PolicyId", &view.id);
    x.text("Arn", &view.arn);
    x.text("Path", view.path.as_str());
    x.text("DefaultVersionId", &format!("v{}", view.default_version));
    x.text("AttachmentCount", &view.attachments.to_string());
    x.text("PermissionsBoundaryUsageCount", &view.boundaries.to_string());
    x.text("IsAttachable", if view.attachable { "true" } else { "false" });
    if whole {
        x.some("Description", view.description.as_ref().map(Description::as_str));
    }
    x.text("CreateDate", &iso_seconds(view.created_ms));
    x.text("UpdateDate", &iso_seconds(view.updated_ms));
    if !view.tags.is_empty() {
        tags(x, view.tags.iter());
    }
}

fn version(x: &mut Xml, view: &VersionView, whole: bool) {
    if whole {
        x.text("Document", &percent_encode(&view.document));
    }
    x.text("VersionId", &format!("v{}", view.number));
    x.text("IsDefaultVersion", if view.is_default { "true" } else { "false" });
    x.text("CreateDate", &iso_seconds(view.created_ms));
}

fn group(x: &mut Xml, view: &GroupView) {
    x.text("Path", view.path.as_str());
    x.text("GroupName", view.name.as_str());
    x.text("GroupId", view.id.as_str());
    x.text("Arn", &view.arn);
    x.text("CreateDate", &iso_seconds(view.created_ms));
}

fn referrers(x: &mut Xml, page: &Page<Referrer>) {
    let of = |wanted: fn(&EntityRef) -> bool| page.items.iter().filter(move |r| wanted(&r.entity));
    x.list("PolicyGroups", of(|e| matches!(e, EntityRef::Group(..))), |x, group| {
        x.text("GroupName", &group.name);
        x.text("GroupId", &group.id);
    });
    x.list("PolicyUsers", of(|e| matches!(e, EntityRef::User(..))), |x, user| {
        x.text("UserName", &user.name);
        x.text("UserId", &user.id);
    });
    x.list("PolicyRoles", of(|e| matches!(e, EntityRef::Role(..))), |x, role| {
        x.text("RoleName", &role.name);
        x.text("RoleId", &role.id);
    });
    paging(x, page.next.as_deref());
}

fn task(x: &mut Xml, view: &TaskView, operation: Operation) {
    let task = &view.task;
    if operation == Operation::DeleteServiceLinkedRole {
        x.text("DeletionTaskId", &task_handle(task));
        return;
    }
    let status = match task.status {
        TaskStatus::NotStarted => "NOT_STARTED",
        TaskStatus::InProgress => "IN_PROGRESS",
        TaskStatus::Succeeded => "SUCCEEDED",
        TaskStatus::Failed => "FAILED",
    };
    x.text("Status", status);
    if task.status == TaskStatus::Failed {
        x.within("Reason", |x| {
            x.some("Reason", task.reason.as_deref());
            x.list("RoleUsageList", &task.usages, |x, (region, resources)| {
                x.text("Region", region.as_str());
                x.within("Resources", |x| {
                    resources.iter().for_each(|r| x.text("member", r.as_str()));
                });
            });
        });
    }
}

/// A deletion task's handle in this dialect.
pub fn task_handle(task: &DeletionTask) -> String {
    format!("task/aws-service-role/{}/{}/{}", task.principal, task.role_name, task.id)
}

fn status(status: KeyStatus) -> &'static str {
    match status {
        KeyStatus::Active => "Active",
        KeyStatus::Inactive => "Inactive",
    }
}

/// A report is done as soon as it is asked for.
fn report_head(x: &mut Xml, at_s: u32) {
    let at = iso_millis(i64::from(at_s) * 1_000);
    x.text("JobStatus", "COMPLETED");
    x.text("JobCreationDate", &at);
    x.text("JobCompletionDate", &at);
}

fn service_access(x: &mut Xml, item: &ServiceAccess, with_actions: bool) {
    x.text("ServiceName", &item.display_name);
    if let Some((entity, seen)) = &item.last {
        x.text("LastAuthenticated", &iso_millis(seen.at_ms));
        x.text("LastAuthenticatedEntity", entity);
        x.some("LastAuthenticatedRegion", Some(seen.region.as_str()).filter(|r| !r.is_empty()));
    }
    x.text("ServiceNamespace", item.service.as_str());
    x.text("TotalAuthenticatedEntities", &item.entities.to_string());
    if with_actions && !item.actions.is_empty() {
        let actions: Vec<_> = item.actions.iter().collect();
        x.list("TrackedActionsLastAccessed", &actions, |x, (action, (entity, seen))| {
            x.text("ActionName", action.as_str());
            x.text("LastAccessedEntity", entity);
            x.text("LastAccessedTime", &iso_millis(seen.at_ms));
            x.some("LastAccessedRegion", Some(seen.region.as_str()).filter(|r| !r.is_empty()));
        });
    }
}

fn granting(x: &mut Xml, policy: &Granting) {
    x.text("PolicyName", &policy.policy);
    match &policy.by {
        GrantedBy::Managed { arn } => {
            x.text("PolicyType", "MANAGED");
            x.text("PolicyArn", arn);
        }
        GrantedBy::Inline { kind, name } => {
            let kind = match kind {
                OwnerKind::User => "USER",
                OwnerKind::Group => "GROUP",
                OwnerKind::Role => "ROLE",
            };
            x.text("PolicyType", "INLINE");
            x.text("EntityType", kind);
            x.text("EntityName", name);
        }
    }
}

fn paging(x: &mut Xml, next: Option<&str>) {
    x.text("IsTruncated", if next.is_some() { "true" } else { "false" });
    x.some("Marker", next);
}

/// The dialect that an account must have to be spoken to on this wire.
pub const HOME: Dialect = Dialect::Aws;
