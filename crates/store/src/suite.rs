//! The conformance suite: the contract of [`Store`] as checks that every engine runs.
//!
//! Checks answer with an error text instead of panicking, so a program can run them too. What
//! needs a failing disk is not here; see the crate's tests.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::{
    CommitError, Entry, EntryQuery, Page, Revision, Row, RowChange, Store, StoreError, Term,
    batch_id,
};

/// What went wrong in a check.
pub type Failure = String;

/// Makes stores for the checks.
pub trait Factory {
    /// The engine under test.
    type Store: Store;

    /// A new, empty store.
    fn create(&mut self) -> Result<Self::Store, StoreError>;

    /// The store that `create` made last, closed and opened again.
    fn reopen(&mut self, store: Self::Store) -> Result<Self::Store, StoreError>;
}

/// Runs every check.
///
/// Errors: the name of the first check that fails and what it found.
pub fn run<F: Factory>(factory: &mut F) -> Result<(), Failure> {
    empty(factory).map_err(|text| format!("empty: {text}"))?;
    commits_and_reopens(factory).map_err(|text| format!("commits_and_reopens: {text}"))?;
    conflicts(factory).map_err(|text| format!("conflicts: {text}"))?;
    races(factory).map_err(|text| format!("races: {text}"))?;
    records(factory).map_err(|text| format!("records: {text}"))?;
    pages(factory).map_err(|text| format!("pages: {text}"))?;
    look_ups(factory).map_err(|text| format!("look_ups: {text}"))?;
    forgets(factory).map_err(|text| format!("forgets: {text}"))?;
    odd_bytes(factory).map_err(|text| format!("odd_bytes: {text}"))?;
    model(factory).map_err(|text| format!("model: {text}"))
}

/// Waits for a future on this thread, without a runtime.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Every row and the revision they are of.
pub fn rows(store: &impl Store) -> Result<(Vec<Row>, Revision), StoreError> {
    let mut rows = Vec::new();
    let revision = wait(store.load(&mut |row| rows.push(row)))?;
    Ok((rows, revision))
}

/// The records of all entries, in order of position.
pub fn records_of(store: &impl Store) -> Result<Vec<Vec<u8>>, StoreError> {
    let (mut records, mut from) = (Vec::new(), 1);
    loop {
        let page = page(store, from, 100, false)?;
        records.extend(page.entries.into_iter().map(|entry| entry.record));
        match page.next {
            Some(next) => from = next,
            None => return Ok(records),
        }
    }
}

/// An entry that puts and deletes rows: `(table, key, value)`, a missing value deletes.
#[must_use]
pub fn entry(record: &str, changes: &[(u8, &str, Option<&str>)]) -> Entry {
    let changes = changes
        .iter()
        .map(|(table, key, value)| RowChange {
            table: *table,
            key: key.as_bytes().to_vec(),
            value: value.map(|value| value.as_bytes().to_vec()),
        })
        .collect();
    Entry { record: record.as_bytes().to_vec(), changes, ..Entry::default() }
}

fn page(store: &impl Store, from: u64, limit: usize, backwards: bool) -> Result<Page, StoreError> {
    let query = match backwards {
        true => EntryQuery::backwards(from, limit),
        false => EntryQuery::forwards(from, limit),
    };
    wait(store.entries(&query))
}

fn text(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}

fn expect<T: PartialEq + std::fmt::Debug>(found: T, wanted: T) -> Result<(), Failure> {
    if found == wanted { Ok(()) } else { Err(format!("found {found:?}, wanted {wanted:?}")) }
}

fn row(table: u8, key: &str, value: &str) -> Row {
    Row { table, key: key.as_bytes().to_vec(), value: value.as_bytes().to_vec() }
}

fn empty<F: Factory>(factory: &mut F) -> Result<(), Failure> {
    let mut store = factory.create().map_err(text)?;
    for _ in 0..2 {
        expect(rows(&store).map_err(text)?, (vec![], 0))?;
        expect(page(&store, 0, 10, false).map_err(text)?, Page::default())?;
        expect(page(&store, u64::MAX, 10, true).map_err(text)?, Page::default())?;
        expect(wait(store.last_commit()).map_err(text)?, crate::LastCommit::default())?;
        store = factory.reopen(store).map_err(text)?;
    }
    Ok(())
}

fn commits_and_reopens<F: Factory>(factory: &mut F) -> Result<(), Failure> {
    let store = factory.create().map_err(text)?;
    let first = [
        entry("one", &[(1, "b", Some("1")), (1, "a", Some("2")), (0, "z", Some("3"))]),
        entry("two", &[(1, "b", Some("4")), (2, "gone", Some("5")), (2, "gone", None)]),
        entry("three", &[]),
    ];
    expect(wait(store.commit(0, &first)).map_err(text)?, 1)?;
    let wanted = vec![row(0, "z", "3"), row(1, "a", "2"), row(1, "b", "4")];
    expect(rows(&store).map_err(text)?, (wanted.clone(), 1))?;
    let store = factory.reopen(store).map_err(text)?;
    expect(rows(&store).map_err(text)?, (wanted, 1))?;
    let last = wait(store.last_commit()).map_err(text)?;
    expect((last.revision, last.batch), (1, batch_id(0, &first)))?;
    let second = [entry("four", &[(1, "a", None), (1, "never", None), (0, "z", Some("6"))])];
    expect(wait(store.commit(1, &second)).map_err(text)?, 2)?;
    expect(wait(store.commit(2, &[])).map_err(text)?, 3)?;
    let store = factory.reopen(store).map_err(text)?;
    expect(rows(&store).map_err(text)?, (vec![row(0, "z", "6"), row(1, "b", "4")], 3))?;
    let held = page(&store, 1, 10, false).map_err(text)?;
    let held: Vec<_> = held.entries.iter().map(|e| (e.position, e.revision)).collect();
    expect(held, vec![(1, 1), (2, 1), (3, 1), (4, 2)])?;
    let last = wait(store.last_commit()).map_err(text)?;
    expect((last.revision, last.batch), (3, batch_id(2, &[])))
}

fn conflicts<F: Factory>(factory: &mut F) -> Result<(), Failure> {
    let store = factory.create().map_err(text)?;
    let put = |value: &str| [entry(value, &[(1, "k", Some(value))])];
    expect(wait(store.commit(0, &put("a"))), Ok(1))?;
    for after in [0, 2, u64::MAX] {
        let conflict = Err(CommitError::Conflict { last: 1 });
        expect(wait(store.commit(after, &put("lost"))), conflict)?;
    }
    expect(rows(&store).map_err(text)?, (vec![row(1, "k", "a")], 1))?;
    expect(wait(store.commit(1, &put("b"))), Ok(2))?;
    let store = factory.reopen(store).map_err(text)?;
    expect(wait(store.commit(1, &put("c"))), Err(CommitError::Conflict { last: 2 }))?;
    expect(records_of(&store).map_err(text)?, vec![b"a".to_vec(), b"b".to_vec()])
}

/// Many threads commit by compare-and-swap; every revision is won exactly once.
fn races<F: Factory>(factory: &mut F) -> Result<(), Failure> {
    const THREADS: u8 = 4;
    const COMMITS: u64 = 10;
    let store = factory.create().map_err(text)?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let store = &store;
                scope.spawn(move || -> Result<(), Failure> {
                    let (mut after, mut won) = (0, 0);
                    while won < COMMITS {
                        let name = format!("{thread}-{won}");
                        match wait(
                            store.commit(after, &[entry(&name, &[(thread, &name, Some(""))])]),
                        ) {
                            Ok(revision) => (after, won) = (revision, won + 1),
                            Err(CommitError::Conflict { last }) => after = last,
                            Err(error) => return Err(text(error)),
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
    })?;
    let total = u64::from(THREADS) * COMMITS;
    let (held, revision) = rows(&store).map_err(text)?;
    expect((held.len() as u64, revision), (total, total))?;
    let entries = page(&store, 1, 1000, false).map_err(text)?.entries;
    let wanted: Vec<_> = (1..=total).map(|n| (n, n)).collect();
    expect(entries.iter().map(|e| (e.position, e.revision)).collect::<Vec<_>>(), wanted)
}

fn records<F: Factory>(factory: &mut F) -> Result<(), Failure> {
    let store = factory.create().map_err(text)?;
    expect(wait(store.record(&[entry("r1", &[]), entry("r2", &[])])), Ok(()))?;
    expect(wait(store.commit(0, &[entry("c1", &[(1, "k", Some("v"))])])), Ok(1))?;
    expect(wait(store.record(&[entry("r3", &[])])), Ok(()))?;
    expect(wait(store.record(&[])), Ok(()))?;
    let refused = wait(store.record(&[entry("ok", &[]), entry("no", &[(1, "k", None)])]));
    if !matches!(refused, Err(StoreError::Refused(_))) {
        return Err(format!("a recorded change was answered with {refused:?}"));
    }
    // A refusal is no doubt: writing goes on, and nothing of it was kept.
    expect(wait(store.commit(1, &[entry("c2", &[])])), Ok(2))?;
    let store = factory.reopen(store).map_err(text)?;
    let entries = page(&store, 0, 10, false).map_err(text)?.entries;
    let found: Vec<_> = entries
        .iter()
        .map(|e| (e.position, e.revision, String::from_utf8_lossy(&e.record).into_owned()))
        .collect();
    let wanted = [(1, 0, "r1"), (2, 0, "r2"), (3, 1, "c1"), (4, 1, "r3"), (5, 2, "c2")];
    expect(found, wanted.map(|(p, r, name)| (p, r, name.to_owned())).to_vec())
}

fn pages<F: Factory>(factory: &mut F) -> Result<(), Failure> {
    let store = factory.create().map_err(text)?;
    let mut next = 1_u64;
    for (revision, length) in [3, 1, 7, 2, 4].into_iter().enumerate() {
        let batch: Vec<_> = (0..length).map(|n| entry(&(next + n).to_string(), &[])).collect();
        next += length;
        wait(store.commit(revision as u64, &batch)).map_err(text)?;
    }
    let all: Vec<u64> = (1..next).collect();
    for limit in [0, 1, 2, 3, 5, 16, 17, 100] {
        for backwards in [false, true] {
            let mut wanted = all.clone();
            let mut from = if backwards { u64::MAX } else { 0 };
            if backwards {
                wanted.reverse();
            }
            let mut found = Vec::new();
            loop {
                let page = page(&store, from, limit, backwards).map_err(text)?;
                if page.entries.len() > limit.max(1) {
                    return Err(format!("{} entries for a limit of {limit}", page.entries.len()));
                }
                found.extend(page.entries.iter().map(|entry| entry.position));
                match page.next {
                    Some(next) => from = next,
                    None => break,
                }
            }
            expect(found, wanted)?;
        }
    }
    let tail = page(&store, next, 10, false).map_err(text)?;
    expect(tail, Page::default())?;
    let middle = page(&store, 6, 2, true).map_err(text)?;
    expect(middle.entries.iter().map(|e| e.position).collect::<Vec<_>>(), vec![6, 5])?;
    expect(middle.next, Some(4))
}

/// What is found by terms is what a look through everything finds, whatever the bounds and pages.
fn look_ups<F: Factory>(factory: &mut F) -> Result<(), Failure> {
    let mut dice = crate::disk::Dice(5);
    let mut store = factory.create().map_err(text)?;
    let name = |n: u64| Term::of("name", n.to_string());
    let mut bears: Vec<Vec<u64>> = Vec::new();
    for round in 0..12 {
        let batch: Vec<Entry> = (0..1 + dice.roll() % 40)
            .map(|_| {
                let mine: Vec<u64> =
                    (1..8).filter(|n| dice.roll().is_multiple_of(*n * *n)).collect();
                bears.push(mine.clone());
                let terms = mine.into_iter().map(name).collect();
                Entry { record: bears.len().to_be_bytes().to_vec(), terms, ..Entry::default() }
            })
            .collect();
        wait(store.record(&batch)).map_err(text)?;
        if round % 5 == 4 {
            store = factory.reopen(store).map_err(text)?;
        }
    }
    let length = bears.len() as u64;
    for wanted in [vec![1], vec![7], vec![2, 3], vec![1, 4, 5], vec![9], vec![1, 9]] {
        for (low, high) in [(0, u64::MAX), (1, length), (30, length / 2), (length, 3)] {
            for (limit, backwards) in [(1, false), (3, true), (100, false), (100, true)] {
                let is_in = |(n, mine): &(u64, &Vec<u64>)| {
                    (low..=high).contains(n) && wanted.iter().all(|w| mine.contains(w))
                };
                let mut all: Vec<u64> =
                    (1..).zip(&bears).filter(is_in).map(|(position, _)| position).collect();
                let (mut from, to) = if backwards { (high, low) } else { (low, high) };
                if backwards {
                    all.reverse();
                }
                let mut found = Vec::new();
                loop {
                    let terms = wanted.iter().copied().map(name).collect();
                    let query = EntryQuery { from, to, limit, backwards, terms };
                    let page = wait(store.entries(&query)).map_err(text)?;
                    if page.entries.len() > limit {
                        return Err(format!("{} entries for {limit}", page.entries.len()));
                    }
                    found.extend(page.entries.iter().map(|entry| entry.position));
                    match page.next {
                        Some(next) => from = next,
                        None => break,
                    }
                }
                expect(found, all).map_err(|e| format!("{wanted:?} {low}..{high}: {e}"))?;
            }
        }
    }
    Ok(())
}

/// Whole segments go, and nothing else does.
fn forgets<F: Factory>(factory: &mut F) -> Result<(), Failure> {
    let store = factory.create().map_err(text)?;
    let term = Term::of("even", "yes");
    let length = crate::SEGMENT * 2 + 100;
    let mut sent = 0_u64;
    while sent < length {
        let batch: Vec<Entry> = (sent + 1..=length.min(sent + 500))
            .map(|n| Entry {
                record: n.to_be_bytes().to_vec(),
                terms: if n.is_multiple_of(2) { vec![term] } else { vec![] },
                changes: vec![],
            })
            .collect();
        sent += batch.len() as u64;
        wait(store.record(&batch)).map_err(text)?;
    }
    expect(wait(store.forget(0)), Ok(1))?;
    expect(wait(store.forget(crate::SEGMENT)), Ok(1))?;
    expect(wait(store.first_entry()), Ok(1))?;
    let kept = crate::SEGMENT + 1;
    expect(wait(store.forget(kept + 5)), Ok(kept))?;
    let store = factory.reopen(store).map_err(text)?;
    expect(wait(store.first_entry()), Ok(kept))?;
    expect(wait(store.forget(1)), Ok(kept))?;
    expect(
        page(&store, 0, 1, false).map_err(text)?.entries.first().map(|e| e.position),
        Some(kept),
    )?;
    let count = |terms: Vec<Term>| -> Result<(u64, Option<u64>), Failure> {
        let (mut from, mut count, mut last) = (u64::MAX, 0, None);
        loop {
            let query = EntryQuery { terms: terms.clone(), ..EntryQuery::backwards(from, 5_000) };
            let page = wait(store.entries(&query)).map_err(text)?;
            count += page.entries.len() as u64;
            last = page.entries.last().map(|entry| entry.position).or(last);
            match page.next {
                Some(next) => from = next,
                None => return Ok((count, last)),
            }
        }
    };
    let left = length - crate::SEGMENT;
    expect(count(vec![])?, (left, Some(kept)))?;
    expect(count(vec![term])?, (left / 2, Some(kept + 1)))?;
    // What comes after goes on counting.
    wait(store.record(&[entry("more", &[])])).map_err(text)?;
    expect(
        page(&store, u64::MAX, 1, true).map_err(text)?.entries.first().map(|e| e.position),
        Some(length + 1),
    )?;
    expect(wait(store.forget(u64::MAX)), Ok(crate::SEGMENT * 2 + 1))
}

fn odd_bytes<F: Factory>(factory: &mut F) -> Result<(), Failure> {
    let store = factory.create().map_err(text)?;
    let mut wanted = Vec::new();
    let mut changes = Vec::new();
    for table in [0, 1, 255] {
        for key in [vec![], vec![0], vec![0, 0], vec![255], vec![255; 300]] {
            for value in [vec![], vec![0; 100_000]] {
                changes.push(RowChange { table, key: key.clone(), value: Some(value.clone()) });
                if !value.is_empty() {
                    wanted.push(Row { table, key: key.clone(), value });
                }
            }
        }
    }
    changes.push(RowChange { table: 7, key: vec![], value: Some(vec![]) });
    wanted.push(Row { table: 7, key: vec![], value: vec![] });
    wanted.sort();
    let batch = [
        Entry { changes, ..Entry::default() },
        Entry { record: vec![0xff; 70_000], ..Entry::default() },
    ];
    expect(wait(store.commit(0, &batch)), Ok(1))?;
    let store = factory.reopen(store).map_err(text)?;
    if rows(&store).map_err(text)? != (wanted, 1) {
        return Err("rows with odd bytes read back otherwise".to_owned());
    }
    // The first changed rows only: it is not in the log.
    expect(records_of(&store).map_err(text)?, vec![vec![0xff; 70_000]])
}

/// A seeded run of everything against a plain map, with reopenings.
fn model<F: Factory>(factory: &mut F) -> Result<(), Failure> {
    let mut dice = crate::disk::Dice(11);
    let mut store = factory.create().map_err(text)?;
    let mut held: BTreeMap<(u8, Vec<u8>), Vec<u8>> = BTreeMap::new();
    let (mut log, mut revision) = (Vec::new(), 0);
    for step in 0..120_u64 {
        match dice.roll() % 8 {
            0 => store = factory.reopen(store).map_err(text)?,
            1 => {
                let event = Entry { record: step.to_be_bytes().to_vec(), ..Entry::default() };
                log.push(event.record.clone());
                wait(store.record(&[event])).map_err(text)?;
            }
            _ => {
                let mut batch = Vec::new();
                for _ in 0..dice.roll() % 4 {
                    let table = u8::from(dice.roll().is_multiple_of(2));
                    let key = (dice.roll() % 20).to_be_bytes().to_vec();
                    let value = (!dice.roll().is_multiple_of(3))
                        .then(|| dice.roll().to_be_bytes().to_vec());
                    match &value {
                        Some(value) => held.insert((table, key.clone()), value.clone()),
                        None => held.remove(&(table, key.clone())),
                    };
                    let mut record = dice.roll().to_be_bytes().to_vec();
                    match dice.roll().is_multiple_of(4) {
                        true => record.clear(),
                        false => log.push(record.clone()),
                    }
                    let changes = vec![RowChange { table, key, value }];
                    batch.push(Entry { record, changes, ..Entry::default() });
                }
                revision = wait(store.commit(revision, &batch)).map_err(text)?;
            }
        }
    }
    let wanted: Vec<_> =
        held.into_iter().map(|((table, key), value)| Row { table, key, value }).collect();
    expect(rows(&store).map_err(text)?, (wanted, revision))?;
    expect(records_of(&store).map_err(text)?, log)
}
