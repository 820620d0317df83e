//! Checkpoints of the trail: what is signed of it from time to time, and what a trail is held against later.
//!
//! Each entry of the trail is a leaf of a Merkle tree. A checkpoint has the leaves that came since the one before, the
//! root of the whole tree, the time, and the hash of the checkpoint before; what it says is signed by a key that is good
//! for nothing else. So who has the public key, and a checkpoint that was put away outside, finds every entry that was
//! changed, dropped, moved or added behind it. Stated limit: whoever holds both the store and the signing key can write
//! anew what came after the last checkpoint outside.

use crate::merkle::{self, Hash, Tree};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::path::Path;
use zeroize::Zeroizing;

/// The seed of the signing key, in the data directory.
const KEY_FILE: &str = "audit-key";
const KEY_HEADER: &str = "linkrole-audit-key/1\n";
/// The public key, beside it: for whoever verifies.
pub const PUBLIC_FILE: &str = "audit-key.pub";
/// The checkpoints, in the data directory.
pub const FILE: &str = "checkpoints";

/// The hash of an entry, with its place.
pub fn leaf(position: u64, record: &[u8]) -> Hash {
    merkle::leaf(&[&position.to_be_bytes(), record])
}

/// A signed statement about the trail up to an entry; one line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Whose trail: the check value of the installation's keyring.
    pub origin: String,
    /// How many entries there are.
    pub size: u64,
    /// The root over all of them, in hexadecimal.
    pub root: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The hash of the checkpoint before, in hexadecimal; empty in the first.
    pub previous: String,
    /// The leaves since then, in base64. The root says whether they are right.
    pub leaves: Vec<String>,
    /// The signature, in base64.
    pub signature: String,
}

impl Checkpoint {
    /// What is signed.
    fn text(&self) -> String {
        format!(
            "linkrole-checkpoint/1\n{}\n{}\n{}\n{}\n{}\n",
            self.origin, self.size, self.root, self.at_ms, self.previous
        )
    }

    /// By what the next one knows this one.
    pub fn hash(&self) -> String {
        let text = self.text();
        iam::seal::hex(&merkle::leaf(&[text.as_bytes(), self.signature.as_bytes()]))
    }
}

/// The key that signs checkpoints.
pub struct Signer {
    key: Ed25519KeyPair,
}

impl Signer {
    /// A key from its seed.
    pub fn of(seed: &[u8]) -> Result<Self, String> {
        let wrong = |_| "the audit key has a wrong length".to_owned();
        Ok(Self { key: Ed25519KeyPair::from_seed_unchecked(seed).map_err(wrong)? })
    }

    /// The key of a data directory, which is made where there is none.
    ///
    /// Errors: a file that is readable by others, or damaged.
    pub fn open(directory: &Path) -> Result<Self, String> {
        let file = directory.join(KEY_FILE);
        if !file.exists() {
            let mut seed = Zeroizing::new([0_u8; 32]);
            crate::clock::random(seed.as_mut_slice());
            let text = Zeroizing::new(format!("{KEY_HEADER}{}\n", STANDARD.encode(*seed)));
            crate::keys::write_private(&file, text.as_bytes())?;
        }
        let text = crate::keys::read_private(&file, "audit key")?;
        let seed = text.strip_prefix(KEY_HEADER).map(str::trim_end);
        let seed = seed.and_then(|text| STANDARD.decode(text).ok()).map(Zeroizing::new);
        let seed = seed.ok_or_else(|| format!("the audit key {} is damaged", file.display()))?;
        let signer = Self::of(&seed)?;
        let public = directory.join(PUBLIC_FILE);
        if !public.exists() {
            let text = format!("{}\n", signer.public());
            sdk::files::write(&public, text.as_bytes())
                .map_err(|e| format!("{}: {e}", public.display()))?;
        }
        Ok(signer)
    }

    /// The public key, in base64.
    pub fn public(&self) -> String {
        STANDARD.encode(self.key.public_key())
    }

    /// Signs what is to be said after `last`, with these new leaves.
    pub fn sign(
        &self,
        origin: &str,
        last: Option<&Checkpoint>,
        tree: &Tree,
        leaves: &[Hash],
        at_ms: i64,
    ) -> Checkpoint {
        let mut made = Checkpoint {
            origin: origin.to_owned(),
            size: tree.size(),
            root: iam::seal::hex(&tree.root()),
            at_ms,
            previous: last.map(Checkpoint::hash).unwrap_or_default(),
            leaves: leaves.iter().map(|leaf| STANDARD.encode(leaf)).collect(),
            signature: String::new(),
        };
        made.signature = self.sign_text(&made.text());
        made
    }

    /// The signature of a text, in base64. What texts say begins with what they are, so that none
    /// passes for another.
    pub fn sign_text(&self, text: &str) -> String {
        STANDARD.encode(self.key.sign(text.as_bytes()))
    }
}

/// Checks a signature in base64 with a public key in base64.
///
/// Errors: that it is not of this key.
pub fn verify_signature(public: &str, text: &str, signature: &str) -> Result<(), String> {
    let key = STANDARD.decode(public.trim()).map_err(|_| "the public key does not read")?;
    let signature = STANDARD.decode(signature).unwrap_or_default();
    let key = UnparsedPublicKey::new(&ED25519, key);
    let done = key.verify(text.as_bytes(), &signature);
    done.map_err(|_| "its signature is not of this key".to_owned())
}

/// Checkpoints that hold together: every signature, every link, every root.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// The checkpoints, oldest first.
    pub checkpoints: Vec<Checkpoint>,
    /// The leaves that they vouch for.
    pub leaves: Vec<Hash>,
    /// The tree of these.
    pub tree: Tree,
}

impl Chain {
    /// Reads and checks a file's lines. A last line that was cut off, as a crash leaves it, is told apart in `torn`.
    ///
    /// Errors: the first line that does not hold, and why.
    pub fn read(text: &str, public: &str) -> Result<(Self, bool), String> {
        let mut chain = Self::default();
        let torn = !text.is_empty() && !text.ends_with('\n');
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        for (number, line) in whole.lines().enumerate() {
            let read: Checkpoint = serde_json::from_str(line)
                .map_err(|e| format!("checkpoint {}: it does not read: {e}", number + 1))?;
            chain.add(read, public).map_err(|why| format!("checkpoint {}: {why}", number + 1))?;
        }
        Ok((chain, torn))
    }

    /// Adds the next checkpoint.
    ///
    /// Errors: why it is not the next one.
    pub fn add(&mut self, next: Checkpoint, public: &str) -> Result<(), String> {
        verify_signature(public, &next.text(), &next.signature)?;
        let last = self.checkpoints.last();
        if next.previous != last.map(Checkpoint::hash).unwrap_or_default() {
            return Err("it does not follow the one before".to_owned());
        }
        if last.is_some_and(|last| last.origin != next.origin) {
            return Err("it is of another installation".to_owned());
        }
        if last.is_some_and(|last| next.at_ms < last.at_ms) {
            return Err("its time is before that of the one before".to_owned());
        }
        let mut tree = self.tree.clone();
        let mut leaves = Vec::new();
        for text in &next.leaves {
            let bytes = STANDARD.decode(text).ok().and_then(|b| Hash::try_from(b).ok());
            let leaf = bytes.ok_or("a leaf does not read")?;
            tree.push(leaf);
            leaves.push(leaf);
        }
        if tree.size() != next.size || iam::seal::hex(&tree.root()) != next.root {
            return Err("its leaves do not make its root".to_owned());
        }
        self.tree = tree;
        self.leaves.extend(leaves);
        self.checkpoints.push(next);
        Ok(())
    }

    /// Holds one entry against what is vouched for; `position` counts from 1.
    ///
    /// Errors: that it is not the entry that was there.
    pub fn check(&self, position: u64, record: &[u8]) -> Result<(), String> {
        let index = position.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| self.leaves.get(index)) {
            Some(expected) if *expected != leaf(position, record) => {
                Err(format!("entry {position} is not the one that was there"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a file that was put away outside is of this same history, and not ahead of it.
    ///
    /// Errors: where they part.
    pub fn holds(&self, outside: &Self) -> Result<(), String> {
        for (number, other) in outside.checkpoints.iter().enumerate() {
            match self.checkpoints.get(number) {
                Some(mine) if mine == other => {}
                Some(_) => {
                    return Err(format!("checkpoint {}: outside another was put away", number + 1));
                }
                None => {
                    return Err(format!(
                        "checkpoint {} was put away outside and is missing here: the trail was set back to {} entries",
                        number + 1,
                        self.tree.size()
                    ));
                }
            }
        }
        Ok(())
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

impl Chain {
    /// Proves an entry; none for one that no checkpoint vouches for.
    pub fn prove(&self, position: u64, record: &[u8]) -> Option<Proof> {
        let index = usize::try_from(position.checked_sub(1)?).ok()?;
        let path = merkle::path(&self.leaves, index)?;
        let last = self.checkpoints.last()?;
        Some(Proof {
            position,
            record: STANDARD.encode(record),
            path: path.iter().map(|hash| STANDARD.encode(hash)).collect(),
            checkpoint: Checkpoint { leaves: Vec::new(), ..last.clone() },
        })
    }
}

impl Proof {
    /// The entry, if the proof holds.
    ///
    /// Errors: why it does not.
    pub fn verify(&self, public: &str) -> Result<Vec<u8>, String> {
        verify_signature(public, &self.checkpoint.text(), &self.checkpoint.signature)
            .map_err(|why| format!("the checkpoint: {why}"))?;
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

/// What a trail was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Entries that are there.
    pub entries: u64,
    /// Entries that checkpoints vouch for; those after it nothing was said of yet.
    pub vouched: u64,
    /// Checkpoints.
    pub checkpoints: u64,
}

/// Holds entries, in order of their places, against what is vouched for.
#[derive(Debug)]
pub struct Verifier<'a> {
    chain: &'a Chain,
    seen: u64,
}

impl<'a> Verifier<'a> {
    /// Nothing is seen yet.
    pub fn new(chain: &'a Chain) -> Self {
        Self { chain, seen: 0 }
    }

    /// Takes the next entry.
    ///
    /// Errors: the first that is missing, doubled, moved or changed.
    pub fn take(&mut self, position: u64, record: &[u8]) -> Result<(), String> {
        let expected = self.seen + 1;
        if position != expected {
            return Err(format!("expected entry {expected}; found {position}"));
        }
        self.chain.check(position, record)?;
        self.seen = position;
        Ok(())
    }

    /// All entries were taken.
    ///
    /// Errors: that some are missing at the end.
    pub fn end(self) -> Result<Verified, String> {
        let vouched = self.chain.tree.size();
        if self.seen < vouched {
            return Err(format!(
                "entry {} is missing, and all after it: checkpoints vouch for {vouched}",
                self.seen + 1
            ));
        }
        let checkpoints = u64::try_from(self.chain.checkpoints.len()).unwrap_or(u64::MAX);
        Ok(Verified { entries: self.seen, vouched, checkpoints })
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::print_stdout,
        reason = "tests may fail loudly"
    )]
    use super::*;
    use store::disk::Dice;

    fn signer(seed: u8) -> Signer {
        Signer::of(&[seed; 32]).unwrap()
    }

    /// A trail of entries, and its checkpoints as a file has them.
    fn made(count: u64) -> (Vec<Vec<u8>>, Vec<String>) {
        let signer = signer(7);
        let entries: Vec<Vec<u8>> =
            (1..=count).map(|n| format!("{{\"operation\":\"O{n}\"}}").into_bytes()).collect();
        let mut tree = Tree::default();
        let (mut lines, mut last, mut new) = (Vec::new(), None, Vec::new());
        for (n, record) in (1_u64..).zip(&entries) {
            let hash = leaf(n, record);
            tree.push(hash);
            new.push(hash);
            // Of every few entries, once of none, and not of the last ones.
            if n.is_multiple_of(7) || n == 22 {
                for leaves in [std::mem::take(&mut new), Vec::new()] {
                    let at_ms = i64::try_from(n).unwrap() * 1_000;
                    let checkpoint = signer.sign("origin", last.as_ref(), &tree, &leaves, at_ms);
                    lines.push(serde_json::to_string(&checkpoint).unwrap());
                    last = Some(checkpoint);
                }
            }
        }
        (entries, lines)
    }

    fn verify(
        entries: &[(u64, Vec<u8>)],
        lines: &[String],
        outside: &Chain,
    ) -> Result<Verified, String> {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let (chain, torn) = Chain::read(&text, &signer(7).public())?;
        assert!(!torn);
        chain.holds(outside)?;
        let mut verifier = Verifier::new(&chain);
        for (position, record) in entries {
            verifier.take(*position, record)?;
        }
        verifier.end()
    }

    #[test]
    fn atk_h13_ten_thousand_mutations_of_a_trail_are_all_found() {
        let (records, lines) = made(60);
        let numbered: Vec<(u64, Vec<u8>)> = (1..).zip(records).collect();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let (outside, _) = Chain::read(&text, &signer(7).public()).unwrap();
        let honest = verify(&numbered, &lines, &outside).unwrap();
        assert_eq!(honest, Verified { entries: 60, vouched: 56, checkpoints: 18 });
        let vouched = 56;
        let mut dice = Dice(13);
        let mut kinds = [0_u32; 9];
        let mut below = |n: usize| usize::try_from(dice.roll() % (n as u64)).unwrap();
        let mut tried = 0;
        while tried < 10_000 {
            let (mut entries, mut file) = (numbered.clone(), lines.clone());
            let kind = below(kinds.len());
            let at = below(vouched);
            match kind {
                0 => {
                    let record = &mut entries[at].1;
                    let byte = below(record.len());
                    record[byte] ^= 1 << below(8);
                }
                1 => drop(entries.remove(at)),
                2 => {
                    // Dropped, and those after it moved up.
                    entries.remove(at);
                    (1..).zip(&mut entries).for_each(|(n, entry)| entry.0 = n);
                }
                3 => {
                    let other = below(vouched);
                    let record = entries[at].1.clone();
                    entries[at].1 = std::mem::replace(&mut entries[other].1, record);
                }
                4 => {
                    let copy = entries[below(vouched)].1.clone();
                    entries.insert(at, (0, copy));
                    (1..).zip(&mut entries).for_each(|(n, entry)| entry.0 = n);
                }
                5 => entries.truncate(at),
                6 => {
                    // Set back as a whole: entries and checkpoints fit each other, but not what is outside.
                    let keep = below(file.len());
                    file.truncate(keep);
                    let size = file
                        .last()
                        .map_or(0, |line| serde_json::from_str::<Checkpoint>(line).unwrap().size);
                    entries.truncate(usize::try_from(size).unwrap());
                }
                7 => {
                    // A checkpoint, changed somewhere.
                    let line = below(file.len());
                    let mut bytes = file[line].clone().into_bytes();
                    let byte = below(bytes.len());
                    bytes[byte] = b"0123456789abcdef"[below(16)];
                    file[line] = String::from_utf8(bytes).unwrap();
                }
                _ => {
                    // Written anew with another key.
                    let mut forged: Checkpoint =
                        serde_json::from_str(&file[below(lines.len())]).unwrap();
                    forged.at_ms += 1;
                    let text = forged.text();
                    forged.signature = STANDARD.encode(signer(8).key.sign(text.as_bytes()));
                    file.push(serde_json::to_string(&forged).unwrap());
                }
            }
            // What no checkpoint vouches for yet may still change.
            if entries.get(..vouched) == numbered.get(..vouched) && file == lines {
                continue;
            }
            tried += 1;
            kinds[kind] += 1;
            let found = verify(&entries, &file, &outside);
            assert!(found.is_err(), "kind {kind} was not found");
        }
        println!("mutations found by kind: {kinds:?}");
        assert!(kinds.iter().all(|count| *count > 100));
    }

    #[test]
    fn the_first_bad_entry_is_named() {
        let (records, lines) = made(30);
        let mut entries: Vec<(u64, Vec<u8>)> = (1..).zip(records).collect();
        entries[16].1[3] ^= 1;
        entries[20].1[3] ^= 1;
        let why = verify(&entries, &lines, &Chain::default()).unwrap_err();
        assert!(why.contains("entry 17 "), "{why}");
    }

    #[test]
    fn a_proof_needs_nothing_but_the_public_key() {
        let (records, lines) = made(30);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let public = signer(7).public();
        let (chain, _) = Chain::read(&text, &public).unwrap();
        for (position, record) in (1_u64..).zip(&records) {
            let Some(proof) = chain.prove(position, record) else {
                assert!(position > 28, "{position}");
                continue;
            };
            assert_eq!(proof.verify(&public).as_ref(), Ok(record));
            assert!(proof.verify(&signer(8).public()).is_err());
            for bent in [
                Proof { position: position + 1, ..proof.clone() },
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
        assert_eq!(chain.prove(0, b""), None);
    }
}
