//! Every kind of finding that there is, with a text that says why it matters.

use crate::lint::Severity;

/// A kind of finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Its fixed name.
    pub code: &'static str,
    /// How bad such findings are.
    pub severity: Severity,
    /// What is found, in a line.
    pub title: &'static str,
    /// Why it matters and what to do.
    pub help: &'static str,
}

const fn rule(
    code: &'static str,
    severity: Severity,
    title: &'static str,
    help: &'static str,
) -> Rule {
    Rule { code, severity, title, help }
}

use Severity::{Error, Suggestion, Warning};

/// All kinds of findings.
pub const RULES: &[Rule] = &[
    rule(
        "malformed",
        Error,
        "the text is no policy of this kind",
        "The document is refused when it is stored. The finding carries the vendor's error text and the place.",
    ),
    rule(
        "unknown-operator",
        Error,
        "there is no such condition operator",
        "The document is refused. An evaluator that took it would never find the condition true. The operator of the nearest spelling is named.",
    ),
    rule(
        "old-version",
        Suggestion,
        "the policy has no version or an old one",
        "Only version `2012-10-17` knows all of the language. Set `Version`.",
    ),
    rule(
        "variables-off",
        Warning,
        "`${...}` is plain text in this version",
        "Without version `2012-10-17` no variable is filled in, so the statement matches text with dollar signs only. Set `Version`.",
    ),
    rule(
        "never-matches",
        Warning,
        "the statement, or a pattern in it, fits nothing",
        "A deny that never matches protects nothing, and an allow that never matches grants nothing.",
    ),
    rule(
        "incomplete-arn",
        Warning,
        "a resource name has fewer than six parts",
        "What the missing parts stand for depends on the kind of policy. Write all six, with `*` where any will do.",
    ),
    rule(
        "action-everything",
        Warning,
        "`*:*` covers every action of every service",
        "It is easily taken for something narrower. Write `*`, or name the service.",
    ),
    rule(
        "full-access",
        Warning,
        "an allow of every action on every resource",
        "Whoever has this is an administrator. List what is needed instead.",
    ),
    rule(
        "allow-not-action",
        Warning,
        "an allow with `NotAction`",
        "It covers every other action there is, also those of services that do not exist yet. List the actions.",
    ),
    rule(
        "allow-not-resource",
        Warning,
        "an allow with `NotResource`",
        "It covers every other resource there is. List the resources.",
    ),
    rule(
        "allow-not-principal",
        Warning,
        "an allow with `NotPrincipal`",
        "It covers everybody else, also strangers. Use `Principal`.",
    ),
    rule(
        "deny-not-principal",
        Warning,
        "a deny with `NotPrincipal`",
        "It also hits principals with a permissions boundary, and sessions whose role and account are not listed. Use a condition on `aws:PrincipalArn`.",
    ),
    rule(
        "public",
        Warning,
        "a resource policy allows everybody",
        "Requests without credentials are allowed too. Name the principals, or add a condition.",
    ),
    rule(
        "trust-everyone",
        Warning,
        "a trust policy trusts everybody",
        "Anybody in any account may try to assume the role. Name the principals.",
    ),
    rule(
        "trust-wildcard",
        Warning,
        "a trust policy trusts everybody who meets conditions that do not say who",
        "Conditions on time, address or the like let anybody in who meets them. Name the principals, or add a condition on the caller, as `aws:PrincipalOrgID`.",
    ),
    rule(
        "for-all-values-absent",
        Warning,
        "`ForAllValues` in an allow without a test that the key is there",
        "It holds when the request does not have the key at all. Add `Null` with value `false`.",
    ),
    rule(
        "for-any-value-if-exists",
        Warning,
        "`ForAnyValue` with `IfExists` in an allow",
        "It holds when the request does not have the key. Drop `IfExists`.",
    ),
    rule(
        "needs-set-operator",
        Warning,
        "a key of several values with a plain operator",
        "Without `ForAnyValue:` or `ForAllValues:` nothing matches.",
    ),
    rule(
        "literal-wildcard",
        Warning,
        "`*` with an operator that takes it literally",
        "Use `StringLike` or `StringNotLike`.",
    ),
    rule(
        "mfa-absent",
        Warning,
        "a deny with `Bool` on `aws:MultiFactorAuthPresent`",
        "Requests with long-term keys lack the key, so the deny misses them. Use `BoolIfExists`.",
    ),
    rule(
        "key-never-present",
        Warning,
        "a condition on a key that the actions never have",
        "The key is absent in every request for these actions: an allow never matches, or always, whatever values are listed.",
    ),
    rule(
        "resource-ignored",
        Warning,
        "a resource for an action that knows none",
        "Such an action is checked against `*` alone, so the statement does not match it. Write `*` in a statement of its own.",
    ),
    rule(
        "resource-of-other-type",
        Warning,
        "a resource that none of the actions is checked against",
        "No request for these actions has such a resource. Name a resource of their type.",
    ),
    rule(
        "unreachable-allow",
        Warning,
        "an allow that a deny of the same document covers",
        "A deny wins, so the allow grants nothing. Remove one of the two, or narrow the deny.",
    ),
    rule(
        "redundant-statement",
        Suggestion,
        "a statement that another of the same effect covers",
        "It changes no decision. Remove it, or narrow the other.",
    ),
    rule(
        "privilege-escalation",
        Warning,
        "actions by which one can raise one's own rights",
        "Whoever may change policies, trust or credentials of others, or hand roles to machines, can get rights that nobody gave him. Narrow the resources, or cap the result with a permissions boundary.",
    ),
    rule(
        "service-linked-role-any",
        Warning,
        "service-linked roles may be made for every service",
        "Each such role gives a service rights in the account. Add a condition on `iam:AWSServiceName`.",
    ),
];
