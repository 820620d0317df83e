//! `cargo xtask bad-designs`: proves that the tests of the deletion can fail.
//!
//! Each patch under `crates/iam/tests/bad_designs` puts one natural mistake into a copy of the
//! sources. The copy must build, and the tests of the model must fail; unpatched they must pass.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::tidy;

const PATCHES: &str = "crates/iam/tests/bad_designs";
/// Enough for each mistake to show; the mistakes of the abstract model are another test.
const TRACES: &str = "1000";

/// Runs the unpatched copy and then each patch.
pub fn run(root: &Path) -> Result<(), String> {
    let tracked = tidy::tracked(root)?;
    let copy = root.join("target/bad-designs");
    let mut patches: Vec<PathBuf> = std::fs::read_dir(root.join(PATCHES))
        .map_err(|error| format!("{PATCHES}: {error}"))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "patch"))
        .collect();
    patches.sort();
    if patches.is_empty() {
        return Err(format!("{PATCHES} holds no patch"));
    }
    renew(root, &copy, &tracked)?;
    if !model(root, &copy, false)?.status.success() {
        return Err("the tests of the model fail without any patch".to_owned());
    }
    println!("{:<28} the tests pass", "unpatched");
    let mut missed = Vec::new();
    for patch in patches {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        renew(root, &copy, &tracked)?;
        apply(&copy, &patch)?;
        let built = model(root, &copy, true)?;
        if !built.status.success() {
            return Err(format!("{name}: does not build\n{}", text(&built)));
        }
        let ran = model(root, &copy, false)?;
        if ran.status.success() {
            missed.push(name.clone());
        }
        println!("{name:<28} {}", verdict(&ran));
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("not caught: {}", missed.join(", "))) }
}

/// Makes the copy hold what is tracked, as it is.
fn renew(root: &Path, copy: &Path, tracked: &[tidy::Source]) -> Result<(), String> {
    for source in tracked {
        let to = copy.join(&source.path);
        let folder = to.parent().unwrap_or(copy);
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        // Only what differs is written, so that only that is built again.
        if std::fs::read_to_string(&to).ok().as_deref() != Some(source.text.as_str()) {
            std::fs::copy(root.join(&source.path), &to)
                .map_err(|e| format!("{}: {e}", to.display()))?;
        }
    }
    Ok(())
}

fn apply(copy: &Path, patch: &Path) -> Result<(), String> {
    let mut command = Command::new("git");
    // The copy is no repository, and must not be taken for a part of the one around it.
    command.env("GIT_CEILING_DIRECTORIES", copy.parent().unwrap_or(copy));
    command.arg("apply").arg(patch).current_dir(copy);
    let done = command.output().map_err(|error| format!("git: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("{} does not apply; renew it\n{}", patch.display(), text(&done)))
}

/// Builds or runs the tests of the model in the copy.
fn model(root: &Path, copy: &Path, only_build: bool) -> Result<Output, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--quiet", "--package", "iam", "--test", "model"]);
    if only_build {
        command.arg("--no-run");
    } else {
        command.args(["--", "--skip", "sound"]);
    }
    command
        .current_dir(copy)
        // Never the usual one: cargo would take what was built from a patched copy for its own.
        .env("CARGO_TARGET_DIR", root.join("target/bad-designs-target"))
        .env("LINKROLE_TRACES", TRACES)
        .env("RUST_BACKTRACE", "0")
        .output()
        .map_err(|error| format!("cargo: {error}"))
}

/// What a failing run said first, behind the line that says where.
fn verdict(ran: &Output) -> String {
    if ran.status.success() {
        return "NOT CAUGHT".to_owned();
    }
    let said = text(ran);
    let mut lines = said.lines().skip_while(|line| !line.contains("panicked at"));
    lines.nth(1).map_or("caught", str::trim).chars().take(90).collect()
}

fn text(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}
