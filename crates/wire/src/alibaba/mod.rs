//! The dialect of Alibaba Cloud: RPC requests routed by action and version, answers in JSON or XML.
//!
//! The way of a request: [`Asked::of`] reads what it asks and what it claims; the server checks the
//! claim with `sign_acs`; [`Asked::command`] reads the command; [`Asked::answer`] and
//! [`refusal`] write the answer. One path serves all products: no version is shared by two
//! of them. [src: ALIBABA.md 2 and 7] Not here: signatures (`sign_acs`) and rules (`iam`).

pub mod actiontrail;
mod decode;
pub mod encode;
pub mod fault;
pub mod known;
mod params;

use crate::http::{Request, Response};
use crate::sign_acs::{self, Parameters, Presented, Scheme};
use crate::xml::Xml;
use fault::Fault;
use iam::caller::WebToken;
use iam::command::Command;
use iam::error::Error;
use iam::operations::Operation;
use iam::output::Output;
use iam::text::{AccountAlias, AccountId};
use params::Params;
use policy::name;
use serde_json::{Map, Value, json};

/// A product, told by the version of its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    /// Users, roles, policies.
    Ram,
    /// Temporary credentials.
    Sts,
    /// Users by their principal names.
    Ims,
    /// Roles and policies, with pages by number.
    ResourceManager,
    /// The trail.
    ActionTrail,
}

impl Product {
    /// All products.
    pub const ALL: [Self; 5] =
        [Self::Ram, Self::Sts, Self::Ims, Self::ResourceManager, Self::ActionTrail];

    /// The version of its interface.
    pub fn version(self) -> &'static str {
        match self {
            Self::Ram => "2015-05-01",
            Self::Sts => "2015-04-01",
            Self::Ims => "2019-08-15",
            Self::ResourceManager => "2020-03-31",
            Self::ActionTrail => "2020-07-06",
        }
    }

    /// Its name in the trail.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ram => "Ram",
            Self::Sts => "Sts",
            Self::Ims => "Ims",
            Self::ResourceManager => "ResourceManager",
            Self::ActionTrail => "Actiontrail",
        }
    }

    /// The host that errors and events name.
    pub fn host(self) -> &'static str {
        match self {
            Self::Ram => "ram.aliyuncs.com",
            Self::Sts => "sts.aliyuncs.com",
            Self::Ims => "ims.aliyuncs.com",
            Self::ResourceManager => "resourcemanager.aliyuncs.com",
            Self::ActionTrail => "actiontrail.aliyuncs.com",
        }
    }

    fn of(version: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|product| product.version() == version)
    }
}

/// Whether a request is of this dialect, told before anything of it is believed.
pub fn is_ours(request: &Request) -> bool {
    let has = |name: &str| request.headers_named(name).next().is_some();
    let authorization = request.headers_named("authorization").next();
    if has("x-acs-action") || has("x-acs-version") {
        return true;
    }
    if let Some(text) = authorization {
        return text.starts_with("ACS");
    }
    let names = |text: &str| {
        let versions = Product::ALL.map(Product::version);
        let pairs: Vec<&str> = text.split('&').collect();
        let version = pairs.iter().filter_map(|pair| pair.strip_prefix("Version="));
        version.into_iter().any(|v| versions.contains(&v))
            || pairs.iter().any(|pair| {
                pair.starts_with("SignatureNonce=") || pair.starts_with("SignatureMethod=")
            })
    };
    let body = str::from_utf8(&request.body).unwrap_or_default();
    names(&request.query) || (request.has_form() && names(body))
}

/// What a request of this dialect asks, and what it claims.
pub struct Asked {
    /// Whose interface.
    pub product: Product,
    /// The operation as this dialect names it.
    pub action: &'static str,
    /// Query and form together.
    pub parameters: Parameters,
    /// The claim; `None` for a request without a signature.
    pub presented: Option<Presented>,
    as_xml: bool,
}

/// The account of a caller, and what it goes by in names of users and roles.
pub struct Home {
    /// The account.
    pub account: AccountId,
    /// Its alias, if it has one.
    pub alias: Option<AccountAlias>,
}

impl Home {
    /// Whether a domain's first label is this account: by its alias or by its id.
    pub fn is(&self, label: &str) -> bool {
        self.account.as_str() == label
            || self.alias.as_ref().is_some_and(|alias| alias.as_str() == label)
    }

    /// The first label of the domain of an account's names.
    fn label<'a>(home: Option<&'a Self>, account: &'a AccountId) -> &'a str {
        let alias =
            home.filter(|home| home.account == *account).and_then(|home| home.alias.as_ref());
        alias.map_or(account.as_str(), AccountAlias::as_str)
    }
}

/// A token of a provider, not believed yet.
pub struct ByToken {
    /// The account of the provider.
    pub account: AccountId,
    /// The provider.
    pub provider: iam::text::ProviderName,
    /// The token.
    pub token: String,
}

/// How an answer is to be written before it is known what is asked.
fn wants_xml(parameters: &Parameters) -> bool {
    parameters.get("Format").is_some_and(|format| format.eq_ignore_ascii_case("XML"))
}

impl Asked {
    /// Reads a request.
    ///
    /// Errors: those of the signature that need no key; an operation that is not there.
    pub fn of(request: &Request) -> Result<Self, Fault> {
        let parameters = sign_acs::parameters(request)?;
        let presented = sign_acs::present(request, &parameters)?;
        let (action, version) = target(request, &parameters, presented.as_ref())?;
        let product = Product::of(&version).ok_or_else(|| {
            let text = "The specified parameter \"Action or Version\" is not valid.";
            Fault::new("InvalidParameter", 400, text)
        })?;
        let action = known::find(product, &action).ok_or_else(Fault::no_such_api)?;
        let is_v1 = presented.as_ref().is_none_or(|p| p.scheme == Scheme::V1);
        let format = parameters.get("Format").map(|text| text.to_ascii_uppercase());
        let as_xml = match format.as_deref() {
            None | Some("" | "JSON") => false,
            Some("XML") => is_v1,
            Some(_) => return Err(Fault::incorrect("Format")),
        };
        Ok(Self { product, action, parameters, presented, as_xml })
    }

    /// Reads the command, for a caller of this account.
    ///
    /// Errors: the vendor's own for parameters that do not fit.
    pub fn command(&self, home: Option<&Home>) -> Result<Command, Fault> {
        decode::command(self.product, self.action, home, Params(&self.parameters))
    }

    /// The operation that is asked for, whether or not its parameters read.
    pub fn operation(&self) -> Option<Operation> {
        known::operation(self.action)
    }

    /// What the trail is asked, where it is.
    pub fn lookup(&self, now_ms: i64) -> Result<Option<actiontrail::Lookup>, Fault> {
        if self.product != Product::ActionTrail {
            return Ok(None);
        }
        actiontrail::lookup(Params(&self.parameters), now_ms).map(Some)
    }

    /// The dialect's own fault for an error.
    pub fn fault(&self, command: &Command, error: &Error) -> Fault {
        fault::fault(command.operation(), error)
    }

    /// Writes an answer.
    pub fn answer(&self, output: &Output, home: Option<&Home>, id: &str) -> Response {
        self.success(encode::members(self, home, output), id)
    }

    /// Writes an answer out of its members.
    pub fn success(&self, mut members: Map<String, Value>, id: &str) -> Response {
        members.insert("RequestId".to_owned(), json!(id.to_ascii_uppercase()));
        if self.as_xml {
            return xml(200, &format!("{}Response", self.action), &Value::Object(members));
        }
        answer_json(200, &Value::Object(members))
    }

    /// Whether a token of a provider tells who calls, and no signature. [src: ALIBABA.md 4.4]
    pub fn is_by_token(&self) -> bool {
        self.action == "AssumeRoleWithOIDC"
    }

    /// The token of a request, and the provider it is shown to.
    pub fn by_token(&self) -> Result<ByToken, Fault> {
        let p = Params(&self.parameters);
        let wrong = || {
            Fault::new(
                "InvalidParameter.OIDCProviderArn",
                400,
                "The parameter OIDCProviderArn is wrongly formed.",
            )
        };
        let named = name::parse_entity(p.required("OIDCProviderArn")?);
        let Some(name::Entity::OidcProvider { account, name }) = named else {
            return Err(wrong());
        };
        let token = p.required("OIDCToken")?.to_owned();
        Ok(ByToken {
            account: AccountId::parse(&account).map_err(|_| wrong())?,
            provider: iam::text::ProviderName::parse(&name).map_err(|_| wrong())?,
            token,
        })
    }

    /// Writes the answer to a call by token, which tells what the token said.
    pub fn answer_by_token(&self, output: &Output, token: &WebToken, id: &str) -> Response {
        let mut members = encode::members(self, None, output);
        let info = json!({
            "Subject": token.subject,
            "Issuer": token.issuer,
            "ClientIds": token.client,
            "IssuanceTime": crate::clock::iso_seconds(token.issued_s.saturating_mul(1_000)),
            "ExpirationTime": crate::clock::iso_seconds(token.expires_s.saturating_mul(1_000)),
            "VerificationInfo": "Success",
        });
        members.insert("OIDCTokenInfo".to_owned(), info);
        self.success(members, id)
    }

    /// A parameter as it was sent.
    fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// The account-independent parameters of a listing by number, for its answer.
    fn pages(&self) -> (usize, usize) {
        let paging = Params(&self.parameters).numbered().unwrap_or_default();
        (paging.page.unwrap_or(1), paging.limit.unwrap_or(10))
    }
}

/// Writes a refusal; `asked` is what could be read of the request.
pub fn refusal(fault: &Fault, asked: Option<&Asked>, request: &Request, id: &str) -> Response {
    let as_xml = match asked {
        Some(asked) => asked.as_xml,
        // To clients of version 3 the answer is always in JSON.
        None => {
            request.header("authorization").is_none()
                && sign_acs::parameters(request).is_ok_and(|p| wants_xml(&p))
        }
    };
    let host = asked.map_or("linkrole", |asked| asked.product.host());
    let mut members = Map::new();
    members.insert("RequestId".to_owned(), json!(id.to_ascii_uppercase()));
    members.insert("HostId".to_owned(), json!(host));
    members.insert("Code".to_owned(), json!(fault.code));
    members.insert("Message".to_owned(), json!(fault.message));
    if as_xml {
        return xml(fault.status, "Error", &Value::Object(members));
    }
    members.insert("Recommend".to_owned(), json!(""));
    if let Some(denial) = &fault.denial {
        members.insert(
            "AccessDeniedDetail".to_owned(),
            json!({
                "PolicyType": denial.policy_type,
                "AuthPrincipalOwnerId": denial.owner,
                "AuthPrincipalType": denial.principal_type,
                "AuthPrincipalDisplayName": denial.principal,
                "AuthAction": denial.action,
                "NoPermissionType": denial.refusal,
                "EncodedDiagnosticMessage": denial.encoded,
            }),
        );
    }
    answer_json(fault.status, &Value::Object(members))
}

/// Action and version: of version 3 out of signed headers, of version 1 out of signed parameters.
fn target(
    request: &Request,
    parameters: &Parameters,
    presented: Option<&Presented>,
) -> Result<(String, String), Fault> {
    let header = |name: &str| request.header(name).map(str::to_owned);
    let one = |parameter: &str, name: &str| {
        let told = parameters.get(parameter).cloned();
        let found = match presented.map(|p| p.scheme) {
            // Its headers are signed, and so is what stands beside them.
            Some(Scheme::V3) => match (told, header(name)) {
                (Some(told), Some(signed)) if told != signed => None,
                (told, signed) => signed.or(told),
            },
            // No header of these is signed, so none is looked at.
            Some(Scheme::V1) => told,
            None => told.or_else(|| header(name)),
        };
        found.filter(|text| !text.is_empty()).ok_or_else(|| Fault::missing(parameter))
    };
    Ok((one("Action", "x-acs-action")?, one("Version", "x-acs-version")?))
}

fn answer_json(status: u16, value: &Value) -> Response {
    Response {
        status,
        headers: vec![("content-type", "application/json;charset=utf-8".to_owned())],
        body: value.to_string().into_bytes(),
    }
}

/// Clients read XML only under exactly this type. [src: ALIBABA.md 7]
fn xml(status: u16, root: &str, value: &Value) -> Response {
    let mut x = Xml::fragment();
    x.within(root, |x| write_xml(x, value));
    Response {
        status,
        headers: vec![("content-type", "text/xml;charset=utf-8".to_owned())],
        body: x.document(),
    }
}

/// Members become elements; a list becomes its name as often as it has items.
fn write_xml(x: &mut Xml, value: &Value) {
    let Value::Object(members) = value else { return };
    for (name, value) in members {
        match value {
            Value::Array(items) => items.iter().for_each(|item| write_element(x, name, item)),
            other => write_element(x, name, other),
        }
    }
}

fn write_element(x: &mut Xml, name: &str, value: &Value) {
    match value {
        Value::Object(_) => x.within(name, |x| write_xml(x, value)),
        Value::String(text) => x.text(name, text),
        other => x.text(name, &other.to_string()),
    }
}
