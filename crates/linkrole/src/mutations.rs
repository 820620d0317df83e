//! Ten thousand mutations of a trail, each put before what `linkrole audit verify` runs: a store's file, checkpoints in the
//! data directory and outside, and an archive, as a server leaves them. Who mutates knows every form and makes every
//! checksum right; he lacks the signing key, and cannot write outside what was not there.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

use crate::archive;
use crate::audit_key::{PUBLIC_FILE, Signer};
use crate::checkpoint::{Checkpoint, FILE, read_line};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::evidence::{Ask, Verified, verify};
use crate::merkle::Tree;
use crate::pace::Pace;
use crate::resume::Place;
use crate::seed::Seed;
use crate::witness::Witness;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iam::caller::{Call, Caller, Source};
use iam::command::Command;
use iam::seal::Keyring;
use iam::text::{KeyId, Path as EntityPath, UserName};
use policy::Dialect;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::disk::{Dice, Disk};
use store::forge::Forgery;
use store::{Embedded, Term};

/// Entries in a segment of this store.
const SEGMENT: u64 = 16;
/// Between two entries; three of them come before each checkpoint.
const STEP_MS: i64 = 20_000;

fn keyring() -> Keyring {
    Keyring::from_bytes(&[3; Keyring::LEN]).unwrap()
}

async fn create(engine: &Engine<Embedded>, root: &KeyId, number: i64) {
    let command = Command::CreateUser {
        user: UserName::parse(&format!("u{number}")).unwrap(),
        path: EntityPath::parse("/").unwrap(),
        boundary: None,
        tags: Vec::new(),
        profile: Default::default(),
    };
    let call = Call {
        caller: Caller::Key(root.clone()),
        on_behalf: None,
        refusal: None,
        command,
        nonce: None,
        source: Source::default(),
        request_id: String::new(),
    };
    engine.call(call).await.unwrap();
}

/// What a server left, as it may be changed.
#[derive(Clone, PartialEq)]
struct Left {
    log: Forgery,
    own: Vec<Vec<u8>>,
    outside: Option<Vec<u8>>,
    archive: Option<Vec<u8>>,
}

struct World {
    folder: tempfile::TempDir,
    /// The store's file.
    bytes: Vec<u8>,
    left: Left,
    /// How many of the store's own entries checkpoints vouch for.
    vouched: usize,
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

impl World {
    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn archive(&self) -> PathBuf {
        self.place("archive").join(format!("trail-{:020}-{SEGMENT:020}.jsonl", 1))
    }

    /// A trail of 41 entries with a checkpoint for every three, and the last ones still unvouched.
    async fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (data, outside) = (folder.path().join("data"), folder.path().join("outside"));
        std::fs::create_dir(&data).unwrap();
        let ring = keyring();
        let mut seed = Seed::begin(&ring);
        let (_, root) = seed.account(None, Dialect::Aws).unwrap();
        let disk = Disk::new();
        let store = Embedded::create_with_segments(disk.clone(), SEGMENT).unwrap();
        crate::engine::install(&store, &seed.changes, seed.event.as_ref().unwrap()).await.unwrap();
        let begun_ms = Clock::system().now_ms();
        let place = Place {
            directory: &data,
            origin: ring.check_value(),
            now_ms: begun_ms,
            outside: Some(outside.clone()),
            keep: None,
        };
        let mut witness = Witness::open(&store, place).await.unwrap();
        let clock = Arc::new(Clock::fixed(begun_ms));
        let (engine, writer) = Engine::start(store, ring, clock.clone()).await.unwrap();
        let pace = Pace::new(begun_ms);
        for number in 1..=40 {
            clock.set(begun_ms + number * STEP_MS);
            create(&engine, &root.id, number).await;
            if number % 3 == 0 {
                let passed = Duration::from_millis(u64::try_from(number * STEP_MS).unwrap());
                witness.turn(&*engine, &pace, passed).await;
            }
        }
        let page = engine.entries(&store::EntryQuery::forwards(1, 16)).await.unwrap();
        let records: Vec<Vec<u8>> = page.entries.into_iter().map(|entry| entry.record).collect();
        let origin = engine.keyring().check_value();
        archive::write(&folder.path().join("archive"), &witness.signer, &origin, 1, &records)
            .unwrap();
        assert_eq!(engine.forget(SEGMENT + 1).await.unwrap(), SEGMENT + 1);
        let vouched = usize::try_from(witness.last.size - SEGMENT).unwrap();
        engine.stop().await;
        writer.join().unwrap();
        drop(engine);
        assert!(witness.outside.as_ref().unwrap().finish());
        std::fs::rename(data.join(PUBLIC_FILE), folder.path().join(PUBLIC_FILE)).unwrap();
        let bytes = disk.bytes();
        let left = Left {
            log: Forgery::of(bytes.clone()).unwrap(),
            own: lines(&std::fs::read(data.join(FILE)).unwrap()),
            outside: Some(std::fs::read(&outside).unwrap()),
            archive: None,
        };
        let mut world = Self { folder, bytes, left, vouched };
        world.left.archive = Some(std::fs::read(world.archive()).unwrap());
        world
    }

    /// Puts this on the disk and verifies it as the command line does.
    fn verify(&self, left: &Left, with_outside: bool) -> Result<Verified, String> {
        let (data, outside) = (self.place("data"), self.place("outside"));
        let store = match left.log == self.left.log {
            true => self.bytes.clone(),
            false => left.log.onto(self.bytes.clone()).unwrap(),
        };
        std::fs::write(data.join("linkrole.redb"), store).unwrap();
        std::fs::write(data.join(FILE), left.own.concat()).unwrap();
        let put = |file: &Path, content: &Option<Vec<u8>>| match content {
            Some(content) => std::fs::write(file, content).unwrap(),
            None => drop(std::fs::remove_file(file)),
        };
        put(&outside, &left.outside);
        put(&self.archive(), &left.archive);
        verify(&Ask {
            directory: &data,
            outside: with_outside.then_some(&outside),
            archives: Some(&self.place("archive")),
            public_key: Some(&self.place(PUBLIC_FILE)),
            since: None,
        })
    }
}

/// Turns one bit of some bytes.
fn flip(dice: &mut Dice, bytes: &mut [u8]) {
    let at = below(dice, bytes.len());
    bytes[at] ^= 1 << below(dice, 8);
}

fn below(dice: &mut Dice, n: usize) -> usize {
    usize::try_from(dice.roll() % (n.max(1) as u64)).unwrap()
}

/// Kinds of mutations: what is changed, and whether the data directory alone shows it.
const KINDS: [(&str, bool); 20] = [
    ("an entry is changed", true),
    ("an entry is dropped, and those after it move up", true),
    ("entries change places", true),
    ("an entry is doubled", true),
    ("the trail is cut off", true),
    ("an entry is made one that no look-up finds", true),
    ("an entry is made one that another look-up finds", true),
    ("a bucket of the index is emptied", true),
    ("a bucket of the index is dropped", true),
    ("entries are forgotten that are in no archive", true),
    ("a checkpoint is changed", true),
    ("a checkpoint is dropped", true),
    ("checkpoints are cut off, and an entry behind them is changed", true),
    ("checkpoints are signed with another key", true),
    ("an archived entry is changed", true),
    ("an archive is dropped, or a line of it", true),
    ("the last checkpoint is left half, or dropped", false),
    ("all is set back", false),
    ("the file outside is changed", false),
    ("the file outside is emptied, or is gone", false),
];

fn change_log(kind: usize, left: &mut Left, vouched: usize, dice: &mut Dice) {
    let log = &mut left.log;
    let at = below(dice, vouched);
    match kind {
        0 => return flip(dice, &mut log.entries[at].0),
        1 => drop(log.entries.remove(at)),
        2 => log.entries.swap(at, below(dice, vouched)),
        3 => log.entries.insert(at, log.entries[below(dice, vouched)].clone()),
        4 => log.entries.truncate(at),
        5 => {
            // One that nothing vouches for yet, too.
            let at = below(dice, log.entries.len());
            log.entries[at].1.clear();
        }
        6 => {
            let at = below(dice, log.entries.len());
            let terms = &mut log.entries[at].1;
            let which = below(dice, terms.len());
            match below(dice, 3) {
                0 => terms[which] = Term::of("other", dice.roll().to_be_bytes()),
                1 => drop(terms.remove(which)),
                _ => terms.push(Term::of("other", dice.roll().to_be_bytes())),
            }
        }
        7 | 8 => {
            let full: Vec<_> =
                log.buckets.iter().filter(|(_, b)| !b.is_empty()).map(|(k, _)| *k).collect();
            let key = full[below(dice, full.len())];
            if kind == 7 {
                log.buckets.insert(key, Vec::new())
            } else {
                log.buckets.remove(&key)
            };
            return;
        }
        _ => {
            log.first += SEGMENT;
            log.entries.drain(..SEGMENT as usize);
        }
    }
    log.index_anew();
}

fn change_checkpoints(kind: usize, left: &mut Left, vouched: usize, dice: &mut Dice) {
    let own = &mut left.own;
    let line = below(dice, own.len());
    match kind {
        10 => {
            let byte = below(dice, own[line].len() - 1);
            own[line][byte] = b"0123456789abcdefXYZ+/="[below(dice, 22)];
        }
        // The last one is another kind's.
        11 => drop(own.remove(below(dice, own.len() - 1))),
        12 => {
            // Further back than a crash leaves it.
            own.truncate(below(dice, own.len() - 2));
            flip(dice, &mut left.log.entries[vouched - 1].0);
        }
        _ => {
            let other = Signer::of(&[9; 32]).unwrap();
            let old = read_line(own[line].strip_suffix(b"\n").unwrap()).unwrap();
            let tree = old.tree(&Signer::of(&[9; 32]).unwrap().public());
            assert!(tree.is_err());
            let made =
                Checkpoint::sign(&other, &old.origin, None, &Tree::default(), &[], old.at_ms);
            let forged = Checkpoint { signature: made.signature, ..old };
            own[line] = serde_json::to_vec(&forged).unwrap();
            own[line].push(b'\n');
        }
    }
}

fn change_archive(kind: usize, left: &mut Left, dice: &mut Dice) {
    let Some(archive) = &mut left.archive else { return };
    let mut rows = lines(archive);
    let row = below(dice, rows.len());
    match (kind, below(dice, 8)) {
        (14, _) => flip(dice, archive),
        (_, 0) => left.archive = None,
        (_, n) => {
            if n < 5 {
                drop(rows.remove(row))
            } else {
                rows.insert(row, rows[row].clone())
            }
            *archive = rows.concat();
        }
    }
}

fn change_outside(kind: usize, left: &mut Left, dice: &mut Dice) {
    match (kind, &mut left.outside) {
        (16, _) => {
            let last = left.own.pop().unwrap();
            let half = below(dice, last.len());
            left.own.push(last[..half].to_vec());
        }
        (17, _) => {
            left.own.truncate(below(dice, left.own.len()));
            let last = left.own.last().map(|line| read_line(line).unwrap().size).unwrap_or(0);
            let kept = last.saturating_sub(SEGMENT);
            left.log.entries.truncate(usize::try_from(kept).unwrap());
            left.log.index_anew();
        }
        (18, Some(outside)) => flip(dice, outside),
        (_, outside) => *outside = (below(dice, 2) == 0).then(Vec::new),
    }
}

/// Finds so many mutations of a trail of its own; answers how many of each kind.
fn find(seed: u64, count: u32) -> [u32; KINDS.len()] {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let world = runtime.block_on(World::make());
    for with_outside in [true, false] {
        let honest = world.verify(&world.left, with_outside).unwrap();
        assert_eq!((honest.entries, honest.own.entries, honest.own.checkpoints), (41, 40, 14));
        assert_eq!(honest.outside.map(|outside| outside.entries), with_outside.then_some(40));
    }
    // A log that was taken apart and put together again is still the honest one.
    let mut again = world.left.clone();
    again.log.index_anew();
    assert!(again == world.left);
    let put = again.log.onto(world.bytes.clone()).unwrap();
    assert!(Forgery::of(put).unwrap() == again.log);
    let mut dice = Dice(seed);
    let mut found = [0_u32; KINDS.len()];
    while found.iter().sum::<u32>() < count {
        let kind = below(&mut dice, KINDS.len());
        let mut left = world.left.clone();
        match kind {
            0..=9 => change_log(kind, &mut left, world.vouched, &mut dice),
            10..=13 => change_checkpoints(kind, &mut left, world.vouched, &mut dice),
            14 | 15 => change_archive(kind, &mut left, &mut dice),
            _ => change_outside(kind, &mut left, &mut dice),
        }
        if left == world.left {
            continue;
        }
        let (what, shows_alone) = KINDS[kind];
        let with_outside = !shows_alone || below(&mut dice, 2) == 0;
        let verified = world.verify(&left, with_outside);
        assert!(verified.is_err(), "{what}, outside {with_outside}: {verified:?}");
        found[kind] += 1;
    }
    world.verify(&world.left, true).unwrap();
    found
}

#[test]
fn atk_h13_ten_thousand_mutations_of_what_a_server_left_are_all_found() {
    let halves = [13, 14].map(|seed| std::thread::spawn(move || find(seed, 5_000)));
    let halves = halves.map(|half| half.join().unwrap());
    println!("mutations found by kind: {halves:?}");
    assert!(halves.as_flattened().iter().all(|count| *count > 100));
}

#[test]
fn atk_h13_a_checkpoint_older_than_what_it_vouches_for_is_found_though_it_is_signed() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let world = runtime.block_on(World::make());
    let signer = Signer::load(&world.place("data")).unwrap().unwrap();
    let signed_anew = |back_ms: i64| -> Vec<Vec<u8>> {
        let (mut tree, mut last) = (Tree::default(), None);
        let mut sign = |line: &Vec<u8>| {
            let old = read_line(line.strip_suffix(b"\n").unwrap()).unwrap();
            let leaves = STANDARD.decode(&old.leaves).unwrap();
            let (leaves, _) = leaves.as_chunks();
            leaves.iter().for_each(|leaf| tree.push(*leaf));
            let (origin, at_ms) = (&old.origin, old.at_ms - back_ms);
            let made = Checkpoint::sign(&signer, origin, last.as_ref(), &tree, leaves, at_ms);
            let line = serde_json::to_string(&made).unwrap() + "\n";
            last = Some(made);
            line.into_bytes()
        };
        world.left.own.iter().map(&mut sign).collect()
    };
    assert!(signed_anew(0) == world.left.own, "the control: signed anew it is the same");
    let left = Left { own: signed_anew(1), ..world.left.clone() };
    let why = world.verify(&left, false).unwrap_err();
    assert!(why.contains("is younger than the checkpoint"), "{why}");
}

#[test]
fn what_init_leaves_is_sound_and_a_long_trail_without_key_and_checkpoints_is_not() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let world = runtime.block_on(World::make());
    let data = world.place("data");
    std::fs::remove_file(data.join("audit-key")).unwrap();
    std::fs::remove_file(data.join(FILE)).unwrap();
    let outside = world.place("outside");
    let ask =
        Ask { directory: &data, outside: None, archives: None, public_key: None, since: None };
    let with = |count: usize| {
        let mut log = world.left.log.clone();
        log.first = 1;
        log.entries.truncate(count);
        log.index_anew();
        let store = log.onto(world.bytes.clone()).unwrap();
        std::fs::write(data.join("linkrole.redb"), store).unwrap();
    };
    // Entries are twenty seconds apart.
    for (count, is_sound) in [(1, true), (7, true), (8, false), (25, false)] {
        with(count);
        let found = verify(&ask);
        assert_eq!(found.is_ok(), is_sound, "{count}: {found:?}");
    }
    with(1);
    assert_eq!(verify(&ask).unwrap(), Verified { entries: 1, ..Verified::default() });
    // With what was put away outside, or a public key, it is no new one.
    let told = verify(&Ask { outside: Some(&outside), ..ask });
    assert!(told.unwrap_err().contains("were put away outside"));
    std::fs::remove_file(&outside).unwrap();
    assert!(verify(&Ask { outside: Some(&outside), ..ask }).is_ok());
    let public = world.place(PUBLIC_FILE);
    let told = verify(&Ask { public_key: Some(&public), ..ask });
    assert!(told.unwrap_err().contains("expected signed checkpoints"));
}

#[test]
fn an_outside_place_that_lacks_everything_for_long_is_found_and_one_that_lags_is_told() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let world = runtime.block_on(World::make());
    let lagging = |lines: usize| {
        let outside = world.left.own.iter().take(lines).flatten().copied().collect();
        world.verify(&Left { outside: Some(outside), ..world.left.clone() }, true)
    };
    assert!(lagging(0).unwrap_err().contains("expected checkpoints that were put away since"));
    let told = lagging(5).unwrap();
    let outside = told.outside.unwrap();
    assert_eq!((outside.checkpoints, outside.entries), (5, 13));
    assert_eq!((told.own.checkpoints, told.own.entries), (14, 40));
}
