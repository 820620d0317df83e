//! Who is signed in at the console: what a cookie's value stands for, kept here and nowhere else.
//!
//! A session is a random value in a cookie and a row in memory. It names an access key or holds a session's
//! claims, and is resolved anew with each call, so it ends with the key. Not here: who gets one (`sign_in`).

use crate::clock::random;
use iam::caller::Caller;
use iam::seal::{digest, hex};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sessions at one time; beyond that the one not used for longest gives way.
const SESSIONS: usize = 10_000;
/// How long a session lives without being used, in milliseconds.
const IDLE_MS: i64 = 30 * 60_000;
/// How long a session lives at most, in milliseconds.
const LONGEST_MS: i64 = 12 * 3_600_000;
/// Deletions that a session keeps an eye on.
const TASKS: usize = 50;
/// Vain attempts to sign in from one place in [`WINDOW_MS`].
const ATTEMPTS: u32 = 10;
/// How long a vain attempt counts, in milliseconds.
const WINDOW_MS: i64 = 60_000;
/// Places whose attempts are counted at one time.
const PLACES: usize = 10_000;

/// Everybody who is signed in.
#[derive(Default)]
pub struct Sessions {
    /// By the digest of the cookie's value, so that looking it up tells nothing of it.
    signed_in: Mutex<BTreeMap<String, Row>>,
    /// Vain attempts by place: since when, and how many.
    vain: Mutex<BTreeMap<String, (i64, u32)>>,
}

struct Row {
    caller: Caller,
    forgery: String,
    begun_ms: i64,
    seen_ms: i64,
    notice: Option<String>,
    tasks: Vec<Watched>,
}

/// A deletion that somebody asked for here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The role.
    pub role: String,
    /// The task's handle.
    pub handle: String,
}

/// Who asks for a page.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// As whom calls are made.
    pub caller: Caller,
    /// What a form must repeat to be this session's own.
    pub forgery: String,
    /// What is to be said once.
    pub notice: Option<String>,
    /// The deletions asked for here, the newest first.
    pub tasks: Vec<Watched>,
    key: String,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn secret() -> String {
    let mut bytes = [0; 32];
    random(&mut bytes);
    hex(&bytes)
}

impl Row {
    fn lives(&self, now_ms: i64) -> bool {
        now_ms < self.seen_ms.saturating_add(IDLE_MS)
            && now_ms < self.begun_ms.saturating_add(LONGEST_MS)
    }
}

impl Sessions {
    /// Begins a session; the answer is the cookie's value. There is never one under a value that a client brought.
    pub fn begin(&self, caller: Caller, now_ms: i64) -> String {
        let value = secret();
        let mut all = locked(&self.signed_in);
        all.retain(|_, row| row.lives(now_ms));
        while all.len() >= SESSIONS {
            let oldest = all.iter().min_by_key(|(_, row)| row.seen_ms);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            all.remove(&key);
        }
        let row = Row {
            caller,
            forgery: secret(),
            begun_ms: now_ms,
            seen_ms: now_ms,
            notice: None,
            tasks: Vec::new(),
        };
        all.insert(digest(&value), row);
        value
    }

    /// Who comes with a cookie. What was to be said once, is said with this.
    pub fn find(&self, value: &str, now_ms: i64) -> Option<Visitor> {
        let key = digest(value);
        let mut all = locked(&self.signed_in);
        let row = all.get_mut(&key)?;
        if !row.lives(now_ms) {
            all.remove(&key);
            return None;
        }
        row.seen_ms = row.seen_ms.max(now_ms);
        Some(Visitor {
            caller: row.caller.clone(),
            forgery: row.forgery.clone(),
            notice: row.notice.take(),
            tasks: row.tasks.clone(),
            key,
        })
    }

    /// Ends a session; its cookie is worth nothing from now on.
    pub fn end(&self, visitor: &Visitor) {
        locked(&self.signed_in).remove(&visitor.key);
    }

    /// Has something said on the next page.
    pub fn say(&self, visitor: &Visitor, notice: String) {
        if let Some(row) = locked(&self.signed_in).get_mut(&visitor.key) {
            row.notice = Some(notice);
        }
    }

    /// Keeps an eye on a deletion.
    pub fn watch(&self, visitor: &Visitor, task: Watched) {
        if let Some(row) = locked(&self.signed_in).get_mut(&visitor.key) {
            row.tasks.retain(|known| known.handle != task.handle);
            row.tasks.insert(0, task);
            row.tasks.truncate(TASKS);
        }
    }

    /// Forgets a deletion that has ended, or all that have.
    pub fn dismiss(&self, visitor: &Visitor, ended: &[String]) {
        if let Some(row) = locked(&self.signed_in).get_mut(&visitor.key) {
            row.tasks.retain(|known| !ended.contains(&known.handle));
        }
    }

    /// Whether somebody at this place may try to sign in now.
    pub fn may_try(&self, from: Option<IpAddr>, now_ms: i64) -> bool {
        let vain = locked(&self.vain);
        let found = vain.get(&place(from));
        found.is_none_or(|(since, count)| now_ms >= since + WINDOW_MS || *count < ATTEMPTS)
    }

    /// Counts a vain attempt.
    pub fn failed(&self, from: Option<IpAddr>, now_ms: i64) {
        let mut vain = locked(&self.vain);
        vain.retain(|_, (since, _)| now_ms < *since + WINDOW_MS);
        let place = place(from);
        if vain.len() < PLACES || vain.contains_key(&place) {
            vain.entry(place).or_insert((now_ms, 0)).1 += 1;
        }
    }
}

/// Where attempts are counted together: an address, of the newer kind the network of one customer.
fn place(from: Option<IpAddr>) -> String {
    match from.map(|ip| ip.to_canonical()) {
        Some(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
        Some(ip) => ip.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    fn somebody() -> Caller {
        Caller::Anonymous
    }

    #[test]
    fn atk_h18_a_session_is_new_at_each_sign_in_and_ends_for_good() {
        let all = Sessions::default();
        let (a, b) = (all.begin(somebody(), 0), all.begin(somebody(), 0));
        assert_ne!(a, b);
        assert_eq!(a.len(), 64);
        let visitor = all.find(&a, 1).unwrap();
        assert_ne!(visitor.forgery, all.find(&b, 1).unwrap().forgery);
        all.end(&visitor);
        assert!(all.find(&a, 1).is_none());
        assert!(all.find(&b, 1).is_some(), "the control");
        for made_up in ["", "0", &"0".repeat(64), &visitor.key] {
            assert!(all.find(made_up, 1).is_none());
        }
    }

    #[test]
    fn a_session_ends_when_it_rests_and_after_half_a_day() {
        let all = Sessions::default();
        let value = all.begin(somebody(), 0);
        assert!(all.find(&value, IDLE_MS - 1).is_some());
        assert!(all.find(&value, 2 * IDLE_MS - 1).is_none(), "it rested too long");
        let value = all.begin(somebody(), 0);
        for at in (0..LONGEST_MS).step_by(60_000) {
            assert!(all.find(&value, at).is_some());
        }
        assert!(all.find(&value, LONGEST_MS).is_none());
    }

    #[test]
    fn there_are_no_more_sessions_than_there_is_room_for() {
        let all = Sessions::default();
        let first = all.begin(somebody(), 0);
        let second = all.begin(somebody(), 1);
        for _ in 2..=SESSIONS {
            all.begin(somebody(), 2);
        }
        assert!(all.find(&first, 3).is_none());
        assert!(all.find(&second, 3).is_some());
    }

    #[test]
    fn atk_h19_attempts_from_one_place_are_few() {
        let all = Sessions::default();
        let from = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        for _ in 0..ATTEMPTS {
            assert!(all.may_try(from("2001:db8::1"), 0));
            all.failed(from("2001:db8::1"), 0);
        }
        assert!(!all.may_try(from("2001:db8::1"), 1));
        assert!(!all.may_try(from("2001:db8::ffff"), 1), "of the same network");
        assert!(all.may_try(from("2001:db8:1::1"), 1), "the control");
        assert!(all.may_try(from("192.0.2.1"), 1));
        assert!(all.may_try(from("2001:db8::1"), WINDOW_MS));
        for _ in 0..ATTEMPTS {
            all.failed(from("192.0.2.1"), 0);
        }
        assert!(!all.may_try(from("::ffff:192.0.2.1"), 1), "the same address, written otherwise");
    }

    #[test]
    fn what_is_to_be_said_is_said_once_and_tasks_stay_until_they_are_dismissed() {
        let all = Sessions::default();
        let value = all.begin(somebody(), 0);
        let visitor = all.find(&value, 0).unwrap();
        all.say(&visitor, "done".into());
        assert_eq!(all.find(&value, 0).unwrap().notice.as_deref(), Some("done"));
        assert_eq!(all.find(&value, 0).unwrap().notice, None);
        for n in 0..60 {
            all.watch(&visitor, Watched { role: "r".into(), handle: format!("task/{n}") });
        }
        let tasks = all.find(&value, 0).unwrap().tasks;
        assert_eq!(tasks.len(), TASKS);
        assert_eq!(tasks.first().unwrap().handle, "task/59");
        all.dismiss(&visitor, &["task/59".to_owned()]);
        assert_eq!(all.find(&value, 0).unwrap().tasks.first().unwrap().handle, "task/58");
    }
}
