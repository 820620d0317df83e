//! The front that the services share: reads requests in Alibaba Cloud's RPC style, shows each to
//! linkrole before anything is done, and answers in JSON with the vendor's shape of errors.
//!
//! Requests are signed with version 3 in their headers, as the vendor's present clients sign. Not
//! here: what an operation does.

use crate::disk::Disk;
use sdk::http::{Request, Response};
use sdk::{Client, Context, Credentials, Decision, Error, Forwarded, Service};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where the services have resources.
pub const REGIONS: [&str; 2] = ["cn-hangzhou", "cn-shanghai"];

/// What the ids of a region's resources begin with, behind their kind.
const CODES: [(&str, &str); 4] = [
    ("bp1", "cn-hangzhou"),
    ("uf6", "cn-shanghai"),
    // Of instances of Key Management Service.
    ("hzz", "cn-hangzhou"),
    ("shh", "cn-shanghai"),
];

/// A new id of a resource in a region.
pub fn new_id(kind: &str, region: &str) -> Result<String, Fault> {
    let code = CODES.iter().find(|(_, of)| *of == region).map_or("", |(code, _)| code);
    Ok(format!("{kind}-{code}{}", random(17)?))
}

/// The region that the name of a resource, or its id, tells.
pub fn region_of(resource: &str) -> Option<&'static str> {
    let (_, rest) = resource.rsplit('/').next()?.split_once('-')?;
    CODES.iter().find(|(code, _)| rest.starts_with(code)).map(|(_, region)| *region)
}

/// One service behind the front.
pub trait Api: Send + Sync + 'static {
    /// The code of its actions and resource names.
    const CODE: &'static str;
    /// The version of its API.
    const VERSION: &'static str;

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
    /// Where.
    pub region: String,
    params: BTreeMap<String, String>,
}

/// A request of a caller who may.
pub struct Call {
    /// What is asked for.
    pub ask: Ask,
    /// The caller's account.
    pub account: String,
    /// The signed parts, which prove the caller to linkrole.
    pub caller: Forwarded,
}

impl Ask {
    /// A parameter that must be there.
    pub fn need(&self, name: &str) -> Result<&str, Fault> {
        self.find(name).ok_or_else(|| {
            let code = format!("Missing{name}");
            Fault::new(400, &code, &format!("{name} is mandatory for this action."))
        })
    }

    /// A parameter, unless it is empty.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A list, be it numbered (`Name.1`) or a JSON array.
    pub fn list(&self, name: &str) -> Vec<String> {
        let of_json = self.find(name).and_then(|text| serde_json::from_str(text).ok());
        of_json.unwrap_or_else(|| {
            let numbered = (1..=100).map_while(|n| self.find(&format!("{name}.{n}")));
            numbered.map(str::to_owned).collect()
        })
    }

    /// Tags, numbered (`Tag.1.Key`, `Tag.1.Value`).
    pub fn tags(&self) -> BTreeMap<String, String> {
        let pair = |n: u32| {
            let value = self.find(&format!("Tag.{n}.Value")).unwrap_or_default();
            Some((self.find(&format!("Tag.{n}.Key"))?.to_owned(), value.to_owned()))
        };
        (1..=20).map_while(pair).collect()
    }

    /// A parameter that is a JSON document.
    pub fn document(&self, name: &str) -> Result<Value, Fault> {
        serde_json::from_str(self.need(name)?).map_err(|_| {
            let text = format!("The parameter {name} is not JSON.");
            Fault::new(400, &format!("InvalidParameter.{name}"), &text)
        })
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
    detail: Option<Value>,
}

impl Fault {
    /// A refusal.
    pub fn new(status: u16, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned(), detail: None }
    }

    /// A failure of ours: the operator reads why, the caller does not.
    pub fn internal(why: &dyn fmt::Display) -> Self {
        crate::log(&why.to_string());
        Self::new(500, "InternalError", "An internal error occurred.")
    }

    fn denied(action: &str, decision: &Decision) -> Self {
        let text = |name: &str| decision.raw.get(name).and_then(Value::as_str).unwrap_or_default();
        let detail = json!({
            "AuthAction": action,
            "AuthPrincipalDisplayName": decision.caller.arn,
            "AuthPrincipalOwnerId": decision.caller.account,
            "NoPermissionType": text("decision"),
        });
        let message = format!("You are not authorized to do this action. {}", decision.message);
        Self { detail: Some(detail), ..Self::new(403, "NoPermission", &message) }
    }

    fn response(&self) -> Response {
        let mut body = json!({
            "RequestId": request_id(),
            "HostId": "example-cloud",
            "Code": self.code,
            "Message": self.message,
            "Recommend": "",
        });
        if let (Some(detail), Some(members)) = (&self.detail, body.as_object_mut()) {
            members.insert("AccessDeniedDetail".to_owned(), detail.clone());
        }
        Response::json(self.status, &body)
    }
}

impl From<Error> for Fault {
    /// linkrole's refusal, or a peer's, as it is; without an answer nothing is decided.
    fn from(error: Error) -> Self {
        match &error {
            // What linkrole's native API says of a caller's key, in this dialect.
            _ if error.is("InvalidClientTokenId") => {
                Self::new(400, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
            }
            _ if error.is("ExpiredToken") => {
                let text = "Specified SecurityToken is expired.";
                Self::new(400, "InvalidSecurityToken.Expired", text)
            }
            Error::Refused(refusal) if (400..500).contains(&refusal.status) => {
                Self::new(refusal.status, &refusal.code, &refusal.message)
            }
            Error::Unsigned(_) => {
                let text = "The request signature does not conform to Aliyun standards: expected \
                    one of version 3 (ACS3-HMAC-SHA256) in the headers.";
                Self::new(400, "IncompleteSignature", text)
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
        match self.run(api, request).await {
            Ok(mut answer) => {
                if let Some(members) = answer.as_object_mut() {
                    members.insert("RequestId".to_owned(), json!(request_id()));
                }
                Response::json(200, &answer)
            }
            Err(fault) => fault.response(),
        }
    }

    async fn run<A: Api>(&self, api: &A, request: &Request) -> Result<Value, Fault> {
        let ask = read(request, A::VERSION)?;
        let unknown = || {
            let text = "Specified api is not found, please check your url and method.";
            Fault::new(404, "InvalidApi.NotFound", text)
        };
        let resources = api.on(&ask)?.ok_or_else(unknown)?;
        let caller = request.forwarded()?;
        let action = format!("{}:{}", A::CODE, ask.action);
        let mut account = None;
        for resource in resources {
            let region = region_of(&resource).unwrap_or(&ask.region);
            let whole = |account: &str| format!("acs:{}:{region}:{account}:{resource}", A::CODE);
            let context = Context::new();
            let asked = self.service.authorize_own(&caller, &action, whole, &context).await?;
            if !asked.0.allowed {
                return Err(Fault::denied(&action, &asked.0));
            }
            account = Some(asked.1);
        }
        // Without a resource nothing was asked, so nothing is done.
        let account = account.ok_or_else(unknown)?;
        let _turn = self.disk.turn(&account).await;
        api.run(&Call { ask, account, caller }).await
    }
}

fn read(request: &Request, version: &str) -> Result<Ask, Fault> {
    let mut params = BTreeMap::new();
    let body = String::from_utf8_lossy(&request.body);
    let is_form = request
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let form = if is_form { body.as_ref() } else { "" };
    for part in request.query.split('&').chain(form.split('&')).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let plain = |text: &str| sdk::sign::percent_decode(&text.replace('+', " "));
        let wrong = || Fault::new(400, "InvalidParameter", "A parameter does not decode.");
        let name = plain(name).ok_or_else(wrong)?;
        if params.insert(name, plain(value).ok_or_else(wrong)?).is_some() {
            return Err(Fault::new(400, "InvalidParameter", "A parameter stands twice."));
        }
    }
    let said = |header: &str| request.header(header).map(str::to_owned);
    let Some(action) = said("x-acs-action") else {
        return Err(Fault::new(400, "MissingAction", "Action is mandatory for this action."));
    };
    if request.path != "/" || said("x-acs-version").as_deref() != Some(version) {
        let text = "The specified parameter \"Action or Version\" is not valid.";
        return Err(Fault::new(400, "InvalidParameter", text));
    }
    let [first, ..] = REGIONS;
    let region = params.get("RegionId").cloned().unwrap_or_else(|| first.to_owned());
    if !REGIONS.contains(&region.as_str()) {
        let text = format!("expected one of {}; found `{region}`", REGIONS.join(", "));
        return Err(Fault::new(404, "InvalidRegionId.NotFound", &text));
    }
    Ok(Ask { action, region, params })
}

/// Calls another service, signed with what a session of a role gave.
pub async fn call(
    peers: &BTreeMap<String, Client>,
    peer: &str,
    role: &Credentials,
    version: &str,
    action: &str,
    params: &[(&str, &str)],
) -> Result<Value, Fault> {
    let client = peers
        .get(peer)
        .ok_or_else(|| Fault::internal(&format!("expected {peer}=URL in --peers; found none")))?;
    let answer = client.with(role.clone()).rpc(version, action, params).await?.success()?;
    serde_json::from_slice(&answer).map_err(|e| Fault::internal(&e))
}

/// Random hexadecimal digits.
pub fn random(digits: usize) -> Result<String, Fault> {
    let mut bytes = vec![0_u8; digits.div_ceil(2)];
    getrandom::fill(&mut bytes).map_err(|e| Fault::internal(&e))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(text.chars().take(digits).collect())
}

/// An id for a request, in the form of the vendor's.
fn request_id() -> String {
    let text = random(32).unwrap_or_default().to_uppercase();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    let parts: Vec<&str> = parts.into_iter().filter_map(|part| text.get(part)).collect();
    parts.join("-")
}

/// The time now, as the vendor writes it, and in seconds since 1970.
pub fn now() -> (String, i64) {
    let now = time::OffsetDateTime::now_utc();
    let date = format!("{:04}-{:02}-{:02}", now.year(), u8::from(now.month()), now.day());
    let text = format!("{date}T{:02}:{:02}:{:02}Z", now.hour(), now.minute(), now.second());
    (text, now.unix_timestamp())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    fn request(query: &str) -> Request {
        let headers = [("x-acs-action", "DescribeInstances"), ("x-acs-version", "2014-05-26")];
        Request {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: query.to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            ..Request::default()
        }
    }

    #[test]
    fn parameters_lists_and_tags_are_read() {
        let query = "InstanceIds=%5B%22i-1%22%5D&ResourceId.1=a&ResourceId.2=b+c&Tag.1.Key=k&\
            Tag.1.Value=v";
        let ask = read(&request(query), "2014-05-26").unwrap();
        assert_eq!(
            (ask.action.as_str(), ask.region.as_str()),
            ("DescribeInstances", "cn-hangzhou")
        );
        assert_eq!(ask.list("InstanceIds"), ["i-1"]);
        assert_eq!(ask.list("ResourceId"), ["a", "b c"]);
        assert_eq!(ask.tags().get("k").unwrap(), "v");
        assert_eq!(ask.need("InstanceId").unwrap_err().code, "MissingInstanceId");
    }

    #[test]
    fn what_is_not_one_request_is_refused() {
        let code = |query: &str, version: &str| read(&request(query), version).unwrap_err().code;
        assert_eq!(code("", "2014-08-15"), "InvalidParameter");
        assert_eq!(code("a=1&a=2", "2014-05-26"), "InvalidParameter");
        assert_eq!(code("a=%zz", "2014-05-26"), "InvalidParameter");
        assert_eq!(code("RegionId=mars-1", "2014-05-26"), "InvalidRegionId.NotFound");
    }

    #[test]
    fn an_id_tells_its_region() {
        for region in REGIONS {
            let id = new_id("i", region).unwrap();
            assert_eq!(region_of(&format!("instance/{id}")), Some(region));
        }
        assert_eq!(region_of("instance/*"), None);
    }

    #[test]
    fn refusals_have_the_vendors_shape() {
        let body = Fault::new(404, "A.B", "no").response().body;
        let body: Value = serde_json::from_slice(&body).unwrap();
        for member in ["RequestId", "HostId", "Code", "Message", "Recommend"] {
            assert!(body.get(member).unwrap().is_string(), "{member}");
        }
        assert_eq!(body.get("RequestId").unwrap().as_str().unwrap().len(), 36);
    }
}
