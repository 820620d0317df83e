//! What a service does about its service-linked roles: has them made in a caller's name, notes them,
//! and works with them. Not here: what it works on.

use crate::disk::Disk;
use crate::rpc::{self, Call, Fault, REGIONS};
use sdk::{Credentials, Error, Role, Service};
use serde::{Deserialize, Serialize};
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
    /// Its name for everybody.
    pub arn: String,
    /// Its name in its account.
    pub name: String,
    /// Its unique id; a role made again has another.
    pub id: String,
    /// The principal in its trust.
    pub principal: String,
}

/// The service, as it deals with its roles.
#[derive(Clone)]
pub struct Linked {
    service: Arc<Service>,
    disk: Disk,
    sessions: Arc<Mutex<Sessions>>,
}

impl Linked {
    /// For one service, which notes its roles on this disk.
    pub fn new(service: Arc<Service>, disk: Disk) -> Self {
        Self { service, disk, sessions: Arc::default() }
    }

    /// Has a role made in the caller's name, unless it is there, and notes it.
    ///
    /// Errors: the caller may not have it made; then nothing is.
    pub async fn enable(&self, call: &Call, principal: &str) -> Result<Note, Fault> {
        let role = self.service.ensure(&call.caller, principal, None).await;
        let Role { arn, name, id, .. } = role.map_err(|error| not_made(error, principal))?;
        let note = Note { arn, name, id, principal: principal.to_owned() };
        self.disk.put(&call.account, ROLES, principal, &note).await?;
        Ok(note)
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
        let list = match self.service.list_usage(account, &note.id).await {
            Err(error) if error.is("NoSuchEntity") => {
                if !uses.is_empty() {
                    crate::log(&format!("{} is gone; what needs it in {account} rests", note.name));
                }
                return Ok(false);
            }
            list => list?,
        };
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
        match self.service.list_usage(account, &note.id).await {
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
        let Some(note) = self.noted(account, principal).await? else {
            return Err(missing(""));
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
        match self.service.retire(account, &note.id).await {
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
