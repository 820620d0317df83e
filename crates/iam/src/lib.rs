//! Identity and access management as pure functions over an immutable state.
//!
//! The way of a call: [`handle::handle`] resolves the caller ([`caller`]), checks it
//! ([`authorize`], by the one table in [`operations`]), runs it (the resource files), and answers
//! with an outcome, typed changes ([`rows`]) and an event ([`audit`]). [`state::State::apply`] is
//! the only function that alters the tables.
//!
//! No async, no I/O, no clock, no random source: time and randomness come in through
//! [`tx::Env`]. No ARN text (see `policy::name`), no HTTP, no XML (see `wire`).

pub mod access;
pub mod access_key;
pub mod access_report;
pub mod account;
mod arguments;
pub mod attachment;
pub mod audit;
pub mod authorize;
pub mod callback;
pub mod caller;
pub mod catalog;
pub mod command;
pub mod deletion;
pub mod error;
mod grants;
pub mod group;
pub mod handle;
pub mod identity;
pub mod limits;
pub mod linked;
pub mod listing;
pub mod managed_policy;
pub mod names;
pub mod offered;
pub mod operations;
pub mod output;
mod policy_text;
pub mod provider;
pub mod role;
pub mod role_policy;
pub mod rows;
pub mod seal;
pub mod service;
mod service_rows;
pub mod session;
pub mod state;
mod tagging;
mod target;
pub mod terms;
pub mod text;
pub mod trigger;
pub mod tx;
pub mod update;
pub mod usage;
pub mod user;
pub mod widening;
