//! `linkrole agent`: credentials of a role for programs that know nothing of linkrole.
//!
//! It holds the one key of a node, or shows the token that its surroundings gave it, opens sessions of one role and hands them out on loopback, as the clouds' own
//! agents do: to AWS's clients as container credentials, to Alibaba Cloud's as a credentials URI. With `--once` it
//! prints one session for `credential_process` and ends. A session is replaced when half of its time has passed.

use super::{Endpoint, output};
use clap::Args;
use sdk::http::{Request, Response};
use sdk::{Client, Credentials};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;

/// Where sessions are handed out.
const PATH: &str = "/credentials";

#[derive(Args)]
pub struct AgentArgs {
    /// The role's ARN
    #[arg(long)]
    role: String,
    /// The name of its sessions
    #[arg(long, default_value = "agent")]
    session: String,
    /// How long a session is, in seconds
    #[arg(long, default_value_t = 3_600)]
    duration: u32,
    /// Where to listen; loopback only
    #[arg(long, default_value = "127.0.0.1:4690")]
    listen: SocketAddr,
    /// The key's file, as the SDK of linked services writes it; that of the environment unless given
    #[arg(long)]
    credentials: Option<PathBuf>,
    /// A file with a token that proves a linked service, instead of a key; read anew when it is needed
    #[arg(long, requires = "service", conflicts_with = "credentials", value_name = "FILE")]
    identity_token: Option<PathBuf>,
    /// The linked service that the token proves
    #[arg(long, requires = "identity_token", value_name = "NAME")]
    service: Option<String>,
    /// Keep what a program has to present in this file, mode 600, from one start to the next
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// Print one session for `credential_process`, and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// Carries out the command.
pub fn run(args: &AgentArgs) -> Result<(), String> {
    let client = client(args)?;
    let (role, name) = (args.role.clone(), args.session.clone());
    let source = Source { client, role, name, duration_s: args.duration };
    super::runtime()?.block_on(async {
        if args.once {
            let session = source.open().await.map_err(|e| e.to_string())?;
            return output::line(&session.for_process().to_string());
        }
        serve(args, source).await
    })
}

/// A client with the key of the node, or with the token in its stead.
fn client(args: &AgentArgs) -> Result<Client, String> {
    let endpoint = &args.endpoint.endpoint;
    if let (Some(file), Some(service)) = (&args.identity_token, &args.service) {
        return super::remote::believed(Client::by_token(endpoint, service, file));
    }
    let credentials = match &args.credentials {
        Some(file) => Credentials::load(file)
            .map_err(|e| e.to_string())?
            .ok_or_else(|| format!("{}: there is no such file", file.display()))?,
        None => super::remote::environment().ok_or(
            "no access key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file with --credentials or --identity-token",
        )?,
    };
    super::remote::client(endpoint, Some(credentials))
}

async fn serve(args: &AgentArgs, source: Source) -> Result<(), String> {
    if !args.listen.ip().is_loopback() {
        return Err(format!(
            "{} is not loopback: whoever reaches an agent gets its role's credentials",
            args.listen
        ));
    }
    let token = Arc::new(match &args.token_file {
        Some(file) => kept_token(file)?,
        None => new_token()?,
    });
    let listener = crate::node::bind(args.listen).await?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let agent = Arc::new(Agent { source, token: token.clone(), address, held: Mutex::new(None) });
    // A role that cannot be assumed is told now, and not to the first program that asks.
    agent.session().await.map_err(|e| e.to_string())?;
    let shown = match &args.token_file {
        Some(file) => format!("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE={}", file.display()),
        None => format!("AWS_CONTAINER_AUTHORIZATION_TOKEN={token}"),
    };
    // Caught from now on: whoever is told that the agent is ready may ask it to end.
    let catch = |kind| signal(kind).map_err(|e| format!("cannot catch signals: {e}"));
    let (mut term, mut int) = (catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?);
    output::line(&format!(
        "export AWS_CONTAINER_CREDENTIALS_FULL_URI=http://{address}{PATH}\n\
         export {shown}\n\
         export ALIBABA_CLOUD_CREDENTIALS_URI=http://{address}{PATH}/{token}\n\
         ready http://{address}"
    ))?;
    let handler = move |request: Request| {
        let agent = agent.clone();
        async move { agent.answer(&request).await }
    };
    tokio::select! {
        served = sdk::http::serve(listener, handler) => served.map_err(|e| e.to_string()),
        _ = term.recv() => Ok(()),
        _ = int.recv() => Ok(()),
    }
}

fn new_token() -> Result<String, String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|e| format!("no randomness: {e}"))?;
    Ok(iam::seal::hex(&bytes))
}

/// The token of a file, which is made if there is none.
fn kept_token(file: &Path) -> Result<String, String> {
    if !file.exists() {
        let token = new_token()?;
        crate::keys::write_private(file, token.as_bytes())?;
        return Ok(token);
    }
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let token = text.trim();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if token.len() < 32 || !token.bytes().all(plain) {
        let at = file.display();
        return Err(format!("{at}: expected a token of at least 32 letters, digits, `-` and `_`"));
    }
    Ok(token.to_owned())
}

/// Where sessions come from.
struct Source {
    client: Client,
    role: String,
    name: String,
    duration_s: u32,
}

/// A session with its times.
#[derive(Clone)]
struct Session {
    credentials: Credentials,
    opened: OffsetDateTime,
    ends: OffsetDateTime,
}

impl Source {
    /// Opens a session.
    async fn open(&self) -> Result<Session, sdk::Error> {
        let opened =
            sdk::Session::open(&self.client, &self.role, &self.name, self.duration_s).await?;
        let lacks = || sdk::Error::Answer { expected: "<Expiration>".to_owned() };
        let ends = OffsetDateTime::parse(&opened.expiration.ok_or_else(lacks)?, &Rfc3339);
        Ok(Session {
            credentials: opened.credentials,
            opened: OffsetDateTime::now_utc(),
            ends: ends.map_err(|_| lacks())?,
        })
    }
}

impl Session {
    /// Whether more than half of its time is left.
    fn is_fresh(&self, now: OffsetDateTime) -> bool {
        now + (self.ends - self.opened) / 2 < self.ends
    }

    fn token(&self) -> &str {
        self.credentials.session_token.as_ref().map_or("", |token| token.expose())
    }

    fn expiration(&self) -> String {
        self.ends.format(&Rfc3339).unwrap_or_default()
    }

    /// What `credential_process` prints. [src: AWS, sourcing credentials with an external process]
    fn for_process(&self) -> Value {
        json!({
            "Version": 1,
            "AccessKeyId": self.credentials.access_key_id,
            "SecretAccessKey": self.credentials.secret_access_key.expose(),
            "SessionToken": self.token(),
            "Expiration": self.expiration(),
        })
    }

    /// The answer of a container's credentials endpoint. [src: AWS, container credential provider]
    fn for_container(&self) -> Value {
        json!({
            "AccessKeyId": self.credentials.access_key_id,
            "SecretAccessKey": self.credentials.secret_access_key.expose(),
            "Token": self.token(),
            "Expiration": self.expiration(),
        })
    }

    /// The answer at a credentials URI. [src: Alibaba Cloud, credentials_uri of the credentials tools]
    fn for_uri(&self) -> Value {
        json!({
            "Code": "Success",
            "AccessKeyId": self.credentials.access_key_id,
            "AccessKeySecret": self.credentials.secret_access_key.expose(),
            "SecurityToken": self.token(),
            "Expiration": self.expiration(),
        })
    }
}

/// A no of the server; that it cannot be asked, or fails itself, is none.
fn refusal(error: &sdk::Error) -> Option<&sdk::Refusal> {
    error.refusal().filter(|refusal| refusal.status < 500)
}

/// What serves sessions.
struct Agent {
    source: Source,
    token: Arc<String>,
    address: SocketAddr,
    held: Mutex<Option<Session>>,
}

impl Agent {
    /// The session that is held, or a new one; of two that ask at once, one opens it.
    ///
    /// When none can be opened, the held one is handed out as long as it lives.
    async fn session(&self) -> Result<Session, sdk::Error> {
        let mut held = self.held.lock().await;
        let now = OffsetDateTime::now_utc();
        if let Some(session) = held.as_ref().filter(|session| session.is_fresh(now)) {
            return Ok(session.clone());
        }
        match self.source.open().await {
            Ok(session) => {
                *held = Some(session.clone());
                Ok(session)
            }
            Err(error) => match held.as_ref().filter(|session| now < session.ends) {
                Some(session) if refusal(&error).is_none() => Ok(session.clone()),
                _ => Err(error),
            },
        }
    }

    async fn answer(&self, request: &Request) -> Response {
        let wrong = |status: u16, code: &str, message: &str| {
            Response::json(status, &json!({ "code": code, "message": message }))
        };
        if !self.is_own_host(request) {
            return wrong(403, "WrongHost", "Ask by the address, not by a name.");
        }
        if request.method != "GET" {
            return wrong(405, "MethodNotAllowed", "Expected GET.");
        }
        let (given, is_uri) = match request.path.strip_prefix(PATH) {
            Some("") => (request.header("authorization"), false),
            Some(rest) => (rest.strip_prefix('/'), true),
            None => return wrong(404, "NotFound", "There is nothing here."),
        };
        if !given.is_some_and(|given| iam::seal::equal(given.trim(), &self.token)) {
            return wrong(401, "Unauthorized", "The token is not this agent's.");
        }
        match self.session().await {
            Ok(session) if is_uri => Response::json(200, &session.for_uri()),
            Ok(session) => Response::json(200, &session.for_container()),
            Err(error) => match refusal(&error) {
                Some(refusal) => wrong(403, &refusal.code, &refusal.message),
                None => wrong(503, "ServiceUnavailable", &error.to_string()),
            },
        }
    }

    /// Whether the request is to the agent's own address, with or without its port, as clients say it: a page of
    /// a browser that has a name point to loopback gets nothing.
    fn is_own_host(&self, request: &Request) -> bool {
        let (ip, port) = (self.address.ip(), self.address.port());
        let address = self.address.to_string();
        let bare = address.strip_suffix(&format!(":{port}")).unwrap_or(&address).to_owned();
        let own = [address, bare, ip.to_string(), format!("localhost:{port}"), "localhost".into()];
        let mut hosts = request.headers.iter().filter(|(name, _)| name == "host").peekable();
        hosts.peek().is_some() && hosts.all(|(_, host)| own.contains(host))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
    use time::Duration;

    /// A server that opens sessions of so many seconds, or refuses with a status below zero; and how often it was asked.
    async fn server() -> (SocketAddr, Arc<AtomicI64>, Arc<AtomicUsize>) {
        let (seconds, asked) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicUsize::new(0)));
        let listener = crate::node::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (left, count) = (seconds.clone(), asked.clone());
        tokio::spawn(sdk::http::serve(listener, move |_| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let seconds = left.load(Ordering::SeqCst);
            async move {
                let Ok(status) = u16::try_from(-seconds) else {
                    let ends = OffsetDateTime::now_utc() + Duration::seconds(seconds);
                    let ends = ends.format(&Rfc3339).unwrap();
                    let text = format!(
                        "<R><AccessKeyId>K{number}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
                         <SessionToken>t</SessionToken><Expiration>{ends}</Expiration></R>"
                    );
                    return Response::bytes(200, text.into_bytes());
                };
                Response::error(status, "Refused", "no")
            }
        }));
        (address, seconds, asked)
    }

    async fn agent(server: SocketAddr) -> Agent {
        let credentials = Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: sdk::Secret::new("secret".to_owned()),
            session_token: None,
        };
        let client = Client::tcp(&format!("http://{server}"), Some(credentials)).unwrap();
        let source =
            Source { client, role: "r".to_owned(), name: "agent".to_owned(), duration_s: 900 };
        let address = SocketAddr::from(([127, 0, 0, 1], 4_690));
        Agent { source, token: Arc::new("token".to_owned()), address, held: Mutex::new(None) }
    }

    fn asks(host: &str, path: &str, token: Option<&str>) -> Request {
        let mut headers = vec![("host".to_owned(), host.to_owned())];
        headers.extend(token.map(|token| ("authorization".to_owned(), token.to_owned())));
        Request { method: "GET".to_owned(), path: path.to_owned(), headers, ..Request::default() }
    }

    #[tokio::test]
    async fn a_session_is_shared_while_it_is_fresh_and_replaced_after() {
        let (server, seconds, asked) = server().await;
        let agent = agent(server).await;
        seconds.store(3_600, Ordering::SeqCst);
        let both = tokio::join!(agent.session(), agent.session());
        let (one, other) = (both.0.unwrap(), both.1.unwrap());
        assert_eq!(one.credentials.access_key_id, other.credentials.access_key_id);
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        let half = one.opened + Duration::seconds(1_799);
        assert!(one.is_fresh(half) && !one.is_fresh(half + Duration::seconds(2)));
        // When its half has passed, the next one is opened.
        agent.held.lock().await.as_mut().unwrap().opened -= Duration::hours(1);
        agent.held.lock().await.as_mut().unwrap().ends -= Duration::seconds(3_000);
        let next = agent.session().await.unwrap();
        assert_eq!(
            (next.credentials.access_key_id.as_str(), asked.load(Ordering::SeqCst)),
            ("K1", 2)
        );
    }

    #[tokio::test]
    async fn a_living_session_outlasts_a_server_that_fails_and_not_one_that_refuses() {
        let (server, seconds, _) = server().await;
        let agent = agent(server).await;
        seconds.store(3_600, Ordering::SeqCst);
        agent.session().await.unwrap();
        agent.held.lock().await.as_mut().unwrap().opened -= Duration::hours(2);
        seconds.store(-503, Ordering::SeqCst);
        assert_eq!(agent.session().await.unwrap().credentials.access_key_id, "K0");
        seconds.store(-403, Ordering::SeqCst);
        assert!(agent.session().await.is_err());
        let answer = agent.answer(&asks("127.0.0.1:4690", PATH, Some("token"))).await;
        assert_eq!(answer.status, 403);
        // One that has ended is handed out no more.
        agent.held.lock().await.as_mut().unwrap().ends -= Duration::hours(2);
        seconds.store(-503, Ordering::SeqCst);
        let answer = agent.answer(&asks("127.0.0.1:4690", PATH, Some("token"))).await;
        assert_eq!(answer.status, 503);
    }

    #[tokio::test]
    async fn an_agent_answers_who_has_its_token_and_asks_by_its_address() {
        let (server, seconds, _) = server().await;
        let agent = agent(server).await;
        seconds.store(3_600, Ordering::SeqCst);
        let own = "127.0.0.1:4690";
        for (host, path, token, status) in [
            (own, PATH, Some("token"), 200),
            ("localhost:4690", PATH, Some("token"), 200),
            ("127.0.0.1", PATH, Some("token"), 200),
            (own, "/credentials/token", None, 200),
            (own, PATH, None, 401),
            (own, PATH, Some("tokem"), 401),
            (own, "/credentials/tokem", None, 401),
            (own, "/credentials/", Some("token"), 401),
            (own, "/", Some("token"), 404),
            (own, "/latest/meta-data", None, 404),
            ("127.0.0.1:4691", PATH, Some("token"), 403),
            ("rebound.example.com", PATH, Some("token"), 403),
            ("rebound.example.com:4690", "/credentials/token", None, 403),
        ] {
            let answer = agent.answer(&asks(host, path, token)).await;
            assert_eq!(answer.status, status, "{host} {path} {token:?}");
            let shows = answer.body.windows(2).any(|part| part == b"K0");
            assert_eq!(shows, status == 200, "{host} {path} {token:?}");
        }
        let post = Request { method: "POST".to_owned(), ..asks(own, PATH, Some("token")) };
        assert_eq!(agent.answer(&post).await.status, 405);
    }
}
