//! Races on one role whose service keeps no registry: deletions by the real engine and reconciler, a real service that is asked
//! over TCP and fences on its side, and clients of the service that make and remove resources at the same time.
//!
//! `LINKROLE_ROUNDS` sets the number of rounds.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use crate::callbacks::Callbacks;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::outward::Outward;
use crate::reconciler::Reconciler;
use crate::seed::Seed;
use iam::caller::{Call, Caller, Source};
use iam::command::*;
use iam::error::Error;
use iam::output::*;
use iam::rows::{RoleKind, RoleStatus, TaskStatus};
use iam::seal::Keyring;
use iam::text::*;
use policy::Dialect;
use sdk::asked::{Asked, Phase, Question, Uses};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use store::Embedded;
use store::disk::{Dice, Disk};
use tokio::net::TcpListener;

const PRINCIPAL: &str = "fence.example.com";
const ROLE: &str = "AWSServiceRoleForExampleFence";
const CLIENTS: u64 = 64;
const REGIONS: [&str; 2] = ["north-1", "south-1"];

/// The service: what it has made with which role, and its fences.
struct Service {
    asked: OnceLock<Asked>,
    resources: Mutex<BTreeMap<(String, u64), usize>>,
    told: AtomicU64,
}

impl Service {
    async fn look(&self, question: Question) -> Uses {
        if matches!(question.phase, Phase::Cancel | Phase::Committed) {
            self.told.fetch_add(1, Ordering::Relaxed);
        }
        let mut uses = Uses {
            regions: question.region.iter().cloned().collect(),
            sessions_released: true,
            ..Uses::default()
        };
        for ((role, client), region) in self.resources.lock().unwrap().iter() {
            let region = REGIONS.get(*region).copied().unwrap_or_default();
            if *role == question.role_id && question.region.as_deref() == Some(region) {
                uses.in_use = true;
                uses.named.entry(region.to_owned()).or_default().push(format!("vault/{client}"));
            }
        }
        uses
    }
}

struct World {
    engine: Arc<Engine<Embedded>>,
    service: Arc<Service>,
    account: AccountId,
    root: KeyId,
    acts: AtomicU64,
    made: AtomicU64,
    refused: AtomicU64,
}

fn keyring() -> Keyring {
    Keyring::from_bytes(&[9; Keyring::LEN]).unwrap()
}

impl World {
    async fn call(&self, caller: Caller, command: Command) -> Result<Output, Error> {
        let call = Call {
            caller,
            on_behalf: None,
            command,
            nonce: None,
            refusal: None,
            source: Source::default(),
            request_id: String::new(),
        };
        self.engine.call(call).await
    }

    fn role(&self) -> Option<RoleId> {
        let name = RoleName::parse(ROLE).unwrap();
        self.engine.state().role(&self.account, &name.folded()).map(|row| row.id.clone())
    }

    async fn create(&self) {
        let (principal, suffix, description) = (PRINCIPAL.to_owned(), None, None);
        let command = Command::CreateServiceLinkedRole { principal, suffix, description };
        match self.call(Caller::Key(self.root.clone()), command).await {
            Ok(_) | Err(Error::RoleNameTaken(_)) => {}
            Err(other) => panic!("create: {other:?}"),
        }
    }

    /// What one client of the service does while the role may be going.
    async fn act(&self, dice: &mut Dice, client: u64) {
        let Some(role) = self.role() else { return };
        let key = (role.to_string(), client);
        self.acts.fetch_add(1, Ordering::Relaxed);
        if dice.roll().is_multiple_of(4) {
            self.service.resources.lock().unwrap().remove(&key);
            return;
        }
        // Few make anything, or no deletion would ever succeed.
        if !dice.roll().is_multiple_of(900) {
            return;
        }
        match self.service.asked.get().unwrap().begin(role.as_str()).await {
            Some(begun) => {
                tokio::task::yield_now().await;
                let region = usize::try_from(client % 2).unwrap();
                self.service.resources.lock().unwrap().insert(key, region);
                drop(begun);
                self.made.fetch_add(1, Ordering::Relaxed);
            }
            None => drop(self.refused.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn is_open(&self, task: &TaskId) -> bool {
        self.engine.state().task(task).is_some_and(|task| task.is_open())
    }

    /// I1: what is there has a role.
    fn check(&self) {
        let state = self.engine.state();
        assert_eq!(iam::state::problems(&state), Vec::<String>::new());
        for (role, client) in self.service.resources.lock().unwrap().keys() {
            let id = RoleId::parse(role).unwrap();
            assert!(state.tombstone(&id).is_none(), "I1: vault/{client} outlives its role {role}");
        }
    }
}

/// Serves the service's address.
async fn serve(service: Arc<Service>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/{{region}}", listener.local_addr().unwrap());
    tokio::spawn(sdk::http::serve(listener, move |request| {
        let service = service.clone();
        async move {
            let asked = service.asked.get().unwrap();
            asked.answer(&request, |question| service.look(question)).await
        }
    }));
    url
}

async fn start(
    folder: &std::path::Path,
) -> (Arc<World>, Arc<Callbacks>, std::thread::JoinHandle<()>) {
    let service = Arc::new(Service {
        asked: OnceLock::new(),
        resources: Mutex::default(),
        told: AtomicU64::new(0),
    });
    let url = serve(service.clone()).await;
    let ring = keyring();
    let mut seed = Seed::begin(&ring);
    let (account, root) = seed.account(None, Dialect::Aws).unwrap();
    let regions = REGIONS.map(|name| format!("\"{name}\"")).join(", ");
    let manifest = format!(
        r#"{{"service": "{PRINCIPAL}", "display_name": "Fence", "regions": [{regions}], "usage": "sessions",
            "callback": {{"url": "{url}", "contract": "fenced"}},
            "role": [{{"name": "ExampleFence", "policy_name": "ExampleFencePolicy", "policy":
                {{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "storage:*", "Resource": "*"}}]}}}}]}}"#
    );
    let key = seed.service(&manifest).unwrap();
    let credentials = sdk::Credentials {
        access_key_id: key.id.to_string(),
        secret_access_key: sdk::Secret::new(key.secret.expose().to_owned()),
        session_token: None,
    };
    assert!(service.asked.set(Asked::open(credentials, folder.join("fences")).unwrap()).is_ok());
    let store = Embedded::create_on(Disk::new()).unwrap();
    crate::engine::install(&store, &seed.changes, seed.event.as_ref().unwrap()).await.unwrap();
    let clock = Arc::new(Clock::system());
    let (engine, writer) = Engine::start(store, keyring(), clock).await.unwrap();
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    let own = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let callbacks = Arc::new(Callbacks::new(Arc::new(Outward::default()), networks, own));
    let [acts, made, refused] = std::array::from_fn(|_| AtomicU64::new(0));
    let world = World { engine, service, account, root: root.id, acts, made, refused };
    (Arc::new(world), callbacks, writer)
}

#[test]
fn atk_f20_races_with_a_service_that_is_asked_leave_no_use_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let (world, callbacks, writer) = start(folder.path()).await;
        let worker = Reconciler::new(world.engine.clone(), callbacks).run();
        let worker = tokio::spawn(worker);
        for round in 0..crate::races::rounds(60) {
            world.create().await;
            let delete = Command::DeleteServiceLinkedRole { role: RoleName::parse(ROLE).unwrap() };
            let task = world.call(Caller::Key(world.root.clone()), delete).await;
            let Ok(Output::Task(task)) = task else { panic!("{task:?}") };
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let world = world.clone();
                    let mut dice = Dice(round.wrapping_mul(1_000_003).wrapping_add(client + 1));
                    let task = task.task.id.clone();
                    tokio::spawn(async move {
                        while world.is_open(&task) {
                            world.act(&mut dice, client).await;
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            for client in clients {
                client.await.unwrap();
            }
            world.check();
            // A fence whose notice is on its way goes as soon as the role is seen.
            if round % 3 == 0 {
                world.service.resources.lock().unwrap().clear();
            }
            if let Some(role) = world.role() {
                let seen = seen(&world, &role);
                world.service.asked.get().unwrap().resync(&seen).await.unwrap();
            }
        }
        worker.abort();
        let _ = worker.await;
        assert_eq!(world.engine.panics(), 0);
        report(&world);
        world.engine.stop().await;
        writer.join().unwrap();
    });
}

/// A role as the service sees it.
fn seen(world: &World, role: &RoleId) -> sdk::Role {
    let state = world.engine.state();
    let row = state.role_by_id(role).unwrap();
    let RoleKind::Linked(linked) = &row.kind else { panic!("not linked") };
    let (epoch, deleting) = match &linked.status {
        RoleStatus::Active { epoch } => (*epoch, false),
        RoleStatus::Deleting { epoch, .. } => (*epoch, true),
    };
    sdk::Role {
        arn: String::new(),
        name: ROLE.to_owned(),
        id: role.to_string(),
        account: world.account.to_string(),
        deleting,
        epoch,
        created: false,
    }
}

#[expect(clippy::print_stdout, reason = "the counts are the point of a campaign")]
fn report(world: &World) {
    let state = world.engine.state();
    let ended = |wanted| state.tasks().filter(|task| task.status == wanted).count();
    let reasons: BTreeSet<_> = state.tasks().filter_map(|task| task.reason.clone()).collect();
    let (gone, kept) = (ended(TaskStatus::Succeeded), ended(TaskStatus::Failed));
    let made = world.made.load(Ordering::Relaxed);
    let refused = world.refused.load(Ordering::Relaxed);
    let told = world.service.told.load(Ordering::Relaxed);
    let acts = world.acts.load(Ordering::Relaxed);
    println!(
        "{acts} acts: gone {gone}, kept {kept}, made {made}, refused by a fence {refused}, told {told}: {reasons:?}"
    );
    for (name, count) in [("deletion", gone), ("failure", kept)] {
        assert!(count > 0, "no race ended as a {name}");
    }
    assert!(made > 0 && told > 0 && refused > 0, "nothing was made or refused, or nobody was told");
}
