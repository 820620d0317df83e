//! The Python interpreter that has the pinned clients of the end-to-end tests.
//!
//! An interpreter that has them is used as it is; otherwise a virtual environment under `target`
//! gets them through pip, by name.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The file with the pinned versions, inside the workspace.
const REQUIREMENTS: &str = "crates/linkrole/tests/clients/requirements.txt";

/// The interpreter to hand to the tests.
pub fn ensure(root: &Path) -> Result<PathBuf, String> {
    let requirements = root.join(REQUIREMENTS);
    let text = std::fs::read_to_string(&requirements)
        .map_err(|error| format!("{}: {error}", requirements.display()))?;
    let pins = pins(&text)?;
    let folder = root.join("target/python");
    let own = folder.join("bin/python");
    if has(&own, &pins) {
        return Ok(own);
    }
    let system = PathBuf::from("python3");
    if has(&system, &pins) {
        return resolve(&system);
    }
    if !answers(&system, &["-c", "import venv, ensurepip"]) {
        let packages = ["python3", "python3-venv", "python3-pip"];
        install_packages("python3 with its `venv` and `pip` modules", &packages)?;
    }
    run(Command::new(&system).args(["-m", "venv", "--clear"]).arg(&folder))?;
    run(Command::new(&own).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&requirements))?;
    if has(&own, &pins) {
        Ok(own)
    } else {
        Err(format!("pip installed {REQUIREMENTS}, yet not every client has its pinned version"))
    }
}

/// The `name==version` lines.
fn pins(text: &str) -> Result<Vec<(String, String)>, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, version) =
                line.split_once("==").ok_or_else(|| format!("`{line}` pins no version"))?;
            // Extras in brackets are no part of the package's name.
            let name = name.split('[').next().unwrap_or(name);
            Ok((name.trim().to_owned(), version.trim().to_owned()))
        })
        .collect()
}

/// True when the interpreter has every client in its pinned version, asked by the name of the
/// package: what it is imported by may be another one.
fn has(python: &Path, pins: &[(String, String)]) -> bool {
    let checks: Vec<String> = std::iter::once("from importlib.metadata import version".to_owned())
        .chain(
            pins.iter().map(|(name, version)| format!("assert version('{name}') == '{version}'")),
        )
        .collect();
    answers(python, &["-c", &checks.join("\n")])
}

/// True when a program starts and succeeds.
pub fn answers(program: &Path, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// The absolute path of an interpreter found by name.
fn resolve(python: &Path) -> Result<PathBuf, String> {
    let output = Command::new(python)
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .map_err(|error| error.to_string())?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// Installs packages with the means of the system, where that is possible without asking.
pub fn install_packages(what: &str, packages: &[&str]) -> Result<(), String> {
    let user = Command::new("id").arg("-u").output().map_err(|error| error.to_string())?;
    if user.stdout.trim_ascii() != b"0" || !answers(Path::new("apt-get"), &["--version"]) {
        return Err(format!("the end-to-end tests need {what}; install it and run this again"));
    }
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages))
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} ended with {status}")),
        Err(error) => Err(format!("{name} could not be started: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pinned_lines_pass() {
        let pinned = pins("# why\n\nboto3==1.2.3\nmoto[server]==4.5\n").ok();
        let pin = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        assert_eq!(pinned, Some(vec![pin("boto3", "1.2.3"), pin("moto", "4.5")]));
        assert!(pins("boto3>=1").is_err());
    }
}
