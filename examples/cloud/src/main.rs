//! The demo cloud: small real services of Alibaba Cloud's and of AWS's kind, each a process of its own.
//!
//! `example-cloud SERVICE` serves one of them, on its own data. Who may do what, linkrole decides;
//! what the services do with a tenant's resources they do with their service-linked roles. This
//! file starts a service; `rpc` is the front they share, `disk` what they keep, `linked` what they
//! do about their roles; each service has a file of its own. Those of AWS's kind share `aws`.

mod aws;
mod aws_ec2;
mod aws_kinesis;
mod aws_logs;
mod aws_rds;
mod aws_sns;
mod config;
mod directory;
mod disk;
mod ecs;
mod instances;
mod kms;
mod linked;
mod mss;
mod rds;
mod redis;
mod rpc;
mod tag;

use disk::Disk;
use linked::Linked;
use rpc::{Api, Fault, Front};
use sdk::{Client, Service};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;

const USAGE: &str = "usage: example-cloud SERVICE --listen ADDR --linkrole URL --data DIR \
    [--token-file FILE] [--peers NAME=URL,…]; SERVICE is one of";

/// The services, each with the manifest that it registers.
const SERVICES: [(&str, &str); 8] = [
    ("config", include_str!("../../../catalog/config.aliyuncs.com.toml")),
    ("directory", include_str!("../../../catalog/resourcemanager.aliyuncs.com.toml")),
    ("ecs", include_str!("../manifests/ecs.toml")),
    ("kms", include_str!("../../../catalog/kms.aliyuncs.com.toml")),
    ("mss", include_str!("../../../catalog/mssp.aliyuncs.com.toml")),
    ("rds", include_str!("../manifests/rds.toml")),
    ("redis", include_str!("../manifests/redis.toml")),
    ("tag", include_str!("../manifests/tag.toml")),
];

#[tokio::main]
async fn main() -> ExitCode {
    match run(std::env::args().skip(1)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            log(&text);
            ExitCode::FAILURE
        }
    }
}

/// Writes a line for the operator.
fn log(text: &str) {
    let _ = writeln!(std::io::stderr(), "example-cloud: {text}");
}

async fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let name = arguments.next().unwrap_or_default();
    let all = || SERVICES.iter().chain(&aws::SERVICES);
    let known: Vec<&str> = all().map(|(name, _)| *name).collect();
    let usage = format!("{USAGE} {}", known.join(", "));
    let manifest = all().find(|(known, _)| *known == name);
    let (_, manifest) = manifest.ok_or_else(|| format!("found `{name}`; {usage}"))?;
    let flags = flags(arguments)?;
    let flag = |name: &str| flags.get(name).map(String::as_str);
    let needed = |name: &str| flag(name).ok_or_else(|| format!("expected {name}; {usage}"));
    let (listen, linkrole) = (needed("--listen")?, needed("--linkrole")?);
    let data = Path::new(needed("--data")?);

    let listener = TcpListener::bind(listen).await.map_err(|e| format!("{listen}: {e}"))?;
    let address = listener.local_addr().map_err(|e| format!("{listen}: {e}"))?;
    let disk = Disk::open(data).map_err(|e| format!("{}: {e}", data.display()))?;
    let manifest = with_host(manifest, &address.to_string())?;
    let token = flag("--token-file").map(Path::new);
    let service = Service::open(linkrole, &data.join("credentials.json"), token, &manifest).await;
    let service = Arc::new(service.map_err(|e| e.to_string())?);
    let peers = peers(flag("--peers").unwrap_or_default())?;
    if name.starts_with("aws-") {
        return aws::start(&name, service, disk, peers, listener).await;
    }
    let linked = Linked::new(service.clone(), disk.clone(), &manifest);
    let front = Front { service, disk: disk.clone() };
    let ready = format!("ready http://{address}");
    let told = |fault: Fault| format!("{}: {}", fault.code, fault.message);
    // What a crash left undone is done before the first request.
    match name.as_str() {
        "ecs" => serve(front, ecs::Ecs { disk }, listener, &ready).await,
        "rds" => serve(front, rds::Rds { disk }, listener, &ready).await,
        "redis" => serve(front, redis::Redis { disk }, listener, &ready).await,
        "kms" => {
            let kms = kms::Kms { disk, linked, peers };
            kms.settle().await.map_err(told)?;
            serve(front, kms, listener, &ready).await
        }
        "mss" => {
            let mss = Arc::new(mss::Mss { disk, linked, peers });
            mss.settle().await.map_err(told)?;
            tokio::spawn(mss.clone().watch());
            serve(front, mss, listener, &ready).await
        }
        "tag" => {
            let tag = tag::Tag { disk, linked, peers };
            tag.settle().await.map_err(told)?;
            serve(front, tag, listener, &ready).await
        }
        "directory" => {
            let directories = directory::Directories { disk, linked };
            directories.settle().await.map_err(told)?;
            serve(front, directories, listener, &ready).await
        }
        _ => {
            let config = Arc::new(config::Config { disk, linked, peers });
            tokio::spawn(config.clone().watch());
            serve(front, config, listener, &ready).await
        }
    }
}

/// Serves, and says so on standard output.
async fn serve<A: Api>(
    front: Front,
    api: A,
    listener: TcpListener,
    ready: &str,
) -> Result<(), String> {
    writeln!(std::io::stdout(), "{ready}").map_err(|e| e.to_string())?;
    let shared = Arc::new((front, api));
    let handler = move |request| {
        let shared = shared.clone();
        async move { shared.0.answer(&shared.1, &request).await }
    };
    sdk::http::serve(listener, handler).await.map_err(|e| e.to_string())
}

/// A manifest whose host is the real one.
fn with_host(text: &str, host: &str) -> Result<Value, String> {
    let mut manifest: Value = toml::from_str(text).map_err(|e| format!("the manifest: {e}"))?;
    if let Some(members) = manifest.as_object_mut() {
        members.insert("hosts".to_owned(), json!([host]));
    }
    Ok(manifest)
}

/// Where the other services are: `NAME=URL`, separated by commas.
fn peers(text: &str) -> Result<BTreeMap<String, Client>, String> {
    let mut peers = BTreeMap::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let wrong = || format!("expected NAME=URL in --peers; found `{pair}`");
        let (name, url) = pair.split_once('=').ok_or_else(wrong)?;
        peers.insert(name.to_owned(), Client::tcp(url, None).map_err(|e| e.to_string())?);
    }
    Ok(peers)
}

/// Reads `--name value` pairs.
fn flags(mut arguments: impl Iterator<Item = String>) -> Result<BTreeMap<String, String>, String> {
    const FLAGS: [&str; 5] = ["--listen", "--linkrole", "--data", "--token-file", "--peers"];
    let mut flags = BTreeMap::new();
    while let Some(name) = arguments.next() {
        if !FLAGS.contains(&name.as_str()) {
            return Err(format!("expected one of {}; found `{name}`", FLAGS.join(", ")));
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
    fn every_manifest_reads_and_gets_its_real_host() {
        for (name, text) in SERVICES.iter().chain(&aws::SERVICES) {
            let manifest = with_host(text, "127.0.0.1:9200").unwrap();
            assert_eq!(manifest.get("hosts").unwrap(), &json!(["127.0.0.1:9200"]), "{name}");
        }
    }

    #[test]
    fn flags_and_peers_are_known_and_have_values() {
        let read = |line: &str| flags(line.split(' ').map(str::to_owned));
        assert_eq!(read("--data a").unwrap().get("--data").unwrap(), "a");
        assert!(read("--data").is_err());
        assert!(read("--data a --data b").is_err());
        assert!(read("--else a").is_err());
        assert_eq!(peers("ecs=http://127.0.0.1:1,rds=http://127.0.0.1:2").unwrap().len(), 2);
        assert!(peers("ecs").is_err());
    }
}
