//! The benchmark of policy decisions: the same policies and questions for linkrole and for others.
//!
//! Two programs use it: one measures time, the other counts allocations, because counting takes time.

pub mod catalogue;
pub mod engine;
pub mod floor;
pub mod linkrole;
pub mod measure;
pub mod names;
pub mod render;
pub mod report;
pub mod rivals;
pub mod run;
pub mod work;
pub mod workloads;
