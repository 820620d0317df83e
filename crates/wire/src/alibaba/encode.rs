//! From what a command gives to the members of an answer.
//!
//! Lists stand as `Plural: {Singular: [...]}`; times are UTC. What a caller is never told twice is
//! a secret: it stands in the answer that makes it and nowhere else. [src: ALIBABA.md 3.2 and 4]

use super::decode::{ROLE_DOMAIN, USER_DOMAIN};
use super::{Asked, Home, Product};
use crate::clock::iso_seconds;
use iam::output::*;
use iam::rows::*;
use iam::state::EntityRef;
use iam::text::*;
use policy::Dialect;
use serde_json::{Map, Value, json};

/// The members of an answer, without the request's id.
pub fn members(asked: &Asked, home: Option<&Home>, output: &Output) -> Map<String, Value> {
    let value = match output {
        Output::Role(view) => json!({"Role": role(asked, home, view, Form::Whole)}),
        Output::Roles(page) => {
            let rows: Vec<Value> =
                page.items.iter().map(|view| role(asked, home, view, Form::Listed)).collect();
            listed(asked, page, json!({"Roles": {"Role": rows}}))
        }
        Output::User(view) => json!({"User": user(asked, home, view)}),
        Output::Users(page) => {
            let rows: Vec<Value> = page.items.iter().map(|view| user(asked, home, view)).collect();
            listed(asked, page, json!({"Users": {"User": rows}}))
        }
        Output::Group(view) => json!({"Group": group(view)}),
        Output::Groups(page) => {
            let rows: Vec<Value> = page.items.iter().map(group).collect();
            listed(asked, page, json!({"Groups": {"Group": rows}}))
        }
        Output::Members { group: view, .. } if asked.action == "GetGroup" => {
            json!({"Group": group(view)})
        }
        Output::Members { users, .. } => {
            let row = |(view, joined_ms): &(UserView, i64)| {
                let note = view.user.as_ref().and_then(|u| u.profile.display_name.as_ref());
                json!({
                    "UserName": view.user.as_ref().map(|u| &u.name),
                    "DisplayName": note.map_or("", Note::as_str),
                    "JoinDate": iso_seconds(*joined_ms),
                })
            };
            let rows: Vec<Value> = users.items.iter().map(row).collect();
            listed(asked, users, json!({"Users": {"User": rows}}))
        }
        Output::Policy(view) => match &view.default {
            None => json!({"Policy": policy(view)}),
            Some(found) => {
                let mut shown = policy(view);
                merge(&mut shown, json!({"PolicyDocument": found.document}));
                json!({"Policy": shown, "DefaultPolicyVersion": version(found)})
            }
        },
        Output::Policies(page) => {
            let rows: Vec<Value> = page.items.iter().map(policy).collect();
            listed(asked, page, json!({"Policies": {"Policy": rows}}))
        }
        Output::Version(view) => json!({"PolicyVersion": version(view)}),
        Output::Versions(page) => {
            let rows: Vec<Value> = page.items.iter().map(version).collect();
            json!({"PolicyVersions": {"PolicyVersion": rows}})
        }
        Output::Attached(page) => {
            let rows: Vec<Value> = page.items.iter().map(attached).collect();
            json!({"Policies": {"Policy": rows}})
        }
        Output::Referrers(page) => referrers(page),
        Output::Attachments(page) => {
            let rows: Vec<Value> = page.items.iter().map(|view| attachment(home, view)).collect();
            listed(asked, page, json!({"PolicyAttachments": {"PolicyAttachment": rows}}))
        }
        Output::Key { key, secret, .. } => json!({"AccessKey": {
            "AccessKeyId": key.id,
            "AccessKeySecret": secret.expose(),
            "Status": status(key.status),
            "CreateDate": iso_seconds(key.created_ms),
        }}),
        Output::Keys { keys, .. } => {
            let row = |key: &std::sync::Arc<AccessKey>| {
                json!({
                    "AccessKeyId": key.id,
                    "Status": status(key.status),
                    "CreateDate": iso_seconds(key.created_ms),
                })
            };
            let rows: Vec<Value> = keys.items.iter().map(row).collect();
            json!({"AccessKeys": {"AccessKey": rows}})
        }
        Output::KeyUse { last, .. } => {
            let at = last.as_ref().map(|last| iso_seconds(last.at_ms)).unwrap_or_default();
            let service = last.as_ref().map_or("", |last| last.service.as_str());
            let used = match asked.product {
                Product::Ims => json!({"LastUsedDate": at, "ServiceName": service}),
                _ => json!({"LastUsedDate": at}),
            };
            json!({"AccessKeyLastUsed": used})
        }
        Output::Tags(page) => {
            let rows: Vec<Value> = page.items.iter().map(|tag| tag_row(asked, tag)).collect();
            let mut all = json!({"TagResources": rows});
            if asked.product == Product::Ims {
                all = json!({
                    "TagResources": {"TagResource": rows},
                    "IsTruncated": page.next.is_some(),
                });
            }
            if let Some(token) = &page.next {
                merge(&mut all, json!({"NextToken": token}));
            }
            all
        }
        Output::OidcProvider { arn, provider } => {
            json!({"OIDCProvider": oidc_provider(arn, provider)})
        }
        Output::OidcProviders(page) => {
            let rows: Vec<Value> =
                page.items.iter().map(|(arn, row)| oidc_provider(arn, row)).collect();
            listed(asked, page, json!({"OIDCProviders": {"OIDCProvider": rows}}))
        }
        // Without an alias the account goes by its id.
        Output::Alias(alias) => json!({"AccountAlias": alias.as_ref().map_or_else(
            || home.map_or("", |home| home.account.as_str()),
            AccountAlias::as_str,
        )}),
        Output::Diagnosis(text) => {
            let decoded: Value = serde_json::from_str(text).unwrap_or_default();
            json!({"DecodedDiagnosticMessage": decoded})
        }
        Output::Task(view) => task(asked, view),
        Output::Templates(list) => templates(list),
        Output::Session { credentials, assumed, source_identity, .. } => {
            let mut all = json!({
                "Credentials": {
                    "AccessKeyId": credentials.key,
                    "AccessKeySecret": credentials.secret.expose(),
                    "SecurityToken": credentials.token,
                    "Expiration": iso_seconds(credentials.expires_ms),
                },
            });
            if let Some(assumed) = assumed {
                let shown = json!({"Arn": assumed.arn, "AssumedRoleId": assumed.id});
                merge(&mut all, json!({"AssumedRoleUser": shown}));
            }
            if let Some(identity) = source_identity {
                merge(&mut all, json!({"SourceIdentity": identity}));
            }
            all
        }
        Output::Caller(view) => caller(view),
        // The rest is nothing to tell, or not spoken in this dialect.
        _ => json!({}),
    };
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(all), Value::Object(more)) = (into, more) {
        all.extend(more);
    }
}

/// What a listing says of its pages: a marker, or numbers.
fn listed<T>(asked: &Asked, page: &Page<T>, mut value: Value) -> Value {
    match page.total {
        Some(total) => {
            let (number, size) = asked.pages();
            merge(&mut value, json!({"TotalCount": total, "PageNumber": number, "PageSize": size}));
        }
        None => {
            merge(&mut value, json!({"IsTruncated": page.next.is_some()}));
            if let Some(marker) = &page.next {
                merge(&mut value, json!({"Marker": marker}));
            }
        }
    }
    value
}

/// How much is told of a role.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Without its trust.
    Listed,
    /// All of it.
    Whole,
}

fn role(asked: &Asked, home: Option<&Home>, view: &RoleView, form: Form) -> Value {
    let role = &view.role;
    let is_manager = asked.product == Product::ResourceManager;
    let linked = matches!(role.kind, RoleKind::Linked(_));
    let mut all = json!({
        "RoleId": role.id,
        "RoleName": role.name,
        "Arn": view.arn,
        "Description": role.description.as_ref().map_or("", Description::as_str),
        "CreateDate": iso_seconds(role.created_ms),
        "UpdateDate": iso_seconds(changed(role.updated_ms, role.created_ms)),
        "MaxSessionDuration": role.max_session_s,
    });
    if !role.tags.is_empty() {
        merge(&mut all, tags(&role.tags));
    }
    if form == Form::Whole {
        merge(&mut all, json!({"AssumeRolePolicyDocument": trust(&view.trust)}));
    }
    // RAM's list does not tell them apart; that of the resource manager does. [src: ALIBABA.md 4.2]
    if form == Form::Whole || is_manager {
        let name = format!("{}@role.{}{ROLE_DOMAIN}", role.name, Home::label(home, &role.account));
        merge(&mut all, json!({"IsServiceLinkedRole": linked, "RolePrincipalName": name}));
        if let Some(task) = &view.deletion {
            let shown = json!({
                "DeletionTaskId": task_handle(task),
                "CreateDate": iso_seconds(task.submitted_ms),
            });
            merge(&mut all, json!({"LatestDeletionTask": shown}));
        }
    }
    all
}

fn oidc_provider(arn: &str, row: &OidcProvider) -> Value {
    let joined = |list: Vec<&str>| list.join(",");
    let mut all = json!({
        "Arn": arn,
        "OIDCProviderName": row.name,
        "IssuerUrl": row.issuer,
        "ClientIds": joined(row.client_ids.iter().map(ClientId::as_str).collect()),
        "Fingerprints": joined(row.fingerprints.iter().map(Fingerprint::as_str).collect()),
        "Description": row.description.as_ref().map_or("", Note::as_str),
        "CreateDate": iso_seconds(row.created_ms),
        "UpdateDate": iso_seconds(changed(row.updated_ms, row.created_ms)),
        "GmtCreate": row.created_ms.to_string(),
        "GmtModified": changed(row.updated_ms, row.created_ms).to_string(),
    });
    if let Some(hours) = row.issuance_limit_h {
        merge(&mut all, json!({"IssuanceLimitTime": hours}));
    }
    all
}

/// A tag as a row of its own. [src: ALIBABA.md 4.1; the vendor's model of IMS]
fn tag_row(asked: &Asked, tag: &TagView) -> Value {
    let mut all = json!({
        "ResourceType": asked.parameter("ResourceType"),
        "TagKey": tag.key,
        "TagValue": tag.value,
    });
    let bearer = match asked.product {
        Product::Ims => json!({"ResourceId": tag.id}),
        _ => json!({"ResourceName": tag.bearer}),
    };
    merge(&mut all, bearer);
    all
}

/// Tags among the members of what bears them.
fn tags(tags: &Tags) -> Value {
    let rows: Vec<Value> =
        tags.iter().map(|(key, value)| json!({"TagKey": key, "TagValue": value})).collect();
    json!({"Tags": {"Tag": rows}})
}

/// A role's trust as it is looked at.
pub fn trust(trust: &TrustView) -> String {
    match trust {
        TrustView::Own(text) => text.clone(),
        TrustView::Linked(principal) => json!({
            "Statement": [{
                "Action": "sts:AssumeRole",
                "Effect": "Allow",
                "Principal": {"Service": [principal]},
            }],
            "Version": "1",
        })
        .to_string(),
    }
}

/// What never changed was last changed when it was made.
fn changed(updated_ms: i64, created_ms: i64) -> i64 {
    if updated_ms == 0 { created_ms } else { updated_ms }
}

fn user(asked: &Asked, home: Option<&Home>, view: &UserView) -> Value {
    let Some(user) = &view.user else { return json!({}) };
    let note = |text: &Option<Note>| text.as_ref().map_or("", Note::as_str).to_owned();
    let mut all = json!({
        "UserId": user.id,
        "DisplayName": note(&user.profile.display_name),
        "MobilePhone": note(&user.profile.mobile_phone),
        "Email": note(&user.profile.email),
        "Comments": note(&user.profile.comments),
        "CreateDate": iso_seconds(user.created_ms),
        "UpdateDate": iso_seconds(changed(user.updated_ms, user.created_ms)),
    });
    match asked.product {
        Product::Ims => {
            let name = format!("{}@{}{USER_DOMAIN}", user.name, Home::label(home, &user.account));
            merge(&mut all, json!({"UserPrincipalName": name, "ProvisionType": "Manual"}));
        }
        _ => merge(&mut all, json!({"UserName": user.name})),
    }
    all
}

fn group(view: &GroupView) -> Value {
    let mut all = json!({
        "GroupId": view.id,
        "GroupName": view.name,
        "Comments": view.comments.as_ref().map_or("", Note::as_str),
        "CreateDate": iso_seconds(view.created_ms),
        "UpdateDate": iso_seconds(changed(view.updated_ms, view.created_ms)),
    });
    if view.joined_ms != 0 {
        merge(&mut all, json!({"JoinDate": iso_seconds(view.joined_ms)}));
    }
    all
}

fn kind_of(is_system: bool) -> &'static str {
    if is_system { "System" } else { "Custom" }
}

fn policy(view: &PolicyView) -> Value {
    let mut all = json!({
        "PolicyName": view.name,
        "PolicyType": kind_of(view.is_system),
        "Description": view.description.as_ref().map_or("", Description::as_str),
        "DefaultVersion": format!("v{}", view.default_version),
        "CreateDate": iso_seconds(view.created_ms),
        "UpdateDate": iso_seconds(view.updated_ms),
        "AttachmentCount": view.attachments,
    });
    if !view.tags.is_empty() {
        merge(&mut all, tags(&view.tags));
    }
    all
}

fn attached(view: &AttachedView) -> Value {
    json!({
        "PolicyName": view.name,
        "PolicyType": kind_of(view.is_system),
        "Description": view.description.as_ref().map_or("", Description::as_str),
        "DefaultVersion": format!("v{}", view.default_version),
        "AttachDate": iso_seconds(view.attached_ms),
    })
}

/// An attachment; the one resource group is the account. [src: ALIBABA.md 4.2]
fn attachment(home: Option<&Home>, view: &AttachmentView) -> Value {
    let (account, kind, domain) = match &view.entity {
        EntityRef::User(account, _) => {
            (account, "IMSUser", format!("{}{USER_DOMAIN}", Home::label(home, account)))
        }
        EntityRef::Group(account, _) => {
            (account, "IMSGroup", format!("group.{}{USER_DOMAIN}", Home::label(home, account)))
        }
        EntityRef::Role(account, _) => {
            (account, "ServiceRole", format!("role.{}{ROLE_DOMAIN}", Home::label(home, account)))
        }
    };
    let policy = &view.policy;
    json!({
        "PolicyName": policy.name,
        "PolicyType": kind_of(policy.is_system),
        "Description": policy.description.as_ref().map_or("", Description::as_str),
        "AttachDate": iso_seconds(policy.attached_ms),
        "PrincipalName": format!("{}@{domain}", view.holder),
        "PrincipalType": kind,
        "ResourceGroupId": account,
    })
}

fn version(view: &VersionView) -> Value {
    json!({
        "VersionId": format!("v{}", view.number),
        "IsDefaultVersion": view.is_default,
        "PolicyDocument": view.document,
        "CreateDate": iso_seconds(view.created_ms),
    })
}

fn referrers(page: &Page<Referrer>) -> Value {
    let mut users = Vec::new();
    let mut groups = Vec::new();
    let mut roles = Vec::new();
    for referrer in &page.items {
        let at = iso_seconds(referrer.attached_ms);
        match referrer.entity {
            EntityRef::User(..) => users.push(json!({
                "UserId": referrer.id,
                "UserName": referrer.name,
                "DisplayName": referrer.note,
                "AttachDate": at,
            })),
            EntityRef::Group(..) => groups.push(json!({
                "GroupName": referrer.name,
                "Comments": referrer.note,
                "AttachDate": at,
            })),
            EntityRef::Role(..) => roles.push(json!({
                "RoleId": referrer.id,
                "RoleName": referrer.name,
                "Arn": referrer.arn,
                "Description": referrer.note,
                "AttachDate": at,
            })),
        }
    }
    json!({"Users": {"User": users}, "Groups": {"Group": groups}, "Roles": {"Role": roles}})
}

fn status(status: KeyStatus) -> &'static str {
    match status {
        KeyStatus::Active => "Active",
        KeyStatus::Inactive => "Inactive",
    }
}

fn task(asked: &Asked, view: &TaskView) -> Value {
    let task = &view.task;
    if asked.action == "DeleteServiceLinkedRole" {
        return json!({"DeletionTaskId": task_handle(task)});
    }
    let status = match task.status {
        TaskStatus::NotStarted => "NOT_STARTED",
        TaskStatus::InProgress => "IN_PROGRESS",
        TaskStatus::Succeeded => "SUCCEEDED",
        TaskStatus::Failed => "FAILED",
    };
    let mut all = json!({"Status": status});
    if task.status == TaskStatus::Failed {
        let message = if task.usages.is_empty() {
            task.reason.clone().unwrap_or_default()
        } else {
            format!("{} cannot be deleted as it is in use by {}", view.role_arn, task.principal)
        };
        let usages: Vec<Value> = task
            .usages
            .iter()
            .map(|(region, resources)| {
                json!({"Region": region, "Resources": {"Resource": resources}})
            })
            .collect();
        merge(
            &mut all,
            json!({"Reason": {"Message": message, "RoleUsages": {"RoleUsage": usages}}}),
        );
    }
    all
}

/// A deletion task as this dialect names it.
pub fn task_handle(task: &DeletionTask) -> String {
    format!("task/acs-service-role/{}/{}/{}", task.principal, task.role_name, task.id)
}

fn templates(list: &[(std::sync::Arc<Service>, Template)]) -> Value {
    let Some((_, template)) = list.first() else { return json!({}) };
    let description = template.description.as_ref().map_or("", Description::as_str);
    json!({"ServiceLinkedRoleTemplate": {
        "ServiceName": template.principal,
        "RoleNamePrefix": template.role_name(Dialect::Alibaba),
        "SystemPolicyName": template.policy,
        "MultipleRolesAllowed": template.suffix == SuffixRule::Optional,
        "RoleDescriptions": {
            "RoleDescription": [{"Language": "en", "Description": description}],
        },
    }})
}

fn caller(view: &CallerView) -> Value {
    let account = view.account.as_ref().map_or("", AccountId::as_str);
    let mut all = json!({"AccountId": account, "PrincipalId": view.id, "Arn": view.arn});
    let more = match view.kind {
        "root" => json!({"IdentityType": "Account", "UserId": account}),
        "user" => json!({"IdentityType": "RAMUser", "UserId": view.id}),
        "role session" => {
            let role = view.id.split(':').next().unwrap_or_default();
            json!({"IdentityType": "AssumedRoleUser", "RoleId": role})
        }
        // ours: the vendor's services do not ask
        _ => json!({"IdentityType": "Service"}),
    };
    merge(&mut all, more);
    all
}
