//! A service that proves itself: what is shown, and the call it is shown for.

use crate::common::*;
use iam::command::Command;
use iam::identity::{Proof, Workload};

/// What a token says that proves the service `backup`, for ten years from the start.
pub fn backup_workload() -> Workload {
    let token = backup_identity().token.unwrap();
    Workload {
        service: t(BACKUP),
        terms: token.terms(),
        proof: Proof::Token {
            issuer: token.issuer.map(|issuer| issuer.to_string()),
            subject: token.subject,
            audience: token.audience,
            begins_ms: 0,
        },
        expires_ms: START_MS + 315_360_000_000,
    }
}

/// The call that opens a session of a service.
pub fn open_session(service: &str) -> Command {
    Command::CreateServiceSession { service: t(service) }
}
