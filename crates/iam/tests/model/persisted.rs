//! The same traces with every call stored by the embedded engine on a disk that loses power:
//! between two calls, and in the middle of one.

use crate::code::common::*;
use crate::code::{Keeper, Sim, Start, Tally};
use iam::rows::{Change, Row};
use iam::state::State;
use std::fmt;
use store::disk::{Disk, Failure};
use store::suite::wait;
use store::{CommitError, Embedded, Entry, RowChange, Store};

/// How often power went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Losses {
    between: u64,
    during: u64,
    kept: u64,
    gone: u64,
}

impl Losses {
    pub fn check(&self) {
        let all = [self.between, self.during, self.gone];
        assert!(all.iter().all(|count| *count > 0), "{self}");
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { between, during, kept, gone } = self;
        write!(
            f,
            "power lost {between} times between calls and {during} times within one, which then \
             was there {kept} times and not there {gone} times"
        )
    }
}

/// A store on a disk that can lose power.
#[derive(Default)]
pub struct OnDisk {
    store: Option<Embedded>,
    disk: Disk,
    revision: u64,
    dice: Option<Dice>,
    losses: Losses,
}

fn entry(changes: &[Change]) -> Entry {
    let changes = changes.iter().map(|change| {
        let (table, key, value) = change.encode().unwrap();
        RowChange { table, key, value }
    });
    Entry { record: b"{}".to_vec(), changes: changes.collect(), ..Entry::default() }
}

impl OnDisk {
    fn holding(state: &State, seed: u64) -> Self {
        let disk = Disk::new();
        let store = Embedded::create_on(disk.clone()).unwrap();
        let rows: Vec<Change> = state.rows().into_iter().map(Change::Put).collect();
        let revision = wait(store.commit(0, &[entry(&rows)])).unwrap();
        let dice = Some(Dice(seed ^ 0x5eed));
        Self { store: Some(store), disk, revision, dice, losses: Losses::default() }
    }

    fn roll(&mut self, n: u64) -> u64 {
        self.dice.as_mut().map_or(0, |dice| dice.below(n))
    }

    /// Power goes; what is there afterwards.
    fn lose_power(&mut self) -> State {
        let seed = self.roll(4);
        let seed = if seed == 0 { None } else { Some(self.roll(u64::MAX)) };
        let disk = self.disk.crash(seed);
        self.store = None;
        let store = Embedded::open_on(disk.clone()).unwrap();
        let mut state = State::default();
        self.revision = wait(store.load(&mut |row: store::Row| {
            let read = Row::decode(row.table, &row.value).unwrap();
            assert_eq!(read.key().encode(), (row.table, row.key));
            state.apply(&Change::Put(read));
        }))
        .unwrap();
        self.disk = disk;
        self.store = Some(store);
        state
    }
}

impl Keeper for OnDisk {
    fn keep(&mut self, old: &State, next: &State, changes: &[Change]) -> Option<State> {
        if changes.is_empty() {
            return None;
        }
        let cut = self.roll(24) == 0;
        if cut {
            let calls = self.disk.calls() + 1 + self.roll(40);
            self.disk.fail(Failure::From(calls));
        }
        let stored = self.store.as_ref().map(|s| wait(s.commit(self.revision, &[entry(changes)])));
        match stored.unwrap() {
            Ok(revision) => {
                self.revision = revision;
                if !cut {
                    return None;
                }
                // The disk went after the last sync of the commit: it was answered, so it stays.
                let state = self.lose_power();
                self.losses.between += 1;
                assert_eq!(state.rows(), next.rows(), "an answered call is gone");
                None
            }
            Err(CommitError::Failed(_)) if cut => {
                let state = self.lose_power();
                self.losses.during += 1;
                let rows = state.rows();
                let kept = rows == next.rows();
                assert!(kept || rows == old.rows(), "a call is stored in part");
                self.losses.kept += u64::from(kept);
                self.losses.gone += u64::from(!kept);
                Some(state)
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    fn pause(&mut self, state: &State) {
        if self.roll(16) == 0 {
            let loaded = self.lose_power();
            self.losses.between += 1;
            assert_eq!(loaded.rows(), state.rows(), "what is loaded is not what was stored");
        }
    }
}

pub fn run_traces(count: u64) -> (Tally, Losses) {
    let start = Start::new();
    let mut tally = Tally::default();
    let mut losses = Losses::default();
    for seed in 0..count {
        let keeper = OnDisk::holding(start.state(), seed);
        let mut sim = Sim::new(&start, keeper, seed);
        sim.run();
        let (keeper, one) = sim.into_keeper();
        tally.add(&one);
        losses.between += keeper.losses.between;
        losses.during += keeper.losses.during;
        losses.kept += keeper.losses.kept;
        losses.gone += keeper.losses.gone;
    }
    (tally, losses)
}
