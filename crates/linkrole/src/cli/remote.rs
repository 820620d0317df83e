//! Speaking to a running server: as the operator by its socket, or with access keys.

use super::Operator;
use sdk::{Client, Credentials, Secret};
use serde_json::Value;
use std::path::Path;

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
        let client = client(endpoint, Some(credentials))?;
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

/// A server at an address, believed as the environment says: `AWS_CA_BUNDLE` names a file of certificates, as it does
/// for AWS's clients; without it the machine's authorities count.
pub fn client(endpoint: &str, credentials: Option<Credentials>) -> Result<Client, String> {
    believed(Client::tcp(endpoint, credentials))
}

/// A client that believes its server as the environment says.
pub fn believed(client: Result<Client, sdk::Error>) -> Result<Client, String> {
    let client = client.map_err(|e| e.to_string())?;
    match std::env::var_os("AWS_CA_BUNDLE").filter(|file| !file.is_empty()) {
        Some(file) => client.trusting(Path::new(&file)).map_err(|e| e.to_string()),
        None => Ok(client),
    }
}

/// Asks whether a server is ready: the one question that needs neither keys nor JSON.
pub fn ready(endpoint: &str) -> Result<(), String> {
    let asked = super::runtime()?.block_on(client(endpoint, None)?.ready());
    asked.map_err(|e| format!("{endpoint} is not ready: {e}"))
}
