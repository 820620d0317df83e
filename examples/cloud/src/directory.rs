//! Resource Management: the resource directory of an account. Enabling it creates the role with which
//! the service later has roles of other services made.
//!
//! Not here: folders, members and resource groups; linkrole itself serves the role operations of the
//! vendor's API of this name.

use crate::disk::Disk;
use crate::linked::Linked;
use crate::rpc::{self, Api, Ask, Call, Fault};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const PRINCIPAL: &str = "resourcemanager.aliyuncs.com";
const KIND: &str = "directories";

/// The service.
pub struct Directories {
    /// Keeps the directories.
    pub disk: Disk,
    /// Has the role made.
    pub linked: Linked,
}

/// The directory of an account.
#[derive(Clone, Serialize, Deserialize)]
struct Directory {
    id: String,
    created: String,
    closing: bool,
}

impl Directory {
    fn shown(&self, account: &str) -> Value {
        json!({ "ResourceDirectory": {
            "ResourceDirectoryId": self.id,
            "MasterAccountId": account,
            "CreateTime": self.created,
        } })
    }
}

impl Api for Directories {
    const CODE: &'static str = "resourcemanager";
    const VERSION: &'static str = "2020-03-31";

    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault> {
        let known = ["InitResourceDirectory", "GetResourceDirectory", "DestroyResourceDirectory"];
        Ok(known.contains(&ask.action.as_str()).then(|| vec!["*".to_owned()]))
    }

    async fn run(&self, call: &Call) -> Result<Value, Fault> {
        let account = call.account.as_str();
        match call.ask.action.as_str() {
            "InitResourceDirectory" => {
                self.linked.enable(call, PRINCIPAL).await?;
                let there: Option<Directory> = self.disk.find(account, KIND, PRINCIPAL).await?;
                let made = match there {
                    Some(found) => Directory { closing: false, ..found },
                    None => Directory {
                        id: format!("rd-{}", rpc::random(6)?),
                        created: rpc::now().0,
                        closing: false,
                    },
                };
                self.disk.put(account, KIND, PRINCIPAL, &made).await?;
                Ok(made.shown(account))
            }
            "GetResourceDirectory" => Ok(self.directory(account).await?.shown(account)),
            _ => {
                let found = self.directory(account).await?;
                let closing = Directory { closing: true, ..found };
                self.disk.put(account, KIND, PRINCIPAL, &closing).await?;
                self.end(account).await?;
                Ok(json!({}))
            }
        }
    }
}

impl Directories {
    /// Ends what a crash cut off.
    pub async fn settle(&self) -> Result<(), Fault> {
        for account in self.disk.accounts().await? {
            let found: Option<Directory> = self.disk.find(&account, KIND, PRINCIPAL).await?;
            if found.is_some_and(|found| found.closing) {
                self.end(&account).await?;
            }
        }
        Ok(())
    }

    /// Lets the role go, then forgets the directory.
    async fn end(&self, account: &str) -> Result<(), Fault> {
        self.linked.retire(account, PRINCIPAL).await?;
        self.disk.remove(account, KIND, PRINCIPAL).await.map(drop)
    }

    async fn directory(&self, account: &str) -> Result<Directory, Fault> {
        let found: Option<Directory> = self.disk.find(account, KIND, PRINCIPAL).await?;
        found.filter(|found| !found.closing).ok_or_else(|| {
            let text = "The resource directory for the account is not enabled: call \
                InitResourceDirectory, as a user with ram:CreateServiceLinkedRole for \
                resourcemanager.aliyuncs.com.";
            Fault::new(404, "EntityNotExists.ResourceDirectory", text)
        })
    }
}
