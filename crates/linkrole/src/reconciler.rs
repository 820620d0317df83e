//! Drives deletion tasks: reads the state, takes each open task's next step, and again.
//!
//! It takes no input, and what it remembers is only whom it is asking at the moment, so the happy case, a restart and a
//! task that somebody else began are one path. What a step may do is decided in `iam::deletion`.

use crate::callbacks::{Callbacks, Shared};
use crate::engine::Engine;
use iam::callback;
use iam::command::{Command, DeletionStep, Step};
use iam::deletion::next_step;
use iam::rows::Notice;
use iam::text::{RoleId, TaskId};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::task::JoinSet;

/// The longest pause between two looks when nothing wakes it.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two sweeps of what has ended.
const SWEEP: Duration = Duration::from_secs(3_600);

/// What waits for a service.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Waiting {
    /// A step of a task's attempt, for an answer.
    Step(TaskId, u32, Step),
    /// A notice about a role's epoch, to be heard.
    Notice(RoleId, u64, bool),
}

/// The worker.
pub struct Reconciler<S> {
    engine: Arc<Engine<S>>,
    callbacks: Arc<Callbacks>,
    waiting: HashSet<Waiting>,
    asked: JoinSet<(Waiting, Option<Command>)>,
}

impl<S: Store> Reconciler<S> {
    /// A worker that waits for nothing.
    pub fn new(engine: Arc<Engine<S>>, callbacks: Arc<Callbacks>) -> Self {
        Self { engine, callbacks, waiting: HashSet::new(), asked: JoinSet::new() }
    }

    /// Works until the process ends.
    pub async fn run(mut self) {
        let mut since_sweep = SWEEP;
        loop {
            while self.pass().await {}
            if since_sweep >= SWEEP {
                since_sweep = Duration::ZERO;
                let _ = self.engine.system(Command::Sweep).await;
            }
            // A pause that ends early wakes for a change; it is counted whole, which only sweeps sooner.
            let engine = self.engine.clone();
            let answered = tokio::select! {
                Some(answered) = self.asked.join_next() => Some(answered),
                _ = tokio::time::timeout(PAUSE, engine.changed.notified()) => None,
            };
            if let Some(Ok((waiting, command))) = answered {
                self.waiting.remove(&waiting);
                if let Some(command) = command {
                    self.send(command).await;
                }
            }
            since_sweep += PAUSE;
        }
    }

    /// Takes the next step of every open task that waits for nobody; answers whether anything moved.
    pub async fn pass(&mut self) -> bool {
        if !self.engine.is_sound() {
            return false;
        }
        let state = self.engine.state();
        let now_ms = self.engine.now_ms().max(state.clock_ms());
        let mut moved = false;
        for notice in state.notices() {
            moved |= self.tell(&state, notice).await;
        }
        let steps: Vec<_> = state.open_tasks().filter_map(|task| next_step(task, now_ms)).collect();
        for step in steps {
            moved |= match callback::inquiry(&state, &step) {
                Some(question) => self.ask(&state, step, question),
                None => self.send(Command::StepDeletion(step)).await,
            };
        }
        moved
    }

    /// Sends a step or the end of a notice; answers whether it was taken.
    async fn send(&self, command: Command) -> bool {
        match self.engine.system(command).await {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(?error, "a step was not taken");
                false
            }
        }
    }

    /// Asks a step's service, unless that is under way. The answer comes with the step, later.
    fn ask(
        &mut self,
        state: &iam::state::State,
        step: DeletionStep,
        question: callback::Inquiry,
    ) -> bool {
        let waiting = Waiting::Step(step.task.clone(), step.attempt, step.step);
        if !self.waiting.insert(waiting.clone()) {
            return false;
        }
        let key = Shared::of(state, self.engine.keyring(), &question.service);
        let callbacks = self.callbacks.clone();
        self.asked.spawn(async move {
            let answers = callbacks.ask(key.as_ref(), &question).await;
            (waiting, Some(Command::StepDeletion(DeletionStep { answers, ..step })))
        });
        false
    }

    /// Tells a service what a notice says, unless that is under way.
    async fn tell(&mut self, state: &iam::state::State, notice: &Arc<Notice>) -> bool {
        let Some(question) = callback::notice(state, notice) else {
            return self.send(Command::SettleNotice((**notice).clone())).await;
        };
        let waiting = Waiting::Notice(notice.role.clone(), notice.epoch, notice.committed);
        if !self.waiting.insert(waiting.clone()) {
            return false;
        }
        let key = Shared::of(state, self.engine.keyring(), &question.service);
        let callbacks = self.callbacks.clone();
        let sent = (**notice).clone();
        self.asked.spawn(async move {
            let heard = callbacks.tell(key.as_ref(), &question).await;
            (waiting, heard.then_some(Command::SettleNotice(sent)))
        });
        false
    }
}
