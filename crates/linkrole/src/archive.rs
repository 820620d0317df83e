//! Archives of the trail: what became too old for the store, a whole segment a file.
//!
//! The first line of a file says whose entries follow, from which to which, and the root of the tree
//! over them, and is signed by the key of the checkpoints; each further line is one entry, byte for
//! byte as it was stored. So an archive can be read with any tool, and held against the signed
//! checkpoints as the store can.

use crate::audit_key::{Signer, verify_signature};
use crate::checkpoint::leaf;
use crate::merkle::Tree;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Split};
use std::path::{Path, PathBuf};

const KIND: &str = "linkrole-archive/1";
/// What a file of entries is called, before and after its numbers.
const NAME: (&str, &str) = ("trail-", ".jsonl");

/// How long the trail stays in the store, and where it goes then.
#[derive(Clone, Debug)]
pub struct Keep {
    /// How old an entry gets, in days.
    pub days: u32,
    /// Where archives are written.
    pub folder: PathBuf,
}

/// The first line of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// What it is, with the version of its form.
    pub kind: String,
    /// Whose trail: the check value of the installation's keyring.
    pub origin: String,
    /// The position of its first entry.
    pub from: u64,
    /// The position of its last.
    pub to: u64,
    /// The root of the tree over its entries, in hexadecimal.
    pub root: String,
    /// The signature of the rest, in base64.
    pub signature: String,
}

impl Header {
    fn text(&self) -> String {
        format!("{}\n{}\n{}\n{}\n{}\n", self.kind, self.origin, self.from, self.to, self.root)
    }
}

fn root_of(from: u64, records: &[Vec<u8>]) -> String {
    let mut tree = Tree::default();
    for (position, record) in (from..).zip(records) {
        tree.push(leaf(position, record));
    }
    iam::seal::hex(&tree.root())
}

/// Writes an archive of entries that follow each other from `from` on, and answers when the disk has it.
///
/// Errors: an entry that is no single line; a file that cannot be written.
pub fn write(
    folder: &Path,
    signer: &Signer,
    origin: &str,
    from: u64,
    records: &[Vec<u8>],
) -> Result<PathBuf, String> {
    let to = from.saturating_add(records.len() as u64).saturating_sub(1);
    let root = root_of(from, records);
    let kind = KIND.to_owned();
    let mut header =
        Header { kind, origin: origin.to_owned(), from, to, root, signature: String::new() };
    header.signature = signer.sign_text(&header.text());
    let mut bytes = serde_json::to_vec(&header).map_err(|e| e.to_string())?;
    for record in records {
        if record.contains(&b'\n') {
            return Err("an entry is no single line".to_owned());
        }
        bytes.push(b'\n');
        bytes.extend_from_slice(record);
    }
    bytes.push(b'\n');
    let file = folder.join(format!("{}{from:020}-{to:020}{}", NAME.0, NAME.1));
    let wrong = |e: std::io::Error| format!("{}: {e}", file.display());
    sdk::files::make_dir(folder).map_err(wrong)?;
    sdk::files::write(&file, &bytes).map_err(wrong)?;
    Ok(file)
}

/// Hands the entries of a folder's archives to `each`, in order and from the position `from` on, until it has enough;
/// answers the position after the last, or nothing if `each` had enough. Archives of what is before need not be there.
///
/// Errors: archives that do not follow each other from that entry on; one that was changed, cut
/// or added to, or is not signed by this key; what `each` says.
pub fn read(
    folder: &Path,
    public: &str,
    from: u64,
    each: &mut impl FnMut(u64, &[u8]) -> Result<bool, String>,
) -> Result<Option<u64>, String> {
    let mut files: Vec<PathBuf> = Vec::new();
    for found in std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let found = found.map_err(|e| format!("{}: {e}", folder.display()))?;
        let name = found.file_name().to_string_lossy().into_owned();
        if name.starts_with(NAME.0) && name.ends_with(NAME.1) {
            files.push(found.path());
        }
    }
    files.sort();
    let mut next = None;
    let mut origin: Option<String> = None;
    for file in files {
        let wrong = |why: String| format!("{}: {why}", file.display());
        let (header, lines) = open(&file, public).map_err(wrong)?;
        if header.to < from {
            continue;
        }
        let is_next = match next {
            None => header.from <= from,
            Some(next) => header.from == next,
        };
        if !is_next {
            let expected = next.unwrap_or(from);
            return Err(wrong(format!("expected entry {expected} first; found {}", header.from)));
        }
        if origin.get_or_insert_with(|| header.origin.clone()) != &header.origin {
            return Err(wrong("it is of another installation".to_owned()));
        }
        let records = records(&header, lines).map_err(wrong)?;
        for (position, record) in (header.from..).zip(&records) {
            if position >= from && !each(position, record)? {
                return Ok(None);
            }
        }
        next = Some(header.to.saturating_add(1));
    }
    Ok(Some(next.unwrap_or(from)))
}

type Lines = Split<BufReader<File>>;

/// The first line of an archive, checked by itself, and the lines after it.
fn open(file: &Path, public: &str) -> Result<(Header, Lines), String> {
    let open = File::open(file).map_err(|e| e.to_string())?;
    let mut lines = BufReader::new(open).split(b'\n');
    let first = lines.next().ok_or("it is empty")?.map_err(|e| e.to_string())?;
    let header: Header = serde_json::from_slice(&first)
        .map_err(|e| format!("its first line is no header of an archive: {e}"))?;
    if header.kind != KIND {
        return Err(format!("it is `{}`; expected `{KIND}`", header.kind));
    }
    verify_signature(public, &header.text(), &header.signature)?;
    Ok((header, lines))
}

/// The entries of an archive, if they are those of its first line.
fn records(header: &Header, lines: Lines) -> Result<Vec<Vec<u8>>, String> {
    let count = header.to.checked_sub(header.from).and_then(|n| n.checked_add(1));
    let count = count.filter(|_| header.from > 0).ok_or("its positions make no sense")?;
    let mut records = Vec::new();
    for line in lines {
        records.push(line.map_err(|e| e.to_string())?);
        if records.len() as u64 > count {
            return Err(format!("it has more than its {count} entries"));
        }
    }
    if records.len() as u64 != count {
        return Err(format!("it has {} entries, not {count}", records.len()));
    }
    if root_of(header.from, &records) != header.root {
        return Err("its entries are not those that were signed".to_owned());
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]
    use super::*;

    fn signer(seed: u8) -> Signer {
        Signer::of(&[seed; 32]).unwrap()
    }

    fn records(from: u64, to: u64) -> Vec<Vec<u8>> {
        (from..=to).map(|n| format!("{{\"operation\":\"O{n}\"}}").into_bytes()).collect()
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("archive-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }

    fn all(folder: &Path) -> Result<(u64, Vec<Vec<u8>>), String> {
        let mut found = Vec::new();
        let next = read(folder, &signer(1).public(), 1, &mut |position, record| {
            assert_eq!(position, found.len() as u64 + 1);
            found.push(record.to_vec());
            Ok(true)
        })?;
        Ok((next.unwrap(), found))
    }

    #[test]
    fn archives_read_as_they_were_written() {
        let folder = folder("read");
        for (from, to) in [(1, 4), (5, 8), (9, 12)] {
            write(&folder, &signer(1), "origin", from, &records(from, to)).unwrap();
            // Written again after a crash it is the same.
            write(&folder, &signer(1), "origin", from, &records(from, to)).unwrap();
        }
        assert_eq!(all(&folder).unwrap(), (13, records(1, 12)));
        // From an entry on; what is before need not be there, what is behind must.
        let behind = |from: u64| -> Result<Vec<u64>, String> {
            let mut found = Vec::new();
            read(&folder, &signer(1).public(), from, &mut |position, _| {
                found.push(position);
                Ok(true)
            })?;
            Ok(found)
        };
        assert_eq!(behind(7).unwrap(), [7, 8, 9, 10, 11, 12]);
        assert!(behind(13).unwrap().is_empty());
        let name = |from: u64, to: u64| folder.join(format!("trail-{from:020}-{to:020}.jsonl"));
        std::fs::remove_file(name(1, 4)).unwrap();
        assert_eq!(behind(5).unwrap().len(), 8);
        assert!(behind(4).unwrap_err().contains("expected entry 4 first; found 5"));
        std::fs::remove_file(name(5, 8)).unwrap();
        assert!(behind(7).unwrap_err().contains("expected entry 7 first; found 9"));
        let broken = vec![b"{\n}".to_vec()];
        assert!(write(&folder, &signer(1), "origin", 13, &broken).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn atk_h10_a_hostile_archive_is_refused() {
        let folder = folder("hostile");
        let second = |signer: &Signer, origin: &str| {
            write(&folder, signer, origin, 5, &records(5, 8)).unwrap()
        };
        write(&folder, &signer(1), "origin", 1, &records(1, 4)).unwrap();
        let file = second(&signer(1), "origin");
        let good = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = good.lines().collect();
        assert_eq!(all(&folder).unwrap().0, 9, "the control");
        let text = |lines: &[&str]| format!("{}\n", lines.join("\n"));
        let header = |from: &str, to: &str| {
            let changed = lines[0].replace(from, to);
            assert_ne!(changed, lines[0]);
            text(&[&[changed.as_str()], &lines[1..]].concat())
        };
        let bad = [
            ("an entry changed", good.replace("O6", "O0")),
            ("an entry dropped", text(&[&lines[..2], &lines[3..]].concat())),
            ("an entry doubled", text(&[&lines[..3], &lines[2..]].concat())),
            ("entries swapped", text(&[lines[0], lines[2], lines[1], lines[3], lines[4]])),
            ("an entry added", format!("{good}{{}}\n")),
            ("an empty line", format!("{good}\n")),
            ("cut in the middle", good.chars().take(good.len() - 7).collect()),
            ("empty", String::new()),
            ("no header", text(&lines[1..])),
            ("other positions", header("\"from\":5", "\"from\":6")),
            ("positions without sense", header("\"to\":8", "\"to\":4")),
            ("the end of counting", header("\"to\":8", "\"to\":18446744073709551615")),
            ("another root", header("\"root\":\"", "\"root\":\"0")),
            ("another kind", header("archive/1", "archive/2")),
            ("another origin", header("\"origin\":\"origin", "\"origin\":\"other")),
            ("a member more", header("\"kind\"", "\"more\":1,\"kind\"")),
        ];
        for (what, content) in bad {
            std::fs::write(&file, content).unwrap();
            assert!(all(&folder).is_err(), "{what}");
        }
        // Signed by another key; of another installation; gone.
        second(&signer(2), "origin");
        assert!(all(&folder).unwrap_err().contains("not of this key"));
        second(&signer(1), "other");
        assert!(all(&folder).unwrap_err().contains("another installation"));
        std::fs::remove_file(&file).unwrap();
        write(&folder, &signer(1), "origin", 9, &records(9, 12)).unwrap();
        assert!(all(&folder).unwrap_err().contains("expected entry 5 first"));
        second(&signer(1), "origin");
        assert_eq!(all(&folder).unwrap().0, 13, "the control");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
