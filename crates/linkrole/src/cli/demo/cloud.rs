//! The cloud that a scenario plays in: an account of its dialect, its users, and the services
//! as processes; calls are signed with our own client. Not here: what is called (`scenario`).

use super::aws::{self, Protocol};
use super::scenario::{Scenario, User};
use super::story::{Stage, client, credentials, post, program};
use crate::cli::output;
use policy::{Dialect, name};
use sdk::{Client, Credentials, Secret};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::process::Command;

/// What there is to call.
const SERVICES: &str = include_str!("../../../../../corpus/scenario/services.toml");

/// One service of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    version: String,
    /// The vendor's client, which the tests use.
    #[serde(rename = "python")]
    _python: Option<String>,
    /// Its name at linkrole, for a process of the demo cloud.
    principal: Option<String>,
    /// The services that it calls.
    #[serde(default)]
    peers: Vec<String>,
    /// How it is spoken to, if it is one of AWS's kind.
    aws: Option<Protocol>,
}

/// Everything that runs.
pub struct Cloud {
    /// The account.
    pub account: String,
    dialect: Dialect,
    listed: BTreeMap<String, Listed>,
    /// Where the started services are.
    addresses: BTreeMap<String, String>,
    identities: BTreeMap<String, Credentials>,
    stage: Stage,
}

/// An answer.
pub struct Said {
    /// The code of a refusal.
    pub error: Option<String>,
    /// The document.
    pub body: Value,
}

impl Cloud {
    /// Starts what a scenario needs.
    pub async fn start(scenario: &Scenario) -> Result<Self, String> {
        let listed: BTreeMap<String, Listed> =
            toml::from_str(SERVICES).map_err(|e| format!("services.toml: {e}"))?;
        let example = program("cloud")?;
        let args: &[&str] = if scenario.records_reads { &["--record-reads"] } else { &[] };
        let mut stage = Stage::start(args).await?;
        let mut addresses = BTreeMap::new();
        for name in &scenario.services {
            let entry = listed.get(name).ok_or_else(|| format!("no service `{name}` is listed"))?;
            let principal = entry.principal.as_deref().unwrap_or_default();
            let mut peers = Vec::new();
            for peer in &entry.peers {
                let at = addresses.get(peer).ok_or_else(|| format!("{name} needs {peer}"))?;
                peers.push(format!("{peer}={at}"));
            }
            let peers = peers.join(",");
            let mut command = Command::new(&example);
            command.arg(name);
            let at = stage.service(name, principal, command, &["--peers", &peers]).await?;
            addresses.insert(name.clone(), at);
        }
        let ask = json!({ "dialect": scenario.dialect });
        let made = post(&stage.operator, "/v1/accounts/create", ask).await?;
        let identities = BTreeMap::from([("root".to_owned(), credentials(&made))]);
        let account = output::text(&made, "/account");
        let dialect = scenario.dialect;
        let mut cloud = Self { account, dialect, listed, addresses, identities, stage };
        for name in &scenario.services {
            let path = cloud.stage.here.join(name).join("credentials.json");
            let own = Credentials::load(&path).map_err(|e| e.to_string())?;
            let own = own.ok_or_else(|| format!("{name} keeps no credentials"))?;
            cloud.identities.insert(format!("service:{name}"), own);
        }
        let admin = User {
            name: "admin".to_owned(),
            allow: Vec::new(),
            policies: vec!["AdministratorAccess".to_owned()],
        };
        for user in [&admin].into_iter().chain(&scenario.users) {
            cloud.user(user).await?;
        }
        Ok(cloud)
    }

    /// Makes a user with its policies and an access key.
    async fn user(&mut self, user: &User) -> Result<(), String> {
        let name = user.name.as_str();
        let mut statements = user.allow.clone();
        for statement in &mut statements {
            statement.entry("Effect").or_insert_with(|| json!("Allow"));
        }
        self.must("CreateUser", json!({ "UserName": name })).await?;
        match self.dialect {
            Dialect::Aws => self.grant_in_aws(user, statements).await?,
            Dialect::Alibaba => self.grant_in_ram(user, statements).await?,
        }
        let made = self.must("CreateAccessKey", json!({ "UserName": name })).await?;
        self.identify(name, &made)
    }

    async fn grant_in_aws(
        &self,
        user: &User,
        statements: Vec<Map<String, Value>>,
    ) -> Result<(), String> {
        let who = user.name.as_str();
        if !statements.is_empty() {
            let document = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
            let put = json!({ "UserName": who, "PolicyName": who, "PolicyDocument": document });
            self.must("PutUserPolicy", put).await?;
        }
        for policy in &user.policies {
            let owner = name::system_owner(Dialect::Aws);
            let arn = name::policy(Dialect::Aws, owner, "/", policy);
            self.must("AttachUserPolicy", json!({ "UserName": who, "PolicyArn": arn })).await?;
        }
        Ok(())
    }

    async fn grant_in_ram(
        &self,
        user: &User,
        statements: Vec<Map<String, Value>>,
    ) -> Result<(), String> {
        let name = user.name.as_str();
        if !user.allow.is_empty() {
            let document = json!({ "Version": "1", "Statement": statements });
            let made = json!({ "PolicyName": name, "PolicyDocument": document });
            self.must("CreatePolicy", made).await?;
        }
        let own = (!user.allow.is_empty()).then_some(("Custom", name));
        for (kind, policy) in
            own.into_iter().chain(user.policies.iter().map(|p| ("System", p.as_str())))
        {
            let ask = json!({ "UserName": name, "PolicyType": kind, "PolicyName": policy });
            self.must("AttachPolicyToUser", ask).await?;
        }
        Ok(())
    }

    /// An operation of RAM or IAM by the account's root, which must succeed.
    async fn must(&self, action: &str, with: Value) -> Result<Value, String> {
        let at = match self.dialect {
            Dialect::Alibaba => "ram",
            Dialect::Aws => "aws-iam",
        };
        let said = self.call("root", at, action, &with).await?;
        match said.error {
            None => Ok(said.body),
            Some(_) => Err(format!("{action}: {}", said.body)),
        }
    }

    /// Calls an operation as somebody.
    ///
    /// Errors: there is no such service or identity, or no answer; a refusal is an answer.
    pub async fn call(
        &self,
        who: &str,
        service: &str,
        action: &str,
        with: &Value,
    ) -> Result<Said, String> {
        let entry = self.listed.get(service).ok_or_else(|| format!("no service `{service}`"))?;
        let keys = self.identities.get(who).ok_or_else(|| format!("nobody is `{who}`"))?;
        let server: Client = match (self.addresses.get(service), &entry.principal) {
            (Some(address), _) => client(address)?,
            (None, None) => self.stage.server.clone(),
            (None, Some(_)) => return Err(format!("`{service}` does not run")),
        };
        if let Some(protocol) = &entry.aws {
            let server = server.with(keys.clone());
            return aws::call(&server, protocol, &entry.version, action, with).await;
        }
        let mut params = Vec::new();
        flat("", with, &mut params);
        let params: Vec<(&str, &str)> =
            params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = server.with(keys.clone()).rpc(&entry.version, action, &params).await;
        let answer = answer.map_err(|e| e.to_string())?;
        let body: Value = serde_json::from_slice(&answer.body)
            .map_err(|_| format!("{service} answered {} without JSON", answer.status))?;
        let error = (answer.status >= 300).then(|| output::text(&body, "/Code"));
        Ok(Said { error, body })
    }

    /// Keeps the credentials of a session, or the access key, in an answer.
    pub fn identify(&mut self, name: &str, answer: &Value) -> Result<(), String> {
        let made = answer.get("Credentials").or_else(|| answer.get("AccessKey"));
        let made = made.ok_or_else(|| format!("no credentials for `{name}` in {answer}"))?;
        // Each cloud has its names for the secret parts.
        let (secret, token) = match made.get("AccessKeySecret") {
            Some(_) => ("/AccessKeySecret", "SecurityToken"),
            None => ("/SecretAccessKey", "SessionToken"),
        };
        let token = made.get(token).and_then(Value::as_str);
        let keys = Credentials {
            access_key_id: output::text(made, "/AccessKeyId"),
            secret_access_key: Secret::new(output::text(made, secret)),
            session_token: token.map(|token| Secret::new(token.to_owned())),
        };
        self.identities.insert(name.to_owned(), keys);
        Ok(())
    }
}

/// Parameters as they travel: lists numbered, with the members of their tables behind the number; a
/// table that stands alone as JSON text.
fn flat(name: &str, value: &Value, into: &mut Vec<(String, String)>) {
    let of_list = name.rsplit('.').next().is_some_and(|last| last.parse::<u32>().is_ok());
    match value {
        Value::Object(members) if name.is_empty() || of_list => {
            for (member, value) in members {
                let dot = if name.is_empty() { "" } else { "." };
                flat(&format!("{name}{dot}{member}"), value, into);
            }
        }
        Value::Array(list) => {
            for (number, item) in list.iter().enumerate() {
                flat(&format!("{name}.{}", number.saturating_add(1)), item, into);
            }
        }
        Value::String(text) => into.push((name.to_owned(), text.clone())),
        other => into.push((name.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_travel_as_the_vendor_sends_them() {
        let mut sent = Vec::new();
        let with = json!({"A": "b", "N": 1, "On": true, "Ids": ["x", "y"],
            "Tag": [{"Key": "k", "Value": "v"}], "Document": {"a": [1]}});
        flat("", &with, &mut sent);
        sent.sort();
        let sent: Vec<String> =
            sent.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            sent,
            [
                "A=b",
                r#"Document={"a":[1]}"#,
                "Ids.1=x",
                "Ids.2=y",
                "N=1",
                "On=true",
                "Tag.1.Key=k",
                "Tag.1.Value=v"
            ]
        );
    }
}
