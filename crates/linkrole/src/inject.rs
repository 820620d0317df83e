//! Faults that a `dev` is asked to show, so that clients can be tested against what clouds do on a bad day.
//!
//! The server itself has none of them: a change counts at once, nobody is throttled, uses are told whole.

use iam::caller::{self, Call};
use iam::command::Command;
use iam::error::{Denial, Error};
use iam::output::{Output, TaskView};
use iam::rows::DeletionTask;
use iam::state::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which faults are shown; none unless it says so.
#[derive(Debug, Default)]
pub struct Inject {
    /// For so many milliseconds after its creation a role cannot be assumed, as if nobody knew of it yet.
    pub propagation_ms: i64,
    /// Every so many-th request is refused for its rate; none if 0.
    pub throttle: u64,
    /// A failed deletion names at most so many of the resources that are in its way.
    pub usages_named: Option<usize>,
    /// Requests so far.
    count: AtomicU64,
}

impl Inject {
    /// The faults of a `dev`.
    pub fn new(propagation_s: u32, throttle: u64, usages_named: Option<usize>) -> Self {
        let propagation_ms = i64::from(propagation_s) * 1_000;
        Self { propagation_ms, throttle, usages_named, count: AtomicU64::new(0) }
    }

    /// Whether this request is one too many.
    pub fn is_throttled(&self) -> bool {
        self.throttle > 0
            && (self.count.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.throttle)
    }

    /// What a command is answered with, because it comes too early.
    pub fn too_early(&self, state: &State, call: &Call, now_ms: i64) -> Option<Error> {
        let Command::AssumeRole(ask) = &call.command else { return None };
        let role = state.role(&ask.role.account, &ask.role.name.folded())?;
        let known_ms = role.created_ms.saturating_add(self.propagation_ms);
        let me = caller::resolve(state, &call.caller, now_ms).ok()?;
        (known_ms > now_ms).then(|| {
            Error::AssumeRoleDenied(Box::new(Denial {
                principal: me.name(),
                action: "sts:AssumeRole".to_owned(),
                resource: Some(ask.role.text.clone()),
                decision: None,
            }))
        })
    }

    /// An answer as far as it is shown.
    pub fn shown(&self, output: Output) -> Output {
        match (output, self.usages_named) {
            (Output::Task(view), Some(most)) => Output::Task(partial(view, most)),
            (output, _) => output,
        }
    }
}

fn partial(view: TaskView, most: usize) -> TaskView {
    let mut left = most;
    let mut task: DeletionTask = (*view.task).clone();
    task.usages.retain(|_, resources| {
        resources.truncate(left);
        left -= resources.len();
        !resources.is_empty()
    });
    TaskView { task: Arc::new(task), ..view }
}
