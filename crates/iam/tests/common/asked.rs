//! Services that are asked about their roles.

use super::common::*;
use iam::callback::{Asking, Inquiry, Reply};
use iam::command::Manifest;
use iam::rows::*;
use std::collections::BTreeSet;

/// A service that fences under a callback of its own; its uses are in the registry too, or not.
pub fn fencing(service: &str, role: &str, usage: UsageSource) -> Manifest {
    let roles = vec![template(service, role, SuffixRule::Refused)];
    let signing = service.split('.').next().unwrap();
    let callback = Callback {
        url: format!("https://{service}/linkrole"),
        contract: Contract::Fenced,
        certificates: BTreeSet::new(),
        allow_racy_delete: false,
    };
    Manifest { usage, callback: Some(callback), ..manifest(service, signing, roles) }
}

/// The reply of a service that uses nothing and does what it is asked.
pub fn unused(question: &Inquiry) -> Reply {
    Reply {
        epoch: question.epoch,
        fenced_epoch: (question.asking == Asking::Prepare).then_some(question.epoch),
        regions_complete: question.regions.clone(),
        ..Reply::default()
    }
}
