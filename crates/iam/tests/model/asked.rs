//! The deletion of a role whose service is asked, taken by the code in random orders: two regions that answer for
//! themselves and keep fences, a network that loses, repeats and reorders, workers that sleep, die and bring answers
//! of yesterday, sessions, a clock; with the invariants of the protocol looked at after each step.

use crate::code::common::*;
use crate::common_asked::{fencing, unused};
use iam::callback::{self, Answer, Asking, Inquiry, Reply};
use iam::caller::{Caller, resolve};
use iam::command::*;
use iam::deletion::next_step;
use iam::error::Error;
use iam::output::*;
use iam::rows::*;
use iam::session::Claims;
use iam::text::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use store::disk::Dice;

const STEPS: usize = 60;
const WORKERS: usize = 2;
const FENCER: &str = "fence.example.com";
const FENCER_ROLE: &str = "AWSServiceRoleForExampleFence";
const REGIONS: [&str; 2] = ["north-1", "south-1"];

/// What one region of the service keeps about one role; it outlives a crash.
#[derive(Clone, Default)]
struct Duty {
    /// The epoch under which new uses are refused; 0 for none.
    fence: u64,
    /// The highest epoch that was cancelled.
    cancelled: u64,
    /// The role is gone: the fence stays for ever.
    committed: bool,
    resource: bool,
}

/// A region of the service.
#[derive(Default)]
struct Site {
    duties: BTreeMap<RoleId, Duty>,
}

impl Site {
    /// What the contract asks of a service, word for word.
    fn take(&mut self, region: &Region, question: &Inquiry) -> Option<Reply> {
        let duty = self.duties.entry(question.role.clone()).or_default();
        let reply = Reply {
            in_use: duty.resource,
            regions_complete: BTreeSet::from([region.clone()]),
            ..unused(question)
        };
        match question.asking {
            Asking::Check => Some(reply),
            Asking::Prepare if question.epoch <= duty.cancelled => {
                Some(Reply { fenced_epoch: None, ..reply })
            }
            Asking::Prepare => {
                duty.fence = duty.fence.max(question.epoch);
                Some(reply)
            }
            Asking::Cancel => {
                duty.cancelled = duty.cancelled.max(question.epoch);
                if duty.fence <= question.epoch && !duty.committed {
                    duty.fence = 0;
                }
                None
            }
            Asking::Committed => {
                duty.committed = true;
                duty.fence = duty.fence.max(question.epoch);
                None
            }
        }
    }
}

/// What a worker remembers: the step it is to take, and the answers it has got.
#[derive(Clone, Default)]
struct Worker {
    step: Option<DeletionStep>,
    answers: Vec<Answer>,
}

#[derive(Clone)]
enum Message {
    Ask { to: usize, question: Inquiry },
    Answer(Answer),
}

/// What happened in all traces together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    traces: u64,
    deleted: u64,
    kept: u64,
    stale: u64,
    use_wins: u64,
    created: u64,
    refused_creates: u64,
    notices: u64,
    sessions: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.traces += other.traces;
        self.deleted += other.deleted;
        self.kept += other.kept;
        self.stale += other.stale;
        self.use_wins += other.use_wins;
        self.created += other.created;
        self.refused_creates += other.refused_creates;
        self.notices += other.notices;
        self.sessions += other.sessions;
    }

    /// A run in which some way to end never occurred has tested nothing.
    pub fn check(&self) {
        for (name, count) in [
            ("deletions", self.deleted),
            ("kept roles", self.kept),
            ("stale steps", self.stale),
            ("uses that win", self.use_wins),
            ("resources", self.created),
            ("resources refused by a fence", self.refused_creates),
            ("notices heard", self.notices),
            ("sessions", self.sessions),
        ] {
            assert!(count > 0, "no {name} in {} traces", self.traces);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Where a trace begins.
struct Start {
    world: World,
    root: Caller,
    service: Caller,
    role: RoleId,
    registers: bool,
}

impl Start {
    /// A role whose service fences and, or not, registers each use as well.
    fn new(registers: bool) -> Self {
        let usage = if registers { UsageSource::Registry } else { UsageSource::Sessions };
        let mut world = World::empty(1);
        let root = world.account(A, policy::Dialect::Aws);
        let service = world.service(fencing(FENCER, "ExampleFence", usage));
        let role = world.linked(&root, FENCER).id.clone();
        Self { world, root, service, role, registers }
    }
}

struct Sim {
    world: World,
    root: Caller,
    service: Caller,
    sites: [Site; 2],
    workers: [Worker; WORKERS],
    network: Vec<Message>,
    /// Every answer there was.
    heard: Vec<Answer>,
    /// Roles there have been, the present one last.
    roles: Vec<RoleId>,
    sessions: Vec<(RoleId, Caller, i64)>,
    /// Registers before it creates, too.
    registers: bool,
    dice: Dice,
    tally: Tally,
}

impl Sim {
    fn new(start: &Start, seed: u64) -> Self {
        Self {
            world: start.world.clone(),
            root: start.root.clone(),
            service: start.service.clone(),
            sites: Default::default(),
            workers: Default::default(),
            network: Vec::new(),
            heard: Vec::new(),
            roles: vec![start.role.clone()],
            sessions: Vec::new(),
            registers: start.registers,
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            tally: Tally { traces: 1, ..Tally::default() },
        }
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.dice.roll() % (n as u64)).unwrap()
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            self.act();
            self.check();
        }
    }

    fn act(&mut self) {
        let worker = self.below(WORKERS);
        match self.below(40) {
            0..=2 => self.submit(),
            5..=9 => self.step(worker),
            10..=13 => self.deliver(),
            14..=16 => self.collect(worker),
            17..=19 => self.tell(),
            31..=37 => self.go_through(worker),
            // The service throws away what it holds of sessions.
            38 => self.sessions.clear(),
            20 => self.workers[worker] = Worker::default(),
            21..=22 => self.tell(),
            23 => self.resync(),
            24 => {
                let site = self.below(2);
                self.create(site);
            }
            25 | 39 => self.tidy(),
            // One deletion from its beginning to its end, in a hurry.
            3..=4 => {
                self.tidy();
                self.tell();
                self.submit();
                for _ in 0..5 {
                    self.go_through(worker);
                    self.check();
                }
            }
            27..=28 => {
                let site = self.below(2);
                self.remove(site);
            }
            29 => self.assume(),
            30 => {
                let far = self.below(2) == 0;
                self.world.now_ms += if far { 4_000_000 } else { 9_000 };
            }
            26 => self.recreate(),
            _ => {}
        }
    }

    /// The service is done with the role, for now.
    fn tidy(&mut self) {
        self.remove(0);
        self.remove(1);
        self.sessions.clear();
    }

    fn submit(&mut self) {
        let command = Command::DeleteServiceLinkedRole { role: t(FENCER_ROLE) };
        let root = self.root.clone();
        let _ = self.world.call(&root, command);
    }

    /// A worker takes the step it remembers or plans; where it has to ask, it asks and waits.
    fn step(&mut self, worker: usize) {
        if self.workers[worker].step.is_some() {
            return;
        }
        let Some(task) = self.world.state.open_tasks().next().cloned() else { return };
        let Some(step) = next_step(&task, self.world.now_ms) else { return };
        match callback::inquiry(&self.world.state, &step) {
            Some(question) => {
                for to in 0..REGIONS.len() {
                    self.network.push(Message::Ask { to, question: question.clone() });
                }
                self.workers[worker] = Worker { step: Some(step), answers: Vec::new() };
            }
            None => self.send(step),
        }
    }

    /// A worker in a hurry: it asks and goes on with what it has, while one answer is lost, another is of an earlier
    /// question, and the service works on in between.
    fn go_through(&mut self, worker: usize) {
        if self.below(4) != 0 {
            self.workers[worker] = Worker::default();
        }
        self.step(worker);
        let Some(step) = self.workers[worker].step.clone() else { return };
        let Some(question) = callback::inquiry(&self.world.state, &step) else { return };
        self.workers[worker] = Worker::default();
        let mut answers = Vec::new();
        let first = self.below(2);
        for to in [first, 1 - first] {
            match self.below(16) {
                0 => continue,
                1..=3 => self.create(1 - to),
                4 if self.below(4) == 0 => self.assume(),
                5..=9 => {
                    // The region is taken to say what it said under an earlier fence.
                    let said = |answer: &&Answer| {
                        let of = answer.region.as_ref().is_some_and(|r| r.as_str() == REGIONS[to]);
                        let reply = answer.reply.as_ref();
                        of && reply.is_ok_and(|r| r.fenced_epoch.is_some() && !r.in_use)
                    };
                    if let Some(old) = self.heard.iter().rev().find(said).cloned() {
                        answers.push(old);
                        continue;
                    }
                }
                _ => {}
            }
            answers.extend(self.ask(to, &question));
        }
        self.send(DeletionStep { answers, ..step });
    }

    /// What a region answers, by its duties; it says so when the service holds no session of the role.
    fn ask(&mut self, to: usize, question: &Inquiry) -> Option<Answer> {
        let region: Region = t(REGIONS[to]);
        let held = self.sessions.iter().any(|(role, ..)| *role == question.role);
        let reply = self.sites[to].take(&region, question)?;
        let reply = Reply { sessions_released: !held, ..reply };
        let answer = Answer { region: Some(region), reply: Ok(reply) };
        self.heard.push(answer.clone());
        Some(answer)
    }

    fn send(&mut self, step: DeletionStep) {
        let was = self.world.state.open_tasks().count();
        match self.world.call(&Caller::System, Command::StepDeletion(step)) {
            Ok(Output::Step { task }) if task.status == TaskStatus::Failed => self.tally.kept += 1,
            Ok(_) => {}
            Err(Error::Stale(_)) => self.tally.stale += 1,
            Err(other) => panic!("{other:?}"),
        }
        assert!(self.world.state.open_tasks().count() <= was);
    }

    /// One message arrives; it may be lost before, and may come again.
    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let at = self.below(self.network.len());
        match self.below(8) {
            0 => drop(self.network.swap_remove(at)),
            1..=2 => self.arrive(self.network[at].clone()),
            _ => {
                let message = self.network.swap_remove(at);
                self.arrive(message);
            }
        }
    }

    fn arrive(&mut self, message: Message) {
        match message {
            Message::Ask { to, question } => {
                let answer = self.ask(to, &question);
                self.network.extend(answer.map(Message::Answer));
            }
            // Whatever arrives is taken: of this question or of an earlier one.
            Message::Answer(answer) => {
                let worker = self.below(WORKERS);
                self.workers[worker].answers.push(answer);
            }
        }
    }

    /// A worker goes on with the answers it has, all of them or too few.
    fn collect(&mut self, worker: usize) {
        let enough = self.workers[worker].answers.len() >= REGIONS.len() || self.below(6) == 0;
        if !enough {
            return;
        }
        let Worker { step, answers } = std::mem::take(&mut self.workers[worker]);
        if let Some(step) = step {
            self.send(DeletionStep { answers, ..step });
        }
    }

    /// Each region hears of a stored notice, or not; it is taken off when all have.
    fn tell(&mut self) {
        let Some(notice) = self.world.state.notices().next().cloned() else { return };
        let Some(question) = callback::notice(&self.world.state, &notice) else { return };
        if self.below(3) == 0 {
            let to = self.below(2);
            return self.network.push(Message::Ask { to, question });
        }
        for (to, name) in REGIONS.iter().enumerate() {
            self.sites[to].take(&t(name), &question);
        }
        self.tally.notices += 1;
        let command = Command::SettleNotice((*notice).clone());
        self.world.ok(&Caller::System, command);
    }

    /// A region that missed a notice looks at the role.
    fn resync(&mut self) {
        let site = self.below(2);
        for (role, duty) in &mut self.sites[site].duties {
            let Some(row) = self.world.state.role_by_id(role) else { continue };
            let RoleKind::Linked(linked) = &row.kind else { continue };
            if let RoleStatus::Active { epoch } = linked.status
                && duty.fence != 0
                && duty.fence <= epoch
            {
                duty.fence = 0;
                duty.cancelled = duty.cancelled.max(epoch);
            }
        }
    }

    /// The service makes a resource with the role it knows, which need not be there any more.
    fn create(&mut self, site: usize) {
        let Some(role) = self.roles.last().cloned() else { return };
        let resource = format!("vault/{site}");
        let duty = self.sites[site].duties.entry(role.clone()).or_default();
        if duty.fence != 0 || duty.committed {
            self.tally.refused_creates += 1;
            return;
        }
        if duty.resource {
            return;
        }
        if self.registers {
            let command = Command::RegisterUsage {
                target: target(A, role.as_str()),
                region: t(REGIONS[site]),
                resource: t(&resource),
            };
            let service = self.service.clone();
            match self.world.call(&service, command) {
                Ok(Output::Usage { ended_deletion, .. }) => {
                    self.tally.use_wins += u64::from(ended_deletion.is_some());
                }
                // The registry knows that the role is gone.
                Err(Error::NoSuchEntity(_)) => return,
                other => panic!("{other:?}"),
            }
        }
        self.sites[site].duties.entry(role).or_default().resource = true;
        self.tally.created += 1;
    }

    fn remove(&mut self, site: usize) {
        let Some(role) = self.roles.last().cloned() else { return };
        let Some(duty) = self.sites[site].duties.get_mut(&role) else { return };
        if !std::mem::take(&mut duty.resource) || !self.registers {
            return;
        }
        let command = Command::DeregisterUsage {
            target: target(A, role.as_str()),
            region: t(REGIONS[site]),
            resource: t(&format!("vault/{site}")),
        };
        let service = self.service.clone();
        self.world.ok(&service, command);
    }

    fn assume(&mut self) {
        let service = self.service.clone();
        let fenced = self.world.state.open_tasks().any(|task| task.phase == TaskPhase::Fenced);
        let ask = assume(&linked_arn(A, FENCER, FENCER_ROLE));
        match self.world.call(&service, Command::AssumeRole(Box::new(ask))) {
            Ok(Output::Session { credentials, .. }) => {
                let claims = Claims::open(&self.world.keyring, &credentials.token).unwrap();
                let role = self.roles.last().cloned().unwrap();
                let caller = Caller::Session(Arc::new(claims));
                self.sessions.push((role, caller, credentials.expires_ms));
                self.tally.sessions += 1;
                self.tally.use_wins += u64::from(fenced);
            }
            Err(Error::AssumeRoleDenied(_)) => {
                let lives = self.roles.last().and_then(|id| self.world.state.role_by_id(id));
                assert!(lives.is_none(), "I13: a role in being was not assumed");
            }
            other => panic!("{other:?}"),
        }
    }

    fn recreate(&mut self) {
        let root = self.root.clone();
        match self.world.call(&root, create_linked(FENCER, None)) {
            Ok(Output::Role(view)) => {
                self.tally.deleted += 1;
                // The proof of an answer binds it to the question, and so to the role.
                self.heard.clear();
                self.network.clear();
                self.workers = Default::default();
                self.roles.push(view.role.id.clone());
            }
            Err(Error::RoleNameTaken(_)) => {}
            other => panic!("{other:?}"),
        }
    }

    fn check(&mut self) {
        let state = &self.world.state;
        for (site, name) in self.sites.iter().zip(REGIONS) {
            for (role, duty) in site.duties.iter().filter(|(_, duty)| duty.resource) {
                let gone = state.tombstone(role).is_some();
                assert!(!gone, "I1: a resource in {name} outlives its role");
                assert!(!duty.committed, "I1: a committed role is used");
            }
        }
        for (role, caller, expires_ms) in &self.sessions {
            let gone = state.role_by_id(role).is_none();
            let works = resolve(state, caller, self.world.now_ms).is_ok();
            assert!(!(gone && works), "I9: a session works after its role");
            assert!(!gone || *expires_ms <= self.world.now_ms, "I5: removed with a living session");
        }
    }
}

/// Runs traces on two threads, each trace from its own seed.
pub fn run_traces(count: u64) -> Tally {
    let run = |half| {
        let start = Start::new(half == 0);
        let mut tally = Tally::default();
        for seed in (half..count).step_by(2) {
            let mut sim = Sim::new(&start, seed);
            sim.run();
            tally.add(&sim.tally);
        }
        tally
    };
    let [mut all, other] = crate::halves(run);
    all.add(&other);
    all
}
