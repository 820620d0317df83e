//! The list of operations in `docs/reference/alibaba.md` is the list that requests are routed by.
#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::fmt::Write as _;
use wire::alibaba::known::DONE;

#[test]
fn the_reference_lists_the_operations_that_are_routed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/alibaba.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut table = String::from("\n| product | version | operations |\n|---|---|---|\n");
    for (product, names) in DONE {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let (name, version) = (product.name(), product.version());
        writeln!(table, "| {name} | {version} | {} |", names.join(", ")).unwrap();
    }
    let (head, rest) = text.split_once("--test alibaba_reference -->").unwrap();
    let (_, tail) = rest.split_once("<!-- end -->").unwrap();
    let wanted = format!("{head}--test alibaba_reference -->{table}\n<!-- end -->{tail}");
    if std::env::var_os("LINKROLE_UPDATE").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), wanted, "write it anew and read it");
}
