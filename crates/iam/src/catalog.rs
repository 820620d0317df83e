//! linkrole's own managed policies: what an account can attach from the first day.
//!
//! The texts are ours. Not here: the permissions of linked services, which come with their
//! manifests and are rows.

use crate::rows::PermissionsPolicy;
use crate::text::{Path, PolicyName};
use std::sync::LazyLock;

/// A managed policy of ours.
pub struct SystemPolicy {
    /// Its path.
    pub path: Path,
    /// Its name.
    pub name: PolicyName,
    /// What it is for.
    pub description: &'static str,
    /// Its document.
    pub document: PermissionsPolicy,
}

const TEXTS: &[(&str, &str, &str)] = &[
    (
        "AdministratorAccess",
        "Everything, in this account.",
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"Everything","Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    ),
    (
        "IAMFullAccess",
        "All of identity and access management, service-linked roles included.",
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"Identity","Effect":"Allow","Action":"iam:*","Resource":"*"}]}"#,
    ),
    (
        "IAMReadOnlyAccess",
        "Looking at users, roles and policies.",
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"Look","Effect":"Allow","Action":["iam:Get*","iam:List*"],"Resource":"*"}]}"#,
    ),
];

static POLICIES: LazyLock<Vec<SystemPolicy>> = LazyLock::new(|| {
    let parsed = TEXTS.iter().map(|(name, description, text)| {
        Some(SystemPolicy {
            path: Path::parse("/").ok()?,
            name: PolicyName::parse(name).ok()?,
            description,
            document: PermissionsPolicy::parse(text).ok()?,
        })
    });
    parsed.flatten().collect()
});

/// All of them, by name.
pub fn system_policies() -> &'static [SystemPolicy] {
    &POLICIES
}

/// One of them. Names are matched ignoring case, as everywhere.
pub fn system_policy(path: &Path, name: &PolicyName) -> Option<&'static PermissionsPolicy> {
    system_policies()
        .iter()
        .find(|p| p.path == *path && p.name.folded() == name.folded())
        .map(|p| &p.document)
}

/// The document of the built-in administrator.
pub fn administrator() -> Option<(String, PermissionsPolicy)> {
    let found = system_policies().iter().find(|p| p.name.as_str() == "AdministratorAccess")?;
    Some((found.name.to_string(), found.document.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_of_ours_parses() {
        assert_eq!(system_policies().len(), TEXTS.len());
    }
}
