//! The words of denials and findings, places of errors, and federated-user sessions.
#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use policy::{
    Decision, Dialect, Document, Effect, Evaluate, Layer, Named, PolicyKind, PolicySet, Principal,
    PrincipalKind, Request, ResourceKind, ResourcePolicy, Severity, check, denial_text,
};
use worlds::Agreed;

fn decision(effect: Effect, layer: Layer) -> Decision {
    Decision { effect, layer, blocked_by: Vec::new(), matched: Vec::new() }
}

#[test]
fn denials_name_the_layer_that_decided() {
    let text = |effect, layer, trust| {
        denial_text(&decision(effect, layer), "arn:p", "s3:Get", Some("arn:r"), trust)
    };
    let base = "User: arn:p is not authorized to perform: s3:Get on resource: arn:r";
    for (layer, trust, implicit, explicit) in [
        (Layer::Identity, false, "identity-based policy", "an identity-based policy"),
        (Layer::Boundary, false, "permissions boundary", "a permissions boundary"),
        (Layer::Session, false, "session policy", "a session policy"),
        (Layer::Resource, false, "resource-based policy", "a resource-based policy"),
        (Layer::Resource, true, "role trust policy", "the role trust policy"),
        (Layer::Scp, false, "service control policy", "a service control policy"),
        (Layer::Rcp, false, "resource control policy", "a resource control policy"),
        (Layer::Endpoint, false, "VPC endpoint policy", "a VPC endpoint policy"),
    ] {
        assert_eq!(
            text(Effect::ImplicitDeny, layer, trust),
            format!("{base} because no {implicit} allows the s3:Get action")
        );
        assert_eq!(
            text(Effect::ExplicitDeny, layer, trust),
            format!("{base} with an explicit deny in {explicit}")
        );
    }
    let none = decision(Effect::ImplicitDeny, Layer::Identity);
    assert_eq!(
        denial_text(&none, "arn:p", "iam:ListUsers", None, false),
        "User: arn:p is not authorized to perform: iam:ListUsers because no identity-based policy allows the iam:ListUsers action"
    );
}

#[test]
fn errors_tell_line_column_and_path() {
    let text = "{\"Version\": \"2012-10-17\",\n \"Statement\": [\n  {\"Effect\": \"Allow\", \"Action\": \"é\",\n   \"Resource\": \"vault\"}]}";
    let error = Document::parse(text, PolicyKind::Identity, Dialect::Aws).unwrap_err();
    assert_eq!(error.message, "Resource vault must be in ARN format or \"*\".");
    assert_eq!((error.line, error.column), (4, 16));
    assert_eq!(error.path, "/Statement/0/Resource");
    let findings = check(text, PolicyKind::Identity);
    assert_eq!(findings.len(), 1);
    assert!(findings.iter().all(|f| f.severity == Severity::Error && f.line == 4));
}

fn codes(statement: &str, kind: PolicyKind) -> Vec<&'static str> {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
    check(&text, kind).into_iter().map(|f| f.code).collect()
}

#[test]
fn findings_are_made_for_what_misleads_and_not_otherwise() {
    use PolicyKind::{Identity, Resource, Trust};
    let with = |condition: &str| {
        format!(
            r#"{{"Effect":"Allow","Action":"s3:Get","Resource":"*","Condition":{{{condition}}}}}"#
        )
    };
    let all_values = r#""ForAllValues:StringEquals":{"aws:TagKeys":"a"}"#;
    let rows = [
        (with(r#""StringEquals":{"x:a":"b"}"#), Identity, ""),
        (with(all_values), Identity, "for-all-values-absent"),
        (with(&format!(r#"{all_values},"Null":{{"aws:tagkeys":"false"}}"#)), Identity, ""),
        (with(&format!(r#"{all_values},"Null":{{"aws:tagkeys":"true"}}"#)), Identity, "for-all-values-absent"),
        (with(all_values).replace("Allow", "Deny"), Identity, ""),
        (with(r#""ForAnyValue:StringEqualsIfExists":{"x:a":"b"}"#), Identity, "for-any-value-if-exists"),
        (with(r#""StringEquals":{"aws:TagKeys":"b"}"#), Identity, "needs-set-operator"),
        (with(r#""StringEquals":{"x:a":"b*"}"#), Identity, "literal-wildcard"),
        (with(r#""StringLike":{"x:a":"b*"}"#), Identity, ""),
        (with(r#""Bool":{"aws:MultiFactorAuthPresent":"false"}"#).replace("Allow", "Deny"), Identity, "mfa-absent"),
        (r#"{"Effect":"Allow","NotAction":["iam:*","sts:*"],"Resource":"*"}"#.to_owned(), Identity, "allow-not-action"),
        (r#"{"Effect":"Allow","Action":"s3:*","NotResource":"arn:aws:s3:::b"}"#.to_owned(), Identity, "allow-not-resource"),
        (r#"{"Effect":"Deny","Action":"*:*","Resource":"*"}"#.to_owned(), Identity, "action-everything"),
        (r#"{"Effect":"Allow","Action":"s3: Get","Resource":"*"}"#.to_owned(), Identity, "never-matches"),
        (r#"{"Effect":"Allow","Action":"sqs:*","Resource":"arn:aws:sqs"}"#.to_owned(), Identity, "incomplete-arn"),
        (r#"{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}"#.to_owned(), Trust, "trust-everyone"),
        (r#"{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"s3:Get","Resource":"*"}"#.to_owned(), Resource, "public"),
        (r#"{"Effect":"Allow","Principal":{"Service":"a.example.com"},"Action":"sts:AssumeRole"}"#.to_owned(), Trust, ""),
        (r#"{"Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"Action":"s3:Get","Resource":"*"}"#.to_owned(), Resource, "deny-not-principal"),
        (r#"{"Effect":"Allow","NotPrincipal":{"AWS":"111122223333"},"Action":"s3:Get","Resource":"*"}"#.to_owned(), Resource, "allow-not-principal"),
    ];
    for (statement, kind, wanted) in rows {
        let wanted: Vec<&str> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(codes(&statement, kind), wanted, "{statement}");
    }
    let old = r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username}/*"}}"#;
    let found = check(old, PolicyKind::Identity);
    assert_eq!(found.iter().map(|f| f.code).collect::<Vec<_>>(), ["variables-off"]);
}

#[test]
fn a_grant_to_the_user_of_a_federated_session_is_capped_and_one_to_a_role_wants_its_path() {
    let text = |who: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"AWS":"{who}"}},"Action":"*","Resource":"*"}}}}"#
        )
    };
    let any =
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    let any = Document::parse(any, PolicyKind::Session, Dialect::Aws).unwrap();
    let allowed = |kind, arn: &str, parent: &str, who: &str, session: bool| {
        let document = Document::parse(&text(who), PolicyKind::Resource, Dialect::Aws).unwrap();
        let request = Request {
            dialect: Dialect::Aws,
            action: "s3:Get".to_owned(),
            resource: "arn:aws:s3:::b/k".to_owned(),
            wildcard_only: false,
            resource_account: None,
            principal: Principal {
                arn: Some(arn.to_owned()),
                role_arn: Some(parent.to_owned()),
                account: Some("111122223333".to_owned()),
                ..Principal::new(kind)
            },
            context: policy::Context::new(),
        };
        let policy = Named { name: "r", document: &document };
        let policies = PolicySet {
            resource: Some(ResourcePolicy { policy, kind: ResourceKind::Generic }),
            session: session.then(|| vec![Named { name: "s", document: &any }]),
            ..PolicySet::default()
        };
        Agreed.decide(&request, &policies).allowed()
    };
    let (bob, fed) =
        ("arn:aws:iam::111122223333:user/bob", "arn:aws:sts::111122223333:federated-user/bob");
    assert!(allowed(PrincipalKind::FederatedUser, fed, bob, bob, true));
    assert!(!allowed(PrincipalKind::FederatedUser, fed, bob, bob, false));
    assert!(allowed(PrincipalKind::FederatedUser, fed, bob, fed, false));
    let (role, session) =
        ("arn:aws:iam::111122223333:role/app/R", "arn:aws:sts::111122223333:assumed-role/R/s");
    let kind = PrincipalKind::AssumedRole;
    assert!(allowed(kind, session, role, role, false));
    assert!(!allowed(kind, session, role, "arn:aws:iam::111122223333:role/R", false));
    assert!(!allowed(kind, session, role, "arn:aws:iam::111122223333:role/other/R", false));
}

#[test]
fn a_document_tells_its_id_and_its_size() {
    let parse = |text: &str| Document::parse(text, PolicyKind::Identity, Dialect::Aws).unwrap();
    let statement = r#""Statement": {"Effect": "Allow", "Action": "a:B", "Resource": "*"}"#;
    let named = format!("{{\"Version\": \"2012-10-17\", \"Id\": \"x y\",\n\t{statement}}}");
    let plain = format!("{{\"Version\": \"2012-10-17\", {statement}}}");
    assert_eq!((parse(&named).id(), parse(&plain).id()), (Some("x y"), None));
    let held = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
    assert_eq!((parse(&named).size(), parse(&plain).size()), (held(&named), held(&plain)));
}
