//! The checks that the parser makes on single names: actions, resources and principals.
//!
//! Each returns what is wrong, in the vendor's words where there are some; where to report it is the
//! parser's business.

use crate::document::PolicyKind;
use crate::name::{self, Dialect};
use crate::pattern::{Part, Template};

/// What is wrong with a resource.
pub(crate) struct ResourceProblem {
    /// The vendor's text; without one it is the general text for what old parsers refuse.
    pub message: Option<String>,
    /// Whether the vendor finds it early, before looking for missing elements.
    pub legacy: bool,
    /// What was found and what to do.
    pub detail: String,
}

/// What is wrong with an action pattern.
pub(crate) fn action_problem(text: &str, dialect: Dialect, storing: bool) -> Option<String> {
    if text == "*" {
        return None;
    }
    let Some((vendor, name)) = text.split_once(':') else {
        return Some(
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.".to_owned(),
        );
    };
    if name.contains(':') {
        return Some("Actions/Condition can contain only one colon.".to_owned());
    }
    let plain = vendor.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    // A wild vendor is the safer reading in a deny; storing accepts no other form than `*:...`.
    // RAM has wildcards in the product too. [src: ALIBABA.md 10]
    let wild = dialect == Dialect::Alibaba
        && vendor.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'*' | b'?'));
    if plain || wild || vendor == "*" || !storing {
        return None;
    }
    Some(format!("Vendor {vendor} is not valid"))
}

/// Whether an action may stand in a trust policy.
pub(crate) fn is_trust_action(text: &str) -> bool {
    [
        "sts:AssumeRole",
        "sts:AssumeRoleWithSAML",
        "sts:AssumeRoleWithWebIdentity",
        "sts:TagSession",
        "sts:SetSourceIdentity",
        "sts:SetContext",
    ]
    .iter()
    .any(|known| known.eq_ignore_ascii_case(text))
}

const IAM_TYPES: [&str; 13] = [
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
];

/// What is wrong with a resource pattern.
pub(crate) fn resource_problem(
    template: &Template,
    kind: PolicyKind,
    negated: bool,
    storing: bool,
) -> Option<ResourceProblem> {
    let text = template.text();
    if text == "*" {
        return None;
    }
    let problem = |message: String, detail: &str| {
        Some(ResourceProblem { message: Some(message), legacy: false, detail: detail.to_owned() })
    };
    let parts = colon_texts(template);
    let part = |number: usize| parts.get(number).map_or("", String::as_str);
    if parts.len() < 2 || part(0) != "arn" {
        let message = format!("Resource {text} must be in ARN format or \"*\".");
        return problem(message, "write a complete resource name or `*`");
    }
    let partition = part(1);
    let known = matches!(partition, "aws" | "aws-cn" | "aws-us-gov");
    if !known && (storing || partition.is_empty()) {
        let shown = |number: usize| match parts.get(number) {
            Some(text) if !(number == 2 && text.is_empty() && parts.len() == 3) => text.as_str(),
            _ => "*",
        };
        let rest = if parts.len() > 5 {
            parts.get(5..).unwrap_or_default().join(":")
        } else {
            "*".to_owned()
        };
        let (service, region, account) = (shown(2), shown(3), shown(4));
        let message = format!(
            "Partition \"{partition}\" is not valid for resource \"arn:{partition}:{service}:{region}:{account}:{rest}\"."
        );
        return problem(message, "the partition is `aws`");
    }
    if parts.len() < 3 || part(2).contains(['*', '?']) {
        let message = "Resource vendor must be fully qualified and cannot contain regexes.";
        return problem(message.to_owned(), "write the service's name in full");
    }
    if part(2).is_empty() || (parts.len() < 6 && text.contains("::") && storing) {
        let detail = "the resource name is incomplete; write all six parts".to_owned();
        return Some(ResourceProblem { message: None, legacy: true, detail });
    }
    let complete = parts.len() >= 6;
    if !complete && (matches!(kind, PolicyKind::Scp | PolicyKind::Rcp) || (negated && storing)) {
        let message = format!("Resource {text} must be in ARN format or \"*\".");
        return problem(message, "the resource name is incomplete; write all six parts");
    }
    if !storing {
        return None;
    }
    let (service, region) = (part(2), part(3));
    if service == "iam" && !region.is_empty() {
        let message = format!("IAM resource {text} cannot contain region information.");
        return problem(message, "leave the fourth part empty");
    }
    if service == "s3" && !region.is_empty() {
        let message = format!("Resource {text} can not contain region information.");
        return problem(message, "leave the fourth part empty");
    }
    if !complete {
        return None;
    }
    let resource = parts.get(5..).unwrap_or_default().join(":");
    if service == "iam" {
        let known = resource == "*"
            || resource == "root"
            || IAM_TYPES.iter().any(|start| resource.starts_with(start));
        let message = || {
            format!(
                "IAM resource path must either be \"*\" or start with {}.",
                IAM_TYPES.join(", ")
            )
        };
        return if known { None } else { problem(message(), "spell the resource's type in full") };
    }
    let typed = matches!(service, "sts" | "ec2" | "lambda" | "dynamodb" | "kms" | "rds" | "ecs");
    if typed
        && let Some((resource_type, rest)) = resource.split_once(['/', ':'])
        && resource_type.contains(['*', '?'])
        && !rest.is_empty()
    {
        let message = format!("Resource {text} must be in ARN format or \"*\".");
        return problem(message, "spell the resource's type in full; it may not hold a wildcard");
    }
    None
}

/// The template's text split at its colons, those inside variables excepted.
fn colon_texts(template: &Template) -> Vec<String> {
    let mut out = vec![String::new()];
    for part in template.parts() {
        let piece = match part {
            Part::Colon => {
                out.push(String::new());
                continue;
            }
            Part::Text(text) => text.to_string(),
            Part::Star => "*".to_owned(),
            Part::One => "?".to_owned(),
            Part::Variable(variable) => format!("${{{}}}", variable.name),
        };
        if let Some(last) = out.last_mut() {
            last.push_str(&piece);
        }
    }
    out
}

/// What is wrong with one entry of a principal element; `allows` says whether it could let anybody in.
pub(crate) fn principal_problem(
    kind: &str,
    text: &str,
    policy: PolicyKind,
    allows: bool,
) -> Option<&'static str> {
    if text.is_empty() {
        return Some("the principal is empty");
    }
    match kind {
        "RAM" => ram_principal_problem(text, policy),
        "AWS" if text == "*" || is_account(text) => None,
        "AWS" if name::is_unique_id(text) => None,
        "AWS" if text.contains(['*', '?']) => {
            Some("a principal has no wildcards; use the condition key `aws:PrincipalArn`")
        }
        "AWS" if policy == PolicyKind::Resource => match name::Arn::parse(text) {
            Some(arn) if arn.resource != "root" => None,
            _ => Some("expected an account, an ARN or `*`"),
        },
        "AWS" if text.starts_with("acs:") => Some("a principal of another dialect is not accepted"),
        "AWS" => match name::parse_entity(text) {
            Some(entity) => no_principal(&entity),
            None if is_federated_user(text) => None,
            None => Some("expected an account, or the ARN of a user, role or session"),
        },
        "Service" | "Federated" if text == "*" && !allows => None,
        "Service" | "Federated" if text.contains(['*', '?']) => {
            Some("a service or provider is named in full; wildcards are not allowed")
        }
        _ => None,
    }
}

/// Why what a name stands for cannot ask for anything itself.
fn no_principal(entity: &name::Entity) -> Option<&'static str> {
    use name::Entity;
    match entity {
        Entity::Policy { .. } => Some("a policy is no principal"),
        Entity::Group { .. } => Some("a group is no principal; name its users"),
        Entity::OidcProvider { .. } => Some("a provider stands under `Federated`"),
        Entity::Root { .. }
        | Entity::User { .. }
        | Entity::Role { .. }
        | Entity::AssumedRole { .. } => None,
    }
}

/// As [`principal_problem`], for the `RAM` entries of the RAM language.
fn ram_principal_problem(text: &str, policy: PolicyKind) -> Option<&'static str> {
    if text == "*" {
        let trusts = policy == PolicyKind::Trust;
        return trusts
            .then_some("a role trusts accounts, users, roles, services or providers by name");
    }
    if text.contains(['*', '?']) {
        return Some("a principal has no wildcards");
    }
    if text.starts_with("arn:") {
        return Some("a principal of another dialect is not accepted");
    }
    match name::parse_entity(&name::ram_spelling(text)) {
        Some(entity) => no_principal(&entity),
        None => Some("expected the ARN of an account's root, a user, a role or a session"),
    }
}

/// What is wrong with a resource pattern of the RAM language.
pub(crate) fn ram_resource_problem(template: &Template, storing: bool) -> Option<ResourceProblem> {
    let text = template.text();
    let complete = text.starts_with("acs:") && text.split(':').count() >= 5;
    if !storing || text == "*" || complete || (text.starts_with("acs:") && text.ends_with('*')) {
        return None;
    }
    Some(ResourceProblem {
        message: Some(format!("The resource {text} is not valid.")),
        legacy: false,
        detail: "write `acs:service:region:account:resource` or `*`".to_owned(),
    })
}

/// Twelve digits, or the ARN of a root user; names of another dialect are none here.
fn is_account(text: &str) -> bool {
    name::account_of_root(text).is_some_and(|account| account.len() == 12)
}

fn is_federated_user(text: &str) -> bool {
    let name = text
        .strip_prefix("arn:aws:sts::")
        .and_then(|rest| rest.split_once(":federated-user/"))
        .filter(|(account, _)| is_account(account));
    name.is_some_and(|(_, name)| name::is_name(name, 64))
}
