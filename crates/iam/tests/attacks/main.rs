//! One test for each attack of the attack table that the core faces, each with a case that must
//! still work. The attacks on operations as a class are in `tests/inventory`, those on the order of
//! a deletion's steps also in `tests/model`, the sealed values in `src/seal.rs`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

#[path = "../common/asked.rs"]
mod asked;
mod callbacks;
#[path = "../common/mod.rs"]
mod common;

mod credentials;
mod decisions;
mod deletion;
mod groups;
mod identity;
mod linked;
mod names;
#[path = "../common/proved.rs"]
mod proved;
mod sessions;
mod targets;
mod tenants;
mod widening;
