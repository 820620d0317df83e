//! The life of a service-linked role, told step by step: the story `backup`.
//!
//! Nothing is staged: a server on disk, the storage of a tenant and a linked service run as
//! processes of their own on loopback, and every step is a request over the wire.

use super::story::{Stage, Story, client, credentials, post, program};
use crate::cli::{audit, output};
use policy::{Dialect, name};
use sdk::{Answer, Call, Client, Credentials, Secret};
use serde_json::{Value, json};
use std::process::Command;

const ROLE: &str = "AWSServiceRoleForExampleBackup";
const SERVICE: &str = "backup.example.com";

/// Tells it.
pub async fn tell() -> Result<(), String> {
    let cloud = Cloud::start().await?;
    let mut story = Story::default();
    story.tell(&cloud).await?;
    story.end()
}

/// Everything that runs.
struct Cloud {
    account: String,
    server: Client,
    operator: Client,
    root: Credentials,
    alice: Credentials,
    bob: Credentials,
    storage: Client,
    backup: Client,
    _stage: Stage,
}

impl Cloud {
    async fn start() -> Result<Self, String> {
        let (storage, backup) = (program("storage")?, program("backup")?);
        let mut stage = Stage::start(&[]).await?;
        let (server, operator) = (stage.server.clone(), stage.operator.clone());
        let root = stage.root()?;
        let accounts = post(&operator, "/v1/accounts/list", json!({})).await?;
        let account = output::text(&accounts, "/accounts/0/account");
        let create = json!({ "Effect": "Allow", "Action": "iam:CreateServiceLinkedRole",
            "Resource": name::role(Dialect::Aws, "*", &iam::linked::path_of(SERVICE), "*"),
            "Condition": { "StringLike": { "iam:AWSServiceName": SERVICE } } });
        let daily =
            json!({ "Effect": "Allow", "Action": ["storage:*", "backup:*"], "Resource": "*" });
        let as_root = server.with(root.clone());
        let alice = user(&as_root, "alice", json!([daily, create])).await?;
        let bob = user(&as_root, "bob", json!([daily])).await?;
        let storage = Command::new(storage);
        let storage = stage.service("storage", "storage.example.com", storage, &[]).await?;
        let more = ["--storage", storage.as_str(), "--region", "local-1"];
        let backup = stage.service("backup", SERVICE, Command::new(backup), &more).await?;
        Ok(Self {
            account,
            operator,
            alice,
            bob,
            storage: client(&storage)?,
            backup: client(&backup)?,
            root,
            server,
            _stage: stage,
        })
    }

    fn role_arn(&self) -> String {
        name::role(Dialect::Aws, &self.account, &iam::linked::path_of(SERVICE), ROLE)
    }

    /// A request to one of the services, signed by a user for that service.
    async fn ask(
        &self,
        service: &Client,
        who: &Credentials,
        name: &str,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<(u16, String), String> {
        let call = Call { method, path, query: "", content_type: None, body, signing_name: name };
        let Answer { status, body } =
            service.with(who.clone()).send(&call).await.map_err(|e| e.to_string())?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn backup(
        &self,
        who: &Credentials,
        method: &str,
        path: &str,
    ) -> Result<(u16, String), String> {
        self.ask(&self.backup, who, "backup", method, path, b"").await
    }

    /// An operation on the AWS wire; the answer's XML, or what it was refused with.
    async fn aws(
        &self,
        who: &Credentials,
        service: &str,
        params: &[(&str, &str)],
    ) -> Result<String, String> {
        self.server.with(who.clone()).query(service, params).await.map_err(|e| match e.refusal() {
            Some(refusal) => format!("{}: {}", refusal.code, refusal.message),
            None => e.to_string(),
        })
    }

    async fn has_role(&self) -> bool {
        let get = [("Action", "GetRole"), ("RoleName", ROLE)];
        self.aws(&self.root, "iam", &get).await.is_ok()
    }

    /// Asks for the deletion and waits for its end; the last answer.
    async fn delete(&self) -> Result<String, String> {
        let submit = [("Action", "DeleteServiceLinkedRole"), ("RoleName", ROLE)];
        let submitted = self.aws(&self.root, "iam", &submit).await?;
        let task = inner(&submitted, "DeletionTaskId");
        let get =
            [("Action", "GetServiceLinkedRoleDeletionStatus"), ("DeletionTaskId", task.as_str())];
        for _ in 0..500 {
            let status = self.aws(&self.root, "iam", &get).await?;
            if matches!(inner(&status, "Status").as_str(), "SUCCEEDED" | "FAILED") {
                return Ok(status);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Err("the deletion did not end".to_owned())
    }
}

/// The steps of this story.
impl Story {
    async fn tell(&mut self, cloud: &Cloud) -> Result<(), String> {
        output::line(
            "A linked service, backup.example.com, is to copy what a tenant keeps in its storage.\n\
             It holds no key of the tenant. It has a role in the tenant's account that it defined\n\
             itself: a service-linked role. Three processes run: linkrole, the storage, the backup.",
        )?;
        self.objects(cloud).await?;
        self.first_use(cloud).await?;
        self.protected(cloud).await?;
        self.exclusive(cloud).await?;
        self.at_work(cloud).await?;
        self.deletion(cloud).await?;
        self.again(cloud).await?;
        self.trail(cloud).await
    }

    async fn objects(&mut self, cloud: &Cloud) -> Result<(), String> {
        self.say("Alice, a user of the account, keeps two objects in its storage")?;
        for name in ["letter", "picture"] {
            let path = format!("/objects/{name}");
            let put =
                cloud.ask(&cloud.storage, &cloud.alice, "storage", "PUT", &path, b"hers").await?;
            self.check(
                put.0 < 300,
                &format!("{name} is stored; the storage asked linkrole first"),
                "",
            )?;
        }
        Ok(())
    }

    async fn first_use(&mut self, cloud: &Cloud) -> Result<(), String> {
        self.say("Bob may use the backup, but may not create service-linked roles")?;
        let (status, text) = cloud.backup(&cloud.bob, "POST", "/vaults/home").await?;
        let told = text.contains("iam:CreateServiceLinkedRole");
        self.check(
            status == 403 && told,
            "his first call fails and says which permission is missing",
            &text,
        )?;
        self.check(!cloud.has_role().await, "nothing was left behind: there is no role", "")?;

        self.say("Alice may: her first call makes the role, in her name")?;
        let (status, text) = cloud.backup(&cloud.alice, "POST", "/vaults/home").await?;
        self.check(status < 300, "the vault is made", &text)?;
        let get = [("Action", "GetRole"), ("RoleName", ROLE)];
        let role = cloud.aws(&cloud.root, "iam", &get).await.unwrap_or_default();
        self.check(
            inner(&role, "Arn") == cloud.role_arn(),
            "the role is there; nobody wrote a policy or copied a key",
            &inner(&role, "Arn"),
        )
    }

    async fn protected(&mut self, cloud: &Cloud) -> Result<(), String> {
        self.say("Nobody edits it, not even root: it is the service's")?;
        let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;
        let all = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        let admin = name::policy(Dialect::Aws, "aws", "/", "AdministratorAccess");
        let tries: [(&str, &[(&str, &str)]); 7] = [
            ("AttachRolePolicy", &[("PolicyArn", &admin)]),
            ("DetachRolePolicy", &[("PolicyArn", &admin)]),
            ("PutRolePolicy", &[("PolicyName", "p"), ("PolicyDocument", all)]),
            ("DeleteRolePolicy", &[("PolicyName", "p")]),
            ("UpdateAssumeRolePolicy", &[("PolicyDocument", trust)]),
            ("PutRolePermissionsBoundary", &[("PermissionsBoundary", &admin)]),
            ("DeleteRole", &[]),
        ];
        for (action, more) in tries {
            let mut params = vec![("Action", action), ("RoleName", ROLE)];
            params.extend(more);
            let refusal = cloud.aws(&cloud.root, "iam", &params).await.err().unwrap_or_default();
            let seen = if action == "AttachRolePolicy" { refusal.as_str() } else { "" };
            self.check(
                refusal.starts_with("UnmodifiableEntity"),
                &format!("{action} by root is refused"),
                seen,
            )?;
        }
        Ok(())
    }

    async fn exclusive(&mut self, cloud: &Cloud) -> Result<(), String> {
        self.say("Nobody but its service assumes it")?;
        let other = json!({ "manifest": { "service": "other.example.com", "display_name": "Other", "usage": "sessions" } });
        let other = post(&cloud.operator, "/v1/services/register", other).await?;
        let stranger = post(&cloud.operator, "/v1/accounts/create", json!({})).await?;
        let stranger = cloud.server.with(credentials(&stranger));
        let everything = json!([{ "Effect": "Allow", "Action": "*", "Resource": "*" }]);
        let eve = user(&stranger, "eve", everything.clone()).await?;
        let admin = user(&cloud.server.with(cloud.root.clone()), "carol", everything).await?;
        let callers = [
            ("an administrator of the account", admin),
            ("the account's root", cloud.root.clone()),
            ("another linked service", credentials(&other)),
            ("an administrator of another account", eve),
        ];
        let arn = cloud.role_arn();
        let ask = [("Action", "AssumeRole"), ("RoleArn", arn.as_str()), ("RoleSessionName", "me")];
        for (who, keys) in callers {
            let refusal = cloud.aws(&keys, "sts", &ask).await.err().unwrap_or_default();
            self.check(
                refusal.starts_with("AccessDenied"),
                &format!("{who} is refused"),
                &refusal,
            )?;
        }
        Ok(())
    }

    async fn at_work(&mut self, cloud: &Cloud) -> Result<(), String> {
        self.say("The service assumes it and works, within what the role's policy says")?;
        let (status, text) = cloud.backup(&cloud.alice, "POST", "/vaults/home/run").await?;
        self.check(
            status < 300,
            "it reads both objects with the role's credentials and copies them",
            &text,
        )?;
        let (_, text) = cloud.backup(&cloud.alice, "POST", "/vaults/home/prune").await?;
        let denied = text.contains("403") && text.contains("storage:DeleteObject");
        self.check(
            denied,
            "it tries to delete an object: the storage denies it, for the role may only read",
            &text,
        )?;
        let get = cloud
            .ask(&cloud.storage, &cloud.alice, "storage", "GET", "/objects/letter", b"")
            .await?;
        self.check(get == (200, "hers".to_owned()), "the object is untouched", "")
    }

    async fn deletion(&mut self, cloud: &Cloud) -> Result<(), String> {
        self.say("Deleting the role while a vault uses it fails, and names the vault")?;
        let status = cloud.delete().await?;
        let seen = format!(
            "{} {} {}",
            inner(&status, "Reason"),
            inner(&status, "Region"),
            inner(&status, "Resources")
        );
        let named = status.contains("vault/home") && inner(&status, "Region") == "local-1";
        self.check(
            inner(&status, "Status") == "FAILED" && named,
            "FAILED, with the resource by region",
            &plain(&seen),
        )?;
        self.check(cloud.has_role().await, "the role is untouched", "")?;

        self.say("Alice removes the vault; the service reports it gone and ends its sessions")?;
        let (status, text) = cloud.backup(&cloud.alice, "DELETE", "/vaults/home").await?;
        self.check(status < 300, "the vault is gone", &text)?;
        let status = cloud.delete().await?;
        self.check(inner(&status, "Status") == "SUCCEEDED", "now the deletion succeeds", "")?;
        self.check(!cloud.has_role().await, "the role is gone", "")
    }

    async fn again(&mut self, cloud: &Cloud) -> Result<(), String> {
        self.say("Using the service again makes the role again; the old one's id never returns")?;
        let (status, text) = cloud.backup(&cloud.alice, "POST", "/vaults/second").await?;
        self.check(status < 300, "the vault is made, and with it the role", &text)?;
        let (status, text) = cloud.backup(&cloud.alice, "POST", "/vaults/second/run").await?;
        self.check(status < 300, "the service works again", &text)
    }

    async fn trail(&mut self, cloud: &Cloud) -> Result<(), String> {
        self.say("The trail says who did what, through which service, with which outcome")?;
        let ask = json!({ "limit": 400, "reads": true });
        let page = post(&cloud.operator, "/v1/operator/trail", ask).await?;
        let mut entries =
            page.pointer("/entries").and_then(Value::as_array).cloned().unwrap_or_default();
        entries.reverse();
        let told = [
            "EnsureServiceLinkedRole",
            "AssumeRole",
            "RegisterUsage",
            "DeregisterUsage",
            "ReleaseSessions",
            "DeleteServiceLinkedRole",
            "AttachRolePolicy",
        ];
        let mut rows = Vec::new();
        for entry in &entries {
            let operation = output::text(entry, "/operation");
            let refused_question = operation == "AuthorizeRequest"
                && entry.pointer("/denied") == Some(&Value::Bool(true));
            if told.contains(&operation.as_str()) || refused_question {
                rows.push(audit::row(entry));
            }
        }
        output::print(
            output::Output::Table,
            &Value::Null,
            &["TIME", "WHO", "FOR", "OPERATION", "OUTCOME", "ON"],
            |_| rows,
        )?;
        let by = |operation: &str, invoked: &str| {
            entries.iter().any(|e| {
                output::text(e, "/operation") == operation
                    && output::text(e, "/actor/invoked_by") == invoked
                    && output::text(e, "/error").is_empty()
            })
        };
        self.check(
            by("EnsureServiceLinkedRole", SERVICE),
            "the role was made by Alice, through the service",
            "",
        )?;
        self.check(by("AssumeRole", SERVICE), "it was assumed by the service", "")
    }
}

/// A user with one inline policy; its access key.
async fn user(account: &Client, name: &str, statements: Value) -> Result<Credentials, String> {
    let document = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    let create = [("Action", "CreateUser"), ("UserName", name)];
    let policy = [
        ("Action", "PutUserPolicy"),
        ("UserName", name),
        ("PolicyName", "daily"),
        ("PolicyDocument", document.as_str()),
    ];
    let key = [("Action", "CreateAccessKey"), ("UserName", name)];
    let said = |e: sdk::Error| e.to_string();
    account.query("iam", &create).await.map_err(said)?;
    account.query("iam", &policy).await.map_err(said)?;
    let made = account.query("iam", &key).await.map_err(said)?;
    Ok(Credentials {
        access_key_id: inner(&made, "AccessKeyId"),
        secret_access_key: Secret::new(inner(&made, "SecretAccessKey")),
        session_token: None,
    })
}

/// The text between the innermost first pair of a tag.
fn inner(xml: &str, tag: &str) -> String {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let Some((before, _)) = xml.split_once(&close) else { return String::new() };
    let found = before.rsplit_once(&open).map_or("", |(_, text)| text);
    found
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// A text without tags.
fn plain(xml: &str) -> String {
    let mut inside = false;
    xml.chars()
        .filter(|c| {
            let keep = !inside && *c != '<';
            inside = if inside { *c != '>' } else { *c == '<' };
            keep
        })
        .collect()
}
