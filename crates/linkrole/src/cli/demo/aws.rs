//! Calls in AWS's protocols, for scenarios of that cloud: parameters as a form or JSON, answers from
//! XML or JSON with the names that the vendor's clients give them. Not here: who signs (`cloud`).

use super::cloud::Said;
use crate::cli::output;
use sdk::{Answer, Client, Form, Operation};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The region that the account of a scenario works in.
const REGION: &str = "us-east-1";

/// How a service of AWS's kind is spoken to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// The name in its signatures.
    name: String,
    /// The API before the operation, where JSON is spoken.
    target: Option<String>,
    /// The elements of XML that are lists, with the names that clients give them.
    #[serde(default)]
    lists: BTreeMap<String, String>,
}

/// Calls an operation.
///
/// Errors: no answer, or one that does not read; a refusal is an answer.
pub async fn call(
    client: &Client,
    protocol: &Protocol,
    version: &str,
    action: &str,
    with: &Value,
) -> Result<Said, String> {
    let mut params = Vec::new();
    flat("", with, &mut params);
    let params: Vec<(&str, &str)> = params.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let target = protocol.target.as_ref().map(|target| format!("{target}.{action}"));
    let form = match &target {
        Some(target) => Form::Json { target, body: with },
        None => Form::Query { version, action, params: &params },
    };
    let operation = Operation { signing_name: &protocol.name, region: REGION, form };
    let answer = client.operation(&operation).await.map_err(|e| e.to_string())?;
    let body = read(protocol, action, &answer)
        .ok_or_else(|| format!("{} answered {} and more", protocol.name, answer.status))?;
    let error = (answer.status >= 300).then(|| output::text(&body, "/Code"));
    Ok(Said { error, body })
}

/// The document of an answer; of a refusal its code and text.
fn read(protocol: &Protocol, action: &str, answer: &Answer) -> Option<Value> {
    let refused = answer.status >= 300;
    let text = std::str::from_utf8(&answer.body).ok()?;
    if protocol.target.is_some() {
        if text.is_empty() {
            return Some(json!({}));
        }
        let body: Value = serde_json::from_str(text).ok()?;
        let said = |member: &str| output::text(&body, member);
        let code = said("/__type").rsplit('#').next().unwrap_or_default().to_owned();
        return Some(match refused {
            true => json!({ "Code": code, "Message": said("/message") }),
            false => body,
        });
    }
    if refused {
        let said = |name: &str| sdk::xml_text(text, name);
        return Some(json!({ "Code": said("Code")?, "Message": said("Message") }));
    }
    let ec2 = protocol.name == "ec2";
    let (_, mut response, _) = element(text, &protocol.lists, ec2)?;
    let members = response.as_object_mut()?;
    members.remove("ResponseMetadata");
    members.remove("RequestId");
    Some(members.remove(&format!("{action}Result")).unwrap_or(response)).map(|result| {
        // An operation without a result has none in any client.
        if result.is_object() { result } else { json!({}) }
    })
}

/// Parameters as they travel: lists numbered as members, tables member by member.
fn flat(name: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                let dot = if name.is_empty() { "" } else { "." };
                flat(&format!("{name}{dot}{member}"), value, into);
            }
        }
        Value::Array(list) => {
            for (number, item) in list.iter().enumerate() {
                flat(&format!("{name}.member.{}", number.saturating_add(1)), item, into);
            }
        }
        Value::String(text) => into.push((name.to_owned(), text.clone())),
        other => into.push((name.to_owned(), other.to_string())),
    }
}

/// Reads the element that a text begins with: its name, what is in it, and the text behind it.
fn element<'a>(
    text: &'a str,
    lists: &BTreeMap<String, String>,
    capitals: bool,
) -> Option<(String, Value, &'a str)> {
    let text = match text.trim_start().strip_prefix("<?") {
        Some(declared) => declared.split_once("?>")?.1.trim_start(),
        None => text.trim_start(),
    };
    let (tag, mut rest) = text.strip_prefix('<')?.split_once('>')?;
    let name = tag.trim_end_matches('/').split_whitespace().next()?;
    let mut children: Vec<(String, Value)> = Vec::new();
    let mut inside = "";
    if !tag.ends_with('/') {
        let end = format!("</{name}>");
        while rest.trim_start().starts_with('<') && !rest.trim_start().starts_with(&end) {
            let (child, value, behind) = element(rest, lists, capitals)?;
            children.push((child, value));
            rest = behind;
        }
        (inside, rest) = rest.split_once(&end)?;
    }
    let is_list = children.iter().all(|(child, _)| child == "member" || child == "Member");
    let is_map = children.iter().all(|(child, _)| child == "entry");
    let value = if lists.contains_key(name) || (is_list && !children.is_empty()) {
        Value::Array(children.into_iter().map(|(_, value)| value).collect())
    } else if children.is_empty() {
        json!(sdk::xml_text(&format!("<x>{inside}</x>"), "x")?)
    } else if is_map {
        let pair = |(_, entry): (String, Value)| {
            Some((entry.get("key")?.as_str()?.to_owned(), entry.get("value")?.clone()))
        };
        Value::Object(children.into_iter().map(pair).collect::<Option<Map<_, _>>>()?)
    } else {
        Value::Object(children.into_iter().collect())
    };
    let name = match lists.get(name) {
        Some(known) => known.clone(),
        None if capitals => {
            let mut letters = name.chars();
            let first = letters.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(letters).collect()
        }
        None => name.to_owned(),
    };
    Some((name, value, rest))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    fn told(name: &str, lists: &[(&str, &str)], action: &str, body: &str) -> Value {
        let lists = lists.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let protocol = Protocol { name: name.to_owned(), target: None, lists };
        let answer = Answer { status: 200, body: body.to_owned().into() };
        read(&protocol, action, &answer).unwrap()
    }

    #[test]
    fn answers_read_as_the_vendors_clients_show_them() {
        let text = "<?xml version='1.0'?><ListRolesResponse xmlns=\"n\"><ListRolesResult><Roles>\
            <member><RoleName>a&amp;b</RoleName></member></Roles><IsTruncated>false</IsTruncated>\
            </ListRolesResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></ListRolesResponse>";
        let roles = told("iam", &[], "ListRoles", text);
        assert_eq!(roles, json!({ "Roles": [{ "RoleName": "a&b" }], "IsTruncated": "false" }));
        let none = "<A xmlns=\"n\"><ListRolesResult><Roles></Roles></ListRolesResult></A>";
        assert_eq!(told("iam", &[("Roles", "Roles")], "ListRoles", none), json!({ "Roles": [] }));
        let text = "<R xmlns=\"n\"><requestId>1</requestId><networkInterfaceSet><item>\
            <subnetId>s</subnetId></item></networkInterfaceSet></R>";
        let lists = [("networkInterfaceSet", "NetworkInterfaces")];
        assert_eq!(
            told("ec2", &lists, "DescribeNetworkInterfaces", text),
            json!({ "NetworkInterfaces": [{ "SubnetId": "s" }] })
        );
        let text = "<R><GetResult><Attributes><entry><key>Owner</key><value>1</value></entry>\
            </Attributes></GetResult></R>";
        assert_eq!(told("sns", &[], "Get", text), json!({ "Attributes": { "Owner": "1" } }));
        let empty = "<TagRoleResponse xmlns=\"n\"><ResponseMetadata><RequestId>1</RequestId>\
            </ResponseMetadata></TagRoleResponse>";
        assert_eq!(told("iam", &[], "TagRole", empty), json!({}));
    }

    #[test]
    fn parameters_travel_as_members() {
        let mut sent = Vec::new();
        flat("", &json!({ "A": "b", "List": ["x", "y"], "On": true }), &mut sent);
        let sent: Vec<String> = sent.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(sent, ["A=b", "List.member.1=x", "List.member.2=y", "On=true"]);
    }
}
