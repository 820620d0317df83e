//! What a caller gets: one variant of [`Output`] per shape of answer, typed.
//!
//! Every dialect encodes from here. Not here: XML, JSON, or what a dialect calls a field.

use crate::rows::*;
use crate::state::EntityRef;
use crate::text::*;
use policy::Decision;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A role as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleView {
    /// The stored role.
    pub role: Arc<Role>,
    /// Its ARN.
    pub arn: String,
    /// Its trust.
    pub trust: TrustView,
    /// The ARN of its boundary.
    pub boundary: Option<String>,
    /// When and where it was last used.
    pub last_use: Option<Arc<LastUse>>,
    /// The version of its template's permissions that counts for a service-linked role.
    pub template_version: Option<u32>,
    /// The newest deletion task of a service-linked role.
    pub deletion: Option<Arc<DeletionTask>>,
}

/// A role's trust as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum TrustView {
    /// The account's own document; deleted principals stand as their unique ids.
    Own(String),
    /// Only this linked service.
    Linked(ServiceName),
}

/// A user as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct UserView {
    /// The stored user; `None` stands for root.
    pub user: Option<Arc<User>>,
    /// The account.
    pub account: AccountId,
    /// The ARN.
    pub arn: String,
    /// The ARN of its boundary.
    pub boundary: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

/// A group as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupView {
    /// Its ARN.
    pub arn: String,
    /// Its unique id.
    pub id: GroupId,
    /// Its name.
    pub name: GroupName,
    /// Its path.
    pub path: Path,
    /// What a person wrote about it.
    pub comments: Option<Note>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970; 0 if never.
    pub updated_ms: i64,
    /// When the user who is asked about came into it, in milliseconds since 1970.
    pub joined_ms: i64,
}

/// A managed policy as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyView {
    /// Its ARN.
    pub arn: String,
    /// Its unique id.
    pub id: String,
    /// Its name.
    pub name: PolicyName,
    /// Its path.
    pub path: Path,
    /// What a person wrote about it.
    pub description: Option<Description>,
    /// Its tags.
    pub tags: Tags,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_ms: i64,
    /// The version in force.
    pub default_version: u32,
    /// Users and roles it is attached to.
    pub attachments: usize,
    /// Users and roles it bounds.
    pub boundaries: usize,
    /// Whether it can be attached to an ordinary role or user.
    pub attachable: bool,
    /// Whether it is linkrole's own.
    pub is_system: bool,
    /// The version in force, where one policy is looked at.
    pub default: Option<VersionView>,
}

/// An attached managed policy as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct AttachedView {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: PolicyName,
    /// Its path.
    pub path: Path,
    /// Whether it is linkrole's own.
    pub is_system: bool,
    /// What a person wrote about it.
    pub description: Option<Description>,
    /// The version in force.
    pub default_version: u32,
    /// When it was attached, in milliseconds since 1970.
    pub attached_ms: i64,
}

/// What a managed policy is attached to, or bounds, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// What it is.
    pub entity: crate::state::EntityRef,
    /// Its name.
    pub name: String,
    /// Its unique id.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// What a person wrote about it: of a user its name to show, of a role its description.
    pub note: String,
    /// When the policy was attached, in milliseconds since 1970; 0 if it bounds.
    pub attached_ms: i64,
}

/// One version of a managed policy as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionView {
    /// Its number.
    pub number: u32,
    /// Its text.
    pub document: String,
    /// Whether it is in force.
    pub is_default: bool,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

/// Temporary credentials.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The key's id.
    pub key: KeyId,
    /// Its secret.
    pub secret: crate::seal::Secret,
    /// The session token.
    pub token: String,
    /// When they end, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// An attachment as it is listed.
#[derive(Clone, Debug, PartialEq)]
pub struct AttachmentView {
    /// Who has the policy.
    pub entity: EntityRef,
    /// The holder's name as it is written.
    pub holder: String,
    /// The policy.
    pub policy: AttachedView,
}

/// A tag as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagView {
    /// The name of what bears it.
    pub bearer: String,
    /// The unique id of what bears it.
    pub id: String,
    /// Its key.
    pub key: TagKey,
    /// Its value.
    pub value: TagValue,
}

/// A page and the marker of the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The sealed marker of the next page, if there is one.
    pub next: Option<String>,
    /// How many items there are on all pages, where pages are counted.
    pub total: Option<usize>,
}

/// What stands between a service-linked role and its end.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanView {
    /// The role.
    pub role: RoleView,
    /// Registered uses by region, as many as are shown.
    pub usages: BTreeMap<Region, Vec<ResourceName>>,
    /// How many uses there are in all.
    pub count: usize,
    /// Until when a session of the role may live, in milliseconds since 1970; `None` if none does.
    pub sessions_until_ms: Option<i64>,
    /// The task that runs already.
    pub open: Option<TaskId>,
}

/// The state of a deletion task as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskView {
    /// The task.
    pub task: Arc<DeletionTask>,
    /// The role's ARN.
    pub role_arn: String,
}

/// A caller as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct CallerView {
    /// Its ARN, or the name of the service.
    pub arn: String,
    /// Its unique id.
    pub id: String,
    /// Its account; a linked service has none.
    pub account: Option<AccountId>,
    /// Its class: root, user, role session or service.
    pub kind: &'static str,
}

/// A service-linked role that could be made.
#[derive(Clone, Debug)]
pub struct PreviewView {
    /// The name it would have.
    pub arn: String,
    /// Whether it is there already.
    pub exists: bool,
    /// The account's dialect.
    pub dialect: policy::Dialect,
    /// The service.
    pub service: Arc<Service>,
    /// The template that would give it trust and permissions.
    pub template: Template,
    /// The most that it could do here, if the account sets a bound.
    pub ceiling: Option<PermissionsPolicy>,
    /// What the account demands.
    pub terms: ServiceTerms,
}

/// A service, with whether it runs here; of those known from facts none does.
#[derive(Clone, Debug)]
pub struct CatalogEntry {
    /// The service.
    pub service: Arc<Service>,
    /// Whether it has keys, so that its manifest says what it may do.
    pub runs_here: bool,
}

/// What a manifest changes in a registered service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceChange {
    /// The service.
    pub service: ServiceName,
    /// What changes of the service itself.
    pub settings: Vec<SettingChange>,
    /// What changes of its roles.
    pub roles: Vec<RoleChange>,
    /// What changes of the policies that it offers to its customers.
    pub policies: Vec<PolicyChange>,
}

/// What changes of a policy that a service offers to its customers.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyChange {
    /// Its name.
    pub name: PolicyName,
    /// Settings that change.
    pub settings: Vec<SettingChange>,
    /// Permissions that change.
    pub permissions: Vec<PermissionChange>,
    /// How many users, groups and roles have it attached or as their boundary.
    pub attached: usize,
}

/// One setting, as manifests write it; empty where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingChange {
    /// Its name.
    pub name: String,
    /// What it is.
    pub before: String,
    /// What it becomes.
    pub after: String,
}

/// What changes of a role that a service defines.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleChange {
    /// The role's principal.
    pub principal: ServiceName,
    /// Settings that change.
    pub settings: Vec<SettingChange>,
    /// Permissions that change.
    pub permissions: Vec<PermissionChange>,
    /// The version of its permissions; none for a new role.
    pub version_before: Option<u32>,
    /// The version that it gets; none for a role that goes.
    pub version_after: Option<u32>,
    /// How many existing roles get the new version at once.
    pub at_once: usize,
    /// How many get it when their accounts' administrators accept it.
    pub held: usize,
}

/// What changes of a role's permissions in one language.
#[derive(Clone, Debug, PartialEq)]
pub struct PermissionChange {
    /// The language.
    pub dialect: policy::Dialect,
    /// Statements that come.
    pub added: Vec<serde_json::Value>,
    /// Statements that go.
    pub removed: Vec<serde_json::Value>,
}

/// A principal that a report tells of.
#[derive(Clone, Debug, PartialEq)]
pub struct Who {
    /// Its ARN.
    pub arn: String,
    /// Its unique id.
    pub id: PrincipalId,
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: Path,
    /// Whether it is a role, and not a user.
    pub is_role: bool,
}

/// What a report tells of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceAccess {
    /// The service.
    pub service: Namespace,
    /// Its name for people.
    pub display_name: String,
    /// How many principals tried.
    pub entities: usize,
    /// Who tried last, by ARN, and when and where.
    pub last: Option<(String, Seen)>,
    /// The same for each action that was tried.
    pub actions: BTreeMap<ActionName, (String, Seen)>,
}

/// A report of the access advisor.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportView {
    /// Whether it tells of actions.
    pub with_actions: bool,
    /// When it was asked for, in seconds since 1970.
    pub at_s: u32,
    /// The services.
    pub services: Page<ServiceAccess>,
}

/// Whose a policy is that stands in its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum OwnerKind {
    User,
    Group,
    Role,
}

/// How a policy grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantedBy {
    /// As a managed policy.
    Managed {
        /// Its ARN.
        arn: String,
    },
    /// As an inline policy.
    Inline {
        /// What it stands in.
        kind: OwnerKind,
        /// The name of that.
        name: String,
    },
}

/// A policy that grants a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granting {
    /// Its name.
    pub policy: String,
    /// How it grants.
    pub by: GrantedBy,
}

/// All that is known of what one principal or key used.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessView {
    /// Its ARN, or the key's id.
    pub name: String,
    /// Its last use; of roles and keys.
    pub last: Option<Arc<LastUse>>,
    /// Its sessions; of principals.
    pub sessions: Option<Arc<Sessions>>,
    /// The services it tried; of principals.
    pub services: Vec<Arc<Access>>,
}

/// What a caller gets.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is named for what it carries")]
pub enum Output {
    Done,
    Role(RoleView),
    Roles(Page<RoleView>),
    User(UserView),
    Users(Page<UserView>),
    Group(GroupView),
    Groups(Page<GroupView>),
    Members {
        group: GroupView,
        users: Page<(UserView, i64)>,
    },
    Templates(Vec<(Arc<Service>, Template)>),
    Policy(PolicyView),
    Policies(Page<PolicyView>),
    Version(VersionView),
    Versions(Page<VersionView>),
    Inline {
        owner: String,
        name: PolicyName,
        document: String,
    },
    Names(Page<PolicyName>),
    Attached(Page<AttachedView>),
    Attachments(Page<AttachmentView>),
    Referrers(Page<Referrer>),
    Tags(Page<TagView>),
    Alias(Option<AccountAlias>),
    Plan(Box<PlanView>),
    Preview(Box<PreviewView>),
    Terms(ServiceTerms),
    ServiceChange(Box<ServiceChange>),
    Diagnosis(String),
    OidcProvider {
        arn: String,
        provider: Arc<OidcProvider>,
    },
    OidcProviders(Page<(String, Arc<OidcProvider>)>),
    NoProfiles,
    Key {
        key: Arc<AccessKey>,
        user: Option<UserName>,
        secret: crate::seal::Secret,
    },
    Keys {
        user: Option<UserName>,
        keys: Page<Arc<AccessKey>>,
    },
    KeyUse {
        user: Option<UserName>,
        last: Option<Arc<LastUse>>,
    },
    AccessJob(String),
    AccessReport(Box<ReportView>),
    AccessEntities {
        at_s: u32,
        entities: Page<(Who, Option<i64>)>,
    },
    GrantingPolicies(Vec<(Namespace, Vec<Granting>)>),
    Access(Box<AccessView>),
    Task(TaskView),
    Session {
        credentials: Credentials,
        assumed: Option<CallerView>,
        packed_percent: Option<usize>,
        source_identity: Option<SourceIdentity>,
    },
    Caller(CallerView),
    KeyAccount(AccountId),
    Ensured {
        role: RoleView,
        created: bool,
    },
    Authorized {
        decision: Decision,
        ensure: Vec<ServiceName>,
        caller: CallerView,
        account_dialect: policy::Dialect,
        message: Option<String>,
    },
    Usage {
        role: RoleView,
        version: u64,
        changed: bool,
        ended_deletion: Option<TaskId>,
        began_deletion: Option<TaskId>,
    },
    UsageList {
        role: RoleView,
        usages: Vec<(Region, ResourceName)>,
        versions: Vec<(Region, u64)>,
        last_session_end_ms: i64,
    },
    Released {
        role: RoleView,
        not_before_ms: i64,
    },
    Enrolment {
        service: ServiceName,
        token: crate::seal::Secret,
        expires_ms: i64,
    },
    Registered {
        service: Arc<Service>,
        key: Arc<AccessKey>,
        secret: crate::seal::Secret,
    },
    Services(Vec<Arc<Service>>),
    Service(Arc<Service>),
    Catalog {
        entries: Vec<CatalogEntry>,
        next: Option<ServiceName>,
    },
    Account {
        account: Arc<Account>,
        key: Arc<AccessKey>,
        secret: crate::seal::Secret,
    },
    Accounts(Vec<Arc<Account>>),
    Trail {
        account: Option<AccountId>,
    },
    Step {
        task: Arc<DeletionTask>,
    },
    Swept {
        tasks: usize,
    },
}
