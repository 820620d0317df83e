//! How a linked service is asked about a role: the request's body, the reply, and what proves a reply.
//!
//! Two forms: linkrole's own, JSON under the role's epoch; and that in which RAM asks the services of Alibaba Cloud,
//! which knows no epoch. [src: ALIBABA.md 3.4] Not here: connections, and what an answer is worth (`iam::callback`).

use crate::http::percent_encode;
use crate::mac::{hex, hmac_sha256};
use iam::callback::{Inquiry, Reply};
use iam::rows::Contract;
use iam::text::{Region, ResourceName, Text};
use serde::Deserialize;
use serde_json::{Map, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use subtle::ConstantTimeEq;

/// The service name in the scope of the signature of a request to a callback, which no other request has.
pub const SIGNING_NAME: &str = "linkrole-callback";
/// The header with which a service proves that a reply is its own, to this very request.
pub const PROOF: &str = "x-linkrole-answer";
/// The operation that a service of Alibaba Cloud is asked with.
pub const CHECK: &str = "CheckServiceLinkedRoleForDeleting";

/// The body of a request in linkrole's own form.
pub fn body(question: &Inquiry, region: Option<&Region>) -> String {
    let mut all = Map::new();
    let mut put = |name: &str, value: serde_json::Value| drop(all.insert(name.to_owned(), value));
    put("phase", json!(question.asking.word()));
    put("service", json!(question.service));
    put("account", json!(question.account));
    put("role_id", json!(question.role));
    put("role_arn", json!(question.role_arn));
    put("principal", json!(question.principal));
    put("epoch", json!(question.epoch));
    put("task", json!(question.task));
    if let Some(region) = region {
        put("region", json!(region));
    }
    serde_json::Value::Object(all).to_string()
}

/// The query of a request in the form of Alibaba Cloud.
pub fn query(question: &Inquiry, region: Option<&Region>) -> String {
    let task = format!(
        "task/acs-service-role/{}/{}/{}",
        question.principal, question.role_name, question.task
    );
    let mut pairs = vec![
        ("AccountId", question.account.to_string()),
        ("DeletionTaskId", task),
        ("RoleArn", question.role_arn.clone()),
    ];
    if let Some(region) = region {
        pairs.push(("SPIRegionId", region.to_string()));
    }
    pairs.push(("ServiceName", question.principal.to_string()));
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", percent_encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyText {
    epoch: u64,
    in_use: bool,
    #[serde(default)]
    fenced_epoch: Option<u64>,
    #[serde(default)]
    regions_complete: BTreeSet<Region>,
    #[serde(default)]
    usages: Vec<UsageText>,
    #[serde(default)]
    sessions_released: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsageText {
    region: String,
    #[serde(default)]
    resources: Vec<String>,
}

/// Of Alibaba Cloud's form; services add members of their own.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CheckText {
    deletable: bool,
    #[serde(default)]
    role_usages: Vec<CheckUsage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CheckUsage {
    region: String,
    #[serde(default)]
    resources: Vec<String>,
}

/// Reads a reply to a question about a region, or about all.
///
/// Errors: a sentence about what is wrong with it.
pub fn read(question: &Inquiry, region: Option<&Region>, body: &[u8]) -> Result<Reply, String> {
    if question.callback.contract != Contract::Alibaba {
        let read: ReplyText = serde_json::from_slice(body)
            .map_err(|e| format!("its reply is not what the contract says: {e}"))?;
        let usages = read.usages.into_iter().map(|usage| (usage.region, usage.resources));
        return Ok(Reply {
            epoch: read.epoch,
            in_use: read.in_use,
            fenced_epoch: read.fenced_epoch,
            regions_complete: read.regions_complete,
            usages: usages_of(usages)?,
            sessions_released: read.sessions_released,
        });
    }
    let read: CheckText = serde_json::from_slice(body)
        .map_err(|e| format!("its reply is not that of {CHECK}: {e}"))?;
    let usages = read.role_usages.into_iter().map(|usage| (usage.region, usage.resources));
    Ok(Reply {
        epoch: question.epoch,
        in_use: !read.deletable,
        fenced_epoch: None,
        regions_complete: match region {
            Some(region) => BTreeSet::from([region.clone()]),
            None => question.regions.clone(),
        },
        usages: usages_of(usages)?,
        sessions_released: false,
    })
}

/// Names that linkrole could not show are refused, so that nobody's log or page is written by a service.
fn usages_of(
    list: impl Iterator<Item = (String, Vec<String>)>,
) -> Result<BTreeMap<Region, Vec<ResourceName>>, String> {
    let mut all: BTreeMap<Region, Vec<ResourceName>> = BTreeMap::new();
    for (region, resources) in list {
        let region = Region::read(&region)
            .map_err(|_| "its reply names a region that is none".to_owned())?;
        let held = all.entry(region).or_default();
        for resource in resources {
            held.push(
                ResourceName::read(&resource)
                    .map_err(|_| "its reply names a resource by no fit name".to_owned())?,
            );
        }
    }
    Ok(all)
}

/// What proves a reply: a keyed hash, with the service's secret, over the signature of the request and the reply.
pub fn proof(secret: &str, signature: &str, body: &[u8]) -> String {
    let text = format!("{SIGNING_NAME}\n{signature}\n{}", hex(&Sha256::digest(body)));
    hex(&hmac_sha256(secret.as_bytes(), text.as_bytes()))
}

/// Whether a reply is the service's own, to this very request. Takes constant time.
pub fn is_proved(secret: &str, signature: &str, body: &[u8], shown: &str) -> bool {
    proof(secret, signature, body).as_bytes().ct_eq(shown.as_bytes()).into()
}
