//! Small durable files, as a linked service keeps its state in: written whole or not at all, under
//! names that no input can lead astray. Not a database; every call blocks until the disk has it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the names of unfinished files begin with; no encoded name does.
const UNFINISHED: &str = ".unfinished-";
/// The longest file name that file systems take, in bytes.
const NAME_MAX: usize = 255;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// The file name of any text; `None` for an empty text and one too long for a file name.
///
/// Letters, digits and `-_=+@,~` stand for themselves, every other byte is `%XX`. So a name is
/// never `.` or `..`, holds no slash, and begins with no dot.
pub fn name_of(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_=+@,~".contains(&byte) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    (1..=NAME_MAX).contains(&name.len()).then_some(name)
}

/// The text whose file name this is; `None` for a name that [`name_of`] does not make.
pub fn text_of(name: &str) -> Option<String> {
    let mut text = Vec::with_capacity(name.len());
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            text.push(u8::try_from(digit()? << 4 | digit()?).ok()?);
        } else {
            text.push(byte);
        }
    }
    let text = String::from_utf8(text).ok()?;
    (name_of(&text)? == name).then_some(text)
}

/// Writes a file, readable for its owner only: after a crash it has the old content or the new.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = parent(path)?;
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let unfinished = dir.join(format!("{UNFINISHED}{}-{number}", std::process::id()));
    let written = write_new(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    sync(dir)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        // A leftover of a crashed process that had our number.
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Reads a file; `None` when there is none.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Removes a file; answers whether it was there.
pub fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => sync(parent(path)?).map(|()| true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Makes a directory and those above it that are missing; answers whether it was missing itself.
pub fn make_dir(path: &Path) -> io::Result<bool> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(false);
    }
    let above = parent(path)?;
    make_dir(above)?;
    match fs::create_dir(path) {
        Ok(()) => sync(above).map(|()| true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(e) => Err(e),
    }
}

/// Removes a directory with all in it, through a place in `trash` on the same file system, so that
/// a crash leaves it whole or gone; answers whether it was there.
pub fn remove_dir(path: &Path, trash: &Path) -> io::Result<bool> {
    make_dir(trash)?;
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let gone = trash.join(format!("{}-{number}", std::process::id()));
    if gone.exists() {
        fs::remove_dir_all(&gone)?;
    }
    match fs::rename(path, &gone) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    }
    sync(parent(path)?)?;
    // What cannot be removed now goes with the trash at the next start.
    let _ = fs::remove_dir_all(&gone);
    Ok(true)
}

/// The texts whose encoded names stand in a directory, sorted; none when there is no directory.
pub fn list(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut texts = Vec::new();
    for entry in entries {
        texts.extend(entry?.file_name().to_str().and_then(text_of));
    }
    texts.sort();
    Ok(texts)
}

/// Removes what a crash left unfinished in a directory and below it. Only for a start, when
/// nothing else writes there.
pub fn sweep(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let unfinished = entry.file_name().to_str().is_some_and(|n| n.starts_with(UNFINISHED));
        if entry.file_type()?.is_dir() {
            sweep(&entry.path())?;
        } else if unfinished {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn parent(path: &Path) -> io::Result<&Path> {
    match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(above) => Ok(above),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("expected a path below a directory; found {}", PathBuf::from(path).display()),
        )),
    }
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    #[test]
    fn names_are_safe_and_lead_back_to_their_text() {
        for text in ["a", "..", ".", "a/b", "/", "%2F", ".unfinished-1", "ü ", "A~b", "\0\n"] {
            let name = name_of(text).unwrap();
            assert!(!name.starts_with('.') && !name.contains(['/', '\0', ' ']), "{name}");
            assert_eq!(text_of(&name).as_deref(), Some(text));
        }
        assert_eq!(name_of(""), None);
        assert_eq!(name_of(&"/".repeat(86)), None);
        assert_eq!(name_of(&"a".repeat(255)).unwrap().len(), 255);
        // Only one name leads to a text.
        for strange in ["%2f", "%41", "a.b", "%", "%4", "%FF", ""] {
            assert_eq!(text_of(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"new");
        assert_eq!(list(dir.path()).unwrap(), ["one"]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(remove(&path).unwrap());
        assert!(!remove(&path).unwrap());
    }

    #[test]
    fn a_failed_write_leaves_the_old_and_no_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir_all(path.join("inside")).unwrap();
        assert!(write(&path, b"new").is_err());
        assert!(path.join("inside").is_dir());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn directories_are_made_and_removed_whole() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        assert!(make_dir(&deep).unwrap());
        assert!(!make_dir(&deep).unwrap());
        write(&deep.join("c"), b"").unwrap();
        fs::write(deep.join(format!("{UNFINISHED}7-7")), b"half").unwrap();
        sweep(dir.path()).unwrap();
        assert_eq!(fs::read_dir(&deep).unwrap().count(), 1);
        let trash = dir.path().join("trash");
        assert!(remove_dir(&deep, &trash).unwrap());
        assert!(!deep.exists());
        assert!(!remove_dir(&deep, &trash).unwrap());
        assert_eq!(list(&dir.path().join("none")).unwrap(), Vec::<String>::new());
    }
}
