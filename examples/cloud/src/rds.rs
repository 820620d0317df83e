//! ApsaraDB RDS: databases of a tenant, with accounts on them. `Login` stands in for a client of
//! the database.

use crate::disk::Disk;
use crate::instances::{self, Instance};
use crate::rpc::{Api, Ask, Call, Fault};
use serde_json::{Value, json};

const UNKNOWN: &str = "InvalidDBInstanceId.NotFound";

/// The service.
pub struct Rds {
    /// Keeps the databases.
    pub disk: Disk,
}

impl Api for Rds {
    const CODE: &'static str = "rds";
    const VERSION: &'static str = "2014-08-15";

    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault> {
        let ids = match ask.action.as_str() {
            "CreateDBInstance" | "DescribeDBInstances" => vec!["*".to_owned()],
            "DescribeDBInstanceAttribute"
            | "DeleteDBInstance"
            | "DescribeTags"
            | "CreateAccount"
            | "DescribeAccounts"
            | "ResetAccountPassword"
            | "Login" => {
                vec![ask.need("DBInstanceId")?.to_owned()]
            }
            "TagResources" | "ListTagResources" => {
                ask.need("ResourceId.1")?;
                ask.list("ResourceId")
            }
            _ => return Ok(None),
        };
        Ok(Some(ids.into_iter().map(|id| format!("dbinstance/{id}")).collect()))
    }

    async fn run(&self, call: &Call) -> Result<Value, Fault> {
        let (disk, ask) = (&self.disk, &call.ask);
        match ask.action.as_str() {
            "CreateDBInstance" => {
                let name = ask.find("DBInstanceDescription").unwrap_or_default();
                let made = instances::create(disk, call, "rm", name, None).await?;
                return Ok(json!({ "DBInstanceId": made.id }));
            }
            "DescribeDBInstances" => {
                let found = instances::list(disk, call, &[]).await?;
                let shown: Vec<Value> = found.iter().map(shown).collect();
                let count = shown.len();
                return Ok(json!({ "TotalRecordCount": count, "Items": { "DBInstance": shown } }));
            }
            "TagResources" => return instances::tag(disk, call, UNKNOWN).await,
            "ListTagResources" => return instances::tags(disk, call, "INSTANCE").await,
            _ => {}
        }
        let id = ask.need("DBInstanceId")?;
        let mut found = instances::get(disk, call, id, UNKNOWN).await?;
        match ask.action.as_str() {
            "DescribeDBInstanceAttribute" => {
                Ok(json!({ "Items": { "DBInstanceAttribute": [shown(&found)] } }))
            }
            "DeleteDBInstance" => instances::delete(disk, call, id, UNKNOWN).await,
            "DescribeTags" => {
                let row = |(key, value)| json!({ "TagKey": key, "TagValue": value });
                let rows: Vec<Value> = found.tags.iter().map(row).collect();
                Ok(json!({ "Items": { "TagInfos": rows } }))
            }
            "DescribeAccounts" => {
                let row = |user| json!({ "AccountName": user, "DBInstanceId": id });
                let rows: Vec<Value> = found.users().into_iter().map(row).collect();
                Ok(json!({ "Accounts": { "DBInstanceAccount": rows } }))
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
        "DBInstanceId": instance.id,
        "DBInstanceDescription": instance.name,
        "RegionId": instance.region,
        "DBInstanceStatus": instance.status,
        "CreateTime": instance.created,
    })
}
