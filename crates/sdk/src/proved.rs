//! Credentials of a service that keeps no key: got for the token in a file, and replaced in time.

use crate::client::Client;
use crate::clock;
use crate::credentials::{Credentials, Secret};
use crate::error::Error;
use serde::Deserialize;
use serde_json::json;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// A service, and where its token is.
#[derive(Debug)]
pub(crate) struct Proved {
    service: String,
    file: PathBuf,
    held: Mutex<Option<Held>>,
}

/// Credentials with their times.
#[derive(Debug)]
struct Held {
    credentials: Arc<Credentials>,
    /// When half of their time has passed.
    fresh_until: OffsetDateTime,
    ends: OffsetDateTime,
}

#[derive(Deserialize)]
struct Opened {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expires: String,
}

impl Proved {
    pub(crate) fn new(service: &str, file: PathBuf) -> Self {
        Self { service: service.to_owned(), file, held: Mutex::new(None) }
    }

    /// The credentials that are held, or new ones; of two that ask at once, one gets them. As long as the held ones
    /// live they will do where new ones cannot be had, but not where they are refused.
    pub(crate) async fn credentials(&self, unsigned: &Client) -> Result<Arc<Credentials>, Error> {
        let mut held = self.held.lock().await;
        let now = clock::now();
        if let Some(found) = held.as_ref().filter(|found| now < found.fresh_until) {
            return Ok(found.credentials.clone());
        }
        match self.exchange(unsigned, now).await {
            Ok(new) => Ok(held.insert(new).credentials.clone()),
            Err(error) => match held.as_ref().filter(|found| now < found.ends) {
                Some(found) if error.refusal().is_none_or(|refusal| refusal.status >= 500) => {
                    Ok(found.credentials.clone())
                }
                _ => Err(error),
            },
        }
    }

    /// Lets go of credentials that were refused: what the manifest says may have changed, and the next call proves
    /// anew.
    pub(crate) async fn forget(&self, refused: &Arc<Credentials>) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|found| Arc::ptr_eq(&found.credentials, refused)) {
            *held = None;
        }
    }

    /// Shows the token. Its file is read each time, since whoever put it there replaces it.
    fn exchange<'a>(
        &'a self,
        unsigned: &'a Client,
        now: OffsetDateTime,
    ) -> Pin<Box<dyn Future<Output = Result<Held, Error>> + Send + 'a>> {
        Box::pin(async move {
            let read = std::fs::read_to_string(&self.file);
            let token = Zeroizing::new(read.map_err(|e| Error::file(&self.file, &e))?);
            let body = json!({ "service": self.service, "token": token.trim() });
            let answer = unsigned.post("/v1/services/session", &body).await?;
            let lacks =
                |e: &dyn std::fmt::Display| Error::Answer { expected: format!("a session ({e})") };
            let opened: Opened = serde_json::from_value(answer).map_err(|e| lacks(&e))?;
            let ends = OffsetDateTime::parse(&opened.expires, &Rfc3339).map_err(|e| lacks(&e))?;
            Ok(Held {
                credentials: Arc::new(Credentials {
                    access_key_id: opened.access_key_id,
                    secret_access_key: Secret::new(opened.secret_access_key),
                    session_token: Some(Secret::new(opened.session_token)),
                }),
                fresh_until: now + (ends - now) / 2,
                ends,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use crate::http::{self, Request, Response};
    use std::sync::atomic::{AtomicI64, AtomicU16, AtomicUsize, Ordering};
    use time::Duration;
    use tokio::net::TcpListener;

    /// A server whose sessions last so many seconds, and which answers sessions and all else with these statuses.
    struct Fake {
        seconds: AtomicI64,
        sessions: AtomicU16,
        others: AtomicU16,
        opened: AtomicUsize,
    }

    async fn fake() -> (Arc<Fake>, Client, tempfile::TempDir) {
        let fake = Arc::new(Fake {
            seconds: AtomicI64::new(3_600),
            sessions: AtomicU16::new(200),
            others: AtomicU16::new(200),
            opened: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = fake.clone();
        tokio::spawn(http::serve(listener, move |request: Request| {
            let fake = server.clone();
            async move {
                if request.path != "/v1/services/session" {
                    let status = fake.others.load(Ordering::SeqCst);
                    let key = request.header("authorization").unwrap_or_default().to_owned();
                    return Response::json(status, &json!({ "authorization": key }));
                }
                assert_eq!(request.header("authorization"), None);
                let number = fake.opened.fetch_add(1, Ordering::SeqCst);
                let status = fake.sessions.load(Ordering::SeqCst);
                if status != 200 {
                    return Response::error(status, "IdentityRefused", "no");
                }
                let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
                let ends = Duration::seconds(fake.seconds.load(Ordering::SeqCst));
                let ends = (OffsetDateTime::now_utc() + ends).format(&Rfc3339).unwrap();
                Response::json(
                    200,
                    &json!({
                        "access_key_id": format!("K{number}-{}", body.get("token").unwrap().as_str().unwrap()),
                        "secret_access_key": "s", "session_token": "t", "expires": ends,
                    }),
                )
            }
        }));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "one\n").unwrap();
        let client = Client::by_token(&endpoint, "shelf.example.com", &file).unwrap();
        (fake, client, folder)
    }

    /// The key that a call was signed with.
    async fn key(client: &Client) -> Result<String, Error> {
        let answer = client.post("/v1/else", &json!({})).await?;
        let signed = answer.get("authorization").unwrap().as_str().unwrap();
        Ok(signed.split_once("Credential=").unwrap().1.split_once('/').unwrap().0.to_owned())
    }

    #[tokio::test]
    async fn credentials_are_held_while_fresh_and_got_anew_for_the_token_that_is_there_then() {
        let (fake, client, folder) = fake().await;
        assert_eq!(key(&client).await.unwrap(), "K0-one");
        assert_eq!(key(&client.clone()).await.unwrap(), "K0-one");
        // Those that were refused are not shown again.
        fake.others.store(403, Ordering::SeqCst);
        assert!(key(&client).await.is_err());
        fake.others.store(200, Ordering::SeqCst);
        fake.seconds.store(0, Ordering::SeqCst);
        std::fs::write(folder.path().join("token"), "two").unwrap();
        assert_eq!(key(&client).await.unwrap(), "K1-two");
        // They ended at once.
        assert_eq!(key(&client).await.unwrap(), "K2-two");
        fake.sessions.store(503, Ordering::SeqCst);
        assert!(key(&client).await.is_err());
    }

    #[tokio::test]
    async fn what_is_held_will_do_where_nothing_new_can_be_had() {
        let (fake, client, folder) = fake().await;
        let proved = Proved::new("shelf.example.com", folder.path().join("token"));
        let unsigned = client.unsigned();
        let first = proved.credentials(&unsigned).await.unwrap();
        proved.held.lock().await.as_mut().unwrap().fresh_until = OffsetDateTime::UNIX_EPOCH;
        fake.sessions.store(503, Ordering::SeqCst);
        assert!(Arc::ptr_eq(&proved.credentials(&unsigned).await.unwrap(), &first));
        std::fs::remove_file(folder.path().join("token")).unwrap();
        assert!(Arc::ptr_eq(&proved.credentials(&unsigned).await.unwrap(), &first));
        std::fs::write(folder.path().join("token"), "one").unwrap();
        fake.sessions.store(403, Ordering::SeqCst);
        assert!(proved.credentials(&unsigned).await.unwrap_err().is("IdentityRefused"));
        fake.sessions.store(200, Ordering::SeqCst);
        assert!(!Arc::ptr_eq(&proved.credentials(&unsigned).await.unwrap(), &first));
    }
}
