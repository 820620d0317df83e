//! Paging: markers that are sealed, so that none can be forged or used for another listing.

use crate::command::Paging;
use crate::error::Error;
use crate::output::Page;
use crate::text::{AccountId, Folded};
use crate::tx::Tx;

/// Items of a page unless the caller says otherwise.
const DEFAULT: usize = 100;

/// Cuts a page out of items in order. `place` names the listing with all that filters it; `key`
/// names an item. Items up to the marker are skipped by key, so that a page begins where the last
/// ended even when items came or went in between.
///
/// Errors: `InvalidMarker` for a marker of another account, operation or filter.
pub fn cut<I, T>(
    tx: &Tx<'_>,
    account: &AccountId,
    place: &[&str],
    paging: &Paging,
    items: impl Iterator<Item = I>,
    key: impl Fn(&I) -> String,
    view: impl Fn(I) -> T,
) -> Result<Page<T>, Error> {
    let limit = paging.limit.unwrap_or(DEFAULT);
    if let Some(page) = paging.page {
        let mut total = 0;
        let mut taken = Vec::new();
        let first = page.saturating_sub(1).saturating_mul(limit);
        for item in items {
            if total >= first && taken.len() < limit {
                taken.push(view(item));
            }
            total += 1;
        }
        return Ok(Page { items: taken, next: None, total: Some(total) });
    }
    let after = after(tx, account, place, paging)?;
    let mut taken = Vec::new();
    let mut last = None;
    let mut more = false;
    for item in items {
        let name = key(&item);
        if after.as_ref().is_some_and(|after| name <= *after) {
            continue;
        }
        if taken.len() == limit {
            more = true;
            break;
        }
        last = Some(name);
        taken.push(view(item));
    }
    let next = more.then_some(last).flatten().map(|last| seal(tx, account, place, &last));
    Ok(Page { items: taken, next, total: None })
}

/// The key after which a page begins.
pub fn after(
    tx: &Tx<'_>,
    account: &AccountId,
    place: &[&str],
    paging: &Paging,
) -> Result<Option<String>, Error> {
    let Some(marker) = &paging.marker else { return Ok(None) };
    let bound: Vec<&str> = std::iter::once(account.as_str()).chain(place.iter().copied()).collect();
    tx.keyring().open_marker(marker, &bound).map(Some).map_err(|_| Error::InvalidMarker)
}

/// The folded name after which a page of named things begins: lets a table start there.
pub fn after_name(
    tx: &Tx<'_>,
    account: &AccountId,
    place: &[&str],
    paging: &Paging,
) -> Result<Option<Folded>, Error> {
    Ok(after(tx, account, place, paging)?.map(|name| Folded::of(&name)))
}

fn seal(tx: &Tx<'_>, account: &AccountId, place: &[&str], key: &str) -> String {
    let bound: Vec<&str> = std::iter::once(account.as_str()).chain(place.iter().copied()).collect();
    tx.keyring().seal_marker(key, &bound)
}
