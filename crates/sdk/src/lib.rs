//! Crate `sdk`.
