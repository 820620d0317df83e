//! Cloud Config: reads a tenant's servers and databases with its service-linked role, and writes a
//! report of which carry the tag `owner`.
//!
//! The recorder's note is on disk before an answer leaves; a role that a crash left without its
//! recorder is taken over by the next start of one. What is being switched off is noted as such, and
//! is ended at the next start of the service if it was not.

use crate::disk::Disk;
use crate::linked::Linked;
use crate::rpc::{self, Api, Ask, Call, Fault, REGIONS};
use sdk::{Client, Credentials};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const PRINCIPAL: &str = "config.aliyuncs.com";
const RULE: &str = "cr-required-tags";
const TAG: &str = "owner";
/// How often every account's resources are looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// The service.
pub struct Config {
    /// Keeps recorders and reports.
    pub disk: Disk,
    /// Has the role made, and works with it.
    pub linked: Linked,
    /// Where servers and databases are.
    pub peers: BTreeMap<String, Client>,
}

/// The recorder of an account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Recorder {
    /// It is being switched off.
    stopping: bool,
    /// The last report is complete.
    registered: bool,
}

/// One resource, as the rule found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Found {
    kind: String,
    region: String,
    id: String,
    name: String,
    compliant: bool,
    at: String,
}

impl Api for Config {
    const CODE: &'static str = "config";
    const VERSION: &'static str = "2020-09-07";

    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault> {
        let known = [
            "StartConfigurationRecorder",
            "StopConfigurationRecorder",
            "GetConfigurationRecorder",
            "StartConfigRuleEvaluation",
            "ListConfigRuleEvaluationResults",
        ];
        Ok(known.contains(&ask.action.as_str()).then(|| vec!["*".to_owned()]))
    }

    async fn run(&self, call: &Call) -> Result<Value, Fault> {
        match call.ask.action.as_str() {
            "StartConfigurationRecorder" => {
                self.linked.enable(call, PRINCIPAL).await?;
                self.keep(&call.account, &Recorder::default()).await?;
                Ok(status("BUILDING"))
            }
            "StopConfigurationRecorder" => {
                let recorder = self.active(&call.account).await?;
                self.keep(&call.account, &Recorder { stopping: true, ..recorder }).await?;
                self.end(&call.account).await?;
                Ok(json!({ "StopConfigurationRecorderResult": true }))
            }
            "GetConfigurationRecorder" => Ok(status(match self.recorder(&call.account).await? {
                None => "REGISTRABLE",
                Some(recorder) if recorder.registered => "REGISTERED",
                Some(_) => "BUILDING",
            })),
            "StartConfigRuleEvaluation" => {
                let recorder = self.active(&call.account).await?;
                self.evaluate(&call.account, recorder).await?;
                Ok(json!({ "Result": true }))
            }
            _ => {
                self.active(&call.account).await?;
                let found: Option<Vec<Found>> =
                    self.disk.find(&call.account, "reports", RULE).await?;
                let rows: Vec<Value> = found.unwrap_or_default().iter().map(result).collect();
                Ok(json!({ "EvaluationResults": { "EvaluationResultList": rows } }))
            }
        }
    }
}

impl Config {
    /// Looks at every account's resources, again and again.
    pub async fn watch(self: Arc<Self>) {
        loop {
            for account in self.disk.accounts().await.unwrap_or_default() {
                let _turn = self.disk.turn(&account).await;
                let done = match self.recorder(&account).await {
                    Ok(Some(recorder)) if recorder.stopping => self.end(&account).await,
                    Ok(Some(recorder)) => self.evaluate(&account, recorder).await,
                    Ok(None) => Ok(()),
                    Err(fault) => Err(fault),
                };
                if let Err(fault) = done {
                    crate::log(&format!("{account}: {}: {}", fault.code, fault.message));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn recorder(&self, account: &str) -> Result<Option<Recorder>, Fault> {
        self.disk.find(account, "recorders", PRINCIPAL).await
    }

    async fn keep(&self, account: &str, recorder: &Recorder) -> Result<(), Fault> {
        self.disk.put(account, "recorders", PRINCIPAL, recorder).await
    }

    async fn active(&self, account: &str) -> Result<Recorder, Fault> {
        let active = self.recorder(account).await?.filter(|recorder| !recorder.stopping);
        active.ok_or_else(|| {
            let text = "Cloud Config is not activated for this account: call \
                StartConfigurationRecorder, as a user with ram:CreateServiceLinkedRole for \
                config.aliyuncs.com.";
            Fault::new(400, "ServiceNotEnabled", text)
        })
    }

    /// Lets the role go, then forgets the recorder.
    async fn end(&self, account: &str) -> Result<(), Fault> {
        self.linked.retire(account, PRINCIPAL).await?;
        self.disk.remove(account, "recorders", PRINCIPAL).await.map(drop)
    }

    /// Reads everything as the role, and writes the report.
    async fn evaluate(&self, account: &str, recorder: Recorder) -> Result<(), Fault> {
        let again = "Call StartConfigurationRecorder again";
        let role = self.linked.session(account, PRINCIPAL, "config-evaluation", again).await?;
        let mut report = Vec::new();
        for region in REGIONS {
            report.extend(self.servers(&role, region).await?);
            report.extend(self.databases(&role, region).await?);
        }
        self.disk.put(account, "reports", RULE, &report).await?;
        if !recorder.registered {
            self.keep(account, &Recorder { registered: true, ..recorder }).await?;
        }
        Ok(())
    }

    async fn servers(&self, role: &Credentials, region: &str) -> Result<Vec<Found>, Fault> {
        let answer = self.read(role, "ecs", "DescribeInstances", &[("RegionId", region)]).await?;
        let rows = answer.pointer("/Instances/Instance").and_then(Value::as_array);
        let tagged = |row: &Value| {
            let tags = row.pointer("/Tags/Tag").and_then(Value::as_array);
            tags.is_some_and(|tags| tags.iter().any(|tag| text(tag, "TagKey") == TAG))
        };
        let found = rows.into_iter().flatten().map(|row| Found {
            kind: "ACS::ECS::Instance".to_owned(),
            region: region.to_owned(),
            id: text(row, "InstanceId").to_owned(),
            name: text(row, "InstanceName").to_owned(),
            compliant: tagged(row),
            at: rpc::now().0,
        });
        Ok(found.collect())
    }

    async fn databases(&self, role: &Credentials, region: &str) -> Result<Vec<Found>, Fault> {
        let answer = self.read(role, "rds", "DescribeDBInstances", &[("RegionId", region)]).await?;
        let rows = answer.pointer("/Items/DBInstance").and_then(Value::as_array);
        let mut all = Vec::new();
        for row in rows.into_iter().flatten() {
            let id = text(row, "DBInstanceId");
            let of = [("RegionId", region), ("DBInstanceId", id)];
            let tags = self.read(role, "rds", "DescribeTags", &of).await?;
            let tags = tags.pointer("/Items/TagInfos").and_then(Value::as_array);
            all.push(Found {
                kind: "ACS::RDS::DBInstance".to_owned(),
                region: region.to_owned(),
                id: id.to_owned(),
                name: text(row, "DBInstanceDescription").to_owned(),
                compliant: tags.is_some_and(|t| t.iter().any(|tag| text(tag, "TagKey") == TAG)),
                at: rpc::now().0,
            });
        }
        Ok(all)
    }

    async fn read(
        &self,
        role: &Credentials,
        peer: &str,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<Value, Fault> {
        let version = if peer == "ecs" { "2014-05-26" } else { "2014-08-15" };
        rpc::call(&self.peers, peer, role, version, action, params).await
    }
}

fn status(text: &str) -> Value {
    json!({ "ConfigurationRecorder": {
        "ConfigurationRecorderStatus": text,
        "ResourceTypes": ["ACS::ECS::Instance", "ACS::RDS::DBInstance"],
    } })
}

fn result(found: &Found) -> Value {
    let compliance = if found.compliant { "COMPLIANT" } else { "NON_COMPLIANT" };
    json!({
        "ComplianceType": compliance,
        "RiskLevel": 1,
        "EvaluationResultIdentifier": { "EvaluationResultQualifier": {
            "ConfigRuleId": RULE,
            "ConfigRuleName": "required-tags",
            "RegionId": found.region,
            "ResourceId": found.id,
            "ResourceName": found.name,
            "ResourceType": found.kind,
        } },
        "Annotation": format!("{} {TAG}", if found.compliant { "has the tag" } else { "lacks the tag" }),
        "ResultRecordedTimestamp": found.at,
    })
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
