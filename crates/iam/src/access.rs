//! Who used what, and when: what one event of the trail tells of it, and how that is kept.
//!
//! [`Noted`] collects it off the way of requests, and [`record`] stores it. What is noted follows from the event
//! alone, so that what was lost with a process is read again out of the trail. An attempt counts, whether it was
//! allowed or not. [src: the vendor's GenerateServiceLastAccessedDetails] Not here: how it is shown
//! ([`crate::access_report`]).

use crate::audit::Event;
use crate::error::Error;
use crate::limits;
use crate::operations::{Guard, Operation};
use crate::output::Output;
use crate::rows::*;
use crate::state::State;
use crate::text::*;
use crate::tx::Tx;
use policy::name;
use std::collections::BTreeMap;

/// What was seen since it was last stored. Adding to what is known already allocates nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Noted {
    keys: BTreeMap<String, LastUse>,
    principals: BTreeMap<String, OfOne>,
}

/// What was seen of one root, user or role.
#[derive(Clone, Debug, Default, PartialEq)]
struct OfOne {
    last: Option<LastUse>,
    opened: u64,
    opened_ms: i64,
    services: BTreeMap<String, OfService>,
}

/// What was seen of one principal at one service.
#[derive(Clone, Debug, Default, PartialEq)]
struct OfService {
    last: Seen,
    actions: BTreeMap<String, Seen>,
}

/// What an event says was used, borrowed from it.
struct Used<'a> {
    service: &'a str,
    action: &'a str,
    region: &'a str,
    /// The service as the last use of a key names it.
    shown: &'a str,
}

impl Noted {
    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.principals.is_empty()
    }

    /// Notes what an event tells. The order of events does not matter.
    pub fn note(&mut self, event: &Event) {
        self.note_beyond(event, "");
    }

    /// Notes what an event tells of principals behind one, in the order in which they are stored.
    pub fn note_beyond(&mut self, event: &Event, stored: &str) {
        if let Some(id) = opened(event).filter(|id| *id > stored)
            && let Some(one) = room(&mut self.principals, id, limits::ACCESS_NOTED)
        {
            one.opened = one.opened.saturating_add(1);
            one.opened_ms = one.opened_ms.max(event.at_ms);
        }
        let Some(used) = used(event) else { return };
        let key = event.actor.opened_with.as_ref().or(event.actor.key.as_ref());
        if let Some(last) = key.and_then(|key| room(&mut self.keys, key, limits::ACCESS_NOTED)) {
            used.tell(event.at_ms, last);
        }
        if let Some(id) = principal(event).filter(|id| *id > stored)
            && let Some(one) = room(&mut self.principals, id, limits::ACCESS_NOTED)
        {
            used.tell(event.at_ms, one.last.get_or_insert_default());
            if let Some(service) = room(&mut one.services, used.service, limits::ACCESS_SERVICES) {
                service.last.tell(event.at_ms, used.region);
                let actions = &mut service.actions;
                if let Some(action) = room(actions, used.action, limits::ACCESS_ACTIONS) {
                    action.tell(event.at_ms, used.region);
                }
            }
        }
    }

    /// Takes out what makes about so many rows: keys first, then principals in the order of their ids.
    #[must_use]
    pub fn take(&mut self, rows: usize) -> Self {
        let mut part = Self::default();
        let mut count = 0;
        while count < rows
            && let Some((key, last)) = self.keys.pop_first()
        {
            part.keys.insert(key, last);
            count += 1;
        }
        while count < rows
            && let Some((id, one)) = self.principals.pop_first()
        {
            count += 2 + one.services.len();
            part.principals.insert(id, one);
        }
        part
    }

    /// The last principal of whom something was seen.
    pub fn last(&self) -> Option<&str> {
        self.principals.last_key_value().map(|(id, _)| id.as_str())
    }

    /// Notes all that another has noted.
    pub fn merge(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        for (key, last) in other.keys {
            if let Some(own) = room(&mut self.keys, &key, limits::ACCESS_NOTED) {
                newer(own, last);
            }
        }
        for (id, one) in other.principals {
            if let Some(own) = room(&mut self.principals, &id, limits::ACCESS_NOTED) {
                own.merge(one);
            }
        }
    }
}

impl OfOne {
    fn merge(&mut self, other: Self) {
        self.opened = self.opened.saturating_add(other.opened);
        self.opened_ms = self.opened_ms.max(other.opened_ms);
        if let Some(last) = other.last {
            newer(self.last.get_or_insert_default(), last);
        }
        for (name, seen) in other.services {
            let Some(own) = room(&mut self.services, &name, limits::ACCESS_SERVICES) else {
                continue;
            };
            own.last.tell(seen.last.at_ms, &seen.last.region);
            for (action, seen) in seen.actions {
                if let Some(own) = room(&mut own.actions, &action, limits::ACCESS_ACTIONS) {
                    own.tell(seen.at_ms, &seen.region);
                }
            }
        }
    }
}

fn newer(own: &mut LastUse, other: LastUse) {
    if own.at_ms <= other.at_ms {
        *own = other;
    }
}

/// Which part of what was noted is stored. It is stored in parts, so that no commit is large; what the trail
/// tells was noted before the first part, by the very thread that stores, and so the entries of the parts say
/// what a process that ended in between had stored and what not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Of what the trail tells.
    Told {
        /// Whether it is the first of its round.
        is_first: bool,
        /// The last principal that is stored with it; nothing when all are.
        up_to: Option<String>,
    },
    /// Of reads, which are in no trail. They open no session, and storing them twice changes nothing.
    Reads,
}

impl Part {
    /// All of it.
    pub const WHOLE: Self = Self::Told { is_first: true, up_to: None };

    /// As the trail shows it.
    pub fn put(&self, put: &mut impl FnMut(&str, &dyn ToString)) {
        match self {
            Self::Reads => put("part", &"reads"),
            Self::Told { is_first, up_to } => {
                if !is_first {
                    put("part", &"further");
                }
                up_to.iter().for_each(|id| put("upTo", id));
            }
        }
    }

    /// What an event of the trail says was stored, if it does.
    pub fn of(event: &Event) -> Option<Self> {
        if event.operation != Operation::RecordUse.facts().name {
            return None;
        }
        let part = event.params.get("part").map(String::as_str);
        if part == Some("reads") {
            return Some(Self::Reads);
        }
        Some(Self::Told { is_first: part.is_none(), up_to: event.params.get("upTo").cloned() })
    }
}

/// What a process had noted and not stored when it ended, as the trail tells it; read from the newest event
/// back. Reads that were allowed are not in it.
#[derive(Debug, Default)]
pub struct Lost {
    noted: Noted,
    /// In the round of parts that is being read: the last principal that was stored.
    in_round: String,
    /// Whether that round came to its end.
    ended: bool,
    /// Of events that are older than the round: the last principal of whom they were stored.
    stored: String,
}

impl Lost {
    /// Takes the next older event; whether all that is older still was stored.
    pub fn take(&mut self, event: &Event) -> bool {
        let Some(part) = Part::of(event) else {
            self.noted.note_beyond(event, &self.stored);
            return false;
        };
        let Part::Told { is_first, up_to } = part else { return false };
        match up_to {
            None => self.ended = true,
            Some(id) => self.in_round = id.max(std::mem::take(&mut self.in_round)),
        }
        if is_first && self.ended {
            return true;
        }
        if is_first {
            self.stored.clone_from(&self.in_round);
        }
        false
    }

    /// What was noted.
    pub fn noted(self) -> Noted {
        self.noted
    }
}

impl Used<'_> {
    fn tell(&self, at_ms: i64, last: &mut LastUse) {
        if last.at_ms <= at_ms {
            last.at_ms = at_ms;
            set(&mut last.region, self.region);
            set(&mut last.service, self.shown);
        }
    }
}

impl Seen {
    fn tell(&mut self, at_ms: i64, region: &str) {
        if self.at_ms <= at_ms {
            self.at_ms = at_ms;
            set(&mut self.region, region);
        }
    }
}

fn set(text: &mut String, to: &str) {
    if text != to {
        text.clear();
        text.push_str(to);
    }
}

/// An entry of a map that holds so many at most; what does not fit is noted another time.
fn room<'a, T: Default>(
    map: &'a mut BTreeMap<String, T>,
    key: &str,
    most: usize,
) -> Option<&'a mut T> {
    if !map.contains_key(key) {
        if map.len() >= most {
            return None;
        }
        map.insert(key.to_owned(), T::default());
    }
    map.get_mut(key)
}

/// Whose session an event opened, by unique id.
fn opened(event: &Event) -> Option<&str> {
    if event.error.is_some() {
        return None;
    }
    match Operation::named(&event.operation)? {
        Operation::AssumeRole => event.response.get("assumedRoleId")?.split(':').next(),
        Operation::GetSessionToken => principal(event),
        _ => None,
    }
}

/// The root, user or role that acted, by unique id; of root the account.
fn principal(event: &Event) -> Option<&str> {
    match event.actor.kind.as_str() {
        "Root" | "IAMUser" => Some(&event.actor.id),
        "AssumedRole" => event.actor.role_id.as_deref(),
        _ => None,
    }
}

/// What was used. A service's question about a caller is a use of that service by the caller, whatever the answer;
/// the rest of what a service does in a caller's name is no use by the caller.
fn used(event: &Event) -> Option<Used<'_>> {
    let operation = Operation::named(&event.operation)?;
    if operation == Operation::AuthorizeRequest {
        let (service, action) = event.params.get("action")?.split_once(':')?;
        // Handing on a role is no access. [src: the vendor's page on last accessed information]
        let failed = event.error.is_some() && !event.denied;
        if failed || event.asked_by.is_none() || action == "PassRole" {
            return None;
        }
        let of_resource = event.params.get("resource").and_then(|text| text.split(':').nth(3));
        let region = Some(event.region.as_str()).filter(|r| !r.is_empty()).or(of_resource);
        let region = known(region.unwrap_or_default());
        return Some(Used { service, action, region, shown: service });
    }
    if operation.facts().guard == Guard::OwnService && principal(event).is_some() {
        return None;
    }
    let dialect = name::dialect(&event.actor.name).unwrap_or_default();
    let service = operation.facts().family.prefix(dialect);
    let shown = event.api.as_ref().map_or(service, |api| api.product.as_str());
    let region = known(&event.region);
    Some(Used { service, action: operation.name(dialect), region, shown })
}

/// A region; what a client calls one and is none is left out.
fn known(region: &str) -> &str {
    if Region::RULE.check(region).is_ok() { region } else { "" }
}

/// Stores what was noted. Older news, and news of those who are gone, are dropped.
pub fn record(tx: &mut Tx<'_>, noted: &Noted) -> Result<Output, Error> {
    for (id, last) in &noted.keys {
        if let Ok(id) = KeyId::parse(id)
            && tx.state().key(&id).is_some()
        {
            record_last(tx, crate::rows::Used::Key(id), last);
        }
    }
    for (id, one) in &noted.principals {
        let Ok(id) = PrincipalId::parse(id) else { continue };
        let Some(account) = account_of(tx.state(), &id) else { continue };
        if let (Ok(role), Some(last)) = (RoleId::parse(id.as_str()), &one.last)
            && tx.state().role_by_id(&role).is_some()
        {
            record_last(tx, crate::rows::Used::Role(role), last);
        }
        if one.opened > 0 {
            let old = tx.state().sessions(&id).map_or((0, 0), |row| (row.opened, row.last_ms));
            tx.put(Row::Sessions(Sessions {
                account: account.clone(),
                principal: id.clone(),
                opened: old.0.saturating_add(one.opened),
                last_ms: old.1.max(one.opened_ms),
            }));
        }
        for (service, seen) in &one.services {
            if let Ok(service) = Namespace::parse(service) {
                record_service(tx, &account, &id, service, seen);
            }
        }
    }
    Ok(Output::Done)
}

fn record_last(tx: &mut Tx<'_>, used: crate::rows::Used, last: &LastUse) {
    if tx.state().last_use(&used).is_none_or(|old| old.at_ms < last.at_ms) {
        tx.put(Row::Use(UseRow { used, last: last.clone() }));
    }
}

fn record_service(
    tx: &mut Tx<'_>,
    account: &AccountId,
    principal: &PrincipalId,
    service: Namespace,
    seen: &OfService,
) {
    let mut row = match tx.state().access(principal, &service) {
        Some(row) => (**row).clone(),
        None => {
            make_room(tx, principal);
            Access {
                account: account.clone(),
                principal: principal.clone(),
                service,
                last: Seen::default(),
                actions: BTreeMap::new(),
            }
        }
    };
    row.last.tell(seen.last.at_ms, &seen.last.region);
    for (action, seen) in &seen.actions {
        if let Ok(action) = ActionName::parse(action) {
            row.actions.entry(action).or_default().tell(seen.at_ms, &seen.region);
        }
    }
    let oldest_ms = tx.now().saturating_sub(limits::ACCESS_KEPT_MS);
    row.actions.retain(|_, seen| seen.at_ms >= oldest_ms);
    while row.actions.len() > limits::ACCESS_ACTIONS {
        let oldest = row.actions.iter().min_by_key(|(_, seen)| seen.at_ms);
        let Some(oldest) = oldest.map(|(action, _)| action.clone()) else { break };
        row.actions.remove(&oldest);
    }
    tx.put(Row::Access(row));
}

/// The service that a principal has not used for longest gives way.
fn make_room(tx: &mut Tx<'_>, principal: &PrincipalId) {
    let rows: Vec<_> = tx.state().accesses_of(principal).cloned().collect();
    if rows.len() >= limits::ACCESS_SERVICES
        && let Some(oldest) = rows.iter().min_by_key(|row| row.last.at_ms)
    {
        tx.delete(row_key(oldest));
    }
}

/// The account of a root, user or role that lives.
pub fn account_of(state: &State, id: &PrincipalId) -> Option<AccountId> {
    let text = id.as_str();
    let root = AccountId::parse(text).ok().filter(|account| state.account(account).is_some());
    let user = || UserId::parse(text).ok().and_then(|id| state.user_by_id(&id));
    let role = || RoleId::parse(text).ok().and_then(|id| state.role_by_id(&id));
    root.or_else(|| user().map(|user| user.account.clone()))
        .or_else(|| role().map(|role| role.account.clone()))
}

/// Drops what is known of a principal that goes.
pub fn forget(tx: &mut Tx<'_>, principal: &str) {
    let Ok(id) = PrincipalId::parse(principal) else { return };
    let rows: Vec<Key> = tx.state().accesses_of(&id).map(|row| row_key(row)).collect();
    rows.into_iter().for_each(|key| tx.delete(key));
    if let Some(row) = tx.state().sessions(&id).cloned() {
        tx.delete(Key::Sessions(row.account.clone(), id.clone()));
    }
    if let Ok(role) = RoleId::parse(principal)
        && tx.state().last_use(&crate::rows::Used::Role(role.clone())).is_some()
    {
        tx.delete(Key::Use("role", Folded::of(role.as_str())));
    }
}

fn row_key(row: &Access) -> Key {
    Key::Access(row.account.clone(), row.principal.clone(), row.service.clone())
}
