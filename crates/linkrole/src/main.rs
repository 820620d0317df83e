//! The linkrole server and its command line.
fn main() {}
