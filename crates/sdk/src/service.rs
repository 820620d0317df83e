//! What a linked service asks of linkrole, typed: who calls and may they, the service's role in an
//! account, the uses of that role, and sessions of it. Not here: bytes and connections (`client`).

use crate::client::Client;
use crate::credentials::{Credentials, Secret};
use crate::error::Error;
use crate::forwarded::Forwarded;
use crate::xml;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What stands for the caller's account in the name of a resource that is asked about.
const OWN_ACCOUNT: &str = "{account}";

/// Condition keys that the service vouches for, each with its values.
pub type Context = BTreeMap<String, Vec<String>>;

/// One linked service, calling as itself.
#[derive(Debug)]
pub struct Service {
    client: Client,
    name: String,
}

/// What linkrole says to a caller's request.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Whether the caller may.
    pub allowed: bool,
    /// The text for the caller who may not; empty for one who may.
    pub message: String,
    /// The principals of the roles that the manifest says are made for this action, and that the caller's account has
    /// not: for [`Service::ensure`].
    pub ensure: Vec<String>,
    /// Who called.
    pub caller: Caller,
    /// The whole answer, with the statements that decided.
    pub raw: Value,
}

/// Who signed a request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Caller {
    /// The name that policies know it by.
    pub arn: String,
    /// Its unique id.
    pub id: String,
    /// Its account; a linked service has none.
    pub account: Option<String>,
    /// `root`, `user`, `role session` or `service`.
    pub kind: String,
}

/// A role of the service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Role {
    /// Its name for everybody.
    pub arn: String,
    /// Its name in its account.
    pub name: String,
    /// Its unique id; a role made again under the name has another.
    pub id: String,
    /// Its account.
    pub account: String,
    /// Whether its deletion was asked for and is not decided.
    #[serde(default)]
    pub deleting: bool,
    /// Counts the fences of its deletions; see [`crate::asked`].
    #[serde(default)]
    pub epoch: u64,
    /// Whether this very call made it. (On the wire a role's `created` is a time.)
    #[serde(skip)]
    pub created: bool,
}

/// What a change of uses left behind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UsageChange {
    /// The version of the region's set.
    pub version: u64,
    /// Whether anything changed.
    pub changed: bool,
    /// The deletion that the use ended, if one was under way.
    pub ended_deletion: Option<String>,
    /// The deletion that this began, as the manifest says for the last use of a role.
    #[serde(default)]
    pub began_deletion: Option<String>,
}

/// One use of a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Usage {
    /// Where.
    pub region: String,
    /// By which resource.
    pub resource: String,
}

/// All uses of a role.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UsageList {
    /// The role.
    pub role: Role,
    /// The uses.
    pub usages: Vec<Usage>,
    /// The version of each region's set; see [`UsageList::version`].
    pub versions: BTreeMap<String, u64>,
    /// When the last session ends, as far as is known.
    pub last_session_end: Option<String>,
}

impl UsageList {
    /// The version of a region's set, for [`Service::reconcile_usage`].
    pub fn version(&self, region: &str) -> u64 {
        self.versions.get(region).copied().unwrap_or(0)
    }

    /// The resources of a region.
    pub fn resources(&self, region: &str) -> BTreeSet<String> {
        let here = self.usages.iter().filter(|usage| usage.region == region);
        here.map(|usage| usage.resource.clone()).collect()
    }
}

impl Service {
    /// A service that calls with this client, whose credentials are its own.
    pub fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.to_owned() }
    }

    /// The usual start: waits for linkrole, then loads the credentials from their file, or, when
    /// there is none, registers with the token in `token_file` and saves what it gets.
    ///
    /// Errors: those of [`Service::register`]; [`Error::File`]; [`Error::Argument`] when there are
    /// neither credentials nor a token.
    pub async fn open(
        endpoint: &str,
        credentials: &Path,
        token_file: Option<&Path>,
        manifest: &Value,
    ) -> Result<Self, Error> {
        let name = manifest.get("service").and_then(Value::as_str).ok_or_else(|| {
            Error::Argument("expected the member `service` in the manifest; found none".to_owned())
        })?;
        let client = Client::tcp(endpoint, None)?;
        client.wait_ready().await?;
        let own = match Credentials::load(credentials)? {
            Some(own) => own,
            None => {
                let file = token_file.ok_or_else(|| {
                    Error::Argument(format!(
                        "expected credentials in {} or a token file for the first start; found \
                         neither. The operator gets a token with `linkrole service enrol {name}`",
                        credentials.display()
                    ))
                })?;
                let token = std::fs::read_to_string(file).map_err(|e| Error::file(file, &e))?;
                let own = Self::register(endpoint, token.trim(), manifest).await?;
                own.save(credentials)?;
                own
            }
        };
        Ok(Self::new(client.with(own), name))
    }

    /// Registers a service with the one-time token that the operator handed over. The credentials
    /// are told this once: save them before anything else.
    ///
    /// Errors: `EnrolmentRefused`, `Taken`, `ValidationError` as [`Error::Refused`].
    pub async fn register(
        endpoint: &str,
        token: &str,
        manifest: &Value,
    ) -> Result<Credentials, Error> {
        #[derive(Deserialize)]
        struct Registered {
            access_key_id: String,
            secret_access_key: String,
        }
        let body = json!({ "token": token, "manifest": manifest });
        let answer = Client::tcp(endpoint, None)?.post("/v1/services/register", &body).await?;
        let answer: Registered = read(answer, "the service's key")?;
        Ok(Credentials {
            access_key_id: answer.access_key_id,
            secret_access_key: Secret::new(answer.secret_access_key),
            session_token: None,
        })
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks who signed a request, and whether they may do this to that resource. The resource is
    /// the caller's account's unless `account` names another.
    ///
    /// A denial is an answer, not an error. Errors: the refusals of a signature that does not
    /// hold, as [`Error::Refused`]; and when linkrole cannot be asked.
    pub async fn authorize(
        &self,
        forwarded: &Forwarded,
        action: &str,
        resource: Option<&str>,
        account: Option<&str>,
        context: &Context,
    ) -> Result<Decision, Error> {
        #[derive(Deserialize)]
        struct Authorized {
            allowed: bool,
            message: Option<String>,
            #[serde(default)]
            ensure: Vec<String>,
            caller: Caller,
        }
        let body = json!({
            "forwarded": forwarded,
            "action": action,
            "resource": resource,
            "account": account,
            "context": context,
        });
        let raw = self.client.post("/v1/authorize", &body).await?;
        let answer: Authorized = read(raw.clone(), "a decision")?;
        Ok(Decision {
            allowed: answer.allowed,
            message: answer.message.unwrap_or_default(),
            ensure: answer.ensure,
            caller: answer.caller,
            raw,
        })
    }

    /// Asks as [`Service::authorize`] about a resource in the caller's own account, whose name
    /// `resource` makes from the account; answers the account too.
    ///
    /// linkrole puts the account into the name once it has proved the caller, so `resource` is given a
    /// word that stands for it. It must put what it is given into the place of the account.
    ///
    /// Errors: as [`Service::authorize`]; a caller without an account is a [`Error::Refused`] with
    /// `AccessDenied`.
    pub async fn authorize_own(
        &self,
        forwarded: &Forwarded,
        action: &str,
        resource: impl Fn(&str) -> String,
        context: &Context,
    ) -> Result<(Decision, String), Error> {
        let name = resource(OWN_ACCOUNT);
        let decision = self.authorize(forwarded, action, Some(&name), None, context).await?;
        let account = home_of(&decision.caller)?;
        Ok((decision, account))
    }

    /// Has the service's role in the caller's account made in the caller's name, unless it is
    /// there. Register a use next: only that keeps a deletion under way from taking it.
    ///
    /// Errors: `AccessDenied` when the caller may not make it; then nothing is made.
    pub async fn ensure(
        &self,
        forwarded: &Forwarded,
        principal: &str,
        suffix: Option<&str>,
    ) -> Result<Role, Error> {
        let body = json!({ "forwarded": forwarded, "principal": principal, "suffix": suffix });
        let answer = self.client.post("/v1/slr/ensure", &body).await?;
        let answer: Ensured = read(answer, "a role")?;
        Ok(Role { created: answer.created, ..answer.role })
    }

    /// Has another of the service's roles made in an account that has one of them already: for a service
    /// that has grown, in accounts that use it.
    ///
    /// Errors: `NoSuchEntity` for an account without a role of the service; `ConsentRequired` for one
    /// that makes such roles itself.
    pub async fn introduce(&self, account: &str, principal: &str) -> Result<Role, Error> {
        let body = json!({ "account": account, "principal": principal });
        let answer = self.client.post("/v1/slr/introduce", &body).await?;
        let answer: Ensured = read(answer, "a role")?;
        Ok(Role { created: answer.created, ..answer.role })
    }

    /// Credentials with which to call onward in the caller's name, for what the manifest's `forward`
    /// declares and the caller may do, for five minutes at most.
    ///
    /// Errors: `ValidationError` when the manifest declares nothing, and for a caller who is itself a
    /// service, or called onward already.
    pub async fn forward_access(&self, forwarded: &Forwarded) -> Result<Credentials, Error> {
        #[derive(Deserialize)]
        struct Made {
            access_key_id: String,
            secret_access_key: String,
            session_token: String,
        }
        let body = json!({ "forwarded": forwarded });
        let made: Made = read(self.client.post("/v1/forward-access", &body).await?, "a session")?;
        Ok(Credentials {
            access_key_id: made.access_key_id,
            secret_access_key: Secret::new(made.secret_access_key),
            session_token: Some(Secret::new(made.session_token)),
        })
    }

    /// Tells that a resource uses a role, *before* the resource is made. `role` is a name or,
    /// better, an id. A deletion of the role that is under way ends without deleting it.
    ///
    /// Errors: `NoSuchEntity` when the service has no such role there.
    pub async fn register_usage(
        &self,
        account: &str,
        role: &str,
        region: &str,
        resource: &str,
    ) -> Result<UsageChange, Error> {
        let body =
            json!({ "account": account, "role": role, "region": region, "resource": resource });
        read(self.client.post("/v1/usage/register", &body).await?, "a change of uses")
    }

    /// Tells that a resource no longer uses a role, *after* the resource is gone.
    ///
    /// Errors: as [`Service::register_usage`].
    pub async fn deregister_usage(
        &self,
        account: &str,
        role: &str,
        region: &str,
        resource: &str,
    ) -> Result<UsageChange, Error> {
        let body =
            json!({ "account": account, "role": role, "region": region, "resource": resource });
        read(self.client.post("/v1/usage/deregister", &body).await?, "a change of uses")
    }

    /// Tells the whole set of a region's resources, as a service does that may have lost count.
    /// `after_version` is the version of the set that was listed.
    ///
    /// Errors: `ConcurrentModification` when the set has changed since; list it again.
    pub async fn reconcile_usage(
        &self,
        account: &str,
        role: &str,
        region: &str,
        after_version: u64,
        resources: &BTreeSet<String>,
    ) -> Result<UsageChange, Error> {
        let body = json!({
            "account": account,
            "role": role,
            "region": region,
            "after_version": after_version,
            "resources": resources,
        });
        read(self.client.post("/v1/usage/reconcile", &body).await?, "a change of uses")
    }

    /// The uses of a role.
    ///
    /// Errors: as [`Service::register_usage`].
    pub async fn list_usage(&self, account: &str, role: &str) -> Result<UsageList, Error> {
        let body = json!({ "account": account, "role": role });
        read(self.client.post("/v1/usage/list", &body).await?, "a list of uses")
    }

    /// Ends every session of a role at once, so that none stands in the way of its deletion.
    ///
    /// Errors: as [`Service::register_usage`].
    pub async fn release_sessions(&self, account: &str, role: &str) -> Result<(), Error> {
        let body = json!({ "account": account, "role": role });
        self.client.post("/v1/slr/release-sessions", &body).await.map(|_| ())
    }

    /// Has a role deleted that the service is done with: its feature is switched off. Sessions end where no use is
    /// registered. Answers the task, which fails while uses are registered.
    ///
    /// Errors: as [`Service::register_usage`].
    pub async fn retire(&self, account: &str, role: &str) -> Result<String, Error> {
        #[derive(serde::Deserialize)]
        struct Task {
            task: String,
        }
        let body = json!({ "account": account, "role": role });
        let task: Task = read(self.client.post("/v1/slr/retire", &body).await?, "a task")?;
        Ok(task.task)
    }

    /// Opens a session of a role, and answers what to sign with in its name.
    ///
    /// Errors: `AccessDenied` when the role does not trust this service, and when there is none.
    pub async fn assume_role(
        &self,
        role_arn: &str,
        session_name: &str,
        duration_s: u32,
    ) -> Result<Credentials, Error> {
        let session = Session::open(&self.client, role_arn, session_name, duration_s).await?;
        Ok(session.credentials)
    }
}

/// A session of a role.
#[derive(Clone, Debug)]
pub struct Session {
    /// What to sign with in the role's name.
    pub credentials: Credentials,
    /// When it ends, as the server wrote it, a time of RFC 3339; none where it told none.
    pub expiration: Option<String>,
}

impl Session {
    /// Opens a session, with whatever key the client has.
    ///
    /// Errors: `AccessDenied` when the role cannot be assumed with that key, and when there is none.
    pub async fn open(
        client: &Client,
        role_arn: &str,
        session_name: &str,
        duration_s: u32,
    ) -> Result<Self, Error> {
        let duration = duration_s.to_string();
        let asked = [
            ("RoleArn", role_arn),
            ("RoleSessionName", session_name),
            ("DurationSeconds", duration.as_str()),
        ];
        // Each cloud's roles are assumed in its own API; the first word of a name says whose it is.
        if role_arn.split(':').next() == Some("acs") {
            let answer = client.rpc("2015-04-01", "AssumeRole", &asked).await?.success()?;
            return session_rpc(&answer);
        }
        let mut params = vec![("Action", "AssumeRole")];
        params.extend(asked);
        session(&client.query("sts", &params).await?)
    }
}

#[derive(Deserialize)]
struct Ensured {
    role: Role,
    created: bool,
}

fn home_of(caller: &Caller) -> Result<String, Error> {
    caller.account.clone().ok_or_else(|| {
        Error::Refused(Box::new(crate::error::Refusal {
            status: 403,
            code: "AccessDenied".to_owned(),
            message: format!("{} has no account, so nothing here is its own.", caller.arn),
            request_id: None,
        }))
    })
}

/// The session in an answer of STS.
fn session(xml: &str) -> Result<Session, Error> {
    let part = |name: &str| {
        xml::text(xml, name).ok_or_else(|| Error::Answer { expected: format!("<{name}>") })
    };
    Ok(Session {
        credentials: Credentials {
            access_key_id: part("AccessKeyId")?,
            secret_access_key: Secret::new(part("SecretAccessKey")?),
            session_token: Some(Secret::new(part("SessionToken")?)),
        },
        expiration: part("Expiration").ok(),
    })
}

/// The session in an answer of Alibaba Cloud's STS.
fn session_rpc(answer: &[u8]) -> Result<Session, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Made {
        access_key_id: String,
        access_key_secret: String,
        security_token: String,
        expiration: Option<String>,
    }
    #[derive(Deserialize)]
    struct Assumed {
        #[serde(rename = "Credentials")]
        made: Made,
    }
    let Assumed { made } = serde_json::from_slice(answer)
        .map_err(|e| Error::Answer { expected: format!("a session ({e})") })?;
    Ok(Session {
        credentials: Credentials {
            access_key_id: made.access_key_id,
            secret_access_key: Secret::new(made.access_key_secret),
            session_token: Some(Secret::new(made.security_token)),
        },
        expiration: made.expiration,
    })
}

fn read<T: DeserializeOwned>(answer: Value, expected: &str) -> Result<T, Error> {
    serde_json::from_value(answer)
        .map_err(|e| Error::Answer { expected: format!("{expected} ({e})") })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use crate::http::{self, Request, Response};
    use std::sync::Mutex;
    use tokio::net::TcpListener;

    fn role() -> Value {
        json!({
            "arn": "arn:aws:iam::123456789012:role/aws-service-role/shelf.example.com/R",
            "name": "R", "id": "AROAAAAAAAAAAAAAAAAAA", "account": "123456789012",
            "path": "/aws-service-role/shelf.example.com/", "created": "2026-03-14T15:09:26Z",
            "description": null, "max_session_s": 3600, "last_used": null,
            "kind": "service-linked", "deleting": false, "epoch": 0,
        })
    }

    fn forwarded(key: &str) -> Forwarded {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260314/local-1/shelf/aws4_request, \
             SignedHeaders=host, Signature=00"
        );
        let headers = [("host", "a"), ("authorization", authorization.as_str())]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Forwarded::new("GET", "/", "", &headers, b"").unwrap()
    }

    /// A server that answers as linkrole does, and writes down what it was asked.
    async fn fake() -> (Service, std::sync::Arc<Mutex<Vec<Value>>>) {
        let asked = std::sync::Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let notes = asked.clone();
        tokio::spawn(http::serve(listener, move |request: Request| {
            let notes = notes.clone();
            async move {
                let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                notes.lock().unwrap().push(body);
                Response::json(
                    200,
                    &match request.path.as_str() {
                        "/v1/slr/ensure" => json!({ "role": role(), "created": true }),
                        "/v1/usage/list" => json!({
                            "role": role(),
                            "usages": [{ "region": "local-1", "resource": "a" }],
                            "versions": { "local-1": 7 },
                            "last_session_end": null,
                        }),
                        "/v1/authorize" => json!({
                            "allowed": false, "message": "no", "decision": "ImplicitDeny",
                            "caller": {
                                "arn": "x", "id": "y", "account": "123456789012", "kind": "user",
                            },
                        }),
                        _ => json!({
                            "role": role(), "version": 8, "changed": true, "ended_deletion": null,
                        }),
                    },
                )
            }
        }));
        (Service::new(Client::tcp(&endpoint, None).unwrap(), "shelf.example.com"), asked)
    }

    #[tokio::test]
    async fn the_native_answers_are_read() {
        let (service, _) = fake().await;
        let role = service.ensure(&forwarded("K"), "shelf.example.com", None).await.unwrap();
        assert!(role.created && !role.deleting);
        let list = service.list_usage(&role.account, &role.id).await.unwrap();
        assert_eq!((list.version("local-1"), list.version("local-2")), (7, 0));
        assert_eq!(list.resources("local-1"), BTreeSet::from(["a".to_owned()]));
        assert!(!list.role.created);
        let none = BTreeSet::new();
        let change = service.reconcile_usage(&role.account, &role.id, "local-1", 7, &none).await;
        assert_eq!(change.unwrap().version, 8);
    }

    #[tokio::test]
    async fn a_resource_of_the_callers_own_account_is_asked_about_by_its_whole_name() {
        let (service, asked) = fake().await;
        let name = |account: &str| format!("arn:aws:shelf:local-1:{account}:shelf/a");
        for asked_before in [0, 1] {
            let (decision, account) = service
                .authorize_own(&forwarded("K"), "shelf:Get", name, &Context::new())
                .await
                .unwrap();
            assert_eq!((decision.allowed, decision.message.as_str()), (false, "no"));
            assert_eq!(account, "123456789012");
            let asked = asked.lock().unwrap();
            assert_eq!(asked.len(), asked_before + 1);
            let last = asked.last().and_then(|ask| ask.get("resource")).cloned();
            assert_eq!(last, Some(json!("arn:aws:shelf:local-1:{account}:shelf/a")));
        }
    }

    #[test]
    fn a_session_is_read_from_xml() {
        let xml = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA\
            </AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t&#43;</SessionToken>\
            </Credentials></AssumeRoleResult></AssumeRoleResponse>";
        let session = super::session(xml).unwrap();
        assert_eq!(session.credentials.access_key_id, "ASIA");
        assert_eq!(session.credentials.session_token.unwrap().expose(), "t+");
        assert!(super::session("<A/>").is_err());
        let json = br#"{"Credentials":{"AccessKeyId":"STS.a","AccessKeySecret":"s",
            "SecurityToken":"t","Expiration":"2026-03-14T16:09:26Z"}}"#;
        let session = super::session_rpc(json).unwrap();
        assert_eq!(session.credentials.access_key_id, "STS.a");
        assert_eq!(session.expiration.as_deref(), Some("2026-03-14T16:09:26Z"));
        assert!(super::session_rpc(b"{}").is_err());
    }
}
