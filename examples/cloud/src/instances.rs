//! What the resource services keep: instances with tags, and accounts on them with passwords.
//!
//! Shared by `ecs`, `rds` and `redis`, which name the operations and shape the answers.

use crate::disk::Disk;
use crate::rpc::{self, Call, Fault};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const KIND: &str = "instances";

/// One instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Where it is.
    pub region: String,
    /// Whether it runs.
    pub status: String,
    /// When it was made.
    pub created: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The accounts on it: of each password the hash.
    accounts: BTreeMap<String, String>,
}

impl Instance {
    /// Gives an account on it a password, and makes the account where it is missing.
    pub fn set_password(&mut self, user: &str, password: &str) {
        self.accounts.insert(user.to_owned(), self.hash(user, password));
    }

    /// The names of the accounts on it.
    pub fn users(&self) -> Vec<&str> {
        self.accounts.keys().map(String::as_str).collect()
    }

    /// An account that must be there.
    pub fn user(&self, user: &str) -> Result<(), Fault> {
        let text = format!("The account {user} of {} does not exist.", self.id);
        let missing = || Fault::new(404, "InvalidAccountName.NotFound", &text);
        self.accounts.contains_key(user).then_some(()).ok_or_else(missing)
    }

    /// What stands in for a login over the network: whether the password is the account's.
    pub fn log_in(&self, user: &str, password: &str) -> Result<Value, Fault> {
        if self.accounts.get(user) == Some(&self.hash(user, password)) {
            return Ok(json!({ "AccountName": user }));
        }
        let text = format!("The password is not that of {user} on {}.", self.id);
        Err(Fault::new(403, "LoginFailed", &text))
    }

    fn hash(&self, user: &str, password: &str) -> String {
        sdk::sign::sha256_hex(format!("{}\n{user}\n{password}", self.id).as_bytes())
    }
}

/// Makes an instance, on the disk when this returns.
pub async fn create(
    disk: &Disk,
    call: &Call,
    prefix: &str,
    name: &str,
    user: Option<(&str, &str)>,
) -> Result<Instance, Fault> {
    let mut made = Instance {
        id: rpc::new_id(prefix, &call.ask.region)?,
        name: name.to_owned(),
        region: call.ask.region.clone(),
        status: "Running".to_owned(),
        created: rpc::now().0,
        tags: call.ask.tags(),
        ..Instance::default()
    };
    if let Some((user, password)) = user {
        made.set_password(user, password);
    }
    keep(disk, call, &made).await?;
    Ok(made)
}

/// Keeps what has changed.
pub async fn keep(disk: &Disk, call: &Call, instance: &Instance) -> Result<(), Fault> {
    disk.put(&call.account, KIND, &instance.id, instance).await
}

/// An instance of the account, in the region that the call names, if it names one.
///
/// Errors: there is none, with the code of the service.
pub async fn get(disk: &Disk, call: &Call, id: &str, code: &str) -> Result<Instance, Fault> {
    let found: Option<Instance> = disk.find(&call.account, KIND, id).await?;
    let here = |region: &str| call.ask.find("RegionId").is_none_or(|named| named == region);
    found.filter(|instance| here(&instance.region)).ok_or_else(|| {
        Fault::new(404, code, &format!("The specified instance {id} does not exist."))
    })
}

/// Removes an instance.
pub async fn delete(disk: &Disk, call: &Call, id: &str, code: &str) -> Result<Value, Fault> {
    get(disk, call, id, code).await?;
    disk.remove(&call.account, KIND, id).await?;
    Ok(json!({}))
}

/// The instances of the account where the call looks, with these ids if there are any.
pub async fn list(disk: &Disk, call: &Call, ids: &[String]) -> Result<Vec<Instance>, Fault> {
    let mut all: Vec<Instance> = disk.all(&call.account, KIND).await?;
    all.retain(|instance| {
        instance.region == call.ask.region && (ids.is_empty() || ids.contains(&instance.id))
    });
    Ok(all)
}

/// Tags instances, all of them or none.
pub async fn tag(disk: &Disk, call: &Call, code: &str) -> Result<Value, Fault> {
    let mut all = Vec::new();
    for id in call.ask.list("ResourceId") {
        all.push(get(disk, call, &id, code).await?);
    }
    for mut instance in all {
        instance.tags.extend(call.ask.tags());
        keep(disk, call, &instance).await?;
    }
    Ok(json!({}))
}

/// The tags of instances, a row each.
pub async fn tags(disk: &Disk, call: &Call, kind: &str) -> Result<Value, Fault> {
    let mut rows = Vec::new();
    for instance in list(disk, call, &call.ask.list("ResourceId")).await? {
        rows.extend(instance.tags.iter().map(|(key, value)| {
            json!({ "ResourceId": instance.id, "ResourceType": kind, "TagKey": key,
                    "TagValue": value })
        }));
    }
    Ok(json!({ "TagResources": { "TagResource": rows } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_its_accounts_and_no_others() {
        let mut instance = Instance { id: "i-1".to_owned(), ..Instance::default() };
        instance.set_password("root", "one");
        assert!(instance.log_in("root", "one").is_ok());
        assert!(instance.log_in("root", "two").is_err());
        assert!(instance.log_in("other", "one").is_err());
        instance.set_password("root", "two");
        assert!(instance.log_in("root", "one").is_err());
        assert!(instance.log_in("root", "two").is_ok());
        assert!(!serde_json::to_string(&instance).unwrap_or_default().contains("two"));
    }
}
