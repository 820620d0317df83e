//! Elastic Compute Service: servers of a tenant, and commands run on them.
//!
//! The command that it knows changes a password, as Key Management Service has it done. `Login`
//! stands in for SSH.

use crate::disk::Disk;
use crate::instances::{self, Instance};
use crate::rpc::{Api, Ask, Call, Fault};
use serde_json::{Value, json};

const UNKNOWN: &str = "InvalidInstanceId.NotFound";
/// The account that a new instance has.
const ROOT: &str = "root";
/// How the command's name begins that changes a password.
const ROTATE: &str = "cmd-ACS-KMS-RotateECSSecret";

/// The service.
pub struct Ecs {
    /// Keeps the instances.
    pub disk: Disk,
}

impl Api for Ecs {
    const CODE: &'static str = "ecs";
    const VERSION: &'static str = "2014-05-26";

    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault> {
        let named = |ids: Vec<String>| -> Vec<String> {
            ids.into_iter().map(|id| format!("instance/{id}")).collect()
        };
        Ok(Some(match ask.action.as_str() {
            "RunInstances" | "DescribeInstances" => named(vec!["*".to_owned()]),
            "StopInstance" | "DeleteInstance" | "Login" => {
                named(vec![ask.need("InstanceId")?.to_owned()])
            }
            "TagResources" | "ListTagResources" => {
                ask.need("ResourceId.1")?;
                named(ask.list("ResourceId"))
            }
            "InvokeCommand" => {
                ask.need("InstanceId.1")?;
                let mut on = named(ask.list("InstanceId"));
                on.push(format!("command/{}", ask.need("CommandId")?));
                on
            }
            _ => return Ok(None),
        }))
    }

    async fn run(&self, call: &Call) -> Result<Value, Fault> {
        let (disk, ask) = (&self.disk, &call.ask);
        match ask.action.as_str() {
            "RunInstances" => {
                let name = ask.find("InstanceName").unwrap_or_default();
                let user = ask.find("Password").map(|password| (ROOT, password));
                let made = instances::create(disk, call, "i", name, user).await?;
                Ok(json!({ "InstanceIdSets": { "InstanceIdSet": [made.id] } }))
            }
            "DescribeInstances" => {
                let found = instances::list(disk, call, &ask.list("InstanceIds")).await?;
                let shown: Vec<Value> = found.iter().map(shown).collect();
                Ok(json!({ "TotalCount": shown.len(), "Instances": { "Instance": shown } }))
            }
            "StopInstance" => {
                let id = ask.need("InstanceId")?;
                let mut found = instances::get(disk, call, id, UNKNOWN).await?;
                "Stopped".clone_into(&mut found.status);
                instances::keep(disk, call, &found).await?;
                Ok(json!({}))
            }
            "DeleteInstance" => {
                instances::delete(disk, call, ask.need("InstanceId")?, UNKNOWN).await
            }
            "TagResources" => instances::tag(disk, call, UNKNOWN).await,
            "ListTagResources" => instances::tags(disk, call, "instance").await,
            "InvokeCommand" => self.invoke(call).await,
            _ => {
                let found = instances::get(disk, call, ask.need("InstanceId")?, UNKNOWN).await?;
                found.log_in(ask.need("AccountName")?, ask.need("Password")?)
            }
        }
    }
}

impl Ecs {
    async fn invoke(&self, call: &Call) -> Result<Value, Fault> {
        let command = call.ask.need("CommandId")?;
        if !command.starts_with(ROTATE) {
            let text = format!("The command {command} does not exist.");
            return Err(Fault::new(404, "InvalidCmdId.NotFound", &text));
        }
        let given = call.ask.document("Parameters")?;
        let text = |name: &str| given.get(name).and_then(Value::as_str);
        let (Some(user), Some(password)) = (text("username"), text("password")) else {
            let text = "expected username and password in Parameters";
            return Err(Fault::new(400, "InvalidParameter.Parameters", text));
        };
        for id in call.ask.list("InstanceId") {
            let mut instance = instances::get(&self.disk, call, &id, UNKNOWN).await?;
            instance.user(user)?;
            instance.set_password(user, password);
            instances::keep(&self.disk, call, &instance).await?;
        }
        Ok(json!({ "CommandId": command, "InvokeId": format!("t-{}", crate::rpc::random(16)?) }))
    }
}

fn shown(instance: &Instance) -> Value {
    let tags: Vec<Value> = instance
        .tags
        .iter()
        .map(|(key, value)| json!({ "TagKey": key, "TagValue": value }))
        .collect();
    json!({
        "InstanceId": instance.id,
        "InstanceName": instance.name,
        "RegionId": instance.region,
        "Status": instance.status,
        "CreationTime": instance.created,
        "Tags": { "Tag": tags },
    })
}
