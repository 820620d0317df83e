//! What the linter is told of actions: those that this server knows, with their resources and condition keys.

use ::policy::{ActionFact, ActionFacts, Arn, Dialect};
use iam::operations::{Guard, Operation, Resource};

/// Condition keys that requests for any action may have.
const GLOBAL_KEYS: [&str; 42] = [
    "aws:CalledVia",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
    "aws:CurrentTime",
    "aws:Ec2InstanceSourcePrivateIPv4",
    "aws:Ec2InstanceSourceVpc",
    "aws:EpochTime",
    "aws:FederatedProvider",
    "aws:MultiFactorAuthAge",
    "aws:MultiFactorAuthPresent",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalServiceName",
    "aws:PrincipalServiceNamesList",
    "aws:PrincipalTag/",
    "aws:PrincipalType",
    "aws:Referer",
    "aws:RequestedRegion",
    "aws:RequestTag/",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "aws:ResourceOrgPaths",
    "aws:ResourceTag/",
    "aws:SecureTransport",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIdentity",
    "aws:SourceIp",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceVpc",
    "aws:SourceVpcArn",
    "aws:SourceVpce",
    "aws:TagKeys",
    "aws:TokenIssueTime",
    "aws:UserAgent",
    "aws:userid",
    "aws:username",
    "aws:ViaAWSService",
];

/// Operations that RAM has and the AWS dialect has not.
const ONLY_RAM: [Operation; 8] = [
    Operation::AddFingerprintToOIDCProvider,
    Operation::DecodeDiagnosticMessage,
    Operation::GetServiceLinkedRoleTemplate,
    Operation::ListPolicyAttachments,
    Operation::ListUsersForGroup,
    Operation::RemoveFingerprintFromOIDCProvider,
    Operation::UpdateOIDCProvider,
    Operation::UpdatePolicyDescription,
];

/// What is known of the actions of this server.
pub fn facts() -> ActionFacts {
    let asked = |o: &&Operation| {
        matches!(o.facts().guard, Guard::Policy | Guard::Trust) && !ONLY_RAM.contains(o)
    };
    let mut actions: Vec<ActionFact> = Operation::ALL.iter().filter(asked).map(fact).collect();
    // Not an operation of its own: it is asked for when a role is handed to a service.
    actions.push(ActionFact {
        action: "iam:PassRole".to_owned(),
        resources: vec![name("role")],
        keys: owned(&["iam:PassedToService", "iam:AssociatedResourceArn", "iam:ResourceTag/"]),
    });
    // Asked for together with AssumeRole, in trust policies.
    for (action, keys) in [
        ("sts:TagSession", &["sts:TransitiveTagKeys", "sts:RoleSessionName"][..]),
        ("sts:SetSourceIdentity", &["sts:SourceIdentity", "sts:RoleSessionName"]),
    ] {
        let keys = owned(keys);
        actions.push(ActionFact { action: action.to_owned(), resources: sessions(), keys });
    }
    ActionFacts { actions, global_keys: owned(&GLOBAL_KEYS) }
}

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// The names of the resources of a type of this server.
fn name(kind: &str) -> String {
    let any = || "*".to_owned();
    let arn = Arn {
        partition: any(),
        service: "iam".to_owned(),
        region: String::new(),
        account: any(),
        resource: format!("{kind}/*"),
    };
    arn.to_string()
}

/// Both act on roles and on users, by what the session is made for.
fn sessions() -> Vec<String> {
    vec![name("role"), name("user")]
}

fn fact(operation: &Operation) -> ActionFact {
    let resources = match operation.facts().resource {
        Resource::None => Vec::new(),
        Resource::Role => vec![name("role")],
        Resource::User => vec![name("user")],
        Resource::Group => vec![name("group")],
        Resource::Policy => vec![name("policy")],
        Resource::Entity => ["user", "group", "role", "policy"].map(name).to_vec(),
        Resource::InstanceProfile => vec![name("instance-profile")],
        Resource::OidcProvider => vec![name("oidc-provider")],
    };
    ActionFact { action: operation.action(Dialect::Aws), resources, keys: keys(*operation) }
}

/// The condition keys that the server sets for some operations only, and those of the vendor beside them.
fn keys(operation: Operation) -> Vec<String> {
    use Operation as O;
    let own: &[&str] = match operation {
        O::AttachRolePolicy | O::DetachRolePolicy | O::AttachUserPolicy | O::DetachUserPolicy => {
            &["iam:PolicyARN", "iam:PermissionsBoundary"]
        }
        O::AttachGroupPolicy | O::DetachGroupPolicy => &["iam:PolicyARN"],
        O::CreateServiceLinkedRole
        | O::DeleteServiceLinkedRole
        | O::GetServiceLinkedRoleDeletionStatus => &["iam:AWSServiceName"],
        O::AssumeRole => &[
            "sts:RoleSessionName",
            "sts:ExternalId",
            "sts:SourceIdentity",
            "sts:TransitiveTagKeys",
            "iam:ResourceTag/",
        ],
        _ => &[],
    };
    let of_type: &[&str] = match operation.facts().resource {
        // The server sets these for every action on a role that has them.
        Resource::Role if operation != O::AssumeRole => {
            &["iam:ResourceTag/", "iam:PermissionsBoundary", "iam:AWSServiceName"]
        }
        Resource::User => &["iam:ResourceTag/", "iam:PermissionsBoundary"],
        Resource::Policy | Resource::InstanceProfile | Resource::Entity => &["iam:ResourceTag/"],
        Resource::None | Resource::Role | Resource::Group | Resource::OidcProvider => &[],
    };
    let mut keys = owned(own);
    keys.extend(owned(of_type));
    keys
}
