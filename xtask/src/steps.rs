//! `cargo xtask test`: the steps in order, each named and timed; the first failure ends the run.
//!
//! Knows what is run, not what is checked.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{bad_designs, browser, node, python, tidy};

/// The counts in cargo's closing lines, over all test programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// The steps so far, each with how long it took.
type Table = Vec<(&'static str, Duration)>;

/// Runs every step and prints a table of them.
pub fn test(root: &Path) -> Result<(), String> {
    let mut table = Table::new();
    timed(&mut table, "tidy", || tidy::run(root))?;
    timed(&mut table, "format", || cargo(root, &["fmt", "--all", "--check"], &[]))?;
    timed(&mut table, "clippy", || {
        let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        cargo(root, &arguments, &[])
    })?;
    let python = timed(&mut table, "python clients", || python::ensure(root))?;
    let modules = timed(&mut table, "node clients", || node::ensure(root))?;
    timed(&mut table, "browser", browser::ensure)?;
    timed(&mut table, "build", || cargo(root, &["build", "--workspace", "--bins"], &[]))?;
    timed(&mut table, "docs", || {
        cargo(root, &["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
    })?;
    let (python, modules) = (python.to_string_lossy(), modules.to_string_lossy());
    let counts = timed(&mut table, "tests", || {
        let clients = [
            ("LINKROLE_TEST_PYTHON", python.as_ref()),
            ("LINKROLE_TEST_NODE_MODULES", modules.as_ref()),
        ];
        cargo_test(root, &clients)
    })?;
    timed(&mut table, "bad designs", || bad_designs::run(root))?;
    println!("\n{:<16} seconds", "step");
    for (name, took) in &table {
        println!("{name:<16} {:>7.1}", took.as_secs_f64());
    }
    // The closing line, in the form that test runners' readers know.
    let Counts { passed, failed, ignored } = counts;
    println!("\ntotal: {passed} passed, {failed} failed, {ignored} skipped");
    if passed == 0 { Err("no test ran".to_owned()) } else { Ok(()) }
}

#[expect(clippy::disallowed_methods, reason = "the table of steps shows how long each took")]
fn now() -> Instant {
    Instant::now()
}

/// Runs one step between two lines with its name, and notes its duration.
fn timed<T>(
    table: &mut Table,
    name: &'static str,
    step: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    println!("\n=== {name}");
    let start = now();
    let done = step();
    let took = start.elapsed();
    println!("=== {name}: {:.1} s", took.as_secs_f64());
    table.push((name, took));
    done.map_err(|text| format!("{text}\nstep `{name}` failed"))
}

fn cargo(root: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<(), String> {
    let status = command(root, arguments, environment)
        .status()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("cargo {} failed", arguments.join(" "))) }
}

fn command(root: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(arguments).envs(environment.iter().copied());
    command
}

/// Runs every test, doctests included, passing the output on while it counts.
fn cargo_test(root: &Path, environment: &[(&str, &str)]) -> Result<Counts, String> {
    let mut child = command(root, &["test", "--workspace"], environment)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    let mut counts = Counts::default();
    if let Some(output) = child.stdout.take() {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).map_err(|error| error.to_string())? > 0 {
            let text = String::from_utf8_lossy(&line);
            print!("{text}");
            count(&text, &mut counts);
            line.clear();
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() {
        Ok(counts)
    } else {
        Err(format!("total: {} passed, {} failed", counts.passed, counts.failed.max(1)))
    }
}

/// Adds the numbers of one `test result:` line.
fn count(line: &str, counts: &mut Counts) {
    let Some(rest) = line.strip_prefix("test result: ") else {
        return;
    };
    for part in rest.split([';', '.']) {
        let mut words = part.split_whitespace();
        let (Some(number), Some(what)) = (words.next(), words.next()) else {
            continue;
        };
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        match what {
            "passed" => counts.passed += number,
            "failed" => counts.failed += number,
            "ignored" => counts.ignored += number,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_closing_lines_are_added_up() {
        let mut counts = Counts::default();
        for line in [
            "test result: ok. 24 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.59s",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1.00s",
            "test 7 passed ... ok",
        ] {
            count(line, &mut counts);
        }
        assert_eq!(counts, Counts { passed: 26, failed: 3, ignored: 1 });
    }
}
