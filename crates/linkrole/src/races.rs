//! Races on one role, on the real engine and the embedded store: create, assume, register, remove,
//! release and delete at the same time, with a clock that moves so that sessions really end.
//!
//! `LINKROLE_ROUNDS` sets the number of rounds; the counts that are printed show that none of
//! the ways a race can end went untested.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use crate::callbacks::Callbacks;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::outward::Outward;
use crate::reconciler::Reconciler;
use crate::seed::Seed;
use iam::caller::{Call, Caller, Source, authenticate};
use iam::command::*;
use iam::error::Error;
use iam::output::*;
use iam::rows::{Row, TaskStatus};
use iam::seal::Keyring;
use iam::text::*;
use policy::Dialect;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use store::disk::{Dice, Disk};
use store::{Embedded, Store};

const SERVICE: &str = "backup.example.com";
const ROLE: &str = "AWSServiceRoleForExampleBackup";
const CLIENTS: u64 = 64;
const START_MS: i64 = 1_800_000_000_000;

/// What happened, counted.
#[derive(Default)]
struct Counts {
    created: AtomicU64,
    assumed: AtomicU64,
    registered: AtomicU64,
    released: AtomicU64,
    submitted: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    use_wins: AtomicU64,
}

struct World {
    engine: Arc<Engine<Embedded>>,
    clock: Arc<Clock>,
    account: AccountId,
    root: KeyId,
    service: KeyId,
    /// Resources that there are, by the id of the role they use.
    resources: Mutex<BTreeMap<String, RoleId>>,
    /// Sessions that were handed out, with the role they are of.
    sessions: Mutex<Vec<(String, String, RoleId)>>,
    counts: Counts,
}

fn keyring() -> Keyring {
    Keyring::from_bytes(&[7; Keyring::LEN]).unwrap()
}

fn role_name() -> RoleName {
    RoleName::parse(ROLE).unwrap()
}

impl World {
    async fn start(disk: Disk) -> (Arc<Self>, std::thread::JoinHandle<()>) {
        let ring = keyring();
        let mut seed = Seed::begin(&ring);
        let (account, root) = seed.account(None, Dialect::Aws).unwrap();
        let service = seed.service(crate::seed::CATALOGUE.first().unwrap()).unwrap();
        let store = Embedded::create_on(disk).unwrap();
        crate::engine::install(&store, &seed.changes, seed.event.as_ref().unwrap()).await.unwrap();
        let clock = Arc::new(Clock::fixed(START_MS));
        let (engine, writer) = Engine::start(store, keyring(), clock.clone()).await.unwrap();
        let world = Self {
            engine,
            clock,
            account,
            root: root.id,
            service: service.id,
            resources: Mutex::default(),
            sessions: Mutex::default(),
            counts: Counts::default(),
        };
        (Arc::new(world), writer)
    }

    fn reconciler(&self) -> Reconciler<Embedded> {
        let own = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
        let callbacks = Callbacks::new(Arc::new(Outward::default()), Vec::new(), own);
        Reconciler::new(self.engine.clone(), Arc::new(callbacks))
    }

    async fn call(&self, key: &KeyId, command: Command) -> Result<Output, Error> {
        self.engine
            .call(Call {
                caller: Caller::Key(key.clone()),
                on_behalf: None,
                command,
                nonce: None,
                refusal: None,
                source: Source::default(),
                request_id: String::new(),
            })
            .await
    }

    fn target(&self, role: &str) -> LinkedTarget {
        LinkedTarget { account: self.account.clone(), role: role.to_owned() }
    }

    async fn create(&self) {
        let command = Command::CreateServiceLinkedRole {
            principal: SERVICE.into(),
            suffix: None,
            description: None,
        };
        match self.call(&self.root, command).await {
            Ok(_) => drop(self.counts.created.fetch_add(1, Ordering::Relaxed)),
            Err(Error::RoleNameTaken(_)) => {}
            Err(other) => panic!("create: {other:?}"),
        }
    }

    async fn assume(&self) {
        // A role that a resource uses all the while never loses an AssumeRole.
        let held = self.resources.lock().unwrap().values().next().cloned();
        let name = role_name();
        let arn = policy::name::role(
            Dialect::Aws,
            self.account.as_str(),
            &iam::linked::path_of(SERVICE),
            ROLE,
        );
        let ask = AssumeRole {
            role: RoleTarget { text: arn, account: self.account.clone(), name },
            session: SessionName::parse("race").unwrap(),
            duration_s: Some(900),
            policy: None,
            policy_arns: Vec::new(),
            tags: Vec::new(),
            transitive: Vec::new(),
            external_id: None,
            source_identity: None,
        };
        match self.call(&self.service, Command::AssumeRole(Box::new(ask))).await {
            Ok(Output::Session { credentials, assumed, .. }) => {
                self.counts.assumed.fetch_add(1, Ordering::Relaxed);
                let id = assumed.unwrap().id;
                let role = RoleId::parse(id.split(':').next().unwrap()).unwrap();
                let session = (credentials.key.to_string(), credentials.token, role);
                self.sessions.lock().unwrap().push(session);
            }
            Err(Error::AssumeRoleDenied(_)) => {
                let still = self.resources.lock().unwrap().values().next().cloned();
                assert!(held.is_none() || still != held, "I13: a role in use lost an AssumeRole");
            }
            other => panic!("assume: {other:?}"),
        }
    }

    /// Registers a use and, only once that is done, makes the resource.
    async fn register(&self, resource: &str) {
        let command = Command::RegisterUsage {
            target: self.target(ROLE),
            region: Region::parse("local-1").unwrap(),
            resource: ResourceName::parse(resource).unwrap(),
        };
        match self.call(&self.service, command).await {
            Ok(Output::Usage { role, ended_deletion, .. }) => {
                self.counts.registered.fetch_add(1, Ordering::Relaxed);
                if ended_deletion.is_some() {
                    self.counts.use_wins.fetch_add(1, Ordering::Relaxed);
                }
                let id = role.role.id.clone();
                self.resources.lock().unwrap().insert(resource.to_owned(), id);
            }
            Err(Error::NoSuchEntity(_)) => {}
            other => panic!("register: {other:?}"),
        }
    }

    /// Removes the resource and, only once it is gone, its use.
    async fn remove(&self, resource: &str) {
        let Some(role) = self.resources.lock().unwrap().remove(resource) else { return };
        let command = Command::DeregisterUsage {
            target: self.target(role.as_str()),
            region: Region::parse("local-1").unwrap(),
            resource: ResourceName::parse(resource).unwrap(),
        };
        match self.call(&self.service, command).await {
            Ok(_) => {}
            other => panic!("deregister: {other:?}"),
        }
    }

    async fn release(&self) {
        match self.call(&self.service, Command::ReleaseSessions { target: self.target(ROLE) }).await
        {
            Ok(_) => drop(self.counts.released.fetch_add(1, Ordering::Relaxed)),
            Err(Error::NoSuchEntity(_)) => {}
            other => panic!("release: {other:?}"),
        }
    }

    /// The service is done with the role, as it believes.
    async fn retire(&self) {
        let command = Command::RetireServiceLinkedRole { target: self.target(ROLE) };
        match self.call(&self.service, command).await {
            Ok(_) => drop(self.counts.submitted.fetch_add(1, Ordering::Relaxed)),
            Err(Error::NoSuchEntity(_)) => {}
            other => panic!("retire: {other:?}"),
        }
    }

    async fn delete(&self) {
        let command = Command::DeleteServiceLinkedRole { role: role_name() };
        match self.call(&self.root, command).await {
            Ok(_) => drop(self.counts.submitted.fetch_add(1, Ordering::Relaxed)),
            Err(Error::NoSuchEntity(_)) => {}
            other => panic!("delete: {other:?}"),
        }
    }

    /// What one client does in one round. Every fourth round is busy, the next cleans up, and two
    /// race for a role that hardly anything uses, so that deletions end in every way.
    async fn act(&self, dice: &mut Dice, round: u64, client: u64) {
        let resource = format!("vault/{client}");
        match (round % 4, dice.roll() % 16) {
            (0, 0..=2) | (2 | 3, 0..=5) => self.create().await,
            (0, 3..=5) => self.assume().await,
            (3, 6) if client < 16 => self.assume().await,
            (0, 6..=7) => self.register(&resource).await,
            (3, 7) if client < 16 => self.register(&resource).await,
            (1, _) => {
                self.remove(&resource).await;
                self.release().await;
            }
            (0, 8..=10) | (2 | 3, 7..=10) => self.remove(&resource).await,
            (_, 11) => self.release().await,
            (_, 12) => self.retire().await,
            _ => self.delete().await,
        }
    }

    /// The invariants that a state can break.
    fn check(&self, final_before: &mut BTreeMap<TaskId, TaskStatus>) {
        let state = self.engine.state();
        let problems = iam::state::problems(&state);
        assert!(problems.is_empty(), "{problems:?}");
        for (resource, role) in self.resources.lock().unwrap().iter() {
            assert!(state.tombstone(role).is_none(), "I1: {resource} outlives its role {role}");
        }
        let mut open = BTreeSet::new();
        for task in state.tasks() {
            if task.is_open() {
                assert!(open.insert(task.role.clone()), "I2: two open tasks of one role");
            } else if let Some(before) = final_before.insert(task.id.clone(), task.status) {
                assert_eq!(before, task.status, "I3: a final status changed");
            }
            let gone = state.tombstone(&task.role).is_some();
            assert!(task.status != TaskStatus::Succeeded || gone, "I3: succeeded without removal");
            assert!(!gone || state.role_by_id(&task.role).is_none(), "I4: a removed id lives");
        }
        let now = self.clock.now_ms();
        self.sessions.lock().unwrap().retain(|(key, token, role)| {
            let ring = keyring();
            let alive = authenticate(&state, &ring, now, key, Some(token)).is_ok();
            assert!(
                !alive || state.tombstone(role).is_none(),
                "I5, I9: a session outlives its role"
            );
            alive
        });
    }
}

pub fn rounds(usual: u64) -> u64 {
    std::env::var("LINKROLE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

#[test]
fn atk_f20_f23_f29_races_on_one_role_keep_every_invariant() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let disk = Disk::new();
        let (world, writer) = World::start(disk.clone()).await;
        let worker = tokio::spawn(world.reconciler().run());
        let mut final_before = BTreeMap::new();
        let mut clock_dice = Dice(1);
        for round in 0..rounds(200) {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let world = world.clone();
                    let mut dice = Dice(round.wrapping_mul(1_000_003).wrapping_add(client + 1));
                    tokio::spawn(async move { world.act(&mut dice, round, client).await })
                })
                .collect();
            for client in clients {
                client.await.unwrap();
            }
            // Sometimes far enough for every session to end, mostly a little.
            let far = clock_dice.roll().is_multiple_of(4);
            let step = if far { 1_000_000 } else { 1_500 };
            world.clock.set(world.clock.now_ms() + step);
            world.check(&mut final_before);
        }
        let left: Vec<String> = world.resources.lock().unwrap().keys().cloned().collect();
        for resource in left {
            world.remove(&resource).await;
        }
        world.clock.set(world.clock.now_ms() + 2_000_000);
        let mut reconciler = world.reconciler();
        while world.engine.state().open_tasks().next().is_some() {
            reconciler.pass().await;
        }
        world.check(&mut final_before);
        worker.abort();
        let _ = worker.await;
        for status in final_before.values() {
            let count = match status {
                TaskStatus::Succeeded => &world.counts.succeeded,
                _ => &world.counts.failed,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        let live = world.engine.state().rows();
        assert_eq!(world.engine.panics(), 0);
        world.engine.stop().await;
        writer.join().unwrap();
        report(&world.counts);
        reload(disk, &live).await;
    });
}

#[expect(clippy::print_stdout, reason = "the counts are the point of a campaign")]
fn report(counts: &Counts) {
    let all = [
        ("created", &counts.created),
        ("assumed", &counts.assumed),
        ("registered", &counts.registered),
        ("released", &counts.released),
        ("deletions submitted", &counts.submitted),
        ("deletions succeeded", &counts.succeeded),
        ("deletions failed", &counts.failed),
        ("uses that won over a fence", &counts.use_wins),
    ];
    for (name, count) in all {
        let n = count.load(Ordering::Relaxed);
        println!("{name}: {n}");
        // A use meets a fence seldom, since a fence is short; short runs may see none.
        assert!(n > 0 || name.starts_with("uses"), "no race ended as `{name}`");
    }
}

/// What is on the disk is what was live.
async fn reload(disk: Disk, live: &[Row]) {
    let store = Embedded::open_on(disk).unwrap();
    let mut state = iam::state::State::default();
    store
        .load(&mut |row| {
            state.apply(&iam::rows::Change::Put(Row::decode(row.table, &row.value).unwrap()));
        })
        .await
        .unwrap();
    let mut loaded: Vec<_> = state.rows().iter().map(|r| format!("{r:?}")).collect();
    let mut live: Vec<_> = live.iter().map(|r| format!("{r:?}")).collect();
    loaded.sort();
    live.sort();
    assert_eq!(loaded, live);
}
