//! Measures time, and prints the report; the counts of allocations come from the other program.

use std::process::{Command, ExitCode};

use linkrole_bench::measure;
use linkrole_bench::report;
use linkrole_bench::run::{self, Figures, Meter};

/// Measures time.
struct Clock;

impl Meter for Clock {
    const NAMES: (&'static str, &'static str) = ("ns", "load");

    fn call(&self, f: impl FnMut()) -> f64 {
        measure::nanoseconds(f)
    }

    fn building<T>(&self, per_batch: usize, f: impl FnMut() -> T) -> f64 {
        measure::building(per_batch.max(1), f)
    }

    fn once<T>(&self, f: impl FnOnce() -> T) -> (T, f64) {
        let (done, took) = measure::once(f);
        (done, took.as_secs_f64() * 1e9)
    }
}

fn main() -> ExitCode {
    match counted() {
        Ok(counted) => {
            let mut figures = run::all(&Clock);
            figures.numbers.extend(counted.numbers);
            print(&report::markdown(&figures));
            ExitCode::SUCCESS
        }
        Err(text) => {
            print(&text);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report is the output")]
fn print(text: &str) {
    println!("{text}");
}

/// Runs the program that counts, which lies beside this one.
fn counted() -> Result<Figures, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(own.with_file_name("heap"))
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| format!("the program that counts allocations: {error}"))?;
    if !output.status.success() {
        return Err("the program that counts allocations failed".to_owned());
    }
    let mut figures = Figures::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some((name, number)) = line.split_once('\t') {
            let number = number.parse().map_err(|error| format!("{line}: {error}"))?;
            figures.numbers.insert(name.to_owned(), number);
        }
    }
    Ok(figures)
}
