//! The file outside: a copy of the checkpoints, best on another machine's disk to which this one can only append.
//!
//! Byte for byte it is the beginning of our own file, so half a line there is the beginning of our own line, and is
//! completed by what it lacks. Nothing there is ever changed or cut. What could not be written is written later, from our
//! own file: nothing of it is kept in memory. All of it happens on a thread of its own, since such a place may hang.

use crate::checkpoint::{Checkpoint, End, LINE};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// How long a start waits for the place to answer, and an end for the last line to be there.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much is copied at a time.
const PIECE: u64 = 1 << 16;

/// How far a file of checkpoints goes: how many bytes its whole lines have, and how many entries they vouch for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reach {
    /// Bytes.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

#[derive(Debug, Default)]
struct Told {
    /// Our own file's reach, as far as was told.
    own: Reach,
    /// What is outside of it for certain.
    there: Reach,
    is_ending: bool,
    is_over: bool,
}

#[derive(Debug, Default)]
struct Shared {
    told: Mutex<Told>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file outside, as the rest of the server sees it: it is told what there is to write, and never waited for.
#[derive(Debug)]
pub struct Outside {
    shared: Arc<Shared>,
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.shared.lock().is_ending = true;
        self.shared.changed.notify_all();
    }
}

impl Outside {
    /// Holds a file outside against our own, and begins to write there what it lacks. A place that does not answer in
    /// time is looked at when it does.
    ///
    /// Errors: it cannot be read, or is not the beginning of our own.
    pub fn open(
        place: PathBuf,
        own: PathBuf,
        reach: Reach,
        public: String,
    ) -> Result<Self, String> {
        let at = place.display().to_string();
        let mut copy = Copy { place, own, public, there: None };
        let shared = Arc::new(Shared::default());
        shared.lock().own = reach;
        let (say, looked) = mpsc::channel();
        let told = shared.clone();
        let work = move || copy.work(reach, &told, &say);
        let made = std::thread::Builder::new().name("outside".to_owned()).spawn(work);
        made.map_err(|e| format!("cannot start the thread for {at}: {e}"))?;
        match looked.recv_timeout(PATIENCE) {
            Ok(Ok(_)) => {}
            Ok(Err(why)) => {
                return Err(format!("{at}: {why}; look with `linkrole audit verify`"));
            }
            Err(_) => {
                tracing::error!(
                    file = at,
                    "the file outside does not answer; it is held against ours when it does"
                );
            }
        }
        Ok(Self { shared })
    }

    /// A place that never answers.
    #[cfg(test)]
    pub fn silent() -> Self {
        Self { shared: Arc::default() }
    }

    /// Our own file has grown.
    pub fn tell(&self, own: Reach) {
        self.shared.lock().own = own;
        self.shared.changed.notify_all();
    }

    /// How far it goes there.
    pub fn there(&self) -> Reach {
        self.shared.lock().there
    }

    /// Waits, a while at most, until all is there; answers whether it is.
    pub fn finish(&self) -> bool {
        let mut told = self.shared.lock();
        told.is_ending = true;
        self.shared.changed.notify_all();
        let waits = |told: &mut Told| !told.is_over;
        let waited = self.shared.changed.wait_timeout_while(told, PATIENCE, waits);
        let (told, _) = waited.unwrap_or_else(PoisonError::into_inner);
        told.there == told.own
    }
}

/// The work on the file outside.
#[derive(Debug)]
struct Copy {
    place: PathBuf,
    own: PathBuf,
    public: String,
    /// How many bytes are there, if that is known.
    there: Option<u64>,
}

impl Copy {
    /// Looks at the place, says what it found, and works there unless that was refused.
    fn work(&mut self, own: Reach, shared: &Shared, say: &mpsc::Sender<Result<u64, String>>) {
        let found = self.look(own.bytes);
        let is_ours = found.is_ok();
        // Nobody listens any more where it took too long: then it is tried again.
        if say.send(found).is_err() || is_ours {
            self.run(shared);
        }
        shared.lock().is_over = true;
        shared.changed.notify_all();
    }

    /// Copies what comes, until nothing more does. What fails is tried again with the next checkpoint.
    fn run(&mut self, shared: &Shared) {
        let mut tried = Reach::default();
        loop {
            let rests = |told: &mut Told| !told.is_ending && told.own <= tried;
            let told = shared.changed.wait_while(shared.lock(), rests);
            let told = told.unwrap_or_else(PoisonError::into_inner);
            let (own, is_ending) = (told.own, told.is_ending);
            drop(told);
            if own > tried || (is_ending && shared.lock().there < own) {
                match self.catch_up(own.bytes) {
                    Ok(()) => shared.lock().there = own,
                    Err(why) => {
                        let file = self.place.display();
                        tracing::error!(%file, why, "checkpoints were not put away outside");
                    }
                }
                tried = own;
            }
            if is_ending {
                return;
            }
        }
    }

    /// How many bytes are there, once they were seen to be the beginning of our own.
    fn look(&mut self, own: u64) -> Result<u64, String> {
        let found = match std::fs::metadata(&self.place) {
            Ok(found) if found.is_file() => found.len(),
            Ok(_) => return Err("expected a file; found something else".to_owned()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => 0,
            Err(e) => return Err(e.to_string()),
        };
        if self.there != Some(found) {
            let is_ours = found <= own && {
                // Each line has the hash of the one before: who has the last whole one, has all.
                let from = found.saturating_sub(2 * (LINE as u64 + 1));
                differ(&self.place, &self.own, from, found)?.is_none()
            };
            if !is_ours {
                return Err(self.why());
            }
        }
        self.there = Some(found);
        Ok(found)
    }

    /// Writes what is missing there.
    fn catch_up(&mut self, own: u64) -> Result<(), String> {
        let mut at = self.look(own)?;
        if at >= own {
            return Ok(());
        }
        let is_new = at == 0;
        // Until it is done, nobody knows how much is there.
        self.there = None;
        let mut from = File::open(&self.own).map_err(|e| e.to_string())?;
        from.seek(SeekFrom::Start(at)).map_err(|e| e.to_string())?;
        let to = OpenOptions::new().append(true).create(true).open(&self.place);
        let mut to = to.map_err(|e| e.to_string())?;
        while at < own {
            let mut piece = Vec::new();
            let taken = (&mut from).take(PIECE.min(own - at)).read_to_end(&mut piece);
            if taken.map_err(|e| e.to_string())? == 0 {
                return Err("our own checkpoints are shorter than they were".to_owned());
            }
            to.write_all(&piece).map_err(|e| e.to_string())?;
            at += piece.len() as u64;
        }
        to.sync_all().map_err(|e| e.to_string())?;
        if let (true, Some(folder)) = (is_new, self.place.parent()) {
            // Not every place can; where it cannot, a file that is lost is written again.
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        self.there = Some(own);
        Ok(())
    }

    /// Why the file outside is not the beginning of ours.
    fn why(&self) -> String {
        let checked = |file: &Path| -> Result<Option<Checkpoint>, String> {
            let last = End::of(file)?.checkpoint()?;
            last.as_ref().map_or(Ok(()), |last| last.tree(&self.public).map(drop))?;
            Ok(last)
        };
        let (outside, own) = match (checked(&self.place), checked(&self.own)) {
            (Err(why), _) => return format!("its last checkpoint: {why}"),
            (Ok(outside), own) => (outside, own.ok().flatten()),
        };
        parted(outside.as_ref(), own.as_ref())
    }
}

/// In words, how a file outside and our own part, by the last checkpoint of each.
pub fn parted(outside: Option<&Checkpoint>, own: Option<&Checkpoint>) -> String {
    let entries = |last: Option<&Checkpoint>| last.map_or(0, |last| last.size);
    let at = |last: Option<&Checkpoint>| last.map_or(i64::MIN, |last| last.at_ms);
    let (there, here) = (entries(outside), entries(own));
    match at(outside) > at(own) || there > here {
        true => {
            format!("the trail was set back to {here} entries; those outside vouch for {there}")
        }
        false => "another history was put away outside than the one here".to_owned(),
    }
}

/// The first byte in which two files differ, among those from `from` to `to`.
pub fn differ(one: &Path, other: &Path, from: u64, to: u64) -> Result<Option<u64>, String> {
    if from >= to {
        return Ok(None);
    }
    let open = |file: &Path| -> std::io::Result<std::io::Take<File>> {
        let mut open = File::open(file)?;
        open.seek(SeekFrom::Start(from))?;
        Ok(open.take(to - from))
    };
    let piece = |file: &mut std::io::Take<File>| -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        file.by_ref().take(PIECE).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        Ok(bytes)
    };
    let wrong = |file: &Path, e: std::io::Error| format!("cannot read {}: {e}", file.display());
    let mut one = open(one).map_err(|e| wrong(one, e))?;
    let mut other = open(other).map_err(|e| wrong(other, e))?;
    let mut at = from;
    while at < to {
        let (a, b) = (piece(&mut one)?, piece(&mut other)?);
        let equal = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
        at += equal as u64;
        if equal < a.len().max(b.len()) || a.is_empty() {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use crate::audit_key::Signer;
    use crate::merkle::Tree;

    struct Site {
        _folder: tempfile::TempDir,
        own: PathBuf,
        place: PathBuf,
        bytes: Vec<u8>,
        public: String,
    }

    impl Site {
        /// Our own file, with so many checkpoints.
        fn new(count: i64) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let signer = Signer::of(&[1; 32]).unwrap();
            let (mut last, mut bytes) = (None, Vec::new());
            for at_ms in 1..=count {
                let tree = Tree::default();
                let made = Checkpoint::sign(&signer, "origin", last.as_ref(), &tree, &[], at_ms);
                bytes.extend(serde_json::to_vec(&made).unwrap());
                bytes.push(b'\n');
                last = Some(made);
            }
            let (own, place) = (folder.path().join("own"), folder.path().join("outside"));
            std::fs::write(&own, &bytes).unwrap();
            Self { _folder: folder, own, place, bytes, public: signer.public() }
        }

        fn copy(&self) -> Copy {
            let (place, own) = (self.place.clone(), self.own.clone());
            Copy { place, own, public: self.public.clone(), there: None }
        }

        fn whole(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn there(&self) -> Vec<u8> {
            std::fs::read(&self.place).unwrap()
        }
    }

    #[test]
    fn what_is_missing_outside_is_added_wherever_it_was_cut_off() {
        let site = Site::new(400);
        assert!(site.whole() > 2 * PIECE, "several pieces");
        // Missing, empty, cut off in the middle of a line or of two, and whole.
        site.copy().catch_up(site.whole()).unwrap();
        assert_eq!(site.there(), site.bytes);
        for length in (0..=site.bytes.len()).step_by(997) {
            std::fs::write(&site.place, site.bytes.get(..length).unwrap()).unwrap();
            let mut copy = site.copy();
            copy.look(site.whole()).unwrap();
            assert_eq!(site.there().len(), length, "a look writes nothing");
            copy.catch_up(site.whole()).unwrap();
            assert_eq!(site.there(), site.bytes);
        }
        // A write that failed half-way, while it runs.
        let mut copy = site.copy();
        std::fs::remove_file(&site.place).unwrap();
        copy.catch_up(site.whole() / 2).unwrap();
        let half = site.bytes.get(..site.bytes.len() / 2 + 100).unwrap();
        std::fs::write(&site.place, half).unwrap();
        copy.catch_up(site.whole()).unwrap();
        assert_eq!(site.there(), site.bytes);
    }

    #[test]
    fn atk_h13_half_a_line_outside_hides_no_other_line() {
        let site = Site::new(9);
        let (before, last) = site.bytes.split_at(site.bytes.len() - 400);
        let mut half = last.get(..100).unwrap().to_vec();
        std::fs::write(&site.place, [before, &half].concat()).unwrap();
        site.copy().look(site.whole()).unwrap();
        half.iter_mut().for_each(|byte| *byte ^= 1);
        let put = [before, &half].concat();
        std::fs::write(&site.place, &put).unwrap();
        for what in [site.copy().look(site.whole()).map(drop), site.copy().catch_up(site.whole())] {
            assert!(what.unwrap_err().contains("another history"));
        }
        // It is left as it is, for whoever is to look at it.
        assert_eq!(site.there(), put);
    }

    #[test]
    fn atk_h13_a_file_outside_that_is_ahead_or_another_is_refused_and_left() {
        let site = Site::new(9);
        let end = site.bytes.iter().take(site.bytes.len() - 1).rposition(|b| *b == b'\n').unwrap();
        let older = site.bytes.get(..=end).unwrap();
        std::fs::write(&site.place, &site.bytes).unwrap();
        std::fs::write(&site.own, older).unwrap();
        let why = site.copy().look(older.len() as u64).unwrap_err();
        assert!(why.contains("the trail was set back"), "{why}");
        std::fs::write(&site.own, &site.bytes).unwrap();
        let other = Copy { public: Signer::of(&[2; 32]).unwrap().public(), ..site.copy() };
        std::fs::write(&site.place, site.bytes.repeat(2)).unwrap();
        assert!(other.why().contains("not of this key"));
        assert!(site.copy().catch_up(site.whole()).is_err());
        assert_eq!(site.there().len(), 2 * site.bytes.len());
        std::fs::remove_file(&site.place).unwrap();
        std::fs::create_dir(&site.place).unwrap();
        assert!(site.copy().look(site.whole()).unwrap_err().contains("expected a file"));
    }

    #[test]
    fn a_place_that_answers_late_is_held_against_ours_then() {
        let site = Site::new(9);
        let own = Reach { bytes: site.whole(), entries: 9 };
        for (put, is_ours) in [(site.bytes.clone(), true), (b"another\n".to_vec(), false)] {
            std::fs::write(&site.place, &put).unwrap();
            let (say, listens) = mpsc::channel();
            drop(listens);
            let shared = Shared::default();
            *shared.lock() = Told { own, is_ending: true, ..Told::default() };
            site.copy().work(own, &shared, &say);
            let told = shared.lock();
            assert_eq!((told.is_over, told.there == own), (true, is_ours));
            assert_eq!(site.there(), put);
        }
    }

    #[test]
    fn the_thread_copies_what_it_is_told_of_and_ends_when_all_is_there() {
        let site = Site::new(5);
        let first = site.bytes.iter().position(|byte| *byte == b'\n').unwrap() as u64 + 1;
        let (place, own, public) = (site.place.clone(), site.own.clone(), site.public.clone());
        let reach = Reach { bytes: first, entries: 1 };
        let outside = Outside::open(place, own, reach, public).unwrap();
        outside.tell(Reach { bytes: site.whole(), entries: 5 });
        assert!(outside.finish());
        assert_eq!(outside.there(), Reach { bytes: site.whole(), entries: 5 });
        assert_eq!(site.there(), site.bytes);
    }
}
