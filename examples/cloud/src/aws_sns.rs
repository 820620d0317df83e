//! SNS of AWS's kind: topics, and how many messages were published to each.

use crate::aws::{Api, Ask, Call, Fault, Protocol};
use crate::disk::Disk;
use crate::rpc;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const TOPICS: &str = "topics";

/// The service.
pub struct Sns {
    /// Keeps the topics.
    pub disk: Disk,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Topic {
    arn: String,
    published: u64,
    /// The last message, and who published it.
    last: Option<(String, String)>,
}

impl Api for Sns {
    const CODE: &'static str = "sns";
    const VERSION: &'static str = "2010-03-31";
    const PROTOCOL: Protocol = Protocol::Query;
    const DENIED: &'static str = "AuthorizationError";

    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault> {
        let name = match ask.action.as_str() {
            "CreateTopic" => ask.need("Name")?,
            "ListTopics" => "*",
            "Publish" | "DeleteTopic" | "GetTopicAttributes" => {
                ask.need("TopicArn")?.rsplit(':').next().unwrap_or_default()
            }
            _ => return Ok(None),
        };
        Ok(Some(vec![name.to_owned()]))
    }

    async fn run(&self, call: &Call) -> Result<Value, Fault> {
        match call.ask.action.as_str() {
            "CreateTopic" => {
                let name = call.ask.need("Name")?;
                let arn = call.arn("sns", name);
                let found: Option<Topic> = self.find(call, &arn).await?;
                if found.is_none() {
                    self.keep(call, &Topic { arn: arn.clone(), ..Topic::default() }).await?;
                }
                Ok(json!({ "TopicArn": arn }))
            }
            "ListTopics" => {
                let all: Vec<Topic> = self.disk.all(&call.account, TOPICS).await?;
                let here = call.arn("sns", "");
                let all = all.iter().filter(|topic| topic.arn.starts_with(&here));
                let shown: Vec<Value> = all.map(|t| json!({ "TopicArn": t.arn })).collect();
                Ok(json!({ "Topics": { "member": shown } }))
            }
            "Publish" => {
                let mut topic = self.topic(call).await?;
                topic.published = topic.published.saturating_add(1);
                let message = call.ask.need("Message")?.to_owned();
                topic.last = Some((message, call.by.clone()));
                self.keep(call, &topic).await?;
                Ok(json!({ "MessageId": rpc::random(32)? }))
            }
            "DeleteTopic" => {
                let arn = call.ask.need("TopicArn")?;
                self.disk.remove(&call.account, TOPICS, arn).await?;
                Ok(json!({}))
            }
            _ => {
                let topic = self.topic(call).await?;
                let (message, by) = topic.last.unwrap_or_default();
                // What a subscriber would have got is told here, as nothing is delivered.
                let entries = [
                    ("TopicArn", topic.arn),
                    ("Owner", call.account.clone()),
                    ("MessagesPublished", topic.published.to_string()),
                    ("LastMessage", message),
                    ("LastPublisher", by),
                ];
                let entries = entries.map(|(key, value)| json!({ "key": key, "value": value }));
                Ok(json!({ "Attributes": { "entry": entries } }))
            }
        }
    }
}

impl Sns {
    async fn find(&self, call: &Call, arn: &str) -> Result<Option<Topic>, Fault> {
        Ok(self.disk.find(&call.account, TOPICS, arn).await?)
    }

    async fn keep(&self, call: &Call, topic: &Topic) -> Result<(), Fault> {
        Ok(self.disk.put(&call.account, TOPICS, &topic.arn, topic).await?)
    }

    /// The topic that a call names: one of the caller's account, in the region of the call.
    async fn topic(&self, call: &Call) -> Result<Topic, Fault> {
        let arn = call.ask.need("TopicArn")?;
        let here = arn.starts_with(&call.arn("sns", ""));
        let found = self.find(call, arn).await?.filter(|_| here);
        found.ok_or_else(|| Fault::new(404, "NotFound", "Topic does not exist"))
    }
}
