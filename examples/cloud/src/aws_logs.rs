//! CloudWatch Logs of AWS's kind: groups of streams of events.

use crate::aws::{Api, Ask, Call, Fault, Protocol};
use crate::disk::Disk;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const GROUPS: &str = "log-groups";

/// The service.
pub struct Logs {
    /// Keeps the groups.
    pub disk: Disk,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Group {
    name: String,
    region: String,
    /// Events by stream: a time in milliseconds since 1970, and a text.
    streams: BTreeMap<String, Vec<(i64, String)>>,
}

impl Api for Logs {
    const CODE: &'static str = "logs";
    const VERSION: &'static str = "2014-03-28";
    const PROTOCOL: Protocol = Protocol::Json("Logs_20140328");
    const DENIED: &'static str = "AccessDeniedException";

    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault> {
        let group = match ask.action.as_str() {
            "DescribeLogGroups" => "*",
            "CreateLogGroup" | "DeleteLogGroup" | "DescribeLogStreams" | "CreateLogStream"
            | "PutLogEvents" | "GetLogEvents" => ask.need("logGroupName")?,
            _ => return Ok(None),
        };
        let stream = match ask.action.as_str() {
            "PutLogEvents" | "GetLogEvents" => {
                format!(":log-stream:{}", ask.need("logStreamName")?)
            }
            _ => String::new(),
        };
        Ok(Some(vec![format!("log-group:{group}{stream}")]))
    }

    async fn run(&self, call: &Call) -> Result<Value, Fault> {
        let action = call.ask.action.as_str();
        if action == "DescribeLogGroups" {
            let prefix = call.ask.find("logGroupNamePrefix").unwrap_or_default();
            let all: Vec<Group> = self.disk.all(&call.account, GROUPS).await?;
            let here = all.iter().filter(|g| g.region == call.ask.region);
            let shown: Vec<Value> = here
                .filter(|group| group.name.starts_with(prefix))
                .map(|group| json!({ "logGroupName": group.name }))
                .collect();
            return Ok(json!({ "logGroups": shown }));
        }
        let name = call.ask.need("logGroupName")?;
        let found: Option<Group> = self.disk.find(&call.account, GROUPS, &call.key(name)).await?;
        if action == "CreateLogGroup" {
            if found.is_some() {
                return Err(exists("log group"));
            }
            let (name, region) = (name.to_owned(), call.ask.region.clone());
            self.keep(call, &Group { name, region, ..Group::default() }).await?;
            return Ok(json!({}));
        }
        let mut group = found.ok_or_else(|| missing("log group"))?;
        if action == "DeleteLogGroup" {
            self.disk.remove(&call.account, GROUPS, &call.key(name)).await?;
            return Ok(json!({}));
        }
        if action == "DescribeLogStreams" {
            let streams = group.streams.keys().map(|name| json!({ "logStreamName": name }));
            return Ok(json!({ "logStreams": streams.collect::<Vec<_>>() }));
        }
        let stream = call.ask.need("logStreamName")?;
        if action == "CreateLogStream" {
            if group.streams.contains_key(stream) {
                return Err(exists("log stream"));
            }
            group.streams.insert(stream.to_owned(), Vec::new());
            self.keep(call, &group).await?;
            return Ok(json!({}));
        }
        let events = group.streams.get_mut(stream).ok_or_else(|| missing("log stream"))?;
        if action == "GetLogEvents" {
            let shown = |(at, text): &(i64, String)| json!({ "timestamp": at, "message": text, "ingestionTime": at });
            let shown: Vec<Value> = events.iter().map(shown).collect();
            return Ok(json!({
                "events": shown, "nextForwardToken": "f/0", "nextBackwardToken": "b/0",
            }));
        }
        let put = call.ask.value("logEvents").and_then(Value::as_array);
        for event in put.into_iter().flatten() {
            let at = event.get("timestamp").and_then(Value::as_i64);
            let text = event.get("message").and_then(Value::as_str);
            let (Some(at), Some(text)) = (at, text) else {
                let text = "expected events with timestamp and message";
                return Err(Fault::new(400, "InvalidParameterException", text));
            };
            events.push((at, text.to_owned()));
        }
        self.keep(call, &group).await?;
        Ok(json!({ "nextSequenceToken": "0" }))
    }
}

impl Logs {
    async fn keep(&self, call: &Call, group: &Group) -> Result<(), Fault> {
        Ok(self.disk.put(&call.account, GROUPS, &call.key(&group.name), group).await?)
    }
}

fn exists(what: &str) -> Fault {
    let text = format!("The specified {what} already exists");
    Fault::new(400, "ResourceAlreadyExistsException", &text)
}

fn missing(what: &str) -> Fault {
    Fault::new(400, "ResourceNotFoundException", &format!("The specified {what} does not exist."))
}
