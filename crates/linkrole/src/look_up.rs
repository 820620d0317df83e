//! Looking something up in the trail: from what a view wants to entries, through the index.

use crate::engine::Engine;
use iam::audit::Event;
use iam::text::AccountId;
use store::{EntryQuery, Store, StoredEntry, Term};
use wire::trail::{Attribute, Facet, Search, View, facets};

/// How far the times of neighbouring entries may be out of order, in milliseconds: a refused read
/// is written after it was decided.
const DISORDER_MS: i64 = 60_000;
/// How often one look-up reads in the store at most. The index gives a view nothing that it would throw
/// away, but for what is out of time by a little; whatever comes up, a request ends after so many
/// pages, with a place to go on at.
const READS: usize = 8;

/// What an entry is found by in the index. `audit verify` works it out anew, so what is made of an event here belongs to the
/// format of the store.
pub fn terms(event: &Event) -> Vec<Term> {
    let mut terms = Vec::with_capacity(48);
    let mut small = Vec::with_capacity(128);
    facets(event, &mut |view, attribute, value| {
        let term = term(view, attribute, value, &mut small);
        // Not in order: entries one after the other then have much in common, and take less room.
        if !terms.contains(&term) {
            terms.push(term);
        }
    });
    terms
}

/// The term for a value; `small` is room for it in small letters.
fn term(view: View, attribute: Attribute, value: &str, small: &mut Vec<u8>) -> Term {
    let kind = attribute.kind(view);
    if !attribute.ignores_case() {
        return Term::of(kind, value);
    }
    small.clear();
    small.extend_from_slice(value.as_bytes());
    small.make_ascii_lowercase();
    Term::of(kind, small)
}

/// What was found, and where to go on.
pub struct Found<T> {
    /// As `shown` made them, in the order of the search.
    pub entries: Vec<T>,
    /// The position to go on at; nothing if there is no more.
    pub next: Option<u64>,
}

/// Entries of an account, or of all, from a position on, as `shown` makes them; what it makes
/// nothing of is passed over. A page may be short, or empty, and yet not the last: at most `READS`
/// times `search.limit` entries are looked at.
///
/// Errors: what the store says.
pub async fn look_up<S: Store, T>(
    engine: &Engine<S>,
    account: Option<&AccountId>,
    search: &Search,
    from: Option<u64>,
    shown: impl Fn(&StoredEntry, &Event) -> Option<T>,
) -> Result<Found<T>, String> {
    let of_account = account.map(|a| Facet(Attribute::Account, a.to_string()));
    let low = first_at(engine, search.start_ms.saturating_sub(DISORDER_MS)).await?;
    let high = first_at(engine, search.end_ms.saturating_add(DISORDER_MS)).await?;
    let (begin, to) = if search.is_forward { (low, high) } else { (high, low) };
    let from = match from {
        Some(from) if search.is_forward => from.max(begin),
        Some(from) => from.min(begin),
        None => begin,
    };
    let mut small = Vec::new();
    let mut query = EntryQuery {
        from,
        to,
        limit: search.limit.max(1),
        backwards: !search.is_forward,
        terms: search
            .facets
            .iter()
            .chain(&of_account)
            .map(|Facet(attribute, value)| term(search.view, *attribute, value, &mut small))
            .collect(),
    };
    let mut entries = Vec::new();
    for read in 1.. {
        let page = engine.entries(&query).await?;
        let is_empty = page.entries.is_empty();
        for stored in &page.entries {
            if entries.len() == search.limit {
                return Ok(Found { entries, next: Some(stored.position) });
            }
            let Ok(event) = serde_json::from_slice::<Event>(&stored.record) else { continue };
            // A term may have stood for something else.
            if account.is_none_or(|account| event.accounts.contains(account)) {
                entries.extend(shown(stored, &event));
            }
        }
        match page.next {
            // Much was looked at and little found: the reader decides whether to go on.
            Some(next) if is_empty || read == READS || entries.len() == search.limit => {
                return Ok(Found { entries, next: Some(next) });
            }
            Some(next) => query.from = next,
            None => break,
        }
    }
    Ok(Found { entries, next: None })
}

/// The first position whose entry is not older than a time; the one after the newest if all are.
async fn first_at<S: Store>(engine: &Engine<S>, at_ms: i64) -> Result<u64, String> {
    let newest = engine.entries(&EntryQuery::backwards(u64::MAX, 1)).await?;
    let Some(newest) = newest.entries.first() else { return Ok(1) };
    let mut low = engine.first_entry().await?;
    let mut high = newest.position.saturating_add(1);
    if at_ms == i64::MIN || at_ms == i64::MAX {
        return Ok(if at_ms < 0 { low } else { high });
    }
    while low < high {
        let middle = low + (high - low) / 2;
        let page = engine.entries(&EntryQuery::forwards(middle, 1)).await?;
        let event = page.entries.first().map(|e| serde_json::from_slice::<Event>(&e.record));
        // What does not read, like the mark of a reset, has no time: it counts as old.
        match event {
            Some(Ok(event)) if event.at_ms >= at_ms => high = middle,
            _ => low = middle + 1,
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use crate::clock::Clock;
    use iam::audit::{Actor, Touched};
    use iam::seal::Keyring;
    use policy::Dialect;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use store::{CommitError, Entry, LastCommit, Memory, Page, Revision, Row, StoreError};

    const ACCOUNT: &str = "111122223333";

    /// A store that counts the entries that it hands out, and how often it is asked by terms.
    #[derive(Clone, Default)]
    struct Counting {
        inner: Memory,
        entries: Arc<AtomicUsize>,
        asked: Arc<AtomicUsize>,
    }

    impl Store for Counting {
        async fn load(&self, each: &mut (dyn FnMut(Row) + Send)) -> Result<Revision, StoreError> {
            self.inner.load(each).await
        }
        async fn commit(&self, after: Revision, batch: &[Entry]) -> Result<Revision, CommitError> {
            self.inner.commit(after, batch).await
        }
        async fn record(&self, events: &[Entry]) -> Result<(), StoreError> {
            self.inner.record(events).await
        }
        async fn entries(&self, query: &EntryQuery) -> Result<Page, StoreError> {
            let page = self.inner.entries(query).await?;
            if !query.terms.is_empty() {
                self.entries.fetch_add(page.entries.len(), Ordering::Relaxed);
                self.asked.fetch_add(1, Ordering::Relaxed);
            }
            Ok(page)
        }
        async fn forget(&self, before: u64) -> Result<u64, StoreError> {
            self.inner.forget(before).await
        }
        async fn first_entry(&self) -> Result<u64, StoreError> {
            self.inner.first_entry().await
        }
        async fn last_commit(&self) -> Result<LastCommit, StoreError> {
            self.inner.last_commit().await
        }
    }

    fn event(dialect: Dialect, operation: &str, service: &str, read_only: bool) -> Event {
        let account = AccountId::parse(ACCOUNT).unwrap();
        let role = "arn:aws:iam::111122223333:role/aws-service-role/a.b/Role".to_owned();
        Event {
            format: 1,
            id: format!("{operation}-id"),
            at_ms: 1_700_000_000_000,
            request_id: String::new(),
            operation: operation.into(),
            service: service.into(),
            read_only,
            accounts: vec![account.clone()],
            dialect: Some(dialect),
            actor: Actor {
                kind: "AWSService".into(),
                name: "backup.example".into(),
                id: "backup.example".into(),
                invoked_by: Some("backup.example".into()),
                ..Actor::default()
            },
            source_ip: String::new(),
            user_agent: String::new(),
            region: String::new(),
            params: Default::default(),
            response: Default::default(),
            resources: vec![Touched { account, resource: role }],
            tls: false,
            console: false,
            api: None,
            asked_by: None,
            error: None,
            told: None,
            denied: false,
        }
    }

    /// A trail of one change and then very much of one kind.
    async fn busy(dialect: Dialect, busy: &Event) -> (Arc<Engine<Counting>>, Counting) {
        let store = Counting::default();
        let of = |event: &Event| crate::engine::entry(event, &[]).unwrap();
        store.record(&[of(&event(dialect, "CreateUser", "iam", false))]).await.unwrap();
        store.record(&vec![of(busy); 5_000]).await.unwrap();
        let keyring = Keyring::from_bytes(&[3; Keyring::LEN]).unwrap();
        let clock = Arc::new(Clock::system());
        let (engine, _) = Engine::start(store.clone(), keyring, clock).await.unwrap();
        store.asked.store(0, Ordering::Relaxed);
        store.entries.store(0, Ordering::Relaxed);
        (engine, store)
    }

    fn search(view: View, facets: &[(Attribute, &str)]) -> Search {
        let facets = facets.iter().map(|(a, value)| Facet(*a, (*value).to_owned())).collect();
        let (start_ms, end_ms) = (i64::MIN, i64::MAX);
        Search { view, start_ms, end_ms, facets, limit: 50, is_forward: false }
    }

    /// The names of what one request finds, and where it would go on.
    async fn page(
        engine: &Engine<Counting>,
        search: &Search,
        from: Option<u64>,
    ) -> (Vec<String>, Option<u64>) {
        let account = AccountId::parse(ACCOUNT).unwrap();
        let shown = |_: &StoredEntry, e: &Event| search.wants(e).then(|| e.operation.clone());
        let found = look_up(engine, Some(&account), search, from, shown).await.unwrap();
        (found.entries, found.next)
    }

    #[tokio::test]
    async fn no_view_is_handed_what_it_throws_away() {
        use Attribute::*;
        let assumed = event(Dialect::Aws, "AssumeRole", "sts", false);
        let mut asked = event(Dialect::Aws, "AuthorizeRequest", "linkrole", true);
        asked.asked_by = Some("backup.example".into());
        asked.params.insert("action".into(), "vault:PutThing".into());
        let step = event(Dialect::Aws, "StepDeletion", "linkrole", false);
        let (ct, at, own) = (View::CloudTrail, View::ActionTrail, View::Native);
        for (much, view, facets, found) in [
            (&assumed, ct, vec![(ReadOnly, "false")], vec!["CreateUser"]),
            (&assumed, ct, vec![(Source, "iam.amazonaws.com")], vec!["CreateUser"]),
            (&assumed, ct, vec![(Source, "sts")], vec![]),
            (&assumed, ct, vec![(Source, "STS.amazonaws.com")], vec![]),
            (&assumed, ct, vec![(User, "backup.example")], vec![]),
            (&assumed, ct, vec![(Name, "assumerole")], vec![]),
            (&assumed, ct, vec![(Id, "CreateUser-id")], vec!["CreateUser"]),
            (&asked, ct, vec![(ReadOnly, "true")], vec![]),
            (&asked, ct, vec![(Name, "AuthorizeRequest")], vec![]),
            (&asked, own, vec![(Name, "PutTHING")], vec![]),
            (&step, ct, vec![], vec!["CreateUser"]),
            (&step, ct, vec![(Name, "StepDeletion")], vec![]),
            (&assumed, at, vec![(ReadOnly, "true")], vec![]),
            (&asked, at, vec![(Name, "AuthorizeRequest")], vec![]),
            (&step, at, vec![], vec!["CreateUser"]),
        ] {
            let dialect = if view == at { Dialect::Alibaba } else { Dialect::Aws };
            let (engine, store) =
                busy(dialect, &Event { dialect: Some(dialect), ..much.clone() }).await;
            let (names, next) = page(&engine, &search(view, &facets), None).await;
            let (asked, seen) =
                (store.asked.load(Ordering::Relaxed), store.entries.load(Ordering::Relaxed));
            assert_eq!((names, next), (found.iter().map(|s| s.to_string()).collect(), None));
            assert_eq!((asked, seen), (1, found.len()), "{view:?} {facets:?}: looked at in vain");
            engine.stop().await;
        }
        // The control: what is there in plenty is found, a page of it.
        let (engine, store) = busy(Dialect::Aws, &assumed).await;
        for (view, facets) in [
            (ct, vec![(ReadOnly, "true")]),
            (ct, vec![(Source, "sts.amazonaws.com")]),
            (ct, vec![(ResourceName, "ROLE")]),
            (own, vec![(User, "Backup.Example")]),
            (own, vec![(Notable, "true")]),
        ] {
            store.entries.store(0, Ordering::Relaxed);
            let (names, next) = page(&engine, &search(view, &facets), None).await;
            assert_eq!(names, vec!["AssumeRole"; 50], "{view:?} {facets:?}");
            assert!(next.is_some());
            assert_eq!(store.entries.load(Ordering::Relaxed), 50);
        }
        engine.stop().await;
    }

    #[tokio::test]
    async fn a_look_up_ends_after_so_many_entries_and_goes_on_where_it_was() {
        // As many as one likes are in the minute in which times may be out of order.
        let mut late = event(Dialect::Aws, "CreateRole", "iam", false);
        late.at_ms += 1_000;
        let (engine, store) = busy(Dialect::Aws, &late).await;
        let mut wanted = search(View::CloudTrail, &[(Attribute::ReadOnly, "false")]);
        wanted.end_ms = late.at_ms - 1;
        let (mut from, mut found, mut requests) = (None, Vec::new(), 0);
        loop {
            store.entries.store(0, Ordering::Relaxed);
            let (names, next) = page(&engine, &wanted, from).await;
            let looked_at = store.entries.load(Ordering::Relaxed);
            assert!(looked_at <= READS * wanted.limit, "one request looked at {looked_at}");
            found.extend(names);
            requests += 1;
            match next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        assert_eq!(found, ["CreateUser"], "nothing is lost at a border, nothing comes twice");
        assert!(requests > 5_000 / (READS * wanted.limit), "{requests} requests");
        engine.stop().await;
    }
}
