//! Managed Security Service: a base service and a feature for ESA, each by subscription, each with a
//! role of its own.
//!
//! A subscription is a use of its role from before it begins until it has expired; the role itself
//! stays until somebody deletes it. `Subscribe`, `ModifySubscription` and `DescribeSubscriptions`
//! stand in for the vendor's shop. What expires while the service is down has expired when it starts.

use crate::disk::Disk;
use crate::linked::{Linked, Use};
use crate::rpc::{self, Api, Ask, Call, Fault};
use sdk::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const REGION: &str = "cn-hangzhou";
const KIND: &str = "subscriptions";
/// The features, each with the principal of its role.
const FEATURES: [(&str, &str); 2] =
    [("base", "mssp.aliyuncs.com"), ("esa", "esa.mssp.aliyuncs.com")];
/// How often it is looked whether a subscription has expired.
const PAUSE: Duration = Duration::from_millis(200);

/// The service.
pub struct Mss {
    /// Keeps the subscriptions.
    pub disk: Disk,
    /// Has the roles made, and works with them.
    pub linked: Linked,
    /// Where the servers are.
    pub peers: BTreeMap<String, Client>,
}

/// The subscription of a feature.
#[derive(Clone, Serialize, Deserialize)]
struct Subscription {
    feature: String,
    id: String,
    /// When it ends, in seconds since 1970.
    ends_s: i64,
    expired: bool,
}

impl Subscription {
    fn used(&self, account: &str) -> Use {
        (REGION.to_owned(), format!("acs:mssp:{REGION}:{account}:subscription/{}", self.id))
    }

    fn shown(&self) -> Value {
        let status = if self.expired { "Expired" } else { "Active" };
        json!({ "Feature": self.feature, "InstanceId": self.id, "Status": status })
    }
}

impl Api for Mss {
    const CODE: &'static str = "mssp";
    const VERSION: &'static str = "2016-12-28";

    fn on(&self, ask: &Ask) -> Result<Option<Vec<String>>, Fault> {
        let known = [
            "CreateServiceLinkedRole",
            "DescribeServiceLinkedRole",
            "Subscribe",
            "ModifySubscription",
            "DescribeSubscriptions",
            "RunInspection",
        ];
        Ok(known.contains(&ask.action.as_str()).then(|| vec!["*".to_owned()]))
    }

    async fn run(&self, call: &Call) -> Result<Value, Fault> {
        let account = call.account.as_str();
        match call.ask.action.as_str() {
            "CreateServiceLinkedRole" => {
                self.linked.enable(call, "mssp.aliyuncs.com").await?;
                Ok(json!({}))
            }
            "DescribeServiceLinkedRole" => {
                let granted = self.linked.is_there(account, "mssp.aliyuncs.com").await?;
                Ok(json!({ "EntityRoleGrant": granted }))
            }
            "Subscribe" => self.subscribe(call).await,
            "ModifySubscription" => {
                let found = self.active(call).await?;
                let changed = Subscription { ends_s: ends(&call.ask)?, ..found };
                self.disk.put(account, KIND, &changed.feature, &changed).await?;
                Ok(changed.shown())
            }
            "DescribeSubscriptions" => {
                let all: Vec<Subscription> = self.disk.all(account, KIND).await?;
                let rows: Vec<Value> = all.iter().map(Subscription::shown).collect();
                Ok(json!({ "Subscriptions": rows }))
            }
            _ => self.inspect(call).await,
        }
    }
}

impl Mss {
    /// Makes the uses of each role those that there are, as a start does after a crash.
    pub async fn settle(&self) -> Result<(), Fault> {
        for account in self.disk.accounts().await? {
            let all: Vec<Subscription> = self.disk.all(&account, KIND).await?;
            for (feature, principal) in FEATURES {
                let uses: Vec<Use> = all
                    .iter()
                    .filter(|found| found.feature == feature && !found.expired)
                    .map(|found| found.used(&account))
                    .collect();
                self.linked.told(&account, principal, &uses).await?;
            }
        }
        Ok(())
    }

    /// Ends what has expired, again and again.
    pub async fn watch(self: Arc<Self>) {
        loop {
            for account in self.disk.accounts().await.unwrap_or_default() {
                let _turn = self.disk.turn(&account).await;
                if let Err(fault) = self.expire(&account).await {
                    crate::log(&format!("{account}: {}: {}", fault.code, fault.message));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn expire(&self, account: &str) -> Result<(), Fault> {
        let all: Vec<Subscription> = self.disk.all(account, KIND).await?;
        for found in all.into_iter().filter(|found| !found.expired && found.ends_s <= rpc::now().1)
        {
            let expired = Subscription { expired: true, ..found };
            self.disk.put(account, KIND, &expired.feature, &expired).await?;
            let principal = principal(&expired.feature)?;
            self.linked.unused(account, principal, &expired.used(account)).await?;
        }
        Ok(())
    }

    async fn subscribe(&self, call: &Call) -> Result<Value, Fault> {
        let feature = call.ask.need("Feature")?;
        let principal = principal(feature)?;
        let there: Option<Subscription> = self.disk.find(&call.account, KIND, feature).await?;
        let made = match there {
            // Subscribed already: role and use are made sure of.
            Some(found) if !found.expired => found,
            _ => Subscription {
                feature: feature.to_owned(),
                id: rpc::new_id("mssp", REGION)?,
                ends_s: ends(&call.ask)?,
                expired: false,
            },
        };
        let coming = made.used(&call.account);
        self.linked.using(call, principal, std::slice::from_ref(&coming)).await?;
        self.disk.put(&call.account, KIND, feature, &made).await?;
        Ok(made.shown())
    }

    async fn active(&self, call: &Call) -> Result<Subscription, Fault> {
        let feature = call.ask.need("Feature")?;
        principal(feature)?;
        let found: Option<Subscription> = self.disk.find(&call.account, KIND, feature).await?;
        found.filter(|found| !found.expired).ok_or_else(|| {
            let text = format!(
                "There is no active subscription of {feature}: call Subscribe, as a user with \
                 ram:CreateServiceLinkedRole for its role."
            );
            Fault::new(403, "SubscriptionExpired", &text)
        })
    }

    /// Looks at the account's servers as the feature's role.
    async fn inspect(&self, call: &Call) -> Result<Value, Fault> {
        let found = self.active(call).await?;
        let principal = principal(&found.feature)?;
        let again = "Call Subscribe again";
        let role = self.linked.session(&call.account, principal, "mssp-inspection", again).await?;
        let of = [("RegionId", REGION)];
        let answer =
            rpc::call(&self.peers, "ecs", &role, "2014-05-26", "DescribeInstances", &of).await?;
        Ok(json!({ "InspectedInstances": answer.get("TotalCount") }))
    }
}

fn principal(feature: &str) -> Result<&'static str, Fault> {
    let found = FEATURES.iter().find(|(name, _)| *name == feature);
    found.map(|(_, principal)| *principal).ok_or_else(|| {
        let text = format!("expected the feature base or esa; found `{feature}`");
        Fault::new(400, "InvalidParameter.Feature", &text)
    })
}

/// When a subscription of the asked length ends.
fn ends(ask: &Ask) -> Result<i64, Fault> {
    let length: Option<u32> = ask.need("DurationSeconds")?.parse().ok();
    let length = length.ok_or_else(|| {
        let text = "expected a number of seconds in DurationSeconds";
        Fault::new(400, "InvalidParameter.DurationSeconds", text)
    })?;
    Ok(rpc::now().1.saturating_add(i64::from(length)))
}
