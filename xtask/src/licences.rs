//! The licences of all packages, held against a list of allowed ones.

use serde_json::Value;

use crate::layers::{list, name};

const ALLOWED: [&str; 15] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Problems with the licences.
pub fn check(metadata: &Value) -> Vec<String> {
    list(&metadata["packages"])
        .filter_map(|package| {
            let licence = package["license"].as_str().unwrap_or("none stated");
            (!allowed(licence)).then(|| format!("{}: licence `{licence}`", name(package)))
        })
        .collect()
}

/// True when the expression can be met with allowed licences alone.
///
/// `AND` binds before `OR`; `/` is the old spelling of `OR`. Parentheses are resolved inside out.
fn allowed(expression: &str) -> bool {
    let mut text = expression.replace('/', " OR ");
    while let Some((before, rest)) = text.rsplit_once('(') {
        let Some((inside, after)) = rest.split_once(')') else {
            return false;
        };
        let value = if simple(inside) { "MIT" } else { "refused" };
        text = format!("{before}{value}{after}");
    }
    simple(&text)
}

fn simple(expression: &str) -> bool {
    expression.split(" OR ").any(|all| {
        all.split(" AND ").all(|one| ALLOWED.contains(&one.trim().trim_end_matches('+')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        for fine in [
            "MIT",
            "MIT/Apache-2.0",
            "MPL-2.0+",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
            "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
        ] {
            assert!(allowed(fine), "{fine}");
        }
        for refused in [
            "",
            "none stated",
            "AGPL-3.0-only",
            "MIT AND GPL-3.0",
            "(GPL-2.0 OR LGPL-2.1) AND MIT",
            "(MIT",
        ] {
            assert!(!allowed(refused), "{refused}");
        }
    }
}
