//! The row of a linked service: what its manifest says, with every version of its permissions that counts somewhere.

use crate::identity::ServiceIdentity;
use crate::offered::OfferedPolicy;
use crate::policy_text::PermissionsPolicy;
use crate::text::*;
use crate::trigger::Trigger;
use policy::Dialect;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Whether a caller may add a suffix to the name of a template's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuffixRule {
    /// One role of fixed name.
    #[default]
    Refused,
    /// One role without, any number with a suffix.
    Optional,
}

/// When a role goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletionRule {
    /// When somebody asks for it.
    #[default]
    Manual,
    /// Also by itself, when its last registered use leaves.
    Automatic,
}

/// A role that a linked service defines: trust by its principal, permissions by its policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// The principal that the role's trust names.
    pub principal: ServiceName,
    /// The part of the role's name behind the dialect's prefix.
    pub role: String,
    /// The permissions policy's name.
    pub policy: PolicyName,
    /// Whether suffixes are allowed.
    pub suffix: SuffixRule,
    /// When its roles go.
    #[serde(default)]
    pub deletion: DeletionRule,
    /// Whether its permissions may change identities or mint credentials; else a manifest with such is refused.
    #[serde(default)]
    pub allow_iam_writes: bool,
    /// Longest life of a session of its roles, in seconds.
    #[serde(default = "session_default")]
    pub max_session_s: u32,
    /// The calls that make the service work with its roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// The description a role gets when the service has it made.
    pub description: Option<Description>,
    /// The permissions by version.
    pub versions: BTreeMap<u32, Documents>,
    /// The version in force.
    pub version: u32,
    /// Of imported versions, where they come from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<u32, PolicySource>,
}

fn session_default() -> u32 {
    crate::limits::SESSION_DEFAULT_S
}

/// Where an imported policy comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySource {
    /// As the operator said.
    pub note: Description,
    /// When it was imported, in milliseconds since 1970.
    pub at_ms: i64,
    /// The hexadecimal SHA-256 of its text.
    pub sha256: String,
}

/// A policy in the languages of the dialects in whose accounts its role can be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Documents {
    /// In the language of AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<PermissionsPolicy>,
    /// In the language of RAM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alibaba: Option<PermissionsPolicy>,
}

impl Documents {
    /// The document for accounts of a dialect, if there can be any.
    pub fn of(&self, dialect: Dialect) -> Option<&PermissionsPolicy> {
        match dialect {
            Dialect::Aws => self.aws.as_ref(),
            Dialect::Alibaba => self.alibaba.as_ref(),
        }
    }
}

impl Template {
    /// Whether accounts of a dialect can have this role.
    pub fn is_offered_in(&self, dialect: Dialect) -> bool {
        self.versions.get(&self.version).is_some_and(|found| found.of(dialect).is_some())
    }

    /// The role's name in an account of this dialect, without a suffix.
    pub fn role_name(&self, dialect: Dialect) -> String {
        let prefix = match dialect {
            Dialect::Aws => crate::linked::AWS_PREFIX,
            Dialect::Alibaba => crate::linked::ALIBABA_PREFIX,
        };
        format!("{prefix}{}", self.role)
    }
}

/// What linkrole knows of the use of a service's roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// Sessions only.
    Sessions,
    /// The service registers each use before it begins and removes it after it ended.
    #[default]
    Registry,
}

/// What a callback answers to, and what its answer is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// It refuses new uses itself, under the epoch it is told, and is told how the deletion ended.
    Fenced,
    /// It says whether the role is used at the moment.
    Ask,
    /// As `ask`, in the form in which RAM asks the services of Alibaba Cloud. [src: ALIBABA.md 3.4]
    Alibaba,
}

/// Where a service is asked whether a role of it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    /// The address; with `{region}` in it each region is asked for itself.
    pub url: String,
    /// What it answers to.
    pub contract: Contract,
    /// SHA-256 fingerprints, in hexadecimal, of certificates of which one must stand in the address's chain; without
    /// any, the authorities that the server's machine trusts decide.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub certificates: BTreeSet<String>,
    /// That the operator accepts that a role may go although a use began at that very moment: an answer alone, with
    /// neither a fence nor a registry, cannot exclude it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_racy_delete: bool,
}

/// A linked service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its name: the principal its keys speak for.
    pub name: ServiceName,
    /// Its name for people.
    pub display_name: String,
    /// The names under which callers sign requests to it.
    pub signing_names: BTreeSet<String>,
    /// The hosts at which callers reach it, as their `host` header says.
    pub hosts: BTreeSet<String>,
    /// The regions in which it keeps resources.
    pub regions: BTreeSet<Region>,
    /// The roles it defines, by principal.
    pub templates: BTreeMap<ServiceName, Template>,
    /// The policies that it offers to its customers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<PolicyName, OfferedPolicy>,
    /// What it may call onward in its callers' names.
    #[serde(default)]
    pub forward: Documents,
    /// How use of its roles is known.
    pub usage: UsageSource,
    /// Where it is asked, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
    /// What proves it beside its keys, if anything does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Box<ServiceIdentity>>,
    /// When it was registered, in milliseconds since 1970.
    pub created_ms: i64,
}
