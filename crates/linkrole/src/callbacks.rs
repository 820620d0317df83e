//! Asks linked services about their roles, and tells them how deletions ended.
//!
//! A service that hangs, lies or is gone costs its own deletions only: at most two requests are under way to one
//! service, each has five seconds, and one that failed five times in a row is left alone for half a minute. What an
//! answer is worth is decided in `iam::callback`; here "no answer that counts" is all that can go wrong.

use crate::clock::{random, uuid};
use crate::outward::{Outward, Request, is_public};
use bytes::Bytes;
use iam::callback::{Answer, Inquiry, Reply};
use iam::rows::{Contract, KeyOwner, KeyStatus};
use iam::seal::{Keyring, Secret};
use iam::state::State;
use iam::text::{Region, ServiceName};
use ipnet::IpNet;
use sdk::sign;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use wire::callback::{self, CHECK, PROOF, SIGNING_NAME};
use wire::sign_acs;

/// Longest time of one request.
const CALL: Duration = Duration::from_secs(5);
/// Longest time in which a question is answered, all its tries together: shorter than a lease and than a fence.
const QUESTION: Duration = Duration::from_secs(20);
/// Tries of one request in that time.
const TRIES: u32 = 4;
/// The pause before the second try at most, and before any try; in between it doubles.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Largest reply, in bytes.
const REPLY: usize = 1 << 20;
/// Requests to one service at one time.
const AT_ONCE: usize = 2;
/// Failures in a row after which a service is left alone, and for how long.
const BREAK: (u32, Duration) = (5, Duration::from_secs(30));

/// Asks and tells.
pub struct Callbacks {
    outward: Arc<Outward>,
    /// Networks beside the public ones that may be reached.
    networks: Vec<IpNet>,
    /// Where this server listens: it never asks itself.
    own: SocketAddr,
    lanes: Mutex<HashMap<ServiceName, Arc<Lane>>>,
}

/// What is known of one service's ability to answer.
struct Lane {
    permits: Semaphore,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
}

impl Lane {
    fn rests(&self) -> bool {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.rests_until.is_some_and(|until| Instant::now() < until)
    }

    /// A service that fails once more after its rest rests again at once.
    fn note(&self, answered: bool) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            *health = Health::default();
            return;
        }
        health.failures = health.failures.saturating_add(1);
        if health.failures >= BREAK.0 {
            health.rests_until = Some(Instant::now() + BREAK.1);
        }
    }
}

/// The key that a service and linkrole share: requests to a service are signed with its own, so it needs no other to
/// know them by, and what it learns is good for nothing else.
pub struct Shared {
    id: String,
    secret: Secret,
}

impl Shared {
    /// The newest active key of a service.
    pub fn of(state: &State, keyring: &Keyring, service: &ServiceName) -> Option<Self> {
        let owner = KeyOwner::Service(service.clone());
        let active = state.keys_of(&owner).filter(|key| key.status == KeyStatus::Active);
        let key = active.max_by_key(|key| (key.created_ms, key.id.clone()))?;
        let found = iam::caller::authenticate(state, keyring, 0, key.id.as_str(), None);
        Some(Self { id: key.id.to_string(), secret: found.ok()?.1 })
    }
}

impl Callbacks {
    /// Reaches public addresses and these networks, but never `own`.
    pub fn new(outward: Arc<Outward>, networks: Vec<IpNet>, own: SocketAddr) -> Self {
        Self { outward, networks, own, lanes: Mutex::default() }
    }

    fn lane(&self, service: &ServiceName) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let permits = Semaphore::new(AT_ONCE);
            Arc::new(Lane { permits, health: Mutex::default() })
        };
        lanes.entry(service.clone()).or_insert_with(new).clone()
    }

    /// Asks a question: all regions at once, or, as the address says, each for itself.
    pub async fn ask(&self, key: Option<&Shared>, question: &Inquiry) -> Vec<Answer> {
        let ends = Instant::now() + QUESTION;
        let callback = &question.callback;
        let by_region = callback.contract == Contract::Alibaba || callback.url.contains("{region}");
        let mut regions: Vec<Option<&Region>> = question.regions.iter().map(Some).collect();
        if !by_region || regions.is_empty() {
            regions = vec![None];
        }
        let mut answers = Vec::new();
        for region in regions {
            let reply = self.persist(key, question, region, ends).await;
            if let Err(why) = &reply {
                let url = &question.callback.url;
                tracing::warn!(service = %question.service, url, why, "a service did not answer");
            }
            answers.push(Answer { region: region.cloned(), reply });
        }
        answers
    }

    /// Tells a service how a deletion ended, in each region; answers whether it has heard. Where it has not, a while has
    /// passed, so that it can be told again at once.
    pub async fn tell(&self, key: Option<&Shared>, question: &Inquiry) -> bool {
        let answers = self.ask(key, question).await;
        let heard = !answers.is_empty() && answers.iter().all(|answer| answer.reply.is_ok());
        if !heard {
            tokio::time::sleep(jitter(PAUSE.1)).await;
        }
        heard
    }

    /// Tries until something that counts is replied, or it is hopeless.
    async fn persist(
        &self,
        key: Option<&Shared>,
        question: &Inquiry,
        region: Option<&Region>,
        ends: Instant,
    ) -> Result<Reply, String> {
        let Some(key) = key else { return Err("it has no active key".to_owned()) };
        let lane = self.lane(&question.service);
        let mut pause = PAUSE.0;
        let mut tries = 0;
        loop {
            if lane.rests() {
                return Err("it failed again and again, and is left alone for a while".to_owned());
            }
            let permit = tokio::time::timeout_at(ends, lane.permits.acquire()).await;
            let Ok(Ok(permit)) = permit else {
                return Err("it is busy with other deletions".to_owned());
            };
            let reply = tokio::time::timeout_at(ends, self.call(key, question, region)).await;
            drop(permit);
            let reply = reply.unwrap_or_else(|_| Err("it did not answer in time".to_owned()));
            lane.note(reply.is_ok());
            tries += 1;
            let wait = jitter(pause);
            if reply.is_ok() || tries >= TRIES || Instant::now() + wait >= ends {
                return reply;
            }
            tokio::time::sleep(wait).await;
            pause = pause.saturating_mul(2).min(PAUSE.1);
        }
    }

    async fn call(
        &self,
        key: &Shared,
        question: &Inquiry,
        region: Option<&Region>,
    ) -> Result<Reply, String> {
        let name = region.map(Region::as_str).unwrap_or_default();
        let url = question.callback.url.replace("{region}", name);
        let uri: hyper::Uri = url.parse().map_err(|_| "its address is none".to_owned())?;
        let signed = match question.callback.contract {
            Contract::Alibaba => rpc(key, question, region, &uri)?,
            Contract::Fenced | Contract::Ask => own(key, question, region, &uri),
        };
        let pins: Vec<&str> = question.callback.certificates.iter().map(String::as_str).collect();
        let request = Request {
            method: "POST",
            url: &signed.url,
            headers: signed.headers,
            body: signed.body,
            pins: &pins,
            time: CALL,
            limit: REPLY,
            allows_plain: true,
        };
        let got = self.outward.send(&request, |address| self.may_reach(address)).await?;
        if question.callback.contract != Contract::Alibaba {
            let shown = got.headers.get(PROOF).and_then(|v| v.to_str().ok()).unwrap_or_default();
            if !callback::is_proved(key.secret.expose(), &signed.signature, &got.body, shown) {
                return Err(format!("its reply is not proved by `{PROOF}`"));
            }
        }
        callback::read(question, region, &got.body)
    }

    /// Public addresses and what the operator named. Neither the addresses that a cloud's machines find their own
    /// credentials at, nor this server, whoever names them. A tenant reads why its role is kept, so addresses go to
    /// the log alone.
    fn may_reach(&self, address: SocketAddr) -> Result<(), String> {
        let ip = address.ip().to_canonical();
        let never = match ip {
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_multicast() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_multicast(),
        };
        let listens = self.own.ip().to_canonical();
        let same = ip == listens || listens.is_unspecified();
        if never || ip.is_unspecified() || (address.port() == self.own.port() && same) {
            tracing::warn!(%address, "an address is never asked");
            return Err("its address is never asked".to_owned());
        }
        if is_public(ip) || self.networks.iter().any(|network| network.contains(&ip)) {
            return Ok(());
        }
        tracing::warn!(%address, "no public address, and in no network of `--callback-network`");
        Err("its address is not public, and in no network that the operator allows".to_owned())
    }
}

/// A random part of a pause, so that many who wait do not come back at once.
fn jitter(pause: Duration) -> Duration {
    let mut bytes = [0; 4];
    random(&mut bytes);
    pause.mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

struct Signed {
    url: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    signature: String,
}

/// A request in linkrole's own form, signed by Signature Version 4 in a scope of its own.
fn own(key: &Shared, question: &Inquiry, region: Option<&Region>, uri: &hyper::Uri) -> Signed {
    let body = callback::body(question, region);
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    let request = sign::Request {
        method: "POST",
        host: uri.authority().map(|a| a.as_str()).unwrap_or_default(),
        path: uri.path(),
        query: "",
        headers: &headers,
        body: body.as_bytes(),
    };
    let credentials = sdk::Credentials {
        access_key_id: key.id.clone(),
        secret_access_key: sdk::Secret::new(key.secret.expose().to_owned()),
        session_token: None,
    };
    let name = region.map_or("local-1", Region::as_str);
    let now = OffsetDateTime::now_utc();
    let added = sign::sign(&request, &credentials, name, SIGNING_NAME, now);
    let authorization = added.iter().find(|(name, _)| name == "authorization");
    let signature = authorization.and_then(|(_, text)| text.rsplit_once("Signature="));
    let signature = signature.map(|(_, text)| text.to_owned()).unwrap_or_default();
    let headers = headers.into_iter().chain(added).collect();
    Signed { url: uri.to_string(), headers, body: Bytes::from(body), signature }
}

/// A request as RAM asks the services of Alibaba Cloud, signed in version 3.
fn rpc(
    key: &Shared,
    question: &Inquiry,
    region: Option<&Region>,
    uri: &hyper::Uri,
) -> Result<Signed, String> {
    let query = callback::query(question, region);
    let host = uri.authority().map(|a| a.as_str()).unwrap_or_default();
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let headers = [
        ("host", host.to_owned()),
        ("x-acs-action", CHECK.to_owned()),
        ("x-acs-content-sha256", sign::sha256_hex(b"")),
        ("x-acs-date", wire::clock::iso_seconds(now.saturating_mul(1_000))),
        ("x-acs-signature-nonce", uuid()),
        ("x-acs-version", "2015-05-01".to_owned()),
    ];
    let mut headers: Vec<(String, String)> =
        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let request = wire::http::Request {
        method: "POST".to_owned(),
        path: uri.path().to_owned(),
        query: query.clone(),
        headers: headers.clone(),
        body: Vec::new(),
    };
    let authorization = sign_acs::sign(&request, &key.id, key.secret.expose());
    let authorization = authorization.ok_or("the request has no canonical form")?;
    headers.push(("authorization".to_owned(), authorization));
    let url = format!("{uri}?{query}");
    Ok(Signed { url, headers, body: Bytes::new(), signature: String::new() })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::net::TcpListener;

    fn callbacks(networks: &[&str], own: &str) -> Callbacks {
        let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
        Callbacks::new(Arc::new(Outward::default()), networks, own.parse().unwrap())
    }

    #[test]
    fn atk_f26_what_may_be_reached() {
        let may = |networks: &[&str], own: &str, address: &str| {
            callbacks(networks, own).may_reach(address.parse().unwrap()).is_ok()
        };
        let own = "127.0.0.1:4680";
        for (address, public, in_networks) in [
            ("1.1.1.1:443", true, true),
            ("[2606:4700::1111]:443", true, true),
            ("127.0.0.1:80", false, true),
            ("[::ffff:127.0.0.1]:80", false, true),
            ("10.0.0.1:443", false, true),
            ("192.168.1.1:443", false, false),
            ("[fd00::1]:443", false, false),
            // Not even what the operator names.
            ("169.254.169.254:80", false, false),
            ("[::ffff:169.254.169.254]:80", false, false),
            ("[fe80::1]:443", false, false),
            ("0.0.0.0:443", false, false),
            ("[::]:443", false, false),
            ("255.255.255.255:443", false, false),
            ("224.0.0.1:443", false, false),
            (own, false, false),
        ] {
            assert_eq!(may(&[], own, address), public, "{address}");
            let networks = ["127.0.0.0/8", "10.0.0.0/8", "169.254.0.0/16", "fe80::/10"];
            assert_eq!(may(&networks, own, address), in_networks, "{address} in networks");
        }
        // A server that listens everywhere is itself at every address.
        assert!(!may(&["10.0.0.0/8"], "0.0.0.0:4680", "10.0.0.1:4680"));
        assert!(may(&["10.0.0.0/8"], "0.0.0.0:4680", "10.0.0.1:4681"));
    }

    /// A name that is looked up once cannot point elsewhere when it is connected to.
    #[tokio::test]
    async fn atk_f26_a_name_that_is_bound_anew_gains_nothing() {
        static LOOK_UPS: AtomicUsize = AtomicUsize::new(0);
        static CANARY: AtomicUsize = AtomicUsize::new(0);
        let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = canary.local_addr().unwrap().port();
        let outward = Outward::looking_up(|_, port| {
            // First what is let through but cannot be connected to, later the machine itself.
            let first = LOOK_UPS.fetch_add(1, Ordering::Relaxed) == 0;
            let host = if first { [127, 0, 0, 2] } else { [127, 0, 0, 1] };
            Box::pin(async move { Ok(vec![SocketAddr::from((host, port))]) })
        });
        tokio::spawn(async move {
            while canary.accept().await.is_ok() {
                CANARY.fetch_add(1, Ordering::Relaxed);
            }
        });
        let url = format!("http://rebound.example.com:{port}/");
        let request = Request { allows_plain: true, ..Request::get(&url, &[], CALL, REPLY) };
        let only_first = callbacks(&["127.0.0.2/32"], "127.0.0.1:1");
        // Let through, and connected to as it was found: nobody is there.
        assert!(outward.send(&request, |address| only_first.may_reach(address)).await.is_err());
        assert_eq!((LOOK_UPS.load(Ordering::Relaxed), CANARY.load(Ordering::Relaxed)), (1, 0));
        // Now it points to the machine, which is not let through.
        let refused = outward.send(&request, |address| only_first.may_reach(address)).await;
        assert!(refused.is_err_and(|why| why.contains("not public")));
        assert_eq!((LOOK_UPS.load(Ordering::Relaxed), CANARY.load(Ordering::Relaxed)), (2, 0));
        // The positive control: whoever may reach it does.
        let all = callbacks(&["127.0.0.0/8"], "127.0.0.1:1");
        let short = Request { time: Duration::from_millis(300), ..request };
        assert!(outward.send(&short, |address| all.may_reach(address)).await.is_err());
        assert_eq!(CANARY.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_service_that_fails_again_and_again_is_left_alone() {
        let lane = Lane { permits: Semaphore::new(AT_ONCE), health: Mutex::default() };
        for _ in 1..BREAK.0 {
            lane.note(false);
            assert!(!lane.rests());
        }
        lane.note(true);
        for _ in 1..BREAK.0 {
            lane.note(false);
        }
        assert!(!lane.rests(), "an answer in between counts");
        lane.note(false);
        assert!(lane.rests());
        lane.note(true);
        assert!(!lane.rests());
    }
}
