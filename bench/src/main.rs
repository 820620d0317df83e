//! The benchmark of policy decisions: the same policies and requests for every engine.

fn main() {}
