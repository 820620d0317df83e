//! The event: who called what, from where, and what came of it. One for every operation.
//!
//! Built from an allow-list of each command's fields; a secret is in no field. Not here: how the
//! vendors shape it, and where it is kept.

use crate::caller::{Api, Call, Caller, Identity, IdentityKind};
use crate::command::{
    AccessOf, Command, PolicyOwner, PolicyTarget, ReportOf, ReportTarget, Tagged,
};
use crate::error::Error;
use crate::output::Output;
use crate::rows::RoleKind;
use crate::session::Subject;
use crate::state::State;
use crate::text::{AccountId, TagKey, TagValue};
use crate::tx::{Concerned, Finished};
use policy::Dialect;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the operator's entry says of those whom a call concerned: how many accounts, and how many resources.
pub const CONCERNED: [&str; 2] = ["concernedAccounts", "concernedResources"];

/// Who called, as the trail keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Actor {
    /// Root, IAMUser, AssumedRole, AWSService, WebIdentityUser, Workload, Operator, System or Anonymous.
    pub kind: String,
    /// ARN or service name.
    pub name: String,
    /// Unique id; of a service its name.
    pub id: String,
    /// Its account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The access key used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Of a session that a key opened: that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_with: Option<String>,
    /// The user's or role's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// Of a session: its role's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// Of a session: its role's unique id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_id: Option<String>,
    /// Of a session: when it was issued, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_ms: Option<i64>,
    /// The linked service that acts here: itself, through its role, or for the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoked_by: Option<String>,
}

/// An error in the words of a dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its code.
    pub code: String,
    /// Its text.
    pub message: String,
}

/// A resource that a call was about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Touched {
    /// Its account.
    pub account: AccountId,
    /// Its ARN.
    pub resource: String,
}

/// One operation in the trail. Format 1; a new member needs a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The format's number.
    pub format: u32,
    /// The event's random id.
    pub id: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The request's id, as its caller got it.
    pub request_id: String,
    /// The operation's name.
    pub operation: String,
    /// The prefix of its action.
    pub service: String,
    /// Whether it left everything as it was and handed nothing out.
    pub read_only: bool,
    /// The accounts whose trail it belongs to: the caller's and those of what it was about.
    pub accounts: Vec<AccountId>,
    /// The dialect of these accounts, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
    /// Who called.
    pub actor: Actor,
    /// The peer's address.
    pub source_ip: String,
    /// What the client says it is.
    pub user_agent: String,
    /// The region of the signature's scope.
    pub region: String,
    /// The command's fields that may be shown.
    pub params: BTreeMap<String, String>,
    /// The answer's fields that may be shown.
    pub response: BTreeMap<String, String>,
    /// What it was about.
    pub resources: Vec<Touched>,
    /// Whether the connection was encrypted.
    #[serde(default)]
    pub tls: bool,
    /// The interface that was called, where its dialect has several for one operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<Api>,
    /// Whether it was called from the console.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub console: bool,
    /// The linked service that asked whether its caller may; the call itself was made there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<String>,
    /// Why it failed: the kind of error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Code and text for that, in the dialect of the wire that was called or of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
    /// Whether it was refused for want of permission.
    #[serde(default)]
    pub denied: bool,
}

impl Event {
    /// The event of a call that has been handled.
    pub(crate) fn of(
        id: String,
        at_ms: i64,
        state: &State,
        call: &Call,
        me: Option<&Identity>,
        outcome: &Result<Output, Error>,
        finished: &Finished,
    ) -> Self {
        let operation = call.command.operation();
        // Without a caller whose request holds, nobody did anything there: the service itself is who called.
        let asks = matches!(call.command, Command::AuthorizeRequest(_)) && call.on_behalf.is_some();
        let asked_by = me.filter(|_| asks).and_then(Identity::service);
        let actor = actor(state, call, me, at_ms, asks);
        let error = refusal(outcome);
        let mut accounts: Vec<AccountId> = actor.account.clone().into_iter().collect();
        for (account, _) in &finished.touched {
            if !accounts.contains(account) {
                accounts.push(account.clone());
            }
        }
        let mut dialects = accounts.iter().map(|a| crate::caller::dialect(&finished.state, a));
        let dialect = dialects.next().flatten().filter(|first| dialects.all(|d| d == Some(*first)));
        let notes = if outcome.is_ok() { finished.notes.as_slice() } else { &[] };
        Self {
            format: 1,
            id,
            at_ms,
            request_id: call.request_id.clone(),
            operation: operation.facts().name.to_owned(),
            service: operation.facts().family.prefix(Dialect::Aws).to_owned(),
            read_only: operation.is_read(),
            accounts,
            dialect,
            actor,
            source_ip: call.source.ip.clone(),
            user_agent: call.source.user_agent.clone(),
            region: call.source.region.clone(),
            params: shown(&call.command),
            response: notes.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            resources: finished
                .touched
                .iter()
                .map(|(account, resource)| Touched {
                    account: account.clone(),
                    resource: resource.clone(),
                })
                .collect(),
            tls: call.source.tls,
            api: call.source.api.clone(),
            console: call.source.console,
            asked_by: asked_by.map(|service| service.name.to_string()),
            denied: error.is_some() && outcome.as_ref().map_or_else(Error::is_denial, |_| true),
            error,
            told: None,
        }
    }
}

impl Event {
    /// What an account is told of a call that concerns it: the same, with nothing but its own resources.
    pub(crate) fn notice(&self, to: Concerned, state: &State) -> Self {
        let Concerned { account, resources, id } = to;
        // Counts are the operator's.
        let is_count = |name: &str| CONCERNED.contains(&name);
        let mut response = self.response.clone();
        response.retain(|name, _| !is_count(name));
        let own = |resource| Touched { account: account.clone(), resource };
        Self {
            id,
            response,
            resources: resources.into_iter().map(own).collect(),
            dialect: crate::caller::dialect(state, &account),
            accounts: vec![account.clone()],
            ..self.clone()
        }
    }
}

/// Why a call came to nothing. That a caller may not do a thing at a linked service is the answer
/// to the service, and a refusal of the caller.
fn refusal(outcome: &Result<Output, Error>) -> Option<String> {
    match outcome {
        Err(error) => Some(kind(error)),
        Ok(Output::Authorized { decision, .. }) if !decision.allowed() => {
            Some("AccessDenied".to_owned())
        }
        Ok(_) => None,
    }
}

/// The name of an error's variant.
fn kind(error: &Error) -> String {
    if let Error::Refused(refusal) = error {
        return if refusal.denied { "AccessDenied" } else { "Invalid" }.to_owned();
    }
    let text = format!("{error:?}");
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("Error").to_owned()
}

/// Who called. Where a service presents a caller's request, the caller is the actor; the service
/// is named beside it, unless it only asked whether the caller may.
fn actor(state: &State, call: &Call, me: Option<&Identity>, now_ms: i64, asks: bool) -> Actor {
    let Some(me) = me else {
        let name = match &call.caller {
            Caller::Key(key) => key.to_string(),
            Caller::Session(claims) => claims.key.to_string(),
            _ => String::new(),
        };
        return Actor { kind: "Unknown".into(), key: Some(name.clone()), name, ..Actor::default() };
    };
    let behalf = call.on_behalf.as_ref().and_then(|caller| {
        crate::caller::resolve(state, caller, now_ms.max(state.clock_ms())).ok()
    });
    match (&behalf, me.service()) {
        (Some(caller), Some(_)) if asks => described(caller),
        (Some(caller), Some(service)) => {
            Actor { invoked_by: Some(service.name.to_string()), ..described(caller) }
        }
        _ => described(me),
    }
}

fn described(me: &Identity) -> Actor {
    let mut actor = Actor {
        kind: match &me.kind {
            IdentityKind::Root => "Root",
            IdentityKind::User(_) | IdentityKind::Builtin => "IAMUser",
            IdentityKind::Role(_) => "AssumedRole",
            IdentityKind::Service(_) => "AWSService",
            IdentityKind::Operator => "Operator",
            IdentityKind::System => "System",
            IdentityKind::Anonymous => "Anonymous",
            IdentityKind::Federated(_) => "WebIdentityUser",
            IdentityKind::Workload(_) => "Workload",
        }
        .to_owned(),
        name: me.name(),
        id: me.principal.id.clone().unwrap_or_else(|| me.name()),
        account: me.account.clone(),
        key: me.key.as_ref().map(ToString::to_string),
        ..Actor::default()
    };
    match &me.kind {
        IdentityKind::User(user) => actor.user_name = Some(user.name.to_string()),
        IdentityKind::Role(role) => {
            actor.user_name = Some(role.name.to_string());
            actor.role_arn.clone_from(&me.principal.role_arn);
            actor.role_id = Some(role.id.to_string());
            if let RoleKind::Linked(linked) = &role.kind {
                actor.invoked_by = Some(linked.template.principal.to_string());
            }
        }
        IdentityKind::Service(service) => actor.invoked_by = Some(service.name.to_string()),
        IdentityKind::Workload(shown) => actor.invoked_by = Some(shown.service.to_string()),
        IdentityKind::Federated(token) => actor.user_name = Some(token.subject.clone()),
        _ => {}
    }
    if let Some(via) = me.via() {
        actor.invoked_by = Some(via.to_string());
    }
    match me.session.as_ref().map(|session| (session, &session.subject)) {
        Some((session, Subject::Role { .. })) => actor.issued_ms = Some(session.issued_ms),
        Some((_, Subject::Root { key, .. } | Subject::User { key, .. })) => {
            actor.opened_with = Some(key.to_string());
        }
        _ => {}
    }
    actor
}

/// The fields of a command that may be shown, under the vendors' names. What is not named here
/// does not enter the trail.
fn shown(command: &Command) -> BTreeMap<String, String> {
    use Command as C;
    let mut all = BTreeMap::new();
    let mut put = |name: &str, value: &dyn ToString| {
        all.insert(name.to_owned(), value.to_string());
    };
    match command {
        C::CreateServiceLinkedRole { principal, suffix, description } => {
            put("aWSServiceName", principal);
            suffix.iter().for_each(|s| put("customSuffix", s));
            description.iter().for_each(|d| put("description", d));
        }
        C::EnsureServiceLinkedRole { principal, suffix } => {
            put("aWSServiceName", principal);
            suffix.iter().for_each(|s| put("customSuffix", s));
        }
        C::GetServiceLinkedRoleDeletionStatus { task, .. } => put("deletionTaskId", task),
        C::CreateRole { role, path, trust, description, max_session_s, boundary, tags } => {
            put("roleName", role);
            put("path", path);
            put("assumeRolePolicyDocument", &trust.text());
            description.iter().for_each(|d| put("description", d));
            max_session_s.iter().for_each(|s| put("maxSessionDuration", s));
            boundary.iter().for_each(|b| put("permissionsBoundary", &b.text));
            put_tags(tags, &mut put);
        }
        C::DeleteServiceLinkedRole { role }
        | C::PlanServiceLinkedRoleDeletion { role }
        | C::AcceptServiceUpdate { role }
        | C::GetRole { role }
        | C::DeleteRole { role }
        | C::ListRolePolicies { role, .. }
        | C::ListAttachedRolePolicies { role, .. }
        | C::DeleteRolePermissionsBoundary { role }
        | C::ListInstanceProfilesForRole { role, .. } => put("roleName", role),
        C::Tag { on, tags } => {
            put_bearers(on, &mut put);
            put_tags(tags, &mut put);
        }
        C::Untag { on, keys, all } => {
            put_bearers(on, &mut put);
            match all {
                true => put("tagKeys", &"all"),
                false => put_json("tagKeys", keys.iter().map(|k| json!(k)).collect(), &mut put),
            }
        }
        C::ListTags { on, .. } => put_bearers(on, &mut put),
        C::UpdateRole { role, description, max_session_s, trust } => {
            put("roleName", role);
            trust.iter().for_each(|t| put("assumeRolePolicyDocument", &t.text()));
            description.iter().for_each(|d| put("description", d));
            max_session_s.iter().for_each(|s| put("maxSessionDuration", s));
        }
        C::UpdateRoleDescription { role, description } => {
            put("roleName", role);
            put("description", description);
        }
        C::UpdateAssumeRolePolicy { role, trust } => {
            put("roleName", role);
            put("policyDocument", &trust.text());
        }
        C::PutRolePolicy { role, name, document } => {
            put("roleName", role);
            put("policyName", name);
            put("policyDocument", &document.text());
        }
        C::GetRolePolicy { role, name } | C::DeleteRolePolicy { role, name } => {
            put("roleName", role);
            put("policyName", name);
        }
        C::AttachRolePolicy { role, policy } | C::DetachRolePolicy { role, policy } => {
            put("roleName", role);
            put_policy(policy, &mut put);
        }
        C::PutRolePermissionsBoundary { role, policy } => {
            put("roleName", role);
            put("permissionsBoundary", &policy.text);
        }
        C::AddRoleToInstanceProfile { profile, role }
        | C::RemoveRoleFromInstanceProfile { profile, role } => {
            put("instanceProfileName", profile);
            put("roleName", role);
        }
        C::CreateUser { user, path, boundary, tags, .. } => {
            put("userName", user);
            put("path", path);
            boundary.iter().for_each(|b| put("permissionsBoundary", &b.text));
            put_tags(tags, &mut put);
        }
        C::CreateGroup { group, path, .. } => {
            put("groupName", group);
            put("path", path);
        }
        C::UpdateGroup { group, new_name, new_path, .. } => {
            put("groupName", group);
            new_name.iter().for_each(|n| put("newGroupName", n));
            new_path.iter().for_each(|p| put("newPath", p));
        }
        C::GetGroup { group, .. }
        | C::ListUsersForGroup { group, .. }
        | C::DeleteGroup { group }
        | C::ListAttachedGroupPolicies { group, .. }
        | C::ListGroupPolicies { group, .. } => put("groupName", group),
        C::AddUserToGroup { group, user } | C::RemoveUserFromGroup { group, user } => {
            put("groupName", group);
            put("userName", user);
        }
        C::AttachGroupPolicy { group, policy } | C::DetachGroupPolicy { group, policy } => {
            put("groupName", group);
            put_policy(policy, &mut put);
        }
        C::PutGroupPolicy { group, name, document } => {
            put("groupName", group);
            put("policyName", name);
            put("policyDocument", &document.text());
        }
        C::GetGroupPolicy { group, name } | C::DeleteGroupPolicy { group, name } => {
            put("groupName", group);
            put("policyName", name);
        }
        C::UpdateUser { user, new_name, new_path, .. } => {
            put("userName", user);
            new_name.iter().for_each(|n| put("newUserName", n));
            new_path.iter().for_each(|p| put("newPath", p));
        }
        C::DeleteUser { user }
        | C::ListUserPolicies { user, .. }
        | C::ListGroupsForUser { user, .. }
        | C::ListAttachedUserPolicies { user, .. } => put("userName", user),
        C::PutUserPolicy { user, name, document } => {
            put("userName", user);
            put("policyName", name);
            put("policyDocument", &document.text());
        }
        C::GetUserPolicy { user, name } | C::DeleteUserPolicy { user, name } => {
            put("userName", user);
            put("policyName", name);
        }
        C::AttachUserPolicy { user, policy } | C::DetachUserPolicy { user, policy } => {
            put("userName", user);
            put_policy(policy, &mut put);
        }
        C::GetUser { user } | C::CreateAccessKey { user } | C::ListAccessKeys { user, .. } => {
            user.iter().for_each(|u| put("userName", u));
        }
        C::UpdateAccessKey { user, key, status } => {
            user.iter().for_each(|u| put("userName", u));
            put("accessKeyId", key);
            put("status", &format!("{status:?}"));
        }
        C::DeleteAccessKey { user, key } => {
            user.iter().for_each(|u| put("userName", u));
            put("accessKeyId", key);
        }
        C::GenerateServiceLastAccessedDetails { of, with_actions } => {
            put_reported(of, &mut put);
            put("granularity", if *with_actions { &"ACTION_LEVEL" } else { &"SERVICE_LEVEL" });
        }
        C::GetServiceLastAccessedDetails { job, .. } => put("jobId", job),
        C::GetServiceLastAccessedDetailsWithEntities { job, service, .. } => {
            put("jobId", job);
            put("serviceNamespace", service);
        }
        C::ListPoliciesGrantingServiceAccess { of, services } => {
            put_reported(of, &mut put);
            put("serviceNamespaces", &list_text(services));
        }
        C::GetAccess { of } => match of {
            AccessOf::Root(id) => put("accountId", id),
            AccessOf::User(name) => put("userName", name),
            AccessOf::Role(name) => put("roleName", name),
            AccessOf::Key(key) => put("accessKeyId", key),
        },
        C::GetAccessKeyLastUsed { key } | C::GetAccessKeyInfo { key } => put("accessKeyId", key),
        C::CreatePolicy { name, path, document, description, tags } => {
            put_tags(tags, &mut put);
            put("policyName", name);
            put("path", path);
            put("policyDocument", &document.text());
            description.iter().for_each(|d| put("description", d));
        }
        C::GetPolicy { policy }
        | C::ListPolicyVersions { policy, .. }
        | C::DeletePolicy { policy, .. }
        | C::ListEntitiesForPolicy { policy, .. } => put_policy(policy, &mut put),
        C::UpdatePolicyDescription { policy, description } => {
            put_policy(policy, &mut put);
            put("description", description);
        }
        C::GetServiceLinkedRoleTemplate { principal } => {
            principal.iter().for_each(|p| put("aWSServiceName", p));
        }
        C::CreatePolicyVersion { policy, document, set_default, .. } => {
            put_policy(policy, &mut put);
            put("policyDocument", &document.text());
            put("setAsDefault", set_default);
        }
        C::GetPolicyVersion { policy, version }
        | C::SetDefaultPolicyVersion { policy, version }
        | C::DeletePolicyVersion { policy, version } => {
            put_policy(policy, &mut put);
            put("versionId", &format!("v{version}"));
        }
        C::CreateAccountAlias { alias } => put("accountAlias", alias),
        C::DeleteAccountAlias { alias } => alias.iter().for_each(|a| put("accountAlias", a)),
        C::CreateOpenIDConnectProvider(asked) => {
            put("oIDCProviderName", &asked.name);
            put("issuerUrl", &asked.issuer);
            put("clientIds", &list_text(&asked.client_ids));
            put("fingerprints", &list_text(&asked.fingerprints));
        }
        C::GetOpenIDConnectProvider { provider } | C::DeleteOpenIDConnectProvider { provider } => {
            put("oIDCProviderName", provider);
        }
        C::UpdateOIDCProvider { provider, client_ids, .. } => {
            put("oIDCProviderName", provider);
            client_ids.iter().for_each(|ids| put("clientIds", &list_text(ids)));
        }
        C::AddClientIDToOpenIDConnectProvider { provider, client }
        | C::RemoveClientIDFromOpenIDConnectProvider { provider, client } => {
            put("oIDCProviderName", provider);
            put("clientId", client);
        }
        C::AddFingerprintToOIDCProvider { provider, fingerprint }
        | C::RemoveFingerprintFromOIDCProvider { provider, fingerprint } => {
            put("oIDCProviderName", provider);
            put("fingerprint", fingerprint);
        }
        C::AssumeRole(ask) => {
            put("roleArn", &ask.role.text);
            put("roleSessionName", &ask.session);
            ask.duration_s.iter().for_each(|s| put("durationSeconds", s));
            ask.source_identity.iter().for_each(|s| put("sourceIdentity", s));
            ask.policy.iter().for_each(|p| put("policy", &p.text()));
            let arns: Vec<Value> =
                ask.policy_arns.iter().map(|p| json!({ "arn": p.text })).collect();
            put_json("policyArns", arns, &mut put);
            put_tags(&ask.tags, &mut put);
            let keys = ask.transitive.iter().map(|key| json!(key)).collect();
            put_json("transitiveTagKeys", keys, &mut put);
        }
        C::GetSessionToken { duration_s } => {
            duration_s.iter().for_each(|s| put("durationSeconds", s));
        }
        C::AuthorizeRequest(question) => {
            put("action", &question.action);
            question.resource.iter().for_each(|r| put("resource", r));
        }
        C::RegisterUsage { target, region, resource }
        | C::DeregisterUsage { target, region, resource } => {
            put("role", &target.role);
            put("region", region);
            put("resource", resource);
        }
        C::ReconcileUsage { target, region, resources, .. } => {
            put("role", &target.role);
            put("region", region);
            put("resources", &resources.len());
        }
        C::ListUsage { target }
        | C::ReleaseSessions { target }
        | C::RetireServiceLinkedRole { target } => put("role", &target.role),
        C::EnrolService { service, callback } => {
            put("service", service);
            if let Some(callback) = callback {
                put("callback", callback);
            }
        }
        C::PreviewServiceLinkedRole { principal, suffix } => {
            put("aWSServiceName", principal);
            suffix.iter().for_each(|s| put("customSuffix", s));
        }
        C::IntroduceServiceLinkedRole { account, principal } => {
            put("account", account);
            put("aWSServiceName", principal);
        }
        C::UpdateServiceTerms(change) => {
            change.holds_updates.iter().for_each(|on| put("holdsUpdates", on));
            change.requires_consent.iter().for_each(|on| put("requiresConsent", on));
        }
        C::PutServiceCeiling { principal, policy } => {
            put("principal", principal);
            put("policy", policy);
        }
        C::DeleteServiceCeiling { principal } => put("principal", principal),
        C::DiffService { manifest } | C::UpdateService { manifest } => {
            put("service", &manifest.service);
        }
        C::ForceDeleteServiceLinkedRole { account, role, confirm } => {
            put("account", account);
            put("roleName", role);
            confirm.iter().for_each(|id| put("confirm", id));
        }
        C::ImportServicePolicy(asked) => {
            put("policyName", &asked.policy);
            put("source", &asked.source);
            put("dryRun", &asked.dry_run);
        }
        C::RemoveService { service } | C::CreateServiceSession { service } => {
            put("service", service)
        }
        C::CreateServiceKey { service, revoke } => {
            put("service", service);
            put("revoke", revoke);
        }
        C::StockServices { services } => put("services", &services.len()),
        C::RegisterService { manifest, .. } => put("service", &manifest.service),
        C::ExportCatalog { after } => after.iter().for_each(|name| put("after", name)),
        C::GetService { service } => put("service", service),
        C::RecordUse { part, .. } => part.put(&mut put),
        C::CreateAccount { dialect, .. } => put("dialect", &format!("{dialect:?}")),
        C::SettleNotice(notice) => {
            put("deletionTaskId", &notice.task);
            put("epoch", &notice.epoch);
            put("committed", &notice.committed);
        }
        C::StepDeletion(step) => {
            put("deletionTaskId", &step.task);
            put("step", &format!("{:?}", step.step));
            put("attempt", &step.attempt);
        }
        C::ListRoles { prefix, .. }
        | C::ListUsers { prefix, .. }
        | C::ListGroups { prefix, .. }
        | C::ListPolicies { prefix, .. } => put("pathPrefix", prefix),
        C::ListPolicyAttachments { .. }
        | C::DecodeDiagnosticMessage { .. }
        | C::ListAccountAliases
        | C::ListOpenIDConnectProviders { .. }
        | C::GetCallerIdentity
        | C::ConsoleLogin
        | C::LookupEvents
        | C::ListServices
        | C::GetServiceTerms
        | C::ForwardAccess
        | C::ListAccounts
        | C::ReadTrail
        | C::Unread(_)
        | C::Sweep => {}
    }
    all
}

fn put_reported(of: &ReportTarget, put: &mut impl FnMut(&str, &dyn ToString)) {
    match &of.of {
        ReportOf::User(name) => put("userName", name),
        ReportOf::Group(name) => put("groupName", name),
        ReportOf::Role(name) => put("roleName", name),
        ReportOf::Policy(policy) => put_policy(policy, put),
    }
}

/// What bears tags, under the name that one of its kind has in requests.
fn put_bearers(on: &Tagged, put: &mut impl FnMut(&str, &dyn ToString)) {
    match on {
        Tagged::Roles(names) => put("roleName", &list_text(names)),
        Tagged::Users(names) => put("userName", &list_text(names)),
        Tagged::Policies(list) => {
            let names: Vec<&str> = list.iter().map(|policy| policy.text.as_str()).collect();
            put("policyArn", &list_text(&names));
        }
    }
}

fn list_text<T: ToString>(list: &[T]) -> String {
    list.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// A managed policy as it was named: by its ARN, or as the other dialect does by name and kind.
fn put_policy(policy: &PolicyTarget, put: &mut impl FnMut(&str, &dyn ToString)) {
    if policy.text.contains(':') {
        return put("policyArn", &policy.text);
    }
    put("policyName", &policy.name);
    put("policyType", if policy.owner == PolicyOwner::System { &"System" } else { &"Custom" });
}

/// Lists that views show as lists: as JSON, so that no text in them can look like two.
fn put_json(name: &str, list: Vec<Value>, put: &mut impl FnMut(&str, &dyn ToString)) {
    if !list.is_empty() {
        put(name, &Value::Array(list));
    }
}

fn put_tags(tags: &[(TagKey, TagValue)], put: &mut impl FnMut(&str, &dyn ToString)) {
    let tag = |(key, value): &(TagKey, TagValue)| json!({ "key": key, "value": value });
    put_json("tags", tags.iter().map(tag).collect(), put);
}
