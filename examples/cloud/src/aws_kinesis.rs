//! Kinesis Data Streams of AWS's kind: streams of one shard.

use crate::aws::{Api, Ask, Call, Fault, Protocol};
use crate::disk::Disk;
use crate::rpc;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const STREAMS: &str = "streams";
const SHARD: &str = "shardId-000000000000";

/// The service.
pub struct Kinesis {
    /// Keeps the streams.
    pub disk: Disk,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stream {
    name: String,
    region: String,
    records: Vec<Record>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    /// In base64, as it came.
    data: String,
    key: String,
    at_s: i64,
}

impl Api for Kinesis {
    const CODE: &'static str = "kinesis";
    const VERSION: &'static str = "2013-12-02";
    const PROTOCOL: Protocol = Protocol::Json("Kinesis_20131202");
    const DENIED: &'static str = "AccessDeniedException";

    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault> {
        let name = match ask.action.as_str() {
            "ListStreams" => "*".to_owned(),
            "GetRecords" => iterator(ask)?.0,
            "CreateStream"
            | "DeleteStream"
            | "DescribeStreamSummary"
            | "PutRecord"
            | "GetShardIterator" => name(ask)?,
            _ => return Ok(None),
        };
        Ok(Some(vec![format!("stream/{name}")]))
    }

    async fn run(&self, call: &Call) -> Result<Value, Fault> {
        let ask = &call.ask;
        match ask.action.as_str() {
            "ListStreams" => {
                let all: Vec<Stream> = self.disk.all(&call.account, STREAMS).await?;
                let here = all.into_iter().filter(|stream| stream.region == ask.region);
                let names: Vec<String> = here.map(|stream| stream.name).collect();
                Ok(json!({ "StreamNames": names, "HasMoreStreams": false }))
            }
            "CreateStream" => {
                let name = name(ask)?;
                if self.find(call, &name).await?.is_some() {
                    let text =
                        format!("Stream {name} under account {} already exists.", call.account);
                    return Err(Fault::new(400, "ResourceInUseException", &text));
                }
                let region = ask.region.clone();
                self.keep(call, &Stream { name, region, records: Vec::new() }).await?;
                Ok(json!({}))
            }
            "GetRecords" => {
                let (name, from) = iterator(ask)?;
                let stream = self.stream(call, &name).await?;
                let shown: Vec<Value> =
                    stream.records.iter().enumerate().skip(from).map(shown).collect();
                let next = format!("{}/{name}", stream.records.len());
                Ok(json!({ "Records": shown, "NextShardIterator": next, "MillisBehindLatest": 0 }))
            }
            action => {
                let name = name(ask)?;
                let mut stream = self.stream(call, &name).await?;
                match action {
                    "DeleteStream" => {
                        self.disk.remove(&call.account, STREAMS, &call.key(&name)).await?;
                        Ok(json!({}))
                    }
                    "DescribeStreamSummary" => Ok(json!({ "StreamDescriptionSummary": {
                        "StreamName": name, "StreamARN": call.arn("kinesis", &format!("stream/{name}")),
                        "StreamStatus": "ACTIVE", "RetentionPeriodHours": 24, "OpenShardCount": 1,
                        "StreamCreationTimestamp": 0, "EnhancedMonitoring": [],
                    } })),
                    "GetShardIterator" => {
                        let from = match ask.need("ShardIteratorType")? {
                            "LATEST" => stream.records.len(),
                            _ => 0,
                        };
                        Ok(json!({ "ShardIterator": format!("{from}/{name}") }))
                    }
                    _ => {
                        let number = stream.records.len();
                        stream.records.push(Record {
                            data: ask.need("Data")?.to_owned(),
                            key: ask.need("PartitionKey")?.to_owned(),
                            at_s: rpc::now().1,
                        });
                        self.keep(call, &stream).await?;
                        Ok(json!({ "ShardId": SHARD, "SequenceNumber": number.to_string() }))
                    }
                }
            }
        }
    }
}

impl Kinesis {
    async fn find(&self, call: &Call, name: &str) -> Result<Option<Stream>, Fault> {
        Ok(self.disk.find(&call.account, STREAMS, &call.key(name)).await?)
    }

    async fn keep(&self, call: &Call, stream: &Stream) -> Result<(), Fault> {
        Ok(self.disk.put(&call.account, STREAMS, &call.key(&stream.name), stream).await?)
    }

    async fn stream(&self, call: &Call, name: &str) -> Result<Stream, Fault> {
        let text = format!("Stream {name} under account {} not found.", call.account);
        let missing = || Fault::new(400, "ResourceNotFoundException", &text);
        self.find(call, name).await?.ok_or_else(missing)
    }
}

/// The stream that a call is about, by name or by ARN.
fn name(ask: &Ask) -> Result<String, Fault> {
    let of_arn = ask.find("StreamARN").and_then(|arn| arn.rsplit('/').next());
    of_arn.map_or_else(|| ask.need("StreamName"), Ok).map(str::to_owned)
}

/// The stream of an iterator, and the record where it stands.
fn iterator(ask: &Ask) -> Result<(String, usize), Fault> {
    let read = ask.need("ShardIterator")?.split_once('/');
    let read = read.and_then(|(from, name)| Some((name.to_owned(), from.parse().ok()?)));
    let wrong = || Fault::new(400, "InvalidArgumentException", "expected an iterator of a shard");
    read.ok_or_else(wrong)
}

fn shown((number, record): (usize, &Record)) -> Value {
    json!({
        "SequenceNumber": number.to_string(),
        "PartitionKey": record.key,
        "Data": record.data,
        "ApproximateArrivalTimestamp": record.at_s,
    })
}
