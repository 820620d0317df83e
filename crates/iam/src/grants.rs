//! What a user or an ordinary role is granted: managed and inline policies, and a boundary.

use crate::policy_text::PermissionsPolicy;
use crate::text::{Path, PolicyId, PolicyName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A managed policy as something refers to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyRef {
    /// A customer policy, by its unique id: a policy made again under the name is another one.
    Customer(PolicyId),
    /// One of linkrole's own policies, by path and name.
    System {
        /// Its path.
        path: Path,
        /// Its name.
        name: PolicyName,
    },
}

/// What a user or an ordinary role is granted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Grants {
    /// Attached managed policies, with the time they were attached, in milliseconds since 1970.
    #[serde(with = "pairs")]
    pub attached: BTreeMap<PolicyRef, i64>,
    /// Inline policies by name.
    pub inline: BTreeMap<PolicyName, PermissionsPolicy>,
    /// The permissions boundary.
    pub boundary: Option<PolicyRef>,
}

/// A map as a list of pairs, for keys that are no texts.
mod pairs {
    use super::{BTreeMap, PolicyRef};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(
        map: &BTreeMap<PolicyRef, i64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(
        deserializer: D,
    ) -> Result<BTreeMap<PolicyRef, i64>, D::Error> {
        Ok(Vec::<(PolicyRef, i64)>::deserialize(deserializer)?.into_iter().collect())
    }
}
