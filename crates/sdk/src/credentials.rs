//! Access keys, and the file in which a service keeps its own. Not here: what signs with them.

use crate::error::Error;
use crate::files;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use zeroize::Zeroizing;

/// A text that nobody but its user sees: not printed, not serialized, wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text into keeping.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text; the one way to it, so that a search finds every reader.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a request is signed with: a long-term key, or that of a session with its token.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The key's public id.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// The token, if the key is a session's.
    pub session_token: Option<Secret>,
}

/// Credentials as they stand in their file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    session_token: Option<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<&'a str>,
}

impl Credentials {
    /// Reads the file that [`Credentials::save`] wrote; `None` when there is none.
    ///
    /// Errors: [`Error::File`] for a file that others than its owner may read, or that is broken.
    pub fn load(path: &Path) -> Result<Option<Self>, Error> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::file(path, &e)),
        };
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let text =
                format!("expected mode 600; found {mode:o}, which others than its owner may read");
            return Err(Error::file(path, &text));
        }
        let text = fs::read_to_string(path).map_err(|e| Error::file(path, &e))?;
        let text = Zeroizing::new(text);
        let stored: Stored = serde_json::from_str(&text).map_err(|e| Error::file(path, &e))?;
        Ok(Some(Self {
            access_key_id: stored.access_key_id,
            secret_access_key: Secret::new(stored.secret_access_key),
            session_token: stored.session_token.map(Secret::new),
        }))
    }

    /// Writes the file, durable and readable for its owner only.
    ///
    /// Errors: [`Error::File`]; what was there before then still stands.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let shown = Shown {
            access_key_id: &self.access_key_id,
            secret_access_key: self.secret_access_key.expose(),
            session_token: self.session_token.as_ref().map(Secret::expose),
        };
        let text = serde_json::to_vec(&shown).map_err(|e| Error::file(path, &e))?;
        files::write(path, &Zeroizing::new(text)).map_err(|e| Error::file(path, &e))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    fn credentials() -> Credentials {
        Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new("very secret".to_owned()),
            session_token: Some(Secret::new("a token".to_owned())),
        }
    }

    #[test]
    fn a_saved_file_is_its_owners_and_loads_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.json");
        assert!(Credentials::load(&path).unwrap().is_none());
        credentials().save(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let loaded = Credentials::load(&path).unwrap().unwrap();
        assert_eq!(loaded.access_key_id, "AKIDEXAMPLE");
        assert_eq!(loaded.secret_access_key.expose(), "very secret");
        assert_eq!(loaded.session_token.unwrap().expose(), "a token");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Credentials::load(&path).unwrap_err().to_string();
        assert!(error.contains("expected mode 600; found 640"), "{error}");
    }

    #[test]
    fn nothing_secret_is_printed() {
        let text = format!("{:?}", credentials());
        assert!(text.contains("AKIDEXAMPLE"), "{text}");
        assert!(!text.contains("very secret") && !text.contains("a token"), "{text}");
    }
}
