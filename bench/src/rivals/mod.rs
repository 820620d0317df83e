//! The rivals, each given the same policies in its own language, in the form that is fastest for it.

pub mod casbin;
pub mod cedar;
pub mod iam_rs;
pub mod regorus;
pub mod wami;
