//! The example service `storage.example.com`: stands for the tenant's storage in the demo cloud.
//!
//! Each account has objects under keys. Who may do what, linkrole decides; this service keeps
//! bytes. It has no role of its own. This file starts it; the API is in `api`, the disk in
//! `objects`. An example: no versions, no pages, no quota, objects of at most 1 MiB.

mod api;
mod objects;

use objects::Objects;
use sdk::Service;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;

const USAGE: &str = "usage: example-storage --listen ADDR --linkrole URL --data DIR \
    [--token-file FILE] [--host HOST]";
const FLAGS: [&str; 5] = ["--listen", "--linkrole", "--data", "--token-file", "--host"];

#[tokio::main]
async fn main() -> ExitCode {
    match run(std::env::args().skip(1)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            let _ = writeln!(std::io::stderr(), "example-storage: {text}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let flags = flags(arguments)?;
    let flag = |name: &str| flags.get(name).map(String::as_str);
    let needed = |name: &str| flag(name).ok_or_else(|| format!("expected {name}; {USAGE}"));
    let listen = needed("--listen")?;
    let data = Path::new(needed("--data")?);
    let linkrole = needed("--linkrole")?;

    let objects = Objects::open(data).map_err(|e| format!("{}: {e}", data.display()))?;
    let listener = TcpListener::bind(listen).await.map_err(|e| format!("{listen}: {e}"))?;
    let address = listener.local_addr().map_err(|e| format!("{listen}: {e}"))?;
    let host = flag("--host").map_or_else(|| address.to_string(), str::to_owned);
    let credentials = data.join("credentials.json");
    let token = flag("--token-file").map(Path::new);
    let manifest = manifest(&host);
    let service = Service::open(linkrole, &credentials, token, &manifest).await;
    let service = service.map_err(|e| e.to_string())?;

    let api = Arc::new(api::Api { service, objects });
    writeln!(std::io::stdout(), "ready http://{address}").map_err(|e| e.to_string())?;
    let handler = move |request| {
        let api = api.clone();
        async move { api.answer(&request).await }
    };
    sdk::http::serve(listener, handler).await.map_err(|e| e.to_string())
}

/// What the service says of itself: linkrole knows of its sessions only, since it has no roles.
fn manifest(host: &str) -> Value {
    json!({
        "service": "storage.example.com",
        "display_name": "Example Storage",
        "signing_names": [api::SIGNING_NAME],
        "hosts": [host],
        "regions": [api::REGION],
        "usage": "sessions",
    })
}

/// Reads `--name value` pairs.
fn flags(mut arguments: impl Iterator<Item = String>) -> Result<BTreeMap<String, String>, String> {
    let mut flags = BTreeMap::new();
    while let Some(name) = arguments.next() {
        if !FLAGS.contains(&name.as_str()) {
            return Err(format!("found `{name}`; {USAGE}"));
        }
        let value = arguments.next().ok_or_else(|| format!("expected a value after {name}"))?;
        if flags.insert(name.clone(), value).is_some() {
            return Err(format!("expected {name} once; found it twice"));
        }
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<BTreeMap<String, String>, String> {
        flags(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn flags_are_known_single_and_have_values() {
        let flags = read("--listen 127.0.0.1:0 --data d").unwrap_or_default();
        assert_eq!(flags.get("--data").map(String::as_str), Some("d"));
        assert!(read("--listen").is_err());
        assert!(read("--data a --data b").is_err());
        assert!(read("--else a").is_err());
    }
}
