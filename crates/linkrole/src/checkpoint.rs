//! Checkpoints of the trail: what is signed of it from time to time, and what a trail is held against later.
//!
//! Each entry of the trail is a leaf of a Merkle tree. A checkpoint has the leaves that came since the one before, the
//! root of the whole tree, the time, and the hash of the checkpoint before; what it says is signed by a key that is good
//! for nothing else. So who has the public key, and a checkpoint that was put away outside, finds every entry that was
//! changed, dropped, moved or added behind it. Stated limit: whoever holds both the store and the signing key can write
//! anew what came after the last checkpoint outside.
//!
//! A checkpoint also has the roots of the tree's whole parts. They need no signature, since they make the root, and they
//! are all that is needed to go on from it: nobody has to read what came before.

use crate::audit_key::{Signer, verify_signature};
use crate::merkle::{self, Hash, Tree};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// What a checkpoint is, with the version of its form.
const KIND: &str = "linkrole-checkpoint/2";
/// The checkpoints, in the data directory.
pub const FILE: &str = "checkpoints";
/// The most leaves that a checkpoint has.
pub const LEAVES: usize = 1_000;
/// The most bytes that its line has: leaves, the roots of a tree of any size, and the rest.
pub const LINE: usize = 65_536;

/// The hash of an entry, with its place.
pub fn leaf(position: u64, record: &[u8]) -> Hash {
    merkle::leaf(&[&position.to_be_bytes(), record])
}

/// The time of an entry, in milliseconds since 1970; none of one that tells none, like the mark of a reset.
pub fn time_of(record: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Timed {
        at_ms: i64,
    }
    serde_json::from_slice::<Timed>(record).ok().map(|timed| timed.at_ms)
}

/// A signed statement about the trail up to an entry; one line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// What it is, with the version of its form.
    pub kind: String,
    /// Whose trail: the check value of the installation's keyring.
    pub origin: String,
    /// How many entries there are.
    pub size: u64,
    /// The root over all of them, in hexadecimal.
    pub root: String,
    /// When, in milliseconds since 1970: no entry that it vouches for is younger.
    pub at_ms: i64,
    /// The hash of the checkpoint before, in hexadecimal; empty in the first.
    pub previous: String,
    /// The roots of the tree's whole parts, the largest first, in base64. They make the root.
    pub peaks: String,
    /// The leaves since the checkpoint before, in base64. The root says whether they are right.
    pub leaves: String,
    /// The signature, in base64.
    pub signature: String,
}

fn encoded(hashes: &[Hash]) -> String {
    STANDARD.encode(hashes.as_flattened())
}

fn decoded(text: &str) -> Option<Vec<Hash>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (hashes, rest) = bytes.as_chunks();
    rest.is_empty().then(|| hashes.to_vec())
}

impl Checkpoint {
    /// Signs what is to be said after `last`, with these new leaves.
    pub fn sign(
        signer: &Signer,
        origin: &str,
        last: Option<&Self>,
        tree: &Tree,
        leaves: &[Hash],
        at_ms: i64,
    ) -> Self {
        let mut made = Self {
            kind: KIND.to_owned(),
            origin: origin.to_owned(),
            size: tree.size(),
            root: iam::seal::hex(&tree.root()),
            at_ms,
            previous: last.map(Self::hash).unwrap_or_default(),
            peaks: encoded(tree.peaks()),
            leaves: encoded(leaves),
            signature: String::new(),
        };
        made.signature = signer.sign_text(&made.text());
        made
    }

    /// What is signed.
    fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\n{}\n{}\n{}\n",
            self.kind, self.origin, self.size, self.root, self.at_ms, self.previous
        )
    }

    /// By what the next one knows this one.
    pub fn hash(&self) -> String {
        let text = self.text();
        iam::seal::hex(&merkle::leaf(&[text.as_bytes(), self.signature.as_bytes()]))
    }

    /// Whether it is a checkpoint of this key.
    fn check(&self, public: &str) -> Result<(), String> {
        if self.kind != KIND {
            return Err(format!("it is `{}`; expected `{KIND}`", self.kind));
        }
        verify_signature(public, &self.text(), &self.signature)
    }

    /// The tree that it speaks of, as far as is needed to go on.
    ///
    /// Errors: it is not signed by this key; its parts do not make its root.
    pub fn tree(&self, public: &str) -> Result<Tree, String> {
        self.check(public)?;
        let tree = decoded(&self.peaks).and_then(|peaks| Tree::of(self.size, peaks));
        tree.filter(|tree| iam::seal::hex(&tree.root()) == self.root)
            .ok_or_else(|| "its parts do not make its root".to_owned())
    }

    /// Without what can be worked out from the trail.
    fn bare(self) -> Self {
        Self { peaks: String::new(), leaves: String::new(), ..self }
    }
}

/// Checkpoints that hold together, as they are read one after the other: every signature, every link, every root. Of
/// those that were read only the last is kept.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// The last one, without its leaves.
    pub last: Option<Checkpoint>,
    /// The time of the first.
    pub began_ms: Option<i64>,
    /// How many were read.
    pub count: u64,
    tree: Tree,
}

impl Chain {
    /// Takes the next checkpoint, and answers its leaves.
    ///
    /// Errors: why it is not the next one.
    pub fn add(&mut self, next: Checkpoint, public: &str) -> Result<Vec<Hash>, String> {
        next.check(public)?;
        let last = self.last.as_ref();
        if next.previous != last.map(Checkpoint::hash).unwrap_or_default() {
            return Err("it does not follow the one before".to_owned());
        }
        if last.is_some_and(|last| last.origin != next.origin) {
            return Err("it is of another installation".to_owned());
        }
        if last.is_some_and(|last| next.at_ms < last.at_ms) {
            return Err("its time is before that of the one before".to_owned());
        }
        let leaves = decoded(&next.leaves).ok_or("its leaves do not read")?;
        if leaves.len() > LEAVES {
            return Err(format!("it has {} leaves; expected {LEAVES} at most", leaves.len()));
        }
        leaves.iter().for_each(|leaf| self.tree.push(*leaf));
        if self.tree.size() != next.size || iam::seal::hex(&self.tree.root()) != next.root {
            return Err("its leaves do not make its root".to_owned());
        }
        if encoded(self.tree.peaks()) != next.peaks {
            return Err("its parts do not make its root".to_owned());
        }
        self.began_ms = self.began_ms.or(Some(next.at_ms));
        self.count += 1;
        self.last = Some(Checkpoint { leaves: String::new(), ..next });
        Ok(leaves)
    }

    /// Takes a checkpoint as the one to go on from, whatever was before it.
    ///
    /// Errors: it does not hold by itself.
    pub fn start_at(&mut self, trusted: Checkpoint, public: &str) -> Result<(), String> {
        self.tree = trusted.tree(public)?;
        self.began_ms = Some(trusted.at_ms);
        self.last = Some(trusted);
        Ok(())
    }

    /// How many entries are vouched for.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }
}

/// The whole lines of a file of checkpoints, one at a time. What a crash cut off at its end is passed over.
#[derive(Debug)]
pub struct Lines {
    from: BufReader<File>,
    number: u64,
}

impl Lines {
    /// Opens a file; none where there is none.
    pub fn open(file: &Path) -> Result<Option<Self>, String> {
        match File::open(file) {
            Ok(file) => Ok(Some(Self { from: BufReader::new(file), number: 0 })),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.to_string()),
        }
    }

    fn is_at_end(&mut self) -> Result<bool, String> {
        self.from.fill_buf().map(<[u8]>::is_empty).map_err(|e| e.to_string())
    }

    /// The number of the line that was read last, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line, without its end.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut line = Vec::new();
        let most = LINE as u64 + 1;
        let read = (&mut self.from).take(most).read_until(b'\n', &mut line);
        read.map_err(|e| e.to_string())?;
        self.number += 1;
        match line.pop() {
            Some(b'\n') if is_torn(&line) && self.is_at_end()? => Ok(None),
            Some(b'\n') => Ok(Some(line)),
            _ if line.len() as u64 + 1 >= most => Err(format!(
                "checkpoint {}: expected at most {LINE} bytes; found more",
                self.number
            )),
            _ => Ok(None),
        }
    }
}

/// Whether a last line is what a loss of power left of one: some file systems know how long a file is before they have
/// what was written to it, and show zeros there.
fn is_torn(line: &[u8]) -> bool {
    line.contains(&0)
}

/// A line as a checkpoint.
pub fn read_line(line: &[u8]) -> Result<Checkpoint, String> {
    serde_json::from_slice(line).map_err(|e| format!("it does not read: {e}"))
}

/// The last of whole lines, without its end.
fn last_line(lines: &[u8]) -> &[u8] {
    let line = lines.strip_suffix(b"\n").unwrap_or_default();
    line.rsplit(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// How a file of checkpoints ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Its last whole line, as it stands there; empty if it has none.
    pub line: Vec<u8>,
    /// How many bytes its whole lines have.
    pub whole: u64,
    /// How many bytes it has.
    pub length: u64,
}

impl End {
    /// Looks at the end of a file, and at nothing before its last line; of one that is missing nothing is there.
    ///
    /// Errors: a file that cannot be read; one without line ends.
    pub fn of(file: &Path) -> Result<Self, String> {
        let mut open = match File::open(file) {
            Ok(open) => open,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(e.to_string()),
        };
        let length = open.metadata().map_err(|e| e.to_string())?.len();
        // Half a line, one that was torn, the last whole one, and the end of the line before.
        let from = length.saturating_sub(3 * (LINE as u64 + 1) + 1);
        let mut bytes = Vec::new();
        open.seek(SeekFrom::Start(from)).map_err(|e| e.to_string())?;
        open.take(length - from).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        let after = bytes.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        let mut whole = bytes.get(..after.unwrap_or(0)).unwrap_or_default();
        let mut line = last_line(whole);
        if is_torn(line) && whole.len() as u64 + from == length {
            whole = whole.get(..whole.len() - line.len() - 1).unwrap_or_default();
            line = last_line(whole);
        }
        if (from > 0 && whole.is_empty()) || line.len() > LINE {
            return Err(format!("expected lines of at most {LINE} bytes; found a longer one"));
        }
        let end = if whole.is_empty() { 0 } else { from + whole.len() as u64 };
        Ok(Self { line: line.to_vec(), whole: end, length })
    }

    /// The last checkpoint; none where there is no whole line.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, String> {
        if self.whole == 0 { Ok(None) } else { read_line(&self.line).map(Some) }
    }
}

/// That an entry is in the trail of a checkpoint: all that is needed to see it, but the public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The entry's place, from 1.
    pub position: u64,
    /// The entry, in base64.
    pub record: String,
    /// The hashes beside its way up, in base64, nearest first.
    pub path: Vec<String>,
    /// The checkpoint whose root they lead to.
    pub checkpoint: Checkpoint,
}

impl Proof {
    /// The proof of an entry by its way to the root of a checkpoint.
    pub fn of(position: u64, record: &[u8], path: merkle::Path, checkpoint: Checkpoint) -> Self {
        Self {
            position,
            record: STANDARD.encode(record),
            path: path.end().iter().map(|hash| STANDARD.encode(hash)).collect(),
            checkpoint: checkpoint.bare(),
        }
    }

    /// The entry, if the proof holds.
    ///
    /// Errors: why it does not.
    pub fn verify(&self, public: &str) -> Result<Vec<u8>, String> {
        self.checkpoint.check(public).map_err(|why| format!("the checkpoint: {why}"))?;
        let record = STANDARD.decode(&self.record).map_err(|_| "the entry does not read")?;
        let path = self.path.iter().map(|text| STANDARD.decode(text).ok()?.try_into().ok());
        let path = path.collect::<Option<Vec<Hash>>>().ok_or("the path does not read")?;
        let index = self.position.checked_sub(1).ok_or("entries are counted from 1")?;
        let leaf = leaf(self.position, &record);
        let root = merkle::root_by_path(leaf, index, self.checkpoint.size, &path);
        if root.map(|root| iam::seal::hex(&root)) != Some(self.checkpoint.root.clone()) {
            return Err("the entry does not lead to the checkpoint's root".to_owned());
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    fn signer(seed: u8) -> Signer {
        Signer::of(&[seed; 32]).unwrap()
    }

    fn records(count: u64) -> Vec<Vec<u8>> {
        (1..=count).map(|n| format!("{{\"operation\":\"O{n}\"}}").into_bytes()).collect()
    }

    /// Checkpoints of every seven entries, each followed by one of none.
    fn made(records: &[Vec<u8>]) -> Vec<Checkpoint> {
        let (mut tree, mut new, mut made) = (Tree::default(), Vec::new(), Vec::<Checkpoint>::new());
        for (n, record) in (1_u64..).zip(records) {
            tree.push(leaf(n, record));
            new.push(leaf(n, record));
            if n.is_multiple_of(7) {
                for leaves in [std::mem::take(&mut new), Vec::new()] {
                    let at_ms = i64::try_from(n).unwrap();
                    let last = made.last();
                    made.push(Checkpoint::sign(&signer(7), "origin", last, &tree, &leaves, at_ms));
                }
            }
        }
        made
    }

    #[test]
    fn a_chain_goes_on_from_any_of_its_checkpoints_alone() {
        let public = signer(7).public();
        let all = made(&records(100));
        let mut whole = Chain::default();
        for (n, checkpoint) in all.iter().enumerate() {
            let leaves = whole.add(checkpoint.clone(), &public).unwrap();
            assert_eq!(leaves.len(), if n % 2 == 0 { 7 } else { 0 });
            let mut later = Chain::default();
            later.start_at(checkpoint.clone(), &public).unwrap();
            assert_eq!(later.size(), whole.size());
            for next in all.iter().skip(n + 1) {
                later.add(next.clone(), &public).unwrap();
            }
            assert_eq!(later.size(), 98);
        }
        assert_eq!((whole.count, whole.began_ms, whole.size()), (28, Some(7), 98));
    }

    #[test]
    fn a_changed_checkpoint_is_found_whatever_of_it_was_changed() {
        let public = signer(7).public();
        let all = made(&records(30));
        let last = all.get(6).unwrap();
        let changed = |change: &dyn Fn(&mut Checkpoint)| {
            let mut other = last.clone();
            change(&mut other);
            let mut chain = Chain::default();
            for checkpoint in all.iter().take(6).chain([&other]) {
                chain.add(checkpoint.clone(), &public)?;
            }
            other.tree(&public).map(drop)
        };
        assert_eq!(changed(&|_| {}), Ok(()), "the control");
        let (peaks, leaves) = (last.peaks.clone(), last.leaves.clone());
        let harms: [&dyn Fn(&mut Checkpoint); 9] = [
            &|c| c.kind = "linkrole-checkpoint/1".to_owned(),
            &|c| c.origin.push('x'),
            &|c| c.size += 1,
            &|c| c.root = last.previous.clone(),
            &|c| c.at_ms += 1,
            &|c| c.previous = String::new(),
            &|c| c.peaks = leaves.clone(),
            &|c| c.leaves = peaks.clone(),
            &|c| c.signature = all.first().unwrap().signature.clone(),
        ];
        for (number, harm) in harms.iter().enumerate() {
            assert!(changed(harm).is_err(), "harm {number}");
        }
    }

    #[test]
    fn the_end_of_a_file_tells_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("checkpoints");
        assert_eq!(End::of(&file).unwrap(), End::default());
        let long = "x".repeat(LINE);
        for (content, line, whole) in [
            (String::new(), "", 0),
            ("cut off".to_owned(), "", 0),
            ("one\n".to_owned(), "one", 4),
            ("one\ntwo\ncut".to_owned(), "two", 8),
            ("one\ntwo\nto\0n\n".to_owned(), "two", 8),
            ("to\0n\n".to_owned(), "", 0),
            ("one\nto\0n\nthree\n".to_owned(), "three", 15),
            (format!("one\n{long}\n{long}"), long.as_str(), 5 + LINE as u64),
            (format!("{long}\n{long}\n{long}"), long.as_str(), 2 + 2 * LINE as u64),
        ] {
            std::fs::write(&file, &content).unwrap();
            let end = End::of(&file).unwrap();
            assert_eq!(end, End { line: line.into(), whole, length: content.len() as u64 });
            let mut lines = Lines::open(&file).unwrap().unwrap();
            let mut last = None;
            while let Some(line) = lines.next().unwrap() {
                last = Some(line);
            }
            assert_eq!(last.unwrap_or_default(), end.line);
        }
        for content in [format!("{long}x\n"), format!("a\n{long}xx"), "x".repeat(5 * LINE)] {
            std::fs::write(&file, &content).unwrap();
            let mut lines = Lines::open(&file).unwrap().unwrap();
            let read = std::iter::from_fn(|| lines.next().transpose());
            let found = read.collect::<Result<Vec<_>, _>>();
            assert!(found.is_err() || End::of(&file).is_err(), "{}", content.len());
        }
    }

    #[test]
    fn a_proof_needs_nothing_but_the_public_key() {
        let records = records(30);
        let all = made(&records);
        let (last, public) = (all.last().unwrap(), signer(7).public());
        for (position, record) in (1_u64..).zip(&records) {
            let Some(mut path) = merkle::Path::new(position - 1, last.size) else {
                assert!(position > 28, "{position}");
                continue;
            };
            for (at, record) in (1_u64..=28).zip(&records) {
                path.push(leaf(at, record));
            }
            let proof = Proof::of(position, record, path, last.clone());
            assert_eq!(proof.verify(&public).as_ref(), Ok(record));
            assert!(proof.verify(&signer(8).public()).is_err());
            for bent in [
                Proof { position: position + 1, ..proof.clone() },
                Proof { position: 0, ..proof.clone() },
                Proof { record: STANDARD.encode("{}"), ..proof.clone() },
                Proof { path: Vec::new(), ..proof.clone() },
                Proof {
                    checkpoint: Checkpoint { size: 29, ..proof.checkpoint.clone() },
                    ..proof.clone()
                },
            ] {
                assert!(bent.verify(&public).is_err(), "{bent:?}");
            }
        }
    }
}
