//! Development tasks: the one test command and the checks that no compiler makes.
//!
//! Holds no product code and is not shipped.
#![expect(clippy::print_stdout, reason = "a command-line tool talks on its standard output")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod advisories;
mod attacks;
mod bad_designs;
mod bench;
mod browser;
mod layers;
mod licences;
mod manifests;
mod node;
mod python;
mod sources;
mod steps;
mod tidy;

const USAGE: &str = "\
usage: cargo xtask TASK

  test      everything CI runs: tidy, format, clippy, build, docs, tests
  tidy      layers, sizes, banned words, manifests, licences, advisories, paths, named tests
  attacks   write docs/reference/attacks.md anew
  bad-designs  put known mistakes into a copy and demand that the tests of the deletion fail
  policy-diff CASES [SEED]  ask both evaluators generated questions, on all cores; ends at the first difference
  bench policy  measure policy decisions, and write the tables of docs/explanation/performance.md anew
  python    make sure of the Python clients of the tests and print their interpreter";

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let root = root();
    let done = match task.as_str() {
        "test" => steps::test(&root),
        "tidy" => tidy::run(&root),
        "attacks" => tidy::tracked(&root).and_then(|tracked| attacks::write(&root, &tracked)),
        "bad-designs" => bad_designs::run(&root),
        "policy-diff" => worlds(&root, std::env::args().skip(2)),
        "bench" => bench::run(&root, &std::env::args().nth(2).unwrap_or_default()),
        "python" => python::ensure(&root).map(|path| println!("{}", path.display())),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            println!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the generated questions; their count and seed are the arguments.
fn worlds(root: &Path, arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let mut arguments: Vec<String> = arguments.take(2).collect();
    if arguments.len() == 1 {
        arguments.push("1".to_owned());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.push(cores.to_string());
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = std::process::Command::new(cargo)
        .args(["run", "--quiet", "--release", "--package", "worlds", "--"])
        .args(&arguments)
        .current_dir(root)
        .status()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if status.success() { Ok(()) } else { Err("the evaluators differ".to_owned()) }
}

/// The folder of the workspace.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}
