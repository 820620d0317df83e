//! RDS of AWS's kind: DB instances, which it makes and unmakes with its service-linked role.
//!
//! Whoever creates an instance needs permission for RDS, and for the role if it is not there yet;
//! what the instance is made of at EC2, Logs, SNS and Kinesis is made by the role, whatever its
//! creator may do there. An instance's state is on disk before each step and the steps can be taken
//! again, so that after a crash `watch` takes them up. A use of the role is registered before its
//! instance is kept, and removed after it is gone.

use crate::aws::{Api, Ask, Call, Fault, Peers, Protocol};
use crate::disk::Disk;
use crate::rpc;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sdk::{Client, Context, Credentials, Error, Role, Service};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

const PRINCIPAL: &str = "rds.amazonaws.com";
const INSTANCES: &str = "instances";
const SUBSCRIPTIONS: &str = "subscriptions";
const ROLES: &str = "roles";
/// Seconds of a session of the role, and for how long it is worked with.
const SESSION_S: (u32, i64) = (900, 600);
/// The longest pause between two looks at what is to be done.
const PAUSE: Duration = Duration::from_millis(500);
const EC2: &str = "2016-11-15";
const SNS: &str = "2010-03-31";

/// The service.
pub struct Rds {
    disk: Disk,
    service: Arc<Service>,
    /// EC2, Logs, SNS and Kinesis.
    peers: BTreeMap<String, Client>,
    /// The present session of each role, by the role's id, and since when.
    sessions: Mutex<BTreeMap<String, (Credentials, i64)>>,
    /// Wakes `watch`.
    changed: Notify,
}

/// The role in an account, as it was last seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    arn: String,
    id: String,
}

/// What an instance is on its way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Creating,
    Available,
    Deleting,
}

/// Where the stream of an instance's activity stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Activity {
    #[default]
    Stopped,
    Starting,
    Started,
    Stopping,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Instance {
    name: String,
    class: String,
    engine: String,
    region: String,
    arn: String,
    created: String,
    status: Status,
    /// A role of the account's own that it hands to RDS for its metrics.
    monitoring: Option<String>,
    /// What was made for it at EC2.
    group: Option<String>,
    interface: Option<String>,
    #[serde(default)]
    activity: Activity,
    /// Why the last try failed.
    trouble: Option<String>,
}

/// A wish to hear of events.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Subscription {
    name: String,
    region: String,
    topic: String,
}

impl Api for Rds {
    const CODE: &'static str = "rds";
    const VERSION: &'static str = "2014-10-31";
    const PROTOCOL: Protocol = Protocol::Query;
    const DENIED: &'static str = "AccessDenied";

    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault> {
        Ok(Some(vec![match ask.action.as_str() {
            "CreateDBInstance" | "DeleteDBInstance" => {
                format!("db:{}", ask.need("DBInstanceIdentifier")?)
            }
            "DescribeDBInstances" => {
                format!("db:{}", ask.find("DBInstanceIdentifier").unwrap_or("*"))
            }
            "StartActivityStream" | "StopActivityStream" => {
                let name = ask.need("ResourceArn")?.rsplit(':').next().unwrap_or_default();
                format!("db:{name}")
            }
            "CreateEventSubscription" | "DeleteEventSubscription" => {
                format!("es:{}", ask.need("SubscriptionName")?)
            }
            _ => return Ok(None),
        }]))
    }

    async fn run(&self, call: &Call) -> Result<Value, Fault> {
        match call.ask.action.as_str() {
            "CreateDBInstance" => self.create(call).await,
            "DescribeDBInstances" => {
                let wanted = call.ask.find("DBInstanceIdentifier");
                let mut all = self.instances(&call.account).await?;
                all.retain(|one| one.region == call.ask.region);
                all.retain(|one| wanted.is_none_or(|wanted| one.name == wanted));
                if let (Some(wanted), true) = (wanted, all.is_empty()) {
                    return Err(no_instance(wanted));
                }
                let shown: Vec<Value> = all.iter().map(shown).collect();
                Ok(json!({ "DBInstances": { "DBInstance": shown } }))
            }
            "DeleteDBInstance" => {
                let mut found = self.find(call, call.ask.need("DBInstanceIdentifier")?).await?;
                found.status = Status::Deleting;
                self.keep(&call.account, &found).await?;
                self.changed.notify_one();
                Ok(json!({ "DBInstance": shown(&found) }))
            }
            "CreateEventSubscription" => {
                let name = call.ask.need("SubscriptionName")?;
                let topic = call.ask.need("SnsTopicArn")?.to_owned();
                let (name, region) = (name.to_owned(), call.ask.region.clone());
                let made = Subscription { name, region, topic };
                self.disk.put(&call.account, SUBSCRIPTIONS, &call.key(&made.name), &made).await?;
                Ok(json!({ "EventSubscription": {
                    "CustSubscriptionId": made.name, "SnsTopicArn": made.topic, "Status": "active",
                } }))
            }
            "DeleteEventSubscription" => {
                let name = call.ask.need("SubscriptionName")?;
                self.disk.remove(&call.account, SUBSCRIPTIONS, &call.key(name)).await?;
                Ok(json!({ "EventSubscription": { "CustSubscriptionId": name } }))
            }
            action => {
                let arn = call.ask.need("ResourceArn")?;
                let name = arn.rsplit(':').next().unwrap_or_default();
                let mut found = self.find(call, name).await?;
                if found.status != Status::Available {
                    let text = format!("Database {name} is not in available state.");
                    return Err(Fault::new(400, "InvalidDBInstanceState", &text));
                }
                found.activity = match action {
                    "StartActivityStream" => Activity::Starting,
                    _ => Activity::Stopping,
                };
                self.keep(&call.account, &found).await?;
                self.changed.notify_one();
                Ok(json!({
                    "KinesisStreamName": stream(&found),
                    "Status": found.activity,
                    "Mode": call.ask.find("Mode"),
                    "KmsKeyId": call.ask.find("KmsKeyId"),
                }))
            }
        }
    }
}

impl Rds {
    /// The service, with where the others are that its role works on.
    pub fn new(disk: Disk, service: Arc<Service>, peers: BTreeMap<String, Client>) -> Self {
        Self { disk, service, peers, sessions: Mutex::default(), changed: Notify::new() }
    }

    async fn create(&self, call: &Call) -> Result<Value, Fault> {
        let name = call.ask.need("DBInstanceIdentifier")?;
        let well = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !well || !name.starts_with(|c: char| c.is_ascii_alphabetic()) || name.len() > 63 {
            let text = "The parameter DBInstanceIdentifier is not a valid identifier.";
            return Err(Fault::new(400, "InvalidParameterValue", text));
        }
        let known: Option<Instance> =
            self.disk.find(&call.account, INSTANCES, &call.key(name)).await?;
        if known.is_some() {
            return Err(Fault::new(400, "DBInstanceAlreadyExists", "DB instance already exists"));
        }
        let made = Instance {
            name: name.to_owned(),
            class: call.ask.need("DBInstanceClass")?.to_owned(),
            engine: call.ask.need("Engine")?.to_owned(),
            region: call.ask.region.clone(),
            arn: call.arn("rds", &format!("db:{name}")),
            created: rpc::now().0,
            status: Status::Creating,
            monitoring: self.passed(call).await?,
            group: None,
            interface: None,
            activity: Activity::Stopped,
            trouble: None,
        };
        // In the caller's name: who may not have the role made gets no instance without one.
        let Role { arn, id, .. } = self.service.ensure(&call.caller, PRINCIPAL, None).await?;
        let note = Note { arn, id };
        self.disk.put(&call.account, ROLES, PRINCIPAL, &note).await?;
        self.service.register_usage(&call.account, &note.id, &made.region, &made.arn).await?;
        self.keep(&call.account, &made).await?;
        self.changed.notify_one();
        Ok(json!({ "DBInstance": shown(&made) }))
    }

    /// The role that the caller hands on with an instance: it must be one that it may hand to RDS.
    async fn passed(&self, call: &Call) -> Result<Option<String>, Fault> {
        let Some(role) = call.ask.find("MonitoringRoleArn") else { return Ok(None) };
        let context = Context::new();
        let asked =
            self.service.authorize(&call.caller, "iam:PassRole", Some(role), None, &context);
        let decision = asked.await?;
        if !decision.allowed {
            return Err(Fault::new(403, Self::DENIED, &decision.message));
        }
        Ok(Some(role.to_owned()))
    }

    async fn instances(&self, account: &str) -> Result<Vec<Instance>, Fault> {
        Ok(self.disk.all(account, INSTANCES).await?)
    }

    async fn find(&self, call: &Call, name: &str) -> Result<Instance, Fault> {
        let found = self.disk.find(&call.account, INSTANCES, &call.key(name)).await?;
        found.ok_or_else(|| no_instance(name))
    }

    async fn keep(&self, account: &str, instance: &Instance) -> Result<(), Fault> {
        let key = format!("{} {}", instance.region, instance.name);
        Ok(self.disk.put(account, INSTANCES, &key, instance).await?)
    }

    /// Before the first request: what a crash left between a use and its instance goes.
    ///
    /// Errors: linkrole's.
    pub async fn settle(&self) -> Result<(), Fault> {
        for account in self.disk.accounts().await? {
            let Some(note) = self.note(&account).await? else { continue };
            let known = match self.service.list_usage(&account, &note.id).await {
                Err(error) if error.is("NoSuchEntity") => continue,
                known => known?,
            };
            let instances = self.instances(&account).await?;
            for region in crate::aws::REGIONS {
                let here = instances.iter().filter(|one| one.region == region);
                let here: BTreeSet<String> = here.map(|one| one.arn.clone()).collect();
                if known.resources(region) != here {
                    let version = known.version(region);
                    self.service
                        .reconcile_usage(&account, &note.id, region, version, &here)
                        .await?;
                }
            }
            self.let_go(&account, &note, &instances).await?;
        }
        Ok(())
    }

    /// Does what is to be done, again and again.
    pub async fn watch(self: Arc<Self>) {
        loop {
            for account in self.disk.accounts().await.unwrap_or_default() {
                let _turn = self.disk.turn(&account).await;
                for instance in self.instances(&account).await.unwrap_or_default() {
                    self.step(&account, instance).await;
                }
            }
            let _ = tokio::time::timeout(PAUSE, self.changed.notified()).await;
        }
    }

    /// Takes an instance where it is on its way to, or notes why that failed.
    async fn step(&self, account: &str, mut instance: Instance) {
        let moves = instance.status != Status::Available
            || matches!(instance.activity, Activity::Starting | Activity::Stopping);
        if !moves {
            return;
        }
        let done = match instance.status {
            Status::Deleting => self.unmake(account, &mut instance).await,
            _ => self.make(account, &mut instance).await,
        };
        if let Err(fault) = done {
            crate::log(&format!("{}: {}: {}", instance.arn, fault.code, fault.message));
            instance.trouble = Some(format!("{}: {}", fault.code, fault.message));
            if let Err(fault) = self.keep(account, &instance).await {
                crate::log(&fault.message);
            }
        }
    }

    async fn make(&self, account: &str, instance: &mut Instance) -> Result<(), Fault> {
        let session = self.session(account).await?;
        let name = instance.name.clone();
        let region = instance.region.clone();
        let peers = Peers { at: &self.peers, session: &session, region: &region };
        if instance.group.is_none() {
            instance.group = Some(group(&peers, &name).await?);
            self.keep(account, instance).await?;
        }
        if instance.interface.is_none() {
            let group = instance.group.as_deref().unwrap_or_default();
            let description = format!("RDSNetworkInterface of {name}");
            let ask = [
                ("SubnetId", "subnet-0000000000000000a"),
                ("Description", description.as_str()),
                ("SecurityGroupId.1", group),
                ("ClientToken", instance.arn.as_str()),
            ];
            let made = peers.query("ec2", EC2, "CreateNetworkInterface", &ask).await?;
            let made = sdk::xml_text(&made, "networkInterfaceId");
            instance.interface = Some(made.ok_or_else(|| Fault::internal(&"an interface"))?);
            self.keep(account, instance).await?;
        }
        match instance.activity {
            Activity::Starting => {
                let body = json!({ "StreamName": stream(instance), "ShardCount": 1 });
                there(peers.json("kinesis", "Kinesis_20131202.CreateStream", &body).await)?;
                self.record(&peers, instance, "activity stream started").await?;
                instance.activity = Activity::Started;
            }
            Activity::Stopping => {
                let body = json!({ "StreamName": stream(instance) });
                gone(peers.json("kinesis", "Kinesis_20131202.DeleteStream", &body).await)?;
                instance.activity = Activity::Stopped;
            }
            Activity::Stopped | Activity::Started => {}
        }
        if instance.status == Status::Creating {
            self.tell(account, &peers, instance, "DB instance created").await?;
        }
        instance.status = Status::Available;
        instance.trouble = None;
        self.keep(account, instance).await
    }

    async fn unmake(&self, account: &str, instance: &mut Instance) -> Result<(), Fault> {
        let session = self.session(account).await?;
        let region = instance.region.clone();
        let peers = Peers { at: &self.peers, session: &session, region: &region };
        if instance.activity != Activity::Stopped {
            let body = json!({ "StreamName": stream(instance) });
            gone(peers.json("kinesis", "Kinesis_20131202.DeleteStream", &body).await)?;
        }
        if let Some(id) = &instance.interface {
            let ask = [("NetworkInterfaceId", id.as_str())];
            gone(peers.query("ec2", EC2, "DeleteNetworkInterface", &ask).await.map(drop))?;
        }
        if let Some(id) = &instance.group {
            let ask = [("GroupId", id.as_str())];
            gone(peers.query("ec2", EC2, "DeleteSecurityGroup", &ask).await.map(drop))?;
        }
        self.tell(account, &peers, instance, "DB instance deleted").await?;
        let key = format!("{} {}", instance.region, instance.name);
        self.disk.remove(account, INSTANCES, &key).await?;
        let Some(note) = self.note(account).await? else { return Ok(()) };
        self.service.deregister_usage(account, &note.id, &region, &instance.arn).await?;
        let left = self.instances(account).await?;
        self.let_go(account, &note, &left).await
    }

    /// Without instances nothing is done with the role: its sessions end, so that it can be deleted.
    async fn let_go(&self, account: &str, note: &Note, left: &[Instance]) -> Result<(), Fault> {
        if !left.is_empty() {
            return Ok(());
        }
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&note.id);
        match self.service.release_sessions(account, &note.id).await {
            Err(error) if !error.is("NoSuchEntity") => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Writes an event into the instance's log, and publishes it to all who subscribed.
    async fn tell(
        &self,
        account: &str,
        peers: &Peers<'_>,
        instance: &Instance,
        what: &str,
    ) -> Result<(), Fault> {
        let group = format!("/aws/rds/instance/{}/events", instance.name);
        let body = json!({ "logGroupName": group });
        there(peers.json("logs", "Logs_20140328.CreateLogGroup", &body).await)?;
        let body = json!({ "logGroupName": group, "logStreamName": instance.name });
        there(peers.json("logs", "Logs_20140328.CreateLogStream", &body).await)?;
        let event = json!({ "timestamp": rpc::now().1.saturating_mul(1_000), "message": what });
        let body = json!({
            "logGroupName": group, "logStreamName": instance.name, "logEvents": [event],
        });
        peers.json("logs", "Logs_20140328.PutLogEvents", &body).await?;
        let all: Vec<Subscription> = self.disk.all(account, SUBSCRIPTIONS).await?;
        for wish in all.iter().filter(|wish| wish.region == instance.region) {
            let message = json!({ "Source ID": instance.name, "Event Message": what }).to_string();
            let ask = [("TopicArn", wish.topic.as_str()), ("Message", message.as_str())];
            gone(peers.query("sns", SNS, "Publish", &ask).await.map(drop))?;
        }
        Ok(())
    }

    /// Puts a record into the stream of an instance's activity.
    async fn record(
        &self,
        peers: &Peers<'_>,
        instance: &Instance,
        what: &str,
    ) -> Result<(), Fault> {
        let text = json!({ "type": "DatabaseActivityMonitoringRecord", "event": what }).to_string();
        let body = json!({
            "StreamName": stream(instance), "PartitionKey": instance.name, "Data": BASE64.encode(text),
        });
        Ok(peers.json("kinesis", "Kinesis_20131202.PutRecord", &body).await?)
    }

    async fn note(&self, account: &str) -> Result<Option<Note>, Fault> {
        Ok(self.disk.find(account, ROLES, PRINCIPAL).await?)
    }

    /// What to sign with in the role's name.
    async fn session(&self, account: &str) -> Result<Credentials, Fault> {
        let missing = || Fault::internal(&"an instance without a role");
        let note = self.note(account).await?.ok_or_else(missing)?;
        let now = rpc::now().1;
        let kept = {
            let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.get(&note.id).cloned()
        };
        if let Some((session, since)) = kept
            && now.saturating_sub(since) < SESSION_S.1
        {
            return Ok(session);
        }
        let session = self.service.assume_role(&note.arn, "rds", SESSION_S.0).await?;
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(note.id, (session.clone(), now));
        Ok(session)
    }
}

/// The security group of an instance: a new one, or that of a try before.
async fn group(peers: &Peers<'_>, name: &str) -> Result<String, Fault> {
    let group = format!("rds-{name}");
    let ask = [("GroupName", group.as_str()), ("GroupDescription", "made by RDS")];
    let answer = match peers.query("ec2", EC2, "CreateSecurityGroup", &ask).await {
        Err(error) if error.is("InvalidGroup.Duplicate") => {
            let ask = [("GroupName.1", group.as_str())];
            peers.query("ec2", EC2, "DescribeSecurityGroups", &ask).await?
        }
        answer => answer?,
    };
    sdk::xml_text(&answer, "groupId").ok_or_else(|| Fault::internal(&"a security group"))
}

/// What is to be there may be there already.
fn there(done: Result<(), Error>) -> Result<(), Fault> {
    match done {
        Err(error)
            if !error.is("ResourceAlreadyExistsException")
                && !error.is("ResourceInUseException") =>
        {
            Err(error.into())
        }
        _ => Ok(()),
    }
}

/// What is to go may be gone already.
fn gone(done: Result<(), Error>) -> Result<(), Fault> {
    const GONE: [&str; 4] = [
        "InvalidNetworkInterfaceID.NotFound",
        "InvalidGroup.NotFound",
        "ResourceNotFoundException",
        "NotFound",
    ];
    match done {
        Err(error) if !GONE.iter().any(|code| error.is(code)) => Err(error.into()),
        _ => Ok(()),
    }
}

fn no_instance(name: &str) -> Fault {
    Fault::new(404, "DBInstanceNotFound", &format!("DBInstance {name} not found."))
}

/// The stream of an instance's activity.
fn stream(instance: &Instance) -> String {
    format!("aws-rds-das-db-{}", instance.name)
}

fn shown(instance: &Instance) -> Value {
    let groups: Vec<Value> = instance
        .group
        .iter()
        .map(|id| json!({ "VpcSecurityGroupId": id, "Status": "active" }))
        .collect();
    json!({
        "DBInstanceIdentifier": instance.name,
        "DBInstanceClass": instance.class,
        "Engine": instance.engine,
        "DBInstanceStatus": instance.status,
        "DBInstanceArn": instance.arn,
        "InstanceCreateTime": instance.created,
        "MonitoringRoleArn": instance.monitoring,
        "VpcSecurityGroups": { "VpcSecurityGroupMembership": groups },
        "ActivityStreamStatus": instance.activity,
        "ActivityStreamKinesisStreamName": stream(instance),
    })
}
