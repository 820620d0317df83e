//! linkrole itself: everything that touches its engine.
//!
//! A set is what a server keeps for a principal: compiled once, and shared by all whose documents are the same.

use policy::{
    Context, Document, Effect, Named, PolicyKind, Principal, PrincipalKind, Request, ResourceKind,
};

use self::engine::{Layers, Reason, Set};
use crate::engine::Engine;
use crate::render;
use crate::work::{Ask, Policy};
use crate::workloads::PRINCIPALS;

/// The plain evaluator behind the interface of a compiled one.
mod engine {
    use policy::{
        Decision, Document, Effect, Evaluate, Layer, Named, PolicySet, Request, ResourceKind,
        ResourcePolicy, Spec,
    };

    /// The policies of one layer.
    pub struct Set {
        policies: Vec<(String, Document)>,
    }

    impl Set {
        /// Takes in the policies of one layer.
        pub fn new(policies: &[Named<'_>]) -> Set {
            let own = |named: &Named<'_>| (named.name.to_owned(), named.document.clone());
            Set { policies: policies.iter().map(own).collect() }
        }

        fn named(&self) -> Vec<Named<'_>> {
            self.policies.iter().map(|(name, document)| Named { name, document }).collect()
        }
    }

    /// The sets that bear on a request.
    #[derive(Default)]
    pub struct Layers<'a> {
        pub identity: &'a [&'a Set],
        pub boundary: Option<&'a Set>,
        pub session: Option<&'a Set>,
        pub resource: Option<(&'a Set, ResourceKind)>,
        pub scp: Option<&'a [Set]>,
    }

    /// The statement that decided.
    #[derive(Clone, Copy)]
    pub struct Reason {
        pub statement: usize,
    }

    /// The outcome.
    pub struct Verdict {
        pub effect: Effect,
        pub layer: Layer,
        pub reason: Option<Reason>,
    }

    impl Layers<'_> {
        /// The outcome with the statement that decided.
        pub fn verdict(&self, request: &Request) -> Verdict {
            let decision = self.decide(request);
            let mut decisive = decision.matched.iter().filter(|m| m.layer == decision.layer);
            let reason =
                decisive.next_back().map(|matched| Reason { statement: matched.statement });
            Verdict { effect: decision.effect, layer: decision.layer, reason }
        }

        /// The outcome with every statement that matched.
        pub fn decide(&self, request: &Request) -> Decision {
            let resource = self.resource.map(|(set, kind)| (set.named(), kind));
            let resource = resource.as_ref().and_then(|(policies, kind)| {
                let policy = *policies.first()?;
                Some(ResourcePolicy { policy, kind: *kind })
            });
            let policies = PolicySet {
                identity: self.identity.iter().flat_map(|set| set.named()).collect(),
                boundary: self.boundary.map(Set::named),
                session: self.session.map(Set::named),
                scp: self.scp.map(|levels| levels.iter().map(Set::named).collect()),
                resource,
                ..PolicySet::default()
            };
            Spec.decide(request, &policies)
        }
    }
}

/// The engine.
pub struct Linkrole;

/// Reads documents and compiles them; the documents themselves are not needed for decisions.
fn compile(texts: &[(String, String)], kind: PolicyKind) -> Set {
    let read = |text: &str| Document::read(text, kind).expect("written here");
    let documents: Vec<Document> = texts.iter().map(|(_, text)| read(text)).collect();
    let named = texts.iter().zip(&documents);
    let named: Vec<Named<'_>> =
        named.map(|((name, _), document)| Named { name, document }).collect();
    Set::new(&named)
}

fn principal() -> Principal {
    Principal {
        arn: Some("arn:aws:iam::210987654321:user/worker".to_owned()),
        account: Some("210987654321".to_owned()),
        id: Some("AIDAEXAMPLEEXAMPLE00".to_owned()),
        ..Principal::new(PrincipalKind::User)
    }
}

impl Engine for Linkrole {
    const NAME: &'static str = "linkrole";
    const FLEET: Result<usize, &'static str> = Ok(PRINCIPALS);
    type Source = Vec<(String, String)>;
    type World = ();
    type Loaded = Set;
    type Request = Request;

    fn render(policies: &[Policy], _: &[Ask]) -> Result<Vec<(String, String)>, String> {
        Ok(policies.iter().map(|p| (p.name.clone(), render::document(p))).collect())
    }

    fn world(_: &[String], _: &[Ask]) {}

    fn load(source: &Vec<(String, String)>) -> Set {
        compile(source, PolicyKind::Identity)
    }

    fn request(ask: &Ask) -> Request {
        let mut context = Context::new();
        for (key, value) in &ask.context {
            context.set(key, value.as_str());
        }
        Request {
            action: ask.action.clone(),
            resource: ask.resource.clone(),
            wildcard_only: false,
            resource_account: None,
            principal: principal(),
            context,
        }
    }

    #[inline]
    fn allowed((): &(), set: &mut Set, request: &Request) -> bool {
        identity_only(&[set]).verdict(request).effect == Effect::Allow
    }
}

#[inline]
fn identity_only<'a>(identity: &'a [&'a Set]) -> Layers<'a> {
    Layers { identity, ..Layers::default() }
}

/// Which statement decided, as a server wants to know it for its trail; `None` when no statement did.
#[inline]
pub fn with_reason(set: &Set, request: &Request) -> Option<usize> {
    let verdict = identity_only(&[set]).verdict(request);
    let _ = std::hint::black_box(verdict.layer);
    verdict.reason.map(|Reason { statement, .. }| statement)
}

/// How many statements matched, each found and named, as somebody wants to know who asks for an explanation.
#[inline]
pub fn with_all_reasons(set: &Set, request: &Request) -> usize {
    identity_only(&[set]).decide(request).matched.len()
}

/// Workload (e): the policies of every layer, compiled.
pub struct Layered {
    identity: Set,
    boundary: Set,
    session: Set,
    scp: Vec<Set>,
    resource: Set,
    request: Request,
}

impl Layered {
    /// Compiles the layers. `identity` and its question are those of workload (b).
    pub fn new(identity: &[Policy], ask: &Ask) -> Layered {
        let one = |name: &str, kind: PolicyKind, text: &str| {
            compile(&[(name.to_owned(), text.to_owned())], kind)
        };
        let arn = "arn:aws:sts::210987654321:assumed-role/report-reader/session";
        let role = "arn:aws:iam::210987654321:role/report-reader";
        let principal = Principal {
            arn: Some(arn.to_owned()),
            role_arn: Some(role.to_owned()),
            account: Some("210987654321".to_owned()),
            id: Some("AROAEXAMPLEEXAMPLE00:session".to_owned()),
            ..Principal::new(PrincipalKind::AssumedRole)
        };
        Layered {
            identity: Linkrole::load(&Linkrole::render(identity, &[]).unwrap_or_default()),
            boundary: one("boundary", PolicyKind::Boundary, BOUNDARY),
            session: one("session", PolicyKind::Session, SESSION),
            scp: SCP.iter().map(|text| one("scp", PolicyKind::Scp, text)).collect(),
            resource: one("bucket", PolicyKind::Resource, BUCKET),
            request: Request { principal, ..Linkrole::request(ask) },
        }
    }

    /// Whether the request is allowed.
    #[inline]
    pub fn allowed(&self) -> bool {
        let layers = Layers {
            identity: &[&self.identity],
            boundary: Some(&self.boundary),
            session: Some(&self.session),
            scp: Some(&self.scp),
            resource: Some((&self.resource, ResourceKind::Generic)),
        };
        layers.verdict(&self.request).effect == Effect::Allow
    }
}

const BOUNDARY: &str = r#"{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Action":["s3:*","sqs:*","sns:Publish","logs:*"],"Resource":"*"},
{"Effect":"Allow","Action":["dynamodb:GetItem","dynamodb:Query"],"Resource":"arn:aws:dynamodb:*:210987654321:table/*"},
{"Effect":"Deny","Action":"s3:*","Resource":["arn:aws:s3:::acme-ledger*","arn:aws:s3:::acme-risk*"]},
{"Effect":"Deny","Action":["iam:*","organizations:*"],"Resource":"*"}]}"#;

const SESSION: &str = r#"{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::acme-data-eu","arn:aws:s3:::acme-data-eu/*"]},
{"Effect":"Deny","Action":"s3:Get*","Resource":"arn:aws:s3:::acme-data-eu/private/*"}]}"#;

const SCP: [&str; 3] = [
    r#"{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Action":"*","Resource":"*"},
{"Effect":"Deny","Action":["organizations:LeaveOrganization","account:*"],"Resource":"*"}]}"#,
    r#"{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Action":"*","Resource":"*"},
{"Effect":"Deny","NotAction":["iam:*","sts:*","route53:*"],"Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["eu-west-1","eu-central-1"]}}}]}"#,
    r#"{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Action":["s3:*","sqs:*","sns:*","logs:*","dynamodb:*","kms:*"],"Resource":"*"},
{"Effect":"Deny","Action":["s3:PutBucketPolicy","s3:DeleteBucket*"],"Resource":"arn:aws:s3:::acme-*"}]}"#,
];

const BUCKET: &str = r#"{"Version":"2012-10-17","Statement":[
{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::acme-data-eu","arn:aws:s3:::acme-data-eu/*"],"Condition":{"StringEquals":{"aws:ResourceTag/env":["dev","test"]}}},
{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::123412341234:root","arn:aws:iam::210987654321:role/loader"]},"Action":["s3:PutObject","s3:GetObject"],"Resource":"arn:aws:s3:::acme-data-eu/*"},
{"Effect":"Allow","Principal":{"Service":"logs.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::acme-data-eu/logs/*"}]}"#;

/// Workload (f): a pattern that tempts matchers to try everything, and a text that does not fit it.
pub struct Tempting {
    set: Set,
    request: Request,
}

impl Tempting {
    /// A pattern and a text of about `size` bytes each.
    pub fn new(size: usize) -> Tempting {
        let pattern = format!("arn:aws:s3:::{}b", "a*".repeat(size / 2));
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:GetObject","Resource":"{pattern}"}}]}}"#
        );
        let ask = Ask {
            action: "s3:GetObject".to_owned(),
            resource: format!("arn:aws:s3:::{}", "a".repeat(size)),
            context: Vec::new(),
        };
        Tempting {
            set: compile(&[("tempting".to_owned(), text)], PolicyKind::Identity),
            request: Linkrole::request(&ask),
        }
    }

    /// Whether the request is allowed; it is not.
    #[inline]
    pub fn allowed(&mut self) -> bool {
        Linkrole::allowed(&(), &mut self.set, &self.request)
    }
}
