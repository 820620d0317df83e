//! Calls over TCP or the operator's Unix socket: one connection per request, with limits.
//!
//! Not here: what the operations are (`service`), how a request is signed (`sign`), whom TLS believes (`tls`).

use crate::clock;
use crate::credentials::Credentials;
use crate::error::Error;
use crate::proved::Proved;
use crate::sign::{self, percent_encode};
use crate::sign_acs;
use crate::tls;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// The region that signatures to linkrole name.
pub const REGION: &str = "local-1";
/// Time for a whole request, from connecting to the last byte of the answer.
const TIME: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const ANSWER_MAX: usize = 4 << 20;
/// How often a server that is not ready is asked again, and the pause in between.
const READY_TRIES: u32 = 100;
const READY_PAUSE: Duration = Duration::from_millis(100);

/// One server, and what requests to it are signed with.
#[derive(Clone, Debug)]
pub struct Client {
    place: Place,
    signer: Signer,
}

/// What requests are signed with.
#[derive(Clone, Debug)]
enum Signer {
    Nobody,
    Key(Arc<Credentials>),
    Proved(Arc<Proved>),
}

#[derive(Clone, Debug)]
enum Place {
    /// Host and port, as the `host` header says them.
    Tcp(String),
    Tls(String, Arc<ClientConfig>),
    Socket(PathBuf),
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path, percent-encoded.
    pub path: &'a str,
    /// The query, percent-encoded, without the question mark.
    pub query: &'a str,
    /// The type of the body; none for a request without one.
    pub content_type: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
    /// The name in the signature's scope: whose API it is.
    pub signing_name: &'a str,
}

/// An operation of a service that speaks one of AWS's protocols at `/`.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// The name in the signature's scope.
    pub signing_name: &'a str,
    /// The region in the signature's scope.
    pub region: &'a str,
    /// What is sent, and how.
    pub form: Form<'a>,
}

/// How an operation of AWS's is sent.
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// As a form with the operation's name under `Action`; answered in XML.
    Query {
        /// The version of the API.
        version: &'a str,
        /// The operation.
        action: &'a str,
        /// Its parameters, flat.
        params: &'a [(&'a str, &'a str)],
    },
    /// As JSON 1.1 with the operation's name in a header; answered in JSON.
    Json {
        /// The API and the operation, as in `Kinesis_20131202.PutRecord`.
        target: &'a str,
        /// Its parameters.
        body: &'a Value,
    },
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body of a success.
    ///
    /// Errors: [`Error::Refused`] for every status but 200 to 299.
    pub fn success(self) -> Result<Bytes, Error> {
        if (200..300).contains(&self.status) {
            Ok(self.body)
        } else {
            Err(Error::refused(self.status, &self.body))
        }
    }
}

impl Client {
    /// A server at `https://HOST:PORT` or `http://HOST:PORT`; requests are signed if there are credentials. The
    /// server's certificate must be one that this machine trusts; see [`Client::trusting`].
    ///
    /// Errors: [`Error::Argument`] for an address of another form.
    pub fn tcp(endpoint: &str, credentials: Option<Credentials>) -> Result<Self, Error> {
        let wrong = || {
            Error::Argument(format!(
                "expected an address like https://linkrole.internal:4680; found `{endpoint}`"
            ))
        };
        let (scheme, host) = endpoint.split_once("://").ok_or_else(wrong)?;
        if !["http", "https"].contains(&scheme) {
            return Err(wrong());
        }
        let host = host.strip_suffix('/').unwrap_or(host);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b);
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(wrong());
        }
        let host = host.to_owned();
        let place = match scheme {
            "https" => Place::Tls(host, tls::config(None)?),
            _ => Place::Tcp(host),
        };
        let signer = credentials.map_or(Signer::Nobody, |key| Signer::Key(Arc::new(key)));
        Ok(Self { place, signer })
    }

    /// The same server, which is believed by the certificates in this PEM file and no others.
    ///
    /// Errors: [`Error::File`].
    pub fn trusting(self, certificates: &Path) -> Result<Self, Error> {
        let place = match self.place {
            Place::Tls(host, _) => Place::Tls(host, tls::config(Some(certificates))?),
            other => other,
        };
        Ok(Self { place, ..self })
    }

    /// A server at `https://HOST:PORT` or `http://HOST:PORT`, called by a linked service that keeps no key: it shows the token
    /// in a file, which its manifest names, for credentials, and signs with these. The file is read anew whenever half of
    /// their time has passed.
    ///
    /// Errors: as [`Client::tcp`]; a call also has [`Error::File`], and `IdentityRefused` as [`Error::Refused`].
    pub fn by_token(endpoint: &str, service: &str, token_file: &Path) -> Result<Self, Error> {
        let signer = Signer::Proved(Arc::new(Proved::new(service, token_file.to_owned())));
        Ok(Self { signer, ..Self::tcp(endpoint, None)? })
    }

    /// The operator's own socket: who may open it is the operator, so nothing is signed.
    pub fn socket(path: &Path) -> Self {
        Self { place: Place::Socket(path.to_owned()), signer: Signer::Nobody }
    }

    /// The same server with other credentials.
    pub fn with(&self, credentials: Credentials) -> Self {
        Self { place: self.place.clone(), signer: Signer::Key(Arc::new(credentials)) }
    }

    /// The same server, called without a signature.
    pub(crate) fn unsigned(&self) -> Self {
        Self { place: self.place.clone(), signer: Signer::Nobody }
    }

    /// Calls the native API: a POST of JSON, answered in JSON.
    ///
    /// Errors: every variant of [`Error`] but those of files.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let body = body.to_string();
        let call = Call {
            method: "POST",
            path,
            query: "",
            content_type: Some("application/json"),
            body: body.as_bytes(),
            signing_name: "iam",
        };
        let answer = self.send(&call).await?.success()?;
        serde_json::from_slice(&answer).map_err(|_| Error::Answer { expected: "JSON".to_owned() })
    }

    /// Calls the AWS Query API of `iam` or `sts`, and answers its XML. `Version` is added.
    ///
    /// Errors: as [`Client::post`].
    pub async fn query(&self, service: &str, params: &[(&str, &str)]) -> Result<String, Error> {
        let version = match service {
            "iam" => "2010-05-08",
            "sts" => "2011-06-15",
            other => {
                let text = format!("expected the service `iam` or `sts`; found `{other}`");
                return Err(Error::Argument(text));
            }
        };
        let body = query_of(params.iter().copied().chain([("Version", version)]));
        let call = Call {
            method: "POST",
            path: "/",
            query: "",
            content_type: Some("application/x-www-form-urlencoded; charset=utf-8"),
            body: body.as_bytes(),
            signing_name: service,
        };
        let answer = self.send(&call).await?.success()?;
        String::from_utf8(answer.to_vec())
            .map_err(|_| Error::Answer { expected: "XML in UTF-8".to_owned() })
    }

    /// Calls an operation of a service that speaks one of AWS's protocols. Takes any answer.
    ///
    /// Errors: as [`Client::send`].
    pub async fn operation(&self, operation: &Operation<'_>) -> Result<Answer, Error> {
        let mut headers = Vec::new();
        let (kind, body) = match &operation.form {
            Form::Query { version, action, params } => {
                let named = [("Action", *action), ("Version", *version)];
                let kind = "application/x-www-form-urlencoded; charset=utf-8";
                (kind, query_of(named.into_iter().chain(params.iter().copied())))
            }
            Form::Json { target, body } => {
                headers.push(("x-amz-target".to_owned(), (*target).to_owned()));
                ("application/x-amz-json-1.1", body.to_string())
            }
        };
        let call = Call {
            method: "POST",
            path: "/",
            query: "",
            content_type: Some(kind),
            body: body.as_bytes(),
            signing_name: operation.signing_name,
        };
        self.send_with(&call, operation.region, headers).await
    }

    /// Waits until the server says that it is ready, for ten seconds and some.
    ///
    /// Errors: the last one; the server's refusal if it answers but is not ready.
    pub async fn wait_ready(&self) -> Result<(), Error> {
        let mut tries = READY_TRIES;
        loop {
            match self.ready().await {
                Ok(()) => return Ok(()),
                Err(error) if tries == 0 => return Err(error),
                Err(_) => tokio::time::sleep(READY_PAUSE).await,
            }
            tries = tries.saturating_sub(1);
        }
    }

    /// Asks once whether the server is ready; nothing is signed.
    ///
    /// Errors: the server's refusal if it answers but is not ready.
    pub async fn ready(&self) -> Result<(), Error> {
        let call = Call {
            method: "GET",
            path: "/readyz",
            query: "",
            content_type: None,
            body: b"",
            signing_name: "iam",
        };
        self.unsigned().send(&call).await.and_then(Answer::success).map(drop)
    }

    /// Sends any request, signed if there are credentials, and takes any answer.
    ///
    /// Errors: [`Error::Unreachable`], [`Error::Broken`], [`Error::Argument`].
    pub async fn send(&self, call: &Call<'_>) -> Result<Answer, Error> {
        self.send_with(call, REGION, Vec::new()).await
    }

    /// The same, signed for a region and with more headers.
    async fn send_with(
        &self,
        call: &Call<'_>,
        region: &str,
        more: Vec<(String, String)>,
    ) -> Result<Answer, Error> {
        let credentials = self.credentials().await?;
        let request = self.request(call, region, more, credentials.as_deref())?;
        let answer = self.deliver(request).await?;
        self.learn(credentials.as_ref(), &answer).await;
        Ok(answer)
    }

    /// Calls an operation in the RPC style of Alibaba Cloud, its parameters in the query, signed with version 3.
    /// Takes any answer.
    ///
    /// Errors: as [`Client::send`]; [`Error::Argument`] without credentials.
    pub async fn rpc(
        &self,
        version: &str,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<Answer, Error> {
        let credentials = self.credentials().await?;
        let Some(signing) = credentials.as_deref() else {
            let text = format!("expected credentials to sign {action} with; found none");
            return Err(Error::Argument(text));
        };
        let query = query_of(params.iter().copied());
        let signed = sign_acs::Request { host: self.host(), version, action, query: &query };
        let nonce = clock::nonce().map_err(|e| {
            Error::Argument(format!("expected random bytes from the system; found: {e}"))
        })?;
        let headers = sign_acs::sign(&signed, signing, clock::now(), &nonce);
        let answer = self.deliver(built("POST", "/", &query, headers, b"")?).await?;
        self.learn(credentials.as_ref(), &answer).await;
        Ok(answer)
    }

    async fn credentials(&self) -> Result<Option<Arc<Credentials>>, Error> {
        match &self.signer {
            Signer::Nobody => Ok(None),
            Signer::Key(key) => Ok(Some(key.clone())),
            Signer::Proved(proved) => Ok(Some(proved.credentials(&self.unsigned()).await?)),
        }
    }

    /// What a refusal may say of credentials that were proved for.
    async fn learn(&self, used: Option<&Arc<Credentials>>, answer: &Answer) {
        if let (Signer::Proved(proved), Some(used), 403) = (&self.signer, used, answer.status) {
            proved.forget(used).await;
        }
    }

    async fn deliver(&self, request: hyper::Request<Full<Bytes>>) -> Result<Answer, Error> {
        let deadline = tokio::time::Instant::now().checked_add(TIME);
        let deadline = deadline.unwrap_or_else(tokio::time::Instant::now);
        match &self.place {
            Place::Tcp(host) => {
                let (_, address) = address(host, 80);
                let stream = self.connected(deadline, TcpStream::connect(address)).await?;
                let _ = stream.set_nodelay(true);
                self.exchange(deadline, stream, request).await
            }
            Place::Tls(host, config) => {
                let (name, address) = address(host, 443);
                let name = ServerName::try_from(name).map_err(|e| {
                    Error::Argument(format!("expected a host in `{host}`; found: {e}"))
                })?;
                let stream = self.connected(deadline, TcpStream::connect(address)).await?;
                let _ = stream.set_nodelay(true);
                let connector = TlsConnector::from(config.clone());
                let stream = self.connected(deadline, connector.connect(name, stream)).await?;
                self.exchange(deadline, stream, request).await
            }
            Place::Socket(path) => {
                let stream = self.connected(deadline, UnixStream::connect(path)).await?;
                self.exchange(deadline, stream, request).await
            }
        }
    }

    fn request(
        &self,
        call: &Call<'_>,
        region: &str,
        mut headers: Vec<(String, String)>,
        credentials: Option<&Credentials>,
    ) -> Result<hyper::Request<Full<Bytes>>, Error> {
        let host = self.host();
        if let Some(kind) = call.content_type {
            headers.push(("content-type".to_owned(), kind.to_owned()));
        }
        match credentials {
            Some(credentials) => {
                let signed = sign::Request {
                    method: call.method,
                    host,
                    path: call.path,
                    query: call.query,
                    headers: &headers,
                    body: call.body,
                };
                let now = clock::now();
                headers.extend(sign::sign(&signed, credentials, region, call.signing_name, now));
            }
            None => headers.push(("host".to_owned(), host.to_owned())),
        }
        built(call.method, call.path, call.query, headers, call.body)
    }

    /// The host with its port, as the `host` header says it.
    fn host(&self) -> &str {
        match &self.place {
            Place::Tcp(host) | Place::Tls(host, _) => host.as_str(),
            Place::Socket(_) => "localhost",
        }
    }

    async fn connected<T>(
        &self,
        deadline: tokio::time::Instant,
        connecting: impl Future<Output = std::io::Result<T>>,
    ) -> Result<T, Error> {
        let why = match tokio::time::timeout_at(deadline, connecting).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no connection in time".to_owned(),
        };
        Err(Error::Unreachable { place: self.place(), why })
    }

    async fn exchange(
        &self,
        deadline: tokio::time::Instant,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<Answer, Error> {
        let broken = |why: String| Error::Broken { place: self.place(), why };
        let work = async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .map_err(|e| e.to_string())?;
            // Ends with this set, however the exchange ends.
            let mut driver = JoinSet::new();
            driver.spawn(connection);
            let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), ANSWER_MAX).collect();
            let body = body.await.map_err(|e| e.to_string())?.to_bytes();
            Ok(Answer { status, body })
        };
        match tokio::time::timeout_at(deadline, work).await {
            Ok(answer) => answer.map_err(broken),
            Err(_) => Err(broken("no answer in time".to_owned())),
        }
    }

    fn place(&self) -> String {
        match &self.place {
            Place::Tcp(host) => format!("http://{host}"),
            Place::Tls(host, _) => format!("https://{host}"),
            Place::Socket(path) => path.display().to_string(),
        }
    }
}

/// Parameters as a query or a form.
fn query_of<'a>(params: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let parts: Vec<String> = params
        .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
        .collect();
    parts.join("&")
}

fn built(
    method: &str,
    path: &str,
    query: &str,
    headers: Vec<(String, String)>,
    body: &[u8],
) -> Result<hyper::Request<Full<Bytes>>, Error> {
    let target = match query {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    };
    let mut request = hyper::Request::builder()
        .method(method)
        .uri(target)
        .header("user-agent", concat!("linkrole-sdk/", env!("CARGO_PKG_VERSION")));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request
        .body(Full::new(Bytes::copy_from_slice(body)))
        .map_err(|e| Error::Argument(format!("{method} {path} cannot be sent: {e}")))
}

/// The bare host, and the address to connect to; without a port it is that of the scheme.
fn address(host: &str, port: u16) -> (String, String) {
    let has_port = !host.ends_with(']') && host.contains(':');
    let bare = if has_port { host.rsplit_once(':').map_or(host, |(bare, _)| bare) } else { host };
    let whole = if has_port { host.to_owned() } else { format!("{host}:{port}") };
    (bare.trim_matches(['[', ']']).to_owned(), whole)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]
    use super::*;
    use crate::http::{self, Request, Response};
    use tokio::net::TcpListener;

    #[test]
    fn an_address_has_one_form() {
        let good =
            ["http://127.0.0.1:8080", "http://localhost:1/", "http://[::1]:9000", "https://a"];
        for good in good {
            assert!(Client::tcp(good, None).is_ok(), "{good}");
        }
        for bad in ["127.0.0.1:8080", "ftp://a", "http://", "http://a/b", "http://u@a", "https://"]
        {
            assert!(matches!(Client::tcp(bad, None), Err(Error::Argument(_))), "{bad}");
        }
    }

    #[test]
    fn a_host_has_the_port_of_its_scheme() {
        for (host, port, bare, whole) in [
            ("a", 443, "a", "a:443"),
            ("a:1", 443, "a", "a:1"),
            ("[::1]", 80, "::1", "[::1]:80"),
            ("[::1]:9", 80, "::1", "[::1]:9"),
        ] {
            assert_eq!(address(host, port), (bare.to_owned(), whole.to_owned()));
        }
    }

    #[tokio::test]
    async fn a_request_reaches_the_helper_server_and_its_answer_comes_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(http::serve(listener, |request: Request| async move {
            match request.path.as_str() {
                "/v1/echo" => Response::json(
                    200,
                    &serde_json::json!({
                        "method": request.method,
                        "query": request.query,
                        "body": String::from_utf8_lossy(&request.body),
                        "agent": request.header("user-agent"),
                    }),
                ),
                _ => Response::error(404, "NotFound", "nothing here"),
            }
        }));
        let client = Client::tcp(&endpoint, None).unwrap();
        let answer = client.post("/v1/echo", &serde_json::json!({"a": 1})).await.unwrap();
        assert_eq!(answer.get("body").unwrap(), "{\"a\":1}");
        assert_eq!(answer.get("method").unwrap(), "POST");
        let error = client.post("/v1/else", &serde_json::json!({})).await.unwrap_err();
        assert!(error.is("NotFound"), "{error}");
        server.abort();
        let _ = server.await;
        let error = client.post("/v1/echo", &serde_json::json!({})).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    }

    #[tokio::test]
    async fn an_unknown_service_has_no_query_api() {
        let client = Client::socket(Path::new("/nowhere"));
        assert!(matches!(client.query("ec2", &[]).await, Err(Error::Argument(_))));
    }

    #[tokio::test]
    async fn operations_of_aws_travel_in_their_protocols_signed_for_their_region() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(http::serve(listener, |request: Request| async move {
            let said = |name: &str| request.header(name).unwrap_or_default().to_owned();
            let body = String::from_utf8_lossy(&request.body).into_owned();
            Response::json(
                200,
                &serde_json::json!([said("x-amz-target"), said("authorization"), body]),
            )
        }));
        let key = Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: crate::Secret::new("secret".to_owned()),
            session_token: None,
        };
        let client = Client::tcp(&endpoint, Some(key)).unwrap();
        let params = [("Name", "a b")];
        let query = Form::Query { version: "2010-03-31", action: "CreateTopic", params: &params };
        let json =
            Form::Json { target: "Logs_1.Do", body: &serde_json::json!({ "logGroupName": "g" }) };
        for (form, target, body) in [
            (query, "", "Action=CreateTopic&Version=2010-03-31&Name=a%20b"),
            (json, "Logs_1.Do", r#"{"logGroupName":"g"}"#),
        ] {
            let operation = Operation { signing_name: "sns", region: "eu-test-1", form };
            let answer = client.operation(&operation).await.unwrap().success().unwrap();
            let said: Vec<String> = serde_json::from_slice(&answer).unwrap();
            assert_eq!((said[0].as_str(), said[2].as_str()), (target, body));
            assert!(said[1].contains("/eu-test-1/sns/aws4_request"), "{}", said[1]);
            assert_eq!(said[1].contains("x-amz-target"), !target.is_empty(), "it is signed");
        }
        server.abort();
    }
}
