//! What linkrole asks a linked service before a role of it goes, and what of the answers counts as "unused".
//!
//! Unknown is never unused: an answer that is missing, late, for another epoch, or that leaves a region out keeps the
//! role. Not here: connections and signatures, which the server brings; when it is asked (`deletion`).

use crate::deletion;
use crate::error::Error;
use crate::limits;
use crate::rows::*;
use crate::state::State;
use crate::text::*;
use crate::tx::Tx;
use std::collections::{BTreeMap, BTreeSet};

/// Resources by region.
pub type Usages = BTreeMap<Region, Vec<ResourceName>>;

/// Why linkrole turns to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asking {
    /// Is the role used? Nothing is fenced by this.
    Check,
    /// Refuse new uses of the role from now on, and say whether there are any.
    Prepare,
    /// The role stays: new uses are welcome again.
    Cancel,
    /// The role is gone.
    Committed,
}

impl Asking {
    /// As requests write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Prepare => "prepare",
            Self::Cancel => "cancel",
            Self::Committed => "committed",
        }
    }
}

/// What is asked, of whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Inquiry {
    /// The service.
    pub service: ServiceName,
    /// Where and how it is asked.
    pub callback: Callback,
    /// The regions whose answers count, where it keeps resources in regions.
    pub regions: BTreeSet<Region>,
    /// The role's account.
    pub account: AccountId,
    /// The role's unique id.
    pub role: RoleId,
    /// The role's name for everybody.
    pub role_arn: String,
    /// The principal in the role's trust.
    pub principal: ServiceName,
    /// The role's epoch that the answer is for.
    pub epoch: u64,
    /// The deletion.
    pub task: TaskId,
    /// The role's name in its account.
    pub role_name: RoleName,
    /// Why.
    pub asking: Asking,
}

/// What one request to a callback brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The region it was about; all of them, unless given.
    pub region: Option<Region>,
    /// What was replied, or why nothing that counts was.
    pub reply: Result<Reply, String>,
}

/// What a service replies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The epoch it is for.
    pub epoch: u64,
    /// Whether anything uses the role. This bit decides; the list may be partial.
    pub in_use: bool,
    /// The epoch under which the service refuses new uses.
    pub fenced_epoch: Option<u64>,
    /// The regions in which it has looked.
    pub regions_complete: BTreeSet<Region>,
    /// What uses the role: all, some or none of it.
    pub usages: Usages,
    /// Whether the service holds no session of the role any more.
    pub sessions_released: bool,
}

/// What answers come to.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing uses the role.
    Unused {
        /// No session is held, either.
        released: bool,
    },
    /// Something does; as far as it was named.
    InUse(Usages),
    /// It cannot be told, for this reason.
    Unknown(String),
}

/// Judges the answers to a question. In use wins over unknown, and unknown over unused.
pub fn judge(question: &Inquiry, answers: &[Answer]) -> Verdict {
    let mut usages = Usages::new();
    let mut in_use = false;
    let mut doubt = None;
    let mut covered = BTreeSet::new();
    let mut released = true;
    for answer in answers {
        let reply = match &answer.reply {
            Ok(reply) if reply.epoch == question.epoch => reply,
            Ok(reply) => {
                let epoch = (reply.epoch, question.epoch);
                doubt =
                    doubt.or(Some(format!("it answered for epoch {}, not {}", epoch.0, epoch.1)));
                continue;
            }
            Err(why) => {
                doubt = doubt.or_else(|| Some(why.clone()));
                continue;
            }
        };
        in_use |= reply.in_use || !reply.usages.is_empty();
        for (region, resources) in &reply.usages {
            usages.entry(region.clone()).or_default().extend(resources.iter().cloned());
        }
        released &= reply.sessions_released;
        let must_fence =
            question.asking == Asking::Prepare && question.callback.contract == Contract::Fenced;
        if must_fence && reply.fenced_epoch != Some(question.epoch) {
            doubt = doubt.or_else(|| Some("it has not fenced the role".to_owned()));
            continue;
        }
        match &answer.region {
            // An answer about one region tells nothing of another.
            Some(region) if reply.regions_complete.contains(region) => {
                covered.insert(region.clone());
            }
            Some(_) => {}
            None => covered.extend(reply.regions_complete.iter().cloned()),
        }
    }
    let left_out = question.regions.iter().find(|region| !covered.contains(*region));
    match (in_use, doubt, left_out) {
        (true, _, _) => Verdict::InUse(clipped(usages)),
        (false, Some(why), _) => Verdict::Unknown(why),
        (false, None, _) if answers.is_empty() => Verdict::Unknown("it was not asked".to_owned()),
        (false, None, Some(region)) => Verdict::Unknown(format!("it did not look in `{region}`")),
        (false, None, None) => Verdict::Unused { released },
    }
}

/// As many as a task shows.
fn clipped(mut usages: Usages) -> Usages {
    let mut left = limits::USAGES_SHOWN;
    usages.retain(|_, resources| {
        resources.truncate(left);
        left -= resources.len();
        !resources.is_empty()
    });
    usages
}

/// What must be asked before a step can be taken; `None` where nobody is asked, or nothing is left to ask.
pub fn inquiry(state: &State, step: &crate::command::DeletionStep) -> Option<Inquiry> {
    let asking = match step.step {
        crate::command::Step::Check => Asking::Check,
        crate::command::Step::Commit => Asking::Prepare,
        _ => return None,
    };
    let task = state.task(&step.task)?;
    // What linkrole knows itself decides without the service.
    if state.usage_count(&task.role) > 0 {
        return None;
    }
    about(state, task, asking)
}

/// The question about a task's role, under the role's present epoch.
pub fn about(state: &State, task: &DeletionTask, asking: Asking) -> Option<Inquiry> {
    let row = state.role_by_id(&task.role)?;
    let RoleKind::Linked(linked) = &row.kind else { return None };
    let service = state.service(&linked.template.service)?;
    let epoch = match &linked.status {
        RoleStatus::Active { epoch } | RoleStatus::Deleting { epoch, .. } => *epoch,
    };
    Some(Inquiry {
        service: service.name.clone(),
        callback: service.callback.clone()?,
        regions: service.regions.clone(),
        account: row.account.clone(),
        role: row.id.clone(),
        role_arn: deletion::role_arn(state, task),
        role_name: task.role_name.clone(),
        principal: task.principal.clone(),
        epoch,
        task: task.id.clone(),
        asking,
    })
}

/// What a stored notice has to say, and to whom; `None` when its service is gone or wants no notices.
pub fn notice(state: &State, notice: &Notice) -> Option<Inquiry> {
    let service = state.service(&notice.service)?;
    let callback = service.callback.clone().filter(|c| c.contract == Contract::Fenced)?;
    Some(Inquiry {
        service: notice.service.clone(),
        callback,
        regions: service.regions.clone(),
        account: notice.account.clone(),
        role: notice.role.clone(),
        role_arn: notice.role_arn.clone(),
        role_name: notice.role_name.clone(),
        principal: notice.principal.clone(),
        epoch: notice.epoch,
        task: notice.task.clone(),
        asking: if notice.committed { Asking::Committed } else { Asking::Cancel },
    })
}

/// Leaves a notice for a service that fences, in the transaction of what it tells. A later one of the role takes
/// its place: who knows of it need not know of the earlier.
pub fn leave_notice(
    tx: &mut Tx<'_>,
    task: &DeletionTask,
    role: &Role,
    epoch: u64,
    committed: bool,
) {
    let RoleKind::Linked(linked) = &role.kind else { return };
    let service = linked.template.service.clone();
    let callback = tx.state().service(&service).and_then(|found| found.callback.as_ref());
    if callback.is_none_or(|callback| callback.contract != Contract::Fenced) {
        return;
    }
    let role_arn = deletion::role_arn(tx.state(), task);
    tx.put(Row::Notice(Notice {
        account: role.account.clone(),
        role: role.id.clone(),
        role_arn,
        principal: task.principal.clone(),
        service,
        role_name: task.role_name.clone(),
        task: task.id.clone(),
        epoch,
        committed,
        until_ms: tx.now().saturating_add(limits::NOTICE_MS),
    }));
}

/// Takes a notice off, once it was delivered or nobody wants it.
///
/// Errors: `Stale` when another has taken its place.
pub fn settle(tx: &mut Tx<'_>, sent: &Notice) -> Result<(), Error> {
    match tx.state().notice(&sent.role) {
        Some(held) if **held == *sent => {
            tx.touch(&sent.account, sent.role_arn.clone());
            tx.note("deletionTaskId", sent.task.to_string());
            tx.delete(Key::Notice(sent.account.clone(), sent.role.clone()));
            Ok(())
        }
        _ => Err(Error::Stale(format!("role {}: another notice is left", sent.role))),
    }
}

/// Whether a text is an address that a callback may have: `https://` or `http://`, a host, a path if there is one,
/// and `{region}` at most once.
pub fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else { return false };
    let plain = rest.replacen("{region}", "r", 1);
    let (authority, _) = plain.split_once('/').unwrap_or((&plain, ""));
    text.len() <= limits::CALLBACK_URL
        && !authority.is_empty()
        && authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
        && plain.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/[]%".contains(&b))
}
