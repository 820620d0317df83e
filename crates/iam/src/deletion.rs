//! The deletion of a service-linked role: a fenced, epoch-numbered protocol of small steps.
//!
//! Each step is one call of `handle`, conditional on what its worker read before it, so a worker
//! that slept through a lease does nothing. The rule that carries safety is in `commit`: the role
//! goes only in a transaction that sees it fenced under the same epoch, with no registered use and
//! no session that could still be alive. "Unknown" never becomes "unused", and a real use wins over
//! a deletion. The reconciler drives the steps ([`next_step`]); nothing here waits.

use crate::callback::{self, Answer, Asking, Usages, Verdict};
use crate::command::*;
use crate::error::{Entity, Error, Quota};
use crate::limits;
use crate::output::*;
use crate::role;
use crate::rows::*;
use crate::state::State;
use crate::text::*;
use crate::tx::Tx;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a failed task says when the role is in use. [src: AWS.md 2.5]
pub const IN_USE: &str = "Role in use.";

/// T1: submits a deletion, or answers with the open one.
///
/// Errors: `NoSuchEntity` for a missing or an ordinary role; `QuotaExceeded`.
pub fn submit(tx: &mut Tx<'_>, account: &AccountId, name: &RoleName) -> Result<Output, Error> {
    let (row, linked) = role::find_linked(tx, account, name)?;
    if let Some(open) = tx.state().open_task(&row.id).cloned() {
        return Ok(Output::Task(view(tx, &open)));
    }
    let open = tx.state().open_tasks().filter(|t| t.account == *account).count();
    if open >= limits::OPEN_TASKS_PER_ACCOUNT {
        return Err(Error::QuotaExceeded(Quota::DeletionTasks, limits::OPEN_TASKS_PER_ACCOUNT));
    }
    // Whoever asks for the same deletion over and over must not fill the store with its failures.
    if let Some(ended) = tx.state().ended_tasks(account)
        && ended.len() >= limits::ENDED_TASKS_PER_ACCOUNT
        && let Some((_, oldest)) = ended.get_min().cloned()
    {
        tx.delete(Key::Task(account.clone(), oldest));
    }
    let id = TaskId::parse(&tx.uuid()).map_err(|_| Error::Internal("task id"))?;
    let now = tx.now();
    let task = DeletionTask {
        id,
        account: account.clone(),
        role: row.id.clone(),
        role_name: row.name.clone(),
        role_path: row.path.clone(),
        principal: linked.template.principal.clone(),
        status: TaskStatus::NotStarted,
        phase: TaskPhase::Queued,
        attempt: 0,
        fences: 0,
        fence_epoch: None,
        fenced_ms: 0,
        lease_until_ms: 0,
        submitted_ms: now,
        deadline_ms: now.saturating_add(limits::TASK_DEADLINE_MS),
        ended_ms: None,
        reason: None,
        usages: BTreeMap::new(),
    };
    tx.note("deletionTaskId", task.id.to_string());
    if let Some((service, _)) = tx.state().template(&task.principal) {
        let source = source_text(service);
        tx.note("usageSource", source);
    }
    let mut task = store(tx, task);
    if runs_nowhere(tx.state(), &linked) {
        // Nobody holds a session, has a use or could be asked: there is nothing to wait for.
        while let Some(next) = next_step(&task, now) {
            let Output::Step { task: moved } = step(tx, &next)? else { break };
            task = moved;
        }
        tx.note("status", format!("{:?}", task.status));
    }
    Ok(Output::Task(view(tx, &task)))
}

/// Whether a role's service is known from facts only: without a key it can neither assume nor use its role.
fn runs_nowhere(state: &State, linked: &LinkedRole) -> bool {
    let service = KeyOwner::Service(linked.template.service.clone());
    state.keys_of(&service).next().is_none()
}

/// How it is known that a service uses its roles, for the trail.
fn source_text(service: &Service) -> String {
    let asked = service.callback.as_ref().map(|callback| match callback.contract {
        Contract::Fenced => "a callback that fences",
        Contract::Ask | Contract::Alibaba => "a callback that is only asked",
    });
    match (service.usage, asked) {
        (UsageSource::Registry, None) => "registry".to_owned(),
        (UsageSource::Registry, Some(asked)) => format!("registry, {asked}"),
        (UsageSource::Sessions, Some(asked)) => asked.to_owned(),
        (UsageSource::Sessions, None) => "no usage source configured: sessions only".to_owned(),
    }
}

/// The state of a task, for the account it belongs to. The parts of the handle must be the task's
/// own: a handle with mixed parts is unknown.
///
/// Errors: `NoSuchEntity`.
pub fn status(
    tx: &Tx<'_>,
    account: &AccountId,
    id: &TaskId,
    principal: &str,
    role: &str,
) -> Result<Output, Error> {
    let found = tx.state().task(id).filter(|task| {
        task.account == *account
            && task.principal.as_str() == principal
            && task.role_name.as_str() == role
    });
    match found {
        Some(task) => Ok(Output::Task(view(tx, task))),
        None => Err(Error::NoSuchEntity(Entity::DeletionTask)),
    }
}

/// A task as it is shown.
pub fn view(tx: &Tx<'_>, task: &Arc<DeletionTask>) -> TaskView {
    TaskView { task: task.clone(), role_arn: role_arn(tx.state(), task) }
}

/// The name of a task's role, also after the role.
pub fn role_arn(state: &State, task: &DeletionTask) -> String {
    let dialect = crate::caller::dialect(state, &task.account).unwrap_or_default();
    policy::name::role(
        dialect,
        task.account.as_str(),
        task.role_path.as_str(),
        task.role_name.as_str(),
    )
}

/// What an open task needs next, and from whom: the one plan, read from the state alone, for the
/// happy case, after a crash, and for a worker that takes over.
pub fn next_step(task: &DeletionTask, now_ms: i64) -> Option<DeletionStep> {
    if !task.is_open() {
        return None;
    }
    let leased = task.lease_until_ms > now_ms;
    let step = match task.phase {
        TaskPhase::Final => return None,
        _ if now_ms >= task.deadline_ms && task.phase != TaskPhase::Committed => Step::Refuse,
        TaskPhase::Queued => Step::Claim,
        _ if !leased => Step::Claim,
        TaskPhase::Claimed => Step::Check,
        TaskPhase::Checked => Step::Fence,
        TaskPhase::Fenced => Step::Commit,
        TaskPhase::Committed => Step::Finish,
    };
    Some(DeletionStep {
        task: task.id.clone(),
        attempt: task.attempt,
        epoch: task.fence_epoch,
        step,
        answers: Vec::new(),
    })
}

/// Takes one step of a task.
///
/// Errors: `Stale` when the task, the claim or the fence is not the one the worker read; nothing
/// has changed then.
pub fn step(tx: &mut Tx<'_>, step: &DeletionStep) -> Result<Output, Error> {
    let missing = || Error::NoSuchEntity(Entity::DeletionTask);
    let task = tx.state().task(&step.task).cloned().ok_or_else(missing)?;
    let stale = |what: &str| Err(Error::Stale(format!("task {}: {what}", task.id)));
    if !task.is_open() {
        return stale("it is final");
    }
    if step.attempt != task.attempt {
        return stale("another worker has claimed it since");
    }
    let task = match step.step {
        Step::Claim => return claim(tx, &task),
        Step::Check if task.phase == TaskPhase::Claimed => check(tx, &task, &step.answers),
        Step::Fence if task.phase == TaskPhase::Checked => fence(tx, &task)?,
        Step::Commit if task.phase == TaskPhase::Fenced => {
            commit(tx, &task, step.epoch, &step.answers)?
        }
        Step::Finish if task.phase == TaskPhase::Committed => finish(tx, &task),
        Step::Refuse if task.phase != TaskPhase::Committed => {
            fail(tx, &task, "The deletion did not end in time; the role is kept.".into())
        }
        _ => return stale("it is past that step"),
    };
    Ok(Output::Step { task })
}

/// T2 and T10: a worker takes a task that nobody holds. A fence of an earlier worker is lifted
/// first, so that what was seen under it is looked at again.
fn claim(tx: &mut Tx<'_>, task: &Arc<DeletionTask>) -> Result<Output, Error> {
    if task.phase != TaskPhase::Queued && task.lease_until_ms > tx.now() {
        return Err(Error::Stale(format!("task {}: another worker holds it", task.id)));
    }
    unfence(tx, task);
    let phase = match task.phase {
        TaskPhase::Committed => TaskPhase::Committed,
        _ => TaskPhase::Claimed,
    };
    let claimed = DeletionTask {
        status: TaskStatus::InProgress,
        phase,
        attempt: task.attempt.saturating_add(1),
        fence_epoch: None,
        lease_until_ms: tx.now().saturating_add(limits::TASK_LEASE_MS),
        ..(**task).clone()
    };
    Ok(Output::Step { task: store(tx, claimed) })
}

/// T3: looks before the fence, so that a role in use is never fenced.
fn check(tx: &mut Tx<'_>, task: &Arc<DeletionTask>, answers: &[Answer]) -> Arc<DeletionTask> {
    match obstacle(tx.state(), task, Asking::Check, answers, tx.now()) {
        Some(found) => fail(tx, task, found),
        None => store(tx, DeletionTask { phase: TaskPhase::Checked, ..(**task).clone() }),
    }
}

/// T4: fences the role under a new epoch.
fn fence(tx: &mut Tx<'_>, task: &Arc<DeletionTask>) -> Result<Arc<DeletionTask>, Error> {
    if task.fences >= limits::FENCES_PER_TASK {
        return Ok(fail(tx, task, "The role came into use again and again; it is kept.".into()));
    }
    let Some((mut row, linked)) = linked_role(tx.state(), &task.role) else {
        return Err(Error::Internal("a task without its role"));
    };
    let RoleStatus::Active { epoch } = linked.status else {
        return Err(Error::Stale(format!("task {}: the role is fenced already", task.id)));
    };
    let epoch = epoch.saturating_add(1);
    let status = RoleStatus::Deleting { task: task.id.clone(), epoch };
    row.kind = RoleKind::Linked(LinkedRole { status, ..linked });
    role::store(tx, row);
    let fenced = DeletionTask {
        phase: TaskPhase::Fenced,
        fences: task.fences.saturating_add(1),
        fence_epoch: Some(epoch),
        fenced_ms: tx.now(),
        ..(**task).clone()
    };
    Ok(store(tx, fenced))
}

/// T5 and T6: under the fence, looks again and removes the role, in one transaction.
///
/// INVARIANT(fenced-commit): the role goes only if it is fenced by this very task under the very
/// epoch the worker read, nothing uses it by the registry and by what its service answered for this epoch, and every
/// session it issued has ended or been released.
fn commit(
    tx: &mut Tx<'_>,
    task: &Arc<DeletionTask>,
    epoch: Option<u64>,
    answers: &[Answer],
) -> Result<Arc<DeletionTask>, Error> {
    let Some((row, linked)) = linked_role(tx.state(), &task.role) else {
        return Err(Error::Internal("a task without its role"));
    };
    let fenced = RoleStatus::Deleting { task: task.id.clone(), epoch: epoch.unwrap_or(0) };
    if epoch.is_none() || epoch != task.fence_epoch || linked.status != fenced {
        return Err(Error::Stale(format!(
            "task {}: the fence is not the one that was set",
            task.id
        )));
    }
    if tx.now().saturating_sub(task.fenced_ms) > limits::FENCE_MS {
        return Ok(fail(tx, task, "The role was fenced for too long; it is kept.".into()));
    }
    if let Some(found) = obstacle(tx.state(), task, Asking::Prepare, answers, tx.now()) {
        return Ok(fail(tx, task, found));
    }
    callback::leave_notice(tx, task, &row, epoch.unwrap_or(0), true);
    remove(tx, &row);
    Ok(store(tx, DeletionTask { phase: TaskPhase::Committed, ..(**task).clone() }))
}

/// Removes a role and what hangs on it; its id stays behind as a tombstone.
fn remove(tx: &mut Tx<'_>, row: &Role) {
    let at_ms = tx.now();
    let (account, id) = (row.account.clone(), row.id.clone());
    tx.put(Row::Tombstone(Tombstone { account: account.clone(), role: id.clone(), at_ms }));
    tx.delete(Key::Role(account.clone(), row.name.folded()));
    tx.delete(Key::Ledger(account.clone(), id.clone()));
    for region in tx.state().usage_regions(&id) {
        tx.delete(Key::UsageGuard(account.clone(), id.clone(), region));
    }
    crate::access::forget(tx, id.as_str());
}

/// T7: closes the task. With one process every reader has seen the removal by now: it was
/// published before this step could be sent.
fn finish(tx: &mut Tx<'_>, task: &Arc<DeletionTask>) -> Arc<DeletionTask> {
    let ended = DeletionTask {
        status: TaskStatus::Succeeded,
        phase: TaskPhase::Final,
        ended_ms: Some(tx.now()),
        fence_epoch: None,
        ..(**task).clone()
    };
    store(tx, ended)
}

/// What a deletion would find, without one: the same facts that its check reads, at this moment.
///
/// Errors: `NoSuchEntity` for a missing or an ordinary role.
pub fn plan(tx: &Tx<'_>, account: &AccountId, name: &RoleName) -> Result<Output, Error> {
    let (row, _) = role::find_linked(tx, account, name)?;
    let state = tx.state();
    let ledger_ms = state.ledger_ms(&row.id);
    Ok(Output::Plan(Box::new(PlanView {
        usages: shown_usages(state, &row.id),
        count: state.usage_count(&row.id),
        sessions_until_ms: (ledger_ms > tx.now()).then_some(ledger_ms),
        open: state.open_task(&row.id).map(|task| task.id.clone()),
        role: role::view(tx, &row),
    })))
}

/// Uses by region, as many as are shown.
fn shown_usages(state: &State, role: &RoleId) -> BTreeMap<Region, Vec<ResourceName>> {
    let mut usages: BTreeMap<Region, Vec<ResourceName>> = BTreeMap::new();
    for usage in state.usages_of(role).take(limits::USAGES_SHOWN) {
        usages.entry(usage.region.clone()).or_default().push(usage.resource.clone());
    }
    usages
}

/// T8: gives up. The role stays, usable, under the epoch it has reached.
fn fail(tx: &mut Tx<'_>, task: &Arc<DeletionTask>, found: Obstacle) -> Arc<DeletionTask> {
    unfence(tx, task);
    let Obstacle { reason, told } = found;
    let mut usages = shown_usages(tx.state(), &task.role);
    if usages.is_empty() {
        usages = told;
    }
    let failed = DeletionTask {
        status: TaskStatus::Failed,
        phase: TaskPhase::Final,
        ended_ms: Some(tx.now()),
        fence_epoch: None,
        reason: Some(reason),
        usages,
        ..(**task).clone()
    };
    store(tx, failed)
}

/// The operator's way out, for a role whose service is gone for ever: nobody is asked and nothing is waited for.
///
/// Without the role's unique id as `confirm` nothing happens but that it is shown what would be lost.
///
/// Errors: `NoSuchEntity` for a missing or an ordinary role; `Invalid` for the id of another role.
pub fn force(
    tx: &mut Tx<'_>,
    account: &AccountId,
    name: &RoleName,
    confirm: Option<&str>,
) -> Result<Output, Error> {
    let Some(confirm) = confirm else { return plan(tx, account, name) };
    let (row, _) = role::find_linked(tx, account, name)?;
    if row.id.as_str() != confirm {
        return Err(Error::Invalid {
            field: "confirm",
            message: format!("expected the unique id of the role, {}; found `{confirm}`", row.id),
        });
    }
    let view = role::view(tx, &row);
    tx.touch(account, view.arn.clone());
    let uses = tx.state().usages_of(&row.id).take(limits::USAGES_SHOWN);
    let lost: Vec<String> = uses.map(|u| format!("{} {}", u.region, u.resource)).collect();
    tx.note("usesLost", tx.state().usage_count(&row.id).to_string());
    tx.note("resources", lost.join(", "));
    if let Some(open) = tx.state().open_task(&row.id).cloned() {
        fail(tx, &open, "The operator removed the role by force.".into());
    }
    let uses: Vec<_> = tx.state().usages_of(&row.id).cloned().collect();
    for used in uses {
        tx.delete(Row::Usage((*used).clone()).key());
    }
    remove(tx, &row);
    Ok(Output::Role(view))
}

/// T9: a real use meets a fence: the fence goes, the task fails, the use succeeds.
/// Answers with the task it ended.
pub fn use_wins(
    tx: &mut Tx<'_>,
    role: &RoleId,
    how: &'static str,
) -> Result<Option<TaskId>, Error> {
    let Some((_, linked)) = linked_role(tx.state(), role) else { return Ok(None) };
    let RoleStatus::Deleting { task, .. } = linked.status else { return Ok(None) };
    let missing = Error::Internal("a fence without its task");
    let task = tx.state().task(&task).cloned().ok_or(missing)?;
    tx.note("endedDeletion", task.id.to_string());
    fail(tx, &task, format!("{IN_USE} While the deletion ran, {how}.").into());
    Ok(Some(task.id.clone()))
}

/// Lifts a task's fence; the epoch stays raised.
fn unfence(tx: &mut Tx<'_>, task: &DeletionTask) {
    let Some((mut row, linked)) = linked_role(tx.state(), &task.role) else { return };
    if let RoleStatus::Deleting { task: holder, epoch } = &linked.status
        && *holder == task.id
    {
        callback::leave_notice(tx, task, &row, *epoch, false);
        let status = RoleStatus::Active { epoch: *epoch };
        row.kind = RoleKind::Linked(LinkedRole { status, ..linked });
        role::store(tx, row);
    }
}

/// Why a role cannot go, and what its service named.
struct Obstacle {
    reason: String,
    told: Usages,
}

impl From<String> for Obstacle {
    fn from(reason: String) -> Self {
        Self { reason, told: Usages::new() }
    }
}

impl From<&str> for Obstacle {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

/// Why a role cannot go now, or `None` when nothing uses it: by the registry, by what its service answered, and by
/// the ledger of its sessions. Whoever must be asked and was not has not said "unused".
fn obstacle(
    state: &State,
    task: &DeletionTask,
    asking: Asking,
    answers: &[Answer],
    now_ms: i64,
) -> Option<Obstacle> {
    let uses = state.usage_count(&task.role);
    if uses > limits::USAGES_SHOWN {
        let named = limits::USAGES_SHOWN;
        return Some(
            format!("{IN_USE} {uses} resources use it; {named} of them are named.").into(),
        );
    }
    if uses > 0 {
        return Some(IN_USE.into());
    }
    let asked = callback::about(state, task, asking);
    let released = match asked.map(|question| callback::judge(&question, answers)) {
        None => false,
        Some(Verdict::Unused { released }) => released,
        Some(Verdict::InUse(told)) if told.is_empty() => {
            return Some(format!("{IN_USE} Its service does not name what uses it.").into());
        }
        Some(Verdict::InUse(told)) => {
            let reason =
                format!("{IN_USE} Its service may name all, some or none of what uses it.");
            return Some(Obstacle { reason, told });
        }
        Some(Verdict::Unknown(why)) => {
            return Some(
                format!(
                    "Its service did not confirm that the role is unused: {why}. The role is kept."
                )
                .into(),
            );
        }
    };
    let left_ms = state.ledger_ms(&task.role).saturating_sub(now_ms);
    (left_ms > 0 && !released).then(|| {
        format!(
            "{IN_USE} The linked service may hold a session for up to {} more seconds; it ends \
             sooner only if the service releases it.",
            left_ms.div_euclid(1_000).saturating_add(1)
        )
        .into()
    })
}

fn linked_role(state: &State, id: &RoleId) -> Option<(Role, LinkedRole)> {
    let row = state.role_by_id(id)?;
    match &row.kind {
        RoleKind::Linked(linked) => Some(((**row).clone(), linked.clone())),
        RoleKind::Own(_) => None,
    }
}

fn store(tx: &mut Tx<'_>, task: DeletionTask) -> Arc<DeletionTask> {
    tx.touch(&task.account.clone(), view(tx, &Arc::new(task.clone())).role_arn);
    tx.put(Row::Task(task.clone()));
    Arc::new(task)
}

/// Forgets tasks that have been final for 30 days, and enrolments and notices that have ended.
pub fn sweep(tx: &mut Tx<'_>) -> Result<Output, Error> {
    let now = tx.now();
    let old = |task: &&Arc<DeletionTask>| {
        task.ended_ms.is_some_and(|at| now.saturating_sub(at) > limits::TASK_KEPT_MS)
    };
    let gone: Vec<_> = tx.state().tasks().filter(old).cloned().collect();
    for task in &gone {
        tx.delete(Key::Task(task.account.clone(), task.id.clone()));
    }
    let late = tx.state().notices().filter(|notice| notice.until_ms <= now);
    let late: Vec<_> = late.map(|n| (n.account.clone(), n.role.clone())).collect();
    for (account, role) in late {
        tx.delete(Key::Notice(account, role));
    }
    let ended: Vec<_> = tx
        .state()
        .enrolments()
        .filter(|e| e.expires_ms <= now)
        .map(|e| e.service.clone())
        .collect();
    for service in ended {
        tx.delete(Key::Enrolment(service));
    }
    Ok(Output::Swept { tasks: gone.len() })
}
