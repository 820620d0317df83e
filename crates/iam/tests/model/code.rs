//! The steps of the model, taken by the code: random orders of calls by workers that sleep, die and
//! come back, by a service that keeps its duties, and by a clock that runs; with the invariants of
//! the protocol checked after each call.

#[path = "../common/mod.rs"]
pub mod common;

use common::*;
use iam::caller::{Call, Caller, Source, resolve};
use iam::command::*;
use iam::deletion::next_step;
use iam::error::Error;
use iam::handle::handle;
use iam::limits;
use iam::output::*;
use iam::rows::*;
use iam::seal::Keyring;
use iam::session::Claims;
use iam::state::State;
use iam::state::problems;
use iam::text::*;
use iam::tx::Env;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Calls of one trace, before what each call entails.
const STEPS: usize = 40;
const WORKERS: usize = 3;

/// What keeps the changes of a call.
pub trait Keeper {
    /// Keeps the changes. `Some` is the state after a loss of power in the middle: the answer is
    /// lost with it.
    fn keep(&mut self, old: &State, next: &State, changes: &[Change]) -> Option<State>;
    /// A moment between two calls, when power may go as well.
    fn pause(&mut self, state: &State);
}

/// Keeps nothing: the state is all there is.
pub struct InMemory;

impl Keeper for InMemory {
    fn keep(&mut self, _: &State, _: &State, _: &[Change]) -> Option<State> {
        None
    }
    fn pause(&mut self, _: &State) {}
}

/// The alphabet: that of the model, with the product's own steps in place of its messages.
#[derive(Clone, Copy, Debug)]
enum Action {
    Submit,
    Recreate,
    /// A worker takes the one step that its memory plans, fresh or stale.
    Step(usize),
    /// A worker claims, looks and fences in one go.
    Start(usize),
    /// A worker commits whatever it remembers.
    Commit(usize),
    /// A worker gives up.
    Abort(usize),
    /// A worker forgets all.
    Crash(usize),
    /// A step sent long ago arrives again.
    Zombie,
    /// A commit under an epoch that is not the fence's.
    WrongEpoch,
    Register(u8),
    Create(u8),
    Remove(u8),
    Deregister(u8),
    Look,
    Reconcile,
    Assume,
    Release,
    Expire(i64),
}

struct Session {
    role: RoleId,
    caller: Caller,
    expires_ms: i64,
    released: bool,
}

/// What happened in all traces together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    traces: u64,
    calls: u64,
    deleted: u64,
    failed: u64,
    use_wins: u64,
    refused: u64,
    takeovers: u64,
    recreated: u64,
    sessions: u64,
    releases: u64,
    reconciled: u64,
    lost: u64,
}

impl Tally {
    fn parts(&self) -> [(&'static str, u64); 12] {
        [
            ("traces", self.traces),
            ("calls", self.calls),
            ("roles deleted", self.deleted),
            ("deletions failed", self.failed),
            ("ended by a use", self.use_wins),
            ("stale steps refused", self.refused),
            ("take-overs", self.takeovers),
            ("roles made again", self.recreated),
            ("sessions", self.sessions),
            ("releases", self.releases),
            ("full sets told", self.reconciled),
            ("answers lost", self.lost),
        ]
    }

    pub fn add(&mut self, other: &Self) {
        self.traces += other.traces;
        self.calls += other.calls;
        self.deleted += other.deleted;
        self.failed += other.failed;
        self.use_wins += other.use_wins;
        self.refused += other.refused;
        self.takeovers += other.takeovers;
        self.recreated += other.recreated;
        self.sessions += other.sessions;
        self.releases += other.releases;
        self.reconciled += other.reconciled;
        self.lost += other.lost;
    }

    /// Every kind of thing happened; a run that does nothing proves nothing.
    pub fn check(&self) {
        for (name, count) in self.parts() {
            assert!(count > 0 || name == "answers lost", "{name}: none");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.parts().iter().map(|(n, c)| format!("{c} {n}")).collect();
        f.write_str(&parts.join(", "))
    }
}

/// One trace at work.
pub struct Sim<K> {
    keeper: K,
    seed: u64,
    state: State,
    keyring: Arc<Keyring>,
    now_ms: i64,
    dice: Dice,
    root: Caller,
    service: Caller,
    /// Every role there ever was; the last is the present one, if it lives.
    roles: Vec<RoleId>,
    workers: [Option<Arc<DeletionTask>>; WORKERS],
    sent: Vec<DeletionStep>,
    registered: BTreeSet<(RoleId, u8)>,
    resources: BTreeSet<(RoleId, u8)>,
    sessions: Vec<Session>,
    listed: Option<(RoleId, u64)>,
    actions: Vec<Action>,
    pub tally: Tally,
}

impl<K> Drop for Sim<K> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seed {}: {:?}", self.seed, self.actions);
        }
    }
}

/// The world that every trace begins in: one account, one service, its role.
pub struct Start {
    world: World,
    people: People,
    role: RoleId,
}

impl Start {
    pub fn new() -> Self {
        let (mut world, people) = World::peopled(5);
        let role = world.linked(&people.root, BACKUP).id.clone();
        Self { world, people, role }
    }

    pub fn state(&self) -> &State {
        &self.world.state
    }
}

impl<K: Keeper> Sim<K> {
    pub fn new(start: &Start, keeper: K, seed: u64) -> Self {
        Self {
            keeper,
            seed,
            state: start.world.state.clone(),
            keyring: start.world.keyring.clone(),
            now_ms: START_MS + 1,
            dice: Dice(seed),
            root: start.people.root.clone(),
            service: start.people.backup.clone(),
            roles: vec![start.role.clone()],
            workers: [const { None }; WORKERS],
            sent: Vec::new(),
            registered: BTreeSet::new(),
            resources: BTreeSet::new(),
            sessions: Vec::new(),
            listed: None,
            actions: Vec::new(),
            tally: Tally { traces: 1, ..Tally::default() },
        }
    }

    pub fn run(&mut self) {
        for _ in 0..STEPS {
            let action = self.choose();
            self.actions.push(action);
            self.act(action);
            self.keeper.pause(&self.state);
        }
    }

    pub fn into_keeper(mut self) -> (K, Tally)
    where
        K: Default,
    {
        (std::mem::take(&mut self.keeper), self.tally)
    }

    fn choose(&mut self) -> Action {
        let worker = usize::try_from(self.dice.below(WORKERS as u64)).unwrap();
        let resource = u8::try_from(self.dice.below(2)).unwrap();
        match self.dice.below(64) {
            0..6 => Action::Submit,
            6..10 => Action::Recreate,
            10..22 => Action::Step(worker),
            22..27 => Action::Start(worker),
            27..32 => Action::Commit(worker),
            32 => Action::Abort(worker),
            33 => Action::Crash(worker),
            34..37 => Action::Zombie,
            37 => Action::WrongEpoch,
            38..41 => Action::Register(resource),
            41..44 => Action::Create(resource),
            44..48 => Action::Remove(resource),
            48..52 => Action::Deregister(resource),
            52 => Action::Look,
            53 => Action::Reconcile,
            54..57 => Action::Assume,
            57..59 => Action::Release,
            59 => Action::Expire(1),
            60 => Action::Expire(limits::TASK_LEASE_MS / 2),
            61 => Action::Expire(limits::TASK_LEASE_MS + 1),
            62 => Action::Expire(3_600_000 + limits::LEDGER_STEP_MS),
            _ => Action::Expire(limits::TASK_DEADLINE_MS),
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Submit => self.submit(),
            Action::Recreate => self.recreate(),
            Action::Step(worker) => self.step(worker),
            Action::Start(worker) => {
                for _ in 0..3 {
                    self.step(worker);
                }
            }
            Action::Commit(worker) => self.forced(worker, Step::Commit),
            Action::Abort(worker) => self.forced(worker, Step::Refuse),
            Action::Crash(worker) => self.remember(worker, None),
            Action::Zombie => self.zombie(),
            Action::WrongEpoch => self.wrong_epoch(),
            Action::Register(resource) => self.register(resource),
            Action::Create(resource) => {
                let at = (self.some_role(), resource);
                if self.registered.contains(&at) {
                    self.resources.insert(at);
                }
            }
            Action::Remove(resource) => {
                let at = (self.some_role(), resource);
                self.resources.remove(&at);
            }
            Action::Deregister(resource) => self.deregister(resource),
            Action::Look => self.look(),
            Action::Reconcile => self.reconcile(),
            Action::Assume => self.assume(),
            Action::Release => self.release(),
            Action::Expire(by_ms) => self.now_ms += by_ms,
        }
        self.check_now();
    }

    /// One call with the checks of any call. `None`: the answer is lost.
    fn call(&mut self, caller: &Caller, command: Command) -> Option<Result<Output, Error>> {
        let call = Call {
            caller: caller.clone(),
            on_behalf: None,
            command,
            nonce: None,
            refusal: None,
            source: Source::default(),
            request_id: String::new(),
        };
        let mut dice = self.dice.clone();
        let mut random = |bytes: &mut [u8]| dice.fill(bytes);
        let mut env = Env { now_ms: self.now_ms, random: &mut random, keyring: &self.keyring };
        let handled = handle(&self.state, &call, &mut env);
        self.dice = dice;
        self.tally.calls += 1;
        if handled.outcome.is_err() {
            assert!(handled.changes.is_empty(), "a failed call changed something");
        }
        let lost = self.keeper.keep(&self.state, &handled.next, &handled.changes);
        let is_lost = lost.is_some();
        let next = lost.unwrap_or(handled.next);
        self.check_step(&next);
        if handled.event.response.contains_key("endedDeletion") && !is_lost {
            self.tally.use_wins += 1;
        }
        self.state = next;
        self.tally.lost += u64::from(is_lost);
        (!is_lost).then_some(handled.outcome)
    }

    /// I1 to I5 and I7 between two states.
    fn check_step(&mut self, next: &State) {
        check_history(&self.state, next);
        assert_eq!(problems(next), Vec::<String>::new());
        for task in next.tasks() {
            let before = self.state.task(&task.id);
            let was = before.map_or(TaskStatus::NotStarted, |t| t.status);
            if was == task.status {
                continue;
            }
            let live = next.role_by_id(&task.role).is_some();
            match task.status {
                TaskStatus::InProgress => assert_eq!(was, TaskStatus::NotStarted, "I7"),
                TaskStatus::Succeeded => {
                    assert_eq!(was, TaskStatus::InProgress, "I7");
                    assert!(!live && next.tombstone(&task.role).is_some(), "I3: not removed");
                }
                TaskStatus::Failed => {
                    assert!(live, "I3: a failed deletion removed its role");
                    self.tally.failed += 1;
                }
                TaskStatus::NotStarted => panic!("I7: a task went back"),
            }
        }
        for role in &self.roles {
            let was = self.state.role_by_id(role).is_some();
            let is = next.role_by_id(role).is_some();
            assert!(was || !is, "I4: a removed role came back");
            if was && !is {
                self.tally.deleted += 1;
                assert_eq!(self.state.usage_count(role), 0, "I1: removed with a registered use");
                let alive = self.sessions.iter().any(|session| {
                    session.role == *role && !session.released && session.expires_ms > self.now_ms
                });
                assert!(!alive, "I5: removed with a living session");
                let used = self.resources.iter().any(|(of, _)| of == role);
                assert!(!used, "I1: removed with a living resource");
            }
        }
    }

    /// I1, I5 and I9 on the present state.
    fn check_now(&mut self) {
        for (role, resource) in &self.resources {
            assert!(self.state.role_by_id(role).is_some(), "I1: {resource} outlives its role");
        }
        for session in &self.sessions {
            let live = self.state.role_by_id(&session.role).is_some();
            let alive = live && !session.released && session.expires_ms > self.now_ms;
            let works = resolve(&self.state, &session.caller, self.now_ms).is_ok();
            assert_eq!(works, alive, "I9: a session works when it must not, or the reverse");
            if alive {
                let ledger_ms = self.state.ledger_ms(&session.role);
                assert!(ledger_ms >= session.expires_ms, "I5: a session is not in the ledger");
            }
        }
    }

    /// The present role, and seldom one of the past.
    fn some_role(&mut self) -> RoleId {
        let past = self.dice.below(8) == 0;
        let at = if past { self.dice.below(self.roles.len() as u64) } else { u64::MAX };
        let found = usize::try_from(at).ok().and_then(|at| self.roles.get(at));
        found.or(self.roles.last()).cloned().unwrap()
    }

    fn is_live(&self, role: &RoleId) -> bool {
        self.state.role_by_id(role).is_some()
    }

    fn present(&self) -> Option<RoleId> {
        self.roles.last().filter(|role| self.is_live(role)).cloned()
    }

    fn status(&self, role: &RoleId) -> Option<RoleStatus> {
        self.state.role_by_id(role).and_then(|row| match &row.kind {
            RoleKind::Linked(linked) => Some(linked.status.clone()),
            RoleKind::Own(_) => None,
        })
    }

    fn submit(&mut self) {
        let present = self.present();
        let open = present.as_ref().and_then(|role| self.state.open_task(role)).cloned();
        let command = Command::DeleteServiceLinkedRole { role: t(BACKUP_ROLE) };
        let root = self.root.clone();
        let Some(outcome) = self.call(&root, command) else { return };
        match (present, outcome) {
            (Some(_), Ok(Output::Task(view))) => {
                // I2 and I6: while one is open, it is the answer.
                if let Some(open) = open {
                    assert_eq!(view.task, open, "I2: two open tasks");
                }
            }
            (None, Err(Error::NoSuchEntity(_))) => {}
            other => panic!("{other:?}"),
        }
    }

    fn recreate(&mut self) {
        let live = self.present().is_some();
        let root = self.root.clone();
        let Some(outcome) = self.call(&root, create_linked(BACKUP, None)) else {
            // The answer is lost; whoever asked looks.
            let found = self.state.role(&t(A), &Folded::of(BACKUP_ROLE)).map(|r| r.id.clone());
            if let Some(id) = found.filter(|id| !self.roles.contains(id)) {
                self.roles.push(id);
            }
            return;
        };
        match outcome {
            Ok(Output::Role(view)) if !live => {
                assert!(!self.roles.contains(&view.role.id), "I4: an id is used again");
                assert_eq!(view.trust, TrustView::Linked(t(BACKUP)));
                self.roles.push(view.role.id.clone());
                self.tally.recreated += 1;
            }
            Err(Error::RoleNameTaken(_)) if live => {}
            other => panic!("{other:?}"),
        }
    }

    fn remember(&mut self, worker: usize, task: Option<Arc<DeletionTask>>) {
        if let Some(slot) = self.workers.get_mut(worker) {
            *slot = task;
        }
    }

    /// A worker goes on from what it remembers; one that remembers nothing looks for work.
    fn step(&mut self, worker: usize) {
        let memory = self.workers.get(worker).cloned().flatten();
        let memory = memory.or_else(|| self.state.open_tasks().next().cloned());
        let Some(memory) = memory else { return };
        match next_step(&memory, self.now_ms) {
            Some(step) => {
                let after = self.send(&step);
                self.remember(worker, after);
            }
            None => self.remember(worker, None),
        }
    }

    fn forced(&mut self, worker: usize, step: Step) {
        let Some(task) = self.workers.get(worker).cloned().flatten() else { return };
        let epoch = task.fence_epoch;
        let step = DeletionStep {
            task: task.id.clone(),
            attempt: task.attempt,
            epoch,
            step,
            answers: Vec::new(),
        };
        let after = self.send(&step);
        self.remember(worker, after);
    }

    fn zombie(&mut self) {
        if self.sent.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.below(self.sent.len() as u64)).unwrap();
        if let Some(step) = self.sent.get(at).cloned() {
            self.send(&step);
        }
    }

    fn wrong_epoch(&mut self) {
        let Some(task) = self.state.open_tasks().next().cloned() else { return };
        for epoch in
            [None, Some(0), task.fence_epoch.map(|e| e + 1), task.fence_epoch.map(|e| e - 1)]
        {
            if epoch.is_some() && epoch == task.fence_epoch {
                continue;
            }
            let (id, step) = (task.id.clone(), Step::Commit);
            self.send(&DeletionStep {
                task: id,
                attempt: task.attempt,
                epoch,
                step,
                answers: Vec::new(),
            });
        }
    }

    /// Sends one step; the task after it, when it was taken. A step that is not of the present
    /// claim, and a commit that is not under the fence it names, must do nothing; and no step is
    /// taken twice.
    fn send(&mut self, step: &DeletionStep) -> Option<Arc<DeletionTask>> {
        let task = self.state.task(&step.task).cloned()?;
        let mut fits = task.is_open() && task.attempt == step.attempt;
        if step.step == Step::Commit {
            let fence =
                step.epoch.map(|epoch| RoleStatus::Deleting { task: task.id.clone(), epoch });
            fits &= fence.is_some() && self.status(&task.role) == fence;
        }
        self.sent.push(step.clone());
        let outcome = self.call(&Caller::System, Command::StepDeletion(step.clone()))?;
        match outcome {
            Ok(Output::Step { task: after }) => {
                assert!(fits, "I6: a stale step was taken: {step:?} on {task:?}");
                self.tally.takeovers += u64::from(step.step == Step::Claim && step.attempt > 0);
                // I6: the same request once more has no effect.
                match self.call(&Caller::System, Command::StepDeletion(step.clone())) {
                    Some(Err(Error::Stale(_))) | None => {}
                    other => panic!("I6: a step was taken twice: {step:?}: {other:?}"),
                }
                Some(after)
            }
            Err(Error::Stale(_)) => {
                self.tally.refused += 1;
                None
            }
            other => panic!("{step:?}: {other:?}"),
        }
    }

    fn register(&mut self, resource: u8) {
        let role = self.some_role();
        let live = self.is_live(&role);
        let command = register(A, role.as_str(), &resource.to_string());
        let service = self.service.clone();
        let Some(outcome) = self.call(&service, command.clone()) else { return };
        match outcome {
            Ok(Output::Usage { .. }) => {
                assert!(live, "I4: a use of a removed role was taken");
                let active = matches!(self.status(&role), Some(RoleStatus::Active { .. }));
                assert!(active, "I13: a registered use left the role fenced");
                self.registered.insert((role.clone(), resource));
                let Some(again) = self.call(&service, command) else { return };
                let unchanged = matches!(again, Ok(Output::Usage { changed: false, .. }));
                assert!(unchanged, "I6: a use was registered twice");
            }
            Err(Error::NoSuchEntity(_)) => {
                assert!(!live, "I13: a use of a living role was refused")
            }
            other => panic!("{other:?}"),
        }
    }

    fn deregister(&mut self, resource: u8) {
        let role = self.some_role();
        if self.resources.contains(&(role.clone(), resource)) {
            return; // The service removes a use only after its resource is gone.
        }
        self.registered.remove(&(role.clone(), resource));
        let command = deregister(A, role.as_str(), &resource.to_string());
        let service = self.service.clone();
        let live = self.is_live(&role);
        if let Some(outcome) = self.call(&service, command) {
            assert_eq!(outcome.is_ok(), live, "{outcome:?}");
        }
    }

    fn look(&mut self) {
        let role = self.some_role();
        let service = self.service.clone();
        let command = Command::ListUsage { target: target(A, role.as_str()) };
        if let Some(Ok(Output::UsageList { versions, .. })) = self.call(&service, command) {
            let version = versions.iter().find(|(region, _)| region.as_str() == "north-1");
            self.listed = Some((role, version.map_or(0, |(_, version)| *version)));
        }
    }

    /// The service tells all that it registered, under the version it read some time ago.
    fn reconcile(&mut self) {
        let Some((role, version)) = self.listed.clone() else { return };
        let mine = self.registered.iter().filter(|(of, _)| *of == role);
        let resources: BTreeSet<ResourceName> = mine.map(|(_, r)| t(&r.to_string())).collect();
        let command = Command::ReconcileUsage {
            target: target(A, role.as_str()),
            region: t("north-1"),
            after_version: version,
            resources: resources.clone(),
        };
        let service = self.service.clone();
        let before = self.state.usage_version(&role, &t("north-1"));
        match self.call(&service, command) {
            Some(Ok(Output::Usage { .. })) => {
                assert_eq!(before, version, "a set told under an old version was taken");
                let stored = self.state.usages_of(&role).map(|u| u.resource.clone());
                assert_eq!(stored.collect::<BTreeSet<_>>(), resources);
                self.tally.reconciled += 1;
            }
            Some(Err(Error::Stale(_) | Error::NoSuchEntity(_))) | None => {}
            other => panic!("{other:?}"),
        }
    }

    fn assume(&mut self) {
        let present = self.present();
        let service = self.service.clone();
        let ask = assume(&linked_arn(A, BACKUP, BACKUP_ROLE));
        let Some(outcome) = self.call(&service, Command::AssumeRole(Box::new(ask))) else { return };
        match (present, outcome) {
            (Some(role), Ok(Output::Session { credentials, .. })) => {
                let active = matches!(self.status(&role), Some(RoleStatus::Active { .. }));
                assert!(active, "I13: an opened session left the role fenced");
                let claims = Arc::new(Claims::open(&self.keyring, &credentials.token).unwrap());
                let expires_ms = credentials.expires_ms;
                let caller = Caller::Session(claims);
                self.sessions.push(Session { role, caller, expires_ms, released: false });
                self.tally.sessions += 1;
            }
            (None, Err(Error::AssumeRoleDenied(_))) => {}
            (Some(_), other) => panic!("I13: a role in being was not assumed: {other:?}"),
            (None, other) => panic!("I5: a session of a removed role: {other:?}"),
        }
    }

    fn release(&mut self) {
        let role = self.some_role();
        let live = self.is_live(&role);
        let service = self.service.clone();
        let command = Command::ReleaseSessions { target: target(A, role.as_str()) };
        let outcome = self.call(&service, command);
        // With its answer lost the service does not know: a session may be ended or not.
        let Some(outcome) = outcome else {
            self.sessions.retain(|session| session.role != role);
            return;
        };
        assert_eq!(outcome.is_ok(), live, "{outcome:?}");
        if live {
            let mine = self.sessions.iter_mut().filter(|session| session.role == role);
            mine.for_each(|session| session.released = true);
            self.tally.releases += 1;
        }
    }
}

/// Runs traces on two threads, each trace from its own seed.
pub fn run_traces(count: u64) -> Tally {
    let run = |half| {
        let start = Start::new();
        let mut tally = Tally::default();
        for seed in (half..count).step_by(2) {
            let mut sim = Sim::new(&start, InMemory, seed);
            sim.run();
            tally.add(&sim.tally);
        }
        tally
    };
    let [mut all, other] = crate::halves(run);
    all.add(&other);
    all
}
