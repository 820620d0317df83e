//! The wires: bytes to commands and answers to bytes, one pair per dialect, and signatures.
//!
//! Pure: no sockets, no clock, no state. What is decoded here is authenticated by the server with
//! key material from `iam` and run by `iam::handle`.

pub mod alibaba;
pub mod aws;
pub mod callback;
pub mod clock;
pub mod description;
pub mod http;
mod mac;
pub mod manifest;
pub mod native;
mod native_services;
pub mod sign_acs;
pub mod sign_v4;
pub mod trail;
pub mod xml;
