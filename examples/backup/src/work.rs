//! What the service does with its role: the orders of steps that keep role, uses and vaults
//! together whatever fails in between. Not here: who may ask for it (`api`).
//!
//! A use is registered before its vault is made and removed after it is gone. So a crash leaves at
//! most a use without a vault, and [`Work::settle_all`] removes it at the next start.

use crate::storage::Storage;
use crate::vaults::{Note, Vaults};
use sdk::http::Response;
use sdk::{Client, Error, Forwarded, Role, Service};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

/// The service's principal.
pub const PRINCIPAL: &str = "backup.example.com";
/// Seconds of a session; more than a run takes, and the least there is.
const SESSION_S: u32 = 900;
/// How often a step is repeated that another's change came between.
const TRIES: u32 = 5;

/// The service's hands: linkrole, the storage, the disk.
pub struct Work {
    /// Asks linkrole.
    pub service: Service,
    /// Reaches the storage; each session signs for itself.
    pub storage: Client,
    /// Keeps the vaults.
    pub vaults: Vaults,
    /// Where the vaults are.
    pub region: String,
}

/// Writes a line for the operator.
pub fn log(text: &str) {
    let _ = writeln!(io::stderr(), "example-backup: {text}");
}

impl Work {
    /// The name of a vault for everybody.
    pub fn arn(&self, account: &str, vault: &str) -> String {
        format!("arn:aws:backup:{}:{account}:vault/{vault}", self.region)
    }

    /// Makes a vault: the role first, in the caller's name, then the use, then the vault.
    ///
    /// Of a vault that is there, role and use are made sure of: this is how a tenant enables the
    /// service again. When the caller may not have the role made, nothing is left behind.
    pub async fn create(
        &self,
        caller: &Forwarded,
        account: &str,
        vault: &str,
    ) -> Result<Response, Error> {
        let there = self.disk(account, move |v, a, n| v.exists(a, n), vault).await?;
        let role = match self.enable(caller, account, vault).await {
            Ok(role) => role,
            Err(error) => {
                self.undo(account, vault, there).await;
                return Err(error);
            }
        };
        let created = match self.disk(account, |v, a, n| v.create(a, n), vault).await {
            Ok(created) => created,
            Err(error) => {
                self.undo(account, vault, there).await;
                return Err(error);
            }
        };
        let answer = json!({
            "vault": vault,
            "arn": self.arn(account, vault),
            "created": created,
            "role": role.arn,
            "role_created": role.created,
        });
        Ok(Response::json(200, &answer))
    }

    /// Makes sure of the role, and of the use of every vault and the coming one.
    async fn enable(&self, caller: &Forwarded, account: &str, vault: &str) -> Result<Role, Error> {
        let mut tries = TRIES;
        let mut made = false;
        loop {
            let role = self.service.ensure(caller, PRINCIPAL, None).await?;
            made |= role.created;
            let known = self.noted(account).await?;
            let is_new = known.as_ref().is_none_or(|note| note.id != role.id);
            if is_new {
                // Before the use, so that a start after a crash looks for it in this account.
                let note = Note::from(&role);
                self.disk(account, move |v, a, _| v.set_role(a, &note), "").await?;
            }
            match self.register(account, &role, vault, is_new).await {
                Ok(()) => return Ok(Role { created: made, ..role }),
                // The role went between the two steps: a deletion under way was faster.
                Err(error) if error.is("NoSuchEntity") && tries > 0 => {
                    tries = tries.saturating_sub(1);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn register(
        &self,
        account: &str,
        role: &Role,
        vault: &str,
        is_new: bool,
    ) -> Result<(), Error> {
        let mut names = BTreeSet::from([vault.to_owned()]);
        if is_new {
            // Uses hang on the role's id; those of a role that is gone went with it.
            names.extend(self.names(account).await?);
        }
        for name in names {
            let arn = self.arn(account, &name);
            self.service.register_usage(account, &role.id, &self.region, &arn).await?;
        }
        Ok(())
    }

    /// Takes back the use of a vault that was not made, as far as that is possible now; the next
    /// start does the rest.
    async fn undo(&self, account: &str, vault: &str, there: bool) {
        if there {
            return;
        }
        let arn = self.arn(account, vault);
        if let Ok(Some(note)) = self.noted(account).await {
            let undone = self.service.deregister_usage(account, &note.id, &self.region, &arn).await;
            if let Err(error) = undone.map(|change| change.changed).or_else(unless_gone) {
                log(&format!("the use of {arn} may be left until the next start: {error}"));
            }
        } else {
            let forgotten = self.disk(account, |v, a, _| v.forget(a), "").await;
            if let Err(error) = forgotten {
                log(&format!("account {account}: {error}"));
            }
        }
    }

    /// Removes a vault, then its use, and with the last vault ends the role's sessions, so that
    /// the tenant can delete the role at once.
    pub async fn delete(&self, account: &str, vault: &str) -> Result<Response, Error> {
        let removed = self.disk(account, |v, a, n| v.delete(a, n), vault).await?;
        let mut deregistered = false;
        let mut released = false;
        if let Some(note) = self.noted(account).await? {
            let arn = self.arn(account, vault);
            let change = self.service.deregister_usage(account, &note.id, &self.region, &arn).await;
            deregistered = change.map(|change| change.changed).or_else(unless_gone)?;
            released = self.let_go(account, &note).await?;
        }
        if !removed && !deregistered {
            return Ok(no_vault(vault));
        }
        Ok(Response::json(200, &json!({ "vault": vault, "sessions_released": released })))
    }

    /// When an account has no vault and its role no use: ends the role's sessions, and forgets.
    async fn let_go(&self, account: &str, note: &Note) -> Result<bool, Error> {
        if !self.names(account).await?.is_empty() {
            return Ok(false);
        }
        let released = match self.service.list_usage(account, &note.id).await {
            // Another region of this service still works with the role.
            Ok(list) if !list.usages.is_empty() => false,
            Ok(_) => {
                let released = self.service.release_sessions(account, &note.id).await;
                released.map(|()| true).or_else(unless_gone)?
            }
            Err(error) => unless_gone(error)?,
        };
        self.disk(account, |v, a, _| v.forget(a), "").await?;
        Ok(released)
    }

    /// Copies every object of the account into a vault, with a session of the role.
    pub async fn run(&self, account: &str, vault: &str) -> Result<Response, Error> {
        if !self.disk(account, |v, a, n| v.exists(a, n), vault).await? {
            return Ok(no_vault(vault));
        }
        let storage = match self.session(account, vault).await? {
            Ok(storage) => storage,
            Err(missing) => return Ok(missing),
        };
        let keys = match storage.list().await {
            Ok(keys) => keys,
            Err(error) => return Ok(of_storage(&error)),
        };
        let mut copied = 0_u64;
        for key in keys {
            match storage.get(&key).await {
                Ok(Some(bytes)) => {
                    self.disk(account, move |v, a, n| v.copy(a, n, &key, &bytes), vault).await?;
                    copied = copied.saturating_add(1);
                }
                Ok(None) => {}
                Err(error) => return Ok(of_storage(&error)),
            }
        }
        Ok(Response::json(200, &json!({ "vault": vault, "copied": copied })))
    }

    /// Tries on purpose what the role's policy does not allow, and answers what the storage said.
    pub async fn prune(&self, account: &str, vault: &str) -> Result<Response, Error> {
        if !self.disk(account, |v, a, n| v.exists(a, n), vault).await? {
            return Ok(no_vault(vault));
        }
        let storage = match self.session(account, vault).await? {
            Ok(storage) => storage,
            Err(missing) => return Ok(missing),
        };
        let keys = match storage.list().await {
            Ok(keys) => keys,
            Err(error) => return Ok(of_storage(&error)),
        };
        // Without objects any key does: the refusal comes before the look.
        let key = keys.into_iter().next().unwrap_or_else(|| "none".to_owned());
        let said = match storage.try_delete(&key).await {
            Ok(answer) => answer,
            Err(error) => return Ok(of_storage(&error)),
        };
        let (status, error) = (said.status, said.success().err());
        let refusal = error.as_ref().and_then(Error::refusal);
        let answer = json!({
            "vault": vault,
            "object": key,
            "storage": {
                "status": status,
                "code": refusal.map(|r| r.code.as_str()),
                "message": refusal.map(|r| r.message.as_str()),
            },
        });
        Ok(Response::json(200, &answer))
    }

    /// The storage, called with a session of the account's role; or the answer to a caller whose
    /// account has the role no more.
    async fn session(
        &self,
        account: &str,
        vault: &str,
    ) -> Result<Result<Storage, Response>, Error> {
        let Some(note) = self.noted(account).await? else {
            return Ok(Err(no_role("of this service", account, vault)));
        };
        match self.service.assume_role(&note.arn, "backup-run", SESSION_S).await {
            Ok(session) => Ok(Ok(Storage(self.storage.with(session)))),
            // STS says the same to a missing role and a refused one; the list of uses does not.
            Err(error) if error.is("AccessDenied") => {
                match self.service.list_usage(account, &note.id).await {
                    Err(why) if why.is("NoSuchEntity") => {
                        Ok(Err(no_role(&note.name, account, vault)))
                    }
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Tells linkrole of every account which vaults there are.
    ///
    /// Errors: the first that is not of a role that is gone.
    pub async fn settle_all(&self) -> Result<(), Error> {
        for account in self.disk("", |v, _, _| v.accounts(), "").await? {
            self.settle(&account).await?;
        }
        Ok(())
    }

    async fn settle(&self, account: &str) -> Result<(), Error> {
        let names = self.names(account).await?;
        let Some(note) = self.noted(account).await? else {
            if names.is_empty() {
                self.disk(account, |v, a, _| v.forget(a), "").await?;
            }
            return Ok(());
        };
        let resources: BTreeSet<String> = names.iter().map(|n| self.arn(account, n)).collect();
        let mut tries = TRIES;
        loop {
            match self.settle_once(account, &note, &resources).await {
                Ok(()) => break,
                Err(error) if error.is("ConcurrentModification") && tries > 0 => {
                    tries = tries.saturating_sub(1);
                }
                Err(error) if error.is("NoSuchEntity") => {
                    if !names.is_empty() {
                        log(&format!("{} is gone; the vaults of {account} rest", note.name));
                    }
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        self.let_go(account, &note).await.map(|_| ())
    }

    async fn settle_once(
        &self,
        account: &str,
        note: &Note,
        resources: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let list = self.service.list_usage(account, &note.id).await?;
        if list.resources(&self.region) == *resources {
            return Ok(());
        }
        let version = list.version(&self.region);
        let told =
            self.service.reconcile_usage(account, &note.id, &self.region, version, resources);
        told.await.map(|_| ())
    }

    async fn noted(&self, account: &str) -> Result<Option<Note>, Error> {
        self.disk(account, |v, a, _| v.role(a), "").await
    }

    async fn names(&self, account: &str) -> Result<Vec<String>, Error> {
        self.disk(account, |v, a, _| v.list(a), "").await
    }

    /// The vaults of an account with the number of their copies.
    pub async fn list(&self, account: &str) -> Result<Response, Error> {
        let mut shown = Vec::new();
        for name in self.names(account).await? {
            let copies = self.disk(account, |v, a, n| v.copies(a, n), &name).await?.len();
            shown.push(json!({
                "name": name, "arn": self.arn(account, &name), "objects": copies,
            }));
        }
        Ok(Response::json(200, &json!({ "vaults": shown })))
    }

    /// Does something on the disk, for an account and a vault, where blocking hurts nobody.
    async fn disk<T: Send + 'static>(
        &self,
        account: &str,
        act: impl FnOnce(&Vaults, &str, &str) -> io::Result<T> + Send + 'static,
        vault: &str,
    ) -> Result<T, Error> {
        let (vaults, account, vault) = (self.vaults.clone(), account.to_owned(), vault.to_owned());
        let done = tokio::task::spawn_blocking(move || act(&vaults, &account, &vault)).await;
        done.map_err(io::Error::other)
            .and_then(|done| done)
            .map_err(|e| Error::file(Path::new("the vaults"), &e))
    }
}

/// A role that is gone has no uses and no sessions: what was wanted is so, and nothing changed.
fn unless_gone(error: Error) -> Result<bool, Error> {
    if error.is("NoSuchEntity") { Ok(false) } else { Err(error) }
}

fn no_vault(vault: &str) -> Response {
    Response::error(404, "NoSuchVault", &format!("expected a vault named {vault}; found none"))
}

fn no_role(role: &str, account: &str, vault: &str) -> Response {
    let text = format!(
        "The service-linked role {role} is not in account {account}, so Example Backup cannot read \
         its storage. Create a vault again (POST /vaults/{vault} will do) to have the role made; \
         who does so needs iam:CreateServiceLinkedRole for {PRINCIPAL}."
    );
    Response::error(409, "ServiceLinkedRoleMissing", &text)
}

/// The answer when the storage did not do what a run needs.
fn of_storage(error: &Error) -> Response {
    match error.refusal() {
        Some(refusal) if refusal.status < 500 => {
            Response::error(502, "StorageRefused", &format!("The storage answered {refusal}"))
        }
        _ => {
            let text = format!("The storage cannot be reached now; try again. {error}");
            Response::error(503, "StorageUnavailable", &text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdk::Refusal;

    fn refused(status: u16, code: &str) -> Error {
        Error::Refused(Box::new(Refusal {
            status,
            code: code.to_owned(),
            message: "no".to_owned(),
            request_id: None,
        }))
    }

    #[test]
    fn a_role_that_is_gone_has_nothing_to_take_back() {
        assert_eq!(unless_gone(refused(404, "NoSuchEntity")), Ok(false));
        assert!(unless_gone(refused(403, "AccessDenied")).is_err());
    }

    #[test]
    fn what_the_storage_says_is_told() {
        assert_eq!(of_storage(&refused(403, "AccessDenied")).status, 502);
        assert_eq!(of_storage(&refused(503, "ServiceUnavailable")).status, 503);
        let away = Error::Unreachable { place: "http://a".to_owned(), why: "refused".to_owned() };
        assert_eq!(of_storage(&away).status, 503);
    }

    #[test]
    fn a_missing_role_is_named_with_the_way_back() {
        let answer = no_role("AWSServiceRoleForExampleBackup", "123456789012", "daily");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 409);
        assert!(text.contains("AWSServiceRoleForExampleBackup"), "{text}");
        assert!(text.contains("POST /vaults/daily"), "{text}");
    }
}
