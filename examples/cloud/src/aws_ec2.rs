//! EC2 of AWS's kind: the network interfaces and security groups of an account.

use crate::aws::{Api, Ask, Call, Fault, Protocol};
use crate::disk::Disk;
use crate::rpc;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const GROUPS: &str = "security-groups";
const INTERFACES: &str = "network-interfaces";
const VPC: &str = "vpc-0000000000000000a";

/// The service.
pub struct Ec2 {
    /// Keeps the network.
    pub disk: Disk,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Group {
    id: String,
    region: String,
    name: String,
    description: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Interface {
    id: String,
    region: String,
    subnet: String,
    description: String,
    groups: Vec<String>,
    /// Who had it made, by ARN.
    requester: String,
}

impl Api for Ec2 {
    const CODE: &'static str = "ec2";
    const VERSION: &'static str = "2016-11-15";
    const PROTOCOL: Protocol = Protocol::Ec2;
    const DENIED: &'static str = "UnauthorizedOperation";

    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault> {
        let one = |kind: &str, id: &str| vec![format!("{kind}/{id}")];
        Ok(Some(match ask.action.as_str() {
            "CreateSecurityGroup" => one("security-group", "*"),
            "DeleteSecurityGroup" => one("security-group", ask.need("GroupId")?),
            "CreateNetworkInterface" => {
                let groups = ask.list("SecurityGroupId").into_iter();
                let groups = groups.map(|id| format!("security-group/{id}"));
                groups.chain(one("network-interface", "*")).collect()
            }
            "DeleteNetworkInterface" => one("network-interface", ask.need("NetworkInterfaceId")?),
            "DescribeSecurityGroups" | "DescribeNetworkInterfaces" => vec!["*".to_owned()],
            _ => return Ok(None),
        }))
    }

    async fn run(&self, call: &Call) -> Result<Value, Fault> {
        match call.ask.action.as_str() {
            "CreateSecurityGroup" => self.create_group(call).await,
            "DeleteSecurityGroup" => self.delete_group(call).await,
            "CreateNetworkInterface" => self.create_interface(call).await,
            "DeleteNetworkInterface" => {
                let id = call.ask.need("NetworkInterfaceId")?;
                match self.disk.remove(&call.account, INTERFACES, &call.key(id)).await? {
                    true => Ok(json!({ "return": true })),
                    false => Err(missing("InvalidNetworkInterfaceID.NotFound", id)),
                }
            }
            "DescribeSecurityGroups" => {
                let (wanted, named) = (call.ask.list("GroupId"), call.ask.list("GroupName"));
                let mut all = self.groups(call).await?;
                all.retain(|group| wanted.is_empty() || wanted.contains(&group.id));
                all.retain(|group| named.is_empty() || named.contains(&group.name));
                let shown: Vec<Value> = all.iter().map(|group| shown_group(call, group)).collect();
                Ok(json!({ "securityGroupInfo": { "item": shown } }))
            }
            _ => {
                let wanted = call.ask.list("NetworkInterfaceId");
                let mut all = self.interfaces(call).await?;
                all.retain(|found| wanted.is_empty() || wanted.contains(&found.id));
                let shown: Vec<Value> = all.iter().map(|one| shown_interface(call, one)).collect();
                Ok(json!({ "networkInterfaceSet": { "item": shown } }))
            }
        }
    }
}

impl Ec2 {
    async fn groups(&self, call: &Call) -> Result<Vec<Group>, Fault> {
        let mut all: Vec<Group> = self.disk.all(&call.account, GROUPS).await?;
        all.retain(|group| group.region == call.ask.region);
        Ok(all)
    }

    async fn interfaces(&self, call: &Call) -> Result<Vec<Interface>, Fault> {
        let mut all: Vec<Interface> = self.disk.all(&call.account, INTERFACES).await?;
        all.retain(|interface| interface.region == call.ask.region);
        Ok(all)
    }

    /// A group's name is its caller's to choose, once: one that makes it again after a crash finds it.
    async fn create_group(&self, call: &Call) -> Result<Value, Fault> {
        let name = call.ask.need("GroupName")?;
        let all = self.groups(call).await?;
        if all.iter().any(|group| group.name == name) {
            let text = format!("The security group '{name}' already exists for VPC '{VPC}'.");
            return Err(Fault::new(400, "InvalidGroup.Duplicate", &text));
        }
        let made = Group {
            id: format!("sg-{}", rpc::random(17)?),
            region: call.ask.region.clone(),
            name: name.to_owned(),
            description: call.ask.need("GroupDescription")?.to_owned(),
        };
        self.disk.put(&call.account, GROUPS, &call.key(&made.id), &made).await?;
        Ok(json!({ "return": true, "groupId": made.id }))
    }

    async fn delete_group(&self, call: &Call) -> Result<Value, Fault> {
        let id = call.ask.need("GroupId")?;
        let used = self.interfaces(call).await?;
        if used.iter().any(|interface| interface.groups.iter().any(|group| group == id)) {
            let text = format!("resource {id} has a dependent object");
            return Err(Fault::new(400, "DependencyViolation", &text));
        }
        match self.disk.remove(&call.account, GROUPS, &call.key(id)).await? {
            true => Ok(json!({ "return": true, "groupId": id })),
            false => Err(missing("InvalidGroup.NotFound", id)),
        }
    }

    /// With a token that was shown before, the interface made then.
    async fn create_interface(&self, call: &Call) -> Result<Value, Fault> {
        let token = call.ask.find("ClientToken");
        let digest = |token: &str| sdk::sign::sha256_hex(token.as_bytes());
        let id = match token {
            Some(token) => digest(token).chars().take(17).collect(),
            None => rpc::random(17)?,
        };
        let made = Interface {
            id: format!("eni-{id}"),
            region: call.ask.region.clone(),
            subnet: call.ask.need("SubnetId")?.to_owned(),
            description: call.ask.find("Description").unwrap_or_default().to_owned(),
            groups: call.ask.list("SecurityGroupId"),
            requester: call.by.clone(),
        };
        for group in &made.groups {
            let found: Option<Group> =
                self.disk.find(&call.account, GROUPS, &call.key(group)).await?;
            found.ok_or_else(|| missing("InvalidGroup.NotFound", group))?;
        }
        self.disk.put(&call.account, INTERFACES, &call.key(&made.id), &made).await?;
        Ok(json!({ "networkInterface": shown_interface(call, &made) }))
    }
}

fn missing(code: &str, id: &str) -> Fault {
    Fault::new(400, code, &format!("The ID '{id}' does not exist"))
}

fn shown_group(call: &Call, group: &Group) -> Value {
    json!({
        "groupId": group.id,
        "groupName": group.name,
        "groupDescription": group.description,
        "ownerId": call.account,
        "vpcId": VPC,
    })
}

fn shown_interface(call: &Call, interface: &Interface) -> Value {
    let groups: Vec<Value> = interface.groups.iter().map(|id| json!({ "groupId": id })).collect();
    json!({
        "networkInterfaceId": interface.id,
        "subnetId": interface.subnet,
        "vpcId": VPC,
        "description": interface.description,
        "ownerId": call.account,
        "requesterId": interface.requester,
        "requesterManaged": interface.requester.contains(":assumed-role/AWSServiceRoleFor"),
        "status": "available",
        "groupSet": { "item": groups },
    })
}
