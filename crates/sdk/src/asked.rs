//! The service's side of a callback with the contract `fenced`: linkrole asks whether a role is used before it goes, and the
//! service refuses new uses meanwhile. See `docs/reference/callback.md`.
//!
//! A service [begins](Asked::begin) each use of a role here and gives [`Asked::answer`] the requests that arrive at the address
//! which its operator enrolled; fences are on disk before an answer leaves. Not here: what uses a role, which the service knows.

use crate::clock;
use crate::credentials::Credentials;
use crate::error::Error;
use crate::files;
use crate::http::{Request, Response};
use crate::service::Role;
use crate::sign;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use tokio::sync::{RwLock, RwLockReadGuard};

/// The service name in the scope of linkrole's signature.
const SIGNING_NAME: &str = "linkrole-callback";
/// The header that proves an answer.
const PROOF: &str = "x-linkrole-answer";
/// How far the time of a request may be from ours, in seconds.
const WINDOW_S: i64 = 900;

/// Why linkrole turns to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Is the role used?
    Check,
    /// Refuse new uses, and is it used?
    Prepare,
    /// The role stays.
    Cancel,
    /// The role is gone.
    Committed,
}

/// What linkrole asks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Question {
    /// Why.
    pub phase: Phase,
    /// The role's account.
    pub account: String,
    /// The role's unique id: a role made again under its name has another.
    pub role_id: String,
    /// The role's name for everybody.
    pub role_arn: String,
    /// The principal in its trust.
    pub principal: String,
    /// What the answer is bound to.
    pub epoch: u64,
    /// The deletion.
    pub task: String,
    /// The region that is asked about, where each has an address of its own.
    #[serde(default)]
    pub region: Option<String>,
}

/// What a service says of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Whether anything uses the role; this decides, whatever is named.
    pub in_use: bool,
    /// The regions in which it has looked.
    pub regions: BTreeSet<String>,
    /// What uses it, by region: all, some or none.
    pub named: BTreeMap<String, Vec<String>>,
    /// Whether no session of the role is held any more.
    pub sessions_released: bool,
}

/// What is kept of a role.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Held {
    /// The epoch under which new uses are refused; 0 for none.
    fence: u64,
    /// The highest epoch that was cancelled.
    cancelled: u64,
    /// The role is gone.
    gone: bool,
}

/// Answers linkrole, and says whether a use may begin.
#[derive(Debug)]
pub struct Asked {
    credentials: Credentials,
    folder: PathBuf,
    held: Mutex<BTreeMap<String, Held>>,
    /// Uses begin under the read half, so that a fence waits for those that have begun and are not there yet.
    gate: RwLock<()>,
}

/// A use that has begun: keep it until the resource is there for [`Asked::answer`]'s `look` to see.
#[derive(Debug)]
pub struct Begun<'a> {
    _gate: RwLockReadGuard<'a, ()>,
}

impl Asked {
    /// Reads the fences that an earlier run kept in a folder of their own. The credentials are the service's: linkrole signs
    /// with them, too.
    ///
    /// Errors: [`Error::File`].
    pub fn open(credentials: Credentials, folder: PathBuf) -> Result<Self, Error> {
        let wrong = |e: &std::io::Error| Error::file(&folder, e);
        files::make_dir(&folder).map_err(|e| wrong(&e))?;
        files::sweep(&folder).map_err(|e| wrong(&e))?;
        let mut held = BTreeMap::new();
        for name in files::list(&folder).map_err(|e| wrong(&e))? {
            let path = folder.join(&name);
            let bytes = files::read(&path).map_err(|e| Error::file(&path, &e))?;
            let read = serde_json::from_slice(&bytes.unwrap_or_default());
            let role = files::text_of(&name);
            let (Some(role), Ok(read)) = (role, read) else {
                let why = std::io::Error::other("expected a fence; found something else");
                return Err(Error::file(&path, &why));
            };
            held.insert(role, read);
        }
        Ok(Self { credentials, folder, held: Mutex::new(held), gate: RwLock::new(()) })
    }

    fn held(&self, role_id: &str) -> Held {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(role_id).copied().unwrap_or_default()
    }

    /// Keeps it, on disk first.
    fn keep(&self, role_id: &str, new: Held) -> Result<(), Error> {
        let name = files::name_of(role_id).ok_or_else(|| {
            Error::Argument("expected the id of a role; found what names no file".to_owned())
        })?;
        let path = self.folder.join(name);
        let bytes = serde_json::to_vec(&new).unwrap_or_default();
        files::write(&path, &bytes).map_err(|e| Error::file(&path, &e))?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(role_id.to_owned(), new);
        Ok(())
    }

    /// Begins a use of a role, unless its deletion is being decided or has been. Make the resource, and let go of what
    /// is returned when it is there.
    pub async fn begin(&self, role_id: &str) -> Option<Begun<'_>> {
        let gate = self.gate.read().await;
        (self.held(role_id).fence == 0).then_some(Begun { _gate: gate })
    }

    /// Drops a fence that is left over because word of the deletion's end was lost: call it with the role as
    /// [`crate::Service::list_usage`] shows it, when a use was refused for long.
    ///
    /// Errors: [`Error::File`].
    pub async fn resync(&self, role: &Role) -> Result<(), Error> {
        let _gate = self.gate.write().await;
        let held = self.held(&role.id);
        if role.deleting || held.fence == 0 || held.fence > role.epoch {
            return Ok(());
        }
        self.keep(&role.id, Held { fence: 0, cancelled: held.cancelled.max(role.epoch), ..held })
    }

    /// Answers one request. `look` tells what uses the role, at this moment and in the regions it is asked about.
    ///
    /// What is not signed by linkrole is refused with 403, and nothing is done.
    pub async fn answer<F>(&self, request: &Request, look: impl FnOnce(Question) -> F) -> Response
    where
        F: Future<Output = Uses>,
    {
        let now = clock::now();
        let Some(signature) = verified(request, &self.credentials, now) else {
            return Response::error(403, "SignatureDoesNotMatch", "expected a request of linkrole");
        };
        let Ok(question) = serde_json::from_slice::<Question>(&request.body) else {
            return Response::error(400, "BadRequest", "expected a question about a role");
        };
        let fenced = match self.take(&question).await {
            Ok(fenced) => fenced,
            Err(error) => return Response::of(&error),
        };
        let epoch = question.epoch;
        let uses = look(question).await;
        let usages: Vec<_> = uses
            .named
            .iter()
            .map(|(region, resources)| json!({ "region": region, "resources": resources }))
            .collect();
        let reply = json!({
            "epoch": epoch,
            "in_use": uses.in_use,
            "fenced_epoch": fenced,
            "regions_complete": uses.regions,
            "usages": usages,
            "sessions_released": uses.sessions_released,
        });
        let mut response = Response::json(200, &reply);
        let text = format!("{SIGNING_NAME}\n{signature}\n{}", sign::sha256_hex(&response.body));
        let secret = self.credentials.secret_access_key.expose();
        response.headers.push((PROOF, sign::hmac_hex(secret.as_bytes(), text.as_bytes())));
        response
    }

    /// Does what a request says; the epoch under which new uses are refused after it.
    async fn take(&self, question: &Question) -> Result<Option<u64>, Error> {
        let role = question.role_id.as_str();
        let epoch = question.epoch;
        // Whoever has begun a use is waited for: it is there when the look comes.
        let _gate = self.gate.write().await;
        let held = self.held(role);
        let new = match question.phase {
            Phase::Check => held,
            Phase::Prepare if epoch <= held.cancelled => held,
            Phase::Prepare => Held { fence: held.fence.max(epoch), ..held },
            Phase::Cancel => {
                let lifts = held.fence <= epoch && !held.gone;
                let fence = if lifts { 0 } else { held.fence };
                Held { fence, cancelled: held.cancelled.max(epoch), ..held }
            }
            Phase::Committed => Held { fence: held.fence.max(epoch).max(1), gone: true, ..held },
        };
        if question.phase != Phase::Check {
            self.keep(role, new)?;
        }
        Ok((new.fence != 0).then_some(new.fence))
    }
}

/// The signature of a request, if linkrole made it, about now, with the service's own key.
fn verified(request: &Request, credentials: &Credentials, now: OffsetDateTime) -> Option<String> {
    let shown = request.header("authorization")?;
    let (_, rest) = shown.split_once("Credential=")?;
    let (credential, _) = rest.split_once(',')?;
    let parts: Vec<&str> = credential.split('/').collect();
    let [key, _, region, SIGNING_NAME, _] = parts[..] else { return None };
    if key != credentials.access_key_id {
        return None;
    }
    let time = clock::parse(request.header("x-amz-date")?)?;
    if (now - time).whole_seconds().abs() > WINDOW_S {
        return None;
    }
    // What linkrole signs beside what signing adds.
    let kind = request.header("content-type")?.to_owned();
    let asked = sign::Request {
        method: &request.method,
        host: request.header("host")?,
        path: &request.path,
        query: &request.query,
        headers: &[("content-type".to_owned(), kind)],
        body: &request.body,
    };
    let made = sign::sign(&asked, credentials, region, SIGNING_NAME, time);
    let expected =
        made.iter().find(|(name, _)| name == "authorization").map(|(_, v)| v.as_str())?;
    let equal = bool::from(expected.as_bytes().ct_eq(shown.as_bytes()));
    let (_, signature) = shown.rsplit_once("Signature=")?;
    equal.then(|| signature.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]
    use super::*;
    use crate::credentials::Secret;
    use serde_json::Value;

    const ROLE: &str = "AROAEXAMPLE";

    fn credentials(secret: &str) -> Credentials {
        Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new(secret.to_owned()),
            session_token: None,
        }
    }

    /// A request as linkrole signs it.
    fn request(phase: &str, epoch: u64, name: &str, secret: &str, now: OffsetDateTime) -> Request {
        let body = json!({
            "phase": phase, "service": "shelf.example.com", "account": "123456789012",
            "role_id": ROLE, "role_arn": "arn", "principal": "shelf.example.com",
            "epoch": epoch, "task": "t",
        });
        let body = body.to_string();
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        let asked = sign::Request {
            method: "POST",
            host: "127.0.0.1:9300",
            path: "/linkrole",
            query: "",
            headers: &headers,
            body: body.as_bytes(),
        };
        let added = sign::sign(&asked, &credentials(secret), "local-1", name, now);
        Request {
            method: "POST".to_owned(),
            path: "/linkrole".to_owned(),
            query: String::new(),
            headers: headers.into_iter().chain(added).collect(),
            body: body.into(),
        }
    }

    fn open(folder: &std::path::Path) -> Asked {
        Asked::open(credentials("secret"), folder.join("fences")).unwrap()
    }

    async fn tell(asked: &Asked, phase: &str, epoch: u64, uses: Uses) -> Value {
        let request = request(phase, epoch, SIGNING_NAME, "secret", OffsetDateTime::now_utc());
        let response = asked.answer(&request, |_| async { uses }).await;
        assert_eq!(response.status, 200);
        assert!(response.headers.iter().any(|(name, proof)| *name == PROOF && proof.len() == 64));
        serde_json::from_slice(&response.body).unwrap()
    }

    #[tokio::test]
    async fn fences_outlive_the_process_and_follow_their_epochs() {
        let folder = tempfile::tempdir().unwrap();
        let asked = open(folder.path());
        let none = Uses::default;
        assert!(asked.begin(ROLE).await.is_some());
        let said = tell(&asked, "check", 0, none()).await;
        assert_eq!(said.get("fenced_epoch"), Some(&Value::Null), "a look fences nothing");
        assert_eq!(tell(&asked, "prepare", 1, none()).await["fenced_epoch"], 1);
        assert!(asked.begin(ROLE).await.is_none());
        assert!(open(folder.path()).begin(ROLE).await.is_none(), "after a crash, too");
        assert!(asked.begin("AROAOTHER").await.is_some(), "other roles are not concerned");
        tell(&asked, "cancel", 1, none()).await;
        assert!(asked.begin(ROLE).await.is_some());
        // Late and doubled: what was cancelled fences nothing any more.
        assert_eq!(tell(&asked, "prepare", 1, none()).await["fenced_epoch"], Value::Null);
        assert!(asked.begin(ROLE).await.is_some());
        tell(&asked, "prepare", 2, none()).await;
        tell(&asked, "cancel", 1, none()).await;
        assert!(asked.begin(ROLE).await.is_none(), "an earlier cancellation lifts no later fence");
        tell(&asked, "committed", 2, none()).await;
        tell(&asked, "cancel", 2, none()).await;
        assert!(open(folder.path()).begin(ROLE).await.is_none(), "a role that is gone stays so");
    }

    #[tokio::test]
    async fn a_fence_that_was_left_over_goes_when_the_role_is_seen_alive() {
        let folder = tempfile::tempdir().unwrap();
        let asked = open(folder.path());
        tell(&asked, "prepare", 3, Uses::default()).await;
        let role = |epoch, deleting| Role {
            arn: String::new(),
            name: String::new(),
            id: ROLE.to_owned(),
            account: String::new(),
            deleting,
            epoch,
            created: false,
        };
        for (seen, lifted) in
            [(role(2, false), false), (role(3, true), false), (role(3, false), true)]
        {
            asked.resync(&seen).await.unwrap();
            assert_eq!(asked.begin(ROLE).await.is_some(), lifted, "{seen:?}");
        }
        assert_eq!(tell(&asked, "prepare", 3, Uses::default()).await["fenced_epoch"], Value::Null);
    }

    #[tokio::test]
    async fn a_fence_waits_for_uses_that_have_begun() {
        let folder = tempfile::tempdir().unwrap();
        let asked = std::sync::Arc::new(open(folder.path()));
        let begun = asked.begin(ROLE).await.unwrap();
        let made = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let prepare = {
            let (asked, made) = (asked.clone(), made.clone());
            async move {
                let now = OffsetDateTime::now_utc();
                let request = request("prepare", 1, SIGNING_NAME, "secret", now);
                let look = |_| async move {
                    let in_use = made.load(std::sync::atomic::Ordering::SeqCst);
                    Uses { in_use, ..Uses::default() }
                };
                serde_json::from_slice::<Value>(&asked.answer(&request, look).await.body).unwrap()
            }
        };
        let create = async {
            tokio::task::yield_now().await;
            made.store(true, std::sync::atomic::Ordering::SeqCst);
            drop(begun);
        };
        let (said, ()) = tokio::join!(prepare, create);
        assert_eq!((&said["in_use"], &said["fenced_epoch"]), (&json!(true), &json!(1)));
    }

    #[tokio::test]
    async fn atk_f21_only_linkrole_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let asked = open(folder.path());
        let now = OffsetDateTime::now_utc();
        let good = request("prepare", 1, SIGNING_NAME, "secret", now);
        let mut changed = good.clone();
        changed.body =
            String::from_utf8(good.body.to_vec()).unwrap().replace("AROAE", "AROAF").into();
        let mut elsewhere = good.clone();
        elsewhere.path = "/other".to_owned();
        let mut unsigned = good.clone();
        unsigned.headers.retain(|(name, _)| name != "authorization");
        let old = now - time::Duration::minutes(16);
        for (why, request) in [
            ("another secret", request("prepare", 1, SIGNING_NAME, "other", now)),
            ("another scope", request("prepare", 1, "iam", "secret", now)),
            ("of long ago", request("prepare", 1, SIGNING_NAME, "secret", old)),
            ("a changed body", changed),
            ("another path", elsewhere),
            ("no signature", unsigned),
        ] {
            let response = asked.answer(&request, |_| async { Uses::default() }).await;
            assert_eq!(response.status, 403, "{why}");
            assert!(response.headers.is_empty(), "{why}: nothing is proved");
            assert!(asked.begin(ROLE).await.is_some(), "{why}: nothing is fenced");
        }
        assert_eq!(asked.answer(&good, |_| async { Uses::default() }).await.status, 200);
    }
}
