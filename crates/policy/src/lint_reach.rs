//! Findings about what a whole document comes to: statements without effect, and ways to more rights.

use crate::condition::OperatorClass;
use crate::coverage::{covers_statement, meets_resource};
use crate::document::{
    Actions, Document, PolicyKind, PrincipalEntry, Principals, Resources, Statement,
    StatementEffect,
};
use crate::lint::Linter;
use crate::pattern::{Incomplete, Part, Template};
use crate::request::Context;

/// A way to more rights: the actions that it takes, all of them, and how it goes.
type Route = (&'static [&'static str], &'static str);

/// Ways to raise one's own rights.
const ROUTES: &[Route] = &[
    (&["iam:CreatePolicyVersion"], "a new version of a policy that one has can allow everything"),
    (
        &["iam:SetDefaultPolicyVersion"],
        "an older, wider version of a policy can be made valid again",
    ),
    (&["iam:AttachUserPolicy"], "any policy can be attached to one's own user"),
    (&["iam:AttachGroupPolicy"], "any policy can be attached to a group one is in"),
    (&["iam:AttachRolePolicy"], "any policy can be attached to a role that one uses"),
    (&["iam:PutUserPolicy"], "an inline policy of one's own user can allow everything"),
    (&["iam:PutGroupPolicy"], "an inline policy of a group one is in can allow everything"),
    (&["iam:PutRolePolicy"], "an inline policy of a role that one uses can allow everything"),
    (&["iam:AddUserToGroup"], "one can join a group with more rights"),
    (&["iam:UpdateAssumeRolePolicy"], "a role with more rights can be made to trust oneself"),
    (&["iam:CreateAccessKey"], "an access key of another user can be made"),
    (&["iam:CreateLoginProfile"], "a password of another user can be set"),
    (&["iam:UpdateLoginProfile"], "the password of another user can be changed"),
    (&["iam:DeleteUserPermissionsBoundary"], "the cap on one's own user can be taken off"),
    (&["iam:DeleteRolePermissionsBoundary"], "the cap on a role that one uses can be taken off"),
    (
        &["iam:PutUserPermissionsBoundary"],
        "the cap on one's own user can be replaced by a wider one",
    ),
    (&["iam:PutRolePermissionsBoundary"], "the cap on a role that one uses can be replaced"),
    (&["iam:DeleteUserPolicy"], "a policy that denies can be removed from one's own user"),
    (&["iam:DetachUserPolicy"], "a policy that denies can be detached from one's own user"),
    (&["iam:DeleteRolePolicy"], "a policy that denies can be removed from a role that one uses"),
    (&["iam:DetachRolePolicy"], "a policy that denies can be detached from a role that one uses"),
    (&["sts:AssumeRole"], "every role can be assumed that trusts the account"),
    (&["iam:PassRole", "ec2:RunInstances"], "a machine can be started with a role of more rights"),
    (
        &["iam:PassRole", "lambda:CreateFunction"],
        "a function can be made with a role of more rights",
    ),
    (&["iam:PassRole", "ecs:RunTask"], "a container can be run with a role of more rights"),
    (
        &["iam:PassRole", "ecs:RegisterTaskDefinition"],
        "a container can be given a role of more rights",
    ),
    (
        &["iam:PassRole", "cloudformation:CreateStack"],
        "a stack can be built with a role of more rights",
    ),
    (
        &["iam:PassRole", "glue:CreateDevEndpoint"],
        "an endpoint can be made with a role of more rights",
    ),
    (&["iam:PassRole", "glue:CreateJob"], "a job can be made with a role of more rights"),
    (&["iam:PassRole", "codebuild:CreateProject"], "a build can be run with a role of more rights"),
    (&["iam:PassRole", "sagemaker:CreateNotebookInstance"], "a notebook can be given such a role"),
    (&["iam:PassRole", "states:CreateStateMachine"], "a state machine can be given such a role"),
];

/// The most patterns of a document whose statements are compared, as every two of them are.
const PATTERNS_MAX: usize = 500;

/// Condition keys that say who a caller is, or for whom a service calls.
const WHO: [&str; 12] = [
    "aws:PrincipalArn",
    "aws:PrincipalAccount",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalServiceName",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:userid",
    "aws:username",
    "sts:ExternalId",
];

/// Looks at a whole document.
pub(crate) fn document(
    linter: &mut Linter<'_>,
    document: &Document,
    kind: PolicyKind,
    paths: &[String],
) {
    without_effect(linter, document, kind, paths);
    match kind {
        PolicyKind::Identity | PolicyKind::Managed => {
            full_access(linter, document, paths);
            escalation(linter, document, kind, paths);
            service_linked_roles(linter, document, paths);
        }
        PolicyKind::Trust => trust(linter, document, paths),
        _ => {}
    }
}

/// Allows that a deny covers, and statements that another of the same effect covers.
fn without_effect(
    linter: &mut Linter<'_>,
    document: &Document,
    kind: PolicyKind,
    paths: &[String],
) {
    let statements = document.statements();
    if statements.iter().map(patterns).sum::<usize>() > PATTERNS_MAX {
        return;
    }
    for (at, (under, path)) in statements.iter().zip(paths).enumerate() {
        let covering = |effect: StatementEffect| {
            statements.iter().enumerate().find(|(number, over)| {
                // Of two that cover each other the later one is the one too many.
                let mutual = || covers_statement(under, over, kind);
                *number != at
                    && over.effect == effect
                    && covers_statement(over, under, kind)
                    && (over.effect != under.effect || *number < at || !mutual())
            })
        };
        if under.effect == StatementEffect::Allow
            && let Some((number, _)) = covering(StatementEffect::Deny)
        {
            let message = format!("statement {number} denies everything that this one allows");
            let fix = "remove the statement, or narrow the deny";
            linter.warn("unreachable-allow", path, message, fix);
        } else if let Some((number, _)) = covering(under.effect) {
            let message = format!("statement {number} covers everything in this one");
            let fix = "remove the statement, or narrow the other";
            linter.suggest("redundant-statement", path, message, fix);
        }
    }
}

/// How many patterns a statement has.
fn patterns(statement: &Statement) -> usize {
    let (Actions::Only(actions) | Actions::AllBut(actions)) = &statement.actions;
    let resources = match &statement.resources {
        Resources::Only(list) | Resources::AllBut(list) => list.len(),
        Resources::Attached => 0,
    };
    actions.len() + resources
}

fn is_everything(resources: &Resources) -> bool {
    match resources {
        Resources::Only(list) => list.iter().any(Template::is_everything),
        Resources::Attached => true,
        Resources::AllBut(_) => false,
    }
}

fn is_full(statement: &Statement) -> bool {
    let everything =
        |list: &[crate::pattern::Pattern]| list.iter().any(|p| matches!(p.text(), "*" | "*:*"));
    statement.effect == StatementEffect::Allow
        && statement.conditions.is_empty()
        && is_everything(&statement.resources)
        && matches!(&statement.actions, Actions::Only(list) if everything(list))
}

fn full_access(linter: &mut Linter<'_>, document: &Document, paths: &[String]) {
    for (statement, path) in document.statements().iter().zip(paths) {
        if is_full(statement) {
            let message = "every action on every resource is allowed";
            linter.warn("full-access", path, message, "list what is needed");
        }
    }
}

fn is_about(actions: &Actions, action: &str) -> bool {
    match actions {
        Actions::Only(list) => list.iter().any(|p| p.matches_action(action)),
        Actions::AllBut(list) => !list.iter().any(|p| p.matches_action(action)),
    }
}

/// Whether a statement lets its holder choose among resources of the action's service.
///
/// Conditions, variables and complete names count as narrow enough: they are how such rights are given well.
fn is_open(statement: &Statement, action: &str, kind: PolicyKind) -> bool {
    let service = action.split_once(':').map_or("", |(service, _)| service);
    let names = format!("arn:*:{service}:*:*:*");
    let wild = |template: &Template| {
        let parts = template.parts();
        parts.contains(&Part::Star) && !parts.iter().any(|part| matches!(part, Part::Variable(_)))
    };
    let choice = match &statement.resources {
        Resources::Only(list) => list.iter().any(|t| wild(t) && meets_resource(t, &names, kind)),
        Resources::Attached | Resources::AllBut(_) => true,
    };
    statement.effect == StatementEffect::Allow
        && statement.conditions.is_empty()
        && !is_full(statement)
        && is_about(&statement.actions, action)
        && choice
}

/// The number of the first statement that gives an action openly, unless the document denies it.
fn giver(document: &Document, action: &str, kind: PolicyKind) -> Option<usize> {
    let statements = document.statements();
    let denied = statements.iter().any(|s| {
        s.effect == StatementEffect::Deny
            && s.conditions.is_empty()
            && is_everything(&s.resources)
            && is_about(&s.actions, action)
    });
    let giver = statements.iter().position(|s| is_open(s, action, kind));
    giver.filter(|_| !denied)
}

fn escalation(linter: &mut Linter<'_>, document: &Document, kind: PolicyKind, paths: &[String]) {
    for (at, path) in paths.iter().enumerate() {
        let mut routes = Vec::new();
        for (actions, how) in ROUTES {
            let givers: Option<Vec<usize>> =
                actions.iter().map(|action| giver(document, action, kind)).collect();
            if givers.is_some_and(|givers| givers.first() == Some(&at)) {
                routes.push(format!("{how} ({})", actions.join(" and ")));
            }
        }
        let Some(first) = routes.first() else { continue };
        let more = match routes.len() {
            1 => String::new(),
            n => format!("; {} more: {}", n - 1, routes.get(1..).unwrap_or_default().join("; ")),
        };
        let message = format!("a way to more rights: {first}{more}");
        let fix = "name the resources without wildcards, add a condition, or cap the rights with \
                   a permissions boundary";
        linter.warn("privilege-escalation", path, message, fix);
    }
}

/// Service-linked roles for services of the holder's choice.
fn service_linked_roles(linter: &mut Linter<'_>, document: &Document, paths: &[String]) {
    const ACTION: &str = "iam:CreateServiceLinkedRole";
    // A role of a service that nobody has named: a pattern that fits it fits every service's.
    const ANY: &str = "arn:aws:iam::000000000000:role/aws-service-role/unnamed.invalid/Unnamed";
    for (statement, path) in document.statements().iter().zip(paths) {
        let Actions::Only(_) = &statement.actions else { continue };
        let narrowed = statement.conditions.iter().any(|c| {
            c.key.eq_ignore_ascii_case("iam:AWSServiceName")
                && c.operator.is_some_and(|o| {
                    !o.if_exists && !o.class.is_negated() && o.class != OperatorClass::Null
                })
        });
        let fits = |t: &Template| {
            t.matches_resource(ANY, &Context::new(), Incomplete::Filled) == Some(true)
        };
        let any = match &statement.resources {
            Resources::Only(list) => list.iter().any(fits),
            Resources::Attached | Resources::AllBut(_) => true,
        };
        let allows = statement.effect == StatementEffect::Allow && !is_full(statement);
        if allows && any && !narrowed && is_about(&statement.actions, ACTION) {
            let message = "service-linked roles may be made for every service";
            let fix = "add `StringEquals` on `iam:AWSServiceName` with the services that are meant";
            linter.warn("service-linked-role-any", path, message, fix);
        }
    }
}

/// Trust in everybody who meets conditions that do not say who.
fn trust(linter: &mut Linter<'_>, document: &Document, paths: &[String]) {
    for (statement, path) in document.statements().iter().zip(paths) {
        let everybody = match &statement.principals {
            Principals::Only(list) => list.contains(&PrincipalEntry::Everyone),
            Principals::AllBut(_) | Principals::Attached => false,
        };
        let says_who = statement
            .conditions
            .iter()
            .any(|c| WHO.iter().any(|key| key.eq_ignore_ascii_case(&c.key)));
        let allows = statement.effect == StatementEffect::Allow;
        if allows && everybody && !statement.conditions.is_empty() && !says_who {
            let message = "anybody in any account who meets the conditions may assume this role";
            let fix = "name the principals, or add a condition on `aws:PrincipalOrgID` or the like";
            linter.warn("trust-wildcard", path, message, fix);
        }
    }
}
