//! Speaking to a running server: as the operator by its socket, or with access keys.

use super::Operator;
use sdk::{Client, Credentials, Secret};
use serde_json::Value;
use std::io::{Read, Write};

/// A server to speak to.
pub struct Remote {
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Remote {
    /// By the operator's socket.
    pub fn operator(operator: &Operator) -> Result<Self, String> {
        let socket = match &operator.socket {
            Some(socket) => socket.clone(),
            None => super::dev::default_socket()?,
        };
        if !socket.exists() {
            return Err(format!(
                "no server has its operator's socket at {}; start one, or name its socket with --socket",
                socket.display()
            ));
        }
        Ok(Self { client: Client::socket(&socket), runtime: super::runtime()? })
    }

    /// With the access key of the environment.
    pub fn signed(endpoint: &str) -> Result<Self, String> {
        let credentials = environment().ok_or(
            "no access key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for a `dev` by `eval \"$(linkrole env)\"`",
        )?;
        let client = Client::tcp(endpoint, Some(credentials)).map_err(|e| e.to_string())?;
        Ok(Self { client, runtime: super::runtime()? })
    }

    /// With the access key of the environment, else as the operator; and whether it is the latter.
    pub fn signed_or_operator(endpoint: &str, operator: &Operator) -> Result<(Self, bool), String> {
        if environment().is_some() {
            Ok((Self::signed(endpoint)?, false))
        } else {
            Ok((Self::operator(operator)?, true))
        }
    }

    /// Asks and waits for the answer.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.runtime.block_on(self.client.post(path, body)).map_err(|e| e.to_string())
    }

    /// Asks in the Query API of AWS.
    pub fn query(&self, service: &str, params: &[(&str, &str)]) -> Result<String, String> {
        self.runtime.block_on(self.client.query(service, params)).map_err(|e| e.to_string())
    }

    /// Lets time pass between two questions.
    pub fn pause(&self, ms: u64) {
        // The timer belongs to the runtime, so it is made inside.
        self.runtime
            .block_on(async { tokio::time::sleep(std::time::Duration::from_millis(ms)).await });
    }
}

/// The access key of the environment.
pub fn environment() -> Option<Credentials> {
    let get = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    Some(Credentials {
        access_key_id: get("AWS_ACCESS_KEY_ID")?,
        secret_access_key: Secret::new(get("AWS_SECRET_ACCESS_KEY")?),
        session_token: get("AWS_SESSION_TOKEN").map(Secret::new),
    })
}

/// Asks whether a server is ready: the one question that needs neither keys nor JSON.
pub fn ready(endpoint: &str) -> Result<(), String> {
    let address = endpoint.strip_prefix("http://").unwrap_or(endpoint).trim_end_matches('/');
    let failed = |e: std::io::Error| format!("{address} does not answer: {e}");
    let mut stream = std::net::TcpStream::connect(address).map_err(failed)?;
    let wait = Some(std::time::Duration::from_secs(5));
    stream.set_read_timeout(wait).and_then(|()| stream.set_write_timeout(wait)).map_err(failed)?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    stream.take(4_096).read_to_string(&mut answer).map_err(failed)?;
    if answer.starts_with("HTTP/1.1 200") {
        return Ok(());
    }
    let first = answer.lines().next().unwrap_or("nothing");
    Err(format!("{address} is not ready: it answered `{first}`"))
}
