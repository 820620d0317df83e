//! The master key file: the keyring of an installation, 0600, beside the store and never in it.

use iam::seal::Keyring;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The file's name in the data directory.
const FILE: &str = "master-key";
const HEADER: &str = "linkrole-master-key/1\n";

/// Where the master key of a data directory is.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// Random keys that live in memory only.
pub fn ephemeral() -> Result<Keyring, String> {
    let mut bytes = Zeroizing::new([0u8; Keyring::LEN]);
    crate::clock::random(bytes.as_mut_slice());
    Keyring::from_bytes(bytes.as_slice()).ok_or_else(|| "the keyring has a wrong length".to_owned())
}

/// Makes the key file. It is never made over an existing one.
pub fn create(data_dir: &Path) -> Result<Keyring, String> {
    let file = path(data_dir);
    let mut bytes = Zeroizing::new([0u8; Keyring::LEN]);
    crate::clock::random(bytes.as_mut_slice());
    let text = Zeroizing::new(format!("{HEADER}{}\n", iam::seal::hex(bytes.as_slice())));
    write_private(&file, text.as_bytes())?;
    Keyring::from_bytes(bytes.as_slice()).ok_or_else(|| "the keyring has a wrong length".to_owned())
}

/// Reads the key file.
///
/// Errors: missing, readable by others, or damaged; it is not made anew.
pub fn load(data_dir: &Path) -> Result<Keyring, String> {
    let file = path(data_dir);
    let at = file.display();
    let text = read_private(&file, "master key")?;
    let digits = text.strip_prefix(HEADER).map(str::trim_end);
    let bytes = digits.and_then(unhex).map(Zeroizing::new);
    bytes
        .and_then(|b| Keyring::from_bytes(&b))
        .ok_or_else(|| format!("the master key {at} is damaged; restore it from its backup"))
}

/// Reads a file that nobody but its owner may read.
///
/// Errors: missing, or readable by others.
pub fn read_private(file: &Path, what: &str) -> Result<Zeroizing<String>, String> {
    let at = file.display();
    let mut open = std::fs::File::open(file).map_err(|e| {
        format!("cannot read the {what} {at}: {e}; without it the store cannot be opened")
    })?;
    let mode = open.metadata().map_err(|e| format!("{at}: {e}"))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "the {what} {at} has mode {mode:o}; expected 600: run `chmod 600 {at}`"
        ));
    }
    let mut text = Zeroizing::new(String::new());
    open.read_to_string(&mut text).map_err(|e| format!("{at}: {e}"))?;
    Ok(text)
}

/// Writes a new file that only its owner reads.
pub fn write_private(file: &Path, bytes: &[u8]) -> Result<(), String> {
    let at = file.display();
    let mut open = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(|e| format!("cannot make {at}: {e}"))?;
    open.write_all(bytes).and_then(|()| open.sync_all()).map_err(|e| format!("{at}: {e}"))
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
