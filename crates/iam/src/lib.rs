//! Crate `iam`.
