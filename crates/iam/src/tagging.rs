//! Tags of roles, users and policies: set, removed and listed, of one thing or of several of a kind.
//!
//! Several in one call are asked about one by one ([`crate::authorize`]) and altered all or none.

use crate::command::{Paging, TagFilter, Tagged};
use crate::error::{Error, Quota};
use crate::output::{Output, TagView};
use crate::rows::*;
use crate::text::*;
use crate::tx::Tx;
use crate::{limits, listing, managed_policy, role, user};
use std::sync::Arc;

/// Sets tags; others stay.
pub fn tag(
    tx: &mut Tx<'_>,
    account: &AccountId,
    on: &Tagged,
    tags: &[(TagKey, TagValue)],
) -> Result<Output, Error> {
    tag_list(tx, account, tags)?;
    alter(tx, account, on, |stored| {
        for (key, value) in tags {
            stored.set(key.clone(), value.clone());
        }
    })
}

/// Removes tags by key, or all of them.
pub fn untag(
    tx: &mut Tx<'_>,
    account: &AccountId,
    on: &Tagged,
    keys: &[TagKey],
    all: bool,
) -> Result<Output, Error> {
    alter(tx, account, on, |stored| {
        if all {
            *stored = Tags::default();
        }
        keys.iter().for_each(|key| stored.remove(key));
    })
}

fn alter(
    tx: &mut Tx<'_>,
    account: &AccountId,
    on: &Tagged,
    change: impl Fn(&mut Tags),
) -> Result<Output, Error> {
    match on {
        Tagged::Roles(names) => {
            for name in names {
                let mut row = (*role::find(tx, account, name)?).clone();
                change(&mut row.tags);
                check(tx, account, &row.tags)?;
                role::store(tx, row);
            }
        }
        Tagged::Users(names) => {
            for name in names {
                let mut row = (*user::find(tx, account, name)?).clone();
                change(&mut row.tags);
                check(tx, account, &row.tags)?;
                tx.put(Row::User(row));
            }
        }
        Tagged::Policies(targets) => {
            for target in targets {
                let mut row = managed_policy::customer(tx, account, target)?;
                change(&mut row.tags);
                check(tx, account, &row.tags)?;
                tx.put(Row::Policy(row));
            }
        }
    }
    Ok(Output::Done)
}

/// The tags of what is named, or of all of a kind; with filters, only those that one of them fits,
/// of what all of them fit.
pub fn list(
    tx: &Tx<'_>,
    account: &AccountId,
    on: &Tagged,
    with: &[TagFilter],
    paging: &Paging,
) -> Result<Output, Error> {
    let mut rows: Vec<TagView> = Vec::new();
    for (bearer, id, tags) in bearers(tx, account, on)? {
        if !fits(&tags, with) {
            continue;
        }
        let shown = tags.iter().filter(|(key, value)| {
            with.is_empty() || with.iter().any(|filter| is_fit(filter, key, value))
        });
        rows.extend(shown.map(|(key, value)| TagView {
            bearer: bearer.clone(),
            id: id.clone(),
            key: key.clone(),
            value: value.clone(),
        }));
    }
    let place = place(on, with);
    let place: Vec<&str> = place.iter().map(String::as_str).collect();
    // Names are cut off by a character that sorts before all that they may hold.
    let key = |row: &TagView| {
        format!("{}\u{1}{}", Folded::of(&row.bearer).as_str(), row.key.as_str().to_lowercase())
    };
    rows.sort_by_cached_key(key);
    let page = listing::cut(tx, account, &place, paging, rows.into_iter(), key, |row| row)?;
    Ok(Output::Tags(page))
}

/// What names a listing of tags: a marker of one is none of another.
fn place(on: &Tagged, with: &[TagFilter]) -> Vec<String> {
    let (kind, names): (&str, Vec<String>) = match on {
        Tagged::Roles(names) => {
            ("role tags", names.iter().map(|n| n.folded().as_str().to_owned()).collect())
        }
        Tagged::Users(names) => {
            ("user tags", names.iter().map(|n| n.folded().as_str().to_owned()).collect())
        }
        Tagged::Policies(list) => ("policy tags", list.iter().map(|p| p.text.clone()).collect()),
    };
    let filters = with.iter().flat_map(|(key, value)| {
        let value = value.as_ref().map_or("any".to_owned(), |value| format!("={value}"));
        [key.to_string(), value]
    });
    std::iter::once(kind.to_owned())
        .chain(names)
        .chain(std::iter::once("with".to_owned()))
        .chain(filters)
        .collect()
}

/// What bears tags: its name, its id and them.
fn bearers(
    tx: &Tx<'_>,
    account: &AccountId,
    on: &Tagged,
) -> Result<Vec<(String, String, Tags)>, Error> {
    let of_role = |row: &Arc<Role>| (row.name.to_string(), row.id.to_string(), row.tags.clone());
    let of_user = |row: &Arc<User>| (row.name.to_string(), row.id.to_string(), row.tags.clone());
    let of_policy =
        |row: &ManagedPolicy| (row.name.to_string(), row.id.to_string(), row.tags.clone());
    let state = tx.state();
    match on {
        Tagged::Roles(names) if names.is_empty() => {
            Ok(state.roles_of(account, None).map(of_role).collect())
        }
        Tagged::Users(names) if names.is_empty() => {
            Ok(state.users_of(account, None).map(of_user).collect())
        }
        Tagged::Policies(list) if list.is_empty() => {
            Ok(state.policies_of(account, None).map(|row| of_policy(row)).collect())
        }
        Tagged::Roles(names) => {
            names.iter().map(|name| Ok(of_role(&role::find(tx, account, name)?))).collect()
        }
        Tagged::Users(names) => {
            names.iter().map(|name| Ok(of_user(&user::find(tx, account, name)?))).collect()
        }
        Tagged::Policies(list) => {
            let find = |target| Ok(of_policy(&managed_policy::customer(tx, account, target)?));
            list.iter().map(find).collect()
        }
    }
}

/// Whether tags hold one for every filter.
pub fn fits(tags: &Tags, with: &[TagFilter]) -> bool {
    with.iter().all(|filter| tags.iter().any(|(key, value)| is_fit(filter, key, value)))
}

fn is_fit((wanted, text): &TagFilter, key: &TagKey, value: &TagValue) -> bool {
    wanted == key && text.as_ref().is_none_or(|text| text == value)
}

/// Tags from a list. Errors: a key twice, too many.
pub fn tag_list(
    tx: &Tx<'_>,
    account: &AccountId,
    tags: &[(TagKey, TagValue)],
) -> Result<Tags, Error> {
    let tags = Tags::from_list(tags).ok_or(Error::DuplicateTags)?;
    check(tx, account, &tags)?;
    Ok(tags)
}

fn check(tx: &Tx<'_>, account: &AccountId, tags: &Tags) -> Result<(), Error> {
    let limit = limits::tags(tx.dialect(account)?);
    if tags.len() > limit {
        return Err(Error::QuotaExceeded(Quota::Tags, limit));
    }
    Ok(())
}
