//! linkrole: a self-hosted identity and access management server whose heart is the
//! service-linked role, and its command line.
//!
//! The way of a request: `listener` (sockets, limits) → `server` (dialect, authentication) →
//! `engine` (snapshot or writer) → `iam::handle`. Rules are in `iam`, texts in `wire`.

mod archive;
mod callbacks;
mod checkpoint;
mod cli;
mod clock;
mod engine;
mod inject;
mod issuers;
mod jwt;
mod keys;
mod listener;
mod look_up;
mod merkle;
mod node;
mod outward;
#[cfg(test)]
mod power;
#[cfg(test)]
mod races;
#[cfg(test)]
mod races_asked;
mod reconciler;
#[cfg(test)]
mod recorded;
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
