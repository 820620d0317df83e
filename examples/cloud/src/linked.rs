//! What a service does about its service-linked roles: has them made in a caller's name, notes them,
//! and works with them. Not here: what it works on.

use crate::disk::Disk;
use crate::rpc::{self, Call, Fault, REGIONS};
use sdk::{Credentials, Error, Role, Service};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Seconds of a session; the least there is.
const SESSION_S: u32 = 900;
/// How long a session is worked with.
const SESSION_USED_S: i64 = 600;
/// The folder of the noted roles, by principal.
const ROLES: &str = "roles";

/// The present session of each role, by the role's id and the session's name, and since when.
type Sessions = BTreeMap<(String, String), (Credentials, i64)>;

/// Where a role is used, and by which resource.
pub type Use = (String, String);

/// How often a step is repeated that another's change came between.
const TRIES: u32 = 5;

/// A role of the service in an account, as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its name for everybody; empty as long as it is not known whether there is one.
    pub arn: String,
    /// Its name in its account.
    pub name: String,
    /// Its unique id; a role made again has another.
    pub id: String,
}

impl From<Role> for Note {
    fn from(Role { arn, name, id, .. }: Role) -> Self {
        Self { arn, name, id }
    }
}

/// The service, as it deals with its roles.
#[derive(Clone)]
pub struct Linked {
    service: Arc<Service>,
    disk: Disk,
    /// The name of each role, by its principal.
    names: Arc<BTreeMap<String, String>>,
    sessions: Arc<Mutex<Sessions>>,
}

impl Linked {
    /// For one service, which notes the roles of its manifest on this disk.
    pub fn new(service: Arc<Service>, disk: Disk, manifest: &Value) -> Self {
        let roles = manifest.get("role").and_then(Value::as_array);
        let text = |role: &Value, name: &str| role.get(name)?.as_str().map(str::to_owned);
        let named = |role: &Value| {
            let name = format!("AliyunServiceRoleFor{}", text(role, "name")?);
            Some((text(role, "principal")?, name))
        };
        let names = Arc::new(roles.into_iter().flatten().filter_map(named).collect());
        Self { service, disk, names, sessions: Arc::default() }
    }

    /// Has a role made in the caller's name, unless it is there, and notes it.
    ///
    /// Errors: the caller may not have it made; then nothing is.
    pub async fn enable(&self, call: &Call, principal: &str) -> Result<Note, Fault> {
        let account = call.account.as_str();
        // Before the role is made, so that a start after a crash looks for it.
        let is_new = self.noted(account, principal).await?.is_none();
        if is_new {
            let name = self.names.get(principal).cloned().unwrap_or_default();
            let note = Note { arn: String::new(), name, id: String::new() };
            self.disk.put(account, ROLES, principal, &note).await?;
        }
        match self.service.ensure(&call.caller, principal, None).await {
            Ok(role) => {
                let note = Note::from(role);
                self.disk.put(account, ROLES, principal, &note).await?;
                Ok(note)
            }
            Err(error) => {
                if is_new && error.is("AccessDenied") {
                    self.disk.remove(account, ROLES, principal).await?;
                }
                Err(not_made(error, principal))
            }
        }
    }

    /// Has a role made unless it is there, and tells of its uses before they begin; the last of them
    /// is the coming one.
    ///
    /// Errors: as [`Linked::enable`]; no use is left then but those of what is there.
    pub async fn using(&self, call: &Call, principal: &str, uses: &[Use]) -> Result<Note, Fault> {
        let mut tries = TRIES;
        loop {
            let note = self.enable(call, principal).await?;
            match self.register(&call.account, &note, uses).await {
                Ok(()) => return Ok(note),
                // The role went between the two steps: a deletion under way was faster.
                Err(error) if error.is("NoSuchEntity") && tries > 0 => {
                    tries = tries.saturating_sub(1);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn register(&self, account: &str, note: &Note, uses: &[Use]) -> Result<(), Error> {
        for (region, name) in uses {
            self.service.register_usage(account, &note.id, region, name).await?;
        }
        Ok(())
    }

    /// Tells that a use has ended, after its resource is gone. With the last one the role goes, if
    /// its manifest says so.
    pub async fn unused(&self, account: &str, principal: &str, gone: &Use) -> Result<(), Fault> {
        let Some(note) = self.noted(account, principal).await? else { return Ok(()) };
        let (region, name) = gone;
        match self.service.deregister_usage(account, &note.id, region, name).await {
            Ok(_) => self.let_go(account, &note).await,
            Err(error) if error.is("NoSuchEntity") => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the sessions of a role that nothing uses, so that they do not stand in the way of its
    /// deletion.
    async fn let_go(&self, account: &str, note: &Note) -> Result<(), Fault> {
        let ended = match self.service.list_usage(account, &note.id).await {
            Ok(list) if list.usages.is_empty() => {
                self.sessions().retain(|(role, _), _| *role != note.id);
                self.service.release_sessions(account, &note.id).await
            }
            list => list.map(drop),
        };
        match ended {
            Err(error) if !error.is("NoSuchEntity") => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// As [`Linked::told`], for a role that goes by itself: one that was made and never used goes too.
    pub async fn settle(&self, account: &str, principal: &str, uses: &[Use]) -> Result<(), Fault> {
        if self.told(account, principal, uses).await? && uses.is_empty() {
            return self.retire(account, principal).await;
        }
        Ok(())
    }

    /// Makes the registered uses of a role those that there are, as a start does after a crash;
    /// answers whether the role is there.
    pub async fn told(&self, account: &str, principal: &str, uses: &[Use]) -> Result<bool, Fault> {
        let Some(note) = self.noted(account, principal).await? else { return Ok(false) };
        // By its name: what a crash cut off may have been the making of another.
        let list = match self.service.list_usage(account, &note.name).await {
            Err(error) if error.is("NoSuchEntity") => {
                if !uses.is_empty() {
                    crate::log(&format!("{} is gone; what needs it in {account} rests", note.name));
                }
                return Ok(false);
            }
            list => list?,
        };
        let note = Note::from(list.role.clone());
        self.disk.put(account, ROLES, principal, &note).await?;
        for region in REGIONS {
            let here = uses.iter().filter(|(of, _)| of == region).map(|(_, name)| name.clone());
            let here: BTreeSet<String> = here.collect();
            if list.resources(region) != here {
                let version = list.version(region);
                let told =
                    self.service.reconcile_usage(account, &note.id, region, version, &here).await;
                // The role may have gone with the last use of the region before.
                match told {
                    Err(error) if !error.is("NoSuchEntity") => return Err(error.into()),
                    _ => {}
                }
            }
        }
        if uses.is_empty() {
            self.let_go(account, &note).await?;
        }
        Ok(true)
    }

    /// Whether the noted role of an account is still there.
    pub async fn is_there(&self, account: &str, principal: &str) -> Result<bool, Fault> {
        let Some(note) = self.noted(account, principal).await? else { return Ok(false) };
        match self.service.list_usage(account, &note.name).await {
            Err(error) if error.is("NoSuchEntity") => Ok(false),
            list => Ok(list.map(|_| true)?),
        }
    }

    /// The role of an account, if there was one.
    pub async fn noted(&self, account: &str, principal: &str) -> Result<Option<Note>, Fault> {
        self.disk.find(account, ROLES, principal).await
    }

    /// What to sign with in the role's name.
    ///
    /// Errors: the role is not there; `again` tells how to have it made.
    pub async fn session(
        &self,
        account: &str,
        principal: &str,
        session_name: &str,
        again: &str,
    ) -> Result<Credentials, Fault> {
        let missing = |name: &str| {
            let text = format!(
                "The service-linked role {name} of {principal} does not exist in account {account}. \
                 {again}, as a user with ram:CreateServiceLinkedRole for it."
            );
            Fault::new(404, "EntityNotExist.Role", &text)
        };
        let noted = self.noted(account, principal).await?;
        let Some(note) = noted.filter(|note| !note.arn.is_empty()) else {
            return Err(missing(self.names.get(principal).map_or("", String::as_str)));
        };
        let key = (note.id.clone(), session_name.to_owned());
        if let Some((session, since)) = self.sessions().get(&key)
            && rpc::now().1.saturating_sub(*since) < SESSION_USED_S
        {
            return Ok(session.clone());
        }
        match self.service.assume_role(&note.arn, session_name, SESSION_S).await {
            Ok(session) => {
                self.sessions().insert(key, (session.clone(), rpc::now().1));
                Ok(session)
            }
            // STS says the same to a missing role and a refused one; the list of uses does not.
            Err(error) if error.is("NoPermission") || error.is("EntityNotExist.Role") => {
                match self.service.list_usage(account, &note.id).await {
                    Err(why) if why.is("NoSuchEntity") => Err(missing(&note.name)),
                    _ => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a role go whose feature is switched off, and forgets it. One that is gone already is
    /// only forgotten.
    pub async fn retire(&self, account: &str, principal: &str) -> Result<(), Fault> {
        let Some(note) = self.noted(account, principal).await? else { return Ok(()) };
        self.sessions().retain(|(role, _), _| *role != note.id);
        match self.service.retire(account, &note.name).await {
            Ok(_) => {}
            Err(error) if error.is("NoSuchEntity") => {}
            Err(error) => return Err(error.into()),
        }
        self.disk.remove(account, ROLES, principal).await.map(drop)
    }
}

/// The refusal of a role's making, in the vendor's words.
fn not_made(error: Error, principal: &str) -> Fault {
    if error.is("AccessDenied") {
        let why = error.refusal().map(|refusal| refusal.message.as_str()).unwrap_or_default();
        let text = format!(
            "You are not authorized to do ram:CreateServiceLinkedRole action, which this needs for \
             {principal}. {why}"
        );
        return Fault::new(403, "NoPermission.RAM.SlrCreate", &text);
    }
    error.into()
}
