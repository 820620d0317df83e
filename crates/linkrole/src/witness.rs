//! Writes a checkpoint of the trail every minute, every thousand entries, and at the end: also when nothing happened, so
//! that silence can be told from a trail that was cut off.
//!
//! Each line goes to a file in the data directory and, where the operator named one, to a file outside, which is best on
//! another machine's disk. What could not be written outside is written there as soon as it can be.

use crate::archive::{self, Keep};
use crate::checkpoint::{Chain, Checkpoint, FILE, Signer, leaf};
use crate::engine::Engine;
use crate::merkle::{Hash, Tree};
use iam::audit::Event;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{EntryQuery, SEGMENT, Store};
use tokio::sync::oneshot;

/// The longest time without a checkpoint.
const EVERY: Duration = Duration::from_secs(60);
/// Entries after which there is one sooner.
const ENTRIES: usize = 1_000;
/// How often it is looked whether entries are too old.
const ARCHIVE_EVERY: Duration = Duration::from_secs(600);
/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);

/// Where checkpoints are written, and with which key.
pub struct Witness {
    signer: Signer,
    own: PathBuf,
    outside: Option<PathBuf>,
    tree: Tree,
    last: Option<Checkpoint>,
    new: Vec<Hash>,
    /// Lines that are not outside yet.
    unsent: Vec<String>,
    /// How long entries stay in the store; for ever unless told.
    keep: Option<Keep>,
}

impl Witness {
    /// Goes on where the checkpoints of a data directory end. A line that a crash cut off is taken back.
    ///
    /// Errors: a sentence for the operator: files that do not read, checkpoints that do not hold, or a file outside that is
    /// of another history.
    pub fn open(
        directory: &Path,
        outside: Option<PathBuf>,
        keep: Option<Keep>,
    ) -> Result<Self, String> {
        let signer = Signer::open(directory)?;
        let public = signer.public();
        let own = directory.join(FILE);
        let mine = read(&own, &public)?;
        let mut unsent = Vec::new();
        if let Some(place) = &outside {
            let theirs = read(place, &public)?;
            mine.holds(&theirs).map_err(|why| {
                format!("{}: {why}; run `linkrole audit verify`", place.display())
            })?;
            let missing = mine.checkpoints.get(theirs.checkpoints.len()..).unwrap_or_default();
            unsent.extend(missing.iter().filter_map(|c| serde_json::to_string(c).ok()));
        }
        let last = mine.checkpoints.last().cloned();
        Ok(Self { signer, own, outside, tree: mine.tree, last, new: Vec::new(), unsent, keep })
    }

    /// Works until it is told that nothing more comes, and has the last word.
    pub async fn run<S: Store>(mut self, engine: Arc<Engine<S>>, mut ended: oneshot::Receiver<()>) {
        let (mut since, mut archived) = (EVERY, ARCHIVE_EVERY);
        loop {
            self.catch_up(&engine).await;
            if since >= EVERY || self.new.len() >= ENTRIES {
                since = Duration::ZERO;
                self.say(&engine);
            }
            if archived >= ARCHIVE_EVERY {
                archived = Duration::ZERO;
                self.put_away(&engine).await;
            }
            if tokio::time::timeout(LOOK, &mut ended).await.is_ok() {
                self.catch_up(&engine).await;
                return self.say(&engine);
            }
            since += LOOK;
            archived += LOOK;
        }
    }

    /// Reads the entries that came.
    async fn catch_up<S: Store>(&mut self, engine: &Engine<S>) {
        loop {
            let query = EntryQuery::forwards(self.tree.size() + 1, 500);
            let page = match engine.entries(&query).await {
                Ok(page) => page,
                Err(why) => return tracing::error!(why, "the trail was not read for a checkpoint"),
            };
            for entry in &page.entries {
                let hash = leaf(entry.position, &entry.record);
                self.tree.push(hash);
                self.new.push(hash);
            }
            if page.entries.is_empty() || page.next.is_none() {
                return;
            }
        }
    }

    /// Writes archives of what is too old, and has the store forget it then.
    async fn put_away<S: Store>(&self, engine: &Engine<S>) {
        let Some(keep) = &self.keep else { return };
        loop {
            match self.put_segment_away(engine, keep).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => return tracing::error!(why, "old entries were not put away"),
            }
        }
    }

    /// Puts the oldest segment away, if all of it is old and signed checkpoints, inside and outside,
    /// vouch for it. A crash between the archive and the forgetting leaves both, and writes it again.
    async fn put_segment_away<S: Store>(
        &self,
        engine: &Engine<S>,
        keep: &Keep,
    ) -> Result<bool, String> {
        let first = engine.first_entry().await?;
        let after = first.saturating_add(SEGMENT);
        let vouched = self.last.as_ref().map_or(0, |last| last.size);
        if !self.unsent.is_empty() || after > vouched.saturating_add(1) {
            return Ok(false);
        }
        let mut records = Vec::new();
        while (records.len() as u64) < SEGMENT {
            let at = first.saturating_add(records.len() as u64);
            let query = EntryQuery { to: after - 1, ..EntryQuery::forwards(at, 1_000) };
            let page = engine.entries(&query).await?;
            if page.entries.is_empty() {
                return Err(format!("entry {at} is missing"));
            }
            records.extend(page.entries.into_iter().map(|entry| entry.record));
        }
        // The last one that tells a time is the youngest.
        let events = records.iter().rev().filter_map(|r| serde_json::from_slice::<Event>(r).ok());
        let youngest_ms = events.map(|event| event.at_ms).next().unwrap_or(0);
        if youngest_ms > engine.now_ms().saturating_sub(i64::from(keep.days) * 86_400_000) {
            return Ok(false);
        }
        let origin = engine.keyring().check_value();
        let file = archive::write(&keep.folder, &self.signer, &origin, first, &records)?;
        engine.forget(after).await?;
        tracing::info!(file = %file.display(), from = first, to = after - 1, "put entries away");
        Ok(true)
    }

    /// Signs and writes a checkpoint. One that was not written is as if it had never been.
    fn say<S: Store>(&mut self, engine: &Engine<S>) {
        let origin = engine.keyring().check_value();
        let at_ms = self.last.as_ref().map_or(0, |last| last.at_ms).max(engine.now_ms());
        let made = self.signer.sign(&origin, self.last.as_ref(), &self.tree, &self.new, at_ms);
        let Ok(line) = serde_json::to_string(&made) else { return };
        if let Err(why) = append(&self.own, &line) {
            return tracing::error!(why, "a checkpoint was not written");
        }
        self.new.clear();
        self.last = Some(made);
        if let Some(outside) = &self.outside {
            self.unsent.push(line);
            while let Some(line) = self.unsent.first() {
                if let Err(why) = append(outside, line) {
                    return tracing::error!(why, "a checkpoint was not put away outside");
                }
                self.unsent.remove(0);
            }
        }
    }
}

/// The checkpoints of a file, checked; none for a file that is not there.
fn read(file: &Path, public: &str) -> Result<Chain, String> {
    let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Chain::default()),
        Err(e) => return Err(wrong(&e)),
    };
    let (chain, torn) = Chain::read(&text, public).map_err(|e| wrong(&e))?;
    if torn {
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let whole = u64::try_from(whole).unwrap_or(0);
        let open = std::fs::OpenOptions::new().write(true).open(file).map_err(|e| wrong(&e))?;
        open.set_len(whole).and_then(|()| open.sync_all()).map_err(|e| wrong(&e))?;
    }
    Ok(chain)
}

/// Adds a line, and answers when the disk has it.
fn append(file: &Path, line: &str) -> Result<(), String> {
    let wrong = |e: std::io::Error| format!("{}: {e}", file.display());
    let mut open =
        std::fs::OpenOptions::new().append(true).create(true).open(file).map_err(wrong)?;
    let before = open.metadata().map_err(wrong)?.len();
    let written = open.write_all(format!("{line}\n").as_bytes()).and_then(|()| open.sync_all());
    written.map_err(|e| {
        // Half a line would spoil the next.
        let _ = open.set_len(before);
        wrong(e)
    })
}
