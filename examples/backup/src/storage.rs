//! The storage service as a caller sees it: three requests, signed with a session of the role.

use sdk::{Answer, Call, Client, Error};
use serde::Deserialize;

/// A storage service, called with one session.
pub struct Storage(pub Client);

impl Storage {
    /// The keys of the session's account.
    pub async fn list(&self) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Objects {
            objects: Vec<String>,
        }
        let body = self.call("GET", "/objects").await?.success()?;
        let listed: Objects = serde_json::from_slice(&body)
            .map_err(|e| Error::Answer { expected: format!("a list of objects ({e})") })?;
        Ok(listed.objects)
    }

    /// An object's bytes; `None` when it is gone since it was listed.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match self.call("GET", &path(key)).await?.success() {
            Ok(body) => Ok(Some(body.to_vec())),
            Err(error) if error.is("NoSuchObject") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tries to delete an object; what the storage says to it, be it a refusal.
    pub async fn try_delete(&self, key: &str) -> Result<Answer, Error> {
        self.call("DELETE", &path(key)).await
    }

    async fn call(&self, method: &str, path: &str) -> Result<Answer, Error> {
        let call = Call {
            method,
            path,
            query: "",
            content_type: None,
            body: b"",
            signing_name: "storage",
        };
        self.0.send(&call).await
    }
}

fn path(key: &str) -> String {
    format!("/objects/{}", sdk::sign::percent_encode(key))
}
