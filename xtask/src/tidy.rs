//! `cargo xtask tidy`: collects what every check finds and prints it all.
//!
//! Holds no rule of its own but that names of attack tests are unique; each rule is in its file.

use std::path::Path;
use std::process::Command;

use crate::{advisories, attacks, layers, licences, manifests, sources};

/// One tracked file as text.
pub struct Source {
    /// The path inside the repository, with `/`.
    pub path: String,
    /// The content.
    pub text: String,
}

/// Runs every check.
pub fn run(root: &Path) -> Result<(), String> {
    let metadata = metadata(root)?;
    let tracked = tracked(root)?;
    let mut problems = Vec::new();
    problems.extend(layers::check(&metadata));
    problems.extend(layers::check_pure(root)?);
    problems.extend(licences::check(&metadata));
    problems.extend(advisories::check(root, &metadata)?);
    for source in &tracked {
        problems.extend(sources::check(source));
        problems.extend(manifests::check(source));
    }
    problems.extend(listed_tests(&tracked));
    problems.extend(attacks::check(&tracked));
    problems.sort();
    for problem in &problems {
        println!("tidy: {problem}");
    }
    if problems.is_empty() {
        println!("tidy: {} files in order", tracked.len());
        Ok(())
    } else {
        Err(format!("tidy: {} problems", problems.len()))
    }
}

/// An attack test's name appears once, so that a row's test cannot be shadowed by another.
fn listed_tests(tracked: &[Source]) -> Vec<String> {
    let mut seen = std::collections::BTreeMap::new();
    let mut problems = Vec::new();
    for source in tracked.iter().filter(|source| source.path.ends_with(".rs")) {
        for line in source.text.lines() {
            let Some(name) = line.trim_start().strip_prefix("fn atk_") else {
                continue;
            };
            let name = name.split('(').next().unwrap_or_default().to_owned();
            if let Some(other) = seen.insert(name.clone(), &source.path) {
                problems.push(format!("{}: `atk_{name}` is in {other} too", source.path));
            }
        }
    }
    problems
}

fn metadata(root: &Path) -> Result<serde_json::Value, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

/// Every file that git tracks or would track, as text; binary files are left out.
pub fn tracked(root: &Path) -> Result<Vec<Source>, String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("git ls-files: {error}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let names = String::from_utf8_lossy(&output.stdout);
    let mut sources = Vec::new();
    // By name: git lists files that it does not track yet last, and a report may not change its
    // order with their first commit.
    let mut paths: Vec<&str> = names.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    for path in paths {
        // A file that was removed and not yet staged is no longer there to check.
        let Ok(bytes) = std::fs::read(root.join(path)) else {
            continue;
        };
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_attack_test_of_one_name_is_found() {
        let source = |path: &str| Source {
            path: path.to_owned(),
            text: "#[test]\nfn atk_a01_x() {}\n".to_owned(),
        };
        assert!(listed_tests(&[source("a.rs")]).is_empty());
        assert_eq!(listed_tests(&[source("a.rs"), source("b.rs")]).len(), 1);
    }
}
