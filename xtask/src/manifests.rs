//! Rules for `Cargo.toml` files: versions only at the root, each with its reason.
//!
//! Reads lines, not TOML: the rules are about comments and layout.

use crate::tidy::Source;

/// Problems of one manifest; none for other files.
pub fn check(source: &Source) -> Vec<String> {
    match source.path.as_str() {
        "Cargo.toml" => root("Cargo.toml", &source.text),
        // A folder with a lock file of its own, such as the bench, is a root too.
        path if path.ends_with("/Cargo.toml") && has_workspace(&source.text) => {
            root(path, &source.text)
        }
        path if path.ends_with("/Cargo.toml") => member(path, &source.text),
        _ => Vec::new(),
    }
}

/// Whether a manifest opens a workspace.
fn has_workspace(text: &str) -> bool {
    text.lines().any(|line| line.trim_end() == "[workspace]")
}

/// Lines of dependency tables, each with its table's name.
fn dependencies(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().enumerate().filter(move |(_, line)| {
        if line.starts_with('[') {
            inside = line.trim_end_matches(']').ends_with("dependencies");
            return false;
        }
        inside
    })
}

fn root(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    // A comment gives the reason of all lines down to the next comment.
    let mut reason = false;
    for (number, line) in dependencies(text) {
        let line = line.trim();
        if line.is_empty() {
            reason = false;
        } else if line.starts_with('#') {
            reason = true;
        } else if line.contains('=') && !line.contains("path = ") && !reason {
            problems.push(format!("{path}:{}: a dependency without its reason", number + 1));
        }
    }
    problems
}

fn member(path: &str, text: &str) -> Vec<String> {
    dependencies(text)
        .filter(|(_, line)| line.contains('=') && !line.trim_start().starts_with('#'))
        .filter(|(_, line)| !line.contains("workspace = true"))
        .map(|(number, _)| format!("{path}:{}: versions stand in the root manifest", number + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_reasons() {
        let found = |path: &str, text: &str| {
            check(&Source { path: path.to_owned(), text: text.to_owned() }).len()
        };
        let table = "[workspace.dependencies]\nown = { path = \"x\" }\n";
        assert_eq!(found("Cargo.toml", &format!("{table}# Why.\na = \"1\"\nb = \"1\"\n")), 0);
        assert_eq!(found("Cargo.toml", &format!("{table}a = \"1\"\n")), 1);
        assert_eq!(found("Cargo.toml", &format!("{table}# Why.\na = \"1\"\n\nb = \"1\"\n")), 1);
        let version = "[package]\nversion = \"1\"\n[dev-dependencies]\n";
        assert_eq!(found("a/Cargo.toml", &format!("{version}a = {{ workspace = true }}\n")), 0);
        assert_eq!(found("a/Cargo.toml", &format!("{version}a = \"1\"\n")), 1);
        let own = "[workspace]\n[dependencies]\n";
        assert_eq!(found("a/Cargo.toml", &format!("{own}# Why.\na = \"1\"\n")), 0);
        assert_eq!(found("a/Cargo.toml", &format!("{own}a = \"1\"\n")), 1);
        assert_eq!(found("a/other.toml", &format!("{version}a = \"1\"\n")), 0);
    }
}
