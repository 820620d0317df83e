//! `linkrole audit verify` and `audit prove`: the trail of a stopped server, held against its signed checkpoints.

use super::output::{self, Output};
use crate::archive;
use crate::checkpoint::{Chain, FILE, PUBLIC_FILE, Proof, Verifier};
use serde_json::json;
use std::path::Path;
use store::{Embedded, EntryQuery, Store};

fn text_of(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))
}

/// The checkpoints of a data directory, and the public key that they hold under.
fn chain_of(directory: &Path, public_key: Option<&Path>) -> Result<(Chain, String), String> {
    let own = directory.join(PUBLIC_FILE);
    let public = text_of(public_key.unwrap_or(&own))?;
    let file = directory.join(FILE);
    let (chain, _) =
        Chain::read(&text_of(&file)?, &public).map_err(|e| format!("{}: {e}", file.display()))?;
    Ok((chain, public))
}

/// Hands every entry to `each`, in order: those of the archives, then those of the store.
///
/// Errors: entries that the store put away and whose archives are not there.
async fn entries(
    directory: &Path,
    archives: Option<(&Path, &str)>,
    each: &mut impl FnMut(u64, &[u8]) -> Result<bool, String>,
) -> Result<(), String> {
    let store = Embedded::open(directory).map_err(|e| e.to_string())?;
    let first = store.first_entry().await.map_err(|e| e.to_string())?;
    let mut next = 1;
    if let Some((folder, public)) = archives {
        // A crash may have left a segment in both.
        let mut before = |at, record: &[u8]| if at >= first { Ok(true) } else { each(at, record) };
        match archive::read(folder, public, &mut before)? {
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
    let mut from = Some(first);
    while let Some(at) = from {
        let query = EntryQuery::forwards(at, 1_000);
        let page = store.entries(&query).await.map_err(|e| e.to_string())?;
        for entry in &page.entries {
            if !each(entry.position, &entry.record)? {
                return Ok(());
            }
        }
        from = page.next;
    }
    Ok(())
}

/// Holds a trail against its checkpoints, and these against what was put away outside.
///
/// Errors: the first thing that is not as it was.
pub fn verify(
    directory: &Path,
    outside: Option<&Path>,
    archives: Option<&Path>,
    public_key: Option<&Path>,
    output: Output,
) -> Result<(), String> {
    let (chain, public) = chain_of(directory, public_key)?;
    if let Some(file) = outside {
        let (theirs, _) = Chain::read(&text_of(file)?, &public)
            .map_err(|e| format!("{}: {e}", file.display()))?;
        chain.holds(&theirs).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    let mut verifier = Verifier::new(&chain);
    let mut each = |position, record: &[u8]| verifier.take(position, record).map(|()| true);
    let archives = archives.map(|folder| (folder, public.as_str()));
    super::runtime()?.block_on(entries(directory, archives, &mut each))?;
    let verified = verifier.end()?;
    let value = json!({
        "entries": verified.entries,
        "vouched": verified.vouched,
        "checkpoints": verified.checkpoints,
        "outside": outside.is_some(),
    });
    output::print(output, &value, &["ENTRIES", "VOUCHED FOR", "CHECKPOINTS"], |value| {
        let text = |name: &str| output::text(value, name);
        vec![vec![text("/entries"), text("/vouched"), text("/checkpoints")]]
    })
}

/// Prints what proves an entry.
pub fn prove(directory: &Path, archives: Option<&Path>, position: u64) -> Result<(), String> {
    let (chain, public) = chain_of(directory, None)?;
    let mut found = None;
    let mut each = |at: u64, record: &[u8]| {
        if at == position {
            chain.check(at, record)?;
            found = chain.prove(at, record);
        }
        Ok(at < position)
    };
    let archives = archives.map(|folder| (folder, public.as_str()));
    super::runtime()?.block_on(entries(directory, archives, &mut each))?;
    let proof: Proof = found.ok_or_else(|| {
        format!(
            "no checkpoint vouches for entry {position}; they do for entries 1 to {}",
            chain.tree.size()
        )
    })?;
    output::line(&serde_json::to_string_pretty(&proof).map_err(|e| e.to_string())?)
}

/// Checks a proof, and prints the entry.
pub fn verify_proof(
    proof: Option<&Path>,
    public_key: Option<&Path>,
    output: Output,
) -> Result<(), String> {
    let (Some(file), Some(key)) = (proof, public_key) else {
        return Err("expected --proof and --public-key".to_owned());
    };
    let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
    let proof: Proof = serde_json::from_str(&text_of(file)?).map_err(|e| wrong(&e))?;
    let record = proof.verify(&text_of(key)?).map_err(|e| wrong(&e))?;
    let entry: serde_json::Value = serde_json::from_slice(&record).map_err(|e| wrong(&e))?;
    let value = json!({
        "position": proof.position, "of": proof.checkpoint.size, "at_ms": proof.checkpoint.at_ms, "entry": entry,
    });
    output::print(output, &value, &["POSITION", "OF", "OPERATION"], |value| {
        let text = |name: &str| output::text(value, name);
        vec![vec![text("/position"), text("/of"), text("/entry/operation")]]
    })
}
