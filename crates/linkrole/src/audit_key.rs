//! The key that signs what is said of the trail, in the data directory. It is good for nothing else.
//!
//! Whoever has a key has signed with it: the first checkpoint is on the disk before the key is. So an audit key without
//! checkpoints is never what a crash left, and a server does not begin anew under it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::path::Path;
use zeroize::Zeroizing;

/// The seed of the signing key, in the data directory.
pub const KEY_FILE: &str = "audit-key";
const KEY_HEADER: &str = "linkrole-audit-key/1\n";
/// The public key, beside it: for whoever verifies.
pub const PUBLIC_FILE: &str = "audit-key.pub";

/// The key that signs checkpoints.
pub struct Signer {
    key: Ed25519KeyPair,
}

impl Signer {
    /// A key from its seed.
    pub fn of(seed: &[u8]) -> Result<Self, String> {
        let wrong = |_| "the audit key has a wrong length".to_owned();
        Ok(Self { key: Ed25519KeyPair::from_seed_unchecked(seed).map_err(wrong)? })
    }

    /// The key of a data directory; none where it has none. The public key is put beside it where that is missing.
    ///
    /// Errors: a file that is readable by others, or damaged; a public key that is not this one's, or has none.
    pub fn load(directory: &Path) -> Result<Option<Self>, String> {
        let (file, public) = (directory.join(KEY_FILE), directory.join(PUBLIC_FILE));
        if !file.exists() {
            return match public.exists() {
                false => Ok(None),
                true => Err(format!(
                    "expected the key {}, whose public key is there; it is missing: restore it from a backup",
                    file.display()
                )),
            };
        }
        let text = crate::keys::read_private(&file, "audit key")?;
        let seed = text.strip_prefix(KEY_HEADER).map(str::trim_end);
        let seed = seed.and_then(|text| STANDARD.decode(text).ok()).map(Zeroizing::new);
        let signer = seed.and_then(|seed| Self::of(&seed).ok()).ok_or_else(|| {
            format!("the audit key {} is damaged; restore it from a backup", file.display())
        })?;
        signer.publish(directory)?;
        Ok(Some(signer))
    }

    /// Makes a key for a data directory that has none, and keeps it once `first`, which signs with it, is done. A crash
    /// in between leaves no key.
    ///
    /// Errors: files that cannot be written; what `first` says.
    pub fn make(
        directory: &Path,
        first: impl FnOnce(&Self) -> Result<(), String>,
    ) -> Result<Self, String> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        crate::clock::random(seed.as_mut_slice());
        let signer = Self::of(seed.as_slice())?;
        first(&signer)?;
        let text = Zeroizing::new(format!("{KEY_HEADER}{}\n", STANDARD.encode(*seed)));
        write(&directory.join(KEY_FILE), text.as_bytes())?;
        signer.publish(directory)?;
        Ok(signer)
    }

    fn publish(&self, directory: &Path) -> Result<(), String> {
        let file = directory.join(PUBLIC_FILE);
        let at = file.display();
        match sdk::files::read(&file).map_err(|e| format!("{at}: {e}"))? {
            None => write(&file, format!("{}\n", self.public()).as_bytes()),
            Some(found) if found.trim_ascii() == self.public().as_bytes() => Ok(()),
            Some(_) => Err(format!(
                "{at} is not the public key of the audit key beside it; restore both from one backup"
            )),
        }
    }

    /// The public key, in base64.
    pub fn public(&self) -> String {
        STANDARD.encode(self.key.public_key())
    }

    /// The signature of a text, in base64. What texts say begins with what they are, so that none
    /// passes for another.
    pub fn sign_text(&self, text: &str) -> String {
        STANDARD.encode(self.key.sign(text.as_bytes()))
    }
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), String> {
    sdk::files::write(file, bytes).map_err(|e| format!("cannot write {}: {e}", file.display()))
}

/// Checks a signature in base64 with a public key in base64.
///
/// Errors: that it is not of this key.
pub fn verify_signature(public: &str, text: &str, signature: &str) -> Result<(), String> {
    let key = STANDARD.decode(public.trim()).map_err(|_| "the public key does not read")?;
    let signature = STANDARD.decode(signature).unwrap_or_default();
    let key = UnparsedPublicKey::new(&ED25519, key);
    let done = key.verify(text.as_bytes(), &signature);
    done.map_err(|_| "its signature is not of this key".to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    #[test]
    fn a_key_is_kept_only_once_its_first_word_is_and_is_itself_whole_or_missing() {
        let folder = tempfile::tempdir().unwrap();
        let (key, public) = (folder.path().join(KEY_FILE), folder.path().join(PUBLIC_FILE));
        assert!(Signer::load(folder.path()).unwrap().is_none());
        let failed = Signer::make(folder.path(), |_| Err("no room".to_owned()));
        assert_eq!(failed.err().unwrap(), "no room");
        assert!(!key.exists() && !public.exists());
        let made = Signer::make(folder.path(), |_| {
            assert!(!key.exists() && !public.exists());
            Ok(())
        });
        let made = made.unwrap();
        // The public key is put back after a crash between the two; another's is not believed.
        std::fs::remove_file(&public).unwrap();
        let loaded = Signer::load(folder.path()).unwrap().unwrap();
        assert_eq!(loaded.public(), made.public());
        assert!(public.exists());
        std::fs::write(&public, "other\n").unwrap();
        assert!(Signer::load(folder.path()).err().unwrap().contains("is not the public key"));
        std::fs::remove_file(&public).unwrap();
        std::fs::write(&key, "linkrole-audit-key/1\nAAAA\n").unwrap();
        assert!(Signer::load(folder.path()).err().unwrap().contains("is damaged"));
        std::fs::write(&public, "other\n").unwrap();
        std::fs::remove_file(&key).unwrap();
        assert!(Signer::load(folder.path()).err().unwrap().contains("restore it"));
    }
}
