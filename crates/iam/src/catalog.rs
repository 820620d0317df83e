//! linkrole's own managed policies: what an account can attach from the first day.
//!
//! The texts are ours; all have the path `/`. Not here: the permissions of linked services, and the policies that
//! these offer ([`crate::offered`]), which come with their manifests and are rows.

use crate::rows::PermissionsPolicy;
use crate::text::PolicyName;
use policy::Dialect;
use std::sync::LazyLock;

/// A managed policy of ours.
pub struct SystemPolicy {
    /// Whose accounts have it.
    pub dialect: Dialect,
    /// Its name.
    pub name: PolicyName,
    /// What it is for.
    pub description: &'static str,
    /// Its document.
    pub document: PermissionsPolicy,
}

/// Dialect, name, what for, text.
const TEXTS: &[(Dialect, &str, &str, &str)] = &[
    (
        Dialect::Aws,
        "AdministratorAccess",
        "Everything, in this account.",
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"Everything","Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    ),
    (
        Dialect::Aws,
        "IAMFullAccess",
        "All of identity and access management, service-linked roles included.",
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"Identity","Effect":"Allow","Action":["iam:*","linkrole:*"],"Resource":"*"}]}"#,
    ),
    (
        Dialect::Aws,
        "IAMReadOnlyAccess",
        "Looking at users, roles and policies.",
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"Look","Effect":"Allow","Action":["iam:Get*","iam:List*"],"Resource":"*"}]}"#,
    ),
    (
        Dialect::Alibaba,
        "AdministratorAccess",
        "Everything, in this account.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    ),
    (
        Dialect::Alibaba,
        "AliyunRAMFullAccess",
        "All of users, roles and policies, service-linked roles included.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["ram:*","linkrole:*"],"Resource":"*"}]}"#,
    ),
    (
        Dialect::Alibaba,
        "AliyunRAMReadOnlyAccess",
        "Looking at users, roles and policies.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["ram:Get*","ram:List*"],"Resource":"*"}]}"#,
    ),
    (
        Dialect::Alibaba,
        "AliyunSTSAssumeRoleAccess",
        "Assuming every role that trusts this account.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}"#,
    ),
    (
        Dialect::Alibaba,
        "AliyunActionTrailReadOnlyAccess",
        "Looking at the trail.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"actiontrail:LookupEvents","Resource":"*"}]}"#,
    ),
];

static POLICIES: LazyLock<Vec<SystemPolicy>> = LazyLock::new(|| {
    let parsed = TEXTS.iter().map(|(dialect, name, description, text)| {
        Some(SystemPolicy {
            dialect: *dialect,
            name: PolicyName::parse(name).ok()?,
            description,
            document: PermissionsPolicy::parse(text, *dialect).ok()?,
        })
    });
    parsed.flatten().collect()
});

/// All that accounts of a dialect have, by name.
pub fn system_policies(dialect: Dialect) -> impl Iterator<Item = &'static SystemPolicy> {
    POLICIES.iter().filter(move |p| p.dialect == dialect)
}

/// One of them. Names are matched ignoring case, as everywhere.
pub fn system_policy(dialect: Dialect, name: &PolicyName) -> Option<&'static SystemPolicy> {
    system_policies(dialect).find(|p| p.name.folded() == name.folded())
}

/// The document of the built-in administrator.
pub fn administrator(dialect: Dialect) -> Option<(String, PermissionsPolicy)> {
    let found = system_policies(dialect).find(|p| p.name.as_str() == "AdministratorAccess")?;
    Some((found.name.to_string(), found.document.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_of_ours_parses() {
        assert_eq!(POLICIES.len(), TEXTS.len());
    }
}
