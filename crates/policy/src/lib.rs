//! Crate `policy`.
