//! Manifests: what a linked service says of itself, in TOML or JSON. Unknown members are errors.

use iam::command::Manifest;
use iam::offered::OfferedPolicy;
use iam::rows::{
    Callback, DeletionRule, Documents, PermissionsPolicy, ServiceIdentity, SuffixRule, Template,
    UsageSource,
};
use iam::text::*;
use iam::trigger::Trigger;
use policy::Dialect;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A manifest as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestText {
    /// The service's name: a host-like principal.
    pub service: String,
    /// Its name for people.
    pub display_name: String,
    /// Names under which callers sign requests to it; also the prefixes of its actions.
    #[serde(default)]
    pub signing_names: BTreeSet<String>,
    /// Hosts, with ports where there are any, at which callers reach it.
    #[serde(default)]
    pub hosts: BTreeSet<String>,
    /// Regions in which it keeps resources.
    #[serde(default)]
    pub regions: BTreeSet<String>,
    /// How use of its roles is known.
    #[serde(default)]
    pub usage: UsageSource,
    /// Where it is asked whether its roles are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
    /// What proves it beside its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Box<ServiceIdentity>>,
    /// What it may call onward in its callers' names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<ForwardText>,
    /// Its roles.
    #[serde(default, rename = "role")]
    pub roles: Vec<RoleText>,
    /// The policies that it offers to its customers.
    #[serde(default, rename = "policy", skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyText>,
}

/// A policy that a service offers to its customers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyText {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it says in accounts of the AWS dialect, which do not have it without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<serde_json::Value>,
    /// What it says in accounts of the Alibaba dialect, which do not have it without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram_policy: Option<serde_json::Value>,
}

/// What a service may call onward in its callers' names, within what they may do themselves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardText {
    /// For callers of accounts of the AWS dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<serde_json::Value>,
    /// For callers of accounts of the Alibaba dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram_policy: Option<serde_json::Value>,
}

/// One role of a manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleText {
    /// The principal in its trust; the service itself unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Its name behind the dialect's prefix.
    pub name: String,
    /// Its permissions policy's name.
    pub policy_name: String,
    /// Whether a suffix is allowed.
    #[serde(default)]
    pub suffix: SuffixRule,
    /// When its roles go.
    #[serde(default)]
    pub deletion: DeletionRule,
    /// Whether its permissions may change identities or mint credentials.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_iam_writes: bool,
    /// Longest life of a session, in seconds; an hour unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_session_duration: Option<u32>,
    /// The calls that make the service work with it.
    #[serde(default, rename = "trigger", skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// The description a role gets when the service has it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its permissions in accounts of the AWS dialect, which cannot have the role without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<serde_json::Value>,
    /// Its permissions in accounts of the Alibaba dialect, which cannot have the role without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram_policy: Option<serde_json::Value>,
}

/// Reads a manifest's text: JSON when it begins with a brace, else TOML.
///
/// Errors: a sentence that says where and what.
pub fn parse(text: &str) -> Result<Manifest, String> {
    let read: ManifestText = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|e| format!("the manifest does not read: {e}"))?
    } else {
        toml::from_str(text).map_err(|e| format!("the manifest does not read: {e}"))?
    };
    check(&read)
}

/// Turns a read manifest into one that cannot be wrong.
pub fn check(read: &ManifestText) -> Result<Manifest, String> {
    let service = field::<ServiceName>("service", &read.service)?;
    if read.display_name.is_empty() || read.display_name.chars().count() > 128 {
        return Err("`display_name`: expected 1 to 128 characters".to_owned());
    }
    let roles = read.roles.iter().map(|role| template(&service, role)).collect::<Result<_, _>>()?;
    let policies = read.policies.iter().map(offered).collect::<Result<_, _>>()?;
    let none = ForwardText::default();
    let forward = read.forward.as_ref().unwrap_or(&none);
    Ok(Manifest {
        forward: documents("`forward`", &forward.policy, &forward.ram_policy)?,
        display_name: read.display_name.clone(),
        signing_names: read.signing_names.clone(),
        hosts: read.hosts.clone(),
        regions: read.regions.iter().map(|r| field("regions", r)).collect::<Result<_, _>>()?,
        usage: read.usage,
        callback: read.callback.clone(),
        identity: read.identity.clone(),
        roles,
        policies,
        service,
    })
}

/// The documents in both languages.
fn documents(
    of: &str,
    policy: &Option<serde_json::Value>,
    ram_policy: &Option<serde_json::Value>,
) -> Result<Documents, String> {
    let read = |member: &str, value: &Option<serde_json::Value>, dialect: Dialect| {
        let document = |value: &serde_json::Value| {
            PermissionsPolicy::parse(&value.to_string(), dialect)
                .map_err(|e| format!("`{member}` of {of}: {e}"))
        };
        value.as_ref().map(document).transpose()
    };
    Ok(Documents {
        aws: read("policy", policy, Dialect::Aws)?,
        alibaba: read("ram_policy", ram_policy, Dialect::Alibaba)?,
    })
}

/// The documents in both languages, of which there is at least one.
fn some_documents(
    of: &str,
    policy: &Option<serde_json::Value>,
    ram_policy: &Option<serde_json::Value>,
) -> Result<Documents, String> {
    let read = documents(of, policy, ram_policy)?;
    if read == Documents::default() {
        return Err(format!("{of}: expected `policy`, `ram_policy` or both; found none"));
    }
    Ok(read)
}

fn offered(policy: &PolicyText) -> Result<OfferedPolicy, String> {
    let of = format!("policy `{}`", policy.name);
    Ok(OfferedPolicy {
        name: field("name", &policy.name)?,
        description: policy.description.as_ref().map(|d| field("description", d)).transpose()?,
        documents: some_documents(&of, &policy.policy, &policy.ram_policy)?,
        version: 1,
        created_ms: 0,
        updated_ms: 0,
    })
}

fn template(service: &ServiceName, role: &RoleText) -> Result<Template, String> {
    let of = format!("role `{}`", role.name);
    let documents = some_documents(&of, &role.policy, &role.ram_policy)?;
    let principal = match &role.principal {
        Some(text) => field("principal", text)?,
        None => service.clone(),
    };
    Ok(Template {
        principal,
        role: role.name.clone(),
        policy: field("policy_name", &role.policy_name)?,
        suffix: role.suffix,
        deletion: role.deletion,
        allow_iam_writes: role.allow_iam_writes,
        max_session_s: role.max_session_duration.unwrap_or(iam::limits::SESSION_DEFAULT_S),
        triggers: role.triggers.clone(),
        description: role.description.as_ref().map(|d| field("description", d)).transpose()?,
        versions: BTreeMap::from([(1, documents)]),
        version: 1,
        sources: BTreeMap::new(),
    })
}

fn field<T: Text>(name: &str, text: &str) -> Result<T, String> {
    T::read(text).map_err(|violation| match violation {
        Violation::Shorter(n) => format!("`{name}`: expected at least {n} characters; found `{text}`"),
        Violation::Longer(n) => format!("`{name}`: expected at most {n} characters; found `{text}`"),
        Violation::Pattern(_) if T::RULE.pattern == ServiceName::RULE.pattern && name == "service" => {
            format!("`{name}`: expected lower-case labels with a dot between them, like backup.example.com; found `{text}`")
        }
        Violation::Pattern(pattern) => {
            format!("`{name}`: expected the pattern {pattern}; found `{text}`")
        }
    })
}

fn document(documents: Option<&Documents>, dialect: Dialect) -> Option<serde_json::Value> {
    serde_json::from_str(documents?.of(dialect)?.text()).ok()
}

/// A stored service as a manifest, for showing.
pub fn show(service: &iam::rows::Service) -> ManifestText {
    let roles = service.templates.values().map(|t| RoleText {
        principal: Some(t.principal.to_string()),
        name: t.role.clone(),
        policy_name: t.policy.to_string(),
        suffix: t.suffix,
        deletion: t.deletion,
        allow_iam_writes: t.allow_iam_writes,
        max_session_duration: Some(t.max_session_s)
            .filter(|s| *s != iam::limits::SESSION_DEFAULT_S),
        triggers: t.triggers.clone(),
        description: t.description.as_ref().map(ToString::to_string),
        policy: document(t.versions.get(&t.version), Dialect::Aws),
        ram_policy: document(t.versions.get(&t.version), Dialect::Alibaba),
    });
    let policies = service.policies.values().map(|p| PolicyText {
        name: p.name.to_string(),
        description: p.description.as_ref().map(ToString::to_string),
        policy: document(Some(&p.documents), Dialect::Aws),
        ram_policy: document(Some(&p.documents), Dialect::Alibaba),
    });
    let forward = ForwardText {
        policy: document(Some(&service.forward), Dialect::Aws),
        ram_policy: document(Some(&service.forward), Dialect::Alibaba),
    };
    ManifestText {
        service: service.name.to_string(),
        display_name: service.display_name.clone(),
        signing_names: service.signing_names.clone(),
        hosts: service.hosts.clone(),
        regions: service.regions.iter().map(ToString::to_string).collect(),
        usage: service.usage,
        callback: service.callback.clone(),
        identity: service.identity.clone(),
        forward: (service.forward != Documents::default()).then_some(forward),
        roles: roles.collect(),
        policies: policies.collect(),
    }
}
