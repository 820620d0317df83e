//! Tag: tags servers and databases in their services, with its service-linked role and the session
//! name `tag_operate`.
//!
//! Switching creator tags on creates the role; switching them off lets it go, for which the vendor
//! wants a support ticket. Whether they are on is
//! on disk before an answer leaves; an end that a crash cut off is done at the next start.

use crate::disk::Disk;
use crate::linked::Linked;
use crate::rpc::{self, Api, Ask, Call, Fault};
use sdk::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PRINCIPAL: &str = "tag.aliyuncs.com";
const SESSION: &str = "tag_operate";
const KIND: &str = "creator-tags";

/// The service.
pub struct Tag {
    /// Keeps which accounts have it switched on.
    pub disk: Disk,
    /// Has the role made, and works with it.
    pub linked: Linked,
    /// Where servers and databases are.
    pub peers: BTreeMap<String, Client>,
}

/// The switch of an account.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Switch {
    closing: bool,
}

/// A resource of another service, as its name tells.
struct Resource<'a> {
    peer: &'static str,
    version: &'static str,
    /// What the service calls the kind.
    kind: &'static str,
    region: &'a str,
    id: &'a str,
}

impl Api for Tag {
    const CODE: &'static str = "tag";
    const VERSION: &'static str = "2018-08-28";

    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault> {
        let known = [
            "OpenCreatedBy",
            "CloseCreatedBy",
            "CheckCreatedByEnabled",
            "TagResources",
            "ListTagResources",
        ];
        Ok(known.contains(&ask.action.as_str()).then(|| vec!["*".to_owned()]))
    }

    async fn run(&self, call: &Call) -> Result<Value, Fault> {
        let account = call.account.as_str();
        match call.ask.action.as_str() {
            "OpenCreatedBy" => {
                self.linked.enable(call, PRINCIPAL).await?;
                self.disk.put(account, KIND, PRINCIPAL, &Switch { closing: false }).await?;
                Ok(json!({}))
            }
            "CloseCreatedBy" => {
                self.disk.put(account, KIND, PRINCIPAL, &Switch { closing: true }).await?;
                self.end(account).await?;
                Ok(json!({}))
            }
            "CheckCreatedByEnabled" => {
                let switch: Option<Switch> = self.disk.find(account, KIND, PRINCIPAL).await?;
                let is_open = switch.is_some_and(|switch| !switch.closing);
                Ok(json!({ "OpenStatus": is_open.to_string() }))
            }
            "TagResources" => self.tag(call).await,
            _ => self.list(call).await,
        }
    }
}

impl Tag {
    /// Ends what a crash cut off.
    pub async fn settle(&self) -> Result<(), Fault> {
        for account in self.disk.accounts().await? {
            let switch: Option<Switch> = self.disk.find(&account, KIND, PRINCIPAL).await?;
            if switch.is_some_and(|switch| switch.closing) {
                self.end(&account).await?;
            }
        }
        Ok(())
    }

    /// Lets the role go, then forgets the switch.
    async fn end(&self, account: &str) -> Result<(), Fault> {
        self.linked.retire(account, PRINCIPAL).await?;
        self.disk.remove(account, KIND, PRINCIPAL).await.map(drop)
    }

    /// Tags each resource in its service; tells which could not be.
    async fn tag(&self, call: &Call) -> Result<Value, Fault> {
        let tags = call.ask.document("Tags")?;
        let mut pairs = Vec::new();
        for (number, (key, value)) in tags.as_object().into_iter().flatten().enumerate() {
            let number = number.saturating_add(1);
            let value = value.as_str().unwrap_or_default().to_owned();
            pairs.push((format!("Tag.{number}.Key"), key.clone()));
            pairs.push((format!("Tag.{number}.Value"), value));
        }
        let mut failed = Vec::new();
        for arn in names(&call.ask)? {
            let with: Vec<(&str, &str)> =
                pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            if let Err(fault) = self.ask(call, &arn, "TagResources", &with).await? {
                failed.push(json!({
                    "ResourceARN": arn,
                    "Result": { "Code": fault.code, "Message": fault.message },
                }));
            }
        }
        Ok(json!({ "FailedResources": { "FailedResource": failed } }))
    }

    async fn list(&self, call: &Call) -> Result<Value, Fault> {
        let mut rows = Vec::new();
        for arn in names(&call.ask)? {
            let answer = self.ask(call, &arn, "ListTagResources", &[]).await??;
            let tags = answer.pointer("/TagResources/TagResource").and_then(Value::as_array);
            let tags: Vec<Value> = tags
                .into_iter()
                .flatten()
                .map(|tag| json!({ "Key": tag.get("TagKey"), "Value": tag.get("TagValue") }))
                .collect();
            rows.push(json!({ "ResourceARN": arn, "Tags": tags }));
        }
        Ok(json!({ "TagResources": rows }))
    }

    /// Calls the service of a resource as the role; what that service says is inside.
    async fn ask(
        &self,
        call: &Call,
        arn: &str,
        action: &str,
        more: &[(&str, &str)],
    ) -> Result<Result<Value, Fault>, Fault> {
        let again = "Call OpenCreatedBy";
        let role = self.linked.session(&call.account, PRINCIPAL, SESSION, again).await?;
        let on = resource(arn, &call.account)?;
        let mut with =
            vec![("RegionId", on.region), ("ResourceType", on.kind), ("ResourceId.1", on.id)];
        with.extend(more);
        Ok(rpc::call(&self.peers, on.peer, &role, on.version, action, &with).await)
    }
}

fn names(ask: &Ask) -> Result<Vec<String>, Fault> {
    ask.need("ResourceARN.1")?;
    Ok(ask.list("ResourceARN"))
}

/// Reads `arn:acs:SERVICE:REGION:ACCOUNT:KIND/ID`, as the vendor's clients give it.
fn resource<'a>(arn: &'a str, account: &str) -> Result<Resource<'a>, Fault> {
    let parts: Vec<&str> = arn.split(':').collect();
    let (peer, version, kind, region, rest) = match parts.as_slice() {
        ["arn", "acs", "ecs", region, owner, rest] if *owner == account => {
            ("ecs", "2014-05-26", "instance", *region, *rest)
        }
        ["arn", "acs", "rds", region, owner, rest] if *owner == account => {
            ("rds", "2014-08-15", "INSTANCE", *region, *rest)
        }
        _ => {
            let text = format!("expected a server or database of the account; found `{arn}`");
            return Err(Fault::new(400, "InvalidParameter.ResourceARN", &text));
        }
    };
    let id = rest.split_once('/').map_or(rest, |(_, id)| id);
    Ok(Resource { peer, version, kind, region, id })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    #[test]
    fn a_resource_is_of_the_callers_account() {
        let arn = "arn:acs:ecs:cn-hangzhou:1000000000000001:instance/i-1";
        let found = resource(arn, "1000000000000001").unwrap();
        assert_eq!((found.peer, found.region, found.id), ("ecs", "cn-hangzhou", "i-1"));
        assert!(resource(arn, "1000000000000002").is_err());
        assert!(resource("arn:acs:oss:cn-hangzhou:1:bucket/a", "1").is_err());
    }
}
