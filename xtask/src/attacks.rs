//! `cargo xtask attacks`: the table of attacks in the reference, and the checks on named tests.
//!
//! Joins `xtask/attacks.txt` with the tests whose names say which rows they are for:
//! `atk_a01_…`, `atk_f20_f23_…`, `atk_d08_atk_h15_…`, in Python with `test_` before. Rows X are
//! faults, not attacks, and have no line here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::tidy::Source;

const ROWS: &str = "xtask/attacks.txt";
const PAGE: &str = "docs/reference/attacks.md";
const FEATURES: &str = "docs/reference/features.md";

struct Row<'a> {
    id: &'a str,
    priority: &'a str,
    what: &'a str,
    waits: Option<&'a str>,
}

/// Writes the page anew.
pub fn write(root: &Path, tracked: &[Source]) -> Result<(), String> {
    let (page, problems) = page(tracked);
    let path = root.join(PAGE);
    std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))?;
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// Problems with the page, its rows, and the tests that the table of features names.
pub fn check(tracked: &[Source]) -> Vec<String> {
    let (page, mut problems) = page(tracked);
    if text_of(tracked, PAGE) != page {
        problems.push(format!("{PAGE}: not what `cargo xtask attacks` writes; run it"));
    }
    problems.extend(features(tracked));
    problems
}

/// The page, and what is wrong with its rows.
fn page(tracked: &[Source]) -> (String, Vec<String>) {
    let mut problems = Vec::new();
    let rows = rows(text_of(tracked, ROWS), &mut problems);
    let mut tests = named_tests(tracked);
    let mut body = String::new();
    let (mut tested, mut waiting) = (0, 0);
    for row in &rows {
        let names = tests.remove(row.id).unwrap_or_default();
        let mut told: Vec<String> =
            names.iter().map(|name| format!("tested by `{name}`")).collect();
        match (names.is_empty(), row.waits) {
            (true, None) => {
                problems.push(format!("{ROWS}: {} is neither tested nor said to wait", row.id));
            }
            (true, Some(what)) => told.push(format!("waits for {what}")),
            (false, Some(what)) => told.push(format!("in part; the rest waits for {what}")),
            (false, None) => {}
        }
        tested += u32::from(!names.is_empty());
        waiting += u32::from(names.is_empty());
        let cells = told.join("<br>");
        let _ = writeln!(body, "| {} | {} | {} | {cells} |", row.id, row.priority, row.what);
    }
    for (id, names) in &tests {
        problems.push(format!("{ROWS}: has no row {id}, for which {} is named", names.join(", ")));
    }
    let page = format!(
        "# Attacks and their tests\n\n\
         <!-- Written by `cargo xtask attacks` from xtask/attacks.txt and the names of the tests. -->\n\n\
         {} attacks: {tested} have a test that bears their number, {waiting} wait for a capability or a test\n\
         of their own. A test shows the attack failing and, where that is possible, the honest case\n\
         beside it working. P is the priority; rows of priority 0 are the first gate.\n\n\
         | id | P | attack | where it stands |\n|---|---|---|---|\n{body}",
        rows.len(),
    );
    (page, problems)
}

fn rows<'a>(text: &'a str, problems: &mut Vec<String>) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (facts, waits) = match line.split_once(" | waits: ") {
            Some((facts, waits)) => (facts, Some(waits)),
            None => (line, None),
        };
        let mut words = facts.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some(id), Some(priority), Some(what)) => rows.push(Row { id, priority, what, waits }),
            _ => problems.push(format!("{ROWS}: `{line}` has not id, priority and name")),
        }
    }
    rows
}

/// The tests for each row, as `path::name`.
fn named_tests(tracked: &[Source]) -> BTreeMap<String, Vec<String>> {
    let mut tests: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in tracked {
        for name in functions(source) {
            let bare = name.strip_prefix("test_").unwrap_or(name);
            let Some(rest) = bare.strip_prefix("atk_") else {
                continue;
            };
            for id in rest.split('_').take_while(|word| *word == "atk" || is_id(word)) {
                if is_id(id) && !id.starts_with('x') {
                    let told = format!("{}::{name}", source.path);
                    tests.entry(id.to_uppercase()).or_default().push(told);
                }
            }
        }
    }
    tests
}

fn is_id(word: &str) -> bool {
    matches!(word.as_bytes(), [b'a'..=b'i' | b'x', b'0'..=b'9', b'0'..=b'9'])
}

/// The names of the functions that a Rust or Python file defines.
fn functions(source: &Source) -> impl Iterator<Item = &str> {
    let word = if source.path.ends_with(".rs") {
        "fn "
    } else if source.path.ends_with(".py") {
        "def "
    } else {
        "\n"
    };
    source.text.lines().filter_map(move |line| {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix(word)?.split(['(', '<']).next()
    })
}

/// Tests that the table of features names, as `path::name` between backticks, and nobody has.
fn features(tracked: &[Source]) -> Vec<String> {
    let named = text_of(tracked, FEATURES).split('`').skip(1).step_by(2);
    let tests = named.filter_map(|word| Some((word, word.split_once("::")?)));
    tests
        .filter(|(_, (path, name))| {
            let source = tracked.iter().find(|source| source.path == *path);
            source.is_none_or(|source| !functions(source).any(|function| function == *name))
        })
        .map(|(word, _)| format!("{FEATURES}: there is no test `{word}`"))
        .collect()
}

fn text_of<'a>(tracked: &'a [Source], path: &str) -> &'a str {
    tracked.iter().find(|source| source.path == path).map_or("", |source| &source.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(tests: &str, rows: &str, features: &str) -> Vec<Source> {
        [("t.rs", tests), (ROWS, rows), (FEATURES, features)]
            .map(|(path, text)| Source { path: path.to_owned(), text: text.to_owned() })
            .into()
    }

    #[test]
    fn rows_meet_the_tests_that_name_them() {
        let tests =
            "fn atk_a01_b02_x() {}\n    async fn atk_c03_atk_d04_y() {}\nfn atk_x01_z() {}\n";
        let all = "# c\nA01 0 a\nB02 0 b\nC03 1 c\nD04 0 d | waits: more\nE05 0 e | waits: all\n";
        let (page, problems) = page(&tree(tests, all, ""));
        assert_eq!(problems, Vec::<String>::new());
        assert!(page.contains("| B02 | 0 | b | tested by `t.rs::atk_a01_b02_x` |\n"), "{page}");
        assert!(page.contains("`t.rs::atk_c03_atk_d04_y`<br>in part; the rest waits for more |"));
        assert!(page.contains("| E05 | 0 | e | waits for all |"));
        assert!(page.contains("5 attacks: 4 have"));
    }

    #[test]
    fn rows_without_a_word_and_tests_without_a_row_are_found() {
        let tests = "def test_atk_a01_x(self):\n";
        let python = |rows: &str| {
            let mut tree = tree("", rows, "");
            tree.push(Source { path: "t.py".to_owned(), text: tests.to_owned() });
            page(&tree).1.len()
        };
        assert_eq!(python("A01 0 a\n"), 0);
        assert_eq!(python("A01 0 a\nA02 0 b\n"), 1);
        assert_eq!(python(""), 1);
        assert_eq!(python("A01 0\n"), 2);
    }

    #[test]
    fn a_page_that_is_old_and_features_without_a_test_are_found() {
        let mut all = tree("fn row_01_x() {}\n", "", "a `b` `t.rs::row_01_x` `t.rs::row_02_x`");
        let stale = format!("{PAGE}: not what `cargo xtask attacks` writes; run it");
        let missing = format!("{FEATURES}: there is no test `t.rs::row_02_x`");
        assert_eq!(check(&all), [stale, missing.clone()]);
        let (text, _) = page(&all);
        all.push(Source { path: PAGE.to_owned(), text });
        assert_eq!(check(&all), [missing]);
    }

    #[test]
    fn the_rows_of_the_repository_are_whole() {
        let text = include_str!("../attacks.txt");
        let mut problems = Vec::new();
        let ids: Vec<&str> = rows(text, &mut problems).iter().map(|row| row.id).collect();
        let sections = [
            ('A', 25),
            ('B', 23),
            ('C', 12),
            ('D', 20),
            ('E', 19),
            ('F', 35),
            ('G', 6),
            ('H', 25),
            ('I', 11),
        ];
        let wanted: Vec<String> = sections
            .into_iter()
            .flat_map(|(letter, count)| (1..=count).map(move |n| format!("{letter}{n:02}")))
            .collect();
        assert_eq!(ids, wanted);
        assert_eq!(problems, Vec::<String>::new());
    }
}
