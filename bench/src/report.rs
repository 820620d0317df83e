//! The report.
use crate::run::Figures;
/// Prints.
pub fn markdown(f: &Figures) -> String { format!("{f:#?}") }
