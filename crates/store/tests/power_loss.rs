//! Power loss, failing calls, failing syncs and flipped bits under the embedded engine.
//!
//! The rule everywhere: after a reload the state is what was acknowledged, or that plus the one
//! batch in flight, whole; or the store refuses with a clear error. A wrong answer fails the test.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};

use store::disk::{Dice, Disk, Failure};
use store::suite::{records_of, rows, wait};
use store::{
    CommitError, Embedded, Entry, EntryQuery, Revision, Row, RowChange, Store, StoreError, Term,
    batch_id, fsck_backend,
};

/// What a store holds, as a test can compare it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    rows: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
    records: Vec<Vec<u8>>,
    /// How many entries were forgotten.
    forgotten: usize,
    revision: Revision,
}

/// Entries in a segment of the index, here.
const SEGMENT: usize = 16;

impl State {
    fn apply(&mut self, step: &Step) {
        let (Step::Commit(batch) | Step::Record(batch)) = step else {
            let whole = (self.forgotten + self.records.len()) / SEGMENT * SEGMENT;
            self.records.drain(..whole - self.forgotten);
            self.forgotten = whole;
            return;
        };
        for change in batch.iter().flat_map(|entry| &entry.changes) {
            let key = (change.table, change.key.clone());
            match &change.value {
                Some(value) => self.rows.insert(key, value.clone()),
                None => self.rows.remove(&key),
            };
        }
        self.records.extend(batch.iter().map(|entry| entry.record.clone()));
        self.revision += u64::from(matches!(step, Step::Commit(_)));
    }

    fn of(store: &Embedded) -> Result<Self, StoreError> {
        let (held, revision) = rows(store)?;
        let rows = held
            .into_iter()
            .map(|Row { table, key, value }| ((table, key), value))
            .collect::<BTreeMap<_, _>>();
        let records = records_of(store)?;
        check_look_ups(store, &records)?;
        let forgotten = usize::try_from(wait(store.first_entry())? - 1).unwrap();
        Ok(Self { rows, records, forgotten, revision })
    }
}

/// Every look-up finds what a look through everything finds.
fn check_look_ups(store: &Embedded, records: &[Vec<u8>]) -> Result<(), StoreError> {
    let firsts: BTreeSet<u8> = records.iter().map(|record| record[0]).collect();
    let of = |first| (Term::of("first", &u8::to_string(&first)), Some(first));
    for (term, first) in firsts.into_iter().map(of).chain([(Term::of("all", ""), None)]) {
        let query = EntryQuery { terms: vec![term], ..EntryQuery::forwards(1, records.len() + 1) };
        let page = wait(store.entries(&query))?;
        let found: Vec<_> = page.entries.into_iter().map(|entry| entry.record).collect();
        let wanted: Vec<_> =
            records.iter().filter(|r| first.is_none_or(|first| r[0] == first)).cloned().collect();
        assert_eq!(found, wanted, "{first:?}");
    }
    Ok(())
}

enum Step {
    Commit(Vec<Entry>),
    Record(Vec<Entry>),
    /// Forgets all that can be.
    Forget,
}

/// A seeded workload: small and large values, overwrites, deletions, recorded events.
fn steps(seed: u64, count: usize) -> Vec<Step> {
    let mut dice = Dice(seed);
    (0..count)
        .map(|_| {
            if dice.roll().is_multiple_of(16) {
                return Step::Forget;
            }
            if dice.roll().is_multiple_of(4) {
                let record = dice.roll().to_be_bytes().repeat(9);
                let terms = vec![Term::of("first", &record[0].to_string()), Term::of("all", "")];
                return Step::Record(vec![Entry { record, terms, changes: vec![] }]);
            }
            let batch = (0..1 + dice.roll() % 3).map(|_| {
                let length = if dice.roll().is_multiple_of(8) { 9_000 } else { 60 };
                let value = (!dice.roll().is_multiple_of(4))
                    .then(|| vec![dice.roll().to_be_bytes()[0]; length]);
                let key = (dice.roll() % 12).to_be_bytes().to_vec();
                let record = dice.roll().to_be_bytes().repeat(5);
                let changes = vec![RowChange { table: 1, key, value }];
                let terms = vec![Term::of("first", &record[0].to_string()), Term::of("all", "")];
                Entry { record, terms, changes }
            });
            Step::Commit(batch.collect())
        })
        .collect()
}

/// How a run ended.
struct Run {
    /// Every acknowledged step applied.
    acknowledged: State,
    /// The same and the step in flight, if one failed.
    in_flight: Option<State>,
}

/// Runs the steps until one fails; checks that nothing is written after that.
fn perform(store: &Embedded, from: State, steps: &[Step], mut each: impl FnMut(&State)) -> Run {
    let mut acknowledged = from;
    for step in steps {
        let after = acknowledged.revision;
        let done = match step {
            Step::Commit(batch) => wait(store.commit(after, batch)).map(|_| ()),
            Step::Record(events) => wait(store.record(events)).map_err(CommitError::Failed),
            Step::Forget => wait(store.forget(u64::MAX)).map(drop).map_err(CommitError::Failed),
        };
        match done {
            Ok(()) => {
                acknowledged.apply(step);
                each(&acknowledged);
            }
            Err(CommitError::Conflict { last }) => panic!("conflict with {last}"),
            Err(CommitError::Failed(_)) => {
                for _ in 0..2 {
                    let again = wait(store.commit(after, &[]));
                    assert_eq!(again, Err(CommitError::Failed(StoreError::Stopped)));
                    assert_eq!(wait(store.record(&[])), Err(StoreError::Stopped));
                }
                let mut in_flight = acknowledged.clone();
                in_flight.apply(step);
                return Run { acknowledged, in_flight: Some(in_flight) };
            }
        }
    }
    Run { acknowledged, in_flight: None }
}

/// Opens what a crash left and holds it against the run; false if it was refused clearly.
fn check_reload(disk: &Disk, run: &Run, what: &str) -> bool {
    let state = match Embedded::open_on(disk.clone()).and_then(|store| State::of(&store)) {
        Ok(state) => state,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    let whole = run.in_flight.as_ref().is_some_and(|in_flight| state == *in_flight);
    assert!(state == run.acknowledged || whole, "{what}: another state");
    let report = fsck_backend(disk.clone()).unwrap();
    assert!(report.is_sound(), "{what}: {report:?}");
    true
}

fn fresh() -> (Disk, Embedded) {
    let disk = Disk::new();
    let store = Embedded::create_with_segments(disk.clone(), SEGMENT as u64).unwrap();
    (disk, store)
}

#[test]
fn no_answer_precedes_its_sync() {
    let (disk, store) = fresh();
    let mut syncs = disk.syncs();
    let mut last = State::default();
    let run = perform(&store, State::default(), &steps(1, 60), |state| {
        let nothing_new = std::mem::replace(&mut last, state.clone()) == *state;
        assert!(nothing_new || disk.syncs() > syncs, "answered without a sync");
        syncs = disk.syncs();
        // The hardest crash right after the answer: everything unsynced is gone.
        let survivor = disk.crash(None);
        let run = Run { acknowledged: state.clone(), in_flight: None };
        assert!(check_reload(&survivor, &run, "after an answer"), "refused");
    });
    assert!(run.in_flight.is_none());
    assert_eq!(State::of(&store).unwrap(), run.acknowledged, "the control run");
}

#[test]
fn atk_x03_unsynced_writes_lost_or_torn() {
    let steps = steps(2, 25);
    let calls = {
        let (disk, store) = fresh();
        perform(&store, State::default(), &steps, |_| {});
        disk.calls()
    };
    let start = {
        let (disk, _store) = fresh();
        disk.calls()
    };
    let (mut opened, mut crashes) = (0, 0);
    for at in start + 1..=calls {
        let (disk, store) = fresh();
        disk.fail(Failure::From(at));
        let run = perform(&store, State::default(), &steps, |_| {});
        for seed in [None, Some(at), Some(at + 1_000_000), Some(at + 2_000_000)] {
            crashes += 1;
            opened +=
                u64::from(check_reload(&disk.crash(seed), &run, &format!("call {at}, {seed:?}")));
        }
    }
    assert!(crashes > 500, "{crashes}");
    // Refusing is allowed, but two-phase commit should hardly ever need it.
    assert!(opened * 100 >= crashes * 99, "only {opened} of {crashes} opened");
}

#[test]
fn atk_x03_a_second_crash_during_recovery() {
    let steps = steps(3, 12);
    let (disk, store) = fresh();
    let calls = disk.calls();
    disk.fail(Failure::From(calls + 90));
    let run = perform(&store, State::default(), &steps, |_| {});
    assert!(run.in_flight.is_some());
    let crashed = disk.crash(Some(5));
    assert!(check_reload(&Disk::holding(crashed.bytes()), &run, "the control"));
    for at in 1..200 {
        let again = Disk::holding(crashed.bytes());
        again.fail(Failure::From(at));
        let finished = Embedded::open_on(again.clone()).is_ok();
        check_reload(&again.crash(Some(at)), &run, &format!("second crash at call {at}"));
        if finished {
            break;
        }
    }
}

#[test]
fn atk_x06_a_failed_sync_is_never_an_answer() {
    let steps = steps(4, 12);
    let (disk, store) = fresh();
    let first = disk.syncs() + 1;
    let control = perform(&store, State::default(), &steps, |_| {});
    assert!(control.in_flight.is_none());
    let last = disk.syncs();
    for nth in first..=last {
        for failure in [Failure::Sync(nth), Failure::SyncFrom(nth)] {
            let (disk, store) = fresh();
            disk.fail(failure);
            let run = perform(&store, State::default(), &steps, |_| {});
            assert!(run.in_flight.is_some(), "{failure:?} was answered as success");
            for seed in [None, Some(nth)] {
                check_reload(&disk.crash(seed), &run, &format!("{failure:?}"));
            }
        }
    }
}

#[test]
fn atk_x07_the_nth_call_fails() {
    let steps = steps(5, 20);
    let (disk, store) = fresh();
    let control = perform(&store, State::default(), &steps, |_| {});
    assert!(control.in_flight.is_none());
    drop(store);
    let calls = disk.calls();
    for nth in 1..=calls {
        let disk = Disk::new();
        disk.fail(Failure::Once(nth));
        let Ok(store) = Embedded::create_with_segments(disk.clone(), SEGMENT as u64) else {
            continue;
        };
        let run = perform(&store, State::default(), &steps, |_| {});
        // Reads after the failure answer right or not at all.
        if let Ok(state) = State::of(&store) {
            let whole = run.in_flight.as_ref().is_some_and(|in_flight| state == *in_flight);
            assert!(state == run.acknowledged || whole, "call {nth}: a wrong read");
        }
        drop(store);
        // The process ends; the disk keeps all it was given, or loses what was not synced.
        check_reload(&disk.crash(None), &run, &format!("call {nth}, cut"));
        check_reload(&Disk::holding(disk.bytes()), &run, &format!("call {nth}, kept"));
    }
}

#[test]
fn a_lost_answer_is_resolved_by_the_batch_id() {
    let batch = vec![Entry {
        terms: vec![],
        record: b"in flight".to_vec(),
        changes: vec![RowChange { table: 1, key: b"k".to_vec(), value: Some(b"v".to_vec()) }],
    }];
    let (disk, store) = fresh();
    let start = disk.calls();
    wait(store.commit(0, &batch)).unwrap();
    let calls = disk.calls();
    let mut seen = [0, 0];
    for nth in start + 1..=calls {
        let (disk, store) = fresh();
        disk.fail(Failure::From(nth));
        wait(store.commit(0, &batch)).unwrap_err();
        for crashed in [disk.crash(None), Disk::holding(disk.bytes())] {
            let store = Embedded::open_on(crashed).unwrap();
            let last = wait(store.last_commit()).unwrap();
            let stored = last.batch == batch_id(0, &batch);
            assert_eq!(last.revision, u64::from(stored));
            assert_eq!(rows(&store).unwrap().0.len(), usize::from(stored));
            seen[usize::from(stored)] += 1;
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "both outcomes were met: {seen:?}");
}

/// A cleanly closed store with some history.
fn closed() -> (Vec<u8>, State) {
    let (disk, store) = fresh();
    let mut steps = steps(6, 80);
    steps.retain(|step| !matches!(step, Step::Forget));
    let run = perform(&store, State::default(), &steps, |_| {});
    drop(store);
    (disk.bytes(), run.acknowledged)
}

/// True if the flip was found or changed nothing that can be read.
fn found_or_harmless(bytes: &[u8], bit: usize, state: &State) -> bool {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    let Ok(store) = Embedded::open_on(Disk::holding(flipped)) else {
        return true;
    };
    let harmless = State::of(&store).map_or(true, |read| read == *state);
    // Over a damaged list of free pages redb may end the process when it closes the file, which
    // loses nothing that was answered; here it would end the test.
    std::mem::forget(store);
    harmless
}

/// The same by the offline check, on a file that nobody opened since.
fn fsck_finds_or_harmless(bytes: &[u8], bit: usize, state: &State) -> bool {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    let Ok(report) = fsck_backend(Disk::holding(flipped)) else {
        return true;
    };
    !report.is_sound()
        || (report.revision, report.rows, report.entries)
            == (state.revision, state.rows.len() as u64, state.records.len() as u64)
}

#[test]
fn atk_x04_flipped_bits() {
    let (bytes, state) = closed();
    let disk = Disk::holding(bytes.clone());
    assert!(fsck_backend(disk.clone()).unwrap().is_sound(), "the control");
    assert_eq!(State::of(&Embedded::open_on(disk).unwrap()).unwrap(), state);
    let mut dice = Dice(7);
    // The header whole, random places after it.
    let header = 0..64 * 8 + 2 * 128 * 8;
    let random: Vec<usize> = (0..500)
        .map(|_| usize::try_from(dice.roll()).unwrap_or_default() % (bytes.len() * 8))
        .collect();
    let missed: Vec<usize> = header
        .chain(random)
        .filter(|bit| {
            !found_or_harmless(&bytes, *bit, &state)
                || !fsck_finds_or_harmless(&bytes, *bit, &state)
        })
        .collect();
    assert!(missed.is_empty(), "bits {missed:?} of {} were not found", bytes.len() * 8);
}

#[test]
fn a_flipped_row_or_entry_is_named() {
    let (disk, store) = fresh();
    let value = b"find-this-value".to_vec();
    let changes = vec![RowChange { table: 1, key: b"k".to_vec(), value: Some(value.clone()) }];
    let record = b"find-this-entry".to_vec();
    let entry = Entry { record: record.clone(), changes, ..Entry::default() };
    wait(store.commit(0, &[entry])).unwrap();
    drop(store);
    for (needle, what) in [(value, "a row"), (record, "the entries from position 1")] {
        let mut bytes = disk.bytes();
        let places: Vec<usize> = (0..bytes.len() - needle.len())
            .filter(|at| bytes[*at..].starts_with(&needle))
            .collect();
        assert!(!places.is_empty());
        for at in places {
            bytes[at] ^= 1;
        }
        let opened = Embedded::open_on(Disk::holding(bytes));
        let error = opened.and_then(|store| State::of(&store)).unwrap_err();
        assert!(matches!(&error, StoreError::Damaged(text) if text.contains(what)), "{error}");
    }
}

#[test]
fn a_missing_row_or_entry_is_found() {
    use redb::{Database, TableDefinition};
    const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");
    const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("entries");
    let (bytes, state) = closed();
    let damaged = |harm: &dyn Fn(&redb::WriteTransaction)| {
        let disk = Disk::holding(bytes.clone());
        let database = Database::builder().create_with_backend(disk.clone()).unwrap();
        let transaction = database.begin_write().unwrap();
        harm(&transaction);
        transaction.commit().unwrap();
        drop(database);
        let report = fsck_backend(disk.clone()).unwrap();
        let read = Embedded::open_on(disk).and_then(|store| State::of(&store));
        (report.is_sound(), read)
    };
    assert_eq!(damaged(&|_| {}), (true, Ok(state)), "the control");
    let harms: [&dyn Fn(&redb::WriteTransaction); 4] = [
        &|t| drop(t.open_table(ROWS).unwrap().pop_first().unwrap()),
        &|t| {
            // An older value of a row, under its right checksum, as a stale page would show it.
            let mut rows = t.open_table(ROWS).unwrap();
            let (key, stored) = {
                let (key, stored) = rows.pop_last().unwrap().unwrap();
                (key.value().to_vec(), stored.value().to_vec())
            };
            assert!(!stored.is_empty());
            rows.insert(key.as_slice(), sealed(&key, b"older").as_slice()).unwrap();
        },
        &|t| drop(t.open_table(ENTRIES).unwrap().pop_first().unwrap()),
        &|t| drop(t.open_table(ENTRIES).unwrap().pop_last().unwrap()),
    ];
    for (number, harm) in harms.iter().enumerate() {
        let (sound, read) = damaged(harm);
        assert!(!sound, "harm {number}");
        assert!(matches!(read, Err(StoreError::Damaged(_))), "harm {number}: {read:?}");
    }
}

/// A value under its checksum, as the engine stores it.
fn sealed(key: &[u8], value: &[u8]) -> Vec<u8> {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    hash.update((key.len() as u64).to_be_bytes());
    hash.update(key);
    hash.update(value);
    [&hash.finalize()[..8], value].concat()
}

#[test]
fn an_index_that_says_something_else_is_found() {
    use redb::{Database, TableDefinition};
    const INDEX: TableDefinition<'static, (u64, u8), &[u8]> = TableDefinition::new("index");
    let (bytes, state) = closed();
    assert!(state.records.len() > 32, "two segments are whole");
    let number = {
        let store = Embedded::open_on(Disk::holding(bytes.clone())).unwrap();
        check_look_ups(&store, &state.records).unwrap();
        let disk = Disk::holding(bytes.clone());
        let database = Database::builder().create_with_backend(disk).unwrap();
        let transaction = database.begin_write().unwrap();
        let index = transaction.open_table(INDEX).unwrap();
        use redb::ReadableTable;
        let full = |n: &u8| index.get((0, *n)).unwrap().unwrap().value().len() > 8;
        (0..=255_u8).find(full).unwrap()
    };
    let key = [b"index".as_slice(), &0_u64.to_be_bytes(), &[number]].concat();
    let harms: [(&str, Option<Vec<u8>>); 3] = [
        ("a bucket is gone", None),
        ("a bucket is empty, under its right checksum", Some(sealed(&key, b""))),
        ("a bucket is another's", Some(sealed(b"other", b""))),
    ];
    for (what, value) in harms {
        let disk = Disk::holding(bytes.clone());
        let database = Database::builder().create_with_backend(disk.clone()).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut index = transaction.open_table(INDEX).unwrap();
            match &value {
                Some(value) => drop(index.insert((0, number), value.as_slice()).unwrap()),
                None => drop(index.remove((0, number)).unwrap()),
            }
        }
        transaction.commit().unwrap();
        drop(database);
        assert!(!fsck_backend(disk).unwrap().is_sound(), "{what}");
    }
    assert!(fsck_backend(Disk::holding(bytes)).unwrap().is_sound(), "the control");
}
