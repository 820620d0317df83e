//! Rules for the text of tracked files: sizes, openings, banned words, layers, machine paths.
//!
//! Works on lines. What a compiler or clippy can say is left to them.

use crate::layers::PURE;
use crate::tidy::Source;

/// A Rust file beyond this many lines says why on its first line.
const LINES_MAX: usize = 800;
const LONG: &str = "// tidy: long because ";

/// The policy crate's files that know names and their text.
const POLICY_NAMES: [&str; 8] =
    ["name", "parse", "lint", "spec", "condition", "pattern", "key", "fact"];

/// Crates and folders that may use the file system.
const FILES: [&str; 5] =
    ["crates/store/", "crates/sdk/", "crates/linkrole/", "examples/", "xtask/"];

/// Words, as halves so that this file passes its own rules.
const EVERYWHERE: [(&str, &str); 5] = [
    ("to", "do!("),
    ("unimple", "mented!("),
    ("#[ig", "nore"),
    ("thread::sl", "eep"),
    ("FIX", "ME"),
];
const IN_PURE: [(&str, &str); 8] = [
    ("std::", "net"),
    ("std::", "process"),
    ("std::", "env::var"),
    ("std::", "thread"),
    ("System", "Time"),
    ("Instant::", "now"),
    ("get", "random"),
    ("tok", "io::"),
];
const MACHINE_PATHS: [(&str, &str); 4] =
    [("/wo", "rk/"), ("/ro", "ot/"), ("/ho", "me/"), ("/Us", "ers/")];
const REGISTRIES: [(&str, &str); 6] = [
    ("crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("npmjs", ".org"),
    ("deb.debian", ".org"),
    ("proxy.golang", ".org"),
];

/// Problems of one tracked file.
pub fn check(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    if source.path.ends_with(".rs") {
        opening(source, &mut problems);
        words(source, &mut problems);
    }
    if !source.path.ends_with(".lock") && source.path != "LICENSE" {
        places(source, &mut problems);
    }
    problems
}

fn opening(source: &Source, problems: &mut Vec<String>) {
    let mut lines = source.text.lines();
    let first = lines.next().unwrap_or_default();
    let long = first.starts_with(LONG);
    let opening = if long { lines.next().unwrap_or_default() } else { first };
    if !opening.starts_with("//! ") {
        problems.push(format!("{}: does not open with what it is for (`//! …`)", source.path));
    }
    let count = source.text.lines().count();
    if count > LINES_MAX && !long {
        let text = format!("{count} lines; split it, or open with `{LONG}…`");
        problems.push(format!("{}: {text}", source.path));
    }
}

fn words(source: &Source, problems: &mut Vec<String>) {
    let path = source.path.as_str();
    let product = (path.starts_with("crates/") || path.starts_with("examples/")) && !is_test(path);
    let pure = PURE.iter().any(|name| path.starts_with(&format!("crates/{name}/src/")));
    let mut testing = is_test(path);
    for (number, line) in source.text.lines().enumerate() {
        let line_start = line.trim_start();
        testing |=
            line_start.starts_with("#[cfg(test)]") || line_start.starts_with("#![cfg(test)]");
        let mut say = |text: String| problems.push(format!("{path}:{}: {text}", number + 1));
        for word in EVERYWHERE.map(join) {
            if line.contains(&word) {
                say(format!("`{word}` is banned"));
            }
        }
        if testing || line.trim_start().starts_with("//") {
            continue;
        }
        // The example services name their own resources, as services of others would.
        if product && !knows_names(path) && !path.starts_with("examples/") {
            for word in ["arn:", "acs:"] {
                if has_word(line, word) {
                    say(format!("`{word}` belongs to `wire` and the name files of `policy`"));
                }
            }
        }
        let files = join(("std::", "fs"));
        if line.contains(&files) && !FILES.iter().any(|allowed| path.starts_with(allowed)) {
            say(format!("`{files}` outside the crates that own files"));
        }
        for word in IN_PURE.map(join) {
            if pure && line.contains(&word) {
                say(format!("`{word}` in a pure crate"));
            }
        }
    }
}

fn places(source: &Source, problems: &mut Vec<String>) {
    for (number, line) in source.text.lines().enumerate() {
        for path in MACHINE_PATHS.map(join) {
            if starts_a_path(line, &path) {
                let text = format!("`{path}` is a path of one machine");
                problems.push(format!("{}:{}: {text}", source.path, number + 1));
            }
        }
        for host in REGISTRIES.map(join) {
            if line.contains(&host) {
                let text = format!("`{host}` outside a lock file");
                problems.push(format!("{}:{}: {text}", source.path, number + 1));
            }
        }
    }
}

fn join((left, right): (&str, &str)) -> String {
    format!("{left}{right}")
}

fn is_test(path: &str) -> bool {
    // Generated worlds are test data, though several crates' tests share them.
    path.starts_with("crates/worlds/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
}

fn knows_names(path: &str) -> bool {
    path.starts_with("crates/wire/")
        || path.strip_prefix("crates/policy/src/").is_some_and(|file| {
            POLICY_NAMES.iter().any(|name| {
                let rest = file.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with(['.', '/', '_']))
            })
        })
}

/// True when the text of a name begins with `word` in the line: not the end of another word (as in
/// `learn:`), and not a field (as in `arn: String`).
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|after| after.chars().next());
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            && after.is_some_and(|c| !c.is_whitespace() && c != ':')
    })
}

/// True when an absolute path begins with `path`, not one that merely goes through such a folder.
fn starts_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        before
            .is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.' | '}' | ')' | '*'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&Source { path: path.to_owned(), text: text.to_owned() }).len()
    }

    #[test]
    fn openings_and_sizes() {
        assert_eq!(found("a.rs", "//! For x.\n"), 0);
        assert_eq!(found("a.rs", "fn main() {}\n"), 1);
        let long = "\n".repeat(LINES_MAX);
        assert_eq!(found("a.rs", &format!("//! For x.\n{long}")), 1);
        assert_eq!(found("a.rs", &format!("{LONG}of y\n//! For x.\n{long}")), 0);
    }

    #[test]
    fn words_where_they_do_not_belong() {
        let file = |line: &str| format!("//! For x.\n{line}\n");
        for word in EVERYWHERE.map(join) {
            assert_eq!(found("crates/iam/tests/a.rs", &file(&word)), 1, "{word}");
        }
        let name = file("let a = \"arn:aws\";");
        assert_eq!(found("crates/iam/src/role.rs", &name), 1);
        assert_eq!(found("crates/policy/src/engine.rs", &name), 1);
        assert_eq!(found("crates/policy/src/parse_aws.rs", &name), 0);
        assert_eq!(found("crates/wire/src/aws/mod.rs", &name), 0);
        assert_eq!(found("crates/iam/tests/role.rs", &name), 0);
        assert_eq!(found("crates/iam/src/role.rs", &file("// arn:aws in a comment")), 0);
        assert_eq!(found("crates/iam/src/role.rs", &file("warn: 1, learn: 2")), 0);
        let tested = file("#[cfg(test)]\nmod tests { const A: &str = \"acs:ram\"; }");
        assert_eq!(found("crates/iam/src/role.rs", &tested), 0);
    }

    #[test]
    fn pure_crates_and_files() {
        let file = |line: &str| format!("//! For x.\n{line}\n");
        for word in IN_PURE.map(join) {
            assert_eq!(found("crates/wire/src/a.rs", &file(&word)), 1, "{word}");
            assert_eq!(found("crates/linkrole/src/a.rs", &file(&word)), 0, "{word}");
        }
        let files = file(&join(("use std::", "fs;")));
        assert_eq!(found("crates/wire/src/a.rs", &files), 1);
        assert_eq!(found("crates/iam/src/a.rs", &files), 1);
        assert_eq!(found("crates/store/src/a.rs", &files), 0);
        assert_eq!(found("crates/iam/tests/a.rs", &files), 0);
    }

    #[test]
    fn paths_and_hosts() {
        for path in MACHINE_PATHS.map(join) {
            assert_eq!(found("README.md", &format!("see {path}x")), 1, "{path}");
            assert_eq!(found("README.md", &format!("see a{path}x")), 0, "{path}");
        }
        for host in REGISTRIES.map(join) {
            assert_eq!(found("README.md", &host), 1, "{host}");
            assert_eq!(found("Cargo.lock", &host), 0, "{host}");
        }
    }
}
