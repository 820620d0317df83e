//! Looking something up in the trail: from what a view wants to entries, through the index.

use crate::engine::Engine;
use iam::audit::Event;
use iam::text::AccountId;
use store::{EntryQuery, Store, StoredEntry, Term};
use wire::trail::{Attribute, Facet, Search, facets};

/// How far the times of neighbouring entries may be out of order, in milliseconds: a refused read
/// is written after it was decided.
const DISORDER_MS: i64 = 60_000;

/// What an entry is found by in the index. `audit verify` works it out anew, so what is made of an event here belongs to the
/// format of the store.
pub fn terms(event: &Event) -> Vec<Term> {
    let mut terms = Vec::with_capacity(32);
    let mut small = Vec::with_capacity(128);
    facets(event, &mut |attribute, value| {
        small.clear();
        small.extend(value.bytes().map(|byte| byte.to_ascii_lowercase()));
        terms.push(Term::of(attribute.kind(), &small));
    });
    terms.sort_unstable();
    terms.dedup();
    terms
}

fn term(facet: &Facet) -> Term {
    Term::of(facet.0.kind(), facet.1.to_ascii_lowercase())
}

/// What was found, and where to go on.
pub struct Found<T> {
    /// As `shown` made them, in the order of the search.
    pub entries: Vec<T>,
    /// The position to go on at; nothing if there is no more.
    pub next: Option<u64>,
}

/// Entries of an account, or of all, from a position on, as `shown` makes them; what it makes
/// nothing of is passed over. A page may be short, or empty, and yet not the last.
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
    let mut query = EntryQuery {
        from,
        to,
        limit: search.limit.max(1),
        backwards: !search.is_forward,
        terms: search.facets.iter().chain(&of_account).map(term).collect(),
    };
    let mut entries = Vec::new();
    loop {
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
            // Much was looked at and nothing found: the reader decides whether to go on.
            Some(next) if is_empty || entries.len() == search.limit => {
                return Ok(Found { entries, next: Some(next) });
            }
            Some(next) => query.from = next,
            None => return Ok(Found { entries, next: None }),
        }
    }
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
