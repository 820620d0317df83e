//! One representative call for every operation, on a world in which it makes sense.

use crate::asked::*;
use crate::common::*;
use crate::proved::*;
use iam::access::Noted;
use iam::callback::{self, Answer};
use iam::caller::Caller;
use iam::command::*;
use iam::deletion;
use iam::operations::Operation;
use iam::output::*;
use iam::rows::*;
use iam::state::Link;
use iam::text::*;
use std::collections::{BTreeMap, BTreeSet};

/// A world with something of everything.
#[derive(Clone)]
pub struct Fixture {
    pub world: World,
    pub people: People,
    pub inactive: Caller,
    pub role_session: Caller,
    pub linked_session: Caller,
    pub service_session: Caller,
    /// The key of the user `keyed`.
    key: KeyId,
    /// A task that waits for a worker.
    task: TaskId,
    /// The one-time token of the service `new.example.com`.
    token: String,
    notice: Notice,
    /// A report that root asked for.
    report: String,
}

fn reported() -> ReportTarget {
    ReportTarget {
        text: format!("arn:aws:iam::{A}:user/granted"),
        account: t(A),
        of: ReportOf::User(t("granted")),
    }
}

impl Fixture {
    pub fn new() -> Self {
        let (mut world, people) = World::peopled(11);
        let root = people.root.clone();
        for name in ["spare", "granted"] {
            let create = Command::CreateUser {
                user: t(name),
                path: t("/"),
                boundary: None,
                tags: Vec::new(),
                profile: Default::default(),
            };
            world.ok(&root, create);
        }
        let Caller::Key(key) = world.user(&root, "keyed") else { panic!("no key") };
        let inactive = world.user(&root, "asleep");
        if let Caller::Key(id) = &inactive {
            let command = Command::UpdateAccessKey {
                user: Some(t("asleep")),
                key: id.clone(),
                status: KeyStatus::Inactive,
            };
            world.ok(&root, command);
        }
        world.put_user_policy(&root, "granted", allow("storage:Get*", "*"));
        let read_only = system_policy("IAMReadOnlyAccess");
        world.ok(&root, Command::AttachUserPolicy { user: t("granted"), policy: read_only });
        for name in ["crew", "empty"] {
            let create = Command::CreateGroup { group: t(name), path: t("/"), comments: None };
            world.ok(&root, create);
        }
        let read = system_policy("IAMReadOnlyAccess");
        for command in [
            Command::AddUserToGroup { group: t("crew"), user: t("granted") },
            Command::AttachGroupPolicy { group: t("crew"), policy: read },
            Command::PutGroupPolicy {
                group: t("crew"),
                name: t("own"),
                document: allow("storage:Get*", "*"),
            },
        ] {
            world.ok(&root, command);
        }
        world.ok(&root, create_provider("idp", "https://id.example.com"));
        for name in ["attached", "bound", "lonely", "versions"] {
            world.ok(&root, create_policy(name));
        }
        let second = Command::CreatePolicyVersion {
            policy: customer_policy(A, "versions"),
            document: allow("storage:*", "*"),
            set_default: false,
            rotate: false,
        };
        world.ok(&root, second);
        for name in ["plain", "spare-role", "rich"] {
            world.role(&root, name, trust_account(A));
        }
        let rich: RoleName = t("rich");
        for command in [
            Command::PutRolePolicy {
                role: rich.clone(),
                name: t("inline"),
                document: allow("storage:Get*", "*"),
            },
            Command::AttachRolePolicy {
                role: rich.clone(),
                policy: customer_policy(A, "attached"),
            },
            Command::PutRolePermissionsBoundary { role: rich, policy: customer_policy(A, "bound") },
        ] {
            world.ok(&root, command);
        }
        let plain = format!("arn:aws:iam::{A}:role/plain");
        let role_session = world.assume(&people.admin, assume(&plain)).unwrap();
        world.linked(&root, BACKUP);
        let arn = linked_arn(A, BACKUP, BACKUP_ROLE);
        let linked_session = world.assume(&people.backup, assume(&arn)).unwrap();
        let output = world.ok(&Caller::Workload(backup_workload().into()), open_session(BACKUP));
        let service_session = world.session(output);
        world.ok(&people.backup, register(A, BACKUP_ROLE, "vault-1"));
        world.linked(&root, VAULT);
        let task = world.submit(&root, VAULT_ROLE);
        let fact = template("fact.example.com", "ExampleFact", SuffixRule::Refused);
        let fact = Service {
            name: t("fact.example.com"),
            display_name: "Fact".into(),
            signing_names: BTreeSet::new(),
            hosts: BTreeSet::new(),
            regions: BTreeSet::new(),
            templates: BTreeMap::from([(t("fact.example.com"), fact)]),
            policies: BTreeMap::new(),
            forward: Documents::default(),
            usage: UsageSource::Sessions,
            callback: None,
            identity: None,
            created_ms: 0,
        };
        world.ok(&Caller::System, Command::StockServices { services: Box::new(vec![fact]) });
        world.service(manifest("idle.example.com", "idle", Vec::new()));
        // A fence that was lifted, of which its service is to hear.
        let fenced = fencing("fence.example.com", "ExampleFence", UsageSource::Registry);
        world.service(fenced);
        world.linked(&root, "fence.example.com");
        let lifted = world.submit(&root, "AWSServiceRoleForExampleFence");
        while let Some(mut step) = deletion::next_step(&world.task(&lifted), world.now_ms) {
            if step.step == Step::Check {
                let question = callback::inquiry(&world.state, &step).unwrap();
                step.answers = vec![Answer { region: None, reply: Ok(unused(&question)) }];
            }
            world.ok(&Caller::System, Command::StepDeletion(step));
        }
        let notice = world.state.notices().next().cloned().unwrap();
        let policy = allow("storage:*", "*").text().to_owned();
        world.ok(&root, Command::PutServiceCeiling { principal: t(VAULT), policy });
        let enrol = Command::EnrolService { service: t("new.example.com"), callback: None };
        let Output::Enrolment { token, .. } = world.ok(&Caller::Operator, enrol) else {
            panic!("no token")
        };
        let token = token.expose().to_owned();
        let report =
            Command::GenerateServiceLastAccessedDetails { of: reported(), with_actions: true };
        let Output::AccessJob(report) = world.ok(&root, report) else { panic!("no report") };
        Self {
            world,
            people,
            inactive,
            role_session,
            linked_session,
            service_session,
            report,
            key,
            task,
            token,
            notice: (*notice).clone(),
        }
    }
}

fn create_provider(name: &str, issuer: &str) -> Command {
    Command::CreateOpenIDConnectProvider(Box::new(NewOidcProvider {
        name: t(name),
        issuer: t(issuer),
        client_ids: vec![t("client")],
        fingerprints: vec![t(&"0".repeat(40))],
        issuance_limit_h: None,
        description: None,
    }))
}

fn create_policy(name: &str) -> Command {
    Command::CreatePolicy {
        name: t(name),
        path: t("/"),
        document: allow("storage:Get*", "*"),
        description: None,
        tags: Vec::new(),
    }
}

/// A call of this operation.
pub fn sample(fixture: &Fixture, operation: Operation) -> Command {
    use Command as C;
    use Operation as O;
    let plain = || t::<RoleName>("plain");
    let rich = || t::<RoleName>("rich");
    let granted = || t::<UserName>("granted");
    let paging = no_paging;
    let tags = || vec![(t::<TagKey>("team"), t::<TagValue>("blue"))];
    let own_role = || target(A, BACKUP_ROLE);
    let read_only = || system_policy("IAMReadOnlyAccess");
    let crew = || -> GroupName { t("crew") };
    let versions = || customer_policy(A, "versions");
    let idp = || t::<ProviderName>("idp");
    let on_role = || Tagged::Roles(vec![plain()]);
    let on_user = || Tagged::Users(vec![granted()]);
    let on_policy = || Tagged::Policies(vec![versions()]);
    match operation {
        O::CreateServiceLinkedRole => create_linked(OTHER, None),
        O::DeleteServiceLinkedRole => C::DeleteServiceLinkedRole { role: t(BACKUP_ROLE) },
        O::GetServiceLinkedRoleDeletionStatus => C::GetServiceLinkedRoleDeletionStatus {
            task: fixture.task.clone(),
            principal: VAULT.into(),
            role: VAULT_ROLE.into(),
        },
        O::GetServiceLinkedRoleTemplate => {
            C::GetServiceLinkedRoleTemplate { principal: Some(BACKUP.into()) }
        }
        O::PlanServiceLinkedRoleDeletion => {
            C::PlanServiceLinkedRoleDeletion { role: t(BACKUP_ROLE) }
        }
        O::PreviewServiceLinkedRole => {
            C::PreviewServiceLinkedRole { principal: BACKUP.into(), suffix: None }
        }
        O::AcceptServiceUpdate => C::AcceptServiceUpdate { role: t(BACKUP_ROLE) },
        O::IntroduceServiceLinkedRole => {
            C::IntroduceServiceLinkedRole { account: t(A), principal: BACKUP.into() }
        }
        O::ForwardAccess => C::ForwardAccess,
        O::GetServiceTerms => C::GetServiceTerms,
        O::UpdateServiceTerms => C::UpdateServiceTerms(TermsChange {
            holds_updates: Some(true),
            requires_consent: Some(true),
        }),
        O::PutServiceCeiling => C::PutServiceCeiling {
            principal: t(BACKUP),
            policy: allow("storage:Get*", "*").text().to_owned(),
        },
        O::DeleteServiceCeiling => C::DeleteServiceCeiling { principal: t(VAULT) },
        O::CreateRole => create_role("new", "/", trust_account(A)),
        O::GetRole => C::GetRole { role: plain() },
        O::ListRoles => C::ListRoles { prefix: "/".into(), with: Vec::new(), paging: paging() },
        O::UpdateRole => C::UpdateRole {
            role: plain(),
            description: None,
            max_session_s: Some(7_200),
            trust: None,
        },
        O::UpdateRoleDescription => {
            C::UpdateRoleDescription { role: plain(), description: t("other") }
        }
        O::UpdateAssumeRolePolicy => {
            C::UpdateAssumeRolePolicy { role: plain(), trust: trust_account(B) }
        }
        O::DeleteRole => C::DeleteRole { role: t("spare-role") },
        O::TagRole => C::Tag { on: on_role(), tags: tags() },
        O::TagUser => C::Tag { on: on_user(), tags: tags() },
        O::TagPolicy => C::Tag { on: on_policy(), tags: tags() },
        O::UntagRole => C::Untag { on: on_role(), keys: vec![t("team")], all: false },
        O::UntagUser => C::Untag { on: on_user(), keys: vec![t("team")], all: false },
        O::UntagPolicy => C::Untag { on: on_policy(), keys: vec![t("team")], all: false },
        O::ListRoleTags => C::ListTags { on: on_role(), with: Vec::new(), paging: paging() },
        O::ListUserTags => C::ListTags { on: on_user(), with: Vec::new(), paging: paging() },
        O::ListPolicyTags => C::ListTags { on: on_policy(), with: Vec::new(), paging: paging() },
        O::PutRolePolicy => {
            C::PutRolePolicy { role: plain(), name: t("new"), document: allow("storage:Get*", "*") }
        }
        O::GetRolePolicy => C::GetRolePolicy { role: rich(), name: t("inline") },
        O::ListRolePolicies => C::ListRolePolicies { role: rich(), paging: paging() },
        O::DeleteRolePolicy => C::DeleteRolePolicy { role: rich(), name: t("inline") },
        O::AttachRolePolicy => C::AttachRolePolicy { role: plain(), policy: read_only() },
        O::DetachRolePolicy => {
            C::DetachRolePolicy { role: rich(), policy: customer_policy(A, "attached") }
        }
        O::ListAttachedRolePolicies => {
            C::ListAttachedRolePolicies { role: rich(), prefix: "/".into(), paging: paging() }
        }
        O::PutRolePermissionsBoundary => {
            C::PutRolePermissionsBoundary { role: plain(), policy: customer_policy(A, "bound") }
        }
        O::DeleteRolePermissionsBoundary => C::DeleteRolePermissionsBoundary { role: rich() },
        O::ListInstanceProfilesForRole => {
            C::ListInstanceProfilesForRole { role: plain(), paging: paging() }
        }
        O::AddRoleToInstanceProfile => {
            C::AddRoleToInstanceProfile { profile: "p".into(), role: plain() }
        }
        O::RemoveRoleFromInstanceProfile => {
            C::RemoveRoleFromInstanceProfile { profile: "p".into(), role: plain() }
        }
        O::CreateUser => C::CreateUser {
            user: t("new"),
            path: t("/"),
            boundary: None,
            tags: tags(),
            profile: Default::default(),
        },
        O::GetUser => C::GetUser { user: Some(granted()) },
        O::ListUsers => C::ListUsers { prefix: "/".into(), paging: paging() },
        O::UpdateUser => C::UpdateUser {
            user: t("spare"),
            new_name: Some(t("spared")),
            new_path: None,
            profile: Default::default(),
        },
        O::DeleteUser => C::DeleteUser { user: t("spare") },
        O::PutUserPolicy => C::PutUserPolicy {
            user: granted(),
            name: t("new"),
            document: allow("storage:Get*", "*"),
        },
        O::GetUserPolicy => C::GetUserPolicy { user: granted(), name: t("inline") },
        O::ListUserPolicies => C::ListUserPolicies { user: granted(), paging: paging() },
        O::DeleteUserPolicy => C::DeleteUserPolicy { user: granted(), name: t("inline") },
        O::AttachUserPolicy => C::AttachUserPolicy { user: t("spare"), policy: read_only() },
        O::DetachUserPolicy => C::DetachUserPolicy { user: granted(), policy: read_only() },
        O::ListAttachedUserPolicies => {
            C::ListAttachedUserPolicies { user: granted(), prefix: "/".into(), paging: paging() }
        }
        O::CreateGroup => C::CreateGroup { group: t("new"), path: t("/"), comments: None },
        O::GetGroup => C::GetGroup { group: crew(), paging: paging() },
        O::ListUsersForGroup => C::ListUsersForGroup { group: crew(), paging: paging() },
        O::ListGroups => C::ListGroups { prefix: "/".into(), paging: paging() },
        O::UpdateGroup => C::UpdateGroup {
            group: crew(),
            new_name: Some(t("crew-2")),
            new_path: None,
            comments: None,
        },
        O::DeleteGroup => C::DeleteGroup { group: t("empty") },
        O::AddUserToGroup => C::AddUserToGroup { group: t("empty"), user: t("spare") },
        O::RemoveUserFromGroup => C::RemoveUserFromGroup { group: crew(), user: granted() },
        O::ListGroupsForUser => C::ListGroupsForUser { user: granted(), paging: paging() },
        O::AttachGroupPolicy => C::AttachGroupPolicy { group: t("empty"), policy: read_only() },
        O::DetachGroupPolicy => C::DetachGroupPolicy { group: crew(), policy: read_only() },
        O::ListAttachedGroupPolicies => {
            C::ListAttachedGroupPolicies { group: crew(), prefix: "/".into(), paging: paging() }
        }
        O::PutGroupPolicy => C::PutGroupPolicy {
            group: crew(),
            name: t("other"),
            document: allow("storage:Get*", "*"),
        },
        O::GetGroupPolicy => C::GetGroupPolicy { group: crew(), name: t("own") },
        O::ListGroupPolicies => C::ListGroupPolicies { group: crew(), paging: paging() },
        O::DeleteGroupPolicy => C::DeleteGroupPolicy { group: crew(), name: t("own") },
        O::CreateAccessKey => C::CreateAccessKey { user: Some(granted()) },
        O::ListAccessKeys => C::ListAccessKeys { user: Some(granted()), paging: paging() },
        O::UpdateAccessKey => C::UpdateAccessKey {
            user: Some(t("keyed")),
            key: fixture.key.clone(),
            status: KeyStatus::Inactive,
        },
        O::DeleteAccessKey => {
            C::DeleteAccessKey { user: Some(t("keyed")), key: fixture.key.clone() }
        }
        O::GetAccessKeyLastUsed => C::GetAccessKeyLastUsed { key: fixture.key.clone() },
        O::CreatePolicy => create_policy("new"),
        O::UpdatePolicyDescription => {
            C::UpdatePolicyDescription { policy: versions(), description: t("two versions") }
        }
        O::GetPolicy => C::GetPolicy { policy: versions() },
        O::GetPolicyVersion => C::GetPolicyVersion { policy: versions(), version: 2 },
        O::ListPolicies => C::ListPolicies {
            scope: PolicyScope::All,
            attached_only: false,
            prefix: "/".into(),
            with: Vec::new(),
            paging: paging(),
        },
        O::ListPolicyVersions => C::ListPolicyVersions { policy: versions(), paging: paging() },
        O::CreatePolicyVersion => C::CreatePolicyVersion {
            policy: versions(),
            document: allow("storage:Put*", "*"),
            set_default: true,
            rotate: false,
        },
        O::SetDefaultPolicyVersion => C::SetDefaultPolicyVersion { policy: versions(), version: 2 },
        O::DeletePolicyVersion => C::DeletePolicyVersion { policy: versions(), version: 2 },
        O::DeletePolicy => C::DeletePolicy { policy: customer_policy(A, "lonely"), cascade: false },
        O::ListPolicyAttachments => {
            C::ListPolicyAttachments { wanted: Default::default(), paging: paging() }
        }
        O::ListEntitiesForPolicy => C::ListEntitiesForPolicy {
            policy: customer_policy(A, "attached"),
            filter: EntityFilter::All,
            usage: Some(Link::Attached),
            prefix: "/".into(),
            paging: paging(),
        },
        O::AssumeRole => C::AssumeRole(Box::new(assume(&format!("arn:aws:iam::{A}:role/plain")))),
        O::DecodeDiagnosticMessage => {
            let place = iam::authorize::diagnosis_place(&t(A)).map(str::to_owned);
            let place = [place[0].as_str(), place[1].as_str()];
            C::DecodeDiagnosticMessage { message: fixture.world.keyring.seal_marker("{}", &place) }
        }
        O::CreateAccountAlias => C::CreateAccountAlias { alias: t("example") },
        O::DeleteAccountAlias => C::DeleteAccountAlias { alias: None },
        O::ListAccountAliases => C::ListAccountAliases,
        O::CreateOpenIDConnectProvider => create_provider("new", "https://new.example.com"),
        O::GetOpenIDConnectProvider => C::GetOpenIDConnectProvider { provider: idp() },
        O::ListOpenIDConnectProviders => C::ListOpenIDConnectProviders { paging: paging() },
        O::UpdateOIDCProvider => C::UpdateOIDCProvider {
            provider: idp(),
            client_ids: None,
            issuance_limit_h: Some(2),
            description: None,
        },
        O::DeleteOpenIDConnectProvider => C::DeleteOpenIDConnectProvider { provider: idp() },
        O::AddClientIDToOpenIDConnectProvider => {
            C::AddClientIDToOpenIDConnectProvider { provider: idp(), client: t("other") }
        }
        O::RemoveClientIDFromOpenIDConnectProvider => {
            C::RemoveClientIDFromOpenIDConnectProvider { provider: idp(), client: t("client") }
        }
        O::AddFingerprintToOIDCProvider => {
            C::AddFingerprintToOIDCProvider { provider: idp(), fingerprint: t(&"1".repeat(40)) }
        }
        O::RemoveFingerprintFromOIDCProvider => C::RemoveFingerprintFromOIDCProvider {
            provider: idp(),
            fingerprint: t(&"0".repeat(40)),
        },
        O::GetCallerIdentity => C::GetCallerIdentity,
        O::ConsoleLogin => C::ConsoleLogin,
        O::GetSessionToken => C::GetSessionToken { duration_s: Some(900) },
        O::GetAccessKeyInfo => C::GetAccessKeyInfo { key: fixture.key.clone() },
        O::LookupEvents => C::LookupEvents,
        O::EnsureServiceLinkedRole => {
            C::EnsureServiceLinkedRole { principal: VAULT.into(), suffix: Some(t("second")) }
        }
        O::AuthorizeRequest => C::AuthorizeRequest(Box::new(Question {
            action: "backup:StartBackup".into(),
            resource: Some(format!("arn:aws:backup:north-1:{A}:vault/1")),
            account: None,
            context: BTreeMap::new(),
        })),
        O::RegisterUsage => register(A, BACKUP_ROLE, "vault-2"),
        O::DeregisterUsage => deregister(A, BACKUP_ROLE, "vault-1"),
        O::ReconcileUsage => C::ReconcileUsage {
            target: own_role(),
            region: t("north-1"),
            after_version: 1,
            resources: BTreeSet::from([t("vault-1")]),
        },
        O::ListUsage => C::ListUsage { target: own_role() },
        O::RetireServiceLinkedRole => C::RetireServiceLinkedRole { target: own_role() },
        O::ReleaseSessions => C::ReleaseSessions { target: own_role() },
        O::CreateServiceSession => open_session(BACKUP),
        O::EnrolService => C::EnrolService { service: t("next.example.com"), callback: None },
        O::RegisterService => C::RegisterService {
            token: Some(fixture.token.clone()),
            manifest: Box::new(manifest("new.example.com", "new", Vec::new())),
        },
        O::StockServices => C::StockServices { services: Box::new(Vec::new()) },
        O::DiffService => {
            C::DiffService { manifest: Box::new(manifest(OTHER, "other", Vec::new())) }
        }
        O::UpdateService => {
            let roles = vec![template(OTHER, "ExampleOther", SuffixRule::Optional)];
            C::UpdateService { manifest: Box::new(manifest(OTHER, "other", roles)) }
        }
        O::ForceDeleteServiceLinkedRole => {
            C::ForceDeleteServiceLinkedRole { account: t(A), role: t(BACKUP_ROLE), confirm: None }
        }
        O::ImportServicePolicy => C::ImportServicePolicy(Box::new(ImportedPolicy {
            policy: t("ExampleFactServiceRolePolicy"),
            document: allow("storage:*", "*"),
            source: t("a test"),
            dry_run: false,
        })),
        O::CreateServiceKey => C::CreateServiceKey { service: t(OTHER), revoke: true },
        O::RemoveService => C::RemoveService { service: t("idle.example.com") },
        O::ExportCatalog => C::ExportCatalog { after: None },
        O::ListServices => C::ListServices,
        O::GetService => C::GetService { service: BACKUP.into() },
        O::CreateAccount => {
            C::CreateAccount { id: None, dialect: policy::Dialect::Aws, role_quota: None }
        }
        O::ListAccounts => C::ListAccounts,
        O::ReadTrail => C::ReadTrail,
        O::StepDeletion => C::StepDeletion(DeletionStep {
            task: fixture.task.clone(),
            attempt: 0,
            epoch: None,
            step: Step::Claim,
            answers: Vec::new(),
        }),
        O::SettleNotice => C::SettleNotice(fixture.notice.clone()),
        O::GenerateServiceLastAccessedDetails => {
            C::GenerateServiceLastAccessedDetails { of: reported(), with_actions: true }
        }
        O::GetServiceLastAccessedDetails => {
            C::GetServiceLastAccessedDetails { job: fixture.report.clone(), paging: no_paging() }
        }
        O::GetServiceLastAccessedDetailsWithEntities => {
            C::GetServiceLastAccessedDetailsWithEntities {
                job: fixture.report.clone(),
                service: t("storage"),
                paging: no_paging(),
            }
        }
        O::ListPoliciesGrantingServiceAccess => {
            C::ListPoliciesGrantingServiceAccess { of: reported(), services: vec![t("storage")] }
        }
        O::GetAccess => C::GetAccess { of: AccessOf::User(t("granted")) },
        O::RecordUse => {
            let mut noted = Noted::default();
            fixture.world.events.iter().for_each(|event| noted.note(event));
            C::RecordUse { noted: Box::new(noted), part: iam::access::Part::WHOLE }
        }
        O::Sweep => C::Sweep,
    }
}

/// A call that would alter trust, permissions, duration or existence of the service-linked role;
/// `None` for operations that alter none of these.
pub fn on_linked_role(fixture: &Fixture, operation: Operation) -> Option<Command> {
    let linked: RoleName = t(BACKUP_ROLE);
    let mut command = sample(fixture, operation);
    match &mut command {
        Command::UpdateRole { role, .. }
        | Command::UpdateAssumeRolePolicy { role, .. }
        | Command::DeleteRole { role }
        | Command::PutRolePolicy { role, .. }
        | Command::DeleteRolePolicy { role, .. }
        | Command::AttachRolePolicy { role, .. }
        | Command::DetachRolePolicy { role, .. }
        | Command::PutRolePermissionsBoundary { role, .. }
        | Command::DeleteRolePermissionsBoundary { role }
        | Command::AddRoleToInstanceProfile { role, .. }
        | Command::RemoveRoleFromInstanceProfile { role, .. } => *role = linked,
        _ => return None,
    }
    Some(command)
}
