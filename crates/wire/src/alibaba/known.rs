//! The names of the operations of this dialect: those that are done, and facts about the rest.

use super::Product;
use iam::operations::Operation;
use policy::Dialect;

/// What is done of each product, sorted.
pub const DONE: &[(Product, &[&str])] = &[
    (
        Product::Ram,
        &[
            "AddUserToGroup",
            "AttachPolicyToGroup",
            "AttachPolicyToRole",
            "AttachPolicyToUser",
            "ClearAccountAlias",
            "CreateAccessKey",
            "CreateGroup",
            "CreatePolicy",
            "CreatePolicyVersion",
            "CreateRole",
            "CreateServiceLinkedRole",
            "CreateUser",
            "DecodeDiagnosticMessage",
            "DeleteAccessKey",
            "DeleteGroup",
            "DeletePolicy",
            "DeletePolicyVersion",
            "DeleteRole",
            "DeleteServiceLinkedRole",
            "DeleteUser",
            "DetachPolicyFromGroup",
            "DetachPolicyFromRole",
            "DetachPolicyFromUser",
            "GetAccessKeyLastUsed",
            "GetAccountAlias",
            "GetGroup",
            "GetPolicy",
            "GetPolicyVersion",
            "GetRole",
            "GetServiceLinkedRoleDeletionStatus",
            "GetServiceLinkedRoleTemplate",
            "GetUser",
            "ListAccessKeys",
            "ListEntitiesForPolicy",
            "ListGroups",
            "ListGroupsForUser",
            "ListPolicies",
            "ListPoliciesForGroup",
            "ListPoliciesForRole",
            "ListPoliciesForUser",
            "ListPolicyVersions",
            "ListRoles",
            "ListTagResources",
            "ListUsers",
            "ListUsersForGroup",
            "RemoveUserFromGroup",
            "SetAccountAlias",
            "SetDefaultPolicyVersion",
            "TagResources",
            "UntagResources",
            "UpdateAccessKey",
            "UpdateGroup",
            "UpdatePolicyDescription",
            "UpdateRole",
            "UpdateUser",
        ],
    ),
    (Product::Sts, &["AssumeRole", "AssumeRoleWithOIDC", "GetCallerIdentity"]),
    (
        Product::Ims,
        &[
            "AddClientIdToOIDCProvider",
            "AddFingerprintToOIDCProvider",
            "CreateAccessKey",
            "CreateOIDCProvider",
            "CreateUser",
            "DeleteAccessKey",
            "DeleteOIDCProvider",
            "DeleteUser",
            "GetAccessKeyLastUsed",
            "GetOIDCProvider",
            "GetUser",
            "ListAccessKeys",
            "ListOIDCProviders",
            "ListTagResources",
            "ListUsers",
            "RemoveClientIdFromOIDCProvider",
            "RemoveFingerprintFromOIDCProvider",
            "TagResources",
            "UntagResources",
            "UpdateAccessKey",
            "UpdateOIDCProvider",
            "UpdateUser",
        ],
    ),
    (
        Product::ResourceManager,
        &[
            "AttachPolicy",
            "CreatePolicy",
            "CreatePolicyVersion",
            "CreateRole",
            "CreateServiceLinkedRole",
            "DeletePolicy",
            "DeletePolicyVersion",
            "DeleteRole",
            "DeleteServiceLinkedRole",
            "DetachPolicy",
            "GetPolicy",
            "GetPolicyVersion",
            "GetRole",
            "GetServiceLinkedRoleDeletionStatus",
            "GetServiceLinkedRoleTemplate",
            "ListPolicies",
            "ListPolicyAttachments",
            "ListPolicyVersions",
            "ListRoles",
            "SetDefaultPolicyVersion",
            "UpdateRole",
        ],
    ),
    (Product::ActionTrail, &["LookupEvents"]),
];

/// The operation of a product, by its exact name, if it is done.
pub fn find(product: Product, action: &str) -> Option<&'static str> {
    let (_, names) = DONE.iter().find(|(of, _)| *of == product)?;
    names.binary_search(&action).ok().and_then(|at| names.get(at)).copied()
}

/// The row of the operation table that an operation of this dialect belongs to: of one that is several there,
/// like `TagResources`, the first.
pub fn operation(action: &str) -> Option<Operation> {
    let table = match action {
        "AttachPolicy" => return Some(Operation::AttachRolePolicy),
        "DetachPolicy" => return Some(Operation::DetachRolePolicy),
        "AssumeRoleWithOIDC" => return Some(Operation::AssumeRole),
        _ => Operation::ALL,
    };
    let of_this_name = |o: &&Operation| o.name(Dialect::Alibaba) == action;
    Operation::named(action).or_else(|| table.iter().find(of_this_name).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_that_is_done_is_in_the_table() {
        for (product, names) in DONE {
            for name in *names {
                assert!(operation(name).is_some(), "{product:?} {name}");
            }
        }
    }

    #[test]
    fn every_product_is_sorted_and_found() {
        for (product, names) in DONE {
            assert!(names.is_sorted_by(|a, b| a < b), "{product:?}");
            assert!(names.iter().all(|name| find(*product, name) == Some(*name)));
        }
        assert_eq!(DONE.len(), Product::ALL.len());
        assert_eq!(find(Product::Ram, "getrole"), None);
    }
}
