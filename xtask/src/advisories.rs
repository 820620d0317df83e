//! A small gate on versions known to be bad, and `cargo deny` where it is installed.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::layers::{list, name};

/// Problems with the versions in use.
pub fn check(root: &Path, metadata: &Value) -> Result<Vec<String>, String> {
    let path = root.join("xtask/advisories.txt");
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut problems = against(&text, metadata)?;
    if Command::new("cargo-deny").arg("--version").output().is_ok() {
        let status = Command::new("cargo-deny")
            .args(["check", "advisories"])
            .current_dir(root)
            .status()
            .map_err(|error| format!("cargo-deny: {error}"))?;
        if !status.success() {
            problems.push("cargo deny found advisories".to_owned());
        }
    }
    Ok(problems)
}

fn against(text: &str, metadata: &Value) -> Result<Vec<String>, String> {
    let mut problems = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [bad, advisory, fixed] = words.as_slice() else {
            return Err(format!("advisories.txt: `{line}` has not three columns"));
        };
        let fixed_version =
            version(fixed).ok_or_else(|| format!("advisories.txt: `{fixed}` is no version"))?;
        for package in list(&metadata["packages"]).filter(|package| name(package) == *bad) {
            let used = package["version"].as_str().unwrap_or_default();
            if version(used).is_none_or(|used| used < fixed_version) {
                problems.push(format!("{bad} {used}: {advisory}, fixed in {fixed}"));
            }
        }
    }
    Ok(problems)
}

/// The three numbers of a version.
fn version(text: &str) -> Option<[u64; 3]> {
    let numbers = text.split(['-', '+']).next()?;
    let mut parts = numbers.split('.').map(|part| part.parse().ok());
    let version = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn old_versions_are_found() {
        let using = |version: &str| json!({"packages": [{"name": "h2", "version": version}]});
        let found = |version: &str| {
            against("# c\nh2 ADV-1 0.4.4\n", &using(version)).map(|problems| problems.len())
        };
        assert_eq!(found("0.4.3"), Ok(1));
        assert_eq!(found("0.3.99"), Ok(1));
        assert_eq!(found("0.4.4"), Ok(0));
        assert_eq!(found("1.0.0+x"), Ok(0));
        assert_eq!(found("odd"), Ok(1));
        assert!(against("h2 0.4\n", &using("1.0.0")).is_err());
    }
}
