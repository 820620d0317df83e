//! The example service `backup.example.com`: keeps copies of a tenant's storage in vaults.
//!
//! It shows the whole life of a service-linked role: made in a caller's name with the first vault,
//! used for the service's own work, held by registered uses, let go with the last vault. This file
//! starts it; the API is in `api`, what it does with the role in `work`, the disk in `vaults`.

mod api;
mod storage;
mod vaults;
mod work;

use sdk::Service;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use vaults::Vaults;
use work::Work;

const USAGE: &str = "usage: example-backup --listen ADDR --linkrole URL --storage URL --data DIR \
    [--token-file FILE] [--host HOST] [--region REGION]";
const FLAGS: [&str; 7] =
    ["--listen", "--linkrole", "--storage", "--data", "--token-file", "--host", "--region"];

/// What the service says of itself; `catalog/backup.example.com.toml` says the same.
const MANIFEST: &str = include_str!("../manifest.json");

#[tokio::main]
async fn main() -> ExitCode {
    match run(std::env::args().skip(1)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            work::log(&text);
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
    let storage = needed("--storage")?;
    let region = flag("--region").unwrap_or("local-1");

    let listener = TcpListener::bind(listen).await.map_err(|e| format!("{listen}: {e}"))?;
    let address = listener.local_addr().map_err(|e| format!("{listen}: {e}"))?;
    let host = flag("--host").map_or_else(|| address.to_string(), str::to_owned);
    let manifest = manifest(&host).map_err(|e| format!("manifest.json: {e}"))?;
    let declared = manifest.get("regions").and_then(Value::as_array);
    if !declared.is_some_and(|regions| regions.contains(&json!(region))) {
        return Err(format!("expected a region of the manifest after --region; found `{region}`"));
    }
    let vaults = Vaults::open(data).map_err(|e| format!("{}: {e}", data.display()))?;
    let credentials = data.join("credentials.json");
    let token = flag("--token-file").map(Path::new);
    let service = Service::open(linkrole, &credentials, token, &manifest).await;
    let service = service.map_err(|e| e.to_string())?;
    let storage = sdk::Client::tcp(storage, None).map_err(|e| e.to_string())?;

    let work = Work { service, storage, vaults, region: region.to_owned() };
    // Before the first request: what a crash left between a use and its vault goes.
    work.settle_all().await.map_err(|e| format!("the uses were not reconciled: {e}"))?;
    let api = Arc::new(api::Api::new(work));
    writeln!(std::io::stdout(), "ready http://{address}").map_err(|e| e.to_string())?;
    let handler = move |request| {
        let api = api.clone();
        async move { api.answer(&request).await }
    };
    sdk::http::serve(listener, handler).await.map_err(|e| e.to_string())
}

fn manifest(host: &str) -> Result<Value, serde_json::Error> {
    let mut manifest: Value = serde_json::from_str(MANIFEST)?;
    if let Some(members) = manifest.as_object_mut() {
        members.insert("hosts".to_owned(), json!([host]));
    }
    Ok(manifest)
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
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    #[test]
    fn the_catalogue_says_the_same() {
        let catalogue = include_str!("../../../catalog/backup.example.com.toml");
        let catalogue: Value = toml::from_str(catalogue).unwrap();
        assert_eq!(serde_json::from_str::<Value>(MANIFEST).unwrap(), catalogue);
    }

    #[test]
    fn the_host_is_the_real_one() {
        let manifest = manifest("127.0.0.1:9200").unwrap();
        assert_eq!(manifest.get("hosts").unwrap(), &json!(["127.0.0.1:9200"]));
        assert_eq!(manifest.get("service").unwrap(), work::PRINCIPAL);
    }

    #[test]
    fn flags_are_known_single_and_have_values() {
        let read = |line: &str| flags(line.split(' ').map(str::to_owned));
        assert_eq!(read("--region local-2").unwrap().get("--region").unwrap(), "local-2");
        assert!(read("--region").is_err());
        assert!(read("--data a --data b").is_err());
        assert!(read("--else a").is_err());
    }
}
