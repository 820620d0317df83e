//! Printing: results on standard output, words about them on standard error.

use clap::ValueEnum;
use serde_json::Value;
use std::io::{IsTerminal, Write};

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One JSON document.
    Json,
    /// Columns under headings.
    Table,
    /// Tab-separated, without headings.
    Text,
}

/// Prints a line.
pub fn line(text: &str) -> Result<(), String> {
    bytes(format!("{text}\n").as_bytes())
}

/// Prints bytes. A reader that has gone away is no failure.
pub fn bytes(bytes: &[u8]) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("cannot print: {error}"))
        }
        _ => Ok(()),
    }
}

/// Says why something did not happen.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "linkrole: {text}");
}

/// Whether standard output takes colours.
pub fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Prints a document: as JSON, or as the rows that `rows` makes of it.
pub fn print(
    output: Output,
    value: &Value,
    headings: &[&str],
    rows: impl FnOnce(&Value) -> Vec<Vec<String>>,
) -> Result<(), String> {
    match output {
        Output::Json => json(value),
        Output::Text => {
            let text: Vec<String> = plain(rows(value)).iter().map(|row| row.join("\t")).collect();
            if text.is_empty() { Ok(()) } else { line(&text.join("\n")) }
        }
        Output::Table => {
            let mut all = vec![headings.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()];
            all.extend(plain(rows(value)));
            line(&table(&all))
        }
    }
}

/// Prints a document as JSON; for one that has no useful columns, whatever output is asked for.
pub fn json(value: &Value) -> Result<(), String> {
    line(&inert(&serde_json::to_string_pretty(value).map_err(|e| e.to_string())?))
}

/// Prints a document as one line of JSON.
pub fn json_line(value: &Value) -> Result<(), String> {
    line(&inert(&value.to_string()))
}

/// JSON that does nothing to a terminal: what acts there is escaped. It stands in strings only, but for the line ends
/// between members.
fn inert(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match acts(c) && c != '\n' {
            true => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => text.push(c),
        }
    }
    text
}

/// Whether a character ends a line or a cell, moves the cursor, or turns the direction of writing.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Cells without what acts: what somebody called a thing must not pass for another line of ours.
fn plain(rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let cell = |text: String| match text.contains(acts) {
        false => text,
        true => text
            .chars()
            .map(|c| if acts(c) { c.escape_default().to_string() } else { c.to_string() })
            .collect(),
    };
    rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect()
}

fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            rows.iter().filter_map(|r| r.get(at)).map(|c| c.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A member of a document as text; nothing for what is not there.
pub fn text(value: &Value, path: &str) -> String {
    match value.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// The items of a list inside a document; none of what is not there.
pub fn list(value: &Value, path: &str) -> Vec<Value> {
    value.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// The rows of a list inside a document: of each item the members at these places.
pub fn rows(value: &Value, list: &str, members: &[&str]) -> Vec<Vec<String>> {
    let items = value.pointer(list).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .map(|item| members.iter().map(|member| text(item, member)).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_h14_json_is_one_line_that_acts_on_nothing_and_reads_as_before() {
        for text in
            ["two\nlines", "\u{1b}[2Jgone", "\u{7f}\u{9b}2J", "txt.\u{202e}exe", "\"}\u{2028}{\""]
        {
            let value = serde_json::json!({ text: [text] });
            let line = inert(&value.to_string());
            assert!(!line.contains(acts), "{line}");
            let read = |text: &str| serde_json::from_str::<Value>(text).ok();
            assert_eq!(read(&line), Some(value.clone()));
            let pretty = inert(&format!("{value:#}"));
            assert!(!pretty.contains(|c| acts(c) && c != '\n'), "{pretty}");
            assert_eq!(read(&pretty), Some(value));
        }
        assert_eq!(inert(r#"{"plain":"\u{fc}"}"#), r#"{"plain":"\u{fc}"}"#);
    }

    #[test]
    fn atk_h14_a_cell_is_one_cell_whatever_it_is_called() {
        for (cell, shown) in [
            ("plain \u{fc} name", "plain \u{fc} name"),
            ("two\nlines", "two\\nlines"),
            ("two\tcells\r", "two\\tcells\\r"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("txt.\u{202e}exe", "txt.\\u{202e}exe"),
            ("\u{9b}2J\u{2028}x", "\\u{9b}2J\\u{2028}x"),
        ] {
            let rows = plain(vec![vec![cell.to_owned()]]);
            assert_eq!(rows, [[shown.to_owned()]]);
            assert_eq!(table(&rows).lines().count(), 1);
        }
    }
}
