//! The front of the services of AWS's kind: reads requests of AWS's protocols, shows each to
//! linkrole before anything is done, and answers in the protocol's XML or JSON.
//!
//! What a request is signed with is proved by linkrole, to which its signed parts are shown. Not
//! here: what an operation does (`aws_ec2`, `aws_sns`, `aws_logs`, `aws_kinesis`, `aws_rds`).

use crate::disk::Disk;
use crate::{aws_ec2, aws_kinesis, aws_logs, aws_rds, aws_sns, rpc};
use sdk::http::{Request, Response};
use sdk::{Client, Context, Credentials, Error, Form, Forwarded, Operation, Service};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The services, each with the manifest that it registers.
pub const SERVICES: [(&str, &str); 5] = [
    ("aws-ec2", include_str!("../manifests/aws-ec2.toml")),
    ("aws-kinesis", include_str!("../manifests/aws-kinesis.toml")),
    ("aws-logs", include_str!("../manifests/aws-logs.toml")),
    ("aws-rds", include_str!("../manifests/aws-rds.toml")),
    ("aws-sns", include_str!("../manifests/aws-sns.toml")),
];

/// Where the services have resources.
pub const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

/// How a service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A form in, XML out.
    Query,
    /// The same as EC2 has it.
    Ec2,
    /// JSON both ways; the operation stands in a header behind this.
    Json(&'static str),
}

/// One service behind the front.
pub trait Api: Send + Sync + 'static {
    /// The name in its signatures, its actions and its resources' names.
    const CODE: &'static str;
    /// The version of its API.
    const VERSION: &'static str;
    /// How it is spoken to.
    const PROTOCOL: Protocol;
    /// Its code for who may not.
    const DENIED: &'static str;

    /// What an operation is on: the part of the resources' names behind the account. None for an
    /// operation that there is not.
    ///
    /// Errors: a parameter is missing that names it.
    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault>;

    /// Does what a caller asks who may.
    fn run(&self, call: &Call) -> impl Future<Output = Result<Value, Fault>> + Send;
}

impl<A: Api> Api for Arc<A> {
    const CODE: &'static str = A::CODE;
    const VERSION: &'static str = A::VERSION;
    const PROTOCOL: Protocol = A::PROTOCOL;
    const DENIED: &'static str = A::DENIED;

    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault> {
        self.as_ref().on(ask)
    }

    async fn run(&self, call: &Call) -> Result<Value, Fault> {
        self.as_ref().run(call).await
    }
}

/// What a request asks for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// The operation.
    pub action: String,
    /// Where, as the signature says.
    pub region: String,
    /// The parameters: flat texts of a form, or the members of a document.
    params: Map<String, Value>,
}

/// A request of a caller who may.
pub struct Call {
    /// What is asked for.
    pub ask: Ask,
    /// The caller's account.
    pub account: String,
    /// Who called, by ARN.
    pub by: String,
    /// The signed parts, which prove the caller to linkrole.
    pub caller: Forwarded,
}

impl Call {
    /// The name for everybody of one of the account's resources here.
    pub fn arn(&self, code: &str, resource: &str) -> String {
        format!("arn:aws:{code}:{}:{}:{resource}", self.ask.region, self.account)
    }

    /// The name under which a thing of a region is kept.
    pub fn key(&self, name: &str) -> String {
        format!("{} {name}", self.ask.region)
    }
}

impl Ask {
    /// A parameter that must be there.
    pub fn need(&self, name: &str) -> Result<&str, Fault> {
        let text = format!("The request must contain the parameter {name}.");
        self.find(name).ok_or_else(|| Fault::new(400, "MissingParameter", &text))
    }

    /// A parameter, unless it is empty.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.params.get(name).and_then(Value::as_str).filter(|value| !value.is_empty())
    }

    /// A list: of a document an array, of a form `Name.1` or `Name.member.1`.
    pub fn list(&self, name: &str) -> Vec<String> {
        if let Some(list) = self.params.get(name).and_then(Value::as_array) {
            return list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        }
        let at = |n: u32| {
            self.find(&format!("{name}.{n}")).or_else(|| self.find(&format!("{name}.member.{n}")))
        };
        (1..=100).map_while(|n| at(n).map(str::to_owned)).collect()
    }

    /// A member of a document, whatever it is.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.params.get(name)
    }
}

/// A refusal in the vendor's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP status.
    pub status: u16,
    /// The code, for programs.
    pub code: String,
    /// The text, for people.
    pub message: String,
}

impl Fault {
    /// A refusal.
    pub fn new(status: u16, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned() }
    }

    /// A failure of ours: the operator reads why, the caller does not.
    pub fn internal(why: &dyn fmt::Display) -> Self {
        crate::log(&why.to_string());
        Self::new(500, "InternalFailure", "The request failed because of an internal error.")
    }
}

impl From<rpc::Fault> for Fault {
    /// What the disk says.
    fn from(fault: rpc::Fault) -> Self {
        match fault.status {
            500.. => Self::new(500, "InternalFailure", &fault.message),
            status => Self::new(status, "InvalidParameterValue", &fault.message),
        }
    }
}

impl From<Error> for Fault {
    /// linkrole's refusal, or a peer's, as it is; without an answer nothing is decided.
    fn from(error: Error) -> Self {
        match &error {
            Error::Refused(refusal) if (400..500).contains(&refusal.status) => {
                Self::new(refusal.status, &refusal.code, &refusal.message)
            }
            Error::Unsigned(_) => {
                let text = "The request must be signed with Signature Version 4 in its headers.";
                Self::new(403, "MissingAuthenticationToken", text)
            }
            Error::Refused(_) | Error::Unreachable { .. } | Error::Broken { .. } => {
                crate::log(&error.to_string());
                Self::new(503, "ServiceUnavailable", "The service cannot ask now; try again.")
            }
            Error::Answer { .. } | Error::Argument(_) | Error::File { .. } => {
                Self::internal(&error)
            }
        }
    }
}

/// The front: authorizes every request, then hands it on.
pub struct Front {
    /// Asks linkrole.
    pub service: Arc<Service>,
    /// Whose turns keep steps on one account apart.
    pub disk: Disk,
}

impl Front {
    /// Answers one request.
    pub async fn answer<A: Api>(&self, api: &A, request: &Request) -> Response {
        let id = rpc::random(32).unwrap_or_default();
        let asked = read::<A>(request);
        let action = asked.as_ref().map(|ask| ask.action.clone()).unwrap_or_default();
        let done = match asked {
            Ok(ask) => self.run(api, request, ask).await,
            Err(fault) => Err(fault),
        };
        match done {
            Ok(answer) => success::<A>(&action, &answer, &id),
            Err(fault) => refusal::<A>(&fault, &id),
        }
    }

    async fn run<A: Api>(&self, api: &A, request: &Request, ask: Ask) -> Result<Value, Fault> {
        let unknown = || {
            let text = format!("The action {} is not valid for this web service.", ask.action);
            Fault::new(400, "InvalidAction", &text)
        };
        let resources = api.on(&ask)?.ok_or_else(unknown)?;
        let caller = request.forwarded()?;
        let action = format!("{}:{}", A::CODE, ask.action);
        let mut asked = None;
        for resource in resources {
            let whole =
                |account: &str| format!("arn:aws:{}:{}:{account}:{resource}", A::CODE, ask.region);
            let context = Context::new();
            let (decision, account) =
                self.service.authorize_own(&caller, &action, whole, &context).await?;
            if !decision.allowed {
                return Err(Fault::new(403, A::DENIED, &decision.message));
            }
            asked = Some((account, decision.caller.arn));
        }
        // Without a resource nothing was asked, so nothing is done.
        let (account, by) = asked.ok_or_else(unknown)?;
        let _turn = self.disk.turn(&account).await;
        api.run(&Call { ask, account, by, caller }).await
    }
}

/// Serves one of them, and says so on standard output.
///
/// Errors: a sentence for the operator.
pub async fn start(
    name: &str,
    service: Arc<Service>,
    disk: Disk,
    peers: BTreeMap<String, Client>,
    listener: TcpListener,
) -> Result<(), String> {
    let front = Front { service: service.clone(), disk: disk.clone() };
    match name {
        "aws-ec2" => serve(front, aws_ec2::Ec2 { disk }, listener).await,
        "aws-kinesis" => serve(front, aws_kinesis::Kinesis { disk }, listener).await,
        "aws-logs" => serve(front, aws_logs::Logs { disk }, listener).await,
        "aws-sns" => serve(front, aws_sns::Sns { disk }, listener).await,
        _ => {
            let rds = Arc::new(aws_rds::Rds::new(disk, service, peers));
            rds.settle().await.map_err(|fault| fault.message)?;
            tokio::spawn(rds.clone().watch());
            serve(front, rds, listener).await
        }
    }
}

async fn serve<A: Api>(front: Front, api: A, listener: TcpListener) -> Result<(), String> {
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    writeln!(std::io::stdout(), "ready http://{address}").map_err(|e| e.to_string())?;
    let shared = Arc::new((front, api));
    let handler = move |request| {
        let shared = shared.clone();
        async move { shared.0.answer(&shared.1, &request).await }
    };
    sdk::http::serve(listener, handler).await.map_err(|e| e.to_string())
}

fn read<A: Api>(request: &Request) -> Result<Ask, Fault> {
    let scope = request.header("authorization").and_then(|text| {
        let (_, credential) = text.split_once("Credential=")?;
        credential.split(',').next()?.split('/').nth(2)
    });
    let region = scope.unwrap_or_default().to_owned();
    if request.path != "/" || request.method != "POST" {
        return Err(Fault::new(404, "InvalidAction", "expected a POST to /"));
    }
    let (action, params) = match A::PROTOCOL {
        Protocol::Json(target) => {
            let named = request.header("x-amz-target").and_then(|text| text.split_once('.'));
            let unknown = || Fault::new(400, "UnknownOperationException", "no such operation");
            let (_, action) = named.filter(|(api, _)| *api == target).ok_or_else(unknown)?;
            let wrong = || Fault::new(400, "SerializationException", "expected a JSON object");
            let params = serde_json::from_slice(&request.body).map_err(|_| wrong())?;
            (action.to_owned(), params)
        }
        Protocol::Query | Protocol::Ec2 => {
            let mut params = form(&request.body)?;
            let mut take =
                |name: &str| params.remove(name).and_then(|v| v.as_str().map(str::to_owned));
            let (action, version) = (take("Action"), take("Version"));
            if version.as_deref() != Some(A::VERSION) {
                let text = format!("expected the version {}", A::VERSION);
                return Err(Fault::new(400, "InvalidAction", &text));
            }
            let missing = || Fault::new(400, "MissingAction", "The request has no Action.");
            (action.ok_or_else(missing)?, params)
        }
    };
    if !REGIONS.contains(&region.as_str()) {
        let text = format!("expected a request signed for {}", REGIONS.join(" or "));
        return Err(Fault::new(403, "SignatureDoesNotMatch", &text));
    }
    Ok(Ask { action, region, params })
}

fn form(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    let mut params = Map::new();
    let body = String::from_utf8_lossy(body);
    for part in body.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let plain = |text: &str| sdk::sign::percent_decode(&text.replace('+', " "));
        let wrong = || Fault::new(400, "MalformedQueryString", "A parameter does not decode.");
        let name = plain(name).ok_or_else(wrong)?;
        if params.insert(name, json!(plain(value).ok_or_else(wrong)?)).is_some() {
            return Err(Fault::new(400, "MalformedQueryString", "A parameter stands twice."));
        }
    }
    Ok(params)
}

fn success<A: Api>(action: &str, answer: &Value, id: &str) -> Response {
    let namespace = match A::PROTOCOL {
        Protocol::Json(_) => return json_response(200, answer),
        Protocol::Query => format!("http://{}.amazonaws.com/doc/{}/", A::CODE, A::VERSION),
        Protocol::Ec2 => format!("http://{}.amazonaws.com/doc/{}", A::CODE, A::VERSION),
    };
    let body = match A::PROTOCOL {
        Protocol::Ec2 => format!("<requestId>{id}</requestId>{}", xml(answer)),
        _ => format!(
            "<{action}Result>{}</{action}Result><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>",
            xml(answer)
        ),
    };
    let text = format!("<{action}Response xmlns=\"{namespace}\">{body}</{action}Response>");
    xml_response(200, &text)
}

fn refusal<A: Api>(fault: &Fault, id: &str) -> Response {
    let error = json!({ "Code": fault.code, "Message": fault.message });
    match A::PROTOCOL {
        Protocol::Json(_) => {
            json_response(fault.status, &json!({ "__type": fault.code, "message": fault.message }))
        }
        Protocol::Ec2 => {
            let body = xml(&json!({ "Errors": { "Error": error }, "RequestID": id }));
            xml_response(fault.status, &format!("<Response>{body}</Response>"))
        }
        Protocol::Query => {
            let body = xml(&json!({ "Error": error, "RequestId": id }));
            xml_response(fault.status, &format!("<ErrorResponse>{body}</ErrorResponse>"))
        }
    }
}

fn json_response(status: u16, body: &Value) -> Response {
    Response { content_type: "application/x-amz-json-1.1", ..Response::json(status, body) }
}

fn xml_response(status: u16, body: &str) -> Response {
    Response { content_type: "text/xml", ..Response::bytes(status, body.as_bytes().to_vec()) }
}

/// A document as XML: members are elements, a list is its element again and again.
fn xml(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let one = |value: &Value| format!("<{name}>{}</{name}>", xml(value));
                match value {
                    Value::Array(list) => list.iter().for_each(|item| text.push_str(&one(item))),
                    Value::Null => {}
                    value => text.push_str(&one(value)),
                }
            }
        }
        Value::String(plain) => {
            for c in plain.chars() {
                match c {
                    '&' => text.push_str("&amp;"),
                    '<' => text.push_str("&lt;"),
                    '>' => text.push_str("&gt;"),
                    c => text.push(c),
                }
            }
        }
        Value::Null => {}
        other => text.push_str(&other.to_string()),
    }
    text
}

/// The services that a role works on, and what it signs with.
pub struct Peers<'a> {
    /// Where the others are.
    pub at: &'a BTreeMap<String, Client>,
    /// A session of the role.
    pub session: &'a Credentials,
    /// Where the work is done.
    pub region: &'a str,
}

impl Peers<'_> {
    /// Calls an operation of a service that takes forms; its XML.
    ///
    /// Errors: the service's refusal.
    pub async fn query(
        &self,
        peer: &str,
        version: &str,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<String, Error> {
        let answer = self.call(peer, Form::Query { version, action, params }).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Calls an operation of a service that takes JSON.
    ///
    /// Errors: the service's refusal.
    pub async fn json(&self, peer: &str, target: &str, body: &Value) -> Result<(), Error> {
        self.call(peer, Form::Json { target, body }).await.map(drop)
    }

    async fn call(&self, peer: &str, form: Form<'_>) -> Result<Vec<u8>, Error> {
        let client = self.at.get(&format!("aws-{peer}")).ok_or_else(|| {
            Error::Argument(format!("expected aws-{peer}=URL in --peers; found none"))
        })?;
        let operation = Operation { signing_name: peer, region: self.region, form };
        let answer = client.with(self.session.clone()).operation(&operation).await?;
        answer.success().map(|body| body.to_vec())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    struct Forms;

    impl Api for Forms {
        const CODE: &'static str = "sns";
        const VERSION: &'static str = "2010-03-31";
        const PROTOCOL: Protocol = Protocol::Query;
        const DENIED: &'static str = "AuthorizationError";
        fn on(&self, _: &Ask) -> Result<Option<Vec<String>>, Fault> {
            Ok(None)
        }
        async fn run(&self, _: &Call) -> Result<Value, Fault> {
            Ok(json!({}))
        }
    }

    fn request(body: &'static str, region: &str) -> Request {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIA/20250101/{region}/sns/aws4_request, SignedHeaders=host, Signature=0"
        );
        Request {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            headers: vec![("authorization".to_owned(), authorization)],
            body: body.into(),
            ..Request::default()
        }
    }

    #[test]
    fn forms_are_read_and_what_is_none_is_refused() {
        let body =
            "Action=Publish&Version=2010-03-31&Message=a+b%26c&Ids.member.1=x&Ids.member.2=y";
        let ask = read::<Forms>(&request(body, "us-east-1")).unwrap();
        assert_eq!((ask.action.as_str(), ask.region.as_str()), ("Publish", "us-east-1"));
        assert_eq!(ask.need("Message").unwrap(), "a b&c");
        assert_eq!(ask.list("Ids"), ["x", "y"]);
        assert_eq!(ask.need("Subject").unwrap_err().code, "MissingParameter");
        let code = |body, region| read::<Forms>(&request(body, region)).unwrap_err().code;
        assert_eq!(code("Action=Publish&Version=2000-01-01", "us-east-1"), "InvalidAction");
        assert_eq!(code("Version=2010-03-31", "us-east-1"), "MissingAction");
        assert_eq!(code("Action=a&Action=b", "us-east-1"), "MalformedQueryString");
        assert_eq!(code("Action=a&Version=2010-03-31", "mars-1"), "SignatureDoesNotMatch");
    }

    #[test]
    fn answers_are_xml_with_escaped_texts_and_repeated_elements() {
        let answer = json!({ "Topics": { "member": [{ "A": "<&>" }, { "A": 1 }] }, "None": null });
        assert_eq!(
            xml(&answer),
            "<Topics><member><A>&lt;&amp;&gt;</A></member><member><A>1</A></member></Topics>"
        );
        let text =
            String::from_utf8(success::<Forms>("Do", &json!({}), "id").body.to_vec()).unwrap();
        assert!(
            text.starts_with("<DoResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">")
        );
        let refused = refusal::<Forms>(&Fault::new(404, "NotFound", "no"), "id");
        assert_eq!(refused.status, 404);
        assert!(String::from_utf8_lossy(&refused.body).contains("<Code>NotFound</Code>"));
    }
}
