//! The pinned clients for Node of the end-to-end tests, and Node itself.
//!
//! They are installed under `target` through npm, by name.

use crate::python::{answers, install_packages, run};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The file with the pinned versions, inside the workspace.
const PACKAGE: &str = "crates/linkrole/tests/clients/node/package.json";

/// What the tests need of a `package.json`.
#[derive(serde::Deserialize)]
struct Package {
    #[serde(default)]
    version: String,
    #[serde(default)]
    dependencies: BTreeMap<String, String>,
}

/// The folder of modules to hand to the tests.
pub fn ensure(root: &Path) -> Result<PathBuf, String> {
    let pins = read(&root.join(PACKAGE))?.dependencies;
    if !answers(Path::new("node"), &["--version"]) {
        install_packages("node with npm", &["nodejs", "npm"])?;
    }
    let folder = root.join("target/node");
    let modules = folder.join("node_modules");
    if has(&modules, &pins) {
        return Ok(modules);
    }
    if !answers(Path::new("npm"), &["--version"]) {
        install_packages("npm", &["npm"])?;
    }
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::copy(root.join(PACKAGE), folder.join("package.json")))
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    run(Command::new("npm").current_dir(&folder).args([
        "install",
        "--no-package-lock",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]))?;
    if has(&modules, &pins) {
        Ok(modules)
    } else {
        Err(format!("npm installed {PACKAGE}, yet not every client has its pinned version"))
    }
}

fn read(file: &Path) -> Result<Package, String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
}

/// True when every client is there in its pinned version.
fn has(modules: &Path, pins: &BTreeMap<String, String>) -> bool {
    pins.iter().all(|(name, version)| {
        read(&modules.join(name).join("package.json")).is_ok_and(|found| found.version == *version)
    })
}
