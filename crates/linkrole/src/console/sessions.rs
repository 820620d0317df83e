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
/// Sessions of one key or one session at one time; beyond that its own oldest gives way.
const OF_ONE: usize = 20;
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
    /// How it ended, in the vendor's words and for people, once it has.
    pub ended: Option<(&'static str, String)>,
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

/// Lets the one go that rests longest of those that count, if there are as many as there may be.
fn make_room(all: &mut BTreeMap<String, Row>, most: usize, counts: impl Fn(&Row) -> bool) {
    let those = || all.iter().filter(|(_, row)| counts(row));
    if those().count() >= most
        && let Some(key) = those().min_by_key(|(_, row)| row.seen_ms).map(|(key, _)| key.clone())
    {
        all.remove(&key);
    }
}

impl Sessions {
    /// Begins a session; the answer is the cookie's value. There is never one under a value that a client brought.
    pub fn begin(&self, caller: Caller, now_ms: i64) -> String {
        let value = secret();
        let mut all = locked(&self.signed_in);
        all.retain(|_, row| row.lives(now_ms));
        let own = |row: &Row| row.caller == caller;
        make_room(&mut all, OF_ONE, own);
        make_room(&mut all, SESSIONS, |_| true);
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

    /// Who comes with a cookie. What was to be said once, is said with this, unless it is a page that asks by itself:
    /// that is no sign of a person, either.
    pub fn find(&self, value: &str, now_ms: i64, by_itself: bool) -> Option<Visitor> {
        let key = digest(value);
        let mut all = locked(&self.signed_in);
        let row = all.get_mut(&key)?;
        if !row.lives(now_ms) {
            all.remove(&key);
            return None;
        }
        if !by_itself {
            row.seen_ms = row.seen_ms.max(now_ms);
        }
        Some(Visitor {
            caller: row.caller.clone(),
            forgery: row.forgery.clone(),
            notice: if by_itself { None } else { row.notice.take() },
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

    /// Keeps how a deletion ended, so that nobody has to ask again.
    pub fn settle(&self, visitor: &Visitor, handle: &str, status: &'static str, says: &str) {
        let mut all = locked(&self.signed_in);
        let tasks = all.get_mut(&visitor.key).map(|row| &mut row.tasks);
        let found = tasks.and_then(|tasks| tasks.iter_mut().find(|task| task.handle == handle));
        if let Some(task) = found {
            task.ended = Some((status, says.to_owned()));
        }
    }

    /// Forgets the deletions that have ended.
    pub fn dismiss(&self, visitor: &Visitor) {
        if let Some(row) = locked(&self.signed_in).get_mut(&visitor.key) {
            row.tasks.retain(|known| known.ended.is_none());
        }
    }

    /// Whether an attempt from this place that was in vain is told so now. What is right is always let in: secrets are
    /// too long to be guessed, so that nobody gains by keeping others out.
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
        if vain.len() >= PLACES && !vain.contains_key(&place) {
            // The one that began first has least of its time left.
            let oldest = vain.iter().min_by_key(|(_, (since, _))| *since);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                vain.remove(&key);
            }
        }
        vain.entry(place).or_insert((now_ms, 0)).1 += 1;
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
    use iam::text::KeyId;

    fn somebody() -> Caller {
        Caller::Anonymous
    }

    #[test]
    fn atk_h18_a_session_is_new_at_each_sign_in_and_ends_for_good() {
        let all = Sessions::default();
        let (a, b) = (all.begin(somebody(), 0), all.begin(somebody(), 0));
        assert_ne!(a, b);
        assert_eq!(a.len(), 64);
        let visitor = all.find(&a, 1, false).unwrap();
        assert_ne!(visitor.forgery, all.find(&b, 1, false).unwrap().forgery);
        all.end(&visitor);
        assert!(all.find(&a, 1, false).is_none());
        assert!(all.find(&b, 1, false).is_some(), "the control");
        for made_up in ["", "0", &"0".repeat(64), &visitor.key] {
            assert!(all.find(made_up, 1, false).is_none());
        }
    }

    #[test]
    fn a_session_ends_when_it_rests_and_after_half_a_day() {
        let all = Sessions::default();
        let value = all.begin(somebody(), 0);
        assert!(all.find(&value, IDLE_MS - 1, false).is_some());
        assert!(all.find(&value, 2 * IDLE_MS - 1, false).is_none(), "it rested too long");
        let value = all.begin(somebody(), 0);
        for at in (0..LONGEST_MS).step_by(60_000) {
            assert!(all.find(&value, at, false).is_some());
        }
        assert!(all.find(&value, LONGEST_MS, false).is_none());
    }

    #[test]
    fn there_are_no_more_sessions_than_there_is_room_for() {
        let all = Sessions::default();
        let other = |n: usize| Caller::Key(KeyId::parse(&format!("AKIA{n:016}")).unwrap());
        let first = all.begin(somebody(), 0);
        let second = all.begin(somebody(), 1);
        for n in 2..=SESSIONS {
            all.begin(other(n), 2);
        }
        assert!(all.find(&first, 3, false).is_none());
        assert!(all.find(&second, 3, false).is_some());
        // Nobody takes the room of others by signing in again and again.
        for _ in 0..SESSIONS {
            all.begin(other(0), 4);
        }
        assert!(all.find(&second, 4, false).is_some());
        assert_eq!(
            all.signed_in.lock().unwrap().values().filter(|row| row.caller == other(0)).count(),
            OF_ONE
        );
    }

    #[test]
    fn a_page_that_asks_by_itself_keeps_nobody_signed_in() {
        let all = Sessions::default();
        let value = all.begin(somebody(), 0);
        let visitor = all.find(&value, 0, false).unwrap();
        all.say(&visitor, "done".into());
        assert_eq!(all.find(&value, IDLE_MS - 1, true).unwrap().notice, None);
        assert!(all.find(&value, IDLE_MS, true).is_none());
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
        let visitor = all.find(&value, 0, false).unwrap();
        all.say(&visitor, "done".into());
        assert_eq!(all.find(&value, 0, false).unwrap().notice.as_deref(), Some("done"));
        assert_eq!(all.find(&value, 0, false).unwrap().notice, None);
        for n in 0..60 {
            all.watch(
                &visitor,
                Watched { role: "r".into(), handle: format!("task/{n}"), ended: None },
            );
        }
        let tasks = all.find(&value, 0, false).unwrap().tasks;
        assert_eq!(tasks.len(), TASKS);
        assert_eq!(tasks.first().unwrap().handle, "task/59");
        all.settle(&visitor, "task/59", "FAILED", "it stays");
        assert_eq!(
            all.find(&value, 0, false).unwrap().tasks.first().unwrap().ended.as_ref().unwrap().0,
            "FAILED"
        );
        all.dismiss(&visitor);
        assert_eq!(all.find(&value, 0, false).unwrap().tasks.first().unwrap().handle, "task/58");
    }
}
