//! The trail of a stopped server, held against its signed checkpoints and these against the file outside.
//!
//! Files are read from their beginning to their end and little of them is kept, however long the trail is. Nothing is
//! written. What is printed of it is the command line's.

use crate::archive;
use crate::audit_key::{KEY_FILE, PUBLIC_FILE};
use crate::checkpoint::{Chain, Checkpoint, End, FILE, Lines, Proof, leaf, read_line, time_of};
use crate::look_up::terms;
use crate::merkle::{self, Hash};
use crate::outside;
use crate::pace::GRACE_MS;
use iam::audit::Event;
use std::path::Path;
use store::{Term, Trail};
use wire::clock::iso_seconds;

/// What is to be held against what.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The data directory.
    pub directory: &'a Path,
    /// Checkpoints that were put away outside.
    pub outside: Option<&'a Path>,
    /// The folder with archives.
    pub archives: Option<&'a Path>,
    /// The public key; that of the data directory unless told.
    pub public_key: Option<&'a Path>,
    /// A file that ends with the checkpoint to begin behind: what it vouches for was verified before.
    pub since: Option<&'a Path>,
}

/// How far checkpoints vouch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Entries, from the first ever.
    pub entries: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// The time of the last of them, in milliseconds since 1970.
    pub at_ms: Option<i64>,
}

/// What a trail was found to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The position of the last entry.
    pub entries: u64,
    /// What the data directory's own checkpoints vouch for.
    pub own: Reached,
    /// What those outside vouch for, where they were looked at.
    pub outside: Option<Reached>,
}

fn text_of(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))
}

fn end_of(file: &Path) -> Result<End, String> {
    End::of(file).map_err(|e| format!("{}: {e}", file.display()))
}

/// Holds a trail against its checkpoints, and these against what was put away outside.
///
/// Errors: the first thing that is not as it was.
pub fn verify(ask: &Ask<'_>) -> Result<Verified, String> {
    let own = ask.directory.join(FILE);
    if ask.public_key.is_none() && was_never_served(ask.directory)? {
        return verify_unserved(ask);
    }
    let public = public_of(ask)?;
    let end = end_of(&own)?;
    if end.whole == 0 {
        return Err(format!(
            "{}: expected signed checkpoints, since the installation has an audit key; found none: nothing vouches for \
             the trail",
            own.display()
        ));
    }
    // What is wrong with the own ones tells more, so it is told first.
    let parted = ask.outside.map(|file| hold_outside(&own, &end, file));
    let mut verifier = Verifier::new(Vouched::open(&own, &public, ask.since)?);
    let from = verifier.seen + 1;
    let mut each = |position, record: &[u8], found: Option<&[Term]>| {
        verifier.take(position, record, found).map(|()| true)
    };
    entries(ask, &public, from, &mut each)?;
    let mut verified = verifier.end()?;
    if let (Some(file), Some(held)) = (ask.outside, parted) {
        let held = held.map_err(|why| format!("{}: {why}", file.display()))?;
        let own_ms = (verifier.vouched.began_ms, verified.own.at_ms);
        if let ((Some(began_ms), Some(last_ms)), 0) = (own_ms, held.checkpoints)
            && last_ms > began_ms.saturating_add(GRACE_MS)
        {
            return Err(format!(
                "{}: expected checkpoints that were put away since {}; found none",
                file.display(),
                iso_seconds(began_ms)
            ));
        }
        verified.outside = Some(held);
    }
    Ok(verified)
}

/// The public key.
fn public_of(ask: &Ask<'_>) -> Result<String, String> {
    let own = ask.directory.join(PUBLIC_FILE);
    text_of(ask.public_key.unwrap_or(&own)).map_err(|why| match ask.public_key {
        Some(_) => why,
        None => format!(
            "{why}; give a copy as `--public-key FILE`, or start the server, which writes it anew beside its key"
        ),
    })
}

/// Whether no server ever ran on a data directory, so that there is neither a key nor anything signed: but for a first
/// checkpoint over nothing, as a crash in the very first moment leaves it.
fn was_never_served(directory: &Path) -> Result<bool, String> {
    if directory.join(KEY_FILE).exists() || directory.join(PUBLIC_FILE).exists() {
        return Ok(false);
    }
    let end = end_of(&directory.join(FILE))?;
    let only = end.checkpoint().ok().flatten().filter(|_| end.whole == end.line.len() as u64 + 1);
    Ok(end.length == 0 || only.is_some_and(|only| only.size == 0))
}

/// Verifies what `init` left: no server has signed anything yet, so there must not be more than that takes.
fn verify_unserved(ask: &Ask<'_>) -> Result<Verified, String> {
    if let Some(file) = ask.outside
        && end_of(file)?.length > 0
    {
        return Err(format!(
            "{}: checkpoints were put away outside, and the data directory has none: the trail was set back, or they are \
             of another installation",
            file.display()
        ));
    }
    let (mut last, mut oldest_ms) = (0, None);
    let mut each = |position, record: &[u8], found: Option<&[Term]>| {
        check_terms(position, record, found)?;
        if position != last + 1 {
            return Err(format!("expected entry {}; found {position}", last + 1));
        }
        last = position;
        let at_ms = time_of(record);
        let began_ms = *oldest_ms.get_or_insert(at_ms.unwrap_or(i64::MAX));
        match at_ms.is_some_and(|at_ms| at_ms > began_ms.saturating_add(GRACE_MS)) {
            false => Ok(true),
            true => Err(format!(
                "entry {position} came long after the first, and there is neither an audit key nor a checkpoint: they are \
                 missing, unless this is an installation from before there were any, which signs its trail when it is \
                 started"
            )),
        }
    };
    entries(ask, "", 1, &mut each)?;
    let outside = ask.outside.map(|_| Reached::default());
    Ok(Verified { entries: last, own: Reached::default(), outside })
}

/// Whether a file outside is the beginning of our own, byte for byte, and how far it vouches. Half a line at its end is
/// the beginning of our next one.
fn hold_outside(own: &Path, own_end: &End, file: &Path) -> Result<Reached, String> {
    let end = End::of(file)?;
    let (theirs, ours) = (end.checkpoint()?, own_end.checkpoint()?);
    let shorter = end.length.min(own_end.whole);
    let lines = |to: u64| -> Result<u64, String> {
        let (mut lines, mut at) = (Lines::open(own)?, 0);
        let mut count = 0;
        while let Some(line) = lines.as_mut().map(Lines::next).transpose()?.flatten() {
            at += line.len() as u64 + 1;
            if at > to {
                break;
            }
            count += 1;
        }
        Ok(count)
    };
    if let Some(at) = outside::differ(file, own, 0, shorter)? {
        return Err(format!("checkpoint {}: outside another was put away", lines(at)? + 1));
    }
    if end.length > shorter {
        let number = lines(shorter)? + 1;
        let why = outside::parted(theirs.as_ref(), ours.as_ref());
        return Err(format!("checkpoint {number} was put away outside and is missing here: {why}"));
    }
    Ok(Reached {
        entries: theirs.as_ref().map_or(0, |last| last.size),
        checkpoints: lines(end.whole)?,
        at_ms: theirs.map(|last| last.at_ms),
    })
}

/// Hands every entry from `from` on to `each`, in order, until it has enough: those of the archives, then those of the
/// store, these with what they are found by.
///
/// Errors: entries that the store put away and whose archives are not there; damage to the store; what `each` says.
fn entries(
    ask: &Ask<'_>,
    public: &str,
    from: u64,
    each: &mut impl FnMut(u64, &[u8], Option<&[Term]>) -> Result<bool, String>,
) -> Result<(), String> {
    let trail = Trail::open(ask.directory).map_err(|e| e.to_string())?;
    let first = trail.first();
    let mut next = from;
    if let Some(folder) = ask.archives {
        // A crash may have left a segment in both.
        let mut before =
            |at, record: &[u8]| if at >= first { Ok(true) } else { each(at, record, None) };
        match archive::read(folder, public, from, &mut before)? {
            Some(after) => next = after,
            None => return Ok(()),
        }
    }
    if next < first {
        return Err(format!(
            "entries {next} to {} are no longer in the store; give the folder with their archives, as `--archive FOLDER`",
            first - 1
        ));
    }
    let mut done = Ok(true);
    let problems = trail.read(&mut |entry| {
        if entry.position >= from {
            done = each(entry.position, entry.record, Some(entry.terms));
        }
        matches!(done, Ok(true))
    });
    if let Some(problem) = problems.map_err(|e| e.to_string())?.first() {
        return Err(format!("the store is damaged: {problem}; run `linkrole fsck`"));
    }
    done.map(drop)
}

/// Whether an entry is found by what it says, and by nothing else.
fn check_terms(position: u64, record: &[u8], found: Option<&[Term]>) -> Result<(), String> {
    let Some(found) = found else { return Ok(()) };
    let event = serde_json::from_slice::<Event>(record);
    let expected = event.as_ref().map(terms).unwrap_or_default();
    match found == expected {
        true => Ok(()),
        false => Err(format!(
            "entry {position} is not found by what it says: it is stored under {} terms, of which {} are right; expected \
             {}",
            found.len(),
            found.iter().filter(|term| expected.contains(term)).count(),
            expected.len()
        )),
    }
}

/// The leaves that checkpoints vouch for, one after the other, each with the time by which it was there.
struct Vouched<'a> {
    lines: Lines,
    public: &'a str,
    chain: Chain,
    ready: std::vec::IntoIter<Hash>,
    /// The time of the first checkpoint of all.
    began_ms: Option<i64>,
    /// What an error says the file is.
    at: String,
}

impl<'a> Vouched<'a> {
    /// From the first leaf on, or from the first behind a checkpoint that is believed.
    fn open(own: &Path, public: &'a str, since: Option<&Path>) -> Result<Self, String> {
        let at = own.display().to_string();
        let wrong = |why: String| format!("{at}: {why}");
        let lines = Lines::open(own).map_err(wrong)?;
        let lines = lines.ok_or_else(|| wrong("it is missing".to_owned()))?;
        let (chain, ready) = (Chain::default(), Vec::new().into_iter());
        let mut vouched = Self { lines, public, chain, ready, began_ms: None, at };
        if let Some(file) = since {
            vouched.skip_to(file)?;
        }
        Ok(vouched)
    }

    /// Goes to behind the checkpoint at the end of a file.
    fn skip_to(&mut self, file: &Path) -> Result<(), String> {
        let wrong = |why: String| format!("{}: {why}", file.display());
        let end = end_of(file)?;
        let none = || wrong("expected a line with a checkpoint; found none".to_owned());
        let trusted = end.checkpoint().map_err(wrong)?.ok_or_else(none)?;
        while let Some(line) = self.lines.next()? {
            if self.began_ms.is_none() {
                self.began_ms = read_line(&line).ok().map(|first| first.at_ms);
            }
            if line == end.line {
                return self.chain.start_at(trusted, self.public).map_err(wrong);
            }
        }
        Err(wrong(format!(
            "its last checkpoint is not among those of {}: the trail was set back, or is another one",
            self.at
        )))
    }

    /// The next leaf, and the time of its checkpoint; none behind the last.
    ///
    /// Errors: the first checkpoint that does not hold, and why.
    fn next(&mut self) -> Result<Option<(Hash, i64)>, String> {
        loop {
            if let (Some(leaf), Some(last)) = (self.ready.next(), &self.chain.last) {
                return Ok(Some((leaf, last.at_ms)));
            }
            let Some(line) = self.lines.next().map_err(|why| format!("{}: {why}", self.at))? else {
                return Ok(None);
            };
            let leaves = read_line(&line).and_then(|next| self.chain.add(next, self.public));
            self.ready = leaves
                .map_err(|why| format!("{}: checkpoint {}: {why}", self.at, self.lines.number()))?
                .into_iter();
            self.began_ms = self.began_ms.or(self.chain.began_ms);
        }
    }
}

/// Holds entries, in order of their places, against what is vouched for.
struct Verifier<'a> {
    vouched: Vouched<'a>,
    seen: u64,
}

impl<'a> Verifier<'a> {
    fn new(vouched: Vouched<'a>) -> Self {
        Self { seen: vouched.chain.size(), vouched }
    }

    /// Takes the next entry.
    ///
    /// Errors: the first that is missing, doubled, moved, changed, hidden or vouched for by nothing.
    fn take(&mut self, position: u64, record: &[u8], found: Option<&[Term]>) -> Result<(), String> {
        let expected = self.seen + 1;
        if position != expected {
            return Err(format!("expected entry {expected}; found {position}"));
        }
        self.seen = position;
        let at_ms = time_of(record);
        match self.vouched.next()? {
            Some((expected, _)) if expected != leaf(position, record) => {
                return Err(format!("entry {position} is not the one that was there"));
            }
            Some((_, until_ms)) if at_ms.is_some_and(|at_ms| at_ms > until_ms) => {
                return Err(format!(
                    "entry {position} is younger than the checkpoint that vouches for it"
                ));
            }
            Some(_) => {}
            None => self.check_unvouched(position, at_ms)?,
        }
        check_terms(position, record, found)
    }

    /// Whether an entry may have come after the last checkpoint.
    fn check_unvouched(&self, position: u64, at_ms: Option<i64>) -> Result<(), String> {
        let last_ms = self.vouched.chain.last.as_ref().map_or(i64::MIN, |last| last.at_ms);
        match at_ms.filter(|at_ms| *at_ms > last_ms.saturating_add(GRACE_MS)) {
            None => Ok(()),
            Some(at_ms) => Err(format!(
                "nothing vouches for entry {position} of {}: the last checkpoint is of {}, and there is one a minute; \
                 those after it are missing",
                iso_seconds(at_ms),
                iso_seconds(last_ms)
            )),
        }
    }

    /// All entries were taken.
    ///
    /// Errors: that some are missing at the end; checkpoints after them that do not hold.
    fn end(&mut self) -> Result<Verified, String> {
        if self.vouched.next()?.is_some() {
            return Err(format!(
                "entry {} is missing, and all after it: checkpoints vouch for {}",
                self.seen + 1,
                self.vouched.chain.size()
            ));
        }
        let chain = &self.vouched.chain;
        let at_ms = chain.last.as_ref().map(|last| last.at_ms);
        let own = Reached { entries: chain.size(), checkpoints: chain.count, at_ms };
        Ok(Verified { entries: self.seen, own, outside: None })
    }
}

/// Proves an entry to somebody who has only the public key.
///
/// Errors: no checkpoint vouches for it; a trail or checkpoints that do not hold as far as they are read.
pub fn prove(directory: &Path, archives: Option<&Path>, position: u64) -> Result<Proof, String> {
    let public = text_of(&directory.join(PUBLIC_FILE))?;
    let own = directory.join(FILE);
    let last = end_of(&own)?.checkpoint().map_err(|why| format!("{}: {why}", own.display()))?;
    let size = last.as_ref().map_or(0, |last| last.size);
    let none =
        || format!("no checkpoint vouches for entry {position}; they do for entries 1 to {size}");
    let index = position.checked_sub(1).ok_or_else(none)?;
    let mut path = merkle::Path::new(index, size).ok_or_else(none)?;
    let mut vouched = Vouched::open(&own, &public, None)?;
    let (mut at, mut expected) = (0, None);
    while let Some((leaf, _)) = vouched.next()? {
        if at == index {
            expected = Some(leaf);
        }
        path.push(leaf);
        at += 1;
    }
    let mut record = None;
    let mut each = |at: u64, found: &[u8], _: Option<&[Term]>| {
        if at == position {
            record = Some(found.to_vec());
        }
        Ok(at < position)
    };
    let ask = Ask { directory, outside: None, archives, public_key: None, since: None };
    entries(&ask, &public, 1, &mut each)?;
    let record = record.ok_or_else(|| format!("entry {position} is missing"))?;
    if expected != Some(leaf(position, &record)) {
        return Err(format!("entry {position} is not the one that was there"));
    }
    let last: Checkpoint = vouched.chain.last.ok_or_else(none)?;
    Ok(Proof::of(position, &record, path, last))
}
