//! linkrole itself: everything that touches its engine.
//!
//! A set is what a server keeps for a principal: compiled once, and shared by all whose documents are the same.

use std::slice::from_ref;
use std::sync::Arc;

use policy::engine::{Layers, Set};
use policy::{
    Context, Dialect, Document, Effect, Named, PolicyKind, Principal, PrincipalKind, Request,
    ResourceKind,
};

use crate::engine::Engine;
use crate::render;
use crate::work::{Ask, Policy};
use crate::workloads::PRINCIPALS;

/// The engine.
pub struct Linkrole;

/// Reads documents and compiles them; the documents themselves are not needed for decisions.
fn compile(texts: &[(String, String)], kind: PolicyKind) -> Arc<Set> {
    let read = |text: &str| Document::read(text, kind, Dialect::Aws).expect("written here");
    let documents: Vec<Document> = texts.iter().map(|(_, text)| read(text)).collect();
    let named = texts.iter().zip(&documents);
    let named: Vec<Named<'_>> =
        named.map(|((name, _), document)| Named { name, document }).collect();
    Arc::new(Set::new(&named))
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
    type Loaded = Arc<Set>;
    type Request = Request;

    fn render(policies: &[Policy], _: &[Ask]) -> Result<Vec<(String, String)>, String> {
        Ok(policies.iter().map(|p| (p.name.clone(), render::document(p))).collect())
    }

    fn world(_: &[String], _: &[Ask]) {}

    fn load(source: &Vec<(String, String)>) -> Arc<Set> {
        compile(source, PolicyKind::Identity)
    }

    fn request(ask: &Ask) -> Request {
        let mut context = Context::new();
        for (key, value) in &ask.context {
            context.set(key, value.as_str());
        }
        Request {
            dialect: Dialect::Aws,
            action: ask.action.clone(),
            resource: ask.resource.clone(),
            wildcard_only: false,
            resource_account: None,
            principal: principal(),
            context,
        }
    }

    #[inline]
    fn allowed((): &(), set: &mut Arc<Set>, request: &Request) -> bool {
        identity_only(from_ref(set)).verdict(request).effect == Effect::Allow
    }
}

#[inline]
fn identity_only(identity: &[Arc<Set>]) -> Layers<'_> {
    Layers { identity, ..Layers::default() }
}

/// Which statement decided, as a server wants to know it for its trail; `None` when no statement did.
#[inline]
pub fn with_reason(set: &Arc<Set>, request: &Request) -> Option<usize> {
    let verdict = identity_only(from_ref(set)).verdict(request);
    let _ = std::hint::black_box(verdict.layer);
    verdict.reason.map(|reason| reason.statement as usize)
}

/// How many statements matched, each of them found, as somebody wants to know who asks for an explanation.
#[inline]
pub fn with_all_reasons(set: &Arc<Set>, request: &Request) -> usize {
    identity_only(from_ref(set)).answer(request).matched.len()
}

/// Workload (e): the policies of every layer, compiled.
pub struct Layered {
    identity: Arc<Set>,
    boundary: Arc<Set>,
    session: Arc<Set>,
    scp: Vec<Arc<Set>>,
    resource: Arc<Set>,
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
            identity: from_ref(&self.identity),
            boundary: Some(from_ref(&self.boundary)),
            session: Some(from_ref(&self.session)),
            scp: Some(&self.scp),
            resource: Some(from_ref(&self.resource)),
            kind: ResourceKind::Generic,
            ..Layers::default()
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
    set: Arc<Set>,
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
