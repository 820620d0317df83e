//! The vaults on disk, and the role that each account's vaults use. Every call blocks; nothing
//! here knows who may, or calls anybody.
//!
//! `DATA/accounts/ACCOUNT/role.json` is written before the account's first use is registered, so
//! that a start knows every account that may have one; `…/vaults/NAME/KEY` are the copies.

use sdk::{Role, files};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The service's role in an account, as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its name for everybody.
    pub arn: String,
    /// Its name in its account.
    pub name: String,
    /// Its unique id; a role made again has another.
    pub id: String,
}

impl From<&Role> for Note {
    fn from(role: &Role) -> Self {
        Self { arn: role.arn.clone(), name: role.name.clone(), id: role.id.clone() }
    }
}

/// The vaults of all accounts.
#[derive(Clone, Debug)]
pub struct Vaults {
    accounts: PathBuf,
    trash: PathBuf,
}

impl Vaults {
    /// Opens the directory, and removes what a crash left unfinished.
    pub fn open(data: &Path) -> io::Result<Self> {
        let (accounts, trash) = (data.join("accounts"), data.join("trash"));
        files::make_dir(&accounts)?;
        if trash.exists() {
            fs::remove_dir_all(&trash)?;
        }
        files::sweep(data)?;
        Ok(Self { accounts, trash })
    }

    /// The accounts that have, or may have had, a vault.
    pub fn accounts(&self) -> io::Result<Vec<String>> {
        files::list(&self.accounts)
    }

    /// The role of an account's vaults.
    pub fn role(&self, account: &str) -> io::Result<Option<Note>> {
        match files::read(&self.account(account)?.join("role.json"))? {
            Some(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            None => Ok(None),
        }
    }

    /// Notes the role of an account's vaults.
    pub fn set_role(&self, account: &str, note: &Note) -> io::Result<()> {
        let dir = self.account(account)?;
        files::make_dir(&dir)?;
        files::write(&dir.join("role.json"), &serde_json::to_vec(note)?)
    }

    /// The names of an account's vaults, sorted.
    pub fn list(&self, account: &str) -> io::Result<Vec<String>> {
        files::list(&self.account(account)?.join("vaults"))
    }

    /// Whether there is such a vault.
    pub fn exists(&self, account: &str, vault: &str) -> io::Result<bool> {
        Ok(self.vault(account, vault)?.is_dir())
    }

    /// Makes a vault; answers whether it was missing.
    pub fn create(&self, account: &str, vault: &str) -> io::Result<bool> {
        files::make_dir(&self.vault(account, vault)?)
    }

    /// Removes a vault with all its copies; answers whether it was there.
    pub fn delete(&self, account: &str, vault: &str) -> io::Result<bool> {
        files::remove_dir(&self.vault(account, vault)?, &self.trash)
    }

    /// Forgets an account that has no vaults; of one that has, nothing happens.
    pub fn forget(&self, account: &str) -> io::Result<()> {
        if !self.list(account)?.is_empty() {
            return Ok(());
        }
        files::remove_dir(&self.account(account)?, &self.trash).map(|_| ())
    }

    /// Writes the copy of an object into a vault.
    pub fn copy(&self, account: &str, vault: &str, key: &str, bytes: &[u8]) -> io::Result<()> {
        files::write(&self.vault(account, vault)?.join(encoded(key)?), bytes)
    }

    /// The keys whose copies a vault has, sorted.
    pub fn copies(&self, account: &str, vault: &str) -> io::Result<Vec<String>> {
        files::list(&self.vault(account, vault)?)
    }

    fn account(&self, account: &str) -> io::Result<PathBuf> {
        Ok(self.accounts.join(encoded(account)?))
    }

    fn vault(&self, account: &str, vault: &str) -> io::Result<PathBuf> {
        Ok(self.account(account)?.join("vaults").join(encoded(vault)?))
    }
}

fn encoded(text: &str) -> io::Result<String> {
    files::name_of(text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no file name holds this text"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    const ACCOUNT: &str = "123456789012";

    #[test]
    fn a_vault_is_made_filled_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let vaults = Vaults::open(dir.path()).unwrap();
        assert!(vaults.create(ACCOUNT, "daily").unwrap());
        assert!(!vaults.create(ACCOUNT, "daily").unwrap());
        vaults.copy(ACCOUNT, "daily", "a/../b", b"data").unwrap();
        assert_eq!(vaults.copies(ACCOUNT, "daily").unwrap(), ["a/../b"]);
        assert_eq!(vaults.list(ACCOUNT).unwrap(), ["daily"]);
        assert!(vaults.delete(ACCOUNT, "daily").unwrap());
        assert!(!vaults.delete(ACCOUNT, "daily").unwrap());
        assert!(!vaults.exists(ACCOUNT, "daily").unwrap());
        // A vault that is gone takes no copies.
        assert!(vaults.copy(ACCOUNT, "daily", "a", b"data").is_err());
    }

    #[test]
    fn an_account_is_known_from_its_first_note_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let vaults = Vaults::open(dir.path()).unwrap();
        let note = Note { arn: "arn".to_owned(), name: "name".to_owned(), id: "id".to_owned() };
        assert_eq!(vaults.role(ACCOUNT).unwrap(), None);
        vaults.set_role(ACCOUNT, &note).unwrap();
        let vaults = Vaults::open(dir.path()).unwrap();
        assert_eq!(vaults.accounts().unwrap(), [ACCOUNT]);
        assert_eq!(vaults.role(ACCOUNT).unwrap(), Some(note));
        assert!(vaults.list(ACCOUNT).unwrap().is_empty());
        vaults.create(ACCOUNT, "daily").unwrap();
        vaults.forget(ACCOUNT).unwrap();
        assert_eq!(vaults.accounts().unwrap(), [ACCOUNT]);
        vaults.delete(ACCOUNT, "daily").unwrap();
        vaults.forget(ACCOUNT).unwrap();
        assert!(vaults.accounts().unwrap().is_empty());
    }
}
