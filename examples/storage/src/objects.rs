//! The objects on disk: `DATA/objects/ACCOUNT/KEY`, each a file, names encoded. Every call blocks;
//! nothing here knows who may.

use sdk::files;
use std::io;
use std::path::{Path, PathBuf};

/// Characters of a key.
const KEY_MAX: usize = 200;

/// The objects of all accounts.
#[derive(Clone, Debug)]
pub struct Objects {
    dir: PathBuf,
}

/// Whether a text can be a key: 1 to 200 letters, digits and `-_.=+@,:/~`, and of a length that a
/// file name takes; not `.` or `..`, which are steps in a path. No wildcard, so that the name of one
/// object never stands for others.
pub fn is_key(text: &str) -> bool {
    text.len() <= KEY_MAX
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.=+@,:/~".contains(&b))
        && !matches!(text, "." | "..")
        && files::name_of(text).is_some()
}

impl Objects {
    /// Opens the directory, and removes what a crash left unfinished.
    pub fn open(data: &Path) -> io::Result<Self> {
        let dir = data.join("objects");
        files::make_dir(&dir)?;
        files::sweep(data)?;
        Ok(Self { dir })
    }

    /// Stores an object; what was there before is replaced whole.
    pub fn put(&self, account: &str, key: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(account, key)?;
        files::make_dir(&self.account(account)?)?;
        files::write(&path, bytes)
    }

    /// Reads an object; `None` when there is none.
    pub fn get(&self, account: &str, key: &str) -> io::Result<Option<Vec<u8>>> {
        files::read(&self.path(account, key)?)
    }

    /// Removes an object; answers whether it was there.
    pub fn delete(&self, account: &str, key: &str) -> io::Result<bool> {
        files::remove(&self.path(account, key)?)
    }

    /// The keys of an account, sorted.
    pub fn list(&self, account: &str) -> io::Result<Vec<String>> {
        files::list(&self.account(account)?)
    }

    fn account(&self, account: &str) -> io::Result<PathBuf> {
        Ok(self.dir.join(encoded(account)?))
    }

    fn path(&self, account: &str, key: &str) -> io::Result<PathBuf> {
        Ok(self.account(account)?.join(encoded(key)?))
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

    #[test]
    fn objects_belong_to_one_account_and_survive_a_start() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path()).unwrap();
        objects.put("111111111111", "a/../b", b"one").unwrap();
        objects.put("111111111111", "a", b"two").unwrap();
        let objects = Objects::open(dir.path()).unwrap();
        assert_eq!(objects.list("111111111111").unwrap(), ["a", "a/../b"]);
        assert_eq!(objects.get("111111111111", "a/../b").unwrap().unwrap(), b"one");
        assert_eq!(objects.get("222222222222", "a").unwrap(), None);
        assert!(objects.list("222222222222").unwrap().is_empty());
        assert!(!objects.delete("222222222222", "a").unwrap());
        assert!(objects.delete("111111111111", "a").unwrap());
        assert_eq!(objects.list("111111111111").unwrap(), ["a/../b"]);
    }

    #[test]
    fn keys_are_plain() {
        for good in ["a", "a/b.txt", "2026-03-14T15:09", "a=b,c@d~"] {
            assert!(is_key(good), "{good}");
        }
        for bad in ["", ".", "..", "*", "a?", "a b", "ü", "a%", "${x}", "a\n"] {
            assert!(!is_key(bad), "{bad}");
        }
        assert!(is_key(&"a".repeat(200)));
        assert!(!is_key(&"a".repeat(201)));
        // Short enough as a key, too long as a file name.
        assert!(!is_key(&"/".repeat(100)));
    }
}
