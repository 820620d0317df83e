//! `linkrole demo`: the life of a service-linked role, told step by step.
//!
//! Nothing is staged: a server on disk, the storage of a tenant and a linked service run as
//! processes of their own on loopback, and every step is a request over the wire. The demo ends
//! well only if every step held.

use super::output;
use policy::{Dialect, name};
use sdk::{Answer, Call, Client, Credentials, Secret};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const ROLE: &str = "AWSServiceRoleForExampleBackup";
const SERVICE: &str = "backup.example.com";

#[derive(clap::Args)]
pub struct DemoArgs {
    /// Which story; only `backup` is there yet
    #[arg(default_value = "backup")]
    name: String,
}

/// Runs a story.
pub fn demo(args: &DemoArgs) -> Result<(), String> {
    if args.name != "backup" {
        return Err(format!("there is no story `{}`; the one there is, is `backup`", args.name));
    }
    let runtime = super::runtime()?;
    runtime.block_on(async {
        let cloud = Cloud::start().await?;
        let mut story = Story { step: 0, held: 0, broken: 0 };
        story.tell(&cloud).await?;
        output::line("")?;
        match story.broken {
            0 => output::line(&format!("All {} steps held.", story.held)),
            n => Err(format!("{n} of {} steps did not hold", story.held + n)),
        }
    })
}

/// A process of the demo; it ends with the demo.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory that goes with the demo.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
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
    _processes: Vec<Process>,
    _scratch: Scratch,
}

impl Cloud {
    async fn start() -> Result<Self, String> {
        let (storage_program, backup_program) = (program("storage")?, program("backup")?);
        let scratch = scratch()?;
        let here = scratch.0.clone();
        let data = here.join("linkrole");
        let me = std::env::current_exe().map_err(|e| e.to_string())?;
        let made = Command::new(&me).arg("init").arg("--data-dir").arg(&data).output();
        let made = made.map_err(|e| format!("cannot run {}: {e}", me.display()))?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned());
        }
        let mut serve = Command::new(&me);
        serve.arg("serve").arg("--data-dir").arg(&data).args(["--listen", "127.0.0.1:0"]);
        let (process, address) = spawn(serve, &here.join("linkrole.log"))?;
        let mut processes = vec![process];
        let server = client(&address)?;
        let operator = Client::socket(&data.join(super::serve::SOCKET));
        let root = root_credentials(&data.join("root-credentials"))?;
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
        let mut addresses = Vec::new();
        for (name, program) in [("storage", storage_program), ("backup", backup_program)] {
            let service = format!("{name}.example.com");
            let enrolled =
                post(&operator, "/v1/services/enrol", json!({ "service": service })).await?;
            let token = here.join(format!("{name}.token"));
            crate::keys::write_private(&token, output::text(&enrolled, "/token").as_bytes())?;
            let mut command = Command::new(program);
            command.args(["--listen", "127.0.0.1:0", "--linkrole", &address]);
            command.arg("--data").arg(here.join(name)).arg("--token-file").arg(token);
            if let Some(storage) = addresses.first() {
                command.arg("--storage").arg(storage).args(["--region", "local-1"]);
            }
            let (process, at) = spawn(command, &here.join(format!("{name}.log")))?;
            processes.push(process);
            addresses.push(at);
        }
        let [storage, backup] = addresses.as_slice() else {
            return Err("a service did not start".to_owned());
        };
        Ok(Self {
            account,
            operator,
            alice,
            bob,
            storage: client(storage)?,
            backup: client(backup)?,
            root,
            server,
            _processes: processes,
            _scratch: scratch,
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

/// The telling: each step says what to notice and whether it held.
struct Story {
    step: usize,
    held: usize,
    broken: usize,
}

impl Story {
    fn say(&mut self, title: &str) -> Result<(), String> {
        self.step += 1;
        output::line(&format!("\n{}. {title}", self.step))
    }

    fn check(&mut self, held: bool, what: &str, seen: &str) -> Result<(), String> {
        let (mark, colour) = if held { ("ok", "32") } else { ("BROKEN", "31") };
        let mark = match output::colours() {
            true => format!("\u{1b}[{colour}m{mark}\u{1b}[0m"),
            false => mark.to_owned(),
        };
        *(if held { &mut self.held } else { &mut self.broken }) += 1;
        output::line(&format!("   {mark}  {what}"))?;
        match seen {
            "" => Ok(()),
            seen => output::line(&format!("       {}", seen.trim())),
        }
    }

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
                rows.push(super::audit::row(entry));
            }
        }
        output::print(
            super::output::Output::Table,
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

async fn post(client: &Client, path: &str, body: Value) -> Result<Value, String> {
    client.post(path, &body).await.map_err(|e| e.to_string())
}

fn client(address: &str) -> Result<Client, String> {
    Client::tcp(address, None).map_err(|e| e.to_string())
}

fn credentials(made: &Value) -> Credentials {
    Credentials {
        access_key_id: output::text(made, "/access_key_id"),
        secret_access_key: Secret::new(output::text(made, "/secret_access_key")),
        session_token: None,
    }
}

fn root_credentials(file: &Path) -> Result<Credentials, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once('='))
            .map(|(_, v)| v.trim().to_owned())
            .unwrap_or_default()
    };
    Ok(Credentials {
        access_key_id: value("aws_access_key_id"),
        secret_access_key: Secret::new(value("aws_secret_access_key")),
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

/// Starts a program that says `ready ADDRESS` once it serves.
fn spawn(mut command: Command, log: &Path) -> Result<(Process, String), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let log_file = std::fs::File::create(log).map_err(|e| format!("{}: {e}", log.display()))?;
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file).spawn();
    let mut process = Process(child.map_err(|e| format!("cannot run {name}: {e}"))?);
    let out = process.0.stdout.take().ok_or("no output to read")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).map_err(|e| format!("{name}: {e}"))?;
    match line.trim().strip_prefix("ready ") {
        Some(address) => Ok((process, address.to_owned())),
        None => {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            Err(format!("{name} did not start: {line}{said}"))
        }
    }
}

/// An example service: beside this program, or built with it from a checkout.
fn program(name: &str) -> Result<PathBuf, String> {
    let me = std::env::current_exe().map_err(|e| e.to_string())?;
    let file = me.with_file_name(format!("example-{name}"));
    let from_checkout = std::env::var_os("CARGO_MANIFEST_DIR").is_some();
    if file.exists() && !from_checkout {
        return Ok(file);
    }
    if !from_checkout {
        return Err(format!(
            "the demo needs {} beside this program; from a checkout run `cargo run --release -- demo`",
            file.display()
        ));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", &format!("example-{name}")]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    match build.status() {
        Ok(done) if done.success() && file.exists() => Ok(file),
        Ok(done) => Err(format!("building the {name} example ended with {done}")),
        Err(error) => Err(format!("cannot run cargo to build the {name} example: {error}")),
    }
}

fn scratch() -> Result<Scratch, String> {
    let name = format!("linkrole-demo-{}", crate::clock::uuid());
    let directory = std::env::temp_dir().join(name);
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().mode(0o700).create(&directory);
    made.map_err(|e| format!("cannot make {}: {e}", directory.display()))?;
    Ok(Scratch(directory))
}
