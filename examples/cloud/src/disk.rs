//! What a service keeps: one JSON file for each thing of an account, `DATA/accounts/ACCOUNT/KIND/ID`.
//!
//! After a crash each file is whole, the old one or the new. Not here: what is in them.

use crate::rpc::Fault;
use sdk::files;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// The data of one service; its clones are the same disk.
#[derive(Clone)]
pub struct Disk {
    accounts: PathBuf,
    turns: Arc<Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>>,
}

impl Disk {
    /// Opens the folder, and removes what a crash left unfinished.
    pub fn open(data: &Path) -> io::Result<Self> {
        let accounts = data.join("accounts");
        files::make_dir(&accounts)?;
        files::sweep(data)?;
        Ok(Self { accounts, turns: Arc::default() })
    }

    /// Waits until nobody else works on an account: no two steps on one thing cross.
    pub async fn turn(&self, account: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(account.to_owned()).or_default().clone()
        };
        turn.lock_owned().await
    }

    /// The accounts that have, or had, something here.
    pub async fn accounts(&self) -> Result<Vec<String>, Fault> {
        self.act(|disk| files::list(&disk.accounts)).await
    }

    /// Keeps a thing, on the disk when this returns.
    pub async fn put<T: Serialize>(
        &self,
        account: &str,
        kind: &str,
        id: &str,
        thing: &T,
    ) -> Result<(), Fault> {
        let bytes = serde_json::to_vec(thing).map_err(|e| Fault::internal(&e))?;
        let (folder, path) = self.paths(account, kind, id)?;
        self.act(move |_| {
            files::make_dir(&folder)?;
            files::write(&path, &bytes)
        })
        .await
    }

    /// Reads a thing; `None` when there is none.
    pub async fn find<T: DeserializeOwned>(
        &self,
        account: &str,
        kind: &str,
        id: &str,
    ) -> Result<Option<T>, Fault> {
        let (_, path) = self.paths(account, kind, id)?;
        let bytes = self.act(move |_| files::read(&path)).await?;
        let read = bytes.map(|bytes| serde_json::from_slice(&bytes));
        read.transpose().map_err(|e| Fault::internal(&e))
    }

    /// Removes a thing; answers whether it was there.
    pub async fn remove(&self, account: &str, kind: &str, id: &str) -> Result<bool, Fault> {
        let (_, path) = self.paths(account, kind, id)?;
        self.act(move |_| files::remove(&path)).await
    }

    /// All things of a kind, in the order of their ids.
    pub async fn all<T: DeserializeOwned>(
        &self,
        account: &str,
        kind: &str,
    ) -> Result<Vec<T>, Fault> {
        let (folder, _) = self.paths(account, kind, "all")?;
        let mut things = Vec::new();
        for id in self.act(move |_| files::list(&folder)).await? {
            things.extend(self.find(account, kind, &id).await?);
        }
        Ok(things)
    }

    fn paths(&self, account: &str, kind: &str, id: &str) -> Result<(PathBuf, PathBuf), Fault> {
        let named = |text: &str| {
            files::name_of(text).ok_or_else(|| {
                Fault::new(400, "InvalidParameter", "A name is too long to be kept.")
            })
        };
        let folder = self.accounts.join(named(account)?).join(kind);
        let path = folder.join(named(id)?);
        Ok((folder, path))
    }

    /// Works on the disk where blocking hurts nobody.
    async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let disk = self.clone();
        let done = tokio::task::spawn_blocking(move || act(&disk)).await;
        done.map_err(io::Error::other).and_then(|done| done).map_err(|e| Fault::internal(&e))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    #[tokio::test]
    async fn a_thing_is_there_after_a_start_and_gone_after_its_removal() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        disk.put("1000000000000001", "secrets", "a/../b", &"one").await.unwrap();
        disk.put("1000000000000001", "secrets", "c", &"two").await.unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        assert_eq!(disk.accounts().await.unwrap(), ["1000000000000001"]);
        let all: Vec<String> = disk.all("1000000000000001", "secrets").await.unwrap();
        assert_eq!(all, ["one", "two"]);
        assert_eq!(disk.find::<String>("2", "secrets", "c").await.unwrap(), None);
        assert!(disk.remove("1000000000000001", "secrets", "c").await.unwrap());
        assert!(!disk.remove("1000000000000001", "secrets", "c").await.unwrap());
        assert_eq!(disk.find::<String>("1000000000000001", "secrets", "c").await.unwrap(), None);
    }
}
