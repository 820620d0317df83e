//! Tair, compatible with Redis: caches of a tenant, with accounts on them. `Login` stands in for a
//! client of the cache.

use crate::disk::Disk;
use crate::instances::{self, Instance};
use crate::rpc::{Api, Ask, Call, Fault};
use serde_json::{Value, json};

const UNKNOWN: &str = "InvalidInstanceId.NotFound";

/// The service.
pub struct Redis {
    /// Keeps the caches.
    pub disk: Disk,
}

impl Api for Redis {
    const CODE: &'static str = "kvstore";
    const VERSION: &'static str = "2015-01-01";

    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault> {
        let id = match ask.action.as_str() {
            "CreateInstance" | "DescribeInstances" => "*",
            "DescribeInstanceAttribute"
            | "DeleteInstance"
            | "CreateAccount"
            | "DescribeAccounts"
            | "ResetAccountPassword"
            | "Login" => ask.need("InstanceId")?,
            _ => return Ok(None),
        };
        Ok(Some(vec![format!("instance/{id}")]))
    }

    async fn run(&self, call: &Call) -> Result<Value, Fault> {
        let (disk, ask) = (&self.disk, &call.ask);
        match ask.action.as_str() {
            "CreateInstance" => {
                let name = ask.find("InstanceName").unwrap_or_default();
                let made = instances::create(disk, call, "r", name, None).await?;
                return Ok(json!({ "InstanceId": made.id, "InstanceStatus": "Creating" }));
            }
            "DescribeInstances" => {
                let found = instances::list(disk, call, &[]).await?;
                let shown: Vec<Value> = found.iter().map(shown).collect();
                let count = shown.len();
                return Ok(
                    json!({ "TotalCount": count, "Instances": { "KVStoreInstance": shown } }),
                );
            }
            _ => {}
        }
        let id = ask.need("InstanceId")?;
        let mut found = instances::get(disk, call, id, UNKNOWN).await?;
        match ask.action.as_str() {
            "DescribeInstanceAttribute" => {
                Ok(json!({ "Instances": { "DBInstanceAttribute": [shown(&found)] } }))
            }
            "DeleteInstance" => instances::delete(disk, call, id, UNKNOWN).await,
            "DescribeAccounts" => {
                let row = |user| json!({ "AccountName": user, "InstanceId": id });
                let rows: Vec<Value> = found.users().into_iter().map(row).collect();
                Ok(json!({ "Accounts": { "Account": rows } }))
            }
            "Login" => found.log_in(ask.need("AccountName")?, ask.need("Password")?),
            action => {
                let user = ask.need("AccountName")?;
                if action == "ResetAccountPassword" {
                    found.user(user)?;
                }
                found.set_password(user, ask.need("AccountPassword")?);
                instances::keep(disk, call, &found).await?;
                Ok(json!({}))
            }
        }
    }
}

fn shown(instance: &Instance) -> Value {
    json!({
        "InstanceId": instance.id,
        "InstanceName": instance.name,
        "RegionId": instance.region,
        "InstanceStatus": instance.status,
        "CreateTime": instance.created,
    })
}
