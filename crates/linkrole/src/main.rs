//! linkrole: a self-hosted identity and access management server whose heart is the
//! service-linked role, and its command line.
//!
//! The way of a request: `listener` (sockets, limits) → `server` (dialect, authentication) →
//! `engine` (snapshot or writer) → `iam::handle`. Rules are in `iam`, texts in `wire`.

mod archive;
mod audit_key;
mod callbacks;
mod checkpoint;
mod cli;
mod clock;
mod console;
mod engine;
mod evidence;
mod inject;
mod issuers;
mod jwt;
mod keys;
mod listener;
mod look_up;
mod merkle;
#[cfg(test)]
mod mutations;
mod node;
mod outside;
mod outward;
mod pace;
#[cfg(test)]
mod power;
mod put_away;
#[cfg(test)]
mod races;
#[cfg(test)]
mod races_asked;
mod recent;
mod reconciler;
#[cfg(test)]
mod recorded;
mod resume;
mod rpc;
mod seed;
mod server;
mod tls;
mod vendors;
mod witness;
mod workload;
mod writer;

fn main() -> std::process::ExitCode {
    cli::run()
}
