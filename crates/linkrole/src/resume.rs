//! How signing goes on after a start: from the end of the checkpoints alone, if the trail is the one they speak of.
//!
//! A start must not sign what somebody changed while the server was down. What a crash leaves is legal, whenever it came:
//!
//! | a crash | leaves |
//! |---|---|
//! | before the first checkpoint is written | neither checkpoints nor a key, as before the first start |
//! | before the key is written | one checkpoint over nothing, and no key: it is begun again |
//! | before the public key is written | it is written then |
//! | in the middle of a checkpoint | half a line at the end of our file, which is taken back |
//! | before a checkpoint, or before it is outside | entries that none vouches for, no further ahead than [`crate::pace`] lets them; a file outside that is the beginning of ours |
//!
//! Anything else is refused.

use crate::archive::Keep;
use crate::audit_key::{KEY_FILE, PUBLIC_FILE, Signer};
use crate::checkpoint::{Checkpoint, End, FILE, leaf, time_of};
use crate::merkle::Tree;
use crate::outside::{Outside, Reach};
use crate::pace::GRACE_MS;
use crate::witness::{Signing, Witness};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{EntryQuery, SEGMENT, Store};

/// How many of the newest entries a start holds against the last checkpoint, at most.
const CHECKED: u64 = SEGMENT;

/// What it is about.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The data directory.
    pub directory: &'a Path,
    /// Whose trail: the check value of the installation's keyring.
    pub origin: String,
    /// The time, in milliseconds since 1970.
    pub now_ms: i64,
    /// A file outside for checkpoints.
    pub outside: Option<PathBuf>,
    /// How long entries stay in the store.
    pub keep: Option<Keep>,
}

impl Witness {
    /// Goes on where the checkpoints of a data directory end.
    ///
    /// Errors: a sentence for the operator: files that do not read; checkpoints that are missing or do not hold; a trail,
    /// or a file outside, that is not the one they speak of.
    pub async fn open<S: Store>(store: &S, place: Place<'_>) -> Result<Self, String> {
        // What a crash left of a key or of a first checkpoint: nothing refers to it, so it may as well stay where it cannot
        // be removed.
        let _ = sdk::files::sweep(place.directory);
        let own = place.directory.join(FILE);
        let (signer, last, length) = match Signer::load(place.directory)? {
            Some(signer) => {
                let (last, length) = last_of(&own, &signer)?;
                (signer, last, length)
            }
            None => begin(store, &place, &own).await?,
        };
        let wrong = |why: String| format!("{}: {why}", own.display());
        let tree = last.tree(&signer.public()).map_err(|why| wrong(format!("its end: {why}")))?;
        if last.origin != place.origin {
            return Err(wrong("it is of another installation".to_owned()));
        }
        hold(store, &last, &tree).await.map_err(|why| {
            wrong(format!("{why}; look with `linkrole audit verify`, and restore a backup"))
        })?;
        let public = signer.public();
        let reach = Reach { bytes: length, entries: last.size };
        let outside = place.outside.map(|file| Outside::open(file, own.clone(), reach, public));
        Ok(Self {
            signer: Arc::new(signer),
            origin: place.origin,
            own,
            length,
            tree,
            last,
            outside: outside.transpose()?,
            keep: place.keep,
            signed: Signing::default(),
        })
    }
}

/// Makes a key, with a first checkpoint over nothing. What is in the trail already is signed from then on.
async fn begin<S: Store>(
    store: &S,
    place: &Place<'_>,
    own: &Path,
) -> Result<(Signer, Checkpoint, u64), String> {
    let at = own.display();
    let wrong = |e: &dyn std::fmt::Display| format!("{at}: {e}");
    let end = End::of(own).map_err(|e| wrong(&e))?;
    // All that a crash before the key leaves: one line, written whole.
    let only = end.checkpoint().ok().flatten().filter(|_| end.whole == end.line.len() as u64 + 1);
    if end.length > 0 && only.is_none_or(|only| only.size > 0 || end.length > end.whole) {
        return Err(format!(
            "{at}: expected the key that these checkpoints are signed with; {KEY_FILE} is missing: restore it from a backup"
        ));
    }
    let newest = store.entries(&EntryQuery::backwards(u64::MAX, 1)).await;
    let newest = newest.map_err(|e| e.to_string())?.entries.first().map_or(0, |e| e.position);
    if newest > 1 {
        tracing::warn!(
            entries = newest,
            "there is no audit key: a new one signs the trail as it is now; what was changed in it before shows nowhere"
        );
    }
    let youngest_ms = youngest_after(store, 0).await?;
    let at_ms = youngest_ms.unwrap_or(i64::MIN).max(place.now_ms);
    let mut first = None;
    let signer = Signer::make(place.directory, |signer| {
        let made = Checkpoint::sign(signer, &place.origin, None, &Tree::default(), &[], at_ms);
        let line = serde_json::to_string(&made).map_err(|e| wrong(&e))? + "\n";
        sdk::files::write(own, line.as_bytes()).map_err(|e| wrong(&e))?;
        first = Some((made, line.len() as u64));
        Ok(())
    })?;
    let (first, length) = first.ok_or_else(|| wrong(&"the first checkpoint was not made"))?;
    Ok((signer, first, length))
}

/// The last checkpoint of our own file, and how long that is. A line that a crash cut off is taken back.
fn last_of(own: &Path, signer: &Signer) -> Result<(Checkpoint, u64), String> {
    let at = own.display();
    let wrong = |e: &dyn std::fmt::Display| format!("{at}: {e}");
    let end = End::of(own).map_err(|e| wrong(&e))?;
    let last = end.checkpoint().map_err(|e| wrong(&e))?.ok_or_else(|| {
        format!(
            "{at}: expected signed checkpoints, since there is an audit key; found none, so somebody may have changed the \
             trail. Restore them from the file outside, which has the same lines, or from a backup, and look with \
             `linkrole audit verify`. To begin anew under another key, move {KEY_FILE} and {PUBLIC_FILE} away, too"
        )
    })?;
    last.tree(&signer.public()).map_err(|why| wrong(&format!("its end: {why}")))?;
    if end.length > end.whole {
        let open = std::fs::OpenOptions::new().write(true).open(own).map_err(|e| wrong(&e))?;
        open.set_len(end.whole).and_then(|()| open.sync_all()).map_err(|e| wrong(&e))?;
    }
    Ok((last, end.whole))
}

/// Holds a store against the last checkpoint, as far as its end tells.
async fn hold<S: Store>(store: &S, last: &Checkpoint, tree: &Tree) -> Result<(), String> {
    let said = |e: store::StoreError| e.to_string();
    let first = store.first_entry().await.map_err(said)?;
    let newest = store.entries(&EntryQuery::backwards(u64::MAX, 1)).await.map_err(said)?;
    let newest = newest.entries.first().map_or(first.saturating_sub(1), |entry| entry.position);
    if newest < last.size {
        return Err(format!(
            "its last checkpoint vouches for {} entries, and the store has {newest}: the store was set back",
            last.size
        ));
    }
    if first > last.size.saturating_add(1) {
        return Err(format!(
            "its last checkpoint vouches for {} entries, and the store has put away {}: checkpoints are missing",
            last.size,
            first - 1
        ));
    }
    hold_newest(store, tree, first).await?;
    let until_ms = last.at_ms.saturating_add(GRACE_MS);
    match youngest_after(store, last.size).await? {
        Some(at_ms) if at_ms > until_ms => Err(format!(
            "its last checkpoint is of {}, and nothing vouches for what came up to {}: checkpoints are missing",
            wire::clock::iso_seconds(last.at_ms),
            wire::clock::iso_seconds(at_ms),
        )),
        _ => Ok(()),
    }
}

/// Holds the newest entries against the whole parts of the tree that they make, as many as can be read soon.
async fn hold_newest<S: Store>(store: &S, tree: &Tree, first: u64) -> Result<(), String> {
    let mut end = tree.size();
    for peak in tree.peaks().iter().rev() {
        // The smallest part that is left: as many entries as the lowest bit says.
        let entries = 1_u64.checked_shl(end.trailing_zeros()).unwrap_or(0);
        let start = end.saturating_sub(entries);
        if tree.size() - start > CHECKED || start + 1 < first {
            return Ok(());
        }
        let mut part = Tree::default();
        while part.size() < entries {
            let query =
                EntryQuery { to: end, ..EntryQuery::forwards(start + part.size() + 1, 1_000) };
            let page = store.entries(&query).await.map_err(|e| e.to_string())?;
            if page.entries.is_empty() {
                return Err(format!("entry {} is missing", query.from));
            }
            for entry in &page.entries {
                part.push(leaf(entry.position, &entry.record));
            }
        }
        if part.root() != *peak {
            return Err(format!(
                "entries {} to {end} are not those that its last checkpoint vouches for",
                start + 1
            ));
        }
        end = start;
    }
    Ok(())
}

/// The time of the youngest of the last thousand entries, of those after a position.
async fn youngest_after<S: Store>(store: &S, position: u64) -> Result<Option<i64>, String> {
    let query = EntryQuery { to: position + 1, ..EntryQuery::backwards(u64::MAX, 1_000) };
    let page = store.entries(&query).await.map_err(|e| e.to_string())?;
    Ok(page.entries.iter().filter_map(|entry| time_of(&entry.record)).max())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use crate::checkpoint::{LEAVES, Lines, read_line};
    use crate::clock::Clock;
    use crate::engine::Engine;
    use crate::pace::{EVERY, Pace};
    use crate::seed::Seed;
    use iam::seal::Keyring;
    use std::time::Duration;
    use store::{Entry, Memory};

    const T0: i64 = 1_800_000_000_000;

    /// A data directory, the store of its server, and a clock that stands where it is put.
    struct Site {
        folder: tempfile::TempDir,
        store: Memory,
        engine: Arc<Engine<Memory>>,
        clock: Arc<Clock>,
        pace: Pace,
    }

    impl Site {
        async fn new() -> Self {
            let ring = Keyring::from_bytes(&[3; Keyring::LEN]).unwrap();
            let mut seed = Seed::begin(&ring);
            seed.account(None, policy::Dialect::Aws).unwrap();
            let store = Memory::new();
            let event = iam::audit::Event { at_ms: T0, ..seed.event.clone().unwrap() };
            crate::engine::install(&store, &seed.changes, &event).await.unwrap();
            let clock = Arc::new(Clock::fixed(T0));
            let (engine, _) = Engine::start(store.clone(), ring, clock.clone()).await.unwrap();
            let folder = tempfile::tempdir().unwrap();
            Self { folder, store, engine, clock, pace: Pace::new(T0) }
        }

        fn file(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        async fn open(&self) -> Result<Witness, String> {
            let place = Place {
                directory: self.folder.path(),
                origin: self.engine.keyring().check_value(),
                now_ms: self.clock.now_ms(),
                outside: None,
                keep: None,
            };
            Witness::open(&self.store, place).await
        }

        /// A server that starts now and is killed after it signed `times`, once a minute, each time an entry.
        async fn serve(&self, times: u64) {
            let mut witness = self.open().await.unwrap();
            for minute in 0..times {
                self.note(&[self.clock.now_ms()]).await;
                witness.turn(&self.engine, &self.pace, EVERY * minute as u32).await;
                self.clock.set(self.clock.now_ms() + 60_000);
            }
        }

        /// Entries of these times.
        async fn note(&self, times: &[i64]) {
            let entry = |at_ms: &i64| Entry {
                record: format!("{{\"at_ms\":{at_ms}}}").into_bytes(),
                ..Entry::default()
            };
            let entries: Vec<Entry> = times.iter().map(entry).collect();
            self.store.record(&entries).await.unwrap();
        }

        fn lines(&self) -> Vec<Vec<u8>> {
            let mut lines = Lines::open(&self.file(FILE)).unwrap().unwrap();
            std::iter::from_fn(|| lines.next().unwrap()).collect()
        }

        fn write(&self, lines: &[Vec<u8>]) {
            let text: Vec<u8> = lines.iter().flat_map(|l| [l, b"\n".as_slice()].concat()).collect();
            std::fs::write(self.file(FILE), text).unwrap();
        }

        async fn refuses(&self, why: &str) {
            let found = self.open().await.err().unwrap();
            assert!(found.contains(why), "{found}");
        }
    }

    fn block_on(work: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(work);
    }

    #[test]
    fn every_crash_leaves_what_the_next_start_goes_on_from() {
        block_on(async {
            let site = Site::new().await;
            let (key, public) = (site.file(KEY_FILE), site.file(PUBLIC_FILE));
            // In the very first moment: the first checkpoint is there, and the key is not yet.
            drop(site.open().await.unwrap());
            std::fs::remove_file(&key).unwrap();
            std::fs::remove_file(&public).unwrap();
            drop(site.open().await.unwrap());
            let half = site.file(".unfinished-1-1");
            std::fs::write(&half, "linkrole-audit-key/1").unwrap();
            // The key is there, and the public key is not yet.
            let before = std::fs::read(&public).unwrap();
            std::fs::remove_file(&public).unwrap();
            drop(site.open().await.unwrap());
            assert_eq!(std::fs::read(&public).unwrap(), before);
            assert!(!half.exists());
            assert_eq!(site.lines().len(), 1);
            // Entries that no checkpoint vouches for yet; the next start is years later.
            let last_ms = T0;
            site.note(&[last_ms + 1, last_ms + GRACE_MS, last_ms + 5]).await;
            site.clock.set(T0 + 100_000_000_000);
            drop(site.open().await.unwrap());
            // In the middle of a line.
            site.serve(3).await;
            let whole = std::fs::read(site.file(FILE)).unwrap();
            let last = site.lines().last().unwrap().clone();
            for length in [0, 1, last.len() / 2, last.len()] {
                let torn = [whole.as_slice(), last.get(..length).unwrap()].concat();
                std::fs::write(site.file(FILE), torn).unwrap();
                drop(site.open().await.unwrap());
                assert_eq!(std::fs::read(site.file(FILE)).unwrap(), whole);
            }
            // A loss of power in the middle of it, where the file system shows zeros for what it does not have.
            let holes = [b"{\"kind\":\0\0\0\0", last.get(20..).unwrap(), b"\n"].concat();
            std::fs::write(site.file(FILE), [whole.as_slice(), &holes].concat()).unwrap();
            drop(site.open().await.unwrap());
            assert_eq!(std::fs::read(site.file(FILE)).unwrap(), whole);
            // The clock went back: entries are older than the checkpoint before them.
            site.clock.set(T0 - 1_000_000_000);
            site.note(&[T0 - 1_000_000_000]).await;
            site.serve(2).await;
            assert_eq!(site.open().await.unwrap().last.size, 1 + 3 + 3 + 1 + 2);
        });
    }

    #[test]
    fn atk_h13_a_server_does_not_sign_what_was_changed_while_it_was_down() {
        block_on(async {
            let site = Site::new().await;
            site.serve(10).await;
            let lines = site.lines();
            assert_eq!(lines.len(), 11);
            drop(site.open().await.unwrap());
            // Checkpoints emptied, gone, or cut off further back than a crash leaves them.
            site.write(&[]);
            site.refuses("expected signed checkpoints").await;
            std::fs::write(site.file(FILE), "half a line").unwrap();
            site.refuses("expected signed checkpoints").await;
            std::fs::remove_file(site.file(FILE)).unwrap();
            site.refuses("expected signed checkpoints").await;
            for (kept, is_legal) in [(1, false), (8, false), (9, true), (10, true), (11, true)] {
                site.write(lines.get(..kept).unwrap());
                let opened = site.open().await;
                assert_eq!(opened.is_ok(), is_legal, "{kept}: {:?}", opened.err());
            }
            // The last line changed, or of another key or installation.
            let changed =
                String::from_utf8(lines.concat()).unwrap().replace("\"size\":11", "\"size\":10");
            site.write(&[changed.into_bytes()]);
            assert!(site.open().await.is_err());
            let signer = Signer::of(&[9; 32]).unwrap();
            let own = Signer::load(site.folder.path()).unwrap().unwrap();
            let tree = site_tree(&lines, &own);
            for (signer, origin, why) in
                [(&signer, "origin", "not of this key"), (&own, "origin", "another installation")]
            {
                let forged = Checkpoint::sign(signer, origin, None, &tree, &[], T0);
                site.write(&[serde_json::to_vec(&forged).unwrap()]);
                site.refuses(why).await;
            }
            // The key is gone, with or without its public one.
            site.write(&lines);
            let key = std::fs::read(site.file(KEY_FILE)).unwrap();
            std::fs::remove_file(site.file(KEY_FILE)).unwrap();
            site.refuses("restore it").await;
            std::fs::remove_file(site.file(PUBLIC_FILE)).unwrap();
            site.refuses("restore it").await;
            assert!(!site.file(KEY_FILE).exists());
            sdk::files::write(&site.file(KEY_FILE), &key).unwrap();
            drop(site.open().await.unwrap());
        });
    }

    fn site_tree(lines: &[Vec<u8>], signer: &Signer) -> Tree {
        let last = read_line(lines.last().unwrap()).unwrap();
        last.tree(&signer.public()).unwrap()
    }

    #[test]
    fn atk_h13_a_server_does_not_go_on_over_a_store_that_is_another() {
        block_on(async {
            let (site, other) = (Site::new().await, Site::new().await);
            site.serve(6).await;
            // An older store, and one with another entry under the last checkpoint.
            for count in [3, 6, 9] {
                let mut wrong = Site::new().await;
                wrong.note(&(0..count).map(|n| T0 + n).collect::<Vec<_>>()).await;
                wrong.folder = tempfile::tempdir().unwrap();
                for name in [KEY_FILE, PUBLIC_FILE, FILE] {
                    let bytes = std::fs::read(site.file(name)).unwrap();
                    sdk::files::write(&wrong.file(name), &bytes).unwrap();
                }
                let why = if count < 6 { "the store was set back" } else { "are not those" };
                wrong.refuses(why).await;
            }
            // Entries put away that no checkpoint vouches for.
            other.serve(1).await;
            other.note(&vec![T0; 17_000]).await;
            other.store.forget(16_385).await.unwrap();
            other.refuses("checkpoints are missing").await;
            drop(site.open().await.unwrap());
        });
    }

    #[test]
    fn a_trail_from_before_there_were_checkpoints_is_signed_in_pieces_and_a_crash_does_no_harm() {
        block_on(async {
            let site = Site::new().await;
            let old: Vec<i64> = (0..2_499).map(|n| T0 + n * 1_000_000).collect();
            site.note(&old).await;
            // Killed before anything of it was signed.
            drop(site.open().await.unwrap());
            let mut witness = site.open().await.unwrap();
            witness.turn(&site.engine, &site.pace, Duration::ZERO).await;
            witness.turn(&site.engine, &site.pace, EVERY).await;
            let sizes: Vec<u64> = site.lines().iter().map(|l| read_line(l).unwrap().size).collect();
            assert_eq!(sizes, [0, 1_000, 2_000, 2_500]);
            let most = site.lines().iter().map(|l| read_line(l).unwrap().leaves.len()).max();
            assert!(most.unwrap() <= LEAVES * 32 * 4 / 3 + 4);
            // And in the middle of it.
            site.write(site.lines().get(..2).unwrap());
            assert_eq!(site.open().await.unwrap().last.size, 1_000);
        });
    }

    #[test]
    fn a_start_reads_the_end_of_the_checkpoints_only() {
        block_on(async {
            let site = Site::new().await;
            site.serve(200).await;
            let lines = site.lines();
            let last = lines.last().unwrap();
            let noise = [b"x".repeat(300_000).as_slice(), b"\n", last, b"\n"].concat();
            std::fs::write(site.file(FILE), &noise).unwrap();
            let mut witness = site.open().await.unwrap();
            assert_eq!(witness.last.size, 201);
            // What goes on from there is what would have gone on from all.
            site.note(&[site.clock.now_ms()]).await;
            witness.turn(&site.engine, &site.pace, Duration::ZERO).await;
            let next = End::of(&site.file(FILE)).unwrap().line;
            site.write(&[lines.as_slice(), &[next]].concat());
            let own = Signer::load(site.folder.path()).unwrap().unwrap();
            let mut chain = crate::checkpoint::Chain::default();
            for line in site.lines() {
                chain.add(read_line(&line).unwrap(), &own.public()).unwrap();
            }
            assert_eq!(chain.size(), 202);
        });
    }
}
