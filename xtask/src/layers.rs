//! The direction of the layers, read from what cargo knows of the packages.
//!
//! Which crate may use which, and what the pure crates must not reach. Sources are not read here.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What each crate of the workspace may depend on inside it. A crate not listed is an error.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("policy", &[]),
    ("iam", &["policy"]),
    ("wire", &["policy", "iam"]),
    ("store", &[]),
    ("sdk", &[]),
    ("linkrole", &["policy", "iam", "wire", "store", "sdk"]),
    ("worlds", &["policy"]),
    ("xtask", &[]),
];

/// What a program of `examples/` may depend on inside the workspace.
const EXAMPLES: &[&str] = &["sdk"];

/// The crates without I/O, clock and randomness.
pub const PURE: [&str; 3] = ["policy", "iam", "wire"];

/// What no pure crate may reach, even through others.
const IMPURE: [&str; 8] =
    ["tokio", "hyper", "getrandom", "rand", "mio", "socket2", "async-std", "reqwest"];

/// Problems with the layers.
pub fn check(metadata: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let members: BTreeSet<&str> = strings(&metadata["workspace_members"]).collect();
    let packages: Vec<&Value> = list(&metadata["packages"]).collect();
    let own: Vec<&Value> =
        packages.iter().copied().filter(|package| members.contains(id(package))).collect();
    let own_names: BTreeSet<&str> = own.iter().map(|package| name(package)).collect();
    for package in &own {
        let crate_name = name(package);
        let example = package["manifest_path"].as_str().unwrap_or_default().contains("/examples/");
        let listed = ALLOWED.iter().find(|(listed, _)| *listed == crate_name);
        let allowed = match listed {
            Some((_, allowed)) => *allowed,
            None if example => EXAMPLES,
            None => {
                problems.push(format!("{crate_name}: a crate that the layers do not know"));
                continue;
            }
        };
        // What only tests use binds nothing that is shipped.
        let shipped = |used: &&Value| used["kind"].as_str() != Some("dev");
        for used in list(&package["dependencies"]).filter(shipped).map(name) {
            if own_names.contains(used) && !allowed.contains(&used) {
                problems.push(format!("{crate_name}: may not depend on {used}"));
            }
        }
    }
    problems
}

/// Problems with what the pure crates reach through normal dependencies.
///
/// Asks `cargo tree`, because the graph of `cargo metadata` joins the features that tests want.
pub fn check_pure(root: &Path) -> Result<Vec<String>, String> {
    let mut problems = Vec::new();
    for pure in PURE {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["tree", "--locked", "-p", pure, "-e", "normal", "--prefix", "none"])
            .current_dir(root)
            .output()
            .map_err(|error| format!("cargo tree: {error}"))?;
        if !output.status.success() {
            return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr)));
        }
        problems.extend(impure(pure, &String::from_utf8_lossy(&output.stdout)));
    }
    Ok(problems)
}

/// The problems in one listing of `cargo tree`.
fn impure(pure: &str, tree: &str) -> Vec<String> {
    let reached: BTreeSet<&str> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    IMPURE
        .iter()
        .filter(|name| reached.contains(**name))
        .map(|name| format!("{pure}: is pure but reaches {name}"))
        .collect()
}

pub fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    list(value).filter_map(Value::as_str)
}

pub fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap_or_default()
}

fn id(package: &Value) -> &str {
    package["id"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata(edges: &[(&str, &str)]) -> Value {
        let crates = ["policy", "iam", "store", "demo", "helper", "tokio"];
        let package = |name: &&str| {
            let used: Vec<Value> = edges
                .iter()
                .filter(|(from, _)| from == name)
                .map(|(_, to)| json!({"name": to}))
                .collect();
            let folder = if *name == "demo" { "examples" } else { "crates" };
            let path = format!("r/{folder}/{name}/Cargo.toml");
            json!({"id": name, "name": name, "dependencies": used, "manifest_path": path})
        };
        json!({
            "workspace_members": ["policy", "iam", "store", "demo"],
            "packages": crates.iter().map(package).collect::<Vec<_>>(),
        })
    }

    #[test]
    fn wrong_directions_are_found() {
        let found = |edges: &[(&str, &str)]| check(&metadata(edges)).len();
        assert_eq!(found(&[("iam", "policy"), ("store", "tokio"), ("iam", "helper")]), 0);
        assert_eq!(found(&[("policy", "iam")]), 1);
        assert_eq!(found(&[("store", "iam")]), 1);
        assert_eq!(found(&[("demo", "store")]), 1);
    }

    #[test]
    fn impure_packages_are_found() {
        assert!(impure("iam", "iam v0.1.0 (x)\nserde v1.0.0\ntokio-like v1.0.0\n").is_empty());
        assert_eq!(impure("iam", "iam v0.1.0 (x)\nserde v1.0.0\ntokio v1.0.0 (*)\n").len(), 1);
    }
}
