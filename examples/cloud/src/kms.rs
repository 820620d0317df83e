//! Key Management Service: instances, and secrets that hold the passwords of servers, databases and
//! caches and change them there.
//!
//! An instance needs one role, each kind of secret one of its own. The use of a role is told before
//! its instance or secret is on disk, and taken back after it is gone, so a crash leaves a use too
//! many at most; [`Kms::settle`] removes it at the next start. A new password is on disk before it
//! is set where it belongs, and counts once it is: a rotation that a crash cut off is done again.

use crate::disk::Disk;
use crate::linked::{Linked, Use};
use crate::rpc::{self, Api, Ask, Call, Fault};
use sdk::{Client, Credentials};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const KEY_STORE: &str = "keystore.kms.aliyuncs.com";
const INSTANCES: &str = "instances";
const SECRETS: &str = "secrets";
/// The stages of a secret's present version and the one before.
const CURRENT: &str = "ACSCurrent";
const PREVIOUS: &str = "ACSPrevious";
/// The command that changes a password on a server.
const COMMAND: &str = "cmd-ACS-KMS-RotateECSSecretForLinux";

/// The service.
pub struct Kms {
    /// Keeps instances and secrets.
    pub disk: Disk,
    /// Has the roles made, and works with them.
    pub linked: Linked,
    /// Where servers, databases and caches are.
    pub peers: BTreeMap<String, Client>,
}

/// An instance of the account.
#[derive(Clone, Serialize, Deserialize)]
struct Instance {
    id: String,
    region: String,
}

/// What a secret is of.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Ecs,
    Rds,
    Redis,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Ecs, Self::Rds, Self::Redis];

    fn read(text: &str) -> Result<Self, Fault> {
        let found = Self::ALL.into_iter().find(|kind| kind.shown() == text);
        found.ok_or_else(|| {
            let text = format!("expected the secret type ECS, RDS or Redis; found `{text}`");
            Fault::new(400, "InvalidParameter.SecretType", &text)
        })
    }

    fn shown(self) -> &'static str {
        match self {
            Self::Ecs => "ECS",
            Self::Rds => "RDS",
            Self::Redis => "Redis",
        }
    }

    fn principal(self) -> &'static str {
        match self {
            Self::Ecs => "secretsmanager-ecs.kms.aliyuncs.com",
            Self::Rds => "secretsmanager-rds.kms.aliyuncs.com",
            Self::Redis => "secretsmanager-redis.kms.aliyuncs.com",
        }
    }
}

/// A secret: whose password it is, and the password.
#[derive(Clone, Serialize, Deserialize)]
struct Secret {
    name: String,
    kind: Kind,
    region: String,
    instance: String,
    user: String,
    password: String,
    version: String,
    /// The version and the password before.
    previous: Option<(String, String)>,
    /// A password that is being set and may be set already.
    pending: Option<(String, String)>,
    created: String,
    rotated: Option<String>,
}

impl Secret {
    fn arn(&self, account: &str) -> String {
        format!("acs:kms:{}:{account}:secret/{}", self.region, self.name)
    }

    fn data(&self, password: &str) -> String {
        match self.kind {
            Kind::Ecs => json!({ "UserName": self.user, "Password": password }),
            _ => json!({ "AccountName": self.user, "AccountPassword": password }),
        }
        .to_string()
    }
}

impl Api for Kms {
    const CODE: &'static str = "kms";
    const VERSION: &'static str = "2016-01-20";

    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault> {
        Ok(Some(vec![match ask.action.as_str() {
            "ConnectKmsInstance" | "ReleaseKmsInstance" | "GetKmsInstance" => {
                format!("instance/{}", ask.need("KmsInstanceId")?)
            }
            "ListKmsInstances" => "instance/*".to_owned(),
            "ListSecrets" => "secret/*".to_owned(),
            "CreateSecret" | "DescribeSecret" | "GetSecretValue" | "RotateSecret"
            | "DeleteSecret" => format!("secret/{}", ask.need("SecretName")?),
            _ => return Ok(None),
        }]))
    }

    async fn run(&self, call: &Call) -> Result<Value, Fault> {
        match call.ask.action.as_str() {
            "ConnectKmsInstance" => self.connect(call).await,
            "ReleaseKmsInstance" => self.release(call).await,
            "GetKmsInstance" => {
                let found = self.instance(call, call.ask.need("KmsInstanceId")?).await?;
                Ok(json!({ "KmsInstance": {
                    "InstanceId": found.id, "RegionId": found.region, "Status": "Connected",
                } }))
            }
            "ListKmsInstances" => {
                let all: Vec<Instance> = self.disk.all(&call.account, INSTANCES).await?;
                let rows: Vec<Value> =
                    all.iter().map(|found| json!({ "KmsInstanceId": found.id })).collect();
                Ok(json!({ "TotalCount": rows.len(), "KmsInstances": { "KmsInstance": rows } }))
            }
            "ListSecrets" => {
                let all: Vec<Secret> = self.disk.all(&call.account, SECRETS).await?;
                let row = |found: &Secret| json!({ "SecretName": found.name, "SecretType": found.kind.shown() });
                let rows: Vec<Value> = all.iter().map(row).collect();
                Ok(json!({ "TotalCount": rows.len(), "SecretList": { "Secret": rows } }))
            }
            "CreateSecret" => self.create(call).await,
            "DescribeSecret" => {
                let found = self.secret(call).await?;
                Ok(json!({
                    "SecretName": found.name,
                    "SecretType": found.kind.shown(),
                    "Arn": found.arn(&call.account),
                    "CreateTime": found.created,
                    "LastRotationDate": found.rotated,
                    "ExtendedConfig": json!({ "InstanceId": found.instance }).to_string(),
                }))
            }
            "GetSecretValue" => self.value(call).await,
            "RotateSecret" => {
                let found = self.secret(call).await?;
                let version = call.ask.need("VersionId")?.to_owned();
                let secret = Secret { pending: Some((version, rpc::random(24)?)), ..found };
                let done = self.rotate(&call.account, secret).await?;
                Ok(json!({ "SecretName": done.name, "VersionId": done.version }))
            }
            _ => self.delete(call).await,
        }
    }
}

impl Kms {
    /// Does what a crash left undone, and makes the uses of each role those that there are.
    pub async fn settle(&self) -> Result<(), Fault> {
        for account in self.disk.accounts().await? {
            let secrets: Vec<Secret> = self.disk.all(&account, SECRETS).await?;
            for secret in secrets.iter().filter(|secret| secret.pending.is_some()) {
                if let Err(fault) = self.rotate(&account, secret.clone()).await {
                    crate::log(&format!("{}: {}: {}", secret.name, fault.code, fault.message));
                }
            }
            self.linked.settle(&account, KEY_STORE, &self.instances(&account).await?).await?;
            for kind in Kind::ALL {
                let uses = self.uses(&account, kind).await?;
                self.linked.settle(&account, kind.principal(), &uses).await?;
            }
        }
        Ok(())
    }

    /// The uses of the key store's role.
    async fn instances(&self, account: &str) -> Result<Vec<Use>, Fault> {
        let all: Vec<Instance> = self.disk.all(account, INSTANCES).await?;
        Ok(all.iter().map(|found| used(account, found)).collect())
    }

    /// The uses of the role of a kind of secrets.
    async fn uses(&self, account: &str, kind: Kind) -> Result<Vec<Use>, Fault> {
        let all: Vec<Secret> = self.disk.all(account, SECRETS).await?;
        let of_kind = all.iter().filter(|secret| secret.kind == kind);
        Ok(of_kind.map(|secret| (secret.region.clone(), secret.arn(account))).collect())
    }

    async fn connect(&self, call: &Call) -> Result<Value, Fault> {
        let id = call.ask.need("KmsInstanceId")?.to_owned();
        let region = rpc::region_of(&id).unwrap_or(&call.ask.region).to_owned();
        let made = Instance { id, region };
        let there: Option<Instance> = self.disk.find(&call.account, INSTANCES, &made.id).await?;
        let mut uses = self.instances(&call.account).await?;
        uses.push(used(&call.account, &made));
        self.linked.using(call, KEY_STORE, &uses).await?;
        if there.is_none() {
            self.disk.put(&call.account, INSTANCES, &made.id, &made).await?;
        }
        Ok(json!({}))
    }

    async fn release(&self, call: &Call) -> Result<Value, Fault> {
        let found = self.instance(call, call.ask.need("KmsInstanceId")?).await?;
        self.disk.remove(&call.account, INSTANCES, &found.id).await?;
        self.linked.unused(&call.account, KEY_STORE, &used(&call.account, &found)).await?;
        Ok(json!({}))
    }

    async fn instance(&self, call: &Call, id: &str) -> Result<Instance, Fault> {
        self.disk.find(&call.account, INSTANCES, id).await?.ok_or_else(|| {
            Fault::new(404, "Forbidden.InstanceNotFound", "The specified instance is not found.")
        })
    }

    async fn secret(&self, call: &Call) -> Result<Secret, Fault> {
        let name = call.ask.need("SecretName")?;
        self.disk
            .find(&call.account, SECRETS, name)
            .await?
            .ok_or_else(|| Fault::new(404, "Forbidden.ResourceNotFound", "Resource not found."))
    }

    async fn create(&self, call: &Call) -> Result<Value, Fault> {
        let secret = asked(&call.ask)?;
        let there: Option<Secret> = self.disk.find(&call.account, SECRETS, &secret.name).await?;
        if there.is_some() {
            return Err(Fault::new(409, "Rejected.ResourceExist", "The secret exists."));
        }
        let principal = secret.kind.principal();
        let mut uses = self.uses(&call.account, secret.kind).await?;
        let coming = (secret.region.clone(), secret.arn(&call.account));
        uses.push(coming.clone());
        self.linked.using(call, principal, &uses).await?;
        // The role is there; with it the password is looked after from its first day.
        let done = match self.set(&call.account, &secret, &secret.password).await {
            Ok(()) => self.disk.put(&call.account, SECRETS, &secret.name, &secret).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = done {
            self.linked.unused(&call.account, principal, &coming).await?;
            return Err(fault);
        }
        Ok(json!({
            "SecretName": secret.name,
            "SecretType": secret.kind.shown(),
            "VersionId": secret.version,
            "Arn": secret.arn(&call.account),
        }))
    }

    async fn delete(&self, call: &Call) -> Result<Value, Fault> {
        if call.ask.find("ForceDeleteWithoutRecovery") != Some("true") {
            let text = "The demo keeps no secrets for recovery: expected \
                ForceDeleteWithoutRecovery=true.";
            return Err(Fault::new(400, "InvalidParameter", text));
        }
        let secret = self.secret(call).await?;
        self.disk.remove(&call.account, SECRETS, &secret.name).await?;
        let gone = (secret.region.clone(), secret.arn(&call.account));
        self.linked.unused(&call.account, secret.kind.principal(), &gone).await?;
        Ok(json!({ "SecretName": secret.name }))
    }

    async fn value(&self, call: &Call) -> Result<Value, Fault> {
        let secret = self.secret(call).await?;
        let stage = call.ask.find("VersionStage").unwrap_or(CURRENT);
        let found = match (stage, &secret.previous) {
            (CURRENT, _) => Some((&secret.version, &secret.password)),
            (PREVIOUS, Some((version, password))) => Some((version, password)),
            _ => None,
        };
        let (version, password) = found.ok_or_else(|| {
            Fault::new(404, "Forbidden.ResourceNotFound", "There is no version of that stage.")
        })?;
        Ok(json!({
            "SecretName": secret.name,
            "SecretType": secret.kind.shown(),
            "SecretData": secret.data(password),
            "SecretDataType": "text",
            "VersionId": version,
            "VersionStages": { "VersionStage": [stage] },
        }))
    }

    /// Sets a pending password where it belongs, and makes it the present one.
    async fn rotate(&self, account: &str, secret: Secret) -> Result<Secret, Fault> {
        let Some((version, password)) = secret.pending.clone() else { return Ok(secret) };
        self.disk.put(account, SECRETS, &secret.name, &secret).await?;
        self.set(account, &secret, &password).await?;
        let done = Secret {
            previous: Some((secret.version.clone(), secret.password.clone())),
            version,
            password,
            pending: None,
            rotated: Some(rpc::now().0),
            ..secret
        };
        self.disk.put(account, SECRETS, &done.name, &done).await?;
        Ok(done)
    }

    /// Changes the password on the server, in the database or in the cache, as the role.
    async fn set(&self, account: &str, secret: &Secret, password: &str) -> Result<(), Fault> {
        let again = "Create the secret again";
        let principal = secret.kind.principal();
        let role = self.linked.session(account, principal, "kms-secret-rotation", again).await?;
        let (instance, user) = (secret.instance.as_str(), secret.user.as_str());
        let region = ("RegionId", secret.region.as_str());
        match secret.kind {
            Kind::Ecs => {
                let given = json!({ "username": user, "password": password }).to_string();
                let with = [
                    region,
                    ("CommandId", COMMAND),
                    ("InstanceId.1", instance),
                    ("Parameters", &given),
                ];
                self.ask(&role, "ecs", "2014-05-26", "InvokeCommand", &with).await
            }
            Kind::Rds => {
                let with = [
                    ("DBInstanceId", instance),
                    ("AccountName", user),
                    ("AccountPassword", password),
                ];
                self.ask(&role, "rds", "2014-08-15", "ResetAccountPassword", &with).await
            }
            Kind::Redis => {
                let with = [
                    ("InstanceId", instance),
                    ("AccountName", user),
                    ("AccountPassword", password),
                ];
                self.ask(&role, "redis", "2015-01-01", "ResetAccountPassword", &with).await
            }
        }
    }

    async fn ask(
        &self,
        role: &Credentials,
        peer: &str,
        version: &str,
        action: &str,
        with: &[(&str, &str)],
    ) -> Result<(), Fault> {
        rpc::call(&self.peers, peer, role, version, action, with).await.map(drop)
    }
}

fn used(account: &str, instance: &Instance) -> Use {
    let arn = format!("acs:kms:{}:{account}:instance/{}", instance.region, instance.id);
    (instance.region.clone(), arn)
}

/// The secret that a request describes.
fn asked(ask: &Ask) -> Result<Secret, Fault> {
    let kind = Kind::read(ask.need("SecretType")?)?;
    let data = ask.document("SecretData")?;
    let config = ask.document("ExtendedConfig")?;
    let wrong = |name: &str| {
        let text = format!("The specified parameter {name} is not valid.");
        Fault::new(400, "InvalidParameter", &text)
    };
    let text = |value: &Value, place: &str, name: &str| {
        let found = value.pointer(place).and_then(Value::as_str);
        found.filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(|| wrong(name))
    };
    let (instance, user, password) = match kind {
        Kind::Ecs => ("/InstanceId", "/UserName", "/Password"),
        Kind::Rds => ("/DBInstanceId", "/Accounts/0/AccountName", "/Accounts/0/AccountPassword"),
        Kind::Redis => ("/InstanceId", "/Accounts/0/AccountName", "/Accounts/0/AccountPassword"),
    };
    let instance = text(&config, instance, "ExtendedConfig")?;
    Ok(Secret {
        name: ask.need("SecretName")?.to_owned(),
        kind,
        region: rpc::region_of(&instance).unwrap_or(&ask.region).to_owned(),
        instance,
        user: text(&data, user, "SecretData")?,
        password: text(&data, password, "SecretData")?,
        version: ask.need("VersionId")?.to_owned(),
        previous: None,
        pending: None,
        created: rpc::now().0,
        rotated: None,
    })
}
